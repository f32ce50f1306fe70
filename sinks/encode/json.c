/*
 * json.c - an event as a row of AISPMEvents_CL. Absent columns stay out; a column longer than the service takes is cut by us
 * on a character, or, where a cut would break JSON, replaced by its length; either way TruncatedFields names it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "sinks/encode/encode.h"

#define NAMES_BYTES	512

struct row {
	struct buf	*out;
	char		 cut[NAMES_BYTES];
	size_t		 cut_n;
};

static void
mark_cut(struct row *r, int f)
{
	size_t n = field_rows[f].name_n;

	if (r->cut_n + n + 1 > sizeof(r->cut))
		return;
	if (r->cut_n > 0)
		r->cut[r->cut_n++] = ',';
	memcpy(r->cut + r->cut_n, field_rows[f].name, n);
	r->cut_n += n;
}

static void
put_length(struct row *r, int f, size_t n)
{
	mark_cut(r, f);
	buf_puts(r->out, "{\"truncated\":true,\"length\":");
	buf_put_u64(r->out, n);
	buf_putc(r->out, '}');
}

static void
put_text(struct row *r, int f, struct slice s)
{
	if (s.n <= ENCODE_COLUMN_BYTES) {
		buf_put_json(r->out, s);
	} else if (f == F_OldValue || f == F_NewValue) {	/* JSON in a text: never cut inside it */
		char text[64];
		int n = snprintf(text, sizeof(text), "{\"truncated\":true,\"length\":%zu}", s.n);

		mark_cut(r, f);
		buf_put_json(r->out, slice_make(text, (size_t)n));
	} else {
		mark_cut(r, f);
		buf_put_json(r->out, slice_make(s.p, utf8_cut(s, ENCODE_COLUMN_BYTES)));
	}
}

static void
put_value(struct row *r, const struct event *e, int f)
{
	char when[TIME_TEXT_BYTES];

	switch (field_rows[f].type) {
	case FIELD_TEXT:
		put_text(r, f, e->v[f].text);
		break;
	case FIELD_JSON:
		if (e->v[f].text.n > ENCODE_COLUMN_BYTES)
			put_length(r, f, e->v[f].text.n);
		else
			buf_put_slice(r->out, e->v[f].text);
		break;
	case FIELD_TIME:
		time_format_ms(e->v[f].number, when);
		buf_putc(r->out, '"');
		buf_put(r->out, when, TIME_TEXT_BYTES - 1);
		buf_putc(r->out, '"');
		break;
	case FIELD_INT:
	case FIELD_LONG:
		buf_put_i64(r->out, e->v[f].number);
		break;
	case FIELD_REAL:
		buf_put_double(r->out, e->v[f].real);
		break;
	}
}

static void
put_name(struct row *r, int f, bool first)
{
	buf_put(r->out, first ? "{\"" : ",\"", 2);
	buf_put(r->out, field_rows[f].name, field_rows[f].name_n);
	buf_put(r->out, "\":", 2);
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	struct row r = { .out = out };
	uint64_t left = e->present & ~(UINT64_C(1) << F_TruncatedFields);
	size_t before = out->n;
	bool first = true;

	for (; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		put_name(&r, f, first);
		put_value(&r, e, f);
		first = false;
	}
	if (r.cut_n > 0) {
		put_name(&r, F_TruncatedFields, first);
		buf_put_json(out, slice_make(r.cut, r.cut_n));
		first = false;
	}
	buf_puts(out, first ? "{}" : "}");
	if (!out->failed)
		return 0;
	out->n = before;
	out->failed = false;
	return err_set(err, ERR_FULL, "no room for an encoded event");
}

const struct encoder encoder_json = {
	.name = "json",
	.content_type = "application/json",
	.encode = encode,
};
