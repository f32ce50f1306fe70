/*
 * kafka_probe.h - `check --online` for Kafka: can the brokers be reached and logged in to, and are the topics there?
 *
 * Gives:   one answer, from the loop, within about half a minute. Nothing is written, no group is joined.
 * Owns:    a client of its own, gone with kafka_probe_close.
 */
#ifndef NET_KAFKA_PROBE_H
#define NET_KAFKA_PROBE_H

#include <stddef.h>

struct conf;
struct err;
struct kafka_probe;
struct kafka_token;
struct loop;

/* `conf`: a block with KAFKA_CLIENT_KEYS. A topic that begins with ^ is only a pattern: then the brokers alone are tried. err NULL: fine. */
int	kafka_probe_open(struct kafka_probe **ret, struct loop *, const struct conf *conf, struct kafka_token *, const char *const *topics,
	    size_t n, void (*told)(void *arg, const struct err *), void *arg, struct err *);
void	kafka_probe_close(struct kafka_probe *);	/* NULL is fine; no answer after it */

#endif
