/* bench_help.h - what the detectors' benches share: the settings' top, numbers, CPU time and memory. */
#ifndef TESTS_BENCH_HELP_H
#define TESTS_BENCH_HELP_H

#include <sys/resource.h>
#include <time.h>

#include "base/conf.h"
#include "detect/detect.h"

#define MONDAY	INT64_C(1790553600000)	/* 2026-09-28T00:00:00Z */

static const struct conf_key top[] = {
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "" },
	CONF_END
};

static uint32_t seed = 1;

static inline uint32_t
next(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static inline double
cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline double
resident_kb(void)
{
	struct rusage use;

	getrusage(RUSAGE_SELF, &use);
	return (double)use.ru_maxrss;
}

#endif
