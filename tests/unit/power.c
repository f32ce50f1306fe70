/* power.c - see power.h. Everything is kept in memory; the real files below the directory are what the program sees meanwhile. */
#include "power.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys.h"

#define FDS	256
#define NODES	512
#define OPS	4096

struct change { off_t at; size_t n; char *bytes; bool truncate; };
struct node {
	char		*bytes;		/* as synced */
	size_t		 n;
	struct change	*v;		/* not synced yet */
	size_t		 nv;
};
/* A name that comes (node) or goes (-1); "" of `also`, or the name that goes with it in a rename. A directory is node -2. */
struct op { char dir[160], name[80], also[80]; int node; };

static struct node nodes[NODES];
static int nnodes;
static struct op ops[OPS];		/* not synced yet, in order */
static int nops;
static struct op entries[OPS];		/* synced names */
static int nentries;
static struct op now[OPS];		/* names as the program sees them */
static int nnow;
static int fd_node[FDS];		/* node + 1; 0 none */
static char fd_dir[FDS][160];
static char top[128];
static unsigned calls, cut_at;
static bool cut;

static bool
ours(const char *path)
{
	return strncmp(path, top, strlen(top)) == 0 || strncmp(path, top, strlen(path)) == 0;
}

static bool
powerless(void)
{
	if (!cut && ++calls == cut_at)
		cut = true;
	if (cut)
		errno = EIO;
	return cut;
}

static void
split(const char *path, char dir[160], char name[80])
{
	const char *slash = strrchr(path, '/');

	assert(slash != NULL && (size_t)(slash - path) < 160 && strlen(slash + 1) < 80);
	memcpy(dir, path, (size_t)(slash - path));
	dir[slash - path] = '\0';
	strcpy(name, slash + 1);
}

static void
apply(struct op *v, int *n, const struct op *o)
{
	for (int i = 0; i < *n; i++)
		if (strcmp(v[i].dir, o->dir) == 0 && (strcmp(v[i].name, o->name) == 0 || strcmp(v[i].name, o->also) == 0))
			v[i--] = v[--*n];
	if (o->node != -1) {
		assert(*n < OPS);
		v[*n] = *o;
		v[(*n)++].also[0] = '\0';
	}
}

static void
record(const char *path, const char *also, int node)
{
	struct op o = { .node = node };

	split(path, o.dir, o.name);
	snprintf(o.also, sizeof(o.also), "%s", also);
	assert(nops < OPS);
	ops[nops++] = o;
	apply(now, &nnow, &o);
}

static int
find(const char *path)
{
	char dir[160], name[80];

	split(path, dir, name);
	for (int i = 0; i < nnow; i++)
		if (strcmp(now[i].dir, dir) == 0 && strcmp(now[i].name, name) == 0)
			return now[i].node;
	return -1;
}

static void
change(int node, off_t at, const void *p, size_t n, bool truncate)
{
	struct node *f = &nodes[node];
	struct change *c;

	f->v = realloc(f->v, (f->nv + 1) * sizeof(*f->v));
	c = &f->v[f->nv++];
	*c = (struct change){ at, n, malloc(n + 1), truncate };
	if (n > 0)
		memcpy(c->bytes, p, n);
}

static void
make_change(struct node *f, const struct change *c, size_t n)
{
	size_t end = (size_t)c->at + n;

	if (c->truncate || end > f->n) {
		f->bytes = realloc(f->bytes, end + 1);
		if (end > f->n)
			memset(f->bytes + f->n, 0, end - f->n);
		f->n = end;
	}
	if (!c->truncate && n > 0)
		memcpy(f->bytes + c->at, c->bytes, n);
}

static void
settle(struct node *f)
{
	for (size_t i = 0; i < f->nv; i++) {
		make_change(f, &f->v[i], f->v[i].truncate ? 0 : f->v[i].n);
		free(f->v[i].bytes);
	}
	free(f->v);
	f->v = NULL;
	f->nv = 0;
}

/* ---- the calls ------------------------------------------------------------------- */

static int
power_open(const char *path, int flags, mode_t mode)
{
	struct stat st;
	bool there = stat(path, &st) == 0;
	int fd, node;

	if (!ours(path))
		return open(path, flags | O_CLOEXEC, mode);
	if (cut || (((flags & O_CREAT) != 0 && !there) && powerless())) {
		errno = EIO;
		return -1;
	}
	fd = open(path, flags | O_CLOEXEC, mode);
	if (fd < 0)
		return -1;
	assert(fd < FDS);
	if ((flags & O_DIRECTORY) != 0) {
		snprintf(fd_dir[fd], sizeof(fd_dir[fd]), "%s", path);
		return fd;
	}
	node = find(path);
	if (node < 0) {
		assert(nnodes < NODES);
		node = nnodes++;
		record(path, "", node);
	} else if ((flags & O_TRUNC) != 0) {
		change(node, 0, NULL, 0, true);
	}
	fd_node[fd] = node + 1;
	return fd;
}

static int
power_close(int fd)
{
	fd_node[fd] = 0;
	fd_dir[fd][0] = '\0';
	return close(fd);
}

static ssize_t
power_pwrite(int fd, const void *p, size_t n, off_t at)
{
	bool off;

	if (fd_node[fd] == 0)
		return pwrite(fd, p, n, at);
	if (cut) {
		errno = EIO;
		return -1;
	}
	off = powerless();
	change(fd_node[fd] - 1, at, p, n, false);	/* the one that it was cut in may be there too */
	return off ? -1 : pwrite(fd, p, n, at);
}

static ssize_t
power_write(int fd, const void *p, size_t n)
{
	off_t at = lseek(fd, 0, SEEK_CUR);
	ssize_t w = power_pwrite(fd, p, n, at);

	if (w > 0)
		(void)lseek(fd, at + w, SEEK_SET);
	return w;
}

static int
power_sync(int fd)
{
	if (powerless())
		return -1;
	if (fd_node[fd] != 0)
		settle(&nodes[fd_node[fd] - 1]);
	for (int i = 0; fd_dir[fd][0] != '\0' && i < nops; i++)
		if (strcmp(ops[i].dir, fd_dir[fd]) == 0) {
			apply(entries, &nentries, &ops[i]);
			memmove(&ops[i], &ops[i + 1], (size_t)(--nops - i) * sizeof(ops[0]));
			i--;
		}
	return 0;
}

static int
power_ftruncate(int fd, off_t n)
{
	if (powerless())
		return -1;
	if (fd_node[fd] != 0)
		change(fd_node[fd] - 1, n, NULL, 0, true);
	return ftruncate(fd, n);
}

static int
power_rename(const char *from, const char *to)
{
	char dir[160], name[80];

	if (powerless())
		return -1;
	split(from, dir, name);
	record(to, name, find(from));
	return rename(from, to);
}

static int
power_unlink(const char *path)
{
	if (powerless())
		return -1;
	if (find(path) != -1)
		record(path, "", -1);
	return unlink(path);
}

static int
power_mkdir(const char *path, mode_t mode)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		errno = EEXIST;
		return -1;
	}
	if (powerless())
		return -1;
	record(path, "", -2);
	return mkdir(path, mode);
}

/* ---- on and off --------------------------------------------------------------------- */

static void
forget(void)
{
	for (int i = 0; i < nnodes; i++) {
		settle(&nodes[i]);
		free(nodes[i].bytes);
		nodes[i] = (struct node){ 0 };
	}
	nnodes = nops = nentries = nnow = 0;
	memset(fd_node, 0, sizeof(fd_node));
	memset(fd_dir, 0, sizeof(fd_dir));
}

void
power_on(const char *dir, unsigned cut_number)
{
	forget();
	snprintf(top, sizeof(top), "%s/", dir);
	calls = 0;
	cut = false;
	cut_at = cut_number;
	sys.open = power_open;
	sys.close = power_close;
	sys.pwrite = power_pwrite;
	sys.write = power_write;
	sys.fsync = power_sync;
	sys.fdatasync = power_sync;
	sys.ftruncate = power_ftruncate;
	sys.rename = power_rename;
	sys.unlink = power_unlink;
	sys.mkdir = power_mkdir;
}

unsigned
power_calls(void)
{
	return calls;
}

bool
power_is_cut(void)
{
	return cut;
}

static unsigned dice;

static unsigned
chance(unsigned of)
{
	dice = dice * 1103515245u + 12345u;
	return (dice >> 16) % of;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type;
	return at->level == 0 ? 0 : remove(path);
}

static bool
same_name(const struct op *a, const struct op *b)
{
	return strcmp(a->dir, b->dir) == 0 && (strcmp(a->name, b->name) == 0 || strcmp(a->name, b->also) == 0 ||
	    strcmp(a->also, b->name) == 0);
}

static void
names_that_survive(unsigned survive)
{
	static bool gone[OPS];

	for (int i = 0; i < nops; i++) {
		gone[i] = survive == 0 || (survive > 1 && chance(2) == 0);
		for (int k = 0; k < i && !gone[i]; k++)
			gone[i] = gone[k] && same_name(&ops[k], &ops[i]);
		if (!gone[i])
			apply(entries, &nentries, &ops[i]);
	}
}

static void
bytes_that_survive(struct node *f, unsigned survive)
{
	for (size_t i = 0; i < f->nv; i++) {
		struct change *c = &f->v[i];
		unsigned how = survive <= 1 ? survive : chance(3);	/* not, whole, in part */

		if (how == 1)
			make_change(f, c, c->truncate ? 0 : c->n);
		else if (how == 2 && !c->truncate)
			make_change(f, c, chance((unsigned)c->n + 1));
		free(c->bytes);
	}
	free(f->v);
	f->v = NULL;
	f->nv = 0;
}

static void
put_back(const struct op *e, const char *dir)
{
	char path[256];
	int fd;

	if (strcmp(e->dir, dir) != 0)
		return;
	snprintf(path, sizeof(path), "%s/%s", e->dir, e->name);
	if (e->node == -2) {
		assert(mkdir(path, 0700) == 0);
		for (int i = 0; i < nentries; i++)
			put_back(&entries[i], path);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert(fd >= 0);
	if (nodes[e->node].n > 0)
		assert(write(fd, nodes[e->node].bytes, nodes[e->node].n) == (ssize_t)nodes[e->node].n);
	close(fd);
}

void
power_off(unsigned survive)
{
	char dir[128];

	sys_reset();
	dice = survive * 2654435761u + calls;
	names_that_survive(survive);
	for (int i = 0; i < nnodes; i++)
		bytes_that_survive(&nodes[i], survive);
	snprintf(dir, sizeof(dir), "%.*s", (int)strlen(top) - 1, top);
	assert(nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
	for (int i = 0; i < nentries; i++)
		put_back(&entries[i], dir);
	forget();
}
