/*
 * wire.h - an event as bytes, for the spool: version 1.
 *
 * Format:  u8 version (1), u8 count of columns, then per present column in ascending order
 *          u8 column number; TEXT, JSON: u32 LE length and the bytes; else i64 or IEEE double LE.
 *          Readers skip nothing: a column number they do not know is ERR_LOST.
 * Limits:  WIRE_MAX_BYTES an event.
 */
#ifndef MODEL_WIRE_H
#define MODEL_WIRE_H

#include "model/event.h"

#define WIRE_MAX_BYTES	(4u << 20)

struct buf;
struct err;

/* Appends. ERR_FULL when out or the limit is reached: then out is as before. */
int	wire_put(const struct event *, struct buf *out, struct err *);
/* Texts point into `bytes`. Takes anything: ERR_LOST when it is not an event. */
int	wire_get(struct slice bytes, struct event *ret, struct err *);

#endif
