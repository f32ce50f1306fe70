/* config_objects.c - the last known state of each object, and what was weakened lately, by resource and by actor. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "detect/config_parts.h"
#include "model/resource.h"

#define STATES_BYTES	(24u << 20)	/* of all objects together */
#define DAY_MS		86400000
#define STALE_MS	(INT64_C(180) * DAY_MS)

/* Whether there is room for n bytes more, once objects unchanged for longest are forgotten; not the one that `but` is of. */
static bool
has_room(struct config *c, size_t n, char **but)
{
	for (int p = 0; p < LRU_PARTS; p++)
		for (struct object *o = lru_oldest(&c->objects, (enum lru_part)p), *next; o != NULL && c->state_bytes + n > STATES_BYTES; o = next) {
			next = lru_newer(&c->objects, o);
			if (&o->state == but || &o->prev == but)
				continue;
			object_drop(c, o);
			lru_remove(&c->objects, o);
			c->objects.evicted++;
		}
	return c->state_bytes + n <= STATES_BYTES;
}

static void
set(struct config *c, char **to, uint32_t *to_n, struct slice s)
{
	char *copy = NULL;

	if (s.n > STATE_BYTES)
		return;
	if (s.n > 0 && has_room(c, s.n, to))
		copy = malloc(s.n);
	if (copy != NULL)
		memcpy(copy, s.p, s.n);
	c->state_bytes -= *to_n;
	free(*to);
	*to = copy;
	*to_n = copy != NULL ? (uint32_t)s.n : 0;
	c->state_bytes += *to_n;
}

void
object_keep(struct config *c, char **to, uint32_t *to_n, struct slice s)
{
	set(c, to, to_n, s);
}

void
object_drop(void *config, void *object)
{
	struct object *o = object;

	set(config, &o->state, &o->state_n, SLICE_NONE);
	set(config, &o->prev, &o->prev_n, SLICE_NONE);
}

static bool
is_stale(void *arg, const void *item)
{
	const struct object *o = item;

	return *(const int64_t *)arg > o->changed_ms + STALE_MS;
}

struct object *
objects_of(struct config *c, uint64_t object)
{
	struct object *o = lru_find(&c->objects, object);
	int64_t now_ms = c->time.now_ms;

	if (o == NULL)
		return lru_add(&c->objects, object);
	lru_promote(&c->objects, o, is_stale, &now_ms);		/* it came twice */
	return o;
}

void
objects_see(struct config *c, uint64_t object, struct slice state)
{
	struct object *o = objects_of(c, object);
	struct buf merged;

	buf_init(&merged, 2 * STATE_BYTES);		/* too long to keep: the last one stays */
	if (merge_bodies(c->compare, slice_make(o->state, o->state_n), state, &merged))
		set(c, &o->state, &o->state_n, buf_slice(&merged));
	else
		set(c, &o->state, &o->state_n, state);
	buf_fini(&merged);
}

/* ---- chains ------------------------------------------------------------------------------ */

static const struct { const char *code, *effect, *words; } steps[] = {
#define STEP(code, effect, words)	{ code, effect, words },
#include "detect/config_steps.tbl"
#undef STEP
};
#define NSTEPS	(sizeof(steps) / sizeof(steps[0]))

static uint8_t
step_of(const char *code, const char *effect)
{
	size_t i = 0;

	while (i < NSTEPS - 1 && !(strcmp(steps[i].code, code) == 0 && slice_glob_nocase(slice_of(steps[i].effect), slice_of(effect))))
		i++;
	return (uint8_t)i;
}

const char *
chain_words(const struct step *s)
{
	return steps[s->words < NSTEPS ? s->words : NSTEPS - 1].words;
}

static void
look(struct config *c, uint64_t key, int64_t t_ms, const char *but, struct chain *ret)
{
	const struct marks *m = key != 0 ? lru_find(&c->tops, key) : NULL;

	for (unsigned i = 0; m != NULL && i < STEPS; i++) {
		const struct step *s = &m->v[i];
		bool have = false;

		if (s->code[0] == '\0' || strcmp(s->code, but) == 0 || llabs(t_ms - s->ms) > DAY_MS)
			continue;
		for (uint32_t k = 0; k < ret->n; k++)
			have = have || strcmp(ret->v[k].code, s->code) == 0;
		if (!have && ret->n < CHAIN)
			ret->v[ret->n++] = *s;
	}
}

/* How long a step is worth its place: an empty one is none, nor one of a time that has not come. */
static int64_t
worth(const struct step *s, int64_t now_ms)
{
	return s->code[0] == '\0' ? INT64_MIN : s->ms > now_ms + DAY_MS ? INT64_MIN + 1 : s->ms;
}

static void
put(struct config *c, uint64_t key, const struct step *s)
{
	struct marks *m = key != 0 ? lru_find(&c->tops, key) : NULL;
	unsigned at = 0;

	if (key == 0)
		return;
	if (m == NULL)
		m = lru_add(&c->tops, key);
	for (unsigned i = 0; i < STEPS; i++) {
		if (strcmp(m->v[i].code, s->code) == 0) {
			at = i;
			break;
		}
		if (worth(&m->v[i], s->ms) < worth(&m->v[at], s->ms))
			at = i;
	}
	m->v[at] = *s;
}

/* The innermost resource of Azure is a part; the account is what its parts have in common. */
static uint64_t
top_key(const struct config *c, const struct event *e)
{
	struct slice id = event_text(e, F_TargetResourceId), name = event_text(e, F_TargetResourceName);
	struct azure_id parts;

	if (azure_id_parse(id, &parts) && parts.subscription.n > 0 && name.n > 0)
		return config_hash(c, "top", name);
	return config_hash(c, "top", id);
}

static uint64_t
actor_key(const struct config *c, const struct event *e)
{
	struct slice actor = event_has(e, F_ActorUserId) ? event_text(e, F_ActorUserId) : event_text(e, F_ActorUsername);

	return config_hash(c, "actor", actor);
}

/* A content filter by its account and name, as a deployment names it. */
static uint64_t
filter_key(const struct config *c, const struct event *e, struct slice name)
{
	struct slice top = event_text(e, F_TargetResourceName);
	char text[400];
	int n = snprintf(text, sizeof(text), "%.*s/%.*s", (int)(top.n < 128 ? top.n : 128), top.n > 0 ? top.p : "",
	    (int)(name.n < 128 ? name.n : 128), name.n > 0 ? name.p : "");

	return name.n > 0 ? config_hash(c, "filter", slice_make(text, (size_t)n)) : 0;
}

void
chain_find(struct config *c, const struct change *change, const struct verdict *v, struct chain *ret)
{
	ret->n = 0;
	if (strcmp(change->row->kind, "deployment") == 0 && change->row->effect == EFFECT_MAKE) {
		if (body_read(c->compare, v->after))
			look(c, filter_key(c, change->e, body_value(c->compare, "*raipolicyname")), change->t_ms, "", ret);
		return;
	}
	look(c, top_key(c, change->e), change->t_ms, v->code, ret);
	look(c, actor_key(c, change->e), change->t_ms, v->code, ret);
}

static void
chain_put(struct config *c, const struct event *e, const struct step *s)
{
	put(c, top_key(c, e), s);
	if (strcmp(s->code, "D1") != 0)
		put(c, actor_key(c, e), s);
}

void
chain_add(struct config *c, const struct change *change, const struct op *op, const struct verdict *v)
{
	struct step s = { .ms = change->t_ms, .words = step_of(v->code, v->effect) };

	snprintf(s.code, sizeof(s.code), "%.2s", v->code);
	if (op != NULL && op->nevidence > 0)
		memcpy(s.id, op->evidence[0], sizeof(s.id));
	else
		(void)id_bytes(event_text(change->e, F_EventId), s.id);
	chain_put(c, change->e, &s);
	if (strcmp(change->row->kind, "content_filter") == 0)
		put(c, filter_key(c, change->e, azure_id_part(event_text(change->e, F_TargetResourceId), SLICE("raiPolicies"))), &s);
}

void
chain_alert(struct config *c, const struct event *e)
{
	struct step s = { .ms = event_number(e, F_TimeGenerated, 0), .code = "D1", .words = step_of("D1", "") };

	(void)id_bytes(event_text(e, F_EventId), s.id);
	chain_put(c, e, &s);
}
