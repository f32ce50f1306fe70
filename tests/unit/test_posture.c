/* test_posture.c - zones and terms onto events, what is remembered of them, and the report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "posture/posture.h"

#define HOUR	INT64_C(3600000)
#define DAY	(24 * HOUR)
#define NOW	INT64_C(1790553600000)
#define SUB	"/subscriptions/1111"

static const struct conf_key top[] = {
	{ .name = "zones", .type = CONF_BLOCK, .keys = posture_zone_keys, .help = "" },
	CONF_END
};

struct bench {
	struct conf	*conf;
	struct posture	*posture;
};

static void
begin(struct bench *b, const char *yaml)
{
	struct problems problems;
	struct err err = { 0 };

	problems_init(&problems);
	assert_int_equal(conf_load_text("test", slice_of(yaml), top, &b->conf, &problems, &err), 0);
	problems_fini(&problems);
	assert_int_equal(posture_open(&b->posture, conf_block(b->conf, "zones"), &err), 0);
}

static void
end(struct bench *b)
{
	posture_close(b->posture);
	conf_free(b->conf);
}

static struct event
event_of(const char *class, const char *resource)
{
	struct event e;

	event_init(&e);
	event_set_text(&e, F_EventClass, slice_of(class));
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_CloudAccountId, SLICE("1111"));
	event_set_text(&e, F_TargetResourceId, slice_of(resource));
	return e;
}

static struct event
weakness_of(const char *uid, const char *state, const char *severity)
{
	struct event e = event_of("recommendation", SUB "/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a");

	event_set_text(&e, F_EventOriginalUid, slice_of(uid));
	event_set_text(&e, F_RecommendationState, slice_of(state));
	event_set_text(&e, F_EventSeverity, slice_of(severity));
	return e;
}

static struct event
plan_of(const char *plan, const char *additional)
{
	char id[200];
	static char kept[8][200];
	static unsigned turn;
	char *mine = kept[turn++ % 8];

	snprintf(id, sizeof(id), SUB "/providers/Microsoft.Security/pricings/%s", plan);
	memcpy(mine, id, sizeof(id));
	struct event e = event_of("control", mine);

	event_set_text(&e, F_AdditionalFields, slice_of(additional));
	return e;
}

struct wanted {
	const char		*requirement;
	int			 zone;
	struct posture_row	 row;
	unsigned		 rows;
};

static void
keep_row(void *arg, const struct posture_row *row)
{
	struct wanted *w = arg;

	w->rows++;
	if (strcmp(row->requirement, w->requirement) == 0 && row->zone == w->zone)
		w->row = *row;
}

static struct posture_row
row_of(struct bench *b, const char *requirement, int zone, int64_t now_ms)
{
	const struct posture_facts facts = { .alert_sink = "disk", .alert_acked = true, .detectors = true };
	struct wanted w = { .requirement = requirement, .zone = zone, .row = { .zone = -1 } };

	posture_report(b->posture, &facts, now_ms, keep_row, &w);
	return w.row;
}

static void
the_first_rule_that_matches_gives_the_zone(void **state)
{
	static const struct { const char *id; int zone; } rows[] = {
		{ SUB, 3 }, { SUB "/resourceGroups/g", 3 }, { "/SUBSCRIPTIONS/1111/x", 3 }, { "/subscriptions/11112", 2 },
		{ "/subscriptions/2222/y", 2 }, { "arn:aws:bedrock:us-east-1:1", 1 },
	};
	struct bench b;

	(void)state;
	begin(&b, "zones: {default: 1, rules: [{match: \"/subscriptions/1111/*\", zone: 3}, {match: \"/subscriptions/*\", zone: 2}]}");
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct event e = event_of("activity", rows[i].id);

			if (rows[i].id[0] == 'a') {
				event_set_text(&e, F_CloudProvider, SLICE("AWS"));
				event_set_text(&e, F_CloudAccountId, SLICE("999900001111"));
			}
			posture_see(b.posture, &e, NOW, POSTURE_POLLS);
			assert_int_equal(event_number(&e, F_GovernanceZone, 0), rows[i].zone);
		}
	end(&b);
}

static void
a_rule_may_name_an_account_of_any_cloud(void **state)
{
	static const struct { const char *cloud, *account, *id; int zone; } rows[] = {
		{ "AWS", "999900001111", "amazon.nova-pro-v1:0", 2 }, { "AWS", "999900001111", "arn:aws:bedrock:eu-west-1::foundation-model/m", 2 },
		{ "AWS", "999900002222", "amazon.nova-pro-v1:0", 1 }, { "AWS", "999900002222", "arn:aws:sagemaker:eu-west-1:999900002222:endpoint/e", 3 },
		{ "GCP", "contoso-ai", "publishers/google/models/gemini-2.5-pro", 3 }, { "GCP", "contoso-ai", "projects/contoso-ai/locations/x/endpoints/1", 3 },
		{ "GCP", "contoso-lab", "publishers/google/models/gemini-2.5-pro", 2 }, { "Microsoft365", "72f988bf", "Word", 3 },
		{ "Azure", "1111", "", 3 }, { "Azure", "2222", SUB, 3 }, { "Azure", "1111", "/subscriptions/2222/resourceGroups/g", 1 },
	};
	struct bench b;

	(void)state;
	begin(&b, "zones: {rules: [{match: \"999900001111\", zone: 2}, {match: \"arn:*:sagemaker:*\", zone: 3}, {match: \"projects/contoso-ai/*\", zone: 3}, "
	    "{match: contoso-lab, zone: 2}, {match: 72f988bf, zone: 3}, {match: \"1111\", zone: 3}]}");
	for (int again = 0; again < 2; again++)
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			struct event e = event_of("activity", rows[i].id);

			event_set_text(&e, F_CloudProvider, slice_of(rows[i].cloud));
			event_set_text(&e, F_CloudAccountId, slice_of(rows[i].account));
			posture_see(b.posture, &e, NOW, POSTURE_POLLS);
			if (event_number(&e, F_GovernanceZone, 0) != rows[i].zone)
				print_error("row %zu\n", i);
			assert_int_equal(event_number(&e, F_GovernanceZone, 0), rows[i].zone);
		}
	end(&b);
}

static void
a_record_without_a_resource_counts_by_its_account(void **state)
{
	struct bench b;
	struct event e;

	(void)state;
	begin(&b, "zones: {rules: [{match: \"/subscriptions/1111/*\", zone: 3}, {match: \"999*\", zone: 2}]}");
	e = event_of("activity", "");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_GovernanceZone, 0), 3);
	event_set_text(&e, F_CloudProvider, SLICE("AWS"));
	event_set_text(&e, F_CloudAccountId, SLICE("999900001111"));
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_GovernanceZone, 0), 2);
	end(&b);
}

static void
the_term_runs_from_the_change_of_state(void **state)
{
	static const int64_t terms[] = { 30 * DAY, 14 * DAY, 72 * HOUR };
	char yaml[64];

	(void)state;
	for (int zone = 1; zone <= 3; zone++) {
		struct bench b;
		struct event e = weakness_of("u", "Unhealthy", "High");

		snprintf(yaml, sizeof(yaml), "zones: {default: %d}", zone);
		begin(&b, yaml);
		event_set_number(&e, F_EventStartTime, NOW - 5 * DAY);
		posture_see(b.posture, &e, NOW, POSTURE_POLLS);
		assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW - 5 * DAY + terms[zone - 1]);
		end(&b);
	}
}

static void
less_grave_weaknesses_have_the_terms_that_the_configuration_gives_them(void **state)
{
	static const struct { const char *severity, *risk; int64_t term; } rows[] = {
		{ "Critical", NULL, 72 * HOUR }, { "High", NULL, 72 * HOUR }, { "Medium", NULL, 20 * DAY }, { "Low", NULL, 90 * DAY },
		{ "Informational", NULL, 72 * HOUR }, { "Low", "Medium", 20 * DAY }, { "Medium", "Low", 20 * DAY }, { "Medium", "Critical", 72 * HOUR },
	};
	struct bench b;

	(void)state;
	begin(&b, "zones: {default: 3, terms: [{severity: Medium, zone_1: 60d, zone_3: 30d}, {severity: Low, zone_3: 90d}, "
	    "{severity: Medium, zone_3: 20d}]}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event e = weakness_of("u", "Unhealthy", rows[i].severity);

		if (rows[i].risk != NULL)
			event_set_text(&e, F_RiskLevel, slice_of(rows[i].risk));
		event_set_number(&e, F_EventStartTime, NOW);
		posture_see(b.posture, &e, NOW + DAY, POSTURE_POLLS);
		assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + rows[i].term);
	}
	end(&b);
}

static void
without_a_configuration_all_is_in_zone_1(void **state)
{
	struct bench b = { .conf = NULL };
	struct event e = weakness_of("u", "Unhealthy", "Low");
	struct err err = { 0 };

	(void)state;
	assert_int_equal(posture_open(&b.posture, NULL, &err), 0);
	event_set_number(&e, F_EventStartTime, NOW);
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_GovernanceZone, 0), 1);
	assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 30 * DAY);
	posture_close(b.posture);
}

static void
without_a_date_the_term_runs_from_the_first_sight_until_it_is_mended(void **state)
{
	struct event e = weakness_of("u", "Unhealthy", "Low");
	struct bench b;

	(void)state;
	begin(&b, "zones: {default: 3}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 72 * HOUR);
	e = weakness_of("u", "Unhealthy", "Low");
	posture_see(b.posture, &e, NOW + DAY, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 72 * HOUR);
	e = weakness_of("u", "Healthy", "Low");
	posture_see(b.posture, &e, NOW + 2 * DAY, POSTURE_POLLS);
	assert_false(event_has(&e, F_SlaDueTime));
	e = weakness_of("u", "Unhealthy", "Low");
	posture_see(b.posture, &e, NOW + 3 * DAY, POSTURE_POLLS);
	assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 3 * DAY + 72 * HOUR);
	end(&b);
}

static void
plans_pass_when_on_and_fail_when_off(void **state)
{
	struct bench b;
	struct event e;

	(void)state;
	begin(&b, "zones: {default: 1}");
	e = event_of("activity", SUB);
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "cspm_plan", 1, NOW).result, POSTURE_UNKNOWN);
	e = plan_of("CloudPosture", "{\"PricingTier\":\"Standard\"}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	e = plan_of("AI", "{\"PricingTier\":\"Free\"}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "cspm_plan", 1, NOW).result, POSTURE_PASS);
	assert_int_equal(row_of(&b, "ai_plan", 1, NOW).result, POSTURE_FAIL);
	assert_non_null(strstr(row_of(&b, "ai_plan", 1, NOW).evidence, "1111"));
	e = plan_of("AI", "{\"PricingTier\":\"standard\"}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "ai_plan", 1, NOW).result, POSTURE_PASS);
	end(&b);
}

static void
discovery_fails_when_its_term_has_passed(void **state)
{
	struct bench b;
	struct event e = event_of("inventory", SUB "/x");

	(void)state;
	begin(&b, "zones: {default: 3}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "discovery", 3, NOW + HOUR).result, POSTURE_PASS);
	assert_int_equal(row_of(&b, "discovery", 3, NOW + HOUR + 60000).result, POSTURE_FAIL);
	end(&b);
}

static void
an_overdue_critical_weakness_fails_and_a_low_one_does_not(void **state)
{
	struct bench b;
	struct event e = weakness_of("low", "Unhealthy", "Low");

	(void)state;
	begin(&b, "zones: {default: 3}");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "remediation", 3, NOW + 10 * DAY).result, POSTURE_PASS);
	e = weakness_of("high", "Unhealthy", "High");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "remediation", 3, NOW + DAY).result, POSTURE_PASS);
	assert_int_equal(row_of(&b, "remediation", 3, NOW + 4 * DAY).result, POSTURE_FAIL);
	e = weakness_of("high", "Healthy", "High");
	posture_see(b.posture, &e, NOW + 4 * DAY, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "remediation", 3, NOW + 4 * DAY).result, POSTURE_PASS);
	end(&b);
}

static void
only_zones_in_use_are_reported_and_only_what_they_require_fails(void **state)
{
	struct wanted w = { .requirement = "sentinel", .zone = 1 };
	const struct posture_facts facts = { .detectors = true };
	struct bench b;

	(void)state;
	begin(&b, "zones: {default: 2, rules: [{match: \"/subscriptions/1111/*\", zone: 3}]}");
	posture_report(b.posture, &facts, NOW, keep_row, &w);
	assert_int_equal(w.rows, 2 * 9);
	assert_int_equal(row_of(&b, "sentinel", 2, NOW).result, POSTURE_PASS);
	assert_int_equal(row_of(&b, "sentinel", 3, NOW).result, POSTURE_FAIL);
	assert_int_equal(row_of(&b, "multi_cloud", 3, NOW).result, POSTURE_FAIL);
	end(&b);
}

static void
what_was_saved_comes_back_and_what_was_not_is_refused(void **state)
{
	struct bench b, c;
	struct buf saved, again;
	struct err err = { 0 };

	(void)state;
	buf_init(&saved, 64 << 20);
	buf_init(&again, 64 << 20);
	begin(&b, "zones: {default: 3}");
	begin(&c, "zones: {default: 3}");
	for (int i = 0; i < 3000; i++) {
		char uid[32];
		struct event e;

		snprintf(uid, sizeof(uid), "%d", i);
		e = weakness_of(uid, "Unhealthy", "High");
		posture_see(b.posture, &e, NOW + i, POSTURE_POLLS);
		if (i % 3 == 0) {
			e = weakness_of(uid, "NotApplicable", "High");
			posture_see(b.posture, &e, NOW + i, POSTURE_POLLS);
		}
	}
	assert_int_equal(posture_save(b.posture, &saved, &err), 0);
	assert_int_equal(posture_restore(c.posture, buf_slice(&saved), &err), 0);
	assert_int_equal(posture_save(c.posture, &again, &err), 0);
	assert_int_equal(again.n, saved.n);
	assert_non_null(strstr(row_of(&c, "remediation", 3, NOW).evidence, "2000 open"));
	for (size_t i = 0; i < saved.n; i += 997) {
		saved.p[i] ^= 1;
		assert_int_equal(posture_restore(c.posture, buf_slice(&saved), &err), -1);
		assert_int_equal(err.kind, ERR_LOST);
		saved.p[i] ^= 1;
		assert_int_equal(posture_restore(c.posture, slice_make(saved.p, i), &err), -1);
	}
	buf_fini(&saved);
	buf_fini(&again);
	end(&b);
	end(&c);
}

static void
the_memory_is_bounded_and_says_no_term_wrongly(void **state)
{
	struct bench b;
	struct event e;
	char account[32], uid[32];

	(void)state;
	begin(&b, "zones: {default: 3}");
	for (int i = 0; i < 70000; i++) {
		snprintf(uid, sizeof(uid), "w%d", i);
		snprintf(account, sizeof(account), "a%d", i);
		e = weakness_of(uid, "Unhealthy", "High");
		event_set_text(&e, F_CloudAccountId, slice_of(account));
		posture_see(b.posture, &e, NOW, POSTURE_POLLS);
		assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 72 * HOUR);
	}
	assert_int_equal(row_of(&b, "remediation", 3, NOW).result, POSTURE_UNKNOWN);	/* what found no room might have failed */
	assert_non_null(strstr(row_of(&b, "remediation", 3, NOW).evidence, "more accounts or weaknesses were read than are remembered"));
	assert_non_null(strstr(row_of(&b, "remediation", 3, NOW + 8 * DAY).evidence, "65536 of 65536 open"));
	end(&b);
}

static void
a_source_that_is_no_witness_says_nothing_but_its_events_are_stamped(void **state)
{
	struct bench b;
	struct event e;

	(void)state;
	begin(&b, "zones: {default: 3}");
	e = weakness_of("w", "Unhealthy", "High");
	posture_see(b.posture, &e, NOW, POSTURE_RECORDS);
	e = weakness_of("w", "Healthy", "High");
	posture_see(b.posture, &e, NOW, POSTURE_NO_WITNESS);	/* "all is well" */
	assert_int_equal(event_number(&e, F_GovernanceZone, 0), 3);
	assert_non_null(strstr(row_of(&b, "remediation", 3, NOW).evidence, "1 open"));
	e = plan_of("CloudPosture", "{\"PricingTier\":\"Standard\"}");
	posture_see(b.posture, &e, NOW, POSTURE_NO_WITNESS);
	assert_int_equal(row_of(&b, "cspm_plan", 3, NOW).result, POSTURE_UNKNOWN);
	e = weakness_of("other", "Unhealthy", "High");
	posture_see(b.posture, &e, NOW, POSTURE_NO_WITNESS);
	assert_int_equal(event_number(&e, F_SlaDueTime, 0), NOW + 72 * HOUR);
	assert_non_null(strstr(row_of(&b, "remediation", 3, NOW).evidence, "1 open"));
	end(&b);
}

static void
only_our_own_source_is_believed_that_it_has_read_everything(void **state)
{
	struct bench b;
	struct event e;

	(void)state;
	begin(&b, "zones: {default: 3}");
	e = event_of("activity", SUB);
	event_set_text(&e, F_EventOriginalType, SLICE("azure_poll"));
	event_set_text(&e, F_Operation, SLICE("inventory"));
	posture_see(b.posture, &e, NOW, POSTURE_RECORDS);
	assert_int_equal(row_of(&b, "discovery", 3, NOW).result, POSTURE_UNKNOWN);
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(row_of(&b, "discovery", 3, NOW).result, POSTURE_PASS);
	end(&b);
}

static void
weaknesses_are_known_again_after_a_restart_by_a_key_that_is_saved(void **state)
{
	struct bench b, c, d;
	struct buf saved, other;
	struct err err = { 0 };
	struct event e;

	(void)state;
	buf_init(&saved, 1 << 20);
	buf_init(&other, 1 << 20);
	begin(&b, "zones: {default: 3}");
	begin(&c, "zones: {default: 3}");
	begin(&d, "zones: {default: 3}");
	e = weakness_of("w", "Unhealthy", "High");
	posture_see(b.posture, &e, NOW, POSTURE_POLLS);
	posture_see(d.posture, &e, NOW, POSTURE_POLLS);
	assert_int_equal(posture_save(b.posture, &saved, &err), 0);
	assert_int_equal(posture_save(d.posture, &other, &err), 0);
	assert_int_equal(saved.n, other.n);		/* under another key in another agent: nobody can choose ids that meet */
	assert_true(memcmp(saved.p + saved.n - 39, other.p + other.n - 39, 8) != 0);
	assert_int_equal(posture_restore(c.posture, buf_slice(&saved), &err), 0);
	e = weakness_of("w", "Healthy", "High");
	posture_see(c.posture, &e, NOW, POSTURE_POLLS);
	assert_non_null(strstr(row_of(&c, "remediation", 3, NOW).evidence, "no open weakness"));
	buf_fini(&saved);
	buf_fini(&other);
	end(&b);
	end(&c);
	end(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_rule_that_matches_gives_the_zone),
		cmocka_unit_test(a_rule_may_name_an_account_of_any_cloud),
		cmocka_unit_test(a_record_without_a_resource_counts_by_its_account),
		cmocka_unit_test(the_term_runs_from_the_change_of_state),
		cmocka_unit_test(less_grave_weaknesses_have_the_terms_that_the_configuration_gives_them),
		cmocka_unit_test(without_a_configuration_all_is_in_zone_1),
		cmocka_unit_test(without_a_date_the_term_runs_from_the_first_sight_until_it_is_mended),
		cmocka_unit_test(plans_pass_when_on_and_fail_when_off),
		cmocka_unit_test(discovery_fails_when_its_term_has_passed),
		cmocka_unit_test(an_overdue_critical_weakness_fails_and_a_low_one_does_not),
		cmocka_unit_test(only_zones_in_use_are_reported_and_only_what_they_require_fails),
		cmocka_unit_test(what_was_saved_comes_back_and_what_was_not_is_refused),
		cmocka_unit_test(the_memory_is_bounded_and_says_no_term_wrongly),
		cmocka_unit_test(a_source_that_is_no_witness_says_nothing_but_its_events_are_stamped),
		cmocka_unit_test(only_our_own_source_is_believed_that_it_has_read_everything),
		cmocka_unit_test(weaknesses_are_known_again_after_a_restart_by_a_key_that_is_saved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
