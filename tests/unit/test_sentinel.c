/* test_sentinel.c - the sentinel sink against a scripted service and authority, under a held clock. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "far_side.h"
#include "net/http.h"
#include "sinks/batch.h"
#include "sinks/sink.h"
#include "sinks/sentinel/pace.h"

#define NOW_MS		UINT64_C(1769860799000)		/* Sat, 31 Jan 2026 11:59:59 GMT */
#define RULE		"dcr-0123456789abcdef0123456789abcdef"
#define PATH		"/dataCollectionRules/" RULE "/streams/Custom-AISPMEvents?api-version=2023-01-01"
#define SECRET		"s3cr3t-value-of-the-app"
#define TOKEN_1		"token-one-aaaaaaaaaaaaaaaaaaaaaaaa"
#define TOKEN_2		"token-two-bbbbbbbbbbbbbbbbbbbbbbbb"
#define BATCHES		8

struct told {
	const struct batch	*batch;
	enum sink_verdict	 verdict;
	uint64_t		 wait_ms;
	struct err		 why;
};

struct world {
	struct loop	*loop;
	struct http	*http;
	struct far_side	*service, *authority;
	struct conf	*conf;
	struct sink	 sink;
	struct batch	 batches[BATCHES];
	struct told	 told[256];
	int		 n, put_again;
	char		 warned[400], did[600];	/* the last, and how often: a line each */
	int		 warnings, deeds;
};

static char dir[256];

static int
load(struct conf **ret, const char *yaml, char *problem, size_t n)
{
	const struct conf_key top[] = {
		{ .name = "sink", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = sink_kind_sentinel.keys },
		CONF_END
	};
	static struct conf_key kept[2];
	struct problems problems;
	struct err err;
	int rc;

	memcpy(kept, top, sizeof(kept));
	problems_init(&problems);
	rc = conf_load_text("s.yaml", slice_of(yaml), kept, ret, &problems, &err);
	snprintf(problem, n, "%s: %s", problems.n > 0 ? problems.v[0].key : "", problems.n > 0 ? problems.v[0].text : "");
	problems_fini(&problems);
	return rc;
}

static void
answered(struct sink *s, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms, const struct err *why)
{
	struct world *w = s->owner;

	assert_in_range(w->n, 0, 255);
	w->told[w->n++] = (struct told){ b, verdict, wait_ms, why != NULL ? *why : (struct err){ 0 } };
	if (verdict != SINK_DELIVERED)
		assert_non_null(why);
	if (w->put_again > 0) {
		w->put_again--;
		s->kind->put(s, b);
	}
}

static void
warn(struct sink *s, const char *text)
{
	struct world *w = s->owner;

	w->warnings++;
	snprintf(w->warned, sizeof(w->warned), "%s", text);
}

static void
did(struct sink *s, const char *text)
{
	struct world *w = s->owner;

	w->deeds++;
	snprintf(w->did, sizeof(w->did), "%s", text);
}

static void
make_batch(struct batch *b, uint64_t first_seq, size_t n)
{
	memset(b, 0, sizeof(*b));
	buf_init(&b->bytes, 2000000);
	b->v = calloc(n, sizeof(*b->v));
	b->n = b->cap = n;
	buf_puts(&b->bytes, "[");
	for (size_t i = 0; i < n; i++) {
		b->v[i].seq = first_seq + i;
		b->v[i].time_ms = NOW_MS;
		buf_printf(&b->bytes, "%s{\"EventId\":\"%llu\",\"EventMessage\":\"a prompt that nobody but the sink may ever see, für größere Gäste schön übersetzt\"}",
		    i > 0 ? "," : "", (unsigned long long)(first_seq + i));
	}
	buf_puts(&b->bytes, "]");
}

static void
free_batch(struct batch *b)
{
	free(b->v);
	buf_fini(&b->bytes);
}

/* Endpoint and authority by name, more keys of the sink, more keys of auth. */
static void
open_with(struct world *w, const char *endpoint, const char *authority, const char *more)
{
	char yaml[4096], problem[512];
	struct err err;

	snprintf(yaml, sizeof(yaml), "sink:\n  endpoint: %s\n  rule: " RULE "\n  stream: Custom-AISPMEvents\n%s"
	    "  auth: {type: client_secret, tenant: t, client_id: c, secret: {env: AISPM_TEST_SECRET}, authority: \"%s\"}\n",
	    endpoint, more, authority);
	if (load(&w->conf, yaml, problem, sizeof(problem)) != 0)
		fail_msg("%s", problem);
	w->sink = (struct sink){ .kind = &sink_kind_sentinel, .name = "s", .agent_id = "a", .loop = w->loop, .http = w->http,
		.owner = w, .answer = answered, .say = warn, .debug = did };
	if (sink_kind_sentinel.open(&w->sink, conf_block(w->conf, "sink"), &err) != 0)
		fail_msg("%s", err.text);
}

static void
prepare(struct world *w, const struct far_side_options *o)
{
	struct err err;

	memset(w, 0, sizeof(*w));
	clock_fake(NOW_MS);
	pace_forget();
	setenv("AISPM_TEST_SECRET", SECRET, 1);
	w->service = far_side_start(o);
	w->authority = far_side_start(o);
	far_side_answer(w->authority, 200, NULL, "{\"access_token\":\"" TOKEN_1 "\",\"expires_in\":3600}");
	far_side_otherwise(w->authority, 200, NULL, "{\"access_token\":\"" TOKEN_2 "\",\"expires_in\":3600}");
	w->loop = loop_new(&err);
	assert_int_equal(http_open(&w->http, w->loop, &err), 0);
	for (size_t i = 0; i < BATCHES; i++)
		make_batch(&w->batches[i], 100 * i + 1, 10);
}

static void
begin(struct world *w, const char *more)
{
	prepare(w, NULL);
	open_with(w, far_side_url(w->service), far_side_url(w->authority), more);
}

static void
end(struct world *w)
{
	sink_kind_sentinel.close(&w->sink);
	http_close(w->http);
	loop_free(w->loop);
	conf_free(w->conf);
	far_side_stop(w->service);
	far_side_stop(w->authority);
	for (size_t i = 0; i < BATCHES; i++)
		free_batch(&w->batches[i]);
}

static void
turn_until(struct world *w, int n)
{
	uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS;

	while (w->n < n && far_side_real_ms() < until_ms)
		loop_turn(w->loop, 5);
	assert_int_equal(w->n, n);
}

static const struct told *
put(struct world *w, size_t i)
{
	int before = w->n;

	sink_kind_sentinel.put(&w->sink, &w->batches[i]);
	turn_until(w, before + 1);
	assert_ptr_equal(w->told[before].batch, &w->batches[i]);
	return &w->told[before];
}

static void
assert_header(const struct far_side_request *r, const char *name, const char *value)
{
	struct slice got = far_side_header(r, name);

	if (!slice_eq(got, slice_of(value)))
		fail_msg("%s: %.*s", name, SLICE_ARG(got));
}

static void
assert_quiet(const struct err *why)
{
	assert_null(strstr(why->text, SECRET));
	assert_null(strstr(why->text, TOKEN_1));
	assert_null(strstr(why->text, TOKEN_2));
	assert_null(strstr(why->text, "a prompt that nobody"));
	assert_null(strstr(why->text, "bersetzt"));
}

/* ---- the request ----------------------------------------------------------------- */

static void
a_batch_is_posted_packed_to_its_stream_with_token_and_request_id(void **state)
{
	const struct far_side_request *r;
	struct slice id;
	struct buf body;
	struct world w;

	(void)state;
	begin(&w, "");
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	r = far_side_request(w.service, 0);
	assert_string_equal(r->method, "POST");
	assert_string_equal(r->target, PATH);
	assert_header(r, "Authorization", "Bearer " TOKEN_1);
	assert_header(r, "Content-Type", "application/json");
	assert_header(r, "Content-Encoding", "gzip");
	assert_header(r, "User-Agent", "aispm-agent/" PACKAGE_VERSION);
	id = far_side_header(r, "x-ms-client-request-id");
	assert_int_equal(id.n, 36);
	assert_true(id.p[8] == '-' && id.p[13] == '-' && id.p[14] == '4' && id.p[18] == '-' && id.p[23] == '-');
	assert_non_null(strchr("89ab", id.p[19]));
	buf_init(&body, 1 << 20);
	assert_true(far_side_body(r, &body));
	assert_true(slice_eq(buf_slice(&body), buf_slice(&w.batches[0].bytes)));
	assert_true(r->body_n < body.n);
	buf_fini(&body);
	end(&w);
}

static void
without_gzip_the_batch_goes_as_it_is(void **state)
{
	const struct far_side_request *r;
	struct world w;

	(void)state;
	begin(&w, "  gzip: false\n");
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	r = far_side_request(w.service, 0);
	assert_header(r, "Content-Encoding", "");
	assert_true(slice_eq(slice_make(r->body, r->body_n), buf_slice(&w.batches[0].bytes)));
	end(&w);
}

static void
the_largest_batch_goes_packed_or_plain_whichever_is_smaller(void **state)
{
	struct batch *b;
	struct world w;

	(void)state;
	begin(&w, "");
	b = &w.batches[0];
	while (b->bytes.n < sink_kind_sentinel.max_bytes)
		buf_putc(&b->bytes, ' ');
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_header(far_side_request(w.service, 0), "Content-Encoding", "gzip");
	random_bytes(b->bytes.p, b->bytes.n);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_header(far_side_request(w.service, 1), "Content-Encoding", "");
	assert_int_equal(far_side_request(w.service, 1)->body_n, 1000000);
	end(&w);
}

static void
a_batch_keeps_its_request_id_over_tries_and_its_half_gets_a_new_one(void **state)
{
	struct slice id[6];
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 503, NULL, "");
	far_side_drop_after(w.service);		/* on a used connection: tried once more on a new one */
	far_side_drop_after(w.service);
	far_side_answer(w.service, 413, NULL, "");
	assert_int_equal(put(&w, 0)->verdict, SINK_LATER);
	assert_int_equal(put(&w, 0)->verdict, SINK_LATER);
	assert_int_equal(put(&w, 0)->verdict, SINK_TOO_BIG);
	w.batches[0].n = 5;
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(put(&w, 1)->verdict, SINK_DELIVERED);
	for (size_t i = 0; i < 6; i++)
		id[i] = far_side_header(far_side_request(w.service, i), "x-ms-client-request-id");
	assert_true(slice_eq(id[0], id[1]));
	assert_true(slice_eq(id[0], id[2]));
	assert_true(slice_eq(id[0], id[3]));
	assert_false(slice_eq(id[0], id[4]));
	assert_false(slice_eq(id[4], id[5]));
	assert_false(slice_eq(id[0], id[5]));
	end(&w);
}

/* ---- verdicts ---------------------------------------------------------------------- */

static void
each_status_has_its_verdict(void **state)
{
	static const struct { int status; enum sink_verdict verdict; } cases[] = {
		{ 204, SINK_DELIVERED }, { 200, SINK_DELIVERED }, { 202, SINK_DELIVERED },
		{ 400, SINK_REFUSED }, { 413, SINK_TOO_BIG }, { 403, SINK_HELD }, { 404, SINK_HELD },
		{ 408, SINK_LATER }, { 429, SINK_LATER }, { 500, SINK_LATER }, { 502, SINK_LATER }, { 503, SINK_LATER },
		{ 504, SINK_LATER }, { 301, SINK_LATER }, { 307, SINK_LATER }, { 405, SINK_LATER }, { 409, SINK_LATER },
		{ 411, SINK_LATER }, { 415, SINK_LATER }, { 418, SINK_LATER }, { 451, SINK_LATER },
	};
	struct world w;

	(void)state;
	begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct told *t;
		char status[8];

		far_side_answer(w.service, cases[i].status, NULL, "");
		t = put(&w, 0);
		if (t->verdict != cases[i].verdict)
			fail_msg("%d: verdict %d", cases[i].status, (int)t->verdict);
		assert_int_equal(t->wait_ms, 0);
		snprintf(status, sizeof(status), "%d", cases[i].status);
		if (t->verdict != SINK_DELIVERED)
			assert_non_null(strstr(t->why.text, status));
		assert_quiet(&t->why);
	}
	assert_int_equal(far_side_count(w.service), sizeof(cases) / sizeof(cases[0]));
	assert_int_equal(far_side_count(w.authority), 1);
	end(&w);
}

static void
retry_after_sets_the_wait_however_long(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 429, "Retry-After: 30\r\n", "");
	far_side_answer(w.service, 503, "Retry-After: 7200\r\n", "");
	far_side_answer(w.service, 429, "Date: Sat, 31 Jan 2026 11:59:59 GMT\r\nRetry-After: Sat, 31 Jan 2026 12:01:29 GMT\r\n", "");
	far_side_answer(w.service, 429, "Retry-After: Sat, 31 Jan 2026 12:01:29 GMT\r\n", "");
	assert_int_equal(put(&w, 0)->wait_ms, 30000);
	assert_int_equal(put(&w, 0)->wait_ms, 7200000);
	assert_int_equal(put(&w, 0)->wait_ms, 90000);
	assert_int_equal(put(&w, 0)->wait_ms, 90000);
	for (int i = 0; i < w.n; i++)
		assert_int_equal(w.told[i].verdict, SINK_LATER);
	end(&w);
}

static void
no_answer_is_later_whenever_the_connection_ends(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_drop_before(w.service);
	far_side_drop_after(w.service);
	far_side_cut_answer(w.service, 200, "{\"half\":1}");
	for (int i = 0; i < 3; i++) {
		const struct told *t = put(&w, 0);

		assert_int_equal(t->verdict, SINK_LATER);
		assert_non_null(strstr(t->why.text, "127.0.0.1"));
		assert_quiet(&t->why);
	}
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	end(&w);
}

static void
a_status_counts_however_large_its_body(void **state)
{
	const size_t n = 3 << 20;
	char *huge = malloc(n + 1);
	struct world w;

	(void)state;
	assert_non_null(huge);
	memset(huge, 'x', n);
	huge[n] = '\0';
	begin(&w, "");
	far_side_answer(w.service, 202, NULL, huge);
	far_side_answer(w.service, 413, NULL, huge);
	far_side_answer(w.service, 503, NULL, huge);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(put(&w, 0)->verdict, SINK_TOO_BIG);
	assert_int_equal(put(&w, 0)->verdict, SINK_LATER);
	assert_int_equal(far_side_count(w.service), 3);
	free(huge);
	end(&w);
}

static void
silence_is_later_after_the_timeout(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "  timeout: 20s\n");
	far_side_stall(w.service);
	sink_kind_sentinel.put(&w.sink, &w.batches[0]);
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; far_side_count(w.service) == 0 && far_side_real_ms() < until_ms; )
		loop_turn(w.loop, 5);
	clock_fake_advance(19999);
	loop_turn(w.loop, 5);
	assert_int_equal(w.n, 0);
	clock_fake_advance(1);
	turn_until(&w, 1);
	assert_int_equal(w.told[0].verdict, SINK_LATER);
	end(&w);
}

/* ---- 401, 403, 404 ------------------------------------------------------------------ */

static void
a_401_is_answered_by_one_new_token_at_once(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 401, NULL, "");
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.service), 2);
	assert_int_equal(far_side_count(w.authority), 2);
	assert_header(far_side_request(w.service, 0), "Authorization", "Bearer " TOKEN_1);
	assert_header(far_side_request(w.service, 1), "Authorization", "Bearer " TOKEN_2);
	assert_true(slice_eq(far_side_header(far_side_request(w.service, 0), "x-ms-client-request-id"),
	    far_side_header(far_side_request(w.service, 1), "x-ms-client-request-id")));
	end(&w);
}

static void
a_401_to_a_fresh_token_holds_the_sink_and_the_next_try_takes_another(void **state)
{
	const struct told *t;
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 401, NULL, "");
	far_side_answer(w.service, 401, NULL, "{\"error\":{\"code\":\"InvalidToken\",\"message\":\"no\"}}");
	t = put(&w, 0);
	assert_int_equal(t->verdict, SINK_HELD);
	assert_int_equal(t->why.kind, ERR_DENIED);
	assert_non_null(strstr(t->why.text, "401 InvalidToken"));
	assert_int_equal(far_side_count(w.service), 2);
	assert_int_equal(far_side_count(w.authority), 2);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.authority), 3);
	end(&w);
}

static void
four_401s_at_once_ask_for_one_new_token(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	for (int i = 0; i < 4; i++)
		far_side_answer(w.service, 401, NULL, "");
	for (int i = 0; i < 4; i++)
		sink_kind_sentinel.put(&w.sink, &w.batches[i]);
	turn_until(&w, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(w.told[i].verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.authority), 2);
	assert_int_equal(far_side_count(w.service), 8);
	end(&w);
}

static void
a_late_401_to_an_old_token_does_not_spoil_the_new_one(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_stall(w.service);
	far_side_answer(w.service, 401, NULL, "");
	far_side_answer(w.service, 204, NULL, "");
	far_side_answer(w.service, 204, NULL, "");
	far_side_otherwise(w.service, 401, NULL, "");	/* what the stalled one gets */
	sink_kind_sentinel.put(&w.sink, &w.batches[0]);
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; far_side_count(w.service) < 1 && far_side_real_ms() < until_ms; )
		loop_turn(w.loop, 5);
	assert_int_equal(put(&w, 1)->verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.authority), 2);
	far_side_release(w.service);
	turn_until(&w, 2);
	assert_int_equal(w.told[1].verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.authority), 2);
	end(&w);
}

static void
a_403_names_both_causes_the_code_and_both_request_ids(void **state)
{
	const struct told *t;
	struct slice id;
	char guid[64];
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 403, "x-ms-request-id: 11112222-aaaa\r\n",
	    "{\"error\":{\"code\":\"OperationFailed\",\"message\":\"The authentication token provided does not have access\"}}");
	t = put(&w, 0);
	assert_int_equal(t->verdict, SINK_HELD);
	assert_non_null(strstr(t->why.text, "403 OperationFailed"));
	assert_non_null(strstr(t->why.text, "Monitoring Metrics Publisher"));
	assert_non_null(strstr(t->why.text, "30 minutes"));
	assert_non_null(strstr(t->why.text, "private link"));
	assert_non_null(strstr(t->why.text, "11112222-aaaa"));
	id = far_side_header(far_side_request(w.service, 0), "x-ms-client-request-id");
	snprintf(guid, sizeof(guid), "%.*s", SLICE_ARG(id));
	assert_non_null(strstr(t->why.text, guid));
	end(&w);
}

static void
a_404_names_rule_stream_and_endpoint(void **state)
{
	const struct told *t;
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 404, "x-ms-error-code: NotFound\r\n", "not json");
	t = put(&w, 0);
	assert_int_equal(t->verdict, SINK_HELD);
	assert_non_null(strstr(t->why.text, "404 NotFound"));
	assert_non_null(strstr(t->why.text, "Custom- or Microsoft-"));
	end(&w);
}

/* ---- what is said --------------------------------------------------------------------- */

static void
the_services_words_are_shown_cut_and_cleaned(void **state)
{
	char body[1024];
	const struct told *t;
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 400, NULL,
	    "{\"error\":{\"code\":\"InvalidPayload\",\"message\":\"column 'X'\\r\\n<3>forged \\u001b[31m line\"}}");
	snprintf(body, sizeof(body), "{\"error\":{\"code\":\"C\",\"message\":\"%0600d\"}}", 7);
	far_side_answer(w.service, 400, NULL, body);
	t = put(&w, 0);
	assert_non_null(strstr(t->why.text, "400 InvalidPayload: column 'X'"));
	for (const char *p = t->why.text; *p != '\0'; p++)
		assert_in_range((unsigned char)*p, 0x20, 0x7e);
	t = put(&w, 0);
	assert_int_equal(strspn(strstr(t->why.text, "C: ") + 3, "0"), 200);
	snprintf(body, sizeof(body), "{\"error\":{\"code\":\"C\",\"message\":\"%0180d Zk8Q~v1H3mT7pLw0xYb2NcRd5EfG\"}}", 0);
	far_side_answer(w.service, 400, NULL, body);
	t = put(&w, 0);			/* not even the part of a token that stands before the cut */
	assert_null(strstr(t->why.text, "Zk8Q"));
	assert_non_null(strstr(t->why.text, "00 [hidden]"));
	end(&w);
}

static void
what_is_told_of_a_good_answer_and_a_token_serves_who_looks_for_a_batch(void **state)
{
	const struct told *t;
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 204, "x-ms-request-id: 0f0e-42\r\n", "");
	t = put(&w, 0);
	assert_int_equal(t->verdict, SINK_DELIVERED);
	assert_non_null(strstr(t->why.text, "204; request 0f0e-42; client request "));
	assert_quiet(&t->why);
	assert_int_equal(w.deeds, 1);
	assert_non_null(strstr(w.did, "token by client_secret from 127.0.0.1: good for 3600 s, renewed in 2880 s"));
	assert_null(strstr(w.did, TOKEN_1));
	end(&w);
}

static void
words_that_repeat_a_record_or_the_token_are_not_shown(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":{\"code\":\"Bad\",\"message\":\"record {'a prompt that nobody but the sink may ever see'}\"}}",
		"{\"error\":{\"code\":\"Bad\",\"message\":\"header Bearer " TOKEN_1 " is wrong\"}}",
		"{\"error\":{\"code\":\"Bad\",\"message\":\"see, für größere Gäste schön übersetzt\"}}",	/* few ASCII letters in a row */
		"{\"error\":{\"code\":\"" TOKEN_1 "\",\"message\":\"x\"}}",
	};
	struct world w;

	(void)state;
	begin(&w, "");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		const struct told *t;

		far_side_answer(w.service, 400, NULL, bodies[i]);
		t = put(&w, 0);
		assert_int_equal(t->verdict, SINK_REFUSED);
		assert_quiet(&t->why);
		if (i < 3)
			assert_non_null(strstr(t->why.text, "400 Bad"));
	}
	far_side_answer(w.service, 400, "x-ms-request-id: nobody but the sink may ever see\r\n", "");
	assert_null(strstr(put(&w, 0)->why.text, "nobody but"));
	end(&w);
}

static void
a_clock_that_is_far_off_is_told(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	far_side_answer(w.service, 503, "Date: Sat, 31 Jan 2026 11:58:29 GMT\r\n", "");
	far_side_answer(w.service, 503, "Date: Sat, 31 Jan 2026 12:04:59 GMT\r\n", "");
	far_side_answer(w.service, 503, "Date: Sat, 31 Jan 2026 11:59:29 GMT\r\n", "");
	assert_non_null(strstr(put(&w, 0)->why.text, "clock is 90 s ahead"));
	assert_non_null(strstr(put(&w, 0)->why.text, "clock is 300 s behind"));
	assert_int_equal(w.warnings, 1);
	assert_null(strstr(put(&w, 0)->why.text, "clock"));
	far_side_answer(w.service, 204, "Date: Sat, 31 Jan 2026 12:04:59 GMT\r\n", "");
	far_side_answer(w.service, 204, "Date: Sat, 31 Jan 2026 12:04:59 GMT\r\n", "");
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(w.warnings, 2);		/* also where nothing is refused; once until it was right again */
	assert_non_null(strstr(w.warned, "clock is 300 s behind"));
	end(&w);
}

static void
the_auxiliary_plan_bounds_the_span_of_a_batch(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "  plan: auxiliary\n");
	assert_int_equal(w.sink.max_span_ms, 30 * 60 * 1000);
	end(&w);
	begin(&w, "");
	assert_int_equal(w.sink.max_span_ms, 0);
	far_side_answer(w.service, 400, NULL, "{\"error\":{\"code\":\"RecordsTimeRangeIsMoreThan30Minutes\",\"message\":\"m\"}}");
	assert_int_equal(put(&w, 0)->verdict, SINK_REFUSED);
	assert_int_equal(w.sink.max_span_ms, 30 * 60 * 1000);
	end(&w);
}

static void
times_that_the_service_will_not_keep_are_told_once(void **state)
{
	const int64_t hour_ms = 3600000;
	struct world w;

	(void)state;
	begin(&w, "");
	w.batches[0].v[3].time_ms = NOW_MS - 48 * hour_ms;
	w.batches[0].v[4].time_ms = NOW_MS + 24 * hour_ms;
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(w.warnings, 0);
	w.batches[1].v[9].time_ms = NOW_MS - 48 * hour_ms - 1;
	w.batches[2].v[0].time_ms = NOW_MS + 24 * hour_ms + 1;
	assert_int_equal(put(&w, 1)->verdict, SINK_DELIVERED);
	assert_int_equal(w.warnings, 1);
	assert_non_null(strstr(w.warned, "TimeGenerated"));
	assert_int_equal(put(&w, 2)->verdict, SINK_DELIVERED);
	assert_int_equal(w.warnings, 1);
	end(&w);
}

/* ---- tokens ------------------------------------------------------------------------------ */

static void
a_denied_token_holds_all_that_wait_for_it(void **state)
{
	struct world w;

	(void)state;
	prepare(&w, NULL);
	far_side_stop(w.authority);
	w.authority = far_side_start(NULL);
	far_side_otherwise(w.authority, 401, NULL,
	    "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: wrong " SECRET "\"}");
	open_with(&w, far_side_url(w.service), far_side_url(w.authority), "");
	for (int i = 0; i < 4; i++)
		sink_kind_sentinel.put(&w.sink, &w.batches[i]);
	turn_until(&w, 4);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(w.told[i].verdict, SINK_HELD);
		assert_non_null(strstr(w.told[i].why.text, "invalid_client"));
		assert_quiet(&w.told[i].why);
	}
	assert_int_equal(far_side_count(w.authority), 1);
	assert_int_equal(far_side_count(w.service), 0);
	end(&w);
}

static void
an_authority_that_is_down_means_later(void **state)
{
	struct world w;

	(void)state;
	prepare(&w, NULL);
	far_side_stop(w.authority);
	w.authority = far_side_start(NULL);
	far_side_answer(w.authority, 503, NULL, "");
	far_side_otherwise(w.authority, 200, NULL, "{\"access_token\":\"" TOKEN_1 "\",\"expires_in\":3600}");
	open_with(&w, far_side_url(w.service), far_side_url(w.authority), "");
	assert_int_equal(put(&w, 0)->verdict, SINK_LATER);
	assert_int_equal(put(&w, 0)->verdict, SINK_LATER);	/* too soon: told without a request */
	assert_int_equal(far_side_count(w.authority), 1);
	clock_fake_advance(5000);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	end(&w);
}

/* Tokens live 20 s; for two minutes a batch goes every half second, and none is sent with a token that has ended. */
static void
tokens_are_renewed_under_a_live_stream_without_a_single_wait(void **state)
{
	struct world w;
	size_t tokens;

	(void)state;
	prepare(&w, NULL);
	far_side_stop(w.authority);
	w.authority = far_side_start(NULL);
	for (int i = 0; i < 20; i++) {
		char body[128];

		snprintf(body, sizeof(body), "{\"access_token\":\"t%d\",\"expires_in\":20}", i);
		far_side_answer(w.authority, 200, NULL, body);
	}
	open_with(&w, far_side_url(w.service), far_side_url(w.authority), "");
	for (int half_s = 0; half_s < 240; half_s++) {
		char wanted[32];

		assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
		while (http_in_flight(w.http) > 0)
			loop_turn(w.loop, 5);
		snprintf(wanted, sizeof(wanted), "Bearer t%d", half_s / 32);
		assert_header(far_side_request(w.service, (size_t)half_s), "Authorization", wanted);
		clock_fake_advance(500);
		do
			loop_turn(w.loop, 5);
		while (http_in_flight(w.http) > 0);
	}
	tokens = far_side_count(w.authority);
	assert_int_equal(tokens, 8);
	end(&w);
}

/* ---- several at once ----------------------------------------------------------------------- */

static void
an_answer_may_put_the_next_batch_from_within(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	for (int i = 0; i < 4; i++)
		far_side_answer(w.service, 503, NULL, "");
	w.put_again = 40;
	for (int i = 0; i < 4; i++)
		sink_kind_sentinel.put(&w.sink, &w.batches[i]);
	/* After four refusals the pace is slow: the clock must move on. */
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; w.n < 44 && far_side_real_ms() < until_ms; clock_fake_advance(10))
		loop_turn(w.loop, 5);
	assert_int_equal(far_side_count(w.service), 44);
	assert_int_equal(far_side_count(w.authority), 1);
	assert_in_range(far_side_connections(w.service), 1, 4);
	end(&w);
}

static void
closing_with_batches_out_answers_none(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "");
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	far_side_stall(w.service);
	sink_kind_sentinel.put(&w.sink, &w.batches[0]);
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; far_side_count(w.service) < 2 && far_side_real_ms() < until_ms; )
		loop_turn(w.loop, 5);
	sink_kind_sentinel.close(&w.sink);
	for (int i = 0; i < 5; i++)
		loop_turn(w.loop, 1);
	assert_int_equal(w.n, 1);
	assert_int_equal(http_in_flight(w.http), 0);
	end(&w);
}

/* ---- TLS and proxy hold for both ends ---------------------------------------------------------- */

static struct far_side_options
tls_options(void)
{
	static char cert[512], key[512];

	snprintf(cert, sizeof(cert), "%s/server.pem", dir);
	snprintf(key, sizeof(key), "%s/server.key", dir);
	return (struct far_side_options){ .cert_file = cert, .key_file = key };
}

static void
one_tls_setting_holds_for_token_and_service(void **state)
{
	struct far_side_options o = tls_options();
	char more[512];
	struct world w;

	(void)state;
	prepare(&w, &o);
	snprintf(more, sizeof(more), "  tls: {ca_file: \"%s/ca.pem\"}\n", dir);
	open_with(&w, far_side_url(w.service), far_side_url(w.authority), more);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	end(&w);
}

static void
a_certificate_of_another_authority_holds_the_sink(void **state)
{
	struct far_side_options o = tls_options();
	char more[512];
	struct world w;

	(void)state;
	prepare(&w, &o);
	far_side_stop(w.authority);		/* a token comes in the clear: the service's certificate is judged */
	w.authority = far_side_start(NULL);
	far_side_otherwise(w.authority, 200, NULL, "{\"access_token\":\"" TOKEN_1 "\",\"expires_in\":3600}");
	snprintf(more, sizeof(more), "  tls: {ca_file: \"%s/other_ca.pem\"}\n", dir);
	open_with(&w, far_side_url(w.service), far_side_url(w.authority), more);
	assert_int_equal(put(&w, 0)->verdict, SINK_HELD);
	assert_int_equal(w.told[0].why.kind, ERR_CONFIG);
	assert_quiet(&w.told[0].why);
	assert_int_equal(far_side_count(w.service), 0);
	end(&w);
}

static void
one_proxy_holds_for_token_and_service(void **state)
{
	struct far_side_options o = tls_options();
	char more[512];
	struct world w;

	(void)state;
	prepare(&w, &o);
	snprintf(more, sizeof(more), "  tls: {ca_file: \"%s/ca.pem\"}\n  proxy: http://127.0.0.1:%u\n", dir,
	    far_side_port(w.authority));
	far_side_answer(w.authority, 204, NULL, "");	/* the batch comes here, too, after the token */
	open_with(&w, "https://x.ingest.monitor.azure.com", "https://login.microsoftonline.com", more);
	assert_int_equal(put(&w, 0)->verdict, SINK_DELIVERED);
	assert_int_equal(far_side_count(w.authority), 4);
	assert_string_equal(far_side_request(w.authority, 0)->target, "login.microsoftonline.com:443");
	assert_string_equal(far_side_request(w.authority, 2)->target, "x.ingest.monitor.azure.com:443");
	assert_string_equal(far_side_request(w.authority, 3)->target, PATH);
	end(&w);
}

/* ---- settings --------------------------------------------------------------------------------- */

static void
assert_refused(struct world *w, const char *yaml, const char *key)
{
	struct conf *conf = NULL;
	char problem[512];
	struct err err;

	if (load(&conf, yaml, problem, sizeof(problem)) == 0) {
		w->sink.priv = NULL;
		if (sink_kind_sentinel.open(&w->sink, conf_block(conf, "sink"), &err) == 0)
			fail_msg("accepted: %s", yaml);
		snprintf(problem, sizeof(problem), "%s", err.text);
		sink_kind_sentinel.close(&w->sink);
	}
	if (strstr(problem, key) == NULL)
		fail_msg("%s: %s", yaml, problem);
	assert_null(strstr(problem, "u:p"));
	conf_free(conf);
}

static void
settings_that_cannot_work_are_refused_by_name(void **state)
{
	static const char *const bad[][3] = {
		{ "http://x.ingest.monitor.azure.com", "", "endpoint" },
		{ "https://x.example.com", "", "endpoint" },
		{ "https://x.ingest.monitor.azure.com.evil.example", "", "endpoint" },
		{ "https://evilingest.monitor.azure.com", "", "endpoint" },
		{ "https://x.ingest.monitor.azure.com/path", "", "endpoint" },
		{ "https://x.ingest.monitor.azure.us", "", "endpoint" },
		{ "https://x.ingest.monitor.azure.com", "cloud: usgov, ", "endpoint" },
	};
	static const char *const lines[][2] = {
		{ "  rule: dcr-0123\n  stream: s\n", "rule" },
		{ "  rule: dcr-0123456789ABCDEF0123456789abcdef\n  stream: s\n", "rule" },
		{ "  rule: " RULE "\n  stream: a/b\n", "stream" },
		{ "  rule: " RULE "\n  stream: \"\"\n", "stream" },
		{ "  rule: " RULE "\n", "stream" },
		{ "  rule: " RULE "\n  stream: s\n  plan: gold\n", "plan" },
		{ "  rule: " RULE "\n  stream: s\n  proxy: http://u:p@h\n", "proxy" },
		{ "  rule: " RULE "\n  stream: s\n  timeout: 1h\n", "timeout" },
	};
	char yaml[1024];
	struct world w;

	(void)state;
	begin(&w, "");
	sink_kind_sentinel.close(&w.sink);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(yaml, sizeof(yaml), "sink:\n  endpoint: %s\n  rule: " RULE "\n  stream: s\n"
		    "  auth: {%stype: managed_identity}\n", bad[i][0], bad[i][1]);
		assert_refused(&w, yaml, bad[i][2]);
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		snprintf(yaml, sizeof(yaml), "sink:\n  endpoint: https://x.ingest.monitor.azure.com\n%s"
		    "  auth: {type: managed_identity}\n", lines[i][0]);
		assert_refused(&w, yaml, lines[i][1]);
	}
	end(&w);
}

static void
a_missing_ca_file_is_told_at_start(void **state)
{
	struct conf *conf = NULL;
	char problem[512];
	struct world w;
	struct err err;

	(void)state;
	begin(&w, "");
	assert_int_equal(load(&conf, "sink:\n  endpoint: https://x.ingest.monitor.azure.com\n  rule: " RULE "\n  stream: s\n"
	    "  auth: {type: managed_identity}\n  tls: {ca_file: /nowhere/ca.pem}\n", problem, sizeof(problem)), 0);
	sink_kind_sentinel.close(&w.sink);
	assert_int_equal(sink_kind_sentinel.open(&w.sink, conf_block(conf, "sink"), &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "/nowhere/ca.pem"));
	end(&w);				/* closes what is half open */
	conf_free(conf);
}

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("no_proxy");
	snprintf(dir, sizeof(dir), "%s/aispm-sentinel-XXXXXX", tmp != NULL ? tmp : "/tmp");
	if (mkdtemp(dir) == NULL)
		return -1;
	far_side_make_certs(dir);
	return 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	far_side_drop_certs(dir);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_posted_packed_to_its_stream_with_token_and_request_id),
		cmocka_unit_test(without_gzip_the_batch_goes_as_it_is),
		cmocka_unit_test(the_largest_batch_goes_packed_or_plain_whichever_is_smaller),
		cmocka_unit_test(a_batch_keeps_its_request_id_over_tries_and_its_half_gets_a_new_one),
		cmocka_unit_test(each_status_has_its_verdict),
		cmocka_unit_test(retry_after_sets_the_wait_however_long),
		cmocka_unit_test(no_answer_is_later_whenever_the_connection_ends),
		cmocka_unit_test(a_status_counts_however_large_its_body),
		cmocka_unit_test(silence_is_later_after_the_timeout),
		cmocka_unit_test(a_401_is_answered_by_one_new_token_at_once),
		cmocka_unit_test(a_401_to_a_fresh_token_holds_the_sink_and_the_next_try_takes_another),
		cmocka_unit_test(four_401s_at_once_ask_for_one_new_token),
		cmocka_unit_test(a_late_401_to_an_old_token_does_not_spoil_the_new_one),
		cmocka_unit_test(a_403_names_both_causes_the_code_and_both_request_ids),
		cmocka_unit_test(a_404_names_rule_stream_and_endpoint),
		cmocka_unit_test(the_services_words_are_shown_cut_and_cleaned),
		cmocka_unit_test(what_is_told_of_a_good_answer_and_a_token_serves_who_looks_for_a_batch),
		cmocka_unit_test(words_that_repeat_a_record_or_the_token_are_not_shown),
		cmocka_unit_test(a_clock_that_is_far_off_is_told),
		cmocka_unit_test(the_auxiliary_plan_bounds_the_span_of_a_batch),
		cmocka_unit_test(times_that_the_service_will_not_keep_are_told_once),
		cmocka_unit_test(a_denied_token_holds_all_that_wait_for_it),
		cmocka_unit_test(an_authority_that_is_down_means_later),
		cmocka_unit_test(tokens_are_renewed_under_a_live_stream_without_a_single_wait),
		cmocka_unit_test(an_answer_may_put_the_next_batch_from_within),
		cmocka_unit_test(closing_with_batches_out_answers_none),
		cmocka_unit_test(one_tls_setting_holds_for_token_and_service),
		cmocka_unit_test(a_certificate_of_another_authority_holds_the_sink),
		cmocka_unit_test(one_proxy_holds_for_token_and_service),
		cmocka_unit_test(settings_that_cannot_work_are_refused_by_name),
		cmocka_unit_test(a_missing_ca_file_is_told_at_start),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
