/*
 * yaml.h - a YAML file as a tree that remembers its lines. Home of libyaml.
 *
 * Takes:   one document; anchors, aliases and tags are refused (a configuration is plain data), and so are more than a few directives. Duplicate keys are refused, naming both lines.
 * Owns:    every node, until yaml_tree_free.
 * Fails:   by problems (file, line, what), several at once; ERR_CONFIG if there is any.
 */
#ifndef BASE_YAML_H
#define BASE_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

struct err;

/* Complaints, in the order they were found; printed "FILE:LINE: KEY: text". */
struct problem { char file[256]; unsigned line; char key[96]; char text[320]; bool warning; };
struct problems { struct problem *v; size_t n, cap; size_t errors; };
void	problems_init(struct problems *);
void	problems_fini(struct problems *);
bool	problems_full(const struct problems *);	/* what comes now is only counted: no need to look for words */
__attribute__((format(printf, 5, 6)))
void	problem_add(struct problems *, const char *file, unsigned line, const char *key, const char *fmt, ...);
__attribute__((format(printf, 5, 6)))
void	problem_warn(struct problems *, const char *file, unsigned line, const char *key, const char *fmt, ...);

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
	enum yaml_kind		 kind;
	unsigned		 line;		/* from 1 */
	const char		*file;		/* as given, lives as long as the tree */
	const char		*text;		/* scalar: its text, NUL-terminated (no NUL inside) */
	size_t			 text_n;
	uint32_t		 hash;		/* of the text */
	bool			 quoted;	/* scalar in quotes: never null, bool or number */
	struct yaml_node	*key;		/* as a member of a map: its key, else NULL */
	struct yaml_node	*first, *next;	/* children (of a map: the values) and sibling */
	size_t			 children;
};

struct yaml_tree;		/* one or more files' nodes */

struct yaml_tree *yaml_tree_new(void);
void	yaml_tree_free(struct yaml_tree *);
/* Root node, or NULL with problems added (an empty file is an empty map). At most 4 MiB, depth 32. */
struct yaml_node *yaml_read_file(struct yaml_tree *, const char *path, struct problems *);
struct yaml_node *yaml_read_text(struct yaml_tree *, const char *name, struct slice text, struct problems *);

struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);	/* or NULL */
bool	yaml_is_null(const struct yaml_node *);		/* plain empty, ~, null */
/* The word of `words` ("a|b|c") nearest to `text` by edit distance at most 2, or NULL: for "did you mean". */
const char *nearest_word(const char *text, const char *words, char *ret, size_t ret_n);

#endif
