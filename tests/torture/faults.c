/* faults.c - the table of system calls and the allocator, with one that fails. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/sys.h"
#include "disk.h"
#include "tests/scenario/site.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

#define SCARCE	20

const char *const fault_words[FAULTS] = { "none", "io", "full", "short", "memory", "scarce", "kill", "power", "wall", "worker" };
bool faults_trace;

static struct sys real;
static struct site *site;
static enum fault fault;
static uint64_t nth;
static unsigned variant, variants;
static struct fault_counts made;
static char hit_words[300];
static pthread_t main_thread;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local bool inside;

static void
enter(void)
{
	inside = true;
}

static void
leave(void)
{
	inside = false;
}

/* The agent's: the main thread in its code, and the threads that it has made. */
static bool
is_agents(void)
{
	return site != NULL && (inside || !pthread_equal(pthread_self(), main_thread));
}

static void
trace(void)
{
#ifdef __SANITIZE_ADDRESS__
	if (faults_trace)
		__sanitizer_print_stack_trace();
#endif
}

/* ---- why a call fails ---------------------------------------------------------------------- */

/* Of what open(2) and its like list, what can happen to files that are there: a full table, no right any more, a bad disk. */
static const struct reasons {
	const char	*call;
	int		 errnos[6];
} reasons[] = {
	{ "open",	{ EIO, EACCES, EMFILE, ENFILE, ENOMEM } },
	{ "read",	{ EIO, ENOMEM } },
	{ "pread",	{ EIO, ENOMEM } },
	{ "write",	{ EIO, ENOSPC, EDQUOT, EFBIG } },
	{ "pwrite",	{ EIO, ENOSPC, EDQUOT, EFBIG } },
	{ "fsync",	{ EIO, ENOSPC, EDQUOT } },
	{ "fdatasync",	{ EIO, ENOSPC, EDQUOT } },
	{ "ftruncate",	{ EIO, EPERM } },
	{ "rename",	{ EIO, ENOSPC, EDQUOT, EACCES, EROFS } },
	{ "unlink",	{ EIO, EACCES, EROFS } },
	{ "fstat",	{ EIO, ENOMEM } },
	{ "stat",	{ EIO, EACCES, ENOMEM } },
	{ "fstatvfs",	{ EIO, ENOMEM } },
	{ "mkdir",	{ EIO, ENOSPC, EDQUOT, EACCES, EROFS } },
	{ "memfd_create", { ENOMEM, EMFILE, ENFILE } },
	{ "mmap",	{ ENOMEM } },
	{ "fcntl",	{ EMFILE, EPERM } },
	{ "pipe2",	{ EMFILE, ENFILE } },
	{ "posix_spawn", { ENOMEM, EAGAIN, EACCES } },
	{ "poll",	{ ENOMEM, EINTR } },
	{ "wall read",	{ EINTR, EIO } },
	{ "wall write",	{ EINTR } },		/* EPIPE comes by itself when the worker is killed */
	{ "waitpid",	{ EINTR, ECHILD } },
};

void
faults_reason(const char *call)
{
	static const int one[] = { EIO, 0 };
	const int *errnos = one;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		if (strcmp(reasons[i].call, call) == 0)
			errnos = reasons[i].errnos;
	for (variants = 1; errnos[variants] != 0;)
		variants++;
	errno = errnos[(nth + variant) % variants];
}

/* ---- the decision ------------------------------------------------------------------------- */

enum kind { READS, WRITES, MAKES, OTHER };
enum counted { NOTHING, CALLS, ALLOCATIONS, WALL };

static enum counted
counted_by(enum fault of)
{
	static const enum counted by[FAULTS] = { NOTHING, CALLS, CALLS, CALLS, ALLOCATIONS, ALLOCATIONS, CALLS, CALLS, WALL, WALL };

	return by[of];
}

uint64_t
fault_count(const struct fault_counts *c, enum fault of)
{
	switch (counted_by(of)) {
	case CALLS:
		return c->calls;
	case ALLOCATIONS:
		return c->allocations;
	case WALL:
		return c->wall;
	default:
		return 0;
	}
}

enum strike
faults_strike_wall(const char *call)
{
	if (!is_agents() || ++made.wall != nth || counted_by(fault) != WALL)
		return STRIKE_NOT;
	if (fault == FAULT_WALL)
		faults_reason(call);
	snprintf(hit_words, sizeof(hit_words), "%s: %s", call, fault == FAULT_WORKER ? "killed" : strerrorname_np(errno));
	trace();
	return fault == FAULT_WORKER ? STRIKE_KILL : STRIKE_FAIL;
}

static void
stop_here(void)
{
	site_snapshot(site);
	if (fault == FAULT_POWER)
		disk_cut();
}

/* What the call was about: a path, or where the descriptor leads. */
static void
note_hit(const char *call, int fd, const char *path)
{
	char link[64], at[200];
	ssize_t n;

	if (path == NULL) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		n = readlink(link, at, sizeof(at) - 1);
		at[n > 0 ? n : 0] = '\0';
		path = at;
	}
	if (fault == FAULT_IO)
		faults_reason(call);
	snprintf(hit_words, sizeof(hit_words), "%s(%s)%s%s", call,
	    strncmp(path, site->dir, strlen(site->dir)) == 0 ? path + strlen(site->dir) + 1 : path,
	    fault == FAULT_IO ? ": " : "", fault == FAULT_IO ? strerrorname_np(errno) : "");
	trace();
}

/* 0: do it; 1: do half of it; -1: it fails, errno is set. Under the gate. */
static int
decide(enum kind kind, const char *call, int fd, const char *path)
{
	bool struck;

	if (site->killed) {		/* nothing that happens now happened */
		errno = EIO;
		return -1;
	}
	struck = ++made.calls == nth;
	if (!struck && !(fault == FAULT_FULL && made.calls > nth && nth > 0))
		return 0;
	if (counted_by(fault) != CALLS)
		return 0;
	if (struck)
		note_hit(call, fd, path);
	switch (fault) {
	case FAULT_FULL:
		errno = ENOSPC;
		return kind == WRITES || kind == MAKES ? -1 : 0;
	case FAULT_SHORT:
		if (kind == READS || kind == WRITES)
			return 1;
		errno = EINTR;
		return strcmp(call, "open") == 0 || strstr(call, "sync") != NULL ? -1 : 0;
	case FAULT_IO:
		faults_reason(call);
		return -1;
	default:
		stop_here();
		errno = EIO;
		return -1;
	}
}

/* ---- the table --------------------------------------------------------------------------------- */

/* Half of it, but at least a byte: a call that does nothing is another matter. */
static size_t
half(size_t n)
{
	return n > 1 ? n / 2 : n;
}

#define BEGIN(kind, call, fd, path, failed) \
	int how; \
	if (!is_agents()) \
		goto plain; \
	pthread_mutex_lock(&gate); \
	how = decide(kind, call, fd, path); \
	if (how < 0) { \
		int saved = errno; \
		pthread_mutex_unlock(&gate); \
		errno = saved; \
		return failed; \
	}
#define END(rc) \
	do { \
		int saved = errno; \
		pthread_mutex_unlock(&gate); \
		errno = saved; \
		return rc; \
	} while (0)

static int
f_open(const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool makes;
	int fd;
	BEGIN(flags & O_CREAT ? MAKES : OTHER, "open", -1, path, -1)
	makes = (flags & O_CREAT) && stat(path, &st) != 0;
	fd = real.open(path, flags, mode);
	if (fd >= 0 && makes && fault == FAULT_POWER)
		disk_made(path);
	END(fd);
plain:
	return real.open(path, flags, mode);
}

static int
f_close(int fd)
{
	return real.close(fd);		/* what it says is heeded by nobody, and rightly: the descriptor is gone */
}

static ssize_t
f_read(int fd, void *p, size_t n)
{
	ssize_t rc;
	BEGIN(READS, "read", fd, NULL, -1)
	rc = real.read(fd, p, how == 1 && n < 65536 ? half(n) : n);
	END(rc);
plain:
	return real.read(fd, p, n);
}

static ssize_t
f_pread(int fd, void *p, size_t n, off_t at)
{
	ssize_t rc;
	BEGIN(READS, "pread", fd, NULL, -1)
	rc = real.pread(fd, p, how == 1 ? half(n) : n, at);
	END(rc);
plain:
	return real.pread(fd, p, n, at);
}

static ssize_t
f_write(int fd, const void *p, size_t n)
{
	ssize_t rc;
	BEGIN(WRITES, "write", fd, NULL, -1)
	rc = real.write(fd, p, how == 1 ? half(n) : n);
	END(rc);
plain:
	return real.write(fd, p, n);
}

/* A write that fails may have written some: the worst of it is that it has. */
static ssize_t
f_pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t rc;
	int how;

	if (!is_agents())
		return real.pwrite(fd, p, n, at);
	pthread_mutex_lock(&gate);
	if ((fault == FAULT_KILL || fault == FAULT_IO) && made.calls + 1 == nth && !site->killed)
		(void)real.pwrite(fd, p, half(n), at);
	how = decide(WRITES, "pwrite", fd, NULL);
	rc = how < 0 ? -1 : real.pwrite(fd, p, how == 1 ? half(n) : n, at);
	END(rc);
}

static int
sync_by(int (*by)(int), const char *call, int fd)
{
	int rc;
	BEGIN(OTHER, call, fd, NULL, -1)
	rc = by(fd);
	if (rc == 0 && fault == FAULT_POWER)
		disk_synced(fd);
	END(rc);
plain:
	return by(fd);
}

static int
f_fsync(int fd)
{
	return sync_by(real.fsync, "fsync", fd);
}

static int
f_fdatasync(int fd)
{
	return sync_by(real.fdatasync, "fdatasync", fd);
}

static int
f_ftruncate(int fd, off_t n)
{
	int rc;
	BEGIN(OTHER, "ftruncate", fd, NULL, -1)
	rc = real.ftruncate(fd, n);
	END(rc);
plain:
	return real.ftruncate(fd, n);
}

static int
f_rename(const char *from, const char *to)
{
	int rc;
	BEGIN(OTHER, "rename", -1, to, -1)
	rc = real.rename(from, to);
	END(rc);
plain:
	return real.rename(from, to);
}

static int
f_unlink(const char *path)
{
	int rc;
	BEGIN(OTHER, "unlink", -1, path, -1)
	rc = real.unlink(path);
	END(rc);
plain:
	return real.unlink(path);
}

static int
f_fstat(int fd, struct stat *st)
{
	int rc;
	BEGIN(OTHER, "fstat", fd, NULL, -1)
	rc = real.fstat(fd, st);
	END(rc);
plain:
	return real.fstat(fd, st);
}

static int
f_stat(const char *path, struct stat *st)
{
	int rc;
	BEGIN(OTHER, "stat", -1, path, -1)
	rc = real.stat(path, st);
	END(rc);
plain:
	return real.stat(path, st);
}

static int
f_mkdir(const char *path, mode_t mode)
{
	int rc;
	BEGIN(MAKES, "mkdir", -1, path, -1)
	rc = real.mkdir(path, mode);
	if (rc == 0 && fault == FAULT_POWER)
		disk_made(path);
	END(rc);
plain:
	return real.mkdir(path, mode);
}

static int
f_fstatvfs(int fd, struct statvfs *st)
{
	int rc;
	BEGIN(OTHER, "fstatvfs", fd, NULL, -1)
	rc = real.fstatvfs(fd, st);
	END(rc);
plain:
	return real.fstatvfs(fd, st);
}

/* ---- memory --------------------------------------------------------------------------------------- */

void	*__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
char	*__real_strdup(const char *);
void	*__wrap_malloc(size_t), *__wrap_calloc(size_t, size_t), *__wrap_realloc(void *, size_t);
char	*__wrap_strdup(const char *);

static bool
is_out_of_memory(const char *call)
{
	if (!inside)
		return false;
	made.allocations++;
	if ((fault != FAULT_MEMORY && fault != FAULT_SCARCE) || made.allocations < nth ||
	    made.allocations > nth + (fault == FAULT_SCARCE ? SCARCE : 0))
		return false;
	if (hit_words[0] == '\0') {
		snprintf(hit_words, sizeof(hit_words), "%s", call);
		trace();
	}
	errno = ENOMEM;
	return true;
}

void *
__wrap_malloc(size_t n)
{
	return is_out_of_memory("malloc") ? NULL : __real_malloc(n);
}

void *
__wrap_calloc(size_t n, size_t size)
{
	return is_out_of_memory("calloc") ? NULL : __real_calloc(n, size);
}

void *
__wrap_realloc(void *p, size_t n)
{
	return is_out_of_memory("realloc") ? NULL : __real_realloc(p, n);
}

char *
__wrap_strdup(const char *s)
{
	return is_out_of_memory("strdup") ? NULL : __real_strdup(s);
}

/* ---- life ----------------------------------------------------------------------------------------- */

void
faults_begin(struct site *s, enum fault kind, uint64_t at, unsigned which)
{
	sys_reset();
	real = sys;
	main_thread = pthread_self();
	fault = kind;
	nth = at;
	variant = which;
	variants = 1;
	made = (struct fault_counts){ 0 };
	hit_words[0] = '\0';
	site = s;
	site_enter = enter;
	site_leave = leave;
	if (kind == FAULT_POWER)
		disk_begin(s->dir);
	sys = (struct sys){ .open = f_open, .close = f_close, .read = f_read, .pread = f_pread, .write = f_write, .pwrite = f_pwrite,
		.fsync = f_fsync, .fdatasync = f_fdatasync, .ftruncate = f_ftruncate, .rename = f_rename,
		.unlink = f_unlink, .fstat = f_fstat, .stat = f_stat, .mkdir = f_mkdir, .fstatvfs = f_fstatvfs };
}

void
faults_lift(void)
{
	pthread_mutex_lock(&gate);
	if (fault == FAULT_POWER)
		disk_end();
	fault = FAULT_NONE;
	pthread_mutex_unlock(&gate);
}

void
faults_new_disk(void)
{
	if (fault == FAULT_POWER)
		disk_begin(site->dir);
}

void
faults_end(void)
{
	faults_lift();
	site = NULL;
	sys_reset();
}

struct fault_counts
faults_counts(void)
{
	return made;
}

unsigned
faults_variants(void)
{
	return variants;
}

const char *
faults_hit(void)
{
	return hit_words;
}
