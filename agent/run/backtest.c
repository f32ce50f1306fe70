/* backtest.c - the frame of `backtest`: which detector reads what, and how far it is. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/backtest.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"

#define SHOW_EVERY_MS	250

static const struct {
	const char	*detector;
	int		(*run)(const struct backtest *, struct err *);
} rows[] = {
	{ "volume", backtest_volume },
	{ "access", backtest_records },
	{ "config", backtest_records },
};
#define DETECTOR_WORDS	"volume, access, config"

int
backtest_run(const struct backtest *b, struct err *err)
{
	if (b->detector == NULL)
		return err_set(err, ERR_CONFIG, "backtest needs --detector; allowed: " DETECTOR_WORDS);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].detector, b->detector) == 0)
			return rows[i].run(b, err);
	return err_set(err, ERR_CONFIG, "--detector: %.40s is none; allowed: " DETECTOR_WORDS, b->detector);
}

/* ---- progress ----------------------------------------------------------------- */

void
progress_start(struct progress *p, const char *what, uint64_t total_bytes)
{
	*p = (struct progress){ .what = what, .total_bytes = total_bytes, .off = isatty(STDERR_FILENO) != 1 };
	p->next_ms = clock_mono_ms() + SHOW_EVERY_MS;
}

void
progress_show(struct progress *p, uint64_t count, uint64_t bytes)
{
	uint64_t now;

	if (p->off || (now = clock_mono_ms()) < p->next_ms)
		return;
	p->next_ms = now + SHOW_EVERY_MS;
	p->shown = true;
	fprintf(stderr, "\r%" PRIu64 " %s", count, p->what);
	if (p->total_bytes > 0 && bytes <= p->total_bytes)
		fprintf(stderr, ", %u %%", (unsigned)(bytes * 100 / p->total_bytes));
	fputs("\033[K", stderr);
	fflush(stderr);
}

void
progress_end(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
