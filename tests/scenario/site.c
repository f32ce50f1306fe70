/* site.c - the agent put together by hand, and turned. The order of opening and closing is that of agent/run/agent.c. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "site.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/note.h"
#include "base/stat.h"
#include "model/record.h"
#include "run/agent.h"
#include "run/settings.h"
#include "sinks/sentinel/pace.h"
#include "spool/dead.h"
#include "spool/spool.h"
#include "tests/unit/far_side.h"

#define NOW_MS		UINT64_C(1769860800000)		/* 2026-01-31T12:00:00Z */
#define TURNS_MOST	100000
#define ENTRY_BYTES	(4u << 20)
#define OFFSET_AT	28			/* in a position of source `file`: file_place.c */

static void
nothing(void)
{
}

void (*site_enter)(void) = nothing, (*site_leave)(void) = nothing;
bool site_apart = true;

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- the ground ------------------------------------------------------------------- */

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void
remove_tree(const char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void
path_in(const struct site *s, const char *name, char ret[512])
{
	snprintf(ret, 512, "%s/%s", s->dir, name);
}

void
site_open(struct site *s, const char *script)
{
	const char *base = getenv("TMPDIR");
	char path[512];
	int fd;

	*s = (struct site){ .script = script };
	if (base == NULL)		/* each sync of a real disk costs milliseconds */
		base = access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
	snprintf(s->dir, sizeof(s->dir), "%.90s/aispm-scn.XXXXXX", base);
	must(mkdtemp(s->dir));
	path_in(s, "out", path);
	if (mkdir(path, 0700) != 0)
		abort();
	snprintf(s->state_dir, sizeof(s->state_dir), "%s/state", s->dir);
	if (mkdir(s->state_dir, 0700) != 0)
		abort();
	path_in(s, "log", path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	note_to_fd(fd);
	setenv("AISPM_SCENARIO_SECRET", "the-secret", 1);
	setenv("AISPM_DATA_DIR", SRC_DIR, 0);		/* the mappings */
	clock_fake(NOW_MS);
	pace_forget();
	s->server = far_side_start(NULL);
	s->tokens = far_side_start(NULL);
	far_side_otherwise(s->tokens, 200, NULL, "{\"access_token\":\"token-standing\",\"expires_in\":3600}");
	ledger_init(&s->ledger);
}

void
site_close(struct site *s)
{
	site_stop(s);
	far_side_stop(s->server);
	far_side_stop(s->tokens);
	conf_free(s->conf);
	ledger_fini(&s->ledger);
	note_to_fd(-1);
	remove_tree(s->dir);
}

char *
site_expand(const struct site *s, const char *text)
{
	struct buf b;
	char sentinel[1024];

	snprintf(sentinel, sizeof(sentinel), "type: sentinel, endpoint: \"%s\", rule: dcr-0123456789abcdef0123456789abcdef, "
	    "stream: Custom-AISPMEvents, auth: {type: client_secret, tenant: t, client_id: c, "
	    "secret: {env: AISPM_SCENARIO_SECRET}, authority: \"%s\"}", far_side_url(s->server), far_side_url(s->tokens));
	const struct { const char *name, *value; } vars[] = {
		{ "$TMP", s->dir }, { "$SERVER", far_side_url(s->server) }, { "$TOKENS", far_side_url(s->tokens) },
		{ "$SENTINEL", sentinel },
	};

	buf_init(&b, 1 << 20);
	while (*text != '\0') {
		size_t i = 0;

		while (i < 4 && strncmp(text, vars[i].name, strlen(vars[i].name)) != 0)
			i++;
		if (i < 4) {
			buf_puts(&b, vars[i].value);
			text += strlen(vars[i].name);
		} else {
			buf_putc(&b, *text++);
		}
	}
	buf_putc(&b, '\0');
	if (b.failed)
		abort();
	return b.p;
}

/* ---- putting the agent together ----------------------------------------------------- */

static void
spooled(void *arg)
{
	deliver_more(((struct site *)arg)->deliver);
}

static void
freed(void *arg)
{
	intake_room(((struct site *)arg)->intake);
}

static struct spool_limits
limits_of(const struct site *s, const struct conf *conf)
{
	uint64_t total = s->spool_bytes != 0 ? s->spool_bytes :
	    conf_bytes(conf_block(conf_block(conf, "agent"), "spool"), "max_bytes");

	return (struct spool_limits){ .total_bytes = total, .entry_bytes = ENTRY_BYTES,
		.segment_bytes = total / 8 < (64u << 20) ? (uint32_t)(total / 8) : 64u << 20 };
}

static int
load(const struct site *s, const char *yaml, struct conf **ret, char say[512])
{
	struct problems problems;
	struct err err = { 0 };
	char *block = site_expand(s, yaml), *whole;
	int rc;

	if (asprintf(&whole, "agent: {state_dir: %s, heartbeat: 0s, decode: %s}\n"
	    "detectors: {volume: {enabled: false}, access: {enabled: false}, config: {enabled: false}}\n%s", s->state_dir,
	    site_apart ? "process" : "inline", block) < 0)
		abort();
	problems_init(&problems);
	rc = settings_load_text("config", slice_of(whole), ret, &problems, &err);
	if (rc != 0)
		snprintf(say, 512, "the configuration is refused: %.200s", err.text);
	for (size_t i = 0; rc != 0 && i < problems.n; i++)
		if (!problems.v[i].warning)
			snprintf(say, 512, "the configuration is refused: line %u of the block: %.90s: %.300s", problems.v[i].line - 1,
			    problems.v[i].key, problems.v[i].text);
	problems_fini(&problems);
	free(block);
	free(whole);
	return rc;
}

static void
know_sinks(struct site *s)
{
	for (size_t i = 0; i < conf_blocks(s->conf, "sinks"); i++)
		ledger_sink(&s->ledger, conf_text(conf_block_at(s->conf, "sinks", i), "name"));
}

bool
site_is_read(const struct site *s, const char *path)
{
	for (size_t i = 0; s->conf != NULL && i < conf_blocks(s->conf, "sources"); i++) {
		const struct conf *source = conf_block_at(s->conf, "sources", i);

		for (size_t k = 0; k < conf_texts(source, "paths"); k++)
			if (fnmatch(conf_text_at(source, "paths", k), path, FNM_PATHNAME | FNM_PERIOD) == 0)
				return true;
	}
	return false;
}

int
site_configure(struct site *s, const char *yaml, char say[512])
{
	struct conf *conf = NULL;

	if (load(s, yaml, &conf, say) != 0)
		return -1;
	conf_free(s->conf);
	s->conf = conf;
	know_sinks(s);
	return 0;
}

static int
open_stores(struct site *s, struct err *err)
{
	const struct spool_limits limits = limits_of(s, s->conf);
	char path[512];

	if (state_dir_make(s->state_dir, err) != 0 || state_agent_id(s->state_dir, s->agent_id, err) != 0)
		return -1;
	s->spool_stats = stat_make(STAT_SPOOL, "spool", "spool");
	if (s->spool_stats == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	path_in(s, "state/spool", path);
	if (spool_open(&s->spool, path, &limits, NULL, err) != 0)
		return -1;
	path_in(s, "state/dead", path);
	return dead_open(&s->dead, path, 256u << 20, NULL, NULL, err);
}

static int
assemble(struct site *s, const struct conf *conf, struct intake **ret_intake, struct deliver **ret_deliver, struct err *err)
{
	const struct world world = {
		.spool = s->spool, .dead = s->dead, .spool_stats = s->spool_stats, .state_dir = s->state_dir, .agent_id = s->agent_id,
		.hostname = "collector", .spool_bytes = limits_of(s, conf).total_bytes, .spooled = spooled, .freed = freed, .arg = s,
	};
	struct intake *intake = NULL;
	struct problems problems;
	int rc = -1;

	problems_init(&problems);
	if (intake_open(&intake, &world, conf, &problems, err) == 0) {
		if (deliver_open(ret_deliver, &world, conf, err) == 0) {
			*ret_intake = intake;
			rc = 0;
		} else {
			intake_close(intake);
		}
	}
	problems_fini(&problems);
	return rc;
}

static int
keep_cursors(struct site *s, struct err *err)
{
	const char *names[33];
	size_t n = conf_blocks(s->conf, "sinks");

	for (size_t i = 0; i < n && i < 32; i++)
		names[i] = conf_text(conf_block_at(s->conf, "sinks", i), "name");
	names[n] = INTAKE_CURSOR;
	return spool_keep_cursors(s->spool, names, n + 1, NULL, NULL, err);
}

static int
begin(struct site *s, struct err *err)
{
	return keep_cursors(s, err) == 0 && deliver_start(s->deliver, false, err) == 0 &&
	    intake_start(s->intake, false, err) == 0 ? 0 : -1;
}

static void
take_apart(struct site *s)
{
	intake_stop(s->intake);
	deliver_stop(s->deliver, 0);
	deliver_close(s->deliver);
	intake_close(s->intake);
	dead_close(s->dead);
	spool_close(s->spool);
	stat_drop(s->spool_stats);
	s->intake = NULL;
	s->deliver = NULL;
	s->dead = NULL;
	s->spool = NULL;
	s->spool_stats = NULL;
}

int
site_start(struct site *s, struct err *err)
{
	int rc = -1;

	s->wanted = true;
	site_enter();
	if (open_stores(s, err) == 0 && assemble(s, s->conf, &s->intake, &s->deliver, err) == 0 && begin(s, err) == 0)
		rc = 0;
	if (rc != 0)
		take_apart(s);
	site_leave();
	return rc;
}

void
site_stop(struct site *s)
{
	site_enter();
	take_apart(s);
	site_leave();
}

int
site_reload(struct site *s, const char *yaml, char say[512])
{
	struct intake *intake = NULL;
	struct deliver *deliver = NULL;
	struct conf *conf = NULL, *old = s->conf;
	struct spool_limits limits;
	struct err err = { 0 };
	int rc = -1;

	if (load(s, yaml, &conf, say) != 0)
		return -1;
	site_enter();
	if (s->intake != NULL && assemble(s, conf, &intake, &deliver, &err) != 0) {
		snprintf(say, 512, "%s", err.text);
		conf_free(conf);
		goto out;
	}
	s->conf = conf;
	know_sinks(s);
	rc = 0;
	if (intake != NULL) {
		intake_stop(s->intake);
		deliver_stop(s->deliver, 0);
		deliver_close(s->deliver);
		intake_close(s->intake);
		s->intake = intake;
		s->deliver = deliver;
		limits = limits_of(s, conf);
		if (spool_set_limits(s->spool, &limits, &err) != 0 || begin(s, &err) != 0)
			take_apart(s);		/* the agent ends, and its supervisor starts it again */
		else
			deliver_reopen(s->deliver);
	}
	conf_free(old);
out:
	site_leave();
	return rc;
}

/* ---- turning ------------------------------------------------------------------------------ */

static int
turn(struct site *s, int wait_ms)
{
	int n;

	site_enter();
	n = intake_turn(s->intake, 0);
	if (!s->killed)
		n += deliver_turn(s->deliver, wait_ms);
	site_leave();
	if (s->flaw[0] == '\0' && spool_total_bytes(s->spool) > limits_of(s, s->conf).total_bytes)
		snprintf(s->flaw, sizeof(s->flaw), "the spool has passed its limit");
	return n;
}

static bool
is_busy(struct site *s)
{
	size_t requests = 0, out = deliver_out(s->deliver, &requests);

	return requests > far_side_stalled(s->server) + far_side_stalled(s->tokens) || out > requests;
}

bool
site_settle(struct site *s)
{
	uint64_t until_ms = far_side_real_ms() + FAR_SIDE_PATIENCE_MS;
	unsigned quiet = 0, turns = 0;
	bool busy = false;

	while (s->intake != NULL && !s->killed && s->flaw[0] == '\0' && quiet < 2) {
		int n = turn(s, busy ? 1 : 0);

		busy = n == 0 && is_busy(s);
		quiet = n == 0 && !busy ? quiet + 1 : 0;
		if (n > 0 && ++turns > TURNS_MOST)
			snprintf(s->flaw, sizeof(s->flaw), "the agent turns without an end and without time passing");
		if (far_side_real_ms() > until_ms)
			snprintf(s->flaw, sizeof(s->flaw), "the agent waits for an answer that does not come (%d s)", FAR_SIDE_PATIENCE_MS / 1000);
	}
	return s->flaw[0] == '\0';
}

bool
site_pass(struct site *s, uint64_t ms)
{
	uint64_t step = ms <= 2000 ? 10 : ms <= 120000 ? 100 : ms <= 3600000 ? 2000 : 10000;

	if (!site_settle(s))
		return false;
	while (ms > 0 && !s->killed) {
		uint64_t by = ms < step ? ms : step;

		clock_fake_advance(by);
		ms -= by;
		if (!site_settle(s))
			return false;
	}
	return true;
}

/* ---- kill -9 --------------------------------------------------------------------------------- */

static const char *copy_from, *copy_to;

static int
copy_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	char to[1024], part[65536];
	int in, out;
	ssize_t n;

	(void)ftw;
	snprintf(to, sizeof(to), "%s%s", copy_to, path + strlen(copy_from));
	if (type == FTW_D)
		return mkdir(to, st->st_mode & 0777);
	if (type != FTW_F)
		return 0;
	in = open(path, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, st->st_mode & 0777);
	if (in < 0 || out < 0)
		abort();
	while ((n = read(in, part, sizeof(part))) > 0)
		if (write(out, part, (size_t)n) != n)
			abort();
	close(in);
	close(out);
	return 0;
}

static void
copy_tree(const char *from, const char *to)
{
	copy_from = from;
	copy_to = to;
	if (nftw(from, copy_one, 16, FTW_PHYS) != 0)
		abort();
}

void
site_snapshot(struct site *s)
{
	static const char *const names[] = { "state", "out" };
	char from[512], to[512];

	path_in(s, "save", to);
	if (mkdir(to, 0700) != 0)
		abort();
	for (int i = 0; i < 2; i++) {
		path_in(s, names[i], from);
		snprintf(to, sizeof(to), "%s/save/%s", s->dir, names[i]);
		copy_tree(from, to);
	}
	s->server_mark = far_side_count(s->server);
	s->killed = true;
}

void
site_bury(struct site *s)
{
	static const char *const names[] = { "state", "out" };
	char from[512], to[512];

	take_apart(s);
	for (int i = 0; i < 2; i++) {
		path_in(s, names[i], to);
		remove_tree(to);
		snprintf(from, sizeof(from), "%s/save/%s", s->dir, names[i]);
		if (rename(from, to) != 0)
			abort();
	}
	path_in(s, "save", from);
	rmdir(from);
	ledger_forget(&s->ledger, s->server_mark, far_side_count(s->server));
	s->killed = false;
}

/* ---- looking --------------------------------------------------------------------------------- */

struct looking {
	const char		*name;
	struct stat_block	*found;
};

static void
look_at(void *arg, struct stat_block *b)
{
	struct looking *l = arg;

	if (strcmp(b->name, l->name) == 0)
		l->found = b;
}

struct stat_block *
site_stats(const char *name)
{
	struct looking l = { name, NULL };

	stat_each(look_at, &l);
	return l.found;
}

struct seeking {
	const char	*source;
	int64_t		 at;
};

static int
see_mark(void *arg, struct slice source, const struct position *at)
{
	struct seeking *k = arg;

	if (slice_eq(source, slice_of(k->source)) && at->len > OFFSET_AT + 8) {
		int64_t offset = (int64_t)get_le64(at->bytes + OFFSET_AT);

		k->at = offset > k->at ? offset : k->at;
	}
	return 0;
}

int64_t
site_source_at(struct site *s, const char *source)
{
	struct seeking k = { source, -1 };
	struct err err;

	if (s->spool == NULL || spool_each_mark(s->spool, see_mark, &k, &err) != 0)
		return -1;
	return k.at;
}

void
site_print_log(const struct site *s)
{
	char path[256], line[1024];
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", s->dir);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		printf("#   log: %s", line);
	if (f != NULL)
		fclose(f);
}
