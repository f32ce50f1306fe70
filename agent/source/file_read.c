/*
 * file_read.c - bytes of a file into records of source `file`, one a line.
 *
 * Only whole lines leave; the half-written last one is read again when there is more. A line past max_record leaves as
 * unreadable with its beginning, and the rest up to the newline is passed over without being kept.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/sys.h"
#include "source/file_source.h"
#include "source/source.h"

#define RESCAN_BYTES	(64u << 10)	/* from here on an unfinished line is searched, not read, again */
#define PACKED_BYTES	(16u << 10)
#define EVIDENCE_BYTES	4096		/* of a damaged gzip file */

/* ---- one line ----------------------------------------------------------------- */

static bool
emit(struct file_source *fs, struct file_tail *t, struct slice line, const char *unreadable, uint64_t after, bool skipping)
{
	const struct record r = {
		.bytes = line, .padded = true, .source = fs->s->name, .arrived_ms = fs->now_ms, .unreadable = unreadable,
	};

	if (!source_emit(fs->s, &r, file_place_position(fs, t, after, skipping)))
		return false;
	t->offset = t->told = after;
	t->skipping = skipping;
	return true;
}

static bool
emit_too_long(struct file_source *fs, struct file_tail *t, struct slice line, uint64_t after, bool skipping)
{
	char why[80];

	snprintf(why, sizeof(why), "line longer than max_record (%zu bytes), its beginning is kept", fs->max_record);
	return emit(fs, t, slice_make(line.p, fs->max_record), why, after, skipping);
}

/* Without the carriage return, and without the NULs that a truncation under a writer leaves. Blank lines become empty. */
static struct slice
trim_line(struct slice line)
{
	size_t blanks = 0;

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	while (line.n > 0 && line.p[0] == '\0')
		line = slice_make(line.p + 1, line.n - 1);
	while (blanks < line.n && (line.p[blanks] == ' ' || line.p[blanks] == '\t'))
		blanks++;
	return blanks == line.n ? slice_make(line.p, 0) : line;
}

static bool
take_line(struct file_source *fs, struct file_tail *t, struct slice line, uint64_t after)
{
	if (t->skipping || (line.n <= fs->max_record && trim_line(line).n == 0)) {
		t->offset = after;
		t->skipping = false;
		return true;
	}
	if (line.n > fs->max_record)
		return emit_too_long(fs, t, line, after, false);
	return emit(fs, t, trim_line(line), NULL, after, false);
}

/*
 * The lines of a window whose first byte is at t->offset; that moves on behind each line taken.
 * False: refused, the window is to be offered again from t->offset.
 */
static bool
take_lines(struct file_source *fs, struct file_tail *t, struct slice w)
{
	const char *at = w.p, *end = w.p + w.n, *nl;
	uint64_t base = t->offset;

	while (at < end && (nl = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		if (!take_line(fs, t, slice_make(at, (size_t)(nl - at)), base + (uint64_t)(nl + 1 - w.p)))
			return false;
		at = nl + 1;
	}
	if (!t->skipping && (size_t)(end - at) > fs->max_record &&
	    !emit_too_long(fs, t, slice_make(at, (size_t)(end - at)), t->offset + fs->max_record, true))
		return false;
	if (t->skipping)
		t->offset = base + w.n;
	return true;
}

/* The last line, though no newline ends it. */
static bool
take_rest(struct file_source *fs, struct file_tail *t, struct slice rest)
{
	return rest.n == 0 || take_line(fs, t, rest, t->offset + rest.n);
}

/* ---- plain files ---------------------------------------------------------------- */

static bool
complain_read(struct file_source *fs, struct file_tail *t)
{
	if (!t->told_error)
		file_track_complain(fs, t->path, errno);
	t->told_error = t->again = true;
	fs->trouble = true;
	if (errno == ESTALE)
		file_track_close(fs, t);
	return false;
}

/* More bytes at the end of the chunk. Returns how many, 0 at the end of the file, -1. */
static ssize_t
read_more(struct file_source *fs, struct file_tail *t, size_t want, uint64_t at)
{
	ssize_t n;

	if (!buf_reserve(&fs->chunk, want)) {
		errno = ENOMEM;
		return -1;
	}
	n = sys_pread_full(t->fd, fs->chunk.p + fs->chunk.n, want, (off_t)at);
	if (n > 0)
		fs->chunk.n += (size_t)n;
	return n;
}

/* Of a long unfinished line: is there a newline, or too much of it? Reads only what is new. */
static bool
is_worth_reading(struct file_source *fs, struct file_tail *t)
{
	ssize_t n;

	if (t->scanned < t->offset + RESCAN_BYTES || t->skipping)
		return true;
	while (t->scanned - t->offset <= fs->max_record) {
		buf_reset(&fs->chunk);
		n = read_more(fs, t, FILE_CHUNK_BYTES, t->scanned);
		if (n <= 0)
			return false;
		if (memchr(fs->chunk.p, '\n', (size_t)n) != NULL)
			return true;
		t->scanned += (uint64_t)n;
	}
	return true;
}

/* Reads on until the line that began the chunk has an end, or is too long, or the file ends (*ret_end). */
static int
read_long_line(struct file_source *fs, struct file_tail *t, bool *ret_end)
{
	while (fs->chunk.n <= fs->max_record) {
		size_t before = fs->chunk.n;
		size_t want = before < FILE_CHUNK_BYTES ? FILE_CHUNK_BYTES : before;
		ssize_t n;

		if (want > fs->max_record + FILE_CHUNK_BYTES - before)
			want = fs->max_record + FILE_CHUNK_BYTES - before;
		n = read_more(fs, t, want, t->offset + before);
		if (n < 0)
			return -1;
		if ((size_t)n < want) {
			*ret_end = true;
			return 0;
		}
		if (memchr(fs->chunk.p + before, '\n', (size_t)n) != NULL)
			return 0;
	}
	return 0;
}

/* Gives back what an unusually long line needed. */
static void
shrink_chunk(struct file_source *fs)
{
	buf_reset(&fs->chunk);
	if (fs->chunk.cap > 4 * FILE_CHUNK_BYTES)
		buf_fini(&fs->chunk);
}

/* One window: FILE_MORE, FILE_REFUSED, or FILE_IDLE at the end of the file. `last`: an unfinished line counts. */
static enum file_turn
read_window(struct file_source *fs, struct file_tail *t, bool last, size_t *ret_n)
{
	uint64_t base = t->offset;
	bool end = false;
	ssize_t n;

	buf_reset(&fs->chunk);
	n = read_more(fs, t, FILE_CHUNK_BYTES, base);
	if (n < 0) {
		complain_read(fs, t);
		return FILE_IDLE;
	}
	end = (size_t)n < FILE_CHUNK_BYTES;
	if (!end && !t->skipping && memchr(fs->chunk.p, '\n', fs->chunk.n) == NULL && read_long_line(fs, t, &end) != 0) {
		complain_read(fs, t);
		return FILE_IDLE;
	}
	*ret_n = fs->chunk.n;
	if (!take_lines(fs, t, buf_slice(&fs->chunk)))
		return FILE_REFUSED;
	t->scanned = base + fs->chunk.n;
	if (!end)
		return FILE_MORE;
	if (last && !take_rest(fs, t, slice_make(fs->chunk.p + (t->offset - base), (size_t)(t->scanned - t->offset))))
		return FILE_REFUSED;
	return FILE_IDLE;
}

static enum file_turn
read_plain(struct file_source *fs, struct file_tail *t, bool last)
{
	enum file_turn turn = FILE_MORE;
	size_t total = 0, n = 0;

	if (!last && !is_worth_reading(fs, t))
		return FILE_IDLE;
	while (turn == FILE_MORE && total < FILE_TURN_BYTES) {
		turn = read_window(fs, t, last, &n);
		total += n;
	}
	shrink_chunk(fs);
	return turn;
}

/* ---- gzip ------------------------------------------------------------------------ */

void
file_read_free_gzip(struct file_source *fs, struct file_tail *t)
{
	if (t->gz == NULL)
		return;
	for (size_t i = 0; i < FILE_GZIP_MOST; i++)
		if (fs->unpacking[i] == t)
			fs->unpacking[i] = NULL;
	gzip_reader_free(t->gz->reader);
	buf_fini(&t->gz->plain);
	free(t->gz);
	t->gz = NULL;
}

static struct file_tail **
free_place(struct file_source *fs)
{
	for (size_t i = 0; i < FILE_GZIP_MOST; i++)
		if (fs->unpacking[i] == NULL)
			return &fs->unpacking[i];
	for (size_t i = 0; i < FILE_GZIP_MOST; i++)
		if (!fs->unpacking[i]->ready) {		/* it waits to grow: it will be unpacked again */
			file_read_free_gzip(fs, fs->unpacking[i]);
			return &fs->unpacking[i];
		}
	return NULL;
}

/* 1 ready, 0 others have to end first, -1 no memory. */
static int
begin_gzip(struct file_source *fs, struct file_tail *t)
{
	struct file_tail **place = t->gz == NULL ? free_place(fs) : NULL;
	struct file_gzip *g;

	if (t->gz != NULL)
		return 1;
	if (place == NULL)
		return 0;
	g = calloc(1, sizeof(*g));
	if (g == NULL || (g->reader = gzip_reader_new()) == NULL) {
		free(g);
		return -1;
	}
	buf_init(&g->plain, fs->max_record + 3 * FILE_CHUNK_BYTES);
	*place = t;
	t->gz = g;
	return 1;
}

static enum file_turn
spoil_gzip(struct file_source *fs, struct file_tail *t, struct slice evidence, const char *why)
{
	char text[160];
	uint64_t offset = t->offset;

	snprintf(text, sizeof(text), "gzip file cannot be unpacked further: %.100s", why);
	t->done = true;
	if (evidence.n > EVIDENCE_BYTES)
		evidence.n = EVIDENCE_BYTES;
	if (!emit(fs, t, evidence, text, offset, false)) {
		t->done = false;
		return FILE_REFUSED;
	}
	return FILE_IDLE;
}

/* What is unpacked, as lines. False: refused. */
static bool
take_plain(struct file_source *fs, struct file_tail *t)
{
	struct file_gzip *g = t->gz;
	size_t known = t->offset - g->base < g->plain.n ? (size_t)(t->offset - g->base) : g->plain.n;
	uint64_t before;
	bool taken;

	buf_consume(&g->plain, known);		/* read before a restart */
	g->base += known;
	if (g->base < t->offset)
		return true;
	before = t->offset;
	taken = take_lines(fs, t, buf_slice(&g->plain));
	buf_consume(&g->plain, (size_t)(t->offset - before));
	g->base = t->offset;
	return taken;
}

/* 1 some was unpacked, 0 the file ends here, -1 err. */
static int
unpack(struct file_source *fs, struct file_tail *t, struct slice *ret_packed, struct err *err)
{
	struct file_gzip *g = t->gz;
	size_t used = 0, before = g->plain.n;
	ssize_t n;
	int rc;

	buf_reset(&fs->chunk);
	n = read_more(fs, t, PACKED_BYTES, g->in_at);
	if (n < 0)
		return err_set_sys(err, ERR_AGAIN, "cannot read");
	*ret_packed = buf_slice(&fs->chunk);
	rc = gzip_read(g->reader, *ret_packed, &used, &g->plain, FILE_CHUNK_BYTES, err);
	if (rc < 0)
		return -1;
	g->in_at += used;
	g->whole = rc == 1;
	return used > 0 || g->plain.n > before;
}

static enum file_turn
end_gzip(struct file_source *fs, struct file_tail *t, bool last)
{
	struct file_gzip *g = t->gz;

	if (!g->whole && !last)
		return FILE_IDLE;		/* the rest is still to be written */
	if (!g->whole)
		return spoil_gzip(fs, t, buf_slice(&g->plain), "it ends in the middle");
	if (!take_rest(fs, t, buf_slice(&g->plain)))
		return FILE_REFUSED;
	file_read_free_gzip(fs, t);
	return FILE_IDLE;
}

static enum file_turn
read_gzip(struct file_source *fs, struct file_tail *t, bool last)
{
	struct slice packed = SLICE_NONE;
	struct err err = { 0 };
	int rc = begin_gzip(fs, t);

	if (rc == 0)
		return FILE_MORE;
	for (size_t total = 0; rc > 0 && total < FILE_TURN_BYTES; total += FILE_CHUNK_BYTES) {
		if (!take_plain(fs, t))
			return FILE_REFUSED;
		rc = unpack(fs, t, &packed, &err);
		if (rc == 0)
			return end_gzip(fs, t, last);
	}
	if (rc > 0)
		return FILE_MORE;
	if (err.kind == ERR_DATA)
		return take_plain(fs, t) ? spoil_gzip(fs, t, packed, err.text) : FILE_REFUSED;
	fs->trouble = t->again = true;		/* memory or the disk: in a while */
	file_read_free_gzip(fs, t);
	return FILE_IDLE;
}

/* ---- a turn ------------------------------------------------------------------------ */

void
file_read_settle(struct file_source *fs, struct file_tail *t)
{
	if (t->awaited)
		fs->nawaited--;
	t->awaited = false;
}

/* Looks at the file before it is read; it may have been truncated or replaced. */
static bool
look(struct file_source *fs, struct file_tail *t, struct stat *st)
{
	uint64_t size;
	int64_t mtime_ns;

	if (sys.fstat(t->fd, st) != 0)
		return complain_read(fs, t);
	size = (uint64_t)st->st_size;
	mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	if (t->changed || size != t->size || mtime_ns != t->mtime_ns) {
		int same = file_place_check_head(fs, t, st);

		if (same < 0)
			return complain_read(fs, t);
		if (same == 0 || size < t->size || (!t->gzip && size < t->offset)) {
			file_read_free_gzip(fs, t);
			file_place_truncated(fs, t);
		}
		if (size > t->size && t->gzip)
			t->done = false;
	}
	t->changed = t->told_error = false;
	t->size = size;
	t->mtime_ns = mtime_ns;
	return true;
}

static void
count_lag(struct file_source *fs, struct file_tail *t)
{
	uint64_t at = t->gz != NULL ? t->gz->in_at : t->gzip ? t->size : t->offset;

	fs->lag -= t->lag;
	t->lag = t->size > at && !t->done ? t->size - at : 0;
	fs->lag += t->lag;
}

/* A place that moved without a record, past blank lines or by a truncation, is told as well. */
static bool
tell_place(struct file_source *fs, struct file_tail *t)
{
	if (t->told == t->offset)
		return true;
	if (!source_move(fs->s, file_place_position(fs, t, t->offset, t->skipping)))
		return false;
	t->told = t->offset;
	return true;
}

enum file_turn
file_read(struct file_source *fs, struct file_tail *t)
{
	enum file_turn turn = FILE_IDLE;
	struct stat st;
	bool gone, last;

	t->again = false;
	if (file_track_open(fs, t) < 0 || !look(fs, t, &st) || file_track_is_own(fs, t->path, t->fd, &st)) {
		if (!t->again)
			file_read_settle(fs, t);
		return FILE_IDLE;
	}
	gone = st.st_nlink == 0;
	last = gone || t->awaited;
	if (!t->done)
		turn = t->gzip ? read_gzip(fs, t, last) : read_plain(fs, t, last);
	if (turn != FILE_REFUSED && !tell_place(fs, t))
		turn = FILE_REFUSED;
	if (t->done)
		file_read_free_gzip(fs, t);
	count_lag(fs, t);
	if (turn != FILE_IDLE || t->again)
		return turn;
	file_read_settle(fs, t);
	return gone ? FILE_GONE : FILE_IDLE;
}
