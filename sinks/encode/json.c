/*
 * json.c - an event as a row of AISPMEvents_CL. Absent columns stay out; a column longer than the service takes is cut by us
 * on a character, or, where a cut would break JSON, replaced by its length; either way TruncatedFields names it.
 */
#include "base/buf.h"
#include "sinks/encode/encode.h"
#include "sinks/encode/value.h"

struct name { char text[52]; uint8_t n; };
static const struct name names[FIELD_COUNT] = {
#define FIELD(name, type, help)	{ ",\"" #name "\":", sizeof(#name) + 3 },
#include "model/fields.tbl"
#undef FIELD
};

/* All of the array, so that the copy is a few moves; what is behind the name is written over. */
static void
put_name(struct buf *out, const struct name *name)
{
	if (out->cap - out->n < sizeof(name->text) || out->failed) {
		buf_put(out, name->text, name->n);
		return;
	}
	memcpy(out->p + out->n, name->text, sizeof(name->text));
	out->n += name->n;
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	const uint64_t cut_bit = UINT64_C(1) << F_TruncatedFields;
	uint64_t cut = 0;
	size_t before = out->n;

	for (uint64_t left = value_columns(e); left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		put_name(out, &names[f]);
		if (!value_put_json(out, e, f))
			cut |= UINT64_C(1) << f;
	}
	if (cut != 0 || (e->present & cut_bit) != 0) {
		char text[VALUE_NAMES_BYTES];

		put_name(out, &names[F_TruncatedFields]);
		buf_put_json(out, slice_make(text, value_cut_names(text, e, cut)));
	}
	if (out->n == before)
		buf_putc(out, ',');
	buf_putc(out, '}');
	if (!out->failed)
		out->p[before] = '{';	/* in the place of the first comma */
	return value_finish(out, before, err);
}

const struct encoder encoder_json = {
	.name = "json",
	.encode = encode,
};
