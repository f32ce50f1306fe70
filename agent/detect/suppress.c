/* suppress.c - the operator's list of findings not to be told for a while, with an end and a reason. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/suppress.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/stat.h"

#define RULES_MAX	1000

struct rule {
	const struct conf	*conf;		/* its match */
	enum field		*columns;
	size_t			 n;
	int64_t			 until_ms;
	struct stat_block	*stats;
};

struct suppress {
	struct rule	*rules;
	size_t		 n;
};

/* ---- settings -------------------------------------------------------------------------- */

/* "2026-12-31" is the end of that day. */
static bool
parse_until(const char *text, int64_t *ret_ms)
{
	char whole[32];

	if (time_parse_rfc3339(slice_of(text), ret_ms))
		return true;
	return strlen(text) == 10 && snprintf(whole, sizeof(whole), "%sT23:59:59.999Z", text) > 0 &&
	    time_parse_rfc3339(slice_of(whole), ret_ms);
}

static const char *
wrong_until(const struct conf *rule, const char *text)
{
	int64_t ms;

	(void)rule;
	return parse_until(text, &ms) ? NULL : "a day such as 2026-12-31 or a time such as 2026-12-31T12:00:00Z";
}

static const char *
wrong_reason(const struct conf *rule, const char *text)
{
	(void)rule;
	return slice_trim(slice_of(text)).n > 0 ? NULL : "a reason that a colleague will understand";
}

static bool
is_text(int column)
{
	return column >= 0 && field_rows[column].type == FIELD_TEXT;
}

const char *
suppress_wrong(const struct conf *rule, const char *text)
{
	(void)text;
	if (conf_map(rule, "match") == 0)
		return "match: at least one column and a pattern, such as {ActorUserId: \"svc-*\"}";
	for (size_t i = 0; i < conf_map(rule, "match"); i++)
		if (!is_text(field_find(slice_of(conf_map_key(rule, "match", i)))))
			return "match: names of text columns of the event, such as EventOriginalType, ActorUserId, TargetResourceId";
	return NULL;
}

const struct conf_key suppress_keys[] = {
	{ .name = "match", .type = CONF_MAP, .flags = CONF_REQUIRED,
	  .help = "columns of the finding and what they must be, without case, * for any run: {EventOriginalType: access.new_network, "
	  "ActorUserId: \"*:role/ci\"}; all must fit" },
	{ .name = "until", .type = CONF_TEXT, .flags = CONF_REQUIRED, .allowed = "a day or a time", .wrong = wrong_until,
	  .help = "findings from later are told again" },
	{ .name = "reason", .type = CONF_TEXT, .flags = CONF_REQUIRED, .wrong = wrong_reason, .help = "why; shown by status" },
	CONF_END
};

/* ---- rules --------------------------------------------------------------------------------- */

static int
open_rule(struct rule *r, const struct conf *conf, size_t number, struct err *err)
{
	char name[32], says[300];

	r->conf = conf;
	r->n = conf_map(conf, "match");
	r->columns = calloc(r->n, sizeof(*r->columns));
	snprintf(name, sizeof(name), "suppress-%zu", number + 1);
	r->stats = stat_make(STAT_DETECTOR, name, "suppress");
	if (r->columns == NULL || r->stats == NULL)
		return err_set(err, ERR_AGAIN, "no memory for detectors.suppress");
	for (size_t i = 0; i < r->n; i++)
		r->columns[i] = (enum field)field_find(slice_of(conf_map_key(conf, "match", i)));
	if (!parse_until(conf_text(conf, "until"), &r->until_ms))
		return err_set(err, ERR_CONFIG, "detectors.suppress: until: not a time");
	snprintf(says, sizeof(says), "until %.32s: %.220s", conf_text(conf, "until"), conf_text(conf, "reason"));
	stat_say(r->stats, says);
	return 0;
}

int
suppress_open(struct suppress **ret, const struct conf *detectors, struct err *err)
{
	size_t n = conf_blocks(detectors, "suppress");
	struct suppress *s;

	*ret = NULL;
	if (n == 0)
		return 0;
	if (n > RULES_MAX)
		return err_set(err, ERR_CONFIG, "detectors.suppress: %zu rules, at most %d", n, RULES_MAX);
	s = calloc(1, sizeof(*s));
	if (s == NULL || (s->rules = calloc(n, sizeof(*s->rules))) == NULL) {
		free(s);
		return err_set(err, ERR_AGAIN, "no memory for detectors.suppress");
	}
	for (s->n = 0; s->n < n; s->n++)
		if (open_rule(&s->rules[s->n], conf_block_at(detectors, "suppress", s->n), s->n, err) != 0) {
			s->n++;
			suppress_close(s);
			return -1;
		}
	*ret = s;
	return 0;
}

void
suppress_close(struct suppress *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++) {
		stat_drop(s->rules[i].stats);
		free(s->rules[i].columns);
	}
	free(s->rules);
	free(s);
}

static bool
matches(const struct rule *r, const struct event *e)
{
	if (event_number(e, F_TimeGenerated, 0) > r->until_ms)
		return false;
	for (size_t i = 0; i < r->n; i++)
		if (!event_has(e, r->columns[i]) ||
		    !slice_glob_nocase(slice_of(conf_map_value(r->conf, "match", i)), event_text(e, r->columns[i])))
			return false;
	return true;
}

size_t
suppress_filter(struct suppress *s, struct event_list *say, size_t from)
{
	size_t kept = from;

	if (s == NULL)
		return 0;
	for (size_t i = from; i < say->n; i++) {
		size_t k = 0;

		while (k < s->n && !matches(&s->rules[k], &say->v[i]))
			k++;
		if (k < s->n)
			stat_add(s->rules[k].stats, STAT_DETECTOR_SUPPRESSED, 1);
		else
			say->v[kept++] = say->v[i];
	}
	from = say->n - kept;
	say->n = kept;
	return from;
}
