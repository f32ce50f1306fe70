/*
 * buf.h - bytes that grow at the end.
 *
 * Owns:    its memory, until buf_fini.
 * Fails:   softly: past max_bytes or when malloc fails, `failed` is set, later
 *          puts do nothing, and what is in it stays as it was. Check once, at the end.
 * Note:    there are always BUF_SLACK readable bytes after `n` once p is not
 *          NULL (the JSON reader may look past the end of its input).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "base/slice.h"

#define BUF_SLACK	64

struct buf {
	char	*p;
	size_t	 n, cap, max_bytes;	/* cap does not count the slack */
	bool	 failed;
	bool	 starved;		/* it was memory, not max_bytes: later it may do. Stays until buf_reset */
};

void	buf_init(struct buf *, size_t max_bytes);
void	buf_fini(struct buf *);
bool	buf_grow(struct buf *, size_t more);	/* room for `more` bytes after n; false: failed is set */

static inline bool
buf_reserve(struct buf *b, size_t more)
{
	return !b->failed && (b->cap - b->n >= more || buf_grow(b, more));
}

static inline void
buf_put(struct buf *b, const void *p, size_t n)
{
	if (n > 0 && buf_reserve(b, n)) {
		memcpy(b->p + b->n, p, n);
		b->n += n;
	}
}

static inline void
buf_putc(struct buf *b, char c)
{
	if (buf_reserve(b, 1))
		b->p[b->n++] = c;
}

static inline void
buf_puts(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

static inline void
buf_put_slice(struct buf *b, struct slice s)
{
	buf_put(b, s.p, s.n);
}

static inline struct slice
buf_slice(const struct buf *b)
{
	return (struct slice){ b->p, b->n };
}

/* Empties it and clears `failed`; memory is kept. */
static inline void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = b->starved = false;
}

/* Drops the first n bytes (memmove). */
void	buf_consume(struct buf *, size_t n);
__attribute__((format(printf, 2, 3)))
void	buf_printf(struct buf *, const char *fmt, ...);
void	buf_put_u64(struct buf *, uint64_t);	/* decimal */
void	buf_put_i64(struct buf *, int64_t);
/* Shortest text that reads back as the same double ("%.17g" at worst); not-finite puts "null". */
void	buf_put_double(struct buf *, double);
/* A JSON string with its quotes. Escapes by RFC 8259, and what utf8_odd names; bytes that are not UTF-8 become U+FFFD. */
void	buf_put_json(struct buf *, struct slice);
void	buf_put_hex(struct buf *, const void *, size_t n);
void	buf_put_base64(struct buf *, const void *, size_t n, bool url);	/* url: RFC 4648 5, no padding */
/* Puts what a base64 text stands for: either alphabet, padded or not. False, and nothing put, if it is none. */
bool	buf_put_unbase64(struct buf *, struct slice text);
/* Whole file, at most max_bytes of the buf. */
struct err;
int	buf_read_file(struct buf *, const char *path, struct err *);

/* Little-endian words for on-disk formats. */
static inline void
put_le32(void *p, uint32_t v)
{
	unsigned char *b = (unsigned char *)p;
	b[0] = (unsigned char)v; b[1] = (unsigned char)(v >> 8);
	b[2] = (unsigned char)(v >> 16); b[3] = (unsigned char)(v >> 24);
}
static inline uint32_t
get_le32(const void *p)
{
	const unsigned char *b = (const unsigned char *)p;
	return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}
static inline void
put_le64(void *p, uint64_t v)
{
	put_le32(p, (uint32_t)v);
	put_le32((char *)p + 4, (uint32_t)(v >> 32));
}
static inline uint64_t
get_le64(const void *p)
{
	return (uint64_t)get_le32(p) | (uint64_t)get_le32((const char *)p + 4) << 32;
}
static inline void
buf_put_le32(struct buf *b, uint32_t v)
{
	char raw[4];

	put_le32(raw, v);
	buf_put(b, raw, sizeof(raw));
}
static inline void
buf_put_le64(struct buf *b, uint64_t v)
{
	char raw[8];

	put_le64(raw, v);
	buf_put(b, raw, sizeof(raw));
}

#endif
