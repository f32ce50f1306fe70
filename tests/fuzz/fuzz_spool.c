/* fuzz_spool.c - any bytes as the newest segment and as a cursor: opening, reading and appending must stay sane. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/spool.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

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
clean(void)
{
	static const char *const names[] = { "00000000000000000001.seg", "00000000000000000001.seg.bad", "cursors/r", "lock" };
	char path[256];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
}

static void
make_dir(void)
{
	char path[128];

	if (dir[0] != '\0')
		return;
	snprintf(dir, sizeof(dir), "/tmp/aispm-fuzz-spool-XXXXXX");
	assert(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/cursors", dir);
	assert(mkdir(path, 0700) == 0);
}

/* The first byte says how much of the rest is the cursor's. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct spool_limits limits = { 1 << 20, 64 << 10, 64 << 10 };
	size_t cursor = size > 0 ? data[0] % 65 : 0;
	struct spool_reader *r = NULL;
	struct spool *s = NULL;
	struct slice entry, mine = SLICE("hello");
	struct err err = { 0 };
	uint64_t seq, last = 0, mine_seq = 0, durable;
	int got, rounds = 0;

	make_dir();
	clean();
	if (size < 1 + cursor)
		return 0;
	write_file("cursors/r", data + 1, cursor);
	write_file("00000000000000000001.seg", data + 1 + cursor, size - 1 - cursor);
	if (spool_open(&s, dir, &limits, NULL, &err) != 0)
		return 0;
	assert(spool_reader_open(&r, s, "r", NULL, &err) == 0);
	if (spool_append_group(s, &mine, 1, NULL, 0, &mine_seq, &err) == 0)
		assert(spool_sync(s, &durable, &err) == 0 && durable == mine_seq);
	while ((got = spool_next(r, &entry, &seq, &err)) != 0) {
		assert(++rounds < 1000000);
		if (got == 1) {
			assert(seq > last);
			last = seq;
		}
	}
	assert(mine_seq == 0 || (last == mine_seq));	/* what was appended now is read, whatever lay before it */
	spool_reader_close(r);
	spool_close(s);
	return 0;
}
