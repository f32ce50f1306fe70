/* web.c - the HTTP server: which paths there are, who may ask, and how answers go out. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/web.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"

#define PAGE_BYTES	(4u << 20)
#define CONNECTIONS	32
#define WELCOME		24	/* more visitors at once than these: the one that came first must go */
#define IDLE_S		10
#define VISIT_MS	20000	/* and none stays longer, however busy it looks */
#define CONNECTION_BYTES	32768
#define TURN_MS		1000	/* idle connections are closed by this */

struct visit {
	struct MHD_Connection	*connection;
	uint64_t		 since_ms;
};

struct web {
	struct web_world	 world;
	struct visit		 visits[CONNECTIONS];	/* the first comer first */
	size_t			 nvisits;
	struct MHD_Daemon	*daemon;
	struct loop_fd		*watch;
	struct loop_timer	*timer;
};

/* ---- answers -------------------------------------------------------------------- */

static enum MHD_Result
send_body(struct MHD_Connection *c, unsigned status, const char *type, struct buf *body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body->n, body->n > 0 ? body->p : (void *)(uintptr_t)"", MHD_RESPMEM_MUST_COPY);
	enum MHD_Result rc;

	if (r == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(r, "Content-Type", type);
	(void)MHD_add_response_header(r, "Cache-Control", "no-store");
	(void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	(void)MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
	(void)MHD_add_response_header(r, "Content-Security-Policy",
	    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(r, "Allow", "GET, HEAD");
	rc = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return rc;
}

static void
put_metrics(struct MHD_Connection *c, struct buf *body, const char **ret_type)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Accept");
	const bool open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;

	metrics_put(body, open);
	*ret_type = open ? "application/openmetrics-text; version=1.0.0; charset=utf-8" : "text/plain; version=0.0.4; charset=utf-8";
}

static unsigned
put_verdict(bool good, struct buf *body)
{
	if (good) {
		buf_reset(body);
		buf_puts(body, "ok\n");
	}
	return good ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* What a browser was talked into asking under another name is not for us. */
static bool
is_our_host(const char *host)
{
	static const char *const names[] = { "localhost", "127.0.0.1", "[::1]" };

	for (size_t i = 0; host != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t n = strlen(names[i]);

		if (strncasecmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
			return true;
	}
	return false;
}

static enum MHD_Result
answer(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *upload,
    size_t *upload_n, void **state)
{
	struct web *w = arg;
	const char *type = "text/plain; charset=utf-8";
	unsigned status = MHD_HTTP_OK;
	enum MHD_Result rc;
	struct buf body;

	(void)version;
	(void)upload;
	(void)upload_n;
	buf_init(&body, PAGE_BYTES);
	if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
		status = MHD_HTTP_METHOD_NOT_ALLOWED;	/* before any body: the connection ends with it */
	} else if (*state == NULL) {			/* the head alone is there */
		*state = w;
		return MHD_YES;
	} else if (!is_our_host(MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host"))) {
		status = MHD_HTTP_FORBIDDEN;
	} else if (strcmp(url, "/metrics") == 0) {
		put_metrics(c, &body, &type);
	} else if (strcmp(url, "/healthz") == 0) {
		status = put_verdict(w->world.healthy(w->world.arg, &body), &body);
	} else if (strcmp(url, "/readyz") == 0) {
		status = put_verdict(w->world.ready(w->world.arg, &body), &body);
	} else if (strcmp(url, "/") == 0) {
		page_put(&body, &w->world);
		type = "text/html; charset=utf-8";
	} else {
		status = MHD_HTTP_NOT_FOUND;
	}
	if (status >= 400 && body.n == 0)
		buf_printf(&body, "%u\n", status);
	if (body.failed) {
		buf_reset(&body);
		status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	rc = send_body(c, status, type, &body);
	buf_fini(&body);
	return rc;
}

/* ---- visitors ------------------------------------------------------------------- */

/* Any local user may hold connections open, slow or silent: others must get their answer all the same. */
static void
show_out(const struct visit *v)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(v->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

	if (info != NULL)
		(void)shutdown(info->connect_fd, SHUT_RDWR);	/* the library sees it and closes */
}

static void
visited(void *arg, struct MHD_Connection *c, void **context, enum MHD_ConnectionNotificationCode code)
{
	struct web *w = arg;
	size_t i = 0;

	(void)context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		if (w->nvisits == CONNECTIONS)
			return;
		w->visits[w->nvisits++] = (struct visit){ c, clock_mono_ms() };
		for (; i + WELCOME < w->nvisits; i++)
			show_out(&w->visits[i]);
		return;
	}
	while (i < w->nvisits && w->visits[i].connection != c)
		i++;
	if (i < w->nvisits)
		memmove(&w->visits[i], &w->visits[i + 1], (--w->nvisits - i) * sizeof(w->visits[0]));
}

/* ---- turning -------------------------------------------------------------------- */

static void
turn(struct web *w)
{
	for (size_t i = 0; i < w->nvisits && clock_mono_ms() - w->visits[i].since_ms > VISIT_MS; i++)
		show_out(&w->visits[i]);
	(void)MHD_run(w->daemon);
	loop_timer_set(w->timer, TURN_MS);
}

static void
ready(void *arg, unsigned what)
{
	(void)what;
	turn(arg);
}

static void
timer_fired(void *arg)
{
	turn(arg);
}

static void
say_nothing(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

/* ---- life ----------------------------------------------------------------------- */

static void
address_of(const char *text, struct sockaddr_storage *ret)
{
	const uint16_t port = (uint16_t)strtoul(strrchr(text, ':') + 1, NULL, 10);

	memset(ret, 0, sizeof(*ret));
	if (text[0] == '[') {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ret;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(port);
		in6->sin6_addr = in6addr_loopback;
	} else {
		struct sockaddr_in *in = (struct sockaddr_in *)ret;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

int
web_open(struct web **ret, const struct web_world *world, const char *address, struct err *err)
{
	struct web *w = calloc(1, sizeof(*w));
	const union MHD_DaemonInfo *info;
	struct sockaddr_storage at;

	if (w == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the status page");
	w->world = *world;
	address_of(address, &at);
	errno = 0;
	w->daemon = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | (at.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL,
	    answer, w, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&at,
	    MHD_OPTION_NOTIFY_CONNECTION, visited, w, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_S,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES, MHD_OPTION_END);
	if (w->daemon == NULL) {
		err_set_sys(err, ERR_CONFIG, "agent.http: cannot listen on %s", address);
		goto fail;
	}
	info = MHD_get_daemon_info(w->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || (w->watch = loop_watch(world->loop, info->epoll_fd, LOOP_READ, ready, w, err)) == NULL ||
	    (w->timer = loop_timer_new(world->loop, timer_fired, w, err)) == NULL)
		goto fail;
	loop_timer_set(w->timer, TURN_MS);
	*ret = w;
	return 0;
fail:
	web_close(w);
	return -1;
}

void
web_close(struct web *w)
{
	if (w == NULL)
		return;
	loop_unwatch(w->watch);
	loop_timer_free(w->timer);
	if (w->daemon != NULL)
		MHD_stop_daemon(w->daemon);
	free(w);
}
