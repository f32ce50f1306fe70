/*
 * page.c - the status page: one HTML document, no scripts, in the colours that the reader prefers.
 *
 * Nothing of any record is shown: names of the configuration, figures, and the last word of a source or sink, which is the agent's own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/stat.h"
#include "model/event.h"
#include "run/markup.h"
#include "run/page_parts.h"
#include "run/web.h"

/* Where the window is narrower than a table needs, each row is a card: its head above, then each cell under the name of its column. */
#define CARDS(width, t) \
    "@media(max-width:" width "){" t "," t " tbody," t " th," t " td{display:block}" t " thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}" \
    t " caption{display:block}" t " tbody tr{display:grid;grid-template-columns:repeat(auto-fill,minmax(5.4rem,1fr));gap:.4rem .9rem;border-top:1px solid var(--line);padding:.7rem 0}" \
    t " tbody th," t " td{border:0;padding:0;min-width:0}" t " tbody th," t " .said{grid-column:1/-1}" t " .when{grid-column:span 2}" t " td.n{text-align:left}" \
    t " td small," t " td time{white-space:normal}" t " td::before{content:attr(data-l);display:block;color:var(--soft);font-size:.84rem}}"

static const char style[] =
    ":root{color-scheme:light dark;--paper:#f6f8fa;--card:#fff;--ink:#1f2328;--soft:#57606a;--line:#d0d7de;--accent:#0550ae;"
    "--good:#116329;--goodfill:#dafbe1;--warn:#744500;--warnfill:#fff1c2;--bad:#a40e26;--badfill:#ffe4e1;--quietfill:#eaeef2;--seen:#0969da;--band:#1a7f37;--dot:#cf222e}"
    "@media(prefers-color-scheme:dark){:root{--paper:#0d1117;--card:#161b22;--ink:#e6edf3;--soft:#9da7b3;--line:#30363d;--accent:#79b8ff;"
    "--good:#7ee787;--goodfill:#10291b;--warn:#f0c25b;--warnfill:#2e2510;--bad:#ffa198;--badfill:#3a1418;--quietfill:#21262d;--seen:#58a6ff;--band:#3fb950;--dot:#ff7b72}}"
    "*{box-sizing:border-box}html{scroll-padding-top:4rem}"
    "body{font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','Liberation Sans','DejaVu Sans',sans-serif;margin:0;background:var(--paper);color:var(--ink)}"
    "header,main,footer{max-width:84rem;margin:0 auto;padding:0 1.25rem}header{padding-top:1.25rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0;overflow-wrap:anywhere}h2{font-size:1.15rem;margin:0 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .5rem}"
    "p{margin:.4rem 0}a{color:var(--accent)}code{font:.92em ui-monospace,'Liberation Mono','DejaVu Sans Mono',monospace;background:var(--quietfill);padding:.1em .3em;border-radius:.25rem}"
    "small,.note,caption,.sub,footer{color:var(--soft)}small{font-size:.86em;font-weight:400}.note,.sub,caption{font-size:.9rem}.sub{margin:.25rem 0 0;overflow-wrap:anywhere}"
    ":focus-visible{outline:3px solid var(--accent);outline-offset:2px;border-radius:.2rem}"
    ".skip{position:absolute;left:-99rem;top:.5rem;background:var(--card);padding:.5rem .8rem;z-index:2}.skip:focus{left:1.25rem}"
    "nav{position:sticky;top:0;z-index:1;background:var(--paper);border-bottom:1px solid var(--line);margin-top:1rem}"
    "nav ul{max-width:84rem;margin:0 auto;padding:.35rem 1.25rem;display:flex;flex-wrap:wrap;gap:.1rem 1.1rem;list-style:none}nav a{display:inline-block;padding:.3rem 0}"
    "section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.25rem;margin:1.1rem 0}"
    ".all{border-left:.4rem solid currentColor}.all h2{margin-bottom:.2rem}.all ul{margin:.4rem 0 0;padding-left:1.2rem;color:var(--ink)}.all.good{color:var(--good);background:var(--goodfill)}"
    ".all.warn{color:var(--warn);background:var(--warnfill)}.all.bad{color:var(--bad);background:var(--badfill)}.all p{color:var(--ink)}.all li{overflow-wrap:anywhere}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.8rem;margin:1.1rem 0}"
    ".tiles>div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.7rem 1rem;display:flex;flex-direction:column}"
    ".tiles dt{order:2;color:var(--soft);font-size:.9rem}.tiles dd{margin:0;font-size:1.55rem;line-height:1.25;font-weight:600;font-variant-numeric:tabular-nums}"
    ".facts{display:flex;flex-wrap:wrap;gap:.4rem 2.5rem;margin:.6rem 0}.facts dt{color:var(--soft);font-size:.9rem}.facts dd{margin:0;font-weight:600;font-variant-numeric:tabular-nums}"
    "table{border-collapse:collapse;width:100%}caption{text-align:left;padding-bottom:.4rem}"
    "th,td{text-align:left;padding:.45rem .9rem .45rem 0;border-top:1px solid var(--line);vertical-align:top}th:last-child,td:last-child{padding-right:0}"
    "thead th{border-top:0;color:var(--soft);font-size:.86rem;font-weight:600;vertical-align:bottom}tbody th{font-weight:600;overflow-wrap:anywhere;min-width:7rem}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.zero{color:var(--soft)}.said{overflow-wrap:anywhere;min-width:14rem}td time{white-space:nowrap}td small{white-space:nowrap}"
    ".state{display:inline-block;white-space:nowrap;padding:.05rem .55rem;border-radius:1rem;border:1px solid currentColor;font-size:.88rem;font-weight:600}"
    ".state.good{color:var(--good);background:var(--goodfill)}.state.warn{color:var(--warn);background:var(--warnfill)}"
    ".state.bad{color:var(--bad);background:var(--badfill)}.state.quiet{color:var(--soft);background:var(--quietfill)}"
    ".charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(20rem,100%),1fr));gap:1.2rem 1.5rem;margin-top:.6rem}figure{margin:0;min-width:0}"
    "figcaption{font-size:.9rem;overflow-wrap:anywhere}figcaption b{display:block}figcaption span{color:var(--soft)}"
    ".chart{display:block;width:100%;height:auto;margin-top:.3rem}.chart text{fill:var(--soft);font-size:11px}.key svg{width:1.4rem;height:.75rem;vertical-align:-.05rem}.key{white-space:nowrap;margin-right:.6rem}"
    ".grid{stroke:var(--line)}.band{fill:var(--band);fill-opacity:.22}.seen{fill:none;stroke:var(--seen);stroke-width:1.5}.dot{fill:var(--dot);stroke:var(--card)}.stripe{fill:var(--dot);fill-opacity:.14}"
    ".bar{display:block;width:100%;max-width:40rem;height:.8rem;border:1px solid var(--soft);border-radius:.25rem}.bar .all{fill:var(--quietfill)}.bar .part{fill:var(--seen)}.bar .high{fill:var(--dot)}"
    "footer{font-size:.9rem;padding-top:.2rem;padding-bottom:2rem}"
    CARDS("60rem", ".wide") CARDS("40rem", "table")
    "@media(max-width:30rem){nav{position:static}html{scroll-padding-top:0}header,main,footer,nav ul{padding-left:.8rem;padding-right:.8rem}section{padding:.9rem}.tiles{grid-template-columns:1fr 1fr;gap:.6rem}.tiles dd{font-size:1.3rem}}"
    "@media print{nav,.skip{display:none}section,.tiles>div{break-inside:avoid}}";

/* ---- how it is, in a sentence ---------------------------------------------------- */

struct notices { struct buf *list; unsigned bad, warn; };

static void
notice(struct notices *n, bool bad, const char *before, const char *name, const char *after, const char *anchor)
{
	n->bad += bad;
	n->warn += !bad;
	buf_puts(n->list, "<li>");
	buf_puts(n->list, before);
	if (name != NULL) {
		buf_printf(n->list, "<a href=\"#%s\">", anchor);
		markup_put(n->list, slice_of(name));
		buf_puts(n->list, "</a>");
	}
	buf_puts(n->list, after);
}

static void
see_block(void *arg, struct stat_block *b)
{
	struct notices *n = arg;

	switch (b->scope) {
	case STAT_SOURCE:
		if (stat_get(b, STAT_SOURCE_PAUSED) != 0)
			notice(n, true, "source ", b->name, " is paused: there is no room in the spool", "sources");
		else if (stat_get(b, STAT_SOURCE_LAST_TROUBLE_MS) + TROUBLE_FRESH_MS > clock_wall_ms())
			notice(n, false, "source ", b->name, " cannot read all that it should; it tries again", "sources");
		break;
	case STAT_SINK:
		if (stat_get(b, STAT_SINK_STATE) == 2)
			notice(n, true, "sink ", b->name, " is held: an operator must act; its last word says why", "sinks");
		else if (stat_get(b, STAT_SINK_STATE) == 1)
			notice(n, false, "sink ", b->name, " waits for its far side and tries again; everything is kept for it", "sinks");
		break;
	case STAT_SPOOL:
		if (stat_get(b, STAT_SPOOL_BYTES) / 8 >= stat_get(b, STAT_SPOOL_MAX_BYTES) / 10)
			notice(n, false, "the ", "spool", " is more than four fifths full", "spool");
		if (stat_get(b, STAT_SPOOL_LOST) > 0)
			notice(n, true, "the ", "spool", " is damaged and events were lost; check the disk", "spool");
		break;
	case STAT_AGENT:
		if (stat_get(b, STAT_AGENT_CONF_REFUSED) != 0)
			notice(n, false, "the configuration on disk has faults and is not in use; <code>aispm-agent check</code> names them", NULL, "", "");
		if (stat_get(b, STAT_AGENT_DECODE_INLINE) != 0)
			notice(n, false, "records are decoded in the agent's own process, without the wall around them", NULL, "", "");
		break;
	default:
		break;
	}
}

/* What health and readiness say beyond single sources and sinks. */
static void
see_verdicts(struct notices *n, const struct web_world *world, bool *ret_good)
{
	struct buf why;
	bool healthy;

	buf_init(&why, 8192);
	healthy = world->healthy(world->arg, &why);
	if (!healthy) {
		buf_puts(n->list, "<li>");
		markup_put(n->list, buf_slice(&why));
	}
	buf_reset(&why);
	*ret_good = world->ready(world->arg, &why) && healthy;
	if (n->bad == 0 && !*ret_good && healthy) {
		buf_puts(n->list, "<li>");
		markup_put(n->list, buf_slice(&why));
	}
	buf_fini(&why);
}

static void
put_summary(struct buf *out, const struct web_world *world)
{
	struct buf list;
	struct notices n = { .list = &list };
	bool good;

	buf_init(&list, 64u << 10);
	stat_each(see_block, &n);
	see_verdicts(&n, world, &good);
	if (!good || n.bad > 0)
		buf_puts(out, "<section class=\"all bad\" aria-labelledby=state><h2 id=state>Needs attention</h2>");
	else if (n.warn > 0)
		buf_puts(out, "<section class=\"all warn\" aria-labelledby=state><h2 id=state>Running, with remarks</h2>");
	else
		buf_puts(out, "<section class=\"all good\" aria-labelledby=state><h2 id=state>All is well</h2><p>Every source is read and every sink takes events.</p>");
	if (list.n > 0 && !list.failed) {
		buf_puts(out, "<ul>");
		buf_put_slice(out, buf_slice(&list));
		buf_puts(out, "</ul>");
	}
	buf_puts(out, "</section>");
	buf_fini(&list);
}

/* ---- the figures that are asked for first ----------------------------------------- */

struct sums { uint64_t records, delivered, pending, findings, grave, aside, spool, spool_most; };

static void
add_up(void *arg, struct stat_block *b)
{
	struct sums *s = arg;

	switch (b->scope) {
	case STAT_SOURCE:
		s->records += stat_get(b, STAT_SOURCE_RECORDS);
		break;
	case STAT_SINK:
		s->delivered += stat_get(b, STAT_SINK_EVENTS);
		if (stat_get(b, STAT_SINK_PENDING) > s->pending)
			s->pending = stat_get(b, STAT_SINK_PENDING);
		break;
	case STAT_SPOOL:
		s->aside += stat_get(b, STAT_SPOOL_DEAD_ENTRIES);
		s->spool = stat_get(b, STAT_SPOOL_BYTES);
		s->spool_most = stat_get(b, STAT_SPOOL_MAX_BYTES);
		break;
	case STAT_CLASS:
		if (event_class_is_finding(slice_of(b->name))) {
			s->findings += stat_get(b, STAT_CLASS_EVENTS);
			if (strcmp(b->type, "High") == 0 || strcmp(b->type, "Critical") == 0)
				s->grave += stat_get(b, STAT_CLASS_EVENTS);
		}
		break;
	default:
		break;
	}
}

static void
put_tile(struct buf *out, const char *name, uint64_t v)
{
	buf_printf(out, "<div><dt>%s</dt><dd>", name);
	markup_put_number(out, v);
	buf_puts(out, "</dd></div>");
}

static void
put_tiles(struct buf *out)
{
	struct sums s = { 0 };

	stat_each(add_up, &s);
	buf_puts(out, "<dl class=tiles>");
	put_tile(out, "records read", s.records);
	put_tile(out, "findings", s.findings);
	put_tile(out, "of them high or critical", s.grave);
	put_tile(out, "events delivered, all sinks", s.delivered);
	put_tile(out, "events pending, slowest sink", s.pending);
	put_tile(out, "set aside", s.aside);
	buf_printf(out, "<div><dt>of the spool in use</dt><dd>%.1f %%</dd></div></dl>\n", s.spool_most > 0 ? (double)s.spool * 100 / (double)s.spool_most : 0.0);
}

/* ---- the whole -------------------------------------------------------------------- */

static void
put_header(struct buf *out, const struct web_world *world)
{
	static const char *const parts[][2] = { { "sources", "Sources" }, { "findings", "Findings" }, { "detectors", "Detectors" },
		{ "spool", "Spool" }, { "sinks", "Sinks" }, { "posture", "Posture" } };
	const uint64_t now_ms = clock_wall_ms(), start_ms = stat_get(stat_agent(), STAT_AGENT_START_MS);
	char now[TIME_TEXT_BYTES];

	time_format_ms((int64_t)now_ms, now);
	buf_puts(out, "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width,initial-scale=1\"><title>aispm-agent on ");
	markup_put(out, slice_of(world->hostname));
	buf_printf(out, "</title><style>%s</style></head><body><a class=skip href=\"#main\">Skip to content</a><header><h1>aispm-agent on ", style);
	markup_put(out, slice_of(world->hostname));
	buf_printf(out, "</h1><p class=sub>Version %s, up ", PACKAGE_VERSION);
	page_put_span(out, now_ms > start_ms ? now_ms - start_ms : 0);
	buf_printf(out, ", as of <time datetime=\"%s\">%.10s %.8s UTC</time>. Figures are since the start. <a href=\"/\">Look again</a></p></header>"
	    "<nav aria-label=\"On this page\"><ul>", now, now, now + 11);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		buf_printf(out, "<li><a href=\"#%s\">%s</a>", parts[i][0], parts[i][1]);
	buf_puts(out, "</ul></nav>\n");
}

void
page_put(struct buf *out, const struct web_world *world)
{
	put_header(out, world);
	buf_puts(out, "<main id=main tabindex=-1>");
	put_summary(out, world);
	put_tiles(out);
	page_put_sources(out);
	page_put_findings(out);
	page_put_detectors(out, world);
	page_put_spool(out);
	page_put_sinks(out);
	page_put_posture(out, world);
	buf_printf(out, "</main><footer><p>For machines: <a href=\"/metrics\">metrics</a>, <a href=\"/healthz\">health</a>, <a href=\"/readyz\">readiness</a>; "
	    "on the host: <code>aispm-agent status</code>, <code>aispm-agent posture</code>. Agent %s</p></footer></body></html>\n", world->agent_id);
}
