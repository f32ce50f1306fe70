/* test_access.c - the access detector: each behaviour is found, ordinary novelty is not, memory is exact, and strangers cannot blind it. */
#include "detect_help.h"

#include <math.h>
#include <unistd.h>

struct who {
	const char	*actor, *type, *ip, *agent, *app;
	const char	*cloud, *resource, *account, *region, *model, *product;
	const char	*more;			/* AdditionalFields */
};

static const struct who bob = {
	.actor = "arn:aws:iam::1:user/bob", .type = "IdentityCenterUser", .ip = "203.0.113.7", .agent = "Boto3/1.34.2 md/Botocore", .cloud = "AWS",
	.resource = "arn:aws:bedrock:us-east-1::foundation-model/m1", .account = "1", .region = "us-east-1", .model = "m1", .product = "AWS CloudTrail",
	.more = "{\"AuthKind\":\"temporary_key\",\"EventSource\":\"bedrock.amazonaws.com\"}",
};
static const struct who robot = {
	.actor = "arn:aws:sts::1:assumed-role/app/i-0123", .type = "AssumedRole", .ip = "198.51.100.20", .agent = "aws-sdk-java/2.25.1", .cloud = "AWS",
	.resource = "arn:aws:bedrock:us-east-1::foundation-model/m1", .account = "1", .region = "us-east-1", .model = "m1", .product = "AWS CloudTrail",
	.more = "{\"AuthKind\":\"temporary_key\",\"EventSource\":\"bedrock.amazonaws.com\"}",
};
#define ACCOUNT	"/subscriptions/S/resourceGroups/G/providers/Microsoft.CognitiveServices/accounts/chat"
static const struct who key = {
	.cloud = "Azure", .resource = ACCOUNT, .account = "S", .region = "swedencentral", .model = "gpt-4o",
	.more = "{\"CallerIpMasked\":\"192.0.2.***\"}",
};

static const char *named;		/* TargetResourceName of an operation, ActorUsername of a call */

static void
act(struct bench *b, const struct who *w, int64_t t_ms, const char *op, bool invoke, int status, const char *result)
{
	struct event e;

	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_number(&e, F_TimeGenerated, t_ms);
	event_set_text(&e, F_Operation, slice_of(op));
	event_set_text(&e, F_EventResult, slice_of(result));
	event_set_text(&e, F_EventProduct, slice_of(w->product));
	event_set_text(&e, F_CloudProvider, slice_of(w->cloud));
	event_set_text(&e, F_CloudAccountId, slice_of(w->account));
	event_set_text(&e, F_CloudRegion, slice_of(w->region));
	event_set_text(&e, F_TargetResourceId, slice_of(w->resource));
	event_set_text(&e, F_ActorUserId, slice_of(w->actor));
	event_set_text(&e, F_ActorUserType, slice_of(w->type));
	event_set_text(&e, F_ActingAppId, slice_of(w->app));
	event_set_text(&e, F_SrcIpAddr, slice_of(w->ip));
	event_set_text(&e, F_HttpUserAgent, slice_of(w->agent));
	event_set_text(&e, F_AdditionalFields, slice_of(w->more));
	if (status > 0)
		event_set_number(&e, F_HttpStatusCode, status);
	event_set_text(&e, invoke ? F_ActorUsername : F_TargetResourceName, slice_of(named));
	if (invoke) {
		event_set_text(&e, F_AiModelName, slice_of(w->model));
		event_set_number(&e, F_RequestCount, 1);
		event_set_number(&e, F_PromptTokens, 100 + bench_random(b) % 900);
	}
	bench_see(b, &e);
}

static void
call(struct bench *b, const struct who *w, int64_t t_ms)
{
	act(b, w, t_ms, "InvokeModel", true, 200, "Success");
}

/* `days` of calls from 9 to 17 o'clock, five days a week. */
static void
works(struct bench *b, const struct who *w, int first, int days)
{
	for (int d = first; d < first + days; d++)
		for (int h = 9; d % 7 < 5 && h < 17; h++)
			call(b, w, MONDAY + d * DAY + h * HOUR + bench_random(b) % HOUR);
}

static void
runs(struct bench *b, const struct who *w, int first, int days)
{
	for (int d = first; d < first + days; d++)
		for (int h = 0; h < 24; h++)
			call(b, w, MONDAY + d * DAY + h * HOUR + bench_random(b) % HOUR);
}

#define NOON(day)	(MONDAY + (day) * DAY + 12 * HOUR)

/* ---- what is found --------------------------------------------------------------------- */

static void
a_call_from_a_network_that_nobody_uses_is_found(void **state)
{
	struct who w = bob;
	const struct finding *f;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	bench_is_quiet(&b);
	w.ip = "185.220.101.4";
	call(&b, &w, NOON(14));
	call(&b, &w, NOON(14) + MINUTE);
	f = bench_first(&b, "access.new_network");
	assert_int_equal(b.nfound, 1);		/* one for the episode */
	assert_string_equal(f->actor, bob.actor);
	assert_non_null(strstr(f->message, "185.220.101.0/24"));
	assert_non_null(strstr(f->more, "\"evidence\":[\"0000"));
	assert_non_null(strstr(f->techniques, "T1078.004"));
	assert_true(f->score >= 0.5 && f->score < 1);
	bench_close(&b);
}

static void
the_masked_network_of_a_shared_key_is_told_apart_too(void **state)
{
	struct who w = key;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &key, 0, 10);
	bench_is_quiet(&b);
	w.more = "{\"CallerIpMasked\":\"91.240.118.***\"}";
	call(&b, &w, NOON(10));
	assert_non_null(strstr(bench_first(&b, "access.new_network")->message, "91.240.118.0/24"));
	bench_close(&b);
}

static void
a_new_kind_of_agent_and_a_known_tool_are_found(void **state)
{
	struct who w = robot;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &robot, 0, 10);
	w.agent = "python-requests/2.31.0";
	call(&b, &w, NOON(10));
	assert_non_null(strstr(bench_first(&b, "access.new_agent")->message, "\"python-requests/2.31.0\""));
	w = bob;
	w.agent = "Boto3/1.34 os/linux#6.1-kali";
	call(&b, &w, NOON(11));		/* whom nobody knows */
	assert_string_equal(bench_first(&b, "access.abuse_tool")->severity, "High");
	bench_close(&b);
}

static void
a_service_with_a_browser_behaves_like_a_person(void **state)
{
	struct who w = robot;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &robot, 0, 10);
	w.agent = "Mozilla/5.0 (X11; Linux x86_64) Chrome/121.0";
	call(&b, &w, NOON(10));
	bench_first(&b, "access.service_as_person");
	bench_close(&b);
}

static void
a_person_round_the_clock_behaves_like_a_service(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int h = 0; h < 24; h++)
		call(&b, &bob, MONDAY + 14 * DAY + h * HOUR);
	bench_first(&b, "access.person_as_service");
	bench_close(&b);
}

static void
another_kind_of_credential_is_found(void **state)
{
	struct who w = bob, entra = key;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	w.more = "{\"AuthKind\":\"long_term_key\",\"EventSource\":\"bedrock.amazonaws.com\"}";
	call(&b, &w, NOON(14));
	bench_first(&b, "access.new_auth");
	b.nfound = 0;
	entra.actor = "5f1a2b3c-4d5e-46f7-8899-aabbccddeeff";		/* Entra names its callers; then a key is used */
	runs(&b, &entra, 15, 10);
	assert_int_equal(b.nfound, 0);
	call(&b, &key, NOON(25));
	bench_first(&b, "access.new_auth");
	bench_close(&b);
}

static void
denials_are_found_and_who_is_let_in_after_them(void **state)
{
	const struct finding *f;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 12; i++)
		act(&b, &bob, NOON(0) + i * 10 * SECOND, "InvokeModel", true, 403, "Failure");
	assert_int_equal(b.nfound, 1);
	f = bench_first(&b, "access.denied_burst");
	assert_string_equal(f->severity, "Medium");
	call(&b, &bob, NOON(0) + 10 * MINUTE);
	f = bench_first(&b, "access.denied_then_success");
	assert_string_equal(f->severity, "Critical");		/* high, and raised: two in a day */
	assert_non_null(strstr(f->more, "\"chain\":[\"DENIED_BURST\"]"));
	bench_close(&b);
}

static void
one_address_that_tries_many_names_is_found(void **state)
{
	char actor[64];
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 20; i++) {
		snprintf(actor, sizeof(actor), "arn:aws:iam::1:user/u%d", i);
		w.actor = actor;
		act(&b, &w, NOON(0) + i * 10 * SECOND, "InvokeModel", true, 403, "Failure");
	}
	assert_int_equal(bench_count(&b, "access.denied_burst"), 1);
	assert_non_null(strstr(b.found[0].message, "203.0.113.7"));
	bench_close(&b);
}

static void
probing_is_found_and_bad_requests_of_one_model_are_not(void **state)
{
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 8; i++)
		act(&b, &bob, NOON(0) + i * 5 * SECOND, "InvokeModel", true, 400, "Failure");
	bench_is_quiet(&b);
	for (int i = 0; i < 5; i++) {
		w.model = i % 2 == 0 ? "m2" : "m3";
		act(&b, &w, NOON(1) + i * 9 * SECOND, "InvokeModel", true, 400, "Failure");
	}
	bench_first(&b, "access.probing");
	bench_close(&b);
}

static void
listing_and_calling_is_found_of_whom_never_listed(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	act(&b, &bob, NOON(14), "ListFoundationModels", false, 0, "Success");
	act(&b, &bob, NOON(14) + MINUTE, "GetFoundationModelAvailability", false, 0, "Success");
	call(&b, &bob, NOON(14) + 5 * MINUTE);
	bench_first(&b, "access.enumerate_invoke");
	bench_close(&b);
}

static void
who_lists_each_day_is_not_found_for_it(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int d = 0; d < 20; d++) {
		act(&b, &bob, NOON(d), "ListFoundationModels", false, 0, "Success");
		call(&b, &bob, NOON(d) + MINUTE);
	}
	bench_is_quiet(&b);
	bench_close(&b);
}

static void
the_set_of_llmjackers_is_found(void **state)
{
	static const char *const ops[] = { "ListFoundationModels", "GetFoundationModelAvailability", "PutUseCaseForModelAccess",
		"PutFoundationModelEntitlement", "CreateFoundationModelAgreement", "GetModelInvocationLoggingConfiguration" };
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 6; i++)
		act(&b, &bob, NOON(0) + i * HOUR, ops[i], false, 0, "Success");
	assert_string_equal(bench_first(&b, "access.llmjacking")->severity, "High");
	bench_close(&b);
}

static void
many_models_and_many_regions_are_found_and_a_gateway_is_not(void **state)
{
	static const char *const regions[] = { "eu-west-1", "eu-west-3", "sa-east-1", "ap-south-1" };
	struct who w = bob;
	char model[32];
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 9; i++) {
		snprintf(model, sizeof(model), "other-%d", i);
		w.model = model;
		call(&b, &w, NOON(14) + i * MINUTE);
	}
	bench_first(&b, "access.many_models");
	w = bob;
	for (int i = 0; i < 4; i++) {
		w.region = regions[i];
		call(&b, &w, NOON(15) + i * MINUTE);
	}
	bench_first(&b, "access.many_regions");
	b.nfound = 0;
	w = robot;
	for (int d = 0; d < 10; d++)		/* a gateway: eight models all day long */
		for (int i = 0; i < 80; i++) {
			snprintf(model, sizeof(model), "m%d", i % 8);
			w.model = model;
			call(&b, &w, MONDAY + (20 + d) * DAY + i * 2 * MINUTE);
		}
	for (size_t i = 0; i < b.nfound; i++)		/* at most once, when it is new */
		assert_true(b.found[i].at_ms < MONDAY + 21 * DAY);
	bench_close(&b);
}

static void
one_credential_from_many_networks_is_found(void **state)
{
	char ip[32];
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 9; i++) {
		snprintf(ip, sizeof(ip), "%d.7.8.9", 60 + i);
		w.ip = ip;
		call(&b, &w, NOON(14) + i * 3 * MINUTE);
	}
	assert_int_equal(bench_count(&b, "access.many_sources"), 1);
	bench_close(&b);
}

static void
a_night_call_of_a_day_worker_is_found_after_four_weeks(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 33);
	bench_is_quiet(&b);
	for (int i = 0; i < 3; i++)
		call(&b, &bob, MONDAY + 35 * DAY + 2 * HOUR + i * MINUTE);
	assert_int_equal(bench_count(&b, "access.off_hours"), 1);
	bench_close(&b);
}

static void
a_dormant_caller_is_found_when_it_is_back(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 8; i++)
		call(&b, &bob, NOON(56) + i * MINUTE);
	bench_first(&b, "access.dormant");
	bench_close(&b);
}

static void
a_key_used_from_elsewhere_after_it_was_read_is_found(void **state)
{
	struct who reader = { .actor = "mallory", .type = "User", .ip = "203.0.113.9", .cloud = "Azure",
		.resource = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/CHAT", .account = "S" };
	struct who w = key;
	const struct finding *f;
	char read[33];
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &key, 0, 3);
	act(&b, &reader, NOON(3), "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/LISTKEYS/ACTION", false, 200, "Success");
	snprintf(read, sizeof(read), "%032llx", (unsigned long long)b.events);
	call(&b, &key, NOON(3) + MINUTE);		/* the application, from where it always calls */
	bench_is_quiet(&b);
	w.more = "{\"CallerIpMasked\":\"91.240.118.***\"}";
	call(&b, &w, NOON(3) + 20 * MINUTE);
	f = bench_first(&b, "access.key_after_listing");
	assert_string_equal(f->severity, "High");
	assert_non_null(strstr(f->reason, "\"mallory\""));
	assert_non_null(strstr(f->reason, "used from 91.240.118.0/24, a network that never used one here (1 network did)"));
	assert_null(strstr(f->message, " from 91.240.118.0/24;"));		/* where from is told once */
	assert_string_equal(f->actor_name, "mallory");
	assert_non_null(strstr(f->more, read));		/* the record that told of the reading */
	bench_close(&b);
}

static void
a_key_just_made_and_used_from_elsewhere_is_found(void **state)
{
	struct who admin = { .actor = "arn:aws:iam::1:user/admin", .ip = "203.0.113.9", .cloud = "AWS", .account = "1" };
	struct who w = { .actor = "arn:aws:iam::1:user/BedrockAPIKey-1", .ip = "203.0.113.10", .cloud = "AWS", .account = "1", .region = "us-east-1", .model = "m1",
		.more = "{\"AuthKind\":\"api_key\",\"EventSource\":\"bedrock.amazonaws.com\"}" };
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	named = "BedrockAPIKey-1";
	act(&b, &admin, NOON(0), "CreateServiceSpecificCredential", false, 0, "Success");
	call(&b, &w, NOON(0) + MINUTE);			/* where the maker is */
	bench_is_quiet(&b);
	w.ip = "91.240.118.4";
	call(&b, &w, NOON(0) + 10 * MINUTE);
	named = NULL;
	bench_first(&b, "access.key_after_listing");
	bench_close(&b);
}

/* A resource with its ordinary callers. */
static const struct who app = {
	.actor = "app-1", .type = "Application", .ip = "20.50.1.7", .agent = "azsdk-python/1.0", .cloud = "Azure", .resource = ACCOUNT, .account = "S", .region = "swedencentral",
	.model = "gpt-4o",
};

static void
weaken_and_grant(struct bench *b, int64_t t_ms)
{
	struct who w = { .actor = "admin", .ip = "20.50.1.9", .cloud = "Azure", .resource = ACCOUNT, .account = "S",
		.more = "{\"RequestBody\":{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}}" };

	act(b, &w, t_ms, "Microsoft.CognitiveServices/accounts/write", false, 200, "Success");
	w.more = "{\"RequestBody\":{\"Properties\":{\"PrincipalId\":\"6f1e\",\"RoleDefinitionId\":\"/x/a97b\"}}}";
	w.resource = ACCOUNT "/providers/Microsoft.Authorization/roleAssignments/1";
	act(b, &w, t_ms + MINUTE, "Microsoft.Authorization/roleAssignments/write", false, 201, "Success");
}

static void
a_new_caller_where_a_door_was_just_opened_is_found(void **state)
{
	struct who w = app;
	const struct finding *f;
	char granted[33], weakened[33];
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &app, 0, 5);				/* the estate itself is still young */
	w.actor = "6f1e";
	w.ip = "185.220.101.4";
	weaken_and_grant(&b, NOON(5));
	snprintf(weakened, sizeof(weakened), "%032llx", (unsigned long long)b.events - 1);
	snprintf(granted, sizeof(granted), "%032llx", (unsigned long long)b.events);
	bench_restart(&b);
	for (int i = 0; i < 300; i++)
		call(&b, &w, NOON(5) + HOUR + i * SECOND / 2);
	f = bench_first(&b, "access.new_caller");
	assert_string_equal(f->severity, "High");
	assert_string_equal(f->actor, "6f1e");
	assert_non_null(strstr(f->message, "6f1e called InvokeModel on "));
	assert_non_null(strstr(f->message, " for the first time from network 185.220.101.0/24, which nobody else here uses; "));
	assert_non_null(strstr(f->message, "a role that was just granted to it by \"admin\""));
	assert_non_null(strstr(f->message, "a resource whose protection was just weakened"));
	assert_non_null(strstr(f->more, "\"chain\":[\"WEAKENED\"]"));
	assert_non_null(strstr(f->more, granted));
	assert_non_null(strstr(f->more, weakened));
	assert_int_equal(bench_count(&b, "access.new_caller"), 1);
	assert_true(fabs(f->score * 1000 - round(f->score * 1000)) < 1e-9);
	bench_close(&b);
}

static void
a_new_caller_without_an_open_door_is_ordinary(void **state)
{
	struct who w = app;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &app, 0, 10);
	w.actor = "6f1e";
	call(&b, &w, NOON(10));				/* from where others are */
	w.actor = "7a2b";
	w.ip = "185.220.101.4";
	call(&b, &w, NOON(10));				/* from elsewhere, a call */
	weaken_and_grant(&b, NOON(11));
	for (int i = 0; i < 20; i++)
		call(&b, &app, NOON(11) + HOUR + i * MINUTE);
	w.actor = "8c3d";
	call(&b, &w, NOON(13));				/* days later */
	bench_is_quiet(&b);
	bench_close(&b);
}

static void
a_burst_of_a_new_caller_from_a_strange_network_is_found(void **state)
{
	struct who w = app;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &app, 0, 10);
	w.actor = "9d4e";
	for (int i = 0; i < 100; i++)
		call(&b, &w, NOON(10) + i * SECOND);	/* a new job, where others are */
	bench_is_quiet(&b);
	w.actor = "7a2b";
	w.ip = "185.220.101.4";
	for (int i = 0; i < 100; i++)
		call(&b, &w, NOON(10) + i * SECOND);
	assert_non_null(strstr(bench_first(&b, "access.new_caller")->message, "many calls at once"));
	b.nfound = 0;
	w = app;
	w.resource = ACCOUNT "2";
	call(&b, &app, NOON(10));
	weaken_and_grant(&b, NOON(11));
	w.actor = "6f1e";
	for (int i = 0; i < 100; i++)
		call(&b, &w, NOON(11) + HOUR + i * SECOND);	/* from where others are, on a resource that nobody weakened, with a role of this hour */
	assert_non_null(strstr(bench_first(&b, "access.new_caller")->message, "many calls at once"));
	bench_close(&b);
}

static void
an_alert_on_the_resource_makes_a_chain(void **state)
{
	struct who w = key;
	struct event e;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &key, 0, 10);
	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("alert"));
	event_set_number(&e, F_TimeGenerated, NOON(10));
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_TargetResourceId, SLICE(ACCOUNT));
	bench_see(&b, &e);
	w.more = "{\"CallerIpMasked\":\"91.240.118.***\"}";
	call(&b, &w, NOON(10) + HOUR);
	assert_string_equal(bench_first(&b, "access.new_network")->severity, "High");
	assert_non_null(strstr(b.found[0].message, "A caller without a name (by key) called InvokeModel on "));
	assert_non_null(strstr(b.found[0].message, "for the first time from network 91.240.118.0/24"));
	assert_non_null(strstr(b.found[0].message, "a Defender alert"));
	assert_non_null(strstr(b.found[0].more, "\"chain\":[\"ALERT\"]"));
	bench_close(&b);
}

static void
evidence_names_each_record_once(void **state)
{
	struct who w = robot;
	const struct finding *f;
	struct bench b;
	size_t ids = 0;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &robot, 0, 10);
	for (int i = 0; i < 4; i++) {
		char model[16];

		snprintf(model, sizeof(model), "m%d", i + 2);
		w.model = model;
		act(&b, &w, NOON(10) + i * SECOND, "InvokeModel", true, 400, "Failure");
	}
	f = bench_first(&b, "access.probing");
	for (const char *p = f->more; (p = strstr(p, "\"0000")) != NULL; p += 33) {
		char id[35];

		snprintf(id, sizeof(id), "%.34s", p);
		assert_null(strstr(p + 34, id));
		ids++;
	}
	assert_int_equal(ids, 4);
	bench_close(&b);
}

static void
a_call_without_the_usual_guardrail_is_found(void **state)
{
	struct who guarded = robot;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	guarded.more = "{\"GuardrailId\":\"gr-1\",\"AuthKind\":\"temporary_key\"}";
	runs(&b, &guarded, 0, 3);
	call(&b, &robot, NOON(3));
	bench_first(&b, "access.no_guardrail");
	bench_close(&b);
}

static void
repeated_blocks_are_found(void **state)
{
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	w.more = "{\"GuardrailAction\":\"INTERVENED\"}";
	for (int i = 0; i < 6; i++)
		act(&b, &w, NOON(0) + i * MINUTE, "Converse", true, 200, "Partial");
	assert_int_equal(bench_count(&b, "access.blocks"), 1);
	bench_close(&b);
}

static void
calls_of_one_length_in_great_number_are_found(void **state)
{
	struct bench b;
	struct event e;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 600; i++) {
		event_init(&e);
		event_set_text(&e, F_EventClass, SLICE("activity"));
		event_set_text(&e, F_CloudProvider, SLICE("AWS"));
		event_set_text(&e, F_ActorUserId, slice_of(bob.actor));
		event_set_text(&e, F_SrcIpAddr, slice_of(bob.ip));
		event_set_text(&e, F_Operation, SLICE("InvokeModel"));
		event_set_text(&e, F_AiModelName, SLICE("m1"));
		event_set_number(&e, F_TimeGenerated, NOON(14) + i * 4 * SECOND);
		event_set_number(&e, F_RequestCount, 1);
		event_set_number(&e, F_PromptTokens, i % 50 == 0 ? 900 : 58 + i % 5);
		bench_see(&b, &e);
	}
	assert_int_equal(bench_count(&b, "access.extraction"), 1);
	bench_close(&b);
}

static void
a_bedrock_key_outside_bedrock_is_found(void **state)
{
	struct who w = { .actor = "arn:aws:iam::1:user/BedrockAPIKey-ab12", .ip = "203.0.113.7", .cloud = "AWS", .account = "1",
		.more = "{\"EventSource\":\"s3.amazonaws.com\"}" };
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	act(&b, &w, NOON(0), "ListBuckets", false, 0, "Success");
	bench_first(&b, "access.outside_service");
	bench_close(&b);
}

static void
a_list_of_networks_tells_countries_travel_and_labels(void **state)
{
	char path[] = "/tmp/networksXXXXXX", yaml[128];
	static const char list[] = "network,country,asn,latitude,longitude,label\n# ours\n203.0.113.0/24,DE,AS64500,52.5,13.4,\n"
	    "198.51.100.0/24,SG,64501,,,\n192.0.2.0/24,NL,64502,,,tor\n2001:db8::/32,DE,64500,,,trusted\n";
	int fd = mkstemp(path);
	struct who w = bob;
	struct bench b;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, list, sizeof(list) - 1), sizeof(list) - 1);
	snprintf(yaml, sizeof(yaml), "detectors: {access: {networks: %s}}", path);
	bench_open(&b, "access", yaml);
	works(&b, &bob, 0, 12);
	w.ip = "2001:db8::7";
	call(&b, &w, NOON(14));
	bench_is_quiet(&b);			/* trusted */
	call(&b, &bob, NOON(15));
	w.ip = "198.51.100.9";
	call(&b, &w, NOON(15) + 20 * MINUTE);
	bench_first(&b, "access.travel");
	assert_non_null(strstr(bench_first(&b, "access.new_country")->message, "in SG"));
	w.ip = "192.0.2.5";
	call(&b, &w, NOON(18));
	assert_non_null(strstr(bench_first(&b, "access.listed")->reason, "tor"));
	bench_close(&b);
	close(fd);
	unlink(path);
}

/* ---- what is ordinary ---------------------------------------------------------------------- */

static void
new_employees_and_new_services_are_ordinary(void **state)
{
	char actor[96], ip[32];
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	runs(&b, &robot, 0, 10);
	for (int i = 0; i < 20; i++) {
		snprintf(actor, sizeof(actor), "arn:aws:iam::1:user/new%d", i);
		snprintf(ip, sizeof(ip), "%d.44.3.2", 20 + i);	/* from home, each elsewhere */
		w.actor = actor;
		w.ip = i % 2 == 0 ? ip : bob.ip;
		w.agent = i % 3 == 0 ? "Mozilla/5.0 (Windows NT 10.0) Chrome/130" : "aws-cli/2.15.1";
		works(&b, &w, 14 + i % 3, 5);
	}
	bench_is_quiet(&b);
	bench_close(&b);
}

static void
upgrades_and_other_sdks_are_ordinary(void **state)
{
	static const char *const agents[] = { "Boto3/1.35.9 md/Botocore#1.35.9", "boto3/2.0", "aws-sdk-java/2.30", "AsyncOpenAI/Python 1.50",
		"OpenAI/Python 1.99", "azsdk-python-ai-inference/1.0" };
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 6; i++) {
		w.agent = agents[i];
		call(&b, &w, NOON(14 + i));
	}
	bench_is_quiet(&b);
	bench_close(&b);
}

static void
addresses_of_pods_and_of_an_office_are_ordinary(void **state)
{
	char actor[96], ip[32];
	struct who w = robot;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int d = 0; d < 20; d++)
		for (int i = 0; i < 40; i++) {			/* pods: each its session and its address */
			snprintf(actor, sizeof(actor), "arn:aws:sts::1:assumed-role/app/pod-%d%d", d, i);
			snprintf(ip, sizeof(ip), "10.%d.%d.%d", 20 + d % 3, bench_random(&b) % 250, i + 1);
			w.actor = actor;
			w.ip = ip;
			call(&b, &w, MONDAY + d * DAY + i * 30 * MINUTE);
		}
	w = bob;
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 30; i++) {				/* leases, and the office's other /24 */
		snprintf(ip, sizeof(ip), "203.0.%d.%d", 113 + i % 2, i + 3);
		w.ip = ip;
		call(&b, &w, NOON(14 + i % 5) + i * MINUTE);
	}
	bench_is_quiet(&b);
	bench_close(&b);
}

static void
an_office_that_moves_makes_two_findings_at_most(void **state)
{
	char actor[96];
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 30; i++) {
		snprintf(actor, sizeof(actor), "arn:aws:iam::1:user/u%d", i);
		w.actor = actor;
		works(&b, &w, 0, 12);
	}
	bench_is_quiet(&b);
	w.ip = "198.18.5.5";
	for (int i = 0; i < 30; i++) {
		snprintf(actor, sizeof(actor), "arn:aws:iam::1:user/u%d", i);
		w.actor = actor;
		call(&b, &w, NOON(14) + i * MINUTE);
	}
	assert_true(b.nfound <= 2);
	bench_close(&b);
}

static void
what_is_denied_all_day_is_said_once(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int d = 0; d < 10; d++)
		for (int i = 0; i < 24 * 12; i++)
			for (int k = 0; k < 12; k++)
				act(&b, &robot, MONDAY + d * DAY + i * 5 * MINUTE + k * SECOND, "InvokeModel", true, 403, "Failure");
	assert_int_equal(bench_count(&b, "access.denied_burst"), 1);
	bench_close(&b);
}

/* ---- memory, order, hostility ----------------------------------------------------------------- */

static void
story(struct bench *b, int restart_at)
{
	struct who w = bob;
	int step = 0;

	for (int d = 0; d < 16; d++) {
		works(b, &bob, d, 1);
		runs(b, &robot, d, 1);
		if (step++ == restart_at)
			bench_restart(b);
	}
	w.ip = "185.220.101.4";
	w.agent = "curl/8.0";
	for (int i = 0; i < 14; i++) {
		act(b, &w, NOON(16) + i * 10 * SECOND, "InvokeModel", true, 403, "Failure");
		if (step++ == restart_at)
			bench_restart(b);
	}
	call(b, &w, NOON(16) + 5 * MINUTE);
}

static void
a_restart_anywhere_gives_the_same_findings(void **state)
{
	struct bench whole, cut;

	(void)state;
	bench_open(&whole, "access", "");
	story(&whole, -1);
	assert_true(whole.nfound >= 2);
	for (int at = 0; at < 30; at += 3) {
		bench_open(&cut, "access", "");
		story(&cut, at);
		assert_int_equal(cut.nfound, whole.nfound);
		for (size_t i = 0; i < cut.nfound; i++) {
			assert_string_equal(cut.found[i].id, whole.found[i].id);
			assert_string_equal(cut.found[i].message, whole.found[i].message);
			assert_string_equal(cut.found[i].more, whole.found[i].more);
		}
		bench_close(&cut);
	}
	bench_close(&whole);
}

static void
damaged_memory_is_refused_and_leaves_a_fresh_detector(void **state)
{
	struct err err = { 0 };
	struct buf saved;
	struct bench b;
	struct detect *again;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	buf_init(&saved, SIZE_MAX / 2);
	assert_int_equal(detect_save(b.detect, &saved, &err), 0);
	for (size_t n = 0; n < saved.n; n += saved.n / 50 + 1) {
		assert_int_equal(detect_open_one(&again, conf_block(b.conf, "detectors"), "access", &err), 0);
		assert_int_equal(detect_restore(again, slice_make(saved.p, n), &err), -1);
		assert_int_equal(err.kind, ERR_LOST);
		detect_close(again);
	}
	buf_fini(&saved);
	bench_close(&b);
}

static void
a_flood_of_new_callers_does_not_push_out_the_established_ones(void **state)
{
	char actor[64];
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "detectors: {access: {max_callers: 200}}");
	works(&b, &bob, 0, 12);
	for (int i = 0; i < 5000; i++) {
		snprintf(actor, sizeof(actor), "flood-%d", i);
		w.actor = actor;
		call(&b, &w, NOON(13) + i * SECOND);
	}
	b.nfound = 0;
	w = bob;
	w.ip = "185.220.101.4";
	call(&b, &w, NOON(14));
	bench_first(&b, "access.new_network");		/* it is still known where bob works */
	bench_close(&b);
}

static void
late_records_count_in_their_own_time(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	call(&b, &robot, NOON(1));
	for (int i = 11; i >= 0; i--)			/* backwards, and a day late */
		act(&b, &bob, NOON(0) + i * 10 * SECOND, "InvokeModel", true, 403, "Failure");
	bench_first(&b, "access.denied_burst");
	bench_close(&b);
}

static void
a_record_that_comes_twice_counts_once(void **state)
{
	struct event e;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 40; i++) {
		event_init(&e);
		event_set_text(&e, F_EventClass, SLICE("activity"));
		event_set_number(&e, F_TimeGenerated, NOON(0));
		event_set_text(&e, F_EventId, SLICE("0123456789abcdef0123456789abcdef"));
		event_set_text(&e, F_EventOriginalUid, SLICE("one"));
		event_set_text(&e, F_ActorUserId, slice_of(bob.actor));
		event_set_text(&e, F_Operation, SLICE("InvokeModel"));
		event_set_number(&e, F_HttpStatusCode, 403);
		bench_see(&b, &e);
	}
	bench_is_quiet(&b);
	bench_close(&b);
}

/* A row of a request log as Azure writes it, the second of a call nearly empty. */
static void
azure_row(struct bench *b, int64_t t_ms, const char *uid, bool whole, int status, const char *model)
{
	struct event e;

	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_text(&e, F_EventOriginalUid, slice_of(uid));
	event_set_text(&e, F_EventOriginalType, SLICE("RequestResponse"));
	event_set_text(&e, F_EventProduct, SLICE("Azure OpenAI"));
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_CloudAccountId, SLICE("S"));
	event_set_text(&e, F_TargetResourceId, SLICE(ACCOUNT));
	event_set_text(&e, F_Operation, SLICE("ChatCompletions_Create"));
	event_set_text(&e, F_EventResult, status < 300 ? SLICE("Success") : SLICE("Failure"));
	event_set_number(&e, F_HttpStatusCode, status);
	event_set_number(&e, F_TimeGenerated, t_ms);
	event_set_text(&e, F_AdditionalFields, SLICE("{\"CallerIpMasked\":\"192.0.2.***\"}"));
	if (whole) {
		event_set_text(&e, F_ActorUserId, SLICE("5f1a2b3c-4d5e-46f7-8899-aabbccddeeff"));
		event_set_text(&e, F_AiModelName, slice_of(model));
		event_set_number(&e, F_RequestCount, 1);
	}
	bench_see(b, &e);
}

static void
an_id_that_all_calls_bear_switches_no_rule_off(void **state)
{
	char uid[32], model[32];
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 9; i++) {			/* each denied call has two rows, and is one */
		snprintf(uid, sizeof(uid), "call%d", i);
		azure_row(&b, NOON(0) + i * SECOND, uid, true, 403, "m");
		azure_row(&b, NOON(0) + i * SECOND, uid, false, 403, NULL);
	}
	bench_is_quiet(&b);
	bench_close(&b);
	bench_open(&b, "access", "");
	for (int i = 0; i < 12; i++) {
		azure_row(&b, NOON(1) + i * SECOND, "the-same", true, 403, "m");
		azure_row(&b, NOON(1) + i * SECOND, "the-same", false, 403, NULL);
	}
	assert_int_equal(bench_count(&b, "access.denied_burst"), 1);
	azure_row(&b, NOON(1) + MINUTE, "the-same", true, 200, "m");
	bench_first(&b, "access.denied_then_success");
	for (int i = 0; i < 12; i++) {
		snprintf(model, sizeof(model), "model-%d", i);
		azure_row(&b, NOON(2) + i * SECOND, "the-same", true, 200, model);
	}
	bench_first(&b, "access.many_models");
	bench_close(&b);
}

static void
what_strangers_write_is_cut_and_harmless(void **state)
{
	struct who w = robot;
	const struct finding *f;
	char agent[5000];
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	runs(&b, &robot, 0, 10);
	memset(agent, 'x', sizeof(agent) - 1);
	agent[sizeof(agent) - 1] = '\0';
	memcpy(agent, "evil\n\"\\\x1b[31m\xe2\x80\xae", 15);
	w.agent = agent;
	call(&b, &w, NOON(10));
	f = bench_first(&b, "access.new_agent");
	assert_true(strlen(f->message) < 600);
	assert_int_equal(f->most, DETECT_COLUMN_BYTES);
	assert_string_equal(f->truncated, "HttpUserAgent");
	assert_null(strpbrk(f->message, "\n\x1b\\"));
	assert_null(strstr(f->message, "\xe2\x80\xae"));
	w.more = "{\"AuthKind\":\"x\",\"broken\":[[[{\"";
	call(&b, &w, NOON(11));
	w.ip = "999.1.2.3";
	call(&b, &w, NOON(12));
	bench_close(&b);
}

static void
an_event_of_the_far_future_does_not_blind(void **state)
{
	struct who w = bob;
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	works(&b, &bob, 0, 12);
	call(&b, &bob, MONDAY + 9000 * DAY);
	works(&b, &bob, 14, 5);
	b.nfound = 0;
	w.ip = "185.220.101.4";
	call(&b, &w, NOON(21));
	bench_first(&b, "access.new_network");
	bench_close(&b);
}

/* Each lie is one record by the caller himself, of a time that has not come or is long past; then he does what is found of anybody. */
static void
times_that_lie_switch_no_rule_off(void **state)
{
	static const int64_t lies[] = { 9 * DAY, 300 * DAY, 9000 * DAY, -5000 * DAY };
	char uid[32];

	(void)state;
	for (size_t k = 0; k < sizeof(lies) / sizeof(lies[0]); k++) {
		struct who w = bob, reader = { .actor = "mallory", .type = "User", .ip = "203.0.113.9", .cloud = "Azure", .resource = ACCOUNT, .account = "S" };
		struct bench b;

		bench_open(&b, "access", "");
		call(&b, &bob, MONDAY + lies[k]);		/* the very first record lies */
		runs(&b, &robot, 0, 16);
		works(&b, &bob, 0, 12);
		runs(&b, &key, 0, 3);
		for (int i = 0; i < 3; i++)
			call(&b, &bob, NOON(14) + i * MINUTE + lies[k]);
		azure_row(&b, NOON(14) + lies[k], "lie", true, 403, "m");
		act(&b, &reader, NOON(14) + lies[k], "Microsoft.CognitiveServices/accounts/listKeys/action", false, 0, "Success");
		for (int i = 0; i < 20; i++)			/* the others go on */
			call(&b, &robot, NOON(14) + i * SECOND);
		call(&b, &bob, NOON(14));
		b.nfound = 0;
		w.ip = "185.220.101.4";
		call(&b, &w, NOON(14) + 5 * MINUTE);
		assert_int_equal(bench_count(&b, "access.new_network"), 1);
		for (int i = 0; i < 12; i++) {
			snprintf(uid, sizeof(uid), "d%d", i);
			azure_row(&b, NOON(14) + HOUR + i * SECOND, uid, true, 403, "m");
		}
		assert_int_equal(bench_count(&b, "access.denied_burst"), 1);
		act(&b, &reader, NOON(14) + 2 * HOUR, "Microsoft.CognitiveServices/accounts/listKeys/action", false, 0, "Success");
		act(&b, &reader, NOON(14) + 2 * HOUR + lies[k], "Microsoft.CognitiveServices/accounts/listKeys/action", false, 0, "Success");
		w = key;
		w.more = "{\"CallerIpMasked\":\"91.240.118.***\"}";
		call(&b, &w, NOON(14) + 2 * HOUR + 10 * MINUTE);
		bench_first(&b, "access.key_after_listing");
		for (int h = 0; h < 24; h++)
			call(&b, &bob, MONDAY + 16 * DAY + h * HOUR);
		bench_first(&b, "access.person_as_service");
		bench_close(&b);
	}
}

static void
sized(struct bench *b, const struct who *w, int64_t t_ms, int64_t tokens, const char *more)
{
	struct event e;

	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_number(&e, F_TimeGenerated, t_ms);
	event_set_text(&e, F_Operation, SLICE("InvokeModel"));
	event_set_text(&e, F_EventResult, SLICE("Success"));
	event_set_text(&e, F_CloudProvider, slice_of(w->cloud));
	event_set_text(&e, F_TargetResourceId, slice_of(w->resource));
	event_set_text(&e, F_ActorUserId, slice_of(w->actor));
	event_set_text(&e, F_ActorUserType, slice_of(w->type));
	event_set_text(&e, F_SrcIpAddr, slice_of(w->ip));
	event_set_text(&e, F_HttpUserAgent, slice_of(w->agent));
	event_set_text(&e, F_AiModelName, slice_of(w->model));
	event_set_text(&e, F_AdditionalFields, slice_of(more));
	event_set_number(&e, F_RequestCount, 1);
	event_set_number(&e, F_PromptTokens, tokens);
	bench_see(b, &e);
}

static void
the_same_request_again_and_again_is_found(void **state)
{
	static const char *const body = "{\"RequestBody\":{\"length\":110,\"sha256\":\"aa\"}}", *const other = "{\"RequestBody\":{\"length\":110,\"sha256\":\"bb\"}}";
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int i = 0; i < 40; i++)			/* each prompt less often than that */
		sized(&b, &robot, NOON(0) + i * 5 * SECOND, 100 + i % 2, i % 2 ? body : other);
	bench_is_quiet(&b);
	for (int i = 0; i < 25; i++)
		sized(&b, &robot, NOON(0) + HOUR + i * 10 * SECOND, 100, body);
	assert_int_equal(bench_count(&b, "access.duplicates"), 1);
	assert_non_null(strstr(bench_first(&b, "access.duplicates")->message, "with the same prompt"));
	assert_in_range(bench_first(&b, "access.duplicates")->count, 20, 25);
	bench_close(&b);
	/* By length alone, of a caller long known, and not of one that always does so. */
	for (int always = 0; always < 2; always++) {
		bench_open(&b, "access", "");
		for (int d = 0; d < 10; d++)
			for (int i = 0; i < 60; i++)
				sized(&b, &robot, NOON(d) + i * (always ? 10 * SECOND : 10 * MINUTE), always ? 512 : 100 + (int64_t)bench_random(&b) % 900, "{}");
		bench_is_quiet(&b);
		for (int i = 0; i < 40; i++)
			sized(&b, &robot, NOON(10) + i * 10 * SECOND, 512, "{}");
		assert_int_equal(bench_count(&b, "access.duplicates"), always ? 0 : 1);
		bench_close(&b);
	}
}

static void
one_call_far_larger_than_all_before_is_found(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "access", "");
	for (int d = 0; d < 10; d++)
		for (int i = 0; i < 60; i++)
			sized(&b, &robot, NOON(d) + i * MINUTE, 100 + (int64_t)bench_random(&b) % 4000, "{}");
	sized(&b, &robot, NOON(10), 9000, "{}");		/* twice the largest: it happens */
	bench_is_quiet(&b);
	sized(&b, &robot, NOON(10) + MINUTE, 90000, "{}");
	assert_non_null(strstr(bench_first(&b, "access.huge_call")->message, " from 198.51.100.20; one call had a prompt of 90000 tokens"));
	assert_int_equal(bench_first(&b, "access.huge_call")->count, 1);		/* of calls, not of tokens */
	assert_int_equal(b.nfound, 1);
	bench_close(&b);
}

static void
sensitivity_and_suppression_quieten(void **state)
{
	struct who w = bob;
	struct bench b;

	(void)state;
	w.ip = "185.220.101.4";
	bench_open(&b, "access", "detectors: {access: {sensitivity: 0.5}}");
	works(&b, &bob, 0, 12);
	call(&b, &w, NOON(14));
	bench_is_quiet(&b);
	bench_close(&b);
	bench_open(&b, "access", "detectors: {suppress: [{match: {ActorUserId: \"*/bob\", EventOriginalType: access.*}, until: 2026-10-12, reason: moved}]}");
	works(&b, &bob, 0, 12);
	call(&b, &w, NOON(14));			/* 2026-10-12 */
	bench_is_quiet(&b);
	w.ip = "91.1.1.1";
	call(&b, &w, NOON(15));
	assert_int_equal(b.nfound, 1);		/* the rule is over */
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_from_a_network_that_nobody_uses_is_found),
		cmocka_unit_test(the_masked_network_of_a_shared_key_is_told_apart_too),
		cmocka_unit_test(a_new_kind_of_agent_and_a_known_tool_are_found),
		cmocka_unit_test(a_service_with_a_browser_behaves_like_a_person),
		cmocka_unit_test(a_person_round_the_clock_behaves_like_a_service),
		cmocka_unit_test(another_kind_of_credential_is_found),
		cmocka_unit_test(denials_are_found_and_who_is_let_in_after_them),
		cmocka_unit_test(one_address_that_tries_many_names_is_found),
		cmocka_unit_test(probing_is_found_and_bad_requests_of_one_model_are_not),
		cmocka_unit_test(listing_and_calling_is_found_of_whom_never_listed),
		cmocka_unit_test(who_lists_each_day_is_not_found_for_it),
		cmocka_unit_test(the_set_of_llmjackers_is_found),
		cmocka_unit_test(many_models_and_many_regions_are_found_and_a_gateway_is_not),
		cmocka_unit_test(one_credential_from_many_networks_is_found),
		cmocka_unit_test(a_night_call_of_a_day_worker_is_found_after_four_weeks),
		cmocka_unit_test(a_dormant_caller_is_found_when_it_is_back),
		cmocka_unit_test(a_key_used_from_elsewhere_after_it_was_read_is_found),
		cmocka_unit_test(a_key_just_made_and_used_from_elsewhere_is_found),
		cmocka_unit_test(a_new_caller_where_a_door_was_just_opened_is_found),
		cmocka_unit_test(a_new_caller_without_an_open_door_is_ordinary),
		cmocka_unit_test(a_burst_of_a_new_caller_from_a_strange_network_is_found),
		cmocka_unit_test(an_alert_on_the_resource_makes_a_chain),
		cmocka_unit_test(evidence_names_each_record_once),
		cmocka_unit_test(a_call_without_the_usual_guardrail_is_found),
		cmocka_unit_test(repeated_blocks_are_found),
		cmocka_unit_test(calls_of_one_length_in_great_number_are_found),
		cmocka_unit_test(a_bedrock_key_outside_bedrock_is_found),
		cmocka_unit_test(a_list_of_networks_tells_countries_travel_and_labels),
		cmocka_unit_test(new_employees_and_new_services_are_ordinary),
		cmocka_unit_test(upgrades_and_other_sdks_are_ordinary),
		cmocka_unit_test(addresses_of_pods_and_of_an_office_are_ordinary),
		cmocka_unit_test(an_office_that_moves_makes_two_findings_at_most),
		cmocka_unit_test(what_is_denied_all_day_is_said_once),
		cmocka_unit_test(a_restart_anywhere_gives_the_same_findings),
		cmocka_unit_test(damaged_memory_is_refused_and_leaves_a_fresh_detector),
		cmocka_unit_test(a_flood_of_new_callers_does_not_push_out_the_established_ones),
		cmocka_unit_test(late_records_count_in_their_own_time),
		cmocka_unit_test(a_record_that_comes_twice_counts_once),
		cmocka_unit_test(an_id_that_all_calls_bear_switches_no_rule_off),
		cmocka_unit_test(what_strangers_write_is_cut_and_harmless),
		cmocka_unit_test(an_event_of_the_far_future_does_not_blind),
		cmocka_unit_test(times_that_lie_switch_no_rule_off),
		cmocka_unit_test(the_same_request_again_and_again_is_found),
		cmocka_unit_test(one_call_far_larger_than_all_before_is_found),
		cmocka_unit_test(sensitivity_and_suppression_quieten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
