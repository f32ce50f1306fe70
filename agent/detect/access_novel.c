/*
 * access_novel.c - what is new about a caller, weighed: how long the caller is known, how often it changes anyway, and who else does the same.
 *
 * Each novelty has points; those of one hour are added up once each, and one point is a finding. What can be ordinary alone (a new region, a new model, a first
 * listing) stays below it; what a grown caller that never moves does for the first time, and nobody else does, reaches it alone.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "detect/access.h"

#define HOUR		60u		/* minutes */
#define DAY		1440u
#define TRAVEL_KMH	900
#define TRAVEL_LEAST_KM	500
#define ORDINARY_MOVES	0.01		/* of people a day: then a move alone is no finding */
#define BURST_MIN	5		/* so many calls within so long are a burst */
#define NEW_CALLS	50		/* a caller is new for so many calls, and a day */

enum sign { N_AREA, N_COUNTRY, N_AGENT, N_HTTP, N_BROWSER, N_AUTH, N_REGION, N_MODEL, N_RECON, N_SECRET, N_HOURS, N_DORMANT, N_STRANGE,
	N_DENIED, N_WEAKENED, N_GRANTED, N_BURST, SIGNS };

static const struct { const char *words; enum behaviour behaviour; } signs[SIGNS] = {
	[N_AREA] = { "a new network", B_NEW_NETWORK },
	[N_COUNTRY] = { "a new country", B_NEW_COUNTRY },
	[N_AGENT] = { "a new user agent", B_NEW_AGENT },
	[N_HTTP] = { "a bare HTTP client", B_NEW_AGENT },
	[N_BROWSER] = { "a browser or console", B_SERVICE_AS_PERSON },
	[N_AUTH] = { "another kind of credential", B_NEW_AUTH },
	[N_REGION] = { "a new region", B_MANY_REGIONS },
	[N_MODEL] = { "a new model", B_MANY_MODELS },
	[N_RECON] = { "a first listing of models", B_ENUMERATE_INVOKE },
	[N_SECRET] = { "a first reading of keys", B_KEY_AFTER_LISTING },
	[N_HOURS] = { "an unusual hour", B_OFF_HOURS },
	[N_DORMANT] = { "a long silence before", B_DORMANT },
	[N_STRANGE] = { "a network that nobody here uses", B_NEW_CALLER },
	[N_DENIED] = { "denied calls", B_NEW_CALLER },
	[N_WEAKENED] = { "a resource whose protection was just weakened", B_NEW_CALLER },
	[N_GRANTED] = { "a role that was just granted", B_NEW_CALLER },
	[N_BURST] = { "many calls at once", B_NEW_CALLER },
};

void
put_signs(struct buf *b, uint32_t bits)
{
	bool any = false;

	for (int i = 0; i < SIGNS; i++)
		if (bits >> i & 1) {
			buf_puts(b, any ? "," : "");
			buf_put_json(b, slice_of(signs[i].words));
			any = true;
		}
}

struct weighing {
	double		points[SIGNS];
};

static void
weigh(struct weighing *w, enum sign sign, double points)
{
	if (points > w->points[sign])
		w->points[sign] = points;
}

static bool
knows(struct caller *c, enum dim d, uint64_t hash)
{
	unsigned n;
	struct known *v = known_of(c, d, &n);

	return known_find(v, n, hash) != NULL;
}

static unsigned
how_many(struct caller *c, enum dim d)
{
	unsigned n, k = 0;
	struct known *v = known_of(c, d, &n);

	for (unsigned i = 0; i < n; i++)
		k += v[i].last_min != 0;
	return k;
}

/* ---- of a grown caller -------------------------------------------------------------------- */

static double
area_points(struct rules *x)
{
	struct caller *c = x->c;
	uint64_t area = x->s->dim[D_AREA];
	uint32_t weeks = (c->last_min - c->first_min) / (7 * DAY) + 1;
	const struct rate *r = &x->a->rates[c->kind];
	bool many = fact_many_move(x->a, area, x->s->min), common = fact_is_common(x->a, D_AREA, area, x->s->day);

	if (many || x->s->place.private)
		return 0;
	c->new_areas++;
	x->a->rates[c->kind].moves += !common && c->new_areas <= weeks;
	if (common)
		return c->kind == CALLER_HUMAN ? 0.2 : 0.3;
	if (c->new_areas > weeks)			/* it moves each week anyway */
		return 0.4;
	if (c->kind == CALLER_HUMAN && r->days > 300 && r->moves / r->days > ORDINARY_MOVES)
		return 0.6;
	if (c->kind == CALLER_HUMAN && x->s->dim[D_COUNTRY] != 0 && knows(c, D_COUNTRY, x->s->dim[D_COUNTRY]))
		return 0.5;
	return 1;
}

static void
weigh_place(struct rules *x, struct weighing *w)
{
	uint64_t country = x->s->dim[D_COUNTRY], area = x->s->dim[D_AREA];

	if (strcmp(x->s->place.label, "trusted") == 0)
		return;
	if (area != 0 && how_many(x->c, D_AREA) > 0 && !knows(x->c, D_AREA, area))
		weigh(w, N_AREA, area_points(x));
	if (country != 0 && how_many(x->c, D_COUNTRY) > 0 && !knows(x->c, D_COUNTRY, country)) {
		weigh(w, N_COUNTRY, fact_is_common(x->a, D_COUNTRY, country, x->s->day) ? 0.6 : 1);
		w->points[N_AREA] = 0;
	}
}

static void
weigh_agent(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;
	unsigned used = how_many(x->c, D_AGENT);
	bool service = x->c->kind == CALLER_SERVICE || x->c->kind == CALLER_KEY;
	bool common = fact_is_common(x->a, D_AGENT, s->dim[D_AGENT], s->day);

	if (s->dim[D_AGENT] == 0 || used == 0 || knows(x->c, D_AGENT, s->dim[D_AGENT]))
		return;
	if (used > 3)
		weigh(w, N_AGENT, 0.3);
	else if (s->agent_kind == AGENT_BROWSER && x->c->kind == CALLER_SERVICE)
		weigh(w, N_BROWSER, 1);
	else if (s->agent_kind == AGENT_HTTP)
		weigh(w, N_HTTP, common && !service ? 0.4 : 1);
	else if (s->agent_kind == AGENT_SDK || common || (s->agent_kind != AGENT_APP && !service))
		weigh(w, N_AGENT, 0.2);		/* another SDK, or what others here use */
	else
		weigh(w, N_AGENT, 1);
}

static void
weigh_auth(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;
	const struct resource *r = x->r;

	if (s->auth == AUTH_UNKNOWN || s->denied)
		return;
	if (how_many(x->c, D_AUTH) > 0 && caller_is_grown(x->a, x->c) && !knows(x->c, D_AUTH, s->dim[D_AUTH]))
		weigh(w, N_AUTH, s->auth == AUTH_TOKEN ? 0.3 : 1);	/* to tokens is how it should be */
	/* A resource whose callers were always named, and now one is not. */
	if (r != NULL && s->kind == CALLER_KEY && s->op == OP_INVOKE && s->day > r->first_day &&
	    (uint32_t)(s->day - r->first_day) * DAY >= x->a->learning_min && r->auth_calls[AUTH_KEY] == 0 &&
	    r->auth_calls[AUTH_TOKEN] >= 20)
		weigh(w, N_AUTH, 1);
}

static void
weigh_action(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;
	bool first = s->dim[D_OPERATION] != 0 && !knows(x->c, D_OPERATION, s->dim[D_OPERATION]) &&
	    how_many(x->c, D_OPERATION) < OPERATIONS;

	if (s->dim[D_REGION] != 0 && how_many(x->c, D_REGION) > 0 && !knows(x->c, D_REGION, s->dim[D_REGION]))
		weigh(w, N_REGION, fact_is_common(x->a, D_REGION, s->dim[D_REGION], s->day) ? 0.2 : 0.4);
	if (s->dim[D_MODEL] != 0 && how_many(x->c, D_MODEL) > 0 && !knows(x->c, D_MODEL, s->dim[D_MODEL]))
		weigh(w, N_MODEL, 0.1);
	if (first && s->op == OP_RECON)
		weigh(w, N_RECON, 0.4);
	if (first && s->op == OP_SECRET)
		weigh(w, N_SECRET, 0.4);
}

/*
 * Hours from the nearest of the hours in which this caller usually works: those that hold 98 % of its hours with a call, the rarest left out.
 */
static int
hours_away(const struct caller *c, int hour, int *ret_usual)
{
	int away = 12, usual = 0, total = 0, out = 0, least = 0, at[256] = { 0 };

	for (int h = 0; h < 24; h++) {
		total += c->hour_days[h];
		at[c->hour_days[h]]++;
	}
	while (least < 255 && (out + least * at[least]) * 50 <= total) {	/* whole ranks fall out together */
		out += least * at[least];
		least++;
	}
	for (int h = 0; h < 24; h++) {
		int d = h > hour ? h - hour : hour - h;

		if (c->hour_days[h] < least || c->hour_days[h] == 0)
			continue;
		usual++;
		if (d > 12)
			d = 24 - d;
		if (d < away)
			away = d;
	}
	*ret_usual = usual;
	return away;
}

/* A person, or a caller of no told kind that has a person's day: not one job an hour, and not each day. */
static bool
has_hours(const struct caller *c, int usual)
{
	uint32_t days = (c->last_min - c->first_min) / DAY + 1;

	if (usual == 0 || usual > 15)
		return false;
	return c->kind == CALLER_HUMAN || (c->kind == CALLER_UNKNOWN && usual >= 5 && c->active_days * 10u <= days * 8);
}

static void
weigh_hours(struct rules *x, struct weighing *w)
{
	struct caller *c = x->c;
	uint32_t age = c->last_min - c->first_min;
	int usual, away;

	if (age < 13 * DAY || c->active_days < 8)
		return;
	if (x->s->min > c->odd_min + 2 * HOUR || x->s->min + HOUR < c->odd_min)
		c->odd_calls = 0;
	away = hours_away(c, x->s->hour, &usual);
	if (!has_hours(c, usual) || (away < 3 && c->odd_calls == 0))	/* what this night taught does not count for itself */
		return;
	c->odd_min = x->s->min;
	c->odd_calls += c->odd_calls < UINT8_MAX;
	weigh(w, N_HOURS, age < 26 * DAY || c->active_days < 10 ? 0.5 : c->odd_calls >= 2 ? 1 : 0.5);
}

static void
weigh_silence(struct rules *x, struct weighing *w)
{
	struct caller *c = x->c;

	if (x->s->min > c->last_min + x->a->dormant_min) {
		c->gap_end_min = x->s->min;
		c->gap_calls = 0;
		c->gaps += c->gaps < UINT8_MAX;
	}
	if (c->gap_end_min == 0 || c->gaps > 1 || x->s->min > c->gap_end_min + 2 * HOUR)
		return;
	c->gap_calls += c->gap_calls < UINT8_MAX && x->s->op == OP_INVOKE;
	weigh(w, N_DORMANT, c->gap_calls >= 5 ? 1 : 0.4);
}

/* ---- of a new caller ------------------------------------------------------------------------ */

static void
weigh_strange(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;
	uint64_t area = s->dim[D_AREA];

	if (area != 0 && !s->place.private && fact_others(x->a, D_AREA, s) == 0 && strcmp(s->place.label, "trusted") != 0)
		weigh(w, N_STRANGE, 0.4);
}

/* Who comes just when a door was opened. */
static void
weigh_opened(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;

	if (s->op != OP_INVOKE && s->op != OP_RECON && s->op != OP_SECRET)
		return;
	if (resource_is_known(x->r, s) && access_marked(x->r->marks, MARK_WEAKENED, s->min) != NULL)
		weigh(w, N_WEAKENED, 0.6);
	if (granted_to(x) != NULL)
		weigh(w, N_GRANTED, 0.5);
	if (s->op == OP_INVOKE && x->c->calls + 1 >= NEW_CALLS && s->min <= x->c->first_min + BURST_MIN)
		weigh(w, N_BURST, 0.6);
	if (w->points[N_WEAKENED] + w->points[N_GRANTED] + w->points[N_BURST] > 0)
		weigh_strange(x, w);
}

static void
weigh_stranger(struct rules *x, struct weighing *w)
{
	const struct sight *s = x->s;
	bool estate = estate_is_grown(x->a, s->min);

	if (x->c->calls > NEW_CALLS || s->min > x->c->first_min + DAY)
		return;
	if (estate || resource_is_known(x->r, s))
		weigh_opened(x, w);
	if (!estate)
		return;
	weigh_strange(x, w);
	if (s->dim[D_COUNTRY] != 0 && fact_others(x->a, D_COUNTRY, s) == 0)
		weigh(w, N_COUNTRY, 0.4);
	if (s->agent_kind == AGENT_HTTP && !fact_is_common(x->a, D_AGENT, s->dim[D_AGENT], s->day))
		weigh(w, N_HTTP, 0.4);
	if (s->dim[D_REGION] != 0 && fact_callers(x->a, D_REGION, s->dim[D_REGION]) == 0)
		weigh(w, N_REGION, 0.2);
	if (s->op == OP_RECON)
		weigh(w, N_RECON, 0.15);
	if (s->op == OP_SECRET)
		weigh(w, N_SECRET, 0.3);
	if (s->denied)
		weigh(w, N_DENIED, 0.2);
}

/* ---- the sum ----------------------------------------------------------------------------------- */

static void
put_age(struct buf *b, uint32_t min)
{
	if (min >= 2 * DAY)
		buf_printf(b, "%u days", min / DAY);
	else if (min >= 2 * HOUR)
		buf_printf(b, "%u hours", min / HOUR);
	else
		buf_printf(b, min == 1 ? "a minute" : "%u minutes", min);
}

/* "for the first time from network 192.0.2.0/24 in NL (...)"; its novelty needs no other word. */
static uint32_t
put_network(struct buf *b, struct rules *x, uint32_t bits)
{
	uint32_t place = bits & (1u << N_AREA | 1u << N_COUNTRY | 1u << N_STRANGE);
	unsigned others = fact_others(x->a, D_AREA, x->s), areas = how_many(x->c, D_AREA);

	if (place == 0 || x->s->place.net[0] == '\0')
		return 0;
	buf_printf(b, "for the first time from network %s", x->s->place.net);
	if (x->s->place.country[0] != '\0')
		buf_printf(b, " in %s", x->s->place.country);
	if (place == 1u << N_COUNTRY)
		buf_puts(b, ", a new country");
	else if (others == 0)
		buf_puts(b, ", which nobody else here uses");
	else
		buf_printf(b, " (it is known from %u, and %u other callers use this one)", areas, others);
	buf_puts(b, "; ");
	return place;
}

static void
put_sign(struct buf *b, struct rules *x, int sign)
{
	buf_puts(b, signs[sign].words);
	if ((sign == N_AGENT || sign == N_HTTP || sign == N_BROWSER) && event_has(x->s->e, F_HttpUserAgent)) {
		buf_puts(b, ", agent ");
		put_quoted(b, event_text(x->s->e, F_HttpUserAgent), 80);
	} else if (sign == N_GRANTED) {
		const struct resource *r = granted_to(x);

		if (r == NULL)
			return;
		buf_puts(b, " to it by ");
		put_quoted(b, slice_of(r->secret_by), 60);
	}
}

static void
put_known(struct buf *b, struct rules *x)
{
	uint32_t min = x->s->min > x->c->first_min ? x->s->min - x->c->first_min : 0;

	if (min == 0) {
		buf_puts(b, "this caller was never seen before");
	} else if (caller_is_grown(x->a, x->c)) {
		buf_puts(b, "this caller has been known for ");
		put_age(b, min);
	} else {
		buf_puts(b, "this caller was first seen ");
		put_age(b, min);
		buf_puts(b, " before");
	}
}

static void
put_reason(struct hit *h, struct rules *x, uint32_t bits)
{
	struct buf b;
	uint32_t rest;
	int n = 0;

	buf_init(&b, sizeof(h->reason) - 1);
	rest = bits & ~put_network(&b, x, bits);
	put_known(&b, x);
	for (int i = 0; i < SIGNS; i++)
		if (rest >> i & 1) {
			buf_puts(&b, n++ > 0 ? ", " : caller_is_grown(x->a, x->c) ? "; new for it: " : "; unusual: ");
			put_sign(&b, x, i);
		}
	snprintf(h->reason, sizeof(h->reason), "%.*s", (int)b.n, b.n > 0 ? b.p : "");
	buf_fini(&b);
}

/* The records behind it: what was granted, and what was weakened. */
static void
put_more(struct hit *h, struct rules *x)
{
	const struct resource *granted = h->signs & 1u << N_GRANTED ? granted_to(x) : NULL;
	const struct mark *m = h->signs & 1u << N_WEAKENED && x->r != NULL ? access_marked(x->r->marks, MARK_WEAKENED, x->s->min) : NULL;

	if (granted != NULL)
		memcpy(h->more[h->nmore++], granted->secret_id, 16);
	if (m != NULL) {
		memcpy(h->more[h->nmore++], m->id, 16);
		h->told |= UINT32_C(1) << MARK_WEAKENED;
	}
}

static void
add_up(struct rules *x, const struct weighing *w, bool grown)
{
	struct caller *c = x->c;
	double best = 0, half = x->s->denied ? 0.5 : 1;		/* who was not let in is half the trouble */
	struct hit h = { .behaviour = B_NEW_CALLER, .baseline = 1 };
	uint32_t fresh = 0;

	if (x->s->min > c->novel_min + HOUR || x->s->min + HOUR < c->novel_min) {
		c->novel_min = x->s->min;
		c->novel_points = 0;
		c->novel_signs = 0;
	}
	for (int i = 0; i < SIGNS; i++) {
		double p = w->points[i] * half;

		if (p <= 0)
			continue;
		if (!(c->novel_signs >> i & 1)) {
			c->novel_points += (float)p;
			fresh |= 1u << i;
		} else if (i == N_DORMANT || i == N_HOURS) {	/* these grow with each call */
			double before = p >= 1 ? 0.5 : p;

			c->novel_points += (float)(p - before);
			fresh |= p > before ? 1u << i : 0;
		}
		c->novel_signs |= 1u << i;
		if (p > best) {
			best = p;
			h.behaviour = grown || i == N_AUTH || i == N_DORMANT ? signs[i].behaviour : B_NEW_CALLER;
		}
	}
	if (fresh == 0 || (c->novel_points + 1e-6) * x->a->loud < 1)
		return;
	h.points = h.observed = c->novel_points;
	h.signs = c->novel_signs;
	h.start_ms = (int64_t)c->novel_min * 60000;
	h.severity = c->novel_points >= 2 ? "High" : NULL;
	put_reason(&h, x, c->novel_signs);
	put_more(&h, x);
	if (h.signs & (1u << N_AREA | 1u << N_STRANGE)) {
		fact_taint(x->a, D_AREA, x->s->dim[D_AREA], x->s->day);
		fact_taint(x->a, D_NET, x->s->dim[D_NET], x->s->day);
	}
	access_hit(x, &h);
	c->novel_points = -100;		/* the rest of this hour is the same story */
}

/* ---- alone --------------------------------------------------------------------------------------- */

static void
rule_travel(struct rules *x)
{
	const struct place *p = &x->s->place;
	struct caller *c = x->c;
	struct hit h = { .behaviour = B_TRAVEL, .points = 2 };
	double km, hours;

	if (isnan(p->latitude) || isnan(p->longitude) || x->s->denied)
		return;
	km = c->place_min != 0 ? access_distance_km(c->latitude, c->longitude, p->latitude, p->longitude) : 0;
	hours = x->s->min > c->place_min ? (x->s->min - c->place_min) / 60.0 : (c->place_min - x->s->min) / 60.0;
	if (c->kind != CALLER_SERVICE && km >= TRAVEL_LEAST_KM && km > TRAVEL_KMH * (hours > 0.1 ? hours : 0.1) &&
	    !knows(c, D_AREA, x->s->dim[D_AREA]) && strcmp(p->label, "trusted") != 0) {
		h.observed = km / (hours > 0.1 ? hours : 0.1);
		h.baseline = TRAVEL_KMH;
		h.start_ms = (int64_t)x->s->sec * 1000;
		snprintf(h.reason, sizeof(h.reason), "two of its calls came from %.0f km apart within %.0f minutes, now from %s%s%s", km, hours * 60, p->net,
		    p->country[0] != '\0' ? " in " : "", p->country);
		access_hit(x, &h);
	}
	if (x->s->min < c->place_min)		/* where it was before says nothing of where it is */
		return;
	c->latitude = p->latitude;
	c->longitude = p->longitude;
	c->place_min = x->s->min;
}

static void
rule_listed(struct rules *x)
{
	struct hit h = { .behaviour = B_LISTED, .points = 2, .observed = 1, .start_ms = (int64_t)x->s->sec * 1000 };

	if (x->s->place.label[0] == '\0' || strcmp(x->s->place.label, "trusted") == 0 || knows(x->c, D_NET, x->s->dim[D_NET]))
		return;
	snprintf(h.reason, sizeof(h.reason), "%s is on the list of networks as %s", x->s->place.net, x->s->place.label);
	access_hit(x, &h);
}

static void
rule_tool(struct rules *x)
{
	struct hit h = { .behaviour = B_ABUSE_TOOL, .points = 2, .observed = 1, .start_ms = (int64_t)x->s->sec * 1000 };
	const struct known *k;
	struct buf b;
	unsigned n;

	if (x->s->agent_kind != AGENT_TOOL)
		return;
	k = known_of(x->c, D_AGENT, &n);
	k = known_find(k, n, x->s->dim[D_AGENT]);
	if (k != NULL && k->days >= 5)			/* the red team's own identity */
		return;
	buf_init(&b, sizeof(h.reason) - 1);
	buf_puts(&b, "its user agent is that of a tool known from abuse: ");
	put_quoted(&b, event_text(x->s->e, F_HttpUserAgent), 80);
	snprintf(h.reason, sizeof(h.reason), "%.*s", (int)b.n, b.n > 0 ? b.p : "");
	buf_fini(&b);
	access_hit(x, &h);
}

static void
rule_round_the_clock(struct rules *x)
{
	struct hit h = { .behaviour = B_PERSON_AS_SERVICE, .points = 1 };
	struct caller *c = x->c;
	int usual = 0;

	if (c->kind != CALLER_HUMAN || !caller_is_grown(x->a, c) || __builtin_popcount(c->hours_mask & 0xffffff) < 18)
		return;
	for (int i = 0; i < 24; i++)
		usual += c->hour_days[i] >= 2 + c->active_days / 10;
	if (usual > 13)
		return;
	h.observed = __builtin_popcount(c->hours_mask & 0xffffff);
	h.baseline = usual;
	h.start_ms = (int64_t)x->s->sec * 1000;
	snprintf(h.reason, sizeof(h.reason), "it called in %.0f of the last 24 hours; this person usually works in %d hours of the day", h.observed,
	    usual);
	access_hit(x, &h);
}

void
rule_novelty(struct rules *x)
{
	struct weighing w = { .points = { 0 } };
	bool grown = caller_is_grown(x->a, x->c);

	rule_travel(x);
	rule_listed(x);
	rule_tool(x);
	rule_round_the_clock(x);
	if (x->s->kind == CALLER_SOURCE)
		return;
	if (grown) {
		weigh_place(x, &w);
		weigh_agent(x, &w);
		weigh_action(x, &w);
		weigh_hours(x, &w);
	} else {
		weigh_stranger(x, &w);
	}
	if (x->c->active_days >= 2)
		weigh_silence(x, &w);
	weigh_auth(x, &w);
	add_up(x, &w, grown);
}
