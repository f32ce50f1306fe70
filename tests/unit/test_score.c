/* test_score.c - one series at a time: what is surprising, what is not, and that no input breaks it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "detect/score.h"

#define MINUTE	INT64_C(60000)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define WEEK	(7 * DAY)
#define MONDAY	(INT64_C(1790553600000))	/* 2026-09-28T00:00:00Z */

_Static_assert(sizeof(struct score) <= 2048, "two KiB a series are the goal");

struct run {
	struct score	score;
	uint32_t	random;
	int64_t		now_ms, step_ms;
	unsigned	alerts;
	double		scale;		/* of every amount */
};

static void
begin(struct run *r, int64_t step_ms)
{
	memset(r, 0, sizeof(*r));
	score_init(&r->score, SCORE_FINE_MS);
	r->random = 4711;
	r->now_ms = MONDAY;
	r->step_ms = step_ms;
	r->scale = 1;
}

static uint32_t
next(struct run *r)
{
	r->random = (uint32_t)((uint64_t)r->random * 48271 % 2147483647);
	return r->random;
}

/* About `mean`, with the noise of a count and a tenth of its own. */
static double
noisy(struct run *r, double mean)
{
	double n = 0, own;

	for (int i = 0; i < 12; i++)
		n += (double)next(r) / 2147483647.0;
	own = n - 6;
	for (int i = 0; i < 12; i++)
		n += (double)next(r) / 2147483647.0;
	n = mean * (1 + 0.1 * own) + sqrt(mean) * (n - 12 - own);
	return n > 0 ? floor(n + 0.5) : 0;
}

static double
office(int64_t t_ms)
{
	double hour = (double)(t_ms % DAY) / HOUR;
	int day = (int)((t_ms - MONDAY) / DAY % 7);

	if (day >= 5 || hour < 7 || hour > 19)
		return 0;
	return 60 * sin((hour - 7) / 12 * 3.14159265);
}

static bool
row(struct run *r, double x)
{
	struct score_says says = score_row(&r->score, r->now_ms, (uint32_t)r->step_ms, x * r->scale, 1);
	bool alert = says.surprise >= 1;

	assert_true(says.score >= 0 && says.score <= 1);
	assert_true((says.score >= 0.5) == alert);
	r->now_ms += r->step_ms;
	r->alerts += alert;
	return alert;
}

static void
days(struct run *r, int64_t until_ms, double (*rhythm)(int64_t))
{
	while (r->now_ms < until_ms)
		row(r, noisy(r, rhythm(r->now_ms)));
}

static double
steady(int64_t t_ms)
{
	(void)t_ms;
	return 40;
}

static double
hourly_job(int64_t t_ms)
{
	return t_ms / MINUTE % 60 == 17 ? 240 : 30;
}

static double
weekly_job(int64_t t_ms)
{
	int64_t in_week = (t_ms - MONDAY) % WEEK;

	return in_week >= DAY + 3 * HOUR && in_week < DAY + 5 * HOUR ? 200 : 30;
}

static void
a_threefold_surge_is_seen_in_two_rows_whatever_the_unit(void **state)
{
	static const double scales[] = { 1, 1000, 1000000 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct run r;

		begin(&r, MINUTE);
		r.scale = scales[i];
		days(&r, MONDAY + 10 * DAY, steady);
		r.alerts = 0;
		row(&r, noisy(&r, 120));
		row(&r, noisy(&r, 120));
		assert_true(r.alerts > 0);
	}
}

static void
ordinary_weeks_give_few_false_alarms(void **state)
{
	double (*const rhythms[])(int64_t) = { steady, office, hourly_job, weekly_job };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct run r;

		begin(&r, MINUTE);
		days(&r, MONDAY + 2 * WEEK, rhythms[i]);
		r.alerts = 0;
		days(&r, MONDAY + 5 * WEEK, rhythms[i]);
		if (r.alerts > 3)
			print_message("rhythm %zu: %u alerts\n", i, r.alerts);
		assert_true(r.alerts <= 3);
	}
}

static void
a_weekly_job_is_surprising_once_and_becomes_ordinary(void **state)
{
	const int64_t job = MONDAY + DAY + 3 * HOUR;
	struct run r;

	(void)state;
	begin(&r, MINUTE);
	days(&r, job, weekly_job);
	r.alerts = 0;
	days(&r, job + 10 * MINUTE, weekly_job);
	assert_true(r.alerts > 0);
	days(&r, job + 4 * WEEK, weekly_job);
	r.alerts = 0;
	days(&r, job + 4 * WEEK + 10 * MINUTE, weekly_job);
	assert_int_equal(r.alerts, 0);
}

static void
use_at_night_is_seen_where_nights_are_empty(void **state)
{
	struct run r;

	(void)state;
	begin(&r, MINUTE);
	days(&r, MONDAY + 9 * DAY + 2 * HOUR, office);
	r.alerts = 0;
	row(&r, 20);
	row(&r, 20);
	assert_true(r.alerts > 0);
}

static void
a_slow_ramp_is_seen_before_its_end(void **state)
{
	struct run r;
	int64_t begin_ms = MONDAY + 15 * DAY;

	(void)state;
	begin(&r, MINUTE);
	days(&r, begin_ms, steady);
	r.alerts = 0;
	while (r.now_ms < begin_ms + 3 * HOUR)
		row(&r, noisy(&r, 40 * (1 + 3 * (double)(r.now_ms - begin_ms) / (3 * HOUR))));
	assert_true(r.alerts > 0);
}

/* A detector that counts calls in windows of five minutes is no worse off than one with minutes. */
static void
a_surge_in_longer_windows_is_seen_where_calls_are_counted(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 5 * MINUTE);
	score_init(&r.score, 5 * MINUTE);
	days(&r, MONDAY + 10 * DAY, steady);
	r.alerts = 0;
	row(&r, noisy(&r, 120));
	row(&r, noisy(&r, 120));
	assert_true(r.alerts > 0);
}

static void
coarse_rows_are_watched_in_both_directions(void **state)
{
	struct run up, down;

	(void)state;
	begin(&up, 5 * MINUTE);
	days(&up, MONDAY + 9 * DAY, steady);
	down = up;
	up.alerts = down.alerts = 0;
	for (int i = 0; i < 3; i++) {
		row(&up, 160);
		row(&down, 0);
	}
	assert_true(up.alerts > 0);
	assert_true(down.alerts > 0);
}

static void
a_day_of_another_shape_is_seen_though_no_value_is_new(void **state)
{
	struct run r;

	(void)state;
	begin(&r, 5 * MINUTE);
	while (r.now_ms < MONDAY + 10 * DAY)
		row(&r, (r.now_ms % DAY < 12 * HOUR ? 80 : 20) + next(&r) % 5);
	r.alerts = 0;
	while (r.now_ms < MONDAY + 10 * DAY + 12 * HOUR)
		row(&r, 20 + next(&r) % 5);
	assert_true(r.alerts > 0);
}

static void
copying_the_state_is_saving_it(void **state)
{
	struct run a, b;

	(void)state;
	begin(&a, MINUTE);
	days(&a, MONDAY + 3 * DAY + 5 * HOUR, office);
	memcpy(&b, &a, sizeof(b));
	for (int i = 0; i < 5000; i++) {
		double x = noisy(&a, i % 700 == 0 ? 300 : 20);
		struct score_says p = score_row(&a.score, a.now_ms, 60000, x, 1), q = score_row(&b.score, a.now_ms, 60000, x, 1);

		a.now_ms += MINUTE;
		assert_memory_equal(&p, &q, sizeof(p));
	}
	assert_memory_equal(&a.score, &b.score, sizeof(a.score));
}

static void
no_input_breaks_it(void **state)
{
	static const double amounts[] = { 0, 1, -1, 0.001, 1e15, 1e300, -1e300, 40, 1e-300, 3e9 };
	static const uint32_t spacings[] = { 0, 60000, 300000, 3600000, UINT32_MAX };
	struct run r;
	int64_t t = MONDAY;

	(void)state;
	begin(&r, MINUTE);
	for (int i = 0; i < 200000; i++) {
		struct score_says says;
		uint32_t spacing = spacings[next(&r) % 50 == 0 ? next(&r) % 5 : 1];

		t += (int64_t)(next(&r) % 200000) - 60000;
		if (next(&r) % 1000 == 0)
			t = (int64_t)(next(&r)) * 100000 - INT64_C(90000000000000);
		if (next(&r) % 1000 == 0)
			score_gap(&r.score, t, spacing, next(&r));
		says = score_row(&r.score, t, spacing, amounts[next(&r) % 10] * (next(&r) % 100), 1);
		if (!(says.score >= 0 && says.score <= 1 && isfinite(says.expected) && isfinite(says.surprise)))
			print_message("row %d: score %g, expected %g, surprise %g\n", i, says.score, says.expected, says.surprise);
		assert_true(says.score >= 0 && says.score <= 1 && isfinite(says.expected) && isfinite(says.surprise));
		if (next(&r) % 5000 == 0)
			score_init(&r.score, SCORE_FINE_MS);
	}
}

static void
a_new_series_takes_noise_and_rhythm_of_its_kin(void **state)
{
	struct run kin;
	struct score own;
	double usual_noon, usual_night;

	(void)state;
	begin(&kin, MINUTE);
	days(&kin, MONDAY + 8 * DAY + 11 * HOUR, office);
	score_init(&own, SCORE_FINE_MS);
	score_borrow(&own, &kin.score, kin.now_ms, 6);
	usual_noon = score_usual(&own, MONDAY + 9 * DAY + 12 * HOUR);
	usual_night = score_usual(&own, MONDAY + 9 * DAY + 2 * HOUR);
	assert_true(usual_noon > 3 && usual_noon < 12);		/* the kin has 60; the new one began with a tenth */
	assert_true(usual_night < 1);
}

static void
the_spacing_of_rows_is_learnt_from_their_times(void **state)
{
	struct score_spacing p = { 0 };
	int64_t t = MONDAY;
	uint32_t last = 0;

	(void)state;
	assert_int_equal(score_spacing(&p, t), 0);
	for (int i = 0; i < 500; i++) {
		t += i % 50 == 7 ? 6 * HOUR : i % 40 == 3 ? 0 : i % 60 == 9 ? -MINUTE : 5 * MINUTE;
		last = score_spacing(&p, t);
	}
	assert_in_range(last, 4 * MINUTE, 6 * MINUTE);
}

static void
less_sensitivity_is_quieter(void **state)
{
	struct run r;
	unsigned loud = 0, quiet = 0;

	(void)state;
	for (int pass = 0; pass < 2; pass++) {
		begin(&r, MINUTE);
		for (int i = 0; i < 30000; i++) {
			double x = noisy(&r, i % 400 < 3 && i > 12000 ? 75 : 40);
			struct score_says says = score_row(&r.score, r.now_ms, 60000, x, score_strict(pass == 0 ? 10 : 0.01));

			r.now_ms += MINUTE;
			*(pass == 0 ? &loud : &quiet) += says.surprise >= 1;
		}
	}
	assert_true(loud > 2 * quiet + 5);
	/* Even then what is beyond all doubt is said. */
	quiet = 0;
	for (int i = 0; i < 3; i++, r.now_ms += MINUTE)
		quiet += score_row(&r.score, r.now_ms, 60000, 4000, score_strict(0.01)).surprise >= 1;
	assert_true(quiet > 0);
}

static void
the_day_a_week_after_a_holiday_is_no_surge(void **state)
{
	struct run r;

	(void)state;
	begin(&r, MINUTE);
	for (int64_t day = 0; day < 28; day++, r.alerts = day <= 18 ? 0 : r.alerts)
		for (int m = 0; m < 1440; m++)
			(void)row(&r, day == 17 ? 0 : noisy(&r, office(r.now_ms)));	/* the Thursday of the third week */
	assert_int_equal(r.alerts, 0);
	/* What stays low for a second week is learnt. */
	begin(&r, MINUTE);
	for (int64_t day = 0; day < 35; day++)
		for (int m = 0; m < 1440; m++)
			(void)row(&r, noisy(&r, office(r.now_ms) * (day < 14 ? 1 : 0.1)));
	assert_true(score_usual(&r.score, r.now_ms - 7 * DAY + 13 * HOUR) < 30);
}

static void
what_was_not_worth_a_word_keeps_nothing_back(void **state)
{
	struct score_says first, second;
	struct run r;

	(void)state;
	for (int unsaid = 0; unsaid < 2; unsaid++) {
		begin(&r, MINUTE);
		for (int i = 0; i < 4000; i++)
			(void)row(&r, noisy(&r, 40));
		first = score_row(&r.score, r.now_ms, 60000, 400, 1);
		assert_true(first.surprise >= 1);
		if (unsaid)
			score_unsaid(&r.score);
		second = score_row(&r.score, r.now_ms + MINUTE, 60000, 150, 1);
		assert_true((second.surprise >= 1) == (unsaid == 1));
	}
}

static void
a_burst_of_a_series_that_hardly_ever_has_anything_is_seen(void **state)
{
	static const int every[] = { 5, 20, 50, 60, 200, 1000 };

	(void)state;
	for (size_t k = 0; k < sizeof(every) / sizeof(every[0]); k++) {
		unsigned before = 0, seen = 0;
		struct run r;

		begin(&r, MINUTE);
		for (int i = 0; i < 20 * 1440; i++, r.now_ms += MINUTE)
			before += score_row(&r.score, r.now_ms, 60000, i % every[k] == 0, 1).surprise >= 1;
		for (int i = 0; i < 2; i++, r.now_ms += MINUTE)
			seen += score_row(&r.score, r.now_ms, 60000, 80, 1).surprise >= 1;
		if (before > 0 || seen == 0)
			fail_msg("a call each %d rows: %u alerts before, %u in the burst", every[k], before, seen);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_threefold_surge_is_seen_in_two_rows_whatever_the_unit),
		cmocka_unit_test(ordinary_weeks_give_few_false_alarms),
		cmocka_unit_test(a_weekly_job_is_surprising_once_and_becomes_ordinary),
		cmocka_unit_test(use_at_night_is_seen_where_nights_are_empty),
		cmocka_unit_test(a_slow_ramp_is_seen_before_its_end),
		cmocka_unit_test(a_surge_in_longer_windows_is_seen_where_calls_are_counted),
		cmocka_unit_test(coarse_rows_are_watched_in_both_directions),
		cmocka_unit_test(a_day_of_another_shape_is_seen_though_no_value_is_new),
		cmocka_unit_test(copying_the_state_is_saving_it),
		cmocka_unit_test(no_input_breaks_it),
		cmocka_unit_test(a_new_series_takes_noise_and_rhythm_of_its_kin),
		cmocka_unit_test(the_spacing_of_rows_is_learnt_from_their_times),
		cmocka_unit_test(less_sensitivity_is_quieter),
		cmocka_unit_test(the_day_a_week_after_a_holiday_is_no_surge),
		cmocka_unit_test(what_was_not_worth_a_word_keeps_nothing_back),
		cmocka_unit_test(a_burst_of_a_series_that_hardly_ever_has_anything_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
