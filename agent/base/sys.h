/*
 * sys.h - every system call that can lose data goes through this table, so
 * that a test can make the Nth one fail.
 *
 * Use:     sys.fdatasync(fd). Tests replace members; sys_reset() puts the real ones back.
 * EINTR:   the sys_*_full helpers retry it and finish short reads and writes.
 */
#ifndef BASE_SYS_H
#define BASE_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

struct sys {
	int	(*open)(const char *path, int flags, mode_t mode);	/* O_CLOEXEC is added */
	int	(*close)(int fd);
	ssize_t	(*read)(int fd, void *, size_t);
	ssize_t	(*pread)(int fd, void *, size_t, off_t);
	ssize_t	(*write)(int fd, const void *, size_t);
	ssize_t	(*pwrite)(int fd, const void *, size_t, off_t);
	int	(*fsync)(int fd);
	int	(*fdatasync)(int fd);
	int	(*ftruncate)(int fd, off_t);
	int	(*rename)(const char *from, const char *to);
	int	(*unlink)(const char *path);
	int	(*fstat)(int fd, struct stat *);
	int	(*stat)(const char *path, struct stat *);
	int	(*mkdir)(const char *path, mode_t);
	int	(*fstatvfs)(int fd, struct statvfs *);
};

extern struct sys sys;
void	sys_reset(void);

struct err;
/* All n bytes or -1; a short count of pread means end of file. */
int	sys_write_full(int fd, const void *, size_t n);
int	sys_pwrite_full(int fd, const void *, size_t n, off_t at);
ssize_t	sys_pread_full(int fd, void *, size_t n, off_t at);
/* fsync of a directory, so that a rename or unlink in it lasts. */
int	sys_sync_dir(const char *path, struct err *);
/* A directory (0700) that lasts: its parent is synced. One that is there already is fine. */
int	sys_make_dir(const char *path, struct err *);
/* Write tmp, fsync, rename over path, fsync the directory. Mode 0600. */
int	sys_replace_file(const char *path, const void *, size_t n, struct err *);

#endif
