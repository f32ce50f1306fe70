/*
 * init.h - inside `init`: what was asked for, what this machine shows, and the configuration that follows.
 *
 * init.c asks, writes and tries; init_look.c looks at the machine; init_text.c is the text of the file.
 */
#ifndef RUN_INIT_H
#define RUN_INIT_H

#include <stdbool.h>
#include <stddef.h>

struct buf;
struct err;

#define INIT_MANY	32

struct init_list { const char *v[INIT_MANY]; size_t n; };

/* Every answer; NULL: not given. Texts belong to argv or to `made`. */
struct init_wish {
#define INIT_FLAG(field, name, value, key, help)	const char *field;
#define INIT_LIST(field, name, value, key, help)	struct init_list field;
#define INIT_SWITCH(field, name, help)			bool field;
#include "run/init_flags.tbl"
#undef INIT_FLAG
#undef INIT_LIST
#undef INIT_SWITCH
	const char	*conf_path;
	char		*made[128];		/* what was read or found, freed at the end */
	size_t		 nmade;
};

/* Appends to a list; a text is copied. False: the list is full, or no memory. */
bool	init_add(struct init_wish *, struct init_list *, const char *text);
/* A copy that lives as long as the wish; NULL: no room. */
const char *init_keep(struct init_wish *, const char *text);

/* ---- the machine ------------------------------------------------------------ */

struct init_found {
	char		glob[512];	/* files of one folder and ending, as the configuration takes it */
	char		what[96];	/* "Azure OpenAI Service": the product of its first record */
	unsigned	files;
	char		group[64];	/* the group that may read them while others may not; empty: everybody may */
};

struct init_sight {
	struct init_found found[INIT_MANY];
	size_t		 nfound;
	const char	*identity;	/* "managed_identity", "azure_arc", "workload_identity"; NULL: none seen */
	const char	*identity_why;
};

/* Log files below ROOT/var/log whose first records a mapping knows, and signs of an identity. Bounded in files, depth and bytes. */
int	init_look(const char *root, struct init_sight *ret, struct err *);

/* ---- the file --------------------------------------------------------------- */

/* The whole commented configuration. */
void	init_text(const struct init_wish *, struct buf *out);

#endif
