/*
 * score.c - two heads: a fast one for surges, a slow one for levels, ranges and shapes; the more surprised one speaks.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/score.h"

#include <math.h>
#include <string.h>

#include "detect/score_knobs.h"

#define USUAL_Z		1.64f		/* a range that nine of ten rows keep to */
#define KNOWN_ROWS	60
#define LONGEST_STEP_MS	(INT64_C(31) * 86400000)
#define LARGEST		1e12		/* what is larger counts as this; floats hold its square, and that over the least mean */

/* Whole weeks are added, so that the rest counts from zero in any year from 0001 to 9999. */
static int64_t
since_long_ago(int64_t t_ms)
{
	const int64_t shift = INT64_C(604800000) * 110000;

	return t_ms < -shift ? 0 : t_ms > 5 * shift ? 6 * shift : t_ms + shift;
}

void
score_init(struct score *s, uint32_t fine_ms)
{
	memset(s, 0, sizeof(*s));
	s->fine_ms = fine_ms;
	fast_init(&s->fast);
}

void
score_borrow(struct score *s, const struct score *kin, int64_t t_ms, double x)
{
	if (kin->rows >= KNOWN_ROWS && !kin->negative)
		fast_borrow(&s->fast, &kin->fast, since_long_ago(t_ms), (float)x);
}

/* The longer nothing was said, the smaller a thing is worth a word. */
static float
calm_boost(const struct slow *w)
{
	return 1 + score_knobs.calm_boost * smaller(1, (float)w->calm / score_knobs.calm_rows);
}

static void
use_usual(struct score *s, uint8_t usual_of)
{
	for (int i = 0; i < 60; i++)
		s->usual[i] = usual_of == 1 ? 0 : NAN;
	s->usual_of = usual_of;
}

struct score_says
score_row(struct score *s, int64_t t_ms, uint32_t spacing_ms, double amount, double strict)
{
	bool fine = spacing_ms > 0 && spacing_ms <= s->fine_ms;
	float x = (float)fmin(fmax(amount, -LARGEST), LARGEST), r = 0, expected = 0;
	uint8_t usual_of = spacing_ms == 0 ? 0 : fine ? 1 : 2;
	struct score_says says;

	t_ms = since_long_ago(t_ms);
	if (usual_of != s->usual_of && usual_of != 0)
		use_usual(s, usual_of);
	if (x < 0)
		s->negative = 1;
	if (x != floorf(x))
		s->fractions = 1;
	if (!s->negative)
		r = fast_row(s, t_ms, fine, x, &expected);
	if (s->negative)
		expected = s->slow.ewma;
	if (!fine || s->negative)
		r = larger(r, slow_row(s, t_ms, usual_of == 2, x) * calm_boost(&s->slow));
	r /= (float)strict;
	says.surprise = r > s->hold ? r : 0;
	s->slow.calm = says.surprise >= 1 ? 0 : s->slow.calm + (s->slow.calm < UINT32_MAX);
	s->hold = larger(r, s->hold * (1 - (fine ? score_knobs.fast_hold : score_knobs.slow_hold)));
	if (s->rows < UINT32_MAX)
		s->rows++;
	says.score = 1 - exp2(-says.surprise);
	says.expected = expected;
	return says;
}

void
score_unsaid(struct score *s)
{
	s->hold = 0;
}

void
score_gap(struct score *s, int64_t t_ms, uint32_t spacing_ms, uint32_t n)
{
	bool fine = spacing_ms <= s->fine_ms;

	fast_gap(s, since_long_ago(t_ms), n);
	s->hold *= powf(1 - (fine ? score_knobs.fast_hold : score_knobs.slow_hold), (float)n);
}

double
score_usual(const struct score *s, int64_t t_ms)
{
	float usual = fast_usual(&s->fast, since_long_ago(t_ms));

	return usual > 0 ? usual : 0;
}

bool
score_range(const struct score *s, uint32_t spacing_ms, double expected, double *ret_low, double *ret_high)
{
	float low, high;

	if (s->rows < KNOWN_ROWS)
		return false;
	if (s->negative || spacing_ms == 0 || spacing_ms > s->fine_ms) {
		low = (float)expected - 2 * s->slow.residual;
		high = (float)expected + 2 * s->slow.residual;
		low = s->negative ? low : larger(low, 0);
	} else {
		fast_range(&s->fast, (float)expected, USUAL_Z, &low, &high);
	}
	*ret_low = low;
	*ret_high = high;
	return true;
}

uint32_t
score_spacing(struct score_spacing *p, int64_t t_ms)
{
	int64_t step = p->rows > 0 ? t_ms - p->last_ms : 0;

	p->last_ms = t_ms;
	if (p->rows < UINT32_MAX)
		p->rows++;
	if (step <= 0 || step > LONGEST_STEP_MS)		/* repeats and steps back tell nothing */
		return (uint32_t)p->usual_ms;
	if (p->usual_ms == 0)
		p->usual_ms = (float)step;
	/* A median by small steps: a gap moves it no further than any other row. */
	else if ((float)step > p->usual_ms * 1.02f)
		p->usual_ms *= p->rows < 32 ? 1.2f : 1.02f;
	else if ((float)step < p->usual_ms / 1.02f)
		p->usual_ms /= p->rows < 32 ? 1.2f : 1.02f;
	return (uint32_t)p->usual_ms;
}

double
score_strict(double sensitivity)
{
	/* Ten times fewer false alarms need about a decade more of surprise: a quarter of what an alert takes. */
	return 1 + 0.25 * log10(1.0 / sensitivity);
}
