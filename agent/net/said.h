/*
 * said.h - words of a far side, made fit for a log, a status and a terminal.
 *
 * Gives:   one line of printable ASCII, cut at a length; credentials in it are put out of sight.
 * Hides:   what follows Bearer, Basic, SharedKey, SharedAccessSignature, and the values of words such as password, secret, sig, assertion,
 *          cookie; user and password in a URL; and runs of 24 and more characters that look like a key or token wherever they stand.
 * Note:    a guess by looks. Who knows the secret that was sent compares with that as well (said_repeats).
 */
#ifndef NET_SAID_H
#define NET_SAID_H

#include <stdbool.h>
#include "base/slice.h"

struct buf;

#define SAID_HIDDEN	"[hidden]"
#define SAID_SLACK	64	/* who cuts a text before said_clean leaves so much more, or half a token might not look like one */

/* In place; at most `most` bytes are left. */
void	said_clean(struct buf *, size_t most);
/* The same into ret, which has n bytes with the NUL. */
void	said_copy(struct slice text, char *ret, size_t n);
/* Whether any `run` bytes in a row of `text` stand in `sent` (all of `sent`, when it is shorter). */
bool	said_repeats(struct slice text, struct slice sent, size_t run);

#endif
