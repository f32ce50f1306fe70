/*
 * score_knobs.h - inside the scorer: every constant that was chosen by measuring, in one place.
 *
 * tests/bench/tune.py turns them (it compiles with SCORE_KNOBS set to `extern`); README.md says on what, and what was held out.
 */
#ifndef DETECT_SCORE_KNOBS_H
#define DETECT_SCORE_KNOBS_H

#include "detect/score.h"

/* KNOB(name, value, meaning) */
#define KNOBS \
	KNOB(mean_rate, 0.06396f, "of the mean of recent rows") \
	KNOB(level_rate, 0.1882f, "of the level against the week") \
	KNOB(level_least, 1.117f, "a level is believed to be at most e^-x of the usual") \
	KNOB(slot_rate, 0.4507f, "how much of a new week a half hour learns") \
	KNOB(low_least, 0.33f, "a half hour below so much of its usual may be a holiday") \
	KNOB(low_rate, 0.1f, "how much of that is learnt until the next week says the same") \
	KNOB(step_least, 3, "half hours that differ by more are a step, not a slope") \
	KNOB(step_most, 3, "within a half hour its neighbours' usual counts up to so many times its own") \
	KNOB(minute_rate, 0.0964f, "of the excess of a minute of the hour") \
	KNOB(minute_least, 1.403f, "deviations of excess that are not counted") \
	KNOB(noise_rate, 0.0013f, "of the noise regression") \
	KNOB(noise_alarm, 0.4447f, "times that, while an alarm lasts") \
	KNOB(noise_clip, 3.03f, "deviations that a row may be out for it") \
	KNOB(sigma2_few, 0.25f, "squared calls that speak for the usual sigma^2, against the variance of the means") \
	KNOB(learn_clip, 5.32f, "deviations above the expected that are learnt") \
	KNOB(forget_rows, 2623, "memory of the fast tails") \
	KNOB(xi_times, 0.8491f, "slope of the tail over that of its quantiles") \
	KNOB(xi_least, 0.03221f, "limits of it") \
	KNOB(xi_most, 0.5426f, "") \
	KNOB(seen_most, 4.714f, "decades beyond how rarely such a value was seen") \
	KNOB(w_row, 0.09714f, "weight of one row's z") \
	KNOB(w_two, 0.95f, "of two rows'") \
	KNOB(w_lift, 0.6667f, "of the quick lift over the week") \
	KNOB(w_slope, 1, "of the slow one") \
	KNOB(lift_least, 6.675f, "a lift below it is none") \
	KNOB(slope_least, 4.277f, "a slope below it is none") \
	KNOB(lift_rate, 0.1076f, "") \
	KNOB(slope_rate, 0.08785f, "") \
	KNOB(drift_rate, 0.00143f, "how fast lift gets used to a new level") \
	KNOB(lift_gain, 1.548f, "") \
	KNOB(slope_gain, 2.636f, "") \
	KNOB(z_most, 7.372f, "z that counts towards lift and slope") \
	KNOB(ratio_least, 0.3354f, "ln of observed over expected worth a word") \
	KNOB(level_floor, 77.89f, "limit, in phi, of what is added to both sides of the level") \
	KNOB(alarm_rows, 65.11f, "rows that belong to an alarm") \
	KNOB(alarm_weight, 0.05374f, "weight of large values in them") \
	KNOB(first_weight, 0.187f, "weight of the one that began it") \
	KNOB(fast_scale, 4.177f, "decades at R = 1") \
	KNOB(coarse_scale, 12, "the same for rows that are not fine") \
	KNOB(fast_hold, 0.1172f, "how much of the last R fades a row") \
	KNOB(long_rate, 0.003434f, "slow head: of mean and deviation") \
	KNOB(ewma_rate, 0.04024f, "") \
	KNOB(slow_level_rate, 0.05475f, "") \
	KNOB(share, 0.005603f, "share of rows beyond the quantile where surprise begins") \
	KNOB(slow_forget, 4318, "") \
	KNOB(slow_most, 4.445f, "decades that a quantile may give") \
	KNOB(slow_xi_least, 0.008074f, "") \
	KNOB(range_leak, 9.635e-06f, "how much of the range is forgotten a row") \
	KNOB(range_least, 0.01201f, "ranges outside of the range that count") \
	KNOB(range_slope, 0.959f, "decades a decade further out") \
	KNOB(shape_rate, 0.1532f, "of a half hour of the day") \
	KNOB(shape_clip, 400, "variances that one row may add") \
	KNOB(shape_least, 0.8133f, "share of the variance that the shape of the day must explain") \
	KNOB(move_rate, 0.03218f, "of the short mean movement") \
	KNOB(w_residual, 0.1887f, "") \
	KNOB(w_level, 0.4391f, "") \
	KNOB(w_range, 1.973f, "") \
	KNOB(w_shape, 0.264f, "") \
	KNOB(w_move, 0.01771f, "") \
	KNOB(mix, 0.3919f, "share of the sum; the rest is the largest part's") \
	KNOB(warm_rows, 1463, "rows until the slow head is believed whole") \
	KNOB(part_hold, 0.01153f, "how much of a part's last peak fades a row") \
	KNOB(slow_hold, 0.001629f, "of the whole's") \
	KNOB(calm_boost, 0.3218f, "how much more is made of surprises when nothing was said for long") \
	KNOB(calm_rows, 1461, "how long that is")

struct score_knobs {
#define KNOB(name, value, meaning)	float name;
	KNOBS
#undef KNOB
};

#ifdef SCORE_KNOBS
extern struct score_knobs score_knobs;
#else
static const struct score_knobs score_knobs = {
#define KNOB(name, value, meaning)	.name = value,
	KNOBS
#undef KNOB
};
#endif

/* R of a row, before any hold; *ret_expected what the head would have taken for ordinary. */
float	fast_row(struct score *, int64_t t_ms, bool fine, float x, float *ret_expected);
void	fast_gap(struct score *, int64_t t_ms, uint32_t n);
void	fast_init(struct fast *);
void	fast_borrow(struct fast *, const struct fast *kin, int64_t t_ms, float x);
void	fast_range(const struct fast *, float expected, float z, float *ret_low, float *ret_high);
float	fast_usual(const struct fast *, int64_t t_ms);	/* -1: never seen */
float	slow_row(struct score *, int64_t t_ms, bool shaped, float x);

#endif
