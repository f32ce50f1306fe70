/* manual.c - help on the terminal: the commands, and all settings from their tables. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/manual.h"

#include <string.h>
#include <sysexits.h>

#include "base/conf.h"
#include "run/cli.h"
#include "run/settings.h"
#include "sinks/sink.h"
#include "source/source.h"

const struct manual_exit manual_exits[] = {
	{ EX_OK, "done" },
	{ 1, "posture: a requirement of the control fails" },
	{ EX_USAGE, "the command line is wrong" },
	{ EX_DATAERR, "input that cannot be read; run --once: delivered, but some records or events were set aside; "
	  "spool verify: damage found; spool dead --replay: some could not be read again" },
	{ EX_UNAVAILABLE, "a service is unavailable; run --once: not everything was acknowledged in time; status: no agent runs; run, spool repair, dead --replay: another agent works on the state directory" },
	{ EX_IOERR, "input or output failed on this machine" },
	{ EX_CONFIG, "the configuration is wrong; aispm-agent check says what and where" },
	{ 0, NULL },
};

/* ---- walking the settings ------------------------------------------------------------ */

struct walk {
	const struct manual_see	*see;
	void			*arg;
	char			 group[256];	/* as in the path, "sinks[](file)" */
};

/* The block's part of a path: all before the last dot that stands outside of parentheses. */
static size_t
block_length(const char *path)
{
	size_t at = 0;
	int inside = 0;

	for (size_t i = 0; path[i] != '\0'; i++) {
		inside += (path[i] == '(') - (path[i] == ')');
		if (path[i] == '.' && inside == 0)
			at = i;
	}
	return at;
}

/* "sinks[](sentinel).auth" -> "sinks[].auth"; with `say`, "sinks[].auth, type sentinel" for the title. */
static void
without_words(const char *path, const char *say, char *ret, size_t n)
{
	char words[128] = "";
	size_t at = 0, w = 0;

	for (; *path != '\0' && at + 1 < n; path++) {
		if (*path == '(') {
			size_t len = strcspn(++path, ")");

			w += (size_t)snprintf(words + w, sizeof(words) - w, "%s%.*s", w > 0 ? ", then " : say, (int)len, path);
			w = w < sizeof(words) ? w : sizeof(words) - 1;
			path += len - (path[len] == '\0');
		} else {
			ret[at++] = *path;
		}
	}
	ret[at] = '\0';
	if (say[0] != '\0' && w > 0)
		snprintf(ret + at, n - at, "%s", words);
}

/* What the kind of a source or sink says of itself. */
static const char *
kind_help(const char *group)
{
	const size_t n = strcspn(group, "(");
	const struct source_kind *source;
	const struct sink_kind *sink;
	char word[64];

	if (group[n] == '\0' || strchr(group + n, ')') == NULL || strchr(group + n, ')')[1] != '\0')
		return NULL;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(group + n + 1, ")"), group + n + 1);
	if (strncmp(group, "sources", 7) == 0)
		return (source = source_kind_find(word)) != NULL ? source->help : NULL;
	if (strncmp(group, "sinks", 5) == 0)
		return (sink = sink_kind_find(word)) != NULL ? sink->help : NULL;
	return NULL;
}

static void
see_row(void *arg, const char *path, const struct conf_key *key)
{
	struct walk *w = arg;
	const size_t n = block_length(path);
	char plain[256], title[384];

	if (key->type == CONF_BLOCK || key->type == CONF_BLOCKS) {
		without_words(path, ", type ", title, sizeof(title));
		snprintf(w->group, sizeof(w->group), "%s", path);
		w->see->group(w->arg, title, key->help);
		return;
	}
	if (strlen(w->group) != n || memcmp(w->group, path, n) != 0) {
		snprintf(w->group, sizeof(w->group), "%.*s", (int)n, path);
		without_words(w->group, ", type ", title, sizeof(title));
		w->see->group(w->arg, title, kind_help(w->group));
	}
	without_words(path, "", plain, sizeof(plain));
	w->see->setting(w->arg, plain, key);
}

void
manual_walk(const struct manual_see *see, void *arg)
{
	struct walk w = { .see = see, .arg = arg };

	conf_describe(settings_table(), see_row, &w);
}

void
manual_default(const struct conf_key *key, char *ret, size_t n)
{
	if (key->flags & CONF_REQUIRED)
		snprintf(ret, n, "required");
	else if (key->fallback != NULL)
		snprintf(ret, n, "default %s", key->fallback);
	else
		snprintf(ret, n, "%s", "");
}

/* ---- the terminal ---------------------------------------------------------------------- */

#define WIDTH	88

/* Words of a text, filled into lines behind an indent; the first line already has `used` columns of it. */
static void
put_behind(FILE *out, const char *text, int indent, int used)
{
	int at = 0;

	while (*text != '\0') {
		const int n = (int)strcspn(text, " ");

		if (at > 0 && at + 1 + n > WIDTH - indent) {
			fputc('\n', out);
			at = used = 0;
		}
		if (n > 0) {
			fprintf(out, "%*s%.*s", at > 0 ? 1 : used < indent ? indent - used : 0, "", n, text);
			at += n + (at > 0) + (at == 0 && used > indent ? used - indent : 0);
		}
		text += n;
		text += *text == ' ';
	}
	fputc('\n', out);
}

static void
put_filled(FILE *out, const char *text, int indent)
{
	put_behind(out, text, indent, 0);
}

void
manual_help(FILE *out)
{
	fputs("usage: aispm-agent COMMAND [OPTION]... [ARGUMENT]...\n\n"
	    "Collects what clouds say about their AI workloads, finds what is unusual in it, and delivers both\n"
	    "as events to Microsoft Sentinel, Kafka, syslog or a file.\n\ncommands:\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		fprintf(out, "  %s ", row->name);
		put_behind(out, row->args, 6, 3 + (int)strlen(row->name));
		put_filled(out, row->help, 10);
	}
	fputs("\noptions:\n"
	    "  -c, --config FILE   the configuration; conf.d/*.yaml beside it is read too\n"
	    "                      (default " SYSCONF_DIR "/agent.yaml)\n"
	    "  -h, --help          this text\n"
	    "  -V, --version       the version, and what it was built with\n"
	    "\nexit status:\n", out);
	for (const struct manual_exit *e = manual_exits; e->help != NULL; e++) {
		fprintf(out, "  %-3d", e->status);
		put_behind(out, e->help, 6, 5);
	}
	fputs("\nman aispm-agent, man aispm-agent.yaml and man aispm-agent-mappings say more.\n", out);
}

static void
print_group(void *arg, const char *title, const char *help)
{
	FILE *out = arg;

	fprintf(out, "\n%s\n", title);
	if (help != NULL)
		put_filled(out, help, 4);
}

static void
print_setting(void *arg, const char *path, const struct conf_key *key)
{
	FILE *out = arg;
	char type[384], fallback[384];

	conf_key_type_text(key, type, sizeof(type));
	manual_default(key, fallback, sizeof(fallback));
	fprintf(out, "\n    %s: %s%s%s\n", path, type, fallback[0] != '\0' ? "; " : "", fallback);
	put_filled(out, key->help, 8);
}

void
manual_settings(FILE *out)
{
	static const struct manual_see see = { print_group, print_setting };

	fputs("The settings of agent.yaml. [] stands for each item of a list.\n", out);
	manual_walk(&see, out);
}
