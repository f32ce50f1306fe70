/*
 * clock.h - the one way to ask what time it is; a test can hold the hands.
 *
 * Gives:   milliseconds. wall: since 1970 UTC. mono: since some start, never back.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

uint64_t clock_wall_ms(void);
uint64_t clock_mono_ms(void);

/* For tests: from now on time stands still, and moves by clock_fake_advance alone. */
void	clock_fake(uint64_t wall_ms);
void	clock_fake_advance(uint64_t ms);
bool	clock_is_fake(void);

/* The years 0001 to 9999. */
#define TIME_LEAST_MS	INT64_C(-62135596800000)
#define TIME_MOST_MS	INT64_C(253402300799999)

#define TIME_TEXT_BYTES	25	/* 2026-01-31T23:59:59.999Z and a NUL */
/* RFC 3339 UTC with milliseconds; years 0001 to 9999, else clamped. */
void	time_format_ms(int64_t unix_ms, char ret[TIME_TEXT_BYTES]);
/* Civil date (proleptic Gregorian) to Unix days; month 1..12, day 1..31. */
int64_t	days_from_civil(int year, unsigned month, unsigned day);
/* Strict RFC 3339 ("2026-01-31T23:59:59[.frac](Z|+hh:mm)"), also with a blank for the T; false when it is not. */
bool	time_parse_rfc3339(struct slice, int64_t *ret_unix_ms);

#endif
