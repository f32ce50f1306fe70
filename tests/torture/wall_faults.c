/* wall_faults.c - the calls that agent/run/wall_spawn.c makes for the decode process, with one that fails or one at which that process is killed. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "faults.h"
#include "run/wall.h"
#include "run/wall_parts.h"

/* Both names of each, for the linker: __wrap_ is called, __real_ is what it was. */
#define BOTH(result, name, ...) result __real_##name(__VA_ARGS__); result __wrap_##name(__VA_ARGS__)
BOTH(int, wall_memory, const char *, size_t, int *, void **, struct err *);
BOTH(int, wall_spawn, struct wall_process *, int, int, const char *const *, size_t, struct err *);
BOTH(void, wall_end, struct wall_process *);
BOTH(int, wall_hear, const struct wall_process *, int, struct wall_word *);
BOTH(int, wall_order, const struct wall_process *, const struct wall_order *);
BOTH(int, memfd_create, const char *, unsigned);
BOTH(void *, mmap, void *, size_t, int, int, int, off_t);
BOTH(int, fcntl, int, int, ...);
BOTH(int, pipe2, int *, int);
BOTH(int, posix_spawn, pid_t *, const char *, const posix_spawn_file_actions_t *, const posix_spawnattr_t *, char *const *, char *const *);
BOTH(int, poll, struct pollfd *, nfds_t, int);
BOTH(ssize_t, read, int, void *, size_t);
BOTH(ssize_t, write, int, const void *, size_t);
BOTH(pid_t, waitpid, pid_t, int *, int);

static _Thread_local unsigned within;		/* calls of wall_spawn.c under way */
static _Thread_local pid_t keeper;		/* of the one that is asked for something */

static pid_t
child_of(pid_t parent)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)parent, (int)parent);
	f = fopen(path, "r");
	if (f != NULL) {
		(void)!fgets(text, sizeof(text), f);
		fclose(f);
	}
	return (pid_t)strtol(text, NULL, 10);
}

/* The worker, or every third time its keeper. */
static void
kill_one(void)
{
	pid_t worker = child_of(keeper);

	if (keeper > 0)
		(void)kill(worker > 0 && faults_counts().wall % 3 != 0 ? worker : keeper, SIGKILL);
}

/* True: it fails, with errno. */
static bool
fails(const char *call)
{
	unsigned saved = within;
	enum strike struck;
	int why;

	if (within == 0)
		return false;
	within = 0;			/* what we do ourselves is not the wall's */
	struck = faults_strike_wall(call);
	why = errno;
	if (struck == STRIKE_KILL)
		kill_one();
	within = saved;
	errno = why;
	return struck == STRIKE_FAIL;
}

int
__wrap_wall_memory(const char *name, size_t n, int *ret_fd, void **ret, struct err *err)
{
	int rc;

	within++;
	rc = __real_wall_memory(name, n, ret_fd, ret, err);
	within--;
	return rc;
}

int
__wrap_wall_spawn(struct wall_process *p, int in_fd, int out_fd, const char *const *args, size_t n, struct err *err)
{
	int rc;

	keeper = 0;
	within++;
	rc = __real_wall_spawn(p, in_fd, out_fd, args, n, err);
	within--;
	return rc;
}

void
__wrap_wall_end(struct wall_process *p)
{
	keeper = p->pid;
	within++;
	__real_wall_end(p);
	within--;
}

int
__wrap_wall_hear(const struct wall_process *p, int ms, struct wall_word *ret)
{
	int rc;

	keeper = p->pid;
	within++;
	rc = __real_wall_hear(p, ms, ret);
	within--;
	return rc;
}

int
__wrap_wall_order(const struct wall_process *p, const struct wall_order *order)
{
	int rc;

	keeper = p->pid;
	within++;
	rc = __real_wall_order(p, order);
	within--;
	return rc;
}

int
__wrap_memfd_create(const char *name, unsigned flags)
{
	return fails("memfd_create") ? -1 : __real_memfd_create(name, flags);
}

void *
__wrap_mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
	return fails("mmap") ? MAP_FAILED : __real_mmap(at, n, prot, flags, fd, from);
}

int
__wrap_fcntl(int fd, int what, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, what);
	arg = va_arg(ap, void *);
	va_end(ap);
	return fails("fcntl") ? -1 : __real_fcntl(fd, what, arg);
}

int
__wrap_pipe2(int *ret, int flags)
{
	return fails("pipe2") ? -1 : __real_pipe2(ret, flags);
}

int
__wrap_posix_spawn(pid_t *ret, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attr, char *const *argv, char *const *env)
{
	return fails("posix_spawn") ? errno : __real_posix_spawn(ret, path, actions, attr, argv, env);
}

int
__wrap_poll(struct pollfd *fds, nfds_t n, int ms)
{
	return fails("poll") ? -1 : __real_poll(fds, n, ms);
}

ssize_t
__wrap_read(int fd, void *p, size_t n)
{
	return fails("wall read") ? -1 : __real_read(fd, p, n);
}

ssize_t
__wrap_write(int fd, const void *p, size_t n)
{
	return fails("wall write") ? -1 : __real_write(fd, p, n);
}

pid_t
__wrap_waitpid(pid_t pid, int *ret, int flags)
{
	return fails("waitpid") ? -1 : __real_waitpid(pid, ret, flags);
}
