/*
 * file_place.c - where source `file` stands in each file: saved positions, and who a file is that we see for the first time.
 *
 * A position's bytes: version 1, flags, u16 length of the hashed head, u64 device, u64 inode, u64 hash of the head,
 * u64 offset, u32 hour of writing; little-endian.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/stat.h"
#include "base/sys.h"
#include "source/file_source.h"
#include "source/source.h"

#define PLACE_VERSION		1
#define POSITION_LEN	40
#define UNTOLD		UINT64_MAX
#define HOUR_MS		3600000
#define KEEP_HOURS	(30 * 24)
#define SAVED_MOST	(2 * FILE_FILES_MOST)

enum { FLAG_SKIPPING = 1, FLAG_GZIP = 2, FLAG_DONE = 4 };

/* Fills the parts of the position that seldom change. */
static void
stamp(struct file_tail *t)
{
	unsigned char *b = t->pos.bytes;

	t->pos.len = POSITION_LEN;
	b[0] = PLACE_VERSION;
	b[2] = (unsigned char)t->head_n;
	b[3] = (unsigned char)(t->head_n >> 8);
	put_le64(b + 4, t->dev);
	put_le64(b + 12, t->ino);
	put_le64(b + 20, t->head_hash);
}

const struct position *
file_place_position(struct file_source *fs, struct file_tail *t, uint64_t offset, bool skipping)
{
	unsigned char *b = t->pos.bytes;

	b[1] = (unsigned char)((skipping ? FLAG_SKIPPING : 0) | (t->gzip ? FLAG_GZIP : 0) | (t->done ? FLAG_DONE : 0));
	put_le64(b + 28, offset);
	put_le32(b + 36, (uint32_t)(fs->now_ms / HOUR_MS));
	return &t->pos;
}

static bool
parse_position(const struct position *at, struct file_saved *ret)
{
	const unsigned char *b = at->bytes;

	if (at->len < POSITION_LEN || b[0] != PLACE_VERSION)
		return false;
	*ret = (struct file_saved){
		.stream = at->stream, .flags = b[1], .head_n = (uint16_t)(b[2] | b[3] << 8), .dev = get_le64(b + 4),
		.ino = get_le64(b + 12), .head_hash = get_le64(b + 20), .offset = get_le64(b + 28), .hour = get_le32(b + 36),
	};
	return ret->head_n <= FILE_HEAD_BYTES && ret->offset <= INT64_MAX;
}

int
file_place_check_head(struct file_source *fs, struct file_tail *t, const struct stat *st)
{
	char head[FILE_HEAD_BYTES];
	size_t want = (uint64_t)st->st_size < sizeof(head) ? (size_t)st->st_size : sizeof(head);
	ssize_t n = sys_pread_full(t->fd, head, want, 0);
	bool same;

	(void)fs;
	if (n < 0)
		return -1;
	same = n >= t->head_n && hash_stable(head, t->head_n) == t->head_hash;
	if (!same || n > t->head_n) {
		if (!same || t->head_n < 3)
			t->gzip = gzip_is(slice_make(head, (size_t)n));
		t->head_n = (uint16_t)n;
		t->head_hash = hash_stable(head, (size_t)n);
		stamp(t);
	}
	return same;
}

void
file_place_restart(struct file_tail *t)
{
	t->offset = t->scanned = 0;
	t->told = UNTOLD;
	t->skipping = t->done = false;
}

static int
compare_saved(const void *a, const void *b)
{
	const struct file_saved *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct file_saved *
first_saved(const struct file_source *fs, uint64_t ino)
{
	size_t lo = 0, hi = fs->nsaved;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (fs->saved[mid].ino < ino)
			lo = mid + 1;
		else
			hi = mid;
	}
	return &fs->saved[lo];
}

void
file_place_forget(struct file_source *fs, uint64_t stream)
{
	if (fs->nforget == fs->forget_cap) {
		size_t cap = fs->forget_cap > 0 ? fs->forget_cap * 2 : 64;
		uint64_t *v = realloc(fs->forget, cap * sizeof(*v));

		if (v == NULL)
			return;		/* the position stays a month longer */
		fs->forget = v;
		fs->forget_cap = cap;
	}
	fs->forget[fs->nforget++] = stream;
}

bool
file_place_flush(struct file_source *fs)
{
	while (fs->nforget > 0) {
		const struct position gone = { .stream = fs->forget[fs->nforget - 1], .len = 0 };

		if (!source_move(fs->s, &gone))
			return false;
		fs->nforget--;
	}
	return true;
}

/* The saved position that is this file's: same inode, same beginning; the same device if there is a choice. */
static struct file_saved *
find_saved(const struct file_source *fs, const struct file_tail *t, const char *head, size_t head_n)
{
	struct file_saved *end = fs->saved + fs->nsaved, *best = NULL;

	for (struct file_saved *v = first_saved(fs, t->ino); v < end && v->ino == t->ino; v++) {
		if (v->used || v->head_n > head_n || hash_stable(head, v->head_n) != v->head_hash)
			continue;
		if (v->dev == t->dev)
			return v;
		if (v->head_n > 0)		/* device numbers may change over a reboot */
			best = v;
	}
	return best;
}

/* Positions of this very inode with another beginning: that file is gone. */
static void
forget_strangers(struct file_source *fs, const struct file_tail *t)
{
	struct file_saved *end = fs->saved + fs->nsaved;

	for (struct file_saved *v = first_saved(fs, t->ino); v < end && v->ino == t->ino; v++)
		if (!v->used && v->dev == t->dev) {
			v->used = true;
			fs->nwaiting--;
			file_place_forget(fs, v->stream);
		}
}

void
file_place_truncated(struct file_source *fs, struct file_tail *t)
{
	file_place_restart(t);
	stat_add(fs->s->stats, STAT_SOURCE_TRUNCATED, 1);
	file_say(fs, false, "%.150s: shorter than what was read of it (copytruncate?), begun again from its start", t->path);
}

static void
take_saved(struct file_source *fs, struct file_tail *t, struct file_saved *v)
{
	v->used = true;
	fs->nwaiting--;
	t->pos.stream = v->stream;
	t->offset = t->scanned = t->told = v->offset;
	t->skipping = (v->flags & FLAG_SKIPPING) != 0;
	t->done = (v->flags & FLAG_DONE) != 0;
	if (!t->gzip && t->offset > t->size)
		file_place_truncated(fs, t);
}

/* `start` of the configuration, for what is there when the source runs for the first time. */
static bool
is_skipped(const struct file_source *fs, const struct stat *st)
{
	if (!fs->starting || !fs->first_run)
		return false;
	return fs->s->start == START_LATEST ||
	    (fs->s->start == START_TIME && (int64_t)st->st_mtime * 1000 < fs->s->start_ms);
}

static void
skip_to_end(struct file_tail *t)
{
	char last = '\n';

	if (t->gzip) {
		t->done = true;
		return;
	}
	t->offset = t->scanned = t->size;
	if (t->size > 0 && sys_pread_full(t->fd, &last, 1, (off_t)t->size - 1) == 1)
		t->skipping = last != '\n';
}

/* Who is it, and where do we go on? False: not wanted, or not readable. */
bool
file_place(struct file_source *fs, struct file_tail *t, const struct stat *st, bool wanted)
{
	char head[FILE_HEAD_BYTES];
	size_t want = t->size < sizeof(head) ? (size_t)t->size : sizeof(head);
	ssize_t n = sys_pread_full(t->fd, head, want, 0);
	struct file_saved *v;

	if (n < 0) {
		file_track_complain(fs, t->path, errno);
		return false;
	}
	t->head_n = (uint16_t)n;
	t->head_hash = hash_stable(head, (size_t)n);
	t->gzip = gzip_is(slice_make(head, (size_t)n));
	t->told = UNTOLD;
	v = find_saved(fs, t, head, (size_t)n);
	if (v == NULL && !wanted)
		return false;
	if (v != NULL) {
		take_saved(fs, t, v);
	} else {
		forget_strangers(fs, t);
		random_bytes(&t->pos.stream, sizeof(t->pos.stream));
		if (is_skipped(fs, st))
			skip_to_end(t);
		else if (n == 0)
			t->told = 0;		/* nothing to remember yet */
	}
	stamp(t);
	return true;
}

int
file_place_restore(struct file_source *fs, const struct position *at, struct err *err)
{
	struct file_saved one;

	if (!parse_position(at, &one) || fs->nsaved >= SAVED_MOST)
		return 0;		/* of another version: that file is read anew */
	if (fs->nsaved == fs->saved_cap) {
		size_t cap = fs->saved_cap > 0 ? fs->saved_cap * 2 : 64;
		struct file_saved *v = realloc(fs->saved, cap * sizeof(*v));

		if (v == NULL)
			return err_set(err, ERR_AGAIN, "no memory for saved positions");
		fs->saved = v;
		fs->saved_cap = cap;
	}
	fs->saved[fs->nsaved++] = one;
	fs->nwaiting++;
	return 0;
}

void
file_place_start(struct file_source *fs)
{
	if (fs->nsaved > 0)
		qsort(fs->saved, fs->nsaved, sizeof(fs->saved[0]), compare_saved);
}

void
file_place_expire(struct file_source *fs)
{
	uint32_t hour = (uint32_t)(fs->now_ms / HOUR_MS);

	for (size_t i = 0; i < fs->nsaved; i++) {
		struct file_saved *v = &fs->saved[i];

		if (v->used || v->hour + KEEP_HOURS >= hour)
			continue;
		v->used = true;
		fs->nwaiting--;
		file_place_forget(fs, v->stream);
	}
}

void
file_place_free(struct file_source *fs)
{
	free(fs->saved);
	free(fs->forget);
	fs->saved = NULL;
	fs->forget = NULL;
	fs->nsaved = fs->nforget = 0;
}

bool
file_place_is_inode(const struct file_source *fs, uint64_t ino)
{
	const struct file_saved *v = fs->nwaiting > 0 ? first_saved(fs, ino) : NULL;

	return v != NULL && v < fs->saved + fs->nsaved && v->ino == ino;
}
