/* access_use.c - how models are used: in what breadth, against which guardrails, like whom; and keys that are used after they were read. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "detect/access.h"

#define MODELS_MIN	10
#define MODELS_LEAST	6
#define REGIONS_MIN	10
#define REGIONS_LEAST	3
#define SOURCES_MIN	60
#define SOURCES_LEAST	6
#define BLOCKS_SEC	600
#define BLOCKS_LEAST	5
#define POLICIES_LEAST	2
#define EXTRACT_LEAST	500
#define SECRET_MIN	60
#define GUARDED_LEAST	20
#define HALF_HOUR	30
#define ALIKE		0.15		/* lengths that differ by no more are alike */

static const struct { const char *actor, *source; } bound[] = {
#define BOUND(actor, source)	{ actor, source },
#include "detect/access_services.tbl"
#undef BOUND
};

/* ---- breadth ------------------------------------------------------------------------- */

struct breadth {
	enum behaviour	behaviour;
	enum dim	dim;
	enum peak	which;
	unsigned	least, stranger_least, times;	/* stranger_least: of a new caller, where others use the same */
	uint32_t	span;
	const char	*what;
};

static void
rule_breadth(struct rules *x, const struct breadth *b, uint16_t *peak)
{
	struct hit h = { .behaviour = b->behaviour };
	unsigned n = known_recent(x->c, b->dim, x->s->min, b->span), limit, most;
	bool stranger = !caller_is_grown(x->a, x->c), common = fact_callers(x->a, b->dim, x->s->dim[b->dim]) >= 3;

	(void)known_of(x->c, b->dim, &most);
	limit = rule_least(x, stranger && common ? b->stranger_least : b->least, *peak, b->times);
	if (limit > most && *peak < most)
		limit = most;
	if (n >= limit) {
		h.observed = n;
		h.baseline = *peak == 0 ? b->least - 1 : *peak;
		h.points = 1.0 * n / limit;
		h.start_ms = (int64_t)x->s->sec * 1000;
		if (*peak == 0)
			snprintf(h.reason, sizeof(h.reason), "it used %u %s within %u minutes", n, b->what, b->span);
		else
			snprintf(h.reason, sizeof(h.reason), "it used %u %s within %u minutes, at most %u before", n, b->what, b->span, (unsigned)*peak);
		access_hit(x, &h);
	}
	learn_peak(x->a, x->c, peak, b->which, n, x->s->day);
}

/*
 * Pods of a cluster have addresses all over one private network, and those of a new service all over its cloud's: private ones do not count,
 * and of a new caller whole areas do.
 */
static void
rule_sources(struct rules *x)
{
	static const struct breadth nets = { B_MANY_SOURCES, D_NET, PEAK_NETS, SOURCES_LEAST, SOURCES_LEAST, 2, SOURCES_MIN, "networks" };
	static const struct breadth areas = { B_MANY_SOURCES, D_AREA, PEAK_NETS, SOURCES_LEAST, SOURCES_LEAST, 2, SOURCES_MIN, "networks" };

	if (x->s->dim[D_NET] != 0 && !x->s->place.private)
		rule_breadth(x, caller_is_grown(x->a, x->c) ? &nets : &areas, &x->c->nets_peak);
}

/* ---- content ------------------------------------------------------------------------------- */

void
rule_blocks(struct rules *x)
{
	struct hit h = { .behaviour = B_BLOCKS };
	struct caller *c = x->c;
	unsigned n, least;
	uint32_t first, calls = c->half[0].n + c->half[1].n;

	if (!x->s->filtered || x->s->block_again)
		return;
	ring_put(&c->blocks, x->s->sec);
	n = ring_count(&c->blocks, x->s->sec, BLOCKS_SEC, &first);
	least = rule_least(x, BLOCKS_LEAST, c->blocks_peak, 2);
	/* A service speaks for many people: some of what they write is blocked each hour. */
	if (n >= least && least <= RING_SLOTS && (c->kind == CALLER_HUMAN || n * 20 >= calls)) {
		h.observed = h.count = n;
		h.baseline = least - 1;
		h.points = 1.0 * n / least;
		h.start_ms = (int64_t)first * 1000;
		snprintf(h.reason, sizeof(h.reason), "the content filter or guardrail stopped %u or more of its calls within %u minutes", n,
		    BLOCKS_SEC / 60);
		access_hit(x, &h);
	} else if (x->s->policies >= POLICIES_LEAST) {
		h.observed = x->s->policies;
		h.baseline = 1;
		h.points = 1;
		h.start_ms = (int64_t)x->s->sec * 1000;
		snprintf(h.reason, sizeof(h.reason), "one call broke %u policies of the guardrail at once", x->s->policies);
		access_hit(x, &h);
	}
	learn_peak(x->a, c, &c->blocks_peak, PEAK_BLOCKS, n, x->s->day);
}

static void
rule_guardrail(struct rules *x)
{
	struct hit h = { .behaviour = B_NO_GUARDRAIL, .points = 1, .observed = 0, .baseline = 1 };
	struct caller *c = x->c;

	uint32_t log = (uint32_t)access_hash(x->a, "log", event_text(x->s->e, F_EventProduct));

	if (x->s->op != OP_INVOKE)
		return;
	if (x->s->signals & SIGNAL_GUARDED) {
		if (c->guarded == 0)
			c->guard_log = log;
		c->guarded += c->guard_log == log && c->guarded < UINT32_MAX;
		return;
	}
	if (c->guarded == 0 || log != c->guard_log)	/* another log of the same calls, which does not tell */
		return;
	if (c->guarded >= GUARDED_LEAST && c->unguarded == 0 && x->s->success && c->active_days >= 2) {
		h.start_ms = (int64_t)x->s->sec * 1000;
		snprintf(h.reason, sizeof(h.reason), "it called without a guardrail; all %u calls of this caller so far had one", c->guarded);
		access_hit(x, &h);
	}
	c->unguarded += c->unguarded < UINT32_MAX;
	if (c->unguarded > 3)			/* from here on it is its habit */
		c->guarded = c->unguarded = 0;
}

/* ---- extraction -------------------------------------------------------------------------------- */

/* The majority's length is found as the majority's model is; a few long calls among many short ones say nothing. */
static void
add_length(struct lengths *l, double length)
{
	l->n++;
	if (l->alike > 0 && fabs(length - l->length) <= ALIKE * l->length + 2) {
		l->alike++;
	} else if (l->alike == 0 || ++l->unlike > l->alike) {
		l->alike = 1;
		l->unlike = l->n - 1;
		l->length = (float)length;
	}
}

/* The model that most calls of this half hour are of: one of another model speaks against it (Boyer, Moore 1981). */
static bool
turn_half(struct caller *c, const struct sight *s)
{
	struct lengths *now = &c->half[0];
	uint32_t hour = now->n + c->half[1].n;

	if (now->begin_min != 0 && s->min < now->begin_min + HALF_HOUR) {
		if (now->model == s->dim[D_MODEL])
			return true;
		if (++now->others <= now->n)
			return false;
	} else if (hour > c->hour_peak) {
		c->hour_peak = c->hour_peak == 0 || hour < 2 * c->hour_peak ? hour : 2 * c->hour_peak;
	}
	if (now->model == s->dim[D_MODEL] && s->min < now->begin_min + 2 * HALF_HOUR)
		c->half[1] = *now;
	else
		c->half[1] = (struct lengths){ .begin_min = 0 };
	*now = (struct lengths){ .begin_min = s->min, .model = s->dim[D_MODEL] };
	return true;
}

/* The share of calls of about one length; both halves must agree on it. */
static double
share_alike(const struct lengths *a, const struct lengths *b)
{
	bool agree = b->n == 0 || fabs(a->length - b->length) <= ALIKE * a->length + 2;

	return agree ? ((double)a->alike + b->alike) / ((double)a->n + b->n) : (double)a->alike / ((double)a->n + b->n);
}

void
rule_extraction(struct rules *x)
{
	struct hit h = { .behaviour = B_EXTRACTION };
	struct caller *c = x->c;
	bool grown = caller_is_grown(x->a, c);
	uint32_t n;
	double share;

	if (x->s->op != OP_INVOKE || x->s->dim[D_MODEL] == 0 || x->s->length < 0 || x->s->length > 1e9)
		return;
	if (!turn_half(c, x->s))
		return;
	add_length(&c->half[0], x->s->length);
	n = c->half[0].n + c->half[1].n;
	if (n < rule_least(x, grown ? EXTRACT_LEAST : 2 * EXTRACT_LEAST, 0, 1) || (grown && n < 3 * (uint64_t)c->hour_peak))
		return;
	share = share_alike(&c->half[0], &c->half[1]);
	if (share < (grown ? 0.85 : 0.97))
		return;
	h.observed = h.count = n;
	h.baseline = c->hour_peak;
	h.points = 1;
	h.start_ms = (int64_t)(c->half[1].n > 0 ? c->half[1].begin_min : c->half[0].begin_min) * 60000;
	snprintf(h.reason, sizeof(h.reason), "it made %u calls of one model within an hour, %.0f %% of them of nearly one length; at most %u an hour "
	    "before", n, share * 100, c->hour_peak);
	access_hit(x, &h);
}

/* ---- credentials ---------------------------------------------------------------------------------- */

static void
rule_bound(struct rules *x)
{
	struct hit h = { .behaviour = B_OUTSIDE_SERVICE, .points = 2, .observed = 1 };
	const struct event *e = x->s->e;
	struct slice source = extra_get(event_text(e, F_AdditionalFields), "EventSource");

	if (source.n == 0)
		source = event_text(e, F_TargetResourceType);
	for (size_t i = 0; i < sizeof(bound) / sizeof(bound[0]) && source.n > 0; i++) {
		if (!slice_glob_nocase(slice_of(bound[i].actor), event_text(e, F_ActorUserId)) ||
		    slice_glob_nocase(slice_of(bound[i].source), source))
			continue;
		h.start_ms = (int64_t)x->s->sec * 1000;
		snprintf(h.reason, sizeof(h.reason), "a credential made for one service alone is used for %.*s", (int)(source.n < 60 ? source.n : 60),
		    source.p);
		access_hit(x, &h);
	}
}

static void
note_secret(struct resource *r, const struct sight *s)
{
	const struct event *e = s->e;
	struct slice by = event_has(e, F_ActorUsername) ? event_text(e, F_ActorUsername) : event_text(e, F_ActorUserId);

	if (s->min < r->secret_min)		/* a later reading is known */
		return;
	r->secret_min = s->min;
	memset(r->secret_by, 0, sizeof(r->secret_by));
	by.n = utf8_cut(by, sizeof(r->secret_by) - 1);
	if (by.n > 0)
		memcpy(r->secret_by, by.p, by.n);
	(void)id_bytes(event_text(e, F_EventId), r->secret_id);
}

/* AWS makes a key for a user: the user is remembered by name, and where its maker was. */
static struct resource *
maker_of(struct rules *x, struct slice user, bool make)
{
	uint64_t key = access_hash(x->a, "key of", user);
	struct resource *r;

	if (key == 0 || !slice_eq(event_text(x->s->e, F_CloudProvider), SLICE("AWS")))
		return NULL;
	r = lru_find(&x->a->resources, key);
	if (r == NULL && make) {
		r = lru_add(&x->a->resources, key);
		r->first_day = r->last_day = x->s->day;
	}
	return r;
}

static void
say_secret(struct rules *x, const struct resource *r, unsigned used)
{
	struct hit h = { .behaviour = B_KEY_AFTER_LISTING, .points = 2, .observed = 1, .start_ms = (int64_t)r->secret_min * 60000,
		.by = r->secret_by, .nmore = 1 };
	struct buf b;

	memcpy(h.more[0], r->secret_id, sizeof(h.more[0]));
	buf_init(&b, sizeof(h.reason) - 1);
	buf_puts(&b, "a key of it was read, made or renewed by ");
	put_quoted(&b, slice_of(r->secret_by), 60);
	buf_printf(&b, " and %u minutes later a key is used from %s, a network that never used one here", x->s->min - r->secret_min, x->s->place.net);
	if (used > 0)
		buf_printf(&b, " (%u network%s did)", used, used == 1 ? "" : "s");
	snprintf(h.reason, sizeof(h.reason), "%.*s", (int)b.n, b.n > 0 ? b.p : "");
	buf_fini(&b);
	access_hit(x, &h);
}

static bool
is_elsewhere(const struct rules *x, const struct resource *r)
{
	const struct sight *s = x->s;

	return r->secret_min != 0 && s->min >= r->secret_min && s->min <= r->secret_min + SECRET_MIN && s->dim[D_NET] != 0 && !s->place.private &&
	    known_find(r->key_net, NETS, s->dim[D_NET]) == NULL && !fact_is_common(x->a, D_NET, s->dim[D_NET], s->day);
}

/* A key just made, and used by somebody who is neither where its maker was nor where anybody else is. */
static void
rule_made_key(struct rules *x)
{
	const struct sight *s = x->s;
	struct resource *r;

	if (s->op == OP_SECRET) {
		r = maker_of(x, event_text(s->e, F_TargetResourceName), true);
		if (r != NULL) {
			note_secret(r, s);
			r->key_net[0] = (struct known){ .hash = (uint32_t)s->dim[D_NET], .last_min = s->min, .first_day = s->day, .days = 1 };
		}
	} else if (s->op == OP_INVOKE && (s->auth == AUTH_KEY || s->auth == AUTH_LONG_KEY)) {
		r = maker_of(x, event_text(s->e, F_ActorUsername), false);
		if (r != NULL && is_elsewhere(x, r) && fact_callers(x->a, D_NET, s->dim[D_NET]) <= 1)
			say_secret(x, r, 0);
	}
}

/* A key that was read, made or renewed, and within the hour is used from where its resource's keys were never used from. */
void
rule_secrets(struct rules *x)
{
	struct resource *r = x->r;
	const struct sight *s = x->s;
	unsigned used = 0;

	if (s->denied || slice_eq(event_text(s->e, F_EventResult), SLICE("Failure")))
		return;
	rule_made_key(x);
	if (r != NULL && s->op == OP_SECRET)
		note_secret(r, s);
	if (r == NULL || s->op != OP_INVOKE || s->auth != AUTH_KEY || !is_elsewhere(x, r))
		return;
	for (int i = 0; i < NETS; i++)
		used += r->key_net[i].last_min != 0;
	if (used > 0 || s->day != r->first_day)		/* else a new resource: its first use */
		say_secret(x, r, used);
}

void
rule_use(struct rules *x)
{
	static const struct breadth models = { B_MANY_MODELS, D_MODEL, PEAK_MODELS, MODELS_LEAST, 12, 2, MODELS_MIN, "models" };
	static const struct breadth regions = { B_MANY_REGIONS, D_REGION, PEAK_REGIONS, REGIONS_LEAST, 5, 2, REGIONS_MIN, "regions" };

	if (x->s->dim[D_MODEL] != 0)
		rule_breadth(x, &models, &x->c->models_peak);
	if (x->s->dim[D_REGION] != 0)
		rule_breadth(x, &regions, &x->c->regions_peak);
	rule_sources(x);
	rule_guardrail(x);
	rule_bound(x);
}
