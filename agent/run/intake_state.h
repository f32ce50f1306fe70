/* intake_state.h - inside intake: the group that is gathered, and what the threads of a loop share. intake_memory.c keeps the detectors' memory. */
#ifndef RUN_INTAKE_STATE_H
#define RUN_INTAKE_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include "base/arena.h"
#include "base/buf.h"
#include "decode/decode.h"
#include "model/event.h"
#include "model/record.h"
#include "run/agent.h"

#define GROUP_MARKS	512

struct mark {
	struct source	*source;
	struct position	 at;
};

struct group {
	struct buf		 bytes;		/* wire events, one behind the other */
	uint32_t		*ends;		/* end of each in bytes */
	size_t			 n, cap;
	struct mark		 marks[GROUP_MARKS];
	size_t			 nmarks;
	uint64_t		 began_ms;
	bool			 letters;	/* the dead letter must be synced with it */
};

struct detect_chart;

struct intake {
	struct world		 world;
	struct loop		*loop;
	struct source		*sources;
	size_t			 nsources;
	struct wall		*wall;		/* decode stands behind it; NULL: it does not, and these are used: */
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct detect		*detect;
	struct posture		*posture;
	struct spool_reader	*checkpoint;	/* the detectors' cursor: what they have saved */
	uint64_t		 seen_seq;	/* newest durable entry that the detectors have seen */
	struct arena		 arena;
	struct event_list	 events, findings;
	struct group		 group;
	char			 reason[320];	/* why a record is bad */
	struct slice		*entries;	/* scratch for append */
	size_t			 entries_cap;
	bool			 stuck;		/* the group could not be committed; sources stand still */
	uint64_t		 committed_ms, checkpoint_ms, heartbeat_ms;
	uint64_t		 heartbeat_every_ms;	/* 0: none */
	uint64_t		 saving_ms;	/* how long the last save of the detectors' state took */
	uint64_t		 unsaved_bytes;	/* spooled since the detectors' state was saved */
	struct loop_timer	*commit_timer, *tend_timer;
	pthread_t		 thread;
	bool			 started, threaded;
	_Atomic bool		 stop, drained;
	_Atomic uint64_t	 set_aside;
	_Atomic int		 troubled;	/* exit status of the worst complaint of a source */
	pthread_mutex_t		 charts_lock;	/* of the three below, which the status page takes */
	struct detect_chart	*charts;	/* DETECT_CHARTS of them */
	size_t			 ncharts;
	uint64_t		 wanted_ms;	/* when they were asked for; nobody asks: nothing is made */
};

/* Renews the charts for who asked for them lately. */
void	intake_make_charts(struct intake *);

/* Writes the group, as far as it is gathered, and syncs it. -1: it stays, and sources stand still until it could be written. */
int	intake_write(struct intake *);

/* intake_record.c: what decoding says of a record; its events stand in in->events. */
struct record_known {
	const char		*bad;		/* why it is for the dead letter, or NULL */
	struct decode_count	 count;
};
int	intake_decode_open(struct intake *, const struct conf *, struct problems *, struct err *);
void	intake_decode_close(struct intake *);
/* In this process. -1: ERR_AGAIN. */
int	intake_decode(struct intake *, const struct record *, struct record_known *ret, struct err *);
/* Wherever it is decoded, one record, waited for. -1: ERR_AGAIN. */
int	intake_decode_now(struct intake *, const struct record *, struct record_known *ret, struct err *);
/* All of it goes into the group or the dead letter, or, on -1, nothing. */
int	intake_take_record(struct intake *, struct source *, const struct record *, const struct record_known *, struct err *);
void	intake_forget(struct intake *);		/* the events and findings at hand */
void	intake_begin_classes(void);		/* the findings' counters, of the process */
void	intake_count_classes(const struct event_list *);	/* events that are in the group */

/* intake_group.c */
bool	group_is_empty(const struct group *g);
int	group_add(struct group *g, const struct event *e, struct err *err);
void	group_cut(struct group *g, size_t n);
bool	group_mark(struct group *g, struct source *s, const struct position *at);
void	group_clear(struct group *g);
/* heartbeat.c: one event about ourselves, now. */
int	heartbeat_say(const char *agent_id, int64_t now_ms, struct event_list *into, struct err *);
/* Restores what the detectors knew, and shows them what came after it was saved. */
int	intake_remember(struct intake *, struct err *);
/* Saves it with the spool's position. Only between groups: everything the detectors have seen is then durable. */
void	intake_save(struct intake *);
/* For a full spool, where nothing can be saved because the group cannot be written: segments may go that the saved state has not
 * seen. Only a crash before the next save makes a gap of it in what the detectors know; else source and spool would wait for each other. */
void	intake_let_go(struct intake *);

#endif
