/*
 * kafka_group.c - source `kafka` as a member of its group: the consumer's life, what it is assigned, what is taken from it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "source/kafka_source.h"
#include "source/source.h"

#define TELL_AGAIN_MS	60000

/* ---- what people see --------------------------------------------------------- */

/* Of these nothing is left once a partition was read to its end. */
static bool
heals(rd_kafka_resp_err_t code)
{
	switch (code) {
	case RD_KAFKA_RESP_ERR__TRANSPORT:
	case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
	case RD_KAFKA_RESP_ERR__RESOLVE:
	case RD_KAFKA_RESP_ERR__TIMED_OUT:
	case RD_KAFKA_RESP_ERR__SSL:
	case RD_KAFKA_RESP_ERR__AUTHENTICATION:
		return true;
	default:
		return false;
	}
}

void
kafka_group_tell(struct kafka_source *ks, rd_kafka_resp_err_t code, const struct err *why)
{
	uint64_t now_ms = clock_mono_ms();
	const size_t n = sizeof(ks->told) / sizeof(ks->told[0]);
	const bool missed = ks->s->missed;

	for (size_t i = 0; i < n; i++)
		if (ks->told[i].code == code && ks->told[i].ms != 0 && now_ms - ks->told[i].ms < TELL_AGAIN_MS)
			return;
	ks->told[ks->told_at % n].code = code;
	ks->told[ks->told_at++ % n].ms = now_ms | 1;
	source_say(ks->s, true, why->text);
	if (heals(code))
		ks->s->missed = missed;
}

static void
tell_assigned(struct kafka_source *ks, int n, const char *what)
{
	char text[96];

	snprintf(text, sizeof(text), "kafka: %d partition%s %s", n, n == 1 ? "" : "s", what);
	source_say(ks->s, false, text);
}

/* ---- the consumer's life ------------------------------------------------------- */

void
kafka_group_drop_held(struct kafka_source *ks)
{
	if (ks->held != NULL)
		rd_kafka_event_destroy(ks->held);
	ks->held = NULL;
	ks->held_message = NULL;
}

static void
drop_queued(struct kafka_source *ks)
{
	if (ks->queued != NULL)
		rd_kafka_topic_partition_list_destroy(ks->queued);
	ks->queued = NULL;
}

void
kafka_group_close(struct kafka_source *ks)
{
	kafka_group_drop_held(ks);
	drop_queued(ks);
	kafka_plan_free(ks->plan);
	ks->plan = NULL;
	ks->assigned = false;
	ks->last_topic = NULL;
	for (size_t i = 0; i < ks->nparts; i++)
		ks->parts[i].assigned = false;
	if (ks->queue != NULL) {
		rd_kafka_queue_io_event_enable(ks->queue, -1, NULL, 0);
		rd_kafka_queue_destroy(ks->queue);
	}
	ks->queue = NULL;
	kafka_token_forget(ks->token, ks->rk);
	kafka_client_drop(&ks->reaper, ks->rk);
	ks->rk = NULL;
}

int
kafka_group_open(struct kafka_source *ks, struct err *err)
{
	static const uint64_t one = 1;
	rd_kafka_resp_err_t code;

	if (kafka_client_new(&ks->rk, RD_KAFKA_CONSUMER, ks->settings, ks->conf, err) != 0)
		return -1;
	rd_kafka_poll_set_consumer(ks->rk);
	ks->queue = rd_kafka_queue_get_consumer(ks->rk);
	rd_kafka_queue_io_event_enable(ks->queue, ks->knock_fd, &one, sizeof(one));
	eventfd_write(ks->knock_fd, 1);		/* what came before that makes no knock: the wish for a token */
	code = rd_kafka_subscribe(ks->rk, ks->topics);
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
		return 0;
	kafka_client_explain(code, NULL, err);
	kafka_group_close(ks);
	return -1;
}

/* This consumer is of no use any more; a new one in a while. */
void
kafka_group_give_up(struct kafka_source *ks, rd_kafka_resp_err_t code, const struct err *why)
{
	kafka_group_tell(ks, code, why);
	kafka_group_close(ks);
	ks->reopen_ms = clock_mono_ms() + backoff_next_ms(&ks->backoff);
}

/* The same, but not while something of it is in our hands: serve() does it. */
static void
lose(struct kafka_source *ks, rd_kafka_resp_err_t code, const struct err *why)
{
	ks->lost = *why;
	ks->lost_code = code;
}

/* ---- assignment ------------------------------------------------------------------ */

static bool
is_cooperative(struct kafka_source *ks)
{
	const char *protocol = rd_kafka_rebalance_protocol(ks->rk);

	return protocol != NULL && strcmp(protocol, "COOPERATIVE") == 0;
}

static void
begin_plan(struct kafka_source *ks, const rd_kafka_topic_partition_list_t *list)
{
	struct err why = { 0 };

	if (ks->plan != NULL) {
		drop_queued(ks);
		ks->queued = rd_kafka_topic_partition_list_copy(list);
		return;
	}
	if (kafka_plan_start(ks, list) != 0) {
		err_set(&why, ERR_AGAIN, "kafka: no memory for an assignment");
		lose(ks, RD_KAFKA_RESP_ERR__FAIL, &why);
	}
}

static int
begin_part(struct kafka_source *ks, rd_kafka_topic_partition_t *tp, const struct kafka_place *place)
{
	struct kafka_part *part = kafka_part_get(ks, tp->topic, tp->partition);

	if (part == NULL)
		return -1;
	tp->offset = place->offset;
	part->assigned = true;
	part->ended = false;
	part->rewind = part->committed = KAFKA_NONE;
	part->high = place->high;
	if (place->offset < 0)
		return 0;
	if (place->offset > part->safe)		/* others have read on: their offset must not be put back */
		part->safe = KAFKA_NONE;
	part->next = place->offset;
	part->untold = place->chosen;
	return 0;
}

static void
assign(struct kafka_source *ks, struct kafka_plan *p)
{
	rd_kafka_resp_err_t code;
	struct err why = { 0 };
	bool lacking = false;

	for (int i = 0; i < p->list->cnt; i++)
		lacking |= begin_part(ks, &p->list->elems[i], &p->places[i]) != 0;
	ks->last_topic = NULL;
	if (lacking) {
		err_set(&why, ERR_AGAIN, "kafka: no memory for an assignment");
		lose(ks, RD_KAFKA_RESP_ERR__FAIL, &why);
		return;
	}
	if (is_cooperative(ks)) {
		rd_kafka_error_t *e = rd_kafka_incremental_assign(ks->rk, p->list);

		code = rd_kafka_error_code(e);
		if (e != NULL)
			rd_kafka_error_destroy(e);
	} else {
		code = rd_kafka_assign(ks->rk, p->list);
	}
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_explain(code, NULL, &why);
		lose(ks, code, &why);
		return;
	}
	if (ks->stopped)
		rd_kafka_pause_partitions(ks->rk, p->list);
	ks->assigned = true;
	kafka_token_good(ks->token);
	backoff_reset(&ks->backoff);
	tell_assigned(ks, p->list->cnt, "assigned");
}

void
kafka_group_end_plan(struct kafka_source *ks)
{
	struct kafka_plan *p = ks->plan;
	rd_kafka_topic_partition_list_t *queued = ks->queued;

	if (p == NULL || !atomic_load(&p->done))
		return;
	ks->plan = NULL;
	ks->queued = NULL;
	if (!p->cancelled && p->err.kind == ERR_NONE)
		assign(ks, p);
	else if (!p->cancelled)
		lose(ks, RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS, &p->err);
	kafka_plan_free(p);
	if (queued != NULL && ks->lost.kind == ERR_NONE)
		begin_plan(ks, queued);
	if (queued != NULL)
		rd_kafka_topic_partition_list_destroy(queued);
}

/* What was taken and not yet saved stays with intake; only what is safe is told to the group. */
static void
let_revoke(struct kafka_source *ks, const rd_kafka_topic_partition_list_t *list)
{
	if (ks->plan != NULL)
		ks->plan->cancelled = true;
	drop_queued(ks);
	ks->last_topic = NULL;
	source_idle(ks->s);
	kafka_part_commit(ks, KAFKA_PARTING_MS);
	for (int i = 0; i < list->cnt; i++) {
		struct kafka_part *p = kafka_part_get(ks, list->elems[i].topic, list->elems[i].partition);

		if (p != NULL)
			p->assigned = false;
	}
	if (ks->held_message != NULL && kafka_part_of(ks, ks->held_message) == NULL)
		kafka_group_drop_held(ks);
	if (is_cooperative(ks)) {
		rd_kafka_error_t *e = rd_kafka_incremental_unassign(ks->rk, list);

		if (e != NULL)
			rd_kafka_error_destroy(e);
	} else {
		rd_kafka_assign(ks->rk, NULL);
		ks->assigned = false;
	}
	tell_assigned(ks, list->cnt, "revoked");
}

void
kafka_group_rebalance(struct kafka_source *ks, rd_kafka_event_t *ev)
{
	const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(ev);

	if (rd_kafka_event_error(ev) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
		begin_plan(ks, list);
	else
		let_revoke(ks, list);
}
