/* say.c - sentences: "{Operation} on {TargetResourceName}[ by {ActorUsername}]". */
#include "decode/plan.h"

#include <string.h>

#define SAY_WORD_BYTES	512	/* of one value in a sentence */

/* ---- reading a template -------------------------------------------------------------------- */

struct template { struct compiler *c; const struct yaml_node *node; struct slice text; size_t at; bool open; };

static int
wrong(const struct template *t, const char *what)
{
	problem_add(t->c->problems, t->node->file, t->node->line, "say", "%s", what);
	return -1;
}

static bool
doubled(const struct template *t)
{
	return t->at + 1 < t->text.n && t->text.p[t->at + 1] == t->text.p[t->at];
}

/* A run of plain text; a doubled sign stands for itself and ends the run behind its first. */
static void
read_text(struct template *t, struct part *ret)
{
	size_t from = t->at;

	*ret = (struct part){ .kind = PART_TEXT };
	if (strchr("{}[]", t->text.p[t->at]) != NULL) {
		ret->text = slice_make(t->text.p + from, 1);
		t->at += 2;
		return;
	}
	while (t->at < t->text.n && strchr("{}[]", t->text.p[t->at]) == NULL)
		t->at++;
	ret->text = slice_make(t->text.p + from, t->at - from);
}

static int
read_ref(struct template *t, struct part *ret)
{
	const char *from = t->text.p + t->at + 1, *end = memchr(from, '}', t->text.n - t->at - 1);
	struct slice name;
	int field;

	if (end == NULL)
		return wrong(t, "a brace is not closed; {{ stands for the sign itself");
	name = slice_make(from, (size_t)(end - from));
	t->at += name.n + 2;
	*ret = (struct part){ .kind = PART_REF };
	field = field_find(name);
	if (field >= 0) {
		if ((t->c->columns >> field & 1) == 0)
			return wrong(t, "a column is used before a rule has filled it");
		ret->ref = (struct ref){ .kind = REF_COLUMN, .field = (enum field)field, .text = name };
		return 0;
	}
	return plan_ref(t->c, t->node, name, true, &ret->ref);
}

static int
read_part(struct template *t, struct part *ret)
{
	char sign = t->text.p[t->at];

	if (strchr("{}[]", sign) == NULL || doubled(t)) {
		read_text(t, ret);
		return 0;
	}
	if (sign == '{')
		return read_ref(t, ret);
	if (sign == '}')
		return wrong(t, "a closing brace without its opening one; }} stands for the sign itself");
	if ((sign == '[') == t->open)
		return wrong(t, "brackets come in pairs, not inside each other; [[ stands for the sign itself");
	t->open = sign == '[';
	t->at++;
	*ret = (struct part){ .kind = sign == '[' ? PART_OPEN : PART_CLOSE };
	return 0;
}

int
say_compile(struct compiler *c, const struct yaml_node *node, struct block *b)
{
	struct template t = { .c = c, .node = node, .text = yaml_slice(node) };

	b->parts = plan_alloc(c, PLAN_MAX_ITEMS, sizeof(*b->parts));
	if (b->parts == NULL)
		return -1;
	if (t.text.n == 0)
		return wrong(&t, "a sentence is empty");
	while (t.at < t.text.n) {
		if (b->nparts == PLAN_MAX_ITEMS)
			return wrong(&t, "a sentence has at most 256 parts");
		if (read_part(&t, &b->parts[b->nparts]) != 0)
			return -1;
		b->nparts++;
	}
	return t.open ? wrong(&t, "a bracket is not closed") : 0;
}

/* ---- saying it ------------------------------------------------------------------------------- */

static bool
say_ref(struct decode_ctx *c, const struct event *e, const struct ref *ref)
{
	struct slice s;
	struct in in;
	bool lasting;

	if (!fill_in(c, e, ref, &in) || !in_text(c, &in, &s, &lasting))
		return false;
	if (in.has_value && c->why != NULL)
		why_use(c, in.at);
	buf_put(&c->json, s.p, utf8_cut(s, SAY_WORD_BYTES));
	return true;
}

bool
say_compose(struct decode_ctx *c, const struct event *e, const struct block *b, struct val *ret)
{
	bool inside = false, skip = false;
	size_t mark = 0;

	buf_reset(&c->json);
	for (uint32_t i = 0; i < b->nparts; i++) {
		const struct part *p = &b->parts[i];

		if (p->kind == PART_OPEN) {
			inside = true;
			skip = false;
			mark = c->json.n;
		} else if (p->kind == PART_CLOSE) {
			inside = false;
			skip = false;
		} else if (skip) {
			continue;
		} else if (p->kind == PART_TEXT) {
			buf_put_slice(&c->json, p->text);
		} else if (!say_ref(c, e, &p->ref)) {
			if (!inside)
				return false;
			skip = true;
			c->json.n = mark;
		}
	}
	if (c->json.n == 0)
		return false;
	*ret = (struct val){ .kind = VAL_TEXT, .text = buf_slice(&c->json) };
	return true;
}
