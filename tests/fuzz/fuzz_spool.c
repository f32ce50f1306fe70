/* fuzz_spool.c - any bytes as the newest segment and as a cursor: opening, reading and appending stay sane, and all who look see the same. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixed.h"
#include "base/err.h"
#include "base/sys.h"
#include "spool/format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);

static char dir[64];

static void
write_file(const char *name, const uint8_t *p, size_t n)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	close(fd);
}

static void
clean(const char *below)
{
	char path[512];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", dir, below);
	d = opendir(path);
	assert(d != NULL);
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s/%s", dir, below, e->d_name);
		(void)unlink(path);
	}
	closedir(d);
}

static void
remove_dir(void)
{
	char path[128];

	clean("cursors");
	snprintf(path, sizeof(path), "%s/cursors", dir);
	(void)rmdir(path);
	clean(".");
	(void)rmdir(dir);
}

static int no_sync(int fd);

static void
make_dir(void)
{
	char path[128];

	if (dir[0] != '\0')
		return;
	snprintf(dir, sizeof(dir), "%s/aispm-fuzz-spool-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/cursors", dir);
	assert(mkdir(path, 0700) == 0 && atexit(remove_dir) == 0);
	assert(freopen("/dev/null", "w", stdout) != NULL);	/* repair and verify say what they did */
	sys.fsync = sys.fdatasync = no_sync;
}

/* Random bytes seldom have good checksums: every second input gets them, so that what lies behind is tried too. */
static void
seal(char *p, size_t n)
{
	const struct segment_head own = { .first_seq = 1, .spool_id = 1, .made_ms = 1 };
	struct segment_head head;

	if (n < SEGMENT_HEAD)
		return;
	if (segment_head_get(p, &head) != HEAD_GOOD) {
		segment_head_put(p, &own);
		(void)segment_head_get(p, &head);
	}
	for (size_t at = SEGMENT_HEAD; n - at >= GROUP_HEAD; at++) {
		struct group_head h;
		size_t bytes;

		if (memcmp(p + at, GROUP_MAGIC, 4) != 0)
			continue;
		h = (struct group_head){ .first_seq = get_le64(p + at + 8), .entries = get_le32(p + at + 16),
			.marks = get_le32(p + at + 20) };
		bytes = get_le32(p + at + 4);
		group_seal(p + at, &h, bytes < n - at - GROUP_HEAD ? bytes : n - at - GROUP_HEAD, head.seed);
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
	size_t n = LLVMFuzzerMutate(data, size, most), cursor = n > 0 ? data[0] % 65 : 0;

	if (seed % 2 == 0 && n > 1 + cursor)
		seal((char *)data + 1 + cursor, n - 1 - cursor);
	return n;
}

struct tally { uint64_t n, last, sum; };

static int
count_entry(void *arg, uint64_t seq, struct slice entry)
{
	struct tally *t = arg;

	assert(seq > t->last);
	t->last = seq;
	t->sum += seq * 31 + entry.n;
	t->n++;
	return 0;
}

static struct tally
read_all(struct spool_reader *r)
{
	struct tally t = { 0 };
	struct err err = { 0 };
	struct slice entry;
	unsigned rounds = 0;
	uint64_t seq;
	int got;

	while ((got = spool_next(r, &entry, &seq, &err)) != 0) {
		assert(++rounds < 1000000);
		if (got == 1)
			(void)count_entry(&t, seq, entry);
	}
	return t;
}

/* Opens, appends, reads; what a reader sees is what `dump` sees, and what the next start finds. */
static bool
use_spool(bool append)
{
	const struct spool_limits limits = { 1 << 20, 64 << 10, 64 << 10 };
	struct slice mine = SLICE("hello");
	struct tally seen, dumped = { 0 };
	struct spool_reader *r = NULL;
	struct spool *s = NULL;
	struct err err = { 0 };
	uint64_t mine_seq = 0, durable = 0;

	if (spool_open(&s, dir, &limits, NULL, &err) != 0)
		return false;
	assert(spool_reader_open(&r, s, "r", NULL, &err) == 0);
	if (append && spool_append_group(s, &mine, 1, NULL, 0, &mine_seq, &err) == 0)
		assert(spool_sync(s, &durable, &err) == 0 && durable == mine_seq);
	seen = read_all(r);
	assert(mine_seq == 0 || seen.last == mine_seq);
	assert(spool_dump(dir, spool_reader_cursor(r) + 1, count_entry, &dumped, &err) == 0);
	assert(dumped.n == seen.n && dumped.sum == seen.sum && dumped.last == seen.last);
	spool_reader_close(r);
	spool_close(s);
	return true;
}

/* What repair leaves is sound, and holds what could be read before. */
static void
mend(void)
{
	struct tally before = { 0 }, after = { 0 };
	struct err err = { 0 };

	assert(spool_dump(dir, 1, count_entry, &before, &err) == 0);
	assert(spool_repair_print(dir, &err) == 0);
	assert(spool_verify_print(dir, true, &err) == 0);
	assert(spool_dump(dir, 1, count_entry, &after, &err) == 0);
	assert(before.n == after.n && before.sum == after.sum && before.last == after.last);
}

static int
no_sync(int fd)
{
	(void)fd;
	return 0;
}

/* The first byte says how much of the rest is the cursor's. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t cursor = size > 0 ? data[0] % 65 : 0;

	make_dir();
	clean(".");
	clean("cursors");
	if (size < 1 + cursor)
		return 0;
	write_file("cursors/r", data + 1, cursor);
	write_file("00000000000000000001.seg", data + 1 + cursor, size - 1 - cursor);
	if (size % 2 == 0 && spool_dump(dir, 1, count_entry, &(struct tally){ 0 }, NULL) == 0)
		mend();
	if (use_spool(true))
		assert(use_spool(false));
	return 0;
}
