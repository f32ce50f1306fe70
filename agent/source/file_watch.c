/*
 * file_watch.c - how source `file` hears of its files.
 *
 * A walk goes down each pattern, watches every directory that decides what the pattern matches, and looks at what is
 * there. After that inotify tells; the clock is asked only for network file systems, which do not, and after trouble.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/sys.h"
#include "source/file_source.h"
#include "source/source.h"

#define WATCHES_MOST	16384
#define EVENTS_BYTES	65536
#define WALK_SOON_MS	20
#define POLL_MS		2000
#define TROUBLE_MS	60000
#define UNNAMED_KEEP_MS	600000
#define DIR_EVENTS	(IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | \
			    IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)
#define TAIL_EVENTS	(IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

/* ---- watches ---------------------------------------------------------------- */

static struct file_watch **
watch_at(struct file_source *fs, int wd)
{
	struct file_watch **at = &fs->watches[(unsigned)wd % FILE_BUCKETS];

	while (*at != NULL && (*at)->wd != wd)
		at = &(*at)->next;
	return at;
}

static void
drop_watch(struct file_source *fs, struct file_watch **at)
{
	struct file_watch *w = *at;

	*at = w->next;
	fs->nwatches--;
	free(w->dir);
	free(w);
}

/* No inotify for this one: the clock it is. */
static void
fall_back(struct file_source *fs, const char *path)
{
	if (errno == ENOSPC || errno == EMFILE)
		file_complain(fs, path, "no more inotify watches",
		    "raise fs.inotify.max_user_watches; until then it is looked at each 2 s");
	fs->poll = true;
}

static struct file_watch *
add_watch(struct file_source *fs, const char *path, uint32_t events)
{
	struct file_watch **at, *w;
	int wd;

	errno = EMFILE;
	if (fs->inotify_fd < 0 || fs->nwatches >= WATCHES_MOST ||
	    (wd = inotify_add_watch(fs->inotify_fd, path, events)) < 0)
		return NULL;
	at = watch_at(fs, wd);
	if (*at != NULL)
		return *at;
	w = calloc(1, sizeof(*w));
	if (w == NULL) {
		inotify_rm_watch(fs->inotify_fd, wd);
		return NULL;
	}
	w->wd = wd;
	*at = w;
	fs->nwatches++;
	return w;
}

static bool
tells_nothing(const char *dir)
{
	struct statfs st;

	if (statfs(dir, &st) != 0)
		return false;
	switch ((unsigned long)st.f_type & 0xffffffff) {
	case 0x6969:		/* NFS */
	case 0xff534d42:	/* CIFS */
	case 0xfe534d42:	/* SMB 2 */
	case 0x517b:		/* SMB */
	case 0x65735546:	/* FUSE */
	case 0x01021997:	/* 9P */
	case 0x00c36400:	/* Ceph */
	case 0x0bd00bd0:	/* Lustre */
	case 0x5346414f:	/* AFS */
	case 0x01161970:	/* GFS2 */
		return true;
	}
	return false;
}

static void
watch_dir(struct file_source *fs, const char *dir)
{
	struct file_watch *w = add_watch(fs, dir, DIR_EVENTS);

	if (tells_nothing(dir))
		fs->poll = true;
	if (w == NULL) {
		if (errno == EACCES)
			file_track_complain(fs, dir, errno);
		else if (errno != ENOENT && errno != ENOTDIR)
			fall_back(fs, dir);
		return;
	}
	if (w->dir == NULL && w->tail == NULL)
		w->dir = strdup(dir);
	if (w->dir == NULL)
		fs->trouble = true;
}

void
file_watch_tail(struct file_source *fs, struct file_tail *t)
{
	struct file_watch *w;
	char path[64];

	if (t->wd >= 0 || t->fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", t->fd);	/* the inode itself, whatever it is called */
	w = add_watch(fs, path, TAIL_EVENTS);
	if (w == NULL || w->dir != NULL || w->tail != NULL) {
		fs->trouble = true;
		return;
	}
	w->tail = t;
	t->wd = w->wd;
}

void
file_watch_forget(struct file_source *fs, struct file_tail *t)
{
	struct file_watch **at;

	if (t->wd < 0)
		return;
	at = watch_at(fs, t->wd);
	if (*at != NULL && (*at)->tail == t) {
		inotify_rm_watch(fs->inotify_fd, t->wd);
		drop_watch(fs, at);
	}
	t->wd = -1;
}

/* ---- walking ---------------------------------------------------------------- */

static bool
has_magic(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strchr("*?[\\", s[i]) != NULL)
			return true;
	return false;
}

static DIR *
open_dir(struct file_source *fs, const char *dir)
{
	DIR *d = opendir(dir);

	if (d == NULL)
		file_track_complain(fs, dir, errno);
	return d;
}

static bool
is_dots(const char *name)
{
	return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* path (n bytes) + "/" + name; false: too long. */
static bool
step_into(char *path, size_t n, const char *name, size_t name_n)
{
	if (n + 1 + name_n + 1 > PATH_MAX)
		return false;
	path[n] = '/';
	memcpy(path + n + 1, name, name_n);
	path[n + 1 + name_n] = '\0';
	return true;
}

static const char *
dir_text(const char *path)
{
	return path[0] != '\0' ? path : "/";
}

/* The files of one directory; also renamed ones that match no more, by their inode. */
static void
list_files(struct file_source *fs, char *path, const char *last)
{
	size_t n = strlen(path);
	DIR *d = open_dir(fs, dir_text(path));
	struct dirent *e;

	while (d != NULL && (e = readdir(d)) != NULL) {
		bool wanted = fnmatch(last, e->d_name, FNM_PERIOD) == 0;

		if (is_dots(e->d_name) || (!wanted && !file_track_is_inode(fs, e->d_ino)))
			continue;
		if (step_into(path, n, e->d_name, strlen(e->d_name)))
			file_track_look(fs, path, wanted);
		path[n] = '\0';
	}
	if (d != NULL)
		closedir(d);
}

static bool
is_dir(struct file_source *fs, const char *path)
{
	struct stat st;

	if (sys.stat(path, &st) == 0)
		return S_ISDIR(st.st_mode);
	file_track_complain(fs, path, errno);
	return false;
}

static void descend(struct file_source *, char *path, const char *rest);

static void
list_dirs(struct file_source *fs, char *path, const char *part, size_t part_n, const char *rest)
{
	char pattern[NAME_MAX * 4 + 1];
	size_t n = strlen(path);
	DIR *d;
	struct dirent *e;

	if (part_n >= sizeof(pattern) || (d = open_dir(fs, dir_text(path))) == NULL)
		return;
	memcpy(pattern, part, part_n);
	pattern[part_n] = '\0';
	while ((e = readdir(d)) != NULL) {
		if (is_dots(e->d_name) || fnmatch(pattern, e->d_name, FNM_PERIOD) != 0)
			continue;
		if (step_into(path, n, e->d_name, strlen(e->d_name)) && is_dir(fs, path))
			descend(fs, path, rest);
		path[n] = '\0';
	}
	closedir(d);
}

/* `path` is a directory (empty: the root), `rest` what of the pattern comes below it. */
static void
descend(struct file_source *fs, char *path, const char *rest)
{
	const char *slash = strchr(rest, '/');
	size_t n = strlen(path), part_n;

	if (slash == NULL) {
		watch_dir(fs, dir_text(path));
		list_files(fs, path, rest);
		return;
	}
	part_n = (size_t)(slash - rest);
	if (has_magic(rest, part_n)) {
		watch_dir(fs, dir_text(path));
		list_dirs(fs, path, rest, part_n, slash + 1);
		return;
	}
	if (step_into(path, n, rest, part_n) && is_dir(fs, path)) {
		descend(fs, path, slash + 1);
		path[n] = '\0';
		return;
	}
	path[n] = '\0';
	watch_dir(fs, dir_text(path));		/* to hear when it comes */
}

static void
look_for_unseen(struct file_source *fs, struct file_tail *t)
{
	struct stat st;

	if (t->unnamed_ms != 0) {
		if (fs->touch_all || t->again)
			file_ready(fs, t);
		return;
	}
	if (t->scan == fs->scan)
		return;
	if (sys.stat(t->path, &st) != 0 || st.st_ino != t->ino || st.st_dev != t->dev)
		file_track_unname(fs, t);
	else
		file_track_look(fs, t->path, false);
}

void
file_watch_walk(struct file_source *fs)
{
	char path[PATH_MAX];

	fs->walk_due = fs->trouble = fs->poll = false;
	fs->nleft = 0;
	fs->scan++;
	for (size_t i = 0; i < fs->npatterns; i++) {
		path[0] = '\0';
		descend(fs, path, fs->patterns[i] + 1);
	}
	file_track_each(fs, look_for_unseen);
	fs->touch_all = false;
}

/* ---- events ----------------------------------------------------------------- */

static bool
is_wanted(const struct file_source *fs, const char *path)
{
	for (size_t i = 0; i < fs->npatterns; i++)
		if (fnmatch(fs->patterns[i], path, FNM_PATHNAME | FNM_PERIOD) == 0)
			return true;
	return false;
}

static void
hear_name(struct file_source *fs, const char *dir, const struct inotify_event *e)
{
	char path[PATH_MAX];
	struct file_tail *t;
	int n = snprintf(path, sizeof(path), "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, e->name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return;
	t = file_track_by_path(fs, path);
	if (e->mask & (IN_MOVED_FROM | IN_DELETE)) {
		if (t != NULL)
			file_track_unname(fs, t);
	} else if (t != NULL && !(e->mask & (IN_CREATE | IN_MOVED_TO))) {
		file_ready(fs, t);
	} else if (is_wanted(fs, path)) {
		file_track_look(fs, path, true);
	} else if (e->mask & (IN_CREATE | IN_MOVED_TO)) {
		file_track_look(fs, path, false);
	}
}

static void
hear(struct file_source *fs, const struct inotify_event *e)
{
	struct file_watch **at;

	if (e->mask & IN_Q_OVERFLOW) {
		fs->walk_due = fs->touch_all = true;
		return;
	}
	at = watch_at(fs, e->wd);
	if (*at == NULL)
		return;
	if ((*at)->tail != NULL) {
		if (e->mask & IN_IGNORED)
			(*at)->tail->wd = -1;
		else
			file_ready(fs, (*at)->tail);
	} else if (e->len > 0 && !(e->mask & IN_ISDIR) && (*at)->dir != NULL) {
		hear_name(fs, (*at)->dir, e);
	} else if (e->mask & ~(uint32_t)(IN_MODIFY | IN_CLOSE_WRITE | IN_ISDIR)) {
		fs->walk_due = true;
	}
	if (e->mask & IN_MOVE_SELF)
		inotify_rm_watch(fs->inotify_fd, e->wd);	/* its path is another's now; the walk finds it again */
	at = watch_at(fs, e->wd);
	if ((e->mask & (IN_IGNORED | IN_MOVE_SELF)) && *at != NULL)
		drop_watch(fs, at);
}

static void
on_events(void *arg, unsigned ready)
{
	static const size_t head = sizeof(struct inotify_event);
	struct file_source *fs = arg;
	_Alignas(struct inotify_event) char buf[EVENTS_BYTES];
	ssize_t n = sys.read(fs->inotify_fd, buf, sizeof(buf));

	(void)ready;
	fs->now_ms = clock_wall_ms();
	for (size_t at = 0; n > 0 && at + head <= (size_t)n;) {
		const struct inotify_event *e = (const struct inotify_event *)(const void *)(buf + at);

		if (e->len > (size_t)n - at - head)
			break;
		hear(fs, e);
		at += head + e->len;
	}
	file_watch_plan(fs);
}

/* ---- by the clock -------------------------------------------------------------- */

/* What was moved or removed, and then silent for long, is let go. */
static void
let_go(struct file_source *fs, struct file_tail *t)
{
	if (t->unnamed_ms != 0 && !t->ready && clock_mono_ms() - t->unnamed_ms >= UNNAMED_KEEP_MS)
		file_track_drop(fs, t);
}

static void
walk_now(void *arg)
{
	struct file_source *fs = arg;

	fs->now_ms = clock_wall_ms();
	file_watch_walk(fs);
	if (fs->nunnamed > 0)
		file_track_each(fs, let_go);
	file_watch_plan(fs);
}

void
file_watch_plan(struct file_source *fs)
{
	uint64_t wait_ms = 0;

	if (fs->walk_due)
		wait_ms = WALK_SOON_MS;
	else if (fs->poll)
		wait_ms = POLL_MS;
	else if (fs->trouble || fs->nunnamed > 0)
		wait_ms = TROUBLE_MS;
	if (wait_ms > 0 && (!loop_timer_is_set(fs->walk_timer) || (fs->walk_due && !fs->walk_planned)))
		loop_timer_set(fs->walk_timer, wait_ms);
	fs->walk_planned = fs->walk_due;
}

/* ---- life -------------------------------------------------------------------- */

int
file_watch_start(struct file_source *fs, struct err *err)
{
	fs->walk_timer = loop_timer_new(fs->s->loop, walk_now, fs, err);
	if (fs->walk_timer == NULL)
		return -1;
	fs->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (fs->inotify_fd < 0) {
		file_complain(fs, "paths", "no inotify instance to be had",
		    "raise fs.inotify.max_user_instances; until then files are looked at each 2 s");
		return 0;
	}
	fs->inotify_loop = loop_watch(fs->s->loop, fs->inotify_fd, LOOP_READ, on_events, fs, err);
	return fs->inotify_loop != NULL ? 0 : -1;
}

void
file_watch_free(struct file_source *fs)
{
	for (size_t i = 0; i < FILE_BUCKETS; i++)
		while (fs->watches[i] != NULL)
			drop_watch(fs, &fs->watches[i]);
	loop_unwatch(fs->inotify_loop);
	if (fs->inotify_fd >= 0)
		sys.close(fs->inotify_fd);
	loop_timer_free(fs->walk_timer);
}
