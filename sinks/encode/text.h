/*
 * text.h - a stranger's text inside a format that has its own signs: CEF's header, its extension, and the pairs of AdditionalExtensions.
 *
 * Rule:    one line of valid UTF-8 comes out, whatever goes in. What is not UTF-8 becomes U+FFFD, as in JSON; control characters
 *          become their pictures (U+2400 and on: an escape shows as U+241B); the line ends of Unicode become the format's own; the
 *          second set of control characters (U+0080 to U+009F) U+FFFD; what turns the direction of a text (U+200E, U+200F, U+202A to
 *          U+202E, U+2066 to U+2069) its name, as <U+202E>: who reads CEF reads it as it stands, and must not be shown another text.
 */
#ifndef SINKS_ENCODE_TEXT_H
#define SINKS_ENCODE_TEXT_H

#include <stdbool.h>
#include "base/slice.h"

struct buf;

struct text_sign {
	const char	*text;		/* what is written for it, or NULL: itself */
	uint8_t		 n;
	uint8_t		 counts;	/* bytes of the value that this is, at the far side */
	bool		 lossy;		/* cannot be read back */
};

struct text_style {
	struct text_sign	sign[0x80];
	char			own[4];		/* which of them have a sign besides control characters, all four filled */
	bool			json;		/* the text is JSON and stays so: what is odd beyond ASCII becomes \uXXXX */
};

extern const struct text_style text_cef_header;		/* \| \\, and a blank for a line end */
extern const struct text_style text_cef_value, text_cef_json;	/* \= \\ \n \r */
extern const struct text_style text_pair_value, text_pair_json;	/* \; \= \\ \n \r, and that inside a JSON string */

/*
 * Appends s; its value is at most `limit` bytes, whole characters. Adds to *used what the value is (NULL: no one asks).
 * False: it was cut, or holds what this style cannot give back.
 */
bool	text_put(struct buf *, const struct text_style *, struct slice s, size_t limit, size_t *used);

#endif
