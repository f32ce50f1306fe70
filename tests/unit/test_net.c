/* test_net.c - backoff, which URLs are let through, and requests against a scripted far side. */
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
#include "net/backoff.h"
#include "net/easy.h"
#include "net/http.h"
#include "net/said.h"

#define SECRET	"Authorization: Bearer s3cr3t-token-value"

static char dir[256];

struct world {
	struct loop	*loop;
	struct http	*http;
	struct far_side	*far;
	/* the last answer */
	int		 answers, status;
	struct err	 err;
	char		 body[256], header[128];
	size_t		 body_n;
	int64_t		 retry_after_ms, date_ms;
	bool		 sent;
};

static const char *
in_dir(const char *name)
{
	static char path[4][512];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, 512, "%s/%s", dir, name);
	return p;
}

static void
remember(void *arg, const struct http_answer *a)
{
	struct world *w = arg;
	struct slice header = a->header(a, "x-told");

	w->answers++;
	w->status = a->status;
	w->err = a->err != NULL ? *a->err : (struct err){ 0 };
	w->body_n = a->body.n;
	snprintf(w->body, sizeof(w->body), "%.*s", SLICE_ARG(a->body));
	snprintf(w->header, sizeof(w->header), "%.*s", SLICE_ARG(header));
	w->retry_after_ms = a->retry_after_ms;
	w->date_ms = a->date_ms;
	w->sent = a->sent;
}

static void
turn_until(struct world *w, int answers)
{
	uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS;

	while (w->answers < answers && far_side_real_ms() < until_ms)
		loop_turn(w->loop, 20);
	assert_int_equal(w->answers, answers);
}

static void
begin(struct world *w, const struct far_side_options *o)
{
	struct err err;

	memset(w, 0, sizeof(*w));
	unsetenv("http_proxy");
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("no_proxy");
	w->far = far_side_start(o);
	w->loop = loop_new(&err);
	assert_non_null(w->loop);
	assert_int_equal(http_open(&w->http, w->loop, &err), 0);
}

static void
end(struct world *w)
{
	http_close(w->http);
	loop_free(w->loop);
	far_side_stop(w->far);
}

static void
ask(struct world *w, struct http_request r)
{
	int before = w->answers;

	if (r.method == NULL)
		r.method = "GET";
	assert_int_equal(http_send(w->http, &r, remember, w, NULL, &w->err), 0);
	assert_int_equal(w->answers, before);		/* never from within */
	turn_until(w, before + 1);
}

static void
post(struct world *w, const char *path, const struct http_policy *policy)
{
	static const char *const headers[] = { SECRET, "Content-Type: application/json", NULL };
	char url[512];

	snprintf(url, sizeof(url), "%s%s", far_side_url(w->far), path);
	ask(w, (struct http_request){ .method = "POST", .url = url, .headers = headers, .body = SLICE("[{\"a\":1}]"),
		.policy = policy });
}

/* ---- backoff ------------------------------------------------------------------ */

static void
waits_double_up_to_the_limit_and_spread_over_the_upper_half(void **state)
{
	struct backoff b;
	uint32_t most = 0;

	(void)state;
	for (int round = 0; round < 200; round++) {
		backoff_init(&b, 100, 3000);
		for (uint32_t step = 200, i = 0; i < 8; i++, step = step * 2 > 3000 ? 3000 : step * 2) {
			uint32_t ms = backoff_next_ms(&b);

			assert_in_range(ms, step / 2, step);
			most = ms > most ? ms : most;
		}
		backoff_reset(&b);
		assert_in_range(backoff_next_ms(&b), 100, 200);
	}
	assert_in_range(most, 2000, 3000);
}

/* ---- URLs ------------------------------------------------------------------------ */

static void
plain_http_goes_only_to_loopback_and_the_metadata_service(void **state)
{
	static const char *const good[] = {
		"https://x.eastus-1.ingest.monitor.azure.com", "https://10.0.0.1:8443/a?b=c", "http://127.0.0.1:80/",
		"http://127.9.8.7", "http://localhost:1234/x", "http://LOCALHOST", "http://[::1]:8080/",
		"http://169.254.169.254/metadata/identity", "http://localhost:40342/metadata",
	};
	static const char *const bad[] = {
		"http://x.ingest.monitor.azure.com", "http://127.0.0.1.evil.example/", "http://localhost.evil.example/",
		"http://169.254.169.254:8080/", "http://169.254.169.253/", "http://10.0.0.1/", "http://[::2]/",
		"http://127.0.0.1@evil.example/", "https://user:pass@host.example/", "ftp://127.0.0.1/", "file:///etc/passwd",
		"", "x", "https://", "https:// a/", "//host/", "http://evil.example#@127.0.0.1/", "gopher://127.0.0.1/",
	};
	struct err err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (http_url_check(good[i], &err) != 0)
			fail_msg("%s: %s", good[i], err.text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (http_url_check(bad[i], &err) != -1)
			fail_msg("%s was let through", bad[i]);
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_null(strstr(err.text, "pass@"));
	}
	assert_true(http_url_is_loopback("https://127.0.0.1/"));
	assert_false(http_url_is_loopback("http://169.254.169.254/"));
	assert_true(http_url_is_local("http://169.254.169.254/"));
	assert_true(http_url_is_origin("https://host:8443/"));
	assert_false(http_url_is_origin("https://host/path"));
	assert_false(http_url_is_origin("https://host?x"));
}

static void
a_refused_url_is_not_sent(void **state)
{
	struct world w;
	struct http_request r = { .method = "GET", .url = "http://192.0.2.1/?key=s3cr3t" };
	struct http_call *call = NULL;

	(void)state;
	begin(&w, NULL);
	assert_int_equal(http_send(w.http, &r, remember, &w, &call, &w.err), -1);
	assert_int_equal(w.err.kind, ERR_CONFIG);
	assert_non_null(strstr(w.err.text, "192.0.2.1"));
	assert_null(strstr(w.err.text, "s3cr3t"));
	assert_null(call);
	assert_int_equal(http_in_flight(w.http), 0);
	end(&w);
}

static void
a_proxy_is_none_or_a_url_of_a_known_scheme(void **state)
{
	(void)state;
	assert_null(http_wrong_proxy(NULL, "http://proxy.example:3128"));
	assert_null(http_wrong_proxy(NULL, "https://proxy.example"));
	assert_null(http_wrong_proxy(NULL, "socks5h://127.0.0.1:1080"));
	assert_null(http_wrong_proxy(NULL, "none"));
	assert_non_null(http_wrong_proxy(NULL, "ftp://proxy.example"));
	assert_non_null(http_wrong_proxy(NULL, "proxy.example:3128"));
	assert_non_null(http_wrong_proxy(NULL, ""));
}

/* ---- headers of answers ------------------------------------------------------------ */

static void
retry_after_is_seconds_or_a_date_seen_from_the_servers_clock(void **state)
{
	const int64_t date_ms = INT64_C(1769860799000);		/* Sat, 31 Jan 2026 11:59:59 GMT */

	(void)state;
	assert_int_equal(easy_date_ms(SLICE("Sat, 31 Jan 2026 11:59:59 GMT")), date_ms);
	assert_int_equal(easy_date_ms(SLICE("Saturday, 31-Jan-26 11:59:59 GMT")), date_ms);
	assert_int_equal(easy_date_ms(SLICE("nonsense")), 0);
	assert_int_equal(easy_retry_after_ms(SLICE("30"), 0), 30000);
	assert_int_equal(easy_retry_after_ms(SLICE("7200"), 0), 7200000);
	assert_int_equal(easy_retry_after_ms(SLICE("0"), 0), 0);
	assert_int_equal(easy_retry_after_ms(SLICE(""), 0), -1);
	assert_int_equal(easy_retry_after_ms(SLICE("-5"), 0), -1);
	assert_int_equal(easy_retry_after_ms(SLICE("soon"), 0), -1);
	assert_int_equal(easy_retry_after_ms(SLICE("99999999999999999999"), 0), INT64_C(7) * 86400 * 1000);
	assert_int_equal(easy_retry_after_ms(SLICE("1.5"), 0), -1);
	assert_int_equal(easy_retry_after_ms(SLICE("9223372036854775807"), 0), INT64_C(7) * 86400 * 1000);
	assert_int_equal(easy_retry_after_ms(SLICE("Sat, 31 Jan 2026 12:01:29 GMT"), date_ms), 90000);
	assert_int_equal(easy_retry_after_ms(SLICE("Sat, 31 Jan 2026 11:00:00 GMT"), date_ms), 0);
	clock_fake((uint64_t)date_ms + 60000);
	assert_int_equal(easy_retry_after_ms(SLICE("Sat, 31 Jan 2026 12:01:29 GMT"), 0), 30000);
}

/* ---- requests --------------------------------------------------------------------- */

static void
a_request_reaches_the_far_side_and_its_answer_comes_back(void **state)
{
	const struct far_side_request *r;
	struct world w;

	(void)state;
	begin(&w, NULL);
	far_side_answer(w.far, 429, "X-Told: once  \r\nRetry-After: 12\r\nDate: Sat, 31 Jan 2026 11:59:59 GMT\r\n", "slow down");
	post(&w, "/a%20b?c=d", NULL);
	assert_int_equal(w.status, 429);
	assert_string_equal(w.body, "slow down");
	assert_string_equal(w.header, "once");
	assert_int_equal(w.retry_after_ms, 12000);
	assert_int_equal(w.date_ms, INT64_C(1769860799000));
	assert_true(w.sent);
	r = far_side_request(w.far, 0);
	assert_string_equal(r->method, "POST");
	assert_string_equal(r->target, "/a%20b?c=d");
	assert_string_equal(r->body, "[{\"a\":1}]");
	assert_true(slice_eq(far_side_header(r, "authorization"), SLICE("Bearer s3cr3t-token-value")));
	assert_true(slice_eq(far_side_header(r, "user-agent"), SLICE("aispm-agent/" PACKAGE_VERSION)));
	assert_int_equal(far_side_header(r, "expect").n, 0);
	end(&w);
}

static void
the_connection_is_used_again(void **state)
{
	struct world w;

	(void)state;
	begin(&w, NULL);
	for (int i = 0; i < 5; i++)
		post(&w, "/", NULL);
	assert_int_equal(w.status, 204);
	assert_int_equal(w.retry_after_ms, -1);
	assert_int_equal(far_side_count(w.far), 5);
	assert_int_equal(far_side_connections(w.far), 1);
	end(&w);
}

static void
a_redirect_is_not_followed(void **state)
{
	char headers[128];
	struct world w;

	(void)state;
	begin(&w, NULL);
	snprintf(headers, sizeof(headers), "Location: %s/other\r\n", far_side_url(w.far));
	far_side_answer(w.far, 307, headers, "");
	post(&w, "/", NULL);
	assert_int_equal(w.status, 307);
	assert_int_equal(far_side_count(w.far), 1);
	end(&w);
}

static void
a_connection_dropped_before_or_after_the_request_is_no_answer(void **state)
{
	struct world w;

	(void)state;
	begin(&w, NULL);
	far_side_drop_after(w.far);
	post(&w, "/?q=s3cr3t", NULL);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_true(w.sent);
	assert_non_null(strstr(w.err.text, "127.0.0.1"));
	assert_null(strstr(w.err.text, "s3cr3t"));
	far_side_drop_before(w.far);
	post(&w, "/", NULL);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	post(&w, "/", NULL);
	assert_int_equal(w.status, 204);
	end(&w);
}

static void
half_an_answer_is_no_answer(void **state)
{
	struct world w;

	(void)state;
	begin(&w, NULL);
	far_side_cut_answer(w.far, 200, "0123456789");
	post(&w, "/", NULL);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_int_equal(w.body_n, 0);
	assert_true(w.sent);
	end(&w);
}

static void
a_refused_connection_has_surely_sent_nothing(void **state)
{
	struct world w;
	char url[64];

	(void)state;
	begin(&w, NULL);
	snprintf(url, sizeof(url), "%s", far_side_url(w.far));
	far_side_stop(w.far);
	w.far = NULL;
	ask(&w, (struct http_request){ .method = "POST", .url = url, .body = SLICE("x") });
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_false(w.sent);
	end(&w);
}

/* ---- words of a far side ---------------------------------------------------------- */

static void
credentials_in_a_far_sides_words_are_hidden(void **state)
{
	static const char *const cases[][2] = {
		{ "Bearer eyJhbGciOi.eyJhdWQi.c2lnbmF0dXJl is wrong", "Bearer [hidden] is wrong" },
		{ "header 'Authorization: bearer abcdefgh12345678'", "header 'Authorization: bearer [hidden]'" },
		{ "no Bearer token was sent", "no Bearer token was sent" },
		{ "Basic dXNlcjpwYXNzd29yZA==, realm", "Basic [hidden], realm" },
		{ "client_secret=abc8Q~xyz&grant_type=x", "client_secret=[hidden]&grant_type=x" },
		{ "{\"password\": \"hunter2\", \"user\": \"u\"}", "{\"password\": \"[hidden]\", \"user\": \"u\"}" },
		{ "SharedAccessSignature sr=x&sig=abc%2Fdef&se=1", "SharedAccessSignature sr=x&sig=[hidden]&se=1" },
		{ "at https://user:pass@proxy.example/path", "at https://[hidden]@proxy.example/path" },
		{ "got Zk8Q~v1H3mT7pLw0xYb2NcRd5EfG in it", "got [hidden] in it" },
		{ "Invalid client secret provided for app '0fa1b2c3-1111-2222-3333-444455556666'",
		  "Invalid client secret provided for app '0fa1b2c3-1111-2222-3333-444455556666'" },
		{ "stream Custom-AISPMEvents2026Production of dcr-0123456789abcdef0123456789abcdef",
		  "stream Custom-AISPMEvents2026Production of dcr-0123456789abcdef0123456789abcdef" },
		{ "scope /subscriptions/1111/resourceGroups/Group1/providers/Microsoft.Insights", "scope /subscriptions/1111/resourceGroups/Group1/providers/Microsoft.Insights" },
		{ "line\n<3>forged \033[31m \302\205", "line?" "<3>forged ?[31m ?" "?" },
		{ "", "" },
	};
	char got[400], shorter[9];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		said_copy(slice_of(cases[i][0]), got, sizeof(got));
		assert_string_equal(got, cases[i][1]);
	}
	said_copy(SLICE("0123456789"), shorter, sizeof(shorter));
	assert_string_equal(shorter, "01234567");
	assert_true(said_repeats(SLICE("it said hunter22 to me"), SLICE("my-hunter22!"), 8));
	assert_false(said_repeats(SLICE("it said hunter to me"), SLICE("my-hunter22!"), 8));
	assert_true(said_repeats(SLICE("a pw b"), SLICE("pw"), 8));
	assert_false(said_repeats(SLICE("anything"), SLICE(""), 8));
}

static void
an_answer_past_its_limit_is_an_error(void **state)
{
	struct world w;
	char *big = malloc(5001);

	(void)state;
	begin(&w, NULL);
	memset(big, 'x', 5000);
	big[5000] = '\0';
	far_side_answer(w.far, 200, NULL, big);
	far_side_answer(w.far, 200, NULL, big);
	ask(&w, (struct http_request){ .url = far_side_url(w.far), .max_answer_bytes = 4999 });
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_non_null(strstr(w.err.text, "larger than 4999 bytes"));
	ask(&w, (struct http_request){ .url = far_side_url(w.far), .max_answer_bytes = 5000 });
	assert_int_equal(w.status, 200);
	assert_int_equal(w.body_n, 5000);
	free(big);
	end(&w);
}

static void
silence_ends_at_the_timeout_by_the_loops_clock(void **state)
{
	struct world w;
	struct http_request r = { .method = "POST", .timeout_ms = 30000, .body = SLICE("x") };

	(void)state;
	begin(&w, NULL);
	clock_fake(INT64_C(1769860799000));
	far_side_stall(w.far);
	r.url = far_side_url(w.far);
	assert_int_equal(http_send(w.http, &r, remember, &w, NULL, &w.err), 0);
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; far_side_count(w.far) == 0 && far_side_real_ms() < until_ms; )
		loop_turn(w.loop, 5);
	clock_fake_advance(29999);
	loop_turn(w.loop, 5);
	assert_int_equal(w.answers, 0);
	clock_fake_advance(1);
	turn_until(&w, 1);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_AGAIN);
	assert_non_null(strstr(w.err.text, "within 30 s"));
	assert_true(w.sent);
	assert_int_equal(http_in_flight(w.http), 0);
	end(&w);
}

static void
a_cancelled_call_never_calls_back(void **state)
{
	struct world w;
	struct http_call *call = NULL;
	struct http_request r = { .method = "GET" };

	(void)state;
	begin(&w, NULL);
	r.url = far_side_url(w.far);
	assert_int_equal(http_send(w.http, &r, remember, &w, &call, &w.err), 0);
	assert_int_equal(http_in_flight(w.http), 1);
	http_cancel(call);
	assert_int_equal(http_in_flight(w.http), 0);
	far_side_stall(w.far);
	assert_int_equal(http_send(w.http, &r, remember, &w, &call, &w.err), 0);
	for (uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS; far_side_count(w.far) == 0 && far_side_real_ms() < until_ms; )
		loop_turn(w.loop, 5);
	http_close(w.http);		/* cancels the second */
	w.http = NULL;
	for (int i = 0; i < 10; i++)
		loop_turn(w.loop, 1);
	assert_int_equal(w.answers, 0);
	end(&w);
}

struct chain {
	struct world	*w;
	int		 left;
};

static void
send_next(void *arg, const struct http_answer *a)
{
	struct chain *c = arg;
	struct http_request r = { .method = "GET", .url = far_side_url(c->w->far) };

	assert_int_equal(a->status, 204);
	c->w->answers++;
	if (--c->left > 0)
		assert_int_equal(http_send(c->w->http, &r, send_next, c, NULL, NULL), 0);
}

static void
a_callback_may_send_the_next_request(void **state)
{
	struct world w;
	struct chain c = { &w, 5 };
	struct http_request r = { .method = "GET" };

	(void)state;
	begin(&w, NULL);
	r.url = far_side_url(w.far);
	assert_int_equal(http_send(w.http, &r, send_next, &c, NULL, NULL), 0);
	turn_until(&w, 5);
	end(&w);
}

static void
a_header_with_a_line_break_is_refused(void **state)
{
	static const char *const headers[] = { "X-A: b\r\nX-Forged: c", NULL };
	struct world w;
	struct http_request r = { .method = "GET", .headers = headers };

	(void)state;
	begin(&w, NULL);
	r.url = far_side_url(w.far);
	assert_int_equal(http_send(w.http, &r, remember, &w, NULL, &w.err), -1);
	end(&w);
}

/* ---- TLS --------------------------------------------------------------------------- */

static struct far_side_options
tls_as(const char *name)
{
	static char cert[512], key[512];

	snprintf(cert, sizeof(cert), "%s/%s.pem", dir, name);
	snprintf(key, sizeof(key), "%s/%s.key", dir, name);
	return (struct far_side_options){ .cert_file = cert, .key_file = key };
}

static void
an_own_ca_is_trusted_and_no_other(void **state)
{
	struct far_side_options o = tls_as("server");
	struct http_policy own = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") };
	struct http_policy other = { .ca_file = (char *)(uintptr_t)in_dir("other_ca.pem") };
	struct world w;

	(void)state;
	begin(&w, &o);
	post(&w, "/?q=s3cr3t", &other);
	assert_int_equal(w.status, 0);
	assert_int_equal(w.err.kind, ERR_CONFIG);
	assert_false(w.sent);
	assert_null(strstr(w.err.text, "s3cr3t"));
	post(&w, "/", NULL);			/* the system's authorities do not know it either */
	assert_int_equal(w.err.kind, ERR_CONFIG);
	assert_int_equal(far_side_count(w.far), 0);
	post(&w, "/", &own);
	assert_int_equal(w.status, 204);
	assert_int_equal(far_side_count(w.far), 1);
	post(&w, "/", &other);			/* nor is the open connection lent to another policy */
	assert_int_equal(w.status, 0);
	end(&w);
}

static void
a_strangers_or_expired_certificate_is_refused(void **state)
{
	static const char *const names[] = { "stranger", "past" };
	struct http_policy own = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct far_side_options o = tls_as(names[i]);
		struct world w;

		begin(&w, &o);
		post(&w, "/", &own);
		assert_int_equal(w.status, 0);
		assert_int_equal(w.err.kind, ERR_CONFIG);
		assert_int_equal(far_side_count(w.far), 0);
		end(&w);
	}
}

static void
tls_1_1_is_refused(void **state)
{
	struct far_side_options o = tls_as("server");
	struct http_policy own = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") };
	struct world w;

	(void)state;
	o.tls_1_1_only = true;
	begin(&w, &o);
	post(&w, "/", &own);
	assert_int_equal(w.status, 0);
	assert_int_not_equal(w.err.kind, ERR_NONE);
	assert_int_equal(far_side_count(w.far), 0);
	end(&w);
}

static void
a_client_certificate_is_shown_when_it_is_set(void **state)
{
	struct far_side_options o = tls_as("server");
	struct http_policy bare = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") }, with = bare;
	struct world w;

	(void)state;
	with.cert_file = (char *)(uintptr_t)in_dir("client.pem");
	with.key_file = (char *)(uintptr_t)in_dir("client.key");
	o.client_ca_file = in_dir("ca.pem");
	begin(&w, &o);
	post(&w, "/", &bare);
	assert_int_equal(w.status, 0);
	post(&w, "/", &with);
	assert_int_equal(w.status, 204);
	end(&w);
}

/* ---- proxies ------------------------------------------------------------------------- */

#define TARGET	"https://x.ingest.monitor.azure.com/dcr"

static void
the_proxy_setting_is_used(void **state)
{
	struct far_side_options o = tls_as("server");
	struct http_policy p = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") };
	struct world w;
	char proxy[64];

	(void)state;
	begin(&w, &o);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", far_side_port(w.far));
	p.proxy = proxy;
	ask(&w, (struct http_request){ .url = TARGET, .policy = &p });
	assert_int_equal(w.status, 204);
	assert_string_equal(far_side_request(w.far, 0)->method, "CONNECT");
	assert_string_equal(far_side_request(w.far, 0)->target, "x.ingest.monitor.azure.com:443");
	assert_string_equal(far_side_request(w.far, 1)->target, "/dcr");
	end(&w);
}

static void
without_a_setting_the_usual_variable_names_the_proxy(void **state)
{
	struct far_side_options o = tls_as("server");
	struct http_policy p = { .ca_file = (char *)(uintptr_t)in_dir("ca.pem") };
	struct world w;
	char proxy[64];

	(void)state;
	begin(&w, &o);
	snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", far_side_port(w.far));
	setenv("https_proxy", proxy, 1);
	ask(&w, (struct http_request){ .url = TARGET, .policy = &p });
	assert_int_equal(w.status, 204);
	assert_int_equal(far_side_count(w.far), 2);
	unsetenv("https_proxy");
	end(&w);
}

/* 192.0.2.1 is nobody's (RFC 5737). */
static void
direct_and_none_pass_the_proxy_by(void **state)
{
	struct http_policy none = { .proxy = (char *)(uintptr_t)HTTP_NO_PROXY };
	struct world w;

	(void)state;
	begin(&w, NULL);
	setenv("https_proxy", far_side_url(w.far), 1);
	ask(&w, (struct http_request){ .url = "https://192.0.2.1/", .direct = true, .timeout_ms = 100 });
	assert_int_equal(w.status, 0);
	ask(&w, (struct http_request){ .url = "https://192.0.2.1/", .policy = &none, .timeout_ms = 100 });
	assert_int_equal(w.status, 0);
	assert_int_equal(far_side_count(w.far), 0);
	unsetenv("https_proxy");
	end(&w);
}

static void
a_loopback_host_never_goes_through_a_proxy(void **state)
{
	struct world w;
	struct far_side *proxy = far_side_start(NULL);
	struct http_policy p = { .proxy = (char *)(uintptr_t)far_side_url(proxy) };

	(void)state;
	begin(&w, NULL);
	setenv("http_proxy", far_side_url(proxy), 1);
	post(&w, "/", NULL);
	assert_int_equal(w.status, 204);
	post(&w, "/", &p);
	assert_int_equal(w.status, 204);
	assert_int_equal(far_side_count(proxy), 0);
	assert_int_equal(far_side_count(w.far), 2);
	unsetenv("http_proxy");
	end(&w);
	far_side_stop(proxy);
}

/* ---- the program ------------------------------------------------------------------------ */

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/aispm-net-XXXXXX", tmp != NULL ? tmp : "/tmp");
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
		cmocka_unit_test(waits_double_up_to_the_limit_and_spread_over_the_upper_half),
		cmocka_unit_test(plain_http_goes_only_to_loopback_and_the_metadata_service),
		cmocka_unit_test(a_refused_url_is_not_sent),
		cmocka_unit_test(a_proxy_is_none_or_a_url_of_a_known_scheme),
		cmocka_unit_test(a_request_reaches_the_far_side_and_its_answer_comes_back),
		cmocka_unit_test(the_connection_is_used_again),
		cmocka_unit_test(a_redirect_is_not_followed),
		cmocka_unit_test(a_connection_dropped_before_or_after_the_request_is_no_answer),
		cmocka_unit_test(half_an_answer_is_no_answer),
		cmocka_unit_test(a_refused_connection_has_surely_sent_nothing),
		cmocka_unit_test(credentials_in_a_far_sides_words_are_hidden),
		cmocka_unit_test(an_answer_past_its_limit_is_an_error),
		cmocka_unit_test(a_cancelled_call_never_calls_back),
		cmocka_unit_test(a_callback_may_send_the_next_request),
		cmocka_unit_test(a_header_with_a_line_break_is_refused),
		cmocka_unit_test(an_own_ca_is_trusted_and_no_other),
		cmocka_unit_test(a_strangers_or_expired_certificate_is_refused),
		cmocka_unit_test(tls_1_1_is_refused),
		cmocka_unit_test(a_client_certificate_is_shown_when_it_is_set),
		cmocka_unit_test(the_proxy_setting_is_used),
		cmocka_unit_test(without_a_setting_the_usual_variable_names_the_proxy),
		cmocka_unit_test(direct_and_none_pass_the_proxy_by),
		cmocka_unit_test(a_loopback_host_never_goes_through_a_proxy),
		/* from here on the clock is held */
		cmocka_unit_test(retry_after_is_seconds_or_a_date_seen_from_the_servers_clock),
		cmocka_unit_test(silence_ends_at_the_timeout_by_the_loops_clock),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
