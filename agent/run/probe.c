/*
 * probe.c - `check --online`: each token, each sink and each source is tried, and no event is sent.
 *
 * A sink is asked with an empty batch, which goes the whole way of a full one; a source by its probe(). All at the same time, on one loop.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/stat.h"
#include "net/http.h"
#include "run/agent.h"
#include "sinks/batch.h"
#include "sinks/sink.h"
#include "source/source.h"

#define PROBE_MS	40000

struct trial {
	struct sink	 sink;
	struct source	 source;
	bool		 is_sink, opened, told, failed;
	struct batch	 batch;
	struct err	 err;
	char		 said[400];
};

struct probe {
	struct loop	*loop;
	struct http	*http;
	char		 agent_id[33];
	struct trial	*trials;
	size_t		 n;
};

static void
tell(struct trial *t, const struct err *err)
{
	if (t->told)
		return;
	t->told = true;
	t->failed = err != NULL;
	if (err != NULL)
		t->err = *err;
}

static void
sink_answered(struct sink *s, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms, const struct err *why)
{
	struct err none = { .kind = ERR_AGAIN, .text = "no reason given" };

	(void)b;
	(void)wait_ms;
	tell(s->owner, verdict == SINK_DELIVERED ? NULL : why != NULL ? why : &none);
}

static void
source_told(struct source *s, const struct err *err)
{
	tell(s->owner, err);
}

static void
sink_said(struct sink *s, const char *text)
{
	(void)s;
	(void)text;
}

static int
no_event_id(struct sink *s, uint64_t seq, char ret[33])
{
	(void)s;
	(void)seq;
	(void)ret;
	return 0;
}

static bool
take_nothing(struct source *s, const struct record *r, const struct position *at)
{
	(void)s;
	(void)r;
	(void)at;
	return false;
}

/* Not in the way of reading, but worth a look. */
static void
source_said(struct source *s, bool trouble, const char *text)
{
	struct trial *t = s->owner;
	const size_t at = strlen(t->said);

	if (trouble)
		snprintf(t->said + at, sizeof(t->said) - at, "; %s", text);
}

static void
never_idle(struct source *s)
{
	(void)s;
}

static void
try_sink(struct probe *p, struct trial *t, const struct conf *item)
{
	const struct sink_kind *kind = sink_kind_find(conf_text(item, "type"));
	struct err err = { 0 };

	assert(kind != NULL);
	t->is_sink = true;
	t->sink = (struct sink){ .kind = kind, .name = conf_text(item, "name"), .agent_id = p->agent_id, .loop = p->loop, .http = p->http,
		.owner = t, .answer = sink_answered, .say = sink_said, .event_id = no_event_id, .stats = stat_make(STAT_SINK, conf_text(item, "name"), kind->name) };
	buf_init(&t->batch.bytes, 64);
	buf_puts(&t->batch.bytes, kind->open_bytes);
	buf_puts(&t->batch.bytes, kind->close_bytes);
	t->opened = true;
	if (t->sink.stats == NULL || t->batch.bytes.failed)
		err_set(&err, ERR_AGAIN, "no memory");
	else if (kind->open(&t->sink, item, &err) == 0) {
		kind->put(&t->sink, &t->batch);
		return;
	}
	tell(t, &err);
}

static void
try_source(struct probe *p, struct trial *t, const struct conf *item)
{
	const struct source_kind *kind = source_kind_find(conf_text(item, "type"));
	struct err err = { 0 };

	assert(kind != NULL);
	t->source = (struct source){ .kind = kind, .name = conf_text(item, "name"), .loop = p->loop, .agent_id = p->agent_id,
		.take = take_nothing, .say_line = source_said, .idle = never_idle, .tell = source_told, .owner = t,
		.stats = stat_make(STAT_SOURCE, conf_text(item, "name"), kind->name) };
	t->opened = true;
	if (t->source.stats == NULL)
		err_set(&err, ERR_AGAIN, "no memory");
	else if (kind->open(&t->source, item, &err) == 0) {
		if (kind->probe != NULL)
			kind->probe(&t->source);
		else
			tell(t, NULL);
		return;
	}
	tell(t, &err);
}

static void
drop(struct trial *t)
{
	if (!t->opened)
		return;
	if (t->is_sink) {
		t->sink.kind->close(&t->sink);
		stat_drop(t->sink.stats);
		buf_fini(&t->batch.bytes);
	} else {
		t->source.kind->close(&t->source);
		stat_drop(t->source.stats);
	}
}

static bool
all_told(const struct probe *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (!p->trials[i].told)
			return false;
	return true;
}

static unsigned
print(const struct probe *p, FILE *out)
{
	unsigned bad = 0;

	for (size_t i = 0; i < p->n; i++) {
		const struct trial *t = &p->trials[i];
		const char *word = t->is_sink ? "sink" : "source", *name = t->is_sink ? t->sink.name : t->source.name;

		if (t->told && !t->failed) {
			fprintf(out, "%s %s: reached%s\n", word, name, t->said);
			continue;
		}
		bad++;
		fprintf(out, "%s %s: %s\n", word, name, t->told ? t->err.text : "no answer in time");
	}
	return bad;
}

int
probe_cli(const struct conf *conf, FILE *out)
{
	const size_t sources = conf_blocks(conf, "sources"), sinks = conf_blocks(conf, "sinks");
	struct probe p = { .agent_id = "00000000000000000000000000000000" };
	uint64_t until_ms = clock_mono_ms() + PROBE_MS;
	struct err err = { 0 };
	int status = EX_IOERR;

	p.trials = calloc(sources + sinks + 1, sizeof(*p.trials));
	if (p.trials == NULL || (p.loop = loop_new(&err)) == NULL || http_open(&p.http, p.loop, &err) != 0) {
		fprintf(stderr, "aispm-agent: %s\n", p.trials == NULL ? "no memory" : err.text);
		goto out;
	}
	for (size_t i = 0; i < sources; i++)
		try_source(&p, &p.trials[p.n++], conf_block_at(conf, "sources", i));
	for (size_t i = 0; i < sinks; i++)
		try_sink(&p, &p.trials[p.n++], conf_block_at(conf, "sinks", i));
	while (!all_told(&p) && clock_mono_ms() < until_ms)
		loop_turn(p.loop, 100);
	status = print(&p, out) > 0 ? EX_UNAVAILABLE : fflush(out) != 0 ? EX_IOERR : 0;
out:
	for (size_t i = 0; i < p.n; i++)
		drop(&p.trials[i]);
	http_close(p.http);
	loop_free(p.loop);
	free(p.trials);
	return status;
}
