/*
 * pace.h - inside sinks/sentinel only: no faster than a data collection rule takes, and slowly again after it was in trouble.
 * Source:  learn.microsoft.com "Azure Monitor service limits", Logs Ingestion API: 12,000 requests and 2 GB a minute for each rule.
 *
 * Shared:  all sinks of one rule in this process have one pace; safe from any thread.
 * Slow:    each trouble halves the rate, down to a twentieth; calm gives back a tenth of the whole in ten seconds.
 */
#ifndef SINKS_SENTINEL_PACE_H
#define SINKS_SENTINEL_PACE_H

#include <stddef.h>
#include <stdint.h>

struct pace;

struct pace *pace_of(const char *rule);		/* for the process's life; the 65th rule shares with another */
/* 0: a request of so many bytes may go now, and is counted; else how long to wait, in ms. */
uint64_t pace_take(struct pace *, size_t bytes);
void	pace_trouble(struct pace *);		/* the service was throttling, failing or away */
void	pace_forget(void);			/* for tests: every rule anew; no sink is open */

#endif
