/*
 * format.h - the bytes on disk; README.md beside this file tells the same in words. All numbers little-endian.
 *
 * Segment: 64 bytes of head, then groups.
 *   0 "AISPMSG1"  8 u64 first seq  16 u64 spool id  24 u64 made, ms since 1970  32..59 zero  60 u32 CRC-32 of bytes 0..59
 * Group: 32 bytes of head, then its payload.
 *   0 "GRP1"  4 u32 payload bytes  8 u64 first seq  16 u32 entries  20 u32 marks  24 u32 CRC-32 of payload  28 u32 CRC-32 of 0..27
 * Payload: entries, each u32 length and bytes; then marks, each u8 length and name of the source, u64 stream, u8 length and bytes.
 * The first group of a segment has no entries: its marks are all positions at that time.
 */
#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "model/record.h"
#include "spool/spool.h"

#define SEGMENT_MAGIC	"AISPMSG1"
#define SEGMENT_HEAD	64
#define GROUP_MAGIC	"GRP1"
#define GROUP_HEAD	32
#define GROUP_MAX_BYTES	(512u << 20)
#define SOURCE_BYTES	64
#define SEQ_LIMIT	(UINT64_C(1) << 62)	/* no entry has this number or a greater one */
#define NAME_BYTES	24		/* "%020llu.seg" */

struct group_head {
	uint64_t	first_seq;
	uint32_t	payload_bytes, entries, marks, payload_crc;
};

void	segment_head_put(char out[SEGMENT_HEAD], uint64_t first_seq, uint64_t spool_id, uint64_t made_ms);
bool	segment_head_get(const char in[SEGMENT_HEAD], uint64_t *ret_first_seq, uint64_t *ret_spool_id);
void	group_head_put(char out[GROUP_HEAD], const struct group_head *);
bool	group_head_get(const char in[GROUP_HEAD], struct group_head *ret);

void	group_put_entry(struct buf *, struct slice);
void	group_put_mark(struct buf *, const struct spool_mark *);
/* The next entry of a payload; *at moves on. False: none, or the payload is not what its head says. */
bool	group_get_entry(struct slice payload, size_t *at, struct slice *ret);
struct slice group_marks(const struct group_head *, struct slice payload);	/* the part behind the entries */
bool	group_get_mark(struct slice payload, size_t *at, struct slice *ret_source, struct position *ret);

/*
 * The one way through a segment's groups, for the writer's recovery, readers and verify alike. A group is whole when its checksums
 * hold, its payload is what its head says, and its numbers go on from the group before it and end below the next segment.
 */
struct walk {
	int		fd;
	uint64_t	at, end;		/* the next byte, and behind the last */
	uint64_t	next_seq;		/* of the next entry */
	uint64_t	below_seq;		/* every number is below it: the next segment's first, or SEQ_LIMIT */
	uint64_t	from, to;		/* the bytes that are damaged; the same: whole groups are missing there */
	uint64_t	missing_seq;		/* what next_seq was before them */
};
enum walk_step {
	WALK_END,
	WALK_GROUP,	/* given, and passed */
	WALK_DAMAGE,	/* from, to; call again to go on behind it */
	WALK_TAIL,	/* from, to: no whole group follows; at is behind it */
};

/* An enum walk_step, or -1: cannot be read. */
int	walk_next(struct walk *, struct group_head *ret, struct buf *payload, struct err *);

int	segment_path(const char *dir, uint64_t first_seq, char *ret, size_t n, struct err *);
/* First seqs of all segments of a directory, ascending; malloc'ed. */
int	segment_list(const char *dir, uint64_t **ret, size_t *ret_n, struct err *);

#endif
