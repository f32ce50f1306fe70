/*
 * frame.h - one encoded event as a syslog message, and messages as a stream of bytes.
 *
 * Headers: RFC 5424 `<PRI>1 TIME HOST aispm-agent - - - MSG`, time in UTC with milliseconds; or RFC 3164 `<PRI>Mmm dd hh:mm:ss HOST MSG`,
 *          time local as that document has it, without HOST on a Unix socket; MSG begins with "CEF:", or with the tag "aispm-agent: ".
 * Framing: RFC 6587: "LENGTH MSG" (octet counting) or MSG and a newline. A message for newlines that holds one is refused.
 */
#ifndef SINKS_SYSLOG_FRAME_H
#define SINKS_SYSLOG_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include "base/slice.h"

struct batch;
struct buf;
struct err;

enum frame_header { FRAME_RFC5424, FRAME_RFC3164 };
enum framing { FRAMING_NEWLINE, FRAMING_OCTETS, FRAMING_NONE };

struct frame_style {
	enum frame_header	header;
	enum framing		framing;
	unsigned		facility;	/* 0 to 23 */
	const char		*host;		/* this machine; NULL: stays out (RFC 3164) */
	size_t			max_bytes;	/* of a message */
};

/* Appends entry i of the batch. ERR_DATA: it cannot be sent this way; then out is as before. ERR_AGAIN: no memory. */
int	frame_put(const struct frame_style *, const struct batch *, size_t i, struct buf *out, struct err *);
/* A host name that may stand in a header: printable, no blanks; "-" otherwise. */
void	frame_host(char *ret, size_t n);

#endif
