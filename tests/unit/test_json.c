/* test_json.c - reading, unescaping and writing JSON; the same tests for both libraries. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "tests/unit/json_judge.h"

static struct json_reader *reader;
static struct json_doc doc;
static struct buf out, in;
static struct err err;

static int
set_up(void **state)
{
	(void)state;
	reader = json_reader_new();
	json_doc_init(&doc, 1u << 20);
	buf_init(&out, (size_t)64 << 20);
	buf_init(&in, (size_t)64 << 20);
	return reader == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	json_reader_free(reader);
	json_doc_fini(&doc);
	buf_fini(&out);
	buf_fini(&in);
	return 0;
}

static bool
exact(void)	/* the library gives the texts as they stand */
{
	return strncmp(json_library(), "simdjson", 8) == 0;
}

static int64_t
read_slice(struct slice s)
{
	json_reset(reader, &doc);
	buf_reset(&in);
	buf_put_slice(&in, s);
	assert_true(buf_reserve(&in, 1));
	err = (struct err){ .kind = ERR_NONE };
	return json_read(reader, buf_slice(&in), true, &doc, &err);
}

static int64_t
read_text(const char *s)
{
	return read_slice(slice_of(s));
}

/* The doc written again. */
static const char *
written(void)
{
	buf_reset(&out);
	json_write(&doc, 0, &out);
	buf_putc(&out, '\0');
	assert_false(out.failed);
	return out.p;
}

static const char *
unescaped(uint32_t i)
{
	buf_reset(&out);
	json_unescape(&doc.v[i], &out);
	buf_putc(&out, '\0');
	return out.p;
}

static void
assert_raw(uint32_t i, const char *want)
{
	assert_int_equal(doc.v[i].n, strlen(want));
	assert_memory_equal(doc.v[i].p, want, strlen(want));
}

static void
values_stand_in_document_order_and_next_skips_a_subtree(void **state)
{
	static const uint8_t types[] = { JSON_OBJECT, JSON_STRING, JSON_ARRAY, JSON_TRUE, JSON_OBJECT, JSON_NULL, JSON_STRING,
	    JSON_OBJECT, JSON_STRING, JSON_FALSE, JSON_STRING, JSON_NUMBER };
	static const uint32_t next[] = { 12, 2, 6, 4, 5, 6, 7, 10, 9, 10, 11, 12 };

	(void)state;
	assert_int_equal(read_text("{\"a\":[true,{},null],\"b\":{\"c\":false},\"\":-12}"), 0);
	assert_int_equal(doc.n, 12);
	for (uint32_t i = 0; i < doc.n; i++) {
		assert_int_equal(doc.v[i].type, types[i]);
		assert_int_equal(doc.v[i].next, next[i]);
	}
	assert_raw(0, "{\"a\":[true,{},null],\"b\":{\"c\":false},\"\":-12}");
	assert_raw(2, "[true,{},null]");
	assert_raw(4, "{}");
	assert_raw(7, "{\"c\":false}");
	assert_raw(10, "");
	assert_raw(11, "-12");
}

static void
blanks_between_tokens_change_nothing(void **state)
{
	(void)state;
	assert_int_equal(read_text(" \t\r\n{ \"a b\" : [ 1 , \"x \"  ,\n{ } ] \r\n, \"c\"\t:\tnull } \n "), 0);
	assert_string_equal(written(), "{\"a b\":[1,\"x \",{}],\"c\":null}");
	assert_raw(1, "a b");
	assert_raw(4, "x ");
	if (exact())
		assert_raw(5, "{ }");
}

static void
a_text_behind_another_in_the_same_doc_has_indexes_of_its_own(void **state)
{
	static const char two[] = "{\"k\":[2]}";

	(void)state;
	assert_int_equal(read_text("[1]"), 0);
	assert_int_equal(json_read(reader, slice_of(two), false, &doc, &err), 2);
	assert_int_equal(doc.v[2].next, 6);
	assert_int_equal(doc.v[4].next, 6);
	assert_int_equal(json_get(&doc, 2, "k"), 4);
	assert_string_equal(written(), "[1]");
}

static void
numbers_keep_their_own_text(void **state)
{
	static const char *const numbers[] = { "0", "-0", "1e999", "-1E-999", "1234567890123456789012345678901234567890",
	    "0.1000", "18446744073709551616", "1E+2", "123e65", "0e0", "-0.0" };
	char text[128];

	(void)state;
	for (size_t i = 0; exact() && i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		assert_int_equal(read_text(numbers[i]), 0);
		assert_raw(0, numbers[i]);
		snprintf(text, sizeof(text), "{\"n\":%s , \"l\":[%s]}", numbers[i], numbers[i]);
		assert_int_equal(read_text(text), 0);
		assert_raw(2, numbers[i]);
		assert_raw(5, numbers[i]);
	}
	assert_int_equal(read_text("[9223372036854775807,-9223372036854775808,1.5]"), 0);
	assert_raw(1, "9223372036854775807");
	assert_raw(2, "-9223372036854775808");
	assert_raw(3, "1.5");
}

static const char *const good[] = {
	"{}", "[]", "null", "true", "false", "\"\"", "1", "-1", " 1 ", "[[]   ]", "[\"\"]", "{\"\":0}", "{\"a\":\"b\",\"a\":\"b\"}",
	"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]", "[\"\\u0060\\u012a\\u12AB\"]", "[\"\\uD801\\udc37\"]", "[\"\\\\u0000\"]",
	"[\"\\u0012\"]", "[\"\\uFFFF\"]", "[\"a/*b*/c\"]", "[\"new\\u000Aline\"]", "[\"\x7f\"]", "\"\\ud800\"", "\"\\udc00x\"",
	"[\"\\ud800\\ud800\\n\"]", "[\"\\uDd1ea\"]", "[1,null,2]", "[-123]", "[1E22]", "[1e+2]", "[0.4e-1]", "{\"\\u0061\\\"\":1}",
	"[\"\xe2\x82\xac\xf0\x9d\x84\x9e\xc3\xbf\"]", "[\"\xe2\x80\xa8\xe2\x80\xa9\xf4\x8f\xbf\xbf\"]", "\t[1]\r\n",
	"{\"a\":{\"b\":{\"c\":[[[{}]]]}}}", "\"{[}],:\"", "[\"\\\\\\\\\",\"\\\\\"]", "[\"\\\\\\\"\"]", "\"}\"",
};

static void
every_right_text_is_read_and_survives_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		char *first;

		if (read_text(good[i]) != 0)
			fail_msg("refused: %s: %s", good[i], err.text);
		first = strdup(written());
		assert_non_null(first);
		assert_int_equal(read_text(first), 0);
		assert_string_equal(written(), first);
		free(first);
	}
}

static const struct slice bad[] = {
#define B(s)	{ s, sizeof(s) - 1 }
	B(""), B(" "), B("\n\t "), B("["), B("]"), B("{"), B("}"), B("\""), B("[\""), B("{\"a\""), B("{\"a\":"), B("{\"a\":1"), B("{\"a\":1,"),
	B("{\"a\":1,}"), B("[1,]"), B("[,1]"), B("[1,,2]"), B("[,]"), B("{,}"), B("[1 2]"), B("[1:2]"), B("{\"a\",1}"), B("{\"a\" 1}"),
	B("{\"a\"::1}"), B("{1:1}"), B("{a:1}"), B("{'a':1}"), B("['a']"), B("{null:1}"), B("{[]:1}"), B("[}"), B("{]"), B("[1}"),
	B("{\"a\":1]"), B("[]]"), B("{}}"), B("1 2"), B("{}{}"), B("[][]"), B("{},"), B("[],"), B(",[]"), B("\"a\"b"), B("\"a\"\"b\""), B("[\"a\"b]"),
	B("[\"a\" \"b\"]"), B("tru"), B("[tru]"), B("truee"), B("[true1]"), B("[nul]"), B("nulll"), B("fals"), B("[False]"), B("TRUE"), B("[NaN]"), B("NaN"),
	B("Infinity"), B("-Infinity"), B("[-Infinity]"), B("[nan]"), B("+1"), B("[+1]"), B(".5"), B("[.5]"), B("-.5"), B("1."), B("[1.]"), B("01"), B("[01]"),
	B("-01"), B("[-]"), B("-"), B("[1e]"), B("[1e+]"), B("[1.e1]"), B("[1eE2]"), B("0x1"), B("[0x1]"), B("[1+2]"), B("[1-]"), B("[--1]"), B("[- 1]"),
	B("[1 000]"), B("[1a]"), B("1a"), B("[1\"a\"]"), B("[true\"a\"]"), B("[0.1.2]"), B("[0e]"), B("[2.e+3]"), B("[\xef\xbc\x91]"), B("undefined"),
	B("[\"\\x\"]"), B("[\"\\u12\"]"), B("[\"\\u12G4\"]"), B("[\"\\U0041\"]"), B("[\"\\a\"]"), B("[\"\\\x01\"]"), B("[\"\\'\"]"), B("\"\\"), B("\"\\\""),
	B("[\"\\\"]"), B("[\"\\ud800\\\"]"), B("[\"\\ud800\\u\"]"), B("[\"\\ud800\\u1\"]"), B("[\"\\ud800\\u1x\"]"), B("[\"a\nb\"]"), B("[\"a\tb\"]"),
	B("[\"a\0b\"]"), B("[\0]"), B("1\0"), B("\0"), B("[\x0c]"), B("[\x1a]"), B("[1\x0c" "2]"), B("{\"a\"\x1a" "1}"), B("[\x0b" "1]"), B("[\xc2\xa0" "1]"),
	B("[1]\xe2\x80\x8b"), B("/**/1"), B("[1/*x*/]"), B("1//x"), B("#1"), B("<null>"), B("*"), B("\\u005b]"), B("[\\n]"), B("{\"a\\\":1}"), B("\\"), B("[1]\\"),
	B("{\"a\":1,\\\"b\":2}"), B("\xef\xbb\xbf"), B("\xef\xbb\xbf\xef\xbb\xbf[]"), B("\xef\xbb"), B("\xff"), B("[\xff]"), B("\xfe\xff\0["), B("[\"\xff]"),
	B("{\"a\":\"b\"}#"), B("{\"a\" b}"), B("{\"a\":\"a\" 123}"), B("{\"a\":/*c*/\"b\"}"), B("[[],"), B("[1,\n1\n,1"), B("{\"a\":true} \"x"), B("``"), B("[;]"), B("::"),
#undef B
};

static void
every_wrong_text_is_refused_and_leaves_the_doc_alone(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (read_slice(bad[i]) != -1)
			fail_msg("taken: %.*s", SLICE_ARG(bad[i]));
		assert_int_equal(err.kind, ERR_DATA);
		assert_int_equal(strncmp(err.text, "not JSON at byte ", 17), 0);
		assert_int_equal(doc.n, 0);
	}
	assert_int_equal(read_text("[7]"), 0);
	assert_int_equal(json_read(reader, SLICE("{\"a\":[1,2,3,}"), false, &doc, &err), -1);
	assert_int_equal(doc.n, 2);
	assert_string_equal(written(), "[7]");
}

static void
the_fault_is_named_by_its_byte_and_never_by_its_content(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"k\":SECRET}"), -1);
	assert_non_null(strstr(err.text, "at byte 5:"));
	assert_null(strstr(err.text, "SECRET"));
	assert_int_equal(read_text("\xef\xbb\xbf[\"SECRET\\q\"]"), -1);
	if (exact())
		assert_non_null(strstr(err.text, "at byte 11:"));
	assert_null(strstr(err.text, "SECRET"));
	assert_int_equal(read_text("[\"a\",\"b\nc\"]"), -1);
	assert_non_null(strstr(err.text, "control character"));
	assert_int_equal(read_text("[\"a\",\"b]"), -1);
	assert_non_null(strstr(err.text, "at byte 5: string without an end"));
}

/* n opening brackets and as many closing ones. */
static struct slice
nested(size_t n, const char *open, const char *core, const char *close)
{
	buf_reset(&out);
	for (size_t i = 0; i < n; i++)
		buf_puts(&out, open);
	buf_puts(&out, core);
	for (size_t i = 0; i < n; i++)
		buf_puts(&out, close);
	return buf_slice(&out);
}

static void
nesting_is_taken_to_the_limit_and_no_further(void **state)
{
	(void)state;
	assert_int_equal(read_slice(nested(JSON_MAX_DEPTH, "[", "", "]")), 0);
	assert_int_equal(doc.n, JSON_MAX_DEPTH);
	assert_int_equal(strlen(written()), 2 * JSON_MAX_DEPTH);
	assert_int_equal(read_slice(nested(JSON_MAX_DEPTH, "{\"a\":", "1", "}")), 0);
	assert_int_equal(read_slice(nested(JSON_MAX_DEPTH - 1, "[{\"a\":", "1", "}]")), -1);
	assert_int_equal(read_slice(nested(JSON_MAX_DEPTH + 1, "[", "", "]")), -1);
	assert_non_null(strstr(err.text, "too deep"));
	assert_int_equal(read_slice(nested(1000000, "[", "", "")), -1);
	assert_int_equal(read_slice(nested(500000, "[{\"\":", "", "")), -1);
}

static void
more_values_than_allowed_are_refused(void **state)
{
	struct json_doc small;

	(void)state;
	json_doc_init(&small, 4);
	assert_int_equal(json_read(reader, SLICE("[1,2,3]"), false, &small, &err), 0);
	json_reset(reader, &small);
	assert_int_equal(json_read(reader, SLICE("[1,2,3,4]"), false, &small, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_non_null(strstr(err.text, "too many values"));
	assert_int_equal(small.n, 0);
	assert_int_equal(json_read(reader, SLICE("{\"a\":{}}"), false, &small, &err), 0);
	assert_int_equal(json_read(reader, SLICE("[1]"), false, &small, &err), -1);
	assert_int_equal(small.n, 3);
	json_doc_fini(&small);
}

static const char sample[] =
    "{\"time\":\"2026-03-01T10:20:30Z\",\"p\":{\"t\":\"say \\\"hi\\\" \\u20ac \\ud83d\\ude00\",\"n\":[-1.5e3,0,10],\"e\":{},\"l\":[]},"
    "\"b\":[true,false,null],\"\\u006bey\":\"\xc3\xa9\"}";

static void
a_text_cut_at_any_byte_is_refused(void **state)
{
	(void)state;
	assert_int_equal(read_text(sample), 0);
	for (size_t n = 0; n < sizeof(sample) - 1; n++) {
		char *cut = malloc(n > 0 ? n : 1);	/* its own size: reading past it shows under sanitizers */

		assert_non_null(cut);
		memcpy(cut, sample, n);
		json_reset(reader, &doc);
		if (json_read(reader, slice_make(cut, n), false, &doc, &err) != -1)
			fail_msg("taken, cut at %zu", n);
		free(cut);
	}
}

/* ---- a second opinion ----------------------------------------------------------- */

static uint32_t dice = 1;

static uint32_t
throw_dice(uint32_t below)
{
	dice = dice * 1664525u + 1013904223u;
	return (dice >> 8) % below;
}

static void
mutate(struct buf *b)
{
	static const char pieces[] = "{}[]:,\"\\ \n0123456789-+.eEtruefalsn\x01\xff\xc3/u";
	size_t at = throw_dice((uint32_t)b->n);

	switch (throw_dice(4)) {
	case 0:
		b->p[at] = pieces[throw_dice(sizeof(pieces) - 1)];
		break;
	case 1:
		memmove(b->p + at, b->p + at + 1, b->n - at - 1);
		b->n--;
		break;
	case 2:
		assert_true(buf_reserve(b, 1));
		memmove(b->p + at + 1, b->p + at, b->n - at);
		b->p[at] = pieces[throw_dice(sizeof(pieces) - 1)];
		b->n++;
		break;
	default:
		b->p[at] = b->p[throw_dice((uint32_t)b->n)];
		break;
	}
}

static void
a_second_reader_agrees_on_every_mutated_text(void **state)
{
	size_t taken = 0;

	(void)state;
	for (int i = 0; i < 40000; i++) {
		struct buf text;
		bool want;

		buf_init(&text, 4096);
		if (i % 2 == 0)
			buf_put(&text, sample, sizeof(sample) - 1);
		else
			buf_puts(&text, good[throw_dice(sizeof(good) / sizeof(good[0]))]);
		for (uint32_t k = throw_dice(3) + (i % 2 == 0); k > 0 && text.n > 1; k--)
			mutate(&text);
		want = json_judge(buf_slice(&text));
		if ((read_slice(buf_slice(&text)) == 0) != want)
			fail_msg("%s: %.*s (%s)", want ? "refused" : "taken", SLICE_ARG(buf_slice(&text)), err.text);
		taken += want;
		buf_fini(&text);
	}
	assert_true(taken > 4000);
}

/* ---- characters --------------------------------------------------------------------- */

static void
a_byte_order_mark_in_front_is_skipped(void **state)
{
	(void)state;
	assert_int_equal(read_text("\xef\xbb\xbf {\"a\":\"\xef\xbb\xbf\"}"), 0);
	assert_string_equal(unescaped(2), "\xef\xbb\xbf");
}

static void
broken_utf8_becomes_replacement_characters(void **state)
{
	static const char *const pairs[][2] = {
		{ "\"a\xff" "b\"", "a\xef\xbf\xbd" "b" },
		{ "\"\xe2\x82\"", "\xef\xbf\xbd" },				/* cut short: one */
		{ "\"\xf0\x9f\x98" "x\"", "\xef\xbf\xbdx" },
		{ "\"\xc3\"", "\xef\xbf\xbd" },
		{ "\"\xed\xa0\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },	/* a surrogate: no part of it is right */
		{ "\"\xc0\xaf\"", "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\xf4\x90\x80\x80\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\"\xe0\x9f\x80\xe2\x82\xac\"", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xe2\x82\xac" },
		{ "\"\x80\\n\xfe\"", "\xef\xbf\xbd\n\xef\xbf\xbd" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(read_text(pairs[i][0]), 0);
		assert_string_equal(unescaped(0), pairs[i][1]);
	}
	assert_int_equal(read_text("{\"k\xff\":1,\"l\":[\"\xff\"]}"), 0);
	assert_string_equal(written(), "{\"k\xef\xbf\xbd\":1,\"l\":[\"\xef\xbf\xbd\"]}");
}

static void
escapes_become_characters(void **state)
{
	static const char *const pairs[][2] = {
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u0041\\u00e9\\u20AC\\ud83d\\uDE00\"", "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"\\ud800\"", "\xef\xbf\xbd" },
		{ "\"\\udc00a\"", "\xef\xbf\xbd" "a" },
		{ "\"\\ud800\\u0041\"", "\xef\xbf\xbd" "A" },
		{ "\"\\ud800\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80" },
		{ "\"\\ud83d\\n\"", "\xef\xbf\xbd\n" },
		{ "\"\\udbff\\udfff\"", "\xf4\x8f\xbf\xbf" },
		{ "\"x\\\\u0041\"", "x\\u0041" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_int_equal(read_text(pairs[i][0]), 0);
		assert_string_equal(unescaped(0), pairs[i][1]);
		assert_true(strlen(pairs[i][1]) <= doc.v[0].n || !exact());
	}
	assert_int_equal(read_text("\"a\\u0000b\""), 0);
	buf_reset(&out);
	json_unescape(&doc.v[0], &out);
	assert_int_equal(out.n, 3);
	assert_memory_equal(out.p, "a\0b", 3);
}

static void
only_strings_with_a_backslash_are_marked_escaped(void **state)
{
	static const uint8_t want[] = { 0, 0, 1, 0, 0, 1, 1, 0 };

	(void)state;
	assert_int_equal(read_text("[\"a\",\"\\n\",\"b\",\"\",\"\\\\\",\"x\\ty\\t\",\"c\"]"), 0);
	assert_int_equal(doc.n, 8);
	for (uint32_t i = 0; i < doc.n; i++)
		assert_int_equal(doc.v[i].escaped, want[i]);
}

static void
writing_is_compact_and_escapes_only_what_it_must(void **state)
{
	(void)state;
	assert_int_equal(read_text("{ \"\\u0061\" : \"\\u20ac\\u0022\\u005c\\u001f\\/\\n\\ud800\" , \"b\" : [ ] }"), 0);
	if (exact())
		assert_string_equal(written(), "{\"a\":\"\xe2\x82\xac\\u0022\\u005c\\u001f/\\n\xef\xbf\xbd\",\"b\":[]}");
	else
		assert_string_equal(written(), "{\"a\":\"\xe2\x82\xac\\\"\\\\\\u001f/\\n\xef\xbf\xbd\",\"b\":[]}");
	assert_int_equal(read_text("[[],[[]],[1,[2,{}],{\"a\":{\"b\":[]},\"c\":[{}]}],\"\"]"), 0);
	assert_string_equal(written(), "[[],[[]],[1,[2,{}],{\"a\":{\"b\":[]},\"c\":[{}]}],\"\"]");
	buf_reset(&out);
	json_write(&doc, 4, &out);	/* a part of it */
	assert_int_equal(out.n, strlen("[1,[2,{}],{\"a\":{\"b\":[]},\"c\":[{}]}]"));
}

static void
writing_into_too_little_room_fails_softly(void **state)
{
	struct buf small;

	(void)state;
	assert_int_equal(read_text(sample), 0);
	for (size_t n = 0; n < 64; n++) {
		buf_init(&small, n);
		json_write(&doc, 0, &small);
		assert_true(small.failed);
		assert_true(small.n <= n);
		buf_fini(&small);
	}
}

/* ---- memory and lookups ---------------------------------------------------------------- */

static void
values_of_an_unpadded_text_outlive_it(void **state)
{
	char *text = strdup("{\"a\":\"one\",\"b\":[10]}");

	(void)state;
	assert_non_null(text);
	json_reset(reader, &doc);
	assert_int_equal(json_read(reader, slice_of(text), false, &doc, &err), 0);
	memset(text, 'x', strlen(text));
	free(text);
	assert_string_equal(written(), "{\"a\":\"one\",\"b\":[10]}");
}

static void
a_text_far_larger_than_the_last_is_read_too(void **state)
{
	(void)state;
	buf_reset(&out);
	buf_putc(&out, '[');
	for (int i = 0; i < 200000; i++)
		buf_puts(&out, i == 0 ? "\"abcdefghijklmnopqrstuvwxyz\"" : ",\"abcdefghijklmnopqrstuvwxyz\"");
	buf_putc(&out, ']');
	assert_int_equal(read_slice(buf_slice(&out)), 0);
	assert_int_equal(doc.n, 200001);
	json_reset(reader, &doc);	/* lets the large memory go, and works on */
	assert_int_equal(doc.n, 0);
	assert_int_equal(read_text(sample), 0);
}

static void
a_member_is_found_by_its_key_and_the_first_one_counts(void **state)
{
	(void)state;
	assert_int_equal(read_text("{\"b\":{\"a\":0},\"\\u0061\":1,\"a\":2,\"A\":3,\"\":4}"), 0);
	if (exact())
		assert_raw(json_get(&doc, 0, "a"), "1");
	assert_raw(json_get(&doc, 0, "A"), "3");
	assert_raw(json_get(&doc, 0, ""), "4");
	assert_int_equal(json_get(&doc, 0, "c"), 0);
	assert_int_equal(json_get(&doc, json_get(&doc, 0, "A"), "a"), 0);
	assert_int_equal(read_text("[\"a\",1]"), 0);
	assert_int_equal(json_get(&doc, 0, "a"), 0);
}

static void
small_answers_come_as_text_and_number(void **state)
{
	int64_t n = 42;

	(void)state;
	assert_int_equal(read_text("{\"t\":\"a\\nb\",\"n\":-7,\"s\":\"3599\",\"r\":1.5,\"x\":\"1x\",\"z\":null}"), 0);
	buf_reset(&out);
	assert_true(json_get_text(&doc, 0, "t", &out));
	assert_int_equal(out.n, 3);
	assert_memory_equal(out.p, "a\nb", 3);
	assert_false(json_get_text(&doc, 0, "n", &out));
	assert_false(json_get_text(&doc, 0, "none", &out));
	assert_false(json_get_i64(&doc, 0, "r", &n));
	assert_false(json_get_i64(&doc, 0, "x", &n));
	assert_false(json_get_i64(&doc, 0, "z", &n));
	assert_int_equal(n, 42);
	assert_true(json_get_i64(&doc, 0, "s", &n));
	assert_int_equal(n, 3599);
	assert_true(json_get_i64(&doc, 0, "n", &n));
	assert_int_equal(n, -7);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(values_stand_in_document_order_and_next_skips_a_subtree),
		T(blanks_between_tokens_change_nothing),
		T(a_text_behind_another_in_the_same_doc_has_indexes_of_its_own),
		T(numbers_keep_their_own_text),
		T(every_right_text_is_read_and_survives_writing),
		T(every_wrong_text_is_refused_and_leaves_the_doc_alone),
		T(the_fault_is_named_by_its_byte_and_never_by_its_content),
		T(nesting_is_taken_to_the_limit_and_no_further),
		T(more_values_than_allowed_are_refused),
		T(a_text_cut_at_any_byte_is_refused),
		T(a_second_reader_agrees_on_every_mutated_text),
		T(a_byte_order_mark_in_front_is_skipped),
		T(broken_utf8_becomes_replacement_characters),
		T(escapes_become_characters),
		T(only_strings_with_a_backslash_are_marked_escaped),
		T(writing_is_compact_and_escapes_only_what_it_must),
		T(writing_into_too_little_room_fails_softly),
		T(values_of_an_unpadded_text_outlive_it),
		T(a_text_far_larger_than_the_last_is_read_too),
		T(a_member_is_found_by_its_key_and_the_first_one_counts),
		T(small_answers_come_as_text_and_number),
	};
#undef T
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
