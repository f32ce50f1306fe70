/* page_chart.c - one series as a picture of the status page: a line, the band of what is usual, dots where it was surprising; and in words. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "detect/detect.h"
#include "run/markup.h"
#include "run/web.h"

#define WIDTH	400
#define HEIGHT	140
#define LEFT	34
#define TOP	8
#define BOTTOM	120

static float
most_of(const struct detect_chart *c)
{
	float most = 1;

	for (int i = 0; i < DETECT_POINTS; i++) {
		const struct detect_point *p = &c->points[i];

		if (p->known && p->value > most)
			most = p->value;
		if (p->known && p->high > most)
			most = p->high;
	}
	return most;
}

static double
x_of(int i)
{
	return LEFT + (double)i * (WIDTH - LEFT - 4) / (DETECT_POINTS - 1);
}

static double
y_of(float v, float most)
{
	return BOTTOM - (double)(v > 0 ? v : 0) / (double)most * (BOTTOM - TOP);
}

/* Above and back below, over the windows that are known. */
static void
put_band(struct buf *out, const struct detect_chart *c, float most)
{
	buf_puts(out, "<polygon class=band points=\"");
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known)
			buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->points[i].high, most));
	for (int i = DETECT_POINTS - 1; i >= 0; i--)
		if (c->points[i].known)
			buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->points[i].low, most));
	buf_puts(out, "\"/>");
}

static void
put_line(struct buf *out, const struct detect_chart *c, float most)
{
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known && c->points[i].alert)
			buf_printf(out, "<path class=stripe d=\"M%.1f %dh4v%dh-4z\"/>", x_of(i) - 2, TOP, BOTTOM - TOP);
	buf_puts(out, "<polyline class=seen points=\"");
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known)
			buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->points[i].value, most));
	buf_puts(out, "\"/>");
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known && c->points[i].alert)
			buf_printf(out, "<circle class=dot r=3.5 cx=%.1f cy=%.1f />", x_of(i), y_of(c->points[i].value, most));
}

/* The values' bounds and the times of the first, middle and last window. */
static void
put_axes(struct buf *out, const struct detect_chart *c, float most)
{
	char when[TIME_TEXT_BYTES];

	buf_printf(out, "<path class=grid d=\"M%d %dH%dM%d %dH%d\"/><text x=%d y=%d text-anchor=end>%.0f</text><text x=%d y=%d text-anchor=end>0</text>", LEFT, TOP,
	    WIDTH - 4, LEFT, BOTTOM, WIDTH - 4, LEFT - 5, TOP + 5, (double)most, LEFT - 5, BOTTOM + 2);
	for (int i = 0; i < 3; i++) {
		const int at = i * (DETECT_POINTS - 1) / 2;

		time_format_ms(c->first_ms + (int64_t)at * c->window_ms, when);
		buf_printf(out, "<text x=%.1f y=%d text-anchor=%s>%.5s %.5s</text>", x_of(at), BOTTOM + 16, i == 0 ? "start" : i == 1 ? "middle" : "end", when + 5, when + 11);
	}
}

void
page_chart_put(struct buf *out, const struct detect_chart *c, unsigned number)
{
	const struct detect_point *last = NULL;
	const float most = most_of(c);
	char when[TIME_TEXT_BYTES];
	int alerts = 0;

	for (int i = 0; i < DETECT_POINTS; i++) {
		if (c->points[i].known)
			last = &c->points[i];
		alerts += c->points[i].known && c->points[i].alert;
	}
	if (last == NULL)
		return;
	time_format_ms(c->first_ms + (int64_t)(DETECT_POINTS - 1) * c->window_ms, when);
	buf_puts(out, "<figure><figcaption><b>");
	markup_put(out, slice_of(c->name));
	buf_printf(out, "</b> <span id=words%u>%.0f request%s in the newest window (%.10s %.5s UTC), usually %.0f to %.0f; at most %.0f; %d surprising window%s.</span></figcaption>",
	    number, (double)last->value, last->value == 1 ? "" : "s", when, when + 11, (double)last->low, (double)last->high, (double)most, alerts,
	    alerts == 1 ? "" : "s");
	buf_printf(out, "<svg class=chart viewBox=\"0 0 %d %d\" role=img aria-labelledby=chart%u aria-describedby=words%u><title id=chart%u>Requests over time: ", WIDTH, HEIGHT,
	    number, number, number);
	markup_put(out, slice_of(c->name));
	buf_puts(out, "</title>");
	put_axes(out, c, most);
	put_band(out, c, most);
	put_line(out, c, most);
	buf_puts(out, "</svg></figure>\n");
}
