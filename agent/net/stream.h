/*
 * stream.h - bytes to a far side over TCP, TLS or a Unix socket, for a thread that may block.
 *
 * Takes:   "tcp://HOST:PORT", "tls://HOST:PORT", "unix:/PATH" (a datagram socket, else a stream). IPv6 hosts in brackets.
 * TLS:     verified always, 1.2 at least, over libcurl like every other connection; never through a proxy.
 * Fails:   ERR_AGAIN; ERR_CONFIG: certificate, name, path. After a failed send or drain only stream_close is of use.
 * Stops:   every wait ends soon after *stop is true.
 * Says:    stream_drain is all that these transports can say: the far side's kernel has the bytes, its program may not.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include "base/slice.h"

struct conf;
struct err;
struct http_policy;
struct stream;

struct stream_options {
	const char			*target;
	const struct http_policy	*policy;	/* TLS files, or NULL */
	unsigned			 timeout_ms;	/* to connect; and without progress while sending and draining */
	const atomic_bool		*stop;
};

/* `options` and what it points to must outlive the stream. */
int	stream_open(struct stream **ret, const struct stream_options *options, struct err *);
void	stream_close(struct stream *);		/* NULL is fine */
/* One send is one datagram: then longer ones are split by no one, and ERR_FULL says that this one is too long. */
bool	stream_is_datagram(const struct stream *);
int	stream_send(struct stream *, struct slice, struct err *);
/* Waits until nothing sent is unacknowledged by the far kernel (TCP) or unread (Unix), and the far side has not hung up. */
int	stream_drain(struct stream *, struct err *);
/* False when the far side has hung up; what it says is thrown away. */
bool	stream_is_open(struct stream *);

/* For conf_key.wrong. */
const char *stream_wrong_target(const struct conf *block, const char *text);
bool	stream_target_is_unix(const char *target);
bool	stream_target_is_tls(const char *target);

#endif
