/*
 * kafka.c - sink `kafka`: one message an event, written by an idempotent producer.
 *
 * A batch counts when the broker has acknowledged each of its messages. librdkafka sends again by itself and keeps the
 * order for as long as it takes; when nothing moves for a while the sink gives the batch back and makes a new producer.
 * Which messages of such a batch were acknowledged is remembered, so that they are not sent twice.
 * A message's key is that of its entry, so the events of one resource share a partition; header `EventId` names it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "net/kafka_client.h"
#include "sinks/batch.h"
#include "sinks/kafka/acked.h"
#include "sinks/sink.h"

#define SLOTS			2
#define LOOK_MS			1000
#define STALL_MS		60000		/* without one acknowledgement */
#define STALL_TROUBLE_MS	10000		/* the same, when librdkafka has said why */
#define OVERHEAD_BYTES		160		/* of a message: key, header, frame */

struct slot {			/* one batch on its way */
	const struct batch	*batch;
	uint32_t		 turn;		/* tells it from what was in the slot before */
	size_t			 next;		/* first entry not yet handed to librdkafka */
	size_t			 out;		/* handed over, no report yet */
	size_t			 failed;
	unsigned char		*acked;		/* one byte an entry */
	struct err		 why;		/* the worst of the failures */
};

struct kafka_sink {
	struct sink		*sink;
	const struct conf	*conf;
	char			*topic;
	rd_kafka_conf_t		*settings;
	size_t			 max_message;
	rd_kafka_t		*rk;
	rd_kafka_queue_t	*queue;
	struct kafka_reaper	 reaper;
	int			 knock_fd;
	struct loop_fd		*watch;
	struct loop_timer	*look;
	struct slot		 slots[SLOTS];
	uint32_t		 turns;
	uint64_t		 moved_ms;	/* last acknowledgement, or first message out */
	struct err		 trouble;	/* what librdkafka complained of since then */
	bool			 stale;		/* an operator had to act: what the producer remembers may be wrong */
	bool			 plain;		/* the broker has no idempotent producers */
	struct kafka_acked	 there;		/* entries of given-back batches that the broker has */
};

/* ---- answers --------------------------------------------------------------------- */

static enum sink_verdict
verdict_of(const struct err *why, const struct batch *b)
{
	switch (why->kind) {
	case ERR_DENIED:
	case ERR_CONFIG:
		return SINK_HELD;
	case ERR_DATA:
		return b->n > 1 ? SINK_TOO_BIG : SINK_REFUSED;
	default:
		return SINK_LATER;
	}
}

/* The slot is free before the answer is given, since that may bring the next batch. */
static void
answer(struct kafka_sink *k, struct slot *slot, enum sink_verdict verdict, const struct err *why)
{
	const struct batch *b = slot->batch;

	if (verdict == SINK_DELIVERED)
		kafka_acked_forget(&k->there, b);
	else
		kafka_acked_add(&k->there, slot->batch, slot->acked);
	k->stale |= verdict == SINK_HELD;
	free(slot->acked);
	*slot = (struct slot){ 0 };
	sink_answer(k->sink, b, verdict, 0, why);
}

static void
close_producer(struct kafka_sink *k)
{
	if (k->queue != NULL) {
		rd_kafka_queue_io_event_enable(k->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(k->queue);
	}
	k->queue = NULL;
	if (k->rk != NULL)
		rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	kafka_client_drop(&k->reaper, k->rk);
	k->rk = NULL;
}

/* Gives back everything that is out; the next put() makes a new producer. */
static void
give_back(struct kafka_sink *k, const struct err *why)
{
	struct err copy = *why;
	struct slot old[SLOTS];

	close_producer(k);
	k->trouble = (struct err){ 0 };
	memcpy(old, k->slots, sizeof(old));
	memset(k->slots, 0, sizeof(k->slots));
	for (size_t i = 0; i < SLOTS; i++)
		if (old[i].batch != NULL)
			kafka_acked_add(&k->there, old[i].batch, old[i].acked);
	for (size_t i = 0; i < SLOTS; i++) {
		if (old[i].batch == NULL)
			continue;
		free(old[i].acked);
		sink_answer(k->sink, old[i].batch, copy.kind == ERR_DATA ? SINK_LATER : verdict_of(&copy, old[i].batch), 0,
		    &copy);
	}
}

/* ---- producing ------------------------------------------------------------------- */

static bool
is_busy(const struct kafka_sink *k)
{
	return k->slots[0].batch != NULL || k->slots[1].batch != NULL;
}

static int
open_producer(struct kafka_sink *k, struct err *err)
{
	static const uint64_t one = 1;
	char text[256] = "";

	if (k->rk != NULL && rd_kafka_fatal_error(k->rk, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR && is_busy(k))
		return err_set(err, ERR_AGAIN, "kafka: %.200s", text);	/* given back as soon as its event is here */
	if (k->rk != NULL && (is_busy(k) || (!k->stale && text[0] == '\0')))
		return 0;
	close_producer(k);
	k->stale = false;
	if (kafka_client_new(&k->rk, RD_KAFKA_PRODUCER, k->settings, k->conf, err) != 0)
		return -1;
	k->queue = rd_kafka_queue_get_main(k->rk);
	rd_kafka_queue_io_event_enable(k->queue, k->knock_fd, &one, sizeof(one));
	return 0;
}

static void *
tag(const struct kafka_sink *k, const struct slot *slot, size_t i)
{
	return (void *)(uintptr_t)((uint64_t)slot->turn << 32 | (uint64_t)(slot - k->slots) << 28 | i);
}

static struct slot *
slot_of(struct kafka_sink *k, const void *opaque, size_t *ret_i)
{
	uint64_t v = (uintptr_t)opaque;
	struct slot *slot = &k->slots[(v >> 28) & 0xf];

	assert(slot < k->slots + SLOTS);
	if (slot->batch == NULL || slot->turn != v >> 32)
		return NULL;
	*ret_i = v & 0xfffffff;
	return slot;
}

static rd_kafka_resp_err_t
produce(struct kafka_sink *k, struct slot *slot, size_t i)
{
	const struct batch_entry *e = &slot->batch->v[i];
	struct slice bytes = batch_entry_bytes(slot->batch, i);
	char key[17];

	snprintf(key, sizeof(key), "%016llx", (unsigned long long)e->key);
	return rd_kafka_producev(k->rk, RD_KAFKA_V_TOPIC(k->topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_KEY(key, sizeof(key) - 1), RD_KAFKA_V_VALUE((void *)(uintptr_t)bytes.p, bytes.n),
	    RD_KAFKA_V_HEADER("EventId", e->id, (ssize_t)strlen(e->id)), RD_KAFKA_V_OPAQUE(tag(k, slot, i)), RD_KAFKA_V_END);
}

static void
note_failure(struct slot *slot, rd_kafka_resp_err_t code)
{
	struct err why = { 0 };

	kafka_client_explain(code, NULL, &why);
	/* One bad message is dealt with by halving; anything else concerns all and goes first. */
	if (slot->failed++ == 0 || (slot->why.kind == ERR_DATA && why.kind != ERR_DATA))
		slot->why = why;
}

static void
end_if_done(struct kafka_sink *k, struct slot *slot)
{
	struct err why = slot->why;

	if (slot->batch == NULL || slot->next < slot->batch->n || slot->out > 0)
		return;
	answer(k, slot, slot->failed == 0 ? SINK_DELIVERED : verdict_of(&why, slot->batch), slot->failed == 0 ? NULL : &why);
}

/* Hands over as much as librdkafka takes. */
static void
feed(struct kafka_sink *k, struct slot *slot)
{
	for (; slot->next < slot->batch->n; slot->next++) {
		rd_kafka_resp_err_t code;

		if (kafka_acked_has(&k->there, slot->batch->v[slot->next].seq)) {
			slot->acked[slot->next] = 1;
			continue;
		}
		code = produce(k, slot, slot->next);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return;			/* on with the next reports */
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			slot->out++;
		else
			note_failure(slot, code);
	}
}

static void
feed_all(struct kafka_sink *k)
{
	struct slot *in_order[SLOTS] = { &k->slots[0], &k->slots[1] };

	if (k->slots[1].batch != NULL && (k->slots[0].batch == NULL || k->slots[1].turn < k->slots[0].turn)) {
		in_order[0] = &k->slots[1];
		in_order[1] = &k->slots[0];
	}
	for (size_t i = 0; i < SLOTS; i++) {
		if (in_order[i]->batch == NULL)
			continue;
		feed(k, in_order[i]);
		if (in_order[i]->next < in_order[i]->batch->n)
			return;			/* nothing may overtake it */
	}
}

/* ---- reports and complaints ---------------------------------------------------------- */

static void
take_report(struct kafka_sink *k, const rd_kafka_message_t *m)
{
	size_t i;
	struct slot *slot = slot_of(k, m->_private, &i);

	if (slot == NULL)
		return;
	slot->out--;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		slot->acked[i] = 1;
		k->moved_ms = clock_mono_ms();
		k->trouble = (struct err){ 0 };
	} else {
		note_failure(slot, m->err);
	}
}

static bool
is_unsupported(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION;
}

/* The broker said that it knows no idempotent producers: acks=all with one request at a time keeps order as well. */
static void
go_plain(struct kafka_sink *k, struct err *why)
{
	char text[128];

	k->plain = true;
	(void)rd_kafka_conf_set(k->settings, "enable.idempotence", "false", text, sizeof(text));
	(void)rd_kafka_conf_set(k->settings, "max.in.flight.requests.per.connection", "1", text, sizeof(text));
	err_set(why, ERR_AGAIN, "the broker knows no idempotent producers; going on with acks=all, so messages may come twice "
	    "after a lost answer (EventId shows it)");
}

/* True: the producer is of no use any more, and *why says it. */
static bool
take_error(struct kafka_sink *k, rd_kafka_event_t *ev, struct err *why)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
	const char *detail = rd_kafka_event_error_string(ev);
	char text[256];
	bool fatal = rd_kafka_event_error_is_fatal(ev);

	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		code = rd_kafka_fatal_error(k->rk, text, sizeof(text));
		detail = text;
		fatal = true;
	}
	if (fatal && is_unsupported(code) && !k->plain) {
		go_plain(k, why);
		return true;
	}
	/* "All are down" says less than why each is. */
	if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || k->trouble.kind == ERR_NONE)
		kafka_client_explain(code, detail, &k->trouble);
	*why = k->trouble;
	return fatal;
}

static void
take_reports(struct kafka_sink *k, rd_kafka_event_t *ev)
{
	const rd_kafka_message_t *m[256];
	size_t n;

	while ((n = rd_kafka_event_message_array(ev, m, sizeof(m) / sizeof(m[0]))) > 0)
		for (size_t i = 0; i < n; i++)
			take_report(k, m[i]);
}

static void
serve(struct kafka_sink *k)
{
	rd_kafka_event_t *ev;
	struct err why = { 0 };
	bool lost = false;

	while (!lost && k->queue != NULL && (ev = rd_kafka_queue_poll(k->queue, 0)) != NULL) {
		if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_DR)
			take_reports(k, ev);
		else if (rd_kafka_event_type(ev) == RD_KAFKA_EVENT_ERROR)
			lost = take_error(k, ev, &why);
		rd_kafka_event_destroy(ev);
	}
	if (lost) {
		give_back(k, &why);
		return;
	}
	if (k->rk != NULL)
		feed_all(k);
	for (size_t i = 0; i < SLOTS; i++)
		end_if_done(k, &k->slots[i]);
}

static void
on_knock(void *arg, unsigned ready)
{
	struct kafka_sink *k = arg;
	eventfd_t n;

	(void)ready;
	(void)eventfd_read(k->knock_fd, &n);
	serve(k);
}

/* Nothing moves: back with the batches, so that people hear of it and a new producer is tried. */
static void
look(void *arg)
{
	struct kafka_sink *k = arg;
	struct err why = { 0 };
	uint64_t still_ms;

	serve(k);
	if (!is_busy(k))
		return;
	loop_timer_set(k->look, LOOK_MS);
	still_ms = clock_mono_ms() - k->moved_ms;
	if (still_ms < (k->trouble.kind != ERR_NONE ? STALL_TROUBLE_MS : STALL_MS))
		return;
	why = k->trouble;
	if (why.kind == ERR_NONE)
		err_set(&why, ERR_AGAIN, "kafka: no acknowledgement for %u s", STALL_MS / 1000);
	give_back(k, &why);
}

/* ---- the contract ----------------------------------------------------------------------- */

/* Nothing is sent of a batch with a message that librdkafka will not take. */
static bool
is_too_large(const struct kafka_sink *k, const struct batch *b, struct err *why)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->v[i].n + OVERHEAD_BYTES > k->max_message) {
			err_set(why, ERR_DATA, "an event of %u bytes is larger than message.max.bytes (%zu)", b->v[i].n,
			    k->max_message);
			return true;
		}
	return false;
}

static struct slot *
free_slot(struct kafka_sink *k)
{
	for (size_t i = 0; i < SLOTS; i++)
		if (k->slots[i].batch == NULL)
			return &k->slots[i];
	return NULL;
}

static void
kafka_put(struct sink *s, const struct batch *b)
{
	struct kafka_sink *k = s->priv;
	struct slot *slot = free_slot(k);
	struct err why = { 0 };

	assert(slot != NULL && b->n > 0);
	if (is_too_large(k, b, &why)) {
		sink_answer(s, b, SINK_REFUSED, 0, &why);
		return;
	}
	if (open_producer(k, &why) != 0) {
		sink_answer(s, b, verdict_of(&why, b), 0, &why);
		return;
	}
	if (!is_busy(k))
		k->moved_ms = clock_mono_ms();
	*slot = (struct slot){ .batch = b, .turn = ++k->turns, .acked = calloc(b->n, 1) };
	if (slot->acked == NULL) {
		err_set(&why, ERR_AGAIN, "no memory for a batch");
		answer(k, slot, SINK_LATER, &why);
		return;
	}
	if (!loop_timer_is_set(k->look))
		loop_timer_set(k->look, LOOK_MS);
	feed_all(k);
	end_if_done(k, slot);
}

static void
kafka_close(struct sink *s)
{
	struct kafka_sink *k = s->priv;

	if (k == NULL)
		return;
	close_producer(k);
	kafka_client_join(&k->reaper);
	loop_unwatch(k->watch);
	loop_timer_free(k->look);
	if (k->knock_fd >= 0)
		close(k->knock_fd);
	if (k->settings != NULL)
		rd_kafka_conf_destroy(k->settings);
	for (size_t i = 0; i < SLOTS; i++)
		free(k->slots[i].acked);
	kafka_acked_fini(&k->there);
	free(k->topic);
	free(k);
	s->priv = NULL;
}

static const struct kafka_setting sink_settings[] = {
	{ "enable.idempotence", "true", "the agent decides by exactly_once" },
	{ "acks", "all", "an event counts when all replicas in sync have it" },
	{ "request.required.acks", NULL, "an event counts when all replicas in sync have it" },
	{ "message.timeout.ms", "0", "the spool keeps the events, the agent decides when to try anew" },
	{ "delivery.timeout.ms", NULL, "the spool keeps the events, the agent decides when to try anew" },
	{ "transactional.id", NULL, "the agent decides by exactly_once" },
	{ "retries", NULL, "idempotence needs them all" },
	{ "message.send.max.retries", NULL, "idempotence needs them all" },
	{ "delivery.report.only.error", NULL, "each event is waited for" },
	{ "linger.ms", "5", NULL },
	{ "queue.buffering.max.kbytes", "65536", NULL },
	{ NULL, NULL, NULL },
};

static int
read_settings(struct kafka_sink *k, const struct conf *conf, struct err *err)
{
	char name[64], bytes[32];
	size_t n = sizeof(bytes);

	snprintf(name, sizeof(name), "aispm-agent-%.32s", k->sink->agent_id != NULL ? k->sink->agent_id : "");
	if (kafka_client_conf(&k->settings, conf, sink_settings, name, err) != 0)
		return -1;
	rd_kafka_conf_set_events(k->settings, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
	k->max_message = 1000000;
	if (rd_kafka_conf_get(k->settings, "message.max.bytes", bytes, &n) == RD_KAFKA_CONF_OK)
		k->max_message = strtoul(bytes, NULL, 10);
	k->topic = strdup(conf_text(conf, "topic"));
	return k->topic != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for a sink");
}

static int
kafka_open(struct sink *s, const struct conf *conf, struct err *err)
{
	struct kafka_sink *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	s->priv = k;
	k->sink = s;
	k->conf = conf;
	k->knock_fd = -1;
	if (read_settings(k, conf, err) != 0)
		return -1;
	k->knock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (k->knock_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no descriptor for a sink");
	k->watch = loop_watch(s->loop, k->knock_fd, LOOP_READ, on_knock, k, err);
	k->look = loop_timer_new(s->loop, look, k, err);
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

static const char *
wrong_exactly_once(const struct conf *block, const char *text)
{
	(void)block;
	if (strcmp(text, "true") == 0)
		return "auto or false; true (transactions) is not in this version, auto writes with an idempotent producer";
	return strcmp(text, "auto") == 0 || strcmp(text, "false") == 0 ? NULL : "auto or false";
}

static const struct conf_key kafka_keys[] = {
	KAFKA_CLIENT_KEYS,
	{ .name = "topic", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "a topic's name", .wrong = wrong_topic,
	  .help = "topic that the events are written to; a resource's events keep to one partition" },
	{ .name = "exactly_once", .type = CONF_TEXT, .fallback = "auto", .allowed = "auto|false", .wrong = wrong_exactly_once,
	  .help = "transactions (true: not in this version); auto and false write with an idempotent producer" },
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
	.max_bytes = 1000000,
	.max_entry_bytes = 1000000,
	.max_entries = 20000,
	.max_in_flight = 1,		/* a batch that comes again must not fall behind a later one: order is promised */
	.keys = kafka_keys,
	.open = kafka_open,
	.put = kafka_put,
	.close = kafka_close,
};
