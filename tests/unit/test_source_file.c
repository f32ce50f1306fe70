/* test_source_file.c - source `file` with a real loop, real files, and a test in the place of intake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/stat.h"
#include "base/sys.h"
#include "source/file_source.h"
#include "source/source.h"

#define PLACES	4096

struct rig {
	char			 dir[256];
	struct loop		*loop;
	struct source		 source;
	struct conf		*conf;
	struct stat_block	*stats;
	struct buf		 got;		/* the records, one a line */
	size_t			 n, unreadable, troubles, idles;
	size_t			 room;		/* records until it says no */
	bool			 open;
	struct position		 places[PLACES];	/* the latest of each stream */
	size_t			 nplaces;
	char			 trouble[320];
	char			 why[200];
	size_t			 longest;
};

static struct rig *rig;

/* ---- in the place of intake --------------------------------------------------- */

static void
keep_place(struct rig *r, const struct position *at)
{
	for (size_t i = 0; i < r->nplaces; i++)
		if (r->places[i].stream == at->stream) {
			r->places[i] = *at;
			if (at->len == 0)
				r->places[i] = r->places[--r->nplaces];
			return;
		}
	if (at->len == 0)
		return;
	assert_true(r->nplaces < PLACES);
	r->places[r->nplaces++] = *at;
}

static bool
take(struct source *s, const struct record *rec, const struct position *after)
{
	struct rig *r = s->owner;

	if (r->room == 0)
		return false;
	if (rec != NULL) {
		r->room--;
		r->n++;
		assert_string_equal(rec->source, "t");
		assert_true(rec->padded);
		if (rec->unreadable != NULL) {
			r->unreadable++;
			snprintf(r->why, sizeof(r->why), "%s", rec->unreadable);
		}
		if (rec->bytes.n > r->longest)
			r->longest = rec->bytes.n;
		if (rec->bytes.n < 4096)
			buf_put_slice(&r->got, rec->bytes);
		buf_putc(&r->got, '\n');
	}
	keep_place(r, after);
	return true;
}

static void
say_line(struct source *s, bool trouble, const char *text)
{
	struct rig *r = s->owner;

	if (trouble) {
		r->troubles++;
		snprintf(r->trouble, sizeof(r->trouble), "%s", text);
	}
}

static void
idle(struct source *s)
{
	((struct rig *)s->owner)->idles++;
}

/* ---- steps --------------------------------------------------------------------- */

static void
turn(int times)
{
	while (times-- > 0)
		loop_turn(rig->loop, 5);
}

static void
wait_for(size_t n)
{
	for (int i = 0; i < 600 && rig->n < n; i++)
		loop_turn(rig->loop, 5);
	turn(3);
	assert_int_equal(rig->n, n);
}

static void
begin_with(const char *globs, const char *more, bool once, int start)
{
	struct problems problems;
	struct err err = { 0 };
	char yaml[2048];

	snprintf(yaml, sizeof(yaml), "paths: [%s]\n%s", globs, more);
	problems_init(&problems);
	if (conf_load_text("t.yaml", slice_of(yaml), source_kind_file.keys, &rig->conf, &problems, &err) != 0)
		fail_msg("%s", problems.n > 0 ? problems.v[0].text : err.text);
	problems_fini(&problems);
	rig->source = (struct source){
		.kind = &source_kind_file, .name = "t", .loop = rig->loop, .stats = rig->stats, .once = once,
		.agent_id = "00000000000000000000000000000000", .start = (unsigned)start, .take = take, .say_line = say_line,
		.idle = idle, .owner = rig,
	};
	assert_int_equal(source_kind_file.open(&rig->source, rig->conf, &err), 0);
	rig->open = true;
	for (size_t i = 0; i < rig->nplaces; i++)
		assert_int_equal(source_kind_file.restore(&rig->source, &rig->places[i], &err), 0);
	assert_int_equal(source_kind_file.start(&rig->source, &err), 0);
}

static void
begin(void)
{
	char glob[300];

	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	begin_with(glob, "", false, START_EARLIEST);
}

static void
end(void)
{
	if (!rig->open)
		return;
	source_kind_file.close(&rig->source);
	conf_free(rig->conf);
	rig->open = false;
}

static const char *
path_of(const char *name)
{
	static char path[4][512];
	static unsigned at;
	char *p = path[at++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", rig->dir, name);
	return p;
}

static void
put(const char *name, const char *text, size_t n, int flags)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | flags, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	close(fd);
}

static void
append(const char *name, const char *text)
{
	put(name, text, strlen(text), O_APPEND);
}

static void
assert_got(const char *text)
{
	assert_int_equal(rig->got.n, strlen(text));
	assert_memory_equal(rig->got.p, text, rig->got.n);
}

static int
set_up(void **state)
{
	const char *tmp = getenv("TMPDIR");
	struct err err = { 0 };

	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	snprintf(rig->dir, sizeof(rig->dir), "%s/srcXXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
	assert_non_null(mkdtemp(rig->dir));
	rig->loop = loop_new(&err);
	rig->stats = stat_make(STAT_SOURCE, "t", "file");
	rig->room = SIZE_MAX;
	buf_init(&rig->got, 64 << 20);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
	(void)st;
	(void)kind;
	(void)ftw;
	return remove(path);
}

static int
tear_down(void **state)
{
	(void)state;
	end();
	sys_reset();
	loop_free(rig->loop);
	stat_drop(rig->stats);
	buf_fini(&rig->got);
	nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(rig);
	return 0;
}

/* ---- growth --------------------------------------------------------------------- */

static void
lines_that_are_there_and_lines_that_come_are_read(void **state)
{
	(void)state;
	append("a.ndjson", "one\ntwo\r\n");
	begin();
	wait_for(2);
	append("a.ndjson", "three\n");
	wait_for(3);
	append("b.ndjson", "four\n");
	wait_for(4);
	assert_got("one\ntwo\nthree\nfour\n");
	assert_true(rig->idles > 0);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_STREAMS), 2);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_LAG_BYTES), 0);
}

static void
a_half_line_waits_for_its_other_half(void **state)
{
	(void)state;
	append("a.ndjson", "one\ntw");
	begin();
	wait_for(1);
	append("a.ndjson", "o");
	turn(5);
	assert_int_equal(rig->n, 1);
	append("a.ndjson", "\n");
	wait_for(2);
	assert_got("one\ntwo\n");
}

static void
blank_lines_are_passed_over_and_their_place_is_kept(void **state)
{
	(void)state;
	append("a.ndjson", "one\n\n  \t\n\r\n");
	begin();
	wait_for(1);
	end();
	assert_int_equal(get_le64(rig->places[1].bytes + 28), 11);
}

static void
files_of_other_names_are_left_alone(void **state)
{
	(void)state;
	append("a.txt", "one\n");
	append(".hidden.ndjson", "one\n");
	begin();
	append("b.txt", "one\n");
	append("a.ndjson", "two\n");
	wait_for(1);
	assert_got("two\n");
}

static void
a_file_that_two_patterns_match_is_read_once(void **state)
{
	char globs[700];

	(void)state;
	append("a.ndjson", "one\n");
	snprintf(globs, sizeof(globs), "\"%s/*.ndjson\", \"%s/./a*\"", rig->dir, rig->dir);
	begin_with(globs, "", false, START_EARLIEST);
	wait_for(1);
	append("a.ndjson", "two\n");
	wait_for(2);
}

static void
directories_that_a_pattern_matches_may_come_later(void **state)
{
	char globs[700];

	(void)state;
	snprintf(globs, sizeof(globs), "\"%s/deep/*/x.log\"", rig->dir);
	begin_with(globs, "", false, START_EARLIEST);
	turn(3);
	mkdir(path_of("deep"), 0755);
	turn(10);
	mkdir(path_of("deep/one"), 0755);
	append("deep/one/x.log", "one\n");
	wait_for(1);
	append("deep/one/x.log", "two\n");
	wait_for(2);
	mkdir(path_of("deep/two"), 0755);
	append("deep/two/x.log", "three\n");
	wait_for(3);
}

static void
a_link_is_followed_and_its_growth_is_heard(void **state)
{
	(void)state;
	append("real.txt", "one\n");
	mkdir(path_of("else"), 0755);
	append("else/far.txt", "two\n");
	assert_int_equal(symlink(path_of("else/far.txt"), path_of("link.ndjson")), 0);
	begin();
	wait_for(1);
	append("else/far.txt", "three\n");
	wait_for(2);
	assert_got("two\nthree\n");
}

static void
past_max_files_the_others_are_named_and_taken_up_when_there_is_room(void **state)
{
	char glob[300];

	(void)state;
	append("a.ndjson", "one\n");
	append("b.ndjson", "two\n");
	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	begin_with(glob, "max_files: 2", false, START_EARLIEST);
	wait_for(2);
	append("c.ndjson", "three\n");
	for (int i = 0; i < 100 && rig->troubles == 0; i++)
		turn(1);
	assert_int_equal(rig->troubles, 1);
	assert_non_null(strstr(rig->trouble, "c.ndjson: not followed"));
	turn(3);
	assert_int_equal(rig->n, 2);
	unlink(path_of("a.ndjson"));
	turn(20);
	file_watch_walk(rig->source.priv);		/* as it comes by the clock, after trouble */
	wait_for(3);
}

static void
a_file_that_the_agent_writes_itself_is_not_read_by_any_name(void **state)
{
	struct err err;
	int fd = open(path_of("own.txt"), O_RDWR | O_CREAT | O_CLOEXEC, 0644), late;

	(void)state;
	assert_int_equal(own_add(fd, &err), 0);
	assert_int_equal(write(fd, "own\n", 4), 4);
	assert_int_equal(symlink(path_of("own.txt"), path_of("soft.ndjson")), 0);
	assert_int_equal(link(path_of("own.txt"), path_of("hard.ndjson")), 0);
	append("late.ndjson", "");			/* read before a sink takes it for its own */
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	assert_non_null(strstr(rig->trouble, "a sink of this agent writes it"));
	late = open(path_of("late.ndjson"), O_RDWR | O_CLOEXEC);
	assert_int_equal(own_add(late, &err), 0);
	assert_int_equal(write(late, "own\n", 4), 4);
	assert_int_equal(write(fd, "own\n", 4), 4);
	append("a.ndjson", "two\n");
	wait_for(2);
	assert_got("one\ntwo\n");
	own_closed(fd);
	own_closed(late);
	close(fd);
	close(late);
}

static void
nothing_of_the_state_directory_is_read(void **state)
{
	(void)state;
	mkdir(path_of("state"), 0700);
	own_set_dir(path_of("state"));
	append("state/secret", "secret\n");
	assert_int_equal(symlink(path_of("state/secret"), path_of("soft.ndjson")), 0);
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	assert_got("one\n");
	assert_non_null(strstr(rig->trouble, "own state directory"));
	own_set_dir(NULL);
}

static void
what_is_no_regular_file_is_refused_in_words(void **state)
{
	(void)state;
	assert_int_equal(mkfifo(path_of("pipe.ndjson"), 0600), 0);
	begin();
	turn(3);
	assert_int_equal(rig->troubles, 1);
	assert_non_null(strstr(rig->trouble, "not a regular file"));
	append("a.ndjson", "one\n");
	wait_for(1);
	assert_int_equal(rig->troubles, 1);
}

static int
deny_open(const char *path, int flags, mode_t mode)
{
	if (strstr(path, "secret") != NULL) {
		errno = EACCES;
		return -1;
	}
	return open(path, flags | O_CLOEXEC, mode);
}

static void
a_file_without_permission_is_named_and_read_once_it_may_be(void **state)
{
	(void)state;
	append("secret.ndjson", "one\n");
	sys.open = deny_open;
	begin();
	turn(3);
	assert_int_equal(rig->troubles, 1);
	assert_non_null(strstr(rig->trouble, "secret.ndjson"));
	assert_non_null(strstr(rig->trouble, "permission denied"));
	sys_reset();
	assert_int_equal(chmod(path_of("secret.ndjson"), 0640), 0);
	wait_for(1);
}

static void
a_thousand_files_are_all_read(void **state)
{
	char name[64];

	(void)state;
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "%d.ndjson", i);
		append(name, "one\n");
	}
	begin();
	wait_for(1000);
	assert_true(((struct file_source *)rig->source.priv)->nopen <= FILE_OPEN_MOST);
	for (int i = 0; i < 1000; i += 7) {
		snprintf(name, sizeof(name), "%d.ndjson", i);
		append(name, "two\n");
	}
	wait_for(1143);
}

static void
a_big_file_does_not_starve_a_small_one(void **state)
{
	char *big = malloc(8 << 20);
	const char *small;

	(void)state;
	for (size_t i = 0; i < 8 << 20; i += 1024) {
		memset(big + i, 'b', 1023);
		big[i + 1023] = '\n';
	}
	put("a.ndjson", big, 8 << 20, 0);
	free(big);
	append("b.ndjson", "small\n");
	begin();
	wait_for(8193);
	small = memmem(rig->got.p, rig->got.n, "small\n", 6);
	assert_non_null(small);
	assert_true(small - rig->got.p < 3 << 20);
}

/* ---- rotation -------------------------------------------------------------------- */

static void
a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_start(void **state)
{
	int fd;

	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	fd = open(path_of("a.ndjson"), O_WRONLY | O_APPEND);
	assert_int_equal(rename(path_of("a.ndjson"), path_of("a.ndjson.1")), 0);
	append("a.ndjson", "three\n");
	wait_for(2);
	assert_int_equal(write(fd, "two\n", 4), 4);
	close(fd);
	wait_for(3);
	assert_got("one\nthree\ntwo\n");
	end();
	begin();
	turn(10);
	append("a.ndjson.1", "late\n");
	append("a.ndjson", "four\n");
	wait_for(5);
}

static void
the_rest_of_a_file_rotated_while_we_were_away_is_read(void **state)
{
	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	end();
	append("a.ndjson", "two\n");
	assert_int_equal(rename(path_of("a.ndjson"), path_of("a.ndjson.1")), 0);
	append("a.ndjson", "three\n");
	append("b.ndjson.1", "never\n");
	begin();
	wait_for(3);
	assert_non_null(memmem(rig->got.p, rig->got.n, "two\n", 4));
	assert_non_null(memmem(rig->got.p, rig->got.n, "three\n", 6));
	assert_null(memmem(rig->got.p, rig->got.n, "never", 5));
}

static void
a_file_moved_out_of_sight_is_still_read(void **state)
{
	int fd;

	(void)state;
	append("a.ndjson", "one\n");
	mkdir(path_of("old"), 0755);
	begin();
	wait_for(1);
	fd = open(path_of("a.ndjson"), O_WRONLY | O_APPEND);
	assert_int_equal(rename(path_of("a.ndjson"), path_of("old/a")), 0);
	turn(5);
	assert_int_equal(write(fd, "two\n", 4), 4);
	close(fd);
	wait_for(2);
}

static void
a_file_renamed_over_another_ends_that_one(void **state)
{
	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	append("new.tmp", "two\n");
	assert_int_equal(rename(path_of("new.tmp"), path_of("a.ndjson")), 0);
	wait_for(2);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_STREAMS), 1);
	assert_int_equal(rig->nplaces, 2);		/* the file's and the marker */
}

static void
a_deleted_file_is_read_to_its_end_and_forgotten(void **state)
{
	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	assert_int_equal(rig->nplaces, 2);
	append("a.ndjson", "two\nthree");
	assert_int_equal(unlink(path_of("a.ndjson")), 0);
	wait_for(3);
	assert_got("one\ntwo\nthree\n");
	assert_int_equal(rig->nplaces, 1);
	assert_int_equal(((struct file_source *)rig->source.priv)->nfiles, 0);
	assert_int_equal(((struct file_source *)rig->source.priv)->nopen, 0);
}

static void
a_truncated_file_is_begun_again_and_counted(void **state)
{
	(void)state;
	append("a.ndjson", "one\ntwo\n");
	begin();
	wait_for(2);
	assert_int_equal(truncate(path_of("a.ndjson"), 0), 0);
	append("a.ndjson", "new\n");
	wait_for(3);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_TRUNCATED), 1);
	assert_got("one\ntwo\nnew\n");
}

static void
a_file_truncated_and_grown_past_our_place_is_noticed_by_its_head(void **state)
{
	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	put("a.ndjson", "other one\nother two\n", 20, O_TRUNC);
	wait_for(3);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_TRUNCATED), 1);
	assert_got("one\nother one\nother two\n");
}

static void
a_truncation_while_we_were_away_is_noticed(void **state)
{
	(void)state;
	append("a.ndjson", "one\ntwo\n");
	begin();
	wait_for(2);
	end();
	put("a.ndjson", "new\n", 4, O_TRUNC);
	begin();
	wait_for(3);
	assert_got("one\ntwo\nnew\n");
	assert_int_equal(rig->nplaces, 2);
}

static void
an_inode_used_again_by_another_file_is_read_from_its_start(void **state)
{
	(void)state;
	append("a.ndjson", "one\ntwo\n");
	begin();
	wait_for(2);
	end();
	put("a.ndjson", "eins\nzwei\ndrei\n", 15, O_TRUNC);	/* same inode, longer, another head */
	begin();
	wait_for(5);
	assert_got("one\ntwo\neins\nzwei\ndrei\n");
	assert_int_equal(rig->nplaces, 2);		/* the old stream is forgotten */
}

/* ---- restart ---------------------------------------------------------------------- */

static void
a_restart_at_any_line_loses_and_repeats_nothing(void **state)
{
	char text[4096];
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 60; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "line %d %.*s\n", i, i % 40, "........................................");
	for (size_t cut = 0; cut < 60; cut += 3) {
		append("a.ndjson", "");
		assert_int_equal(truncate(path_of("a.ndjson"), 0), 0);
		put("a.ndjson", text, n / 2, O_TRUNC);
		buf_reset(&rig->got);
		rig->n = rig->nplaces = 0;
		rig->room = cut;
		begin();
		turn(4);
		end();
		put("a.ndjson", text + n / 2, n - n / 2, O_APPEND);
		rig->room = SIZE_MAX;
		begin();
		wait_for(60);
		assert_int_equal(rig->got.n, n);
		assert_memory_equal(rig->got.p, text, n);
		end();
		unlink(path_of("a.ndjson"));
	}
}

static void
a_stream_keeps_its_number_while_its_head_grows(void **state)
{
	char line[600];
	uint64_t stream;

	(void)state;
	memset(line, 'x', sizeof(line) - 2);
	line[598] = '\n';
	line[599] = '\0';
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	stream = rig->places[1].stream;
	append("a.ndjson", line);
	wait_for(2);
	end();
	append("a.ndjson", line);
	begin();
	append("a.ndjson", line);
	wait_for(4);
	assert_int_equal(rig->nplaces, 2);
	assert_true(rig->places[1].stream == stream || rig->places[0].stream == stream);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_TRUNCATED), 0);
}

static void
refused_records_come_again_in_order_when_there_is_room(void **state)
{
	(void)state;
	append("a.ndjson", "1\n2\n3\n4\n5\n");
	rig->room = 2;
	begin();
	turn(10);
	assert_int_equal(rig->n, 2);
	append("a.ndjson", "6\n");
	turn(5);
	rig->room = 1;
	source_kind_file.resume(&rig->source);
	turn(5);
	assert_int_equal(rig->n, 3);
	rig->room = SIZE_MAX;
	source_kind_file.resume(&rig->source);
	wait_for(6);
	assert_got("1\n2\n3\n4\n5\n6\n");
}

static void
start_latest_leaves_what_is_there_but_nothing_that_comes(void **state)
{
	char glob[300];

	(void)state;
	append("a.ndjson", "old\nhalf of an old li");
	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	begin_with(glob, "", false, START_LATEST);
	turn(5);
	append("a.ndjson", "ne\nnew\n");
	wait_for(1);
	append("b.ndjson", "whole\n");
	wait_for(2);
	end();
	append("c.ndjson", "came while we were away\n");
	begin_with(glob, "", false, START_LATEST);
	wait_for(3);
	assert_got("new\nwhole\ncame while we were away\n");
}

/* ---- odd content ------------------------------------------------------------------- */

static void
a_line_that_is_too_long_leaves_its_beginning_and_its_neighbours_whole(void **state)
{
	char *big = malloc(3 << 20), glob[300];

	(void)state;
	memset(big, 'x', 3 << 20);
	append("a.ndjson", "before\n");
	put("a.ndjson", big, 3 << 20, O_APPEND);
	append("a.ndjson", "\nafter\n");
	put("a.ndjson", big, 5000, O_APPEND);
	append("a.ndjson", "\nlast\n");
	free(big);
	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	begin_with(glob, "max_record: 2KiB\n", false, START_EARLIEST);
	wait_for(5);
	assert_int_equal(rig->unreadable, 2);
	assert_int_equal(rig->longest, 2048);
	assert_non_null(strstr(rig->why, "max_record"));
	assert_memory_equal(rig->got.p, "before\n", 7);
	assert_memory_equal(rig->got.p + rig->got.n - 5, "last\n", 5);
}

static void
a_long_line_written_in_pieces_arrives_whole(void **state)
{
	char piece[50000];

	(void)state;
	memset(piece, 'p', sizeof(piece));
	begin();
	for (int i = 0; i < 15; i++) {
		put("a.ndjson", piece, sizeof(piece), O_APPEND);
		turn(2);
	}
	assert_int_equal(rig->n, 0);
	append("a.ndjson", "\nnext\n");
	wait_for(2);
	assert_int_equal(rig->longest, 15 * sizeof(piece));
	assert_int_equal(rig->unreadable, 0);
}

static void
zero_bytes_that_a_truncation_left_are_cut_off(void **state)
{
	(void)state;
	put("a.ndjson", "\0\0\0\0one\n", 8, 0);
	begin();
	wait_for(1);
	assert_got("one\n");
}

static struct buf
packed(const char *text, size_t n)
{
	struct gzip_writer *w = gzip_writer_new(6);
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 64 << 20);
	assert_int_equal(gzip_compress(w, slice_make(text, n), &out, &err), 0);
	gzip_writer_free(w);
	return out;
}

static char *
many_lines(size_t lines, size_t *ret_n)
{
	char *text = malloc(lines * 64);

	*ret_n = 0;
	for (size_t i = 0; i < lines; i++)
		*ret_n += (size_t)snprintf(text + *ret_n, 64, "{\"line\":%zu,\"x\":%zu}\n", i, i * 2654435761u);
	return text;
}

static void
a_gzip_file_is_unpacked_and_a_restart_goes_on_inside_it(void **state)
{
	size_t n;
	char *text = many_lines(40000, &n);
	struct buf gz = packed(text, n);

	(void)state;
	put("a.ndjson", gz.p, gz.n, 0);
	rig->room = 17777;
	begin();
	turn(40);
	assert_int_equal(rig->n, 17777);
	end();
	rig->room = SIZE_MAX;
	begin();
	wait_for(40000);
	assert_int_equal(rig->got.n, n);
	assert_memory_equal(rig->got.p, text, n);
	end();
	begin();
	turn(20);
	assert_int_equal(rig->n, 40000);
	free(text);
	buf_fini(&gz);
}

static void
a_gzip_file_that_grows_is_waited_for(void **state)
{
	size_t n;
	char *text = many_lines(20000, &n);
	struct buf gz = packed(text, n);

	(void)state;
	put("a.ndjson", gz.p, gz.n / 2, 0);
	begin();
	turn(30);
	assert_true(rig->n > 0 && rig->n < 20000);
	put("a.ndjson", gz.p + gz.n / 2, gz.n - gz.n / 2, O_APPEND);
	wait_for(20000);
	assert_int_equal(rig->unreadable, 0);
	buf_fini(&gz);
	gz = packed("member two", 10);
	put("a.ndjson", gz.p, gz.n, O_APPEND);
	wait_for(20001);
	free(text);
	buf_fini(&gz);
}

static void
a_damaged_gzip_file_says_so_once_and_others_go_on(void **state)
{
	size_t n;
	char *text = many_lines(20000, &n);
	struct buf gz = packed(text, n);

	(void)state;
	memset(gz.p + gz.n / 2, 0xff, 200);
	put("a.ndjson", gz.p, gz.n, 0);
	append("b.ndjson", "fine\n");
	begin();
	turn(60);
	assert_int_equal(rig->unreadable, 1);
	assert_non_null(strstr(rig->why, "gzip"));
	assert_true(rig->n > 5000 && rig->n < 20000);
	assert_non_null(memmem(rig->got.p, rig->got.n, "fine\n", 5));
	n = rig->n;
	end();
	begin();
	turn(20);
	assert_int_equal(rig->n, n);
	free(text);
	buf_fini(&gz);
}

static void
more_gzip_files_than_are_unpacked_at_once_are_all_read(void **state)
{
	size_t n;
	char *text = many_lines(3000, &n), name[32];
	struct buf gz = packed(text, n);

	(void)state;
	for (int i = 0; i < 12; i++) {
		snprintf(name, sizeof(name), "%d.ndjson", i);
		put(name, gz.p, gz.n, 0);
	}
	begin();
	wait_for(36000);
	free(text);
	buf_fini(&gz);
}

/* ---- once, overflow ----------------------------------------------------------------- */

static void
once_an_unterminated_last_line_counts_and_drained_is_said(void **state)
{
	char glob[300];

	(void)state;
	append("a.ndjson", "one\ntwo");
	append("b.ndjson", "");
	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	rig->room = 1;
	begin_with(glob, "", true, START_EARLIEST);
	turn(5);
	assert_false(source_kind_file.drained(&rig->source));
	rig->room = SIZE_MAX;
	source_kind_file.resume(&rig->source);
	wait_for(2);
	assert_true(source_kind_file.drained(&rig->source));
	assert_got("one\ntwo\n");
	end();
	begin_with(glob, "", true, START_EARLIEST);
	turn(5);
	assert_true(source_kind_file.drained(&rig->source));
	assert_int_equal(rig->n, 2);
}

static void
once_a_gzip_file_that_ends_in_the_middle_is_told(void **state)
{
	struct buf gz = packed("one\ntwo\n", 8);
	char glob[300];

	(void)state;
	put("a.ndjson", gz.p, gz.n - 4, 0);
	buf_fini(&gz);
	snprintf(glob, sizeof(glob), "\"%s/*.ndjson\"", rig->dir);
	begin_with(glob, "", true, START_EARLIEST);
	wait_for(3);
	assert_int_equal(rig->unreadable, 1);
	assert_true(source_kind_file.drained(&rig->source));
}

static void
nothing_is_missed_when_the_kernel_drops_events(void **state)
{
	int a, b;

	(void)state;
	append("a.ndjson", "");
	append("b.ndjson", "");
	begin();
	turn(3);
	a = open(path_of("a.ndjson"), O_WRONLY | O_APPEND);
	b = open(path_of("b.ndjson"), O_WRONLY | O_APPEND);
	for (int i = 0; i < 10000; i++) {		/* in turns, so that the kernel cannot join them */
		assert_int_equal(write(a, "a\n", 2), 2);
		assert_int_equal(write(b, "b\n", 2), 2);
	}
	append("c.ndjson", "c\n");
	rename(path_of("b.ndjson"), path_of("b.ndjson.1"));
	assert_int_equal(write(b, "b\n", 2), 2);
	append("b.ndjson", "new\n");
	wait_for(20003);
	close(a);
	close(b);
}

static void
without_inotify_the_clock_finds_growth_and_rotation(void **state)
{
	struct file_source *fs;
	int fd;

	(void)state;
	append("a.ndjson", "one\n");
	begin();
	wait_for(1);
	fs = rig->source.priv;
	loop_unwatch(fs->inotify_loop);
	fs->inotify_loop = NULL;
	fd = open(path_of("a.ndjson"), O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "two\n", 4), 4);
	rename(path_of("a.ndjson"), path_of("a.ndjson.1"));
	append("a.ndjson", "three\n");
	fs->walk_due = true;
	file_watch_plan(fs);
	wait_for(3);
	assert_int_equal(write(fd, "four\n", 5), 5);
	close(fd);
	fs->walk_due = true;
	file_watch_plan(fs);
	wait_for(4);
}

#define T(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(lines_that_are_there_and_lines_that_come_are_read),
		T(a_half_line_waits_for_its_other_half),
		T(blank_lines_are_passed_over_and_their_place_is_kept),
		T(files_of_other_names_are_left_alone),
		T(a_file_that_two_patterns_match_is_read_once),
		T(directories_that_a_pattern_matches_may_come_later),
		T(a_link_is_followed_and_its_growth_is_heard),
		T(past_max_files_the_others_are_named_and_taken_up_when_there_is_room),
		T(a_file_that_the_agent_writes_itself_is_not_read_by_any_name),
		T(nothing_of_the_state_directory_is_read),
		T(what_is_no_regular_file_is_refused_in_words),
		T(a_file_without_permission_is_named_and_read_once_it_may_be),
		T(a_thousand_files_are_all_read),
		T(a_big_file_does_not_starve_a_small_one),
		T(a_renamed_file_is_read_to_its_end_and_the_new_one_from_its_start),
		T(the_rest_of_a_file_rotated_while_we_were_away_is_read),
		T(a_file_moved_out_of_sight_is_still_read),
		T(a_file_renamed_over_another_ends_that_one),
		T(a_deleted_file_is_read_to_its_end_and_forgotten),
		T(a_truncated_file_is_begun_again_and_counted),
		T(a_file_truncated_and_grown_past_our_place_is_noticed_by_its_head),
		T(a_truncation_while_we_were_away_is_noticed),
		T(an_inode_used_again_by_another_file_is_read_from_its_start),
		T(a_restart_at_any_line_loses_and_repeats_nothing),
		T(a_stream_keeps_its_number_while_its_head_grows),
		T(refused_records_come_again_in_order_when_there_is_room),
		T(start_latest_leaves_what_is_there_but_nothing_that_comes),
		T(a_line_that_is_too_long_leaves_its_beginning_and_its_neighbours_whole),
		T(a_long_line_written_in_pieces_arrives_whole),
		T(zero_bytes_that_a_truncation_left_are_cut_off),
		T(a_gzip_file_is_unpacked_and_a_restart_goes_on_inside_it),
		T(a_gzip_file_that_grows_is_waited_for),
		T(a_damaged_gzip_file_says_so_once_and_others_go_on),
		T(more_gzip_files_than_are_unpacked_at_once_are_all_read),
		T(once_an_unterminated_last_line_counts_and_drained_is_said),
		T(once_a_gzip_file_that_ends_in_the_middle_is_told),
		T(nothing_is_missed_when_the_kernel_drops_events),
		T(without_inotify_the_clock_finds_growth_and_rotation),
	};

	return cmocka_run_group_tests_name("source_file", tests, NULL, NULL);
}
