/* gzip.c - streams by zlib, whole batches by libdeflate where it is. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/gzip.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>
#ifdef WITH_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "base/buf.h"
#include "base/err.h"

#define GZIP_WINDOW	(15 + 16)	/* zlib's way to say: gzip, not zlib, headers */
#define MOST_AT_ONCE	(UINT32_MAX / 4)	/* zlib counts in unsigned int */

struct gzip_writer {
#ifdef WITH_LIBDEFLATE
	struct libdeflate_compressor	*c;
#else
	z_stream	z;
#endif
};

struct gzip_writer *
gzip_writer_new(int level)
{
	struct gzip_writer *w = calloc(1, sizeof(*w));
	bool ok;

	assert(level >= 1 && level <= 9);
	if (w == NULL)
		return NULL;
#ifdef WITH_LIBDEFLATE
	w->c = libdeflate_alloc_compressor(level);
	ok = w->c != NULL;
#else
	ok = deflateInit2(&w->z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
#endif
	if (!ok) {
		free(w);
		return NULL;
	}
	return w;
}

void
gzip_writer_free(struct gzip_writer *w)
{
	if (w == NULL)
		return;
#ifdef WITH_LIBDEFLATE
	libdeflate_free_compressor(w->c);
#else
	deflateEnd(&w->z);
#endif
	free(w);
}

/* One member into at most `room` bytes; 0 when it does not fit. */
static size_t
pack(struct gzip_writer *w, struct slice in, char *out, size_t room)
{
#ifdef WITH_LIBDEFLATE
	return libdeflate_gzip_compress(w->c, in.p, in.n, out, room);
#else
	w->z.next_in = (unsigned char *)(uintptr_t)in.p;
	w->z.avail_in = (uInt)in.n;
	w->z.next_out = (unsigned char *)out;
	w->z.avail_out = (uInt)room;
	return deflate(&w->z, Z_FINISH) == Z_STREAM_END ? room - w->z.avail_out : 0;
#endif
}

static size_t
packed_at_most(struct gzip_writer *w, size_t n)
{
#ifdef WITH_LIBDEFLATE
	return libdeflate_gzip_compress_bound(w->c, n);
#else
	deflateReset(&w->z);		/* first: a finished stream's bound leaves out the gzip head and tail */
	return deflateBound(&w->z, n);
#endif
}

int
gzip_compress(struct gzip_writer *w, struct slice in, struct buf *out, struct err *err)
{
	size_t most, room, n;

	if (in.n > MOST_AT_ONCE)
		return err_set(err, ERR_DATA, "%zu bytes are too many to compress at once", in.n);
	most = packed_at_most(w, in.n);
	room = out->max_bytes - out->n < most ? out->max_bytes - out->n : most;
	if (!buf_reserve(out, room))
		return err_set(err, ERR_AGAIN, "no memory to compress %zu bytes", in.n);
	n = room > 0 ? pack(w, in, out->p + out->n, room) : 0;
	if (n == 0)
		return err_set(err, ERR_FULL, "%zu bytes do not compress into %zu", in.n, room);
	out->n += n;
	return 0;
}

struct gzip_reader {
	z_stream	z;
	bool		between;	/* a member has ended, another may begin */
};

struct gzip_reader *
gzip_reader_new(void)
{
	struct gzip_reader *r = calloc(1, sizeof(*r));

	if (r != NULL && inflateInit2(&r->z, GZIP_WINDOW) != Z_OK) {
		free(r);
		return NULL;
	}
	return r;
}

void
gzip_reader_free(struct gzip_reader *r)
{
	if (r == NULL)
		return;
	inflateEnd(&r->z);
	free(r);
}

static int
bad_stream(const struct gzip_reader *r, struct err *err)
{
	return err_set(err, ERR_DATA, "not gzip data, or damaged: %s", r->z.msg != NULL ? r->z.msg : "no reason given");
}

int
gzip_read(struct gzip_reader *r, struct slice in, size_t *ret_used, struct buf *out, size_t want, struct err *err)
{
	size_t in_n = in.n < MOST_AT_ONCE ? in.n : MOST_AT_ONCE;
	int rc = Z_OK;

	if (want > MOST_AT_ONCE)
		want = MOST_AT_ONCE;
	if (want > out->max_bytes - out->n)
		want = out->max_bytes - out->n;
	if (!buf_reserve(out, want))
		return err_set(err, ERR_AGAIN, "no memory to unpack");
	r->z.next_in = (unsigned char *)(uintptr_t)in.p;
	r->z.avail_in = (uInt)in_n;
	r->z.next_out = (unsigned char *)out->p + out->n;
	r->z.avail_out = (uInt)want;
	while (r->z.avail_out > 0 && (r->z.avail_in > 0 || rc == Z_OK)) {
		if (r->between) {
			if (r->z.avail_in == 0)
				break;
			inflateReset(&r->z);
			r->between = false;
		}
		rc = inflate(&r->z, Z_NO_FLUSH);
		if (rc == Z_STREAM_END)
			r->between = true;
		else if (rc == Z_BUF_ERROR)
			break;			/* more input, or more room */
		else if (rc == Z_MEM_ERROR)
			return err_set(err, ERR_AGAIN, "no memory to unpack");
		else if (rc != Z_OK)
			return bad_stream(r, err);
	}
	*ret_used = in_n - r->z.avail_in;
	out->n += want - r->z.avail_out;
	return r->between && *ret_used == in.n ? 1 : 0;
}

/* The next piece. Once out is full the end may still come, but not a byte more. */
static int
unpack_some(struct gzip_reader *r, struct slice *in, struct buf *out, struct err *err)
{
	size_t before = out->n, used = 0;
	bool full = before == out->max_bytes;
	char beyond[1 + BUF_SLACK];
	struct buf spare = { .p = beyond, .cap = 1, .max_bytes = 1 };
	int rc = gzip_read(r, *in, &used, full ? &spare : out, GZIP_PIECE, err);

	if (rc < 0)
		return -1;
	if (spare.n > 0)
		return err_set(err, ERR_DATA, "unpacks to more than %zu bytes", out->max_bytes);
	if (rc == 0 && used == 0 && out->n == before)
		return err_set(err, ERR_DATA, "gzip data end in the middle");
	*in = slice_make(in->p + used, in->n - used);
	return rc;
}

int
gzip_decompress_count(struct slice in, struct buf *out, size_t *ret_made, struct err *err)
{
	struct gzip_reader *r = gzip_reader_new();
	size_t before = out->n;
	int rc;

	*ret_made = 0;
	if (r == NULL)
		return err_set(err, ERR_AGAIN, "no memory to unpack");
	do
		rc = unpack_some(r, &in, out, err);
	while (rc == 0);
	gzip_reader_free(r);
	*ret_made = out->n - before;
	if (rc < 0) {
		*ret_made += GZIP_PIECE;
		out->n = before;
	}
	return rc == 1 ? 0 : -1;
}

int
gzip_decompress(struct slice in, struct buf *out, struct err *err)
{
	size_t made;

	return gzip_decompress_count(in, out, &made, err);
}
