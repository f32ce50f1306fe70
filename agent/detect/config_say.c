/* config_say.c - a change as a finding: who changed what, what it was and what it is, and what that weakens. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "detect/config_parts.h"
#include "detect/detect.h"
#include "model/wire.h"

#define TEXT_BYTES	(256u << 10)
#define GROUP_BYTES	512		/* of a CorrelationId that is told again */

static const struct { const char *code, *effect, *tactics, *techniques; } techniques[] = {
#define TECHNIQUE(code, effect, tactics, techniques)	{ code, effect, tactics, techniques },
#include "detect/config_techniques.tbl"
#undef TECHNIQUE
};

/* ---- what it weighs ----------------------------------------------------------------------- */

static const char *
effect_word(const struct change *c, const struct difference *d)
{
	switch (c->row->effect) {
	case EFFECT_READ:
		return "read";
	case EFFECT_RENEW:
		return "renewed";
	case EFFECT_ACT:
		return "acted";
	case EFFECT_REMOVE:
		return "removed";
	default:
		return d->weaker ? "weakened" : d->stronger && !d->cut ? "strengthened" : "changed";
	}
}

static bool
is_undone(struct config *config, const struct change *c, const struct object *o)
{
	int64_t after = c->t_ms - o->changed_ms;

	if (o->changed_ms == 0 || after < 0 || after > config->undo_ms || c->failed || !c->ended)
		return false;
	if (c->row->effect == EFFECT_REMOVE)
		return o->made;
	if (c->row->effect != EFFECT_MAKE)
		return false;
	if (o->removed)
		return true;
	return o->prev_n > 0 && o->state_n > 0 && c->body.n > 0 &&
	    !same_where_both_speak(config->compare, slice_make(o->state, o->state_n), c->body) &&
	    same_where_both_speak(config->compare, slice_make(o->prev, o->prev_n), c->body);
}

/* What was asked for is not told, and stands by the same digest as the last time. */
static bool
is_as_before(const struct config *config, const struct change *c, const struct object *o)
{
	return c->hidden.n > 0 && o->hidden != 0 && o->hidden == config_hash(config, "hidden", c->hidden);
}

/* Padding a body, or sending none that can be read, makes nothing smaller: it weighs as the worst that it may hold. */
static void
judge_unseen(const struct change *c, struct verdict *v)
{
	const char *code = v->code;
	int worst = worst_of(c->row->kind, &code), row = severity_of(c->row->severity);

	v->diff.cut = true;
	if (row > v->severity)
		v->severity = row;
	if (worst > v->severity) {
		v->severity = worst;
		v->code = code;
	}
}

static void
judge(struct config *config, const struct change *c, const struct object *o, struct verdict *v)
{
	bool same = false;

	memset(v, 0, sizeof(*v));
	v->undoes = is_undone(config, c, o);
	v->undone_ms = c->t_ms - o->changed_ms;
	memcpy(v->undone, o->finding, sizeof(v->undone));
	v->before = slice_make(o->state, o->state_n);
	if (o->removed && c->row->effect == EFFECT_MAKE)
		v->before = SLICE_NONE;
	v->after = c->row->effect == EFFECT_REMOVE ? SLICE_NONE : c->body;
	if (c->row->effect == EFFECT_MAKE)
		compare(config->compare, c->row->kind, v->before, v->after, &v->diff);
	else
		v->diff = (struct difference){ .severity = -1 };
	v->severity = severity_of(c->row->severity);
	v->code = c->row->code;
	if (v->diff.severity >= 0 && v->diff.weaker) {
		if (v->diff.severity > v->severity || v->severity == 0)
			v->severity = v->diff.severity;
		v->code = v->diff.code;
	} else if (v->diff.severity >= 0) {		/* another one, neither weaker nor stronger */
		v->severity = v->diff.severity > v->severity ? v->diff.severity : v->severity;
		v->code = v->diff.code;
	} else if (v->diff.stronger && v->severity > 1) {
		v->severity = 1;
	}
	if (c->row->effect == EFFECT_MAKE) {
		same = is_as_before(config, c, o) || (v->before.n > 0 && !v->diff.unread && !v->diff.changed && !v->diff.cut && c->hidden.n == 0);
		if (same)
			v->severity = v->diff.cut = 0;
		else if (v->diff.cut || c->hidden.n > 0)
			judge_unseen(c, v);
	}
	v->effect = same ? "unchanged" : effect_word(c, &v->diff);
	if (v->undoes && v->severity > 1 && !v->diff.weaker && !v->diff.cut && c->row->effect == EFFECT_MAKE)
		v->severity = 1;
	if (c->failed && v->severity > 0)
		v->severity--;
}

/* An administrator changes many things a day: only what weakens, and keys, are steps that others follow. */
static bool
is_step(const struct change *c, const struct verdict *v)
{
	if (v->severity < 2 || v->habit.is == HABIT_SUMMARY)
		return false;
	return v->diff.weaker || (v->diff.cut && v->severity >= 3) || (c->row->effect == EFFECT_REMOVE && v->severity >= 3) || strcmp(v->code, "C4") == 0;
}

/* Granted roles, deletions and deployments begin no chain, and go on with one. */
static bool
follows(const struct change *c, const struct verdict *v)
{
	if (v->severity < 2)
		return false;
	return is_step(c, v) || c->row->effect == EFFECT_REMOVE ||
	    (c->row->effect == EFFECT_MAKE && (strcmp(c->row->kind, "role") == 0 || strcmp(c->row->kind, "deployment") == 0));
}

static bool
is_repeatable(const struct change *c, const struct verdict *v)
{
	return c->row->effect == EFFECT_READ || strcmp(v->effect, "unchanged") == 0;
}

/* False: one more of what was said, and counted. */
static bool
place(struct config *config, const struct change *c, const struct op *op, struct verdict *v)
{
	if (follows(c, v))
		chain_find(config, c, v, &v->chain);
	if (is_repeatable(c, v))
		routine_see(config, c, v->effect, v->chain.n > 0, &v->habit);
	if (v->habit.is == HABIT_AGAIN)
		return false;
	if (v->habit.is == HABIT_SUMMARY) {
		v->severity = 0;
		v->chain.n = 0;
	}
	if (v->habit.is == HABIT_ELSEWHERE && v->habit.settled && v->severity >= 2 && v->severity < 4)
		v->severity++;
	if (v->chain.n > 0 && v->severity < 4)
		v->severity++;
	if (is_step(c, v) && !c->failed)
		chain_add(config, c, op, v);
	return true;
}

static void
put_changes(struct buf *b, const struct difference *d)
{
	buf_puts(b, ",\"changes\":[");
	for (uint32_t i = 0; i < d->n; i++) {
		buf_puts(b, i > 0 ? ",{\"path\":" : "{\"path\":");
		buf_put_json(b, d->v[i].path);
		if (d->v[i].before.p != NULL) {
			buf_puts(b, ",\"old\":");
			buf_put_json(b, slice_make(d->v[i].before.p, utf8_cut(d->v[i].before, 512)));
		}
		if (d->v[i].after.p != NULL) {
			buf_puts(b, ",\"new\":");
			buf_put_json(b, slice_make(d->v[i].after.p, utf8_cut(d->v[i].after, 512)));
		}
		buf_putc(b, '}');
	}
	buf_putc(b, ']');
	if (d->more > 0)
		buf_printf(b, ",\"changes_left_out\":%u", d->more);
}

static void
put_evidence(struct buf *b, const struct change *c, const struct op *op, const struct chain *chain)
{
	struct slice own = event_text(c->e, F_EventId);

	buf_puts(b, ",\"evidence\":[");
	if (op != NULL && op->nevidence > 0)
		for (uint8_t i = 0; i < op->nevidence; i++) {
			buf_puts(b, i > 0 ? ",\"" : "\"");
			buf_put_hex(b, op->evidence[i], 16);
			buf_putc(b, '"');
		}
	else if (own.n > 0)
		buf_put_json(b, own);
	for (uint32_t i = 0; i < chain->n; i++) {
		static const unsigned char none[16] = { 0 };

		if (memcmp(chain->v[i].id, none, sizeof(none)) == 0)
			continue;
		buf_puts(b, b->n > 0 && b->p[b->n - 1] == '[' ? "\"" : ",\"");
		buf_put_hex(b, chain->v[i].id, 16);
		buf_putc(b, '"');
	}
	buf_putc(b, ']');
}

static void
put_chain(struct buf *b, const struct chain *chain)
{
	if (chain->n == 0)
		return;
	buf_puts(b, ",\"chain\":\"");
	for (uint32_t i = 0; i < chain->n; i++)
		buf_printf(b, "%s%s", i > 0 ? "," : "", chain->v[i].code);
	buf_puts(b, "\",\"after\":[");
	for (uint32_t i = 0; i < chain->n; i++) {
		buf_puts(b, i > 0 ? "," : "");
		buf_put_json(b, slice_of(chain_words(&chain->v[i])));
	}
	buf_putc(b, ']');
}

static void
put_habit(struct buf *b, const struct habit *h)
{
	if (h->net[0] != '\0' && h->is != HABIT_NONE) {
		buf_puts(b, ",\"network\":");
		buf_put_json(b, slice_of(h->net));
	}
	if (h->is == HABIT_SUMMARY)
		buf_printf(b, ",\"routine\":{\"count\":%u,\"days\":%u}", h->count, h->days);
}

static void
put_additional(struct buf *b, const struct change *c, const struct op *op, const struct verdict *v)
{
	struct slice group = extra_get(event_text(c->e, F_AdditionalFields), "CorrelationId");

	buf_printf(b, "{\"change\":\"%s\",\"object\":\"%s\",\"effect\":\"%s\",\"outcome\":\"%s\"", v->code, c->row->kind, v->effect,
	    c->failed ? "failed" : c->ended ? "done" : "unknown");
	if (v->diff.neffects > 0) {
		buf_puts(b, ",\"meaning\":[");
		for (uint32_t i = 0; i < v->diff.neffects; i++) {
			buf_puts(b, i > 0 ? "," : "");
			buf_put_json(b, slice_of(v->diff.effects[i].words));
		}
		buf_putc(b, ']');
	}
	if (v->diff.cut)
		buf_puts(b, ",\"comparable\":false");
	if (v->diff.n > 0)
		put_changes(b, &v->diff);
	if (v->undoes)
		buf_printf(b, ",\"undoes\":\"%s\",\"undone_after_s\":%lld", v->undone, (long long)(v->undone_ms / 1000));
	put_chain(b, &v->chain);
	put_habit(b, &v->habit);
	if (group.n > 0 && group.n <= GROUP_BYTES) {
		buf_puts(b, ",\"CorrelationId\":\"");	/* escaped as it stands */
		buf_put_slice(b, group);
		buf_putc(b, '"');
	}
	put_evidence(b, c, op, &v->chain);
	buf_putc(b, '}');
}

/* ---- the event ------------------------------------------------------------------------------------ */

/* What an attacker would do so, and did. */
static bool
is_technique(const struct change *c, const struct verdict *v)
{
	if (c->failed || v->severity == 0 || strcmp(v->effect, "strengthened") == 0)
		return false;
	return strcmp(v->effect, "changed") != 0 || v->severity >= 2;
}

static void
set_techniques(struct event *f, const struct verdict *v)
{
	for (size_t i = 0; i < sizeof(techniques) / sizeof(techniques[0]); i++)
		if (strcmp(techniques[i].code, v->code) == 0 && slice_glob_nocase(slice_of(techniques[i].effect), slice_of(v->effect))) {
			event_set_text(f, F_AttackTactics, slice_of(techniques[i].tactics));
			event_set_text(f, F_AttackTechniques, slice_of(techniques[i].techniques));
			return;
		}
}

static void
set_fixed(struct event *f, const struct change *c, const struct op *op, const struct verdict *v)
{
	int64_t begin_ms = op != NULL && op->first_ms < c->t_ms ? op->first_ms : c->t_ms;

	event_set_number(f, F_TimeGenerated, c->t_ms);
	if (v->habit.is == HABIT_SUMMARY && v->habit.since_ms < begin_ms)
		begin_ms = v->habit.since_ms;
	event_set_number(f, F_EventStartTime, begin_ms);
	event_set_number(f, F_EventEndTime, c->t_ms);
	event_set_number(f, F_EventCount, v->habit.is == HABIT_SUMMARY ? (int64_t)v->habit.count : 1);
	event_set_text(f, F_EventClass, SLICE("config_change"));
	event_set_text(f, F_EventSeverity, slice_of(event_severity_words[v->severity]));
	event_set_text(f, F_EventResult, c->failed ? SLICE("Failure") : c->ended && slice_eq(event_text(c->e, F_EventResult), SLICE("Success")) ?
	    SLICE("Success") : SLICE("NA"));
	event_set_ours(f);
	if (is_technique(c, v))
		set_techniques(f, v);
	event_set_real(f, F_DetectorScore, round((1 - pow(2, -(v->severity + 0.0))) * 1000) / 1000);
}

static void
set_texts(struct event *f, struct config *config, const struct change *c, const struct op *op, const struct verdict *v, struct buf *b)
{
	struct event_list *say = config->say;

	buf_printf(b, "config.%s.%s", c->row->kind, v->effect);
	event_set_text(f, F_EventOriginalType, event_list_keep(say, b));
	buf_printf(b, "%s%s%s", c->row->object, c->failed ? " not " : " ", words_end(c, v));
	if (b->n > 0 && b->p[0] >= 'a' && b->p[0] <= 'z')
		b->p[0] = (char)(b->p[0] - 'a' + 'A');
	event_set_text(f, F_EventName, event_list_keep(say, b));
	words_message(b, config, c, v);
	event_set_text(f, F_EventMessage, event_list_keep(say, b));
	words_reason(b, config, c, v);
	event_set_text(f, F_DetectorReason, event_list_keep(say, b));
	event_set_text(f, F_OldValue, arena_dup(say->arena, v->before));
	event_set_text(f, F_NewValue, arena_dup(say->arena, v->after.n > 0 ? v->after : c->hidden));
	put_additional(b, c, op, v);
	event_set_text(f, F_AdditionalFields, event_list_keep(say, b));
}

/* What the operation's first record told and its last one does not. */
static void
fill_from_first(struct event *f, const struct op *op, struct arena *arena)
{
	struct event first;
	struct err err = { 0 };

	if (op != NULL && op->event != NULL && wire_get(slice_make(op->event, op->event_n), &first, &err) == 0)
		detect_copy_columns(f, &first, arena);
}

static int
say(struct config *config, const struct change *c, const struct op *op, const struct verdict *v, char id[33])
{
	struct event_list *list = config->say;
	struct event f, *at;
	struct slice kept;
	struct buf b;
	int rc = -1;

	event_init(&f);
	buf_init(&b, TEXT_BYTES);
	if (detect_finding_id("config", slice_of(c->series), op != NULL ? op->first_ms : c->t_ms, "change", id, config->err) != 0)
		goto out;
	set_fixed(&f, c, op, v);
	kept = arena_dup(list->arena, slice_make(id, 32));
	event_set_text(&f, F_EventId, kept);
	event_set_text(&f, F_EventOriginalUid, kept);
	detect_copy_columns(&f, c->e, list->arena);
	fill_from_first(&f, op, list->arena);
	set_texts(&f, config, c, op, v, &b);
	at = event_list_add(list);
	if (at == NULL || !event_has(&f, F_EventMessage) || !event_has(&f, F_EventId) || !event_has(&f, F_AdditionalFields)) {
		if (at != NULL)
			list->n--;
		err_set(config->err, ERR_AGAIN, "no memory for a finding");
		goto out;
	}
	*at = f;
	config->findings++;
	rc = 0;
out:
	buf_fini(&b);
	return rc;
}

/* ---- what it leaves ---------------------------------------------------------------------------------- */

static void
learn(struct config *config, const struct change *c, struct object *o, const char id[33], bool unchanged)
{
	struct buf merged;

	if (c->failed || unchanged || (c->row->effect != EFFECT_MAKE && c->row->effect != EFFECT_REMOVE))
		return;
	memcpy(o->finding, id, sizeof(o->finding));
	o->changed_ms = c->t_ms;
	if (c->row->effect == EFFECT_REMOVE) {
		o->made = false;
		o->removed = true;
		return;			/* the state stays: it may come back */
	}
	o->made = o->state == NULL && !o->removed && is_creation(c);
	o->removed = false;
	o->hidden = config_hash(config, "hidden", c->hidden);		/* of a body that is told: 0 */
	if (c->body.n == 0)
		return;
	object_keep(config, &o->prev, &o->prev_n, slice_make(o->state, o->state_n));
	buf_init(&merged, 2 * STATE_BYTES);		/* too long to keep: the last one stays */
	if (merge_bodies(config->compare, slice_make(o->state, o->state_n), c->body, &merged))
		object_keep(config, &o->state, &o->state_n, buf_slice(&merged));
	else
		object_keep(config, &o->state, &o->state_n, c->body);
	buf_fini(&merged);
}

void
config_say(struct config *config, const struct change *c, const struct op *op)
{
	struct object *o = objects_of(config, c->object);
	struct verdict v;
	char id[33];

	judge(config, c, o, &v);
	if (!place(config, c, op, &v))
		return;
	if (say(config, c, op, &v, id) != 0) {
		config->rc = -1;
		return;
	}
	learn(config, c, o, id, strcmp(v.effect, "unchanged") == 0);
}
