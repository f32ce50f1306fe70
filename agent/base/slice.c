/* slice.c - comparing and reading borrowed bytes. */
#include "base/slice.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

bool
slice_eq_nocase(struct slice a, struct slice b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (ascii_lower((unsigned char)a.p[i]) != ascii_lower((unsigned char)b.p[i]))
			return false;
	return true;
}

bool
slice_starts_nocase(struct slice s, struct slice prefix)
{
	return s.n >= prefix.n && slice_eq_nocase(slice_make(s.p, prefix.n), prefix);
}

bool
slice_ends_nocase(struct slice s, struct slice suffix)
{
	return s.n >= suffix.n && slice_eq_nocase(slice_make(s.p + s.n - suffix.n, suffix.n), suffix);
}

ptrdiff_t
slice_find_nocase(struct slice s, struct slice needle, size_t from)
{
	if (needle.n == 0)
		return from <= s.n ? (ptrdiff_t)from : -1;
	if (needle.n > s.n)
		return -1;
	for (size_t i = from; i <= s.n - needle.n; i++)
		if (ascii_lower((unsigned char)s.p[i]) == ascii_lower((unsigned char)needle.p[0]) &&
		    slice_eq_nocase(slice_make(s.p + i, needle.n), needle))
			return (ptrdiff_t)i;
	return -1;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct slice
slice_trim(struct slice s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct slice
slice_take_line(struct slice *rest)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	struct slice line = *rest;

	if (end != NULL) {
		line.n = (size_t)(end - rest->p);
		*rest = slice_make(end + 1, rest->n - line.n - 1);
	} else {
		rest->n = 0;
	}
	return slice_trim(line);
}

bool
slice_glob_nocase(struct slice pattern, struct slice s)
{
	size_t p = 0, i = 0, star = SIZE_MAX, resume = 0;

	while (i < s.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			resume = i;
		} else if (p < pattern.n && (pattern.p[p] == '?' ||
		    ascii_lower((unsigned char)pattern.p[p]) == ascii_lower((unsigned char)s.p[i]))) {
			p++;
			i++;
		} else if (star != SIZE_MAX) {	/* the last star takes one byte more */
			p = star + 1;
			i = ++resume;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}

bool
slice_to_i64(struct slice s, int64_t *ret)
{
	bool negative = s.n > 0 && s.p[0] == '-';
	uint64_t v = 0, most = negative ? UINT64_C(1) << 63 : INT64_MAX;

	if (negative) {
		s.p++;
		s.n--;
	}
	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';

		if (digit > 9 || v > (most - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* The plain one, whatever setlocale has done; glibc keeps it ready, nothing is allocated. */
static locale_t
c_locale(void)
{
	return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool
slice_to_double(struct slice s, double *ret)
{
	char text[64], *end;
	double v;

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	for (size_t i = 0; i < s.n; i++)	/* no "inf", "nan", hex or blanks */
		if (strchr("+-.0123456789eE", s.p[i]) == NULL || s.p[i] == '\0')
			return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	v = strtod_l(text, &end, c_locale());
	if (*end != '\0' || end == text || !isfinite(v))
		return false;
	*ret = v;
	return true;
}

/* Bytes of the well-formed character at p (RFC 3629), or 0. */
static size_t
character(const unsigned char *p, size_t n)
{
	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < 2 || (p[1] & 0xc0) != 0x80)
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (n < 3 || (p[2] & 0xc0) != 0x80)
		return 0;
	if (p[0] < 0xf0) {
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (n < 4 || (p[3] & 0xc0) != 0x80 || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

size_t
utf8_valid_prefix(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t i = 0;

	while (i < s.n) {
		uint64_t word;
		size_t n;

		if (s.n - i >= 8) {
			memcpy(&word, p + i, 8);
			if ((word & UINT64_C(0x8080808080808080)) == 0) {
				i += 8;
				continue;
			}
		}
		n = character(p + i, s.n - i);
		if (n == 0)
			break;
		i += n;
	}
	return i;
}

size_t
utf8_cut(struct slice s, size_t max)
{
	size_t n = max;

	if (s.n <= max)
		return s.n;
	while (n > 0 && max - n < 3 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
		n--;
	return ((unsigned char)s.p[n] & 0xc0) == 0x80 ? max : n;	/* four in a row: no character at all */
}

size_t
utf8_broken(struct slice s)
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
utf8_make_plain(char *p, size_t n)
{
	size_t good = 0, width;

	for (size_t i = 0; i < n; i += width) {
		unsigned code;

		if (i >= good)
			good = i + utf8_valid_prefix(slice_make(p + i, n - i));
		width = i < good ? utf8_odd(slice_make(p + i, n - i), &code) : 1;
		if (width > 0 || (unsigned char)p[i] < 0x20)
			memset(p + i, '?', width > 0 ? width : 1);
		if (width == 0)
			width = 1;
	}
}
