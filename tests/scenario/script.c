/* script.c - the reader of scenario files. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "script.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/slice.h"

#define LINE_BYTES	4096
#define WORDS		24

struct reader {
	const char		*path;
	unsigned		 line;
	const struct form	*forms;
	struct script		*script;
	char			*say;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static int
complain(struct reader *r, const char *what, const char *allowed)
{
	snprintf(r->say, 512, "%s:%u: %s; allowed: %s", r->path, r->line, what, allowed);
	return -1;
}

/* ---- words --------------------------------------------------------------------- */

/* One word at *at into `out`; false: a quote without its end, or an escape that is none. */
static bool
take_word(const char **at, char *out)
{
	const char *p = *at;

	if (*p != '"') {
		while (*p != '\0' && !isspace((unsigned char)*p))
			*out++ = *p++;
	} else {
		for (p++; *p != '"'; p++) {
			if (*p == '\0')
				return false;
			if (*p == '\\') {
				static const char from[] = "nt\"\\", to[] = "\n\t\"\\";
				const char *hit = p[1] != '\0' ? strchr(from, p[1]) : NULL;

				if (hit == NULL)
					return false;
				*out++ = to[hit - from];
				p++;
			} else {
				*out++ = *p;
			}
		}
		p++;
		if (*p != '\0' && !isspace((unsigned char)*p))
			return false;
	}
	*out = '\0';
	*at = p;
	return true;
}

/* Words of a line into `v`, which point into `store`. -1: not words. */
static int
split(const char *line, char *store, char *v[WORDS])
{
	int n = 0;

	for (;;) {
		while (isspace((unsigned char)*line))
			line++;
		if (*line == '\0' || *line == '#')
			return n;
		if (n == WORDS || !take_word(&line, store))
			return -1;
		v[n++] = store;
		store += strlen(store) + 1;
	}
}

/* ---- places ---------------------------------------------------------------------- */

static bool
is_number(const char *s, uint64_t least, uint64_t most)
{
	int64_t v;

	return slice_to_i64(slice_of(s), &v) && v >= 0 && (uint64_t)v >= least && (uint64_t)v <= most;
}

static bool
is_path(const char *s)
{
	return strncmp(s, "$TMP/", 5) == 0 && s[5] != '\0' && strlen(s) < 200 && strstr(s, "..") == NULL;
}

static bool
is_size_of(const char *s)
{
	size_t n = strlen(s);
	char path[LINE_BYTES];

	if (strncmp(s, "size(", 5) != 0 || s[n - 1] != ')')
		return false;
	snprintf(path, sizeof(path), "%.*s", (int)(n - 6), s + 5);
	return is_path(path);
}

static bool
is_range(const char *s)
{
	unsigned from, to;
	char rest;
	int n = sscanf(s, "%u-%u%c", &from, &to, &rest);

	return (n == 1 && is_number(s, 1, 999999)) || (n == 2 && from >= 1 && from <= to && to <= 999999);
}

static bool
is_name(const char *s)
{
	return *s != '\0' && strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-") == strlen(s);
}

static const struct place {
	const char	*word, *allowed;
} places[] = {
	{ "PATH", "a path that begins with $TMP/" },
	{ "COUNT", "a whole number, or size($TMP/...) in an expectation" },
	{ "STATUS", "an HTTP status, 200 to 599" },
	{ "TIME", "a time such as 500ms, 30s, 2h" },
	{ "BYTES", "a size such as 64KiB" },
	{ "RANGE", "a record's number, or from-to" },
	{ "NAME", "a name of letters, digits, _ . / and -" },
	{ "TEXT", "a \"text\"" },
};

static const struct place *
place_of(const char *word, size_t n)
{
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (strlen(places[i].word) == n && memcmp(places[i].word, word, n) == 0)
			return &places[i];
	return NULL;
}

static bool
fits(const struct place *p, const char *value, bool expects)
{
	uint64_t v;

	switch (p->word[0] * 256 + p->word[1]) {
	case 'P' * 256 + 'A':
		return is_path(value);
	case 'C' * 256 + 'O':
		return is_number(value, 0, INT64_MAX) || (expects && is_size_of(value));
	case 'S' * 256 + 'T':
		return is_number(value, 200, 599);
	case 'T' * 256 + 'I':
		return conf_parse_time(value + (value[0] == '+'), &v);
	case 'B' * 256 + 'Y':
		return conf_parse_bytes(value, &v);
	case 'R' * 256 + 'A':
		return is_range(value);
	case 'N' * 256 + 'A':
		return is_name(value);
	default:
		return true;
	}
}

/* ---- matching a form --------------------------------------------------------------- */

struct match {
	size_t			 matched;	/* words that agree before the first that does not */
	const struct place	*wrong;		/* the place that does not */
	char			*args[STEP_ARGS];
	bool			 whole;
};

static void
match(const struct form *f, char **v, int n, struct match *ret)
{
	const char *at = f->words;
	size_t nargs = 0;
	int i = 0;

	*ret = (struct match){ 0 };
	while (*at != '\0') {
		size_t len = strcspn(at, " ");
		const struct place *p = place_of(at, len);

		if (i == n)
			return;
		if (p != NULL && !fits(p, v[i], f->expects)) {
			ret->wrong = p;
			return;
		}
		if (p == NULL && (strlen(v[i]) != len || memcmp(v[i], at, len) != 0))
			return;
		if (p != NULL && nargs < STEP_ARGS)
			ret->args[nargs++] = v[i];
		ret->matched = (size_t)++i;
		at += len + (at[len] == ' ');
	}
	ret->whole = i == n;
}

/* No form takes the line: the forms that went furthest with it are what is allowed. */
static int
no_form(struct reader *r, char **v, int n)
{
	char what[256], allowed[400] = "";
	const struct place *wrong = NULL;
	size_t furthest = 0;
	struct match m;

	for (const struct form *f = r->forms; f->words != NULL; f++) {
		match(f, v, n, &m);
		if (m.matched > furthest || (m.matched == furthest && wrong == NULL)) {
			furthest = m.matched;
			wrong = m.wrong;
		}
	}
	if (furthest < (size_t)n)
		snprintf(what, sizeof(what), "\"%.80s\" is not expected%s%.80s%s", v[furthest],
		    furthest > 0 ? " behind \"" : "", furthest > 0 ? v[furthest - 1] : "", furthest > 0 ? "\"" : "");
	else
		snprintf(what, sizeof(what), "the statement is not complete");
	if (wrong != NULL)
		return complain(r, what, wrong->allowed);
	for (const struct form *f = r->forms; f->words != NULL; f++) {
		size_t used = strlen(allowed);

		match(f, v, n, &m);
		if (m.matched != furthest || used + strlen(f->words) + 4 >= sizeof(allowed))
			continue;
		snprintf(allowed + used, sizeof(allowed) - used, "%s%s", used > 0 ? " | " : "", f->words);
	}
	return complain(r, what, allowed);
}

static int
add_step(struct reader *r, char **v, int n)
{
	struct script *s = r->script;
	struct match m = { 0 };
	struct step *step;
	const struct form *f = r->forms;

	for (; f->words != NULL; f++) {
		match(f, v, n, &m);
		if (m.whole)
			break;
	}
	if (f->words == NULL)
		return no_form(r, v, n);
	s->steps = must(realloc(s->steps, (s->n + 1) * sizeof(*s->steps)));
	step = &s->steps[s->n++];
	*step = (struct step){ .form = f, .line = r->line };
	for (size_t i = 0; i < STEP_ARGS && m.args[i] != NULL; i++)
		step->args[i] = must(strdup(m.args[i]));
	return 0;
}

/* ---- the file ------------------------------------------------------------------------ */

static char *
next_line(struct reader *r, FILE *f, char line[LINE_BYTES])
{
	if (fgets(line, LINE_BYTES, f) == NULL)
		return NULL;
	r->line++;
	return line;
}

static bool
is_lone(const char *line, const char *word)
{
	char *v[WORDS], store[2 * LINE_BYTES];

	return split(line, store, v) == 1 && strcmp(v[0], word) == 0;
}

/* The lines up to a lone }, as they are. */
static int
take_block(struct reader *r, FILE *f, struct step *step)
{
	unsigned began = r->line;
	char line[LINE_BYTES];
	size_t n = 0;

	step->block = must(calloc(1, 1));
	while (next_line(r, f, line) != NULL) {
		size_t len = strlen(line);

		if (is_lone(line, "}"))
			return 0;
		step->block = must(realloc(step->block, n + len + 1));
		memcpy(step->block + n, line, len + 1);
		n += len;
	}
	r->line = began;
	return complain(r, "the block has no end", "a line with } alone behind it");
}

static int
read_group(struct reader *r, FILE *f, const char *word)
{
	unsigned began = r->line;
	char line[LINE_BYTES], whole[2 * LINE_BYTES], store[4 * LINE_BYTES];
	char *v[WORDS];

	while (next_line(r, f, line) != NULL) {
		int n;

		if (is_lone(line, "}"))
			return 0;
		snprintf(whole, sizeof(whole), "%s %s", word, line);
		n = split(whole, store, v);
		if (n < 0)
			return complain(r, "the line cannot be split into words", "words, and \"texts\" with \\n \\t \\\" \\\\");
		if (n > 1 && add_step(r, v, n) != 0)
			return -1;
	}
	r->line = began;
	return complain(r, "the block has no end", "a line with } alone behind it");
}

static void
take_about(struct reader *r, const char *line)
{
	if (r->script->about[0] != '\0' || line[0] != '#')
		return;
	line += 1 + strspn(line + 1, " ");
	snprintf(r->script->about, sizeof(r->script->about), "%.*s", (int)strcspn(line, "\n"), line);
}

static int
read_line(struct reader *r, FILE *f, const char *line)
{
	char store[2 * LINE_BYTES], *v[WORDS];
	int n = split(line, store, v);

	take_about(r, line);
	if (n < 0)
		return complain(r, "the line cannot be split into words", "words, and \"texts\" with \\n \\t \\\" \\\\");
	if (n == 0)
		return 0;
	if (n == 2 && strcmp(v[1], "{") == 0 && (strcmp(v[0], "server") == 0 || strcmp(v[0], "tokens") == 0))
		return read_group(r, f, v[0]);
	if (add_step(r, v, n) != 0)
		return -1;
	return strcmp(v[n - 1], "{") == 0 ? take_block(r, f, &r->script->steps[r->script->n - 1]) : 0;
}

int
script_read(struct script *ret, const char *path, const struct form *forms, char say[512])
{
	struct reader r = { .path = path, .forms = forms, .script = ret, .say = say };
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	char line[LINE_BYTES];
	FILE *f = fopen(path, "r");
	int rc = 0;

	*ret = (struct script){ 0 };
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(base, "."), base);
	if (f == NULL) {
		snprintf(say, 512, "%s: %s", path, strerror(errno));
		return -1;
	}
	while (rc == 0 && next_line(&r, f, line) != NULL)
		rc = read_line(&r, f, line);
	fclose(f);
	if (rc == 0 && ret->n == 0)
		rc = complain(&r, "there is no step in it", "statements, one a line");
	if (rc != 0)
		script_free(ret);
	return rc;
}

void
script_free(struct script *s)
{
	for (size_t i = 0; i < s->n; i++) {
		for (size_t k = 0; k < STEP_ARGS; k++)
			free(s->steps[i].args[k]);
		free(s->steps[i].block);
	}
	free(s->steps);
	s->steps = NULL;
	s->n = 0;
}

/* ---- values ---------------------------------------------------------------------------- */

uint64_t
step_count(const struct step *s, size_t i)
{
	int64_t v = 0;

	if (!slice_to_i64(slice_of(s->args[i]), &v))
		abort();
	return (uint64_t)v;
}

uint64_t
step_ms(const struct step *s, size_t i)
{
	uint64_t v = 0;

	if (!conf_parse_time(s->args[i] + (s->args[i][0] == '+'), &v))
		abort();
	return v;
}

uint64_t
step_bytes(const struct step *s, size_t i)
{
	uint64_t v = 0;

	if (!conf_parse_bytes(s->args[i], &v))
		abort();
	return v;
}

void
step_range(const struct step *s, size_t i, unsigned *ret_from, unsigned *ret_to)
{
	unsigned from = 0, to = 0;
	int n = sscanf(s->args[i], "%u-%u", &from, &to);

	*ret_from = from;
	*ret_to = n == 2 ? to : from;
}
