/* explain.c - the `explain` command: records in, events out, one a line; with --why also how each column came about. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "decode/decode.h"
#include "model/record.h"
#include "posture/posture.h"
#include "sinks/encode/encode.h"

#define INPUT_MAX_BYTES		(256u << 20)
#define ARENA_BLOCK_BYTES	(1u << 20)
#define ARENA_MAX_BYTES		(UINT64_C(4) << 30)
#define WHY_MAX_BYTES		(64u << 20)
#define EVENTS_MAX		4000000u	/* of one record: a whole file may be one JSON array */
#define READ_BYTES		65536u

struct explain {
	const struct decoder	*decoder;
	struct decode_ctx	*ctx;
	struct posture		*posture;
	const struct encoder	*encoder;
	const char		*file;
	FILE			*out;
	bool			 why;
	struct arena		 arena;
	struct buf		 input, hold, line, told;
	uint64_t		 records, unreadable;
	struct err		*err;
};

static void
refuse(struct explain *x, const char *why)
{
	x->unreadable++;
	fprintf(stderr, "%s: record %llu: %s\n", x->file, (unsigned long long)x->records, why);
}

/* What the zones' rules add, in the form of decode_why. */
static void
tell_zone(struct explain *x, const struct event *e)
{
	char when[TIME_TEXT_BYTES];

	fprintf(x->out, "  %-24s <- %-40s \"%lld\"\n", "GovernanceZone", "zones.rules, else zones.default",
	    (long long)event_number(e, F_GovernanceZone, 0));
	if (!event_has(e, F_SlaDueTime))
		return;
	time_format_ms(event_number(e, F_SlaDueTime, 0), when);
	fprintf(x->out, "  %-24s <- %-40s \"%s\"\n", "SlaDueTime",
	    event_has(e, F_EventStartTime) ? "$EventStartTime + the zone's term" : "$arrival + the zone's term", when);
}

static int
print_events(struct explain *x, const struct event_list *events, int64_t arrived_ms)
{
	struct err err = { 0 };

	for (size_t i = 0; i < events->n; i++) {
		posture_see(x->posture, &events->v[i], arrived_ms);
		if (x->why)
			tell_zone(x, &events->v[i]);
		buf_reset(&x->line);
		if (x->encoder->encode(&events->v[i], &x->line, &err) != 0) {
			refuse(x, err.text);
			continue;
		}
		buf_putc(&x->line, '\n');
		if (x->line.failed)
			return err_set(x->err, ERR_AGAIN, "no memory");
		if (fwrite(x->line.p, 1, x->line.n, x->out) != x->line.n)
			return err_set_sys(x->err, ERR_AGAIN, "cannot write the events");
	}
	return 0;
}

static int
explain_record(void *arg, struct slice bytes)
{
	struct explain *x = arg;
	const struct record record = { .bytes = bytes, .source = "explain", .arrived_ms = clock_wall_ms() };
	struct event_list events = { .arena = &x->arena };
	struct err err = { 0 };
	int rc;

	x->records++;
	arena_reset(&x->arena);
	buf_reset(&x->told);
	if (x->why)
		rc = decode_why(x->decoder, x->ctx, &record, &events, &x->told, &err);
	else
		rc = decode(x->decoder, x->ctx, &record, &events, NULL, &err);
	if (rc != 0) {
		if (err.kind == ERR_AGAIN)
			return err_set(x->err, ERR_AGAIN, "%s: record %llu: %s", x->file, (unsigned long long)x->records, err.text);
		refuse(x, err.text);
		return 0;
	}
	if (x->told.n > 0 && fwrite(x->told.p, 1, x->told.n, x->out) != x->told.n)
		return err_set_sys(x->err, ERR_AGAIN, "cannot write");
	return print_events(x, &events, (int64_t)record.arrived_ms);
}

static int
read_stdin(struct buf *in, struct err *err)
{
	ssize_t n;

	for (;;) {
		if (!buf_reserve(in, READ_BYTES))
			return err_set(err, ERR_DATA, "standard input: more than %u MiB, or no memory", INPUT_MAX_BYTES >> 20);
		n = read(STDIN_FILENO, in->p + in->n, READ_BYTES);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_sys(err, ERR_DATA, "standard input cannot be read");
		if (n == 0)
			return 0;
		in->n += (size_t)n;
	}
}

static int
explain_file(struct explain *x, const char *path, struct err *err)
{
	struct err why = { 0 };
	int rc;

	x->file = path != NULL ? path : "standard input";
	x->records = 0;
	buf_reset(&x->input);
	rc = path != NULL ? buf_read_file(&x->input, path, err) : read_stdin(&x->input, err);
	if (rc != 0)
		return -1;
	x->err = err;
	rc = decode_split(x->ctx, buf_slice(&x->input), &x->hold, explain_record, x, &why);
	if (rc != 0 && why.kind != ERR_NONE) {		/* of the split itself: bad gzip */
		if (why.kind != ERR_DATA) {
			*err = why;
			return -1;
		}
		x->records++;
		refuse(x, why.text);
		return 0;
	}
	return rc;
}

int
explain_run(const struct decoder *decoder, const struct conf *zones, const char *const *files, size_t nfiles, const char *format, bool why,
    FILE *out, struct err *err)
{
	struct explain x = { .decoder = decoder, .out = out, .why = why, .encoder = encoder_find(format) };
	int rc = -1;

	if (x.encoder == NULL)
		return err_set(err, ERR_CONFIG, "%.40s: no such format; allowed: %s", format, ENCODER_WORDS);
	arena_init(&x.arena, ARENA_BLOCK_BYTES, ARENA_MAX_BYTES);
	buf_init(&x.input, INPUT_MAX_BYTES);
	buf_init(&x.hold, INPUT_MAX_BYTES);
	buf_init(&x.line, WHY_MAX_BYTES);
	buf_init(&x.told, WHY_MAX_BYTES);
	if (posture_open(&x.posture, zones, err) != 0)
		goto out;
	x.ctx = decode_ctx_new(decoder);
	if (x.ctx == NULL) {
		err_set(err, ERR_AGAIN, "no memory");
		goto out;
	}
	decode_ctx_allow(x.ctx, EVENTS_MAX);
	rc = nfiles == 0 ? explain_file(&x, NULL, err) : 0;
	for (size_t i = 0; rc == 0 && i < nfiles; i++)
		rc = explain_file(&x, files[i], err);
	if (rc == 0 && fflush(out) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "cannot write the events");
	if (rc == 0)
		rc = x.unreadable > 0 ? 1 : 0;
out:
	decode_ctx_free(x.ctx);
	posture_close(x.posture);
	arena_fini(&x.arena);
	buf_fini(&x.input);
	buf_fini(&x.hold);
	buf_fini(&x.line);
	buf_fini(&x.told);
	return rc;
}
