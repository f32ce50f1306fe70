/*
 * kafka_sink.h - the inside of sink `kafka`; nobody else includes it.
 *
 * Story:   kafka.c is the contract of sink.h and the settings; produce.c sends one batch and hears what becomes of it; link.c has the
 *          clients; place.c says which entries Kafka has already; job.c makes the calls that may block, each on a thread of its own;
 *          ear.c hears what a broker refuses and librdkafka keeps to itself.
 * Phases:  IDLE -> OPENING -> SENDING -> ENDING -> IDLE; a failure goes by UNDOING, or lets the producer go. With transactions
 *          a batch is one of them; without, OPENING, ENDING and UNDOING do not come.
 */
#ifndef SINKS_KAFKA_KAFKA_SINK_H
#define SINKS_KAFKA_KAFKA_SINK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <librdkafka/rdkafka.h>

#include "base/err.h"
#include "net/kafka_client.h"
#include "net/kafka_probe.h"
#include "sinks/batch.h"
#include "sinks/kafka/acked.h"
#include "sinks/sink.h"

/* ---- ear.c ---- */

struct kafka_ear {
	pthread_mutex_t	lock;
	const rd_kafka_t *client;		/* whose; one that was let go may go on talking */
	char		refusal[256];		/* the broker's explicit "unsupported", or empty */
};
void	kafka_ear_listen(struct kafka_ear *, rd_kafka_conf_t *);	/* takes the log and the opaque of its clients */
void	kafka_ear_put(struct kafka_ear *, const rd_kafka_t *, const char *said);
bool	kafka_ear_heard(struct kafka_ear *, char ret[256]);
void	kafka_ear_turn(struct kafka_ear *, const rd_kafka_t *);	/* to this client alone; forgets the rest. NULL is fine */

/* ---- job.c: calls that may block ---- */

/* Where the spool stands in Kafka: everything before `next` is there, the last of it by this EventId. */
struct kafka_place {
	int64_t	next;			/* 0: none */
	char	id[33];
};

enum kafka_job_kind { KAFKA_LOOK, KAFKA_INIT, KAFKA_COMMIT, KAFKA_ABORT };

struct kafka_job {
	/* set before kafka_job_start */
	enum kafka_job_kind	 kind;
	rd_kafka_t		*producer;
	rd_kafka_topic_t	*rkt;
	rd_kafka_t		*reader;	/* LOOK and INIT: a consumer of the group that keeps the place */
	const char		*group, *topic;
	struct kafka_ear	*ear;
	int			 knock_fd;
	uint64_t		 limit_ms;
	struct kafka_place	 place;		/* COMMIT: to be written; LOOK and INIT: what was read */
	/* set by it */
	pthread_t		 thread;
	bool			 running;
	_Atomic bool		 stop, done;
	rd_kafka_resp_err_t	 code;		/* why it failed; _TIMED_OUT: nobody knows how far it came */
	bool			 fatal, abort;	/* the producer is lost; the transaction can be undone */
	bool			 unsupported;	/* the broker has no transactions, and said so */
	char			 why[256];
};
/* Knocks when it is done; -1: no thread. */
int	kafka_job_start(struct kafka_job *);
void	kafka_job_join(struct kafka_job *);		/* tells it to stop; at most about a second */

/* ---- the sink ---- */

enum kafka_phase { KAFKA_IDLE, KAFKA_OPENING, KAFKA_SENDING, KAFKA_ENDING, KAFKA_UNDOING };
enum kafka_mode { KAFKA_TRANSACTIONS, KAFKA_IDEMPOTENT, KAFKA_PLAIN };

struct kafka_sink {
	struct sink		*sink;
	const struct conf	*conf;
	char			*topic;
	char			 group[128];	/* also the transactional id */
	enum kafka_mode		 mode;
	bool			 may_fall_back;	/* exactly_once: auto */
	rd_kafka_conf_t		*settings, *reader_settings;
	size_t			 max_message, batch_bytes;
	size_t			 learned_bytes;	/* batch.size that the topic's limit forced; 0: none */
	uint64_t		 transaction_ms;

	struct kafka_token	*token;		/* or NULL: no `auth` */
	struct kafka_probe	*probe;		/* check --online */
	struct kafka_ear	 ear;
	rd_kafka_t		*rk, *reader;
	rd_kafka_topic_t	*rkt;		/* its partitions are asked for as soon as it is made */
	rd_kafka_queue_t	*queue, *reader_queue;
	struct kafka_reaper	 reaper;
	bool			 ready;		/* transactions are initialised */
	bool			 stale;		/* an operator had to act: what the producer remembers may be wrong */
	int			 knock_fd;
	struct loop_fd		*watch;
	struct loop_timer	*look;

	enum kafka_phase	 phase;
	const struct batch	*batch;		/* the one on its way, or NULL */
	uint32_t		 turn;		/* tells its reports from those of another */
	size_t			 next;		/* first entry not yet handed to librdkafka */
	size_t			 out;		/* handed over, no report yet */
	size_t			 failed;
	unsigned char		*acked;		/* one byte an entry */
	struct err		 why;		/* the worst of the failures */
	int			 why_rank;
	unsigned		 again;		/* tries of this batch without a word to anybody */
	uint64_t		 moved_ms;	/* last acknowledgement, or first message out */
	struct err		 trouble;	/* what librdkafka complained of since then */
	rd_kafka_resp_err_t	 trouble_code;
	struct err		 lost;		/* why this producer is of no use any more */
	struct kafka_job	 job;

	struct kafka_acked	 there;		/* without transactions: entries of given-back batches that the broker has */
	uint64_t		 there_seq;	/* with them: all up to here are in Kafka */
	struct kafka_place	 mine[2];	/* the place we know of, and the one that was tried last */
	bool			 placed;	/* mine[] means something */
	bool			 fenced;	/* another wrote, or may have: look before beginning */
};

/* kafka.c */
int	kafka_sink_settings(struct kafka_sink *, struct err *);	/* anew, for its mode; untouched on failure */

/* link.c */
/* New ones for the old; with `fenced` only the one that reads the place. */
int	kafka_link_open(struct kafka_sink *, struct err *);
void	kafka_link_close_reader(struct kafka_sink *);
void	kafka_link_close(struct kafka_sink *);		/* no job runs */

/* produce.c */
void	kafka_produce(struct kafka_sink *, const struct batch *);
void	kafka_produce_serve(struct kafka_sink *);
void	kafka_produce_look(void *sink);			/* each second while something is on its way */
void	kafka_produce_close(struct kafka_sink *);	/* everything that runs; no answers */

/* place.c */
/* What was read is ours and says how far we are: 0. Else ERR_CONFIG, and nothing may be sent. */
int	kafka_place_check(struct kafka_sink *, const struct kafka_place *, const struct batch *, struct err *);
void	kafka_place_after(struct kafka_place *ret, const struct batch *);	/* when all of the batch is there */
bool	kafka_place_has(struct kafka_sink *, uint64_t seq);	/* the entry is in Kafka */

#endif
