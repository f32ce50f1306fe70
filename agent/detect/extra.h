/*
 * extra.h - members of an event's AdditionalFields, one after the other, without reading the whole as JSON; and small readers of saved bytes.
 *
 * Takes:   any bytes; what is no JSON object ends early.
 * Gives:   slices into the text: keys and texts without their quotes and still escaped, all else as it stands there.
 */
#ifndef DETECT_EXTRA_H
#define DETECT_EXTRA_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

struct buf;

struct extra {
	struct slice	rest;
	struct slice	key, value;
	bool		text;		/* the value stood in quotes */
};
void	extra_begin(struct extra *, struct slice json);
bool	extra_next(struct extra *);		/* false: no more */
/* The value of one member, or empty. */
struct slice extra_get(struct slice json, const char *key);
/* The same, only of an object or a list: JSON as it stands. */
struct slice extra_get_json(struct slice json, const char *key);

/*
 * SipHash-2-4 of a stranger's text in lower case, so that an id in capitals is the same one; `what` tells apart equal texts of two kinds. The whole
 * text counts, however long. Never 0; 0 of an empty text: it is not told.
 */
uint64_t named_hash(const unsigned char key[16], const char *what, struct slice);

/* 16 bytes of an EventId of 32 lower-case hex digits; false: it is no such id. */
bool	id_bytes(struct slice id, unsigned char ret[16]);

/* Takes n bytes off the front of `in`; false: there are fewer. */
bool	saved_take(struct slice *in, void *to, size_t n);
/*
 * A plain item of n bytes, whole words and at most SAVED_WORDS of them, most of which are zero while it is young: a bit for each word, and the words
 * that are not zero.
 */
#define SAVED_WORDS	1024
void	saved_put_sparse(struct buf *, const void *item, size_t n);
bool	saved_take_sparse(struct slice *in, void *ret_item, size_t n);
/* A text with its length in front; cut at max when written, refused when longer. */
void	saved_put_text(struct buf *, struct slice, uint32_t max);
bool	saved_take_text(struct slice *in, struct slice *ret, uint32_t max);

/*
 * Event time that one lying record cannot move: a step of more than an hour ahead counts when a second event comes from there; a time
 * that sixteen events more have left behind than have come to goes back to theirs. Streams may be sparse: nothing waits for a crowd.
 */
#define EVENT_FAR_MS	3600000		/* further ahead than this is not believed at once */
struct event_time {
	int64_t		now_ms;			/* newest believed; 0: none yet */
	int64_t		ahead_ms, behind_ms;	/* where a step would lead */
	uint32_t	behind;			/* events far behind now_ms, less those that were not */
};
void	event_time_see(struct event_time *, int64_t t_ms);

/*
 * A stranger's text in a sentence: control characters, quotes, what is no UTF-8 and what turns or hides text (U+2000 to U+207F, U+FEFF) as
 * '?', cut at `max` bytes with "...". put_quoted stands it in double quotes.
 */
void	put_plain(struct buf *, struct slice, size_t max);
void	put_quoted(struct buf *, struct slice, size_t max);

#endif
