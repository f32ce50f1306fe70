/* test_identity.c - Azure Arc's challenge: only its own key files are believed, whatever the answer names. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "far_side.h"
#include "net/token.h"
#include "net/token_kinds.h"

struct world {
	struct loop	*loop;
	struct http	*http;
	struct far_side	*far;
	struct conf	*conf;
	struct token	*token;
	char		 dir[64], bearer[64];
	int		 answers;
	struct err	 err;
};

static const struct conf_key top_keys[] = {
	{ .name = "auth", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = token_keys, .variant_key = "type",
	  .variant = token_variant, .variant_words = TOKEN_WORDS },
	CONF_END
};

static void
begin(struct world *w)
{
	struct problems problems;
	char endpoint[160];
	struct err err = { 0 };

	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "/tmp/aispm-arc-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	token_arc_dir = w->dir;
	w->far = far_side_start(NULL);
	snprintf(endpoint, sizeof(endpoint), "%s/metadata/identity/oauth2/token", far_side_url(w->far));
	setenv("IDENTITY_ENDPOINT", endpoint, 1);
	w->loop = loop_new(&err);
	assert_int_equal(http_open(&w->http, w->loop, &err), 0);
	problems_init(&problems);
	assert_int_equal(conf_load_text("t", SLICE("auth: {type: azure_arc}"), top_keys, &w->conf, &problems, &err), 0);
	problems_fini(&problems);
	assert_int_equal(token_open(&w->token, w->http, w->loop, conf_block(w->conf, "auth"), NULL, NULL, &err), 0);
}

static const char *
key_path(struct world *w, const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	return path;
}

static void
write_key(struct world *w, const char *name, const char *content, size_t n)
{
	FILE *f = fopen(key_path(w, name), "w");

	assert_non_null(f);
	assert_int_equal(fwrite(content, 1, n, f), n);
	fclose(f);
}

static void
end(struct world *w)
{
	token_close(w->token);
	http_close(w->http);
	loop_free(w->loop);
	conf_free(w->conf);
	far_side_stop(w->far);
	unsetenv("IDENTITY_ENDPOINT");
	(void)unlink(key_path(w, "a.key"));
	(void)unlink(key_path(w, "a.txt"));
	assert_int_equal(rmdir(w->dir), 0);
}

static void
got(void *arg, struct slice bearer, const struct err *err)
{
	struct world *w = arg;

	w->answers++;
	w->err = err != NULL ? *err : (struct err){ 0 };
	snprintf(w->bearer, sizeof(w->bearer), "%.*s", SLICE_ARG(bearer));
}

static void
get(struct world *w)
{
	token_get(w->token, got, w);
	for (int i = 0; i < 12000 && w->answers == 0; i++)
		loop_turn(w->loop, 5);
	assert_int_equal(w->answers, 1);
}

static void
challenge(struct world *w, const char *path)
{
	char headers[512];

	snprintf(headers, sizeof(headers), "WWW-Authenticate: Basic realm=%s\r\n", path);
	far_side_answer(w->far, 401, headers, "{}");
}

static void
the_key_that_the_challenge_names_is_shown_and_a_token_comes(void **state)
{
	const struct far_side_request *r;
	struct world w;

	(void)state;
	begin(&w);
	write_key(&w, "a.key", "c2VjcmV0LWtleQ==\n", 17);
	challenge(&w, key_path(&w, "a.key"));
	far_side_answer(w.far, 200, NULL, "{\"access_token\":\"arc1\",\"expires_in\":\"3600\"}");
	get(&w);
	assert_string_equal(w.bearer, "arc1");
	assert_int_equal(far_side_count(w.far), 2);
	r = far_side_request(w.far, 0);
	assert_string_equal(r->target, "/metadata/identity/oauth2/token?api-version=2020-06-01&resource=https%3A%2F%2Fmonitor.azure.com");
	assert_true(slice_eq(far_side_header(r, "metadata"), SLICE("true")));
	assert_int_equal(far_side_header(r, "authorization").n, 0);
	r = far_side_request(w.far, 1);
	assert_true(slice_eq(far_side_header(r, "authorization"), SLICE("Basic c2VjcmV0LWtleQ==")));
	assert_true(slice_eq(far_side_header(r, "metadata"), SLICE("true")));
	end(&w);
}

static void
a_file_that_is_no_key_of_arc_is_never_read(void **state)
{
	static const char *const names[] = { "/etc/passwd", "%s/../a.key", "%s/sub/a.key", "%s/a.txt", "%sx/a.key", "%s/.key/", "%s/a\033[31m.key", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct world w;
		char path[256];

		begin(&w);
		write_key(&w, "a.txt", "text", 4);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(path, sizeof(path), names[i], w.dir);
#pragma GCC diagnostic pop
		challenge(&w, path);
		get(&w);
		assert_int_equal(w.err.kind, ERR_DENIED);
		assert_int_equal(far_side_count(w.far), 1);
		end(&w);
	}
}

static void
a_key_that_is_a_link_too_large_or_not_a_line_is_refused(void **state)
{
	char large[5000];
	struct world w;

	(void)state;
	memset(large, 'x', sizeof(large));
	for (int i = 0; i < 4; i++) {
		begin(&w);
		if (i == 0)
			assert_int_equal(symlink("/etc/hostname", key_path(&w, "a.key")), 0);
		else if (i == 1)
			write_key(&w, "a.key", large, sizeof(large));
		else if (i == 2)
			write_key(&w, "a.key", "a\r\nX: y", 7);
		else
			write_key(&w, "a.key", "", 0);
		challenge(&w, key_path(&w, "a.key"));
		get(&w);
		assert_true(w.err.kind == ERR_DENIED || (i == 0 && w.err.kind == ERR_AGAIN));
		assert_int_equal(far_side_count(w.far), 1);
		assert_null(strstr(w.err.text, "xxx"));
		end(&w);
	}
}

static void
a_second_challenge_is_a_refusal(void **state)
{
	struct world w;

	(void)state;
	begin(&w);
	write_key(&w, "a.key", "key", 3);
	challenge(&w, key_path(&w, "a.key"));
	challenge(&w, key_path(&w, "a.key"));
	get(&w);
	assert_int_equal(w.err.kind, ERR_DENIED);
	assert_int_equal(far_side_count(w.far), 2);
	end(&w);
}

static void
an_endpoint_elsewhere_is_refused(void **state)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct token *token = NULL;
	struct loop *loop;
	struct http *http;
	struct err err = { 0 };

	(void)state;
	setenv("IDENTITY_ENDPOINT", "http://10.1.2.3:40342/x", 1);
	loop = loop_new(&err);
	assert_int_equal(http_open(&http, loop, &err), 0);
	problems_init(&problems);
	assert_int_equal(conf_load_text("t", SLICE("auth: {type: azure_arc}"), top_keys, &conf, &problems, &err), 0);
	assert_int_equal(token_open(&token, http, loop, conf_block(conf, "auth"), NULL, NULL, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, "IDENTITY_ENDPOINT"));
	problems_fini(&problems);
	conf_free(conf);
	http_close(http);
	loop_free(loop);
	unsetenv("IDENTITY_ENDPOINT");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_that_the_challenge_names_is_shown_and_a_token_comes),
		cmocka_unit_test(a_file_that_is_no_key_of_arc_is_never_read),
		cmocka_unit_test(a_key_that_is_a_link_too_large_or_not_a_line_is_refused),
		cmocka_unit_test(a_second_challenge_is_a_refusal),
		cmocka_unit_test(an_endpoint_elsewhere_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
