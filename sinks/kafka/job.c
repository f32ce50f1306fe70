/*
 * job.c - the calls of librdkafka that may wait for a broker, each on a thread of its own, in slices, so that it can be stopped.
 *
 * The place of the spool is an offset of partition 0 of the sink's topic, committed with the transaction; its metadata is the EventId of the
 * last entry. Reading it needs a consumer of the group, which joins nothing.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "sinks/kafka/kafka_sink.h"

#define SLICE_MS	500
#define NAP_US		100000
#define OFFSETS_MS	5000		/* this call cannot be taken up again */
#define RESUMES		0x02000000	/* since then commit and abort that timed out are taken up by the same call */

static bool
is_over(struct kafka_job *j, uint64_t until_ms)
{
	return atomic_load(&j->stop) || clock_mono_ms() >= until_ms;
}

static int
slice_ms(const struct kafka_job *j)
{
	return rd_kafka_version() >= RESUMES ? SLICE_MS : (int)j->limit_ms;
}

static void
fail(struct kafka_job *j, rd_kafka_resp_err_t code, const char *why)
{
	j->code = code;
	snprintf(j->why, sizeof(j->why), "%s", why);
}

/* True: the same call again. The error is destroyed. */
static bool
comes_again(struct kafka_job *j, rd_kafka_error_t *e, uint64_t until_ms)
{
	bool again;

	if (e == NULL) {
		j->code = RD_KAFKA_RESP_ERR_NO_ERROR;
		return false;
	}
	fail(j, rd_kafka_error_code(e), rd_kafka_error_string(e));
	j->fatal = rd_kafka_error_is_fatal(e);
	j->abort = rd_kafka_error_txn_requires_abort(e);
	again = rd_kafka_error_is_retriable(e) && !is_over(j, until_ms);
	rd_kafka_error_destroy(e);
	return again;
}

static void
read_place(struct kafka_job *j, uint64_t until_ms)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, j->topic, 0);
	rd_kafka_resp_err_t code;

	for (;;) {
		code = rd_kafka_committed(j->reader, list, SLICE_MS);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			code = tp->err;
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED ||
		    code == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED || is_over(j, until_ms))
			break;
		usleep(NAP_US);
	}
	j->code = code;
	snprintf(j->why, sizeof(j->why), "the position of group %s: %s", j->group, rd_kafka_err2str(code));
	j->place = (struct kafka_place){ 0 };
	if (code == RD_KAFKA_RESP_ERR_NO_ERROR && tp->offset > 0) {
		j->place.next = tp->offset;
		snprintf(j->place.id, sizeof(j->place.id), "%.*s", (int)(tp->metadata_size < 32 ? tp->metadata_size : 32),
		    tp->metadata_size > 0 ? (const char *)tp->metadata : "");
	}
	rd_kafka_topic_partition_list_destroy(list);
}

/* The broker's answer goes before "timed out", and before what else librdkafka makes of it. */
static bool
was_refused(struct kafka_job *j)
{
	char text[256];

	if (kafka_ear_heard(j->ear, text))
		fail(j, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, text);
	return j->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || j->code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION;
}

/* Else the first messages wait for librdkafka's look at its topics, once a second. */
static void
ask_partitions(struct kafka_job *j)
{
	const struct rd_kafka_metadata *md;

	if (rd_kafka_metadata(j->producer, 0, j->rkt, &md, SLICE_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
		rd_kafka_metadata_destroy(md);
}

static void
init(struct kafka_job *j, uint64_t until_ms)
{
	while (comes_again(j, rd_kafka_init_transactions(j->producer, SLICE_MS), until_ms) && !was_refused(j))
		usleep(NAP_US);
	j->unsupported = j->code != RD_KAFKA_RESP_ERR_NO_ERROR && was_refused(j);
	if (j->code != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	ask_partitions(j);
	read_place(j, until_ms);
}

static void
commit(struct kafka_job *j, uint64_t until_ms)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, j->topic, 0);
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata_new(j->group);

	tp->offset = j->place.next;
	tp->metadata = strdup(j->place.id);
	tp->metadata_size = tp->metadata != NULL ? strlen(j->place.id) : 0;
	while (comes_again(j, rd_kafka_send_offsets_to_transaction(j->producer, list, group, OFFSETS_MS), until_ms))
		usleep(NAP_US);
	if (j->code == RD_KAFKA_RESP_ERR_NO_ERROR)
		while (comes_again(j, rd_kafka_commit_transaction(j->producer, slice_ms(j)), until_ms))
			;
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
}

static void *
run(void *arg)
{
	struct kafka_job *j = arg;
	uint64_t until_ms = clock_mono_ms() + j->limit_ms;

	switch (j->kind) {
	case KAFKA_LOOK:
		read_place(j, until_ms);
		break;
	case KAFKA_INIT:
		init(j, until_ms);
		break;
	case KAFKA_COMMIT:
		commit(j, until_ms);
		break;
	case KAFKA_ABORT:
		while (comes_again(j, rd_kafka_abort_transaction(j->producer, slice_ms(j)), until_ms))
			;
		break;
	}
	atomic_store(&j->done, true);
	eventfd_write(j->knock_fd, 1);
	return NULL;
}

int
kafka_job_start(struct kafka_job *j)
{
	j->code = RD_KAFKA_RESP_ERR_NO_ERROR;
	j->fatal = j->abort = j->unsupported = false;
	j->why[0] = '\0';
	atomic_store(&j->stop, false);
	atomic_store(&j->done, false);
	j->running = pthread_create(&j->thread, NULL, run, j) == 0;
	return j->running ? 0 : -1;
}

void
kafka_job_join(struct kafka_job *j)
{
	if (!j->running)
		return;
	atomic_store(&j->stop, true);
	pthread_join(j->thread, NULL);
	j->running = false;
}
