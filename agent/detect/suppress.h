/*
 * suppress.h - findings that the operator has looked at and does not want for a while: `detectors.suppress` of the configuration.
 *
 * Gives:   the findings that no rule matches; the others are counted, rule by rule, where status shows them, never silently gone.
 * Takes:   rules of match (column: pattern, all must fit), until (required; by the finding's own time, never the clock), reason (required).
 */
#ifndef DETECT_SUPPRESS_H
#define DETECT_SUPPRESS_H

#include <stddef.h>
#include "base/conf.h"
#include "model/event.h"

struct err;
struct suppress;

extern const struct conf_key suppress_keys[];	/* of one rule */
const char *suppress_wrong(const struct conf *rule, const char *text);	/* conf.h's `wrong` of a whole rule */

/* *ret NULL where the configuration has no rule. */
int	suppress_open(struct suppress **ret, const struct conf *detectors, struct err *);
void	suppress_close(struct suppress *);	/* NULL is fine */
/* Takes those out of `say` from index `from` on that a rule matches; how many. */
size_t	suppress_filter(struct suppress *, struct event_list *say, size_t from);

#endif
