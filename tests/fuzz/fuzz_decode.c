/*
 * fuzz_decode.c - any bytes through the shipped mappings: decoded, put on the wire and read back, encoded. The same bytes packed by gzip give the same
 * events; packed and in base64, as CloudWatch Logs sends them, they hurt as little.
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
#include "base/gzip.h"
#include "decode/decode.h"
#include "model/record.h"

#define ARENA_MAX_BYTES	(256u << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct decoder *decoder;
static struct decode_ctx *ctx;
static struct arena arena;
static struct buf input, why, packed, wrapped;
static struct gzip_writer *packer;

struct tally { uint64_t events, sum; };

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
	buf_init(&packed, 4u << 20);
	buf_init(&wrapped, 8u << 20);
	packer = gzip_writer_new(1);
	assert(packer != NULL);
}

static int
decode_one(void *arg, struct slice bytes)
{
	struct record r = { .bytes = bytes, .source = "fuzz", .relay = true, .arrived_ms = 1790000000000 };
	struct event_list events = { .arena = &arena };
	struct decode_count count = { 0 };
	struct tally *tally = arg;
	struct err err = { 0 };

	buf_reset(&why);
	arena_reset(&arena);
	if (decode(decoder, ctx, &r, &events, &count, &err) != 0) {
		assert(err.kind == ERR_DATA && events.n == 0);
		return 0;
	}
	assert(events.n == count.events);
	for (size_t i = 0; i < events.n; i++) {
		struct slice id = event_text(&events.v[i], F_EventId);

		check_event(&events.v[i]);
		tally->events++;
		for (size_t k = 0; k < id.n; k++)
			tally->sum = tally->sum * 31 + (unsigned char)id.p[k];
	}
	events.n = 0;
	assert(decode_why(decoder, ctx, &r, &events, &why, &err) == 0 && events.n == count.events);
	return 0;
}

static struct tally
decode_all(struct slice bytes)
{
	struct tally tally = { 0 };
	struct err err = { 0 };

	buf_reset(&input);
	(void)decode_split(ctx, bytes, &input, decode_one, &tally, &err);
	return tally;
}

static void
decode_packed(struct slice bytes, const struct tally *plain)
{
	struct tally tally, ignored = { 0 };

	buf_reset(&packed);
	buf_reset(&wrapped);
	assert(gzip_compress(packer, bytes, &packed, NULL) == 0);
	tally = decode_all(buf_slice(&packed));
	assert(tally.events == plain->events && tally.sum == plain->sum);
	buf_puts(&wrapped, "{\"awslogs\":{\"data\":\"");
	buf_put_base64(&wrapped, packed.p, packed.n, false);
	buf_puts(&wrapped, "\"}}");
	(void)decode_one(&ignored, buf_slice(&wrapped));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct slice bytes = slice_make(data, n);
	struct tally tally = { 0 };

	open_once();
	if (n > (1u << 20))
		return 0;
	(void)decode_one(&tally, bytes);
	tally = decode_all(bytes);
	if (n % 4 == 1 && !gzip_is(bytes))
		decode_packed(bytes, &tally);
	return 0;
}
