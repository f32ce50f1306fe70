/* azure.c - source `azure`: Defender for Cloud and Resource Graph, asked in turn, each dataset of each subscription at its own interval. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/stat.h"
#include "net/said.h"
#include "net/token.h"
#include "source/azure_source.h"

#define PAGE_BYTES	(32u << 20)
#define VALUES_MOST	(4u << 20)
#define TIMEOUT_MS	60000
#define RETRY_LEAST_MS	2000
#define RETRY_MOST_MS	300000
#define REFUSED_MS	300000		/* 401 on a new token, 403, 404: an operator must act */
#define ONCE_TRIES	3

static void
set_timer(struct azure_source *a)
{
	const uint64_t now_ms = clock_mono_ms();
	uint64_t at_ms = UINT64_MAX;

	for (size_t i = 0; i < a->njobs; i++)
		if (!a->jobs[i].done && a->jobs[i].due_ms < at_ms)
			at_ms = a->jobs[i].due_ms;
	if (at_ms == UINT64_MAX)
		loop_timer_unset(a->timer);
	else
		loop_timer_set(a->timer, at_ms > now_ms ? at_ms - now_ms : 0);
}

/* The job is over; it comes again in wait_ms. */
static void
end_job(struct azure_source *a, uint64_t wait_ms, bool done)
{
	a->job->due_ms = clock_mono_ms() + wait_ms;
	a->job->done = done && a->s->once;
	a->job = NULL;
	a->has_page = false;
	source_idle(a->s);
	set_timer(a);		/* not at once: a token that is refused would have us go through all jobs in one depth */
}

static void
tell_trouble(struct azure_source *a, const struct err *err)
{
	char text[420];

	snprintf(text, sizeof(text), "%s of subscription %s: %s", a->job->set->name, a->job->subscription, err->text);
	source_say(a->s, true, text);
}

static void
failed(struct azure_source *a, const struct err *err, uint64_t wait_ms)
{
	const bool refused = err->kind == ERR_DENIED || err->kind == ERR_CONFIG || err->kind == ERR_DATA;
	const uint64_t backoff_ms = backoff_next_ms(&a->job->backoff);

	if (a->probing) {
		a->probing = false;
		a->job = NULL;
		a->s->tell(a->s, err);
		return;
	}
	tell_trouble(a, err);
	if (wait_ms == 0)
		wait_ms = refused ? REFUSED_MS : backoff_ms;
	end_job(a, wait_ms, refused || a->job->backoff.tries >= ONCE_TRIES);
}

/* ---- answers -------------------------------------------------------------------- */

static void send_request(struct azure_source *);

/* Offers, and goes on to the next page or to the end; stands still where there is no room. */
static void
go_on(struct azure_source *a)
{
	struct err err = { 0 };
	int more;

	if (a->job == NULL || a->paused || !a->has_page)
		return;
	if (!azure_page_offer(a)) {
		a->paused = true;
		return;
	}
	more = azure_page_next(a, &err);
	if (more == 1) {
		a->has_page = false;
		send_request(a);
		return;
	}
	if (more == -1) {			/* not read to its end, so it is not said to be */
		failed(a, &err, a->job->every_ms);
		return;
	}
	if (!azure_page_finish(a)) {
		a->paused = true;
		return;
	}
	backoff_reset(&a->job->backoff);
	stat_say(a->s->stats, "");
	end_job(a, a->job->every_ms, true);
}

static void
explain(const struct http_answer *answer, const struct azure_job *job, struct err *err)
{
	switch (answer->status) {
	case 401:
		err_set(err, ERR_DENIED, "401: the token is not accepted; does its cloud fit the endpoint?");
		break;
	case 403:
		err_set(err, ERR_DENIED, "403: the identity may not read it; it needs the role Reader or Security Reader on the subscription");
		break;
	case 404:
		err_set(err, ERR_DENIED, "404: not found; is %s a subscription of this tenant?", job->subscription);
		break;
	default:
		err_set(err, ERR_AGAIN, "the service answered %d", answer->status);
	}
}

static void
token_news(void *arg, const char *text)
{
	source_debug(arg, text);
}

static void
tell_answer(struct azure_source *a, const struct http_answer *answer)
{
	struct slice id = answer->header(answer, "x-ms-request-id");
	char text[256], request[65];

	if (a->s->debug_line == NULL)
		return;
	said_copy(id, request, sizeof(request));
	snprintf(text, sizeof(text), "%s of subscription %s, page %u: %d, %zu bytes, request %s", a->job->set->name, a->job->subscription, a->pages + 1,
	    answer->status, answer->body.n, request);
	source_debug(a->s, text);
}

static void
answered(void *arg, const struct http_answer *answer)
{
	struct azure_source *a = arg;
	const uint64_t wait_ms = answer->retry_after_ms > 0 ? (uint64_t)answer->retry_after_ms : 0;
	struct err err = { 0 };

	a->call = NULL;
	tell_answer(a, answer);
	if (answer->status == 0) {
		failed(a, answer->err, 0);
	} else if (answer->status == 401 && a->denied++ == 0) {
		token_spoiled(a->token);
		send_request(a);
	} else if (answer->status != 200) {
		explain(answer, a->job, &err);
		failed(a, &err, err.kind == ERR_AGAIN ? wait_ms : 0);
	} else if (a->probing) {
		a->probing = false;
		a->job = NULL;
		a->s->tell(a->s, NULL);
	} else if (azure_page_take(a, answer->body, &err) != 0) {
		failed(a, &err, 0);
	} else {
		go_on(a);
	}
}

/* ---- requests ------------------------------------------------------------------- */

static int
post(struct azure_source *a, struct slice bearer, struct err *err)
{
	const char *const headers[] = { NULL, "Accept: application/json", "Content-Type: application/json", NULL };
	const char *lines[4];
	struct http_request r = { .method = a->job->set->path != NULL ? "GET" : "POST", .url = a->url.p, .headers = lines,
		.body = buf_slice(&a->body), .timeout_ms = TIMEOUT_MS, .max_answer_bytes = PAGE_BYTES, .policy = &a->policy };

	buf_reset(&a->bearer);
	buf_puts(&a->bearer, "Authorization: Bearer ");
	buf_put_slice(&a->bearer, bearer);
	buf_putc(&a->bearer, '\0');
	if (a->bearer.failed)
		return err_set(err, ERR_AGAIN, "no memory for a token");
	memcpy(lines, headers, sizeof(lines));
	lines[0] = a->bearer.p;
	if (a->job->set->path != NULL)
		lines[2] = NULL;
	return http_send(a->http, &r, answered, a, &a->call, err);
}

static void
got_token(void *arg, struct slice bearer, const struct err *failure)
{
	struct azure_source *a = arg;
	struct err err = { 0 };

	if (failure != NULL)
		failed(a, failure, 0);
	else if (post(a, bearer, &err) != 0)
		failed(a, &err, 0);
}

static void
send_request(struct azure_source *a)
{
	token_get(a->token, got_token, a);
}

static void
begin(struct azure_source *a, struct azure_job *job)
{
	struct err err = { 0 };

	a->job = job;
	a->items = a->changed = 0;
	a->pages = a->denied = 0;
	a->began_ms = clock_mono_ms();
	if (azure_page_first(a, &err) != 0)
		failed(a, &err, 0);
	else
		send_request(a);
}

/* The job that has waited longest, if none is under way. */
static void
pump(struct azure_source *a)
{
	const uint64_t now_ms = clock_mono_ms();
	struct azure_job *next = NULL;

	if (!a->started || a->job != NULL || a->paused)
		return;
	for (size_t i = 0; i < a->njobs; i++)
		if (!a->jobs[i].done && a->jobs[i].due_ms <= now_ms && (next == NULL || a->jobs[i].due_ms < next->due_ms))
			next = &a->jobs[i];
	if (next == NULL)
		set_timer(a);
	else
		begin(a, next);
}

static void
timer_fired(void *arg)
{
	pump(arg);
}

/* ---- the contract of source.h ------------------------------------------------------ */

static int
azure_restore(struct source *s, const struct position *at, struct err *err)
{
	struct azure_source *a = s->priv;

	(void)err;
	for (size_t i = 0; i < a->njobs; i++)
		if (a->jobs[i].stream == at->stream && at->len == 8)
			a->jobs[i].polled_ms = get_le64(at->bytes);
	return 0;
}

static int
azure_start(struct source *s, struct err *err)
{
	struct azure_source *a = s->priv;
	const uint64_t wall_ms = clock_wall_ms(), now_ms = clock_mono_ms();

	(void)err;
	for (size_t i = 0; i < a->njobs; i++) {
		struct azure_job *job = &a->jobs[i];
		const uint64_t since_ms = wall_ms > job->polled_ms ? wall_ms - job->polled_ms : 0;

		job->due_ms = now_ms;
		if (!s->once && job->polled_ms != 0 && since_ms < job->every_ms)
			job->due_ms += job->every_ms - since_ms;
	}
	a->started = true;
	stat_set(s->stats, STAT_SOURCE_STREAMS, a->njobs);
	loop_timer_set(a->timer, 0);
	return 0;
}

static void
azure_resume(struct source *s)
{
	struct azure_source *a = s->priv;

	a->paused = false;
	if (a->job != NULL)
		go_on(a);
	else
		pump(a);
}

static bool
azure_drained(struct source *s)
{
	const struct azure_source *a = s->priv;

	for (size_t i = 0; i < a->njobs; i++)
		if (!a->jobs[i].done)
			return false;
	return true;
}

static void
azure_close(struct source *s)
{
	struct azure_source *a = s->priv;

	if (a == NULL)
		return;
	http_cancel(a->call);
	token_close(a->token);
	loop_timer_free(a->timer);
	http_close(a->http);
	http_policy_fini(&a->policy);
	if (a->bearer.p != NULL)
		explicit_bzero(a->bearer.p, a->bearer.cap);
	buf_fini(&a->url);
	buf_fini(&a->body);
	buf_fini(&a->bearer);
	buf_fini(&a->page);
	buf_fini(&a->record);
	json_doc_fini(&a->doc);
	json_reader_free(a->json);
	free(a->seen);
	free(a->jobs);
	free(a->endpoint);
	free(a);
	s->priv = NULL;
}

static void
azure_probe(struct source *s)
{
	struct azure_source *a = s->priv;

	a->probing = true;
	begin(a, &a->jobs[0]);
}

/* ---- settings ----------------------------------------------------------------------- */

static const char *
wrong_subscription(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] != '\0' && strlen(text) <= 64 &&
	    strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == strlen(text) ? NULL :
	    "a subscription id, such as 00000000-0000-0000-0000-000000000000";
}

static const char *
wrong_dataset(const struct conf *block, const char *text)
{
	(void)block;
	if (strcmp(text, "all") == 0)
		return NULL;
	for (const struct azure_dataset *d = azure_datasets; d->name != NULL; d++)
		if (strcmp(d->name, text) == 0)
			return NULL;
	return "all, or of alerts, recommendations, plans, secure_score, attack_paths, inventory";
}

static const char *
wrong_endpoint(const struct conf *block, const char *text)
{
	const struct conf *auth = conf_block(block, "auth");
	const char *cloud = auth != NULL ? conf_text(auth, "cloud") : NULL;
	const char *wanted = cloud != NULL ? cloud_manager(cloud) : NULL;
	const size_t n = wanted != NULL ? strlen(wanted) : 0;

	if (http_url_check(text, NULL) != 0 || !http_url_is_origin(text))
		return "https://HOST[:PORT] (http only to a loopback address)";
	if (wanted == NULL || http_url_is_loopback(text) || (strncasecmp(text, wanted, n) == 0 && (text[n] == '\0' || strcmp(text + n, "/") == 0)))
		return NULL;
	return wanted;
}

static const struct conf_key azure_keys[] = {
	{ .name = "subscriptions", .type = CONF_TEXTS, .flags = CONF_REQUIRED, .allowed = "subscription ids", .wrong = wrong_subscription,
	  .help = "subscriptions to read" },
	{ .name = "datasets", .type = CONF_TEXTS, .fallback = "all",
	  .allowed = "all, or of alerts, recommendations, plans, secure_score, attack_paths, inventory", .wrong = wrong_dataset, .help = "what to read of each" },
	{ .name = "alerts_every", .type = CONF_TIME, .fallback = "1m", .least = 10000, .most = 86400000, .help = "how often alerts are read" },
	{ .name = "every", .type = CONF_TIME, .fallback = "30m", .least = 60000, .most = 86400000,
	  .help = "how often the other datasets are read; an item that has not changed is not sent again until the agent restarts" },
	{ .name = "auth", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = token_keys, .variant_key = "type",
	  .variant = token_variant, .variant_words = TOKEN_WORDS,
	  .help = "how the agent proves who it is; the identity needs Reader and Security Reader on each subscription" },
	{ .name = "endpoint", .type = CONF_TEXT, .wrong = wrong_endpoint, .help = "Azure Resource Manager (default: by auth.cloud)" },
	{ .name = "tls", .type = CONF_BLOCK, .keys = http_tls_keys, .help = "TLS of the endpoint and of the authority" },
	{ .name = "proxy", .type = CONF_TEXT, .wrong = http_wrong_proxy, .allowed = "a proxy's URL, or none",
	  .help = "proxy for the endpoint and the authority (default: the variables https_proxy, no_proxy)" },
	CONF_END
};

static int
make_endpoint(struct azure_source *a, const struct conf *conf, struct err *err)
{
	const char *text = conf_text(conf, "endpoint"), *allowed = NULL;
	size_t n;

	if (text != NULL)			/* once more, with all of the block read */
		allowed = wrong_endpoint(conf, text);
	else
		text = cloud_manager(conf_text(conf_block(conf, "auth"), "cloud"));
	if (allowed != NULL)
		return err_set(err, ERR_CONFIG, "%s:%u: endpoint: allowed: %s", conf_file(conf, "endpoint"), conf_line(conf, "endpoint"), allowed);
	n = strlen(text);
	while (n > 0 && text[n - 1] == '/')
		n--;
	a->endpoint = strndup(text, n);
	return a->endpoint != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for a source");
}

static bool
wants(const struct conf *conf, const struct azure_dataset *d)
{
	for (size_t i = 0; i < conf_texts(conf, "datasets"); i++)
		if (strcmp(conf_text_at(conf, "datasets", i), "all") == 0 || strcmp(conf_text_at(conf, "datasets", i), d->name) == 0)
			return true;
	return false;
}

static void
add_job(struct azure_source *a, const struct conf *conf, const char *subscription, const struct azure_dataset *d)
{
	struct azure_job *job = &a->jobs[a->njobs++];
	char name[128];
	int n = snprintf(name, sizeof(name), "%s/%s", subscription, d->name);

	for (int c = 0; c < n; c++)
		name[c] = (char)ascii_lower((unsigned char)name[c]);
	job->set = d;
	job->subscription = subscription;
	job->stream = hash_stable(name, (size_t)n);
	job->every_ms = conf_ms(conf, strcmp(d->name, "alerts") == 0 ? "alerts_every" : "every");
	backoff_init(&job->backoff, RETRY_LEAST_MS, RETRY_MOST_MS);
}

static int
make_jobs(struct azure_source *a, const struct conf *conf, struct err *err)
{
	const size_t subscriptions = conf_texts(conf, "subscriptions");
	size_t sets = 0;

	while (azure_datasets[sets].name != NULL)
		sets++;
	a->jobs = calloc(subscriptions * sets + 1, sizeof(*a->jobs));
	if (a->jobs == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	for (size_t i = 0; i < subscriptions; i++)
		for (size_t k = 0; k < sets; k++)
			if (wants(conf, &azure_datasets[k]))
				add_job(a, conf, conf_text_at(conf, "subscriptions", i), &azure_datasets[k]);
	return a->njobs > 0 ? 0 : err_set(err, ERR_CONFIG, "%s:%u: subscriptions and datasets: at least one of each", conf_file(conf, "subscriptions"),
	    conf_line(conf, "subscriptions"));
}

static int
azure_open(struct source *s, const struct conf *conf, struct err *err)
{
	struct azure_source *a = calloc(1, sizeof(*a));
	char scope[256];

	if (a == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	s->priv = a;
	a->s = s;
	buf_init(&a->url, 64 << 10);
	buf_init(&a->body, 256 << 10);
	buf_init(&a->bearer, 64 << 10);
	buf_init(&a->page, PAGE_BYTES);
	buf_init(&a->record, 4096);
	json_doc_init(&a->doc, VALUES_MOST);
	a->json = json_reader_new();
	a->seen = calloc(2 * AZURE_SEEN, sizeof(*a->seen));
	if (a->json == NULL || a->seen == NULL || !buf_reserve(&a->bearer, 32 << 10))
		return err_set(err, ERR_AGAIN, "no memory for a source");
	if (make_endpoint(a, conf, err) != 0 || make_jobs(a, conf, err) != 0 || http_policy_from(&a->policy, conf, err) != 0 ||
	    http_open(&a->http, s->loop, err) != 0 || (a->timer = loop_timer_new(s->loop, timer_fired, a, err)) == NULL)
		return -1;
	snprintf(scope, sizeof(scope), "%s/.default", cloud_manager(conf_text(conf_block(conf, "auth"), "cloud")));
	if (token_open(&a->token, a->http, s->loop, conf_block(conf, "auth"), scope, &a->policy, err) != 0)
		return -1;
	token_on_news(a->token, token_news, s);
	return 0;
}

const struct source_kind source_kind_azure = {
	.name = "azure",
	.help = "Microsoft Defender for Cloud and Azure Resource Graph, asked at intervals",
	.keys = azure_keys,
	.open = azure_open,
	.restore = azure_restore,
	.start = azure_start,
	.resume = azure_resume,
	.drained = azure_drained,
	.close = azure_close,
	.probe = azure_probe,
};
