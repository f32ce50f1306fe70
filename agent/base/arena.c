/* arena.c - blocks in a row; the first is kept over resets. */
#include "base/arena.h"

#include <stdlib.h>

struct arena_block {
	struct arena_block	*next;
	size_t			 bytes;		/* of `at` */
	_Alignas(16) char	 at[];
};

void
arena_init(struct arena *a, size_t block_bytes, size_t max_bytes)
{
	*a = (struct arena){ .block_bytes = block_bytes, .max_bytes = max_bytes };
}

static void
use(struct arena *a, struct arena_block *b)
{
	a->current = b;
	a->at = b->at;
	a->end = b->at + b->bytes;
}

static void
free_behind(struct arena *a, struct arena_block *b)
{
	struct arena_block *next;

	for (b = b->next; b != NULL; b = next) {
		next = b->next;
		a->total_bytes -= b->bytes;
		free(b);
	}
}

void
arena_reset(struct arena *a)
{
	if (a->first == NULL)
		return;
	free_behind(a, a->first);
	a->first->next = NULL;
	use(a, a->first);
}

void
arena_fini(struct arena *a)
{
	if (a->first != NULL) {
		free_behind(a, a->first);
		free(a->first);
	}
	arena_init(a, a->block_bytes, a->max_bytes);
}

void *
arena_alloc_slow(struct arena *a, size_t n)
{
	size_t need = (n + 15) & ~(size_t)15;
	size_t bytes = need > a->block_bytes ? need : a->block_bytes;
	struct arena_block *b;
	void *p;

	if (need < n || bytes > a->max_bytes || a->total_bytes > a->max_bytes - bytes)
		return NULL;
	b = malloc(sizeof(*b) + bytes);
	if (b == NULL)
		return NULL;
	b->bytes = bytes;
	b->next = NULL;
	a->total_bytes += bytes;
	if (a->first == NULL)
		a->first = b;
	else
		a->current->next = b;
	use(a, b);
	p = a->at;
	a->at += need;
	return p;
}

void *
arena_zalloc(struct arena *a, size_t n)
{
	void *p = arena_alloc(a, n);

	return p != NULL ? memset(p, 0, n) : NULL;
}

struct slice
arena_dup(struct arena *a, struct slice s)
{
	char *p;

	if (s.n == 0)
		return slice_make("", 0);
	p = arena_alloc(a, s.n);
	if (p == NULL)
		return SLICE_NONE;
	return slice_make(memcpy(p, s.p, s.n), s.n);
}

char *
arena_cstr(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return NULL;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	return p;
}
