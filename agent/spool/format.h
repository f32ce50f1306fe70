/*
 * format.h - the bytes on disk; README.md beside this file tells the same in words. All numbers little-endian.
 *
 * Segment: 64 bytes of head, then groups.
 *   0 "AISPMSG2"  8 u64 first seq  16 u64 spool id  24 u64 made, ms since 1970  32 u64 last seq before it  40..59 zero
 *   60 u32 CRC-32 of bytes 0..59 (so in every version, to tell an unknown one from a damaged one)
 * Group: 32 bytes of head, then its payload. Their CRCs begin with the spool id's 8 bytes: bytes that a stranger brought into an entry
 * cannot pass for a group when what stands around them is damaged.
 *   0 "GRP1"  4 u32 payload bytes  8 u64 first seq  16 u32 entries  20 u32 marks  24 u32 CRC-32 of payload  28 u32 CRC-32 of 0..27
 * Payload: entries, each u32 length and bytes; then marks, each u8 length and name of the source, u64 stream, u8 length and bytes.
 * The first group of a segment has no entries: its marks are all positions at that time.
 * Version 1 had no last seq (it is the first less one) and CRCs without the id. It is read, and not written.
 */
#ifndef SPOOL_FORMAT_H
#define SPOOL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "model/record.h"
#include "spool/spool.h"

#define SEGMENT_MAGIC	"AISPMSG"	/* and the version, a digit */
#define SEGMENT_VERSION	2
#define SEGMENT_HEAD	64
#define GROUP_MAGIC	"GRP1"
#define GROUP_HEAD	32
#define GROUP_MAX_BYTES	(512u << 20)
#define SOURCE_BYTES	64
#define SEQ_LIMIT	(UINT64_C(1) << 62)	/* no entry has this number or a greater one */
#define NAME_BYTES	24		/* "%020llu.seg" */
#define ASIDE		".bad"		/* behind the name of a segment that was set aside; further ones .bad2, .bad3 ... */

struct segment_head {
	uint64_t	first_seq, spool_id, made_ms;
	uint64_t	after_seq;	/* the last number before it; between them none was used */
	uint32_t	seed;		/* what the CRCs of its groups begin with */
};
enum head_kind { HEAD_GOOD, HEAD_DAMAGED, HEAD_UNKNOWN };	/* unknown: sound, and of a version that is not ours */

struct group_head {
	uint64_t	first_seq;
	uint32_t	payload_bytes, entries, marks, payload_crc;
};

void	segment_head_put(char out[SEGMENT_HEAD], const struct segment_head *);
enum head_kind segment_head_get(const char in[SEGMENT_HEAD], struct segment_head *ret);
/* All numbers of a segment are below it, by the one that follows. A segment without entries may begin behind that one's last seq. */
static inline uint64_t
segment_below(uint64_t first_seq, uint64_t next_after_seq)
{
	return next_after_seq + 1 > first_seq ? next_after_seq + 1 : first_seq;
}
/* Of an open file. -1: it cannot be read. */
int	segment_head_read(int fd, struct segment_head *ret, enum head_kind *ret_kind, struct err *);
uint32_t segment_seed(uint64_t spool_id);
/* Payload bytes and both checksums are filled in from what stands behind `raw`, a head's length after it. */
void	group_seal(char *raw, struct group_head *, size_t payload_bytes, uint32_t seed);

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
	uint32_t	seed;
	bool		over_unreadable;	/* a read that fails is damage */
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

/* An enum walk_step, or -1: cannot be read, or no memory. */
int	walk_next(struct walk *, struct group_head *ret, struct buf *payload, struct err *);
/* After WALK_TAIL: is it what a write leaves that was not finished? It ends too early, or nothing of it came to the disk. */
bool	walk_tail_is_torn(const struct walk *);
/* How many numbers the bytes from `from` to `to` may have used at most: what was once given to an entry is given to no other. */
uint64_t walk_used_numbers(const struct walk *, uint64_t from, uint64_t to);

int	segment_path(const char *dir, uint64_t first_seq, char *ret, size_t n, struct err *);
/* First seqs of all segments of a directory, ascending; malloc'ed. */
int	segment_list(const char *dir, uint64_t **ret, size_t *ret_n, struct err *);

#endif
