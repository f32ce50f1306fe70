/*
 * csv.h - one line of a CSV of times and numbers (RFC 4180, without line breaks inside quotes).
 *
 * Gives:   its columns as they stand there, quotes included; and what a column means.
 */
#ifndef RUN_CSV_H
#define RUN_CSV_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

/* Takes the next column off `line`, verbatim. After the last one the line is SLICE_NONE, and then there is none. */
bool	csv_field(struct slice *line, struct slice *ret);
bool	csv_is_blank(struct slice line);
bool	csv_name(struct slice field, const char *name);		/* case, blanks and quotes aside */
/* RFC 3339, or the same without a zone, which is UTC; T or a blank between day and time. */
bool	csv_time(struct slice field, int64_t *ret_unix_ms);
bool	csv_number(struct slice field, double *ret);		/* finite */

#endif
