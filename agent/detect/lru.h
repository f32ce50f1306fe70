/*
 * lru.h - a bounded table that strangers cannot flush: found by a 64-bit key, the least recently used goes first.
 *
 * Gives:   items of one size, each beginning with a struct lru_node; they never move.
 * Two parts (as in 2Q, Johnson and Shasha 1994): what is new stands on probation, which is at least a quarter of the table; what proved
 *          itself is promoted. A flood of new keys pushes out new keys only. An established item gives way to another
 *          established one, and only if the caller says it is stale.
 * Exact:   which item goes depends on the order of calls alone, never on a key's bits.
 * Owns:    all items, in one piece of memory made at start.
 */
#ifndef DETECT_LRU_H
#define DETECT_LRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

#define LRU_NONE	UINT32_MAX

enum lru_part { LRU_NEW, LRU_ESTABLISHED, LRU_PARTS };

struct lru_node {
	uint64_t	key;			/* keyed by the owner: never a stranger's choice */
	uint32_t	chain, newer, older;
	uint8_t		part;
};

struct lru {
	char		*items;
	size_t		 item_bytes;
	uint32_t	 max, n, nbuckets, free;
	uint32_t	*buckets;
	struct { uint32_t newest, oldest, n; } parts[LRU_PARTS];
	uint64_t	 evicted;
	void		(*on_evict)(void *arg, void *item);	/* before an item goes; NULL: none */
	void		*arg;
};

/* False when memory is short. */
bool	lru_open(struct lru *, size_t item_bytes, uint32_t max);
void	lru_close(struct lru *);		/* on_evict is not called */
/* The item, now the most recently used; NULL: none. */
void	*lru_find(struct lru *, uint64_t key);
void	*lru_peek(const struct lru *, uint64_t key);
/* A zeroed item on probation; the one longest on probation gives way. The key must not be there. */
void	*lru_add(struct lru *, uint64_t key);
void	lru_remove(struct lru *, void *item);
/* To the established ones, if they have room or the oldest of them is stale. */
void	lru_promote(struct lru *, void *item, bool (*stale)(void *arg, const void *item), void *arg);
/* From the least to the most recently used of a part; NULL at the end: restoring in this order gives the same table. */
void	*lru_oldest(const struct lru *, enum lru_part);
void	*lru_newer(const struct lru *, const void *item);

#endif
