/*
 * note.h - the log. A message is a row of notes.tbl; its values are typed and cleaned.
 *
 * Form:    standard error, one line: "<3>sink held, everything is kept: sink=sentinel why=\"...\""
 *          (the <N> only when journald listens: JOURNAL_STREAM is set; else "aispm-agent: ").
 * Safe:    control characters, quotes and bytes that are not UTF-8 are escaped; a value is cut at 300 bytes.
 * Bounded: a row speaks at most `burst` times a minute; the next time it ends in "(N withheld)".
 * Only:    run/ and sinks/send.c call note().
 */
#ifndef BASE_NOTE_H
#define BASE_NOTE_H

#include <stdint.h>
#include "base/slice.h"

enum note_level { NOTE_ERROR = 3, NOTE_WARNING = 4, NOTE_NOTICE = 5, NOTE_INFO = 6, NOTE_DEBUG = 7 };

enum note_id {
#define NOTE(id, level, burst, sentence, help)	NOTE_##id,
#include "base/notes.tbl"
#undef NOTE
	NOTE_COUNT
};

struct note_arg {
	const char	*key;
	struct slice	 text;		/* used when .p is not NULL */
	int64_t		 number;
};

#define N_TEXT(k, s)	((struct note_arg){ (k), slice_of(s), 0 })
#define N_SLICE(k, s)	((struct note_arg){ (k), (s), 0 })
#define N_NUMBER(k, v)	((struct note_arg){ (k), { NULL, 0 }, (int64_t)(v) })

#define note(id, ...) \
	note_write(NOTE_##id, (const struct note_arg[]){ __VA_ARGS__ __VA_OPT__(,) { NULL, { NULL, 0 }, 0 } })

void	note_write(enum note_id, const struct note_arg *args);	/* ends at key NULL */
void	note_set_level(enum note_level least);
void	note_to_fd(int fd);		/* tests; -1 is silence. What was withheld is forgotten */

struct note_row { const char *id; enum note_level level; unsigned burst; const char *sentence, *help; };
const struct note_row *note_row(enum note_id);

#endif
