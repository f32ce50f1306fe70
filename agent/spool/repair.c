/*
 * repair.c - `spool repair`: what is whole is kept, what is not is cut into files of its own.
 *
 * A damaged segment is written anew as one segment for each run of numbers without a gap, each with the positions of its time. The new
 * files get their names from the last to the first, whose name replaces the damaged segment: whenever this ends, each event is there.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"
#include "spool/store.h"

#define NEW	".new"
#define CHUNK	(4u << 20)	/* written at once */

struct repair {
	struct spool	 s;		/* for its positions, id and directory; no segment is open in it */
	struct survey	 all;
	uint64_t	 last_seq;	/* newest entry up to here */
	uint64_t	 newest_seq;	/* the next number that the newest segment would give */
	unsigned	 done;

	/* the segment that is written anew */
	uint64_t	*parts;		/* first seqs of its new segments */
	size_t		 nparts;
	int		 fd;
	uint64_t	 at, next_seq;
	uint64_t	 floor;		/* what a cut end may have used is not used again: numbers go on here */
	struct buf	 out;
};

static void
path_of(const struct repair *r, uint64_t first_seq, const char *more, char ret[4200])
{
	snprintf(ret, 4200, "%s/%020llu.seg%s", r->s.dir, (unsigned long long)first_seq, more);
}

static int
flush(struct repair *r, struct err *err)
{
	if (r->out.failed)
		return err_set(err, ERR_AGAIN, "no memory");
	if (sys_pwrite_full(r->fd, r->out.p, r->out.n, (off_t)r->at) != 0)
		return err_set_sys(err, spool_error_kind(), "%s: cannot write", r->s.dir);
	r->at += r->out.n;
	buf_reset(&r->out);
	return 0;
}

static int
end_part(struct repair *r, struct err *err)
{
	int rc;

	if (r->fd < 0)
		return 0;
	rc = flush(r, err);
	if (rc == 0 && sys.fdatasync(r->fd) != 0)
		rc = err_set_sys(err, spool_error_kind(), "%s: cannot sync", r->s.dir);
	sys.close(r->fd);
	r->fd = -1;
	return rc;
}

static int
begin_part(struct repair *r, uint64_t first_seq, uint64_t after_seq, struct err *err)
{
	const struct segment_head head = { .first_seq = first_seq, .after_seq = after_seq, .spool_id = r->s.id,
		.made_ms = clock_wall_ms() };
	uint64_t *more = realloc(r->parts, (r->nparts + 1) * sizeof(*more));
	char path[4200];

	if (more == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	r->parts = more;
	r->parts[r->nparts++] = first_seq;
	path_of(r, first_seq, NEW, path);
	r->fd = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (r->fd < 0)
		return err_set_sys(err, spool_error_kind(), "%s: cannot make", path);
	r->at = 0;
	r->next_seq = first_seq;
	if (spool_build_head(&r->s, &head, err) != 0)
		return -1;
	buf_put_slice(&r->out, buf_slice(&r->s.group));
	return 0;
}

static int
copy_group(struct repair *r, const struct group_head *h, struct slice payload, struct err *err)
{
	struct group_head head = { .first_seq = h->first_seq, .entries = h->entries, .marks = h->marks };
	size_t at;

	if (r->fd >= 0 && h->first_seq != r->next_seq && end_part(r, err) != 0)
		return -1;
	/* Positions go into the head of a new part as they were before this group; the group itself has its own. */
	if (r->fd < 0 && begin_part(r, h->first_seq, r->last_seq, err) != 0)
		return -1;
	at = r->out.n;
	if (!buf_reserve(&r->out, GROUP_HEAD + payload.n))
		return err_set(err, ERR_AGAIN, "no memory");
	r->out.n += GROUP_HEAD;
	buf_put_slice(&r->out, payload);
	group_seal(r->out.p + at, &head, payload.n, segment_seed(r->s.id));
	r->next_seq += h->entries;
	return r->out.n >= CHUNK ? flush(r, err) : 0;
}

/* Bytes from one file into one of their own. */
static int
keep_cut(struct repair *r, int fd, uint64_t segment, uint64_t from, uint64_t to, struct err *err)
{
	char path[4200], more[64];
	int out, rc = 0;

	if (from == to)
		return 0;
	snprintf(more, sizeof(more), "%s-%llu-%llu", ASIDE, (unsigned long long)from, (unsigned long long)to);
	path_of(r, segment, more, path);
	out = sys.open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (out < 0)
		return err_set_sys(err, spool_error_kind(), "%s: cannot make", path);
	for (uint64_t at = from; rc == 0 && at < to;) {
		char part[65536];
		size_t n = to - at < sizeof(part) ? (size_t)(to - at) : sizeof(part);
		ssize_t got = sys_pread_full(fd, part, n, (off_t)at);

		memset(part, 0, got < 0 ? n : 0);		/* cannot be read: there is nothing to keep */
		if (sys_pwrite_full(out, part, n, (off_t)(at - from)) != 0)
			rc = err_set_sys(err, spool_error_kind(), "%s: cannot write", path);
		at += n;
	}
	if (rc == 0 && sys.fdatasync(out) != 0)
		rc = err_set_sys(err, spool_error_kind(), "%s: cannot sync", path);
	sys.close(out);
	printf("%020llu.seg: bytes %llu to %llu cut; kept in %s\n", (unsigned long long)segment, (unsigned long long)from,
	    (unsigned long long)to, strrchr(path, '/') + 1);
	return rc;
}

/* The parts take their names; the damaged segment goes with the last step. */
static int
put_in_place(struct repair *r, uint64_t segment, struct err *err)
{
	char from[4200], to[4200];

	if (sys_sync_dir(r->s.dir, err) != 0)
		return -1;
	for (size_t i = r->nparts; i > 0; i--) {
		path_of(r, r->parts[i - 1], NEW, from);
		path_of(r, r->parts[i - 1], "", to);
		if (i == 1 && sys_sync_dir(r->s.dir, err) != 0)
			return -1;
		if (sys.rename(from, to) != 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot rename", from);
	}
	if (r->parts[0] != segment) {
		path_of(r, segment, "", to);
		if (sys_sync_dir(r->s.dir, err) != 0)
			return -1;
		if (sys.unlink(to) != 0)
			return err_set_sys(err, ERR_AGAIN, "%s: cannot remove", to);
	}
	return sys_sync_dir(r->s.dir, err);
}

/* Walks a segment: positions and last_seq move on. With `write`, whole groups are copied and the rest is kept apart. *ret_bad: it needs that. */
static int
pass(struct repair *r, size_t i, bool write, bool *ret_bad, struct err *err)
{
	const struct found *f = &r->all.v[i];
	int fd = survey_open(&r->all, i, O_RDONLY, err), got, rc = 0;
	struct group_head h;
	struct buf payload;
	struct walk w;

	if (fd < 0)
		return -1;
	buf_init(&payload, GROUP_MAX_BYTES);
	w = survey_walk(&r->all, i, fd);
	*ret_bad = !f->head_good || (i > 0 && f->head.after_seq > r->last_seq);
	if (write && !f->head_good)
		rc = keep_cut(r, fd, f->head.first_seq, 0, f->size < SEGMENT_HEAD ? f->size : SEGMENT_HEAD, err);
	while (rc == 0 && (got = walk_next(&w, &h, &payload, err)) != WALK_END) {
		if (got != WALK_GROUP) {
			*ret_bad = true;
			if (got == WALK_TAIL && i + 1 == r->all.n)
				r->floor = w.next_seq + walk_used_numbers(&w, w.from, w.to);
			if (write && got == WALK_DAMAGE && w.next_seq > w.missing_seq)
				printf("%020llu.seg: events %llu to %llu are lost\n", (unsigned long long)f->head.first_seq,
				    (unsigned long long)w.missing_seq, (unsigned long long)w.next_seq - 1);
			rc = got == -1 ? -1 : write ? keep_cut(r, fd, f->head.first_seq, w.from, w.to, err) : 0;
			continue;
		}
		if (write && (h.entries > 0 || w.from != SEGMENT_HEAD))	/* a part makes its own snapshot */
			rc = copy_group(r, &h, buf_slice(&payload), err);
		if (write && rc == 0)
			rc = spool_apply_marks(&r->s, group_marks(&h, buf_slice(&payload)), err);
		if (write && h.entries > 0)
			r->last_seq = w.next_seq - 1;
	}
	sys.close(fd);
	buf_fini(&payload);
	return rc;
}

/* A sound segment is passed for its positions and numbers alone. */
static int
follow(struct repair *r, size_t i, struct err *err)
{
	int fd = survey_open(&r->all, i, O_RDONLY, err), got, rc = 0;
	struct group_head h;
	struct walk w;

	if (fd < 0)
		return -1;
	w = survey_walk(&r->all, i, fd);
	if (r->all.v[i].head.after_seq > r->last_seq)
		r->last_seq = r->all.v[i].head.after_seq;
	while (rc == 0 && (got = walk_next(&w, &h, &r->s.group, err)) != WALK_END) {
		rc = got == WALK_GROUP ? spool_apply_marks(&r->s, group_marks(&h, buf_slice(&r->s.group)), err) : got == -1 ? -1 : 0;
		if (got == WALK_GROUP && h.entries > 0)
			r->last_seq = w.next_seq - 1;
	}
	r->newest_seq = w.next_seq;
	sys.close(fd);
	return rc;
}

static int
repair_segment(struct repair *r, size_t i, struct err *err)
{
	const struct found *f = &r->all.v[i];
	uint64_t before = r->last_seq;
	char name[64];
	bool bad;

	if (survey_look(&r->all, i, &r->s.group, err) != 0)
		return -1;
	if (!f->has_group) {
		r->done++;
		if (i + 1 == r->all.n)
			r->floor = f->head.first_seq + f->size / 4 + 1;
		if (segment_set_aside(r->s.dir, f->head.first_seq, name, sizeof(name), err) != 0)
			return -1;
		printf("%020llu.seg: nothing in it is whole; kept as %s\n", (unsigned long long)f->head.first_seq, name);
		return 0;
	}
	if (pass(r, i, false, &bad, err) != 0)
		return -1;
	if (!bad)
		return follow(r, i, err);
	r->nparts = 0;
	r->done++;
	if (pass(r, i, true, &bad, err) != 0)
		return -1;
	/* Only positions in it: one segment that holds them, and no event. */
	if (r->nparts == 0 && begin_part(r, f->head.first_seq, r->last_seq < f->head.first_seq ? r->last_seq :
	    f->head.first_seq - 1, err) != 0)
		return -1;
	r->newest_seq = r->next_seq;
	if (end_part(r, err) != 0 || put_in_place(r, f->head.first_seq, err) != 0)
		return -1;
	if (f->head.after_seq > before && i > 0)
		printf("%020llu.seg: events %llu to %llu before it are missing\n", (unsigned long long)f->head.first_seq,
		    (unsigned long long)before + 1, (unsigned long long)f->head.after_seq);
	for (size_t k = 0; k < r->nparts; k++)
		printf("%020llu.seg: written anew\n", (unsigned long long)r->parts[k]);
	return 0;
}

/* A segment without events, behind the numbers that a cut end may have used. */
static int
begin_behind(struct repair *r, struct err *err)
{
	char from[4200], to[4200];

	r->nparts = 0;
	r->done++;
	if (begin_part(r, r->floor, r->last_seq, err) != 0 || end_part(r, err) != 0)
		return -1;
	path_of(r, r->floor, NEW, from);
	path_of(r, r->floor, "", to);
	if (sys.rename(from, to) != 0)
		return err_set_sys(err, ERR_AGAIN, "%s: cannot rename", from);
	printf("%020llu.seg: begun, so that numbers which may have been used are not used again\n", (unsigned long long)r->floor);
	return sys_sync_dir(r->s.dir, err);
}

static void
repair_cursor(void *arg, const char *name, bool sound, uint64_t seq)
{
	struct repair *r = arg;
	char from[4200], to[4200];

	if (sound && seq >= r->floor)
		r->floor = seq + 1;
	if (sound)
		return;
	snprintf(from, sizeof(from), "%s/cursors/%s", r->s.dir, name);
	snprintf(to, sizeof(to), "%s/%s.cursor%s", r->s.dir, name, ASIDE);
	if (sys.rename(from, to) == 0)
		printf("cursors/%s: damaged, kept as %s; its sink begins at the oldest event\n", name, strrchr(to, '/') + 1);
	r->done++;
}

int
spool_repair_print(const char *dir, struct err *err)
{
	struct repair r = { .fd = -1 };
	int lock = -1, rc;

	snprintf(r.s.dir, sizeof(r.s.dir), "%s", dir);
	buf_init(&r.s.group, GROUP_MAX_BYTES);
	buf_init(&r.out, 2 * (size_t)GROUP_MAX_BYTES);
	rc = spool_lock(dir, &lock, err);
	if (rc == 0)
		rc = survey_read(&r.all, dir, err);
	r.s.id = r.all.spool_id;
	if (rc == 0 && r.all.n > 0)
		r.last_seq = r.all.v[0].head.after_seq;
	for (size_t i = 0; rc == 0 && i < r.all.n; i++)
		rc = repair_segment(&r, i, err);
	if (rc == 0 && cursors_each(dir, repair_cursor, &r) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "%s/cursors: cannot open", dir);
	if (rc == 0 && r.all.n > 0 && r.floor > r.newest_seq)
		rc = begin_behind(&r, err);
	if (rc == 0)
		puts(r.done == 0 ? "nothing to repair" : "repaired");
	if (r.fd >= 0)
		sys.close(r.fd);
	if (lock >= 0)
		sys.close(lock);
	survey_free(&r.all);
	buf_fini(&r.s.group);
	buf_fini(&r.out);
	free(r.s.marks);
	free(r.parts);
	return rc;
}
