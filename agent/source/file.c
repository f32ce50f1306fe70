/*
 * file.c - source `file`: the contract of source.h, and whose turn it is.
 *
 * Files with news wait in a line. A turn of the loop serves them for some milliseconds, each for at most a megabyte,
 * so that one big file does not starve the others nor the other sources.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <glob.h>
#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/loop.h"
#include "base/stat.h"
#include "source/file_source.h"
#include "source/source.h"

#define MARKER_STREAM	UINT64_C(0x6669727374736565)	/* says: this source has run before */

/* ---- what people see ------------------------------------------------------ */

void
file_say(struct file_source *fs, bool trouble, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	source_say(fs->s, trouble, text);
}

void
file_debug(struct file_source *fs, const char *fmt, ...)
{
	char text[320];
	va_list ap;

	if (fs->s->debug_line == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	source_debug(fs->s, text);
}

void
file_complain(struct file_source *fs, const char *path, const char *what, const char *advice)
{
	uint64_t sum = hash_keyed(path, strlen(path)) ^ hash_keyed(what, strlen(what));

	for (size_t i = 0; i < sizeof(fs->told) / sizeof(fs->told[0]); i++)
		if (fs->told[i] == sum)
			return;
	fs->told[fs->told_at++ % (sizeof(fs->told) / sizeof(fs->told[0]))] = sum;
	file_say(fs, true, "%.150s: %s; %s", path, what, advice);
}

/* ---- turns ---------------------------------------------------------------- */

static void
kick(struct file_source *fs)
{
	if (fs->started && !fs->paused && !loop_timer_is_set(fs->turn_timer))
		loop_timer_set(fs->turn_timer, 0);
}

void
file_ready(struct file_source *fs, struct file_tail *t)
{
	if (!t->ready) {
		t->ready = true;
		t->next_ready = NULL;
		if (fs->ready_last != NULL)
			fs->ready_last->next_ready = t;
		else
			fs->ready_first = t;
		fs->ready_last = t;
	}
	kick(fs);
}

static struct file_tail *
next_ready(struct file_source *fs)
{
	struct file_tail *t = fs->ready_first;

	if (t == NULL)
		return NULL;
	fs->ready_first = t->next_ready;
	if (fs->ready_first == NULL)
		fs->ready_last = NULL;
	t->next_ready = NULL;
	t->ready = false;
	return t;
}

/* Refused: the same record must be the next to be offered. */
static void
put_back_first(struct file_source *fs, struct file_tail *t)
{
	t->ready = true;
	t->next_ready = fs->ready_first;
	fs->ready_first = t;
	if (fs->ready_last == NULL)
		fs->ready_last = t;
}

static void
serve(struct file_source *fs, struct file_tail *t)
{
	switch (file_read(fs, t)) {
	case FILE_IDLE:
		break;
	case FILE_MORE:
		file_ready(fs, t);
		break;
	case FILE_REFUSED:
		put_back_first(fs, t);
		fs->paused = true;
		break;
	case FILE_GONE:
		file_track_drop(fs, t);
		break;
	}
}

/* The word that this source has run: from then on `start` does not hold any more. */
static bool
put_marker(struct file_source *fs)
{
	struct position at = { .stream = MARKER_STREAM, .len = 1, .bytes = { 0 } };

	if (fs->marker_due && !source_move(fs->s, &at))
		return false;
	fs->marker_due = false;
	return true;
}

static void
take_turns(void *arg)
{
	struct file_source *fs = arg;
	uint64_t began_ms = clock_mono_ms();
	struct file_tail *t;

	if (fs->paused)
		return;
	fs->now_ms = clock_wall_ms();
	if (!put_marker(fs) || !file_place_flush(fs))
		fs->paused = true;
	while (!fs->paused && clock_mono_ms() - began_ms < FILE_TURN_MS && (t = next_ready(fs)) != NULL)
		serve(fs, t);
	if (!fs->paused && !file_place_flush(fs))
		fs->paused = true;
	stat_set(fs->s->stats, STAT_SOURCE_LAG_BYTES, fs->lag);
	stat_set(fs->s->stats, STAT_SOURCE_STREAMS, fs->nfiles);
	stat_set(fs->s->stats, STAT_SOURCE_LEFT, fs->nleft);
	file_watch_plan(fs);
	if (fs->ready_first != NULL)
		kick(fs);
	else if (!fs->paused)
		source_idle(fs->s);
}

/* ---- the contract --------------------------------------------------------- */

/* Doubled slashes and "/./" go, so that a path is written in one way only. */
static char *
tidy_pattern(const char *text)
{
	char *out = malloc(strlen(text) + 1);
	size_t n = 0;

	for (size_t i = 0; out != NULL && text[i] != '\0'; i++) {
		if (text[i] == '/' && n > 0 && out[n - 1] == '/')
			continue;
		if (text[i] == '.' && n > 0 && out[n - 1] == '/' && text[i + 1] == '/') {
			i++;
			continue;
		}
		out[n++] = text[i];
	}
	if (out != NULL)
		out[n] = '\0';
	return out;
}

static int
copy_patterns(struct file_source *fs, const struct conf *conf)
{
	size_t n = conf_texts(conf, "paths");

	fs->patterns = calloc(n > 0 ? n : 1, sizeof(*fs->patterns));
	if (fs->patterns == NULL)
		return -1;
	for (; fs->npatterns < n; fs->npatterns++) {
		fs->patterns[fs->npatterns] = tidy_pattern(conf_text_at(conf, "paths", fs->npatterns));
		if (fs->patterns[fs->npatterns] == NULL)
			return -1;
	}
	return 0;
}

static int
file_open(struct source *s, const struct conf *conf, struct err *err)
{
	struct file_source *fs = calloc(1, sizeof(*fs));

	if (fs == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	s->priv = fs;
	fs->s = s;
	fs->inotify_fd = -1;
	fs->first_run = true;
	fs->max_record = (size_t)conf_bytes(conf, "max_record");
	fs->max_files = (size_t)conf_count(conf, "max_files");
	buf_init(&fs->chunk, fs->max_record + 2 * FILE_CHUNK_BYTES);
	if (copy_patterns(fs, conf) != 0)
		return err_set(err, ERR_AGAIN, "no memory for a source");
	fs->turn_timer = loop_timer_new(s->loop, take_turns, fs, err);
	return fs->turn_timer != NULL ? 0 : -1;
}

static int
file_restore(struct source *s, const struct position *at, struct err *err)
{
	struct file_source *fs = s->priv;

	fs->first_run = false;
	if (at->stream == MARKER_STREAM)
		return 0;
	return file_place_restore(fs, at, err);
}

/* A pattern's directory, as far as no wildcard stands in it, must be there: else it is likely a slip of the pen. */
static void
look_for_dirs(struct file_source *fs)
{
	char dir[4096];

	for (size_t i = 0; i < fs->npatterns; i++) {
		size_t n = strcspn(fs->patterns[i], "*?[");

		while (n > 1 && fs->patterns[i][n - 1] != '/')
			n--;
		if (n >= sizeof(dir))
			continue;
		memcpy(dir, fs->patterns[i], n);
		dir[n > 1 ? n - 1 : n] = '\0';
		if (access(dir, F_OK) != 0)
			file_complain(fs, dir, "there is no such directory", "nothing can be read there until there is; check paths");
	}
	if (fs->nfiles == 0)
		file_say(fs, false, "no file is there yet");
}

static int
file_start(struct source *s, struct err *err)
{
	struct file_source *fs = s->priv;

	fs->now_ms = clock_wall_ms();
	fs->marker_due = fs->first_run;
	file_place_start(fs);
	if (file_watch_start(fs, err) != 0)
		return -1;
	fs->started = fs->starting = true;
	file_watch_walk(fs);
	fs->starting = false;
	file_place_expire(fs);
	stat_set(s->stats, STAT_SOURCE_STREAMS, fs->nfiles);
	stat_set(s->stats, STAT_SOURCE_LEFT, fs->nleft);
	file_watch_plan(fs);
	look_for_dirs(fs);
	kick(fs);
	return 0;
}

static void
file_resume(struct source *s)
{
	struct file_source *fs = s->priv;

	fs->paused = false;
	kick(fs);
}

static bool
file_drained(struct source *s)
{
	const struct file_source *fs = s->priv;

	return fs->started && fs->nawaited == 0;
}

/* A directory that is not there may come, as a file may. */
static int
is_bar(const char *path, int why)
{
	(void)path;
	return why != ENOENT && why != ENOTDIR;
}

/* A pattern without a file is fine, but said. */
static void
file_probe(struct source *s)
{
	const struct file_source *fs = s->priv;
	struct err err = { 0 };
	char text[400];
	glob_t found;

	for (size_t i = 0; i < fs->npatterns && err.kind == ERR_NONE; i++) {
		int rc = glob(fs->patterns[i], GLOB_NOSORT, is_bar, &found);

		if (rc == GLOB_ABORTED)
			err_set(&err, ERR_DENIED, "%s: a directory on the way cannot be read by this user", fs->patterns[i]);
		snprintf(text, sizeof(text), "%.300s: no file is there yet", fs->patterns[i]);
		if (rc == GLOB_NOMATCH)
			s->say_line(s, true, text);
		for (size_t j = 0; err.kind == ERR_NONE && j < found.gl_pathc; j++)
			if (access(found.gl_pathv[j], R_OK) != 0)
				err_set_sys(&err, ERR_DENIED, "%s: cannot be read by this user", found.gl_pathv[j]);
		globfree(&found);
	}
	s->tell(s, err.kind != ERR_NONE ? &err : NULL);
}

static void
file_close(struct source *s)
{
	struct file_source *fs = s->priv;

	if (fs == NULL)
		return;
	file_track_free(fs);
	file_watch_free(fs);
	loop_timer_free(fs->turn_timer);
	buf_fini(&fs->chunk);
	for (size_t i = 0; i < fs->npatterns; i++)
		free(fs->patterns[i]);
	free(fs->patterns);
	free(fs);
	s->priv = NULL;
}

static const char *
wrong_path(const struct conf *block, const char *text)
{
	size_t n = strlen(text);

	(void)block;
	return text[0] == '/' && n > 1 && n < 4096 && text[n - 1] != '/' && strstr(text, "/../") == NULL ? NULL :
	    "an absolute path of files, where *, ? and [a-z] stand for part of a name";
}

static const struct conf_key file_keys[] = {
	{ .name = "paths", .type = CONF_TEXTS, .flags = CONF_REQUIRED, .allowed = "absolute paths with *, ? and [a-z]",
	  .wrong = wrong_path,
	  .help = "files to follow, plain or gzip, one record a line; rotated by renaming or copytruncate (which may lose lines)" },
	{ .name = "max_record", .type = CONF_BYTES, .fallback = "1MiB", .least = 1024, .most = 64 << 20,
	  .flags = CONF_ADVANCED, .help = "longest line; of a longer one its beginning goes to the dead letter" },
	{ .name = "max_files", .type = CONF_COUNT, .fallback = "65536", .least = 1, .most = FILE_FILES_MOST, .flags = CONF_ADVANCED,
	  .help = "files followed at once by this source; further ones are named in the log, counted, and taken up when others go" },
	CONF_END
};

const struct source_kind source_kind_file = {
	.name = "file",
	.help = "lines of local files",
	.keys = file_keys,
	.open = file_open,
	.restore = file_restore,
	.start = file_start,
	.resume = file_resume,
	.drained = file_drained,
	.close = file_close,
	.probe = file_probe,
};
