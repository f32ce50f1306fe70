/*
 * gzip.h - RFC 1952, both ways. Home of zlib (streams) and, where configure found it, libdeflate (whole batches).
 */
#ifndef BASE_GZIP_H
#define BASE_GZIP_H

#include <stdbool.h>
#include <stddef.h>
#include "base/slice.h"

struct buf;
struct err;

/* Compresses whole batches; keeps its working memory between calls. One thread at a time. */
struct gzip_writer;
struct gzip_writer *gzip_writer_new(int level);		/* 1..9; NULL when memory is short */
void	gzip_writer_free(struct gzip_writer *);
int	gzip_compress(struct gzip_writer *, struct slice in, struct buf *out, struct err *);	/* appends */

/* Decompresses a stream, concatenated members too. */
struct gzip_reader;
struct gzip_reader *gzip_reader_new(void);
void	gzip_reader_free(struct gzip_reader *);
/* Appends to `out` until it holds `want` more bytes, input ends, or the data does. Returns 1 at the end of the
 * last member with no input left, 0 when more input is wanted or out is full, -1 ERR_DATA. *ret_used is input eaten. */
int	gzip_read(struct gzip_reader *, struct slice in, size_t *ret_used, struct buf *out, size_t want, struct err *);
/* Whole, at most out->max_bytes. */
int	gzip_decompress(struct slice in, struct buf *out, struct err *);
/* The same; *ret_made is how many bytes it made, of damaged or too large data how many it may have made: the last piece's are not told. */
#define GZIP_PIECE	65536u
int	gzip_decompress_count(struct slice in, struct buf *out, size_t *ret_made, struct err *);
static inline bool
gzip_is(struct slice s)
{
	return s.n >= 3 && (unsigned char)s.p[0] == 0x1f && (unsigned char)s.p[1] == 0x8b && s.p[2] == 8;
}

#endif
