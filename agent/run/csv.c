/* csv.c - columns of a line, and what they mean. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/csv.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

#define TIME_MAX_BYTES	64
#define EXACT_DIGITS	15	/* so many decimal digits stand exactly in a double */

bool
csv_field(struct slice *line, struct slice *ret)
{
	bool quoted = false;
	size_t n = 0;

	if (line->p == NULL)
		return false;
	while (n < line->n && (quoted || line->p[n] != ','))
		quoted ^= line->p[n++] == '"';
	*ret = slice_make(line->p, n);
	*line = n < line->n ? slice_make(line->p + n + 1, line->n - n - 1) : SLICE_NONE;
	return true;
}

bool
csv_is_blank(struct slice line)
{
	for (size_t i = 0; i < line.n; i++)
		if (line.p[i] != ' ' && line.p[i] != '\t')
			return false;
	return true;
}

/* Without blanks around, and without one pair of quotes. */
static struct slice
bare(struct slice s)
{
	s = slice_trim(s);
	if (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"')
		s = slice_trim(slice_make(s.p + 1, s.n - 2));
	return s;
}

bool
csv_name(struct slice field, const char *name)
{
	return slice_eq_nocase(bare(field), slice_of(name));
}

bool
csv_time(struct slice field, int64_t *ret_unix_ms)
{
	char text[TIME_MAX_BYTES];
	struct slice s = bare(field);

	if (s.n < 19 || s.n >= sizeof(text))
		return false;
	/* A zone ends in Z, or has a sign behind the time of day. */
	if (s.p[s.n - 1] == 'Z' || s.p[s.n - 1] == 'z' || memchr(s.p + 19, '+', s.n - 19) != NULL ||
	    memchr(s.p + 19, '-', s.n - 19) != NULL)
		return time_parse_rfc3339(s, ret_unix_ms);
	memcpy(text, s.p, s.n);
	text[s.n] = 'Z';
	return time_parse_rfc3339(slice_make(text, s.n + 1), ret_unix_ms);
}

/* Plain digits with at most one point: exact without the long way. */
static bool
plain_number(struct slice s, double *ret)
{
	static const double tens[] = { 1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
	uint64_t n = 0;
	size_t digits = 0, behind = 0;
	bool point = false;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && !point) {
			point = true;
			continue;
		}
		if (s.p[i] < '0' || s.p[i] > '9' || ++digits > EXACT_DIGITS)
			return false;
		n = n * 10 + (uint64_t)(s.p[i] - '0');
		behind += point;
	}
	*ret = (double)n / tens[behind];
	return digits > 0;
}

bool
csv_number(struct slice field, double *ret)
{
	struct slice s = bare(field);
	double x;

	if (!plain_number(s, &x) && (!slice_to_double(s, &x) || !isfinite(x)))
		return false;
	*ret = x;
	return true;
}
