/*
 * fuzz_decode.c - any bytes through the shipped mappings: decoded, put on the wire and read back, encoded.
 * AISPM_SCHEMAS names the mappings' directory (else schemas/ below the working directory).
 */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixed.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "decode/decode.h"
#include "model/record.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"

#define ARENA_MAX_BYTES	(256u << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct decoder *decoder;
static struct decode_ctx *ctx;
static struct json_reader *reader;
static struct json_doc doc;
static struct arena arena;
static struct buf input, wire, line, why;

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
	if (decoder_open(&decoder, &dir, 1, &problems, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		for (size_t i = 0; i < problems.n; i++)
			fprintf(stderr, "%s:%u: %s: %s\n", problems.v[i].file, problems.v[i].line, problems.v[i].key,
			    problems.v[i].text);
		exit(1);
	}
	problems_fini(&problems);
	ctx = decode_ctx_new(decoder);
	reader = json_reader_new();
	assert(ctx != NULL && reader != NULL);
	json_doc_init(&doc, 1u << 20);
	arena_init(&arena, 65536, ARENA_MAX_BYTES);
	buf_init(&input, 64u << 20);
	buf_init(&wire, WIRE_MAX_BYTES);
	buf_init(&line, 64u << 20);
	buf_init(&why, 16u << 20);
}

static void
check_texts(const struct event *e, const struct event *again)
{
	assert(e->present == again->present);
	for (int f = 0; f < FIELD_COUNT; f++) {
		bool text = field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON;

		if (!event_has(e, (enum field)f) || !text)
			continue;
		assert(e->v[f].text.n > 0);
		assert(slice_eq(e->v[f].text, again->v[f].text));
	}
}

static void
check_event(const struct event *e)
{
	struct event again;
	struct err err = { 0 };

	assert(event_has(e, F_TimeGenerated) && event_has(e, F_EventSeverity) && event_has(e, F_EventResult));
	assert(event_class(event_text(e, F_EventClass)) >= 0 && !event_class_is_finding(event_text(e, F_EventClass)));
	assert(event_text(e, F_EventId).n == 32);
	buf_reset(&wire);
	assert(wire_put(e, &wire, &err) == 0);
	assert(wire_get(buf_slice(&wire), &again, &err) == 0);
	check_texts(e, &again);
	buf_reset(&line);
	assert(encoder_find("json")->encode(e, &line, &err) == 0);
	json_reset(reader, &doc);
	assert(json_read(reader, buf_slice(&line), true, &doc, &err) == 0);
}

static int
decode_one(void *arg, struct slice bytes)
{
	struct record r = { .bytes = bytes, .source = "fuzz", .arrived_ms = 1790000000000 };
	struct event_list events = { .arena = &arena };
	struct decode_count count = { 0 };
	struct err err = { 0 };

	(void)arg;
	buf_reset(&why);
	arena_reset(&arena);
	if (decode(decoder, ctx, &r, &events, &count, &err) != 0) {
		assert(err.kind == ERR_DATA && events.n == 0);
		return 0;
	}
	assert(events.n == count.events);
	for (size_t i = 0; i < events.n; i++)
		check_event(&events.v[i]);
	events.n = 0;
	assert(decode_why(decoder, ctx, &r, &events, &why, &err) == 0 && events.n == count.events);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err err = { 0 };

	open_once();
	if (n > (1u << 20))
		return 0;
	(void)decode_one(NULL, slice_make(data, n));
	buf_reset(&input);
	(void)decode_split(ctx, slice_make(data, n), &input, decode_one, NULL, &err);
	return 0;
}
