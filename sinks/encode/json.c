/*
 * json.c - an event as a row of AISPMEvents_CL. Absent columns stay out; a column longer than the service takes is cut by us
 * on a character, or, where a cut would break JSON, replaced by its length; either way TruncatedFields names it.
 */
#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "sinks/encode/encode.h"

#define NAMES_BYTES	4096	/* of TruncatedFields: all our names, and what the event brought */

struct name { char text[52]; uint8_t n; };
static const struct name names[FIELD_COUNT] = {
#define FIELD(name, type, help)	{ ",\"" #name "\":", sizeof(#name) + 3 },
#include "model/fields.tbl"
#undef FIELD
};

/* ---- texts -------------------------------------------------------------------- */

typedef signed char bytes16 __attribute__((vector_size(16)));
typedef uint64_t words16 __attribute__((vector_size(16)));

/* Sixteen bytes copied; all-ones where one is no plain ASCII: below blank or above 0x7f (negative), quote, backslash. */
static inline bytes16
copy16(char *to, const char *from)
{
	bytes16 b;

	memcpy(&b, from, sizeof(b));
	memcpy(to, &b, sizeof(b));
	return (b < 0x20) | (b == '"') | (b == '\\');
}

static inline bool
any(bytes16 b)
{
	words16 w = (words16)b;

	return (w[0] | w[1]) != 0;
}

/* Copies a text that needs no escape; False: it does need one, and what was copied means nothing. */
static bool
copy_plain(char *to, const char *from, size_t n)
{
	bytes16 odd = { 0 };
	char tail[16], copied[16];
	size_t i = 0;

	for (; i + 16 <= n; i += 16)
		odd |= copy16(to + i, from + i);
	if (i == n)
		return !any(odd);
	if (n > 16)
		return !any(odd | copy16(to + n - 16, from + n - 16));	/* the last ones, some of them again */
	memset(tail, ' ', sizeof(tail));
	if (n >= 8) {
		memcpy(tail, from, 8);
		memcpy(tail + 8, from + n - 8, 8);
		memcpy(to, from, 8);
		memcpy(to + n - 8, from + n - 8, 8);
	} else {
		for (i = 0; i < n; i++)
			tail[i] = to[i] = from[i];
	}
	return !any(copy16(copied, tail));
}

/* How many bytes of s can be written so that the column holds at most `limit`, whole characters; broken bytes count three. */
static size_t
fit(struct slice s, size_t limit)
{
	size_t at = 0, written = 0;

	if (s.n <= limit / 3)
		return s.n;
	while (at < s.n) {
		struct slice rest = slice_make(s.p + at, s.n - at);
		size_t run = utf8_valid_prefix(rest);

		if (written + run > limit)
			return at + utf8_cut(slice_make(rest.p, run), limit - written);
		at += run;
		written += run + 3;
		if (at == s.n)
			break;
		if (written > limit)
			return at;
		at++;
	}
	return s.n;
}

static void
put_length(struct buf *out, size_t n)
{
	buf_puts(out, "{\"truncated\":true,\"length\":");
	buf_put_u64(out, n);
	buf_putc(out, '}');
}

static bool
is_json_text(int f)
{
	return f == F_OldValue || f == F_NewValue;
}

/* False: it was cut. */
static bool
put_text(struct buf *out, int f, struct slice s)
{
	size_t n;

	if (s.n <= ENCODE_COLUMN_BYTES && buf_reserve(out, s.n + 2) && copy_plain(out->p + out->n + 1, s.p, s.n)) {
		out->p[out->n] = '"';
		out->p[out->n + 1 + s.n] = '"';
		out->n += s.n + 2;
		return true;
	}
	n = fit(s, ENCODE_COLUMN_BYTES);
	if (n < s.n && is_json_text(f)) {
		char text[64];
		int len = snprintf(text, sizeof(text), "{\"truncated\":true,\"length\":%zu}", s.n);

		buf_put_json(out, slice_make(text, (size_t)len));
	} else {
		buf_put_json(out, slice_make(s.p, n));
	}
	return n == s.n;
}

/* One JSON text as it is; what is none for certain goes as a text, so that the row stays whole. */
static bool
put_json(struct buf *out, int f, struct slice s)
{
	char first = s.p[0], last = s.p[s.n - 1];

	if (!(first == '{' && last == '}') && !(first == '[' && last == ']'))
		return put_text(out, f, s);
	if (s.n > ENCODE_COLUMN_BYTES)
		put_length(out, s.n);
	else
		buf_put_slice(out, s);
	return s.n <= ENCODE_COLUMN_BYTES;
}

/* ---- the row --------------------------------------------------------------------- */

static void
put_time(struct buf *out, int64_t ms)
{
	char text[TIME_TEXT_BYTES];

	time_format_ms(ms, text);
	buf_putc(out, '"');
	buf_put(out, text, TIME_TEXT_BYTES - 1);
	buf_putc(out, '"');
}

/* INT columns have 32 bits at the far side. */
static int64_t
clamp(int64_t n)
{
	return n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
}

/* False: the column was cut. */
static bool
put_value(struct buf *out, const struct event *e, int f)
{
	switch (field_rows[f].type) {
	case FIELD_TEXT:
		return put_text(out, f, e->v[f].text);
	case FIELD_JSON:
		return put_json(out, f, e->v[f].text);
	case FIELD_TIME:
		put_time(out, e->v[f].number);
		break;
	case FIELD_INT:
		buf_put_i64(out, clamp(e->v[f].number));
		break;
	case FIELD_LONG:
		buf_put_i64(out, e->v[f].number);
		break;
	case FIELD_REAL:
		buf_put_double(out, e->v[f].real);
		break;
	}
	return true;
}

/* Is `name` one of the comma separated words of s? */
static bool
listed(struct slice s, struct slice name)
{
	for (size_t at = 0; at < s.n;) {
		const char *comma = memchr(s.p + at, ',', s.n - at);
		size_t end = comma != NULL ? (size_t)(comma - s.p) : s.n;

		if (slice_eq(slice_make(s.p + at, end - at), name))
			return true;
		at = end + 1;
	}
	return false;
}

/* What the event says was cut before, and what we cut now. */
static void
put_cut_names(struct buf *out, struct slice before, uint64_t cut)
{
	char text[NAMES_BYTES];
	size_t n = 0;

	if (before.n > sizeof(text) / 2)
		before.n = utf8_cut(before, sizeof(text) / 2);
	if (before.n > 0)
		memcpy(text, before.p, before.n);
	n = before.n;
	for (; cut != 0; cut &= cut - 1) {
		const struct field_row *row = &field_rows[__builtin_ctzll(cut)];

		if (listed(before, slice_make(row->name, row->name_n)) || n + row->name_n + 1 > sizeof(text))
			continue;
		if (n > 0)
			text[n++] = ',';
		memcpy(text + n, row->name, row->name_n);
		n += row->name_n;
	}
	buf_put_json(out, slice_make(text, n));
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	const uint64_t cut_bit = UINT64_C(1) << F_TruncatedFields;
	uint64_t cut = 0;
	size_t before = out->n;

	for (uint64_t left = e->present & ~cut_bit; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		if (field_rows[f].type == FIELD_REAL && !isfinite(e->v[f].real))
			continue;
		buf_put(out, names[f].text, names[f].n);
		if (!put_value(out, e, f))
			cut |= UINT64_C(1) << f;
	}
	if (cut != 0 || (e->present & cut_bit) != 0) {
		buf_put(out, names[F_TruncatedFields].text, names[F_TruncatedFields].n);
		put_cut_names(out, event_text(e, F_TruncatedFields), cut);
	}
	if (out->n == before)
		buf_putc(out, ',');
	buf_putc(out, '}');
	if (!out->failed) {
		out->p[before] = '{';	/* in the place of the first comma */
		return 0;
	}
	out->n = before;
	out->failed = false;
	return err_set(err, ERR_FULL, "no room for an encoded event");
}

const struct encoder encoder_json = {
	.name = "json",
	.content_type = "application/json",
	.encode = encode,
};
