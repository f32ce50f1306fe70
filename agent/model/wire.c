/* wire.c - an event as bytes and back. The format stands in wire.h. */
#include "model/wire.h"

#include "base/buf.h"
#include "base/err.h"

#define WIRE_VERSION	1

_Static_assert(sizeof(union field_value) >= 8, "a number fills a word of the wire");

#define IS_TEXT_TEXT	UINT64_C(1)
#define IS_TEXT_JSON	UINT64_C(1)
#define IS_TEXT_TIME	UINT64_C(0)
#define IS_TEXT_INT	UINT64_C(0)
#define IS_TEXT_LONG	UINT64_C(0)
#define IS_TEXT_REAL	UINT64_C(0)
static const uint64_t text_columns = 0
#define FIELD(name, type, help)	| IS_TEXT_##type << F_##name
#include "model/fields.tbl"
#undef FIELD
    ;

static bool
is_text(int f)
{
	return (text_columns >> f & 1) != 0;
}

static size_t
size_of(const struct event *e)
{
	size_t n = 2;

	for (uint64_t left = e->present & text_columns; left != 0; left &= left - 1) {
		size_t text = e->v[__builtin_ctzll(left)].text.n;

		if (text > WIRE_MAX_BYTES)
			return SIZE_MAX;
		n += 5 + text;
	}
	return n + 9 * (size_t)__builtin_popcountll(e->present & ~text_columns);
}

int
wire_put(const struct event *e, struct buf *out, struct err *err)
{
	size_t n = size_of(e);
	bool fits = n <= out->max_bytes && out->n <= out->max_bytes - n;
	char *at;

	if (n > WIRE_MAX_BYTES)
		return err_set(err, ERR_FULL, "the event is larger than %u bytes", WIRE_MAX_BYTES);
	if (!buf_reserve(out, n)) {
		out->failed = false;
		return err_set(err, fits ? ERR_AGAIN : ERR_FULL, "no room for an event of %zu bytes", n);
	}
	at = out->p + out->n;
	*at++ = WIRE_VERSION;
	*at++ = (char)__builtin_popcountll(e->present);
	for (uint64_t left = e->present; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		*at++ = (char)f;
		if (is_text(f)) {
			put_le32(at, (uint32_t)e->v[f].text.n);
			memcpy(at + 4, e->v[f].text.p, e->v[f].text.n);
			at += 4 + e->v[f].text.n;
		} else {
			uint64_t word;

			memcpy(&word, &e->v[f], sizeof(word));
			put_le64(at, word);
			at += 8;
		}
	}
	out->n += n;
	return 0;
}

/* One column at *at, behind column `last`; its number, or -1. */
static int
take_column(struct slice in, size_t *at, int last, struct event *e)
{
	int f = *at < in.n ? (unsigned char)in.p[(*at)++] : FIELD_COUNT;
	size_t left = in.n - *at;

	if (f >= FIELD_COUNT || f <= last)
		return -1;
	if (is_text(f)) {
		uint32_t n = left >= 4 ? get_le32(in.p + *at) : 0;

		if (n == 0 || n > left - 4)	/* empty is absent, and absent is not written */
			return -1;
		e->v[f].text = slice_make(in.p + *at + 4, n);
		*at += 4 + (size_t)n;
	} else {
		uint64_t word;

		if (left < 8)
			return -1;
		word = get_le64(in.p + *at);
		memcpy(&e->v[f], &word, sizeof(word));
		*at += 8;
	}
	e->present |= UINT64_C(1) << f;
	return f;
}

int
wire_get(struct slice in, struct event *ret, struct err *err)
{
	struct event e;
	size_t at = 2;
	int last = -1;

	event_init(&e);
	if (in.n < 2 || in.n > WIRE_MAX_BYTES || in.p[0] != WIRE_VERSION)
		return err_set(err, ERR_LOST, "not an event of wire version %d", WIRE_VERSION);
	for (unsigned left = (unsigned char)in.p[1]; left > 0; left--) {
		last = take_column(in, &at, last, &e);
		if (last < 0)
			return err_set(err, ERR_LOST, "an event is damaged at byte %zu", at);
	}
	if (at != in.n)
		return err_set(err, ERR_LOST, "an event has %zu bytes too many", in.n - at);
	ret->present = e.present;
	for (uint64_t left = e.present; left != 0; left &= left - 1)
		ret->v[__builtin_ctzll(left)] = e.v[__builtin_ctzll(left)];
	return 0;
}
