/*
 * kafka_client_token.c - tokens of Entra ID for librdkafka's OAUTHBEARER.
 *
 * librdkafka asks by an event, at first and at 80 % of a token's life, for each client; the token itself, its renewal and
 * its refusals are token.h's business. No SASL extensions: Event Hubs refuses them.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/kafka_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"

#define CLIENTS		4
#define PRINCIPAL	"aispm-agent"	/* wanted by librdkafka, sent to nobody */
#define BEARER_BYTES	(32 << 10)
#define LATE_MS		1000		/* a refusal may still be of the token before */

struct kafka_token {
	struct http		*http;
	struct http_policy	 policy;
	struct token		*token;
	rd_kafka_t		*clients[CLIENTS];	/* each gets each token */
	bool			 asking;
	struct err		 trouble;	/* why there is no token */
	enum { UNTRIED, REFUSED, RENEWED, DENIED } state;	/* what a broker made of it */
	uint64_t		 renewed_ms;
	struct buf		 copy;		/* with a NUL, while it is handed over */
};

const char *
kafka_wrong_scope(const struct conf *block, const char *text)
{
	(void)block;
	return strlen(text) < 256 && strstr(text, "://") != NULL && strpbrk(text, " \t\"") == NULL ? NULL :
	    "a scope such as https://NAMESPACE.servicebus.windows.net/.default, or api://ID/.default";
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_reset(b);
}

static void
hand_over(struct kafka_token *t, rd_kafka_t *rk, const struct err *failure)
{
	int64_t until_ms = (int64_t)(clock_wall_ms() + token_left_ms(t->token));
	char why[256] = "";

	if (failure == NULL && rd_kafka_oauthbearer_set_token(rk, t->copy.p, until_ms, PRINCIPAL, NULL, 0, why, sizeof(why)) !=
	    RD_KAFKA_RESP_ERR_NO_ERROR) {
		err_set(&t->trouble, ERR_AGAIN, "librdkafka does not take the token");	/* its reason might show it */
		failure = &t->trouble;
	}
	if (failure != NULL)
		rd_kafka_oauthbearer_set_token_failure(rk, failure->text);
}

static void
got(void *arg, struct slice bearer, const struct err *failure)
{
	struct kafka_token *t = arg;

	t->asking = false;
	t->trouble = (struct err){ 0 };
	if (failure == NULL) {
		buf_put_slice(&t->copy, bearer);
		buf_putc(&t->copy, '\0');
		if (t->copy.failed)
			err_set(&t->trouble, ERR_AGAIN, "no memory for a token");
	} else {
		t->trouble = *failure;
	}
	if (t->state == REFUSED && t->trouble.kind == ERR_NONE) {
		t->state = RENEWED;
		t->renewed_ms = clock_mono_ms();
	}
	for (size_t i = 0; i < CLIENTS; i++)
		if (t->clients[i] != NULL)
			hand_over(t, t->clients[i], t->trouble.kind != ERR_NONE ? &t->trouble : NULL);
	wipe(&t->copy);
}

static void
ask(struct kafka_token *t)
{
	if (t->asking)
		return;
	t->asking = true;
	token_get(t->token, got, t);
}

void
kafka_token_refresh(struct kafka_token *t, rd_kafka_t *rk)
{
	size_t i = 0;

	if (t == NULL)
		return;
	while (i < CLIENTS && t->clients[i] != NULL && t->clients[i] != rk)
		i++;
	if (i == CLIENTS) {
		rd_kafka_oauthbearer_set_token_failure(rk, "too many clients");
		return;
	}
	if (t->clients[i] == NULL && t->state == DENIED) {	/* a new round, with a new token */
		token_spoiled(t->token);
		t->state = UNTRIED;
	}
	t->clients[i] = rk;
	ask(t);
}

void
kafka_token_forget(struct kafka_token *t, rd_kafka_t *rk)
{
	for (size_t i = 0; t != NULL && rk != NULL && i < CLIENTS; i++)
		if (t->clients[i] == rk)
			t->clients[i] = NULL;
}

void
kafka_token_good(struct kafka_token *t)
{
	if (t != NULL)
		t->state = UNTRIED;
}

void
kafka_token_explain(struct kafka_token *t, struct err *why)
{
	if (t == NULL)
		return;
	if (t->trouble.kind != ERR_NONE) {
		err_set(why, t->trouble.kind, "kafka: %.300s", t->trouble.text);
		return;
	}
	if (t->state == UNTRIED) {
		token_spoiled(t->token);
		t->state = REFUSED;
	}
	if (t->state == REFUSED)
		ask(t);
	else if (clock_mono_ms() - t->renewed_ms >= LATE_MS)
		t->state = DENIED;
	if (t->state != DENIED)
		why->kind = ERR_AGAIN;
}

void
kafka_token_settle(struct kafka_token *t, struct err *why)
{
	if (t == NULL || t->state != RENEWED || clock_mono_ms() - t->renewed_ms < LATE_MS)
		return;
	t->state = DENIED;
	why->kind = ERR_DENIED;
}

/* ---- life ------------------------------------------------------------------------ */

/* https://NAMESPACE.servicebus.windows.net/.default, of the first broker. */
static int
scope_of(const struct conf *conf, char *ret, size_t n, struct err *err)
{
	const char *brokers = conf_text(conf, "brokers"), *scheme = strstr(brokers, "://");
	const char *cloud = conf_text(conf_block(conf, "auth"), "cloud"), *suffix = cloud_hubs_suffix(cloud);
	char url[300], host[256];

	if (conf_text(conf, "scope") != NULL) {
		snprintf(ret, n, "%s", conf_text(conf, "scope"));
		return 0;
	}
	if (scheme != NULL)
		brokers = scheme + 3;
	snprintf(url, sizeof(url), "https://%.*s/", (int)(strcspn(brokers, ", ") < 270 ? strcspn(brokers, ", ") : 270), brokers);
	if (!http_url_host(url, host, sizeof(host)) || (!http_url_is_loopback(url) &&
	    (suffix == NULL || !slice_ends_nocase(slice_of(host), slice_of(suffix)))))
		return err_set(err, ERR_CONFIG, "%s:%u: brokers: allowed with `auth` and cloud %s: NAMESPACE%s:9093; for other brokers "
		    "that take tokens of Entra ID, write their `scope`", conf_file(conf, "brokers"), conf_line(conf, "brokers"), cloud,
		    suffix != NULL ? suffix : "");
	snprintf(ret, n, "https://%.200s/.default", host);
	return 0;
}

int
kafka_token_open(struct kafka_token **ret, struct loop *loop, const struct conf *conf, struct err *err)
{
	const struct conf *auth = conf_block(conf, "auth");
	struct kafka_token *t;
	char scope[256];

	*ret = NULL;
	if (auth == NULL)
		return 0;
	if (scope_of(conf, scope, sizeof(scope), err) != 0)
		return -1;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a token");
	buf_init(&t->copy, BEARER_BYTES + 1);
	if (!buf_reserve(&t->copy, BEARER_BYTES + 1))	/* whole, so that growing leaves no copies */
		err_set(err, ERR_AGAIN, "no memory for a token");
	else if (http_open(&t->http, loop, err) == 0 && http_policy_from(&t->policy, conf, err) == 0 &&
	    token_open(&t->token, t->http, loop, auth, scope, &t->policy, err) == 0) {
		*ret = t;
		return 0;
	}
	kafka_token_close(t);
	return -1;
}

void
kafka_token_on_news(struct kafka_token *t, void (*told)(void *arg, const char *text), void *arg)
{
	if (t != NULL)
		token_on_news(t->token, told, arg);
}

void
kafka_token_close(struct kafka_token *t)
{
	if (t == NULL)
		return;
	token_close(t->token);
	http_policy_fini(&t->policy);
	http_close(t->http);
	wipe(&t->copy);
	buf_fini(&t->copy);
	free(t);
}
