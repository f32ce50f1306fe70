/* link.c - the sink's clients of librdkafka: the producer and, with transactions, a consumer that reads the spool's place. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sys/eventfd.h>

#include "sinks/kafka/kafka_sink.h"

static void
close_client(struct kafka_sink *k, rd_kafka_t **rk, rd_kafka_queue_t **queue)
{
	if (*queue != NULL) {
		rd_kafka_queue_io_event_enable(*queue, -1, NULL, 0);
		rd_kafka_queue_destroy(*queue);
	}
	*queue = NULL;
	kafka_token_forget(k->token, *rk);
	kafka_client_drop(&k->reaper, *rk);
	*rk = NULL;
}

void
kafka_link_close_reader(struct kafka_sink *k)
{
	close_client(k, &k->reader, &k->reader_queue);
}

void
kafka_link_close(struct kafka_sink *k)
{
	kafka_ear_turn(&k->ear, NULL);
	if (k->rkt != NULL)
		rd_kafka_topic_destroy(k->rkt);
	k->rkt = NULL;
	if (k->rk != NULL)
		rd_kafka_purge(k->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
	close_client(k, &k->rk, &k->queue);
	kafka_link_close_reader(k);
	k->ready = false;
	k->trouble = k->lost = (struct err){ 0 };
}

static int
open_client(struct kafka_sink *k, rd_kafka_type_t type, const rd_kafka_conf_t *settings, rd_kafka_t **rk, rd_kafka_queue_t **queue,
    struct err *err)
{
	static const uint64_t one = 1;

	if (kafka_client_new(rk, type, settings, k->conf, err) != 0)
		return -1;
	*queue = rd_kafka_queue_get_main(*rk);
	rd_kafka_queue_io_event_enable(*queue, k->knock_fd, &one, sizeof(one));
	eventfd_write(k->knock_fd, 1);		/* what came before that makes no knock: the wish for a token */
	return 0;
}

int
kafka_link_open(struct kafka_sink *k, struct err *err)
{
	kafka_link_close(k);
	k->stale = false;
	if (k->mode == KAFKA_TRANSACTIONS &&
	    open_client(k, RD_KAFKA_CONSUMER, k->reader_settings, &k->reader, &k->reader_queue, err) != 0)
		return -1;
	if (k->fenced)
		return 0;
	if (open_client(k, RD_KAFKA_PRODUCER, k->settings, &k->rk, &k->queue, err) != 0)
		return -1;
	kafka_ear_turn(&k->ear, k->rk);
	k->rkt = rd_kafka_topic_new(k->rk, k->topic, NULL);
	return k->rkt != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for a topic");
}
