/*
 * unknown.c - a record that no mapping knows: it goes on as an activity with known keys, numbers and short texts whose
 * key is not prompt-like; everything else as length and SHA-256. And of withheld content what a mapping shows.
 */
#include "decode/plan.h"

#include <string.h>

#include "base/err.h"
#include "base/hash.h"

#define UNKNOWN_TEXT_BYTES	256u
#define UNKNOWN_KEY_BYTES	64u
#define SHOWN_KEY_BYTES		40u	/* of content that stays: longer ones are sentences */
#define UNKNOWN_DEPTH		8u
#define UNKNOWN_VALUES		512u
#define UNKNOWN_BYTES		32768u
#define UNKNOWN_NUMBER_BYTES	40u

static const char *const prompt_like[] = {
	"prompt", "completion", "message", "content", "text", "input", "output", "query", "question", "answer", "response",
	"request", "body", "instruction", "transcript", "conversation", "chat", "document", "snippet", "payload",
	"description", "comment", "utterance", "reply", "choices", "arguments", "evidence",
};

int
unknown_complete(struct compiler *c)
{
	const size_t n = sizeof(prompt_like) / sizeof(prompt_like[0]);
	struct family *f = c->d->unknown;

	if (f == NULL) {
		f = plan_alloc(c, 1, sizeof(*f));
		if (f == NULL)
			return -1;
		*f = (struct family){ .name = SLICE("unknown"), .name_text = "unknown", .help = "what no mapping knows",
		    .file = "built in" };
		c->d->unknown = f;
	}
	if (f->prompt_like.n > 0)
		return 0;
	f->prompt_like.v = plan_alloc(c, n, sizeof(struct slice));
	if (f->prompt_like.v == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		f->prompt_like.v[i] = slice_of(prompt_like[i]);
	f->prompt_like.n = (uint32_t)n;
	words_index(&f->prompt_like);
	return 0;
}

void
unknown_record(struct decode_ctx *c)
{
	c->family = c->plan->unknown;
	c->count.unknown++;
	if (c->why != NULL)
		why_event(c, 0, NULL);
	(void)fill_event(c, 0);
}

/* ---- what may leave ----------------------------------------------------------------------------- */

/* Of the texts at hand: they leave; they do not; nor does any below them, whatever its key. */
enum leave { LEAVES, STAYS, STAYS_BELOW };

struct walk {
	struct decode_ctx	*c;
	struct buf		*out;
	const struct words	*show;		/* the only keys whose texts leave, or NULL: all but those below prompt-like ones */
	size_t			 limit;
	uint32_t		 left;		/* values */
	uint32_t		 skipped;
	uint32_t		 nkeys;		/* keys of the open objects that were put, the innermost's last */
	uint32_t		 keys[UNKNOWN_VALUES];
};

static void put(struct walk *, uint32_t at, enum leave, unsigned depth);

static bool
room(struct walk *w)
{
	if (w->left > 0 && w->out->n < w->limit && !w->out->failed) {
		w->left--;
		return true;
	}
	w->skipped++;
	return false;
}

static bool
key_is_plain(struct slice key)
{
	if (key.n == 0 || key.n > UNKNOWN_KEY_BYTES)
		return false;
	for (size_t i = 0; i < key.n; i++) {
		unsigned char b = ascii_lower((unsigned char)key.p[i]);

		if ((b < 'a' || b > 'z') && (b < '0' || b > '9') && (b == '\0' || strchr("_.$@:/ -", b) == NULL))
			return false;
	}
	return true;
}

static bool
key_is_shown(const struct words *show, struct slice key)
{
	char space[UNKNOWN_KEY_BYTES];
	size_t n = 0;

	if (key.n > sizeof(space))
		return false;
	for (size_t i = 0; i < key.n; i++)		/* without the signs that plan_words takes out */
		if (key.p[i] == '\0' || strchr("_-. ", key.p[i]) == NULL)
			space[n++] = key.p[i];
	for (uint32_t i = 0; i < show->n; i++)
		if (slice_glob_nocase(show->v[i], slice_make(space, n)))
			return true;
	return false;
}

/* A key is a stranger's text as well. */
static void
put_key(struct walk *w, struct slice key)
{
	unsigned char digest[SHA256_BYTES];

	if (key_is_plain(key) && (w->show == NULL || key.n <= SHOWN_KEY_BYTES || key_is_shown(w->show, key))) {
		buf_putc(w->out, '"');
		buf_put_slice(w->out, key);
	} else {
		sha256_start(w->c->sha);
		sha256_add(w->c->sha, key.p, key.n);
		sha256_finish(w->c->sha, digest);
		buf_puts(w->out, "\"key_");
		buf_put_hex(w->out, digest, 4);
	}
	buf_puts(w->out, "\":");
}

static bool
begins_like_json(struct slice s)
{
	s = slice_trim(s);
	return s.n > 0 && (s.p[0] == '{' || s.p[0] == '[');
}

static void
put_text(struct walk *w, uint32_t at, enum leave leave, unsigned depth)
{
	/* A prompt may be JSON with keys that are shown: only the withheld content as a whole is known to be JSON by its maker's hand. */
	const uint32_t root = w->show == NULL || depth == 0 ? walk_nested(w->c, at) : 0;
	struct slice s;

	if (root != 0) {
		put(w, root, leave, depth);
		return;
	}
	s = value_bytes(w->c, at);
	if (leave != LEAVES || s.n >= UNKNOWN_TEXT_BYTES || begins_like_json(s))
		render_hidden_bytes(w->c, s, w->out);
	else if (text_is_secret(s))
		buf_puts(w->out, "\"(redacted)\"");
	else
		buf_put_json(w->out, s);
}

/* Of equal keys the first that says something counts. */
static bool
put_before(const struct walk *w, uint32_t from, struct slice key)
{
	for (uint32_t i = from; i < w->nkeys; i++)
		if (slice_eq(json_raw(&w->c->doc.v[w->keys[i]]), key))
			return true;
	return false;
}

static bool
is_additional(const struct walk *w, struct slice key)
{
	const struct family *f = w->c->family;

	for (uint32_t i = 0; i < f->nadditional; i++)
		if (slice_eq(f->additional[i].name, key))
			return true;
	return false;
}

static enum leave
leave_of(const struct walk *w, struct slice key, enum leave above)
{
	if (above == STAYS_BELOW)
		return STAYS_BELOW;
	if (w->show != NULL && key_is_shown(w->show, key))
		return LEAVES;
	if (words_hit(&w->c->plan->unknown->prompt_like, key))
		return STAYS_BELOW;
	return w->show != NULL ? STAYS : above;
}

static void
put_members(struct walk *w, uint32_t object, enum leave leave, unsigned depth, bool first)
{
	const struct family *f = w->c->family;
	uint32_t mine = w->nkeys;

	for (uint32_t i = object + 1; i < w->c->doc.v[object].next; i = w->c->doc.v[i + 1].next) {
		struct slice key = SLICE("");

		if (value_is_nothing(&w->c->doc, i + 1) || !room(w))
			continue;
		(void)value_text(w->c, i, &key);
		if (put_before(w, mine, key) || (w->show == NULL && depth == 0 && is_additional(w, key)) ||
		    (w->show != NULL && key.n > 0 && key.p[0] == '$'))
			continue;
		w->keys[w->nkeys++] = i;
		if (!first)
			buf_putc(w->out, ',');
		first = false;
		put_key(w, key);
		if (key_is_secret(&f->redact, key, &w->c->doc.v[i + 1]))
			buf_puts(w->out, "\"(redacted)\"");
		else
			put(w, i + 1, leave_of(w, key, leave), depth + 1);
	}
	w->nkeys = mine;
}

/* Token numbers and embeddings are text in another dress. */
static bool
holds_numbers(const struct walk *w, uint32_t at)
{
	for (uint32_t i = at + 1; i < w->c->doc.v[at].next; i = w->c->doc.v[i].next)
		if (w->c->doc.v[i].type == JSON_NUMBER)
			return true;
	return false;
}

static void
put_list(struct walk *w, uint32_t at, enum leave leave, unsigned depth)
{
	bool first = true;

	if (leave != LEAVES && holds_numbers(w, at)) {
		render_hidden(w->c, at, w->out);
		return;
	}
	buf_putc(w->out, '[');
	for (uint32_t i = at + 1; i < w->c->doc.v[at].next; i = w->c->doc.v[i].next) {
		size_t before = w->out->n, value;

		if (!room(w))
			continue;
		if (!first)
			buf_putc(w->out, ',');
		value = w->out->n;
		put(w, i, leave, depth + 1);
		if (w->show != NULL && w->out->n == value + 2 && memcmp(w->out->p + value, "{}", 2) == 0)
			w->out->n = before;		/* {"$ref": "5"} says nothing */
		else
			first = false;
	}
	buf_putc(w->out, ']');
}

static void
put(struct walk *w, uint32_t at, enum leave leave, unsigned depth)
{
	const struct json_value *v = &w->c->doc.v[at];

	if ((v->type == JSON_OBJECT || v->type == JSON_ARRAY) && depth > UNKNOWN_DEPTH) {
		render_hidden(w->c, at, w->out);
		return;
	}
	switch (v->type) {
	case JSON_OBJECT:
		buf_putc(w->out, '{');
		put_members(w, at, leave, depth, true);
		buf_putc(w->out, '}');
		break;
	case JSON_ARRAY:
		put_list(w, at, leave, depth);
		break;
	case JSON_STRING:
		put_text(w, at, leave, depth);
		break;
	case JSON_NUMBER:
		if (v->n > UNKNOWN_NUMBER_BYTES) {
			render_hidden(w->c, at, w->out);
			break;
		}
		/* fall through */
	default:
		buf_put_slice(w->out, json_raw(v));
	}
}

void
unknown_members(struct decode_ctx *c, uint32_t at, struct buf *out)
{
	struct walk w = { .c = c, .out = out, .limit = out->n + UNKNOWN_BYTES, .left = UNKNOWN_VALUES };
	bool first = out->n <= 1;

	if (c->doc.v[at].type == JSON_OBJECT) {
		put_members(&w, at, LEAVES, 0, first);
	} else {		/* its members, without the braces */
		buf_reset(&c->json);
		render_hidden(c, at, &c->json);
		if (!first)
			buf_putc(out, ',');
		buf_put(out, c->json.p + 1, c->json.n > 2 ? c->json.n - 2 : 0);
	}
	if (w.skipped == 0)
		return;
	if (out->n > 1)
		buf_putc(out, ',');
	buf_puts(out, "\"NotShown\":");
	buf_put_u64(out, w.skipped);
}

void
render_shown(struct decode_ctx *c, uint32_t at, const struct words *show, struct buf *out)
{
	struct walk w = { .c = c, .out = out, .show = show, .limit = out->n + UNKNOWN_BYTES, .left = UNKNOWN_VALUES };
	size_t before = out->n;

	put(&w, at, STAYS, 0);
	if (w.skipped == 0)
		return;
	out->n = before;
	render_hidden(c, at, out);
}
