/* replay.c - `spool dead --replay`: from the dead letter back into the spool, with the intake's own decoder and detectors. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/stat.h"
#include "detect/detect.h"
#include "model/wire.h"
#include "run/intake_state.h"
#include "run/settings.h"
#include "source/source.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define GROUP_ENTRIES	4096u

struct replay {
	struct spool		*spool;
	struct intake		*in;
	struct buf		 bytes;			/* the group that is gathered, on the wire */
	size_t			 ends[GROUP_ENTRIES];
	size_t			 n;
	bool			(*wanted)(void *arg, const struct dead_letter *);
	void			*arg;
	struct replay_result	 result;
	struct err		*err;
};

static int
append(struct replay *r)
{
	struct slice entries[GROUP_ENTRIES];
	uint64_t seq;

	for (size_t i = 0, at = 0; i < r->n; at = r->ends[i++])
		entries[i] = slice_make(r->bytes.p + at, r->ends[i] - at);
	if (r->n > 0 && spool_append_group(r->spool, entries, r->n, NULL, 0, &seq, r->err) != 0)
		return -1;
	r->n = 0;
	buf_reset(&r->bytes);
	return 0;
}

static int
settle(void *arg)
{
	struct replay *r = arg;
	uint64_t durable;

	return append(r) == 0 && spool_sync(r->spool, &durable, r->err) == 0 ? 0 : -1;
}

static int
put_event(struct replay *r, const struct event *e)
{
	if (r->n == GROUP_ENTRIES && append(r) != 0)
		return -1;
	if (wire_put(e, &r->bytes, r->err) != 0)
		return -1;
	r->ends[r->n++] = r->bytes.n;
	return 0;
}

/* All events of a letter, and what the detectors say to them. 1, or -1. */
static int
put_events(struct replay *r, const struct event *v, size_t n)
{
	struct intake *in = r->in;

	for (size_t i = 0; i < n; i++) {
		if (put_event(r, &v[i]) != 0)
			return -1;
		if (!event_class_is_finding(event_text(&v[i], F_EventClass)) &&
		    detect_see(in->detect, &v[i], &in->findings, r->err) != 0)
			return -1;
	}
	for (size_t i = 0; i < in->findings.n; i++)
		if (put_event(r, &in->findings.v[i]) != 0)
			return -1;
	r->result.events += n;
	r->result.findings += in->findings.n;
	return 1;
}

static bool
is_relay(const struct intake *in, const char *name)
{
	for (size_t i = 0; i < in->nsources; i++)
		if (strcmp(in->sources[i].name, name) == 0)
			return in->sources[i].relay;
	return false;
}

static int
replay_record(struct replay *r, const struct dead_letter *l)
{
	struct intake *in = r->in;
	struct record_known known;
	char source[128];
	struct record record = { .bytes = l->bytes, .source = source, .arrived_ms = (uint64_t)l->when_ms };

	snprintf(source, sizeof(source), "%.*s", (int)(l->from.n < 64 ? l->from.n : 64), l->from.n > 0 ? l->from.p : "");
	record.relay = is_relay(in, source);
	if (intake_decode_now(in, &record, &known, r->err) != 0)
		return -1;
	return known.bad == NULL ? put_events(r, in->events.v, in->events.n) : 0;
}

static int
replay_event(struct replay *r, const struct dead_letter *l)
{
	struct err why = { 0 };
	struct event e;

	return wire_get(l->bytes, &e, &why) == 0 ? put_events(r, &e, 1) : 0;
}

static int
take(void *arg, const struct dead_letter *l)
{
	struct replay *r = arg;
	struct intake *in = r->in;
	size_t n = r->n, bytes = r->bytes.n;
	int taken;

	if (!r->wanted(r->arg, l))
		return 0;
	in->events = (struct event_list){ .arena = &in->arena };
	in->findings = (struct event_list){ .arena = &in->arena };
	taken = l->kind == DEAD_RECORD ? replay_record(r, l) : l->kind == DEAD_EVENT ? replay_event(r, l) : 0;
	arena_reset(&in->arena);
	if (taken == 1)
		r->result.letters++;
	else if (taken == 0)
		r->result.refused++;
	if (taken != 1 && r->n >= n && r->bytes.n >= bytes) {	/* a letter goes back whole or not at all */
		r->n = n;
		r->bytes.n = bytes;
		r->bytes.failed = false;
	}
	return taken;
}

static int
open_parts(struct replay *r, const struct conf *conf, const char *state_dir, const struct spool_limits *limits, struct err *err)
{
	struct world world = { .state_dir = state_dir, .agent_id = "", .hostname = "", .spool_bytes = limits->total_bytes };
	struct problems problems;
	char path[4096];
	int rc = -1;

	problems_init(&problems);
	if (state_path(state_dir, "spool", path, sizeof(path), err) == 0 &&
	    spool_open(&r->spool, path, limits, NULL, err) == 0) {
		world.spool = r->spool;
		rc = intake_open(&r->in, &world, conf, &problems, err);
	}
	problems_print(&problems, stderr);
	problems_fini(&problems);
	return rc == 0 ? intake_remember(r->in, err) : -1;
}

int
replay_run(const struct conf *conf, const char *state_dir, bool (*wanted)(void *arg, const struct dead_letter *), void *arg,
    struct replay_result *ret, struct err *err)
{
	const struct spool_limits limits = agent_spool_limits(conf);
	struct replay r = { .wanted = wanted, .arg = arg, .err = err };
	uint64_t taken = 0;
	char path[4096];
	int rc = -1;

	buf_init(&r.bytes, limits.total_bytes / 4 < (256u << 20) ? (size_t)(limits.total_bytes / 4) : 256u << 20);
	if (state_path(state_dir, "dead", path, sizeof(path), err) == 0 && open_parts(&r, conf, state_dir, &limits, err) == 0)
		rc = dead_take(path, take, settle, &r, &taken, err);
	intake_close(r.in);
	spool_close(r.spool);
	buf_fini(&r.bytes);
	*ret = r.result;
	return rc;
}
