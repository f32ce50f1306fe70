/*
 * fuzz_state.c - a damaged state of detectors and posture whose checksums are right: restored wholly or not at all, and lived with in either case.
 * Input: one byte, how; then patches of six bytes on a sound state: where from (its begin, its end, a section's begin, cut here), u24 offset, u16 to put there
 * (xor). A byte of 0xff: the rest are the bytes of a state themselves.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixed.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "detect/detect.h"
#include "posture/posture.h"

#define BEGAN_MS	INT64_C(1790000000000)
#define STEP_MS		20000
#define EVENTS		120		/* of the sound state */
#define AFTER		12		/* what comes behind a restart */
#define PATCH		6

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const struct conf_key top[] = {
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "" },
	{ .name = "zones", .type = CONF_BLOCK, .keys = posture_zone_keys, .help = "" },
	CONF_END
};

static struct conf *conf;
static struct arena arena;
static struct buf sound, blank, sound_posture, blank_posture, state, saved;

/* ---- what is remembered ------------------------------------------------------------------ */

__attribute__((format(printf, 1, 2)))
static struct slice
text_of(const char *form, ...)
{
	char *p = arena_alloc(&arena, 192);
	va_list ap;
	int n;

	assert(p != NULL);
	va_start(ap, form);
	n = vsnprintf(p, 192, form, ap);
	va_end(ap);
	return slice_make(p, (size_t)n);
}

static void
make_event(struct event *e, int i)
{
	static const char *const operations[] = { "ChatCompletions_Create", "microsoft.cognitiveservices/accounts/write", "ListKeys", "Embeddings_Create" };

	event_init(e);
	event_set_number(e, F_TimeGenerated, BEGAN_MS + (int64_t)i * STEP_MS);
	event_set_text(e, F_EventClass, SLICE("activity"));
	event_set_text(e, F_EventId, text_of("%032x", (unsigned)i));
	event_set_text(e, F_EventResult, i % 5 == 0 ? SLICE("Failure") : SLICE("Success"));
	event_set_text(e, F_EventSeverity, SLICE("Informational"));
	event_set_text(e, F_CloudProvider, SLICE("Azure"));
	event_set_text(e, F_CloudAccountId, text_of("0000-%d", i % 3));
	event_set_text(e, F_TargetResourceId, text_of("/subscriptions/0000/resourcegroups/g/providers/microsoft.cognitiveservices/accounts/a%d", i % 3));
	event_set_text(e, F_TargetResourceType, SLICE("azure_openai"));
	event_set_text(e, F_AiDeployment, text_of("d%d", i % 2));
	event_set_text(e, F_AiModelName, text_of("gpt-%d", i % 4));
	event_set_text(e, F_ActorUserId, text_of("user%d", i % 7));
	event_set_text(e, F_SrcIpAddr, text_of("203.0.113.%d", i % 11));
	event_set_text(e, F_HttpUserAgent, text_of("agent/%d", i % 3));
	event_set_text(e, F_Operation, slice_of(operations[i % 4]));
	event_set_text(e, F_EventOriginalUid, text_of("c%d", i / 2));
	event_set_number(e, F_PromptTokens, 100 + i % 13);
	event_set_number(e, F_RequestCount, 1);
	event_set_number(e, F_HttpStatusCode, i % 5 == 0 ? 429 : 200);
	event_set_text(e, F_AdditionalFields, text_of("{\"CorrelationId\":\"c%d\",\"RequestBody\":{\"properties\":{\"publicNetworkAccess\":\"Enabled\",\"disableLocalAuth\":false}}}", i / 2));
}

/* Either may be NULL. */
static void
live(struct detect *d, struct posture *p, int from, int n)
{
	for (int i = from; i < from + n; i++) {
		struct event_list say = { .arena = &arena };
		struct err err = { 0 };
		struct event e;

		arena_reset(&arena);
		make_event(&e, i);
		if (p != NULL)
			posture_see(p, &e, BEGAN_MS + (int64_t)i * STEP_MS, POSTURE_POLLS);
		if (d != NULL)
			assert(detect_see(d, &e, &say, &err) == 0);
		for (size_t k = 0; k < say.n; k++)
			assert(event_class_is_finding(event_text(&say.v[k], F_EventClass)) && event_text(&say.v[k], F_EventId).n == 32);
	}
}

static struct detect *
open_detect(void)
{
	struct detect *d;
	struct err err = { 0 };

	assert(detect_open(&d, conf_block(conf, "detectors"), &err) == 0);
	return d;
}

static struct posture *
open_posture(void)
{
	struct posture *p;
	struct err err = { 0 };

	assert(posture_open(&p, conf_block(conf, "zones"), &err) == 0);
	return p;
}

static void
save_detect(struct detect *d, struct buf *to)
{
	struct err err = { 0 };

	buf_reset(to);
	assert(detect_save(d, to, &err) == 0);
}

static void
save_posture(const struct posture *p, struct buf *to)
{
	struct err err = { 0 };

	buf_reset(to);
	assert(posture_save(p, to, &err) == 0);
}

static void
open_once(void)
{
	struct buf *all[] = { &sound, &blank, &sound_posture, &blank_posture, &state, &saved };
	struct problems problems;
	struct posture *p;
	struct err err = { 0 };
	struct detect *d;

	if (conf != NULL)
		return;
	problems_init(&problems);
	assert(conf_load_text("fuzz", SLICE("detectors: {volume: {max_series: 100, min_count: 1}, access: {learning: 1h, max_callers: 100}, "
	    "config: {wait: 60s, max_objects: 100}}\nzones: {default: 2, rules: [{match: \"/subscriptions/0000/*\", zone: 3}]}"), top, &conf, &problems,
	    &err) == 0);
	problems_fini(&problems);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_init(all[i], 64u << 20);
	arena_init(&arena, 65536, 64u << 20);
	d = open_detect();
	p = open_posture();
	save_detect(d, &blank);
	save_posture(p, &blank_posture);
	live(d, p, 0, EVENTS);
	save_detect(d, &sound);
	save_posture(p, &sound_posture);
	detect_close(d);
	posture_close(p);
}

/* ---- what is damaged ---------------------------------------------------------------------- */

/* Begins of the bytes of each detector; past the frame's own words. */
static size_t
section(struct slice of, unsigned number)
{
	size_t at = 12;

	while (at + 16 < of.n) {
		size_t begin = at + 16 + get_le32(of.p + at);

		if (number-- == 0)
			return begin;
		if (begin > of.n)
			break;			/* the posture's state has no sections */
		at = begin + (size_t)get_le64(of.p + begin - 8);
	}
	return 0;
}

static void
seal(struct buf *b)
{
	if (b->n >= 4)
		put_le32(b->p + b->n - 4, crc32_ieee(0, b->p, b->n - 4));
}

static void
damage(struct buf *to, const struct buf *from, const uint8_t *data, size_t n)
{
	buf_reset(to);
	buf_put_slice(to, buf_slice(from));
	for (; n >= PATCH; data += PATCH, n -= PATCH) {
		size_t offset = (size_t)data[1] << 16 | (size_t)data[2] << 8 | data[3], at;

		if (data[0] % 8 == 7) {
			to->n = offset < to->n ? offset : to->n;
			continue;
		}
		at = data[0] % 8 == 6 ? offset : data[0] % 8 == 5 ? to->n - offset % (to->n + 1) : section(buf_slice(from), data[0] % 8 % 3) + offset;
		for (size_t k = 0; k < 2 && at + k < to->n; k++)
			to->p[at + k] ^= (char)data[4 + k];
	}
	seal(to);
}

static void
restore_detect(void)
{
	struct detect *d = open_detect();
	struct err err = { 0 };

	if (detect_restore(d, buf_slice(&state), &err) == -1) {
		assert(err.kind == ERR_LOST);
		save_detect(d, &saved);
		assert(slice_eq(buf_slice(&saved), buf_slice(&blank)));
	} else {
		live(d, NULL, EVENTS, AFTER);
		save_detect(d, &saved);
	}
	detect_close(d);
}

static void
restore_posture(void)
{
	struct posture *p = open_posture();
	struct err err = { 0 };

	if (posture_restore(p, buf_slice(&state), &err) != 0) {
		assert(err.kind == ERR_LOST);
		save_posture(p, &saved);
		assert(slice_eq(buf_slice(&saved), buf_slice(&blank_posture)));
	} else {
		live(NULL, p, EVENTS, AFTER);
		save_posture(p, &saved);
	}
	posture_close(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	open_once();
	if (n < 1)
		return 0;
	if (data[0] == 0xff) {
		buf_reset(&state);
		buf_put(&state, data + 1, n - 1);
		seal(&state);
		restore_detect();
		restore_posture();
	} else if (data[0] % 8 == 0) {
		damage(&state, &sound_posture, data + 1, n - 1);
		restore_posture();
	} else {
		damage(&state, &sound, data + 1, n - 1);
		restore_detect();
	}
	return 0;
}
