/* markup.c - text in HTML and SVG. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/markup.h"

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"

#define REPLACEMENT	"\xef\xbf\xbd"

/* One character at the start of s; how many bytes it had. */
static size_t
put_one(struct buf *out, struct slice s)
{
	const unsigned char c = (unsigned char)s.p[0];
	size_t n;
	unsigned code;

	switch (c) {
	case '&':
		buf_puts(out, "&amp;");
		return 1;
	case '<':
		buf_puts(out, "&lt;");
		return 1;
	case '>':
		buf_puts(out, "&gt;");
		return 1;
	case '"':
		buf_puts(out, "&quot;");
		return 1;
	default:
		break;
	}
	if (c < 0x80) {
		buf_putc(out, c < 0x20 || c == 0x7f ? ' ' : (char)c);
		return 1;
	}
	n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
	if (n > s.n || utf8_valid_prefix(slice_make(s.p, n)) != n) {
		buf_puts(out, REPLACEMENT);
		return 1;
	}
	/* U+FFFE and U+FFFF are no characters of XML */
	if (utf8_odd(s, &code) > 0 || (c == 0xef && (unsigned char)s.p[1] == 0xbf && (unsigned char)s.p[2] >= 0xbe))
		buf_puts(out, REPLACEMENT);
	else
		buf_put(out, s.p, n);
	return n;
}

void
markup_put(struct buf *out, struct slice text)
{
	for (size_t i = 0; i < text.n;)
		i += put_one(out, slice_make(text.p + i, text.n - i));
}

static size_t
characters(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
	return n;
}

void
markup_put_cut(struct buf *out, struct slice text, size_t most)
{
	const bool cut = characters(text) > most;
	size_t left = cut ? most - 1 : SIZE_MAX;

	for (size_t i = 0; i < text.n && left > 0; left--)
		i += put_one(out, slice_make(text.p + i, text.n - i));
	if (cut)
		buf_puts(out, "\xe2\x80\xa6");
}

void
markup_put_number(struct buf *out, uint64_t v)
{
	char digits[24];
	const int n = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)v);

	for (int i = 0; i < n; i++) {
		buf_putc(out, digits[i]);
		if (i + 1 < n && (n - i - 1) % 3 == 0)
			buf_putc(out, ',');
	}
}
