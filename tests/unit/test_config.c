/* test_config.c - the config detector: what changed, what it was, what it weakens; one finding an operation; exact memory. */
#include "detect_help.h"

#define CHAT	"/subscriptions/S/resourceGroups/G/providers/Microsoft.CognitiveServices/accounts/chat"

struct op {
	const char	*cloud, *name, *target, *type, *result, *group, *body, *actor, *extra, *ip;
	int64_t		 t_ms;
	int		 status;
};

static struct slice
account_of(const char *target)
{
	ptrdiff_t at = slice_find_nocase(slice_of(target), SLICE("/accounts/"), 0);

	return at < 0 ? slice_of(target) : slice_make(target + at + 10, strcspn(target + at + 10, "/"));
}

static void
see(struct bench *b, struct op o)
{
	char more[65536];
	struct event e;

	snprintf(more, sizeof(more), "{%s%s%s%s%s\"Level\":\"Information\"%s%s}", o.group != NULL ? "\"CorrelationId\":\"" : "",
	    o.group != NULL ? o.group : "", o.group != NULL ? "\"," : "", o.extra != NULL ? o.extra : "", o.extra != NULL ? "," : "",
	    o.body != NULL ? ",\"RequestBody\":" : "", o.body != NULL ? o.body : "");
	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("activity"));
	event_set_number(&e, F_TimeGenerated, o.t_ms > 0 ? o.t_ms : MONDAY);
	event_set_text(&e, F_Operation, slice_of(o.name));
	event_set_text(&e, F_CloudProvider, slice_of(o.cloud != NULL ? o.cloud : "Azure"));
	event_set_text(&e, F_CloudAccountId, SLICE("S"));
	event_set_text(&e, F_CloudRegion, SLICE("us-east-1"));
	event_set_text(&e, F_TargetResourceId, slice_of(o.target != NULL ? o.target : CHAT));
	event_set_text(&e, F_TargetResourceName, account_of(o.target != NULL ? o.target : CHAT));
	event_set_text(&e, F_TargetResourceType, slice_of(o.type != NULL ? o.type : "azure_openai"));
	event_set_text(&e, F_EventResult, slice_of(o.result != NULL ? o.result : "Success"));
	event_set_text(&e, F_ActorUserId, slice_of(o.actor != NULL ? o.actor : "erin"));
	event_set_text(&e, F_SrcIpAddr, slice_of(o.ip));
	if (o.status > 0)
		event_set_number(&e, F_HttpStatusCode, o.status);
	event_set_text(&e, F_AdditionalFields, slice_of(more));
	bench_see(b, &e);
}

static const struct finding *
last(const struct bench *b)
{
	assert_true(b->nfound > 0);
	return &b->found[b->nfound - 1];
}

/* ---- what it weakens ------------------------------------------------------------------------ */

static void
opening_the_network_is_high_with_old_and_new_value(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write",
	    .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\",\"networkAcls\":{\"defaultAction\":\"Deny\",\"ipRules\":[]}}}" });
	assert_string_equal(last(&b)->severity, "Low");
	assert_non_null(strstr(last(&b)->message, "strengthened"));
	see(&b, (struct op){ .name = "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/WRITE", .t_ms = MONDAY + DAY * 2,
	    .target = "/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.COGNITIVESERVICES/ACCOUNTS/CHAT",
	    .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\",\"networkAcls\":{\"defaultAction\":\"Allow\",\"ipRules\":[{\"value\":\"0.0.0.0/0\"}]}}}" });
	assert_int_equal(b.nfound, 2);
	assert_string_equal(last(&b)->type, "config.account.weakened");
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->old, "\"publicNetworkAccess\":\"Disabled\""));
	assert_non_null(strstr(last(&b)->new, "\"publicNetworkAccess\":\"Enabled\""));
	assert_non_null(strstr(last(&b)->more, "{\"path\":\"properties.publicnetworkaccess\",\"old\":\"Disabled\",\"new\":\"Enabled\"}"));
	assert_non_null(strstr(last(&b)->reason, "0.0.0.0/0"));
	assert_non_null(strstr(last(&b)->techniques, "T1562.007"));
	bench_close(&b);
}

static void
a_content_filter_is_compared_filter_by_filter(void **state)
{
	static const char *const target = CHAT "/raiPolicies/strict", *const name = "Microsoft.CognitiveServices/accounts/raiPolicies/write";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .target = target, .body = "{\"properties\":{\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Low\"},"
	    "{\"name\":\"hate\",\"source\":\"Completion\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Low\"}]}}" });
	assert_string_equal(last(&b)->severity, "Low");
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 2 * DAY, .body = "{\"properties\":{\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Completion\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Low\"},"
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Medium\"}]}}" });
	assert_string_equal(last(&b)->severity, "High");	/* moved places are no change; a raised threshold is */
	assert_non_null(strstr(last(&b)->more, "contentfilters[hate/prompt].severitythreshold"));
	assert_null(strstr(last(&b)->more, "completion"));
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 4 * DAY, .body = "{\"properties\":{\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Medium\"}]}}" });
	assert_non_null(strstr(last(&b)->reason, "taken out"));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/raiPolicies/delete", .target = target, .t_ms = MONDAY + 6 * DAY });
	assert_string_equal(last(&b)->type, "config.content_filter.removed");
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->old, "\"hate\""));
	assert_string_equal(last(&b)->new, "");
	bench_close(&b);
}

static void
guardrails_and_logging_of_bedrock(void **state)
{
	static const char *const bedrock = "\"EventSource\":\"bedrock.amazonaws.com\"";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .cloud = "AWS", .name = "CreateGuardrail", .target = "arn:aws:bedrock:us-east-1:1:guardrail/g1", .type = "amazon_bedrock", .extra = bedrock,
	    .body = "{\"name\":\"g\",\"contentPolicyConfig\":{\"filtersConfig\":[{\"type\":\"VIOLENCE\",\"inputStrength\":\"HIGH\",\"outputStrength\":\"HIGH\"}]}}" });
	assert_string_equal(last(&b)->severity, "Informational");
	see(&b, (struct op){ .cloud = "AWS", .name = "UpdateGuardrail", .target = "g1", .type = "amazon_bedrock", .extra = bedrock, .t_ms = MONDAY + DAY,
	    .body = "{\"guardrailIdentifier\":\"g1\",\"contentPolicyConfig\":{\"filtersConfig\":[{\"type\":\"VIOLENCE\",\"inputStrength\":\"LOW\",\"outputStrength\":\"HIGH\"}]}}" });
	assert_string_equal(last(&b)->type, "config.guardrail.weakened");
	assert_non_null(strstr(last(&b)->old, "\"inputStrength\":\"HIGH\""));
	see(&b, (struct op){ .cloud = "AWS", .name = "DeleteModelInvocationLoggingConfiguration", .target = "x", .type = "amazon_bedrock", .extra = bedrock, .actor = "eve",
	    .t_ms = MONDAY + 3 * DAY });
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->techniques, "T1562.008"));
	assert_int_equal(b.nfound, 3);
	see(&b, (struct op){ .cloud = "AWS", .name = "ListGuardrails", .type = "amazon_bedrock", .extra = bedrock });
	see(&b, (struct op){ .cloud = "AWS", .name = "GetGuardrail", .type = "amazon_bedrock", .extra = bedrock });
	see(&b, (struct op){ .cloud = "AWS", .name = "DeleteBucket", .target = "arn:aws:s3:::b", .type = "other", .extra = "\"EventSource\":\"s3.amazonaws.com\"" });
	assert_int_equal(b.nfound, 3);		/* reads, and what is no AI */
	bench_close(&b);
}

static void
google_and_microsoft_365(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .cloud = "GCP", .name = "google.cloud.aiplatform.v1.EndpointService.DeployModel", .target = "projects/p/locations/l/endpoints/1",
	    .type = "gcp_vertex_ai", .result = "NA", .extra = "\"OperationId\":\"op1\"", .body = "{\"deployedModel\":{\"model\":\"projects/p/models/7\"}}" });
	assert_int_equal(b.nfound, 0);			/* a long operation has begun */
	see(&b, (struct op){ .cloud = "GCP", .name = "google.cloud.aiplatform.v1.EndpointService.DeployModel", .target = "projects/p/locations/l/endpoints/1",
	    .type = "gcp_vertex_ai", .extra = "\"OperationId\":\"op1\"", .t_ms = MONDAY + 5 * MINUTE });
	assert_int_equal(b.nfound, 1);
	assert_non_null(strstr(last(&b)->new, "models/7"));
	see(&b, (struct op){ .cloud = "GCP", .name = "SetIamPolicy", .target = "projects/p", .type = "other",
	    .body = "{\"policy\":{\"bindings\":[{\"role\":\"roles/aiplatform.user\",\"members\":[\"allUsers\"]}]}}" });
	assert_string_equal(last(&b)->severity, "Critical");
	see(&b, (struct op){ .cloud = "GCP", .name = "SetIamPolicy", .target = "projects/q", .type = "other", .actor = "z",
	    .extra = "\"PolicyDelta\":{\"bindingDeltas\":[{\"action\":\"REMOVE\",\"role\":\"roles/owner\",\"member\":\"user:x\"}]}" });
	assert_string_equal(last(&b)->severity, "Medium");
	see(&b, (struct op){ .cloud = "GCP", .name = "SetIamPolicy", .target = "projects/r", .type = "other", .actor = "y",
	    .extra = "\"PolicyDelta\":{\"bindingDeltas\":[{\"action\":\"ADD\",\"role\":\"roles/owner\",\"member\":\"user:x\"}]}" });
	assert_string_equal(last(&b)->severity, "High");
	see(&b, (struct op){ .cloud = "GCP", .name = "v1.compute.instances.delete", .target = "projects/p/zones/z/instances/i", .type = "other" });
	see(&b, (struct op){ .cloud = "GCP", .name = "google.cloud.aiplatform.v1.PredictionService.Predict", .type = "gcp_vertex_ai" });
	assert_int_equal(b.nfound, 4);
	see(&b, (struct op){ .cloud = "Microsoft365", .name = "BotUpdateOperation-BotAuthUpdate", .target = "bot", .type = "copilot_studio", .actor = "m" });
	assert_string_equal(last(&b)->severity, "High");
	bench_close(&b);
}

static void
keys_roles_plans_and_local_authentication(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .actor = "a1" });
	assert_string_equal(last(&b)->type, "config.key.read");
	assert_string_equal(last(&b)->severity, "Medium");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/regenerateKey/action", .target = CHAT "2", .actor = "a2", .body = "{\"keyName\":\"Key1\"}" });
	assert_string_equal(last(&b)->type, "config.key.renewed");
	see(&b, (struct op){ .name = "Microsoft.Authorization/roleAssignments/write", .actor = "a3", .target = CHAT "3/providers/Microsoft.Authorization/roleAssignments/1",
	    .body = "{\"Properties\":{\"PrincipalId\":\"p\",\"RoleDefinitionId\":\"/x/8e3af657-a8ff-443c-a75c-2fe8c4bcb635\"}}" });
	assert_string_equal(last(&b)->severity, "High");
	see(&b, (struct op){ .name = "Microsoft.Security/pricings/write", .actor = "a4", .target = "/subscriptions/S/providers/Microsoft.Security/pricings/AI",
	    .type = "other", .body = "{\"properties\":{\"pricingTier\":\"Free\"}}" });
	assert_non_null(strstr(last(&b)->reason, "the Defender plan is off"));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .actor = "a5", .target = CHAT "5", .body = "{\"properties\":{\"disableLocalAuth\":false}}" });
	assert_non_null(strstr(last(&b)->reason, "local (key) authentication is on"));
	see(&b, (struct op){ .name = "Microsoft.Insights/diagnosticSettings/delete", .actor = "a6", .target = "/subscriptions/S/resourceGroups/G/providers/Microsoft.Compute/virtualMachines/v",
	    .type = "other" });
	assert_int_equal(b.nfound, 5);		/* a machine's logs are no AI configuration */
	bench_close(&b);
}

/* ---- one operation, one finding ------------------------------------------------------------------ */

/* x-ms-correlation-request-id is the caller's own word: a harmless write first, then another under its name. */
static void
a_correlation_id_that_is_used_again_hides_no_operation(void **state)
{
	static const char *const name = "Microsoft.CognitiveServices/accounts/write";
	static const char *const harmless = "{\"properties\":{\"disableLocalAuth\":true}}", *const weak = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .group = "c", .body = harmless });
	see(&b, (struct op){ .name = name, .group = "c", .body = weak, .t_ms = MONDAY + 2 * SECOND });
	assert_int_equal(b.nfound, 2);
	assert_string_equal(last(&b)->type, "config.account.weakened");
	/* Both begin before one ends: each is said, and what weakens is not told as the other. */
	see(&b, (struct op){ .name = name, .target = CHAT "2", .group = "d", .result = "NA", .body = harmless });
	see(&b, (struct op){ .name = name, .target = CHAT "2", .group = "d", .result = "NA", .body = weak, .t_ms = MONDAY + SECOND });
	see(&b, (struct op){ .name = name, .target = CHAT "2", .group = "d", .t_ms = MONDAY + 3 * SECOND });
	assert_int_equal(b.nfound, 4);
	assert_string_equal(last(&b)->type, "config.account.weakened");
	/* What failed is tried again, and succeeds. */
	see(&b, (struct op){ .name = name, .target = CHAT "3", .group = "e", .result = "Failure", .body = weak });
	see(&b, (struct op){ .name = name, .target = CHAT "3", .group = "e", .body = weak, .t_ms = MONDAY + 60 * SECOND });
	assert_int_equal(b.nfound, 6);
	assert_string_equal(last(&b)->result, "Success");
	/* What was taken back under another id is done again: its first record comes after the end. */
	see(&b, (struct op){ .name = name, .group = "f", .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}", .t_ms = MONDAY + 20 * SECOND });
	see(&b, (struct op){ .name = name, .group = "c", .result = "NA", .body = weak, .t_ms = MONDAY + 60 * SECOND });
	see(&b, (struct op){ .name = name, .group = "c", .t_ms = MONDAY + 61 * SECOND });
	assert_int_equal(b.nfound, 8);
	/* Keys are read once more, by somebody else. */
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .target = CHAT "4", .group = "g", .ip = "198.51.100.7" });
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .target = CHAT "4", .group = "g", .ip = "203.0.113.9", .t_ms = MONDAY + 600 * SECOND });
	assert_int_equal(b.nfound, 10);
	bench_close(&b);
}

static void
start_accept_and_success_are_one_finding_with_the_body_of_the_first(void **state)
{
	static const char *const name = "MICROSOFT.COGNITIVESERVICES/ACCOUNTS/DEPLOYMENTS/WRITE", *const target = CHAT "/DEPLOYMENTS/D";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .target = target, .group = "c1", .result = "NA",
	    .body = "{\"properties\":{\"model\":{\"name\":\"gpt-4o\",\"version\":\"1\"},\"raiPolicyName\":\"Strict\"}}" });
	see(&b, (struct op){ .name = name, .target = target, .group = "c1", .result = "NA", .t_ms = MONDAY + SECOND });
	assert_int_equal(b.nfound, 0);
	see(&b, (struct op){ .name = name, .target = target, .group = "c1", .t_ms = MONDAY + 40 * SECOND });
	see(&b, (struct op){ .name = name, .target = target, .group = "c1", .t_ms = MONDAY + 41 * SECOND });
	see(&b, (struct op){ .name = name, .target = target, .group = "c1", .result = "NA", .t_ms = MONDAY + SECOND });
	assert_int_equal(b.nfound, 1);
	assert_string_equal(last(&b)->result, "Success");
	assert_non_null(strstr(last(&b)->new, "gpt-4o"));
	assert_non_null(strstr(last(&b)->more, "\"evidence\":[\"00000000000000000000000000000001\",\"00000000000000000000000000000002\","));
	see(&b, (struct op){ .name = name, .target = target, .group = "c2", .t_ms = MONDAY + 2 * DAY,
	    .body = "{\"properties\":{\"model\":{\"name\":\"gpt-4o-mini\",\"version\":\"1\"},\"raiPolicyName\":\"Loose\"}}" });
	assert_non_null(strstr(last(&b)->reason, "the deployment has another content filter"));
	assert_non_null(strstr(last(&b)->old, "\"gpt-4o\""));
	bench_close(&b);
}

static void
what_never_ends_is_said_when_its_time_has_passed(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "detectors: {config: {wait: 30m}}");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/delete", .group = "c1", .result = "NA" });
	see(&b, (struct op){ .name = "x/read", .t_ms = MONDAY + 20 * MINUTE });
	assert_int_equal(b.nfound, 0);
	for (int i = 30; i < 120; i += 10)
		see(&b, (struct op){ .name = "x/read", .t_ms = MONDAY + i * MINUTE });
	assert_int_equal(b.nfound, 1);
	assert_string_equal(last(&b)->result, "NA");
	assert_non_null(strstr(last(&b)->more, "\"outcome\":\"unknown\""));
	bench_close(&b);
}

static void
a_failed_attempt_is_said_as_failed_and_changes_no_state(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .result = "Failure", .status = 403, .t_ms = MONDAY + DAY,
	    .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	assert_string_equal(last(&b)->result, "Failure");
	assert_string_equal(last(&b)->severity, "Medium");
	assert_non_null(strstr(last(&b)->message, "tried to weaken"));
	assert_non_null(strstr(last(&b)->message, "403"));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .t_ms = MONDAY + 2 * DAY, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	assert_string_equal(last(&b)->type, "config.account.unchanged");
	assert_string_equal(last(&b)->severity, "Informational");
	bench_close(&b);
}

static void
what_is_undone_within_minutes_is_said_to_be(void **state)
{
	static const char *const write = "Microsoft.CognitiveServices/accounts/write";
	char id[64];
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = write, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	see(&b, (struct op){ .name = write, .t_ms = MONDAY + DAY, .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	snprintf(id, sizeof(id), "\"undoes\":\"%s\"", last(&b)->id);
	see(&b, (struct op){ .name = write, .t_ms = MONDAY + DAY + 4 * MINUTE, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	assert_non_null(strstr(last(&b)->more, id));
	assert_non_null(strstr(last(&b)->reason, "undoes the change of 4 minutes before"));
	assert_string_equal(last(&b)->severity, "Low");
	see(&b, (struct op){ .name = "Microsoft.Insights/diagnosticSettings/delete", .target = CHAT "/providers/Microsoft.Insights/diagnosticSettings/d", .t_ms = MONDAY + 3 * DAY });
	see(&b, (struct op){ .name = "Microsoft.Insights/diagnosticSettings/write", .target = CHAT "/providers/Microsoft.Insights/diagnosticSettings/d",
	    .t_ms = MONDAY + 3 * DAY + 5 * MINUTE, .body = "{\"properties\":{\"logs\":[{\"category\":\"Audit\",\"enabled\":true}]}}" });
	assert_non_null(strstr(last(&b)->more, "\"undoes\""));
	see(&b, (struct op){ .name = write, .t_ms = MONDAY + 5 * DAY, .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	see(&b, (struct op){ .name = write, .t_ms = MONDAY + 5 * DAY + HOUR, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	assert_null(strstr(last(&b)->more, "\"undoes\""));	/* an hour later it is a change like others */
	bench_close(&b);
}

static void
techniques_are_of_what_was_done_and_only_of_that(void **state)
{
	static const char *const write = "Microsoft.CognitiveServices/accounts/deployments/write", *const target = CHAT "/deployments/d",
	    *const body = "{\"properties\":{\"model\":{\"name\":\"gpt-4o\"}}}";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action" });
	assert_string_equal(last(&b)->techniques, "T1552.001");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .actor = "f", .result = "Failure", .status = 403 });
	assert_string_equal(last(&b)->techniques, "");
	see(&b, (struct op){ .name = write, .target = target, .body = body });
	assert_string_equal(last(&b)->techniques, "T1525,AML.T0018,T1496");
	see(&b, (struct op){ .name = write, .target = target, .body = body, .t_ms = MONDAY + 2 * DAY });
	assert_string_equal(last(&b)->type, "config.deployment.unchanged");
	assert_string_equal(last(&b)->severity, "Informational");
	assert_string_equal(last(&b)->techniques, "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/deployments/delete", .target = target, .t_ms = MONDAY + 4 * DAY });
	assert_string_equal(last(&b)->techniques, "T1485,T1489");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .t_ms = MONDAY + 8 * DAY,
	    .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	assert_string_equal(last(&b)->techniques, "");		/* it strengthens */
	assert_true(last(&b)->score == 0.5);
	bench_close(&b);
}

static void
two_weakenings_in_a_day_make_a_chain(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	assert_string_equal(last(&b)->severity, "High");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/regenerateKey/action", .actor = "other", .t_ms = MONDAY + 3 * HOUR });
	assert_string_equal(last(&b)->severity, "High");	/* Medium alone */
	assert_non_null(strstr(last(&b)->more, "\"chain\":\"C3\""));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .actor = "other", .t_ms = MONDAY + 5 * DAY });
	assert_string_equal(last(&b)->severity, "Medium");
	bench_close(&b);
}

static void
a_routine_reading_of_keys_is_said_once_and_then_once_a_day(void **state)
{
	static const char *const list = "Microsoft.CognitiveServices/accounts/listKeys/action";
	struct bench b;
	size_t medium = 0;

	(void)state;
	bench_open(&b, "config", "");
	for (int h = 0; h < 5 * 24; h++) {
		see(&b, (struct op){ .name = list, .t_ms = MONDAY + h * HOUR, .actor = "robot", .ip = "192.0.2.17" });
		if (h == 50)
			bench_restart(&b);
	}
	assert_int_equal(b.nfound, 5);
	for (size_t i = 0; i < b.nfound; i++) {
		medium += strcmp(b.found[i].severity, "Medium") == 0;
		if (i > 0)
			assert_string_equal(b.found[i].severity, "Informational");
	}
	assert_int_equal(medium, 1);
	assert_non_null(strstr(b.found[0].message, "from 192.0.2.0/24"));
	assert_non_null(strstr(b.found[1].more, "\"routine\":{\"count\":24,"));
	assert_string_equal(b.found[1].techniques, "");
	see(&b, (struct op){ .name = list, .t_ms = MONDAY + 5 * DAY, .actor = "eve", .ip = "192.0.2.17" });
	assert_string_equal(last(&b)->severity, "Medium");		/* another actor */
	see(&b, (struct op){ .name = list, .t_ms = MONDAY + 5 * DAY, .actor = "robot", .ip = "198.51.100.3" });
	assert_string_equal(last(&b)->severity, "High");		/* the routine's own credential, elsewhere */
	assert_non_null(strstr(last(&b)->message, "198.51.100.0/24, where this actor never did it before"));
	see(&b, (struct op){ .name = list, .t_ms = MONDAY + 5 * DAY, .target = CHAT "2", .actor = "robot", .ip = "192.0.2.17" });
	assert_string_equal(last(&b)->severity, "Medium");		/* other keys */
	assert_int_equal(b.nfound, 8);
	bench_close(&b);
}

static void
a_message_tells_who_got_which_role_and_what_is_deployed(void **state)
{
	static const char *const role = "Microsoft.Authorization/roleAssignments/write", *const deploy = "Microsoft.CognitiveServices/accounts/deployments/write";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = role, .target = CHAT "/providers/Microsoft.Authorization/roleAssignments/1", .body = "{\"Id\":\"1\",\"Properties\":{\"PrincipalId\":\"6f1e\","
	    "\"PrincipalType\":\"ServicePrincipal\",\"RoleDefinitionId\":\"/providers/Microsoft.Authorization/roleDefinitions/5E0BD9BD-7b93-4f28-af87-19fc36ad61bd\"}}" });
	assert_non_null(strstr(last(&b)->message, "erin granted the role Cognitive Services OpenAI User to principal 6f1e (ServicePrincipal) on chat"));
	see(&b, (struct op){ .name = role, .target = CHAT "/providers/Microsoft.Authorization/roleAssignments/2", .result = "Failure", .status = 403,
	    .body = "{\"properties\":{\"principalId\":\"7a\",\"roleDefinitionId\":\"/x/00000000-aaaa-bbbb-cccc-000000000000\"}}" });
	assert_non_null(strstr(last(&b)->message, "tried to grant the role 00000000-aaaa-bbbb-cccc-000000000000 to principal 7a on chat: it was denied with status 403"));
	see(&b, (struct op){ .name = "Microsoft.Authorization/roleAssignments/delete", .target = CHAT "/providers/Microsoft.Authorization/roleAssignments/1", .t_ms = MONDAY + HOUR });
	assert_non_null(strstr(last(&b)->message, "took the role Cognitive Services OpenAI User from principal 6f1e"));
	see(&b, (struct op){ .name = deploy, .target = CHAT "/deployments/d", .body = "{\"sku\":{\"name\":\"GlobalStandard\",\"capacity\":50},\"properties\":{\"model\":"
	    "{\"name\":\"gpt-4o\",\"version\":\"2024-11-20\"},\"raiPolicyName\":\"Strict\"}}" });
	assert_non_null(strstr(last(&b)->message, "model gpt-4o, version 2024-11-20, SKU GlobalStandard, capacity 50, content filter Strict"));
	assert_null(strstr(last(&b)->message, "does not tell"));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/deployments/delete", .target = CHAT "/deployments/d", .t_ms = MONDAY + 3 * DAY });
	assert_non_null(strstr(last(&b)->message, "deleted the model deployment of chat: it was model gpt-4o"));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/deployments/delete", .target = CHAT "/deployments/e", .t_ms = MONDAY + 6 * DAY });
	assert_string_equal(last(&b)->message, "erin deleted the model deployment of chat");
	assert_string_equal(last(&b)->reason, "model deployment deleted");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/encryptionScopes/write", .target = CHAT "/encryptionScopes/e", .t_ms = MONDAY + 9 * DAY,
	    .body = "{\"properties\":{\"state\":\"Enabled\"}}" });
	assert_non_null(strstr(last(&b)->message, "properties.state is \"Enabled\"; what it was before is not known"));
	see(&b, (struct op){ .cloud = "GCP", .name = "google.cloud.aiplatform.v1.EndpointService.UndeployModel", .target = "projects/p/locations/l/endpoints/1", .type = "gcp_vertex_ai",
	    .result = "Failure", .extra = "\"ErrorCode\":\"PERMISSION_DENIED\"", .t_ms = MONDAY + 9 * DAY });
	assert_non_null(strstr(last(&b)->message, "it was denied (PERMISSION_DENIED)"));
	bench_close(&b);
}

static void
what_follows_a_weakening_within_a_day_is_raised_and_names_its_records(void **state)
{
	static const char *const filter = "Microsoft.CognitiveServices/accounts/raiPolicies/write", *const deploy = "Microsoft.CognitiveServices/accounts/deployments/write";
	char id[33];
	struct event e;
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = filter, .target = CHAT "/raiPolicies/Loose", .body = "{\"properties\":{\"contentFilters\":[{\"name\":\"hate\",\"blocking\":false}]}}" });
	assert_string_equal(last(&b)->severity, "High");
	snprintf(id, sizeof(id), "%032llx", (unsigned long long)b.events);
	see(&b, (struct op){ .name = deploy, .target = CHAT "/deployments/d", .actor = "other", .t_ms = MONDAY + HOUR, .body = "{\"properties\":{\"raiPolicyName\":\"loose\"}}" });
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->message, "within a day after: content filter weakened"));
	assert_null(strstr(last(&b)->message, "C1"));
	assert_non_null(strstr(last(&b)->more, id));
	see(&b, (struct op){ .name = deploy, .target = CHAT "/deployments/e", .actor = "other", .t_ms = MONDAY + HOUR, .body = "{\"properties\":{\"raiPolicyName\":\"Strict\"}}" });
	assert_string_equal(last(&b)->severity, "Medium");
	see(&b, (struct op){ .name = "Microsoft.Authorization/roleAssignments/write", .actor = "third", .t_ms = MONDAY + 2 * HOUR,
	    .body = "{\"properties\":{\"principalId\":\"p\",\"roleDefinitionId\":\"/x/a97b65f3-24c7-4388-baec-2e87135dc908\"}}" });
	assert_string_equal(last(&b)->severity, "High");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/deployments/delete", .target = "/subscriptions/S/resourceGroups/G/providers/Microsoft.CognitiveServices/accounts/x/deployments/d",
	    .t_ms = MONDAY + 3 * HOUR });
	assert_string_equal(last(&b)->severity, "High");	/* by who weakened */
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/deployments/delete", .target = CHAT "/deployments/d", .actor = "fourth", .t_ms = MONDAY + 3 * DAY });
	assert_string_equal(last(&b)->severity, "Medium");	/* days later */
	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("alert"));
	event_set_number(&e, F_TimeGenerated, MONDAY + 10 * DAY);
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_TargetResourceId, SLICE(CHAT));
	event_set_text(&e, F_TargetResourceName, SLICE("chat"));
	event_set_text(&e, F_TargetResourceType, SLICE("azure_openai"));
	bench_see(&b, &e);
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .actor = "fifth", .t_ms = MONDAY + 10 * DAY + HOUR });
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->message, "within a day after: Defender alert"));
	bench_close(&b);
}

static void
inventory_tells_what_it_was(void **state)
{
	struct event e;
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	event_init(&e);
	event_set_text(&e, F_EventClass, SLICE("inventory"));
	event_set_text(&e, F_EventOriginalType, SLICE("microsoft.cognitiveservices/accounts"));
	event_set_text(&e, F_CloudProvider, SLICE("Azure"));
	event_set_text(&e, F_TargetResourceId, SLICE(CHAT));
	event_set_text(&e, F_AdditionalFields, SLICE("{\"Configuration\":{\"publicNetworkAccess\":\"Disabled\",\"disableLocalAuth\":true}}"));
	bench_see(&b, &e);
	assert_int_equal(b.nfound, 0);
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	assert_non_null(strstr(last(&b)->old, "\"publicNetworkAccess\":\"Disabled\""));
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .t_ms = MONDAY + 2 * DAY, .body = "{\"properties\":{\"disableLocalAuth\":false}}" });
	assert_non_null(strstr(last(&b)->old, "\"disableLocalAuth\":true"));	/* the parts that a body leaves out stay known */
	assert_non_null(strstr(last(&b)->old, "\"publicNetworkAccess\":\"Enabled\""));
	bench_close(&b);
}

/* ---- memory and hostility ---------------------------------------------------------------------------- */

static void
story(struct bench *b, int restart_at)
{
	static const char *const write = "Microsoft.CognitiveServices/accounts/write";
	const struct op steps[] = {
		{ .name = write, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" },
		{ .name = write, .group = "g", .result = "NA", .t_ms = MONDAY + HOUR, .body = "{\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" },
		{ .name = write, .group = "g", .t_ms = MONDAY + HOUR + SECOND },
		{ .name = write, .t_ms = MONDAY + HOUR + MINUTE, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" },
		{ .name = "Microsoft.CognitiveServices/accounts/delete", .group = "h", .result = "NA", .t_ms = MONDAY + 2 * HOUR },
		{ .name = "x/read", .t_ms = MONDAY + 5 * HOUR },
		{ .name = "x/read", .t_ms = MONDAY + 5 * HOUR + SECOND },
	};

	for (int i = 0; i < (int)(sizeof(steps) / sizeof(steps[0])); i++) {
		see(b, steps[i]);
		if (i == restart_at)
			bench_restart(b);
	}
}

static void
a_restart_anywhere_gives_the_same_findings(void **state)
{
	struct bench whole, cut;

	(void)state;
	bench_open(&whole, "config", "");
	story(&whole, -1);
	assert_int_equal(whole.nfound, 4);
	for (int at = 0; at < 7; at++) {
		bench_open(&cut, "config", "");
		story(&cut, at);
		assert_int_equal(cut.nfound, whole.nfound);
		for (size_t i = 0; i < cut.nfound; i++) {
			assert_string_equal(cut.found[i].id, whole.found[i].id);
			assert_string_equal(cut.found[i].message, whole.found[i].message);
			assert_string_equal(cut.found[i].old, whole.found[i].old);
			assert_string_equal(cut.found[i].more, whole.found[i].more);
		}
		bench_close(&cut);
	}
	bench_close(&whole);
}

static void
damaged_memory_is_refused(void **state)
{
	struct err err = { 0 };
	struct buf saved;
	struct bench b;
	struct detect *again;

	(void)state;
	bench_open(&b, "config", "");
	story(&b, -1);
	buf_init(&saved, SIZE_MAX / 2);
	assert_int_equal(detect_save(b.detect, &saved, &err), 0);
	for (size_t n = 0; n < saved.n; n += saved.n / 50 + 1) {
		assert_int_equal(detect_open_one(&again, conf_block(b.conf, "detectors"), "config", &err), 0);
		assert_int_equal(detect_restore(again, slice_make(saved.p, n), &err), -1);
		detect_close(again);
	}
	buf_fini(&saved);
	bench_close(&b);
}

static void
more_open_operations_than_there_is_room_for_are_said_not_lost(void **state)
{
	char target[256];
	struct bench b;
	size_t n = 0;

	(void)state;
	bench_open(&b, "config", "");
	for (int i = 0; i < 4096 + 100; i++) {
		snprintf(target, sizeof(target), CHAT "%d", i);
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/delete", .target = target, .group = "g", .result = "NA", .t_ms = MONDAY + i });
	}
	for (size_t i = 0; i < b.nfound; i++)
		n += strcmp(b.found[i].type, "config.account.removed") == 0;
	assert_int_equal(n, 100);
	bench_close(&b);
}

#define STAND_IN(length, digit)	"{\"length\":" #length ",\"sha256\":\"" digit digit digit digit digit digit digit digit "\"}"
#define EIGHT(c)		c c c c c c c c

static void
a_body_that_is_not_told_weighs_as_the_worst_that_it_may_be(void **state)
{
	static const char *const target = CHAT "/raiPolicies/strict", *const name = "Microsoft.CognitiveServices/accounts/raiPolicies/write";
	static const char *const strict = "{\"properties\":{\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true,\"blocking\":true,\"severityThreshold\":\"Low\"}]}}";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .target = target, .body = strict });
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 2 * DAY, .body = STAND_IN(40000, EIGHT("a")) });
	assert_string_equal(last(&b)->severity, "High");
	assert_string_equal(last(&b)->type, "config.content_filter.changed");
	assert_non_null(strstr(last(&b)->message, "its content could not be compared"));
	assert_non_null(strstr(last(&b)->more, "\"comparable\":false"));
	assert_non_null(strstr(last(&b)->new, "\"length\":40000"));
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 4 * DAY, .body = STAND_IN(40000, EIGHT("a")) });
	assert_string_equal(last(&b)->type, "config.content_filter.unchanged");	/* the same digest is the same body */
	assert_string_equal(last(&b)->severity, "Informational");
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 6 * DAY, .body = STAND_IN(40000, EIGHT("b")) });
	assert_string_equal(last(&b)->severity, "High");
	/* In two records, the first of which has the body. */
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 8 * DAY, .group = "g1", .result = "NA", .body = STAND_IN(40000, EIGHT("c")) });
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 8 * DAY + MINUTE, .group = "g1" });
	assert_string_equal(last(&b)->severity, "High");
	/* An answer that tells little makes it no smaller. */
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 10 * DAY, .body = STAND_IN(40000, EIGHT("d")),
	    .extra = "\"ResponseBody\":{\"properties\":{\"contentFilters\":[{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true}]}}" });
	assert_string_equal(last(&b)->severity, "High");
	/* Where nothing grave could stand, nothing is made of it. */
	see(&b, (struct op){ .cloud = "AWS", .name = "TagResource", .target = "g1", .type = "amazon_bedrock", .extra = "\"EventSource\":\"bedrock.amazonaws.com\"",
	    .t_ms = MONDAY + 10 * DAY, .body = STAND_IN(40000, EIGHT("e")) });
	assert_string_equal(last(&b)->severity, "Informational");
	bench_close(&b);
}

static void
a_body_made_to_look_like_one_that_is_not_told_is_read(void **state)
{
	static const char *const name = "Microsoft.CognitiveServices/accounts/write";
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .body = "{\"properties\":{\"publicNetworkAccess\":\"Disabled\"}}" });
	see(&b, (struct op){ .name = name, .t_ms = MONDAY + 2 * DAY,
	    .body = "{\"length\":1,\"sha256\":\"0\",\"properties\":{\"publicNetworkAccess\":\"Enabled\"}}" });
	assert_string_equal(last(&b)->type, "config.account.weakened");
	assert_string_equal(last(&b)->severity, "High");
	see(&b, (struct op){ .name = name, .t_ms = MONDAY + 4 * DAY, .body = STAND_IN(7, EIGHT("0")) });	/* to the letter */
	assert_string_equal(last(&b)->severity, "High");
	bench_close(&b);
}

static void
padding_hides_nothing(void **state)
{
	static const char *const target = CHAT "/raiPolicies/strict", *const name = "Microsoft.CognitiveServices/accounts/raiPolicies/write";
	static char body[40000];
	size_t n = 0;
	struct bench b;

	(void)state;
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .target = target, .body = "{\"properties\":{\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true},{\"name\":\"sexual\",\"source\":\"Prompt\",\"enabled\":true}]}}" });
	n += (size_t)snprintf(body, sizeof(body), "{\"a\":{");		/* more members than are compared, then what weakens */
	for (int i = 0; i < 2100; i++)
		n += (size_t)snprintf(body + n, sizeof(body) - n, "\"%d\":1,", i);
	snprintf(body + n, sizeof(body) - n, "\"z\":1},\"properties\":{\"contentFilters\":[{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":false}]}}");
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 2 * DAY, .body = body });
	assert_string_equal(last(&b)->severity, "High");
	bench_close(&b);
	/* A long body takes nothing from memory: that a filter is gone is seen after it. */
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = name, .target = target, .body = "{\"properties\":{\"note\":\"x\",\"contentFilters\":["
	    "{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true},{\"name\":\"sexual\",\"source\":\"Prompt\",\"enabled\":true}]}}" });
	n = (size_t)snprintf(body, sizeof(body), "{\"pad\":\"");
	memset(body + n, 'x', 32700);
	snprintf(body + n + 32700, sizeof(body) - n - 32700, "\"}");
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 2 * DAY, .body = body });
	see(&b, (struct op){ .name = name, .target = target, .t_ms = MONDAY + 4 * DAY,
	    .body = "{\"properties\":{\"contentFilters\":[{\"name\":\"hate\",\"source\":\"Prompt\",\"enabled\":true}]}}" });
	assert_string_equal(last(&b)->severity, "High");
	assert_non_null(strstr(last(&b)->reason, "a filter was taken out"));
	bench_close(&b);
}

static void
a_record_of_a_time_that_has_not_come_keeps_nothing_back(void **state)
{
	static const int64_t lies[] = { 3 * DAY, 400 * DAY };
	static const char *const read = "Microsoft.CognitiveServices/accounts/listKeys/action";
	struct bench b;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		bench_open(&b, "config", "");
		see(&b, (struct op){ .name = read, .ip = "192.0.2.1" });
		see(&b, (struct op){ .name = read, .ip = "192.0.2.1", .t_ms = MONDAY + lies[i] });
		b.nfound = 0;
		see(&b, (struct op){ .name = read, .ip = "192.0.2.1", .t_ms = MONDAY + 20 * MINUTE });
		assert_int_equal(b.nfound, 1);		/* else it would be a routine until then */
		assert_string_not_equal(last(&b)->severity, "Informational");
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .group = "liar", .result = "NA", .t_ms = MONDAY + lies[i] - 2 * HOUR });
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .group = "open", .result = "NA", .t_ms = MONDAY + 30 * MINUTE });
		b.nfound = 0;
		for (int k = 1; k < 8; k++)
			see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/read", .t_ms = MONDAY + 30 * MINUTE + k * 30 * MINUTE });
		assert_int_equal(b.nfound, i == 0 ? 1 : 2);	/* what never ended is not held up by the other; that one's time never comes, so it is said too */
		assert_non_null(strstr(b.found[0].more, "\"CorrelationId\":\"open\""));
		bench_close(&b);
	}
}

static void
long_open_operations_keep_within_their_bytes_and_are_said_not_lost(void **state)
{
	static char body[20100], group[32], target[160];
	struct bench b;
	size_t before;

	(void)state;
	bench_open(&b, "config", "");
	memset(body, 'x', sizeof(body) - 1);
	memcpy(body, "{\"pad\":\"", 8);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	for (int i = 0; i < 400; i++) {
		snprintf(group, sizeof(group), "g%d", i);
		snprintf(target, sizeof(target), "%s%d", CHAT, i);
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .target = target, .group = group, .result = "NA", .body = body, .t_ms = MONDAY + i });
	}
	before = b.nfound;
	assert_in_range(before, 150, 250);		/* 40 KB each, 8 MiB in all */
	bench_restart(&b);
	for (int k = 1; k < 4; k++)
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/read", .t_ms = MONDAY + k * 30 * MINUTE });
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/read", .t_ms = MONDAY + 2 * HOUR + 10 * MINUTE });
	assert_int_equal(b.nfound, 400);
	bench_close(&b);
}

static void
long_columns_are_cut_and_named(void **state)
{
	static char actor[70000];
	const struct finding *f;
	struct bench b;

	(void)state;
	memset(actor, 'a', sizeof(actor) - 1);
	memcpy(actor + DETECT_COLUMN_BYTES - 1, "\xc3\xa4", 2);		/* a character on the edge is left out whole */
	bench_open(&b, "config", "");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/listKeys/action", .actor = actor, .ip = actor });
	f = last(&b);
	assert_int_equal(f->most, DETECT_COLUMN_BYTES - 1);
	assert_string_equal(f->truncated, "ActorUserId,SrcIpAddr");
	bench_close(&b);
}

static void
strange_bodies_harm_nothing(void **state)
{
	static const char *const bodies[] = { "{\"a\":[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]}", "[1,2,3]", "{\"properties\":null}", "{\"a\":\"\\ud800\"}",
		"{\"properties\":{\"contentFilters\":[{\"name\":{}},{\"name\":[]},7,\"x\",null]}}", "{\"length\":99999,\"sha256\":\"00\"}", "{}" };
	char big[15000];
	struct bench b;
	size_t n;

	(void)state;
	bench_open(&b, "config", "");
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++)
		see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/raiPolicies/write", .body = bodies[i], .t_ms = MONDAY + (int64_t)i * DAY });
	assert_int_equal(b.nfound, sizeof(bodies) / sizeof(bodies[0]));
	n = (size_t)snprintf(big, sizeof(big), "{\"properties\":{");
	for (int i = 0; n < sizeof(big) - 40; i++)
		n += (size_t)snprintf(big + n, sizeof(big) - n, "\"k%d\":%d,", i, i);
	snprintf(big + n, sizeof(big) - n, "\"publicNetworkAccess\":1}}");
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .body = big });
	see(&b, (struct op){ .name = "Microsoft.CognitiveServices/accounts/write", .body = big, .t_ms = MONDAY + 9 * DAY });
	assert_string_equal(last(&b)->type, "config.account.unchanged");
	bench_close(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opening_the_network_is_high_with_old_and_new_value),
		cmocka_unit_test(a_content_filter_is_compared_filter_by_filter),
		cmocka_unit_test(guardrails_and_logging_of_bedrock),
		cmocka_unit_test(google_and_microsoft_365),
		cmocka_unit_test(keys_roles_plans_and_local_authentication),
		cmocka_unit_test(a_correlation_id_that_is_used_again_hides_no_operation),
		cmocka_unit_test(start_accept_and_success_are_one_finding_with_the_body_of_the_first),
		cmocka_unit_test(what_never_ends_is_said_when_its_time_has_passed),
		cmocka_unit_test(a_failed_attempt_is_said_as_failed_and_changes_no_state),
		cmocka_unit_test(what_is_undone_within_minutes_is_said_to_be),
		cmocka_unit_test(techniques_are_of_what_was_done_and_only_of_that),
		cmocka_unit_test(two_weakenings_in_a_day_make_a_chain),
		cmocka_unit_test(a_routine_reading_of_keys_is_said_once_and_then_once_a_day),
		cmocka_unit_test(a_message_tells_who_got_which_role_and_what_is_deployed),
		cmocka_unit_test(what_follows_a_weakening_within_a_day_is_raised_and_names_its_records),
		cmocka_unit_test(inventory_tells_what_it_was),
		cmocka_unit_test(a_restart_anywhere_gives_the_same_findings),
		cmocka_unit_test(damaged_memory_is_refused),
		cmocka_unit_test(more_open_operations_than_there_is_room_for_are_said_not_lost),
		cmocka_unit_test(a_body_that_is_not_told_weighs_as_the_worst_that_it_may_be),
		cmocka_unit_test(a_body_made_to_look_like_one_that_is_not_told_is_read),
		cmocka_unit_test(padding_hides_nothing),
		cmocka_unit_test(a_record_of_a_time_that_has_not_come_keeps_nothing_back),
		cmocka_unit_test(long_open_operations_keep_within_their_bytes_and_are_said_not_lost),
		cmocka_unit_test(long_columns_are_cut_and_named),
		cmocka_unit_test(strange_bodies_harm_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
