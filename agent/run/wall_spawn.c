/* wall_spawn.c - the keeper of decode's worker: begun from our own executable with five descriptors and an empty environment, ended, heard. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/wall_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/err.h"
#include "run/wall.h"

#define SELF		"/proc/self/exe"	/* also when a package has replaced the file since */
#define ARGS_MAX	128u
#define END_MS		200
#define HIGH_FD		10			/* past those that the worker gets */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	0x0008u
#endif

int
wall_memory(const char *name, size_t bytes, int *ret_fd, void **ret, struct err *err)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
	void *p;

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "memfd_create");
	p = ftruncate(fd, (off_t)bytes) == 0 ? mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (p == MAP_FAILED || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0) {
		err_set_sys(err, ERR_AGAIN, "memory to share with the decode process");
		if (p != MAP_FAILED)
			munmap(p, bytes);
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	*ret = p;
	return 0;
}

/* Nothing of ours: secrets may stand in it. What the loader and the sanitizers ask for passes. */
static void
take_environment(char **into, size_t most)
{
	static const char *const wanted[] = { "LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS=" };
	size_t n = 0;

	for (char **e = environ; e != NULL && *e != NULL && n + 1 < most; e++)
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
			if (strncmp(*e, wanted[i], strlen(wanted[i])) == 0)
				into[n++] = *e;
	into[n] = NULL;
}

static int
spawn(pid_t *ret, const int fds[WALL_FDS], char **argv, char **env)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, usual;
	int rc;

	sigemptyset(&none);
	sigfillset(&usual);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &usual);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	for (int i = 0; i < WALL_FDS; i++)
		if (i != WALL_FD_NONE)
			posix_spawn_file_actions_adddup2(&actions, fds[i], i);
#ifndef __SANITIZE_ADDRESS__				/* whose reports are worth reading */
	posix_spawn_file_actions_addopen(&actions, WALL_FD_NONE, "/dev/null", O_WRONLY, 0);
#endif
	rc = posix_spawn(ret, SELF, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

static int
high_pipe(int ret[2])
{
	int low[2];

	if (pipe2(low, O_CLOEXEC) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		ret[i] = fcntl(low[i], F_DUPFD_CLOEXEC, HIGH_FD);
		close(low[i]);
	}
	if (ret[0] >= 0 && ret[1] >= 0)
		return 0;
	for (int i = 0; i < 2; i++)
		if (ret[i] >= 0)
			close(ret[i]);
	return -1;
}

static void
close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

int
wall_spawn(struct wall_process *p, int in_fd, int out_fd, const char *const *args, size_t nargs, struct err *err)
{
	int orders[2] = { -1, -1 }, words[2] = { -1, -1 };
	int memory[2] = { fcntl(in_fd, F_DUPFD_CLOEXEC, HIGH_FD), fcntl(out_fd, F_DUPFD_CLOEXEC, HIGH_FD) };
	char pid[24], program[] = "aispm-agent", command[] = WALL_COMMAND, *argv[ARGS_MAX + 4], *env[8];
	int rc;

	*p = (struct wall_process){ .orders = -1, .words = -1 };
	if (nargs > ARGS_MAX || memory[0] < 0 || memory[1] < 0 || high_pipe(orders) != 0 || high_pipe(words) != 0) {
		err_set_sys(err, ERR_AGAIN, nargs > ARGS_MAX ? "too many names to release" : "pipes to the decode process");
		close_all(memory, 2);
		close_all(orders, 2);
		return -1;
	}
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	argv[0] = program;
	argv[1] = command;
	argv[2] = pid;
	for (size_t i = 0; i < nargs; i++)
		argv[3 + i] = (char *)(uintptr_t)args[i];	/* execve(2) takes them so, and leaves them alone */
	argv[3 + nargs] = NULL;
	take_environment(env, sizeof(env) / sizeof(env[0]));
	rc = spawn(&p->pid, (const int[WALL_FDS]){ orders[0], words[1], -1, memory[0], memory[1] }, argv, env);
	close_all(memory, 2);
	close(orders[0]);
	close(words[1]);
	p->orders = orders[1];
	p->words = words[0];
	if (rc == 0)
		return 0;
	p->pid = 0;
	wall_end(p);
	errno = rc;
	return err_set_sys(err, ERR_AGAIN, "the decode process cannot be started");
}

/* No more orders: the worker ends, then its keeper. If not, the kernel ends the worker when its keeper is gone. */
void
wall_end(struct wall_process *p)
{
	struct wall_word word;

	if (p->orders >= 0)
		close(p->orders);
	if (p->pid > 0) {
		while (wall_hear(p, END_MS, &word) == 1)
			;
		(void)kill(p->pid, SIGKILL);
		while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (p->words >= 0)
		close(p->words);
	*p = (struct wall_process){ .orders = -1, .words = -1 };
}

int
wall_hear(const struct wall_process *p, int ms, struct wall_word *ret)
{
	struct pollfd pollfd = { .fd = p->words, .events = POLLIN };
	ssize_t n;

	if (p->words < 0)
		return -1;
	while ((n = poll(&pollfd, 1, ms)) < 0 && errno == EINTR)
		;
	if (n <= 0)
		return n == 0 ? 0 : -1;
	while ((n = read(p->words, ret, sizeof(*ret))) < 0 && errno == EINTR)
		;
	return n == sizeof(*ret) ? 1 : -1;
}

int
wall_order(const struct wall_process *p, const struct wall_order *order)
{
	ssize_t n;

	if (p->orders < 0)
		return -1;
	while ((n = write(p->orders, order, sizeof(*order))) < 0 && errno == EINTR)
		;
	return n == sizeof(*order) ? 0 : -1;
}
