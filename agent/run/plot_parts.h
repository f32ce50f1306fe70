/*
 * plot_parts.h - what the pictures of a backtest have in common: columns of time, and SVG with axes.
 *
 * Columns: as many rows as there are, in any order of time, in PLOT_COLUMNS columns; each knows its rows' number, lowest and highest.
 * SVG:     one scheme in attributes, which every reader understands and a printer gets; a dark one in CSS for screens that ask for it.
 */
#ifndef RUN_PLOT_PARTS_H
#define RUN_PLOT_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/buf.h"

#define PLOT_COLUMNS	1200

struct err;

/* ---- columns ------------------------------------------------------------------ */

struct column {
	double		min, max, low, high;	/* low and high: sums over `ranged` rows */
	uint32_t	rows, ranged, alerts;
	double		alert_max;
};

struct columns {
	struct column	 v[PLOT_COLUMNS];
	const uint32_t	*ladder_s;	/* widths that a clock has, in seconds, each a multiple of the one before, ends at 0; NULL: doubled */
	int64_t		 width_ms;
	int64_t		 first;		/* number of v[0]: time divided by width_ms */
	int64_t		 from_ms, to_ms;	/* of the rows */
	uint64_t	 rows, alerts;
};

extern const uint32_t plot_clock_ladder_s[];
void	columns_init(struct columns *, const uint32_t *ladder_s);
void	columns_add(struct columns *, int64_t t_ms, const struct column *row);
/* Wider ones, until at most `most` are in use. */
void	columns_widen(struct columns *, int64_t most);
int64_t	columns_used(const struct columns *);	/* up to the last one with rows */

/* ---- the file ------------------------------------------------------------------- */

/* Opened before the work is done, so that a wrong path costs nothing. */
struct plot_file { FILE *file; char *path; };
int	plot_file_open(struct plot_file *, const char *path, struct err *);
int	plot_file_write(struct plot_file *, const struct buf *, struct err *);
void	plot_file_close(struct plot_file *);

/* ---- SVG -------------------------------------------------------------------------- */

#define SVG_MAX_BYTES	(8u << 20)

/* The light scheme; the dark one is in plot_svg.c by the same class names. */
#define SVG_INK		"class=\"ink\" fill=\"#1f2328\""
#define SVG_SOFT	"class=\"soft\" fill=\"#57606a\""
#define SVG_GRID	"class=\"grid\" stroke=\"#d0d7de\""
#define SVG_AXIS	"class=\"axis\" stroke=\"#57606a\""

/* Where a panel lies in the picture, and what its edges stand for. */
struct panel {
	struct buf	*b;
	int		 left, right, top, bottom;
	double		 low, high;		/* values at bottom and top */
	int64_t		 from_ms, to_ms;
};

/* Begins the picture, with its title. The caller puts <desc id="desc"> next, for who does not see it, and then the paper. */
void	svg_begin(struct buf *, int width, int height, struct slice title);
void	svg_paper(struct buf *);
void	svg_end(struct buf *);
/* 2026-01-31 23:59 */
void	svg_put_minute(struct buf *, int64_t t_ms);

double	svg_x(const struct panel *, double t_ms);
double	svg_y(const struct panel *, double value);
double	svg_x_of_column(const struct panel *, const struct columns *, int64_t i);
/* Room for all values of [min, max], at round numbers. */
void	svg_fit(struct panel *, double min, double max, int steps);
void	svg_put_value_axis(const struct panel *, int steps);
/* Ticks and dates below `bottom`; with `grid_top` >= 0 a faint line from each up to there. */
void	svg_put_time_axis(const struct panel *, int bottom, int grid_top);
/* The area between low and high, of the columns that have a usual range. */
void	svg_put_band(const struct panel *, const struct columns *);
void	svg_put_band_edge(const struct panel *);	/* its outline again, above what was drawn since */

#define SVG_BAND	"class=\"band\" fill=\"#1a7f37\" fill-opacity=\"0.22\""

#endif
