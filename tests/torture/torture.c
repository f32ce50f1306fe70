/*
 * torture.c - every scenario again, and each time something else fails: the Nth system call, the Nth allocation, the power.
 *
 *     torture DIR-or-FILE            a sample of all N, in two minutes; SAMPLES=20: more of them, LONG=1: all, each with every reason
 *     torture FILE FAULT N[.REASON]  that one alone, with the agent's log and where it struck; `inline FAULT`: without a decode process
 *
 * Each runs as users have it, with records decoded in a process of their own; and what differs, or all by LONG=1, with decode inline.
 *
 * Expectations are passed over; what is judged are the promises. Nothing crashes, leaks or hangs; the spool never passes its limit;
 * an EventId is the same each time, the order is kept, lines are whole, nothing is set aside without need; and when faults have
 * stopped, everything is with every sink, without anybody having to start the agent anew for it.
 *
 * Benign, and why: a start that fails (the supervisor tries again, and so do we); a reload that fails (the operator repeats it);
 * records lost that were truncated away or moved out of sight before a troubled agent could read them (the manual says so);
 * close(2) is never failed (the descriptor is gone whatever it says).
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "faults.h"
#include "run/wall.h"
#include "tests/scenario/script.h"
#include "tests/scenario/site.h"
#include "tests/scenario/steps.h"
#include "tests/unit/far_side.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define SAMPLES		4
#define DRAIN_MS	150000
#define DRAINS		30		/* all in all more than an hour: a held sink knocks each 1 to 5 minutes */
#define TOLD		3		/* broken promises that are told of one row */

static uint64_t samples = SAMPLES;	/* of each row: SAMPLES in the environment, or all by LONG=1 */

struct run {
	struct site	 site;
	const struct script *script;
	const struct step *owed;	/* a reload that failed, to be repeated */
	char		 say[512];
	bool		 verbose;
};

static bool
begins(const struct step *p, const char *words)
{
	return strncmp(p->form->words, words, strlen(words)) == 0;
}

/* The supervisor: whoever is dead is buried and started again. */
static void
supervise(struct run *r)
{
	struct site *s = &r->site;
	struct err err = { 0 };

	if (s->killed) {
		bool wanted = s->wanted;

		site_bury(s);
		faults_lift();
		s->wanted = wanted;
	}
	if (s->wanted && s->intake == NULL && s->conf != NULL)
		(void)site_start(s, &err);
}

/* False: the scenario itself cannot go on. */
static bool
take_step(struct run *r, const struct step *p)
{
	bool done;

	if (p->form->expects)
		return true;
	done = p->form->act(&r->site, p, r->say);
	if (begins(p, "kill"))
		faults_new_disk();
	if (begins(p, "reload {") && !done)
		r->owed = p;
	supervise(r);
	/* What an agent in trouble did not do, or has not made yet, cannot be renamed either. */
	return done || !begins(p, "append");
}

static bool
drain(struct run *r)
{
	struct site *s = &r->site;

	for (int i = 0; i < DRAINS; i++) {
		if (!site_pass(s, i == 0 ? 5000 : DRAIN_MS)) {
			snprintf(r->say, sizeof(r->say), "%s", s->flaw);
			return false;
		}
		if (ledger_complete(s, true, r->say))
			return true;
	}
	return false;
}

/* Faults have stopped, and far sides say yes: is everything there? */
static bool
finish(struct run *r)
{
	struct site *s = &r->site;
	struct err err = { 0 };
	char why[512];

	supervise(r);
	faults_lift();
	far_side_forget_script(s->server);
	far_side_forget_script(s->tokens);
	far_side_otherwise(s->server, 204, NULL, NULL);
	far_side_otherwise(s->tokens, 200, NULL, "{\"access_token\":\"token-standing\",\"expires_in\":3600}");
	s->wanted = true;
	if (s->intake == NULL && site_start(s, &err) != 0) {
		snprintf(r->say, sizeof(r->say), "the agent does not start any more: %.300s", err.text);
		return false;
	}
	if (r->owed != NULL && !r->owed->form->act(s, r->owed, r->say))
		return false;
	if (drain(r))
		return true;
	snprintf(why, sizeof(why), "%s", r->say);
	site_stop(s);
	if (s->flaw[0] == '\0' && site_start(s, &err) == 0)
		snprintf(r->say, sizeof(r->say), "%.400s (%s)", why, drain(r) ? "until it is started anew" : "for good");
	return false;
}

/* Stops the world to look: once a row is enough. */
static bool
leaks(void)
{
#ifdef __SANITIZE_ADDRESS__
	return __lsan_do_recoverable_leak_check() != 0;
#else
	return false;
#endif
}

static bool
run_one(const struct script *script, enum fault fault, uint64_t nth, unsigned variant, bool verbose, struct fault_counts *ret, char say[512])
{
	struct run r = { .script = script, .verbose = verbose };
	bool good = true;

	site_open(&r.site, script->name);
	faults_begin(&r.site, fault, nth, variant);
	for (size_t i = 0; good && i < script->n; i++)
		good = take_step(&r, &script->steps[i]);
	if (ret != NULL)
		*ret = faults_counts();
	good = good && finish(&r);
	if (verbose)
		site_print_log(&r.site);
	snprintf(say, 512, "%.60s: %.440s", faults_hit(), r.say);
	site_close(&r.site);
	faults_end();
	return good;
}

/* A number of its own for each scenario, fault and sample, the same each time. */
static uint64_t
scatter(const char *name, enum fault fault, uint64_t i)
{
	uint64_t h = 1469598103934665603u + fault * 7919 + i * 104729;

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * 1099511628211u;
	return h >> 20;
}

static const char *
mode(void)
{
	return site_apart ? "" : "inline ";
}

/* One N, in LONG with each reason for which that call can fail. How many of these broke a promise. */
static unsigned
run_nth(const struct script *script, enum fault fault, uint64_t nth, unsigned told)
{
	unsigned failed = 0, variants = 1;
	char say[512];

	for (unsigned v = 0; v < variants; v++) {
		bool good = run_one(script, fault, nth, v, false, NULL, say);

		if (samples == UINT64_MAX)
			variants = faults_variants();
		if (!good && told + failed++ < TOLD)
			printf("# %s %s%s %llu.%u: %s\n", script->name, mode(), fault_words[fault], (unsigned long long)nth, v, say);
		fflush(stdout);
	}
	return failed;
}

static bool
run_row(const struct script *script, enum fault fault, uint64_t total, unsigned number)
{
	uint64_t n = samples < total ? samples : total;
	unsigned failed = 0;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t from = i * total / n, span = (i + 1) * total / n - from;

		failed += run_nth(script, fault, 1 + from + scatter(script->name, fault, i) % (span > 0 ? span : 1), failed);
	}
	if (leaks()) {
		printf("# %s %s%s: memory leaks; LONG=1 or the single N tell which\n", script->name, mode(), fault_words[fault]);
		failed++;
	}
	printf("%sok %u - %s, %s%s: %llu of %llu\n", failed > 0 ? "not " : "", number, script->name, mode(), fault_words[fault],
	    (unsigned long long)n, (unsigned long long)total);
	fflush(stdout);
	return failed == 0;
}

/* Without a decode process the agent allocates more by itself; its system calls are the same. */
static bool
is_to_be_run(enum fault f)
{
	return site_apart || samples == UINT64_MAX || f == FAULT_MEMORY || f == FAULT_SCARCE;
}

static unsigned
run_script(const char *path, unsigned *number)
{
	struct fault_counts counts;
	struct script script;
	unsigned failed = 0;
	char say[512];

	if (script_read(&script, path, scenario_forms, say) != 0) {
		printf("not ok %u - %s\n# %s\n", ++*number, path, say);
		return 1;
	}
	if (!run_one(&script, FAULT_NONE, 0, 0, false, &counts, say)) {
		printf("not ok %u - %s, %swithout a fault\n# %s\n", ++*number, script.name, mode(), say);
		failed++;
	} else {
		for (enum fault f = FAULT_NONE + 1; f < FAULTS; f++)
			if (is_to_be_run(f) && fault_count(&counts, f) > 0)
				failed += !run_row(&script, f, fault_count(&counts, f), ++*number);
	}
	script_free(&script);
	return failed;
}

static int
replay(const char *path, const char *word, const char *nth)
{
	char say[512];
	struct script script;
	enum fault fault = FAULTS - 1;
	char *rest;
	uint64_t n = strtoull(nth, &rest, 10);
	unsigned variant = *rest == '.' ? (unsigned)strtoul(rest + 1, NULL, 10) : 0;
	bool good;

	while (fault > FAULT_NONE && strcmp(fault_words[fault], word) != 0)
		fault--;
	if (script_read(&script, path, scenario_forms, say) != 0) {
		fprintf(stderr, "torture: %s\n", say);
		return 65;
	}
	faults_trace = true;
	good = run_one(&script, fault, n, variant, true, NULL, say) && !leaks();
	printf("%sok 1 - %s %s%s %s: %s\n1..1\n", good ? "" : "not ", script.name, mode(), word, nth, say);
	script_free(&script);
	return !good;
}

int
main(int argc, char **argv)
{
	unsigned number = 0, failed = 0;
	char pattern[4096];
	glob_t found;

	if (getenv("SAMPLES") != NULL)
		samples = strtoull(getenv("SAMPLES"), NULL, 10);
	if (getenv("LONG") != NULL && strcmp(getenv("LONG"), "1") == 0)
		samples = UINT64_MAX;
	if (argc > 1 && strcmp(argv[1], WALL_COMMAND) == 0)
		return wall_worker(argc - 2, argv + 2);
	site_apart = argc != 5 || strcmp(argv[2], "inline") != 0;
	if (argc == 4 || (argc == 5 && !site_apart))
		return replay(argv[1], argv[argc - 2], argv[argc - 1]);
	if (argc != 2) {
		fprintf(stderr, "usage: torture DIR-or-FILE | torture FILE [inline] FAULT N[.REASON]\n");
		return 64;
	}
	snprintf(pattern, sizeof(pattern), "%s/*.scn", argv[1]);
	if (glob(pattern, 0, NULL, &found) != 0 && glob(argv[1], 0, NULL, &found) != 0) {
		fprintf(stderr, "torture: %s: no scenario there\n", argv[1]);
		return 66;
	}
	for (size_t i = 0; i < 2 * found.gl_pathc; i++) {
		site_apart = i % 2 == 0;
		failed += run_script(found.gl_pathv[i / 2], &number);
	}
	globfree(&found);
	printf("1..%u\n", number);
	return failed > 0;
}
