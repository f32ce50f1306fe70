/*
 * backtest.h - the `backtest` command: one detector over a recorded past, in one pass, without a look ahead.
 *
 * Gives:   what the detector would have said, on `out`; with `plot` also a picture of it.
 * Takes:   volume: CSV `timestamp,value`; the others: records, as `explain` takes them.
 * Fails:   ERR_DATA input that cannot be read (file, line, what is allowed); ERR_AGAIN output that cannot be written.
 * Never:   any state on disk, any network.
 */
#ifndef RUN_BACKTEST_H
#define RUN_BACKTEST_H

#include <stddef.h>
#include <stdio.h>

struct conf;
struct err;

struct backtest {
	const char		*detector;	/* a name of the table in backtest.c */
	const char		*plot;		/* path of an SVG to write; NULL: none */
	const char *const	*files;		/* none: standard input */
	size_t			 nfiles;
	const struct conf	*conf;		/* the whole configuration; NULL: defaults */
	FILE			*out;
};

/* 0 done; 1 done, but some input could not be read (named on standard error); -1 err. */
int	backtest_run(const struct backtest *, struct err *);

/* ---- one function a kind of input ------------------------------------------- */
int	backtest_volume(const struct backtest *, struct err *);
/* access, config: records as `explain` takes them; the findings as JSON lines, in the order of their records. */
int	backtest_records(const struct backtest *, struct err *);

#endif
