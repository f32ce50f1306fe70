/* family.c - one family's mapping from YAML to a program: recognition, id, columns, AdditionalFields, withheld. */
#include "decode/plan.h"

#include <string.h>

#include "base/err.h"

#define FAMILY_KEYS	"family|help|order|match|relay|each|each_when|id|tables|fields|additional|withheld|redact|prompt_like"
#define ORDER_DEFAULT	1000

static int
wrong(struct compiler *c, const struct yaml_node *n, const char *what)
{
	problem_add(c->problems, n->file, n->line, plan_key(n)[0] != '\0' ? plan_key(n) : c->key, "%s", what);
	return -1;
}

/* ---- recognition -------------------------------------------------------------------------- */

static int
shapes(struct compiler *c, const struct yaml_node *n, struct shape **ret, uint32_t *ret_n)
{
	bool list = n->kind == YAML_LIST;
	struct shape *v;
	uint32_t count = 0;
	int rc = 0;

	c->key = plan_key(n);
	if (list && (n->children == 0 || n->children > PLAN_MAX_ITEMS))
		return wrong(c, n, "a list of 1 to 256 shapes, each {path: test, ...}");
	v = plan_alloc(c, list ? n->children : 1, sizeof(*v));
	if (v == NULL)
		return -1;
	for (const struct yaml_node *item = list ? n->first : n; item != NULL; item = list ? item->next : NULL) {
		v[count].line = item->line;
		if (plan_tests(c, item, false, &v[count].tests, &v[count].n) != 0)
			rc = -1;
		count++;
	}
	*ret = v;
	*ret_n = count;
	return rc;
}

static int
each(struct compiler *c, const struct yaml_node *n, struct family *f)
{
	struct step steps[PLAN_MAX_STEPS];
	const char *what;
	uint32_t nsteps;

	if (n->kind != YAML_SCALAR)
		return wrong(c, n, "a path to list elements, such as records[]");
	what = path_parse(yaml_slice(n), &c->d->arena, steps, &nsteps);
	if (what != NULL)
		return wrong(c, n, what);
	if (steps[nsteps - 1].kind != STEP_FIRST)
		return wrong(c, n, "a path to list elements ends with []");
	f->each_text = yaml_slice(n);
	f->each = plan_alloc(c, nsteps, sizeof(*f->each));
	if (f->each == NULL)
		return -1;
	for (uint32_t i = 0; i < nsteps; i++) {
		uint32_t list, element;

		if (steps[i].kind != STEP_FIRST)
			continue;
		list = trie_add(&c->d->trie, steps, i);
		element = list != 0 ? trie_add(&c->d->trie, steps, i + 1) : 0;
		if (element == 0)
			return wrong(c, n, "too many paths, or no memory");
		c->d->trie.nodes[list].keep_empty = true;
		f->each[f->neach++].node = element;
	}
	return 0;
}

static bool
is_below(const struct trie *t, uint32_t node, uint32_t top)
{
	while (node != top && node != 0)
		node = t->nodes[node].parent;
	return node == top;
}

void
family_finish(struct compiler *c, struct family *f)
{
	const struct trie *t = &c->d->trie;

	for (uint32_t i = 0; i < f->neach; i++) {
		struct spine *s = &f->each[i];
		uint32_t n = 0;

		for (uint32_t node = 1; node < t->n; node++)
			n += is_below(t, node, s->node);
		s->below = plan_alloc(c, n, sizeof(*s->below));
		if (s->below == NULL)
			return;
		for (uint32_t node = 1; node < t->n; node++)
			if (is_below(t, node, s->node))
				s->below[s->nbelow++] = node;
	}
}

/* ---- which families to ask ----------------------------------------------------------------- */

static bool
is_needed(const struct test *t)
{
	return t->kind != TEST_ABSENT && t->ref.kind == REF_PATH;
}

static void
count_needs(const struct family *f, uint32_t *needs)
{
	for (uint32_t i = 0; i < f->nshapes; i++)
		for (uint32_t k = 0; k < f->shapes[i].n; k++)
			needs[f->shapes[i].tests[k].ref.node] += is_needed(&f->shapes[i].tests[k]);
}

/* The node that a shape needs and the fewest others do, or 0. */
static uint32_t
rarest(const struct shape *s, const uint32_t *needs)
{
	uint32_t best = 0;

	for (uint32_t k = 0; k < s->n; k++) {
		uint32_t node = s->tests[k].ref.node;

		if (is_needed(&s->tests[k]) && (best == 0 || needs[node] < needs[best]))
			best = node;
	}
	return best;
}

/* Each shape is asked only of records that have its rarest key: the walk collects the families' bits on its way. */
int
family_index(struct compiler *c)
{
	struct decoder *d = c->d;
	uint32_t *needs = plan_alloc(c, d->trie.n, sizeof(*needs));

	if (needs == NULL)
		return -1;
	for (uint32_t i = 0; i < d->nfamilies; i++)
		count_needs(d->families[i], needs);
	for (uint32_t i = 0; i < d->nfamilies; i++)
		for (uint32_t k = 0; k < d->families[i]->nshapes; k++) {
			uint32_t node = rarest(&d->families[i]->shapes[k], needs);

			if (node != 0)
				d->trie.nodes[node].families |= UINT64_C(1) << i;
			else
				d->always |= UINT64_C(1) << i;
		}
	return 0;
}

/* ---- columns and members ---------------------------------------------------------------------- */

static int
column(struct compiler *c, const struct yaml_node *n)
{
	int field = plan_column(c, n, plan_key(n));

	switch (field) {
	case F_EventId:
	case F_AgentId:
	case F_AgentVersion:
	case F_DvcHostname:
	case F_EventSchemaVersion:
	case F_GovernanceZone:
	case F_SlaDueTime:
	case F_TruncatedFields:
		(void)wrong(c, n, "the agent fills this column itself");
		return -1;
	case F_AdditionalFields:
		(void)wrong(c, n, "its members stand under `additional`");
		return -1;
	default:
		return field;
	}
}

static int
fields(struct compiler *c, const struct yaml_node *map, struct family *f)
{
	int rc = 0;

	if (map->kind != YAML_MAP)
		return wrong(c, map, "columns and their rules, {Column: rule, ...}");
	if (map->children > FIELD_COUNT)
		return wrong(c, map, "more columns than there are");
	f->rules = plan_alloc(c, map->children, sizeof(*f->rules));
	if (f->rules == NULL)
		return -1;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
		int field = column(c, n);

		if (field < 0 || plan_rule(c, n, field, &f->rules[f->nrules++]) != 0)
			rc = -1;
		if (field >= 0)
			c->columns |= UINT64_C(1) << field;
	}
	return rc;
}

static struct slice
json_name(struct compiler *c, const char *name)
{
	size_t n = strlen(name);
	char *p = plan_alloc(c, n + 4, 1);

	if (p == NULL)
		return SLICE_NONE;
	p[0] = '"';
	memcpy(p + 1, name, n);
	memcpy(p + 1 + n, "\":", 2);
	return slice_make(p, n + 3);
}

int
plan_member(struct compiler *c, const struct yaml_node *n, struct slice *ret_json)
{
	if (!plan_name_fits(slice_of(plan_key(n))))
		return wrong(c, n, "a member's name: a letter, then at most 63 letters, digits, underscores");
	*ret_json = json_name(c, plan_key(n));
	return ret_json->p != NULL ? 0 : -1;
}

static int
additional(struct compiler *c, const struct yaml_node *map, struct family *f)
{
	int rc = 0;

	if (map->kind != YAML_MAP || map->children > PLAN_MAX_RULES)
		return wrong(c, map, "at most 512 members and their rules, {Name: path, ...}");
	f->additional = plan_alloc(c, map->children, sizeof(*f->additional));
	if (f->additional == NULL)
		return -1;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
		struct rule *r = &f->additional[f->nadditional++];
		struct slice json;

		if (plan_rule(c, n, -1, r) != 0 || plan_member(c, n, &json) != 0)
			rc = -1;
		else
			r->json_name = json;
	}
	return rc;
}

static bool
named_twice(const struct family *f, struct slice name)
{
	for (uint32_t i = 0; i < f->nadditional; i++)
		if (slice_eq(f->additional[i].name, name))
			return true;
	return false;
}

/* A path, a list of them, or {from: of these, show: keys}. */
static int
withheld_rule(struct compiler *c, const struct yaml_node *n, struct withheld *w)
{
	const struct yaml_node *from = n, *show = NULL;

	if (n->kind == YAML_MAP) {
		from = yaml_get(n, "from");
		show = yaml_get(n, "show");
		if (plan_keys(c, n, "from|show") != 0)
			return -1;
		if (from == NULL)
			return wrong(c, n, "a path, a list of paths, or {from: paths, show: keys}");
	}
	if (show != NULL && plan_words(c, show, &w->show) != 0)
		return -1;
	return plan_refs(c, from, false, &w->refs, &w->nrefs);
}

static int
withheld(struct compiler *c, const struct yaml_node *map, struct family *f)
{
	int rc = 0;

	if (map->kind != YAML_MAP || map->children > PLAN_MAX_RULES)
		return wrong(c, map, "at most 512 members and their paths, {Name: path, ...}");
	f->withheld = plan_alloc(c, map->children, sizeof(*f->withheld));
	if (f->withheld == NULL)
		return -1;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
		struct withheld *w = &f->withheld[f->nwithheld++];

		c->key = plan_key(n);
		w->name = slice_of(plan_key(n));
		w->line = n->line;
		if (plan_member(c, n, &w->json_name) != 0 || withheld_rule(c, n, w) != 0)
			rc = -1;
		else if (named_twice(f, w->name))
			rc = wrong(c, n, "stands under `additional`, too");
	}
	return rc;
}

static int
tables(struct compiler *c, const struct yaml_node *map, struct family *f)
{
	int rc = 0;

	if (map->kind != YAML_MAP || map->children > PLAN_MAX_ITEMS)
		return wrong(c, map, "at most 256 maps by name");
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
		struct table *t = plan_alloc(c, 1, sizeof(*t));

		c->key = plan_key(n);
		if (t == NULL || plan_table(c, n, t) != 0) {
			rc = -1;
			continue;
		}
		t->next = f->tables;
		f->tables = t;
	}
	return rc;
}

/* Paths, and columns that a rule of the family fills; never the arrival. */
static int
ids(struct compiler *c, const struct yaml_node *n, struct family *f)
{
	int rc;

	c->key = "id";
	f->ids_line = n->line;
	rc = plan_refs(c, n, true, &f->ids, &f->nids);
	for (uint32_t i = 0; rc == 0 && i < f->nids; i++)
		if (f->ids[i].kind == REF_ARRIVAL)
			rc = wrong(c, n, "$arrival is no part of an id: a record read twice has one");
	return rc;
}

/* ---- the family ----------------------------------------------------------------------------------- */

static int
order(struct compiler *c, struct family *f)
{
	const struct yaml_node *n = yaml_get(f->yaml, "order");

	f->order = ORDER_DEFAULT;
	if (n == NULL)
		return 0;
	if (n->kind != YAML_SCALAR || !slice_to_i64(yaml_slice(n), &f->order) || f->order < 0 || f->order > 100000)
		return wrong(c, n, "a whole number, 0 to 100000");
	return 0;
}

/* The one that takes what no other knows: it asks nothing and forwards no more than known keys. */
static int
check_unknown(struct compiler *c, const struct family *f)
{
	static const char *const not_here[] = { "match", "each", "each_when", "withheld" };
	int rc = 0;

	for (size_t i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++) {
		const struct yaml_node *n = yaml_get(f->yaml, not_here[i]);

		if (n != NULL)
			rc = wrong(c, n, "not for the family unknown: it takes each record that no other knows, whole");
	}
	return rc;
}

/* Another agent's event is taken whole: nothing is left to say about it. */
static int
relay(struct compiler *c, const struct yaml_node *n, struct family *f)
{
	static const char *const not_here[] = { "each", "each_when", "id", "tables", "fields", "additional", "withheld", "redact" };
	int rc = 0;

	if (n->kind != YAML_SCALAR || !slice_eq(yaml_slice(n), SLICE("true")) || slice_eq(f->name, SLICE("unknown")))
		return wrong(c, n, "true, of a family with match: its records are events of another agent");
	for (size_t i = 0; i < sizeof(not_here) / sizeof(not_here[0]); i++)
		if ((n = yaml_get(f->yaml, not_here[i])) != NULL)
			rc = wrong(c, n, "not with relay: such a record is an event, and goes on as it is");
	f->relay = true;
	return rc == 0 ? relay_compile(c, f) : rc;
}

static int
recognition(struct compiler *c, struct family *f)
{
	const struct yaml_node *match = yaml_get(f->yaml, "match"), *path = yaml_get(f->yaml, "each"),
	    *when = yaml_get(f->yaml, "each_when"), *words = yaml_get(f->yaml, "prompt_like");
	int rc = 0;

	if (slice_eq(f->name, SLICE("unknown")))
		return check_unknown(c, f);
	if (words != NULL)
		rc = wrong(c, words, "only for the family unknown");
	if (match == NULL)
		return wrong(c, f->yaml, "match is missing: a list of shapes, each {path: test, ...}");
	rc |= shapes(c, match, &f->shapes, &f->nshapes);
	if (path != NULL)
		rc |= each(c, path, f);
	if (when != NULL && path == NULL)
		rc |= wrong(c, when, "goes with each");
	else if (when != NULL)
		rc |= shapes(c, when, &f->each_when, &f->neach_when);
	return rc;
}

int
family_compile(struct compiler *c, struct family *f)
{
	const struct yaml_node *n;
	int rc = 0;

	c->family = f;
	c->key = "";
	c->columns = 0;
	c->nrules = 0;
	f->help = "";
	if ((n = yaml_get(f->yaml, "help")) != NULL && n->kind == YAML_SCALAR)
		f->help = n->text;
	rc |= plan_keys(c, f->yaml, FAMILY_KEYS);
	rc |= order(c, f);
	rc |= recognition(c, f);
	if ((n = yaml_get(f->yaml, "relay")) != NULL)
		rc |= relay(c, n, f);
	if ((n = yaml_get(f->yaml, "tables")) != NULL)
		rc |= tables(c, n, f);
	if ((n = yaml_get(f->yaml, "fields")) != NULL)
		rc |= fields(c, n, f);
	if ((n = yaml_get(f->yaml, "id")) != NULL)
		rc |= ids(c, n, f);
	if ((n = yaml_get(f->yaml, "additional")) != NULL)
		rc |= additional(c, n, f);
	if ((n = yaml_get(f->yaml, "withheld")) != NULL)
		rc |= withheld(c, n, f);
	if ((n = yaml_get(f->yaml, "redact")) != NULL)
		rc |= plan_words(c, n, &f->redact);
	if ((n = yaml_get(f->yaml, "prompt_like")) != NULL)
		rc |= plan_words(c, n, &f->prompt_like);
	return rc == 0 ? 0 : -1;
}
