/* rules.c - a mapping's rules from YAML: their blocks, literals and converters. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <string.h>

#include "base/err.h"

/* Of the classes those that mappings make, behind the first. */
#define BAR(word, by)	BAR_##by(word)
#define BAR_MAPPING(word)	"|" #word
#define BAR_DETECTOR(word)
#define BAR_AGENT(word)

const char *
field_words(int field)
{
	switch (field) {
	case F_EventClass:	/* findings and the agent's own are made elsewhere */
		return EVENT_CLASS_LIST(EVENT_CLASS_WORD, BAR);
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
		return plan_wrong(c, n, "a text stands here, not an empty one");
	if (field < 0)
		return 0;
	if (words != NULL && !word_among(words, s))
		return plan_wrong(c, n, "%.40s is no value of %s; allowed: %s", s.p, field_rows[field].name, words);
	switch (field_rows[field].type) {
	case FIELD_INT:
	case FIELD_LONG:
	case FIELD_REAL:
		return slice_to_double(s, &number) ? 0 : plan_wrong(c, n, "%.40s is no number", s.p);
	case FIELD_TIME:
		return time_parse(s, &ms) ? 0 : plan_wrong(c, n, "%.40s is no time", s.p);
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
		return plan_wrong(c, n, "a converter's name stands here");
	b->as = converter_find(n->text);
	if (b->as == NULL)
		return plan_wrong(c, n, "%.40s: no such converter%s; allowed: %s", n->text,
		    plan_meant(n->text, converter_words(), hint, sizeof(hint)), converter_words());
	if (field >= 0 && ((number && (b->as->gives & GIVES_JSON) != 0) ||
	    (number && field_rows[field].type != FIELD_TIME && (b->as->gives & GIVES_TIME) != 0)))
		return plan_wrong(c, n, "%s does not fit into %s", n->text, field_rows[field].name);
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
		return plan_wrong(c, n, "a table's name stands here");
	for (t = c->family->tables; t != NULL; t = t->next)
		if (slice_eq(t->name, yaml_slice(n))) {
			b->table = t;
			return check_table(c, t, field);
		}
	return plan_wrong(c, n, "%.40s: no such table in `tables`", n->text);
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
		return plan_wrong(c, n, "goes with from");
	if (field >= 0 && (field_rows[field].type == FIELD_TIME || field_rows[field].type == FIELD_TEXT))
		return plan_wrong(c, n, "gives milliseconds, which do not fit into %s", field_rows[field].name);
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
		return plan_wrong(c, map, "a rule has one of from, all, value, say");
	b->kind = from != NULL ? FROM_REFS : all != NULL ? FROM_ALL : value != NULL ? FROM_VALUE : FROM_SAY;
	if (from != NULL || all != NULL)
		return plan_refs(c, from != NULL ? from : all, true, &b->refs, &b->nrefs);
	for (size_t i = 0; i < sizeof(with_from) / sizeof(with_from[0]); i++)
		if (yaml_get(map, with_from[i]) != NULL)
			return plan_wrong(c, map, "as, map, table, segment and since go with from");
	if (say != NULL)
		return say->kind == YAML_SCALAR ? say_compile(c, say, b) : plan_wrong(c, say, "a sentence is a text");
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
		rc = plan_wrong(c, map, "either map or table");
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
	if (b->kind == FROM_ALL && b->as != NULL && (b->as->gives & (GIVES_TEXT | GIVES_NUMBER)) == 0)
		rc = plan_wrong(c, map, "numbers and texts can be taken together, %s cannot", b->as->name);
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
		return c->nrules == PLAN_MAX_RULES + 1 ? plan_wrong(c, n, "a family has at most %d rules", PLAN_MAX_RULES) : -1;
	if (list && n->children == 0)
		return plan_wrong(c, n, "a rule is a path, a list of paths, a block, or a list of blocks");
	if (plan_too_many(c, n, PLAN_MAX_ITEMS) ||
	    (r.blocks = plan_alloc(c, list ? n->children : 1, sizeof(*r.blocks))) == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL)
		if (block(c, item, field, &r.blocks[r.nblocks++]) != 0)
			rc = -1;
	if (rc == 0)
		*ret = r;
	return rc;
}
