/*
 * plot.h - what a backtest saw, as SVG for a report: what came over time, the band of what was expected, and the alerts.
 *
 * Takes:   rows one by one, in any order of time, as many as there are; texts of anybody, which are escaped.
 * Gives:   one file of bounded size, with its colours for light, dark and print, and title and description for who does not see it.
 * Fails:   *_open when the file cannot be made; *_write when it cannot be written.
 */
#ifndef RUN_PLOT_H
#define RUN_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

struct err;

/* ---- a series: a line, nothing high of which is lost; alerts as marks on it -------- */

struct plot;
struct plot_row {
	int64_t	t_ms;
	double	value, low, high;	/* seen, and the usual range; NAN for both: not known */
	bool	alert;
};

int	plot_open(struct plot **ret, const char *path, struct err *);
void	plot_free(struct plot *);	/* NULL is fine; what was not written is left empty */
void	plot_add(struct plot *, const struct plot_row *);
/* Title above, `unit` beside the axis. */
int	plot_write(struct plot *, const char *title, const char *unit, struct err *);

/* ---- findings: events an hour above, below a lane for each kind of finding, and the gravest in words ---- */

struct plot_findings;
struct plot_finding {
	int64_t		t_ms;
	struct slice	severity;	/* a word of EventSeverity */
	struct slice	kind, text;	/* its lane; a sentence */
};

int	plot_findings_open(struct plot_findings **ret, const char *path, struct err *);
void	plot_findings_free(struct plot_findings *);	/* NULL is fine */
void	plot_findings_event(struct plot_findings *, int64_t t_ms);	/* one of what came; t_ms 0: without a time, not drawn */
void	plot_findings_add(struct plot_findings *, const struct plot_finding *);
int	plot_findings_write(struct plot_findings *, const char *title, struct err *);

#endif
