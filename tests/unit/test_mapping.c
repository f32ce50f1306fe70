/* test_mapping.c - the mapping language: what each key does, and that each fault is named with its line. */
#include "decode_help.h"

#define HEAD	"family: t\nmatch: [{a: present}]\n"

static void
one(struct world *w, const char *fields, const char *record)
{
	char text[4096];

	snprintf(text, sizeof(text), HEAD "%s", fields);
	world_with(w, text);
	decode_text(w, record, 1);
}

/* ---- what the language does ----------------------------------------------------------- */

static void
a_key_with_stars_is_any_member_that_it_fits(void **state)
{
	static const char fields[] = "fields:\n"
	    "  Operation: g.*.name\n"
	    "  TargetResourceId: '*Arn'\n"
	    "  RiskLevel: g.x\n"
	    "  EventName: '\"q*\"'\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1,\"agentARN\":\"arn:1\",\"roleArn\":\"arn:2\",\"g\":{\"x\":{\"other\":1},\"k1\":{\"name\":\"n1\"},\"k2\":{\"name\":\"n2\"}},"
	    "\"qq\":\"no\",\"q*\":\"yes\"}");
	assert_text(&w, Operation, "n1");
	assert_text(&w, TargetResourceId, "arn:1");
	assert_absent(&w, RiskLevel);
	assert_text(&w, EventName, "yes");
	decode_text(&w, "{\"a\":1,\"arnX\":\"x\",\"g\":{\"x\":\"deep\"}}", 1);
	assert_absent(&w, TargetResourceId);
	assert_text(&w, RiskLevel, "deep");
	world_fini(&w);
}

static void
a_list_of_pairs_is_read_as_an_object(void **state)
{
	static const char fields[] = "fields:\n"
	    "  Operation: 'at[key:value].\"gen.op\".*'\n"
	    "  PromptTokens: 'at[key:value].tokens.*'\n"
	    "  RiskLevel: 'p[Name:V].risk'\n"
	    "  EventName: 'at[key:value].reasons.*.values[].*'\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1,\"at\":[{\"key\":\"x\",\"value\":{\"stringValue\":\"no\"}},7,{\"value\":{\"stringValue\":\"chat\"},\"key\":\"GEN.op\"},"
	    "{\"key\":\"tokens\",\"value\":{\"intValue\":\"9007199254740993\"}},{\"key\":\"gen.op\",\"value\":{\"stringValue\":\"second\"}},"
	    "{\"key\":\"reasons\",\"value\":{\"arrayValue\":{\"values\":[{\"stringValue\":\"stop\"},{\"a\":1,\"b\":2},{\"intValue\":\"3\"},\"end\"]}}}],"
	    "\"p\":\"[{\\\"Name\\\":\\\"Risk\\\",\\\"V\\\":\\\"high\\\"}]\"}");
	assert_text(&w, Operation, "chat");
	assert_true(event_number(&w.events.v[0], F_PromptTokens, 0) == INT64_C(9007199254740993));
	assert_text(&w, RiskLevel, "high");
	assert_text(&w, EventName, "stop");
	decode_text(&w, "{\"a\":1,\"at\":[{\"key\":\"gen.op\"},{\"key\":{},\"value\":1}],\"p\":{\"Name\":\"risk\",\"V\":1}}", 1);
	assert_absent(&w, Operation);
	assert_absent(&w, RiskLevel);
	world_fini(&w);
}

static void
all_adds_numbers_and_joins_texts(void **state)
{
	static const char fields[] = "fields:\n"
	    "  CompletionTokens: {all: [x, y], as: sum}\n"
	    "  AttackTechniques: {all: [t, u], as: list}\n"
	    "  DetectorScore: {all: [x, r], as: real, else: 7}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1,\"x\":29,\"y\":\"901\",\"r\":0.5,\"t\":[\"T1\",\"T2\"],\"u\":\"T3\"}");
	assert_number(&w, CompletionTokens, 930);
	assert_text(&w, AttackTechniques, "T1,T2,T3");
	assert_true(w.events.v[0].v[F_DetectorScore].real == 29.5);
	decode_text(&w, "{\"a\":1,\"y\":[4,5],\"t\":\"T3\",\"u\":[\"T3\"]}", 1);
	assert_number(&w, CompletionTokens, 9);
	assert_text(&w, AttackTechniques, "T3");
	assert_true(w.events.v[0].v[F_DetectorScore].real == 7);
	decode_text(&w, "{\"a\":1,\"x\":9223372036854775807,\"y\":1}", 1);
	assert_absent(&w, CompletionTokens);
	world_fini(&w);
}

static void
since_gives_the_milliseconds_between_two_times(void **state)
{
	static const char fields[] = "fields:\n"
	    "  DurationMs: {from: [e, e2], since: [b, b2]}\n"
	    "  CloudRegion: {from: r, segment: locations}\n"
	    "  CloudAccountId: {from: r, segment: projects, map: {'p*': ours}}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1,\"b\":\"1800000000123456789\",\"e\":1800000001500000000,\"r\":\"//h.example/projects/p1/locations/europe-west1/endpoints/locations\"}");
	assert_number(&w, DurationMs, 1377);
	assert_text(&w, CloudRegion, "europe-west1");
	assert_text(&w, CloudAccountId, "ours");
	decode_text(&w, "{\"a\":1,\"b\":\"2026-01-01T00:00:01Z\",\"e\":\"2026-01-01T00:00:00Z\",\"r\":\"projects/q/x\"}", 1);
	assert_absent(&w, DurationMs);
	assert_absent(&w, CloudRegion);
	assert_absent(&w, CloudAccountId);
	decode_text(&w, "{\"a\":1,\"e2\":\"2026-01-01T00:00:02Z\"}", 1);
	assert_absent(&w, DurationMs);
	world_fini(&w);
}

static void
a_members_literal_keeps_its_kind(void **state)
{
	static const char fields[] = "additional:\n"
	    "  T: {value: true}\n  F: {value: \"false\"}\n  N: {value: -12.5}\n  Z: {from: x, else: 0}\n  D: {value: 007}\n  W: {value: yes}\n"
	    "  V: {value: 1.}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1}");
	assert_text(&w, AdditionalFields, "{\"T\":true,\"F\":\"false\",\"N\":-12.5,\"Z\":0,\"D\":\"007\",\"W\":\"yes\",\"V\":\"1.\"}");
	world_fini(&w);
}

static void
one_model_has_one_name(void **state)
{
	static const struct { const char *theirs, *name, *version; } rows[] = {
		{ "anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "(absent)" },
		{ "us.anthropic.claude-3-haiku-20240307-v1:0", "anthropic.claude-3-haiku-20240307-v1:0", "(absent)" },
		{ "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "(absent)" },
		{ "arn:aws:bedrock:us-east-1:1:inference-profile/global.amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0", "(absent)" },
		{ "arn:aws:bedrock:us-east-1:1:application-inference-profile/a1b2", "a1b2", "(absent)" },
		{ "us.model", "us.model", "(absent)" },
		{ "projects/p/locations/l/publishers/google/models/code-bison@002", "code-bison", "002" },
		{ "publishers/google/models/gemini-2.5-pro@default", "gemini-2.5-pro", "(absent)" },
		{ "gpt-4o/", "gpt-4o", "(absent)" }, { "@x", "@x", "x" },
	};
	struct world w;
	char text[256];

	(void)state;
	one(&w, "fields: {AiModelName: {from: m, as: model_name}, AiModelVersion: {from: m, as: model_version}}\n", "{\"a\":1}");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(text, sizeof(text), "{\"a\":1,\"m\":\"%s\"}", rows[i].theirs);
		decode_text(&w, text, 1);
		assert_text(&w, AiModelName, rows[i].name);
		assert_text(&w, AiModelVersion, rows[i].version);
	}
	decode_text(&w, "{\"a\":1,\"m\":\"/\"}", 1);
	assert_absent(&w, AiModelName);
	world_fini(&w);
}

static void
a_list_of_paths_takes_the_first_that_finds_something(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {Operation: [x, y.z, a]}\n", "{\"a\":\"third\",\"x\":\"\",\"y\":{\"z\":\"N/A\"}}");
	assert_text(&w, Operation, "third");
	world_fini(&w);
}

static void
nothing_has_many_spellings(void **state)
{
	static const char *const nothing[] = { "null", "\"\"", "\"null\"", "\"NULL\"", "\"N/A\"", "\"n\\/a\"", "\"-\"", "[]", "{}" };
	struct world w;
	char record[64];

	(void)state;
	one(&w, "fields: {Operation: [a, b]}\n", "{\"a\":1}");
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
		snprintf(record, sizeof(record), "{\"a\":1,\"A\":2,\"b\":%s}", nothing[i]);
		decode_text(&w, record, 1);
		assert_text(&w, Operation, "1");
		snprintf(record, sizeof(record), "{\"a\":%s,\"b\":\"x\"}", nothing[i]);
		decode_text(&w, record, 1);
		assert_text(&w, EventClass, "activity");
		assert_int_equal(w.count.unknown, 1);
	}
	world_fini(&w);
}

static void
blocks_are_tried_in_order_and_when_must_hold(void **state)
{
	static const char fields[] = "fields:\n"
	    "  EventResult:\n"
	    "    - {when: {s: [Fail*, Error]}, value: Failure}\n"
	    "    - {when: {s: present, a: absent}, value: Partial}\n"
	    "    - {from: s, as: result, else: NA}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":1,\"s\":\"FAILED hard\"}");
	assert_text(&w, EventResult, "Failure");
	decode_text(&w, "{\"a\":1,\"s\":\"error\"}", 1);
	assert_text(&w, EventResult, "Failure");
	decode_text(&w, "{\"a\":1,\"s\":\"Succeeded\"}", 1);
	assert_text(&w, EventResult, "Success");
	decode_text(&w, "{\"a\":1,\"s\":\"whatever\"}", 1);
	assert_text(&w, EventResult, "NA");
	world_fini(&w);
}

static void
a_quoted_present_is_a_text(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {Operation: [{when: {a: \"present\"}, value: said}, {when: {a: present}, value: there}]}\n",
	    "{\"a\":\"x\"}");
	assert_text(&w, Operation, "there");
	decode_text(&w, "{\"a\":\"PRESENT\"}", 1);
	assert_text(&w, Operation, "said");
	world_fini(&w);
}

static void
maps_look_up_exactly_first_and_then_by_star_in_order(void **state)
{
	static const char fields[] = "tables:\n"
	    "  t:\n"
	    "    \"m/*\": Low\n"
	    "    \"m/*/delete\": Medium\n"
	    "    M/Accounts/Delete: High\n"
	    "fields:\n"
	    "  Operation: a\n"
	    "  EventSeverity: {from: $Operation, table: t, else: Informational}\n"
	    "  RiskLevel: {from: [x, a], map: {m/b: yes1, other: yes2}}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":\"M/ACCOUNTS/DELETE\"}");
	assert_text(&w, EventSeverity, "High");
	assert_absent(&w, RiskLevel);
	decode_text(&w, "{\"a\":\"m/x/delete\",\"x\":\"OTHER\"}", 1);
	assert_text(&w, EventSeverity, "Low");
	assert_text(&w, RiskLevel, "yes2");
	decode_text(&w, "{\"a\":\"q\"}", 1);
	assert_text(&w, EventSeverity, "Informational");
	decode_text(&w, "{\"a\":\"m/b\",\"x\":\"no such\"}", 1);
	assert_text(&w, RiskLevel, "yes1");
	world_fini(&w);
}

static void
a_prefix_is_put_before_only_where_it_is_missing(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {EventUrl: {from: a, prefix: \"https://\"}}\n", "{\"a\":\"portal.example/x\"}");
	assert_text(&w, EventUrl, "https://portal.example/x");
	decode_text(&w, "{\"a\":\"HTTPS://portal\"}", 1);
	assert_text(&w, EventUrl, "HTTPS://portal");
	world_fini(&w);
}

static void
a_sentence_leaves_out_brackets_with_something_absent(void **state)
{
	static const char fields[] = "fields:\n"
	    "  Operation: op\n"
	    "  ActorUsername: who\n"
	    "  EventMessage: {say: \"{Operation} on {a}[ by {ActorUsername}][ from {ip}]: {{x}} [[y]]\"}\n";
	struct world w;

	(void)state;
	one(&w, fields, "{\"a\":\"thing\",\"op\":\"write\",\"who\":\"me\"}");
	assert_text(&w, EventMessage, "write on thing by me: {x} [y]");
	decode_text(&w, "{\"a\":\"thing\",\"op\":\"write\",\"ip\":\"1.2.3.4\"}", 1);
	assert_text(&w, EventMessage, "write on thing from 1.2.3.4: {x} [y]");
	decode_text(&w, "{\"a\":\"thing\"}", 1);
	assert_absent(&w, EventMessage);
	world_fini(&w);
}

static void
the_arrival_is_a_value(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {EventEndTime: {from: $arrival, as: time}}\n", "{\"a\":1}");
	assert_number(&w, EventEndTime, (int64_t)ARRIVED_MS);
	assert_number(&w, TimeGenerated, (int64_t)ARRIVED_MS);
	assert_absent(&w, EventStartTime);
	world_fini(&w);
}

static void
defaults_need_no_mapping(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {TimeGenerated: a}\n", "{\"a\":\"2026-01-02T03:04:05.6789Z\"}");
	assert_number(&w, TimeGenerated, INT64_C(1767323045678));
	assert_number(&w, EventStartTime, INT64_C(1767323045678));
	assert_text(&w, EventClass, "activity");
	assert_text(&w, EventResult, "NA");
	assert_text(&w, EventSeverity, "Informational");
	assert_number(&w, EventCount, 1);
	assert_text(&w, EventSchemaVersion, "1");
	assert_absent(&w, AdditionalFields);
	world_fini(&w);
}

/* ---- converters ---------------------------------------------------------------------------- */

static void
convert(struct world *w, const char *column, const char *as, const char *value)
{
	char fields[256], record[1024];

	snprintf(fields, sizeof(fields), HEAD "fields: {%s: {from: a, as: %s}}\n", column, as);
	world_with(w, fields);
	snprintf(record, sizeof(record), "{\"a\":%s}", value);
	decode_text(w, record, 1);
}

static void
converters_of_text_give_what_they_say(void **state)
{
	static const struct { const char *as, *in, *out; } rows[] = {
		{ "text", "12.50", "12.50" }, { "text", "true", "true" }, { "text", "[\"x\"]", "(absent)" },
		{ "lower", "\"AbC\"", "abc" }, { "upper", "\"abÖ\"", "ABÖ" },
		{ "severity", "\"warning\"", "Medium" }, { "severity", "\"SEVERE?\"", "(absent)" },
		{ "severity", "\"informational\"", "Informational" },
		{ "result", "\"Succeeded.Created\"", "Success" }, { "result", "404", "Failure" },
		{ "result", "\"PartiallySucceeded\"", "Partial" }, { "result", "\"Started.\"", "NA" },
		{ "result", "\"False\"", "Failure" },
		{ "ip", "\"1.2.3.4:80\"", "1.2.3.4" }, { "ip", "\"[2001:db8::1]:443\"", "2001:db8::1" },
		{ "ip", "\"::ffff:1.2.3.4\"", "1.2.3.4" }, { "ip", "\"::FFFF:102:304\"", "1.2.3.4" },
		{ "ip", "\"2001:0DB8:0:0::1\"", "2001:db8::1" }, { "ip", "\"[FE80::A]:1\"", "fe80::a" },
		{ "ip", "\"81.2.69.***\"", "(absent)" }, { "ip", "\"127.0.0.0/8\"", "(absent)" },
		{ "ip", "\"035.249.253.232\"", "(absent)" }, { "ip", "\"ffff:10.11.0.229\"", "(absent)" },
		{ "ip", "\"1.2.3.4:99999\"", "(absent)" }, { "ip", "\"fe80::1%eth0\"", "(absent)" },
		{ "list", "[\"a\",1,null,{\"x\":1},\"b\"]", "a,1,b" }, { "list", "\"[\\\"x\\\",\\\"y\\\"]\"", "x,y" },
		{ "list", "\"a, b\"", "a, b" },
		{ "tactics", "\"Persistence, Credential Access,Unknown\"", "Persistence,CredentialAccess" },
		{ "tactics", "[\"initial-access\",\"InitialAccess\",\"Impact (Defacement)\"]", "InitialAccess,Impact" },
		{ "tactics", "[\"COMMAND_AND_CONTROL\",\"TA0001\"]", "CommandAndControl,TA0001" },
		{ "tactics", "\"Unknown\"", "(absent)" },
		{ "last_segment", "\"/a/b/c/\"", "c" }, { "last_segment", "\"c\"", "c" },
		{ "guid", "\"{01234567-89AB-cdef-0123-456789abcdef}\"", "01234567-89AB-cdef-0123-456789abcdef" },
		{ "guid", "\"me@example.com\"", "(absent)" },
		{ "html_text", "\"a<br>b &amp; <b>c</b>\\n 1 < 2\"", "a b & c 1 < 2" },
		{ "html_text", "\"<a<a<a\"", "<a<a<a" },
		{ "url", "\"https://u:secret@h.example:8443/a/b?code=k#f\"", "https://h.example:8443/a/b" },
		{ "url", "\"/score?key=k\"", "/score" }, { "url", "\"https://h.example?sig=x\"", "https://h.example" },
		{ "url", "\"plain words\"", "(absent)" }, { "url", "\"a/b://c\"", "(absent)" },
		{ "url_host", "\"wss://x@[2001:db8::1]:443/p\"", "[2001:db8::1]:443" },
		{ "url_host", "\"https://h.example\"", "h.example" }, { "url_host", "\"/p\"", "(absent)" },
		{ "url_host", "\"https:///p\"", "(absent)" },
		{ "azure_scope", "\"/subscriptions/s/providers/Microsoft.Security/assessments/a\"", "/subscriptions/s" },
		{ "azure_scope", "\"/subscriptions/s/resourceGroups/g/providers/P/t/n/PROVIDERS/M.S/a/b/c/d\"",
		    "/subscriptions/s/resourceGroups/g/providers/P/t/n" },
		{ "azure_scope", "\"/subscriptions/s\"", "(absent)" }, { "azure_scope", "\"providers/x/y\"", "(absent)" },
		{ "bool", "\"True\"", "true" }, { "bool", "\"maybe\"", "(absent)" },
		{ "time", "1700000000", "2023-11-14T22:13:20.000Z" },
		{ "count", "[1,2,3]", "3" }, { "json", "{\"b\": [1, \"x\"]}", "{\"b\":[1,\"x\"]}" },
		{ "azure_subscription", "\"/SUBSCRIPTIONS/S1/resourceGroups/g/providers/P/t/n\"", "S1" },
		{ "azure_group", "\"/subscriptions/S1/resourceGroups/g/providers/P/t/n\"", "g" },
		{ "azure_name", "\"/subscriptions/S1/resourceGroups/g/providers/P/t/n\"", "n" },
		{ "azure_name", "\"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/G/PROVIDERS/P/T/N/U/M\"", "m" },
		{ "azure_top", "\"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/G/PROVIDERS/P/T/N/U/M\"", "n" },
		{ "azure_top", "\"/subscriptions/S1/resourceGroups/g/providers/P/t/N/u/M\"", "N" },
		{ "azure_group", "\"/SUBSCRIPTIONS/S1/RESOURCEGROUPS/G/PROVIDERS/P/T/N\"", "g" },
		{ "azure_deployment", "\"/SUBSCRIPTIONS/S1/PROVIDERS/P/ACCOUNTS/N/DEPLOYMENTS/GPT\"", "gpt" },
		{ "azure_type", "\"/subscriptions/S1/resourceGroups/g/providers/P/T/n\"", "p/t" },
		{ "azure_deployment", "\"/subscriptions/S1/providers/P/accounts/n/deployments/gpt\"", "gpt" },
		{ "azure_deployment", "\"/subscriptions/S1/providers/Microsoft.Resources/deployments/d\"", "(absent)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		convert(&w, "EventName", rows[i].as, rows[i].in);
		if (strcmp(text_of(&w, 0, F_EventName), rows[i].out) != 0)
			print_error("row %zu: %s of %s\n", i, rows[i].as, rows[i].in);
		assert_text(&w, EventName, rows[i].out);
		world_fini(&w);
	}
}

static void
converters_of_numbers_give_what_they_say(void **state)
{
	static const struct { const char *as, *in; int64_t out; } rows[] = {
		{ "long", "\"571\"", 571 }, { "long", "12.6", 13 }, { "long", "\"x\"", -777 }, { "long", "1e300", -777 },
		{ "long", "9223372036854775807", INT64_MAX }, { "long", "true", -777 },
		{ "duration_ms", "-1021", -777 }, { "duration_ms", "11225.994", 11226 },
		{ "sum", "[1,\"2\",3.0]", 6 }, { "sum", "7", 7 }, { "sum", "[\"x\"]", -777 },
		{ "sum", "[9223372036854775807,1]", -777 }, { "count", "[]", -777 }, { "count", "\"[1,2]\"", 2 },
		{ "http_status", "\"Succeeded.Created\"", 201 }, { "http_status", "\"200\"", 200 },
		{ "http_status", "\"forbidden\"", 403 }, { "http_status", "99", -777 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		convert(&w, "PromptTokens", rows[i].as, rows[i].in);
		if (event_number(&w.events.v[0], F_PromptTokens, -777) != rows[i].out)
			print_error("row %zu: %s of %s\n", i, rows[i].as, rows[i].in);
		assert_number(&w, PromptTokens, rows[i].out);
		world_fini(&w);
	}
}

static void
times_are_read_in_all_their_spellings(void **state)
{
	static const struct { const char *as, *in; int64_t out; } rows[] = {
		{ "time", "\"2026-01-02T03:04:05Z\"", 1767323045000 }, { "time", "\"2026-01-02T03:04:05\"", 1767323045000 },
		{ "time", "\"2026-01-02 03:04:05.1234567\"", 1767323045123 },
		{ "time", "\"2026-01-02T05:04:05.12+02:00\"", 1767323045120 },
		{ "time", "\"2026-01-01T22:04:05-0500\"", 1767323045000 },
		{ "time", "\"1/2/2026 3:04:05 AM\"", 1767323045000 }, { "time", "\"01/02/2026 03:04:05\"", 1767323045000 },
		{ "time", "\"1/2/2026 3:04:05 PM +01:00\"", 1767323045000 + 11 * 3600 * 1000 },
		{ "time", "\"1/2/2026 12:04:05 AM\"", 1767323045000 - 3 * 3600 * 1000 },
		{ "time", "1767323045", 1767323045000 }, { "time", "1767323045.25", 1767323045250 },
		{ "time", "\"1767323045123\"", 1767323045123 }, { "time", "1767323045123456789", 1767323045123 },
		{ "time", "0", -777 }, { "time", "5", -777 }, { "time", "\"0001-01-01T00:00:00Z\"", -777 },
		{ "time", "\"2026-02-30T00:00:00Z\"", -777 }, { "time", "\"2026-13-01T00:00:00Z\"", -777 },
		{ "time", "\"2026-01-02T25:00:00Z\"", -777 }, { "time", "\"2026-01-02T03:04:05 and more\"", -777 },
		{ "time", "\"yesterday\"", -777 }, { "time", "\"2024-02-29T00:00:00Z\"", 1709164800000 },
		{ "dotnet_ticks", "637500000000000000", 1614403200000 }, { "dotnet_ticks", "\"637500000000000000\"", 1614403200000 },
		{ "dotnet_ticks", "5", -777 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		convert(&w, "EventEndTime", rows[i].as, rows[i].in);
		if (event_number(&w.events.v[0], F_EventEndTime, -777) != rows[i].out)
			print_error("row %zu: %s of %s\n", i, rows[i].as, rows[i].in);
		assert_number(&w, EventEndTime, rows[i].out);
		world_fini(&w);
	}
}

static void
a_value_that_does_not_fit_its_column_gives_way_to_the_next_path(void **state)
{
	struct world w;

	(void)state;
	one(&w, "fields: {PromptTokens: [a, b], HttpStatusCode: [a, big, b], EventSeverity: [a, c]}\n",
	    "{\"a\":\"many\",\"b\":\"5\",\"big\":99999999999,\"c\":\"High\"}");
	assert_number(&w, PromptTokens, 5);
	assert_number(&w, HttpStatusCode, 5);
	assert_text(&w, EventSeverity, "High");
	world_fini(&w);
}

/* ---- faults ------------------------------------------------------------------------------------- */

static void
fault(const char *mapping, unsigned line, const char *says)
{
	struct world w;
	bool found = false;

	world_init(&w);
	world_file(&w, "a.yaml", mapping);
	assert_int_equal(world_load(&w), -1);
	assert_int_equal(w.err.kind, ERR_CONFIG);
	for (size_t i = 0; i < w.problems.n; i++) {
		found |= w.problems.v[i].line == line && strstr(w.problems.v[i].text, says) != NULL;
		assert_has(w.problems.v[i].file, "a.yaml");
	}
	if (!found) {
		print_error("%s\nwanted at line %u: %s\n", mapping, line, says);
		for (size_t i = 0; i < w.problems.n; i++)
			print_error("got %u: %s: %s\n", w.problems.v[i].line, w.problems.v[i].key, w.problems.v[i].text);
	}
	assert_true(found);
	assert_null(w.decoder);
	world_fini(&w);
}

static void
each_fault_is_named_with_its_line(void **state)
{
	(void)state;
	fault("help: x\n", 1, "family's name");
	fault("family: Has-Capitals\nmatch: [{a: present}]\n", 1, "family's name");
	fault("family: t\n", 1, "match is missing");
	fault(HEAD "feilds: {}\n", 3, "did you mean fields");
	fault(HEAD "order: soon\n", 3, "whole number");
	fault("family: t\nmatch:\n  - {a: present}\n  - {a..b: present}\n", 4, "not a path");
	fault("family: t\nmatch: [{$Operation: present}]\n", 2, "only paths");
	fault("family: t\nmatch: [{a: {b: c}}]\n", 2, "present, absent");
	fault("family: t\nmatch: [{a: []}]\n", 2, "empty");
	fault(HEAD "fields:\n  Opration: a\n", 4, "did you mean Operation");
	fault(HEAD "fields:\n  EventId: a\n", 4, "fills this column itself");
	fault(HEAD "fields:\n  AdditionalFields: a\n", 4, "additional");
	fault(HEAD "fields:\n  Operation: {from: a, as: txet}\n", 4, "did you mean text");
	fault(HEAD "fields:\n  PromptTokens: {all: [a, b], as: smu}\n", 4, "did you mean sum");
	fault(HEAD "fields:\n  Operation: {from: a, asx: text}\n", 4, "unknown key");
	fault(HEAD "fields:\n  Operation: {as: text}\n", 4, "one of from, all, value, say");
	fault(HEAD "fields:\n  Operation: {value: a, from: b}\n", 4, "one of from, all, value, say");
	fault(HEAD "fields:\n  EventName: $Operation\n  Operation: a\n", 4, "no earlier rule");
	fault(HEAD "fields:\n  EventName: {say: \"{Operation}\"}\n  Operation: a\n", 4, "before a rule");
	fault(HEAD "fields:\n  EventName: {say: \"[a [b]]\"}\n", 4, "pairs");
	fault(HEAD "fields:\n  EventName: {say: \"{a\"}\n", 4, "not closed");
	fault(HEAD "fields:\n  EventName: $Nothing\n", 4, "no such column");
	fault(HEAD "fields:\n  EventClass: {value: access_anomaly}\n", 4, "allowed: alert|");
	fault(HEAD "fields:\n  EventSeverity: {from: a, map: {x: high}}\n", 4, "allowed: Informational|");
	fault(HEAD "fields:\n  EventSeverity: {from: a, else: Sevre}\n", 4, "no value of EventSeverity");
	fault(HEAD "fields:\n  PromptTokens: {value: many}\n", 4, "no number");
	fault(HEAD "fields:\n  PromptTokens: {from: a, as: json}\n", 4, "does not fit");
	fault(HEAD "fields:\n  DurationMs: {from: a, as: time}\n", 4, "does not fit");
	fault(HEAD "fields:\n  RiskLevel: {from: a, table: none}\n", 4, "no such table");
	fault(HEAD "tables:\n  t: {A: b, a: c}\n", 4, "twice");
	fault(HEAD "fields:\n  Operation: \"list[x]\"\n", 4, "in brackets");
	fault(HEAD "fields:\n  Operation: \"list[0\"\n", 4, "not closed");
	fault(HEAD "fields:\n  Operation: \"list[a:]\"\n", 4, "empty");
	fault(HEAD "fields:\n  Operation: {say: x, segment: y}\n", 4, "go with from");
	fault(HEAD "fields:\n  DurationMs: {all: [a, b], since: c}\n", 4, "goes with from");
	fault(HEAD "fields:\n  TimeGenerated: {from: a, since: c}\n", 4, "milliseconds");
	fault(HEAD "additional:\n  X: {all: [a, b], as: json}\n", 4, "taken together");
	fault(HEAD "fields:\n  Operation: \"a b\"\n", 4, "double quotes");
	fault(HEAD "fields:\n  Operation: a.\n", 4, "ends with");
	fault(HEAD "fields:\n  Operation: [a, {from: b}, [c, \"\"]]\n", 4, "1 to 1024");
	fault(HEAD "each: a.b\n", 3, "ends with []");
	fault(HEAD "each_when: [{x: present}]\n", 3, "goes with each");
	fault(HEAD "additional: {\"no blanks\": a}\n", 3, "a member's name");
	fault(HEAD "additional: {X: a}\nwithheld: {X: b}\n", 4, "additional");
	fault(HEAD "prompt_like: [a]\n", 3, "only for the family unknown");
	fault("family: unknown\nmatch: [{a: present}]\n", 2, "unknown");
	fault(HEAD "id: $Operation\n", 3, "no earlier rule fills");
	fault(HEAD "id: [a, $arrival]\n", 3, "no part of an id");
	fault(HEAD "redact: secret\n", 3, "list of key words");
	fault(HEAD "relay: yes please\n", 3, "true, of a family with match");
	fault(HEAD "relay: true\nfields: {Operation: a}\n", 4, "not with relay");
	fault("family: unknown\nrelay: true\n", 2, "true, of a family with match");
	fault("- a\n", 1, "family");
}

static void
a_key_given_twice_is_a_fault(void **state)
{
	(void)state;
	fault(HEAD "fields:\n  Operation: a\n  Operation: b\n", 5, "");
}

static void
too_many_rules_are_a_fault(void **state)
{
	static char text[32768];
	size_t n = (size_t)snprintf(text, sizeof(text), HEAD "additional:\n");

	(void)state;
	for (int i = 0; i < 513; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "  X%d: a\n", i);
	fault(text, 4, "at most 512");
}

static void
two_files_of_one_directory_cannot_have_one_family(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "a.yaml", HEAD);
	world_file(&w, "b.yaml", HEAD);
	assert_int_equal(world_load(&w), -1);
	assert_has(w.problems.v[0].file, "b.yaml");
	assert_has(w.problems.v[0].text, "a.yaml");
	world_fini(&w);
}

static void
a_later_directory_replaces_a_family_and_adds_others(void **state)
{
	struct world one_, two;
	struct decoder *d = NULL;
	struct err err = { 0 };
	const char *help, *file;

	(void)state;
	world_init(&one_);
	world_init(&two);
	world_file(&one_, "a.yaml", HEAD "help: first\norder: 9\n");
	world_file(&two, "x.yaml", HEAD "help: second\norder: 9\n");
	world_file(&two, "y.yaml", "family: earlier\norder: 1\nmatch: [{b: present}]\n");
	const struct decoder_dir dirs[] = { { one_.dir, false }, { two.dir, true }, { "/nonexistent/mappings.d", true } };
	assert_int_equal(decoder_open(&d, dirs, 3, &one_.problems, &err), 0);
	assert_string_equal(decoder_family(d, 0, &help, &file), "earlier");
	assert_string_equal(decoder_family(d, 1, &help, &file), "t");
	assert_string_equal(help, "second");
	assert_has(file, "x.yaml");
	assert_string_equal(decoder_family(d, 2, NULL, NULL), "unknown");
	assert_null(decoder_family(d, 3, NULL, NULL));
	decoder_close(d);
	world_fini(&one_);
	world_fini(&two);
}

static void
a_missing_directory_is_named_unless_it_may_be_missing(void **state)
{
	const struct decoder_dir dir = { "/nonexistent/schemas", false };
	struct decoder *d = NULL;
	struct problems p;
	struct err err = { 0 };

	(void)state;
	problems_init(&p);
	assert_int_equal(decoder_open(&d, &dir, 1, &p, &err), -1);
	assert_int_equal(err.kind, ERR_CONFIG);
	assert_has(err.text, "/nonexistent/schemas");
	assert_null(d);
	problems_fini(&p);
}

static void
envelope_faults_are_named(void **state)
{
	static const struct { const char *text, *says; } rows[] = {
		{ "a: b\n", "a list of envelopes" }, { "- {list: 'a[]'}\n", "has a name" },
		{ "- {name: x}\n", "one of list, text, object" }, { "- {name: x, list: a}\n", "ends with []" },
		{ "- {name: x, object: 'a[].b'}\n", "only at the end" }, { "- {name: x, list: 'a[]', onyl: [b]}\n", "unknown key" },
		{ "- {name: x, list: 'a[]', only: b}\n", "keys that may stand" },
		{ "- {name: x, list: 'a[]', additional: [b]}\n", "members and their paths" },
		{ "- {name: x, list: 'a[]', additional: {9b: b}}\n", "a letter" },
		{ "- {name: x, list: 'a[]', additional: {B: $EventName}}\n", "only paths" },
		{ "- {name: x, list: 'a[]', additional: {b: b}}\n", "a member that the family t makes" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world w;

		world_init(&w);
		world_file(&w, "envelopes.yaml", rows[i].text);
		world_file(&w, "t.yaml", HEAD "withheld: {B: b}\n");
		assert_int_equal(world_load(&w), -1);
		assert_has(w.problems.v[0].text, rows[i].says);
		assert_int_equal(w.problems.v[0].line, 1);
		world_fini(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_with_stars_is_any_member_that_it_fits),
		cmocka_unit_test(a_list_of_pairs_is_read_as_an_object),
		cmocka_unit_test(all_adds_numbers_and_joins_texts),
		cmocka_unit_test(since_gives_the_milliseconds_between_two_times),
		cmocka_unit_test(a_members_literal_keeps_its_kind),
		cmocka_unit_test(one_model_has_one_name),
		cmocka_unit_test(a_list_of_paths_takes_the_first_that_finds_something),
		cmocka_unit_test(nothing_has_many_spellings),
		cmocka_unit_test(blocks_are_tried_in_order_and_when_must_hold),
		cmocka_unit_test(a_quoted_present_is_a_text),
		cmocka_unit_test(maps_look_up_exactly_first_and_then_by_star_in_order),
		cmocka_unit_test(a_prefix_is_put_before_only_where_it_is_missing),
		cmocka_unit_test(a_sentence_leaves_out_brackets_with_something_absent),
		cmocka_unit_test(the_arrival_is_a_value),
		cmocka_unit_test(defaults_need_no_mapping),
		cmocka_unit_test(converters_of_text_give_what_they_say),
		cmocka_unit_test(converters_of_numbers_give_what_they_say),
		cmocka_unit_test(times_are_read_in_all_their_spellings),
		cmocka_unit_test(a_value_that_does_not_fit_its_column_gives_way_to_the_next_path),
		cmocka_unit_test(each_fault_is_named_with_its_line),
		cmocka_unit_test(a_key_given_twice_is_a_fault),
		cmocka_unit_test(too_many_rules_are_a_fault),
		cmocka_unit_test(two_files_of_one_directory_cannot_have_one_family),
		cmocka_unit_test(a_later_directory_replaces_a_family_and_adds_others),
		cmocka_unit_test(a_missing_directory_is_named_unless_it_may_be_missing),
		cmocka_unit_test(envelope_faults_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
