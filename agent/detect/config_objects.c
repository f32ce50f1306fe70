/* config_objects.c - the last known state of each object, and what was weakened lately, by resource and by actor. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "detect/config_parts.h"
#include "model/resource.h"

#define STATES_BYTES	(64u << 20)	/* of all objects together */
#define DAY_MS		86400000
#define STALE_MS	(INT64_C(180) * DAY_MS)

static void
set(struct config *c, char **to, uint32_t *to_n, struct slice s)
{
	char *copy = NULL;

	if (s.n > 0 && s.n <= STATE_BYTES && c->state_bytes + s.n <= STATES_BYTES)
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

	buf_init(&merged, STATE_BYTES);
	if (merge_bodies(c->compare, slice_make(o->state, o->state_n), state, &merged))
		set(c, &o->state, &o->state_n, buf_slice(&merged));
	else
		set(c, &o->state, &o->state_n, state);
	buf_fini(&merged);
}

/* ---- chains ------------------------------------------------------------------------------ */

static void
look(struct config *c, uint64_t key, const struct change *change, const char *code, bool add, char ret[48])
{
	struct marks *m = lru_find(&c->tops, key);
	unsigned oldest = 0;

	if (m == NULL && !add)
		return;
	if (m == NULL)
		m = lru_add(&c->tops, key);
	for (unsigned i = 0; i < 4; i++) {
		int64_t apart = llabs(change->t_ms - m->v[i].ms);
		size_t n = strlen(ret);

		if (m->v[i].code[0] != '\0' && strcmp(m->v[i].code, code) != 0 && apart <= DAY_MS && strstr(ret, m->v[i].code) == NULL)
			snprintf(ret + n, 48 - n, "%s%s", n > 0 ? "," : "", m->v[i].code);
		if (m->v[i].ms < m->v[oldest].ms)
			oldest = i;
		if (strcmp(m->v[i].code, code) == 0) {
			oldest = i;
			m->v[i].ms = INT64_MIN;		/* this one gives way to itself */
		}
	}
	if (add) {
		m->v[oldest].ms = change->t_ms;
		snprintf(m->v[oldest].code, sizeof(m->v[oldest].code), "%.2s", code);
	}
}

void
marks_chain(struct config *c, const struct change *change, const char *code, bool add, char ret[48])
{
	const struct event *e = change->e;
	struct slice actor = event_has(e, F_ActorUserId) ? event_text(e, F_ActorUserId) : event_text(e, F_ActorUsername);
	struct slice id = event_text(e, F_TargetResourceId), name = event_text(e, F_TargetResourceName);
	struct azure_id parts;

	ret[0] = '\0';
	if (code[0] == '\0')
		return;
	/* The innermost resource of Azure is a part; the account is what its parts have in common. */
	if (azure_id_parse(id, &parts) && parts.subscription.n > 0 && name.n > 0)
		look(c, config_hash(c, "top", name), change, code, add, ret);
	else if (id.n > 0)
		look(c, config_hash(c, "top", id), change, code, add, ret);
	if (actor.n > 0)
		look(c, config_hash(c, "actor", actor), change, code, add, ret);
}
