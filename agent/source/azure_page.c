/* azure_page.c - requests for the pages of a dataset, and the records in them. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/azure_source.h"

#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"

#define GRAPH_PATH	"/providers/Microsoft.ResourceGraph/resources?api-version=2022-10-01"

#define AI_TYPES	"'microsoft.cognitiveservices/accounts','microsoft.cognitiveservices/accounts/deployments'," \
			"'microsoft.cognitiveservices/accounts/projects','microsoft.machinelearningservices/workspaces'," \
			"'microsoft.machinelearningservices/workspaces/onlineendpoints','microsoft.machinelearningservices/registries'," \
			"'microsoft.search/searchservices','microsoft.botservice/botservices'"

/* The gravest first, over all pages: the older rows name their risk potentialImpact. */
#define BY_RISK		" | extend risk = strcat(tostring(properties.riskLevel), ' ', tostring(properties.potentialImpact))" \
			" | extend rank = case(risk has 'Critical', 1, risk has 'High', 2, risk has 'Medium', 3, 4)" \
			" | order by rank asc, id asc | project-away risk, rank"

const struct azure_dataset azure_datasets[] = {
	{ "alerts", "Microsoft.Security/alerts?api-version=2022-01-01", NULL },
	{ "recommendations", "Microsoft.Security/assessments?api-version=2021-06-01", NULL },
	{ "plans", "Microsoft.Security/pricings?api-version=2024-01-01", NULL },
	{ "secure_score", "Microsoft.Security/secureScores?api-version=2020-01-01", NULL },
	{ "attack_paths", NULL, "securityresources | where type =~ 'microsoft.security/attackpaths'" BY_RISK },
	{ "inventory", NULL, "resources | where type in~ (" AI_TYPES ")" },
	{ NULL, NULL, NULL },
};

void
azure_position(const struct azure_job *job, uint64_t polled_ms, struct position *ret)
{
	ret->stream = job->stream;
	ret->len = 8;
	put_le64(ret->bytes, polled_ms);
}

/* ---- requests ------------------------------------------------------------------- */

static void
put_query(struct azure_source *a, struct slice skip_token)
{
	buf_reset(&a->body);
	buf_puts(&a->body, "{\"subscriptions\":[");
	buf_put_json(&a->body, slice_of(a->job->subscription));
	buf_puts(&a->body, "],\"query\":");
	buf_put_json(&a->body, slice_of(a->job->set->query));
	buf_puts(&a->body, ",\"options\":{\"resultFormat\":\"objectArray\",\"$top\":1000");
	if (skip_token.n > 0) {
		buf_puts(&a->body, ",\"$skipToken\":");
		buf_put_json(&a->body, skip_token);
	}
	buf_puts(&a->body, "}}");
}

int
azure_page_first(struct azure_source *a, struct err *err)
{
	const struct azure_dataset *set = a->job->set;

	buf_reset(&a->url);
	buf_reset(&a->body);
	buf_puts(&a->url, a->endpoint);
	if (set->path != NULL) {
		buf_printf(&a->url, "/subscriptions/%s/providers/%s", a->job->subscription, set->path);
	} else {
		buf_puts(&a->url, GRAPH_PATH);
		put_query(a, SLICE_NONE);
	}
	buf_putc(&a->url, '\0');
	return a->url.failed || a->body.failed ? err_set(err, ERR_AGAIN, "no memory for a request") : 0;
}

/* The token goes nowhere else, whatever an answer says. */
static bool
is_of_endpoint(const struct azure_source *a, struct slice url)
{
	const size_t n = strlen(a->endpoint);

	return url.n > n && strncasecmp(url.p, a->endpoint, n) == 0 && url.p[n] == '/' && memchr(url.p, '\0', url.n) == NULL &&
	    memchr(url.p, '\r', url.n) == NULL && memchr(url.p, '\n', url.n) == NULL;
}

int
azure_page_next(struct azure_source *a, struct err *err)
{
	struct buf text;
	int rc = 0;

	buf_init(&text, 64 << 10);
	if (a->job->set->path != NULL && json_get_text(&a->doc, 0, "nextLink", &text) && text.n > 0) {
		if (is_of_endpoint(a, buf_slice(&text))) {
			buf_reset(&a->url);
			buf_put_slice(&a->url, buf_slice(&text));
			buf_putc(&a->url, '\0');
			rc = 1;
		} else {
			rc = err_set(err, ERR_DATA, "%s: nextLink leads to another host; not followed", a->job->set->name);
		}
	} else if (a->job->set->path == NULL && json_get_text(&a->doc, 0, "$skipToken", &text) && text.n > 0) {
		put_query(a, buf_slice(&text));
		rc = 1;
	}
	if (text.failed || a->url.failed || a->body.failed)
		rc = err_set(err, ERR_DATA, "%s: the answer's link to its next page is too long", a->job->set->name);
	if (rc == 1 && ++a->pages >= AZURE_PAGES_MOST)
		rc = err_set(err, ERR_DATA, "%s: more than %d pages; the rest is not read", a->job->set->name, AZURE_PAGES_MOST);
	buf_fini(&text);
	return rc;
}

/* ---- items ---------------------------------------------------------------------- */

int
azure_page_take(struct azure_source *a, struct slice body, struct err *err)
{
	const char *list = a->job->set->path != NULL ? "value" : "data";
	uint32_t at;

	json_reset(a->json, &a->doc);
	buf_reset(&a->page);
	buf_put_slice(&a->page, body);
	a->has_page = false;
	if (a->page.failed)
		return err_set(err, ERR_AGAIN, "no memory for a page of %zu bytes", body.n);
	if (json_read(a->json, buf_slice(&a->page), true, &a->doc, err) != 0)
		return -1;
	at = a->doc.v[0].type == JSON_OBJECT ? json_get(&a->doc, 0, list) : 0;
	if (at == 0 || a->doc.v[at].type != JSON_ARRAY)
		return err_set(err, ERR_DATA, "%s: the answer has no list \"%s\"", a->job->set->name, list);
	a->item = at + 1;
	a->items_end = a->doc.v[at].next;
	a->has_page = true;
	return 0;
}

/* True: not seen with this content. A full table forgets nothing and remembers no more: then items come again, under the same EventId. */
static bool
is_news(struct azure_source *a, uint32_t item, struct azure_seen **ret_slot, uint64_t *ret_content)
{
	const uint32_t mask = 2 * AZURE_SEEN - 1, id = a->doc.v[item].type == JSON_OBJECT ? json_get(&a->doc, item, "id") : 0;
	const struct slice raw = json_raw(&a->doc.v[item]), key = id != 0 ? json_raw(&a->doc.v[id]) : raw;
	const uint64_t hash = hash_keyed(key.p, key.n) | 1;
	uint32_t at = (uint32_t)hash & mask;

	*ret_content = hash_keyed(raw.p, raw.n);
	while (a->seen[at].id != 0 && a->seen[at].id != hash)
		at = (at + 1) & mask;
	*ret_slot = &a->seen[at];
	return a->seen[at].id == 0 || a->seen[at].content != *ret_content;
}

static void
remember(struct azure_source *a, uint32_t item, struct azure_seen *slot, uint64_t content)
{
	const uint32_t id = a->doc.v[item].type == JSON_OBJECT ? json_get(&a->doc, item, "id") : 0;
	const struct slice key = json_raw(&a->doc.v[id != 0 ? id : item]);

	if (slot->id == 0 && a->nseen == AZURE_SEEN)
		return;
	a->nseen += slot->id == 0;
	slot->id = hash_keyed(key.p, key.n) | 1;
	slot->content = content;
}

static bool
offer_bytes(struct azure_source *a, struct slice bytes, bool padded, uint64_t polled_ms)
{
	const struct record r = { .bytes = bytes, .padded = padded, .source = a->s->name, .arrived_ms = clock_wall_ms() };
	struct position at;

	azure_position(a->job, polled_ms, &at);
	return source_emit(a->s, &r, &at);
}

bool
azure_page_offer(struct azure_source *a)
{
	while (a->has_page && a->item < a->items_end) {
		struct azure_seen *slot;
		uint64_t content;
		const bool news = is_news(a, a->item, &slot, &content);

		if (news && !offer_bytes(a, json_raw(&a->doc.v[a->item]), false, a->job->polled_ms))
			return false;
		if (news)
			remember(a, a->item, slot, content);
		a->items++;
		a->changed += news;
		a->item = a->doc.v[a->item].next;
	}
	return true;
}

bool
azure_page_finish(struct azure_source *a)
{
	const uint64_t now_ms = clock_wall_ms();
	char when[TIME_TEXT_BYTES];

	time_format_ms((int64_t)now_ms, when);
	buf_reset(&a->record);
	buf_puts(&a->record, "{\"azurePoll\":");
	buf_put_json(&a->record, slice_of(a->job->set->name));
	buf_puts(&a->record, ",\"subscriptionId\":");
	buf_put_json(&a->record, slice_of(a->job->subscription));
	buf_printf(&a->record, ",\"time\":\"%s\",\"items\":%llu,\"changed\":%llu,\"pages\":%u,\"durationMs\":%llu}", when,
	    (unsigned long long)a->items, (unsigned long long)a->changed, a->pages + 1, (unsigned long long)(clock_mono_ms() - a->began_ms));
	if (!offer_bytes(a, buf_slice(&a->record), true, now_ms))
		return false;
	a->job->polled_ms = now_ms;
	return true;
}
