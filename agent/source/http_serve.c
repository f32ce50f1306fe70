/*
 * http_serve.c - the server: libmicrohttpd in the intake loop, and how long each peer may take.
 *
 * Who opens a connection has `timeout` to send a head, and from there on as much again for its body, its way to disk and the answer; by whatever trickle
 * it sends. A renewed certificate gets a server of its own on the same socket, while the old one serves its connections to their end.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/stat.h"

#define CONNECTION_BYTES	((size_t)32 << 10)	/* a head, and what is read at a time */
#define PRIORITIES	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"
#define PARTING_MS	2000
#define LONGEST_MS	1000
#define CROWDED_MS	1000
#define COMMIT_MS	10		/* somebody waits: intake is asked to commit as often as this */

/* ---- peers -------------------------------------------------------------------------- */

static void
unlist(struct push_peer *e)
{
	struct push *p = e->server->push;

	if (!e->listed)
		return;
	if (e->prev != NULL)
		e->prev->next = e->next;
	else
		p->soonest = e->next;
	if (e->next != NULL)
		e->next->prev = e->prev;
	else
		p->latest = e->prev;
	e->prev = e->next = NULL;
	e->listed = false;
}

void
push_peer_step(struct push_peer *e)
{
	struct push *p = e->server->push;

	unlist(e);
	e->deadline_ms = clock_mono_ms() + p->timeout_ms;
	e->prev = p->latest;
	if (p->latest != NULL)
		p->latest->next = e;
	else
		p->soonest = e;
	p->latest = e;
	e->listed = true;
}

static void
cut(struct push_peer *e)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(e->c, MHD_CONNECTION_INFO_CONNECTION_FD);
	struct push *p = e->server->push;

	unlist(e);
	if (e->request != NULL || !e->served)
		stat_add(p->s->stats, STAT_SOURCE_REFUSED_TIME, 1);
	if (e->request != NULL && e->request->trusted)
		p->refused.n[PUSH_TOO_SLOW]++;
	if (info != NULL)
		(void)shutdown(info->connect_fd, SHUT_RDWR);	/* which libmicrohttpd takes for the peer's wish */
}

static unsigned
connections(const struct push *p)
{
	return (p->server != NULL ? p->server->connections : 0) + (p->old != NULL ? p->old->connections : 0);
}

/* Where others wait to be let in, who has not shown a token within a moment has to go: it costs a stranger nothing to hold all connections. */
static void
make_room(struct push *p)
{
	const uint64_t since_ms = clock_mono_ms() + p->timeout_ms - CROWDED_MS;
	struct push_peer *e, *next;

	for (e = p->soonest; e != NULL && e->deadline_ms <= since_ms; e = next) {
		next = e->next;
		if (e->request == NULL || !e->request->trusted)
			cut(e);
	}
}

static void
expire(struct push *p)
{
	const uint64_t now_ms = clock_mono_ms();
	struct push_peer *e;

	if (connections(p) >= p->max_connections && p->timeout_ms > CROWDED_MS)
		make_room(p);

	while ((e = p->soonest) != NULL && e->deadline_ms <= now_ms) {
		if (e->request != NULL && push_request_expire(e->request))
			push_peer_step(e);
		else
			cut(e);
	}
}

static void
on_connection(void *arg, struct MHD_Connection *c, void **state, enum MHD_ConnectionNotificationCode what)
{
	struct push_server *server = arg;
	struct push_peer *e = *state;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		server->connections++;
		*state = e = calloc(1, sizeof(*e));
		if (e == NULL)
			return;		/* its first request is not taken */
		*e = (struct push_peer){ .server = server, .c = c };
		push_peer_step(e);
	} else {
		server->connections--;
		if (e != NULL)
			unlist(e);
		free(e);
		*state = NULL;
	}
}

/* ---- requests ------------------------------------------------------------------------- */

static enum MHD_Result
on_request(void *arg, struct MHD_Connection *c, const char *url, const char *method, const char *version, const char *upload, size_t *upload_n, void **state)
{
	const union MHD_ConnectionInfo *info;

	(void)arg;
	(void)version;
	if (*state != NULL)
		return (enum MHD_Result)push_request_go_on(*state, upload, upload_n);
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	if (info == NULL || info->socket_context == NULL)
		return MHD_NO;
	return (enum MHD_Result)push_request_begin(info->socket_context, url, method, state);
}

static void
on_end(void *arg, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	(void)arg;
	(void)c;
	(void)why;
	if (*state != NULL)
		push_request_end(*state);
	*state = NULL;
}

static void
say_nothing(void *arg, const char *fmt, va_list ap)
{
	(void)arg;
	(void)fmt;
	(void)ap;
}

/* ---- turning ---------------------------------------------------------------------------- */

static uint64_t
wanted_ms(const struct push_server *server)
{
	unsigned long long ms;

	if (server == NULL || MHD_get_timeout(server->daemon, &ms) != MHD_YES || ms > LONGEST_MS)
		return LONGEST_MS;
	return ms;
}

static void
set_turn(struct push *p)
{
	const uint64_t now_ms = clock_mono_ms(), a_ms = wanted_ms(p->server), b_ms = wanted_ms(p->old);
	uint64_t ms = a_ms < b_ms ? a_ms : b_ms;

	if (p->soonest != NULL && p->soonest->deadline_ms < now_ms + ms)
		ms = p->soonest->deadline_ms > now_ms ? p->soonest->deadline_ms - now_ms : 0;
	if (connections(p) >= p->max_connections && ms > CROWDED_MS / 4)
		ms = CROWDED_MS / 4;
	if (p->first != NULL && ms > COMMIT_MS)
		ms = COMMIT_MS;
	loop_timer_set(p->turn, p->again ? 0 : ms);
}

static void
close_server(struct push_server *server)
{
	if (server == NULL)
		return;
	loop_unwatch(server->watch);
	if (server->daemon != NULL)
		MHD_stop_daemon(server->daemon);
	free(server);
}

static void
count(const struct push *p)
{
	struct stat_block *stats = p->s->stats;

	stat_set(stats, STAT_SOURCE_STREAMS, connections(p));
	stat_set(stats, STAT_SOURCE_WAITING, p->requests);
	stat_set(stats, STAT_SOURCE_LAG_BYTES, p->pending_bytes);
	stat_set(stats, STAT_SOURCE_LAG_RECORDS, p->ticket - p->safe);
}

void
push_serve_turn(struct push *p)
{
	if (p->server == NULL)
		return;
	p->again = false;
	(void)MHD_run(p->server->daemon);
	if (p->old != NULL)
		(void)MHD_run(p->old->daemon);
	expire(p);
	if (p->old != NULL && p->old->connections == 0) {
		close_server(p->old);
		p->old = NULL;
	}
	if (p->first != NULL && !p->paused)
		source_idle(p->s);		/* who waits wants to be answered soon */
	count(p);
	set_turn(p);
}

static void
ready(void *arg, unsigned what)
{
	struct push_server *server = arg;

	(void)what;
	push_serve_turn(server->push);
}

/* ---- life ----------------------------------------------------------------------------- */

static struct MHD_Daemon *
start_daemon(struct push_server *server, int fd)
{
	struct push *p = server->push;
	struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, p->tls.cert.p },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, p->tls.key.p },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES },
		{ p->tls.ca.n > 0 ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, p->tls.ca.p },
		{ MHD_OPTION_END, 0, NULL },
	};

	if (!p->tls.on)
		tls[0].option = MHD_OPTION_END;
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_ERROR_LOG | MHD_ALLOW_SUSPEND_RESUME | (p->tls.on ? MHD_USE_TLS : 0), 0, NULL, NULL, on_request,
	    server, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, p->max_connections,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* After a start that failed libmicrohttpd has closed it, or not. */
static void
close_if_still(int fd, const struct stat *was)
{
	struct stat now;

	if (fstat(fd, &now) == 0 && now.st_ino == was->st_ino && now.st_dev == was->st_dev)
		close(fd);
}

static struct push_server *
open_server(struct push *p, struct err *err)
{
	struct push_server *server = calloc(1, sizeof(*server));
	const union MHD_DaemonInfo *info;
	struct stat st;
	int fd;

	if (server == NULL) {
		err_set(err, ERR_AGAIN, "no memory for a server");
		return NULL;
	}
	server->push = p;
	fd = push_listen_fd(p->listen, err);
	if (fd < 0 || fstat(fd, &st) != 0)
		goto fail;
	errno = 0;
	server->daemon = start_daemon(server, fd);
	if (server->daemon == NULL) {
		err_set_sys(err, ERR_AGAIN, "the server cannot start");
		close_if_still(fd, &st);
		goto fail;
	}
	info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (info == NULL || (server->watch = loop_watch(p->s->loop, info->epoll_fd, LOOP_READ, ready, server, err)) == NULL)
		goto fail;
	return server;
fail:
	close_server(server);
	return NULL;
}

/* No new connections; the socket itself stays with who wants it. */
static void
quiesce(struct push_server *server)
{
	const MHD_socket fd = MHD_quiesce_daemon(server->daemon);

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

int
push_serve_open(struct push *p, struct err *err)
{
	struct push_server *server = open_server(p, err);

	push_tls_wipe_key(&p->tls);
	if (server == NULL)
		return -1;
	if (p->server != NULL) {
		quiesce(p->server);
		p->old = p->server;
	}
	p->server = server;
	loop_timer_set(p->turn, 0);
	return 0;
}

static bool
has_answers_to_send(const struct push *p)
{
	for (const struct push_peer *e = p->soonest; e != NULL; e = e->next)
		if (e->request != NULL && e->request->stage == PUSH_ANSWERING)
			return true;
	return false;
}

static void
part(struct push *p)
{
	const uint64_t until_ms = clock_mono_ms() + PARTING_MS;

	quiesce(p->server);
	push_request_stop_all(p);
	for (int i = 0; i < PARTING_MS && clock_mono_ms() < until_ms; i++) {
		(void)MHD_run(p->server->daemon);
		if (p->old != NULL)
			(void)MHD_run(p->old->daemon);
		if (!has_answers_to_send(p))
			break;
		(void)poll(NULL, 0, 1);
	}
}

void
push_serve_close(struct push *p)
{
	p->closing = true;
	if (p->server != NULL)
		part(p);
	close_server(p->old);
	close_server(p->server);
	p->server = p->old = NULL;
}
