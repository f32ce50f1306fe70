/* config_words.c - a change in a sentence: who did what to what, what it was and is, and what it follows. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "detect/config_parts.h"

static const struct { const char *kind, *path, *words; } details[] = {
#define DETAIL(kind, path, words)	{ kind, path, words },
#include "detect/config_details.tbl"
#undef DETAIL
};

static const struct { const char *id, *name; } roles[] = {
#define ROLE(id, name)	{ id, name },
#include "detect/config_roles.tbl"
#undef ROLE
};

#define ROWS(table)	(sizeof(table) / sizeof((table)[0]))

bool
is_creation(const struct change *c)
{
	return slice_find_nocase(event_text(c->e, F_Operation), SLICE("create"), 0) >= 0;
}

/* ---- words ------------------------------------------------------------------------------------ */

static const char *
verb(const struct change *c, const struct verdict *v)
{
	bool tried = c->failed;

	switch (c->row->effect) {
	case EFFECT_REMOVE:
		return tried ? "tried to delete" : "deleted";
	case EFFECT_READ:
		return tried ? "tried to read" : "read";
	case EFFECT_RENEW:
		return tried ? "tried to renew" : "renewed";
	case EFFECT_ACT:
		return tried ? "tried to act on" : "acted on";
	default:
		if (is_creation(c))
			return tried ? "tried to create" : "created";
		if (v->diff.weaker)
			return tried ? "tried to weaken" : "weakened";
		if (v->diff.stronger && !v->diff.cut)
			return tried ? "tried to strengthen" : "strengthened";
		return v->before.n > 0 ? tried ? "tried to change" : "changed" : tried ? "tried to set" : "set";
	}
}

const char *
words_end(const struct change *c, const struct verdict *v)
{
	switch (c->row->effect) {
	case EFFECT_REMOVE:
		return "deleted";
	case EFFECT_READ:
		return "read";
	case EFFECT_RENEW:
		return "renewed";
	case EFFECT_ACT:
		return "acted on";
	default:
		if (is_creation(c))
			return "created";
		return v->diff.weaker ? "weakened" : v->diff.cut ? "changed, content not comparable" : v->diff.stronger ? "strengthened" :
		    v->before.n > 0 ? "changed" : "set";
	}
}

static void
put_actor(struct buf *b, const struct event *e)
{
	static const enum field names[] = { F_ActorUsername, F_ActorUserId, F_ActingAppId };

	for (size_t i = 0; i < 3; i++)
		if (event_has(e, names[i])) {
			put_plain(b, event_text(e, names[i]), 128);
			return;
		}
	buf_puts(b, "Somebody");
}

static void
put_target(struct buf *b, const char *before, const struct event *e)
{
	struct slice name = event_has(e, F_TargetResourceName) ? event_text(e, F_TargetResourceName) : event_text(e, F_TargetResourceId);

	if (name.n > 0) {
		buf_puts(b, before);
		put_plain(b, name, 128);
	}
	if (event_has(e, F_AiDeployment)) {
		buf_puts(b, " (");
		put_plain(b, event_text(e, F_AiDeployment), 96);
		buf_putc(b, ')');
	}
}

static void
put_age(struct buf *b, int64_t ms)
{
	if (ms < 120000)
		buf_printf(b, "%lld seconds", (long long)(ms / 1000));
	else
		buf_printf(b, "%lld minutes", (long long)(ms / 60000));
}

/* ---- roles ---------------------------------------------------------------------------------------- */

/* A role assignment whose body is known: reads it, and gives its role and principal. */
static bool
is_grant(struct config *config, const struct change *c, const struct verdict *v, struct slice *ret_role, struct slice *ret_to)
{
	if (strcmp(c->row->kind, "role") != 0 || !body_read(config->compare, v->after.n > 0 ? v->after : v->before))
		return false;
	*ret_role = body_value(config->compare, "*roledefinitionid");
	*ret_to = body_value(config->compare, "*principalid");
	return ret_role->n > 0;
}

static void
put_role(struct buf *b, struct slice id)
{
	for (size_t i = 0; i < ROWS(roles); i++)
		if (slice_find_nocase(id, slice_of(roles[i].id), 0) >= 0) {
			buf_puts(b, roles[i].name);
			return;
		}
	for (size_t i = id.n; i > 0; i--)
		if (id.p[i - 1] == '/') {
			id = slice_make(id.p + i, id.n - i);
			break;
		}
	put_plain(b, id, 64);
}

static void
put_principal(struct buf *b, const struct config *config, struct slice to)
{
	struct slice type = body_value(config->compare, "*principaltype");

	if (to.n == 0) {
		buf_puts(b, "a principal that is not told");
		return;
	}
	buf_puts(b, "principal ");
	put_plain(b, to, 96);
	if (type.n > 0) {
		buf_puts(b, " (");
		put_plain(b, type, 40);
		buf_putc(b, ')');
	}
}

/* ---- parts of the reason ------------------------------------------------------------------------------ */

struct list { struct buf *b; size_t begin; };

static struct buf *
part(struct list *l, const char *between)
{
	if (l->b->n > l->begin)
		buf_puts(l->b, between);
	return l->b;
}

/* What the object is, of the body it has now or had. */
static void
put_details(struct list *l, struct config *config, const struct change *c, const struct verdict *v)
{
	size_t begin = l->b->n;

	if (!body_read(config->compare, v->after.n > 0 ? v->after : v->before))
		return;
	for (size_t i = 0; i < ROWS(details); i++) {
		struct slice text;

		if (strcmp(details[i].kind, c->row->kind) != 0 || (text = body_value(config->compare, details[i].path)).n == 0)
			continue;
		(void)part(l, ", ");
		if (l->b->n == begin && c->row->effect == EFFECT_REMOVE)
			buf_puts(l->b, "it was ");
		buf_printf(l->b, "%s ", details[i].words);
		put_plain(l->b, text, 64);
	}
}

/* Where nothing is known to compare with: the first of what was asked for. */
static void
put_asked(struct list *l, struct config *config, const struct verdict *v)
{
	struct slice path, text;
	uint32_t i;

	(void)body_read(config->compare, v->after);
	for (i = 0; i < 3 && body_leaf(config->compare, i, &path, &text); i++) {
		put_plain(part(l, ", "), path, 96);
		buf_puts(l->b, " is ");
		put_quoted(l->b, text, 64);
	}
	if (i > 0)
		buf_puts(l->b, body_leaf(config->compare, i, &path, &text) ? " and more; what it was before is not known" :
		    "; what it was before is not known");
	else
		buf_puts(part(l, "; "), v->after.n > 0 ? "NewValue has what was asked" : "the record does not tell what");
}

static void
put_changes(struct list *l, const struct difference *d)
{
	for (uint32_t i = 0; i < d->n && i < 3; i++) {
		put_plain(part(l, "; "), d->v[i].path, 96);
		buf_puts(l->b, " was ");
		put_quoted(l->b, d->v[i].before.p != NULL ? d->v[i].before : SLICE("absent"), 64);
		buf_puts(l->b, ", is ");
		put_quoted(l->b, d->v[i].after.p != NULL ? d->v[i].after : SLICE("absent"), 64);
	}
	if (d->n > 3)
		buf_printf(l->b, " and %u more", d->n - 3 + d->more);
}

static void
put_habit(struct list *l, const struct habit *h)
{
	char since[TIME_TEXT_BYTES];

	if (h->is == HABIT_FIRST) {
		buf_puts(part(l, "; "), "the first time by this actor");
		if (h->net[0] != '\0')
			buf_printf(l->b, ", from %s", h->net);
	} else if (h->is == HABIT_ELSEWHERE) {
		buf_printf(part(l, "; "), "from %s, where this actor never did it before", h->net);
	} else if (h->is == HABIT_SUMMARY) {
		time_format_ms(h->since_ms, since);
		buf_printf(part(l, "; "), "%u more times since %.16sZ, by an actor and from networks that did so on %u days; a routine", h->count, since,
		    h->days);
	}
}

static bool
was_denied(const struct event *e)
{
	static const char *const codes[] = { "PERMISSION_DENIED", "UNAUTHENTICATED", "AccessDenied", "Unauthorized", "AuthorizationFailed", "Forbidden" };
	struct slice code = extra_get(event_text(e, F_AdditionalFields), "ErrorCode");
	int64_t status = event_number(e, F_HttpStatusCode, 0);

	for (size_t i = 0; i < ROWS(codes); i++)
		if (slice_find_nocase(code, slice_of(codes[i]), 0) >= 0)
			return true;
	return status == 401 || status == 403;
}

static void
put_failure(struct list *l, const struct event *e)
{
	struct slice code = extra_get(event_text(e, F_AdditionalFields), "ErrorCode");

	buf_puts(part(l, "; "), was_denied(e) ? "it was denied" : "it failed");
	if (event_has(e, F_HttpStatusCode))
		buf_printf(l->b, " with status %lld", (long long)event_number(e, F_HttpStatusCode, 0));
	if (code.n > 0) {
		buf_puts(l->b, " (");
		put_plain(l->b, code, 48);
		buf_putc(l->b, ')');
	}
}

static void
put_ends(struct list *l, const struct change *c, const struct verdict *v)
{
	if (c->failed)
		put_failure(l, c->e);
	if (v->undoes) {
		buf_puts(part(l, "; "), "it undoes the change of ");
		put_age(l->b, v->undone_ms);
		buf_puts(l->b, " before");
	}
	if (!c->ended)
		buf_puts(part(l, "; "), "how it ended no record told");
	for (uint32_t i = 0; i < v->chain.n; i++)
		buf_printf(part(l, i > 0 ? ", " : "; "), "%s%s", i == 0 ? "within a day after: " : "", chain_words(&v->chain.v[i]));
}

/* All that stands behind the colon; nothing where the head says all. */
static void
put_rest(struct list *l, struct config *config, const struct change *c, const struct verdict *v, bool grant)
{
	if (!grant)
		put_details(l, config, c, v);
	for (uint32_t i = 0; i < v->diff.neffects; i++)
		if (v->diff.effects[i].direction != STRONG || !v->diff.weaker)
			buf_puts(part(l, i == 0 ? "; " : ", "), v->diff.effects[i].words);
	put_changes(l, &v->diff);
	if (v->diff.cut)
		buf_puts(part(l, "; "), "its content could not be compared, so it is weighed as the worst that it may be");
	if (strcmp(v->effect, "unchanged") == 0)
		buf_puts(part(l, "; "), "it is as it was");
	else if (l->b->n == l->begin && c->row->effect == EFFECT_MAKE && !is_creation(c) && !grant)
		put_asked(l, config, v);
	put_habit(l, &v->habit);
	put_ends(l, c, v);
}

/* ---- sentences ------------------------------------------------------------------------------------------ */

static void
put_head(struct buf *b, struct config *config, const struct change *c, const struct verdict *v, bool grant, struct slice role, struct slice to)
{
	bool gone = c->row->effect == EFFECT_REMOVE;

	if (!grant) {
		buf_printf(b, "%s the %s", verb(c, v), c->row->object);
		put_target(b, " of ", c->e);
		return;
	}
	buf_puts(b, c->failed ? gone ? "tried to take the role " : "tried to grant the role " : gone ? "took the role " : "granted the role ");
	put_role(b, role);
	buf_puts(b, gone ? " from " : " to ");
	put_principal(b, config, to);
	put_target(b, " on ", c->e);
}

void
words_message(struct buf *b, struct config *config, const struct change *c, const struct verdict *v)
{
	struct slice role = SLICE_NONE, to = SLICE_NONE;
	bool grant = is_grant(config, c, v, &role, &to);
	struct list l = { .b = b };

	put_actor(b, c->e);
	buf_putc(b, ' ');
	put_head(b, config, c, v, grant, role, to);
	buf_puts(b, ": ");
	l.begin = b->n;
	put_rest(&l, config, c, v, grant);
	if (b->n == l.begin && b->n >= 2)
		b->n -= 2;
}

void
words_reason(struct buf *b, struct config *config, const struct change *c, const struct verdict *v)
{
	struct slice role = SLICE_NONE, to = SLICE_NONE;
	bool grant = is_grant(config, c, v, &role, &to);
	struct list l = { .b = b, .begin = b->n };

	if (grant) {
		put_head(b, config, c, v, grant, role, to);
		put_rest(&l, config, c, v, grant);
		return;
	}
	put_rest(&l, config, c, v, grant);
	if (b->n == l.begin)
		buf_printf(b, "%s %s%s", c->row->object, c->failed ? "not " : "", words_end(c, v));
}
