/*
 * file.c - sink `file`: one event a line, appended to a local file.
 *
 * A batch counts when all its lines are in the file and the file is synced. A write that fails half way is cut
 * off again, and what a crash left of a line is cut off at the next start, so readers only ever see whole lines.
 * Writing may block (a slow disk, a dead network mount), so it has a thread of its own.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/own.h"
#include "base/sys.h"
#include "sinks/batch.h"
#include "sinks/sink.h"

#define TAIL_BYTES	65536

struct file_sink {
	struct sink		*sink;
	char			*path;
	mode_t			 mode;
	int			 done_fd;	/* eventfd: the writer has an answer */
	struct loop_fd		*watch;
	pthread_t		 writer;
	bool			 running;

	pthread_mutex_t		 lock;
	pthread_cond_t		 knock;
	const struct batch	*job;		/* guarded by lock, as are the two below */
	bool			 answered, stop, reopen;
	int			 result;
	struct err		 err;

	/* the writer's alone */
	int			 fd, claim_fd;	/* claim: of what is there at the start, until it is opened for writing */
	bool			 regular;
	off_t			 size;
};

/* What an earlier run wrote is ours before the first batch comes: a source may look at it first, by another name. */
static void
claim(struct file_sink *f)
{
	struct stat st;

	f->claim_fd = sys.open(f->path, O_RDONLY | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (f->claim_fd < 0)
		return;
	if (sys.fstat(f->claim_fd, &st) == 0 && S_ISREG(st.st_mode) && own_add(f->claim_fd, NULL) == 0)
		return;
	sys.close(f->claim_fd);
	f->claim_fd = -1;
}

static void
drop_claim(struct file_sink *f)
{
	if (f->claim_fd < 0)
		return;
	own_closed(f->claim_fd);
	sys.close(f->claim_fd);
	f->claim_fd = -1;
}

static void
close_file(struct file_sink *f)
{
	if (f->fd >= 0) {
		own_closed(f->fd);
		sys.close(f->fd);
	}
	f->fd = -1;
}

/* Ends of lines only: what a crash left behind the last newline goes. */
static int
cut_torn_line(struct file_sink *f, struct err *err)
{
	char tail[TAIL_BYTES];
	off_t at = f->size;

	while (at > 0) {
		size_t n = at < TAIL_BYTES ? (size_t)at : TAIL_BYTES;
		char *nl;

		if (sys_pread_full(f->fd, tail, n, at - (off_t)n) != (ssize_t)n)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot read its end", f->path);
		nl = memrchr(tail, '\n', n);
		if (nl != NULL) {
			at = at - (off_t)n + (nl - tail) + 1;
			break;
		}
		at -= (off_t)n;
	}
	if (at == f->size)
		return 0;
	if (sys.ftruncate(f->fd, at) != 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot cut an unfinished line", f->path);
	f->size = at;
	return 0;
}

static int
sync_parent(const char *path, struct err *err)
{
	char *copy = strdup(path);
	int rc;

	if (copy == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	rc = sys_sync_dir(dirname(copy), err);
	free(copy);
	return rc;
}

/* Anything else could block for ever, or be somebody's trap: a link, a pipe without a reader. /dev/null is for trying things out. */
static int
check_kind(const char *path, const struct stat *st, struct err *err)
{
	if (S_ISREG(st->st_mode) || (S_ISCHR(st->st_mode) && st->st_rdev == makedev(1, 3)))
		return 0;
	return err_set(err, ERR_DENIED, "%s is %s; allowed: a regular file", path, S_ISLNK(st->st_mode) ?
	    "a symbolic link, which is not followed here (links among its directories are)" : S_ISFIFO(st->st_mode) ? "a pipe" :
	    S_ISDIR(st->st_mode) ? "a directory" : S_ISSOCK(st->st_mode) ? "a socket" : "a device");
}

static int
open_failed(const char *path, struct err *err)
{
	const int error = errno;
	struct stat st;

	if ((error == ELOOP || error == EISDIR || error == ENXIO) && lstat(path, &st) == 0 && check_kind(path, &st, err) != 0)
		return -1;
	errno = error;
	return err_set_sys(err, error == EACCES || error == EPERM || error == EROFS ? ERR_DENIED : ERR_AGAIN, "%s: cannot open for writing", path);
}

static int
open_file(struct file_sink *f, struct err *err)
{
	struct stat st;

	f->fd = sys.open(f->path, O_RDWR | O_CREAT | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK, f->mode);
	if (f->fd < 0)
		return open_failed(f->path, err);
	if (sys.fstat(f->fd, &st) != 0) {
		err_set_sys(err, ERR_AGAIN, "%s", f->path);
		goto fail;
	}
	if (check_kind(f->path, &st, err) != 0)
		goto fail;
	f->regular = S_ISREG(st.st_mode);
	f->size = f->regular ? st.st_size : 0;
	if (f->regular && (own_add(f->fd, err) != 0 || sync_parent(f->path, err) != 0 || cut_torn_line(f, err) != 0))
		goto fail;
	drop_claim(f);
	return 0;
fail:
	close_file(f);
	return -1;
}

/* Rotation renames, removes or empties the file under us, or someone else writes to it: then it is opened anew, at its end. */
static bool
is_still_there(const struct file_sink *f)
{
	struct stat at, of;

	return sys.stat(f->path, &at) == 0 && sys.fstat(f->fd, &of) == 0 &&
	    at.st_dev == of.st_dev && at.st_ino == of.st_ino && (!f->regular || of.st_size == f->size);
}

static int
append(struct file_sink *f, struct slice bytes, struct err *err)
{
	int rc = f->regular ? sys_pwrite_full(f->fd, bytes.p, bytes.n, f->size) :
	    sys_write_full(f->fd, bytes.p, bytes.n);

	if (rc == 0 && f->regular)
		rc = sys.fdatasync(f->fd);
	if (rc == 0) {
		f->size += (off_t)bytes.n;
		return 0;
	}
	err_set_sys(err, errno == EACCES || errno == EPERM ? ERR_DENIED : ERR_AGAIN, "%s: cannot write", f->path);
	if (f->regular && sys.ftruncate(f->fd, f->size) != 0)
		f->size = -1;			/* opened anew, the torn line is cut there */
	close_file(f);
	return -1;
}

/* Only looked at: another process may be writing to it. */
static int
look_at(const char *path, struct err *err)
{
	struct stat st;
	char *copy;
	int rc;

	if (lstat(path, &st) == 0 && check_kind(path, &st, err) != 0)
		return -1;
	if (access(path, W_OK) == 0)
		return 0;
	if (errno != ENOENT)
		return err_set_sys(err, ERR_DENIED, "%s: cannot be written by this user", path);
	copy = strdup(path);
	rc = copy != NULL && access(dirname(copy), W_OK | X_OK) == 0 ? 0 :
	    err_set_sys(err, ERR_DENIED, "%s: cannot be made by this user", path);
	free(copy);
	return rc;
}

static int
write_batch(struct file_sink *f, const struct batch *b, bool reopen, struct err *err)
{
	if (b->n == 0)
		return look_at(f->path, err);
	if (f->fd >= 0 && (reopen || !is_still_there(f)))
		close_file(f);
	if (f->fd < 0 && open_file(f, err) != 0)
		return -1;
	return append(f, buf_slice(&b->bytes), err);
}

static void *
write_batches(void *arg)
{
	struct file_sink *f = arg;

	pthread_mutex_lock(&f->lock);
	while (!f->stop) {
		const struct batch *b = f->job;
		bool reopen = f->reopen;
		struct err err = { 0 };
		int rc;

		if (b == NULL || f->answered) {
			pthread_cond_wait(&f->knock, &f->lock);
			continue;
		}
		f->reopen = false;
		pthread_mutex_unlock(&f->lock);
		rc = write_batch(f, b, reopen, &err);
		pthread_mutex_lock(&f->lock);
		f->result = rc;
		f->err = err;
		f->answered = true;
		eventfd_write(f->done_fd, 1);
	}
	pthread_mutex_unlock(&f->lock);
	return NULL;
}

/* On the delivery loop: the writer has an answer. */
static void
hand_over(void *arg, unsigned ready)
{
	struct file_sink *f = arg;
	const struct batch *b = NULL;
	struct err err;
	eventfd_t n;
	int rc;

	(void)ready;
	(void)eventfd_read(f->done_fd, &n);
	pthread_mutex_lock(&f->lock);
	if (f->answered) {
		b = f->job;
		f->job = NULL;
		f->answered = false;
	}
	rc = f->result;
	err = f->err;
	pthread_mutex_unlock(&f->lock);
	if (b == NULL)
		return;
	if (rc == 0)
		sink_answer(f->sink, b, SINK_DELIVERED, 0, NULL);
	else
		sink_answer(f->sink, b, err.kind == ERR_DENIED ? SINK_HELD : SINK_LATER, 0, &err);
}

static void
file_put(struct sink *s, const struct batch *b)
{
	struct file_sink *f = s->priv;

	pthread_mutex_lock(&f->lock);
	assert(f->job == NULL);
	f->job = b;
	pthread_cond_signal(&f->knock);
	pthread_mutex_unlock(&f->lock);
}

static void
file_reopen(struct sink *s)
{
	struct file_sink *f = s->priv;

	pthread_mutex_lock(&f->lock);
	f->reopen = true;
	pthread_mutex_unlock(&f->lock);
}

static void
file_close(struct sink *s)
{
	struct file_sink *f = s->priv;

	if (f == NULL)
		return;
	if (f->running) {
		pthread_mutex_lock(&f->lock);
		f->stop = true;
		pthread_cond_signal(&f->knock);
		pthread_mutex_unlock(&f->lock);
		pthread_join(f->writer, NULL);
	}
	loop_unwatch(f->watch);
	if (f->done_fd >= 0)
		close(f->done_fd);
	close_file(f);
	drop_claim(f);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->knock);
	free(f->path);
	free(f);
	s->priv = NULL;
}

static int
file_open(struct sink *s, const struct conf *conf, struct err *err)
{
	struct file_sink *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a sink");
	s->priv = f;
	f->sink = s;
	f->fd = f->claim_fd = -1;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->knock, NULL);
	f->mode = (mode_t)strtoul(conf_text(conf, "mode"), NULL, 8);
	f->path = strdup(conf_text(conf, "path"));
	f->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->path == NULL || f->done_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "no memory or descriptor for a sink");
	claim(f);
	f->watch = loop_watch(s->loop, f->done_fd, LOOP_READ, hand_over, f, err);
	if (f->watch == NULL)
		return -1;
	if (pthread_create(&f->writer, NULL, write_batches, f) != 0)
		return err_set(err, ERR_AGAIN, "no thread for a sink");
	f->running = true;
	return 0;
}

static const char *
wrong_path(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] == '/' ? NULL : "an absolute path";
}

static const char *
wrong_mode(const struct conf *block, const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	(void)block;
	return *text != '\0' && *end == '\0' && mode <= 0666 && (mode & 0111) == 0 ? NULL : "octal, such as 0640";
}

static const struct conf_key file_keys[] = {
	{ .name = "path", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "an absolute path", .wrong = wrong_path,
	  .help = "file to append to, no link, pipe or device; begun anew after rotation and on SIGHUP" },
	{ .name = "mode", .type = CONF_TEXT, .fallback = "0640", .allowed = "octal, such as 0640", .wrong = wrong_mode,
	  .help = "permissions of a file that the agent makes" },
	CONF_END
};

const struct sink_kind sink_kind_file = {
	.name = "file",
	.help = "one event a line in a local file",
	.format = "json",
	.formats = "json|cef|ocsf|commonsecuritylog",
	.open_bytes = "",
	.between_bytes = "\n",
	.close_bytes = "\n",
	.max_bytes = 4 << 20,
	.max_entries = 20000,
	.max_in_flight = 1,
	.keys = file_keys,
	.open = file_open,
	.put = file_put,
	.reopen = file_reopen,
	.close = file_close,
};
