/* test_note.c - the log's lines, and the counters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/note.h"
#include "base/stat.h"

#define MINUTE_MS	60000

/* ---- the log ------------------------------------------------------------------------------ */

static int ends[2];		/* what is noted comes out at ends[0] */
static char line[8192];

static int
listen_to_notes(void **state)
{
	(void)state;
	if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		return -1;
	unsetenv("JOURNAL_STREAM");
	note_to_fd(ends[1]);
	note_set_level(NOTE_INFO);
	clock_fake_advance(MINUTE_MS);	/* nobody has spoken yet */
	return 0;
}

static int
stop_listening(void **state)
{
	(void)state;
	note_to_fd(-1);
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* All that was said since the last call. */
static const char *
heard(void)
{
	ssize_t n = read(ends[0], line, sizeof(line) - 1);

	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void
a_note_is_one_line_with_its_values(void **state)
{
	(void)state;
	note(SINK_HELD, N_TEXT("sink", "sentinel"), N_NUMBER("status", -403), N_SLICE("why", SLICE("no role")));
	assert_string_equal(heard(), "aispm-agent: sink held, events kept: sink=\"sentinel\" status=-403 why=\"no role\"\n");
	note(START);
	assert_string_equal(heard(), "aispm-agent: started\n");
}

static void
the_journal_is_told_the_level(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "8:1", 1);
	note(SINK_HELD);
	note(SOURCE_INFO, N_NUMBER("n", 1));
	assert_string_equal(heard(), "<3>sink held, events kept\n<6>source: n=1\n");
	unsetenv("JOURNAL_STREAM");
}

static void
a_value_cannot_forge_a_line_or_a_field(void **state)
{
	(void)state;
	note(SOURCE_INFO, N_SLICE("a", SLICE("x\n<0>root: \"\\\x1b[31m\x7f\0")), N_NUMBER("n", 7));
	assert_string_equal(heard(), "aispm-agent: source: a=\"x\\x0a<0>root: \\\"\\\\\\x1b[31m\\x7f\\x00\" n=7\n");
	note(SOURCE_INFO, N_TEXT("a", "z\xc3\xa4hl \xff\xe2\x82 \xc2\x85."));	/* good UTF-8 stays, C1 controls do not */
	assert_string_equal(heard(), "aispm-agent: source: a=\"z\xc3\xa4hl \\xff\\xe2\\x82 \\xc2\\x85.\"\n");
	note(SOURCE_INFO, N_TEXT("a", "fdp\xe2\x80\xae" "exe \xe2\x80\xa8."));	/* nor what turns a text or ends a line */
	assert_string_equal(heard(), "aispm-agent: source: a=\"fdp\\xe2\\x80\\xaeexe \\xe2\\x80\\xa8.\"\n");
}

static void
a_long_value_is_cut_and_says_so(void **state)
{
	char text[1000];

	(void)state;
	memset(text, 'x', sizeof(text));
	note(SOURCE_INFO, N_SLICE("a", slice_make(text, 300)));
	assert_int_equal(strlen(heard()), strlen("aispm-agent: source: a=\"\"\n") + 300);
	note(SOURCE_INFO, N_SLICE("a", slice_make(text, 301)));
	assert_int_equal(strlen(heard()), strlen("aispm-agent: source: a=\"...\"\n") + 300);
	memset(text, '\1', sizeof(text));
	note(SOURCE_INFO, N_SLICE("a", slice_make(text, 1000)), N_SLICE("b", slice_make(text, 1000)),
	    N_SLICE("c", slice_make(text, 1000)), N_SLICE("d", slice_make(text, 1000)));
	assert_int_equal(strlen(heard()), 4096);	/* the whole line has an end as well */
	assert_int_equal(line[4095], '\n');
	assert_null(memchr(line, '\n', 4095));
}

static void
what_is_below_the_level_is_not_said(void **state)
{
	(void)state;
	note_set_level(NOTE_ERROR);
	note(START);
	note(SOURCE_INFO);
	assert_string_equal(heard(), "");
	note(SINK_HELD);
	assert_string_equal(heard(), "aispm-agent: sink held, events kept\n");
	note_to_fd(-1);
	note(SINK_HELD);
	assert_string_equal(heard(), "");
}

static void
a_talker_is_cut_short_each_minute_and_the_count_is_told(void **state)
{
	unsigned burst = note_row(NOTE_DEAD_RECORD)->burst, lines = 0;

	(void)state;
	for (unsigned i = 0; i < burst + 37; i++)
		note(DEAD_RECORD);
	for (const char *at = heard(); (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	assert_int_equal(lines, burst);
	note(DEAD_EVENT);			/* the others may still speak */
	assert_string_equal(heard(), "aispm-agent: event set aside in the dead letter\n");
	clock_fake_advance(MINUTE_MS - 1);
	note(DEAD_RECORD);
	assert_string_equal(heard(), "");
	clock_fake_advance(1);
	note(DEAD_RECORD);
	assert_string_equal(heard(), "aispm-agent: record set aside in the dead letter (38 withheld)\n");
	note(DEAD_RECORD);
	assert_string_equal(heard(), "aispm-agent: record set aside in the dead letter\n");
}

static void *
talk(void *arg)
{
	for (int i = 0; i < 20; i++)
		note(SOURCE_INFO, N_TEXT("who", arg));
	return NULL;
}

static void
threads_do_not_mix_their_lines(void **state)
{
	static char one[] = "one", two[] = "two";
	pthread_t threads[2];
	unsigned lines = 0;

	(void)state;
	assert_int_equal(pthread_create(&threads[0], NULL, talk, one), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, talk, two), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	heard();
	for (char *at = line, *end; (end = strchr(at, '\n')) != NULL; at = end + 1, lines++) {
		*end = '\0';
		assert_true(strcmp(at, "aispm-agent: source: who=\"one\"") == 0 || strcmp(at, "aispm-agent: source: who=\"two\"") == 0);
	}
	assert_int_equal(lines, 40);
}

static void
each_message_has_a_sentence_and_help(void **state)
{
	(void)state;
	for (int id = 0; id < NOTE_COUNT; id++) {
		const struct note_row *row = note_row((enum note_id)id);

		assert_true(row->level >= NOTE_ERROR && row->level <= NOTE_DEBUG && row->burst > 0);
		assert_true(strlen(row->sentence) > 3 && strlen(row->help) > 10);
		assert_int_equal(row->help[strlen(row->help) - 1], '.');
		for (int other = 0; other < id; other++)
			assert_string_not_equal(row->sentence, note_row((enum note_id)other)->sentence);
	}
}

/* ---- counters ----------------------------------------------------------------------------- */

static void
append_name(void *arg, struct stat_block *b)
{
	char said[320];

	stat_said(b, said);			/* legal under the list's lock */
	buf_printf(arg, "%s/%s:%s ", b->name, b->type, said);
}

static void
blocks_are_listed_in_the_order_they_were_made_until_dropped(void **state)
{
	struct stat_block *a = stat_make(STAT_SOURCE, "hub", "kafka"), *b = stat_make(STAT_SINK, "bus", "kafka");
	struct stat_block *c = stat_make(STAT_SINK, "a name that is longer than the sixty-three bytes there are in a block for it", "x");
	struct buf seen;

	(void)state;
	buf_init(&seen, 1000);
	assert_true(a != NULL && b != NULL && c != NULL);
	assert_int_equal(strlen(c->name), 63);
	stat_drop(c);
	stat_say(b, "held");
	stat_each(append_name, &seen);
	assert_true(slice_eq(buf_slice(&seen), SLICE("agent/agent: hub/kafka: bus/kafka:held ")));
	stat_drop(a);
	buf_reset(&seen);
	stat_each(append_name, &seen);
	assert_true(slice_eq(buf_slice(&seen), SLICE("agent/agent: bus/kafka:held ")));
	stat_drop(b);
	stat_drop(NULL);
	buf_reset(&seen);
	stat_each(append_name, &seen);
	assert_true(slice_eq(buf_slice(&seen), SLICE("agent/agent: ")));	/* the process itself is always there */
	assert_int_equal(stat_agent()->scope, STAT_AGENT);
	buf_fini(&seen);
}

static void *
count(void *arg)
{
	for (int i = 0; i < 50000; i++)
		stat_add(arg, STAT_SINK_EVENTS, 2);
	return NULL;
}

static void
no_count_is_lost_between_threads(void **state)
{
	struct stat_block *b = stat_make(STAT_SINK, "bus", "kafka");
	pthread_t threads[2];

	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, b), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(stat_get(b, STAT_SINK_EVENTS), 200000);
	stat_set(b, STAT_SINK_STATE, 2);
	assert_int_equal(stat_get(b, STAT_SINK_STATE), 2);
	assert_int_equal(stat_get(b, STAT_SINK_BYTES), 0);
	stat_drop(b);
}

static void
each_counter_has_a_metric_name_of_its_own(void **state)
{
	(void)state;
	for (int id = 0; id < STAT_COUNT; id++) {
		const struct stat_row *row = stat_row((enum stat_id)id);

		assert_true(row->scope < STAT_SCOPES);
		assert_int_equal(strspn(row->name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(row->name));
		assert_true(strlen(row->unit) > 0);
		assert_int_equal(row->help[strlen(row->help) - 1], '.');
		for (int other = 0; other < id; other++)
			assert_string_not_equal(row->name, stat_row((enum stat_id)other)->name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_note_is_one_line_with_its_values, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(the_journal_is_told_the_level, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(a_value_cannot_forge_a_line_or_a_field, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(a_long_value_is_cut_and_says_so, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(what_is_below_the_level_is_not_said, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(a_talker_is_cut_short_each_minute_and_the_count_is_told, listen_to_notes, stop_listening),
		cmocka_unit_test_setup_teardown(threads_do_not_mix_their_lines, listen_to_notes, stop_listening),
		cmocka_unit_test(each_message_has_a_sentence_and_help),
		cmocka_unit_test(blocks_are_listed_in_the_order_they_were_made_until_dropped),
		cmocka_unit_test(no_count_is_lost_between_threads),
		cmocka_unit_test(each_counter_has_a_metric_name_of_its_own),
	};

	clock_fake(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
