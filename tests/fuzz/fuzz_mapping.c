/*
 * fuzz_mapping.c - any bytes as a mapping: refused with words and a line, or fit to decode any record.
 * Input, parted by NUL: a mapping, envelopes.yaml, then records. Without records the fixed ones are decoded.
 */
#include <stdint.h>

#include "fixed.h"
#include "events.h"
#include "parts.h"

#include "base/arena.h"
#include "base/conf.h"
#include "decode/decode.h"
#include "model/record.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char records[] =
    "{\"a\":1,\"x\":\"29\",\"y\":[4,5],\"t\":[\"T1\",\"T2\"],\"g\":{\"h\":{\"name\":\"n\"}},\"time\":\"2026-02-03T04:05:06Z\"}\n"
    "{\"records\":[{\"a\":\"{\\\"b\\\":[{\\\"c\\\":1.5e3}]}\",\"at\":[{\"key\":\"k\",\"value\":{\"s\":true}}]},{\"a\":null}]}\n"
    "[[],{},{\"a\":{\"a\":{\"a\":[{\"a\":\"/subscriptions/1/resourceGroups/g/providers/Microsoft.X/y/z\"}]}}}]\n";

static char dir[64], mapping_path[96], envelopes_path[96];
static struct arena arena;
static struct buf hold, why;

struct use { struct decoder *decoder; struct decode_ctx *ctx; };

static void
remove_all(void)
{
	(void)unlink(mapping_path);
	(void)unlink(envelopes_path);
	(void)rmdir(dir);
}

static void
open_once(void)
{
	if (dir[0] != '\0')
		return;
	make_dir(dir, "fuzz-mapping");
	snprintf(mapping_path, sizeof(mapping_path), "%s/a.yaml", dir);
	snprintf(envelopes_path, sizeof(envelopes_path), "%s/envelopes.yaml", dir);
	assert(atexit(remove_all) == 0);
	arena_init(&arena, 65536, 256u << 20);
	buf_init(&hold, 64u << 20);
	buf_init(&why, 16u << 20);
}

static int
decode_one(void *arg, struct slice bytes)
{
	const struct use *u = arg;
	struct record r = { .bytes = bytes, .source = "fuzz", .relay = true, .arrived_ms = 1790000000000 };
	struct event_list events = { .arena = &arena };
	struct decode_count count = { 0 };
	struct err err = { 0 };

	arena_reset(&arena);
	buf_reset(&why);
	if (decode(u->decoder, u->ctx, &r, &events, &count, &err) != 0) {
		assert(err.kind == ERR_DATA && events.n == 0 && is_fit_to_show(err.text));
		return 0;
	}
	assert(events.n == count.events);
	for (size_t i = 0; i < events.n; i++)
		check_event(&events.v[i]);
	events.n = 0;
	assert(decode_why(u->decoder, u->ctx, &r, &events, &why, &err) == 0 && events.n == count.events);
	return 0;
}

static void
check_problems(const struct problems *problems, const struct err *err)
{
	assert(err->kind == ERR_CONFIG && problems->errors > 0 && problems->n > 0);
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];

		assert(p->file[0] != '\0' && p->text[0] != '\0');
		assert(is_fit_to_show(p->file) && is_fit_to_show(p->key) && is_fit_to_show(p->text));
	}
}

static void
use_mappings(struct decoder *decoder, struct slice of_input)
{
	static const char *const names[] = { "*.*" };
	struct use u = { decoder, decode_ctx_new(decoder) };
	struct err err = { 0 };

	assert(u.ctx != NULL);
	(void)decoder_release(decoder, names, 1, &err);
	for (int i = 0; i < 2; i++) {
		buf_reset(&hold);
		(void)decode_split(u.ctx, i == 0 && of_input.n > 0 ? of_input : slice_of(records), &hold, decode_one, &u, &err);
	}
	decode_ctx_free(u.ctx);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct decoder_dir from = { dir, false };
	struct slice left = slice_make(data, n), envelopes;
	struct decoder *decoder = NULL;
	struct problems problems;
	struct err err = { 0 };

	open_once();
	write_file(mapping_path, next_part(&left, SLICE("\0")));
	envelopes = next_part(&left, SLICE("\0"));
	(void)unlink(envelopes_path);
	if (envelopes.n > 0)
		write_file(envelopes_path, envelopes);
	problems_init(&problems);
	if (decoder_open(&decoder, &from, 1, &problems, &err) == 0) {
		assert(problems.errors == 0);
		use_mappings(decoder, left);
		decoder_close(decoder);
	} else {
		check_problems(&problems, &err);
	}
	problems_fini(&problems);
	return 0;
}
