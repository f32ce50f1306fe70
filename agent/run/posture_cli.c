/* posture_cli.c - the `posture` command: does control 1.24 hold, requirement by requirement, and what says so. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "run/cli.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/conf.h"
#include "base/err.h"
#include "detect/detect.h"
#include "posture/posture.h"
#include "run/agent.h"
#include "sinks/send.h"
#include "spool/spool.h"

#define REPORT_BYTES	(1u << 20)

struct report {
	struct buf	 json;
	FILE		*out;
	bool		 as_json, any, colour;
	unsigned	 counts[3];
	int		 zone;
};

static void
put_member(struct buf *b, const char *before, const char *text)
{
	buf_puts(b, before);
	buf_put_json(b, slice_of(text));
}

static void
see_row(void *arg, const struct posture_row *row)
{
	static const char *const colours[] = { "\033[32m", "\033[31m", "\033[33m" };
	struct report *r = arg;
	const char *word = posture_result_word(row->result);
	char evidence[1024];

	r->counts[row->result]++;
	if (r->as_json) {
		put_member(&r->json, r->any ? ",{\"requirement\":" : "{\"requirement\":", row->requirement);
		put_member(&r->json, ",\"title\":", row->title);
		buf_printf(&r->json, ",\"zone\":%d", row->zone);
		put_member(&r->json, ",\"need\":", posture_need_word(row->need));
		put_member(&r->json, ",\"result\":", word);
		put_member(&r->json, ",\"evidence\":", row->evidence);
		buf_putc(&r->json, '}');
		r->any = true;
		return;
	}
	snprintf(evidence, sizeof(evidence), "%s", row->evidence);
	utf8_make_plain(evidence, strlen(evidence));
	if (row->zone != r->zone)
		fprintf(r->out, "%szone %d\n", r->zone != 0 ? "\n" : "", row->zone);
	r->zone = row->zone;
	fprintf(r->out, "  %s%-7s%s  %s (%s)\n           %s\n", r->colour ? colours[row->result] : "", word,
	    r->colour ? "\033[0m" : "", row->title, posture_need_word(row->need), evidence);
}

/* What the configuration says of delivery and detection. */
static bool
has_acked(const struct conf *conf, const char *sink)
{
	const char *state_dir = conf_text(conf_block(conf, "agent"), "state_dir");
	char dir[4096];
	uint64_t seq = 0;

	return state_path(state_dir, "spool", dir, sizeof(dir), NULL) == 0 && spool_cursor_peek(dir, sink, &seq) && seq > 0;
}

static void
facts_of(const struct conf *conf, struct posture_facts *ret)
{
	const struct conf *detectors = conf_block(conf, "detectors");

	*ret = (struct posture_facts){ .detectors = true };
	for (size_t i = 0; i < conf_blocks(conf, "sinks"); i++) {
		const struct conf *item = conf_block_at(conf, "sinks", i);

		if (!send_takes(item, "alert") || !send_takes(item, "volume_spike"))
			continue;
		if (ret->alert_sink == NULL || (!ret->alert_acked && has_acked(conf, conf_text(item, "name")))) {
			ret->alert_sink = conf_text(item, "name");
			ret->alert_acked = has_acked(conf, ret->alert_sink);
		}
		if (ret->sentinel_sink == NULL && strcmp(conf_text(item, "type"), "sentinel") == 0)
			ret->sentinel_sink = conf_text(item, "name");
		if (ret->sentinel_sink == conf_text(item, "name"))
			ret->sentinel_acked = has_acked(conf, ret->sentinel_sink);
	}
	for (const struct conf_key *k = detect_keys; k->name != NULL; k++)
		if (k->type == CONF_BLOCK && !conf_bool(conf_block(detectors, k->name), "enabled"))
			ret->detectors = false;
}

static void
finish(struct report *r)
{
	if (r->as_json)
		fprintf(r->out, "{\"control\":\"1.24\",\"pass\":%u,\"fail\":%u,\"unknown\":%u,\"requirements\":[%.*s]}\n", r->counts[0],
		    r->counts[1], r->counts[2], (int)r->json.n, r->json.p != NULL ? r->json.p : "");
	else
		fprintf(r->out, "\n%u pass, %u fail, %u unknown\n", r->counts[0], r->counts[1], r->counts[2]);
}

int
posture_look(const struct conf *conf, void (*see)(void *arg, const struct posture_row *), void *arg, struct err *err)
{
	const char *state_dir = conf_text(conf_block(conf, "agent"), "state_dir");
	struct posture *posture = NULL;
	struct posture_facts facts;
	int rc;

	if (posture_open(&posture, conf_block(conf, "zones"), err) != 0)
		return -1;
	rc = intake_posture(posture, state_dir, err) != 0;
	if (rc == 1 && err->sys != 0 && err->sys != ENOENT) {
		posture_close(posture);
		return -1;
	}
	facts_of(conf, &facts);
	posture_report(posture, &facts, (int64_t)clock_wall_ms(), see, arg);
	posture_close(posture);
	return rc;
}

int
posture_cli(const struct conf *conf, bool json, FILE *out)
{
	struct report r = { .out = out, .as_json = json, .colour = !json && isatty(fileno(out)) };
	struct err err = { 0 };
	int status = EX_IOERR, rc;

	buf_init(&r.json, REPORT_BYTES);
	rc = posture_look(conf, see_row, &r, &err);
	if (rc == -1)
		fprintf(stderr, "aispm-agent: %s\n", err.text);
	else if (rc == 1)
		fprintf(stderr, "aispm-agent: nothing is known of this estate yet: %s; what the agent reads is judged after its first minute\n",
		    err.text);
	if (rc != -1) {
		finish(&r);
		status = fflush(out) != 0 ? EX_IOERR : r.counts[POSTURE_FAIL] > 0 ? 1 : 0;
	}
	buf_fini(&r.json);
	return status;
}
