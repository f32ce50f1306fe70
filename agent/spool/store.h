/* store.h - inside the spool: the writer's and the readers' common state. */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include "spool/format.h"

struct segment {
	uint64_t	first_seq;
	uint64_t	durable_bytes;		/* readers go no further */
	uint64_t	next_seq;		/* all entries up to there are below it */
};

struct cursor {
	char		name[72];
	int		fd;
	uint64_t	seq;			/* everything up to here is done */
	uint64_t	saved_seq, generation;
	uint64_t	due_ms;			/* when it was first moved since it was saved; 0: nothing to save */
	bool		fresh, open;
	struct cursor	*next;
};

struct stream_mark {
	char		source[SOURCE_BYTES];
	uint8_t		source_n;
	struct position	at;
};

struct spool {
	char			 dir[3900];
	int			 lock_fd;
	uint64_t		 id;
	struct spool_limits	 limits;
	struct spool_events	 events;

	/* the writer's */
	int			 fd;		/* of the newest segment */
	uint64_t		 at, synced_at;	/* its size as written, and as synced */
	uint64_t		 next_seq;	/* of the next entry to append */
	bool			 torn;		/* a failed write is still in the file */
	struct buf		 group;
	struct stream_mark	*marks;		/* newest position of every stream, synced */
	size_t			 nmarks, marks_cap;
	struct buf		 pending;	/* marks of groups not yet synced, as on disk */

	/* shared, under lock */
	pthread_mutex_t		 lock;
	struct segment		*segments;	/* oldest first */
	size_t			 nsegments, segments_cap;
	struct cursor		*cursors;

	_Atomic uint64_t	 durable_seq, first_seq, total_bytes;
};

struct spool_reader {
	struct spool	*spool;
	struct cursor	*cursor;
	int		 fd;
	uint64_t	 segment;	/* first seq of the one open; 0: none */
	struct walk	 walk;		/* through that one */
	uint64_t	 told_segment, told_at;	/* damage up to here was told */
	struct buf	 payload;
	struct group_head head;
	size_t		 entry_at;	/* in payload */
	uint32_t	 entry;		/* how many of the group were given */
	bool		 in_group;
	uint64_t	 want;		/* seq of the next entry to give */
};

/* cursor.c */
int	cursors_load(struct spool *, struct err *);
void	cursors_close(struct spool *);
int	cursor_open(struct spool *, const char *name, struct cursor **ret, struct err *);
int	cursor_save(struct spool *, struct cursor *, struct err *);	/* under lock */
int	cursors_save(struct spool *, bool all, struct err *);
uint64_t cursors_least(struct spool *);				/* under lock */

enum err_kind spool_error_kind(void);	/* by errno: ERR_FULL or ERR_AGAIN */
void	spool_tell_damage(const struct spool *, uint64_t segment, uint64_t from, uint64_t to, const char *what);

#endif
