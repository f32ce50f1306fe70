/* survey.c - a first look at a spool's segments: heads, sizes, and what can be read at all. Nothing is changed. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <fcntl.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/store.h"

int
survey_open(const struct survey *y, size_t i, int flags, struct err *err)
{
	char path[4096];
	int fd;

	if (segment_path(y->dir, y->v[i].head.first_seq, path, sizeof(path), err) != 0)
		return -1;
	fd = sys.open(path, flags, 0);
	return fd >= 0 ? fd : err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
}

struct walk
survey_walk(const struct survey *y, size_t i, int fd)
{
	const struct found *f = &y->v[i];

	return (struct walk){ .fd = fd, .seed = f->head.seed, .over_unreadable = true, .at = SEGMENT_HEAD, .end = f->size,
		.next_seq = f->head.first_seq, .below_seq = f->below_seq };
}

static int
look_at_head(struct survey *y, size_t i, struct err *err)
{
	struct found *f = &y->v[i];
	uint64_t first_seq = f->head.first_seq;
	enum head_kind kind = HEAD_DAMAGED;
	struct segment_head head = { 0 };
	struct stat st;
	int fd = survey_open(y, i, O_RDONLY, err);

	if (fd < 0)
		return -1;
	if (sys.fstat(fd, &st) != 0) {
		err_set_sys(err, ERR_AGAIN, "%020llu.seg", (unsigned long long)first_seq);
		sys.close(fd);
		return -1;
	}
	f->size = (uint64_t)st.st_size;
	(void)segment_head_read(fd, &head, &kind, NULL);	/* what cannot be read is damaged */
	sys.close(fd);
	if (kind == HEAD_UNKNOWN)
		return err_set(err, ERR_CONFIG, "%s/%020llu.seg: a format that this version does not know, nothing was changed; "
		    "run the version that wrote it, or move the spool away", y->dir, (unsigned long long)first_seq);
	f->head_good = kind == HEAD_GOOD && head.first_seq == first_seq;
	if (f->head_good)
		f->head = head;
	return 0;
}

/* The spool's id is that of the newest sound head of our version; a damaged head is taken for one of these. */
static void
learn_id(struct survey *y)
{
	random_bytes(&y->spool_id, sizeof(y->spool_id));
	for (size_t i = y->n; i > 0; i--)
		if (y->v[i - 1].head_good && y->v[i - 1].head.seed != 0) {
			y->spool_id = y->v[i - 1].head.spool_id;
			break;
		}
	for (size_t i = 0; i < y->n; i++)
		if (!y->v[i].head_good)
			y->v[i].head = (struct segment_head){ .first_seq = y->v[i].head.first_seq,
				.after_seq = y->v[i].head.first_seq - 1, .seed = segment_seed(y->spool_id) };
	for (size_t i = 0; i < y->n; i++)
		y->v[i].below_seq = i + 1 < y->n ? segment_below(y->v[i].head.first_seq, y->v[i + 1].head.after_seq) : SEQ_LIMIT;
}

static int
first_group(const struct survey *y, size_t i, struct walk *w, int fd, struct group_head *ret, struct buf *scratch, struct err *err)
{
	int got;

	*w = survey_walk(y, i, fd);
	while ((got = walk_next(w, ret, scratch, err)) == WALK_DAMAGE)
		;
	return got;
}

int
survey_look(struct survey *y, size_t i, struct buf *scratch, struct err *err)
{
	struct found *f = &y->v[i];
	struct group_head h;
	struct walk w;
	int fd = survey_open(y, i, O_RDONLY, err), got;

	if (fd < 0)
		return -1;
	got = first_group(y, i, &w, fd, &h, scratch, err);
	if (got == WALK_TAIL && !f->head_good && f->head.seed != 0) {	/* damaged, perhaps of version 1 */
		f->head.seed = 0;
		got = first_group(y, i, &w, fd, &h, scratch, err);
	}
	sys.close(fd);
	f->has_group = got == WALK_GROUP;
	f->has_snapshot = f->has_group && w.from == SEGMENT_HEAD && h.entries == 0;
	return got == -1 ? -1 : 0;
}

int
survey_read(struct survey *y, const char *dir, struct err *err)
{
	uint64_t *firsts = NULL;
	int rc = 0;

	*y = (struct survey){ .dir = dir };
	if (segment_list(dir, &firsts, &y->n, err) != 0)
		return -1;
	y->v = calloc(y->n + 1, sizeof(*y->v));
	if (y->v == NULL)
		rc = err_set(err, ERR_AGAIN, "no memory for the list of segments");
	for (size_t i = 0; rc == 0 && i < y->n; i++) {
		y->v[i].head.first_seq = firsts[i];
		rc = look_at_head(y, i, err);
	}
	if (rc == 0)
		learn_id(y);
	free(firsts);
	return rc;
}

void
survey_free(struct survey *y)
{
	free(y->v);
	y->v = NULL;
}
