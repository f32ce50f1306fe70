/* disk.c - every inode has a number of its own here, since the kernel uses inode numbers again. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct entry {
	char	*name;
	size_t	 node;
};

struct node {
	uint64_t	 ino;
	bool		 dir, gone;	/* gone: its inode number is another's now */
	char		*bytes;		/* durable content; NULL: none yet */
	size_t		 n;
	struct entry	*entries;	/* durable names */
};

static struct node *nodes;
static size_t nnodes;
static char top[512];

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static size_t
add_node(uint64_t ino, bool dir)
{
	for (size_t i = 0; i < nnodes; i++)
		if (nodes[i].ino == ino)
			nodes[i].gone = true;
	nodes = must(realloc(nodes, (nnodes + 1) * sizeof(*nodes)));
	nodes[nnodes] = (struct node){ .ino = ino, .dir = dir };
	return nnodes++;
}

static size_t
node_of(const struct stat *st)
{
	for (size_t i = 0; i < nnodes; i++)
		if (nodes[i].ino == st->st_ino && !nodes[i].gone)
			return i;
	return add_node(st->st_ino, S_ISDIR(st->st_mode));
}

static void
free_entries(struct node *d)
{
	for (size_t i = 0; d->entries != NULL && i < d->n; i++)
		free(d->entries[i].name);
	free(d->entries);
	d->entries = NULL;
	d->n = 0;
}

/* ---- what is durable from now on ------------------------------------------------------- */

static void
keep_names(size_t at, const char *path)
{
	DIR *d = must(opendir(path));
	struct dirent *e;

	free_entries(&nodes[at]);
	while ((e = readdir(d)) != NULL) {
		char child[1024];
		struct stat st;
		size_t of;

		snprintf(child, sizeof(child), "%s/%s", path, e->d_name);
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || lstat(child, &st) != 0)
			continue;
		of = node_of(&st);
		nodes[at].entries = must(realloc(nodes[at].entries, (nodes[at].n + 1) * sizeof(struct entry)));
		nodes[at].entries[nodes[at].n++] = (struct entry){ must(strdup(e->d_name)), of };
	}
	closedir(d);
}

static void
keep_bytes(size_t at, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0)
		abort();
	free(nodes[at].bytes);
	nodes[at].bytes = must(malloc((size_t)st.st_size + 1));
	n = pread(fd, nodes[at].bytes, (size_t)st.st_size, 0);
	nodes[at].n = n > 0 ? (size_t)n : 0;
	close(fd);
}

static int
keep_all(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	size_t at = node_of(st);

	(void)ftw;
	if (type == FTW_D)
		keep_names(at, path);
	else
		keep_bytes(at, path);
	return 0;
}

void
disk_begin(const char *dir)
{
	static const char *const names[] = { "state", "out" };
	char path[600];

	disk_end();
	snprintf(top, sizeof(top), "%s", dir);
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", top, names[i]);
		nftw(path, keep_all, 16, FTW_PHYS);
	}
}

void
disk_end(void)
{
	for (size_t i = 0; i < nnodes; i++) {
		if (nodes[i].dir)
			free_entries(&nodes[i]);
		free(nodes[i].bytes);
	}
	free(nodes);
	nodes = NULL;
	nnodes = 0;
}

static bool
is_ours(const char *path)
{
	return nnodes > 0 && strncmp(path, top, strlen(top)) == 0 &&
	    (strncmp(path + strlen(top), "/state", 6) == 0 || strncmp(path + strlen(top), "/out", 4) == 0);
}

void
disk_made(const char *path)
{
	struct stat st;

	if (is_ours(path) && lstat(path, &st) == 0)
		(void)add_node(st.st_ino, S_ISDIR(st.st_mode));
}

void
disk_synced(int fd)
{
	char link[64], path[1024];
	struct stat st;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || fstat(fd, &st) != 0)
		return;
	path[n] = '\0';
	if (!is_ours(path))
		return;
	if (S_ISDIR(st.st_mode))
		keep_names(node_of(&st), path);
	else
		keep_bytes(node_of(&st), link);
}

/* ---- the cut --------------------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
lay_out(size_t at, const char *path)
{
	if (mkdir(path, 0700) != 0)
		abort();
	for (size_t i = 0; i < nodes[at].n; i++) {
		const struct entry *e = &nodes[at].entries[i];
		char child[1024];
		int fd;

		snprintf(child, sizeof(child), "%s/%s", path, e->name);
		if (nodes[e->node].dir) {
			lay_out(e->node, child);
			continue;
		}
		fd = open(child, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || write(fd, nodes[e->node].bytes, nodes[e->node].n) != (ssize_t)nodes[e->node].n)
			abort();
		close(fd);
	}
}

void
disk_cut(void)
{
	static const char *const names[] = { "state", "out" };
	char live[600], cut[600];

	for (int i = 0; i < 2; i++) {
		struct stat st;

		snprintf(live, sizeof(live), "%s/%s", top, names[i]);
		snprintf(cut, sizeof(cut), "%s/save/%s", top, names[i]);
		nftw(cut, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		if (stat(live, &st) != 0)
			abort();
		lay_out(node_of(&st), cut);
	}
}
