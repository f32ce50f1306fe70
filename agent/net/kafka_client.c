/* kafka_client.c - settings and errors of librdkafka, for source and sink. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/kafka_client.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/slice.h"

#define OLDEST_VERSION		0x01060000	/* RHEL 9's 1.6.1 is the oldest tried */
#define PASSWORD_MOST_BYTES	65536

/* What neither source nor sink leaves to options. */
static const struct kafka_setting own[] = {
	{ "bootstrap.servers", NULL, "it is the setting `brokers`" },
	{ "metadata.broker.list", NULL, "it is the setting `brokers`" },
	{ "client.id", NULL, "the agent names itself" },
	{ "log.queue", NULL, "the agent takes librdkafka's messages" },
	{ "enable.random.seed", NULL, "it belongs to the process" },
	{ "plugin.library.paths", NULL, "the agent loads no plug-ins" },
	{ NULL, NULL, NULL },
};

static int
put(rd_kafka_conf_t *kc, const char *name, const char *value, struct err *err)
{
	char why[512];

	switch (rd_kafka_conf_set(kc, name, value, why, sizeof(why))) {
	case RD_KAFKA_CONF_OK:
		return 0;
	case RD_KAFKA_CONF_UNKNOWN:
		return err_set(err, ERR_CONFIG, "options: %.100s: librdkafka %s has no such property, or was built without it",
		    name, rd_kafka_version_str());
	default:
		return err_set(err, ERR_CONFIG, "options: %.100s: librdkafka %s does not take this value", name,
		    rd_kafka_version_str());
	}
}

static const struct kafka_setting *
find_setting(const struct kafka_setting *settings, const char *name)
{
	for (; settings->name != NULL; settings++)
		if (strcmp(settings->name, name) == 0)
			return settings;
	return NULL;
}

static int
put_option(rd_kafka_conf_t *kc, const char *name, const char *value, const struct kafka_setting *settings, struct err *err)
{
	const struct kafka_setting *s = find_setting(own, name);

	if (s == NULL)
		s = find_setting(settings, name);
	if (s != NULL && s->why != NULL)
		return err_set(err, ERR_CONFIG, "options: %s cannot be set here: %s", name, s->why);
	return put(kc, name, value, err);
}

/* Text of a property as it stands now; empty if there is none. */
static void
get(const rd_kafka_conf_t *kc, const char *name, char *ret, size_t n)
{
	size_t size = n;

	if (rd_kafka_conf_get(kc, name, ret, &size) != RD_KAFKA_CONF_OK)
		ret[0] = '\0';
}

static int
check_sasl(const rd_kafka_conf_t *kc, struct err *err)
{
	char mechanism[64], method[64];

	get(kc, "sasl.mechanisms", mechanism, sizeof(mechanism));
	get(kc, "sasl.oauthbearer.method", method, sizeof(method));
	if (strcmp(mechanism, "OAUTHBEARER") == 0 && strcmp(method, "oidc") != 0)
		return err_set(err, ERR_CONFIG, "options: sasl.mechanism OAUTHBEARER needs sasl.oauthbearer.method oidc and a "
		    "librdkafka built with it; for Event Hubs use PLAIN with user $ConnectionString and a `password`");
	return 0;
}

static int
put_all(rd_kafka_conf_t *kc, const struct conf *conf, const struct kafka_setting *settings, const char *client_id,
    struct err *err)
{
	if (put(kc, "client.id", client_id, err) != 0 ||
	    put(kc, "bootstrap.servers", conf_text(conf, "brokers"), err) != 0)
		return -1;
	for (const struct kafka_setting *s = settings; s->name != NULL; s++)
		if (s->value != NULL && put(kc, s->name, s->value, err) != 0)
			return -1;
	for (size_t i = 0; i < conf_map(conf, "options"); i++)
		if (put_option(kc, conf_map_key(conf, "options", i), conf_map_value(conf, "options", i), settings, err) != 0)
			return -1;
	return check_sasl(kc, err);
}

static void
hush(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	(void)rk;
	(void)level;
	(void)facility;
	(void)text;
}

int
kafka_client_conf(rd_kafka_conf_t **ret, const struct conf *conf, const struct kafka_setting *settings,
    const char *client_id, struct err *err)
{
	rd_kafka_conf_t *kc;

	if (rd_kafka_version() < OLDEST_VERSION)
		return err_set(err, ERR_CONFIG, "librdkafka %s is too old; 1.6.0 or later is needed", rd_kafka_version_str());
	kc = rd_kafka_conf_new();
	if (put_all(kc, conf, settings, client_id, err) != 0) {
		rd_kafka_conf_destroy(kc);
		return -1;
	}
	rd_kafka_conf_set_log_cb(kc, hush);
	*ret = kc;
	return 0;
}

static int
put_password(rd_kafka_conf_t *kc, const struct conf *conf, struct err *err)
{
	struct buf secret;
	int rc;

	if (!conf_given(conf, "password"))
		return 0;
	buf_init(&secret, PASSWORD_MOST_BYTES);
	rc = conf_secret(conf, "password", &secret, err);
	buf_putc(&secret, '\0');
	if (rc == 0 && (secret.failed || put(kc, "sasl.password", secret.p, NULL) != 0))
		rc = err_set(err, ERR_CONFIG, "password: librdkafka does not take it");
	if (secret.p != NULL)
		explicit_bzero(secret.p, secret.cap);
	buf_fini(&secret);
	return rc;
}

int
kafka_client_new(rd_kafka_t **ret, rd_kafka_type_t type, const rd_kafka_conf_t *settings, const struct conf *conf,
    struct err *err)
{
	rd_kafka_conf_t *kc = rd_kafka_conf_dup(settings);
	char why[256];
	rd_kafka_t *rk;

	if (put_password(kc, conf, err) != 0) {
		rd_kafka_conf_destroy(kc);
		return -1;
	}
	rk = rd_kafka_new(type, kc, why, sizeof(why));	/* kc is its own from here on, if it succeeds */
	if (rk == NULL) {
		rd_kafka_conf_destroy(kc);
		return err_set(err, ERR_CONFIG, "librdkafka refuses the options: %.240s", why);
	}
	*ret = rk;
	return 0;
}

/* ---- errors ------------------------------------------------------------------ */

struct meaning {
	rd_kafka_resp_err_t	code;
	enum err_kind		kind;
	const char		*advice;
};

static const struct meaning meanings[] = {
	{ RD_KAFKA_RESP_ERR__AUTHENTICATION, ERR_DENIED, "check user, password and sasl.mechanism" },
	{ RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERR_DENIED, "check user, password and sasl.mechanism" },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERR_DENIED, "the broker does not offer this sasl.mechanism" },
	{ RD_KAFKA_RESP_ERR__SSL, ERR_CONFIG, "check security.protocol, the port, ssl.ca.location and the broker's name" },
	{ RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user the topic" },
	{ RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user the consumer group" },
	{ RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user IdempotentWrite on the cluster" },
	{ RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERR_DENIED, "grant this user the transactional id" },
	{ RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, ERR_CONFIG, "the topic does not exist, or this user may not see it" },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, ERR_CONFIG, "the topic does not exist, or this user may not see it" },
	{ RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, ERR_CONFIG, "the topic has no such partition" },
	{ RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERR_CONFIG, "the broker does not take this topic name" },
	{ RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERR_CONFIG, "the broker is too old for this" },
	{ RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ERR_CONFIG, "the broker does not support this" },
	{ RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, ERR_CONFIG, "another process uses this agent's id: was its state directory copied?" },
	{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERR_DATA, "the broker's message.max.bytes is smaller than this event" },
	{ RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, ERR_DATA, "the broker takes no message of this size" },
	{ RD_KAFKA_RESP_ERR_INVALID_RECORD, ERR_DATA, "the broker takes no such record in this topic" },
	{ RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, ERR_AGAIN, "no broker can be reached; check `brokers` and the network" },
	{ RD_KAFKA_RESP_ERR__TRANSPORT, ERR_AGAIN, "check `brokers`, the network and security.protocol" },
	{ RD_KAFKA_RESP_ERR__RESOLVE, ERR_AGAIN, "check the names in `brokers`" },
};

void
kafka_client_explain(rd_kafka_resp_err_t code, const char *detail, struct err *err)
{
	const char *text = detail != NULL && detail[0] != '\0' ? detail : rd_kafka_err2str(code);

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (meanings[i].code == code) {
			err_set(err, meanings[i].kind, "kafka: %.180s (%s); %s", text, rd_kafka_err2name(code), meanings[i].advice);
			return;
		}
	err_set(err, ERR_AGAIN, "kafka: %.180s (%s)", text, rd_kafka_err2name(code));
}

/* ---- letting go ----------------------------------------------------------------- */

static void *
destroy(void *arg)
{
	/* A static member need not say goodbye: it comes back as the same one. */
	rd_kafka_destroy_flags(arg, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	return NULL;
}

void
kafka_client_join(struct kafka_reaper *r)
{
	if (r->running)
		pthread_join(r->thread, NULL);
	r->running = false;
}

void
kafka_client_drop(struct kafka_reaper *r, rd_kafka_t *rk)
{
	if (rk == NULL)
		return;
	kafka_client_join(r);
	r->running = pthread_create(&r->thread, NULL, destroy, rk) == 0;
	if (!r->running)
		destroy(rk);
}
