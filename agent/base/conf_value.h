/* conf_value.h - inside conf: a block and its values. */
#ifndef BASE_CONF_VALUE_H
#define BASE_CONF_VALUE_H

#include "base/arena.h"
#include "base/conf.h"

struct conf_tree {
	struct arena		 arena;
	struct yaml_tree	*yaml;
	struct problems		*problems;	/* while it is read */
	size_t			 errors_before;
	bool			 short_of_memory;
};

struct conf_value {
	const struct conf_key	*key;
	const struct yaml_node	*at;		/* NULL: the fallback, or absent */
	const char		*text;		/* NULL: absent */
	double			 real;
	uint64_t		 number;
	const char		**texts, **names;	/* lists; names: of a map */
	struct conf		**blocks;
	size_t			 n;
	bool			 good;		/* given, and of its type: worth a further check */
};

struct conf {
	struct conf_tree	*tree;
	const struct yaml_node	*node;		/* NULL: made of fallbacks alone */
	const struct conf	*parent;
	struct conf_value	*values;
	size_t			 n;
	char			 path[96];	/* "sinks[0]" */
	bool			 loose;		/* the word that brings more rows is missing or wrong: any name may be asked */
};

/* conf_read.c: a block of these keys from a node (or NULL). NULL only when memory is short. */
struct conf *conf_bind(struct conf_tree *, const struct conf *parent, const char *path, const struct conf_key *keys,
	    const struct conf_key *of, const struct yaml_node *);

#define CONF_SECRET_FORM	"{file: PATH}, {env: NAME} or {credential: NAME}"

/* "a|b|c" as "a, b, c"; what does not fit is "...". */
void	conf_words_text(const char *words, char *ret, size_t n);

#endif
