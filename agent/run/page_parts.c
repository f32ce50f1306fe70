/* page_parts.c - the small pieces of the status page. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/page_parts.h"

#include "base/clock.h"
#include "base/stat.h"
#include "run/markup.h"

void
page_begin_section(struct buf *out, const char *id, const char *title)
{
	buf_printf(out, "<section aria-labelledby=%s><h2 id=%s>%s</h2>", id, id, title);
}

void
page_end_section(struct buf *out)
{
	buf_puts(out, "</section>\n");
}

/* Roles are said although they are the elements' own: where the window is narrow a table is laid out as blocks, and browsers then forget them. */
void
page_begin_table(struct buf *out, const char *caption, const char *const *heads, bool wide)
{
	buf_printf(out, "<table role=table%s><caption>%s</caption><thead role=rowgroup><tr role=row>", wide ? " class=wide" : "", caption);
	for (; *heads != NULL; heads++)
		buf_printf(out, "<th scope=col role=columnheader%s>%s", **heads == '#' ? " class=n" : "", *heads + (**heads == '#'));
	buf_puts(out, "</thead><tbody role=rowgroup>");
}

void
page_end_table(struct buf *out)
{
	buf_puts(out, "</tbody></table>");
}

void
page_begin_row(struct buf *out, const char *name, const char *type)
{
	buf_puts(out, "<tr role=row><th scope=row role=rowheader>");
	markup_put(out, slice_of(name));
	if (type != NULL && type[0] != '\0') {
		buf_puts(out, " <small>");
		markup_put(out, slice_of(type));
		buf_puts(out, "</small>");
	}
}

void
page_cell(struct buf *out, const char *head)
{
	buf_printf(out, "<td role=cell data-l=\"%s\">", head);
}

void
page_cell_text(struct buf *out, const char *head, struct slice text)
{
	buf_printf(out, "<td role=cell data-l=\"%s\" class=said>", head);
	markup_put(out, text);
}

void
page_cell_number(struct buf *out, const char *head, uint64_t v)
{
	buf_printf(out, "<td role=cell data-l=\"%s\" class=\"n%s\">", head, v == 0 ? " zero" : "");
	markup_put_number(out, v);
}

void
page_cell_state(struct buf *out, const char *head, const char *tone, const char *word)
{
	page_cell(out, head);
	buf_printf(out, "<span class=\"state %s\">%s</span>", tone, word);
}

void
page_put_span(struct buf *out, uint64_t ms)
{
	const uint64_t s = ms / 1000, min = s / 60, h = min / 60, d = h / 24;

	if (s < 60)
		buf_printf(out, "%u s", (unsigned)s);
	else if (min < 60)
		buf_printf(out, "%u min", (unsigned)min);
	else if (h < 24)
		buf_printf(out, "%u h %u min", (unsigned)h, (unsigned)(min % 60));
	else
		buf_printf(out, "%llu d %u h", (unsigned long long)d, (unsigned)(h % 24));
}

void
page_put_when(struct buf *out, uint64_t unix_ms)
{
	const uint64_t now_ms = clock_wall_ms();
	char text[TIME_TEXT_BYTES];

	time_format_ms((int64_t)unix_ms, text);
	buf_printf(out, "<time datetime=\"%s\">%.10s %.8s UTC</time> <small>", text, text, text + 11);
	if (unix_ms > now_ms + 1000) {
		page_put_span(out, unix_ms - now_ms);
		buf_puts(out, " ahead</small>");
	} else {
		page_put_span(out, now_ms > unix_ms ? now_ms - unix_ms : 0);
		buf_puts(out, " ago</small>");
	}
}

void
page_cell_when(struct buf *out, const char *head, uint64_t unix_ms)
{
	buf_printf(out, "<td role=cell data-l=\"%s\" class=when>", head);
	if (unix_ms == 0)
		buf_puts(out, "<small>none yet</small>");
	else
		page_put_when(out, unix_ms);
}

void
page_put_bytes(struct buf *out, uint64_t v)
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
	double x = (double)v;
	unsigned i = 0;

	for (; x >= 1024 && i < 4; i++)
		x /= 1024;
	buf_printf(out, "%.*f %s", i > 0 && x < 100 ? 1 : 0, x, units[i]);
}

void
page_put_bar(struct buf *out, const char *id, const char *label, uint64_t part, uint64_t whole)
{
	const double share = whole > 0 ? (double)part / (double)whole : 0, shown = share > 1 ? 1 : share;

	buf_printf(out, "<svg class=bar role=img aria-labelledby=%s viewBox=\"0 0 100 4\" preserveAspectRatio=none><title id=%s>%s: %.1f %%</title>"
	    "<rect class=all width=100 height=4 /><rect class=%s width=%.2f height=4 /></svg>", id, id, label, share * 100,
	    share >= 0.8 ? "high" : "part", shown > 0 && shown < 0.005 ? 0.5 : shown * 100);
}

void
page_cell_said(struct buf *out, const char *head, struct stat_block *b, uint64_t unix_ms)
{
	char said[320];

	stat_said(b, said);
	buf_printf(out, "<td role=cell data-l=\"%s\" class=said>", head);
	markup_put(out, slice_of(said));
	if (said[0] == '\0')
		buf_puts(out, "<small>nothing</small>");
	if (said[0] != '\0' && unix_ms > 0) {
		buf_puts(out, " <small>");
		page_put_span(out, clock_wall_ms() > unix_ms ? clock_wall_ms() - unix_ms : 0);
		buf_puts(out, " ago</small>");
	}
}
