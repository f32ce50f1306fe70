/* test_base.c - errors, memory, slices and buffers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define COUNT(a)	(sizeof(a) / sizeof((a)[0]))

/* ---- err ---------------------------------------------------------------------------------- */

static void
an_error_keeps_its_kind_and_text_and_returns_minus_one(void **state)
{
	struct err err = { 0 };

	(void)state;
	assert_int_equal(err_set(&err, ERR_DATA, "byte %d of %s", 7, "x"), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(err.sys, 0);
	assert_string_equal(err.text, "byte 7 of x");
	assert_int_equal(err_set(NULL, ERR_DATA, "nobody asks"), -1);
	assert_int_equal(err_set_sys(NULL, ERR_DATA, "nobody asks"), -1);
	assert_string_equal(err_kind_name(ERR_DENIED), "denied");
	assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
}

static void
an_error_of_the_system_ends_in_its_reason(void **state)
{
	struct err err = { 0 };

	(void)state;
	errno = ENOSPC;
	assert_int_equal(err_set_sys(&err, ERR_FULL, "%s: cannot write", "/x"), -1);
	assert_int_equal(err.sys, ENOSPC);
	assert_string_equal(err.text, "/x: cannot write: No space left on device");
}

static void
an_error_may_quote_itself_and_is_cut_at_its_end(void **state)
{
	struct err err = { 0 };
	char longer[600];

	(void)state;
	err_set(&err, ERR_DATA, "inner");
	err_set(&err, ERR_CONFIG, "outer: %s", err.text);
	assert_string_equal(err.text, "outer: inner");
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	errno = EIO;
	err_set_sys(&err, ERR_AGAIN, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* ---- arena -------------------------------------------------------------------------------- */

static void
arena_bytes_are_aligned_apart_and_stay(void **state)
{
	struct arena a;
	unsigned char *p[200];

	(void)state;
	arena_init(&a, 512, 1 << 20);
	for (size_t i = 0; i < COUNT(p); i++) {
		p[i] = arena_alloc(&a, i + 1);
		assert_non_null(p[i]);
		assert_int_equal((uintptr_t)p[i] % 16, 0);
		memset(p[i], (int)i, i + 1);
	}
	for (size_t i = 0; i < COUNT(p); i++)
		for (size_t k = 0; k <= i; k++)
			assert_int_equal(p[i][k], i);
	arena_fini(&a);
	arena_fini(&a);
}

static void
an_arena_stops_at_its_limit_and_goes_on_after_a_reset(void **state)
{
	struct arena a;
	size_t got = 0;

	(void)state;
	arena_init(&a, 1000, 2500);		/* the last block is smaller than a block */
	while (arena_alloc(&a, 100) != NULL)
		got++;
	assert_in_range(got, 18, 22);
	while (arena_alloc(&a, 16) != NULL)
		got++;
	assert_true(a.total_bytes <= 2500);
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 15));
	assert_null(arena_zalloc(&a, 3000));
	assert_null(arena_dup(&a, slice_make("0123456789abcdef", 16)).p);
	assert_null(arena_cstr(&a, SLICE("0123456789abcdef")));
	arena_reset(&a);
	assert_non_null(arena_alloc(&a, 100));
	arena_fini(&a);
}

static void
a_reset_keeps_the_first_block_alone(void **state)
{
	struct arena a;
	void *first;

	(void)state;
	arena_init(&a, 256, 1 << 20);
	arena_reset(&a);			/* before anything was made */
	first = arena_alloc(&a, 16);
	for (int i = 0; i < 100; i++)
		assert_non_null(arena_alloc(&a, 64));
	arena_reset(&a);
	assert_int_equal(a.total_bytes, 256);
	assert_ptr_equal(arena_alloc(&a, 16), first);
	arena_fini(&a);
	assert_int_equal(a.total_bytes, 0);
}

static void
a_large_piece_does_not_cost_the_rest_of_the_block(void **state)
{
	struct arena a;
	char *small, *next;

	(void)state;
	arena_init(&a, 1024, 1 << 20);
	small = arena_alloc(&a, 16);
	assert_non_null(arena_alloc(&a, 5000));
	next = arena_alloc(&a, 16);
	assert_ptr_equal(next, small + 16);
	for (int i = 0; i < 100; i++)		/* new blocks behind it do not lose it */
		assert_non_null(arena_alloc(&a, 64));
	assert_true(a.total_bytes > 5000 + 6 * 1024);
	arena_reset(&a);
	assert_int_equal(a.total_bytes, 1024);
	arena_fini(&a);
}

static void
nothing_asked_of_an_arena_is_still_an_address(void **state)
{
	struct arena a;
	struct slice none;

	(void)state;
	arena_init(&a, 256, 1 << 20);
	assert_non_null(arena_alloc(&a, 0));
	none = arena_dup(&a, SLICE_NONE);
	assert_non_null(none.p);
	assert_int_equal(none.n, 0);
	assert_string_equal(arena_cstr(&a, SLICE_NONE), "");
	assert_string_equal(arena_cstr(&a, SLICE("abc")), "abc");
	assert_true(slice_eq(arena_dup(&a, SLICE("abc")), SLICE("abc")));
	for (char *z = arena_zalloc(&a, 64), *at = z; at < z + 64; at++)
		assert_int_equal(*at, 0);
	arena_fini(&a);
}

/* ---- slice -------------------------------------------------------------------------------- */

static void
slices_compare_without_case_and_only_in_ascii(void **state)
{
	(void)state;
	assert_true(slice_eq_nocase(SLICE("AbC-1"), SLICE("aBc-1")));
	assert_false(slice_eq_nocase(SLICE("abc"), SLICE("abcd")));
	assert_false(slice_eq_nocase(SLICE("@["), SLICE("`{")));	/* neighbours of the letters */
	assert_false(slice_eq_nocase(SLICE("\xc4"), SLICE("\xe4")));
	assert_true(slice_starts_nocase(SLICE("Bearer x"), SLICE("bearer ")));
	assert_false(slice_starts_nocase(SLICE("Be"), SLICE("bearer ")));
	assert_true(slice_ends_nocase(SLICE("x.NDJSON"), SLICE(".ndjson")));
	assert_false(slice_ends_nocase(SLICE("son"), SLICE(".ndjson")));
	assert_true(slice_eq(SLICE_NONE, slice_of("")));
	assert_int_equal(slice_find_nocase(SLICE("xxAbcabc"), SLICE("abC"), 0), 2);
	assert_int_equal(slice_find_nocase(SLICE("xxAbcabc"), SLICE("abC"), 3), 5);
	assert_int_equal(slice_find_nocase(SLICE("xxAbcab"), SLICE("abC"), 3), -1);
	assert_int_equal(slice_find_nocase(SLICE("ab"), SLICE("abc"), 0), -1);
	assert_int_equal(slice_find_nocase(SLICE("ab"), SLICE("a"), SIZE_MAX), -1);
	assert_int_equal(slice_find_nocase(SLICE("ab"), SLICE(""), 2), 2);
	assert_int_equal(slice_find_nocase(SLICE("ab"), SLICE(""), 3), -1);
	assert_true(slice_eq(slice_trim(SLICE(" \t\r\na b\n ")), SLICE("a b")));
	assert_int_equal(slice_trim(SLICE(" \n ")).n, 0);
}

static void
lines_are_taken_one_by_one_and_trimmed(void **state)
{
	static const char *const lines[] = { "a", "", "b c", "d" };
	struct slice rest = SLICE("a\r\n\n  b c \nd");

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_true(rest.n > 0);
		assert_true(slice_eq(slice_take_line(&rest), slice_of(lines[i])));
	}
	assert_int_equal(rest.n, 0);
	assert_int_equal(slice_take_line(&rest).n, 0);
	rest = SLICE_NONE;
	assert_int_equal(slice_take_line(&rest).n, 0);
}

static void
a_glob_matches_runs_and_single_bytes(void **state)
{
	static const struct { const char *pattern, *text; bool yes; } rows[] = {
		{ "", "", true }, { "", "a", false }, { "*", "", true }, { "**", "abc", true }, { "?", "", false },
		{ "a?c", "aBc", true }, { "a?c", "ac", false }, { "/Sub/1111/*", "/sub/1111/x/y", true },
		{ "/sub/1111/*", "/sub/2222/x", false }, { "*.log", "a.log.log", true }, { "*.log", "a.logs", false },
		{ "a*b*c", "a-b-b-c", true }, { "a*b*c", "a-c-b", false }, { "*ab", "aab", true }, { "abc*", "ab", false },
		{ "*a*", "bbb", false }, { "ab", "abc", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (slice_glob_nocase(slice_of(rows[i].pattern), slice_of(rows[i].text)) != rows[i].yes)
			fail_msg("%s on %s", rows[i].pattern, rows[i].text);
}

static void
a_hostile_glob_costs_only_pattern_times_text(void **state)
{
	static char text[20000], pattern[201];

	(void)state;
	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < 200; i += 2)
		memcpy(pattern + i, "a*", 2);
	pattern[200] = 'b';			/* hopeless, and a backtracker to every star would not live to see it */
	assert_false(slice_glob_nocase(slice_make(pattern, 201), slice_make(text, sizeof(text))));
}

static void
whole_numbers_are_read_to_their_limits_and_no_further(void **state)
{
	static const struct { const char *text; bool ok; int64_t v; } rows[] = {
		{ "0", true, 0 }, { "-0", true, 0 }, { "007", true, 7 }, { "9223372036854775807", true, INT64_MAX },
		{ "-9223372036854775808", true, INT64_MIN }, { "9223372036854775808", false, 0 },
		{ "-9223372036854775809", false, 0 }, { "99999999999999999999999", false, 0 }, { "", false, 0 },
		{ "-", false, 0 }, { "+1", false, 0 }, { " 1", false, 0 }, { "1 ", false, 0 }, { "1.0", false, 0 }, { "0x1", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t v = 4711;

		if (slice_to_i64(slice_of(rows[i].text), &v) != rows[i].ok || v != (rows[i].ok ? rows[i].v : 4711))
			fail_msg("%s", rows[i].text);
	}
}

static void
real_numbers_are_decimal_and_finite(void **state)
{
	static const char *const bad[] = { "", "inf", "nan", "0x1p3", "1e999", " 1", "1 ", "1,5", "e5", ".", "-", "1e", "--1",
	    "1111111111111111111111111111111111111111111111111111111111111111" };
	double v = 0;

	(void)state;
	assert_true(slice_to_double(SLICE("-1.25e2"), &v) && v == -125.0);
	assert_true(slice_to_double(slice_make("1.59", 3), &v) && v == 1.5);	/* never past the end */
	for (size_t i = 0; i < COUNT(bad); i++) {
		v = 4711;
		if (slice_to_double(slice_of(bad[i]), &v) || v != 4711)
			fail_msg("%s", bad[i]);
	}
}

static void
utf8_is_valid_up_to_the_first_wrong_byte(void **state)
{
	static const struct { const char *text; size_t n, good; } rows[] = {
		{ "plain ascii text", 16, 16 }, { "a\xc3\xa4z", 4, 4 }, { "\xe2\x82\xac", 3, 3 }, { "\xf0\x9f\x98\x80", 4, 4 },
		{ "12345678\xff", 9, 8 }, { "\xc0\x80", 2, 0 }, { "\xc1\xbf", 2, 0 }, { "\xe0\x9f\xbf", 3, 0 },
		{ "\xed\xa0\x80", 3, 0 }, { "\xed\x9f\xbf", 3, 3 }, { "\xf0\x8f\xbf\xbf", 4, 0 }, { "\xf4\x8f\xbf\xbf", 4, 4 },
		{ "\xf4\x90\x80\x80", 4, 0 }, { "\xf5\x80\x80\x80", 4, 0 }, { "x\xe2\x82", 3, 1 }, { "\x80", 1, 0 },
		{ "a\0b", 3, 3 }, { "\xf0\x9f\x98", 3, 0 }, { "\xc3(", 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (utf8_valid_prefix(slice_make(rows[i].text, rows[i].n)) != rows[i].good)
			fail_msg("row %zu", i);
	assert_int_equal(utf8_valid_prefix(SLICE_NONE), 0);
}

static void
a_text_is_cut_between_characters(void **state)
{
	(void)state;
	assert_int_equal(utf8_cut(SLICE("abc"), 5), 3);
	assert_int_equal(utf8_cut(SLICE("abc"), 2), 2);
	assert_int_equal(utf8_cut(SLICE("a\xe2\x82\xac" "b"), 4), 4);
	assert_int_equal(utf8_cut(SLICE("a\xe2\x82\xac" "b"), 3), 1);
	assert_int_equal(utf8_cut(SLICE("a\xe2\x82\xac" "b"), 2), 1);
	assert_int_equal(utf8_cut(SLICE("\xf0\x9f\x98\x80 "), 3), 0);
	assert_int_equal(utf8_cut(SLICE("\x80\x80\x80\x80\x80\x80\x80\x80"), 6), 6);
	assert_int_equal(utf8_cut(SLICE("abc"), 0), 0);
}

/* ---- buf ---------------------------------------------------------------------------------- */

static void
a_buffer_grows_and_what_lies_behind_it_is_zero(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	for (int i = 0; i < 5000; i++) {
		buf_putc(&b, (char)('a' + i % 26));
		if (i % 500 == 0)
			for (size_t k = b.n; k < b.cap + BUF_SLACK; k++)
				assert_int_equal(b.p[k], 0);
	}
	assert_int_equal(b.n, 5000);
	assert_int_equal(b.p[4999], 'a' + 4999 % 26);
	buf_consume(&b, 4990);
	assert_int_equal(b.n, 10);
	assert_int_equal(b.p[9], 'a' + 4999 % 26);
	buf_consume(&b, 100);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
	buf_fini(&b);
}

static void
a_full_buffer_fails_softly_and_keeps_what_it_has(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	buf_puts(&b, "0123456789");
	assert_false(b.failed);
	buf_putc(&b, 'x');
	assert_true(b.failed);
	assert_true(slice_eq(buf_slice(&b), SLICE("0123456789")));
	buf_reset(&b);
	buf_puts(&b, "12345678");
	buf_puts(&b, "abc");
	buf_puts(&b, "d");			/* would fit, but the text would have a hole */
	assert_true(b.failed);
	assert_true(slice_eq(buf_slice(&b), SLICE("12345678")));
	buf_reset(&b);
	assert_false(buf_reserve(&b, SIZE_MAX));
	buf_reset(&b);
	buf_printf(&b, "%s", "0123456789");
	assert_false(b.failed);
	assert_true(slice_eq(buf_slice(&b), SLICE("0123456789")));
	buf_reset(&b);
	buf_printf(&b, "%s", "0123456789a");
	assert_true(b.failed);
	assert_int_equal(b.n, 0);
	buf_fini(&b);
}

#define PUTS(call, want) do { \
	struct buf b_; \
	buf_init(&b_, 1 << 20); \
	call; \
	assert_false(b_.failed); \
	if (!slice_eq(buf_slice(&b_), slice_make("" want, sizeof(want) - 1))) \
		fail_msg("got %.*s, want %s", SLICE_ARG(buf_slice(&b_)), want); \
	buf_fini(&b_); \
} while (0)

static void
numbers_are_put_as_people_write_them(void **state)
{
	(void)state;
	PUTS(buf_put_u64(&b_, 0), "0");
	PUTS(buf_put_u64(&b_, 7), "7");
	PUTS(buf_put_u64(&b_, 10), "10");
	PUTS(buf_put_u64(&b_, 99), "99");
	PUTS(buf_put_u64(&b_, 100), "100");
	PUTS(buf_put_u64(&b_, 123456789), "123456789");
	PUTS(buf_put_u64(&b_, UINT64_MAX), "18446744073709551615");
	PUTS(buf_put_i64(&b_, -5), "-5");
	PUTS(buf_put_i64(&b_, INT64_MIN), "-9223372036854775808");
	PUTS(buf_put_i64(&b_, INT64_MAX), "9223372036854775807");
	PUTS(buf_put_double(&b_, 0), "0");
	PUTS(buf_put_double(&b_, -0.0), "-0");
	PUTS(buf_put_double(&b_, 0.1), "0.1");
	PUTS(buf_put_double(&b_, -12.5), "-12.5");
	PUTS(buf_put_double(&b_, 1.0 / 3), "0.3333333333333333");
	PUTS(buf_put_double(&b_, 123456), "123456");
	PUTS(buf_put_double(&b_, 0.05), "0.05");
	PUTS(buf_put_double(&b_, -99999999.000001), "-99999999.000001");
	PUTS(buf_put_double(&b_, 12.003456), "12.003456");
	PUTS(buf_put_double(&b_, 0.00001), "1e-05");
	PUTS(buf_put_double(&b_, 1e300), "1e+300");
	PUTS(buf_put_double(&b_, NAN), "null");
	PUTS(buf_put_double(&b_, -INFINITY), "null");
	for (uint64_t v = 1, i = 0; i < 20; i++, v *= 10) {
		char want[48];
		struct buf b;

		buf_init(&b, 100);
		buf_put_u64(&b, v - 1);
		buf_putc(&b, ' ');
		buf_put_u64(&b, v);
		snprintf(want, sizeof(want), "%llu %llu", (unsigned long long)(v - 1), (unsigned long long)v);
		if (!slice_eq(buf_slice(&b), slice_of(want)))
			fail_msg("got %.*s, want %s", SLICE_ARG(buf_slice(&b)), want);
		buf_fini(&b);
	}
}

static void
every_double_reads_back_as_itself(void **state)
{
	static const double some[] = { DBL_MIN, DBL_MAX, DBL_EPSILON, 5e-324, 1.1, 0.1 + 0.2, 1e15, 1e15 + 0.5, 9007199254740993.0, 123456.789e-7 };
	uint64_t bits = 88172645463325252;
	struct buf b;

	(void)state;
	setlocale(LC_ALL, "de_DE.UTF-8");	/* where there is one: a comma must not come out */
	buf_init(&b, 100);
	for (size_t i = 0; i < 6000 + COUNT(some); i++) {
		double v, back = 0;

		bits ^= bits << 13;
		bits ^= bits >> 7;
		bits ^= bits << 17;
		memcpy(&v, &bits, sizeof(v));
		if (i < COUNT(some))
			v = some[i];
		else if (i % 2)			/* such as people measure */
			v = (double)(int64_t)(bits % 2000000000) / (i % 4 == 1 ? 1e4 : 1e7) - 50;
		if (!isfinite(v))
			continue;
		buf_reset(&b);
		buf_put_double(&b, v);
		assert_true(slice_to_double(buf_slice(&b), &back));
		assert_memory_equal(&v, &back, sizeof(v));
	}
	buf_fini(&b);
	setlocale(LC_ALL, "C");
}

static void
json_text_is_escaped_by_the_book(void **state)
{
	(void)state;
	PUTS(buf_put_json(&b_, SLICE_NONE), "\"\"");
	PUTS(buf_put_json(&b_, SLICE("plain text, longer than eight </script>")), "\"plain text, longer than eight </script>\"");
	PUTS(buf_put_json(&b_, SLICE("a\"b\\c/d")), "\"a\\\"b\\\\c/d\"");
	PUTS(buf_put_json(&b_, SLICE("\n\r\t\b\f\v\0\x1f\x7f")), "\"\\n\\r\\t\\b\\f\\u000b\\u0000\\u001f\\u007f\"");
	PUTS(buf_put_json(&b_, SLICE("z\xc3\xa4hl \xe2\x82\xac \xf0\x9f\x98\x80")), "\"z\xc3\xa4hl \xe2\x82\xac \xf0\x9f\x98\x80\"");
}

static void
what_commands_a_terminal_or_turns_text_is_escaped(void **state)
{
	char text[] = "a\x1b[31m\xc2\x9b" "b\xe2\x80\xae" "c\xff" "d\xc3\xa9\r\n";
	struct err err;

	(void)state;
	utf8_make_plain(text, strlen(text));
	assert_string_equal(text, "a?[31m?" "?b?" "?" "?c?d\xc3\xa9?" "?");
	err_set(&err, ERR_DATA, "file %s", "x\n<3>forged\x1b[2J");
	assert_string_equal(err.text, "file x?<3>forged?[2J");
	PUTS(buf_put_json(&b_, SLICE("a\xc2\x9b" "31m\xc2\x85\xc2\xa0")), "\"a\\u009b31m\\u0085\xc2\xa0\"");
	PUTS(buf_put_json(&b_, SLICE("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xae\xe2\x80\xaf")), "\"\xe2\x80\xa7\\u2028\\u202e\xe2\x80\xaf\"");
	PUTS(buf_put_json(&b_, SLICE("\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90")), "\"\xe2\x80\x8d\\u200e\\u200f\xe2\x80\x90\"");
	PUTS(buf_put_json(&b_, SLICE("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa")), "\"\xe2\x81\xa5\\u2066\\u2069\xe2\x81\xaa\"");
}

static void
what_would_drive_a_terminal_becomes_marks_of_the_same_length(void **state)
{
	char text[] = "a\x1b[31m\n\x7f\xc2\x9b" "b\xe2\x80\xae\xe2\x81\xa6\xc3\xb6\xc2\xa0\xe2\x80";

	(void)state;
	utf8_make_plain(text, strlen(text));
	assert_string_equal(text, "a?[31m????b??????\xc3\xb6\xc2\xa0??");
	utf8_make_plain(NULL, 0);
}

#define R "\xef\xbf\xbd"
static void
each_broken_piece_of_utf8_becomes_one_mark(void **state)
{
	(void)state;
	PUTS(buf_put_json(&b_, SLICE("a\xff" "b")), "\"a" R "b\"");
	PUTS(buf_put_json(&b_, SLICE("\xe2\x82")), "\"" R "\"");		/* cut short: one piece */
	PUTS(buf_put_json(&b_, SLICE("\xe2\x82z")), "\"" R "z\"");
	PUTS(buf_put_json(&b_, SLICE("\xf0\x9f\x98\"")), "\"" R "\\\"\"");	/* the quote is not swallowed */
	PUTS(buf_put_json(&b_, SLICE("\xc0\xaf")), "\"" R R "\"");
	PUTS(buf_put_json(&b_, SLICE("\xed\xa0\x80")), "\"" R R R "\"");	/* a surrogate */
	PUTS(buf_put_json(&b_, SLICE("\xf4\x90\x80\x80")), "\"" R R R R "\"");
	/* the example of the Unicode standard, chapter 3.9 */
	PUTS(buf_put_json(&b_, SLICE("a\xf1\x80\x80\xe1\x80\xc2" "b\x80" "c\x80\xbf" "d")), "\"a" R R R "b" R "c" R R "d\"");
}

static void
escapes_are_seen_at_every_place_of_a_long_text(void **state)
{
	static const unsigned char odd[] = { '"', '\\', 0, 1, 0x1f, 0x7f, 0x80, 0xff, '\n' };
	char text[40], whole[64];
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (int c = 0; c < 256; c++)
		for (size_t at = 0; at < 20; at++) {
			bool dirty = c < 0x20 || c == '"' || c == '\\' || c >= 0x7f;

			memset(text, 'x', sizeof(text));
			text[at] = (char)c;
			buf_reset(&b);
			buf_put_json(&b, slice_make(text, sizeof(text)));
			whole[0] = whole[sizeof(text) + 1] = '"';
			memcpy(whole + 1, text, sizeof(text));
			if (slice_eq(buf_slice(&b), slice_make(whole, sizeof(text) + 2)) == dirty)
				fail_msg("byte %d at %zu", c, at);
		}
	for (size_t i = 0; i < COUNT(odd); i++) {	/* a borrow must not hide what stands behind */
		memset(text, 'x', sizeof(text));
		text[3] = (char)odd[i];
		text[4] = '"';
		buf_reset(&b);
		buf_put_json(&b, slice_make(text, sizeof(text)));
		assert_non_null(memmem(b.p, b.n, "\\\"", 2));
	}
	buf_fini(&b);
}

static void
hex_and_base64_follow_their_standards(void **state)
{
	(void)state;
	PUTS(buf_put_hex(&b_, "\x00\xff\x1a", 3), "00ff1a");
	PUTS(buf_put_base64(&b_, "", 0, false), "");
	PUTS(buf_put_base64(&b_, "f", 1, false), "Zg==");
	PUTS(buf_put_base64(&b_, "fo", 2, false), "Zm8=");
	PUTS(buf_put_base64(&b_, "foo", 3, false), "Zm9v");
	PUTS(buf_put_base64(&b_, "foob", 4, false), "Zm9vYg==");
	PUTS(buf_put_base64(&b_, "foobar", 6, false), "Zm9vYmFy");
	PUTS(buf_put_base64(&b_, "\xfb\xff", 2, false), "+/8=");
	PUTS(buf_put_base64(&b_, "\xfb\xff", 2, true), "-_8");
	PUTS(buf_printf(&b_, "%d-%s", 5, "x"), "5-x");
	PUTS(buf_printf(&b_, "%*s", 3000, "x"); b_.n -= 2999, " ");
	PUTS((void)buf_put_unbase64(&b_, SLICE("")), "");
	PUTS((void)buf_put_unbase64(&b_, SLICE("Zg==")), "f");
	PUTS((void)buf_put_unbase64(&b_, SLICE("Zg")), "f");
	PUTS((void)buf_put_unbase64(&b_, SLICE("Zm8=")), "fo");
	PUTS((void)buf_put_unbase64(&b_, SLICE("Zm9vYmFy")), "foobar");
	PUTS((void)buf_put_unbase64(&b_, SLICE("+/8=")), "\xfb\xff");
	PUTS((void)buf_put_unbase64(&b_, SLICE("-_8")), "\xfb\xff");
}

static void
what_is_no_base64_puts_nothing(void **state)
{
	static const char *const none[] = { "Z", "Zm9vZ", "Zg=", "Zg===", "=", "====", "Zm9v YmFy", "Zm9v\nYmFy", "Z*==", "Zm9v\x80" };
	struct buf b;

	(void)state;
	buf_init(&b, 64);
	buf_puts(&b, "x");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(buf_put_unbase64(&b, slice_of(none[i])));
		assert_int_equal(b.n, 1);
	}
	buf_fini(&b);
}

static void
little_endian_words_are_the_same_everywhere(void **state)
{
	unsigned char p[9] = { 0 };

	(void)state;
	put_le64(p + 1, UINT64_C(0x0102030405060708));
	assert_memory_equal(p, "\0\x08\x07\x06\x05\x04\x03\x02\x01", 9);
	assert_true(get_le64(p + 1) == UINT64_C(0x0102030405060708));
	assert_int_equal(get_le32(p + 1), 0x05060708);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_keeps_its_kind_and_text_and_returns_minus_one),
		cmocka_unit_test(an_error_of_the_system_ends_in_its_reason),
		cmocka_unit_test(an_error_may_quote_itself_and_is_cut_at_its_end),
		cmocka_unit_test(arena_bytes_are_aligned_apart_and_stay),
		cmocka_unit_test(an_arena_stops_at_its_limit_and_goes_on_after_a_reset),
		cmocka_unit_test(a_reset_keeps_the_first_block_alone),
		cmocka_unit_test(a_large_piece_does_not_cost_the_rest_of_the_block),
		cmocka_unit_test(nothing_asked_of_an_arena_is_still_an_address),
		cmocka_unit_test(slices_compare_without_case_and_only_in_ascii),
		cmocka_unit_test(lines_are_taken_one_by_one_and_trimmed),
		cmocka_unit_test(a_glob_matches_runs_and_single_bytes),
		cmocka_unit_test(a_hostile_glob_costs_only_pattern_times_text),
		cmocka_unit_test(whole_numbers_are_read_to_their_limits_and_no_further),
		cmocka_unit_test(real_numbers_are_decimal_and_finite),
		cmocka_unit_test(utf8_is_valid_up_to_the_first_wrong_byte),
		cmocka_unit_test(a_text_is_cut_between_characters),
		cmocka_unit_test(a_buffer_grows_and_what_lies_behind_it_is_zero),
		cmocka_unit_test(a_full_buffer_fails_softly_and_keeps_what_it_has),
		cmocka_unit_test(numbers_are_put_as_people_write_them),
		cmocka_unit_test(every_double_reads_back_as_itself),
		cmocka_unit_test(json_text_is_escaped_by_the_book),
		cmocka_unit_test(what_commands_a_terminal_or_turns_text_is_escaped),
		cmocka_unit_test(what_would_drive_a_terminal_becomes_marks_of_the_same_length),
		cmocka_unit_test(each_broken_piece_of_utf8_becomes_one_mark),
		cmocka_unit_test(escapes_are_seen_at_every_place_of_a_long_text),
		cmocka_unit_test(hex_and_base64_follow_their_standards),
		cmocka_unit_test(what_is_no_base64_puts_nothing),
		cmocka_unit_test(little_endian_words_are_the_same_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
