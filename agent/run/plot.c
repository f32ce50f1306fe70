/* plot.c - a picture of a series, of bounded size however long the series is. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/plot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "run/markup.h"
#include "run/plot_parts.h"

#define WIDTH		1280
#define HEIGHT		460
#define LEFT		84
#define RIGHT		24
#define TOP		96
#define BOTTOM		52
#define STEPS		5
#define ALERTS_TICKED	60	/* more columns with alerts than this: no lines down to the axis, only marks */

struct plot {
	struct plot_file	 out;
	struct columns		 columns;
};

int
plot_open(struct plot **ret, const char *path, struct err *err)
{
	struct plot *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a picture");
	columns_init(&p->columns, NULL);
	if (plot_file_open(&p->out, path, err) != 0) {
		plot_free(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
plot_free(struct plot *p)
{
	if (p == NULL)
		return;
	plot_file_close(&p->out);
	free(p);
}

void
plot_add(struct plot *p, const struct plot_row *row)
{
	const bool ranged = isfinite(row->low) && isfinite(row->high);
	const struct column one = { .min = row->value, .max = row->value, .low = ranged ? row->low : 0, .high = ranged ? row->high : 0,
		.rows = 1, .ranged = ranged, .alerts = row->alert, .alert_max = row->value };

	columns_add(&p->columns, row->t_ms, &one);
}

/* The value axis holds every row, and the usual range unless that dwarfs the rows. */
static void
fit_values(struct panel *f, const struct columns *all, double *ret_max)
{
	double min = INFINITY, max = -INFINITY, high = -INFINITY, low = INFINITY;

	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &all->v[i];

		if (c->rows > 0) {
			min = fmin(min, c->min);
			max = fmax(max, c->max);
		}
		if (c->ranged > 0) {
			high = fmax(high, c->high / c->ranged);
			low = fmin(low, c->low / c->ranged);
		}
	}
	*ret_max = max;
	if (high > max)
		max = fmin(high, max + 0.5 * (max - min));
	if (low < min)
		min = fmax(low, min - 0.5 * (max - min));
	if (min > 0 && min < 0.5 * max)
		min = 0;
	svg_fit(f, min, max, STEPS);
}

static void
put_line(const struct panel *f, const struct columns *all)
{
	bool first = true;

	buf_puts(f->b, "<path class=\"rows\" fill=\"none\" stroke=\"#0969da\" stroke-width=\"1.2\" stroke-linejoin=\"round\" d=\"");
	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &all->v[i];
		const double x = svg_x_of_column(f, all, i);

		if (c->rows == 0)
			continue;
		buf_printf(f->b, "%c%.1f %.1f", first ? 'M' : 'L', x, svg_y(f, c->min));
		if (c->max > c->min)
			buf_printf(f->b, "V%.1f", svg_y(f, c->max));
		first = false;
	}
	buf_puts(f->b, "\"/>\n");
}

static void
put_alerts(const struct panel *f, const struct columns *all)
{
	int n = 0;

	for (int i = 0; i < PLOT_COLUMNS; i++)
		n += all->v[i].alerts > 0;
	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &all->v[i];
		const double x = svg_x_of_column(f, all, i);
		double y;

		if (c->alerts == 0)
			continue;
		y = svg_y(f, c->alert_max);
		if (n <= ALERTS_TICKED)
			buf_printf(f->b, "<path class=\"tick\" d=\"M%.1f %.1fV%d\" stroke=\"#cf222e\" stroke-opacity=\"0.4\"/>", x, y, f->bottom);
		buf_printf(f->b, "<circle class=\"alert\" cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"#cf222e\"/>\n", x, y);
	}
}

static void
put_legend(struct buf *b, const struct columns *all)
{
	buf_printf(b, "<g transform=\"translate(%d 76)\">"
	    "<path class=\"rows\" d=\"M0 -4h22\" stroke=\"#0969da\" stroke-width=\"2\"/><text x=\"28\" " SVG_INK ">seen</text>"
	    "<rect x=\"78\" y=\"-10\" width=\"22\" height=\"12\" " SVG_BAND "/><text x=\"106\" " SVG_INK ">expected</text>"
	    "<circle class=\"alert\" cx=\"182\" cy=\"-4\" r=\"4\" fill=\"#cf222e\"/><text x=\"192\" " SVG_INK ">alert (%llu)</text></g>\n",
	    LEFT, (unsigned long long)all->alerts);
}

static void
put_extent(struct buf *b, const struct columns *all)
{
	if (all->rows == 0) {
		buf_puts(b, "no windows");
		return;
	}
	markup_put_number(b, all->rows);
	buf_puts(b, " windows, ");
	svg_put_minute(b, all->from_ms);
	buf_puts(b, " to ");
	svg_put_minute(b, all->to_ms);
	buf_puts(b, " UTC");
}

static void
put_head(struct buf *b, const struct columns *all, struct slice title, double max)
{
	svg_begin(b, WIDTH, HEIGHT, title);
	buf_puts(b, "<desc id=\"desc\">");
	put_extent(b, all);
	if (all->rows > 0)
		buf_printf(b, "; %llu of them alerts; the highest value is %.6g", (unsigned long long)all->alerts, max);
	buf_puts(b, ".</desc>\n");
	svg_paper(b);
	buf_printf(b, "<text x=\"%d\" y=\"32\" font-size=\"17\" font-weight=\"600\" " SVG_INK ">", LEFT);
	markup_put_cut(b, title, 110);
	buf_printf(b, "</text>\n<text x=\"%d\" y=\"52\" " SVG_SOFT ">", LEFT);
	put_extent(b, all);
	buf_puts(b, "</text>\n");
}

static void
put_svg(struct panel *f, const struct columns *all, const char *title, const char *unit)
{
	double max = 0;

	if (all->rows > 0)
		fit_values(f, all, &max);
	put_head(f->b, all, slice_of(title), max);
	buf_printf(f->b, "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\" " SVG_SOFT ">", (f->top + f->bottom) / 2);
	markup_put(f->b, slice_of(unit));
	buf_printf(f->b, "</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" " SVG_SOFT ">time (UTC)</text>\n", (f->left + f->right) / 2, HEIGHT - 10);
	put_legend(f->b, all);
	svg_put_value_axis(f, STEPS);
	svg_put_time_axis(f, f->bottom, -1);
	if (all->rows > 0) {
		svg_put_band(f, all);
		put_line(f, all);
		svg_put_band_edge(f);
		put_alerts(f, all);
	}
	buf_printf(f->b, "<path d=\"M%d %dV%dH%d\" fill=\"none\" " SVG_AXIS "/>\n", f->left, f->top, f->bottom, f->right);
	svg_end(f->b);
}

int
plot_write(struct plot *p, const char *title, const char *unit, struct err *err)
{
	struct buf b;
	struct panel f = { .b = &b, .left = LEFT, .right = WIDTH - RIGHT, .top = TOP, .bottom = HEIGHT - BOTTOM, .high = 1,
		.from_ms = p->columns.from_ms, .to_ms = p->columns.to_ms };
	const char *slash = strrchr(title, '/');
	int rc;

	buf_init(&b, SVG_MAX_BYTES);
	if (f.to_ms <= f.from_ms)
		f.to_ms = f.from_ms + 60000;
	put_svg(&f, &p->columns, slash != NULL ? slash + 1 : title, unit);
	rc = plot_file_write(&p->out, &b, err);
	buf_fini(&b);
	return rc;
}
