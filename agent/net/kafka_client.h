/*
 * kafka_client.h - what Kafka's source and sink share: settings, tokens, the meaning of errors, letting go of a client.
 *
 * Takes:   a block with `brokers`, `options`, `password`, `auth`, `tls` ... (KAFKA_CLIENT_KEYS).
 * Refuses: options that are the agent's own business, and what this librdkafka does not know (open() reports it);
 *          unverified TLS; a password or token over a connection that anybody can read.
 * Fills in: `auth` means SASL_SSL and OAUTHBEARER, `password` SASL_SSL and PLAIN, unless `options` say other.
 * Secret:  `password` is read each time a client is made, and goes to librdkafka alone; so does a token.
 * Silence: librdkafka never writes to standard error; what matters comes as an event.
 * Source:  learn.microsoft.com "Event Hubs for Apache Kafka" (security and authentication); RFC 7628.
 */
#ifndef NET_KAFKA_CLIENT_H
#define NET_KAFKA_CLIENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <librdkafka/rdkafka.h>

#include "net/http.h"
#include "net/token.h"

struct conf;
struct err;
struct loop;

#define KAFKA_CLIENT_KEYS							\
	{ .name = "brokers", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "host:port, host:port",	\
	  .help = "brokers to ask first; of Event Hubs NAMESPACE.servicebus.windows.net:9093" },		\
	{ .name = "auth", .type = CONF_BLOCK, .keys = token_keys, .variant_key = "type", .variant = token_variant,	\
	  .variant_words = TOKEN_WORDS,						\
	  .help = "log in with a token of Entra ID (SASL_SSL and OAUTHBEARER); of Event Hubs instead of a password" },	\
	{ .name = "scope", .type = CONF_TEXT, .flags = CONF_ADVANCED, .wrong = kafka_wrong_scope,		\
	  .allowed = "a scope such as api://ID/.default",			\
	  .help = "what the token is asked for (default: https://NAMESPACE.servicebus.windows.net/.default, by brokers)" },	\
	{ .name = "password", .type = CONF_SECRET,				\
	  .help = "sasl.password (SASL_SSL and PLAIN, unless options say other); of Event Hubs the connection string" },	\
	{ .name = "tls", .type = CONF_BLOCK, .keys = http_tls_keys,		\
	  .help = "TLS of the brokers and of the token endpoint; certificates and names are always verified" },	\
	{ .name = "proxy", .type = CONF_TEXT, .wrong = http_wrong_proxy, .allowed = "a proxy's URL, or none",	\
	  .help = "proxy for the token endpoint alone (default: the variables https_proxy, no_proxy)" },	\
	{ .name = "options", .type = CONF_MAP, .allowed = "librdkafka's properties, such as security.protocol",	\
	  .help = "any property of librdkafka that the agent does not need for itself" }
const char *kafka_wrong_scope(const struct conf *block, const char *text);

/* One property as the agent wants it. `why` NULL: a default that options may change; else it stays, for that reason. */
struct kafka_setting {
	const char	*name, *value;		/* value NULL: only refused in options */
	const char	*why;
};

/* ---- kafka_client.c ---- */

/* The settings, checked; no network. `settings` ends at name NULL. ERR_CONFIG names the property, never its value. */
int	kafka_client_conf(rd_kafka_conf_t **ret, const struct conf *, const struct kafka_setting *settings,
	    const char *client_id, struct err *);
/* True: a warning that these settings deserve. */
bool	kafka_client_warning(const struct conf *, char *ret, size_t n);
/* A number among the settings, as librdkafka has it; `otherwise` if it has none. */
long	kafka_client_number(const rd_kafka_conf_t *, const char *name, long otherwise);
/* A client of a copy of `settings`; `conf` for the password. */
int	kafka_client_new(rd_kafka_t **ret, rd_kafka_type_t, const rd_kafka_conf_t *settings, const struct conf *conf,
	    struct err *);

/* Destroying a client may wait for the network (a resolver, say), so threads do it; only when all of them wait does the caller. */
#define KAFKA_GRAVES	4
struct kafka_reaper {
	struct kafka_grave {
		pthread_t	 thread;
		rd_kafka_t	*rk;		/* NULL: free */
		_Atomic bool	 done;
	} graves[KAFKA_GRAVES];
};
void	kafka_client_drop(struct kafka_reaper *, rd_kafka_t *);	/* NULL is fine; its queues are gone before */
void	kafka_client_join(struct kafka_reaper *);

/* ---- kafka_client_error.c ---- */

/* Fills err with what the code means to an operator; `detail` is librdkafka's own text or NULL. Kinds: ERR_DENIED,
 * ERR_CONFIG (topic, group, versions, certificates), ERR_DATA (the message), ERR_AGAIN (all else). */
void	kafka_client_explain(rd_kafka_resp_err_t, const char *detail, struct err *);

/* ---- kafka_client_token.c: OAUTHBEARER, by agent/net/token.h ---- */

struct kafka_token;
/* *ret NULL if the block has no `auth`. Runs on `loop`; no network yet. */
int	kafka_token_open(struct kafka_token **ret, struct loop *, const struct conf *, struct err *);
void	kafka_token_on_news(struct kafka_token *, void (*told)(void *arg, const char *text), void *arg);	/* NULL is fine; as token_on_news */
void	kafka_token_close(struct kafka_token *);	/* NULL is fine */
/* Every event of a client's queue that is RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH. The client is borrowed until told to forget it. */
void	kafka_token_refresh(struct kafka_token *, rd_kafka_t *);
void	kafka_token_forget(struct kafka_token *, rd_kafka_t *);	/* before it is dropped; NULLs are fine */
/* What an authentication error means, over what librdkafka says: no token could be had; or the broker refused one, then a new one is
 * fetched and *why is ERR_AGAIN, and ERR_DENIED only when that one is refused too. *why stays if there is no `auth`. */
void	kafka_token_explain(struct kafka_token *, struct err *why);
/* The same when waiting has ended in vain after such an error: librdkafka does not repeat one that it has told. */
void	kafka_token_settle(struct kafka_token *, struct err *why);
void	kafka_token_good(struct kafka_token *);		/* a broker has taken it */

#endif
