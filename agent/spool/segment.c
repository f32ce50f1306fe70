/* segment.c - heads, payloads and files: everything that knows the format. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/format.h"

#define PAGE_BYTES	4096u

uint32_t
segment_seed(uint64_t spool_id)
{
	char id[8];

	put_le64(id, spool_id);
	return crc32_ieee(0, id, sizeof(id));
}

void
segment_head_put(char out[SEGMENT_HEAD], const struct segment_head *h)
{
	memset(out, 0, SEGMENT_HEAD);
	memcpy(out, SEGMENT_MAGIC, 7);
	out[7] = '0' + SEGMENT_VERSION;
	put_le64(out + 8, h->first_seq);
	put_le64(out + 16, h->spool_id);
	put_le64(out + 24, h->made_ms);
	put_le64(out + 32, h->after_seq);
	put_le32(out + 60, crc32_ieee(0, out, 60));
}

enum head_kind
segment_head_get(const char in[SEGMENT_HEAD], struct segment_head *ret)
{
	if (memcmp(in, SEGMENT_MAGIC, 7) != 0 || get_le32(in + 60) != crc32_ieee(0, in, 60))
		return HEAD_DAMAGED;
	if (in[7] != '1' && in[7] != '0' + SEGMENT_VERSION)
		return HEAD_UNKNOWN;
	*ret = (struct segment_head){ .first_seq = get_le64(in + 8), .spool_id = get_le64(in + 16), .made_ms = get_le64(in + 24),
		.after_seq = get_le64(in + 32) };
	if (in[7] == '1')
		ret->after_seq = ret->first_seq - 1;
	else
		ret->seed = segment_seed(ret->spool_id);
	return ret->first_seq > 0 && ret->first_seq < SEQ_LIMIT && ret->after_seq < ret->first_seq ? HEAD_GOOD : HEAD_DAMAGED;
}

int
segment_head_read(int fd, struct segment_head *ret, enum head_kind *ret_kind, struct err *err)
{
	char raw[SEGMENT_HEAD];
	ssize_t n = sys_pread_full(fd, raw, sizeof(raw), 0);

	if (n < 0)
		return err_set_sys(err, ERR_AGAIN, "spool: cannot read");
	*ret_kind = n == SEGMENT_HEAD ? segment_head_get(raw, ret) : HEAD_DAMAGED;
	return 0;
}

/* Without a byte to read zlib and libdeflate begin anew at 0. */
static uint32_t
payload_crc(uint32_t seed, const char *p, size_t n)
{
	return n > 0 ? crc32_ieee(seed, p, n) : seed;
}

void
group_seal(char *raw, struct group_head *h, size_t payload_bytes, uint32_t seed)
{
	h->payload_bytes = (uint32_t)payload_bytes;
	h->payload_crc = payload_crc(seed, raw + GROUP_HEAD, payload_bytes);
	memcpy(raw, GROUP_MAGIC, 4);
	put_le32(raw + 4, h->payload_bytes);
	put_le64(raw + 8, h->first_seq);
	put_le32(raw + 16, h->entries);
	put_le32(raw + 20, h->marks);
	put_le32(raw + 24, h->payload_crc);
	put_le32(raw + 28, crc32_ieee(seed, raw, 28));
}

static bool
group_head_get(const char in[GROUP_HEAD], uint32_t seed, struct group_head *ret)
{
	if (memcmp(in, GROUP_MAGIC, 4) != 0 || get_le32(in + 28) != crc32_ieee(seed, in, 28))
		return false;
	*ret = (struct group_head){ .payload_bytes = get_le32(in + 4), .first_seq = get_le64(in + 8),
		.entries = get_le32(in + 16), .marks = get_le32(in + 20), .payload_crc = get_le32(in + 24) };
	return ret->payload_bytes <= GROUP_MAX_BYTES;
}

void
group_put_entry(struct buf *b, struct slice entry)
{
	char n[4];

	put_le32(n, (uint32_t)entry.n);
	buf_put(b, n, sizeof(n));
	buf_put_slice(b, entry);
}

void
group_put_mark(struct buf *b, const struct spool_mark *m)
{
	char stream[8];

	put_le64(stream, m->at->stream);
	buf_putc(b, (char)m->source.n);
	buf_put_slice(b, m->source);
	buf_put(b, stream, sizeof(stream));
	buf_putc(b, (char)m->at->len);
	buf_put(b, m->at->bytes, m->at->len);
}

bool
group_get_entry(struct slice p, size_t *at, struct slice *ret)
{
	uint32_t n;

	if (p.n - *at < 4 || (n = get_le32(p.p + *at)) > p.n - *at - 4)
		return false;
	*ret = slice_make(p.p + *at + 4, n);
	*at += 4 + (size_t)n;
	return true;
}

bool
group_get_mark(struct slice p, size_t *at, struct slice *ret_source, struct position *ret)
{
	size_t left = p.n - *at, name_n, len;

	if (left < 1 || (name_n = (unsigned char)p.p[*at]) > SOURCE_BYTES || left < 1 + name_n + 9)
		return false;
	len = (unsigned char)p.p[*at + 1 + name_n + 8];
	if (len > POSITION_BYTES || left < 1 + name_n + 9 + len)
		return false;
	*ret_source = slice_make(p.p + *at + 1, name_n);
	ret->stream = get_le64(p.p + *at + 1 + name_n);
	ret->len = (uint8_t)len;
	memcpy(ret->bytes, p.p + *at + 1 + name_n + 9, len);
	*at += 1 + name_n + 9 + len;
	return true;
}

struct slice
group_marks(const struct group_head *h, struct slice payload)
{
	struct slice entry;
	size_t at = 0;

	for (uint32_t i = 0; i < h->entries; i++)
		if (!group_get_entry(payload, &at, &entry))
			return SLICE_NONE;
	return at < payload.n ? slice_make(payload.p + at, payload.n - at) : SLICE_NONE;
}

static bool
is_whole(const struct group_head *h, struct slice payload)
{
	struct slice entry, source;
	struct position position;
	size_t at = 0;

	for (uint32_t i = 0; i < h->entries; i++)
		if (!group_get_entry(payload, &at, &entry))
			return false;
	for (uint32_t i = 0; i < h->marks; i++)
		if (!group_get_mark(payload, &at, &source, &position))
			return false;
	return at == payload.n;
}

static int
unreadable(const struct walk *w, struct err *err)
{
	return w->over_unreadable ? 0 : err_set_sys(err, ERR_AGAIN, "spool: cannot read");
}

/* The group at `at`: 1 whole, 0 not a group that may stand there, -1 cannot be read. */
static int
read_group(const struct walk *w, uint64_t at, struct group_head *ret, struct buf *payload, struct err *err)
{
	char head[GROUP_HEAD];
	struct group_head h;
	ssize_t n;

	if (w->end - at < GROUP_HEAD)
		return 0;
	n = sys_pread_full(w->fd, head, sizeof(head), (off_t)at);
	if (n < 0)
		return unreadable(w, err);
	if (n < GROUP_HEAD || !group_head_get(head, w->seed, &h) || h.payload_bytes > w->end - at - GROUP_HEAD ||
	    h.first_seq < w->next_seq || h.first_seq > w->below_seq || h.entries > w->below_seq - h.first_seq)
		return 0;
	buf_reset(payload);
	if (!buf_reserve(payload, h.payload_bytes))
		return err_set(err, ERR_AGAIN, "no memory to read a group of %u bytes", h.payload_bytes);
	n = sys_pread_full(w->fd, payload->p, h.payload_bytes, (off_t)(at + GROUP_HEAD));
	if (n < 0)
		return unreadable(w, err);
	if ((size_t)n < h.payload_bytes || payload_crc(w->seed, payload->p, h.payload_bytes) != h.payload_crc)
		return 0;
	payload->n = h.payload_bytes;
	*ret = h;
	return is_whole(&h, buf_slice(payload)) ? 1 : 0;
}

/* The next whole group behind w->from: 1 and w->to is where it begins, 0 none and w->to is the end, -1 cannot be read. */
static int
search(struct walk *w, struct group_head *ret, struct buf *payload, struct err *err)
{
	char part[65536];
	uint64_t at = w->from + 1;

	w->to = w->end;
	while (w->end > at && w->end - at >= GROUP_HEAD) {
		ssize_t n = sys_pread_full(w->fd, part, w->end - at < sizeof(part) ? (size_t)(w->end - at) : sizeof(part), (off_t)at);
		const char *hit;

		if (n < 0 && w->over_unreadable) {
			at = (at | (PAGE_BYTES - 1)) + 1;
			continue;
		}
		if (n < 0)
			return err_set_sys(err, ERR_AGAIN, "spool: cannot read");
		if (n < 4)
			return 0;
		for (const char *p = part; (hit = memmem(p, (size_t)(part + n - p), GROUP_MAGIC, 4)) != NULL; p = hit + 1) {
			int got = read_group(w, at + (uint64_t)(hit - part), ret, payload, err);

			if (got != 0) {
				w->to = at + (uint64_t)(hit - part);
				return got;
			}
		}
		at += (uint64_t)n - 3;		/* a magic may lie across two parts */
	}
	return 0;
}

int
walk_next(struct walk *w, struct group_head *ret, struct buf *payload, struct err *err)
{
	struct group_head h;
	int got;

	if (w->at >= w->end)
		return WALK_END;
	w->from = w->to = w->at;
	w->missing_seq = w->next_seq;
	got = read_group(w, w->at, &h, payload, err);
	if (got == 1 && h.first_seq == w->next_seq) {
		w->at += GROUP_HEAD + (uint64_t)h.payload_bytes;
		w->next_seq += h.entries;
		*ret = h;
		return WALK_GROUP;
	}
	if (got == 0)
		got = search(w, &h, payload, err);
	if (got == -1)
		return -1;
	w->at = w->to;
	if (got == 0)
		return WALK_TAIL;
	w->next_seq = h.first_seq;
	return WALK_DAMAGE;
}

bool
walk_tail_is_torn(const struct walk *w)
{
	static const char none[GROUP_HEAD];
	char head[GROUP_HEAD];
	struct group_head h;

	if (w->to - w->from < GROUP_HEAD)
		return true;
	if (sys_pread_full(w->fd, head, sizeof(head), (off_t)w->from) != GROUP_HEAD)
		return false;
	if (group_head_get(head, w->seed, &h))
		return h.payload_bytes > w->to - w->from - GROUP_HEAD;
	return memcmp(head, none, sizeof(head)) == 0;
}

uint64_t
walk_used_numbers(const struct walk *w, uint64_t from, uint64_t to)
{
	char head[GROUP_HEAD];
	struct group_head h;

	/* One group that was not finished, as a rule; its own head says it best. */
	if (to - from >= GROUP_HEAD && sys_pread_full(w->fd, head, sizeof(head), (off_t)from) == GROUP_HEAD &&
	    group_head_get(head, w->seed, &h) && h.first_seq == w->next_seq && to - from <= GROUP_HEAD + (uint64_t)h.payload_bytes)
		return h.entries;
	return (to - from) / 4 + 1;		/* an entry has 4 bytes at least */
}

int
segment_path(const char *dir, uint64_t first_seq, char *ret, size_t n, struct err *err)
{
	int len = snprintf(ret, n, "%s/%020llu.seg", dir, (unsigned long long)first_seq);

	return len > 0 && (size_t)len < n ? 0 : err_set(err, ERR_CONFIG, "the spool's path is too long");
}

static bool
segment_name(const char *name, uint64_t *ret)
{
	int64_t v;

	if (strlen(name) != NAME_BYTES || strcmp(name + 20, ".seg") != 0 || !slice_to_i64(slice_make(name, 20), &v) ||
	    v <= 0 || (uint64_t)v >= SEQ_LIMIT)
		return false;
	*ret = (uint64_t)v;
	return true;
}

static int
by_seq(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

int
segment_list(const char *dir, uint64_t **ret, size_t *ret_n, struct err *err)
{
	DIR *d = opendir(dir);
	uint64_t *v = NULL, seq;
	size_t n = 0, cap = 0;
	struct dirent *e;

	if (d == NULL)
		return err_set_sys(err, ERR_CONFIG, "%s: cannot open the spool", dir);
	while ((e = readdir(d)) != NULL) {
		if (!segment_name(e->d_name, &seq))
			continue;
		if (n == cap) {
			uint64_t *more = realloc(v, (cap = cap > 0 ? cap * 2 : 64) * sizeof(*v));

			if (more == NULL) {
				free(v);
				closedir(d);
				return err_set(err, ERR_AGAIN, "no memory for the list of segments");
			}
			v = more;
		}
		v[n++] = seq;
	}
	closedir(d);
	if (n > 0)
		qsort(v, n, sizeof(*v), by_seq);
	*ret = v;
	*ret_n = n;
	return 0;
}
