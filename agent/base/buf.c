/* buf.c - growing bytes, and the texts that are put into them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){ .max_bytes = max_bytes };
}

void
buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max_bytes = b->max_bytes };
}

bool
buf_grow(struct buf *b, size_t more)
{
	size_t need = b->n + more, cap = b->cap < 128 ? 256 : b->cap * 2;
	char *p;

	if (need < more || need > b->max_bytes || need > SIZE_MAX / 4) {
		b->failed = true;
		return false;
	}
	if (need <= b->cap)
		return true;
	if (cap < need)
		cap = need;
	if (cap > b->max_bytes)
		cap = b->max_bytes;
	p = realloc(b->p, cap + BUF_SLACK);
	if (p == NULL) {
		b->failed = true;
		return false;
	}
	memset(p + b->cap, 0, cap + BUF_SLACK - b->cap);	/* what is read ahead is never uninitialised */
	b->p = p;
	b->cap = cap;
	return true;
}

void
buf_consume(struct buf *b, size_t n)
{
	if (n > b->n)
		n = b->n;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || !buf_reserve(b, (size_t)n + 1)) {
		b->failed = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	char text[20], *at = text + sizeof(text);

	do
		*--at = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	buf_put(b, at, (size_t)(text + sizeof(text) - at));
}

void
buf_put_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_putc(b, '-');
	buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void
buf_put_double(struct buf *b, double v)
{
	char text[40];
	int n = 0;

	if (!isfinite(v)) {
		buf_puts(b, "null");
		return;
	}
	if (v == floor(v) && fabs(v) < 1e15) {
		buf_put_i64(b, (int64_t)v);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	for (int i = 0; i < n; i++)		/* whatever the locale's decimal mark is */
		if (text[i] == ',')
			text[i] = '.';
	buf_put(b, text, (size_t)n);
}

/* What each byte means inside a JSON string: 0 plain, 1 needs an escape, 2 begins a longer character. */
static const unsigned char json_class[256] = {
	[0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x80 ... 0xff] = 2,
};

static void
put_escape(struct buf *b, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char text[6] = { '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] };

	switch (c) {
	case '"': buf_put(b, "\\\"", 2); break;
	case '\\': buf_put(b, "\\\\", 2); break;
	case '\n': buf_put(b, "\\n", 2); break;
	case '\r': buf_put(b, "\\r", 2); break;
	case '\t': buf_put(b, "\\t", 2); break;
	case '\b': buf_put(b, "\\b", 2); break;
	case '\f': buf_put(b, "\\f", 2); break;
	default: buf_put(b, text, sizeof(text)); break;
	}
}

/* How many bytes at p are one broken character: the lead byte and what follows it rightly (Unicode 3.9, maximal subpart). */
static size_t
broken(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t want = p[0] >= 0xf0 && p[0] <= 0xf4 ? 4 : p[0] >= 0xe0 && p[0] < 0xf0 ? 3 : p[0] >= 0xc2 && p[0] < 0xe0 ? 2 : 1;
	unsigned least = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
	unsigned most = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
	size_t n = 1;

	while (n < want && n < s.n && p[n] >= (n == 1 ? least : 0x80) && p[n] <= (n == 1 ? most : 0xbf))
		n++;
	return n;
}

void
buf_put_json(struct buf *b, struct slice s)
{
	size_t i = 0;

	buf_putc(b, '"');
	while (i < s.n) {
		size_t run = i;

		while (run < s.n && json_class[(unsigned char)s.p[run]] == 0)
			run++;
		buf_put(b, s.p + i, run - i);
		i = run;
		if (i == s.n)
			break;
		if (json_class[(unsigned char)s.p[i]] == 1) {
			put_escape(b, (unsigned char)s.p[i++]);
			continue;
		}
		while (run < s.n && (unsigned char)s.p[run] >= 0x80)
			run++;
		run = utf8_valid_prefix(slice_make(s.p + i, run - i));
		buf_put(b, s.p + i, run);
		i += run;
		if (run == 0) {
			buf_put(b, "\xef\xbf\xbd", 3);
			i += broken(slice_make(s.p + i, s.n - i));
		}
	}
	buf_putc(b, '"');
}

void
buf_put_hex(struct buf *b, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *in = p;

	if (!buf_reserve(b, 2 * n))
		return;
	for (size_t i = 0; i < n; i++) {
		b->p[b->n++] = hex[in[i] >> 4];
		b->p[b->n++] = hex[in[i] & 15];
	}
}

void
buf_put_base64(struct buf *b, const void *p, size_t n, bool url)
{
	const char *digits = url ?
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_" :
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = p;

	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t word = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (have > 2 ? in[i + 2] : 0);

		for (size_t k = 0; k <= have; k++)
			buf_putc(b, digits[word >> (18 - 6 * k) & 63]);
		for (size_t k = have; k < 3 && !url; k++)
			buf_putc(b, '=');
	}
}

int
buf_read_file(struct buf *b, const char *path, struct err *err)
{
	int fd = sys.open(path, O_RDONLY, 0);
	ssize_t n;
	int rc = -1;

	if (fd < 0)
		return err_set_sys(err, errno == EACCES ? ERR_DENIED : ERR_CONFIG, "%s: cannot open", path);
	for (;;) {
		size_t room = b->cap - b->n;

		if (room == 0) {
			room = b->max_bytes - b->n < 65536 ? b->max_bytes - b->n : 65536;
			if (room == 0 || !buf_reserve(b, room)) {
				char more;

				n = b->failed ? 1 : sys.read(fd, &more, 1);
				if (n == 0) {
					rc = 0;
					break;
				}
				err_set(err, ERR_CONFIG, "%s: larger than %zu bytes", path, b->max_bytes);
				break;
			}
		}
		n = sys.read(fd, b->p + b->n, room);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err_set_sys(err, ERR_AGAIN, "%s: cannot read", path);
			break;
		}
		if (n == 0) {
			rc = 0;
			break;
		}
		b->n += (size_t)n;
	}
	sys.close(fd);
	return rc;
}
