/*
 * record.h - one raw record as a source found it, and where that source stands after it.
 */
#ifndef MODEL_RECORD_H
#define MODEL_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

struct record {
	struct slice	 bytes;		/* borrowed */
	bool		 padded;	/* BUF_SLACK bytes behind it may be read */
	const char	*source;	/* the source's name in the configuration */
	uint64_t	 arrived_ms;	/* wall clock */
	bool		 relay;		/* its source may bring events of another agent: they are believed */
	const char	*unreadable;	/* not NULL: the source already knows why (too long, bad gzip); bytes may be a part */
};

#define POSITION_BYTES	63

/* Where one stream of a source stands: a file, a partition, a cursor of an API. Opaque to all but its source. */
struct position {
	uint64_t	stream;		/* which of the source's streams; stable over restarts */
	uint8_t		len;		/* 0: the stream is gone, forget it */
	unsigned char	bytes[POSITION_BYTES];
};

#endif
