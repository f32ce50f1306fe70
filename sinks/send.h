/*
 * send.h - the delivery policy, once for all sinks: spool -> filter -> encode -> batch -> put -> verdict.
 *
 * Gives:   one `struct send` a sink: reads its own cursor, keeps order, waits with jitter, splits, sets aside, moves the cursor.
 * Rule:    the cursor passes an entry only when it was delivered, filtered, or is durable in the dead letter.
 * Bounded: max_in_flight batches of max_bytes and one that fills; where a batch may span only so much time, 32 that fill, of 8 MiB together.
 * Thread:  the delivery loop's.
 * Uses:    spool, encode, sinks, model, base.
 */
#ifndef SINKS_SEND_H
#define SINKS_SEND_H

#include <stdbool.h>
#include <stdint.h>
#include "base/conf.h"

struct dead;
struct err;
struct http;
struct loop;
struct send;
struct spool;

struct send_world {		/* what all sends share */
	struct loop	*loop;
	struct http	*http;
	struct spool	*spool;
	struct dead	*dead;
	const char	*agent_id, *agent_version, *hostname;	/* columns of every event */
	bool	 once;				/* run --once: an open summary does not wait for its window */
	void	(*progress)(void *arg);		/* a cursor moved: segments may be free */
	void	*arg;
};

extern const struct conf_key send_keys[];	/* the rows of a `sinks` item that are not the sink's own */
/* Whether a `sinks` item lets events of this class through. */
bool	send_takes(const struct conf *item, const char *event_class);

/* Opens the sink (settings only). */
int	send_open(struct send **ret, const struct send_world *, const struct conf *item, struct err *);
int	send_start(struct send *, struct err *);	/* opens the cursor and begins */
void	send_close(struct send *);			/* NULL is fine */
void	send_more(struct send *);			/* there are new durable entries */
void	send_settle(struct send *);			/* offers nothing more; what is out is still waited for */
void	send_drain(struct send *);			/* do not wait for fuller batches any more */
bool	send_done(const struct send *, uint64_t seq);	/* everything up to seq is acknowledged */
void	send_reopen(struct send *);
size_t	send_out(const struct send *);			/* batches that wait for the sink's answer */
uint64_t send_set_aside(const struct send *);		/* how many since start */

#endif
