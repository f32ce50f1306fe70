/*
 * web.h - metrics, health and the status page over HTTP, on a loopback address. libmicrohttpd lives here and in source/http*.c.
 *
 * Gives:   /metrics (OpenMetrics, or the older Prometheus text), /healthz, /readyz, / (HTML without scripts).
 * Safe:    GET and HEAD alone; a Host that is not this machine's loopback is refused (DNS rebinding); nothing of records is shown.
 * Bounded: 32 connections; past 24 the first comer must go, and none stays over 20 s (10 s idle), so that nobody can occupy it.
 * Thread:  the main loop's.
 */
#ifndef RUN_WEB_H
#define RUN_WEB_H

#include <stdbool.h>
#include <stddef.h>
#include "base/slice.h"

struct buf;
struct detect_chart;
struct conf;
struct err;
struct loop;
struct web;

struct web_world {
	struct loop		*loop;
	const char		*agent_id, *hostname;
	/* Appends a reason a line; true: all is well. */
	bool			(*healthy)(void *arg, struct buf *why);
	bool			(*ready)(void *arg, struct buf *why);
	const struct conf	*(*conf)(void *arg);		/* the one in use */
	size_t			(*charts)(void *arg, struct detect_chart *ret);	/* the detectors' busiest series, at most DETECT_CHARTS */
	void			*arg;
};

/* `address` as settings_is_loopback_address takes it. ERR_CONFIG: built without libmicrohttpd. */
int	web_open(struct web **ret, const struct web_world *, const char *address, struct err *);
void	web_close(struct web *);		/* NULL is fine */

/* web_off.c has the same two functions for a build without libmicrohttpd. */

/* health.c: is there something to do, and does nothing stand still? Appends a reason a line. */
bool	health_ready(const struct conf *, struct buf *why);
/* metrics.c: all counters; `open`: as OpenMetrics 1.0, else Prometheus text 0.0.4. */
void	metrics_put(struct buf *out, bool open);
/* page_chart.c: a series as a small picture with its words. */
void	page_chart_put(struct buf *out, const struct detect_chart *, unsigned number);
/* page.c: the whole page. */
void	page_put(struct buf *out, const struct web_world *);

#endif
