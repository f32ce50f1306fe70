/*
 * tail.h - inside the scorer: the upper tail of a statistic of one series, which forgets slowly.
 *
 * A histogram over ln of the statistic, TAIL_PER_E cells a factor e, from `lowest` up; what lies below only counts in the total.
 */
#ifndef DETECT_TAIL_H
#define DETECT_TAIL_H

#include <stdint.h>

#define TAIL_CELLS	24
#define TAIL_PER_E	8.0f

struct tail {
	float	cell[TAIL_CELLS];
	float	total;
	float	scale;			/* what a new row weighs: grows, so that the old ones fade */
	float	high, low;		/* values that a small and a larger share of the rows exceed, as of the last tail_measure */
};

/* fmaxf and fminf are calls where NaN must be minded; here none is. */
static inline float
larger(float a, float b)
{
	return a > b ? a : b;
}

static inline float
smaller(float a, float b)
{
	return a < b ? a : b;
}

/* Place of a value among the cells; negative: below all. */
float	tail_place(float v, float lowest);
void	tail_add(struct tail *, float place, float weight, float forget_rows);
/* So many rows that lay below all cells, in one step. */
void	tail_gap(struct tail *, float rows, float forget_rows);
/* Sets high and low: the values that these shares of the weight exceed (`lowest` where even all cells hold less). */
void	tail_measure(struct tail *, float lowest, float share_high, float share_low);
/* Weight of rows in the cell of this place and above, and of all rows, in rows. */
float	tail_above(const struct tail *, float place);
static inline float
tail_rows(const struct tail *t)
{
	return t->scale > 0 ? t->total / t->scale : 0;
}

#endif
