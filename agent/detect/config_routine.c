/*
 * config_routine.c - what one actor does to one object again and again: the first time is said, later ones at most once a day with their number.
 *
 * A routine is by actor, operation, object and outcome; it is forgotten after a week of silence. One from a network where it never was is said at once.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <arpa/inet.h>
#include <stdio.h>

#include "detect/config_parts.h"

#define DAY_MS		INT64_C(86400000)
#define FORGET_MS	(7 * DAY_MS)
#define SETTLED_DAYS	3

/* ---- networks ------------------------------------------------------------------------- */

static bool
is_private(const unsigned char a[4])
{
	return a[0] == 10 || a[0] == 127 || (a[0] == 172 && a[1] >= 16 && a[1] < 32) || (a[0] == 192 && a[1] == 168);
}

/* "192.0.2.0/24", "2001:db8:1::/48", or the text as it stands; masked octets ("192.0.2.***") are no matter. Empty: not told. */
static void
network_of(const struct event *e, char ret[48])
{
	struct slice ip = event_text(e, F_SrcIpAddr);
	unsigned char a[16] = { 0 };
	char text[48], out[48];
	unsigned o[3];
	struct in_addr v4;

	snprintf(text, sizeof(text), "%.*s", (int)(ip.n < 46 ? ip.n : 46), ip.n > 0 ? ip.p : "");
	if (inet_pton(AF_INET6, text, a) == 1) {
		memset(a + 6, 0, 10);
		if (inet_ntop(AF_INET6, a, out, sizeof(out)) != NULL)
			snprintf(ret, 48, "%.42s/48", out);
		return;
	}
	if (sscanf(text, "%3u.%3u.%3u.", &o[0], &o[1], &o[2]) == 3) {
		snprintf(out, sizeof(out), "%u.%u.%u.0", o[0], o[1], o[2]);
		if (inet_pton(AF_INET, out, &v4) == 1) {
			memcpy(a, &v4, 4);
			if (is_private(a))
				snprintf(ret, 48, "a private network");
			else
				snprintf(ret, 48, "%.42s/24", out);
			return;
		}
	}
	snprintf(ret, 48, "%s", text);
}

static bool
knows(const struct routine *r, uint64_t net)
{
	for (int i = 0; i < ROUTINE_NETS; i++)
		if (r->nets[i] == net)
			return true;
	return net == 0;
}

/* ---- habits ------------------------------------------------------------------------------ */

static uint64_t
key_of(const struct config *c, const struct change *change, const char *effect)
{
	const struct event *e = change->e;
	struct slice actor = event_has(e, F_ActorUserId) ? event_text(e, F_ActorUserId) : event_has(e, F_ActorUsername) ?
	    event_text(e, F_ActorUsername) : event_text(e, F_ActingAppId), op = event_text(e, F_Operation);
	char text[600];
	int n = snprintf(text, sizeof(text), "%.*s %.*s %llx %s %d", (int)(actor.n < 200 ? actor.n : 200), actor.n > 0 ? actor.p : "",
	    (int)(op.n < 160 ? op.n : 160), op.p, (unsigned long long)change->object, effect, change->failed);

	return actor.n > 0 ? config_hash(c, "routine", slice_make(text, (size_t)n)) : 0;
}

static bool
is_stale(void *arg, const void *item)
{
	return *(const int64_t *)arg > ((const struct routine *)item)->last_ms + FORGET_MS;
}

static void
begin(struct routine *r, int64_t t_ms, uint64_t net)
{
	struct lru_node node = r->node;

	*r = (struct routine){ .node = node, .first_ms = t_ms, .last_ms = t_ms, .said_ms = t_ms, .days = 1, .next = 1 };
	r->nets[0] = net;
}

/* What was last said bore a time that has not come: nothing is kept back for it. */
static bool
is_ahead(const struct config *c, const struct routine *r, const struct change *change)
{
	int64_t most = c->time.now_ms + EVENT_FAR_MS;

	return change->t_ms <= most && (r->last_ms > most || r->said_ms > most);
}

static enum habit_kind
once_more(struct routine *r, const struct change *change, uint64_t net, bool linked)
{
	bool elsewhere = !knows(r, net) && change->row->effect == EFFECT_READ;

	if (change->t_ms / DAY_MS > r->last_ms / DAY_MS)
		r->days++;
	if (change->t_ms > r->last_ms)
		r->last_ms = change->t_ms;
	if (elsewhere) {
		r->nets[r->next] = net;
		r->next = (uint8_t)((r->next + 1) % ROUTINE_NETS);
		return HABIT_ELSEWHERE;
	}
	if (linked && (r->linked_ms == 0 || change->t_ms > r->linked_ms + DAY_MS)) {
		r->linked_ms = change->t_ms;
		return HABIT_NONE;
	}
	r->unsaid++;
	return change->t_ms >= r->said_ms + DAY_MS ? HABIT_SUMMARY : HABIT_AGAIN;
}

void
routine_see(struct config *c, const struct change *change, const char *effect, bool linked, struct habit *ret)
{
	uint64_t key = key_of(c, change, effect), net;
	struct routine *r = key != 0 ? lru_find(&c->routines, key) : NULL;

	memset(ret, 0, sizeof(*ret));
	network_of(change->e, ret->net);
	if (key == 0)
		return;
	net = ret->net[0] != '\0' ? config_hash(c, "net", slice_of(ret->net)) : 0;
	if (r == NULL || change->t_ms > r->last_ms + FORGET_MS || is_ahead(c, r, change)) {
		if (r == NULL)
			r = lru_add(&c->routines, key);
		begin(r, change->t_ms, net);
		r->linked_ms = linked ? change->t_ms : 0;
		ret->is = HABIT_FIRST;
		return;
	}
	ret->settled = r->days >= SETTLED_DAYS;
	ret->is = once_more(r, change, net, linked && !ret->settled);
	ret->days = r->days;
	ret->since_ms = r->said_ms;
	ret->count = r->unsaid;
	if (ret->is == HABIT_SUMMARY) {
		r->said_ms = change->t_ms;
		r->unsaid = 0;
	}
	lru_promote(&c->routines, r, is_stale, &(int64_t){ c->time.now_ms });
}
