/*
 * encode.h - one event as the bytes a far side wants.
 *
 * Gives:   one `struct encoder` per row of encoders.tbl.
 * Takes:   any event; texts may hold anything a stranger wrote.
 * Fails:   ERR_FULL when `out` has no room: then out is as before.
 * Uses:    base/ model/.     Never: any I/O.
 */
#ifndef SINKS_ENCODE_ENCODE_H
#define SINKS_ENCODE_ENCODE_H

#include "model/event.h"

struct buf;
struct err;

#define ENCODE_COLUMN_BYTES	65536	/* the service cuts longer ones; we do it on a character and say so */

#define ENCODER_WORDS	"json|cef|commonsecuritylog|ocsf"		/* the rows of encoders.tbl, for people */

struct encoder {
	const char	*name;
	int	(*encode)(const struct event *, struct buf *out, struct err *);	/* appends one event, no line end */
};

#define ENCODER(name)	extern const struct encoder encoder_##name;
#include "sinks/encode/encoders.tbl"
#undef ENCODER

const struct encoder *encoder_find(const char *word);

#endif
