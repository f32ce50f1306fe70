/* watch.c - what the events say about the control: zone and term onto them, the rest into memory. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "posture/memory.h"

#define HOUR_MS		INT64_C(3600000)
#define PLAN_VALUES	4096

/* ---- plans ------------------------------------------------------------------- */

/* Which plan a pricing's resource id names: ".../providers/Microsoft.Security/pricings/CloudPosture". */
static bool
plan_of(struct slice id, enum plan *ret)
{
	if (slice_ends_nocase(id, SLICE("/providers/Microsoft.Security/pricings/CloudPosture")))
		*ret = PLAN_CSPM;
	else if (slice_ends_nocase(id, SLICE("/providers/Microsoft.Security/pricings/AI")))
		*ret = PLAN_AI;
	else
		return false;
	return true;
}

static void
note_plan(struct posture *p, struct account *a, const struct event *e, int64_t now_ms)
{
	struct json_doc doc;
	enum plan plan;

	if (!plan_of(event_text(e, F_TargetResourceId), &plan) || !event_has(e, F_AdditionalFields))
		return;
	json_doc_init(&doc, PLAN_VALUES);
	buf_reset(&p->plan_text);
	if (json_read(p->json, event_text(e, F_AdditionalFields), false, &doc, NULL) >= 0 &&
	    json_get_text(&doc, 0, "PricingTier", &p->plan_text)) {
		a->plan[plan] = slice_eq_nocase(buf_slice(&p->plan_text), SLICE("Standard")) ? PLAN_ON : PLAN_OFF;
		a->plan_ms[plan] = now_ms;
	}
	json_reset(p->json, &doc);
	json_doc_fini(&doc);
}

/* ---- terms ------------------------------------------------------------------- */

static bool
is_class(const struct event *e, const char *name)
{
	return slice_eq(event_text(e, F_EventClass), slice_of(name));
}

static uint64_t
weakness_key(const struct posture *p, const struct event *e)
{
	const struct slice uid = event_text(e, F_EventOriginalUid), id = event_text(e, F_TargetResourceId);
	const uint64_t both[2] = { siphash24(p->key, uid.p, uid.n), siphash24(p->key, id.p, id.n) };

	return siphash24(p->key, both, sizeof(both)) | 1;
}

/* The graver of its severity and its risk: a place in posture_severities. */
static int
severity_of(const struct event *e)
{
	int s = 0;

	while (s < SEVERITIES - 1 && !slice_eq(event_text(e, F_EventSeverity), posture_severities[s]) &&
	    !slice_eq(event_text(e, F_RiskLevel), posture_severities[s]))
		s++;
	return s;
}

/* Unhealthy since, due until: onto the event, and into memory; what is mended is forgotten. */
static void
judge(struct posture *p, struct event *stamp, const struct event *e, int zone, int64_t now_ms, enum posture_witness witness)
{
	const bool path = is_class(e, "attack_path");
	struct slice state = event_text(e, F_RecommendationState);
	const int severity = severity_of(e);
	const int64_t term_ms = p->term_ms[severity][zone - 1];
	struct weakness *w;
	int64_t since_ms;

	if (!path && !is_class(e, "recommendation"))
		return;
	if (path ? state.n > 0 && !slice_eq(state, SLICE("Unhealthy")) : !slice_eq(state, SLICE("Unhealthy"))) {
		w = witness != POSTURE_NO_WITNESS ? memory_weakness(p, weakness_key(p, e), false) : NULL;
		if (w != NULL)
			memory_forget(p, w);
		return;
	}
	w = witness != POSTURE_NO_WITNESS ? memory_weakness(p, weakness_key(p, e), true) : NULL;
	since_ms = event_has(e, F_EventStartTime) ? event_number(e, F_EventStartTime, 0) :
	    w != NULL && w->first_ms != 0 ? w->first_ms : now_ms;
	if (stamp != NULL && !event_has(stamp, F_SlaDueTime))
		event_set_number(stamp, F_SlaDueTime, since_ms + term_ms);
	if (w == NULL)
		return;
	if (w->first_ms == 0)
		w->first_ms = now_ms;
	w->due_ms = event_number(e, F_SlaDueTime, since_ms + term_ms);
	w->newest_ms = now_ms;
	w->zone = (uint8_t)zone;
	w->urgent = severity <= 1;
	w->is_path = path;
}

/* ---- events ------------------------------------------------------------------ */

static void
note_topic(struct account *a, const struct event *e, int64_t now_ms, enum posture_witness witness)
{
	static const char *const topics[] = { "inventory", "recommendation", "attack_path", "alert" };

	static const char *const datasets[] = { "inventory", "recommendations", "attack_paths", "alerts" };
	const bool poll = witness == POSTURE_POLLS && slice_eq(event_text(e, F_EventOriginalType), SLICE("azure_poll"));

	a->newest_ms[T_ANY] = now_ms;
	for (int i = 0; i < T_ANY; i++)
		if (is_class(e, topics[i]) || (poll && slice_eq(event_text(e, F_Operation), slice_of(datasets[i]))))
			a->newest_ms[i] = now_ms;
}

static void
look(struct posture *p, struct event *stamp, const struct event *e, int zone, int64_t now_ms, enum posture_witness witness)
{
	const uint64_t before = p->not_remembered;
	struct account *a = witness != POSTURE_NO_WITNESS ? memory_account(p, e, true) : NULL;

	if (a != NULL) {
		note_topic(a, e, now_ms, witness);
		if (zone > a->zone)
			a->zone = (uint8_t)zone;
		if (is_class(e, "control"))
			note_plan(p, a, e, now_ms);
	}
	judge(p, stamp, e, zone, now_ms, witness);
	if (p->not_remembered != before)
		p->full_ms = now_ms;
}

void
posture_stamp(struct posture *p, struct event *e)
{
	event_set_number(e, F_GovernanceZone, posture_zone_of(p, e));
}

void
posture_see(struct posture *p, struct event *e, int64_t arrived_ms, enum posture_witness witness)
{
	posture_stamp(p, e);
	look(p, e, e, (int)e->v[F_GovernanceZone].number, arrived_ms, witness);
}

void
posture_recall(struct posture *p, const struct event *e, int64_t arrived_ms)
{
	int64_t zone = event_number(e, F_GovernanceZone, p->default_zone);

	look(p, NULL, e, zone >= 1 && zone <= ZONES ? (int)zone : p->default_zone, arrived_ms, POSTURE_RECORDS);
}
