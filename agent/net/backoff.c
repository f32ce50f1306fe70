/* backoff.c - waiting longer each time, and not in step with others. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/backoff.h"

#include <assert.h>

#include "base/hash.h"

void
backoff_init(struct backoff *b, uint32_t least_ms, uint32_t most_ms)
{
	assert(least_ms > 0 && least_ms <= most_ms);
	*b = (struct backoff){ .least_ms = least_ms, .most_ms = most_ms };
}

/* Never below least_ms, never above most_ms, and spread over the upper half of the step. */
uint32_t
backoff_next_ms(struct backoff *b)
{
	uint64_t step_ms = (uint64_t)b->least_ms * 2;
	uint32_t wait_ms;

	for (unsigned i = 0; i < b->tries && step_ms < b->most_ms; i++)
		step_ms *= 2;
	if (step_ms > b->most_ms)
		step_ms = b->most_ms;
	if (b->tries < 32)
		b->tries++;
	wait_ms = (uint32_t)(step_ms / 2 + random_below((uint32_t)(step_ms - step_ms / 2) + 1));
	return wait_ms < b->least_ms ? b->least_ms : wait_ms;
}

void
backoff_reset(struct backoff *b)
{
	b->tries = 0;
}
