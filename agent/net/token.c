/*
 * token.c - the life of an access token: fetched, shared, renewed ahead of its end, wiped.
 *
 * What differs between the kinds of identity is in token_kinds.c: how the request looks and what its answers mean.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/token.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "net/backoff.h"
#include "net/token_kinds.h"

#define TIMEOUT_MS	30000
#define BEARER_BYTES	(32 << 10)
#define ANSWER_BYTES	(128 << 10)
#define LEAST_WAIT_MS	1000
#define MOST_WAIT_MS	60000
#define DENIED_WAIT_MS	10000
#define HEADERS_MOST	4
#define LIFE_MOST_S	(7 * 86400)

struct token {
	struct http		*http;
	const struct http_policy *policy;
	const struct token_kind	*kind;
	struct token_ask	 ask;		/* whom, for what */
	struct token_wire	 wire;		/* the request under way, with its secret */
	struct http_call	*call;
	struct loop_timer	*timer;		/* renewal */
	struct backoff		 backoff;

	struct buf		 bearer;
	uint64_t		 renew_at_ms, until_ms, asked_at_ms;	/* clock_mono_ms */
	bool			 spoiled, challenged;
	uint64_t		 not_before_ms;	/* after a failure */
	struct err		 last;		/* that failure */

	void			(*got)(void *arg, struct slice bearer, const struct err *);
	void			*arg;
	void			(*told)(void *arg, const char *text);
	void			*told_arg;
};

static bool
is_good(const struct token *t)
{
	return t->bearer.n > 0 && !t->spoiled && clock_mono_ms() < t->until_ms;
}

static void
answer(struct token *t, const struct err *err)
{
	void (*got)(void *, struct slice, const struct err *) = t->got;
	struct err copy;

	if (got == NULL)
		return;
	t->got = NULL;
	if (err != NULL)
		copy = *err;
	got(t->arg, err == NULL ? buf_slice(&t->bearer) : SLICE_NONE, err == NULL ? NULL : &copy);
}

/* A failure in the background is tried again as long as the old token serves; after that, when someone asks. */
static void
failed(struct token *t, const struct err *err, int64_t retry_after_ms)
{
	uint64_t now_ms = clock_mono_ms();
	uint64_t wait_ms = err->kind == ERR_DENIED ? DENIED_WAIT_MS : backoff_next_ms(&t->backoff);

	if (retry_after_ms > 0 && (uint64_t)retry_after_ms > wait_ms)
		wait_ms = (uint64_t)retry_after_ms;
	t->last = *err;
	t->not_before_ms = now_ms + wait_ms;
	if (is_good(t) && t->not_before_ms < t->until_ms)
		loop_timer_set(t->timer, wait_ms);
	answer(t, err);
}

/* ---- the answer ------------------------------------------------------------ */

/* It becomes part of a header line: nothing but visible ASCII. */
static bool
is_bearer(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] <= 0x20 || (unsigned char)s.p[i] >= 0x7f)
			return false;
	return s.n > 0;
}

static int64_t
life_s(const struct json_doc *doc, int64_t date_ms)
{
	int64_t s = 0, on;

	if (json_get_i64(doc, 0, "expires_in", &s))
		return s;
	if (!json_get_i64(doc, 0, "expires_on", &on) || on < 0 || on > INT64_C(1) << 40)
		return 0;
	return on - (date_ms > 0 ? date_ms : (int64_t)clock_wall_ms()) / 1000;
}

/* A failure leaves the old token as it is. */
static int
take_token(struct token *t, struct json_reader *reader, const struct http_answer *a, struct err *err)
{
	struct json_doc doc;
	struct buf bearer;
	int64_t s;
	int rc = -1;

	buf_init(&bearer, BEARER_BYTES);
	json_doc_init(&doc, 1024);
	buf_reserve(&bearer, a->body.n < BEARER_BYTES ? a->body.n : BEARER_BYTES);	/* no copy is left behind */
	err_set(err, ERR_AGAIN, "%s: the answer holds no usable token", t->ask.host);
	if (json_read(reader, a->body, false, &doc, NULL) != 0 || doc.v[0].type != JSON_OBJECT ||
	    !json_get_text(&doc, 0, "access_token", &bearer) || bearer.failed || !is_bearer(buf_slice(&bearer)))
		goto out;
	s = life_s(&doc, a->date_ms);
	s = s < LIFE_MOST_S ? s : LIFE_MOST_S;
	if (s <= 0 || clock_mono_ms() >= t->asked_at_ms + (uint64_t)s * 1000) {
		err_set(err, ERR_AGAIN, "%s: the token it gave has ended already", t->ask.host);
		goto out;
	}
	token_wipe(&t->bearer);
	buf_fini(&t->bearer);
	t->bearer = bearer;
	buf_init(&bearer, 0);
	t->until_ms = t->asked_at_ms + (uint64_t)s * 1000;
	t->renew_at_ms = t->asked_at_ms + (uint64_t)s * 800;
	t->spoiled = false;
	rc = 0;
out:
	token_wipe(&bearer);
	buf_fini(&bearer);
	json_doc_fini(&doc);
	return rc;
}

static int
read_answer(struct token *t, const struct http_answer *a, struct err *err)
{
	struct json_reader *reader;
	int rc;

	if (a->status == 0) {
		*err = *a->err;
		return -1;
	}
	reader = json_reader_new();
	if (reader == NULL)
		return err_set(err, ERR_AGAIN, "no memory to read a token");
	if (a->status == 200)
		rc = take_token(t, reader, a, err);
	else
		rc = token_refused(t->kind, &t->ask, &t->wire, reader, a, err);
	json_reader_free(reader);
	return rc;
}

static int send_wire(struct token *, struct err *);

/* 1: the far side asked for more and gets it; 0: the answer is the last word. */
static int
answer_challenge(struct token *t, const struct http_answer *a, struct err *err)
{
	int rc = 0;

	if (t->kind->challenge == NULL || t->challenged || a->status == 0)
		return 0;
	t->challenged = true;
	rc = t->kind->challenge(&t->ask, &t->wire, a, err);
	return rc == 1 && send_wire(t, err) != 0 ? -1 : rc;
}

static void
tell(const struct token *t, uint64_t now_ms)
{
	char text[400];

	if (t->told == NULL)
		return;
	snprintf(text, sizeof(text), "token by %s from %s: good for %llu s, renewed in %llu s", t->kind->name, t->ask.host,
	    (unsigned long long)(t->until_ms - now_ms) / 1000, (unsigned long long)(t->renew_at_ms > now_ms ? t->renew_at_ms - now_ms : 0) / 1000);
	t->told(t->told_arg, text);
}

static void
answered(void *arg, const struct http_answer *a)
{
	struct token *t = arg;
	uint64_t now_ms = clock_mono_ms();
	struct err err = { 0 };
	int rc;

	t->call = NULL;
	rc = answer_challenge(t, a, &err);
	if (rc == 1)
		return;
	if (rc == 0)
		rc = read_answer(t, a, &err);
	token_wire_wipe(&t->wire);
	if (rc != 0) {
		failed(t, &err, a->retry_after_ms);
		return;
	}
	tell(t, now_ms);
	backoff_reset(&t->backoff);
	t->not_before_ms = 0;
	loop_timer_set(t->timer, t->renew_at_ms > now_ms ? t->renew_at_ms - now_ms : 0);
	answer(t, NULL);
}

/* ---- the request ------------------------------------------------------------ */

static int
send_wire(struct token *t, struct err *err)
{
	const char *headers[HEADERS_MOST + 2] = { NULL };
	struct http_request r = {
		.timeout_ms = TIMEOUT_MS, .max_answer_bytes = ANSWER_BYTES, .policy = t->policy,
		.direct = t->kind->direct, .method = t->kind->method, .headers = headers,
	};
	size_t n = 0;

	for (; t->kind->headers[n] != NULL; n++) {
		assert(n < HEADERS_MOST);
		headers[n] = t->kind->headers[n];
	}
	if (t->wire.header.n > 0)
		headers[n] = t->wire.header.p;
	buf_putc(&t->wire.url, '\0');
	if (t->wire.url.failed || t->wire.body.failed || t->wire.header.failed)
		return err_set(err, ERR_AGAIN, "no memory to ask for a token");
	r.url = t->wire.url.p;
	r.body = buf_slice(&t->wire.body);
	return http_send(t->http, &r, answered, t, &t->call, err);
}

static int
send_request(struct token *t, struct err *err)
{
	t->challenged = false;
	return t->kind->write(&t->ask, &t->wire, err) != 0 ? -1 : send_wire(t, err);
}

static void
fetch(struct token *t)
{
	struct err err = { 0 };

	if (t->call != NULL)
		return;
	loop_timer_unset(t->timer);
	t->asked_at_ms = clock_mono_ms();
	if (send_request(t, &err) == 0)
		return;
	token_wire_wipe(&t->wire);
	failed(t, &err, -1);
}

static void
renew(void *arg)
{
	fetch(arg);
}

void
token_get(struct token *t, void (*got)(void *arg, struct slice bearer, const struct err *), void *arg)
{
	uint64_t now_ms = clock_mono_ms();

	assert(t->got == NULL);
	t->got = got;
	t->arg = arg;
	if (is_good(t)) {
		if (now_ms >= t->renew_at_ms && now_ms >= t->not_before_ms) {
			t->got = NULL;		/* the fetch is for the next one */
			fetch(t);
			t->got = got;
		}
		answer(t, NULL);
	} else if (t->call == NULL && now_ms < t->not_before_ms) {
		answer(t, &t->last);
	} else {
		fetch(t);
	}
}

void
token_on_news(struct token *t, void (*told)(void *arg, const char *text), void *arg)
{
	t->told = told;
	t->told_arg = arg;
}

void
token_spoiled(struct token *t)
{
	t->spoiled = true;
}

uint64_t
token_left_ms(const struct token *t)
{
	return is_good(t) ? t->until_ms - clock_mono_ms() : 0;
}

/* ---- life ------------------------------------------------------------------- */

int
token_open(struct token **ret, struct http *http, struct loop *loop, const struct conf *auth, const char *scope,
    const struct http_policy *policy, struct err *err)
{
	struct token *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a token");
	t->http = http;
	t->policy = policy;
	backoff_init(&t->backoff, LEAST_WAIT_MS, MOST_WAIT_MS);
	buf_init(&t->bearer, BEARER_BYTES);
	token_wire_init(&t->wire);
	t->kind = token_kind_find(conf_text(auth, "type"));
	assert(t->kind != NULL);
	if (token_ask_from(&t->ask, t->kind, auth, scope, err) != 0 ||
	    (t->timer = loop_timer_new(loop, renew, t, err)) == NULL) {
		token_close(t);
		return -1;
	}
	*ret = t;
	return 0;
}

void
token_close(struct token *t)
{
	if (t == NULL)
		return;
	http_cancel(t->call);
	loop_timer_free(t->timer);
	token_wipe(&t->bearer);
	buf_fini(&t->bearer);
	token_wire_fini(&t->wire);
	free(t);
}
