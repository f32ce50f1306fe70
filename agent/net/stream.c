/*
 * stream.c - TCP and TLS by a libcurl handle that only connects, Unix sockets by themselves.
 *
 * libcurl resolves, connects and verifies; then curl_easy_send and curl_easy_recv carry bytes, and its socket is waited for with poll.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "base/clock.h"
#include "base/err.h"
#include "net/easy.h"
#include "net/http.h"

#define SLICE_MS	100	/* how late a stop may be noticed */
#define DRAIN_MS	2	/* between two looks at what the far kernel has */
#define TARGET_BYTES	320
#define DATAGRAM_BYTES	(1 << 20)

#define TARGET_WORDS	"tcp://HOST:PORT, tls://HOST:PORT or unix:/PATH"

struct stream {
	const struct stream_options	*options;
	CURL				*easy;		/* TCP, TLS */
	int				 fd;		/* of easy, or a Unix socket */
	bool				 datagram;
	char				 why[CURL_ERROR_SIZE];
};

/* ---- targets -------------------------------------------------------------------- */

static bool
starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool
stream_target_is_unix(const char *target)
{
	return starts(target, "unix:/");
}

bool
stream_target_is_tls(const char *target)
{
	return starts(target, "tls://");
}

/* unix:/PATH and unix:///PATH. */
static const char *
path_of(const char *target)
{
	const char *path = target + strlen("unix:");

	return starts(path, "///") ? path + 2 : path;
}

/* As libcurl wants it: it knows TCP by http and TLS by https. False: no host and port. */
static bool
url_of(const char *target, char ret[TARGET_BYTES])
{
	bool tls = stream_target_is_tls(target);
	const char *rest = target + strlen("tcp://"), *colon = strrchr(rest, ':');
	int64_t port = 0;
	int n;

	if (colon == NULL || !slice_to_i64(slice_of(colon + 1), &port) || port < 1 || port > 65535)
		return false;
	n = snprintf(ret, TARGET_BYTES, "%s://%s", tls ? "https" : "http", rest);
	return n > 0 && n < TARGET_BYTES;
}

const char *
stream_wrong_target(const struct conf *block, const char *text)
{
	struct sockaddr_un address;
	char url[TARGET_BYTES], host[TARGET_BYTES];

	(void)block;
	if (starts(text, "udp:"))
		return TARGET_WORDS "; udp loses what it cannot carry, and nobody would know";
	if (stream_target_is_unix(text))
		return path_of(text)[0] == '/' && strlen(path_of(text)) < sizeof(address.sun_path) ? NULL : TARGET_WORDS;
	if (!starts(text, "tcp://") && !stream_target_is_tls(text))
		return TARGET_WORDS;
	return url_of(text, url) && http_url_is_origin(url) && http_url_host(url, host, sizeof(host)) && strchr(url, '@') == NULL ?
	    NULL : TARGET_WORDS;
}

/* ---- waiting ------------------------------------------------------------------------ */

static bool
stopped(const struct stream *s)
{
	return atomic_load(s->options->stop);
}

/* 1 ready, 0 not within the timeout, -1 told to stop. */
static int
wait_for(const struct stream *s, short events)
{
	uint64_t end = clock_mono_ms() + s->options->timeout_ms;

	while (!stopped(s)) {
		struct pollfd p = { .fd = s->fd, .events = events };

		if (poll(&p, 1, SLICE_MS) > 0)
			return 1;
		if (clock_mono_ms() >= end)
			return 0;
	}
	return -1;
}

static int
fail(const struct stream *s, enum err_kind kind, const char *what, struct err *err)
{
	err_set(err, kind, "%s: %s", s->options->target, what);
	for (char *p = err->text; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
	return -1;
}

/* ---- opening -------------------------------------------------------------------------- */

static int
look_at_stop(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
	const struct stream *s = arg;

	(void)a, (void)b, (void)c, (void)d;
	return stopped(s) ? 1 : 0;
}

#define SET(option, value)	(good = good && curl_easy_setopt(s->easy, (option), (value)) == CURLE_OK)

static bool
set_up(struct stream *s, const char *url)
{
	bool good = easy_secure(s->easy, s->options->policy, true);

	SET(CURLOPT_URL, url);
	SET(CURLOPT_CONNECT_ONLY, 1L);
	SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)s->options->timeout_ms);
	SET(CURLOPT_ERRORBUFFER, s->why);
	SET(CURLOPT_NOPROGRESS, 0L);
	SET(CURLOPT_XFERINFOFUNCTION, look_at_stop);
	SET(CURLOPT_XFERINFODATA, s);
	return good;
}

static int
connect_curl(struct stream *s, struct err *err)
{
	char url[TARGET_BYTES];
	curl_socket_t fd = CURL_SOCKET_BAD;
	CURLcode code;

	s->easy = curl_easy_init();
	if (s->easy == NULL || !url_of(s->options->target, url) || !set_up(s, url))
		return fail(s, ERR_AGAIN, "no memory for a connection", err);
	code = curl_easy_perform(s->easy);
	if (code == CURLE_OPERATION_TIMEDOUT)
		return fail(s, ERR_AGAIN, "no connection in time", err);
	if (code != CURLE_OK)
		return fail(s, easy_is_settings_fault(code) ? ERR_CONFIG : ERR_AGAIN, easy_words(code, s->why), err);
	code = curl_easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (code != CURLE_OK || fd == CURL_SOCKET_BAD)
		return fail(s, ERR_AGAIN, "the connection is gone", err);
	s->fd = fd;
	return 0;
}

static int
connect_kind(struct stream *s, int type, const struct sockaddr_un *address)
{
	int room = DATAGRAM_BYTES, saved;

	s->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0)
		return -1;
	if (type == SOCK_DGRAM)		/* as much as the system allows */
		(void)setsockopt(s->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	if (connect(s->fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
		s->datagram = type == SOCK_DGRAM;
		return 0;
	}
	saved = errno;
	close(s->fd);
	s->fd = -1;
	errno = saved;
	return -1;
}

static int
connect_unix(struct stream *s, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path_of(s->options->target));
	if (connect_kind(s, SOCK_DGRAM, &address) == 0 || (errno == EPROTOTYPE && connect_kind(s, SOCK_STREAM, &address) == 0))
		return 0;
	return err_set_sys(err, errno == EACCES || errno == EPERM ? ERR_CONFIG : ERR_AGAIN, "%s: cannot connect", s->options->target);
}

int
stream_open(struct stream **ret, const struct stream_options *options, struct err *err)
{
	struct stream *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a connection");
	s->options = options;
	s->fd = -1;
	rc = stream_target_is_unix(options->target) ? connect_unix(s, err) : connect_curl(s, err);
	if (rc == 0)
		*ret = s;
	else
		stream_close(s);
	return rc;
}

void
stream_close(struct stream *s)
{
	if (s == NULL)
		return;
	if (s->easy != NULL)
		curl_easy_cleanup(s->easy);	/* and its socket */
	else if (s->fd >= 0)
		close(s->fd);
	free(s);
}

bool
stream_is_datagram(const struct stream *s)
{
	return s->datagram;
}

/* ---- bytes ----------------------------------------------------------------------------- */

/* What one call takes: bytes, 0 not now, -1 the connection is gone. */
static ssize_t
send_some(struct stream *s, struct slice bytes, struct err *err)
{
	size_t sent = 0;
	CURLcode code;
	ssize_t n;

	if (s->easy != NULL) {
		code = curl_easy_send(s->easy, bytes.p, bytes.n, &sent);
		if (code == CURLE_OK || code == CURLE_AGAIN)
			return (ssize_t)sent;
		return fail(s, ERR_AGAIN, "the far side has closed the connection", err);
	}
	n = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
	if (n >= 0)
		return n;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	return err_set_sys(err, errno == EMSGSIZE ? ERR_FULL : ERR_AGAIN, "%s: cannot send", s->options->target);
}

int
stream_send(struct stream *s, struct slice bytes, struct err *err)
{
	while (bytes.n > 0) {
		ssize_t n = send_some(s, bytes, err);
		int ready;

		if (n < 0)
			return -1;
		bytes = slice_make(bytes.p + n, bytes.n - (size_t)n);
		if (n > 0)
			continue;
		ready = wait_for(s, POLLOUT);
		if (ready != 1)
			return fail(s, ERR_AGAIN, ready == 0 ? "the far side takes nothing" : "stopped", err);
	}
	return 0;
}

bool
stream_is_open(struct stream *s)
{
	char bytes[4096];

	if (s->datagram)
		return true;
	for (;;) {
		size_t got = 0;
		ssize_t n;

		if (s->easy != NULL) {
			CURLcode code = curl_easy_recv(s->easy, bytes, sizeof(bytes), &got);

			if (code != CURLE_OK)
				return code == CURLE_AGAIN;
			n = (ssize_t)got;
		} else {
			n = recv(s->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
			if (n < 0)
				return errno == EAGAIN || errno == EINTR;
		}
		if (n == 0)
			return false;
	}
}

int
stream_drain(struct stream *s, struct err *err)
{
	uint64_t end = clock_mono_ms() + s->options->timeout_ms;
	int left = 0, least = -1;

	for (;;) {
		if (!stream_is_open(s))
			return fail(s, ERR_AGAIN, "the far side has closed the connection", err);
		if (s->datagram || ioctl(s->fd, SIOCOUTQ, &left) != 0 || left == 0)
			return 0;
		if (stopped(s))
			return fail(s, ERR_AGAIN, "stopped", err);
		if (least < 0 || left < least) {
			least = left;
			end = clock_mono_ms() + s->options->timeout_ms;
		} else if (clock_mono_ms() >= end) {
			return fail(s, ERR_AGAIN, "the far side reads nothing", err);
		}
		(void)poll(NULL, 0, DRAIN_MS);
	}
}
