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

#define MARK_MOST_BYTES	(10 + SOURCE_BYTES + POSITION_BYTES)
#define SPARE_MOST_BYTES	(UINT64_C(64) << 20)
#define SPARE_PART		8		/* of the disk */

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

int
spool_apply_marks(struct spool *s, struct slice marks, struct err *err)
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

int
spool_add_segment(struct spool *s, const struct segment *segment, struct err *err)
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
	if (rc == 0) {
		if (s->nsegments > 0) {
			struct segment *before = &s->segments[s->nsegments - 1];

			before->next_seq = segment_below(before->first_seq, segment->after_seq);
		}
		s->segments[s->nsegments++] = *segment;
		atomic_store(&s->first_seq, s->segments[0].first_seq);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

uint64_t
spool_snapshot_bytes(const struct spool *s)
{
	uint64_t n = SEGMENT_HEAD + GROUP_HEAD;

	for (size_t i = 0; i < s->nmarks; i++)
		n += 10u + s->marks[i].source_n + s->marks[i].at.len;
	return n;
}

/* Head and snapshot of a new segment into s->group. */
int
spool_build_head(struct spool *s, const struct segment_head *head, struct err *err)
{
	struct group_head h = { .first_seq = head->first_seq, .marks = (uint32_t)s->nmarks };

	buf_reset(&s->group);
	if (!buf_reserve(&s->group, SEGMENT_HEAD + GROUP_HEAD))
		return err_set(err, ERR_AGAIN, "no memory for a segment");
	segment_head_put(s->group.p, head);
	s->group.n = SEGMENT_HEAD + GROUP_HEAD;
	for (size_t i = 0; i < s->nmarks; i++) {
		const struct spool_mark m = { slice_make(s->marks[i].source, s->marks[i].source_n), &s->marks[i].at };

		group_put_mark(&s->group, &m);
	}
	if (s->group.failed)
		return err_set(err, ERR_AGAIN, "no memory for a segment");
	group_seal(s->group.p + SEGMENT_HEAD, &h, s->group.n - SEGMENT_HEAD - GROUP_HEAD, segment_seed(s->id));
	return 0;
}

static int
full(const struct spool *s, struct err *err)
{
	return err_set(err, ERR_FULL, "the spool has reached its limit of %llu bytes", (unsigned long long)s->limits.total_bytes);
}

/* Is there room for n more bytes? What was set aside makes way for what is new. */
static bool
has_room(struct spool *s, uint64_t n)
{
	while (atomic_load(&s->total_bytes) + n > s->limits.total_bytes)
		if (spool_drop_aside(s, NULL) != 1)
			return false;
	return true;
}

/*
 * Whether a group of n bytes leaves enough of the disk to what makes room again: heads of new segments, what detectors and others save.
 * A disk that does not say is believed to have it.
 */
static bool
disk_has_room(const struct spool *s, uint64_t n, struct err *err)
{
	struct statvfs st;
	uint64_t spare;

	if (sys.fstatvfs(s->lock_fd, &st) != 0 || st.f_blocks == 0)
		return true;
	spare = (uint64_t)st.f_blocks * st.f_frsize / SPARE_PART;
	if (spare > SPARE_MOST_BYTES)
		spare = SPARE_MOST_BYTES;
	if ((uint64_t)st.f_bavail * st.f_frsize >= n + spare)
		return true;
	err_set(err, ERR_FULL, "the disk is full but for %llu KiB, which are kept for positions and state", (unsigned long long)(spare >> 10));
	return false;
}

static int
write_segment(struct spool *s, const char *path, struct err *err)
{
	int fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return err_set_sys(err, spool_error_kind(), "%s: cannot make", path);
	if (sys_pwrite_full(fd, s->group.p, s->group.n, 0) == 0 && sys.fdatasync(fd) == 0)
		return fd;
	err_set_sys(err, spool_error_kind(), "%s: cannot write", path);
	sys.close(fd);
	(void)sys.unlink(path);
	return -1;
}

/*
 * A new segment, durable with its name. Once its file may be there the old segment gets nothing more, even if this fails: after a
 * power cut both could be there. `force`: over the limit, which is passed already; the head is what lets other segments go.
 */
static int
begin_segment(struct spool *s, bool force, struct err *err)
{
	bool taken = s->nsegments > 0 && s->segments[s->nsegments - 1].first_seq == s->next_seq;
	struct segment_head head = { .first_seq = s->next_seq + taken, .spool_id = s->id, .made_ms = clock_wall_ms(),
		.after_seq = s->last_seq };
	struct segment segment = { .first_seq = head.first_seq, .after_seq = head.after_seq, .next_seq = head.first_seq,
		.seed = segment_seed(s->id) };
	char path[4096];
	int fd;

	if (head.first_seq >= SEQ_LIMIT)
		return err_set(err, ERR_CONFIG, "the spool has no numbers left; move it away to begin a new one");
	if (spool_build_head(s, &head, err) != 0 || segment_path(s->dir, head.first_seq, path, sizeof(path), err) != 0)
		return -1;
	if (!has_room(s, s->group.n) && !force)
		return full(s, err);
	if (s->fd >= 0)
		sys.close(s->fd);
	s->fd = -1;
	fd = write_segment(s, path, err);
	if (fd < 0)
		return -1;
	segment.bytes = segment.durable_bytes = s->group.n;
	if (sys_sync_dir(s->dir, err) != 0 || spool_add_segment(s, &segment, err) != 0) {
		sys.close(fd);
		(void)sys.unlink(path);
		return -1;
	}
	s->fd = fd;
	s->cramped = false;
	s->seed = segment.seed;
	s->next_seq = segment.first_seq;
	s->at = s->synced_at = s->begun_bytes = s->group.n;
	atomic_fetch_add(&s->total_bytes, s->group.n);
	return 0;
}

static bool
may_be_ended(const struct spool *s)
{
	return s->fd >= 0 && !s->torn && s->at == s->synced_at;
}

/* Full enough for a new one; a snapshot of many positions must not be most of what is written. */
static bool
segment_is_long(const struct spool *s)
{
	return may_be_ended(s) && s->at >= s->limits.segment_bytes && s->at >= 2 * s->begun_bytes;
}

/* ---- appending -------------------------------------------------------------------- */

/* Takes back what was written behind `to`. */
static int
roll_back(struct spool *s, uint64_t to, uint64_t next_seq, uint64_t last_seq)
{
	atomic_fetch_sub(&s->total_bytes, s->at - to);
	s->at = to;
	s->next_seq = next_seq;
	s->last_seq = last_seq;
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
	group_seal(s->group.p, &h, s->group.n - GROUP_HEAD, s->seed);
	return 0;
}

/* A segment that takes the next group. */
static int
make_ready(struct spool *s, struct err *err)
{
	struct err why = { 0 };

	if (s->fd >= 0 && s->torn && roll_back(s, s->at, s->next_seq, s->last_seq) != 0)
		return err_set_sys(err, ERR_AGAIN, "spool: cannot cut a failed write");
	if (s->fd < 0)
		return begin_segment(s, false, err);
	/* Without room for a new segment the old one grows, as long as the limit lets it. */
	if (segment_is_long(s) && begin_segment(s, false, &why) != 0 && s->fd < 0) {
		if (err != NULL)
			*err = why;
		return -1;
	}
	return 0;
}

int
spool_append_group(struct spool *s, const struct slice *entries, size_t n, const struct spool_mark *marks, size_t nmarks,
    uint64_t *ret_last_seq, struct err *err)
{
	size_t marks_at = 0, most = MARK_MOST_BYTES * (s->npending + nmarks);

	if (make_ready(s, err) != 0 || build_group(s, entries, n, marks, nmarks, &marks_at, err) != 0)
		return -1;
	if (n > SEQ_LIMIT - s->next_seq)
		return err_set(err, ERR_CONFIG, "the spool has no numbers left; move it away to begin a new one");
	/* There stays room for the head of a new segment: without it the last one could never go. */
	if (!has_room(s, s->group.n + spool_snapshot_bytes(s) + most))
		return full(s, err);
	s->cramped = !disk_has_room(s, s->group.n, err);
	if (s->cramped)
		return -1;
	buf_put(&s->pending, s->group.p + marks_at, s->group.n - marks_at);
	if (s->pending.failed) {
		s->pending.failed = false;
		return err_set(err, ERR_AGAIN, "no memory for positions");
	}
	if (sys_pwrite_full(s->fd, s->group.p, s->group.n, (off_t)s->at) != 0) {
		s->cramped = spool_error_kind() == ERR_FULL;
		err_set_sys(err, spool_error_kind(), "spool: cannot write");
		s->pending.n -= s->group.n - marks_at;
		(void)roll_back(s, s->at, s->next_seq, s->last_seq);
		return -1;
	}
	s->npending += nmarks;
	s->at += s->group.n;
	atomic_fetch_add(&s->total_bytes, s->group.n);
	s->next_seq += n;
	if (n > 0)
		s->last_seq = s->next_seq - 1;
	*ret_last_seq = s->last_seq;
	return 0;
}

/* The numbers before the groups that were not synced. */
static void
take_back(struct spool *s)
{
	const struct segment *newest = &s->segments[s->nsegments - 1];

	(void)roll_back(s, s->synced_at, newest->next_seq, atomic_load(&s->durable_seq));
	buf_reset(&s->pending);
	s->npending = 0;
}

int
spool_sync(struct spool *s, uint64_t *ret_durable_seq, struct err *err)
{
	if (s->fd >= 0 && s->at != s->synced_at) {
		if (sys.fdatasync(s->fd) != 0) {
			/* After a failed sync the kernel may have dropped the pages: nothing of them is believed. */
			err_set_sys(err, spool_error_kind(), "spool: cannot sync");
			take_back(s);
			return -1;
		}
		s->synced_at = s->at;
		pthread_mutex_lock(&s->lock);
		s->segments[s->nsegments - 1].bytes = s->segments[s->nsegments - 1].durable_bytes = s->at;
		s->segments[s->nsegments - 1].next_seq = s->next_seq;
		pthread_mutex_unlock(&s->lock);
		atomic_store(&s->durable_seq, s->last_seq);
		if (spool_apply_marks(s, buf_slice(&s->pending), err) != 0)
			return -1;
		buf_reset(&s->pending);
		s->npending = 0;
	}
	*ret_durable_seq = s->last_seq;
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
	if (s->nsegments < 2 || cursors_least(s) < s->segments[1].after_seq)
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
	*ret_bytes = s->segments[0].bytes;
	s->nsegments--;
	memmove(s->segments, s->segments + 1, s->nsegments * sizeof(*s->segments));
	atomic_store(&s->first_seq, s->segments[0].first_seq);
	rc = 1;
out:
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static bool
all_is_read(struct spool *s)
{
	bool read;

	pthread_mutex_lock(&s->lock);
	read = cursors_least(s) >= atomic_load(&s->durable_seq);
	pthread_mutex_unlock(&s->lock);
	return read;
}

int
spool_tend(struct spool *s, uint64_t *ret_freed, struct err *err)
{
	uint64_t bytes = 0, freed = 0;
	int rc = cursors_save(s, false, err), got;

	/* A long segment that is all read goes when there is a new one, even where a smaller limit leaves no room for its head; so does any on a full disk. */
	if (segment_is_long(s) || (s->cramped && may_be_ended(s) && s->at > s->begun_bytes && all_is_read(s)))
		(void)begin_segment(s, all_is_read(s), NULL);
	while ((got = free_oldest(s, &bytes, err)) == 1) {
		atomic_fetch_sub(&s->total_bytes, bytes);
		freed += bytes;
	}
	rc = got == -1 ? -1 : rc;
	if (freed > 0 && sys_sync_dir(s->dir, err) != 0)
		rc = -1;
	*ret_freed = freed;
	return rc;
}

/* ---- opening ------------------------------------------------------------------------- */

static void
say_holder(int fd, const char *dir, struct err *err)
{
	char pid[24] = "";
	ssize_t n = sys.pread(fd, pid, sizeof(pid) - 1, 0);

	pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
	err_set(err, ERR_CONFIG, "%s: another aispm-agent%s%s works on this spool; stop it first", dir,
	    pid[0] != '\0' ? ", process " : "", pid);
	if (err != NULL)
		err->sys = EWOULDBLOCK;
}

int
spool_lock(const char *dir, int *ret_fd, struct err *err)
{
	char path[4096], pid[24];
	int fd, n;

	snprintf(path, sizeof(path), "%s/lock", dir);
	fd = sys.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_sys(err, ERR_CONFIG, "%s: cannot open", path);
	if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
		say_holder(fd, dir, err);
		sys.close(fd);
		return -1;
	}
	/* Who it is serves the next one who asks; a full disk must not keep us from starting. */
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (sys.ftruncate(fd, 0) == 0)
		(void)sys_pwrite_full(fd, pid, (size_t)n, 0);
	*ret_fd = fd;
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
	if ((size_t)snprintf(s->dir, sizeof(s->dir), "%s", dir) >= sizeof(s->dir)) {
		err_set(err, ERR_CONFIG, "the spool's path is too long");
		goto fail;
	}
	if (sys_make_dir(dir, err) != 0 || spool_lock(s->dir, &s->lock_fd, err) != 0 || cursors_load(s, err) != 0 || spool_recover(s, err) != 0)
		goto fail;
	atomic_store(&s->durable_seq, s->last_seq);
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
