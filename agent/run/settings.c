/* settings.c - the table of the whole configuration, and the checks that no single block can make. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/settings.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "detect/detect.h"
#include "posture/posture.h"
#include "sinks/send.h"
#include "sinks/sink.h"
#include "source/source.h"

#define MIB		1048576.0
#define NAME_WORDS	"1 to 64 letters, digits, _ . and -, the first no dot or dash"
#define START_WORDS	"earliest, latest or a time such as 2026-01-31T00:00:00Z"
#define SINK_ROWS_MAX	32
#define ITEMS_MAX	1000		/* sources, and sinks: each is held against all others */

/* ---- single values --------------------------------------------------------------- */

static const char *
wrong_name(const struct conf *block, const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const size_t n = strlen(text);

	(void)block;
	return n >= 1 && n <= 64 && strspn(text, letters) == n && text[0] != '.' && text[0] != '-' ? NULL : NAME_WORDS;
}

static const char *
wrong_dir(const struct conf *block, const char *text)
{
	(void)block;
	return text[0] == '/' ? NULL : "an absolute path";
}

bool
settings_is_loopback_address(const char *text)
{
	const char *colon = strrchr(text, ':');
	struct slice host;
	int64_t port;

	if (colon == NULL || !slice_to_i64(slice_of(colon + 1), &port) || port < 1 || port > 65535)
		return false;
	host = slice_make(text, (size_t)(colon - text));
	return slice_eq(host, SLICE("127.0.0.1")) || slice_eq(host, SLICE("[::1]")) || slice_eq(host, SLICE("localhost"));
}

static const char *
wrong_http(const struct conf *block, const char *text)
{
	(void)block;
	return settings_is_loopback_address(text) ? NULL : "a loopback address and port such as 127.0.0.1:9464";
}

bool
settings_start(const char *text, int *ret_start, int64_t *ret_ms)
{
	int64_t ms = 0;
	int start;

	if (strcmp(text, "earliest") == 0)
		start = START_EARLIEST;
	else if (strcmp(text, "latest") == 0)
		start = START_LATEST;
	else if (time_parse_rfc3339(slice_of(text), &ms))
		start = START_TIME;
	else
		return false;
	*ret_start = start;
	*ret_ms = ms;
	return true;
}

static const char *
wrong_start(const struct conf *block, const char *text)
{
	int64_t ms;
	int start;

	(void)block;
	return settings_start(text, &start, &ms) ? NULL : START_WORDS;
}

void
settings_source_start(const struct conf *item, struct source *s)
{
	int start = START_EARLIEST;
	int64_t ms = 0;
	bool good = settings_start(conf_text(item, "start"), &start, &ms);

	assert(good);		/* wrong_start has looked at it */
	s->start = start;
	s->start_ms = ms;
}

int
settings_place(const char *list, const struct conf *item, struct err *err)
{
	const struct err was = *err;
	const char *file = conf_file(item, "name");
	const size_t n = strlen(file);

	if (was.kind == ERR_CONFIG && (strncmp(was.text, file, n) != 0 || was.text[n] != ':'))
		err_set(err, was.kind, "%s:%u: %s: %s: %s", file, conf_line(item, "name"), list, conf_text(item, "name"), was.text);
	return -1;
}

/* ---- the table --------------------------------------------------------------------- */

static const struct conf_key spool_keys[] = {
	{ .name = "max_bytes", .type = CONF_BYTES, .fallback = "4GiB", .least = 64 * MIB, .most = 1048576 * MIB,
	  .help = "room on disk for what is not delivered yet; it is never passed: a full spool pauses the sources, and so does a disk of which an eighth "
	  "(at most 64 MiB) is left" },
	CONF_END
};

static const struct conf_key dead_letter_keys[] = {
	{ .name = "max_bytes", .type = CONF_BYTES, .fallback = "256MiB", .least = MIB, .most = 1048576 * MIB,
	  .help = "room for what was set aside: half for records that could not be read, half for events that a far side refused; the oldest of a half that is full are removed, counted and logged" },
	CONF_END
};

static const struct conf_key agent_keys[] = {
	{ .name = "state_dir", .type = CONF_TEXT, .fallback = STATE_DIR, .allowed = "an absolute path", .wrong = wrong_dir,
	  .help = "the spool, positions, detector state and the dead letter; one agent a directory" },
	{ .name = "http", .type = CONF_TEXT, .allowed = "a loopback address and port", .wrong = wrong_http,
	  .help = "where /metrics, /healthz, /readyz and the status page are served, such as 127.0.0.1:9464; absent: off" },
	{ .name = "heartbeat", .type = CONF_TIME, .fallback = "5m", .most = 86400000,
	  .help = "how often an event of class agent tells how the agent is; 0s: never" },
	{ .name = "spool", .type = CONF_BLOCK, .keys = spool_keys, .help = "what lies between sources and sinks, on disk" },
	{ .name = "dead_letter", .type = CONF_BLOCK, .keys = dead_letter_keys, .help = "what no one could read or take" },
	{ .name = "decode", .type = CONF_WORD, .fallback = "process", .allowed = "process|inline",
	  .help = "where records are decoded: in a process of its own that holds no secret and can open nothing, or in the agent itself" },
	{ .name = "log_level", .type = CONF_WORD, .fallback = "info", .allowed = "error|warning|notice|info|debug",
	  .help = "the least important messages that are logged; debug: each batch, file, page and token too, and nothing of what records hold" },
	{ .name = "drain_timeout", .type = CONF_TIME, .fallback = "20s", .most = 600000,
	  .help = "how long a stopping agent goes on delivering; what is left is kept for the next start" },
	{ .name = "data_dir", .type = CONF_TEXT, .flags = CONF_ADVANCED, .fallback = DATA_DIR, .allowed = "an absolute path",
	  .wrong = wrong_dir, .help = "where the shipped mappings lie, in its folder schemas" },
	{ .name = "mappings_dir", .type = CONF_TEXT, .flags = CONF_ADVANCED, .fallback = SYSCONF_DIR "/mappings.d",
	  .allowed = "an absolute path", .wrong = wrong_dir,
	  .help = "own mappings, *.yaml; one with the family name of a shipped mapping replaces it" },
	CONF_END
};

/* With the words of `type`, which are only known at run time. */
static struct conf_key source_item_keys[] = {
	{ .name = "name", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = NAME_WORDS, .wrong = wrong_name,
	  .help = "its own name among the sources; positions are kept under it" },
	{ .name = "type", .type = CONF_WORD, .flags = CONF_REQUIRED, .help = "the kind of source" },
	{ .name = "start", .type = CONF_TEXT, .fallback = "earliest", .allowed = START_WORDS, .wrong = wrong_start,
	  .help = "where to begin when no position is saved" },
	{ .name = "evidence", .type = CONF_BOOL, .fallback = "true",
	  .help = "whether its records count for control 1.24 (posture); false for logs into which others may write: a line there could say that all is well" },
	{ .name = "relay", .type = CONF_BOOL, .fallback = "false",
	  .help = "whether it brings events of other agents (their format json), which then go on as they are, with their EventId, AgentId and texts; "
	  "only for a topic or folder that agents alone can write to. Else such a record is one that no mapping knows" },
	CONF_END
};

static const struct conf_key prompt_keys[] = {
	{ .name = "release", .type = CONF_TEXTS, .allowed = "names such as azure_ai_logs.RequestBody",
	  .help = "withheld texts that may leave this machine, by family and name; * for any run of characters. "
	  "Default: none, and only their length and SHA-256 leave" },
	CONF_END
};

static struct conf_key sink_item_keys[SINK_ROWS_MAX + 1] = {
	{ .name = "name", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = NAME_WORDS, .wrong = wrong_name,
	  .help = "its own name among the sinks; what it has delivered is remembered under it" },
	{ .name = "type", .type = CONF_WORD, .flags = CONF_REQUIRED, .help = "the kind of sink" },
	CONF_END
};

static struct conf_key top_keys[] = {
	{ .name = "agent", .type = CONF_BLOCK, .keys = agent_keys, .help = "the agent itself" },
	{ .name = "sources", .type = CONF_BLOCKS, .most = ITEMS_MAX, .keys = source_item_keys, .variant_key = "type", .variant = source_keys,
	  .help = "where records come from" },
	{ .name = "zones", .type = CONF_BLOCK, .keys = posture_zone_keys,
	  .help = "governance zones of resources: which terms of the control hold for them" },
	{ .name = "detectors", .type = CONF_BLOCK, .keys = detect_keys, .help = "each is on unless switched off" },
	{ .name = "sinks", .type = CONF_BLOCKS, .most = ITEMS_MAX, .keys = sink_item_keys, .variant_key = "type", .variant = sink_keys,
	  .help = "where events go; each gets all of them, at its own pace" },
	{ .name = "prompts", .type = CONF_BLOCK, .keys = prompt_keys, .help = "prompt and completion text" },
	CONF_END
};

static struct conf_key *
row(struct conf_key *keys, const char *name)
{
	while (strcmp(keys->name, name) != 0)
		keys++;
	return keys;
}

const struct conf_key *
settings_table(void)
{
	size_t n = 2;

	if (row(top_keys, "sources")->variant_words != NULL)
		return top_keys;
	for (const struct conf_key *k = send_keys; k->name != NULL; k++) {
		assert(n < SINK_ROWS_MAX);
		sink_item_keys[n++] = *k;
	}
	row(source_item_keys, "type")->allowed = row(top_keys, "sources")->variant_words = source_kind_words();
	row(sink_item_keys, "type")->allowed = row(top_keys, "sinks")->variant_words = sink_kind_words();
	return top_keys;
}

/* ---- across blocks ------------------------------------------------------------------- */

static void
check_names(const struct conf *conf, const char *list, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, list); i++) {
		const struct conf *item = conf_block_at(conf, list, i);

		for (size_t j = 0; j < i; j++) {
			const struct conf *other = conf_block_at(conf, list, j);

			if (strcmp(conf_text(item, "name"), conf_text(other, "name")) != 0)
				continue;
			conf_problem(item, "name", problems, "\"%s\" is already the name of the one in %s:%u; allowed: a name of its own",
			    conf_text(item, "name"), conf_file(other, "name"), conf_line(other, "name"));
			break;
		}
	}
}

static bool
has_word(const char *words, const char *word)
{
	const size_t n = strlen(word);

	for (const char *at = words; *at != '\0';) {
		size_t len = strcspn(at, "|");

		if (len == n && memcmp(at, word, n) == 0)
			return true;
		at += len + (at[len] == '|');
	}
	return false;
}

static void
check_formats(const struct conf *conf, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, "sinks"); i++) {
		const struct conf *item = conf_block_at(conf, "sinks", i);
		const struct sink_kind *kind = sink_kind_find(conf_text(item, "type"));
		const char *format = conf_text(item, "format");

		if (format != NULL && !has_word(kind->formats, format))
			conf_problem(item, "format", problems, "\"%s\" is not allowed for type %s; allowed: %s", format, kind->name,
			    kind->formats);
	}
}

/* A transaction commits the spool's position with each batch, and a summary counts what lies behind it. */
static void
check_summaries(const struct conf *conf, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, "sinks"); i++) {
		const struct conf *item = conf_block_at(conf, "sinks", i);

		if (strcmp(conf_text(item, "type"), "kafka") == 0 && conf_block(item, "activity") != NULL &&
		    strcmp(conf_text(item, "exactly_once"), "false") != 0)
			conf_problem(item, "activity", problems, "summarize needs exactly_once: false; allowed with it: forward, drop");
	}
}

static void
check_kinds(const struct conf *conf, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, "sources"); i++) {
		const struct conf *item = conf_block_at(conf, "sources", i);
		const struct source_kind *kind = source_kind_find(conf_text(item, "type"));

		if (kind->missing != NULL)
			conf_problem(item, "type", problems, "this agent was built without %s, so it has no %s source", kind->missing, kind->name);
	}
}

/* Two listeners want one address. */
static void
check_listeners(const struct conf *conf, struct problems *problems)
{
	const char *page = conf_text(conf_block(conf, "agent"), "http");

	for (size_t i = 0; i < conf_blocks(conf, "sources"); i++) {
		const struct conf *item = conf_block_at(conf, "sources", i);
		const char *address = strcmp(conf_text(item, "type"), "http") == 0 ? conf_text(item, "listen") : NULL;

		if (address != NULL && page != NULL && strcmp(page, address) == 0)
			conf_problem(item, "listen", problems, "%s is where agent.http serves the status page; allowed: an address of its own", address);
		for (size_t j = 0; address != NULL && j < i; j++) {
			const struct conf *other = conf_block_at(conf, "sources", j);

			if (strcmp(conf_text(other, "type"), "http") == 0 && strcmp(conf_text(other, "listen"), address) == 0)
				conf_problem(item, "listen", problems, "source %s listens on %s already; allowed: an address of its own", conf_text(other, "name"),
				    address);
		}
	}
}

/* What a sink writes would come in again, and two writers of one file cut each other's lines. */
static void
check_files(const struct conf *conf, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, "sinks"); i++) {
		const struct conf *sink = conf_block_at(conf, "sinks", i);
		const char *path = strcmp(conf_text(sink, "type"), "file") == 0 ? conf_text(sink, "path") : NULL;

		for (size_t j = 0; path != NULL && j < conf_blocks(conf, "sources"); j++) {
			const struct conf *source = conf_block_at(conf, "sources", j);

			for (size_t k = 0; strcmp(conf_text(source, "type"), "file") == 0 && k < conf_texts(source, "paths"); k++)
				if (fnmatch(conf_text_at(source, "paths", k), path, FNM_PATHNAME) == 0)
					conf_problem(sink, "path", problems, "%s is read by source %s, so its events would come in again; allowed: a file that no "
					    "source reads", path, conf_text(source, "name"));
		}
		for (size_t j = 0; path != NULL && j < i; j++) {
			const struct conf *other = conf_block_at(conf, "sinks", j);

			if (strcmp(conf_text(other, "type"), "file") == 0 && strcmp(conf_text(other, "path"), path) == 0)
				conf_problem(sink, "path", problems, "%s is written by sink %s already; allowed: a file of its own", path, conf_text(other, "name"));
		}
	}
}

/* A topic that both reads and writes is a circle. What a regular expression matches is known to the brokers alone. */
static void
check_topics(const struct conf *conf, struct problems *problems)
{
	for (size_t i = 0; i < conf_blocks(conf, "sinks"); i++) {
		const struct conf *sink = conf_block_at(conf, "sinks", i);

		for (size_t j = 0; strcmp(conf_text(sink, "type"), "kafka") == 0 && j < conf_blocks(conf, "sources"); j++) {
			const struct conf *source = conf_block_at(conf, "sources", j);

			if (strcmp(conf_text(source, "type"), "kafka") != 0 || strcmp(conf_text(source, "brokers"), conf_text(sink, "brokers")) != 0)
				continue;
			for (size_t k = 0; k < conf_texts(source, "topics"); k++)
				if (strcmp(conf_text_at(source, "topics", k), conf_text(sink, "topic")) == 0)
					conf_problem(sink, "topic", problems, "%s is read by source %s, so its events would come in again; allowed: a topic that no "
					    "source reads", conf_text(sink, "topic"), conf_text(source, "name"));
		}
	}
}

static void
warn_not_yet(const struct conf *conf, struct problems *problems)
{
#ifndef WITH_MICROHTTPD
	const struct conf *agent = conf_block(conf, "agent");

	if (conf_given(agent, "http"))
		problem_warn(problems, conf_file(agent, "http"), conf_line(agent, "http"), "agent.http",
		    "not served: this agent was built without libmicrohttpd");
#endif
	for (int i = 0; i < 2; i++) {
		const char *list = i == 0 ? "sources" : "sinks";

		if (conf_blocks(conf, list) == 0)
			problem_warn(problems, conf_file(conf, list), conf_line(conf, list), list,
			    "there is none yet: the agent has nothing to do");
	}
}

static int
check(struct conf **ret, struct conf *conf, struct problems *problems, size_t before, struct err *err)
{
	check_names(conf, "sources", problems);
	check_names(conf, "sinks", problems);
	check_formats(conf, problems);
	check_summaries(conf, problems);
	check_files(conf, problems);
	check_topics(conf, problems);
	check_kinds(conf, problems);
	check_listeners(conf, problems);
	warn_not_yet(conf, problems);
	if (problems->errors > before) {
		err_set(err, ERR_CONFIG, "the configuration has %zu problems", problems->errors - before);
		conf_free(conf);
		return -1;
	}
	*ret = conf;
	return 0;
}

int
settings_load(const char *path, struct conf **ret, struct problems *problems, struct err *err)
{
	const size_t before = problems->errors;
	struct conf *conf = NULL;

	if (conf_load(path, settings_table(), &conf, problems, err) != 0)
		return -1;
	return check(ret, conf, problems, before, err);
}

int
settings_load_text(const char *name, struct slice yaml, struct conf **ret, struct problems *problems, struct err *err)
{
	const size_t before = problems->errors;
	struct conf *conf = NULL;

	if (conf_load_text(name, yaml, settings_table(), &conf, problems, err) != 0)
		return -1;
	return check(ret, conf, problems, before, err);
}

void
problems_print(const struct problems *problems, FILE *out)
{
	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];

		fprintf(out, "%s", p->file);
		if (p->line > 0)
			fprintf(out, ":%u", p->line);
		if (p->key[0] != '\0')
			fprintf(out, ": %s", p->key);
		fprintf(out, ": %s%s\n", p->warning ? "warning: " : "", p->text);
	}
	if (problems->errors > problems->n)
		fprintf(out, "%zu problems in all; the first of them are listed\n", problems->errors);
}
