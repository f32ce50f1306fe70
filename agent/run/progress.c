/* progress.c - how far long work is, for who sits before it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define SHOW_EVERY_MS	250

void
progress_start(struct progress *p, const char *what, uint64_t total)
{
	*p = (struct progress){ .what = what, .total = total, .off = isatty(STDERR_FILENO) != 1 };
	p->next_ms = clock_mono_ms() + SHOW_EVERY_MS;
}

void
progress_show(struct progress *p, uint64_t count, uint64_t done)
{
	uint64_t now;

	if (p->off || (now = clock_mono_ms()) < p->next_ms)
		return;
	p->next_ms = now + SHOW_EVERY_MS;
	p->shown = true;
	fprintf(stderr, "\r%" PRIu64 " %s", count, p->what);
	if (p->total > 0 && done <= p->total)
		fprintf(stderr, ", %u %%", (unsigned)((double)done * 100 / (double)p->total));
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
