/* detect_help.h - a detector under test: events made by hand, its findings kept. */
#ifndef TESTS_DETECT_HELP_H
#define TESTS_DETECT_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "detect/detect.h"

#define SECOND	INT64_C(1000)
#define MINUTE	(60 * SECOND)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define MONDAY	INT64_C(1790553600000)	/* 2026-09-28T00:00:00Z */
#define KEPT	512

struct finding {
	int64_t	at_ms;
	double	score;
	int64_t	count;
	char	id[33], type[64], severity[16], result[16], actor[128], actor_name[128], target[256], message[1024], reason[1024], more[8192], old[4096], new[4096],
		techniques[64], truncated[256];
	size_t	most;		/* bytes of its longest copied column */
};

struct bench {
	const char		*only;
	struct detect		*detect;
	struct conf		*conf;
	struct arena		 arena;
	struct event_list	 say;
	uint32_t		 random;
	uint64_t		 events;
	struct finding		*found;
	size_t			 nfound;
};

static const struct conf_key bench_keys[] = {
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "" },
	CONF_END
};

static inline void
bench_open(struct bench *b, const char *only, const char *yaml)
{
	struct problems problems;
	struct err err = { 0 };

	memset(b, 0, sizeof(*b));
	b->random = 12345;
	b->only = only;
	b->found = calloc(KEPT, sizeof(*b->found));
	assert_non_null(b->found);
	arena_init(&b->arena, 65536, 64 << 20);
	b->say.arena = &b->arena;
	problems_init(&problems);
	assert_int_equal(conf_load_text("test", slice_of(yaml), bench_keys, &b->conf, &problems, &err), 0);
	problems_fini(&problems);
	assert_int_equal(detect_open_one(&b->detect, conf_block(b->conf, "detectors"), only, &err), 0);
}

static inline void
bench_close(struct bench *b)
{
	detect_close(b->detect);
	conf_free(b->conf);
	arena_fini(&b->arena);
	free(b->found);
}

static inline uint32_t
bench_random(struct bench *b)
{
	b->random = (uint32_t)((uint64_t)b->random * 48271 % 2147483647);
	return b->random;
}

#define KEEP(to, s)	snprintf((to), sizeof(to), "%.*s", (int)(s).n, (s).n > 0 ? (s).p : "")

static inline void
bench_see(struct bench *b, struct event *e)
{
	struct err err = { 0 };
	char id[33];

	snprintf(id, sizeof(id), "%032llx", (unsigned long long)++b->events);
	if (!event_has(e, F_EventId))
		event_set_text(e, F_EventId, slice_of(id));
	if (!event_has(e, F_EventOriginalUid))
		event_set_text(e, F_EventOriginalUid, slice_of(id));
	assert_int_equal(detect_see(b->detect, e, &b->say, &err), 0);
	for (size_t i = 0; i < b->say.n && b->nfound < KEPT; i++) {
		const struct event *f = &b->say.v[i];
		struct finding *k = &b->found[b->nfound++];

		k->at_ms = event_number(f, F_TimeGenerated, 0);
		k->score = event_has(f, F_DetectorScore) ? f->v[F_DetectorScore].real : -1;
		k->count = event_number(f, F_EventCount, 0);
		KEEP(k->id, event_text(f, F_EventId));
		KEEP(k->type, event_text(f, F_EventOriginalType));
		KEEP(k->severity, event_text(f, F_EventSeverity));
		KEEP(k->result, event_text(f, F_EventResult));
		KEEP(k->actor, event_text(f, F_ActorUserId));
		KEEP(k->actor_name, event_text(f, F_ActorUsername));
		KEEP(k->target, event_text(f, F_TargetResourceId));
		KEEP(k->message, event_text(f, F_EventMessage));
		KEEP(k->reason, event_text(f, F_DetectorReason));
		KEEP(k->more, event_text(f, F_AdditionalFields));
		KEEP(k->old, event_text(f, F_OldValue));
		KEEP(k->new, event_text(f, F_NewValue));
		KEEP(k->techniques, event_text(f, F_AttackTechniques));
		KEEP(k->truncated, event_text(f, F_TruncatedFields));
		k->most = 0;
		for (int c = F_CloudProvider; c <= F_Operation; c++)
			if (field_rows[c].type == FIELD_TEXT && c != F_OldValue && c != F_NewValue && event_text(f, (enum field)c).n > k->most)
				k->most = event_text(f, (enum field)c).n;
	}
	arena_reset(&b->arena);
	b->say = (struct event_list){ .arena = &b->arena };
}

static inline size_t
bench_count(const struct bench *b, const char *type)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nfound; i++)
		n += strcmp(b->found[i].type, type) == 0;
	return n;
}

static inline const struct finding *
bench_first(const struct bench *b, const char *type)
{
	for (size_t i = 0; i < b->nfound; i++)
		if (strcmp(b->found[i].type, type) == 0)
			return &b->found[i];
	for (size_t i = 0; i < b->nfound; i++)
		print_message("found instead: %s: %s\n", b->found[i].type, b->found[i].message);
	fail_msg("no %s", type);
	abort();
}

static inline void
bench_is_quiet(const struct bench *b)
{
	for (size_t i = 0; i < b->nfound; i++)
		print_message("%s: %s\n", b->found[i].type, b->found[i].message);
	assert_int_equal(b->nfound, 0);
}

/* Saves, restores into a fresh detector, and goes on with that. */
static inline void
bench_restart(struct bench *b)
{
	struct err err = { 0 };
	struct detect *again;
	struct buf saved;

	buf_init(&saved, SIZE_MAX / 2);
	assert_int_equal(detect_save(b->detect, &saved, &err), 0);
	assert_int_equal(detect_open_one(&again, conf_block(b->conf, "detectors"), b->only, &err), 0);
	if (detect_restore(again, buf_slice(&saved), &err) != 0)
		fail_msg("%s", err.text);
	detect_close(b->detect);
	b->detect = again;
	buf_fini(&saved);
}

#endif
