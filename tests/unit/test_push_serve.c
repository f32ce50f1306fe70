/* test_push_serve.c - source `http` with a real loop, real connections, and a test in the place of intake: when is a request answered? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/stat.h"
#include "source/http_source.h"

#define RECORDS3	"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"

struct rig {
	struct loop		*loop;
	struct source		 source;
	struct conf		*conf;
	struct stat_block	*stats;
	int			 port;
	size_t			 room, n, idles;	/* records until it says no; that were taken */
	struct position		 at;			/* behind the latest */
	bool			 safe_at_once;
	char			 trouble[320];
};

static struct rig *rig;

/* ---- in the place of intake ----------------------------------------------------------- */

static void
safe(void)
{
	rig->source.kind->safe(&rig->source, &rig->at);
}

static bool
take(struct source *s, const struct record *r, const struct position *after)
{
	assert_non_null(r);
	assert_string_equal(r->source, s->name);
	if (rig->room == 0)
		return false;
	rig->room--;
	rig->n++;
	rig->at = *after;
	if (rig->safe_at_once)
		safe();
	return true;
}

static void
say_line(struct source *s, bool trouble, const char *text)
{
	(void)s;
	if (trouble)
		snprintf(rig->trouble, sizeof(rig->trouble), "%s", text);
}

static void
idle(struct source *s)
{
	(void)s;
	rig->idles++;
}

/* ---- steps ---------------------------------------------------------------------------- */

static void
turn(int times)
{
	while (times-- > 0)
		loop_turn(rig->loop, 5);
}

static int
free_port(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	close(fd);
	return ntohs(at.sin_port);
}

static void
start(const char *more, uint64_t restored)
{
	struct position at = { .stream = 1, .len = 8 };
	struct problems problems;
	struct err err = { 0 };
	char yaml[512];

	rig->port = free_port();
	snprintf(yaml, sizeof(yaml), "listen: \"127.0.0.1:%d\"\n%s", rig->port, more);
	problems_init(&problems);
	assert_int_equal(conf_load_text("t.yaml", slice_of(yaml), push_keys, &rig->conf, &problems, &err), 0);
	problems_fini(&problems);
	rig->source = (struct source){ .kind = &source_kind_http, .name = "t", .loop = rig->loop, .stats = rig->stats, .take = take,
		.say_line = say_line, .idle = idle, .owner = rig };
	assert_int_equal(rig->source.kind->open(&rig->source, rig->conf, &err), 0);
	put_le64(at.bytes, restored);
	if (restored > 0)
		assert_int_equal(rig->source.kind->restore(&rig->source, &at, &err), 0);
	assert_int_equal(rig->source.kind->start(&rig->source, &err), 0);
	turn(1);
}

static int
connected(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)rig->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static int
post(const char *body)
{
	char text[1024];
	int fd = connected();
	int n = snprintf(text, sizeof(text), "POST /records HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);

	assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
	return fd;
}

/* The answer's status, or 0: none so far; -1 closed. */
static int
heard(int fd)
{
	char text[2048];
	ssize_t n;

	turn(3);
	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n <= 0)
		return n == 0 ? -1 : 0;
	text[n] = '\0';
	assert_memory_equal(text, "HTTP/1.1 ", 9);
	return (int)strtol(text + 9, NULL, 10);
}

static int
wait_for_answer(int fd)
{
	int status = 0;

	for (int i = 0; i < 400 && status == 0; i++)
		status = heard(fd);
	return status;
}

static void
wait_for_records(size_t n)
{
	for (int i = 0; i < 400 && rig->n < n; i++)
		turn(1);
	assert_int_equal(rig->n, n);
}

static int
begin(void **state)
{
	struct err err = { 0 };

	(void)state;
	rig = calloc(1, sizeof(*rig));
	rig->room = SIZE_MAX;
	rig->loop = loop_new(&err);
	rig->stats = stat_make(STAT_SOURCE, "t", "http");
	return 0;
}

static int
end(void **state)
{
	(void)state;
	rig->source.kind->close(&rig->source);
	conf_free(rig->conf);
	stat_drop(rig->stats);
	loop_free(rig->loop);
	free(rig);
	return 0;
}

/* ---- tests ----------------------------------------------------------------------------- */

static void
a_request_is_answered_when_all_its_records_are_safe_and_not_before(void **state)
{
	struct position first;
	int a, b;

	(void)state;
	start("", 0);
	a = post(RECORDS3);
	wait_for_records(3);
	first = rig->at;
	b = post("{\"b\":1}");
	wait_for_records(4);
	assert_int_equal(heard(a), 0);
	assert_true(rig->idles > 0);
	put_le64(first.bytes, get_le64(first.bytes) - 1);
	rig->source.kind->safe(&rig->source, &first);
	assert_int_equal(heard(a), 0);
	put_le64(first.bytes, get_le64(first.bytes) + 1);
	rig->source.kind->safe(&rig->source, &first);
	assert_int_equal(wait_for_answer(a), 200);
	assert_int_equal(heard(b), 0);
	safe();
	assert_int_equal(wait_for_answer(b), 200);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_REQUESTS), 2);
	close(a);
	close(b);
}

static void
tickets_go_on_where_they_were_before_a_restart(void **state)
{
	int a;

	(void)state;
	start("", 1000);
	a = post(RECORDS3);
	wait_for_records(3);
	assert_int_equal(get_le64(rig->at.bytes), 1003);
	assert_int_equal(heard(a), 0);
	safe();
	assert_int_equal(wait_for_answer(a), 200);
	close(a);
}

static void
safe_may_come_while_a_record_is_offered(void **state)
{
	int a;

	(void)state;
	start("", 0);
	rig->safe_at_once = true;
	a = post(RECORDS3);
	assert_int_equal(wait_for_answer(a), 200);
	close(a);
}

static void
without_room_for_its_first_record_it_is_told_to_come_again(void **state)
{
	int a;

	(void)state;
	start("", 0);
	rig->room = 0;
	a = post(RECORDS3);
	assert_int_equal(wait_for_answer(a), 503);
	close(a);
	rig->room = 100;
	a = post(RECORDS3);		/* intake has not said that there is room */
	assert_int_equal(wait_for_answer(a), 503);
	close(a);
	rig->source.kind->resume(&rig->source);
	a = post(RECORDS3);
	wait_for_records(3);
	safe();
	assert_int_equal(wait_for_answer(a), 200);
	close(a);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_REFUSED_ROOM), 2);
}

static void
one_that_was_taken_in_part_waits_for_room_and_others_do_not(void **state)
{
	int a, b;

	(void)state;
	start("", 0);
	rig->room = 2;
	a = post(RECORDS3);
	wait_for_records(2);
	b = post("{\"b\":1}");
	assert_int_equal(wait_for_answer(b), 503);
	safe();
	assert_int_equal(heard(a), 0);
	rig->room = 100;
	rig->source.kind->resume(&rig->source);
	wait_for_records(3);
	assert_int_equal(heard(a), 0);
	safe();
	assert_int_equal(wait_for_answer(a), 200);
	close(a);
	close(b);
}

static void
who_waits_too_long_is_told_to_come_again(void **state)
{
	int a, b;

	(void)state;
	start("timeout: 1s\n", 0);
	a = post(RECORDS3);
	wait_for_records(3);
	rig->room = 1;
	b = post(RECORDS3);
	wait_for_records(4);
	assert_int_equal(wait_for_answer(a), 503);
	assert_int_equal(wait_for_answer(b), 503);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_REFUSED_TIME), 2);
	rig->room = 100;
	rig->source.kind->resume(&rig->source);
	safe();
	close(a);
	close(b);
	a = post("{\"c\":1}");
	wait_for_records(5);		/* what was given up is not offered again */
	safe();
	assert_int_equal(wait_for_answer(a), 200);
	close(a);
}

static void
a_client_that_left_takes_nothing_with_it(void **state)
{
	int a, b;

	(void)state;
	start("", 0);
	a = post(RECORDS3);
	wait_for_records(3);
	close(a);
	a = connected();
	assert_true(send(a, "POST /records HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{", 53, MSG_NOSIGNAL) > 0);
	turn(5);
	close(a);
	b = post("{\"b\":1}");
	wait_for_records(4);
	safe();
	assert_int_equal(wait_for_answer(b), 200);
	close(b);
	turn(5);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_WAITING), 0);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_LAG_BYTES), 0);
}

static void
closing_answers_who_is_safe_and_tells_the_others_to_come_again(void **state)
{
	struct err err = { 0 };
	int a, b, c;

	(void)state;
	start("", 0);
	a = post(RECORDS3);
	wait_for_records(3);
	safe();
	rig->room = 2;
	b = post("{\"b\":1}");
	wait_for_records(4);
	c = post(RECORDS3);
	wait_for_records(5);
	rig->source.kind->close(&rig->source);
	assert_int_equal(wait_for_answer(a), 200);
	assert_int_equal(wait_for_answer(b), 503);
	assert_int_equal(wait_for_answer(c), 503);
	close(a);
	close(b);
	close(c);
	assert_int_equal(rig->source.kind->open(&rig->source, rig->conf, &err), 0);
}

static void
once_does_not_listen_and_is_drained(void **state)
{
	struct err err = { 0 };

	(void)state;
	start("", 0);
	rig->source.kind->close(&rig->source);
	rig->source.once = true;
	assert_int_equal(rig->source.kind->open(&rig->source, rig->conf, &err), 0);
	assert_int_equal(rig->source.kind->start(&rig->source, &err), 0);
	assert_true(rig->source.kind->drained(&rig->source));
	turn(3);
	assert_int_equal(push_listen_try(conf_text(rig->conf, "listen"), &err), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_request_is_answered_when_all_its_records_are_safe_and_not_before, begin, end),
		cmocka_unit_test_setup_teardown(tickets_go_on_where_they_were_before_a_restart, begin, end),
		cmocka_unit_test_setup_teardown(safe_may_come_while_a_record_is_offered, begin, end),
		cmocka_unit_test_setup_teardown(without_room_for_its_first_record_it_is_told_to_come_again, begin, end),
		cmocka_unit_test_setup_teardown(one_that_was_taken_in_part_waits_for_room_and_others_do_not, begin, end),
		cmocka_unit_test_setup_teardown(who_waits_too_long_is_told_to_come_again, begin, end),
		cmocka_unit_test_setup_teardown(a_client_that_left_takes_nothing_with_it, begin, end),
		cmocka_unit_test_setup_teardown(closing_answers_who_is_safe_and_tells_the_others_to_come_again, begin, end),
		cmocka_unit_test_setup_teardown(once_does_not_listen_and_is_drained, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
