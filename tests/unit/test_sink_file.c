/* test_sink_file.c - the file sink: whole lines only, synced before they count, begun anew after rotation, repaired after a crash. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/sys.h"
#include "sinks/batch.h"
#include "sinks/sink.h"

static char dir[64], path[128];
static struct loop *loop;
static struct conf *conf;
static struct sink sink;
static struct batch batch;
static struct { unsigned n; enum sink_verdict verdict; struct err why; } told;
static _Atomic unsigned syncs, dir_syncs, writes;
static _Atomic int fail_write, fail_sync, fail_truncate;	/* how many of them fail */

/* ---- the table -------------------------------------------------------------------- */

static ssize_t
pwrite_or_half(int fd, const void *p, size_t n, off_t at)
{
	writes++;
	if (fail_write == 2) {			/* half of it first */
		fail_write--;
		return pwrite(fd, p, n / 2, at);
	}
	if (fail_write == 1) {
		fail_write--;
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, p, n, at);
}

static int
fdatasync_or_not(int fd)
{
	syncs++;
	if (fail_sync > 0) {
		fail_sync--;
		errno = EIO;
		return -1;
	}
	return fdatasync(fd);
}

static int
fsync_counted(int fd)
{
	dir_syncs++;
	return fsync(fd);
}

static int
ftruncate_or_not(int fd, off_t n)
{
	if (fail_truncate > 0) {
		fail_truncate--;
		errno = EIO;
		return -1;
	}
	return ftruncate(fd, n);
}

/* ---- the sink ------------------------------------------------------------------------ */

static void
answered(struct sink *s, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms, const struct err *why)
{
	(void)s;
	assert_ptr_equal(b, &batch);
	assert_int_equal(wait_ms, 0);
	told.n++;
	told.verdict = verdict;
	if (verdict != SINK_DELIVERED)
		told.why = *why;
}

static void
begin(const char *more)
{
	static struct conf_key top[2];
	struct problems problems;
	struct err err = { 0 };
	char yaml[512];

	top[0] = (struct conf_key){ .name = "sink", .type = CONF_BLOCK, .flags = CONF_REQUIRED, .keys = sink_kind_file.keys };
	top[1] = (struct conf_key)CONF_END;
	snprintf(yaml, sizeof(yaml), "sink: {path: \"%s\"%s}\n", path, more);
	problems_init(&problems);
	if (conf_load_text("s.yaml", slice_of(yaml), top, &conf, &problems, &err) != 0)
		fail_msg("%s", problems.n > 0 ? problems.v[0].text : err.text);
	problems_fini(&problems);
	sink = (struct sink){ .kind = &sink_kind_file, .name = "disk", .loop = loop, .answer = answered };
	assert_int_equal(sink_kind_file.open(&sink, conf_block(conf, "sink"), &err), 0);
}

static void
end(void)
{
	sink_kind_file.close(&sink);
	conf_free(conf);
	conf = NULL;
}

static int
open_all(void **state)
{
	struct err err;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/aispm-sink-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/events.ndjson", dir);
	memset(&told, 0, sizeof(told));
	syncs = dir_syncs = writes = 0;
	fail_write = fail_sync = fail_truncate = 0;
	sys.pwrite = pwrite_or_half;
	sys.fdatasync = fdatasync_or_not;
	sys.fsync = fsync_counted;
	sys.ftruncate = ftruncate_or_not;
	loop = loop_new(&err);
	buf_init(&batch.bytes, 1 << 20);
	return loop == NULL;
}

static int
remove_one(const char *p, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(p);
}

static int
close_all(void **state)
{
	(void)state;
	end();
	sys_reset();
	loop_free(loop);
	buf_fini(&batch.bytes);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* The batch to the sink, and its answer. */
static enum sink_verdict
put(const char *lines)
{
	unsigned before = told.n;

	buf_reset(&batch.bytes);
	buf_puts(&batch.bytes, lines);
	batch.n = 1;
	sink_kind_file.put(&sink, &batch);
	for (int i = 0; i < 2000 && told.n == before; i++)
		loop_turn(loop, 10);
	assert_int_equal(told.n, before + 1);
	return told.verdict;
}

static const char *
content(const char *of)
{
	static char text[300000];
	int fd = open(of, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	return fd >= 0 ? text : "(no file)";
}

static void
write_file(const char *text, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0 && write(fd, text, n) == (ssize_t)n);
	close(fd);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void
a_batch_counts_when_it_is_synced_and_its_name_too(void **state)
{
	(void)state;
	begin("");
	assert_int_equal(put("one\ntwo\n"), SINK_DELIVERED);
	assert_int_equal(syncs, 1);
	assert_int_equal(dir_syncs, 1);		/* the directory, of a new file */
	assert_int_equal(put("three\n"), SINK_DELIVERED);
	assert_int_equal(syncs, 2);
	assert_int_equal(dir_syncs, 1);
	assert_string_equal(content(path), "one\ntwo\nthree\n");
}

static void
a_sync_that_fails_takes_the_lines_back_and_asks_for_them_again(void **state)
{
	(void)state;
	begin("");
	put("one\n");
	fail_sync = 1;
	assert_int_equal(put("two\n"), SINK_LATER);
	assert_non_null(strstr(told.why.text, path));
	assert_string_equal(content(path), "one\n");
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\n");
}

static void
a_write_that_ends_half_way_leaves_no_half_line(void **state)
{
	(void)state;
	begin("");
	put("one\n");
	fail_write = 2;
	assert_int_equal(put("two, which is long\n"), SINK_LATER);
	assert_string_equal(content(path), "one\n");
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\n");
}

static void
what_cannot_be_taken_back_at_once_is_cut_when_the_file_is_opened_again(void **state)
{
	(void)state;
	begin("");
	put("one\n");
	fail_write = 2;
	fail_truncate = 1;
	assert_int_equal(put("two, which is long\n"), SINK_LATER);
	assert_string_not_equal(content(path), "one\n");
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\n");
}

static void
a_line_that_cannot_be_cut_yet_is_not_written_behind(void **state)
{
	(void)state;
	write_file("one\nhalf", 8);
	begin("");
	fail_truncate = 1;
	assert_int_equal(put("two\n"), SINK_LATER);
	assert_string_equal(content(path), "one\nhalf");
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\n");
}

static void
what_a_crash_left_of_a_line_is_cut(void **state)
{
	static char text[200000];

	(void)state;
	write_file("one\ntwo\nthr", 11);
	begin("");
	assert_int_equal(put("three\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\nthree\n");
	end();
	memset(text, 'x', sizeof(text));	/* longer than what is read at once */
	memcpy(text, "one\n", 4);
	write_file(text, sizeof(text));
	begin("");
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntwo\n");
	end();
	write_file("no line at all", 14);
	begin("");
	assert_int_equal(put("one\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\n");
}

static void
a_file_that_was_renamed_or_removed_is_begun_anew(void **state)
{
	char old[160];

	(void)state;
	begin("");
	put("one\n");
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(rename(path, old), 0);
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(old), "one\n");
	assert_string_equal(content(path), "two\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(put("three\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "three\n");
}

static void
a_file_that_was_truncated_goes_on_at_its_new_end_without_a_hole(void **state)
{
	(void)state;
	begin("");
	put("one\ntwo\n");
	assert_int_equal(truncate(path, 0), 0);
	assert_int_equal(put("three\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "three\n");
}

static void
lines_of_another_writer_are_not_written_over(void **state)
{
	int fd;

	(void)state;
	begin("");
	put("one\n");
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_int_equal(write(fd, "theirs\n", 7), 7);
	close(fd);
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "one\ntheirs\ntwo\n");
}

static void
sighup_opens_it_again(void **state)
{
	char old[160];

	(void)state;
	begin("");
	put("one\n");
	snprintf(old, sizeof(old), "%s.1", path);
	assert_int_equal(rename(path, old), 0);
	sink_kind_file.reopen(&sink);
	assert_int_equal(put("two\n"), SINK_DELIVERED);
	assert_string_equal(content(path), "two\n");
	assert_string_equal(content(old), "one\n");
}

static int
denied(const char *p, int flags, mode_t mode)
{
	(void)p, (void)flags, (void)mode;
	errno = EACCES;
	return -1;
}

static void
who_may_not_write_holds_the_sink_and_a_missing_folder_is_waited_for(void **state)
{
	(void)state;
	begin("");
	sys.open = denied;
	assert_int_equal(put("one\n"), SINK_HELD);
	assert_non_null(strstr(told.why.text, "Permission denied"));
	sys_reset();
	end();
	snprintf(path, sizeof(path), "%s/later/events.ndjson", dir);
	begin("");
	assert_int_equal(put("one\n"), SINK_LATER);
	snprintf(path, sizeof(path), "%s/later", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(put("one\n"), SINK_DELIVERED);
}

static void
a_new_file_has_the_mode_of_the_settings(void **state)
{
	struct stat st;

	(void)state;
	begin(", mode: \"0600\"");
	put("one\n");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void
a_link_a_pipe_and_a_device_are_refused_and_nothing_hangs(void **state)
{
	char real[160];

	(void)state;
	snprintf(real, sizeof(real), "%s/real", dir);
	write_file("keep\n", 5);
	assert_int_equal(rename(path, real), 0);
	assert_int_equal(symlink(real, path), 0);
	begin("");
	assert_int_equal(put("one\n"), SINK_HELD);
	assert_non_null(strstr(told.why.text, "symbolic link"));
	assert_string_equal(content(real), "keep\n");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(put("one\n"), SINK_HELD);
	assert_non_null(strstr(told.why.text, "a pipe"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(put("one\n"), SINK_HELD);
	assert_non_null(strstr(told.why.text, "a directory"));
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(put("one\n"), SINK_DELIVERED);	/* and again as ever once it is gone */
	end();
	snprintf(path, sizeof(path), "/dev/zero");
	begin("");
	assert_int_equal(put("one\n"), SINK_HELD);
	assert_non_null(strstr(told.why.text, "a device"));
}

static bool
is_own(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	bool is;

	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	is = own_is(fd, &st);
	close(fd);
	return is;
}

static void
what_it_writes_is_known_as_our_own_also_after_rotation(void **state)
{
	char old[160], other[160];
	struct statx born;

	(void)state;
	snprintf(old, sizeof(old), "%s.1", path);
	snprintf(other, sizeof(other), "%s/other", dir);
	write_file("of another run\n", 15);
	begin("");
	assert_true(is_own(path));		/* before anything is written */
	put("one\n");
	assert_true(is_own(path));
	assert_int_equal(link(path, other), 0);
	assert_true(is_own(other));
	assert_int_equal(unlink(other), 0);
	assert_int_equal(rename(path, old), 0);
	put("two\n");
	assert_true(is_own(path));
	assert_int_equal(statx(AT_FDCWD, old, 0, STATX_BTIME, &born), 0);
	assert_int_equal(is_own(old), (born.stx_mask & STATX_BTIME) != 0);
	assert_int_equal(unlink(old), 0);
	for (int i = 0; i < 20; i++) {		/* some file system gives it that inode again */
		snprintf(other, sizeof(other), "%s/other%d", dir, i);
		close(open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		assert_false(is_own(other));
	}
}

static void
dev_null_takes_everything(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/dev/null");
	begin("");
	assert_int_equal(put("one\n"), SINK_DELIVERED);
	assert_int_equal(syncs, 0);
	assert_int_equal(writes, 0);
}

static void
closing_while_it_writes_is_fine(void **state)
{
	(void)state;
	begin("");
	buf_reset(&batch.bytes);
	buf_puts(&batch.bytes, "one\n");
	sink_kind_file.put(&sink, &batch);
	end();
	begin("");
	assert_int_equal(told.n, 0);		/* after close no answer comes */
}

#define T(f)	cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_batch_counts_when_it_is_synced_and_its_name_too),
		T(a_sync_that_fails_takes_the_lines_back_and_asks_for_them_again),
		T(a_write_that_ends_half_way_leaves_no_half_line),
		T(what_cannot_be_taken_back_at_once_is_cut_when_the_file_is_opened_again),
		T(a_line_that_cannot_be_cut_yet_is_not_written_behind),
		T(what_a_crash_left_of_a_line_is_cut),
		T(a_file_that_was_renamed_or_removed_is_begun_anew),
		T(a_file_that_was_truncated_goes_on_at_its_new_end_without_a_hole),
		T(lines_of_another_writer_are_not_written_over),
		T(sighup_opens_it_again),
		T(who_may_not_write_holds_the_sink_and_a_missing_folder_is_waited_for),
		T(a_new_file_has_the_mode_of_the_settings),
		T(a_link_a_pipe_and_a_device_are_refused_and_nothing_hangs),
		T(what_it_writes_is_known_as_our_own_also_after_rotation),
		T(dev_null_takes_everything),
		T(closing_while_it_writes_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
