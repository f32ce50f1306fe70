/* http.c - source `http`: the contract of source.h. http_source.h tells the story. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/stat.h"

#define TICK_MS		3000
#define RETRY_MS	3000
#define TELL_MS		60000		/* the same trouble is told again */
#define DAY_S		86400
#define EXPIRY_DAYS	30		/* told of as soon as that, each day */

/* ---- trouble ------------------------------------------------------------------------- */

void
push_say_trouble(struct push *p, const char *text)
{
	const uint64_t now_ms = clock_mono_ms(), sum = hash_keyed(text, strlen(text));

	if (sum == p->trouble.sum && now_ms - p->trouble.at_ms < TELL_MS)
		return;
	p->trouble.sum = sum;
	p->trouble.at_ms = now_ms;
	source_say(p->s, true, text);
}

/* ---- certificate ------------------------------------------------------------------- */

/* How long it holds; false: long enough. */
static bool
expiry_text(const struct push_tls *t, char *ret, size_t n)
{
	const int64_t left_s = t->until_s - (int64_t)(clock_wall_ms() / 1000);

	if (!t->on || left_s > EXPIRY_DAYS * DAY_S)
		return false;
	if (left_s <= 0)
		snprintf(ret, n, "the certificate in tls.cert_file has expired: no sender will connect");
	else
		snprintf(ret, n, "the certificate in tls.cert_file ends in %lld days", (long long)(left_s / DAY_S));
	return true;
}

static void
look_at_expiry(struct push *p)
{
	const uint64_t now_ms = clock_mono_ms();
	char text[128];

	if (now_ms < p->expiry_ms)
		return;
	p->expiry_ms = now_ms + (uint64_t)DAY_S * 1000;
	if (expiry_text(&p->tls, text, sizeof(text)))
		source_say(p->s, true, text);
}

/* ---- listening ------------------------------------------------------------------------ */

static int
load_and_open(struct push *p, struct err *err)
{
	struct push_tls fresh;

	if (push_tls_load(&fresh, p->conf, err) != 0) {
		push_tls_fini(&fresh);
		return -1;
	}
	push_tls_fini(&p->tls);
	p->tls = fresh;
	p->expiry_ms = 0;
	return push_serve_open(p, err);
}

static void
begin_or_retry(struct push *p)
{
	struct err err = { 0 };

	if (load_and_open(p, &err) == 0) {
		p->retry_ms = 0;
		stat_say(p->s->stats, "");
		return;
	}
	p->retry_ms = clock_mono_ms() + RETRY_MS;
	push_say_trouble(p, err.text);
}

static void
look_at_certificate(struct push *p)
{
	const uint64_t mark = p->tls.on ? push_tls_mark(p->conf) : 0;
	struct err err = { 0 };
	char text[400];

	if (mark == p->tls.mark || mark == 0 || p->old != NULL)
		return;
	if (load_and_open(p, &err) == 0) {
		source_say(p->s, false, "the new certificate is in use");
	} else if (mark != p->unfit) {		/* its key may be on its way */
		p->unfit = mark;
		snprintf(text, sizeof(text), "the certificate before stays in use: %s", err.text);
		source_say(p->s, true, text);
	}
}

static void
on_tick(void *arg)
{
	struct push *p = arg;

	if (p->server == NULL && clock_mono_ms() >= p->retry_ms)
		begin_or_retry(p);
	else if (p->server != NULL)
		look_at_certificate(p);
	look_at_expiry(p);
	push_request_tell(p);
	loop_timer_set(p->tick, p->server != NULL ? TICK_MS : RETRY_MS);
}

static void
on_turn(void *arg)
{
	push_serve_turn(arg);
}

/* ---- the contract of source.h ------------------------------------------------------------ */

static void
read_settings(struct push *p, const struct conf *conf)
{
	p->needs_token = conf_given(conf, "token");
	p->max_body = (size_t)conf_bytes(conf, "max_body");
	p->max_pending = (size_t)conf_bytes(conf, "max_pending");
	p->max_waiting = (unsigned)conf_count(conf, "max_waiting");
	p->max_connections = (unsigned)conf_count(conf, "max_connections");
	p->timeout_ms = conf_ms(conf, "timeout");
	for (size_t i = 0; i < conf_texts(conf, "accept"); i++)
		for (const struct push_form *f = push_forms; f->name != NULL; f++)
			if (strcmp(conf_text_at(conf, "accept", i), "all") == 0 || strcmp(conf_text_at(conf, "accept", i), f->name) == 0)
				p->forms |= 1u << (f - push_forms);
	if (p->max_pending < p->max_body)
		p->max_pending = p->max_body;
}

static int
http_source_open(struct source *s, const struct conf *conf, struct err *err)
{
	struct push *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	s->priv = p;
	p->s = s;
	p->conf = conf;
	read_settings(p, conf);
	buf_init(&p->plain, p->max_body + 1);
	if (conf_block(conf, "tls") != NULL && MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return err_set(err, ERR_CONFIG, "%s:%u: tls: the libmicrohttpd of this machine has no TLS", conf_file(conf, "tls"), conf_line(conf, "tls"));
	if (push_body_init(&p->body, p->max_body, err) != 0 || (p->turn = loop_timer_new(s->loop, on_turn, p, err)) == NULL ||
	    (p->tick = loop_timer_new(s->loop, on_tick, p, err)) == NULL)
		return -1;
	p->listen = push_listen_want(conf_text(conf, "listen"), err);
	return p->listen != NULL ? 0 : -1;
}

/* Only that tickets go on from where they were. */
static int
http_source_restore(struct source *s, const struct position *at, struct err *err)
{
	struct push *p = s->priv;

	(void)err;
	if (at->len == 8)
		p->ticket = p->safe = get_le64(at->bytes);
	return 0;
}

/* What is wrong here would end the agent, also at a reload, and with it all other sources: it is said, and senders are told to come again. */
static int
http_source_start(struct source *s, struct err *err)
{
	struct push *p = s->priv;
	struct err why = { 0 };

	(void)err;
	if (s->once) {
		source_say(s, false, "run --once takes nothing from a source that is pushed to: it does not listen");
		return 0;
	}
	p->started = true;
	begin_or_retry(p);
	if (p->needs_token && push_gate_token(p->conf, &why) != 0)
		push_say_trouble(p, why.text);
	loop_timer_set(p->tick, p->server != NULL ? TICK_MS : RETRY_MS);
	look_at_expiry(p);
	return 0;
}

static void
http_source_resume(struct source *s)
{
	push_request_resume(s->priv);
}

static void
http_source_safe(struct source *s, const struct position *at)
{
	struct push *p = s->priv;

	assert(at->len == 8);
	p->safe = get_le64(at->bytes);
	push_request_safe(p);
}

static bool
http_source_drained(struct source *s)
{
	(void)s;
	return true;
}

static void
http_source_close(struct source *s)
{
	struct push *p = s->priv;

	if (p == NULL)
		return;
	push_serve_close(p);
	push_listen_drop(p->listen);
	loop_timer_free(p->turn);
	loop_timer_free(p->tick);
	push_tls_fini(&p->tls);
	push_body_fini(&p->body);
	buf_fini(&p->plain);
	free(p);
	s->priv = NULL;
}

static void
http_source_probe(struct source *s)
{
	struct push *p = s->priv;
	const char *address = conf_text(p->conf, "listen");
	struct err err = { 0 };
	char text[160];
	int free_ = 0;

	if ((p->needs_token && push_gate_token(p->conf, &err) != 0) || push_tls_load(&p->tls, p->conf, &err) != 0 ||
	    (free_ = push_listen_try(address, &err)) < 0) {
		s->tell(s, &err);
		return;
	}
	push_tls_wipe_key(&p->tls);
	if (expiry_text(&p->tls, text, sizeof(text)))
		source_say(s, true, text);
	if (free_ == 0) {
		snprintf(text, sizeof(text), "%s is taken: by the running agent, or by another program (ss -ltnp shows which)", address);
		source_say(s, true, text);
	}
	s->tell(s, NULL);
}

const struct source_kind source_kind_http = {
	.name = "http",
	.help = "records that are pushed by HTTP: Event Grid, OTLP, Firehose, Pub/Sub, or any JSON",
	.keys = push_keys,
	.open = http_source_open,
	.restore = http_source_restore,
	.start = http_source_start,
	.resume = http_source_resume,
	.safe = http_source_safe,
	.drained = http_source_drained,
	.close = http_source_close,
	.probe = http_source_probe,
};
