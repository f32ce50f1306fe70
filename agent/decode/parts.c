/* parts.c - the parts of a mapping from YAML: references, tests, tables, words; and how its faults are told. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* ---- help --------------------------------------------------------------------------------- */

void *
plan_alloc(struct compiler *c, size_t n, size_t size)
{
	void *p = arena_zalloc(&c->d->arena, n * size > 0 ? n * size : 1);

	if (p == NULL)
		c->short_of_memory = true;
	return p;
}

const char *
plan_key(const struct yaml_node *n)
{
	return n->key != NULL && n->key->text != NULL ? n->key->text : "";
}

int
plan_wrong(struct compiler *c, const struct yaml_node *n, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	problem_add(c->problems, n->file, n->line, plan_key(n)[0] != '\0' ? plan_key(n) : c->key, "%s", text);
	return -1;
}

const char *
plan_meant(const char *text, const char *words, char *ret, size_t n)
{
	char word[96];

	ret[0] = '\0';
	if (nearest_word(text, words, word, sizeof(word)) != NULL)
		(void)snprintf(ret, n, "; did you mean %s?", word);
	return ret;
}

int
plan_keys(struct compiler *c, const struct yaml_node *map, const char *allowed)
{
	char hint[128];
	int rc = 0;

	for (const struct yaml_node *n = map->first; n != NULL; n = n->next)
		if (!word_among(allowed, slice_of(plan_key(n))))
			rc = plan_wrong(c, n, "unknown key%s; allowed: %s", plan_meant(plan_key(n), allowed, hint, sizeof(hint)), allowed);
	return rc;
}

bool
plan_too_many(struct compiler *c, const struct yaml_node *list, size_t most)
{
	if (list->children <= most)
		return false;
	(void)plan_wrong(c, list, "has %zu entries, at most %zu", list->children, most);
	return true;
}

bool
plan_name_fits(struct slice s)
{
	if (s.n == 0 || s.n > PLAN_MAX_NAME || s.p[0] < 'A' || (s.p[0] > 'Z' && s.p[0] < 'a') || s.p[0] > 'z')
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char b = ascii_lower((unsigned char)s.p[i]);

		if (b != '_' && (b < 'a' || b > 'z') && (b < '0' || b > '9'))
			return false;
	}
	return true;
}

/* ---- references --------------------------------------------------------------------------------- */

/* ".name": of the element that `each` names. .p NULL: no memory. */
static struct slice
of_element(struct compiler *c, struct slice text)
{
	struct slice each = c->family != NULL ? c->family->each_text : SLICE_NONE;
	char *p;

	if (text.n < 2 || text.p[0] != '.' || each.n == 0)
		return text;
	p = plan_alloc(c, each.n + text.n, 1);
	if (p == NULL)
		return SLICE_NONE;
	memcpy(p, each.p, each.n);
	memcpy(p + each.n, text.p, text.n);
	return slice_make(p, each.n + text.n);
}

int
plan_path(struct compiler *c, const struct yaml_node *n, struct slice text, uint32_t *ret_node)
{
	struct step steps[PLAN_MAX_STEPS];
	const char *what;
	uint32_t nsteps, node;

	text = of_element(c, text);
	if (text.p == NULL)
		return -1;
	what = path_parse(text, &c->d->arena, steps, &nsteps);
	if (what != NULL)
		return plan_wrong(c, n, "%.*s: not a path: %s", (int)(text.n > 80 ? 80 : text.n), text.p, what);
	node = trie_add(&c->d->trie, steps, nsteps);
	if (node == 0)
		return plan_wrong(c, n, "too many paths (at most %d), or no memory", PLAN_MAX_PATHS);
	*ret_node = node;
	return 0;
}

/* "A|B|C" of all columns, once. */
static const char *
column_words(struct compiler *c)
{
	static const char none[] = "";
	size_t n = 0, at = 0;
	char *p;

	for (int f = 0; f < FIELD_COUNT; f++)
		n += field_rows[f].name_n + 1u;
	p = plan_alloc(c, n + 1, 1);
	if (p == NULL)
		return none;
	for (int f = 0; f < FIELD_COUNT; f++) {
		if (f > 0)
			p[at++] = '|';
		memcpy(p + at, field_rows[f].name, field_rows[f].name_n);
		at += field_rows[f].name_n;
	}
	return p;
}

int
plan_column(struct compiler *c, const struct yaml_node *n, const char *name)
{
	char hint[128];
	int f = field_find(slice_of(name));

	if (f < 0)
		(void)plan_wrong(c, n, "%.60s: no such column%s", name, plan_meant(name, column_words(c), hint, sizeof(hint)));
	return f;
}

int
plan_ref(struct compiler *c, const struct yaml_node *n, struct slice text, bool columns, struct ref *ret)
{
	struct ref ref = { .kind = REF_PATH, .text = text };
	int f;

	if (text.n == 0 || text.p[0] != '$') {
		if (plan_path(c, n, text, &ref.node) != 0)
			return -1;
		*ret = ref;
		return 0;
	}
	if (!columns)
		return plan_wrong(c, n, "%.60s: only paths may stand here", text.p);
	if (slice_eq(text, SLICE(ARRIVAL_NAME))) {
		*ret = (struct ref){ .kind = REF_ARRIVAL, .text = text };
		return 0;
	}
	f = plan_column(c, n, text.p + 1);
	if (f < 0)
		return -1;
	if ((c->columns >> f & 1) == 0)
		return plan_wrong(c, n, "%.60s: no earlier rule fills this column", text.p);
	*ret = (struct ref){ .kind = REF_COLUMN, .field = (enum field)f, .text = text };
	return 0;
}

int
plan_refs(struct compiler *c, const struct yaml_node *n, bool columns, struct ref **ret, uint32_t *ret_n)
{
	bool list = n->kind == YAML_LIST;
	size_t count = list ? n->children : 1;
	struct ref *v;
	uint32_t i = 0;
	int rc = 0;

	if (n->kind == YAML_MAP || count == 0)
		return plan_wrong(c, n, "a path or a list of paths stands here");
	if (plan_too_many(c, n, PLAN_MAX_ITEMS) || (v = plan_alloc(c, count, sizeof(*v))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL) {
		if (item->kind != YAML_SCALAR)
			rc = plan_wrong(c, item, "a path is a text");
		else if (plan_ref(c, item, yaml_slice(item), columns, &v[i]) != 0)
			rc = -1;
		i++;
	}
	if (rc == 0) {
		*ret = v;
		*ret_n = i;
	}
	return rc;
}

/* ---- tests ---------------------------------------------------------------------------------------- */

static int
test_texts(struct compiler *c, const struct yaml_node *n, struct test *t)
{
	bool list = n->kind == YAML_LIST;

	t->kind = TEST_TEXTS;
	if (plan_too_many(c, n, PLAN_MAX_ITEMS) ||
	    (t->v = plan_alloc(c, list ? n->children : 1, sizeof(*t->v))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL) {
		if (item->kind != YAML_SCALAR || item->text_n == 0)
			return plan_wrong(c, item, "a test is present, absent, a text, or a list of texts");
		pattern_make(&t->v[t->n++], yaml_slice(item));
	}
	return t->n > 0 ? 0 : plan_wrong(c, n, "a list of texts is empty");
}

static int
test(struct compiler *c, const struct yaml_node *n, bool columns, struct test *ret)
{
	if (plan_ref(c, n, slice_make(n->key->text, n->key->text_n), columns, &ret->ref) != 0)
		return -1;
	if (n->kind == YAML_MAP)
		return plan_wrong(c, n, "a test is present, absent, a text, or a list of texts");
	if (n->kind == YAML_SCALAR && !n->quoted && strcmp(n->text, "present") == 0)
		ret->kind = TEST_PRESENT;
	else if (n->kind == YAML_SCALAR && !n->quoted && strcmp(n->text, "absent") == 0)
		ret->kind = TEST_ABSENT;
	else
		return test_texts(c, n, ret);
	return 0;
}

/* What a test costs: a look at a slot, equal texts, texts with stars. */
static unsigned
cost(const struct test *t)
{
	unsigned n = t->ref.kind == REF_PATH ? 0 : 1;

	if (t->kind != TEST_TEXTS)
		return n;
	n += 2 * t->n;
	for (uint32_t i = 0; i < t->n; i++)
		n += t->v[i].glob ? 8 : 0;
	return n;
}

/* All must hold, in whatever order: the cheap ones first. */
static void
cheap_first(struct test *v, uint32_t n)
{
	for (uint32_t i = 1; i < n; i++)
		for (uint32_t k = i; k > 0 && cost(&v[k]) < cost(&v[k - 1]); k--) {
			struct test t = v[k];

			v[k] = v[k - 1];
			v[k - 1] = t;
		}
}

int
plan_tests(struct compiler *c, const struct yaml_node *map, bool columns, struct test **ret, uint32_t *ret_n)
{
	struct test *v;
	uint32_t n = 0;
	int rc = 0;

	if (map->kind != YAML_MAP || map->children == 0)
		return plan_wrong(c, map, "tests are written {path: test, ...}");
	if (plan_too_many(c, map, PLAN_MAX_ITEMS) || (v = plan_alloc(c, map->children, sizeof(*v))) == NULL)
		return -1;
	for (const struct yaml_node *item = map->first; item != NULL; item = item->next)
		if (test(c, item, columns, &v[n++]) != 0)
			rc = -1;
	if (rc == 0) {
		cheap_first(v, n);
		*ret = v;
		*ret_n = n;
	}
	return rc;
}

/* ---- tables and words --------------------------------------------------------------------------------- */

static int
table_add(struct compiler *c, struct table *t, const struct yaml_node *n)
{
	struct slice key = { n->key->text, n->key->text_n };
	uint64_t hash;
	uint32_t i;

	if (key.n == 0 || n->kind != YAML_SCALAR || n->text_n == 0)
		return plan_wrong(c, n, "a map goes from text to text");
	if (memchr(key.p, '*', key.n) != NULL) {
		pattern_make(&t->globs[t->nglobs].key, key);
		t->globs[t->nglobs++].value = yaml_slice(n);
		return 0;
	}
	hash = fold_hash(0, key);
	for (i = (uint32_t)hash & t->mask; t->slots[i].hash != 0; i = (i + 1) & t->mask)
		if (slice_eq_nocase(t->slots[i].key, key))
			return plan_wrong(c, n, "stands twice in this map (case does not count)");
	t->slots[i] = (struct table_slot){ .hash = hash, .key = key, .value = yaml_slice(n) };
	return 0;
}

int
plan_table(struct compiler *c, const struct yaml_node *map, struct table *ret)
{
	struct table t = { .name = slice_of(plan_key(map)), .yaml = map };
	size_t globs = 0;
	uint32_t slots = 4;
	int rc = 0;

	if (map->kind != YAML_MAP || map->children == 0)
		return plan_wrong(c, map, "a map goes from text to text, {a: b, ...}");
	if (plan_too_many(c, map, PLAN_MAX_TABLE))
		return -1;
	while (slots < map->children * 2)
		slots *= 2;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next)
		globs += strchr(plan_key(n), '*') != NULL;
	t.mask = slots - 1;
	t.slots = plan_alloc(c, slots, sizeof(*t.slots));
	t.globs = plan_alloc(c, globs, sizeof(*t.globs));
	if (t.slots == NULL || t.globs == NULL)
		return -1;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next)
		if (table_add(c, &t, n) != 0)
			rc = -1;
	if (rc == 0)
		*ret = t;
	return rc;
}

int
plan_words(struct compiler *c, const struct yaml_node *list, struct words *ret)
{
	struct words w = { 0 };

	if (list->kind != YAML_LIST)
		return plan_wrong(c, list, "a list of key words stands here");
	if (plan_too_many(c, list, PLAN_MAX_ITEMS) || (w.v = plan_alloc(c, list->children, sizeof(*w.v))) == NULL)
		return -1;
	for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
		char *p;
		size_t len = 0;

		if (n->kind != YAML_SCALAR || n->text_n == 0 || n->text_n > PLAN_MAX_NAME)
			return plan_wrong(c, n, "a key word is a text of 1 to 64 bytes");
		p = plan_alloc(c, n->text_n, 1);
		if (p == NULL)
			return -1;
		for (size_t i = 0; i < n->text_n; i++)	/* keys are compared without these signs, too */
			if (strchr("_-. ", n->text[i]) == NULL)
				p[len++] = (char)ascii_lower((unsigned char)n->text[i]);
		if (len == 0)
			return plan_wrong(c, n, "a key word has letters");
		w.v[w.n++] = slice_make(p, len);
	}
	words_index(&w);
	*ret = w;
	return 0;
}
