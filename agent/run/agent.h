/*
 * agent.h - the running agent: intake and delivery, each a thread with a loop, and the spool between them.
 *
 * Order:   agent_open (locks the state directory, recovers the spool) -> agent_run -> agent_close.
 * Threads: main (signals, status, watchdog), intake, deliver. They share the spool, the dead letter and the
 *          counters; everything else belongs to one of them.
 */
#ifndef RUN_AGENT_H
#define RUN_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

struct agent;
struct conf;
struct dead;
struct decoder;
struct deliver;
struct err;
struct intake;
struct problems;
struct spool;
struct spool_limits;
struct stat_block;

/* What intake and delivery are given. */
struct world {
	struct spool		*spool;
	struct dead		*dead;
	struct stat_block	*spool_stats;
	const char		*state_dir;
	const char		*agent_id, *hostname;
	uint64_t		 spool_bytes;	/* the spool's limit */
	bool			 once;
	void	(*spooled)(void *arg);		/* there are new durable entries */
	void	(*freed)(void *arg);		/* a cursor moved: there may be room */
	void	*arg;
};

/* ---- intake: sources -> decode -> detect -> spool ------------------------- */

/* The detectors' cursor in the spool: how far their saved state reaches. No sink can be called so. */
#define INTAKE_CURSOR	"+detect"

/* Settings, mappings and detector state; no thread yet. */
int	intake_open(struct intake **ret, const struct world *, const struct conf *, struct problems *, struct err *);
/* Restores positions and detectors, and starts sources. With `thread` on a thread of its own. */
int	intake_start(struct intake *, bool thread, struct err *);
void	intake_stop(struct intake *);		/* from main: commits, saves, ends the thread. NULL and not started are fine */
void	intake_close(struct intake *);
void	intake_room(struct intake *);		/* any thread: look whether the spool has room again */
bool	intake_drained(const struct intake *);	/* any thread; --once: all that existed is durable */
uint64_t intake_turns(const struct intake *);
/* any thread: the detectors' busiest series as they stood a moment ago; at most DETECT_CHARTS of them. How many. */
struct detect_chart;
size_t	intake_charts(struct intake *, struct detect_chart *ret);
/* What the posture remembered when it was last saved; ERR_AGAIN: nothing is saved there yet. */
struct posture;
int	intake_posture(struct posture *, const char *state_dir, struct err *);
uint64_t intake_set_aside(const struct intake *);	/* records in the dead letter since start */
int	intake_troubled(const struct intake *);		/* any thread: an exit status if a source complained: 74 of a file, 69 of a service; else 0 */
int	intake_turn(struct intake *, int max_wait_ms);	/* for tests, without a thread */

/* ---- delivery: spool -> sinks --------------------------------------------- */

int	deliver_open(struct deliver **ret, const struct world *, const struct conf *, struct err *);
int	deliver_start(struct deliver *, bool thread, struct err *);
/* Offers what there is for at most drain_ms, waits up to 5 s for answers to what is out, then ends the thread. True: all durable events are acknowledged. */
bool	deliver_stop(struct deliver *, uint64_t drain_ms);
void	deliver_close(struct deliver *);
void	deliver_more(struct deliver *);		/* any thread: there are new durable entries */
void	deliver_reopen(struct deliver *);	/* any thread: SIGHUP */
bool	deliver_done(const struct deliver *);	/* any thread: every durable event is acknowledged by every sink */
uint64_t deliver_turns(const struct deliver *);
uint64_t deliver_set_aside(const struct deliver *);
int	deliver_turn(struct deliver *, int max_wait_ms);
/* For tests: batches that wait for a sink's answer, and how many HTTP requests are on their way. */
size_t	deliver_out(const struct deliver *, size_t *ret_requests);

/* Shipped and own mappings; conf NULL: where they are by default. */
int	mappings_open(struct decoder **ret, const struct conf *, struct problems *, struct err *);
/* The same in words, for another process: the shipped mappings' directory, that of own ones, what of withheld text may leave. They point
 * into the configuration. */
#define MAPPINGS_ARGS	128
struct mappings_args { const char *v[MAPPINGS_ARGS]; size_t n; char schemas[4096]; };
int	mappings_args(const struct conf *, struct mappings_args *ret, struct err *);
int	mappings_read(struct decoder **ret, const char *const *args, size_t nargs, struct problems *, struct err *);

/* ---- the whole ------------------------------------------------------------ */

struct agent_options {
	const char	*conf_path;
	bool		 once;
	uint64_t	 once_timeout_ms;
};

/* The spool's limits by the configuration. */
struct spool_limits agent_spool_limits(const struct conf *);
/* Runs until told to stop; an exit status of the contract. Problems go to standard error. */
int	agent_main(const struct agent_options *);

/* ---- replay --------------------------------------------------------------- */

struct dead_letter;

struct replay_result {
	uint64_t	letters, events, findings;	/* back in the spool */
	uint64_t	refused;			/* tried and not readable now either: they stay */
};

/*
 * Letters that `wanted` picks go back into the spool, records by way of decode and detectors. Refuses while an agent works there.
 * What the spool has synced leaves the dead letter, so nothing is lost wherever this ends; events that come twice have equal EventIds.
 */
int	replay_run(const struct conf *, const char *state_dir, bool (*wanted)(void *arg, const struct dead_letter *), void *arg,
	    struct replay_result *ret, struct err *);

/* ---- status --------------------------------------------------------------- */

struct buf;
struct loop;
struct status_server;
int	status_serve(struct status_server **ret, struct loop *, const char *state_dir, struct err *);
void	status_close(struct status_server *);
void	status_json(struct buf *out);
/* --once: how far reading is, or, once all is read, delivery. */
struct progress;
void	status_progress(struct progress *, bool all_read);
/* The `status` command: asks the agent that runs on this state directory. */
int	status_print(const char *state_dir, bool json, struct err *);

/* ---- the process: process.c ------------------------------------------------- */

/* No core dumps, as many descriptors as it may have, files for us alone, no SIGPIPE. */
void	process_harden(void);
/* To systemd, if that is who started us: "READY=1". */
void	process_tell(const char *state);

/* ---- small things of the state directory ----------------------------------- */

/* Makes state_dir (0700) if need be. */
int	state_dir_make(const char *state_dir, struct err *);
/* Waits up to 5 s for another agent to go; then says who it is. *ret_fd holds the lock while open. */
int	state_lock(const char *state_dir, int *ret_fd, struct err *);
/* Random, made once: 32 hex digits into ret. */
int	state_agent_id(const char *state_dir, char ret[33], struct err *);
/* state_dir/name into ret. */
int	state_path(const char *state_dir, const char *name, char *ret, size_t n, struct err *);

#endif
