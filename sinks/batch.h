/*
 * batch.h - what a sink gets: encoded entries, in order, in one piece of memory.
 *
 * Shape:   bytes = open, entry, between, entry, ... close: ready to send as it is.
 * Owns:    send.c; borrowed by a sink from put() until its answer.
 */
#ifndef SINKS_BATCH_H
#define SINKS_BATCH_H

#include <stdint.h>
#include "base/buf.h"

struct batch_entry {
	uint64_t	seq;
	int64_t		time_ms;	/* TimeGenerated */
	uint32_t	at, n;		/* the encoded event inside bytes.p */
	uint64_t	key;		/* hash_stable of the lower-cased resource id, else of the source's words: what keeps order together */
	char		id[33];		/* EventId */
	uint32_t	made;		/* send's own business: not 0 of an event that stands in no spool, a summary */
	uint8_t		level;		/* EventSeverity: 0 Informational to 4 Critical */
};

struct batch {
	struct batch_entry	*v;
	size_t			 n, cap;
	struct buf		 bytes;
	uint32_t		 tries;
};

static inline struct slice
batch_entry_bytes(const struct batch *b, size_t i)
{
	return (struct slice){ b->bytes.p + b->v[i].at, b->v[i].n };
}

#endif
