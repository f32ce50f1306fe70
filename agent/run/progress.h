/* progress.h - a line on standard error that is written anew a few times a second; nothing where that is no terminal. */
#ifndef RUN_PROGRESS_H
#define RUN_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char	*what;		/* "rows" */
	uint64_t	 total;		/* of `done`; 0: unknown */
	uint64_t	 next_ms;
	bool		 shown, off;
};

void	progress_start(struct progress *, const char *what, uint64_t total);
/* So many of `what`, which is so much of the total. */
void	progress_show(struct progress *, uint64_t count, uint64_t done);
void	progress_end(struct progress *);	/* takes the line away */

#endif
