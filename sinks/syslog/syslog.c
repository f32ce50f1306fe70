/*
 * syslog.c - sink `syslog`: one event a message, over TCP, TLS or a Unix socket.
 *
 * Syslog has no answer. A batch counts when all of it has been written and the far kernel has taken it (on a Unix stream socket: the
 * far program has read it) and the connection still stands. So what a receiver had in its buffers when it died is lost, and a batch
 * that was half sent when the connection broke is sent again whole; EventId shows the repeats.
 * Connecting and writing may block, so they have a thread of their own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/http.h"
#include "net/stream.h"
#include "sinks/batch.h"
#include "sinks/sink.h"
#include "sinks/syslog/frame.h"

#define BATCH_BYTES	(1 << 20)
#define FRAMES_BYTES	((size_t)8 << 20)	/* of a whole batch, with its headers */

struct syslog_sink {
	struct sink		*sink;
	struct http_policy	 policy;
	char			*target;
	struct stream_options	 options;
	struct frame_style	 style;
	char			 host[256];
	int			 done_fd;	/* eventfd: the writer has an answer */
	struct loop_fd		*watch;
	pthread_t		 writer;
	bool			 running;
	atomic_bool		 stop;

	pthread_mutex_t		 lock;
	pthread_cond_t		 knock;
	const struct batch	*job;		/* guarded by lock, as are those below */
	bool			 answered, reopen;
	enum sink_verdict	 verdict;
	struct err		 err;

	/* the writer's alone */
	struct stream		*stream;
	struct buf		 frames;
};

/* ---- the writer ------------------------------------------------------------------- */

static void
hang_up(struct syslog_sink *s)
{
	stream_close(s->stream);
	s->stream = NULL;
}

static enum sink_verdict
connection_failed(struct syslog_sink *s, const struct err *err)
{
	hang_up(s);
	return err->kind == ERR_CONFIG ? SINK_HELD : SINK_LATER;
}

static enum sink_verdict
framing_failed(const struct err *err)
{
	return err->kind == ERR_DATA ? SINK_REFUSED : SINK_LATER;
}

/* All messages one behind the other: first framed, so that a message that cannot go is known before any has gone. */
static enum sink_verdict
send_stream(struct syslog_sink *s, const struct batch *b, struct err *err)
{
	buf_reset(&s->frames);
	for (size_t i = 0; i < b->n; i++)
		if (frame_put(&s->style, b, i, &s->frames, err) != 0)
			return framing_failed(err);
	if (stream_send(s->stream, buf_slice(&s->frames), err) != 0 || stream_drain(s->stream, err) != 0)
		return connection_failed(s, err);
	return SINK_DELIVERED;
}

static enum sink_verdict
send_datagrams(struct syslog_sink *s, const struct batch *b, struct err *err)
{
	struct frame_style style = s->style;

	style.framing = FRAMING_NONE;
	for (size_t i = 0; i < b->n; i++) {
		buf_reset(&s->frames);
		if (frame_put(&style, b, i, &s->frames, err) != 0)
			return framing_failed(err);
		if (stream_send(s->stream, buf_slice(&s->frames), err) == 0)
			continue;
		if (err->kind == ERR_FULL)
			return SINK_REFUSED;
		return connection_failed(s, err);
	}
	return SINK_DELIVERED;
}

static enum sink_verdict
send_batch(struct syslog_sink *s, const struct batch *b, bool reopen, struct err *err)
{
	if (s->stream != NULL && (reopen || !stream_is_open(s->stream)))
		hang_up(s);
	if (s->stream == NULL && stream_open(&s->stream, &s->options, err) != 0)
		return connection_failed(s, err);
	return stream_is_datagram(s->stream) ? send_datagrams(s, b, err) : send_stream(s, b, err);
}

static void *
write_batches(void *arg)
{
	struct syslog_sink *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!atomic_load(&s->stop)) {
		const struct batch *b = s->job;
		bool reopen = s->reopen;
		struct err err = { 0 };
		enum sink_verdict verdict;

		if (b == NULL || s->answered) {
			pthread_cond_wait(&s->knock, &s->lock);
			continue;
		}
		s->reopen = false;
		pthread_mutex_unlock(&s->lock);
		verdict = send_batch(s, b, reopen, &err);
		pthread_mutex_lock(&s->lock);
		s->verdict = verdict;
		s->err = err;
		s->answered = true;
		eventfd_write(s->done_fd, 1);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- the delivery loop ----------------------------------------------------------------- */

static void
hand_over(void *arg, unsigned ready)
{
	struct syslog_sink *s = arg;
	const struct batch *b = NULL;
	enum sink_verdict verdict;
	struct err err;
	eventfd_t n;

	(void)ready;
	(void)eventfd_read(s->done_fd, &n);
	pthread_mutex_lock(&s->lock);
	if (s->answered) {
		b = s->job;
		s->job = NULL;
		s->answered = false;
	}
	verdict = s->verdict;
	err = s->err;
	pthread_mutex_unlock(&s->lock);
	if (b != NULL)
		sink_answer(s->sink, b, verdict, 0, verdict == SINK_DELIVERED ? NULL : &err);
}

static void
syslog_put(struct sink *sink, const struct batch *b)
{
	struct syslog_sink *s = sink->priv;

	pthread_mutex_lock(&s->lock);
	assert(s->job == NULL);
	s->job = b;
	pthread_cond_signal(&s->knock);
	pthread_mutex_unlock(&s->lock);
}

static void
syslog_reopen(struct sink *sink)
{
	struct syslog_sink *s = sink->priv;

	pthread_mutex_lock(&s->lock);
	s->reopen = true;
	pthread_mutex_unlock(&s->lock);
}

static void
syslog_close(struct sink *sink)
{
	struct syslog_sink *s = sink->priv;

	if (s == NULL)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->lock);
		atomic_store(&s->stop, true);
		pthread_cond_signal(&s->knock);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->writer, NULL);
	}
	hang_up(s);
	loop_unwatch(s->watch);
	if (s->done_fd >= 0)
		close(s->done_fd);
	buf_fini(&s->frames);
	http_policy_fini(&s->policy);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->knock);
	free(s->target);
	free(s);
	sink->priv = NULL;
}

/* ---- settings ---------------------------------------------------------------------------- */

static const char *const facilities[] = {
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
};
#define FACILITY_WORDS	"kern|user|mail|daemon|auth|syslog|lpr|news|uucp|cron|authpriv|ftp|ntp|audit|alert|clock|" \
			"local0|local1|local2|local3|local4|local5|local6|local7"

static void
set_style(struct syslog_sink *s, const struct conf *conf)
{
	const char *header = conf_text(conf, "header"), *framing = conf_text(conf, "framing"), *format = conf_text(conf, "format");
	bool cef = format == NULL || strcmp(format, "cef") == 0, local = stream_target_is_unix(s->target);

	if (strcmp(header, "auto") == 0)
		header = cef ? "rfc3164" : "rfc5424";
	if (strcmp(framing, "auto") == 0)
		framing = stream_target_is_tls(s->target) ? "octet-counting" : "newline";
	s->style.header = strcmp(header, "rfc5424") == 0 ? FRAME_RFC5424 : FRAME_RFC3164;
	s->style.framing = strcmp(framing, "newline") == 0 ? FRAMING_NEWLINE : FRAMING_OCTETS;
	s->style.max_bytes = conf_bytes(conf, "max_message");
	frame_host(s->host, sizeof(s->host));
	s->style.host = local && s->style.header == FRAME_RFC3164 ? NULL : s->host;
	while (strcmp(facilities[s->style.facility], conf_text(conf, "facility")) != 0)
		s->style.facility++;
}

static int
syslog_open(struct sink *sink, const struct conf *conf, struct err *err)
{
	struct syslog_sink *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	sink->priv = s;
	s->sink = sink;
	s->done_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->knock, NULL);
	buf_init(&s->frames, FRAMES_BYTES);
	s->target = strdup(conf_text(conf, "target"));
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->target == NULL || s->done_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no memory or descriptor for a sink");
	if (http_tls_from(&s->policy, conf, err) != 0)
		return -1;
	s->options = (struct stream_options){ .target = s->target, .policy = &s->policy, .stop = &s->stop,
		.timeout_ms = (unsigned)conf_ms(conf, "timeout") };
	set_style(s, conf);
	s->watch = loop_watch(sink->loop, s->done_fd, LOOP_READ, hand_over, s, err);
	if (s->watch == NULL)
		return -1;
	if (pthread_create(&s->writer, NULL, write_batches, s) != 0)
		return err_set(err, ERR_AGAIN, "no thread for a sink");
	s->running = true;
	return 0;
}

static const struct conf_key syslog_keys[] = {
	{ .name = "target", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "tcp://HOST:PORT, tls://HOST:PORT or unix:/PATH",
	  .wrong = stream_wrong_target,
	  .help = "where messages go, such as tcp://127.0.0.1:514, the syslog daemon that feeds AMA on this machine; tcp is readable on "
	  "its way, so to other machines use tls" },
	{ .name = "header", .type = CONF_WORD, .fallback = "auto", .allowed = "auto|rfc3164|rfc5424",
	  .help = "what stands before an event. auto: for cef rfc3164, the form that AMA's CEF stream expects, else rfc5424" },
	{ .name = "framing", .type = CONF_WORD, .fallback = "auto", .allowed = "auto|newline|octet-counting",
	  .help = "how messages are told apart in a stream (RFC 6587). auto: for tls octet-counting (RFC 5425), else newline, which "
	  "rsyslog and syslog-ng take on a plain TCP port" },
	{ .name = "facility", .type = CONF_WORD, .fallback = "local4", .allowed = FACILITY_WORDS,
	  .help = "syslog facility; the data collection rule of AMA must take it. The severity is the event's: informational for "
	  "Informational, notice for Low, warning for Medium, err for High, crit for Critical" },
	{ .name = "max_message", .type = CONF_BYTES, .fallback = "64KiB", .least = 1024, .most = BATCH_BYTES,
	  .help = "longer messages are set aside in the dead letter instead of being cut by the receiver; rsyslog cuts at 8 KiB unless "
	  "its maxMessageSize says more" },
	{ .name = "timeout", .type = CONF_TIME, .fallback = "30s", .least = 1000, .most = 600000, .flags = CONF_ADVANCED,
	  .help = "how long to wait for a connection, and for a receiver that takes nothing" },
	{ .name = "tls", .type = CONF_BLOCK, .keys = http_tls_keys, .help = "TLS of a tls:// target; it is always verified" },
	CONF_END
};

const struct sink_kind sink_kind_syslog = {
	.name = "syslog",
	.help = "one event a message to a syslog receiver, such as AMA on this machine. Syslog knows no acknowledgement: an event counts as "
	"delivered when the far system has taken it, so what a receiver held in memory when it died is lost",
	.format = "cef",
	.formats = "cef|json|ocsf",
	.open_bytes = "",
	.between_bytes = "\n",
	.close_bytes = "",
	.max_bytes = BATCH_BYTES,
	.max_entries = 5000,
	.max_in_flight = 1,
	.keys = syslog_keys,
	.open = syslog_open,
	.put = syslog_put,
	.reopen = syslog_reopen,
	.close = syslog_close,
};
