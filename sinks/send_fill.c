/* send_fill.c - from the spool into batches: what the settings let through, encoded, in order. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* ---- filling a flight ---------------------------------------------------- */

struct flight *
send_flight(struct send *s, size_t i)
{
	return &s->flights[(s->head + i) % s->limit];
}

struct flight *
send_filling(struct send *s)
{
	struct flight *f = s->n > 0 ? send_flight(s, s->n - 1) : NULL;

	return f != NULL && f->state == FILLING ? f : NULL;
}

void
send_batch_begin(struct send *s, struct batch *b)
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
	f = send_flight(s, s->n++);
	f->state = FILLING;
	f->nranges = 0;
	f->offered = NULL;
	f->last_seq = 0;
	f->began_ms = 0;
	f->batch.bytes.max_bytes = s->max_bytes - strlen(s->sink.kind->close_bytes);
	send_batch_begin(s, &f->batch);
	return f;
}

void
send_close_flight(struct send *s, struct flight *f)
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
send_set_event_aside(struct send *s, struct slice wire, const char *reason, struct err *err)
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
	struct batch_entry *entry = send_add_entry(b);
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
		if (send_set_event_aside(s, s->entry, err->text, err) != 0)
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
		if (send_set_event_aside(s, s->entry, "the encoded event is larger than this sink takes", err) != 0)
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
		struct flight *f = send_filling(s);
		int got = read_entry(s, err);

		if (got != 1)
			return got;
		if (f == NULL && (f = begin_flight(s)) == NULL)
			return 0;
		got = place_entry(s, f, err);
		if (got == -1)
			return -1;
		if (got == 0) {
			send_close_flight(s, f);
		} else {
			s->placed_seq = s->entry_seq;
			s->entry = SLICE_NONE;
		}
	}
	s->again = true;
	return 0;
}
