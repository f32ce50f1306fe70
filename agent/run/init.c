/*
 * init.c - `aispm-agent init`: flags, or questions on a terminal, to a configuration; written beside the old one, checked, put in place, tried.
 *
 * What an answer may be is told by the same tables that read the file: a question is asked until the configuration has no fault at that key.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "run/cli.h"
#include "run/settings.h"

#define TEXT_MAX	(256u << 10)

static const struct flag { const char *name, *value, *key; size_t text, list, on; } flags[] = {
#define AT(field)					offsetof(struct init_wish, field) + 1
#define INIT_FLAG(field, name, value, key, help)	{ name, value, key, AT(field), 0, 0 },
#define INIT_LIST(field, name, value, key, help)	{ name, value, key, 0, AT(field), 0 },
#define INIT_SWITCH(field, name, help)			{ name, "", "", 0, 0, AT(field) },
#include "run/init_flags.tbl"
#undef INIT_FLAG
#undef INIT_LIST
#undef INIT_SWITCH
};
#define NFLAGS	(sizeof(flags) / sizeof(flags[0]))

static void *
member(struct init_wish *w, size_t at)
{
	return (char *)w + at - 1;
}

const char *
init_keep(struct init_wish *w, const char *text)
{
	char *copy = w->nmade < sizeof(w->made) / sizeof(w->made[0]) ? strdup(text) : NULL;

	if (copy != NULL)
		w->made[w->nmade++] = copy;
	return copy;
}

bool
init_add(struct init_wish *w, struct init_list *list, const char *text)
{
	const char *copy = list->n < INIT_MANY ? init_keep(w, text) : NULL;

	if (copy == NULL)
		return false;
	list->v[list->n++] = copy;
	return true;
}

static int
usage(const char *what, const char *which)
{
	fprintf(stderr, "aispm-agent: init: %s%s; see man aispm-agent, or aispm-agent --help\n", which, what);
	return EX_USAGE;
}

/* ---- flags ------------------------------------------------------------------------- */

/* One of the words of "a|b|c"; a value that is no list of words may be anything but empty. */
static bool
is_allowed(const char *words, const char *text)
{
	const size_t n = strlen(text);

	if (words[0] < 'a' || words[0] > 'z')
		return n > 0;
	for (const char *at = words; *at != '\0';) {
		size_t len = strcspn(at, "|");

		if (len == n && memcmp(at, text, n) == 0)
			return true;
		at += len + (at[len] == '|');
	}
	return false;
}

static int
take_flag(struct init_wish *w, const struct flag *f, const char *text)
{
	if (f->on != 0) {
		*(bool *)member(w, f->on) = true;
		return 0;
	}
	if (!is_allowed(f->value, text)) {
		fprintf(stderr, "aispm-agent: init: %s: allowed: %s\n", f->name, f->value);
		return EX_USAGE;
	}
	if (f->text != 0)
		*(const char **)member(w, f->text) = text;
	else if (!init_add(w, member(w, f->list), text))
		return usage(" is given too often", f->name);
	return 0;
}

static int
parse(struct init_wish *w, int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		const char *eq = strchr(argv[i], '='), *value = NULL;
		size_t n = eq != NULL ? (size_t)(eq - argv[i]) : strlen(argv[i]);
		const struct flag *f = NULL;
		bool conf = (n == 2 && memcmp(argv[i], "-c", 2) == 0) || (n == 8 && memcmp(argv[i], "--config", 8) == 0);
		const char *name = argv[i];
		int rc;

		if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0)
			return -1;
		for (size_t k = 0; k < NFLAGS && f == NULL; k++)
			if (strlen(flags[k].name) == n && memcmp(flags[k].name, name, n) == 0)
				f = &flags[k];
		if (f == NULL && !conf)
			return usage(": no such flag", name);
		if (conf || f->on == 0) {
			value = eq != NULL ? eq + 1 : i + 1 < argc ? argv[++i] : NULL;
			if (value == NULL || value[0] == '\0')
				return usage(" needs a value", name);
		} else if (eq != NULL) {
			return usage(": this flag takes no value", name);
		}
		if (conf) {
			w->conf_path = value;
			continue;
		}
		rc = take_flag(w, f, value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

/* ---- faults --------------------------------------------------------------------------- */

static bool
is_at(const struct problem *p, const char *key)
{
	const char *dot = strrchr(p->key, '.');
	const char *last = dot != NULL ? dot + 1 : p->key;
	const size_t n = strlen(key);

	return strncmp(last, key, n) == 0 && (last[n] == '\0' || last[n] == '[');
}

/* Says what is wrong at `key`, or everywhere ("") in terms of flags. True: something is. */
static bool
tell_faults(const struct problems *problems, const char *key)
{
	bool any = false;

	for (size_t i = 0; i < problems->n; i++) {
		const struct problem *p = &problems->v[i];
		const struct flag *f = NULL;

		if (p->warning || (key[0] != '\0' && !is_at(p, key)))
			continue;
		for (size_t k = 0; k < NFLAGS && f == NULL; k++)
			if (flags[k].key[0] != '\0' && is_at(p, flags[k].key))
				f = &flags[k];
		fprintf(stderr, "aispm-agent: %s%s%s: %s\n", key[0] != '\0' || f == NULL ? "" : f->name, key[0] != '\0' || f == NULL ? "" : ": ",
		    p->key, p->text);
		any = true;
	}
	return any;
}

/* The configuration as it stands so far, only for its faults. */
static bool
has_fault(const struct init_wish *w, const char *key)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	struct buf text;
	bool bad = false;

	buf_init(&text, TEXT_MAX);
	problems_init(&problems);
	init_text(w, &text);
	if (settings_load_text(w->conf_path, buf_slice(&text), &conf, &problems, &err) != 0)
		bad = tell_faults(&problems, key);
	conf_free(conf);
	problems_fini(&problems);
	buf_fini(&text);
	return bad;
}

/* ---- questions ------------------------------------------------------------------------- */

/* A line from the terminal, trimmed; "" for an empty one; NULL at its end. */
static const char *
read_answer(struct init_wish *w, const char *question, const char *fallback)
{
	char *line = NULL;
	size_t cap = 0;
	const char *kept = NULL;
	struct slice s;

	fprintf(stderr, fallback != NULL && fallback[0] != '\0' ? "%s [%s]: " : "%s: ", question, fallback);
	if (getline(&line, &cap, stdin) > 0) {
		s = slice_trim(slice_of(line));
		line[(size_t)(s.p - line) + s.n] = '\0';
		kept = init_keep(w, s.n > 0 ? s.p : fallback != NULL ? fallback : "");
	}
	free(line);
	return kept;
}

/* Asks for a text until the configuration has no fault at its key; an empty answer without a default leaves it unset. -1: no more answers. */
static int
ask(struct init_wish *w, const char **ret, const char *key, const char *question, const char *fallback)
{
	const char *given = *ret, *answer;

	while (given == NULL) {
		answer = read_answer(w, question, fallback);
		if (answer == NULL)
			return -1;
		*ret = answer[0] != '\0' ? answer : NULL;
		if (!has_fault(w, key))
			return 0;
		*ret = NULL;
	}
	return 0;
}

static int
ask_more(struct init_wish *w, struct init_list *list, const char *key, const char *question)
{
	while (list->n < INIT_MANY) {
		const char *answer = read_answer(w, question, NULL);

		if (answer == NULL)
			return -1;
		if (answer[0] == '\0')
			return 0;
		list->v[list->n++] = answer;
		if (has_fault(w, key))
			list->n--;
	}
	return 0;
}

static int
ask_found(struct init_wish *w, const struct init_sight *s)
{
	char question[768];

	for (size_t i = 0; i < s->nfound; i++) {
		const char *answer;

		snprintf(question, sizeof(question), "Read %s (%u file%s, %s)? yes or no", s->found[i].glob, s->found[i].files,
		    s->found[i].files == 1 ? "" : "s", s->found[i].what);
		answer = read_answer(w, question, "yes");
		if (answer == NULL)
			return -1;
		if (answer[0] != 'n' && answer[0] != 'N' && !init_add(w, &w->files, s->found[i].glob))
			return -1;
	}
	return 0;
}

static bool
is_application(const struct init_wish *w)
{
	return w->identity != NULL && strncmp(w->identity, "client_", 7) == 0;
}

static bool
needs_identity(const struct init_wish *w)
{
	return strcmp(w->sink, "sentinel") == 0 || w->hubs.n > 0 || w->subscriptions.n > 0;
}

static int
ask_identity(struct init_wish *w, const struct init_sight *s)
{
	if (ask(w, &w->cloud, "cloud", "Which Azure: public, usgov or china", "public") != 0 ||
	    ask(w, &w->identity, "type", "How the agent proves who it is: managed_identity, azure_arc, workload_identity, client_secret or "
	    "client_certificate", s->identity != NULL ? s->identity : "client_secret") != 0)
		return -1;
	if (!is_application(w))
		return 0;
	if (ask(w, &w->tenant, "tenant", "Tenant id or domain", NULL) != 0 ||
	    ask(w, &w->client_id, "client_id", "Application (client) id", NULL) != 0)
		return -1;
	return strcmp(w->identity, "client_secret") == 0 ?
	    ask(w, &w->secret, "secret", "Where its secret is: file:PATH, env:NAME or credential:NAME", "credential:sentinel") :
	    ask(w, &w->certificate, "certificate", "PEM file with its certificate and key", NULL);
}

static int
ask_sink(struct init_wish *w)
{
	if (strcmp(w->sink, "sentinel") == 0)
		return ask(w, &w->endpoint, "endpoint", "Logs ingestion endpoint of the data collection rule (https://...)", NULL) != 0 ||
		    ask(w, &w->rule, "rule", "The rule's immutable id (dcr-...)", NULL) != 0 ||
		    ask(w, &w->stream, "stream", "The rule's stream", "Custom-AISPMEvents") != 0 ? -1 : 0;
	if (strcmp(w->sink, "kafka") == 0)
		return ask(w, &w->brokers, "brokers", "Brokers (HOST:PORT, more with commas)", NULL) != 0 ||
		    ask(w, &w->topic, "topic", "Topic", "aispm-events") != 0 ? -1 : 0;
	if (strcmp(w->sink, "syslog") == 0)
		return ask(w, &w->target, "target", "Where messages go", "tcp://127.0.0.1:514");
	return ask(w, &w->path, "path", "File of events", "/var/log/aispm/events.ndjson");
}

static int
interview(struct init_wish *w, const struct init_sight *s)
{
	fprintf(stderr, "An empty answer takes what stands in [ ]. Nothing is written before the end.\n");
	if ((w->files.n == 0 && ask_found(w, s) != 0) ||
	    ask_more(w, &w->files, "paths", "Another log file or pattern to read, such as /var/log/ai/*.ndjson (empty: no)") != 0 ||
	    ask_more(w, &w->hubs, "brokers", "An event hub to read, NAMESPACE.servicebus.windows.net:9093/HUB (empty: no)") != 0 ||
	    ask_more(w, &w->subscriptions, "subscriptions", "An Azure subscription to ask for alerts and inventory (empty: no)") != 0 ||
	    ask(w, &w->sink, "type", "Where events go: sentinel, kafka, syslog or file", "sentinel") != 0 ||
	    (needs_identity(w) && ask_identity(w, s) != 0) || ask_sink(w) != 0 ||
	    ask(w, &w->http, "http", "Address of the status page, such as 127.0.0.1:9464 (empty: off)", NULL) != 0)
		return -1;
	return 0;
}

/* ---- defaults ---------------------------------------------------------------------------- */

static void
set_default(const char **text, const char *fallback)
{
	if (*text == NULL)
		*text = fallback;
}

static bool
has_source(const struct init_wish *w)
{
	return w->files.n + w->hubs.n + w->subscriptions.n > 0 || w->push != NULL;
}

static int
decide(struct init_wish *w, const struct init_sight *s)
{
	if (!has_source(w))
		for (size_t i = 0; i < s->nfound; i++)
			(void)init_add(w, &w->files, s->found[i].glob);
	set_default(&w->sink, "sentinel");
	if (strcmp(w->sink, "sentinel") == 0)
		set_default(&w->stream, "Custom-AISPMEvents");
	else if (strcmp(w->sink, "kafka") == 0)
		set_default(&w->topic, "aispm-events");
	else if (strcmp(w->sink, "syslog") == 0)
		set_default(&w->target, "tcp://127.0.0.1:514");
	else
		set_default(&w->path, "/var/log/aispm/events.ndjson");
	if (needs_identity(w))
		set_default(&w->identity, w->secret != NULL ? "client_secret" : w->certificate != NULL ? "client_certificate" : s->identity);
	if (!has_source(w))
		return usage("no source: no log file under /var/log holds records that a mapping knows; give --files, --hub, --subscription or --push", "");
	if (needs_identity(w) && w->identity == NULL)
		return usage("no identity is seen on this machine; give --identity, and for an application --tenant, --client-id and --secret", "");
	return 0;
}

/* ---- writing ------------------------------------------------------------------------------ */

static bool
same_file(const char *a, const char *b)
{
	struct buf x, y;
	struct err err;
	bool same;

	buf_init(&x, TEXT_MAX);
	buf_init(&y, TEXT_MAX);
	same = buf_read_file(&x, a, &err) == 0 && buf_read_file(&y, b, &err) == 0 && slice_eq(buf_slice(&x), buf_slice(&y));
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

/* One that is there may go if it is the package's own, which nobody has touched. */
static int
may_write(const struct init_wish *w)
{
	if (w->force || access(w->conf_path, F_OK) != 0 || same_file(w->conf_path, DATA_DIR "/agent.yaml"))
		return 0;
	fprintf(stderr, "aispm-agent: init: %s is there already; --force replaces it and keeps it as %s.old\n", w->conf_path, w->conf_path);
	return EX_CONFIG;
}

static int
write_new(const char *path, struct slice text, struct err *err)
{
	const struct group *g = geteuid() == 0 ? getgrnam(AGENT_USER) : NULL;
	int fd, rc = -1;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set_sys(err, ERR_AGAIN, "%s", path);
	if ((g == NULL || fchown(fd, 0, g->gr_gid) == 0) && fchmod(fd, 0640) == 0 && write(fd, text.p, text.n) == (ssize_t)text.n &&
	    fsync(fd) == 0)
		rc = 0;
	else
		err_set_sys(err, ERR_AGAIN, "%s", path);
	close(fd);
	if (rc != 0)
		(void)unlink(path);
	return rc;
}

/* Keeps what was there as FILE.old, then renames. */
static int
put_in_place(const struct init_wish *w, const char *fresh, struct err *err)
{
	char old[4096];

	if (w->force && access(w->conf_path, F_OK) == 0) {
		if ((size_t)snprintf(old, sizeof(old), "%s.old", w->conf_path) >= sizeof(old))
			return err_set(err, ERR_CONFIG, "%s: the path is too long", w->conf_path);
		(void)unlink(old);
		if (link(w->conf_path, old) != 0)
			return err_set_sys(err, ERR_AGAIN, "%s", old);
	}
	return rename(fresh, w->conf_path) == 0 ? 0 : err_set_sys(err, ERR_AGAIN, "%s", w->conf_path);
}

/* The new text beside the old file, where the same conf.d counts; in place only if it has no fault. */
static int
write_checked(const struct init_wish *w, struct conf **ret, struct err *err)
{
	struct problems problems;
	char fresh[4096];
	struct buf text;
	int rc = EX_IOERR;

	buf_init(&text, TEXT_MAX);
	problems_init(&problems);
	init_text(w, &text);
	if (text.failed || (size_t)snprintf(fresh, sizeof(fresh), "%s.new", w->conf_path) >= sizeof(fresh)) {
		err_set(err, ERR_CONFIG, "too long, or no memory");
		goto out;
	}
	if (write_new(fresh, buf_slice(&text), err) != 0)
		goto out;
	if (check_conf(fresh, ret, &problems, err) != 0) {
		if (tell_faults(&problems, ""))
			err->text[0] = '\0';
		(void)unlink(fresh);
		rc = EX_CONFIG;
	} else if (put_in_place(w, fresh, err) == 0) {
		rc = 0;
	} else {
		(void)unlink(fresh);
	}
out:
	problems_fini(&problems);
	buf_fini(&text);
	return rc;
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void
tell_groups(const struct init_sight *s, FILE *out)
{
	for (size_t i = 0; i < s->nfound; i++)
		if (s->found[i].group[0] != '\0')
			fprintf(out, "%s: readable by group %s only; let the unit read it: " DATA_DIR "/examples/systemd/read-logs.conf\n",
			    s->found[i].glob, s->found[i].group);
}

static void
tell_secrets(const struct conf *conf, FILE *out)
{
	struct problems problems;

	problems_init(&problems);
	conf_look_at_secrets(conf, AGENT_USER, &problems);
	for (size_t i = 0; i < problems.n; i++)
		fprintf(out, "%s: warning: %s\n", problems.v[i].key, problems.v[i].text);
	problems_fini(&problems);
}

static int
try_it(const struct init_wish *w, const struct conf *conf, FILE *out)
{
	if (w->offline)
		return 0;
	if (w->secret != NULL && strncmp(w->secret, "credential:", 11) == 0) {
		fprintf(out, "not tried: the secret is a credential that only the running unit has; see " DATA_DIR
		    "/examples/systemd/credentials.conf\n");
		return 0;
	}
	fprintf(out, "trying each source and sink\n");
	(void)fflush(out);
	return probe_cli(conf, out);
}

static int
finish(const struct init_wish *w, const struct init_sight *s, FILE *out)
{
	struct err err = { .text = "" };
	struct conf *conf = NULL;
	int rc = write_checked(w, &conf, &err);

	if (rc != 0) {
		if (err.text[0] != '\0')
			fprintf(stderr, "aispm-agent: init: %s\n", err.text);
		fprintf(stderr, "aispm-agent: init: nothing was written\n");
	} else {
		fprintf(out, "%s: written, and fine: %zu sources, %zu sinks\n", w->conf_path, conf_blocks(conf, "sources"), conf_blocks(conf, "sinks"));
		tell_groups(s, out);
		tell_secrets(conf, out);
		rc = try_it(w, conf, out);
		fprintf(out, rc == 0 ? "next: systemctl enable --now aispm-agent\n" :
		    "next: what is named above, then: aispm-agent check --online, and systemctl enable --now aispm-agent\n");
	}
	conf_free(conf);
	return rc;
}

int
init_cli(int argc, char **argv, const char *conf_path, FILE *out)
{
	struct init_wish w = { .conf_path = conf_path };
	struct init_sight sight = { .nfound = 0 };
	struct err err = { 0 };
	int rc = parse(&w, argc, argv);

	if (rc == -1) {
		manual_help(out);
		rc = 0;
		goto out;
	}
	if (rc == 0)
		rc = may_write(&w);
	if (rc == 0 && !w.yes && !isatty(STDIN_FILENO))
		rc = usage("no terminal to ask on: give --yes and flags", "");
	if (rc != 0)
		goto out;
	if (init_look(w.root != NULL ? w.root : "", &sight, &err) != 0)
		fprintf(stderr, "aispm-agent: init: not looked for log files: %s\n", err.text);
	if (sight.identity != NULL)
		fprintf(stderr, "aispm-agent: init: %s: identity %s\n", sight.identity_why, sight.identity);
	if (!w.yes && interview(&w, &sight) != 0) {
		fprintf(stderr, "\naispm-agent: init: no more answers; nothing was written\n");
		rc = EX_USAGE;
	} else {
		rc = decide(&w, &sight);
	}
	if (rc == 0)
		rc = finish(&w, &sight, out);
out:
	for (size_t i = 0; i < w.nmade; i++)
		free(w.made[i]);
	return rc;
}
