/*
 * kafka_plan.c - where source `kafka` begins in partitions that it was just assigned.
 *
 * The greater of our own position and the group's committed offset; where there is neither, what `start` says. The
 * questions may take long, so a thread asks them; it touches nothing but its plan.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "source/kafka_source.h"
#include "source/source.h"

#define ASK_MS		1000
#define AGAIN_US	300000
#define TRIES		90		/* about two minutes, well inside max.poll.interval.ms */

static bool
may_go_on(struct kafka_plan *p, int tries)
{
	if (tries >= TRIES || atomic_load(&p->stop))
		return false;
	if (tries > 0)
		usleep(AGAIN_US);
	return true;
}

static int
ask_committed(struct kafka_plan *p)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;

	for (int tries = 0; code != RD_KAFKA_RESP_ERR_NO_ERROR && may_go_on(p, tries); tries++)
		code = rd_kafka_committed(p->rk, p->list, ASK_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_explain(code, NULL, &p->err);
		return -1;
	}
	for (int i = 0; i < p->list->cnt; i++) {
		const rd_kafka_topic_partition_t *tp = &p->list->elems[i];

		if (tp->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
			kafka_client_explain(tp->err, NULL, &p->err);
			return -1;
		}
		p->places[i].offset = tp->offset > p->places[i].known ? tp->offset : p->places[i].known;
		p->places[i].chosen = p->places[i].offset < 0;
	}
	return 0;
}

static int
ask_ends(struct kafka_plan *p, const rd_kafka_topic_partition_t *tp, int64_t *ret_high)
{
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	int64_t low = 0, high = 0;

	for (int tries = 0; code != RD_KAFKA_RESP_ERR_NO_ERROR && may_go_on(p, tries); tries++)
		code = rd_kafka_query_watermark_offsets(p->rk, tp->topic, tp->partition, &low, &high, ASK_MS);
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_explain(code, NULL, &p->err);
		return -1;
	}
	*ret_high = high;
	return 0;
}

/* The first message at or after start_ms; KAFKA_NONE in *ret if there is none. */
static int
ask_time(struct kafka_plan *p, const rd_kafka_topic_partition_t *tp, int64_t *ret)
{
	rd_kafka_topic_partition_list_t *one = rd_kafka_topic_partition_list_new(1);
	rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
	int rc = 0;

	for (int tries = 0; code != RD_KAFKA_RESP_ERR_NO_ERROR && may_go_on(p, tries); tries++) {
		one->cnt = 0;
		rd_kafka_topic_partition_list_add(one, tp->topic, tp->partition)->offset = p->start_ms;
		code = rd_kafka_offsets_for_times(p->rk, one, ASK_MS);
		if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
			code = one->elems[0].err;
	}
	if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
		kafka_client_explain(code, NULL, &p->err);
		rc = -1;
	} else {
		*ret = one->elems[0].offset >= 0 ? one->elems[0].offset : KAFKA_NONE;
	}
	rd_kafka_topic_partition_list_destroy(one);
	return rc;
}

static int
choose(struct kafka_plan *p, int i)
{
	struct kafka_place *place = &p->places[i];
	const rd_kafka_topic_partition_t *tp = &p->list->elems[i];

	place->high = KAFKA_NONE;
	if (p->once && ask_ends(p, tp, &place->high) != 0)
		return -1;
	if (!place->chosen)
		return 0;
	place->offset = RD_KAFKA_OFFSET_BEGINNING;
	if (p->start == START_EARLIEST)
		return 0;
	place->offset = KAFKA_NONE;
	if (p->start == START_TIME && ask_time(p, tp, &place->offset) != 0)
		return -1;
	return place->offset == KAFKA_NONE ? ask_ends(p, tp, &place->offset) : 0;
}

static void *
make_plan(void *arg)
{
	struct kafka_plan *p = arg;
	int rc = p->list->cnt > 0 ? ask_committed(p) : 0;

	for (int i = 0; rc == 0 && i < p->list->cnt; i++)
		rc = choose(p, i);
	if (rc == 0)
		p->err.kind = ERR_NONE;
	atomic_store(&p->done, true);
	eventfd_write(p->knock_fd, 1);
	return NULL;
}

int
kafka_plan_start(struct kafka_source *ks, const rd_kafka_topic_partition_list_t *list)
{
	struct kafka_plan *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -1;
	p->places = calloc(list->cnt > 0 ? (size_t)list->cnt : 1, sizeof(*p->places));
	p->list = rd_kafka_topic_partition_list_copy(list);
	p->rk = ks->rk;
	p->start = (int)ks->s->start;
	p->start_ms = ks->s->start_ms;
	p->once = ks->s->once;
	p->knock_fd = ks->knock_fd;
	for (int i = 0; p->places != NULL && i < list->cnt; i++) {
		const struct kafka_part *part = kafka_part_get(ks, list->elems[i].topic, list->elems[i].partition);

		p->places[i].known = part != NULL ? part->next : KAFKA_NONE;
	}
	if (p->places == NULL || pthread_create(&p->thread, NULL, make_plan, p) != 0) {
		rd_kafka_topic_partition_list_destroy(p->list);
		free(p->places);
		free(p);
		return -1;
	}
	ks->plan = p;
	return 0;
}

void
kafka_plan_free(struct kafka_plan *p)
{
	if (p == NULL)
		return;
	atomic_store(&p->stop, true);
	pthread_join(p->thread, NULL);
	rd_kafka_topic_partition_list_destroy(p->list);
	free(p->places);
	free(p);
}
