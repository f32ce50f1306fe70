/* send_summary.c - many `activity` events as a few: the table of series of one epoch. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/send_summary.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "model/event.h"
#include "model/wire.h"

#define SLOTS		(2 * SUMMARY_SERIES)
#define KEY_BYTES	16384
#define MESSAGE_BYTES	1024

/* Two events that agree in these are of one series. */
static const enum field key_fields[] = {
	F_EventName, F_EventSeverity, F_EventResult, F_EventVendor, F_EventProduct, F_EventOriginalType, F_CloudProvider, F_CloudAccountId,
	F_CloudRegion, F_TargetResourceId, F_TargetResourceName, F_TargetResourceType, F_AiModelName, F_AiModelVersion, F_AiDeployment,
	F_ActorUserId, F_ActorUsername, F_ActorUserType, F_ActingAppId, F_SrcIpAddr, F_Operation, F_HttpStatusCode,
	F_GovernanceZone, F_EventSchemaVersion,
};
#define KEYS	(sizeof(key_fields) / sizeof(key_fields[0]))

static const enum field sum_fields[] = { F_PromptTokens, F_CompletionTokens, F_RequestCount };
#define SUMS	(sizeof(sum_fields) / sizeof(sum_fields[0]))

struct series {
	uint64_t	hash;
	struct slice	key;
	struct slice	first;			/* the first event on the wire: one alone passes as it is */
	struct event	like;			/* the key columns alone */
	int64_t		events, first_ms, last_ms, count, sums[SUMS], duration_ms, durations, longest_ms;
	bool		has[SUMS];
};

struct summary {
	uint64_t	 window_ms, first_seq, began_ms;
	int64_t		 bucket;
	const char	*agent_id;
	struct arena	 arena;
	struct buf	 key, wire;
	struct series	*series[SUMMARY_SERIES];
	size_t		 n;
	uint16_t	 slots[SLOTS];		/* index of the series, plus one */
};

struct summary *
summary_new(uint64_t window_ms, const char *agent_id)
{
	struct summary *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->window_ms = window_ms;
	s->agent_id = agent_id;
	arena_init(&s->arena, 256u << 10, SUMMARY_BYTES);
	buf_init(&s->key, KEY_BYTES);
	buf_init(&s->wire, WIRE_MAX_BYTES);
	return s;
}

void
summary_free(struct summary *s)
{
	if (s == NULL)
		return;
	arena_fini(&s->arena);
	buf_fini(&s->key);
	buf_fini(&s->wire);
	free(s);
}

void
summary_clear(struct summary *s)
{
	arena_reset(&s->arena);
	memset(s->slots, 0, sizeof(s->slots));
	s->n = 0;
	s->first_seq = 0;
}

uint64_t
summary_first_seq(const struct summary *s)
{
	return s->first_seq;
}

uint64_t
summary_began_ms(const struct summary *s)
{
	return s->began_ms;
}

uint64_t
summary_window_ms(const struct summary *s)
{
	return s->window_ms;
}

size_t
summary_series(const struct summary *s)
{
	return s->n;
}

/* ---- adding ------------------------------------------------------------------- */

/* The key columns one behind the other, each with its length, so that no two keys look alike. */
static bool
make_key(struct summary *s, const struct event *e)
{
	buf_reset(&s->key);
	for (size_t i = 0; i < KEYS; i++) {
		const enum field f = key_fields[i];
		char n[8];

		if (!event_has(e, f)) {
			put_le32(n, UINT32_MAX);
			buf_put(&s->key, n, 4);
		} else if (field_rows[f].type == FIELD_TEXT) {
			put_le32(n, (uint32_t)e->v[f].text.n);
			buf_put(&s->key, n, 4);
			buf_put_slice(&s->key, e->v[f].text);
		} else {
			put_le64(n, (uint64_t)e->v[f].number);
			buf_put(&s->key, n, 8);
		}
	}
	return !s->key.failed;
}

static struct series *
make_series(struct summary *s, const struct event *e, uint64_t hash)
{
	struct series *one = s->n < SUMMARY_SERIES ? arena_zalloc(&s->arena, sizeof(*one)) : NULL;

	if (one == NULL)
		return NULL;
	one->hash = hash;
	one->key = arena_dup(&s->arena, buf_slice(&s->key));
	if (one->key.p == NULL)
		return NULL;
	event_init(&one->like);
	for (size_t i = 0; i < KEYS; i++) {
		const enum field f = key_fields[i];
		struct slice text;

		if (!event_has(e, f))
			continue;
		if (field_rows[f].type != FIELD_TEXT) {
			event_set_number(&one->like, f, e->v[f].number);
			continue;
		}
		text = arena_dup(&s->arena, e->v[f].text);
		if (text.p == NULL)
			return NULL;
		event_set_text(&one->like, f, text);
	}
	buf_reset(&s->wire);
	if (wire_put(e, &s->wire, NULL) != 0)
		return NULL;
	one->first = arena_dup(&s->arena, buf_slice(&s->wire));
	if (one->first.p == NULL)
		return NULL;
	s->series[s->n++] = one;
	return one;
}

static struct series *
find_series(struct summary *s, const struct event *e)
{
	const uint64_t hash = hash_keyed(s->key.p, s->key.n);
	size_t at = hash % SLOTS;
	struct series *one;

	while (s->slots[at] != 0) {
		one = s->series[s->slots[at] - 1];
		if (one->hash == hash && slice_eq(one->key, buf_slice(&s->key)))
			return one;
		at = (at + 1) % SLOTS;
	}
	one = make_series(s, e, hash);
	if (one != NULL)
		s->slots[at] = (uint16_t)s->n;
	return one;
}

static void
count(struct series *one, const struct event *e, int64_t when)
{
	const int64_t n = event_number(e, F_EventCount, 1), duration = event_number(e, F_DurationMs, -1);

	if (one->count == 0 || when < one->first_ms)
		one->first_ms = when;
	if (one->count == 0 || when > one->last_ms)
		one->last_ms = when;
	one->count += n > 0 ? n : 1;
	one->events++;
	for (size_t i = 0; i < SUMS; i++)
		if (event_has(e, sum_fields[i]) && !__builtin_add_overflow(one->sums[i], e->v[sum_fields[i]].number, &one->sums[i]))
			one->has[i] = true;
	if (duration >= 0 && !__builtin_add_overflow(one->duration_ms, duration, &one->duration_ms)) {
		one->durations++;
		if (duration > one->longest_ms)
			one->longest_ms = duration;
	}
}

int
summary_add(struct summary *s, const struct event *e, uint64_t seq)
{
	const int64_t when = event_number(e, F_TimeGenerated, 0), bucket = when / (int64_t)s->window_ms;
	struct series *one;

	if (s->first_seq != 0 && bucket > s->bucket)
		return 0;
	if (!make_key(s, e) || (one = find_series(s, e)) == NULL)
		return 0;
	if (s->first_seq == 0) {
		s->first_seq = seq;
		s->began_ms = clock_mono_ms();
		s->bucket = bucket;
	}
	count(one, e, when);
	return 1;
}

/* ---- telling ------------------------------------------------------------------ */

static int
make_id(const struct summary *s, const struct series *one, char ret[32])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SHA256_BYTES];
	struct sha256 *h = sha256_new();
	char seq[8];

	if (h == NULL)
		return -1;
	put_le64(seq, s->first_seq);
	sha256_start(h);
	sha256_add(h, "summary", 8);
	sha256_add(h, s->agent_id, strlen(s->agent_id));
	sha256_add(h, seq, sizeof(seq));
	sha256_add(h, one->key.p, one->key.n);
	sha256_finish(h, digest);
	sha256_free(h);
	for (int i = 0; i < 16; i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	return 0;
}

static struct slice
say(struct summary *s, const struct series *one)
{
	struct slice operation = event_text(&one->like, F_Operation), target = event_text(&one->like, F_TargetResourceName);
	struct slice actor = event_text(&one->like, event_has(&one->like, F_ActorUsername) ? F_ActorUsername : F_ActorUserId);
	struct buf b;
	struct slice text;

	buf_init(&b, MESSAGE_BYTES);
	buf_printf(&b, "%lld events in %lld s", (long long)one->count, (long long)(one->last_ms - one->first_ms) / 1000);
	if (operation.n > 0 && operation.n <= 200)
		buf_printf(&b, " of %.*s", SLICE_ARG(operation));
	if (target.n > 0 && target.n <= 200)
		buf_printf(&b, " on %.*s", SLICE_ARG(target));
	if (actor.n > 0 && actor.n <= 200)
		buf_printf(&b, " by %.*s", SLICE_ARG(actor));
	buf_puts(&b, ", told as one.");
	text = b.failed ? SLICE_NONE : arena_dup(&s->arena, buf_slice(&b));
	buf_fini(&b);
	return text;
}

static struct slice
durations(struct summary *s, const struct series *one)
{
	struct buf b;
	struct slice text;

	buf_init(&b, MESSAGE_BYTES);
	buf_puts(&b, "{\"Summary\":true");
	if (one->durations > 0)
		buf_printf(&b, ",\"DurationMsMean\":%lld,\"DurationMsMax\":%lld", (long long)(one->duration_ms / one->durations),
		    (long long)one->longest_ms);
	buf_putc(&b, '}');
	text = b.failed ? SLICE_NONE : arena_dup(&s->arena, buf_slice(&b));
	buf_fini(&b);
	return text;
}

int
summary_event(struct summary *s, size_t i, struct event *ret, struct err *err)
{
	const struct series *one = s->series[i];
	char *id;

	if (one->events == 1)
		return wire_get(one->first, ret, err);
	id = arena_alloc(&s->arena, 32);
	if (id == NULL || make_id(s, one, id) != 0)
		return err_set(err, ERR_AGAIN, "no memory for a summary");
	*ret = one->like;
	event_set_number(ret, F_TimeGenerated, one->last_ms);
	event_set_number(ret, F_EventStartTime, one->first_ms);
	event_set_number(ret, F_EventEndTime, one->last_ms);
	event_set_number(ret, F_EventCount, one->count < INT32_MAX ? one->count : INT32_MAX);
	event_set_text(ret, F_EventId, slice_make(id, 32));
	event_set_text(ret, F_EventClass, SLICE("activity"));
	event_set_text(ret, F_EventMessage, say(s, one));
	for (size_t k = 0; k < SUMS; k++)
		if (one->has[k])
			event_set_number(ret, sum_fields[k], one->sums[k]);
	event_set_text(ret, F_AdditionalFields, durations(s, one));
	return 0;
}
