/* intake_record.c - one record: decoded here or behind the wall, its events shown to the detectors, all of it into the group or the dead letter. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/note.h"
#include "base/stat.h"
#include "decode/decode.h"
#include "detect/detect.h"
#include "posture/posture.h"
#include "run/intake_state.h"
#include "run/wall.h"
#include "source/source.h"
#include "spool/dead.h"

/* ---- where it is decoded ---------------------------------------------------- */

static int
open_wall(struct intake *in, const struct conf *conf, struct err *err)
{
	struct mappings_args args;
	int rc = mappings_args(conf, &args, err);

	return rc == 0 ? wall_open(&in->wall, args.v, args.n, err) : -1;
}

/* The mappings are read here in any case: their faults are told with file and line. */
int
intake_decode_open(struct intake *in, const struct conf *conf, struct problems *problems, struct err *err)
{
	bool apart = strcmp(conf_text(conf_block(conf, "agent"), "decode"), "process") == 0;
	struct err why = { 0 };

	if (mappings_open(&in->decoder, conf, problems, err) != 0)
		return -1;
	if (apart && open_wall(in, conf, &why) == 0) {
		decoder_close(in->decoder);
		in->decoder = NULL;
		stat_set(stat_agent(), STAT_AGENT_DECODE_INLINE, 0);
		return 0;
	}
	stat_set(stat_agent(), STAT_AGENT_DECODE_INLINE, 1);
	if (apart)
		note(DECODE_INLINE, N_TEXT("why", why.text));
	in->ctx = decode_ctx_new(in->decoder);
	return in->ctx != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for decoding");
}

void
intake_decode_close(struct intake *in)
{
	wall_close(in->wall);
	decode_ctx_free(in->ctx);
	decoder_close(in->decoder);
}

static void
keep_reason(struct intake *in, struct record_known *ret, const char *text)
{
	size_t n = strlen(text);

	if (n >= sizeof(in->reason))
		n = sizeof(in->reason) - 1;
	memcpy(in->reason, text, n);
	in->reason[n] = '\0';
	ret->bad = in->reason;
}

int
intake_decode(struct intake *in, const struct record *r, struct record_known *ret, struct err *err)
{
	struct err why = { 0 };

	*ret = (struct record_known){ .bad = r->unreadable };
	if (r->unreadable != NULL || decode(in->decoder, in->ctx, r, &in->events, &ret->count, &why) == 0)
		return 0;
	if (why.kind == ERR_AGAIN) {
		*err = why;
		intake_forget(in);
		return -1;
	}
	keep_reason(in, ret, why.text);
	return 0;
}

int
intake_decode_now(struct intake *in, const struct record *r, struct record_known *ret, struct err *err)
{
	const struct position nowhere = { 0 };
	struct wall_answer a;
	struct err why = { 0 };

	if (in->wall == NULL)
		return intake_decode(in, r, ret, err);
	if (!wall_put(in->wall, r, NULL, &nowhere))
		return err_set(err, ERR_AGAIN, "records still stand before the decode process");
	while (!wall_next(in->wall, &a, &in->events, &why))
		if (wall_turn(in->wall, err) != 0)
			return -1;
	wall_took(in->wall);
	if (why.kind != ERR_NONE) {
		*err = why;
		return -1;
	}
	*ret = (struct record_known){ .count = a.count };
	if (a.bad != NULL)
		keep_reason(in, ret, a.bad);
	return 0;
}

/* ---- what becomes of it --------------------------------------------------------- */

static int
bury(struct intake *in, struct source *s, const struct record *r, const char *why, struct err *err)
{
	const struct dead_letter letter = {
		.when_ms = (int64_t)clock_wall_ms(), .kind = DEAD_RECORD, .share = DEAD_OF_SOURCES, .from = slice_of(s->name),
		.reason = slice_of(why), .bytes = r->bytes,
	};

	if (dead_put(in->world.dead, &letter, err) != 0)
		return -1;
	in->group.letters = true;
	atomic_fetch_add(&in->set_aside, 1);
	stat_add(s->stats, STAT_SOURCE_DEAD, 1);
	note(DEAD_RECORD, N_TEXT("source", s->name), N_TEXT("why", why));
	return 0;
}

static void
tell_finding(const struct event *e)
{
	note(FINDING, N_SLICE("class", event_text(e, F_EventClass)), N_SLICE("severity", event_text(e, F_EventSeverity)),
	    N_SLICE("what", event_text(e, F_EventName)), N_SLICE("resource", event_text(e, F_TargetResourceName)),
	    N_SLICE("id", event_text(e, F_EventId)));
}

/* A block for each class and severity, made once and kept: they are few. Findings' are there from the start, so that a first one is a step. */
static struct stat_block *class_blocks[EVENT_CLASSES][EVENT_SEVERITIES];

static struct stat_block *
class_block(struct slice class_word, struct slice severity_word)
{
	const int class = event_class(class_word), severity = event_severity_of(severity_word);
	struct stat_block **b = class >= 0 && severity >= 0 ? &class_blocks[class][severity] : NULL;
	char name[64], type[24];

	if (b == NULL)
		return NULL;
	if (*b == NULL) {
		snprintf(name, sizeof(name), "%.*s", SLICE_ARG(class_word));
		snprintf(type, sizeof(type), "%.*s", SLICE_ARG(severity_word));
		*b = stat_make(STAT_CLASS, name, type);
	}
	return *b;
}

void
intake_begin_classes(void)
{
	static const char *const classes[] = { "access_anomaly", "volume_spike", "config_change" };
	static const char *const severities[EVENT_SEVERITIES] = { "Critical", "High", "Medium", "Low", "Informational" };

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		for (size_t k = 0; k < EVENT_SEVERITIES; k++)
			(void)class_block(slice_of(classes[i]), slice_of(severities[k]));
}

void
intake_count_classes(const struct event_list *events)
{
	for (size_t i = 0; i < events->n; i++) {
		struct stat_block *b = class_block(event_text(&events->v[i], F_EventClass), event_text(&events->v[i], F_EventSeverity));

		if (b != NULL)
			stat_add(b, STAT_CLASS_EVENTS, 1);
	}
}

/* Events and what the detectors say to them into the group; all or, on -1, none. */
static int
add_events(struct intake *in, struct source *s, uint64_t arrived_ms, struct err *err)
{
	struct group *g = &in->group;
	size_t before = g->n;
	const enum posture_witness witness = !s->evidence ? POSTURE_NO_WITNESS : s->kind == &source_kind_azure ? POSTURE_POLLS : POSTURE_RECORDS;
	int64_t newest = 0;

	for (size_t i = 0; i < in->events.n; i++) {
		struct event *e = &in->events.v[i];

		posture_see(in->posture, e, (int64_t)arrived_ms, witness);
		if (group_add(g, e, err) != 0) {
			group_cut(g, before);
			return -1;
		}
		if (event_number(e, F_TimeGenerated, 0) > newest)
			newest = event_number(e, F_TimeGenerated, 0);
	}
	/* From here on the detectors know the events, so nothing may fail them any more. */
	in->findings.n = 0;
	for (size_t i = 0; i < in->events.n; i++)
		if (detect_see(in->detect, &in->events.v[i], &in->findings, err) != 0)
			note(INTERNAL, N_TEXT("what", "detector"), N_TEXT("why", err->text));
	for (size_t i = 0; i < in->findings.n; i++) {
		posture_stamp(in->posture, &in->findings.v[i]);
		if (group_add(g, &in->findings.v[i], err) != 0)
			note(INTERNAL, N_TEXT("what", "finding"), N_TEXT("why", err->text));
		else
			tell_finding(&in->findings.v[i]);
	}
	intake_count_classes(&in->events);
	intake_count_classes(&in->findings);
	if (newest > 0)
		stat_set(s->stats, STAT_SOURCE_LAST_EVENT_MS, (uint64_t)newest);
	return 0;
}

/* The group is full for these events: they begin the next one. What even an empty one does not hold is set aside. */
static int
add_to_new_group(struct intake *in, struct source *s, const struct record *r, struct err *err)
{
	if (!group_is_empty(&in->group)) {
		if (intake_write(in) != 0)
			return err_set(err, ERR_AGAIN, "the group before it cannot be written");
		if (add_events(in, s, r->arrived_ms, err) == 0)
			return 0;
		if (err->kind != ERR_FULL)
			return -1;
	}
	return bury(in, s, r, "its events do not fit into a group", err);
}

int
intake_take_record(struct intake *in, struct source *s, const struct record *r, const struct record_known *known, struct err *err)
{
	int rc;

	if (known->bad != NULL)
		rc = bury(in, s, r, known->bad, err);
	else if ((rc = add_events(in, s, r->arrived_ms, err)) != 0 && err->kind == ERR_FULL)
		rc = add_to_new_group(in, s, r, err);
	if (rc == 0) {
		stat_add(s->stats, STAT_SOURCE_EVENTS, known->count.events);
		stat_add(s->stats, STAT_SOURCE_UNKNOWN, known->count.unknown);
		stat_add(s->stats, STAT_SOURCE_PASSED, known->count.passed);
	}
	intake_forget(in);
	return rc;
}

void
intake_forget(struct intake *in)
{
	arena_reset(&in->arena);
	in->events = (struct event_list){ .arena = &in->arena };
	in->findings = (struct event_list){ .arena = &in->arena };
}
