/* value.c - a column as a JSON value. */
#include "sinks/encode/value.h"

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "sinks/encode/encode.h"

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

size_t
value_fit(struct slice s, size_t limit)
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

size_t
value_stand_in(char ret[VALUE_STAND_IN_BYTES], size_t n)
{
	return (size_t)snprintf(ret, VALUE_STAND_IN_BYTES, "{\"truncated\":true,\"length\":%zu}", n);
}

bool
value_is_json(int f)
{
	return f == F_OldValue || f == F_NewValue || field_rows[f].type == FIELD_JSON;
}

/* False: it was cut. */
static bool
put_text(struct buf *out, int f, struct slice s)
{
	char stand_in[VALUE_STAND_IN_BYTES];
	size_t n;

	if (s.n <= ENCODE_COLUMN_BYTES && buf_reserve(out, s.n + 2) && copy_plain(out->p + out->n + 1, s.p, s.n)) {
		out->p[out->n] = '"';
		out->p[out->n + 1 + s.n] = '"';
		out->n += s.n + 2;
		return true;
	}
	n = value_fit(s, ENCODE_COLUMN_BYTES);
	if (n < s.n && value_is_json(f))
		buf_put_json(out, slice_make(stand_in, value_stand_in(stand_in, s.n)));
	else
		buf_put_json(out, slice_make(s.p, n));
	return n == s.n;
}

/* One JSON text as it is; what is none for certain goes as a text, so that the row stays whole. */
static bool
put_json(struct buf *out, int f, struct slice s)
{
	char first = s.p[0], last = s.p[s.n - 1], stand_in[VALUE_STAND_IN_BYTES];

	if (!(first == '{' && last == '}') && !(first == '[' && last == ']'))
		return put_text(out, f, s);
	if (s.n > ENCODE_COLUMN_BYTES)
		buf_put(out, stand_in, value_stand_in(stand_in, s.n));
	else
		buf_put_slice(out, s);
	return s.n <= ENCODE_COLUMN_BYTES;
}

/* ---- values -------------------------------------------------------------------- */

static void
put_time(struct buf *out, int64_t ms)
{
	char text[TIME_TEXT_BYTES];

	time_format_ms(ms, text);
	buf_putc(out, '"');
	buf_put(out, text, TIME_TEXT_BYTES - 1);
	buf_putc(out, '"');
}

int64_t
value_int(int64_t n)
{
	return n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : n;
}

#define IS_REAL_TEXT	UINT64_C(0)
#define IS_REAL_JSON	UINT64_C(0)
#define IS_REAL_TIME	UINT64_C(0)
#define IS_REAL_INT	UINT64_C(0)
#define IS_REAL_LONG	UINT64_C(0)
#define IS_REAL_REAL	UINT64_C(1)

uint64_t
value_columns(const struct event *e)
{
	static const uint64_t reals = 0
#define FIELD(name, type, help)	| IS_REAL_##type << F_##name
#include "model/fields.tbl"
#undef FIELD
	    ;
	uint64_t columns = e->present & ~(UINT64_C(1) << F_TruncatedFields);

	for (uint64_t left = columns & reals; left != 0; left &= left - 1)
		if (!isfinite(e->v[__builtin_ctzll(left)].real))
			columns &= ~(left & -left);
	return columns;
}

bool
value_put_json(struct buf *out, const struct event *e, int f)
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
		buf_put_i64(out, value_int(e->v[f].number));
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

bool
value_put_string(struct buf *out, const struct event *e, int f)
{
	switch (field_rows[f].type) {
	case FIELD_TEXT:
	case FIELD_JSON:
		return put_text(out, f, e->v[f].text);
	case FIELD_TIME:
		put_time(out, e->v[f].number);
		return true;
	default:
		buf_putc(out, '"');
		(void)value_put_json(out, e, f);
		buf_putc(out, '"');
		return true;
	}
}

/* ---- what was cut ---------------------------------------------------------------- */

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

size_t
value_cut_names(char ret[VALUE_NAMES_BYTES], const struct event *e, uint64_t cut)
{
	struct slice before = event_text(e, F_TruncatedFields);
	size_t n;

	if (before.n > VALUE_NAMES_BYTES / 2)
		before.n = utf8_cut(before, VALUE_NAMES_BYTES / 2);
	if (before.n > 0)
		memcpy(ret, before.p, before.n);
	n = before.n;
	for (; cut != 0; cut &= cut - 1) {
		const struct field_row *row = &field_rows[__builtin_ctzll(cut)];

		if (listed(before, slice_make(row->name, row->name_n)) || n + row->name_n + 1 > VALUE_NAMES_BYTES)
			continue;
		if (n > 0)
			ret[n++] = ',';
		memcpy(ret + n, row->name, row->name_n);
		n += row->name_n;
	}
	return n;
}

/* ---- the end of a row -------------------------------------------------------------- */

/* How many bytes more it takes to write them as \uXXXX; they stand inside strings, as nothing else beyond ASCII can. */
static size_t
count_odd(struct slice s)
{
	static const int leads[] = { 0x7f, 0xc2, 0xe2 };
	size_t more = 0;
	unsigned code = 0;

	for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
		const char *end = s.p + s.n, *p = s.p;

		while ((p = memchr(p, leads[i], (size_t)(end - p))) != NULL) {
			size_t n = utf8_odd(slice_make(p, (size_t)(end - p)), &code);

			more += n > 0 ? 6 - n : 0;
			p++;
		}
	}
	return more;
}

static void
escape_odd(struct buf *b, size_t before, size_t more)
{
	static const char hex[] = "0123456789abcdef";
	const char *from, *end;
	char *to;

	if (!buf_reserve(b, more))
		return;
	memmove(b->p + before + more, b->p + before, b->n - before);
	b->n += more;
	to = b->p + before;
	end = b->p + b->n;
	for (from = to + more; from < end;) {
		unsigned code = 0;
		size_t n = utf8_odd(slice_make(from, (size_t)(end - from)), &code);

		if (n == 0) {
			*to++ = *from++;
			continue;
		}
		memcpy(to, "\\u", 2);
		for (int i = 0; i < 4; i++)
			to[2 + i] = hex[code >> (12 - 4 * i) & 15];
		to += 6;
		from += n;
	}
}

int
value_finish(struct buf *out, size_t before, struct err *err)
{
	if (!out->failed) {
		size_t more = count_odd(slice_make(out->p + before, out->n - before));

		if (more > 0)
			escape_odd(out, before, more);
	}
	if (!out->failed)
		return 0;
	out->n = before;
	out->failed = false;
	return err_set(err, ERR_FULL, "no room for an encoded event");
}
