/* note.c - one clean line a message, and not too many of them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/note.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define LINE_BYTES	4096	/* PIPE_BUF: one write is one piece */
#define VALUE_BYTES	300
#define MINUTE_MS	60000

static const struct note_row rows[NOTE_COUNT] = {
#define NOTE(id, level, burst, sentence, help)	{ #id, level, burst, sentence, help },
#include "base/notes.tbl"
#undef NOTE
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int least = NOTE_INFO;
static _Atomic int out_fd = STDERR_FILENO;
static struct { uint64_t minute_ms; unsigned said, withheld; } spoken[NOTE_COUNT];

const struct note_row *
note_row(enum note_id id)
{
	return &rows[id];
}

void
note_set_level(enum note_level level)
{
	least = (int)level;
}

void
note_to_fd(int fd)
{
	pthread_mutex_lock(&lock);
	out_fd = fd;
	memset(spoken, 0, sizeof(spoken));
	pthread_mutex_unlock(&lock);
}

struct line {
	char	text[LINE_BYTES];
	size_t	n;
};

static void
put(struct line *l, const char *p, size_t n)
{
	if (n > sizeof(l->text) - 1 - l->n)
		n = sizeof(l->text) - 1 - l->n;
	memcpy(l->text + l->n, p, n);
	l->n += n;
}

/* Printable text as it is; everything that could forge a line, a colour or a field as \xNN. */
static void
put_value(struct line *l, struct slice s)
{
	size_t n = utf8_cut(s, VALUE_BYTES);

	put(l, "\"", 1);
	for (size_t i = 0; i < n;) {
		size_t good = utf8_valid_prefix(slice_make(s.p + i, n - i));
		size_t end = i + (good > 0 ? good : 1);

		for (; i < end; i++) {
			unsigned char c = (unsigned char)s.p[i];
			unsigned code;
			size_t odd = good > 0 ? utf8_odd(slice_make(s.p + i, end - i), &code) : 1;
			char hex[5];

			if (odd > 0 || c < 0x20) {
				for (size_t last = i + (odd > 0 ? odd : 1); i < last; i++) {
					snprintf(hex, sizeof(hex), "\\x%02x", (unsigned char)s.p[i]);
					put(l, hex, 4);
				}
				i--;
			} else if (c == '"' || c == '\\') {
				put(l, "\\", 1);
				put(l, &s.p[i], 1);
			} else {
				put(l, &s.p[i], 1);
			}
		}
	}
	put(l, n < s.n ? "...\"" : "\"", n < s.n ? 4 : 1);
}

static void
put_number(struct line *l, int64_t v)
{
	char text[24];
	int n = snprintf(text, sizeof(text), "%lld", (long long)v);

	put(l, text, (size_t)n);
}

/* Whether this row may speak now; counts it either way. */
static bool
may_speak(enum note_id id, unsigned *ret_withheld)
{
	uint64_t now_ms = clock_mono_ms();

	*ret_withheld = 0;
	if (now_ms - spoken[id].minute_ms >= MINUTE_MS) {
		*ret_withheld = spoken[id].withheld;
		spoken[id].minute_ms = now_ms;
		spoken[id].said = spoken[id].withheld = 0;
	}
	if (spoken[id].said >= rows[id].burst) {
		spoken[id].withheld++;
		return false;
	}
	spoken[id].said++;
	return true;
}

static void
write_line(enum note_id id, const struct note_arg *args, unsigned withheld)
{
	struct line l = { .n = 0 };
	char prefix[4] = { '<', (char)('0' + rows[id].level), '>', '\0' };

	if (isatty(out_fd) == 1)
		put(&l, "\r\033[K", 4);		/* how far long work is may stand on this line */
	if (getenv("JOURNAL_STREAM") != NULL)
		put(&l, prefix, 3);
	else
		put(&l, "aispm-agent: ", 13);
	put(&l, rows[id].sentence, strlen(rows[id].sentence));
	for (const struct note_arg *a = args; a->key != NULL; a++) {
		put(&l, a == args ? ": " : " ", a == args ? 2 : 1);
		put(&l, a->key, strlen(a->key));
		put(&l, "=", 1);
		if (a->text.p != NULL)
			put_value(&l, a->text);
		else
			put_number(&l, a->number);
	}
	if (withheld > 0) {
		put(&l, " (", 2);
		put_number(&l, withheld);
		put(&l, " withheld)", 10);
	}
	l.n = utf8_valid_prefix(slice_make(l.text, l.n));	/* a full line may end in half a character */
	l.text[l.n++] = '\n';			/* put() left room for it */
	if (write(out_fd, l.text, l.n) < 0)
		return;				/* nobody listens: nothing to be done about it */
}

void
note_write(enum note_id id, const struct note_arg *args)
{
	unsigned withheld;

	if ((int)rows[id].level > least || out_fd < 0)
		return;
	pthread_mutex_lock(&lock);
	if (may_speak(id, &withheld))
		write_line(id, args, withheld);
	pthread_mutex_unlock(&lock);
}
