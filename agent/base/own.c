/* own.c - the list of our own files. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/own.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"

#define CLOSED_MOST	64

struct own {
	struct own	*next;
	uint64_t	 dev, ino;
	int64_t		 born_ns;	/* 0: not known */
	unsigned	 open;		/* descriptors */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct own *files;		/* the newest first */
static char own_dir[PATH_MAX];

static int64_t
born_ns(int fd)
{
	struct statx st;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) != 0 || !(st.stx_mask & STATX_BTIME))
		return 0;
	return (int64_t)st.stx_btime.tv_sec * 1000000000 + st.stx_btime.tv_nsec;
}

static struct own *
find(uint64_t dev, uint64_t ino, bool open)
{
	struct own *f = files;

	while (f != NULL && (f->dev != dev || f->ino != ino || (open && f->open == 0)))
		f = f->next;
	return f;
}

/* Closed ones that can be told no more, or are too many. */
static void
tidy(void)
{
	unsigned closed = 0;

	for (struct own **at = &files; *at != NULL;) {
		struct own *f = *at;

		if (f->open > 0 || (f->born_ns != 0 && ++closed <= CLOSED_MOST)) {
			at = &f->next;
			continue;
		}
		*at = f->next;
		free(f);
	}
}

int
own_add(int fd, struct err *err)
{
	struct own *f;
	struct stat st;
	int rc = 0;

	if (sys.fstat(fd, &st) != 0)
		return err_set_sys(err, ERR_AGAIN, "cannot look at an open file");
	pthread_mutex_lock(&lock);
	f = find(st.st_dev, st.st_ino, true);
	if (f != NULL) {
		f->open++;
	} else if ((f = calloc(1, sizeof(*f))) != NULL) {
		*f = (struct own){ .next = files, .dev = st.st_dev, .ino = st.st_ino, .born_ns = born_ns(fd), .open = 1 };
		files = f;
	} else {
		rc = err_set(err, ERR_AGAIN, "no memory to remember a file");
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

void
own_closed(int fd)
{
	struct stat st;
	struct own *f;

	if (sys.fstat(fd, &st) != 0)
		return;
	pthread_mutex_lock(&lock);
	f = find(st.st_dev, st.st_ino, true);
	if (f != NULL && --f->open == 0)
		tidy();
	pthread_mutex_unlock(&lock);
}

bool
own_is(int fd, const struct stat *st)
{
	int64_t born = 0;
	bool is = false;

	pthread_mutex_lock(&lock);
	for (const struct own *f = files; f != NULL && !is; f = f->next) {
		if (f->ino != st->st_ino || f->dev != st->st_dev)
			continue;
		if (f->open == 0 && born == 0)
			born = born_ns(fd);
		is = f->open > 0 || f->born_ns == born;
	}
	pthread_mutex_unlock(&lock);
	return is;
}

void
own_set_dir(const char *dir)
{
	char real[PATH_MAX] = "";

	if (dir != NULL && realpath(dir, real) == NULL)
		real[0] = '\0';
	pthread_mutex_lock(&lock);
	memcpy(own_dir, real, sizeof(own_dir));
	pthread_mutex_unlock(&lock);
}

bool
own_is_in_dir(int fd)
{
	char link[32], path[PATH_MAX];
	ssize_t n;
	size_t of;
	bool is;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	pthread_mutex_lock(&lock);
	of = strlen(own_dir);
	is = of > 1 && strncmp(path, own_dir, of) == 0 && path[of] == '/';
	pthread_mutex_unlock(&lock);
	return is;
}
