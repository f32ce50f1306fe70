/* backtest_records.c - `backtest --detector access|config`: records in, that detector's findings out, one JSON line each, in the order of the records. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include <errno.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "decode/decode.h"
#include "detect/detect.h"
#include "model/record.h"
#include "run/agent.h"
#include "run/settings.h"
#include "sinks/encode/encode.h"

#define INPUT_MAX_BYTES		(UINT64_C(2) << 30)
#define ARENA_BLOCK_BYTES	(1u << 20)
#define ARENA_MAX_BYTES		(UINT64_C(4) << 30)
#define LINE_MAX_BYTES		(16u << 20)
#define EVENTS_MAX		4000000u	/* of one record: a whole file may be one JSON array */
#define READ_BYTES		65536u

struct pass {
	const struct backtest	*b;
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct detect		*detect;
	struct conf		*defaults;	/* where the user gave no configuration */
	const struct encoder	*encoder;
	const char		*file;
	struct progress		 progress;
	struct arena		 arena;
	struct buf		 input, hold, line;
	uint64_t		 records, all_records, bytes, unreadable;
	struct err		*err;
};

static void
refuse(struct pass *p, const char *why)
{
	p->unreadable++;
	progress_end(&p->progress);
	fprintf(stderr, "%s: record %llu: %s\n", p->file, (unsigned long long)p->records, why);
}

static int
print_findings(struct pass *p, const struct event_list *say)
{
	struct err err = { 0 };

	for (size_t i = 0; i < say->n; i++) {
		buf_reset(&p->line);
		if (p->encoder->encode(&say->v[i], &p->line, &err) != 0) {
			refuse(p, err.text);
			continue;
		}
		buf_putc(&p->line, '\n');
		if (p->line.failed)
			return err_set(p->err, ERR_AGAIN, "no memory");
		if (fwrite(p->line.p, 1, p->line.n, p->b->out) != p->line.n)
			return err_set_sys(p->err, ERR_AGAIN, "cannot write the findings");
	}
	return 0;
}

static int
see_record(void *arg, struct slice bytes)
{
	struct pass *p = arg;
	const struct record record = { .bytes = bytes, .source = "backtest", .arrived_ms = clock_wall_ms() };
	struct event_list events = { .arena = &p->arena }, say = { .arena = &p->arena };
	struct err err = { 0 };

	p->records++;
	progress_show(&p->progress, ++p->all_records, p->bytes += bytes.n);
	arena_reset(&p->arena);
	if (decode(p->decoder, p->ctx, &record, &events, NULL, &err) != 0) {
		if (err.kind == ERR_AGAIN)
			return err_set(p->err, ERR_AGAIN, "%s: record %llu: %s", p->file, (unsigned long long)p->records, err.text);
		refuse(p, err.text);
		return 0;
	}
	for (size_t i = 0; i < events.n; i++)
		if (detect_see(p->detect, &events.v[i], &say, p->err) != 0)
			return -1;
	return print_findings(p, &say);
}

static int
read_input(struct pass *p, const char *path)
{
	ssize_t n;

	buf_reset(&p->input);
	if (path != NULL)
		return buf_read_file(&p->input, path, p->err);
	for (;;) {
		if (!buf_reserve(&p->input, READ_BYTES))
			return err_set(p->err, ERR_DATA, "standard input: more than %u MiB, or no memory", (unsigned)(INPUT_MAX_BYTES >> 20));
		n = read(STDIN_FILENO, p->input.p + p->input.n, READ_BYTES);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return err_set_sys(p->err, ERR_DATA, "standard input cannot be read");
		if (n == 0)
			return 0;
		p->input.n += (size_t)n;
	}
}

static int
pass_file(struct pass *p, const char *path)
{
	struct err why = { 0 };

	p->file = path != NULL ? path : "standard input";
	p->records = 0;
	if (read_input(p, path) != 0)
		return -1;
	p->bytes = 0;
	progress_start(&p->progress, "records", p->input.n);
	if (decode_split(p->ctx, buf_slice(&p->input), &p->hold, see_record, p, &why) != 0) {
		progress_end(&p->progress);
		if (why.kind == ERR_NONE)
			return -1;
		if (why.kind != ERR_DATA) {
			*p->err = why;
			return -1;
		}
		p->records++;		/* of the cutting itself: bad gzip */
		refuse(p, why.text);
	}
	progress_end(&p->progress);
	return 0;
}

static int
open_pass(struct pass *p, const struct conf *conf)
{
	struct problems problems;
	int rc = 0;

	problems_init(&problems);
	if (conf == NULL) {
		rc = settings_load_text("defaults", SLICE_NONE, &p->defaults, &problems, p->err);
		conf = p->defaults;
		problems_fini(&problems);		/* that there are no sources is no problem here */
		problems_init(&problems);
	}
	if (rc == 0)
		rc = mappings_open(&p->decoder, p->b->conf, &problems, p->err);
	if (rc != 0 && problems.errors > 0)
		problems_print(&problems, stderr);
	problems_fini(&problems);
	if (rc == 0)
		rc = detect_open_one(&p->detect, conf_block(conf, "detectors"), p->b->detector, p->err);
	if (rc == 0 && (p->ctx = decode_ctx_new(p->decoder)) == NULL)
		rc = err_set(p->err, ERR_AGAIN, "no memory");
	if (rc == 0)
		decode_ctx_allow(p->ctx, EVENTS_MAX);
	return rc;
}

int
backtest_records(const struct backtest *b, struct err *err)
{
	struct pass p = { .b = b, .encoder = encoder_find("json"), .err = err };
	int rc;

	arena_init(&p.arena, ARENA_BLOCK_BYTES, ARENA_MAX_BYTES);
	buf_init(&p.input, INPUT_MAX_BYTES);
	buf_init(&p.hold, INPUT_MAX_BYTES);
	buf_init(&p.line, LINE_MAX_BYTES);
	if (b->plot != NULL)
		rc = err_set(err, ERR_CONFIG, "--plot draws a series, and detector %s has none; it goes with --detector volume", b->detector);
	else
		rc = open_pass(&p, b->conf);
	if (rc == 0 && b->nfiles == 0)
		rc = pass_file(&p, NULL);
	for (size_t i = 0; rc == 0 && i < b->nfiles; i++)
		rc = pass_file(&p, b->files[i]);
	if (rc == 0 && fflush(b->out) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "cannot write the findings");
	if (rc == 0)
		rc = p.unreadable > 0 ? 1 : 0;
	decode_ctx_free(p.ctx);
	detect_close(p.detect);
	decoder_close(p.decoder);
	conf_free(p.defaults);
	arena_fini(&p.arena);
	buf_fini(&p.input);
	buf_fini(&p.hold);
	buf_fini(&p.line);
	return rc;
}
