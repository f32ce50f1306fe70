/* plot_findings.c - a picture of findings: what came over time, a lane for each kind of finding, the gravest in words. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "detect/score.h"
#include "model/event.h"
#include "run/markup.h"
#include "run/plot_parts.h"

#define WIDTH		1280
#define MARGIN		24
#define LEFT		336	/* the lanes' names stand before it */
#define RIGHT		84	/* and their counts behind */
#define TOP		104
#define EVENTS_PX	130
#define LANE_PX		26
#define GAP_PX		22
#define CELL_PX		9	/* findings of one lane that are closer are one mark */
#define CELLS		((WIDTH - LEFT - RIGHT + CELL_PX - 1) / CELL_PX)
#define COLUMNS_DRAWN	400
#define STEPS		3

#define KINDS		96	/* kinds told apart; 14 are drawn, the rest share the last lane */
#define LANES		14
#define MARKS_MAX	200000u
#define TEXTS_MAX_BYTES	(256u << 10)	/* of sentences that a pointer over a mark shows */
#define TEXT_BYTES	360
#define GRAVEST		8
#define NAME_CHARS	45
#define LINE_CHARS	152

enum { SEVERITIES = EVENT_SEVERITIES };

struct kind { char name[96]; uint32_t n; uint8_t worst; };
struct mark { int64_t t_ms; uint8_t severity, kind; uint32_t text; };	/* text: where its sentence begins in `texts`, plus one; 0: none */
struct told { int64_t t_ms; uint8_t severity; char text[TEXT_BYTES]; };
struct cell { uint32_t n; const struct mark *worst; };

struct plot_findings {
	struct plot_file	 out;
	struct columns		 events;
	struct kind		 kinds[KINDS];
	size_t			 nkinds;
	struct mark		*marks;
	size_t			 n, cap;
	uint64_t		 not_drawn, by_severity[SEVERITIES];
	struct buf		 texts;
	struct told		 gravest[GRAVEST];
	size_t			 ngravest;
	int64_t			 from_ms, to_ms;	/* of findings */
	struct cell		 cells[LANES][CELLS];
};

int
plot_findings_open(struct plot_findings **ret, const char *path, struct err *err)
{
	struct plot_findings *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a picture");
	columns_init(&p->events, plot_clock_ladder_s);
	buf_init(&p->texts, TEXTS_MAX_BYTES);
	if (plot_file_open(&p->out, path, err) != 0) {
		plot_findings_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
plot_findings_free(struct plot_findings *p)
{
	if (p == NULL)
		return;
	plot_file_close(&p->out);
	buf_fini(&p->texts);
	free(p->marks);
	free(p);
}

/* ---- gathering ------------------------------------------------------------------ */

void
plot_findings_event(struct plot_findings *p, int64_t t_ms)
{
	static const struct column one = { .rows = 1 };

	if (t_ms > 0)
		columns_add(&p->events, t_ms, &one);
}

static uint8_t
kind_of(struct plot_findings *p, struct slice name)
{
	size_t i = 0;

	name.n = utf8_cut(name, sizeof(p->kinds[0].name) - 1);
	while (i < p->nkinds && !slice_eq(name, slice_of(p->kinds[i].name)))
		i++;
	if (i == p->nkinds && p->nkinds < KINDS)
		memcpy(p->kinds[p->nkinds++].name, name.p, name.n);
	return (uint8_t)(i < KINDS ? i : KINDS - 1);
}

static uint32_t
keep_text(struct plot_findings *p, struct slice text)
{
	const size_t at = p->texts.n, n = utf8_cut(text, TEXT_BYTES - 1);

	if (at + n + 1 > TEXTS_MAX_BYTES || !buf_reserve(&p->texts, n + 1))
		return 0;
	buf_put(&p->texts, text.p, n);
	buf_putc(&p->texts, '\0');
	return (uint32_t)at + 1;
}

static bool
is_graver(const struct told *a, const struct told *b)
{
	return a->severity != b->severity ? a->severity > b->severity : a->t_ms < b->t_ms;
}

static void
keep_gravest(struct plot_findings *p, int64_t t_ms, uint8_t severity, struct slice text)
{
	struct told one = { .t_ms = t_ms, .severity = severity };
	size_t at = p->ngravest;

	memcpy(one.text, text.p, utf8_cut(text, sizeof(one.text) - 1));
	while (at > 0 && is_graver(&one, &p->gravest[at - 1]))
		at--;
	if (at == GRAVEST)
		return;
	if (p->ngravest < GRAVEST)
		p->ngravest++;
	memmove(&p->gravest[at + 1], &p->gravest[at], (p->ngravest - at - 1) * sizeof(one));
	p->gravest[at] = one;
}

void
plot_findings_add(struct plot_findings *p, const struct plot_finding *f)
{
	const int known = event_severity_of(f->severity);
	const uint8_t severity = (uint8_t)(known > 0 ? known : 0), kind = kind_of(p, f->kind);

	p->by_severity[severity]++;
	p->kinds[kind].n++;
	if (severity > p->kinds[kind].worst)
		p->kinds[kind].worst = severity;
	keep_gravest(p, f->t_ms, severity, f->text);
	if (p->n == p->cap && p->cap < MARKS_MAX) {
		const size_t cap = p->cap > 0 ? p->cap * 2 : 256;
		struct mark *v = realloc(p->marks, cap * sizeof(*v));

		if (v != NULL) {
			p->marks = v;
			p->cap = cap;
		}
	}
	if (p->n == p->cap) {
		p->not_drawn++;
		return;
	}
	p->from_ms = p->n == 0 || f->t_ms < p->from_ms ? f->t_ms : p->from_ms;
	p->to_ms = p->n == 0 || f->t_ms > p->to_ms ? f->t_ms : p->to_ms;
	p->marks[p->n++] = (struct mark){ f->t_ms, severity, kind, keep_text(p, f->text) };
}

/* ---- events -------------------------------------------------------------------- */

/* What would have been expected of each column, had only those before it been known. */
static void
expect(struct columns *c)
{
	const uint32_t spacing_ms = c->width_ms < UINT32_MAX ? (uint32_t)c->width_ms : UINT32_MAX;
	const int64_t n = columns_used(c);
	struct score score;

	score_init(&score, spacing_ms);
	for (int64_t i = 0; i < n; i++) {
		struct column *v = &c->v[i];
		const struct score_says says = score_row(&score, (c->first + i) * c->width_ms, spacing_ms, v->rows, 1);

		v->ranged = score_range(&score, spacing_ms, says.expected, &v->low, &v->high);
	}
}

static void
put_span(struct buf *b, int64_t width_ms)
{
	const int64_t s = width_ms / 1000;

	if (s == 60)
		buf_puts(b, "a minute");
	else if (s < 3600)
		buf_printf(b, "in %d minutes", (int)(s / 60));
	else if (s == 3600)
		buf_puts(b, "an hour");
	else if (s < 86400)
		buf_printf(b, "in %d hours", (int)(s / 3600));
	else if (s == 86400)
		buf_puts(b, "a day");
	else
		buf_printf(b, "in %lld days", (long long)(s / 86400));
}

static void
put_counts(const struct panel *f, const struct columns *c)
{
	const int64_t n = columns_used(c);
	struct buf *b = f->b;

	for (int filled = 1; filled >= 0; filled--) {
		buf_puts(b, filled ? "<path class=\"bars\" fill=\"#0969da\" fill-opacity=\"0.14\" d=\"" :
		    "<path class=\"rows\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"1.3\" d=\"");
		for (int64_t i = 0; i < n; i++) {
			const double x = svg_x(f, (double)((c->first + i) * c->width_ms));

			if (i == 0)
				buf_printf(b, "M%.1f %dV%.1f", x, f->bottom, svg_y(f, c->v[i].rows));
			else if (c->v[i].rows != c->v[i - 1].rows)
				buf_printf(b, "H%.1fV%.1f", x, svg_y(f, c->v[i].rows));
		}
		buf_printf(b, "H%.1fV%d\"/>\n", svg_x(f, (double)((c->first + n) * c->width_ms)), f->bottom);
	}
}

static void
put_events(struct panel *f, struct columns *c)
{
	double most = 0;

	for (int i = 0; i < PLOT_COLUMNS; i++) {
		most = fmax(most, c->v[i].rows);
		if (c->v[i].ranged > 0 && c->v[i].high < 4 * most)
			most = fmax(most, c->v[i].high);
	}
	svg_fit(f, 0, most, STEPS);
	svg_put_value_axis(f, STEPS);
	buf_printf(f->b, "<text x=\"%d\" y=\"%d\" " SVG_INK ">Events ", MARGIN, f->top + 12);
	put_span(f->b, c->width_ms);
	buf_puts(f->b, "</text>\n");
	if (c->rows > 0) {
		svg_put_band(f, c);
		put_counts(f, c);
	}
	buf_printf(f->b, "<path d=\"M%d %dV%dH%d\" fill=\"none\" " SVG_AXIS "/>\n", f->left, f->top, f->bottom, f->right);
}

/* ---- lanes ---------------------------------------------------------------------- */

/* A shape and a colour for each severity: neither is needed to tell them apart. */
static void
put_mark(struct buf *b, int severity, double x, double y)
{
	switch (severity) {
	case 4:
		buf_printf(b, "<path class=\"s4 halo\" stroke=\"#fff\" fill=\"#a40e4c\" d=\"M%.1f %.1fl7 7-7 7-7-7z\"/>", x, y - 7);
		break;
	case 3:
		buf_printf(b, "<path class=\"s3 halo\" stroke=\"#fff\" fill=\"#d1410c\" d=\"M%.1f %.1fl6.5 11.5h-13z\"/>", x, y - 7);
		break;
	case 2:
		buf_printf(b, "<path class=\"s2 halo\" stroke=\"#fff\" fill=\"#9a6700\" d=\"M%.1f %.1fh9v9h-9z\"/>", x - 4.5, y - 4.5);
		break;
	case 1:
		buf_printf(b, "<circle class=\"s1 halo\" stroke=\"#fff\" fill=\"#0969da\" cx=\"%.1f\" cy=\"%.1f\" r=\"4.5\"/>", x, y);
		break;
	default:
		buf_printf(b, "<circle class=\"s0\" fill=\"none\" stroke=\"#57606a\" stroke-width=\"1.5\" cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\"/>", x, y);
	}
}

static int
by_gravity(const void *a, const void *b)
{
	const struct kind *x = *(const struct kind *const *)a, *y = *(const struct kind *const *)b;

	if (x->worst != y->worst)
		return y->worst - x->worst;
	if (x->n != y->n)
		return x->n < y->n ? 1 : -1;
	return strcmp(x->name, y->name);
}

struct lanes {
	const struct kind	*kind[KINDS];		/* gravest first */
	uint8_t			 of[KINDS];		/* a kind's lane */
	size_t			 n;
};

static void
rank_lanes(const struct plot_findings *p, struct lanes *l)
{
	for (size_t i = 0; i < p->nkinds; i++)
		l->kind[i] = &p->kinds[i];
	qsort(l->kind, p->nkinds, sizeof(l->kind[0]), by_gravity);
	for (size_t i = 0; i < p->nkinds; i++)
		l->of[l->kind[i] - p->kinds] = (uint8_t)(i < LANES ? i : LANES - 1);
	l->n = p->nkinds < LANES ? p->nkinds : LANES;
}

/* One mark for all that would stand upon another: the gravest, then the first. */
static void
fill_cells(struct plot_findings *p, const struct panel *f, const struct lanes *l)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct mark *m = &p->marks[i];
		size_t at = (size_t)(svg_x(f, (double)m->t_ms) - f->left) / CELL_PX;
		struct cell *c = &p->cells[l->of[m->kind]][at < CELLS ? at : CELLS - 1];

		c->n++;
		if (c->worst == NULL || m->severity > c->worst->severity)
			c->worst = m;
	}
}

static void
put_lane_name(const struct plot_findings *p, struct buf *b, const struct lanes *l, size_t lane, int y)
{
	uint64_t n = l->kind[lane]->n;
	const bool rest = lane == LANES - 1 && p->nkinds > LANES;

	buf_printf(b, "<text x=\"%d\" y=\"%d\" " SVG_INK ">", MARGIN, y);
	if (rest) {
		n = 0;
		for (size_t i = lane; i < p->nkinds; i++)
			n += l->kind[i]->n;
		buf_printf(b, "%zu other kinds", p->nkinds - lane);
	} else {
		buf_puts(b, "<title>");
		markup_put(b, slice_of(l->kind[lane]->name));
		buf_puts(b, "</title>");
		markup_put_cut(b, slice_of(l->kind[lane]->name), NAME_CHARS);
	}
	buf_printf(b, "</text><text x=\"%d\" y=\"%d\" text-anchor=\"end\" " SVG_INK ">", WIDTH - MARGIN, y);
	markup_put_number(b, n);
	buf_puts(b, "</text>\n");
}

static void
put_cell(const struct plot_findings *p, struct buf *b, const struct cell *c, double x, double y)
{
	buf_puts(b, "<g><title>");
	if (c->n > 1)
		buf_printf(b, "%u findings, the gravest: ", c->n);
	buf_printf(b, "%s, ", event_severity_words[c->worst->severity]);
	svg_put_minute(b, c->worst->t_ms);
	if (c->worst->text > 0) {
		buf_puts(b, ": ");
		markup_put(b, slice_of(p->texts.p + c->worst->text - 1));
	}
	buf_puts(b, "</title>");
	put_mark(b, c->worst->severity, x, y);
	buf_puts(b, "</g>\n");
}

static void
put_lanes(struct plot_findings *p, const struct panel *f)
{
	struct lanes l = { .n = 0 };

	rank_lanes(p, &l);
	fill_cells(p, f, &l);
	if (l.n == 0)
		buf_printf(f->b, "<text x=\"%d\" y=\"%d\" " SVG_SOFT ">no findings</text>\n", f->left + 12, f->top + 17);
	for (size_t i = 0; i < l.n; i++) {
		const int y = f->top + (int)i * LANE_PX + LANE_PX / 2;

		put_lane_name(p, f->b, &l, i, y + 4);
		for (int k = 0; k < CELLS; k++)
			if (p->cells[i][k].n > 0)
				put_cell(p, f->b, &p->cells[i][k], f->left + (k + 0.5) * CELL_PX, y);
	}
}

/* ---- words ---------------------------------------------------------------------- */

/* Where a line of at most LINE_CHARS ends: behind a word, if there is one. */
static size_t
line_end(struct slice s)
{
	size_t chars = 0, blank = 0;

	for (size_t i = 0; i < s.n; i++) {
		chars += ((unsigned char)s.p[i] & 0xc0) != 0x80;
		if (s.p[i] == ' ')
			blank = i;
		if (chars > LINE_CHARS)
			return blank > 0 ? blank : i;
	}
	return s.n;
}

static int
by_time(const void *a, const void *b)
{
	const struct told *x = a, *y = b;

	return x->t_ms < y->t_ms ? -1 : x->t_ms > y->t_ms;
}

static int
put_gravest(struct plot_findings *p, struct buf *b, int y)
{
	qsort(p->gravest, p->ngravest, sizeof(p->gravest[0]), by_time);
	for (size_t i = 0; i < p->ngravest; i++) {
		const struct told *t = &p->gravest[i];
		const struct slice all = slice_of(t->text);
		const size_t end = line_end(all);
		struct slice rest = slice_make(all.p + end, all.n - end);

		put_mark(b, t->severity, MARGIN + 7, y - 4);
		buf_printf(b, "<text x=\"%d\" y=\"%d\" " SVG_INK ">", MARGIN + 22, y);
		svg_put_minute(b, t->t_ms);
		buf_printf(b, "</text><text x=\"%d\" y=\"%d\" " SVG_INK ">%s</text><text x=\"%d\" y=\"%d\" " SVG_INK ">", MARGIN + 138, y,
		    event_severity_words[t->severity], MARGIN + 228, y);
		markup_put(b, slice_make(all.p, end));
		if (rest.n > 0) {
			buf_printf(b, "<tspan x=\"%d\" dy=\"16\">", MARGIN + 228);
			markup_put_cut(b, slice_make(rest.p + 1, rest.n - 1), LINE_CHARS);
			buf_puts(b, "</tspan>");
			y += 16;
		}
		buf_puts(b, "</text>\n");
		y += 22;
	}
	return y;
}

static void
put_extent(const struct plot_findings *p, struct buf *b)
{
	uint64_t n = 0;
	bool any = false;

	for (int i = 0; i < SEVERITIES; i++)
		n += p->by_severity[i];
	markup_put_number(b, p->events.rows);
	buf_puts(b, p->events.rows == 1 ? " event" : " events");
	if (p->events.rows > 0) {
		buf_puts(b, ", ");
		svg_put_minute(b, p->events.from_ms);
		buf_puts(b, " to ");
		svg_put_minute(b, p->events.to_ms);
		buf_puts(b, " UTC");
	}
	buf_puts(b, "; ");
	markup_put_number(b, n);
	buf_puts(b, n == 1 ? " finding" : " findings");
	for (int i = SEVERITIES - 1; i >= 0; i--)
		if (p->by_severity[i] > 0) {
			buf_puts(b, any ? ", " : ": ");
			markup_put_number(b, p->by_severity[i]);
			buf_printf(b, " %s", event_severity_words[i]);
			any = true;
		}
	if (p->not_drawn > 0) {
		buf_puts(b, "; the first ");
		markup_put_number(b, p->n);
		buf_puts(b, " are drawn");
	}
}

static void
put_legend(struct buf *b, int y)
{
	int x = LEFT;

	buf_printf(b, "<path class=\"rows\" d=\"M%d %dh22\" stroke=\"#0969da\" stroke-width=\"2\"/><text x=\"%d\" y=\"%d\" " SVG_INK ">came</text>"
	    "<rect x=\"%d\" y=\"%d\" width=\"22\" height=\"12\" " SVG_BAND "/><text x=\"%d\" y=\"%d\" " SVG_INK ">expected</text>\n",
	    x, y - 4, x + 28, y, x + 78, y - 10, x + 106, y);
	x += 210;
	for (int i = SEVERITIES - 1; i >= 0; i--) {
		put_mark(b, i, x, y - 4);
		buf_printf(b, "<text x=\"%d\" y=\"%d\" " SVG_INK ">%s</text>\n", x + 14, y, event_severity_words[i]);
		x += 92;
	}
}

static void
put_head(const struct plot_findings *p, struct buf *b, struct slice title, int height)
{
	svg_begin(b, WIDTH, height, title);
	buf_puts(b, "<desc id=\"desc\">");
	put_extent(p, b);
	buf_puts(b, ".</desc>\n");
	svg_paper(b);
	buf_printf(b, "<text x=\"%d\" y=\"34\" font-size=\"17\" font-weight=\"600\" " SVG_INK ">", MARGIN);
	markup_put_cut(b, title, 120);
	buf_printf(b, "</text>\n<text x=\"%d\" y=\"55\" " SVG_SOFT ">", MARGIN);
	put_extent(p, b);
	buf_puts(b, "</text>\n");
	put_legend(b, 84);
}

/* ---- the whole ------------------------------------------------------------------ */

static void
find_extent(const struct plot_findings *p, struct panel *f)
{
	f->from_ms = p->events.rows > 0 ? p->events.first * p->events.width_ms : p->from_ms;
	f->to_ms = p->events.rows > 0 ? (p->events.first + columns_used(&p->events)) * p->events.width_ms : p->to_ms;
	if (p->n > 0 && p->from_ms < f->from_ms)
		f->from_ms = p->from_ms;
	if (p->n > 0 && p->to_ms > f->to_ms)
		f->to_ms = p->to_ms;
	if (f->to_ms <= f->from_ms)
		f->to_ms = f->from_ms + 60000;
}

int
plot_findings_write(struct plot_findings *p, const char *title, struct err *err)
{
	const size_t nlanes = p->nkinds == 0 ? 1 : p->nkinds < LANES ? p->nkinds : LANES;
	struct buf head, body;
	struct panel f = { .b = &body, .left = LEFT, .right = WIDTH - RIGHT, .top = TOP, .bottom = TOP + EVENTS_PX };
	int end = TOP + EVENTS_PX + GAP_PX + (int)nlanes * LANE_PX, rc;

	buf_init(&head, SVG_MAX_BYTES);
	buf_init(&body, SVG_MAX_BYTES);
	columns_widen(&p->events, COLUMNS_DRAWN);
	expect(&p->events);
	find_extent(p, &f);
	for (size_t i = 0; i < nlanes; i += 2)
		buf_printf(&body, "<rect class=\"stripe\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#f6f8fa\"/>\n", MARGIN - 8,
		    TOP + EVENTS_PX + GAP_PX + (int)i * LANE_PX, WIDTH - 2 * MARGIN + 16, LANE_PX);
	svg_put_time_axis(&f, end, TOP);
	put_events(&f, &p->events);
	f.top = TOP + EVENTS_PX + GAP_PX;
	f.bottom = end;
	put_lanes(p, &f);
	buf_printf(&body, "<path d=\"M%d %dH%d\" " SVG_AXIS "/>\n<text x=\"%d\" y=\"%d\" " SVG_SOFT ">time (UTC)</text>\n", LEFT, end, WIDTH - RIGHT,
	    MARGIN, end + 19);
	end += 30;
	if (p->ngravest > 0) {
		buf_printf(&body, "<text x=\"%d\" y=\"%d\" font-size=\"14\" font-weight=\"600\" " SVG_INK ">The gravest findings</text>\n", MARGIN, end + 26);
		end = put_gravest(p, &body, end + 52);
	}
	put_head(p, &head, slice_of(title), end + 8);
	buf_put(&head, body.p, body.n);
	svg_end(&head);
	head.failed |= body.failed;
	rc = plot_file_write(&p->out, &head, err);
	buf_fini(&head);
	buf_fini(&body);
	return rc;
}
