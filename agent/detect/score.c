/*
 * score.c - two heads: a fast one for surges within minutes, a slow one for levels and ranges.
 *
 * The constants are one default set, chosen on labelled and simulated series; README.md says how, and what each part does.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/score.h"

#include <math.h>
#include <string.h>

#define FORGET_ROWS	5000.0f		/* a tail's memory */
#define CELLS_PER_E	8.0f
#define LOWEST_LN	(-6.0f)		/* cell 0 ends at e^-6 */
#define QUANTILE_EVERY	16.0f
#define WARM_ROWS	60		/* the fast head says nothing before */
#define YOUNG_ROWS	1440.0f
#define SLOW_WARM_ROWS	685.0f
#define SLOW_MS		300000		/* rows of the slow head */
#define FAST_MS		120000		/* longer rows feed both heads each */
#define HOLD_DECAY	0.978f		/* per five minutes */

/* ---- tails ------------------------------------------------------------------ */

static int
cell_of(float v)
{
	float i;

	if (v <= 0)
		return 0;
	i = CELLS_PER_E * (logf(v) - LOWEST_LN);
	return i < 0 ? 0 : i >= SCORE_CELLS ? SCORE_CELLS - 1 : (int)i;
}

static float
value_of(int cell)
{
	return expf(LOWEST_LN + (float)cell / CELLS_PER_E);
}

/* The value that `share` of the weight exceeds: the lower edge of the cell where the weight from above reaches it. */
static float
quantile(const struct tail *t, float share)
{
	float want = share * t->total, sum = 0;

	for (int i = SCORE_CELLS - 1; i > 0; i--) {
		float next = sum + t->cell[i];

		if (next >= want) {
			float part = t->cell[i] > 0 ? (next - want) / t->cell[i] : 0;

			return value_of(i) * expf(part / CELLS_PER_E);
		}
		sum = next;
	}
	return value_of(0);
}

static void
tail_add(struct tail *t, float v, float weight)
{
	float *scale = &t->above[0], *since = &t->above[1];

	/* Instead of ageing every cell at each row, new rows weigh a little more, and all is rescaled now and then. */
	if (*scale == 0)
		*scale = 1;
	*scale *= 1 + 1 / FORGET_ROWS;
	t->cell[cell_of(v)] += weight * *scale;
	t->total += weight * *scale;
	if (*scale > 1000) {
		for (int i = 0; i < SCORE_CELLS; i++)
			t->cell[i] /= *scale;
		t->total /= *scale;
		*scale = 1;
	}
	if (++*since >= QUANTILE_EVERY || t->total < 64 * *scale) {
		*since = 0;
		t->u5 = quantile(t, 0.05f);
		t->u1 = quantile(t, 0.01f);
	}
}

/* Weight of what was at least as large as v. */
static float
tail_above(const struct tail *t, float v)
{
	float sum = 0;

	for (int i = cell_of(v); i < SCORE_CELLS; i++)
		sum += t->cell[i];
	return sum;
}

/* Surprise in decades: 2 at the 1 % quantile, growing with an exponential tail; what was seen often is none. */
static float
tail_surprise(const struct tail *t, float v, float least)
{
	float xi, s, seen;

	if (v < least || v <= t->u1 || t->total <= 0)
		return 0;
	xi = 0.8f * (t->u1 - t->u5) / 1.609f;
	xi = xi < 0.03f ? 0.03f : xi > 0.6f ? 0.6f : xi;
	s = 2 + 0.434f * (v - t->u1) / xi;
	seen = 1.3f - log10f((tail_above(t, v) / t->above[0] + 0.3f) / (t->total / t->above[0]));
	return s < seen ? s : seen;
}

/* ---- the fast head ----------------------------------------------------------- */

static int32_t
hour_of(int64_t t_ms)
{
	return (int32_t)(t_ms / 3600000);
}

static int
week_slot(int32_t hour)
{
	return (int)(((int64_t)hour + 72) % 168);	/* 1970 began on a Thursday; slot 0 is Monday */
}

static void
end_hour(struct score *s)
{
	float *h = &s->hour[week_slot(s->hour_no)];
	float mean = s->hour_rows > 0 ? s->hour_sum / (float)s->hour_rows : 0;

	*h = *h < 0 ? mean : *h + 0.4f * (mean - *h);
	s->hour_sum = 0;
	s->hour_rows = 0;
}

/* Mean of an hour of the week; in the first week the busiest same hour of another day; -1 where nothing is known. */
static float
hour_mean(const struct score *s, int32_t hour)
{
	float most = s->hour[week_slot(hour)];

	for (int32_t day = 1; s->hour[week_slot(hour)] < 0 && day < 7; day++)
		most = fmaxf(most, s->hour[week_slot(hour - 24 * day)]);
	return most;
}

/* Mean of this time of the week between the middles of two hours; -1 where nothing is known. */
static float
usual_now(const struct score *s, int64_t t_ms)
{
	int32_t hour = hour_of(t_ms);
	float part = (float)(t_ms % 3600000) / 3600000.0f - 0.5f;
	float here = hour_mean(s, hour);
	float there = hour_mean(s, part < 0 ? hour - 1 : hour + 1);

	if (here < 0)
		return there;
	return there < 0 ? here : here + fabsf(part) * (there - here);
}

static void
learn_fast(struct score *s, int64_t t_ms, float x, float r)
{
	float d = x - s->mean, *minute = &s->minute[(t_ms / 60000) % 60];
	int32_t hour = hour_of(t_ms);

	s->fano += (s->rows < 50 ? 1.0f / (float)(s->rows + 1) : 0.02f) *
	    (d * d / (s->mean + s->fano + 1e-6f) - s->fano);
	if (s->fano < 0.001f * s->mean)
		s->fano = 0.001f * s->mean;
	s->mean += (s->rows < 10 ? 1.0f / (float)(s->rows + 1) : 0.1f) * d;
	s->mean20 += (s->rows < 20 ? 1.0f / (float)(s->rows + 1) : 0.05f) * (x - s->mean20);
	*minute += 0.1f * (r - *minute);
	if (s->hour_no >= 0 && hour != s->hour_no)
		end_hour(s);
	s->hour_no = hour;
	s->hour_sum += x;
	s->hour_rows++;
}

struct fast {
	float	r[3], base, c, surprise;
};

static struct fast
look_fast(const struct score *s, int64_t t_ms, float x)
{
	struct fast f;
	float usual = usual_now(s, t_ms), here = hour_mean(s, hour_of(t_ms)), s1, s2, s3;

	f.c = s->fano > 0.5f ? s->fano : 0.5f;
	f.base = fmaxf(fmaxf(s->mean, usual), here);	/* hours may begin with a step, so the hour's own mean too */
	f.r[0] = logf((x + f.c) / (f.base + f.c)) - s->minute[(t_ms / 60000) % 60];
	f.r[1] = 0.5f * (f.r[0] + s->last_r);
	f.r[2] = usual < 0 ? 0 : logf((s->mean20 + f.c) / (usual + f.c)) - s->drift;
	s1 = tail_surprise(&s->tail[0], f.r[0], 0.4f);
	s2 = tail_surprise(&s->tail[1], f.r[1], 0.4f);
	s3 = tail_surprise(&s->tail[2], f.r[2], 0.7f);
	f.surprise = fmaxf(fmaxf(0.6f * s1, s2), 1.8f * s3);
	if (s->rows < WARM_ROWS)
		f.surprise = 0;
	return f;
}

static float
fast_head(struct score *s, int64_t t_ms, float x, float scale, struct fast *ret)
{
	struct fast f = look_fast(s, t_ms, x);
	float most;

	for (int i = 0; i < 3; i++)
		tail_add(&s->tail[i], f.r[i], f.surprise > 4 ? 0.3f : 1);
	/* A surge does not become normal at once: only so much of it is learnt. */
	most = (f.base + f.c) * expf(1.5f * fmaxf(s->tail[0].u1, 0.3f));
	learn_fast(s, t_ms, x < most || s->rows < WARM_ROWS ? x : most, f.r[0]);
	s->drift += 0.0005f * f.r[2];
	s->last_r = f.r[0];
	*ret = f;
	/* In its first day a series is not trusted whole: only what is plain is said. */
	return f.surprise / scale * fminf(1, 0.6f + 0.4f * (float)s->rows / YOUNG_ROWS);
}

/* ---- the slow head ------------------------------------------------------------ */

static float
slow_tail_surprise(struct tail *t, float c)
{
	float u, s = 0;

	if (c > 0 && t->total > 50) {
		u = quantile(t, 0.005f);
		if (c > u)
			s = 2.3f + 0.434f * logf(c / u) / fmaxf(logf(fmaxf(t->u1, 1e-3f) / fmaxf(t->u5, 1e-4f)), 0.05f);
	}
	tail_add(t, c, 1);
	return s;
}

/* How far outside everything seen so far, in ranges. */
static float
range_novelty(struct score *s, float x)
{
	float range = s->high - s->low, out, v;

	if (s->slow_rows == 0) {
		s->low = s->high = x;
		return 0;
	}
	out = x > s->high ? x - s->high : x < s->low ? s->low - x : 0;
	s->high = (x > s->high ? x : s->high) - 2.5e-5f * (s->high - s->slow_mean);
	s->low = (x < s->low ? x : s->low) + 2.5e-5f * (s->slow_mean - s->low);
	v = range > 0 ? out / range : 0;
	return v > 0.014f ? 1 + 2.5f * log10f(1 + v / 0.014f) : 0;
}

static float
slow_head(struct score *s, float x)
{
	float n = (float)s->slow_rows, rate = n < 1000 ? 1 / (n + 1) : 0.001f;
	float clipped = x, dev = s->slow_dev > 0 ? s->slow_dev : 1e-3f;
	float residual = fabsf(x - s->slow_ewma), parts[3], most = 0, sum = 0;

	parts[0] = 0.11f * slow_tail_surprise(&s->slow_tail[0], residual / fmaxf(s->slow_residual, 1e-6f));
	s->slow_level += 0.026f * (x - s->slow_level);
	parts[1] = 0.31f * slow_tail_surprise(&s->slow_tail[1], fabsf(s->slow_level - s->slow_mean) / dev);
	parts[2] = 0.69f * range_novelty(s, x);
	if (n > 50 && fabsf(x - s->slow_mean) > 7 * dev)
		clipped = s->slow_mean + (x > s->slow_mean ? 7 : -7) * dev;
	s->slow_dev = sqrtf(s->slow_dev * s->slow_dev +
	    rate * ((clipped - s->slow_mean) * (clipped - s->slow_mean) - s->slow_dev * s->slow_dev));
	s->slow_mean += rate * (clipped - s->slow_mean);
	if (s->slow_rows == 0)
		s->slow_level = s->slow_ewma = x;
	s->slow_residual += fmaxf(rate, 0.01f) * (residual - s->slow_residual);
	s->slow_ewma += 0.03f * (x - s->slow_ewma);
	s->slow_rows++;
	for (int i = 0; i < 3; i++) {
		sum += parts[i];
		most = parts[i] > most ? parts[i] : most;
	}
	return (0.54f * sum + 0.46f * most) * fminf(1, n / SLOW_WARM_ROWS);
}

/* ---- both --------------------------------------------------------------------- */

void
score_init(struct score *s)
{
	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 168; i++)
		s->hour[i] = -1;
	s->hour_no = -1;
}

static float
feed_slow(struct score *s, uint32_t spacing_ms, float x)
{
	uint32_t rows = spacing_ms > 0 && spacing_ms <= FAST_MS ? SLOW_MS / spacing_ms : 1;
	float mean;

	s->slow_sum += x;
	if (++s->slow_part < rows)
		return 0;
	mean = s->slow_sum / (float)s->slow_part;
	s->slow_sum = 0;
	s->slow_part = 0;
	return slow_head(s, mean);
}

struct score_says
score_row(struct score *s, int64_t t_ms, uint32_t spacing_ms, double x, double strict)
{
	bool fine = spacing_ms <= FAST_MS;
	float amount = x > 0 ? (float)x : 0, decay = powf(HOLD_DECAY, (float)spacing_ms / SLOW_MS), fast, slow, r;
	struct score_says says;
	struct fast f;

	fast = fast_head(s, t_ms, amount, fine ? 3.6f : 7.0f, &f);
	slow = feed_slow(s, spacing_ms, (float)x);
	r = fmaxf(fast, slow) / (float)strict;
	/* Peak-hold: a new alert must be more surprising than the fading last one. */
	says.surprise = r > s->hold ? r : 0;
	s->hold = fmaxf(r, decay * s->hold);
	s->rows++;
	s->last_ms = t_ms;
	says.score = 1 - exp2(-says.surprise);
	says.expected = f.base;
	says.usual_low = fmax(0, (f.base + f.c) * exp(-fmaxf(s->tail[0].u5, 0.1f)) - f.c);
	says.usual_high = (f.base + f.c) * exp(fmaxf(s->tail[0].u5, 0.1f)) - f.c;
	return says;
}

void
score_gap(struct score *s, int64_t t_ms, uint32_t spacing_ms, uint32_t n)
{
	int32_t hour = hour_of(t_ms);
	float left = powf(0.9f, (float)n);

	s->mean *= left;
	s->mean20 *= powf(0.95f, (float)n);
	s->last_r = 0;
	s->slow_sum = 0;
	s->slow_part = 0;
	s->hold *= powf(HOLD_DECAY, (float)n * (float)spacing_ms / SLOW_MS);
	if (s->hour_no < 0)
		return;
	/* The hours that passed in silence were silent: at most a week of them is worth learning. */
	end_hour(s);
	for (int32_t h = s->hour_no + 1; h < hour && h <= s->hour_no + 168; h++) {
		float *slot = &s->hour[week_slot(h)];

		*slot = *slot < 0 ? 0 : *slot * 0.6f;
	}
	s->hour_no = hour;
}

uint32_t
score_spacing(struct score_spacing *p, int64_t t_ms)
{
	int64_t step = p->rows > 0 ? t_ms - p->last_ms : 0;

	p->last_ms = t_ms;
	if (p->rows < UINT32_MAX)
		p->rows++;
	if (step <= 0 || step > INT64_C(86400000) * 31)		/* repeats and steps back tell nothing */
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
	/* Ten times fewer false alarms need about a decade more of surprise, that is a factor of 1 + 1/3.6. */
	return 1 + 0.28 * log10(1.0 / sensitivity);
}
