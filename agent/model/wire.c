/* wire.c - an event as bytes and back. The format stands in wire.h. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "model/wire.h"

#include "base/buf.h"
#include "base/err.h"

#define WIRE_VERSION	1

static bool
is_text(int f)
{
	return field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON;
}

static size_t
size_of(const struct event *e)
{
	size_t n = 2;

	for (uint64_t left = e->present; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		n += 1 + (is_text(f) ? 4 + e->v[f].text.n : 8);
	}
	return n;
}

int
wire_put(const struct event *e, struct buf *out, struct err *err)
{
	size_t n = size_of(e);
	char *at;

	if (n > WIRE_MAX_BYTES)
		return err_set(err, ERR_FULL, "the event has %zu bytes, at most %u", n, WIRE_MAX_BYTES);
	if (!buf_reserve(out, n)) {
		out->failed = false;
		return err_set(err, ERR_FULL, "no room for an event of %zu bytes", n);
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

int
wire_get(struct slice in, struct event *ret, struct err *err)
{
	struct event e;
	size_t at = 2;
	int last = -1;

	event_init(&e);
	if (in.n < 2 || in.p[0] != WIRE_VERSION)
		return err_set(err, ERR_LOST, "not an event of wire version %d", WIRE_VERSION);
	for (unsigned i = 0; i < (unsigned char)in.p[1]; i++) {
		int f = at < in.n ? (unsigned char)in.p[at++] : FIELD_COUNT;
		uint64_t word;

		if (f >= FIELD_COUNT || f <= last || in.n - at < (is_text(f) ? 4 : 8))
			return err_set(err, ERR_LOST, "an event is damaged at byte %zu", at);
		if (is_text(f)) {
			uint32_t n = get_le32(in.p + at);

			at += 4;
			if (n > in.n - at)
				return err_set(err, ERR_LOST, "an event is damaged at byte %zu", at);
			e.v[f].text = slice_make(in.p + at, n);
			at += n;
		} else {
			word = get_le64(in.p + at);
			memcpy(&e.v[f], &word, sizeof(word));
			at += 8;
		}
		e.present |= UINT64_C(1) << f;
		last = f;
	}
	if (at != in.n)
		return err_set(err, ERR_LOST, "an event has %zu bytes too many", in.n - at);
	*ret = e;
	return 0;
}
