/*
 * value.h - a column as a JSON value: what json, commonsecuritylog and ocsf have in common.
 *
 * Rule:    a text longer than the service takes is cut on a character; where a cut would break JSON it is replaced by its length.
 * Rule:    whatever the column holds, what is written is one JSON value on one line, also for readers that break lines at U+2028.
 */
#ifndef SINKS_ENCODE_VALUE_H
#define SINKS_ENCODE_VALUE_H

#include "model/event.h"

struct buf;
struct err;

/* The columns to write: those present, but for reals that JSON cannot say, and TruncatedFields, which comes last. */
uint64_t value_columns(const struct event *);
/* Appends the column f, one of them. False: it was cut. */
bool	value_put_json(struct buf *, const struct event *, int f);
/* The same as a JSON string, whatever its type: times in RFC 3339. */
bool	value_put_string(struct buf *, const struct event *, int f);
/* INT columns have 32 bits at the far side. */
int64_t	value_int(int64_t);

/* How many bytes of s may be written so that its UTF-8 form holds at most `limit`, whole characters; broken bytes count three. */
size_t	value_fit(struct slice s, size_t limit);
/* Columns that hold JSON, as text or as JSON: never cut, but replaced. */
bool	value_is_json(int f);
/* What stands for a JSON text of n bytes that is too long; returns its length. */
#define VALUE_STAND_IN_BYTES	64
size_t	value_stand_in(char ret[VALUE_STAND_IN_BYTES], size_t n);

/* "A,B": what the event says was cut before, and the columns of `cut`. */
#define VALUE_NAMES_BYTES	4096
size_t	value_cut_names(char ret[VALUE_NAMES_BYTES], const struct event *, uint64_t cut);

/* The last word on a row of JSON that begins at `before`: escapes the line ends of Unicode; takes it back where there was no room. */
int	value_finish(struct buf *, size_t before, struct err *);

#endif
