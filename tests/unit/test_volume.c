/* test_volume.c - the volume detector: finds surges, stays quiet, keeps its memory, and cannot be blinded. */
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
#include "base/hash.h"
#include "base/stat.h"
#include "detect/calls.h"
#include "detect/detect.h"

#define MINUTE	INT64_C(60000)
#define HOUR	(60 * MINUTE)
#define DAY	(24 * HOUR)
#define MONDAY	(INT64_C(1790553600000))	/* 2026-09-28T00:00:00Z */

struct bench {
	struct detect		*detect;
	struct conf		*conf;
	struct arena		 arena;
	struct event_list	 say;
	uint32_t		 random;
	uint64_t		 calls;
	struct { int64_t at_ms, start_ms; char id[33], type[32], name[32], resource[64], deployment[64], actor[64], message[256], severity[16], reason[256],
		additional[2048]; double observed; int64_t requests, windows; } found[256];
	size_t			 nfound;
};

static const struct conf_key top[] = {
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "" },
	CONF_END
};

static void
open_bench(struct bench *b, const char *yaml)
{
	struct problems problems;
	struct err err = { 0 };

	memset(b, 0, sizeof(*b));
	b->random = 12345;
	arena_init(&b->arena, 65536, 64 << 20);
	b->say.arena = &b->arena;
	problems_init(&problems);
	assert_int_equal(conf_load_text("test", slice_of(yaml), top, &b->conf, &problems, &err), 0);
	problems_fini(&problems);
	assert_int_equal(detect_open(&b->detect, conf_block(b->conf, "detectors"), &err), 0);
}

static void
close_bench(struct bench *b)
{
	detect_close(b->detect);
	conf_free(b->conf);
	arena_fini(&b->arena);
}

static uint32_t
next(struct bench *b)
{
	b->random = (uint32_t)((uint64_t)b->random * 48271 % 2147483647);
	return b->random;
}

static void
copy(char *to, size_t n, struct slice s)
{
	snprintf(to, n, "%.*s", (int)s.n, s.n > 0 ? s.p : "");
}

static void
collect(struct bench *b)
{
	for (size_t i = 0; i < b->say.n && b->nfound < 256; i++) {
		const struct event *e = &b->say.v[i];

		b->found[b->nfound].at_ms = event_number(e, F_TimeGenerated, 0);
		b->found[b->nfound].start_ms = event_number(e, F_EventStartTime, 0);
		b->found[b->nfound].observed = e->v[F_DetectorObserved].real;
		copy(b->found[b->nfound].id, 33, event_text(e, F_EventId));
		copy(b->found[b->nfound].type, 32, event_text(e, F_EventOriginalType));
		copy(b->found[b->nfound].name, 32, event_text(e, F_EventName));
		copy(b->found[b->nfound].resource, 64, event_text(e, F_TargetResourceName));
		copy(b->found[b->nfound].deployment, 64, event_text(e, F_AiDeployment));
		copy(b->found[b->nfound].actor, 64, event_text(e, F_ActorUserId));
		copy(b->found[b->nfound].message, 256, event_text(e, F_EventMessage));
		copy(b->found[b->nfound].severity, 16, event_text(e, F_EventSeverity));
		copy(b->found[b->nfound].reason, 256, event_text(e, F_DetectorReason));
		copy(b->found[b->nfound].additional, 2048, event_text(e, F_AdditionalFields));
		b->found[b->nfound].requests = event_number(e, F_RequestCount, -1);
		b->found[b->nfound].windows = event_number(e, F_EventCount, -1);
		b->nfound++;
	}
	arena_reset(&b->arena);
	b->say = (struct event_list){ .arena = &b->arena };
}

static void
call_on(struct bench *b, int64_t t_ms, const char *resource, const char *deployment, const char *caller, const char *uid, int status)
{
	char path[128];
	struct event e;
	struct err err = { 0 };

	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_text(&e, F_EventId, slice_of(uid));
	event_set_text(&e, F_EventOriginalUid, slice_of(uid));
	snprintf(path, sizeof(path), "/subscriptions/S/providers/Microsoft.CognitiveServices/accounts/%s", resource);
	event_set_text(&e, F_TargetResourceId, slice_of(path));
	event_set_text(&e, F_TargetResourceName, slice_of(resource));
	event_set_text(&e, F_AiDeployment, slice_of(deployment));
	event_set_text(&e, F_ActorUserId, slice_of(caller));
	event_set_number(&e, F_TimeGenerated, t_ms);
	event_set_number(&e, F_RequestCount, 1);
	event_set_number(&e, F_HttpStatusCode, status);
	assert_int_equal(detect_see(b->detect, &e, &b->say, &err), 0);
	collect(b);
}

static void
call_as(struct bench *b, int64_t t_ms, const char *deployment, const char *caller, const char *uid)
{
	call_on(b, t_ms, "A", deployment, caller, uid, 200);
}

static const char *
fresh_uid(struct bench *b)
{
	static char uid[33];

	snprintf(uid, sizeof(uid), "%032llx", (unsigned long long)++b->calls);
	return uid;
}

static void
calls_on(struct bench *b, int64_t minute_ms, unsigned n, const char *resource, const char *caller, int status)
{
	for (unsigned i = 0; i < n; i++)
		call_on(b, minute_ms + i * MINUTE / n, resource, "chat", caller, fresh_uid(b), status);
}

static void
calls(struct bench *b, int64_t minute_ms, unsigned n, const char *deployment, const char *caller)
{
	for (unsigned i = 0; i < n; i++)
		call_as(b, minute_ms + i * MINUTE / n, deployment, caller, fresh_uid(b));
}

/* About `mean`, give or take its root: a sum of coin tosses. */
static unsigned
noisy(struct bench *b, unsigned mean)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 2 * mean; i++)
		n += next(b) & 1;
	return n;
}

static unsigned
daytime(int64_t t_ms)
{
	int64_t hour = t_ms / HOUR % 24;

	return hour >= 8 && hour < 18 ? 40 : 4;
}

static const char *
someone(struct bench *b)
{
	static const char *const people[] = { "ana", "bo", "cem" };

	return people[next(b) % 3];
}

static void
ordinary(struct bench *b, int64_t from_ms, int64_t to_ms)
{
	for (int64_t t = from_ms; t < to_ms; t += MINUTE)
		for (unsigned n = noisy(b, daytime(t)), i = 0; i < n; i++)
			calls(b, t + i * MINUTE / n, 1, "chat", someone(b));
}

static size_t
starts(const struct bench *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nfound; i++)
		n += strcmp(b->found[i].type, "volume.start") == 0;
	return n;
}

static void
ten_quiet_days_give_at_most_one_false_alarm(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, MONDAY + 10 * DAY);
	for (size_t i = 0; i < b.nfound; i++)
		print_message("%s: %s\n", b.found[i].type, b.found[i].message);
	assert_true(starts(&b) <= 1);
	close_bench(&b);
}

static void
a_fivefold_surge_is_found_within_two_windows_and_ends(void **state)
{
	const int64_t surge = MONDAY + 8 * DAY + 10 * HOUR;
	struct bench b;
	size_t i = 0;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 10 * MINUTE; t += MINUTE)
		calls(&b, t, 200, "chat", someone(&b));
	ordinary(&b, surge + 10 * MINUTE, surge + HOUR);
	assert_true(b.nfound >= 2);
	assert_string_equal(b.found[0].type, "volume.start");
	assert_in_range(b.found[0].start_ms, surge, surge + MINUTE);
	assert_true(b.found[0].observed >= 100);
	assert_non_null(strstr(b.found[0].message, "usually"));
	while (i < b.nfound && strcmp(b.found[i].type, "volume.end") != 0)
		i++;
	assert_true(i < b.nfound);
	assert_true(b.found[i].at_ms <= surge + 20 * MINUTE);
	close_bench(&b);
}

static void
the_caller_who_made_the_surge_is_named(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE) {
		calls(&b, t, 40, "chat", someone(&b));
		calls(&b, t, 300, "chat", "bo");
	}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_true(b.nfound > 0);
	assert_string_equal(b.found[0].actor, "bo");
	assert_int_equal(starts(&b), 1);	/* one finding for one surge, not one for each series */
	close_bench(&b);
}

static void
one_call_told_by_two_records_counts_once(void **state)
{
	const int64_t surge = MONDAY + 3 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE)
		for (int i = 0; i < 40; i++) {
			char uid[48];

			snprintf(uid, sizeof(uid), "twin%lld-%d", (long long)t, i);
			for (int twin = 0; twin < 8; twin++)
				call_as(&b, t + i * 1000, "chat", i % 3 == 0 ? "ana" : i % 3 == 1 ? "bo" : "cem", uid);
		}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_int_equal(starts(&b), 0);
	close_bench(&b);
}

/* What a call is told by: its kind is the log's word for the record. */
static void
record_of(struct bench *b, int64_t t_ms, const char *uid, const char *log, int requests, int64_t prompt_tokens, const char *caller)
{
	struct event e;
	struct err err = { 0 };

	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_text(&e, F_EventId, slice_of(fresh_uid(b)));
	event_set_text(&e, F_EventOriginalUid, slice_of(uid));
	event_set_text(&e, F_EventOriginalType, slice_of(log));
	event_set_text(&e, F_TargetResourceId, SLICE("/subscriptions/S/providers/Microsoft.CognitiveServices/accounts/A"));
	event_set_text(&e, F_TargetResourceName, SLICE("A"));
	event_set_text(&e, F_AiDeployment, SLICE("chat"));
	event_set_text(&e, F_ActorUserId, slice_of(caller));
	event_set_number(&e, F_TimeGenerated, t_ms);
	if (requests > 0)
		event_set_number(&e, F_RequestCount, requests);
	if (prompt_tokens > 0)
		event_set_number(&e, F_PromptTokens, prompt_tokens);
	assert_int_equal(detect_see(b->detect, &e, &b->say, &err), 0);
	collect(b);
}

static void
a_surge_told_by_pairs(struct bench *b, int64_t surge, bool one_id)
{
	char uid[48];

	open_bench(b, "");
	ordinary(b, MONDAY, surge);
	b->nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE)
		for (int i = 0; i < 300; i++) {
			snprintf(uid, sizeof(uid), one_id ? "always-the-same" : "pair%lld-%d", (long long)t, i);
			record_of(b, t + i * 100, uid, "RequestResponse", 1, 500, "mallory");
			record_of(b, t + i * 100 + 50, uid, "AzureOpenAIRequestUsage", 0, 500, NULL);
		}
	ordinary(b, surge + 5 * MINUTE, surge + 20 * MINUTE);
}

static void
calls_that_all_bear_one_id_are_counted_each(void **state)
{
	const int64_t surge = MONDAY + 3 * DAY + 11 * HOUR;
	struct bench pairs, one;

	(void)state;
	a_surge_told_by_pairs(&pairs, surge, false);
	a_surge_told_by_pairs(&one, surge, true);
	assert_int_equal(starts(&pairs), 1);
	assert_int_equal(starts(&one), 1);
	assert_string_equal(one.found[0].actor, "mallory");
	assert_int_equal(one.nfound, pairs.nfound);
	for (size_t i = 0; i < one.nfound; i++) {	/* a pair is one call, whatever its id */
		assert_true(one.found[i].observed == pairs.found[i].observed);
		assert_int_equal(one.found[i].requests, pairs.found[i].requests);
	}
	close_bench(&pairs);
	close_bench(&one);
}

static void
an_id_joins_two_kinds_of_record_within_minutes_and_no_more(void **state)
{
	enum { REQUEST = 7, USAGE = 8, OTHER = 9 };
	struct calls c;
	struct call *call;

	(void)state;
	assert_true(calls_open(&c, 64));
	for (int order = 0; order < 2; order++) {		/* either may come first, and many of a kind before the other */
		double sum = 0;

		for (int i = 0; i < 20; i++) {
			uint32_t kind = (i < 10) == (order == 0) ? REQUEST : USAGE;

			call = calls_find(&c, 100 + (uint64_t)order, kind, 1000 + i);
			sum += call_take(call, kind, 0, 5);
		}
		assert_true(sum == 50);
	}
	call = calls_find(&c, 5, REQUEST, 1000);
	assert_true(call_take(call, REQUEST, 0, 3) == 3 && call->who == CALLS_NOBODY);
	call->who = 4;
	call = calls_find(&c, 5, USAGE, 1000 + CALLS_JOIN_S);
	assert_true(call_take(call, USAGE, 0, 2) == 0 && call->who == 4);
	call = calls_find(&c, 5, USAGE, 1000 + CALLS_JOIN_S);
	assert_true(call_take(call, USAGE, 0, 2) == 1);		/* what goes beyond the other kind is more of it */
	call = calls_find(&c, 5, OTHER, 1000);
	assert_true(call_take(call, OTHER, 0, 9) == 9);
	call = calls_find(&c, 6, REQUEST, 1000);
	assert_true(call_take(call, REQUEST, 0, 3) == 3);
	call = calls_find(&c, 6, USAGE, 1000 + CALLS_JOIN_S + 1);	/* too late to be the same */
	assert_true(call_take(call, USAGE, 0, 2) == 2 && call->who == CALLS_NOBODY);
	assert_false(calls_repeated(&c, 11));
	assert_false(calls_repeated(&c, 12));
	assert_true(calls_repeated(&c, 11));
	calls_close(&c);
}

static void
a_record_from_the_far_future_neither_closes_nor_blinds(void **state)
{
	const int64_t surge = MONDAY + 3 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	call_as(&b, MONDAY + 9000 * DAY, "chat", "mallory", "first");	/* the very first one lies */
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	call_as(&b, surge + 400 * DAY, "chat", "mallory", "liar");
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE)
		calls(&b, t, 300, "chat", "bo");
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_true(starts(&b) == 1);
	assert_in_range(b.found[0].start_ms, surge, surge + MINUTE);
	close_bench(&b);
}

static void
save_and_restore(struct bench *b)
{
	struct detect *fresh = NULL;
	struct err err = { 0 };
	struct buf saved;

	buf_init(&saved, 256 << 20);
	assert_int_equal(detect_save(b->detect, &saved, &err), 0);
	assert_int_equal(detect_open(&fresh, conf_block(b->conf, "detectors"), &err), 0);
	assert_int_equal(detect_restore(fresh, buf_slice(&saved), &err), 0);
	detect_close(b->detect);
	b->detect = fresh;
	buf_fini(&saved);
}

static void
week_with_surges(struct bench *b, unsigned cuts)
{
	for (int hour = 0; hour < 5 * 24; hour++) {
		int64_t t = MONDAY + hour * HOUR;

		ordinary(b, t, t + 30 * MINUTE);
		if (cuts > 0 && hour % (5 * 24 / (int)cuts) == 0)
			save_and_restore(b);
		if (hour > 48 && hour % 12 == 0)
			calls(b, t + 30 * MINUTE, 400, "chat", "bo");
		if (cuts > 0 && hour % 12 == 0)
			save_and_restore(b);
		ordinary(b, t + 31 * MINUTE, t + HOUR);
	}
}

static void
findings_are_the_same_when_the_state_is_saved_and_restored_in_the_middle(void **state)
{
	struct bench whole, cut;

	(void)state;
	open_bench(&whole, "");
	open_bench(&cut, "");
	week_with_surges(&whole, 0);
	week_with_surges(&cut, 20);
	assert_true(whole.nfound > 4);
	assert_int_equal(whole.nfound, cut.nfound);
	for (size_t i = 0; i < whole.nfound; i++) {
		assert_string_equal(whole.found[i].id, cut.found[i].id);
		assert_string_equal(whole.found[i].message, cut.found[i].message);
	}
	close_bench(&whole);
	close_bench(&cut);
}

static void
a_damaged_state_is_refused_whatever_is_damaged(void **state)
{
	struct bench b;
	struct err err = { 0 };
	struct buf saved;
	unsigned refused = 0, tried = 0;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, MONDAY + 2 * HOUR);
	buf_init(&saved, 256 << 20);
	assert_int_equal(detect_save(b.detect, &saved, &err), 0);
	for (size_t i = 0; i < saved.n; i += 1 + saved.n / 200, tried++) {
		struct detect *fresh = NULL;

		assert_int_equal(detect_open(&fresh, conf_block(b.conf, "detectors"), &err), 0);
		saved.p[i] ^= 0x20;
		refused += detect_restore(fresh, buf_slice(&saved), &err) != 0;
		saved.p[i] ^= 0x20;
		detect_close(fresh);
	}
	assert_int_equal(refused, tried);
	buf_fini(&saved);
	close_bench(&b);
}

static bool
same_section(struct slice a, size_t at, struct slice b, const char *name)
{
	size_t head = 16 + strlen(name), n;

	assert_memory_equal(a.p + at + 4, name, strlen(name));
	n = head + (size_t)get_le64(a.p + at + head - 8);
	return b.n >= at + n && memcmp(a.p + at, b.p + at, n) == 0;
}

/* The checksum is right, one detector's version or bytes are not. */
static void
a_detector_whose_saved_state_does_not_fit_begins_anew_alone(void **state)
{
	static const size_t behind_name[] = { 0 /* the version */, 12 /* the first of its bytes */ };
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {volume: {max_series: 100}}");
	ordinary(&b, MONDAY, MONDAY + HOUR);
	for (size_t i = 0; i < 2; i++) {
		struct buf saved, blank, after;
		struct detect *fresh = NULL;
		struct err err = { 0 };
		size_t access;

		buf_init(&saved, 256 << 20);
		buf_init(&blank, 256 << 20);
		buf_init(&after, 256 << 20);
		assert_int_equal(detect_save(b.detect, &saved, &err), 0);
		access = 12 + 16 + strlen("volume") + (size_t)get_le64(saved.p + 12 + 8 + strlen("volume"));
		assert_memory_equal(saved.p + access + 4, "access", 6);
		saved.p[access + 4 + strlen("access") + behind_name[i]] ^= 1;
		put_le32(saved.p + saved.n - 4, crc32_ieee(0, saved.p, saved.n - 4));
		assert_int_equal(detect_open(&fresh, conf_block(b.conf, "detectors"), &err), 0);
		assert_int_equal(detect_save(fresh, &blank, &err), 0);
		assert_int_equal(detect_restore(fresh, buf_slice(&saved), &err), 1);
		assert_int_equal(err.kind, ERR_LOST);
		assert_non_null(strstr(err.text, "detector access"));
		assert_null(strstr(err.text, "detector volume"));
		assert_int_equal(detect_save(fresh, &after, &err), 0);
		assert_true(same_section(buf_slice(&saved), 12, buf_slice(&after), "volume"));
		assert_false(same_section(buf_slice(&saved), access, buf_slice(&after), "access"));
		assert_false(same_section(buf_slice(&saved), 12, buf_slice(&blank), "volume"));
		detect_close(fresh);
		buf_fini(&saved);
		buf_fini(&blank);
		buf_fini(&after);
	}
	close_bench(&b);
}

/* An operator who changes one detector's setting does not lose what the others have learnt. */
static void
another_window_lets_volume_alone_begin_anew(void **state)
{
	struct bench b, other;
	struct err err = { 0 };
	struct buf saved;

	(void)state;
	open_bench(&b, "");
	open_bench(&other, "detectors: {volume: {window: 120s}}");
	ordinary(&b, MONDAY, MONDAY + HOUR);
	buf_init(&saved, 256 << 20);
	assert_int_equal(detect_save(b.detect, &saved, &err), 0);
	assert_int_equal(detect_restore(other.detect, buf_slice(&saved), &err), 1);
	assert_non_null(strstr(err.text, "detector volume"));
	assert_null(strstr(err.text, "detector access"));
	buf_fini(&saved);
	close_bench(&other);
	close_bench(&b);
}

/* Late windows would lie before 1970. */
static void
the_first_event_may_be_of_the_first_minute_of_all(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	for (int i = 0; i < 40; i++)
		call_as(&b, i * MINUTE, "chat", "me", fresh_uid(&b));
	assert_int_equal(b.nfound, 0);
	close_bench(&b);
}

static void
the_table_stays_within_its_bound(void **state)
{
	struct bench b;
	struct buf saved;
	struct err err = { 0 };

	(void)state;
	open_bench(&b, "detectors: {volume: {max_series: 100}, access: {enabled: false}, config: {enabled: false}}");
	for (int i = 0; i < 20000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "caller%d", i);
		for (int k = 0; k < 4; k++)
			call_as(&b, MONDAY + (i / 10 + k) * MINUTE, "chat", name, name);
	}
	buf_init(&saved, 64 << 20);
	assert_int_equal(detect_save(b.detect, &saved, &err), 0);
	assert_true(saved.n < 100 * 4096 + 1024 * 1024 + 1024 * 800);
	buf_fini(&saved);
	close_bench(&b);
}

static void
late_records_within_the_lateness_count(void **state)
{
	const int64_t surge = MONDAY + 3 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 6 * MINUTE; t += MINUTE) {
		calls(&b, t, 40, "chat", "ana");
		calls(&b, t - MINUTE, 260, "chat", "bo");	/* a minute late, each */
	}
	ordinary(&b, surge + 6 * MINUTE, surge + 20 * MINUTE);
	assert_true(starts(&b) >= 1);
	close_bench(&b);
}

static size_t
count_of(const struct bench *b, const char *type)
{
	size_t n = 0;

	for (size_t i = 0; i < b->nfound; i++)
		n += strcmp(b->found[i].type, type) == 0;
	return n;
}

static void
another_callers_surge_inside_an_open_episode_is_told_apart(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;
	bool bo = false, cem = false;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 20 * MINUTE; t += MINUTE) {
		ordinary(&b, t, t + MINUTE);
		calls(&b, t, 300, "chat", "bo");
		if (t >= surge + 8 * MINUTE)
			calls(&b, t, 400, "chat", "cem");
	}
	ordinary(&b, surge + 20 * MINUTE, surge + 40 * MINUTE);
	for (size_t i = 0; i < b.nfound; i++) {
		bool start = strcmp(b.found[i].type, "volume.start") == 0;

		bo = bo || (start && strcmp(b.found[i].actor, "bo") == 0);
		cem = cem || (start && strcmp(b.found[i].actor, "cem") == 0);
	}
	assert_true(bo);
	assert_true(cem);
	assert_int_equal(starts(&b), 2);
	assert_int_equal(count_of(&b, "volume.end"), 2);
	close_bench(&b);
}

static void
a_surge_that_goes_on_is_one_episode_with_an_update_when_it_doubles(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 10 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 40 * MINUTE; t += MINUTE) {
		ordinary(&b, t, t + MINUTE);
		calls(&b, t, t < surge + 20 * MINUTE ? 200 : 600, "chat", "bo");
	}
	ordinary(&b, surge + 40 * MINUTE, surge + HOUR);
	assert_int_equal(starts(&b), 1);
	assert_int_equal(count_of(&b, "volume.update"), 1);
	assert_int_equal(count_of(&b, "volume.end"), 1);
	assert_non_null(strstr(b.found[b.nfound - 1].message, "is over after 40 minutes"));
	close_bench(&b);
}

static void
a_flood_of_made_up_callers_does_not_drive_out_those_long_known(void **state)
{
	const int64_t flood = MONDAY + 4 * DAY + 9 * HOUR, surge = flood + 2 * HOUR;
	struct bench b;
	bool named = false;

	(void)state;
	open_bench(&b, "detectors: {volume: {max_series: 100}}");
	ordinary(&b, MONDAY, flood);
	for (int64_t t = flood; t < surge; t += MINUTE) {	/* bo is away while they come */
		calls(&b, t, 20, "chat", "ana");
		calls(&b, t, 20, "chat", "cem");
		for (int i = 0; i < 100; i++) {		/* each of them often enough for a series */
			char name[64];

			snprintf(name, sizeof(name), "flood%lld-%d", (long long)(t / (5 * MINUTE)), i);
			call_on(&b, t, "A", "chat", name, fresh_uid(&b), 200);
		}
	}
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE) {
		ordinary(&b, t, t + MINUTE);
		calls(&b, t, 900, "chat", "bo");
	}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	for (size_t i = 0; i < b.nfound; i++)
		named = named || strcmp(b.found[i].actor, "bo") == 0;
	assert_true(named);
	close_bench(&b);
}

/* A second resource that always speaks. */
static void
steady(struct bench *b, int64_t from_ms, int64_t to_ms)
{
	for (int64_t t = from_ms; t < to_ms; t += MINUTE) {
		ordinary(b, t, t + MINUTE);
		calls_on(b, t, noisy(b, 10), "B", "dee", 200);
	}
}

static void
a_resource_that_always_speaks_and_stops_is_told_and_its_return_too(void **state)
{
	const int64_t stop = MONDAY + 9 * DAY + 10 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	steady(&b, MONDAY, stop);
	b.nfound = 0;
	ordinary(&b, stop, stop + HOUR);
	assert_int_equal(count_of(&b, "volume.silence.start"), 1);
	assert_string_equal(b.found[0].resource, "B");
	assert_in_range(b.found[0].at_ms, stop, stop + 15 * MINUTE);
	steady(&b, stop + HOUR, stop + 2 * HOUR);
	assert_int_equal(count_of(&b, "volume.silence.end"), 1);
	assert_int_equal(count_of(&b, "volume.silence.start"), 1);
	close_bench(&b);
}

static void
a_night_of_silence_each_day_is_no_finding(void **state)
{
	struct bench b;

	(void)state;
	open_bench(&b, "");
	for (int64_t t = MONDAY; t < MONDAY + 12 * DAY; t += MINUTE) {
		int64_t hour = t / HOUR % 24;

		calls_on(&b, t, noisy(&b, 5), "B", "dee", 200);
		if (hour >= 8 && hour < 18)
			ordinary(&b, t, t + MINUTE);
	}
	assert_int_equal(count_of(&b, "volume.silence.start"), 0);
	close_bench(&b);
}

static void
a_stop_of_the_collection_is_neither_silence_nor_learnt(void **state)
{
	const int64_t stop = MONDAY + 9 * DAY + 10 * HOUR, back = stop + 3 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	steady(&b, MONDAY, stop);
	b.nfound = 0;
	steady(&b, back, back + 2 * HOUR);
	for (size_t i = 0; i < b.nfound; i++)
		print_message("%s: %s\n", b.found[i].type, b.found[i].message);
	assert_int_equal(b.nfound, 0);
	close_bench(&b);
}

static void
a_storm_of_throttled_calls_is_named_with_its_share(void **state)
{
	const int64_t storm = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	for (int64_t t = MONDAY; t < storm; t += MINUTE) {
		ordinary(&b, t, t + MINUTE);
		if (next(&b) % 10 == 0)
			calls_on(&b, t, 1, "A", "ana", 429);
	}
	b.nfound = 0;
	for (int64_t t = storm; t < storm + 6 * MINUTE; t += MINUTE) {
		calls_on(&b, t, 15, "A", "ana", 200);
		calls_on(&b, t, 45, "A", "ana", 429);
	}
	ordinary(&b, storm + 6 * MINUTE, storm + 20 * MINUTE);
	assert_true(starts(&b) >= 1);
	assert_string_equal(b.found[0].name, "AI throttle storm");
	assert_non_null(strstr(b.found[0].message, "75 % of all"));
	close_bench(&b);
}

static void
what_no_resource_shows_the_sum_of_all_does(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	for (int64_t t = MONDAY; t < surge + 20 * MINUTE; t += MINUTE) {
		bool now = t >= surge && t < surge + 10 * MINUTE;

		if (t == surge)
			b.nfound = 0;
		for (int r = 0; r < 12; r++) {
			char name[32];

			snprintf(name, sizeof(name), "r%d", r);
			calls_on(&b, t, noisy(&b, now ? 12 : 2), name, "ana", 200);
		}
	}
	assert_true(starts(&b) >= 1);
	assert_non_null(strstr(b.found[0].message, "over all resources"));
	close_bench(&b);
}

static void
a_caller_never_seen_before_who_makes_the_surge_is_named(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE) {
		calls(&b, t, 13, "chat", "ana");
		calls(&b, t, 27, "chat", "cem");
		calls(&b, t, 300, "chat", "zed");
	}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_int_equal(starts(&b), 1);
	assert_string_equal(b.found[0].actor, "zed");
	assert_non_null(strstr(b.found[0].message, "mostly by caller zed, 300"));
	assert_non_null(strstr(b.found[0].additional,
	    "\"TopCallers\":[{\"id\":\"zed\",\"count\":300},{\"id\":\"cem\",\"count\":27},{\"id\":\"ana\",\"count\":13}],\"OtherCallers\":0}"));
	close_bench(&b);
}

static void
of_a_surge_that_many_make_nobody_is_the_actor(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE)
		for (int i = 0; i < 9; i++) {
			char name[32];

			snprintf(name, sizeof(name), "new%d", i);
			calls(&b, t, 40, "chat", name);
		}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_int_equal(starts(&b), 1);
	assert_string_equal(b.found[0].actor, "");
	assert_null(strstr(b.found[0].message, "mostly"));
	assert_non_null(strstr(b.found[0].additional, "\"TopCallers\":[{\"id\":\"new"));
	assert_non_null(strstr(b.found[0].additional, "],\"OtherCallers\":160}"));
	close_bench(&b);
}

static void
a_surge_by_callers_without_a_name_is_said_to_be(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 11 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE) {
		calls(&b, t, 13, "chat", "ana");
		calls(&b, t, 300, "chat", "");
	}
	ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
	assert_int_equal(starts(&b), 1);
	assert_string_equal(b.found[0].actor, "");
	assert_non_null(strstr(b.found[0].message, "; mostly by callers not known by name"));
	assert_non_null(strstr(b.found[0].additional, "\"TopCallers\":[{\"id\":\"ana\",\"count\":13}],\"OtherCallers\":300}"));
	close_bench(&b);
}

static void
counts_mean_the_same_in_each_phase_and_an_end_says_that_it_is_over(void **state)
{
	const int64_t surge = MONDAY + 5 * DAY + 10 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, surge);
	b.nfound = 0;
	for (int64_t t = surge; t < surge + 20 * MINUTE; t += MINUTE)
		calls(&b, t, t < surge + 16 * MINUTE ? 200 : 600, "chat", "zed");
	ordinary(&b, surge + 20 * MINUTE, surge + HOUR);
	assert_int_equal(b.nfound, 3);
	assert_int_equal(b.found[0].requests, 200);
	assert_int_equal(b.found[0].windows, 1);
	assert_string_equal(b.found[1].type, "volume.update");
	assert_int_equal(b.found[1].requests, 16 * 200 + 600);
	assert_int_equal(b.found[1].windows, 17);
	assert_true(b.found[1].observed == 600);
	assert_string_equal(b.found[2].type, "volume.end");
	assert_int_equal(b.found[2].requests, 16 * 200 + 4 * 600);
	assert_int_equal(b.found[2].windows, 20);
	assert_string_equal(b.found[2].severity, "Informational");
	assert_int_equal(strncmp(b.found[2].reason, "Over: ", 6), 0);
	close_bench(&b);
}

/* One call each `step_ms`. */
static void
sparse(struct bench *b, int64_t from_ms, int64_t to_ms, int64_t step_ms)
{
	for (int64_t t = from_ms; t < to_ms; t += step_ms)
		call_as(b, t, "chat", "ana", fresh_uid(b));
}

static void
burst(struct bench *b, int64_t at_ms)
{
	for (int64_t t = at_ms; t < at_ms + 5 * MINUTE; t += MINUTE)
		calls(b, t, 80, "chat", "bo");
	sparse(b, at_ms + 2 * HOUR, at_ms + 8 * HOUR, 2 * HOUR);
}

static void
a_burst_where_a_call_comes_each_hour_or_two_is_found_and_counted_whole(void **state)
{
	static const int64_t steps[] = { 7, 45, 61, 90, 120, 1440, 4 * 1440 };

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		const int64_t surge = MONDAY + 20 * DAY + 3 * HOUR;
		struct bench b;

		open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
		sparse(&b, MONDAY, surge - HOUR, steps[i] * MINUTE);
		if (b.nfound != 0)
			fail_msg("a call each %d minutes is no finding", (int)steps[i]);
		burst(&b, surge);
		if (starts(&b) != 1)
			fail_msg("a call each %d minutes: %d starts", (int)steps[i], (int)starts(&b));
		assert_in_range(b.found[0].start_ms, surge, surge + MINUTE);
		assert_true(b.found[0].observed == 80);
		close_bench(&b);
	}
}

static void
add_late(void *arg, struct stat_block *stats)
{
	*(uint64_t *)arg += stat_get(stats, STAT_DETECTOR_LATE);
}

static void
add_dropped(void *arg, struct stat_block *stats)
{
	*(uint64_t *)arg += stat_get(stats, STAT_DETECTOR_DROPPED);
}

static void
when_too_many_surge_at_once_the_graver_one_is_followed_and_who_gives_way_is_told(void **state)
{
	enum { ALL = 1030, ROOM = 1024 };
	const int64_t surge = MONDAY + 30 * HOUR, graver = surge + 4 * MINUTE;
	size_t begun = 0, gone = 0;
	uint64_t dropped = 0;
	char name[32];
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	for (int64_t t = MONDAY; t < graver + 5 * MINUTE; t += t < surge ? 20 * MINUTE : MINUTE) {
		if (t == graver)
			b.nfound = 0;
		for (int i = 0; i < ALL; i++) {
			int n = i == ALL - 1 ? (t < graver ? 1 : 300) : t < surge ? 1 : 25;

			snprintf(name, sizeof(name), "r%d", i);
			for (int k = 0; k < n; k++)
				call_on(&b, t + i * 50, name, "", "", fresh_uid(&b), 200);
		}
	}
	for (size_t i = 0; i < b.nfound; i++) {
		begun += strcmp(b.found[i].type, "volume.start") == 0 && strcmp(b.found[i].resource, "r1029") == 0;
		gone += strcmp(b.found[i].type, "volume.end") == 0 && strstr(b.found[i].reason, "Over: graver ones needed its place") != NULL;
	}
	if (begun != 1)
		for (size_t i = 0; i < b.nfound; i++)
			print_message("%s %s %s\n", b.found[i].type, b.found[i].resource, b.found[i].reason);
	assert_int_equal(begun, 1);
	assert_true(gone >= 1);
	detect_count(b.detect);
	stat_each(add_dropped, &dropped);
	assert_true(dropped >= ALL - ROOM);
	close_bench(&b);
}

static void
add_evicted(void *arg, struct stat_block *stats)
{
	*(uint64_t *)arg += stat_get(stats, STAT_DETECTOR_EVICTED) + stat_get(stats, STAT_DETECTOR_REFUSED);
}

static void
long_names_fill_the_table_before_its_places_are_used_up(void **state)
{
	char who[512];
	struct bench b;

	(void)state;
	for (int length = 20; length <= 500; length += 480) {
		uint64_t gone = 0;

		open_bench(&b, "detectors: {volume: {max_series: 100}, access: {enabled: false}, config: {enabled: false}}");	/* 1,024 places */
		for (int i = 0; i < 900; i++) {
			memset(who, 'x', sizeof(who));
			snprintf(who, sizeof(who), "%d", i);
			who[strlen(who)] = 'x';
			who[length] = '\0';
			call_on(&b, MONDAY + i * MINUTE, "A", "chat", who, fresh_uid(&b), 200);
		}
		detect_count(b.detect);
		stat_each(add_evicted, &gone);
		if (length == 20)
			assert_int_equal(gone, 0);
		else
			assert_true(gone > 300);
		close_bench(&b);
	}
}

static void
a_new_level_is_taken_for_usual_after_a_day(void **state)
{
	const int64_t shift = MONDAY + 3 * DAY + 9 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "");
	ordinary(&b, MONDAY, shift);
	b.nfound = 0;
	for (int64_t t = shift; t < shift + 2 * DAY; t += MINUTE)
		calls(&b, t, 400, "chat", "bo");
	assert_int_equal(starts(&b), 1);
	assert_int_equal(b.nfound, 2);
	assert_string_equal(b.found[1].type, "volume.end");
	assert_in_range(b.found[1].at_ms - shift, DAY, DAY + 2 * MINUTE);
	assert_non_null(strstr(b.found[1].reason, "Over: it went on for a day"));
	close_bench(&b);
}

static void
after_a_pause_all_is_counted_and_nothing_is_late(void **state)
{
	const int64_t back = MONDAY + 3 * DAY + 11 * HOUR;
	uint64_t late = 0;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, back - 90 * MINUTE);
	for (int i = 0; i < 20; i++)		/* as many in the first minute as otherwise in eight */
		calls(&b, back + i * MINUTE, i == 0 ? 320 : 40, "chat", "bo");
	assert_int_equal(starts(&b), 1);
	assert_true(b.found[0].observed == 320);
	detect_count(b.detect);
	stat_each(add_late, &late);
	assert_int_equal(late, 0);
	close_bench(&b);
}

static void
clocks_that_lie_move_nothing_however_often_they_are_heard(void **state)
{
	static const int64_t ahead[] = { 2 * HOUR, 3 * DAY, 7 * DAY, 400 * DAY };

	(void)state;
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		const int64_t surge = MONDAY + 3 * DAY + 11 * HOUR;
		struct bench b;

		open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
		ordinary(&b, MONDAY, surge - 10 * HOUR);
		for (int64_t t = surge - 10 * HOUR; t < surge; t += MINUTE) {
			ordinary(&b, t, t + MINUTE);
			call_as(&b, t + ahead[i], "chat", "mallory", fresh_uid(&b));
		}
		b.nfound = 0;
		for (int64_t t = surge; t < surge + 5 * MINUTE; t += MINUTE)
			calls(&b, t, 300, "chat", "bo");
		ordinary(&b, surge + 5 * MINUTE, surge + 20 * MINUTE);
		if (starts(&b) != 1)
			fail_msg("%d hours ahead: %d starts, first of %d: %s %s", (int)(ahead[i] / HOUR), (int)starts(&b), (int)b.nfound, b.found[0].type, b.found[0].message);
		assert_in_range(b.found[0].start_ms, surge, surge + MINUTE);
		close_bench(&b);
	}
}

static void
a_lone_wrong_time_on_a_quiet_estate_moves_nothing(void **state)
{
	static const int64_t ahead[] = { 5 * HOUR, 5 * DAY, 400 * DAY };

	(void)state;
	for (size_t i = 0; i < sizeof(ahead) / sizeof(ahead[0]); i++) {
		const int64_t surge = MONDAY + 20 * DAY + 3 * HOUR;
		struct bench b;

		open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
		sparse(&b, MONDAY, surge - 3 * HOUR, 90 * MINUTE);
		call_as(&b, surge - 3 * HOUR + ahead[i], "chat", "mallory", fresh_uid(&b));
		sparse(&b, surge - 2 * HOUR, surge - HOUR, HOUR);
		burst(&b, surge);
		assert_int_equal(starts(&b), 1);
		assert_in_range(b.found[0].start_ms, surge, surge + MINUTE);
		close_bench(&b);
	}
}

static void
a_month_without_the_agent_is_passed_once_many_agree(void **state)
{
	const int64_t back = MONDAY + 40 * DAY + 9 * HOUR;
	struct bench b;

	(void)state;
	open_bench(&b, "detectors: {access: {enabled: false}, config: {enabled: false}}");
	ordinary(&b, MONDAY, MONDAY + 8 * DAY);
	ordinary(&b, back, back + HOUR);
	save_and_restore(&b);
	b.nfound = 0;
	calls(&b, back + HOUR, 400, "chat", "bo");
	ordinary(&b, back + HOUR + MINUTE, back + 2 * HOUR);
	assert_true(starts(&b) >= 1);
	close_bench(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ten_quiet_days_give_at_most_one_false_alarm),
		cmocka_unit_test(a_fivefold_surge_is_found_within_two_windows_and_ends),
		cmocka_unit_test(the_caller_who_made_the_surge_is_named),
		cmocka_unit_test(one_call_told_by_two_records_counts_once),
		cmocka_unit_test(calls_that_all_bear_one_id_are_counted_each),
		cmocka_unit_test(an_id_joins_two_kinds_of_record_within_minutes_and_no_more),
		cmocka_unit_test(a_record_from_the_far_future_neither_closes_nor_blinds),
		cmocka_unit_test(findings_are_the_same_when_the_state_is_saved_and_restored_in_the_middle),
		cmocka_unit_test(a_damaged_state_is_refused_whatever_is_damaged),
		cmocka_unit_test(a_detector_whose_saved_state_does_not_fit_begins_anew_alone),
		cmocka_unit_test(another_window_lets_volume_alone_begin_anew),
		cmocka_unit_test(the_first_event_may_be_of_the_first_minute_of_all),
		cmocka_unit_test(the_table_stays_within_its_bound),
		cmocka_unit_test(late_records_within_the_lateness_count),
		cmocka_unit_test(another_callers_surge_inside_an_open_episode_is_told_apart),
		cmocka_unit_test(a_surge_that_goes_on_is_one_episode_with_an_update_when_it_doubles),
		cmocka_unit_test(a_flood_of_made_up_callers_does_not_drive_out_those_long_known),
		cmocka_unit_test(a_resource_that_always_speaks_and_stops_is_told_and_its_return_too),
		cmocka_unit_test(a_night_of_silence_each_day_is_no_finding),
		cmocka_unit_test(a_stop_of_the_collection_is_neither_silence_nor_learnt),
		cmocka_unit_test(a_storm_of_throttled_calls_is_named_with_its_share),
		cmocka_unit_test(what_no_resource_shows_the_sum_of_all_does),
		cmocka_unit_test(a_caller_never_seen_before_who_makes_the_surge_is_named),
		cmocka_unit_test(of_a_surge_that_many_make_nobody_is_the_actor),
		cmocka_unit_test(a_surge_by_callers_without_a_name_is_said_to_be),
		cmocka_unit_test(counts_mean_the_same_in_each_phase_and_an_end_says_that_it_is_over),
		cmocka_unit_test(a_burst_where_a_call_comes_each_hour_or_two_is_found_and_counted_whole),
		cmocka_unit_test(when_too_many_surge_at_once_the_graver_one_is_followed_and_who_gives_way_is_told),
		cmocka_unit_test(long_names_fill_the_table_before_its_places_are_used_up),
		cmocka_unit_test(a_new_level_is_taken_for_usual_after_a_day),
		cmocka_unit_test(after_a_pause_all_is_counted_and_nothing_is_late),
		cmocka_unit_test(clocks_that_lie_move_nothing_however_often_they_are_heard),
		cmocka_unit_test(a_lone_wrong_time_on_a_quiet_estate_moves_nothing),
		cmocka_unit_test(a_month_without_the_agent_is_passed_once_many_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
