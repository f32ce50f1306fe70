/*
 * fuzz_dead.c - any bytes as a file of the dead letter: what can be read is read by each reader alike, taking out takes that and leaves the damaged, and
 * new letters find their place. Every second input gets good checksums.
 */
#include <assert.h>
#include <dirent.h>
#include <stdint.h>

#include "fixed.h"
#include "parts.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/dead.h"

#define HEAD	16

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
size_t	LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed);
size_t	LLVMFuzzerMutate(uint8_t *data, size_t n, size_t most);

struct tally { uint64_t n, sum, odd; bool has_ours; };

static char dir[64];

static void
clean(void)
{
	char path[512];
	struct dirent *e;
	DIR *d = opendir(dir);

	assert(d != NULL);
	while ((e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		(void)unlink(path);
	}
	closedir(d);
}

static void
remove_all(void)
{
	clean();
	(void)rmdir(dir);
}

static int
no_sync(int fd)
{
	(void)fd;
	return 0;
}

static void
open_once(void)
{
	if (dir[0] != '\0')
		return;
	make_dir(dir, "fuzz-dead");
	assert(atexit(remove_all) == 0);
	sys.fsync = sys.fdatasync = no_sync;
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t most, unsigned seed)
{
	char *p = (char *)data;

	n = LLVMFuzzerMutate(data, n, most);
	for (size_t at = 0; seed % 2 == 0 && n - at >= HEAD; at++) {
		uint32_t bytes;

		if (memcmp(p + at, "DEAD", 4) != 0)
			continue;
		bytes = get_le32(p + at + 4);
		if (bytes <= n - at - HEAD)
			put_le32(p + at + 8, crc32_ieee(0, p + at + HEAD, bytes));
		put_le32(p + at + 12, crc32_ieee(0, p + at, 12));
	}
	return n;
}

static int
count(void *arg, const struct dead_letter *l)
{
	struct tally *t = arg;

	t->n++;
	t->sum += (uint64_t)l->when_ms * 31 + l->kind + crc32_ieee(0, l->from.p, l->from.n) + crc32_ieee(0, l->reason.p, l->reason.n) +
	    crc32_ieee(0, l->bytes.p, l->bytes.n);
	t->odd += l->bytes.n % 2;
	t->has_ours = t->has_ours || (slice_eq(l->from, SLICE("us")) && slice_eq(l->bytes, SLICE("hello")));
	return 0;
}

static struct tally
look(uint64_t *ret_damaged)
{
	struct tally t = { 0 };
	struct err err = { 0 };

	*ret_damaged = 0;
	assert(dead_each(dir, count, &t, ret_damaged, &err) == 0);
	return t;
}

static int
take_odd(void *arg, const struct dead_letter *l)
{
	(void)arg;
	return (int)(l->bytes.n % 2);
}

static int
settle(void *arg)
{
	(void)arg;
	return 0;
}

static void
put_one(void)
{
	const struct dead_letter l = { .when_ms = 1, .kind = DEAD_RECORD, .from = SLICE("us"), .reason = SLICE("why"), .bytes = SLICE("hello") };
	struct dead *d = NULL;
	struct err err = { 0 };

	assert(dead_open(&d, dir, 1u << 20, NULL, NULL, &err) == 0);
	assert(dead_put(d, &l, &err) == 0 && dead_sync(d, &err) == 0);
	dead_close(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	uint64_t damaged, damaged_after, taken = 0;
	struct tally before, after;
	struct err err = { 0 };
	char path[96];

	open_once();
	clean();
	snprintf(path, sizeof(path), "%s/0000000001.dead", dir);
	write_file(path, slice_make(data, n));
	before = look(&damaged);
	put_one();
	after = look(&damaged_after);
	assert(after.n == before.n + 1 && after.has_ours && damaged_after <= damaged);
	assert(dead_take(dir, take_odd, settle, NULL, &taken, &err) == 0);
	assert(taken == after.odd);
	before = look(&damaged);
	assert(before.n == after.n - taken && before.odd == 0 && damaged == damaged_after);
	return 0;
}
