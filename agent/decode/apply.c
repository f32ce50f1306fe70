/* apply.c - one rule over a record's slots: which block holds, what its paths find, and that made the column's type. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <math.h>
#include <string.h>

/* ---- what fits a column ---------------------------------------------------------------------- */

bool
word_among(const char *words, struct slice s)
{
	while (*words != '\0') {
		const char *end = strchrnul(words, '|');

		if (slice_eq(slice_make(words, (size_t)(end - words)), s))
			return true;
		words = *end == '|' ? end + 1 : end;
	}
	return false;
}

static bool
fit_number(const struct rule *r, struct val *v)
{
	struct val n = { .kind = VAL_INT };
	double real;

	if (field_rows[r->field].type == FIELD_REAL) {
		n.kind = VAL_REAL;
		if (!val_real(v, &n.real))
			return false;
	} else if (!val_number(v, &n.number)) {
		if (!val_real(v, &real) || !(fabs(real) < 9e15))
			return false;
		n.number = llround(real);
	}
	if (field_rows[r->field].type == FIELD_INT && (n.number > INT32_MAX || n.number < INT32_MIN))
		return false;
	*v = n;
	return true;
}

static bool
fit_time(struct val *v)
{
	if (v->kind == VAL_TIME)
		return true;
	if (v->kind == VAL_INT) {
		v->kind = VAL_TIME;
		return time_from_number(0, v->number, true, &v->number);
	}
	if (v->kind == VAL_REAL || !time_parse(v->text, &v->number))
		return false;
	v->kind = VAL_TIME;
	return true;
}

bool
apply_fit(struct decode_ctx *c, const struct rule *r, struct val *v)
{
	struct slice text;

	if (r->field < 0)
		return v->kind != VAL_TEXT || v->text.n > 0;
	switch (field_rows[r->field].type) {
	case FIELD_TIME:
		return fit_time(v);
	case FIELD_INT:
	case FIELD_LONG:
	case FIELD_REAL:
		return fit_number(r, v);
	default:
		if (v->kind == VAL_TIME || v->kind == VAL_INT || v->kind == VAL_REAL) {
			if (!val_text(c, v, &text))
				return false;
			*v = (struct val){ .kind = VAL_TEXT, .text = text, .lasting = true };
		}
		return v->text.n > 0 && (r->words == NULL || word_among(r->words, v->text));
	}
}

/* Literals of text columns were looked at when the mapping was read. */
static bool
fit_literal(struct decode_ctx *c, const struct rule *r, struct val *v)
{
	return r->field < 0 || field_rows[r->field].type == FIELD_TEXT || apply_fit(c, r, v);
}

static struct slice
find_text(struct decode_ctx *c, const struct table *t, struct slice text)
{
	struct table_memo *memo;

	if (t->nglobs == 0 || text.n > MEMO_TEXT_BYTES)
		return table_find(t, text);
	memo = &c->lookups[fold_hash((uint64_t)(uintptr_t)t, text) % MEMO_SLOTS];
	if (memo->table == t && memo->n == text.n && memcmp(memo->text, text.p, text.n) == 0)
		return memo->value;
	*memo = (struct table_memo){ .table = t, .value = table_find(t, text), .n = (uint32_t)text.n };
	memcpy(memo->text, text.p, text.n);
	return memo->value;
}

static bool
look_up(struct decode_ctx *c, const struct table *t, struct val *v)
{
	struct slice text;

	if (!val_text(c, v, &text))
		return false;
	text = find_text(c, t, text);
	if (text.p == NULL)
		return false;
	*v = (struct val){ .kind = VAL_TEXT, .text = text, .lasting = true };
	return true;
}

/* ---- what paths find ------------------------------------------------------------------------- */

/* "//aiplatform.googleapis.com/projects/p/locations/europe-west1" and `segment: locations`. */
static bool
take_segment(struct decode_ctx *c, struct slice name, struct val *v)
{
	struct slice text;

	if (!val_text(c, v, &text))
		return false;
	if (slice_starts_nocase(text, SLICE("//"))) {		/* a host is neither a key nor a name */
		const char *path = memchr(text.p + 2, '/', text.n - 2);

		text = path != NULL ? slice_make(path, text.n - (size_t)(path - text.p)) : SLICE_NONE;
	}
	v->kind = VAL_TEXT;
	v->text = azure_id_part(text, name);
	return v->text.n > 0;
}

static bool
count_since(struct decode_ctx *c, const struct event *e, const struct block *b, struct val *v)
{
	for (uint32_t i = 0; i < b->nsince; i++) {
		struct val begun;
		struct in in;

		if (!fill_in(c, e, &b->since[i], &in) || !b->as->convert(c, &in, &begun) || v->number < begun.number)
			continue;
		if (c->why != NULL && in.has_value)
			why_use(c, in.at);
		*v = (struct val){ .kind = VAL_INT, .number = v->number - begun.number };
		return true;
	}
	return false;
}

/* Most paths of a rule find nothing in a record: told at once. */
static inline bool
is_there(const struct decode_ctx *c, const struct event *e, const struct ref *ref)
{
	if (ref->kind == REF_PATH)
		return walk_get(c, ref->node) != 0;
	return ref->kind != REF_COLUMN || (e != NULL && event_has(e, ref->field));
}

/* One path's value as the column wants it. */
static bool
from_ref(struct decode_ctx *c, const struct event *e, const struct rule *r, const struct block *b,
    const struct ref *ref, struct val *ret)
{
	struct in in;

	if (!fill_in(c, e, ref, &in) || !b->as->convert(c, &in, ret))
		return false;
	if (b->segment.p != NULL && !take_segment(c, b->segment, ret))
		return false;
	if (b->nsince > 0 && !count_since(c, e, b, ret))
		return false;
	if (b->table != NULL && !look_up(c, b->table, ret))
		return false;
	if (b->table != NULL ? !fit_literal(c, r, ret) : !apply_fit(c, r, ret))
		return false;
	c->why_ref = ref;
	if (c->why != NULL && in.has_value)
		why_use(c, in.at);
	return true;
}

static bool
from_refs(struct decode_ctx *c, const struct event *e, const struct rule *r, const struct block *b, struct val *ret)
{
	for (uint32_t i = 0; i < b->nrefs; i++)
		if (is_there(c, e, &b->refs[i]) && from_ref(c, e, r, b, &b->refs[i], ret))
			return true;
	return false;
}

static bool
is_listed(struct slice list, struct slice s)
{
	while (list.n > 0) {
		const char *comma = memchr(list.p, ',', list.n);
		size_t n = comma != NULL ? (size_t)(comma - list.p) : list.n;

		if (slice_eq(slice_make(list.p, n), s))
			return true;
		list = comma != NULL ? slice_make(comma + 1, list.n - n - 1) : SLICE_NONE;
	}
	return false;
}

/* Numbers are added up, texts joined by commas, equal ones once. */
static bool
join(struct decode_ctx *c, struct val *all, const struct val *v)
{
	struct slice head, tail;
	char *p;

	if (all->kind == VAL_INT && v->kind == VAL_INT)
		return !__builtin_add_overflow(all->number, v->number, &all->number);
	if ((all->kind == VAL_INT || all->kind == VAL_REAL) && (v->kind == VAL_INT || v->kind == VAL_REAL)) {
		*all = (struct val){ .kind = VAL_REAL, .real = (all->kind == VAL_INT ? (double)all->number : all->real) +
		    (v->kind == VAL_INT ? (double)v->number : v->real) };
		return isfinite(all->real);
	}
	if (!val_text(c, all, &head) || !val_text(c, v, &tail))
		return false;
	if (is_listed(head, tail) || head.n + tail.n > COLUMN_MAX_BYTES)
		return true;
	p = ctx_alloc(c, head.n + 1 + tail.n);
	if (p == NULL)
		return false;
	memcpy(p, head.p, head.n);
	p[head.n] = ',';
	memcpy(p + head.n + 1, tail.p, tail.n);
	*all = (struct val){ .kind = VAL_TEXT, .text = slice_make(p, head.n + 1 + tail.n), .lasting = true };
	return true;
}

static bool
from_all(struct decode_ctx *c, const struct event *e, const struct rule *r, const struct block *b, struct val *ret)
{
	const struct ref *first = NULL;
	struct val v;

	for (uint32_t i = 0; i < b->nrefs; i++) {
		if (!is_there(c, e, &b->refs[i]) || !from_ref(c, e, r, b, &b->refs[i], &v))
			continue;
		/* A converter's text may lie where the next one writes. */
		if (v.kind == VAL_TEXT && !v.lasting) {
			v.text = ctx_keep(c, v.text);
			v.lasting = v.text.p != NULL;
		}
		if (first == NULL)
			*ret = v;
		else if (!join(c, ret, &v))
			return false;
		first = first != NULL ? first : &b->refs[i];
	}
	c->why_ref = first;
	return first != NULL;
}

/* ---- the rule ---------------------------------------------------------------------------------- */

static bool
literal(struct decode_ctx *c, const struct rule *r, struct slice text, enum val_kind kind, struct val *ret)
{
	if (text.p == NULL)
		return false;
	*ret = (struct val){ .kind = kind, .text = text, .lasting = true };
	return fit_literal(c, r, ret);
}

static void
put_before(struct decode_ctx *c, struct slice prefix, struct val *v)
{
	char *p;

	if (v->kind != VAL_TEXT || slice_starts_nocase(v->text, prefix))
		return;
	p = ctx_alloc(c, prefix.n + v->text.n);
	if (p == NULL)
		return;
	memcpy(p, prefix.p, prefix.n);
	memcpy(p + prefix.n, v->text.p, v->text.n);
	v->text = slice_make(p, prefix.n + v->text.n);
	v->lasting = true;
}

bool
apply_block(struct decode_ctx *c, const struct event *e, const struct rule *r, const struct block *b, struct val *ret)
{
	bool found;

	if (b->ntests > 0 && !fill_tests(c, e, b->tests, b->ntests))
		return false;
	c->why_ref = NULL;
	c->why_block = b;
	switch (b->kind) {
	case FROM_REFS:
		found = from_refs(c, e, r, b, ret);
		break;
	case FROM_ALL:
		found = from_all(c, e, r, b, ret);
		break;
	case FROM_SAY:
		found = say_compose(c, e, b, ret) && apply_fit(c, r, ret);
		break;
	default:
		found = literal(c, r, b->value, b->value_kind, ret);
	}
	if (found && b->prefix.p != NULL)
		put_before(c, b->prefix, ret);
	return found || literal(c, r, b->otherwise, b->otherwise_kind, ret);
}
