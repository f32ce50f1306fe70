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
#include "events.h"
#include "base/arena.h"
#include "decode/decode.h"
#include "model/record.h"

#define ARENA_MAX_BYTES	(256u << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct decoder *decoder;
static struct decode_ctx *ctx;
static struct arena arena;
static struct buf input, why;

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
	assert(ctx != NULL);
	arena_init(&arena, 65536, ARENA_MAX_BYTES);
	buf_init(&input, 64u << 20);
	buf_init(&why, 16u << 20);
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
