/*
 * settings.h - the whole configuration: the table of all rooms' rows, and what only holds across rooms.
 *
 * Gives:   a checked struct conf; every room reads its own block of it.
 * Says:    all problems at once; no source or no sink is a warning, so that the shipped file is fine as installed.
 */
#ifndef RUN_SETTINGS_H
#define RUN_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/conf.h"

struct err;
struct source;

/* The top table; made at first use, from one thread. */
const struct conf_key *settings_table(void);

/* conf_load and the checks across blocks. -1 when there are errors; warnings alone are fine. */
int	settings_load(const char *path, struct conf **ret, struct problems *, struct err *);
/* The same of a text. */
int	settings_load_text(const char *name, struct slice yaml, struct conf **ret, struct problems *, struct err *);

/* "earliest", "latest" or an RFC 3339 time; false when it is none of them. *ret_start is a START_ of source/source.h. */
bool	settings_start(const char *text, int *ret_start, int64_t *ret_ms);
/* Sets start and start_ms from a `sources` item. */
void	settings_source_start(const struct conf *item, struct source *);
/* To an error of opening a `sources` or `sinks` item (`list`), in front: "FILE:LINE: LIST: NAME: ", unless its text has its place already. Returns -1. */
int	settings_place(const char *list, const struct conf *item, struct err *);
/* An address to listen on: "127.0.0.1:9464", "[::1]:9464" or "localhost:9464". */
bool	settings_is_loopback_address(const char *text);

/* One line a problem: "FILE:LINE: KEY: text"; warnings begin their text with "warning: ". */
void	problems_print(const struct problems *, FILE *);

#endif
