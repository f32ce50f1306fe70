/*
 * spool.h - the wall: what is behind it survives a power cut.
 *
 * Gives:   append a group -> seq; sync makes all before it durable; readers with
 *          their own cursors; whole segments are deleted when all have read.
 * Takes:   bytes, and the positions they came from, in one atomic group.
 *          Knows nothing of events, sources or sinks.
 * Owns:    its directory, alone (flock). One writer thread; readers on another, meeting only at the durable seq.
 * Seq:     entries are numbered from 1 without gaps (but for damage); 0 is "none".
 * Fails:   ERR_FULL before the limit is passed, never after; ERR_LOST names
 *          the segment and the byte range, and reading goes on behind it.
 * Uses:    base/.     Format: README.md beside this file.
 */
#ifndef SPOOL_SPOOL_H
#define SPOOL_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

struct err;
struct position;
struct spool;
struct spool_reader;

struct spool_limits {
	uint64_t	total_bytes;	/* all segments together, heads included */
	uint32_t	segment_bytes;	/* a new segment is begun past this; at most total/4 */
	uint32_t	entry_bytes;	/* the largest entry */
};

/* Positions of one source's stream, as they cover the entries of a group. */
struct spool_mark {
	struct slice		 source;	/* its name, at most 64 bytes */
	const struct position	*at;		/* len 0: forget this stream */
};

struct spool_events {		/* told from open and append: what a person should know */
	void	(*damage)(void *arg, const char *segment, uint64_t from, uint64_t to, const char *what);
	void	(*torn)(void *arg, const char *segment, uint64_t bytes);
	void	*arg;
};

int	spool_open(struct spool **ret, const char *dir,
	    const struct spool_limits *, const struct spool_events *, struct err *);
void	spool_close(struct spool *);		/* NULL is fine; syncs cursors */
int	spool_set_limits(struct spool *, const struct spool_limits *, struct err *);

/* All of it after a crash, or none. n may be 0 (marks alone). */
int	spool_append_group(struct spool *, const struct slice *entries, size_t n,
	    const struct spool_mark *, size_t nmarks, uint64_t *ret_last_seq, struct err *);
int	spool_sync(struct spool *, uint64_t *ret_durable_seq, struct err *);
/* The newest position of every stream, as of the last group. */
int	spool_each_mark(struct spool *, int (*see)(void *arg, struct slice source, const struct position *),
	    void *arg, struct err *);

uint64_t spool_durable_seq(const struct spool *);	/* any thread */
uint64_t spool_first_seq(const struct spool *);		/* oldest entry still there */
uint64_t spool_total_bytes(const struct spool *);	/* any thread */
uint64_t spool_lost(const struct spool *);	/* any thread: entries that readers found missing, each once */

/* A named cursor; made at the oldest entry if new (*ret_new says so, may be NULL). Only one reader a name. */
int	spool_reader_open(struct spool_reader **ret, struct spool *,
	    const char *name, bool *ret_new, struct err *);
void	spool_reader_close(struct spool_reader *);	/* NULL is fine; saves the cursor */
/* 1: an entry, borrowed until the next call; 0: none yet; -1: ERR_LOST (told once; call again to go on), ERR_AGAIN.
 * Also lets go of a segment that was freed: the disk has its room back only when no reader holds it, so call it after spool_tend has freed some. */
int	spool_next(struct spool_reader *, struct slice *ret, uint64_t *ret_seq, struct err *);
/* Reading goes on behind `seq` (0: at the cursor): to read again what was not acknowledged. */
int	spool_seek(struct spool_reader *, uint64_t seq, struct err *);
/* Everything up to seq is done. Saved within a second or at the latest before its segment goes. */
int	spool_done(struct spool_reader *, uint64_t seq, struct err *);
uint64_t spool_reader_cursor(const struct spool_reader *);
uint64_t spool_least_other(const struct spool_reader *);	/* the least of all other cursors; UINT64_MAX: there is none */
/* What a cursor on disk says, without a lock; false: there is none by that name. */
bool	spool_cursor_peek(const char *dir, const char *name, uint64_t *ret_seq);
/* Saves what is due and frees segments that all cursors have passed; the writer's thread calls it now and then.
 * Returns the bytes freed. */
int	spool_tend(struct spool *, uint64_t *ret_freed, struct err *);
/* Drops cursors whose names are not among these. */
int	spool_keep_cursors(struct spool *, const char *const *names, size_t n,
	    void (*dropped)(void *arg, const char *name, uint64_t behind), void *arg, struct err *);

/* For `aispm-agent spool`: without a lock, on a directory that may be in use. */
int	spool_stat_print(const char *dir, bool json, struct err *);
/* 0 sound; 1 damage was found and printed. */
int	spool_verify_print(const char *dir, bool json, struct err *);
/* False: it is not, or cannot be read; err says which. */
bool	spool_is_sound(const char *dir, struct err *);
/* Cuts what is damaged, each range into a file of its own with .bad in its name; prints what it did. Takes the lock. */
int	spool_repair_print(const char *dir, struct err *);
int	spool_dump(const char *dir, uint64_t from_seq,
	    int (*see)(void *arg, uint64_t seq, struct slice entry), void *arg, struct err *);

#endif
