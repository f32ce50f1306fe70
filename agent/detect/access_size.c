/* access_size.c - single calls by what they hold: the same request again and again, and one far larger than all before. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>

#include "base/hash.h"
#include "detect/access.h"

#define SAME_MIN	10
#define SAME_LEAST	21
#define SIZE_CALLS	200		/* of one's own, before any is large */
#define SIZE_TIMES	3		/* so many times the largest so far */
#define MEDIAN_TIMES	4
#define MEDIAN_STEP	0.02f
#define MOST_FADES	0.99995f	/* a call */

/* ---- the same again ------------------------------------------------------------------ */

/* What most calls of these minutes are, found as the majority's model is: one of another kind speaks against it. */
static unsigned
same_now(struct same *m, uint32_t hash, uint32_t min)
{
	if (m->begin_min == 0 || min >= m->begin_min + SAME_MIN || min + SAME_MIN < m->begin_min)
		*m = (struct same){ .begin_min = min };
	if (m->hash == hash && m->n > 0)
		m->n += m->n < UINT16_MAX;
	else if (m->n == 0 || ++m->others > m->n) {
		m->hash = hash;
		m->n = 1;
		m->others = 0;
	}
	return m->hash == hash ? m->n : 0;
}

/* By the prompt's digest where one is told. Equal lengths alone may be chance: of a caller long known, where they are most. */
static void
rule_same(struct rules *x)
{
	const struct sight *s = x->s;
	struct hit h = { .behaviour = B_DUPLICATES };
	struct caller *c = x->c;
	uint64_t of[2] = { s->dim[D_MODEL], s->prompt };
	unsigned n;

	if (s->prompt == 0 && s->length < 1)
		return;
	if (s->prompt == 0)
		memcpy(&of[1], &s->length, sizeof(of[1]));
	n = same_now(&c->same, (uint32_t)siphash24(x->a->key, of, sizeof(of)), s->min);
	if (n >= rule_least(x, SAME_LEAST, c->same_peak, 2) && (s->prompt != 0 || (caller_is_grown(x->a, c) && n >= 2 * c->same.others))) {
		h.observed = h.count = n;
		h.baseline = c->same_peak == 0 ? SAME_LEAST - 1 : c->same_peak;
		h.points = 1;
		h.start_ms = (int64_t)c->same.begin_min * 60000;
		snprintf(h.reason, sizeof(h.reason), "%u or more requests %s within %u minutes", n,
		    s->prompt != 0 ? "with the same prompt" : "of exactly the same length", SAME_MIN);
		access_hit(x, &h);
	}
	learn_peak(x->a, c, &c->same_peak, PEAK_SAME, n, s->day);
}

/* ---- one beyond all before ------------------------------------------------------------- */

static const struct { const char *what, *unit; float least; } kinds[SIZES] = {
	[SIZE_PROMPT] = { "a prompt", "tokens", 8000 },
	[SIZE_BYTES] = { "a request", "bytes", 32000 },
	[SIZE_COMPLETION] = { "an answer", "tokens", 4000 },
};

/* The median by small steps, the largest by a slow fading; what is far beyond it becomes ordinary by halves only. */
static void
learn_size(struct size_of *z, float size, bool huge)
{
	float most = huge ? 1.5f * z->most : size;

	if (z->n == 0)
		z->median = size;
	else
		z->median *= size > z->median ? 1 + MEDIAN_STEP : size < z->median ? 1 - MEDIAN_STEP : 1;
	if (z->median < 1)
		z->median = 1;
	z->most *= MOST_FADES;
	if (most > z->most)
		z->most = most;
	z->n += z->n < UINT32_MAX;
}

static void
rule_huge(struct rules *x, enum size k)
{
	struct hit h = { .behaviour = B_HUGE_CALL, .points = 1 };
	struct size_of *z = &x->c->sizes[k];
	double size = x->s->size[k], times = SIZE_TIMES / x->a->loud;
	bool huge;

	if (size < 1 || size > 1e9)
		return;
	huge = z->n >= SIZE_CALLS && size >= kinds[k].least && size > (times > 1.5 ? times : 1.5) * z->most && size > MEDIAN_TIMES * z->median;
	if (huge && caller_is_grown(x->a, x->c)) {
		h.observed = size;
		h.baseline = z->most;
		h.start_ms = (int64_t)x->s->sec * 1000;
		snprintf(h.reason, sizeof(h.reason), "one call had %s of %.0f %s; the largest of %u before had about %.0f, half of them at most %.0f",
		    kinds[k].what, size, kinds[k].unit, z->n, (double)z->most, (double)z->median);
		access_hit(x, &h);
	}
	learn_size(z, (float)size, huge);
}

void
rule_size(struct rules *x)
{
	if (x->s->op != OP_INVOKE)
		return;
	rule_same(x);
	for (int k = 0; k < SIZES; k++)
		rule_huge(x, (enum size)k);
}
