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

#define READ_BYTES	65536

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
		b->failed = b->starved = true;
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

	if (!buf_reserve(b, 1))
		return;
	va_start(ap, fmt);
	n = vsnprintf(b->p + b->n, b->cap - b->n + 1, fmt, ap);		/* the NUL may stand in the slack */
	va_end(ap);
	if (n >= 0 && (size_t)n > b->cap - b->n && buf_reserve(b, (size_t)n)) {
		va_start(ap, fmt);
		n = vsnprintf(b->p + b->n, (size_t)n + 1, fmt, ap);
		va_end(ap);
	}
	if (n < 0)
		b->failed = true;
	if (!b->failed)
		b->n += (size_t)n;
}

void
buf_put_u64(struct buf *b, uint64_t v)
{
	static const char pairs[] =
	    "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
	    "50515253545556575859606162636465666768697071727374757677787980818283848586878889909192939495969798" "99";
	char text[20], *at = text + sizeof(text);

	for (; v >= 100; v /= 100) {
		at -= 2;
		memcpy(at, pairs + v % 100 * 2, 2);
	}
	if (v >= 10) {
		at -= 2;
		memcpy(at, pairs + v * 2, 2);
	} else {
		*--at = (char)('0' + v);
	}
	buf_put(b, at, (size_t)(text + sizeof(text) - at));
}

void
buf_put_i64(struct buf *b, int64_t v)
{
	if (v < 0)
		buf_putc(b, '-');
	buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

/*
 * Up to six decimals without the library's long way: r and the power of ten are
 * exact, so r / power is the double that the text reads back as.
 */
static bool
put_short_decimal(struct buf *b, double v)
{
	double a = fabs(v), power = 10, r;
	char text[8];

	if (a < 1e-4 || a >= 1e8)
		return false;
	for (int n = 1; n <= 6; n++, power *= 10) {
		r = rint(a * power);
		if (r / power != a)
			continue;
		if (v < 0)
			buf_putc(b, '-');
		buf_put_u64(b, (uint64_t)r / (uint64_t)power);
		text[0] = '.';
		for (uint64_t rest = (uint64_t)r % (uint64_t)power, i = (uint64_t)n; i > 0; i--, rest /= 10)
			text[i] = (char)('0' + rest % 10);
		buf_put(b, text, (size_t)n + 1);
		return true;
	}
	return false;
}

void
buf_put_double(struct buf *b, double v)
{
	char text[48];
	bool mark = false;
	int n = 0;

	if (!isfinite(v)) {
		buf_puts(b, "null");
		return;
	}
	if (v == floor(v) && fabs(v) < 1e15) {
		buf_puts(b, v == 0 && signbit(v) ? "-" : "");
		buf_put_i64(b, (int64_t)v);
		return;
	}
	if (put_short_decimal(b, v))
		return;
	for (int digits = 15; digits <= 17; digits++) {
		n = snprintf(text, sizeof(text), "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	for (int i = 0; i < n; i++) {		/* whatever the locale's decimal mark is, and however long */
		bool odd = strchr("0123456789+-e", text[i]) == NULL;

		if (!odd || !mark)
			buf_putc(b, odd ? '.' : text[i]);
		mark = odd;
	}
}

/* What each byte means inside a JSON string: 0 plain, 1 needs an escape, 2 begins a longer character. */
static const unsigned char json_class[256] = {
	[0 ... 0x1f] = 1, ['"'] = 1, ['\\'] = 1, [0x7f] = 1, [0x80 ... 0xff] = 2,
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

/* Where the plain bytes from `at` on end. Eight at a time: any byte below a blank, '"', '\\' or above 0x7e stops it. */
static size_t
plain_until(struct slice s, size_t at)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;

	for (; s.n - at >= 8; at += 8) {
		uint64_t w, quote, slash;

		memcpy(&w, s.p + at, 8);
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		if ((w | ((w & ~tops) + ones) | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & tops)
			break;
	}
	while (at < s.n && json_class[(unsigned char)s.p[at]] == 0)
		at++;
	return at;
}

/* Valid UTF-8, nothing of it ASCII. */
static void
put_beyond(struct buf *b, struct slice s)
{
	for (size_t at = 0, i; at < s.n; at = i) {
		unsigned code = 0;
		size_t odd = 0;

		for (i = at; i < s.n && (odd = utf8_odd(slice_make(s.p + i, s.n - i), &code)) == 0; i++)
			;
		buf_put(b, s.p + at, i - at);
		if (odd > 0)
			buf_printf(b, "\\u%04x", code);
		i += odd;
	}
}

void
buf_put_json(struct buf *b, struct slice s)
{
	size_t i = 0;

	if (s.n < SIZE_MAX / 2 && !buf_reserve(b, s.n + 2))
		return;
	buf_putc(b, '"');
	while (i < s.n) {
		size_t run = plain_until(s, i);

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
		put_beyond(b, slice_make(s.p + i, run));
		i += run;
		if (run == 0) {
			buf_put(b, "\xef\xbf\xbd", 3);
			i += utf8_broken(slice_make(s.p + i, s.n - i));
		}
	}
	buf_putc(b, '"');
}

void
buf_put_hex(struct buf *b, const void *p, size_t n)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *in = p;

	if (n > SIZE_MAX / 4 || !buf_reserve(b, 2 * n)) {
		b->failed = true;
		return;
	}
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

	if (n > SIZE_MAX / 4 || !buf_reserve(b, (n + 2) / 3 * 4)) {
		b->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i += 3) {
		size_t have = n - i < 3 ? n - i : 3;
		uint32_t word = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (have > 2 ? in[i + 2] : 0);

		for (size_t k = 0; k <= have; k++)
			buf_putc(b, digits[word >> (18 - 6 * k) & 63]);
		for (size_t k = have; k < 3 && !url; k++)
			buf_putc(b, '=');
	}
}

/* A sign's six bits and one, or 0. */
static const unsigned char base64_bits[256] = {
	['A'] = 1, ['B'] = 2, ['C'] = 3, ['D'] = 4, ['E'] = 5, ['F'] = 6, ['G'] = 7, ['H'] = 8,
	['I'] = 9, ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
	['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
	['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
	['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
	['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
	['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
	['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64,
	['-'] = 63, ['_'] = 64,
};

bool
buf_put_unbase64(struct buf *b, struct slice text)
{
	uint32_t bits = 0;
	size_t n;

	if (text.n > 0 && text.n % 4 == 0 && text.p[text.n - 1] == '=')
		text.n -= text.p[text.n - 2] == '=' ? 2 : 1;
	if (text.n % 4 == 1 || !buf_reserve(b, text.n / 4 * 3 + 2))
		return false;
	n = b->n;
	for (size_t i = 0; i < text.n; i++) {
		unsigned six = base64_bits[(unsigned char)text.p[i]];

		if (six == 0) {
			b->n = n;
			return false;
		}
		bits = bits << 6 | (six - 1);
		if (i % 4 > 0)
			b->p[b->n++] = (char)(bits >> (6 - i % 4 * 2) & 255);
	}
	return true;
}

static enum err_kind
kind_of_read_error(void)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EIO:
		return ERR_AGAIN;
	default:
		return ERR_CONFIG;
	}
}

/* 1 there may be more, 0 the end. */
static int
read_some(struct buf *b, int fd, const char *path, struct err *err)
{
	size_t room = b->cap > b->n ? b->cap - b->n : 0;
	char beyond, *at = &beyond;
	ssize_t n;

	if (room == 0 && b->n < b->max_bytes) {
		size_t most = b->max_bytes - b->n;

		if (!buf_reserve(b, most < READ_BYTES ? most : READ_BYTES))
			return err_set(err, ERR_AGAIN, "%s: no memory to read it", path);
		room = b->cap - b->n;
	}
	if (room > 0)
		at = b->p + b->n;
	do
		n = sys.read(fd, at, room > 0 ? room : 1);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_set_sys(err, kind_of_read_error(), "%s: cannot read", path);
	if (n > 0 && room == 0)
		return err_set(err, ERR_CONFIG, "%s: larger than %zu bytes", path, b->max_bytes);
	b->n += (size_t)n;
	return n > 0;
}

int
buf_read_file(struct buf *b, const char *path, struct err *err)
{
	int fd = sys.open(path, O_RDONLY, 0), rc;
	size_t before = b->n;

	if (fd < 0)
		return err_set_sys(err, kind_of_read_error(), "%s: cannot open", path);
	do
		rc = read_some(b, fd, path, err);
	while (rc > 0);
	sys.close(fd);
	if (rc < 0)
		b->n = before;
	return rc;
}
