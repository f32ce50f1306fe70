/*
 * plot.h - a series over time as SVG: what was seen, the band of what was expected, and the alerts.
 *
 * Takes:   rows one by one, in any order of time, as many as there are.
 * Owns:    PLOT_COLUMNS columns of the picture; each keeps lowest and highest of its rows, so nothing high is lost and the file stays small.
 * Fails:   plot_open when the file cannot be made; plot_write when it cannot be written.
 */
#ifndef RUN_PLOT_H
#define RUN_PLOT_H

#include <stdbool.h>
#include <stdint.h>

#define PLOT_COLUMNS	1200

struct err;
struct plot;

struct plot_row {
	int64_t	t_ms;
	double	value, low, high;	/* seen, and the usual range; NAN for both: not known */
	bool	alert;
};

int	plot_open(struct plot **ret, const char *path, struct err *);
void	plot_free(struct plot *);	/* NULL is fine; what was not written is left empty */
void	plot_add(struct plot *, const struct plot_row *);
/* Title above, `unit` beside the axis; both are escaped. */
int	plot_write(struct plot *, const char *title, const char *unit, struct err *);

#endif
