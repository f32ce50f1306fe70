/* test_model.c - columns, lists of events, their bytes for the spool, and names of resources. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "model/event.h"
#include "model/resource.h"
#include "model/wire.h"

/* ---- columns ------------------------------------------------------------------- */

static void
every_column_is_found_by_its_name_and_nothing_else_is(void **state)
{
	static const char *const strangers[] = { "", "E", "eventid", "EventIdX", "EventI", "TimeGenerate", "Title", "EventSeveritY" };

	(void)state;
	for (int f = 0; f < FIELD_COUNT; f++) {
		assert_int_equal(strlen(field_rows[f].name), field_rows[f].name_n);
		assert_int_equal(field_find(slice_of(field_rows[f].name)), f);
	}
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++)
		assert_int_equal(field_find(slice_of(strangers[i])), -1);
	assert_int_equal(field_find(SLICE_NONE), -1);
}

static void
column_names_are_such_as_the_service_takes(void **state)
{
	static const char *const reserved[] = { "Title", "Type", "TenantId", "id", "UniqueId", "_ResourceId", "_SubscriptionId" };

	(void)state;
	for (int f = 0; f < FIELD_COUNT; f++) {
		const char *name = field_rows[f].name;

		assert_in_range(field_rows[f].name_n, 1, 45);
		assert_in_range(name[0] | 0x20, 'a', 'z');
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_"), strlen(name));
		for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
			assert_string_not_equal(name, reserved[i]);
	}
}

static void
an_empty_text_leaves_the_column_absent(void **state)
{
	struct event e;

	(void)state;
	event_init(&e);
	event_set_text(&e, F_EventName, SLICE(""));
	assert_false(event_has(&e, F_EventName));
	event_set_text(&e, F_EventName, SLICE("x"));
	assert_true(event_has(&e, F_EventName));
	event_unset(&e, F_EventName);
	assert_int_equal(event_text(&e, F_EventName).n, 0);
	assert_int_equal(event_number(&e, F_EventCount, 7), 7);
}

static void
a_list_grows_and_keeps_what_is_in_it(void **state)
{
	struct arena arena;
	struct event_list list = { .arena = &arena };

	(void)state;
	arena_init(&arena, 4096, 4 << 20);
	for (int i = 0; i < 300; i++) {
		struct event *e = event_list_add(&list);

		assert_non_null(e);
		assert_int_equal(e->present, 0);
		event_set_number(e, F_EventCount, i);
	}
	assert_int_equal(list.n, 300);
	for (int i = 0; i < 300; i++)
		assert_int_equal(event_number(&list.v[i], F_EventCount, -1), i);
	while (event_list_add(&list) != NULL)
		assert_true(list.n < 100000);
	assert_int_equal(event_number(&list.v[299], F_EventCount, -1), 299);	/* out of memory: the list is as it was */
	arena_fini(&arena);
}

static void
classes_are_those_of_the_contract_and_three_are_findings(void **state)
{
	static const char *const known[] = { "alert", "recommendation", "attack_path", "inventory", "activity", "access_anomaly",
	    "volume_spike", "config_change", "control", "agent" };
	int findings = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_int_equal(event_class(slice_of(known[i])), i);
		findings += event_class_is_finding(slice_of(known[i]));
	}
	assert_int_equal(findings, 3);
	assert_true(event_class_is_finding(SLICE("volume_spike")));
	assert_int_equal(event_class(SLICE("Alert")), -1);
	assert_int_equal(event_class(SLICE("")), -1);
	assert_false(event_class_is_finding(SLICE("activity")));
}

/* ---- wire ----------------------------------------------------------------------- */

static void
fill(struct event *e)
{
	event_init(e);
	event_set_number(e, F_TimeGenerated, INT64_C(-1));
	event_set_number(e, F_PromptTokens, INT64_MAX);
	event_set_number(e, F_HttpStatusCode, INT64_MIN);
	event_set_real(e, F_DetectorScore, -0.1);
	event_set_text(e, F_EventName, SLICE("a\0b\xff"));
	event_set_text(e, F_AdditionalFields, SLICE("{\"a\":1}"));
	event_set_text(e, F_TruncatedFields, SLICE("EventName"));
}

static void
assert_same(const struct event *a, const struct event *b)
{
	assert_int_equal(a->present, b->present);
	for (int f = 0; f < FIELD_COUNT; f++) {
		if (!event_has(a, (enum field)f))
			continue;
		if (field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON)
			assert_true(slice_eq(a->v[f].text, b->v[f].text));
		else
			assert_memory_equal(&a->v[f], &b->v[f], 8);
	}
}

static void
an_event_comes_back_from_its_bytes_as_it_was(void **state)
{
	struct event e, back, all;
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	fill(&e);
	assert_int_equal(wire_put(&e, &out, NULL), 0);
	assert_int_equal(wire_get(buf_slice(&out), &back, NULL), 0);
	assert_same(&e, &back);
	assert_true(back.v[F_EventName].text.p > out.p && back.v[F_EventName].text.p < out.p + out.n);

	event_init(&all);
	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON)
			event_set_text(&all, (enum field)f, slice_of(field_rows[f].name));
		else
			event_set_number(&all, (enum field)f, f * INT64_C(1000000007));
	buf_reset(&out);
	assert_int_equal(wire_put(&all, &out, NULL), 0);
	assert_int_equal(wire_get(buf_slice(&out), &back, NULL), 0);
	assert_same(&all, &back);

	event_init(&e);
	buf_reset(&out);
	assert_int_equal(wire_put(&e, &out, NULL), 0);
	assert_int_equal(out.n, 2);
	assert_int_equal(wire_get(buf_slice(&out), &back, NULL), 0);
	assert_int_equal(back.present, 0);
	buf_fini(&out);
}

static void
the_bytes_of_version_1_are_these(void **state)
{
	static const char want[] = "\x01\x03" "\x00\xff\xff\xff\xff\xff\xff\xff\xff" "\x04\x02\x00\x00\x00" "ab" "\x25\x00\x00\x00\x00\x00\x00\xf8\x3f";
	struct event e;
	struct buf out;

	(void)state;
	buf_init(&out, 1024);
	event_init(&e);
	event_set_number(&e, F_TimeGenerated, -1);
	event_set_text(&e, F_EventId, SLICE("ab"));
	event_set_real(&e, F_DetectorScore, 1.5);
	assert_int_equal(wire_put(&e, &out, NULL), 0);
	assert_int_equal(out.n, sizeof(want) - 1);
	assert_memory_equal(out.p, want, sizeof(want) - 1);
	buf_fini(&out);
}

/* A copy of its own size, so that reading past it shows; ret starts as a mark that must stay. */
static void
assert_lost(const char *p, size_t n)
{
	char *copy = malloc(n > 0 ? n : 1);
	struct event ret = { .present = 0x55 };
	struct err err = { .kind = ERR_NONE };

	assert_non_null(copy);
	memcpy(copy, p, n);
	assert_int_equal(wire_get(slice_make(copy, n), &ret, &err), -1);
	assert_int_equal(err.kind, ERR_LOST);
	assert_int_equal(ret.present, 0x55);
	free(copy);
}

static void
bytes_that_are_no_event_are_lost_whatever_they_are(void **state)
{
	static const char behind[] = { 1, 1, FIELD_COUNT, 1, 0, 0, 0, 'a' };	/* a column behind the last */
	static const struct slice bad[] = {
#define B(s)	{ s, sizeof(s) - 1 }
		B(""), B("\x01"), B("\x00\x00"), B("\x02\x00"), B("\x01\x01"), B("\x01\x00\x00"),
		B("\x01\x01\x04\x00\x00\x00\x00"),			/* an empty text */
		B("\x01\x01\x04\xff\xff\xff\xff" "ab"),
		B("\x01\x01\xff\x01\x00\x00\x00" "a"),
		B("\x01\x02\x05\x01\x00\x00\x00" "a\x04\x01\x00\x00\x00" "b"),	/* order */
		B("\x01\x02\x05\x01\x00\x00\x00" "a\x05\x01\x00\x00\x00" "b"),	/* twice */
		B("\x01\x01\x05\x01\x00\x00\x00" "ab"),
#undef B
	};
	struct event e;
	struct buf out;

	(void)state;
	assert_lost(behind, sizeof(behind));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_lost(bad[i].p, bad[i].n);
	buf_init(&out, 1 << 20);
	fill(&e);
	assert_int_equal(wire_put(&e, &out, NULL), 0);
	for (size_t n = 0; n < out.n; n++)
		assert_lost(out.p, n);
	buf_putc(&out, 'x');
	assert_lost(out.p, out.n);
	buf_fini(&out);
}

static void
mutated_bytes_are_refused_or_read_but_never_past_their_end(void **state)
{
	struct event e, back;
	struct buf out, again;
	uint32_t dice = 7;

	(void)state;
	buf_init(&out, 1 << 20);
	buf_init(&again, 1 << 20);
	fill(&e);
	assert_int_equal(wire_put(&e, &out, NULL), 0);
	for (int i = 0; i < 20000; i++) {
		char *copy = malloc(out.n);

		assert_non_null(copy);
		memcpy(copy, out.p, out.n);
		for (int k = 0; k < 3; k++) {
			dice = dice * 1664525u + 1013904223u;
			copy[(dice >> 8) % out.n] = (char)(dice >> 24);
		}
		if (wire_get(slice_make(copy, out.n), &back, NULL) == 0) {
			buf_reset(&again);
			assert_int_equal(wire_put(&back, &again, NULL), 0);
			assert_int_equal(again.n, out.n);
			assert_memory_equal(again.p, copy, out.n);
		}
		free(copy);
	}
	buf_fini(&out);
	buf_fini(&again);
}

static void
what_has_no_room_leaves_the_bytes_as_they_were(void **state)
{
	char *large = calloc(1, WIRE_MAX_BYTES);
	struct err err = { .kind = ERR_NONE };
	struct event e, back;
	struct buf out;

	(void)state;
	assert_non_null(large);
	buf_init(&out, 64);
	buf_puts(&out, "before");
	fill(&e);
	assert_int_equal(wire_put(&e, &out, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(out.n, 6);
	assert_false(out.failed);
	buf_fini(&out);

	buf_init(&out, (size_t)64 << 20);
	event_init(&e);
	event_set_text(&e, F_EventName, slice_make(large, WIRE_MAX_BYTES - 7));
	assert_int_equal(wire_put(&e, &out, &err), 0);
	assert_int_equal(out.n, WIRE_MAX_BYTES);
	assert_int_equal(wire_get(buf_slice(&out), &back, NULL), 0);
	event_set_text(&e, F_EventName, slice_make(large, WIRE_MAX_BYTES - 6));
	assert_int_equal(wire_put(&e, &out, &err), -1);
	assert_int_equal(err.kind, ERR_FULL);
	assert_int_equal(out.n, WIRE_MAX_BYTES);
	buf_fini(&out);
	free(large);
}

/* ---- resources --------------------------------------------------------------------- */

#define S	"/subscriptions/11111111-2222-3333-4444-555555555555"
#define ACCOUNT	S "/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/A"

static const struct { const char *id, *subscription, *group, *provider, *name, *path, *type; } ids[] = {
	{ ACCOUNT, "11111111-2222-3333-4444-555555555555", "rg", "Microsoft.CognitiveServices", "A",
	    "Microsoft.CognitiveServices/accounts/A", "microsoft.cognitiveservices/accounts" },
	{ ACCOUNT "/deployments/gpt-4o", "11111111-2222-3333-4444-555555555555", "rg", "Microsoft.CognitiveServices", "gpt-4o",
	    "Microsoft.CognitiveServices/accounts/A/deployments/gpt-4o", "microsoft.cognitiveservices/accounts/deployments" },
	{ ACCOUNT "/providers/Microsoft.Insights/diagnosticSettings/x", "11111111-2222-3333-4444-555555555555", "rg",
	    "Microsoft.CognitiveServices", "A", "Microsoft.CognitiveServices/accounts/A", "microsoft.cognitiveservices/accounts" },
	{ "/SUBSCRIPTIONS/S1/RESOURCEGROUPS/RG/PROVIDERS/MICROSOFT.MACHINELEARNINGSERVICES/WORKSPACES/W/ONLINEENDPOINTS/E", "S1", "RG",
	    "MICROSOFT.MACHINELEARNINGSERVICES", "E", "MICROSOFT.MACHINELEARNINGSERVICES/WORKSPACES/W/ONLINEENDPOINTS/E",
	    "microsoft.machinelearningservices/workspaces/onlineendpoints" },
	{ "/subscriptions/s/providers/Microsoft.Security/assessments/b1", "s", "", "Microsoft.Security", "b1",
	    "Microsoft.Security/assessments/b1", "microsoft.security/assessments" },
	{ "/providers/Microsoft.Management/managementGroups/mg", "", "", "Microsoft.Management", "mg",
	    "Microsoft.Management/managementGroups/mg", "microsoft.management/managementgroups" },
	{ "/subscriptions/s", "s", "", "", "s", "", "" },
	{ "/subscriptions/s/resourceGroups/g/", "s", "g", "", "g", "", "" },
	{ "/subscriptions/s/resourceGroups/providers/providers/P.Q/accounts/providers", "s", "providers", "P.Q", "providers",
	    "P.Q/accounts/providers", "p.q/accounts" },
	{ ACCOUNT "/projects/", "11111111-2222-3333-4444-555555555555", "rg", "Microsoft.CognitiveServices", "A",
	    "Microsoft.CognitiveServices/accounts/A/projects", "microsoft.cognitiveservices/accounts/projects" },
	{ "/subscriptions/s/providers/Microsoft.X", "s", "", "Microsoft.X", "", "Microsoft.X", "microsoft.x" },
};

static void
assert_slice(struct slice s, const char *want)
{
	if (!slice_eq(s, slice_of(want)))
		fail_msg("\"%.*s\" is not \"%s\"", SLICE_ARG(s), want);
}

static void
an_azure_id_is_taken_apart_whatever_its_shape_and_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		struct azure_id id;
		char type[128];
		size_t n;

		assert_true(azure_id_parse(slice_of(ids[i].id), &id));
		assert_slice(id.subscription, ids[i].subscription);
		assert_slice(id.group, ids[i].group);
		assert_slice(id.provider, ids[i].provider);
		assert_slice(id.name, ids[i].name);
		assert_slice(id.path, ids[i].path);
		n = azure_id_type(slice_of(ids[i].id), type, sizeof(type));
		assert_slice(slice_make(type, n), ids[i].type);
	}
}

static void
what_is_no_azure_id_is_refused_and_changes_nothing(void **state)
{
	static const char *const strangers[] = { "", "/", "//", "A", "arn:aws:bedrock:us-east-1:1:model/x", "/subscriptions", "/subscriptions/",
	    "/resourceGroups/g", "/projects/p/locations/l", "https://x.openai.azure.com/", "/providers/", "/a/b/c" };
	struct azure_id id = { .name = SLICE("mark") };

	(void)state;
	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		assert_false(azure_id_parse(slice_of(strangers[i]), &id));
		assert_slice(id.name, "mark");
	}
}

static void
an_azure_id_cut_anywhere_is_read_within_its_bytes(void **state)
{
	static const char whole[] = ACCOUNT "/deployments/gpt-4o/providers/Microsoft.Insights/diagnosticSettings/x";

	(void)state;
	for (size_t n = 0; n < sizeof(whole); n++) {
		char *copy = malloc(n > 0 ? n : 1), type[64];
		struct azure_id id;

		assert_non_null(copy);
		memcpy(copy, whole, n);
		if (azure_id_parse(slice_make(copy, n), &id) && id.path.n > 0)
			assert_true(id.path.p >= copy && id.path.p + id.path.n <= copy + n);
		azure_id_type(slice_make(copy, n), type, sizeof(type));
		azure_id_part(slice_make(copy, n), SLICE("deployments"));
		free(copy);
	}
}

static void
a_type_that_does_not_fit_is_none(void **state)
{
	const size_t n = strlen("microsoft.cognitiveservices/accounts");
	char type[64] = "";

	(void)state;
	assert_int_equal(azure_id_type(SLICE(ACCOUNT), type, n), n);
	for (size_t room = 0; room < n; room++) {
		type[room] = '!';
		assert_int_equal(azure_id_type(SLICE(ACCOUNT), type, room), 0);
		assert_int_equal(type[room], '!');
	}
}

static void
a_part_is_what_stands_behind_its_key(void **state)
{
	(void)state;
	assert_slice(azure_id_part(SLICE(ACCOUNT "/DEPLOYMENTS/d1"), SLICE("deployments")), "d1");
	assert_slice(azure_id_part(SLICE(ACCOUNT), SLICE("deployments")), "");
	assert_slice(azure_id_part(SLICE(ACCOUNT "/deployments"), SLICE("deployments")), "");
	assert_slice(azure_id_part(SLICE(ACCOUNT "/deployments/"), SLICE("deployments")), "");
	assert_slice(azure_id_part(SLICE("/subscriptions/s/resourceGroups/deployments/providers/P/a/x/deployments/d"), SLICE("deployments")), "d");
	assert_slice(azure_id_part(SLICE("https://x.openai.azure.com/openai/deployments/d2/chat"), SLICE("deployments")), "d2");
	assert_slice(azure_id_part(SLICE_NONE, SLICE("deployments")), "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_column_is_found_by_its_name_and_nothing_else_is),
		cmocka_unit_test(column_names_are_such_as_the_service_takes),
		cmocka_unit_test(an_empty_text_leaves_the_column_absent),
		cmocka_unit_test(a_list_grows_and_keeps_what_is_in_it),
		cmocka_unit_test(classes_are_those_of_the_contract_and_three_are_findings),
		cmocka_unit_test(an_event_comes_back_from_its_bytes_as_it_was),
		cmocka_unit_test(the_bytes_of_version_1_are_these),
		cmocka_unit_test(bytes_that_are_no_event_are_lost_whatever_they_are),
		cmocka_unit_test(mutated_bytes_are_refused_or_read_but_never_past_their_end),
		cmocka_unit_test(what_has_no_room_leaves_the_bytes_as_they_were),
		cmocka_unit_test(an_azure_id_is_taken_apart_whatever_its_shape_and_case),
		cmocka_unit_test(what_is_no_azure_id_is_refused_and_changes_nothing),
		cmocka_unit_test(an_azure_id_cut_anywhere_is_read_within_its_bytes),
		cmocka_unit_test(a_type_that_does_not_fit_is_none),
		cmocka_unit_test(a_part_is_what_stands_behind_its_key),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
