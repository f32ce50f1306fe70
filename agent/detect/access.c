/*
 * access.c - unusual access to AI services: the kind, its settings, and the way of one event through it.
 *
 * An event is read into a sight; what is new in it is weighed before it is learnt, what is counted within minutes after. All time is the event's; a late record
 * is weighed and learnt at its own time.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"
#include "detect/access.h"
#include "detect/detect.h"

#define FACTS		65536
#define RESOURCES_MAX	16384
#define LATE_MIN	60
#define FAR_MIN		60
#define DAY_MIN		1440

static bool
of_interest(const struct sight *s)
{
	return s->denied || s->invalid || s->filtered || s->op == OP_RECON || s->op == OP_SECRET || s->op == OP_WEAKEN;
}

/* Calls from one address under several names. */
static void
see_source(struct rules *x)
{
	struct caller *named = x->c;
	struct sight source = *x->s;

	if (x->s->source == 0 || x->s->source == x->s->caller || x->s->kind == CALLER_SOURCE)
		return;
	x->c = lru_find(&x->a->callers, x->s->source);
	if (x->c == NULL && x->s->denied) {
		x->c = lru_add(&x->a->callers, x->s->source);
		x->c->kind = CALLER_SOURCE;
		x->c->first_min = x->c->last_min = x->s->min;
		x->c->first_day = x->c->last_day = x->s->day;
	}
	if (x->c != NULL) {
		/* Named by its address, in the series too; the columns still tell the last name tried. */
		source.kind = CALLER_SOURCE;
		source.who_n = (uint32_t)event_text(x->s->e, F_SrcIpAddr).n;
		if (source.who_n > sizeof(source.who))
			source.who_n = sizeof(source.who);
		memcpy(source.who, event_text(x->s->e, F_SrcIpAddr).p, source.who_n);
		x->s = &source;
		if (of_interest(x->s))
			keep_evidence(x->c, x->s);
		rule_source(x, x->c);
	}
	x->c = named;
}

/* A change whose body is not told may be one. */
static bool
is_weakening(const struct sight *s)
{
	return (s->op == OP_WEAKEN || (s->op == OP_CHANGE && (s->signals & (SIGNAL_WEAK | SIGNAL_HIDDEN)))) && !s->denied &&
	    !slice_eq(event_text(s->e, F_EventResult), SLICE("Failure"));
}

/* An alert of Defender, about a resource and not a call. */
static void
note_alert(struct access *a, const struct event *e)
{
	uint64_t key = access_resource(a, e);
	struct resource *r = key != 0 ? lru_find(&a->resources, key) : NULL;
	int64_t t_ms = event_number(e, F_TimeGenerated, -1);

	if (r != NULL && t_ms >= 0 && t_ms / 1000 < UINT32_MAX)
		access_mark(r->marks, MARK_ALERT, (uint32_t)(t_ms / 60000), e);
}

static void
judge(struct rules *x)
{
	const struct sight *s = x->s;

	if (!s->again) {
		if (of_interest(s))
			keep_evidence(x->c, s);
		rule_novelty(x);
		rule_secrets(x);
		note_grants(x);
		learn_sight(x->a, x->c, x->r, s);
		rule_use(x);
		rule_doors(x);
	}
	rule_blocks(x);
	if (!s->repeated && !s->length_again) {
		rule_extraction(x);
		rule_size(x);
	}
	if (is_weakening(s) && x->r != NULL)
		access_mark(x->r->marks, MARK_WEAKENED, s->min, s->e);
	if (!s->again)
		see_source(x);
}

/* How the sight stands to event time, which one lying record does not move. */
static void
take_near(const struct access *a, struct sight *s)
{
	uint32_t now = (uint32_t)(a->time.now_ms / 60000), least = now > DAY_MIN ? now - DAY_MIN : 0;

	s->near = s->min <= now + FAR_MIN && s->min + 2 * DAY_MIN > now;
	s->since_min = s->min < least ? least : s->min;
}

static int
see(void *state, const struct event *e, struct event_list *say, struct err *err)
{
	struct access *a = state;
	struct rules x = { .a = a, .say = say, .err = err };
	struct sight s;

	if (slice_eq(event_text(e, F_EventClass), SLICE("alert")))
		note_alert(a, e);
	if (!access_sight(a, e, &s))
		return 0;
	event_time_see(&a->time, (int64_t)s.sec * 1000);
	take_near(a, &s);
	a->seen++;
	if (a->first_min == 0 || (s.min < a->first_min && (a->first_min - s.min < 1440 || s.near)))
		a->first_min = s.min;
	a->late += (int64_t)s.min + LATE_MIN < a->time.now_ms / 60000;
	x.s = &s;
	x.c = learn_caller(a, &s);
	x.r = learn_resource(a, &s);
	judge(&x);
	return x.rc;
}

/* ---- life -------------------------------------------------------------------------- */

static void
close_access(void *state)
{
	struct access *a = state;

	if (a == NULL)
		return;
	networks_close(a->networks);
	lru_close(&a->callers);
	lru_close(&a->facts);
	lru_close(&a->resources);
	calls_close(&a->calls);
	free(a->ops);
	free(a->agents);
	free(a);
}

static int
open_access(void **ret, const struct conf *conf, struct err *err)
{
	struct access *a = calloc(1, sizeof(*a));
	const char *list = conf_text(conf, "networks");

	if (a == NULL)
		return err_set(err, ERR_AGAIN, "no memory for detector access");
	a->learning_min = (uint32_t)(conf_ms(conf, "learning") / 60000);
	a->dormant_min = (uint32_t)(conf_ms(conf, "dormant") / 60000);
	a->loud = conf_real(conf, "sensitivity");
	random_bytes(a->key, sizeof(a->key));
	a->ops = calloc(OPS_SEEN, sizeof(*a->ops));
	a->agents = calloc(AGENTS_SEEN, sizeof(*a->agents));
	if (!calls_open(&a->calls, CALLS_SEEN) || a->ops == NULL || a->agents == NULL ||
	    !lru_open(&a->callers, sizeof(struct caller), (uint32_t)conf_count(conf, "max_callers")) ||
	    !lru_open(&a->facts, sizeof(struct fact), FACTS) || !lru_open(&a->resources, sizeof(struct resource), RESOURCES_MAX)) {
		close_access(a);
		return err_set(err, ERR_AGAIN, "no memory for detector access");
	}
	if (list != NULL && networks_open(&a->networks, list, err) != 0) {
		close_access(a);
		return -1;
	}
	*ret = a;
	return 0;
}

static void
figures(void *state, struct stat_block *stats)
{
	const struct access *a = state;

	stat_set(stats, STAT_DETECTOR_SEEN, a->seen);
	stat_set(stats, STAT_DETECTOR_FINDINGS, a->findings);
	stat_set(stats, STAT_DETECTOR_SERIES, a->callers.n);
	stat_set(stats, STAT_DETECTOR_EVICTED, a->callers.evicted);
	stat_set(stats, STAT_DETECTOR_LATE, a->late);
}

const struct conf_key access_keys[] = {
	{ .name = "enabled", .type = CONF_BOOL, .fallback = "true", .help = "whether this detector runs" },
	{ .name = "learning", .type = CONF_TIME, .fallback = "6d", .least = 3600000, .most = 7776000000.0,
	  .help = "how long a caller must be known before something new about it means something" },
	{ .name = "sensitivity", .type = CONF_REAL, .fallback = "1", .least = 0.25, .most = 4,
	  .help = "less is quieter: what makes a finding is divided by this" },
	{ .name = "dormant", .type = CONF_TIME, .fallback = "30d", .least = 86400000, .most = 31536000000.0,
	  .help = "a caller that is back after so long a silence is looked at" },
	{ .name = "networks", .type = CONF_TEXT, .allowed = "the path of a CSV file",
	  .help = "a list `network,country,asn,latitude,longitude,label` of networks; a label `trusted` marks one's own, any other (tor, vpn) "
	  "is a finding. Without it networks are told apart by their prefix" },
	{ .name = "max_callers", .type = CONF_COUNT, .fallback = "20000", .least = 100, .most = 1000000,
	  .help = "callers in memory, about 2 KiB each; the ones quiet for longest are forgotten, new ones first" },
	CONF_END
};

const struct detector_kind detector_kind_access = {
	.name = "access",
	.state_version = 3,
	.open = open_access,
	.close = close_access,
	.see = see,
	.save = access_save,
	.restore = access_restore,
	.count = figures,
};
