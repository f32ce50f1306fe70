/* test_decode.c - records through small mappings: paths, envelopes, ids, what may leave, and hostile input. */
#include "decode_help.h"

#include "base/gzip.h"
#include "base/json.h"

#define HEAD	"family: t\nmatch: [{a: present}]\n"

/* json-c keeps the last of equal keys and prints numbers anew. */
static bool
is_json_c(void)
{
	return strncmp(json_library(), "json-c", 6) == 0;
}

/* ---- paths ---------------------------------------------------------------------------- */

static void
keys_are_found_in_any_case_with_escapes_and_in_quotes(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: One.Two, EventName: 'claims.\"http://x.y/z b\"', RiskLevel: \"\xc3\xa4\"}\n");
	decode_text(&w, "{\"A\":1,\"oNE\":{\"tWo\":\"x\"},\"Claims\":{\"HTTP://x.y/Z b\":\"q\"},\"\\u00e4\":\"u\"}", 1);
	assert_text(&w, Operation, "x");
	assert_text(&w, EventName, "q");
	assert_text(&w, RiskLevel, "u");
	decode_text(&w, "{\"\\u0061\":1,\"o\\u006ee\":{\"T\\u0057o\":\"a\\n\\u00e9\\\"b\"}}", 1);
	assert_text(&w, Operation, "a\n\xc3\xa9\"b");
	world_fini(&w);
}

static void
of_equal_keys_the_first_that_says_something_counts(void **state)
{
	struct world w;

	(void)state;
	if (is_json_c())
		skip();
	world_with(&w, HEAD "fields: {Operation: o, EventName: p.q}\n");
	decode_text(&w, "{\"a\":1,\"o\":\"first\",\"O\":\"second\",\"p\":{\"r\":1},\"p\":{\"q\":\"late\"}}", 1);
	assert_text(&w, Operation, "first");
	assert_absent(&w, EventName);
	decode_text(&w, "{\"a\":1,\"o\":null,\"o\":\"second\"}", 1);
	assert_text(&w, Operation, "second");
	world_fini(&w);
}

static void
lists_give_an_element_by_place_by_member_or_the_first_that_fits(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields:\n  Operation: l[1].x\n  EventName: l[].y\n  RiskLevel: 'l[type=IP].x'\n"
	    "  ActorUserId: 'l[type=\"a b\"].z.w'\n  EventUrl: 'l[type=*suffix].x'\n  CloudRegion: m[0][1]\n");
	decode_text(&w, "{\"a\":1,\"l\":[{\"x\":\"0\",\"Type\":\"ip\"},{\"x\":\"1\",\"y\":\"\",\"type\":\"IP\"},7,"
	    "{\"y\":\"2\",\"type\":\"a b\"},{\"y\":\"3\",\"type\":\"A B\",\"z\":{\"w\":\"found\"}},"
	    "{\"type\":\"#my.SUFFIX\",\"x\":\"s\"}],\"m\":[[\"p\",\"q\"]]}", 1);
	assert_text(&w, Operation, "1");
	assert_text(&w, EventName, "2");
	assert_text(&w, RiskLevel, "0");
	assert_text(&w, ActorUserId, "found");
	assert_text(&w, EventUrl, "s");
	assert_text(&w, CloudRegion, "q");
	world_fini(&w);
}

static void
an_empty_list_does_not_hide_the_next_element(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {RequestCount: {from: 'l[].c', as: count}}\n");
	decode_text(&w, "{\"a\":1,\"l\":[{\"c\":[]},{\"c\":{}},{\"c\":[1,2]}]}", 1);
	assert_number(&w, RequestCount, 2);
	world_fini(&w);
}

static void
elements_that_fit_are_counted(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {RequestCount: {from: 'm[prompt=true]', as: count}, PromptTokens: {from: 'm[]', as: count},\n"
	    "  CompletionTokens: {from: m, as: count}, DurationMs: {from: ['m[prompt=never]', 'm[k=*].list'], as: count}}\n");
	decode_text(&w, "{\"a\":1,\"m\":[{\"prompt\":true,\"k\":1,\"list\":[7,8]},{\"prompt\":false},null,{},{\"Prompt\":\"TRUE\"}]}", 1);
	assert_number(&w, RequestCount, 2);
	assert_number(&w, PromptTokens, 3);		/* null and {} say nothing */
	assert_number(&w, CompletionTokens, 5);
	assert_number(&w, DurationMs, 2);		/* the list at the end of the path */
	decode_text(&w, "{\"a\":1,\"m\":[{\"prompt\":true}]}", 1);
	assert_number(&w, RequestCount, 1);
	decode_text(&w, "{\"a\":1,\"m\":[{\"prompt\":false}]}", 1);
	assert_absent(&w, RequestCount);
	world_fini(&w);
}

static void
a_text_that_a_path_steps_into_is_read_as_json_three_deep(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: p.x, EventName: p.q.r.x, RiskLevel: p.q.r.s.x, EventUrl: p}\n");
	decode_text(&w, "{\"a\":1,\"p\":\"  {\\\"x\\\":\\\"one\\\",\\\"q\\\":\\\"{\\\\\\\"r\\\\\\\":\\\\\\\"{\\\\\\\\\\\\\\\"x\\\\\\\\\\\\\\\":3,"
	    "\\\\\\\\\\\\\\\"s\\\\\\\\\\\\\\\":\\\\\\\\\\\\\\\"{\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\"x\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\\":4}\\\\\\\\\\\\\\\"}\\\\\\\"}\\\"}\"}", 1);
	assert_text(&w, Operation, "one");
	assert_text(&w, EventName, "3");
	assert_absent(&w, RiskLevel);		/* the fourth is too deep */
	assert_has(text_of(&w, 0, F_EventUrl), "\"x\":\"one\"");
	decode_text(&w, "{\"a\":1,\"p\":\"{\\\"x\\\":\"}", 1);
	assert_absent(&w, Operation);
	world_fini(&w);
}

/* ---- recognition ------------------------------------------------------------------------ */

static void
families_are_asked_by_order_then_by_name(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "1.yaml", "family: zz\norder: 1\nmatch: [{a: present, b: x}]\nfields: {EventName: {value: zz}}\n");
	world_file(&w, "2.yaml", "family: cc\norder: 2\nmatch: [{a: present}]\nfields: {EventName: {value: cc}}\n");
	world_file(&w, "3.yaml", "family: bb\norder: 2\nmatch: [{z: present}, {a: [y*, 5, 'true']}]\nfields: {EventName: {value: bb}}\n");
	world_open(&w);
	decode_text(&w, "{\"a\":\"Yes\",\"b\":\"X\"}", 1);
	assert_text(&w, EventName, "zz");
	decode_text(&w, "{\"a\":\"Yes\"}", 1);
	assert_text(&w, EventName, "bb");
	decode_text(&w, "{\"a\":5}", 1);
	assert_text(&w, EventName, "bb");
	decode_text(&w, "{\"a\":true}", 1);
	assert_text(&w, EventName, "bb");
	decode_text(&w, "{\"a\":{\"x\":1}}", 1);
	assert_text(&w, EventName, "cc");
	assert_int_equal(w.count.unknown, 0);
	world_fini(&w);
}

static void
a_family_is_asked_whatever_its_shapes_need(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "1.yaml", "family: last\norder: 9\nmatch: [{a: absent, x.y: absent}]\nfields: {EventName: {value: last}}\n");
	world_file(&w, "2.yaml", "family: deep\norder: 2\nmatch: [{a: present, x.y: present, 'l[k=v].n': present}]\n"
	    "fields: {EventName: {value: deep}}\n");
	world_file(&w, "3.yaml", "family: half\norder: 3\nmatch: [{a: present, q: absent}, {x.y: '1', a: absent}]\n"
	    "fields: {EventName: {value: half}}\n");
	world_open(&w);
	decode_text(&w, "[{\"a\":1,\"x\":\"{\\\"y\\\":1}\",\"l\":[{\"k\":\"w\",\"n\":1},{\"k\":\"V\",\"n\":2}]},{\"a\":1},{\"x\":{\"y\":1}},"
	    "{\"z\":1},{\"a\":1,\"q\":1},{\"x\":{\"y\":2}}]", 6);
	assert_string_equal(text_of(&w, 0, F_EventName), "deep");
	assert_string_equal(text_of(&w, 1, F_EventName), "half");
	assert_string_equal(text_of(&w, 2, F_EventName), "half");
	assert_string_equal(text_of(&w, 3, F_EventName), "last");
	assert_string_equal(text_of(&w, 4, F_EventName), "(absent)");
	assert_int_equal(w.count.unknown, 2);
	world_fini(&w);
}

static void
each_makes_one_event_an_element_with_its_own_values(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "each: r[].s[]\neach_when: [{.skip: absent}]\nid: [.n]\n"
	    "fields: {Operation: 'r[].s[].n', EventName: 'r[].g', RiskLevel: top, EventUrl: 'r[].s[].t[].u'}\n");
	decode_text(&w, "{\"a\":1,\"top\":\"T\",\"r\":[{\"g\":\"g1\",\"s\":[{\"n\":\"1\",\"t\":[{},{\"u\":\"u1\"}]},{\"n\":\"2\"}]},"
	    "{\"s\":[{\"n\":\"3\",\"skip\":1},{\"n\":\"4\"}]},{\"g\":\"g3\",\"s\":[]},{\"g\":\"g4\",\"s\":[{}]}]}", 4);
	assert_int_equal(w.count.passed, 1);
	assert_string_equal(text_of(&w, 0, F_Operation), "1");
	assert_string_equal(text_of(&w, 0, F_EventName), "g1");
	assert_string_equal(text_of(&w, 0, F_EventUrl), "u1");
	assert_string_equal(text_of(&w, 1, F_Operation), "2");
	assert_string_equal(text_of(&w, 1, F_EventName), "g1");
	assert_string_equal(text_of(&w, 1, F_EventUrl), "(absent)");
	assert_string_equal(text_of(&w, 2, F_Operation), "4");
	assert_string_equal(text_of(&w, 2, F_EventName), "(absent)");
	assert_string_equal(text_of(&w, 3, F_Operation), "(absent)");
	assert_string_equal(text_of(&w, 3, F_EventName), "g4");
	assert_string_equal(text_of(&w, 3, F_RiskLevel), "T");
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(text_of(&w, i, F_EventId), text_of(&w, k, F_EventId));
	decode_text(&w, "{\"a\":1,\"r\":[{\"s\":[{\"n\":\"1\"},{\"n\":\"1\"}]}]}", 2);
	assert_string_not_equal(text_of(&w, 0, F_EventId), text_of(&w, 1, F_EventId));
	decode_text(&w, "{\"a\":1,\"top\":\"no list at all\"}", 1);
	assert_text(&w, RiskLevel, "no list at all");
	world_fini(&w);
}

/* ---- envelopes ------------------------------------------------------------------------------ */

static const char envelopes[] =
    "- {name: hub, list: 'records[]', only: ['@odata.*', nextLink]}\n"
    "- {name: sns, text: Message, when: {Type: Notification}}\n"
    "- {name: bridge, object: detail, when: {detail-type: present}}\n"
    "- {name: deep, list: 'x.y[]'}\n"
    "- {name: push, base64: message.data, only: [subscription]}\n"
    "- {name: sealed, base64: sealed}\n";

static void
world_wrapped(struct world *w)
{
	world_init(w);
	world_file(w, "envelopes.yaml", envelopes);
	world_file(w, "a.yaml", HEAD "fields: {Operation: a}\n");
	world_open(w);
}

static void
envelopes_are_taken_off_until_none_fits(void **state)
{
	struct world w;

	(void)state;
	world_wrapped(&w);
	decode_text(&w, "{\"records\":[{\"a\":1},{\"a\":2}],\"nextLink\":\"x\",\"@odata.count\":2}", 2);
	assert_string_equal(text_of(&w, 1, F_Operation), "2");
	decode_text(&w, "{\"records\":[{\"a\":1}],\"other\":1}", 1);
	assert_int_equal(w.count.unknown, 1);
	decode_text(&w, "{\"Records\":[]}", 0);
	decode_text(&w, "[{\"a\":1},[{\"a\":2}],{\"records\":[{\"a\":3}]}]", 3);
	assert_string_equal(text_of(&w, 2, F_Operation), "3");
	decode_text(&w, "{\"Type\":\"Notification\",\"Message\":\"{\\\"detail-type\\\":\\\"t\\\",\\\"detail\\\":{\\\"a\\\":\\\"in\\\"}}\"}", 1);
	assert_text(&w, Operation, "in");
	decode_text(&w, "{\"Type\":\"Notification\",\"Message\":\"plain words\"}", 1);
	assert_int_equal(w.count.unknown, 1);
	decode_text(&w, "{\"x\":{\"y\":\"[{\\\"a\\\":9},\\\"{\\\\\\\"a\\\\\\\":10}\\\"]\"},\"z\":1}", 2);
	assert_string_equal(text_of(&w, 1, F_Operation), "10");
	world_fini(&w);
}

static void
a_wrapper_adds_members_of_its_own_and_changes_no_id(void **state)
{
	struct world w;
	char id[33];

	(void)state;
	world_init(&w);
	world_file(&w, "a.yaml", HEAD "fields: {EventName: n}\nadditional: {N: n}\n");
	world_file(&w, "envelopes.yaml", "- {name: page, list: 'items[]', additional: {Page: page.no, Last: last}}\n"
	    "- {name: one, object: inner, additional: {OuterId: [none, id], Page: id}}\n");
	world_open(&w);
	decode_text(&w, "{\"a\":1,\"n\":\"x\"}", 1);
	memcpy(id, text_of(&w, 0, F_EventId), 33);
	assert_text(&w, AdditionalFields, "{\"N\":\"x\"}");
	decode_text(&w, "{\"page\":{\"no\":7},\"last\":false,\"items\":[{\"a\":1,\"n\":\"x\"},{\"inner\":{\"a\":1,\"n\":\"x\"},\"id\":\"q\\\"1\"},{\"a\":2}]}", 3);
	assert_text(&w, AdditionalFields, "{\"N\":\"x\",\"Page\":7,\"Last\":false}");
	assert_string_equal(text_of(&w, 1, F_AdditionalFields), "{\"N\":\"x\",\"Page\":7,\"Last\":false,\"OuterId\":\"q\\\"1\"}");
	assert_string_equal(text_of(&w, 2, F_AdditionalFields), "{\"Page\":7,\"Last\":false}");
	assert_string_equal(text_of(&w, 0, F_EventId), id);
	assert_string_equal(text_of(&w, 1, F_EventId), id);
	decode_text(&w, "{\"a\":1,\"n\":\"x\"}", 1);
	assert_text(&w, AdditionalFields, "{\"N\":\"x\"}");
	world_fini(&w);
}

static void
what_is_no_object_in_a_list_goes_on_as_length_and_hash(void **state)
{
	struct world w;

	(void)state;
	world_wrapped(&w);
	decode_text(&w, "{\"records\":[{\"a\":1},\"tell nobody\",17,null]}", 4);
	assert_int_equal(w.count.unknown, 3);
	assert_int_equal(w.count.events, 4);
	assert_string_equal(text_of(&w, 1, F_EventClass), "activity");
	assert_has(text_of(&w, 1, F_AdditionalFields), "{\"length\":11,\"sha256\":\"");
	world_fini(&w);
}

static void
five_wrappers_are_one_too_many(void **state)
{
	struct world w;

	(void)state;
	world_wrapped(&w);
	decode_text(&w, "{\"records\":[{\"records\":[{\"records\":[{\"records\":[{\"a\":1}]}]}]}]}", 1);
	assert_int_equal(w.count.unknown, 0);
	decode_text(&w, "{\"records\":[{\"records\":[{\"records\":[{\"records\":[{\"records\":[{\"a\":1}]}]}]}]}]}", 1);
	assert_int_equal(w.count.unknown, 1);
	world_fini(&w);
}

static void
what_is_no_json_below_base64_is_an_unknown_record(void **state)
{
	static const char *const sealed[] = { "bm8ganNvbg==", "!!!!", "IjEi", "H4sIAAAAAAAAA2Zvbw==" };
	struct world w;
	char text[256];

	(void)state;
	world_wrapped(&w);
	for (size_t i = 0; i < sizeof(sealed) / sizeof(sealed[0]); i++) {
		snprintf(text, sizeof(text), "{\"sealed\":\"%s\"}", sealed[i]);
		decode_text(&w, text, 1);
		assert_int_equal(w.count.unknown, 1);
	}
	decode_text(&w, "[{\"sealed\":\"H4sIAAAAAAACA6tWSlSyMtRRSlKyUqpQqgUAVCd/8g8AAAA=\"},{\"sealed\":\"H4sIAAAAAAACA4uuVkpUslJKyywqLlGqjQUA8ID37w8AAAA=\"}]", 2);
	assert_int_equal(w.count.unknown, 0);
	assert_string_equal(text_of(&w, 0, F_Operation), "1");
	assert_string_equal(text_of(&w, 1, F_Operation), "first");
	world_fini(&w);
}

/* Eight texts of 10 MiB each: what unpacks beyond 64 MiB stays packed, as a record that nobody knows. */
static void
a_record_unpacks_only_so_much_in_however_many_texts(void **state)
{
	const size_t blanks = (size_t)10 << 20;
	struct gzip_writer *writer = gzip_writer_new(1);
	struct buf plain, packed, text;
	struct world w;

	(void)state;
	world_wrapped(&w);
	buf_init(&plain, 2 * blanks);
	buf_init(&packed, blanks);
	buf_init(&text, blanks);
	buf_puts(&plain, "{\"a\":\"one\"}");
	assert_true(buf_reserve(&plain, blanks));
	memset(plain.p + plain.n, ' ', blanks);
	plain.n += blanks;
	assert_int_equal(gzip_compress(writer, buf_slice(&plain), &packed, NULL), 0);
	for (int i = 0; i < 8; i++) {
		buf_puts(&text, i == 0 ? "[{\"sealed\":\"" : ",{\"sealed\":\"");
		buf_put_base64(&text, packed.p, packed.n, false);
		buf_puts(&text, "\"}");
	}
	buf_putc(&text, ']');
	assert_int_equal(decode_bytes(&w, text.p, text.n), 0);
	assert_int_equal(w.events.n, 8);
	assert_int_equal(w.count.unknown, 2);
	assert_string_equal(text_of(&w, 5, F_Operation), "one");
	decode_text(&w, "{\"a\":\"next\"}", 1);
	assert_int_equal(w.count.unknown, 0);
	text.p[text.n / 8 - 40] = text.p[text.n / 8 - 40] == 'A' ? 'B' : 'A';	/* the first is damaged at its end, and counts as far as it came */
	assert_int_equal(decode_bytes(&w, text.p, text.n), 0);
	assert_int_equal(w.events.n, 8);
	assert_int_equal(w.count.unknown, 3);
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&text);
	gzip_writer_free(writer);
	world_fini(&w);
}

/* ---- ids ---------------------------------------------------------------------------------------- */

static void
take_id(struct world *w, const char *text, size_t events, char ret[33])
{
	decode_text(w, text, events);
	assert_int_equal(event_text(&w->events.v[events - 1], F_EventId).n, 32);
	snprintf(ret, 33, "%s", text_of(w, events - 1, F_EventId));
}

static void
a_record_has_the_same_id_in_every_envelope(void **state)
{
	struct world w;
	char plain[33], other[33];

	(void)state;
	world_wrapped(&w);
	take_id(&w, "{\"a\":1,\"b\":\"x\"}", 1, plain);
	assert_int_equal(strspn(plain, "0123456789abcdef"), 32);
	take_id(&w, " \n {\"a\":1,\"b\":\"x\"} \r\n", 1, other);
	assert_string_equal(plain, other);
	take_id(&w, "[{\"a\":2},{\"a\":1,\"b\":\"x\"}]", 2, other);
	assert_string_equal(plain, other);
	take_id(&w, "{\"records\":[{\"a\":1,\"b\":\"x\"}]}", 1, other);
	assert_string_equal(plain, other);
	take_id(&w, "{\"Type\":\"Notification\",\"Message\":\"{\\\"a\\\":1,\\\"b\\\":\\\"x\\\"}\"}", 1, other);
	assert_string_equal(plain, other);
	take_id(&w, "{\"message\":{\"data\":\"eyJhIjoxLCJiIjoieCJ9\",\"messageId\":\"7\"},\"subscription\":\"s\"}", 1, other);
	assert_string_equal(plain, other);
	take_id(&w, "{\"sealed\":\"H4sIAAAAAAACA6tWSlSyMtRRSlKyUqpQqgUAVCd/8g8AAAA=\"}", 1, other);
	assert_string_equal(plain, other);
	take_id(&w, "{\"b\":\"x\",\"a\":1}", 1, other);
	assert_string_not_equal(plain, other);
	take_id(&w, "{\"a\":1,\"b\":\"y\"}", 1, other);
	assert_string_not_equal(plain, other);
	world_fini(&w);
}

static void
id_paths_make_the_id_whatever_else_the_record_holds(void **state)
{
	struct world w;
	char first[33], other[33];

	(void)state;
	world_with(&w, HEAD "id: [p, q]\n");
	take_id(&w, "{\"a\":1,\"p\":\"x\",\"q\":5}", 1, first);
	take_id(&w, "{\"q\":5,\"new\":true,\"a\":2,\"p\":\"\\u0078\"}", 1, other);
	assert_string_equal(first, other);
	take_id(&w, "{\"a\":1,\"p\":\"x\",\"q\":\"5 \"}", 1, other);
	assert_string_not_equal(first, other);
	take_id(&w, "{\"a\":1,\"p\":\"x\"}", 1, other);
	assert_string_not_equal(first, other);
	take_id(&w, "{\"a\":1,\"q\":\"x\"}", 1, first);
	assert_string_not_equal(first, other);
	/* None found: the bytes. */
	take_id(&w, "{\"a\":1}", 1, first);
	take_id(&w, "{\"a\":2}", 1, other);
	assert_string_not_equal(first, other);
	world_fini(&w);
}

static void
an_id_may_name_columns_whatever_filled_them(void **state)
{
	struct world w;
	char id[33];

	(void)state;
	world_with(&w, HEAD "id: [$TimeGenerated, $RecommendationState]\nfields: {TimeGenerated: {from: [t, time], as: time},\n"
	    "  RecommendationState: [{when: {gone: present}, value: NotApplicable}, {from: [s, state]}]}\n");
	decode_text(&w, "{\"a\":1,\"t\":\"2026-01-01T00:00:00Z\",\"s\":\"Unhealthy\"}", 1);
	memcpy(id, text_of(&w, 0, F_EventId), 33);
	decode_text(&w, "{\"a\":2,\"time\":1767225600,\"state\":\"Unhealthy\"}", 1);
	assert_text(&w, EventId, id);
	decode_text(&w, "{\"a\":2,\"time\":1767225600,\"state\":\"Unhealthy\",\"gone\":true}", 1);
	assert_string_not_equal(text_of(&w, 0, F_EventId), id);
	/* Without a time the arrival fills the column, but not the id. */
	decode_text(&w, "[{\"a\":1,\"s\":\"x\"},{\"a\":1,\"s\":\"x\",\"n\":2},{\"a\":1},{\"a\":1,\"n\":2}]", 4);
	assert_number(&w, TimeGenerated, ARRIVED_MS);
	assert_string_equal(text_of(&w, 0, F_EventId), text_of(&w, 1, F_EventId));
	assert_string_not_equal(text_of(&w, 2, F_EventId), text_of(&w, 3, F_EventId));
	world_fini(&w);
}

static void
the_id_is_the_one_that_the_page_describes(void **state)
{
	struct world w;
	char id[33];

	(void)state;
	world_with(&w, HEAD "id: [p, q]\n");
	/* sha256("t" 00 | 01000000 "x" | ffffffff | 00000000), first 16 bytes */
	take_id(&w, "{\"a\":1,\"p\":\"x\"}", 1, id);
	assert_string_equal(id, "77fbb19b2fc5bbd068d8db668374a3fc");
	/* sha256("t" 00 | {"a":1} | 00000000) */
	take_id(&w, "{\"a\":1}", 1, id);
	assert_string_equal(id, "b0d925a51754c0f7b4f0f94665f6c9a2");
	world_fini(&w);
}

/* ---- what may leave -------------------------------------------------------------------------------- */

static void
withheld_content_leaves_as_length_and_hash(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "additional: {K: k}\nwithheld: {Body: [b, c], Other: o}\n");
	decode_text(&w, "{\"a\":1,\"k\":1,\"b\":\"abc\",\"o\":{\"x\":\"secret prompt\"}}", 1);
	assert_text(&w, AdditionalFields, "{\"K\":1,\"Body\":{\"length\":3,\"sha256\":"
	    "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"},\"Other\":{\"length\":21,\"sha256\":"
	    "\"99d7ba9735a27d5f58ea2b9de870016b9f2092a322d751f7100db32d4a9d38fb\"}}");
	world_fini(&w);
}

static void
released_content_leaves_as_it_is(void **state)
{
	static const char *const names[] = { "t.Bo*" };
	static const char *const wrong[] = { "t.Nothing" };
	struct world w;

	(void)state;
	world_with(&w, HEAD "withheld: {Body: b, Other: o}\n");
	assert_int_equal(decoder_release(w.decoder, wrong, 1, &w.err), -1);
	assert_int_equal(w.err.kind, ERR_CONFIG);
	assert_int_equal(decoder_release(w.decoder, names, 1, &w.err), 0);
	decode_text(&w, "{\"a\":1,\"b\":{\"m\":\"hello\"},\"o\":\"hidden words\"}", 1);
	assert_has(text_of(&w, 0, F_AdditionalFields), "\"Body\":{\"m\":\"hello\"}");
	assert_has_not(text_of(&w, 0, F_AdditionalFields), "hidden words");
	world_fini(&w);
}

static void
secrets_inside_json_are_redacted_also_in_texts_and_pairs(void **state)
{
	struct world w;
	const char *s;

	(void)state;
	world_with(&w, HEAD "redact: [quux]\nadditional: {B: {from: b, as: json}}\n");
	decode_text(&w, "{\"a\":1,\"b\":{\"clientSecret\":\"S1\",\"Api-Key\":\"S2\",\"promptTokens\":5,\"tokens\":[1,2],"
	    "\"access_token\":\"S3\",\"authorization\":{\"action\":\"w\"},\"Authorization\":\"S4\",\"enablePasswordSync\":true,"
	    "\"myQuuxer\":7,\"accessKeyId\":\"AKIA1\",\"inner\":\"{\\\"password\\\":\\\"S5\\\",\\\"ok\\\":1}\","
	    "\"broken\":\"{\\\"password\\\":\\\"S6\\\"\",\"conn\":\"Endpoint=x;SharedAccessKey=S7\",\"key1\":\"S8\","
	    "\"sent\":\"Authorization: Bearer S6AbCdEfGhIjKlMnOp\",\"jwt\":\"at eyJhbGciOiJub25lIn0.S7.x\",\"news\":\"the bearer of news\","
	    "\"u\":[\"https://h/?api-key=S7\",\"https://h/?x=1&code=S7\",\"https://h/?subscription-key=S7\",\"https://h/?page=2\"],"
	    "\"list\":[{\"name\":\"ApiKey\",\"value\":\"S9\"},{\"name\":\"mode\",\"value\":\"fine\"}]}}", 1);
	s = text_of(&w, 0, F_AdditionalFields);
	for (char i = '1'; i <= '9'; i++)
		assert_has_not(s, ((char[]){ '"', 'S', i, '"', '\0' }));
	assert_has_not(s, "S6");
	assert_has_not(s, "S7");
	assert_has_not(s, "\"myQuuxer\":7");
	assert_has(s, "\"promptTokens\":5");
	assert_has(s, "\"tokens\":[1,2]");
	assert_has(s, "{\"action\":\"w\"}");
	assert_has(s, "https://h/?page=2");
	assert_has(s, "\"the bearer of news\"");
	assert_has(s, "\"enablePasswordSync\":true");
	assert_has(s, "AKIA1");
	assert_has(s, "\"inner\":{\"password\":\"(redacted)\",\"ok\":1}");
	assert_has(s, "{\"name\":\"mode\",\"value\":\"fine\"}");
	world_fini(&w);
}

static void
json_that_is_too_long_becomes_length_and_hash(void **state)
{
	struct world w;
	char *text = malloc(100000);
	size_t n;

	(void)state;
	world_with(&w, HEAD "fields: {NewValue: {from: b, as: json}}\nadditional: {B: {from: b, as: json}, Z: a}\n");
	n = (size_t)snprintf(text, 100000, "{\"a\":1,\"b\":[\"");
	memset(text + n, 'x', 40000);
	memcpy(text + n + 40000, "\"]}", 4);
	decode_text(&w, text, 1);
	assert_has(text_of(&w, 0, F_AdditionalFields), "{\"B\":{\"length\":40004,\"sha256\":\"");
	assert_has(text_of(&w, 0, F_AdditionalFields), "\"Z\":1}");
	assert_has(text_of(&w, 0, F_NewValue), "{\"length\":40004");
	free(text);
	world_fini(&w);
}

static void
additional_fields_are_always_one_json_object_below_the_limit(void **state)
{
	struct world w;
	struct json_reader *reader = json_reader_new();
	struct json_doc doc;
	struct slice s;
	char mapping[4096], *text = malloc(700000);
	size_t n;

	(void)state;
	n = (size_t)snprintf(mapping, sizeof(mapping), HEAD "additional:\n");
	for (int i = 0; i < 40; i++)
		n += (size_t)snprintf(mapping + n, sizeof(mapping) - n, "  M%d: m%d\n", i, i);
	world_with(&w, mapping);
	n = (size_t)snprintf(text, 700000, "{\"a\":1");
	for (int i = 0; i < 40; i++) {
		n += (size_t)snprintf(text + n, 700000 - n, ",\"m%d\":\"", i);
		memset(text + n, i % 2 == 0 ? '\x7f' : 'y', 15000);
		n += 15000;
		text[n++] = '"';
	}
	memcpy(text + n, "}", 2);
	decode_text(&w, text, 1);
	s = event_text(&w.events.v[0], F_AdditionalFields);
	assert_true(s.n < 65536);
	json_doc_init(&doc, 10000);
	assert_true(json_read(reader, s, false, &doc, NULL) == 0);
	json_doc_fini(&doc);
	json_reader_free(reader);
	free(text);
	world_fini(&w);
}

/* ---- another agent's events --------------------------------------------------------------------------- */

#define RELAY	"family: r\nmatch: [{EventId: present, EventClass: present}]\nrelay: true\n"
#define ID	"00112233445566778899aabbccddeeff"

static void
another_agent_s_event_goes_on_as_it_is_with_its_id(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "r.yaml", RELAY);
	world_open(&w);
	w.relay = true;
	decode_text(&w, "{\"TimeGenerated\":\"2026-11-03T09:15:27.125Z\",\"EventCount\":7,\"EventId\":\"" ID "\",\"EventClass\":\"activity\","
	    "\"EventName\":\"a \\\"b\\\"\",\"EventSeverity\":\"High\",\"EventResult\":\"perhaps\",\"AgentId\":\"one\",\"PromptTokens\":12,"
	    "\"DetectorScore\":0.5,\"PromptTokens\":13,\"CompletionTokens\":\"x\",\"Type\":\"AISPMEvents_CL\",\"SrcIpAddr\":\"\","
	    "\"AdditionalFields\": {\"ApiKey\": \"mine\", \"Text\": \"{\\\"a\\\": 1}\"}}", 1);
	assert_text(&w, EventId, ID);
	assert_text(&w, EventClass, "activity");
	assert_text(&w, EventName, "a \"b\"");
	assert_text(&w, EventSeverity, "High");
	assert_text(&w, EventResult, "NA");
	assert_text(&w, AgentId, "one");
	assert_text(&w, AdditionalFields, "{\"ApiKey\":\"mine\",\"Text\":\"{\\\"a\\\": 1}\"}");
	assert_int_equal(event_number(&w.events.v[0], F_EventCount, 0), 7);
	assert_int_equal(event_number(&w.events.v[0], F_PromptTokens, 0), is_json_c() ? 13 : 12);	/* json-c keeps the last of equal keys */
	assert_true(w.events.v[0].v[F_DetectorScore].real == 0.5);
	assert_false(event_has(&w.events.v[0], F_CompletionTokens));
	assert_false(event_has(&w.events.v[0], F_EventStartTime));
	assert_false(event_has(&w.events.v[0], F_SrcIpAddr));
	assert_int_equal(w.count.unknown, 0);
	world_fini(&w);
}

static void
another_agent_s_finding_is_an_alert_here(void **state)
{
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "r.yaml", RELAY);
	world_open(&w);
	w.relay = true;
	decode_text(&w, "[{\"EventId\":\"" ID "\",\"EventClass\":\"volume_spike\",\"AdditionalFields\":{\"Window\":60}},"
	    "{\"EventId\":\"" ID "\",\"EventClass\":\"config_change\",\"AdditionalFields\":{}}]", 2);
	assert_text(&w, EventId, ID);
	assert_text(&w, EventClass, "alert");
	assert_text(&w, AdditionalFields, "{\"FindingClass\":\"volume_spike\",\"Window\":60}");
	assert_string_equal(text_of(&w, 1, F_EventClass), "alert");
	assert_string_equal(text_of(&w, 1, F_AdditionalFields), "{\"FindingClass\":\"config_change\"}");
	world_fini(&w);
}

static void
only_a_source_that_relays_brings_events_of_another_agent(void **state)
{
	const char *text = "{\"EventId\":\"" ID "\",\"EventClass\":\"agent\",\"AgentId\":\"one\",\"AdditionalFields\":{\"prompt\":\"hush\"}}";
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "r.yaml", RELAY);
	world_open(&w);
	w.relay = true;
	decode_text(&w, text, 1);
	assert_text(&w, EventId, ID);
	w.relay = false;
	decode_text(&w, text, 1);
	assert_int_equal(w.count.unknown, 1);
	assert_text(&w, EventClass, "activity");
	assert_string_not_equal(text_of(&w, 0, F_EventId), ID);
	assert_false(event_has(&w.events.v[0], F_AgentId));
	if (event_has(&w.events.v[0], F_AdditionalFields))
		assert_null(strstr(text_of(&w, 0, F_AdditionalFields), "hush"));
	world_fini(&w);
}

static void
what_has_no_event_id_or_class_of_ours_is_nobody_s_event(void **state)
{
	static const char *const texts[] = {
		"{\"EventId\":\"00112233445566778899AABBCCDDEEFF\",\"EventClass\":\"activity\"}",
		"{\"EventId\":\"00112233\",\"EventClass\":\"activity\"}",
		"{\"EventId\":12,\"EventClass\":\"activity\"}",
		"{\"EventId\":{\"" ID "\":1},\"EventClass\":\"activity\"}",
		"{\"eventid\":\"" ID "\",\"EventClass\":\"activity\"}",
		"{\"EventId\":\"" ID "\",\"EventClass\":\"Activity\"}",
		"{\"EventId\":\"" ID "\",\"EventClass\":[\"activity\"]}",
	};
	struct world w;

	(void)state;
	world_init(&w);
	world_file(&w, "r.yaml", RELAY);
	world_open(&w);
	w.relay = true;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		decode_text(&w, texts[i], 1);
		assert_int_equal(w.count.unknown, 1);
		assert_string_not_equal(text_of(&w, 0, F_EventId), ID);
	}
	world_fini(&w);
}

/* ---- the unknown ---------------------------------------------------------------------------------------- */

static void
of_an_unknown_record_only_harmless_values_leave(void **state)
{
	struct world w;
	const char *s;
	char text[4096], longer[400];

	(void)state;
	world_init(&w);
	world_file(&w, "u.yaml", "family: unknown\nprompt_like: [prompt, body]\nfields: {Operation: op}\n");
	world_open(&w);
	memset(longer, 'L', 300);
	longer[300] = '\0';
	snprintf(text, sizeof(text), "{\"op\":\"go\",\"n\":1.50,\"yes\":true,\"none\":null,\"short\":\"kept\",\"long\":\"%s\","
	    "\"UserPrompt\":{\"deep\":[\"tell\",\"me\"],\"count\":4},\"prompt_tokens\":12,\"body_ids\":[464,2068],"
	    "\"js\":\"{\\\"prompt\\\":\\\"hush\\\",\\\"ok\\\":\\\"fine\\\"}\",\"bad\":\"{hush\",\"my\\nkey\":\"k\",\"%s\":1,"
	    "\"password\":\"hunter2\",\"short\":\"twice\",\"late\":null,\"late\":\"said\"}", longer, longer);
	decode_text(&w, text, 1);
	s = text_of(&w, 0, F_AdditionalFields);
	assert_int_equal(w.count.unknown, 1);
	assert_text(&w, EventClass, "activity");
	assert_text(&w, Operation, "go");
	assert_has(s, is_json_c() ? "\"n\":1.5" : "\"n\":1.50,");
	assert_has(s, is_json_c() ? "\"yes\":true" : "\"yes\":true,\"short\":\"kept\",\"long\":{\"length\":300,");
	assert_has(s, "\"UserPrompt\":{\"deep\":[{\"length\":4,");
	assert_has(s, "\"count\":4}");
	assert_has(s, "\"prompt_tokens\":12");
	assert_has(s, "\"body_ids\":{\"length\":10,");
	assert_has(s, "\"js\":{\"prompt\":{\"length\":4,");
	assert_has(s, "\"ok\":\"fine\"");
	assert_has(s, "\"bad\":{\"length\":5,");
	assert_has(s, "\"key_");
	assert_has(s, "\"password\":\"(redacted)\"");
	assert_has_not(s, "hush");
	assert_has_not(s, "tell");
	assert_has_not(s, "my\\nkey");
	assert_has_not(s, "LLLL");
	assert_has_not(s, "hunter2");
	if (!is_json_c())
		assert_has_not(s, "twice");
	assert_has_not(s, "none");
	assert_has(s, "\"late\":\"said\"");
	world_fini(&w);
}

static void
an_unknown_record_of_any_size_makes_bounded_additional_fields(void **state)
{
	struct world w;
	struct json_reader *reader = json_reader_new();
	struct json_doc doc;
	struct slice s;
	size_t n = 1, size = 4000000;
	char *text = malloc(size);

	(void)state;
	world_with(&w, HEAD);
	text[0] = '{';
	for (int i = 0; i < 30000; i++)
		n += (size_t)snprintf(text + n, size - n, "\"k%d\":\"some text of forty bytes or a little more\",", i);
	n += (size_t)snprintf(text + n, size - n, "\"l\":[%s]}", "1,2,3");
	decode_text(&w, text, 1);
	s = event_text(&w.events.v[0], F_AdditionalFields);
	assert_true(s.n > 10000 && s.n < 40000);
	assert_has(text_of(&w, 0, F_AdditionalFields), "\"NotShown\":29");
	json_doc_init(&doc, 100000);
	assert_true(json_read(reader, s, false, &doc, NULL) == 0);
	json_doc_fini(&doc);
	json_reader_free(reader);
	free(text);
	world_fini(&w);
}

/* ---- hostile input ------------------------------------------------------------------------------------------- */

static void
what_is_no_json_is_said_to_be_none(void **state)
{
	static const char *const bad[] = { "hello", "{\"a\":", "{\"a\":1}}", "17", "\"text\"", "null", "{a:1}", "{\"a\":1}\nrubbish\n" };
	struct world w;

	(void)state;
	world_with(&w, HEAD);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(decode_bytes(&w, bad[i], strlen(bad[i])), -1);
		assert_int_equal(w.err.kind, ERR_DATA);
		assert_true(w.err.text[0] != '\0');
		assert_int_equal(w.events.n, 0);
		assert_null(strstr(w.err.text, "rubbish"));
	}
	world_fini(&w);
}

static void
blank_lines_make_no_event(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD);
	decode_text(&w, "", 0);
	decode_text(&w, " \t\r\n", 0);
	world_fini(&w);
}

static void
a_record_may_be_several_lines_of_json(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: a}\n");
	decode_text(&w, "{\"a\":1}\n{\"a\":2}\r\n\n{\"a\":\"\\u0033\"}", 3);
	assert_string_equal(text_of(&w, 0, F_Operation), "1");
	assert_string_equal(text_of(&w, 2, F_Operation), "3");
	assert_int_equal(w.count.events, 3);
	world_fini(&w);
}

static void
deep_and_wide_input_is_survived(void **state)
{
	struct world w;
	size_t n = 200000;
	char *text = malloc(n + 1);

	(void)state;
	world_with(&w, HEAD "fields: {Operation: 'a[][][]', EventName: 'a[x=y].z'}\n");
	memset(text, '[', n);
	assert_int_equal(decode_bytes(&w, text, n), -1);
	assert_int_equal(w.err.kind, ERR_DATA);
	/* 100,000 records in one are too many, said so, and nothing is left behind */
	memset(text, '1', n);
	for (size_t i = 1; i < n; i += 2)
		text[i] = ',';
	text[0] = '[';
	text[n - 1] = ']';
	text[1] = '1';
	assert_int_equal(decode_bytes(&w, text, n), -1);
	assert_int_equal(w.err.kind, ERR_DATA);
	assert_has(w.err.text, "more than 65536 events");
	assert_int_equal(w.events.n, 0);
	decode_ctx_allow(w.ctx, 1000000);
	assert_int_equal(decode_bytes(&w, text, n), 0);
	assert_true(w.events.n > 90000);
	free(text);
	world_fini(&w);
}

/* {"big":"xx…","b":[1,1,…]}: the big text stands in each event. */
static int
decode_shared(struct world *w, size_t big, size_t events)
{
	struct buf text;
	int rc;

	buf_init(&text, 1 << 20);
	buf_puts(&text, "{\"a\":1,\"big\":\"");
	for (size_t i = 0; i < big; i++)
		buf_putc(&text, 'x');
	buf_puts(&text, "\",\"b\":[1");
	for (size_t i = 1; i < events; i++)
		buf_puts(&text, ",1");
	buf_puts(&text, "]}");
	rc = decode_bytes(w, text.p, text.n);
	buf_fini(&text);
	return rc;
}

static void
a_text_that_stands_in_each_event_cannot_make_much_of_little(void **state)
{
	struct world w;

	(void)state;
	world_with(&w, HEAD "each: b[]\nfields: {EventMessage: big}\n");
	assert_int_equal(decode_shared(&w, 60000, 250), 0);		/* 15 MB */
	assert_int_equal(w.events.n, 250);
	assert_int_equal(decode_shared(&w, 60000, 400), -1);		/* 24 MB of 61 KB */
	assert_int_equal(w.err.kind, ERR_DATA);
	assert_has(w.err.text, "its events hold more than 16 MiB");
	assert_int_equal(w.events.n, 0);
	assert_int_equal(decode_shared(&w, 60000, 1), 0);
	world_fini(&w);
}

static void
invalid_utf8_and_zero_bytes_make_an_event_all_the_same(void **state)
{
	static const char text[] = "{\"a\":\"x\xff\xfey\",\"b\":\"p\\u0000q\\ud800r\"}";
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: a, EventName: b}\n");
	decode_text(&w, text, 1);
	assert_has(text_of(&w, 0, F_Operation), "\xef\xbf\xbd");
	assert_int_equal(event_text(&w.events.v[0], F_EventName).n, 7);
	world_fini(&w);
}

static void
a_packed_record_is_unpacked_and_its_texts_last(void **state)
{
	struct gzip_writer *writer = gzip_writer_new(6);
	struct buf packed;
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: a}\n");
	buf_init(&packed, 1 << 20);
	assert_int_equal(gzip_compress(writer, SLICE("[{\"a\":\"one\"},{\"a\":\"two\"}]"), &packed, NULL), 0);
	assert_int_equal(decode_bytes(&w, packed.p, packed.n), 0);
	assert_int_equal(w.events.n, 2);
	/* The next record takes the same working memory. */
	struct event first = w.events.v[0];
	buf_reset(&packed);
	assert_int_equal(gzip_compress(writer, SLICE("[{\"a\":\"ZZZ\"},{\"a\":\"ZZZ\"}]"), &packed, NULL), 0);
	assert_int_equal(decode_bytes(&w, packed.p, packed.n), 0);
	assert_true(slice_eq(event_text(&first, F_Operation), SLICE("one")));
	assert_int_equal(decode_bytes(&w, packed.p, packed.n - 6), -1);
	assert_int_equal(w.err.kind, ERR_DATA);
	buf_fini(&packed);
	gzip_writer_free(writer);
	world_fini(&w);
}

static void
every_cut_of_a_record_is_refused_or_decoded(void **state)
{
	static const char text[] = "{\"a\":1,\"l\":[{\"x\":\"y\\u00e9\"},null,1.5e3],\"p\":\"{\\\"q\\\":[1,2]}\",\"t\":true}";
	struct world w;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: 'l[].x', PromptTokens: {from: p.q, as: sum}}\nadditional: {All: {from: p, as: json}}\n");
	for (size_t n = 1; n < sizeof(text) - 1; n++) {
		assert_int_equal(decode_bytes(&w, text, n), -1);
		assert_int_equal(w.err.kind, ERR_DATA);
	}
	decode_text(&w, text, 1);
	assert_text(&w, Operation, "y\xc3\xa9");
	assert_number(&w, PromptTokens, 3);
	assert_text(&w, AdditionalFields, "{\"All\":{\"q\":[1,2]}}");
	world_fini(&w);
}

static void
short_memory_is_said_and_nothing_is_left_behind(void **state)
{
	struct arena tiny;
	struct event_list events = { .arena = &tiny };
	struct record r = { .bytes = SLICE("[{\"a\":\"\\u0041\"},{\"a\":2},{\"a\":3}]"), .source = "test" };
	struct world w;
	unsigned again = 0, bad = 0, fine = 0;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: a}\nadditional: {A: a}\n");
	for (size_t most = 16; most < 65536 && fine == 0; most += 16) {
		int rc;

		arena_init(&tiny, 16, most);
		events = (struct event_list){ .arena = &tiny };
		rc = decode(w.decoder, w.ctx, &r, &events, NULL, &w.err);
		assert_int_equal(events.n, rc == 0 ? 3 : 0);
		fine += rc == 0;
		again += rc != 0 && w.err.kind == ERR_AGAIN;
		bad += rc != 0 && w.err.kind == ERR_DATA;
		arena_fini(&tiny);
	}
	assert_int_equal(fine, 1);
	assert_true(again + bad > 50);
	assert_true(bad > 0);
	world_fini(&w);
}

static void
a_record_without_room_behind_it_is_decoded_and_its_texts_last(void **state)
{
	char text[] = "{\"a\":\"first\"}";
	struct record r = { .bytes = { text, sizeof(text) - 1 }, .source = "test" };
	struct world w;
	struct event first;

	(void)state;
	world_with(&w, HEAD "fields: {Operation: a}\n");
	assert_int_equal(decode(w.decoder, w.ctx, &r, &w.events, NULL, &w.err), 0);
	first = w.events.v[0];
	decode_text(&w, "{\"a\":\"other\"}", 1);
	assert_true(slice_eq(event_text(&first, F_Operation), SLICE("first")));
	world_fini(&w);
}

static void
a_long_text_is_cut_on_a_character_a_little_above_what_encoders_send(void **state)
{
	struct world w;
	size_t n = 300000;
	char *text = malloc(n + 16);
	struct slice s;

	(void)state;
	world_with(&w, HEAD "fields: {EventMessage: a}\n");
	memcpy(text, "{\"a\":\"", 6);
	for (size_t i = 0; i < n; i += 3)
		memcpy(text + 6 + i, "\xe2\x82\xac", 3);
	memcpy(text + 6 + n, "\"}", 3);
	decode_text(&w, text, 1);
	s = event_text(&w.events.v[0], F_EventMessage);
	assert_true(s.n > 65536 && s.n < 65700);
	assert_int_equal(utf8_valid_prefix(s), s.n);
	free(text);
	world_fini(&w);
}

/* ---- why, split --------------------------------------------------------------------------------------------------- */

static void
why_names_mapping_paths_and_what_was_left_over(void **state)
{
	struct world w;
	struct buf why;
	struct record r = { .bytes = SLICE("{\"a\":\"X1\",\"left\":{\"b\":[0,{\"c\":2}]},\"h\":\"hide me\"}"), .source = "test" };
	const char *s;

	(void)state;
	world_with(&w, HEAD "fields:\n  Operation: [x, a]\n  EventName: {value: n}\nwithheld: {H: h}\n");
	buf_init(&why, 1 << 20);
	assert_int_equal(decode_why(w.decoder, w.ctx, &r, &w.events, &why, &w.err), 0);
	buf_putc(&why, '\0');
	s = why.p;
	assert_has(s, "family   t (");
	assert_has(s, "a.yaml:2, shape 1)");
	assert_has(s, "Operation                <- a ");
	assert_has(s, "a.yaml:4  \"X1\"");
	assert_has(s, "<- (value)");
	assert_has(s, "withheld, 7 bytes");
	assert_has_not(s, "hide me");
	assert_has(s, "left over: left.b[0], left.b[1].c\n");
	buf_fini(&why);
	world_fini(&w);
}

struct split { char text[8][64]; size_t n; };

static int
take(void *arg, struct slice s)
{
	struct split *split = arg;

	assert_true(split->n < 8 && s.n < 64);
	memcpy(split->text[split->n], s.p, s.n);
	split->text[split->n++][s.n] = '\0';
	return 0;
}

static void
inputs_are_cut_into_lines_only_if_lines_are_json(void **state)
{
	static const struct { const char *in; size_t n; const char *first; } rows[] = {
		{ "{\"a\":1}\n\n {\"a\":2} \r\n", 2, "{\"a\":1}" },
		{ "{\n \"a\":1\n}\n", 1, "{\n \"a\":1\n}" }, { "[{\"a\":1},\n{\"a\":2}]", 1, "[{\"a\":1},\n{\"a\":2}]" },
		{ "  {\"a\":1}  ", 1, "{\"a\":1}" }, { "", 0, "" }, { " \n\n", 0, "" },
		{ "rubbish\n{\"a\":1}\n", 2, "rubbish" }, { "{\"a\":1}\nrubbish", 2, "{\"a\":1}" },
	};
	struct gzip_writer *writer = gzip_writer_new(1);
	struct buf hold, packed;
	struct world w;

	(void)state;
	world_with(&w, HEAD);
	buf_init(&hold, 1 << 20);
	buf_init(&packed, 1 << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct split split = { .n = 0 }, again = { .n = 0 };

		assert_int_equal(decode_split(w.ctx, slice_of(rows[i].in), &hold, take, &split, &w.err), 0);
		assert_int_equal(split.n, rows[i].n);
		assert_string_equal(split.text[0], rows[i].first);
		buf_reset(&packed);
		assert_int_equal(gzip_compress(writer, slice_of(rows[i].in), &packed, NULL), 0);
		assert_int_equal(decode_split(w.ctx, buf_slice(&packed), &hold, take, &again, &w.err), 0);
		assert_memory_equal(&split, &again, sizeof(split));
	}
	buf_fini(&hold);
	buf_fini(&packed);
	gzip_writer_free(writer);
	world_fini(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_found_in_any_case_with_escapes_and_in_quotes),
		cmocka_unit_test(of_equal_keys_the_first_that_says_something_counts),
		cmocka_unit_test(lists_give_an_element_by_place_by_member_or_the_first_that_fits),
		cmocka_unit_test(an_empty_list_does_not_hide_the_next_element),
		cmocka_unit_test(elements_that_fit_are_counted),
		cmocka_unit_test(a_text_that_a_path_steps_into_is_read_as_json_three_deep),
		cmocka_unit_test(families_are_asked_by_order_then_by_name),
		cmocka_unit_test(a_family_is_asked_whatever_its_shapes_need),
		cmocka_unit_test(each_makes_one_event_an_element_with_its_own_values),
		cmocka_unit_test(envelopes_are_taken_off_until_none_fits),
		cmocka_unit_test(a_wrapper_adds_members_of_its_own_and_changes_no_id),
		cmocka_unit_test(what_is_no_object_in_a_list_goes_on_as_length_and_hash),
		cmocka_unit_test(five_wrappers_are_one_too_many),
		cmocka_unit_test(what_is_no_json_below_base64_is_an_unknown_record),
		cmocka_unit_test(a_record_unpacks_only_so_much_in_however_many_texts),
		cmocka_unit_test(a_record_has_the_same_id_in_every_envelope),
		cmocka_unit_test(id_paths_make_the_id_whatever_else_the_record_holds),
		cmocka_unit_test(an_id_may_name_columns_whatever_filled_them),
		cmocka_unit_test(the_id_is_the_one_that_the_page_describes),
		cmocka_unit_test(withheld_content_leaves_as_length_and_hash),
		cmocka_unit_test(released_content_leaves_as_it_is),
		cmocka_unit_test(secrets_inside_json_are_redacted_also_in_texts_and_pairs),
		cmocka_unit_test(json_that_is_too_long_becomes_length_and_hash),
		cmocka_unit_test(additional_fields_are_always_one_json_object_below_the_limit),
		cmocka_unit_test(of_an_unknown_record_only_harmless_values_leave),
		cmocka_unit_test(an_unknown_record_of_any_size_makes_bounded_additional_fields),
		cmocka_unit_test(what_is_no_json_is_said_to_be_none),
		cmocka_unit_test(blank_lines_make_no_event),
		cmocka_unit_test(a_record_may_be_several_lines_of_json),
		cmocka_unit_test(deep_and_wide_input_is_survived),
		cmocka_unit_test(a_text_that_stands_in_each_event_cannot_make_much_of_little),
		cmocka_unit_test(invalid_utf8_and_zero_bytes_make_an_event_all_the_same),
		cmocka_unit_test(a_packed_record_is_unpacked_and_its_texts_last),
		cmocka_unit_test(every_cut_of_a_record_is_refused_or_decoded),
		cmocka_unit_test(short_memory_is_said_and_nothing_is_left_behind),
		cmocka_unit_test(a_record_without_room_behind_it_is_decoded_and_its_texts_last),
		cmocka_unit_test(a_long_text_is_cut_on_a_character_a_little_above_what_encoders_send),
		cmocka_unit_test(why_names_mapping_paths_and_what_was_left_over),
		cmocka_unit_test(another_agent_s_event_goes_on_as_it_is_with_its_id),
		cmocka_unit_test(another_agent_s_finding_is_an_alert_here),
		cmocka_unit_test(only_a_source_that_relays_brings_events_of_another_agent),
		cmocka_unit_test(what_has_no_event_id_or_class_of_ours_is_nobody_s_event),
		cmocka_unit_test(inputs_are_cut_into_lines_only_if_lines_are_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
