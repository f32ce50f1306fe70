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
bool	group_get_mark(struct slice payload, size_t *at, struct slice *ret_source, struct position *ret);

/* Reads and checks the group at `at` of a file whose good part ends at `end`: 1 whole, 0 not a group, -1 I/O. */
int	group_read(int fd, uint64_t at, uint64_t end, struct group_head *ret, struct buf *payload, struct err *);
/* Offset of the next whole group at or after `at`, or `end`. */
uint64_t group_search(int fd, uint64_t at, uint64_t end, struct buf *scratch);

int	segment_path(const char *dir, uint64_t first_seq, char *ret, size_t n, struct err *);
/* First seqs of all segments of a directory, ascending; malloc'ed. */
int	segment_list(const char *dir, uint64_t **ret, size_t *ret_n, struct err *);

#endif
