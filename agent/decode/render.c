/*
 * render.c - record content as JSON in our events: secrets redacted, JSON in texts read, long things as length and
 * SHA-256.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <string.h>

#include "base/hash.h"

#define KEY_BYTES	256	/* longer keys are taken for secrets */
#define TOKEN_BYTES	16	/* a token that is worth hiding is longer */
#define PAIR_MEMBERS	8	/* {"name": "apiKey", "value": "..."} has no more than this */

/* ---- length and hash ------------------------------------------------------------------ */

struct slice
value_bytes(struct decode_ctx *c, uint32_t at)
{
	struct slice s;

	return value_text(c, at, &s) ? s : json_raw(&c->doc.v[at]);
}

void
render_hidden_bytes(struct decode_ctx *c, struct slice s, struct buf *out)
{
	unsigned char digest[SHA256_BYTES];

	sha256_start(c->sha);
	sha256_add(c->sha, s.p, s.n);
	sha256_finish(c->sha, digest);
	buf_puts(out, "{\"length\":");
	buf_put_u64(out, s.n);
	buf_puts(out, ",\"sha256\":\"");
	buf_put_hex(out, digest, sizeof(digest));
	buf_puts(out, "\"}");
}

void
render_hidden(struct decode_ctx *c, uint32_t at, struct buf *out)
{
	render_hidden_bytes(c, value_bytes(c, at), out);
}

/* ---- which members are secrets ------------------------------------------------------------ */

enum { IF_TEXT = 1, IF_NO_NUMBER = 2 };

#define WORD(text)	(text), sizeof(text) - 1

static const struct { const char *word; size_t n; const char *not_before; unsigned flags; } secrets[] = {
	{ WORD("secret"), NULL, 0 }, { WORD("password"), NULL, 0 }, { WORD("passphrase"), NULL, 0 }, { WORD("credential"), NULL, 0 },
	{ WORD("connectionstring"), NULL, 0 }, { WORD("privatekey"), NULL, 0 }, { WORD("apikey"), NULL, 0 },
	{ WORD("sharedaccess"), NULL, 0 }, { WORD("accesskey"), "id", 0 }, { WORD("accountkey"), NULL, 0 },
	{ WORD("primarykey"), NULL, 0 }, { WORD("secondarykey"), NULL, 0 }, { WORD("token"), "s", IF_NO_NUMBER },
	{ WORD("authorization"), NULL, IF_TEXT },
};
/* What these words begin with. */
#define SECRETS_FIRST	(1u << ('s' - 'a') | 1u << ('p' - 'a') | 1u << ('c' - 'a') | 1u << ('a' - 'a') | 1u << ('t' - 'a'))

/* Small letters, without the signs that people put between words. Returns the length, 0: too long. */
static size_t
squeeze(struct slice key, char out[KEY_BYTES])
{
	size_t n = 0;

	if (key.n >= KEY_BYTES)
		return 0;
	for (size_t i = 0; i < key.n; i++) {
		char b = key.p[i];

		if (b != '_' && b != '-' && b != '.' && b != ' ')
			out[n++] = (char)ascii_lower((unsigned char)b);
	}
	return n;
}

/* 0 to 25 for a letter, 26 for anything else: most places of a key begin none of the words. */
static inline unsigned
class_of(char b)
{
	return b >= 'a' && b <= 'z' ? (unsigned)(b - 'a') : 26;
}

static inline bool
stands_at(struct slice s, size_t at, struct slice word)
{
	return s.n - at >= word.n && s.p[at + word.n - 1] == word.p[word.n - 1] && memcmp(s.p + at, word.p, word.n) == 0;
}

void
words_index(struct words *w)
{
	uint32_t at = 0;

	for (unsigned k = 0; k < 27; k++) {
		w->from[k] = (uint16_t)at;
		for (uint32_t i = at; i < w->n; i++)
			if (class_of(w->v[i].p[0]) == k) {
				struct slice word = w->v[i];

				w->v[i] = w->v[at];
				w->v[at++] = word;
			}
	}
	w->from[27] = (uint16_t)at;
}

static bool
any_stands(const struct words *w, struct slice s)
{
	for (size_t at = 0; at < s.n; at++) {
		unsigned k = class_of(s.p[at]);

		for (uint32_t i = w->from[k]; i < w->from[k + 1]; i++)
			if (stands_at(s, at, w->v[i]))
				return true;
	}
	return false;
}

bool
words_hit(const struct words *w, struct slice key)
{
	char space[KEY_BYTES];
	size_t n = squeeze(key, space);

	return n > 0 ? any_stands(w, slice_make(space, n)) : key.n >= KEY_BYTES;
}

static bool
is_number_text(struct slice s)
{
	double number;

	return slice_to_double(s, &number);
}

/* Whether the word at this place of a key makes a secret of a value of that kind. */
static bool
is_secret_word(size_t secret, struct slice behind, const struct json_value *value)
{
	const char *not_before = secrets[secret].not_before;
	unsigned flags = secrets[secret].flags;

	if ((flags & IF_TEXT) != 0 && value->type != JSON_STRING)
		return false;
	if ((flags & IF_NO_NUMBER) != 0) {
		if (value->type == JSON_NUMBER || (value->type == JSON_STRING && is_number_text(json_raw(value))))
			return false;
		if (value->type == JSON_STRING)
			not_before = NULL;
	}
	return not_before == NULL || !slice_starts_nocase(behind, slice_of(not_before));
}

bool
key_is_secret(const struct words *more, struct slice key, const struct json_value *value)
{
	char space[KEY_BYTES];
	size_t n = squeeze(key, space);
	struct slice s = { space, n };

	if (value->type == JSON_NULL || value->type == JSON_TRUE || value->type == JSON_FALSE || key.n == 0)
		return false;
	if (n == 0)
		return key.n >= KEY_BYTES;
	if (slice_eq(s, SLICE("key1")) || slice_eq(s, SLICE("key2")))
		return true;
	for (size_t at = 0; at < n; at++) {
		if ((SECRETS_FIRST & 1u << class_of(space[at])) == 0)
			continue;
		for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
			struct slice word = slice_make(secrets[i].word, secrets[i].n);

			if (stands_at(s, at, word) &&
			    is_secret_word(i, slice_make(space + at + word.n, n - at - word.n), value))
				return true;
		}
	}
	return more != NULL && any_stands(more, s);
}

static bool
is_token_byte(char b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || (b != '\0' && strchr("-._~+/=", b) != NULL);
}

static bool
holds_token_behind(struct slice s, const char *mark, size_t mark_n)
{
	const char *end = s.p + s.n, *p = s.p, *from;

	while ((p = memmem(p, (size_t)(end - p), mark, mark_n)) != NULL) {
		for (from = p += mark_n; p < end && is_token_byte(*p); )
			p++;
		if (p - from >= TOKEN_BYTES)
			return true;
	}
	return false;
}

/* Connection strings, signed addresses and tokens carry their secret in the value. */
bool
text_is_secret(struct slice s)
{
	static const char *const marks[] = { "accountkey=", "sharedaccesskey=", "password=", "pwd=", "sig=", "secret=", "api-key=",
	    "apikey=", "api_key=", "subscription-key=", "access_token=", "?code=", "&code=" };

	/* "Bearer ..." (RFC 6750); a JSON Web Token's header begins with {" in base64url */
	if (s.n > TOKEN_BYTES && (holds_token_behind(s, "earer ", 6) || holds_token_behind(s, "eyJ", 3)))
		return true;
	if (s.n == 0 || memchr(s.p, '=', s.n) == NULL)
		return false;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (slice_find_nocase(s, slice_of(marks[i]), 0) >= 0)
			return true;
	return false;
}

/* ---- values as JSON ------------------------------------------------------------------------ */

struct render {
	struct decode_ctx	*c;
	struct buf		*out;
	size_t			 limit;
	const struct words	*redact;
	bool			 as_is;
};

static void render(struct render *, uint32_t at);

#define REDACTED	"\"(redacted)\""

static bool
full(const struct render *r)
{
	return r->out->failed || r->out->n > r->limit;
}

/* A text that begins like JSON and is none may hide anything. */
static bool
broken_json_is_secret(const struct render *r, struct slice s)
{
	static const char *const words[] = { "secret", "password", "token", "credential", "connectionstring", "key\"" };

	if (s.n == 0 || (s.p[0] != '{' && s.p[0] != '['))
		return false;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (slice_find_nocase(s, slice_of(words[i]), 0) >= 0)
			return true;
	for (uint32_t i = 0; i < r->redact->n; i++)
		if (slice_find_nocase(s, r->redact->v[i], 0) >= 0)
			return true;
	return false;
}

static void
render_text(struct render *r, uint32_t at)
{
	uint32_t root = r->as_is ? 0 : walk_nested(r->c, at);
	struct slice s;

	if (root != 0) {
		render(r, root);
		return;
	}
	if (!value_text(r->c, at, &s)) {
		buf_puts(r->out, "\"\"");
	} else if (s.n > r->limit) {
		r->out->failed = true;
	} else if (!r->as_is && text_is_secret(s)) {
		buf_puts(r->out, REDACTED);
	} else if (!r->as_is && broken_json_is_secret(r, s)) {
		render_hidden_bytes(r->c, s, r->out);
	} else {
		buf_put_json(r->out, s);
	}
}

/* {"name": "apiKey", "value": "..."}: the name tells what the value is. */
static bool
pair_is_secret(struct render *r, uint32_t at)
{
	const struct json_doc *doc = &r->c->doc;
	unsigned members = 0;

	for (uint32_t i = at + 1; i < doc->v[at].next; i = doc->v[i + 1].next) {
		struct slice key = json_raw(&doc->v[i]), name;
		struct json_value text = { .type = JSON_STRING };

		if (++members > PAIR_MEMBERS)
			return false;
		if (doc->v[i + 1].type == JSON_STRING &&
		    (slice_eq_nocase(key, SLICE("name")) || slice_eq_nocase(key, SLICE("key"))) &&
		    value_text(r->c, i + 1, &name) && name.n < KEY_BYTES && key_is_secret(r->redact, name, &text))
			return true;
	}
	return false;
}

static void
render_object(struct render *r, uint32_t at)
{
	bool pair = !r->as_is && pair_is_secret(r, at), first = true;

	buf_putc(r->out, '{');
	for (uint32_t i = at + 1; i < r->c->doc.v[at].next && !full(r); i = r->c->doc.v[i + 1].next) {
		struct slice key = SLICE("");

		(void)value_text(r->c, i, &key);
		if (!first)
			buf_putc(r->out, ',');
		first = false;
		if (key.n > r->limit) {
			r->out->failed = true;
			break;
		}
		buf_put_json(r->out, key);
		buf_putc(r->out, ':');
		if ((!r->as_is && key_is_secret(r->redact, key, &r->c->doc.v[i + 1])) || (pair && slice_ends_nocase(key, SLICE("value"))))
			buf_puts(r->out, REDACTED);
		else
			render(r, i + 1);
	}
	buf_putc(r->out, '}');
}

static void
render_array(struct render *r, uint32_t at)
{
	buf_putc(r->out, '[');
	for (uint32_t i = at + 1; i < r->c->doc.v[at].next && !full(r); i = r->c->doc.v[i].next) {
		if (i > at + 1)
			buf_putc(r->out, ',');
		render(r, i);
	}
	buf_putc(r->out, ']');
}

static void
render(struct render *r, uint32_t at)
{
	switch (r->c->doc.v[at].type) {
	case JSON_OBJECT:
		render_object(r, at);
		break;
	case JSON_ARRAY:
		render_array(r, at);
		break;
	case JSON_STRING:
		render_text(r, at);
		break;
	default:
		buf_put_slice(r->out, json_raw(&r->c->doc.v[at]));
	}
}

static void
render_whole(struct render *r, uint32_t at)
{
	size_t before = r->out->n;

	render(r, at);
	if (!full(r))
		return;
	r->out->n = before;
	r->out->failed = false;
	render_hidden(r->c, at, r->out);
}

void
render_json(struct decode_ctx *c, uint32_t at, struct buf *out)
{
	struct render r = { .c = c, .out = out, .limit = out->n + JSON_MAX_BYTES, .redact = &c->family->redact };

	render_whole(&r, at);
}

void
render_as_is(struct decode_ctx *c, uint32_t at, struct buf *out, size_t most)
{
	struct render r = { .c = c, .out = out, .limit = out->n + most, .redact = &c->family->redact, .as_is = true };

	render_whole(&r, at);
}
