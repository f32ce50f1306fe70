/*
 * agent.c - the main thread: puts the agent together, and then only waits: for signals, for a
 * question on the status socket, for the watchdog's hour, for the end of --once.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/own.h"
#include "base/stat.h"
#include "run/agent.h"
#include "run/cli.h"
#include "run/progress.h"
#include "run/settings.h"
#include "run/web.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define LOOK_MS		50	/* --once: how often we look whether all is done */
#define WATCH_MS	2000
#define STUCK_MS	30000
#define SEGMENT_BYTES	(64u << 20)
#define ENTRY_BYTES	(4u << 20)

struct agent {
	const struct agent_options *options;
	struct conf		*conf;
	char			*state_dir;
	char			 agent_id[33], hostname[256];
	int			 lock_fd;
	struct loop		*loop;
	struct loop_fd		*signals;
	struct loop_timer	*watch, *look;
	int			 signal_fd;
	struct stat_block	*spool_stats;
	struct spool		*spool;
	struct dead		*dead;
	struct status_server	*status;
	struct web		*web;
	char			 web_address[64];
	bool			 web_taken;	/* its address is another's: tried again */
	struct intake		*intake;
	struct deliver		*deliver;
	uint64_t		 intake_turns, deliver_turns, turned_ms;
	uint64_t		 until_ms;	/* --once */
	struct progress		 progress;
	bool			 stopping;
	int			 exit_status;
};

/* Delivery may go on for drain_timeout, which the unit cannot know; the rest is for saving what the detectors know. */
static void
tell_stopping(const struct agent *a)
{
	char text[96];

	snprintf(text, sizeof(text), "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
	    ((unsigned long long)conf_ms(conf_block(a->conf, "agent"), "drain_timeout") + 60000) * 1000);
	process_tell(text);
}

/* ---- between the threads --------------------------------------------------- */

static void
spooled(void *arg)
{
	deliver_more(((struct agent *)arg)->deliver);
}

static void
freed(void *arg)
{
	intake_room(((struct agent *)arg)->intake);
}

static void
spool_damage(void *arg, const char *segment, uint64_t from, uint64_t to, const char *what)
{
	struct agent *a = arg;

	stat_add(a->spool_stats, STAT_SPOOL_DAMAGED, 1);
	note(SPOOL_DAMAGE, N_TEXT("segment", segment), N_NUMBER("from_byte", from), N_NUMBER("to_byte", to),
	    N_TEXT("what", what));
}

static void
spool_torn(void *arg, const char *segment, uint64_t bytes)
{
	(void)arg;
	note(SPOOL_TAIL, N_TEXT("segment", segment), N_NUMBER("bytes", bytes));
}

static void
letters_removed(void *arg, enum dead_share share, uint64_t letters)
{
	struct agent *a = arg;

	stat_add(a->spool_stats, STAT_SPOOL_DEAD_REMOVED, letters);
	if (share == DEAD_OF_SINKS)
		stat_add(a->spool_stats, STAT_SPOOL_DEAD_REMOVED_EVENTS, letters);
	note(DEAD_FULL, N_TEXT("share", share == DEAD_OF_SINKS ? "events that a far side refused" : "records that could not be read"),
	    N_NUMBER("removed", letters));
}

/* ---- putting together ------------------------------------------------------ */

struct spool_limits
agent_spool_limits(const struct conf *conf)
{
	uint64_t total = conf_bytes(conf_block(conf_block(conf, "agent"), "spool"), "max_bytes");

	return (struct spool_limits){ .total_bytes = total, .entry_bytes = ENTRY_BYTES,
		.segment_bytes = total / 8 < SEGMENT_BYTES ? (uint32_t)(total / 8) : SEGMENT_BYTES };
}

static uint64_t
dead_limit(const struct conf *conf)
{
	return conf_bytes(conf_block(conf_block(conf, "agent"), "dead_letter"), "max_bytes");
}

static int
open_stores(struct agent *a, struct err *err)
{
	const struct spool_limits limits = agent_spool_limits(a->conf);
	const struct spool_events events = { spool_damage, spool_torn, a };
	char path[4096];

	if (state_dir_make(a->state_dir, err) != 0 || state_lock(a->state_dir, &a->lock_fd, err) != 0 ||
	    state_agent_id(a->state_dir, a->agent_id, err) != 0)
		return -1;
	own_set_dir(a->state_dir);
	a->spool_stats = stat_make(STAT_SPOOL, "spool", "spool");
	if (a->spool_stats == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	stat_set(a->spool_stats, STAT_SPOOL_MAX_BYTES, limits.total_bytes);
	if (state_path(a->state_dir, "spool", path, sizeof(path), err) != 0 ||
	    spool_open(&a->spool, path, &limits, &events, err) != 0 ||
	    state_path(a->state_dir, "dead", path, sizeof(path), err) != 0)
		return -1;
	return dead_open(&a->dead, path, dead_limit(a->conf), letters_removed, a, err);
}

static void
set_log_level(const struct conf *conf)
{
	static const struct { const char *word; enum note_level level; } levels[] = {
		{ "error", NOTE_ERROR }, { "warning", NOTE_WARNING }, { "notice", NOTE_NOTICE }, { "info", NOTE_INFO },
		{ "debug", NOTE_DEBUG },
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
		if (strcmp(levels[i].word, conf_text(conf_block(conf, "agent"), "log_level")) == 0)
			note_set_level(levels[i].level);
}

static void
print_problems(const struct problems *problems)
{
	for (size_t i = 0; i < problems->n; i++) {
		char where[512];

		snprintf(where, sizeof(where), "%s:%u", problems->v[i].file, problems->v[i].line);
		note(PROBLEM, N_TEXT("at", where), N_TEXT("key", problems->v[i].key),
		    N_TEXT("what", problems->v[i].text));
	}
}

/* Both halves of a configuration, not started. The caller keeps `conf` alive as long as they live. */
static int
assemble(struct agent *a, const struct conf *conf, struct intake **ret_intake, struct deliver **ret_deliver,
    struct err *err)
{
	const struct world world = {
		.spool = a->spool, .dead = a->dead, .spool_stats = a->spool_stats, .state_dir = a->state_dir,
		.agent_id = a->agent_id, .hostname = a->hostname, .once = a->options->once,
		.spool_bytes = agent_spool_limits(conf).total_bytes, .spooled = spooled, .freed = freed, .arg = a,
	};
	struct problems problems;
	struct intake *intake = NULL;
	int rc = -1;

	problems_init(&problems);
	if (intake_open(&intake, &world, conf, &problems, err) != 0) {
		print_problems(&problems);
		goto out;
	}
	if (deliver_open(ret_deliver, &world, conf, err) != 0) {
		intake_close(intake);
		goto out;
	}
	*ret_intake = intake;
	rc = 0;
out:
	problems_fini(&problems);
	return rc;
}

static void
cursor_dropped(void *arg, const char *name, uint64_t behind)
{
	(void)arg;
	note(CURSOR_DROPPED, N_TEXT("sink", name), N_NUMBER("not_delivered", behind));
}

static int
keep_cursors(struct agent *a, struct err *err)
{
	size_t n = conf_blocks(a->conf, "sinks");
	const char **names = calloc(n + 1, sizeof(*names));
	int rc;

	if (names == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	for (size_t i = 0; i < n; i++)
		names[i] = conf_text(conf_block_at(a->conf, "sinks", i), "name");
	names[n] = INTAKE_CURSOR;
	rc = spool_keep_cursors(a->spool, names, n + 1, cursor_dropped, NULL, err);
	free(names);
	return rc;
}

/* Cursors first: what delivery must read is then held when intake begins to write. */
static int
start(struct agent *a, struct err *err)
{
	set_log_level(a->conf);
	if (keep_cursors(a, err) != 0 || deliver_start(a->deliver, true, err) != 0 ||
	    intake_start(a->intake, true, err) != 0)
		return -1;
	if (conf_blocks(a->conf, "sources") == 0 || conf_blocks(a->conf, "sinks") == 0)
		note(NOTHING_TO_DO);
	return 0;
}

static void
tell_start(const struct agent *a)
{
	note(START, N_TEXT("version", PACKAGE_VERSION), N_NUMBER("sources", conf_blocks(a->conf, "sources")),
	    N_NUMBER("sinks", conf_blocks(a->conf, "sinks")), N_TEXT("agent", a->agent_id));
}

/* ---- what the page asks ----------------------------------------------------- */

static bool
healthy(void *arg, struct buf *why)
{
	struct agent *a = arg;

	if (clock_mono_ms() - a->turned_ms <= STUCK_MS)
		return true;
	buf_puts(why, "a thread has not turned for some time\n");
	return false;
}

static bool
is_ready(void *arg, struct buf *why)
{
	return health_ready(((struct agent *)arg)->conf, why);
}

static const struct conf *
conf_in_use(void *arg)
{
	return ((struct agent *)arg)->conf;
}

static size_t
charts_now(void *arg, struct detect_chart *ret)
{
	return intake_charts(((struct agent *)arg)->intake, ret);
}

/* By the configuration in use; what cannot be served is said, and nothing else suffers. */
static void
serve_web(struct agent *a)
{
	const char *address = conf_text(conf_block(a->conf, "agent"), "http");
	const struct web_world world = { .loop = a->loop, .agent_id = a->agent_id, .hostname = a->hostname, .healthy = healthy,
		.ready = is_ready, .conf = conf_in_use, .charts = charts_now, .arg = a };
	const bool same = address != NULL && strcmp(address, a->web_address) == 0;
	struct err err = { 0 };

	if (a->web != NULL && same)
		return;
	web_close(a->web);
	a->web = NULL;
	snprintf(a->web_address, sizeof(a->web_address), "%s", address != NULL ? address : "");
	if (address != NULL && web_open(&a->web, &world, address, &err) != 0 && !(same && a->web_taken))
		note(INTERNAL, N_TEXT("what", "status page"), N_TEXT("why", err.text));
	a->web_taken = a->web == NULL && err.sys == EADDRINUSE;
}

/* ---- SIGHUP ---------------------------------------------------------------- */

static void
swap(struct agent *a, struct conf *conf, struct intake *intake, struct deliver *deliver)
{
	struct spool_limits limits = agent_spool_limits(conf);
	struct conf *old = a->conf;
	struct err err = { 0 };

	intake_stop(a->intake);
	deliver_stop(a->deliver, 0);
	deliver_close(a->deliver);
	intake_close(a->intake);
	a->conf = conf;
	a->intake = intake;
	a->deliver = deliver;
	stat_set(a->spool_stats, STAT_SPOOL_MAX_BYTES, limits.total_bytes);
	dead_set_limit(a->dead, dead_limit(conf));
	if (spool_set_limits(a->spool, &limits, &err) != 0 || start(a, &err) != 0) {
		note(INTERNAL, N_TEXT("what", "reload"), N_TEXT("why", err.text));
		a->exit_status = cli_exit_of(&err, EX_IOERR);
		a->stopping = true;
		loop_stop(a->loop);
	} else {
		serve_web(a);
		stat_add(stat_agent(), STAT_AGENT_RELOADS, 1);
		note(RELOADED);
	}
	conf_free(old);
}

static void
reload(struct agent *a)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct intake *intake = NULL;
	struct deliver *deliver = NULL;
	struct err err = { 0 };

	process_tell("RELOADING=1");
	problems_init(&problems);
	if (settings_load(a->options->conf_path, &conf, &problems, &err) == 0 &&
	    strcmp(conf_text(conf_block(conf, "agent"), "state_dir"), a->state_dir) != 0)
		err_set(&err, ERR_CONFIG, "agent.state_dir cannot change while the agent runs; restart it");
	else if (conf != NULL && assemble(a, conf, &intake, &deliver, &err) == 0)
		err.kind = ERR_NONE;
	stat_set(stat_agent(), STAT_AGENT_CONF_REFUSED, intake == NULL);
	if (intake != NULL) {
		swap(a, conf, intake, deliver);
	} else {
		print_problems(&problems);
		note(RELOAD_REFUSED, N_TEXT("why", err.text));
		conf_free(conf);
	}
	problems_fini(&problems);
	process_tell("READY=1");
}

/* ---- what the main thread waits for ----------------------------------------- */

static void
stop(struct agent *a, int status)
{
	if (!a->stopping) {
		a->stopping = true;
		a->exit_status = status;
		loop_stop(a->loop);
	}
}

static void
signal_came(void *arg, unsigned ready)
{
	struct agent *a = arg;
	struct signalfd_siginfo info;

	(void)ready;
	while (read(a->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP && !a->stopping) {
			reload(a);
			deliver_reopen(a->deliver);
		} else if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) {
			stop(a, 0);
		}
	}
}

/* The watchdog is fed by loops that turned, not by this thread's being alive. */
static void
watch(void *arg)
{
	struct agent *a = arg;
	uint64_t intake = intake_turns(a->intake), deliver = deliver_turns(a->deliver), now_ms = clock_mono_ms();

	if (intake != a->intake_turns && deliver != a->deliver_turns) {
		a->intake_turns = intake;
		a->deliver_turns = deliver;
		a->turned_ms = now_ms;
		process_tell("WATCHDOG=1");
	} else if (now_ms - a->turned_ms > STUCK_MS) {
		note(STUCK, N_TEXT("loop", intake == a->intake_turns ? "intake" : "delivery"));
	}
	if (a->web_taken)
		serve_web(a);
	stat_set(stat_agent(), STAT_AGENT_TURN_AGE_MS, now_ms - a->turned_ms);
	loop_timer_set(a->watch, WATCH_MS);
}

static void
look_done(void *arg)
{
	struct agent *a = arg;
	bool done = intake_drained(a->intake) && deliver_done(a->deliver);

	status_progress(&a->progress, intake_drained(a->intake));
	if (done)
		stop(a, 0);
	else if (clock_mono_ms() >= a->until_ms)
		stop(a, EX_UNAVAILABLE);
	else
		loop_timer_set(a->look, LOOK_MS);
}

/* ---- life ------------------------------------------------------------------- */

/* From the first moment: a HUP that comes before the loop runs is a reload a little later, not the end. */
static void
hold_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGHUP);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	pthread_sigmask(SIG_BLOCK, ret, NULL);	/* threads begun later inherit this */
}

static int
open_main_loop(struct agent *a, const sigset_t *signals, struct err *err)
{
	a->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (a->signal_fd < 0)
		return err_set_sys(err, ERR_AGAIN, "signalfd");
	a->loop = loop_new(err);
	if (a->loop == NULL)
		return -1;
	a->signals = loop_watch(a->loop, a->signal_fd, LOOP_READ, signal_came, a, err);
	a->watch = loop_timer_new(a->loop, watch, a, err);
	a->look = loop_timer_new(a->loop, look_done, a, err);
	return a->signals != NULL && a->watch != NULL && a->look != NULL ? 0 : -1;
}

static int
load(struct agent *a)
{
	struct problems problems;
	struct err err = { 0 };
	int rc;

	problems_init(&problems);
	rc = settings_load(a->options->conf_path, &a->conf, &problems, &err);
	problems_print(&problems, stderr);
	if (rc != 0 && problems.errors == 0)
		fprintf(stderr, "aispm-agent: %s\n", err.text);
	problems_fini(&problems);
	return rc;
}

/* Where --once ended: 0 all acknowledged, 65 some set aside, 69 not in time or a service away, 74 a file that could not be read. */
static int
once_status(struct agent *a)
{
	uint64_t aside = intake_set_aside(a->intake) + deliver_set_aside(a->deliver);
	const int troubled = intake_troubled(a->intake);

	if (a->exit_status == EX_UNAVAILABLE) {
		note(TIMEOUT);
		return EX_UNAVAILABLE;
	}
	if (aside > 0) {
		fprintf(stderr, "aispm-agent: %llu records or events were set aside in the dead letter; "
		    "aispm-agent spool dead lists them with their reasons\n", (unsigned long long)aside);
		return EX_DATAERR;
	}
	if (troubled != 0) {
		fprintf(stderr, "aispm-agent: what could be read is delivered, but a source could not read all of it; see the lines above\n");
		return troubled;
	}
	note(DRAINED);
	return 0;
}

static void
run(struct agent *a)
{
	struct err err = { 0 };

	if (status_serve(&a->status, a->loop, a->state_dir, &err) != 0)
		note(INTERNAL, N_TEXT("what", "status socket"), N_TEXT("why", err.text));
	a->turned_ms = clock_mono_ms();
	serve_web(a);
	loop_timer_set(a->watch, 0);
	if (a->options->once) {
		a->until_ms = clock_mono_ms() + a->options->once_timeout_ms;
		loop_timer_set(a->look, LOOK_MS);
		progress_start(&a->progress, "", 0);
	}
	process_tell("READY=1");
	loop_run(a->loop);
	progress_end(&a->progress);
	tell_stopping(a);
	intake_stop(a->intake);
	if (a->options->once && a->exit_status == 0)
		a->exit_status = deliver_stop(a->deliver, 5000) ? 0 : EX_UNAVAILABLE;
	else
		deliver_stop(a->deliver, a->options->once ? 0 :
		    conf_ms(conf_block(a->conf, "agent"), "drain_timeout"));
	if (a->options->once)
		a->exit_status = once_status(a);
	note(STOP);
}

static void
take_apart(struct agent *a)
{
	status_close(a->status);
	web_close(a->web);
	deliver_close(a->deliver);
	intake_close(a->intake);
	dead_close(a->dead);
	spool_close(a->spool);
	stat_drop(a->spool_stats);
	loop_timer_free(a->watch);
	loop_timer_free(a->look);
	loop_unwatch(a->signals);
	loop_free(a->loop);
	if (a->signal_fd >= 0)
		close(a->signal_fd);
	if (a->lock_fd >= 0)
		close(a->lock_fd);
	conf_free(a->conf);
	free(a->state_dir);
}

int
agent_main(const struct agent_options *options)
{
	struct agent a = { .options = options, .lock_fd = -1, .signal_fd = -1 };
	struct err err = { 0 };
	int status = EX_CONFIG;
	sigset_t signals;

	hold_signals(&signals);
	process_harden();
	stat_set(stat_agent(), STAT_AGENT_START_MS, clock_wall_ms());
	if (load(&a) != 0)
		goto out;
	if (geteuid() == 0)
		note(ROOT);
	gethostname(a.hostname, sizeof(a.hostname) - 1);
	a.state_dir = strdup(conf_text(conf_block(a.conf, "agent"), "state_dir"));
	if (a.state_dir == NULL || open_main_loop(&a, &signals, &err) != 0 || open_stores(&a, &err) != 0 ||
	    assemble(&a, a.conf, &a.intake, &a.deliver, &err) != 0 || start(&a, &err) != 0) {
		fprintf(stderr, "aispm-agent: %s\n", err.text);
		status = cli_exit_of(&err, EX_IOERR);
		goto out;
	}
	tell_start(&a);
	run(&a);
	status = a.exit_status;
out:
	take_apart(&a);
	return status;
}
