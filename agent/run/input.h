/*
 * input.h - records of files or of standard input, decoded one after the other: what `explain` and `backtest` stand on.
 *
 * Takes:   whatever decode_split cuts: NDJSON, arrays, the envelopes, gzip.
 * Gives:   the events of each record to `see`; encoded events to `out`.
 * Fails:   ERR_DATA a file that cannot be read; ERR_AGAIN memory, output. A record that cannot be read is named on standard error,
 *          counted, and the next one comes.
 */
#ifndef RUN_INPUT_H
#define RUN_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/arena.h"
#include "base/buf.h"
#include "run/progress.h"

struct decode_ctx;
struct decoder;
struct encoder;
struct err;
struct event_list;

struct input {
	const struct decoder	*decoder;
	const struct encoder	*encoder;	/* of input_print */
	FILE			*out;
	const char		*source;	/* name that its records bear */
	uint64_t		 most_bytes;	/* of one file, also unpacked */
	bool			 relay;		/* events of another agent are taken as they are */
	bool			 why;		/* `told` says how each column came about */
	/* The events of one record, gone after the call. -1 ends it all. */
	int			(*see)(void *arg, struct input *, struct event_list *events, struct err *);
	void			*arg;

	struct arena		 arena;		/* empty before each record; also for who sees */
	struct buf		 told;
	int64_t			 arrived_ms;	/* of the record */
	uint64_t		 unreadable, events;

	struct decode_ctx	*ctx;
	const char		*file;
	struct progress		 progress;
	struct buf		 bytes, hold, line;
	uint64_t		 records, done_bytes;	/* of this file */
	bool			 terminal;		/* is out one? */
	struct err		*err;
};

/* Reads all files, standard input where there is none. 0 fine, 1 some record could not be read, -1 err. */
int	input_run(struct input *, const char *const *files, size_t nfiles, struct err *);
/* For who sees: one more event is done. */
void	input_step(struct input *);
/* For who sees: encoded, a line each. */
int	input_print(struct input *, const struct event_list *, struct err *);

#endif
