/* test_pace.c - no faster than a rule takes, slowly again after trouble, and one pace for all sinks of a rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "sinks/sentinel/pace.h"

#define RULE	"dcr-00000000000000000000000000000000"

static struct pace *
begin(void)
{
	clock_fake(UINT64_C(1790553600000));
	pace_forget();
	return pace_of(RULE);
}

/* How many requests of so many bytes go within so many seconds. */
static unsigned
pass(struct pace *p, size_t bytes, unsigned seconds)
{
	unsigned n = 0;

	for (unsigned ms = 0; ms < seconds * 1000; ms++) {
		while (pace_take(p, bytes) == 0)
			n++;
		clock_fake_advance(1);
	}
	return n;
}

static void
in_a_minute_no_more_requests_go_than_the_rule_takes(void **state)
{
	struct pace *p = begin();
	unsigned n;

	(void)state;
	(void)pass(p, 100, 60);
	n = pass(p, 100, 60);
	assert_in_range(n, 11900, 12001);
}

static void
in_a_minute_no_more_bytes_go_than_the_rule_takes(void **state)
{
	struct pace *p = begin();
	unsigned n;

	(void)state;
	(void)pass(p, 1000000, 60);
	n = pass(p, 1000000, 60);
	assert_in_range(n, 1980, 2000);
}

static void
the_wait_is_as_long_as_it_says_and_no_longer(void **state)
{
	struct pace *p = begin();
	uint64_t wait_ms;

	(void)state;
	while ((wait_ms = pace_take(p, 1000000)) == 0)
		;
	clock_fake_advance(wait_ms - 2);
	assert_int_not_equal(pace_take(p, 1000000), 0);
	clock_fake_advance(2);
	assert_int_equal(pace_take(p, 1000000), 0);
}

static void
after_trouble_it_is_slow_and_calm_gives_the_rate_back(void **state)
{
	struct pace *p = begin();
	unsigned first, later;

	(void)state;
	for (int i = 0; i < 10; i++)
		pace_trouble(p);
	first = pass(p, 100, 5);
	(void)pass(p, 100, 100);
	later = pass(p, 100, 5);
	assert_in_range(first, 20, 150);
	assert_in_range(later, 990, 1001);
}

static void
sinks_of_one_rule_share_and_others_do_not(void **state)
{
	struct pace *p = begin(), *other = pace_of("dcr-11111111111111111111111111111111");

	(void)state;
	assert_ptr_equal(p, pace_of(RULE));
	assert_ptr_not_equal(p, other);
	while (pace_take(p, 100) == 0)
		;
	assert_int_equal(pace_take(other, 100), 0);
}

static void
a_clock_that_steps_back_does_not_stop_it(void **state)
{
	struct pace *p = begin();

	(void)state;
	while (pace_take(p, 100) == 0)
		;
	clock_fake(UINT64_C(1790553000000));
	assert_int_not_equal(pace_take(p, 100), 0);
	clock_fake_advance(1000);
	assert_int_equal(pace_take(p, 100), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_minute_no_more_requests_go_than_the_rule_takes),
		cmocka_unit_test(in_a_minute_no_more_bytes_go_than_the_rule_takes),
		cmocka_unit_test(the_wait_is_as_long_as_it_says_and_no_longer),
		cmocka_unit_test(after_trouble_it_is_slow_and_calm_gives_the_rate_back),
		cmocka_unit_test(sinks_of_one_rule_share_and_others_do_not),
		cmocka_unit_test(a_clock_that_steps_back_does_not_stop_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
