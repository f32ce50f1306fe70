/* gzip.c - streams by zlib, whole batches by libdeflate where it is. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/gzip.h"

#include <stdlib.h>
#include <zlib.h>
#ifdef WITH_LIBDEFLATE
#include <libdeflate.h>
#endif

#include "base/buf.h"
#include "base/err.h"

#define GZIP_WINDOW	(15 + 16)	/* zlib's way to say: gzip, not zlib, headers */

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

	if (w == NULL)
		return NULL;
#ifdef WITH_LIBDEFLATE
	w->c = libdeflate_alloc_compressor(level);
	if (w->c == NULL) {
#else
	if (deflateInit2(&w->z, level, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
#endif
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

int
gzip_compress(struct gzip_writer *w, struct slice in, struct buf *out, struct err *err)
{
	size_t n;
#ifdef WITH_LIBDEFLATE
	size_t bound = libdeflate_gzip_compress_bound(w->c, in.n);
#else
	size_t bound = deflateBound(&w->z, in.n);
#endif

	if (!buf_reserve(out, bound))
		return err_set(err, ERR_AGAIN, "no memory to compress %zu bytes", in.n);
#ifdef WITH_LIBDEFLATE
	n = libdeflate_gzip_compress(w->c, in.p, in.n, out->p + out->n, bound);
#else
	deflateReset(&w->z);
	w->z.next_in = (unsigned char *)(uintptr_t)in.p;
	w->z.avail_in = (uInt)in.n;
	w->z.next_out = (unsigned char *)out->p + out->n;
	w->z.avail_out = (uInt)bound;
	n = deflate(&w->z, Z_FINISH) == Z_STREAM_END ? bound - w->z.avail_out : 0;
#endif
	if (n == 0)
		return err_set(err, ERR_AGAIN, "cannot compress %zu bytes", in.n);
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
	size_t in_n = in.n < UINT32_MAX / 2 ? in.n : UINT32_MAX / 2;
	int rc = Z_OK;

	if (want > UINT32_MAX / 2)
		want = UINT32_MAX / 2;
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
		else if (rc != Z_OK)
			return bad_stream(r, err);
	}
	*ret_used = in_n - r->z.avail_in;
	out->n += want - r->z.avail_out;
	return r->between && *ret_used == in.n ? 1 : 0;
}

int
gzip_decompress(struct slice in, struct buf *out, struct err *err)
{
	struct gzip_reader *r = gzip_reader_new();
	int rc = 0;

	if (r == NULL)
		return err_set(err, ERR_AGAIN, "no memory to unpack");
	while (rc == 0) {
		size_t room = out->max_bytes - out->n, used, before = out->n;

		if (room == 0) {
			rc = err_set(err, ERR_DATA, "unpacks to more than %zu bytes", out->max_bytes);
			break;
		}
		rc = gzip_read(r, in, &used, out, room < 65536 ? room : 65536, err);
		if (rc == 0 && used == 0 && out->n == before)
			rc = err_set(err, ERR_DATA, "gzip data end in the middle");
		if (rc >= 0)
			in = slice_make(in.p + used, in.n - used);
	}
	gzip_reader_free(r);
	return rc == 1 ? 0 : -1;
}
