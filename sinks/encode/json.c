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

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	const uint64_t cut_bit = UINT64_C(1) << F_TruncatedFields;
	uint64_t cut = 0;
	size_t before = out->n;

	for (uint64_t left = value_columns(e); left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		buf_put(out, names[f].text, names[f].n);
		if (!value_put_json(out, e, f))
			cut |= UINT64_C(1) << f;
	}
	if (cut != 0 || (e->present & cut_bit) != 0) {
		char text[VALUE_NAMES_BYTES];

		buf_put(out, names[F_TruncatedFields].text, names[F_TruncatedFields].n);
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
