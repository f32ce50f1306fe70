/* input.c - records of files or of standard input, decoded one after the other. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/input.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/gzip.h"
#include "decode/decode.h"
#include "model/record.h"
#include "sinks/encode/encode.h"

#define ARENA_BLOCK_BYTES	(1u << 20)
#define ARENA_MAX_BYTES		(UINT64_C(4) << 30)
#define LINE_MAX_BYTES		(64u << 20)
#define EVENTS_MAX		4000000u	/* of one record: a whole file may be one JSON array */
#define READ_BYTES		65536u

static void
refuse(struct input *in, const char *why)
{
	in->unreadable++;
	progress_end(&in->progress);
	fprintf(stderr, "%s: record %llu: %s\n", in->file, (unsigned long long)in->records, why);
}

void
input_step(struct input *in)
{
	progress_show(&in->progress, ++in->events, in->done_bytes);
}

int
input_print(struct input *in, const struct event_list *events, struct err *err)
{
	struct err why = { 0 };

	if (in->terminal && events->n > 0)
		progress_end(&in->progress);		/* both are lines of one terminal */
	for (size_t i = 0; i < events->n; i++) {
		buf_reset(&in->line);
		if (in->encoder->encode(&events->v[i], &in->line, &why) != 0) {
			refuse(in, why.text);
			continue;
		}
		buf_putc(&in->line, '\n');
		if (in->line.failed)
			return err_set(err, ERR_AGAIN, "no memory");
		if (fwrite(in->line.p, 1, in->line.n, in->out) != in->line.n)
			return err_set_sys(err, ERR_AGAIN, "cannot write the events");
	}
	return 0;
}

static int
see_record(void *arg, struct slice bytes)
{
	struct input *in = arg;
	const struct record record = { .bytes = bytes, .source = in->source, .arrived_ms = clock_wall_ms(), .relay = in->relay };
	struct event_list events = { .arena = &in->arena };
	struct err err = { 0 };
	int rc;

	in->arrived_ms = (int64_t)record.arrived_ms;
	in->records++;
	in->done_bytes += bytes.n;
	if (in->records == 1 && bytes.n > in->bytes.n / 2)
		in->progress.total = 0;			/* one record is the whole: bytes tell nothing of how far it is */
	arena_reset(&in->arena);
	buf_reset(&in->told);
	rc = in->why ? decode_why(in->decoder, in->ctx, &record, &events, &in->told, &err) :
	    decode(in->decoder, in->ctx, &record, &events, NULL, &err);
	if (rc != 0 && err.kind == ERR_AGAIN)
		return err_set(in->err, ERR_AGAIN, "%s: record %llu: %s", in->file, (unsigned long long)in->records, err.text);
	if (rc != 0) {
		refuse(in, err.text);
		return 0;
	}
	return in->see(in->arg, in, &events, in->err);
}

static int
read_stdin(struct input *in)
{
	ssize_t n;

	progress_start(&in->progress, "bytes read", 0);
	for (;;) {
		if (!buf_reserve(&in->bytes, READ_BYTES))
			return err_set(in->err, ERR_DATA, "standard input: more than %llu MiB, or no memory",
			    (unsigned long long)(in->most_bytes >> 20));
		n = read(STDIN_FILENO, in->bytes.p + in->bytes.n, READ_BYTES);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_sys(in->err, ERR_DATA, "standard input cannot be read");
		if (n == 0)
			return 0;
		in->bytes.n += (size_t)n;
		progress_show(&in->progress, in->bytes.n, 0);
	}
}

static int
read_file(struct input *in, const char *path)
{
	struct err why = { 0 };
	int rc;

	in->file = path != NULL ? path : "standard input";
	in->records = in->done_bytes = 0;
	buf_reset(&in->bytes);
	rc = path != NULL ? buf_read_file(&in->bytes, path, in->err) : read_stdin(in);
	progress_end(&in->progress);
	if (rc != 0)
		return -1;
	progress_start(&in->progress, "events", gzip_is(buf_slice(&in->bytes)) ? 0 : in->bytes.n);
	rc = decode_split(in->ctx, buf_slice(&in->bytes), &in->hold, see_record, in, &why);
	progress_end(&in->progress);
	if (rc == 0 || why.kind == ERR_NONE)
		return rc;
	if (why.kind != ERR_DATA) {
		*in->err = why;
		return -1;
	}
	in->records++;				/* of the cutting itself: bad gzip */
	refuse(in, why.text);
	return 0;
}

int
input_run(struct input *in, const char *const *files, size_t nfiles, struct err *err)
{
	int rc = -1;

	in->err = err;
	in->terminal = isatty(fileno(in->out)) == 1;
	arena_init(&in->arena, ARENA_BLOCK_BYTES, ARENA_MAX_BYTES);
	buf_init(&in->bytes, in->most_bytes);
	buf_init(&in->hold, in->most_bytes);
	buf_init(&in->line, LINE_MAX_BYTES);
	buf_init(&in->told, LINE_MAX_BYTES);
	in->ctx = decode_ctx_new(in->decoder);
	if (in->ctx == NULL) {
		err_set(err, ERR_AGAIN, "no memory");
		goto out;
	}
	decode_ctx_allow(in->ctx, EVENTS_MAX);
	rc = nfiles == 0 ? read_file(in, NULL) : 0;
	for (size_t i = 0; rc == 0 && i < nfiles; i++)
		rc = read_file(in, files[i]);
	if (rc == 0 && fflush(in->out) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "cannot write the events");
	if (rc == 0)
		rc = in->unreadable > 0 ? 1 : 0;
out:
	decode_ctx_free(in->ctx);
	arena_fini(&in->arena);
	buf_fini(&in->bytes);
	buf_fini(&in->hold);
	buf_fini(&in->line);
	buf_fini(&in->told);
	return rc;
}
