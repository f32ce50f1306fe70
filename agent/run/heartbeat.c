/*
 * heartbeat.c - the `agent` event: each few minutes a word about ourselves, so that silence can be told from quiet.
 *
 * It goes the way of every event, through the spool, so its arrival proves the way. Detectors do not see it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/stat.h"
#include "detect/detect.h"
#include "run/intake_state.h"

#define TEXT_BYTES	65000

struct sums {
	struct buf	*json;
	const char	*list;
	enum stat_scope	 scope;
	bool		 any;
	uint64_t	 delivered, pending, aside, lag_bytes, lag_records, held, paused;
};

static void
put_figures(struct sums *s, struct stat_block *b)
{
	buf_puts(s->json, s->any ? ",{\"name\":" : "{\"name\":");
	s->any = true;
	buf_put_json(s->json, slice_of(b->name));
	buf_puts(s->json, ",\"type\":");
	buf_put_json(s->json, slice_of(b->type));
	for (int id = 0; id < STAT_COUNT; id++)
		if (stat_row(id)->scope == b->scope) {
			buf_printf(s->json, ",\"%s\":", stat_row(id)->name);
			buf_put_u64(s->json, stat_get(b, id));
		}
	buf_putc(s->json, '}');
}

static void
see_block(void *arg, struct stat_block *b)
{
	struct sums *s = arg;

	if (b->scope != s->scope)
		return;
	put_figures(s, b);
	switch (b->scope) {
	case STAT_SOURCE:
		s->lag_bytes += stat_get(b, STAT_SOURCE_LAG_BYTES);
		s->lag_records += stat_get(b, STAT_SOURCE_LAG_RECORDS);
		s->aside += stat_get(b, STAT_SOURCE_DEAD);
		s->paused += stat_get(b, STAT_SOURCE_PAUSED);
		break;
	case STAT_SINK:
		s->delivered += stat_get(b, STAT_SINK_EVENTS);
		s->pending += stat_get(b, STAT_SINK_PENDING);
		s->aside += stat_get(b, STAT_SINK_SET_ASIDE);
		s->held += stat_get(b, STAT_SINK_STATE) == 2;
		break;
	default:
		break;
	}
}

/* {"Sources":[..],"Detectors":[..],"Spool":[..],"Sinks":[..]} */
static void
gather(struct sums *s)
{
	static const struct { enum stat_scope scope; const char *name; } lists[] = {
		{ STAT_SOURCE, "Sources" }, { STAT_DETECTOR, "Detectors" }, { STAT_SPOOL, "Spool" }, { STAT_SINK, "Sinks" },
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		buf_printf(s->json, "%c\"%s\":[", i == 0 ? '{' : ',', lists[i].name);
		s->scope = lists[i].scope;
		s->any = false;
		stat_each(see_block, s);
		buf_putc(s->json, ']');
	}
	buf_putc(s->json, '}');
}

/* An event that says how we are, in the arena of `into`. */
int
heartbeat_say(const char *agent_id, int64_t now_ms, struct event_list *into, struct err *err)
{
	struct buf json, message;
	struct sums s = { .json = &json };
	struct event *e = event_list_add(into);
	char *id = arena_alloc(into->arena, 33);
	int rc = -1;

	buf_init(&json, TEXT_BYTES);
	buf_init(&message, 512);
	gather(&s);
	buf_printf(&message, "aispm-agent " PACKAGE_VERSION " is running: %llu events delivered and %llu pending since its start, %llu set aside, "
	    "%llu bytes and %llu messages still to read%s%s.", (unsigned long long)s.delivered, (unsigned long long)s.pending,
	    (unsigned long long)s.aside, (unsigned long long)s.lag_bytes, (unsigned long long)s.lag_records,
	    s.held > 0 ? "; a sink is held, see aispm-agent status" : "", s.paused > 0 ? "; the spool is full and sources wait" : "");
	if (e == NULL || id == NULL || json.failed || detect_finding_id("agent", slice_of(agent_id), now_ms, "heartbeat", id, err) != 0) {
		err_set(err, ERR_AGAIN, "no memory for a heartbeat");
		goto out;
	}
	event_init(e);
	event_set_number(e, F_TimeGenerated, now_ms);
	event_set_number(e, F_EventCount, 1);
	event_set_text(e, F_EventId, slice_make(id, 32));
	event_set_text(e, F_EventClass, SLICE("agent"));
	event_set_text(e, F_EventName, SLICE("Agent heartbeat"));
	event_set_text(e, F_EventMessage, arena_dup(into->arena, buf_slice(&message)));
	event_set_text(e, F_EventSeverity, s.held > 0 || s.paused > 0 ? SLICE("Medium") : SLICE("Informational"));
	event_set_text(e, F_EventResult, s.held > 0 || s.paused > 0 ? SLICE("Partial") : SLICE("Success"));
	event_set_ours(e);
	event_set_text(e, F_EventOriginalType, SLICE("heartbeat"));
	event_set_text(e, F_AdditionalFields, arena_dup(into->arena, buf_slice(&json)));
	rc = 0;
out:
	buf_fini(&json);
	buf_fini(&message);
	return rc;
}
