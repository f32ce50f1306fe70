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
#include "detect/extra.h"
#include "detect/volume.h"

#define FAR_MS		3600000		/* further ahead than this is not believed at once */
#define PAUSE_MS	(INT64_C(8) * 86400000)	/* a weekly job's, and a day */
#define AGREE		2		/* events that must agree with a time so far ahead where few come */
#define BELIEVED	16		/* those that must at the start, where many come, for a step beyond any pause, and when not all agree */
#define GAP_ROWS	30		/* a longer silence is one step */
#define SERIES_AFTER	3		/* windows with something before an entity gets a series */
#define DARK_MS		600000		/* no shorter stretch without any event is dark */
#define DARK_LOOK	10080		/* windows of one that are looked at */

const char *const metric_names[METRICS] = { "requests", "prompt_tokens", "completion_tokens", "refused" };
const char *const entity_kinds[4] = { "resource", "deployment", "caller", "total" };

/* ---- time -------------------------------------------------------------------- */

static int64_t
window_of(const struct volume *v, int64_t t_ms)
{
	return t_ms >= 0 ? t_ms / v->window_ms : -1;
}

/* Rows of nothing in the windows [from, to). */
static void
quiet_rows(struct volume *v, struct entity *e, int64_t from, int64_t to)
{
	for (int m = 0; m < METRICS && to > from; m++) {
		struct score *s = e->score[m];

		if (s == NULL)
			continue;
		if (to - from > GAP_ROWS)
			score_gap(s, to * v->window_ms, v->window_ms, to - from > UINT32_MAX ? UINT32_MAX : (uint32_t)(to - from));
		else
			for (int64_t w = from; w < to; w++)
				score_row(s, w * v->window_ms, v->window_ms, 0, v->strict);
	}
}

/* The entity's rows up to `window`, where it had nothing; the dark ones are no rows. */
static void
catch_up(struct volume *v, struct entity *e, int64_t window)
{
	int64_t from = e->next_window >= 0 ? e->next_window : window;
	uint32_t n = v->ndark < DARK_SPANS ? v->ndark : DARK_SPANS;

	for (uint32_t i = 0; i < n; i++) {		/* oldest first */
		const struct span *d = &v->dark[(v->ndark - n + i) % DARK_SPANS];

		if (d->to <= from || d->from >= window)
			continue;
		quiet_rows(v, e, from, d->from);
		from = d->to < window ? d->to : window;
	}
	quiet_rows(v, e, from, window);
	e->next_window = window;
}

/* Surprising, and large enough for a person's time. */
static bool
worth(const struct volume *v, const struct score *s, struct surprise *p)
{
	double least = p->metric == M_REQUESTS || p->metric == M_REFUSED ? v->min_count : v->min_count * TOKENS_A_CALL;

	if (p->says.surprise < 1 || p->observed < least || p->observed <= 1.5 * p->says.expected ||
	    !score_range(s, v->window_ms, p->says.expected, &p->usual_low, &p->usual_high))
		return false;
	return p->observed > 1.25 * p->usual_high;
}

static void
score_entity(struct volume *v, uint32_t slot, int64_t window)
{
	struct entity *e = &v->entities[slot];
	float *sum = e->sum[window % OPEN_WINDOWS];

	catch_up(v, e, window);
	if (e->windows_seen < UINT16_MAX)
		e->windows_seen++;
	for (int m = 0; m < METRICS; m++) {
		struct surprise p = { .entity = slot, .metric = m, .observed = sum[m] };
		struct score *s = e->score[m];

		if (s == NULL && sum[m] > 0 && e->windows_seen >= SERIES_AFTER)
			s = table_score(v, slot, m, window * v->window_ms, sum[m]);
		if (s == NULL)
			continue;
		p.says = score_row(s, window * v->window_ms, v->window_ms, sum[m], v->strict);
		if (m == M_REQUESTS && e->kind != E_CALLER)
			chart_row(v, slot, window, sum[m], s, &p.says);
		p.share = sum[M_REQUESTS] > 0 ? sum[M_REFUSED] / sum[M_REQUESTS] : 0;
		if (!worth(v, s, &p)) {
			if (p.says.surprise >= 1)
				score_unsaid(s);
			continue;
		}
		/* However many callers surprise, their resources are heard. */
		if (v->nsurprises < (e->kind == E_CALLER ? MAX_SURPRISES - MAX_SURPRISES / 4 : MAX_SURPRISES))
			v->surprises[v->nsurprises++] = p;
		else
			v->dropped++;
	}
	memcpy(e->was, sum, sizeof(e->was));
	memset(sum, 0, sizeof(e->sum[0]));
	e->next_window = window + 1;
}

static int
close_window(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t *touched = v->touched[window % OPEN_WINDOWS];
	uint32_t n = v->ntouched[window % OPEN_WINDOWS];
	int rc = 0;

	v->nsurprises = 0;
	for (uint32_t i = 0; i < n; i++)
		if (v->entities[touched[i]].hash != 0)
			score_entity(v, touched[i], window);
	v->ntouched[window % OPEN_WINDOWS] = 0;
	v->closed = window + 1;
	v->had = touched;
	v->nhad = n;
	if (n > 0 || v->nepisodes > 0)
		rc = episode_window(v, window, say, err);
	return silence_window(v, window, say, err) != 0 ? -1 : rc;
}

/* Nothing at all came for long, though much is usual at such times: the collection stood still. */
static void
look_dark(struct volume *v, int64_t newest)
{
	int64_t from = v->newest + 1, to = newest - v->lateness;
	const struct score *all = v->total != NO_SLOT ? v->entities[v->total].score[M_REQUESTS] : NULL;
	double missed = 0;

	if (all == NULL || (to - from) * v->window_ms < DARK_MS)
		return;
	for (int64_t w = from; w < to && w < from + DARK_LOOK && missed < SILENCE_MISSED; w++)
		missed += score_usual(all, w * v->window_ms);
	if (missed >= SILENCE_MISSED)
		silence_dark(v, from, to);
}

/* Closes all windows that event time has passed. Empty ones cost nothing once no episode is open. */
static int
pass(struct volume *v, int64_t newest, struct event_list *say, struct err *err)
{
	int64_t until = newest - v->lateness;
	int rc = 0;

	look_dark(v, newest);
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
	v->closed = window > v->lateness ? window - v->lateness : 0;	/* no window lies before 1970 */
	v->believed = 1;
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
	if (e->first_window < 0)
		e->first_window = window;
}

static void
add(struct volume *v, int64_t window, const struct held *h)
{
	for (int i = 0; i < 4; i++) {
		struct entity *e;

		if (h->slot[i] == NO_SLOT)
			continue;
		touch(v, h->slot[i], window);
		e = &v->entities[h->slot[i]];
		for (int m = 0; m < METRICS; m++)
			e->sum[window % OPEN_WINDOWS][m] += (float)h->amount[m];
		entity_evidence(e, slice_make(h->id, sizeof(h->id)));
	}
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

/* What the log calls the record: a call has one of each. */
static uint32_t
record_kind(const struct volume *v, const struct event *e)
{
	struct slice type = event_text(e, F_EventOriginalType);
	uint32_t kind = (uint32_t)named_hash(v->key, event_number(e, F_RequestCount, 0) > 0 ? "request" : "usage", type.n > 0 ? type : SLICE("-"));

	return kind != 0 ? kind : 1;
}

/* An id means something within its resource. */
static uint64_t
call_id(const struct volume *v, const struct event *e)
{
	uint64_t of[2] = { named_hash(v->key, "call", event_text(e, F_EventOriginalUid)), named_hash(v->key, "on", event_text(e, F_TargetResourceId)) };
	uint64_t id;

	if (of[0] == 0)
		return 0;
	id = siphash24(v->key, of, sizeof(of));
	return id != 0 ? id : 1;
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
amounts(const struct event *e, struct call *c, uint32_t kind, double ret[METRICS])
{
	bool any = false;

	ret[M_REQUESTS] = (double)event_number(e, F_RequestCount, 0);
	ret[M_PROMPT_TOKENS] = (double)event_number(e, F_PromptTokens, 0);
	ret[M_COMPLETION_TOKENS] = (double)event_number(e, F_CompletionTokens, 0);
	ret[M_REFUSED] = ret[M_REQUESTS] > 0 && refused(e) ? ret[M_REQUESTS] : 0;
	for (int m = 0; m < METRICS; m++) {
		if (!(ret[m] > 0) || ret[m] > 1e12)
			ret[m] = 0;
		else if (c != NULL)
			ret[m] = call_take(c, kind, (unsigned)m, ret[m]);
		any = any || ret[m] > 0;
	}
	return any;
}

/* Who is to be counted, and the event's id. */
static void
resolve(struct volume *v, const struct event *e, struct call *c, struct held *h)
{
	struct slice id = event_text(e, F_EventId), caller = caller_of(e), deployment = event_text(e, F_AiDeployment);
	uint32_t root = entity_find(v, E_RESOURCE, 0, event_text(e, F_TargetResourceId), e), slot;

	if (v->total == NO_SLOT)
		v->total = entity_find(v, E_TOTAL, 0, SLICE_NONE, e);
	for (int i = 0; i < 4; i++)
		h->slot[i] = NO_SLOT;
	h->slot[0] = v->total;
	memset(h->id, 0, sizeof(h->id));
	if (id.n == sizeof(h->id))
		memcpy(h->id, id.p, sizeof(h->id));
	if (root == NO_SLOT)
		return;
	h->slot[1] = root;
	if (deployment.n > 0)
		h->slot[2] = entity_find(v, E_DEPLOYMENT, root, deployment, e);
	slot = caller.n > 0 ? entity_find(v, E_CALLER, root, caller, e) : c != NULL ? c->who : NO_SLOT;
	/* A usage record names nobody; the request with the same id did. */
	if (slot != NO_SLOT && (slot >= v->nentities || v->entities[slot].root != root || v->entities[slot].kind != E_CALLER))
		slot = NO_SLOT;
	h->slot[3] = slot;
	if (c != NULL && caller.n > 0)
		c->who = slot;
}

/* ---- times far ahead ------------------------------------------------------------- */

/*
 * A pause of hours is ordinary where little is called; a record may also lie. What is more than an hour ahead of the clock is held until the next
 * event is about as late, or later; then it counts. Where more came in the hour before the pause, as many must agree, or one that is an hour later
 * still: so two wrong ones in a quiet minute move nothing. When the next one is earlier, or the step is longer than any pause, many must agree: each
 * event as late is a vote for, each earlier one a vote against. What the clock comes to by itself counts too.
 */

static void
remember(struct volume *v, int64_t t_ms)
{
	v->recent[v->nrecent % RECENT] = t_ms;
	v->nrecent = v->nrecent + 1 == 2 * RECENT ? RECENT : v->nrecent + 1;
}

/* Where much comes, many of them soon follow a pause; where little does, two must do. */
static uint32_t
votes_needed(const struct volume *v, const struct held *h)
{
	int64_t now_ms = v->newest * v->window_ms;
	uint32_t n = 0;

	if (h->contested || h->t_ms - now_ms > PAUSE_MS)
		return BELIEVED;
	for (uint32_t i = 0; i < RECENT && i < v->nrecent && !h->goes_on; i++)
		n += v->recent[i] > now_ms - FAR_MS;
	return n < AGREE ? AGREE : n;
}

static bool
agrees(int64_t t_ms, int64_t later_ms)
{
	return later_ms >= t_ms - FAR_MS && later_ms - t_ms <= PAUSE_MS;
}

/* An event at t_ms speaks against all that came before it and is much later. */
static void
contest(struct volume *v, int64_t t_ms)
{
	for (uint32_t i = 0; i < v->nheld; i++) {
		if (v->held[i].t_ms <= t_ms + (v->held[i].contested ? 0 : FAR_MS))
			continue;
		v->held[i].contested = 1;
		v->held[i].goes_on = 0;
		v->held[i].votes -= v->held[i].votes > 0;
	}
}

static void
unhold(struct volume *v, uint32_t i)
{
	v->nheld--;
	memmove(&v->held[i], &v->held[i + 1], (v->nheld - i) * sizeof(v->held[0]));
}

static void
hold(struct volume *v, struct held *h)
{
	uint32_t at = v->nheld;

	h->votes = 1;
	h->contested = h->goes_on = 0;
	contest(v, h->t_ms);
	for (uint32_t i = 0; i < v->nheld; i++) {
		h->votes += !v->held[i].contested && agrees(h->t_ms, v->held[i].t_ms);
		v->held[i].votes += agrees(v->held[i].t_ms, h->t_ms);
		v->held[i].goes_on |= agrees(v->held[i].t_ms, h->t_ms) && h->t_ms - v->held[i].t_ms >= FAR_MS;
	}
	if (v->nheld == HELD) {			/* the furthest gives way */
		v->late++;
		if (h->t_ms >= v->held[HELD - 1].t_ms)
			return;
		at = --v->nheld;
	}
	while (at > 0 && v->held[at - 1].t_ms > h->t_ms)
		at--;
	memmove(&v->held[at + 1], &v->held[at], (v->nheld - at) * sizeof(v->held[0]));
	v->held[at] = *h;
	v->nheld++;
}

/* Counts in time order what is held up to the last time that is believed, and what the clock has come near to. */
static int
release(struct volume *v, struct event_list *say, struct err *err)
{
	int64_t far = FAR_MS / v->window_ms;
	uint32_t n = 0;
	int rc = 0;

	for (uint32_t i = 0; i < v->nheld && n == 0; i++)	/* one step, then the next from there */
		if (v->held[i].votes >= votes_needed(v, &v->held[i]))
			n = i + 1;
	while (v->nheld > 0 && (n > 0 || window_of(v, v->held[0].t_ms) - v->newest <= (v->held[0].contested ? 0 : far))) {
		struct held h = v->held[0];
		int64_t window = window_of(v, h.t_ms);

		unhold(v, 0);
		n -= n > 0;
		if (window > v->newest && pass(v, window, say, err) != 0)
			rc = -1;
		if (window < v->closed)
			v->late++;
		else {
			add(v, window, &h);
			remember(v, h.t_ms);
		}
	}
	return rc;
}

void
volume_forget(struct volume *v, uint32_t slot)
{
	for (uint32_t i = 0; i < v->nheld; i++)
		for (int k = 0; k < 4; k++)
			if (v->held[i].slot[k] == slot)
				v->held[i].slot[k] = NO_SLOT;
}

/* ---- each event ------------------------------------------------------------------- */

/* Whether the event lies far ahead. At the start the clock is whatever BELIEVED events agree on: the very first one may lie. */
static bool
is_far(struct volume *v, int64_t window)
{
	int64_t far = FAR_MS / v->window_ms, ahead = window - v->newest;

	if (v->believed == 0 || (v->believed < BELIEVED && (ahead < -far || ahead * v->window_ms > PAUSE_MS))) {
		begin_at(v, window);
		return false;
	}
	if (ahead > far)
		return true;
	v->believed += v->believed < BELIEVED;
	return false;
}

static int
see(void *state, const struct event *e, struct event_list *say, struct err *err)
{
	struct volume *v = state;
	struct held h = { .t_ms = event_number(e, F_TimeGenerated, -1) };
	int64_t window = window_of(v, h.t_ms);
	uint64_t record, id;
	struct call *c;
	uint32_t kind;
	bool far;
	int rc = 0;

	if (!slice_eq(event_text(e, F_EventClass), SLICE("activity")) || window < 0 || !event_has(e, F_TargetResourceId) ||
	    !(event_has(e, F_RequestCount) || event_has(e, F_PromptTokens) || event_has(e, F_CompletionTokens)))
		return 0;
	v->seen++;
	record = named_hash(v->key, "record", event_text(e, F_EventId));
	if (record != 0 && calls_repeated(&v->calls, record))
		return 0;
	far = is_far(v, window);
	if (!far && window < v->closed) {
		v->late++;
		return 0;
	}
	if (!far && window > v->newest)
		rc = pass(v, window, say, err);
	id = call_id(v, e);
	kind = record_kind(v, e);
	c = id != 0 ? calls_find(&v->calls, id, kind, h.t_ms / 1000) : NULL;
	if (amounts(e, c, kind, h.amount)) {
		resolve(v, e, c, &h);
		if (far)
			hold(v, &h);
		else {
			add(v, window, &h);
			remember(v, h.t_ms);
		}
	}
	if (v->nheld > 0) {
		if (!far)
			contest(v, h.t_ms);
		if (release(v, say, err) != 0)
			rc = -1;
	}
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
	calls_close(&v->calls);
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
	random_bytes(v->key, sizeof(v->key));
	v->episodes = calloc(MAX_EPISODES, sizeof(*v->episodes));
	v->surprises = calloc(MAX_SURPRISES, sizeof(*v->surprises));
	if (!calls_open(&v->calls, CALLS) || v->episodes == NULL || v->surprises == NULL || table_open(v, err) != 0) {
		close_volume(v);
		return err_set(err, ERR_AGAIN, "no memory for detector volume");
	}
	*ret = v;
	return 0;
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
	stat_set(stats, STAT_DETECTOR_REFUSED, v->refused);
	stat_set(stats, STAT_DETECTOR_EPISODES, v->nepisodes);
	stat_set(stats, STAT_DETECTOR_DROPPED, v->dropped);
}

const struct conf_key volume_keys[] = {
	{ .name = "enabled", .type = CONF_BOOL, .fallback = "true", .help = "whether this detector runs" },
	{ .name = "window", .type = CONF_TIME, .fallback = "60s", .least = 10000, .most = 3600000,
	  .help = "calls are counted in windows of this length" },
	{ .name = "lateness", .type = CONF_COUNT, .fallback = "2", .least = 0, .most = OPEN_WINDOWS - 1,
	  .help = "how many windows a record may be late and still count" },
	{ .name = "sensitivity", .type = CONF_REAL, .fallback = "1", .least = 0.01, .most = 10,
	  .help = "false alarms a series and week that are put up with; less is quieter" },
	{ .name = "min_count", .type = CONF_COUNT, .fallback = "20", .least = 1, .most = 1000000000,
	  .help = "fewest requests in a window worth an alert (tokens: 250 times as many)" },
	{ .name = "max_series", .type = CONF_COUNT, .fallback = "20000", .least = 100, .most = 2000000,
	  .help = "series in memory, 2 KiB each at most; newcomers that are quiet for longest give way first" },
	CONF_END
};

const struct detector_kind detector_kind_volume = {
	.name = "volume",
	.state_version = 4,
	.open = open_volume,
	.close = close_volume,
	.see = see,
	.save = volume_save,
	.restore = volume_restore,
	.count = figures,
	.charts = volume_charts,
};
