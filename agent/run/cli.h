/*
 * cli.h - the commands, and the manual that is made from the same tables.
 *
 * Gives:   cli_main() for main(); command_rows for usage and manual pages.
 * Exit:    0 done; 64 usage; 65 input that cannot be read; 69 a service is unavailable; 74 I/O; 78 configuration.
 */
#ifndef RUN_CLI_H
#define RUN_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct conf;
struct decoder;
struct err;
struct options;

struct command_row {
	const char	*name;
	const char	*args;		/* as in usage; words separated by | and FILE, DIR, GLOB also tell shells what to offer */
	const char	*help;
	int		(*run)(const struct options *, int argc, char **argv);
};
extern const struct command_row command_rows[];		/* ends at name NULL */

#define AGENT_USER	"aispm-agent"		/* and its group: who the packages' unit runs as */

int	cli_main(int argc, char **argv);
/* The exit status that an error means; `when_unreadable` where the system would not give a file or directory (65 input, 74 our own). */
int	cli_exit_of(const struct err *, int when_unreadable);

/* `explain`, with the `zones` block or NULL: 0 fine, 1 some record could not be read (named on standard error), -1 err. */
int	explain_run(const struct decoder *, const struct conf *zones, const char *const *files, size_t nfiles, const char *format, bool why, bool relay,
	    FILE *out, struct err *);
/* `spool`: stat, verify, repair, dump, dead on DIR, by default the state directory of the configuration. An exit status. */
int	spool_cli(int argc, char **argv, const char *conf_path, FILE *out);

/* `init`: a configuration from flags or questions, written and tried. An exit status. */
int	init_cli(int argc, char **argv, const char *conf_path, FILE *out);

/* `check`: settings, mappings, and each source and sink opened, which touches settings only. -1: problems, or err. */
struct problems;
int	check_conf(const char *path, struct conf **ret, struct problems *, struct err *);
/* `check --online`: gets each token and tries each source and sink, without an event; one line each. An exit status. */
int	probe_cli(const struct conf *, FILE *out);
/* `posture`: an exit status; 1 when a requirement fails. */
int	posture_cli(const struct conf *, bool json, FILE *out);
/* The report of what was last saved: 0, 1 nothing is saved yet (err says why; the rows come all the same), -1. */
struct posture_row;
int	posture_look(const struct conf *, void (*see)(void *arg, const struct posture_row *), void *arg, struct err *);

/* ---- manual ----------------------------------------------------------------- */

void	manual_help(FILE *);		/* usage, commands, exit statuses */
void	manual_settings(FILE *);	/* every setting: type, default, help */
/* A whole manual page, "aispm-agent.1" or "aispm-agent.yaml.5"; -1: no such page. */
int	manual_roff(FILE *, const char *page);
/* What a shell may offer: "bash", "zsh" or "fish"; -1: no such shell. */
int	completion(FILE *, const char *shell);

#endif
