/* state.c - the state directory: who owns it, and who we are. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "run/agent.h"

#define LOCK_TRIES	50	/* of 100 ms: a restart overlaps with the end of the old agent */

int
state_path(const char *state_dir, const char *name, char *ret, size_t n, struct err *err)
{
	int need = snprintf(ret, n, "%s/%s", state_dir, name);

	if (need < 0 || (size_t)need >= n)
		return err_set(err, ERR_CONFIG, "agent.state_dir: the path is too long");
	return 0;
}

int
state_dir_make(const char *state_dir, struct err *err)
{
	struct stat st;

	if (sys.mkdir(state_dir, 0700) == 0)
		return 0;
	if (errno != EEXIST)
		return err_set_sys(err, ERR_CONFIG, "agent.state_dir: cannot make %s", state_dir);
	if (sys.stat(state_dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return err_set(err, ERR_CONFIG, "agent.state_dir: %s is not a directory", state_dir);
	if (access(state_dir, R_OK | W_OK | X_OK) != 0)
		return err_set_sys(err, ERR_CONFIG, "agent.state_dir: %s cannot be written by this user", state_dir);
	return 0;
}

static void
say_holder(int fd, const char *path, struct err *err)
{
	char pid[24] = "";
	ssize_t n = sys.pread(fd, pid, sizeof(pid) - 1, 0);

	if (n > 0)
		pid[strcspn(pid, "\n")] = '\0';
	err_set(err, ERR_CONFIG, "%s: another aispm-agent (process %s) works on this state directory; "
	    "stop it, or give this one its own agent.state_dir", path, n > 0 ? pid : "unknown");
	err->sys = EWOULDBLOCK;
}

int
state_lock(const char *state_dir, int *ret_fd, struct err *err)
{
	const struct timespec nap = { 0, 100 * 1000 * 1000 };
	char path[4096], pid[24];
	int fd, n;

	if (state_path(state_dir, "lock", path, sizeof(path), err) != 0)
		return -1;
	fd = sys.open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_sys(err, ERR_CONFIG, "agent.state_dir: cannot open %s", path);
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; i++) {
		if (i == LOCK_TRIES) {
			say_holder(fd, path, err);
			close(fd);
			return -1;
		}
		nanosleep(&nap, NULL);
	}
	n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (sys.ftruncate(fd, 0) != 0 || sys_pwrite_full(fd, pid, (size_t)n, 0) != 0) {
		err_set_sys(err, ERR_AGAIN, "%s: cannot write", path);
		close(fd);
		return -1;
	}
	*ret_fd = fd;
	return 0;
}

static bool
is_agent_id(struct slice s)
{
	if (s.n != 32)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (strchr("0123456789abcdef", s.p[i]) == NULL)
			return false;
	return true;
}

int
state_agent_id(const char *state_dir, char ret[33], struct err *err)
{
	unsigned char raw[16];
	char path[4096];
	struct buf b;
	struct stat st;
	int rc = -1;

	buf_init(&b, 256);
	if (state_path(state_dir, "agent_id", path, sizeof(path), err) != 0)
		goto out;
	if (sys.stat(path, &st) == 0) {
		if (buf_read_file(&b, path, err) != 0)
			goto out;
		if (!is_agent_id(slice_trim(buf_slice(&b)))) {
			err_set(err, ERR_CONFIG, "%s is not 32 hex digits; remove it to make a new identity", path);
			goto out;
		}
		memcpy(ret, slice_trim(buf_slice(&b)).p, 32);
	} else {
		random_bytes(raw, sizeof(raw));
		buf_put_hex(&b, raw, sizeof(raw));
		buf_putc(&b, '\n');
		if (b.failed || sys_replace_file(path, b.p, b.n, err) != 0)
			goto out;
		memcpy(ret, b.p, 32);
	}
	ret[32] = '\0';
	rc = 0;
out:
	buf_fini(&b);
	return rc;
}
