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

/* A block behind the current one. */
static struct arena_block *
add_block(struct arena *a, size_t bytes)
{
	struct arena_block *b = malloc(sizeof(*b) + bytes);

	if (b == NULL)
		return NULL;
	b->bytes = bytes;
	b->next = NULL;
	a->total_bytes += bytes;
	if (a->first == NULL) {
		a->first = b;
	} else {
		b->next = a->current->next;
		a->current->next = b;
	}
	return b;
}

void *
arena_alloc_slow(struct arena *a, size_t n)
{
	size_t room = a->max_bytes - a->total_bytes, need = (n + 15) & ~(size_t)15, bytes;
	struct arena_block *b;
	bool own;

	if (n == 0)
		return arena_alloc(a, 1);
	if (need < n || need > room)
		return NULL;
	own = a->first != NULL && need > a->block_bytes / 4;
	bytes = own || need > a->block_bytes ? need : a->block_bytes < room ? a->block_bytes : room;
	b = add_block(a, bytes);
	if (b == NULL)
		return NULL;
	if (own)
		return b->at;
	use(a, b);
	a->at += need;
	return b->at;
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
