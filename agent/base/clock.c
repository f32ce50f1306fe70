/* clock.c - time, and its texts. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/clock.h"

#include <stdatomic.h>
#include <time.h>

static _Atomic bool faked;
static _Atomic uint64_t fake_wall_ms, fake_mono_ms;

static uint64_t
ask(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_wall_ms(void)
{
	return atomic_load(&faked) ? atomic_load(&fake_wall_ms) : ask(CLOCK_REALTIME);
}

uint64_t
clock_mono_ms(void)
{
	return atomic_load(&faked) ? atomic_load(&fake_mono_ms) : ask(CLOCK_MONOTONIC);
}

void
clock_fake(uint64_t wall_ms)
{
	atomic_store(&fake_wall_ms, wall_ms);
	atomic_store(&fake_mono_ms, 1000000);
	atomic_store(&faked, true);
}

void
clock_fake_advance(uint64_t ms)
{
	atomic_fetch_add(&fake_wall_ms, ms);
	atomic_fetch_add(&fake_mono_ms, ms);
}

bool
clock_is_fake(void)
{
	return atomic_load(&faked);
}

/* Howard Hinnant's method ("chrono-Compatible Low-Level Date Algorithms"): years begin in March, eras have 400 years. */
int64_t
days_from_civil(int year, unsigned month, unsigned day)
{
	int64_t y = month <= 2 ? (int64_t)year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void
civil_from_days(int64_t days, int *ret_year, unsigned *ret_month, unsigned *ret_day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*ret_day = (unsigned)(of_year - (153 * m + 2) / 5 + 1);
	*ret_month = (unsigned)(m < 10 ? m + 3 : m - 9);
	*ret_year = (int)(year + era * 400 + (*ret_month <= 2));
}

static void
put_digits(char *at, unsigned v, int n)
{
	while (n-- > 0) {
		at[n] = (char)('0' + v % 10);
		v /= 10;
	}
}

void
time_format_ms(int64_t unix_ms, char ret[TIME_TEXT_BYTES])
{
	int64_t ms = unix_ms < TIME_LEAST_MS ? TIME_LEAST_MS : unix_ms > TIME_MOST_MS ? TIME_MOST_MS : unix_ms;
	int64_t days = (ms >= 0 ? ms : ms - 86399999) / 86400000;
	unsigned of_day = (unsigned)(ms - days * 86400000), month, day;
	int year;

	civil_from_days(days, &year, &month, &day);
	memcpy(ret, "0000-00-00T00:00:00.000Z", TIME_TEXT_BYTES);
	put_digits(ret, (unsigned)year, 4);
	put_digits(ret + 5, month, 2);
	put_digits(ret + 8, day, 2);
	put_digits(ret + 11, of_day / 3600000, 2);
	put_digits(ret + 14, of_day / 60000 % 60, 2);
	put_digits(ret + 17, of_day / 1000 % 60, 2);
	put_digits(ret + 20, of_day % 1000, 3);
}

/* n digits at p; false when they are not. */
static bool
digits(const char *p, unsigned n, unsigned *ret)
{
	unsigned v = 0;

	for (unsigned i = 0; i < n; i++) {
		unsigned d = (unsigned)(unsigned char)p[i] - '0';

		if (d > 9)
			return false;
		v = v * 10 + d;
	}
	*ret = v;
	return true;
}

/* ".123456789" at the front, cut off it: milliseconds, the rest dropped. */
static bool
take_fraction(struct slice *s, unsigned *ret_ms)
{
	unsigned ms = 0, n = 0, d;

	if (s->n > 0 && s->p[0] == '.') {
		while (n < 9 && n + 1 < s->n && digits(s->p + n + 1, 1, &d)) {
			ms = n < 3 ? ms * 10 + d : ms;
			n++;
		}
		if (n == 0)
			return false;
		*s = slice_make(s->p + n + 1, s->n - n - 1);
	}
	for (; n < 3; n++)
		ms *= 10;
	*ret_ms = ms;
	return true;
}

/* "Z" or "+hh:mm", and nothing behind it. */
static bool
whole_zone(struct slice s, int *ret_minutes)
{
	unsigned hours, minutes;

	if (s.n == 1 && (s.p[0] == 'Z' || s.p[0] == 'z')) {
		*ret_minutes = 0;
		return true;
	}
	if (s.n != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':' || !digits(s.p + 1, 2, &hours) ||
	    !digits(s.p + 4, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret_minutes = (int)(hours * 60 + minutes) * (s.p[0] == '-' ? -1 : 1);
	return true;
}

static unsigned
days_in_month(unsigned year, unsigned month)
{
	static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

bool
time_parse_rfc3339(struct slice s, int64_t *ret_unix_ms)
{
	unsigned year, month, day, hour, minute, second, ms;
	int zone;

	if (s.n < 20 || s.p[4] != '-' || s.p[7] != '-' || s.p[13] != ':' || s.p[16] != ':' ||
	    (s.p[10] != 'T' && s.p[10] != 't' && s.p[10] != ' ') || !digits(s.p, 4, &year) ||
	    !digits(s.p + 5, 2, &month) || !digits(s.p + 8, 2, &day) || !digits(s.p + 11, 2, &hour) ||
	    !digits(s.p + 14, 2, &minute) || !digits(s.p + 17, 2, &second))
		return false;
	s = slice_make(s.p + 19, s.n - 19);
	if (!take_fraction(&s, &ms) || !whole_zone(s, &zone))
		return false;
	if (year == 0 || month == 0 || month > 12 || day == 0 || day > days_in_month(year, month) || hour > 23 ||
	    minute > 59 || second > 60)
		return false;
	if (second == 60) {			/* a leap second is the end of its minute */
		second = 59;
		ms = 999;
	}
	*ret_unix_ms = ((days_from_civil((int)year, month, day) * 24 + hour) * 60 + minute - zone) * 60000 +
	    second * 1000 + ms;
	return true;
}
