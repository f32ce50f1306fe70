/*
 * intake.c - left of the spool: sources -> decode -> detect -> one atomic group after another.
 *
 * A group holds the events of some records, the findings they led to, and where their sources stand after
 * them. It is written and synced as one; only then do sources hear safe(). While the spool has no room the group
 * waits in memory, whole, and sources are told to stop.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/stat.h"
#include "base/sys.h"
#include "detect/detect.h"
#include "posture/posture.h"
#include "run/intake_state.h"
#include "run/settings.h"
#include "run/wall.h"
#include "source/source.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define GROUP_BYTES	(1u << 20)	/* a group is committed past this */
#define GROUP_MAX_BYTES	(256u << 20)	/* one record's events may take it this far */
#define COMMIT_AFTER_MS	50
#define IDLE_COMMIT_MS	10		/* at most one commit in this time for a trickle */
#define TEND_MS		200
#define RETRY_MS	1000
#define CHECKPOINT_MS	60000
#define CHECKPOINT_TIMES	50	/* but saving takes at most one part of so many */
#define ARENA_BYTES	(256u << 10)
#define ARENA_MAX_BYTES	(512u << 20)

/* ---- committing ----------------------------------------------------------- */

static int
write_group(struct intake *in, struct err *err)
{
	struct group *g = &in->group;
	struct spool_mark marks[GROUP_MARKS];
	uint64_t seq = 0;

	if (g->n > in->entries_cap) {
		struct slice *v = realloc(in->entries, g->cap * sizeof(*v));

		if (v == NULL)
			return err_set(err, ERR_AGAIN, "no memory for a group");
		in->entries = v;
		in->entries_cap = g->cap;
	}
	for (size_t i = 0, at = 0; i < g->n; at = g->ends[i++])
		in->entries[i] = slice_make(g->bytes.p + at, g->ends[i] - at);
	for (size_t i = 0; i < g->nmarks; i++)
		marks[i] = (struct spool_mark){ slice_of(g->marks[i].source->name), &g->marks[i].at };
	if (g->letters && dead_sync(in->world.dead, err) != 0)
		return -1;
	if (spool_append_group(in->world.spool, in->entries, g->n, marks, g->nmarks, &seq, err) != 0)
		return -1;
	return spool_sync(in->world.spool, &in->seen_seq, err);
}

static void
count_spool(struct intake *in)
{
	stat_set(in->world.spool_stats, STAT_SPOOL_BYTES, spool_total_bytes(in->world.spool));
	stat_set(in->world.spool_stats, STAT_SPOOL_DURABLE_SEQ, spool_durable_seq(in->world.spool));
	stat_set(in->world.spool_stats, STAT_SPOOL_LOST, spool_lost(in->world.spool));
	stat_set(in->world.spool_stats, STAT_SPOOL_DEAD_BYTES, dead_bytes(in->world.dead));
	stat_set(in->world.spool_stats, STAT_SPOOL_DEAD_ENTRIES, dead_letters(in->world.dead));
}

static void
tell_stuck(struct intake *in, const struct err *err)
{
	if (!in->stuck)
		note(SOURCE_PAUSED, N_TEXT("why", err->text));
	in->stuck = true;
	for (size_t i = 0; i < in->nsources; i++)
		stat_set(in->sources[i].stats, STAT_SOURCE_PAUSED, 1);
}

int
intake_write(struct intake *in)
{
	struct group *g = &in->group;
	struct err err = { 0 };
	struct mark marks[GROUP_MARKS];
	const uint64_t began_ms = clock_mono_ms();
	size_t nmarks = g->nmarks;

	loop_timer_unset(in->commit_timer);
	if (group_is_empty(g))
		return 0;
	if (write_group(in, &err) != 0) {
		tell_stuck(in, &err);
		loop_timer_set(in->commit_timer, RETRY_MS);
		return -1;
	}
	note(GROUP, N_NUMBER("events", g->n), N_NUMBER("bytes", g->bytes.n), N_NUMBER("last", in->seen_seq), N_NUMBER("ms", clock_mono_ms() - began_ms));
	stat_add(in->world.spool_stats, STAT_SPOOL_ENTRIES, g->n);
	stat_add(in->world.spool_stats, STAT_SPOOL_SYNCS, 1);
	memcpy(marks, g->marks, nmarks * sizeof(marks[0]));
	in->unsaved_bytes += g->bytes.n;
	group_clear(g);
	in->committed_ms = clock_mono_ms();
	for (size_t i = 0; i < nmarks; i++)
		if (marks[i].source->kind->safe != NULL)
			marks[i].source->kind->safe(marks[i].source, &marks[i].at);
	count_spool(in);
	in->world.spooled(in->world.arg);
	/* The detectors' cursor must never be what fills the spool. */
	if (in->unsaved_bytes > in->world.spool_bytes / 8)
		intake_save(in);
	return 0;
}

/* ---- one record ----------------------------------------------------------- */

static bool
get_stuck(struct intake *in, const struct err *err)
{
	tell_stuck(in, err);
	loop_timer_set(in->commit_timer, RETRY_MS);
	return false;
}

/* What is known of a record, or that a stream moved, goes into the group. False: nothing of it; stuck. */
static bool
take_known(struct intake *in, struct source *s, const struct record *r, const struct record_known *known, const struct position *after)
{
	struct group *g = &in->group;
	struct err err = { 0 };

	if ((g->bytes.n >= GROUP_BYTES || g->nmarks == GROUP_MARKS) && intake_write(in) != 0)
		return false;
	if (r != NULL && intake_take_record(in, s, r, known, &err) != 0)
		return get_stuck(in, &err);
	if (r != NULL) {
		stat_add(s->stats, STAT_SOURCE_RECORDS, 1);
		stat_add(s->stats, STAT_SOURCE_BYTES, r->bytes.n);
	}
	if (!group_mark(g, s, after))
		assert(!"a group with room for a mark has none");
	return true;
}

/* What came back from behind the wall. */
static bool
take_answers(struct intake *in)
{
	struct wall_answer a;
	struct err err = { 0 };

	while (wall_next(in->wall, &a, &in->events, &err)) {
		const struct record_known known = { a.bad, a.count };

		if (err.kind != ERR_NONE) {
			intake_forget(in);
			return get_stuck(in, &err);
		}
		if (!take_known(in, a.owner, a.record, &known, a.after)) {
			intake_forget(in);
			return false;
		}
		wall_took(in->wall);
	}
	return true;
}

/* Gives the worker what was gathered, and takes what it had before. */
static bool
turn_wall(struct intake *in)
{
	struct err err = { 0 };

	if (!take_answers(in))
		return false;
	if (wall_turn(in->wall, &err) != 0)
		return get_stuck(in, &err);
	return take_answers(in);
}

/* Until nothing stands before the wall or behind it. */
static int
settle(struct intake *in)
{
	while (in->wall != NULL && !wall_is_empty(in->wall))
		if (!turn_wall(in))
			return -1;
	return 0;
}

static bool
take(struct source *s, const struct record *r, const struct position *after)
{
	struct intake *in = s->owner;
	struct record marked;

	if (in->stuck)
		return false;
	if (r != NULL && s->relay) {
		marked = *r;
		marked.relay = true;
		r = &marked;
	}
	if (in->wall == NULL) {
		struct record_known known = { 0 };
		struct err err = { 0 };

		if (r != NULL && intake_decode(in, r, &known, &err) != 0)
			return get_stuck(in, &err);
		if (!take_known(in, s, r, &known, after)) {
			intake_forget(in);
			return false;
		}
	} else {
		while (!wall_put(in->wall, r, s, after))
			if (!turn_wall(in))
				return false;
	}
	if (!loop_timer_is_set(in->commit_timer))
		loop_timer_set(in->commit_timer, COMMIT_AFTER_MS);
	return true;
}

/* Everything that was taken is written and synced. -1: what is not stays, and sources stand still until it could be. */
static int
commit(struct intake *in)
{
	return settle(in) == 0 ? intake_write(in) : -1;
}

static void
resume_sources(struct intake *in)
{
	if (in->stuck)
		note(SOURCE_RESUMED);
	in->stuck = false;
	for (size_t i = 0; i < in->nsources; i++)
		stat_set(in->sources[i].stats, STAT_SOURCE_PAUSED, 0);
	for (size_t i = 0; i < in->nsources && !in->stuck; i++)
		in->sources[i].kind->resume(&in->sources[i]);
}

static void
commit_due(void *arg)
{
	struct intake *in = arg;

	if (commit(in) == 0 && in->stuck)
		resume_sources(in);
}

static void
look_drained(struct intake *in)
{
	if (!in->world.once || atomic_load(&in->drained))
		return;
	for (size_t i = 0; i < in->nsources; i++)
		if (!in->sources[i].kind->drained(&in->sources[i]))
			return;
	if (commit(in) != 0)
		return;
	for (size_t i = 0; i < in->nsources; i++)
		if (in->sources[i].missed && in->troubled != EX_IOERR)
			atomic_store(&in->troubled, in->sources[i].kind == &source_kind_file ? EX_IOERR : EX_UNAVAILABLE);
	atomic_store(&in->drained, true);
}

static void
idle(struct source *s)
{
	struct intake *in = s->owner;

	if (!in->stuck && clock_mono_ms() - in->committed_ms >= IDLE_COMMIT_MS)
		(void)commit(in);
	look_drained(in);
}

static void
say_line(struct source *s, bool trouble, const char *text)
{
	if (trouble)
		note(SOURCE_TROUBLE, N_TEXT("source", s->name), N_TEXT("what", text));
	else
		note(SOURCE_INFO, N_TEXT("source", s->name), N_TEXT("what", text));
	if (trouble) {
		s->missed = true;
		stat_add(s->stats, STAT_SOURCE_TROUBLES, 1);
		stat_set(s->stats, STAT_SOURCE_LAST_TROUBLE_MS, clock_wall_ms());
		stat_say(s->stats, text);
	}
}

static void
debug_line(struct source *s, const char *text)
{
	note(SOURCE_DEBUG, N_TEXT("source", s->name), N_TEXT("what", text));
}

/* Silence must be told from quiet. */
static void
beat(struct intake *in)
{
	struct event_list say = { .arena = &in->arena };
	struct err err = { 0 };

	if (in->heartbeat_every_ms == 0 || in->stuck || clock_mono_ms() - in->heartbeat_ms < in->heartbeat_every_ms)
		return;
	in->heartbeat_ms = clock_mono_ms();
	if (heartbeat_say(in->world.agent_id, (int64_t)clock_wall_ms(), &say, &err) != 0 || group_add(&in->group, &say.v[0], &err) != 0)
		note(INTERNAL, N_TEXT("what", "heartbeat"), N_TEXT("why", err.text));
	else
		intake_count_classes(&say);
	arena_reset(&in->arena);
	(void)commit(in);
}

/* ---- turning -------------------------------------------------------------- */

static void
tend(void *arg)
{
	struct intake *in = arg;
	struct err err = { 0 };
	uint64_t freed = 0;

	if (spool_tend(in->world.spool, &freed, &err) != 0)
		note(INTERNAL, N_TEXT("what", "spool"), N_TEXT("why", err.text));
	if (freed > 0)
		in->world.spooled(in->world.arg);	/* readers let go of what is freed, and the disk has its room back */
	if (in->stuck && commit(in) == 0)
		resume_sources(in);
	/* What the detectors have not saved must not keep room that every sink has given back. */
	if (in->stuck && spool_reader_cursor(in->checkpoint) < spool_least_other(in->checkpoint))
		intake_let_go(in);
	if (clock_mono_ms() - in->checkpoint_ms >= CHECKPOINT_MS + CHECKPOINT_TIMES * in->saving_ms) {
		if (commit(in) == 0)
			intake_save(in);
		else
			intake_let_go(in);
	}
	beat(in);
	intake_make_charts(in);
	detect_count(in->detect);
	count_spool(in);
	look_drained(in);
	loop_timer_set(in->tend_timer, TEND_MS);
}

static void
woken(void *arg)
{
	struct intake *in = arg;

	if (atomic_load(&in->stop)) {
		loop_stop(in->loop);
		return;
	}
	if (in->stuck)
		tend(in);
}

static void *
run_loop(void *arg)
{
	loop_run(arg);
	return NULL;
}

/* ---- life ----------------------------------------------------------------- */

static int
open_source(struct intake *in, struct source *s, const struct conf *item, struct err *err)
{
	*s = (struct source){
		.kind = source_kind_find(conf_text(item, "type")), .name = conf_text(item, "name"), .loop = in->loop,
		.once = in->world.once, .agent_id = in->world.agent_id, .take = take, .say_line = say_line,
		.debug_line = debug_line, .idle = idle, .owner = in,
	};
	assert(s->kind != NULL);
	s->evidence = conf_bool(item, "evidence");
	s->relay = conf_bool(item, "relay");
	settings_source_start(item, s);
	s->stats = stat_make(STAT_SOURCE, s->name, s->kind->name);
	if (s->stats == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	return s->kind->open(s, item, err) == 0 ? 0 : settings_place("sources", item, err);
}

int
intake_open(struct intake **ret, const struct world *world, const struct conf *conf, struct problems *problems,
    struct err *err)
{
	struct intake *in = calloc(1, sizeof(*in));
	size_t n = conf_blocks(conf, "sources");

	if (in == NULL || (in->sources = calloc(n > 0 ? n : 1, sizeof(*in->sources))) == NULL) {
		free(in);
		return err_set(err, ERR_AGAIN, "no memory for intake");
	}
	in->world = *world;
	intake_begin_classes();
	pthread_mutex_init(&in->charts_lock, NULL);
	in->charts = calloc(DETECT_CHARTS, sizeof(*in->charts));
	in->wanted_ms = clock_mono_ms();	/* so that the first look finds something */
	in->heartbeat_every_ms = world->once ? 0 : conf_ms(conf_block(conf, "agent"), "heartbeat");
	arena_init(&in->arena, ARENA_BYTES, ARENA_MAX_BYTES);
	in->events.arena = in->findings.arena = &in->arena;
	/* A group must fit into the spool with room to spare; a record that makes a larger one is set aside. */
	buf_init(&in->group.bytes, world->spool_bytes / 4 < GROUP_MAX_BYTES ? world->spool_bytes / 4 : GROUP_MAX_BYTES);
	in->loop = loop_new(err);
	if (in->charts == NULL)
		err_set(err, ERR_AGAIN, "no memory for intake");
	if (in->charts == NULL || in->loop == NULL || intake_decode_open(in, conf, problems, err) != 0 ||
	    detect_open(&in->detect, conf_block(conf, "detectors"), err) != 0 ||
	    posture_open(&in->posture, conf_block(conf, "zones"), err) != 0 ||
	    (in->commit_timer = loop_timer_new(in->loop, commit_due, in, err)) == NULL ||
	    (in->tend_timer = loop_timer_new(in->loop, tend, in, err)) == NULL)
		goto fail;
	loop_on_wake(in->loop, woken, in);
	for (size_t i = 0; i < n; i++) {
		in->nsources = i + 1;
		if (open_source(in, &in->sources[i], conf_block_at(conf, "sources", i), err) != 0)
			goto fail;
	}
	*ret = in;
	return 0;
fail:
	intake_close(in);
	return -1;
}

struct restoring {
	struct intake	*in;
	struct err	*err;
};

static int
restore_one(void *arg, struct slice name, const struct position *at)
{
	struct restoring *r = arg;

	for (size_t i = 0; i < r->in->nsources; i++) {
		struct source *s = &r->in->sources[i];

		if (slice_eq(slice_of(s->name), name))
			return s->kind->restore(s, at, r->err);
	}
	return 0;	/* a source that is not configured just now: its place is kept */
}

int
intake_start(struct intake *in, bool thread, struct err *err)
{
	struct restoring r = { in, err };

	if (intake_remember(in, err) != 0)
		return -1;
	intake_save(in);
	if (spool_each_mark(in->world.spool, restore_one, &r, err) != 0)
		return -1;
	in->started = true;
	in->checkpoint_ms = in->committed_ms = in->heartbeat_ms = clock_mono_ms();
	for (size_t i = 0; i < in->nsources; i++)
		if (in->sources[i].kind->start(&in->sources[i], err) != 0)
			return -1;
	loop_timer_set(in->tend_timer, 0);
	if (thread && pthread_create(&in->thread, NULL, run_loop, in->loop) != 0)
		return err_set(err, ERR_AGAIN, "no thread for intake");
	in->threaded = thread;
	return 0;
}

static void
close_sources(struct intake *in)
{
	for (; in->nsources > 0; in->nsources--) {
		struct source *s = &in->sources[in->nsources - 1];

		s->kind->close(s);
		stat_drop(s->stats);
	}
}

void
intake_stop(struct intake *in)
{
	if (in == NULL || !in->started)
		return;
	in->started = false;
	if (in->threaded) {
		atomic_store(&in->stop, true);
		loop_wake(in->loop);
		pthread_join(in->thread, NULL);
	}
	/* What could not be written stays with the sources: their positions did not move. */
	if (commit(in) == 0)
		intake_save(in);
	close_sources(in);
	spool_reader_close(in->checkpoint);
	in->checkpoint = NULL;
}

void
intake_close(struct intake *in)
{
	if (in == NULL)
		return;
	intake_stop(in);
	close_sources(in);
	spool_reader_close(in->checkpoint);
	loop_timer_free(in->commit_timer);
	loop_timer_free(in->tend_timer);
	detect_close(in->detect);
	posture_close(in->posture);
	intake_decode_close(in);
	loop_free(in->loop);
	arena_fini(&in->arena);
	buf_fini(&in->group.bytes);
	free(in->group.ends);
	free(in->entries);
	free(in->sources);
	free(in->charts);
	pthread_mutex_destroy(&in->charts_lock);
	free(in);
}

void
intake_room(struct intake *in)
{
	loop_wake(in->loop);
}

bool
intake_drained(const struct intake *in)
{
	return atomic_load(&in->drained);
}

uint64_t
intake_turns(const struct intake *in)
{
	return loop_turns(in->loop);
}

uint64_t
intake_set_aside(const struct intake *in)
{
	return atomic_load(&in->set_aside);
}

int
intake_troubled(const struct intake *in)
{
	return atomic_load(&in->troubled);
}

int
intake_turn(struct intake *in, int max_wait_ms)
{
	return loop_turn(in->loop, max_wait_ms);
}
