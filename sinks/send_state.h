/*
 * send_state.h - inside send: one sink's way, and the batches on it. send_fill.c fills them, send.c sends them.
 */
#ifndef SINKS_SEND_STATE_H
#define SINKS_SEND_STATE_H

#include "base/slice.h"
#include "net/backoff.h"
#include "sinks/batch.h"
#include "sinks/send.h"
#include "sinks/send_summary.h"
#include "sinks/sink.h"

#define MAX_OUT		7		/* batches that a sink may have without an answer */
#define WINDOWS		32		/* batches that fill at once where a batch may span only so much time */
#define WINDOWS_BYTES	(8u << 20)	/* and what they hold together */
#define MAX_FLIGHTS	(MAX_OUT + WINDOWS)
#define RANGES		40		/* halving 2^32 entries needs 33 */

enum flight_state { FILLING, READY, OUT, DONE };
enum send_state { DELIVERING, WAITING, HELD };

struct range {
	size_t	lo, hi;
};

struct flight {
	enum flight_state	 state;
	struct batch		 batch, part;	/* part: a range of batch, framed anew */
	const struct batch	*offered;	/* which of them is out */
	struct range		 ranges[RANGES];
	size_t			 nranges;
	struct buf		 made;		/* wire forms of summaries: entry.made - 1 is where one begins, u32 length first */
	uint64_t		 first_seq;	/* no entry before it is in it, nor counted in a summary of it */
	uint64_t		 began_ms, offered_ms;
	uint64_t		 used;		/* when it last took an event, by send.uses */
	int64_t			 first_time_ms, last_time_ms;	/* span of TimeGenerated */
};

struct send {
	struct send_world	 world;
	struct sink		 sink;
	const struct encoder	*encoder;
	struct spool_reader	*reader;
	struct loop_timer	*timer;
	struct backoff		 later, held;
	enum send_state		 state;
	uint64_t		 not_before_ms;
	uint64_t		 max_wait_ms;
	size_t			 max_bytes;
	struct flight		*flights[MAX_FLIGHTS];	/* in the order in which they were begun */
	size_t			 n;
	struct flight		*spare[MAX_FLIGHTS];
	size_t			 nspare;
	uint64_t		 uses;
	struct slice		 entry;		/* read, and not yet in a flight */
	uint64_t		 entry_seq;
	uint64_t		 placed_seq;	/* newest entry that a flight has, or was left out */
	struct summary		*summary;	/* of activity, or NULL */
	size_t			 summary_at;	/* the next to be placed while the epoch is being closed */
	bool			 closing;	/* it is */
	uint64_t		 classes;	/* bit of each class let through, by class_bit */
	uint64_t		 set_aside;
	unsigned		 refused_in_row;
	bool			 knocked;	/* held for it, and tried again since */
	bool			 drain, settling, pumping, again, started;
	char			 name[65];
};

/* ---- send_fill.c ---- */

/* Reads entries into flights until there are none, or no room. -1: come again later. */
int	send_fill(struct send *, struct err *);
int	send_close_flight(struct send *, struct flight *, struct err *);	/* -1: it stays as it is, come again later */
void	send_free_flight(struct flight *);		/* NULL is fine */
void	send_batch_begin(struct send *, struct batch *);
struct batch_entry *send_add_entry(struct batch *);	/* room for one more, not yet counted; NULL: no memory */
/* Places what is in the open epoch: 1 all of it, 0 no room in flights now, -1 not now. */
int	send_close_summary(struct send *, struct err *);
/* The wire form of an entry of this flight: from the spool, or of a summary. -1: not now, or ERR_LOST: not there any more. The reader must be set back to placed_seq. */
int	send_wire_of(struct send *, struct flight *, const struct batch_entry *, struct slice *ret, struct err *);
/* Into the dead letter, synced: an event on the wire (DEAD_EVENT), or as it was encoded (DEAD_RECORD). */
int	send_set_aside_as(struct send *, uint8_t kind, struct slice bytes, const char *reason, struct err *);
/* The classes that the settings let through, one bit each. */
uint64_t send_classes(const struct conf *item);

#endif
