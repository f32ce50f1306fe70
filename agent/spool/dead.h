/*
 * dead.h - the dead letter: what could not be read, or what a far side refuses, with its reason.
 *
 * Gives:   durable records: raw bytes or an encoded event, when, from whom, why.
 * Owns:    DIR/ (0700) and its files (0600); a size limit, half of it for each share; past that the share's oldest file goes, counted.
 * Thread:  any; it locks.
 * Note:    holds prompt text, as it came: nobody but the agent's user may read it.
 */
#ifndef SPOOL_DEAD_H
#define SPOOL_DEAD_H

#include <stdint.h>
#include "base/slice.h"

struct dead;
struct err;

enum dead_share { DEAD_OF_SOURCES, DEAD_OF_SINKS, DEAD_SHARES };	/* neither fills the other's */

struct dead_letter {
	int64_t		when_ms;
	uint8_t		kind;		/* DEAD_RECORD, DEAD_EVENT */
	enum dead_share	share;		/* by whom it was set aside */
	struct slice	from;		/* source or sink */
	struct slice	reason;		/* one line */
	struct slice	bytes;		/* the record as it came, or the event on the wire */
};
enum { DEAD_RECORD = 1, DEAD_EVENT = 2 };

int	dead_open(struct dead **ret, const char *dir, uint64_t max_bytes,
	    void (*removed)(void *arg, enum dead_share, uint64_t letters), void *arg, struct err *);
void	dead_set_limit(struct dead *, uint64_t max_bytes);	/* a smaller one holds from the next letter on */
void	dead_close(struct dead *);		/* NULL is fine */
/* Written, not yet synced. A letter larger than a quarter of its share is kept in its first part, and says so. */
int	dead_put(struct dead *, const struct dead_letter *, struct err *);
/* Nothing to do: no system call. After a failure the next call writes the letters again before it syncs. */
int	dead_sync(struct dead *, struct err *);
uint64_t dead_bytes(struct dead *);
uint64_t dead_letters(struct dead *);		/* put since it was opened, from whichever thread */
/* Reads a directory without a lock; damage is skipped and counted. */
int	dead_each(const char *dir, int (*see)(void *arg, const struct dead_letter *), void *arg,
	    uint64_t *ret_damaged, struct err *);
/*
 * Takes letters out, where no agent works on the directory. take: 1 it goes, 0 it stays, -1 stop. Before the letters of a file are gone,
 * settle must have made durable what was made of them; -1: they stay. Ended in the middle, letters are taken again, none is lost.
 * -1: the first failure; err is set unless a callback failed, which has said why itself.
 */
int	dead_take(const char *dir, int (*take)(void *arg, const struct dead_letter *), int (*settle)(void *arg), void *arg,
	    uint64_t *ret_taken, struct err *err);

#endif
