/*
 * send_summary.h - inside send: many `activity` events as a few. Nobody wants to pay for each request row.
 *
 * Epoch:   a run of spool entries without a gap; it ends where event time enters the next window, or the table is full. So the same
 *          entries give the same summaries again after a restart.
 * Series:  events that agree in who, what, where and outcome. A summary has their number, sums, and first and last time; an event alone passes as it is.
 * Id:      of agent, series and the epoch's first entry: one that was cut short and comes again longer has the same, and a later TimeGenerated.
 * Bounded: SUMMARY_SERIES series, SUMMARY_BYTES of texts.
 */
#ifndef SINKS_SEND_SUMMARY_H
#define SINKS_SEND_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct event;
struct summary;

#define SUMMARY_SERIES	4096
#define SUMMARY_BYTES	(16u << 20)

struct summary *summary_new(uint64_t window_ms, const char *agent_id);	/* NULL when memory is short */
void	summary_free(struct summary *);		/* NULL is fine */
/* 1 counted, 0 the epoch must be closed first. */
int	summary_add(struct summary *, const struct event *, uint64_t seq);
uint64_t summary_first_seq(const struct summary *);	/* of the open epoch; 0: none is open */
uint64_t summary_began_ms(const struct summary *);	/* clock_mono_ms of its first entry */
uint64_t summary_window_ms(const struct summary *);
size_t	summary_series(const struct summary *);
/* The ith summary; its texts live until summary_clear. -1 ERR_AGAIN. */
int	summary_event(struct summary *, size_t i, struct event *ret, struct err *);
void	summary_clear(struct summary *);

#endif
