/*
 * dead.c - writing the dead letter.
 *
 * What sources bring and what far sides refuse lie apart, each with half of the limit: who can write a line into a log can fill the first
 * at will, and must not push out the second. A file is begun anew past an eighth of its share; the share's oldest file goes when
 * the share would be passed.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "spool/dead.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/dead_file.h"

#define UNSYNCED_BYTES	(1u << 20)	/* more is synced at once */

struct shelf {				/* of one share */
	enum dead_share	share;
	const char	*dir;
	uint64_t	max_bytes, total_bytes;
	uint64_t	letters;		/* put since it was opened */
	uint64_t	first, last;		/* numbers of the oldest and newest file; 0: none */
	int		fd;
	uint64_t	at, synced_at;		/* size of the newest, and of it what is synced */
	struct buf	letter;
	struct buf	unsynced;		/* what is written behind synced_at, to write it again after a failed sync */
	bool		again;			/* it must be */
	void		(*removed)(void *arg, enum dead_share, uint64_t letters);
	void		*arg;
};

struct dead {
	char		dir[3900];
	struct shelf	shelves[DEAD_SHARES];
	pthread_mutex_t	lock;
};

static enum err_kind
error_kind(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_AGAIN;
}

/* After a failed sync the kernel may have dropped the pages and call the next sync a success: they are written again first. */
static int
sync_letters(struct shelf *s, struct err *err)
{
	if (s->unsynced.n == 0)
		return 0;
	if (s->again && sys_pwrite_full(s->fd, s->unsynced.p, s->unsynced.n, (off_t)s->synced_at) != 0)
		return err_set_sys(err, error_kind(), "cannot write the dead letter again");
	s->again = true;
	if (sys.fdatasync(s->fd) != 0)
		return err_set_sys(err, error_kind(), "cannot sync the dead letter");
	s->again = false;
	s->synced_at = s->at;
	buf_reset(&s->unsynced);
	return 0;
}

static int
begin_file(struct shelf *s, struct err *err)
{
	char path[4096];
	int fd;

	if (sync_letters(s, err) != 0)
		return -1;
	dead_file_path(s->dir, s->share, s->last + 1, path);
	fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return err_set_sys(err, error_kind(), "%s: cannot make", path);
	if (sys_sync_dir(s->dir, err) != 0) {
		sys.close(fd);
		return -1;
	}
	if (s->fd >= 0)
		sys.close(s->fd);
	s->fd = fd;
	s->at = s->synced_at = 0;
	s->last++;
	if (s->first == 0)
		s->first = s->last;
	return 0;
}

static void
remove_oldest(struct shelf *s)
{
	struct dead_contents in = { 0 };
	char path[4096];
	int fd;

	dead_file_path(s->dir, s->share, s->first, path);
	fd = sys.open(path, O_RDONLY, 0);
	if (fd >= 0) {
		(void)dead_file_each(fd, s->share, NULL, NULL, &in);
		s->total_bytes -= in.size < s->total_bytes ? in.size : s->total_bytes;
		sys.close(fd);
		(void)sys.unlink(path);
	}
	s->first++;
	if (in.letters + in.damaged > 0 && s->removed != NULL)
		s->removed(s->arg, s->share, in.letters + in.damaged);
}

static void
put_text(struct buf *b, struct slice s)
{
	buf_put_le32(b, (uint32_t)s.n);
	buf_put_slice(b, s);
}

static int
build(struct shelf *s, const struct dead_letter *l, struct err *err)
{
	char raw[9];
	size_t most = s->max_bytes / 4 < LETTER_BYTES / 2 ? (size_t)s->max_bytes / 4 : LETTER_BYTES / 2;
	struct slice bytes = l->bytes, reason = l->reason;
	char note[400];

	if (bytes.n > most) {
		snprintf(note, sizeof(note), "%.*s (the first %zu of %zu bytes are kept)", (int)(reason.n < 300 ? reason.n : 300),
		    reason.n > 0 ? reason.p : "", most, bytes.n);
		bytes.n = most;
		reason = slice_of(note);
	}
	buf_reset(&s->letter);
	if (!buf_reserve(&s->letter, LETTER_HEAD))
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	s->letter.n = LETTER_HEAD;
	put_le64(raw, (uint64_t)l->when_ms);
	raw[8] = (char)l->kind;
	buf_put(&s->letter, raw, sizeof(raw));
	put_text(&s->letter, l->from);
	put_text(&s->letter, reason);
	put_text(&s->letter, bytes);
	if (s->letter.failed)
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	memcpy(s->letter.p, "DEAD", 4);
	put_le32(s->letter.p + 4, (uint32_t)(s->letter.n - LETTER_HEAD));
	put_le32(s->letter.p + 8, crc32_ieee(0, s->letter.p + LETTER_HEAD, s->letter.n - LETTER_HEAD));
	put_le32(s->letter.p + 12, crc32_ieee(0, s->letter.p, 12));
	return 0;
}

static int
put_locked(struct shelf *s, const struct dead_letter *l, struct err *err)
{
	if (build(s, l, err) != 0)
		return -1;
	if (s->at > 0 && s->at + s->letter.n > s->max_bytes / 8 && begin_file(s, err) != 0)
		return -1;
	while (s->first < s->last && s->total_bytes + s->letter.n > s->max_bytes)
		remove_oldest(s);
	buf_put_slice(&s->unsynced, buf_slice(&s->letter));
	if (s->unsynced.failed) {
		s->unsynced.failed = false;
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	}
	if (sys_pwrite_full(s->fd, s->letter.p, s->letter.n, (off_t)s->at) != 0) {
		err_set_sys(err, error_kind(), "cannot write the dead letter");
		s->unsynced.n -= s->letter.n;
		(void)sys.ftruncate(s->fd, (off_t)s->at);
		return -1;
	}
	s->at += s->letter.n;
	s->total_bytes += s->letter.n;
	s->letters++;
	if (s->unsynced.n > UNSYNCED_BYTES)
		(void)sync_letters(s, NULL);	/* the next one tells */
	return 0;
}

int
dead_put(struct dead *d, const struct dead_letter *l, struct err *err)
{
	int rc;

	assert(l->share < DEAD_SHARES);
	pthread_mutex_lock(&d->lock);
	rc = put_locked(&d->shelves[l->share], l, err);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

int
dead_sync(struct dead *d, struct err *err)
{
	int rc = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; rc == 0 && i < DEAD_SHARES; i++)
		rc = sync_letters(&d->shelves[i], err);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

uint64_t
dead_bytes(struct dead *d)
{
	uint64_t n = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DEAD_SHARES; i++)
		n += d->shelves[i].total_bytes;
	pthread_mutex_unlock(&d->lock);
	return n;
}

uint64_t
dead_letters(struct dead *d)
{
	uint64_t n = 0;

	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DEAD_SHARES; i++)
		n += d->shelves[i].letters;
	pthread_mutex_unlock(&d->lock);
	return n;
}

void
dead_set_limit(struct dead *d, uint64_t max_bytes)
{
	pthread_mutex_lock(&d->lock);
	for (size_t i = 0; i < DEAD_SHARES; i++)
		d->shelves[i].max_bytes = max_bytes / DEAD_SHARES;
	pthread_mutex_unlock(&d->lock);
}

/* The newest file goes on where its last whole letter ends; one that is damaged there stays as it is, and another is begun. */
static int
adopt(struct shelf *s, struct err *err)
{
	struct dead_contents in;
	char path[4096];
	struct stat st;

	for (uint64_t i = s->first; s->first != 0 && i < s->last; i++) {
		dead_file_path(s->dir, s->share, i, path);
		if (sys.stat(path, &st) == 0)
			s->total_bytes += (uint64_t)st.st_size;
	}
	if (s->last == 0)
		return begin_file(s, err);
	dead_file_path(s->dir, s->share, s->last, path);
	s->fd = sys.open(path, O_RDWR, 0);
	if (s->fd < 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
	if (dead_file_each(s->fd, s->share, NULL, NULL, &in) != 0 || (in.torn && sys.ftruncate(s->fd, (off_t)in.end) != 0))
		return err_set_sys(err, ERR_AGAIN, "%s: cannot cut a torn letter", path);
	s->at = s->synced_at = in.torn ? in.end : in.size;
	s->total_bytes += s->at;
	return s->at > in.end ? begin_file(s, err) : 0;
}

static int
open_shelf(struct shelf *s, struct err *err)
{
	return dead_file_range(s->dir, s->share, &s->first, &s->last, err) == 0 ? adopt(s, err) : -1;
}

int
dead_open(struct dead **ret, const char *dir, uint64_t max_bytes, void (*removed)(void *arg, enum dead_share, uint64_t letters),
    void *arg, struct err *err)
{
	struct dead *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	pthread_mutex_init(&d->lock, NULL);
	for (size_t i = 0; i < DEAD_SHARES; i++) {
		d->shelves[i] = (struct shelf){ .share = (enum dead_share)i, .dir = d->dir, .fd = -1, .removed = removed, .arg = arg };
		buf_init(&d->shelves[i].letter, LETTER_BYTES);
		buf_init(&d->shelves[i].unsynced, 2 * (size_t)LETTER_BYTES);
	}
	dead_set_limit(d, max_bytes);
	if ((size_t)snprintf(d->dir, sizeof(d->dir), "%s", dir) >= sizeof(d->dir))
		err_set(err, ERR_CONFIG, "the dead letter's path is too long");
	else if (sys_make_dir(dir, err) == 0 && open_shelf(&d->shelves[DEAD_OF_SOURCES], err) == 0 &&
	    open_shelf(&d->shelves[DEAD_OF_SINKS], err) == 0) {
		*ret = d;
		return 0;
	}
	dead_close(d);
	return -1;
}

void
dead_close(struct dead *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < DEAD_SHARES; i++) {
		struct shelf *s = &d->shelves[i];

		if (s->fd >= 0) {
			(void)sync_letters(s, NULL);
			sys.close(s->fd);
		}
		buf_fini(&s->letter);
		buf_fini(&s->unsynced);
	}
	pthread_mutex_destroy(&d->lock);
	free(d);
}
