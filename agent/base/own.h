/*
 * own.h - files that this process writes itself, known by what they are and not by name: a link of any kind to one of them must
 * not bring its content in again.
 *
 * Gives:   is this open file one of ours?
 * Takes:   files while they are written to (own_add, own_closed), and one directory all of whose files are ours.
 * Owns:    a list of open ones, and of the last 64 closed ones; a closed one is known by its birth time too, since its inode may be
 *          used again. Where a file system has no birth time it is forgotten when it is closed.
 * Thread:  any.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stdbool.h>
#include <sys/stat.h>

struct err;

int	own_add(int fd, struct err *);		/* before the first byte is written; once for each descriptor */
void	own_closed(int fd);			/* just before that descriptor is closed; one that was not added is fine */
bool	own_is(int fd, const struct stat *st);	/* st: of fd */
void	own_set_dir(const char *dir);		/* NULL: none */
bool	own_is_in_dir(int fd);

#endif
