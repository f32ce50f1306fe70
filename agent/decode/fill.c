/* fill.c - one record's events: from the slots that the walk has filled, by a family's rules; EventId; defaults. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <string.h>

#include "base/hash.h"

#define HASH_PIECE_BYTES	2048u

/* ---- memory and values ---------------------------------------------------------------- */

void *
ctx_alloc(struct decode_ctx *c, size_t n)
{
	void *p = arena_alloc(c->out->arena, n > 0 ? n : 1);

	if (p == NULL)
		c->short_of_memory = true;
	return p;
}

struct slice
ctx_keep(struct decode_ctx *c, struct slice s)
{
	uintptr_t p = (uintptr_t)s.p, from = (uintptr_t)c->bytes.p;
	char *copy;

	if (p >= from && p - from < c->bytes.n)
		return s;
	copy = ctx_alloc(c, s.n);
	if (copy == NULL)
		return SLICE_NONE;
	if (s.n > 0)
		memcpy(copy, s.p, s.n);
	return slice_make(copy, s.n);
}

bool
value_text(struct decode_ctx *c, uint32_t at, struct slice *ret)
{
	struct json_value *v = &c->doc.v[at];
	char *p;

	if (v->type == JSON_OBJECT || v->type == JSON_ARRAY || v->type == JSON_NULL)
		return false;
	if (v->type == JSON_STRING && v->escaped == 1) {
		p = ctx_alloc(c, v->n);
		if (p == NULL)
			return false;
		v->n = (uint32_t)json_unescape_to(v, p);
		v->p = p;
		v->escaped = 2;		/* ours, and it lasts */
	}
	*ret = json_raw(v);
	return true;
}

/* Member by member: a whole `struct val` copied and read at once stalls. */
static void
take_column(const struct event *e, enum field f, struct val *ret)
{
	const union field_value *v = &e->v[f];

	ret->lasting = true;
	switch (field_rows[f].type) {
	case FIELD_TIME:
		ret->kind = VAL_TIME;
		ret->number = v->number;
		return;
	case FIELD_INT:
	case FIELD_LONG:
		ret->kind = VAL_INT;
		ret->number = v->number;
		return;
	case FIELD_REAL:
		ret->kind = VAL_REAL;
		ret->real = v->real;
		return;
	default:
		ret->kind = field_rows[f].type == FIELD_JSON ? VAL_JSON : VAL_TEXT;
		ret->text.p = v->text.p;
		ret->text.n = v->text.n;
	}
}

bool
fill_in(struct decode_ctx *c, const struct event *e, const struct ref *ref, struct in *ret)
{
	switch (ref->kind) {
	case REF_PATH:
		ret->has_value = true;
		ret->at = walk_get(c, ref->node);
		ret->node = ref->node;
		return ret->at != 0;
	case REF_COLUMN:
		if (e == NULL || !event_has(e, ref->field))
			return false;
		ret->has_value = false;
		take_column(e, ref->field, &ret->val);
		return true;
	default:
		ret->has_value = false;
		ret->val = (struct val){ .kind = VAL_TIME, .number = (int64_t)c->record->arrived_ms };
		return true;
	}
}

/* ---- tests -------------------------------------------------------------------------------- */

static bool
is_there(const struct decode_ctx *c, const struct event *e, const struct ref *ref)
{
	if (ref->kind == REF_PATH)
		return walk_get(c, ref->node) != 0;
	return ref->kind == REF_ARRIVAL || (e != NULL && event_has(e, ref->field));
}

static bool
test_holds(struct decode_ctx *c, const struct event *e, const struct test *t)
{
	bool there = is_there(c, e, &t->ref), lasting;
	struct slice s;
	struct in in;

	if (t->kind != TEST_TEXTS)
		return there == (t->kind == TEST_PRESENT);
	if (!there || !fill_in(c, e, &t->ref, &in) || !in_text(c, &in, &s, &lasting))
		return false;
	for (uint32_t i = 0; i < t->n; i++)
		if (pattern_fits(&t->v[i], s))
			return true;
	return false;
}

bool
fill_tests(struct decode_ctx *c, const struct event *e, const struct test *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!test_holds(c, e, &t[i]))
			return false;
	return true;
}

/* ---- an event ---------------------------------------------------------------------------------- */

void
fill_column(struct decode_ctx *c, struct event *e, enum field f, const struct val *v)
{
	struct slice s = v->text;

	switch (v->kind) {
	case VAL_TIME:
	case VAL_INT:
		event_set_number(e, f, v->number);
		break;
	case VAL_REAL:
		event_set_real(e, f, v->real);
		break;
	default:
		if (s.n > COLUMN_MAX_BYTES)
			s.n = utf8_cut(s, COLUMN_MAX_BYTES);
		event_set_text(e, f, v->lasting ? s : ctx_keep(c, s));
	}
}

/* Small pieces are gathered: each call into the library costs more than they do. */
static void
hash_flush(struct decode_ctx *c)
{
	sha256_add(c->sha, c->json.p, c->json.n);
	buf_reset(&c->json);
}

static void
hash_put(struct decode_ctx *c, const void *p, size_t n)
{
	if (c->json.n + n > HASH_PIECE_BYTES)
		hash_flush(c);
	if (n > HASH_PIECE_BYTES)
		sha256_add(c->sha, p, n);
	else
		buf_put(&c->json, p, n);
	if (c->json.failed)
		c->short_of_memory = true;
}

/* One part of the id: .p NULL where nothing was found. */
static struct slice
id_part(struct decode_ctx *c, const struct event *e, const struct ref *ref)
{
	struct slice s;
	struct in in;

	if (!fill_in(c, e, ref, &in))
		return SLICE_NONE;
	if (in.has_value)
		return value_bytes(c, in.at);
	return val_text(c, &in.val, &s) ? s : SLICE_NONE;
}

static void
hash_part(struct decode_ctx *c, struct slice s)
{
	unsigned char length[4];

	put_le32(length, s.p != NULL ? (uint32_t)s.n : UINT32_MAX);
	hash_put(c, length, sizeof(length));
	hash_put(c, s.p, s.n);
}

static bool
has_part(struct decode_ctx *c, const struct event *e, const struct ref *ref)
{
	return ref->kind == REF_PATH ? walk_get(c, ref->node) != 0 : event_has(e, ref->field);
}

/* See README.md beside this file. */
static void
fill_id(struct decode_ctx *c, struct event *e, uint32_t index)
{
	static const char hex[] = "0123456789abcdef";
	const struct family *f = c->family;
	unsigned char digest[SHA256_BYTES], number[4];
	bool any = false;
	char *id = ctx_alloc(c, 32);

	if (id == NULL)
		return;
	for (uint32_t i = 0; i < f->nids && !any; i++)
		any = has_part(c, e, &f->ids[i]);
	sha256_start(c->sha);
	buf_reset(&c->json);
	hash_put(c, f->name.p, f->name.n);
	hash_put(c, "", 1);
	for (uint32_t i = 0; any && i < f->nids; i++)
		hash_part(c, id_part(c, e, &f->ids[i]));
	if (!any)
		hash_put(c, c->doc.v[c->at].p, c->doc.v[c->at].n);
	put_le32(number, index);
	hash_put(c, number, sizeof(number));
	hash_flush(c);
	sha256_finish(c->sha, digest);
	for (int i = 0; i < 16; i++) {
		id[2 * i] = hex[digest[i] >> 4];
		id[2 * i + 1] = hex[digest[i] & 15];
	}
	event_set_text(e, F_EventId, slice_make(id, 32));
}

static void
tell_id(struct decode_ctx *c, const struct event *e)
{
	bool found[PLAN_MAX_ITEMS];

	for (uint32_t i = 0; i < c->family->nids; i++)
		found[i] = has_part(c, e, &c->family->ids[i]);
	why_id(c, e, found);
}

static void
fill_defaults(struct decode_ctx *c, struct event *e)
{
	if (!event_has(e, F_TimeGenerated))
		event_set_number(e, F_TimeGenerated, (int64_t)c->record->arrived_ms);
	else if (!event_has(e, F_EventStartTime) && !c->family->relay)	/* the service replaces an old TimeGenerated */
		event_set_number(e, F_EventStartTime, e->v[F_TimeGenerated].number);
	if (!event_has(e, F_EventCount))
		event_set_number(e, F_EventCount, 1);
	if (!event_has(e, F_EventClass))
		event_set_text(e, F_EventClass, SLICE("activity"));
	if (!event_has(e, F_EventResult))
		event_set_text(e, F_EventResult, SLICE("NA"));
	if (!event_has(e, F_EventSeverity))
		event_set_text(e, F_EventSeverity, SLICE("Informational"));
	event_set_text(e, F_EventSchemaVersion, SLICE(EVENT_SCHEMA_VERSION));
}

static void
fill_by_rules(struct decode_ctx *c, struct event *e, uint32_t index)
{
	const struct rule *r;
	uint32_t at = 0;
	struct val v;

	needs_start(c);
	while ((r = needs_next(c, e, &at, c->family->nfield_trials, &v)) != NULL) {
		column_spell(c, (enum field)r->field, &v);
		fill_column(c, e, (enum field)r->field, &v);
		if (c->why != NULL)
			why_column(c, e, r, &v);
	}
	additional_fill(c, e);
	fill_id(c, e, index);		/* before an arrival stands in for a time */
	if (c->why != NULL)
		tell_id(c, e);
}

/* A text of the record may stand in each of its events. */
static void
weigh(struct decode_ctx *c, const struct event *e)
{
	const size_t raw = RECORD_EVENTS_TIMES * c->record->bytes.n;
	size_t plain = RECORD_EVENTS_TIMES * (c->bytes_n + RECORD_MAX_PLAIN - c->may_unpack);

	if (plain > RECORD_EVENTS_PLAIN)
		plain = RECORD_EVENTS_PLAIN;
	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON)
			c->made += event_text(e, (enum field)f).n;
	if (c->made > RECORD_EVENTS_LEAST + (raw > plain ? raw : plain))
		c->too_many = c->too_much = true;
}

struct event *
fill_event(struct decode_ctx *c, uint32_t index)
{
	struct event *e;

	if (c->count.events >= c->max_events) {
		c->too_many = true;
		return NULL;
	}
	e = event_list_add(c->out);
	if (e == NULL) {
		c->short_of_memory = true;
		return NULL;
	}
	c->count.events++;
	if (c->family->relay)
		relay_fill(c, e);
	else
		fill_by_rules(c, e, index);
	fill_defaults(c, e);
	if (c->count.events > 1)
		weigh(c, e);
	return e;
}

static bool
shapes_fit(struct decode_ctx *c, const struct shape *v, uint32_t n, const struct shape **ret)
{
	for (uint32_t i = 0; i < n; i++)
		if (fill_tests(c, NULL, v[i].tests, v[i].n)) {
			*ret = &v[i];
			return true;
		}
	return false;
}

struct elements { struct decode_ctx *c; uint32_t n; const struct shape *shape; };

static void
see_element(void *arg)
{
	struct elements *e = arg;
	const struct family *f = e->c->family;
	uint32_t index = e->n++;
	const struct shape *shape;

	if (f->neach_when > 0 && !shapes_fit(e->c, f->each_when, f->neach_when, &shape)) {
		e->c->count.passed++;
		if (e->c->why != NULL)
			why_passed(e->c, index);
		return;
	}
	if (e->c->why != NULL)
		why_event(e->c, index, e->shape);
	(void)fill_event(e->c, index);
}

void
fill_record(struct decode_ctx *c)
{
	const struct family *f;
	struct elements elements = { .c = c };
	const struct shape *shape;

	for (uint64_t maybe = c->maybe; maybe != 0; maybe &= maybe - 1) {
		f = c->plan->families[__builtin_ctzll(maybe)];
		if (!shapes_fit(c, f->shapes, f->nshapes, &shape) || (f->relay && !(c->record->relay && relay_fits(c))))
			continue;
		c->family = f;
		elements.shape = shape;
		if (f->neach > 0 && walk_each(c, f, see_element, &elements))
			return;
		if (c->why != NULL)
			why_event(c, 0, shape);
		(void)fill_event(c, 0);
		return;
	}
	unknown_record(c);
}
