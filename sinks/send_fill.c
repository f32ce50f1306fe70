/* send_fill.c - from the spool into batches: what the settings let through, encoded, in order. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/note.h"
#include "base/stat.h"
#include "model/event.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"
#include "sinks/send_state.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define ENTRIES_A_TURN	20000
#define MADE_BYTES	(64u << 20)

/* ---- which events -------------------------------------------------------- */

static uint64_t
class_bit(struct slice name)
{
	const int class = event_class(name);

	return UINT64_C(1) << (class >= 0 ? class : EVENT_CLASSES);	/* the last bit: a class of a later version */
}

static const char *
wrong_events(const struct conf *block, const char *text)
{
	(void)block;
	if (strcmp(text, "all") == 0 || strcmp(text, "findings") == 0 ||
	    event_class(slice_of(text)) >= 0)
		return NULL;
	return "all, findings, or a list of " EVENT_CLASS_WORDS;
}

uint64_t
send_classes(const struct conf *item)
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
	if (conf_text(item, "activity") != NULL && strcmp(conf_text(item, "activity"), "drop") == 0)
		classes &= ~class_bit(SLICE("activity"));
	return classes;
}

bool
send_takes(const struct conf *item, const char *event_class)
{
	return (send_classes(item) & class_bit(slice_of(event_class))) != 0;
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
	  .help = "largest batch, but for one event that is larger; 0: what the sink takes at most" },
	CONF_END
};

static const struct conf_key activity_keys[] = {
	{ .name = "summarize", .type = CONF_TIME, .flags = CONF_REQUIRED, .least = 10000, .most = 3600000,
	  .help = "one event for all that agree in who, what, where and outcome within this time, with their number and sums" },
	CONF_END
};

const struct conf_key send_keys[] = {
	{ .name = "format", .type = CONF_TEXT, .allowed = ENCODER_WORDS, .wrong = wrong_format,
	  .help = "encoding of the events (default: the sink's own)" },
	{ .name = "events", .type = CONF_TEXTS, .fallback = "all", .wrong = wrong_events,
	  .allowed = "all, findings, or a list of classes",
	  .help = "which events: all, findings (all but activity, inventory, agent), or a list of classes" },
	{ .name = "activity", .type = CONF_WORD, .fallback = "forward", .allowed = "forward|drop", .keys = activity_keys,
	  .help = "activity events, one for each request: forward, drop (what is dropped is counted), or {summarize: 5m}" },
	{ .name = "batch", .type = CONF_BLOCK, .keys = batch_keys, .help = "how events are gathered" },
	CONF_END
};

/* ---- filling a flight ---------------------------------------------------- */

void
send_batch_begin(struct send *s, struct batch *b)
{
	buf_reset(&b->bytes);
	b->n = 0;
	b->tries = 0;
	buf_puts(&b->bytes, s->sink.kind->open_bytes);
}

void
send_free_flight(struct flight *f)
{
	if (f == NULL)
		return;
	free(f->batch.v);
	buf_fini(&f->batch.bytes);
	free(f->part.v);
	buf_fini(&f->part.bytes);
	buf_fini(&f->made);
	free(f);
}

static struct flight *
make_flight(const struct send *s)
{
	struct flight *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	buf_init(&f->batch.bytes, s->sink.kind->max_bytes);
	buf_init(&f->part.bytes, s->max_bytes + 64);
	buf_init(&f->made, MADE_BYTES);
	return f;
}

static size_t
windows(const struct send *s)
{
	return s->sink.max_span_ms > 0 ? WINDOWS : 1;
}

/* 1 begun; 0 there are enough of them until answers come; -1 not now. */
static int
begin_flight(struct send *s, struct flight **ret, struct err *err)
{
	struct flight *f;

	if (s->n == s->sink.kind->max_in_flight + windows(s))
		return 0;
	f = s->nspare > 0 ? s->spare[--s->nspare] : make_flight(s);
	if (f == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a batch");
	s->flights[s->n++] = f;
	f->state = FILLING;
	f->nranges = 0;
	f->offered = NULL;
	f->first_seq = UINT64_MAX;
	f->began_ms = 0;
	buf_reset(&f->made);
	buf_reset(&f->batch.bytes);
	f->batch.n = 0;
	*ret = f;
	return 1;
}

int
send_close_flight(struct send *s, struct flight *f, struct err *err)
{
	struct buf *b = &f->batch.bytes;

	buf_puts(b, s->sink.kind->close_bytes);
	if (b->failed) {
		b->failed = b->starved = false;
		return err_set(err, ERR_AGAIN, "no memory for a batch");
	}
	f->ranges[0] = (struct range){ 0, f->batch.n };
	f->nranges = 1;
	f->state = READY;
	return 0;
}

/* ---- windows of time ------------------------------------------------------- */

static bool
fits_window(const struct send *s, const struct flight *f, int64_t when)
{
	const int64_t first = f->first_time_ms < when ? f->first_time_ms : when, last = f->last_time_ms > when ? f->last_time_ms : when;

	return f->batch.n == 0 || s->sink.max_span_ms == 0 || last - first <= s->sink.max_span_ms;
}

static size_t
bytes_waiting(const struct send *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->flights[i]->state == FILLING || s->flights[i]->state == READY ? s->flights[i]->batch.bytes.n : 0;
	return n;
}

/* Whoever has waited longest for company gives way; when all together are too much, all do. */
static int
make_way(struct send *s, size_t filling, bool full, struct err *err)
{
	struct flight *least = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct flight *f = s->flights[i];

		if (f->state != FILLING || f->batch.n == 0)
			continue;
		if (full && send_close_flight(s, f, err) != 0)
			return -1;
		if (f->state == FILLING && (least == NULL || f->used < least->used))
			least = f;
	}
	return filling >= windows(s) && least != NULL ? send_close_flight(s, least, err) : 0;
}

/* The flight in which an event of this time has its place: 1, 0 none now, -1 not now. */
static int
flight_for(struct send *s, int64_t when, struct flight **ret, struct err *err)
{
	const bool full = s->sink.max_span_ms > 0 && bytes_waiting(s) > WINDOWS_BYTES;
	size_t filling = 0;

	for (size_t i = 0; i < s->n && !full; i++) {
		if (s->flights[i]->state != FILLING)
			continue;
		filling++;
		if (fits_window(s, s->flights[i], when)) {
			*ret = s->flights[i];
			return 1;
		}
	}
	if (make_way(s, filling, full, err) != 0)
		return -1;
	return full ? 0 : begin_flight(s, ret, err);
}

struct batch_entry *
send_add_entry(struct batch *b)
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

int
send_set_aside_as(struct send *s, uint8_t kind, struct slice bytes, const char *reason, struct err *err)
{
	const struct dead_letter letter = {
		.when_ms = (int64_t)clock_wall_ms(), .kind = kind, .share = DEAD_OF_SINKS, .from = slice_of(s->name),
		.reason = slice_of(reason), .bytes = bytes,
	};

	if (dead_put(s->world.dead, &letter, err) != 0 || dead_sync(s->world.dead, err) != 0)
		return -1;
	s->set_aside++;
	stat_add(s->sink.stats, STAT_SINK_SET_ASIDE, 1);
	note(DEAD_EVENT, N_TEXT("sink", s->name), N_TEXT("why", reason));
	return 0;
}

/* Takes back what was begun at `at`: 0, or -1 when it was memory that failed, which says nothing of the event. */
static int
take_back(struct batch *b, size_t at, struct err *err)
{
	bool starved = b->bytes.starved;

	b->bytes.n = at;
	b->bytes.failed = b->bytes.starved = false;
	return starved ? err_set(err, ERR_AGAIN, "no memory for a batch") : 0;
}

/* The event into the flight: 1 taken, 0 no room in it, -1 not now. One alone may be as large as the sink takes, whatever batch.max_bytes asks for. */
static int
add_event(struct send *s, struct flight *f, struct event *e, uint64_t seq, struct err *err)
{
	struct batch *b = &f->batch;
	struct batch_entry *entry = send_add_entry(b);
	size_t at = b->n > 0 ? b->bytes.n : 0, most = b->n > 0 ? s->max_bytes : s->sink.kind->max_bytes;
	int64_t when = event_number(e, F_TimeGenerated, 0);
	struct slice id = event_text(e, F_EventId);

	if (entry == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a batch");
	if (b->n >= s->sink.kind->max_entries)
		return 0;
	if (b->n > 0)
		buf_puts(&b->bytes, s->sink.kind->between_bytes);
	else
		send_batch_begin(s, b);
	entry->at = (uint32_t)b->bytes.n;
	if (b->bytes.failed || s->encoder->encode(e, &b->bytes, err) != 0)
		return take_back(b, at, err);
	if (b->bytes.n + strlen(s->sink.kind->close_bytes) > most)
		return take_back(b, at, err);
	entry->n = (uint32_t)b->bytes.n - entry->at;
	entry->seq = s->entry_seq;
	entry->time_ms = when;
	entry->key = order_key(e);
	entry->made = 0;
	entry->level = (uint8_t)(event_severity(e) > 0 ? event_severity(e) : 0);
	snprintf(entry->id, sizeof(entry->id), "%.*s", (int)(id.n < 32 ? id.n : 32), id.n > 0 ? id.p : "");
	f->first_time_ms = b->n > 0 && f->first_time_ms < when ? f->first_time_ms : when;
	f->last_time_ms = b->n > 0 && f->last_time_ms > when ? f->last_time_ms : when;
	f->first_seq = b->n > 0 && f->first_seq < seq ? f->first_seq : seq;
	f->used = ++s->uses;
	if (b->n++ == 0)
		f->began_ms = clock_mono_ms();
	return 1;
}

/*
 * The event into the flight where it has its place; until it is delivered the cursor stays before seq. 1 taken, 0 no room now, -1 not
 * now, 2 it is more than the sink takes.
 */
static int
take_event(struct send *s, struct event *e, uint64_t seq, struct flight **ret, struct err *err)
{
	const int64_t when = event_number(e, F_TimeGenerated, 0);

	for (;;) {
		int got = flight_for(s, when, ret, err);

		if (got == 1)
			got = add_event(s, *ret, e, seq, err);
		else
			return got;
		if (got != 0)
			return got;
		if ((*ret)->batch.n == 0)
			return 2;
		if (send_close_flight(s, *ret, err) != 0)
			return -1;
	}
}

static void
sign(const struct send *s, struct event *e)
{
	if (event_has(e, F_AgentId))		/* another agent's event */
		return;
	event_set_text(e, F_AgentId, slice_of(s->world.agent_id));
	event_set_text(e, F_AgentVersion, slice_of(s->world.agent_version));
	event_set_text(e, F_DvcHostname, slice_of(s->world.hostname));
}

/* ---- summaries ------------------------------------------------------------- */

static const char too_large[] = "the encoded event is larger than this sink takes";

/* The wire form behind f->made, for when it is refused. */
static int
keep_wire(struct flight *f, struct slice wire, struct err *err)
{
	const size_t at = f->made.n;
	char n[4];

	put_le32(n, (uint32_t)wire.n);
	buf_put(&f->made, n, sizeof(n));
	buf_put_slice(&f->made, wire);
	if (f->made.failed) {
		f->made.n = at;
		f->made.failed = false;
		return err_set(err, ERR_AGAIN, "no memory for a summary");
	}
	f->batch.v[f->batch.n - 1].made = (uint32_t)at + 1;
	return 0;
}

/* The event that was added last is taken out again. */
static void
drop_last(const struct send *s, struct flight *f)
{
	struct batch *b = &f->batch;

	b->n--;
	b->bytes.n = b->n > 0 ? b->v[b->n].at - strlen(s->sink.kind->between_bytes) : 0;
}

static int
place_summary(struct send *s, struct buf *wire, struct err *err)
{
	struct flight *f;
	struct event e;
	int got;

	buf_reset(wire);
	if (summary_event(s->summary, s->summary_at, &e, err) != 0)
		return -1;
	sign(s, &e);
	if (wire_put(&e, wire, err) != 0)
		return err_set(err, ERR_AGAIN, "no memory for a summary");
	got = take_event(s, &e, summary_first_seq(s->summary), &f, err);
	if (got == 2)
		return send_set_aside_as(s, DEAD_EVENT, buf_slice(wire), too_large, err) == 0 ? 1 : -1;
	if (got == 1) {
		f->batch.v[f->batch.n - 1].seq = s->placed_seq;
		if (keep_wire(f, buf_slice(wire), err) != 0) {
			drop_last(s, f);
			return -1;
		}
	}
	return got;
}

int
send_close_summary(struct send *s, struct err *err)
{
	struct buf wire;
	int got = 1;

	s->closing = true;
	buf_init(&wire, WIRE_MAX_BYTES);
	for (; got == 1 && s->summary_at < summary_series(s->summary); s->summary_at += got == 1)
		got = place_summary(s, &wire, err);
	buf_fini(&wire);
	if (got != 1)
		return got;
	summary_clear(s->summary);
	s->summary_at = 0;
	s->closing = false;
	return 1;
}

int
send_wire_of(struct send *s, struct flight *f, const struct batch_entry *entry, struct slice *ret, struct err *err)
{
	uint64_t seq = 0;
	int got;

	if (entry->made != 0) {
		*ret = slice_make(f->made.p + entry->made + 3, get_le32(f->made.p + entry->made - 1));
		return 0;
	}
	s->entry = SLICE_NONE;			/* will be read again */
	got = spool_seek(s->reader, entry->seq - 1, err) == 0 ? spool_next(s->reader, ret, &seq, err) : -1;
	if (got == 1 && seq == entry->seq)
		return 0;
	return got == -1 ? -1 : err_set(err, got == 1 ? ERR_LOST : ERR_AGAIN, "entry %llu cannot be read again", (unsigned long long)entry->seq);
}

/* Finds s->entry its place: 1 done with it, 0 no room now, 2 the open epoch must be closed first, -1 not now. */
static int
place_entry(struct send *s, struct err *err)
{
	struct flight *f;
	struct event e;
	int got;

	if (wire_get(s->entry, &e, err) != 0)
		return send_set_aside_as(s, DEAD_EVENT, s->entry, err->text, err) == 0 ? 1 : -1;
	if ((s->classes & class_bit(event_text(&e, F_EventClass))) == 0) {
		stat_add(s->sink.stats, STAT_SINK_FILTERED, 1);
		return 1;
	}
	if (s->summary != NULL && slice_eq(event_text(&e, F_EventClass), SLICE("activity"))) {
		if (summary_add(s->summary, &e, s->entry_seq) == 1) {
			stat_add(s->sink.stats, STAT_SINK_SUMMARIZED, 1);
			return 1;
		}
		if (summary_first_seq(s->summary) != 0)
			return 2;
	}
	sign(s, &e);
	got = take_event(s, &e, s->entry_seq, &f, err);
	if (got == 2)
		return send_set_aside_as(s, DEAD_EVENT, s->entry, too_large, err) == 0 ? 1 : -1;
	return got;
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
		*err = (struct err){ 0 };		/* told; nothing is wrong with what follows */
		return read_entry(s, err);
	}
	return got;
}

/* Reads entries into flights until there are none, or no room. -1: come again later. */
int
send_fill(struct send *s, struct err *err)
{
	for (unsigned i = 0; i < ENTRIES_A_TURN; i++) {
		int got;

		if (s->closing && (got = send_close_summary(s, err)) != 1)
			return got;
		got = read_entry(s, err);
		if (got == 1)
			got = place_entry(s, err);
		if (got == 2)
			s->closing = true;
		else if (got != 1)
			return got;
		if (got == 1) {
			s->placed_seq = s->entry_seq;
			s->entry = SLICE_NONE;
		}
	}
	s->again = true;
	return 0;
}
