/* test_send.c - the delivery policy, over a real spool and dead letter, with a sink that the test plays itself. Linked with --wrap=sink_kind_find. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/note.h"
#include "base/stat.h"
#include "base/sys.h"
#include "model/event.h"
#include "model/wire.h"
#include "sinks/batch.h"
#include "sinks/send.h"
#include "sinks/sink.h"
#include "spool/dead.h"
#include "spool/spool.h"

#define NOW_MS		UINT64_C(1769860800000)
#define OUT_MOST	8
#define ROOM		4000		/* bytes of a batch of the played sink */

static char dir[64];
static struct loop *loop;
static struct spool *spool;
static struct dead *dead;
static struct conf *conf;
static struct send *sender;
static struct sink *played;
static int64_t span_ms;
static unsigned progressed;

/* What is out, oldest first. */
static const struct batch *out[OUT_MOST];
static size_t nout, nputs;
static char said[64][ROOM + 100];	/* each batch's bytes, as they were put */
static enum sink_verdict at_once;	/* answered from within put, when at_once_on */
static bool at_once_on;

/* ---- the played sink --------------------------------------------------------------- */

static int
played_open(struct sink *s, const struct conf *c, struct err *err)
{
	(void)c;
	(void)err;
	played = s;
	s->max_span_ms = span_ms;
	return 0;
}

static void
played_put(struct sink *s, const struct batch *b)
{
	assert_in_range(nputs, 0, 63);
	snprintf(said[nputs++], sizeof(said[0]), "%.*s", SLICE_ARG(buf_slice(&b->bytes)));
	assert_in_range(nout, 0, OUT_MOST - 1);
	if (at_once_on)
		sink_answer(s, b, at_once, 0, NULL);
	else
		out[nout++] = b;
}

static void
played_close(struct sink *s)
{
	(void)s;
	played = NULL;
}

static const struct sink_kind kind = {
	.name = "played", .format = "json", .formats = "json", .open_bytes = "[", .between_bytes = ",", .close_bytes = "]",
	.max_bytes = ROOM, .max_entries = 10, .max_in_flight = 3, .open = played_open,
	.put = played_put, .close = played_close,
};

const struct sink_kind *__wrap_sink_kind_find(const char *word);

const struct sink_kind *
__wrap_sink_kind_find(const char *word)
{
	(void)word;
	return &kind;
}

static void
answer(size_t i, enum sink_verdict verdict, uint64_t wait_ms)
{
	const struct batch *b = out[i];
	struct err why = { 0 };

	assert_in_range(i, 0, nout - 1);
	memmove(out + i, out + i + 1, (--nout - i) * sizeof(out[0]));
	err_set(&why, ERR_DATA, "the reason of the far side");
	sink_answer(played, b, verdict, wait_ms, &why);
}

/* ---- the rest of the world ----------------------------------------------------------- */

static void
progress(void *arg)
{
	(void)arg;
	progressed++;
}

static void
load(const char *more)
{
	static struct conf_key keys[16], top[2];
	struct problems problems;
	struct err err = { 0 };
	char yaml[512];
	size_t n = 0;

	keys[n++] = (struct conf_key){ .name = "name", .type = CONF_TEXT };
	keys[n++] = (struct conf_key){ .name = "type", .type = CONF_TEXT };
	for (const struct conf_key *k = send_keys; k->name != NULL; k++)
		keys[n++] = *k;
	keys[n] = (struct conf_key)CONF_END;
	top[0] = (struct conf_key){ .name = "sink", .type = CONF_BLOCK, .keys = keys };
	top[1] = (struct conf_key)CONF_END;
	snprintf(yaml, sizeof(yaml), "sink: {name: s, type: played%s}\n", more);
	problems_init(&problems);
	if (conf_load_text("s.yaml", slice_of(yaml), top, &conf, &problems, &err) != 0)
		fail_msg("%s: %s", problems.n > 0 ? problems.v[0].key : "", problems.n > 0 ? problems.v[0].text : err.text);
	problems_fini(&problems);
}

static void
begin(const char *more)
{
	struct send_world world = { .spool = spool, .dead = dead, .loop = loop, .agent_id = "0123", .agent_version = "1",
		.hostname = "h", .progress = progress };
	struct err err = { 0 };

	load(more);
	assert_int_equal(send_open(&sender, &world, conf_block(conf, "sink"), &err), 0);
	assert_int_equal(send_start(sender, &err), 0);
}

static void
end(void)
{
	send_close(sender);
	sender = NULL;
	conf_free(conf);
	conf = NULL;
	nout = 0;
}

static int
open_all(void **state)
{
	const struct spool_limits limits = { 8 << 20, 1 << 20, 1 << 20 };
	char path[128];
	struct err err = { 0 };

	(void)state;
	note_to_fd(-1);
	clock_fake(NOW_MS);
	snprintf(dir, sizeof(dir), "/tmp/aispm-send-XXXXXX");
	if (mkdtemp(dir) == NULL)
		return -1;
	nout = nputs = progressed = 0;
	at_once_on = false;
	span_ms = 0;
	loop = loop_new(&err);
	snprintf(path, sizeof(path), "%s/spool", dir);
	assert_int_equal(spool_open(&spool, path, &limits, NULL, &err), 0);
	snprintf(path, sizeof(path), "%s/dead", dir);
	assert_int_equal(dead_open(&dead, path, 1 << 20, NULL, NULL, &err), 0);
	return 0;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int
close_all(void **state)
{
	(void)state;
	sys_reset();
	end();
	dead_close(dead);
	spool_close(spool);
	loop_free(loop);
	nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	return 0;
}

/* Events of this class whose uids are the numbers from..to, as one durable group. */
static void
append_as(const char *class, unsigned from, unsigned to, size_t padding)
{
	static char bytes[100][8192];
	struct slice entries[100];
	size_t n = 0;
	uint64_t seq;
	struct err err = { 0 };

	for (unsigned i = from; i <= to; i++) {
		char id[33], uid[16], pad[8000];
		struct event e;
		struct buf b;

		event_init(&e);
		snprintf(id, sizeof(id), "%032u", i);
		snprintf(uid, sizeof(uid), "<%u>", i);
		memset(pad, 'x', sizeof(pad));
		event_set_number(&e, F_TimeGenerated, (int64_t)NOW_MS + i * 60000);
		event_set_text(&e, F_EventId, slice_of(id));
		event_set_text(&e, F_EventClass, slice_of(class));
		event_set_text(&e, F_EventOriginalUid, slice_of(uid));
		event_set_text(&e, F_EventMessage, slice_make(pad, padding));
		buf_init(&b, sizeof(bytes[0]));
		assert_int_equal(wire_put(&e, &b, &err), 0);
		memcpy(bytes[n], b.p, b.n);
		entries[n] = slice_make(bytes[n], b.n);
		buf_fini(&b);
		n++;
	}
	assert_int_equal(spool_append_group(spool, entries, n, NULL, 0, &seq, &err), 0);
	assert_int_equal(spool_sync(spool, &seq, &err), 0);
	if (sender != NULL)
		send_more(sender);
}

static void
append(unsigned from, unsigned to)
{
	append_as("alert", from, to, 1);
}

/* Time passes, and the loop sees it. */
static void
pass(uint64_t ms)
{
	clock_fake_advance(ms);
	for (int i = 0; i < 4; i++)
		loop_turn(loop, 0);
}

/* The uids of a batch in their order, "<1><2>"; and that its brackets are whole. */
static const char *
uids(const char *bytes)
{
	static char text[1024];
	size_t n = strlen(bytes), depth = 0;

	text[0] = '\0';
	assert_true(n > 2 && bytes[0] == '[' && bytes[n - 1] == ']');
	for (const char *p = bytes; *p != '\0'; p++) {
		depth += (*p == '{' || *p == '[');
		depth -= (*p == '}' || *p == ']');
		if (*p == '<')
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s", (int)strcspn(p, ">") + 1, p);
	}
	assert_int_equal(depth, 0);
	return text;
}

static bool
done(uint64_t seq)
{
	return send_done(sender, seq);
}

static int
join_uid(void *arg, const struct dead_letter *l)
{
	char *text = arg;
	const char *p = memchr(l->bytes.p, '<', l->bytes.n);

	assert_non_null(p);
	snprintf(text + strlen(text), 256 - strlen(text), "%d%.*s", l->kind, (int)(strchr(p, '>') - p) + 1, p);
	assert_true(slice_eq(l->from, SLICE("s")));
	return 0;
}

/* Kind and uid of each dead letter, "2<3>". */
static const char *
letters(void)
{
	static char text[256];
	char path[128];
	uint64_t damaged;
	struct err err;

	text[0] = '\0';
	snprintf(path, sizeof(path), "%s/dead", dir);
	assert_int_equal(dead_each(path, join_uid, text, &damaged, &err), 0);
	return text;
}

/* ---- order and cursor ------------------------------------------------------------------ */

static void
events_leave_in_order_and_framed(void **state)
{
	(void)state;
	append(1, 3);
	begin(", batch: {max_wait: 0s}");
	assert_int_equal(nputs, 1);
	assert_string_equal(uids(said[0]), "<1><2><3>");
	assert_non_null(strstr(said[0], "\"AgentId\":\"0123\""));
	assert_false(done(1));
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(3));
	assert_int_equal(progressed, 1);
}

static void
cursor_follows_the_oldest_batch(void **state)
{
	(void)state;
	append(1, 30);
	begin(", batch: {max_wait: 0s}");
	assert_int_equal(nout, 3);		/* ten a batch, three at once */
	answer(1, SINK_DELIVERED, 0);
	answer(1, SINK_DELIVERED, 0);
	assert_false(done(1));
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(30));
}

static void
no_more_batches_are_out_than_the_sink_takes(void **state)
{
	(void)state;
	append(1, 60);
	begin(", batch: {max_wait: 0s}");
	assert_int_equal(nout, 3);
	answer(2, SINK_DELIVERED, 0);
	assert_int_equal(nout, 3);
	assert_string_equal(uids(said[3]), "<31><32><33><34><35><36><37><38><39><40>");
	while (nout > 0)
		answer(0, SINK_DELIVERED, 0);
	assert_int_equal(nputs, 6);
	assert_true(done(60));
}

static void
while_all_it_takes_is_out_nothing_turns_in_vain(void **state)
{
	(void)state;
	append(1, 60);
	begin(", batch: {max_wait: 0s}");
	pass(10);
	assert_int_equal(nout, 3);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_int_equal(loop_next_timer_ms(loop), -1);
}

static void
what_is_not_acknowledged_comes_again_after_a_restart(void **state)
{
	(void)state;
	append(1, 20);
	begin(", batch: {max_wait: 0s}");
	answer(1, SINK_DELIVERED, 0);		/* the second; the first is still out */
	end();
	nputs = 0;
	begin(", batch: {max_wait: 0s}");
	assert_string_equal(uids(said[0]), "<1><2><3><4><5><6><7><8><9><10>");
	assert_int_equal(nputs, 2);
}

static void
answers_from_within_put_are_fine(void **state)
{
	(void)state;
	at_once_on = true;
	at_once = SINK_DELIVERED;
	append(1, 90);
	begin(", batch: {max_wait: 0s}");
	pass(1);
	assert_int_equal(nputs, 9);
	assert_true(done(90));
}

static void
a_sink_that_refuses_everything_from_within_put_gets_each_event_alone(void **state)
{
	(void)state;
	at_once_on = true;
	at_once = SINK_REFUSED;
	append(1, 10);
	begin(", batch: {max_wait: 0s}");
	for (int i = 0; i < 10; i++)
		pass(1);
	assert_true(done(10));
	assert_int_equal(send_set_aside(sender), 10);
	assert_string_equal(letters(), "2<1>2<2>2<3>2<4>2<5>2<6>2<7>2<8>2<9>2<10>");
}

/* ---- batches ------------------------------------------------------------------------------- */

static void
a_batch_waits_to_become_fuller_but_not_longer_than_it_is_told(void **state)
{
	(void)state;
	begin(", batch: {max_wait: 5s}");
	append(1, 2);
	pass(4000);
	append(3, 3);
	pass(999);
	assert_int_equal(nputs, 0);
	pass(1);
	assert_int_equal(nputs, 1);
	assert_string_equal(uids(said[0]), "<1><2><3>");
	append(4, 4);
	send_drain(sender);
	assert_int_equal(nputs, 2);		/* whoever leaves does not wait */
}

static void
a_batch_keeps_to_its_bytes_and_its_span_of_time(void **state)
{
	(void)state;
	span_ms = 120000;			/* a minute apart each: three of them */
	append_as("alert", 1, 7, 1);
	begin(", batch: {max_wait: 0s}");
	assert_string_equal(uids(said[0]), "<1><2><3>");
	assert_string_equal(uids(said[1]), "<4><5><6>");
	end();
	span_ms = 0;
	nputs = 0;
	begin(", batch: {max_wait: 0s, max_bytes: 1000}");
	assert_true(nputs > 1);
	for (size_t i = 0; i < nputs; i++)
		assert_true(strlen(said[i]) <= 1000);
}

/* Events whose times alternate between so many windows, one after the other. */
static void
append_alternating(unsigned n, unsigned of)
{
	for (unsigned i = 0; i < n; i++)
		append(1 + i / of + 1000 * (i % of), 1 + i / of + 1000 * (i % of));
}

static void
events_whose_times_alternate_share_batches_and_the_cursor_waits_for_all(void **state)
{
	(void)state;
	span_ms = 1800000;
	append_alternating(24, 3);		/* seq 1 to 24 */
	begin(", batch: {max_wait: 1s}");
	assert_int_equal(nputs, 0);
	pass(1000);
	assert_int_equal(nputs, 3);
	assert_string_equal(uids(said[0]), "<1><2><3><4><5><6><7><8>");
	assert_string_equal(uids(said[1]), "<1001><1002><1003><1004><1005><1006><1007><1008>");
	answer(1, SINK_DELIVERED, 0);
	assert_false(done(1));			/* the first entry is still out */
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(2));
	assert_false(done(3));
	end();
	nputs = 0;
	begin(", batch: {max_wait: 0s}");	/* as after a crash: what the third batch had comes again, and all behind it */
	while (nout > 0)
		answer(0, SINK_DELIVERED, 0);
	assert_true(done(24));
	assert_string_equal(uids(said[0]), "<2001><2002><2003><2004><2005><2006><2007><2008>");
}

static void
a_batch_of_too_much_time_is_halved_by_time(void **state)
{
	(void)state;
	span_ms = 0;
	append_alternating(10, 2);
	begin(", batch: {max_wait: 0s}");
	assert_int_equal(nputs, 1);
	played->max_span_ms = 1800000;			/* the service has just said so */
	answer(0, SINK_REFUSED, 0);
	answer(0, SINK_DELIVERED, 0);
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(10));
	assert_int_equal(nputs, 3);
	assert_string_equal(uids(said[1]), "<1><2><3><4><5>");
	assert_string_equal(uids(said[2]), "<1001><1002><1003><1004><1005>");
}

static void
more_windows_than_are_kept_open_still_deliver_everything_within_bounds(void **state)
{
	size_t n = 0;

	(void)state;
	span_ms = 1800000;
	append_alternating(60, 60);
	at_once_on = true;
	at_once = SINK_DELIVERED;
	begin(", batch: {max_wait: 600s}");
	assert_false(done(60));
	assert_int_equal(nputs, 60 - 32);	/* who waited longest for company made way */
	send_drain(sender);
	assert_true(done(60));
	for (size_t i = 0; i < nputs; i++)
		n += strlen(uids(said[i])) > 0;
	assert_int_equal(n, 60);
}

static void
an_event_larger_than_batch_max_bytes_goes_alone(void **state)
{
	(void)state;
	append(1, 3);
	append_as("alert", 4, 4, 2000);
	append(5, 6);
	begin(", batch: {max_wait: 0s, max_bytes: 1}");
	while (nout > 0)
		answer(0, SINK_DELIVERED, 0);
	assert_true(done(6));
	assert_int_equal(nputs, 6);
	assert_string_equal(uids(said[3]), "<4>");
	assert_true(strlen(said[3]) > 2000);
	assert_string_equal(letters(), "");
}

static void
what_the_settings_leave_out_is_passed_over_by_the_cursor(void **state)
{
	(void)state;
	append_as("activity", 1, 3, 1);
	append_as("volume_spike", 4, 4, 1);
	append_as("activity", 5, 6, 1);
	begin(", events: findings, batch: {max_wait: 0s}");
	assert_string_equal(uids(said[0]), "<4>");
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(6));
	append_as("activity", 7, 8, 1);
	assert_true(done(8));
	assert_int_equal(nputs, 1);
}

static void
an_event_that_is_larger_than_the_sink_takes_is_set_aside_and_its_neighbours_pass(void **state)
{
	(void)state;
	append(1, 1);
	append_as("alert", 2, 2, ROOM);
	append(3, 3);
	begin(", batch: {max_wait: 0s}");
	while (nout > 0)
		answer(0, SINK_DELIVERED, 0);
	assert_true(done(3));
	assert_string_equal(letters(), "2<2>");
	assert_int_equal(send_set_aside(sender), 1);
}

/* ---- halving --------------------------------------------------------------------------------- */

/* Answers as a far side that takes no batch with `guilty` in it, until nothing is out. */
static void
refuse(const char *guilty, enum sink_verdict verdict)
{
	for (int i = 0; i < 40 && nout > 0; i++) {
		char text[ROOM + 100];

		snprintf(text, sizeof(text), "%.*s", SLICE_ARG(buf_slice(&out[0]->bytes)));
		answer(0, strstr(text, guilty) != NULL ? verdict : SINK_DELIVERED, 0);
	}
}

static void
a_refused_batch_is_halved_down_to_the_guilty_event(void **state)
{
	(void)state;
	append(1, 10);
	begin(", batch: {max_wait: 0s}");
	refuse("<7>", SINK_REFUSED);
	assert_true(done(10));
	assert_string_equal(letters(), "2<7>");
	assert_int_equal(nputs, 7);		/* 1-10; 1-5; 6-10; 6-7; 6; 7; 8-10 */
	assert_string_equal(uids(said[1]), "<1><2><3><4><5>");
	assert_string_equal(uids(said[4]), "<6>");
	assert_string_equal(uids(said[5]), "<7>");
	assert_string_equal(uids(said[6]), "<8><9><10>");
}

static void
a_batch_that_is_too_big_is_halved_as_well(void **state)
{
	(void)state;
	append(1, 3);
	begin(", batch: {max_wait: 0s}");
	refuse("<1>", SINK_TOO_BIG);
	assert_true(done(3));
	assert_string_equal(letters(), "2<1>");
}

static void
reading_goes_on_where_it_was_after_an_event_was_read_again(void **state)
{
	(void)state;
	append(1, 25);
	begin(", batch: {max_wait: 0s}");
	refuse("<4>", SINK_REFUSED);
	assert_true(done(25));
	append(26, 28);
	refuse("<27>", SINK_REFUSED);
	assert_true(done(28));
	assert_string_equal(letters(), "2<4>2<27>");
	assert_string_equal(uids(said[nputs - 1]), "<28>");
}

static ssize_t
no_room(int fd, const void *p, size_t n, off_t at)
{
	(void)fd, (void)p, (void)n, (void)at;
	errno = ENOSPC;
	return -1;
}

static void
without_room_in_the_dead_letter_the_event_is_kept_and_offered_again(void **state)
{
	(void)state;
	append(1, 1);
	begin(", batch: {max_wait: 0s}");
	sys.pwrite = no_room;
	answer(0, SINK_REFUSED, 0);
	assert_false(done(1));
	assert_int_equal(nout, 0);
	pass(2000);
	assert_int_equal(nout, 1);
	sys_reset();
	answer(0, SINK_REFUSED, 0);
	assert_true(done(1));
	assert_string_equal(letters(), "2<1>");
}

/* A byte of the only segment, so that the group around it is damaged. */
static void
damage(const char *words)
{
	char path[128], bytes[65536];
	int fd;
	ssize_t n;
	const char *hit;

	snprintf(path, sizeof(path), "%s/spool/%020u.seg", dir, 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	n = pread(fd, bytes, sizeof(bytes), 0);
	assert_true(fd >= 0 && n > 0);
	hit = memmem(bytes, (size_t)n, words, strlen(words));
	assert_non_null(hit);
	assert_int_equal(pwrite(fd, "#", 1, hit - bytes), 1);
	close(fd);
}

static void
a_refused_event_that_is_damaged_in_the_spool_by_now_is_set_aside_as_it_was_sent(void **state)
{
	(void)state;
	append(1, 1);
	append(2, 2);
	begin(", batch: {max_wait: 0s}");
	damage("<1>");
	refuse("<1>", SINK_REFUSED);
	assert_true(done(2));
	assert_string_equal(letters(), "1<1>");
}

static void
damage_in_the_spool_does_not_delay_what_stands_behind_it(void **state)
{
	(void)state;
	append(1, 1);
	append(2, 2);
	damage("<1>");
	begin(", batch: {max_wait: 1s}");
	pass(1000);
	assert_int_equal(nputs, 1);
	assert_string_equal(uids(said[0]), "<2>");
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(2));
}

static ssize_t
unreadable(int fd, void *p, size_t n, off_t at)
{
	(void)fd, (void)p, (void)n, (void)at;
	errno = EIO;
	return -1;
}

static void
a_spool_that_cannot_be_read_just_now_is_read_again_in_a_while(void **state)
{
	(void)state;
	append(1, 2);
	sys.pread = unreadable;
	begin(", batch: {max_wait: 0s}");
	pass(5000);
	assert_int_equal(nputs, 0);
	sys_reset();
	pass(500);
	assert_int_equal(nputs, 1);
	assert_string_equal(uids(said[0]), "<1><2>");
}

/* ---- waiting ------------------------------------------------------------------------------------ */

/* How long until the next put, to the millisecond. */
static uint64_t
wait_for_put(void)
{
	size_t before = nputs;
	uint64_t ms = 0;

	while (nputs == before && ms < 1000000) {
		pass(1);
		ms++;
	}
	return ms;
}

static void
later_with_a_time_waits_exactly_so_long(void **state)
{
	(void)state;
	append(1, 2);
	begin(", batch: {max_wait: 0s}");
	answer(0, SINK_LATER, 30000);
	append(3, 4);				/* nobody else goes meanwhile */
	assert_int_equal(wait_for_put(), 30000);
	assert_string_equal(uids(said[1]), "<1><2>");
	assert_int_equal(nout, 2);
}

static void
later_without_a_time_doubles_with_jitter_from_half_a_second_to_a_minute(void **state)
{
	uint64_t first = 0, differ = 0;

	(void)state;
	append(1, 1);
	begin(", batch: {max_wait: 0s}");
	for (unsigned i = 0; i < 12; i++) {
		uint64_t most = UINT64_C(1000) << i < 60000 ? UINT64_C(1000) << i : 60000, ms;

		answer(0, SINK_LATER, 0);
		ms = wait_for_put();
		assert_in_range(ms, most / 2, most);
		if (most == 60000) {
			differ += first != 0 && ms != first;
			first = ms;
		}
	}
	assert_true(differ > 0);		/* 1 in 10^18 that all are equal */
	answer(0, SINK_DELIVERED, 0);
	append(2, 2);
	answer(0, SINK_LATER, 0);
	assert_in_range(wait_for_put(), 500, 1000);	/* success begins anew */
}

static void
of_two_waits_the_later_one_counts(void **state)
{
	(void)state;
	append(1, 20);
	begin(", batch: {max_wait: 0s}");
	assert_int_equal(nout, 2);
	answer(0, SINK_LATER, 30000);
	answer(0, SINK_LATER, 1000);
	assert_int_equal(wait_for_put(), 30000);
	assert_int_equal(nout, 2);
}

static void
a_held_sink_knocks_each_1_to_5_minutes_and_keeps_everything(void **state)
{
	(void)state;
	append(1, 3);
	begin(", batch: {max_wait: 0s}");
	for (unsigned i = 0; i < 8; i++) {
		answer(0, SINK_HELD, 0);
		assert_in_range(wait_for_put(), 60000, 300000);
	}
	assert_false(done(1));
	answer(0, SINK_DELIVERED, 0);
	assert_true(done(3));
	assert_string_equal(letters(), "");
}

static void
closing_with_batches_out_and_events_waiting_is_fine(void **state)
{
	(void)state;
	append(1, 60);
	begin(", batch: {max_wait: 0s}");
	answer(0, SINK_LATER, 1000);
	assert_int_equal(nout, 2);
}

#define T(f)	cmocka_unit_test_setup_teardown(f, open_all, close_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(events_leave_in_order_and_framed),
		T(cursor_follows_the_oldest_batch),
		T(no_more_batches_are_out_than_the_sink_takes),
		T(while_all_it_takes_is_out_nothing_turns_in_vain),
		T(what_is_not_acknowledged_comes_again_after_a_restart),
		T(answers_from_within_put_are_fine),
		T(a_sink_that_refuses_everything_from_within_put_gets_each_event_alone),
		T(a_batch_waits_to_become_fuller_but_not_longer_than_it_is_told),
		T(a_batch_keeps_to_its_bytes_and_its_span_of_time),
		T(events_whose_times_alternate_share_batches_and_the_cursor_waits_for_all),
		T(a_batch_of_too_much_time_is_halved_by_time),
		T(more_windows_than_are_kept_open_still_deliver_everything_within_bounds),
		T(an_event_larger_than_batch_max_bytes_goes_alone),
		T(what_the_settings_leave_out_is_passed_over_by_the_cursor),
		T(an_event_that_is_larger_than_the_sink_takes_is_set_aside_and_its_neighbours_pass),
		T(a_refused_batch_is_halved_down_to_the_guilty_event),
		T(a_batch_that_is_too_big_is_halved_as_well),
		T(reading_goes_on_where_it_was_after_an_event_was_read_again),
		T(without_room_in_the_dead_letter_the_event_is_kept_and_offered_again),
		T(a_refused_event_that_is_damaged_in_the_spool_by_now_is_set_aside_as_it_was_sent),
		T(damage_in_the_spool_does_not_delay_what_stands_behind_it),
		T(a_spool_that_cannot_be_read_just_now_is_read_again_in_a_while),
		T(later_with_a_time_waits_exactly_so_long),
		T(later_without_a_time_doubles_with_jitter_from_half_a_second_to_a_minute),
		T(of_two_waits_the_later_one_counts),
		T(a_held_sink_knocks_each_1_to_5_minutes_and_keeps_everything),
		T(closing_with_batches_out_and_events_waiting_is_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
