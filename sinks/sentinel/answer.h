/*
 * answer.h - inside sinks/sentinel only: what the service's answers mean, and how to say it.
 */
#ifndef SINKS_SENTINEL_ANSWER_H
#define SINKS_SENTINEL_ANSWER_H

#include <stdbool.h>
#include "sinks/sink.h"

struct buf;
struct err;
struct http_answer;

/* 401 means: again on a fresh token. */
enum sink_verdict sentinel_verdict(int status);
/* By the answer's Date: how far this host's clock is ahead (behind: negative); 0: a minute at most, or not known. */
int64_t	sentinel_skew_s(const struct http_answer *);
/*
 * Fills why: status, likely causes, the service's code and words (unless they repeat what was sent), both request ids,
 * and the clock's error if it is large. *ret_span: the service wants less than 30 minutes of time in one call.
 */
void	sentinel_explain(const struct http_answer *, const char *host, const char *id_line, const struct buf *sent,
	    const struct buf *bearer_line, bool *ret_span, struct err *why);

#endif
