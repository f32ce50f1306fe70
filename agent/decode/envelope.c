/* envelope.c - the wrappers that records come in, and taking them off. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <string.h>

#include "base/err.h"

#define ENVELOPE_KEYS	"name|list|text|object|base64|only|when|additional|help"
#define OUTER_TEXT_BYTES	1024	/* longer texts are no ids */

/* ---- from YAML -------------------------------------------------------------------------------- */

static int
wrong(struct compiler *c, const struct yaml_node *n, const char *what)
{
	problem_add(c->problems, n->file, n->line, plan_key(n)[0] != '\0' ? plan_key(n) : "envelopes", "%s", what);
	return -1;
}

static int
only(struct compiler *c, const struct yaml_node *list, struct envelope *e)
{
	e->has_only = true;
	if (list->kind != YAML_LIST || list->children > PLAN_MAX_ITEMS)
		return wrong(c, list, "a list of at most 256 keys that may stand beside");
	e->only = plan_alloc(c, list->children, sizeof(*e->only));
	if (e->only == NULL)
		return -1;
	for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
		if (n->kind != YAML_SCALAR || n->text_n == 0)
			return wrong(c, n, "a key is a text");
		pattern_make(&e->only[e->nonly++], yaml_slice(n));
	}
	return 0;
}

static int
inner_path(struct compiler *c, const struct yaml_node *n, struct envelope *e)
{
	struct step steps[PLAN_MAX_STEPS];
	const char *what;
	uint32_t nsteps, node;

	if (n->kind != YAML_SCALAR)
		return wrong(c, n, "a path");
	what = path_parse(yaml_slice(n), &c->d->arena, steps, &nsteps);
	if (what != NULL)
		return wrong(c, n, what);
	if (e->kind == ENVELOPE_LIST && (steps[nsteps - 1].kind != STEP_FIRST || nsteps < 2))
		return wrong(c, n, "a list of records ends with []");
	nsteps -= e->kind == ENVELOPE_LIST ? 1 : 0;
	for (uint32_t i = 0; i < nsteps; i++)
		if (steps[i].kind == STEP_FIRST)
			return wrong(c, n, "[] stands only at the end of a list");
	node = trie_add(&c->d->trie, steps, nsteps);
	if (node == 0)
		return wrong(c, n, "too many paths, or no memory");
	if (e->kind == ENVELOPE_LIST)
		c->d->trie.nodes[node].keep_empty = true;
	e->ref = (struct ref){ .kind = REF_PATH, .node = node, .text = yaml_slice(n) };
	e->head = steps[0].key;
	return 0;
}

static int
outer_members(struct compiler *c, const struct yaml_node *map, struct envelope *e)
{
	int rc = 0;

	if (map->kind != YAML_MAP || map->children > PLAN_MAX_ITEMS)
		return wrong(c, map, "at most 256 members and their paths, {Name: path, ...}");
	e->outer = plan_alloc(c, map->children, sizeof(*e->outer));
	if (e->outer == NULL)
		return -1;
	for (const struct yaml_node *n = map->first; n != NULL; n = n->next) {
		struct withheld *m = &e->outer[e->nouter++];

		m->name = slice_of(plan_key(n));
		m->line = n->line;
		if (plan_member(c, n, &m->json_name) != 0 || plan_refs(c, n, false, &m->refs, &m->nrefs) != 0)
			rc = -1;
	}
	return rc;
}

static int
envelope(struct compiler *c, const struct yaml_node *map, struct envelope *e)
{
	static const char *const kinds[] = { "list", "text", "object", "base64" };
	const struct yaml_node *n, *path = NULL;
	unsigned paths = 0;

	if (map->kind != YAML_MAP)
		return wrong(c, map, "an envelope is {name: .., list|text|object|base64: PATH, only: [..], when: {..}}");
	if (plan_keys(c, map, ENVELOPE_KEYS) != 0)
		return -1;
	n = yaml_get(map, "name");
	if (n == NULL || n->kind != YAML_SCALAR || n->text_n == 0)
		return wrong(c, map, "an envelope has a name");
	*e = (struct envelope){ .name = yaml_slice(n), .line = map->line, .file = map->file };
	for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		n = yaml_get(map, kinds[i]);
		if (n == NULL)
			continue;
		path = n;
		e->kind = (enum envelope_kind)i;
		paths++;
	}
	if (paths != 1)
		return wrong(c, map, "an envelope has one of list, text, object, base64");
	if (inner_path(c, path, e) != 0)
		return -1;
	if ((n = yaml_get(map, "only")) != NULL && only(c, n, e) != 0)
		return -1;
	if ((n = yaml_get(map, "when")) != NULL && plan_tests(c, n, false, &e->tests, &e->ntests) != 0)
		return -1;
	if ((n = yaml_get(map, "additional")) != NULL && outer_members(c, n, e) != 0)
		return -1;
	return 0;
}

static bool
is_member(const struct family *f, struct slice name)
{
	for (uint32_t i = 0; i < f->nadditional; i++)
		if (slice_eq_nocase(f->additional[i].name, name))
			return true;
	for (uint32_t i = 0; i < f->nwithheld; i++)
		if (slice_eq_nocase(f->withheld[i].name, name))
			return true;
	return false;
}

void
envelope_check(struct compiler *c)
{
	const struct decoder *d = c->d;

	for (uint32_t i = 0; i < d->nenvelopes; i++)
		for (uint32_t k = 0; k < d->envelopes[i]->nouter; k++)
			for (uint32_t f = 0; f < d->nfamilies; f++)
				if (is_member(d->families[f], d->envelopes[i]->outer[k].name))
					problem_add(c->problems, d->envelopes[i]->file, d->envelopes[i]->outer[k].line, "additional",
					    "%s is a member that the family %s makes", d->envelopes[i]->outer[k].name.p,
					    d->families[f]->name_text);
}

int
envelope_compile(struct compiler *c, const struct yaml_node *list)
{
	struct decoder *d = c->d;
	int rc = 0;

	c->key = "envelopes";
	if (list->kind == YAML_MAP && list->children == 0)
		return 0;		/* an empty file */
	if (list->kind != YAML_LIST)
		return wrong(c, list, "a list of envelopes");
	for (const struct yaml_node *n = list->first; n != NULL; n = n->next) {
		struct envelope *e;

		if (d->nenvelopes == PLAN_MAX_ENVELOPES)
			return wrong(c, n, "more than 64 envelopes");
		e = plan_alloc(c, 1, sizeof(*e));
		if (e == NULL)
			return -1;
		if (envelope(c, n, e) != 0)
			rc = -1;
		else
			d->envelopes[d->nenvelopes++] = e;
	}
	return rc;
}

/* ---- on a record ----------------------------------------------------------------------------------- */

static bool
only_holds(struct decode_ctx *c, const struct envelope *e, uint32_t at)
{
	for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i + 1].next) {
		struct slice key;
		bool known;

		if (!value_text(c, i, &key))
			return false;
		known = slice_eq_nocase(key, e->head);
		for (uint32_t k = 0; !known && k < e->nonly; k++)
			known = pattern_fits(&e->only[k], key);
		if (!known)
			return false;
	}
	return true;
}

/* What the slot holds, if it is of the envelope's kind; a text that is JSON will do for each. */
static uint32_t
inner(struct decode_ctx *c, const struct envelope *e)
{
	uint32_t at = e->kind == ENVELOPE_LIST ? walk_get_any(c, e->ref.node) : walk_get(c, e->ref.node);
	bool text = at != 0 && c->doc.v[at].type == JSON_STRING;

	if (at != 0 && e->kind == ENVELOPE_BASE64)
		return walk_base64(c, at);
	if (text)
		at = walk_nested(c, at);
	if (at == 0)
		return 0;
	switch (e->kind) {
	case ENVELOPE_LIST:
		return c->doc.v[at].type == JSON_ARRAY ? at : 0;
	case ENVELOPE_TEXT:
		return text ? at : 0;
	default:
		return c->doc.v[at].type == JSON_OBJECT ? at : 0;
	}
}

/* An id, a number, a boolean; written as it was. */
static bool
put_outer(struct decode_ctx *c, uint32_t at, struct slice json_name)
{
	struct buf *out = &c->outer;
	struct slice s;

	if (!value_text(c, at, &s) || s.n > OUTER_TEXT_BYTES || out->n + json_name.n + s.n > OUTER_MAX_BYTES)
		return false;
	buf_putc(out, ',');
	buf_put_slice(out, json_name);
	if (c->doc.v[at].type == JSON_STRING)
		buf_put_json(out, s);
	else
		buf_put_slice(out, s);
	return true;
}

void
envelope_outer(struct decode_ctx *c, const struct envelope *e)
{
	for (uint32_t i = 0; i < e->nouter; i++) {
		const struct withheld *m = &e->outer[i];

		for (uint32_t k = 0; k < m->nrefs; k++) {
			uint32_t at = walk_get(c, m->refs[k].node);

			if (at == 0 || (c->outer.n > 0 && memmem(c->outer.p, c->outer.n, m->json_name.p, m->json_name.n) != NULL) ||
			    !put_outer(c, at, m->json_name))
				continue;
			if (c->why != NULL)
				why_outer(c, e, m, &m->refs[k], at);
			break;
		}
	}
	if (c->outer.failed)
		c->short_of_memory = true;
}

const struct envelope *
envelope_find(struct decode_ctx *c, uint32_t at, uint32_t *ret_inner)
{
	for (uint32_t i = 0; i < c->plan->nenvelopes; i++) {
		const struct envelope *e = c->plan->envelopes[i];
		uint32_t found;

		if (walk_get_any(c, e->ref.node) == 0 || !fill_tests(c, NULL, e->tests, e->ntests))
			continue;
		if (e->has_only && !only_holds(c, e, at))
			continue;
		found = inner(c, e);
		if (found == 0)
			continue;
		*ret_inner = found;
		return e;
	}
	return NULL;
}
