/*
 * config_diff.c - two bodies compared, path by path, and what the difference weakens by config_values.tbl.
 *
 * A body is flattened to leaves, at most LEAVES: paths in lower case, keys joined by dots. Objects in a list stand by their name, not their place: `filters[hate/prompt]`;
 * plain elements are paths of their own: `members[allusers]`.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "detect/config_parts.h"

#define VALUES		8192		/* JSON values of a body */
#define TEXT_BYTES	(256u << 10)
#define DEEP		16
#define LEAF_TEXT	2048


static const struct value_row { const char *kind, *path, *value; enum direction direction; const char *severity, *code, *words; bool scale; } rows[] = {
#define VALUE(kind, path, value, direction, severity, code, words)	{ kind, path, value, direction, severity, code, words, false },
#define SCALE(kind, path, steps, direction, severity, code, words)	{ kind, path, steps, direction, severity, code, words, true },
#define PLAUSIBLE(kind, code)
#include "detect/config_values.tbl"
#undef VALUE
#undef SCALE
#undef PLAUSIBLE
};

static const struct { const char *kind, *code; } plausible[] = {
#define VALUE(kind, path, value, direction, severity, code, words)
#define SCALE(kind, path, steps, direction, severity, code, words)
#define PLAUSIBLE(kind, code)	{ kind, code },
#include "detect/config_values.tbl"
#undef VALUE
#undef SCALE
#undef PLAUSIBLE
};

struct comparer {
	struct json_reader	*reader, *other_reader;
	struct json_doc		 doc, other;
	struct buf		 path, before_text, after_text, other_text;
	struct leaves		 before, after, told;
};

int
severity_of(const char *word)
{
	const int severity = event_severity_of(slice_of(word));

	assert(severity >= 0);		/* a word of a table of ours */
	return severity;
}

struct comparer *
comparer_new(void)
{
	struct comparer *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	json_doc_init(&c->doc, VALUES);
	json_doc_init(&c->other, VALUES);
	buf_init(&c->path, PATH_BYTES);
	buf_init(&c->before_text, TEXT_BYTES);
	buf_init(&c->after_text, TEXT_BYTES);
	buf_init(&c->other_text, TEXT_BYTES);
	c->reader = json_reader_new();
	c->other_reader = json_reader_new();
	if (c->reader == NULL || c->other_reader == NULL) {
		comparer_free(c);
		return NULL;
	}
	return c;
}

void
comparer_free(struct comparer *c)
{
	if (c == NULL)
		return;
	json_reader_free(c->reader);
	json_reader_free(c->other_reader);
	json_doc_fini(&c->doc);
	json_doc_fini(&c->other);
	buf_fini(&c->path);
	buf_fini(&c->before_text);
	buf_fini(&c->after_text);
	buf_fini(&c->other_text);
	free(c);
}

static bool
is_plausible(const char *kind, const struct value_row *r)
{
	if (strcmp(r->kind, kind) == 0)
		return true;
	for (size_t i = 0; strcmp(r->kind, "*") == 0 && i < sizeof(plausible) / sizeof(plausible[0]); i++)
		if (strcmp(plausible[i].kind, kind) == 0 && strcmp(plausible[i].code, r->code) == 0)
			return true;
	return false;
}

int
worst_of(const char *kind, const char **ret_code)
{
	int worst = -1;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int severity = severity_of(rows[i].severity);

		if (rows[i].direction == STRONG || severity <= worst || !is_plausible(kind, &rows[i]))
			continue;
		worst = severity;
		*ret_code = rows[i].code;
	}
	return worst;
}

/* ---- leaves ------------------------------------------------------------------------ */

static void
put_lower(struct buf *b, const struct json_value *v, size_t max)
{
	size_t begin = b->n, n;

	if (!buf_reserve(b, v->n))
		return;
	n = json_unescape_to(v, b->p + begin);
	if (n > max)
		n = utf8_cut(slice_make(b->p + begin, n), max);
	for (size_t i = 0; i < n; i++)
		b->p[begin + i] = (char)ascii_lower((unsigned char)b->p[begin + i]);
	b->n = begin + n;
}

static void
add_leaf(struct comparer *c, struct leaves *l, const struct json_value *v)
{
	struct leaf *at;
	size_t begin = l->text->n;

	if (l->n == LEAVES || c->path.failed) {
		l->cut = true;
		buf_reset(&c->path);
		return;
	}
	at = &l->v[l->n];
	buf_put_slice(l->text, buf_slice(&c->path));
	*at = (struct leaf){ .hash = hash_stable(c->path.p, c->path.n), .path = (uint32_t)begin, .path_n = (uint32_t)c->path.n,
		.text = (uint32_t)l->text->n };
	if (v->type == JSON_STRING && buf_reserve(l->text, v->n)) {
		size_t n = json_unescape_to(v, l->text->p + l->text->n);

		l->text->n += n > LEAF_TEXT ? utf8_cut(slice_make(l->text->p + l->text->n, n), LEAF_TEXT) : n;
	} else if (v->type != JSON_STRING) {
		json_write(&c->doc, (uint32_t)(v - c->doc.v), l->text);
	}
	at->text_n = (uint32_t)(l->text->n - at->text);
	if (l->text->failed)
		l->cut = true;
	else
		l->n++;
}

static uint32_t
member(const struct comparer *c, uint32_t object, const char *key)
{
	const struct json_doc *d = &c->doc;

	for (uint32_t i = object + 1; i < d->v[object].next; i = d->v[i + 1].next)
		if (slice_eq_nocase(json_raw(&d->v[i]), slice_of(key)))
			return i + 1;
	return 0;
}

/* By what an object in a list is told from the others. */
static void
put_name(struct comparer *c, uint32_t object, unsigned index)
{
	static const char *const names[] = { "name", "type", "category", "categoryGroup", "id", "value", "role", "member", "filterType" };
	uint32_t at = 0, source;
	bool binding = member(c, object, "role") != 0;

	for (size_t i = 0; at == 0 && i < sizeof(names) / sizeof(names[0]); i++) {
		at = member(c, object, names[i]);
		if (at != 0 && c->doc.v[at].type != JSON_STRING)
			at = 0;
	}
	if (at == 0) {
		buf_put_u64(&c->path, index);
		return;
	}
	put_lower(&c->path, &c->doc.v[at], 64);
	source = member(c, object, binding ? "action" : "source");
	if (source != 0 && c->doc.v[source].type == JSON_STRING) {
		buf_putc(&c->path, '/');
		put_lower(&c->path, &c->doc.v[source], 32);
	}
}

static void flatten(struct comparer *, struct leaves *, uint32_t at, unsigned depth);

static void
flatten_list(struct comparer *c, struct leaves *l, uint32_t list, unsigned depth)
{
	const struct json_doc *d = &c->doc;
	size_t n = c->path.n;
	unsigned index = 0;

	for (uint32_t i = list + 1; i < d->v[list].next && (l->n < LEAVES || !l->cut); i = d->v[i].next, index++) {
		buf_putc(&c->path, '[');
		if (d->v[i].type == JSON_OBJECT)
			put_name(c, i, index);
		else if (d->v[i].type == JSON_STRING)
			put_lower(&c->path, &d->v[i], 96);
		else
			buf_put_u64(&c->path, index);
		buf_putc(&c->path, ']');
		flatten(c, l, i, depth + 1);
		buf_reset(&c->path);
		c->path.n = n;
	}
}

static void
flatten(struct comparer *c, struct leaves *l, uint32_t at, unsigned depth)
{
	const struct json_doc *d = &c->doc;
	size_t n = c->path.n;

	if (d->v[at].type == JSON_ARRAY && depth < DEEP) {
		flatten_list(c, l, at, depth);
	} else if (d->v[at].type == JSON_OBJECT && depth < DEEP) {
		for (uint32_t i = at + 1; i < d->v[at].next && (l->n < LEAVES || !l->cut); i = d->v[i + 1].next) {
			if (n > 0)
				buf_putc(&c->path, '.');
			put_lower(&c->path, &d->v[i], 96);
			flatten(c, l, i + 1, depth + 1);
			buf_reset(&c->path);
			c->path.n = n;
		}
	} else if (d->v[at].type != JSON_NULL) {
		add_leaf(c, l, &d->v[at]);
	}
}

static bool
read_leaves(struct comparer *c, struct leaves *l, struct buf *text, struct slice body)
{
	struct err err = { 0 };
	int64_t root;

	l->n = 0;
	l->cut = false;
	l->text = text;
	buf_reset(text);
	buf_reset(&c->path);
	if (body.n == 0)
		return false;
	json_reset(c->reader, &c->doc);
	root = json_read(c->reader, body, false, &c->doc, &err);
	if (root < 0)
		return false;
	flatten(c, l, (uint32_t)root, 0);
	return l->n > 0;
}

static struct slice
path_of(const struct leaves *l, const struct leaf *f)
{
	return slice_make(l->text->p + f->path, f->path_n);
}

static struct slice
text_of(const struct leaves *l, const struct leaf *f)
{
	return slice_make(l->text->p + f->text, f->text_n);
}

static const struct leaf *
find(const struct leaves *l, const struct leaves *of, const struct leaf *f)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].hash == f->hash && slice_eq(path_of(l, &l->v[i]), path_of(of, f)))
			return &l->v[i];
	return NULL;
}

/* ---- what it means -------------------------------------------------------------------- */

static int
step(const char *steps, struct slice value)
{
	int i = 0;

	for (const char *at = steps; *at != '\0'; i++) {
		size_t n = strcspn(at, ",");

		if (slice_eq_nocase(slice_make(at, n), value))
			return i;
		at += n + (at[n] == ',');
	}
	return -1;
}

static void
note_effect(struct difference *d, const struct value_row *r, struct slice path)
{
	bool weaker = r->direction != STRONG;
	int severity = severity_of(r->severity);

	d->weaker = d->weaker || (weaker && r->direction != CHANGED);
	d->stronger = d->stronger || !weaker;
	if (weaker && severity > d->severity) {
		d->severity = severity;
		d->code = r->code;
	}
	for (uint32_t i = 0; i < d->neffects; i++)
		if (d->effects[i].words == r->words)
			return;
	if (d->neffects < EFFECTS_SAID) {
		d->effects[d->neffects].words = r->words;
		d->effects[d->neffects].code = r->code;
		d->effects[d->neffects].direction = r->direction;
		d->effects[d->neffects++].path = path;
	}
}

static bool
row_is_of(const struct value_row *r, const char *kind, struct slice path)
{
	return (strcmp(r->kind, "*") == 0 || strcmp(r->kind, kind) == 0) && slice_glob_nocase(slice_of(r->path), path);
}

static void
weigh(struct difference *d, const char *kind, struct slice path, struct slice before, struct slice after)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct value_row *r = &rows[i];
		bool hit = false;

		if (!row_is_of(r, kind, path))
			continue;
		if (r->scale) {
			int a = step(r->value, before), b = step(r->value, after);

			hit = before.p != NULL && after.p != NULL && a >= 0 && b >= 0 && (r->direction == UP ? b > a : b < a);
		} else if (r->direction == GONE) {
			hit = after.p == NULL && slice_glob_nocase(slice_of(r->value), before);
		} else if (after.p != NULL && r->direction == CHANGED) {
			hit = before.p != NULL && slice_glob_nocase(slice_of(r->value), after);
		} else if (after.p != NULL) {
			hit = slice_glob_nocase(slice_of(r->value), after);
		}
		if (hit)
			note_effect(d, r, path);
	}
}

static void
note_change(struct difference *d, const char *kind, struct slice path, struct slice before, struct slice after)
{
	d->changed = true;
	if (d->n < CHANGES_SAID) {
		d->v[d->n].path = path;
		d->v[d->n].before = before;
		d->v[d->n++].after = after;
	} else {
		d->more++;
	}
	weigh(d, kind, path, before, after);
}

/* The list that a path's last named element stands in, "…filters[" of "…filters[hate/prompt].enabled"; empty: none. */
static struct slice
list_of(struct slice path)
{
	for (size_t i = path.n; i > 0; i--)
		if (path.p[i - 1] == '[')
			return slice_make(path.p, i);
	return SLICE_NONE;
}

/* `after` holds the list, and not this element. */
static bool
is_gone(const struct leaves *after, struct slice path)
{
	struct slice list = list_of(path);

	for (uint32_t i = 0; list.n > 0 && i < after->n; i++) {
		struct slice p = path_of(after, &after->v[i]);

		if (p.n >= list.n && memcmp(p.p, list.p, list.n) == 0)
			return true;
	}
	return false;
}

void
compare(struct comparer *c, const char *kind, struct slice before, struct slice after, struct difference *ret)
{
	bool known = read_leaves(c, &c->before, &c->before_text, before);
	bool told = read_leaves(c, &c->after, &c->after_text, after);

	memset(ret, 0, sizeof(*ret));
	ret->severity = -1;
	ret->unread = !told;
	ret->cut = after.n > 0 && (!told || c->after.cut);
	for (uint32_t i = 0; i < c->after.n; i++) {
		const struct leaf *f = &c->after.v[i], *old = known ? find(&c->before, &c->after, f) : NULL;
		struct slice value = text_of(&c->after, f), was = old != NULL ? text_of(&c->before, old) : SLICE_NONE;

		if (old != NULL && slice_eq_nocase(was, value))
			continue;
		if (old != NULL && was.p == NULL)
			was = SLICE("");
		if (known)
			note_change(ret, kind, path_of(&c->after, f), was, value);
		else
			weigh(ret, kind, path_of(&c->after, f), SLICE_NONE, value);
	}
	for (uint32_t i = 0; told && !c->after.cut && i < c->before.n; i++) {
		const struct leaf *f = &c->before.v[i];
		struct slice path = path_of(&c->before, f);

		if (find(&c->after, &c->before, f) == NULL && is_gone(&c->after, path))
			note_change(ret, kind, path, text_of(&c->before, f), SLICE_NONE);
	}
}

bool
same_where_both_speak(struct comparer *c, struct slice a, struct slice b)
{
	uint32_t both = 0;

	if (!read_leaves(c, &c->before, &c->before_text, a) || !read_leaves(c, &c->after, &c->after_text, b))
		return false;
	for (uint32_t i = 0; i < c->after.n; i++) {
		const struct leaf *f = &c->after.v[i], *old = find(&c->before, &c->after, f);

		if (old == NULL)
			continue;
		both++;
		if (!slice_eq_nocase(text_of(&c->before, old), text_of(&c->after, f)))
			return false;
	}
	return both > 0;
}

bool
body_read(struct comparer *c, struct slice body)
{
	return read_leaves(c, &c->told, &c->other_text, body);
}

bool
body_leaf(const struct comparer *c, uint32_t i, struct slice *ret_path, struct slice *ret_text)
{
	if (i >= c->told.n)
		return false;
	*ret_path = path_of(&c->told, &c->told.v[i]);
	*ret_text = text_of(&c->told, &c->told.v[i]);
	return true;
}

struct slice
body_value(const struct comparer *c, const char *pattern)
{
	struct slice path, text;

	for (uint32_t i = 0; body_leaf(c, i, &path, &text); i++)
		if (slice_glob_nocase(slice_of(pattern), path))
			return text;
	return SLICE_NONE;
}

/* ---- merging --------------------------------------------------------------------------------- */

static uint32_t
member_of(const struct json_doc *d, uint32_t object, struct slice key)
{
	for (uint32_t i = object + 1; i < d->v[object].next; i = d->v[i + 1].next)
		if (slice_eq_nocase(json_raw(&d->v[i]), key))
			return i + 1;
	return 0;
}

static void
put_key(struct buf *out, const struct json_value *key, bool *any)
{
	buf_puts(out, *any ? ",\"" : "\"");
	buf_put_slice(out, json_raw(key));
	buf_puts(out, "\":");
	*any = true;
}

static void
merge(const struct json_doc *a, uint32_t at, const struct json_doc *b, uint32_t over, struct buf *out, unsigned depth)
{
	bool any = false;

	if (a->v[at].type != JSON_OBJECT || b->v[over].type != JSON_OBJECT || depth == DEEP) {
		json_write(b, over, out);
		return;
	}
	buf_putc(out, '{');
	for (uint32_t i = at + 1; i < a->v[at].next; i = a->v[i + 1].next) {
		uint32_t of = member_of(b, over, json_raw(&a->v[i]));

		put_key(out, &a->v[i], &any);
		if (of != 0)
			merge(a, i + 1, b, of, out, depth + 1);
		else
			json_write(a, i + 1, out);
	}
	for (uint32_t i = over + 1; i < b->v[over].next; i = b->v[i + 1].next) {
		if (member_of(a, at, json_raw(&b->v[i])) != 0)
			continue;
		put_key(out, &b->v[i], &any);
		json_write(b, i + 1, out);
	}
	buf_putc(out, '}');
}

bool
merge_bodies(struct comparer *c, struct slice state, struct slice body, struct buf *out)
{
	struct err err = { 0 };
	int64_t a, b;

	if (state.n == 0 || body.n == 0)
		return false;
	json_reset(c->reader, &c->doc);
	json_reset(c->other_reader, &c->other);
	a = json_read(c->reader, state, false, &c->doc, &err);
	b = json_read(c->other_reader, body, false, &c->other, &err);
	if (a < 0 || b < 0)
		return false;
	merge(&c->doc, (uint32_t)a, &c->other, (uint32_t)b, out, 0);
	return !out->failed;
}
