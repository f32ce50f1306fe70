/*
 * volume_state.c - the volume detector's memory as bytes, and back, exactly.
 *
 * Of this machine's layout, which restore checks. Most words of a series are zero while it is young, and one head of it is always idle.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "detect/detect.h"
#include "detect/extra.h"
#include "detect/volume.h"

#define WHO_MOST	(WHO_COUNT * (WHO_BYTES + 1))

_Static_assert(sizeof(struct score) % 4 == 0 && sizeof(struct entity) % 4 == 0, "they are made of words");

/* What must be equal for saved bytes to mean the same here. */
struct layout {
	uint32_t	window_ms, entity_bytes, score_bytes, episode_bytes, calls;
};

/* All that is one value a detector. */
struct scalars {
	int64_t		newest, closed;
	uint64_t	evicted, refused, dropped;
	uint32_t	believed, nheld, nrecent, ndark, hand, total, nepisodes, nroots, nentities;
};

static struct layout
layout_of(const struct volume *v)
{
	return (struct layout){ v->window_ms, sizeof(struct entity), sizeof(struct score), sizeof(struct episode), CALLS };
}

/* ---- saving ------------------------------------------------------------------------ */

static void
put_entity(struct buf *out, const struct entity *e)
{
	struct entity flat = *e;

	flat.hash = e->hash != 0;
	flat.who = NULL;
	for (int m = 0; m < METRICS; m++)
		flat.score[m] = e->score[m] != NULL ? (struct score *)1 : NULL;
	saved_put_sparse(out, &flat, sizeof(flat));
	buf_put(out, e->who, e->who_bytes);
	for (int m = 0; m < METRICS; m++)
		if (e->score[m] != NULL)
			saved_put_sparse(out, e->score[m], sizeof(struct score));
}

/* Grown once instead of doubled again and again; a guess is enough. */
static void
make_room(const struct volume *v, struct buf *out)
{
	(void)buf_reserve(out, CALLS * sizeof(struct call) + (size_t)v->nentities * (sizeof(struct entity) + 160) +
	    (size_t)v->nscores * (sizeof(struct score) * 3 / 4));
}

int
volume_save(void *state, struct buf *out, struct err *err)
{
	const struct volume *v = state;
	const struct layout layout = layout_of(v);
	struct scalars s;

	memset(&s, 0, sizeof(s));
	s = (struct scalars){ v->newest, v->closed, v->evicted, v->refused, v->dropped, v->believed, v->nheld, v->nrecent, v->ndark, v->hand,
		v->total, v->nepisodes, v->nroots, v->nentities };
	make_room(v, out);
	buf_put(out, &layout, sizeof(layout));
	buf_put(out, &s, sizeof(s));
	buf_put(out, v->dark, sizeof(v->dark));
	buf_put(out, v->held, s.nheld * sizeof(v->held[0]));
	buf_put(out, v->recent, sizeof(v->recent));
	buf_put(out, v->key, sizeof(v->key));
	calls_save(&v->calls, out);
	buf_put(out, v->episodes, v->nepisodes * sizeof(*v->episodes));
	buf_put(out, v->roots, v->nroots * sizeof(*v->roots));
	for (uint32_t i = 0; i < v->nentities; i++)
		put_entity(out, &v->entities[i]);
	for (int w = 0; w < OPEN_WINDOWS; w++) {
		buf_put(out, &v->ntouched[w], sizeof(v->ntouched[w]));
		buf_put(out, v->touched[w], v->ntouched[w] * sizeof(v->touched[w][0]));
	}
	return out->failed ? err_set(err, ERR_AGAIN, "no memory to save %u series", v->nscores) : 0;
}

/* ---- and back ------------------------------------------------------------------------ */

static bool
take_score(struct slice *in, struct score *s)
{
	return saved_take_sparse(in, s, sizeof(*s)) && s->fast.alarm < UINT16_MAX && s->slow.shape_slot < 48;
}

static bool
who_is_whole(const struct entity *e)
{
	int texts = 0;

	for (uint32_t i = 0; i < e->who_bytes; i++)
		texts += e->who[i] == '\0';
	return texts == WHO_COUNT && e->who[e->who_bytes - 1] == '\0';
}

static bool
take_entity(struct volume *v, struct slice *in, uint32_t slot)
{
	struct entity flat, *e = &v->entities[slot];

	if (!saved_take_sparse(in, &flat, sizeof(flat)) || flat.kind > E_TOTAL || flat.root >= v->nentities || flat.who_bytes > WHO_MOST)
		return false;
	*e = flat;
	memset(e->score, 0, sizeof(e->score));
	e->who = NULL;
	if (flat.hash == 0)
		return flat.who_bytes == 0;
	if (flat.who_bytes == 0 || (e->who = malloc(flat.who_bytes)) == NULL || !saved_take(in, e->who, flat.who_bytes) || !who_is_whole(e))
		return false;
	v->who_bytes += flat.who_bytes;
	for (int m = 0; m < METRICS; m++) {
		if (flat.score[m] == NULL)
			continue;
		if (v->nscores >= v->max_series || (e->score[m] = malloc(sizeof(struct score))) == NULL)
			return false;
		v->nscores++;
		if (!take_score(in, e->score[m]))
			return false;
	}
	e->hash = entity_hash(v, e);
	return true;
}

static bool
take_table(struct volume *v, struct slice *in)
{
	for (uint32_t i = 0; i < v->nentities; i++)
		if (!take_entity(v, in, i))
			return false;
	for (uint32_t i = 0; i < v->nentities; i++)
		if (v->entities[i].hash != 0)
			index_put(v, i);
	for (int w = 0; w < OPEN_WINDOWS; w++) {
		if (!saved_take(in, &v->ntouched[w], sizeof(v->ntouched[w])) || v->ntouched[w] > v->max_entities ||
		    !saved_take(in, v->touched[w], v->ntouched[w] * sizeof(v->touched[w][0])))
			return false;
		for (uint32_t i = 0; i < v->ntouched[w]; i++)
			if (v->touched[w][i] >= v->nentities)
				return false;
	}
	return true;
}

static bool
is_window(const struct volume *v, int64_t window, int64_t least)
{
	return window >= least && window <= TIME_MOST_MS / v->window_ms + 1;
}

/* Windows are counted, looped over and made indices of. */
static bool
times_fit(const struct volume *v)
{
	if (!is_window(v, v->newest, 0) || !is_window(v, v->closed, 0) || v->closed > v->newest)
		return false;
	for (uint32_t i = 0; i < DARK_SPANS; i++)
		if (!is_window(v, v->dark[i].from, 0) || !is_window(v, v->dark[i].to, v->dark[i].from))
			return false;
	for (uint32_t i = 0; i < v->nheld; i++)
		if (v->held[i].t_ms < 0 || v->held[i].t_ms > TIME_MOST_MS)
			return false;
	for (uint32_t i = 0; i < RECENT; i++)
		if (v->recent[i] < 0 || v->recent[i] > TIME_MOST_MS)
			return false;
	for (uint32_t i = 0; i < v->nepisodes; i++)
		if (!is_window(v, v->episodes[i].start_window, 0) || !is_window(v, v->episodes[i].last_window, 0) ||
		    !is_window(v, v->episodes[i].last_said_window, 0))
			return false;
	for (uint32_t i = 0; i < v->nentities; i++) {
		const struct entity *e = &v->entities[i];

		if (e->hash != 0 && (!is_window(v, e->first_window, -1) || !is_window(v, e->next_window, -1) ||
		    !is_window(v, e->last_window, -1) || !is_window(v, e->heard_window, -1)))
			return false;
	}
	return true;
}

static bool
references_fit(const struct volume *v)
{
	for (uint32_t i = 0; i < v->nepisodes; i++) {
		const struct episode *p = &v->episodes[i];

		if (p->root >= v->nentities || p->entity >= v->nentities || (unsigned)p->metric >= METRICS || (unsigned)p->over > OVER_ROOM || p->nalso > EPISODE_ALSO ||
		    p->ncallers > EPISODE_CALLERS)
			return false;
		for (uint32_t k = 0; k < p->nalso; k++)
			if (p->also[k].entity >= v->nentities || (unsigned)p->also[k].metric >= METRICS)
				return false;
		for (uint32_t k = 0; k < p->ncallers; k++)
			if (p->caller[k].entity >= v->nentities)
				return false;
	}
	for (uint32_t i = 0; i < v->nroots; i++)
		if (v->roots[i] >= v->nentities)
			return false;
	for (uint32_t i = 0; i < v->nheld; i++)
		for (int k = 0; k < 4; k++)
			if (v->held[i].slot[k] != NO_SLOT && v->held[i].slot[k] >= v->nentities)
				return false;
	return v->total == NO_SLOT || v->total < v->nentities;
}

int
volume_restore(void *state, struct slice saved, struct err *err)
{
	struct volume *v = state;
	struct layout here = layout_of(v), there;
	struct slice in = saved;
	struct scalars s;

	if (!saved_take(&in, &there, sizeof(there)) || memcmp(&here, &there, sizeof(here)) != 0)
		return err_set(err, ERR_LOST, "the saved state is of another window, or another build");
	if (!saved_take(&in, &s, sizeof(s)) || s.nepisodes > MAX_EPISODES || s.nentities > v->max_entities || s.nroots > s.nentities ||
	    (s.nentities > 0 && s.hand >= s.nentities) || s.ndark >= 2 * DARK_SPANS || !saved_take(&in, v->dark, sizeof(v->dark)) ||
	    s.nheld > HELD || !saved_take(&in, v->held, s.nheld * sizeof(v->held[0])) ||
	    s.nrecent >= 2 * RECENT || !saved_take(&in, v->recent, sizeof(v->recent)) ||
	    !saved_take(&in, v->key, sizeof(v->key)) || !calls_restore(&v->calls, &in) || !saved_take(&in, v->episodes, s.nepisodes * sizeof(*v->episodes)) ||
	    !saved_take(&in, v->roots, s.nroots * sizeof(*v->roots)))
		return err_set(err, ERR_LOST, "the saved state is not whole, or does not fit this configuration");
	v->newest = s.newest;
	v->closed = s.closed;
	v->evicted = s.evicted;
	v->refused = s.refused;
	v->dropped = s.dropped;
	v->believed = s.believed;
	v->nheld = s.nheld;
	v->nrecent = s.nrecent;
	v->ndark = s.ndark;
	v->hand = s.hand;
	v->total = s.total;
	v->nepisodes = s.nepisodes;
	v->nroots = s.nroots;
	v->nentities = s.nentities;
	if (!take_table(v, &in) || !references_fit(v) || !times_fit(v) || in.n != 0)
		return err_set(err, ERR_LOST, "the saved series are not whole, or do not fit this configuration");
	return 0;
}
