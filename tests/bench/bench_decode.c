/*
 * bench_decode.c - nanoseconds a record: reading its JSON, and decoding it with all mappings.
 * Use: bench_decode [-n N] DATA_DIR FILE...; a FILE holds one record a line, or is one record. Prints for each file what
 * reading takes, what decoding takes, and what decode adds. The best of several rounds counts: others use the machine, too.
 * With -n each record is decoded N times and nothing is timed: for callgrind and perf.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/yaml.h"
#include "decode/decode.h"
#include "model/record.h"

#define ROUNDS		7
#define ROUND_MS	100.0
#define BETWEEN		512u	/* records between two looks at the clock */

struct job {
	struct slice		*records;
	size_t			 n, events, times;
	struct json_reader	*reader;
	struct json_doc		 doc;
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct arena		 arena;
	struct event_list	 list;
};

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int
fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(65);
}

static void
read_one(struct job *j, struct slice bytes)
{
	json_reset(j->reader, &j->doc);
	if (json_read(j->reader, bytes, true, &j->doc, NULL) < 0)
		fail("not JSON");
}

static void
decode_one(struct job *j, struct slice bytes)
{
	const struct record r = { .bytes = bytes, .padded = true, .source = "bench", .arrived_ms = 1790000000000 };
	struct decode_count count;
	struct err err = { 0 };

	if (j->list.n > 0) {		/* as intake does: behind each record */
		arena_reset(&j->arena);
		j->list = (struct event_list){ .arena = &j->arena };
	}
	if (decode(j->decoder, j->ctx, &r, &j->list, &count, &err) != 0)
		fail(err.text);
	j->events += count.events;
}

static double
measure(struct job *j, void (*one)(struct job *, struct slice))
{
	double best = 0;

	for (int round = 0; round < ROUNDS; round++) {
		double begun = now_ns(), took;
		size_t done = 0;

		do {
			for (size_t i = 0; i < BETWEEN; i++)
				one(j, j->records[(done + i) % j->n]);
			done += BETWEEN;
			took = now_ns() - begun;
		} while (took < ROUND_MS * 1e6);
		if (round == 0 || took / (double)done < best)
			best = took / (double)done;
	}
	return best;
}

/* Each record lies alone with room behind it, as sources hand them over. */
static int
take(void *arg, struct slice record)
{
	struct job *j = arg;
	char *p = calloc(1, record.n + BUF_SLACK);

	j->records = realloc(j->records, (j->n + 1) * sizeof(*j->records));
	if (p == NULL || j->records == NULL)
		return fail("no memory");
	memcpy(p, record.p, record.n);
	j->records[j->n++] = slice_make(p, record.n);
	return 0;
}

static void
file(struct job *j, const char *path)
{
	const char *name = strrchr(path, '/');
	double bytes = 0, read, all;
	struct err err = { 0 };
	struct buf text, hold;

	buf_init(&text, (size_t)1 << 30);
	buf_init(&hold, (size_t)1 << 30);
	j->n = 0;
	if (buf_read_file(&text, path, &err) != 0 || decode_split(j->ctx, buf_slice(&text), &hold, take, j, &err) != 0)
		fail(err.text);
	for (size_t i = 0; i < j->n; i++)
		bytes += (double)j->records[i].n;
	j->events = 0;
	for (size_t k = 0; k < j->times; k++)
		for (size_t i = 0; i < j->n; i++)
			decode_one(j, j->records[i]);
	if (j->times > 1)
		goto out;
	printf("%-44.44s %6.0f bytes %5.2f events", name != NULL ? name + 1 : path, bytes / (double)j->n,
	    (double)j->events / (double)j->n);
	read = measure(j, read_one);
	all = measure(j, decode_one);
	printf("  read %6.0f ns  decode %6.0f ns  adds %6.0f ns\n", read, all, all - read);
out:
	for (size_t i = 0; i < j->n; i++)
		free((void *)(uintptr_t)j->records[i].p);
	buf_fini(&text);
	buf_fini(&hold);
}

int
main(int argc, char **argv)
{
	struct job j = { .reader = json_reader_new(), .times = 1 };
	struct problems problems;
	struct err err = { 0 };
	struct decoder_dir dir = { 0 };

	if (argc > 3 && strcmp(argv[1], "-n") == 0) {
		j.times = strtoul(argv[2], NULL, 10);
		argv += 2;
		argc -= 2;
	}
	if (argc < 3)
		fail("use: bench_decode [-n N] DATA_DIR FILE...");
	dir.path = argv[1];
	problems_init(&problems);
	json_doc_init(&j.doc, 1u << 20);
	arena_init(&j.arena, 1u << 20, (size_t)1 << 30);
	j.list.arena = &j.arena;
	if (decoder_open(&j.decoder, &dir, 1, &problems, &err) != 0)
		fail(err.text);
	j.ctx = decode_ctx_new(j.decoder);
	if (j.ctx == NULL || j.reader == NULL)
		fail("no memory");
	printf("%s\n", json_library());
	for (int i = 2; i < argc; i++)
		file(&j, argv[i]);
	decode_ctx_free(j.ctx);
	decoder_close(j.decoder);
	problems_fini(&problems);
	arena_fini(&j.arena);
	json_doc_fini(&j.doc);
	json_reader_free(j.reader);
	free(j.records);
	return 0;
}
