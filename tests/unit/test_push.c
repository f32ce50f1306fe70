/* test_push.c - source `http` below its server: bodies to records, answers, handshakes, settings; and bytes that mean harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/conf.h"
#include "base/err.h"
#include "source/http_source.h"

struct rig {
	struct push_body	 body;
	struct buf		 text;		/* the body, padded */
	struct buf		 got;		/* its records, each behind a '|' and, if unreadable, a '!' */
	size_t			 n, unreadable;
};

static struct rig *rig;

static int
begin(void **state)
{
	struct err err = { 0 };

	(void)state;
	rig = calloc(1, sizeof(*rig));
	buf_init(&rig->text, 1 << 20);
	buf_init(&rig->got, 4 << 20);
	return push_body_init(&rig->body, 1 << 20, &err);
}

static int
end(void **state)
{
	(void)state;
	push_body_fini(&rig->body);
	buf_fini(&rig->text);
	buf_fini(&rig->got);
	free(rig);
	return 0;
}

static const char *
cut(enum push_frame frame, struct slice body, bool lines)
{
	struct push_record r;

	buf_reset(&rig->text);
	buf_reset(&rig->got);
	buf_put_slice(&rig->text, body);
	rig->n = rig->unreadable = 0;
	push_body_open(&rig->body, frame, buf_slice(&rig->text), lines);
	while (push_body_next(&rig->body, &r)) {
		assert_true(r.bytes.n > 0);
		buf_puts(&rig->got, r.unreadable != NULL ? "|!" : "|");
		buf_put_slice(&rig->got, r.bytes);
		rig->n++;
		rig->unreadable += r.unreadable != NULL;
		assert_true(rig->n <= body.n + 1);
	}
	assert_false(push_body_next(&rig->body, &r));
	push_body_close(&rig->body);
	assert_false(push_body_next(&rig->body, &r));
	assert_true(rig->body.piece.cap <= PUSH_KEEP_BYTES);
	buf_putc(&rig->got, '\0');
	return rig->got.p;
}

static const char *
plain(const char *text)
{
	return cut(PUSH_PLAIN, slice_of(text), false);
}

/* ---- plain ------------------------------------------------------------------------ */

static void
one_json_text_is_one_record_over_however_many_lines(void **state)
{
	(void)state;
	assert_string_equal(plain("{\"a\":1}"), "|{\"a\":1}");
	assert_string_equal(plain("  {\"a\":1}\r\n"), "|{\"a\":1}");
	assert_string_equal(plain("[\n{\"a\":1},\n{\"a\":2}\n]\n"), "|[\n{\"a\":1},\n{\"a\":2}\n]");
	assert_string_equal(plain("{\n \"a\": {\n  \"b\": 1\n }\n}"), "|{\n \"a\": {\n  \"b\": 1\n }\n}");
	assert_string_equal(plain("{\"a\": \"}\\\"{\",\n\"b\": 2}"), "|{\"a\": \"}\\\"{\",\n\"b\": 2}");
	assert_string_equal(plain("[{\"a\":1}\n,{\"a\":2}]"), "|[{\"a\":1}\n,{\"a\":2}]");
}

static void
lines_are_records_and_a_bad_one_stands_alone(void **state)
{
	(void)state;
	assert_string_equal(plain("{\"a\":1}\n{\"a\":2}\n"), "|{\"a\":1}|{\"a\":2}");
	assert_string_equal(plain("\n{\"a\":1}\r\n\r\n\n{\"a\":2}"), "|{\"a\":1}|{\"a\":2}");
	assert_string_equal(plain("[1]\n[2]"), "|[1]|[2]");
	assert_string_equal(plain("words\n{\"a\":2}"), "|words|{\"a\":2}");
	assert_string_equal(plain("{\"a\":1\n{\"a\":2}"), "|{\"a\":1|{\"a\":2}");
	assert_string_equal(plain("{\"a\":1}\nwords\n{\"a\":2}"), "|{\"a\":1}|words|{\"a\":2}");
	assert_string_equal(cut(PUSH_PLAIN, SLICE("{\n}\n"), true), "|{|}");
}

static void
nothing_is_no_record(void **state)
{
	(void)state;
	assert_string_equal(plain(""), "");
	assert_string_equal(plain(" \r\n\t\n"), "");
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":[]}"), false), "");
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":[{\"data\":\"\"}]}"), false), "");
	assert_string_equal(cut(PUSH_PLAIN, SLICE_NONE, false), "");
}

static void
gzip_without_being_announced_is_left_to_decode(void **state)
{
	static const char bytes[] = "\x1f\x8b\x08\n\n{}\n";

	(void)state;
	(void)cut(PUSH_PLAIN, SLICE(bytes), true);
	assert_int_equal(rig->n, 1);
	assert_memory_equal(rig->got.p + 1, bytes, 3);
}

/* ---- frames ------------------------------------------------------------------------- */

static void
each_record_of_firehose_is_cut_by_itself(void **state)
{
	(void)state;
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"requestId\":\"r\",\"records\":[{\"data\":\"eyJhIjoxfQ==\"},{\"data\":\"eyJhIjoxfQp7ImEiOjJ9Cg==\"}]}"), false),
	    "|{\"a\":1}|{\"a\":1}|{\"a\":2}");
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":[{\"data\":\"aGVsbG8\\/\"},{\"data\":\"eyJhIjoxfQ\"}]}"), false), "|hello?|{\"a\":1}");
}

static void
what_is_no_base64_comes_as_it_stands_and_says_so(void **state)
{
	(void)state;
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":[{\"data\":\"%%\"},7,{\"data\":{}},{\"x\":1},{\"data\":\"eyJhIjoxfQ==\"}]}"), false),
	    "|!{\"data\":\"%%\"}|!7|!{\"data\":{}}|!{\"x\":1}|{\"a\":1}");
}

static void
what_is_not_framed_so_is_one_record(void **state)
{
	(void)state;
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":{}}"), false), "|{\"records\":{}}");
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("[{\"data\":\"eyJhIjoxfQ==\"}]"), false), "|[{\"data\":\"eyJhIjoxfQ==\"}]");
	assert_string_equal(cut(PUSH_FIREHOSE, SLICE("{\"records\":[{\"data\":\"eyJhI"), false), "|{\"records\":[{\"data\":\"eyJhI");
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"message\":{\"data\":{\"a\":1}}}"), false), "|{\"message\":{\"data\":{\"a\":1}}}");
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"message\":{\"attributes\":{}}}"), false), "|{\"message\":{\"attributes\":{}}}");
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"message\":{\"data\":\"%%\"}}"), false), "|{\"message\":{\"data\":\"%%\"}}");
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"a\":1}\n{\"a\":2}"), false), "|{\"a\":1}|{\"a\":2}");
}

static void
a_message_of_pubsub_is_what_its_data_say(void **state)
{
	(void)state;
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"message\":{\"data\":\"eyJhIjoxfQ==\",\"messageId\":\"1\"},\"subscription\":\"s\"}"), false), "|{\"a\":1}");
	assert_string_equal(cut(PUSH_PUBSUB, SLICE("{\"message\":{\"data\":\"aGVsbG8=\"}}"), false), "|hello");
}

/* ---- answers ------------------------------------------------------------------------- */

static const char *
answer(const char *path, const char *id, const char *why)
{
	buf_reset(&rig->got);
	push_form_answer(push_form_find(path), slice_of(id), why, 1578090903599, &rig->got);
	buf_putc(&rig->got, '\0');
	return rig->got.p;
}

static void
each_sender_hears_what_it_understands(void **state)
{
	(void)state;
	assert_string_equal(answer("/v1/traces", "", NULL), "{}");
	assert_string_equal(answer("/firehose", "a\"b\x01", NULL), "{\"requestId\":\"a\\\"b\\u0001\",\"timestamp\":1578090903599}");
	assert_string_equal(answer("/firehose", "r", "no"), "{\"requestId\":\"r\",\"timestamp\":1578090903599,\"errorMessage\":\"no\"}");
	assert_string_equal(answer("/records", "", "no"), "{\"message\":\"no\"}");
	assert_string_equal(answer("/elsewhere", "", "no"), "{\"message\":\"no\"}");
	assert_null(push_form_find("/records/"));
	assert_null(push_form_find(""));
}

static int
validate(const char *text)
{
	struct err err = { 0 };

	buf_reset(&rig->text);
	buf_reset(&rig->got);
	buf_puts(&rig->text, text);
	return push_form_validate(rig->body.json, &rig->body.doc, buf_slice(&rig->text), &rig->got, &err);
}

static void
event_grid_hears_its_code_and_nothing_else(void **state)
{
	static const char *const broken[] = { "", "[]", "{}", "[[]]", "7", "[{\"data\":7}]", "[{\"data\":{\"validationCode\":\"\"}}]", "[{\"data\":{\"validationCode\":1}}]",
		"[{\"data\":[\"validationCode\"]}]", "{\"data\":" };

	(void)state;
	assert_int_equal(validate("[{\"data\":{\"validationCode\":\"512d\\u0022\"}}]"), 0);
	assert_int_equal(rig->got.n, strlen("{\"validationResponse\":\"512d\\\"\"}"));
	assert_memory_equal(rig->got.p, "{\"validationResponse\":\"512d\\\"\"}", rig->got.n);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		assert_int_equal(validate(broken[i]), -1);
		assert_int_equal(rig->got.n, 0);
	}
}

/* ---- settings ---------------------------------------------------------------------------- */

static void
an_address_is_told_from_what_is_none(void **state)
{
	static const struct { const char *text; bool good, loopback; } rows[] = {
		{ "127.0.0.1:8088", true, true }, { "127.1.2.3:1", true, true }, { "[::1]:65535", true, true }, { "0.0.0.0:443", true, false }, { "[::]:443", true, false },
		{ "10.0.0.1:8443", true, false }, { "[fe80::1]:8443", true, false }, { "127.0.0.1", false, false }, { "127.0.0.1:", false, false }, { ":8088", false, false },
		{ "127.0.0.1:0", false, false }, { "127.0.0.1:65536", false, false }, { "127.0.0.1:80x", false, false }, { "localhost:80", false, false },
		{ "[::1:80", false, false }, { "::1:80", false, false }, { "[]:80", false, false }, { "[", false, false }, { "", false, false }, { "256.0.0.1:80", false, false },
		{ "11111111111111111111111111111111111111111111111111111111111111111111111111:80", false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool loopback = false;

		if (push_listen_is_address(rows[i].text, &loopback) != rows[i].good || loopback != rows[i].loopback)
			fail_msg("%s", rows[i].text);
	}
}

static struct conf *
settings(const char *yaml)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };

	problems_init(&problems);
	if (conf_load_text("t.yaml", slice_of(yaml), push_keys, &conf, &problems, &err) != 0)
		conf = NULL;
	problems_fini(&problems);
	return conf;
}

static void
off_loopback_only_with_tls_and_a_token(void **state)
{
	static const char tls[] = "tls: {cert_file: /c, key: {file: /k}}\n", token[] = "token: {file: /t}\n";
	char yaml[200];

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct conf *conf;

		snprintf(yaml, sizeof(yaml), "%s%slisten: \"%s\"\n", i & 1 ? tls : "", i & 2 ? token : "", i & 4 ? "127.0.0.1:1" : "10.1.1.1:8443");
		conf = settings(yaml);
		assert_int_equal(conf != NULL, i >= 3);
		conf_free(conf);
	}
}

static void
tokens_are_tried_line_by_line(void **state)
{
	static const struct { const char *text; int rc; } rows[] = { { "0123456789abcdef", 0 }, { "0123456789abcdef\n\n0123456789ABCDEF\r\n", 0 }, { "0123456789abcde", -1 },
		{ "0123456789abcdef\nshort", -1 }, { "0123456789 abcdef", -1 }, { "0123456789abcdef\x7f", -1 }, { "", -1 } };
	struct conf *conf = settings("token: {env: AISPM_TEST_PUSH_TOKEN}\n");

	(void)state;
	assert_non_null(conf);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };

		assert_int_equal(setenv("AISPM_TEST_PUSH_TOKEN", rows[i].text, 1), 0);
		if (push_gate_token(conf, &err) != rows[i].rc)
			fail_msg("%s", rows[i].text);
		assert_null(rows[i].text[0] != '\0' ? strstr(err.text, rows[i].text) : NULL);
	}
	conf_free(conf);
}

/* ---- the socket ------------------------------------------------------------------------- */

static void
a_socket_lives_as_long_as_somebody_wants_it(void **state)
{
	char address[40];
	struct push_listen *a = NULL, *b;
	struct err err = { 0 };
	int fd = -1, other;

	(void)state;
	for (int port = 21000; fd < 0 && port < 31000; port += 7) {
		snprintf(address, sizeof(address), "127.0.0.1:%d", port);
		a = push_listen_want(address, &err);
		fd = push_listen_fd(a, &err);
		if (fd < 0)
			push_listen_drop(a);
	}
	assert_true(fd >= 0);
	b = push_listen_want(address, &err);
	assert_ptr_equal(a, b);
	other = push_listen_fd(b, &err);
	assert_true(other >= 0 && other != fd);
	close(fd);
	push_listen_drop(a);
	assert_int_equal(push_listen_try(address, &err), 0);
	close(other);
	assert_int_equal(push_listen_try(address, &err), 0);	/* the descriptor that is kept still listens */
	push_listen_drop(b);
	assert_int_equal(push_listen_try(address, &err), 1);
}

/* ---- harm -------------------------------------------------------------------------------- */

static uint32_t
next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*seed >> 33);
}

static void
no_bytes_hurt_it(void **state)
{
	static const char *const seeds[] = {
		"{\"requestId\":\"r\",\"records\":[{\"data\":\"eyJhIjoxfQp7ImEiOjJ9Cg==\"},{\"data\":\"aGVsbG8=\"}]}",
		"{\"message\":{\"data\":\"eyJhIjoxfQ==\",\"messageId\":\"1\"},\"subscription\":\"s\"}",
		"[{\"eventType\":\"x\",\"data\":{\"validationCode\":\"c\"}}]", "{\"a\":\"}\\\"\"}\n{\"b\":[1,2]}\n",
	};
	static const char odd[] = "{}[]\",:\\\n= \x00\xff\x1f\x8b";
	uint64_t seed = 20261125;

	(void)state;
	for (int n = 0; n < 20000; n++) {
		char text[160];
		size_t len = strlen(seeds[n % 4]);

		memcpy(text, seeds[n % 4], len);
		for (unsigned i = next_random(&seed) % 6; i > 0; i--)
			text[next_random(&seed) % len] = next_random(&seed) % 2 ? odd[next_random(&seed) % (sizeof(odd) - 1)] : (char)next_random(&seed);
		len -= next_random(&seed) % len;
		(void)cut((enum push_frame)(next_random(&seed) % 3), slice_make(text, len), next_random(&seed) % 2 == 0);
		buf_reset(&rig->got);
		(void)push_form_validate(rig->body.json, &rig->body.doc, buf_slice(&rig->text), &rig->got, NULL);
	}
	assert_true(buf_reserve(&rig->text, 100000));
	memset(rig->text.p, '[', 100000);
	rig->text.n = 100000;
	push_body_open(&rig->body, PUSH_FIREHOSE, buf_slice(&rig->text), false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_json_text_is_one_record_over_however_many_lines, begin, end),
		cmocka_unit_test_setup_teardown(lines_are_records_and_a_bad_one_stands_alone, begin, end),
		cmocka_unit_test_setup_teardown(nothing_is_no_record, begin, end),
		cmocka_unit_test_setup_teardown(gzip_without_being_announced_is_left_to_decode, begin, end),
		cmocka_unit_test_setup_teardown(each_record_of_firehose_is_cut_by_itself, begin, end),
		cmocka_unit_test_setup_teardown(what_is_no_base64_comes_as_it_stands_and_says_so, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_framed_so_is_one_record, begin, end),
		cmocka_unit_test_setup_teardown(a_message_of_pubsub_is_what_its_data_say, begin, end),
		cmocka_unit_test_setup_teardown(each_sender_hears_what_it_understands, begin, end),
		cmocka_unit_test_setup_teardown(event_grid_hears_its_code_and_nothing_else, begin, end),
		cmocka_unit_test(an_address_is_told_from_what_is_none),
		cmocka_unit_test(off_loopback_only_with_tls_and_a_token),
		cmocka_unit_test(tokens_are_tried_line_by_line),
		cmocka_unit_test(a_socket_lives_as_long_as_somebody_wants_it),
		cmocka_unit_test_setup_teardown(no_bytes_hurt_it, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
