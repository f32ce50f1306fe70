/* plot_svg.c - the file of a picture, its colours, and axes. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "run/markup.h"
#include "run/plot_parts.h"

#define DAY_MS		INT64_C(86400000)
#define TICK_PX		88	/* a date and the air around it */

/* A sheet of white for readers that know no CSS and for printers; what asks for dark on a screen gets it. */
static const char dark[] =
    "<style>@media screen and (prefers-color-scheme:dark){.paper{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9da7b3}"
    ".grid{stroke:#30363d}.axis{stroke:#9da7b3}.rows{stroke:#58a6ff}.bars{fill:#58a6ff}.band{fill:#3fb950}.edge{stroke:#7ee787}.alert{fill:#ff7b72}"
    ".tick{stroke:#ff7b72}.stripe{fill:#161b22}.s4{fill:#ff6a88}.s3{fill:#ff9b5e}.s2{fill:#e3b341}.s1{fill:#79c0ff}"
    ".s0{stroke:#9da7b3}.halo{stroke:#0d1117}}</style>\n";

/* ---- the file ------------------------------------------------------------------- */

int
plot_file_open(struct plot_file *f, const char *path, struct err *err)
{
	f->path = strdup(path);
	if (f->path == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a picture");
	f->file = fopen(path, "we");
	return f->file != NULL ? 0 : err_set_sys(err, ERR_AGAIN, "--plot: %s cannot be made", path);
}

int
plot_file_write(struct plot_file *f, const struct buf *b, struct err *err)
{
	if (b->failed)
		return err_set(err, ERR_AGAIN, "no memory for a picture");
	if (fwrite(b->p, 1, b->n, f->file) != b->n || fflush(f->file) != 0)
		return err_set_sys(err, ERR_AGAIN, "--plot: %s cannot be written", f->path);
	return 0;
}

void
plot_file_close(struct plot_file *f)
{
	if (f->file != NULL)
		fclose(f->file);
	free(f->path);
}

/* ---- words ------------------------------------------------------------------------ */

void
svg_begin(struct buf *b, int width, int height, struct slice title)
{
	buf_printf(b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" "
	    "aria-labelledby=\"title desc\" font-family=\"system-ui, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif\" font-size=\"12\">\n<title id=\"title\">",
	    width, height, width, height);
	markup_put(b, title);
	buf_puts(b, "</title>\n");
}

/* Behind title and description, which stand first. */
void
svg_paper(struct buf *b)
{
	buf_puts(b, dark);
	buf_puts(b, "<rect class=\"paper\" width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n");
}

void
svg_end(struct buf *b)
{
	buf_puts(b, "</svg>\n");
}

void
svg_put_minute(struct buf *b, int64_t t_ms)
{
	char text[TIME_TEXT_BYTES];

	time_format_ms(t_ms, text);
	buf_printf(b, "%.10s %.5s", text, text + 11);
}

/* ---- axes ----------------------------------------------------------------------- */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

double
svg_x(const struct panel *p, double t_ms)
{
	const double x = p->left + (t_ms - (double)p->from_ms) / (double)(p->to_ms - p->from_ms) * (p->right - p->left);

	return fmin(fmax(x, p->left), p->right);
}

double
svg_y(const struct panel *p, double value)
{
	const double share = (value - p->low) / (p->high - p->low);

	return p->bottom - fmin(fmax(share, 0), 1) * (p->bottom - p->top);
}

double
svg_x_of_column(const struct panel *p, const struct columns *c, int64_t i)
{
	return svg_x(p, ((double)(c->first + i) + 0.5) * (double)c->width_ms);
}

/* 1, 2 or 5 times a power of ten, so that about `n` fit. */
static double
nice_step(double span, int n)
{
	const double raw = span / n, ten = pow(10, floor(log10(raw))), part = raw / ten;

	return ten * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

void
svg_fit(struct panel *p, double min, double max, int steps)
{
	double step;

	if (!(max > min)) {
		max = max + (max == 0 ? 1 : 0.1 * fabs(max));
		min = min - (min == 0 ? 0 : 0.1 * fabs(min));
	}
	step = nice_step(max - min, steps);
	p->low = floor(min / step) * step;
	p->high = ceil(max / step) * step;
}

/* 1200000 as 1.2M. */
static void
put_short(struct buf *b, double v, double step)
{
	static const struct { double from; const char *letter; } units[] = { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k" } };
	double by = 1;
	const char *letter = "";
	int digits = 0;

	if (fabs(v) >= 1e15 || (v != 0 && fabs(v) < 1e-4)) {
		buf_printf(b, "%.3g", v);
		return;
	}
	for (size_t i = 0; i < 4 && by == 1; i++)
		if (fabs(v) >= units[i].from || (step >= units[i].from && v != 0)) {
			by = units[i].from == 1e4 ? 1e3 : units[i].from;
			letter = units[i].letter;
		}
	while (digits < 6 && fabs(remainder(v / by, pow(10, -digits))) > 1e-9 * fmax(1, fabs(v / by)))
		digits++;
	buf_printf(b, "%.*f%s", digits, v / by == 0 ? 0.0 : v / by, letter);
}

void
svg_put_value_axis(const struct panel *p, int steps)
{
	const double step = nice_step(p->high - p->low, steps);
	const int n = (int)lround((p->high - p->low) / step);

	for (int i = 0; i <= n; i++) {
		const double v = p->low + i * step, y = svg_y(p, v);

		buf_printf(p->b, "<path d=\"M%d %.1fH%d\" " SVG_GRID "/><text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" " SVG_SOFT ">",
		    p->left, y, p->right, p->left - 8, y + 4);
		put_short(p->b, fabs(v) < step * 1e-6 ? 0 : v, step);
		buf_puts(p->b, "</text>\n");
	}
}

/* 2026-01-31T23:59:59.999Z cut to what changes between ticks; `day`: the tick is the first, or a day begins. */
static void
put_time(struct buf *b, int64_t t_ms, int64_t step_ms, bool day)
{
	char text[TIME_TEXT_BYTES];

	time_format_ms(t_ms, text);
	if (step_ms > DAY_MS * 25)
		buf_put(b, text, 7);
	else if (day)
		buf_put(b, text, 10);
	else if (step_ms >= DAY_MS)
		buf_put(b, text + 5, 5);
	else
		buf_put(b, text + 11, step_ms >= 60000 ? 5 : 8);
}

static int64_t
time_step_ms(const struct panel *p)
{
	static const int64_t steps_s[] = { 1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600,
		2592000, 7776000, 31536000, 157680000, 315360000 };
	const size_t n = sizeof(steps_s) / sizeof(steps_s[0]);
	const int64_t most = (p->right - p->left) / TICK_PX;
	int64_t step;
	size_t i = 0;

	while (i + 1 < n && (p->to_ms - p->from_ms) / (steps_s[i] * 1000) > most)
		i++;
	step = steps_s[i] * 1000;
	while ((p->to_ms - p->from_ms) / step > most)
		step *= 2;
	return step;
}

void
svg_put_time_axis(const struct panel *p, int bottom, int grid_top)
{
	const int64_t step = time_step_ms(p);
	bool first = true;

	for (int64_t t = -floor_div(-p->from_ms, step) * step; t <= p->to_ms; t += step) {
		const bool day = first || (t % DAY_MS == 0 && step < DAY_MS);
		const double x = svg_x(p, (double)t);
		const char *anchor = x > p->right - 24 ? "end" : "middle";	/* left of it there is always room */

		if (grid_top >= 0)
			buf_printf(p->b, "<path d=\"M%.1f %dV%d\" " SVG_GRID "/>", x, grid_top, bottom);
		buf_printf(p->b, "<path d=\"M%.1f %dv5\" " SVG_AXIS "/><text x=\"%.1f\" y=\"%d\" text-anchor=\"%s\" " SVG_SOFT ">", x, bottom, x,
		    bottom + 19, anchor);
		put_time(p->b, t, step, day);
		buf_puts(p->b, "</text>\n");
		first = false;
	}
}

/* From the first column with a usual range to the last: columns are finer than rows where rows are few, so what is between them is no gap. */
void
svg_put_band(const struct panel *p, const struct columns *c)
{
	bool first = true;

	buf_puts(p->b, "<defs><path id=\"band\" d=\"");
	for (int i = 0; i < PLOT_COLUMNS; i++)
		if (c->v[i].ranged > 0) {
			buf_printf(p->b, "%c%.1f %.1f", first ? 'M' : 'L', svg_x_of_column(p, c, i), svg_y(p, c->v[i].high / c->v[i].ranged));
			first = false;
		}
	for (int i = PLOT_COLUMNS - 1; i >= 0; i--)
		if (c->v[i].ranged > 0)
			buf_printf(p->b, "L%.1f %.1f", svg_x_of_column(p, c, i), svg_y(p, c->v[i].low / c->v[i].ranged));
	buf_puts(p->b, first ? "\"/></defs>\n<use href=\"#band\" " SVG_BAND "/>\n" : "Z\"/></defs>\n<use href=\"#band\" " SVG_BAND "/>\n");
}

void
svg_put_band_edge(const struct panel *p)
{
	buf_puts(p->b, "<use href=\"#band\" class=\"edge\" fill=\"none\" stroke=\"#116329\" stroke-width=\"1.2\"/>\n");
}
