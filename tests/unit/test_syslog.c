/* test_syslog.c - syslog messages byte by byte, and streams to Unix sockets. The whole sink is tested in system/test_syslog.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/stream.h"
#include "sinks/batch.h"
#include "sinks/syslog/frame.h"

#define WHEN_MS	INT64_C(1772360430123)		/* 2026-03-01T10:20:30.123Z */

static struct buf out;
static struct batch batch;
static struct batch_entry entry;

static int
set_up(void **state)
{
	(void)state;
	buf_init(&out, 1u << 20);
	buf_init(&batch.bytes, 1u << 20);
	batch.v = &entry;
	batch.n = 1;
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	buf_fini(&out);
	buf_fini(&batch.bytes);
	return 0;
}

static int
frame(const struct frame_style *style, struct slice message, uint8_t level, struct err *err)
{
	buf_reset(&batch.bytes);
	buf_put_slice(&batch.bytes, message);
	entry = (struct batch_entry){ .time_ms = WHEN_MS, .n = (uint32_t)message.n, .level = level };
	return frame_put(style, &batch, 0, &out, err);
}

static void
assert_frame(const struct frame_style *style, const char *message, uint8_t level, const char *want)
{
	struct err err;

	buf_reset(&out);
	assert_int_equal(frame(style, slice_of(message), level, &err), 0);
	buf_putc(&out, '\0');
	assert_string_equal(out.p, want);
}

static void
rfc5424_says_utc_with_milliseconds_and_the_severity_of_the_event(void **state)
{
	struct frame_style style = { FRAME_RFC5424, FRAMING_NEWLINE, 20, "h1", 4096 };

	(void)state;
	assert_frame(&style, "{}", 0, "<166>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - {}\n");
	assert_frame(&style, "{}", 1, "<165>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - {}\n");
	assert_frame(&style, "{}", 2, "<164>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - {}\n");
	assert_frame(&style, "{}", 3, "<163>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - {}\n");
	assert_frame(&style, "{}", 4, "<162>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - {}\n");
	style.facility = 0;
	assert_frame(&style, "CEF:0|", 4, "<2>1 2026-03-01T10:20:30.123Z h1 aispm-agent - - - CEF:0|\n");
}

static void
rfc3164_says_local_time_and_cef_is_its_own_tag(void **state)
{
	struct frame_style style = { FRAME_RFC3164, FRAMING_NEWLINE, 20, "h1", 4096 };

	(void)state;
	setenv("TZ", "Asia/Kolkata", 1);
	tzset();
	assert_frame(&style, "CEF:0|a", 3, "<163>Mar  1 15:50:30 h1 CEF:0|a\n");
	assert_frame(&style, "{}", 3, "<163>Mar  1 15:50:30 h1 aispm-agent: {}\n");
	style.host = NULL;		/* a Unix socket's receiver puts its own */
	assert_frame(&style, "CEF:0|a", 3, "<163>Mar  1 15:50:30 CEF:0|a\n");
	setenv("TZ", "UTC", 1);
	tzset();
	assert_frame(&style, "CEF:0|a", 3, "<163>Mar  1 10:20:30 CEF:0|a\n");
}

static void
octets_are_counted_with_the_header(void **state)
{
	struct frame_style style = { FRAME_RFC3164, FRAMING_OCTETS, 20, NULL, 4096 };

	(void)state;
	assert_frame(&style, "CEF:\xc3\xa4", 3, "27 <163>Mar  1 10:20:30 CEF:\xc3\xa4");
	style.framing = FRAMING_NONE;
	assert_frame(&style, "CEF:", 3, "<163>Mar  1 10:20:30 CEF:");
}

static void
a_message_too_long_or_of_two_lines_is_refused_and_leaves_no_byte(void **state)
{
	struct frame_style style = { FRAME_RFC3164, FRAMING_NEWLINE, 20, NULL, 29 };
	struct err err;

	(void)state;
	buf_reset(&out);
	buf_puts(&out, "before");
	assert_int_equal(frame(&style, SLICE("CEF:0123"), 3, &err), 0);		/* 29 bytes with its header */
	out.n = 6;
	assert_int_equal(frame(&style, SLICE("CEF:01234"), 3, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(out.n, 6);
	assert_int_equal(frame(&style, SLICE("CEF:0\n1"), 3, &err), -1);
	assert_int_equal(err.kind, ERR_DATA);
	assert_int_equal(out.n, 6);
	style.framing = FRAMING_OCTETS;			/* here the count says where it ends */
	assert_int_equal(frame(&style, SLICE("CEF:0\n1"), 3, &err), 0);
}

static void
a_host_name_fits_a_header(void **state)
{
	char host[256];

	(void)state;
	frame_host(host, sizeof(host));
	assert_true(host[0] != '\0');
	for (const char *p = host; *p != '\0'; p++)
		assert_in_range(*p, '!', '~');
}

static void
targets_are_three_kinds(void **state)
{
	static const char *const good[] = { "tcp://127.0.0.1:514", "tcp://[::1]:514", "tls://siem.example:6514", "unix:/run/x", "unix:///run/x" };
	static const char *const bad[] = { "", "tcp:", "tcp://", "tcp://h", "tcp://h:", "tcp://h:0", "tcp://h:65536", "tcp://h:1/", "tcp://u@h:1",
	    "tcp://h:1?q", "tcp://:1", "http://h:1", "udp://h:1", "unix:run", "unix:", "tls://[::1:1", "tcp://h h:1" };
	char longer[256];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (stream_wrong_target(NULL, good[i]) != NULL)
			fail_msg("%s was refused", good[i]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (stream_wrong_target(NULL, bad[i]) == NULL)
			fail_msg("%s was taken", bad[i]);
	snprintf(longer, sizeof(longer), "unix:/%0200d", 0);
	assert_non_null(stream_wrong_target(NULL, longer));
}

/* A listening or bound Unix socket in a directory of its own. */
static int
far_socket(int type, char *target, size_t n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/aispm-syslog-XXXXXX";
	int fd = socket(AF_UNIX, type, 0);

	assert_true(fd >= 0 && mkdtemp(dir) != NULL);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	snprintf(target, n, "unix:%s/s", dir);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static void
drop_socket(int fd, const char *target)
{
	char dir[128];

	close(fd);
	unlink(target + 5);
	snprintf(dir, sizeof(dir), "%.*s", (int)(strlen(target + 5) - 2), target + 5);
	rmdir(dir);
}

static void
a_stream_is_drained_when_the_far_side_has_read_and_fails_when_it_has_hung_up(void **state)
{
	atomic_bool stop = false;
	char target[128], bytes[16];
	int fd = far_socket(SOCK_STREAM, target, sizeof(target)), far;
	struct stream_options options = { .target = target, .timeout_ms = 200, .stop = &stop };
	struct stream *s = NULL;
	struct err err;

	(void)state;
	assert_int_equal(stream_open(&s, &options, &err), 0);
	far = accept(fd, NULL, NULL);
	assert_false(stream_is_datagram(s));
	assert_int_equal(stream_send(s, SLICE("hello"), &err), 0);
	assert_int_equal(stream_drain(s, &err), -1);		/* nobody reads: in the end it is given up */
	assert_int_equal(err.kind, ERR_AGAIN);
	assert_int_equal(read(far, bytes, sizeof(bytes)), 5);
	assert_int_equal(stream_drain(s, &err), 0);
	assert_true(stream_is_open(s));
	close(far);
	assert_false(stream_is_open(s));
	assert_int_equal(stream_drain(s, &err), -1);
	assert_int_equal(stream_send(s, SLICE("hello"), &err), -1);
	stream_close(s);
	drop_socket(fd, target);
	s = NULL;
	assert_int_equal(stream_open(&s, &options, &err), -1);
	assert_int_equal(err.kind, ERR_AGAIN);
	assert_null(s);
}

static void
a_datagram_is_one_message_or_none(void **state)
{
	static char big[4 << 20];
	atomic_bool stop = false;
	char target[128], bytes[64];
	int fd = far_socket(SOCK_DGRAM, target, sizeof(target));
	struct stream_options options = { .target = target, .timeout_ms = 200, .stop = &stop };
	struct stream *s = NULL;
	struct err err;

	(void)state;
	assert_int_equal(stream_open(&s, &options, &err), 0);
	assert_true(stream_is_datagram(s));
	assert_int_equal(stream_send(s, SLICE("one"), &err), 0);
	assert_int_equal(stream_send(s, SLICE("two"), &err), 0);
	assert_int_equal(stream_send(s, slice_make(big, sizeof(big)), &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
	assert_int_equal(read(fd, bytes, sizeof(bytes)), 3);
	stream_close(s);
	drop_socket(fd, target);
}

static void
every_wait_ends_when_told(void **state)
{
	static char big[1 << 20];
	atomic_bool stop = true;
	char target[128];
	int fd = far_socket(SOCK_STREAM, target, sizeof(target));
	struct stream_options options = { .target = target, .timeout_ms = 600000, .stop = &stop };
	struct stream *s = NULL;
	struct err err;

	(void)state;
	assert_int_equal(stream_open(&s, &options, &err), 0);
	assert_int_equal(stream_send(s, slice_make(big, sizeof(big)), &err), -1);	/* nobody reads, and the socket is full */
	assert_int_equal(stream_drain(s, &err), -1);
	stream_close(s);
	drop_socket(fd, target);
}

int
main(void)
{
#define T(f)	cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(rfc5424_says_utc_with_milliseconds_and_the_severity_of_the_event),
		T(rfc3164_says_local_time_and_cef_is_its_own_tag),
		T(octets_are_counted_with_the_header),
		T(a_message_too_long_or_of_two_lines_is_refused_and_leaves_no_byte),
		T(a_host_name_fits_a_header),
		T(targets_are_three_kinds),
		T(a_stream_is_drained_when_the_far_side_has_read_and_fails_when_it_has_hung_up),
		T(a_datagram_is_one_message_or_none),
		T(every_wait_ends_when_told),
	};
#undef T
	return cmocka_run_group_tests_name("syslog", tests, NULL, NULL);
}
