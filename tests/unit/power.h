/*
 * power.h - a disk that loses power: behind base/sys.h, files below one directory remember what was synced.
 *
 * A file's bytes survive by fsync or fdatasync of it, a name (made, renamed, removed) by fsync of its directory. What was not synced
 * survives or not as chance has it: each write whole, in part or not at all; names out of order, but for one name in order.
 */
#ifndef TESTS_POWER_H
#define TESTS_POWER_H

#include <stdbool.h>

/* From now on calls go through the model. `calls` counts those that change something; the one numbered `cut` (from 1; 0: none) and all
 * after it fail. */
void	power_on(const char *dir, unsigned cut);
unsigned power_calls(void);
bool	power_is_cut(void);
/* Ends it: the directory becomes what the disk holds then. survive: 0 nothing unsynced, 1 all of it, else by chance from that seed. */
void	power_off(unsigned survive);

#endif
