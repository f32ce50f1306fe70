/* manual.h - inside the manual: one walk over all settings, for the terminal and for the manual pages. */
#ifndef RUN_MANUAL_H
#define RUN_MANUAL_H

#include <stdio.h>

struct conf_key;

struct manual_exit { int status; const char *help; };
extern const struct manual_exit manual_exits[];		/* ends at help NULL */

/* A group is a block; its title reads "sinks[], type file". */
struct manual_see {
	void	(*group)(void *arg, const char *title, const char *help);
	void	(*setting)(void *arg, const char *path, const struct conf_key *);
};
extern const char *const manual_push[];	/* lines of roff, ends with NULL */
void	manual_walk(const struct manual_see *, void *arg);
/* "required", "default 5s" or "" */
void	manual_default(const struct conf_key *, char *ret, size_t n);

#endif
