/* cli.c - the commands and their exit statuses. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/yaml.h"
#include "decode/decode.h"
#include "run/agent.h"
#include "run/backtest.h"
#include "run/settings.h"
#include "run/wall.h"
#include "sinks/encode/encode.h"
#include "source/source.h"
#include "spool/spool.h"

#define CONF_PATH	SYSCONF_DIR "/agent.yaml"
#define ONCE_TIMEOUT_MS	600000

enum { OPT_ONCE = 256, OPT_TIMEOUT, OPT_FORMAT, OPT_WHY, OPT_RELAY, OPT_JSON, OPT_ONLINE, OPT_HELP, OPT_DETECTOR, OPT_PLOT };

struct options {
	const char	*conf_path, *format, *detector, *plot;
	bool		 conf_given, once, why, relay, json, online;
	uint64_t	 timeout_ms;
};

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "why", no_argument, NULL, OPT_WHY },
	{ "relay", no_argument, NULL, OPT_RELAY },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "online", no_argument, NULL, OPT_ONLINE },
	{ "detector", required_argument, NULL, OPT_DETECTOR },
	{ "plot", required_argument, NULL, OPT_PLOT },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int
usage(const char *what)
{
	fprintf(stderr, "aispm-agent: %s; see aispm-agent --help\n", what);
	return EX_USAGE;
}

/* What stood on the command line, with nothing that a terminal would obey. */
static int
usage_of(const char *word, const char *what)
{
	struct err err;

	err_set(&err, ERR_CONFIG, "%.80s: %s", word, what);
	return usage(err.text);
}

int
cli_exit_of(const struct err *err, int when_unreadable)
{
	if (err->sys == EWOULDBLOCK && err->kind == ERR_CONFIG)
		return EX_UNAVAILABLE;		/* another agent's lock: it will go */
	if (err->sys != 0 && err->kind != ERR_AGAIN)
		return err->sys == EIO ? EX_IOERR : when_unreadable;
	switch (err->kind) {
	case ERR_CONFIG:
	case ERR_DENIED:
		return EX_CONFIG;
	case ERR_DATA:
	case ERR_LOST:
		return EX_DATAERR;
	default:
		return EX_IOERR;
	}
}

static int
failed(const struct err *err)
{
	fprintf(stderr, "aispm-agent: %s\n", err->text);
	return cli_exit_of(err, EX_DATAERR);
}

/* ---- commands -------------------------------------------------------------- */

static int
command_run(const struct options *o, int argc, char **argv)
{
	const struct agent_options options = {
		.conf_path = o->conf_path, .once = o->once, .once_timeout_ms = o->timeout_ms,
	};

	(void)argv;
	return argc == 0 ? agent_main(&options) : usage("run takes no argument");
}

/* As a problem of its own, at the place that err begins with; without one at the list's. */
static void
add_placed(struct problems *problems, const struct conf *conf, const char *list, const struct err *err)
{
	char file[sizeof(err->text)];

	for (const char *at = err->text; (at = strchr(at, ':')) != NULL; at++) {
		char *end;
		unsigned long line = strtoul(at + 1, &end, 10);

		if (end == at + 1 || strncmp(end, ": ", 2) != 0)
			continue;
		snprintf(file, sizeof(file), "%.*s", (int)(at - err->text), err->text);
		problem_add(problems, file, (unsigned)line, "", "%s", end + 2);
		return;
	}
	problem_add(problems, conf_file(conf, list), conf_line(conf, list), list, "%s", err->text);
}

/* Reads the mappings and opens each source and sink, which touches settings only: what they refuse is told here too. */
static int
check_parts(const struct conf *conf, struct problems *problems, struct err *err)
{
	const struct world world = { .state_dir = conf_text(conf_block(conf, "agent"), "state_dir"),
		.agent_id = "00000000000000000000000000000000", .hostname = "", .spool_bytes = 1u << 30 };
	struct intake *intake = NULL;
	struct deliver *deliver = NULL;
	const char *where = "sources";
	int rc = intake_open(&intake, &world, conf, problems, err);

	if (rc == 0) {
		where = "sinks";
		rc = deliver_open(&deliver, &world, conf, err);
	}
	if (rc != 0 && problems->errors == 0)
		add_placed(problems, conf, where, err);
	deliver_close(deliver);
	intake_close(intake);
	return rc;
}

int
check_conf(const char *path, struct conf **ret, struct problems *problems, struct err *err)
{
	struct conf *conf = NULL;

	if (settings_load(path, &conf, problems, err) != 0)
		return -1;
	if (check_parts(conf, problems, err) != 0) {
		conf_free(conf);
		return -1;
	}
	*ret = conf;
	return 0;
}

/* A validation that passes over a damaged spool is worth little; one that is not there yet is fine. */
static int
check_spool(const struct conf *conf)
{
	const char *state_dir = conf_text(conf_block(conf, "agent"), "state_dir");
	struct err err = { 0 };
	char dir[4096];

	if (state_path(state_dir, "spool", dir, sizeof(dir), &err) != 0 || access(dir, R_OK | X_OK) != 0 || spool_is_sound(dir, &err))
		return 0;
	printf("%s: %s\n", dir, err.text);
	return EX_DATAERR;
}

static int
command_check(const struct options *o, int argc, char **argv)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc;

	(void)argv;
	if (argc != 0)
		return usage("check takes no argument");
	problems_init(&problems);
	rc = check_conf(o->conf_path, &conf, &problems, &err);
	if (rc == 0)
		conf_look_at_secrets(conf, AGENT_USER, &problems);
	problems_print(&problems, stdout);
	if (rc != 0 && problems.errors == 0)
		fprintf(stderr, "aispm-agent: %s\n", err.text);
	else if (rc == 0)
		printf("%s: fine: %zu sources, %zu sinks\n", o->conf_path, conf_blocks(conf, "sources"),
		    conf_blocks(conf, "sinks"));
	rc = rc != 0 ? EX_CONFIG : check_spool(conf);
	if (rc == 0 && o->online)
		rc = probe_cli(conf, stdout);
	conf_free(conf);
	problems_fini(&problems);
	return rc;
}

/* Only where the user names a configuration: otherwise explain needs none. */
static int
load_if_given(const struct options *o, struct conf **ret, struct err *err)
{
	struct problems problems;
	int rc = 0;

	problems_init(&problems);
	if (o->conf_given) {
		rc = settings_load(o->conf_path, ret, &problems, err);
		if (rc != 0)
			problems_print(&problems, stderr);
	}
	problems_fini(&problems);
	return rc;
}

static int
command_explain(const struct options *o, int argc, char **argv)
{
	struct problems problems;
	struct decoder *decoder = NULL;
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc;

	if (encoder_find(o->format) == NULL)
		return usage("--format: allowed: " ENCODER_WORDS);
	if (load_if_given(o, &conf, &err) != 0)
		return EX_CONFIG;
	problems_init(&problems);
	rc = mappings_open(&decoder, conf, &problems, &err);
	problems_print(&problems, stderr);
	problems_fini(&problems);
	if (rc == 0)
		rc = explain_run(decoder, conf != NULL ? conf_block(conf, "zones") : NULL, (const char *const *)argv, (size_t)argc, o->format, o->why,
		    o->relay, stdout, &err);
	decoder_close(decoder);
	conf_free(conf);
	if (rc == -1)
		return failed(&err);
	return rc == 0 ? 0 : EX_DATAERR;
}

static int
command_backtest(const struct options *o, int argc, char **argv)
{
	struct backtest b = { .detector = o->detector, .plot = o->plot, .files = (const char *const *)argv,
		.nfiles = (size_t)argc, .out = stdout };
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc;

	if (load_if_given(o, &conf, &err) != 0)
		return EX_CONFIG;
	b.conf = conf;
	rc = backtest_run(&b, &err);
	conf_free(conf);
	if (rc == -1)
		return err.kind == ERR_CONFIG && err.sys == 0 ? usage(err.text) : failed(&err);
	return rc == 0 ? 0 : EX_DATAERR;
}

/* agent.state_dir of a file that has faults elsewhere: the agent that refused it still runs, and answers there. False: the file is no YAML. */
static bool
faulty_state_dir(const char *path, char *ret, size_t n)
{
	struct yaml_tree *tree = yaml_tree_new();
	struct problems problems;
	struct yaml_node *root, *at = NULL;

	problems_init(&problems);
	root = tree != NULL ? yaml_read_file(tree, path, &problems) : NULL;
	if (root != NULL && root->kind == YAML_MAP)
		at = yaml_get(root, "agent");
	if (at != NULL && at->kind == YAML_MAP)
		at = yaml_get(at, "state_dir");
	snprintf(ret, n, "%s", at != NULL && at->kind == YAML_SCALAR && at->text[0] == '/' ? at->text : STATE_DIR);
	problems_fini(&problems);
	yaml_tree_free(tree);
	return root != NULL;
}

/* The state directory of the configuration; the default's where there is none. */
static int
with_state_dir(const struct options *o, int (*then)(const struct options *, int, char **, const char *), int argc,
    char **argv)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	char dir[4096];
	int rc;

	if (!o->conf_given && access(o->conf_path, F_OK) != 0)
		return then(o, argc, argv, STATE_DIR);
	problems_init(&problems);
	if (settings_load(o->conf_path, &conf, &problems, &err) != 0) {
		problems_print(&problems, stderr);
		rc = faulty_state_dir(o->conf_path, dir, sizeof(dir)) ? then(o, argc, argv, dir) : EX_CONFIG;
	} else {
		rc = then(o, argc, argv, conf_text(conf_block(conf, "agent"), "state_dir"));
	}
	problems_fini(&problems);
	conf_free(conf);
	return rc;
}

static int
status_in(const struct options *o, int argc, char **argv, const char *state_dir)
{
	struct err err = { 0 };

	(void)argc;
	(void)argv;
	if (status_print(state_dir, o->json, &err) == 0)
		return 0;
	(void)failed(&err);
	return EX_UNAVAILABLE;
}

static int
command_status(const struct options *o, int argc, char **argv)
{
	return argc == 0 ? with_state_dir(o, status_in, argc, argv) : usage("status takes no argument");
}

static int
command_posture(const struct options *o, int argc, char **argv)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc = EX_CONFIG;

	(void)argv;
	if (argc != 0)
		return usage("posture takes no argument");
	problems_init(&problems);
	if (settings_load(o->conf_path, &conf, &problems, &err) == 0)
		rc = posture_cli(conf, o->json, stdout);
	else if (problems.errors == 0)
		rc = failed(&err);
	problems_print(&problems, stderr);
	conf_free(conf);
	problems_fini(&problems);
	return rc;
}

static int
command_spool(const struct options *o, int argc, char **argv)
{
	return spool_cli(argc, argv, o->conf_path, stdout);
}

static int
command_init(const struct options *o, int argc, char **argv)
{
	return init_cli(argc, argv, o->conf_path, stdout);
}

static int
command_help(const struct options *o, int argc, char **argv)
{
	(void)o;
	if (argc == 0)
		manual_help(stdout);
	else if (argc == 1 && strcmp(argv[0], "settings") == 0)
		manual_settings(stdout);
	else if (argc == 2 && strcmp(argv[0], "man") == 0)
		return manual_roff(stdout, argv[1]) == 0 ? 0 : usage("help man: allowed: aispm-agent, aispm-agent.yaml");
	else if (argc == 2 && strcmp(argv[0], "completion") == 0)
		return completion(stdout, argv[1]) == 0 ? 0 : usage("help completion: allowed: bash, zsh, fish");
	else
		return usage("help takes nothing, settings, man PAGE, or completion SHELL");
	return 0;
}

const struct command_row command_rows[] = {
	{ "run", "[-c FILE] [--once [--timeout D]]", "the daemon, in the foreground; --once: read what there is, deliver it, end",
	  command_run },
	{ "check", "[-c FILE] [--online]", "validate the configuration and the mappings, one line a problem; --online: also get each token "
	  "and try each source and sink, without sending an event", command_check },
	{ "explain", "[-c FILE] [--format " ENCODER_WORDS "] [--why] [--relay] [FILE...]",
	  "records in, events out; --why tells how each column was filled; --relay: as from a source with relay: true",
	  command_explain },
	{ "posture", "[-c FILE] [--json]", "does control 1.24 hold: each requirement with pass, fail or unknown, its evidence and zone; "
	  "exit status 0 only if none fails", command_posture },
	{ "backtest", "[-c FILE] --detector volume|access|config [--plot FILE.svg] [FILE...]",
	  "a detector over a recorded past, in one pass; volume: CSV timestamp,value in, with score,alert out", command_backtest },
	{ "status", "[-c FILE] [--json]", "ask the running agent: sources, detectors, spool, sinks", command_status },
	{ "spool", "stat|verify|repair|dump|dead [-c FILE] [--json] [--from SEQ] [--match TEXT] [--bytes] [--replay] [DIR]",
	  "look into a spool and its dead letter; repair it; dead --replay: back into the spool", command_spool },
	{ "init", "[-c FILE] [--yes] [--force] [--offline] [FLAG VALUE]...",
	  "write a commented configuration from questions, or from flags (man aispm-agent lists them), and try it", command_init },
	{ "help", "[settings | man PAGE | completion bash|zsh|fish]", "this text, all settings, a manual page, or what a shell may complete",
	  command_help },
	{ NULL, NULL, NULL, NULL },
};

/* ---- the command line -------------------------------------------------------- */

static int
parse(int argc, char **argv, struct options *o)
{
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, "+c:h", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->conf_path = optarg;
			o->conf_given = true;
			break;
		case OPT_ONCE:
			o->once = true;
			break;
		case OPT_TIMEOUT:
			if (!conf_parse_time(optarg, &o->timeout_ms))
				return usage("--timeout: a time such as 90s or 10m");
			break;
		case OPT_FORMAT:
			o->format = optarg;
			break;
		case OPT_WHY:
			o->why = true;
			break;
		case OPT_RELAY:
			o->relay = true;
			break;
		case OPT_ONLINE:
			o->online = true;
			break;
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_DETECTOR:
			o->detector = optarg;
			break;
		case OPT_PLOT:
			o->plot = optarg;
			break;
		case 'h':
		case OPT_HELP:
			manual_help(stdout);
			return -1;
		default:
			return usage_of(argv[optind - 1], "unknown option, or its value is missing");
		}
	}
	return 0;
}

static void
version(void)
{
	const struct source_kind *http = source_kind_find("http");

	printf("aispm-agent %s\njson: %s\nkafka: %s\nhttp source: %s\n", PACKAGE_VERSION, json_library(),
	    source_kind_find("kafka") != NULL ? "yes" : "no", http->missing == NULL ? "yes" : "no");
}

int
cli_main(int argc, char **argv)
{
	struct options o = { .conf_path = CONF_PATH, .format = "json", .timeout_ms = ONCE_TIMEOUT_MS };
	const char *word = argc > 1 ? argv[1] : "";
	int rc;

	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		version();
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		manual_help(stdout);
		return 0;
	}
	if (strcmp(word, WALL_COMMAND) == 0)
		return wall_worker(argc - 2, argv + 2);
	for (const struct command_row *row = command_rows; row->name != NULL; row++) {
		if (strcmp(row->name, word) != 0)
			continue;
		if (row->run == command_spool || row->run == command_init)	/* they read their own options */
			return row->run(&o, argc - 2, argv + 2);
		rc = parse(argc - 1, argv + 1, &o);
		if (rc != 0)
			return rc == -1 ? 0 : rc;
		return row->run(&o, argc - 1 - optind, argv + 1 + optind);
	}
	return word[0] == '\0' ? usage("a command is needed") : usage_of(word, "no such command");
}
