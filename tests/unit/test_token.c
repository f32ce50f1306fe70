/* test_token.c - asking for tokens, renewing them under a held clock, and what refusals say. */
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
#include "base/err.h"
#include "base/loop.h"
#include "far_side.h"
#include "net/token.h"

#define NOW_MS		UINT64_C(1769860799000)
#define SECRET		"a+b&c=d %~/"
#define ENCODED		"a%2Bb%26c%3Dd%20%25~%2F"
#define TENANT		"11111111-2222-3333-4444-555555555555"
#define CLIENT		"66666666-7777-8888-9999-000000000000"

struct world {
	struct loop	*loop;
	struct http	*http;
	struct far_side	*far;
	struct conf	*conf;
	struct token	*token;
	int		 answers;
	char		 bearer[64];
	struct err	 err;
};

static const struct conf_key top_keys[] = {
	{ .name = "auth", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = token_keys, .variant_key = "type",
	  .variant = token_variant, .variant_words = TOKEN_WORDS },
	CONF_END
};

/* -1 and the first problem's text, or 0. */
static int
load(struct conf **ret, const char *yaml, char *problem, size_t n)
{
	struct problems problems;
	struct err err;
	int rc;

	problems_init(&problems);
	rc = conf_load_text("t.yaml", slice_of(yaml), top_keys, ret, &problems, &err);
	snprintf(problem, n, "%s", problems.n > 0 ? problems.v[0].text : "");
	problems_fini(&problems);
	return rc;
}

static void
begin(struct world *w, const char *yaml_with_url)
{
	char yaml[2048], problem[512];
	struct err err;

	memset(w, 0, sizeof(*w));
	clock_fake(NOW_MS);
	setenv("AISPM_TEST_SECRET", SECRET, 1);
	w->far = far_side_start(NULL);
	w->loop = loop_new(&err);
	assert_int_equal(http_open(&w->http, w->loop, &err), 0);
	snprintf(yaml, sizeof(yaml), "auth: {%s: \"%s\"}\n", yaml_with_url, far_side_url(w->far));
	if (load(&w->conf, yaml, problem, sizeof(problem)) != 0)
		fail_msg("%s", problem);
	if (token_open(&w->token, w->http, w->loop, conf_block(w->conf, "auth"), NULL, NULL, &err) != 0)
		fail_msg("%s", err.text);
}

#define SECRET_YAML	"type: client_secret, tenant: " TENANT ", client_id: " CLIENT \
			", secret: {env: AISPM_TEST_SECRET}, authority"
#define IDENTITY_YAML	"type: managed_identity, endpoint"

static void
end(struct world *w)
{
	token_close(w->token);
	http_close(w->http);
	loop_free(w->loop);
	conf_free(w->conf);
	far_side_stop(w->far);
	unsetenv("AISPM_TEST_SECRET");
}

static void
got(void *arg, struct slice bearer, const struct err *err)
{
	struct world *w = arg;

	w->answers++;
	w->err = err != NULL ? *err : (struct err){ 0 };
	snprintf(w->bearer, sizeof(w->bearer), "%.*s", SLICE_ARG(bearer));
}

/* Turns until nothing is under way. */
static void
settle(struct world *w)
{
	uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS;

	do
		loop_turn(w->loop, 5);
	while (http_in_flight(w->http) > 0 && far_side_real_ms() < until_ms);
	assert_int_equal(http_in_flight(w->http), 0);
}

static void
get(struct world *w)
{
	int before = w->answers;

	token_get(w->token, got, w);
	if (w->answers == before)
		settle(w);
	assert_int_equal(w->answers, before + 1);
}

static void
answer_token(struct world *w, const char *token, int life_s)
{
	char body[256];

	snprintf(body, sizeof(body), "{\"token_type\":\"Bearer\",\"expires_in\":%d,\"access_token\":\"%s\"}", life_s, token);
	far_side_answer(w->far, 200, NULL, body);
}

static void
assert_no_secret(const char *text)
{
	assert_null(strstr(text, SECRET));
	assert_null(strstr(text, ENCODED));
}

/* ---- the requests ------------------------------------------------------------- */

static void
a_client_secret_is_sent_as_an_encoded_form(void **state)
{
	const struct far_side_request *r;
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 3600);
	get(&w);
	assert_string_equal(w.bearer, "t1");
	r = far_side_request(w.far, 0);
	assert_string_equal(r->method, "POST");
	assert_string_equal(r->target, "/" TENANT "/oauth2/v2.0/token");
	assert_true(slice_eq(far_side_header(r, "content-type"), SLICE("application/x-www-form-urlencoded")));
	assert_string_equal(r->body, "client_id=" CLIENT "&scope=https%3A%2F%2Fmonitor.azure.com%2F.default&client_secret="
	    ENCODED "&grant_type=client_credentials");
	end(&w);
}

static void
the_cloud_sets_the_scope(void **state)
{
	struct world w;

	(void)state;
	begin(&w, "cloud: usgov, " SECRET_YAML);
	answer_token(&w, "t1", 3600);
	get(&w);
	assert_non_null(strstr(far_side_request(w.far, 0)->body, "scope=https%3A%2F%2Fmonitor.azure.us%2F.default&"));
	end(&w);
	assert_string_equal(cloud_monitor_scope("china"), "https://monitor.azure.cn/.default");
	assert_string_equal(cloud_ingest_suffix("public"), ".ingest.monitor.azure.com");
	assert_string_equal(cloud_ingest_suffix("usgov"), ".ingest.monitor.azure.us");
	assert_null(cloud_ingest_suffix("moon"));
}

static void
the_secret_is_read_anew_for_each_request(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 20);
	get(&w);
	setenv("AISPM_TEST_SECRET", "second", 1);
	clock_fake_advance(21000);
	answer_token(&w, "t2", 20);
	get(&w);
	assert_string_equal(w.bearer, "t2");
	assert_non_null(strstr(far_side_request(w.far, far_side_count(w.far) - 1)->body, "client_secret=second&"));
	end(&w);
}

static void
a_missing_secret_is_the_operators_to_mend_and_no_request(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	unsetenv("AISPM_TEST_SECRET");
	get(&w);
	assert_int_equal(w.err.kind, ERR_CONFIG);
	assert_int_equal(far_side_count(w.far), 0);
	end(&w);
}

static void
a_managed_identity_asks_the_metadata_service_past_any_proxy(void **state)
{
	struct far_side *proxy = far_side_start(NULL);
	const struct far_side_request *r;
	struct world w;

	(void)state;
	setenv("http_proxy", far_side_url(proxy), 1);
	begin(&w, IDENTITY_YAML);
	far_side_answer(w.far, 200, NULL, "{\"access_token\":\"m1\",\"expires_in\":\"3599\",\"token_type\":\"Bearer\"}");
	get(&w);
	assert_string_equal(w.bearer, "m1");
	r = far_side_request(w.far, 0);
	assert_string_equal(r->method, "GET");
	assert_string_equal(r->target,
	    "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmonitor.azure.com");
	assert_true(slice_eq(far_side_header(r, "Metadata"), SLICE("true")));
	assert_int_equal(far_side_count(proxy), 0);
	end(&w);
	begin(&w, "client_id: " CLIENT ", " IDENTITY_YAML);
	get(&w);
	assert_non_null(strstr(far_side_request(w.far, 0)->target, "&client_id=" CLIENT));
	end(&w);
	begin(&w, "resource_id: /subscriptions/1/resourcegroups/g, " IDENTITY_YAML);
	get(&w);
	assert_non_null(strstr(far_side_request(w.far, 0)->target, "&msi_res_id=%2Fsubscriptions%2F1%2Fresourcegroups%2Fg"));
	end(&w);
	unsetenv("http_proxy");
	far_side_stop(proxy);
}

/* ---- the life of a token -------------------------------------------------------- */

static void
a_token_is_shared_until_four_fifths_of_its_life_and_then_renewed_unasked(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 20);
	answer_token(&w, "t2", 20);
	get(&w);
	clock_fake_advance(15999);
	settle(&w);
	get(&w);
	assert_string_equal(w.bearer, "t1");
	assert_int_equal(far_side_count(w.far), 1);
	clock_fake_advance(1);
	loop_turn(w.loop, 5);			/* the timer sends */
	assert_int_equal(http_in_flight(w.http), 1);
	token_get(w.token, got, &w);		/* meanwhile the old one serves */
	assert_string_equal(w.bearer, "t1");
	settle(&w);
	get(&w);
	assert_string_equal(w.bearer, "t2");
	assert_int_equal(far_side_count(w.far), 2);
	end(&w);
}

static void
a_failed_renewal_is_tried_again_while_the_old_token_serves_to_its_end(void **state)
{
	struct world w;
	size_t tries;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 20);
	far_side_otherwise(w.far, 503, NULL, "");
	get(&w);
	for (int ms = 0; ms < 19900; ms += 100) {
		clock_fake_advance(100);
		settle(&w);
		get(&w);
		assert_string_equal(w.bearer, "t1");
	}
	tries = far_side_count(w.far) - 1;
	assert_in_range(tries, 1, 4);		/* backing off, not at each turn */
	clock_fake_advance(100);
	get(&w);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	far_side_otherwise(w.far, 200, NULL, "{\"access_token\":\"t2\",\"expires_in\":20}");
	clock_fake_advance(60000);
	get(&w);
	assert_string_equal(w.bearer, "t2");
	end(&w);
}

static void
a_failed_renewal_is_tried_again_unasked(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 100);
	far_side_answer(w.far, 503, NULL, "");
	answer_token(&w, "t2", 100);
	get(&w);
	for (int s = 0; s < 90; s++) {
		clock_fake_advance(1000);
		settle(&w);
	}
	assert_int_equal(far_side_count(w.far), 3);
	token_get(w.token, got, &w);
	assert_string_equal(w.bearer, "t2");
	end(&w);
}

static void
a_spoiled_token_is_not_given_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	answer_token(&w, "t1", 3600);
	answer_token(&w, "t2", 3600);
	get(&w);
	token_spoiled(w.token);
	get(&w);
	assert_string_equal(w.bearer, "t2");
	get(&w);
	assert_string_equal(w.bearer, "t2");
	assert_int_equal(far_side_count(w.far), 2);
	end(&w);
}

static void
expiry_may_be_text_or_a_point_in_time(void **state)
{
	char body[128];
	struct world w;

	(void)state;
	begin(&w, IDENTITY_YAML);
	snprintf(body, sizeof(body), "{\"access_token\":\"m1\",\"expires_on\":\"%llu\"}", (unsigned long long)NOW_MS / 1000 + 20);
	far_side_answer(w.far, 200, NULL, body);
	get(&w);
	assert_string_equal(w.bearer, "m1");
	clock_fake_advance(15000);
	settle(&w);
	assert_int_equal(far_side_count(w.far), 1);
	clock_fake_advance(1000);
	settle(&w);
	assert_int_equal(far_side_count(w.far), 2);
	end(&w);
}

static void
no_token_lives_longer_than_a_week(void **state)
{
	static const char *const lives[] = { "604801", "18446744073709551", "9223372036854775807" };
	char body[128];
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
		begin(&w, IDENTITY_YAML);
		snprintf(body, sizeof(body), "{\"access_token\":\"m1\",\"expires_in\":\"%s\"}", lives[i]);
		far_side_answer(w.far, 200, NULL, body);
		get(&w);
		assert_string_equal(w.bearer, "m1");
		assert_int_equal(token_left_ms(w.token), UINT64_C(7) * 86400 * 1000);
		end(&w);
	}
}

static void
closing_forgets_the_one_who_waits(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	far_side_stall(w.far);
	token_get(w.token, got, &w);
	token_close(w.token);
	w.token = NULL;
	for (int i = 0; i < 5; i++)
		loop_turn(w.loop, 1);
	assert_int_equal(w.answers, 0);
	assert_int_equal(http_in_flight(w.http), 0);
	end(&w);
}

/* ---- refusals --------------------------------------------------------------------- */

static void
a_wrong_secret_is_denied_with_the_code_but_never_the_secret(void **state)
{
	static const char *const bodies[] = {
		"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid client secret provided.\\r\\nTrace: x\"}",
		"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: you sent a+b&c=d %~/ to me\"}",
		"{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: you sent " ENCODED " to me\"}",
		"{\"error\":\"" SECRET "\",\"error_description\":\"AADSTS7000215\"}",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		begin(&w, SECRET_YAML);
		far_side_answer(w.far, 401, NULL, bodies[i]);
		get(&w);
		assert_int_equal(w.err.kind, ERR_DENIED);
		assert_int_equal(strlen(w.bearer), 0);
		assert_non_null(strstr(w.err.text, i < 3 ? "401 invalid_client" : "AADSTS7000215"));
		if (i == 0) {
			assert_non_null(strstr(w.err.text, "AADSTS7000215: Invalid client secret provided."));
			assert_null(strstr(w.err.text, "Trace"));
		}
		assert_no_secret(w.err.text);
		end(&w);
	}
}

static void
what_passes_is_to_be_tried_again_and_what_does_not_is_denied(void **state)
{
	static const struct { const char *yaml; int status; const char *body; enum err_kind kind; } cases[] = {
		{ SECRET_YAML, 500, "", ERR_AGAIN }, { SECRET_YAML, 429, "{}", ERR_AGAIN },
		{ SECRET_YAML, 408, "x", ERR_AGAIN }, { SECRET_YAML, 302, "", ERR_AGAIN },
		{ SECRET_YAML, 400, "{\"error\":\"temporarily_unavailable\"}", ERR_AGAIN },
		{ SECRET_YAML, 400, "{\"error\":\"invalid_request\"}", ERR_DENIED },
		{ SECRET_YAML, 403, "[1", ERR_DENIED }, { SECRET_YAML, 404, "", ERR_DENIED },
		{ IDENTITY_YAML, 404, "", ERR_AGAIN }, { IDENTITY_YAML, 410, "", ERR_AGAIN },
		{ IDENTITY_YAML, 429, "", ERR_AGAIN }, { IDENTITY_YAML, 500, "", ERR_AGAIN },
		{ IDENTITY_YAML, 400, "{\"error\":\"invalid_request\",\"error_description\":\"Identity not found\"}", ERR_DENIED },
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(&w, cases[i].yaml);
		far_side_answer(w.far, cases[i].status, NULL, cases[i].body);
		get(&w);
		if (w.err.kind != cases[i].kind)
			fail_msg("case %zu: %s: %s", i, err_kind_name(w.err.kind), w.err.text);
		end(&w);
	}
}

static void
after_a_failure_the_next_request_waits_and_retry_after_is_obeyed(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	far_side_answer(w.far, 429, "Retry-After: 300\r\n", "");
	answer_token(&w, "t1", 3600);
	get(&w);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	clock_fake_advance(299999);
	get(&w);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_int_equal(far_side_count(w.far), 1);
	clock_fake_advance(1);
	get(&w);
	assert_string_equal(w.bearer, "t1");
	end(&w);
}

static void
a_dropped_connection_is_to_be_tried_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, SECRET_YAML);
	far_side_drop_after(w.far);
	get(&w);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_no_secret(w.err.text);
	end(&w);
}

static void
an_answer_without_a_usable_token_is_no_token(void **state)
{
	static const char *const bodies[] = {
		"", "[]", "{", "{\"access_token\":\"t\"}", "{\"expires_in\":3600}", "{\"access_token\":\"\",\"expires_in\":3600}",
		"{\"access_token\":\"a\\r\\nX-Forged: b\",\"expires_in\":3600}", "{\"access_token\":\"t\\u00e9\",\"expires_in\":3600}",
		"{\"access_token\":\"t\",\"expires_in\":0}", "{\"access_token\":\"t\",\"expires_in\":-5}",
		"{\"access_token\":7,\"expires_in\":3600}", "{\"access_token\":\"t\",\"expires_on\":\"1\"}",
		"{\"access_token\":\"t\",\"expires_on\":\"-9223372036854775808\"}", "{\"access_token\":\"t\",\"expires_in\":-9223372036854775808}",
	};
	struct world w;

	(void)state;
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		begin(&w, SECRET_YAML);
		far_side_answer(w.far, 200, NULL, bodies[i]);
		get(&w);
		if (w.err.kind != ERR_AGAIN || w.bearer[0] != '\0')
			fail_msg("body %zu made a token", i);
		assert_null(strstr(w.err.text, "Forged"));
		end(&w);
	}
}

/* ---- settings ----------------------------------------------------------------------- */

static void
settings_that_cannot_be_safe_are_refused(void **state)
{
	static const char *const bad[][2] = {
		{ "auth: {type: client_secret, tenant: t, client_id: c, secret: {env: X}, authority: http://login.example}", "https" },
		{ "auth: {type: client_secret, tenant: t, client_id: c, secret: {env: X}, authority: https://login.example}",
		  "login.microsoftonline.com" },
		{ "auth: {type: client_secret, cloud: usgov, tenant: t, client_id: c, secret: {env: X}, "
		  "authority: https://login.microsoftonline.com}", "login.microsoftonline.us" },
		{ "auth: {type: client_secret, tenant: \"a/../b\", client_id: c, secret: {env: X}}", "tenant" },
		{ "auth: {type: client_secret, tenant: t, client_id: \"c&d\", secret: {env: X}}", "an id" },
		{ "auth: {type: client_secret, tenant: t, client_id: c, secret: hunter2}", "literal" },
		{ "auth: {type: managed_identity, endpoint: http://10.0.0.1}", "loopback" },
		{ "auth: {type: managed_identity, endpoint: https://imds.example}", "loopback" },
		{ "auth: {type: managed_identity, client_id: a, resource_id: /subscriptions/x}", "not both" },
		{ "auth: {type: workload_identities}", "client_secret" },
		{ "auth: {type: managed_identity, cloud: moon}", "usgov" },
	};

	struct world w;

	(void)state;
	begin(&w, IDENTITY_YAML);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct conf *conf = NULL;
		struct token *token = NULL;
		char problem[512];
		int rc = load(&conf, bad[i][0], problem, sizeof(problem));

		if (rc == 0) {
			rc = token_open(&token, w.http, w.loop, conf_block(conf, "auth"), NULL, NULL, &w.err);
			snprintf(problem, sizeof(problem), "%s", w.err.text);
		}
		if (rc == 0)
			fail_msg("accepted: %s", bad[i][0]);
		if (strstr(problem, bad[i][1]) == NULL)
			fail_msg("%s: %s", bad[i][0], problem);
		assert_null(strstr(problem, "hunter2"));
		conf_free(conf);
	}
	end(&w);
}

static void
the_defaults_are_the_public_cloud_and_the_real_metadata_service(void **state)
{
	struct conf *conf = NULL;
	char problem[512];

	(void)state;
	assert_int_equal(load(&conf, "auth: {type: managed_identity}", problem, sizeof(problem)), 0);
	assert_string_equal(conf_text(conf_block(conf, "auth"), "endpoint"), "http://169.254.169.254");
	assert_string_equal(conf_text(conf_block(conf, "auth"), "cloud"), "public");
	conf_free(conf);
	conf = NULL;
	assert_int_equal(load(&conf, "auth: {type: client_secret, cloud: china, tenant: t, client_id: c, secret: {env: X}, "
	    "authority: https://login.partner.microsoftonline.cn}", problem, sizeof(problem)), 0);
	conf_free(conf);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_secret_is_sent_as_an_encoded_form),
		cmocka_unit_test(the_cloud_sets_the_scope),
		cmocka_unit_test(the_secret_is_read_anew_for_each_request),
		cmocka_unit_test(a_missing_secret_is_the_operators_to_mend_and_no_request),
		cmocka_unit_test(a_managed_identity_asks_the_metadata_service_past_any_proxy),
		cmocka_unit_test(a_token_is_shared_until_four_fifths_of_its_life_and_then_renewed_unasked),
		cmocka_unit_test(a_failed_renewal_is_tried_again_while_the_old_token_serves_to_its_end),
		cmocka_unit_test(a_failed_renewal_is_tried_again_unasked),
		cmocka_unit_test(a_spoiled_token_is_not_given_again),
		cmocka_unit_test(expiry_may_be_text_or_a_point_in_time),
		cmocka_unit_test(no_token_lives_longer_than_a_week),
		cmocka_unit_test(closing_forgets_the_one_who_waits),
		cmocka_unit_test(a_wrong_secret_is_denied_with_the_code_but_never_the_secret),
		cmocka_unit_test(what_passes_is_to_be_tried_again_and_what_does_not_is_denied),
		cmocka_unit_test(after_a_failure_the_next_request_waits_and_retry_after_is_obeyed),
		cmocka_unit_test(a_dropped_connection_is_to_be_tried_again),
		cmocka_unit_test(an_answer_without_a_usable_token_is_no_token),
		cmocka_unit_test(settings_that_cannot_be_safe_are_refused),
		cmocka_unit_test(the_defaults_are_the_public_cloud_and_the_real_metadata_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
