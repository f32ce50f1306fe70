/* store.h - inside the spool: the writer's and the readers' common state. */
#ifndef SPOOL_STORE_H
#define SPOOL_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include "spool/format.h"

struct segment {
	uint64_t	first_seq;
	uint64_t	after_seq;		/* the last number before it */
	uint64_t	bytes;			/* on disk */
	uint64_t	durable_bytes;		/* readers go no further */
	uint64_t	next_seq;		/* all entries up to there are below it */
	uint32_t	seed;
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
	int			 fd;		/* of the newest segment; -1: the next append begins one */
	uint32_t		 seed;		/* of that one */
	uint64_t		 begun_bytes;	/* what it began with */
	uint64_t		 at, synced_at;	/* its size as written, and as synced */
	uint64_t		 next_seq;	/* of the next entry to append */
	uint64_t		 last_seq;	/* newest entry appended; below next_seq - 1 when numbers were left out */
	bool			 torn;		/* a failed write is still in the file */
	bool			 cramped;	/* the disk had no room for the last group */
	struct buf		 group;
	struct stream_mark	*marks;		/* newest position of every stream, synced */
	size_t			 nmarks, marks_cap;
	struct buf		 pending;	/* marks of groups not yet synced, as on disk */
	size_t			 npending;

	uint64_t		 aside_bytes;	/* of files that were set aside; in total_bytes too */

	/* shared, under lock */
	pthread_mutex_t		 lock;
	struct segment		*segments;	/* oldest first */
	size_t			 nsegments, segments_cap;
	struct cursor		*cursors;
	uint64_t		 counted_seq;	/* lost entries are counted up to here */

	_Atomic uint64_t	 durable_seq, first_seq, total_bytes, lost;
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
	uint64_t	 given;		/* the newest that was given, or sought behind */
	unsigned	 tries;		/* reads that failed at the same place */
};

/* cursor.c */
int	cursors_load(struct spool *, struct err *);
void	cursors_close(struct spool *);
int	cursor_open(struct spool *, const char *name, struct cursor **ret, struct err *);
int	cursor_save(struct spool *, struct cursor *, struct err *);	/* under lock */
int	cursors_save(struct spool *, bool all, struct err *);
uint64_t cursors_least(struct spool *);				/* under lock */
/* Looks at a directory's cursors without changing them; not sound: damaged. */
int	cursors_each(const char *dir, void (*see)(void *arg, const char *name, bool sound, uint64_t seq), void *arg);
uint64_t cursors_greatest(const struct spool *);		/* 0 if there is none */

/* spool.c, for recovery */
int	spool_add_segment(struct spool *, const struct segment *, struct err *);
int	spool_apply_marks(struct spool *, struct slice marks, struct err *);
int	spool_build_head(struct spool *, const struct segment_head *, struct err *);	/* head and snapshot into s->group */
int	spool_lock(const char *dir, int *ret_fd, struct err *);	/* ERR_CONFIG: who has it */
uint64_t spool_snapshot_bytes(const struct spool *);		/* what a new segment begins with */

/* survey.c: what lies in a directory. */
struct found {
	struct segment_head	head;		/* made up from the name where !head_good */
	uint64_t		size;
	uint64_t		below_seq;	/* its numbers are below it */
	bool			head_good, has_group, has_snapshot;	/* the last two: after survey_look */
};
struct survey {
	const char	*dir;
	uint64_t	 spool_id;
	struct found	*v;			/* oldest first */
	size_t		 n;
};
int	survey_read(struct survey *, const char *dir, struct err *);	/* ERR_CONFIG: a format that is not ours; free it also then */
void	survey_free(struct survey *);
int	survey_open(const struct survey *, size_t i, int flags, struct err *);
struct walk survey_walk(const struct survey *, size_t i, int fd);
int	survey_look(struct survey *, size_t i, struct buf *scratch, struct err *);

/* recover.c: finds what there is. Sets segments, marks, total bytes, next_seq and last_seq, and the newest segment to go on with. */
int	spool_recover(struct spool *, struct err *);
/* Bytes and number of files that were set aside. */
uint64_t spool_aside(const char *dir, uint64_t *ret_files);
/* Removes the oldest file that was set aside: 1, 0 there is none, -1. */
int	spool_drop_aside(struct spool *, struct err *);
/* Renames DIR/name to its name with .bad, .bad2 and so on; the directory is synced. */
int	segment_set_aside(const char *dir, uint64_t first_seq, char *ret_name, size_t n, struct err *);

enum err_kind spool_error_kind(void);	/* by errno: ERR_FULL or ERR_AGAIN */
void	spool_tell_damage(const struct spool *, uint64_t segment, uint64_t from, uint64_t to, const char *what);

#endif
