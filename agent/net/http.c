/*
 * http.c - libcurl's multi interface turned by our loop.
 *
 * libcurl's own short timers run on real time (a timerfd), since it measures real time itself; the limit on a whole
 * request is a timer of the loop. Finished calls are collected after libcurl has returned, so callbacks may do what
 * they like except close the whole thing.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/http.h"

#include <assert.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <curl/curl.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/easy.h"
#include "net/said.h"

#define TIMEOUT_MS		60000
#define ANSWER_BYTES		(1 << 20)
#define HEADER_BYTES		(64 << 10)
#define CONNECTIONS		32L

struct watch {
	struct http	*http;
	curl_socket_t	 fd;
	struct loop_fd	*ready;
	struct watch	*prev, *next;
};

struct http_call {
	struct http		*http;
	CURL			*easy;
	struct curl_slist	*lines;		/* request headers */
	struct loop_timer	*timer;
	uint32_t		 timeout_ms;
	struct buf		 headers, body;	/* of the answer */
	bool			 too_big, short_of_memory, finishing;
	bool			 head_counts, head_whole;
	uint64_t		 body_bytes;	/* of the request */
	bool			 blind;		/* its connection cannot be watched */
	void			(*done)(void *arg, const struct http_answer *);
	void			*arg;
	char			 host[256], why[CURL_ERROR_SIZE];
	struct http_call	*prev, *next;
};

struct http {
	struct loop		*loop;
	CURLM			*multi;
	int			 timer_fd;
	struct loop_fd		*timer;
	struct watch		*watches;
	struct http_call	*calls;
	size_t			 in_flight;
	bool			 collecting, blind;	/* blind: some call is */
};

/* ---- ends of calls --------------------------------------------------------- */

static void
free_lines(struct curl_slist *lines)
{
	for (struct curl_slist *l = lines; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
	curl_slist_free_all(lines);
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

static void
free_call(struct http_call *c)
{
	if (c == NULL)
		return;
	if (c->easy != NULL) {
		curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	free_lines(c->lines);
	loop_timer_free(c->timer);
	wipe(&c->headers);
	wipe(&c->body);
	free(c);
}

static void
unlink_call(struct http_call *c)
{
	if (c->prev != NULL)
		c->prev->next = c->next;
	else
		c->http->calls = c->next;
	if (c->next != NULL)
		c->next->prev = c->prev;
	c->http->in_flight--;
}

/* The value of a header line of the answer, or an empty slice. Names are compared in any case. */
static struct slice
find_header(const struct http_answer *answer, const char *name)
{
	const struct http_call *c = answer->impl;
	struct slice all = buf_slice(&c->headers), wanted = slice_of(name);

	while (all.n > 0) {
		const char *nl = memchr(all.p, '\n', all.n);
		size_t n = nl != NULL ? (size_t)(nl - all.p) + 1 : all.n;
		struct slice line = { all.p, n };

		if (line.n > wanted.n && line.p[wanted.n] == ':' && slice_starts_nocase(line, wanted))
			return slice_trim(slice_make(line.p + wanted.n + 1, line.n - wanted.n - 1));
		all = slice_make(all.p + n, all.n - n);
	}
	return SLICE("");
}

static void
explain(const struct http_call *c, CURLcode code, struct err *err)
{
	char text[sizeof(err->text)];

	if (c->too_big)
		err_set(err, ERR_AGAIN, "%s: the answer is larger than %zu bytes", c->host, c->body.max_bytes);
	else if (c->short_of_memory)
		err_set(err, ERR_AGAIN, "%s: no memory for the answer", c->host);
	else if (code == CURLE_OPERATION_TIMEDOUT)
		err_set(err, ERR_AGAIN, "%s: no connection or answer in time", c->host);
	else
		err_set(err, easy_is_settings_fault(code) ? ERR_CONFIG : ERR_AGAIN, "%s: %s", c->host, easy_words(code, c->why));
	memcpy(text, err->text, sizeof(text));
	said_copy(slice_of(text), err->text, sizeof(err->text));
}

/* Whether a byte of the request can have left: it was ready to send, and what came then is not known. */
static bool
may_have_sent(CURL *easy)
{
	curl_off_t ready_us = 0, sent = 0;

	curl_easy_getinfo(easy, CURLINFO_PRETRANSFER_TIME_T, &ready_us);
	curl_easy_getinfo(easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return ready_us > 0 || sent > 0;
}

/* It was we who wanted no more of the body, and the far side had taken the whole request and said what became of it. */
static bool
has_answer(struct http_call *c)
{
	curl_off_t sent = 0;

	curl_easy_getinfo(c->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
	return c->head_counts && c->head_whole && (c->too_big || c->short_of_memory) && (uint64_t)sent >= c->body_bytes;
}

static void
finish(struct http_call *c, const struct err *failed)
{
	struct http_answer answer = { .body = SLICE(""), .retry_after_ms = -1, .header = find_header, .impl = c };
	long status = 0;

	c->finishing = true;
	unlink_call(c);
	answer.sent = may_have_sent(c->easy);
	if (failed != NULL && has_answer(c))
		failed = NULL;
	if (failed != NULL) {
		answer.err = failed;
		buf_reset(&c->headers);
	} else {
		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		answer.status = (int)status;
		if (c->body.n > 0)
			answer.body = buf_slice(&c->body);
		answer.date_ms = easy_date_ms(find_header(&answer, "Date"));
		answer.retry_after_ms = easy_retry_after_ms(find_header(&answer, "Retry-After"), answer.date_ms);
	}
	c->done(c->arg, &answer);
	free_call(c);
}

static void
timed_out(void *arg)
{
	struct http_call *c = arg;
	struct err err;

	err_set(&err, ERR_AGAIN, "%s: no answer within %u s", c->host, (c->timeout_ms + 999) / 1000);
	finish(c, &err);
}

/* To tell libcurl that a connection cannot be watched would end its whole handle for ever: the calls end instead. */
static void
end_blind(struct http *h)
{
	struct http_call *c = h->calls;
	struct err err;

	h->blind = false;
	while (c != NULL) {
		if (!c->blind) {
			c = c->next;
			continue;
		}
		err_set(&err, ERR_AGAIN, "%s: no memory to watch the connection", c->host);
		finish(c, &err);
		c = h->calls;		/* whatever `done` did to the list */
	}
}

static void
collect(struct http *h)
{
	CURLMsg *m;
	int left;

	if (h->collecting)
		return;
	h->collecting = true;
	while ((m = curl_multi_info_read(h->multi, &left)) != NULL) {
		struct http_call *c = NULL;
		CURLcode code = m->data.result;
		struct err err = { 0 };
		long status = 0;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		if (code == CURLE_OK && status >= 100 && status <= 999) {	/* libcurl takes more from "HTTP/2 2001" */
			finish(c, NULL);
		} else {
			explain(c, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code, &err);
			finish(c, &err);
		}
	}
	if (h->blind)
		end_blind(h);
	h->collecting = false;
}

/* ---- libcurl and the loop ---------------------------------------------------- */

static void
socket_ready(void *arg, unsigned ready)
{
	struct watch *w = arg;
	struct http *h = w->http;
	int running, what = 0;

	if (ready & LOOP_READ)
		what |= CURL_CSELECT_IN;
	if (ready & LOOP_WRITE)
		what |= CURL_CSELECT_OUT;
	curl_multi_socket_action(h->multi, w->fd, what, &running);	/* may free w */
	collect(h);
}

static void
drop_watch(struct watch *w)
{
	loop_unwatch(w->ready);
	if (w->prev != NULL)
		w->prev->next = w->next;
	else
		w->http->watches = w->next;
	if (w->next != NULL)
		w->next->prev = w->prev;
	free(w);
}

static struct watch *
add_watch(struct http *h, curl_socket_t fd, unsigned want)
{
	struct watch *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->http = h;
	w->fd = fd;
	w->ready = loop_watch(h->loop, fd, want, socket_ready, w, NULL);
	if (w->ready == NULL) {
		free(w);
		return NULL;
	}
	w->next = h->watches;
	if (w->next != NULL)
		w->next->prev = w;
	h->watches = w;
	return w;
}

static int
on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *mine)
{
	struct http *h = arg;
	struct watch *w = mine;
	unsigned want = 0;
	struct http_call *c = NULL;

	if (what == CURL_POLL_REMOVE) {
		if (w != NULL) {
			curl_multi_assign(h->multi, fd, NULL);
			drop_watch(w);
		}
		return 0;
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		want |= LOOP_READ;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		want |= LOOP_WRITE;
	if (w == NULL && (w = add_watch(h, fd, want)) != NULL) {
		curl_multi_assign(h->multi, fd, w);
		return 0;
	}
	if ((w == NULL || loop_rewatch(w->ready, want) != 0) &&
	    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c) == CURLE_OK && c != NULL)
		c->blind = h->blind = true;
	return 0;
}

static int
on_timer(CURLM *multi, long after_ms, void *arg)
{
	struct http *h = arg;
	struct itimerspec t = { 0 };

	(void)multi;
	if (after_ms > 0)
		t.it_value = (struct timespec){ after_ms / 1000, after_ms % 1000 * 1000000 };
	else if (after_ms == 0)
		t.it_value.tv_nsec = 1;
	return timerfd_settime(h->timer_fd, 0, &t, NULL) == 0 ? 0 : -1;
}

static void
timer_ready(void *arg, unsigned ready)
{
	struct http *h = arg;
	uint64_t times;
	int running;

	(void)ready;
	if (read(h->timer_fd, &times, sizeof(times)) != sizeof(times))
		return;
	curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	collect(h);
}

/* ---- the bytes of an answer --------------------------------------------------- */

static size_t
take(struct http_call *c, struct buf *b, const char *p, size_t n)
{
	if (b->max_bytes - b->n < n) {
		c->too_big = true;
		return 0;
	}
	buf_put(b, p, n);
	c->short_of_memory = b->failed;
	return b->failed ? 0 : n;
}

static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	long status = 0;

	if (size * n >= 5 && memcmp(p, "HTTP/", 5) == 0)
		buf_reset(&c->headers);		/* of an interim answer */
	if (size * n == 2 && p[0] == '\r' && curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
		c->head_whole = status >= 200;
	return take(c, &c->headers, p, size * n) == size * n ? size * n : 0;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	return take(c, &c->body, p, size * n);
}

/* ---- setting up a call -------------------------------------------------------- */

static bool
add_line(struct http_call *c, const char *line)
{
	struct curl_slist *lines = strpbrk(line, "\r\n") == NULL ? curl_slist_append(c->lines, line) : NULL;

	if (lines == NULL)
		return false;
	c->lines = lines;
	return true;
}

#define SET(option, value)	(good = good && curl_easy_setopt(e, (option), (value)) == CURLE_OK)

static bool
set_request(struct http_call *c, const struct http_request *r)
{
	CURL *e = c->easy;
	bool good = true;

	SET(CURLOPT_URL, r->url);
	if (strcmp(r->method, "GET") == 0 && r->body.n == 0) {
		SET(CURLOPT_HTTPGET, 1L);
	} else {
		SET(CURLOPT_POSTFIELDS, r->body.n > 0 ? r->body.p : "");
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
		if (strcmp(r->method, "POST") != 0)
			SET(CURLOPT_CUSTOMREQUEST, r->method);
		good = good && add_line(c, "Expect:");
	}
	for (size_t i = 0; r->headers != NULL && r->headers[i] != NULL; i++)
		good = good && add_line(c, r->headers[i]);
	SET(CURLOPT_HTTPHEADER, c->lines);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, c);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, c);
	SET(CURLOPT_ERRORBUFFER, c->why);
	SET(CURLOPT_PRIVATE, c);
	return good;
}

static struct http_call *
make_call(struct http *h, const struct http_request *r, struct err *err)
{
	struct http_call *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		err_set(err, ERR_AGAIN, "no memory for a request");
		return NULL;
	}
	c->http = h;
	c->timeout_ms = r->timeout_ms > 0 ? r->timeout_ms : TIMEOUT_MS;
	buf_init(&c->headers, HEADER_BYTES);
	buf_init(&c->body, r->max_answer_bytes > 0 ? r->max_answer_bytes : ANSWER_BYTES);
	c->timer = loop_timer_new(h->loop, timed_out, c, err);
	c->easy = curl_easy_init();
	if (!http_url_host(r->url, c->host, sizeof(c->host)) || c->timer == NULL || c->easy == NULL ||
	    !easy_secure(c->easy, r->policy, r->direct || http_url_is_local(r->url)) ||
	    !set_request(c, r)) {
		err_set(err, ERR_AGAIN, "the request cannot be prepared");
		free_call(c);
		return NULL;
	}
	return c;
}

int
http_send(struct http *h, const struct http_request *r, void (*done)(void *arg, const struct http_answer *), void *arg,
    struct http_call **ret, struct err *err)
{
	struct http_call *c;

	if (http_url_check(r->url, err) != 0 || (c = make_call(h, r, err)) == NULL)
		return -1;
	c->done = done;
	c->arg = arg;
	c->head_counts = r->head_counts;
	c->body_bytes = r->body.n;
	if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		free_call(c);
		return err_set(err, ERR_AGAIN, "the request cannot be started");
	}
	c->next = h->calls;
	if (c->next != NULL)
		c->next->prev = c;
	h->calls = c;
	h->in_flight++;
	loop_timer_set(c->timer, c->timeout_ms);
	if (ret != NULL)
		*ret = c;
	return 0;
}

void
http_cancel(struct http_call *c)
{
	if (c == NULL || c->finishing)
		return;
	unlink_call(c);
	free_call(c);
}

size_t
http_in_flight(const struct http *h)
{
	return h->in_flight;
}

/* ---- life ------------------------------------------------------------------- */

static CURLcode ready_code;

static void
make_ready(void)
{
	struct sigaction old;

	ready_code = curl_global_init(CURL_GLOBAL_DEFAULT);
	if (sigaction(SIGPIPE, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

int
http_open(struct http **ret, struct loop *loop, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct http *h;

	pthread_once(&once, make_ready);
	h = calloc(1, sizeof(*h));
	if (ready_code != CURLE_OK || h == NULL) {
		free(h);
		return err_set(err, ERR_AGAIN, "libcurl cannot be started");
	}
	h->loop = loop;
	h->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	h->multi = curl_multi_init();
	if (h->timer_fd < 0 || h->multi == NULL ||
	    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket) != CURLM_OK ||
	    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h) != CURLM_OK ||
	    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer) != CURLM_OK ||
	    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h) != CURLM_OK ||
	    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS) != CURLM_OK) {
		err_set(err, ERR_AGAIN, "libcurl cannot be set up");
		goto fail;
	}
	h->timer = loop_watch(loop, h->timer_fd, LOOP_READ, timer_ready, h, err);
	if (h->timer == NULL)
		goto fail;
	*ret = h;
	return 0;
fail:
	http_close(h);
	return -1;
}

void
http_close(struct http *h)
{
	if (h == NULL)
		return;
	assert(!h->collecting);
	while (h->calls != NULL)
		http_cancel(h->calls);
	if (h->multi != NULL)
		curl_multi_cleanup(h->multi);
	while (h->watches != NULL)
		drop_watch(h->watches);
	loop_unwatch(h->timer);
	if (h->timer_fd >= 0)
		close(h->timer_fd);
	free(h);
}
