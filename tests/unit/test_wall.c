/*
 * test_wall.c - decode in its own process: what it may not do, what happens when it ends, and that nothing is lost, doubled or turned round.
 * The program is its own worker; there decode() is ours, which does what a taken-over decoder would when a record asks for it.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/note.h"
#include "base/slice.h"
#include "run/wall.h"

#ifdef __SANITIZE_ADDRESS__
#define SANITIZED	1
#else
#define SANITIZED	0
#endif
#define SECRET_NAME	"AISPM_TEST_SECRET"
#define LARGE		((size_t)4000000)

static const char *const mappings[] = { SRC_DIR "/schemas", "/nonexistent" };

/* ---- in the worker ------------------------------------------------------------------------- */

static char inherited[256];

struct decode_ctx *__real_decode_ctx_new(const struct decoder *d);
struct decode_ctx *__wrap_decode_ctx_new(const struct decoder *d);
int	__real_decode(const struct decoder *, struct decode_ctx *, const struct record *, struct event_list *, struct decode_count *, struct err *);
int	__wrap_decode(const struct decoder *, struct decode_ctx *, const struct record *, struct event_list *, struct decode_count *, struct err *);

/* Before the filter, when one can still look round. */
struct decode_ctx *
__wrap_decode_ctx_new(const struct decoder *d)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned high = 0;

	for (const struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;)
		if (e->d_name[0] != '.' && strtol(e->d_name, NULL, 10) > 2 && strtol(e->d_name, NULL, 10) != dirfd(dir))
			high++;
	if (dir != NULL)
		closedir(dir);
	snprintf(inherited, sizeof(inherited), "%u descriptors, secret %s, group %s", high, getenv(SECRET_NAME) != NULL ? "yes" : "no",
	    signal(SIGTERM, SIG_IGN) == SIG_IGN ? "deaf" : "hears");
	return __real_decode_ctx_new(d);
}

static size_t
take_memory(void)
{
	size_t mib = 0;

	while (mib < 8192 && mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		mib++;
	return mib;
}

static void
try(const char *what)
{
	char *const argv[] = { NULL };
	volatile int *nowhere = NULL;

	if (strcmp(what, "socket") == 0)
		(void)socket(AF_INET, SOCK_STREAM, 0);
	else if (strcmp(what, "pair") == 0)
		(void)socketpair(AF_UNIX, SOCK_STREAM, 0, (int[2]){ 0, 0 });
	else if (strcmp(what, "exec") == 0)
		(void)execve("/bin/true", argv, argv);
	else if (strcmp(what, "fork") == 0)
		(void)fork();
	else if (strcmp(what, "kill") == 0)
		(void)kill(getppid(), SIGKILL);
	else if (strcmp(what, "trace") == 0)
		(void)ptrace(PTRACE_ATTACH, 1, NULL, NULL);
	else if (strcmp(what, "code") == 0)
		(void)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else if (strcmp(what, "map") == 0)
		(void)mmap(NULL, 4096, PROT_READ, MAP_SHARED, 0, 0);
	else if (strcmp(what, "stdin") == 0)
		(void)!write(0, "x", 1);
	else if (strcmp(what, "unlink") == 0)
		(void)unlink("/tmp/aispm-no-such-file");
	else if (strcmp(what, "crash") == 0)
		*nowhere = 1;
	else if (strcmp(what, "abort") == 0)
		abort();
	else if (strcmp(what, "loop") == 0)
		for (;;)
			(void)getpid();
}

static int
say(struct err *err, const char *what, int rc)
{
	return err_set(err, ERR_DATA, "%s: %s", what, rc < 0 ? strerror(errno) : "let through");
}

static int
put_large(struct event_list *out, unsigned n)
{
	static char text[LARGE];

	memset(text, 'x', sizeof(text));
	for (unsigned i = 0; i < n; i++) {
		struct event *e = event_list_add(out);

		event_set_text(e, F_EventClass, SLICE("activity"));
		event_set_text(e, F_EventMessage, slice_make(text, sizeof(text)));
	}
	return 0;
}

int
__wrap_decode(const struct decoder *d, struct decode_ctx *c, const struct record *r, struct event_list *out, struct decode_count *ret, struct err *err)
{
	char what[64];

	if (!slice_starts_nocase(r->bytes, SLICE("try:")) || r->bytes.n >= sizeof(what))
		return __real_decode(d, c, r, out, ret, err);
	memcpy(what, r->bytes.p + 4, r->bytes.n - 4);
	what[r->bytes.n - 4] = '\0';
	if (strcmp(what, "open") == 0)
		return say(err, "open", open("/etc/hostname", O_RDONLY));
	if (strcmp(what, "create") == 0)
		return say(err, "create", open("/tmp/aispm-wall", O_RDWR | O_CREAT, 0600));
	if (strcmp(what, "unmap") == 0)
		return say(err, "unmap", mprotect((void *)((uintptr_t)r->bytes.p & ~(uintptr_t)4095), 4096, PROT_READ | PROT_WRITE));
	if (strcmp(what, "memory") == 0)
		return err_set(err, ERR_DATA, "memory: %zu", take_memory());
	if (strcmp(what, "inherited") == 0)
		return err_set(err, ERR_DATA, "%s", inherited);
	if (strcmp(what, "escape") == 0)
		return err_set(err, ERR_DATA, "red \033[31m\n\xff");
	if (strcmp(what, "forge") == 0) {
		event_set_text(event_list_add(out), F_EventClass, SLICE("volume_spike"));
		return 0;
	}
	if (strcmp(what, "inject") == 0 || strcmp(what, "halve") == 0 || strcmp(what, "age") == 0 || strcmp(what, "speak") == 0) {
		struct event *e = event_list_add(out);

		event_set_text(e, F_EventClass, SLICE("activity"));
		if (strcmp(what, "age") == 0)
			event_set_number(e, F_TimeGenerated, INT64_MIN);
		else if (strcmp(what, "speak") == 0)
			event_set_text(e, F_AgentId, SLICE("00112233445566778899aabbccddeeff"));
		else
			event_set_text(e, F_AdditionalFields, strcmp(what, "halve") == 0 ? SLICE("{\"a\":{}") : SLICE("{}}\n{\"EventClass\":\"volume_spike\"}"));
		return 0;
	}
	if (strncmp(what, "large ", 6) == 0)
		return put_large(out, (unsigned)strtoul(what + 6, NULL, 10));
	try(what);
	return err_set(err, ERR_DATA, "%s was let through", what);
}

/* ---- in the agent's place --------------------------------------------------------------------- */

static struct wall *wall;
static struct arena arena;
static char owner[] = "owner";

static int
set_up(void **state)
{
	struct err err = { 0 };

	(void)state;
	arena_init(&arena, 1 << 16, (size_t)1 << 30);
	if (wall_open(&wall, mappings, 2, &err) != 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	wall_close(wall);
	wall = NULL;
	arena_fini(&arena);
	return 0;
}

static bool
put_text(const char *text, uint64_t place)
{
	const struct record r = { .bytes = slice_of(text), .source = "test", .arrived_ms = 1790000000000 };
	const struct position at = { .stream = place, .len = 1 };

	return wall_put(wall, &r, owner, &at);
}

/* The next answer. Its events are good until the one behind it. */
static struct wall_answer
next(struct event_list *into)
{
	struct wall_answer a;
	struct err err = { 0 };

	arena_reset(&arena);
	*into = (struct event_list){ .arena = &arena };
	while (!wall_next(wall, &a, into, &err)) {
		assert_false(wall_is_empty(wall));
		assert_int_equal(wall_turn(wall, &err), 0);
	}
	assert_int_equal(err.kind, ERR_NONE);
	wall_took(wall);
	assert_ptr_equal(a.owner, owner);
	return a;
}

/* What one record alone comes to. */
static const char *
ask(const char *text)
{
	struct event_list events;

	assert_true(put_text(text, 1));
	return next(&events).bad;
}

static void
number(char ret[600], unsigned n)
{
	snprintf(ret, 600, "{\"time\":\"2026-10-05T10:00:00Z\",\"category\":\"RequestResponse\",\"operationName\":\"ChatCompletions_Create\","
	    "\"resourceId\":\"/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/ai/providers/Microsoft.CognitiveServices/"
	    "accounts/contoso\",\"correlationId\":\"n-%u\",\"resultSignature\":\"200\",\"properties\":{\"modelName\":\"gpt-4o\"}}", n);
}

static void
assert_is(const struct wall_answer *a, const struct event_list *events, unsigned n)
{
	char uid[24];

	assert_int_equal(a->after->stream, n);
	if (a->bad != NULL)
		fail_msg("record %u: %s", n, a->bad);
	assert_int_equal(events->n, 1);
	snprintf(uid, sizeof(uid), "n-%u", n);
	assert_true(slice_eq(event_text(&events->v[0], F_EventOriginalUid), slice_of(uid)));
}

/* The keeper's only child. */
static pid_t
worker_pid(void)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", wall_pid(wall), wall_pid(wall));
	f = fopen(path, "r");
	if (f != NULL) {
		(void)!fgets(text, sizeof(text), f);
		fclose(f);
	}
	return (pid_t)strtol(text, NULL, 10);
}

/* Puts n records and takes their answers as intake does; `meanwhile` at each hundredth. */
static void
stream(unsigned n, void (*meanwhile)(unsigned))
{
	struct event_list events = { .arena = &arena };
	struct wall_answer a;
	struct err err = { 0 };
	unsigned got = 0;
	char text[600];

	for (unsigned i = 0; got < n;) {
		while (i < n) {
			number(text, i);
			if (!put_text(text, i))
				break;
			if (i++ % 100 == 0 && meanwhile != NULL)
				meanwhile(i);
		}
		if (wall_turn(wall, &err) != 0)
			fail_msg("%s", err.text);
		while (wall_next(wall, &a, &events, &err)) {
			assert_is(&a, &events, got++);
			wall_took(wall);
			arena_reset(&arena);
			events = (struct event_list){ .arena = &arena };
		}
	}
	assert_true(wall_is_empty(wall));
}

/* ---- what it does ------------------------------------------------------------------------------ */

static void
events_come_back_in_the_order_of_their_records(void **state)
{
	(void)state;
	stream(5000, NULL);
}

static void
what_is_unreadable_and_what_only_moved_keep_their_places(void **state)
{
	const struct record cut = { .bytes = SLICE("{\"half"), .source = "test", .unreadable = "cut off" };
	struct event_list events;
	struct wall_answer a;
	char text[600];

	(void)state;
	number(text, 0);
	assert_true(put_text(text, 0));
	assert_true(wall_put(wall, &cut, owner, &(struct position){ .stream = 1 }));
	assert_true(wall_put(wall, NULL, owner, &(struct position){ .stream = 2 }));
	assert_true(put_text("no json", 3));
	number(text, 4);
	assert_true(put_text(text, 4));
	a = next(&events);
	assert_is(&a, &events, 0);
	a = next(&events);
	assert_int_equal(a.after->stream, 1);
	assert_string_equal(a.bad, "cut off");
	assert_true(slice_eq(a.record->bytes, cut.bytes));
	a = next(&events);
	assert_int_equal(a.after->stream, 2);
	assert_null(a.record);
	assert_null(a.bad);
	a = next(&events);
	assert_int_equal(a.after->stream, 3);
	assert_non_null(strstr(a.bad, "JSON"));
	a = next(&events);
	assert_is(&a, &events, 4);
	assert_true(wall_is_empty(wall));
}

static void
a_record_of_many_megabytes_passes_and_its_memory_is_given_back(void **state)
{
	char *text = malloc(24u << 20), head[] = "{\"a\":\"";
	long before, after;
	FILE *f;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 24u << 20);
	memcpy(text, head, strlen(head));
	memcpy(text + (24u << 20) - 3, "\"}", 3);
	assert_non_null(f = fopen("/proc/self/statm", "r"));
	assert_int_equal(fscanf(f, "%*d %*d %ld", &before), 1);
	fclose(f);
	assert_null(ask(text));
	assert_non_null(f = fopen("/proc/self/statm", "r"));
	assert_int_equal(fscanf(f, "%*d %*d %ld", &after), 1);
	fclose(f);
	assert_in_range(after, 0, before + (4 << 20) / 4096);
	free(text);
}

static void
answers_without_room_come_with_the_next_turn(void **state)
{
	struct event_list events;
	struct wall_answer a;

	(void)state;
	assert_true(put_text("try:large 40", 0));
	assert_true(put_text("try:large 40", 1));
	assert_true(put_text("try:large 80", 2));
	assert_true(put_text("try:large 1", 3));
	assert_true(put_text("try:large 30", 4));
	for (unsigned i = 0; i < 2; i++) {
		a = next(&events);
		assert_int_equal(a.after->stream, i);
		assert_null(a.bad);
		assert_int_equal(events.n, 40);
		assert_int_equal(event_text(&events.v[39], F_EventMessage).n, LARGE);
		assert_int_equal(event_text(&events.v[39], F_EventMessage).p[LARGE - 1], 'x');	/* still there, though taken */
	}
	assert_non_null(strstr(next(&events).bad, "do not fit"));
	a = next(&events);
	assert_int_equal(a.after->stream, 3);
	assert_int_equal(events.n, 1);
	(void)next(&events);			/* the last of its slot, which is emptied */
	assert_true(wall_is_empty(wall));
	assert_int_equal(event_text(&events.v[29], F_EventMessage).p[LARGE - 1], 'x');
}

/* ---- what it may not ------------------------------------------------------------------------------ */

static void
the_worker_can_open_no_file(void **state)
{
	(void)state;
	assert_string_equal(ask("try:open"), "open: Operation not permitted");
	assert_string_equal(ask("try:create"), "create: Operation not permitted");
}

static void
the_worker_cannot_write_what_it_is_to_read(void **state)
{
	(void)state;
	assert_string_equal(ask("try:unmap"), "unmap: Operation not permitted");
}

static void
what_reaches_out_ends_the_worker(void **state)
{
	static const char *const all[] = { "socket", "pair", "exec", "fork", "kill", "trace", "code", "map", "stdin", "unlink" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		char text[64];
		const char *bad;

		if (SANITIZED && strcmp(all[i], "stdin") == 0)
			continue;		/* whose filter lets it report */
		snprintf(text, sizeof(text), "try:%s", all[i]);
		bad = ask(text);
		if (bad == NULL || strstr(bad, "tried what decoding may not do") == NULL)
			fail_msg("%s: %s", all[i], bad != NULL ? bad : "fine");
	}
}

static void
the_worker_inherits_neither_descriptors_nor_the_environment(void **state)
{
	struct err err = { 0 };
	int fd = open("/dev/null", O_RDONLY);	/* not close-on-exec: a library's */

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(setenv(SECRET_NAME, "hunter2", 1), 0);
	wall_close(wall);
	wall = NULL;
	assert_int_equal(wall_open(&wall, mappings, 2, &err), 0);
	assert_string_equal(ask("try:inherited"), "0 descriptors, secret no, group deaf");
	unsetenv(SECRET_NAME);
	close(fd);
}

#if !SANITIZED			/* whose own memory no limit could hold */
static void
memory_is_limited(void **state)
{
	unsigned long mib;

	(void)state;
	mib = strtoul(ask("try:memory") + strlen("memory: "), NULL, 10);
	assert_in_range(mib, 512, 1024);
}
#endif

static void
findings_and_control_characters_from_behind_the_wall_are_not_believed(void **state)
{
	(void)state;
	assert_string_equal(ask("try:forge"), "the decode process answered what is no event");
	assert_string_equal(ask("try:inject"), "the decode process answered what is no event");
	assert_string_equal(ask("try:halve"), "the decode process answered what is no event");
	assert_string_equal(ask("try:age"), "the decode process answered what is no event");
	assert_string_equal(ask("try:speak"), "the decode process answered what is no event");
	assert_string_equal(ask("try:escape"), "red ?[31m??");
	stream(200, NULL);
}

/* ---- when it ends ------------------------------------------------------------------------------------ */

static void
around(const char *guilty, const char *reason)
{
	struct event_list events;
	struct wall_answer a;
	char text[600];

	for (unsigned i = 0; i < 20; i++) {
		number(text, i);
		assert_true(put_text(i == 7 || i == 8 ? guilty : text, i));
	}
	for (unsigned i = 0; i < 20; i++) {
		a = next(&events);
		if (i != 7 && i != 8) {
			assert_is(&a, &events, i);
			continue;
		}
		assert_int_equal(a.after->stream, i);
		assert_non_null(a.bad);
		assert_non_null(strstr(a.bad, reason));
		assert_true(slice_eq(a.record->bytes, slice_of(guilty)));
	}
}

static void
a_record_that_crashes_it_is_told_and_its_neighbours_pass(void **state)
{
	(void)state;
	around("try:crash", SANITIZED ? "ended at it 3 times" : "ended at it 3 times: signal 11");
	around("try:abort", "gave up");
}

static void
a_record_that_never_ends_is_told_and_its_neighbours_pass(void **state)
{
	(void)state;
	wall_patience(wall, 150);
	around("try:loop", "did not finish");
}

static void
kill_worker(unsigned n)
{
	pid_t pid;

	if (n % 700 == 1 && (pid = worker_pid()) > 0)
		kill(pid, SIGKILL);
}

static void
kill_keeper(unsigned n)
{
	if (n % 2100 == 1)
		kill(wall_pid(wall), SIGKILL);
}

static void
a_worker_killed_at_any_moment_loses_nothing_and_turns_nothing_round(void **state)
{
	(void)state;
	stream(20000, kill_worker);
}

static void
so_does_a_killed_keeper(void **state)
{
	(void)state;
	stream(6300, kill_keeper);
}

static void
a_worker_killed_while_idle_is_held_against_no_record(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		pid_t pid = worker_pid();

		assert_true(pid > 0);
		kill(pid, SIGKILL);
		while (worker_pid() == pid)
			usleep(1000);
		assert_null(ask("{\"a\":1}"));
	}
}

static void
both_die_with_the_agent(void **state)
{
	int fds[2];
	pid_t agent, pids[2] = { 0, 0 };

	(void)state;
	assert_int_equal(pipe(fds), 0);
	agent = fork();
	assert_true(agent >= 0);
	if (agent == 0) {		/* an agent of its own, which then is killed */
		struct err err = { 0 };

		wall = NULL;
		if (wall_open(&wall, mappings, 2, &err) != 0)
			_exit(1);
		pids[0] = wall_pid(wall);
		pids[1] = worker_pid();
		(void)!write(fds[1], pids, sizeof(pids));
		pause();
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], pids, sizeof(pids)), sizeof(pids));
	assert_true(pids[0] > 0 && pids[1] > 0);
	kill(agent, SIGKILL);
	waitpid(agent, NULL, 0);
	for (int i = 0; i < 2; i++) {
		char path[32], state_of = 'R';

		snprintf(path, sizeof(path), "/proc/%d/stat", pids[i]);
		for (int turn = 0; turn < 5000 && state_of != 'Z'; turn++, usleep(1000)) {
			FILE *f = fopen(path, "r");

			if (f == NULL)
				break;
			if (fscanf(f, "%*d (%*[^)]) %c", &state_of) != 1)
				state_of = 'Z';
			fclose(f);
			if (turn == 4999)
				fail_msg("process %d outlives the agent", i);
		}
	}
	close(fds[0]);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(events_come_back_in_the_order_of_their_records),
		TEST(what_is_unreadable_and_what_only_moved_keep_their_places),
		TEST(a_record_of_many_megabytes_passes_and_its_memory_is_given_back),
		TEST(answers_without_room_come_with_the_next_turn),
		TEST(the_worker_can_open_no_file),
		TEST(the_worker_cannot_write_what_it_is_to_read),
		TEST(what_reaches_out_ends_the_worker),
		TEST(the_worker_inherits_neither_descriptors_nor_the_environment),
#if !SANITIZED
		TEST(memory_is_limited),
#endif
		TEST(findings_and_control_characters_from_behind_the_wall_are_not_believed),
		TEST(a_record_that_crashes_it_is_told_and_its_neighbours_pass),
		TEST(a_record_that_never_ends_is_told_and_its_neighbours_pass),
		TEST(a_worker_killed_at_any_moment_loses_nothing_and_turns_nothing_round),
		TEST(so_does_a_killed_keeper),
		TEST(a_worker_killed_while_idle_is_held_against_no_record),
		TEST(both_die_with_the_agent),
	};

	if (argc > 1 && strcmp(argv[1], WALL_COMMAND) == 0)
		return wall_worker(argc - 2, argv + 2);
	note_to_fd(-1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
