/*
 * calls.h - which records tell of one call: inside the volume and access detectors.
 *
 * A call may be told by records of two kinds (the request and its usage; two logs), which have an id in common, and any record may be delivered
 * again. Who calls may choose that id, so it can do no more than this: records of one id and of two kinds, within CALLS_JOIN_S, count each
 * amount as often as the kind that tells more of it. The same id again with an equal kind is another call, a third kind tells other calls.
 * Only a record that is the same by its EventId counts once however often it comes.
 *
 * Takes:   hashes that the owner made under a key of its own, never 0, and times in seconds since 1970.
 * Owns:    two tables of sets of CALLS_WAYS places, in which the one used longest ago gives way: lost memory makes a pair two calls, never two calls one.
 */
#ifndef DETECT_CALLS_H
#define DETECT_CALLS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

struct buf;

#define CALLS_AMOUNTS	4
#define CALLS_WAYS	4
#define CALLS_JOIN_S	600	/* from the first record of an id on, either way */

struct call {
	uint64_t	id;			/* 0: free */
	double		ahead[CALLS_AMOUNTS];	/* how much more of it the first kind has told than the second */
	uint32_t	kind[2];		/* 0: not yet seen */
	uint32_t	begin_s;
	uint32_t	who;			/* the owner's; CALLS_NOBODY at first */
};
#define CALLS_NOBODY	UINT32_MAX

struct calls {
	uint32_t	max;			/* of each table, a multiple of CALLS_WAYS */
	struct call	*v;
	uint64_t	*records;
};

bool	calls_open(struct calls *, uint32_t max);	/* false: memory is short */
void	calls_close(struct calls *);
/* Whether this very record was shown lately; from now on it was. */
bool	calls_repeated(struct calls *, uint64_t record);
/* The call that a record of this kind tells of. */
struct call *calls_find(struct calls *, uint64_t id, uint32_t kind, int64_t t_s);
/* What of the amount (which: below CALLS_AMOUNTS) the call's records of another kind have not told. */
double	call_take(struct call *, uint32_t kind, unsigned which, double amount);
/* Saved and restored exactly; false: not whole. */
void	calls_save(const struct calls *, struct buf *out);
bool	calls_restore(struct calls *, struct slice *in);
void	calls_forget(struct calls *);

#endif
