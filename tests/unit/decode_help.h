/* decode_help.h - mappings written into a directory of their own, and records decoded by them. */
#ifndef TESTS_DECODE_HELP_H
#define TESTS_DECODE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "decode/decode.h"
#include "model/record.h"

#define ARRIVED_MS	UINT64_C(1790000000123)

struct world {
	char			 dir[128], files[8][256];
	size_t			 nfiles;
	struct problems		 problems;
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct arena		 arena;
	struct event_list	 events;
	struct decode_count	 count;
	struct err		 err;
	bool			 relay;		/* its source brings events of other agents */
	char			*bytes;		/* of the last record */
};

static inline void
world_init(struct world *w)
{
	const char *tmp = getenv("TMPDIR");

	memset(w, 0, sizeof(*w));
	snprintf(w->dir, sizeof(w->dir), "%s/decodeXXXXXX", tmp != NULL && strlen(tmp) < 100 ? tmp : "/tmp");
	assert_non_null(mkdtemp(w->dir));
	problems_init(&w->problems);
	arena_init(&w->arena, 65536, 256u << 20);
	w->events.arena = &w->arena;
}

static inline void
world_fini(struct world *w)
{
	decode_ctx_free(w->ctx);
	decoder_close(w->decoder);
	problems_fini(&w->problems);
	arena_fini(&w->arena);
	for (size_t i = 0; i < w->nfiles; i++)
		unlink(w->files[i]);
	rmdir(w->dir);
	free(w->bytes);
}

static inline void
world_file(struct world *w, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	assert_true(w->nfiles < 8);
	snprintf(path, sizeof(path), "%s/%s", w->dir, name);
	memcpy(w->files[w->nfiles++], path, sizeof(path));
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
	fclose(f);
}

static inline int
world_load(struct world *w)
{
	const struct decoder_dir dir = { .path = w->dir };

	return decoder_open(&w->decoder, &dir, 1, &w->problems, &w->err);
}

static inline void
world_open(struct world *w)
{
	int rc = world_load(w);

	for (size_t i = 0; i < w->problems.n; i++)
		print_error("%s:%u: %s: %s\n", w->problems.v[i].file, w->problems.v[i].line, w->problems.v[i].key,
		    w->problems.v[i].text);
	assert_int_equal(rc, 0);
	w->ctx = decode_ctx_new(w->decoder);
	assert_non_null(w->ctx);
}

/* One mapping file, and open. */
static inline void
world_with(struct world *w, const char *mapping)
{
	world_init(w);
	world_file(w, "a.yaml", mapping);
	world_open(w);
}

static inline int
decode_bytes(struct world *w, const void *p, size_t n)
{
	struct record r = { .padded = true, .source = "test", .arrived_ms = ARRIVED_MS, .relay = w->relay };

	w->events.n = 0;
	w->err = (struct err){ 0 };
	free(w->bytes);
	w->bytes = calloc(1, n + BUF_SLACK);
	assert_non_null(w->bytes);
	memcpy(w->bytes, p, n);
	r.bytes = slice_make(w->bytes, n);
	return decode(w->decoder, w->ctx, &r, &w->events, &w->count, &w->err);
}

/* Decodes a text that must make so many events. */
static inline void
decode_text(struct world *w, const char *text, size_t events)
{
	int rc = decode_bytes(w, text, strlen(text));

	if (rc != 0)
		print_error("%s\n", w->err.text);
	assert_int_equal(rc, 0);
	assert_int_equal(w->events.n, events);
}

static inline const char *
text_of(struct world *w, size_t i, enum field f)
{
	struct slice s = event_text(&w->events.v[i], f);
	char *p;

	if (!event_has(&w->events.v[i], f))
		return "(absent)";
	p = arena_cstr(&w->arena, s);
	assert_non_null(p);
	return p;
}

#define assert_text(w, f, s)	assert_string_equal(text_of((w), 0, F_##f), (s))
#define assert_number(w, f, n)	assert_int_equal(event_number(&(w)->events.v[0], F_##f, -777), (n))
#define assert_absent(w, f)	assert_false(event_has(&(w)->events.v[0], F_##f))
#define assert_has(s, part)	assert_non_null(strstr((s), (part)))
#define assert_has_not(s, part)	assert_null(strstr((s), (part)))

#endif
