/* config_memory.c - the config detector's memory as bytes: figures, then operations, objects and marks, each from the least recently used on. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "detect/config_parts.h"

struct layout {
	uint32_t	op_bytes, object_bytes, marks_bytes, routine_bytes;
};

struct figures {
	unsigned char		key[16];
	struct event_time	time;
	uint64_t		evicted;
};

static struct layout
layout_here(void)
{
	return (struct layout){ sizeof(struct op), sizeof(struct object), sizeof(struct marks), sizeof(struct routine) };
}

/* ---- out ------------------------------------------------------------------------------ */

static void
put_op(struct buf *out, const void *item)
{
	const struct op *o = item;
	struct op flat = *o;

	flat.event = flat.body = NULL;
	buf_put(out, &flat, sizeof(flat));
	saved_put_text(out, slice_make(o->event, o->event_n), EVENT_BYTES + 4096);
	saved_put_text(out, slice_make(o->body, o->body_n), BODY_BYTES);
}

static void
put_object(struct buf *out, const void *item)
{
	const struct object *o = item;
	struct object flat = *o;

	flat.state = flat.prev = NULL;
	buf_put(out, &flat, sizeof(flat));
	saved_put_text(out, slice_make(o->state, o->state_n), STATE_BYTES);
	saved_put_text(out, slice_make(o->prev, o->prev_n), STATE_BYTES);
}

static void
put_marks(struct buf *out, const void *item)
{
	buf_put(out, item, sizeof(struct marks));
}

static void
put_routine(struct buf *out, const void *item)
{
	buf_put(out, item, sizeof(struct routine));
}

static void
put_table(struct buf *out, const struct lru *t, void (*put)(struct buf *, const void *))
{
	for (int p = 0; p < LRU_PARTS; p++) {
		buf_put(out, &t->parts[p].n, sizeof(t->parts[p].n));
		for (const void *item = lru_oldest(t, (enum lru_part)p); item != NULL; item = lru_newer(t, item))
			put(out, item);
	}
}

int
config_save(void *state, struct buf *out, struct err *err)
{
	const struct config *c = state;
	struct layout layout = layout_here();
	struct figures f;

	memset(&f, 0, sizeof(f));
	memcpy(f.key, c->key, sizeof(f.key));
	f.time = c->time;
	f.evicted = c->objects.evicted;
	buf_put(out, &layout, sizeof(layout));
	buf_put(out, &f, sizeof(f));
	put_table(out, &c->ops, put_op);
	put_table(out, &c->objects, put_object);
	put_table(out, &c->tops, put_marks);
	put_table(out, &c->routines, put_routine);
	return out->failed ? err_set(err, ERR_AGAIN, "no memory to save %u objects", c->objects.n) : 0;
}

/* ---- back ------------------------------------------------------------------------------- */

static bool
take_copy(struct config *c, struct slice *in, char **to, uint32_t *to_n, uint32_t max)
{
	struct slice s;
	char *copy;

	if (!saved_take_text(in, &s, max))
		return false;
	copy = s.n > 0 ? malloc(s.n) : NULL;
	if (copy != NULL)
		memcpy(copy, s.p, s.n);
	op_keep(c, to, to_n, copy, copy != NULL ? (uint32_t)s.n : 0);
	return s.n == 0 || copy != NULL;
}

/* An item of `n` bytes that begins with its node: added, and the rest copied. */
static void *
take_item(struct lru *t, struct slice *in, size_t n)
{
	struct lru_node node;
	const char *raw = in->p;
	char *item;

	if (in->n < n)
		return NULL;
	memcpy(&node, raw, sizeof(node));
	*in = slice_make(in->p + n, in->n - n);
	if (node.key == 0 || lru_peek(t, node.key) != NULL)
		return NULL;
	item = lru_add(t, node.key);
	memcpy(item + sizeof(node), raw + sizeof(node), n - sizeof(node));
	return item;
}

static void *
take_op(struct config *c, struct slice *in)
{
	struct op *o = take_item(&c->ops, in, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->event = o->body = NULL;
	o->event_n = o->body_n = 0;
	return o->nevidence <= EVIDENCE_IDS && take_copy(c, in, &o->event, &o->event_n, EVENT_BYTES + 4096) &&
	    take_copy(c, in, &o->body, &o->body_n, BODY_BYTES) ? o : NULL;
}

static void *
take_object(struct config *c, struct slice *in)
{
	struct object *o = take_item(&c->objects, in, sizeof(*o));
	struct slice state, prev;

	if (o == NULL)
		return NULL;
	o->state = o->prev = NULL;
	o->state_n = o->prev_n = 0;
	if (!saved_take_text(in, &state, STATE_BYTES) || !saved_take_text(in, &prev, STATE_BYTES) || o->finding[32] != '\0')
		return NULL;
	object_keep(c, &o->state, &o->state_n, state);
	object_keep(c, &o->prev, &o->prev_n, prev);
	return o;
}

static void *
take_marks(struct config *c, struct slice *in)
{
	struct marks *m = take_item(&c->tops, in, sizeof(*m));

	for (int i = 0; m != NULL && i < STEPS; i++)
		if (m->v[i].code[2] != '\0')
			return NULL;
	return m;
}

static void *
take_routine(struct config *c, struct slice *in)
{
	struct routine *r = take_item(&c->routines, in, sizeof(*r));

	return r != NULL && r->next < ROUTINE_NETS ? r : NULL;
}

static bool
take_table(struct config *c, struct lru *t, struct slice *in, void *(*take)(struct config *, struct slice *))
{
	for (int p = 0; p < LRU_PARTS; p++) {
		uint32_t n;

		if (!saved_take(in, &n, sizeof(n)))
			return false;
		for (uint32_t i = 0; i < n; i++) {
			void *item = take(c, in);

			if (item == NULL)
				return false;
			if (p == LRU_ESTABLISHED)
				lru_promote(t, item, NULL, NULL);
		}
	}
	return true;
}

static void
forget(struct config *c)
{
	struct lru *tables[] = { &c->ops, &c->objects, &c->tops, &c->routines };

	for (int i = 0; i < 4; i++)
		for (int p = 0; p < LRU_PARTS; p++)
			for (void *item; (item = lru_oldest(tables[i], (enum lru_part)p)) != NULL;) {
				if (tables[i]->on_evict != NULL)
					tables[i]->on_evict(c, item);
				lru_remove(tables[i], item);
			}
}

int
config_restore(void *state, struct slice saved, struct err *err)
{
	struct config *c = state;
	struct layout here = layout_here(), there;
	struct slice in = saved;
	struct figures f;

	if (!saved_take(&in, &there, sizeof(there)) || memcmp(&here, &there, sizeof(here)) != 0)
		return err_set(err, ERR_LOST, "the saved state of detector config is of another build");
	forget(c);
	if (!saved_take(&in, &f, sizeof(f)) || !take_table(c, &c->ops, &in, take_op) || !take_table(c, &c->objects, &in, take_object) ||
	    !take_table(c, &c->tops, &in, take_marks) || !take_table(c, &c->routines, &in, take_routine) || in.n != 0) {
		forget(c);		/* nothing half */
		return err_set(err, ERR_LOST, "the saved state of detector config is not whole");
	}
	memcpy(c->key, f.key, sizeof(c->key));
	c->time = f.time;
	c->objects.evicted = f.evicted;
	return 0;
}
