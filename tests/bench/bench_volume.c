/*
 * bench_volume.c - what the volume detector costs: a row of a series, an event, a series in memory, and saving many.
 *
 * Usage: bench_volume [SERIES [EVENTS [CALLERS]]], by default 200,000 series, and 1,000,000 events of 100,000 callers.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "bench_help.h"
#include "detect/detect.h"
#include "detect/score.h"

#define MINUTE	60000

static double
time_rows(uint32_t spacing_ms)
{
	enum { ROWS = 1000000 };
	static struct score s;
	double begin, sum = 0;

	score_init(&s, SCORE_FINE_MS);
	begin = cpu_s();
	for (int i = 0; i < ROWS; i++)
		sum += score_row(&s, MONDAY + (int64_t)i * spacing_ms, spacing_ms, 50 + next() % 20 + (i / 720 % 2) * 100, 1).surprise;
	return sum < 0 ? 0 : (cpu_s() - begin) / ROWS * 1e9;
}

static struct detect *
open_detect(unsigned max_series, struct conf **ret_conf)
{
	struct problems problems;
	struct detect *d = NULL;
	struct err err = { 0 };
	char yaml[128];

	problems_init(&problems);
	snprintf(yaml, sizeof(yaml), "detectors: {volume: {max_series: %u}}", max_series);
	if (conf_load_text("bench", slice_of(yaml), top, ret_conf, &problems, &err) != 0 ||
	    detect_open_one(&d, conf_block(*ret_conf, "detectors"), "volume", &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	problems_fini(&problems);
	return d;
}

static void
call(struct detect *d, struct arena *arena, int64_t t_ms, unsigned caller, uint64_t n)
{
	struct event_list say = { .arena = arena };
	struct err err = { 0 };
	char who[24], id[33];
	struct event e;

	event_init(&e);
	snprintf(who, sizeof(who), "caller-%u", caller);
	snprintf(id, sizeof(id), "%032llx", (unsigned long long)n);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_text(&e, F_EventId, slice_of(id));
	event_set_text(&e, F_EventOriginalUid, slice_of(id));
	event_set_text(&e, F_TargetResourceId, SLICE("/subscriptions/S/providers/Microsoft.CognitiveServices/accounts/A"));
	event_set_text(&e, F_AiDeployment, SLICE("chat"));
	event_set_text(&e, F_ActorUserId, slice_of(who));
	event_set_number(&e, F_TimeGenerated, t_ms);
	event_set_number(&e, F_RequestCount, 1);
	event_set_number(&e, F_PromptTokens, 800);
	if (detect_see(d, &e, &say, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	arena_reset(arena);
}

static void
time_events(unsigned events, unsigned callers)
{
	struct conf *conf = NULL;
	struct detect *d = open_detect(20000, &conf);
	struct arena arena;
	double before = resident_kb();
	double begin = cpu_s();

	arena_init(&arena, 65536, 64 << 20);
	for (unsigned i = 0; i < events; i++)
		call(d, &arena, MONDAY + (int64_t)i * 600, next() % callers, i);
	printf("%u events of %u callers: %.0f ns an event, %.0f MiB more memory (max_series 20,000)\n", events, callers,
	    (cpu_s() - begin) / events * 1e9, (resident_kb() - before) / 1024);
	detect_close(d);
	conf_free(conf);
	arena_fini(&arena);
}

/* Each caller speaks in enough minutes to get its series of requests and of tokens. */
static void
time_saving(unsigned series)
{
	struct conf *conf = NULL, *other = NULL;
	struct detect *d = open_detect(series, &conf), *back = open_detect(series, &other);
	struct arena arena;
	struct err err = { 0 };
	struct buf saved;
	double before = resident_kb();
	double begin;

	arena_init(&arena, 65536, 64 << 20);
	for (int minute = 0; minute < 6; minute++)
		for (unsigned i = 0; i < series / 2; i++)
			call(d, &arena, MONDAY + (int64_t)minute * MINUTE + i * (int64_t)MINUTE / (series / 2), i, (uint64_t)minute << 32 | i);
	printf("%u series: %.2f KiB each in memory with all that belongs to it; struct score is %zu bytes\n", series,
	    (resident_kb() - before) / series, sizeof(struct score));
	buf_init(&saved, SIZE_MAX / 2);
	begin = cpu_s();
	if (detect_save(d, &saved, &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	printf("saving: %.2f s of CPU, %.1f MiB, %.0f bytes a series; ", cpu_s() - begin, (double)saved.n / 1048576, (double)saved.n / series);
	begin = cpu_s();
	if (detect_restore(back, buf_slice(&saved), &err) != 0)
		fprintf(stderr, "%s\n", err.text);
	printf("restoring: %.2f s\n", cpu_s() - begin);
	buf_fini(&saved);
	detect_close(d);
	detect_close(back);
	conf_free(conf);
	conf_free(other);
	arena_fini(&arena);
}

int
main(int argc, char **argv)
{
	unsigned series = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200000;
	unsigned events = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 1000000;
	unsigned callers = argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : 100000;

	printf("a row: %.0f ns (a minute), %.0f ns (five minutes)\n", time_rows(60000), time_rows(300000));
	time_events(events, callers > 0 ? callers : 1);
	time_saving(series > 2 ? series : 2);
	return 0;
}
