/* access_burst.c - trying doors: denials, probing, listing and then calling, the operations of LLMjackers. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>

#include "base/buf.h"
#include "detect/access.h"

#define DENIED_SEC	300
#define DENIED_LEAST	10
#define GRANTED_MIN	30
#define PROBE_SEC	120
#define PROBE_LEAST	4
#define RECON_MIN	15
#define JACK_MIN	1440
#define JACK_LEAST	6		/* 40 % of the set */

unsigned
rule_least(const struct rules *x, unsigned least, unsigned peak, unsigned times)
{
	double n = least / x->a->loud;

	if (n < 2)
		n = 2;
	return peak * times >= n ? peak * times + 1 : (unsigned)ceil(n);
}

void
ring_put(struct ring *r, uint32_t sec)
{
	r->sec[r->next] = sec;
	r->next = (uint8_t)((r->next + 1) % RING_SLOTS);
}

/* How many lie within `span` seconds before `sec`, it included; of a late record, after it. */
unsigned
ring_count(const struct ring *r, uint32_t sec, uint32_t span, uint32_t *ret_first)
{
	unsigned before = 0, after = 0;

	*ret_first = sec;
	for (int i = 0; i < RING_SLOTS; i++) {
		uint32_t t = r->sec[i];

		if (t == 0)
			continue;
		if (t <= sec && t + span >= sec) {
			before++;
			if (t < *ret_first)
				*ret_first = t;
		}
		after += t >= sec && t <= sec + span;
	}
	return before > after ? before : after;
}

/* ---- denials ------------------------------------------------------------------------ */

static bool
denied_burst(struct rules *x, struct caller *c, const char *of)
{
	struct hit h = { .behaviour = B_DENIED_BURST };
	uint32_t first;
	unsigned n, least = rule_least(x, DENIED_LEAST, c->denied_peak, 2);

	ring_put(&c->denied, x->s->sec);
	n = ring_count(&c->denied, x->s->sec, DENIED_SEC, &first);
	if (least > RING_SLOTS)		/* it is denied all day: the ring tells no more */
		least = RING_SLOTS + 1;
	if (n >= least) {
		h.observed = h.count = n;
		h.baseline = least - 1;
		h.points = 1.0 * n / least;
		h.start_ms = (int64_t)first * 1000;
		c->denied_resource = (uint32_t)x->s->resource;
		c->denied_end_min = x->s->min;
		snprintf(h.reason, sizeof(h.reason), "%u or more calls%s were denied within %u minutes", n, of, DENIED_SEC / 60);
		access_hit(x, &h);
	}
	learn_peak(x->a, c, &c->denied_peak, PEAK_DENIED, n, x->s->day);
	return n >= least;
}

static void
rule_granted(struct rules *x, struct caller *c)
{
	struct hit h = { .behaviour = B_DENIED_THEN_SUCCESS, .points = 2, .observed = 1 };

	if (c->denied_end_min == 0 || c->denied_resource != (uint32_t)x->s->resource ||
	    x->s->min > c->denied_end_min + GRANTED_MIN || x->s->min + 1 < c->denied_end_min)
		return;
	h.start_ms = (int64_t)c->denied_end_min * 60000;
	snprintf(h.reason, sizeof(h.reason), "it was let in %u minutes after a burst of denials on the same resource", x->s->min > c->denied_end_min ?
	    x->s->min - c->denied_end_min : 0);
	c->denied_end_min = 0;
	access_hit(x, &h);
}

void
rule_source(struct rules *x, struct caller *source)
{
	uint32_t named = (uint32_t)x->s->caller;

	/* One caller's burst is told with its name; here, one address tries several. */
	if (x->s->denied) {
		bool others = false;

		for (int i = 0; i < 6; i++)
			others = others || (source->recon[i] != 0 && source->recon[i] != named);
		source->recon[x->s->sec % 6] = named;
		if (others)
			(void)denied_burst(x, source, " from one address, under several names,");
		else
			ring_put(&source->denied, x->s->sec);
	} else if (x->s->success) {
		rule_granted(x, source);
	}
}

/* ---- probing and listing ----------------------------------------------------------------- */

static void
rule_probing(struct rules *x)
{
	struct hit h = { .behaviour = B_PROBING };
	struct caller *c = x->c;
	uint32_t first, model = (uint32_t)x->s->dim[D_MODEL];
	unsigned n, models = 0;

	if (x->s->op != OP_INVOKE || !(x->s->invalid || x->s->denied))
		return;
	c->invalid_model[c->invalid.next] = model;
	ring_put(&c->invalid, x->s->sec);
	n = ring_count(&c->invalid, x->s->sec, PROBE_SEC, &first);
	for (int i = 0; i < RING_SLOTS; i++) {
		bool again = c->invalid_model[i] == 0 || c->invalid.sec[i] == 0 || c->invalid.sec[i] + PROBE_SEC < x->s->sec ||
		    c->invalid.sec[i] > x->s->sec + PROBE_SEC;

		for (int k = 0; k < i; k++)
			again = again || (c->invalid_model[k] == c->invalid_model[i] && c->invalid.sec[k] + PROBE_SEC >= x->s->sec &&
			    c->invalid.sec[k] <= x->s->sec + PROBE_SEC);
		models += !again;
	}
	if (n < rule_least(x, PROBE_LEAST, 0, 1) || models < 2)
		return;
	h.observed = h.count = n;
	h.baseline = PROBE_LEAST - 1;
	h.points = n / 4.0;
	h.start_ms = (int64_t)first * 1000;
	snprintf(h.reason, sizeof(h.reason), "%u or more calls of %u models failed as invalid or denied within %u minutes, as when somebody tries "
	    "what a stolen key can call", n, models, PROBE_SEC / 60);
	access_hit(x, &h);
}

static unsigned
recon_kinds(const struct caller *c, uint32_t min)
{
	unsigned n = 0;

	for (int i = 0; i < 6; i++)
		n += c->recon_min[i] != 0 && c->recon_min[i] + RECON_MIN >= min && c->recon_min[i] <= min + 1;
	return n;
}

static void
note_recon(struct caller *c, const struct sight *s)
{
	uint32_t op = (uint32_t)s->dim[D_OPERATION];
	int at = 0;

	for (int i = 0; i < 6; i++) {
		if (c->recon[i] == op) {
			at = i;
			break;
		}
		if (c->recon_min[i] < c->recon_min[at])
			at = i;
	}
	c->recon[at] = op;
	c->recon_min[at] = s->min;
}

/* Listing and calling is what a person at a console does each day; it says something of who never listed before. */
static void
rule_listed_then_called(struct rules *x)
{
	struct hit h = { .behaviour = B_ENUMERATE_INVOKE, .points = 1 };
	struct caller *c = x->c;
	unsigned kinds, n, least;
	const struct known *v = known_of(c, D_OPERATION, &n);
	bool before = false, called = false;

	if (x->s->op == OP_RECON && !x->s->denied) {
		note_recon(c, x->s);
		return;
	}
	if (x->s->op != OP_INVOKE || (kinds = recon_kinds(c, x->s->min)) == 0)
		return;
	for (unsigned i = 0; i < n; i++) {
		bool recon = false;

		for (int k = 0; k < 6; k++)
			recon = recon || (c->recon_min[k] != 0 && c->recon[k] == v[i].hash);
		if (recon)
			before = before || v[i].first_day < x->s->day;
		else
			called = called || v[i].first_day < x->s->day;
	}
	/* A console lists by itself. Of who is new here more is asked, since everybody begins by looking around, less if it is strange otherwise. */
	least = caller_is_grown(x->a, c) ? (called && x->s->agent_kind != AGENT_BROWSER ? 1 : 2) : c->novel_signs != 0 ? 2 : 3;
	if (before || kinds < rule_least(x, least, 0, 1) - (least == 1))
		return;
	h.observed = kinds;
	h.start_ms = (int64_t)x->s->sec * 1000;
	snprintf(h.reason, sizeof(h.reason), "it did %u kinds of listing that this caller never did before, and then called a model within %u minutes", kinds,
	    RECON_MIN);
	access_hit(x, &h);
}

static void
rule_jacking(struct rules *x)
{
	struct hit h = { .behaviour = B_LLMJACKING };
	unsigned n = 0;

	if (x->s->jack == 0 || x->s->jack > JACK_SET)
		return;
	x->c->jack_min[x->s->jack - 1] = x->s->min;
	for (int i = 0; i < JACK_SET; i++)
		n += x->c->jack_min[i] != 0 && x->c->jack_min[i] + JACK_MIN >= x->s->min && x->c->jack_min[i] <= x->s->min + JACK_MIN;
	if (n < rule_least(x, JACK_LEAST, 0, 1))
		return;
	h.observed = n;
	h.baseline = JACK_LEAST - 1;
	h.points = n / 6.0;
	h.start_ms = (int64_t)x->s->sec * 1000;
	snprintf(h.reason, sizeof(h.reason), "it used %u of the %u operations that LLMjackers use, within a day", n, JACK_SET);
	access_hit(x, &h);
}

void
rule_doors(struct rules *x)
{
	if (x->s->denied)
		(void)denied_burst(x, x->c, "");
	else if (x->s->success)
		rule_granted(x, x->c);
	rule_probing(x);
	rule_listed_then_called(x);
	rule_jacking(x);
}
