/*
 * dead.c - the dead letter's files.
 *
 * DIR/NNNNNNNNNN.dead, begun anew past an eighth of the limit; the oldest goes when the limit would be passed. Letter: 16 bytes of head
 * (0 "DEAD"  4 u32 payload bytes  8 u32 CRC-32 of payload  12 u32 CRC-32 of bytes 0..11), then the payload: i64 when, u8 kind,
 * u32 length and bytes of from, of reason, of the record. Little-endian.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "spool/dead.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"

#define HEAD		16
#define NAME		"%s/%010llu.dead"
#define LETTER_BYTES	(128u << 20)
#define UNSYNCED_BYTES	(1u << 20)	/* more is synced at once */

struct dead {
	char		dir[3900];
	uint64_t	max_bytes, total_bytes;
	uint64_t	letters;		/* put since it was opened */
	uint64_t	first, last;		/* numbers of the oldest and newest file; 0: none */
	int		fd;
	uint64_t	at, synced_at;		/* size of the newest, and of it what is synced */
	struct buf	letter;
	struct buf	unsynced;		/* what is written behind synced_at, to write it again after a failed sync */
	bool		again;			/* it must be */
	void		(*removed)(void *arg, uint64_t letters);
	void		*arg;
	pthread_mutex_t	lock;
};

static void
file_path(const char *dir, uint64_t number, char ret[4096])
{
	snprintf(ret, 4096, NAME, dir, (unsigned long long)number);
}

static bool
file_number(const char *name, uint64_t *ret)
{
	int64_t v;

	if (strlen(name) != 15 || strcmp(name + 10, ".dead") != 0 || !slice_to_i64(slice_make(name, 10), &v) || v <= 0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

/* Oldest and newest number in the directory, 0 if there is none. */
static int
range_of(const char *dir, uint64_t *ret_first, uint64_t *ret_last, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t n;

	*ret_first = *ret_last = 0;
	if (d == NULL)
		return err_set_sys(err, errno == ENOENT ? ERR_CONFIG : ERR_AGAIN, "%s: cannot open", dir);
	while ((e = readdir(d)) != NULL)
		if (file_number(e->d_name, &n)) {
			if (*ret_first == 0 || n < *ret_first)
				*ret_first = n;
			if (n > *ret_last)
				*ret_last = n;
		}
	closedir(d);
	return 0;
}

/* ---- reading ------------------------------------------------------------------------ */

static bool
take_text(struct slice *in, struct slice *ret)
{
	uint32_t n;

	if (in->n < 4 || (n = get_le32(in->p)) > in->n - 4)
		return false;
	*ret = slice_make(in->p + 4, n);
	*in = slice_make(in->p + 4 + n, in->n - 4 - n);
	return true;
}

static bool
letter_get(struct slice in, struct dead_letter *ret)
{
	if (in.n < 9)
		return false;
	ret->when_ms = (int64_t)get_le64(in.p);
	ret->kind = (uint8_t)in.p[8];
	in = slice_make(in.p + 9, in.n - 9);
	return take_text(&in, &ret->from) && take_text(&in, &ret->reason) && take_text(&in, &ret->bytes) && in.n == 0;
}

enum letter { LETTER_END, LETTER_WHOLE, LETTER_DAMAGED, LETTER_TORN, LETTER_UNREAD };

/*
 * The letter at `at`. Damaged: its head is sound and says how far to go on. Torn: no whole head, or bytes that the file does not have;
 * what follows is not searched, for the bytes of a record could pass for a letter. Unread: the disk or memory failed, by errno.
 */
static enum letter
read_letter(int fd, uint64_t at, uint64_t size, struct buf *payload, struct dead_letter *ret, uint64_t *ret_used)
{
	char head[HEAD];
	ssize_t got;
	uint32_t n;

	if (at == size)
		return LETTER_END;
	got = sys_pread_full(fd, head, HEAD, (off_t)at);
	if (got < 0)
		return LETTER_UNREAD;
	if (got != HEAD || memcmp(head, "DEAD", 4) != 0 ||
	    get_le32(head + 12) != crc32_ieee(0, head, 12) || (n = get_le32(head + 4)) > LETTER_BYTES || n > size - at - HEAD)
		return LETTER_TORN;
	*ret_used = HEAD + (uint64_t)n;
	buf_reset(payload);
	if (!buf_reserve(payload, n)) {
		errno = ENOMEM;
		return LETTER_UNREAD;
	}
	got = sys_pread_full(fd, payload->p, n, (off_t)(at + HEAD));
	if (got < 0)
		return LETTER_UNREAD;
	if (got != (ssize_t)n || crc32_ieee(0, payload->p, n) != get_le32(head + 8))
		return LETTER_DAMAGED;
	payload->n = n;
	return letter_get(buf_slice(payload), ret) ? LETTER_WHOLE : LETTER_DAMAGED;
}

struct contents {
	uint64_t	letters, damaged;	/* a torn end counts as damaged */
	uint64_t	size, end;		/* of the file, and behind the last letter that is not torn */
	int		unread;			/* errno, where the file could not be read to its end */
};

/* Calls see (or only counts) for each whole letter. */
static int
each_in(int fd, int (*see)(void *arg, const struct dead_letter *), void *arg, struct contents *ret)
{
	struct dead_letter letter;
	struct buf payload;
	enum letter got;
	uint64_t used = 0;
	struct stat st;
	int rc = 0;

	*ret = (struct contents){ 0 };
	if (sys.fstat(fd, &st) != 0)
		return -1;
	ret->size = (uint64_t)st.st_size;
	buf_init(&payload, LETTER_BYTES);
	while (rc == 0 && (got = read_letter(fd, ret->end, ret->size, &payload, &letter, &used)) != LETTER_END) {
		if (got == LETTER_UNREAD) {
			ret->unread = errno;
			rc = -1;
			break;
		}
		ret->damaged += got != LETTER_WHOLE;
		if (got == LETTER_TORN)
			break;
		if (got == LETTER_WHOLE && see != NULL)
			rc = see(arg, &letter);
		ret->letters += got == LETTER_WHOLE;
		ret->end += used;
	}
	buf_fini(&payload);
	return rc;
}

int
dead_each(const char *dir, int (*see)(void *arg, const struct dead_letter *), void *arg, uint64_t *ret_damaged,
    struct err *err)
{
	uint64_t first, last, damaged = 0;
	struct contents in;
	char path[4096];
	int rc = 0;

	if (range_of(dir, &first, &last, err) != 0)
		return -1;
	for (uint64_t i = first; rc == 0 && first != 0 && i <= last; i++) {
		int fd;

		file_path(dir, i, path);
		fd = sys.open(path, O_RDONLY, 0);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
		rc = each_in(fd, see, arg, &in);
		damaged += in.damaged;
		sys.close(fd);
		errno = in.unread;
		if (in.unread != 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot read", path);
	}
	*ret_damaged = damaged;
	return rc;
}

/* ---- taking out ---------------------------------------------------------------------- */

struct taking {
	int		(*take)(void *arg, const struct dead_letter *);
	void		*arg;
	struct buf	 kept;		/* the file without what was taken */
	uint64_t	 taken;
};

/* Asks for each letter; what is kept, and what cannot be read, goes into t->kept as it is. */
static int
take_from(struct taking *t, int fd, uint64_t size, struct err *err)
{
	struct dead_letter letter;
	uint64_t at = 0, used = 0;
	struct buf payload;
	enum letter got;
	int rc = 0;

	buf_reset(&t->kept);
	buf_init(&payload, LETTER_BYTES);
	while (rc == 0 && (got = read_letter(fd, at, size, &payload, &letter, &used)) != LETTER_END) {
		int taken;

		if (got == LETTER_UNREAD) {
			rc = err_set_sys(err, ERR_AGAIN, "cannot read the dead letter");
			break;
		}
		taken = got == LETTER_WHOLE ? t->take(t->arg, &letter) : 0;
		if (got == LETTER_TORN)
			used = size - at;
		t->taken += taken == 1;
		if (taken == 0) {
			if (!buf_reserve(&t->kept, used))
				rc = err_set(err, ERR_AGAIN, "no memory for the dead letter");
			else if (sys_pread_full(fd, t->kept.p + t->kept.n, used, (off_t)at) != (ssize_t)used)
				rc = err_set_sys(err, ERR_AGAIN, "cannot read the dead letter");
			else
				t->kept.n += used;
		}
		rc = taken == -1 ? -1 : rc;
		at += used;
	}
	buf_fini(&payload);
	return rc;
}

static int
take_file(struct taking *t, const char *dir, uint64_t number, int (*settle)(void *arg), struct err *err)
{
	uint64_t before = t->taken;
	char path[4096];
	struct stat st;
	int fd, rc;

	file_path(dir, number, path);
	fd = sys.open(path, O_RDONLY, 0);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
	rc = sys.fstat(fd, &st) == 0 ? take_from(t, fd, (uint64_t)st.st_size, err) : err_set_sys(err, ERR_AGAIN, "%s", path);
	sys.close(fd);
	if (rc != 0 || t->taken == before)
		return rc;
	if (settle(t->arg) != 0)
		return -1;
	if (t->kept.n > 0)
		return sys_replace_file(path, t->kept.p, t->kept.n, err);
	return sys.unlink(path) == 0 ? sys_sync_dir(dir, err) : err_set_sys(err, ERR_AGAIN, "%s: cannot remove", path);
}

int
dead_take(const char *dir, int (*take)(void *arg, const struct dead_letter *), int (*settle)(void *arg), void *arg,
    uint64_t *ret_taken, struct err *err)
{
	struct taking t = { .take = take, .arg = arg };
	uint64_t first, last;
	int rc;

	buf_init(&t.kept, SIZE_MAX / 2);
	rc = range_of(dir, &first, &last, err);
	for (uint64_t i = first; rc == 0 && first != 0 && i <= last; i++)
		rc = take_file(&t, dir, i, settle, err);
	buf_fini(&t.kept);
	*ret_taken = t.taken;
	return rc;
}

/* ---- writing ------------------------------------------------------------------------- */

static enum err_kind
error_kind(void)
{
	return errno == ENOSPC || errno == EDQUOT || errno == EFBIG ? ERR_FULL : ERR_AGAIN;
}

/* After a failed sync the kernel may have dropped the pages and call the next sync a success: they are written again first. */
static int
sync_letters(struct dead *d, struct err *err)
{
	if (d->unsynced.n == 0)
		return 0;
	if (d->again && sys_pwrite_full(d->fd, d->unsynced.p, d->unsynced.n, (off_t)d->synced_at) != 0)
		return err_set_sys(err, error_kind(), "cannot write the dead letter again");
	d->again = true;
	if (sys.fdatasync(d->fd) != 0)
		return err_set_sys(err, error_kind(), "cannot sync the dead letter");
	d->again = false;
	d->synced_at = d->at;
	buf_reset(&d->unsynced);
	return 0;
}

static int
begin_file(struct dead *d, struct err *err)
{
	char path[4096];
	int fd;

	if (sync_letters(d, err) != 0)
		return -1;
	file_path(d->dir, d->last + 1, path);
	fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return err_set_sys(err, error_kind(), "%s: cannot make", path);
	if (sys_sync_dir(d->dir, err) != 0) {
		sys.close(fd);
		return -1;
	}
	if (d->fd >= 0)
		sys.close(d->fd);
	d->fd = fd;
	d->at = d->synced_at = 0;
	d->last++;
	if (d->first == 0)
		d->first = d->last;
	return 0;
}

static void
remove_oldest(struct dead *d)
{
	struct contents in = { 0 };
	char path[4096];
	int fd;

	file_path(d->dir, d->first, path);
	fd = sys.open(path, O_RDONLY, 0);
	if (fd >= 0) {
		(void)each_in(fd, NULL, NULL, &in);
		d->total_bytes -= in.size < d->total_bytes ? in.size : d->total_bytes;
		sys.close(fd);
		(void)sys.unlink(path);
	}
	d->first++;
	if (in.letters + in.damaged > 0 && d->removed != NULL)
		d->removed(d->arg, in.letters + in.damaged);
}

static void
put_text(struct buf *b, struct slice s)
{
	buf_put_le32(b, (uint32_t)s.n);
	buf_put_slice(b, s);
}

static int
build(struct dead *d, const struct dead_letter *l, struct err *err)
{
	char raw[9];
	size_t most = d->max_bytes / 4 < LETTER_BYTES / 2 ? (size_t)d->max_bytes / 4 : LETTER_BYTES / 2;
	struct slice bytes = l->bytes, reason = l->reason;
	char note[400];

	if (bytes.n > most) {
		snprintf(note, sizeof(note), "%.*s (the first %zu of %zu bytes are kept)", (int)(reason.n < 300 ? reason.n : 300),
		    reason.n > 0 ? reason.p : "", most, bytes.n);
		bytes.n = most;
		reason = slice_of(note);
	}
	buf_reset(&d->letter);
	if (!buf_reserve(&d->letter, HEAD))
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	d->letter.n = HEAD;
	put_le64(raw, (uint64_t)l->when_ms);
	raw[8] = (char)l->kind;
	buf_put(&d->letter, raw, sizeof(raw));
	put_text(&d->letter, l->from);
	put_text(&d->letter, reason);
	put_text(&d->letter, bytes);
	if (d->letter.failed)
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	memcpy(d->letter.p, "DEAD", 4);
	put_le32(d->letter.p + 4, (uint32_t)(d->letter.n - HEAD));
	put_le32(d->letter.p + 8, crc32_ieee(0, d->letter.p + HEAD, d->letter.n - HEAD));
	put_le32(d->letter.p + 12, crc32_ieee(0, d->letter.p, 12));
	return 0;
}

static int
put_locked(struct dead *d, const struct dead_letter *l, struct err *err)
{
	if (build(d, l, err) != 0)
		return -1;
	if (d->at > 0 && d->at + d->letter.n > d->max_bytes / 8 && begin_file(d, err) != 0)
		return -1;
	while (d->first < d->last && d->total_bytes + d->letter.n > d->max_bytes)
		remove_oldest(d);
	buf_put_slice(&d->unsynced, buf_slice(&d->letter));
	if (d->unsynced.failed) {
		d->unsynced.failed = false;
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	}
	if (sys_pwrite_full(d->fd, d->letter.p, d->letter.n, (off_t)d->at) != 0) {
		err_set_sys(err, error_kind(), "cannot write the dead letter");
		d->unsynced.n -= d->letter.n;
		(void)sys.ftruncate(d->fd, (off_t)d->at);
		return -1;
	}
	d->at += d->letter.n;
	d->total_bytes += d->letter.n;
	d->letters++;
	if (d->unsynced.n > UNSYNCED_BYTES)
		(void)sync_letters(d, NULL);	/* the next one tells */
	return 0;
}

int
dead_put(struct dead *d, const struct dead_letter *l, struct err *err)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = put_locked(d, l, err);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

int
dead_sync(struct dead *d, struct err *err)
{
	int rc;

	pthread_mutex_lock(&d->lock);
	rc = sync_letters(d, err);
	pthread_mutex_unlock(&d->lock);
	return rc;
}

uint64_t
dead_bytes(struct dead *d)
{
	uint64_t n;

	pthread_mutex_lock(&d->lock);
	n = d->total_bytes;
	pthread_mutex_unlock(&d->lock);
	return n;
}

uint64_t
dead_letters(struct dead *d)
{
	uint64_t n;

	pthread_mutex_lock(&d->lock);
	n = d->letters;
	pthread_mutex_unlock(&d->lock);
	return n;
}

/* The newest file goes on where its last whole letter ends. */
static int
adopt(struct dead *d, struct err *err)
{
	struct contents in;
	char path[4096];
	struct stat st;

	for (uint64_t i = d->first; d->first != 0 && i < d->last; i++) {
		file_path(d->dir, i, path);
		if (sys.stat(path, &st) == 0)
			d->total_bytes += (uint64_t)st.st_size;
	}
	if (d->last == 0)
		return begin_file(d, err);
	file_path(d->dir, d->last, path);
	d->fd = sys.open(path, O_RDWR, 0);
	if (d->fd < 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
	if (each_in(d->fd, NULL, NULL, &in) != 0 || (in.end < in.size && sys.ftruncate(d->fd, (off_t)in.end) != 0))
		return err_set_sys(err, ERR_AGAIN, "%s: cannot cut a torn letter", path);
	d->at = d->synced_at = in.end;
	d->total_bytes += d->at;
	return 0;
}

int
dead_open(struct dead **ret, const char *dir, uint64_t max_bytes, void (*removed)(void *arg, uint64_t letters), void *arg,
    struct err *err)
{
	struct dead *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the dead letter");
	d->fd = -1;
	d->max_bytes = max_bytes;
	d->removed = removed;
	d->arg = arg;
	pthread_mutex_init(&d->lock, NULL);
	buf_init(&d->letter, LETTER_BYTES);
	buf_init(&d->unsynced, 2 * (size_t)LETTER_BYTES);
	if ((size_t)snprintf(d->dir, sizeof(d->dir), "%s", dir) >= sizeof(d->dir))
		err_set(err, ERR_CONFIG, "the dead letter's path is too long");
	else if (sys_make_dir(dir, err) == 0 && range_of(dir, &d->first, &d->last, err) == 0 && adopt(d, err) == 0) {
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
	if (d->fd >= 0) {
		(void)sync_letters(d, NULL);
		sys.close(d->fd);
	}
	pthread_mutex_destroy(&d->lock);
	buf_fini(&d->letter);
	buf_fini(&d->unsynced);
	free(d);
}
