/*
 * fuzz_status.c - the status socket, both sides. What the agent answers is JSON whatever a client sends and whatever far sides have said; what the command
 * shows of any answer, its own or a stranger's, drives no terminal.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fixed.h"
#include "parts.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/stat.h"
#include "run/agent.h"

#define ANSWER_MOST	(1u << 20)

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char strange_dir[64], own_dir[64];
static struct sockaddr_un strange, own;
static int listener = -1;
static struct loop *loop;
static struct status_server *server;
static struct json_reader *reader;
static struct json_doc doc;
static FILE *terminal;
static char *shown;
static size_t shown_n;
static struct slice says;		/* of the stranger */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- a stranger in the agent's place ---------------------------------------------------------- */

static void
send_all(int fd, struct slice s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		s = slice_make(s.p + n, s.n - (size_t)n);
	}
}

static void *
be_strange(void *arg)
{
	int fd;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0 || errno == EINTR) {
		if (fd < 0)
			continue;
		pthread_mutex_lock(&lock);
		send_all(fd, says);
		pthread_mutex_unlock(&lock);
		close(fd);
	}
	return arg;
}

static void
address_of(const char *dir, struct sockaddr_un *ret)
{
	ret->sun_family = AF_UNIX;
	snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/status.sock", dir);
}

static void
remove_all(void)
{
	status_close(server);
	(void)unlink(strange.sun_path);
	(void)rmdir(strange_dir);
	(void)rmdir(own_dir);
}

static void
open_once(void)
{
	struct err err = { 0 };
	pthread_t thread;

	if (listener >= 0)
		return;
	clock_fake(1790000000000);
	make_dir(strange_dir, "fuzz-status");
	make_dir(own_dir, "fuzz-status");
	address_of(strange_dir, &strange);
	address_of(own_dir, &own);
	loop = loop_new(&err);
	reader = json_reader_new();
	assert(loop != NULL && reader != NULL && status_serve(&server, loop, own_dir, &err) == 0);
	json_doc_init(&doc, 1u << 20);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert(listener >= 0 && bind(listener, (struct sockaddr *)&strange, sizeof(strange)) == 0 && listen(listener, 8) == 0);
	assert(pthread_create(&thread, NULL, be_strange, NULL) == 0 && pthread_detach(thread) == 0 && atexit(remove_all) == 0);
	terminal = open_memstream(&shown, &shown_n);
	assert(terminal != NULL);
}

/* ---- what is shown ------------------------------------------------------------------------------ */

static void
check_shown(void)
{
	unsigned code;

	for (size_t i = 0; i < shown_n; i++)
		assert(((unsigned char)shown[i] >= 0x20 || shown[i] == '\n') && utf8_odd(slice_make(shown + i, shown_n - i), &code) == 0);
	assert(utf8_valid_prefix(slice_make(shown, shown_n)) == shown_n);
}

static void
show(const char *dir)
{
	FILE *usual = stdout;
	struct err err = { 0 };
	int rc;

	rewind(terminal);
	stdout = terminal;
	rc = status_print(dir, false, &err);
	stdout = usual;
	assert(fflush(terminal) == 0);
	shown_n = rc == 0 || ftello(terminal) > 0 ? (size_t)ftello(terminal) : 0;
	check_shown();
	assert(rc == 0 || is_fit_to_show(err.text));
}

/* ---- the agent itself ----------------------------------------------------------------------------- */

static int
connect_own(struct slice says_first)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert(fd >= 0 && connect(fd, (struct sockaddr *)&own, sizeof(own)) == 0);
	says_first.n = says_first.n < 4096 ? says_first.n : 4096;
	send_all(fd, says_first);
	return fd;
}

/* A client that sends first is answered as any other; a reset at the end of what it reads is its own doing. */
static void
ask_own(struct slice says_first)
{
	static char answer[ANSWER_MOST];
	int fd = connect_own(says_first);
	size_t n = 0;
	ssize_t got;

	while (loop_turn(loop, 0) > 0)
		;
	while ((got = recv(fd, answer + n, sizeof(answer) - n, 0)) > 0)
		n += (size_t)got;
	close(fd);
	json_reset(reader, &doc);
	assert(got == 0 || errno == ECONNRESET);
	assert((got < 0 && n == 0) || json_read(reader, slice_make(answer, n), false, &doc, NULL) == 0);
}

static void
be_own(struct slice input)
{
	char name[65] = "", said[320] = "";
	struct stat_block *b;

	memcpy(name, input.p, input.n < 64 ? input.n : 64);
	memcpy(said, input.p, input.n < 319 ? input.n : 319);
	b = stat_make(STAT_SOURCE, name, "file");
	assert(b != NULL);
	stat_say(b, said);
	ask_own(input);
	pthread_mutex_lock(&lock);
	{
		static struct buf text;

		buf_fini(&text);
		buf_init(&text, ANSWER_MOST);
		status_json(&text);
		assert(!text.failed);
		says = buf_slice(&text);
	}
	pthread_mutex_unlock(&lock);
	show(strange_dir);
	stat_drop(b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	open_once();
	pthread_mutex_lock(&lock);
	says = slice_make(data, n);
	pthread_mutex_unlock(&lock);
	show(strange_dir);
	if (n > 0)
		be_own(slice_make(data, n));
	pthread_mutex_lock(&lock);		/* the last of it is sent */
	says = SLICE_NONE;
	pthread_mutex_unlock(&lock);
	return 0;
}
