/*
 * wall.c - the agent's side: two slots of shared memory, one with the worker while the other is filled or emptied.
 *
 * A slot goes FILLING -> AWAY -> BACK -> FILLING. When not all of its records have an answer (the worker ended at one, or had no room) it
 * goes BACK -> REST -> AWAY for those, and the other slot waits: answers keep the order of the records.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/wall.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/note.h"
#include "base/stat.h"
#include "model/wire.h"
#include "run/wall_parts.h"

#define BATCH_BYTES	(128u << 10)	/* a slot goes out past this */
#define BATCH_ITEMS	512u
#define START_MS	60000		/* of reading the mappings and the worker's first sign */
#define RECORD_MAX	(WALL_IN_BYTES - 4096)
#define BEGINNING	(1u << 20)	/* of a record that is longer: what the dead letter gets */
#define WHY_BYTES	112
#define MEMBERS_MAX	(1u << 20)	/* values of an event's AdditionalFields */
#define WORDS_MAX	64u		/* that mean nothing to us: of a worker before this one, or of one that babbles */

enum state { FILLING, AWAY, BACK, REST };

struct item {
	struct record	 record;
	size_t		 at;			/* of the record in the slot; its wall_in */
	bool		 moved;			/* no record */
	void		*owner;
	struct position	 after;
};

struct slot {
	enum state	 state;
	char		*in;
	struct wall_out	*out;
	struct item	 items[BATCH_ITEMS];
	char		 whys[BATCH_ITEMS][WHY_BYTES];	/* what makes its record unreadable, if we keep it */
	uint32_t	 n, next;		/* items; the next to come back */
	uint32_t	 open;			/* AWAY, BACK: records the worker was given */
	uint32_t	 answers, taken;	/* BACK: how many of them have one, and how many of these were read */
	size_t		 in_n, out_at, out_n;	/* bytes used; where the next answer stands, and how far it goes */
};

struct wall {
	struct wall_process	 process;
	int			 in_fd, out_fd;
	char			*in, *out;
	char			**args;
	size_t			 nargs;
	struct slot		*slots;
	uint32_t		 fill;		/* the slot that is filled */
	uint32_t		 round;
	int			 record_ms;
	struct { unsigned slot, item, n; } tries;	/* ends of the worker at one record, in a row */
	struct buf		 reply;
	struct json_reader	*reader;
	struct json_doc		 doc;
};

/* ---- filling ------------------------------------------------------------------------ */

static void
put_record(struct slot *s, struct item *it, const struct record *r)
{
	struct wall_in head = { (uint32_t)r->bytes.n, r->unreadable != NULL, r->relay, r->arrived_ms };
	char *why = s->whys[s->n];

	if (r->bytes.n > RECORD_MAX) {
		head.n = BEGINNING;
		head.skip = 1;
	}
	it->record = *r;
	it->record.bytes = slice_make(s->in + s->in_n + sizeof(head), head.n);
	it->record.padded = true;
	if (r->unreadable != NULL)
		snprintf(why, WHY_BYTES, "%s", r->unreadable);
	else if (head.skip)
		snprintf(why, WHY_BYTES, "longer than %u bytes, its beginning is kept", RECORD_MAX);
	it->record.unreadable = head.skip ? why : NULL;
	it->at = s->in_n;
	memcpy(s->in + s->in_n, &head, sizeof(head));
	if (head.n > 0)
		memcpy(s->in + s->in_n + sizeof(head), r->bytes.p, head.n);
	s->in_n = wall_in_next(s->in_n, head.n, BUF_SLACK);
}

bool
wall_put(struct wall *w, const struct record *r, void *owner, const struct position *after)
{
	struct slot *s = &w->slots[w->fill];
	size_t bytes = r != NULL ? (r->bytes.n < RECORD_MAX ? r->bytes.n : BEGINNING) : 0;
	struct item *it;

	if (s->state != FILLING || s->n == BATCH_ITEMS || (s->n > 0 && s->in_n + bytes > BATCH_BYTES))
		return false;
	it = &s->items[s->n];
	it->moved = r == NULL;
	it->owner = owner;
	it->after = *after;
	if (r != NULL)
		put_record(s, it, r);
	s->n++;
	return true;
}

bool
wall_is_empty(const struct wall *w)
{
	return w->slots[0].n == 0 && w->slots[1].n == 0;
}

/* ---- to the worker and back ------------------------------------------------------------- */

static bool
is_for_worker(const struct item *it)
{
	return !it->moved && it->record.unreadable == NULL;
}

/* The first item that waits for an answer, at or behind s->next; s->n: none. */
static uint32_t
first_open(const struct slot *s, uint32_t *ret_n)
{
	uint32_t first = s->n, n = 0;

	for (uint32_t i = s->next; i < s->n; i++)
		if (is_for_worker(&s->items[i]) && n++ == 0)
			first = i;
	*ret_n = n;
	return first;
}

static void
send(struct wall *w, struct slot *s)
{
	struct wall_order order = { .slot = (uint32_t)(s - w->slots), .round = ++w->round };
	uint32_t first = first_open(s, &order.n);

	s->answers = s->taken = 0;
	s->out_at = s->out_n = 0;
	s->open = order.n;
	s->state = AWAY;
	if (order.n == 0)
		return;
	order.at = s->items[first].at;
	atomic_store(&s->out->done, 0);
	(void)wall_order(&w->process, &order);	/* one who does not listen is found out by waiting for him */
}

static void
give_back(char *p, size_t used)
{
	if (used > WALL_LARGE)
		(void)madvise(p, used, MADV_REMOVE);
}

/* Says why a worker ended, and how. */
static void
describe_end(uint32_t status, int late_ms, char *ret, size_t n)
{
	if (late_ms > 0)
		snprintf(ret, n, "it did not finish within %d ms", late_ms);
	else if (WIFSIGNALED((int)status) && WTERMSIG((int)status) == SIGSYS)
		snprintf(ret, n, "it tried what decoding may not do");
	else if (WIFSIGNALED((int)status) && WTERMSIG((int)status) == SIGABRT)
		snprintf(ret, n, "it gave up, for want of memory or at a fault");
	else
		snprintf(ret, n, "signal %d", WIFSIGNALED((int)status) ? WTERMSIG((int)status) : 0);
}

/* As far as it was answered. */
static void
come_back(struct slot *s)
{
	uint32_t done = atomic_load_explicit(&s->out->done, memory_order_acquire);

	s->answers = done < s->open ? done : s->open;
	s->state = BACK;
}

/* The worker ended while it had this slot. What it had answered counts; the record behind that is suspected, and, in the end, told guilty. */
static void
suspect(struct wall *w, struct slot *s, const char *how)
{
	uint32_t open, first = first_open(s, &open);

	stat_add(stat_agent(), STAT_AGENT_DECODE_ENDED, 1);
	note(DECODE_ENDED, N_TEXT("how", how));
	come_back(s);
	if (s->answers > 0)
		w->tries.n = 0;
	for (uint32_t left = s->answers; left > 0; left--)
		for (first++; first < s->n && !is_for_worker(&s->items[first]); first++)
			;
	if (first == s->n)
		return;
	if (w->tries.n == 0 || w->tries.slot != (unsigned)(s - w->slots) || w->tries.item != first)
		w->tries.n = 0;
	w->tries.slot = (unsigned)(s - w->slots);
	w->tries.item = first;
	if (++w->tries.n < WALL_TRIES)
		return;
	w->tries.n = 0;
	snprintf(s->whys[first], WHY_BYTES, "the decode process ended at it %d times: %s", WALL_TRIES, how);
	s->items[first].record.unreadable = s->whys[first];
	memcpy(s->in + s->items[first].at + offsetof(struct wall_in, skip), &(uint16_t){ 1 }, sizeof(uint16_t));
}

static int
begin(struct wall *w, struct err *err)
{
	struct wall_word word = { 0, 0 };
	int heard;

	if (wall_spawn(&w->process, w->in_fd, w->out_fd, (const char *const *)w->args, w->nargs, err) != 0)
		return -1;
	heard = wall_hear(&w->process, START_MS, &word);
	if (heard == 1 && word.kind == WALL_READY)
		return 0;
	if (heard == 1 && word.kind == WALL_NO_FILTER)
		err_set(err, ERR_AGAIN, "there is no seccomp here");
	else if (heard == 1 && word.kind == WALL_NO_MAPPINGS)
		err_set(err, ERR_AGAIN, "the decode process could not read the mappings; aispm-agent check names their faults");
	else if (heard == 1 && word.kind == WALL_DIED)
		err_set(err, ERR_AGAIN, "the decode process does not work behind its filter (signal %d)", WTERMSIG((int)word.value));
	else
		err_set(err, ERR_AGAIN, "the decode process %s", heard == 0 ? "did not get ready in time" : "ended at once");
	wall_end(&w->process);
	return -1;
}

/* What was said since: a worker that ended with nothing to do is nobody's fault. -1: there is no keeper either, nor a new one. */
static int
catch_up(struct wall *w, struct err *err)
{
	struct wall_word word;
	int heard;

	for (unsigned i = 0; (heard = wall_hear(&w->process, 0, &word)) == 1 && i < WORDS_MAX; i++)
		if (word.kind == WALL_DIED) {
			stat_add(stat_agent(), STAT_AGENT_DECODE_ENDED, 1);
			note(DECODE_ENDED, N_TEXT("how", "while it had nothing to do"));
		}
	if (heard == 0)
		return 0;
	wall_end(&w->process);
	return begin(w, err);
}

static void
stop_worker(const struct wall *w)
{
	if (w->process.pid > 0)
		(void)kill(w->process.pid, SIGUSR1);
}

/* Until the slot that is away has come back, whole or not. */
static void
await(struct wall *w, struct slot *s)
{
	uint32_t seen = 0;
	unsigned words = 0;
	bool late = false;
	char how[80];

	while (s->open > 0) {
		struct wall_word word;
		int heard = wall_hear(&w->process, w->record_ms, &word);
		uint32_t done = atomic_load(&s->out->done);

		if (heard == 1 && word.kind == WALL_DONE && word.value == w->round && done == 0) {
			stop_worker(w);		/* it lies; its end is heard of later, if this one has one */
			suspect(w, s, "it answered nothing");
			return;
		}
		if (heard == 1 && word.kind == WALL_DONE && word.value == w->round) {
			w->tries.n = 0;
			break;
		}
		if (heard == 1 && word.kind == WALL_DIED) {
			describe_end(word.value, late ? w->record_ms : 0, how, sizeof(how));
			suspect(w, s, how);
			return;
		}
		if (heard == -1 || (heard == 0 && late) || ++words > WORDS_MAX + s->open * 2) {
			wall_end(&w->process);
			suspect(w, s, heard == -1 ? "with its keeper" : "it does not obey");
			return;
		}
		if (heard == 0 && done <= seen) {	/* what it takes back is no work */
			stop_worker(w);
			late = true;
		}
		seen = done > seen ? done : seen;
	}
	come_back(s);
}

int
wall_turn(struct wall *w, struct err *err)
{
	struct slot *fill = &w->slots[w->fill], *other = &w->slots[1 - w->fill];

	assert(fill->state == FILLING || fill->n == 0);
	assert(other->state != BACK);
	if ((other->state == REST || other->state == FILLING) && catch_up(w, err) != 0)
		return -1;
	if (other->state == REST)
		send(w, other);
	if (other->state == AWAY)
		await(w, other);
	if (fill->n > 0 && (other->state != BACK || other->answers == other->open)) {
		send(w, fill);
		w->fill = 1 - w->fill;
	}
	return 0;
}

/* ---- taking ------------------------------------------------------------------------------- */

/* The next reply in our own memory; false: it cannot be one. */
static bool
take_reply(struct wall *w, struct slot *s, struct wall_reply *ret)
{
	size_t most = WALL_OUT_BYTES - sizeof(*s->out), at = s->out_at;

	buf_reset(&w->reply);
	if (most - at < sizeof(*ret))
		return false;
	memcpy(ret, s->out->data + at, sizeof(*ret));
	at += sizeof(*ret);
	if (ret->bytes > most - at)
		return false;
	if (w->reply.cap > WALL_LARGE && ret->bytes <= WALL_LARGE)
		buf_fini(&w->reply);
	buf_put(&w->reply, s->out->data + at, ret->bytes);
	s->out_n = at + ret->bytes;
	return true;
}

/* Encoders write this column as it stands: what is not one JSON object in one line could be lines of its own there. */
static bool
is_members(struct wall *w, struct slice s, struct err *err)
{
	bool good = s.p[0] == '{' && s.p[s.n - 1] == '}' && utf8_valid_prefix(s) == s.n;

	for (size_t i = 0; good && i < s.n; i++)
		good = (unsigned char)s.p[i] >= 0x20;
	good = good && json_read(w->reader, s, true, &w->doc, err) == 0;
	json_reset(w->reader, &w->doc);
	return good;
}

/* Only what another agent sent says whose it is, and only its source brings that. */
static bool
speaks_for_an_agent(const struct event *e)
{
	return event_has(e, F_AgentId) || event_has(e, F_AgentVersion) || event_has(e, F_DvcHostname);
}

/* What decode can have made of this record; the rooms behind count on it. `err` is set where memory was short. */
static bool
is_of_a_record(struct wall *w, const struct record *r, const struct event *e, struct err *err)
{
	const struct slice class = event_text(e, F_EventClass);

	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].type == FIELD_TIME && event_has(e, (enum field)f) &&
		    (e->v[f].number < 0 || e->v[f].number > TIME_MOST_MS))
			return false;
	return event_class(class) >= 0 && !event_class_is_finding(class) && (r->relay || !speaks_for_an_agent(e)) &&
	    (!event_has(e, F_AdditionalFields) || is_members(w, event_text(e, F_AdditionalFields), err));
}

static int
take_event(struct wall *w, const struct record *r, struct slice *left, struct event_list *into, struct err *err)
{
	uint32_t n = left->n >= 4 ? get_le32(left->p) : 0;
	struct event *e;

	if (left->n < 4 || n > left->n - 4)
		return err_set(err, ERR_LOST, "an event is cut");
	e = event_list_add(into);
	if (e == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the record's events");
	if (wire_get(slice_make(left->p + 4, n), e, err) != 0)
		return -1;
	if (!is_of_a_record(w, r, e, err))
		return err->kind == ERR_AGAIN ? -1 : err_set(err, ERR_LOST, "no event of a record");
	*left = slice_make(left->p + 4 + n, left->n - 4 - n);
	return 0;
}

/* Printable, as err.h wants it; it comes from behind the wall. */
static const char *
take_text(struct wall *w)
{
	if (w->reply.n > 300)
		w->reply.n = 300;
	for (size_t i = 0; i < w->reply.n; i++)
		if ((unsigned char)w->reply.p[i] < 0x20 || (unsigned char)w->reply.p[i] > 0x7e)
			w->reply.p[i] = '?';
	buf_putc(&w->reply, '\0');
	return w->reply.failed ? "it cannot be decoded" : w->reply.p;
}

static void
take_answer(struct wall *w, struct slot *s, struct wall_answer *ret, struct event_list *into, struct err *err)
{
	size_t before = into->n;
	struct wall_reply reply = { 0 };
	struct err why = { 0 };
	struct slice left;

	if (!take_reply(w, s, &reply))
		err_set(&why, ERR_LOST, "no reply");
	left = buf_slice(&w->reply);
	if (w->reply.failed)
		err_set(&why, ERR_AGAIN, "no memory for the record's events");
	else if (why.kind == ERR_NONE && reply.bad)
		ret->bad = take_text(w);
	else
		while (why.kind == ERR_NONE && left.n > 0)
			(void)take_event(w, ret->record, &left, into, &why);
	ret->count = (struct decode_count){ (uint32_t)(into->n - before), reply.unknown, reply.passed };
	if (why.kind == ERR_NONE)
		return;
	into->n = before;
	if (why.kind == ERR_AGAIN) {
		*err = why;
		return;
	}
	ret->bad = "the decode process answered what is no event";
	stop_worker(w);
}

static struct slot *
slot_back(struct wall *w)
{
	for (uint32_t i = 0; i < WALL_SLOTS; i++)
		if (w->slots[i].state == BACK)
			return &w->slots[i];
	return NULL;
}

static void
empty(struct slot *s)
{
	give_back(s->in, s->in_n);
	give_back((char *)s->out, s->out_n);
	s->state = FILLING;
	s->n = s->next = 0;
	s->in_n = 0;
}

bool
wall_next(struct wall *w, struct wall_answer *ret, struct event_list *into, struct err *err)
{
	struct slot *s = slot_back(w);
	const struct item *it;

	if (s == NULL)
		return false;
	it = &s->items[s->next];
	*ret = (struct wall_answer){ .record = it->moved ? NULL : &it->record, .owner = it->owner, .after = &it->after };
	if (!is_for_worker(it)) {
		ret->bad = it->moved ? NULL : it->record.unreadable;
		return true;
	}
	if (s->taken == s->answers) {		/* it has none yet */
		give_back((char *)s->out, s->out_n);
		s->state = REST;
		return false;
	}
	take_answer(w, s, ret, into, err);
	return true;
}

void
wall_took(struct wall *w)
{
	struct slot *s = slot_back(w);

	if (is_for_worker(&s->items[s->next])) {
		s->taken++;
		s->out_at = s->out_n;
	}
	if (++s->next == s->n)
		empty(s);
}

/* ---- life --------------------------------------------------------------------------------- */

static int
copy_args(struct wall *w, const char *const *args, size_t n)
{
	w->args = calloc(n + 1, sizeof(*w->args));
	if (w->args == NULL)
		return -1;
	for (; w->nargs < n; w->nargs++)
		if ((w->args[w->nargs] = strdup(args[w->nargs])) == NULL)
			return -1;
	return 0;
}

int
wall_open(struct wall **ret, const char *const *args, size_t nargs, struct err *err)
{
	struct wall *w = calloc(1, sizeof(*w));
	void *in, *out;

	if (w == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	w->process = (struct wall_process){ .orders = -1, .words = -1 };
	w->in_fd = w->out_fd = -1;
	w->record_ms = WALL_RECORD_MS;
	buf_init(&w->reply, WALL_OUT_BYTES);
	json_doc_init(&w->doc, MEMBERS_MAX);
	w->reader = json_reader_new();
	w->slots = calloc(WALL_SLOTS, sizeof(*w->slots));
	if (w->reader == NULL || w->slots == NULL || copy_args(w, args, nargs) != 0) {
		err_set(err, ERR_AGAIN, "no memory");
		goto fail;
	}
	if (wall_memory("aispm-records", (size_t)WALL_SLOTS * WALL_IN_BYTES, &w->in_fd, &in, err) != 0)
		goto fail;
	w->in = in;
	if (wall_memory("aispm-events", (size_t)WALL_SLOTS * WALL_OUT_BYTES, &w->out_fd, &out, err) != 0)
		goto fail;
	w->out = out;
	for (size_t i = 0; i < WALL_SLOTS; i++) {
		w->slots[i].in = w->in + i * WALL_IN_BYTES;
		w->slots[i].out = (struct wall_out *)(void *)(w->out + i * WALL_OUT_BYTES);
	}
	signal(SIGPIPE, SIG_IGN);	/* a worker that is gone is no reason to go, too */
	if (begin(w, err) != 0)
		goto fail;
	*ret = w;
	return 0;
fail:
	wall_close(w);
	return -1;
}

void
wall_close(struct wall *w)
{
	if (w == NULL)
		return;
	wall_end(&w->process);
	if (w->in != NULL)
		munmap(w->in, (size_t)WALL_SLOTS * WALL_IN_BYTES);
	if (w->out != NULL)
		munmap(w->out, (size_t)WALL_SLOTS * WALL_OUT_BYTES);
	if (w->in_fd >= 0)
		close(w->in_fd);
	if (w->out_fd >= 0)
		close(w->out_fd);
	for (size_t i = 0; i < w->nargs; i++)
		free(w->args[i]);
	free(w->args);
	free(w->slots);
	buf_fini(&w->reply);
	json_doc_fini(&w->doc);
	json_reader_free(w->reader);
	free(w);
}

int
wall_pid(const struct wall *w)
{
	return w->process.pid;
}

void
wall_patience(struct wall *w, int record_ms)
{
	w->record_ms = record_ms;
}
