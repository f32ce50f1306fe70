/* expect.c - looks at the agent and its world, and says what is not as the scenario wants it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "expect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/stat.h"
#include "script.h"
#include "site.h"
#include "spool/spool.h"
#include "tests/unit/far_side.h"

/* A COUNT that may be size(PATH). */
static uint64_t
wanted(const struct site *s, const struct step *p, size_t i)
{
	const char *arg = p->args[i];
	struct stat st = { 0 };
	char *path;

	if (strncmp(arg, "size(", 5) != 0)
		return step_count(p, i);
	path = site_expand(s, arg + 5);
	path[strlen(path) - 1] = '\0';
	(void)stat(path, &st);
	free(path);
	return (uint64_t)st.st_size;
}

static bool
equal(const char *what, uint64_t is, uint64_t want, char say[512])
{
	snprintf(say, 512, "%s: %llu, expected %llu", what, (unsigned long long)is, (unsigned long long)want);
	return is == want;
}

/* ---- far sides ------------------------------------------------------------------------- */

bool
expect_requests(struct site *s, const struct step *p, char say[512])
{
	return equal("requests", far_side_count(s->server), wanted(s, p, 0), say);
}

bool
expect_tokens(struct site *s, const struct step *p, char say[512])
{
	return equal("requests for a token", far_side_count(s->tokens), wanted(s, p, 0), say);
}

bool
expect_header(struct site *s, const struct step *p, char say[512])
{
	uint64_t n = step_count(p, 0);
	struct slice is;

	if (n < 1 || n > far_side_count(s->server)) {
		snprintf(say, 512, "there are %zu requests", far_side_count(s->server));
		return false;
	}
	is = far_side_header(far_side_request(s->server, n - 1), p->args[1]);
	snprintf(say, 512, "%s: %.*s, expected %s", p->args[1], SLICE_ARG(is), p->args[2]);
	return slice_eq(is, slice_of(p->args[2]));
}

enum want { ALL, NONE, TIMES };

static bool
judge(const struct site *s, const struct account *a, const struct step *p, size_t range, enum want want, uint64_t times,
    char say[512])
{
	unsigned from, to;

	step_range(p, range, &from, &to);
	if (a->flaw[0] != '\0') {
		snprintf(say, 512, "%s", a->flaw);
		return false;
	}
	for (unsigned n = from; n <= to; n++) {
		unsigned acked = n <= s->ledger.n ? a->acked[n] : 0, arrived = n <= s->ledger.n ? a->arrived[n] : 0;

		if ((want == ALL && acked == 0) || (want == NONE && acked > 0) || (want == TIMES && arrived != times)) {
			snprintf(say, 512, "record %u: came %u times, %u of them acknowledged", n, arrived, acked);
			return false;
		}
	}
	return true;
}

static bool
judge_server(struct site *s, const struct step *p, enum want want, uint64_t times, char say[512])
{
	struct account a;
	bool good;

	account_init(&a, &s->ledger);
	account_server(&a, s);
	good = judge(s, &a, p, 0, want, times, say);
	account_fini(&a);
	return good;
}

bool
expect_server_has(struct site *s, const struct step *p, char say[512])
{
	return judge_server(s, p, ALL, 0, say);
}

bool
expect_server_has_no(struct site *s, const struct step *p, char say[512])
{
	return judge_server(s, p, NONE, 0, say);
}

bool
expect_server_times(struct site *s, const struct step *p, char say[512])
{
	return judge_server(s, p, TIMES, step_count(p, 1), say);
}

/* ---- files ------------------------------------------------------------------------------- */

static bool
judge_file(struct site *s, const struct step *p, enum want want, char say[512])
{
	char *path = site_expand(s, p->args[0]);
	struct account a;
	bool good;

	account_init(&a, &s->ledger);
	account_file(&a, s, path);
	good = want == TIMES ? equal("lines", a.events, wanted(s, p, 1), say) : judge(s, &a, p, 1, want, 0, say);
	account_fini(&a);
	free(path);
	return good;
}

bool
expect_file_has(struct site *s, const struct step *p, char say[512])
{
	return judge_file(s, p, ALL, say);
}

bool
expect_file_has_no(struct site *s, const struct step *p, char say[512])
{
	return judge_file(s, p, NONE, say);
}

bool
expect_file_lines(struct site *s, const struct step *p, char say[512])
{
	return judge_file(s, p, TIMES, say);
}

/* ---- the dead letter --------------------------------------------------------------------- */

bool
expect_dead_has(struct site *s, const struct step *p, char say[512])
{
	struct account a;
	size_t n;
	bool good;

	account_init(&a, &s->ledger);
	account_dead(&a, s, NULL, &n);
	good = judge(s, &a, p, 0, ALL, 0, say);
	account_fini(&a);
	return good;
}

bool
expect_dead_letters(struct site *s, const struct step *p, char say[512])
{
	struct account a;
	size_t n;

	account_init(&a, &s->ledger);
	account_dead(&a, s, NULL, &n);
	account_fini(&a);
	return equal("dead letters", n, wanted(s, p, 0), say);
}

bool
expect_dead_says(struct site *s, const struct step *p, char say[512])
{
	struct account a;
	size_t n;

	account_init(&a, &s->ledger);
	account_dead(&a, s, p->args[0], &n);
	account_fini(&a);
	snprintf(say, 512, "no dead letter says \"%s\"", p->args[0]);
	return n > 0;
}

/* ---- counters and states ------------------------------------------------------------------ */

static struct stat_block *
block_of(const char *name, char say[512])
{
	struct stat_block *b = site_stats(name);

	if (b == NULL)
		snprintf(say, 512, "nothing is called %s, or the agent does not run", name);
	return b;
}

bool
expect_sink_state(struct site *s, const struct step *p, char say[512])
{
	static const char *const words[] = { "delivering", "waiting", "held" };
	struct stat_block *b = block_of(p->args[0], say);
	const char *want = strrchr(p->form->words, ' ') + 1;
	char said[320];
	uint64_t is;

	(void)s;
	if (b == NULL)
		return false;
	is = stat_get(b, STAT_SINK_STATE);
	stat_said(b, said);
	snprintf(say, 512, "the sink is %s (\"%s\"), expected %s", words[is % 3], said, want);
	return strcmp(words[is % 3], want) == 0;
}

bool
expect_says(struct site *s, const struct step *p, char say[512])
{
	struct stat_block *b = block_of(p->args[0], say);
	char said[320];

	(void)s;
	if (b == NULL)
		return false;
	stat_said(b, said);
	snprintf(say, 512, "it says \"%s\"", said);
	return strstr(said, p->args[1]) != NULL;
}

static bool
counter(const char *name, enum stat_id id, uint64_t want, char say[512])
{
	struct stat_block *b = block_of(name, say);

	return b != NULL && equal(stat_row(id)->name, stat_get(b, id), want, say);
}

bool
expect_cursor(struct site *s, const struct step *p, char say[512])
{
	return counter(p->args[0], STAT_SINK_CURSOR_SEQ, wanted(s, p, 1), say);
}

bool
expect_pending(struct site *s, const struct step *p, char say[512])
{
	return counter(p->args[0], STAT_SINK_PENDING, wanted(s, p, 1), say);
}

bool
expect_paused(struct site *s, const struct step *p, char say[512])
{
	(void)s;
	return counter(p->args[0], STAT_SOURCE_PAUSED, 1, say);
}

bool
expect_reading(struct site *s, const struct step *p, char say[512])
{
	(void)s;
	return counter(p->args[0], STAT_SOURCE_PAUSED, 0, say);
}

static bool
counter_by_name(struct site *s, const struct step *p, bool above, char say[512])
{
	struct stat_block *b = block_of(p->args[0], say);

	if (b == NULL)
		return false;
	for (int id = 0; id < STAT_COUNT; id++)
		if (strcmp(stat_row(id)->name, p->args[1]) == 0) {
			uint64_t is = stat_get(b, id), want = wanted(s, p, 2);

			snprintf(say, 512, "%s: %llu, expected %s%llu", p->args[1], (unsigned long long)is, above ? "more than " : "",
			    (unsigned long long)want);
			return above ? is > want : is == want;
		}
	snprintf(say, 512, "no counter is called %s", p->args[1]);
	return false;
}

bool
expect_counter(struct site *s, const struct step *p, char say[512])
{
	return counter_by_name(s, p, false, say);
}

bool
expect_counter_above(struct site *s, const struct step *p, char say[512])
{
	return counter_by_name(s, p, true, say);
}

bool
expect_at(struct site *s, const struct step *p, char say[512])
{
	int64_t is = site_source_at(s, p->args[0]);

	snprintf(say, 512, "the spool has its position %lld, expected %llu", (long long)is, (unsigned long long)wanted(s, p, 1));
	return is == (int64_t)wanted(s, p, 1);
}

bool
expect_events(struct site *s, const struct step *p, char say[512])
{
	return equal("events in the spool since ever", s->spool != NULL ? spool_durable_seq(s->spool) : 0, wanted(s, p, 0), say);
}

bool
expect_log(struct site *s, const struct step *p, char say[512])
{
	char path[256];
	struct buf b;
	struct err err;
	bool good;

	snprintf(path, sizeof(path), "%s/log", s->dir);
	buf_init(&b, 16u << 20);
	good = buf_read_file(&b, path, &err) == 0 && b.n > 0 && memmem(b.p, b.n, p->args[0], strlen(p->args[0])) != NULL;
	buf_fini(&b);
	snprintf(say, 512, "the log does not say it");
	return good;
}

bool
expect_delivered(struct site *s, const struct step *p, char say[512])
{
	(void)p;
	return ledger_complete(s, false, say);
}
