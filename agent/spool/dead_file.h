/* dead_file.h - inside the spool: the dead letter's files and what stands in them. */
#ifndef SPOOL_DEAD_FILE_H
#define SPOOL_DEAD_FILE_H

#include "base/buf.h"
#include "spool/dead.h"

#define LETTER_HEAD	16
#define LETTER_BYTES	(128u << 20)

/* DIR/NNNNNNNNNN.dead or .refused */
void	dead_file_path(const char *dir, enum dead_share, uint64_t number, char ret[4096]);
/* Oldest and newest number of a share in the directory, 0 if there is none. */
int	dead_file_range(const char *dir, enum dead_share, uint64_t *ret_first, uint64_t *ret_last, struct err *);

struct dead_contents {
	uint64_t	letters, damaged;
	uint64_t	size, end;		/* of the file, and behind the last letter that could be passed */
	bool		torn;			/* what is behind it is a write that was not finished */
	int		unread;			/* errno, where the file could not be read to its end */
};
/* Calls see (or only counts, if it is NULL) for each whole letter. */
int	dead_file_each(int fd, enum dead_share, int (*see)(void *arg, const struct dead_letter *), void *arg, struct dead_contents *ret);

#endif
