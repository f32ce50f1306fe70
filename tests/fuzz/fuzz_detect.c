/*
 * fuzz_detect.c - any bytes through the shipped mappings into the detectors: what they say is whole, their state comes back as it was saved, and any
 * bytes are a state that is refused or taken, never more. AISPM_SCHEMAS names the mappings' directory (else schemas/ below the working directory).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixed.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"
#include "decode/decode.h"
#include "detect/detect.h"
#include "model/record.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct decoder *decoder;
static struct decode_ctx *ctx;
static struct json_reader *reader;
static struct json_doc doc;
static struct arena arena;
static struct buf hold, line, saved, again;
static struct conf *conf;
static struct detect *detect;

static const struct conf_key top[] = {
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "" },
	CONF_END
};

static struct detect *
open_detectors(void)
{
	struct detect *d;
	struct err err = { 0 };

	assert(detect_open(&d, conf_block(conf, "detectors"), &err) == 0);
	return d;
}

static void
open_once(void)
{
	const char *path = getenv("AISPM_SCHEMAS");
	const struct decoder_dir dir = { path != NULL ? path : "schemas", false };
	struct problems problems;
	struct err err = { 0 };

	if (decoder != NULL)
		return;
	problems_init(&problems);
	if (decoder_open(&decoder, &dir, 1, &problems, &err) != 0 ||
	    conf_load_text("fuzz", SLICE("detectors: {volume: {max_series: 100, min_count: 1}, access: {learning: 1h, max_callers: 100}, config: {wait: 60s, max_objects: 100}}"),
	    top, &conf, &problems, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	problems_fini(&problems);
	ctx = decode_ctx_new(decoder);
	reader = json_reader_new();
	assert(ctx != NULL && reader != NULL);
	json_doc_init(&doc, 1u << 20);
	arena_init(&arena, 65536, 256u << 20);
	buf_init(&hold, 64u << 20);
	buf_init(&line, 64u << 20);
	buf_init(&saved, 256u << 20);
	buf_init(&again, 256u << 20);
	detect = open_detectors();
}

static void
check_finding(const struct event *f)
{
	struct slice message = event_text(f, F_EventMessage);
	struct err err = { 0 };

	assert(event_class_is_finding(event_text(f, F_EventClass)) && event_text(f, F_EventId).n == 32);
	assert(message.n > 0 && message.n < 4096 && utf8_valid_prefix(message) == message.n);
	for (size_t i = 0; i < message.n; i++)
		assert((unsigned char)message.p[i] >= ' ');
	json_reset(reader, &doc);
	assert(json_read(reader, event_text(f, F_AdditionalFields), false, &doc, &err) == 0);
	for (int k = 0; k < 2; k++) {
		struct slice value = event_text(f, k == 0 ? F_OldValue : F_NewValue);

		json_reset(reader, &doc);
		assert(value.n == 0 || json_read(reader, value, false, &doc, &err) == 0);
	}
	buf_reset(&line);
	assert(encoder_find("json")->encode(f, &line, &err) == 0);
}

static int
see_record(void *arg, struct slice bytes)
{
	struct record r = { .bytes = bytes, .source = "fuzz", .relay = true, .arrived_ms = 1790000000000 };
	struct event_list events = { .arena = &arena }, say = { .arena = &arena };
	struct err err = { 0 };

	(void)arg;
	arena_reset(&arena);
	if (decode(decoder, ctx, &r, &events, NULL, &err) != 0)
		return 0;
	for (size_t i = 0; i < events.n; i++)
		assert(detect_see(detect, &events.v[i], &say, &err) == 0);
	for (size_t i = 0; i < say.n; i++)
		check_finding(&say.v[i]);
	return 0;
}

/* Saved, restored and saved again: the same bytes. */
static void
check_state(void)
{
	struct detect *fresh = open_detectors();
	struct err err = { 0 };

	buf_reset(&saved);
	buf_reset(&again);
	assert(detect_save(detect, &saved, &err) == 0);
	assert(detect_restore(fresh, buf_slice(&saved), &err) == 0);
	assert(detect_save(fresh, &again, &err) == 0);
	assert(saved.n == again.n);
	detect_close(detect);
	detect = fresh;
}

/* A state with bytes of its own changed, past the frame's checksum: refused, or taken and lived with. */
static void
restore_damaged(const struct detector_kind *kind, const uint8_t *data, size_t n)
{
	const struct conf *of = conf_block(conf_block(conf, "detectors"), kind->name);
	struct event_list say = { .arena = &arena };
	struct err err = { 0 };
	struct event e;
	void *state;

	assert(kind->open(&state, of, &err) == 0);
	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_text(&e, F_Operation, SLICE("microsoft.cognitiveservices/accounts/write"));
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_TargetResourceId, SLICE("/subscriptions/S/providers/microsoft.cognitiveservices/accounts/A"));
	event_set_text(&e, F_ActorUserId, SLICE("a"));
	event_set_text(&e, F_AdditionalFields, SLICE("{\"CorrelationId\":\"c\",\"RequestBody\":{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}}"));
	event_set_number(&e, F_TimeGenerated, 1790000000000);
	assert(kind->see(state, &e, &say, &err) == 0);
	event_set_text(&e, F_EventResult, SLICE("Success"));
	assert(kind->see(state, &e, &say, &err) == 0);
	buf_reset(&saved);
	assert(kind->save(state, &saved, &err) == 0);
	for (size_t i = 0; i + 2 < n && i < 300; i += 3)
		saved.p[(size_t)(data[i] << 8 | data[i + 1]) * 7919u % saved.n] ^= (char)data[i + 2];
	if (n > 0 && data[0] % 4 == 0)
		saved.n = saved.n * data[0] / 256;
	(void)kind->restore(state, buf_slice(&saved), &err);
	event_set_number(&e, F_TimeGenerated, 1790000400000);
	assert(kind->see(state, &e, &say, &err) == 0);
	kind->close(state);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static unsigned runs;
	struct err err = { 0 };

	open_once();
	if (n > (1u << 20))
		return 0;
	buf_reset(&hold);
	(void)decode_split(ctx, slice_make(data, n), &hold, see_record, NULL, &err);
	if (++runs % 64 == 0)
		check_state();
	if (runs % 16 == 1) {
		restore_damaged(&detector_kind_access, data, n);
		restore_damaged(&detector_kind_config, data, n);
	}
	return 0;
}
