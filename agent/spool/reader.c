/* reader.c - one reader's way through the segments: group by group, never past what is durable, over damage with a word about it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/sys.h"
#include "spool/store.h"

#define READ_TRIES	5

static void
close_segment(struct spool_reader *r)
{
	if (r->fd >= 0)
		sys.close(r->fd);
	r->fd = -1;
	r->segment = 0;
	r->in_group = false;
}

/* The segment that holds `seq` or, if none does, the next one; false when there is none. */
static bool
find_segment(struct spool *s, uint64_t seq, struct segment *ret)
{
	bool found = false;

	pthread_mutex_lock(&s->lock);
	for (size_t i = s->nsegments; i > 0 && !found; i--)
		if (s->segments[i - 1].first_seq <= seq || i == 1) {
			*ret = s->segments[i - 1];
			found = true;
		}
	pthread_mutex_unlock(&s->lock);
	return found;
}

/* How far the open segment may be read: false when it is gone. ret_next is the one behind it, first_seq 0: none. */
static bool
bounds(struct spool_reader *r, struct segment *ret_next)
{
	struct spool *s = r->spool;
	bool found = false;

	*ret_next = (struct segment){ 0 };
	pthread_mutex_lock(&s->lock);
	for (size_t i = s->nsegments; i > 0 && !found; i--)
		if (s->segments[i - 1].first_seq == r->segment) {
			r->walk.end = s->segments[i - 1].durable_bytes;
			r->walk.below_seq = s->segments[i - 1].next_seq;
			if (i < s->nsegments)
				*ret_next = s->segments[i];
			found = true;
		}
	pthread_mutex_unlock(&s->lock);
	return found;
}

static int
open_segment(struct spool_reader *r, const struct segment *segment, struct err *err)
{
	char path[4096];

	close_segment(r);
	if (segment_path(r->spool->dir, segment->first_seq, path, sizeof(path), err) != 0)
		return -1;
	r->fd = sys.open(path, O_RDONLY, 0);
	if (r->fd < 0)
		return err_set_sys(err, errno == ENOENT ? ERR_LOST : ERR_AGAIN, "%s: cannot open", path);
	r->segment = segment->first_seq;
	r->walk = (struct walk){ .fd = r->fd, .seed = segment->seed, .at = SEGMENT_HEAD, .next_seq = segment->first_seq };
	return 0;
}

/* Several readers may find the same entries missing. */
static void
count_lost(struct spool *s, uint64_t begin, uint64_t end)
{
	pthread_mutex_lock(&s->lock);
	if (begin <= s->counted_seq)
		begin = s->counted_seq + 1;
	if (begin < end) {
		s->counted_seq = end - 1;
		atomic_fetch_add(&s->lost, end - begin);
	}
	pthread_mutex_unlock(&s->lock);
}

static void
set_done(struct spool_reader *r, uint64_t seq)
{
	struct cursor *c = r->cursor;
	uint64_t durable = atomic_load(&r->spool->durable_seq);

	pthread_mutex_lock(&r->spool->lock);
	/* Behind the last that was given there may be numbers that nobody will ever be given. */
	if (seq >= r->given && r->want - 1 > seq)
		seq = r->want - 1 < durable ? r->want - 1 : durable;
	if (seq > c->seq) {
		c->seq = seq;
		if (c->due_ms == 0)
			c->due_ms = clock_mono_ms();
	}
	pthread_mutex_unlock(&r->spool->lock);
}

/* Everything given is done: the cursor goes over what is missing too. */
static void
pass_gap(struct spool_reader *r)
{
	uint64_t seq = spool_reader_cursor(r);

	if (seq >= r->given)
		set_done(r, seq);
}

/* -1 ERR_LOST, told once: entries from missing_seq up to next_seq are not there. 0: nothing that this reader still wants. */
static int
lost(struct spool_reader *r, uint64_t from, uint64_t to, uint64_t missing_seq, uint64_t next_seq, struct err *err)
{
	uint64_t begin = missing_seq > r->want ? missing_seq : r->want;
	uint64_t missing = next_seq > begin ? next_seq - begin : 0;

	if (missing == 0 && (missing_seq < r->want || (r->segment == r->told_segment && to <= r->told_at)))
		return 0;
	if (next_seq > r->want)
		r->want = next_seq;
	count_lost(r->spool, begin, next_seq);
	pass_gap(r);
	r->told_segment = r->segment;
	r->told_at = to;
	return err_set(err, ERR_LOST, "segment %020llu.seg, bytes %llu to %llu: not what was written; %llu events lost",
	    (unsigned long long)r->segment, (unsigned long long)from, (unsigned long long)to, (unsigned long long)missing);
}

/* Goes to a segment; -1 ERR_LOST when what stood before it is missing. */
static int
step(struct spool_reader *r, const struct segment *next, struct err *err)
{
	if (open_segment(r, next, err) != 0) {
		if (err->kind == ERR_LOST && next->next_seq > r->want) {
			count_lost(r->spool, r->want, next->next_seq);
			r->want = next->next_seq;
			pass_gap(r);
		}
		return -1;
	}
	if (next->after_seq >= r->want && lost(r, 0, 0, r->want, next->after_seq + 1, err) != 0) {
		r->want = next->first_seq;
		return -1;
	}
	if (next->first_seq > r->want)
		r->want = next->first_seq;
	return 0;
}

/* A place that cannot be read may be readable in a moment; one that never is must not stand in the way for ever. */
static int
try_again(struct spool_reader *r)
{
	if (++r->tries < READ_TRIES)
		return -1;
	r->tries = 0;
	r->walk.over_unreadable = true;
	return 0;
}

/* Damage, or a segment that ends before its last number. */
static int
pass_damage(struct spool_reader *r, enum walk_step got, struct err *err)
{
	struct walk *w = &r->walk;

	if (got == WALK_END) {
		w->from = w->to = w->at;
		w->missing_seq = w->next_seq;
	}
	if (got != WALK_DAMAGE)
		w->next_seq = w->below_seq;
	return lost(r, w->from, w->to, w->missing_seq, w->next_seq, err);
}

/* The next group into r->payload: 1, 0 none yet, -1. */
static int
next_group(struct spool_reader *r, struct err *err)
{
	struct segment next;

	for (;;) {
		int got;

		if (r->fd < 0) {
			if (!find_segment(r->spool, r->want, &next))
				return 0;
			if (step(r, &next, err) != 0)
				return -1;
		}
		if (!bounds(r, &next)) {		/* freed under us: everybody had read it */
			close_segment(r);
			continue;
		}
		got = walk_next(&r->walk, &r->head, &r->payload, err);
		if (got == -1) {
			if (err->sys == 0 || try_again(r) != 0)
				return -1;
			continue;
		}
		r->tries = 0;
		r->walk.over_unreadable = false;
		if (got == WALK_END && r->walk.next_seq == r->walk.below_seq) {
			if (next.first_seq == 0)
				return 0;
			if (step(r, &next, err) != 0)
				return -1;
		} else if (got != WALK_GROUP) {
			if (pass_damage(r, (enum walk_step)got, err) != 0)
				return -1;
		} else if (r->head.first_seq + r->head.entries > r->want) {	/* else read before, or a snapshot */
			r->entry = 0;
			r->entry_at = 0;
			r->in_group = true;
			return 1;
		}
	}
}

int
spool_next(struct spool_reader *r, struct slice *ret, uint64_t *ret_seq, struct err *err)
{
	for (;;) {
		struct slice entry;
		uint64_t seq;
		int got;

		if (!r->in_group || r->entry == r->head.entries) {
			r->in_group = false;
			if (r->segment < atomic_load(&r->spool->first_seq))
				close_segment(r);	/* freed under us: as long as we held it, its room on disk would be taken */
			if (r->want > atomic_load(&r->spool->durable_seq))
				return 0;
			got = next_group(r, err);
			if (got != 1)
				return got;
		}
		if (!group_get_entry(buf_slice(&r->payload), &r->entry_at, &entry))
			assert(!"a whole group holds fewer entries than it says");
		seq = r->head.first_seq + r->entry++;
		if (seq < r->want)
			continue;
		r->want = seq + 1;
		r->given = seq;
		*ret = entry;
		*ret_seq = seq;
		return 1;
	}
}

int
spool_seek(struct spool_reader *r, uint64_t seq, struct err *err)
{
	(void)err;
	close_segment(r);
	r->given = seq != 0 ? seq : spool_reader_cursor(r);
	r->want = r->given + 1;
	return 0;
}

int
spool_done(struct spool_reader *r, uint64_t seq, struct err *err)
{
	(void)err;
	set_done(r, seq);
	return 0;
}

uint64_t
spool_reader_cursor(const struct spool_reader *r)
{
	uint64_t seq;

	pthread_mutex_lock(&r->spool->lock);
	seq = r->cursor->seq;
	pthread_mutex_unlock(&r->spool->lock);
	return seq;
}

int
spool_reader_open(struct spool_reader **ret, struct spool *s, const char *name, bool *ret_new, struct err *err)
{
	struct spool_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a reader");
	r->spool = s;
	r->fd = -1;
	buf_init(&r->payload, GROUP_MAX_BYTES);
	if (cursor_open(s, name, &r->cursor, err) != 0) {
		free(r);
		return -1;
	}
	if (ret_new != NULL)
		*ret_new = r->cursor->fresh;
	r->given = r->cursor->seq;
	r->want = r->given + 1;
	*ret = r;
	return 0;
}

void
spool_reader_close(struct spool_reader *r)
{
	if (r == NULL)
		return;
	pthread_mutex_lock(&r->spool->lock);
	(void)cursor_save(r->spool, r->cursor, NULL);
	r->cursor->open = false;
	pthread_mutex_unlock(&r->spool->lock);
	close_segment(r);
	buf_fini(&r->payload);
	free(r);
}

/* ---- where the spool stands --------------------------------------------------- */

uint64_t
spool_durable_seq(const struct spool *s)
{
	return atomic_load(&s->durable_seq);
}

uint64_t
spool_first_seq(const struct spool *s)
{
	return atomic_load(&s->first_seq);
}

uint64_t
spool_lost(const struct spool *s)
{
	return atomic_load(&s->lost);
}

uint64_t
spool_total_bytes(const struct spool *s)
{
	return atomic_load(&s->total_bytes);
}
