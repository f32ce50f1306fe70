/*
 * source.h - bring raw records in, and remember how far we came.
 *
 * Gives:   one `struct source_kind` per row of sources.tbl.
 * Takes:   two words from behind: "there is room again", "this far is safe".
 * Order:   records of one stream leave in the order of their positions.
 * Owns:    source->priv. A record is borrowed by source_emit(), never kept.
 * Thread:  everything runs on the intake loop.
 * Uses:    base/ net/ model/record.h.   Never: decode/ detect/ spool/ sinks/, nor the log (say instead).
 */
#ifndef SOURCE_SOURCE_H
#define SOURCE_SOURCE_H

#include <stdbool.h>
#include <stdint.h>
#include "model/record.h"

struct conf;
struct conf_key;
struct err;
struct loop;
struct source;
struct stat_block;

struct source_kind {
	const char		*name;
	const char		*help;
	const char		*missing;	/* not NULL: what this build lacks for it; open() refuses */
	const struct conf_key	*keys;		/* beside name, type and start */

	/* Settings only: no network, no reading. */
	int	(*open)(struct source *, const struct conf *, struct err *);
	/* The saved positions, one call each, before start(). */
	int	(*restore)(struct source *, const struct position *, struct err *);
	int	(*start)(struct source *, struct err *);
	void	(*resume)(struct source *);	/* after source_emit() said no, and to read on after a pause */
	void	(*safe)(struct source *, const struct position *);  /* or NULL: durable up to here, may be committed outside */
	/* --once: true when everything that existed at start() has been emitted. */
	bool	(*drained)(struct source *);
	void	(*close)(struct source *);	/* may be half open; commits what is safe */
	/* `check --online`, after open() alone: tries to reach what it would read, and says so once by source_tell, now or later
	 * from the loop. NULL: nothing to try. */
	void	(*probe)(struct source *);
};

/* What run/ gives to each source. Members above the line are set before open(). */
struct source {
	const struct source_kind *kind;
	const char		*name;		/* from the configuration */
	struct loop		*loop;
	struct stat_block	*stats;
	bool			 once;		/* run --once: also what is unterminated counts, and say drained */
	const char		*agent_id;	/* 32 hex digits */
	bool			 evidence;	/* run's own: its records count for the control */
	bool			 relay;		/* run's own: another agent's events are believed */
	enum { START_EARLIEST, START_LATEST, START_TIME } start;
	int64_t			 start_ms;
	/* -------- */
	void			*priv;
	bool			 missed;	/* trouble was said: not all may have been read. Who reads it after all takes it back */

	/* Set by run/: */
	bool	(*take)(struct source *, const struct record *, const struct position *after);
	void	(*say_line)(struct source *, bool trouble, const char *text);
	void	(*debug_line)(struct source *, const char *text);	/* or NULL: nobody wants to know */
	void	(*idle)(struct source *);
	void	(*tell)(struct source *, const struct err *);	/* of probe(); err NULL: fine */
	void	*owner;
};

/*
 * Called by a source. True: taken. False: not taken, no room; keep it, stop
 * reading, and offer the same record again when resume() is called.
 */
static inline bool
source_emit(struct source *s, const struct record *r, const struct position *after)
{
	return s->take(s, r, after);
}
/* The stream moved on, or is gone (len 0), without a record. False as above. `record` NULL. */
static inline bool
source_move(struct source *s, const struct position *after)
{
	return s->take(s, NULL, after);
}
/* A line for the log: trouble is a warning. No record content. */
static inline void
source_say(struct source *s, bool trouble, const char *text)
{
	s->say_line(s, trouble, text);
}
/* What happened in detail, for log_level debug. No record content. */
static inline void
source_debug(struct source *s, const char *text)
{
	if (s->debug_line != NULL)
		s->debug_line(s, text);
}
/* Nothing more to read right now: what was taken may be committed at once. */
static inline void
source_idle(struct source *s)
{
	s->idle(s);
}

#define SOURCE(kind)	extern const struct source_kind source_kind_##kind;
#include "source/sources.tbl"
#undef SOURCE

const struct source_kind *source_kind_find(const char *word);	/* NULL: none */
const char *source_kind_words(void);				/* "file|kafka" */
/* The conf_key variant hooks for `sources`. */
const struct conf_key *source_keys(const char *word);

#endif
