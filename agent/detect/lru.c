/* lru.c - a bounded table that strangers cannot flush. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/lru.h"

#include <assert.h>
#include <stdlib.h>

static struct lru_node *
at(const struct lru *t, uint32_t i)
{
	return (struct lru_node *)(void *)(t->items + (size_t)i * t->item_bytes);
}

static uint32_t
index_of(const struct lru *t, const void *item)
{
	return (uint32_t)((size_t)((const char *)item - t->items) / t->item_bytes);
}

bool
lru_open(struct lru *t, size_t item_bytes, uint32_t max)
{
	*t = (struct lru){ .item_bytes = (item_bytes + 15) & ~(size_t)15, .max = max, .nbuckets = 16, .free = LRU_NONE };
	while (t->nbuckets < max && t->nbuckets < UINT32_C(1) << 30)
		t->nbuckets *= 2;
	t->items = calloc(max, t->item_bytes);
	t->buckets = malloc((size_t)t->nbuckets * sizeof(*t->buckets));
	if (t->items == NULL || t->buckets == NULL) {
		lru_close(t);
		return false;
	}
	memset(t->buckets, 0xff, (size_t)t->nbuckets * sizeof(*t->buckets));
	for (int p = 0; p < LRU_PARTS; p++)
		t->parts[p].newest = t->parts[p].oldest = LRU_NONE;
	return true;
}

void
lru_close(struct lru *t)
{
	free(t->items);
	free(t->buckets);
	*t = (struct lru){ .items = NULL };
}

static void
unlink_node(struct lru *t, struct lru_node *n)
{
	if (n->newer != LRU_NONE)
		at(t, n->newer)->older = n->older;
	else
		t->parts[n->part].newest = n->older;
	if (n->older != LRU_NONE)
		at(t, n->older)->newer = n->newer;
	else
		t->parts[n->part].oldest = n->newer;
	t->parts[n->part].n--;
}

static void
link_newest(struct lru *t, struct lru_node *n, enum lru_part part)
{
	uint32_t i = index_of(t, n);

	n->part = (uint8_t)part;
	n->newer = LRU_NONE;
	n->older = t->parts[part].newest;
	if (n->older != LRU_NONE)
		at(t, n->older)->newer = i;
	else
		t->parts[part].oldest = i;
	t->parts[part].newest = i;
	t->parts[part].n++;
}

static void
unchain(struct lru *t, const struct lru_node *n)
{
	uint32_t *link = &t->buckets[n->key & (t->nbuckets - 1)], i = index_of(t, n);

	while (*link != i)
		link = &at(t, *link)->chain;
	*link = n->chain;
}

void *
lru_peek(const struct lru *t, uint64_t key)
{
	for (uint32_t i = t->buckets[key & (t->nbuckets - 1)]; i != LRU_NONE; i = at(t, i)->chain)
		if (at(t, i)->key == key)
			return at(t, i);
	return NULL;
}

void *
lru_find(struct lru *t, uint64_t key)
{
	struct lru_node *n = lru_peek(t, key);

	if (n != NULL && n->newer != LRU_NONE) {
		enum lru_part part = (enum lru_part)n->part;

		unlink_node(t, n);
		link_newest(t, n, part);
	}
	return n;
}

void
lru_remove(struct lru *t, void *item)
{
	struct lru_node *n = item;

	unlink_node(t, n);
	unchain(t, n);
	n->chain = t->free;
	n->key = 0;
	t->free = index_of(t, n);
	t->n--;
}

static void
evict(struct lru *t, uint32_t i)
{
	if (t->on_evict != NULL)
		t->on_evict(t->arg, at(t, i));
	lru_remove(t, at(t, i));
	t->evicted++;
}

void *
lru_add(struct lru *t, uint64_t key)
{
	uint32_t *bucket = &t->buckets[key & (t->nbuckets - 1)], i;
	struct lru_node *n;

	assert(lru_peek(t, key) == NULL);
	if (t->n == t->max)
		evict(t, t->parts[LRU_NEW].oldest);	/* there is one: the established ones never fill the table */
	if (t->free != LRU_NONE) {
		i = t->free;
		t->free = at(t, i)->chain;
	} else {
		i = t->n;
	}
	n = at(t, i);
	memset(n, 0, t->item_bytes);
	n->key = key;
	n->chain = *bucket;
	*bucket = i;
	link_newest(t, n, LRU_NEW);
	t->n++;
	return n;
}

void
lru_promote(struct lru *t, void *item, bool (*stale)(void *arg, const void *item), void *arg)
{
	struct lru_node *n = item;

	if (n->part == LRU_ESTABLISHED)
		return;
	if (t->parts[LRU_ESTABLISHED].n >= t->max - t->max / 4) {
		uint32_t oldest = t->parts[LRU_ESTABLISHED].oldest;

		if (stale == NULL || !stale(arg, at(t, oldest)))
			return;
		evict(t, oldest);
	}
	unlink_node(t, n);
	link_newest(t, n, LRU_ESTABLISHED);
}

void *
lru_oldest(const struct lru *t, enum lru_part part)
{
	return t->parts[part].oldest != LRU_NONE ? at(t, t->parts[part].oldest) : NULL;
}

void *
lru_newer(const struct lru *t, const void *item)
{
	const struct lru_node *n = item;

	return n->newer != LRU_NONE ? at(t, n->newer) : NULL;
}
