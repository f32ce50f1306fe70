/*
 * fuzz_wall.c - a decode process that was taken over: whatever it says and writes, each record comes back once and in its order, with events that no sink
 * is hurt by, or with a reason that can be shown; and the agent does not wait for ever. Linked with --wrap of wall_spawn.c's functions.
 * Input, for each order that is given: how many words are said (a byte), each two bytes (kind; value: 0 what is right, else itself), how many answers are
 * called done (a byte), u16 bytes of answers, and these. When it is over, the worker dies of each order. A first byte of 0x80 on: it never says that it is
 * done, but seems to be at work.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "fixed.h"
#include "parts.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/note.h"
#include "run/wall.h"
#include "run/wall_parts.h"
#include "sinks/encode/encode.h"

#define RECORDS		12u
#define TURNS		2000u
#define REPLY_MOST	(1u << 16)	/* a reply may claim more than it wrote; we do not wait for 272 MiB to be copied */

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int	__wrap_wall_spawn(struct wall_process *, int in_fd, int out_fd, const char *const *args, size_t nargs, struct err *);
void	__wrap_wall_end(struct wall_process *);
int	__wrap_wall_hear(const struct wall_process *, int ms, struct wall_word *ret);
int	__wrap_wall_order(const struct wall_process *, const struct wall_order *);

static struct slice script;
static struct wall_word words[256];
static unsigned nwords, next_word;
static char *shared;
static struct wall_out *at_work;	/* the slot of the last order */
static bool restless;			/* it says nothing, and goes on to change how much is done */
static struct arena arena;
static struct buf line;
static struct json_reader *reader;
static struct json_doc doc;

/* ---- the worker --------------------------------------------------------------------------- */

static unsigned
byte(void)
{
	unsigned b;

	if (script.n == 0)
		return 0;
	b = (unsigned char)script.p[0];
	script = slice_make(script.p + 1, script.n - 1);
	return b;
}

static void
say(uint32_t kind, uint32_t value)
{
	if (nwords < sizeof(words) / sizeof(words[0]))
		words[nwords++] = (struct wall_word){ kind, value };
}

int
__wrap_wall_spawn(struct wall_process *p, int in_fd, int out_fd, const char *const *args, size_t nargs, struct err *err)
{
	(void)in_fd;
	(void)args;
	(void)nargs;
	*p = (struct wall_process){ .pid = 0, .orders = -1, .words = -1 };
	if (shared == NULL) {
		shared = mmap(NULL, (size_t)WALL_SLOTS * WALL_OUT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, out_fd, 0);
		assert(shared != MAP_FAILED);
	}
	nwords = next_word = 0;
	if (byte() % 16 == 15)
		return err_set(err, ERR_AGAIN, "the decode process cannot be started");
	say(byte() % 16 == 15 ? byte() : WALL_READY, SIGKILL);
	return 0;
}

void
__wrap_wall_end(struct wall_process *p)
{
	*p = (struct wall_process){ .pid = 0, .orders = -1, .words = -1 };
	nwords = next_word = 0;
}

int
__wrap_wall_hear(const struct wall_process *p, int ms, struct wall_word *ret)
{
	(void)p;
	if (next_word == nwords && restless && ms > 0 && at_work != NULL) {
		atomic_fetch_xor(&at_work->done, 1);
		return 0;
	}
	if (next_word == nwords)
		return ms == 0 || byte() % 2 == 1 ? 0 : -1;
	*ret = words[next_word++];
	return 1;
}

/* What it claims of one reply's length is kept to what can be tried often. */
static void
bound_replies(char *at, size_t n)
{
	struct wall_reply r;

	for (size_t i = 0; i + sizeof(r) <= n; i += sizeof(r) + r.bytes) {
		memcpy(&r, at + i, sizeof(r));
		if (r.bytes > REPLY_MOST && r.bytes < WALL_OUT_BYTES)
			r.bytes = REPLY_MOST + r.bytes % REPLY_MOST;
		memcpy(at + i, &r, sizeof(r));
	}
}

int
__wrap_wall_order(const struct wall_process *p, const struct wall_order *o)
{
	struct wall_out *out = (struct wall_out *)(void *)(shared + (size_t)o->slot * WALL_OUT_BYTES);
	unsigned n, done;
	size_t bytes;

	(void)p;
	at_work = out;
	if (script.n == 0) {
		say(WALL_DIED, SIGKILL);
		return 0;
	}
	n = byte() % 8;
	for (unsigned i = 0; i < n; i++) {
		const unsigned kind = byte(), value = byte();

		say(kind, value == 0 && kind == WALL_DONE ? o->round : value);
	}
	done = byte();
	bytes = byte();
	bytes |= (size_t)byte() << 8;
	bytes = bytes < script.n ? bytes : script.n;
	memcpy(out->data, script.p, bytes);
	bound_replies(out->data, bytes);
	script = slice_make(script.p + bytes, script.n - bytes);
	atomic_store(&out->done, done == 255 ? UINT32_MAX : done);
	if (n == 0 && !restless)
		say(WALL_DONE, o->round);
	return 0;
}

/* ---- the agent ------------------------------------------------------------------------------ */

static void
open_once(void)
{
	if (reader != NULL)
		return;
	note_to_fd(-1);
	arena_init(&arena, 65536, 256u << 20);
	buf_init(&line, 64u << 20);
	reader = json_reader_new();
	assert(reader != NULL);
	json_doc_init(&doc, 1u << 20);
}

/* One line, whatever stands in the columns. */
static void
check_event(const struct event *e)
{
	static const char *const formats[] = { "json", "cef", "ocsf", "commonsecuritylog" };
	struct err err = { 0 };

	assert(event_class(event_text(e, F_EventClass)) >= 0 && !event_class_is_finding(event_text(e, F_EventClass)));
	assert(!event_has(e, F_TimeGenerated) || (e->v[F_TimeGenerated].number >= 0 && e->v[F_TimeGenerated].number <= TIME_MOST_MS));
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		buf_reset(&line);
		assert(encoder_find(formats[i])->encode(e, &line, &err) == 0);
		assert(utf8_valid_prefix(buf_slice(&line)) == line.n);
		for (size_t k = 0; k < line.n; k++)
			assert((unsigned char)line.p[k] >= 0x20);
		json_reset(reader, &doc);
		assert(i == 1 || json_read(reader, buf_slice(&line), false, &doc, &err) == 0);
	}
}

static void
put_all(struct wall *w, unsigned *put)
{
	static char owner;

	for (; *put < RECORDS; (*put)++) {
		struct record r = { .bytes = slice_of("{\"a\":1}"), .source = "fuzz", .arrived_ms = 1790000000000 };
		const struct position after = { .stream = *put, .len = 1 };

		if (*put % 5 == 4)
			r.unreadable = "too long";
		if (!wall_put(w, *put % 7 == 6 ? NULL : &r, &owner, &after))
			return;
		if (*put == 4) {
			(*put)++;
			return;			/* the rest goes into the other slot */
		}
	}
}

static void
take_all(struct wall *w, unsigned *taken)
{
	struct wall_answer a;
	struct err err = { 0 };

	for (;;) {
		struct event_list events = { .arena = &arena };

		arena_reset(&arena);
		if (!wall_next(w, &a, &events, &err))
			return;
		assert(err.kind == ERR_NONE && a.after->stream == *taken && (a.record == NULL) == (*taken % 7 == 6));
		assert(a.bad == NULL || (events.n == 0 && is_fit_to_show(a.bad)));
		assert(a.record != NULL || (events.n == 0 && a.bad == NULL));
		assert(a.record == NULL || slice_eq(a.record->bytes, slice_of("{\"a\":1}")));
		for (size_t i = 0; i < events.n; i++)
			check_event(&events.v[i]);
		wall_took(w);
		(*taken)++;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const args[] = { "none" };
	unsigned put = 0, taken = 0, turns = 0;
	struct wall *w = NULL;
	struct err err = { 0 };

	open_once();
	script = slice_make(data, n);
	at_work = NULL;
	restless = n > 0 && data[0] >= 0x80;
	if (wall_open(&w, args, 1, &err) == 0) {
		while (taken < RECORDS) {
			assert(++turns < TURNS);
			put_all(w, &put);
			(void)wall_turn(w, &err);
			take_all(w, &taken);
		}
		assert(wall_is_empty(w));
		wall_close(w);
	}
	assert(err.kind == ERR_NONE || is_fit_to_show(err.text));
	if (shared != NULL)
		munmap(shared, (size_t)WALL_SLOTS * WALL_OUT_BYTES);
	shared = NULL;
	return 0;
}
