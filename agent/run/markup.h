/*
 * markup.h - text in HTML and SVG.
 *
 * Takes:   any bytes, of whoever wrote them.
 * Gives:   characters that XML 1.0 and HTML allow there, with & < > " escaped; what is no UTF-8, no XML character, or would turn or
 *          command what is shown (utf8_odd) becomes U+FFFD, and a blank where it is a control character.
 */
#ifndef RUN_MARKUP_H
#define RUN_MARKUP_H

#include "base/slice.h"

struct buf;

void	markup_put(struct buf *out, struct slice text);
/* At most `most` characters of it; the last is an ellipsis where there are more. */
void	markup_put_cut(struct buf *out, struct slice text, size_t most);
/* 1234567 as 1,234,567. */
void	markup_put_number(struct buf *out, uint64_t v);

#endif
