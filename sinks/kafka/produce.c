/* produce.c - one batch on its way into Kafka, and what becomes of it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/loop.h"
#include "sinks/kafka/kafka_sink.h"

#define LOOK_MS			1000
#define STALL_MS		60000		/* without one acknowledgement */
#define STALL_TROUBLE_MS	10000		/* the same, when librdkafka has said why */
#define STALL_DENIED_MS		5000		/* and when an operator must act */
#define OPEN_MS			30000		/* for the coordinator to be found and the place to be read */
#define OVERHEAD_BYTES		160		/* of a message: key, header, frame */
#define LEAST_BATCH_BYTES	1024
#define PURGED			1		/* see rank_of */
#define AGAIN_MOST		3

static void begin(struct kafka_sink *);

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

/* The place is free before the answer is given, since that may bring the next batch. */
static void
answer(struct kafka_sink *k, enum sink_verdict verdict, const struct err *why)
{
	const struct batch *b = k->batch;
	struct err copy = { 0 };

	if (why != NULL)
		copy = *why;
	if (verdict == SINK_DELIVERED)
		kafka_acked_forget(&k->there, b);
	else if (k->mode != KAFKA_TRANSACTIONS)
		kafka_acked_add(&k->there, b, k->acked);
	k->stale |= verdict == SINK_HELD;
	free(k->acked);
	k->acked = NULL;
	k->batch = NULL;
	k->phase = KAFKA_IDLE;
	sink_answer(k->sink, b, verdict, 0, why != NULL ? &copy : NULL);
}

static bool
is_fence(rd_kafka_resp_err_t code)
{
	return code == RD_KAFKA_RESP_ERR__FENCED || code == RD_KAFKA_RESP_ERR_PRODUCER_FENCED ||
	    code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* Gives the batch back; the next put() makes a new producer, which learns from Kafka how far this one came. */
static void
give_back(struct kafka_sink *k, const struct err *why)
{
	struct err copy = *why;

	kafka_link_close(k);
	answer(k, copy.kind == ERR_DATA ? SINK_LATER : verdict_of(&copy, k->batch), &copy);
}

static void
start_job(struct kafka_sink *k, enum kafka_phase phase, enum kafka_job_kind kind, uint64_t limit_ms)
{
	struct err why = { 0 };

	k->job.kind = kind;
	k->job.producer = k->rk;
	k->job.rkt = k->rkt;
	k->job.reader = k->reader;
	k->job.limit_ms = limit_ms;
	k->phase = phase;
	if (kafka_job_start(&k->job) == 0)
		return;
	err_set(&why, ERR_AGAIN, "no thread for a transaction");
	give_back(k, &why);
}

/* ---- sending ---------------------------------------------------------------------- */

static void *
tag(const struct kafka_sink *k, size_t i)
{
	return (void *)(uintptr_t)((uint64_t)k->turn << 32 | i);
}

static rd_kafka_resp_err_t
produce(struct kafka_sink *k, size_t i)
{
	const struct batch_entry *e = &k->batch->v[i];
	struct slice bytes = batch_entry_bytes(k->batch, i);
	char key[17];

	snprintf(key, sizeof(key), "%016llx", (unsigned long long)e->key);
	return rd_kafka_producev(k->rk, RD_KAFKA_V_RKT(k->rkt), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_KEY(key, sizeof(key) - 1), RD_KAFKA_V_VALUE((void *)(uintptr_t)bytes.p, bytes.n),
	    RD_KAFKA_V_HEADER("EventId", e->id, (ssize_t)strlen(e->id)), RD_KAFKA_V_OPAQUE(tag(k, i)), RD_KAFKA_V_END);
}

/* What is purged only follows another failure. One bad message is dealt with by halving; anything else concerns all and goes first. */
static int
rank_of(rd_kafka_resp_err_t code, const struct err *why)
{
	if (code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
		return PURGED;
	return why->kind == ERR_DATA ? PURGED + 1 : PURGED + 2;
}

static void
note_failure(struct kafka_sink *k, rd_kafka_resp_err_t code)
{
	struct err why = { 0 };

	kafka_client_explain(code, NULL, &why);
	if (is_fence(code))
		why.kind = ERR_AGAIN;		/* undoing tells whether another did it */
	k->failed++;
	if (rank_of(code, &why) > k->why_rank) {
		k->why_rank = rank_of(code, &why);
		k->why = why;
	}
}

/* Hands over as much as librdkafka takes. */
static void
feed(struct kafka_sink *k)
{
	for (; k->next < k->batch->n && (k->failed == 0 || k->mode != KAFKA_TRANSACTIONS); k->next++) {
		rd_kafka_resp_err_t code;

		if (kafka_place_has(k, k->batch->v[k->next].seq)) {
			if (k->acked != NULL)
				k->acked[k->next] = 1;
			continue;
		}
		code = produce(k, k->next);
		if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
			return;			/* on with the next reports */
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			k->out++;
		else
			note_failure(k, code);
	}
}

/*
 * librdkafka sends events of one partition together, and what is too large for the topic may be their sum. When all events of a refused
 * batch are small, they go in smaller messages from now on, so that the next refusal means a single event.
 */
static void
learn_batch_bytes(struct kafka_sink *k)
{
	struct err err = { 0 };
	size_t most = LEAST_BATCH_BYTES;

	for (size_t i = 0; i < k->batch->n; i++)
		if (k->batch->v[i].n + OVERHEAD_BYTES > most)
			most = k->batch->v[i].n + OVERHEAD_BYTES;
	if (k->batch->n == 1 || most >= k->batch_bytes)
		return;
	k->learned_bytes = most;
	k->stale = kafka_sink_settings(k, &err) == 0;
}

/* The transaction was undone, or there was none: the policy decides what comes next. */
static void
refused(struct kafka_sink *k)
{
	struct err why = k->why;

	if (why.kind == ERR_DATA)
		learn_batch_bytes(k);
	answer(k, verdict_of(&why, k->batch), &why);
}

static void
go_on(struct kafka_sink *k)
{
	if (k->phase != KAFKA_SENDING)
		return;
	feed(k);
	if (k->mode == KAFKA_TRANSACTIONS && k->failed > 0) {
		start_job(k, KAFKA_UNDOING, KAFKA_ABORT, k->transaction_ms);
	} else if (k->next == k->batch->n && k->out == 0) {
		if (k->failed > 0) {
			refused(k);
		} else if (k->mode == KAFKA_TRANSACTIONS) {
			kafka_place_after(&k->job.place, k->batch);
			k->mine[1] = k->job.place;
			start_job(k, KAFKA_ENDING, KAFKA_COMMIT, k->transaction_ms);
		} else {
			answer(k, SINK_DELIVERED, NULL);
		}
	}
}

static void
send_batch(struct kafka_sink *k)
{
	rd_kafka_error_t *e = NULL;
	struct err why = { 0 };

	k->moved_ms = clock_mono_ms();
	if (k->mode == KAFKA_TRANSACTIONS) {
		if (kafka_place_has(k, k->batch->v[k->batch->n - 1].seq)) {
			answer(k, SINK_DELIVERED, NULL);
			return;
		}
		e = rd_kafka_begin_transaction(k->rk);
	} else {
		k->acked = calloc(k->batch->n, 1);
		if (k->acked == NULL)
			err_set(&why, ERR_AGAIN, "no memory for a batch");
	}
	if (e != NULL) {
		kafka_client_explain(rd_kafka_error_code(e), rd_kafka_error_string(e), &why);
		k->fenced |= is_fence(rd_kafka_error_code(e));
		rd_kafka_error_destroy(e);
	}
	if (why.kind != ERR_NONE) {
		give_back(k, &why);
		return;
	}
	k->phase = KAFKA_SENDING;
	go_on(k);
}

/* ---- from one guarantee to the next weaker one ------------------------------------- */

/* With a word for the log; *why if that may not be. Only ever after the broker itself has said "unsupported". */
static bool
fall_back(struct kafka_sink *k, const char *said, struct err *why)
{
	const char *now = k->mode == KAFKA_TRANSACTIONS ? "going on with an idempotent producer: no repeats while the agent runs" :
	    "going on with acks=all and one request at a time: messages may come twice after a lost answer";
	char text[480];

	if (!k->may_fall_back && k->mode == KAFKA_TRANSACTIONS) {
		err_set(why, ERR_CONFIG, "kafka: the broker has no transactions (%.180s); allowed here: exactly_once: auto or false", said);
		return false;
	}
	snprintf(text, sizeof(text), "kafka: the broker has no %s (%.200s); %s (EventId shows repeats)",
	    k->mode == KAFKA_TRANSACTIONS ? "transactions" : "idempotent producers", said, now);
	kafka_link_close(k);
	k->mode = k->mode == KAFKA_TRANSACTIONS ? KAFKA_IDEMPOTENT : KAFKA_PLAIN;
	if (kafka_sink_settings(k, why) != 0)
		return false;
	k->sink->say(k->sink, text);
	return true;
}

/* ---- when a job has ended ------------------------------------------------------------ */

/* What it says, or what librdkafka complained of meanwhile when it was only waited for. */
static void
explain_job(struct kafka_sink *k, struct err *why)
{
	const struct kafka_job *j = &k->job;

	k->fenced |= is_fence(j->code);
	kafka_client_explain(j->code, j->why, why);
	if (why->kind == ERR_AGAIN && k->trouble.kind != ERR_NONE)
		*why = k->trouble;
	else if (j->code == RD_KAFKA_RESP_ERR__TIMED_OUT && j->kind == KAFKA_INIT)
		err_set(why, ERR_AGAIN, "kafka: no answer from the transaction coordinator yet; if the brokers have no transactions and do not "
		    "say so, write exactly_once: false");
	if (k->lost.kind != ERR_NONE && why->kind == ERR_AGAIN)
		*why = k->lost;
}

static void
opened(struct kafka_sink *k)
{
	struct kafka_job *j = &k->job;
	struct err why = { 0 };

	if (j->unsupported) {
		if (fall_back(k, j->why, &why))
			begin(k);
		else
			give_back(k, &why);
		return;
	}
	if (j->code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		explain_job(k, &why);
		give_back(k, &why);
		return;
	}
	kafka_token_good(k->token);
	if (kafka_place_check(k, &j->place, k->batch, &why) != 0) {
		k->fenced = true;
		give_back(k, &why);
	} else if (j->kind == KAFKA_LOOK) {
		k->fenced = false;		/* nobody has written; it is ours again */
		begin(k);
	} else {
		k->ready = true;
		kafka_link_close_reader(k);
		send_batch(k);
	}
}

static void
committed(struct kafka_sink *k)
{
	struct kafka_job *j = &k->job;
	struct err why = { 0 };

	if (j->code == RD_KAFKA_RESP_ERR_NO_ERROR) {
		k->mine[0] = j->place;
		k->there_seq = (uint64_t)j->place.next - 1;
		k->trouble = (struct err){ 0 };
		answer(k, SINK_DELIVERED, NULL);
		return;
	}
	explain_job(k, &why);
	if (j->abort && !j->fatal) {
		k->why = why;
		start_job(k, KAFKA_UNDOING, KAFKA_ABORT, k->transaction_ms);
	} else {
		give_back(k, &why);		/* whether it was committed, the next producer will read */
	}
}

static void
undone(struct kafka_sink *k)
{
	struct err why = { 0 };

	if (k->job.code == RD_KAFKA_RESP_ERR_NO_ERROR && !k->fenced) {
		/* Now and then what an abort takes back reaches into the next transaction: once more. */
		if (k->why_rank == PURGED && ++k->again < AGAIN_MOST)
			begin(k);
		else
			refused(k);
		return;
	}
	explain_job(k, &why);
	give_back(k, k->fenced || why.kind != ERR_AGAIN ? &why : &k->why);
}

/* ---- reports and complaints ---------------------------------------------------------- */

static void
take_report(struct kafka_sink *k, const rd_kafka_message_t *m)
{
	uint64_t v = (uintptr_t)m->_private;
	size_t i = v & 0xffffffff;

	if ((k->phase != KAFKA_SENDING && k->phase != KAFKA_UNDOING) || v >> 32 != k->turn)
		return;
	assert(i < k->batch->n && k->out > 0);
	k->out--;
	if (m->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
		if (k->acked != NULL)
			k->acked[i] = 1;
		k->moved_ms = clock_mono_ms();
		k->trouble = (struct err){ 0 };
		kafka_token_good(k->token);
	} else {
		note_failure(k, m->err);
	}
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
take_error(struct kafka_sink *k, rd_kafka_t *rk, rd_kafka_event_t *ev)
{
	rd_kafka_resp_err_t code = rd_kafka_event_error(ev);
	const char *detail = rd_kafka_event_error_string(ev);
	bool fatal = rd_kafka_event_error_is_fatal(ev);
	struct err why = { 0 };
	char text[256];

	if (code == RD_KAFKA_RESP_ERR__FATAL) {
		code = rd_kafka_fatal_error(rk, text, sizeof(text));
		detail = text;
		fatal = true;
	}
	if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && k->trouble.kind != ERR_NONE)
		return;				/* that says less than why each is */
	kafka_client_explain(code, detail, &why);
	if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		kafka_token_explain(k->token, &why);
	k->trouble = why;
	k->trouble_code = code;
	if (!fatal || rk != k->rk)
		return;
	if ((code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION) &&
	    k->mode == KAFKA_IDEMPOTENT)
		kafka_ear_put(&k->ear, rk, detail);
	k->fenced |= k->mode == KAFKA_TRANSACTIONS && is_fence(code);
	k->lost = why;
}

static void
poll_client(struct kafka_sink *k, rd_kafka_t *rk, rd_kafka_queue_t *queue)
{
	rd_kafka_event_t *ev;

	while (queue != NULL && (ev = rd_kafka_queue_poll(queue, 0)) != NULL) {
		switch (rd_kafka_event_type(ev)) {
		case RD_KAFKA_EVENT_DR:
			take_reports(k, ev);
			break;
		case RD_KAFKA_EVENT_ERROR:
			take_error(k, rk, ev);
			break;
		case RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH:
			kafka_token_refresh(k->token, rk);
			break;
		}
		rd_kafka_event_destroy(ev);
	}
}

static void
end_job(struct kafka_sink *k)
{
	enum kafka_phase phase = k->phase;

	if (!k->job.running || !atomic_load(&k->job.done))
		return;
	kafka_job_join(&k->job);
	poll_client(k, k->rk, k->queue);	/* what it left behind: an abort, the reports of what it took back */
	if (phase == KAFKA_OPENING)
		opened(k);
	else if (phase == KAFKA_ENDING)
		committed(k);
	else
		undone(k);
}

/* The producer is of no use any more. While a job has it, that job will fail and say so. */
static void
end_if_lost(struct kafka_sink *k)
{
	struct err why = k->lost;
	char said[256];

	if (k->phase != KAFKA_SENDING)
		return;
	if (k->mode == KAFKA_IDEMPOTENT && kafka_ear_heard(&k->ear, said)) {
		kafka_acked_add(&k->there, k->batch, k->acked);
		free(k->acked);
		k->acked = NULL;
		if (fall_back(k, said, &why))
			begin(k);
		else
			give_back(k, &why);
	} else if (why.kind != ERR_NONE) {
		give_back(k, &why);
	}
}

void
kafka_produce_serve(struct kafka_sink *k)
{
	poll_client(k, k->rk, k->queue);
	poll_client(k, k->reader, k->reader_queue);
	end_job(k);
	end_if_lost(k);
	go_on(k);
}

static uint64_t
patience_ms(const struct err *trouble)
{
	if (trouble->kind == ERR_NONE)
		return STALL_MS;
	return trouble->kind == ERR_AGAIN ? STALL_TROUBLE_MS : STALL_DENIED_MS;
}

/* Nothing moves: back with the batch, so that people hear of it and a new producer is tried. */
void
kafka_produce_look(void *sink)
{
	struct kafka_sink *k = sink;
	struct err why = { 0 };
	uint64_t still_ms;

	kafka_produce_serve(k);
	if (k->phase == KAFKA_IDLE)
		return;
	loop_timer_set(k->look, LOOK_MS);
	still_ms = clock_mono_ms() - k->moved_ms;
	if (still_ms < patience_ms(&k->trouble))
		return;
	if (k->trouble.kind != ERR_NONE && k->trouble_code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
		kafka_token_settle(k->token, &k->trouble);
	if (k->phase != KAFKA_SENDING) {
		atomic_store(&k->job.stop, true);	/* if it was a commit, the next producer reads what became of it */
		return;
	}
	why = k->trouble;
	if (why.kind == ERR_NONE)
		err_set(&why, ERR_AGAIN, "kafka: no acknowledgement for %u s", STALL_MS / 1000);
	give_back(k, &why);
}

/* ---- a batch comes --------------------------------------------------------------------- */

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

static void
begin(struct kafka_sink *k)
{
	char text[256] = "";
	struct err why = { 0 };
	bool lost = k->rk != NULL && rd_kafka_fatal_error(k->rk, text, sizeof(text)) != RD_KAFKA_RESP_ERR_NO_ERROR;

	k->next = k->out = k->failed = 0;
	k->why = (struct err){ 0 };
	k->why_rank = 0;
	k->turn++;
	k->moved_ms = clock_mono_ms();
	if (!loop_timer_is_set(k->look))
		loop_timer_set(k->look, LOOK_MS);
	if ((k->rk == NULL || k->stale || lost || k->fenced || (k->mode == KAFKA_TRANSACTIONS && !k->ready)) &&
	    kafka_link_open(k, &why) != 0)
		give_back(k, &why);
	else if (k->mode == KAFKA_TRANSACTIONS && !k->ready)
		start_job(k, KAFKA_OPENING, k->fenced ? KAFKA_LOOK : KAFKA_INIT, OPEN_MS);
	else
		send_batch(k);
}

void
kafka_produce(struct kafka_sink *k, const struct batch *b)
{
	struct err why = { 0 };

	assert(k->phase == KAFKA_IDLE && b->n > 0);
	k->batch = b;
	k->again = 0;
	if (is_too_large(k, b, &why))
		answer(k, SINK_REFUSED, &why);
	else
		begin(k);
}

void
kafka_produce_close(struct kafka_sink *k)
{
	kafka_job_join(&k->job);
	kafka_link_close(k);
	kafka_client_join(&k->reaper);
	free(k->acked);
	k->acked = NULL;
}
