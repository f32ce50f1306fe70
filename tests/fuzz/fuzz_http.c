/*
 * fuzz_http.c - any bytes as what comes back on the wire, through libcurl and http.c: one callback, a status or an error, headers that are one line, times in
 * their bounds; then the words that the ingestion sink makes of it.
 */
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/socket.h>

#include "fixed.h"
#include "parts.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/http.h"
#include "sinks/sentinel/answer.h"

#define PORTS		16		/* taken in turn: a closed connection keeps its pair of ports for a minute */
#define BODY_MOST	(32u << 10)
#define TOKEN		"eyJ0eXAiOiJKV1QifQ.c2VjcmV0LXRva2Vu.c2ln"
#define BEARER		"Authorization: Bearer " TOKEN
#define BODY		"[{\"EventMessage\":\"a prompt that nobody else may read\"}]"
#define SHOWN		24

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int ports[PORTS];
static char urls[PORTS][40];
static struct loop *loop;
static struct buf bearer, body;
static unsigned heard;

static void
open_once(void)
{
	struct err err = { 0 };

	if (loop != NULL)
		return;
	loop = loop_new(&err);
	assert(loop != NULL);
	buf_init(&bearer, 1024);
	buf_init(&body, 1024);
	buf_puts(&bearer, BEARER);
	buf_puts(&body, BODY);
	for (int i = 0; i < PORTS; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t at_n = sizeof(at);

		ports[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert(ports[i] >= 0 && bind(ports[i], (struct sockaddr *)&at, sizeof(at)) == 0 && listen(ports[i], 8) == 0);
		assert(getsockname(ports[i], (struct sockaddr *)&at, &at_n) == 0);
		snprintf(urls[i], sizeof(urls[i]), "http://127.0.0.1:%u/", ntohs(at.sin_port));
	}
}

/* ---- the answer ---------------------------------------------------------------------------- */

static bool
shows(const char *text, const char *secret)
{
	for (size_t i = 0; i + SHOWN <= strlen(secret); i++)
		if (memmem(text, strlen(text), secret + i, SHOWN) != NULL)
			return true;
	return false;
}

static void
check_words(const struct http_answer *a)
{
	struct err why = { 0 };
	bool span = false;

	switch (sentinel_verdict(a->status)) {
	case SINK_DELIVERED: assert(a->status / 100 == 2); break;
	case SINK_REFUSED: assert(a->status == 400); break;
	case SINK_TOO_BIG: assert(a->status == 413); break;
	case SINK_HELD: assert(a->status == 401 || a->status == 403 || a->status == 404); break;
	case SINK_LATER: break;
	default: abort();
	}
	sentinel_explain(a, "far.example", "x-ms-client-request-id: 00000000-0000-4000-8000-000000000000", &body, &bearer, &span, &why);
	assert(why.text[0] != '\0' && is_fit_to_show(why.text) && !shows(why.text, TOKEN) && !shows(why.text, BODY));
	assert(!span || a->status == 400);
}

static void
answered(void *arg, const struct http_answer *a)
{
	static const char *const names[] = { "Date", "Retry-After", "WWW-Authenticate", "x-ms-error-code", "x-ms-request-id", "", "HTTP/1.1 200 OK" };

	(void)arg;
	heard++;
	assert((a->status == 0) == (a->err != NULL));
	assert(a->status == 0 || (a->status >= 100 && a->status <= 999));
	assert(a->status != 0 || (is_fit_to_show(a->err->text) && a->err->text[0] != '\0'));
	assert(a->body.n <= BODY_MOST && a->date_ms >= 0 && a->retry_after_ms >= -1 && a->retry_after_ms <= INT64_C(7) * 86400 * 1000);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct slice value = a->header(a, names[i]);

		for (size_t k = 0; k < value.n; k++)
			assert(value.p[k] != '\n' && value.p[k] != '\0');
	}
	if (a->status != 0)
		check_words(a);
}

/* ---- the far side ---------------------------------------------------------------------------- */

/* What has come in is read away, or the close would be a reset. */
static void
serve(int *fd, int port, struct slice *left)
{
	char spare[4096];

	if (*fd < 0)
		*fd = accept4(port, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (*fd < 0)
		return;
	while (recv(*fd, spare, sizeof(spare), 0) > 0)
		;
	while (left->n > 0) {
		ssize_t n = send(*fd, left->p, left->n, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0)
			left->n = 0;
		else
			*left = slice_make(left->p + n, left->n - (size_t)n);
	}
	(void)shutdown(*fd, SHUT_WR);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static unsigned turn;
	const unsigned port = turn++ % PORTS;
	static const char *const headers[] = { BEARER, "Content-Type: application/json", NULL };
	struct http_request r = { .method = n % 2 == 0 ? "POST" : "GET", .headers = headers, .timeout_ms = 10000, .max_answer_bytes = BODY_MOST };
	struct slice left = slice_make(data, n);
	struct http *http = NULL;
	struct err err = { 0 };
	int fd = -1;

	open_once();
	r.url = urls[port];
	r.body = n % 2 == 0 ? buf_slice(&body) : SLICE_NONE;
	heard = 0;
	assert(http_open(&http, loop, &err) == 0 && http_send(http, &r, answered, NULL, NULL, &err) == 0);
	while (heard == 0) {
		(void)loop_turn(loop, 1);
		serve(&fd, ports[port], &left);
	}
	assert(heard == 1 && http_in_flight(http) == 0);
	http_close(http);
	if (fd >= 0)
		close(fd);
	while ((fd = accept(ports[port], NULL, NULL)) >= 0)	/* one that libcurl made and did not need */
		close(fd);
	return 0;
}
