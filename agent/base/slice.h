/*
 * slice.h - borrowed bytes: a pointer and a length, never NUL-terminated.
 *
 * Owns:    nothing. Who hands out a slice says how long it lives.
 */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char	*p;
	size_t		 n;
};

#define SLICE(lit)	((struct slice){ (lit), sizeof(lit) - 1 })
#define SLICE_NONE	((struct slice){ NULL, 0 })
/* For printf: "%.*s", SLICE_ARG(s) */
#define SLICE_ARG(s)	(int)((s).n > 4096 ? 4096 : (s).n), (s).p ? (s).p : ""

static inline struct slice
slice_of(const char *s)
{
	return (struct slice){ s, s != NULL ? strlen(s) : 0 };
}

static inline struct slice
slice_make(const void *p, size_t n)
{
	return (struct slice){ (const char *)p, n };
}

static inline bool
slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* ASCII case-insensitive, locale-free. */
bool	slice_eq_nocase(struct slice a, struct slice b);
bool	slice_starts_nocase(struct slice s, struct slice prefix);
bool	slice_ends_nocase(struct slice s, struct slice suffix);
/* Offset of `needle` in `s` (ASCII case-insensitive) at or after `from`, or -1. */
ptrdiff_t slice_find_nocase(struct slice s, struct slice needle, size_t from);
struct slice slice_trim(struct slice s);	/* spaces, tabs, CR, LF at both ends */
struct slice slice_take_line(struct slice *rest);	/* the first line, trimmed; `rest` is what follows it */
/* Glob with '*' (any run) and '?' (one byte), ASCII case-insensitive, linear in |pattern| * |s|. */
bool	slice_glob_nocase(struct slice pattern, struct slice s);
/* Whole slice is a decimal number that fits; else false and *ret untouched. */
bool	slice_to_i64(struct slice s, int64_t *ret);
bool	slice_to_double(struct slice s, double *ret);

static inline unsigned char
ascii_lower(unsigned char c)
{
	return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* Length in bytes of the valid UTF-8 prefix of s; equals s.n when all of it is valid. */
size_t	utf8_valid_prefix(struct slice s);
/* The longest prefix of at most `max` bytes that ends on a character boundary (of what is not UTF-8: max). */
size_t	utf8_cut(struct slice s, size_t max);
/* How many bytes at the start of s, which is no character, are one broken one: the lead byte and what follows it rightly (Unicode 3.9, maximal subpart). */
size_t	utf8_broken(struct slice s);
/*
 * Characters behind the blank that are no harm in a text but to who shows it: they end a line, command a terminal or turn what is read. DEL,
 * U+0080 to U+009F, U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069. How many bytes the one at the start of s (n > 0) has, and which it is; or 0.
 */
static inline size_t
utf8_odd(struct slice s, unsigned *ret_code)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (p[0] == 0x7f) {
		*ret_code = 0x7f;
		return 1;
	}
	if (p[0] == 0xc2 && s.n >= 2 && p[1] >= 0x80 && p[1] < 0xa0) {
		*ret_code = p[1];
		return 2;
	}
	if (p[0] != 0xe2 || s.n < 3 || !((p[1] == 0x80 && ((p[2] >= 0xa8 && p[2] <= 0xae) || (p[2] | 1) == 0x8f)) ||
	    (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
		return 0;
	*ret_code = 0x2000u | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
	return 3;
}
/* For a terminal: control characters, what utf8_odd names and what is no UTF-8 become question marks, a byte each. */
void	utf8_make_plain(char *p, size_t n);

#endif
