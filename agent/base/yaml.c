/* yaml.c - libyaml's events to a tree with lines, and the list of complaints. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#define MAX_DEPTH	32
#define FILE_BYTES	(4u << 20)
#define TREE_BYTES	(64u << 20)
#define MAX_PROBLEMS	200
#define MAX_DIRECTIVES	16	/* libyaml holds each against all before it */
#define MAX_MEMBERS	4096	/* of one block: each new key is held against all before it */

/* ---- complaints ------------------------------------------------------------ */

void
problems_init(struct problems *p)
{
	*p = (struct problems){ .v = NULL };
}

void
problems_fini(struct problems *p)
{
	free(p->v);
	problems_init(p);
}

bool
problems_full(const struct problems *p)
{
	return p->n == MAX_PROBLEMS;
}

/* What strangers wrote must neither drive a terminal nor turn what is read there, nor end inside a character. */
static void
clean(char *text)
{
	const size_t valid = utf8_valid_prefix(slice_of(text));

	text[valid] = '\0';
	utf8_make_plain(text, valid);
}

__attribute__((format(printf, 6, 0)))
static void
add(struct problems *p, bool warning, const char *file, unsigned line, const char *key, const char *fmt, va_list ap)
{
	struct problem *q;

	if (!warning)
		p->errors++;
	if (problems_full(p))
		return;
	if (p->n == p->cap) {
		size_t cap = p->cap > 0 ? p->cap * 2 : 8;
		struct problem *v = realloc(p->v, cap * sizeof(*v));

		if (v == NULL)
			return;
		p->v = v;
		p->cap = cap;
	}
	q = &p->v[p->n++];
	*q = (struct problem){ .line = line, .warning = warning };
	snprintf(q->file, sizeof(q->file), "%s", file);
	snprintf(q->key, sizeof(q->key), "%s", key != NULL ? key : "");
	vsnprintf(q->text, sizeof(q->text), fmt, ap);
	clean(q->file);
	clean(q->key);
	clean(q->text);
}

void
problem_add(struct problems *p, const char *file, unsigned line, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, false, file, line, key, fmt, ap);
	va_end(ap);
}

void
problem_warn(struct problems *p, const char *file, unsigned line, const char *key, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add(p, true, file, line, key, fmt, ap);
	va_end(ap);
}

/* ---- the tree -------------------------------------------------------------- */

struct yaml_tree {
	struct arena	arena;
};

struct reading {
	struct yaml_tree	*tree;
	struct problems		*problems;
	const char		*file;
	struct slice		 text;
	yaml_parser_t		 parser;
	unsigned		 depth;
	bool			 failed;
};

struct yaml_tree *
yaml_tree_new(void)
{
	struct yaml_tree *t = calloc(1, sizeof(*t));

	if (t != NULL)
		arena_init(&t->arena, 16384, TREE_BYTES);
	return t;
}

void
yaml_tree_free(struct yaml_tree *t)
{
	if (t == NULL)
		return;
	arena_fini(&t->arena);
	free(t);
}

static struct yaml_node *
fail(struct reading *r, unsigned line, const char *what)
{
	if (!r->failed)
		problem_add(r->problems, r->file, line, "", "%s", what);
	r->failed = true;
	return NULL;
}

/* Tabs are what people cannot see. */
static bool
is_tab_indented(struct slice text, size_t line)
{
	size_t at = 0;

	for (; line > 0 && at < text.n; at++)
		line -= text.p[at] == '\n';
	for (; at < text.n && (text.p[at] == ' ' || text.p[at] == '\t'); at++)
		if (text.p[at] == '\t')
			return true;
	return false;
}

static bool
next(struct reading *r, yaml_event_t *e)
{
	if (yaml_parser_parse(&r->parser, e))
		return true;
	if (!r->failed)
		problem_add(r->problems, r->file, (unsigned)r->parser.problem_mark.line + 1, "", "not YAML: %s%s%s%s",
		    r->parser.problem != NULL ? r->parser.problem : "unreadable",
		    r->parser.context != NULL ? " " : "", r->parser.context != NULL ? r->parser.context : "",
		    is_tab_indented(r->text, r->parser.problem_mark.line) ?
		    " (the line is indented with a tab; YAML wants blanks)" : "");
	r->failed = true;
	return false;
}

static struct yaml_node *
new_node(struct reading *r, enum yaml_kind kind, const yaml_event_t *e)
{
	struct yaml_node *n = arena_zalloc(&r->tree->arena, sizeof(*n));

	if (n == NULL)
		return fail(r, (unsigned)e->start_mark.line + 1, "the file is too large");
	n->kind = kind;
	n->line = (unsigned)e->start_mark.line + 1;
	n->file = r->file;
	return n;
}

static uint32_t
hash_of(struct slice s)
{
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < s.n; i++)
		h = (h ^ (unsigned char)s.p[i]) * 16777619u;
	return h;
}

static struct yaml_node *
scalar(struct reading *r, const yaml_event_t *e)
{
	struct yaml_node *n = new_node(r, YAML_SCALAR, e);
	struct slice s = slice_make(e->data.scalar.value, e->data.scalar.length);

	if (n == NULL)
		return NULL;
	if (memchr(s.p, '\0', s.n) != NULL)
		return fail(r, n->line, "a NUL character is not allowed");
	n->text = arena_cstr(&r->tree->arena, s);
	n->text_n = s.n;
	n->hash = hash_of(s);
	n->quoted = e->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
	return n->text != NULL ? n : fail(r, n->line, "the file is too large");
}

static bool
is_plain_data(struct reading *r, const yaml_event_t *e)
{
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	}
	if (e->type != YAML_ALIAS_EVENT && anchor == NULL && tag == NULL)
		return true;
	fail(r, (unsigned)e->start_mark.line + 1, "anchors, aliases and tags are not allowed here: write the value out");
	return false;
}

static struct yaml_node *node(struct reading *, const yaml_event_t *);

/* The node of the next event; *ret_end when that event ended the container. */
static struct yaml_node *
next_node(struct reading *r, yaml_event_type_t end, bool *ret_end)
{
	struct yaml_node *n = NULL;
	yaml_event_t e;

	*ret_end = false;
	if (!next(r, &e))
		return NULL;
	if (e.type == end)
		*ret_end = true;
	else
		n = node(r, &e);
	yaml_event_delete(&e);
	return n;
}

static void
append(struct yaml_node *parent, struct yaml_node ***tail, struct yaml_node *child)
{
	**tail = child;
	*tail = &child->next;
	parent->children++;
}

static struct yaml_node *
list(struct reading *r, const yaml_event_t *e)
{
	struct yaml_node *n = new_node(r, YAML_LIST, e), **tail, *child;
	bool end = false;

	if (n == NULL)
		return NULL;
	for (tail = &n->first; (child = next_node(r, YAML_SEQUENCE_END_EVENT, &end)) != NULL;)
		append(n, &tail, child);
	return end ? n : NULL;
}

static struct yaml_node *
map(struct reading *r, const yaml_event_t *e)
{
	struct yaml_node *n = new_node(r, YAML_MAP, e), **tail, *key, *value, *twin;
	bool end = false, no;

	if (n == NULL)
		return NULL;
	for (tail = &n->first; (key = next_node(r, YAML_MAPPING_END_EVENT, &end)) != NULL;) {
		if (key->kind != YAML_SCALAR)
			return fail(r, key->line, "a key must be a plain word");
		value = next_node(r, YAML_NO_EVENT, &no);
		if (value == NULL)
			return NULL;
		twin = yaml_get(n, key->text);
		if (twin != NULL) {
			problem_add(r->problems, r->file, key->line, key->text, "given twice, first in line %u",
			    twin->key->line);
			continue;
		}
		if (n->children >= MAX_MEMBERS)
			return fail(r, key->line, "too many keys in one block");
		value->key = key;
		append(n, &tail, value);
	}
	return end ? n : NULL;
}

static struct yaml_node *
node(struct reading *r, const yaml_event_t *e)
{
	struct yaml_node *n = NULL;

	if (!is_plain_data(r, e))
		return NULL;
	if (++r->depth > MAX_DEPTH)
		return fail(r, (unsigned)e->start_mark.line + 1, "nested too deeply");
	if (e->type == YAML_SCALAR_EVENT)
		n = scalar(r, e);
	else if (e->type == YAML_SEQUENCE_START_EVENT)
		n = list(r, e);
	else if (e->type == YAML_MAPPING_START_EVENT)
		n = map(r, e);
	r->depth--;
	return n;
}

static struct yaml_node *
document(struct reading *r)
{
	struct yaml_node *root = NULL;
	bool more = true;

	while (more && !r->failed) {
		yaml_event_t e;

		if (!next(r, &e))
			break;
		if (e.type == YAML_STREAM_END_EVENT)
			more = false;
		else if (e.type == YAML_DOCUMENT_START_EVENT && root != NULL)
			fail(r, (unsigned)e.start_mark.line + 1, "one document a file");
		else if (e.type != YAML_STREAM_START_EVENT && e.type != YAML_DOCUMENT_START_EVENT &&
		    e.type != YAML_DOCUMENT_END_EVENT)
			root = node(r, &e);
		yaml_event_delete(&e);
	}
	if (r->failed)
		return NULL;
	if (root == NULL || yaml_is_null(root)) {
		yaml_event_t none = { .start_mark = { 0, 0, 0 } };

		root = new_node(r, YAML_MAP, &none);
	}
	return root;
}

static bool
check_bytes(struct reading *r)
{
	const size_t valid = utf8_valid_prefix(r->text);
	unsigned line = 1, directives = 0;

	if (r->text.n > FILE_BYTES) {
		fail(r, 0, "larger than 4 MiB");
		return false;
	}
	for (size_t i = 0; i < valid && valid < r->text.n; i++)
		line += r->text.p[i] == '\n';
	if (valid < r->text.n)
		fail(r, line, "not UTF-8");
	for (size_t i = 0; i < valid && directives <= MAX_DIRECTIVES; i++)
		directives += r->text.p[i] == '%' && (i == 0 || r->text.p[i - 1] == '\n');
	if (directives > MAX_DIRECTIVES)
		fail(r, 1, "too many lines begin with %, as directives do");
	return !r->failed;
}

struct yaml_node *
yaml_read_text(struct yaml_tree *tree, const char *name, struct slice text, struct problems *problems)
{
	struct reading r = { .tree = tree, .problems = problems, .text = text };
	const size_t before = problems->errors;
	struct yaml_node *root;

	r.file = arena_cstr(&tree->arena, slice_of(name));
	if (r.file == NULL || !yaml_parser_initialize(&r.parser)) {
		problem_add(problems, name, 0, "", "no memory");
		return NULL;
	}
	if (!check_bytes(&r)) {
		yaml_parser_delete(&r.parser);
		return NULL;
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.p != NULL ? text.p : ""), text.n);
	root = document(&r);
	yaml_parser_delete(&r.parser);
	return problems->errors == before ? root : NULL;
}

struct yaml_node *
yaml_read_file(struct yaml_tree *tree, const char *path, struct problems *problems)
{
	struct yaml_node *root = NULL;
	struct err err = { 0 };
	const size_t n = strlen(path);
	const char *why = err.text;
	struct buf b;

	buf_init(&b, FILE_BYTES);
	if (buf_read_file(&b, path, &err) != 0) {
		if (strncmp(why, path, n) == 0 && strncmp(why + n, ": ", 2) == 0)
			why += n + 2;		/* the path stands before it anyway */
		problem_add(problems, path, 0, "", "%s", why);
	}
	else
		root = yaml_read_text(tree, path, buf_slice(&b), problems);
	buf_fini(&b);
	return root;
}

struct yaml_node *
yaml_get(const struct yaml_node *map_node, const char *key)
{
	const uint32_t hash = hash_of(slice_of(key));

	if (map_node->kind != YAML_MAP)
		return NULL;
	for (struct yaml_node *n = map_node->first; n != NULL; n = n->next)
		if (n->key->hash == hash && strcmp(n->key->text, key) == 0)
			return n;
	return NULL;
}

bool
yaml_is_null(const struct yaml_node *n)
{
	return n->kind == YAML_SCALAR && !n->quoted &&
	    (n->text_n == 0 || strcmp(n->text, "~") == 0 || strcmp(n->text, "null") == 0);
}

/* ---- did you mean ------------------------------------------------------------ */

#define WORD_BYTES	64

/* Optimal string alignment distance; 3 means: 3 or more. */
static unsigned
distance(struct slice a, struct slice b)
{
	unsigned row[3][WORD_BYTES + 1];

	if (a.n > WORD_BYTES || b.n > WORD_BYTES)
		return 3;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a.n; i++) {
		unsigned *now = row[i % 3], *up = row[(i + 2) % 3], *up2 = row[(i + 1) % 3];

		now[0] = (unsigned)i;
		for (size_t j = 1; j <= b.n; j++) {
			unsigned d = up[j - 1] + (a.p[i - 1] != b.p[j - 1]);

			d = up[j] + 1 < d ? up[j] + 1 : d;
			d = now[j - 1] + 1 < d ? now[j - 1] + 1 : d;
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] && up2[j - 2] + 1 < d)
				d = up2[j - 2] + 1;
			now[j] = d;
		}
	}
	return row[a.n % 3][b.n] < 3 ? row[a.n % 3][b.n] : 3;
}

const char *
nearest_word(const char *text, const char *words, char *ret, size_t ret_n)
{
	unsigned best = 3;

	for (const char *at = words; *at != '\0';) {
		size_t n = strcspn(at, "|");
		unsigned d = distance(slice_of(text), slice_make(at, n));

		if (d < best && n < ret_n && d < n) {
			memcpy(ret, at, n);
			ret[n] = '\0';
			best = d;
		}
		at += n + (at[n] == '|');
	}
	return best < 3 ? ret : NULL;
}
