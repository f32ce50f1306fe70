/*
 * wall.h - decode in a process of its own, which holds no secret, can open nothing and dies with the agent.
 *
 * Gives:   records in, their events out, in order. They cross in batches by shared memory: a record costs a copy each way and its share
 *          of a wake-up. While one batch is decoded the next is filled.
 * Takes:   whatever the worker answers as hostile: copied before it is read, then judged: by wire_get, its class, its times
 *          (years 1970 to 9999), that it speaks for no other agent unless its source relays, and AdditionalFields, which must be one JSON object in one line.
 * Owns:    the worker, the shared memory, and what was put until it was taken.
 * Fails:   wall_open: ERR_AGAIN, there is no such process on this machine (no seccomp, no exec). wall_turn: ERR_AGAIN, try later;
 *          nothing is lost. A record at which the worker ends (or that it does not finish in WALL_RECORD_MS) WALL_TRIES times in a
 *          row comes back with the reason; a new worker goes on behind it.
 * Thread:  one at a time.
 * Uses:    decode/ (in the worker), model/wire.h.
 */
#ifndef RUN_WALL_H
#define RUN_WALL_H

#include <stdbool.h>
#include <stddef.h>
#include "decode/decode.h"
#include "model/event.h"
#include "model/record.h"

#define WALL_RECORD_MS	5000		/* without one record done: the worker is ended */
#define WALL_TRIES	3
#define WALL_COMMAND	"decode-worker"	/* argv[1] of the worker; not for people */

struct err;
struct wall;

/* args: what the worker's mappings are made of, see mappings_args(). Waits until the worker is ready, behind its filter. */
int	wall_open(struct wall **ret, const char *const *args, size_t nargs, struct err *);
void	wall_close(struct wall *);	/* NULL is fine. What was put and not taken is forgotten */

/* Copies a record, or (r NULL) that the owner's stream moved on. False: full; wall_turn, and take what came back. */
bool	wall_put(struct wall *, const struct record *r, void *owner, const struct position *after);
/* What was put goes to the worker, and what it was given before comes back. All that came back before must be taken. */
int	wall_turn(struct wall *, struct err *);
bool	wall_is_empty(const struct wall *);

struct wall_answer {
	const struct record	*record;	/* NULL: the stream only moved. Ours until wall_took */
	const char		*bad;		/* not NULL: why there are no events */
	void			*owner;
	const struct position	*after;
	struct decode_count	 count;
};
/* The next answer, its events appended to `into`, texts in memory that holds until the next answer. False: none is here. ERR_AGAIN (no memory)
 * comes in err, with true. */
bool	wall_next(struct wall *, struct wall_answer *ret, struct event_list *into, struct err *);
void	wall_took(struct wall *);	/* that one is done with */

/* For tests: the process that forks the workers, and another WALL_RECORD_MS. */
int	wall_pid(const struct wall *);
void	wall_patience(struct wall *, int record_ms);

/* The worker's main. Never for the agent's own process. */
int	wall_worker(int argc, char **argv);

#endif
