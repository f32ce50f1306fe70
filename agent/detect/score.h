/*
 * score.h - how surprising one row of a series is, given all rows before it. One pass, no look-ahead.
 *
 * Gives:   a surprise R, a score 0..1 (1 - 2^-R; alert at R >= 1), and what was expected.
 * Takes:   rows: an amount a window (requests, tokens). Times may repeat, leave gaps or step back.
 * State:   struct score, plain bytes: copying it is saving it. README.md has the method and its formulas.
 * Uses:    libm.
 */
#ifndef DETECT_SCORE_H
#define DETECT_SCORE_H

#include <stdbool.h>
#include <stdint.h>
#include "detect/tail.h"

#define SCORE_SLOTS	336		/* half hours of a week */
#define SCORE_FINE_MS	120000		/* of a series nobody knows: rows up to so long count calls, longer ones may be anything */

/* Surges: upward, against level and time of the week. */
struct fast {
	float		mean;			/* of recent rows, without the usual of their minute */
	float		level;			/* ln of recent rows over the usual of the week */
	float		phi, sigma2;		/* variance of a row: phi * mean + sigma2 * mean^2 */
	float		sums[7];		/* of the regression that finds them */
	float		last_z, lift, slope, drift;
	float		slot_sum;
	float		before, here, after;	/* usual of the half hours around, decoded; negative: never seen */
	float		slot_scale;		/* what the coded ones are times: a borrowed week is larger */
	uint16_t	slot_rows;
	uint16_t	alarm;			/* rows in which large values still belong to the last alarm */
	uint32_t	exact;			/* 1: this half hour was seen in earlier weeks, not only its like on other days */
	int32_t		slot_no;		/* half hours since 1970 of slot_sum; -1: none */
	struct tail	tail[4];		/* of z, of two rows' z, of lift and slope */
	uint16_t	slot[SCORE_SLOTS];	/* usual of each half hour of the week, coded; 0: never seen */
};

#define SLOW_PARTS	5

/* Levels, ranges and shapes: both directions. */
struct slow {
	float		mean, dev, ewma, level, residual;
	float		low, high;		/* range seen */
	float		last, move_short, move_long;
	float		shape_var, all_var;	/* variance around the shape of the day, and around the mean */
	float		shape_sum;		/* of the half hour that is going on */
	uint16_t	shape_rows, shape_slot;
	uint32_t	calm;			/* rows since the last alert */
	float		hold[SLOW_PARTS];
	struct tail	tail[4];
};

struct score {
	uint32_t	rows;
	uint32_t	fine_ms;		/* rows up to so long are for the fast head alone */
	float		hold;
	uint8_t		fractions, negative;	/* such values were seen */
	uint8_t		usual_of;		/* what `usual` is now: 0 nothing yet, 1 minutes, 2 half hours */
	float		usual[60];		/* fine rows: excess of each minute of the hour; others: each half hour of the day */
	struct fast	fast;
	struct slow	slow;
};

struct score_says {
	double	surprise;		/* R */
	double	score;			/* 1 - 2^-R */
	double	expected;
};

/* How long a window of a series is whose rows only say when: learnt from the steps between them. */
struct score_spacing {
	int64_t		last_ms;
	uint32_t	rows;
	float		usual_ms;
};
/* The spacing to give score_row for a row at t_ms; 0 while nothing is known. */
uint32_t score_spacing(struct score_spacing *, int64_t t_ms);

/* What `strict` is for so many expected false alarms a series and week. */
double	score_strict(double sensitivity);

/* fine_ms: SCORE_FINE_MS, or the window of a detector that knows that it counts calls. */
void	score_init(struct score *, uint32_t fine_ms);
/* A new series takes noise and week of its kin, scaled to its own first amount x. */
void	score_borrow(struct score *, const struct score *kin, int64_t t_ms, double x);
/* One row: amount x in the window of spacing_ms that begins at t_ms. `strict` 1 is the default sensitivity; more is quieter. */
struct score_says score_row(struct score *, int64_t t_ms, uint32_t spacing_ms, double x, double strict);
/* What the last row said was not worth a word: it does not keep back what follows. */
void	score_unsaid(struct score *);
/* n rows of nothing up to (not including) t_ms, in one step. */
void	score_gap(struct score *, int64_t t_ms, uint32_t spacing_ms, uint32_t n);
/* What came at this moment of earlier weeks; 0 where nothing is known. */
double	score_usual(const struct score *, int64_t t_ms);
/* The range that nine of ten rows keep to where `expected` is; false while too little is known. */
bool	score_range(const struct score *, uint32_t spacing_ms, double expected, double *ret_low, double *ret_high);

#endif
