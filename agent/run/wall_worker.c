/* wall_worker.c - behind the wall: the keeper, which forks workers one after another, and the worker, which decodes. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/wall.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/wire.h"
#include "run/agent.h"
#include "run/wall_parts.h"

#define MEMORY_BYTES		((rlim_t)1 << 30)	/* of the worker: its own, not what it shares */
#define ARENA_BYTES		(256u << 10)
#define ARENA_MAX_BYTES		(512u << 20)
#define EXIT_UNFILTERED		3
/* Tried before the first real record: a machine on which the filter forbids what decoding needs is told from a hostile record. */
#define TRIAL	"{\"time\":\"2026-01-31T00:00:00Z\",\"category\":\"RequestResponse\",\"resourceId\":\"/subscriptions/0/providers/" \
	"microsoft.cognitiveservices/accounts/a\",\"operationName\":\"o\",\"properties\":\"{\\\"modelName\\\":\\\"m\\\"}\"}"

struct worker {
	struct decoder		*decoder;
	struct decode_ctx	*ctx;
	struct arena		 arena;
	const char		*in;
	char			*out;
	struct err		 err;
};

static void
say(uint32_t kind, uint32_t value)
{
	const struct wall_word word = { kind, value };

	if (write(WALL_FD_WORDS, &word, sizeof(word)) != sizeof(word))
		_exit(0);		/* the agent is gone */
}

/* ---- the worker ---------------------------------------------------------------- */

static void
put_reply(struct buf *to, size_t at, struct wall_reply reply)
{
	reply.bytes = (uint32_t)(to->n - at - sizeof(reply));
	memcpy(to->p + at, &reply, sizeof(reply));
}

static int
put_events(const struct event_list *events, struct buf *to, struct err *err)
{
	for (size_t i = 0; i < events->n; i++) {
		size_t at = to->n;

		if (!buf_reserve(to, 4))
			return err_set(err, ERR_FULL, "no room for an event");
		to->n += 4;
		if (wire_put(&events->v[i], to, err) != 0)
			return -1;
		put_le32(to->p + at, (uint32_t)(to->n - at - 4));
	}
	return 0;
}

/* False: the slot is full, this record comes again in an empty one. */
static bool
answer(struct worker *w, const struct record *r, struct buf *to)
{
	struct event_list events = { .arena = &w->arena };
	struct decode_count count = { 0 };
	struct wall_reply reply = { 0 };
	size_t at = to->n;

	arena_reset(&w->arena);
	w->err = (struct err){ 0 };
	if (!buf_reserve(to, sizeof(reply)))
		return false;
	to->n += sizeof(reply);
	if (decode(w->decoder, w->ctx, r, &events, &count, &w->err) != 0) {
		if (w->err.kind == ERR_AGAIN)
			abort();	/* no memory: a new worker has more, or this record wants too much */
		reply.bad = 1;
	} else if (put_events(&events, to, &w->err) != 0) {
		if (at > 0)
			return false;
		reply.bad = 1;
		to->n = at + sizeof(reply);
		to->failed = false;
		(void)err_set(&w->err, ERR_DATA, "its events do not fit into a group");
	}
	if (reply.bad) {
		size_t n = strlen(w->err.text);

		if (!buf_reserve(to, n))
			return false;
		buf_put(to, w->err.text, n);
	} else {
		reply.events = count.events;
		reply.unknown = count.unknown;
		reply.passed = count.passed;
	}
	put_reply(to, at, reply);
	return true;
}

static void
obey(struct worker *w, const struct wall_order *o)
{
	const char *in = w->in + (size_t)o->slot * WALL_IN_BYTES;
	struct wall_out *out = (struct wall_out *)(void *)(w->out + (size_t)o->slot * WALL_OUT_BYTES);
	struct buf to = { .p = out->data, .cap = WALL_OUT_BYTES - sizeof(*out), .max_bytes = WALL_OUT_BYTES - sizeof(*out) };
	size_t at = o->at;
	uint32_t done = 0;

	atomic_store(&out->done, 0);
	while (done < o->n) {
		struct wall_in head;
		struct record r = { .padded = true, .source = "" };

		memcpy(&head, in + at, sizeof(head));
		r.bytes = slice_make(in + at + sizeof(head), head.n);
		r.arrived_ms = head.arrived_ms;
		r.relay = head.relay != 0;
		at = wall_in_next(at, head.n, BUF_SLACK);
		if (head.skip)
			continue;
		if (!answer(w, &r, &to))
			break;
		atomic_store_explicit(&out->done, ++done, memory_order_release);
	}
}

static void
limit(int what, rlim_t most)
{
	const struct rlimit r = { most, most };

	(void)setrlimit(what, &r);	/* a service manager may forbid it; the filter stands without */
}

static void
limit_worker(void)
{
	limit(RLIMIT_NPROC, 0);
	limit(RLIMIT_NOFILE, WALL_FD_NONE + 1);
	limit(RLIMIT_FSIZE, 0);
	limit(RLIMIT_MEMLOCK, 0);
#ifndef __SANITIZE_ADDRESS__		/* its shadow is larger */
	limit(RLIMIT_DATA, MEMORY_BYTES);
#endif
}

/* Returns when decoding works behind the filter. */
static void
set_up(struct worker *w)
{
	const struct record r = { .bytes = SLICE(TRIAL), .source = "" };
	struct event_list events = { .arena = &w->arena };

	limit_worker();
	if (wall_filter() != 0)
		_exit(EXIT_UNFILTERED);
	if (decode(w->decoder, w->ctx, &r, &events, NULL, &w->err) != 0 || events.n != 1)
		abort();
	say(WALL_READY, 0);
}

static _Noreturn void
work(struct worker *w)
{
	struct wall_order o;
	ssize_t n;

	set_up(w);
	while ((n = read(WALL_FD_ORDERS, &o, sizeof(o))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		assert(n == sizeof(o) && o.slot < WALL_SLOTS);
		obey(w, &o);
		say(WALL_DONE, o.round);
	}
	_exit(0);
}

/* ---- the keeper ------------------------------------------------------------------ */

static volatile sig_atomic_t worker_pid;

/* SIGUSR1: the agent has waited long enough. */
static void
end_worker(int number)
{
	(void)number;
	if (worker_pid > 0)
		kill((pid_t)worker_pid, SIGKILL);
}

/* How the worker ended; -1: its end is ours. */
static int
keep_one(struct worker *w)
{
	pid_t self = getpid(), pid = fork();
	int status = 0;

	if (pid < 0) {
		say(WALL_NO_MEMORY, (uint32_t)errno);
		return -1;
	}
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != self)
			_exit(0);
		signal(SIGUSR1, SIG_DFL);
		work(w);
	}
	worker_pid = pid;
	while (waitpid(pid, &status, 0) < 0)
		assert(errno == EINTR);
	worker_pid = 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_UNFILTERED)
		say(WALL_NO_FILTER, 0);
	return WIFSIGNALED(status) ? status : -1;
}

/* The service manager's and the terminal's signals go to all of us; ours to end is when the agent goes. */
static void
detach(pid_t agent)
{
	static const int others[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGALRM };
	struct sigaction act = { .sa_handler = end_worker, .sa_flags = SA_RESTART };

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		signal(others[i], SIG_IGN);
	sigaction(SIGUSR1, &act, NULL);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != agent)
		_exit(0);
	limit(RLIMIT_CORE, 0);
#ifndef __SANITIZE_ADDRESS__
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_NAME, "aispm-decode");
	(void)syscall(SYS_close_range, WALL_FDS, ~0u, 0);
}

static int
map_memory(struct worker *w)
{
	void *in = mmap(NULL, (size_t)WALL_SLOTS * WALL_IN_BYTES, PROT_READ, MAP_SHARED, WALL_FD_IN, 0);
	void *out = mmap(NULL, (size_t)WALL_SLOTS * WALL_OUT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, WALL_FD_OUT, 0);

	if (in == MAP_FAILED || out == MAP_FAILED)
		return -1;
	close(WALL_FD_IN);
	close(WALL_FD_OUT);
	w->in = in;
	w->out = out;
	return 0;
}

static int
open_decoder(struct worker *w, const char *const *args, size_t nargs)
{
	struct problems problems;
	int rc;

	problems_init(&problems);
	rc = mappings_read(&w->decoder, args, nargs, &problems, &w->err);
	problems_fini(&problems);
	if (rc != 0)
		return -1;
	w->ctx = decode_ctx_new(w->decoder);
	arena_init(&w->arena, ARENA_BYTES, ARENA_MAX_BYTES);
	return w->ctx != NULL ? 0 : -1;
}

static bool
is_begun_by_an_agent(int argc)
{
	struct stat st;

	return argc >= 3 && fstat(WALL_FD_ORDERS, &st) == 0 && S_ISFIFO(st.st_mode) && fstat(WALL_FD_OUT, &st) == 0 &&
	    st.st_size == (off_t)WALL_SLOTS * WALL_OUT_BYTES;
}

int
wall_worker(int argc, char **argv)
{
	struct worker w = { .decoder = NULL };
	int status;

	if (!is_begun_by_an_agent(argc)) {
		fprintf(stderr, "aispm-agent: " WALL_COMMAND " is begun by a running agent alone\n");
		return EX_USAGE;
	}
	detach((pid_t)strtol(argv[0], NULL, 10));
	if (map_memory(&w) != 0 || open_decoder(&w, (const char *const *)argv + 1, (size_t)argc - 1) != 0) {
		say(WALL_NO_MAPPINGS, 0);
		_exit(EX_CONFIG);
	}
	while ((status = keep_one(&w)) != -1)
		say(WALL_DIED, (uint32_t)status);
	_exit(0);		/* with all that it holds: there is nothing to put away */
}
