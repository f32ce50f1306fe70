/* file_track.c - the files that source `file` knows: by inode, by path, and which of them are open. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/hash.h"
#include "base/own.h"
#include "base/stat.h"
#include "base/sys.h"
#include "source/file_source.h"
#include "source/source.h"

#define LEFT_TOLD	8	/* of the files that are not followed, so many are named; the counter has them all */

/* ---- tables ---------------------------------------------------------------- */

static struct file_tail **
ino_chain(const struct file_source *fs, uint64_t ino)
{
	return (struct file_tail **)(uintptr_t)&fs->by_ino[hash_keyed(&ino, sizeof(ino)) % FILE_BUCKETS];
}

static struct file_tail **
path_chain(const struct file_source *fs, const char *path)
{
	return (struct file_tail **)(uintptr_t)&fs->by_path[hash_keyed(path, strlen(path)) % FILE_BUCKETS];
}

static struct file_tail *
by_inode(const struct file_source *fs, const struct stat *st)
{
	struct file_tail *t = *ino_chain(fs, st->st_ino);

	while (t != NULL && (t->ino != st->st_ino || t->dev != st->st_dev))
		t = t->next_ino;
	return t;
}

struct file_tail *
file_track_by_path(const struct file_source *fs, const char *path)
{
	struct file_tail *t = *path_chain(fs, path);

	while (t != NULL && strcmp(t->path, path) != 0)
		t = t->next_path;
	return t;
}

static void
unlink_path(struct file_source *fs, struct file_tail *t)
{
	struct file_tail **at = path_chain(fs, t->path);

	while (*at != t)
		at = &(*at)->next_path;
	*at = t->next_path;
}

static void
link_path(struct file_source *fs, struct file_tail *t)
{
	struct file_tail **at = path_chain(fs, t->path);

	t->next_path = *at;
	*at = t;
}

void
file_track_unname(struct file_source *fs, struct file_tail *t)
{
	if (t->unnamed_ms != 0)
		return;
	file_debug(fs, "%.200s: the name leads to another file now, or none; the rest of the old one is still read", t->path);
	unlink_path(fs, t);
	t->unnamed_ms = clock_mono_ms() | 1;
	fs->nunnamed++;
	file_watch_tail(fs, t);
	file_ready(fs, t);
}

static void
name(struct file_source *fs, struct file_tail *t, const char *path)
{
	char *copy = strdup(path);

	if (copy == NULL)
		return;			/* stays unnamed; its descriptor is still good */
	if (t->unnamed_ms == 0)
		unlink_path(fs, t);
	else
		fs->nunnamed--;
	t->unnamed_ms = 0;
	file_debug(fs, "%.120s: is now called %.120s", t->path, copy);
	free(t->path);
	t->path = copy;
	link_path(fs, t);
}

void
file_track_each(struct file_source *fs, void (*see)(struct file_source *, struct file_tail *))
{
	for (size_t i = 0; i < FILE_BUCKETS; i++)
		for (struct file_tail *t = fs->by_ino[i], *next; t != NULL; t = next) {
			next = t->next_ino;
			see(fs, t);
		}
}

/* ---- open descriptors, the latest used first --------------------------------- */

static void
unlink_open(struct file_source *fs, struct file_tail *t)
{
	*(t->newer != NULL ? &t->newer->older : &fs->newest) = t->older;
	*(t->older != NULL ? &t->older->newer : &fs->oldest) = t->newer;
	t->newer = t->older = NULL;
}

static void
link_open(struct file_source *fs, struct file_tail *t)
{
	t->older = fs->newest;
	t->newer = NULL;
	*(fs->newest != NULL ? &fs->newest->newer : &fs->oldest) = t;
	fs->newest = t;
}

void
file_track_close(struct file_source *fs, struct file_tail *t)
{
	if (t->fd < 0)
		return;
	unlink_open(fs, t);
	fs->nopen--;
	sys.close(t->fd);
	t->fd = -1;
}

/* Closes the one that was left alone longest; never one that could not be opened again. */
static bool
close_oldest(struct file_source *fs)
{
	for (struct file_tail *t = fs->oldest; t != NULL; t = t->newer)
		if (t->unnamed_ms == 0 && t->gz == NULL) {
			file_track_close(fs, t);
			return true;
		}
	return false;
}

static int
open_path(struct file_source *fs, const char *path, struct stat *st)
{
	const int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY;
	int fd;

	while (fs->nopen >= FILE_OPEN_MOST && close_oldest(fs))
		;
	fd = sys.open(path, flags, 0);
	if (fd < 0 && (errno == EMFILE || errno == ENFILE) && close_oldest(fs))
		fd = sys.open(path, flags, 0);
	if (fd >= 0 && sys.fstat(fd, st) != 0) {
		sys.close(fd);
		fd = -1;
	}
	return fd;
}

void
file_track_complain(struct file_source *fs, const char *path, int error)
{
	if (error == ENOENT || error == ENOTDIR)
		return;
	fs->trouble = true;
	if (error == EACCES || error == EPERM)
		file_complain(fs, path, "permission denied",
		    "add the user aispm-agent to the file's group or grant it by setfacl; it is tried again");
	else
		file_complain(fs, path, strerror(error), "it is tried again");
}

int
file_track_open(struct file_source *fs, struct file_tail *t)
{
	struct stat st;

	if (t->fd >= 0) {
		unlink_open(fs, t);
		link_open(fs, t);
		return t->fd;
	}
	if (t->unnamed_ms != 0)
		return -1;
	t->fd = open_path(fs, t->path, &st);
	if (t->fd < 0) {
		int error = errno;

		file_track_complain(fs, t->path, error);
		if (error == ENOENT)
			file_track_unname(fs, t);
		else
			t->again = error != EACCES && error != EPERM;
		return -1;
	}
	link_open(fs, t);
	fs->nopen++;
	if (st.st_ino != t->ino || st.st_dev != t->dev) {	/* replaced: its name is another's now */
		file_track_close(fs, t);
		file_track_unname(fs, t);
		fs->walk_due = true;
		return -1;
	}
	t->changed = true;
	return t->fd;
}

/* ---- taking up and dropping ---------------------------------------------------- */

static struct file_tail *
make_tail(const char *path, int fd, const struct stat *st)
{
	struct file_tail *t = calloc(1, sizeof(*t));

	if (t == NULL || (t->path = strdup(path)) == NULL) {
		free(t);
		return NULL;
	}
	t->fd = fd;
	t->wd = -1;
	t->dev = st->st_dev;
	t->ino = st->st_ino;
	t->size = (uint64_t)st->st_size;
	t->mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
	return t;
}

static void
link_tail(struct file_source *fs, struct file_tail *t)
{
	struct file_tail **chain = ino_chain(fs, t->ino);
	struct stat at_name;

	t->next_ino = *chain;
	*chain = t;
	link_path(fs, t);
	link_open(fs, t);
	fs->nopen++;
	fs->nfiles++;
	t->scan = fs->scan;
	t->link = lstat(t->path, &at_name) == 0 && S_ISLNK(at_name.st_mode);
	if (t->link)
		file_watch_tail(fs, t);		/* its directory does not tell of it */
	if (fs->starting && fs->s->once && !t->done) {
		t->awaited = true;
		t->target = t->size;
		fs->nawaited++;
	}
	file_ready(fs, t);
}

bool
file_track_is_own(struct file_source *fs, const char *path, int fd, const struct stat *st)
{
	if (own_is(fd, st))
		file_complain(fs, path, "a sink of this agent writes it, so its events would come in again", "not read; make the paths narrower, or remove the link");
	else if (own_is_in_dir(fd))
		file_complain(fs, path, "it lies in the agent's own state directory", "not read; remove the link");
	else
		return false;
	return true;
}

static void
adopt(struct file_source *fs, const char *path, bool wanted)
{
	struct file_tail *t = NULL;
	struct stat st;
	int fd;

	if (fs->nfiles >= fs->max_files) {
		fs->trouble = true;		/* others may go */
		if (fs->nleft++ < LEFT_TOLD)
			file_complain(fs, path, "not followed, the source has max_files of them already", "make the paths narrower, or raise max_files; it is tried again");
		return;
	}
	fd = open_path(fs, path, &st);
	if (fd < 0) {
		file_track_complain(fs, path, errno);
		return;
	}
	if (S_ISREG(st.st_mode) && by_inode(fs, &st) == NULL && !file_track_is_own(fs, path, fd, &st)) {
		t = make_tail(path, fd, &st);
		if (t == NULL)
			fs->trouble = true;
	}
	if (t != NULL && file_place(fs, t, &st, wanted)) {
		link_tail(fs, t);
		file_debug(fs, "%.200s: taken up, from byte %llu of %llu%s", t->path, (unsigned long long)t->offset, (unsigned long long)t->size,
		    t->gzip ? " (gzip)" : "");
		return;
	}
	if (t != NULL)
		free(t->path);
	free(t);
	sys.close(fd);
}

static bool
leads_to(const char *path, const struct file_tail *t)
{
	struct stat st;

	return sys.stat(path, &st) == 0 && st.st_ino == t->ino && st.st_dev == t->dev;
}

static void
look_again(struct file_source *fs, struct file_tail *t, const char *path, const struct stat *st)
{
	int64_t mtime_ns = (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;

	t->scan = fs->scan;
	if (t->unnamed_ms != 0 || (strcmp(t->path, path) != 0 && !leads_to(t->path, t)))
		name(fs, t, path);
	if (fs->touch_all || t->again || t->mtime_ns != mtime_ns || t->size != (uint64_t)st->st_size)
		file_ready(fs, t);
}

void
file_track_look(struct file_source *fs, const char *path, bool wanted)
{
	struct file_tail *t, *old = file_track_by_path(fs, path);
	struct stat st;

	if (sys.stat(path, &st) != 0) {
		if (wanted)
			file_track_complain(fs, path, errno);
		return;
	}
	if (!S_ISREG(st.st_mode)) {
		if (wanted)
			file_complain(fs, path, "not a regular file", "only regular files are read");
		return;
	}
	t = by_inode(fs, &st);
	if (old != NULL && old != t)
		file_track_unname(fs, old);
	if (t != NULL)
		look_again(fs, t, path, &st);
	else if (wanted || file_place_is_inode(fs, st.st_ino))
		adopt(fs, path, wanted);
}

bool
file_track_is_inode(const struct file_source *fs, uint64_t ino)
{
	if (file_place_is_inode(fs, ino))
		return true;
	for (const struct file_tail *t = *ino_chain(fs, ino); t != NULL; t = t->next_ino)
		if (t->ino == ino)
			return true;
	return false;
}

static void
free_tail(struct file_source *fs, struct file_tail *t)
{
	file_read_free_gzip(fs, t);
	file_watch_forget(fs, t);
	file_track_close(fs, t);
	free(t->path);
	free(t);
}

void
file_track_drop(struct file_source *fs, struct file_tail *t)
{
	struct file_tail **at = ino_chain(fs, t->ino);

	assert(!t->ready);
	file_debug(fs, "%.200s: left, at byte %llu", t->path, (unsigned long long)t->offset);
	while (*at != t)
		at = &(*at)->next_ino;
	*at = t->next_ino;
	if (t->unnamed_ms == 0)
		unlink_path(fs, t);
	else
		fs->nunnamed--;
	file_read_settle(fs, t);
	fs->lag -= t->lag;
	fs->nfiles--;
	file_place_forget(fs, t->pos.stream);
	free_tail(fs, t);
}

void
file_track_free(struct file_source *fs)
{
	file_track_each(fs, free_tail);
	file_place_free(fs);
}
