/* steps.c - what a scenario does to the agent and its world. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "expect.h"
#include "site.h"
#include "tests/unit/far_side.h"

static bool
world(const char *what, char say[512])
{
	snprintf(say, 512, "%s: %s", what, strerror(errno));
	return false;
}

/* ---- settings, and the agent's life ------------------------------------------------- */

static bool
do_config(struct site *s, const struct step *p, char say[512])
{
	return site_configure(s, p->block, say) == 0;
}

static bool
do_spool(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	s->spool_bytes = step_bytes(p, 0);
	return true;
}

static bool
do_start(struct site *s, const struct step *p, char say[512])
{
	struct err err = { 0 };

	(void)p;
	if (s->conf == NULL) {
		snprintf(say, 512, "there is no config yet");
		return false;
	}
	if (s->intake == NULL && site_start(s, &err) != 0) {
		snprintf(say, 512, "the agent does not start: %s", err.text);
		return false;
	}
	return true;
}

static bool
do_stop(struct site *s, const struct step *p, char say[512])
{
	(void)p;
	(void)say;
	s->wanted = false;
	site_stop(s);
	return true;
}

static bool
do_restart(struct site *s, const struct step *p, char say[512])
{
	return do_stop(s, p, say) && do_start(s, p, say);
}

static bool
do_kill(struct site *s, const struct step *p, char say[512])
{
	(void)p;
	(void)say;
	s->wanted = false;
	if (s->intake != NULL && !s->killed)
		site_snapshot(s);
	if (s->killed)
		site_bury(s);
	return true;
}

static bool
do_reload(struct site *s, const struct step *p, char say[512])
{
	return site_reload(s, p->block, say) == 0;
}

static bool
do_reload_refused(struct site *s, const struct step *p, char say[512])
{
	if (site_reload(s, p->block, say) != 0)
		return true;
	snprintf(say, 512, "the new configuration is taken");
	return false;
}

static bool
do_run(struct site *s, const struct step *p, char say[512])
{
	if (s->intake == NULL && !do_start(s, p, say))
		return false;
	snprintf(say, 512, "%s", s->flaw);
	return site_pass(s, 100) || (snprintf(say, 512, "%s", s->flaw), false);
}

static bool
do_clock(struct site *s, const struct step *p, char say[512])
{
	return site_pass(s, step_ms(p, 0)) || (snprintf(say, 512, "%s", s->flaw), false);
}

/* ---- far sides ------------------------------------------------------------------------- */

static struct far_side *
side_of(struct site *s, const struct step *p)
{
	return strncmp(p->form->words, "tokens", 6) == 0 ? s->tokens : s->server;
}

static bool
do_answer(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_answer(side_of(s, p), (int)step_count(p, 0), NULL, NULL);
	return true;
}

static bool
do_answer_times(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	for (uint64_t i = 0; i < step_count(p, 1); i++)
		far_side_answer(side_of(s, p), (int)step_count(p, 0), NULL, NULL);
	return true;
}

static bool
do_answer_retry_after(struct site *s, const struct step *p, char say[512])
{
	char header[64];

	(void)say;
	snprintf(header, sizeof(header), "Retry-After: %llu\r\n", (unsigned long long)step_count(p, 1));
	far_side_answer(side_of(s, p), (int)step_count(p, 0), header, NULL);
	return true;
}

static bool
do_answer_says(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_answer(side_of(s, p), (int)step_count(p, 0), NULL, p->args[1]);
	return true;
}

static bool
do_token(struct site *s, const struct step *p, char say[512])
{
	char body[512];

	(void)say;
	snprintf(body, sizeof(body), "{\"access_token\":\"%.200s\",\"expires_in\":%llu}", p->args[0],
	    (unsigned long long)step_count(p, 1));
	far_side_answer(s->tokens, 200, NULL, body);
	return true;
}

static bool
do_otherwise(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_otherwise(side_of(s, p), (int)step_count(p, 0), NULL, NULL);
	return true;
}

static bool
do_lose_before(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_drop_before(side_of(s, p));
	return true;
}

static bool
do_lose_after(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_drop_after(side_of(s, p));
	return true;
}

static bool
do_cut(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_cut_answer(side_of(s, p), (int)step_count(p, 0), "half of these words are all that is said");
	return true;
}

static bool
do_stall(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_stall(side_of(s, p));
	return true;
}

static bool
do_release(struct site *s, const struct step *p, char say[512])
{
	(void)say;
	far_side_release(side_of(s, p));
	return true;
}

static bool
do_refuse(struct site *s, const struct step *p, char say[512])
{
	unsigned from, to;

	(void)say;
	step_range(p, 1, &from, &to);
	for (unsigned n = from; n <= to && n <= LEDGER_RECORDS; n++) {
		char words[32];

		snprintf(words, sizeof(words), "scn-%06u", n);
		far_side_refuse(s->server, words, (int)step_count(p, 0));
		s->ledger.v[n].refused = true;
	}
	return true;
}

/* ---- files ---------------------------------------------------------------------------------- */

size_t
step_record(unsigned number, bool broken, char ret[1024])
{
	int n = snprintf(ret, 1024, "{\"time\":\"2026-01-31T11:%02u:%02u.%03uZ\",\"resourceId\":\"/SUBSCRIPTIONS/11111111-1111-1111-1111-"
	    "111111111111/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/SCN\",\"operationName\":"
	    "\"MICROSOFT.COGNITIVESERVICES/ACCOUNTS/WRITE\",\"category\":\"Administrative\",\"resultType\":\"Success\","
	    "\"resultSignature\":\"Succeeded.\",\"correlationId\":\"scn-%06u\",\"level\":\"Information\",\"location\":\"global\"%s",
	    number / 60000 % 60, number / 1000 % 60, number % 1000, number, broken ? "" : "}");

	return (size_t)n;
}

static bool
append_bytes(const struct site *s, const char *path, const char *p, size_t n, char say[512])
{
	char *expanded = site_expand(s, path);
	int fd = open(expanded, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, p, n) == (ssize_t)n;

	if (fd >= 0)
		close(fd);
	free(expanded);
	return good || world(path, say);
}

static bool
append_records(struct site *s, const struct step *p, bool broken, char say[512])
{
	struct buf b;
	char one[1024];
	bool good;

	buf_init(&b, 64u << 20);
	for (uint64_t i = 0; i < step_count(p, 1); i++) {
		bool refused = s->ledger.v[s->ledger.n + 1].refused;
		unsigned n = ledger_add(&s->ledger, p->args[0], broken);

		s->ledger.v[n].refused = refused;
		buf_put(&b, one, step_record(n, broken, one));
		buf_putc(&b, '\n');
	}
	good = append_bytes(s, p->args[0], b.p, b.n, say);
	buf_fini(&b);
	return good;
}

static bool
do_append_records(struct site *s, const struct step *p, char say[512])
{
	return append_records(s, p, false, say);
}

static bool
do_append_broken(struct site *s, const struct step *p, char say[512])
{
	return append_records(s, p, true, say);
}

static bool
do_append_half(struct site *s, const struct step *p, char say[512])
{
	char one[1024];
	unsigned n = ledger_add(&s->ledger, p->args[0], false);

	s->ledger.v[n].written = false;
	return append_bytes(s, p->args[0], one, step_record(n, false, one) / 2, say);
}

/* The other half of the newest record. */
static bool
do_append_rest(struct site *s, const struct step *p, char say[512])
{
	char one[1024];
	size_t len = step_record(s->ledger.n, false, one);

	s->ledger.v[s->ledger.n].written = true;
	one[len++] = '\n';
	return append_bytes(s, p->args[0], one + (len - 1) / 2, len - (len - 1) / 2, say);
}

static bool
do_append_text(struct site *s, const struct step *p, char say[512])
{
	return append_bytes(s, p->args[0], p->args[1], strlen(p->args[1]), say);
}

static bool
do_append_sample(struct site *s, const struct step *p, char say[512])
{
	const char *slash = strchr(p->args[1], '/');
	char path[1024];
	struct buf b;
	struct err err = { 0 };
	bool good;

	snprintf(path, sizeof(path), "%s/schemas/%.*s/samples/%s.in.json", getenv("AISPM_DATA_DIR"),
	    (int)(slash != NULL ? slash - p->args[1] : 0), p->args[1], slash != NULL ? slash + 1 : p->args[1]);
	buf_init(&b, 16u << 20);
	if (buf_read_file(&b, path, &err) != 0) {
		snprintf(say, 512, "%s", err.text);
		buf_fini(&b);
		return false;
	}
	for (size_t i = 0; i < b.n; i++)		/* a record a line */
		if (b.p[i] == '\n')
			b.p[i] = ' ';
	buf_putc(&b, '\n');
	good = append_bytes(s, p->args[0], b.p, b.n, say);
	buf_fini(&b);
	return good;
}

static bool
do_rename(struct site *s, const struct step *p, char say[512])
{
	char *from = site_expand(s, p->args[0]), *to = site_expand(s, p->args[1]);
	bool good = rename(from, to) == 0;

	ledger_rotated(s, p->args[0], !site_is_read(s, to));
	free(from);
	free(to);
	return good || world("rename", say);
}

static bool
do_copytruncate(struct site *s, const struct step *p, char say[512])
{
	char *from = site_expand(s, p->args[0]);
	struct buf b;
	struct err err = { 0 };
	bool good;

	buf_init(&b, 64u << 20);
	good = buf_read_file(&b, from, &err) == 0 && append_bytes(s, p->args[1], b.p, b.n, say) && truncate(from, 0) == 0;
	buf_fini(&b);
	free(from);
	ledger_rotated(s, p->args[0], true);
	return good || world("copytruncate", say);
}

/* For the agent it is gone; what a sink had written into it counts all the same. */
static bool
do_remove(struct site *s, const struct step *p, char say[512])
{
	char *path = site_expand(s, p->args[0]), gone[512];
	bool out = strncmp(p->args[0], "$TMP/out/", 9) == 0, good;

	snprintf(gone, sizeof(gone), "%.400s.removed%u", path, s->nremoved++);
	good = (out ? rename(path, gone) : unlink(path)) == 0;
	free(path);
	ledger_rotated(s, p->args[0], true);
	return good || world("remove", say);
}

static bool
do_mkdir(struct site *s, const struct step *p, char say[512])
{
	char *path = site_expand(s, p->args[0]);
	bool good = mkdir(path, 0700) == 0;

	free(path);
	return good || world("mkdir", say);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define SIDE(word) \
	{ word " answer STATUS", do_answer, false }, \
	{ word " answer STATUS x COUNT", do_answer_times, false }, \
	{ word " answer STATUS retry-after COUNT", do_answer_retry_after, false }, \
	{ word " answer STATUS says TEXT", do_answer_says, false }, \
	{ word " otherwise STATUS", do_otherwise, false }, \
	{ word " lose before", do_lose_before, false }, \
	{ word " lose after", do_lose_after, false }, \
	{ word " cut STATUS", do_cut, false }, \
	{ word " stall", do_stall, false }, \
	{ word " release", do_release, false }

const struct form scenario_forms[] = {
	{ "config {", do_config, false },
	{ "spool BYTES", do_spool, false },
	{ "start", do_start, false },
	{ "stop", do_stop, false },
	{ "restart", do_restart, false },
	{ "kill", do_kill, false },
	{ "reload {", do_reload, false },
	{ "reload refused {", do_reload_refused, false },
	{ "run", do_run, false },
	{ "clock TIME", do_clock, false },
	SIDE("server"),
	{ "server refuse STATUS record RANGE", do_refuse, false },
	SIDE("tokens"),
	{ "tokens give NAME lasting COUNT", do_token, false },
	{ "append PATH records COUNT", do_append_records, false },
	{ "append PATH broken COUNT", do_append_broken, false },
	{ "append PATH half", do_append_half, false },
	{ "append PATH rest", do_append_rest, false },
	{ "append PATH text TEXT", do_append_text, false },
	{ "append PATH sample NAME", do_append_sample, false },
	{ "rename PATH PATH", do_rename, false },
	{ "copytruncate PATH PATH", do_copytruncate, false },
	{ "remove PATH", do_remove, false },
	{ "mkdir PATH", do_mkdir, false },
	{ "expect requests COUNT", expect_requests, true },
	{ "expect tokens COUNT", expect_tokens, true },
	{ "expect request COUNT header NAME TEXT", expect_header, true },
	{ "expect server has records RANGE", expect_server_has, true },
	{ "expect server has no record RANGE", expect_server_has_no, true },
	{ "expect server got record RANGE times COUNT", expect_server_times, true },
	{ "expect file PATH has records RANGE", expect_file_has, true },
	{ "expect file PATH has no record RANGE", expect_file_has_no, true },
	{ "expect file PATH lines COUNT", expect_file_lines, true },
	{ "expect dead has records RANGE", expect_dead_has, true },
	{ "expect dead letters COUNT", expect_dead_letters, true },
	{ "expect dead says TEXT", expect_dead_says, true },
	{ "expect sink NAME delivering", expect_sink_state, true },
	{ "expect sink NAME waiting", expect_sink_state, true },
	{ "expect sink NAME held", expect_sink_state, true },
	{ "expect sink NAME says TEXT", expect_says, true },
	{ "expect sink NAME cursor COUNT", expect_cursor, true },
	{ "expect sink NAME pending COUNT", expect_pending, true },
	{ "expect source NAME paused", expect_paused, true },
	{ "expect source NAME reading", expect_reading, true },
	{ "expect source NAME at COUNT", expect_at, true },
	{ "expect counter NAME NAME COUNT", expect_counter, true },
	{ "expect counter NAME NAME above COUNT", expect_counter_above, true },
	{ "expect spool events COUNT", expect_events, true },
	{ "expect log TEXT", expect_log, true },
	{ "expect delivered", expect_delivered, true },
	{ NULL, NULL, false },
};
