/*
 * ear.c - hears a broker's explicit "unsupported".
 *
 * librdkafka repeats a refused FindCoordinator or InitProducerId for ever and tells the application "timed out"; only its log says what the
 * broker answered. So that a fallback comes from an answer and never from silence, the log is listened to: facility TXNCOORD at debug
 * level `eos`, and GETPID. The texts are the same from 1.6 to 2.15 (rdkafka_txnmgr.c, rdkafka_idempotence.c).
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "net/said.h"
#include "sinks/kafka/kafka_sink.h"

/* Event Hubs Standard refuses in words; others by a code. */
static bool
is_refusal(const char *text)
{
	static const rd_kafka_resp_err_t codes[] = {
		RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, RD_KAFKA_RESP_ERR_INVALID_REQUEST, RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT,
	};
	char name[64];

	if (strstr(text, "not supported") != NULL || strstr(text, "unsupported") != NULL)
		return true;
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		snprintf(name, sizeof(name), ": %s: ", rd_kafka_err2name(codes[i]));
		if (strstr(text, name) != NULL || strstr(text, rd_kafka_err2str(codes[i])) != NULL)
			return true;
	}
	return false;
}

static void
hear(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	struct kafka_ear *ear = rd_kafka_opaque(rk);
	const char *said = NULL;

	(void)level;
	if (strcmp(facility, "TXNCOORD") == 0)
		said = strstr(text, "Failed to find transaction coordinator");
	else if (strcmp(facility, "GETPID") == 0)
		said = strstr(text, "Failed to acquire ");
	if (said == NULL || ear == NULL || !is_refusal(said))
		return;
	kafka_ear_put(ear, rk, said);
}

void
kafka_ear_put(struct kafka_ear *ear, const rd_kafka_t *rk, const char *said)
{
	pthread_mutex_lock(&ear->lock);
	if (rk == ear->client)
		said_copy(slice_of(said), ear->refusal, sizeof(ear->refusal));
	pthread_mutex_unlock(&ear->lock);
}

void
kafka_ear_listen(struct kafka_ear *ear, rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_opaque(conf, ear);
	rd_kafka_conf_set_log_cb(conf, hear);
}

bool
kafka_ear_heard(struct kafka_ear *ear, char ret[256])
{
	pthread_mutex_lock(&ear->lock);
	memcpy(ret, ear->refusal, sizeof(ear->refusal));
	pthread_mutex_unlock(&ear->lock);
	return ret[0] != '\0';
}

void
kafka_ear_turn(struct kafka_ear *ear, const rd_kafka_t *rk)
{
	pthread_mutex_lock(&ear->lock);
	ear->client = rk;
	ear->refusal[0] = '\0';
	pthread_mutex_unlock(&ear->lock);
}
