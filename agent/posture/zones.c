/* zones.c - which governance zone a resource is in: the first rule that matches, else the default. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "model/resource.h"
#include "posture/memory.h"

#define ID_BYTES	2048

static const struct conf_key rule_keys[] = {
	{ .name = "match", .type = CONF_TEXT, .flags = CONF_REQUIRED,
	  .help = "a resource id, * for any run of characters, such as /subscriptions/1111/* or arn:aws:sagemaker:*:210987654321:*; or an account: a "
	  "subscription's id, AWS's twelve digits, a project's name" },
	{ .name = "zone", .type = CONF_COUNT, .flags = CONF_REQUIRED, .least = 1, .most = 3, .help = "zone of what matches" },
	CONF_END
};

#define TERM	.type = CONF_TIME, .least = 3600000, .most = 3650.0 * 86400000

/* Absent ones are the control's for what is critical (requirements.tbl). */
static const struct conf_key term_keys[] = {
	{ .name = "severity", .type = CONF_WORD, .flags = CONF_REQUIRED, .allowed = "Critical|High|Medium|Low|Informational",
	  .help = "of a recommendation or attack path: the graver of EventSeverity and RiskLevel" },
	{ .name = "zone_1", TERM, .help = "how long it may stay in zone 1; absent: 30d, the control's term for what is critical" },
	{ .name = "zone_2", TERM, .help = "the same in zone 2; absent: 14d" },
	{ .name = "zone_3", TERM, .help = "the same in zone 3; absent: 72h" },
	CONF_END
};

const struct slice posture_severities[SEVERITIES] = {
	{ "Critical", 8 }, { "High", 4 }, { "Medium", 6 }, { "Low", 3 }, { "Informational", 13 },
};

const struct conf_key posture_zone_keys[] = {
	{ .name = "default", .type = CONF_COUNT, .fallback = "1", .least = 1, .most = 3,
	  .help = "zone of what no rule matches: 1 baseline, 2 recommended, 3 regulated" },
	{ .name = "rules", .type = CONF_BLOCKS, .keys = rule_keys, .help = "the first that matches counts" },
	{ .name = "terms", .type = CONF_BLOCKS, .keys = term_keys,
	  .help = "SlaDueTime by severity: how long after a weakness came up it must be mended. Without it every severity has the terms of a critical one" },
	CONF_END
};

static int
read_rules(struct posture *p, const struct conf *zones, struct err *err)
{
	size_t n = zones != NULL ? conf_blocks(zones, "rules") : 0;

	p->default_zone = zones != NULL ? (int)conf_count(zones, "default") : 1;
	p->rules = calloc(n + 1, sizeof(*p->rules));
	if (p->rules == NULL)
		return err_set(err, ERR_AGAIN, "no memory for zones");
	for (; p->nrules < n; p->nrules++) {
		const struct conf *rule = conf_block_at(zones, "rules", p->nrules);

		p->rules[p->nrules].zone = (int)conf_count(rule, "zone");
		p->rules[p->nrules].match = strdup(conf_text(rule, "match"));
		if (p->rules[p->nrules].match == NULL)
			return err_set(err, ERR_AGAIN, "no memory for zones");
		p->rules_mark = p->rules_mark * 31 + hash_stable(conf_text(rule, "match"), strlen(conf_text(rule, "match"))) +
		    (uint64_t)p->rules[p->nrules].zone;
	}
	p->rules_mark = p->rules_mark * 31 + (uint64_t)p->default_zone;
	return 0;
}

/* A later row on one severity changes what it names. */
static void
read_terms(struct posture *p, const struct conf *zones)
{
	static const char *const names[ZONES] = { "zone_1", "zone_2", "zone_3" };

	for (int s = 0; s < SEVERITIES; s++)
		for (int z = 0; z < ZONES; z++)
			p->term_ms[s][z] = (int64_t)requirement_rows[R_remediation].term_hours[z] * 3600000;
	for (size_t i = 0; zones != NULL && i < conf_blocks(zones, "terms"); i++) {
		const struct conf *row = conf_block_at(zones, "terms", i);

		for (int s = 0; s < SEVERITIES; s++)
			for (int z = 0; z < ZONES; z++)
				if (slice_eq(posture_severities[s], slice_of(conf_text(row, "severity"))) && conf_given(row, names[z]))
					p->term_ms[s][z] = (int64_t)conf_ms(row, names[z]);
	}
}

int
posture_open(struct posture **ret, const struct conf *zones, struct err *err)
{
	struct posture *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the posture");
	read_terms(p, zones);
	if (read_rules(p, zones, err) != 0 || memory_open(p, err) != 0) {
		posture_close(p);
		return -1;
	}
	*ret = p;
	return 0;
}

void
posture_close(struct posture *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->nrules; i++)
		free(p->rules[i].match);
	free(p->rules);
	memory_close(p);
	free(p);
}

/* The account, which the id of an Azure resource names itself. */
static struct slice
account_of(const struct event *e)
{
	struct azure_id id;

	if (azure_id_parse(event_text(e, F_TargetResourceId), &id) && id.subscription.n > 0)
		return id.subscription;
	return event_text(e, F_CloudAccountId);
}

/* As a resource id of its cloud would begin; empty without one. */
static struct slice
account_path(const struct event *e, struct slice account, char out[ID_BYTES])
{
	struct slice cloud = event_text(e, F_CloudProvider);
	const char *before = slice_eq(cloud, SLICE("Azure")) ? "/subscriptions/" : slice_eq(cloud, SLICE("GCP")) ? "projects/" : "";
	int n;

	if (account.n == 0 || account.n > ID_BYTES - 32)
		return SLICE_NONE;
	n = snprintf(out, ID_BYTES, "%s%.*s", before, SLICE_ARG(account));
	return slice_make(out, (size_t)n);
}

/* A pattern that ends in "/" and a star is meant to hold for what stands before the slash too. */
static bool
matches(const char *pattern, struct slice id)
{
	const size_t n = strlen(pattern);

	return slice_glob_nocase(slice_make(pattern, n), id) ||
	    (n > 2 && strcmp(pattern + n - 2, "/*") == 0 && slice_glob_nocase(slice_make(pattern, n - 2), id));
}

/* Of the first rule that fits, or 0. */
static int
rule_zone(struct posture *p, const struct event *e)
{
	struct slice id = event_text(e, F_TargetResourceId), account, path;
	char text[ID_BYTES];
	uint64_t key;
	size_t i;

	if (p->nrules == 0)
		return 0;
	account = account_of(e);
	path = account_path(e, account, text);
	key = (hash_keyed(id.p, id.n) * 31 + hash_keyed(path.p, path.n)) | 1;
	if (p->cache[key >> 56].key == key)
		return p->cache[key >> 56].zone;
	/* The id of a model or an agent may name no account: it counts beside the resource. */
	for (i = 0; i < p->nrules; i++)
		if (matches(p->rules[i].match, id) || matches(p->rules[i].match, path) || matches(p->rules[i].match, account))
			break;
	p->cache[key >> 56].key = key;
	p->cache[key >> 56].zone = i < p->nrules ? (uint8_t)p->rules[i].zone : 0;
	return p->cache[key >> 56].zone;
}

/* What another agent said of an event of its own holds where no rule here fits. */
int
posture_zone_of(struct posture *p, const struct event *e)
{
	int zone = rule_zone(p, e);
	int64_t said = event_number(e, F_GovernanceZone, 0);

	if (zone == 0 && said >= 1 && said <= ZONES)
		zone = (int)said;
	return zone != 0 ? zone : p->default_zone;
}

int
posture_account_zone(struct posture *p, const struct account *a)
{
	struct event e;

	event_init(&e);
	event_set_text(&e, F_CloudProvider, slice_of(provider_words[a->provider]));
	event_set_text(&e, F_CloudAccountId, slice_of(a->name));
	return posture_zone_of(p, &e);
}
