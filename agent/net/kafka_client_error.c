/* kafka_client_error.c - what librdkafka's errors mean to whoever runs the agent, and what to do about them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/kafka_client.h"

#include <string.h>

#include "base/err.h"
#include "net/said.h"

#define LOGIN	"check user, password and sasl.mechanism"
#define COPY	"was its state directory copied, or does a second copy of the agent run?"
#define TOPIC	"the topic does not exist, or this user may not see it"

struct meaning {
	rd_kafka_resp_err_t	code;
	enum err_kind		kind;
	const char		*advice;
};

static const struct meaning meanings[] = {
	{ RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_DENIED, LOGIN },
	{ RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERR_DENIED, LOGIN },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERR_DENIED, "the broker does not offer this sasl.mechanism" },
	{ RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, "check security.protocol, the port, tls.ca_file and the broker's name" },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user the topic" },
	{ RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user the consumer group" },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user IdempotentWrite on the cluster" },
	{ RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERR_DENIED,
	  "grant this user Describe and Write on transactional ids with the prefix aispm-agent- , or write exactly_once: false" },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_CONFIG, TOPIC },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_CONFIG, TOPIC },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_CONFIG, "the topic has no such partition" },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERR_CONFIG, "the broker does not take this topic name" },
	{ RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERR_CONFIG, "the broker is too old for this" },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ERR_CONFIG, "the broker does not support this" },
	{ RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, ERR_CONFIG,
	  "lower transaction.timeout.ms in options below the broker's transaction.max.timeout.ms" },
	{ RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_CONFIG, "another process uses this agent's id: " COPY },
	{ RD_KAFKA_RESP_ERR__FENCED, ERR_CONFIG, "another producer uses this agent's transactional id: " COPY },
	{ RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERR_CONFIG, "another producer uses this agent's transactional id: " COPY },
	{ RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERR_CONFIG, "another producer uses this agent's transactional id: " COPY },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_DATA,
	  "the topic's max.message.bytes (the broker's message.max.bytes) is smaller than this event" },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, ERR_DATA, "the broker takes no message of this size" },
	{ RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERR_DATA, "the broker takes no batch of this size" },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, ERR_DATA, "the broker takes no such record in this topic" },
	{ RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_AGAIN, "no broker can be reached; check `brokers` and the network" },
	{ RD_KAFKA_RESP_ERR__TRANSPORT, ERR_AGAIN, "check `brokers`, the network and security.protocol" },
	{ RD_KAFKA_RESP_ERR__RESOLVE, ERR_AGAIN, "check the names in `brokers`" },
};

#define CA		"tls.ca_file must hold the authority that signed the broker's certificate"
#define CERTIFICATE	"the broker wants a client certificate that it knows: tls.cert_file and tls.key_file"

/* What a far side says in words goes before what the code says in general. */
static const struct {
	const char	*part;
	struct meaning	 meaning;
} words[] = {
	{ "Invalid tenant name", { RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_DENIED,
	  "Event Hubs knows no such namespace, or the token is for another: write NAMESPACE.servicebus.windows.net:9093 itself into "
	  "`brokers`, no alias, and leave `scope` alone" } },
	{ "Unauthorized access", { RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_DENIED, "grant this identity Azure Event Hubs Data Sender (a sink) "
	  "or Receiver (a source); a new role may take 30 minutes" } },
	{ "mechanism", { RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_DENIED, "the broker does not offer this sasl.mechanism" } },
	{ "certificate verif", { RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, CA } },
	{ "could not be verified", { RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, CA } },
	{ "certificate required", { RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, CERTIFICATE } },
	{ "certificate required", { RD_KAFKA_RESP_ERR__TRANSPORT, ERR_CONFIG, CERTIFICATE } },	/* TLS 1.3: after the handshake */
	{ "bad certificate", { RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, CERTIFICATE } },
	{ "bad certificate", { RD_KAFKA_RESP_ERR__TRANSPORT, ERR_CONFIG, CERTIFICATE } },
};

static const struct meaning *
find_meaning(rd_kafka_resp_err_t code, const char *text)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (words[i].meaning.code == code && strstr(text, words[i].part) != NULL)
			return &words[i].meaning;
	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code)
			return &meanings[i];
	return NULL;
}

void
kafka_client_explain(rd_kafka_resp_err_t code, const char *detail, struct err *err)
{
	const struct meaning *m;
	char text[512];

	said_copy(slice_of(detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(code)), text, sizeof(text));
	m = find_meaning(code, text);

	if (m != NULL)
		err_set(err, m->kind, "kafka: %.160s (%s); %s", text, rd_kafka_err2name(code), m->advice);
	else
		err_set(err, ERR_AGAIN, "kafka: %.180s (%s)", text, rd_kafka_err2name(code));
}
