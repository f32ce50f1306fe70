/*
 * file_source.h - the inside of source `file`; nobody else includes it.
 *
 * Story:   file_watch.c finds files (glob walk, inotify) and says which have news; file_track.c knows each by its
 *          inode and path; file_place.c where we stand in it; file_read.c turns bytes into records; file.c is the contract of source.h and takes turns.
 * Identity: device, inode and a hash of the first up to 1024 bytes. The stream's number is random, made at first
 *          sight and kept inside the saved position, so it stays while the file grows and is renamed.
 */
#ifndef SOURCE_FILE_SOURCE_H
#define SOURCE_FILE_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "model/record.h"

#define FILE_HEAD_BYTES		1024
#define FILE_CHUNK_BYTES	(256u << 10)
#define FILE_TURN_BYTES		(1u << 20)
#define FILE_TURN_MS		5
#define FILE_OPEN_MOST		512
#define FILE_FILES_MOST		65536
#define FILE_GZIP_MOST		4		/* unpacked at the same time */
#define FILE_BUCKETS		4096

struct err;
struct gzip_reader;
struct source;

/* One gzip file being unpacked. */
struct file_gzip {
	struct gzip_reader	*reader;
	uint64_t		 in_at;		/* packed bytes eaten */
	uint64_t		 base;		/* unpacked offset of plain.p[0] */
	struct buf		 plain;
	bool			 whole;		/* the last member has ended just here */
};

/* One file that we follow. */
struct file_tail {
	struct file_tail	*next_ino, *next_path;	/* hash chains */
	struct file_tail	*next_ready;
	struct file_tail	*newer, *older;		/* among those with an open descriptor */
	uint64_t		 dev, ino;
	uint64_t		 head_hash;
	uint64_t		 offset;	/* first byte not taken; of a gzip file, in what it unpacks to */
	uint64_t		 scanned;	/* no newline between offset and here */
	uint64_t		 told;		/* the offset of the last position that was taken */
	uint64_t		 size;		/* as last seen */
	uint64_t		 lag;		/* its part of file_source.lag */
	uint64_t		 target;	/* --once: its size at the start */
	int64_t			 mtime_ns;
	uint64_t		 unnamed_ms;	/* since when (monotonic) no path leads to it; 0: one does */
	struct position		 pos;
	char			*path;
	struct file_gzip	*gz;
	int			 fd;		/* -1: closed for now */
	int			 wd;		/* inotify watch on the inode itself, or -1 */
	uint32_t		 scan;		/* the walk that saw it last */
	uint16_t		 head_n;
	bool			 ready, skipping, gzip, done, link, awaited, changed, told_error;
	bool			 again;		/* could not be read just now: the next walk has it read, changed or not */
};

/* A position from the last run, until its file is found. */
struct file_saved {
	uint64_t	stream, dev, ino, head_hash, offset;
	uint32_t	hour;			/* hours since 1970 when it was written */
	uint16_t	head_n;
	uint8_t		flags;
	bool		used;
};

struct file_watch {			/* one inotify watch */
	struct file_watch	*next;
	int			 wd;
	char			*dir;		/* a directory, or */
	struct file_tail	*tail;		/* one file's inode */
};

struct file_source {
	struct source		*s;
	char			**patterns;
	size_t			 npatterns;
	size_t			 max_record, max_files;
	/* known files */
	struct file_tail	*by_ino[FILE_BUCKETS], *by_path[FILE_BUCKETS];
	size_t			 nfiles, nopen, nunnamed;
	size_t			 nleft;		/* files that the last walk found and had no room for */
	struct file_tail	*newest, *oldest;
	struct file_tail	*ready_first, *ready_last;
	struct file_tail	*unpacking[FILE_GZIP_MOST];
	struct file_saved	*saved;		/* sorted by ino once started */
	size_t			 nsaved, saved_cap, nwaiting;
	uint64_t		*forget;	/* streams to be forgotten, not yet told */
	size_t			 nforget, forget_cap;
	uint64_t		 told[64];	/* hashes of complaints made, a ring */
	unsigned		 told_at;
	/* finding */
	int			 inotify_fd;
	struct loop_fd		*inotify_loop;
	struct file_watch	*watches[FILE_BUCKETS];
	size_t			 nwatches;
	uint32_t		 scan;
	bool			 poll;		/* a directory where inotify does not serve */
	bool			 trouble;	/* something to try again in a while */
	bool			 walk_due, walk_planned, touch_all;
	struct loop_timer	*walk_timer;
	/* reading */
	struct loop_timer	*turn_timer;
	struct buf		 chunk;
	uint64_t		 now_ms;
	uint64_t		 lag;
	size_t			 nawaited;
	bool			 started, starting, paused, first_run, marker_due;
};

/* file.c */
void	file_ready(struct file_source *, struct file_tail *);
__attribute__((format(printf, 3, 4)))
void	file_say(struct file_source *, bool trouble, const char *fmt, ...);
__attribute__((format(printf, 2, 3)))
void	file_debug(struct file_source *, const char *fmt, ...);
/* A complaint made once about this path. */
void	file_complain(struct file_source *, const char *path, const char *what, const char *advice);

/* file_track.c */
/* Takes up the file at this path, which may be known already. `wanted`: it matches a pattern. */
void	file_track_look(struct file_source *, const char *path, bool wanted);
bool	file_track_is_inode(const struct file_source *, uint64_t ino);	/* known or in a saved position */
struct file_tail *file_track_by_path(const struct file_source *, const char *path);
void	file_track_unname(struct file_source *, struct file_tail *);
int	file_track_open(struct file_source *, struct file_tail *);	/* the descriptor; -1: not now */
void	file_track_close(struct file_source *, struct file_tail *);
void	file_track_drop(struct file_source *, struct file_tail *);	/* forgets and frees it */
/* One that the agent itself writes; says so. */
bool	file_track_is_own(struct file_source *, const char *path, int fd, const struct stat *);
void	file_track_complain(struct file_source *, const char *path, int error);
void	file_track_each(struct file_source *, void (*see)(struct file_source *, struct file_tail *));
void	file_track_free(struct file_source *);

/* file_place.c */
int	file_place_restore(struct file_source *, const struct position *, struct err *);
void	file_place_start(struct file_source *);		/* after the last restore */
void	file_place_expire(struct file_source *);	/* positions whose file has not been seen for a month */
/* A new tail's identity, and where to go on in it. False: neither `wanted` nor in a saved position, or not readable. */
bool	file_place(struct file_source *, struct file_tail *, const struct stat *, bool wanted);
/* Checks the head against `st`: 1 the same, 0 another content stands there now, -1 errno. */
int	file_place_check_head(struct file_source *, struct file_tail *, const struct stat *st);
void	file_place_restart(struct file_tail *);		/* from offset 0, the same stream */
void	file_place_truncated(struct file_source *, struct file_tail *);	/* the same, counted and said */
/* The tail's position if it stood at `offset`. */
const struct position *file_place_position(struct file_source *, struct file_tail *, uint64_t offset, bool skipping);
bool	file_place_is_inode(const struct file_source *, uint64_t ino);
void	file_place_forget(struct file_source *, uint64_t stream);
bool	file_place_flush(struct file_source *);		/* streams to forget; false: refused */
void	file_place_free(struct file_source *);

/* file_watch.c */
int	file_watch_start(struct file_source *, struct err *);
void	file_watch_walk(struct file_source *);		/* all patterns, all directories */
void	file_watch_plan(struct file_source *);		/* when to walk again by the clock, if at all */
void	file_watch_tail(struct file_source *, struct file_tail *);	/* news of its inode, whatever its name */
void	file_watch_forget(struct file_source *, struct file_tail *);
void	file_watch_free(struct file_source *);

/* file_read.c */
enum file_turn { FILE_IDLE, FILE_MORE, FILE_REFUSED, FILE_GONE };
enum file_turn file_read(struct file_source *, struct file_tail *);
void	file_read_free_gzip(struct file_source *, struct file_tail *);
void	file_read_settle(struct file_source *, struct file_tail *);	/* --once need not wait for it any more */

#endif
