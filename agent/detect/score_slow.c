/*
 * score_slow.c - levels, ranges and shapes, up and down: five statistics, each measured against its own past.
 *
 * Each part speaks only above its own fading peak, and so does the whole: a new alert must say something that the last one did not.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>

#include "detect/score_knobs.h"

#define LOWEST		0.6f		/* of the tails */
#define SLOW_WARM	50
#define TINY		1e-12f
#define SHAPE_RATE	0.0007f		/* of both variances */
#define K		score_knobs

enum { P_RESIDUAL, P_LEVEL, P_RANGE, P_SHAPE, P_MOVE };
static const int tail_of[SLOW_PARTS] = { 0, 1, -1, 2, 3 };

/* Decades past the quantile, with the slope between it and the one ten times as common. */
static float
decades(struct score *s, int part, float v)
{
	struct tail *t = &s->slow.tail[tail_of[part]];
	float place = tail_place(v, LOWEST), xi, d = 0;

	if (s->rows > SLOW_WARM && v > t->high && v > LOWEST) {
		xi = larger(logf(t->high / t->low) / 2.303f, K.slow_xi_least);
		d = smaller(-log10f(K.share) + 0.434f * logf(v / t->high) / xi, K.slow_most);
	}
	tail_add(t, place, 1, K.slow_forget);
	if (s->rows % 8 == 0 || s->rows < 200)
		tail_measure(t, LOWEST, K.share, 10 * K.share);
	return d;
}

/* How far outside of everything seen so far, in ranges. */
static float
range_novelty(struct slow *w, float x)
{
	float range = w->high - w->low, out = x > w->high ? x - w->high : x < w->low ? w->low - x : 0;
	float v = range > 0 ? out / range : 0;

	w->high = larger(x, w->high) - K.range_leak * (w->high - w->mean);
	w->low = smaller(x, w->low) + K.range_leak * (w->mean - w->low);
	return v > K.range_least ? 1 + K.range_slope * log10f(1 + v / K.range_least) : 0;
}

/* A half hour is learnt when it is over, so that its own first rows say nothing about its last ones. */
static void
shape_learn(struct score *s, int half_hour, float x)
{
	struct slow *w = &s->slow;

	if (half_hour != w->shape_slot && w->shape_rows > 0) {
		float *usual = &s->usual[w->shape_slot], mean = w->shape_sum / (float)w->shape_rows;

		*usual = isnan(*usual) ? mean : *usual + K.shape_rate * (mean - *usual);
		w->shape_sum = 0;
		w->shape_rows = 0;
	}
	w->shape_slot = (uint16_t)half_hour;
	w->shape_sum += x;
	if (w->shape_rows < UINT16_MAX)
		w->shape_rows++;
}

/* Out of the shape of the day, as far as the series has one: its share of the variance decides. */
static float
shape_novelty(struct score *s, int half_hour, float x)
{
	struct slow *w = &s->slow;
	float usual = s->usual[half_hour], out = x - usual, all = x - w->mean, rate = larger(SHAPE_RATE, 1 / (float)(s->rows + 1));
	float most = s->rows < SLOW_WARM ? INFINITY : larger(K.shape_clip * w->all_var, 0.01f * (w->high - w->low) * (w->high - w->low)), trust, d;

	shape_learn(s, half_hour, x);
	w->all_var += rate * (smaller(all * all, most) - w->all_var);
	if (isnan(usual)) {
		w->shape_var = w->all_var;
		return 0;
	}
	trust = (1 - w->shape_var / larger(w->all_var, TINY) - K.shape_least) / (1 - K.shape_least);
	d = decades(s, P_SHAPE, fabsf(out) / sqrtf(larger(w->shape_var, TINY)));
	w->shape_var += rate * (smaller(out * out, most) - w->shape_var);
	return trust > 0 ? d * sqrtf(trust) : 0;
}

static void
learn(struct score *s, float x, float residual)
{
	struct slow *w = &s->slow;
	float rate = larger(K.long_rate, 1 / (float)(s->rows + 1)), out = x - w->mean;
	float most = larger(7 * w->dev, 0.1f * (w->high - w->low));	/* a series may begin with one value for days */

	if (s->rows > SLOW_WARM)
		out = smaller(larger(out, -most), most);
	w->dev = sqrtf(w->dev * w->dev + rate * (out * out - w->dev * w->dev));
	w->mean += rate * out;
	w->residual += larger(rate, 0.01f) * (residual - w->residual);
	w->ewma += K.ewma_rate * (x - w->ewma);
}

static float
together(struct score *s, const float part[SLOW_PARTS])
{
	const float weight[SLOW_PARTS] = { K.w_residual, K.w_level, K.w_range, K.w_shape, K.w_move };
	float sum = 0, most = 0;

	for (int i = 0; i < SLOW_PARTS; i++) {
		float v = weight[i] * part[i], *hold = &s->slow.hold[i];

		if (v > *hold) {
			sum += v;
			most = larger(most, v);
		}
		*hold = larger(v, *hold * (1 - K.part_hold));
	}
	return (K.mix * sum + (1 - K.mix) * most) * smaller(1, (float)s->rows / K.warm_rows);
}

float
slow_row(struct score *s, int64_t t_ms, bool shaped, float x)
{
	struct slow *w = &s->slow;
	float part[SLOW_PARTS] = { 0 }, residual, moved, dev;
	int half_hour = (int)((t_ms / 1800000) % 48);

	if (s->rows == 0)
		w->mean = w->ewma = w->level = w->low = w->high = w->last = x;
	dev = larger(w->dev, TINY);
	residual = fabsf(x - w->ewma);
	part[P_RESIDUAL] = decades(s, P_RESIDUAL, residual / larger(w->residual, TINY));
	w->level += K.slow_level_rate * (x - w->level);
	part[P_LEVEL] = decades(s, P_LEVEL, fabsf(w->level - w->mean) / dev);
	part[P_RANGE] = range_novelty(w, x);
	if (shaped)
		part[P_SHAPE] = shape_novelty(s, half_hour < 0 ? half_hour + 48 : half_hour, x);
	moved = fabsf(x - w->last);
	w->last = x;
	w->move_short += K.move_rate * (moved - w->move_short);
	w->move_long += larger(2 * K.long_rate, 1 / (float)(s->rows + 1)) * (moved - w->move_long);
	part[P_MOVE] = decades(s, P_MOVE, w->move_short / larger(w->move_long, TINY));
	learn(s, x, residual);
	return together(s, part);
}
