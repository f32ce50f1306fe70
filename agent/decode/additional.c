/* additional.c - the members of AdditionalFields: a mapping's own, and withheld content as length and hash. */
#include "decode/plan.h"

#define MEMBER_TEXT_BYTES	16384	/* longer texts: length and hash */
#define NUMBER_BYTES		40
#define COLUMN_JSON_BYTES	65000u	/* past 65,536 an encoder would have to leave the column out */

static void
put_value(struct decode_ctx *c, const struct val *v, struct buf *out)
{
	struct slice s;

	switch (v->kind) {
	case VAL_INT:
		buf_put_i64(out, v->number);
		return;
	case VAL_REAL:
		buf_put_double(out, v->real);
		return;
	case VAL_JSON:
	case VAL_BOOL:
		buf_put_slice(out, v->text);
		return;
	case VAL_NUMBER_TEXT:
		if (v->text.n <= NUMBER_BYTES) {
			buf_put_slice(out, v->text);
			return;
		}
		break;
	default:
		break;
	}
	if (!val_text(c, v, &s))
		buf_puts(out, "null");
	else if (s.n > MEMBER_TEXT_BYTES)
		render_hidden_bytes(c, s, out);
	else
		buf_put_json(out, s);
}

/* Where a member begins, its name written. */
static size_t
open_member(struct buf *out, struct slice json_name)
{
	size_t before = out->n;

	if (out->n > 1)
		buf_putc(out, ',');
	buf_put_slice(out, json_name);
	return before;
}

/* Past the limit a member is left as length and hash, and far past it not at all. */
static void
close_member(struct decode_ctx *c, struct buf *out, size_t before, struct slice json_name)
{
	struct slice s;
	size_t at;

	if (!out->failed && out->n <= ADDITIONAL_MAX_BYTES)
		return;
	at = before + (before > 1 ? 1 : 0) + json_name.n;
	s = out->n > at ? slice_make(out->p + at, out->n - at) : SLICE_NONE;
	buf_reset(&c->json);
	render_hidden_bytes(c, s, &c->json);
	out->n = before;
	out->failed = false;
	if (before + json_name.n + c->json.n > ADDITIONAL_MAX_BYTES + 2048)
		return;
	(void)open_member(out, json_name);
	buf_put_slice(out, buf_slice(&c->json));
}

static void
put_withheld(struct decode_ctx *c, const struct withheld *w, struct buf *out)
{
	for (uint32_t i = 0; i < w->nrefs; i++) {
		uint32_t at = walk_get(c, w->refs[i].node);
		size_t before, value;
		struct slice s;

		if (at == 0)
			continue;
		before = open_member(out, w->json_name);
		value = out->n;
		if (!w->released && w->show.n > 0)
			render_shown(c, at, &w->show, out);
		else if (!w->released)
			render_hidden(c, at, out);
		else if (value_text(c, at, &s) && s.n <= JSON_MAX_BYTES)
			buf_put_json(out, s);
		else
			render_json(c, at, out);
		if (out->n == value + 2) {		/* [] or {} */
			out->n = before;
			continue;
		}
		close_member(c, out, before, w->json_name);
		if (c->why != NULL)
			why_withheld(c, w, &w->refs[i], at);
		return;
	}
}

/* What the wrappers around the record add, as long as it fits into the column. */
static void
put_outer_members(const struct decode_ctx *c, struct buf *out)
{
	size_t comma = out->n > 1 ? 0 : 1;

	if (c->outer.n > 0 && out->n + c->outer.n < COLUMN_JSON_BYTES)
		buf_put(out, c->outer.p + comma, c->outer.n - comma);
}

void
additional_fill(struct decode_ctx *c, struct event *e)
{
	const struct family *f = c->family;
	struct buf *out = &c->additional;
	uint32_t at = f->nfield_trials;
	const struct rule *r;
	struct val v;

	buf_reset(out);
	buf_putc(out, '{');
	while ((r = needs_next(c, e, &at, f->ntrials, &v)) != NULL) {
		size_t before = open_member(out, r->json_name);

		put_value(c, &v, out);
		close_member(c, out, before, r->json_name);
		if (c->why != NULL)
			why_column(c, e, r, &v);
	}
	for (uint32_t i = 0; i < f->nwithheld; i++)
		put_withheld(c, &f->withheld[i], out);
	if (f == c->plan->unknown)
		unknown_members(c, c->at, out);
	put_outer_members(c, out);
	if (out->n <= 1)
		return;
	buf_putc(out, '}');
	if (out->failed)
		c->short_of_memory = true;
	else
		event_set_text(e, F_AdditionalFields, ctx_keep(c, buf_slice(out)));
}
