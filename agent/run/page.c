/*
 * page.c - the status page: one HTML document, no scripts, in the colours that the reader prefers.
 *
 * States are said in words, never by colour alone. Nothing of any record is shown: names of the configuration, figures, and
 * the last word of a source or sink, which is the agent's own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/stat.h"
#include "detect/detect.h"
#include "posture/posture.h"
#include "run/cli.h"
#include "run/web.h"

static const char style[] =
    ":root{color-scheme:light dark;--line:#c9c9c9;--soft:#5a5a5a;--good:#0a6b2d;--warn:#8a5a00;--bad:#b00020;--fill:#f4f4f4}"
    "@media(prefers-color-scheme:dark){:root{--line:#4a4a4a;--soft:#b0b0b0;--good:#6fd08c;--warn:#e8b04b;--bad:#ff8a8a;--fill:#232323}}"
    "body{font:15px/1.45 system-ui,sans-serif;margin:0 auto;max-width:72rem;padding:1rem}"
    "h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;color:var(--soft);padding-bottom:.3rem}"
    "th,td{text-align:left;padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.good{color:var(--good)}.warn{color:var(--warn)}.bad{color:var(--bad)}"
    "p.all{padding:.6rem .8rem;background:var(--fill);border-left:4px solid currentColor}small{color:var(--soft)}"
    "a.skip{position:absolute;left:-99rem}a.skip:focus{left:1rem}.wide{overflow-x:auto}meter{width:14rem}h3{font-size:1rem;margin:1.2rem 0 .2rem}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:1rem}figure{margin:0}figcaption{font-size:.85rem}"
    "svg{width:100%;height:auto;background:var(--fill)}.band{fill:#5b9bd5;opacity:.3}.seen{fill:none;stroke:currentColor;stroke-width:1.2}.dot{fill:var(--bad)}";

static void
put_text(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		switch (*text) {
		case '&':
			buf_puts(out, "&amp;");
			break;
		case '<':
			buf_puts(out, "&lt;");
			break;
		case '>':
			buf_puts(out, "&gt;");
			break;
		case '"':
			buf_puts(out, "&quot;");
			break;
		default:
			buf_putc(out, (unsigned char)*text < 0x20 ? ' ' : *text);
		}
}

/* 1,234,567 */
static void
put_number(struct buf *out, uint64_t v)
{
	char digits[24];
	int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);

	for (int i = 0; i < n; i++) {
		buf_putc(out, digits[i]);
		if (i + 1 < n && (n - i - 1) % 3 == 0)
			buf_putc(out, ',');
	}
}

static void
put_cell(struct buf *out, uint64_t v)
{
	buf_puts(out, "<td class=n>");
	put_number(out, v);
}

static void
put_when(struct buf *out, uint64_t ms)
{
	char text[TIME_TEXT_BYTES];

	if (ms == 0) {
		buf_puts(out, "<td>none yet");
		return;
	}
	time_format_ms((int64_t)ms, text);
	buf_printf(out, "<td><time datetime=\"%s\">%.10s %.8s UTC</time>", text, text, text + 11);
}

static void
put_name(struct buf *out, struct stat_block *b)
{
	buf_puts(out, "<tr><th scope=row>");
	put_text(out, b->name);
	buf_puts(out, " <small>");
	put_text(out, b->type);
	buf_puts(out, "</small>");
}

static void
put_said(struct buf *out, struct stat_block *b)
{
	char said[320];

	stat_said(b, said);
	buf_puts(out, "<td>");
	put_text(out, said);
}

static void
put_source(void *arg, struct stat_block *b)
{
	struct buf *out = arg;

	if (b->scope != STAT_SOURCE)
		return;
	put_name(out, b);
	buf_puts(out, stat_get(b, STAT_SOURCE_PAUSED) ? "<td class=bad>paused: no room in the spool" : "<td class=good>reading");
	put_cell(out, stat_get(b, STAT_SOURCE_RECORDS));
	put_cell(out, stat_get(b, STAT_SOURCE_LAG_BYTES));
	put_cell(out, stat_get(b, STAT_SOURCE_LAG_RECORDS));
	put_cell(out, stat_get(b, STAT_SOURCE_UNKNOWN));
	put_cell(out, stat_get(b, STAT_SOURCE_DEAD));
	put_when(out, stat_get(b, STAT_SOURCE_LAST_EVENT_MS));
	put_said(out, b);
}

static void
put_detector(void *arg, struct stat_block *b)
{
	struct buf *out = arg;

	if (b->scope != STAT_DETECTOR)
		return;
	put_name(out, b);
	put_cell(out, stat_get(b, STAT_DETECTOR_SEEN));
	put_cell(out, stat_get(b, STAT_DETECTOR_FINDINGS));
	put_cell(out, stat_get(b, STAT_DETECTOR_SERIES));
	put_cell(out, stat_get(b, STAT_DETECTOR_EVICTED));
	put_cell(out, stat_get(b, STAT_DETECTOR_LATE));
}

static void
put_sink(void *arg, struct stat_block *b)
{
	static const char *const states[] = { "<td class=good>delivering", "<td class=warn>waiting", "<td class=bad>held" };
	struct buf *out = arg;
	uint64_t state;

	if (b->scope != STAT_SINK)
		return;
	state = stat_get(b, STAT_SINK_STATE);
	put_name(out, b);
	buf_puts(out, states[state <= 2 ? state : 2]);
	put_cell(out, stat_get(b, STAT_SINK_EVENTS));
	put_cell(out, stat_get(b, STAT_SINK_PENDING));
	put_cell(out, stat_get(b, STAT_SINK_FILTERED));
	put_cell(out, stat_get(b, STAT_SINK_SET_ASIDE));
	put_cell(out, stat_get(b, STAT_SINK_RETRIES));
	put_said(out, b);
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
	buf_printf(out, "<p><label>Spool: %llu of %llu MiB in use <meter min=0 max=%llu high=%llu value=%llu>%llu %%</meter></label></p><p>",
	    (unsigned long long)(bytes >> 20), (unsigned long long)(most >> 20), (unsigned long long)most,
	    (unsigned long long)(most / 10 * 8), (unsigned long long)bytes, (unsigned long long)(most > 0 ? bytes * 100 / most : 0));
	put_number(out, stat_get(b, STAT_SPOOL_ENTRIES));
	buf_puts(out, " events written since the start; ");
	put_number(out, stat_get(b, STAT_SPOOL_DAMAGED));
	buf_puts(out, " damaged places found, ");
	put_number(out, stat_get(b, STAT_SPOOL_LOST));
	buf_puts(out, " events lost to them.</p><p>Dead letter: ");
	put_number(out, stat_get(b, STAT_SPOOL_DEAD_ENTRIES));
	buf_puts(out, " records and events set aside since the start, ");
	put_number(out, stat_get(b, STAT_SPOOL_DEAD_BYTES));
	buf_puts(out, " bytes kept, ");
	put_number(out, stat_get(b, STAT_SPOOL_DEAD_REMOVED));
	buf_puts(out, " removed for want of room. <code>aispm-agent spool dead</code> lists them with their reasons.</p>");
}

static void
put_requirement(void *arg, const struct posture_row *row)
{
	static const char *const classes[] = { "good", "bad", "warn" };
	struct buf *out = arg;

	buf_printf(out, "<tr><td class=n>%d<th scope=row>", row->zone);
	put_text(out, row->title);
	buf_printf(out, "<td class=%s>%s<td>%s<td>", classes[row->result], posture_result_word(row->result), posture_need_word(row->need));
	put_text(out, row->evidence);
}

static void
begin_table(struct buf *out, const char *title, const char *caption, const char *heads)
{
	buf_printf(out, "<h2>%s</h2><div class=wide tabindex=0 role=region aria-label=\"%s\"><table><caption>%s</caption><thead><tr>%s</thead><tbody>",
	    title, title, caption, heads);
}

static void
end_table(struct buf *out)
{
	buf_puts(out, "</tbody></table></div>");
}

static void
see_waiting(void *arg, struct stat_block *b)
{
	*(unsigned *)arg += b->scope == STAT_SINK && stat_get(b, STAT_SINK_STATE) == 1;
}

static void
put_summary(struct buf *out, const struct web_world *world)
{
	struct buf why;
	unsigned waiting = 0;
	bool good;

	stat_each(see_waiting, &waiting);
	buf_init(&why, 8192);
	good = world->healthy(world->arg, &why) && world->ready(world->arg, &why);
	if (good && waiting > 0) {
		buf_puts(out, "<p class=\"all warn\">Running. A sink waits for its far side and tries again; everything is kept for it.</p>");
	} else if (good) {
		buf_puts(out, "<p class=\"all good\">All is well: every source is read and every sink takes events.</p>");
	} else {
		buf_putc(&why, '\0');
		buf_puts(out, "<p class=\"all bad\">Needs attention: ");
		put_text(out, why.failed ? "see below" : why.p);
		buf_puts(out, "</p>");
	}
	buf_fini(&why);
}

static void
put_charts(struct buf *out, const struct web_world *world)
{
	struct detect_chart *charts = calloc(DETECT_CHARTS, sizeof(*charts));
	size_t n = charts != NULL ? world->charts(world->arg, charts) : 0;

	if (n > 0)
		buf_puts(out, "<h3>Busiest series</h3><p><small>The last 180 windows of event time: requests as a line, the usual range "
		    "as a band, what was surprising as dots.</small></p><div class=charts>");
	for (size_t i = 0; i < n; i++)
		page_chart_put(out, &charts[i], (unsigned)i + 1);
	if (n > 0)
		buf_puts(out, "</div>");
	free(charts);
}

static void
put_posture(struct buf *out, const struct web_world *world)
{
	struct err err = { 0 };

	begin_table(out, "Posture: control 1.24", "Each requirement in each zone that is in use, as of the last minute",
	    "<th scope=col class=n>Zone<th scope=col>Requirement<th scope=col>Result<th scope=col>Need<th scope=col>Evidence");
	if (posture_look(world->conf(world->arg), put_requirement, out, &err) == -1) {
		buf_puts(out, "<tr><td colspan=5>");
		put_text(out, err.text);
	}
	end_table(out);
}

void
page_put(struct buf *out, const struct web_world *world)
{
	char now[TIME_TEXT_BYTES];

	time_format_ms((int64_t)clock_wall_ms(), now);
	buf_puts(out, "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>aispm-agent on ");
	put_text(out, world->hostname);
	buf_printf(out, "</title><style>%s</style><body><a class=skip href=\"#main\">Skip to content</a><header><h1>aispm-agent %s on ", style,
	    PACKAGE_VERSION);
	put_text(out, world->hostname);
	buf_printf(out, "</h1><small>agent %s, as of <time datetime=\"%s\">%.10s %.8s UTC</time>; <a href=\"/\">look again</a>, "
	    "<a href=\"/metrics\">metrics</a></small></header><main id=main>", world->agent_id, now, now, now + 11);
	put_summary(out, world);
	begin_table(out, "Sources", "Where records come from",
	    "<th scope=col>Source<th scope=col>State<th scope=col class=n>Records<th scope=col class=n>Bytes to read<th scope=col class=n>Messages to read"
	    "<th scope=col class=n>Of no known family<th scope=col class=n>Set aside<th scope=col>Newest event<th scope=col>Last word");
	stat_each(put_source, out);
	end_table(out);
	begin_table(out, "Detectors", "What the agent watches for by itself",
	    "<th scope=col>Detector<th scope=col class=n>Events<th scope=col class=n>Findings<th scope=col class=n>Series"
	    "<th scope=col class=n>Forgotten<th scope=col class=n>Late events");
	stat_each(put_detector, out);
	end_table(out);
	put_charts(out, world);
	buf_puts(out, "<h2>Spool and dead letter</h2>");
	stat_each(put_spool, out);
	begin_table(out, "Sinks", "Where events go",
	    "<th scope=col>Sink<th scope=col>State<th scope=col class=n>Delivered<th scope=col class=n>Pending<th scope=col class=n>Left out"
	    "<th scope=col class=n>Set aside<th scope=col class=n>Tried again<th scope=col>Last word");
	stat_each(put_sink, out);
	end_table(out);
	put_posture(out, world);
	buf_puts(out, "</main></body></html>\n");
}
