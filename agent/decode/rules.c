/* rules.c - the parts of a mapping from YAML: references, tests, tables, and rules with their blocks. */
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

__attribute__((format(printf, 3, 4)))
static int
wrong(struct compiler *c, const struct yaml_node *n, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	problem_add(c->problems, n->file, n->line, plan_key(n)[0] != '\0' ? plan_key(n) : c->key, "%s", text);
	return -1;
}

static const char *
meant(const char *text, const char *words, char *ret, size_t n)
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
			rc = wrong(c, n, "unknown key%s; allowed: %s", meant(plan_key(n), allowed, hint, sizeof(hint)), allowed);
	return rc;
}

static bool
too_many(struct compiler *c, const struct yaml_node *list, size_t most)
{
	if (list->children <= most)
		return false;
	(void)wrong(c, list, "has %zu entries, at most %zu", list->children, most);
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
		return wrong(c, n, "%.*s: not a path: %s", (int)(text.n > 80 ? 80 : text.n), text.p, what);
	node = trie_add(&c->d->trie, steps, nsteps);
	if (node == 0)
		return wrong(c, n, "too many paths (at most %d), or no memory", PLAN_MAX_PATHS);
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
		(void)wrong(c, n, "%.60s: no such column%s", name, meant(name, column_words(c), hint, sizeof(hint)));
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
		return wrong(c, n, "%.60s: only paths may stand here", text.p);
	if (slice_eq(text, SLICE(ARRIVAL_NAME))) {
		*ret = (struct ref){ .kind = REF_ARRIVAL, .text = text };
		return 0;
	}
	f = plan_column(c, n, text.p + 1);
	if (f < 0)
		return -1;
	if ((c->columns >> f & 1) == 0)
		return wrong(c, n, "%.60s: no earlier rule fills this column", text.p);
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
		return wrong(c, n, "a path or a list of paths stands here");
	if (too_many(c, n, PLAN_MAX_ITEMS) || (v = plan_alloc(c, count, sizeof(*v))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL) {
		if (item->kind != YAML_SCALAR)
			rc = wrong(c, item, "a path is a text");
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
	if (too_many(c, n, PLAN_MAX_ITEMS) ||
	    (t->v = plan_alloc(c, list ? n->children : 1, sizeof(*t->v))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL) {
		if (item->kind != YAML_SCALAR || item->text_n == 0)
			return wrong(c, item, "a test is present, absent, a text, or a list of texts");
		pattern_make(&t->v[t->n++], yaml_slice(item));
	}
	return t->n > 0 ? 0 : wrong(c, n, "a list of texts is empty");
}

static int
test(struct compiler *c, const struct yaml_node *n, bool columns, struct test *ret)
{
	if (plan_ref(c, n, slice_make(n->key->text, n->key->text_n), columns, &ret->ref) != 0)
		return -1;
	if (n->kind == YAML_MAP)
		return wrong(c, n, "a test is present, absent, a text, or a list of texts");
	if (n->kind == YAML_SCALAR && !n->quoted && strcmp(n->text, "present") == 0)
		ret->kind = TEST_PRESENT;
	else if (n->kind == YAML_SCALAR && !n->quoted && strcmp(n->text, "absent") == 0)
		ret->kind = TEST_ABSENT;
	else
		return test_texts(c, n, ret);
	return 0;
}

int
plan_tests(struct compiler *c, const struct yaml_node *map, bool columns, struct test **ret, uint32_t *ret_n)
{
	struct test *v;
	uint32_t n = 0;
	int rc = 0;

	if (map->kind != YAML_MAP || map->children == 0)
		return wrong(c, map, "tests are written {path: test, ...}");
	if (too_many(c, map, PLAN_MAX_ITEMS) || (v = plan_alloc(c, map->children, sizeof(*v))) == NULL)
		return -1;
	for (const struct yaml_node *item = map->first; item != NULL; item = item->next)
		if (test(c, item, columns, &v[n++]) != 0)
			rc = -1;
	if (rc == 0) {
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
		return wrong(c, n, "a map goes from text to text");
	if (memchr(key.p, '*', key.n) != NULL) {
		pattern_make(&t->globs[t->nglobs].key, key);
		t->globs[t->nglobs++].value = yaml_slice(n);
		return 0;
	}
	hash = fold_hash(0, key);
	for (i = (uint32_t)hash & t->mask; t->slots[i].hash != 0; i = (i + 1) & t->mask)
		if (slice_eq_nocase(t->slots[i].key, key))
			return wrong(c, n, "stands twice in this map (case does not count)");
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
		return wrong(c, map, "a map goes from text to text, {a: b, ...}");
	if (too_many(c, map, PLAN_MAX_TABLE))
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
		return wrong(c, list, "a list of key words stands here");
	if (too_many(c, list, PLAN_MAX_ITEMS) || (w.v = plan_alloc(c, list->children, sizeof(*w.v))) == NULL)
		return -1;
	for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
		char *p;
		size_t len = 0;

		if (n->kind != YAML_SCALAR || n->text_n == 0 || n->text_n > PLAN_MAX_NAME)
			return wrong(c, n, "a key word is a text of 1 to 64 bytes");
		p = plan_alloc(c, n->text_n, 1);
		if (p == NULL)
			return -1;
		for (size_t i = 0; i < n->text_n; i++)	/* keys are compared without these signs, too */
			if (strchr("_-. ", n->text[i]) == NULL)
				p[len++] = (char)ascii_lower((unsigned char)n->text[i]);
		if (len == 0)
			return wrong(c, n, "a key word has letters");
		w.v[w.n++] = slice_make(p, len);
	}
	*ret = w;
	return 0;
}

/* ---- rules ------------------------------------------------------------------------------------------------ */

const char *
field_words(int field)
{
	switch (field) {
	case F_EventClass:	/* findings and the agent's own are made elsewhere */
		return "alert|recommendation|attack_path|inventory|activity|control";
	case F_EventSeverity:
		return "Informational|Low|Medium|High|Critical";
	case F_EventResult:
		return "Success|Failure|Partial|NA";
	case F_CloudProvider:
		return "Azure|AWS|GCP|Microsoft365";
	case F_TargetResourceType:
		return "azure_openai|azure_ai_services|azure_ml|azure_ai_foundry|copilot_studio|amazon_bedrock|"
		    "amazon_sagemaker|gcp_vertex_ai|gcp_ai_platform|other";
	default:
		return NULL;
	}
}

static int
check_literal(struct compiler *c, const struct yaml_node *n, int field)
{
	const char *words = field_words(field);
	struct slice s = n->kind == YAML_SCALAR ? yaml_slice(n) : SLICE_NONE;
	double number;
	int64_t ms;

	if (s.n == 0)
		return wrong(c, n, "a text stands here, not an empty one");
	if (field < 0)
		return 0;
	if (words != NULL && !word_among(words, s))
		return wrong(c, n, "%.40s is no value of %s; allowed: %s", s.p, field_rows[field].name, words);
	switch (field_rows[field].type) {
	case FIELD_INT:
	case FIELD_LONG:
	case FIELD_REAL:
		return slice_to_double(s, &number) ? 0 : wrong(c, n, "%.40s is no number", s.p);
	case FIELD_TIME:
		return time_parse(s, &ms) ? 0 : wrong(c, n, "%.40s is no time", s.p);
	default:
		return 0;
	}
}

static int
check_table(struct compiler *c, const struct table *t, int field)
{
	int rc = 0;

	for (const struct yaml_node *n = t->yaml->first; n != NULL; n = n->next)
		if (check_literal(c, n, field) != 0)
			rc = -1;
	return rc;
}

static int
block_as(struct compiler *c, const struct yaml_node *n, int field, struct block *b)
{
	bool number = field >= 0 && field_rows[field].type != FIELD_TEXT && field_rows[field].type != FIELD_JSON;
	char hint[128];

	if (n->kind != YAML_SCALAR)
		return wrong(c, n, "a converter's name stands here");
	b->as = converter_find(n->text);
	if (b->as == NULL)
		return wrong(c, n, "%.40s: no such converter%s; allowed: %s", n->text,
		    meant(n->text, converter_words(), hint, sizeof(hint)), converter_words());
	if (field >= 0 && ((number && (b->as->gives & GIVES_JSON) != 0) ||
	    (number && field_rows[field].type != FIELD_TIME && (b->as->gives & GIVES_TIME) != 0)))
		return wrong(c, n, "%s does not fit into %s", n->text, field_rows[field].name);
	return 0;
}

static int
block_table(struct compiler *c, const struct yaml_node *n, int field, struct block *b)
{
	struct table *t;

	if (strcmp(plan_key(n), "map") == 0) {
		t = plan_alloc(c, 1, sizeof(*t));
		if (t == NULL || plan_table(c, n, t) != 0)
			return -1;
		b->table = t;
		return check_table(c, t, field);
	}
	if (n->kind != YAML_SCALAR)
		return wrong(c, n, "a table's name stands here");
	for (t = c->family->tables; t != NULL; t = t->next)
		if (slice_eq(t->name, yaml_slice(n))) {
			b->table = t;
			return check_table(c, t, field);
		}
	return wrong(c, n, "%.40s: no such table in `tables`", n->text);
}

/* Without an exponent, as JSON spells it. */
static bool
is_number(const char *s)
{
	size_t whole;

	s += *s == '-';
	whole = strspn(s, "0123456789");
	if (whole == 0 || (whole > 1 && *s == '0'))
		return false;
	s += whole;
	if (*s == '.' && s[1] != '\0')
		s += 1 + strspn(s + 1, "0123456789");
	return *s == '\0';
}

/* A member of AdditionalFields keeps what YAML takes its literal for: a number, true or false, else a text. */
static enum val_kind
literal_kind(const struct yaml_node *n, int field)
{
	if (field >= 0 || n->quoted)
		return VAL_TEXT;
	if (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)
		return VAL_BOOL;
	return is_number(n->text) ? VAL_NUMBER_TEXT : VAL_TEXT;
}

static int
block_since(struct compiler *c, const struct yaml_node *n, int field, struct block *b)
{
	if (b->kind != FROM_REFS)
		return wrong(c, n, "goes with from");
	if (field >= 0 && (field_rows[field].type == FIELD_TIME || field_rows[field].type == FIELD_TEXT))
		return wrong(c, n, "gives milliseconds, which do not fit into %s", field_rows[field].name);
	b->as = converter_find("time");
	return plan_refs(c, n, true, &b->since, &b->nsince);
}

static int
block_source(struct compiler *c, const struct yaml_node *map, int field, struct block *b)
{
	static const char *const with_from[] = { "as", "map", "table", "segment", "since" };
	const struct yaml_node *from = yaml_get(map, "from"), *all = yaml_get(map, "all"), *value = yaml_get(map, "value"),
	    *say = yaml_get(map, "say");

	if ((from != NULL) + (all != NULL) + (value != NULL) + (say != NULL) != 1)
		return wrong(c, map, "a rule has one of from, all, value, say");
	b->kind = from != NULL ? FROM_REFS : all != NULL ? FROM_ALL : value != NULL ? FROM_VALUE : FROM_SAY;
	if (from != NULL || all != NULL)
		return plan_refs(c, from != NULL ? from : all, true, &b->refs, &b->nrefs);
	for (size_t i = 0; i < sizeof(with_from) / sizeof(with_from[0]); i++)
		if (yaml_get(map, with_from[i]) != NULL)
			return wrong(c, map, "as, map, table, segment and since go with from");
	if (say != NULL)
		return say->kind == YAML_SCALAR ? say_compile(c, say, b) : wrong(c, say, "a sentence is a text");
	if (check_literal(c, value, field) != 0)
		return -1;
	b->value = yaml_slice(value);
	b->value_kind = literal_kind(value, field);
	return 0;
}

/* `list[] as: count` asks how many elements fit; the walk counts them. */
static void
count_elements(struct compiler *c, const struct block *b)
{
	struct trie *t = &c->d->trie;

	if (b->as != converter_find("count"))
		return;
	for (uint32_t i = 0; i < b->nrefs; i++)
		if (b->refs[i].kind == REF_PATH && trie_is_element(t, b->refs[i].node))
			t->nodes[b->refs[i].node].counted = true;
}

static int
block_map(struct compiler *c, const struct yaml_node *map, int field, struct block *b)
{
	const struct yaml_node *n;
	int rc = plan_keys(c, map, "from|all|value|say|when|as|map|table|segment|since|else|prefix");

	if (block_source(c, map, field, b) != 0)
		rc = -1;
	if ((n = yaml_get(map, "when")) != NULL && plan_tests(c, n, true, &b->tests, &b->ntests) != 0)
		rc = -1;
	if ((n = yaml_get(map, "as")) != NULL && block_as(c, n, field, b) != 0)
		rc = -1;
	if (yaml_get(map, "map") != NULL && yaml_get(map, "table") != NULL)
		rc = wrong(c, map, "either map or table");
	else if (((n = yaml_get(map, "map")) != NULL || (n = yaml_get(map, "table")) != NULL) &&
	    block_table(c, n, field, b) != 0)
		rc = -1;
	count_elements(c, b);
	if ((n = yaml_get(map, "segment")) != NULL) {
		rc |= check_literal(c, n, -1);
		b->segment = n->kind == YAML_SCALAR ? yaml_slice(n) : SLICE_NONE;
	}
	/* With a map or a segment in between it is the text that is looked at. */
	if ((b->table != NULL || b->segment.p != NULL) && yaml_get(map, "as") == NULL)
		b->as = converter_find("text");
	if (b->kind == FROM_ALL && (b->as->gives & (GIVES_TEXT | GIVES_NUMBER)) == 0)
		rc = wrong(c, map, "numbers and texts can be taken together, %s cannot", b->as->name);
	if ((n = yaml_get(map, "since")) != NULL && block_since(c, n, field, b) != 0)
		rc = -1;
	if ((n = yaml_get(map, "else")) != NULL) {
		rc |= check_literal(c, n, field);
		b->otherwise = n->kind == YAML_SCALAR ? yaml_slice(n) : SLICE_NONE;
		b->otherwise_kind = n->kind == YAML_SCALAR ? literal_kind(n, field) : VAL_TEXT;
	}
	if ((n = yaml_get(map, "prefix")) != NULL) {
		rc |= check_literal(c, n, -1);
		b->prefix = n->kind == YAML_SCALAR ? yaml_slice(n) : SLICE_NONE;
	}
	return rc == 0 ? 0 : -1;
}

static int
block(struct compiler *c, const struct yaml_node *n, int field, struct block *b)
{
	b->line = n->line;
	b->kind = FROM_REFS;
	b->as = converter_default(field);
	if (n->kind == YAML_MAP)
		return block_map(c, n, field, b);
	return plan_refs(c, n, true, &b->refs, &b->nrefs);
}

int
plan_rule(struct compiler *c, const struct yaml_node *n, int field, struct rule *ret)
{
	bool list = n->kind == YAML_LIST;
	struct rule r = { .name = slice_of(plan_key(n)), .field = field, .line = n->line, .words = field_words(field) };
	int rc = 0;

	c->key = plan_key(n);
	if (++c->nrules > PLAN_MAX_RULES)
		return c->nrules == PLAN_MAX_RULES + 1 ? wrong(c, n, "a family has at most %d rules", PLAN_MAX_RULES) : -1;
	if (list && n->children == 0)
		return wrong(c, n, "a rule is a path, a list of paths, a block, or a list of blocks");
	if (too_many(c, n, PLAN_MAX_ITEMS) ||
	    (r.blocks = plan_alloc(c, list ? n->children : 1, sizeof(*r.blocks))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL)
		if (block(c, item, field, &r.blocks[r.nblocks++]) != 0)
			rc = -1;
	if (rc == 0)
		*ret = r;
	return rc;
}
