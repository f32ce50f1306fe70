/*
 * recover.c - what a start finds: which files are segments, where numbering goes on, and what must be set aside.
 *
 * Nothing with content is removed or cut. A tail that is not whole stays in its segment, which gets nothing more; a new one goes on with
 * numbers that the tail cannot have used. Only a segment that was begun and held nothing yet is removed.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "spool/store.h"

struct look {
	struct spool	*s;
	struct survey	 all;
	size_t		 newest;		/* the last that holds a whole group; all.n: none does */
	uint64_t	 floor;			/* numbers below it may have been used */
};

/* ---- files that were set aside --------------------------------------------------- */

int
segment_set_aside(const char *dir, uint64_t first_seq, char *ret_name, size_t n, struct err *err)
{
	char path[4096], to[4200];
	struct stat st;

	if (segment_path(dir, first_seq, path, sizeof(path), err) != 0)
		return -1;
	snprintf(to, sizeof(to), "%s%s", path, ASIDE);
	for (int i = 2; sys.stat(to, &st) == 0 && i < 1000; i++)
		snprintf(to, sizeof(to), "%s%s%d", path, ASIDE, i);
	if (sys.rename(path, to) != 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot rename", path);
	snprintf(ret_name, n, "%s", strrchr(to, '/') + 1);
	return sys_sync_dir(dir, err);
}

static bool
is_aside(const char *name)
{
	return strlen(name) > NAME_BYTES && strncmp(name + 20, ".seg" ASIDE, 4 + strlen(ASIDE)) == 0;
}

/* The sum of what was set aside, and the first by name. */
static uint64_t
aside_bytes(const char *dir, char oldest[256], uint64_t *ret_files)
{
	DIR *d = opendir(dir);
	uint64_t bytes = 0;
	char path[4400];
	struct dirent *e;
	struct stat st;

	oldest[0] = '\0';
	*ret_files = 0;
	while (d != NULL && (e = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		if (!is_aside(e->d_name) || sys.stat(path, &st) != 0)
			continue;
		bytes += (uint64_t)st.st_size;
		++*ret_files;
		if (oldest[0] == '\0' || strcmp(e->d_name, oldest) < 0)
			snprintf(oldest, 256, "%s", e->d_name);
	}
	if (d != NULL)
		closedir(d);
	return bytes;
}

uint64_t
spool_aside(const char *dir, uint64_t *ret_files)
{
	char oldest[256];

	return aside_bytes(dir, oldest, ret_files);
}

int
spool_drop_aside(struct spool *s, struct err *err)
{
	char path[4400], oldest[256];
	uint64_t files;
	struct stat st;

	if (s->aside_bytes == 0)
		return 0;
	s->aside_bytes = aside_bytes(s->dir, oldest, &files);
	if (oldest[0] == '\0')
		return 0;
	snprintf(path, sizeof(path), "%s/%s", s->dir, oldest);
	if (sys.stat(path, &st) != 0 || sys.unlink(path) != 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot remove", path);
	s->aside_bytes -= (uint64_t)st.st_size < s->aside_bytes ? (uint64_t)st.st_size : s->aside_bytes;
	atomic_fetch_sub(&s->total_bytes, (uint64_t)st.st_size);
	if (s->events.damage != NULL)
		s->events.damage(s->events.arg, oldest, 0, (uint64_t)st.st_size, "was set aside; removed, because the room is needed");
	return 1;
}

/* ---- taking over ---------------------------------------------------------------------- */

/* Walks a segment, tells what is damaged, applies its marks; *ret_end is where the last whole group ends. */
static int
scan(struct look *l, size_t i, struct walk *w, uint64_t *ret_end, uint64_t *ret_last_seq, struct err *err)
{
	struct found *f = &l->all.v[i];
	struct group_head h;
	int got;

	*ret_end = SEGMENT_HEAD;
	*ret_last_seq = f->head.after_seq;
	while ((got = walk_next(w, &h, &l->s->group, err)) == WALK_GROUP || got == WALK_DAMAGE) {
		if (got == WALK_DAMAGE) {
			spool_tell_damage(l->s, f->head.first_seq, w->from, w->to,
			    w->from < w->to ? "bytes are not what was written" : "events are missing");
			continue;
		}
		if (spool_apply_marks(l->s, group_marks(&h, buf_slice(&l->s->group)), err) != 0)
			return -1;
		*ret_end = w->at;
		if (h.entries > 0)
			*ret_last_seq = w->next_seq - 1;
	}
	return got == -1 ? -1 : 0;
}

static void
tell_tail(struct look *l, const struct found *f, const struct walk *w)
{
	struct spool *s = l->s;
	char name[32];

	snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)f->head.first_seq);
	if (!walk_tail_is_torn(w))
		spool_tell_damage(s, f->head.first_seq, w->from, w->to, "bytes are not what was written");
	else if (s->events.torn != NULL)
		s->events.torn(s->events.arg, name, w->to - w->from);
}

/* The newest segment: where numbering goes on, and whether this file does. */
static int
adopt(struct look *l, struct err *err)
{
	struct spool *s = l->s;
	struct found *f = &l->all.v[l->newest];
	struct segment *segment = &s->segments[s->nsegments - 1];
	int fd = survey_open(&l->all, l->newest, O_RDWR, err);
	uint64_t end = 0;
	struct walk w;

	if (fd < 0)
		return -1;
	w = survey_walk(&l->all, l->newest, fd);
	if (scan(l, l->newest, &w, &end, &s->last_seq, err) != 0) {
		sys.close(fd);
		return -1;
	}
	segment->durable_bytes = end;
	segment->next_seq = s->next_seq = w.next_seq;
	if (end < f->size) {
		tell_tail(l, f, &w);
		l->floor = w.next_seq + walk_used_numbers(&w, end, f->size);
	}
	if (end < f->size || !f->head_good) {
		sys.close(fd);
		return 0;
	}
	s->fd = fd;
	s->seed = f->head.seed;
	s->at = s->synced_at = end;
	s->begun_bytes = spool_snapshot_bytes(s);
	return 0;
}

/* One that holds no whole group. Smaller than what a segment begins with: it was never used, for its beginning is synced first. */
static int
put_away(struct look *l, size_t i, struct err *err)
{
	struct found *f = &l->all.v[i];
	bool unused = f->size <= spool_snapshot_bytes(l->s) && i > l->newest;
	char path[4096], name[64];

	if (l->newest == l->all.n)
		unused = f->size <= SEGMENT_HEAD + GROUP_HEAD && f->head.first_seq == 1;
	if (unused) {
		if (segment_path(l->s->dir, f->head.first_seq, path, sizeof(path), err) != 0)
			return -1;
		if (l->s->events.torn != NULL)
			l->s->events.torn(l->s->events.arg, strrchr(path, '/') + 1, f->size);
		return sys.unlink(path) == 0 ? 0 : err_set_sys(err, ERR_AGAIN, "%s: cannot remove", path);
	}
	if ((i > l->newest || l->newest == l->all.n) && f->head.first_seq + f->size / 4 + 1 > l->floor)
		l->floor = f->head.first_seq + f->size / 4 + 1;
	spool_tell_damage(l->s, f->head.first_seq, 0, f->size, "nothing in it is whole; the file is kept with .bad at its name");
	return segment_set_aside(l->s->dir, f->head.first_seq, name, sizeof(name), err);
}

/* Each segment begins with all positions; where that is damaged, they are pieced together from the ones before. */
static int
older_marks(struct look *l, struct err *err)
{
	uint64_t end = 0, last = 0;
	size_t i = l->newest;
	int rc = 0;

	while (i > 0 && !l->all.v[i].has_snapshot)
		if (survey_look(&l->all, --i, &l->s->group, err) != 0)
			return -1;
	for (; rc == 0 && i < l->newest; i++) {
		int fd = survey_open(&l->all, i, O_RDONLY, err);
		struct walk w = survey_walk(&l->all, i, fd);

		if (fd < 0)
			return -1;
		rc = scan(l, i, &w, &end, &last, err);
		sys.close(fd);
	}
	return rc;
}

static int
take_over(struct look *l, struct err *err)
{
	struct spool *s = l->s;

	for (size_t i = 0; l->newest < l->all.n && i <= l->newest; i++) {
		struct found *f = &l->all.v[i];
		const struct segment segment = { .first_seq = f->head.first_seq, .after_seq = f->head.after_seq, .bytes = f->size,
			.durable_bytes = f->size, .next_seq = f->below_seq, .seed = f->head.seed };

		if (!f->head_good && f->has_group)
			spool_tell_damage(s, f->head.first_seq, 0, SEGMENT_HEAD, "the head is not what was written; what follows is read");
		if (!f->head_good && !f->has_group)
			continue;
		if (spool_add_segment(s, &segment, err) != 0)
			return -1;
		atomic_fetch_add(&s->total_bytes, f->size);
	}
	if (l->newest == l->all.n)
		return 0;
	return older_marks(l, err) != 0 ? -1 : adopt(l, err);
}

static int
look_at_all(struct look *l, struct err *err)
{
	struct survey *y = &l->all;

	if (survey_read(y, l->s->dir, err) != 0)
		return -1;
	l->s->id = y->spool_id;
	l->newest = y->n;
	for (size_t i = y->n; i > 0; i--) {
		if ((l->newest == y->n || !y->v[i - 1].head_good) && survey_look(y, i - 1, &l->s->group, err) != 0)
			return -1;
		if (y->v[i - 1].has_group && l->newest == y->n)
			l->newest = i - 1;
		else if (l->newest == y->n && i > 1)	/* what does not count does not bound the one before */
			y->v[i - 2].below_seq = SEQ_LIMIT;
	}
	return 0;
}

/* No number that was given to an acknowledged event is given again: a far side may remember it. */
static void
go_on_from(struct spool *s, uint64_t floor)
{
	uint64_t greatest = cursors_greatest(s);

	if (greatest >= s->next_seq && s->events.damage != NULL)
		s->events.damage(s->events.arg, "cursors", s->last_seq, greatest,
		    "events between these numbers were acknowledged, and the spool no longer has them");
	if (greatest + 1 > floor)
		floor = greatest + 1;
	if (floor <= s->next_seq)
		return;
	s->next_seq = floor;
	if (s->fd >= 0)
		sys.close(s->fd);
	s->fd = -1;
	s->at = s->synced_at = 0;
}

int
spool_recover(struct spool *s, struct err *err)
{
	struct look l = { .s = s };
	char oldest[256];
	uint64_t files;
	int rc = -1;

	if (look_at_all(&l, err) != 0 || take_over(&l, err) != 0)
		goto out;
	for (size_t i = 0; i < l.all.n; i++) {
		const struct found *f = &l.all.v[i];

		if (!f->has_group && (!f->head_good || i > l.newest || l.newest == l.all.n) && put_away(&l, i, err) != 0)
			goto out;
	}
	go_on_from(s, l.floor);
	s->aside_bytes = aside_bytes(s->dir, oldest, &files);
	atomic_fetch_add(&s->total_bytes, s->aside_bytes);
	if (s->nsegments == 0)
		atomic_store(&s->first_seq, s->next_seq);
	rc = 0;
out:
	survey_free(&l.all);
	return rc;
}
