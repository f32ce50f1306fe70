/* spool_cli.c - `aispm-agent spool`: a look into a spool and its dead letter, repair, and replay. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/wire.h"
#include "run/agent.h"
#include "run/cli.h"
#include "run/settings.h"
#include "sinks/encode/encode.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define LINE_BYTES	(128u << 20)

struct asked {
	const char	*word, *dir, *conf_path, *match;
	bool		 conf_given, json, bytes, replay;
	int64_t		 from_seq;
	FILE		*out;
	const struct conf *conf;		/* NULL: there is none, and none was named */
	const char	*state_dir;
	struct buf	 line;
	uint64_t	 entries;
};

static int
failed(const struct err *err)
{
	fprintf(stderr, "aispm-agent: %s\n", err->text);
	return cli_exit_of(err, EX_DATAERR);
}

static int
usage(const char *what)
{
	fprintf(stderr, "aispm-agent: %s\naispm-agent: usage: spool stat|verify [-c FILE] [--json] [DIR], spool repair [-c FILE] [DIR], "
	    "spool dump [-c FILE] [--from SEQ] [DIR], spool dead [-c FILE] [--match TEXT] [--json] [--bytes] [--replay] [DIR]\n", what);
	return EX_USAGE;
}

static int
print_line(struct asked *a)
{
	buf_putc(&a->line, '\n');
	return a->line.failed || fwrite(a->line.p, 1, a->line.n, a->out) != a->line.n ? -1 : 0;
}

/* ---- dump -------------------------------------------------------------------------- */

static int
print_entry(void *arg, uint64_t seq, struct slice entry)
{
	struct asked *a = arg;
	struct err err = { 0 };
	struct event e;

	buf_reset(&a->line);
	buf_puts(&a->line, "{\"seq\":");
	buf_put_u64(&a->line, seq);
	buf_puts(&a->line, ",\"event\":");
	if (wire_get(entry, &e, &err) != 0 || encoder_find("json")->encode(&e, &a->line, &err) != 0)
		buf_puts(&a->line, "null");
	buf_putc(&a->line, '}');
	return print_line(a);
}

static int
dump(struct asked *a, const char *dir)
{
	struct err err = { 0 };

	return spool_dump(dir, (uint64_t)a->from_seq, print_entry, a, &err) == 0 ? 0 : failed(&err);
}

/* ---- the dead letter ------------------------------------------------------------------ */

/* An event's EventId; of a record, which has none yet, the same length of its SHA-256. */
static void
letter_id(const struct dead_letter *l, struct buf *out)
{
	unsigned char digest[SHA256_BYTES];
	struct sha256 *sha;
	struct err err = { 0 };
	struct event e;

	if (l->kind == DEAD_EVENT && wire_get(l->bytes, &e, &err) == 0) {
		buf_put_slice(out, event_text(&e, F_EventId));
		return;
	}
	sha = sha256_new();
	if (sha == NULL)
		return;
	sha256_start(sha);
	sha256_add(sha, l->bytes.p, l->bytes.n);
	sha256_finish(sha, digest);
	sha256_free(sha);
	buf_put_hex(out, digest, 16);
}

static bool
holds(struct slice text, const char *part)
{
	return text.n > 0 && memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static bool
is_wanted(void *arg, const struct dead_letter *l)
{
	struct asked *a = arg;
	char raw[33] = "";
	struct buf id;

	if (a->match == NULL || holds(l->from, a->match) || holds(l->reason, a->match))
		return true;
	buf_init(&id, 64);
	letter_id(l, &id);
	snprintf(raw, sizeof(raw), "%.*s", (int)id.n, id.n > 0 ? id.p : "");
	buf_fini(&id);
	return strcmp(raw, a->match) == 0;
}

static void
letter_json(struct asked *a, const struct dead_letter *l, const char *when)
{
	buf_printf(&a->line, "{\"when\":\"%s\",\"kind\":\"%s\",\"from\":", when, l->kind == DEAD_EVENT ? "event" : "record");
	buf_put_json(&a->line, l->from);
	buf_puts(&a->line, ",\"reason\":");
	buf_put_json(&a->line, l->reason);
	buf_puts(&a->line, ",\"id\":\"");
	letter_id(l, &a->line);
	buf_puts(&a->line, "\",\"length\":");
	buf_put_u64(&a->line, l->bytes.n);
	if (a->bytes) {
		buf_puts(&a->line, ",\"base64\":\"");
		buf_put_base64(&a->line, l->bytes.p, l->bytes.n, false);
		buf_putc(&a->line, '"');
	}
	buf_putc(&a->line, '}');
}

static int
print_letter(void *arg, const struct dead_letter *l)
{
	struct asked *a = arg;
	char when[TIME_TEXT_BYTES];

	if (!is_wanted(a, l))
		return 0;
	time_format_ms(l->when_ms, when);
	buf_reset(&a->line);
	if (a->json) {
		letter_json(a, l, when);
	} else {
		buf_printf(&a->line, "%s  %-6s  ", when, l->kind == DEAD_EVENT ? "event" : "record");
		buf_put_slice(&a->line, l->from);
		buf_puts(&a->line, "  ");
		letter_id(l, &a->line);
		buf_printf(&a->line, "  %zu bytes  ", l->bytes.n);
		buf_put_slice(&a->line, l->reason);
		utf8_make_plain(a->line.p, a->line.n);
	}
	return print_line(a);
}

static int
letters(struct asked *a, const char *dir)
{
	struct err err = { 0 };
	uint64_t damaged = 0;

	a->json = a->json || a->bytes || !isatty(fileno(a->out));
	if (access(dir, F_OK) != 0 && a->dir == NULL)
		return 0;		/* nothing was ever set aside */
	if (dead_each(dir, print_letter, a, &damaged, &err) != 0)
		return failed(&err);
	if (damaged == 0)
		return 0;
	fprintf(stderr, "aispm-agent: %s: %llu letters are damaged\n", dir, (unsigned long long)damaged);
	return EX_DATAERR;
}

static int
replay(struct asked *a, const char *state_dir)
{
	struct replay_result r = { 0 };
	struct err err = { 0 };
	int rc;

	if (a->conf == NULL)
		return usage("--replay needs the configuration: -c FILE");
	rc = replay_run(a->conf, state_dir, is_wanted, a, &r, &err);
	if (rc == 0 || r.letters > 0)
		fprintf(a->out, a->json ? "{\"letters\":%llu,\"events\":%llu,\"findings\":%llu,\"refused\":%llu}\n" :
		    "%llu letters back in the spool: %llu events, %llu findings; %llu cannot be read now either and stay\n",
		    (unsigned long long)r.letters, (unsigned long long)r.events, (unsigned long long)r.findings,
		    (unsigned long long)r.refused);
	if (rc != 0)
		return failed(&err);
	return r.refused == 0 ? 0 : EX_DATAERR;
}

/* ---- which directory --------------------------------------------------------------------- */

static bool
is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* DIR names a state directory or what is in it. Into ret: the state directory, and below it `name` ("spool", "dead"), or DIR itself. */
static void
find_dirs(const struct asked *a, const char *name, char ret_state[4096], char ret[4200])
{
	const char *given = a->dir != NULL ? a->dir : a->state_dir;
	size_t n = strlen(given);

	while (n > 1 && given[n - 1] == '/')
		n--;
	snprintf(ret_state, 4096, "%.*s", (int)(n < 4000 ? n : 4000), given);
	snprintf(ret, 4200, "%s/%s", ret_state, name);
	if (a->dir == NULL || is_dir(ret))
		return;
	snprintf(ret, 4200, "%s/../%s", ret_state, name);	/* the sibling: `dead` of a spool */
	if (strcmp(name, "dead") == 0 && n >= 6 && strcmp(ret_state + strlen(ret_state) - 6, "/spool") == 0 && is_dir(ret)) {
		ret_state[strlen(ret_state) - 6] = '\0';
		return;
	}
	snprintf(ret, 4200, "%s", ret_state);
	if (strlen(ret_state) > strlen(name) && strcmp(ret_state + strlen(ret_state) - strlen(name), name) == 0 &&
	    ret_state[strlen(ret_state) - strlen(name) - 1] == '/')
		ret_state[strlen(ret_state) - strlen(name) - 1] = '\0';
}

static int
act(struct asked *a)
{
	char state_dir[4096], dir[4200];
	struct err err = { 0 };
	int rc;

	find_dirs(a, strcmp(a->word, "dead") == 0 ? "dead" : "spool", state_dir, dir);
	if (strcmp(a->word, "dead") == 0)
		return a->replay ? replay(a, state_dir) : letters(a, dir);
	if (strcmp(a->word, "dump") == 0)
		return dump(a, dir);
	if (strcmp(a->word, "stat") == 0)
		return spool_stat_print(dir, a->json, &err) == 0 ? 0 : failed(&err);
	if (strcmp(a->word, "repair") == 0)
		return spool_repair_print(dir, &err) == 0 ? 0 : failed(&err);
	rc = spool_verify_print(dir, a->json, &err);
	return rc == -1 ? failed(&err) : rc == 0 ? 0 : EX_DATAERR;
}

/* The configuration where one is named, or where one is needed and lies at its place. */
static int
with_conf(struct asked *a)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	int rc = 0;

	a->state_dir = STATE_DIR;
	if (!a->conf_given && ((a->dir != NULL && !a->replay) || access(a->conf_path, F_OK) != 0))
		return act(a);
	problems_init(&problems);
	if (settings_load(a->conf_path, &conf, &problems, &err) != 0) {
		problems_print(&problems, stderr);
		rc = problems.errors == 0 ? failed(&err) : EX_CONFIG;
	} else {
		a->conf = conf;
		a->state_dir = conf_text(conf_block(conf, "agent"), "state_dir");
		rc = act(a);
	}
	problems_fini(&problems);
	conf_free(conf);
	return rc;
}

/* ---- the command line ---------------------------------------------------------------------- */

/* The value of an option that stands as "--name VALUE" or "--name=VALUE"; NULL when it is another, or has none. */
static const char *
value_of(const char *name, int argc, char **argv, int *i)
{
	size_t n = strlen(name);

	if (strcmp(argv[*i], name) == 0)
		return *i + 1 < argc ? argv[++*i] : NULL;
	return n > 2 && strncmp(argv[*i], name, n) == 0 && argv[*i][n] == '=' ? argv[*i] + n + 1 : NULL;
}

static bool
parse_one(struct asked *a, int argc, char **argv, int *i)
{
	bool dead = strcmp(a->word, "dead") == 0;
	const char *arg = argv[*i], *v;

	if (strcmp(arg, "--json") == 0 && (dead || strcmp(a->word, "stat") == 0 || strcmp(a->word, "verify") == 0))
		return a->json = true;
	if (strcmp(arg, "--bytes") == 0 && dead)
		return a->bytes = true;
	if (strcmp(arg, "--replay") == 0 && dead)
		return a->replay = true;
	if ((v = value_of("-c", argc, argv, i)) != NULL || (v = value_of("--config", argc, argv, i)) != NULL) {
		a->conf_path = v;
		return a->conf_given = true;
	}
	if (dead && (v = value_of("--match", argc, argv, i)) != NULL) {
		a->match = v;
		return true;
	}
	if (strcmp(a->word, "dump") == 0 && (v = value_of("--from", argc, argv, i)) != NULL)
		return slice_to_i64(slice_of(v), &a->from_seq) && a->from_seq >= 0;
	if (arg[0] == '-' || a->dir != NULL)
		return false;
	a->dir = arg;
	return true;
}

int
spool_cli(int argc, char **argv, const char *conf_path, FILE *out)
{
	static const char *const words[] = { "stat", "verify", "repair", "dump", "dead" };
	struct asked a = { .word = "", .conf_path = conf_path, .out = out };
	int rc = EX_USAGE, first = 0;

	/* -c FILE may stand before the word too */
	while (first < argc && argv[first][0] == '-' && (strcmp(argv[first], "-c") == 0 || strncmp(argv[first], "--config", 8) == 0))
		if (!parse_one(&a, argc, argv, &first) || ++first > argc)
			return usage("-c needs a file");
	for (size_t i = 0; first < argc && i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(argv[first], words[i]) == 0)
			a.word = words[i];
	if (a.word[0] == '\0')
		return usage("stat, verify, repair, dump or dead is needed");
	for (int i = first + 1; i < argc; i++)
		if (!parse_one(&a, argc, argv, &i))
			return usage("unknown option, a wrong value, or more than one DIR");
	buf_init(&a.line, 2 * (size_t)LINE_BYTES);
	rc = with_conf(&a);
	buf_fini(&a.line);
	if (fflush(out) != 0 && rc == 0) {
		fprintf(stderr, "aispm-agent: cannot write\n");
		rc = EX_IOERR;
	}
	return rc;
}
