/*
 * conf.h - settings: rows of a table, values from YAML, checked once.
 *
 * Gives:   typed values of a block, defaults filled in; reading a name that is not in the table is a bug (assert).
 * Says:    every problem at once, "FILE:LINE: KEY: what is wrong and what is allowed".
 * Also:    --help and the manual are made from the same rows.
 * Secrets: {file: P}, {env: NAME} or {credential: NAME}; read at use, never kept, never printed.
 */
#ifndef BASE_CONF_H
#define BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/yaml.h"

struct buf;
struct conf;
struct err;

enum conf_type {
	CONF_TEXT,
	CONF_WORD,	/* one of `allowed`, "a|b|c"; with `keys` also a block: `activity: {summarize: 5m}` */
	CONF_BOOL,	/* true or false */
	CONF_COUNT,	/* whole number, least..most */
	CONF_REAL,	/* number, least..most */
	CONF_BYTES,	/* 512, 64KiB, 4GiB, 10MB; in bytes */
	CONF_TIME,	/* 500ms, 5s, 10m, 2h, 7d; in ms */
	CONF_SECRET,
	CONF_TEXTS,	/* list of texts; a lone text is a list of one */
	CONF_MAP,	/* free names to texts */
	CONF_BLOCK,	/* keys below, by `keys` and `variant` */
	CONF_BLOCKS,	/* list of such */
};

enum { CONF_REQUIRED = 1, CONF_ADVANCED = 2, CONF_FILE = 4, CONF_PRIVATE = 8 };	/* a CONF_TEXT that names a file that must be there; with a secret in it */

struct conf_key {
	const char		*name;
	enum conf_type		 type;
	unsigned		 flags;
	const char		*fallback;	/* as it would stand in YAML, or NULL: absent */
	const char		*allowed;	/* CONF_WORD: the words; others: shown to people */
	double			 least, most;	/* both 0: no limit. CONF_BLOCKS: how many, at most */
	const struct conf_key	*keys;		/* CONF_BLOCK(S): ends at name NULL */
	/* CONF_BLOCK(S) whose keys also depend on one word of theirs, `variant_key` ("type"): */
	const char		*variant_key;
	const struct conf_key	*(*variant)(const char *word);	/* more keys, or NULL: no such word */
	const char		*variant_words;			/* "file|kafka", for the message */
	/*
	 * A further check of a value that was given: says what is allowed, or NULL: fine. CONF_TEXT(S: each) with its text,
	 * CONF_BLOCK(S: each) with the block itself and NULL. Comes when all of the block is read: neighbours may be asked.
	 */
	const char		*(*wrong)(const struct conf *block, const char *text);
	const char		*help;
};
#define CONF_END	{ .name = NULL }

/*
 * Reads FILE and the conf.d/ *.yaml beside it (sorted). Lists of blocks are joined; a
 * single value given in two files is a problem that names both. -1 if problems has errors.
 */
int	conf_load(const char *path, const struct conf_key *top, struct conf **ret,
	    struct problems *, struct err *);
int	conf_load_text(const char *name, struct slice yaml, const struct conf_key *top,
	    struct conf **ret, struct problems *, struct err *);
void	conf_free(struct conf *);		/* the top one; NULL is fine */

bool	conf_given(const struct conf *, const char *name);	/* stood in a file (not the fallback) */
const char *conf_text(const struct conf *, const char *name);	/* NULL: absent. CONF_TEXT, CONF_WORD (NULL too if it is a block) */
bool	conf_bool(const struct conf *, const char *name);
int64_t	conf_count(const struct conf *, const char *name);
double	conf_real(const struct conf *, const char *name);
uint64_t conf_bytes(const struct conf *, const char *name);
uint64_t conf_ms(const struct conf *, const char *name);
size_t	conf_texts(const struct conf *, const char *name);		/* how many */
const char *conf_text_at(const struct conf *, const char *name, size_t i);
size_t	conf_map(const struct conf *, const char *name);
const char *conf_map_key(const struct conf *, const char *name, size_t i);
const char *conf_map_value(const struct conf *, const char *name, size_t i);
/* NULL: absent. A BLOCK without a variant and without a required key is never NULL: then it is made of fallbacks. */
const struct conf *conf_block(const struct conf *, const char *name);
size_t	conf_blocks(const struct conf *, const char *name);
const struct conf *conf_block_at(const struct conf *, const char *name, size_t i);

/* Appends the secret (final newline cut); ERR_CONFIG names the place and the source, never the value. */
int	conf_secret(const struct conf *, const char *name, struct buf *out, struct err *);
/* Warns of each secret (and CONF_FILE, CONF_PRIVATE) that is not there or cannot be read, or that everyone can; they are not opened. Root also asks
 * whether `user` (NULL: nobody) could read each; a user that is not there is not asked for. */
void	conf_look_at_secrets(const struct conf *, const char *user, struct problems *);
/* "agent.yaml:12" of a value, else of its block. */
const char *conf_file(const struct conf *, const char *name);
unsigned conf_line(const struct conf *, const char *name);
/* For a room's own check after loading. */
__attribute__((format(printf, 4, 5)))
void	conf_problem(const struct conf *, const char *name, struct problems *, const char *fmt, ...);

/* A time or a size as the configuration takes it, "90s", "64KiB"; false when it is not one. */
bool	conf_parse_time(const char *text, uint64_t *ret_ms);
bool	conf_parse_bytes(const char *text, uint64_t *ret_bytes);

/* Walks a table for --help and the manual: depth-first, a block's own values before the blocks in it; path like "sinks[](sentinel).auth(client_secret).tenant". */
void	conf_describe(const struct conf_key *top,
	    void (*row)(void *arg, const char *path, const struct conf_key *), void *arg);
/* A key's type for people: "duration, 1s to 1h", "a|b|c". */
void	conf_key_type_text(const struct conf_key *, char *ret, size_t n);

#endif
