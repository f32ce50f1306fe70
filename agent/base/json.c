/* json.c - what reading JSON needs besides the library: copies, UTF-8 mended, escapes, lookups, writing. */
#include "base/json.h"

#include <assert.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json_engine.h"

#define KEPT_COPY_BYTES	((size_t)4 << 20)
#define KEPT_VALUES	((uint32_t)1 << 17)

struct json_reader {
	struct json_engine	*engine;
	struct arena		 copies;
};

struct json_reader *
json_reader_new(void)
{
	struct json_reader *r = malloc(sizeof(*r));

	if (r == NULL)
		return NULL;
	arena_init(&r->copies, 64 << 10, 4 * JSON_MAX_BYTES);
	r->engine = json_engine_new();
	if (r->engine == NULL) {
		free(r);
		return NULL;
	}
	return r;
}

void
json_reader_free(struct json_reader *r)
{
	if (r == NULL)
		return;
	json_engine_free(r->engine);
	arena_fini(&r->copies);
	free(r);
}

const char *
json_library(void)
{
	return json_engine_name();
}

void
json_doc_init(struct json_doc *doc, uint32_t max_values)
{
	*doc = (struct json_doc){ .max_values = max_values };
}

void
json_doc_fini(struct json_doc *doc)
{
	free(doc->v);
	*doc = (struct json_doc){ .max_values = doc->max_values };
}

bool
json_doc_reserve(struct json_doc *doc, size_t more)
{
	size_t cap = (size_t)doc->cap * 2 < 256 ? 256 : (size_t)doc->cap * 2;
	struct json_value *v;

	if (more <= doc->cap - doc->n || doc->cap == doc->max_values)
		return true;
	if (cap < doc->n + more)
		cap = doc->n + more;
	if (cap > doc->max_values)
		cap = doc->max_values;
	v = realloc(doc->v, cap * sizeof(*v));
	if (v == NULL)
		return false;
	doc->v = v;
	doc->cap = (uint32_t)cap;
	return true;
}

void
json_reset(struct json_reader *r, struct json_doc *doc)
{
	if (r->copies.total_bytes > KEPT_COPY_BYTES)
		arena_fini(&r->copies);
	else
		arena_reset(&r->copies);
	json_engine_reset(r->engine);
	if (doc->cap > KEPT_VALUES)
		json_doc_fini(doc);
	doc->n = 0;
}

/* ---- reading ---------------------------------------------------------------- */

/* Bytes that count as one broken character at s (Unicode 3.9: a lead byte and what rightly follows it). */
static size_t
broken(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char c = p[0];
	size_t want = c >= 0xf0 && c <= 0xf4 ? 4 : c >= 0xe0 && c < 0xf0 ? 3 : c >= 0xc2 && c < 0xe0 ? 2 : 1;
	unsigned char least = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	unsigned char most = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	size_t n = 1;

	while (n < want && n < s.n && p[n] >= least && p[n] <= most) {
		least = 0x80;
		most = 0xbf;
		n++;
	}
	return n;
}

/* s with each broken character made U+FFFD, into out (NULL: only counted); its length. */
static size_t
mend(struct slice s, char *out)
{
	size_t n = 0;

	while (s.n > 0) {
		size_t run = utf8_valid_prefix(s);

		if (out != NULL)
			memcpy(out + n, s.p, run);
		n += run;
		s = slice_make(s.p + run, s.n - run);
		if (s.n == 0)
			break;
		if (out != NULL)
			memcpy(out + n, "\xef\xbf\xbd", 3);
		n += 3;
		run = broken(s);
		s = slice_make(s.p + run, s.n - run);
	}
	return n;
}

/* A copy with slack behind it, in the reader's memory; .p NULL when memory is short. */
static struct slice
copy(struct json_reader *r, struct slice s, bool mended)
{
	size_t n = mended ? mend(s, NULL) : s.n;
	char *p = arena_alloc(&r->copies, n + BUF_SLACK);

	if (p == NULL)
		return SLICE_NONE;
	if (mended)
		mend(s, p);
	else
		memcpy(p, s.p, n);
	memset(p + n, 0, BUF_SLACK);
	return slice_make(p, n);
}

static enum json_answer
read_mended(struct json_reader *r, struct slice text, struct json_doc *doc, struct json_fault *fault)
{
	struct slice mended = copy(r, text, true);

	if (mended.p == NULL)
		return JSON_NO_MEMORY;
	if (mended.n >= JSON_MAX_BYTES) {
		*fault = (struct json_fault){ JSON_MAX_BYTES, "text of 1 GiB or more" };
		return JSON_NOT_JSON;
	}
	return json_engine_read(r->engine, mended, &r->copies, doc, fault);
}

int64_t
json_read(struct json_reader *r, struct slice text, bool padded, struct json_doc *doc, struct err *err)
{
	struct json_fault fault = { 0, "no UTF-8" };
	enum json_answer answer;
	uint32_t root = doc->n;
	size_t mark = 0;

	if (text.n >= JSON_MAX_BYTES)
		return err_set(err, ERR_DATA, "not JSON at byte 0: text of 1 GiB or more");
	if (text.n >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
		mark = 3;
		text = slice_make(text.p + 3, text.n - 3);
	}
	if (text.n == 0)
		return err_set(err, ERR_DATA, "not JSON at byte %zu: a value is missing", mark);
	if (!padded) {
		text = copy(r, text, false);
		if (text.p == NULL)
			return err_set(err, ERR_AGAIN, "no memory to read JSON");
	}
	answer = json_engine_read(r->engine, text, &r->copies, doc, &fault);
	if (answer == JSON_NOT_UTF8)
		answer = read_mended(r, text, doc, &fault);
	if (answer == JSON_READ)
		return root;
	if (answer == JSON_NO_MEMORY)
		return err_set(err, ERR_AGAIN, "no memory to read JSON");
	return err_set(err, ERR_DATA, "not JSON at byte %zu: %s", fault.at + mark, fault.why);
}

/* ---- grammar that both engines need ------------------------------------------ */

static bool
digit(const char *p, size_t n, size_t at)
{
	return at < n && (unsigned char)(p[at] - '0') <= 9;
}

size_t
json_number_bytes(const char *p, size_t n)
{
	size_t at = n > 0 && p[0] == '-';

	if (!digit(p, n, at))
		return 0;
	if (p[at] == '0')
		at++;
	else
		while (digit(p, n, at))
			at++;
	if (at < n && p[at] == '.') {
		if (!digit(p, n, ++at))
			return 0;
		while (digit(p, n, at))
			at++;
	}
	if (at < n && (p[at] | 0x20) == 'e') {
		at++;
		if (at < n && (p[at] == '+' || p[at] == '-'))
			at++;
		if (!digit(p, n, at))
			return 0;
		while (digit(p, n, at))
			at++;
	}
	return at;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of "\uXXXX" at p, or -1. */
static int32_t
code_unit(const char *p, size_t n)
{
	int32_t unit = 0;

	if (n < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++) {
		int d = hex_digit(p[i]);

		if (d < 0)
			return -1;
		unit = unit << 4 | d;
	}
	return unit;
}

/* What "\c" stands for, or 0. */
static char
short_escape(char c)
{
	switch (c) {
	case '"': case '\\': case '/': return c;
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return '\0';
	}
}

size_t
json_bad_escape(struct slice s, size_t at)
{
	while (at < s.n) {
		const char *slash = s.p[at] == '\\' ? s.p + at : memchr(s.p + at, '\\', s.n - at);

		if (slash == NULL)
			break;
		at = (size_t)(slash - s.p);
		if (s.n - at >= 2 && short_escape(slash[1]) != '\0')
			at += 2;
		else if (code_unit(slash, s.n - at) >= 0)
			at += 6;
		else
			return at;
	}
	return s.n;
}

struct json_fault
json_string_fault(struct slice text)
{
	size_t start = 0;
	bool inside = false;

	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.p[i];

		if (inside && c < 0x20)
			return (struct json_fault){ i, "control character in a string" };
		if (inside && c == '\\') {
			i++;
		} else if (c == '"') {
			inside = !inside;
			start = i;
		}
	}
	return (struct json_fault){ inside ? start : text.n, "string without an end" };
}

/* ---- escapes ------------------------------------------------------------------ */

static size_t
put_utf8(uint32_t c, char *out)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* The character escaped at p and, in *ret_used, the bytes that took; lone surrogates are U+FFFD, what is no escape is itself. */
static uint32_t
take_escape(const char *p, size_t n, size_t *ret_used)
{
	int32_t high = code_unit(p, n), low;

	*ret_used = 6;
	if (high < 0) {
		char c = n >= 2 ? short_escape(p[1]) : '\0';

		*ret_used = c != '\0' ? 2 : 1;
		return c != '\0' ? (unsigned char)c : (unsigned char)p[0];
	}
	if (high < 0xd800 || high > 0xdfff)
		return (uint32_t)high;
	low = high < 0xdc00 ? code_unit(p + 6, n - 6) : -1;
	if (low < 0xdc00 || low > 0xdfff)
		return 0xfffd;
	*ret_used = 12;
	return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
}

size_t
json_unescape_to(const struct json_value *v, char *out)
{
	const char *p = v->p, *end = v->p + v->n;
	char *at = out;

	while (p < end) {
		const char *slash = v->escaped ? memchr(p, '\\', (size_t)(end - p)) : NULL;
		size_t run = (size_t)((slash != NULL ? slash : end) - p), used;

		memcpy(at, p, run);
		at += run;
		p += run;
		while (p < end && *p == '\\') {
			at += put_utf8(take_escape(p, (size_t)(end - p), &used), at);
			p += used;
		}
	}
	return (size_t)(at - out);
}

void
json_unescape(const struct json_value *v, struct buf *out)
{
	if (v->n > 0 && buf_reserve(out, v->n))
		out->n += json_unescape_to(v, out->p + out->n);
}

/* ---- writing ------------------------------------------------------------------ */

/* A string as it stands, but "\uXXXX" as the character itself where that needs no escape: never longer than it was. */
static void
put_string(const struct json_value *v, struct buf *out)
{
	const char *p = v->p, *end = v->p + v->n;
	char *at;

	if (!buf_reserve(out, (size_t)v->n + 2))
		return;
	at = out->p + out->n;
	*at++ = '"';
	while (p < end) {
		const char *slash = v->escaped ? memchr(p, '\\', (size_t)(end - p)) : NULL;
		size_t run = (size_t)((slash != NULL ? slash : end) - p), used;
		uint32_t c;

		memcpy(at, p, run);
		at += run;
		p += run;
		if (p == end)
			break;
		c = take_escape(p, (size_t)(end - p), &used);
		if (c < 0x20 || c == '"' || c == '\\') {
			memcpy(at, p, used);
			at += used;
		} else {
			at += put_utf8(c, at);
		}
		p += used;
	}
	*at++ = '"';
	out->n = (size_t)(at - out->p);
}

static void
put_value(const struct json_value *v, struct buf *out)
{
	switch (v->type) {
	case JSON_STRING:
		put_string(v, out);
		break;
	case JSON_OBJECT:
		buf_putc(out, '{');
		break;
	case JSON_ARRAY:
		buf_putc(out, '[');
		break;
	default:
		buf_put(out, v->p, v->n);
		break;
	}
}

void
json_write(const struct json_doc *doc, uint32_t at, struct buf *out)
{
	struct { uint32_t end; bool object, key; } open[JSON_MAX_DEPTH];	/* key: the next member is one */
	unsigned depth = 0;
	uint32_t end = doc->v[at].next, from = at;

	for (uint32_t i = at; i < end && !out->failed; i++) {
		const struct json_value *v = &doc->v[i];

		if (i > from)
			buf_putc(out, depth > 0 && open[depth - 1].object && !open[depth - 1].key ? ':' : ',');
		from = at;
		if (depth > 0)
			open[depth - 1].key = !open[depth - 1].key;
		put_value(v, out);
		if (v->type == JSON_OBJECT || v->type == JSON_ARRAY) {
			assert(depth < JSON_MAX_DEPTH);
			open[depth].end = v->next;
			open[depth].object = v->type == JSON_OBJECT;
			open[depth++].key = true;
			from = i + 1;	/* no comma before its first member */
		}
		while (depth > 0 && open[depth - 1].end == i + 1) {
			buf_putc(out, open[--depth].object ? '}' : ']');
			from = at;
		}
	}
}

/* ---- looking up ---------------------------------------------------------------- */

static bool
key_is(const struct json_value *key, struct slice want)
{
	char text[512];

	if (!key->escaped)
		return slice_eq(json_raw(key), want);
	return key->n <= sizeof(text) && slice_eq(slice_make(text, json_unescape_to(key, text)), want);
}

uint32_t
json_get(const struct json_doc *doc, uint32_t at, const char *key)
{
	const struct json_value *v = doc->v;
	struct slice want = slice_of(key);

	if (v[at].type != JSON_OBJECT)
		return 0;
	for (uint32_t i = at + 1; i < v[at].next; i = v[i + 1].next)
		if (key_is(&v[i], want))
			return i + 1;
	return 0;
}

bool
json_get_text(const struct json_doc *doc, uint32_t at, const char *key, struct buf *out)
{
	uint32_t i = json_get(doc, at, key);

	if (i == 0 || doc->v[i].type != JSON_STRING)
		return false;
	json_unescape(&doc->v[i], out);
	return !out->failed;
}

bool
json_get_i64(const struct json_doc *doc, uint32_t at, const char *key, int64_t *ret)
{
	uint32_t i = json_get(doc, at, key);

	if (i == 0 || (doc->v[i].type != JSON_NUMBER && doc->v[i].type != JSON_STRING))
		return false;
	return slice_to_i64(json_raw(&doc->v[i]), ret);
}
