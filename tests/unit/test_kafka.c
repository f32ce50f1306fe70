/* test_kafka.c - source and sink `kafka` against librdkafka's own cluster in memory. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/loop.h"
#include "base/stat.h"
#include "net/kafka_client.h"
#include "sinks/batch.h"
#include "sinks/sink.h"
#include "source/source.h"

#define AGENT	"0123456789abcdef0123456789abcdef"
#define PARTS	4
#define PATIENCE_MS	60000	/* a busy machine is slow */

struct rig {
	rd_kafka_t		*host, *producer;
	rd_kafka_mock_cluster_t	*cluster;
	struct loop		*loop;
	struct stat_block	*stats;
	struct conf		*conf;
	/* source */
	struct source		 source;
	bool			 open;
	struct buf		 got;
	size_t			 n, room;
	struct position		 places[64], unsafe[64];
	size_t			 nplaces, nunsafe;
	bool			 keep_unsafe;
	size_t			 troubles;
	char			 trouble[320];
	/* sink */
	struct sink		 sink;
	size_t			 answers;
	enum sink_verdict	 verdict[16];
	char			 why[320];
	size_t			 warnings;
	char			 warning[400];
	uint64_t		 spool_end;	/* what event_id() knows */
	const char		*other_id;	/* what it says instead of the right one */
};

static struct rig *rig;

/* ---- in the place of intake -------------------------------------------------------- */

static void
keep(struct position *v, size_t *n, const struct position *at)
{
	size_t i = 0;

	while (i < *n && v[i].stream != at->stream)
		i++;
	assert_true(i < 64);
	v[i] = *at;
	if (i == *n)
		++*n;
}

static bool
take(struct source *s, const struct record *r, const struct position *after)
{
	struct rig *g = s->owner;

	if (g->room == 0)
		return false;
	if (r != NULL) {
		g->room--;
		g->n++;
		assert_false(r->padded);
		buf_put_slice(&g->got, r->bytes);
		buf_putc(&g->got, '\n');
	}
	keep(g->unsafe, &g->nunsafe, after);
	return true;
}

/* A group commit: everything taken is durable now. */
static void
make_safe(struct rig *g)
{
	for (size_t i = 0; i < g->nunsafe; i++) {
		keep(g->places, &g->nplaces, &g->unsafe[i]);
		g->source.kind->safe(&g->source, &g->unsafe[i]);
	}
	g->nunsafe = 0;
}

static void
idle(struct source *s)
{
	struct rig *g = s->owner;

	if (!g->keep_unsafe)
		make_safe(g);
}

static void
say_line(struct source *s, bool trouble, const char *text)
{
	struct rig *g = s->owner;

	if (trouble) {
		g->troubles++;
		snprintf(g->trouble, sizeof(g->trouble), "%s", text);
	}
}

/* ---- steps -------------------------------------------------------------------------- */

static struct conf *
read_conf(const struct conf_key *keys, const char *more)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	char yaml[2048];

	snprintf(yaml, sizeof(yaml), "brokers: \"%s\"\n%s", rd_kafka_mock_cluster_bootstraps(rig->cluster), more);
	problems_init(&problems);
	if (conf_load_text("t.yaml", slice_of(yaml), keys, &conf, &problems, &err) != 0)
		fail_msg("%s", problems.n > 0 ? problems.v[0].text : err.text);
	problems_fini(&problems);
	return conf;
}

static void
source_init(const char *more, bool once, int start)
{
	rig->conf = read_conf(source_kind_kafka.keys, more);
	rig->source = (struct source){
		.kind = &source_kind_kafka, .name = "hub", .loop = rig->loop, .stats = rig->stats, .once = once,
		.agent_id = AGENT, .start = (unsigned)start, .take = take, .say_line = say_line, .idle = idle, .owner = rig,
	};
	rig->open = true;
}

static void
source_begin_in(const char *group, bool once, int start)
{
	struct err err = { 0 };
	char more[256];

	snprintf(more, sizeof(more), "topics: [logs]\ngroup: %s\n"
	    "options: {session.timeout.ms: \"3500\", heartbeat.interval.ms: \"200\"}\n", group);
	source_init(more, once, start);
	if (source_kind_kafka.open(&rig->source, rig->conf, &err) != 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < rig->nplaces; i++)
		assert_int_equal(source_kind_kafka.restore(&rig->source, &rig->places[i], &err), 0);
	assert_int_equal(source_kind_kafka.start(&rig->source, &err), 0);
}

static void
source_begin(bool once, int start)
{
	source_begin_in("one", once, start);
}

/* The group knows nothing, so what is read from is our own position. */
static void
source_begin_anew(bool once, int start)
{
	source_begin_in("two", once, start);
}

static void
source_end(void)
{
	if (!rig->open)
		return;
	source_kind_kafka.close(&rig->source);
	conf_free(rig->conf);
	rig->conf = NULL;
	rig->open = false;
	rig->nunsafe = 0;
}

static void
turn_ms(uint64_t ms)
{
	uint64_t until_ms = clock_mono_ms() + ms;

	while (clock_mono_ms() < until_ms)
		loop_turn(rig->loop, 10);
}

static void
wait_for(size_t n)
{
	for (uint64_t until_ms = clock_mono_ms() + PATIENCE_MS; rig->n < n && clock_mono_ms() < until_ms;)
		loop_turn(rig->loop, 10);
	turn_ms(50);
	assert_int_equal(rig->n, n);
}

static void
send_one(int partition, const char *text)
{
	void *payload = (void *)(uintptr_t)text;
	size_t n = text != NULL ? strlen(text) : 0;

	assert_int_equal(rd_kafka_producev(rig->producer, RD_KAFKA_V_TOPIC("logs"), RD_KAFKA_V_PARTITION(partition),
	    RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
	    RD_KAFKA_V_VALUE(payload, n), RD_KAFKA_V_END), 0);
}

static void
send_lines(size_t n, const char *prefix)
{
	char line[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%s%zu", prefix, i);
		send_one((int)(i % PARTS), line);
	}
	assert_int_equal(rd_kafka_flush(rig->producer, 10000), 0);
}

static size_t
count_of(const char *line)
{
	char whole[80];
	size_t n = 0;
	const char *at = rig->got.p, *end = rig->got.p + rig->got.n;

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (rig->got.n > strlen(line) && memcmp(at, whole + 1, strlen(line) + 1) == 0)
		n++;
	while (at != NULL && (at = memmem(at, (size_t)(end - at), whole, strlen(whole))) != NULL) {
		n++;
		at++;
	}
	return n;
}

static void
assert_each_once(size_t n, const char *prefix)
{
	char line[64];

	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%s%zu", prefix, i);
		assert_int_equal(count_of(line), 1);
	}
}

static int
set_up(void **state)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	struct err err = { 0 };
	char why[256];

	(void)state;
	rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why));
	rig->host = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	rig->cluster = rd_kafka_mock_cluster_new(rig->host, 1);
	assert_non_null(rig->cluster);
	rd_kafka_mock_topic_create(rig->cluster, "logs", PARTS, 1);
	rd_kafka_mock_topic_create(rig->cluster, "events", PARTS, 1);
	conf = rd_kafka_conf_new();
	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(rig->cluster), why, sizeof(why));
	rd_kafka_conf_set(conf, "log_level", "0", why, sizeof(why));
	rd_kafka_conf_set(conf, "linger.ms", "1", why, sizeof(why));
	rig->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	rig->loop = loop_new(&err);
	rig->stats = stat_make(STAT_SOURCE, "hub", "kafka");
	rig->room = SIZE_MAX;
	buf_init(&rig->got, 64 << 20);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	source_end();
	if (rig->sink.kind != NULL) {
		sink_kind_kafka.close(&rig->sink);
		conf_free(rig->conf);
	}
	rd_kafka_destroy(rig->producer);
	rd_kafka_mock_cluster_destroy(rig->cluster);
	rd_kafka_destroy(rig->host);
	loop_free(rig->loop);
	stat_drop(rig->stats);
	buf_fini(&rig->got);
	free(rig);
	return 0;
}

/* ---- settings ------------------------------------------------------------------------ */

static void
assert_refused(const char *more, const char *why)
{
	struct err err = { 0 };

	source_init(more, false, START_EARLIEST);
	assert_int_equal(source_kind_kafka.open(&rig->source, rig->conf, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.text, why);
	source_end();
}

static void
options_that_are_our_business_or_unknown_are_refused_by_name(void **state)
{
	(void)state;
	assert_refused("topics: [logs]\noptions: {enable.auto.commit: \"true\"}\n", "enable.auto.commit");
	assert_refused("topics: [logs]\noptions: {group.instance.id: x}\n", "group.instance.id");
	assert_refused("topics: [logs]\noptions: {auto.offset.reset: latest}\n", "`start`");
	assert_refused("topics: [logs]\noptions: {bootstrap.servers: x}\n", "`brokers`");
	assert_refused("topics: [logs]\noptions: {no.such.thing: x}\n", "no.such.thing");
	assert_refused("topics: [logs]\noptions: {security.protocol: SASL_SSL, sasl.mechanism: OAUTHBEARER}\n", "`auth`");
}

int	__real_rd_kafka_version(void), __wrap_rd_kafka_version(void);
static int other_version;

int
__wrap_rd_kafka_version(void)
{
	return other_version != 0 ? other_version : __real_rd_kafka_version();
}

static void
a_librdkafka_that_cannot_do_it_is_named_at_start(void **state)
{
	(void)state;
	other_version = 0x010502ff;
	assert_refused("topics: [logs]\n", "1.6.0 or later is needed");
	other_version = 0x020600ff;		/* no tokens to Event Hubs with this one, all else works */
	assert_refused("topics: [logs]\nauth: {type: managed_identity}\noptions: {security.protocol: SASL_SSL}\n", "fixed in 2.6.1");
	source_begin(false, START_EARLIEST);
	source_end();
	other_version = 0;
}

static void
a_refused_value_is_not_repeated(void **state)
{
	struct err err = { 0 };

	(void)state;
	source_init("topics: [logs]\noptions: {session.timeout.ms: hunter2}\n", false, START_EARLIEST);
	assert_int_equal(source_kind_kafka.open(&rig->source, rig->conf, &err), -1);
	assert_null(strstr(err.text, "hunter2"));
	assert_non_null(strstr(err.text, "session.timeout.ms"));
}

/* ---- source ---------------------------------------------------------------------------- */

static void
messages_of_all_partitions_are_read(void **state)
{
	(void)state;
	send_lines(400, "m");
	source_begin(false, START_EARLIEST);
	wait_for(400);
	assert_each_once(400, "m");
	send_lines(40, "late");
	wait_for(440);
	turn_ms(1100);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_STREAMS), PARTS);
	assert_int_equal(stat_get(rig->stats, STAT_SOURCE_LAG_RECORDS), 0);
}

static void
a_restart_goes_on_where_the_spool_stood(void **state)
{
	(void)state;
	send_lines(400, "m");
	source_begin(false, START_EARLIEST);
	wait_for(400);
	source_end();
	send_lines(40, "late");
	source_begin_anew(false, START_EARLIEST);
	wait_for(440);
	assert_each_once(400, "m");
	assert_each_once(40, "late");
}

static void
without_a_saved_position_the_committed_offset_holds(void **state)
{
	(void)state;
	send_lines(40, "m");
	source_begin(false, START_EARLIEST);
	wait_for(40);
	source_end();
	rig->nplaces = 0;
	send_lines(40, "late");
	source_begin(false, START_EARLIEST);
	wait_for(80);
	assert_each_once(40, "late");
}

static void
what_was_never_safe_is_not_committed(void **state)
{
	(void)state;
	rig->keep_unsafe = true;
	send_lines(40, "m");
	source_begin(false, START_EARLIEST);
	wait_for(40);
	turn_ms(1200);
	source_end();
	rig->nplaces = 0;
	source_begin(false, START_EARLIEST);
	wait_for(80);
}

static void
a_refused_message_comes_again_and_nothing_is_lost_or_doubled(void **state)
{
	(void)state;
	rig->room = 100;
	send_lines(400, "m");
	source_begin(false, START_EARLIEST);
	wait_for(100);
	turn_ms(500);
	send_lines(40, "late");
	for (int i = 0; i < 5; i++) {
		turn_ms(50);
		rig->room = 7;
		source_kind_kafka.resume(&rig->source);
		turn_ms(150);
	}
	assert_true(rig->n <= 135);
	rig->room = SIZE_MAX;
	source_kind_kafka.resume(&rig->source);
	wait_for(440);
	assert_each_once(400, "m");
	assert_each_once(40, "late");
}

static void
start_latest_reads_only_what_comes_even_after_a_restart(void **state)
{
	(void)state;
	send_lines(40, "old");
	source_begin(false, START_LATEST);
	for (int i = 0; i < 6000 && rig->nplaces < PARTS; i++)
		loop_turn(rig->loop, 10);
	assert_int_equal(rig->nplaces, PARTS);
	source_end();
	send_lines(40, "new");
	source_begin_anew(false, START_LATEST);
	wait_for(40);
	assert_each_once(40, "new");
}

static void
an_empty_message_moves_the_place_without_a_record(void **state)
{
	(void)state;
	send_one(0, "one");
	send_one(0, NULL);
	rd_kafka_flush(rig->producer, 5000);
	source_begin(false, START_EARLIEST);
	wait_for(1);
	turn_ms(100);
	assert_int_equal(rig->nplaces, 1);
	assert_int_equal(get_le64(rig->places[0].bytes + 8), 2);
}

static void
once_is_drained_when_all_partitions_are_read_to_their_end(void **state)
{
	(void)state;
	send_lines(101, "m");
	source_begin(true, START_EARLIEST);
	assert_false(source_kind_kafka.drained(&rig->source));
	for (int i = 0; i < 6000 && !source_kind_kafka.drained(&rig->source); i++)
		loop_turn(rig->loop, 10);
	assert_true(source_kind_kafka.drained(&rig->source));
	assert_int_equal(rig->n, 101);
	source_end();
	source_begin_anew(true, START_EARLIEST);
	for (int i = 0; i < 6000 && !source_kind_kafka.drained(&rig->source); i++)
		loop_turn(rig->loop, 10);
	assert_true(source_kind_kafka.drained(&rig->source));
	assert_int_equal(rig->n, 101);
}

static void
a_committed_offset_past_our_own_place_is_not_put_back(void **state)
{
	(void)state;
	send_lines(40, "m");
	source_begin(false, START_EARLIEST);
	wait_for(40);
	source_end();
	for (size_t i = 0; i < rig->nplaces; i++)
		put_le64(rig->places[i].bytes + 8, 3);	/* as if another agent had read on */
	send_lines(4, "new");
	source_begin(false, START_EARLIEST);
	wait_for(44);
	assert_each_once(40, "m");
}

static void
brokers_that_cannot_be_reached_are_named(void **state)
{
	(void)state;
	rd_kafka_mock_broker_set_down(rig->cluster, 1);
	source_begin(false, START_EARLIEST);
	for (int i = 0; i < 6000 && rig->troubles == 0; i++)
		loop_turn(rig->loop, 10);
	assert_true(rig->troubles > 0);
	assert_non_null(strstr(rig->trouble, "kafka"));
	rd_kafka_mock_broker_set_up(rig->cluster, 1);
	send_lines(4, "m");
	wait_for(4);
}

/* ---- sink -------------------------------------------------------------------------------- */

static void
answer(struct sink *s, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms, const struct err *why)
{
	struct rig *g = s->owner;

	(void)b;
	(void)wait_ms;
	if (why != NULL)
		snprintf(g->why, sizeof(g->why), "%s", why->text);
	g->verdict[g->answers++ % 16] = verdict;
}

static void
say(struct sink *s, const char *text)
{
	struct rig *g = s->owner;

	g->warnings++;
	snprintf(g->warning, sizeof(g->warning), "%s", text);
}

static int
event_id(struct sink *s, uint64_t seq, char ret[33])
{
	struct rig *g = s->owner;

	if (seq > g->spool_end)
		return 0;
	if (g->other_id != NULL)
		snprintf(ret, 33, "%s", g->other_id);
	else
		snprintf(ret, 33, "%032zx", (size_t)seq);
	return 1;
}

static int
try_sink(const char *more, struct err *err)
{
	rig->conf = read_conf(sink_kind_kafka.keys, more);
	rig->sink = (struct sink){ .kind = &sink_kind_kafka, .name = "bus", .agent_id = AGENT, .loop = rig->loop,
		.stats = rig->stats, .owner = rig, .answer = answer, .say = say, .event_id = event_id };
	return sink_kind_kafka.open(&rig->sink, rig->conf, err);
}

static void
sink_begin(const char *more)
{
	struct err err = { 0 };

	if (try_sink(more, &err) != 0)
		fail_msg("%s", err.text);
}

static void
batch_fill(struct batch *b, size_t n, uint64_t first, size_t big)
{
	memset(b, 0, sizeof(*b));
	buf_init(&b->bytes, 4 << 20);
	b->v = calloc(n, sizeof(*b->v));
	b->n = b->cap = n;
	for (size_t i = 0; i < n; i++) {
		struct batch_entry *e = &b->v[i];

		if (i > 0)
			buf_putc(&b->bytes, '\n');
		e->at = (uint32_t)b->bytes.n;
		buf_printf(&b->bytes, "{\"n\":%zu}", (size_t)first + i);
		for (size_t k = 0; i == n / 2 && k < big; k++)
			buf_putc(&b->bytes, ' ');
		e->n = (uint32_t)b->bytes.n - e->at;
		e->seq = first + i;
		e->key = i % 5;
		snprintf(e->id, sizeof(e->id), "%032zx", (size_t)first + i);
	}
}

static void
batch_fini(struct batch *b)
{
	buf_fini(&b->bytes);
	free(b->v);
}

static void
wait_answers(size_t n)
{
	for (int i = 0; i < 6000 && rig->answers < n; i++)
		loop_turn(rig->loop, 10);
	assert_int_equal(rig->answers, n);
}

struct far {			/* what is in the topic */
	size_t	n;
	bool	ordered, identified;
};

static struct far
read_topic(size_t want)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTS);
	struct far far = { 0, true, true };
	long last_of_key[5] = { -1, -1, -1, -1, -1 };
	char why[256];
	rd_kafka_t *rk;

	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(rig->cluster), why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", "judge", why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	rd_kafka_poll_set_consumer(rk);
	for (int i = 0; i < PARTS; i++)
		rd_kafka_topic_partition_list_add(list, "events", i)->offset = RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	for (uint64_t until_ms = clock_mono_ms() + PATIENCE_MS, end_ms = until_ms; clock_mono_ms() < end_ms;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 50);

		if (want == 0 && end_ms == until_ms)
			end_ms = clock_mono_ms() + 500;

		if (m == NULL)
			continue;
		if (m->err == 0) {
			rd_kafka_headers_t *headers;
			const void *id = NULL;
			size_t id_n = 0;
			long n = strtol((const char *)m->payload + 5, NULL, 10), key;

			key = m->key_len == 16 ? ((const char *)m->key)[15] - '0' : 99;
			far.n++;
			if (key < 0 || key > 4 || n <= last_of_key[key])
				far.ordered = false;
			else
				last_of_key[key] = n;
			if (rd_kafka_message_headers(m, &headers) != 0 ||
			    rd_kafka_header_get_last(headers, "EventId", &id, &id_n) != 0 || id_n != 32 ||
			    strtol((const char *)id, NULL, 16) != n)
				far.identified = false;
		}
		rd_kafka_message_destroy(m);
		if (far.n >= want && end_ms == until_ms)
			end_ms = clock_mono_ms() + 200;		/* and not one more */
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return far;
}

static void
a_batch_is_answered_when_each_message_is_acknowledged(void **state)
{
	struct batch a, b;
	struct far far;

	(void)state;
	sink_begin("topic: events\n");
	batch_fill(&a, 500, 1, 0);
	batch_fill(&b, 500, 501, 0);
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(1);
	sink_kind_kafka.put(&rig->sink, &b);
	wait_answers(2);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	far = read_topic(1000);
	assert_int_equal(far.n, 1000);
	assert_true(far.ordered);
	assert_true(far.identified);
	batch_fini(&a);
	batch_fini(&b);
}

static void
an_event_past_the_limit_is_refused_before_anything_is_sent(void **state)
{
	struct batch a;

	(void)state;
	sink_begin("topic: events\noptions: {message.max.bytes: \"20000\"}\n");
	batch_fill(&a, 10, 1, 30000);
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(1);
	assert_int_equal(rig->verdict[0], SINK_REFUSED);
	assert_non_null(strstr(rig->why, "message.max.bytes"));
	assert_int_equal(read_topic(0).n, 0);
	batch_fini(&a);
}

static void
an_event_that_the_broker_finds_too_large_is_cut_out_and_no_other_comes_twice(void **state)
{
	struct batch a, half;
	size_t known = 0;

	(void)state;
	sink_begin("topic: events\nexactly_once: false\noptions: {batch.num.messages: \"1\"}\n");
	batch_fill(&a, 6, 1, 0);
	rd_kafka_mock_push_request_errors(rig->cluster, 0, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(1);
	assert_int_equal(rig->verdict[0], SINK_TOO_BIG);
	/* The policy comes back with halves; here all of them are fine. */
	half = a;
	half.n = 3;
	sink_kind_kafka.put(&rig->sink, &half);
	wait_answers(2);
	half.v = a.v + 3;
	sink_kind_kafka.put(&rig->sink, &half);
	wait_answers(3);
	for (size_t i = 1; i < 3; i++)
		known += rig->verdict[i] == SINK_DELIVERED;
	assert_int_equal(known, 2);
	assert_int_equal(read_topic(6).n, 6);
	batch_fini(&a);
}

static void
a_broker_that_comes_back_gets_everything_once_and_in_order(void **state)
{
	struct batch a;
	struct far far;

	(void)state;
	sink_begin("topic: events\n");
	batch_fill(&a, 300, 1, 0);
	rd_kafka_mock_broker_set_down(rig->cluster, 1);
	sink_kind_kafka.put(&rig->sink, &a);
	turn_ms(1500);
	assert_int_equal(rig->answers, 0);
	rd_kafka_mock_broker_set_up(rig->cluster, 1);
	wait_answers(1);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	far = read_topic(300);
	assert_int_equal(far.n, 300);
	assert_true(far.ordered);
	batch_fini(&a);
}

static void
a_broker_that_stays_away_gives_the_batch_back_with_a_reason(void **state)
{
	struct batch a;

	(void)state;
	sink_begin("topic: events\n");
	batch_fill(&a, 30, 1, 0);
	rd_kafka_mock_broker_set_down(rig->cluster, 1);
	clock_fake(clock_wall_ms());
	sink_kind_kafka.put(&rig->sink, &a);
	for (int i = 0; i < 300 && rig->answers == 0; i++) {
		loop_turn(rig->loop, 10);
		usleep(10000);
		clock_fake_advance(500);
	}
	assert_int_equal(rig->answers, 1);
	assert_int_equal(rig->verdict[0], SINK_LATER);
	assert_non_null(strstr(rig->why, "kafka"));
	rd_kafka_mock_broker_set_up(rig->cluster, 1);
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	batch_fini(&a);
}

static void
a_missing_right_holds_the_sink(void **state)
{
	struct batch a;

	(void)state;
	sink_begin("topic: events\n");
	batch_fill(&a, 3, 1, 0);
	rd_kafka_mock_push_request_errors(rig->cluster, 0, 1, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "grant"));
	sink_kind_kafka.put(&rig->sink, &a);
	wait_answers(2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	batch_fini(&a);
}

static void
give(struct batch *b, size_t answers)
{
	sink_kind_kafka.put(&rig->sink, b);
	wait_answers(answers);
}

#define FIND_COORDINATOR	10
#define INIT_PRODUCER_ID	22
#define END_TXN			26

static void
push_errors(int16_t key, rd_kafka_resp_err_t code, size_t n)
{
	for (size_t i = 0; i < n; i++)
		rd_kafka_mock_push_request_errors(rig->cluster, key, 1, code);
}

/* Before 1.8.2 the sink does not use them. */
static void
needs_transactions(void)
{
	if (rd_kafka_version() < 0x01080200)
		skip();
}

/* What Event Hubs Standard does: it refuses to name a coordinator of transactions. */
static void
an_explicit_refusal_of_transactions_is_said_and_idempotence_goes_on(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\n");
	batch_fill(&a, 100, 1, 0);
	push_errors(FIND_COORDINATOR, RD_KAFKA_RESP_ERR_INVALID_REQUEST, 50);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	assert_int_equal(rig->warnings, 1);
	assert_non_null(strstr(rig->warning, "no transactions"));
	assert_non_null(strstr(rig->warning, "idempotent"));
	rd_kafka_mock_clear_request_errors(rig->cluster, FIND_COORDINATOR);
	assert_int_equal(read_topic(100).n, 100);
	batch_fini(&a);
}

static void
a_broker_without_idempotence_gets_acks_all_one_at_a_time(void **state)
{
	struct batch a;

	(void)state;
	sink_begin("topic: events\nexactly_once: false\n");
	batch_fill(&a, 100, 1, 0);
	push_errors(INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, 50);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	assert_int_equal(rig->warnings, 1);
	assert_non_null(strstr(rig->warning, "no idempotent producers"));
	assert_non_null(strstr(rig->warning, "acks=all"));
	assert_int_equal(read_topic(100).n, 100);
	batch_fini(&a);
}

static void
auto_goes_down_step_by_step_and_says_each(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\n");
	batch_fill(&a, 100, 1, 0);
	push_errors(INIT_PRODUCER_ID, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, 100);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	assert_int_equal(rig->warnings, 2);
	assert_non_null(strstr(rig->warning, "no idempotent producers"));
	batch_fini(&a);
}

static void
exactly_once_true_is_held_where_there_are_no_transactions(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\nexactly_once: true\n");
	batch_fill(&a, 3, 1, 0);
	push_errors(FIND_COORDINATOR, RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, 50);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "exactly_once: auto"));
	assert_int_equal(rig->warnings, 0);
	rd_kafka_mock_clear_request_errors(rig->cluster, FIND_COORDINATOR);
	assert_int_equal(read_topic(0).n, 0);
	give(&a, 2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	batch_fini(&a);
}

static void
a_coordinator_that_does_not_come_is_no_refusal(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\n");
	batch_fill(&a, 3, 1, 0);
	push_errors(FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 400);
	clock_fake(clock_wall_ms());
	sink_kind_kafka.put(&rig->sink, &a);
	for (int i = 0; i < 400 && rig->answers == 0; i++) {
		loop_turn(rig->loop, 10);
		usleep(10000);
		clock_fake_advance(200);
	}
	assert_int_equal(rig->answers, 1);
	assert_int_equal(rig->verdict[0], SINK_LATER);
	assert_non_null(strstr(rig->why, "exactly_once: false"));
	assert_int_equal(rig->warnings, 0);
	rd_kafka_mock_clear_request_errors(rig->cluster, FIND_COORDINATOR);
	give(&a, 2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	assert_int_equal(rig->warnings, 0);
	batch_fini(&a);
}

static void
a_fenced_producer_is_held_and_looks_before_it_begins_again(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\n");
	batch_fill(&a, 3, 1, 0);
	push_errors(END_TXN, RD_KAFKA_RESP_ERR_PRODUCER_FENCED, 1);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "second copy"));
	give(&a, 2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	batch_fini(&a);
}

static void
a_transaction_that_must_be_undone_comes_again(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	sink_begin("topic: events\n");
	batch_fill(&a, 3, 1, 0);
	push_errors(END_TXN, RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, 1);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_LATER);
	give(&a, 2);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	batch_fini(&a);
}

/* ---- where the spool is in Kafka ---------------------------------------------------------- */

static void
commit_place(int64_t next, const char *id)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_t *tp = rd_kafka_topic_partition_list_add(list, "events", 0);
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[256];
	rd_kafka_t *rk;

	tp->offset = next;
	tp->metadata = strdup(id);
	tp->metadata_size = strlen(id);
	rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(rig->cluster), why, sizeof(why));
	rd_kafka_conf_set(conf, "group.id", "aispm-agent-" AGENT "-bus", why, sizeof(why));
	rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	assert_int_equal(rd_kafka_commit(rk, list, 0), 0);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
}

static void
what_the_committed_position_covers_is_not_sent_again(void **state)
{
	struct batch a, b;

	(void)state;
	needs_transactions();
	commit_place(61, "0000000000000000000000000000003c");
	rig->spool_end = 100;
	sink_begin("topic: events\n");
	batch_fill(&a, 50, 1, 0);
	batch_fill(&b, 50, 51, 0);
	give(&a, 1);
	give(&b, 2);
	assert_int_equal(rig->verdict[0], SINK_DELIVERED);
	assert_int_equal(rig->verdict[1], SINK_DELIVERED);
	assert_int_equal(read_topic(40).n, 40);
	batch_fini(&a);
	batch_fini(&b);
}

static void
a_position_of_another_s_events_holds_the_sink(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	commit_place(61, "0000000000000000000000000000003c");
	rig->spool_end = 100;
	rig->other_id = "ffffffffffffffffffffffffffffffff";
	sink_begin("topic: events\n");
	batch_fill(&a, 100, 1, 0);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "another event stands there"));
	give(&a, 2);
	assert_int_equal(rig->verdict[1], SINK_HELD);
	assert_int_equal(read_topic(0).n, 0);
	batch_fini(&a);
}

static void
a_position_past_the_spool_s_end_holds_the_sink(void **state)
{
	struct batch a;

	(void)state;
	needs_transactions();
	commit_place(161, "000000000000000000000000000000a0");
	rig->spool_end = 100;
	sink_begin("topic: events\n");
	batch_fill(&a, 100, 1, 0);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "ends before it"));
	batch_fini(&a);
}

/* ---- security settings ---------------------------------------------------------------------- */

static void
assert_security_refused(const char *more, const char *why)
{
	struct problems problems;
	struct conf *conf = NULL;
	struct err err = { 0 };
	struct sink sink = { .kind = &sink_kind_kafka, .name = "bus", .agent_id = AGENT, .loop = rig->loop, .owner = rig, .say = say };

	problems_init(&problems);
	if (conf_load_text("t.yaml", slice_of(more), sink_kind_kafka.keys, &conf, &problems, &err) != 0)
		fail_msg("%s", problems.n > 0 ? problems.v[0].text : err.text);
	problems_fini(&problems);
	assert_int_equal(sink_kind_kafka.open(&sink, conf, &err), -1);
	if (strstr(err.text, why) == NULL)
		fail_msg("\"%s\" lacks \"%s\"", err.text, why);
	sink_kind_kafka.close(&sink);
	conf_free(conf);
}

static void
what_would_weaken_tls_or_show_a_secret_is_refused(void **state)
{
	(void)state;
	assert_security_refused("brokers: b\ntopic: t\noptions: {enable.ssl.certificate.verification: \"false\"}\n", "always verified");
	assert_security_refused("brokers: b\ntopic: t\noptions: {ssl.endpoint.identification.algorithm: none}\n", "always verified");
	assert_security_refused("brokers: b\ntopic: t\npassword: {env: X}\n", "sasl.username is missing");
	assert_security_refused("brokers: b\ntopic: t\npassword: {env: X}\noptions: {security.protocol: SSL, sasl.username: u}\n", "SASL_SSL");
	assert_security_refused("brokers: \"127.0.0.1:1, b:9092\"\ntopic: t\npassword: {env: X}\n"
	    "options: {security.protocol: SASL_PLAINTEXT, sasl.username: u}\n", "in the clear");
	assert_security_refused("brokers: b\ntopic: t\noptions: {security.protocol: SASL_SSL, sasl.mechanism: SCRAM-SHA-512, "
	    "sasl.username: u}\n", "password: is missing");
	assert_security_refused("brokers: b\ntopic: t\nauth: {type: managed_identity}\npassword: {env: X}\n", "not both");
	assert_security_refused("brokers: \"kafka.example.net:9093\"\ntopic: t\nauth: {type: managed_identity}\n", "servicebus.windows.net");
	assert_security_refused("brokers: \"ns.servicebus.windows.net:9093\"\ntopic: t\nauth: {type: managed_identity, cloud: usgov}\n",
	    "servicebus.usgovcloudapi.net");
	assert_security_refused("brokers: b\ntopic: t\nauth: {type: managed_identity}\noptions: {sasl.mechanism: PLAIN}\n", "OAUTHBEARER");
}

static void
a_secret_among_the_options_works_with_a_warning_that_does_not_show_it(void **state)
{
	(void)state;
	sink_begin("topic: events\noptions: {security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, sasl.username: u, "
	    "sasl.password: hunter2}\n");
	assert_int_equal(rig->warnings, 1);
	assert_non_null(strstr(rig->warning, "sasl.password"));
	assert_null(strstr(rig->warning, "hunter2"));
}

static void
what_event_hubs_says_is_put_into_words(void **state)
{
	static const struct { rd_kafka_resp_err_t code; const char *said, *advice; enum err_kind kind; } rows[] = {
		{ RD_KAFKA_RESP_ERR__AUTHENTICATION, "SASL authentication error: Invalid tenant name 'x'", "no alias", ERR_DENIED },
		{ RD_KAFKA_RESP_ERR__AUTHENTICATION, "Unauthorized access. 'Send' claim(s) are required", "Data Sender", ERR_DENIED },
		{ RD_KAFKA_RESP_ERR__AUTHENTICATION, "whatever", "check user", ERR_DENIED },
		{ RD_KAFKA_RESP_ERR__TRANSPORT, "SSL alert bad certificate", "tls.cert_file", ERR_CONFIG },
		{ RD_KAFKA_RESP_ERR__TRANSPORT, "Connection reset", "security.protocol", ERR_AGAIN },
		{ RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, NULL, "second copy", ERR_CONFIG },
		{ RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, NULL, "max.message.bytes", ERR_DATA },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { 0 };

		kafka_client_explain(rows[i].code, rows[i].said, &err);
		assert_int_equal(err.kind, rows[i].kind);
		if (strstr(err.text, rows[i].advice) == NULL)
			fail_msg("\"%s\" lacks \"%s\"", err.text, rows[i].advice);
	}
}

static void
a_sas_token_in_place_of_a_connection_string_is_named(void **state)
{
	struct batch a;

	(void)state;
	setenv("AISPM_TEST_SAS", "SharedAccessSignature sr=sb%3A%2F%2Fns&sig=hunter2&se=1&skn=k", 1);
	sink_begin("topic: events\npassword: {env: AISPM_TEST_SAS}\noptions: {security.protocol: SASL_PLAINTEXT, "
	    "sasl.username: $ConnectionString}\n");
	batch_fill(&a, 3, 1, 0);
	give(&a, 1);
	assert_int_equal(rig->verdict[0], SINK_HELD);
	assert_non_null(strstr(rig->why, "SAS token"));
	assert_null(strstr(rig->why, "hunter2"));
	batch_fini(&a);
}

#define T(test)	cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Joining a group takes this cluster seconds, so processes share the work. */
static int
run(unsigned share)
{
	const struct CMUnitTest first[] = {
		T(options_that_are_our_business_or_unknown_are_refused_by_name),
		T(a_refused_value_is_not_repeated),
		T(a_librdkafka_that_cannot_do_it_is_named_at_start),
		T(messages_of_all_partitions_are_read),
		T(a_restart_goes_on_where_the_spool_stood),
	};
	const struct CMUnitTest second[] = {
		T(without_a_saved_position_the_committed_offset_holds),
		T(an_empty_message_moves_the_place_without_a_record),
	};
	const struct CMUnitTest third[] = {
		T(what_was_never_safe_is_not_committed),
		T(brokers_that_cannot_be_reached_are_named),
	};
	const struct CMUnitTest fourth[] = {
		T(a_committed_offset_past_our_own_place_is_not_put_back),
		T(a_refused_message_comes_again_and_nothing_is_lost_or_doubled),
	};
	const struct CMUnitTest fifth[] = {
		T(once_is_drained_when_all_partitions_are_read_to_their_end),
		T(start_latest_reads_only_what_comes_even_after_a_restart),
	};
	const struct CMUnitTest sinks[] = {
		T(a_batch_is_answered_when_each_message_is_acknowledged),
		T(an_event_past_the_limit_is_refused_before_anything_is_sent),
		T(an_event_that_the_broker_finds_too_large_is_cut_out_and_no_other_comes_twice),
		T(a_broker_that_comes_back_gets_everything_once_and_in_order),
		T(a_missing_right_holds_the_sink),
		T(what_would_weaken_tls_or_show_a_secret_is_refused),
		T(a_sas_token_in_place_of_a_connection_string_is_named),
		T(what_event_hubs_says_is_put_into_words),
		T(a_secret_among_the_options_works_with_a_warning_that_does_not_show_it),
		/* the last: it holds the clock's hands */
		T(a_broker_that_stays_away_gives_the_batch_back_with_a_reason),
	};

	const struct CMUnitTest transactions[] = {
		T(an_explicit_refusal_of_transactions_is_said_and_idempotence_goes_on),
		T(a_broker_without_idempotence_gets_acks_all_one_at_a_time),
		T(auto_goes_down_step_by_step_and_says_each),
		T(exactly_once_true_is_held_where_there_are_no_transactions),
		T(a_fenced_producer_is_held_and_looks_before_it_begins_again),
		T(a_transaction_that_must_be_undone_comes_again),
	};
	const struct CMUnitTest positions[] = {
		T(what_the_committed_position_covers_is_not_sent_again),
		T(a_position_of_another_s_events_holds_the_sink),
		T(a_position_past_the_spool_s_end_holds_the_sink),
		/* the last: it holds the clock's hands */
		T(a_coordinator_that_does_not_come_is_no_refusal),
	};

	switch (share) {
	case 0:
		return cmocka_run_group_tests_name("kafka source 1", first, NULL, NULL);
	case 1:
		return cmocka_run_group_tests_name("kafka source 2", second, NULL, NULL);
	case 2:
		return cmocka_run_group_tests_name("kafka source 3", third, NULL, NULL);
	case 3:
		return cmocka_run_group_tests_name("kafka source 4", fourth, NULL, NULL);
	case 4:
		return cmocka_run_group_tests_name("kafka source 5", fifth, NULL, NULL);
	case 5:
		return cmocka_run_group_tests_name("kafka positions", positions, NULL, NULL);
	case 6:
		return cmocka_run_group_tests_name("kafka transactions", transactions, NULL, NULL);
	default:
		return cmocka_run_group_tests_name("kafka sink", sinks, NULL, NULL);
	}
}

int
main(void)
{
	int failed = 0, status;

	for (unsigned share = 0; share < 8; share++) {
		pid_t pid = fork();

		if (pid == 0)
			exit(run(share) != 0);
		failed += pid < 0;
	}
	while (wait(&status) > 0)
		failed += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
	return failed != 0;
}
