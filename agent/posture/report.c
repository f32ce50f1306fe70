/* report.c - each requirement of the control in each zone: does it hold, and what says so. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "posture/memory.h"

#define HOUR_MS	INT64_C(3600000)
#define FULL_KEPT_MS	(7 * 24 * HOUR_MS)

const struct requirement_row requirement_rows[R_COUNT] = {
#define REQUIREMENT(id, title, n1, n2, n3, t1, t2, t3) \
	{ #id, title, { POSTURE_##n1, POSTURE_##n2, POSTURE_##n3 }, { t1, t2, t3 } },
#include "posture/requirements.tbl"
#undef REQUIREMENT
};

struct asking {
	const struct posture		*p;
	const struct posture_facts	*facts;
	int64_t				 now_ms;
	struct posture_row		*row;
	int64_t				 term_ms;
};

const char *
posture_result_word(enum posture_result r)
{
	static const char *const words[] = { "pass", "fail", "unknown" };

	return words[r];
}

const char *
posture_need_word(enum posture_need n)
{
	static const char *const words[] = { "optional", "if applicable", "recommended", "required" };

	return words[n];
}

__attribute__((format(printf, 3, 4)))
static void
answer(struct asking *q, enum posture_result result, const char *fmt, ...)
{
	va_list ap;

	q->row->result = result;
	va_start(ap, fmt);
	vsnprintf(q->row->evidence, sizeof(q->row->evidence), fmt, ap);
	va_end(ap);
}

static bool
in_zone(const struct asking *q, const struct account *a)
{
	return (a->zone != 0 ? a->zone : q->p->default_zone) == q->row->zone;
}

/* "3 hours", "2 days" */
static const char *
span(int64_t ms, char ret[32])
{
	int64_t hours = ms / HOUR_MS;

	if (hours < 1)
		snprintf(ret, 32, "%lld minutes", (long long)(ms / 60000));
	else if (hours < 72)
		snprintf(ret, 32, "%lld hours", (long long)hours);
	else
		snprintf(ret, 32, "%lld days", (long long)(hours / 24));
	return ret;
}

/* ---- one question each ------------------------------------------------------- */

static void
ask_plan(struct asking *q, enum plan plan, const char *pricing)
{
	unsigned on = 0, unseen = 0;
	const char *unseen_name = NULL;

	for (uint32_t i = 0; i < q->p->naccounts; i++) {
		const struct account *a = &q->p->accounts[i];

		if (a->provider != P_AZURE || !in_zone(q, a))
			continue;
		if (a->plan[plan] == PLAN_OFF) {
			answer(q, POSTURE_FAIL, "plan %s is off in subscription %s; switch it on in Defender for Cloud, Environment settings",
			    pricing, a->name);
			return;
		}
		on += a->plan[plan] == PLAN_ON;
		if (a->plan[plan] == PLAN_UNSEEN) {
			unseen++;
			unseen_name = a->name;
		}
	}
	if (unseen > 0)
		answer(q, POSTURE_UNKNOWN, "no record of plan %s of %u subscriptions, such as %s; read Microsoft.Security/pricings of it",
		    pricing, unseen, unseen_name);
	else if (on > 0)
		answer(q, POSTURE_PASS, "plan %s is on in all %u subscriptions seen", pricing, on);
	else
		answer(q, POSTURE_UNKNOWN, "no subscription of this zone was seen yet");
}

/* Is the newest record on the topic young enough in every Azure account of the zone? */
static void
ask_fresh(struct asking *q, enum topic topic, const char *what, enum posture_result when_old)
{
	const struct account *oldest = NULL;
	char age[32], term[32];
	int64_t age_ms;

	for (uint32_t i = 0; i < q->p->naccounts; i++) {
		const struct account *a = &q->p->accounts[i];

		if (a->provider == P_AZURE && in_zone(q, a) &&
		    (oldest == NULL || a->newest_ms[topic] < oldest->newest_ms[topic]))
			oldest = a;
	}
	if (oldest == NULL) {
		answer(q, POSTURE_UNKNOWN, "no subscription of this zone was seen yet");
		return;
	}
	if (oldest->newest_ms[topic] == 0) {
		answer(q, POSTURE_UNKNOWN, "no %s was read of subscription %s; is there a source for it?", what, oldest->name);
		return;
	}
	age_ms = q->now_ms > oldest->newest_ms[topic] ? q->now_ms - oldest->newest_ms[topic] : 0;
	answer(q, age_ms <= q->term_ms ? POSTURE_PASS : when_old, "newest %s of subscription %s was read %s ago, the term is %s", what,
	    oldest->name, span(age_ms, age), span(q->term_ms, term));
}

static void
ask_remediation(struct asking *q)
{
	unsigned open = 0, late = 0;
	int64_t first_due_ms = INT64_MAX;
	char when[TIME_TEXT_BYTES];
	bool seen = false;

	for (uint32_t i = 0; i < q->p->naccounts; i++)
		seen = seen || (in_zone(q, &q->p->accounts[i]) && q->p->accounts[i].newest_ms[T_RECOMMENDATION] != 0);
	for (uint32_t i = 0; i < 2 * MAX_WEAKNESSES; i++) {
		const struct weakness *w = &q->p->weaknesses[i];

		if (w->key == 0 || !w->urgent || w->zone != q->row->zone)
			continue;
		/* An attack path that was broken is not reported as such: it stays away. */
		if (w->is_path && q->now_ms - w->newest_ms > 2 * requirement_rows[R_attack_paths].term_hours[w->zone - 1] * HOUR_MS)
			continue;
		open++;
		late += w->due_ms < q->now_ms;
		if (w->due_ms < first_due_ms)
			first_due_ms = w->due_ms;
	}
	if (open == 0) {
		answer(q, seen ? POSTURE_PASS : POSTURE_UNKNOWN, seen ? "no open weakness of high or critical severity" :
		    "no recommendation was read yet");
		return;
	}
	time_format_ms(first_due_ms, when);
	if (late > 0)
		answer(q, POSTURE_FAIL, "%u of %u open weaknesses of high or critical severity are overdue, the first since %s", late, open,
		    when);
	else
		answer(q, POSTURE_PASS, "%u open weaknesses of high or critical severity, the first is due %s", open, when);
}

static void
ask_alerting(struct asking *q)
{
	if (q->facts->alert_sink == NULL)
		answer(q, POSTURE_FAIL, "no sink takes alerts and findings; see sinks[].events");
	else if (!q->facts->detectors)
		answer(q, POSTURE_FAIL, "sink %s takes alerts, but a detector is switched off; see detectors", q->facts->alert_sink);
	else if (!q->facts->alert_acked)
		answer(q, POSTURE_UNKNOWN, "sink %s takes alerts and findings, but has acknowledged no event yet", q->facts->alert_sink);
	else
		answer(q, POSTURE_PASS, "sink %s takes alerts and findings and has acknowledged events, and all detectors are on", q->facts->alert_sink);
}

static void
ask_multi_cloud(struct asking *q)
{
	bool aws = false, gcp = false;

	for (uint32_t i = 0; i < q->p->naccounts; i++) {
		aws = aws || q->p->accounts[i].provider == P_AWS;
		gcp = gcp || q->p->accounts[i].provider == P_GCP;
	}
	if (aws || gcp)
		answer(q, POSTURE_PASS, "records of %s were read", aws && gcp ? "AWS and GCP" : aws ? "AWS" : "GCP");
	else
		answer(q, q->row->need == POSTURE_REQUIRED ? POSTURE_FAIL : POSTURE_PASS, "%s, and no record of AWS or GCP was read",
		    posture_need_word(q->row->need));
}

static void
ask_sentinel(struct asking *q)
{
	if (q->facts->sentinel_sink != NULL && q->facts->sentinel_acked)
		answer(q, POSTURE_PASS, "sink %s ships to a workspace, which has acknowledged events", q->facts->sentinel_sink);
	else if (q->facts->sentinel_sink != NULL)
		answer(q, POSTURE_UNKNOWN, "sink %s is to ship to a workspace, but nothing was acknowledged yet", q->facts->sentinel_sink);
	else
		answer(q, q->row->need == POSTURE_REQUIRED ? POSTURE_FAIL : POSTURE_PASS, "%s, and no sink of type sentinel is configured",
		    posture_need_word(q->row->need));
}

static void
ask(struct asking *q, enum requirement r)
{
	switch (r) {
	case R_cspm_plan:
		ask_plan(q, PLAN_CSPM, "CloudPosture");
		break;
	case R_ai_plan:
		ask_plan(q, PLAN_AI, "AI");
		break;
	case R_discovery:
		ask_fresh(q, T_INVENTORY, "inventory", POSTURE_FAIL);
		break;
	case R_attack_paths:
		/* None may be good news: a subscription without attack paths says nothing. */
		ask_fresh(q, T_ATTACK_PATH, "attack path", POSTURE_UNKNOWN);
		break;
	case R_recommendations:
		ask_fresh(q, T_RECOMMENDATION, "recommendation", POSTURE_FAIL);
		break;
	case R_remediation:
		ask_remediation(q);
		break;
	case R_alerting:
		ask_alerting(q);
		break;
	case R_multi_cloud:
		ask_multi_cloud(q);
		break;
	case R_sentinel:
		ask_sentinel(q);
		break;
	case R_COUNT:
		break;
	}
}

/* What found no room in memory may be what would have failed. */
static void
doubt(struct asking *q, enum requirement r)
{
	if (q->row->result == POSTURE_PASS && r != R_alerting && r != R_sentinel && q->p->full_ms != 0 &&
	    q->now_ms - q->p->full_ms < FULL_KEPT_MS)
		answer(q, POSTURE_UNKNOWN, "more accounts or weaknesses were read than are remembered (%d, %d), and those say nothing here; which source "
		    "brings them? see sources[].evidence", MAX_ACCOUNTS, MAX_WEAKNESSES);
}

static bool
zone_in_use(const struct posture *p, int zone)
{
	if (zone == p->default_zone)
		return true;
	for (size_t i = 0; i < p->nrules; i++)
		if (p->rules[i].zone == zone)
			return true;
	return false;
}

void
posture_report(const struct posture *p, const struct posture_facts *facts, int64_t now_ms,
    void (*see)(void *arg, const struct posture_row *), void *arg)
{
	for (int zone = 1; zone <= ZONES; zone++)
		for (int r = 0; zone_in_use(p, zone) && r < R_COUNT; r++) {
			const struct requirement_row *row = &requirement_rows[r];
			struct posture_row said = { .requirement = row->id, .title = row->title, .zone = zone,
				.need = row->need[zone - 1] };
			struct asking q = { p, facts, now_ms, &said, row->term_hours[zone - 1] * HOUR_MS };

			ask(&q, (enum requirement)r);
			doubt(&q, (enum requirement)r);
			see(arg, &said);
		}
}
