/*
 * score_fast.c - surges: a row against the level of the last rows and against this half hour of the week.
 *
 * A row of mean m has the variance phi m + sigma^2 m^2 (chance of single calls, and of callers that act together). G takes that out, so that
 * z = G(x) - G(expected) has about one deviation by day and by night. What z is rare for this series, its own tail tells.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <string.h>

#include "detect/score_knobs.h"

#define SLOT_MS		INT64_C(1800000)
#define SLOTS_A_DAY	48
#define CODE_PER_LN	1170.0f		/* a slot is ln(1 + usual), to 0.1 %, above a flag */
#define SLOT_MOST	32767.0f
#define SLOT_LOW	1u		/* the last week was far below the weeks before */
#define LOWEST_Z	1.0f		/* of the tails */
#define Z_FIVE		1.4f		/* what 5 % and 1 % of rows exceed is at least this */
#define Z_ONE		2.0f
#define MEASURE_EVERY	16
#define NEVER		0.05f		/* rows: less is nothing */
#define MOST_DECADES	12.0f
#define WARM_ROWS	60
#define LEAST_SCALE	1e-4f
#define YOUNG_ROWS	1440
#define YOUNG_SEEN	1.3f
#define SIGMA2_USUAL	0.04f
#define SIGMA2_MOST	4.0f
#define K		score_knobs

enum { T_ROW, T_TWO, T_LIFT, T_SLOPE };
enum { S_WEIGHT, S_MEAN, S_MEAN2, S_Y, S_MEAN_Y, S_SQUARES, S_MEANS };

/* ---- half hours of the week ------------------------------------------------------- */

static int
slot_index(int32_t no)
{
	int i = (int)(((int64_t)no + 3 * SLOTS_A_DAY) % SCORE_SLOTS);	/* 1970 began on a Thursday; 0 is Monday's first */

	return i < 0 ? i + SCORE_SLOTS : i;
}

static float
slot_get(const struct fast *f, int32_t no)
{
	unsigned code = f->slot[slot_index(no)] >> 1;

	return code == 0 ? -1 : f->slot_scale * expm1f((float)(code - 1) / CODE_PER_LN);
}

static void
slot_set(struct fast *f, int32_t no, float v, unsigned flags)
{
	float code = 1.5f + CODE_PER_LN * log1pf(v > 0 ? v / f->slot_scale : 0);

	f->slot[slot_index(no)] = (uint16_t)((unsigned)(code < SLOT_MOST ? code : SLOT_MOST) << 1 | flags);
}

/* Usual of a half hour; in the first week the busiest same one of another day; -1 where nothing is known. */
static float
slot_usual(const struct fast *f, int32_t no)
{
	float most = slot_get(f, no);

	for (int32_t day = 1; most < 0 && day < 7; day++)
		for (int32_t d = day; d < 7; d++)
			most = larger(most, slot_get(f, no - SLOTS_A_DAY * d));
	return most;
}

/* One week far below the others, as a holiday is, is hardly learnt: else the same day a week later would be a surge. */
static void
slot_learn(struct fast *f, int32_t no, float mean)
{
	float was = slot_get(f, no);
	bool low = mean < K.low_least * was, again = (f->slot[slot_index(no)] & SLOT_LOW) != 0;

	if (was < 0)
		slot_set(f, no, mean, 0);
	else
		slot_set(f, no, was + (low && !again ? K.low_rate : K.slot_rate) * (mean - was), low ? SLOT_LOW : 0);
}

static void
slot_enter(struct fast *f, int32_t no)
{
	if (f->slot_no >= 0 && f->slot_rows > 0)
		slot_learn(f, f->slot_no, f->slot_sum / (float)f->slot_rows);
	f->slot_sum = 0;
	f->slot_rows = 0;
	f->slot_no = no;
	f->exact = slot_get(f, no) >= 0;
	f->before = slot_usual(f, no - 1);
	f->here = slot_usual(f, no);
	f->after = slot_usual(f, no + 1);
}

/* Between `here` and `there` lies an edge, where the other neighbour is as high as `here`: not a slope. */
static bool
is_step(float here, float there, float other)
{
	return (there > K.step_least * here || here > K.step_least * there) && other < 1.5f * here && here < 1.5f * other;
}

/* Around an edge, as of a weekly job, its minute is not known: the higher side of it is usual then, whatever the level is; else 0. */
static float
edge(const struct fast *f, float usual)
{
	float most = larger(f->here, larger(f->before, f->after)), least = smaller(f->here, smaller(f->before, f->after));

	return least >= 0 && most > K.step_least * least ? smaller(most, K.step_most * usual) : 0;
}

/* Usual of this moment, between the middles of two half hours unless there is a step between them; -1 where nothing is known. */
static float
usual_at(const struct fast *f, int64_t t_ms)
{
	float part = (float)(t_ms - f->slot_no * SLOT_MS) / (float)SLOT_MS - 0.5f;
	float there = part < 0 ? f->before : f->after;

	if (f->here < 0)
		return there;
	if (there < 0 || is_step(f->here, there, part < 0 ? f->after : f->before))
		return f->here;
	return f->here + fabsf(part) * (there - f->here);
}

/* ---- noise -------------------------------------------------------------------------- */

/* Takes the variance phi m + sigma^2 m^2 out (an integral of one over its root), with Anscombe's 3/8 for small counts. */
static float
flat(float v, float phi, float sigma)
{
	float a = sigma * sqrtf((v > 0 ? v : 0) / phi + 0.375f);

	return 2 / sigma * logf(a + sqrtf(a * a + 1));
}

static float
unflat(float z, float phi, float sigma)
{
	float a = sinhf(smaller(larger(z, 0) * sigma / 2, 40)) / sigma;

	return larger(0, phi * (a * a - 0.375f));
}

/* Both parts of the variance from a weighted regression of (x - m)^2 / m on m. */
static void
noise_solve(struct fast *f, float phi_least, bool fine)
{
	const float *s = f->sums;
	float m = s[S_MEAN] / s[S_WEIGHT], y = s[S_Y] / s[S_WEIGHT];
	float var = s[S_MEAN2] / s[S_WEIGHT] - m * m, cov = s[S_MEAN_Y] / s[S_WEIGHT] - m * y;
	float steady = 0.02f * m * m, most = y / larger(m, 1e-6f);	/* a series that is always the same tells them apart by halves */
	float sigma2 = (cov + steady * 0.5f * most) / (var + steady);
	float phi, few;

	sigma2 = smaller(larger(sigma2, 0), most);
	/* Means far below one call tell nothing of how callers act together: without this a rare series could rise as it likes. */
	few = fine ? K.sigma2_few * phi_least * phi_least : 0;
	sigma2 = ((var + steady) * sigma2 + few * SIGMA2_USUAL) / (var + steady + few);
	phi = smaller(y - sigma2 * m, s[S_SQUARES] / larger(s[S_MEANS], 1e-6f));
	f->phi = larger(phi, phi_least);
	f->sigma2 = smaller(larger(sigma2, 0.0009f), SIGMA2_MOST);
}

static void
noise_learn(struct score *s, bool fine, float x, float expected)
{
	struct fast *f = &s->fast;
	float m = larger(expected, 0.05f * f->phi), r = x - m, clip, y, weight, rate;
	float add[7];

	clip = K.noise_clip * sqrtf(f->phi * m + f->sigma2 * m * m) + f->phi;
	if (s->rows > 30)
		r = smaller(larger(r, -clip), clip);
	weight = 1 / (1 + m * f->sigma2 / f->phi);
	weight *= weight * m / (m + f->phi);
	y = r * r / m;
	rate = s->rows < 300 ? 1 / (float)(s->rows + 1) : f->alarm > 0 ? K.noise_rate * K.noise_alarm : K.noise_rate;
	add[S_WEIGHT] = weight;
	add[S_MEAN] = weight * m;
	add[S_MEAN2] = weight * m * m;
	add[S_Y] = weight * y;
	add[S_MEAN_Y] = weight * m * y;
	add[S_SQUARES] = r * r;
	add[S_MEANS] = m;
	for (int i = 0; i < 7; i++)
		f->sums[i] += rate * (add[i] - f->sums[i]);
	if (s->rows % MEASURE_EVERY == MEASURE_EVERY - 1)
		noise_solve(f, s->fractions ? larger(1e-3f * f->mean, 1e-6f) : 1, fine);
}

/* ---- surprise ------------------------------------------------------------------------- */

/* Decades: 2 where 1 % of rows lie, growing with an exponential tail, and no more than how rarely such a value was seen allows. */
static float
decades(const struct tail *t, float v, float place, float least, bool young)
{
	float one = larger(t->high, Z_ONE), five = larger(t->low, Z_FIVE), xi, s, seen, above;

	if (v < least || v <= one || t->total <= 0)
		return 0;
	xi = K.xi_times * (one - five) / 1.609f;
	xi = smaller(larger(xi, K.xi_least), K.xi_most);
	s = 2 + 0.434f * (v - one) / xi;
	above = tail_above(t, place);
	seen = (young ? smaller(K.seen_most, YOUNG_SEEN) : K.seen_most) - log10f((above + 0.3f) / tail_rows(t));
	if (s <= seen)
		return s;
	return above > NEVER || young ? seen : smaller(seen + 0.5f * (s - seen), MOST_DECADES);	/* of what was never seen the tail is half believed */
}

struct look {
	float	usual, level_floor, level, minute, expected, base;
	float	value[4], z_week;
};

static struct look
look_at(const struct score *s, int64_t t_ms, bool fine, float x)
{
	const struct fast *f = &s->fast;
	struct look k = { .usual = usual_at(f, t_ms) };
	float sigma = sqrtf(f->sigma2), z = flat(x, f->phi, sigma), most;

	k.base = f->mean;
	k.level_floor = smaller(f->phi / (4 * f->sigma2), K.level_floor * f->phi);
	k.level = f->mean;
	if (k.usual >= 0) {
		k.level = larger(0, (k.usual + k.level_floor) * expf(f->level) - k.level_floor);
		most = k.usual * expf(smaller(0, larger(f->level, -K.level_least)));
		k.base = larger(larger(k.base, k.level), larger(most, edge(f, k.usual)));
	}
	if (fine) {
		const float mean = f->mean;

		k.minute = s->usual[(t_ms / 60000) % 60] - K.minute_least * sqrtf(f->phi * mean + f->sigma2 * mean * mean);
		k.minute = larger(0, k.minute);
	}
	k.expected = k.base + k.minute;
	k.value[T_ROW] = z - flat(k.expected, f->phi, sigma);
	k.value[T_TWO] = 0.7071f * (k.value[T_ROW] + f->last_z);
	if (k.usual >= 0 && f->exact)
		k.z_week = smaller(z - flat(k.usual + k.minute, f->phi, sigma), K.z_most);
	k.value[T_LIFT] = (f->lift + K.lift_rate * (k.z_week - f->lift) - f->drift) * K.lift_gain;
	k.value[T_SLOPE] = (f->slope + K.slope_rate * (k.z_week - f->slope) - f->drift) * K.slope_gain;
	return k;
}

static float
weigh(struct score *s, const struct look *k, float x)
{
	const float least[4] = { 0, 0, K.lift_least, K.slope_least };
	struct fast *f = &s->fast;
	float place[4], d[4], r = 0;
	bool known = k->usual >= 0 && f->exact;

	for (int i = 0; i < 4; i++) {
		place[i] = tail_place(k->value[i], LOWEST_Z);
		d[i] = i >= T_LIFT && !known ? 0 : decades(&f->tail[i], k->value[i], place[i], least[i], s->rows < YOUNG_ROWS);
	}
	if (s->rows >= WARM_ROWS) {
		r = larger(K.w_lift * d[T_LIFT], K.w_slope * d[T_SLOPE]);
		if (x >= k->expected * expf(K.ratio_least))
			r = larger(r, larger(K.w_row * d[T_ROW], K.w_two * d[T_TWO]));
	}
	for (int i = 0; i < 4; i++) {
		bool large = k->value[i] > f->tail[i].high && k->value[i] > 2.3f;

		tail_add(&f->tail[i], place[i], !large ? 1 : f->alarm > 0 ? K.alarm_weight : r > 0.8f * K.fast_scale ? K.first_weight : 1,
		    K.forget_rows);
		if (s->rows % MEASURE_EVERY == 0)
			tail_measure(&f->tail[i], LOWEST_Z, 0.01f, 0.05f);
	}
	if (r > 0.8f * K.fast_scale)
		f->alarm = (uint16_t)K.alarm_rows;
	else if (f->alarm > 0)
		f->alarm--;
	return r;
}

static void
learn(struct score *s, const struct look *k, int64_t t_ms, bool fine, float x)
{
	struct fast *f = &s->fast;
	float e = k->expected, most = e + K.learn_clip * sqrtf(f->phi * e + f->sigma2 * e * e + 0.1f * f->phi);
	float believed = s->rows < WARM_ROWS ? x : smaller(x, most);	/* a surge does not become normal at once */
	float plain = larger(0, believed - k->minute), *minute = &s->usual[(t_ms / 60000) % 60];

	if (fine && s->rows > WARM_ROWS)
		*minute += K.minute_rate * (smaller(x - k->base, 20 * larger(k->base, 1)) - *minute);
	noise_learn(s, fine, believed, k->level + k->minute);
	f->mean += (s->rows < 20 ? 1 / (float)(s->rows + 1) : K.mean_rate) * (plain - f->mean);
	if (k->usual >= 0)
		f->level += K.level_rate * (logf((plain + k->level_floor) / (k->usual + k->level_floor)) - f->level);
	f->slot_sum += plain;
	if (f->slot_rows < UINT16_MAX)
		f->slot_rows++;
	f->lift += K.lift_rate * (k->z_week - f->lift);
	f->slope += K.slope_rate * (k->z_week - f->slope);
	if (f->exact)
		f->drift += K.drift_rate * (smaller(larger(k->z_week, -4), 4) - f->drift);
	f->last_z = k->value[T_ROW];
}

/* ---- life --------------------------------------------------------------------------------- */

void
fast_init(struct fast *f)
{
	f->phi = 1;
	f->sigma2 = SIGMA2_USUAL;
	f->slot_no = -1;
	f->slot_scale = 1;
	f->before = f->here = f->after = -1;
}

float
fast_row(struct score *s, int64_t t_ms, bool fine, float x, float *ret_expected)
{
	int32_t no = (int32_t)(t_ms / SLOT_MS);
	struct look k;
	float r;

	if (no != s->fast.slot_no)
		slot_enter(&s->fast, no);
	k = look_at(s, t_ms, fine, x);
	r = weigh(s, &k, x);
	learn(s, &k, t_ms, fine, x);
	*ret_expected = k.expected;
	/* In its first day a series is not trusted whole: only what is plain is said. */
	return r / (fine ? K.fast_scale : K.coarse_scale) * smaller(1, 0.6f + 0.4f * (float)s->rows / (float)YOUNG_ROWS);
}

void
fast_gap(struct score *s, int64_t t_ms, uint32_t n)
{
	struct fast *f = &s->fast;
	int32_t no = (int32_t)(t_ms / SLOT_MS), was = f->slot_no;
	uint32_t rows = n < YOUNG_ROWS ? n : YOUNG_ROWS;

	f->mean *= powf(1 - K.mean_rate, (float)n);
	f->level = 0;
	f->last_z = f->lift = f->slope = 0;
	f->alarm = n < f->alarm ? (uint16_t)(f->alarm - n) : 0;
	s->rows += s->rows > 0 && rows < UINT32_MAX - s->rows ? rows : 0;
	for (int i = 0; i < 4; i++)
		tail_gap(&f->tail[i], (float)rows, K.forget_rows);
	if (was < 0 || no <= was)
		return;
	/* The half hours that passed in silence were silent: at most a week of them is worth learning. */
	slot_enter(f, no);
	for (int32_t i = was + 1; i < no && i <= was + SCORE_SLOTS; i++)
		slot_learn(f, i, 0);
	slot_enter(f, no);
}

void
fast_borrow(struct fast *f, const struct fast *kin, int64_t t_ms, float x)
{
	float usual = slot_usual(kin, (int32_t)(t_ms / SLOT_MS));

	f->phi = kin->phi;
	f->sigma2 = larger(kin->sigma2, SIGMA2_USUAL);
	memcpy(f->tail, kin->tail, sizeof(f->tail));
	if (usual <= 0 || x <= 0)
		return;
	f->slot_scale = kin->slot_scale * smaller(larger(x / usual, LEAST_SCALE), 1);
	memcpy(f->slot, kin->slot, sizeof(f->slot));
}

float
fast_usual(const struct fast *f, int64_t t_ms)
{
	return slot_get(f, (int32_t)(t_ms / SLOT_MS));
}

void
fast_range(const struct fast *f, float expected, float z, float *ret_low, float *ret_high)
{
	float sigma = sqrtf(f->sigma2), at = flat(expected, f->phi, sigma);

	*ret_low = unflat(at - z, f->phi, sigma);
	*ret_high = unflat(at + z, f->phi, sigma);
}
