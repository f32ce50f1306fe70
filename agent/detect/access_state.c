/*
 * access_state.c - the access detector's memory as bytes: its figures, then each table from the least to the most recently used item.
 *
 * Items go as they stand, without their links; restoring adds them in the same order, so the same items will give way. The key of all hashes is among the figures.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"
#include "base/err.h"
#include "detect/access.h"

/* What must be equal for saved bytes to mean the same here. */
struct layout {
	uint32_t	caller_bytes, fact_bytes, resource_bytes, behaviours, calls;
};

static struct layout
layout_here(void)
{
	return (struct layout){ sizeof(struct caller), sizeof(struct fact), sizeof(struct resource), BEHAVIOURS, CALLS_SEEN };
}

struct figures {
	unsigned char		key[16];
	struct event_time	time;
	uint32_t		first_min, spare;
	struct rate		rates[CALLER_SOURCE + 1];
	uint64_t		evicted[3];
};

static void
put_table(struct buf *out, const struct lru *t)
{
	for (int p = 0; p < LRU_PARTS; p++) {
		buf_put(out, &t->parts[p].n, sizeof(t->parts[p].n));
		for (const void *item = lru_oldest(t, (enum lru_part)p); item != NULL; item = lru_newer(t, item)) {
			const struct lru_node alone = { .key = ((const struct lru_node *)item)->key };
			char raw[SAVED_WORDS * 4];

			memcpy(raw, item, t->item_bytes);
			memcpy(raw, &alone, sizeof(alone));
			saved_put_sparse(out, raw, t->item_bytes);
		}
	}
}

/* Of a table that has become smaller, the most recently used are kept. */
static bool
take_table(struct slice *in, struct lru *t, bool (*whole)(const void *item))
{
	for (int p = 0; p < LRU_PARTS; p++) {
		uint32_t n;

		if (!saved_take(in, &n, sizeof(n)))
			return false;
		for (uint32_t i = 0; i < n; i++) {
			char raw[SAVED_WORDS * 4];
			struct lru_node node, *item;

			if (!saved_take_sparse(in, raw, t->item_bytes))
				return false;
			memcpy(&node, raw, sizeof(node));
			if (node.key == 0 || lru_peek(t, node.key) != NULL)
				return false;
			item = lru_add(t, node.key);
			memcpy((char *)item + sizeof(node), raw + sizeof(node), t->item_bytes - sizeof(node));
			if (!whole(item))
				return false;
			if (p == LRU_ESTABLISHED)
				lru_promote(t, item, NULL, NULL);
		}
	}
	return true;
}

static bool
caller_is_whole(const void *item)
{
	const struct caller *c = item;

	for (int i = 0; i < MARKS; i++)
		if (c->marks[i].behaviour >= MARK_KINDS)
			return false;
	return c->kind <= CALLER_SOURCE && c->denied.next < RING_SLOTS && c->invalid.next < RING_SLOTS && c->blocks.next < RING_SLOTS &&
	    c->evidence_next < EVIDENCE;
}

static bool
fact_is_whole(const void *item)
{
	const struct fact *f = item;

	return f->n <= sizeof(f->who) / sizeof(f->who[0]) && f->dim < DIMS;
}

static bool
resource_is_whole(const void *item)
{
	const struct resource *r = item;

	for (int i = 0; i < MARKS; i++)
		if (r->marks[i].behaviour >= MARK_KINDS)
			return false;
	return r->secret_by[sizeof(r->secret_by) - 1] == '\0';
}

static void
empty(struct lru *t)
{
	for (int p = LRU_PARTS - 1; p >= 0; p--)
		while (t->parts[p].oldest != LRU_NONE)
			lru_remove(t, lru_oldest(t, (enum lru_part)p));
}

int
access_save(void *state, struct buf *out, struct err *err)
{
	const struct access *a = state;
	struct layout layout = layout_here();
	struct figures f;

	memset(&f, 0, sizeof(f));
	memcpy(f.key, a->key, sizeof(f.key));
	f.time = a->time;
	f.first_min = a->first_min;
	memcpy(f.rates, a->rates, sizeof(f.rates));
	f.evicted[0] = a->callers.evicted;
	f.evicted[1] = a->facts.evicted;
	f.evicted[2] = a->resources.evicted;
	buf_put(out, &layout, sizeof(layout));
	buf_put(out, &f, sizeof(f));
	calls_save(&a->calls, out);
	put_table(out, &a->callers);
	put_table(out, &a->facts);
	put_table(out, &a->resources);
	return out->failed ? err_set(err, ERR_AGAIN, "no memory to save %u callers", a->callers.n) : 0;
}

static void
forget(struct access *a)
{
	empty(&a->callers);
	empty(&a->facts);
	empty(&a->resources);
	calls_forget(&a->calls);
	memset(a->ops, 0, OPS_SEEN * sizeof(*a->ops));
	memset(a->agents, 0, AGENTS_SEEN * sizeof(*a->agents));
}

int
access_restore(void *state, struct slice saved, struct err *err)
{
	struct access *a = state;
	struct layout here = layout_here(), there;
	struct slice in = saved;
	struct figures f;

	if (!saved_take(&in, &there, sizeof(there)) || memcmp(&here, &there, sizeof(here)) != 0)
		return err_set(err, ERR_LOST, "the saved state of detector access is of another build");
	forget(a);
	if (!saved_take(&in, &f, sizeof(f)) || !calls_restore(&a->calls, &in) ||
	    !take_table(&in, &a->callers, caller_is_whole) || !take_table(&in, &a->facts, fact_is_whole) ||
	    !take_table(&in, &a->resources, resource_is_whole) || in.n != 0) {
		forget(a);		/* nothing half */
		return err_set(err, ERR_LOST, "the saved state of detector access is not whole");
	}
	memcpy(a->key, f.key, sizeof(a->key));
	a->time = f.time;
	a->first_min = f.first_min;
	memcpy(a->rates, f.rates, sizeof(a->rates));
	a->callers.evicted = f.evicted[0];
	a->facts.evicted = f.evicted[1];
	a->resources.evicted = f.evicted[2];
	return 0;
}
