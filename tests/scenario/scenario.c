/*
 * scenario.c - runs scenario files (*.scn) and reports in TAP: scenario DIR-or-FILE...
 *
 * Each runs twice: with records decoded in a process of their own, and in the agent's.
 * A scenario passes when each step does what it says and, at the end, no promise that always holds was broken. When one fails,
 * FILE:LINE, what was expected and what is are told, and the agent's log follows.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "run/wall.h"
#include "script.h"
#include "site.h"
#include "steps.h"

/* False: `where` is the line, or 0 for a promise. */
static bool
play(const struct script *script, struct site *s, unsigned *ret_line, char say[512])
{
	for (size_t i = 0; i < script->n; i++) {
		const struct step *p = &script->steps[i];

		*ret_line = p->line;
		if (!p->form->act(s, p, say))
			return false;
	}
	*ret_line = 0;
	return s->conf == NULL || ledger_sound(s, say);
}

static bool
run_file(const char *path, unsigned number)
{
	char say[512] = "";
	struct script script;
	struct site site;
	unsigned line = 0;
	bool good;

	if (script_read(&script, path, scenario_forms, say) != 0) {
		printf("not ok %u - %s\n# %s\n", number, path, say);
		return false;
	}
	site_open(&site, script.name);
	good = play(&script, &site, &line, say);
	printf("%sok %u - %s, decode %s: %s\n", good ? "" : "not ", number, script.name, site_apart ? "process" : "inline", script.about);
	if (!good && line > 0)
		printf("# %s:%u: %s\n", path, line, say);
	else if (!good)
		printf("# %s: a promise is broken: %s\n", path, say);
	if (!good)
		site_print_log(&site);
	fflush(stdout);
	site_close(&site);
	script_free(&script);
	return good;
}

int
main(int argc, char **argv)
{
	unsigned count = 0, failed = 0;

	if (argc > 1 && strcmp(argv[1], WALL_COMMAND) == 0)
		return wall_worker(argc - 2, argv + 2);
	for (int i = 1; i < argc; i++) {
		char pattern[4096];
		struct stat st;
		glob_t found;

		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			snprintf(pattern, sizeof(pattern), "%s/*.scn", argv[i]);
		else
			snprintf(pattern, sizeof(pattern), "%s", argv[i]);
		if (glob(pattern, 0, NULL, &found) != 0) {
			fprintf(stderr, "scenario: %s: no scenario there\n", argv[i]);
			return 66;
		}
		for (size_t k = 0; k < 2 * found.gl_pathc; k++) {
			site_apart = k % 2 == 0;
			failed += !run_file(found.gl_pathv[k / 2], ++count);
		}
		globfree(&found);
	}
	if (count == 0) {
		fprintf(stderr, "usage: scenario DIR-or-FILE...\n");
		return 64;
	}
	printf("1..%u\n", count);
	return failed > 0;
}
