/*
 * config_ops.c - one operation, several records: Start, Accept, the end. It is said once, by the first record that tells how it ended; what never ends is said when
 * event time has passed its limit; one that must give way to others is said then.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "detect/config_parts.h"
#include "model/wire.h"

#define OPS_BYTES	(8u << 20)	/* of all open operations together */
#define AGAIN_MS	10000		/* records of one operation are not shuffled further than this */
#define LOOKS		64		/* operations ahead of time that are passed over */

void
op_keep(struct config *c, char **to, uint32_t *to_n, char *text, uint32_t n)
{
	c->ops_bytes += n;
	c->ops_bytes -= *to_n;
	free(*to);
	*to = text;
	*to_n = n;
}

void
op_drop(void *config, void *op)
{
	struct op *o = op;

	op_keep(config, &o->event, &o->event_n, NULL, 0);
	op_keep(config, &o->body, &o->body_n, NULL, 0);
}

static void
keep_copy(struct config *c, char **to, uint32_t *to_n, struct slice s)
{
	char *p = s.n > 0 ? malloc(s.n) : NULL;

	if (p != NULL)
		memcpy(p, s.p, s.n);
	op_keep(c, to, to_n, p, p != NULL ? (uint32_t)s.n : 0);
}

/* The first record, to be said if no other comes; without AdditionalFields if those are too long. */
static void
keep_event(struct config *c, struct op *o, const struct event *e)
{
	struct event bare = *e;
	struct err err = { 0 };
	struct buf b;

	buf_init(&b, EVENT_BYTES);
	if (wire_put(e, &b, &err) != 0) {
		buf_reset(&b);
		event_unset(&bare, F_AdditionalFields);
		event_unset(&bare, F_EventMessage);
		(void)wire_put(&bare, &b, &err);
	}
	keep_copy(c, &o->event, &o->event_n, buf_slice(&b));
	buf_fini(&b);
}

static void
keep_id(struct op *o, const struct event *e)
{
	if (o->nevidence < EVIDENCE_IDS && id_bytes(event_text(e, F_EventId), o->evidence[o->nevidence]))
		o->nevidence++;
}

static void
finish(struct config *c, struct op *o, const struct change *change)
{
	struct change whole = *change;

	if (o->hidden && whole.hidden.n == 0)
		whole.hidden = slice_make(o->body, o->body_n);
	else if (whole.body.n == 0)
		whole.body = slice_make(o->body, o->body_n);
	config_say(c, &whole, o);
	o->said = true;
	o->failed = change->failed;
	o->ended_ms = change->t_ms;
	op_drop(c, o);
}

/* As its first record told it, since no other came. */
static void
give_up(struct config *c, struct op *o)
{
	struct change change;
	struct event e;
	struct err err = { 0 };

	if (o->said || o->event == NULL || wire_get(slice_make(o->event, o->event_n), &e, &err) != 0 || !config_change_of(c, &e, &change))
		return;
	change.ended = false;
	finish(c, o, &change);
}

static struct op *
make_op(struct config *c, const struct change *change)
{
	struct op *o;

	if (c->ops.n == c->ops.max) {		/* the one untouched for longest gives way, and is said before */
		struct op *oldest = lru_oldest(&c->ops, LRU_NEW);

		give_up(c, oldest);
	}
	o = lru_add(&c->ops, change->op);
	o->first_ms = o->touched_ms = change->t_ms;
	return o;
}

/* Of all that is kept those untouched for longest give way, and are said before. */
static void
make_bytes(struct config *c, const struct op *but)
{
	for (struct op *o = lru_oldest(&c->ops, LRU_NEW); o != NULL && c->ops_bytes > OPS_BYTES; o = lru_newer(&c->ops, o))
		if (o != but && o->event_n > 0) {
			give_up(c, o);
			op_drop(c, o);
		}
}

/*
 * A CorrelationId is the caller's own word (x-ms-correlation-request-id), and some put one on all they do: what asks for something else, begins after the end, comes
 * from elsewhere then, or succeeds after a failure is another operation.
 */
static bool
is_another(const struct op *o, const struct change *change, uint64_t from)
{
	const bool differs = change->asked != 0 && change->asked != o->asked;

	if (!o->said)
		return differs && o->asked != 0;
	if (change->t_ms <= o->ended_ms)
		return false;
	if (differs || (o->failed && change->ended && !change->failed))
		return true;
	return change->t_ms > o->ended_ms + AGAIN_MS && ((change->asked != 0 && !change->ended) || (from != 0 && o->from != 0 && from != o->from));
}

static void
begin_another(struct config *c, struct op *o, const struct change *change)
{
	give_up(c, o);
	op_drop(c, o);
	o->first_ms = o->touched_ms = change->t_ms;
	o->ended_ms = 0;
	o->asked = o->from = 0;
	o->said = o->failed = o->hidden = o->nevidence = 0;
}

void
ops_take(struct config *c, const struct change *change)
{
	const struct slice address = event_text(change->e, F_SrcIpAddr);
	const uint64_t from = address.n > 0 ? config_hash(c, "from", address) | 1 : 0;
	struct op *o = lru_find(&c->ops, change->op);

	if (o == NULL)
		o = make_op(c, change);
	else if (is_another(o, change, from))
		begin_another(c, o, change);
	if (change->t_ms > o->touched_ms)
		o->touched_ms = change->t_ms;
	if (o->said)
		return;
	if (change->t_ms < o->first_ms)
		o->first_ms = change->t_ms;
	keep_id(o, change->e);
	if (o->asked == 0)
		o->asked = change->asked;
	if (from != 0)
		o->from = from;
	if (change->ended) {
		finish(c, o, change);
		return;
	}
	if (o->event == NULL)
		keep_event(c, o, change->e);
	if (o->body == NULL && change->hidden.n > 0 && change->hidden.n <= BODY_BYTES) {
		keep_copy(c, &o->body, &o->body_n, change->hidden);
		o->hidden = o->body != NULL;
	} else if (o->body == NULL && change->body.n > 0) {
		keep_copy(c, &o->body, &o->body_n, change->body);
	}
	make_bytes(c, o);
}

void
ops_expire(struct config *c)
{
	unsigned looks = 0;

	for (struct op *o = lru_oldest(&c->ops, LRU_NEW), *next; o != NULL && looks < LOOKS; o = next) {
		next = lru_newer(&c->ops, o);
		if (o->touched_ms + c->wait_ms < c->time.now_ms) {
			give_up(c, o);
			op_drop(c, o);
			lru_remove(&c->ops, o);
		} else if (o->touched_ms <= c->time.now_ms) {
			break;
		} else if (o->touched_ms > c->time.now_ms + EVENT_PAUSE_MS) {	/* a time that will not come: from now on */
			o->touched_ms = c->time.now_ms;
			(void)lru_find(&c->ops, o->node.key);
		} else {
			looks++;			/* ahead, as behind a pause: it keeps nobody else waiting */
		}
	}
}
