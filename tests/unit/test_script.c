/* test_script.c - the reader of scenario files names file and line of what is wrong, and what is allowed there. */
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
#include <unistd.h>

#include <cmocka.h>

#include "tests/scenario/script.h"

static const struct form forms[] = {
	{ "config {", NULL, false },
	{ "run", NULL, false },
	{ "clock TIME", NULL, false },
	{ "server answer STATUS", NULL, false },
	{ "server answer STATUS x COUNT", NULL, false },
	{ "append PATH records COUNT", NULL, false },
	{ "append PATH text TEXT", NULL, false },
	{ "expect file PATH has records RANGE", NULL, true },
	{ "expect sink NAME cursor COUNT", NULL, true },
	{ NULL, NULL, false },
};

static char path[64], say[512];

/* A file of this text, read. */
static int
read_text(const char *text, struct script *ret)
{
	int fd, rc;

	snprintf(path, sizeof(path), "/tmp/aispm-script-XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	say[0] = '\0';
	rc = script_read(ret, path, forms, say);
	unlink(path);
	return rc;
}

/* It is refused at this line, with these words and this of what is allowed. */
static void
refused(const char *text, unsigned line, const char *words, const char *allowed)
{
	struct script s;
	char where[96];

	assert_int_equal(read_text(text, &s), -1);
	snprintf(where, sizeof(where), "%s:%u: ", path, line);
	if (strncmp(say, where, strlen(where)) != 0 || strstr(say, words) == NULL || strstr(strstr(say, "allowed: "), allowed) == NULL)
		fail_msg("%s", say);
}

static void
a_right_file_becomes_steps(void **state)
{
	struct script s;
	unsigned from, to;

	(void)state;
	assert_int_equal(read_text("# Its first comment\n\nconfig {\n  a: {b: c}   # stays\n}\nserver {\n  answer 503 x 3\n}\n"
	    "append $TMP/in.log text \"a \\\"b\\\"\\n # no comment\"   # one\nexpect file $TMP/o has records 3-7\n"
	    "expect sink s cursor size($TMP/in.log)\nclock +2m\n", &s), 0);
	assert_string_equal(s.about, "Its first comment");
	assert_int_equal(s.n, 6);
	assert_string_equal(s.steps[0].block, "  a: {b: c}   # stays\n");
	assert_string_equal(s.steps[1].form->words, "server answer STATUS x COUNT");
	assert_int_equal(s.steps[1].line, 7);
	assert_int_equal(step_count(&s.steps[1], 0), 503);
	assert_int_equal(step_count(&s.steps[1], 1), 3);
	assert_string_equal(s.steps[2].args[1], "a \"b\"\n # no comment");
	step_range(&s.steps[3], 1, &from, &to);
	assert_int_equal(from, 3);
	assert_int_equal(to, 7);
	assert_int_equal(step_ms(&s.steps[5], 0), 120000);
	script_free(&s);
}

static void
a_wrong_line_is_named_with_what_is_allowed(void **state)
{
	(void)state;
	refused("run\njump\n", 2, "\"jump\" is not expected", "run | clock TIME");
	refused("run now\n", 1, "\"now\" is not expected behind \"run\"", "run");
	refused("\n\nclock soon\n", 3, "\"soon\"", "a time such as");
	refused("server answer 999\n", 1, "\"999\"", "200 to 599");
	refused("server {\n  answer 204\n  answer 2o4\n}\n", 3, "\"2o4\"", "200 to 599");
	refused("append /etc/passwd records 3\n", 1, "\"/etc/passwd\"", "$TMP/");
	refused("append $TMP/../x records 3\n", 1, "\"$TMP/../x\"", "$TMP/");
	refused("append $TMP/x recrods 3\n", 1, "\"recrods\"", "append PATH records COUNT | append PATH text TEXT");
	refused("append $TMP/x records size($TMP/x)\n", 1, "\"size($TMP/x)\"", "a whole number");
	refused("expect file $TMP/o has records 7-3\n", 1, "\"7-3\"", "from-to");
	refused("expect sink\n", 1, "not complete", "expect sink NAME cursor COUNT");
	refused("append $TMP/x text \"never ends\n", 1, "cannot be split", "\\n");
	refused("append $TMP/x text \"\\q\"\n", 1, "cannot be split", "\\n");
	refused("run\nconfig {\n  a: b\n", 2, "the block has no end", "}");
	refused("server {\n  answer 204\n", 1, "the block has no end", "}");
	refused("# nothing\n", 1, "no step", "statements");
}

static void
a_missing_file_is_named(void **state)
{
	struct script s;

	(void)state;
	assert_int_equal(script_read(&s, "/nonesuch/a.scn", forms, say), -1);
	assert_non_null(strstr(say, "/nonesuch/a.scn"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_right_file_becomes_steps),
		cmocka_unit_test(a_wrong_line_is_named_with_what_is_allowed),
		cmocka_unit_test(a_missing_file_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
