/* pace.c - a token bucket for requests and one for bytes, for each data collection rule. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/sentinel/pace.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"

#define RULES		64
#define REQUESTS_A_MS	(12000.0 / 60000)
#define BYTES_A_MS	(2e9 / 60000)
#define BURST_MS	2000.0		/* what may go at once after a pause */
#define LEAST		0.05
#define CALM_A_MS	(0.1 / 10000)

struct pace {
	uint64_t	rule;			/* hash; 0: free */
	uint64_t	at_ms;
	double		share;			/* of the full rate */
	double		requests, bytes;	/* what may go */
};

static struct pace paces[RULES];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct pace *
pace_of(const char *rule)
{
	const uint64_t key = hash_stable(rule, strlen(rule)) | 1;
	struct pace *p = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; p == NULL && i < RULES; i++) {
		struct pace *at = &paces[(key + i) % RULES];

		if (at->rule == 0)
			*at = (struct pace){ .rule = key, .at_ms = clock_mono_ms(), .share = 1, .requests = REQUESTS_A_MS * BURST_MS,
				.bytes = BYTES_A_MS * BURST_MS };
		if (at->rule == key)
			p = at;
	}
	pthread_mutex_unlock(&lock);
	return p != NULL ? p : &paces[key % RULES];
}

static double
least_of(double a, double b)
{
	return a < b ? a : b;
}

static void
advance(struct pace *p)
{
	const uint64_t now_ms = clock_mono_ms();
	const double ms = now_ms > p->at_ms ? (double)(now_ms - p->at_ms) : 0;

	p->at_ms = now_ms;
	p->share = least_of(1, p->share + ms * CALM_A_MS);
	p->requests = least_of(REQUESTS_A_MS * BURST_MS * p->share, p->requests + ms * REQUESTS_A_MS * p->share);
	p->bytes = least_of(BYTES_A_MS * BURST_MS * p->share, p->bytes + ms * BYTES_A_MS * p->share);
}

uint64_t
pace_take(struct pace *p, size_t bytes)
{
	double wait_ms = 0;

	pthread_mutex_lock(&lock);
	advance(p);
	if (p->requests < 1)
		wait_ms = (1 - p->requests) / (REQUESTS_A_MS * p->share);
	if (p->bytes < (double)bytes && (double)bytes - p->bytes > wait_ms * BYTES_A_MS * p->share)
		wait_ms = ((double)bytes - p->bytes) / (BYTES_A_MS * p->share);
	if (wait_ms <= 0) {
		p->requests -= 1;
		p->bytes -= (double)bytes;
	}
	pthread_mutex_unlock(&lock);
	return wait_ms > 0 ? (uint64_t)wait_ms + 1 : 0;
}

void
pace_trouble(struct pace *p)
{
	pthread_mutex_lock(&lock);
	advance(p);
	p->share = p->share / 2 > LEAST ? p->share / 2 : LEAST;
	pthread_mutex_unlock(&lock);
}

void
pace_forget(void)
{
	pthread_mutex_lock(&lock);
	memset(paces, 0, sizeof(paces));
	pthread_mutex_unlock(&lock);
}
