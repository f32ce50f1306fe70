/* access_grant.c - roles just granted, kept for a day by whom they were granted to. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/access.h"

#define GRANT_MIN	1440
#define MEMBERS		8

/* The text behind `key` in JSON from `at` on; *at moves behind it. */
static struct slice
text_behind(struct slice json, struct slice key, size_t *at)
{
	ptrdiff_t begin = slice_find_nocase(json, key, *at);
	const char *end;

	if (begin < 0)
		return SLICE_NONE;
	begin += (ptrdiff_t)key.n;
	end = memchr(json.p + begin, '"', json.n - (size_t)begin);
	if (end == NULL)
		return SLICE_NONE;
	*at = (size_t)(end - json.p);
	return slice_make(json.p + begin, (size_t)(end - json.p) - (size_t)begin);
}

static void
note_grant(struct rules *x, struct slice to)
{
	const struct event *e = x->s->e;
	struct slice by = event_has(e, F_ActorUsername) ? event_text(e, F_ActorUsername) : event_text(e, F_ActorUserId);
	uint64_t key = access_hash(x->a, "granted to", to);
	struct resource *r = key != 0 ? lru_find(&x->a->resources, key) : NULL;

	if (key == 0)
		return;
	if (r == NULL) {
		r = lru_add(&x->a->resources, key);
		r->first_day = x->s->day;
	}
	heal_resource(r, x->s);
	if (x->s->min < r->secret_min)
		return;
	r->last_day = x->s->day;
	r->secret_min = x->s->min;
	memset(r->secret_by, 0, sizeof(r->secret_by));
	by.n = utf8_cut(by, sizeof(r->secret_by) - 1);
	if (by.n > 0)
		memcpy(r->secret_by, by.p, by.n);
	(void)id_bytes(event_text(e, F_EventId), r->secret_id);
}

/* Azure names one principal; Google a list of members, "serviceAccount:NAME". */
void
note_grants(struct rules *x)
{
	struct slice more = event_text(x->s->e, F_AdditionalFields), to;
	size_t at = 0;

	if (x->s->op != OP_GRANT || x->s->denied || slice_eq(event_text(x->s->e, F_EventResult), SLICE("Failure")))
		return;
	to = text_behind(more, SLICE("\"principalId\":\""), &at);
	if (to.n > 0)
		note_grant(x, to);
	if (slice_find_nocase(more, SLICE("\"action\":\"add\""), 0) < 0)
		return;
	at = 0;
	for (int i = 0; i < MEMBERS && (to = text_behind(more, SLICE("\"member\":\""), &at)).n > 0; i++) {
		const char *colon = memchr(to.p, ':', to.n);

		note_grant(x, colon != NULL ? slice_make(colon + 1, (size_t)(to.p + to.n - colon) - 1) : to);
	}
}

const struct resource *
granted_to(const struct rules *x)
{
	const struct event *e = x->s->e;
	struct slice who = event_has(e, F_ActorUserId) ? event_text(e, F_ActorUserId) : event_text(e, F_ActorUsername);
	uint64_t key = access_hash(x->a, "granted to", who);
	const struct resource *r = key != 0 ? lru_peek(&x->a->resources, key) : NULL;

	return r != NULL && r->secret_min != 0 && x->s->min >= r->secret_min && x->s->min <= r->secret_min + GRANT_MIN ? r : NULL;
}
