/*
 * sentinel.c - sink `sentinel`: batches to Azure Monitor's Logs Ingestion API.
 * Source: learn.microsoft.com "Logs Ingestion API in Azure Monitor" (api-version 2023-01-01), "Azure Monitor service limits".
 *
 * A post is one batch on its way: packed, waiting for a token, sent, answered. A 401 is answered by one new token at
 * once; all other waiting is the business of send.c.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/loop.h"
#include "net/http.h"
#include "net/token.h"
#include "sinks/batch.h"
#include "sinks/sentinel/answer.h"
#include "sinks/sentinel/pace.h"
#include "sinks/sink.h"

#define MAX_BYTES	1000000		/* of one call, packed or not: 1 MB, and the service means it */
#define PACK_SLACK_BYTES	65536	/* the packer wants room for the worst case */
#define ANSWER_BYTES	(256u << 10)	/* only refusals are read, for their words */
#define MAX_POSTS	4
#define KEPT_IDS	16		/* batches whose request id is remembered over tries */
#define GUID_BYTES	37
#define BEARER_BYTES	(32 << 10)
#define AUXILIARY_SPAN_MS	(30 * 60 * 1000)
#define AHEAD_MS	(INT64_C(86400) * 1000)
#define PAST_MS		(2 * AHEAD_MS)

enum post_state { POST_FREE, POST_TOKEN, POST_OUT, POST_FAILED };

struct post {
	struct sentinel		*sentinel;
	enum post_state		 state;
	const struct batch	*batch;
	struct buf		 packed;
	bool			 is_packed;
	unsigned		 denied;	/* 401s of this try */
	uint64_t		 bearer_hash;
	struct http_call	*call;
	char			 id_line[32 + GUID_BYTES];
};

struct kept_id {
	uint64_t	first_seq;
	size_t		n;			/* entries; 0: free */
	char		guid[GUID_BYTES];
};

struct sentinel {
	struct sink		*sink;
	struct http_policy	 policy;
	struct pace		*pace;
	struct loop_timer	*pace_timer;	/* a post waits for its turn */
	struct token		*token;
	bool			 asking;	/* for a token */
	bool			 told_times;
	bool			 skewed;	/* the clock is off, and that was told */
	bool			 gzip;
	struct gzip_writer	*packer;
	char			*url;
	char			 host[256];
	uint32_t		 timeout_ms;
	uint64_t		 bearer_hash;	/* of the last token that was used */
	struct buf		 bearer_line;
	struct post		 posts[MAX_POSTS];
	struct kept_id		 ids[KEPT_IDS];
	size_t			 next_id;
};

static void ask_token(struct sentinel *);

/* ---- request ids: kept over the tries of one batch ------------------------------ */

/* RFC 9562, version 4. */
static void
make_guid(char ret[GUID_BYTES])
{
	unsigned char r[16];
	size_t at = 0;

	random_bytes(r, sizeof(r));
	r[6] = (unsigned char)((r[6] & 0x0f) | 0x40);
	r[8] = (unsigned char)((r[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(r); i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			ret[at++] = '-';
		ret[at++] = "0123456789abcdef"[r[i] >> 4];
		ret[at++] = "0123456789abcdef"[r[i] & 15];
	}
	ret[at] = '\0';
}

static struct kept_id *
id_of(struct sentinel *t, const struct batch *b)
{
	struct kept_id *id;

	for (size_t i = 0; i < KEPT_IDS && b->n > 0; i++)
		if (t->ids[i].n > 0 && t->ids[i].n == b->n && t->ids[i].first_seq == b->v[0].seq)
			return &t->ids[i];
	id = &t->ids[t->next_id++ % KEPT_IDS];
	id->first_seq = b->n > 0 ? b->v[0].seq : 0;
	id->n = b->n;
	make_guid(id->guid);
	return id;
}

/* ---- answers ---------------------------------------------------------------------- */

static void
give(struct post *p, enum sink_verdict verdict, uint64_t wait_ms, const struct err *why)
{
	const struct batch *b = p->batch;

	if (verdict == SINK_DELIVERED)
		id_of(p->sentinel, b)->n = 0;
	p->state = POST_FREE;
	p->batch = NULL;
	sink_answer(p->sentinel->sink, b, verdict, wait_ms, why);	/* may put the next batch into this place */
}

static void
failed(struct post *p, const struct err *err, uint64_t wait_ms)
{
	bool operator_must_act = err->kind == ERR_DENIED || err->kind == ERR_CONFIG;

	give(p, operator_must_act ? SINK_HELD : SINK_LATER, wait_ms, err);
}

/* True when the post goes out once more, with a new token. */
static bool
try_new_token(struct post *p)
{
	struct sentinel *t = p->sentinel;

	if (p->bearer_hash == t->bearer_hash)
		token_spoiled(t->token);
	if (++p->denied > 1)
		return false;
	p->state = POST_TOKEN;
	ask_token(t);
	return true;
}

/* A wrong clock makes assertions and tokens fail, and times wrong: it is told once, not only with a refusal. */
static void
watch_clock(struct sentinel *t, const struct http_answer *a)
{
	const int64_t s = sentinel_skew_s(a);
	char text[160];

	if (s != 0 && !t->skewed) {
		snprintf(text, sizeof(text), "this host's clock is %lld s %s by the service's Date; set it by NTP", (long long)(s > 0 ? s : -s),
		    s > 0 ? "ahead" : "behind");
		t->sink->say(t->sink, text);
	}
	t->skewed = s != 0;
}

static void
answered(void *arg, const struct http_answer *a)
{
	struct post *p = arg;
	struct sentinel *t = p->sentinel;
	uint64_t wait_ms = a->retry_after_ms > 0 ? (uint64_t)a->retry_after_ms : 0;
	enum sink_verdict verdict;
	struct err why = { 0 };
	bool span = false;

	p->call = NULL;
	if (a->status == 0) {
		pace_trouble(t->pace);
		failed(p, a->err, 0);
		return;
	}
	if (a->status == 401 && try_new_token(p))
		return;
	verdict = sentinel_verdict(a->status);
	if (verdict == SINK_LATER)
		pace_trouble(t->pace);
	watch_clock(t, a);
	sentinel_explain(a, t->host, p->id_line, &p->batch->bytes, &t->bearer_line, &span, &why);
	if (span)
		t->sink->max_span_ms = AUXILIARY_SPAN_MS;
	give(p, verdict, verdict == SINK_LATER ? wait_ms : 0, &why);
}

/* ---- sending ------------------------------------------------------------------------ */

static int
post_now(struct post *p, struct err *err)
{
	struct sentinel *t = p->sentinel;
	const char *const headers[] = {
		t->bearer_line.p, "Content-Type: application/json", p->id_line,
		p->is_packed ? "Content-Encoding: gzip" : NULL, NULL
	};
	struct http_request r = {
		.method = "POST", .url = t->url, .headers = headers, .timeout_ms = t->timeout_ms, .policy = &t->policy,
		.max_answer_bytes = ANSWER_BYTES, .head_counts = true,
		.body = p->is_packed ? buf_slice(&p->packed) : buf_slice(&p->batch->bytes),
	};

	if (http_send(t->sink->http, &r, answered, p, &p->call, err) != 0)
		return -1;
	p->state = POST_OUT;
	p->bearer_hash = t->bearer_hash;
	return 0;
}

static void
set_bearer(struct sentinel *t, struct slice bearer)
{
	buf_reset(&t->bearer_line);
	buf_puts(&t->bearer_line, "Authorization: Bearer ");
	buf_put_slice(&t->bearer_line, bearer);
	buf_putc(&t->bearer_line, '\0');
	t->bearer_hash = hash_keyed(bearer.p, bearer.n);
}

/* All that wait for a token go, or all are answered. Answers may bring new posts: those wait for the next one. */
static void
got_token(void *arg, struct slice bearer, const struct err *failure)
{
	struct sentinel *t = arg;
	struct err err[MAX_POSTS] = { 0 };
	uint64_t wait_ms;

	t->asking = false;
	if (failure == NULL)
		set_bearer(t, bearer);
	for (size_t i = 0; i < MAX_POSTS; i++) {
		struct post *p = &t->posts[i];

		if (p->state != POST_TOKEN)
			continue;
		if (failure == NULL && p->batch->n > 0 && (wait_ms = pace_take(t->pace, p->batch->bytes.n)) > 0) {
			loop_timer_set(t->pace_timer, wait_ms);
			continue;
		}
		if (failure != NULL)
			err[i] = *failure;
		else if (t->bearer_line.failed)
			err_set(&err[i], ERR_AGAIN, "no memory for a token");
		else if (post_now(p, &err[i]) == 0)
			continue;
		p->state = POST_FAILED;
	}
	for (size_t i = 0; i < MAX_POSTS; i++)
		if (t->posts[i].state == POST_FAILED)
			failed(&t->posts[i], &err[i], 0);
}

static void
ask_token(struct sentinel *t)
{
	if (t->asking)
		return;
	t->asking = true;
	token_get(t->token, got_token, t);
}

static void
turn_came(void *arg)
{
	ask_token(arg);
}

/* What does not become smaller goes as it is. */
static void
pack(struct post *p)
{
	struct sentinel *t = p->sentinel;

	p->is_packed = false;
	buf_reset(&p->packed);
	if (!t->gzip || gzip_compress(t->packer, buf_slice(&p->batch->bytes), &p->packed, NULL) != 0)
		return;
	p->is_packed = !p->packed.failed && p->packed.n < p->batch->bytes.n;
}

/* The service does not keep such times (log-standard-columns: TimeGenerated), and whoever sends old records should know. Told once. */
static void
look_at_times(struct sentinel *t, const struct batch *b)
{
	int64_t now_ms = (int64_t)clock_wall_ms();

	for (size_t i = 0; i < b->n && !t->told_times; i++) {
		if (b->v[i].time_ms >= now_ms - PAST_MS && b->v[i].time_ms <= now_ms + AHEAD_MS)
			continue;
		t->told_times = true;
		t->sink->say(t->sink, "events of more than two days ago or a day ahead: Azure Monitor puts the time of arrival into their TimeGenerated; "
		    "their own time stays in EventStartTime");
	}
}

static void
sentinel_put(struct sink *s, const struct batch *b)
{
	struct sentinel *t = s->priv;
	struct post *p = NULL;

	for (size_t i = 0; i < MAX_POSTS && p == NULL; i++)
		if (t->posts[i].state == POST_FREE)
			p = &t->posts[i];
	assert(p != NULL && b->bytes.n <= MAX_BYTES);
	p->batch = b;
	p->denied = 0;
	p->state = POST_TOKEN;
	look_at_times(t, b);
	snprintf(p->id_line, sizeof(p->id_line), "x-ms-client-request-id: %s", id_of(t, b)->guid);
	pack(p);
	ask_token(t);
}

/* ---- life ----------------------------------------------------------------------------- */

#define ENDPOINT(suffix)	"https://NAME.REGION" suffix ", without a path, as auth.cloud says"

static const char *
wrong_endpoint(const struct conf *block, const char *text)
{
	const struct conf *auth = conf_block(block, "auth");
	const char *cloud = auth != NULL ? conf_text(auth, "cloud") : NULL;
	const char *suffix = cloud != NULL ? cloud_ingest_suffix(cloud) : NULL;
	char host[256];

	if (http_url_check(text, NULL) == 0 && http_url_is_origin(text) && http_url_host(text, host, sizeof(host)) &&
	    (suffix == NULL || http_url_is_loopback(text) || slice_ends_nocase(slice_of(host), slice_of(suffix))))
		return NULL;
	if (cloud != NULL && strcmp(cloud, "usgov") == 0)
		return ENDPOINT(".ingest.monitor.azure.us");
	if (cloud != NULL && strcmp(cloud, "china") == 0)
		return ENDPOINT(".ingest.monitor.azure.cn");
	return ENDPOINT(".ingest.monitor.azure.com");
}

static void
sentinel_close(struct sink *s)
{
	struct sentinel *t = s->priv;

	if (t == NULL)
		return;
	for (size_t i = 0; i < MAX_POSTS; i++) {
		http_cancel(t->posts[i].call);
		buf_fini(&t->posts[i].packed);
	}
	token_close(t->token);
	loop_timer_free(t->pace_timer);
	http_policy_fini(&t->policy);
	gzip_writer_free(t->packer);
	if (t->bearer_line.p != NULL)
		explicit_bzero(t->bearer_line.p, t->bearer_line.cap);
	buf_fini(&t->bearer_line);
	free(t->url);
	free(t);
	s->priv = NULL;
}

/* Once more, with all of the block read. */
static int
check_endpoint(struct sentinel *t, const struct conf *conf, struct err *err)
{
	const char *endpoint = conf_text(conf, "endpoint"), *allowed = wrong_endpoint(conf, endpoint);

	if (allowed == NULL && http_url_host(endpoint, t->host, sizeof(t->host)))
		return 0;
	return err_set(err, ERR_CONFIG, "%s:%u: endpoint: allowed: %s", conf_file(conf, "endpoint"),
	    conf_line(conf, "endpoint"), allowed != NULL ? allowed : "a shorter host name");
}

static int
make_url(struct sentinel *t, const struct conf *conf, struct err *err)
{
	const char *endpoint = conf_text(conf, "endpoint");
	size_t n = strlen(endpoint);
	struct buf b;

	while (n > 0 && endpoint[n - 1] == '/')
		n--;
	buf_init(&b, 8192);
	buf_printf(&b, "%.*s/dataCollectionRules/%s/streams/%s?api-version=2023-01-01", (int)n, endpoint,
	    conf_text(conf, "rule"), conf_text(conf, "stream"));
	buf_putc(&b, '\0');
	if (!b.failed)
		t->url = strdup(b.p);
	buf_fini(&b);
	return t->url != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for a sink");
}

static int
sentinel_open(struct sink *s, const struct conf *conf, struct err *err)
{
	struct sentinel *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	s->priv = t;
	t->sink = s;
	for (size_t i = 0; i < MAX_POSTS; i++) {
		t->posts[i].sentinel = t;
		buf_init(&t->posts[i].packed, MAX_BYTES + PACK_SLACK_BYTES);
	}
	buf_init(&t->bearer_line, BEARER_BYTES + 64);
	t->gzip = conf_bool(conf, "gzip");
	t->timeout_ms = (uint32_t)conf_ms(conf, "timeout");
	s->max_span_ms = strcmp(conf_text(conf, "plan"), "auxiliary") == 0 ? AUXILIARY_SPAN_MS : 0;
	t->pace = pace_of(conf_text(conf, "rule"));
	t->pace_timer = loop_timer_new(s->loop, turn_came, t, err);
	if (t->pace_timer == NULL)
		return -1;
	t->packer = gzip_writer_new(1);
	if (t->packer == NULL || !buf_reserve(&t->bearer_line, BEARER_BYTES))	/* whole, so that growing leaves no copies */
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	if (check_endpoint(t, conf, err) != 0 || make_url(t, conf, err) != 0 || http_policy_from(&t->policy, conf, err) != 0)
		return -1;
	if (token_open(&t->token, s->http, s->loop, conf_block(conf, "auth"), NULL, &t->policy, err) != 0)
		return -1;
	token_on_news(t->token, sink_debug, s);
	return 0;
}

/* ---- settings -------------------------------------------------------------------------- */

static const char *
wrong_rule(const struct conf *block, const char *text)
{
	(void)block;
	if (strncmp(text, "dcr-", 4) == 0 && strlen(text) == 36 && strspn(text + 4, "0123456789abcdef") == 32)
		return NULL;
	return "the immutable id of the data collection rule: dcr- and 32 digits 0-9, a-f";
}

static const char *
wrong_stream(const struct conf *block, const char *text)
{
	size_t n = strlen(text);

	(void)block;
	if (n > 0 && n <= 128 &&
	    strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n)
		return NULL;
	return "the name of a stream of the rule, such as Custom-AISPMEvents";
}

static const struct conf_key sentinel_keys[] = {
	{ .name = "endpoint", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = wrong_endpoint,
	  .allowed = "an https URL of the ingestion service",
	  .help = "ingestion endpoint of the data collection endpoint or rule" },
	{ .name = "rule", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = wrong_rule,
	  .allowed = "dcr- and 32 hexadecimal digits", .help = "immutable id of the data collection rule" },
	{ .name = "stream", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = wrong_stream,
	  .allowed = "a stream of the rule", .help = "stream of the rule, such as Custom-AISPMEvents" },
	{ .name = "plan", .type = CONF_WORD, .fallback = "analytics", .allowed = "analytics|auxiliary",
	  .help = "plan of the table; auxiliary takes at most 30 minutes of TimeGenerated in one batch" },
	{ .name = "auth", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = token_keys, .variant_key = "type",
	  .variant = token_variant, .variant_words = TOKEN_WORDS, .help = "how the agent proves who it is" },
	{ .name = "tls", .type = CONF_BLOCK, .keys = http_tls_keys, .help = "TLS of the endpoint and of the authority" },
	{ .name = "proxy", .type = CONF_TEXT, .wrong = http_wrong_proxy, .allowed = "a proxy's URL, or none",
	  .help = "proxy for the endpoint and the authority (default: the variables https_proxy, no_proxy)" },
	{ .name = "gzip", .type = CONF_BOOL, .flags = CONF_ADVANCED, .fallback = "true", .help = "compress what is sent" },
	{ .name = "timeout", .type = CONF_TIME, .flags = CONF_ADVANCED, .fallback = "60s", .least = 1000, .most = 600000,
	  .help = "how long one request may take" },
	CONF_END
};

const struct sink_kind sink_kind_sentinel = {
	.name = "sentinel",
	.help = "Microsoft Sentinel, by Azure Monitor's Logs Ingestion API",
	.format = "json",
	.formats = "json|commonsecuritylog",
	.open_bytes = "[",
	.between_bytes = ",",
	.close_bytes = "]",
	.max_bytes = MAX_BYTES,
	.max_entries = 10000,
	.max_in_flight = MAX_POSTS,
	.keys = sentinel_keys,
	.open = sentinel_open,
	.put = sentinel_put,
	.close = sentinel_close,
};
