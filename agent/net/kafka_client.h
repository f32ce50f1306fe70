/*
 * kafka_client.h - what Kafka's source and sink share: settings, the meaning of errors, letting go of a client.
 *
 * Takes:   a block with `brokers`, `options` and `password` (KAFKA_CLIENT_KEYS).
 * Refuses: options that are the agent's own business, and what this librdkafka does not know (open() reports it).
 * Secret:  `password` is read each time a client is made, and goes to librdkafka alone.
 * Silence: librdkafka never writes to standard error; what matters comes as an event.
 */
#ifndef NET_KAFKA_CLIENT_H
#define NET_KAFKA_CLIENT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <librdkafka/rdkafka.h>

struct conf;
struct err;

#define KAFKA_CLIENT_KEYS							\
	{ .name = "brokers", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "host:port, host:port",	\
	  .help = "brokers to ask first; of Event Hubs NAMESPACE.servicebus.windows.net:9093" },		\
	{ .name = "password", .type = CONF_SECRET, .help = "sasl.password; of Event Hubs the connection string" },	\
	{ .name = "options", .type = CONF_MAP, .allowed = "librdkafka's properties, such as security.protocol",	\
	  .help = "any property of librdkafka that the agent does not need for itself" }

/* One property as the agent wants it. `why` NULL: a default that options may change; else it stays, for that reason. */
struct kafka_setting {
	const char	*name, *value;		/* value NULL: only refused in options */
	const char	*why;
};

/* The settings, checked; no network. `settings` ends at name NULL. ERR_CONFIG names the property, never its value. */
int	kafka_client_conf(rd_kafka_conf_t **ret, const struct conf *, const struct kafka_setting *settings,
	    const char *client_id, struct err *);
/* A client of a copy of `settings`; `conf` for the password. */
int	kafka_client_new(rd_kafka_t **ret, rd_kafka_type_t, const rd_kafka_conf_t *settings, const struct conf *conf,
	    struct err *);
/* Fills err with what the code means to an operator; `detail` is librdkafka's own text or NULL. Kinds: ERR_DENIED,
 * ERR_CONFIG (topic, group, versions, certificates), ERR_DATA (the message), ERR_AGAIN (all else). */
void	kafka_client_explain(rd_kafka_resp_err_t, const char *detail, struct err *);

/* Destroying a client may wait for the network, so a thread does it. One at a time. */
struct kafka_reaper {
	pthread_t	thread;
	bool		running;
};
void	kafka_client_drop(struct kafka_reaper *, rd_kafka_t *);	/* NULL is fine; its queues are gone before */
void	kafka_client_join(struct kafka_reaper *);

#endif
