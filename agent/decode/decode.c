/* decode.c - from a record's bytes to events: unpacks, unwraps, and hands each inner record to the plan. */
#include "decode/plan.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/gzip.h"
#include "base/hash.h"

#define PLAN_BLOCK_BYTES	(256u << 10)
#define PLAN_MAX_BYTES		(64u << 20)

/* ---- the mappings ---------------------------------------------------------------------------- */

int
decoder_open(struct decoder **ret, const struct decoder_dir *dirs, size_t n, struct problems *problems, struct err *err)
{
	struct decoder *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	arena_init(&d->arena, PLAN_BLOCK_BYTES, PLAN_MAX_BYTES);
	d->yaml = yaml_tree_new();
	if (d->yaml == NULL) {
		decoder_close(d);
		return err_set(err, ERR_AGAIN, "no memory");
	}
	if (mapping_load(d, dirs, n, problems, err) != 0) {
		decoder_close(d);
		return -1;
	}
	*ret = d;
	return 0;
}

void
decoder_close(struct decoder *d)
{
	if (d == NULL)
		return;
	trie_fini(&d->trie);
	yaml_tree_free(d->yaml);
	arena_fini(&d->arena);
	free(d);
}

const char *
decoder_family(const struct decoder *d, size_t i, const char **ret_help, const char **ret_file)
{
	const struct family *f;

	if (i > d->nfamilies)
		return NULL;
	f = i < d->nfamilies ? d->families[i] : d->unknown;
	if (ret_help != NULL)
		*ret_help = f->help;
	if (ret_file != NULL)
		*ret_file = f->file;
	return f->name_text;
}

static bool
release_in(struct family *f, const struct pattern *pattern)
{
	char name[2 * PLAN_MAX_NAME + 2];
	bool any = false;

	for (uint32_t i = 0; i < f->nwithheld; i++) {
		struct withheld *w = &f->withheld[i];

		memcpy(name, f->name.p, f->name.n);
		name[f->name.n] = '.';
		memcpy(name + f->name.n + 1, w->name.p, w->name.n);
		if (!pattern_fits(pattern, slice_make(name, f->name.n + 1 + w->name.n)))
			continue;
		w->released = true;
		any = true;
	}
	return any;
}

int
decoder_release(struct decoder *d, const char *const *names, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct pattern pattern;
		bool any = false;

		pattern_make(&pattern, slice_of(names[i]));
		for (uint32_t k = 0; k < d->nfamilies; k++)
			any |= release_in(d->families[k], &pattern);
		if (!any)
			return err_set(err, ERR_CONFIG, "%.80s: no mapping withholds this; write FAMILY.NAME as under `withheld`",
			    names[i]);
	}
	return 0;
}

/* ---- working memory ------------------------------------------------------------------------------ */

struct decode_ctx *
decode_ctx_new(const struct decoder *d)
{
	struct decode_ctx *c = calloc(1, sizeof(*c));
	size_t nodes = d->trie.n > 0 ? d->trie.n : 1;

	if (c == NULL)
		return NULL;
	c->plan = d;
	c->max_events = RECORD_MAX_EVENTS;
	json_doc_init(&c->doc, RECORD_MAX_VALUES);
	buf_init(&c->plain, RECORD_MAX_PLAIN);
	buf_init(&c->packed, RECORD_MAX_PLAIN);
	buf_init(&c->unpacked, RECORD_MAX_PLAIN);
	buf_init(&c->json, JSON_MAX_BYTES * 2);
	buf_init(&c->additional, ADDITIONAL_MAX_BYTES * 4);
	buf_init(&c->outer, OUTER_MAX_BYTES * 8);
	c->reader = json_reader_new();
	c->sha = sha256_new();
	c->slots = calloc(nodes, sizeof(*c->slots));
	c->seen = calloc(nodes, sizeof(*c->seen));
	c->found = calloc(nodes, sizeof(*c->found));
	c->filled = calloc(d->max_filled + 1, sizeof(*c->filled));
	c->ready = calloc(d->max_trials / 64 + 1, sizeof(*c->ready));
	if (c->reader == NULL || c->sha == NULL || c->slots == NULL || c->seen == NULL || c->found == NULL ||
	    c->filled == NULL || c->ready == NULL) {
		decode_ctx_free(c);
		return NULL;
	}
	return c;
}

void
decode_ctx_free(struct decode_ctx *c)
{
	if (c == NULL)
		return;
	json_reader_free(c->reader);
	json_doc_fini(&c->doc);
	sha256_free(c->sha);
	buf_fini(&c->plain);
	buf_fini(&c->packed);
	buf_fini(&c->unpacked);
	buf_fini(&c->json);
	buf_fini(&c->additional);
	buf_fini(&c->outer);
	free(c->slots);
	free(c->seen);
	free(c->found);
	free(c->filled);
	free(c->ready);
	free(c->nested);
	free(c->used);
	free(c);
}

void
decode_ctx_allow(struct decode_ctx *c, uint32_t max_events)
{
	c->max_events = max_events;
}

/* ---- unwrapping -------------------------------------------------------------------------------------- */

static void inner_value(struct decode_ctx *, uint32_t at, unsigned depth);

static bool
may_go_on(const struct decode_ctx *c)
{
	return !c->short_of_memory && !c->too_many;
}

static void
inner_list(struct decode_ctx *c, uint32_t at, unsigned depth)
{
	for (uint32_t i = at + 1; i < c->doc.v[at].next && may_go_on(c); i = c->doc.v[i].next)
		inner_value(c, i, depth);
}

static void
inner_object(struct decode_ctx *c, uint32_t at, unsigned depth)
{
	const struct envelope *e;
	size_t outer = c->outer.n;
	uint32_t inner = 0;

	walk_record(c, at);
	e = depth < ENVELOPE_DEPTH ? envelope_find(c, at, &inner) : NULL;
	if (e == NULL) {
		c->at = at;
		if (c->why != NULL)
			why_start(c);
		fill_record(c);
		if (c->why != NULL)
			why_left_over(c);
		return;
	}
	if (c->why != NULL)
		why_envelope(c, e);
	envelope_outer(c, e);
	if (c->doc.v[inner].type == JSON_ARRAY)
		inner_list(c, inner, depth + 1);
	else
		inner_value(c, inner, depth + 1);
	c->outer.n = outer;
}

/* What stands where a record should: forwarded as length and hash. */
static void
inner_other(struct decode_ctx *c, uint32_t at)
{
	walk_record(c, at);
	c->at = at;
	unknown_record(c);
}

static void
inner_value(struct decode_ctx *c, uint32_t at, unsigned depth)
{
	uint32_t root;

	switch (c->doc.v[at].type) {
	case JSON_OBJECT:
		inner_object(c, at, depth);
		break;
	case JSON_ARRAY:
		inner_list(c, at, depth);
		break;
	case JSON_STRING:
		root = walk_nested(c, at);
		if (root != 0)
			inner_value(c, root, depth);
		else
			inner_other(c, at);
		break;
	default:
		inner_other(c, at);
	}
}

/* ---- one record ------------------------------------------------------------------------------------------ */

static int
text_record(struct decode_ctx *c, struct slice text, bool padded, struct err *err)
{
	int64_t root;

	json_reset(c->reader, &c->doc);
	c->nnested = 0;
	buf_reset(&c->outer);
	c->memo.text = SLICE_NONE;
	root = json_read(c->reader, text, padded, &c->doc, err);
	if (root < 0)
		return -1;
	if (c->doc.v[root].type != JSON_OBJECT && c->doc.v[root].type != JSON_ARRAY)
		return err_set(err, ERR_DATA, "a JSON text or number alone is no record");
	inner_value(c, (uint32_t)root, 0);
	if (c->too_much)
		return err_set(err, ERR_DATA, "its events hold more than %u MiB and %u times its bytes", RECORD_EVENTS_LEAST >> 20, RECORD_EVENTS_TIMES);
	if (c->too_many)
		return err_set(err, ERR_DATA, "more than %u events in one record", c->max_events);
	if (!c->short_of_memory)
		return 0;
	/* A record that alone takes half of what there may be will not fit later either. */
	if (c->out->arena->total_bytes > c->out->arena->max_bytes / 2)
		return err_set(err, ERR_DATA, "its events need more memory than one record may have");
	return err_set(err, ERR_AGAIN, "no memory for the record's events");
}

static bool
is_json(struct decode_ctx *c, struct slice text, bool padded)
{
	json_reset(c->reader, &c->doc);
	return json_read(c->reader, text, padded, &c->doc, NULL) >= 0;
}

/* A record may be several lines, each a JSON text of its own: then all of them must be. */
static int
lines_record(struct decode_ctx *c, struct slice text, bool padded, struct err *err)
{
	struct slice rest = text, line = slice_take_line(&rest);

	if (rest.n == 0 || !is_json(c, line, padded))
		return -1;
	for (rest = text; rest.n > 0; ) {
		line = slice_take_line(&rest);
		if (line.n > 0 && text_record(c, line, padded, err) != 0)
			return -1;
	}
	return 0;
}

static int
record_text(struct decode_ctx *c, const struct record *r, struct slice *ret, bool *ret_padded, struct err *err)
{
	*ret = slice_trim(r->bytes);
	*ret_padded = r->padded;
	c->bytes = r->bytes;
	if (!gzip_is(r->bytes))
		return 0;
	buf_reset(&c->plain);
	if (gzip_decompress(r->bytes, &c->plain, err) != 0)
		return -1;
	c->bytes = SLICE_NONE;		/* the next record is unpacked to the same place */
	*ret = slice_trim(buf_slice(&c->plain));
	*ret_padded = true;
	return 0;
}

static void
start(struct decode_ctx *c, const struct record *r, struct event_list *out)
{
	c->record = r;
	c->out = out;
	c->count = (struct decode_count){ 0 };
	c->short_of_memory = c->too_many = c->too_much = false;
	c->made = 0;
	c->may_unpack = RECORD_MAX_PLAIN;
}

int
decode(const struct decoder *d, struct decode_ctx *c, const struct record *r, struct event_list *out,
    struct decode_count *ret, struct err *err)
{
	size_t before = out->n;
	struct slice text;
	bool padded;
	int rc;

	assert(c->plan == d);
	if (r->unreadable != NULL)
		return err_set(err, ERR_DATA, "%s", r->unreadable);
	start(c, r, out);
	if (record_text(c, r, &text, &padded, err) != 0)
		return -1;
	c->bytes_n = text.n;
	rc = text.n > 0 ? text_record(c, text, padded, err) : 0;
	if (rc != 0 && c->count.events == 0 && may_go_on(c) && memchr(text.p, '\n', text.n) != NULL) {
		struct err line_err = { 0 };

		rc = lines_record(c, text, padded, &line_err);
		if (rc != 0 && line_err.kind == ERR_AGAIN && err != NULL)
			*err = line_err;
	}
	if (rc != 0) {
		out->n = before;
		return -1;
	}
	if (ret != NULL)
		*ret = c->count;
	return 0;
}

int
decode_why(const struct decoder *d, struct decode_ctx *c, const struct record *r, struct event_list *out,
    struct buf *why, struct err *err)
{
	int rc;

	c->why = why;
	rc = decode(d, c, r, out, NULL, err);
	c->why = NULL;
	return rc;
}

/* ---- cutting inputs into records ------------------------------------------------------------------------------ */

int
decode_split(struct decode_ctx *c, struct slice input, struct buf *hold,
    int (*each)(void *arg, struct slice record), void *arg, struct err *err)
{
	struct slice text = input, rest, line;
	bool lines;

	if (gzip_is(input)) {
		buf_reset(hold);
		if (gzip_decompress(input, hold, err) != 0)
			return -1;
		text = buf_slice(hold);
	}
	text = slice_trim(text);
	if (text.n == 0)
		return 0;
	rest = text;
	line = slice_take_line(&rest);
	lines = rest.n > 0 && (is_json(c, line, false) || !is_json(c, text, false));
	json_reset(c->reader, &c->doc);
	if (!lines)
		return each(arg, text);
	for (rest = text; rest.n > 0; ) {
		line = slice_take_line(&rest);
		if (line.n > 0 && each(arg, line) != 0)
			return -1;
	}
	return 0;
}
