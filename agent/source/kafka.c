/*
 * kafka.c - source `kafka`: the contract of source.h, and consuming.
 *
 * A static member of a consumer group. A message that intake refuses is held and the partitions are paused; the queue is
 * served all the same, or the group would take us for dead. Nothing is committed that is not durable in the spool.
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

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/stat.h"
#include "source/kafka_source.h"
#include "source/source.h"

#define TICK_MS		1000
#define TURN_MS		5
#define ASSIGNMENT_WAIT_MS	120000
#define REOPEN_LEAST_MS	1000
#define REOPEN_MOST_MS	60000

/* ---- messages -------------------------------------------------------------------- */

static void
pause_all(struct kafka_source *ks)
{
	rd_kafka_topic_partition_list_t *list = ks->stopped ? NULL : kafka_part_assigned(ks);

	ks->paused = ks->stopped = true;
	if (list == NULL)
		return;
	rd_kafka_pause_partitions(ks->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
}

/* Messages that still came while paused were let go: back to the first of them. */
static void
rewind_parts(struct kafka_source *ks)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

	for (size_t i = 0; i < ks->nparts; i++) {
		struct kafka_part *p = &ks->parts[i];

		if (p->assigned && p->rewind != KAFKA_NONE)
			rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->rewind;
		p->rewind = KAFKA_NONE;
	}
	if (list->cnt > 0) {
		rd_kafka_error_t *e = rd_kafka_seek_partitions(ks->rk, list, 0);

		if (e != NULL)
			rd_kafka_error_destroy(e);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void
resume_all(struct kafka_source *ks)
{
	rd_kafka_topic_partition_list_t *list = ks->stopped && ks->rk != NULL ? kafka_part_assigned(ks) : NULL;

	ks->stopped = false;
	if (list == NULL)
		return;
	rd_kafka_resume_partitions(ks->rk, list);
	rewind_parts(ks);
	rd_kafka_topic_partition_list_destroy(list);
}

/* False: refused. */
static bool
offer(struct kafka_source *ks, const rd_kafka_message_t *m)
{
	struct kafka_part *p = kafka_part_of(ks, m);
	struct position at;
	bool taken;

	if (p == NULL)
		return true;		/* revoked in the meantime: another reads it */
	at = kafka_part_position(p, m->offset + 1);
	if (m->payload == NULL || m->len == 0) {
		taken = source_move(ks->s, &at);
	} else {
		const struct record r = { .bytes = { m->payload, m->len }, .source = ks->s->name, .arrived_ms = ks->now_ms };

		taken = source_emit(ks->s, &r, &at);
	}
	if (taken) {
		p->next = m->offset + 1;
		p->untold = false;
	}
	return taken;
}

static void
end_of_partition(struct kafka_source *ks, const char *topic, int32_t partition)
{
	struct kafka_part *p = kafka_part_get(ks, topic, partition);

	if (p != NULL)
		p->ended = true;
}

static void
complain(struct kafka_source *ks, rd_kafka_event_t *ev)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
	struct err why = { 0 };
	char text[256];

	if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		rd_kafka_topic_partition_t *tp = rd_kafka_event_topic_partition(ev);

		if (tp != NULL) {
			end_of_partition(ks, tp->topic, tp->partition);
			rd_kafka_topic_partition_destroy(tp);
		}
		return;
	}
	if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(ev)) {
		code = rd_kafka_fatal_error(ks->rk, text, sizeof(text));
		kafka_client_explain(code, text, &why);
		ks->lost = why;
		ks->lost_code = code;
		return;
	}
	kafka_client_explain(code, rd_kafka_event_error_string(ev), &why);
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		kafka_token_explain(ks->token, &why);
	kafka_group_tell(ks, code, &why);
}

/* Takes the event over if it holds a message that was refused: then true. */
static bool
fetched(struct kafka_source *ks, rd_kafka_event_t *ev)
{
	const rd_kafka_message_t *m = rd_kafka_event_message_next(ev);
	struct kafka_part *p = m != NULL ? kafka_part_of(ks, m) : NULL;

	if (p == NULL)
		return false;
	if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
		end_of_partition(ks, p->topic, p->partition);
		return false;
	}
	if (m->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return false;
	if (ks->stopped) {
		if (p->rewind == KAFKA_NONE || m->offset < p->rewind)
			p->rewind = m->offset;
		return false;
	}
	if (offer(ks, m))
		return false;
	ks->held = ev;
	ks->held_message = m;
	pause_all(ks);
	return true;
}

static void
handle(struct kafka_source *ks, rd_kafka_event_t *ev)
{
	bool kept = false;

	switch (rd_kafka_event_type(ev)) {
	case RD_KAFKA_EVENT_FETCH:
		kept = fetched(ks, ev);
		break;
	case RD_KAFKA_EVENT_REBALANCE:
		kafka_group_rebalance(ks, ev);
		break;
	case RD_KAFKA_EVENT_OFFSET_COMMIT:
		if (rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR_NO_ERROR &&
		    rd_kafka_event_error(ev) != RD_KAFKA_RESP_ERR__NO_OFFSET)
			kafka_part_commit_failed(ks);
		break;
	case RD_KAFKA_EVENT_ERROR:
		complain(ks, ev);
		break;
	case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
		kafka_token_refresh(ks->token, ks->rk);
		break;
	}
	if (!kept)
		rd_kafka_event_destroy(ev);
}

/* What was refused goes first. False: refused again. */
static bool
offer_again(struct kafka_source *ks)
{
	if (ks->paused)
		return false;
	if (!kafka_part_tell(ks) || (ks->held_message != NULL && !offer(ks, ks->held_message))) {
		pause_all(ks);
		return false;
	}
	kafka_group_drop_held(ks);
	resume_all(ks);
	return true;
}

/* Serves the queue for some milliseconds; also while paused, since that is what tells the group that we live. */
static void
serve(struct kafka_source *ks)
{
	uint64_t until_ms = clock_mono_ms() + TURN_MS;
	rd_kafka_event_t *ev = NULL;

	ks->now_ms = clock_wall_ms();
	kafka_group_end_plan(ks);
	if (ks->rk == NULL)
		return;
	(void)offer_again(ks);
	while (ks->rk != NULL && ks->lost.kind == ERR_NONE && clock_mono_ms() < until_ms &&
	    (ev = rd_kafka_queue_poll(ks->queue, 0)) != NULL)
		handle(ks, ev);
	if (ks->lost.kind != ERR_NONE) {
		struct err why = ks->lost;

		ks->lost = (struct err){ 0 };
		kafka_group_give_up(ks, ks->lost_code, &why);
	} else if (ev != NULL) {
		loop_timer_set(ks->turn, 0);
	} else if (!ks->paused) {
		source_idle(ks->s);
	}
}

static void
on_knock(void *arg, unsigned ready)
{
	struct kafka_source *ks = arg;
	eventfd_t n;

	(void)ready;
	(void)eventfd_read(ks->knock_fd, &n);
	serve(ks);
}

static void
on_turn(void *arg)
{
	serve(arg);
}

static void
count(struct kafka_source *ks)
{
	uint64_t n = 0;

	for (size_t i = 0; i < ks->nparts; i++)
		n += ks->parts[i].assigned;
	stat_set(ks->s->stats, STAT_SOURCE_STREAMS, n);
	if (ks->rk != NULL)
		stat_set(ks->s->stats, STAT_SOURCE_LAG_RECORDS, kafka_part_lag(ks));
}

static void
on_tick(void *arg)
{
	struct kafka_source *ks = arg;
	struct err why = { 0 };

	loop_timer_set(ks->tick, TICK_MS);
	if (ks->rk == NULL && clock_mono_ms() >= ks->reopen_ms && kafka_group_open(ks, &why) != 0)
		kafka_group_give_up(ks, RD_KAFKA_RESP_ERR__FAIL, &why);
	serve(ks);
	kafka_part_commit(ks, 0);
	count(ks);
	if (ks->s->once && !ks->assigned && !ks->waited && clock_mono_ms() - ks->started_ms >= ASSIGNMENT_WAIT_MS) {
		ks->waited = true;
		source_say(ks->s, true, "kafka: no partitions were assigned within 120 s; check brokers, group and topics");
	}
}

/* ---- the contract ------------------------------------------------------------------- */

/* What Kafka allows in a group.instance.id; another name that would look the same gets a hash. */
static void
instance_id(const struct source *s, char *ret, size_t n)
{
	size_t at = (size_t)snprintf(ret, n, "aispm-agent-%.32s-", s->agent_id), i;
	bool plain = true;

	for (i = 0; s->name[i] != '\0' && at + 20 < n; i++) {
		bool fine = (s->name[i] >= '0' && s->name[i] <= '9') || (s->name[i] >= 'A' && s->name[i] <= 'Z') ||
		    (s->name[i] >= 'a' && s->name[i] <= 'z') || s->name[i] == '-' || s->name[i] == '_' || s->name[i] == '.';

		ret[at++] = fine ? s->name[i] : '_';
		plain &= fine;
	}
	ret[at] = '\0';
	if (!plain || s->name[i] != '\0')
		snprintf(ret + at, n - at, "-%016llx", (unsigned long long)hash_stable(s->name, strlen(s->name)));
}

static int
read_settings(struct kafka_source *ks, const struct conf *conf, struct err *err)
{
	char instance[200], client[64];
	const struct kafka_setting settings[] = {
		{ "group.id", conf_text(conf, "group"), "it is the setting `group`" },
		{ "group.instance.id", instance, "it is made of the agent's id and the source's name" },
		{ "enable.auto.commit", "false", "the agent commits what its spool has" },
		{ "auto.commit.enable", NULL, "the agent commits what its spool has" },
		{ "auto.commit.interval.ms", NULL, "the agent commits what its spool has" },
		{ "enable.auto.offset.store", "false", "the agent commits what its spool has" },
		{ "auto.offset.reset", "earliest", "it is the setting `start`" },
		{ "enable.partition.eof", ks->s->once ? "true" : "false", "the agent decides" },
		{ "queued.max.messages.kbytes", "16384", NULL },
		{ "queued.min.messages", "100000", NULL },	/* not what bounds: with fewer, partitions wait a second for their next fetch */
		{ "fetch.max.bytes", "8388608", NULL },		/* of one answer, which may come on top of the queue */
		{ NULL, NULL, NULL },
	};

	instance_id(ks->s, instance, sizeof(instance));
	snprintf(client, sizeof(client), "aispm-agent-%.32s", ks->s->agent_id);
	if (kafka_client_conf(&ks->settings, conf, settings, client, err) != 0)
		return -1;
	rd_kafka_conf_set_events(ks->settings, RD_KAFKA_EVENT_FETCH | RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_ERROR |
	    RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH);
	ks->topics = rd_kafka_topic_partition_list_new((int)conf_texts(conf, "topics"));
	for (size_t i = 0; i < conf_texts(conf, "topics"); i++)
		rd_kafka_topic_partition_list_add(ks->topics, conf_text_at(conf, "topics", i), RD_KAFKA_PARTITION_UA);
	return 0;
}

static void
token_news(void *arg, const char *text)
{
	source_debug(arg, text);
}

static int
kafka_open(struct source *s, const struct conf *conf, struct err *err)
{
	struct kafka_source *ks = calloc(1, sizeof(*ks));

	if (ks == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	s->priv = ks;
	ks->s = s;
	ks->conf = conf;
	ks->knock_fd = -1;
	backoff_init(&ks->backoff, REOPEN_LEAST_MS, REOPEN_MOST_MS);
	if (read_settings(ks, conf, err) != 0 || kafka_token_open(&ks->token, s->loop, conf, err) != 0)
		return -1;
	kafka_token_on_news(ks->token, token_news, s);
	ks->knock_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ks->knock_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no descriptor for a source");
	ks->watch = loop_watch(s->loop, ks->knock_fd, LOOP_READ, on_knock, ks, err);
	ks->tick = loop_timer_new(s->loop, on_tick, ks, err);
	ks->turn = loop_timer_new(s->loop, on_turn, ks, err);
	return ks->watch != NULL && ks->tick != NULL && ks->turn != NULL ? 0 : -1;
}

static int
kafka_restore(struct source *s, const struct position *at, struct err *err)
{
	return kafka_part_restore(s->priv, at, err);
}

static int
kafka_start(struct source *s, struct err *err)
{
	struct kafka_source *ks = s->priv;
	char warning[256];

	if (kafka_client_warning(ks->conf, warning, sizeof(warning)))
		source_say(s, true, warning);
	s->missed = false;
	if (kafka_group_open(ks, err) != 0)
		return -1;
	ks->started = true;
	ks->started_ms = clock_mono_ms();
	loop_timer_set(ks->tick, TICK_MS);
	return 0;
}

static void
kafka_resume(struct source *s)
{
	struct kafka_source *ks = s->priv;

	ks->paused = false;
	if (ks->started)
		loop_timer_set(ks->turn, 0);
}

static void
kafka_safe(struct source *s, const struct position *at)
{
	struct kafka_part *p = kafka_part_by_stream(s->priv, at->stream);
	int64_t next;

	if (p != NULL && kafka_part_read(at, &next))
		p->safe = next;
}

static bool
kafka_drained(struct source *s)
{
	const struct kafka_source *ks = s->priv;

	return ks->assigned && ks->plan == NULL && ks->held == NULL && !ks->stopped && kafka_part_drained(ks);
}

static void
kafka_close(struct source *s)
{
	struct kafka_source *ks = s->priv;

	if (ks == NULL)
		return;
	kafka_probe_close(ks->probe);
	free(ks->probe_topics);
	kafka_part_commit(ks, KAFKA_PARTING_MS);
	kafka_group_close(ks);
	kafka_client_join(&ks->reaper);
	kafka_token_close(ks->token);
	kafka_part_free(ks);
	loop_unwatch(ks->watch);
	loop_timer_free(ks->tick);
	loop_timer_free(ks->turn);
	if (ks->knock_fd >= 0)
		close(ks->knock_fd);
	if (ks->settings != NULL)
		rd_kafka_conf_destroy(ks->settings);
	if (ks->topics != NULL)
		rd_kafka_topic_partition_list_destroy(ks->topics);
	free(ks);
	s->priv = NULL;
}

static void
probed(void *arg, const struct err *why)
{
	struct kafka_source *ks = arg;

	ks->s->tell(ks->s, why);
}

static void
kafka_probe(struct source *s)
{
	struct kafka_source *ks = s->priv;
	struct err err = { 0 };

	ks->probe_topics = calloc((size_t)ks->topics->cnt + 1, sizeof(*ks->probe_topics));
	if (ks->probe_topics == NULL)
		err_set(&err, ERR_AGAIN, "no memory for a probe");
	for (int i = 0; ks->probe_topics != NULL && i < ks->topics->cnt; i++)
		ks->probe_topics[i] = ks->topics->elems[i].topic;
	if (ks->probe_topics == NULL || kafka_probe_open(&ks->probe, s->loop, ks->conf, ks->token, ks->probe_topics, (size_t)ks->topics->cnt,
	    probed, ks, &err) != 0)
		s->tell(s, &err);
}

static const struct conf_key kafka_keys[] = {
	KAFKA_CLIENT_KEYS,
	{ .name = "topics", .type = CONF_TEXTS, .flags = CONF_REQUIRED, .allowed = "names, or ^regular expressions",
	  .help = "topics to read; of Event Hubs the event hubs" },
	{ .name = "group", .type = CONF_TEXT, .fallback = "aispm-agent", .allowed = "a consumer group's name",
	  .help = "consumer group; the agent is a static member of it" },
	CONF_END
};

const struct source_kind source_kind_kafka = {
	.name = "kafka",
	.help = "messages of Kafka topics or event hubs",
	.keys = kafka_keys,
	.open = kafka_open,
	.restore = kafka_restore,
	.start = kafka_start,
	.resume = kafka_resume,
	.safe = kafka_safe,
	.drained = kafka_drained,
	.close = kafka_close,
	.probe = kafka_probe,
};
