/* plot.c - a picture of a series, of bounded size however long the series is. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/plot.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

#define WIDTH		1280
#define HEIGHT		440
#define LEFT		84
#define RIGHT		24
#define TOP		58
#define BOTTOM		52
#define SVG_MAX_BYTES	(8u << 20)
#define ALERTS_TICKED	60	/* more columns with alerts than this: no lines down to the axis, only marks */

/* Neutral on white and on black. */
#define INK		"#7d8590"
#define SERIES		"#3b82f6"
#define BAND		"#22a06b"
#define ALERT		"#e5484d"

struct column {
	double		min, max, low, high;	/* low and high: sums over `ranged` rows */
	uint32_t	rows, ranged, alerts;
	double		alert_max;
};

struct plot {
	FILE		*file;
	char		*path;
	struct column	 column[PLOT_COLUMNS];
	int64_t		 width_ms;	/* of a column; doubled until all rows fit */
	int64_t		 first;		/* number of column[0]: time divided by width_ms */
	uint64_t	 rows, alerts;
	int64_t		 from_ms, to_ms;
};

int
plot_open(struct plot **ret, const char *path, struct err *err)
{
	struct plot *p = calloc(1, sizeof(*p));

	if (p == NULL || (p->path = strdup(path)) == NULL) {
		free(p);
		return err_set(err, ERR_AGAIN, "no memory for a picture");
	}
	p->width_ms = 1000;
	p->file = fopen(path, "we");
	if (p->file == NULL) {
		err_set_sys(err, ERR_AGAIN, "--plot: %s cannot be made", path);
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
	if (p->file != NULL)
		fclose(p->file);
	free(p->path);
	free(p);
}

/* ---- columns ------------------------------------------------------------------ */

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

static void
merge(struct column *to, const struct column *c)
{
	if (c->rows == 0)
		return;
	if (to->rows == 0) {
		*to = *c;
		return;
	}
	to->min = fmin(to->min, c->min);
	to->max = fmax(to->max, c->max);
	if (c->alerts > 0)
		to->alert_max = to->alerts > 0 ? fmax(to->alert_max, c->alert_max) : c->alert_max;
	to->low += c->low;
	to->high += c->high;
	to->rows += c->rows;
	to->ranged += c->ranged;
	to->alerts += c->alerts;
}

static void
halve(struct plot *p)
{
	struct column old[PLOT_COLUMNS];
	int64_t was = p->first;

	memcpy(old, p->column, sizeof(old));
	memset(p->column, 0, sizeof(p->column));
	p->width_ms *= 2;
	p->first = floor_div(was, 2);
	for (int64_t i = 0; i < PLOT_COLUMNS; i++)
		merge(&p->column[floor_div(was + i, 2) - p->first], &old[i]);
}

static int64_t
last_used(const struct plot *p)
{
	int64_t i = PLOT_COLUMNS - 1;

	while (i > 0 && p->column[i].rows == 0)
		i--;
	return i;
}

static struct column *
column_of(struct plot *p, int64_t t_ms)
{
	int64_t at, back;

	for (;; halve(p)) {
		at = floor_div(t_ms, p->width_ms) - p->first;
		if (at >= 0 && at < PLOT_COLUMNS)
			return &p->column[at];
		back = -at;
		if (at < 0 && last_used(p) + back < PLOT_COLUMNS)	/* a step back before the first row */
			break;
	}
	memmove(&p->column[back], p->column, (size_t)(PLOT_COLUMNS - back) * sizeof(p->column[0]));
	memset(p->column, 0, (size_t)back * sizeof(p->column[0]));
	p->first -= back;
	return &p->column[0];
}

void
plot_add(struct plot *p, const struct plot_row *row)
{
	bool ranged = isfinite(row->low) && isfinite(row->high);
	const struct column one = { .min = row->value, .max = row->value, .low = ranged ? row->low : 0, .high = ranged ? row->high : 0,
		.rows = 1, .ranged = ranged, .alerts = row->alert, .alert_max = row->value };

	if (p->rows++ == 0) {
		p->first = floor_div(row->t_ms, p->width_ms);
		p->from_ms = p->to_ms = row->t_ms;
	}
	p->from_ms = row->t_ms < p->from_ms ? row->t_ms : p->from_ms;
	p->to_ms = row->t_ms > p->to_ms ? row->t_ms : p->to_ms;
	p->alerts += row->alert;
	merge(column_of(p, row->t_ms), &one);
}

/* ---- axes ----------------------------------------------------------------------- */

struct frame {
	const struct plot	*p;
	struct buf		*b;
	double			 bottom, top;		/* values at the frame's edges */
	int64_t			 from_ms, to_ms;
};

static double
x_of(const struct frame *f, double t_ms)
{
	return LEFT + (t_ms - (double)f->from_ms) / (double)(f->to_ms - f->from_ms) * (WIDTH - LEFT - RIGHT);
}

static double
y_of(const struct frame *f, double value)
{
	double share = (value - f->bottom) / (f->top - f->bottom);

	return HEIGHT - BOTTOM - fmin(fmax(share, 0), 1) * (HEIGHT - TOP - BOTTOM);
}

static double
x_mid(const struct frame *f, int64_t column)
{
	return fmin(fmax(x_of(f, ((double)(f->p->first + column) + 0.5) * (double)f->p->width_ms), LEFT), WIDTH - RIGHT);
}

/* 1, 2 or 5 times a power of ten, so that about `n` fit. */
static double
nice_step(double span, int n)
{
	double raw = span / n, ten = pow(10, floor(log10(raw))), part = raw / ten;

	return ten * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

/* The value axis holds every row, and the usual range unless that dwarfs the rows. */
static void
fit_values(struct frame *f)
{
	double min = INFINITY, max = -INFINITY, high = -INFINITY, low = INFINITY, step;

	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &f->p->column[i];

		if (c->rows > 0) {
			min = fmin(min, c->min);
			max = fmax(max, c->max);
		}
		if (c->ranged > 0) {
			high = fmax(high, c->high / c->ranged);
			low = fmin(low, c->low / c->ranged);
		}
	}
	if (high > max)
		max = fmin(high, max + 0.5 * (max - min));
	if (low < min)
		min = fmax(low, min - 0.5 * (max - min));
	if (min > 0 && min < 0.5 * max)
		min = 0;
	if (!(max > min)) {
		max = max + (max == 0 ? 1 : 0.1 * fabs(max));
		min = min - (min == 0 ? 0 : 0.1 * fabs(min));
	}
	step = nice_step(max - min, 5);
	f->bottom = floor(min / step) * step;
	f->top = ceil(max / step) * step;
}

/* 1200000 as 1.2M. */
static void
put_short(struct buf *b, double v, double step)
{
	static const struct { double from; const char *letter; } units[] = { { 1e12, "T" }, { 1e9, "G" }, { 1e6, "M" }, { 1e4, "k" } };
	double by = 1;
	const char *letter = "";
	int digits = 0;

	for (size_t i = 0; i < 4 && by == 1; i++)
		if (fabs(v) >= units[i].from || (step >= units[i].from && v != 0)) {
			by = units[i].from == 1e4 ? 1e3 : units[i].from;
			letter = units[i].letter;
		}
	while (digits < 6 && fabs(remainder(v / by, pow(10, -digits))) > 1e-9 * fmax(1, fabs(v / by)))
		digits++;
	buf_printf(b, "%.*f%s", digits, v / by == 0 ? 0.0 : v / by, letter);
}

static void
put_value_axis(struct frame *f)
{
	double step = nice_step(f->top - f->bottom, 5);
	int n = (int)lround((f->top - f->bottom) / step);

	for (int i = 0; i <= n; i++) {
		double v = f->bottom + i * step, y = y_of(f, v);

		buf_printf(f->b, "<path d=\"M%d %.1fH%d\" stroke=\"" INK "\" stroke-opacity=\"0.25\"/>"
		    "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LEFT, y, WIDTH - RIGHT, LEFT - 8, y + 4);
		put_short(f->b, fabs(v) < step * 1e-6 ? 0 : v, step);
		buf_puts(f->b, "</text>\n");
	}
}

/* 2026-01-31T23:59:59.999Z cut to what changes between ticks. */
static void
put_time(struct buf *b, int64_t t_ms, int64_t step_ms, bool first)
{
	char text[TIME_TEXT_BYTES];

	time_format_ms(t_ms, text);
	if (first || (t_ms % 86400000 == 0 && step_ms < 86400000))
		buf_put(b, text, step_ms > INT64_C(86400000) * 300 ? 7 : 10);
	else if (step_ms >= 86400000)
		buf_put(b, text + (step_ms > INT64_C(86400000) * 300 ? 0 : 5), step_ms > INT64_C(86400000) * 300 ? 7 : 5);
	else if (step_ms >= 60000)
		buf_put(b, text + 11, 5);
	else
		buf_put(b, text + 11, 8);
}

static void
put_time_axis(struct frame *f)
{
	static const int64_t steps_s[] = { 1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10800, 21600, 43200, 86400, 172800, 604800, 1209600,
		2592000, 7776000, 31536000, 157680000, 315360000 };
	size_t n = sizeof(steps_s) / sizeof(steps_s[0]), i = 0;
	int64_t step, t;
	bool first = true;

	while (i + 1 < n && (f->to_ms - f->from_ms) / (steps_s[i] * 1000) > 11)
		i++;
	step = steps_s[i] * 1000;
	for (t = -floor_div(-f->from_ms, step) * step; t <= f->to_ms; t += step) {
		double x = x_of(f, (double)t);

		buf_printf(f->b, "<path d=\"M%.1f %dv5\" stroke=\"" INK "\"/><text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", x,
		    HEIGHT - BOTTOM, x, HEIGHT - BOTTOM + 19);
		put_time(f->b, t, step, first);
		buf_puts(f->b, "</text>\n");
		first = false;
	}
}

/* ---- the series ------------------------------------------------------------------- */

/* One closed area for each run of columns with a usual range. */
static void
put_band(struct frame *f)
{
	const struct column *c = f->p->column;

	buf_puts(f->b, "<path fill=\"" BAND "\" fill-opacity=\"0.28\" d=\"");
	for (int i = 0; i < PLOT_COLUMNS; i++) {
		int begin = i, last = i;

		if (c[i].ranged == 0)
			continue;
		for (; i < PLOT_COLUMNS; i++)		/* columns are finer than rows where rows are few: gaps of columns are none */
			if (c[i].ranged > 0)
				last = i;
		for (int k = begin; k <= last; k++)
			if (c[k].ranged > 0)
				buf_printf(f->b, "%c%.1f %.1f", k == begin ? 'M' : 'L', x_mid(f, k), y_of(f, c[k].high / c[k].ranged));
		for (int k = last; k >= begin; k--)
			if (c[k].ranged > 0)
				buf_printf(f->b, "L%.1f %.1f", x_mid(f, k), y_of(f, c[k].low / c[k].ranged));
		buf_putc(f->b, 'Z');
	}
	buf_puts(f->b, "\"/>\n");
}

static void
put_line(struct frame *f)
{
	bool first = true;

	buf_puts(f->b, "<path fill=\"none\" stroke=\"" SERIES "\" stroke-width=\"1.2\" stroke-linejoin=\"round\" d=\"");
	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &f->p->column[i];
		double x = x_mid(f, i);

		if (c->rows == 0)
			continue;
		buf_printf(f->b, "%c%.1f %.1f", first ? 'M' : 'L', x, y_of(f, c->min));
		if (c->max > c->min)
			buf_printf(f->b, "V%.1f", y_of(f, c->max));
		first = false;
	}
	buf_puts(f->b, "\"/>\n");
}

static void
put_alerts(struct frame *f)
{
	int n = 0;

	for (int i = 0; i < PLOT_COLUMNS; i++)
		n += f->p->column[i].alerts > 0;
	for (int i = 0; i < PLOT_COLUMNS; i++) {
		const struct column *c = &f->p->column[i];
		double x = x_mid(f, i), y;

		if (c->alerts == 0)
			continue;
		y = y_of(f, c->alert_max);
		if (n <= ALERTS_TICKED)
			buf_printf(f->b, "<path d=\"M%.1f %.1fV%d\" stroke=\"" ALERT "\" stroke-opacity=\"0.35\"/>", x, y, HEIGHT - BOTTOM);
		buf_printf(f->b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"" ALERT "\"/>\n", x, y);
	}
}

static void
put_escaped(struct buf *b, const char *s)
{
	for (; *s != '\0'; s++)
		switch (*s) {
		case '&': buf_puts(b, "&amp;"); break;
		case '<': buf_puts(b, "&lt;"); break;
		case '>': buf_puts(b, "&gt;"); break;
		case '"': buf_puts(b, "&quot;"); break;
		default: buf_putc(b, (unsigned char)*s < 0x20 ? '?' : *s);
		}
}

static void
put_legend(struct frame *f)
{
	buf_printf(f->b, "<g transform=\"translate(%d 26)\">"
	    "<path d=\"M0 -4h22\" stroke=\"" SERIES "\" stroke-width=\"2\"/><text x=\"28\" y=\"0\">seen</text>"
	    "<rect x=\"84\" y=\"-9\" width=\"22\" height=\"10\" fill=\"" BAND "\" fill-opacity=\"0.28\"/><text x=\"112\" y=\"0\">expected</text>"
	    "<circle cx=\"198\" cy=\"-4\" r=\"4\" fill=\"" ALERT "\"/><text x=\"208\" y=\"0\">alert (%llu)</text></g>\n",
	    WIDTH - RIGHT - 310, (unsigned long long)f->p->alerts);
}

static void
put_svg(struct frame *f, const char *title, const char *unit)
{
	char from[TIME_TEXT_BYTES], to[TIME_TEXT_BYTES];

	buf_printf(f->b, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
	    "font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"" INK "\">\n<title>", WIDTH, HEIGHT);
	put_escaped(f->b, title);
	buf_printf(f->b, "</title>\n<text x=\"%d\" y=\"26\" font-size=\"15\" font-weight=\"600\">", LEFT);
	put_escaped(f->b, title);
	buf_printf(f->b, "</text>\n<text x=\"%d\" y=\"44\">", LEFT);
	if (f->p->rows > 0) {
		time_format_ms(f->p->from_ms, from);
		time_format_ms(f->p->to_ms, to);
		buf_printf(f->b, "%llu windows, %.10s %.5s to %.10s %.5s UTC", (unsigned long long)f->p->rows, from, from + 11, to, to + 11);
	} else {
		buf_puts(f->b, "no windows");
	}
	buf_printf(f->b, "</text>\n<text transform=\"translate(20 %d) rotate(-90)\" text-anchor=\"middle\">", TOP + (HEIGHT - TOP - BOTTOM) / 2);
	put_escaped(f->b, unit);
	buf_printf(f->b, "</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">time (UTC)</text>\n", LEFT + (WIDTH - LEFT - RIGHT) / 2,
	    HEIGHT - 10);
	put_legend(f);
	put_value_axis(f);
	put_time_axis(f);
	if (f->p->rows > 0) {
		put_band(f);
		put_line(f);
		put_alerts(f);
	}
	buf_printf(f->b, "<path d=\"M%d %dV%dH%d\" fill=\"none\" stroke=\"" INK "\"/>\n</svg>\n", LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT);
}

int
plot_write(struct plot *p, const char *title, const char *unit, struct err *err)
{
	struct buf b;
	struct frame f = { .p = p, .b = &b, .top = 1, .from_ms = p->from_ms, .to_ms = p->to_ms };
	const char *name = strrchr(title, '/');
	int rc = 0;

	buf_init(&b, SVG_MAX_BYTES);
	if (p->rows > 0)
		fit_values(&f);
	if (f.to_ms <= f.from_ms)
		f.to_ms = f.from_ms + 60000;
	put_svg(&f, name != NULL ? name + 1 : title, unit);
	if (b.failed)
		rc = err_set(err, ERR_AGAIN, "no memory for a picture");
	else if (fwrite(b.p, 1, b.n, p->file) != b.n || fflush(p->file) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "--plot: %s cannot be written", p->path);
	buf_fini(&b);
	return rc;
}
