/* page_tables.c - the sections of the status page: sources, findings, detectors, spool, sinks, posture. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/stat.h"
#include "detect/detect.h"
#include "model/event.h"
#include "posture/posture.h"
#include "run/cli.h"
#include "run/markup.h"
#include "run/page_parts.h"
#include "run/web.h"

/* ---- sources -------------------------------------------------------------------- */

static void
put_source(void *arg, struct stat_block *b)
{
	const uint64_t trouble_ms = stat_get(b, STAT_SOURCE_LAST_TROUBLE_MS);
	struct buf *out = arg;

	if (b->scope != STAT_SOURCE)
		return;
	page_begin_row(out, b->name, b->type);
	if (stat_get(b, STAT_SOURCE_PAUSED))
		page_cell_state(out, "State", "bad", "paused");
	else if (trouble_ms + TROUBLE_FRESH_MS > clock_wall_ms())
		page_cell_state(out, "State", "warn", "in trouble");
	else
		page_cell_state(out, "State", "good", "reading");
	page_cell_number(out, "Records", stat_get(b, STAT_SOURCE_RECORDS));
	page_cell(out, "Still to read");
	if (stat_get(b, STAT_SOURCE_LAG_RECORDS) > 0) {
		markup_put_number(out, stat_get(b, STAT_SOURCE_LAG_RECORDS));
		buf_puts(out, " messages");
	} else if (stat_get(b, STAT_SOURCE_LAG_BYTES) > 0) {
		page_put_bytes(out, stat_get(b, STAT_SOURCE_LAG_BYTES));
	} else {
		buf_puts(out, "<small>nothing</small>");
	}
	page_cell_number(out, "Of no known family", stat_get(b, STAT_SOURCE_UNKNOWN));
	page_cell_number(out, "Set aside", stat_get(b, STAT_SOURCE_DEAD));
	page_cell_when(out, "Newest event", stat_get(b, STAT_SOURCE_LAST_EVENT_MS));
	page_cell_said(out, "Last word", b, trouble_ms);
}

void
page_put_sources(struct buf *out)
{
	static const char *const heads[] = { "Source", "State", "#Records", "Still to read", "#Of no known family", "#Set aside", "Newest event",
		"Last word", NULL };

	page_begin_section(out, "sources", "Sources");
	page_begin_table(out, "Where records come from, and how far reading is behind", heads, true);
	stat_each(put_source, out);
	page_end_table(out);
	page_end_section(out);
}

/* ---- findings and other events -------------------------------------------------- */

static const char *const classes[] = { "access_anomaly", "volume_spike", "config_change", "alert", "attack_path", "recommendation", "control",
	"inventory", "activity", "agent" };
static const char *const severities[EVENT_SEVERITIES] = { "Critical", "High", "Medium", "Low", "Informational" };

enum { NCLASSES = sizeof(classes) / sizeof(classes[0]) };
struct census { uint64_t n[NCLASSES][EVENT_SEVERITIES]; };

static void
count_class(void *arg, struct stat_block *b)
{
	struct census *c = arg;

	for (size_t i = 0; b->scope == STAT_CLASS && i < NCLASSES; i++)
		for (int k = 0; k < EVENT_SEVERITIES; k++)
			if (strcmp(b->name, classes[i]) == 0 && strcmp(b->type, severities[k]) == 0)
				c->n[i][k] += stat_get(b, STAT_CLASS_EVENTS);
}

void
page_put_findings(struct buf *out)
{
	static const char *const heads[] = { "Class", "#Critical", "#High", "#Medium", "#Low", "#Informational", NULL };
	struct census c = { 0 };

	stat_each(count_class, &c);
	page_begin_section(out, "findings", "Findings and events");
	page_begin_table(out, "Events since the start, by class and severity; the first three classes are found by the agent itself", heads, false);
	for (size_t i = 0; i < NCLASSES; i++) {
		uint64_t all = 0;

		for (int k = 0; k < EVENT_SEVERITIES; k++)
			all += c.n[i][k];
		if (all == 0 && !event_class_is_finding(slice_of(classes[i])))
			continue;
		page_begin_row(out, classes[i], event_class_is_finding(slice_of(classes[i])) ? "finding" : "");
		for (int k = 0; k < EVENT_SEVERITIES; k++)
			page_cell_number(out, severities[k], c.n[i][k]);
	}
	page_end_table(out);
	page_end_section(out);
}

/* ---- detectors ------------------------------------------------------------------ */

static void
put_detector(void *arg, struct stat_block *b)
{
	struct buf *out = arg;

	if (b->scope != STAT_DETECTOR)
		return;
	page_begin_row(out, b->name, strcmp(b->name, b->type) == 0 ? "" : b->type);
	page_cell_number(out, "Events", stat_get(b, STAT_DETECTOR_SEEN));
	page_cell_number(out, "Findings", stat_get(b, STAT_DETECTOR_FINDINGS));
	page_cell_number(out, "Kept back", stat_get(b, STAT_DETECTOR_SUPPRESSED));
	page_cell_number(out, "Series", stat_get(b, STAT_DETECTOR_SERIES));
	page_cell_number(out, "Forgotten or refused", stat_get(b, STAT_DETECTOR_EVICTED) + stat_get(b, STAT_DETECTOR_REFUSED));
	page_cell_number(out, "Late events", stat_get(b, STAT_DETECTOR_LATE));
}

static void
put_charts(struct buf *out, const struct web_world *world)
{
	struct detect_chart *charts = calloc(DETECT_CHARTS, sizeof(*charts));
	const size_t n = charts != NULL ? world->charts(world->arg, charts) : 0;

	if (n > 0)
		buf_puts(out, "<h3>Busiest series</h3><p class=note>Requests in the last 180 windows of event time. "
		    "<span class=key><svg role=img aria-labelledby=key1 viewBox=\"0 0 22 12\"><title id=key1>a line</title><path class=seen d=\"M0 6H22\"/></svg> seen</span> "
		    "<span class=key><svg role=img aria-labelledby=key2 viewBox=\"0 0 22 12\"><title id=key2>a band</title><rect class=band width=22 height=12 /></svg> expected</span> "
		    "<span class=key><svg role=img aria-labelledby=key3 viewBox=\"0 0 22 12\"><title id=key3>a dot</title><circle class=dot r=4 cx=11 cy=6 /></svg> alert</span></p>"
		    "<div class=charts>");
	for (size_t i = 0; i < n; i++)
		page_chart_put(out, &charts[i], (unsigned)i + 1);
	if (n > 0)
		buf_puts(out, "</div>");
	free(charts);
}

void
page_put_detectors(struct buf *out, const struct web_world *world)
{
	static const char *const heads[] = { "Detector", "#Events", "#Findings", "#Kept back", "#Series", "#Forgotten or refused", "#Late events", NULL };

	page_begin_section(out, "detectors", "Detectors");
	page_begin_table(out, "What the agent watches for by itself, and how much it remembers", heads, false);
	stat_each(put_detector, out);
	page_end_table(out);
	put_charts(out, world);
	page_end_section(out);
}

/* ---- spool ---------------------------------------------------------------------- */

static void
put_fact(struct buf *out, const char *name, uint64_t v)
{
	buf_printf(out, "<div><dt>%s</dt><dd>", name);
	markup_put_number(out, v);
	buf_puts(out, "</dd></div>");
}

static void
put_spool(void *arg, struct stat_block *b)
{
	struct buf *out = arg;
	uint64_t bytes, most;

	if (b->scope != STAT_SPOOL)
		return;
	bytes = stat_get(b, STAT_SPOOL_BYTES);
	most = stat_get(b, STAT_SPOOL_MAX_BYTES);
	buf_puts(out, "<p><b>");
	page_put_bytes(out, bytes);
	buf_puts(out, "</b> of ");
	page_put_bytes(out, most);
	buf_printf(out, " on disk (%.1f %%). What a sink has not acknowledged stays here; when it is full, sources wait.</p>",
	    most > 0 ? (double)bytes * 100 / (double)most : 0.0);
	page_put_bar(out, "spoolbar", "Spool in use", bytes, most);
	buf_puts(out, "<dl class=facts>");
	put_fact(out, "Events written", stat_get(b, STAT_SPOOL_ENTRIES));
	put_fact(out, "Damaged places", stat_get(b, STAT_SPOOL_DAMAGED));
	put_fact(out, "Events lost to damage", stat_get(b, STAT_SPOOL_LOST));
	buf_puts(out, "</dl><h3>Dead letter</h3><dl class=facts>");
	put_fact(out, "Set aside", stat_get(b, STAT_SPOOL_DEAD_ENTRIES));
	buf_puts(out, "<div><dt>Kept</dt><dd>");
	page_put_bytes(out, stat_get(b, STAT_SPOOL_DEAD_BYTES));
	buf_puts(out, "</dd></div>");
	put_fact(out, "Removed for want of room", stat_get(b, STAT_SPOOL_DEAD_REMOVED));
	buf_puts(out, "</dl><p class=note>Records that could not be read and events that a far side refuses, since the start. "
	    "<code>aispm-agent spool dead</code> lists them with their reasons; <code>--replay</code> tries them again.</p>");
}

void
page_put_spool(struct buf *out)
{
	page_begin_section(out, "spool", "Spool and dead letter");
	stat_each(put_spool, out);
	page_end_section(out);
}

/* ---- sinks ---------------------------------------------------------------------- */

static void
put_sink(void *arg, struct stat_block *b)
{
	static const struct { const char *tone, *word; } states[] = {
		{ "good", "delivering" }, { "warn", "waiting" }, { "bad", "held" },
	};
	struct buf *out = arg;
	uint64_t state;

	if (b->scope != STAT_SINK)
		return;
	state = stat_get(b, STAT_SINK_STATE);
	page_begin_row(out, b->name, b->type);
	page_cell_state(out, "State", states[state <= 2 ? state : 2].tone, states[state <= 2 ? state : 2].word);
	page_cell_number(out, "Delivered", stat_get(b, STAT_SINK_EVENTS));
	page_cell_number(out, "Pending", stat_get(b, STAT_SINK_PENDING));
	page_cell_when(out, "Last acknowledged", stat_get(b, STAT_SINK_LAST_DELIVERY_MS));
	page_cell_number(out, "Left out", stat_get(b, STAT_SINK_FILTERED));
	page_cell_number(out, "Set aside", stat_get(b, STAT_SINK_SET_ASIDE));
	page_cell_number(out, "Tried again", stat_get(b, STAT_SINK_RETRIES));
	page_cell_said(out, "Last word", b, 0);
}

void
page_put_sinks(struct buf *out)
{
	static const char *const heads[] = { "Sink", "State", "#Delivered", "#Pending", "Last acknowledged", "#Left out", "#Set aside", "#Tried again",
		"Last word", NULL };

	page_begin_section(out, "sinks", "Sinks");
	page_begin_table(out, "Where events go, and what the far side answered last", heads, true);
	stat_each(put_sink, out);
	page_end_table(out);
	page_end_section(out);
}

/* ---- posture -------------------------------------------------------------------- */

struct zones { struct buf *out; int zone; };

/* Rows come zone by zone; each has its table. */
static void
put_requirement(void *arg, const struct posture_row *row)
{
	static const char *const heads[] = { "Requirement", "Result", "Need", "Evidence", NULL };
	static const char *const tones[] = { "good", "bad", "quiet" };
	static const char *const names[] = { "", ": baseline", ": recommended", ": regulated" };
	struct zones *z = arg;

	if (row->zone != z->zone) {
		if (z->zone != 0)
			page_end_table(z->out);
		z->zone = row->zone;
		buf_printf(z->out, "<h3>Zone %d%s</h3>", row->zone, row->zone >= 1 && row->zone <= 3 ? names[row->zone] : "");
		page_begin_table(z->out, "Requirements of this zone", heads, false);
	}
	page_begin_row(z->out, row->title, "");
	page_cell_state(z->out, "Result", tones[row->result], posture_result_word(row->result));
	page_cell(z->out, "Need");
	buf_puts(z->out, posture_need_word(row->need));
	page_cell_text(z->out, "Evidence", slice_of(row->evidence));
}

void
page_put_posture(struct buf *out, const struct web_world *world)
{
	struct zones z = { out, 0 };
	struct err err = { 0 };

	page_begin_section(out, "posture", "Posture");
	buf_puts(out, "<p class=note>Control 1.24, requirement by requirement, in each zone that is in use; as of the last minute.</p>");
	if (posture_look(world->conf(world->arg), put_requirement, &z, &err) == -1) {
		buf_puts(out, "<p>");
		markup_put(out, slice_of(err.text));
		buf_puts(out, "</p>");
	}
	if (z.zone != 0)
		page_end_table(out);
	page_end_section(out);
}
