/*
 * backoff.h - how long to wait before the nth try: doubling, with full jitter in its upper half.
 * Source:  "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("equal jitter").
 */
#ifndef NET_BACKOFF_H
#define NET_BACKOFF_H

#include <stdint.h>

struct backoff {
	uint32_t	least_ms, most_ms;
	unsigned	tries;
};

void	backoff_init(struct backoff *, uint32_t least_ms, uint32_t most_ms);
uint32_t backoff_next_ms(struct backoff *);
void	backoff_reset(struct backoff *);

#endif
