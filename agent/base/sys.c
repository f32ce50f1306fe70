/* sys.c - the real system calls, and the helpers that finish what they begin. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static int
real_open(const char *path, int flags, mode_t mode)
{
	return open(path, flags | O_CLOEXEC, mode);
}

static int
real_fstat(int fd, struct stat *st)
{
	return fstat(fd, st);
}

static int
real_stat(const char *path, struct stat *st)
{
	return stat(path, st);
}

static const struct sys real = {
	.open = real_open, .close = close, .read = read, .pread = pread, .write = write, .pwrite = pwrite,
	.fsync = fsync, .fdatasync = fdatasync, .ftruncate = ftruncate, .rename = rename,
	.unlink = unlink, .fstat = real_fstat, .stat = real_stat, .mkdir = mkdir, .fstatvfs = fstatvfs,
};

struct sys sys = {
	.open = real_open, .close = close, .read = read, .pread = pread, .write = write, .pwrite = pwrite,
	.fsync = fsync, .fdatasync = fdatasync, .ftruncate = ftruncate, .rename = rename,
	.unlink = unlink, .fstat = real_fstat, .stat = real_stat, .mkdir = mkdir, .fstatvfs = fstatvfs,
};

void
sys_reset(void)
{
	sys = real;
}

int
sys_write_full(int fd, const void *p, size_t n)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = sys.write(fd, at, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (w == 0)
				errno = EIO;
			return -1;
		}
		at += w;
		n -= (size_t)w;
	}
	return 0;
}

int
sys_pwrite_full(int fd, const void *p, size_t n, off_t offset)
{
	const char *at = p;

	while (n > 0) {
		ssize_t w = sys.pwrite(fd, at, n, offset);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0) {
			if (w == 0)
				errno = EIO;
			return -1;
		}
		at += w;
		offset += w;
		n -= (size_t)w;
	}
	return 0;
}

ssize_t
sys_pread_full(int fd, void *p, size_t n, off_t offset)
{
	char *at = p;
	size_t got = 0;

	while (got < n) {
		ssize_t r = sys.pread(fd, at + got, n - got, offset + (off_t)got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -1;
		if (r == 0)
			break;
		got += (size_t)r;
	}
	return (ssize_t)got;
}

static int
sync_full(int fd)
{
	int rc;

	do
		rc = sys.fsync(fd);
	while (rc != 0 && errno == EINTR);
	return rc;
}

int
sys_sync_dir(const char *path, struct err *err)
{
	int fd = sys.open(path, O_RDONLY | O_DIRECTORY, 0);
	int rc;

	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot open the directory", path);
	rc = sync_full(fd);
	if (rc != 0)
		err_set_sys(err, ERR_AGAIN, "%s: cannot sync the directory", path);
	sys.close(fd);
	return rc == 0 ? 0 : -1;
}

static int
sync_parent(const char *path, struct err *err)
{
	char dir[4096];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		snprintf(dir, sizeof(dir), ".");
	else
		slash[slash == dir ? 1 : 0] = '\0';
	return sys_sync_dir(dir, err);
}

int
sys_make_dir(const char *path, struct err *err)
{
	if (sys.mkdir(path, 0700) == 0)
		return sync_parent(path, err);
	return errno == EEXIST ? 0 : err_set_sys(err, ERR_CONFIG, "%s: cannot make", path);
}

static enum err_kind
kind_of_write_error(void)
{
	switch (errno) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return ERR_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	default:
		return ERR_AGAIN;
	}
}

static int
write_new(const char *tmp, const void *p, size_t n, struct err *err)
{
	int fd = sys.open(tmp, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		return err_set_sys(err, kind_of_write_error(), "%s: cannot make", tmp);
	if (sys_write_full(fd, p, n) != 0 || sync_full(fd) != 0) {
		err_set_sys(err, kind_of_write_error(), "%s: cannot write", tmp);
		sys.close(fd);
		return -1;
	}
	sys.close(fd);
	return 0;
}

int
sys_replace_file(const char *path, const void *p, size_t n, struct err *err)
{
	char tmp[4096];
	int len = snprintf(tmp, sizeof(tmp), "%s.tmp", path);

	if (len < 0 || (size_t)len >= sizeof(tmp))
		return err_set(err, ERR_CONFIG, "the path is too long");
	if (write_new(tmp, p, n, err) != 0) {
		sys.unlink(tmp);
		return -1;
	}
	if (sys.rename(tmp, path) != 0) {
		err_set_sys(err, kind_of_write_error(), "%s: cannot rename", tmp);
		sys.unlink(tmp);
		return -1;
	}
	return sync_parent(path, err);
}
