/*
 * walk.c - a record's values against the trie, once: each node of the trie that somebody asks for gets the first
 * value that says something. A text that a path must step into is read as JSON on the way.
 */
#include "decode/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/gzip.h"

static void walk(struct decode_ctx *, uint32_t node, uint32_t at);

static bool
text_is_nothing(const struct json_value *v)
{
	switch (v->n) {
	case 0:
		return true;
	case 1:
		return v->p[0] == '-';
	case 3:
		return slice_eq_nocase(json_raw(v), SLICE("N/A"));
	case 4:
		return slice_eq_nocase(json_raw(v), SLICE("null")) ||
		    (v->escaped == 1 && slice_eq_nocase(json_raw(v), SLICE("N\\/A")));
	default:
		return false;
	}
}

static bool
is_container(const struct json_value *v)
{
	return v->type == JSON_OBJECT || v->type == JSON_ARRAY;
}

bool
value_is_nothing(const struct json_doc *doc, uint32_t at)
{
	const struct json_value *v = &doc->v[at];

	if (v->type == JSON_NULL)
		return true;
	if (is_container(v))
		return v->next == at + 1;
	return v->type == JSON_STRING && text_is_nothing(v);
}

/* ---- JSON in a text ------------------------------------------------------------ */

static bool
looks_like_json(const struct json_value *v)
{
	uint32_t i = 0;

	while (i < v->n && (v->p[i] == ' ' || v->p[i] == '\t' || v->p[i] == '\r' || v->p[i] == '\n'))
		i++;
	/* A raw text may begin with an escaped line end; the reader decides. */
	return i < v->n && (v->p[i] == '{' || v->p[i] == '[' ||
	    (v->escaped == 1 && v->p[i] == '\\' && i + 2 < v->n && strchr("ntr", v->p[i + 1]) != NULL));
}

static bool
nested_room(struct decode_ctx *c)
{
	uint32_t cap = c->nested_cap == 0 ? 64 : c->nested_cap * 2;
	struct nested *v;

	if (c->nnested < c->nested_cap)
		return true;
	v = realloc(c->nested, cap * sizeof(*v));
	if (v == NULL) {
		c->short_of_memory = true;
		return false;
	}
	c->nested = v;
	c->nested_cap = cap;
	return true;
}

/* How deep in texts a value lies. Texts are read one after another, so their values lie in the doc in that order. */
static uint8_t
level_of(const struct decode_ctx *c, uint32_t at)
{
	uint32_t low = 0, high = c->nnested;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (c->nested[mid].start <= at)
			low = mid + 1;
		else
			high = mid;
	}
	return low == 0 ? 0 : c->nested[low - 1].level;
}

/* The text without escapes and with room behind it, or .p NULL. */
static struct slice
padded_text(struct decode_ctx *c, uint32_t at)
{
	const struct json_value *v = &c->doc.v[at];
	char *p = ctx_alloc(c, (size_t)v->n + BUF_SLACK);
	size_t n = v->n;

	if (p == NULL)
		return SLICE_NONE;
	if (v->escaped == 1)
		n = json_unescape_to(v, p);
	else
		memcpy(p, v->p, n);
	memset(p + n, 0, BUF_SLACK);
	return slice_make(p, n);
}

static uint32_t
read_text(struct decode_ctx *c, struct slice padded)
{
	struct err err = { 0 };
	int64_t root;

	if (padded.n < 2)
		return 0;
	root = json_read(c->reader, padded, true, &c->doc, &err);
	if (root == -1 && err.kind == ERR_AGAIN)
		c->short_of_memory = true;
	if (root <= 0 || !is_container(&c->doc.v[root]))
		return 0;
	return (uint32_t)root;
}

/* Reads what the text at `at` stands for, and remembers what came of it. */
static uint32_t
read_nested(struct decode_ctx *c, uint32_t at, const struct slice *unpacked)
{
	uint32_t root = 0, start = c->doc.n;
	uint8_t level;

	if (c->nnested >= RECORD_MAX_TEXTS || !nested_room(c))
		return 0;
	level = (uint8_t)(level_of(c, at) + 1);
	if (level <= NESTED_DEPTH)
		root = read_text(c, unpacked != NULL ? *unpacked : padded_text(c, at));
	c->nested[c->nnested++] = (struct nested){ .root = root, .start = start, .level = level };
	c->doc.v[at].spare = (uint16_t)c->nnested;
	return root;
}

uint32_t
walk_nested(struct decode_ctx *c, uint32_t at)
{
	const struct json_value *v = &c->doc.v[at];

	if (v->type != JSON_STRING || v->n < 2)
		return 0;
	if (v->spare != 0)
		return c->nested[v->spare - 1].root;
	return looks_like_json(v) ? read_nested(c, at, NULL) : 0;
}

/* All that one record unpacks has one bound, however many texts it stands in. */
static bool
unpack(struct decode_ctx *c, struct slice bytes)
{
	struct err err = { 0 };
	size_t made;
	int rc;

	buf_reset(&c->unpacked);
	c->unpacked.max_bytes = c->may_unpack;
	rc = gzip_decompress_count(bytes, &c->unpacked, &made, &err);
	c->unpacked.max_bytes = RECORD_MAX_PLAIN;
	c->short_of_memory |= rc != 0 && err.kind == ERR_AGAIN;
	c->may_unpack -= made < c->may_unpack ? made : c->may_unpack;
	return rc == 0;
}

/* What comes out of gzip goes where it can stay while others come out of it. */
static struct slice
plain_bytes(struct decode_ctx *c, struct slice bytes)
{
	char *p;

	if (gzip_is(bytes)) {
		if (!unpack(c, bytes))
			return SLICE_NONE;
		bytes = buf_slice(&c->unpacked);
	}
	bytes = slice_trim(bytes);
	p = ctx_alloc(c, bytes.n + BUF_SLACK);
	if (p == NULL)
		return SLICE_NONE;
	memcpy(p, bytes.p, bytes.n);
	memset(p + bytes.n, 0, BUF_SLACK);
	return slice_make(p, bytes.n);
}

uint32_t
walk_base64(struct decode_ctx *c, uint32_t at)
{
	struct slice text;

	if (c->doc.v[at].type != JSON_STRING)
		return 0;
	if (c->doc.v[at].spare != 0)
		return c->nested[c->doc.v[at].spare - 1].root;
	if (!value_text(c, at, &text))
		return 0;
	buf_reset(&c->packed);
	if (!buf_put_unbase64(&c->packed, text)) {
		c->short_of_memory |= c->packed.failed;
		return 0;
	}
	text = plain_bytes(c, buf_slice(&c->packed));
	return read_nested(c, at, &text);
}

/* ---- the walk --------------------------------------------------------------------- */

static void
fill(struct decode_ctx *c, uint32_t node, uint32_t at, bool empty)
{
	const struct node *n = &c->plan->trie.nodes[node];
	struct slot *s = &c->slots[node];
	bool first = s->turn != c->turn;

	if (n->counted)
		c->found[node] = first ? 1 : c->found[node] + 1;
	if (!first)
		return;
	*s = (struct slot){ c->turn, empty ? at | SLOT_EMPTY : at };
	c->maybe |= n->families;
	c->filled[c->nfilled++] = node;
}

/* Long keys with escapes cannot be ours: no mapping has one of that length. */
static bool
plain_key(const struct json_value *v, char *space, size_t space_n, struct slice *ret)
{
	*ret = json_raw(v);
	if (v->escaped != 1)
		return true;
	if (v->n > space_n)
		return false;
	*ret = slice_make(space, json_unescape_to(v, space));
	return true;
}

static void
walk_globs(struct decode_ctx *c, uint32_t globs, struct slice key, uint32_t at)
{
	const struct trie *t = &c->plan->trie;

	for (uint32_t i = globs; i != 0; i = t->wheres[i - 1].next) {
		struct pattern pattern;

		pattern_make(&pattern, t->wheres[i - 1].value);
		if (pattern_fits(&pattern, key))
			walk(c, t->wheres[i - 1].child, at);
	}
}

static void
walk_object(struct decode_ctx *c, uint32_t node, uint32_t at)
{
	const struct trie *t = &c->plan->trie;
	uint32_t end = c->doc.v[at].next, object = ++c->objects, globs = t->nodes[node].globs;
	char space[1024];

	for (uint32_t i = at + 1; i < end; i = c->doc.v[i + 1].next) {
		struct slice key;
		uint32_t child;

		if (!plain_key(&c->doc.v[i], space, sizeof(space), &key))
			continue;
		child = trie_key(t, node, key);
		/* Of equal keys the first that says something counts. */
		if (child != 0 && c->seen[child] != object) {
			if (!value_is_nothing(&c->doc, i + 1))
				c->seen[child] = object;
			walk(c, child, i + 1);
		}
		if (globs != 0)
			walk_globs(c, globs, key, i + 1);
	}
}

static uint32_t
member(struct decode_ctx *c, uint32_t at, struct slice key)
{
	char space[1024];
	struct slice name;

	for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i + 1].next)
		if (plain_key(&c->doc.v[i], space, sizeof(space), &name) && slice_eq_nocase(name, key))
			return i + 1;
	return 0;
}

static void
walk_wheres(struct decode_ctx *c, uint32_t node, uint32_t at)
{
	const struct trie *t = &c->plan->trie;
	const struct where *before = NULL;
	struct slice text = SLICE_NONE;
	bool found = false;

	if (c->doc.v[at].type == JSON_STRING)
		at = walk_nested(c, at);
	if (at == 0 || c->doc.v[at].type != JSON_OBJECT)
		return;
	for (uint32_t i = t->nodes[node].wheres; i != 0; i = t->wheres[i - 1].next) {
		const struct where *w = &t->wheres[i - 1];
		struct pattern pattern;

		if (before == NULL || !slice_eq(before->key, w->key)) {
			uint32_t value = member(c, at, w->key);

			found = value != 0 && value_text(c, value, &text);
		}
		before = w;
		if (!found || (!w->glob && text.n != w->value.n))
			continue;
		pattern_make(&pattern, w->value);
		if (pattern_fits(&pattern, text))
			walk(c, w->child, at);
	}
}

/* [key:value]: an element {"key": K, "value": V} is a member K with the value V. */
static void
walk_pairs(struct decode_ctx *c, uint32_t node, uint32_t at)
{
	const struct trie *t = &c->plan->trie;

	if (c->doc.v[at].type == JSON_STRING)
		at = walk_nested(c, at);
	if (at == 0 || c->doc.v[at].type != JSON_OBJECT)
		return;
	for (uint32_t i = t->nodes[node].pairs; i != 0; i = t->wheres[i - 1].next) {
		const struct where *w = &t->wheres[i - 1];
		uint32_t name = member(c, at, w->key), value = member(c, at, w->value), child;
		struct slice key;

		if (name == 0 || value == 0 || !value_text(c, name, &key))
			continue;
		child = trie_key(t, w->child, key);
		if (child != 0)
			walk(c, child, value);
	}
}

static void
walk_array(struct decode_ctx *c, uint32_t node, uint32_t at)
{
	const struct node *n = &c->plan->trie.nodes[node];
	uint32_t end = c->doc.v[at].next, place = 0;

	for (uint32_t i = at + 1; i < end; i = c->doc.v[i].next, place++) {
		if (n->first != 0)
			walk(c, n->first, i);
		for (uint32_t child = n->indexes; child != 0; child = c->plan->trie.nodes[child].sibling)
			if (c->plan->trie.nodes[child].index == place)
				walk(c, child, i);
		if (n->wheres != 0)
			walk_wheres(c, node, i);
		if (n->pairs != 0)
			walk_pairs(c, node, i);
		if (n->first == 0 && n->wheres == 0 && n->pairs == 0 && place > PLAN_MAX_INDEX)
			break;
	}
}

static void
walk(struct decode_ctx *c, uint32_t node, uint32_t at)
{
	const struct node *n = &c->plan->trie.nodes[node];
	const struct json_value *v = &c->doc.v[at];
	bool empty;

	if (v->type == JSON_NULL || (v->type == JSON_STRING && text_is_nothing(v)))
		return;
	empty = is_container(v) && v->next == at + 1;
	if (n->wanted && (!empty || n->keep_empty))
		fill(c, node, at, empty);
	if (!n->in_object && !n->in_array)
		return;
	if (v->type == JSON_STRING) {
		at = walk_nested(c, at);
		if (at == 0)
			return;
		v = &c->doc.v[at];
	}
	if (v->type == JSON_OBJECT && n->in_object)
		walk_object(c, node, at);
	else if (v->type == JSON_ARRAY && n->in_array)
		walk_array(c, node, at);
}

static void
next_turn(struct decode_ctx *c)
{
	size_t n = c->plan->trie.n;

	if (++c->turn == 0) {
		memset(c->slots, 0, n * sizeof(*c->slots));
		c->turn = 1;
	}
	if (c->objects > UINT32_MAX - RECORD_MAX_VALUES * 64) {
		memset(c->seen, 0, n * sizeof(*c->seen));
		c->objects = 0;
	}
}

void
walk_record(struct decode_ctx *c, uint32_t at)
{
	next_turn(c);
	c->maybe = c->plan->always;
	c->nfilled = 0;
	if (c->plan->trie.nodes != NULL && c->doc.v[at].type == JSON_OBJECT)
		walk_object(c, 0, at);
}

/* ---- each ---------------------------------------------------------------------------- */

static void
clear(struct decode_ctx *c, const struct spine *s)
{
	for (uint32_t i = 0; i < s->nbelow; i++)
		c->slots[s->below[i]].turn = 0;
}

struct each { const struct family *family; void (*see)(void *arg); void *arg; };

/* The list's own value: the slot of the node above the elements, filled by the walk that came this far. */
static uint32_t
list_at(struct decode_ctx *c, const struct spine *s)
{
	uint32_t at = walk_get_any(c, c->plan->trie.nodes[s->node].parent);

	if (at != 0 && c->doc.v[at].type == JSON_STRING)
		at = walk_nested(c, at);
	return at != 0 && c->doc.v[at].type == JSON_ARRAY ? at : 0;
}

static bool
each_level(struct decode_ctx *c, const struct each *e, uint32_t level)
{
	const struct spine *s = &e->family->each[level];
	uint32_t list = list_at(c, s), end, filled = c->nfilled;

	if (list == 0)
		return false;
	end = c->doc.v[list].next;
	for (uint32_t i = list + 1; i < end && !c->too_many && !c->short_of_memory; i = c->doc.v[i].next) {
		clear(c, s);
		c->nfilled = filled;
		walk(c, s->node, i);
		if (level + 1 < e->family->neach)
			(void)each_level(c, e, level + 1);
		else
			e->see(e->arg);
	}
	return true;
}

bool
walk_each(struct decode_ctx *c, const struct family *f, void (*see)(void *arg), void *arg)
{
	const struct each e = { .family = f, .see = see, .arg = arg };

	return each_level(c, &e, 0);
}
