/*
 * test_power.c - a power cut at every call of a script: what was acknowledged is there, and nothing runs ahead of it.
 *
 * The script takes in events with their positions, delivers to two sinks, puts letters aside, ends and starts again. It runs once for
 * each call that changes the disk, and the power is cut in that one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"
#include "power.h"
#include "spool/dead.h"
#include "spool/store.h"

#define EVENTS	600
#define SINKS	2

static char top[64], spool_dir[128], dead_dir[128];
static const struct spool_limits limits = { 64 << 10, 2 << 10, 4 << 10 };

/* What the world was told. */
static struct {
	uint64_t	seq_of[EVENTS], id_of[EVENTS * 4];	/* of an event by its id, and back; 0: not acknowledged */
	uint64_t	next_id, acked_id, acked_seq;
	uint64_t	done[SINKS];			/* the sink has acknowledged up to this seq */
	unsigned	letters, acked_letters;
} told;
static unsigned damages;

static void
on_damage(void *arg, const char *segment, uint64_t from, uint64_t to, const char *what)
{
	(void)arg;
	print_message("%s %llu %llu %s\n", segment, (unsigned long long)from, (unsigned long long)to, what);
	damages++;
}

static const struct spool_events hear = { .damage = on_damage };

static struct dead *
open_dead(void)
{
	struct dead *d = NULL;

	return dead_open(&d, dead_dir, 1 << 20, NULL, NULL, NULL) == 0 ? d : NULL;
}

/* ---- the script --------------------------------------------------------------------- */

static void
take_in(struct spool *s, size_t n)
{
	char texts[8][300];
	struct slice entries[8];
	struct position at = { .stream = 1, .len = 8 };
	const struct spool_mark mark = { SLICE("in"), &at };
	uint64_t first = told.next_id, last_seq, durable;

	for (size_t i = 0; i < n; i++) {
		int len = snprintf(texts[i], sizeof(texts[i]), "event %llu %0*d", (unsigned long long)(first + i), 100 + (int)(first % 90), 0);

		entries[i] = slice_make(texts[i], (size_t)len);
	}
	put_le64(at.bytes, first + n - 1);
	if (spool_append_group(s, entries, n, &mark, 1, &last_seq, NULL) != 0 || spool_sync(s, &durable, NULL) != 0)
		return;				/* the same again later: the source was not told */
	for (size_t i = 0; i < n; i++) {
		uint64_t seq = last_seq + 1 - n + i;

		assert_true(seq < EVENTS * 4 && told.id_of[seq] == 0);	/* no number twice */
		told.seq_of[first + i] = seq;
		told.id_of[seq] = first + i;
	}
	told.next_id += n;
	told.acked_id = told.next_id - 1;
	told.acked_seq = last_seq;
}

static void
deliver(struct spool *s, struct spool_reader **readers, int sink, unsigned most)
{
	struct slice entry;
	struct err err = { 0 };
	uint64_t seq = 0;

	(void)s;
	while (most-- > 0 && spool_next(readers[sink], &entry, &seq, &err) == 1) {
		told.done[sink] = seq;
		(void)spool_done(readers[sink], seq, NULL);
	}
}

static void
set_aside(struct dead *d)
{
	char text[200];
	const struct dead_letter l = { .when_ms = told.letters, .kind = DEAD_RECORD, .from = SLICE("in"), .reason = SLICE("r"),
		.bytes = slice_make(text, sizeof(text)) };

	memset(text, 'x', sizeof(text));
	if (d != NULL && dead_put(d, &l, NULL) == 0) {
		told.letters++;
		if (dead_sync(d, NULL) == 0)
			told.acked_letters = told.letters;
	}
}

static void
work(unsigned rounds)
{
	struct spool_reader *readers[SINKS] = { NULL };
	struct spool *s = NULL;
	struct dead *d;
	uint64_t freed;

	if (spool_open(&s, spool_dir, &limits, &hear, NULL) != 0)
		return;
	d = open_dead();
	for (int i = 0; i < SINKS; i++) {
		char name[16];

		snprintf(name, sizeof(name), "sink%d", i);
		if (spool_reader_open(&readers[i], s, name, NULL, NULL) != 0)
			goto out;
	}
	for (unsigned i = 0; i < rounds && !power_is_cut(); i++) {
		take_in(s, 1 + i % 4);
		if (i % 5 == 2)
			set_aside(d);
		deliver(s, readers, 0, 7);
		if (i % 3 == 0)
			deliver(s, readers, 1, 9);
		clock_fake_advance(600);
		(void)spool_tend(s, &freed, NULL);
	}
out:
	for (int i = 0; i < SINKS; i++)
		spool_reader_close(readers[i]);
	dead_close(d);
	spool_close(s);
}

static void
script(void)
{
	memset(&told, 0, sizeof(told));
	told.next_id = 1;
	work(25);
	work(12);
}

/* ---- what must hold afterwards -------------------------------------------------------- */

static int
see_mark(void *arg, struct slice source, const struct position *at)
{
	(void)source;
	*(uint64_t *)arg = get_le64(at->bytes);
	return 0;
}

static int
count_letter(void *arg, const struct dead_letter *l)
{
	(void)l;
	(*(unsigned *)arg)++;
	return 0;
}

/* A sink gets everything that was acknowledged and that it has not acknowledged itself. */
static uint64_t
check_sink(struct spool *s, int sink)
{
	struct spool_reader *r = NULL;
	struct err err = { 0 };
	struct slice entry;
	char name[16], *end;
	uint64_t seq, wanted, newest_id = 0;
	int got;

	snprintf(name, sizeof(name), "sink%d", sink);
	assert_int_equal(spool_reader_open(&r, s, name, NULL, &err), 0);
	assert_true(spool_reader_cursor(r) <= told.done[sink]);
	wanted = spool_reader_cursor(r) + 1;
	while ((got = spool_next(r, &entry, &seq, &err)) == 1) {
		char text[32];

		for (; wanted < seq; wanted++)
			assert_true(wanted >= EVENTS * 4 || told.id_of[wanted] == 0);	/* a number left out was nobody's */
		wanted = seq + 1;
		snprintf(text, sizeof(text), "%.*s", entry.n < 20 ? (int)entry.n : 20, entry.p);
		assert_int_equal(strncmp(text, "event ", 6), 0);
		newest_id = strtoull(text + 6, &end, 10);
		if (seq < EVENTS * 4 && told.id_of[seq] != 0)
			assert_int_equal(newest_id, told.id_of[seq]);
	}
	assert_int_equal(got, 0);
	assert_true(wanted > told.acked_seq || spool_reader_cursor(r) >= told.acked_seq);
	spool_reader_close(r);
	return newest_id;
}

static void
check(void)
{
	const struct slice more = SLICE("event 100000 after it");
	uint64_t newest_id = told.acked_id, position = 0, seq = 0, durable = 0;
	struct spool *s = NULL;
	struct err err = { 0 };
	unsigned letters = 0;
	uint64_t damaged;

	damages = 0;
	if (spool_open(&s, spool_dir, &limits, &hear, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(damages, 0);		/* a power cut damages nothing that was acknowledged */
	for (int i = 0; i < SINKS; i++) {
		uint64_t id = check_sink(s, i);

		newest_id = id > newest_id ? id : newest_id;
	}
	assert_int_equal(spool_each_mark(s, see_mark, &position, &err), 0);
	assert_true(position >= told.acked_id && position <= newest_id);
	assert_int_equal(spool_append_group(s, &more, 1, NULL, 0, &seq, &err), 0);
	assert_int_equal(spool_sync(s, &durable, &err), 0);
	assert_true(seq > told.acked_seq && seq == durable);
	for (int i = 0; i < SINKS; i++)
		assert_int_equal(check_sink(s, i), 100000);
	assert_int_equal(spool_lost(s), 0);
	spool_close(s);
	if (told.acked_letters > 0) {
		assert_int_equal(dead_each(dead_dir, count_letter, &letters, &damaged, &err), 0);
		assert_true(letters >= told.acked_letters);
	}
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type;
	return at->level == 0 ? 0 : remove(path);
}

static void
whatever_call_the_power_is_cut_in_nothing_acknowledged_is_lost(void **state)
{
	const unsigned ways = getenv("LONG") != NULL ? 60 : 4;
	unsigned all;

	(void)state;
	clock_fake(1000000);
	power_on(top, 0);
	script();
	all = power_calls();
	assert_true(all > 150 && told.acked_id > 60 && told.acked_letters > 4);
	power_off(1);
	check();
	for (unsigned cut = 1; cut <= all; cut++)
		for (unsigned way = 0; way < ways; way++) {
			assert_int_equal(nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
			power_on(top, cut);
			script();
			power_off(way);
			check();
		}
}

static int
make_dirs(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/tmp/aispm-power-XXXXXX");
	if (mkdtemp(top) == NULL)
		return -1;
	snprintf(spool_dir, sizeof(spool_dir), "%s/spool", top);
	snprintf(dead_dir, sizeof(dead_dir), "%s/dead", top);
	return 0;
}

static int
remove_dirs(void **state)
{
	(void)state;
	sys_reset();
	(void)nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return rmdir(top);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whatever_call_the_power_is_cut_in_nothing_acknowledged_is_lost, make_dirs, remove_dirs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
