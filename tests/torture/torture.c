/*
 * torture.c - every scenario again, and each time something else fails: the Nth system call, the Nth allocation, the power.
 *
 *     torture DIR-or-FILE         a sample of all N, in less than a minute; SAMPLES=20: more of them, LONG=1: all
 *     torture FILE FAULT N        that one alone, with the agent's log and where it struck
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
#include "tests/scenario/script.h"
#include "tests/scenario/site.h"
#include "tests/scenario/steps.h"
#include "tests/unit/far_side.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#endif

#define SAMPLES		6
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
run_one(const struct script *script, enum fault fault, uint64_t nth, bool verbose, uint64_t *ret_calls, uint64_t *ret_allocations,
    char say[512])
{
	struct run r = { .script = script, .verbose = verbose };
	bool good = true;

	site_open(&r.site, script->name);
	faults_begin(&r.site, fault, nth);
	for (size_t i = 0; good && i < script->n; i++)
		good = take_step(&r, &script->steps[i]);
	if (ret_calls != NULL) {
		*ret_calls = faults_calls();
		*ret_allocations = faults_allocations();
	}
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

static bool
run_row(const struct script *script, enum fault fault, uint64_t total, unsigned number)
{
	uint64_t n = samples < total ? samples : total;
	unsigned failed = 0;
	char say[512];

	for (uint64_t i = 0; i < n; i++) {
		uint64_t from = i * total / n, span = (i + 1) * total / n - from;
		uint64_t nth = 1 + from + scatter(script->name, fault, i) % (span > 0 ? span : 1);

		if (run_one(script, fault, nth, false, NULL, NULL, say))
			continue;
		if (failed++ < TOLD)
			printf("# %s %s %llu: %s\n", script->name, fault_words[fault], (unsigned long long)nth, say);
		fflush(stdout);
	}
	if (leaks()) {
		printf("# %s %s: memory leaks; LONG=1 or the single N tell which\n", script->name, fault_words[fault]);
		failed++;
	}
	printf("%sok %u - %s, %s: %llu of %llu\n", failed > 0 ? "not " : "", number, script->name, fault_words[fault],
	    (unsigned long long)n, (unsigned long long)total);
	fflush(stdout);
	return failed == 0;
}

static unsigned
run_script(const char *path, unsigned *number)
{
	uint64_t calls = 0, allocations = 0;
	struct script script;
	unsigned failed = 0;
	char say[512];

	if (script_read(&script, path, scenario_forms, say) != 0) {
		printf("not ok %u - %s\n# %s\n", ++*number, path, say);
		return 1;
	}
	if (!run_one(&script, FAULT_NONE, 0, false, &calls, &allocations, say)) {
		printf("not ok %u - %s, without a fault\n# %s\n", ++*number, script.name, say);
		failed++;
	} else {
		for (enum fault f = FAULT_NONE + 1; f < FAULTS; f++)
			failed += !run_row(&script, f, f == FAULT_MEMORY || f == FAULT_SCARCE ? allocations : calls, ++*number);
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
	bool good;

	while (fault > FAULT_NONE && strcmp(fault_words[fault], word) != 0)
		fault--;
	if (script_read(&script, path, scenario_forms, say) != 0) {
		fprintf(stderr, "torture: %s\n", say);
		return 65;
	}
	faults_trace = true;
	good = run_one(&script, fault, strtoull(nth, NULL, 10), true, NULL, NULL, say) && !leaks();
	printf("%sok 1 - %s %s %s: %s\n1..1\n", good ? "" : "not ", script.name, word, nth, say);
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
	if (argc == 4)
		return replay(argv[1], argv[2], argv[3]);
	if (argc != 2) {
		fprintf(stderr, "usage: torture DIR-or-FILE | torture FILE FAULT N\n");
		return 64;
	}
	snprintf(pattern, sizeof(pattern), "%s/*.scn", argv[1]);
	if (glob(pattern, 0, NULL, &found) != 0 && glob(argv[1], 0, NULL, &found) != 0) {
		fprintf(stderr, "torture: %s: no scenario there\n", argv[1]);
		return 66;
	}
	for (size_t i = 0; i < found.gl_pathc; i++)
		failed += run_script(found.gl_pathv[i], &number);
	globfree(&found);
	printf("1..%u\n", number);
	return failed > 0;
}
