/*
 * dead_file.c - what stands in the dead letter's files, and taking letters out of them.
 *
 * DIR/NNNNNNNNNN.dead has what sources could not have read, .refused what sinks' far sides refuse. Letter: 16 bytes of head
 * (0 "DEAD"  4 u32 payload bytes  8 u32 CRC-32 of payload  12 u32 CRC-32 of bytes 0..11), then the payload: i64 when, u8 kind,
 * u32 length and bytes of from, of reason, of the record. Little-endian.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "spool/dead_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"

static const char *const endings[DEAD_SHARES] = { ".dead", ".refused" };

void
dead_file_path(const char *dir, enum dead_share share, uint64_t number, char ret[4096])
{
	snprintf(ret, 4096, "%s/%010llu%s", dir, (unsigned long long)number, endings[share]);
}

static bool
file_number(const char *name, enum dead_share share, uint64_t *ret)
{
	int64_t v;

	if (strlen(name) < 10 || strcmp(name + 10, endings[share]) != 0 || !slice_to_i64(slice_make(name, 10), &v) || v <= 0)
		return false;
	*ret = (uint64_t)v;
	return true;
}

int
dead_file_range(const char *dir, enum dead_share share, uint64_t *ret_first, uint64_t *ret_last, struct err *err)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	uint64_t n;

	*ret_first = *ret_last = 0;
	if (d == NULL)
		return err_set_sys(err, errno == ENOENT ? ERR_CONFIG : ERR_AGAIN, "%s: cannot open", dir);
	while ((e = readdir(d)) != NULL)
		if (file_number(e->d_name, share, &n)) {
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

enum letter { LETTER_END, LETTER_WHOLE, LETTER_DAMAGED, LETTER_TORN, LETTER_LOST, LETTER_UNREAD };

/*
 * The letter at `at`. Damaged: its head is sound and says how far to go on. Torn: the file ends in it. Lost: its head is damaged, and
 * what follows is not searched, for the bytes of a record could pass for a letter. Unread: the disk or memory failed, by errno.
 */
static enum letter
read_letter(int fd, uint64_t at, uint64_t size, struct buf *payload, struct dead_letter *ret, uint64_t *ret_used)
{
	char head[LETTER_HEAD];
	ssize_t got;
	uint32_t n;

	if (at == size)
		return LETTER_END;
	got = sys_pread_full(fd, head, LETTER_HEAD, (off_t)at);
	if (got < 0)
		return LETTER_UNREAD;
	if (got != LETTER_HEAD)
		return LETTER_TORN;
	if (memcmp(head, "DEAD", 4) != 0 || get_le32(head + 12) != crc32_ieee(0, head, 12) || (n = get_le32(head + 4)) > LETTER_BYTES)
		return LETTER_LOST;
	if (n > size - at - LETTER_HEAD)
		return LETTER_TORN;
	*ret_used = LETTER_HEAD + (uint64_t)n;
	buf_reset(payload);
	if (!buf_reserve(payload, n)) {
		errno = ENOMEM;
		return LETTER_UNREAD;
	}
	got = sys_pread_full(fd, payload->p, n, (off_t)(at + LETTER_HEAD));
	if (got < 0)
		return LETTER_UNREAD;
	if (got != (ssize_t)n || crc32_ieee(0, payload->p, n) != get_le32(head + 8))
		return LETTER_DAMAGED;
	payload->n = n;
	return letter_get(buf_slice(payload), ret) ? LETTER_WHOLE : LETTER_DAMAGED;
}

int
dead_file_each(int fd, enum dead_share share, int (*see)(void *arg, const struct dead_letter *), void *arg, struct dead_contents *ret)
{
	struct dead_letter letter;
	struct buf payload;
	enum letter got;
	uint64_t used = 0;
	struct stat st;
	int rc = 0;

	*ret = (struct dead_contents){ 0 };
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
		ret->torn = got == LETTER_TORN;
		if (got == LETTER_TORN || got == LETTER_LOST)
			break;
		letter.share = share;
		if (got == LETTER_WHOLE && see != NULL)
			rc = see(arg, &letter);
		ret->letters += got == LETTER_WHOLE;
		ret->end += used;
	}
	buf_fini(&payload);
	return rc;
}

static int
each_of(const char *dir, enum dead_share share, int (*see)(void *arg, const struct dead_letter *), void *arg, uint64_t *ret_damaged,
    struct err *err)
{
	struct dead_contents in;
	uint64_t first, last;
	char path[4096];
	int rc = 0;

	if (dead_file_range(dir, share, &first, &last, err) != 0)
		return -1;
	for (uint64_t i = first; rc == 0 && first != 0 && i <= last; i++) {
		int fd;

		dead_file_path(dir, share, i, path);
		fd = sys.open(path, O_RDONLY, 0);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
		rc = dead_file_each(fd, share, see, arg, &in);
		*ret_damaged += in.damaged;
		sys.close(fd);
		errno = in.unread;
		if (in.unread != 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot read", path);
	}
	return rc;
}

int
dead_each(const char *dir, int (*see)(void *arg, const struct dead_letter *), void *arg, uint64_t *ret_damaged,
    struct err *err)
{
	uint64_t damaged = 0;
	int rc = 0;

	for (enum dead_share i = 0; rc == 0 && i < DEAD_SHARES; i++)
		rc = each_of(dir, i, see, arg, &damaged, err);
	*ret_damaged = damaged;
	return rc;
}

/* ---- taking out ---------------------------------------------------------------------- */

struct taking {
	int		(*take)(void *arg, const struct dead_letter *);
	void		*arg;
	enum dead_share	 share;
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
		letter.share = t->share;
		taken = got == LETTER_WHOLE ? t->take(t->arg, &letter) : 0;
		if (got == LETTER_TORN || got == LETTER_LOST)
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
take_file(struct taking *t, const char *dir, enum dead_share share, uint64_t number, int (*settle)(void *arg), struct err *err)
{
	const uint64_t before = t->taken;
	char path[4096];
	struct stat st;
	int fd, rc;

	t->share = share;
	dead_file_path(dir, share, number, path);
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
	int rc = 0;

	buf_init(&t.kept, SIZE_MAX / 2);
	for (enum dead_share share = 0; rc == 0 && share < DEAD_SHARES; share++) {
		rc = dead_file_range(dir, share, &first, &last, err);
		for (uint64_t i = first; rc == 0 && first != 0 && i <= last; i++)
			rc = take_file(&t, dir, share, i, settle, err);
	}
	buf_fini(&t.kept);
	*ret_taken = t.taken;
	return rc;
}
