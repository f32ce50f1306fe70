/*
 * status.c - what the running agent says of itself, over a Unix socket in the state directory.
 *
 * Protocol: connect, read one JSON object until end of file. The socket is 0600: the agent's user and root.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/stat.h"
#include "run/agent.h"
#include "run/progress.h"

#define STATUS_BYTES	(1u << 20)

struct status_server {
	int		 fd;
	struct loop_fd	*watch;
	char		 path[108];
};

static uint64_t began_ms;

/* ---- the agent's side ------------------------------------------------------ */

struct listing {
	struct buf	*out;
	enum stat_scope	 scope;
	bool		 any;
};

static void
put_block(void *arg, struct stat_block *b)
{
	struct listing *l = arg;
	char said[320];

	if (b->scope != l->scope)
		return;
	buf_puts(l->out, l->any ? ",{\"name\":" : "{\"name\":");
	l->any = true;
	buf_put_json(l->out, slice_of(b->name));
	buf_puts(l->out, ",\"type\":");
	buf_put_json(l->out, slice_of(b->type));
	for (int id = 0; id < STAT_COUNT; id++) {
		if (stat_row(id)->scope != l->scope)
			continue;
		buf_puts(l->out, ",\"");
		buf_puts(l->out, stat_row(id)->name);
		buf_puts(l->out, "\":");
		buf_put_u64(l->out, stat_get(b, id));
	}
	stat_said(b, said);
	if (said[0] != '\0') {
		buf_puts(l->out, ",\"says\":");
		buf_put_json(l->out, slice_of(said));
	}
	buf_putc(l->out, '}');
}

void
status_json(struct buf *out)
{
	static const struct { enum stat_scope scope; const char *name; } lists[] = {
		{ STAT_AGENT, "process" }, { STAT_CLASS, "classes" }, { STAT_SOURCE, "sources" }, { STAT_DETECTOR, "detectors" },
		{ STAT_SPOOL, "spool" }, { STAT_SINK, "sinks" },
	};
	char now[TIME_TEXT_BYTES];

	time_format_ms((int64_t)clock_wall_ms(), now);
	buf_puts(out, "{\"agent\":\"aispm-agent\",\"version\":\"" PACKAGE_VERSION "\",\"pid\":");
	buf_put_u64(out, (uint64_t)getpid());
	buf_puts(out, ",\"time\":\"");
	buf_puts(out, now);
	buf_puts(out, "\",\"uptime_s\":");
	buf_put_u64(out, (clock_mono_ms() - began_ms) / 1000);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct listing l = { out, lists[i].scope, false };

		buf_puts(out, ",\"");
		buf_puts(out, lists[i].name);
		buf_puts(out, "\":[");
		stat_each(put_block, &l);
		buf_putc(out, ']');
	}
	buf_puts(out, "}\n");
}

struct far { uint64_t records, pending; };

static void
see_far(void *arg, struct stat_block *b)
{
	struct far *f = arg;

	if (b->scope == STAT_SOURCE)
		f->records += stat_get(b, STAT_SOURCE_RECORDS);
	if (b->scope == STAT_SINK && stat_get(b, STAT_SINK_PENDING) > f->pending)
		f->pending = stat_get(b, STAT_SINK_PENDING);
}

void
status_progress(struct progress *p, bool all_read)
{
	struct far f = { 0 };

	stat_each(see_far, &f);
	p->what = all_read ? "events still to deliver" : "records read";
	progress_show(p, all_read ? f.pending : f.records, 0);
}

static void
answer(void *arg, unsigned ready)
{
	struct status_server *s = arg;
	const struct timeval limit = { 1, 0 };
	struct buf b;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC);

	(void)ready;
	if (fd < 0)
		return;
	/* Short and local; whoever does not read it in a second gets less. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	buf_init(&b, STATUS_BYTES);
	status_json(&b);
	for (size_t at = 0; !b.failed && at < b.n;) {
		ssize_t n = send(fd, b.p + at, b.n - at, MSG_NOSIGNAL);

		if (n <= 0)
			break;
		at += (size_t)n;
	}
	buf_fini(&b);
	close(fd);
}

static int
socket_address(const char *state_dir, struct sockaddr_un *ret, struct err *err)
{
	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	if ((size_t)snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/status.sock", state_dir) >= sizeof(ret->sun_path))
		return err_set(err, ERR_CONFIG, "agent.state_dir: the path is too long for a socket");
	return 0;
}

int
status_serve(struct status_server **ret, struct loop *loop, const char *state_dir, struct err *err)
{
	struct status_server *s = calloc(1, sizeof(*s));
	struct sockaddr_un at;

	if (s == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	began_ms = clock_mono_ms();
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0) {
		err_set_sys(err, ERR_AGAIN, "socket");
		goto fail;
	}
	if (socket_address(state_dir, &at, err) != 0)
		goto fail;
	snprintf(s->path, sizeof(s->path), "%s", at.sun_path);
	(void)unlink(s->path);			/* ours: we hold the state directory's lock */
	if (bind(s->fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(s->fd, 8) != 0) {
		err_set_sys(err, ERR_AGAIN, "%s", s->path);
		goto fail;
	}
	s->watch = loop_watch(loop, s->fd, LOOP_READ, answer, s, err);
	if (s->watch == NULL)
		goto fail;
	*ret = s;
	return 0;
fail:
	status_close(s);
	return -1;
}

void
status_close(struct status_server *s)
{
	if (s == NULL)
		return;
	loop_unwatch(s->watch);
	if (s->fd >= 0)
		close(s->fd);
	if (s->path[0] != '\0')
		(void)unlink(s->path);
	free(s);
}

/* ---- the asking side ------------------------------------------------------- */

static int
ask(const char *state_dir, struct buf *out, struct err *err)
{
	const struct timeval limit = { 5, 0 };
	struct sockaddr_un at;
	int fd, rc = -1;

	if (socket_address(state_dir, &at, err) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "socket");
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) != 0) {
		err_set_sys(err, ERR_AGAIN, "no agent answers at %s (is it running, and is this its user or root?)",
		    at.sun_path);
		goto out;
	}
	for (;;) {
		char part[4096];
		ssize_t n = read(fd, part, sizeof(part));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set_sys(err, ERR_AGAIN, "%s", at.sun_path);
			goto out;
		}
		if (n == 0)
			break;
		buf_put(out, part, (size_t)n);
	}
	rc = out->failed || out->n == 0 ? err_set(err, ERR_AGAIN, "the agent gave no answer") : 0;
out:
	close(fd);
	return rc;
}

static int64_t
figure(const struct json_doc *d, uint32_t at, const char *key)
{
	int64_t v = 0;

	(void)json_get_i64(d, at, key, &v);
	return v;
}

static void
print_text(const struct json_doc *d, uint32_t at, const char *key, const char *before, const char *after)
{
	struct buf b;

	buf_init(&b, 4096);
	if (json_get_text(d, at, key, &b)) {
		utf8_make_plain(b.p, b.n);
		printf("%s%.*s%s", before, (int)b.n, b.p != NULL ? b.p : "", after);
	}
	buf_fini(&b);
}

static bool
is_type(const struct json_doc *d, uint32_t i, const char *word)
{
	uint32_t type = json_get(d, i, "type");

	return type != 0 && slice_eq(json_raw(&d->v[type]), slice_of(word));
}

static void
print_requests(const struct json_doc *d, uint32_t i)
{
	printf("  %lld requests taken, %lld under way; refused: %lld by token, %lld too large, %lld no room, %lld not understood, %lld too slow\n",
	    (long long)figure(d, i, "source_requests"), (long long)figure(d, i, "source_waiting_requests"),
	    (long long)figure(d, i, "source_refused_token_requests"), (long long)figure(d, i, "source_refused_size_requests"),
	    (long long)figure(d, i, "source_refused_room_requests"), (long long)figure(d, i, "source_refused_form_requests"),
	    (long long)figure(d, i, "source_refused_time_requests"));
}

static void
print_source(const struct json_doc *d, uint32_t i)
{
	int64_t newest = figure(d, i, "source_last_event_time");
	char when[TIME_TEXT_BYTES];

	printf("  %lld records, %lld events, %lld of no known family, %lld set aside%s\n",
	    (long long)figure(d, i, "source_records"), (long long)figure(d, i, "source_events"),
	    (long long)figure(d, i, "source_unknown_records"), (long long)figure(d, i, "source_dead_records"),
	    figure(d, i, "source_paused") ? ", PAUSED: spool full" : "");
	if (is_type(d, i, "http"))
		print_requests(d, i);
	printf("  to read: %lld bytes, %lld messages", (long long)figure(d, i, "source_lag_bytes"),
	    (long long)figure(d, i, "source_lag_records"));
	if (newest > 0) {
		time_format_ms(newest, when);
		printf("; newest event %s", when);
	}
	printf("\n");
}

static void
print_detector(const struct json_doc *d, uint32_t i)
{
	if (is_type(d, i, "suppress")) {
		printf("  %lld findings kept back since the start\n", (long long)figure(d, i, "detector_suppressed_findings"));
		return;
	}
	printf("  %lld findings in %lld events; %lld series, %lld forgotten, %lld late events; %lld findings kept back\n",
	    (long long)figure(d, i, "detector_findings"), (long long)figure(d, i, "detector_events"),
	    (long long)figure(d, i, "detector_series"), (long long)figure(d, i, "detector_evicted_series"),
	    (long long)figure(d, i, "detector_late_events"), (long long)figure(d, i, "detector_suppressed_findings"));
	if (figure(d, i, "detector_refused_series") + figure(d, i, "detector_dropped_episodes") > 0)
		printf("  no room: %lld newcomers, %lld surprises or episodes; %lld episodes open\n", (long long)figure(d, i, "detector_refused_series"),
		    (long long)figure(d, i, "detector_dropped_episodes"), (long long)figure(d, i, "detector_open_episodes"));
}

static void
print_spool(const struct json_doc *d, uint32_t i)
{
	int64_t bytes = figure(d, i, "spool_bytes"), most = figure(d, i, "spool_max_bytes");

	printf("  %lld of %lld MiB (%.0f %%), newest durable event %lld; dead letter %lld KiB\n", (long long)(bytes >> 20),
	    (long long)(most >> 20), most > 0 ? (double)bytes * 100 / (double)most : 0,
	    (long long)figure(d, i, "spool_durable_seq"), (long long)(figure(d, i, "dead_letter_bytes") >> 10));
}

static void
print_sink(const struct json_doc *d, uint32_t i)
{
	static const char *const states[] = { "delivering", "WAITING", "HELD" };
	int64_t state = figure(d, i, "sink_state");

	printf("  %s; %lld events delivered, %lld pending, %lld left out, %lld set aside, %lld batches again\n",
	    state >= 0 && state <= 2 ? states[state] : "?", (long long)figure(d, i, "sink_delivered_events"),
	    (long long)figure(d, i, "sink_pending_events"), (long long)figure(d, i, "sink_filtered_events"),
	    (long long)figure(d, i, "sink_set_aside_events"), (long long)figure(d, i, "sink_retries"));
}

/* What is not as it should be with the agent itself. */
static void
print_agent(const struct json_doc *d)
{
	uint32_t list = json_get(d, 0, "process"), i = list + 1;

	if (list == 0 || d->v[list].type != JSON_ARRAY || i >= d->v[list].next)
		return;
	if (figure(d, i, "config_refused"))
		printf("  CONFIGURATION REFUSED at the last reload, the one before is in use; aispm-agent check says why\n");
	if (figure(d, i, "decode_inline"))
		printf("  records are decoded in the agent's own process\n");
	if (figure(d, i, "decode_restarts") > 0)
		printf("  the decode process ended %lld times, another went on\n", (long long)figure(d, i, "decode_restarts"));
}

static void
print_list(const struct json_doc *d, const char *key, const char *word,
    void (*print)(const struct json_doc *, uint32_t))
{
	uint32_t list = json_get(d, 0, key);

	if (list == 0 || d->v[list].type != JSON_ARRAY)
		return;
	for (uint32_t i = list + 1; i < d->v[list].next; i = d->v[i].next) {
		printf("%s", word);
		print_text(d, i, "name", word[0] != '\0' ? " " : "", "");
		print_text(d, i, "type", " (", ")\n");
		print(d, i);
		print_text(d, i, "says", "  last word: ", "\n");
	}
}

static int
print_human(struct slice text, struct err *err)
{
	struct json_reader *reader = json_reader_new();
	struct json_doc doc;
	int rc = -1;

	json_doc_init(&doc, 1u << 20);
	if (reader == NULL) {
		err_set(err, ERR_AGAIN, "no memory");
	} else if (json_read(reader, text, false, &doc, err) >= 0) {
		print_text(&doc, 0, "version", "aispm-agent ", "");
		printf(", process %lld, up %lld s\n", (long long)figure(&doc, 0, "pid"),
		    (long long)figure(&doc, 0, "uptime_s"));
		print_agent(&doc);
		print_list(&doc, "sources", "source", print_source);
		print_list(&doc, "detectors", "detector", print_detector);
		print_list(&doc, "spool", "", print_spool);
		print_list(&doc, "sinks", "sink", print_sink);
		rc = 0;
	}
	json_doc_fini(&doc);
	json_reader_free(reader);
	return rc;
}

int
status_print(const char *state_dir, bool json, struct err *err)
{
	struct buf b;
	int rc;

	buf_init(&b, STATUS_BYTES);
	rc = ask(state_dir, &b, err);
	if (rc == 0 && json)
		rc = fwrite(b.p, 1, b.n, stdout) == b.n ? 0 : err_set_sys(err, ERR_AGAIN, "standard output");
	else if (rc == 0)
		rc = print_human(buf_slice(&b), err);
	buf_fini(&b);
	return rc;
}
