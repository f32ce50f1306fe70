/*
 * kafka_source.h - the inside of source `kafka`; nobody else includes it.
 *
 * Story:   kafka.c is the contract of source.h and consumes; kafka_group.c joins, is assigned and revoked; kafka_part.c knows the partitions and how far each was
 *          taken, saved and committed; kafka_plan.c asks the brokers, on a thread of its own, where to begin.
 */
#ifndef SOURCE_KAFKA_SOURCE_H
#define SOURCE_KAFKA_SOURCE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <pthread.h>
#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "model/record.h"
#include "net/backoff.h"
#include "net/kafka_client.h"
#include "net/kafka_probe.h"

struct conf;
struct source;

#define KAFKA_NONE	INT64_C(-1)
#define KAFKA_PARTING_MS	3000	/* how long a last commit may take */

struct kafka_part {
	uint64_t	 stream;
	char		*topic;		/* NULL: only a saved position so far */
	int32_t		 partition;
	int64_t		 next;		/* first offset not taken, or KAFKA_NONE */
	int64_t		 safe;		/* first offset not durable in the spool, or KAFKA_NONE */
	int64_t		 committed;	/* what the group was told last */
	int64_t		 high;		/* --once: where the partition ended at the start, or KAFKA_NONE */
	int64_t		 rewind;	/* came while paused and was let go: read again from here, or KAFKA_NONE */
	bool		 assigned, ended, untold;
};

struct kafka_place {		/* one partition of a plan */
	int64_t		known;		/* where we stand by ourselves, or KAFKA_NONE */
	int64_t		offset;		/* where to begin, or RD_KAFKA_OFFSET_BEGINNING */
	int64_t		high;
	bool		chosen;		/* by `start`: nobody had a position */
};

/* Where to begin in newly assigned partitions. Its thread writes, then sets `done` and knocks. */
struct kafka_plan {
	pthread_t			 thread;
	rd_kafka_t			*rk;
	rd_kafka_topic_partition_list_t	*list;
	struct kafka_place		*places;
	int				 start;		/* of struct source */
	int64_t				 start_ms;
	bool				 once;
	int				 knock_fd;
	_Atomic bool			 stop, done;
	bool				 cancelled;	/* revoked before it was ready */
	struct err			 err;		/* why it could not be made; then places mean nothing */
};

struct kafka_source {
	struct source		*s;
	const struct conf	*conf;
	rd_kafka_conf_t		*settings;
	rd_kafka_topic_partition_list_t *topics;
	struct kafka_probe	*probe;		/* check --online */
	const char		**probe_topics;
	struct kafka_token	*token;		/* or NULL: no `auth` */
	rd_kafka_t		*rk;
	rd_kafka_queue_t	*queue;
	struct kafka_reaper	 reaper;
	int			 knock_fd;
	struct loop_fd		*watch;
	struct loop_timer	*tick, *turn;
	struct backoff		 backoff;
	uint64_t		 reopen_ms, started_ms, now_ms;
	struct kafka_part	*parts;
	size_t			 nparts, parts_cap;
	size_t			 last;		/* the part of the latest message */
	const rd_kafka_topic_t	*last_topic;
	int32_t			 last_partition;
	struct kafka_plan	*plan;
	rd_kafka_topic_partition_list_t *queued;	/* assigned while another plan was being made */
	rd_kafka_event_t	*held;		/* a message that was refused */
	const rd_kafka_message_t *held_message;
	struct err		 lost;		/* why this consumer is of no use any more */
	rd_kafka_resp_err_t	 lost_code;
	bool			 paused;	/* intake has no room */
	bool			 stopped;	/* partitions are paused */
	bool			 assigned, waited, started;
	struct { rd_kafka_resp_err_t code; uint64_t ms; } told[8];
	unsigned		 told_at;
};

/* kafka_group.c */
int	kafka_group_open(struct kafka_source *, struct err *);
void	kafka_group_close(struct kafka_source *);
/* This consumer is of no use any more: said, closed, a new one in a while. */
void	kafka_group_give_up(struct kafka_source *, rd_kafka_resp_err_t, const struct err *why);
void	kafka_group_rebalance(struct kafka_source *, rd_kafka_event_t *);
void	kafka_group_end_plan(struct kafka_source *);	/* if there is one and it is done */
void	kafka_group_drop_held(struct kafka_source *);
void	kafka_group_tell(struct kafka_source *, rd_kafka_resp_err_t, const struct err *why);	/* at most once a minute */

/* kafka_part.c */
struct kafka_part *kafka_part_get(struct kafka_source *, const char *topic, int32_t partition);	/* NULL: no memory */
struct kafka_part *kafka_part_of(struct kafka_source *, const rd_kafka_message_t *);	/* NULL: not ours any more */
struct kafka_part *kafka_part_by_stream(struct kafka_source *, uint64_t stream);
int	kafka_part_restore(struct kafka_source *, const struct position *, struct err *);
struct position kafka_part_position(const struct kafka_part *, int64_t next);
bool	kafka_part_read(const struct position *, int64_t *ret_next);
/* Tells the group what is safe. wait_ms 0: without waiting for the answer. */
void	kafka_part_commit(struct kafka_source *, int wait_ms);
void	kafka_part_commit_failed(struct kafka_source *);
uint64_t kafka_part_lag(struct kafka_source *);
bool	kafka_part_drained(const struct kafka_source *);
bool	kafka_part_tell(struct kafka_source *);		/* positions that `start` chose; false: refused */
rd_kafka_topic_partition_list_t *kafka_part_assigned(struct kafka_source *);	/* or NULL: none, or no memory */
void	kafka_part_free(struct kafka_source *);

/* kafka_plan.c */
int	kafka_plan_start(struct kafka_source *, const rd_kafka_topic_partition_list_t *);
void	kafka_plan_free(struct kafka_plan *);		/* waits for its thread; NULL is fine */

#endif
