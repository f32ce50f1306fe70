/*
 * volume.c - counts calls into windows of event time, and shows each closed window to the series' scorers.
 *
 * Time is what events say. A window stays open until one `lateness` windows newer has begun; then the entities that
 * had anything in it get a row, in the order they were first seen, and the episodes hear what was surprising.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"
#include "detect/detect.h"
#include "detect/volume.h"

#define CALLS		32768		/* correlation ids remembered */
#define BELIEVED	16		/* events that must agree before a time counts */
#define FAR_MS		3600000		/* further ahead than this is not believed at once */
#define GAP_ROWS	30		/* a longer silence is one step */
#define SERIES_AFTER	3		/* windows with something before an entity gets a series */
#define TOKENS_A_CALL	250		/* tokens weigh as much less than requests */
#define NO_SLOT		UINT32_MAX

const char *const metric_names[METRICS] = { "requests", "prompt_tokens", "completion_tokens", "refused" };
const char *const entity_kinds[3] = { "resource", "deployment", "caller" };

/* One call is told by two or three records with one correlation id: what of it was counted already, and who called. */
struct call {
	uint64_t	id;		/* stable: it is saved */
	uint32_t	caller;		/* slot, or NO_SLOT */
	uint32_t	counted;	/* bit of each metric */
};

/* ---- time -------------------------------------------------------------------- */

static int64_t
window_of(const struct volume *v, int64_t t_ms)
{
	return t_ms >= 0 ? t_ms / v->window_ms : -1;
}

/* The entity's rows up to `window`, where it had nothing. */
static void
catch_up(struct volume *v, struct entity *e, int64_t window)
{
	int64_t missed;

	if (e->next_window < 0)
		e->next_window = window;
	missed = window - e->next_window;
	if (missed <= 0)
		return;
	for (int m = 0; m < METRICS; m++) {
		struct score *s = e->score[m];

		if (s == NULL)
			continue;
		if (missed > GAP_ROWS)
			score_gap(s, window * v->window_ms, v->window_ms, missed > UINT32_MAX ? UINT32_MAX : (uint32_t)missed);
		else
			for (int64_t w = e->next_window; w < window; w++)
				score_row(s, w * v->window_ms, v->window_ms, 0, v->strict);
	}
	e->next_window = window;
}

/* Surprising, and large enough for a person's time. */
static bool
worth(const struct volume *v, enum metric m, double observed, const struct score_says *says)
{
	double least = m == M_REQUESTS || m == M_REFUSED ? v->min_count : v->min_count * TOKENS_A_CALL;

	return says->surprise >= 1 && observed >= least &&
	    observed > 1.5 * says->expected && observed > 1.25 * says->usual_high;
}

static void
score_entity(struct volume *v, uint32_t slot, int64_t window)
{
	struct entity *e = &v->entities[slot];
	float *sum = e->sum[window % OPEN_WINDOWS];

	catch_up(v, e, window);
	if (e->windows_seen < 255)
		e->windows_seen++;
	for (int m = 0; m < METRICS; m++) {
		struct score *s = e->score[m];
		struct score_says says;

		if (s == NULL && sum[m] > 0 && e->windows_seen >= SERIES_AFTER)
			s = table_score(v, slot, m);
		if (s == NULL)
			continue;
		says = score_row(s, window * v->window_ms, v->window_ms, sum[m], v->strict);
		if (worth(v, m, sum[m], &says) && v->nsurprises < MAX_SURPRISES)
			v->surprises[v->nsurprises++] = (struct surprise){ slot, m, sum[m], says };
	}
	memset(sum, 0, sizeof(e->sum[0]));
	e->next_window = window + 1;
}

static int
close_window(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t *touched = v->touched[window % OPEN_WINDOWS];
	uint32_t n = v->ntouched[window % OPEN_WINDOWS];

	v->nsurprises = 0;
	for (uint32_t i = 0; i < n; i++)
		if (v->entities[touched[i]].hash != 0)
			score_entity(v, touched[i], window);
	v->ntouched[window % OPEN_WINDOWS] = 0;
	v->closed = window + 1;
	return n > 0 || v->nepisodes > 0 ? episode_window(v, window, say, err) : 0;
}

/* Closes all windows that event time has passed. Empty ones cost nothing once no episode is open. */
static int
pass(struct volume *v, int64_t newest, struct event_list *say, struct err *err)
{
	int64_t until = newest - v->lateness;
	int rc = 0;

	v->newest = newest;
	for (int64_t w = v->closed, open = v->closed + OPEN_WINDOWS; w < until; w++) {
		if (w >= open && v->nepisodes == 0) {
			v->closed = until;
			break;
		}
		if (close_window(v, w, say, err) != 0)
			rc = -1;
	}
	return rc;
}

static void
begin_at(struct volume *v, int64_t window)
{
	for (int i = 0; i < OPEN_WINDOWS; i++) {
		for (uint32_t k = 0; k < v->ntouched[i]; k++)
			memset(v->entities[v->touched[i][k]].sum, 0, sizeof(v->entities[0].sum));
		v->ntouched[i] = 0;
	}
	v->newest = window;
	v->closed = window - v->lateness;
	v->believed = 1;
}

/*
 * Whether this time may move the clock: 1 yes, 0 leave the clock, -1 the event is out of time. At the start, and for a time far ahead,
 * BELIEVED events must agree, so that one wrong record neither closes every window nor blinds the detector.
 */
static int
believe(struct volume *v, int64_t t_ms)
{
	int64_t far = FAR_MS / v->window_ms, w = window_of(v, t_ms);

	if (v->believed == 0) {
		begin_at(v, w);
		return 1;
	}
	if (v->believed < BELIEVED) {
		if (w - v->newest > far || v->newest - w > far)
			begin_at(v, w);
		else
			v->believed++;
		return 1;
	}
	if (w - v->newest <= far)
		return w > v->newest;
	if (v->suspects == 0 || llabs(t_ms - v->suspect_ms) > FAR_MS)
		v->suspects = 0;
	v->suspect_ms = t_ms;
	if (++v->suspects < BELIEVED)
		return -1;
	v->suspects = 0;
	return 1;
}

/* ---- counting ------------------------------------------------------------------ */

static void
touch(struct volume *v, uint32_t slot, int64_t window)
{
	struct entity *e = &v->entities[slot];
	int ring = (int)(window % OPEN_WINDOWS);

	for (int m = 0; m < METRICS; m++)
		if (e->sum[ring][m] != 0)
			return;
	if (v->ntouched[ring] < v->max_entities)
		v->touched[ring][v->ntouched[ring]++] = slot;
	if (window > e->last_window)
		e->last_window = window;
}

static void
add(struct volume *v, uint32_t slot, int64_t window, const double amount[METRICS], struct slice id)
{
	struct entity *e;

	if (slot == NO_SLOT)
		return;
	touch(v, slot, window);
	e = &v->entities[slot];
	for (int m = 0; m < METRICS; m++)
		e->sum[window % OPEN_WINDOWS][m] += (float)amount[m];
	entity_evidence(e, id);
}

static struct slice
caller_of(const struct event *e)
{
	static const enum field names[] = { F_ActorUserId, F_ActorUsername, F_ActingAppId, F_SrcIpAddr };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (event_has(e, names[i]))
			return event_text(e, names[i]);
	return SLICE_NONE;
}

static struct call *
call_of(struct volume *v, const struct event *e)
{
	struct slice uid = event_text(e, F_EventOriginalUid);
	struct call *c;
	uint64_t id;

	if (uid.n == 0)
		return NULL;
	id = hash_stable(uid.p, uid.n);
	c = &v->calls[id % CALLS];
	if (c->id != id)
		*c = (struct call){ .id = id, .caller = NO_SLOT };
	return c;
}

static bool
refused(const struct event *e)
{
	int64_t status = event_number(e, F_HttpStatusCode, 0);

	if (status != 0)
		return status == 429 || status == 401 || status == 403 || status >= 500;
	return slice_eq(event_text(e, F_EventResult), SLICE("Failure"));
}

/* What of this event was not yet counted with another record of its call. */
static bool
amounts(const struct event *e, struct call *c, double ret[METRICS])
{
	bool any = false;

	ret[M_REQUESTS] = (double)event_number(e, F_RequestCount, 0);
	ret[M_PROMPT_TOKENS] = (double)event_number(e, F_PromptTokens, 0);
	ret[M_COMPLETION_TOKENS] = (double)event_number(e, F_CompletionTokens, 0);
	ret[M_REFUSED] = ret[M_REQUESTS] > 0 && refused(e) ? ret[M_REQUESTS] : 0;
	for (int m = 0; m < METRICS; m++) {
		if (!(ret[m] > 0) || ret[m] > 1e12)
			ret[m] = 0;
		if (ret[m] > 0 && c != NULL) {
			if (c->counted & 1u << m)
				ret[m] = 0;
			c->counted |= 1u << m;
		}
		any = any || ret[m] > 0;
	}
	return any;
}

static void
count(struct volume *v, const struct event *e, int64_t window, struct call *c, const double amount[METRICS])
{
	struct slice id = event_text(e, F_EventId), caller = caller_of(e), deployment = event_text(e, F_AiDeployment);
	uint32_t root = entity_find(v, E_RESOURCE, 0, event_text(e, F_TargetResourceId), e), slot;

	if (root == NO_SLOT)
		return;
	add(v, root, window, amount, id);
	if (deployment.n > 0)
		add(v, entity_find(v, E_DEPLOYMENT, root, deployment, e), window, amount, id);
	slot = caller.n > 0 ? entity_find(v, E_CALLER, root, caller, e) : c != NULL ? c->caller : NO_SLOT;
	/* A usage record names nobody; the request with the same id did. */
	if (slot != NO_SLOT && (slot >= v->nentities || v->entities[slot].root != root))
		slot = NO_SLOT;
	add(v, slot, window, amount, id);
	if (c != NULL && caller.n > 0)
		c->caller = slot;
}

static int
see(void *state, const struct event *e, struct event_list *say, struct err *err)
{
	struct volume *v = state;
	int64_t t_ms = event_number(e, F_TimeGenerated, -1), window = window_of(v, t_ms);
	double amount[METRICS];
	struct call *c;
	int rc = 0, believed;

	if (!slice_eq(event_text(e, F_EventClass), SLICE("activity")) || window < 0 || !event_has(e, F_TargetResourceId) ||
	    !(event_has(e, F_RequestCount) || event_has(e, F_PromptTokens) || event_has(e, F_CompletionTokens)))
		return 0;
	v->seen++;
	believed = believe(v, t_ms);
	if (believed == 1 && window > v->newest)
		rc = pass(v, window, say, err);
	if (believed == -1 || window < v->closed) {
		v->late++;
		return rc;
	}
	c = call_of(v, e);
	if (amounts(e, c, amount))
		count(v, e, window, c, amount);
	return rc;
}

/* ---- life ----------------------------------------------------------------------- */

static void
close_volume(void *state)
{
	struct volume *v = state;

	if (v == NULL)
		return;
	table_close(v);
	free(v->calls);
	free(v->episodes);
	free(v->surprises);
	free(v);
}

static int
open_volume(void **ret, const struct conf *conf, struct err *err)
{
	struct volume *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return err_set(err, ERR_AGAIN, "no memory for detector volume");
	v->window_ms = (uint32_t)conf_ms(conf, "window");
	v->lateness = (uint32_t)conf_count(conf, "lateness");
	v->max_series = (uint32_t)conf_count(conf, "max_series");
	v->min_count = (double)conf_count(conf, "min_count");
	v->strict = score_strict(conf_real(conf, "sensitivity"));
	v->calls = calloc(CALLS, sizeof(*v->calls));
	v->episodes = calloc(MAX_EPISODES, sizeof(*v->episodes));
	v->surprises = calloc(MAX_SURPRISES, sizeof(*v->surprises));
	if (v->calls == NULL || v->episodes == NULL || v->surprises == NULL || table_open(v, err) != 0) {
		close_volume(v);
		return err_set(err, ERR_AGAIN, "no memory for detector volume");
	}
	*ret = v;
	return 0;
}

/* ---- memory ---------------------------------------------------------------------- */

/* What must be equal for saved bytes to mean the same here. */
struct layout {
	uint32_t	window_ms, entity_bytes, score_bytes, episode_bytes, calls;
};

static struct layout
layout_of(const struct volume *v)
{
	return (struct layout){ v->window_ms, sizeof(struct entity), sizeof(struct score), sizeof(struct episode), CALLS };
}

static int
save(void *state, struct buf *out, struct err *err)
{
	struct volume *v = state;
	struct layout layout = layout_of(v);

	buf_put(out, &layout, sizeof(layout));
	buf_put(out, &v->newest, sizeof(v->newest));
	buf_put(out, &v->closed, sizeof(v->closed));
	buf_put(out, &v->believed, sizeof(v->believed));
	buf_put(out, &v->suspect_ms, sizeof(v->suspect_ms));
	buf_put(out, &v->suspects, sizeof(v->suspects));
	buf_put(out, &v->evicted, sizeof(v->evicted));
	buf_put(out, v->calls, CALLS * sizeof(*v->calls));
	buf_put(out, &v->nepisodes, sizeof(v->nepisodes));
	buf_put(out, v->episodes, v->nepisodes * sizeof(*v->episodes));
	return table_save(v, out) == 0 ? 0 : err_set(err, ERR_AGAIN, "no memory to save %u series", v->nscores);
}

static bool
take(struct slice *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	if (n > 0)
		memcpy(to, in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	return true;
}

static bool
episodes_fit(const struct volume *v)
{
	for (uint32_t i = 0; i < v->nepisodes; i++) {
		const struct episode *p = &v->episodes[i];

		if (p->root >= v->nentities || p->entity >= v->nentities || (unsigned)p->metric >= METRICS ||
		    p->nalso > EPISODE_ALSO)
			return false;
		for (uint32_t k = 0; k < p->nalso; k++)
			if (p->also[k].entity >= v->nentities || (unsigned)p->also[k].metric >= METRICS)
				return false;
	}
	return true;
}

static int
restore(void *state, struct slice saved, struct err *err)
{
	struct volume *v = state;
	struct layout here = layout_of(v), there;
	struct slice in = saved;

	if (!take(&in, &there, sizeof(there)) || memcmp(&here, &there, sizeof(here)) != 0)
		return err_set(err, ERR_LOST, "the saved state is of another window, or another build");
	if (!take(&in, &v->newest, sizeof(v->newest)) || !take(&in, &v->closed, sizeof(v->closed)) ||
	    !take(&in, &v->believed, sizeof(v->believed)) || !take(&in, &v->suspect_ms, sizeof(v->suspect_ms)) ||
	    !take(&in, &v->suspects, sizeof(v->suspects)) || !take(&in, &v->evicted, sizeof(v->evicted)) ||
	    !take(&in, v->calls, CALLS * sizeof(*v->calls)) || !take(&in, &v->nepisodes, sizeof(v->nepisodes)) ||
	    v->nepisodes > MAX_EPISODES || !take(&in, v->episodes, v->nepisodes * sizeof(*v->episodes)))
		return err_set(err, ERR_LOST, "the saved state is not whole");
	if (table_restore(v, &in, err) != 0)
		return -1;
	return episodes_fit(v) && in.n == 0 ? 0 : err_set(err, ERR_LOST, "the saved episodes are not whole");
}

static void
figures(void *state, struct stat_block *stats)
{
	const struct volume *v = state;

	stat_set(stats, STAT_DETECTOR_SEEN, v->seen);
	stat_set(stats, STAT_DETECTOR_FINDINGS, v->findings);
	stat_set(stats, STAT_DETECTOR_SERIES, v->nscores);
	stat_set(stats, STAT_DETECTOR_EVICTED, v->evicted);
	stat_set(stats, STAT_DETECTOR_LATE, v->late);
}

const struct conf_key volume_keys[] = {
	{ .name = "enabled", .type = CONF_BOOL, .fallback = "true", .help = "whether this detector runs" },
	{ .name = "window", .type = CONF_TIME, .fallback = "60s", .least = 10000, .most = 3600000,
	  .help = "calls are counted in windows of this length" },
	{ .name = "lateness", .type = CONF_COUNT, .fallback = "2", .least = 0, .most = OPEN_WINDOWS - 1,
	  .help = "how many windows a record may be late and still count" },
	{ .name = "sensitivity", .type = CONF_REAL, .fallback = "1", .least = 0.01, .most = 10,
	  .help = "expected false alarms a series and week; less is quieter" },
	{ .name = "min_count", .type = CONF_COUNT, .fallback = "20", .least = 1, .most = 1000000000,
	  .help = "fewest requests in a window worth an alert (tokens: 250 times as many)" },
	{ .name = "max_series", .type = CONF_COUNT, .fallback = "20000", .least = 100, .most = 2000000,
	  .help = "series in memory, about 2.3 KiB each; the ones quiet for longest are forgotten" },
	CONF_END
};

const struct detector_kind detector_kind_volume = {
	.name = "volume",
	.help = "spikes of requests, tokens and refusals, by resource, deployment and caller",
	.keys = volume_keys,
	.state_version = 1,
	.open = open_volume,
	.close = close_volume,
	.see = see,
	.save = save,
	.restore = restore,
	.count = figures,
};
