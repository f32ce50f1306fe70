/*
 * site.h - the agent in one process and without a thread of its own: intake, spool and delivery, turned by hand under a held clock,
 * between files that the test writes and far sides that do as they are told.
 *
 * Time:    stands still but for site_pass. "Quiet" is when neither loop has anything to do and no answer is awaited (stalled ones aside).
 * Disk:    $TMP/state and $TMP/out are the agent's; site_kill takes them back to what they were when the agent was killed.
 * Threads: those of the far sides, and the writer of each `file` sink.
 * Decode:  behind its wall by default, which keeps real time: the program is its own worker (run/wall.h), so its main asks for WALL_COMMAND first.
 */
#ifndef TESTS_SCENARIO_SITE_H
#define TESTS_SCENARIO_SITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ledger.h"

struct conf;
struct dead;
struct deliver;
struct err;
struct far_side;
struct intake;
struct spool;
struct stat_block;

struct site {
	char		 dir[128];		/* $TMP */
	char		 state_dir[160];
	struct far_side	*server, *tokens;
	const char	*script;		/* name of the scenario, for messages */

	struct conf	*conf;
	uint64_t	 spool_bytes;		/* 0: as the settings say, which allow no small one */
	bool		 wanted;		/* the scenario has started the agent and not stopped it */
	/* the running agent; all NULL when it does not run */
	struct stat_block *spool_stats;
	struct spool	*spool;
	struct dead	*dead;
	struct intake	*intake;
	struct deliver	*deliver;
	char		 agent_id[33];

	_Atomic bool	 killed;		/* a snapshot was taken: what happens now never happened */
	size_t		 server_mark;		/* requests at that time */
	struct ledger	 ledger;
	unsigned	 nremoved;
	char		 flaw[256];		/* a broken promise that turning showed; "" none */
};

/* agent.decode: `process`, as users have it, or else `inline`. */
extern bool site_apart;
/* What to do around everything that is the agent's: torture counts and fails calls only there. */
extern void (*site_enter)(void), (*site_leave)(void);

void	site_open(struct site *, const char *script);
void	site_close(struct site *);
/* $TMP, $SERVER, $TOKENS and $SENTINEL in a text; malloc'ed. */
char	*site_expand(const struct site *, const char *text);

/* 0, or -1 and the problems in `say`. The configuration takes effect at the next start. */
int	site_configure(struct site *, const char *yaml, char say[512]);
int	site_start(struct site *, struct err *);	/* as agent_main does it; -1: nothing runs */
void	site_stop(struct site *);			/* as TERM with no time left: saves, closes */
/* As SIGHUP: the new configuration beside the old one, then in its place. -1: refused, the old one runs. */
int	site_reload(struct site *, const char *yaml, char say[512]);

/* Until quiet. False: flaw is set. Nothing runs or killed: at once. */
bool	site_settle(struct site *);
/* Time passes in small steps, and the agent lives meanwhile. */
bool	site_pass(struct site *, uint64_t ms);

/* kill -9: first the snapshot, at any moment, then the end of the process that is no more. */
void	site_snapshot(struct site *);
void	site_bury(struct site *);

/* What the agent logged so far, to standard output, as TAP comments. */
void	site_print_log(const struct site *);

/* Whether a source of the settings looks at this (expanded) path. */
bool	site_is_read(const struct site *, const char *path);
/* The agent's block of counters, or NULL. */
struct stat_block *site_stats(const char *name);
/* Largest offset that the spool knows of a file source; -1: none. */
int64_t	site_source_at(struct site *, const char *source);

#endif
