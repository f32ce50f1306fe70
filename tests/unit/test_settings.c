/* test_settings.c - the whole configuration's table, the checks across blocks, the shipped files, and the manual. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/conf.h"
#include "base/err.h"
#include "base/note.h"
#include "base/stat.h"
#include "run/cli.h"
#include "run/settings.h"
#include "source/source.h"

static struct problems problems;
static struct conf *conf;
static char said[65536];

static int
end(void **state)
{
	(void)state;
	conf_free(conf);
	conf = NULL;
	problems_fini(&problems);
	return 0;
}

/* What a printing function writes, into said. */
static FILE *
listen_to(void)
{
	FILE *f;

	memset(said, 0, sizeof(said));
	f = fmemopen(said, sizeof(said) - 1, "w");
	assert_non_null(f);
	return f;
}

static int
finish(int rc)
{
	FILE *f = listen_to();

	problems_print(&problems, f);
	fclose(f);
	return rc;
}

static int
load(const char *yaml)
{
	struct err err = { 0 };

	end(NULL);
	problems_init(&problems);
	return finish(settings_load_text("agent.yaml", slice_of(yaml), &conf, &problems, &err));
}

static void
assert_said(const char *text)
{
	if (strstr(said, text) == NULL)
		fail_msg("expected: %s\nwas said:\n%s", text, said);
}

static void
assert_refused(const char *yaml, const char *why)
{
	if (load(yaml) == 0)
		fail_msg("not refused: %s", yaml);
	assert_null(conf);
	assert_said(why);
}

#define SOURCE	"sources: [{name: in, type: file, paths: [/x]}]\n"
#define SINK	"sinks: [{name: out, type: file, path: /y}]\n"

static void
an_empty_configuration_is_fine_but_has_nothing_to_do(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_said("agent.yaml:1: sources: warning: ");
	assert_said("agent.yaml:1: sinks: warning: ");
	assert_int_equal(problems.errors, 0);
	assert_string_equal(conf_text(conf_block(conf, "agent"), "state_dir"), STATE_DIR);
	assert_int_equal(conf_ms(conf_block(conf, "agent"), "drain_timeout"), 20000);
	assert_int_equal(conf_bytes(conf_block(conf_block(conf, "agent"), "spool"), "max_bytes"), UINT64_C(4) << 30);
	assert_true(conf_bool(conf_block(conf_block(conf, "detectors"), "volume"), "enabled"));
	assert_int_equal(conf_texts(conf_block(conf, "prompts"), "release"), 0);
}

static void
a_source_and_a_sink_make_it_complete(void **state)
{
	(void)state;
	assert_int_equal(load(SOURCE SINK), 0);
	assert_string_equal(said, "");
	assert_string_equal(conf_text(conf_block_at(conf, "sinks", 0), "activity"), "forward");
}

static void
there_are_only_so_many_sources_as_can_be_held_against_each_other(void **state)
{
	static char yaml[64 * 1002];
	size_t at = (size_t)sprintf(yaml, SINK "sources:\n");

	(void)state;
	for (int i = 0; i < 1000; i++)
		at += (size_t)sprintf(yaml + at, "  - {name: s%d, type: file, paths: [/x]}\n", i);
	assert_int_equal(load(yaml), 0);
	sprintf(yaml + at, "  - {name: more, type: file, paths: [/x]}\n");
	assert_refused(yaml, "agent.yaml:3: sources: 1001 blocks are too many; allowed: at most 1000");
}

static void
a_name_may_stand_once_in_a_list(void **state)
{
	(void)state;
	assert_refused(SOURCE "sinks:\n  - {name: out, type: file, path: /y}\n  - {name: out, type: file, path: /z}\n",
	    "agent.yaml:4: sinks[1].name: \"out\" is already the name of the one in agent.yaml:3");
	assert_int_equal(load("sources: [{name: one, type: file, paths: [/x]}]\nsinks: [{name: one, type: file, path: /y}]\n"), 0);
}

static void
a_name_is_plain(void **state)
{
	static const char *const names[] = { "a/b", "..", "-x", "a b", "\"\"", "+detect",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\xc3\xa4" };
	char yaml[200];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(yaml, sizeof(yaml), "sinks: [{name: %s, type: file, path: /y}]\n", names[i]);
		assert_refused(yaml, "sinks[0].name: ");
	}
	assert_refused("sinks: [{type: file, path: /y}]\n", "agent.yaml:1: sinks[0].name: is missing");
	assert_int_equal(load("sinks: [{name: A_b.c-9, type: file, path: /y}]\n"), 0);
}

static void
kinds_that_are_not_there_are_named_with_those_that_are(void **state)
{
	(void)state;
	assert_refused("sources: [{name: x, type: carrier, loft: a}]\n", "sources[0].type: \"carrier\" is not allowed; allowed: file");
	assert_refused("sinks: [{name: x, type: pigeon, target: a}]\n", "sinks[0].type: \"pigeon\" is not allowed; allowed: sentinel");
	assert_int_equal(problems.errors, 1);
	assert_refused("sinks: [{name: x, type: sentinel, endpoint: \"https://d.eastus-1.ingest.monitor.azure.com\", rule: dcr-00000000000000000000000000000000, "
	    "stream: Custom-X, auth: {type: managed_identity}, format: cef}]\n", "sinks[0].format: \"cef\" is not allowed");
}

static void
start_is_earliest_latest_or_a_time(void **state)
{
	int64_t ms = 7;
	int start = 7;

	(void)state;
	assert_true(settings_start("latest", &start, &ms));
	assert_int_equal(start, START_LATEST);
	assert_true(settings_start("2026-01-31T00:00:00Z", &start, &ms));
	assert_int_equal(start, START_TIME);
	assert_int_equal(ms, INT64_C(1769817600000));
	assert_true(settings_start("earliest", &start, &ms));
	assert_int_equal(start, START_EARLIEST);
	ms = 7;
	assert_false(settings_start("yesterday", &start, &ms));
	assert_int_equal(ms, 7);
	assert_refused("sources:\n  - name: x\n    type: file\n    paths: [/x]\n    start: yesterday\n",
	    "agent.yaml:5: sources[0].start: \"yesterday\" is not allowed; allowed: earliest, latest or a time such as "
	    "2026-01-31T00:00:00Z");
}

static void
a_source_gets_its_start(void **state)
{
	struct source s = { 0 };

	(void)state;
	assert_int_equal(load("sources: [{name: x, type: file, paths: [/x], start: \"2026-01-31T00:00:00+01:00\"}]\n"), 0);
	settings_source_start(conf_block_at(conf, "sources", 0), &s);
	assert_int_equal(s.start, START_TIME);
	assert_int_equal(s.start_ms, INT64_C(1769814000000));
}

static void
only_loopback_may_be_listened_on(void **state)
{
	static const char *const wrong[] = { "0.0.0.0:9464", "127.0.0.1", ":9464", "127.0.0.1:0", "127.0.0.1:65536", "[::]:9464",
		"127.0.0.1.example.com:80", "localhost:x", "" };

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_false(settings_is_loopback_address(wrong[i]));
	assert_true(settings_is_loopback_address("[::1]:9464"));
	assert_true(settings_is_loopback_address("localhost:1"));
	assert_refused("agent: {http: \"0.0.0.0:9464\"}\n", "agent.yaml:1: agent.http: \"0.0.0.0:9464\" is not allowed");
	assert_int_equal(load("agent: {http: \"127.0.0.1:9464\"}\n"), 0);
}

static void
limits_of_the_agent_are_kept(void **state)
{
	(void)state;
	assert_refused("agent: {spool: {max_bytes: 1MiB}}\n", "agent.spool.max_bytes: \"1MiB\" is not allowed; allowed: a size such as "
	    "64KiB, 64MiB to 1TiB");
	assert_refused("agent: {state_dir: var/x}\n", "agent.state_dir: \"var/x\" is not allowed; allowed: an absolute path");
	assert_refused("agent: {log_level: loud}\n", "allowed: error, warning, notice, info, debug");
	assert_refused("zones: {rules: [{match: \"/x/*\", zone: 4}]}\n", "zones.rules[0].zone: \"4\" is not allowed; allowed: a whole "
	    "number, 1 to 3");
	assert_refused("agnet: {}\n", "agnet: unknown key; allowed: agent, sources, zones, detectors, sinks, prompts (did you mean "
	    "\"agent\"?)");
}

static void
a_topic_that_a_source_reads_is_no_sink_s(void **state)
{
	static const char yaml[] = "sources:\n  - {name: hub, type: kafka, brokers: \"b:9092\", topics: [in, %s], group: g}\n"
	    "sinks:\n  - {name: bus, type: kafka, brokers: \"b:9092\", topic: out}\n";
	char text[400];

	(void)state;
	if (source_kind_find("kafka") == NULL)
		skip();
	snprintf(text, sizeof(text), yaml, "out");
	assert_int_equal(load(text), -1);
	assert_non_null(strstr(said, "agent.yaml:4: sinks[0].topic: out is read by source hub"));
	snprintf(text, sizeof(text), yaml, "other");
	assert_int_equal(load(text), 0);
}

static void
a_sentinel_sink_tells_all_its_faults_and_no_secret(void **state)
{
	(void)state;
	assert_refused("sinks:\n  - name: s\n    type: sentinel\n    endpoint: http://example.com\n    stream: Custom-X\n"
	    "    auth: {type: client_secret, tenant: t, client_id: c, secret: hunter2}\n", "sinks[0].rule: is missing");
	assert_said("agent.yaml:4: sinks[0].endpoint: ");
	assert_said("agent.yaml:6: sinks[0].auth.secret: a literal is refused; write {file: PATH}, {env: NAME} or {credential: NAME}");
	assert_null(strstr(said, "hunter2"));
}

static void
what_is_shipped_is_accepted(void **state)
{
	static const struct { const char *name; bool complete; } files[] = {
		{ "agent.yaml", false }, { "examples/azure-openai-to-sentinel.yaml", true }, { "examples/air-gapped-file.yaml", true },
		{ "examples/ama-by-syslog.yaml", true },
#if defined(WITH_MICROHTTPD) && defined(WITH_GNUTLS)
		{ "examples/http-push.yaml", true },
#endif
#ifdef WITH_KAFKA
		{ "examples/kafka-to-kafka.yaml", true }, { "examples/three-zones.yaml", true }, { "examples/event-hubs-to-sentinel.yaml", true },
#endif
	};
	struct err err = { 0 };
	char path[1024];

	(void)state;
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		end(NULL);
		problems_init(&problems);
		snprintf(path, sizeof(path), "%s/%s", PACKAGING, files[i].name);
		if (finish(settings_load(path, &conf, &problems, &err)) != 0)
			fail_msg("%s: %s", files[i].name, said);
		if (files[i].complete != (problems.n == 0))
			fail_msg("%s: %s", files[i].name, said);
	}
}

/* agent.yaml's comments are what people uncomment: they must fit too. */
static void
the_commented_lines_of_agent_yaml_are_fine_when_uncommented(void **state)
{
	char line[512], yaml[16384] = "";
	size_t at = 0;
	FILE *f = fopen(PACKAGING "/agent.yaml", "r");

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		const char *text = line;

		if (line[0] == '#' && (line[1] == ' ' ? line[2] == ' ' : line[1] != '\n'))
			text = line + 1;
		at += (size_t)snprintf(yaml + at, sizeof(yaml) - at, "%s", text);
	}
	fclose(f);
#ifdef WITH_KAFKA
	if (load(yaml) != 0)
		fail_msg("%s\n%s", said, yaml);
	assert_int_equal(conf_blocks(conf, "sources"), 3);
	assert_int_equal(conf_blocks(conf, "sinks"), 2);
#else
	assert_refused(yaml, "type: \"kafka\" is not allowed");
	assert_int_equal(problems.errors, 1);
#endif
}

static void
the_manual_names_every_setting_message_counter_and_command(void **state)
{
	FILE *f;

	(void)state;
	f = listen_to();
	manual_settings(f);
	fclose(f);
	assert_said("agent.spool.max_bytes: a size such as 64KiB, 64MiB to 1TiB; default 4GiB");
	assert_said("sinks[], type sentinel\n");
	assert_said("sinks[].auth.tenant: ");
	assert_said("sinks[].path: an absolute path; required");
	f = listen_to();
	assert_int_equal(manual_roff(f, "aispm-agent.1"), 0);
	fclose(f);
	for (int i = 0; i < NOTE_COUNT; i++)
		assert_said(note_row((enum note_id)i)->sentence);
	for (int i = 0; i < STAT_COUNT; i++)
		assert_said(stat_row((enum stat_id)i)->name);
	for (const struct command_row *row = command_rows; row->name != NULL; row++)
		assert_said(row->name);
	f = listen_to();
	assert_int_equal(manual_roff(f, "aispm-agent.yaml.5"), 0);
	fclose(f);
	assert_said(".TH \"AISPM-AGENT.YAML\" 5");
	assert_said("\\fBsinks[].auth.secret\\fR (");
	f = listen_to();
	assert_int_equal(manual_roff(f, "passwd.5"), -1);
	fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(an_empty_configuration_is_fine_but_has_nothing_to_do, end),
		cmocka_unit_test_teardown(a_source_and_a_sink_make_it_complete, end),
		cmocka_unit_test_teardown(there_are_only_so_many_sources_as_can_be_held_against_each_other, end),
		cmocka_unit_test_teardown(a_name_may_stand_once_in_a_list, end),
		cmocka_unit_test_teardown(a_name_is_plain, end),
		cmocka_unit_test_teardown(kinds_that_are_not_there_are_named_with_those_that_are, end),
		cmocka_unit_test_teardown(start_is_earliest_latest_or_a_time, end),
		cmocka_unit_test_teardown(a_source_gets_its_start, end),
		cmocka_unit_test_teardown(only_loopback_may_be_listened_on, end),
		cmocka_unit_test_teardown(limits_of_the_agent_are_kept, end),
		cmocka_unit_test_teardown(a_topic_that_a_source_reads_is_no_sink_s, end),
		cmocka_unit_test_teardown(a_sentinel_sink_tells_all_its_faults_and_no_secret, end),
		cmocka_unit_test_teardown(what_is_shipped_is_accepted, end),
		cmocka_unit_test_teardown(the_commented_lines_of_agent_yaml_are_fine_when_uncommented, end),
		cmocka_unit_test(the_manual_names_every_setting_message_counter_and_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
