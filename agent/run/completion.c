/* completion.c - `help completion SHELL`: what a shell may offer, from the rows of the commands and the spelling of their arguments. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include <ctype.h>
#include <string.h>

/*
 * One item of a row's args: "--once", "-c FILE", "--format json|cef", "stat|verify", "[FILE...]". Brackets say what may be left out, which a
 * completion need not know.
 */
struct item {
	char	word[48];	/* "--format"; empty: an argument without an option */
	char	value[128];	/* "FILE", "json|cef"; empty: none */
};

/* The flags of init stand in a table of their own. */
#define INIT_FLAG(field, name, value, key, help)	" [" name " " value "]"
#define INIT_LIST(field, name, value, key, help)	" [" name " " value "]"
#define INIT_SWITCH(field, name, help)			" [" name "]"
static const char init_args[] = "[-c FILE]"
#include "run/init_flags.tbl"
;
#undef INIT_FLAG
#undef INIT_LIST
#undef INIT_SWITCH

static const char *
args_of(const struct command_row *row)
{
	return strcmp(row->name, "init") == 0 ? init_args : row->args;
}

static const char *
next_word(const char *args, char *ret, size_t n)
{
	size_t at = 0;

	args += strspn(args, " []");
	for (; *args != '\0' && strchr(" []", *args) == NULL; args++)
		if (at + 1 < n && strncmp(args, "...", 3) != 0)
			ret[at++] = *args;
		else if (*args == '.')
			args += strspn(args, ".") - 1;
	ret[at] = '\0';
	return args;
}

static const char *
next_item(const char *args, struct item *ret)
{
	char word[128];
	const char *rest = next_word(args, word, sizeof(word)), *after;

	*ret = (struct item){ .word = "" };
	if (word[0] == '\0')
		return NULL;
	if (word[0] != '-') {
		snprintf(ret->value, sizeof(ret->value), "%s", word);
		return rest;
	}
	snprintf(ret->word, sizeof(ret->word), "%.47s", word);
	if (*rest == ']')
		return rest;
	after = next_word(rest, word, sizeof(word));
	if (word[0] == '\0' || word[0] == '-' || *(rest + strspn(rest, " ")) == '[')
		return rest;
	snprintf(ret->value, sizeof(ret->value), "%s", word);
	return after;
}

/* "json|cef" offers its words; FILE, GLOB and DIR offer files; other names in capitals are the user's to know. */
static bool
is_words(const char *value)
{
	return islower((unsigned char)value[0]);
}

static bool
is_file(const char *value)
{
	return strncmp(value, "FILE", 4) == 0 || strcmp(value, "GLOB") == 0 || strcmp(value, "DIR") == 0;
}

static void
put_words(FILE *out, const char *words)
{
	for (; *words != '\0'; words++)
		fputc(*words == '|' ? ' ' : *words, out);
}

static void
put_command_names(FILE *out)
{
	for (const struct command_row *row = command_rows; row->name != NULL; row++)
		fprintf(out, "%s%s", row == command_rows ? "" : " ", row->name);
}

/* Everything a row offers at once: options and words. True: files too. */
static bool
put_offers(FILE *out, const struct command_row *row)
{
	struct item it;
	bool files = false;

	for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;) {
		if (it.word[0] != '\0') {
			fprintf(out, "%s ", it.word);
			if (strcmp(it.word, "-c") == 0)
				fputs("--config ", out);
		} else if (is_words(it.value)) {
			put_words(out, it.value);
			fputc(' ', out);
		} else {
			files |= is_file(it.value);
		}
	}
	return files;
}

/* A sentence in single quotes, up to its first ';' or '.', for zsh and fish. */
static void
put_quoted(FILE *out, const char *text)
{
	fputc('\'', out);
	for (; *text != '\0' && *text != ';' && !(*text == '.' && text[1] == ' '); text++)
		if (*text == '\'')
			fputs("'\\''", out);
		else if (*text != ':')
			fputc(*text, out);
	fputc('\'', out);
}

/* ---- bash -------------------------------------------------------------------------- */

static void
put_bash_values(FILE *out, const struct command_row *row)
{
	struct item it;

	for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;) {
		if (it.word[0] == '\0' || it.value[0] == '\0')
			continue;
		fprintf(out, "\t\"%s %s\")", row->name, it.word);
		if (is_words(it.value)) {
			fputs(" mapfile -t COMPREPLY < <(compgen -W '", out);
			put_words(out, it.value);
			fputs("' -- \"$cur\"); return ;;\n", out);
		} else if (is_file(it.value)) {
			fputs(" mapfile -t COMPREPLY < <(compgen -f -- \"$cur\"); compopt -o filenames 2>/dev/null; return ;;\n", out);
		} else {
			fputs(" return ;;\n", out);
		}
	}
}

static void
put_bash(FILE *out)
{
	fputs("# bash completion of aispm-agent; made by: aispm-agent help completion bash\n"
	    "_aispm_agent() {\n"
	    "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words= files=\n"
	    "\tCOMPREPLY=()\n"
	    "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
	    "\t\tmapfile -t COMPREPLY < <(compgen -W '", out);
	put_command_names(out);
	fputs(" --help --version' -- \"$cur\")\n\t\treturn\n\tfi\n\t[ \"$prev\" = --config ] && prev=-c\n\tcase \"${COMP_WORDS[1]} $prev\" in\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++)
		put_bash_values(out, row);
	fputs("\tesac\n\tcase ${COMP_WORDS[1]} in\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		fprintf(out, "\t%s) words='", row->name);
		fputs(put_offers(out, row) ? "--help' files=1 ;;\n" : "--help' ;;\n", out);
	}
	fputs("\tesac\n"
	    "\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\"; [ -z \"$files\" ] || compgen -f -- \"$cur\")\n"
	    "\t[ -z \"$files\" ] || compopt -o filenames 2>/dev/null\n"
	    "}\n"
	    "complete -F _aispm_agent aispm-agent\n", out);
}

/* ---- zsh --------------------------------------------------------------------------- */

static void
put_zsh_option(FILE *out, const struct item *it)
{
	fprintf(out, strcmp(it->word, "-c") == 0 ? " '(-c --config)'{-c,--config}'" : " '*%s", it->word);
	if (is_words(it->value)) {
		fputs(":word:(", out);
		put_words(out, it->value);
		fputc(')', out);
	} else if (it->value[0] != '\0') {
		fprintf(out, ":%.*s:%s", (int)strcspn(it->value, ":"), it->value, is_file(it->value) ? "_files" : "");
	}
	fputc('\'', out);
}

/* The arguments without an option: words, files, or first a word and then files. */
static void
put_zsh_arguments(FILE *out, const struct command_row *row)
{
	bool words = false, files = false;
	struct item it;

	for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;)
		if (it.word[0] == '\0') {
			words |= is_words(it.value);
			files |= is_file(it.value);
		}
	if (words) {
		fputs(files ? " '1:word:(" : " '*:word:(", out);
		for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;)
			if (it.word[0] == '\0' && is_words(it.value)) {
				put_words(out, it.value);
				fputc(' ', out);
			}
		fputs(")'", out);
	}
	if (files)
		fputs(" '*:file:_files'", out);
}

static void
put_zsh(FILE *out)
{
	struct item it;

	fputs("#compdef aispm-agent\n# zsh completion of aispm-agent; made by: aispm-agent help completion zsh\n"
	    "_aispm_agent() {\n\tlocal -a commands=(\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		fprintf(out, "\t\t%s:", row->name);
		put_quoted(out, row->help);
		fputc('\n', out);
	}
	fputs("\t)\n\tif (( CURRENT == 2 )); then\n\t\t_describe command commands\n\t\treturn\n\tfi\n"
	    "\tlocal command=$words[2]\n\tshift words\n\t(( CURRENT-- ))\n\tcase $command in\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		fprintf(out, "\t%s) _arguments", row->name);
		for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;)
			if (it.word[0] != '\0')
				put_zsh_option(out, &it);
		put_zsh_arguments(out, row);
		fputs(" '--help' ;;\n", out);
	}
	fputs("\tesac\n}\n_aispm_agent \"$@\"\n", out);
}

/* ---- fish -------------------------------------------------------------------------- */

static void
put_fish_item(FILE *out, const char *command, const struct item *it)
{
	if (it->word[0] == '\0' && !is_words(it->value) && !is_file(it->value))
		return;
	fprintf(out, "complete -c aispm-agent -n '__fish_seen_subcommand_from %s'", command);
	if (strcmp(it->word, "-c") == 0)
		fputs(" -s c -l config", out);
	else if (it->word[0] != '\0')
		fprintf(out, " -l %s", it->word + 2);
	if (is_words(it->value)) {
		fputs(it->word[0] != '\0' ? " -x -a '" : " -f -a '", out);
		put_words(out, it->value);
		fputc('\'', out);
	} else if (it->value[0] != '\0') {
		fputs(it->word[0] == '\0' ? " -F" : is_file(it->value) ? " -r -F" : " -x", out);
	}
	fputc('\n', out);
}

static void
put_fish(FILE *out)
{
	struct item it;

	fputs("# fish completion of aispm-agent; made by: aispm-agent help completion fish\n"
	    "complete -c aispm-agent -f\n"
	    "complete -c aispm-agent -l help\ncomplete -c aispm-agent -n __fish_use_subcommand -l version\n", out);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		fprintf(out, "complete -c aispm-agent -n __fish_use_subcommand -a %s -d ", row->name);
		put_quoted(out, row->help);
		fputc('\n', out);
		for (const char *at = args_of(row); (at = next_item(at, &it)) != NULL;)
			put_fish_item(out, row->name, &it);
	}
}

int
completion(FILE *out, const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		put_bash(out);
	else if (strcmp(shell, "zsh") == 0)
		put_zsh(out);
	else if (strcmp(shell, "fish") == 0)
		put_fish(out);
	else
		return -1;
	return 0;
}
