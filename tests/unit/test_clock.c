/* test_clock.c - times as texts, and the clock that a test can hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/slice.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

static void
times_are_written_in_utc_with_milliseconds(void **state)
{
	static const struct { int64_t ms; const char *text; } rows[] = {
		{ 0, "1970-01-01T00:00:00.000Z" }, { -1, "1969-12-31T23:59:59.999Z" },
		{ INT64_C(951782400000), "2000-02-29T00:00:00.000Z" }, { INT64_C(1790553600123), "2026-09-28T00:00:00.123Z" },
		{ INT64_C(4107542399999), "2100-02-28T23:59:59.999Z" }, { INT64_C(4107542400000), "2100-03-01T00:00:00.000Z" },
		{ INT64_MIN, "0001-01-01T00:00:00.000Z" }, { INT64_MAX, "9999-12-31T23:59:59.999Z" },
	};
	char text[TIME_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		time_format_ms(rows[i].ms, text);
		assert_string_equal(text, rows[i].text);
	}
}

static void
what_was_written_is_read_as_the_same_time(void **state)
{
	char text[TIME_TEXT_BYTES];

	(void)state;
	for (int64_t ms = INT64_C(-62135596800000); ms < INT64_C(253402300799999); ms += INT64_C(86399999) * 997) {
		int64_t back = 0;

		time_format_ms(ms, text);
		assert_true(time_parse_rfc3339(slice_of(text), &back));
		assert_true(back == ms);
	}
}

static void
rfc_3339_is_read_in_all_its_forms(void **state)
{
	static const struct { const char *text; int64_t ms; } rows[] = {
		{ "1970-01-01T00:00:00Z", 0 }, { "1970-01-01t00:00:00z", 0 }, { "1970-01-01 00:00:01.5Z", 1500 },
		{ "1970-01-01T00:00:00.0019999Z", 1 }, { "1970-01-01T00:00:00.123456789Z", 123 },
		{ "1970-01-01T00:00:00.12Z", 120 }, { "1970-01-01T02:30:00+02:30", 0 }, { "1969-12-31T16:00:00-08:00", 0 },
		{ "1970-01-01T00:00:00-00:00", 0 }, { "2016-12-31T23:59:60Z", INT64_C(1483228799999) },
		{ "2016-12-31T23:59:60.25Z", INT64_C(1483228799999) }, { "2024-02-29T12:00:00Z", INT64_C(1709208000000) },
		{ "9999-12-31T23:59:59.999Z", INT64_C(253402300799999) },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = -4711;

		if (!time_parse_rfc3339(slice_of(rows[i].text), &ms) || ms != rows[i].ms)
			fail_msg("%s: %lld", rows[i].text, (long long)ms);
	}
}

static void
what_is_not_quite_a_time_is_refused(void **state)
{
	static const char *const bad[] = {
		"", "2026", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2026-02-29T00:00:00Z", "2026-01-32T00:00:00Z", "2026-01-00T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z",
		"2026-01-01T00:00:61Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00.1234567890Z", "2026-01-01T00:00:00Zx",
		"2026-01-01T00:00:00+1:00", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00+01:60",
		"2026-01-01T00:00:00+01:00Z", "0000-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01_00:00:00Z",
		" 2026-01-01T00:00:00Z", "-026-01-01T00:00:00Z", "2026-01-01T00:00:00,5Z", "2026-01-01T00:00:00.5", "20x6-01-01T00:00:00Z",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		int64_t ms = 4711;

		if (time_parse_rfc3339(slice_of(bad[i]), &ms) || ms != 4711)
			fail_msg("%s", bad[i]);
	}
	for (size_t n = 0; n < 30; n++) {	/* every prefix, right up against the end of its memory */
		static const char whole[] = "2026-01-01T00:00:00.000+01:00";
		char *tight = malloc(n > 0 ? n : 1);
		int64_t ms;

		assert_non_null(tight);
		memcpy(tight, whole, n);
		assert_true(time_parse_rfc3339(slice_make(tight, n), &ms) == (n == 29));
		free(tight);
	}
}

static void
days_are_counted_from_1970(void **state)
{
	(void)state;
	assert_true(days_from_civil(1970, 1, 1) == 0);
	assert_true(days_from_civil(1969, 12, 31) == -1);
	assert_true(days_from_civil(2000, 3, 1) - days_from_civil(2000, 2, 28) == 2);
	assert_true(days_from_civil(1900, 3, 1) - days_from_civil(1900, 2, 28) == 1);
	assert_true(days_from_civil(1, 1, 1) == -719162);
}

static void
a_held_clock_moves_only_when_told(void **state)
{
	uint64_t mono, before = clock_mono_ms();

	(void)state;
	assert_false(clock_is_fake());
	assert_true(clock_wall_ms() > UINT64_C(1700000000000));
	assert_true(clock_mono_ms() >= before);
	clock_fake(1234567);
	assert_true(clock_is_fake());
	mono = clock_mono_ms();
	assert_int_equal(clock_wall_ms(), 1234567);
	clock_fake_advance(1000);
	assert_int_equal(clock_wall_ms(), 1235567);
	assert_int_equal(clock_mono_ms() - mono, 1000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_written_in_utc_with_milliseconds),
		cmocka_unit_test(what_was_written_is_read_as_the_same_time),
		cmocka_unit_test(rfc_3339_is_read_in_all_its_forms),
		cmocka_unit_test(what_is_not_quite_a_time_is_refused),
		cmocka_unit_test(days_are_counted_from_1970),
		cmocka_unit_test(a_held_clock_moves_only_when_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
