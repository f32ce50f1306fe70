/*
 * backtest_volume.c - `backtest --detector volume`: a CSV of windows in, the same with score and alert out.
 *
 * Each row is one window of a series. How long windows are is learnt from the rows themselves, so a row may come again, be missing, or step
 * back in time. Rows are read and written as they come: the memory is that of one series, whatever the length.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/sys.h"
#include "detect/score.h"
#include "run/csv.h"
#include "run/plot.h"
#include "run/progress.h"

#define READ_BYTES	(256u << 10)
#define LINE_MAX_BYTES	(64u << 10)
#define WRITE_BYTES	(256u << 10)

struct rows {
	const struct backtest	*b;
	const char		*file;
	uint64_t		 line, rows, bytes;
	bool			 headed, terminal;	/* is the output one? */
	double			 strict;
	struct score		 score;
	struct score_spacing	 spacing;
	struct plot		*plot;
	struct buf		 in, out;
	struct progress		 progress;
	struct err		*err;
};

static int
wrong(struct rows *r, const char *what, const char *allowed)
{
	return err_set(r->err, ERR_DATA, "%s: line %llu: %s; allowed: %s", r->file, (unsigned long long)r->line, what, allowed);
}

static int
flush_rows(struct rows *r)
{
	if (r->out.failed)
		return err_set(r->err, ERR_AGAIN, "no memory");
	if (r->terminal && r->out.n > 0)
		progress_end(&r->progress);		/* both are lines of one terminal */
	if (r->out.n > 0 && fwrite(r->out.p, 1, r->out.n, r->b->out) != r->out.n)
		return err_set_sys(r->err, ERR_AGAIN, "cannot write the rows");
	buf_reset(&r->out);
	return 0;
}

/* 0 to 1 with six digits. */
static void
put_score(struct buf *b, double score)
{
	unsigned n = (unsigned)(score * 1e6 + 0.5);
	char text[8] = { '0', '.' };

	if (n >= 1000000) {
		buf_put(b, "1.000000", 8);
		return;
	}
	for (int i = 7; i >= 2; i--, n /= 10)
		text[i] = (char)('0' + n % 10);
	buf_put(b, text, sizeof(text));
}

static int
row(struct rows *r, struct slice line)
{
	struct slice time, value;
	struct score_says says;
	uint32_t spacing_ms;
	int64_t t_ms;
	double x;

	if (!csv_field(&line, &time) || !csv_field(&line, &value))
		return wrong(r, "a row of fewer than two columns", "timestamp,value");
	if (!csv_time(time, &t_ms))
		return wrong(r, "the timestamp cannot be read", "RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC");
	if (!csv_number(value, &x))
		return wrong(r, "the value is no number", "a finite decimal number");
	spacing_ms = score_spacing(&r->spacing, t_ms);
	says = score_row(&r->score, t_ms, spacing_ms, x, r->strict);
	buf_put_slice(&r->out, time);
	buf_putc(&r->out, ',');
	buf_put_slice(&r->out, value);
	buf_putc(&r->out, ',');
	put_score(&r->out, says.score);
	buf_put(&r->out, says.surprise >= 1 ? ",1\n" : ",0\n", 3);
	r->rows++;
	if (r->plot != NULL) {
		struct plot_row seen = { t_ms, x, NAN, NAN, says.surprise >= 1 };

		(void)score_range(&r->score, spacing_ms, says.expected, &seen.low, &seen.high);
		plot_add(r->plot, &seen);
	}
	return r->out.n >= WRITE_BYTES ? flush_rows(r) : 0;
}

static int
header(struct rows *r, struct slice line)
{
	struct slice time, value;

	if (!csv_field(&line, &time) || !csv_field(&line, &value) || !csv_name(time, "timestamp") || !csv_name(value, "value"))
		return wrong(r, "not the header of such a file", "a first line timestamp,value");
	r->headed = true;
	buf_puts(&r->out, "timestamp,value,score,alert\n");
	return 0;
}

static int
one_line(struct rows *r, struct slice line)
{
	r->line++;
	if (r->line == 1 && line.n >= 3 && memcmp(line.p, "\xef\xbb\xbf", 3) == 0)
		line = slice_make(line.p + 3, line.n - 3);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (csv_is_blank(line))
		return 0;
	return r->headed ? row(r, line) : header(r, line);
}

/* The whole lines of what was read; with `last` also one without an end. */
static int
lines(struct rows *r, bool last)
{
	size_t at = 0;

	while (at < r->in.n) {
		const char *begin = r->in.p + at, *end = memchr(begin, '\n', r->in.n - at);
		size_t n = end != NULL ? (size_t)(end - begin) : r->in.n - at;

		if (n > LINE_MAX_BYTES) {
			r->line++;
			return wrong(r, "a line of more than 64 KiB", "timestamp,value");
		}
		if (end == NULL && !last)
			break;
		if (one_line(r, slice_make(begin, n)) != 0)
			return -1;
		at += n + (end != NULL);
	}
	buf_consume(&r->in, at);
	return 0;
}

static int
read_rows(struct rows *r, int fd)
{
	for (;;) {
		ssize_t n;

		if (!buf_reserve(&r->in, READ_BYTES))
			return err_set(r->err, ERR_AGAIN, "no memory");
		n = sys.read(fd, r->in.p + r->in.n, READ_BYTES);
		if (n == -1)
			return err_set_sys(r->err, ERR_DATA, "%s cannot be read", r->file);
		r->in.n += (size_t)n;
		r->bytes += (uint64_t)n;
		if (lines(r, n == 0) != 0)
			return -1;
		if (n == 0)
			break;
		progress_show(&r->progress, r->rows, r->bytes);
	}
	if (!r->headed)
		return err_set(r->err, ERR_DATA, "%s: empty; allowed: a first line timestamp,value", r->file);
	return 0;
}

static int
open_input(struct rows *r, struct err *err)
{
	struct stat st;
	int fd = STDIN_FILENO;

	if (r->b->nfiles == 0 || strcmp(r->b->files[0], "-") == 0) {
		r->file = "standard input";
	} else {
		r->file = r->b->files[0];
		fd = open(r->file, O_RDONLY | O_CLOEXEC);
		if (fd == -1)
			return err_set_sys(err, ERR_DATA, "%s cannot be opened", r->file);
	}
	progress_start(&r->progress, "rows", fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0);
	return fd;
}

static const struct conf *
settings(const struct conf *conf)
{
	return conf != NULL ? conf_block(conf_block(conf, "detectors"), "volume") : NULL;
}

/* With a configuration, rows as long as its windows are scored as the agent would. */
static uint32_t
fine_ms(const struct conf *conf)
{
	const struct conf *volume = settings(conf);
	uint64_t window_ms = volume != NULL ? conf_ms(volume, "window") * 5 / 4 : 0;

	return window_ms > SCORE_FINE_MS ? (uint32_t)window_ms : SCORE_FINE_MS;
}

static double
strictness(const struct conf *conf)
{
	const struct conf *volume = settings(conf);

	return volume != NULL ? score_strict(conf_real(volume, "sensitivity")) : 1;
}

int
backtest_volume(const struct backtest *b, struct err *err)
{
	struct rows r = { .b = b, .err = err, .strict = strictness(b->conf), .terminal = isatty(fileno(b->out)) == 1 };
	int rc = -1, fd = -1;

	if (b->nfiles > 1)
		return err_set(err, ERR_CONFIG, "backtest --detector volume takes one series: at most one FILE");
	buf_init(&r.in, 2 * (READ_BYTES + LINE_MAX_BYTES));
	buf_init(&r.out, 2 * (WRITE_BYTES + LINE_MAX_BYTES));
	score_init(&r.score, fine_ms(b->conf));
	fd = open_input(&r, err);
	if (fd == -1 || (b->plot != NULL && plot_open(&r.plot, b->plot, err) != 0))
		goto out;
	rc = read_rows(&r, fd);
	progress_end(&r.progress);
	if (flush_rows(&r) != 0)		/* what was right before the first wrong line too */
		rc = -1;
	else if (fflush(b->out) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "cannot write the rows");
	if (rc == 0 && r.plot != NULL)
		rc = plot_write(r.plot, r.file, "value", err);
out:
	plot_free(r.plot);
	if (fd > STDIN_FILENO)
		close(fd);
	buf_fini(&r.in);
	buf_fini(&r.out);
	return rc;
}
