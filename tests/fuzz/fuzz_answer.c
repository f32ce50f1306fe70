/*
 * fuzz_answer.c - any answers of the ingestion service and of Azure Resource Manager, to the real sink and the real source: each batch gets one verdict of the
 * enumerated ones, with words that show neither token nor events; each record lies in its page; no request goes elsewhere.
 * The first part of the input (see far.h): "sentinel", or a dataset of the azure source.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdint.h>

#include "fixed.h"
#include "far.h"

#include "base/clock.h"
#include "base/conf.h"
#include "base/json.h"
#include "base/loop.h"
#include "base/stat.h"
#include "sinks/batch.h"
#include "sinks/sentinel/pace.h"
#include "sinks/sink.h"
#include "source/source.h"

#define BEGAN_MS	UINT64_C(1790000000000)
#define WAIT_MOST_MS	(UINT64_C(7) * 86400 * 1000)
#define BEARER		"eyJ0eXAiOiJKV1QifQ.c2VjcmV0LXRva2Vu.c2lnbmF0dXJlLW9mLWl0"
#define EVENT		"{\"TimeGenerated\":\"2026-11-25T21:00:00.000Z\",\"EventMessage\":\"a prompt that nobody else may read, für größere Gäste schön übersetzt\"}"
#define EVENT_SHOWN	24		/* bytes of a batch in a row are too many */
#define TURNS		64

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static const char usual[] = "{\"access_token\":\"" BEARER "\",\"expires_in\":\"86400\",\"token_type\":\"Bearer\"}";
static const char identity[] = "http://127.0.0.1:1/metadata/identity/oauth2/token?";
static const char endpoint[] = "https://x.eastus-1.ingest.monitor.azure.com/", manager[] = "https://management.azure.com/";

static struct conf *conf;
static struct loop *loop;
static struct json_reader *reader;
static struct json_doc doc;
static bool is_sink;

static bool
look(const struct http_request *r)
{
	bool bearer = false;

	if (strncmp(r->url, identity, strlen(identity)) == 0)
		return true;
	for (size_t i = 0; r->headers[i] != NULL; i++)
		bearer = bearer || strcmp(r->headers[i], "Authorization: Bearer " BEARER) == 0;
	assert(bearer && strncasecmp(r->url, is_sink ? endpoint : manager, strlen(is_sink ? endpoint : manager)) == 0);
	return false;
}

static bool has_marks;			/* the far side itself may write them in the place of letters */

/* Nor the event with marks in the place of its letters. */
static void
check_words(const char *text)
{
	static char marked[] = EVENT;

	for (size_t i = 0; i < sizeof(marked) - 1; i++)
		marked[i] = (unsigned char)marked[i] < 0x7f ? marked[i] : '?';
	assert(text[0] != '\0' && is_fit_to_show(text));
	assert(!far_tells(text, SLICE(BEARER), EVENT_SHOWN) && (has_marks || !far_tells(text, slice_of(marked), EVENT_SHOWN)));
}

/* ---- the sink -------------------------------------------------------------------------------- */

static unsigned answers;
static enum sink_verdict verdict;
static int status;

static void
answered(struct sink *s, const struct batch *b, enum sink_verdict v, uint64_t wait_ms, const struct err *why)
{
	(void)s;
	(void)b;
	answers++;
	verdict = v;
	assert(v == SINK_DELIVERED || v == SINK_LATER || v == SINK_HELD || v == SINK_TOO_BIG || v == SINK_REFUSED);
	assert(wait_ms <= WAIT_MOST_MS && (wait_ms == 0 || v == SINK_LATER));
	if (v != SINK_DELIVERED)
		check_words(why->text);
}

static void
say(struct sink *s, const char *text)
{
	(void)s;
	check_words(text);
}

static enum sink_verdict
wanted(int of)
{
	if (of >= 200 && of < 300)
		return SINK_DELIVERED;
	return of == 400 ? SINK_REFUSED : of == 413 ? SINK_TOO_BIG : of == 401 || of == 403 || of == 404 ? SINK_HELD : SINK_LATER;
}

/* The status of the answer that comes next, as far.h reads it. */
static int
status_ahead(void)
{
	struct slice copy = far_script, part = next_part(&copy, FAR_BETWEEN);
	int64_t v = 0;

	return slice_to_i64(slice_trim(next_part(&part, SLICE("\n"))), &v) && v >= 100 && v <= 999 ? (int)v : 0;
}

static void
deliver(void)
{
	static struct batch_entry entries[1] = { { .seq = 1, .time_ms = (int64_t)BEGAN_MS, .n = sizeof(EVENT) - 1, .at = 1 } };
	static char bytes[] = "[" EVENT "]";
	struct batch b = { .v = entries, .n = 1, .bytes = { .p = bytes, .n = sizeof(bytes) - 1, .cap = sizeof(bytes) } };
	struct sink s = { .kind = &sink_kind_sentinel, .name = "fuzz", .loop = loop, .answer = answered, .say = say, .debug = say };
	struct err err = { 0 };
	unsigned puts = 0;

	pace_forget();
	assert(s.kind->open(&s, conf_block(conf, "sink"), &err) == 0);
	answers = 0;
	while (puts < TURNS && far_script.n > 0) {
		entries[0].seq = puts / 3 + 1;
		puts++;
		s.kind->put(&s, &b);
		for (int i = 0; i < TURNS && answers < puts; i++) {
			const size_t before = far_script.n;
			const int ahead = status_ahead();

			if (!far_turn())
				clock_fake_advance(1000);
			if (far_script.n < before)
				status = ahead;
			(void)loop_turn(loop, 0);
			if (far_script.n == 0 && far_waits())
				break;
		}
		if (answers < puts)
			break;			/* the script is over, or the sink waits for longer than we do */
		assert(verdict == wanted(status) && (s.max_span_ms == 0 || s.max_span_ms == 30 * 60 * 1000));
		clock_fake_advance(1000);
	}
	s.kind->close(&s);
	assert(!far_waits() && answers <= puts);
}

/* ---- the source ------------------------------------------------------------------------------ */

static unsigned offers;

static bool
take(struct source *s, const struct record *r, const struct position *after)
{
	(void)s;
	assert(r != NULL && r->bytes.n > 0 && r->unreadable == NULL && after->len == 8);
	json_reset(reader, &doc);
	assert(json_read(reader, r->bytes, r->padded, &doc, NULL) == 0);
	return ++offers % 5 != 0;
}

static void
say_line(struct source *s, bool trouble, const char *text)
{
	(void)s;
	(void)trouble;
	check_words(text);
}

static void
debug_line(struct source *s, const char *text)
{
	(void)s;
	check_words(text);
}

static void
idle(struct source *s)
{
	(void)s;
}

static void
read_pages(void)
{
	struct source s = { .kind = &source_kind_azure, .name = "fuzz", .loop = loop, .take = take, .say_line = say_line, .debug_line = debug_line, .idle = idle, .agent_id =
		"00000000000000000000000000000000" };
	struct err err = { 0 };

	offers = 0;
	s.stats = stat_make(STAT_SOURCE, "fuzz", "azure");
	assert(s.stats != NULL && s.kind->open(&s, conf_block(conf, "source"), &err) == 0 && s.kind->start(&s, &err) == 0);
	for (int i = 0; i < TURNS && (far_script.n > 0 || i < 4); i++) {
		(void)loop_turn(loop, 0);
		while (far_turn())
			;
		s.kind->resume(&s);
		clock_fake_advance(i % 4 == 3 ? 600000 : 20000);
	}
	s.kind->close(&s);
	stat_drop(s.stats);
	assert(!far_waits());
}

/* ---- the settings ----------------------------------------------------------------------------- */

static struct conf *
load(const char *yaml)
{
	const struct conf_key top[] = {
		{ .name = "sink", .type = CONF_BLOCK, .keys = sink_kind_sentinel.keys, .help = "" },
		{ .name = "source", .type = CONF_BLOCK, .keys = source_kind_azure.keys, .help = "" },
		CONF_END
	};
	static struct conf_key kept[sizeof(top) / sizeof(top[0])];
	struct problems problems;
	struct conf *ret = NULL;
	struct err err = { 0 };

	memcpy(kept, top, sizeof(top));		/* the settings point at their rows */
	problems_init(&problems);
	if (conf_load_text("fuzz", slice_of(yaml), kept, &ret, &problems, &err) != 0) {
		fprintf(stderr, "%s: %s: %s\n", err.text, problems.n > 0 ? problems.v[0].key : "", problems.n > 0 ? problems.v[0].text : "");
		exit(1);
	}
	problems_fini(&problems);
	return ret;
}

static void
open_for(struct slice word)
{
	static const char *const sets[] = { "alerts", "recommendations", "plans", "secure_score", "attack_paths", "inventory" };
	static struct conf *confs[sizeof(sets) / sizeof(sets[0])];
	struct err err = { 0 };
	char yaml[1024];
	size_t i = 0;

	if (loop == NULL) {
		clock_fake(BEGAN_MS);
		loop = loop_new(&err);
		reader = json_reader_new();
		assert(loop != NULL && reader != NULL);
		json_doc_init(&doc, 1u << 20);
		far_usual = usual;
		far_look = look;
	}
	while (i + 1 < sizeof(sets) / sizeof(sets[0]) && !slice_eq(word, slice_of(sets[i])))
		i++;
	if (confs[i] == NULL) {
		snprintf(yaml, sizeof(yaml), "sink: {endpoint: \"%s\", rule: dcr-00000000000000000000000000000000, stream: Custom-X, gzip: false, "
		    "auth: {type: managed_identity, endpoint: \"http://127.0.0.1:1\"}}\n"
		    "source: {subscriptions: [s-1], datasets: [%s], auth: {type: managed_identity, endpoint: \"http://127.0.0.1:1\"}}\n", endpoint, sets[i]);
		confs[i] = load(yaml);
	}
	conf = confs[i];
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct slice word;

	far_script = slice_make(data, n);
	has_marks = n > 0 && (memchr(data, '?', n) != NULL || slice_find_nocase(far_script, SLICE("003f"), 0) >= 0);
	word = slice_trim(next_part(&far_script, FAR_BETWEEN));
	open_for(word);
	clock_fake(BEGAN_MS);
	is_sink = slice_eq(word, SLICE("sentinel"));
	if (is_sink)
		deliver();
	else
		read_pages();
	return 0;
}
