/* spool.c - the writer: groups into segments, synced, bounded, and segments away when everybody has read them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/store.h"

enum err_kind
spool_error_kind(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_AGAIN;
}

void
spool_tell_damage(const struct spool *s, uint64_t segment, uint64_t from, uint64_t to, const char *what)
{
	char name[32];

	snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)segment);
	if (s->events.damage != NULL)
		s->events.damage(s->events.arg, name, from, to, what);
}

/* ---- positions ----------------------------------------------------------------- */

static int
mark_set(struct spool *s, struct slice source, const struct position *at, struct err *err)
{
	size_t i = 0;

	while (i < s->nmarks && !(s->marks[i].at.stream == at->stream &&
	    slice_eq(slice_make(s->marks[i].source, s->marks[i].source_n), source)))
		i++;
	if (at->len == 0) {
		if (i < s->nmarks)
			s->marks[i] = s->marks[--s->nmarks];
		return 0;
	}
	if (i == s->nmarks) {
		if (s->nmarks == s->marks_cap) {
			size_t cap = s->marks_cap > 0 ? s->marks_cap * 2 : 64;
			struct stream_mark *v = realloc(s->marks, cap * sizeof(*v));

			if (v == NULL)
				return err_set(err, ERR_AGAIN, "no memory for positions");
			s->marks = v;
			s->marks_cap = cap;
		}
		s->nmarks++;
		memcpy(s->marks[i].source, source.p, source.n);
		s->marks[i].source_n = (uint8_t)source.n;
	}
	s->marks[i].at = *at;
	return 0;
}

static int
marks_apply(struct spool *s, struct slice marks, struct err *err)
{
	struct position at;
	struct slice source;

	for (size_t i = 0; group_get_mark(marks, &i, &source, &at);)
		if (mark_set(s, source, &at, err) != 0)
			return -1;
	return 0;
}

int
spool_each_mark(struct spool *s, int (*see)(void *arg, struct slice source, const struct position *), void *arg,
    struct err *err)
{
	(void)err;
	for (size_t i = 0; i < s->nmarks; i++)
		if (see(arg, slice_make(s->marks[i].source, s->marks[i].source_n), &s->marks[i].at) != 0)
			return -1;
	return 0;
}

/* ---- segments ------------------------------------------------------------------- */

static int
segment_add(struct spool *s, uint64_t first_seq, uint64_t bytes, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->nsegments == s->segments_cap) {
		size_t cap = s->segments_cap > 0 ? s->segments_cap * 2 : 64;
		struct segment *v = realloc(s->segments, cap * sizeof(*v));

		if (v == NULL) {
			rc = err_set(err, ERR_AGAIN, "no memory for the list of segments");
		} else {
			s->segments = v;
			s->segments_cap = cap;
		}
	}
	if (rc == 0)
		s->segments[s->nsegments++] = (struct segment){ first_seq, bytes };
	pthread_mutex_unlock(&s->lock);
	return rc;
}

/* Head and snapshot of a new segment into s->group. */
static int
build_head(struct spool *s, struct err *err)
{
	struct group_head h = { .first_seq = s->next_seq, .marks = (uint32_t)s->nmarks };

	buf_reset(&s->group);
	if (!buf_reserve(&s->group, SEGMENT_HEAD + GROUP_HEAD))
		return err_set(err, ERR_AGAIN, "no memory for a segment");
	segment_head_put(s->group.p, s->next_seq, s->id, clock_wall_ms());
	s->group.n = SEGMENT_HEAD + GROUP_HEAD;
	for (size_t i = 0; i < s->nmarks; i++) {
		const struct spool_mark m = { slice_make(s->marks[i].source, s->marks[i].source_n), &s->marks[i].at };

		group_put_mark(&s->group, &m);
	}
	if (s->group.failed)
		return err_set(err, ERR_AGAIN, "no memory for a segment");
	h.payload_bytes = (uint32_t)(s->group.n - SEGMENT_HEAD - GROUP_HEAD);
	h.payload_crc = crc32_ieee(0, s->group.p + SEGMENT_HEAD + GROUP_HEAD, h.payload_bytes);
	group_head_put(s->group.p + SEGMENT_HEAD, &h);
	return 0;
}

static int
segment_begin(struct spool *s, struct err *err)
{
	char path[4096];
	int fd;

	if (build_head(s, err) != 0 || segment_path(s->dir, s->next_seq, path, sizeof(path), err) != 0)
		return -1;
	if (atomic_load(&s->total_bytes) + s->group.n > s->limits.total_bytes)
		return err_set(err, ERR_FULL, "the spool has reached its limit of %llu bytes",
		    (unsigned long long)s->limits.total_bytes);
	fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return err_set_sys(err, spool_error_kind(), "%s: cannot make", path);
	if (sys_pwrite_full(fd, s->group.p, s->group.n, 0) != 0 || sys.fdatasync(fd) != 0) {
		err_set_sys(err, spool_error_kind(), "%s: cannot write", path);
		goto fail;
	}
	if (sys_sync_dir(s->dir, err) != 0 || segment_add(s, s->next_seq, s->group.n, err) != 0)
		goto fail;
	if (s->fd >= 0)
		sys.close(s->fd);
	s->fd = fd;
	s->at = s->synced_at = s->group.n;
	atomic_fetch_add(&s->total_bytes, s->group.n);
	return 0;
fail:
	sys.close(fd);
	sys.unlink(path);
	return -1;
}

/* ---- appending -------------------------------------------------------------------- */

/* Takes back what was written behind the last sync. */
static int
roll_back(struct spool *s, uint64_t to, uint64_t next_seq)
{
	atomic_fetch_sub(&s->total_bytes, s->at - to);
	s->at = to;
	s->next_seq = next_seq;
	s->torn = sys.ftruncate(s->fd, (off_t)to) != 0;
	return s->torn ? -1 : 0;
}

static int
build_group(struct spool *s, const struct slice *entries, size_t n, const struct spool_mark *marks, size_t nmarks,
    size_t *ret_marks_at, struct err *err)
{
	struct group_head h = { .first_seq = s->next_seq, .entries = (uint32_t)n, .marks = (uint32_t)nmarks };

	buf_reset(&s->group);
	if (!buf_reserve(&s->group, GROUP_HEAD))
		return err_set(err, ERR_AGAIN, "no memory for a group");
	s->group.n = GROUP_HEAD;
	for (size_t i = 0; i < n; i++) {
		if (entries[i].n > s->limits.entry_bytes)
			return err_set(err, ERR_DATA, "an entry has %zu bytes, at most %u", entries[i].n, s->limits.entry_bytes);
		group_put_entry(&s->group, entries[i]);
	}
	*ret_marks_at = s->group.n;
	for (size_t i = 0; i < nmarks; i++) {
		assert(marks[i].source.n <= SOURCE_BYTES);
		group_put_mark(&s->group, &marks[i]);
	}
	if (s->group.failed)
		return err_set(err, ERR_AGAIN, "no memory for a group");
	h.payload_bytes = (uint32_t)(s->group.n - GROUP_HEAD);
	h.payload_crc = crc32_ieee(0, s->group.p + GROUP_HEAD, h.payload_bytes);
	group_head_put(s->group.p, &h);
	return 0;
}

static int
make_room(struct spool *s, struct err *err)
{
	struct err why = { 0 };

	if (s->torn && roll_back(s, s->at, s->next_seq) != 0)
		return err_set_sys(err, ERR_AGAIN, "spool: cannot cut a failed write");
	if (s->fd >= 0 && s->at >= s->limits.segment_bytes && s->at == s->synced_at) {
		if (segment_begin(s, &why) == 0)
			return 0;
		/* Without a new segment the old one grows, as long as the limit lets it. */
		if (why.kind != ERR_FULL) {
			if (err != NULL)
				*err = why;
			return -1;
		}
	}
	return s->fd >= 0 ? 0 : segment_begin(s, err);
}

int
spool_append_group(struct spool *s, const struct slice *entries, size_t n, const struct spool_mark *marks, size_t nmarks,
    uint64_t *ret_last_seq, struct err *err)
{
	size_t marks_at = 0;

	if (make_room(s, err) != 0 || build_group(s, entries, n, marks, nmarks, &marks_at, err) != 0)
		return -1;
	if (atomic_load(&s->total_bytes) + s->group.n > s->limits.total_bytes)
		return err_set(err, ERR_FULL, "the spool has reached its limit of %llu bytes",
		    (unsigned long long)s->limits.total_bytes);
	buf_put(&s->pending, s->group.p + marks_at, s->group.n - marks_at);
	if (s->pending.failed) {
		s->pending.failed = false;
		return err_set(err, ERR_AGAIN, "no memory for positions");
	}
	if (sys_pwrite_full(s->fd, s->group.p, s->group.n, (off_t)s->at) != 0) {
		err_set_sys(err, spool_error_kind(), "spool: cannot write");
		s->pending.n -= s->group.n - marks_at;
		(void)roll_back(s, s->at, s->next_seq);
		return -1;
	}
	s->at += s->group.n;
	atomic_fetch_add(&s->total_bytes, s->group.n);
	s->next_seq += n;
	*ret_last_seq = s->next_seq - 1;
	return 0;
}

int
spool_sync(struct spool *s, uint64_t *ret_durable_seq, struct err *err)
{
	if (s->at != s->synced_at) {
		if (sys.fdatasync(s->fd) != 0) {
			/* After a failed sync the kernel may have dropped the pages: nothing of them is believed. */
			err_set_sys(err, spool_error_kind(), "spool: cannot sync");
			(void)roll_back(s, s->synced_at, atomic_load(&s->durable_seq) + 1);
			buf_reset(&s->pending);
			return -1;
		}
		s->synced_at = s->at;
		pthread_mutex_lock(&s->lock);
		s->segments[s->nsegments - 1].durable_bytes = s->at;
		pthread_mutex_unlock(&s->lock);
		atomic_store(&s->durable_seq, s->next_seq - 1);
		if (marks_apply(s, buf_slice(&s->pending), err) != 0)
			return -1;
		buf_reset(&s->pending);
	}
	*ret_durable_seq = s->next_seq - 1;
	return 0;
}

/* ---- freeing ------------------------------------------------------------------------ */

/* Removes the oldest segment if everybody has read it: cursors are saved first. 1: gone, 0: nothing to free, -1: it stays. */
static int
free_oldest(struct spool *s, uint64_t *ret_bytes, struct err *err)
{
	char path[4096];
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	if (s->nsegments < 2 || cursors_least(s) + 1 < s->segments[1].first_seq)
		goto out;
	rc = -1;
	for (struct cursor *c = s->cursors; c != NULL; c = c->next)
		if (cursor_save(s, c, err) != 0)
			goto out;
	if (segment_path(s->dir, s->segments[0].first_seq, path, sizeof(path), err) != 0)
		goto out;
	if (sys.unlink(path) != 0 && errno != ENOENT) {
		err_set_sys(err, ERR_AGAIN, "%s: cannot remove", path);
		goto out;
	}
	*ret_bytes = s->segments[0].durable_bytes;
	s->nsegments--;
	memmove(s->segments, s->segments + 1, s->nsegments * sizeof(*s->segments));
	atomic_store(&s->first_seq, s->segments[0].first_seq);
	rc = 1;
out:
	pthread_mutex_unlock(&s->lock);
	return rc;
}

int
spool_tend(struct spool *s, uint64_t *ret_freed, struct err *err)
{
	uint64_t bytes = 0, freed = 0;
	int rc = cursors_save(s, false, err), got;

	while ((got = free_oldest(s, &bytes, err)) == 1) {
		atomic_fetch_sub(&s->total_bytes, bytes);
		freed += bytes;
	}
	rc = got == -1 ? -1 : rc;
	/* A full spool whose newest segment is all read: a new one lets the old one go. */
	if (s->fd >= 0 && s->at >= s->limits.segment_bytes && s->at == s->synced_at && !s->torn)
		(void)segment_begin(s, NULL);
	if (freed > 0 && sys_sync_dir(s->dir, err) != 0)
		rc = -1;
	*ret_freed = freed;
	return rc;
}

/* ---- opening ------------------------------------------------------------------------- */

struct recovered {
	uint64_t	end;		/* of the last whole group */
	uint64_t	last_seq;
	size_t		groups;
};

/* Every group of a segment; damage in the middle is told and skipped, what follows the last whole group is left. */
static int
scan(struct spool *s, int fd, uint64_t segment, uint64_t size, struct recovered *ret, struct err *err)
{
	struct recovered r = { .end = SEGMENT_HEAD, .last_seq = segment - 1 };
	uint64_t at = SEGMENT_HEAD;
	struct group_head h;

	while (at < size) {
		int got = group_read(fd, at, size, &h, &s->group, err);

		if (got == -1)
			return -1;
		if (got == 0) {
			uint64_t next = group_search(fd, at + 1, size, &s->group);

			if (next == size)
				break;
			spool_tell_damage(s, segment, at, next, "bytes are not what was written");
			at = next;
			continue;
		}
		for (size_t i = 0, k = 0; k < h.entries; k++) {
			struct slice entry;

			if (!group_get_entry(buf_slice(&s->group), &i, &entry))
				break;
			if (k + 1 == h.entries && marks_apply(s, slice_make(s->group.p + i, s->group.n - i), err) != 0)
				return -1;
		}
		if (h.entries == 0 && marks_apply(s, buf_slice(&s->group), err) != 0)
			return -1;
		at += GROUP_HEAD + (uint64_t)h.payload_bytes;
		r.end = at;
		r.last_seq = h.first_seq + h.entries - 1;
		r.groups++;
	}
	*ret = r;
	return 0;
}

static int
open_segment(const struct spool *s, uint64_t first, int flags, uint64_t *ret_size, struct err *err)
{
	char path[4096], head[SEGMENT_HEAD];
	uint64_t seq, id;
	struct stat st;
	ssize_t n;
	int fd;

	if (segment_path(s->dir, first, path, sizeof(path), err) != 0)
		return -1;
	fd = sys.open(path, flags, 0);
	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
	if (sys.fstat(fd, &st) != 0) {
		err_set_sys(err, ERR_AGAIN, "%s", path);
		sys.close(fd);
		return -1;
	}
	*ret_size = (uint64_t)st.st_size;
	n = sys_pread_full(fd, head, sizeof(head), 0);
	if (n < 0) {
		err_set_sys(err, ERR_AGAIN, "%s: cannot read", path);	/* says nothing of what stands there */
		sys.close(fd);
		return -1;
	}
	if (n != SEGMENT_HEAD || !segment_head_get(head, &seq, &id) || seq != first) {
		sys.close(fd);
		return err_set(err, ERR_LOST, "%s: not a segment of this format", path);
	}
	return fd;
}

/* A file that is no segment, or one that was begun and never finished, is put aside. */
static int
put_aside(struct spool *s, uint64_t first, uint64_t size, bool begun, struct err *err)
{
	char path[4096], bad[4200];

	if (segment_path(s->dir, first, path, sizeof(path), err) != 0)
		return -1;
	snprintf(bad, sizeof(bad), "%s.bad", path);
	if (begun) {
		if (s->events.torn != NULL)
			s->events.torn(s->events.arg, path, size);
		return sys.unlink(path) == 0 ? 0 : err_set_sys(err, ERR_AGAIN, "%s: cannot remove", path);
	}
	spool_tell_damage(s, first, 0, size, "the head is damaged; the file is kept with .bad at its name");
	return sys.rename(path, bad) == 0 ? 0 : err_set_sys(err, ERR_AGAIN, "%s: cannot rename", path);
}

/* The newest segment becomes the one that is written to. 1: it is, 0: it was put aside, -1. */
static int
adopt_newest(struct spool *s, uint64_t first, struct err *err)
{
	struct recovered r;
	uint64_t size = 0;
	int fd = open_segment(s, first, O_RDWR, &size, err);

	if (fd < 0)
		return err->kind != ERR_LOST ? -1 : put_aside(s, first, size, size < SEGMENT_HEAD, err);
	if (scan(s, fd, first, size, &r, err) != 0)
		goto fail;
	if (r.groups == 0) {
		sys.close(fd);
		return put_aside(s, first, size, true, err);
	}
	if (r.end < size) {
		if (s->events.torn != NULL)
			s->events.torn(s->events.arg, "the newest segment", size - r.end);
		if (sys.ftruncate(fd, (off_t)r.end) != 0 || sys.fdatasync(fd) != 0) {
			err_set_sys(err, ERR_AGAIN, "spool: cannot cut a torn tail");
			goto fail;
		}
	}
	s->fd = fd;
	s->at = s->synced_at = r.end;
	s->next_seq = r.last_seq + 1;
	atomic_fetch_add(&s->total_bytes, r.end);
	return segment_add(s, first, r.end, err) == 0 ? 1 : -1;
fail:
	sys.close(fd);
	return -1;
}

static int
recover(struct spool *s, struct err *err)
{
	uint64_t *firsts = NULL, size;
	size_t n = 0;
	int rc = -1, got = 0;

	if (segment_list(s->dir, &firsts, &n, err) != 0)
		return -1;
	for (size_t i = 0; i + 1 < n; i++) {
		int fd = open_segment(s, firsts[i], O_RDONLY, &size, err);

		if (fd < 0 && err->kind != ERR_LOST)
			goto out;
		if (fd < 0) {
			if (put_aside(s, firsts[i], size, false, err) != 0)
				goto out;
			continue;
		}
		sys.close(fd);
		atomic_fetch_add(&s->total_bytes, size);
		if (segment_add(s, firsts[i], size, err) != 0)
			goto out;
	}
	if (n > 0 && (got = adopt_newest(s, firsts[n - 1], err)) == -1)
		goto out;
	if (got == 0 && s->nsegments > 0) {	/* the one before is the newest then */
		uint64_t first = s->segments[--s->nsegments].first_seq;

		atomic_fetch_sub(&s->total_bytes, s->segments[s->nsegments].durable_bytes);
		if (adopt_newest(s, first, err) == -1)
			goto out;
	}
	if (s->nsegments == 0 && segment_begin(s, err) != 0)
		goto out;
	rc = 0;
out:
	free(firsts);
	return rc;
}

static int
lock_dir(struct spool *s, struct err *err)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/lock", s->dir);
	s->lock_fd = sys.open(path, O_RDWR | O_CREAT, 0600);
	if (s->lock_fd < 0)
		return err_set_sys(err, ERR_CONFIG, "%s: cannot open", path);
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_set(err, ERR_CONFIG, "%s: another process writes to this spool", s->dir);
	return 0;
}

int
spool_open(struct spool **ret, const char *dir, const struct spool_limits *limits, const struct spool_events *events,
    struct err *err)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the spool");
	s->fd = s->lock_fd = -1;
	s->next_seq = 1;
	s->limits = *limits;
	if (events != NULL)
		s->events = *events;
	pthread_mutex_init(&s->lock, NULL);
	buf_init(&s->group, GROUP_MAX_BYTES);
	buf_init(&s->pending, 64u << 20);
	random_bytes(&s->id, sizeof(s->id));
	if ((size_t)snprintf(s->dir, sizeof(s->dir), "%s", dir) >= sizeof(s->dir)) {
		err_set(err, ERR_CONFIG, "the spool's path is too long");
		goto fail;
	}
	if (sys.mkdir(dir, 0700) != 0 && errno != EEXIST) {
		err_set_sys(err, ERR_CONFIG, "%s: cannot make", dir);
		goto fail;
	}
	if (lock_dir(s, err) != 0 || recover(s, err) != 0)
		goto fail;
	atomic_store(&s->durable_seq, s->next_seq - 1);
	atomic_store(&s->first_seq, s->segments[0].first_seq);
	if (cursors_load(s, err) != 0)
		goto fail;
	*ret = s;
	return 0;
fail:
	spool_close(s);
	return -1;
}

void
spool_close(struct spool *s)
{
	if (s == NULL)
		return;
	(void)cursors_save(s, true, NULL);
	cursors_close(s);
	if (s->fd >= 0)
		sys.close(s->fd);
	if (s->lock_fd >= 0)
		sys.close(s->lock_fd);
	pthread_mutex_destroy(&s->lock);
	buf_fini(&s->group);
	buf_fini(&s->pending);
	free(s->segments);
	free(s->marks);
	free(s);
}

int
spool_set_limits(struct spool *s, const struct spool_limits *limits, struct err *err)
{
	(void)err;
	s->limits = *limits;
	return 0;
}
