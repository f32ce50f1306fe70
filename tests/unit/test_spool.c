/* test_spool.c - the wall holds: what was synced is there after any stop, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/store.h"

static char dir[64];
static unsigned damages, torns;
static int countdown;			/* system calls until one fails; 0: none will */
static const struct spool_limits roomy = { 8 << 20, 64 << 10, 64 << 10 };

static void
on_damage(void *arg, const char *segment, uint64_t from, uint64_t to, const char *what)
{
	(void)arg, (void)segment, (void)from, (void)to, (void)what;
	damages++;
}

static void
on_torn(void *arg, const char *segment, uint64_t bytes)
{
	(void)arg, (void)segment, (void)bytes;
	torns++;
}

static const struct spool_events hear = { on_damage, on_torn, NULL };

static int
no_sync(int fd)
{
	(void)fd;
	return 0;
}

/* The real calls, but for the waiting: what a sync is worth is test_power.c's question. */
static void
plain_calls(void)
{
	sys_reset();
	sys.fsync = sys.fdatasync = no_sync;
}

static int
make_dir(void **state)
{
	(void)state;
	plain_calls();
	snprintf(dir, sizeof(dir), "/tmp/aispm-spool-XXXXXX");
	damages = torns = 0;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	char command[128];

	(void)state;
	plain_calls();
	snprintf(command, sizeof(command), "%s/*", dir);
	for (int round = 0; round < 2; round++) {
		glob_t found = { 0 };

		if (glob(round == 0 ? (snprintf(command, sizeof(command), "%s/cursors/*", dir), command) :
		    (snprintf(command, sizeof(command), "%s/*", dir), command), 0, NULL, &found) == 0)
			for (size_t i = 0; i < found.gl_pathc; i++)
				if (unlink(found.gl_pathv[i]) != 0)
					(void)rmdir(found.gl_pathv[i]);
		globfree(&found);
	}
	return rmdir(dir);
}

static struct spool *
open_spool(const struct spool_limits *limits)
{
	struct spool *s = NULL;
	struct err err = { 0 };

	if (spool_open(&s, dir, limits, &hear, &err) != 0)
		print_message("%s\n", err.text);
	return s;
}

/* Entry number n is the text "entry n" and some filling; a group of `count` of them with a mark that says n. */
static size_t
entry_text(char *at, size_t size, uint64_t n, size_t filling)
{
	int len = snprintf(at, size, "entry %llu ", (unsigned long long)n);

	memset(at + len, 'x', filling);
	return (size_t)len + filling;
}

static int
append(struct spool *s, uint64_t first, size_t count, size_t filling, struct err *err)
{
	static char texts[64][20100];
	struct slice entries[64];
	struct position at = { .stream = 7, .len = 8 };
	const struct spool_mark mark = { SLICE("source"), &at };
	uint64_t seq, durable;

	for (size_t i = 0; i < count; i++)
		entries[i] = slice_make(texts[i], entry_text(texts[i], sizeof(texts[i]), first + i, filling));
	memcpy(at.bytes, &(uint64_t){ first + count - 1 }, 8);
	if (spool_append_group(s, entries, count, &mark, 1, &seq, err) != 0)
		return -1;
	if (spool_sync(s, &durable, err) != 0)
		return -1;
	assert_int_equal(seq, durable);
	return 0;
}

static int
see_mark(void *arg, struct slice source, const struct position *at)
{
	assert_true(slice_eq(source, SLICE("source")));
	assert_int_equal(at->len, 8);
	memcpy(arg, at->bytes, 8);
	return 0;
}

static uint64_t
marked(struct spool *s)
{
	struct err err = { 0 };
	uint64_t n = 0;

	assert_int_equal(spool_each_mark(s, see_mark, &n, &err), 0);
	return n;
}

struct read { uint64_t n, first, last; unsigned lost; };

/* Reads all there is; each entry must be the one its number says. */
static struct read
read_all(struct spool *s, const char *name, uint64_t done)
{
	struct spool_reader *r = NULL;
	struct err err = { 0 };
	struct read got = { 0 };
	struct slice entry;
	uint64_t seq;
	int rc;

	assert_int_equal(spool_reader_open(&r, s, name, NULL, &err), 0);
	while ((rc = spool_next(r, &entry, &seq, &err)) != 0) {
		char wanted[40];
		int n = snprintf(wanted, sizeof(wanted), "entry %llu ", (unsigned long long)seq);

		if (rc == -1 && err.kind == ERR_AGAIN && countdown == 0)
			continue;		/* the fault that the test made: the next try must do */
		if (rc == -1) {
			assert_int_equal(err.kind, ERR_LOST);
			assert_true(++got.lost < 1000);
			continue;
		}
		assert_true(entry.n >= (size_t)n && memcmp(entry.p, wanted, (size_t)n) == 0);
		assert_true(seq > got.last);
		got.first = got.n == 0 ? seq : got.first;
		got.last = seq;
		got.n++;
	}
	if (done > 0)
		assert_int_equal(spool_done(r, done, &err), 0);
	spool_reader_close(r);
	return got;
}

static off_t
segment_size(const char *name)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

#define FIRST_SEGMENT	"00000000000000000001.seg"

static void
entries_and_positions_survive_a_reopen(void **state)
{
	struct spool *s = open_spool(&roomy);
	struct err err = { 0 };
	struct read got;

	(void)state;
	assert_int_equal(append(s, 1, 10, 50, &err), 0);
	assert_int_equal(append(s, 11, 5, 50, &err), 0);
	spool_close(s);
	s = open_spool(&roomy);
	got = read_all(s, "r", 0);
	assert_int_equal(got.n, 15);
	assert_int_equal(got.lost, 0);
	assert_int_equal(marked(s), 15);
	assert_int_equal(append(s, 16, 1, 50, &err), 0);
	assert_int_equal(read_all(s, "r", 0).n, 16);
	spool_close(s);
}

static void
a_torn_tail_is_cut_at_the_last_whole_group_wherever_it_tears(void **state)
{
	struct err err = { 0 };
	struct spool *s;
	off_t whole, all;
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/%s", dir, FIRST_SEGMENT);
	for (off_t cut = 1;; cut += 7) {
		s = open_spool(&roomy);
		assert_int_equal(append(s, 1, 3, 20, &err), 0);
		whole = segment_size(FIRST_SEGMENT);
		assert_int_equal(append(s, 4, 4, 20, &err), 0);
		all = segment_size(FIRST_SEGMENT);
		spool_close(s);
		if (whole + cut >= all)
			break;
		assert_int_equal(truncate(path, whole + cut), 0);
		s = open_spool(&roomy);
		assert_int_equal(read_all(s, "r", 0).n, 3);
		assert_int_equal(marked(s), 3);
		assert_true(s->next_seq >= 4 && s->next_seq <= 4 + 64);	/* what the tail may have used is not used again */
		assert_int_equal(append(s, s->next_seq, 1, 20, &err), 0);
		assert_int_equal(read_all(s, "q", 0).n, 4);
		spool_close(s);
		remove_dir(NULL);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
	assert_true(torns > 10);
	assert_int_equal(damages, 0);
}

static void
no_flipped_byte_gives_a_wrong_entry_or_a_silent_loss(void **state)
{
	struct err err = { 0 };
	struct spool *s = open_spool(&roomy);
	char path[128], was, now;
	off_t size;
	int fd;

	(void)state;
	for (int g = 0; g < 5; g++)
		assert_int_equal(append(s, 1 + (uint64_t)g * 2, 2, 5, &err), 0);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/%s", dir, FIRST_SEGMENT);
	size = segment_size(FIRST_SEGMENT);
	for (off_t i = 64; i < size; i += 3) {
		struct read got;
		unsigned told = damages + torns;

		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_int_equal(pread(fd, &was, 1, i), 1);
		now = (char)(was ^ 0x10);
		assert_int_equal(pwrite(fd, &now, 1, i), 1);
		close(fd);
		s = open_spool(&roomy);
		assert_non_null(s);
		got = read_all(s, "r", 0);
		if (got.n < 10)
			assert_true(damages + torns > told || got.lost > 0);
		assert_true(got.n >= 8);
		spool_close(s);
		/* back to a sound spool: a torn tail was cut off */
		remove_dir(NULL);
		assert_int_equal(mkdir(dir, 0700), 0);
		s = open_spool(&roomy);
		for (int g = 0; g < 5; g++)
			assert_int_equal(append(s, 1 + (uint64_t)g * 2, 2, 5, &err), 0);
		spool_close(s);
		size = segment_size(FIRST_SEGMENT);
	}
}

/* Bytes that a segment's end gets, as if a group had been copied or written by another hand; checksums are good. */
static void
add_group(uint64_t first_seq, const char *text, uint32_t entries)
{
	struct group_head h = { .first_seq = first_seq, .entries = entries };
	char raw[GROUP_HEAD + 64], path[128], head[SEGMENT_HEAD];
	struct segment_head segment;
	size_t n = strlen(text);
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, FIRST_SEGMENT);
	put_le32(raw + GROUP_HEAD, (uint32_t)n);
	memcpy(raw + GROUP_HEAD + 4, text, n);
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	assert_int_equal(pread(fd, head, sizeof(head), 0), sizeof(head));
	assert_int_equal(segment_head_get(head, &segment), HEAD_GOOD);
	group_seal(raw, &h, n + 4, segment.seed);
	assert_int_equal(write(fd, raw, GROUP_HEAD + h.payload_bytes), GROUP_HEAD + h.payload_bytes);
	close(fd);
}

static void
numbers_that_do_not_go_on_are_damage_and_what_comes_later_is_read(void **state)
{
	struct spool *s = open_spool(&roomy);
	struct err err = { 0 };
	struct read got;
	uint64_t last;

	(void)state;
	assert_int_equal(append(s, 1, 4, 10, &err), 0);
	spool_close(s);
	add_group(2, "entry 2 again", 1);	/* goes back */
	add_group(5, "entry 5 ", 3);		/* says more than it holds */
	add_group(5, "entry 5 ", 1);
	add_group(9, "entry 9 ", 1);		/* 6 to 8 are missing */
	add_group(3, "entry 3 again", 1);	/* the tail: no whole group follows */
	s = open_spool(&roomy);
	assert_int_equal(damages, 3);
	assert_int_equal(torns, 0);
	last = s->next_seq;
	assert_true(last > 9);
	assert_int_equal(append(s, last, 1, 10, &err), 0);
	got = read_all(s, "r", 0);
	assert_int_equal(got.n, 7);
	assert_int_equal(got.last, last);
	assert_int_equal(got.lost, 2);
	spool_close(s);
}

static uint64_t
bytes_on_disk(void)
{
	char pattern[128];
	glob_t found = { 0 };
	uint64_t n = 0;
	struct stat st;

	snprintf(pattern, sizeof(pattern), "%s/*.seg*", dir);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			if (stat(found.gl_pathv[i], &st) == 0)
				n += (uint64_t)st.st_size;
	globfree(&found);
	return n;
}

static void
the_limit_is_never_passed_and_reading_makes_room(void **state)
{
	const struct spool_limits tight = { 400 << 10, 50 << 10, 64 << 10 };
	struct spool *s = open_spool(&tight);
	struct err err = { 0 };
	uint64_t next = 1, freed = 0;
	unsigned full = 0;

	(void)state;
	(void)read_all(s, "r", 0);
	while (full < 5 && next < 5000) {
		if (append(s, next, 10, 1000, &err) == 0) {
			next += 10;
		} else {
			assert_int_equal(err.kind, ERR_FULL);
			full++;
			assert_true(bytes_on_disk() > 300 << 10);
			assert_int_equal(read_all(s, "r", next - 1).last, next - 1);
			assert_int_equal(spool_tend(s, &freed, &err), 0);
			assert_true(freed > 0);
		}
		assert_true(bytes_on_disk() <= tight.total_bytes);
		assert_int_equal(bytes_on_disk(), spool_total_bytes(s));
	}
	assert_int_equal(full, 5);
	spool_close(s);
}

static void
segments_go_only_when_every_cursor_has_passed_and_positions_stay(void **state)
{
	const struct spool_limits small = { 1 << 20, 8 << 10, 64 << 10 };
	struct spool *s = open_spool(&small);
	struct err err = { 0 };
	uint64_t freed;

	(void)state;
	(void)read_all(s, "fast", 0);
	(void)read_all(s, "slow", 0);
	for (uint64_t n = 1; n <= 200; n += 10)
		assert_int_equal(append(s, n, 10, 500, &err), 0);
	assert_int_equal(read_all(s, "fast", 200).n, 200);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	assert_int_equal(freed, 0);
	assert_int_equal(read_all(s, "slow", 150).n, 200);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	assert_true(freed > 0);
	assert_true(spool_first_seq(s) > 1 && spool_first_seq(s) <= 151);
	spool_close(s);
	s = open_spool(&small);
	assert_int_equal(marked(s), 200);
	assert_int_equal(read_all(s, "slow", 0).first, 151);
	assert_int_equal(read_all(s, "fast", 0).n, 0);
	spool_close(s);
}

static void
a_missing_segment_is_told_and_reading_goes_on(void **state)
{
	const struct spool_limits small = { 1 << 20, 4 << 10, 64 << 10 };
	struct spool *s = open_spool(&small);
	struct err err = { 0 };
	glob_t found = { 0 };
	char pattern[128];
	struct read got;

	(void)state;
	for (uint64_t n = 1; n <= 100; n += 10)
		assert_int_equal(append(s, n, 10, 500, &err), 0);
	spool_close(s);
	snprintf(pattern, sizeof(pattern), "%s/*.seg", dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 4);
	assert_int_equal(unlink(found.gl_pathv[2]), 0);
	globfree(&found);
	s = open_spool(&small);
	got = read_all(s, "r", 0);
	assert_int_equal(got.lost, 1);
	assert_int_equal(got.first, 1);
	assert_int_equal(got.last, 100);
	assert_true(got.n < 100 && got.n >= 80);
	spool_close(s);
}

/* ---- the worst ---------------------------------------------------------------------- */

/* A spool of some segments whose bytes can be put back again and again. */
struct image { char name[64]; char *bytes; size_t n; };
static struct image images[32];
static size_t nimages;

static void
take_image(void)
{
	char pattern[128];
	glob_t found = { 0 };

	snprintf(pattern, sizeof(pattern), "%s/*.seg", dir);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	nimages = found.gl_pathc;
	assert_true(nimages <= 32);
	for (size_t i = 0; i < nimages; i++) {
		struct stat st;
		int fd = open(found.gl_pathv[i], O_RDONLY | O_CLOEXEC);

		assert_int_equal(fstat(fd, &st), 0);
		snprintf(images[i].name, sizeof(images[i].name), "%s", strrchr(found.gl_pathv[i], '/') + 1);
		images[i].n = (size_t)st.st_size;
		images[i].bytes = malloc(images[i].n);
		assert_int_equal(read(fd, images[i].bytes, images[i].n), images[i].n);
		close(fd);
	}
	globfree(&found);
}

static void
drop_images(void)
{
	for (size_t i = 0; i < nimages; i++)
		free(images[i].bytes);
	nimages = 0;
}

/* The image with one segment cut to n bytes (n < 0: missing) and, where bit >= 0, one bit of it flipped. */
static void
put_image(size_t which, ssize_t n, ssize_t bit)
{
	char cursors[80];

	remove_dir(NULL);
	snprintf(cursors, sizeof(cursors), "%s/cursors", dir);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(cursors, 0700), 0);
	for (size_t i = 0; i < nimages; i++) {
		char path[512];
		int fd;

		if (i == which && n < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%.60s", dir, images[i].name);
		fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		if (i == which && bit >= 0)
			images[i].bytes[bit / 8] = (char)(images[i].bytes[bit / 8] ^ (1 << bit % 8));
		assert_int_equal(write(fd, images[i].bytes, i == which ? (size_t)n : images[i].n), i == which ? (size_t)n : images[i].n);
		if (i == which && bit >= 0)
			images[i].bytes[bit / 8] = (char)(images[i].bytes[bit / 8] ^ (1 << bit % 8));
		close(fd);
	}
}

static const struct spool_limits four = { 1 << 20, 600, 64 << 10 };

static void
make_four_segments(void)
{
	struct spool *s = open_spool(&four);
	struct err err = { 0 };

	for (uint64_t n = 1; n <= 24; n += 2)
		assert_int_equal(append(s, n, 2, 60, &err), 0);
	spool_close(s);
	take_image();
	assert_true(nimages >= 3);
}

static int
add_seq(void *arg, uint64_t seq, struct slice entry)
{
	(void)entry;
	*(uint64_t *)arg |= UINT64_C(1) << seq;
	return 0;
}

/* Each entry's bit. */
static uint64_t
dumped(void)
{
	uint64_t seqs = 0;
	struct err err = { 0 };

	assert_int_equal(spool_dump(dir, 1, add_seq, &seqs, &err), 0);
	return seqs;
}

/* printf is silent meanwhile */
static int
quietly(int (*f)(const char *, struct err *), struct err *err)
{
	int keep = dup(STDOUT_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC), rc;

	fflush(stdout);
	assert_int_equal(dup2(null, STDOUT_FILENO), STDOUT_FILENO);
	rc = f(dir, err);
	fflush(stdout);
	assert_int_equal(dup2(keep, STDOUT_FILENO), STDOUT_FILENO);
	close(keep);
	close(null);
	return rc;
}

static int
verify(const char *where, struct err *err)
{
	return spool_verify_print(where, false, err);
}

/* Whatever happened to the image: repaired or not, what can be read is read, what cannot is told, and new events find their way. */
static void
check_damaged(bool repair)
{
	const uint64_t all = (UINT64_C(1) << 25) - 2, before = dumped();
	struct err err = { 0 };
	struct spool *s;
	struct read got;
	uint64_t number;

	if (before != all && quietly(verify, &err) == 0) {		/* an end or the beginning that is simply not there */
		uint64_t run = before == 0 ? 0 : before >> __builtin_ctzll(before);

		assert_true((run & (run + 1)) == 0);
	}
	if (repair) {
		assert_int_equal(quietly(spool_repair_print, &err), 0);
		assert_int_equal(quietly(verify, &err), 0);
		assert_true(dumped() == before);
	}
	damages = torns = 0;
	s = open_spool(&four);
	assert_non_null(s);
	assert_int_equal(spool_total_bytes(s), bytes_on_disk());
	number = s->next_seq;
	assert_true(number > 24 || (before >> number) == 0);
	assert_int_equal(append(s, number, 1, 10, &err), 0);
	got = read_all(s, "r", 0);
	assert_int_equal(got.n, (uint64_t)__builtin_popcountll(before) + 1);
	assert_int_equal(got.last, s->next_seq - 1);
	spool_close(s);
	if (repair)
		assert_int_equal(got.lost, 0);
	assert_true((got.lost == 0 && damages > 0) || (quietly(verify, &err) == 0) == (got.lost == 0));
}

static void
a_bit_flipped_anywhere_costs_one_group_at_most_and_repair_heals(void **state)
{
	size_t step = getenv("LONG") != NULL ? 1 : 41;

	(void)state;
	make_four_segments();
	for (size_t which = 0; which < nimages; which++)
		for (size_t bit = which; bit < images[which].n * 8; bit += step)
			for (int repair = 0; repair < 2; repair++) {
				put_image(which, (ssize_t)images[which].n, (ssize_t)bit);
				assert_true(__builtin_popcountll(dumped()) >= 22);
				check_damaged(repair == 1);
			}
	drop_images();
}

static void
a_segment_cut_anywhere_or_missing_leaves_the_others(void **state)
{
	size_t step = getenv("LONG") != NULL ? 1 : 29;

	(void)state;
	make_four_segments();
	for (size_t which = 0; which < nimages; which++)
		for (ssize_t n = -1; n < (ssize_t)images[which].n; n += n < 0 ? 1 : (ssize_t)step)
			for (int repair = 0; repair < 2; repair++) {
				put_image(which, n, -1);
				check_damaged(repair == 1);
			}
	drop_images();
}

static void
missing_events_are_counted_once_however_many_read(void **state)
{
	struct spool *s;
	struct read got;

	(void)state;
	make_four_segments();
	put_image(1, -1, -1);
	s = open_spool(&four);
	got = read_all(s, "r", 0);
	assert_int_equal(got.lost, 1);
	(void)read_all(s, "q", 0);
	assert_int_equal(spool_lost(s), 24 - got.n);
	spool_close(s);
	/* the oldest, which a sink had not yet read to its end */
	put_image(nimages, 0, -1);
	s = open_spool(&four);
	(void)read_all(s, "r", 1);
	spool_close(s);
	{
		char path[512];

		snprintf(path, sizeof(path), "%s/%.60s", dir, images[0].name);
		assert_int_equal(unlink(path), 0);
	}
	s = open_spool(&four);
	got = read_all(s, "r", 0);
	assert_int_equal(got.lost, 1);
	assert_int_equal(got.n + spool_lost(s), 23);
	spool_close(s);
	drop_images();
}

static void
a_format_that_is_not_known_is_named_and_left_alone(void **state)
{
	struct spool *s = NULL;
	struct err err = { 0 };
	uint64_t before;

	(void)state;
	make_four_segments();
	images[0].bytes[7] = '7';
	put_le32(images[0].bytes + 60, crc32_ieee(0, images[0].bytes, 60));
	put_image(nimages, 0, -1);
	before = bytes_on_disk();
	assert_int_equal(spool_open(&s, dir, &four, &hear, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_non_null(strstr(err.text, images[0].name));
	assert_int_equal(quietly(spool_repair_print, &err), -1);
	assert_int_equal(bytes_on_disk(), before);
	drop_images();
}

static void
version_1_is_read_and_gone_on_with(void **state)
{
	struct segment_head v2 = { 0 };
	struct err err = { 0 };
	struct spool *s;
	struct read got;

	(void)state;
	make_four_segments();
	for (size_t i = 0; i < nimages; i++) {
		char *p = images[i].bytes;
		size_t bytes;

		assert_int_equal(segment_head_get(p, &v2), HEAD_GOOD);
		p[7] = '1';
		memset(p + 32, 0, 8);
		put_le32(p + 60, crc32_ieee(0, p, 60));
		for (size_t at = SEGMENT_HEAD; at < images[i].n; at += GROUP_HEAD + bytes) {
			struct group_head h = { .first_seq = get_le64(p + at + 8), .entries = get_le32(p + at + 16),
				.marks = get_le32(p + at + 20) };

			bytes = get_le32(p + at + 4);
			group_seal(p + at, &h, bytes, 0);
		}
	}
	put_image(nimages, 0, -1);
	s = open_spool(&four);
	assert_int_equal(damages, 0);
	assert_int_equal(append(s, 25, 2, 60, &err), 0);
	assert_int_equal(append(s, 27, 2, 600, &err), 0);
	assert_int_equal(append(s, 29, 2, 60, &err), 0);
	spool_close(s);
	s = open_spool(&four);
	got = read_all(s, "r", 0);
	assert_int_equal(got.n, 30);
	assert_int_equal(got.lost + damages + torns, 0);
	spool_close(s);
	drop_images();
}

static void
bytes_that_a_stranger_made_look_like_a_group_are_never_one(void **state)
{
	struct group_head forged = { .first_seq = 2, .entries = 1 };
	char inside[200], path[128], raw[GROUP_HEAD + 24];
	struct slice entry = slice_make(inside, sizeof(inside));
	struct spool *s = open_spool(&roomy);
	uint64_t seq, durable;
	struct err err = { 0 };
	off_t size;

	(void)state;
	put_le32(raw + GROUP_HEAD, 20);
	memcpy(raw + GROUP_HEAD + 4, "entry 2 is not for us", 20);
	group_seal(raw, &forged, 24, 0);
	memset(inside, 'x', sizeof(inside));
	memcpy(inside + 50, raw, sizeof(raw));
	assert_int_equal(append(s, 1, 1, 10, &err), 0);
	size = segment_size(FIRST_SEGMENT);
	assert_int_equal(spool_append_group(s, &entry, 1, NULL, 0, &seq, &err), 0);
	assert_int_equal(spool_sync(s, &durable, &err), 0);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/%s", dir, FIRST_SEGMENT);
	assert_int_equal(truncate(path, size + GROUP_HEAD + 4 + 50 + (off_t)sizeof(raw)), 0);	/* killed in the middle of the write */
	s = open_spool(&roomy);
	assert_int_equal(read_all(s, "r", 0).n, 1);
	spool_close(s);
}

static void
cursors_ahead_missing_or_of_another_spool_lose_nothing_new(void **state)
{
	struct spool *s = open_spool(&roomy);
	struct err err = { 0 };
	char path[128];
	uint64_t next;

	(void)state;
	assert_int_equal(append(s, 1, 10, 10, &err), 0);
	(void)read_all(s, "r", 10);
	spool_close(s);
	/* the events are gone, the cursors stayed: numbers go on behind them */
	snprintf(path, sizeof(path), "%s/%s", dir, FIRST_SEGMENT);
	assert_int_equal(unlink(path), 0);
	s = open_spool(&roomy);
	assert_int_equal(damages, 1);
	next = s->next_seq;
	assert_true(next > 10);
	assert_int_equal(append(s, next, 3, 10, &err), 0);
	assert_int_equal(read_all(s, "r", 0).n, 3);
	spool_close(s);
	/* the other way round: every reader begins at the oldest, and that is said */
	snprintf(path, sizeof(path), "%s/cursors/r", dir);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof(path), "%s/cursors", dir);
	assert_int_equal(rmdir(path), 0);
	damages = 0;
	s = open_spool(&roomy);
	assert_int_equal(damages, 1);
	assert_int_equal(read_all(s, "r", 0).n, 3);
	spool_close(s);
}

static void
a_smaller_limit_takes_nothing_new_drains_and_then_goes_on(void **state)
{
	const struct spool_limits large = { 8 << 20, 1 << 20, 64 << 10 }, small = { 256 << 10, 32 << 10, 64 << 10 };
	struct spool *s = open_spool(&large);
	struct err err = { 0 };
	uint64_t next = 1, freed;

	(void)state;
	for (; next < 900; next += 20)
		assert_int_equal(append(s, next, 20, 1000, &err), 0);
	spool_close(s);
	s = open_spool(&small);
	assert_int_equal(append(s, next, 20, 1000, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(read_all(s, "r", next - 1).n, next - 1);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	assert_true(bytes_on_disk() <= small.total_bytes);
	assert_int_equal(bytes_on_disk(), spool_total_bytes(s));
	next = s->next_seq;
	assert_int_equal(append(s, next, 20, 1000, &err), 0);
	assert_int_equal(read_all(s, "r", 0).n, 20);
	spool_close(s);
}

static void
positions_without_events_do_not_fill_the_spool(void **state)
{
	const struct spool_limits small = { 64 << 10, 4 << 10, 4 << 10 };
	struct spool *s = open_spool(&small);
	struct position at = { .stream = 7, .len = 8 };
	const struct spool_mark mark = { SLICE("source"), &at };
	struct err err = { 0 };
	uint64_t seq, durable, freed;

	(void)state;
	assert_int_equal(append(s, 1, 1, 10, &err), 0);
	(void)read_all(s, "r", 1);
	for (uint64_t n = 1; n <= 5000; n++) {
		memcpy(at.bytes, &n, 8);
		assert_int_equal(spool_append_group(s, NULL, 0, &mark, 1, &seq, &err), 0);
		assert_int_equal(spool_sync(s, &durable, &err), 0);
		assert_int_equal(durable, 1);
		assert_int_equal(spool_tend(s, &freed, &err), 0);
	}
	assert_true(bytes_on_disk() < 16 << 10);
	spool_close(s);
	s = open_spool(&small);
	/* and with a reader that keeps every segment */
	(void)read_all(s, "still", 0);
	for (uint64_t n = 1; n <= 300; n++) {
		memcpy(at.bytes, &(uint64_t){ 5000 + n }, 8);
		assert_int_equal(spool_append_group(s, NULL, 0, &mark, 1, &seq, &err), 0);
		assert_int_equal(spool_sync(s, &durable, &err), 0);
		if (n % 100 == 0)
			assert_int_equal(append(s, s->next_seq, 1, 10, &err), 0);
	}
	assert_int_equal(read_all(s, "still", 0).n, 3);
	spool_close(s);
	assert_int_equal(quietly(verify, &err), 0);
	s = open_spool(&small);
	assert_int_equal(read_all(s, "still", 0).n, 3);
	assert_int_equal(append(s, s->next_seq, 1, 10, &err), 0);
	assert_int_equal(read_all(s, "r", 0).lost, 0);
	assert_int_equal(damages + torns, 0);
	spool_close(s);
}

static void
what_was_set_aside_counts_and_makes_way_for_what_is_new(void **state)
{
	const struct spool_limits tight = { 64 << 10, 8 << 10, 16 << 10 };
	struct spool *s;
	struct err err = { 0 };
	char path[128];
	uint64_t next, freed;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/cursors", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/%020d.seg", dir, 5);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, 30000), 0);
	assert_int_equal(pwrite(fd, "no segment", 10, 0), 10);
	close(fd);
	s = open_spool(&tight);
	assert_int_equal(damages, 1);
	assert_int_equal(spool_total_bytes(s), 30000);
	snprintf(path, sizeof(path), "%s/%020d.seg.bad", dir, 5);
	assert_int_equal(access(path, F_OK), 0);
	for (next = s->next_seq; access(path, F_OK) == 0; next += 4) {
		assert_int_equal(append(s, next, 4, 900, &err), 0);
		assert_true(bytes_on_disk() <= tight.total_bytes);
		assert_int_equal(bytes_on_disk(), spool_total_bytes(s));
	}
	(void)read_all(s, "r", next - 1);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	spool_close(s);
}

static void
a_clock_that_jumps_back_changes_nothing(void **state)
{
	struct spool *s;
	struct err err = { 0 };
	uint64_t next = 1, freed;

	(void)state;
	clock_fake(2000000000000);
	s = open_spool(&four);
	(void)read_all(s, "r", 0);
	for (int round = 0; round < 6; round++, next += 10) {
		if (round == 3)
			clock_fake(1000000000000);		/* both hands back: a machine that slept, a wrong RTC */
		assert_int_equal(append(s, next, 10, 60, &err), 0);
		(void)read_all(s, "r", next + 9);
		clock_fake_advance(2000);
		assert_int_equal(spool_tend(s, &freed, &err), 0);
	}
	spool_close(s);
	s = open_spool(&four);
	assert_int_equal(damages + torns, 0);
	assert_int_equal(read_all(s, "r", 0).n, 0);
	spool_close(s);
}

/* ---- the Nth system call fails ---------------------------------------------------- */

static int fault_errno;

static bool
fails(void)
{
	if (countdown > 0 && --countdown == 0) {
		errno = fault_errno;
		return true;
	}
	return false;
}

static ssize_t
faulty_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (fails()) {
		if (n > 10)			/* a part of it is on disk */
			(void)!pwrite(fd, p, n / 2, at);
		return -1;
	}
	return pwrite(fd, p, n, at);
}

static int
faulty_fdatasync(int fd)
{
	return fails() ? -1 : no_sync(fd);
}

static int
faulty_open(const char *path, int flags, mode_t mode)
{
	return fails() ? -1 : open(path, flags | O_CLOEXEC, mode);
}

static int
faulty_fsync(int fd)
{
	return fails() ? -1 : no_sync(fd);
}

static int
faulty_unlink(const char *path)
{
	return fails() ? -1 : unlink(path);
}

static int
faulty_ftruncate(int fd, off_t n)
{
	return fails() ? -1 : ftruncate(fd, n);
}

static off_t bad_from, bad_to;		/* a bad sector */

static ssize_t
pread_over_bad_sector(int fd, void *p, size_t n, off_t at)
{
	if (at < bad_to && at + (off_t)n > bad_from) {
		errno = EIO;
		return -1;
	}
	return pread(fd, p, n, at);
}

static void
a_sector_that_cannot_be_read_costs_its_groups_and_no_more(void **state)
{
	struct spool_reader *r = NULL;
	struct spool *s = open_spool(&roomy);
	struct err err = { 0 };
	struct slice entry;
	uint64_t seq, n = 0;
	unsigned again = 0, told = 0;
	int got;

	(void)state;
	for (uint64_t i = 1; i <= 100; i += 2)
		assert_int_equal(append(s, i, 2, 300, &err), 0);
	spool_close(s);
	bad_from = 8192;
	bad_to = 8192 + 512;
	sys.pread = pread_over_bad_sector;
	s = open_spool(&roomy);				/* it starts all the same */
	assert_non_null(s);
	assert_int_equal(damages, 1);
	assert_int_equal(append(s, s->next_seq, 2, 10, &err), 0);
	assert_int_equal(spool_reader_open(&r, s, "r", NULL, &err), 0);
	while ((got = spool_next(r, &entry, &seq, &err)) != 0) {
		n += got == 1;
		again += got == -1 && err.kind == ERR_AGAIN;
		told += got == -1 && err.kind == ERR_LOST;
		assert_true(again < 50);
	}
	assert_true(again > 0 && told == 1);
	assert_true(n >= 102 - 20 && n < 102);		/* one page of it is passed */
	assert_int_equal(spool_lost(s), 102 - n);
	spool_reader_close(r);
	spool_close(s);
}

#define DISK_BYTES	(1u << 20)

static uint64_t others_bytes;		/* on that disk */

static int
statvfs_of_a_small_disk(int fd, struct statvfs *st)
{
	const uint64_t used = bytes_on_disk() + others_bytes;

	(void)fd;
	*st = (struct statvfs){ .f_frsize = 4096, .f_blocks = DISK_BYTES / 4096,
		.f_bavail = used < DISK_BYTES ? (DISK_BYTES - used) / 4096 : 0 };
	return 0;
}

static ssize_t
pwrite_to_a_small_disk(int fd, const void *p, size_t n, off_t at)
{
	if (n > 512 && bytes_on_disk() + others_bytes + n > DISK_BYTES) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite(fd, p, n, at);
}

/* Far below every limit of its own; the one segment there is would never go by its length. */
static void
a_full_disk_gives_back_what_all_have_read_and_is_gone_on_with(void **state)
{
	const struct spool_limits wide = { 1 << 30, 64 << 20, 64 << 10 };
	struct err err = { 0 };
	uint64_t next = 1, freed = 0;
	struct spool *s;

	(void)state;
	sys.fstatvfs = statvfs_of_a_small_disk;
	sys.pwrite = pwrite_to_a_small_disk;
	s = open_spool(&wide);
	(void)read_all(s, "r", 0);
	for (int round = 0; round < 6; round++) {
		/* others fill what we leave, every second time */
		others_bytes = round % 2 == 0 ? 0 : DISK_BYTES / 8;
		while (append(s, next, 10, 1000, &err) == 0)
			next += 10;
		assert_int_equal(err.kind, ERR_FULL);
		assert_true(bytes_on_disk() + others_bytes <= DISK_BYTES - DISK_BYTES / 8);
		(void)read_all(s, "r", next - 11);
		assert_int_equal(spool_tend(s, &freed, &err), 0);
		assert_int_equal(freed, 0);		/* one group is still to be read */
		assert_int_equal(append(s, next, 10, 1000, &err), -1);
		(void)read_all(s, "r", next - 1);
		assert_int_equal(spool_tend(s, &freed, &err), 0);
		assert_true(freed > DISK_BYTES / 2);
		assert_int_equal(append(s, next, 10, 1000, &err), 0);
		next += 10;
		assert_int_equal(bytes_on_disk(), spool_total_bytes(s));
	}
	others_bytes = DISK_BYTES;			/* and when there is nothing at all left */
	assert_int_equal(append(s, next, 10, 1000, &err), -1);
	(void)read_all(s, "r", next - 1);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	others_bytes = 0;
	assert_int_equal(append(s, next, 10, 1000, &err), 0);
	spool_close(s);
	s = open_spool(&wide);
	assert_int_equal(read_all(s, "r", 0).last, next + 9);
	assert_int_equal(marked(s), next + 9);
	spool_close(s);
}

/* Files of the spool that are gone and that we keep open all the same. */
static unsigned
held_though_gone(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++) {
		char link[32], to[256];
		ssize_t len;

		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		len = readlink(link, to, sizeof(to) - 1);
		to[len > 0 ? len : 0] = '\0';
		n += strncmp(to, dir, strlen(dir)) == 0 && strstr(to, " (deleted)") != NULL;
	}
	return n;
}

static void
a_reader_that_has_nothing_to_read_lets_go_of_what_is_freed(void **state)
{
	const struct spool_limits small = { 1 << 20, 8 << 10, 64 << 10 };
	struct spool *s = open_spool(&small);
	struct spool_reader *r = NULL;
	struct err err = { 0 };
	struct slice entry;
	uint64_t seq, freed;

	(void)state;
	assert_int_equal(spool_reader_open(&r, s, "r", NULL, &err), 0);
	assert_int_equal(append(s, 1, 20, 500, &err), 0);
	for (uint64_t n = 1; n <= 20; n++)
		assert_int_equal(spool_next(r, &entry, &seq, &err), 1);
	assert_int_equal(spool_next(r, &entry, &seq, &err), 0);
	assert_int_equal(spool_done(r, 20, &err), 0);
	assert_int_equal(spool_tend(s, &freed, &err), 0);
	assert_true(freed > 8 << 10);
	assert_int_equal(held_though_gone(), 1);
	assert_int_equal(spool_next(r, &entry, &seq, &err), 0);
	assert_int_equal(held_though_gone(), 0);
	assert_int_equal(append(s, 21, 1, 10, &err), 0);
	assert_int_equal(spool_next(r, &entry, &seq, &err), 1);
	assert_int_equal(seq, 21);
	spool_reader_close(r);
	spool_close(s);
}

static void
what_was_synced_is_there_whichever_call_fails(void **state)
{
	const struct spool_limits small = { 1 << 20, 4 << 10, 64 << 10 };
	static const int errnos[] = { ENOSPC, EIO, EDQUOT };
	bool more = true;

	(void)state;
	for (int nth = 1; more && nth < 500; nth++) {
		struct err err = { 0 };
		struct spool *s;
		uint64_t next = 1, freed;
		struct read got;

		fault_errno = errnos[nth % 3];
		s = open_spool(&small);
		(void)read_all(s, "r", 0);
		sys.pwrite = faulty_pwrite;
		sys.fdatasync = faulty_fdatasync;
		sys.open = faulty_open;
		sys.fsync = faulty_fsync;
		sys.unlink = faulty_unlink;
		sys.ftruncate = faulty_ftruncate;
		countdown = nth;
		for (int i = 0; i < 12; i++) {
			if (append(s, next, 4, 500, &err) == 0)
				next += 4;
			if (i == 8)
				(void)read_all(s, "r", next - 1);
			(void)spool_tend(s, &freed, &err);
		}
		more = countdown == 0;		/* the fault was reached */
		plain_calls();
		assert_true(next >= 4 * 10);	/* one fault costs one group at most, or is made good */
		spool_close(s);
		s = open_spool(&small);
		got = read_all(s, "all", 0);
		assert_int_equal(got.last, next - 1);
		assert_int_equal(got.n, got.last - got.first + 1);
		assert_int_equal(got.lost, 0);
		assert_int_equal(marked(s), next - 1);
		spool_close(s);
		remove_dir(NULL);
		assert_int_equal(mkdir(dir, 0700), 0);
	}
	assert_false(more);
}

static void
a_second_process_is_kept_out(void **state)
{
	struct spool *s = open_spool(&roomy);
	pid_t child = fork();
	int status;

	(void)state;
	if (child == 0) {
		struct spool *other = NULL;

		_exit(spool_open(&other, dir, &roomy, NULL, NULL) == 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	spool_close(s);
}

/* ---- writer and reader side by side ------------------------------------------------ */

#define RACE	20000

static void *
read_along(void *arg)
{
	struct spool *s = arg;
	struct spool_reader *r = NULL;
	struct err err = { 0 };
	struct slice entry;
	uint64_t seq = 0, last = 0;

	if (spool_reader_open(&r, s, "along", NULL, &err) != 0)
		return (void *)1;
	while (last < RACE) {
		int got = spool_next(r, &entry, &seq, &err);

		if (got == -1 || (got == 1 && seq != last + 1)) {
			print_message("%d: %llu after %llu: %s\n", got, (unsigned long long)seq, (unsigned long long)last, err.text);
			spool_reader_close(r);
			return (void *)2;
		}
		if (got == 1) {
			last = seq;
			if (seq % 100 == 0)
				(void)spool_done(r, seq, &err);
		}
	}
	spool_reader_close(r);
	return NULL;
}

static void
a_reader_on_another_thread_sees_every_entry_in_order(void **state)
{
	const struct spool_limits small = { 8 << 20, 256 << 10, 64 << 10 };
	struct spool *s = open_spool(&small);
	struct err err = { 0 };
	pthread_t thread;
	uint64_t freed;
	void *result;

	(void)state;
	(void)read_all(s, "along", 0);			/* a cursor, so that nothing is freed before the thread reads */
	assert_int_equal(pthread_create(&thread, NULL, read_along, s), 0);
	for (uint64_t n = 1; n <= RACE; n += 50) {
		while (append(s, n, 50, 100, &err) != 0)
			assert_int_equal(err.kind, ERR_FULL);
		assert_int_equal(spool_tend(s, &freed, &err), 0);
	}
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_null(result);
	spool_close(s);
}

static void
a_damaged_cursor_begins_at_the_oldest_and_says_so(void **state)
{
	struct spool *s = open_spool(&roomy);
	struct err err = { 0 };
	char path[128];
	int fd;

	(void)state;
	assert_int_equal(append(s, 1, 10, 10, &err), 0);
	(void)read_all(s, "r", 5);
	spool_close(s);
	snprintf(path, sizeof(path), "%s/cursors/r", dir);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	for (off_t i = 0; i < 64; i += 9)
		assert_int_equal(pwrite(fd, "Z", 1, i), 1);
	close(fd);
	s = open_spool(&roomy);
	assert_int_equal(damages, 1);
	assert_int_equal(read_all(s, "r", 0).first, 1);
	spool_close(s);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(entries_and_positions_survive_a_reopen),
		TEST(a_torn_tail_is_cut_at_the_last_whole_group_wherever_it_tears),
		TEST(no_flipped_byte_gives_a_wrong_entry_or_a_silent_loss),
		TEST(numbers_that_do_not_go_on_are_damage_and_what_comes_later_is_read),
		TEST(the_limit_is_never_passed_and_reading_makes_room),
		TEST(segments_go_only_when_every_cursor_has_passed_and_positions_stay),
		TEST(a_missing_segment_is_told_and_reading_goes_on),
		TEST(a_bit_flipped_anywhere_costs_one_group_at_most_and_repair_heals),
		TEST(a_segment_cut_anywhere_or_missing_leaves_the_others),
		TEST(missing_events_are_counted_once_however_many_read),
		TEST(a_format_that_is_not_known_is_named_and_left_alone),
		TEST(version_1_is_read_and_gone_on_with),
		TEST(bytes_that_a_stranger_made_look_like_a_group_are_never_one),
		TEST(cursors_ahead_missing_or_of_another_spool_lose_nothing_new),
		TEST(a_smaller_limit_takes_nothing_new_drains_and_then_goes_on),
		TEST(positions_without_events_do_not_fill_the_spool),
		TEST(what_was_set_aside_counts_and_makes_way_for_what_is_new),
		TEST(a_clock_that_jumps_back_changes_nothing),
		TEST(a_sector_that_cannot_be_read_costs_its_groups_and_no_more),
		TEST(a_full_disk_gives_back_what_all_have_read_and_is_gone_on_with),
		TEST(a_reader_that_has_nothing_to_read_lets_go_of_what_is_freed),
		TEST(what_was_synced_is_there_whichever_call_fails),
		TEST(a_second_process_is_kept_out),
		TEST(a_reader_on_another_thread_sees_every_entry_in_order),
		TEST(a_damaged_cursor_begins_at_the_oldest_and_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
