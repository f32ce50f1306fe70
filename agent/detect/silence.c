/*
 * silence.c - a resource that always speaks and has stopped: its logging was cut, or it is gone.
 *
 * Only event time counts, so somebody else must still speak: when nothing at all comes, time stands still. Such a stretch is "dark" once time
 * moves again: it is taken for a stop of the collection, and no series learns zeros from it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/err.h"
#include "detect/detect.h"
#include "detect/volume.h"

#define LEAST_MS	600000		/* no shorter silence is said */
#define TIMES_LONGEST	3		/* nor one that is not so many times longer than any before */
#define FADE_WINDOWS	20160.0f	/* how slowly the longest one is forgotten */

void
silence_dark(struct volume *v, int64_t from, int64_t to)
{
	v->dark[v->ndark % DARK_SPANS] = (struct span){ from, to };
	v->ndark = v->ndark + 1 == 2 * DARK_SPANS ? DARK_SPANS : v->ndark + 1;
}

int64_t
silence_dark_in(const struct volume *v, int64_t from, int64_t to)
{
	int64_t n = 0;

	for (uint32_t i = 0; i < DARK_SPANS && i < v->ndark; i++) {
		int64_t a = v->dark[i].from > from ? v->dark[i].from : from, b = v->dark[i].to < to ? v->dark[i].to : to;

		n += b > a ? b - a : 0;
	}
	return n;
}

static int
speaks(struct volume *v, uint32_t slot, int64_t window, struct event_list *say, struct err *err)
{
	struct entity *e = &v->entities[slot];
	float stretch = (float)(window - e->heard_window - 1 - silence_dark_in(v, e->heard_window + 1, window));
	int rc = 0;

	if (e->silent)
		rc = finding_silence(v, slot, "end", e->heard_window + 1, window, e->missed, say, err);
	if (e->heard_window >= 0 && stretch > e->longest)
		e->longest = stretch;
	e->longest *= 1 - 1 / FADE_WINDOWS;
	e->missed = 0;
	e->silent = 0;
	e->heard_window = window;
	return rc;
}

static int
is_quiet(struct volume *v, uint32_t slot, int64_t window, struct event_list *say, struct err *err)
{
	struct entity *e = &v->entities[slot];
	const struct score *s = e->score[M_REQUESTS];
	double stretch = (double)(window - e->heard_window - silence_dark_in(v, e->heard_window + 1, window + 1));

	if (s == NULL || e->heard_window < 0 || !entity_is_established(v, e))
		return 0;
	e->missed += (float)score_usual(s, window * v->window_ms);
	if (e->silent || e->missed < SILENCE_MISSED || stretch * v->window_ms < LEAST_MS || stretch < TIMES_LONGEST * (double)e->longest)
		return 0;
	e->silent = 1;
	return finding_silence(v, slot, "start", e->heard_window + 1, window, e->missed, say, err);
}

int
silence_window(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < v->nroots; i++) {
		uint32_t slot = v->roots[i];
		bool heard = v->entities[slot].next_window == window + 1;

		if ((heard ? speaks : is_quiet)(v, slot, window, say, err) != 0)
			rc = -1;
	}
	return rc;
}
