/* test_encode.c - an event in each encoding: every column by its type, and what is too long or broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/event.h"
#include "sinks/encode/encode.h"

static struct buf out, text;
static struct json_reader *reader;
static struct json_doc doc;
static struct event e;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&out, (size_t)64 << 20);
	buf_init(&text, (size_t)64 << 20);
	json_doc_init(&doc, 1u << 20);
	reader = json_reader_new();
	event_init(&e);
	return reader == NULL;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_fini(&out);
	buf_fini(&text);
	json_doc_fini(&doc);
	json_reader_free(reader);
	return 0;
}

/* The row of e as text. */
static const char *
row(void)
{
	buf_reset(&out);
	assert_int_equal(encoder_json.encode(&e, &out, NULL), 0);
	buf_putc(&out, '\0');
	out.n--;
	return out.p;
}

/* The row of e read again: the member of this name, unescaped. */
static struct slice
column(const char *name)
{
	struct err err;
	uint32_t i;

	row();
	json_reset(reader, &doc);
	if (json_read(reader, buf_slice(&out), false, &doc, &err) != 0)
		fail_msg("%s", err.text);
	i = json_get(&doc, 0, name);
	buf_reset(&text);
	if (i == 0)
		return SLICE_NONE;
	if (doc.v[i].type != JSON_STRING)
		return json_raw(&doc.v[i]);
	json_unescape(&doc.v[i], &text);
	return buf_slice(&text);
}

static void
assert_column(const char *name, struct slice want)
{
	struct slice got = column(name);

	if (!slice_eq(got, want))
		fail_msg("%s is \"%.*s\" (%zu bytes), not \"%.*s\" (%zu)", name, SLICE_ARG(got), got.n, SLICE_ARG(want), want.n);
}

/* n times `piece`, in fresh memory of exactly that size. */
static struct slice
many(const char *piece, size_t n)
{
	size_t len = strlen(piece);
	char *p = malloc(n * len);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		memcpy(p + i * len, piece, len);
	return slice_make(p, n * len);
}

static void
let_go(struct slice s)
{
	free((void *)(uintptr_t)s.p);
}

static void
a_row_holds_what_is_present_in_the_order_of_the_table(void **state)
{
	(void)state;
	assert_string_equal(row(), "{}");
	event_set_text(&e, F_AdditionalFields, SLICE("{\"a\":[1,null]}"));
	event_set_real(&e, F_DetectorScore, 0.75);
	event_set_number(&e, F_PromptTokens, 812);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_number(&e, F_EventCount, 1);
	event_set_number(&e, F_TimeGenerated, INT64_C(1772360430123));
	assert_string_equal(row(), "{\"TimeGenerated\":\"2026-03-01T10:20:30.123Z\",\"EventCount\":1,\"EventClass\":\"activity\","
	    "\"PromptTokens\":812,\"DetectorScore\":0.75,\"AdditionalFields\":{\"a\":[1,null]}}");
	event_unset(&e, F_TimeGenerated);
	event_unset(&e, F_EventCount);
	assert_string_equal(row(), "{\"EventClass\":\"activity\",\"PromptTokens\":812,\"DetectorScore\":0.75,"
	    "\"AdditionalFields\":{\"a\":[1,null]}}");
}

static void
every_column_has_its_name_and_type_in_the_row(void **state)
{
	uint32_t i = 1;

	(void)state;
	for (int f = 0; f < FIELD_COUNT; f++)
		switch (field_rows[f].type) {
		case FIELD_TEXT: event_set_text(&e, (enum field)f, slice_of(field_rows[f].name)); break;
		case FIELD_JSON: event_set_text(&e, (enum field)f, SLICE("{}")); break;
		case FIELD_REAL: event_set_real(&e, (enum field)f, 0.5); break;
		default: event_set_number(&e, (enum field)f, f); break;
		}
	column("EventId");
	for (int f = 0; f < FIELD_COUNT; f++, i = doc.v[i + 1].next) {
		static const uint8_t types[] = { [FIELD_TEXT] = JSON_STRING, [FIELD_TIME] = JSON_STRING, [FIELD_INT] = JSON_NUMBER,
		    [FIELD_LONG] = JSON_NUMBER, [FIELD_REAL] = JSON_NUMBER, [FIELD_JSON] = JSON_OBJECT };

		assert_true(slice_eq(json_raw(&doc.v[i]), slice_of(field_rows[f].name)));
		assert_int_equal(doc.v[i + 1].type, types[field_rows[f].type]);
		if (field_rows[f].type == FIELD_TEXT)
			assert_true(slice_eq(json_raw(&doc.v[i + 1]), slice_of(field_rows[f].name)));
	}
	assert_int_equal(i, doc.n);
}

static void
numbers_are_exact_and_within_their_columns(void **state)
{
	(void)state;
	event_set_number(&e, F_PromptTokens, INT64_MAX);
	assert_column("PromptTokens", SLICE("9223372036854775807"));
	event_set_number(&e, F_PromptTokens, INT64_MIN);
	assert_column("PromptTokens", SLICE("-9223372036854775808"));
	event_set_number(&e, F_PromptTokens, INT64_C(9007199254740993));	/* 2^53 + 1 */
	assert_column("PromptTokens", SLICE("9007199254740993"));
	event_set_number(&e, F_EventCount, INT64_C(5000000000));	/* an int column has 32 bits */
	assert_column("EventCount", SLICE("2147483647"));
	event_set_number(&e, F_EventCount, INT64_C(-5000000000));
	assert_column("EventCount", SLICE("-2147483648"));
	event_set_real(&e, F_DetectorScore, 0.1);
	assert_column("DetectorScore", SLICE("0.1"));
}

static void
a_real_that_is_not_finite_stays_out(void **state)
{
	(void)state;
	event_set_real(&e, F_DetectorScore, NAN);
	assert_string_equal(row(), "{}");
	event_set_real(&e, F_DetectorBaseline, INFINITY);
	event_set_real(&e, F_DetectorObserved, -INFINITY);
	event_set_text(&e, F_EventId, SLICE("x"));
	assert_string_equal(row(), "{\"EventId\":\"x\"}");
}

static void
times_far_off_are_still_times(void **state)
{
	(void)state;
	event_set_number(&e, F_TimeGenerated, 0);
	assert_column("TimeGenerated", SLICE("1970-01-01T00:00:00.000Z"));
	event_set_number(&e, F_TimeGenerated, -1);
	assert_column("TimeGenerated", SLICE("1969-12-31T23:59:59.999Z"));
	event_set_number(&e, F_TimeGenerated, INT64_MAX);
	assert_column("TimeGenerated", SLICE("9999-12-31T23:59:59.999Z"));
}

static void
whatever_stands_in_a_text_comes_back_from_the_row(void **state)
{
	static const struct slice texts[] = {
		{ "a", 1 }, { "\"", 1 }, { "\\", 1 }, { "\n", 1 }, { "\0", 1 }, { "\x1f\x7f", 2 }, { "a\"b\\c\nd\te\rf\bg\fh/", 16 },
		{ "{\"a\":1}", 7 }, { "\xe2\x82\xac\xf0\x9f\x98\x80\xc3\xa9", 9 }, { "</script>", 9 }, { "a\xe2\x80\xa8", 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		event_set_text(&e, F_EventMessage, texts[i]);
		assert_column("EventMessage", texts[i]);
	}
}

static void
a_byte_that_needs_an_escape_is_seen_at_every_place_of_every_length(void **state)
{
	static const char odd[] = { '"', '\\', 0x1f, 0x00, '\n' };

	(void)state;
	for (size_t n = 1; n <= 50; n++) {
		struct slice plain = many("x", n);
		char *p = (char *)(uintptr_t)plain.p;

		event_set_text(&e, F_EventName, plain);
		assert_column("EventName", plain);
		assert_int_equal(out.n, n + strlen("{\"EventName\":\"\"}"));
		for (size_t at = 0; at < n; at++) {
			p[at] = odd[(at + n) % sizeof(odd)];
			assert_column("EventName", plain);
			assert_true(out.n > n + strlen("{\"EventName\":\"\"}"));
			p[at] = 'x';
		}
		p[n - 1] = '\x80';
		column("EventName");
		assert_int_equal(text.n, n + 2);	/* U+FFFD */
		let_go(plain);
	}
}

static void
broken_utf8_becomes_replacement_characters(void **state)
{
	(void)state;
	event_set_text(&e, F_EventName, SLICE("a\xff\xe2\x82z\xed\xa0\x80"));
	assert_column("EventName", SLICE("a\xef\xbf\xbd\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"));
	assert_int_equal(column("TruncatedFields").n, 0);
}

/* ---- too long ---------------------------------------------------------------------- */

static void
a_text_of_just_the_limit_is_whole_and_one_byte_more_is_cut(void **state)
{
	struct slice s = many("x", ENCODE_COLUMN_BYTES + 1);

	(void)state;
	event_set_text(&e, F_EventMessage, slice_make(s.p, ENCODE_COLUMN_BYTES));
	assert_int_equal(column("EventMessage").n, ENCODE_COLUMN_BYTES);
	assert_int_equal(column("TruncatedFields").n, 0);
	event_set_text(&e, F_EventMessage, s);
	assert_int_equal(column("EventMessage").n, ENCODE_COLUMN_BYTES);
	assert_column("TruncatedFields", SLICE("EventMessage"));
	let_go(s);
}

static void
a_cut_never_stands_inside_a_character(void **state)
{
	static const char *const characters[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80" };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		for (size_t shift = 0; shift < 4; shift++) {
			size_t len = strlen(characters[i]);
			struct slice s = many(characters[i], ENCODE_COLUMN_BYTES), cut;
			char *p = (char *)(uintptr_t)s.p;

			memmove(p + shift, p, s.n - shift);
			memset(p, 'a', shift);
			s.n -= (s.n - shift) % len;
			event_set_text(&e, F_Operation, s);
			cut = column("Operation");
			assert_in_range(cut.n, ENCODE_COLUMN_BYTES - 3, ENCODE_COLUMN_BYTES);
			assert_int_equal((cut.n - shift) % len, 0);
			assert_memory_equal(cut.p, s.p, cut.n);
			assert_column("TruncatedFields", SLICE("Operation"));
			let_go(s);
		}
}

static void
broken_bytes_count_as_what_they_become(void **state)
{
	struct slice s = many("\xff", 30000), cut;

	(void)state;
	event_set_text(&e, F_Operation, s);
	cut = column("Operation");
	assert_in_range(cut.n, ENCODE_COLUMN_BYTES - 3, ENCODE_COLUMN_BYTES);
	assert_int_equal(cut.n % 3, 0);
	assert_column("TruncatedFields", SLICE("Operation"));
	event_set_text(&e, F_Operation, slice_make(s.p, 21000));
	assert_int_equal(column("Operation").n, 63000);
	assert_int_equal(column("TruncatedFields").n, 0);
	let_go(s);
}

static void
escapes_do_not_count_against_the_limit(void **state)
{
	struct slice s = many("\"", ENCODE_COLUMN_BYTES);

	(void)state;
	event_set_text(&e, F_Operation, s);
	assert_column("Operation", s);
	assert_int_equal(column("TruncatedFields").n, 0);
	let_go(s);
}

static void
json_that_is_too_long_is_replaced_and_never_cut(void **state)
{
	struct slice s = many("[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]", 2000);
	char *p = (char *)(uintptr_t)s.p;

	(void)state;
	p[0] = '{';
	p[s.n - 1] = '}';
	event_set_text(&e, F_AdditionalFields, s);
	event_set_text(&e, F_OldValue, s);
	event_set_text(&e, F_NewValue, slice_make(s.p, 20));
	assert_column("AdditionalFields", SLICE("{\"truncated\":true,\"length\":96000}"));
	assert_column("OldValue", SLICE("{\"truncated\":true,\"length\":96000}"));
	assert_column("NewValue", slice_make(s.p, 20));
	assert_column("TruncatedFields", SLICE("OldValue,AdditionalFields"));
	let_go(s);
}

static void
a_json_column_that_is_no_json_goes_as_text(void **state)
{
	static const char *const texts[] = { "nonsense", "{\"a\":1", "}", "{", "]", "\"", "{\"a\":1]", "1\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		event_set_text(&e, F_AdditionalFields, slice_of(texts[i]));
		assert_column("AdditionalFields", slice_of(texts[i]));
		assert_int_equal(doc.v[json_get(&doc, 0, "AdditionalFields")].type, JSON_STRING);
	}
	event_set_text(&e, F_AdditionalFields, SLICE("[1,2]"));
	assert_string_equal(row(), "{\"AdditionalFields\":[1,2]}");
}

static void
names_cut_before_stay_and_none_comes_twice(void **state)
{
	struct slice s = many("x", ENCODE_COLUMN_BYTES + 1), long_names = many("Name,", 20000);

	(void)state;
	event_set_text(&e, F_TruncatedFields, SLICE("EventMessage,Operation"));
	assert_column("TruncatedFields", SLICE("EventMessage,Operation"));
	event_set_text(&e, F_EventName, s);
	event_set_text(&e, F_EventMessage, s);
	assert_column("TruncatedFields", SLICE("EventMessage,Operation,EventName"));
	event_set_text(&e, F_TruncatedFields, long_names);
	assert_in_range(column("TruncatedFields").n, 1000, ENCODE_COLUMN_BYTES);
	let_go(s);
	let_go(long_names);
}

static void
every_text_column_too_long_at_once_is_named(void **state)
{
	struct slice s = many("x", ENCODE_COLUMN_BYTES + 1);

	(void)state;
	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].type == FIELD_TEXT && f != F_TruncatedFields)
			event_set_text(&e, (enum field)f, s);
	column("TruncatedFields");
	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].type == FIELD_TEXT && f != F_TruncatedFields)
			assert_true(slice_find_nocase(buf_slice(&text), slice_of(field_rows[f].name), 0) >= 0);
	let_go(s);
}

/* e in another encoding. */
static const char *
line(const struct encoder *encoder)
{
	buf_reset(&out);
	assert_int_equal(encoder->encode(&e, &out, NULL), 0);
	buf_putc(&out, '\0');
	out.n--;
	return out.p;
}

static void
assert_holds(const struct encoder *encoder, const char *piece)
{
	if (strstr(line(encoder), piece) == NULL)
		fail_msg("%s: no \"%s\" in \"%.2000s\"", encoder->name, piece, out.p);
}

static void
set_plain(const char *class)
{
	event_init(&e);
	event_set_number(&e, F_TimeGenerated, INT64_C(1772360430123));
	event_set_text(&e, F_EventId, SLICE("00000000000000000000000000000001"));
	event_set_text(&e, F_EventClass, slice_of(class));
	event_set_text(&e, F_EventName, SLICE("a name"));
	event_set_text(&e, F_EventSeverity, SLICE("High"));
	event_set_text(&e, F_AgentVersion, SLICE("9.8"));
}

static void
a_line_of_cef_has_its_header_then_keys_slots_and_the_rest(void **state)
{
	(void)state;
	set_plain("volume_spike");
	event_set_text(&e, F_AiModelName, SLICE("gpt-4o"));
	event_set_number(&e, F_PromptTokens, INT64_C(9007199254740993));
	event_set_real(&e, F_DetectorScore, 0.75);
	event_set_number(&e, F_SlaDueTime, 5);
	assert_string_equal(line(&encoder_cef), "CEF:0|aispm-agent|aispm-agent|9.8|volume_spike|a name|8|rt=1772360430123 "
	    "externalId=00000000000000000000000000000001 cs5=gpt-4o cs5Label=AiModelName cn3=9007199254740993 cn3Label=PromptTokens "
	    "cfp1=0.75 cfp1Label=DetectorScore aispmSlaDueTime=5");
	event_init(&e);
	assert_true(slice_ends_nocase(slice_of(line(&encoder_cef)), SLICE("|event|event|2|")));
}

static void
cef_escapes_header_and_extension_apart(void **state)
{
	(void)state;
	set_plain("alert");
	event_set_text(&e, F_EventName, SLICE("a|b\\c=d\ne"));
	event_set_text(&e, F_EventMessage, SLICE("a|b\\c=d\r\ne\x1b\xff\xe2\x80\xa8 cs1=x"));
	assert_holds(&encoder_cef, "|a\\|b\\\\c=d e|8|rt=");
	assert_holds(&encoder_cef, " msg=a|b\\\\c\\=d\\r\\ne\xe2\x90\x9b\xef\xbf\xbd\\n cs1\\=x");
	assert_holds(&encoder_cef, " aispmEventName=a|b\\\\c\\=d\\ne");	/* the header cannot give its line end back */
}

static void
addresses_go_where_the_dictionary_wants_them(void **state)
{
	(void)state;
	set_plain("activity");
	event_set_text(&e, F_SrcIpAddr, SLICE("203.0.113.7"));
	assert_holds(&encoder_cef, " src=203.0.113.7");
	event_set_text(&e, F_SrcIpAddr, SLICE("2001:db8::7"));
	assert_holds(&encoder_cef, " c6a2=2001:db8::7 c6a2Label=Source IPv6 Address");
	assert_holds(&encoder_commonsecuritylog, "\"SourceIP\":\"2001:db8::7\"");
	event_set_text(&e, F_SrcIpAddr, SLICE("1.2.3.4 act=x"));
	assert_holds(&encoder_cef, " aispmSrcIpAddr=1.2.3.4 act\\=x");
}

static void
pairs_of_commonsecuritylog_are_escaped_twice_and_typed(void **state)
{
	(void)state;
	set_plain("recommendation");
	event_set_text(&e, F_EventVendor, SLICE("a;b=c\\d\"e\n"));
	event_set_number(&e, F_HttpStatusCode, 200);
	event_set_number(&e, F_SlaDueTime, 5);
	assert_holds(&encoder_commonsecuritylog, "\"AdditionalExtensions\":\"aispmEventVendor=a\\\\;b\\\\=c\\\\\\\\d\\\"e\\\\n;aispmHttpStatusCode=200\"");
	assert_holds(&encoder_commonsecuritylog, "\"DeviceCustomDate1\":\"1970-01-01T00:00:00.005Z\"");
	assert_holds(&encoder_commonsecuritylog, "\"LogSeverity\":\"8\"");
}

static void
ocsf_opens_and_closes_what_its_members_need(void **state)
{
	(void)state;
	set_plain("alert");
	event_set_text(&e, F_AttackTechniques, SLICE("T1078, AML.T0054,"));
	event_set_text(&e, F_SrcIpAddr, SLICE("203.0.113.7"));
	assert_string_equal(line(&encoder_ocsf), "{\"class_uid\":2004,\"class_name\":\"Detection Finding\",\"category_uid\":2,"
	    "\"category_name\":\"Findings\",\"activity_id\":1,\"activity_name\":\"Create\",\"type_uid\":200401,\"time\":1772360430123,"
	    "\"severity_id\":4,\"severity\":\"High\",\"is_alert\":true,\"metadata\":{\"version\":\"1.8.0\","
	    "\"uid\":\"00000000000000000000000000000001\",\"product\":{\"name\":\"Unknown\"},\"loggers\":[{\"name\":\"aispm-agent\",\"version\":\"9.8\"}]},"
	    "\"finding_info\":{\"uid\":\"00000000000000000000000000000001\",\"title\":\"a name\",\"attacks\":[{\"technique\":{\"uid\":\"T1078\"}},"
	    "{\"technique\":{\"uid\":\"AML.T0054\"}}]},\"evidences\":[{\"src_endpoint\":{\"ip\":\"203.0.113.7\"}}],\"unmapped\":{\"EventClass\":\"alert\"}}");
}

static void
what_turns_a_text_is_named_in_cef_and_escaped_in_json(void **state)
{
	(void)state;
	set_plain("alert");
	event_set_text(&e, F_EventName, SLICE("fdp\xe2\x80\xae|"));
	event_set_text(&e, F_EventMessage, SLICE("a\xe2\x81\xa6=\xe2\x80\x8f"));
	assert_holds(&encoder_cef, "|fdp<U+202E>\\||8|");
	assert_holds(&encoder_cef, " msg=a<U+2066>\\=<U+200F>");
	assert_null(strstr(out.p, "aispmEventName="));		/* that is all of it */
	assert_holds(&encoder_json, "\"EventMessage\":\"a\\u2066=\\u200f\"");
	assert_holds(&encoder_ocsf, "fdp\\u202e|");
	assert_holds(&encoder_commonsecuritylog, "\\u2066");
}

static void
line_ends_of_unicode_never_stand_in_a_line(void **state)
{
	static const struct encoder *const all[] = { &encoder_json, &encoder_cef, &encoder_commonsecuritylog, &encoder_ocsf };
	static const char *const ends[] = { "\xe2\x80\xa8", "\xe2\x80\xa9", "\xc2\x85" };

	(void)state;
	set_plain("config_change");
	event_set_text(&e, F_EventVendor, SLICE("\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xe2\x80\xa7\xc2\xa0"));
	event_set_text(&e, F_OldValue, SLICE("[\"\xe2\x80\xa8\"]"));
	event_set_text(&e, F_AdditionalFields, SLICE("{\"\xc2\x85\":\"\xe2\x80\xa9\"}"));
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_holds(all[i], "\xe2\x80\xa7\xc2\xa0");		/* their neighbours stay */
		for (size_t k = 0; k < sizeof(ends) / sizeof(ends[0]); k++)
			assert_null(strstr(out.p, ends[k]));
	}
	assert_column("EventVendor", SLICE("\xe2\x80\xa8\xe2\x80\xa9\xc2\x85\xe2\x80\xa7\xc2\xa0"));
	assert_holds(&encoder_cef, "aispmAdditionalFields={\"\\\\u0085\":\"\\\\u2029\"}");
}

static void
check_room(const struct encoder *encoder)
{
	size_t whole = strlen(line(encoder));

	for (size_t room = 0; room <= whole; room++) {
		struct err err = { .kind = ERR_NONE };
		struct buf small;

		buf_init(&small, 6 + room);
		buf_puts(&small, "before");
		if (room < whole) {
			assert_int_equal(encoder->encode(&e, &small, &err), -1);
			assert_int_equal(err.kind, ERR_FULL);
			assert_int_equal(small.n, 6);
			assert_false(small.failed);
		} else {
			assert_int_equal(encoder->encode(&e, &small, &err), 0);
			assert_int_equal(small.n, 6 + whole);
			assert_memory_equal(small.p + 6, out.p, whole);
		}
		assert_memory_equal(small.p, "before", 6);
		buf_fini(&small);
	}
}

static void
what_has_no_room_leaves_the_bytes_as_they_were(void **state)
{
	(void)state;
	set_plain("config_change");
	event_set_text(&e, F_EventMessage, SLICE("a message of some length, \"quoted\", and \xe2\x80\xa8"));
	event_set_text(&e, F_OldValue, SLICE("{\"a\":1}"));
	event_set_text(&e, F_AdditionalFields, SLICE("{\"a\":1}"));
	check_room(&encoder_json);
	check_room(&encoder_cef);
	check_room(&encoder_commonsecuritylog);
	check_room(&encoder_ocsf);
}

static void
encoders_are_found_by_their_word(void **state)
{
	(void)state;
	assert_ptr_equal(encoder_find("json"), &encoder_json);
	assert_string_equal(encoder_json.name, "json");
	assert_ptr_equal(encoder_find("cef"), &encoder_cef);
	assert_ptr_equal(encoder_find("commonsecuritylog"), &encoder_commonsecuritylog);
	assert_ptr_equal(encoder_find("ocsf"), &encoder_ocsf);
	assert_null(encoder_find("xml"));
	assert_null(encoder_find(""));
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_row_holds_what_is_present_in_the_order_of_the_table),
		T(every_column_has_its_name_and_type_in_the_row),
		T(numbers_are_exact_and_within_their_columns),
		T(a_real_that_is_not_finite_stays_out),
		T(times_far_off_are_still_times),
		T(whatever_stands_in_a_text_comes_back_from_the_row),
		T(a_byte_that_needs_an_escape_is_seen_at_every_place_of_every_length),
		T(broken_utf8_becomes_replacement_characters),
		T(a_text_of_just_the_limit_is_whole_and_one_byte_more_is_cut),
		T(a_cut_never_stands_inside_a_character),
		T(broken_bytes_count_as_what_they_become),
		T(escapes_do_not_count_against_the_limit),
		T(json_that_is_too_long_is_replaced_and_never_cut),
		T(a_json_column_that_is_no_json_goes_as_text),
		T(names_cut_before_stay_and_none_comes_twice),
		T(every_text_column_too_long_at_once_is_named),
		T(a_line_of_cef_has_its_header_then_keys_slots_and_the_rest),
		T(cef_escapes_header_and_extension_apart),
		T(addresses_go_where_the_dictionary_wants_them),
		T(pairs_of_commonsecuritylog_are_escaped_twice_and_typed),
		T(ocsf_opens_and_closes_what_its_members_need),
		T(what_turns_a_text_is_named_in_cef_and_escaped_in_json),
		T(line_ends_of_unicode_never_stand_in_a_line),
		T(what_has_no_room_leaves_the_bytes_as_they_were),
		T(encoders_are_found_by_their_word),
	};
#undef T
	return cmocka_run_group_tests_name("encode", tests, NULL, NULL);
}
