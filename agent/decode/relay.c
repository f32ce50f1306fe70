/*
 * relay.c - a family with `relay: true`: its records are events of another agent, in our `json` format. They go on as they are, with their
 * EventId. Only a detector of our own makes a finding, so what another agent found is an alert here, its class in AdditionalFields.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#define ID_DIGITS	32

int
relay_compile(struct compiler *c, struct family *f)
{
	f->columns = plan_alloc(c, FIELD_COUNT, sizeof(*f->columns));
	if (f->columns == NULL)
		return -1;
	for (int i = 0; i < FIELD_COUNT; i++) {
		struct block *b = plan_alloc(c, 1, sizeof(*b));

		if (b == NULL)
			return -1;
		b->as = converter_default(i);
		f->columns[i] = (struct rule){ .name = slice_make(field_rows[i].name, field_rows[i].name_n), .field = i, .line = f->line,
		    .words = i == F_EventClass ? NULL : field_words(i), .blocks = b, .nblocks = 1 };
	}
	return 0;
}

/* The value of a column, by its exact name, or 0. */
static uint32_t
member(const struct decode_ctx *c, enum field f)
{
	for (uint32_t i = c->at + 1; i < c->doc.v[c->at].next; i = c->doc.v[i + 1].next)
		if (slice_eq(json_raw(&c->doc.v[i]), slice_make(field_rows[f].name, field_rows[f].name_n)))
			return i + 1;
	return 0;
}

static bool
is_event_id(const struct json_value *v)
{
	if (v->type != JSON_STRING || v->escaped != 0 || v->n != ID_DIGITS)
		return false;
	for (size_t i = 0; i < ID_DIGITS; i++)
		if ((v->p[i] < '0' || v->p[i] > '9') && (v->p[i] < 'a' || v->p[i] > 'f'))
			return false;
	return true;
}

bool
relay_fits(const struct decode_ctx *c)
{
	uint32_t id = member(c, F_EventId), class = member(c, F_EventClass);

	return id != 0 && class != 0 && is_event_id(&c->doc.v[id]) && c->doc.v[class].type == JSON_STRING &&
	    event_class(json_raw(&c->doc.v[class])) >= 0;
}

static void
take_column(struct decode_ctx *c, struct event *e, enum field f, uint32_t at)
{
	const struct rule *rule = &c->family->columns[f];
	const struct in in = { .has_value = true, .at = at };
	struct val v;

	if (!rule->blocks->as->convert(c, &in, &v) || !apply_fit(c, rule, &v))
		return;
	fill_column(c, e, f, &v);
	if (c->why != NULL)
		why_relayed(c, rule, &v, at);
}

static void
take_additional(struct decode_ctx *c, struct event *e, uint32_t at)
{
	struct buf *out = &c->additional;

	buf_reset(out);
	render_as_is(c, at, out, COLUMN_MAX_BYTES);
	if (out->failed)
		c->short_of_memory = true;
	else
		event_set_text(e, F_AdditionalFields, ctx_keep(c, buf_slice(out)));
	why_use(c, at);
}

/* What another agent's detector found: {"FindingClass":"volume_spike", and what stood there. */
static void
make_alert(struct decode_ctx *c, struct event *e, struct slice class)
{
	struct slice rest = event_text(e, F_AdditionalFields);
	struct buf *out = &c->additional;

	buf_reset(out);
	buf_printf(out, "{\"FindingClass\":\"%.*s\"%s", SLICE_ARG(class), rest.n > 2 ? "," : "}");
	if (rest.n > 2)
		buf_put(out, rest.p + 1, rest.n - 1);
	event_set_text(e, F_EventClass, SLICE("alert"));
	if (out->failed)
		c->short_of_memory = true;
	else
		event_set_text(e, F_AdditionalFields, ctx_keep(c, buf_slice(out)));
}

void
relay_fill(struct decode_ctx *c, struct event *e)
{
	struct slice class = json_raw(&c->doc.v[member(c, F_EventClass)]);

	for (uint32_t i = c->at + 1; i < c->doc.v[c->at].next; i = c->doc.v[i + 1].next) {
		int f = field_find(json_raw(&c->doc.v[i]));

		if (f < 0 || event_has(e, (enum field)f))
			continue;
		if (f != F_AdditionalFields)
			take_column(c, e, (enum field)f, i + 1);
		else if (c->doc.v[i + 1].type == JSON_OBJECT)
			take_additional(c, e, i + 1);
	}
	if (event_class_is_finding(class))
		make_alert(c, e, class);
}
