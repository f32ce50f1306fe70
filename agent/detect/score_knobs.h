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
	KNOB(mean_rate, 0.0367f, "of the mean of recent rows") \
	KNOB(level_rate, 0.1882f, "of the level against the week") \
	KNOB(level_least, 1.1175f, "a level is believed to be at most e^-x of the usual") \
	KNOB(slot_rate, 0.4507f, "how much of a new week a half hour learns") \
	KNOB(minute_rate, 0.0964f, "of the excess of a minute of the hour") \
	KNOB(minute_least, 1.4411f, "deviations of excess that are not counted") \
	KNOB(noise_rate, 0.0013f, "of the noise regression") \
	KNOB(noise_alarm, 0.4447f, "times that, while an alarm lasts") \
	KNOB(noise_clip, 3.0304f, "deviations that a row may be out for it") \
	KNOB(learn_clip, 5.3199f, "deviations above the expected that are learnt") \
	KNOB(forget_rows, 2623, "memory of the fast tails") \
	KNOB(xi_times, 0.8491f, "slope of the tail over that of its quantiles") \
	KNOB(xi_least, 0.0326f, "limits of it") \
	KNOB(xi_most, 0.5778f, "") \
	KNOB(seen_most, 1.2859f, "decades beyond how rarely such a value was seen") \
	KNOB(w_row, 0.1368f, "weight of one row's z") \
	KNOB(w_two, 0.9952f, "of two rows'") \
	KNOB(w_lift, 0.8324f, "of the quick lift over the week") \
	KNOB(w_slope, 1, "of the slow one") \
	KNOB(lift_least, 6.6754f, "a lift below it is none") \
	KNOB(slope_least, 4, "a slope below it is none") \
	KNOB(lift_rate, 0.2f, "") \
	KNOB(slope_rate, 0.0489f, "") \
	KNOB(drift_rate, 0.0009f, "how fast lift gets used to a new level") \
	KNOB(lift_gain, 1.548f, "") \
	KNOB(slope_gain, 2.4f, "") \
	KNOB(z_most, 7.1897f, "z that counts towards lift and slope") \
	KNOB(ratio_least, 0.3545f, "ln of observed over expected worth a word") \
	KNOB(level_floor, 151, "limit, in phi, of what is added to both sides of the level") \
	KNOB(alarm_rows, 85, "rows that belong to an alarm") \
	KNOB(alarm_weight, 0.0442f, "weight of large values in them") \
	KNOB(first_weight, 0.2286f, "weight of the one that began it") \
	KNOB(fast_scale, 4.1773f, "decades at R = 1") \
	KNOB(coarse_scale, 7, "the same for rows that are not fine") \
	KNOB(fast_hold, 0.0764f, "how much of the last R fades a row") \
	KNOB(long_rate, 0.003335f, "slow head: of mean and deviation") \
	KNOB(ewma_rate, 0.04024f, "") \
	KNOB(slow_level_rate, 0.05475f, "") \
	KNOB(share, 0.005603f, "share of rows beyond the quantile where surprise begins") \
	KNOB(slow_forget, 4500, "") \
	KNOB(slow_most, 4.638f, "decades that a quantile may give") \
	KNOB(slow_xi_least, 0.01253f, "") \
	KNOB(range_leak, 1e-5f, "how much of the range is forgotten a row") \
	KNOB(range_least, 0.01201f, "ranges outside of the range that count") \
	KNOB(range_slope, 0.959f, "decades a decade further out") \
	KNOB(shape_rate, 0.1109f, "of a half hour of the day") \
	KNOB(shape_clip, 400, "variances that one row may add") \
	KNOB(shape_least, 0.7f, "share of the variance that the shape of the day must explain") \
	KNOB(move_rate, 0.03553f, "of the short mean movement") \
	KNOB(w_residual, 0.2027f, "") \
	KNOB(w_level, 0.4099f, "") \
	KNOB(w_range, 2.033f, "") \
	KNOB(w_shape, 0.2087f, "") \
	KNOB(w_move, 0.04385f, "") \
	KNOB(mix, 0.5222f, "share of the sum; the rest is the largest part's") \
	KNOB(warm_rows, 1416, "rows until the slow head is believed whole") \
	KNOB(part_hold, 0.01274f, "how much of a part's last peak fades a row") \
	KNOB(slow_hold, 0.001379f, "of the whole's") \
	KNOB(calm_boost, 0.3224f, "how much more is made of surprises when nothing was said for long") \
	KNOB(calm_rows, 2123, "how long that is")

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
float	fast_row(struct score *, int64_t t_ms, uint32_t spacing_ms, float x, float *ret_expected);
void	fast_gap(struct score *, int64_t t_ms, uint32_t n);
void	fast_init(struct fast *);
void	fast_borrow(struct fast *, const struct fast *kin, int64_t t_ms, float x);
void	fast_range(const struct fast *, float expected, float z, float *ret_low, float *ret_high);
float	fast_usual(const struct fast *, int64_t t_ms);	/* -1: never seen */
float	slow_row(struct score *, int64_t t_ms, bool shaped, float x);

#endif
