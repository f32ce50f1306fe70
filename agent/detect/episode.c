/*
 * episode.c - from surprises to findings: an episode has a start, updates and an end.
 *
 * A surge shows in many series at once: the resource's, a deployment's, a caller's, in requests and in tokens. The one that explains most and
 * says most leads; the others are named in AdditionalFields.also. An episode goes on while its leading series stays above what was usual; a
 * caller who starts later, on his own account, while his resource has an open episode, gets one of his own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "detect/detect.h"
#include "detect/volume.h"

#define QUIET_WINDOWS	5		/* an episode ends after so many that are usual again */
#define UPDATE_MS	900000		/* at most one update in this time, and only if the peak doubled */
#define LONE_CALLER	1.6		/* a caller is noisier than its resource: this surprise, when nothing else is */
#define SHARE		0.6		/* a caller or deployment leads if it has this much of the excess */
#define OWN_RISE	0.5		/* a caller's own episode beside an open one: the resource rose by so much of his excess */
#define OWN_TIMES	2		/* and he is so far above the range that is usual for him */
#define SAME_WINDOWS	2		/* who begins within so many of an episode's first belongs to it */
#define LONGEST_MS	86400000	/* what goes on for longer is the usual */
#define ROOT_EPISODES	4		/* open at once, of one resource */

static uint32_t
root_of(const struct volume *v, const struct surprise *s)
{
	return v->entities[s->entity].root;
}

/* ---- who leads ------------------------------------------------------------------ */

static double
excess(const struct surprise *s)
{
	return s->observed - s->says.expected;
}

/* The best of a resource's surprises: most surprising metric, then the most particular part that explains it. */
static const struct surprise *
leader(const struct volume *v, uint32_t root)
{
	const struct surprise *top = NULL, *part = NULL;

	for (uint32_t i = 0; i < v->nsurprises; i++) {
		const struct surprise *s = &v->surprises[i];

		if (root_of(v, s) == root && (top == NULL || s->says.surprise > top->says.surprise))
			top = s;
	}
	for (uint32_t i = 0; top != NULL && i < v->nsurprises; i++) {
		const struct surprise *s = &v->surprises[i];

		if (root_of(v, s) == root && s->metric == top->metric && excess(s) >= SHARE * excess(top) &&
		    (part == NULL || v->entities[s->entity].kind > v->entities[part->entity].kind))
			part = s;
	}
	return part != NULL ? part : top;
}

static bool
resource_agrees(const struct volume *v, uint32_t root)
{
	for (uint32_t i = 0; i < v->nsurprises; i++)
		if (root_of(v, &v->surprises[i]) == root && v->entities[v->surprises[i].entity].kind != E_CALLER)
			return true;
	return false;
}

static bool
names(const struct episode *p, const struct surprise *s, bool any_metric)
{
	if (p->entity == s->entity && (any_metric || p->metric == s->metric))
		return true;
	for (uint32_t k = 0; k < p->nalso; k++)
		if (p->also[k].entity == s->entity && (any_metric || p->also[k].metric == s->metric))
			return true;
	return false;
}

static void
note_also(struct episode *p, const struct surprise *s)
{
	if (names(p, s, false) || p->nalso == EPISODE_ALSO)
		return;
	p->also[p->nalso].entity = s->entity;
	p->also[p->nalso].metric = s->metric;
	p->also[p->nalso++].observed = s->observed;
}

/* ---- who called ------------------------------------------------------------------ */

static double
had(const struct entity *e, enum metric m, int64_t window)
{
	return e->hash != 0 && e->next_window == window + 1 ? e->was[m] : 0;
}

/* The callers who had most in the closed window, of the resource, or of all for the total's episode. */
static void
note_callers(const struct volume *v, struct episode *p, int64_t window)
{
	p->ncallers = 0;
	p->callers_of = had(&v->entities[p->root], p->metric, window);
	for (uint32_t i = 0; i < v->nhad; i++) {
		const struct entity *e = &v->entities[v->had[i]];
		double n = had(e, p->metric, window);
		uint32_t at;

		if (n <= 0 || e->kind != E_CALLER || (p->root != v->total && e->root != p->root))
			continue;
		for (at = p->ncallers; at > 0 && p->caller[at - 1].observed < n; at--)
			if (at < EPISODE_CALLERS)
				p->caller[at] = p->caller[at - 1];
		if (at == EPISODE_CALLERS)
			continue;
		p->caller[at].entity = v->had[i];
		p->caller[at].observed = n;
		p->ncallers += p->ncallers < EPISODE_CALLERS;
	}
}

/* ---- episodes ----------------------------------------------------------------------- */

static void
drop(struct volume *v, uint32_t i)
{
	v->entities[v->episodes[i].root].episodes--;
	v->entities[v->episodes[i].entity].episodes--;
	v->nepisodes--;
	memmove(&v->episodes[i], &v->episodes[i + 1], (v->nepisodes - i) * sizeof(v->episodes[0]));
}

static int
end(struct volume *v, uint32_t i, enum over why, struct event_list *say, struct err *err)
{
	struct episode *p = &v->episodes[i];
	int rc;

	p->over = why;
	rc = finding_spike(v, p, "end", "end", p->peak, say, err);
	drop(v, i);
	return rc;
}

/* Calls beyond the expected. */
static double
gravity(enum metric m, double observed, double expected)
{
	return (observed - expected) / (m == M_REQUESTS || m == M_REFUSED ? 1 : TOKENS_A_CALL);
}

/*
 * When all places are taken: of those as usual again for longest the one with fewest calls beyond its usual gives way, and is said to; one that goes
 * on does so only to what is graver. -1: no room.
 */
static int
make_room(struct volume *v, const struct surprise *s, struct event_list *say, struct err *err)
{
	struct episode *least = &v->episodes[0];
	double least_gravity = 0;

	if (v->nepisodes < MAX_EPISODES)
		return 0;
	for (uint32_t i = 0; i < v->nepisodes; i++) {
		struct episode *p = &v->episodes[i];
		double g = gravity(p->metric, p->peak, p->expected);

		if (i == 0 || p->quiet > least->quiet || (p->quiet == least->quiet && g < least_gravity)) {
			least = p;
			least_gravity = g;
		}
	}
	v->dropped++;
	if (least->quiet == 0 && least_gravity >= gravity(s->metric, s->observed, s->says.expected))
		return -1;
	(void)end(v, (uint32_t)(least - v->episodes), OVER_ROOM, say, err);
	return 0;
}

static int
begin(struct volume *v, const struct surprise *s, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t root = root_of(v, s);
	struct episode *p;

	if (make_room(v, s, say, err) != 0)
		return 0;
	p = &v->episodes[v->nepisodes++];
	memset(p, 0, sizeof(*p));
	*p = (struct episode){ .root = root, .entity = s->entity, .metric = s->metric, .start_window = window,
		.last_window = window, .last_said_window = window, .peak = s->observed, .peak_said = s->observed,
		.total = s->observed, .expected = s->says.expected, .usual_low = s->usual_low,
		.usual_high = s->usual_high, .score = s->says.score, .share = s->share };
	v->entities[root].episodes++;
	v->entities[s->entity].episodes++;
	for (uint32_t i = 0; i < v->nsurprises; i++)
		if (root_of(v, &v->surprises[i]) == root)
			note_also(p, &v->surprises[i]);
	note_callers(v, p, window);
	return finding_spike(v, p, "start", "start", s->observed, say, err);
}

static int
update(struct volume *v, struct episode *p, double observed, int64_t window, struct event_list *say, struct err *err)
{
	char phase[24];

	p->last_window = window;
	p->quiet = 0;
	p->total += observed;
	if (observed > p->peak) {
		p->peak = observed;
		note_callers(v, p, window);
	}
	if (p->peak < 2 * p->peak_said || (window - p->last_said_window) * v->window_ms < UPDATE_MS)
		return 0;
	p->peak_said = p->peak;
	p->last_said_window = window;
	snprintf(phase, sizeof(phase), "update%u", ++p->updates);
	return finding_spike(v, p, "update", phase, observed, say, err);
}

void
episode_forget(struct volume *v, uint32_t slot)
{
	for (uint32_t i = 0; i < v->nepisodes; i++) {
		struct episode *p = &v->episodes[i];

		for (uint32_t k = 0; k < p->nalso;)
			if (p->also[k].entity == slot)
				p->also[k] = p->also[--p->nalso];
			else
				k++;
		for (uint32_t k = 0; k < p->ncallers;)
			if (p->caller[k].entity == slot) {
				p->ncallers--;
				memmove(&p->caller[k], &p->caller[k + 1], (p->ncallers - k) * sizeof(p->caller[0]));
			} else {
				k++;
			}
	}
}

/* What the leading series had in the closed window, while it is more than usual: than at the start, and than at this time of the week. */
static double
still(const struct volume *v, const struct episode *p, int64_t window)
{
	const struct entity *e = &v->entities[p->entity];
	const struct score *s = e->score[p->metric];
	double observed = e->next_window == window + 1 ? e->was[p->metric] : 0;
	double most = 1.25 * p->usual_high;

	if (1.5 * p->expected > most)
		most = 1.5 * p->expected;
	if (s != NULL && 1.25 * score_usual(s, window * v->window_ms) > most)
		most = 1.25 * score_usual(s, window * v->window_ms);
	return observed > most ? observed : 0;
}

static int
go_on(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < v->nepisodes;) {
		struct episode *p = &v->episodes[i];
		double observed = still(v, p, window);

		if (observed > 0 && update(v, p, observed, window, say, err) != 0)
			rc = -1;
		p->quiet += observed <= 0;
		if (p->quiet < QUIET_WINDOWS && (window + 1 - p->start_window) * v->window_ms <= LONGEST_MS) {
			i++;
			continue;
		}
		if (end(v, i, p->quiet < QUIET_WINDOWS ? OVER_LONG : OVER_USUAL, say, err) != 0)
			rc = -1;
	}
	return rc;
}

/* ---- surprises ------------------------------------------------------------------------ */

/* What the resource had in the closed window. */
static double
root_now(const struct volume *v, uint32_t root, enum metric m, int64_t window)
{
	const struct entity *e = &v->entities[root];

	return e->next_window == window + 1 ? e->was[m] : 0;
}

/* Whether the resource has risen above what it had during the episode, by what this caller adds: else he is a part of it. */
static bool
adds_to(const struct volume *v, const struct episode *p, const struct surprise *s, int64_t window)
{
	double before = p->root_windows > 0 ? p->root_sum[s->metric] / p->root_windows : 0;

	return s->observed >= OWN_TIMES * s->usual_high &&
	    root_now(v, p->root, s->metric, window) - before >= OWN_RISE * excess(s);
}

/* A surprise beside open episodes of its resource: part of one of them, or a caller's own. */
static int
beside(struct volume *v, const struct surprise *s, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t root = root_of(v, s), open = 0;
	struct episode *newest = NULL;

	for (uint32_t i = 0; i < v->nepisodes; i++) {
		struct episode *p = &v->episodes[i];

		if (p->root != root)
			continue;
		open++;
		newest = p;
		if (names(p, s, true)) {
			note_also(p, s);
			if (s->entity == p->entity && s->metric == p->metric && s->says.score > p->score)
				p->score = s->says.score;
			return 0;
		}
	}
	if (v->entities[s->entity].kind == E_CALLER && s->says.surprise >= LONE_CALLER && open < ROOT_EPISODES &&
	    window >= newest->start_window + SAME_WINDOWS && adds_to(v, newest, s, window))
		return begin(v, s, window, say, err);
	note_also(newest, s);
	return 0;
}

static int
hear(struct volume *v, uint32_t root, int64_t window, struct event_list *say, struct err *err)
{
	const struct surprise *lead;
	int rc = 0;

	if (v->entities[root].episodes == 0) {
		lead = leader(v, root);
		return lead->says.surprise >= LONE_CALLER || resource_agrees(v, root) ? begin(v, lead, window, say, err) : 0;
	}
	for (uint32_t i = 0; i < v->nsurprises; i++)
		if (root_of(v, &v->surprises[i]) == root && beside(v, &v->surprises[i], window, say, err) != 0)
			rc = -1;
	return rc;
}

int
episode_window(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	int rc = go_on(v, window, say, err);
	bool all = false;

	for (uint32_t i = 0; i < v->nsurprises; i++) {
		uint32_t root = root_of(v, &v->surprises[i]), k = 0;

		if (root == v->total) {
			all = true;
			continue;
		}
		while (k < i && root_of(v, &v->surprises[k]) != root)
			k++;
		if (k == i && hear(v, root, window, say, err) != 0)
			rc = -1;
	}
	for (uint32_t i = 0; i < v->nepisodes; i++) {
		struct episode *p = &v->episodes[i];

		for (int m = 0; m < METRICS; m++)
			p->root_sum[m] += root_now(v, p->root, m, window);
		p->root_windows++;
	}
	/* The sum of everything only speaks of what none of its parts shows. */
	if (all && (v->nepisodes == 0 || v->entities[v->total].episodes > 0) && hear(v, v->total, window, say, err) != 0)
		rc = -1;
	return rc;
}
