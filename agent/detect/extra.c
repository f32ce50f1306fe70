/* extra.c - members of AdditionalFields; saved bytes; event time; strangers' texts. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/extra.h"

#include <assert.h>

#include "base/buf.h"
#include "base/hash.h"

#define DAY_MS		86400000
#define BACK_AFTER	16

void
extra_begin(struct extra *x, struct slice json)
{
	*x = (struct extra){ .rest = json };
	if (json.n > 0 && json.p[0] == '{')
		x->rest = slice_make(json.p + 1, json.n - 1);
	else
		x->rest = SLICE_NONE;
}

/* Bytes up to the closing quote of the text that s stands in; -1: none. */
static ptrdiff_t
text_end(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\')
			i++;
		else if (s.p[i] == '"')
			return (ptrdiff_t)i;
	}
	return -1;
}

/* Bytes of the value at the front of s, without quotes around it; -1: not whole. */
static ptrdiff_t
value_end(struct slice s)
{
	unsigned depth = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '"') {
			ptrdiff_t n = text_end(slice_make(s.p + i + 1, s.n - i - 1));

			if (n < 0)
				return -1;
			i += (size_t)n + 1;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == ',' || c == '}' || c == ']') && depth == 0) {
			return (ptrdiff_t)i;
		} else if (c == '}' || c == ']') {
			depth--;
		}
	}
	return -1;
}

static bool
take_text(struct slice *s, struct slice *ret)
{
	ptrdiff_t n;

	if (s->n == 0 || s->p[0] != '"')
		return false;
	n = text_end(slice_make(s->p + 1, s->n - 1));
	if (n < 0)
		return false;
	*ret = slice_make(s->p + 1, (size_t)n);
	*s = slice_make(s->p + n + 2, s->n - (size_t)n - 2);
	return true;
}

bool
extra_next(struct extra *x)
{
	struct slice s = x->rest;
	ptrdiff_t n;

	x->rest = SLICE_NONE;
	if (s.n > 0 && s.p[0] == ',')
		s = slice_make(s.p + 1, s.n - 1);
	if (!take_text(&s, &x->key) || s.n == 0 || s.p[0] != ':')
		return false;
	s = slice_make(s.p + 1, s.n - 1);
	x->text = s.n > 0 && s.p[0] == '"';
	if (x->text) {
		if (!take_text(&s, &x->value))
			return false;
	} else {
		n = value_end(s);
		if (n < 0)
			return false;
		x->value = slice_make(s.p, (size_t)n);
		s = slice_make(s.p + n, s.n - (size_t)n);
	}
	x->rest = s;
	return true;
}

struct slice
extra_get(struct slice json, const char *key)
{
	struct extra x;

	extra_begin(&x, json);
	while (extra_next(&x))
		if (slice_eq(x.key, slice_of(key)))
			return x.value;
	return SLICE_NONE;
}

struct slice
extra_get_json(struct slice json, const char *key)
{
	struct extra x;

	extra_begin(&x, json);
	while (extra_next(&x))
		if (slice_eq(x.key, slice_of(key)))
			return !x.text && x.value.n > 0 && (x.value.p[0] == '{' || x.value.p[0] == '[') ? x.value : SLICE_NONE;
	return SLICE_NONE;
}

uint64_t
named_hash(const unsigned char key[16], const char *what, struct slice s)
{
	char text[512];
	size_t n = strlen(what) + 1;
	uint64_t h = 0;

	if (s.n == 0)
		return 0;
	memcpy(text, what, n);
	for (size_t i = 0; i < s.n;) {
		while (i < s.n && n < sizeof(text))
			text[n++] = (char)ascii_lower((unsigned char)s.p[i++]);
		h = siphash24(key, text, n);
		memcpy(text, &h, sizeof(h));		/* the next piece is hashed behind this one */
		n = sizeof(h);
	}
	return h != 0 ? h : 1;
}

bool
id_bytes(struct slice id, unsigned char ret[16])
{
	static const char hex[] = "0123456789abcdef";

	if (id.n != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		const char *hi = memchr(hex, id.p[2 * i], 16), *lo = memchr(hex, id.p[2 * i + 1], 16);

		if (hi == NULL || lo == NULL)
			return false;
		ret[i] = (unsigned char)((hi - hex) << 4 | (lo - hex));
	}
	return true;
}

bool
saved_take(struct slice *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	if (n > 0)
		memcpy(to, in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	return true;
}

void
saved_put_sparse(struct buf *out, const void *item, size_t n)
{
	uint32_t words[SAVED_WORDS], some[SAVED_WORDS];
	unsigned char marks[SAVED_WORDS / 8] = { 0 };
	size_t nwords = n / 4, nsome = 0;

	assert(n % 4 == 0 && nwords <= SAVED_WORDS);
	memcpy(words, item, n);
	for (size_t i = 0; i < nwords; i++) {
		marks[i / 8] |= (unsigned char)((words[i] != 0) << (i % 8));
		some[nsome] = words[i];
		nsome += words[i] != 0;
	}
	buf_put(out, marks, (nwords + 7) / 8);
	buf_put(out, some, nsome * sizeof(some[0]));
}

bool
saved_take_sparse(struct slice *in, void *item, size_t n)
{
	uint32_t words[SAVED_WORDS] = { 0 };
	unsigned char marks[SAVED_WORDS / 8];
	size_t nwords = n / 4;

	assert(n % 4 == 0 && nwords <= SAVED_WORDS);
	if (!saved_take(in, marks, (nwords + 7) / 8))
		return false;
	for (size_t i = 0; i < nwords; i++)
		if (marks[i / 8] >> (i % 8) & 1 && !saved_take(in, &words[i], 4))
			return false;
	memcpy(item, words, n);
	return true;
}

void
saved_put_text(struct buf *b, struct slice s, uint32_t max)
{
	if (s.n > max)
		s.n = max;
	buf_put_le32(b, (uint32_t)s.n);
	buf_put_slice(b, s);
}

bool
saved_take_text(struct slice *in, struct slice *ret, uint32_t max)
{
	char raw[4];
	uint32_t n;

	if (!saved_take(in, raw, sizeof(raw)) || (n = get_le32(raw)) > max || n > in->n)
		return false;
	*ret = slice_make(in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	return true;
}

void
event_time_see(struct event_time *t, int64_t t_ms)
{
	if (t->now_ms == 0) {
		t->now_ms = t_ms;
	} else if (t_ms - t->now_ms > EVENT_FAR_MS) {
		bool agrees = t->ahead_ms != 0 && t_ms >= t->ahead_ms - EVENT_FAR_MS;

		/* The nearer of the two: a liar with one honest witness gets no further than that. */
		if (agrees)
			t->now_ms = t_ms < t->ahead_ms ? t_ms : t->ahead_ms;
		t->ahead_ms = agrees && t_ms <= t->ahead_ms ? 0 : t_ms;
		t->behind -= agrees && t->behind > 0;
		return;
	} else if (t->now_ms - t_ms > DAY_MS) {
		if (t->behind == 0 || t_ms > t->behind_ms)
			t->behind_ms = t_ms;
		if (++t->behind >= BACK_AFTER) {
			t->now_ms = t->behind_ms;
			t->behind = 0;
		}
		return;
	} else if (t_ms > t->now_ms) {
		t->now_ms = t_ms;
	}
	t->behind -= t->behind > 0;		/* who keeps it ahead needs as many as would bring it back */
	if (t->ahead_ms != 0 && t->ahead_ms - t->now_ms <= EVENT_FAR_MS)
		t->ahead_ms = 0;
}

/* Bytes of the character at s that may stand in a sentence; 0: it may not. */
static size_t
decent(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0], d = s.n > 1 ? (unsigned char)s.p[1] : 0;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (c < ' ' || c == 0x7f || c == '"' || c == '\\' || n > s.n || utf8_valid_prefix(slice_make(s.p, n)) != n)
		return 0;
	if ((c == 0xc2 && d < 0xa0) || (c == 0xe2 && (d == 0x80 || d == 0x81)) || (c == 0xef && d == 0xbb) || c == 0xf3)
		return 0;
	return n;
}

void
put_plain(struct buf *b, struct slice s, size_t max)
{
	size_t n = utf8_cut(s, max);

	for (size_t i = 0; i < n;) {
		size_t k = decent(slice_make(s.p + i, n - i));

		if (k == 0)
			buf_putc(b, '?');
		else
			buf_put(b, s.p + i, k);
		i += k > 0 ? k : 1;
	}
	if (n < s.n)
		buf_puts(b, "...");
}

void
put_quoted(struct buf *b, struct slice s, size_t max)
{
	buf_putc(b, '"');
	put_plain(b, s, max);
	buf_putc(b, '"');
}
