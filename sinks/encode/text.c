/* text.c - texts inside CEF and inside AdditionalExtensions. */
#include "sinks/encode/text.h"

#include <stdio.h>

#include "base/buf.h"

#define SIGN(t, c)	{ t, sizeof(t) - 1, c, false }
#define LOST(t, c)	{ t, sizeof(t) - 1, c, true }
#define PICTURE(b)	SIGN("\xe2\x90" b, 3)
#define CONTROLS \
	[0x00] = PICTURE("\x80"), [0x01] = PICTURE("\x81"), [0x02] = PICTURE("\x82"), [0x03] = PICTURE("\x83"), \
	[0x04] = PICTURE("\x84"), [0x05] = PICTURE("\x85"), [0x06] = PICTURE("\x86"), [0x07] = PICTURE("\x87"), \
	[0x08] = PICTURE("\x88"), [0x09] = PICTURE("\x89"), [0x0b] = PICTURE("\x8b"), [0x0c] = PICTURE("\x8c"), \
	[0x0e] = PICTURE("\x8e"), [0x0f] = PICTURE("\x8f"), [0x10] = PICTURE("\x90"), [0x11] = PICTURE("\x91"), \
	[0x12] = PICTURE("\x92"), [0x13] = PICTURE("\x93"), [0x14] = PICTURE("\x94"), [0x15] = PICTURE("\x95"), \
	[0x16] = PICTURE("\x96"), [0x17] = PICTURE("\x97"), [0x18] = PICTURE("\x98"), [0x19] = PICTURE("\x99"), \
	[0x1a] = PICTURE("\x9a"), [0x1b] = PICTURE("\x9b"), [0x1c] = PICTURE("\x9c"), [0x1d] = PICTURE("\x9d"), \
	[0x1e] = PICTURE("\x9e"), [0x1f] = PICTURE("\x9f"), [0x7f] = PICTURE("\xa1")

const struct text_style text_cef_header = { .sign = {
	CONTROLS, ['\n'] = LOST(" ", 1), ['\r'] = LOST(" ", 1), ['|'] = SIGN("\\|", 1), ['\\'] = SIGN("\\\\", 1),
}, .own = "||\\\\" };

#define CEF_VALUE \
	CONTROLS, ['\n'] = SIGN("\\n", 1), ['\r'] = SIGN("\\r", 1), ['='] = SIGN("\\=", 1), ['\\'] = SIGN("\\\\", 1)
#define PAIR_IN_JSON \
	CONTROLS, ['\n'] = SIGN("\\\\n", 2), ['\r'] = SIGN("\\\\r", 2), ['='] = SIGN("\\\\=", 2), [';'] = SIGN("\\\\;", 2), \
	['\\'] = SIGN("\\\\\\\\", 2), ['"'] = SIGN("\\\"", 1)

const struct text_style text_cef_value = { .sign = { CEF_VALUE }, .own = "==\\\\" };
const struct text_style text_cef_json = { .sign = { CEF_VALUE }, .own = "==\\\\", .json = true };
const struct text_style text_pair_value = { .sign = { PAIR_IN_JSON }, .own = "=;\\\"" };
const struct text_style text_pair_json = { .sign = { PAIR_IN_JSON }, .own = "=;\\\"", .json = true };

static const struct text_sign broken = SIGN("\xef\xbf\xbd", 3);

typedef signed char bytes16 __attribute__((vector_size(16)));
typedef uint64_t words16 __attribute__((vector_size(16)));

/* Do sixteen bytes all stand for themselves? Below a blank or above 0x7e is none of them, nor are the style's own signs. */
static inline bool
plain16(bytes16 b, const struct text_style *style)
{
	words16 odd = (words16)((b < 0x20) | (b == 0x7f) | (b == style->own[0]) | (b == style->own[1]) | (b == style->own[2]) |
	    (b == style->own[3]));

	return (odd[0] | odd[1]) == 0;
}

/* Copies from `at` on what stands for itself, at most `most` bytes; returns how many. */
static size_t
copy_plain(struct buf *out, const struct text_style *style, struct slice s, size_t at, size_t most)
{
	const char *from = s.p + at;
	size_t left = s.n - at < most ? s.n - at : most, n = 0;
	char *to;

	if (!buf_reserve(out, left))
		return left;
	to = out->p + out->n;
	for (; left - n >= 16; n += 16) {
		bytes16 b;

		memcpy(&b, from + n, sizeof(b));
		if (!plain16(b, style))
			break;
		memcpy(to + n, &b, sizeof(b));
	}
	for (; n < left && (unsigned char)from[n] < 0x80 && style->sign[(unsigned char)from[n]].text == NULL; n++)
		to[n] = from[n];
	out->n += n;
	return n;
}

/* <U+202E>: what would turn the text around it is told, not done. */
static struct text_sign
named(unsigned c, char text[16])
{
	const int n = snprintf(text, 16, "<U+%04X>", c);

	return (struct text_sign){ text, (uint8_t)n, (uint8_t)n, false };
}

/* \uXXXX in JSON, with a backslash as the style writes one. */
static struct text_sign
json_escape(const struct text_style *style, unsigned c, char text[16])
{
	static const char hex[] = "0123456789abcdef";
	const struct text_sign *slash = &style->sign['\\'];
	char *at = text;

	memcpy(at, slash->text, slash->n);
	at += slash->n;
	*at++ = 'u';
	for (int shift = 12; shift >= 0; shift -= 4)
		*at++ = hex[c >> shift & 15];
	return (struct text_sign){ text, (uint8_t)(at - text), (uint8_t)(slash->counts + 5), false };
}

/* The next character beyond ASCII: its bytes in s, and its sign. */
static size_t
take_beyond(const struct text_style *style, struct slice s, char text[16], struct text_sign *ret_sign)
{
	unsigned char lead = (unsigned char)s.p[0];
	size_t n = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	unsigned odd = 0;

	if (n > s.n || utf8_valid_prefix(slice_make(s.p, n)) != n) {
		*ret_sign = broken;
		return utf8_broken(s);
	}
	if (utf8_odd(s, &odd) == 0)
		*ret_sign = (struct text_sign){ s.p, (uint8_t)n, (uint8_t)n, false };
	else if (style->json)
		*ret_sign = json_escape(style, odd, text);
	else if (odd == 0x85 || odd == 0x2028 || odd == 0x2029)
		*ret_sign = style->sign['\n'];
	else
		*ret_sign = odd > 0xff ? named(odd, text) : broken;
	return n;
}

bool
text_put(struct buf *out, const struct text_style *style, struct slice s, size_t limit, size_t *used)
{
	size_t at = 0, n = 0, run;
	bool whole = true;

	while (at < s.n && n < limit) {
		struct text_sign sign;
		char text[16];
		size_t width = 1;

		run = copy_plain(out, style, s, at, limit - n);
		at += run;
		n += run;
		if (at == s.n || n == limit)
			break;
		if ((unsigned char)s.p[at] < 0x80)
			sign = style->sign[(unsigned char)s.p[at]];
		else
			width = take_beyond(style, slice_make(s.p + at, s.n - at), text, &sign);
		if (sign.counts > limit - n)
			break;
		buf_put(out, sign.text, sign.n);
		whole = whole && !sign.lossy;
		at += width;
		n += sign.counts;
	}
	if (used != NULL)
		*used += n;
	return whole && at == s.n;
}
