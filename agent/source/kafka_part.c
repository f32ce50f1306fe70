/*
 * kafka_part.c - the partitions of source `kafka`: taken, safe, committed.
 *
 * A position's bytes: version 1, three of zero, i32 partition, i64 next offset, u64 hash of the topic; little-endian.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "source/kafka_source.h"
#include "source/source.h"

#define PLACE_VERSION	1
#define POSITION_LEN	24
#define PARTS_MOST	65536

static uint64_t
stream_of(const char *topic, int32_t partition)
{
	unsigned char bytes[12];

	put_le64(bytes, hash_stable(topic, strlen(topic)));
	put_le32(bytes + 8, (uint32_t)partition);
	return hash_stable(bytes, sizeof(bytes));
}

struct kafka_part *
kafka_part_by_stream(struct kafka_source *ks, uint64_t stream)
{
	for (size_t i = 0; i < ks->nparts; i++)
		if (ks->parts[i].stream == stream)
			return &ks->parts[i];
	return NULL;
}

static struct kafka_part *
add_part(struct kafka_source *ks, uint64_t stream)
{
	struct kafka_part *p;

	if (ks->nparts == ks->parts_cap) {
		size_t cap = ks->parts_cap > 0 ? ks->parts_cap * 2 : 32;
		struct kafka_part *v = ks->nparts < PARTS_MOST ? realloc(ks->parts, cap * sizeof(*v)) : NULL;

		if (v == NULL)
			return NULL;
		ks->parts = v;
		ks->parts_cap = cap;
	}
	p = &ks->parts[ks->nparts++];
	*p = (struct kafka_part){ .stream = stream, .next = KAFKA_NONE, .safe = KAFKA_NONE, .committed = KAFKA_NONE,
		.high = KAFKA_NONE, .rewind = KAFKA_NONE };
	return p;
}

struct kafka_part *
kafka_part_get(struct kafka_source *ks, const char *topic, int32_t partition)
{
	uint64_t stream = stream_of(topic, partition);
	struct kafka_part *p = kafka_part_by_stream(ks, stream);

	if (p == NULL)
		p = add_part(ks, stream);
	if (p != NULL && p->topic == NULL) {
		p->topic = strdup(topic);
		p->partition = partition;
		if (p->topic == NULL)
			return NULL;
	}
	return p;
}

/* Messages come in runs of one partition, so mostly nothing is searched. */
struct kafka_part *
kafka_part_of(struct kafka_source *ks, const rd_kafka_message_t *m)
{
	struct kafka_part *p;

	if (ks->last_topic != m->rkt || ks->last_partition != m->partition || ks->last >= ks->nparts) {
		p = kafka_part_by_stream(ks, stream_of(rd_kafka_topic_name(m->rkt), m->partition));
		if (p == NULL)
			return NULL;
		ks->last = (size_t)(p - ks->parts);
		ks->last_topic = m->rkt;
		ks->last_partition = m->partition;
	}
	p = &ks->parts[ks->last];
	return p->assigned ? p : NULL;
}

struct position
kafka_part_position(const struct kafka_part *p, int64_t next)
{
	struct position at = { .stream = p->stream, .len = POSITION_LEN, .bytes = { PLACE_VERSION } };

	put_le32(at.bytes + 4, (uint32_t)p->partition);
	put_le64(at.bytes + 8, (uint64_t)next);
	put_le64(at.bytes + 16, hash_stable(p->topic, strlen(p->topic)));
	return at;
}

bool
kafka_part_read(const struct position *at, int64_t *ret_next)
{
	int64_t next;

	if (at->len < POSITION_LEN || at->bytes[0] != PLACE_VERSION)
		return false;
	next = (int64_t)get_le64(at->bytes + 8);
	if (next < 0)
		return false;
	*ret_next = next;
	return true;
}

int
kafka_part_restore(struct kafka_source *ks, const struct position *at, struct err *err)
{
	struct kafka_part *p;
	int64_t next;

	if (!kafka_part_read(at, &next))
		return 0;		/* of another version: the committed offset holds */
	p = kafka_part_by_stream(ks, at->stream);
	if (p == NULL)
		p = add_part(ks, at->stream);
	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for saved positions");
	p->next = p->safe = next;
	return 0;
}

/* ---- committing ------------------------------------------------------------------ */

static rd_kafka_topic_partition_list_t *
list_of(struct kafka_source *ks, bool to_commit)
{
	rd_kafka_topic_partition_list_t *list = NULL;

	for (size_t i = 0; i < ks->nparts; i++) {
		struct kafka_part *p = &ks->parts[i];

		if (!p->assigned || (to_commit && (p->safe == KAFKA_NONE || p->safe == p->committed)))
			continue;
		if (list == NULL)
			list = rd_kafka_topic_partition_list_new(16);
		rd_kafka_topic_partition_list_add(list, p->topic, p->partition)->offset = p->safe;
		if (to_commit)
			p->committed = p->safe;
	}
	return list;
}

rd_kafka_topic_partition_list_t *
kafka_part_assigned(struct kafka_source *ks)
{
	return list_of(ks, false);
}

void
kafka_part_commit(struct kafka_source *ks, int wait_ms)
{
	rd_kafka_topic_partition_list_t *list = ks->rk != NULL ? list_of(ks, true) : NULL;
	rd_kafka_queue_t *answer;

	if (list == NULL)
		return;
	if (wait_ms == 0) {
		if (rd_kafka_commit(ks->rk, list, 1) != RD_KAFKA_RESP_ERR_NO_ERROR)
			kafka_part_commit_failed(ks);
	} else {
		answer = rd_kafka_queue_new(ks->rk);
		if (rd_kafka_commit_queue(ks->rk, list, answer, NULL, NULL) == RD_KAFKA_RESP_ERR_NO_ERROR) {
			rd_kafka_event_t *ev = rd_kafka_queue_poll(answer, wait_ms);

			if (ev != NULL)
				rd_kafka_event_destroy(ev);
		}
		rd_kafka_queue_destroy(answer);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

/* It is not known which: all are told again. */
void
kafka_part_commit_failed(struct kafka_source *ks)
{
	for (size_t i = 0; i < ks->nparts; i++)
		ks->parts[i].committed = KAFKA_NONE;
}

/* ---- looking over all --------------------------------------------------------------- */

uint64_t
kafka_part_lag(struct kafka_source *ks)
{
	uint64_t lag = 0;

	for (size_t i = 0; i < ks->nparts; i++) {
		const struct kafka_part *p = &ks->parts[i];
		int64_t low, high;

		if (p->assigned && p->next != KAFKA_NONE &&
		    rd_kafka_get_watermark_offsets(ks->rk, p->topic, p->partition, &low, &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
		    high > p->next)
			lag += (uint64_t)(high - p->next);
	}
	return lag;
}

bool
kafka_part_drained(const struct kafka_source *ks)
{
	for (size_t i = 0; i < ks->nparts; i++) {
		const struct kafka_part *p = &ks->parts[i];

		if (p->assigned && !p->ended && (p->high == KAFKA_NONE || p->next < p->high))
			return false;
	}
	return true;
}

bool
kafka_part_tell(struct kafka_source *ks)
{
	for (size_t i = 0; i < ks->nparts; i++) {
		struct kafka_part *p = &ks->parts[i];
		struct position at;

		if (!p->untold)
			continue;
		at = kafka_part_position(p, p->next);
		if (!source_move(ks->s, &at))
			return false;
		p->untold = false;
	}
	return true;
}

void
kafka_part_free(struct kafka_source *ks)
{
	for (size_t i = 0; i < ks->nparts; i++)
		free(ks->parts[i].topic);
	free(ks->parts);
	ks->parts = NULL;
	ks->nparts = ks->parts_cap = 0;
}
