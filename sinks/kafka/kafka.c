/*
 * kafka.c - sink `kafka`: one message an event; its settings, and the contract of sink.h.
 *
 * A batch is a transaction, which also commits how far the spool is: exactly once. Where the brokers have no transactions, an idempotent
 * producer writes; a batch then counts when each of its messages is acknowledged, and which ones of a batch that comes again
 * were acknowledged is remembered. A message's key is that of its entry, so the events of one resource share a partition;
 * header `EventId` names it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/loop.h"
#include "sinks/kafka/kafka_sink.h"

#define BATCH_BYTES		65536		/* of one partition in one request: much less than any topic's limit */
#define TRANSACTIONS_SINCE	0x01080200	/* before, messages of a committed transaction could be missing (its CHANGELOG) */

/* ---- settings --------------------------------------------------------------------- */

#define BY_EXACTLY_ONCE	"the agent decides by exactly_once"
#define BY_SPOOL	"the spool keeps the events, the agent decides when to try anew"

static int
producer_settings(struct kafka_sink *k, const char *client, struct err *err)
{
	const bool transactions = k->mode == KAFKA_TRANSACTIONS, plain = k->mode == KAFKA_PLAIN;
	char batch[24];
	const struct kafka_setting rows[] = {
		{ "enable.idempotence", plain ? "false" : "true", BY_EXACTLY_ONCE },
		{ "transactional.id", transactions ? k->group : NULL, BY_EXACTLY_ONCE },
		{ "debug", plain ? NULL : "eos", "the agent takes librdkafka's messages" },	/* ear.c */
		{ "acks", "all", "an event counts when all replicas in sync have it" },
		{ "request.required.acks", NULL, "an event counts when all replicas in sync have it" },
		{ "message.timeout.ms", transactions ? NULL : "0", BY_SPOOL },
		{ "delivery.timeout.ms", NULL, BY_SPOOL },
		{ "max.in.flight.requests.per.connection", plain ? "1" : "5", "order must be kept" },
		{ "max.in.flight", NULL, "order must be kept" },
		{ "retries", NULL, "idempotence needs them all" },
		{ "message.send.max.retries", NULL, "idempotence needs them all" },
		{ "delivery.report.only.error", NULL, "each event is waited for" },
		{ "group.id", NULL, "it is made of the agent's id and the sink's name" },
		{ "linger.ms", "5", NULL },
		{ "batch.size", batch, NULL },
		{ "message.max.bytes", "1048576", NULL },
		{ "queue.buffering.max.kbytes", "65536", NULL },
		{ NULL, NULL, NULL },
	};

	snprintf(batch, sizeof(batch), "%zu", k->learned_bytes > 0 ? k->learned_bytes : (size_t)BATCH_BYTES);
	if (kafka_client_conf(&k->settings, k->conf, rows, client, err) != 0)
		return -1;
	if (k->learned_bytes > 0)		/* goes before options */
		(void)rd_kafka_conf_set(k->settings, "batch.size", batch, NULL, 0);
	rd_kafka_conf_set_events(k->settings, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH);
	kafka_ear_listen(&k->ear, k->settings);
	k->max_message = (size_t)kafka_client_number(k->settings, "message.max.bytes", 1000000);
	k->batch_bytes = (size_t)kafka_client_number(k->settings, "batch.size", 1000000);
	k->transaction_ms = (uint64_t)kafka_client_number(k->settings, "transaction.timeout.ms", 60000);
	return 0;
}

/* Of the consumer that reads the place; what options say of producers alone means nothing to it. */
static int
reader_settings(struct kafka_sink *k, const char *client, struct err *err)
{
	const struct kafka_setting rows[] = {
		{ "group.id", k->group, "it is made of the agent's id and the sink's name" },
		{ "enable.auto.commit", "false", "the agent commits" },
		{ "isolation.level", "read_committed", "what is not committed does not count" },
		{ NULL, NULL, NULL },
	};

	if (kafka_client_conf(&k->reader_settings, k->conf, rows, client, err) != 0)
		return -1;
	rd_kafka_conf_set_events(k->reader_settings, RD_KAFKA_EVENT_ERROR | RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH);
	return 0;
}

static void
free_settings(rd_kafka_conf_t *producer, rd_kafka_conf_t *reader)
{
	if (producer != NULL)
		rd_kafka_conf_destroy(producer);
	if (reader != NULL)
		rd_kafka_conf_destroy(reader);
}

int
kafka_sink_settings(struct kafka_sink *k, struct err *err)
{
	rd_kafka_conf_t *producer = k->settings, *reader = k->reader_settings;
	char client[64];

	snprintf(client, sizeof(client), "aispm-agent-%.32s", k->sink->agent_id != NULL ? k->sink->agent_id : "");
	k->settings = k->reader_settings = NULL;
	if (producer_settings(k, client, err) == 0 && (k->mode != KAFKA_TRANSACTIONS || reader_settings(k, client, err) == 0)) {
		free_settings(producer, reader);
		return 0;
	}
	free_settings(k->settings, k->reader_settings);
	k->settings = producer;
	k->reader_settings = reader;
	return -1;
}

/* ---- the contract ----------------------------------------------------------------------- */

static void
probed(void *arg, const struct err *why)
{
	struct kafka_sink *k = arg;
	const bool held = why != NULL && (why->kind == ERR_DENIED || why->kind == ERR_CONFIG);

	sink_answer(k->sink, k->batch, why == NULL ? SINK_DELIVERED : held ? SINK_HELD : SINK_LATER, 0, why);
}

/* No transaction is begun: that would fence the agent that runs. */
static void
probe(struct kafka_sink *k, const struct batch *b)
{
	struct err err = { 0 };

	k->batch = b;
	if (kafka_probe_open(&k->probe, k->sink->loop, k->conf, k->token, (const char *const *)&k->topic, 1, probed, k, &err) != 0)
		probed(k, &err);
}

static void
kafka_put(struct sink *s, const struct batch *b)
{
	if (b->n == 0)
		probe(s->priv, b);
	else
		kafka_produce(s->priv, b);
}

static void
on_knock(void *arg, unsigned ready)
{
	struct kafka_sink *k = arg;
	eventfd_t n;

	(void)ready;
	(void)eventfd_read(k->knock_fd, &n);
	kafka_produce_serve(k);
}

static void
kafka_close(struct sink *s)
{
	struct kafka_sink *k = s->priv;

	if (k == NULL)
		return;
	kafka_probe_close(k->probe);
	kafka_produce_close(k);
	kafka_token_close(k->token);
	loop_unwatch(k->watch);
	loop_timer_free(k->look);
	if (k->knock_fd >= 0)
		close(k->knock_fd);
	free_settings(k->settings, k->reader_settings);
	kafka_acked_fini(&k->there);
	pthread_mutex_destroy(&k->ear.lock);
	free(k->topic);
	free(k);
	s->priv = NULL;
}

/* With which guarantee to begin. */
static int
choose_mode(struct kafka_sink *k, const struct conf *conf, struct err *err)
{
	const char *word = conf_text(conf, "exactly_once");

	k->may_fall_back = strcmp(word, "auto") == 0;
	k->mode = strcmp(word, "false") == 0 ? KAFKA_IDEMPOTENT : KAFKA_TRANSACTIONS;
	if (k->mode != KAFKA_TRANSACTIONS || rd_kafka_version() >= TRANSACTIONS_SINCE)
		return 0;
	if (!k->may_fall_back)
		return err_set(err, ERR_CONFIG, "%s:%u: exactly_once: librdkafka %s may lose messages of a transaction (mended in 1.8.2); "
		    "allowed with it: auto, false", conf_file(conf, "exactly_once"), conf_line(conf, "exactly_once"), rd_kafka_version_str());
	k->mode = KAFKA_IDEMPOTENT;
	k->sink->say(k->sink, "kafka: librdkafka is older than 1.8.2, whose transactions may lose messages; going on with an idempotent "
	    "producer (EventId shows repeats)");
	return 0;
}

static int
kafka_open(struct sink *s, const struct conf *conf, struct err *err)
{
	struct kafka_sink *k = calloc(1, sizeof(*k));
	char warning[256];

	if (k == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	s->priv = k;
	k->sink = s;
	k->conf = conf;
	k->knock_fd = -1;
	pthread_mutex_init(&k->ear.lock, NULL);
	snprintf(k->group, sizeof(k->group), "aispm-agent-%.32s-%.64s", s->agent_id != NULL ? s->agent_id : "", s->name);
	if (choose_mode(k, conf, err) != 0 || kafka_sink_settings(k, err) != 0 ||
	    kafka_token_open(&k->token, s->loop, conf, err) != 0)
		return -1;
	kafka_token_on_news(k->token, sink_debug, s);
	k->topic = strdup(conf_text(conf, "topic"));
	if (k->topic == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	k->knock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->knock_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no descriptor for a sink");
	if (kafka_client_warning(conf, warning, sizeof(warning)))
		s->say(s, warning);
	k->watch = loop_watch(s->loop, k->knock_fd, LOOP_READ, on_knock, k, err);
	k->look = loop_timer_new(s->loop, kafka_produce_look, k, err);
	k->job = (struct kafka_job){ .group = k->group, .topic = k->topic, .ear = &k->ear, .knock_fd = k->knock_fd };
	return k->watch != NULL && k->look != NULL ? 0 : -1;
}

static const char *
wrong_topic(const struct conf *block, const char *text)
{
	size_t n = strlen(text);

	(void)block;
	return n > 0 && n <= 249 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n &&
	    strcmp(text, ".") != 0 && strcmp(text, "..") != 0 ? NULL : "letters, digits, dot, _ and -, at most 249";
}

static const struct conf_key kafka_keys[] = {
	KAFKA_CLIENT_KEYS,
	{ .name = "topic", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "a topic's name", .wrong = wrong_topic,
	  .help = "topic that the events are written to; a resource's events keep to one partition" },
	{ .name = "exactly_once", .type = CONF_WORD, .fallback = "auto", .allowed = "auto|true|false",
	  .help = "true: a batch is a transaction, which also commits how far the spool is. auto: the same, and an idempotent producer (then "
	  "acks=all alone) where the brokers say that they do not support it. false: an idempotent producer" },
	CONF_END
};

const struct sink_kind sink_kind_kafka = {
	.name = "kafka",
	.help = "one message an event in a Kafka topic or an event hub",
	.format = "json",
	.formats = "json|cef|ocsf",
	.open_bytes = "",
	.between_bytes = "\n",
	.close_bytes = "",
	.max_bytes = 4000000,		/* a transaction has its price */
	.max_entries = 20000,
	.max_in_flight = 1,		/* a batch that comes again must not fall behind a later one: order is promised */
	.keys = kafka_keys,
	.open = kafka_open,
	.put = kafka_put,
	.close = kafka_close,
};
