/* page_chart.c - one series as a picture of the status page: a line, the band of what is usual, dots where it was surprising; and in words. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "detect/detect.h"
#include "run/web.h"

#define WIDTH	360
#define HEIGHT	90

static void
put_escaped(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == '<' || *text == '>' || *text == '&' || *text == '"')
			buf_printf(out, "&#%u;", (unsigned char)*text < 0x20 ? ' ' : (unsigned char)*text);
		else
			buf_putc(out, *text);
}

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
	return (double)i * WIDTH / (DETECT_POINTS - 1);
}

static double
y_of(float v, float most)
{
	return HEIGHT - 2 - (double)(v > 0 ? v : 0) / (double)most * (HEIGHT - 6);
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
	buf_puts(out, "<polyline class=seen points=\"");
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known)
			buf_printf(out, "%.1f,%.1f ", x_of(i), y_of(c->points[i].value, most));
	buf_puts(out, "\"/>");
	for (int i = 0; i < DETECT_POINTS; i++)
		if (c->points[i].known && c->points[i].alert)
			buf_printf(out, "<circle class=dot r=3 cx=%.1f cy=%.1f />", x_of(i), y_of(c->points[i].value, most));
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
	buf_printf(out, "<figure><svg viewBox=\"0 0 %d %d\" role=img aria-labelledby=chart%u>", WIDTH, HEIGHT, number);
	put_band(out, c, most);
	put_line(out, c, most);
	buf_printf(out, "</svg><figcaption id=chart%u><b>", number);
	put_escaped(out, c->name);
	buf_printf(out, "</b>: %.0f requests in the newest window (%.10s %.5s UTC), usually %.0f to %.0f; at most %.0f; %d surprising window%s.</figcaption></figure>",
	    (double)last->value, when, when + 11, (double)last->low, (double)last->high, (double)most, alerts, alerts == 1 ? "" : "s");
}
