/*
 * arena.h - memory with one lifetime: allocate many, free all at once.
 *
 * Gives:   bytes aligned to 16, alive until arena_reset or arena_fini.
 * Bounded: `max_bytes` over all blocks; past it, or when malloc fails, NULL.
 * Note:    arena_reset keeps the first block, so a warm arena calls no malloc. What is large
 *          beside block_bytes gets a block of its own, and the current one goes on.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>
#include "base/slice.h"

struct arena_block;

struct arena {
	struct arena_block	*first;		/* kept over resets */
	struct arena_block	*current;
	char			*at, *end;	/* free part of current */
	size_t			 block_bytes, max_bytes, total_bytes;
};

/* Allocates nothing yet. */
void	arena_init(struct arena *, size_t block_bytes, size_t max_bytes);
void	arena_fini(struct arena *);
void	arena_reset(struct arena *);
void	*arena_alloc_slow(struct arena *, size_t n);
void	*arena_zalloc(struct arena *, size_t n);
/* A copy, not NUL-terminated; .p NULL when memory is short (and s.n > 0). */
struct slice arena_dup(struct arena *, struct slice s);
char	*arena_cstr(struct arena *, struct slice s);	/* a NUL-terminated copy, or NULL */

static inline void *
arena_alloc(struct arena *a, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;

	if (need - 1 < (size_t)(a->end - a->at)) {	/* 0, asked for or by overflow: the slow way */
		void *p = a->at;
		a->at += need;
		return p;
	}
	return arena_alloc_slow(a, n);
}

#endif
