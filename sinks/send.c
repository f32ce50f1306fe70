/*
 * send.c - the way of the events from the spool to one sink.
 *
 * A flight is one batch on its way. Flights leave in the order of their entries and the cursor follows the
 * oldest one, so nothing is passed over. A refused flight is cut by ranges: [lo, hi) of its entries
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
#include "base/hash.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/stat.h"
#include "model/event.h"
#include "model/wire.h"
#include "net/backoff.h"
#include "sinks/batch.h"
#include "sinks/encode/encode.h"
#include "sinks/sink.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define MAX_FLIGHTS	8
#define RANGES		40		/* halving 2^32 entries needs 33 */
#define HELD_LEAST_MS	60000
#define HELD_MOST_MS	300000
#define LATER_LEAST_MS	500
#define LATER_MOST_MS	60000
#define ENTRIES_A_TURN	20000

enum flight_state { FILLING, READY, OUT, DONE };
enum send_state { DELIVERING, WAITING, HELD };

struct range {
	size_t	lo, hi;
};

struct flight {
	enum flight_state	 state;
	struct batch		 batch, part;	/* part: a range of batch, framed anew */
	const struct batch	*offered;	/* which of them is out */
	struct range		 ranges[RANGES];
	size_t			 nranges;
	uint64_t		 last_seq;	/* everything up to here is in it, or left out on purpose */
	uint64_t		 began_ms;
	int64_t			 first_time_ms, last_time_ms;	/* span of TimeGenerated */
};

struct send {
	struct send_world	 world;
	struct sink		 sink;
	const struct encoder	*encoder;
	struct spool_reader	*reader;
	struct loop_timer	*timer;
	struct backoff		 later, held;
	enum send_state		 state;
	uint64_t		 not_before_ms;
	uint64_t		 max_wait_ms;
	size_t			 max_bytes;
	struct flight		 flights[MAX_FLIGHTS];
	size_t			 head, n, limit;	/* ring of flights */
	struct slice		 entry;		/* read, and not yet in a flight */
	uint64_t		 entry_seq;
	uint64_t		 placed_seq;	/* newest entry that a flight has, or was left out */
	uint64_t		 classes;	/* bit of each class let through, by class_bit */
	uint64_t		 set_aside;
	bool			 drain, pumping, again, started;
	char			 name[65];
};

static void pump(struct send *);

/* ---- which events -------------------------------------------------------- */

static const char *const class_names[] = {
	"alert", "recommendation", "attack_path", "inventory", "activity",
	"access_anomaly", "volume_spike", "config_change", "control", "agent",
};
#define CLASSES		(sizeof(class_names) / sizeof(class_names[0]))
#define CLASS_WORDS	"alert, recommendation, attack_path, inventory, activity, access_anomaly, " \
			"volume_spike, config_change, control, agent"

static uint64_t
class_bit(struct slice name)
{
	for (size_t i = 0; i < CLASSES; i++)
		if (slice_eq(name, slice_of(class_names[i])))
			return UINT64_C(1) << i;
	return UINT64_C(1) << CLASSES;		/* a class of a later version */
}

static const char *
wrong_events(const struct conf *block, const char *text)
{
	(void)block;
	if (strcmp(text, "all") == 0 || strcmp(text, "findings") == 0 ||
	    class_bit(slice_of(text)) < UINT64_C(1) << CLASSES)
		return NULL;
	return "all, findings, or a list of " CLASS_WORDS;
}

static uint64_t
classes_of(const struct conf *item)
{
	uint64_t quiet = class_bit(SLICE("activity")) | class_bit(SLICE("inventory")) | class_bit(SLICE("agent"));
	uint64_t classes = 0;

	for (size_t i = 0; i < conf_texts(item, "events"); i++) {
		const char *word = conf_text_at(item, "events", i);

		if (strcmp(word, "all") == 0)
			classes = ~UINT64_C(0);
		else if (strcmp(word, "findings") == 0)
			classes |= ~quiet;
		else
			classes |= class_bit(slice_of(word));
	}
	if (strcmp(conf_text(item, "activity"), "drop") == 0)
		classes &= ~class_bit(SLICE("activity"));
	return classes;
}

static const char *
wrong_format(const struct conf *block, const char *text)
{
	(void)block;
	return encoder_find(text) != NULL ? NULL : ENCODER_WORDS;
}

static const struct conf_key batch_keys[] = {
	{ .name = "max_wait", .type = CONF_TIME, .fallback = "1s", .most = 600000,
	  .help = "how long a batch waits to become fuller" },
	{ .name = "max_bytes", .type = CONF_BYTES, .fallback = "0", .most = 1000000, .flags = CONF_ADVANCED,
	  .help = "largest batch; 0: what the sink takes at most" },
	CONF_END
};

const struct conf_key send_keys[] = {
	{ .name = "format", .type = CONF_TEXT, .allowed = ENCODER_WORDS, .wrong = wrong_format,
	  .help = "encoding of the events (default: the sink's own)" },
	{ .name = "events", .type = CONF_TEXTS, .fallback = "all", .wrong = wrong_events,
	  .allowed = "all, findings, or a list of classes",
	  .help = "which events: all, findings (all but activity, inventory, agent), or a list of classes" },
	{ .name = "activity", .type = CONF_WORD, .fallback = "forward", .allowed = "forward|drop",
	  .help = "activity events, one for each request: forward or drop (what is dropped is counted)" },
	{ .name = "batch", .type = CONF_BLOCK, .keys = batch_keys, .help = "how events are gathered" },
	CONF_END
};

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

/* ---- filling a flight ---------------------------------------------------- */

static struct flight *
flight_at(struct send *s, size_t i)
{
	return &s->flights[(s->head + i) % s->limit];
}

static struct flight *
filling(struct send *s)
{
	struct flight *f = s->n > 0 ? flight_at(s, s->n - 1) : NULL;

	return f != NULL && f->state == FILLING ? f : NULL;
}

static void
batch_begin(struct send *s, struct batch *b)
{
	buf_reset(&b->bytes);
	b->n = 0;
	b->tries = 0;
	buf_puts(&b->bytes, s->sink.kind->open_bytes);
}

static struct flight *
begin_flight(struct send *s)
{
	struct flight *f;

	if (s->n == s->limit)
		return NULL;
	f = flight_at(s, s->n++);
	f->state = FILLING;
	f->nranges = 0;
	f->offered = NULL;
	f->last_seq = 0;
	f->began_ms = 0;
	f->batch.bytes.max_bytes = s->max_bytes - strlen(s->sink.kind->close_bytes);
	batch_begin(s, &f->batch);
	return f;
}

static void
close_flight(struct send *s, struct flight *f)
{
	if (f->batch.n == 0) {
		f->state = DONE;
		return;
	}
	f->batch.bytes.max_bytes = s->max_bytes + 64;
	buf_puts(&f->batch.bytes, s->sink.kind->close_bytes);
	f->ranges[0] = (struct range){ 0, f->batch.n };
	f->nranges = 1;
	f->state = READY;
}

static struct batch_entry *
add_entry(struct batch *b)
{
	if (b->n == b->cap) {
		size_t cap = b->cap > 0 ? b->cap * 2 : 256;
		struct batch_entry *v = realloc(b->v, cap * sizeof(*v));

		if (v == NULL)
			return NULL;
		b->v = v;
		b->cap = cap;
	}
	return &b->v[b->n];
}

/* What keeps order together: a resource's events, else an actor's. */
static uint64_t
order_key(const struct event *e)
{
	struct slice of = event_text(e, F_TargetResourceId);
	char low[512];
	size_t n;

	if (of.n == 0)
		of = event_text(e, F_ActorUserId);
	n = of.n < sizeof(low) ? of.n : sizeof(low);
	for (size_t i = 0; i < n; i++)
		low[i] = (char)ascii_lower((unsigned char)of.p[i]);
	return hash_stable(low, n);
}

static int
set_aside(struct send *s, struct slice wire, const char *reason, struct err *err)
{
	const struct dead_letter letter = {
		.when_ms = (int64_t)clock_wall_ms(), .kind = DEAD_EVENT, .from = slice_of(s->name),
		.reason = slice_of(reason), .bytes = wire,
	};

	if (dead_put(s->world.dead, &letter, err) != 0 || dead_sync(s->world.dead, err) != 0)
		return -1;
	s->set_aside++;
	stat_add(s->sink.stats, STAT_SINK_SET_ASIDE, 1);
	note(DEAD_EVENT, N_TEXT("sink", s->name), N_TEXT("why", reason));
	return 0;
}

/* The event into the flight: 1 taken, 0 no room in this flight, -1 not now. */
static int
take_event(struct send *s, struct flight *f, struct event *e, struct err *err)
{
	struct batch *b = &f->batch;
	struct batch_entry *entry = add_entry(b);
	size_t at = b->bytes.n;
	int64_t when = event_number(e, F_TimeGenerated, 0);
	int64_t first = b->n > 0 && f->first_time_ms < when ? f->first_time_ms : when;
	int64_t last = b->n > 0 && f->last_time_ms > when ? f->last_time_ms : when;
	struct slice id = event_text(e, F_EventId);

	if (entry == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a batch");
	if (b->n >= s->sink.kind->max_entries ||
	    (b->n > 0 && s->sink.max_span_ms > 0 && last - first > s->sink.max_span_ms))
		return 0;
	if (b->n > 0)
		buf_puts(&b->bytes, s->sink.kind->between_bytes);
	entry->at = (uint32_t)b->bytes.n;
	if (b->bytes.failed || s->encoder->encode(e, &b->bytes, err) != 0) {
		b->bytes.n = at;
		b->bytes.failed = false;
		return 0;
	}
	entry->n = (uint32_t)b->bytes.n - entry->at;
	entry->seq = s->entry_seq;
	entry->time_ms = when;
	entry->key = order_key(e);
	snprintf(entry->id, sizeof(entry->id), "%.*s", (int)(id.n < 32 ? id.n : 32), id.n > 0 ? id.p : "");
	f->first_time_ms = first;
	f->last_time_ms = last;
	if (b->n++ == 0)
		f->began_ms = clock_mono_ms();
	return 1;
}

static void
sign(const struct send *s, struct event *e)
{
	event_set_text(e, F_AgentId, slice_of(s->world.agent_id));
	event_set_text(e, F_AgentVersion, slice_of(s->world.agent_version));
	event_set_text(e, F_DvcHostname, slice_of(s->world.hostname));
}

/* Puts s->entry into the flight: 1 done with it, 0 the flight is full, -1 not now. */
static int
place_entry(struct send *s, struct flight *f, struct err *err)
{
	struct event e;
	int taken;

	if (wire_get(s->entry, &e, err) != 0) {
		if (set_aside(s, s->entry, err->text, err) != 0)
			return -1;
		f->last_seq = s->entry_seq;
		return 1;
	}
	if ((s->classes & class_bit(event_text(&e, F_EventClass))) == 0) {
		stat_add(s->sink.stats, STAT_SINK_FILTERED, 1);
		f->last_seq = s->entry_seq;
		return 1;
	}
	sign(s, &e);
	taken = take_event(s, f, &e, err);
	if (taken == 0 && f->batch.n == 0) {
		if (set_aside(s, s->entry, "the encoded event is larger than this sink takes", err) != 0)
			return -1;
		taken = 1;
	}
	if (taken == 1)
		f->last_seq = s->entry_seq;
	return taken;
}

/* Reads the next entry into s->entry: 1, 0 none, -1 not now. */
static int
read_entry(struct send *s, struct err *err)
{
	int got;

	if (s->entry.p != NULL)
		return 1;
	got = spool_next(s->reader, &s->entry, &s->entry_seq, err);
	if (got != 1)
		s->entry = SLICE_NONE;
	if (got == -1 && err->kind == ERR_LOST) {
		note(SPOOL_DAMAGE, N_TEXT("sink", s->name), N_TEXT("why", err->text));
		return read_entry(s, err);
	}
	return got;
}

/* Reads entries into flights until there are none, or no room. -1: come again later. */
static int
fill(struct send *s, struct err *err)
{
	for (unsigned i = 0; i < ENTRIES_A_TURN; i++) {
		struct flight *f = filling(s);
		int got = read_entry(s, err);

		if (got != 1)
			return got;
		if (f == NULL && (f = begin_flight(s)) == NULL)
			return 0;
		got = place_entry(s, f, err);
		if (got == -1)
			return -1;
		if (got == 0) {
			close_flight(s, f);
		} else {
			s->placed_seq = s->entry_seq;
			s->entry = SLICE_NONE;
		}
	}
	s->again = true;
	return 0;
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
	batch_begin(s, p);
	for (size_t i = r.lo; i < r.hi; i++) {
		struct batch_entry *entry = add_entry(p);

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
	s->sink.kind->put(&s->sink, b);
}

static void
delivered(struct send *s, struct flight *f)
{
	stat_add(s->sink.stats, STAT_SINK_EVENTS, f->offered->n);
	stat_add(s->sink.stats, STAT_SINK_BYTES, f->offered->bytes.n);
	stat_add(s->sink.stats, STAT_SINK_BATCHES, 1);
	backoff_reset(&s->later);
	backoff_reset(&s->held);
	f->nranges--;
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
	s->not_before_ms = clock_mono_ms() + wait_ms;
	set_state(s, state, why, wait_ms);
}

/* The wire form of an entry that was refused, read again from the spool. */
static int
refuse_one(struct send *s, const struct batch_entry *entry, const struct err *why, struct err *err)
{
	struct slice wire;
	uint64_t seq;
	char reason[sizeof(why->text) + 64];
	int got, back;

	snprintf(reason, sizeof(reason), "refused by the far side: %s", why != NULL ? why->text : "no reason given");
	s->entry = SLICE_NONE;			/* will be read again */
	got = spool_seek(s->reader, entry->seq - 1, err) == 0 ? spool_next(s->reader, &wire, &seq, err) : -1;
	if (got == 1 && seq == entry->seq)
		got = set_aside(s, wire, reason, err) == 0 ? 1 : -1;
	back = spool_seek(s->reader, s->placed_seq, err);
	return got == 1 && back == 0 ? 0 : -1;
}

static void
cut(struct send *s, struct flight *f, const struct err *why)
{
	struct range *top = &f->ranges[f->nranges - 1];
	struct err err = { 0 };

	if (top->hi - top->lo == 1) {
		if (refuse_one(s, &f->batch.v[top->lo], why, &err) != 0)
			wait_for(s, WAITING, 0, &err);
		else
			f->nranges--;
		return;
	}
	assert(f->nranges < RANGES);
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
		if (flight_at(s, i)->state == OUT && flight_at(s, i)->offered == b)
			return flight_at(s, i);
	return NULL;
}

static void
answered(struct sink *sink, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms,
    const struct err *why)
{
	struct send *s = sink->owner;
	struct flight *f = flight_of(s, b);

	assert(f != NULL);
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

/* ---- moving on ----------------------------------------------------------- */

static void
retire(struct send *s)
{
	struct err err = { 0 };
	bool moved = false;

	while (s->n > 0 && flight_at(s, 0)->state == DONE) {
		if (spool_done(s->reader, flight_at(s, 0)->last_seq, &err) != 0)
			note(INTERNAL, N_TEXT("sink", s->name), N_TEXT("why", err.text));
		s->head = (s->head + 1) % s->limit;
		s->n--;
		moved = true;
	}
	if (moved)
		s->world.progress(s->world.arg);
}

/* A flight that holds only what the sink leaves out need not wait. */
static void
close_if_due(struct send *s, uint64_t now_ms)
{
	struct flight *f = filling(s);

	if (f == NULL || f->last_seq == 0)
		return;
	if (f->batch.n == 0 || s->drain || now_ms - f->began_ms >= s->max_wait_ms)
		close_flight(s, f);
}

/* Oldest first, no more at once than the sink takes. */
static void
offer_ready(struct send *s, uint64_t now_ms)
{
	unsigned out = 0;

	for (size_t i = 0; i < s->n; i++)
		out += flight_at(s, i)->state == OUT;
	for (size_t i = 0; i < s->n && out < s->sink.kind->max_in_flight && now_ms >= s->not_before_ms; i++)
		if (flight_at(s, i)->state == READY) {
			offer(s, flight_at(s, i));
			out += flight_at(s, i)->state == OUT;
		}
}

static void
set_timer(struct send *s, uint64_t now_ms)
{
	struct flight *f = filling(s);
	uint64_t at = UINT64_MAX;

	if (s->again)
		at = now_ms;
	else if (f != NULL && f->batch.n > 0)
		at = f->began_ms + s->max_wait_ms;
	for (size_t i = 0; i < s->n; i++)
		if (flight_at(s, i)->state == READY && s->not_before_ms < at)
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
	uint64_t now_ms;

	s->again = true;
	if (s->pumping || !s->started)
		return;
	s->pumping = true;
	for (unsigned round = 0; s->again && round < 16; round++) {
		s->again = false;
		now_ms = clock_mono_ms();
		retire(s);
		if (fill(s, &err) != 0) {
			note(INTERNAL, N_TEXT("sink", s->name), N_TEXT("why", err.text));
			loop_timer_set(s->timer, LATER_LEAST_MS);
			break;
		}
		close_if_due(s, now_ms);
		offer_ready(s, now_ms);
		retire(s);
	}
	s->pumping = false;
	count_pending(s);
	if (err.kind == ERR_NONE)
		set_timer(s, clock_mono_ms());
	s->again = false;
}

static void
timer_fired(void *arg)
{
	pump(arg);
}

/* ---- life ---------------------------------------------------------------- */

static void
init_flights(struct send *s)
{
	s->limit = s->sink.kind->max_in_flight + 1;	/* one more fills meanwhile */
	assert(s->limit <= MAX_FLIGHTS);
	for (size_t i = 0; i < s->limit; i++) {
		buf_init(&s->flights[i].batch.bytes, s->max_bytes - strlen(s->sink.kind->close_bytes));
		buf_init(&s->flights[i].part.bytes, s->max_bytes + 64);
	}
}

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
		.http = world->http, .owner = s, .answer = answered };
	s->encoder = encoder_find(format != NULL ? format : kind->format);
	assert(s->encoder != NULL);
	s->classes = classes_of(item);
	s->max_wait_ms = conf_ms(batch, "max_wait");
	s->max_bytes = conf_bytes(batch, "max_bytes");
	if (s->max_bytes == 0 || s->max_bytes > kind->max_bytes)
		s->max_bytes = kind->max_bytes;
	backoff_init(&s->later, LATER_LEAST_MS, LATER_MOST_MS);
	backoff_init(&s->held, HELD_LEAST_MS, HELD_MOST_MS);
	s->sink.stats = stat_make(STAT_SINK, s->name, kind->name);
	s->timer = loop_timer_new(world->loop, timer_fired, s, err);
	init_flights(s);
	if (s->sink.stats == NULL || s->timer == NULL) {
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
	for (size_t i = 0; i < MAX_FLIGHTS; i++) {
		free(s->flights[i].batch.v);
		buf_fini(&s->flights[i].batch.bytes);
		free(s->flights[i].part.v);
		buf_fini(&s->flights[i].part.bytes);
	}
	loop_timer_free(s->timer);
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

uint64_t
send_set_aside(const struct send *s)
{
	return s->set_aside;
}

const char *
send_name(const struct send *s)
{
	return s->name;
}
