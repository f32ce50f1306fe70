/* plot_columns.c - rows of any time in a bounded number of columns. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <string.h>

#include "run/plot_parts.h"

const uint32_t plot_clock_ladder_s[] = { 60, 300, 900, 3600, 10800, 21600, 43200, 86400, 604800, 0 };

static int64_t
floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

void
columns_init(struct columns *c, const uint32_t *ladder_s)
{
	memset(c, 0, sizeof(*c));
	c->ladder_s = ladder_s;
	c->width_ms = ladder_s != NULL ? (int64_t)ladder_s[0] * 1000 : 1000;
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

/* How many of the present columns make one of the next width. */
static int64_t
next_factor(const struct columns *c)
{
	for (const uint32_t *s = c->ladder_s; s != NULL && *s != 0; s++)
		if ((int64_t)*s * 1000 > c->width_ms)
			return (int64_t)*s * 1000 / c->width_ms;
	return 2;
}

static void
widen(struct columns *c)
{
	struct column old[PLOT_COLUMNS];
	const int64_t was = c->first, by = next_factor(c);

	memcpy(old, c->v, sizeof(old));
	memset(c->v, 0, sizeof(c->v));
	c->width_ms *= by;
	c->first = floor_div(was, by);
	for (int64_t i = 0; i < PLOT_COLUMNS; i++)
		merge(&c->v[floor_div(was + i, by) - c->first], &old[i]);
}

int64_t
columns_used(const struct columns *c)
{
	int64_t n = PLOT_COLUMNS;

	while (n > 0 && c->v[n - 1].rows == 0)
		n--;
	return n;
}

void
columns_widen(struct columns *c, int64_t most)
{
	while (columns_used(c) > most)
		widen(c);
}

static struct column *
column_at(struct columns *c, int64_t t_ms)
{
	int64_t at, back;

	for (;; widen(c)) {
		at = floor_div(t_ms, c->width_ms) - c->first;
		if (at >= 0 && at < PLOT_COLUMNS)
			return &c->v[at];
		back = -at;
		if (at < 0 && columns_used(c) + back <= PLOT_COLUMNS)	/* a step back before the first row */
			break;
	}
	memmove(&c->v[back], c->v, (size_t)(PLOT_COLUMNS - back) * sizeof(c->v[0]));
	memset(c->v, 0, (size_t)back * sizeof(c->v[0]));
	c->first -= back;
	return &c->v[0];
}

void
columns_add(struct columns *c, int64_t t_ms, const struct column *row)
{
	if (c->rows == 0) {
		c->first = floor_div(t_ms, c->width_ms);
		c->from_ms = c->to_ms = t_ms;
	}
	c->from_ms = t_ms < c->from_ms ? t_ms : c->from_ms;
	c->to_ms = t_ms > c->to_ms ? t_ms : c->to_ms;
	c->rows += row->rows;
	c->alerts += row->alerts;
	merge(column_at(c, t_ms), row);
}
