/* kafka_client.c - settings of librdkafka, for source and sink; making a client and letting go of it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/kafka_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/slice.h"

#define OLDEST_VERSION		0x01060000	/* RHEL 9's 1.6.1 is the oldest tried */
#define BROKEN_VERSION		0x02060000	/* its OAUTHBEARER to Event Hubs: confluentinc/librdkafka#4903 */
#define PASSWORD_MOST_BYTES	65536
#define HUBS_USER		"$ConnectionString"

#define ALWAYS_VERIFIED		"certificates and names are always verified"

/* What neither source nor sink leaves to options. */
static const struct kafka_setting own[] = {
	{ "bootstrap.servers", NULL, "it is the setting `brokers`" },
	{ "metadata.broker.list", NULL, "it is the setting `brokers`" },
	{ "client.id", NULL, "the agent names itself" },
	{ "log.queue", NULL, "the agent takes librdkafka's messages" },
	{ "debug", NULL, "the agent takes librdkafka's messages" },
	{ "enable.random.seed", NULL, "it belongs to the process" },
	{ "plugin.library.paths", NULL, "the agent loads no plug-ins" },
	{ "enable.ssl.certificate.verification", "true", ALWAYS_VERIFIED },
	{ "ssl.endpoint.identification.algorithm", "https", ALWAYS_VERIFIED },
	{ "enable.sasl.oauthbearer.unsecure.jwt", NULL, "tokens come by the setting `auth`" },
	{ "sasl.oauthbearer.config", NULL, "tokens come by the setting `auth`" },
	{ "sasl.oauthbearer.method", NULL, "tokens come by the setting `auth`" },
	{ "sasl.oauthbearer.client.secret", NULL, "tokens come by the setting `auth`" },
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

/* Properties that hold a secret itself, and what says it without one in the file. */
static const struct {
	const char	*name, *instead;
} literals[] = {
	{ "sasl.password", "`password`: {file: ..}, {env: ..} or {credential: ..}" },
	{ "ssl.key.password", "`tls.key_file` without one, readable by the agent alone" },
	{ "ssl.key.pem", "`tls.key_file`" },
	{ "ssl.keystore.password", "`tls.cert_file` and `tls.key_file`" },
};

static bool
has_option(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf_map(conf, "options"); i++)
		if (strcmp(conf_map_key(conf, "options", i), name) == 0)
			return true;
	return false;
}

bool
kafka_client_warning(const struct conf *conf, char *ret, size_t n)
{
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++)
		if (has_option(conf, literals[i].name)) {
			snprintf(ret, n, "kafka: options: %s is a secret in the configuration file; better is %s", literals[i].name,
			    literals[i].instead);
			return true;
		}
	return false;
}

/* Whether every broker of a list "host:port, ..." has a host that `fits`. */
static bool
all_brokers(const char *brokers, bool (*fits)(const char *host))
{
	bool all = true;

	for (const char *at = brokers; all && *at != '\0';) {
		const char *scheme = strstr(at, "://");
		size_t n = strcspn(at, ", ");
		char url[300], host[256];

		if (scheme != NULL && scheme < at + n) {
			n -= (size_t)(scheme + 3 - at);
			at = scheme + 3;
		}
		snprintf(url, sizeof(url), "https://%.*s/", (int)(n < 270 ? n : 270), at);
		all = http_url_host(url, host, sizeof(host)) && fits(host);
		at += n;
		at += strspn(at, ", ");
	}
	return all;
}

static bool
is_loopback(const char *host)
{
	char url[300];

	snprintf(url, sizeof(url), strchr(host, ':') != NULL ? "https://[%.256s]/" : "https://%.256s/", host);
	return http_url_is_loopback(url);
}

static bool
is_of_hubs(const char *host)
{
	static const char *const clouds[] = { "public", "usgov", "china" };

	for (size_t i = 0; i < sizeof(clouds) / sizeof(clouds[0]); i++)
		if (slice_ends_nocase(slice_of(host), slice_of(cloud_hubs_suffix(clouds[i]))))
			return true;
	return false;
}

/* What the settings beside `options` mean for librdkafka; options come after it. */
static int
put_security(rd_kafka_conf_t *kc, const struct conf *conf, struct err *err)
{
	const bool auth = conf_block(conf, "auth") != NULL, password = conf_given(conf, "password"), tls = conf_given(conf, "tls");
	const struct conf *files = conf_block(conf, "tls");
	const struct { const char *name, *value; } rows[] = {
		{ "security.protocol", auth || password ? "sasl_ssl" : tls ? "ssl" : NULL },
		{ "sasl.mechanisms", auth ? "OAUTHBEARER" : password ? "PLAIN" : NULL },
		{ "sasl.username", password && all_brokers(conf_text(conf, "brokers"), is_of_hubs) ? HUBS_USER : NULL },
		{ "ssl.ca.location", conf_text(files, "ca_file") },
		{ "ssl.certificate.location", conf_text(files, "cert_file") },
		{ "ssl.key.location", conf_text(files, "key_file") },
	};

	if (auth && password)
		return err_set(err, ERR_CONFIG, "%s:%u: password: allowed: `auth` or `password`, not both", conf_file(conf, "password"),
		    conf_line(conf, "password"));
	for (const struct kafka_setting *s = own; s->name != NULL; s++)
		if (s->value != NULL && put(kc, s->name, s->value, err) != 0)
			return -1;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].value != NULL && put(kc, rows[i].name, rows[i].value, err) != 0)
			return -1;
	return 0;
}

/* With all of the settings in place: whether they fit together, and whether nothing secret goes in the clear. */
static int
check_security(const rd_kafka_conf_t *kc, const struct conf *conf, struct err *err)
{
	const bool auth = conf_block(conf, "auth") != NULL, password = conf_given(conf, "password");
	char protocol[32], mechanism[64], user[256];
	bool sasl, bearer;

	get(kc, "security.protocol", protocol, sizeof(protocol));
	get(kc, "sasl.mechanisms", mechanism, sizeof(mechanism));
	get(kc, "sasl.username", user, sizeof(user));
	sasl = strncasecmp(protocol, "sasl_", 5) == 0;
	bearer = strcmp(mechanism, "OAUTHBEARER") == 0;
	if ((auth || password) && !sasl)
		return err_set(err, ERR_CONFIG, "options: security.protocol %s uses no %s; allowed: SASL_SSL", protocol,
		    auth ? "`auth`" : "`password`");
	if (!sasl)
		return 0;
	if (bearer != auth)
		return err_set(err, ERR_CONFIG, bearer ? "options: sasl.mechanism OAUTHBEARER needs `auth`: tokens come from Entra ID" :
		    "options: `auth` goes with sasl.mechanism OAUTHBEARER, not %.60s", mechanism);
	if (password && user[0] == '\0')
		return err_set(err, ERR_CONFIG, "options: sasl.username is missing beside `password`");
	if (!password && !has_option(conf, "sasl.password") && strcmp(mechanism, "GSSAPI") != 0 && !bearer)
		return err_set(err, ERR_CONFIG, "password: is missing; sasl.mechanism %.60s needs it", mechanism);
	if (strcasecmp(protocol, "sasl_plaintext") == 0 && (bearer || strcmp(mechanism, "PLAIN") == 0) &&
	    !all_brokers(conf_text(conf, "brokers"), is_loopback))
		return err_set(err, ERR_CONFIG, "options: security.protocol SASL_PLAINTEXT would send the %s in the clear; allowed: "
		    "SASL_SSL, or brokers on this machine", bearer ? "token" : "password");
	return 0;
}

static int
put_all(rd_kafka_conf_t *kc, const struct conf *conf, const struct kafka_setting *settings, const char *client_id,
    struct err *err)
{
	if (put(kc, "client.id", client_id, err) != 0 ||
	    put(kc, "bootstrap.servers", conf_text(conf, "brokers"), err) != 0 || put_security(kc, conf, err) != 0)
		return -1;
	for (const struct kafka_setting *s = settings; s->name != NULL; s++)
		if (s->value != NULL && put(kc, s->name, s->value, err) != 0)
			return -1;
	for (size_t i = 0; i < conf_map(conf, "options"); i++)
		if (put_option(kc, conf_map_key(conf, "options", i), conf_map_value(conf, "options", i), settings, err) != 0)
			return -1;
	return check_security(kc, conf, err);
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
	if (conf_block(conf, "auth") != NULL && (rd_kafka_version() & 0xffffff00) == BROKEN_VERSION)
		return err_set(err, ERR_CONFIG, "auth: librdkafka 2.6.0 cannot log in to Event Hubs with a token (fixed in 2.6.1)");
	kc = rd_kafka_conf_new();
	if (put_all(kc, conf, settings, client_id, err) != 0) {
		rd_kafka_conf_destroy(kc);
		return -1;
	}
	rd_kafka_conf_set_log_cb(kc, hush);
	*ret = kc;
	return 0;
}

long
kafka_client_number(const rd_kafka_conf_t *kc, const char *name, long otherwise)
{
	char text[32], *end;
	long v;

	get(kc, name, text, sizeof(text));
	v = strtol(text, &end, 10);
	return end != text && *end == '\0' ? v : otherwise;
}

/* Event Hubs wants its whole connection string; what it refuses would only come back as "authentication failed". */
static const char *
wrong_for_hubs(const rd_kafka_conf_t *kc, const char *password)
{
	char user[64];

	get(kc, "sasl.username", user, sizeof(user));
	if (strcmp(user, HUBS_USER) != 0)
		return NULL;
	if (strcasestr(password, "SharedAccessSignature") != NULL)
		return "it holds a SAS token, which Event Hubs does not take over Kafka; allowed: a connection string with a "
		    "SharedAccessKey, or `auth`";
	if (strncasecmp(password, "Endpoint=sb://", 14) != 0 || strcasestr(password, "SharedAccessKey=") == NULL)
		return "it is no connection string of Event Hubs; allowed: Endpoint=sb://NAMESPACE...;SharedAccessKeyName=...;"
		    "SharedAccessKey=..., all of it";
	return NULL;
}

static int
put_password(rd_kafka_conf_t *kc, const struct conf *conf, struct err *err)
{
	const char *wrong = NULL;
	struct buf secret;
	int rc;

	if (!conf_given(conf, "password"))
		return 0;
	buf_init(&secret, PASSWORD_MOST_BYTES);
	buf_reserve(&secret, 4096);		/* so that growing leaves no copies of a usual one */
	rc = conf_secret(conf, "password", &secret, err);
	buf_putc(&secret, '\0');
	if (rc == 0 && !secret.failed)
		wrong = wrong_for_hubs(kc, secret.p);
	if (rc == 0 && wrong != NULL)
		rc = err_set(err, ERR_CONFIG, "%s:%u: password: %s", conf_file(conf, "password"), conf_line(conf, "password"), wrong);
	else if (rc == 0 && (secret.failed || put(kc, "sasl.password", secret.p, NULL) != 0))
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

/* ---- letting go ----------------------------------------------------------------- */

static void *
destroy(void *arg)
{
	struct kafka_grave *g = arg;

	/* A static member need not say goodbye: it comes back as the same one. */
	rd_kafka_destroy_flags(g->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
	atomic_store(&g->done, true);
	return NULL;
}

static void
join(struct kafka_grave *g)
{
	if (g->rk != NULL)
		pthread_join(g->thread, NULL);
	g->rk = NULL;
}

void
kafka_client_join(struct kafka_reaper *r)
{
	for (size_t i = 0; i < KAFKA_GRAVES; i++)
		join(&r->graves[i]);
}

void
kafka_client_drop(struct kafka_reaper *r, rd_kafka_t *rk)
{
	struct kafka_grave *g = NULL;

	if (rk == NULL)
		return;
	for (size_t i = 0; i < KAFKA_GRAVES && g == NULL; i++)
		if (r->graves[i].rk == NULL || atomic_load(&r->graves[i].done))
			g = &r->graves[i];
	if (g == NULL)
		g = &r->graves[0];
	join(g);
	g->rk = rk;
	atomic_store(&g->done, false);
	if (pthread_create(&g->thread, NULL, destroy, g) != 0) {
		destroy(g);
		g->rk = NULL;
	}
}
