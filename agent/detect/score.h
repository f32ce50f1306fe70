/*
 * score.h - how surprising one row of a series is, given all rows before it. One pass, no look-ahead.
 *
 * Gives:   a score 0..1 (1 - 2^-R, alert at R >= 1), and what was expected.
 * Takes:   rows in order of time: an amount a window (requests, tokens), not negative.
 * State:   struct score, plain bytes: copying it is saving it. See README.md for the method.
 * Uses:    libm.
 */
#ifndef DETECT_SCORE_H
#define DETECT_SCORE_H

#include <stdbool.h>
#include <stdint.h>

#define SCORE_CELLS	64

/* A histogram over ln of a surprise, 8 cells a factor e, which forgets slowly. */
struct tail {
	float	cell[SCORE_CELLS];
	float	total;
	float	u5, u1;			/* values that 5 % and 1 % of rows exceed */
	float	above[2];		/* unused weight kept for rescaling: {scale, rows since quantiles} */
};

struct score {
	/* fast head: rows of at most two minutes, upward */
	float	mean, mean20;		/* exponential means, rates 0.1 and 0.05 */
	float	fano;			/* running variance over mean */
	float	hour[168];		/* mean of each hour of the week; negative: never seen */
	float	minute[60];		/* usual log-ratio of each minute of the hour */
	float	drift;			/* slow mean of the third surprise */
	float	last_r;
	float	hour_sum;
	struct tail tail[3];
	/* slow head: means of five minutes, both directions */
	float	slow_mean, slow_dev, slow_ewma, slow_level, slow_residual;
	float	low, high;
	struct tail slow_tail[2];
	float	slow_sum;
	/* both */
	float	hold;
	uint32_t rows, slow_rows, hour_rows, slow_part;
	int32_t	hour_no;		/* hours since 1970 of hour_sum; -1: none */
	int64_t	last_ms;
};

struct score_says {
	double	surprise;		/* R */
	double	score;			/* 1 - 2^-R */
	double	expected, usual_low, usual_high;
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

void	score_init(struct score *);
/* One row: amount x in the window of spacing_ms that begins at t_ms. `strict` 1 is the default sensitivity; more is quieter. */
struct score_says score_row(struct score *, int64_t t_ms, uint32_t spacing_ms, double x, double strict);
/* n rows of nothing up to (not including) t_ms, in one step. */
void	score_gap(struct score *, int64_t t_ms, uint32_t spacing_ms, uint32_t n);

#endif
