/*
 * send.c - the way of the events from the spool to one sink.
 *
 * A flight is one batch on its way. Flights leave in the order in which they were begun, and the cursor stays before the first entry
 * of any that is not delivered, so nothing is passed over. Where a batch may span only so much time, several fill side by side, one
 * for each window of time: events whose times alternate still share requests. A refused flight is cut by ranges: [lo, hi) of its entries
 * stand on a small stack; a range that is delivered is popped, one that is refused makes room for its
 * two halves, and a range of one goes to the dead letter.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/send.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/stat.h"
#include "model/event.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"
#include "sinks/send_state.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define HELD_LEAST_MS	60000
#define HELD_MOST_MS	300000
#define LATER_LEAST_MS	500
#define LATER_MOST_MS	60000
#define REFUSED_MOST	100	/* single events in a row */
#define SUMMARY_GRACE_MS	5000	/* for events that are late by a little */
#define SUMMARY_ONCE_MS	1000

static void pump(struct send *);

/* ---- what people see ----------------------------------------------------- */

static void
set_state(struct send *s, enum send_state state, const struct err *why, uint64_t wait_ms)
{
	const char *text = why != NULL ? why->text : "";

	if (state == DELIVERING && s->state != DELIVERING)
		note(SINK_RECOVERED, N_TEXT("sink", s->name));
	else if (state == HELD)
		note(SINK_HELD, N_TEXT("sink", s->name), N_NUMBER("next_try_s", wait_ms / 1000), N_TEXT("why", text));
	else if (state == WAITING)
		note(SINK_LATER, N_TEXT("sink", s->name), N_NUMBER("wait_ms", wait_ms), N_TEXT("why", text));
	s->state = state;
	stat_set(s->sink.stats, STAT_SINK_STATE, state);
	stat_say(s->sink.stats, text);
}

static void
count_pending(struct send *s)
{
	uint64_t cursor = spool_reader_cursor(s->reader), durable = spool_durable_seq(s->world.spool);

	stat_set(s->sink.stats, STAT_SINK_CURSOR_SEQ, cursor);
	stat_set(s->sink.stats, STAT_SINK_PENDING, durable > cursor ? durable - cursor : 0);
}

/* ---- sending ------------------------------------------------------------- */

/* The range on top of the stack as a batch of its own. */
static const struct batch *
frame_range(struct send *s, struct flight *f)
{
	struct range r = f->ranges[f->nranges - 1];
	struct batch *p = &f->part;

	if (r.lo == 0 && r.hi == f->batch.n)
		return &f->batch;
	send_batch_begin(s, p);
	for (size_t i = r.lo; i < r.hi; i++) {
		struct batch_entry *entry = send_add_entry(p);

		if (entry == NULL)
			return NULL;
		*entry = f->batch.v[i];
		if (p->n > 0)
			buf_puts(&p->bytes, s->sink.kind->between_bytes);
		entry->at = (uint32_t)p->bytes.n;
		buf_put_slice(&p->bytes, batch_entry_bytes(&f->batch, i));
		p->n++;
	}
	buf_puts(&p->bytes, s->sink.kind->close_bytes);
	return p->bytes.failed ? NULL : p;
}

static void
offer(struct send *s, struct flight *f)
{
	const struct batch *b = frame_range(s, f);

	if (b == NULL) {			/* no memory for the copy: again in a while */
		s->not_before_ms = clock_mono_ms() + LATER_LEAST_MS;
		return;
	}
	f->state = OUT;
	f->offered = b;
	f->offered_ms = clock_mono_ms();
	s->sink.kind->put(&s->sink, b);
}

static void
delivered(struct send *s, struct flight *f)
{
	stat_add(s->sink.stats, STAT_SINK_EVENTS, f->offered->n);
	stat_add(s->sink.stats, STAT_SINK_BYTES, f->offered->bytes.n);
	stat_add(s->sink.stats, STAT_SINK_BATCHES, 1);
	stat_set(s->sink.stats, STAT_SINK_LAST_DELIVERY_MS, clock_wall_ms());
	backoff_reset(&s->later);
	backoff_reset(&s->held);
	s->refused_in_row = 0;
	s->knocked = false;
	f->nranges--;
	if (clock_mono_ms() >= s->not_before_ms)	/* else another batch was told to wait, and so do all that come */
		set_state(s, DELIVERING, NULL, 0);
}

static void
wait_for(struct send *s, enum send_state state, uint64_t wait_ms, const struct err *why)
{
	if (state == HELD)
		wait_ms = backoff_next_ms(&s->held);
	else if (wait_ms == 0)
		wait_ms = backoff_next_ms(&s->later);
	stat_add(s->sink.stats, STAT_SINK_RETRIES, 1);
	stat_add(s->sink.stats, STAT_SINK_HOLDS, state == HELD);
	if (clock_mono_ms() + wait_ms > s->not_before_ms)	/* another flight's answer may ask for more */
		s->not_before_ms = clock_mono_ms() + wait_ms;
	set_state(s, state, why, wait_ms);
}

/* The wire form of an entry that was refused, read again from the spool; if it is damaged there by now, the entry as it was encoded. */
static int
refuse_one(struct send *s, struct flight *f, size_t i, const struct err *why, struct err *err)
{
	const struct batch_entry *entry = &f->batch.v[i];
	struct slice wire;
	char reason[sizeof(why->text) + 64];
	int got, back;

	snprintf(reason, sizeof(reason), "refused by the far side: %s", why != NULL ? why->text : "no reason given");
	got = send_wire_of(s, f, entry, &wire, err);
	if (got == 0)
		got = send_set_aside_as(s, DEAD_EVENT, wire, reason, err);
	else if (err->kind == ERR_LOST)
		got = send_set_aside_as(s, DEAD_RECORD, batch_entry_bytes(&f->batch, i), reason, err);
	back = spool_seek(s->reader, s->placed_seq, err);
	return got == 0 && back == 0 ? 0 : -1;
}

static void
refused_all(const struct send *s, const struct err *why, struct err *err)
{
	err_set(err, ERR_DENIED, "%u events one after another were refused, so it is not theirs alone; are the stream, the table's columns and the format right? %s",
	    s->refused_in_row, why != NULL ? why->text : "");
}

static int
compare_times(const void *a, const void *b)
{
	const struct batch_entry *x = a, *y = b;

	if (x->time_ms != y->time_ms)
		return x->time_ms < y->time_ms ? -1 : 1;
	return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* A batch that was filled before it was known that it spans too much time: halved by time it soon does not. */
static void
order_by_time(const struct send *s, struct flight *f)
{
	if (s->sink.max_span_ms > 0 && f->last_time_ms - f->first_time_ms > s->sink.max_span_ms && f->offered == &f->batch)
		qsort(f->batch.v, f->batch.n, sizeof(f->batch.v[0]), compare_times);
}

static void
cut(struct send *s, struct flight *f, const struct err *why)
{
	struct range *top = &f->ranges[f->nranges - 1];
	struct err err = { 0 };

	if (top->hi - top->lo == 1) {
		/* One guilty event after another is no guilty event: something concerns them all. Each knock gives up one more. */
		if (s->refused_in_row >= REFUSED_MOST && !s->knocked) {
			s->knocked = true;
			refused_all(s, why, &err);
			wait_for(s, HELD, 0, &err);
			return;
		}
		s->knocked = false;
		s->refused_in_row++;
		if (refuse_one(s, f, top->lo, why, &err) != 0)
			wait_for(s, WAITING, 0, &err);
		else
			f->nranges--;
		return;
	}
	assert(f->nranges < RANGES);
	order_by_time(s, f);
	note(SINK_SPLIT, N_TEXT("sink", s->name), N_NUMBER("events", top->hi - top->lo),
	    N_TEXT("why", why != NULL ? why->text : ""));
	f->ranges[f->nranges] = (struct range){ top->lo, top->lo + (top->hi - top->lo) / 2 };
	top->lo = f->ranges[f->nranges].hi;
	f->nranges++;
}

static struct flight *
flight_of(struct send *s, const struct batch *b)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->flights[i]->state == OUT && s->flights[i]->offered == b)
			return s->flights[i];
	return NULL;
}

static void
tell_answer(const struct send *s, const struct flight *f, enum sink_verdict verdict, const struct err *why)
{
	static const char *const words[] = { [SINK_DELIVERED] = "delivered", [SINK_LATER] = "later", [SINK_HELD] = "held", [SINK_TOO_BIG] = "too big",
		[SINK_REFUSED] = "refused" };
	const struct batch *b = f->offered;

	note(SINK_BATCH, N_TEXT("sink", s->name), N_NUMBER("events", b->n), N_NUMBER("bytes", b->bytes.n), N_NUMBER("first", b->n > 0 ? b->v[0].seq : 0),
	    N_TEXT("answer", words[verdict]), N_NUMBER("ms", clock_mono_ms() - f->offered_ms), N_TEXT("said", why != NULL ? why->text : ""));
}

static void
answered(struct sink *sink, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms,
    const struct err *why)
{
	struct send *s = sink->owner;
	struct flight *f = flight_of(s, b);

	assert(f != NULL);
	tell_answer(s, f, verdict, why);
	switch (verdict) {
	case SINK_DELIVERED:
		delivered(s, f);
		break;
	case SINK_LATER:
		wait_for(s, WAITING, wait_ms, why);
		break;
	case SINK_HELD:
		wait_for(s, HELD, 0, why);
		break;
	case SINK_TOO_BIG:
	case SINK_REFUSED:
		cut(s, f, why);
		break;
	}
	f->offered = NULL;
	f->state = f->nranges > 0 ? READY : DONE;
	pump(s);
}

static void
said(struct sink *sink, const char *text)
{
	const struct send *s = sink->owner;

	note(SINK_WARNS, N_TEXT("sink", s->name), N_TEXT("what", text));
}

static void
did(struct sink *sink, const char *text)
{
	note(SINK_DEBUG, N_TEXT("sink", ((const struct send *)sink->owner)->name), N_TEXT("what", text));
}

static int
event_id_of(struct sink *sink, uint64_t seq, char ret[33])
{
	struct send *s = sink->owner;
	struct slice wire, id;
	struct err err = { 0 };
	struct event e;
	uint64_t got;
	int rc = -1;

	if (seq > spool_durable_seq(s->world.spool))
		return 0;
	s->entry = SLICE_NONE;			/* will be read again */
	if (seq > 0 && spool_seek(s->reader, seq - 1, &err) == 0 && spool_next(s->reader, &wire, &got, &err) == 1 && got == seq &&
	    wire_get(wire, &e, &err) == 0) {
		id = event_text(&e, F_EventId);
		snprintf(ret, 33, "%.*s", (int)(id.n < 32 ? id.n : 32), id.n > 0 ? id.p : "");
		rc = 1;
	}
	(void)spool_seek(s->reader, s->placed_seq, &err);
	return rc;
}

/* ---- moving on ----------------------------------------------------------- */

/* Up to here everything is delivered, left out on purpose, or in the dead letter. */
static uint64_t
done_up_to(const struct send *s)
{
	uint64_t seq = s->placed_seq;

	for (size_t i = 0; i < s->n; i++)
		if (s->flights[i]->batch.n > 0 && s->flights[i]->first_seq - 1 < seq)
			seq = s->flights[i]->first_seq - 1;
	if (s->summary != NULL && summary_first_seq(s->summary) != 0 && summary_first_seq(s->summary) - 1 < seq)
		seq = summary_first_seq(s->summary) - 1;
	return seq;
}

/* Of windows there may be many for a while; their memory goes with them. */
static void
spare_flight(struct send *s, struct flight *f)
{
	if (s->sink.max_span_ms > 0 && s->nspare > MAX_OUT)
		send_free_flight(f);
	else
		s->spare[s->nspare++] = f;
}

static void
retire(struct send *s)
{
	struct err err = { 0 };
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->flights[i]->state == DONE)
			spare_flight(s, s->flights[i]);
		else
			s->flights[kept++] = s->flights[i];
	s->n = kept;
	if (done_up_to(s) <= spool_reader_cursor(s->reader))
		return;
	if (spool_done(s->reader, done_up_to(s), &err) != 0)
		note(INTERNAL, N_TEXT("sink", s->name), N_TEXT("why", err.text));
	s->world.progress(s->world.arg);
}

/* When the open epoch must be told though event time stands still; UINT64_MAX: none is open. */
static uint64_t
summary_due_ms(const struct send *s)
{
	if (s->summary == NULL || summary_first_seq(s->summary) == 0)
		return UINT64_MAX;
	if (s->drain)
		return 0;
	return summary_began_ms(s->summary) + (s->world.once ? SUMMARY_ONCE_MS : summary_window_ms(s->summary) + SUMMARY_GRACE_MS);
}

static int
close_due(struct send *s, uint64_t now_ms, struct err *err)
{
	for (size_t i = 0; i < s->n; i++) {
		struct flight *f = s->flights[i];

		if (f->state == FILLING && f->batch.n > 0 && (s->drain || now_ms - f->began_ms >= s->max_wait_ms) &&
		    send_close_flight(s, f, err) != 0)
			return -1;
	}
	return 0;
}

static unsigned
count_out(const struct send *s)
{
	unsigned out = 0;

	for (size_t i = 0; i < s->n; i++)
		out += s->flights[i]->state == OUT;
	return out;
}

/* Oldest first, no more at once than the sink takes. */
static void
offer_ready(struct send *s, uint64_t now_ms)
{
	unsigned out = count_out(s);

	for (size_t i = 0; i < s->n && out < s->sink.kind->max_in_flight && now_ms >= s->not_before_ms; i++)
		if (s->flights[i]->state == READY) {
			struct flight *f = s->flights[i];

			offer(s, f);
			out += f->state == OUT;
		}
}

static void
set_timer(struct send *s, uint64_t now_ms, bool failed)
{
	uint64_t at = UINT64_MAX;

	if (s->settling) {
		loop_timer_unset(s->timer);
		return;
	}
	if (failed)
		at = now_ms + LATER_LEAST_MS;
	else if (s->again)
		at = now_ms;
	for (size_t i = 0; !failed && i < s->n; i++)
		if (s->flights[i]->state == FILLING && s->flights[i]->batch.n > 0 && s->flights[i]->began_ms + s->max_wait_ms < at)
			at = s->flights[i]->began_ms + s->max_wait_ms;
	if (summary_due_ms(s) < at)
		at = summary_due_ms(s);
	/* With no room at the sink it is an answer that is waited for, not a time. */
	for (size_t i = 0; i < s->n && count_out(s) < s->sink.kind->max_in_flight; i++)
		if (s->flights[i]->state == READY && s->not_before_ms < at)
			at = s->not_before_ms;
	if (at == UINT64_MAX)
		loop_timer_unset(s->timer);
	else
		loop_timer_set(s->timer, at > now_ms ? at - now_ms : 0);
}

/* Fills, offers and retires until nothing moves; answers from within put() come back here and are caught. */
static void
pump(struct send *s)
{
	struct err err = { 0 };
	bool failed = false;
	uint64_t now_ms;

	s->again = true;
	if (s->pumping || !s->started)
		return;
	s->pumping = true;
	for (unsigned round = 0; s->again && !failed && round < 16; round++) {
		s->again = false;
		now_ms = clock_mono_ms();
		retire(s);
		if (s->settling)
			break;
		failed = send_fill(s, &err) != 0 || (now_ms >= summary_due_ms(s) && send_close_summary(s, &err) == -1) ||
		    close_due(s, now_ms, &err) != 0;
		offer_ready(s, now_ms);
		retire(s);
	}
	s->pumping = false;
	count_pending(s);
	if (failed)
		note(INTERNAL, N_TEXT("sink", s->name), N_TEXT("why", err.text));
	set_timer(s, clock_mono_ms(), failed);
	s->again = false;
}

static void
timer_fired(void *arg)
{
	pump(arg);
}

/* ---- life ---------------------------------------------------------------- */

int
send_open(struct send **ret, const struct send_world *world, const struct conf *item, struct err *err)
{
	const struct sink_kind *kind = sink_kind_find(conf_text(item, "type"));
	const char *format = conf_text(item, "format");
	const struct conf *batch = conf_block(item, "batch");
	struct send *s = calloc(1, sizeof(*s));

	assert(kind != NULL);
	if (s == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	s->world = *world;
	snprintf(s->name, sizeof(s->name), "%s", conf_text(item, "name"));
	s->sink = (struct sink){ .kind = kind, .name = s->name, .agent_id = world->agent_id, .loop = world->loop,
		.http = world->http, .owner = s, .answer = answered, .say = said, .debug = did, .event_id = event_id_of };
	s->encoder = encoder_find(format != NULL ? format : kind->format);
	assert(s->encoder != NULL);
	s->classes = send_classes(item);
	s->max_wait_ms = conf_ms(batch, "max_wait");
	s->max_bytes = conf_bytes(batch, "max_bytes");
	if (s->max_bytes == 0 || s->max_bytes > kind->max_bytes)
		s->max_bytes = kind->max_bytes;
	backoff_init(&s->later, LATER_LEAST_MS, LATER_MOST_MS);
	backoff_init(&s->held, HELD_LEAST_MS, HELD_MOST_MS);
	s->sink.stats = stat_make(STAT_SINK, s->name, kind->name);
	s->timer = loop_timer_new(world->loop, timer_fired, s, err);
	assert(kind->max_in_flight <= MAX_OUT);
	if (conf_block(item, "activity") != NULL)
		s->summary = summary_new(conf_ms(conf_block(item, "activity"), "summarize"), world->agent_id);
	if (s->sink.stats == NULL || s->timer == NULL || (conf_block(item, "activity") != NULL && s->summary == NULL)) {
		err_set(err, ERR_AGAIN, "no memory for a sink");
		goto fail;
	}
	if (kind->open(&s->sink, item, err) != 0)
		goto fail;
	*ret = s;
	return 0;
fail:
	send_close(s);
	return -1;
}

int
send_start(struct send *s, struct err *err)
{
	bool fresh;

	if (spool_reader_open(&s->reader, s->world.spool, s->name, &fresh, err) != 0)
		return -1;
	s->placed_seq = spool_reader_cursor(s->reader);
	s->started = true;
	pump(s);
	return 0;
}

void
send_close(struct send *s)
{
	if (s == NULL)
		return;
	s->started = false;
	s->sink.kind->close(&s->sink);
	while (s->n > 0)
		send_free_flight(s->flights[--s->n]);
	while (s->nspare > 0)
		send_free_flight(s->spare[--s->nspare]);
	loop_timer_free(s->timer);
	summary_free(s->summary);
	spool_reader_close(s->reader);
	stat_drop(s->sink.stats);
	free(s);
}

void
send_more(struct send *s)
{
	pump(s);
}

void
send_settle(struct send *s)
{
	s->settling = true;
	pump(s);
}

void
send_drain(struct send *s)
{
	s->drain = true;
	pump(s);
}

bool
send_done(const struct send *s, uint64_t seq)
{
	return s->started && spool_reader_cursor(s->reader) >= seq;
}

void
send_reopen(struct send *s)
{
	if (s->sink.kind->reopen != NULL)
		s->sink.kind->reopen(&s->sink);
}

size_t
send_out(const struct send *s)
{
	return count_out(s);
}

uint64_t
send_set_aside(const struct send *s)
{
	return s->set_aside;
}
