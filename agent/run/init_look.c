/*
 * init_look.c - what this machine shows to `init`: log files that hold AI records, and who the machine is to Azure.
 *
 * A file counts when a mapping knows one of its first records: the same mappings that will read it. Nothing is asked of the network: a virtual machine of
 * Azure tells by its chassis asset tag (learn.microsoft.com, "Azure Instance Metadata Service": identify a VM), Arc by its folder, a pod by its variable.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/yaml.h"
#include "decode/decode.h"
#include "model/record.h"
#include "run/agent.h"

#define DEPTH_MAX	4
#define ENTRIES_MAX	5000u
#define HEAD_BYTES	(256u << 10)
#define LINES_MAX	20u
#define ARENA_BYTES	(64u << 20)
#define AZURE_TAG	"7783-7084-3265-9085-8269-3286-77"

struct look {
	const char		*root;
	struct init_sight	*sight;
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct arena		 arena;
	struct buf		 head, hold;
	unsigned		 entries;
};

/* ---- is it one -------------------------------------------------------------------- */

/* The product of the record's first event, if a mapping knew it. */
static bool
knows(struct look *l, struct slice line, char *ret, size_t n)
{
	const struct record record = { .bytes = line, .source = "init", .arrived_ms = clock_wall_ms() };
	struct event_list events = { .arena = &l->arena };
	struct decode_count count = { 0 };
	struct err err = { 0 };
	struct slice product;

	arena_reset(&l->arena);
	if (decode(l->decoder, l->ctx, &record, &events, &count, &err) != 0 || events.n == 0 || count.unknown >= count.events)
		return false;
	product = event_text(&events.v[0], F_EventProduct);
	if (product.n == 0)
		product = event_text(&events.v[0], F_EventVendor);
	snprintf(ret, n, "%.*s", (int)product.n, product.n > 0 ? product.p : "");
	return true;
}

/* The head of a file, cut to whole lines if it goes on. */
static bool
read_head(struct look *l, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	ssize_t n = 0;

	buf_reset(&l->head);
	if (fd >= 0 && buf_reserve(&l->head, HEAD_BYTES))
		n = read(fd, l->head.p, HEAD_BYTES);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	l->head.n = (size_t)n;
	if (n == HEAD_BYTES)
		while (l->head.n > 0 && l->head.p[l->head.n - 1] != '\n')
			l->head.n--;
	return l->head.n > 0;
}

struct asking { struct look *look; char *what; size_t n; unsigned lines; bool known; };

static int
ask_record(void *arg, struct slice record)
{
	struct asking *a = arg;

	a->known = knows(a->look, record, a->what, a->n);
	return a->known || ++a->lines >= LINES_MAX ? 1 : 0;
}

static bool
is_ours(struct look *l, const char *path, char *what, size_t n)
{
	struct asking a = { .look = l, .what = what, .n = n };
	struct err err = { 0 };

	if (!read_head(l, path))
		return false;
	(void)decode_split(l->ctx, buf_slice(&l->head), &l->hold, ask_record, &a, &err);
	return a.known;
}

/* ---- where they lie ----------------------------------------------------------------- */

static bool
has_ending(const char *name)
{
	static const char *const endings[] = { ".ndjson", ".jsonl", ".json", ".log" };
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcmp(dot, endings[i]) == 0)
			return true;
	return false;
}

static void
note_group(struct init_found *f, const struct stat *st)
{
	const struct group *g;

	if (st->st_mode & S_IROTH || f->group[0] != '\0')
		return;
	g = st->st_mode & S_IRGRP ? getgrgid(st->st_gid) : NULL;
	snprintf(f->group, sizeof(f->group), "%s", g != NULL ? g->gr_name : "root");
}

/* Files of one folder and one ending are one glob. */
static void
found(struct look *l, const char *dir, const char *name, const struct stat *st)
{
	struct init_sight *s = l->sight;
	struct init_found f = { .files = 1 };
	char path[4096];

	if ((size_t)snprintf(path, sizeof(path), "%s%s/%s", l->root, dir, name) >= sizeof(path) ||
	    (size_t)snprintf(f.glob, sizeof(f.glob), "%s/*%s", dir, strrchr(name, '.')) >= sizeof(f.glob))
		return;
	for (size_t i = 0; i < s->nfound; i++)
		if (strcmp(s->found[i].glob, f.glob) == 0) {
			s->found[i].files++;
			note_group(&s->found[i], st);
			return;
		}
	if (s->nfound == INIT_MANY || !is_ours(l, path, f.what, sizeof(f.what)))
		return;
	note_group(&f, st);
	s->found[s->nfound++] = f;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void
walk(struct look *l, const char *dir, int depth)
{
	struct dirent **names = NULL;
	char path[4096], below[4096];
	int n;

	if ((size_t)snprintf(path, sizeof(path), "%s%s", l->root, dir) >= sizeof(path))
		return;
	n = scandir(path, &names, NULL, by_name);
	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		struct stat st;

		if (name[0] != '.' && l->entries++ < ENTRIES_MAX &&
		    (size_t)snprintf(path, sizeof(path), "%s%s/%s", l->root, dir, name) < sizeof(path) && lstat(path, &st) == 0) {
			if (S_ISREG(st.st_mode) && has_ending(name))
				found(l, dir, name, &st);
			else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX && strcmp(name, "aispm") != 0 &&
			    (size_t)snprintf(below, sizeof(below), "%s/%s", dir, name) < sizeof(below))
				walk(l, below, depth + 1);
		}
		free(names[i]);
	}
	free(names);
}

/* ---- who is this machine -------------------------------------------------------------- */

static bool
is_there(const char *root, const char *path)
{
	char whole[4096];

	return (size_t)snprintf(whole, sizeof(whole), "%s%s", root, path) < sizeof(whole) && access(whole, F_OK) == 0;
}

static bool
is_azure(struct look *l)
{
	char path[4096];

	return (size_t)snprintf(path, sizeof(path), "%s/sys/class/dmi/id/chassis_asset_tag", l->root) < sizeof(path) && read_head(l, path) &&
	    slice_starts_nocase(buf_slice(&l->head), SLICE(AZURE_TAG));
}

static void
look_identity(struct look *l)
{
	struct init_sight *s = l->sight;

	if (getenv("AZURE_FEDERATED_TOKEN_FILE") != NULL && l->root[0] == '\0') {
		s->identity = "workload_identity";
		s->identity_why = "AZURE_FEDERATED_TOKEN_FILE is set";
	} else if (is_there(l->root, "/var/opt/azcmagent")) {
		s->identity = "azure_arc";
		s->identity_why = "Azure Arc's agent is installed";
	} else if (is_azure(l)) {
		s->identity = "managed_identity";
		s->identity_why = "this is a virtual machine of Azure";
	}
}

int
init_look(const char *root, struct init_sight *ret, struct err *err)
{
	struct look l = { .root = root, .sight = ret };
	struct problems problems;
	int rc;

	*ret = (struct init_sight){ .nfound = 0 };
	problems_init(&problems);
	rc = mappings_open(&l.decoder, NULL, &problems, err);
	problems_fini(&problems);
	if (rc != 0)
		return -1;
	arena_init(&l.arena, 1u << 20, ARENA_BYTES);
	buf_init(&l.head, 2 * (size_t)HEAD_BYTES);
	buf_init(&l.hold, ARENA_BYTES);
	l.ctx = decode_ctx_new(l.decoder);
	if (l.ctx != NULL) {
		walk(&l, "/var/log", 1);
		look_identity(&l);
	} else {
		rc = err_set(err, ERR_AGAIN, "no memory");
	}
	decode_ctx_free(l.ctx);
	decoder_close(l.decoder);
	arena_fini(&l.arena);
	buf_fini(&l.head);
	buf_fini(&l.hold);
	return rc;
}
