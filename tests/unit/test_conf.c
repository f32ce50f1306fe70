/* test_conf.c - YAML with lines, settings by table, secrets, and what people are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"

/* ---- tables to test with ------------------------------------------------------ */

static const char *
wrong_even(const struct conf *block, const char *text)
{
	/* Looks at a neighbour that comes later in the table. */
	return strcmp(conf_text(block, "mode"), "strict") == 0 && strlen(text) % 2 != 0 ? "an even number of letters" : NULL;
}

static const char *
wrong_url(const struct conf *block, const char *text)
{
	(void)block;
	return strncmp(text, "https://", 8) == 0 && strchr(text, '@') == NULL ? NULL : "an https URL without a password";
}

static const char *
wrong_pair(const struct conf *block, const char *text)
{
	assert_null(text);
	return conf_count(block, "least") <= conf_count(block, "most") ? NULL : "least up to most";
}

static const struct conf_key pair_keys[] = {
	{ .name = "least", .type = CONF_COUNT, .fallback = "0", .least = 0, .most = 100, .help = "least" },
	{ .name = "most", .type = CONF_COUNT, .fallback = "100", .least = 0, .most = 100, .help = "most" },
	CONF_END
};

static const struct conf_key summary_keys[] = {
	{ .name = "summarize", .type = CONF_TIME, .flags = CONF_REQUIRED, .least = 1000, .help = "window" },
	CONF_END
};

static const struct conf_key auth_keys[] = {
	{ .name = "type", .type = CONF_WORD, .flags = CONF_REQUIRED, .allowed = "secret|identity", .help = "kind" },
	{ .name = "cloud", .type = CONF_WORD, .fallback = "public", .allowed = "public|china", .help = "cloud" },
	CONF_END
};

static const struct conf_key secret_keys[] = {
	{ .name = "tenant", .type = CONF_TEXT, .flags = CONF_REQUIRED, .help = "tenant id" },
	{ .name = "secret", .type = CONF_SECRET, .flags = CONF_REQUIRED, .help = "the secret" },
	CONF_END
};

static const struct conf_key no_keys[] = { CONF_END };

static const struct conf_key *
auth_variant(const char *word)
{
	return strcmp(word, "secret") == 0 ? secret_keys : strcmp(word, "identity") == 0 ? no_keys : NULL;
}

static const struct conf_key sink_keys[] = {
	{ .name = "name", .type = CONF_TEXT, .flags = CONF_REQUIRED, .help = "its name" },
	{ .name = "endpoint", .type = CONF_TEXT, .wrong = wrong_url, .help = "where to" },
	{ .name = "even", .type = CONF_TEXT, .wrong = wrong_even, .help = "an even text" },
	{ .name = "mode", .type = CONF_WORD, .fallback = "lax", .allowed = "lax|strict", .help = "mode" },
	{ .name = "auth", .type = CONF_BLOCK, .keys = auth_keys, .variant_key = "type", .variant = auth_variant,
	  .variant_words = "secret|identity", .help = "who we are" },
	{ .name = "options", .type = CONF_MAP, .help = "options" },
	CONF_END
};

static const struct conf_key box_keys[] = {
	{ .name = "size", .type = CONF_BYTES, .fallback = "4GiB", .least = 65536, .most = 1125899906842624, .help = "size" },
	{ .name = "wait", .type = CONF_TIME, .fallback = "1s", .most = 600000, .help = "wait" },
	CONF_END
};

static const struct conf_key top[] = {
	{ .name = "text", .type = CONF_TEXT, .fallback = "hello", .help = "a text" },
	{ .name = "absent", .type = CONF_TEXT, .help = "a text without a fallback" },
	{ .name = "word", .type = CONF_WORD, .fallback = "red", .allowed = "red|green|blue", .help = "a word" },
	{ .name = "flag", .type = CONF_BOOL, .fallback = "true", .help = "a switch" },
	{ .name = "count", .type = CONF_COUNT, .fallback = "5", .least = 1, .most = 10, .help = "a count" },
	{ .name = "from_zero", .type = CONF_COUNT, .fallback = "2", .least = 0, .most = 10, .help = "a count" },
	{ .name = "any", .type = CONF_COUNT, .fallback = "-3", .help = "any whole number" },
	{ .name = "real", .type = CONF_REAL, .fallback = "0.5", .least = 0, .most = 1, .help = "a number" },
	{ .name = "box", .type = CONF_BLOCK, .keys = box_keys, .help = "a box" },
	{ .name = "pair", .type = CONF_BLOCK, .keys = pair_keys, .wrong = wrong_pair, .help = "a pair" },
	{ .name = "texts", .type = CONF_TEXTS, .fallback = "all", .help = "texts" },
	{ .name = "activity", .type = CONF_WORD, .fallback = "forward", .allowed = "forward|drop", .keys = summary_keys,
	  .help = "a word or a block" },
	{ .name = "sinks", .type = CONF_BLOCKS, .keys = sink_keys, .help = "sinks" },
	CONF_END
};

/* ---- helpers --------------------------------------------------------------------- */

static struct problems problems;
static struct conf *conf;
static char said[65536];

static void
forget(void)
{
	conf_free(conf);
	conf = NULL;
	problems_fini(&problems);
	said[0] = '\0';
}

/* All problems as text, one a line. */
static const char *
tell(void)
{
	size_t at = 0;

	said[0] = '\0';
	for (size_t i = 0; i < problems.n && at < sizeof(said); i++) {
		const struct problem *p = &problems.v[i];

		at += (size_t)snprintf(said + at, sizeof(said) - at, "%s:%u: %s: %s%s\n", p->file, p->line, p->key,
		    p->warning ? "warning: " : "", p->text);
	}
	return said;
}

static int
load(const char *yaml)
{
	struct err err = { 0 };
	int rc;

	forget();
	problems_init(&problems);
	rc = conf_load_text("agent.yaml", slice_of(yaml), top, &conf, &problems, &err);
	tell();
	if (rc != 0) {
		assert_int_equal(err.kind, ERR_CONFIG);
		assert_true(problems.errors > 0);
		assert_null(conf);
	}
	return rc;
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
	assert_said(why);
}

static char dir[256];

static int
make_dir(void **state)
{
	const char *tmp = getenv("TMPDIR");

	(void)state;
	snprintf(dir, sizeof(dir), "%s/conf[1]-XXXXXX", tmp != NULL ? tmp : "/tmp");
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static const char *const made[] = { "agent.yaml", "conf.d/10-a.yaml", "conf.d/20-b.yaml", "conf.d/.hidden.yaml",
	"conf.d/notes.txt", "conf.d", "secret", NULL };

static int
drop_dir(void **state)
{
	char path[600];

	(void)state;
	forget();
	for (size_t i = 0; made[i] != NULL; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, made[i]);
		remove(path);
	}
	return rmdir(dir);
}

static void
put_file(const char *name, const char *bytes, size_t n)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(bytes, 1, n, f), n);
	fclose(f);
}

static int
load_dir(void)
{
	struct err err = { 0 };
	char path[600];
	int rc;

	forget();
	problems_init(&problems);
	snprintf(path, sizeof(path), "%s/agent.yaml", dir);
	rc = conf_load(path, top, &conf, &problems, &err);
	tell();
	return rc;
}

static int
end(void **state)
{
	(void)state;
	forget();
	return 0;
}

/* ---- YAML ---------------------------------------------------------------------------- */

static void
nodes_remember_their_lines_and_quotes(void **state)
{
	struct yaml_tree *t = yaml_tree_new();
	struct yaml_node *root, *list;

	(void)state;
	problems_init(&problems);
	root = yaml_read_text(t, "x.yaml", SLICE("a: 1\nb:\n  - 'x'\n  - y\nc: {d: ~}\n"), &problems);
	assert_non_null(root);
	list = yaml_get(root, "b");
	assert_int_equal(list->kind, YAML_LIST);
	assert_int_equal(list->children, 2);
	assert_int_equal(list->first->line, 3);
	assert_true(list->first->quoted);
	assert_false(list->first->next->quoted);
	assert_int_equal(list->key->line, 2);
	assert_string_equal(list->first->file, "x.yaml");
	assert_true(yaml_is_null(yaml_get(yaml_get(root, "c"), "d")));
	assert_null(yaml_get(root, "nothing"));
	yaml_tree_free(t);
}

static void
an_empty_file_is_an_empty_block(void **state)
{
	(void)state;
	assert_int_equal(load(""), 0);
	assert_int_equal(load("# only a comment\n"), 0);
	assert_int_equal(load("---\n"), 0);
	assert_string_equal(conf_text(conf, "text"), "hello");
}

static void
what_plain_data_does_not_need_is_refused(void **state)
{
	(void)state;
	assert_refused("text: &a x\n", "agent.yaml:1:");
	assert_refused("word: red\ntext: *a\n", "agent.yaml:2:");
	assert_refused("\ntext: !!str x\n", "agent.yaml:2:");
	assert_refused("text: x\n---\ntext: y\n", "agent.yaml:2:");
	assert_refused("%TAG !a! x\n%TAG !b! x\n%TAG !c! x\n%TAG !d! x\n%TAG !e! x\n%TAG !f! x\n%TAG !g! x\n%TAG !h! x\n%TAG !i! x\n%TAG !j! x\n"
	    "%TAG !k! x\n%TAG !l! x\n%TAG !m! x\n%TAG !n! x\n%TAG !o! x\n%TAG !p! x\n%TAG !q! x\n---\ntext: x\n", "too many lines begin with %");
	assert_refused("? [a]\n: x\n", "agent.yaml:1:");
	assert_refused("- a\n", "a block of keys is needed here");
	assert_refused("text: \"a\\0b\"\n", "NUL");
}

static void
a_key_given_twice_names_both_lines(void **state)
{
	(void)state;
	assert_refused("text: a\nword: red\ntext: b\n", "agent.yaml:3: text: given twice, first in line 1");
	assert_refused("box:\n  wait:\n    1s\n  wait: 2s\n", "agent.yaml:4: wait: given twice, first in line 2");
}

static void
bytes_that_are_not_utf8_are_named_by_line(void **state)
{
	(void)state;
	assert_refused("text: a\nword: \xff\xfe\n", "agent.yaml:2: : not UTF-8");
}

static void
a_syntax_error_names_its_line_and_a_tab_is_pointed_out(void **state)
{
	(void)state;
	assert_refused("text: [a, b\nword: red\n", "not YAML");
	assert_refused("box:\n\twait: 1s\n", "tab");
}

static void
depth_and_size_have_a_limit(void **state)
{
	char deep[80] = "text: ";
	char *wide = malloc(8 << 20);
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 33; i++)
		deep[6 + i] = '[';
	assert_refused(deep, "deep");
	assert_non_null(wide);
	for (int i = 0; i < 5000; i++)
		at += (size_t)snprintf(wide + at, 32, "k%d: 1\n", i);
	assert_refused(wide, "too many keys");
	memset(wide, '#', 5 << 20);
	wide[5 << 20] = '\0';
	assert_refused(wide, "larger than");
	free(wide);
}

static void
the_nearest_word_is_found_and_a_far_one_is_not(void **state)
{
	char word[32];

	(void)state;
	assert_string_equal(nearest_word("endpoitn", "name|endpoint|rule", word, sizeof(word)), "endpoint");
	assert_string_equal(nearest_word("rul", "name|endpoint|rule", word, sizeof(word)), "rule");
	assert_null(nearest_word("password", "name|endpoint|rule", word, sizeof(word)));
	assert_null(nearest_word("", "ab|c", word, sizeof(word)));
	assert_null(nearest_word("endpoitn", "endpoint", word, 4));
}

static void
problems_outlive_the_file_they_are_about_and_obey_no_terminal(void **state)
{
	(void)state;
	assert_refused("\"a\\e[31mb\": 1\n", "a?[31mb: unknown key");
	assert_refused("\"a\\u202eb\\u009b\": 1\n", "a???b??: unknown key");
	assert_string_equal(problems.v[0].file, "agent.yaml");
	assert_null(strchr(problems.v[0].key, 0x1b));
}

/* ---- values ------------------------------------------------------------------------------ */

static void
fallbacks_stand_where_nothing_is_given(void **state)
{
	(void)state;
	assert_int_equal(load("word: green\n"), 0);
	assert_string_equal(conf_text(conf, "word"), "green");
	assert_true(conf_given(conf, "word"));
	assert_false(conf_given(conf, "text"));
	assert_string_equal(conf_text(conf, "text"), "hello");
	assert_null(conf_text(conf, "absent"));
	assert_true(conf_bool(conf, "flag"));
	assert_int_equal(conf_count(conf, "any"), -3);
	assert_true(conf_real(conf, "real") == 0.5);
	assert_non_null(conf_block(conf, "box"));
	assert_false(conf_given(conf, "box"));
	assert_int_equal(conf_bytes(conf_block(conf, "box"), "size"), 4294967296u);
	assert_int_equal(conf_ms(conf_block(conf, "box"), "wait"), 1000);
	assert_int_equal(conf_texts(conf, "texts"), 1);
	assert_string_equal(conf_text_at(conf, "texts", 0), "all");
	assert_int_equal(conf_blocks(conf, "sinks"), 0);
	assert_string_equal(conf_text(conf, "activity"), "forward");
	assert_null(conf_block(conf, "activity"));
	assert_int_equal(conf_line(conf_block(conf, "box"), "wait"), 1);
	assert_string_equal(conf_file(conf_block(conf, "box"), "wait"), "agent.yaml");
}

static void
every_type_is_read(void **state)
{
	(void)state;
	assert_int_equal(load("text: 'a: b'\nflag: false\ncount: 10\nreal: 0.25\nbox: {size: 64KiB, wait: 1m}\n"
	    "texts: [a, \"b\"]\nactivity: {summarize: 5m}\n"
	    "sinks:\n  - {name: x, options: {acks: all, empty: \"\"}, auth: {type: identity}}\n  - name: y\n"), 0);
	assert_string_equal(conf_text(conf, "text"), "a: b");
	assert_false(conf_bool(conf, "flag"));
	assert_int_equal(conf_count(conf, "count"), 10);
	assert_true(conf_real(conf, "real") == 0.25);
	assert_int_equal(conf_bytes(conf_block(conf, "box"), "size"), 65536);
	assert_int_equal(conf_ms(conf_block(conf, "box"), "wait"), 60000);
	assert_int_equal(conf_texts(conf, "texts"), 2);
	assert_string_equal(conf_text_at(conf, "texts", 1), "b");
	assert_null(conf_text(conf, "activity"));
	assert_int_equal(conf_ms(conf_block(conf, "activity"), "summarize"), 300000);
	assert_int_equal(conf_blocks(conf, "sinks"), 2);
	assert_int_equal(conf_map(conf_block_at(conf, "sinks", 0), "options"), 2);
	assert_string_equal(conf_map_key(conf_block_at(conf, "sinks", 0), "options", 0), "acks");
	assert_string_equal(conf_map_value(conf_block_at(conf, "sinks", 0), "options", 1), "");
	assert_string_equal(conf_text(conf_block(conf_block_at(conf, "sinks", 0), "auth"), "type"), "identity");
	assert_null(conf_block(conf_block_at(conf, "sinks", 1), "auth"));
	assert_int_equal(conf_line(conf_block_at(conf, "sinks", 1), "name"), 10);
}

static void
a_lone_text_is_a_list_of_one(void **state)
{
	(void)state;
	assert_int_equal(load("texts: one\n"), 0);
	assert_int_equal(conf_texts(conf, "texts"), 1);
	assert_string_equal(conf_text_at(conf, "texts", 0), "one");
}

static void
a_list_whose_items_are_commented_out_is_absent(void **state)
{
	(void)state;
	assert_int_equal(load("sinks:\n#  - {name: x}\nbox:\n"), 0);
	assert_int_equal(conf_blocks(conf, "sinks"), 0);
	assert_non_null(conf_block(conf, "box"));
	assert_refused("text:\n", "agent.yaml:1: text: has no value");
}

static void
wrong_values_say_what_is_allowed(void **state)
{
	(void)state;
	assert_refused("word: gren\n", "agent.yaml:1: word: \"gren\" is not allowed; allowed: red, green, blue "
	    "(did you mean \"green\"?)");
	assert_refused("flag: yes\n", "flag: \"yes\" is not allowed; allowed: true or false");
	assert_refused("count: 11\n", "allowed: a whole number, 1 to 10");
	assert_refused("count: 3x\n", "count: \"3x\" is not allowed");
	assert_refused("count: 0\n", "count: \"0\" is not allowed");
	assert_refused("from_zero: -1\n", "from_zero: \"-1\" is not allowed; allowed: a whole number, 0 to 10");
	assert_refused("real: 1.5\n", "allowed: a number, 0 to 1");
	assert_refused("real: nan\n", "real");
	assert_refused("box: {size: 1KiB}\n", "box.size: \"1KiB\" is not allowed; allowed: a size such as 64KiB, 64KiB to");
	assert_refused("box: {wait: 5}\n", "box.wait: \"5\" is not allowed; allowed: a time such as 500ms, 5s or 10m, 0 to 10m");
	assert_refused("box: {wait: -5s}\n", "box.wait");
	assert_refused("box: [a]\n", "box: a block of keys is needed here");
	assert_refused("text: [a]\n", "text: a list is not allowed here");
	assert_refused("text: \"\"\n", "text: an empty text is not allowed");
	assert_refused("text: \"a\\nb\"\n", "text: control characters");
	assert_refused("texts: [a, [b]]\n", "texts: a list is not allowed here");
	assert_refused("texts: {a: b}\n", "texts: a block is not allowed here");
	assert_refused("sinks: {name: x}\n", "sinks: a block is not allowed here; allowed: a list of blocks");
	assert_refused("sinks:\n  - x\n", "agent.yaml:2: sinks[0]: a block of keys is needed here");
	assert_refused("sinks:\n  - name: x\n    options: {a: [b]}\n", "agent.yaml:3: sinks[0].options.a: only a text");
	assert_refused("activity: {summarise: 5m}\n", "activity.summarise: unknown key; allowed: summarize (did you mean");
}

static void
an_unknown_key_lists_the_known_ones_and_the_nearest(void **state)
{
	(void)state;
	assert_refused("sinks:\n  - name: x\n    endpoitn: https://y\n", "agent.yaml:3: sinks[0].endpoitn: unknown key; allowed: "
	    "name, endpoint, even, mode, auth, options (did you mean \"endpoint\"?)");
	assert_refused("zzz: 1\n", "agent.yaml:1: zzz: unknown key; allowed: text, absent");
}

static void
all_problems_are_told_at_once(void **state)
{
	(void)state;
	assert_refused("word: pink\ncount: many\nnope: 1\nsinks:\n  - endpoint: http://x\n    auth: {type: secret}\n", "word");
	assert_int_equal(problems.errors, 7);
	assert_said("agent.yaml:2: count");
	assert_said("agent.yaml:3: nope");
	assert_said("agent.yaml:5: sinks[0].name: is missing: its name");
	assert_said("agent.yaml:5: sinks[0].endpoint: \"http://x\" is not allowed; allowed: an https URL");
	assert_said("agent.yaml:6: sinks[0].auth.tenant: is missing: tenant id");
	assert_said("sinks[0].auth.secret: is missing");
}

static void
a_check_may_look_at_neighbours_that_come_later(void **state)
{
	(void)state;
	assert_int_equal(load("sinks: [{name: x, even: abc}]\n"), 0);
	assert_refused("sinks: [{name: x, even: abc, mode: strict}]\n", "sinks[0].even: \"abc\" is not allowed; allowed: an even");
	/* A wrong neighbour is its fallback meanwhile. */
	assert_refused("sinks: [{name: x, even: abc, mode: strickt}]\n", "mode: \"strickt\" is not allowed");
	assert_int_equal(problems.errors, 1);
}

static void
a_block_is_checked_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(load("pair: {least: 3, most: 4}\n"), 0);
	assert_refused("pair: {least: 5, most: 4}\n", "agent.yaml:1: pair: allowed: least up to most");
}

static void
a_word_brings_its_own_keys(void **state)
{
	(void)state;
	assert_refused("sinks: [{name: x, auth: {type: identity, tenant: t}}]\n", "sinks[0].auth.tenant: unknown key; allowed: "
	    "type, cloud");
	assert_refused("sinks: [{name: x, auth: {type: secrte, tenant: t}}]\n", "sinks[0].auth.type: \"secrte\" is not allowed; "
	    "allowed: secret, identity (did you mean \"secret\"?)");
	assert_int_equal(problems.errors, 1);
	assert_refused("sinks: [{name: x, auth: {tenant: t}}]\n", "sinks[0].auth.type: is missing: kind");
	assert_int_equal(problems.errors, 1);
}

static void
a_value_that_may_hold_a_password_is_not_shown(void **state)
{
	(void)state;
	assert_refused("sinks: [{name: x, endpoint: \"https://me:hunter2@x\"}]\n", "sinks[0].endpoint: this value is not allowed");
	assert_null(strstr(said, "hunter2"));
}

static void
amounts_are_read_exactly(void **state)
{
	static const struct { const char *text; bool good; uint64_t amount; } times[] = {
		{ "0", true, 0 }, { "500ms", true, 500 }, { "5s", true, 5000 }, { "1.5s", true, 1500 }, { "2h", true, 7200000 },
		{ "7d", true, 604800000 }, { "5 m", true, 300000 }, { "5", false, 0 }, { "s", false, 0 }, { "-5s", false, 0 },
		{ "0x10s", false, 0 }, { "1e3s", false, 0 }, { "1.5ms", false, 0 }, { "5S", false, 0 }, { "5sec", false, 0 },
		{ "18446744073709551616s", false, 0 }, { "9223372036854775807d", false, 0 }, { "", false, 0 }, { "1.s", false, 0 },
	};
	static const struct { const char *text; bool good; uint64_t amount; } sizes[] = {
		{ "512", true, 512 }, { "64KiB", true, 65536 }, { "4GiB", true, UINT64_C(4) << 30 }, { "10MB", true, 10000000 },
		{ "1.5GiB", true, UINT64_C(3) << 29 }, { "1 TiB", true, UINT64_C(1) << 40 }, { "9007199254740993", true, 9007199254740993 },
		{ "1.5", false, 0 }, { "4G", false, 0 }, { "1GiBx", false, 0 }, { "99999999TiB", false, 0 },
	};
	uint64_t got;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		got = 77;
		if (conf_parse_time(times[i].text, &got) != times[i].good || got != (times[i].good ? times[i].amount : 77))
			fail_msg("time %s gave %llu", times[i].text, (unsigned long long)got);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		got = 77;
		if (conf_parse_bytes(sizes[i].text, &got) != sizes[i].good || got != (sizes[i].good ? sizes[i].amount : 77))
			fail_msg("size %s gave %llu", sizes[i].text, (unsigned long long)got);
	}
}

static void
a_room_may_add_its_own_problem(void **state)
{
	(void)state;
	assert_int_equal(load("sinks:\n  - name: x\n    even: ab\n"), 0);
	conf_problem(conf_block_at(conf, "sinks", 0), "even", &problems, "is %s", "odd");
	conf_problem(conf_block_at(conf, "sinks", 0), NULL, &problems, "whole");
	tell();
	assert_said("agent.yaml:3: sinks[0].even: is odd");
	assert_said("agent.yaml:2: sinks[0]: whole");
}

static void
very_many_problems_are_counted_but_not_all_kept(void **state)
{
	char yaml[8192] = "";
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 500; i++)
		at += (size_t)snprintf(yaml + at, sizeof(yaml) - at, "no%d: 1\n", i);
	assert_refused(yaml, "no1: unknown key");
	assert_int_equal(problems.errors, 500);
	assert_true(problems.n < 500);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define PUT(name, text)	put_file(name, text, sizeof(text) - 1)

static void
make_conf_d(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/conf.d", dir);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void
drop_ins_are_joined_in_the_order_of_their_names(void **state)
{
	(void)state;
	PUT("agent.yaml", "text: main\nsinks:\n  - name: one\nbox: {wait: 2s}\n");
	make_conf_d();
	PUT("conf.d/20-b.yaml", "sinks: [{name: three}]\nbox: {size: 1MiB}\n");
	PUT("conf.d/10-a.yaml", "sinks: [{name: two}]\nword: blue\n");
	PUT("conf.d/.hidden.yaml", "word: red\n");
	PUT("conf.d/notes.txt", "not: [yaml\n");
	assert_int_equal(load_dir(), 0);
	assert_int_equal(conf_blocks(conf, "sinks"), 3);
	assert_string_equal(conf_text(conf_block_at(conf, "sinks", 1), "name"), "two");
	assert_string_equal(conf_text(conf_block_at(conf, "sinks", 2), "name"), "three");
	assert_string_equal(conf_text(conf, "word"), "blue");
	assert_int_equal(conf_ms(conf_block(conf, "box"), "wait"), 2000);
	assert_int_equal(conf_bytes(conf_block(conf, "box"), "size"), 1048576);
	assert_non_null(strstr(conf_file(conf_block_at(conf, "sinks", 1), "name"), "conf.d/10-a.yaml"));
}

static void
a_value_in_two_files_names_both(void **state)
{
	(void)state;
	PUT("agent.yaml", "\ntext: main\nbox: {wait: 2s}\n");
	make_conf_d();
	PUT("conf.d/10-a.yaml", "text: other\nbox: {wait: 3s}\n");
	assert_int_equal(load_dir(), -1);
	assert_said("conf.d/10-a.yaml:1: text: is given in ");
	assert_said("agent.yaml:2 too");
	assert_int_equal(problems.errors, 2);
}

static void
a_drop_in_may_fill_a_list_that_was_left_empty(void **state)
{
	(void)state;
	PUT("agent.yaml", "sinks:\nbox:\n");
	make_conf_d();
	PUT("conf.d/10-a.yaml", "sinks: [{name: a}]\nbox: {wait: 3s}\n");
	PUT("conf.d/20-b.yaml", "sinks:\n");
	assert_int_equal(load_dir(), 0);
	assert_int_equal(conf_blocks(conf, "sinks"), 1);
	assert_int_equal(conf_ms(conf_block(conf, "box"), "wait"), 3000);
}

static void
faults_of_all_files_are_told(void **state)
{
	(void)state;
	PUT("agent.yaml", "nope: 1\n");
	make_conf_d();
	PUT("conf.d/10-a.yaml", "a: [\n");
	PUT("conf.d/20-b.yaml", "word: pink\n");
	assert_int_equal(load_dir(), -1);
	assert_said("agent.yaml:1: nope");
	assert_said("10-a.yaml");
	assert_said("20-b.yaml:1: word");
}

static void
a_missing_file_is_a_problem_that_says_why(void **state)
{
	(void)state;
	assert_int_equal(load_dir(), -1);
	assert_said("agent.yaml:0: : cannot open: No such file");
}

/* ---- secrets ---------------------------------------------------------------------------------- */

static int
secret(const char *source, struct buf *out, struct err *err)
{
	char yaml[900];

	snprintf(yaml, sizeof(yaml), "sinks:\n  - name: x\n    auth:\n      type: secret\n      tenant: t\n      secret: %s\n", source);
	if (load(yaml) != 0)
		fail_msg("%s", said);
	return conf_secret(conf_block(conf_block_at(conf, "sinks", 0), "auth"), "secret", out, err);
}

static void
a_literal_secret_is_refused_and_not_shown(void **state)
{
	static const char *const literals[] = { "hunter2", "[hunter2]", "{value: hunter2}", "{file: a, env: hunter2}", "{file: [hunter2]}",
		"{env: \"hunter2\\n\"}" };
	char yaml[200];

	(void)state;
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
		snprintf(yaml, sizeof(yaml), "sinks: [{name: x, auth: {type: secret, tenant: t, secret: %s}}]\n", literals[i]);
		assert_refused(yaml, "sinks[0].auth.secret: ");
		assert_null(strstr(said, "hunter2"));
	}
	assert_refused("sinks: [{name: x, auth: {type: secret, tenant: t, secret: hunter2}}]\n",
	    "a literal is refused; write {file: PATH}, {env: NAME} or {credential: NAME}");
}

static void
a_secret_comes_from_file_environment_or_credential(void **state)
{
	struct err err = { 0 };
	struct buf out;
	char source[700];

	(void)state;
	buf_init(&out, 1000);
	PUT("secret", "s3cret\n");
	snprintf(source, sizeof(source), "{file: \"%s/secret\"}", dir);
	assert_int_equal(secret(source, &out, &err), 0);
	assert_true(slice_eq(buf_slice(&out), SLICE("s3cret")));
	setenv("TEST_CONF_SECRET", "fromenv", 1);
	assert_int_equal(secret("{env: TEST_CONF_SECRET}", &out, &err), 0);
	assert_true(slice_eq(buf_slice(&out), SLICE("s3cretfromenv")));	/* appended */
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	buf_reset(&out);
	assert_int_equal(secret("{credential: secret}", &out, &err), 0);
	assert_true(slice_eq(buf_slice(&out), SLICE("s3cret")));
	unsetenv("CREDENTIALS_DIRECTORY");
	unsetenv("TEST_CONF_SECRET");
	buf_fini(&out);
}

static void
assert_no_secret(const char *source, const char *why)
{
	struct err err = { 0 };
	struct buf out;

	buf_init(&out, 1 << 20);
	assert_int_equal(secret(source, &out, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_int_equal(out.n, 0);
	assert_non_null(strstr(err.text, "agent.yaml:6: sinks[0].auth.secret: "));
	if (strstr(err.text, why) == NULL)
		fail_msg("expected %s in %s", why, err.text);
	assert_null(strstr(err.text, "hunter"));
	buf_fini(&out);
}

static void
a_secret_that_cannot_be_had_says_where_and_why(void **state)
{
	char source[700], *large = calloc(1, 70000);

	(void)state;
	snprintf(source, sizeof(source), "{file: \"%s/secret\"}", dir);
	assert_no_secret(source, "No such file");
	PUT("secret", "\n");
	assert_no_secret(source, "is empty");
	PUT("secret", "hunter\0two");
	assert_no_secret(source, "NUL");
	memset(large, 'h', 70000);
	put_file("secret", large, 70000);
	assert_no_secret(source, "larger than 65536");
	free(large);
	unsetenv("TEST_CONF_SECRET");
	assert_no_secret("{env: TEST_CONF_SECRET}", "the environment has no TEST_CONF_SECRET");
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_no_secret("{credential: secret}", "LoadCredential=secret");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_no_secret("{credential: ../secret}", "not a path");
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
assert_warns(const char *source, const char *what)
{
	struct problems found;
	char yaml[900];

	snprintf(yaml, sizeof(yaml), "sinks:\n  - name: x\n    auth:\n      type: secret\n      tenant: t\n      secret: %s\n", source);
	if (load(yaml) != 0)
		fail_msg("%s", said);
	problems_init(&found);
	conf_look_at_secrets(conf, "nobody", &found);
	assert_int_equal(found.errors, 0);
	assert_int_equal(found.n, what != NULL);
	if (what != NULL) {
		assert_true(found.v[0].warning);
		assert_int_equal(found.v[0].line, 6);
		assert_string_equal(found.v[0].key, "sinks[0].auth.secret");
		if (strstr(found.v[0].text, what) == NULL)
			fail_msg("expected %s in %s", what, found.v[0].text);
		assert_null(strstr(found.v[0].text, "hunter"));
	}
	problems_fini(&found);
}

static void
secrets_are_looked_at_without_being_read(void **state)
{
	char source[700], path[600];

	(void)state;
	snprintf(source, sizeof(source), "{file: \"%s/secret\"}", dir);
	snprintf(path, sizeof(path), "%s/secret", dir);
	assert_warns(source, "No such file");
	PUT("secret", "hunter2\n");
	assert_int_equal(chmod(path, 0640), 0);
	assert_warns(source, geteuid() == 0 ? "user nobody, who the unit runs as, cannot read" : NULL);
	if (geteuid() == 0) {
		const struct passwd *nobody = getpwnam("nobody");

		assert_non_null(nobody);
		assert_int_equal(chown(path, 0, nobody->pw_gid), 0);
		assert_warns(source, "cannot read");			/* the folder is closed */
		assert_int_equal(chmod(dir, 0711), 0);
		assert_warns(source, NULL);
		assert_int_equal(chmod(dir, 0700), 0);
	}
	assert_int_equal(chmod(path, 0644), 0);
	assert_warns(source, "everyone on this machine may read");
	assert_int_equal(chmod(path, 0602), 0);
	assert_warns(source, "everyone on this machine may change");
	snprintf(source, sizeof(source), "{file: \"%s\"}", dir);
	assert_warns(source, "is no file");
	unsetenv("TEST_CONF_SECRET");
	assert_warns("{env: TEST_CONF_SECRET}", "has no TEST_CONF_SECRET");
	setenv("TEST_CONF_SECRET", "hunter2", 1);
	assert_warns("{env: TEST_CONF_SECRET}", NULL);
	unsetenv("TEST_CONF_SECRET");
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_warns("{credential: secret}", NULL);		/* only the service manager knows */
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	assert_warns("{credential: nothing}", "No such file");
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* ---- told to people ------------------------------------------------------------------------------ */

static void
collect(void *arg, const char *path, const struct conf_key *key)
{
	assert_non_null(key);
	buf_printf(arg, "%s\n", path);
}

static void
a_table_is_described_depth_first_with_the_words_that_bring_keys(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	conf_describe(top, collect, &b);
	buf_putc(&b, '\0');
	assert_non_null(strstr(b.p, "box\nbox.size\nbox.wait\npair\n"));
	assert_non_null(strstr(b.p, "sinks[]\nsinks[].name\n"));
	assert_non_null(strstr(b.p, "sinks[].auth.cloud\nsinks[].auth(secret).tenant\n"));
	buf_fini(&b);
}

static void
types_are_told_with_their_limits(void **state)
{
	char text[128], small[12];

	(void)state;
	conf_key_type_text(&box_keys[0], text, sizeof(text));
	assert_string_equal(text, "a size such as 64KiB, 64KiB to 1024TiB");
	conf_key_type_text(&summary_keys[0], text, sizeof(text));
	assert_string_equal(text, "a time such as 500ms, 5s or 10m, at least 1s");
	conf_key_type_text(&top[2], text, sizeof(text));
	assert_string_equal(text, "red, green, blue");
	conf_key_type_text(&top[2], small, sizeof(small));
	assert_non_null(strstr(small, "..."));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nodes_remember_their_lines_and_quotes, end),
		cmocka_unit_test_teardown(an_empty_file_is_an_empty_block, end),
		cmocka_unit_test_teardown(what_plain_data_does_not_need_is_refused, end),
		cmocka_unit_test_teardown(a_key_given_twice_names_both_lines, end),
		cmocka_unit_test_teardown(bytes_that_are_not_utf8_are_named_by_line, end),
		cmocka_unit_test_teardown(a_syntax_error_names_its_line_and_a_tab_is_pointed_out, end),
		cmocka_unit_test_teardown(depth_and_size_have_a_limit, end),
		cmocka_unit_test_teardown(the_nearest_word_is_found_and_a_far_one_is_not, end),
		cmocka_unit_test_teardown(problems_outlive_the_file_they_are_about_and_obey_no_terminal, end),
		cmocka_unit_test_teardown(fallbacks_stand_where_nothing_is_given, end),
		cmocka_unit_test_teardown(every_type_is_read, end),
		cmocka_unit_test_teardown(a_lone_text_is_a_list_of_one, end),
		cmocka_unit_test_teardown(a_list_whose_items_are_commented_out_is_absent, end),
		cmocka_unit_test_teardown(wrong_values_say_what_is_allowed, end),
		cmocka_unit_test_teardown(an_unknown_key_lists_the_known_ones_and_the_nearest, end),
		cmocka_unit_test_teardown(all_problems_are_told_at_once, end),
		cmocka_unit_test_teardown(a_check_may_look_at_neighbours_that_come_later, end),
		cmocka_unit_test_teardown(a_block_is_checked_as_a_whole, end),
		cmocka_unit_test_teardown(a_word_brings_its_own_keys, end),
		cmocka_unit_test_teardown(a_value_that_may_hold_a_password_is_not_shown, end),
		cmocka_unit_test_teardown(amounts_are_read_exactly, end),
		cmocka_unit_test_teardown(a_room_may_add_its_own_problem, end),
		cmocka_unit_test_teardown(very_many_problems_are_counted_but_not_all_kept, end),
		cmocka_unit_test_setup_teardown(drop_ins_are_joined_in_the_order_of_their_names, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_value_in_two_files_names_both, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_drop_in_may_fill_a_list_that_was_left_empty, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(faults_of_all_files_are_told, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_missing_file_is_a_problem_that_says_why, make_dir, drop_dir),
		cmocka_unit_test_teardown(a_literal_secret_is_refused_and_not_shown, end),
		cmocka_unit_test_setup_teardown(a_secret_comes_from_file_environment_or_credential, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(a_secret_that_cannot_be_had_says_where_and_why, make_dir, drop_dir),
		cmocka_unit_test_setup_teardown(secrets_are_looked_at_without_being_read, make_dir, drop_dir),
		cmocka_unit_test(a_table_is_described_depth_first_with_the_words_that_bring_keys),
		cmocka_unit_test(types_are_told_with_their_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
