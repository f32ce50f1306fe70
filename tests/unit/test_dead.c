/* test_dead.c - the dead letter keeps what it is given, within its limit, over restarts and torn writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/sys.h"
#include "spool/dead.h"

static char dir[64];
static uint64_t removed, removed_of[DEAD_SHARES];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/aispm-dead-XXXXXX");
	removed = removed_of[0] = removed_of[1] = 0;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[512];

	(void)state;
	sys_reset();
	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		(void)unlink(path);
	}
	if (d != NULL)
		closedir(d);
	return rmdir(dir);
}

static void
count_removed(void *arg, enum dead_share share, uint64_t letters)
{
	(void)arg;
	removed += letters;
	removed_of[share] += letters;
}

static struct dead *
open_dead(uint64_t max_bytes)
{
	struct dead *d = NULL;
	struct err err = { 0 };

	if (dead_open(&d, dir, max_bytes, count_removed, NULL, &err) != 0)
		print_message("%s\n", err.text);
	assert_non_null(d);
	return d;
}

static int
put_as(struct dead *d, enum dead_share share, int n, size_t bytes)
{
	static char filler[100000];
	char reason[32];
	struct dead_letter l = { .when_ms = 1000 + n, .kind = DEAD_RECORD, .share = share, .from = SLICE("in"),
		.bytes = slice_make(filler, bytes) };

	memset(filler, 'x', sizeof(filler));
	snprintf(reason, sizeof(reason), "reason %d", n);
	l.reason = slice_of(reason);
	return dead_put(d, &l, NULL) == 0 && dead_sync(d, NULL) == 0 ? 0 : -1;
}

static int
put(struct dead *d, int n, size_t bytes)
{
	return put_as(d, DEAD_OF_SOURCES, n, bytes);
}

struct seen { int of[DEAD_SHARES]; int n; int64_t first, last; size_t bytes; };

static int
see(void *arg, const struct dead_letter *l)
{
	struct seen *s = arg;

	assert_true(slice_eq(l->from, SLICE("in")));
	if (s->n++ == 0)
		s->first = l->when_ms;
	s->last = l->when_ms;
	s->of[l->share]++;
	s->bytes += l->bytes.n;
	return 0;
}

static struct seen
look(uint64_t *ret_damaged)
{
	struct seen s = { 0 };
	struct err err = { 0 };

	assert_int_equal(dead_each(dir, see, &s, ret_damaged, &err), 0);
	return s;
}

static void
letters_come_back_in_order_after_a_restart(void **state)
{
	struct dead *d = open_dead(1 << 20);
	uint64_t damaged;
	struct seen s;

	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(put(d, i, 100), 0);
	dead_close(d);
	d = open_dead(1 << 20);
	for (int i = 10; i < 20; i++)
		assert_int_equal(put(d, i, 100), 0);
	assert_int_equal(dead_letters(d), 10);		/* since it was opened */
	dead_close(d);
	s = look(&damaged);
	assert_int_equal(s.n, 20);
	assert_int_equal(s.first, 1000);
	assert_int_equal(s.last, 1019);
	assert_int_equal(s.bytes, 2000);
	assert_int_equal(damaged, 0);
}

static uint64_t
bytes_on_disk(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	struct stat st;
	char path[512];
	uint64_t n = 0;

	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			assert_int_equal(st.st_mode & 0777, 0600);
			n += (uint64_t)st.st_size;
		}
	}
	closedir(d);
	return n;
}

static void
the_limit_is_never_passed_and_the_oldest_go_counted(void **state)
{
	struct dead *d = open_dead(100000);
	uint64_t damaged;
	struct seen s;

	(void)state;
	for (int i = 0; i < 500; i++) {
		assert_int_equal(put(d, i, 1000), 0);
		assert_true(bytes_on_disk() <= 50000);	/* half of it is for what sinks refuse */
		assert_int_equal(bytes_on_disk(), dead_bytes(d));
	}
	dead_close(d);
	s = look(&damaged);
	assert_int_equal(s.last, 1499);
	assert_true(removed > 0);
	assert_int_equal(s.n + (int)removed, 500);
}

static void
junk_pushes_out_no_refused_event_nor_the_other_way_round(void **state)
{
	struct dead *d = open_dead(100000);
	uint64_t damaged;
	struct seen s;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(put_as(d, DEAD_OF_SINKS, i, 1000), 0);
	for (int i = 0; i < 500; i++) {
		assert_int_equal(put(d, i, 1000), 0);
		assert_true(bytes_on_disk() <= 100000);
	}
	s = look(&damaged);
	assert_int_equal(s.of[DEAD_OF_SINKS], 20);
	assert_int_equal(removed_of[DEAD_OF_SINKS], 0);
	assert_int_equal(s.of[DEAD_OF_SOURCES] + removed_of[DEAD_OF_SOURCES], 500);
	for (int i = 0; i < 500; i++)
		assert_int_equal(put_as(d, DEAD_OF_SINKS, i, 1000), 0);
	assert_int_equal(look(&damaged).of[DEAD_OF_SOURCES], s.of[DEAD_OF_SOURCES]);
	assert_true(removed_of[DEAD_OF_SINKS] > 0);
	assert_int_equal(dead_bytes(d), bytes_on_disk());
	dead_close(d);
}

static void
a_limit_made_smaller_holds_from_the_next_letter_on(void **state)
{
	struct dead *d = open_dead(100000);

	(void)state;
	for (int i = 0; i < 40; i++)
		assert_int_equal(put(d, i, 1000), 0);
	dead_set_limit(d, 20000);
	assert_int_equal(put(d, 40, 1000), 0);
	assert_true(bytes_on_disk() <= 20000);
	dead_close(d);
}

static void
a_letter_too_large_is_kept_in_its_first_part(void **state)
{
	struct dead *d = open_dead(100000);
	uint64_t damaged;
	struct seen s;

	(void)state;
	assert_int_equal(put(d, 1, 90000), 0);
	dead_close(d);
	s = look(&damaged);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.bytes, 12500);
}

static void
a_letter_torn_at_any_byte_leaves_the_others_and_the_next_fits(void **state)
{
	struct dead *d = open_dead(1 << 20);
	char path[128];
	struct stat st;
	uint64_t damaged;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(put(d, i, 50), 0);
	dead_close(d);
	snprintf(path, sizeof(path), "%s/0000000001.dead", dir);
	assert_int_equal(stat(path, &st), 0);
	for (off_t cut = st.st_size - 1; cut > st.st_size * 2 / 3; cut--) {
		assert_int_equal(truncate(path, cut), 0);
		assert_int_equal(look(&damaged).n, 2);
		assert_int_equal(damaged, 1);
	}
	d = open_dead(1 << 20);
	assert_int_equal(put(d, 9, 50), 0);
	dead_close(d);
	assert_int_equal(look(&damaged).n, 3);
	assert_int_equal(damaged, 0);
}

static ssize_t
no_room(int fd, const void *p, size_t n, off_t at)
{
	(void)fd;
	(void)p;
	(void)n;
	(void)at;
	errno = ENOSPC;
	return -1;
}

static void
a_full_disk_is_an_error_and_not_a_loss(void **state)
{
	struct dead *d = open_dead(1 << 20);
	const struct dead_letter l = { .kind = DEAD_RECORD, .from = SLICE("in"), .reason = SLICE("r"), .bytes = SLICE("b") };
	struct err err = { 0 };
	uint64_t damaged;

	(void)state;
	assert_int_equal(put(d, 1, 10), 0);
	sys.pwrite = no_room;
	assert_int_equal(dead_put(d, &l, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	sys_reset();
	assert_int_equal(put(d, 2, 10), 0);
	dead_close(d);
	assert_int_equal(look(&damaged).n, 2);
}

static int syncs_to_fail;

/* As after a real EIO: what was written is gone from the page cache, and the next sync says yes. */
static int
lossy_sync(int fd)
{
	struct stat st;

	if (syncs_to_fail == 0)
		return 0;
	syncs_to_fail--;
	assert_int_equal(fstat(fd, &st), 0);
	if (st.st_size > 200)
		assert_int_equal(ftruncate(fd, 200), 0);
	errno = EIO;
	return -1;
}

static void
what_a_failed_sync_dropped_is_written_again(void **state)
{
	struct dead *d = open_dead(1 << 20);
	uint64_t damaged;

	(void)state;
	assert_int_equal(put(d, 1, 100), 0);
	sys.fdatasync = lossy_sync;
	syncs_to_fail = 2;
	assert_int_equal(put(d, 2, 500), -1);
	assert_int_equal(dead_sync(d, NULL), -1);
	assert_int_equal(dead_sync(d, NULL), 0);
	dead_close(d);
	assert_int_equal(look(&damaged).n, 2);
	assert_int_equal(damaged, 0);
}

static void
a_flipped_byte_costs_one_letter_and_the_others_stay(void **state)
{
	struct dead *d = open_dead(1 << 20);
	char path[128];
	uint64_t damaged;
	int fd;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(put(d, i, 100), 0);
	dead_close(d);
	snprintf(path, sizeof(path), "%s/0000000001.dead", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "y", 1, 250), 1);
	close(fd);
	assert_int_equal(look(&damaged).n, 4);
	assert_int_equal(damaged, 1);
	d = open_dead(1 << 20);
	assert_int_equal(put(d, 9, 100), 0);
	dead_close(d);
	assert_int_equal(look(&damaged).n, 5);
	assert_int_equal(look(&damaged).last, 1009);
}

static void
a_damaged_head_makes_a_start_cut_nothing(void **state)
{
	struct dead *d = open_dead(1 << 20);
	struct stat before, after;
	char path[128];
	uint64_t damaged;
	int fd;

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_int_equal(put(d, i, 100), 0);
	dead_close(d);
	snprintf(path, sizeof(path), "%s/0000000001.dead", dir);
	assert_int_equal(stat(path, &before), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "y", 1, 5), 1);
	close(fd);
	d = open_dead(1 << 20);
	assert_int_equal(put(d, 9, 100), 0);
	assert_int_equal(dead_bytes(d), bytes_on_disk());
	dead_close(d);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(look(&damaged).last, 1009);
	assert_int_equal(damaged, 1);
}

static bool settles;

static int
take_even(void *arg, const struct dead_letter *l)
{
	(void)arg;
	return l->when_ms % 2 == 0;
}

static int
settle(void *arg)
{
	(void)arg;
	return settles ? 0 : -1;
}

static void
letters_leave_only_when_what_was_made_of_them_is_durable(void **state)
{
	struct dead *d = open_dead(80000);
	struct err err = { 0 };
	uint64_t damaged, taken;

	(void)state;
	for (int i = 0; i < 20; i++)
		assert_int_equal(put(d, i, 1000), 0);		/* several files */
	dead_close(d);
	settles = false;
	assert_int_equal(dead_take(dir, take_even, settle, NULL, &taken, &err), -1);
	assert_int_equal(look(&damaged).n, 20);
	settles = true;
	assert_int_equal(dead_take(dir, take_even, settle, NULL, &taken, &err), 0);
	assert_int_equal(taken, 10);
	assert_int_equal(look(&damaged).n, 10);
	assert_int_equal(look(&damaged).first, 1001);
	assert_int_equal(damaged, 0);
	d = open_dead(80000);
	assert_int_equal(put(d, 30, 100), 0);
	assert_int_equal(dead_bytes(d), bytes_on_disk());
	dead_close(d);
	assert_int_equal(look(&damaged).n, 11);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(letters_come_back_in_order_after_a_restart, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(the_limit_is_never_passed_and_the_oldest_go_counted, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_letter_too_large_is_kept_in_its_first_part, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_letter_torn_at_any_byte_leaves_the_others_and_the_next_fits, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(what_a_failed_sync_dropped_is_written_again, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_flipped_byte_costs_one_letter_and_the_others_stay, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(letters_leave_only_when_what_was_made_of_them_is_durable, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(junk_pushes_out_no_refused_event_nor_the_other_way_round, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_limit_made_smaller_holds_from_the_next_letter_on, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_damaged_head_makes_a_start_cut_nothing, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(a_full_disk_is_an_error_and_not_a_loss, make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
