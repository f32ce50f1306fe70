/* convert_time.c - the ways in which vendors write a time, to milliseconds since 1970. */
#include "decode/plan.h"

#include <math.h>

#include "base/clock.h"

#define MS_A_DAY	INT64_C(86400000)

struct reader { const char *p, *end; };

/* `least` to `most` digits. */
static bool
digits(struct reader *r, unsigned least, unsigned most, unsigned *ret)
{
	unsigned n = 0, v = 0;

	while (r->p < r->end && n < most && *r->p >= '0' && *r->p <= '9') {
		v = v * 10 + (unsigned)(*r->p++ - '0');
		n++;
	}
	*ret = v;
	return n >= least;
}

static bool
sign(struct reader *r, char c)
{
	if (r->p == r->end || *r->p != c)
		return false;
	r->p++;
	return true;
}

static void
blanks(struct reader *r)
{
	while (r->p < r->end && *r->p == ' ')
		r->p++;
}

static bool
month_has(unsigned year, unsigned month, unsigned day)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (month < 1 || month > 12 || day < 1)
		return false;
	return day <= days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* Milliseconds of ".123456789"; none is 0. */
static bool
fraction(struct reader *r, unsigned *ret)
{
	unsigned v, n = 0, ms = 0;

	*ret = 0;
	if (!sign(r, '.') && !sign(r, ','))
		return true;
	while (digits(r, 1, 1, &v)) {
		if (n < 3)
			ms = ms * 10 + v;
		if (++n > 12)
			return false;
	}
	for (unsigned i = n; i < 3; i++)
		ms *= 10;
	*ret = ms;
	return n > 0;
}

/* Z, +hh:mm, +hhmm, +hh, UTC, or nothing: minutes east. */
static bool
zone(struct reader *r, int *ret)
{
	unsigned hours, minutes = 0;
	bool west;

	*ret = 0;
	blanks(r);
	if (r->p == r->end || ((*r->p | 0x20) == 'z' && r->p + 1 == r->end) ||
	    slice_eq_nocase(slice_make(r->p, (size_t)(r->end - r->p)), SLICE("UTC")))
		return true;
	west = *r->p == '-';
	if (!west && *r->p != '+')
		return false;
	r->p++;
	if (!digits(r, 2, 2, &hours) || hours > 14)
		return false;
	(void)sign(r, ':');
	if (r->p < r->end && (!digits(r, 2, 2, &minutes) || minutes > 59))
		return false;
	*ret = (int)(hours * 60 + minutes) * (west ? -1 : 1);
	return r->p == r->end;
}

struct clock_time { unsigned hour, minute, second, ms; };

static bool
clock_of(struct reader *r, bool seconds_needed, struct clock_time *ret)
{
	struct clock_time t = { 0 };

	if (!digits(r, 1, 2, &t.hour) || !sign(r, ':') || !digits(r, 2, 2, &t.minute))
		return false;
	if (sign(r, ':')) {
		if (!digits(r, 2, 2, &t.second) || !fraction(r, &t.ms))
			return false;
	} else if (seconds_needed) {
		return false;
	}
	if (t.hour > 23 || t.minute > 59 || t.second > 60)
		return false;
	*ret = t;
	return true;
}

static bool
join(unsigned year, unsigned month, unsigned day, const struct clock_time *t, int east, int64_t *ret)
{
	int64_t ms;

	if (year < 1970 || year > 9999 || !month_has(year, month, day))
		return false;		/* 0001 and 1601 are zeros of other clocks */
	ms = days_from_civil((int)year, month, day) * MS_A_DAY;
	ms += ((int64_t)t->hour * 3600 + t->minute * 60 + (t->second == 60 ? 59 : t->second)) * 1000 + t->ms;
	*ret = ms - (int64_t)east * 60000;
	return *ret >= 0;
}

static bool
iso(struct slice s, int64_t *ret)
{
	struct reader r = { s.p, s.p + s.n };
	unsigned year, month, day;
	struct clock_time t = { 0 };
	int east = 0;

	if (!digits(&r, 4, 4, &year) || !sign(&r, '-') || !digits(&r, 2, 2, &month) || !sign(&r, '-') ||
	    !digits(&r, 2, 2, &day))
		return false;
	if (r.p == r.end)
		return join(year, month, day, &t, 0, ret);
	if (!sign(&r, 'T') && !sign(&r, ' ') && !sign(&r, 't'))
		return false;
	return clock_of(&r, false, &t) && zone(&r, &east) && join(year, month, day, &t, east, ret);
}

/* M/D/YYYY h:mm:ss [AM|PM] [+hh:mm] */
static bool
american(struct slice s, int64_t *ret)
{
	struct reader r = { s.p, s.p + s.n };
	unsigned year, month, day;
	struct clock_time t = { 0 };
	int east = 0;

	if (!digits(&r, 1, 2, &month) || !sign(&r, '/') || !digits(&r, 1, 2, &day) || !sign(&r, '/') ||
	    !digits(&r, 4, 4, &year))
		return false;
	blanks(&r);
	if (r.p < r.end && !clock_of(&r, false, &t))
		return false;
	blanks(&r);
	if (r.end - r.p >= 2 && (r.p[1] | 0x20) == 'm') {
		bool pm = (r.p[0] | 0x20) == 'p';

		if ((!pm && (r.p[0] | 0x20) != 'a') || t.hour < 1 || t.hour > 12)
			return false;
		t.hour = t.hour % 12 + (pm ? 12 : 0);
		r.p += 2;
	}
	return zone(&r, &east) && join(year, month, day, &t, east, ret);
}

/* Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size. */
bool
time_from_number(double value, int64_t whole, bool is_whole, int64_t *ret_ms)
{
	double size = is_whole ? (double)whole : value;

	if (!(size >= 1e8) || size >= 1e20)
		return false;
	if (size < 1e11)
		*ret_ms = is_whole ? whole * 1000 : llround(value * 1000);
	else if (size < 1e14)
		*ret_ms = is_whole ? whole : llround(value);
	else if (size < 1e17)
		*ret_ms = is_whole ? whole / 1000 : llround(value / 1000);
	else
		*ret_ms = is_whole ? whole / 1000000 : llround(value / 1e6);
	return *ret_ms < INT64_C(253402300800000);	/* year 10000 */
}

bool
time_parse(struct slice s, int64_t *ret_ms)
{
	int64_t whole;
	double real;

	s = slice_trim(s);
	if (s.n < 8 || s.n > 64)
		return false;
	if (s.p[4] == '-')
		return iso(s, ret_ms);
	if (s.p[1] == '/' || s.p[2] == '/')
		return american(s, ret_ms);
	if (slice_to_i64(s, &whole))
		return time_from_number(0, whole, true, ret_ms);
	return slice_to_double(s, &real) && time_from_number(real, 0, false, ret_ms);
}
