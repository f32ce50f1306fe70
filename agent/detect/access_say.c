/* access_say.c - a finding of the access detector: who, what, where, why it is unusual, by which events, and what it may belong to. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <math.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "detect/access.h"
#include "detect/detect.h"

#define EPISODE_MIN	360		/* an episode ends when it was quiet for so long */
#define CHAIN_MIN	1440
#define EVIDENCE_MIN	1440
#define TEXT_BYTES	16384

static const struct { const char *id, *code, *name, *severity, *tactics, *techniques; } rows[BEHAVIOURS] = {
#define BEHAVIOUR(id, code, name, severity, tactics, techniques)	[B_##id] = { #id, code, name, severity, tactics, techniques },
#include "detect/behaviours.tbl"
#undef BEHAVIOUR
};

static const char *const kinds[] = { "unknown", "person", "service", "key", "address" };

/* ---- chains ------------------------------------------------------------------------------- */

void
access_mark(struct mark marks[MARKS], unsigned behaviour, uint32_t min, const struct event *e)
{
	struct mark *m = &marks[0];

	for (int i = 0; i < MARKS; i++) {
		if (marks[i].min != 0 && marks[i].behaviour == behaviour) {
			m = &marks[i];
			break;
		}
		if (marks[i].min < m->min)
			m = &marks[i];
	}
	*m = (struct mark){ .min = min, .behaviour = (uint8_t)behaviour };
	(void)id_bytes(event_text(e, F_EventId), m->id);
}

static bool
is_near(const struct mark *m, uint32_t min)
{
	return m->min != 0 && m->min + CHAIN_MIN >= min && m->min <= min + CHAIN_MIN;
}

const struct mark *
access_marked(const struct mark marks[MARKS], unsigned behaviour, uint32_t min)
{
	for (int i = 0; i < MARKS; i++)
		if (marks[i].behaviour == behaviour && is_near(&marks[i], min))
			return &marks[i];
	return NULL;
}

/* What else happened to this caller or resource within a day, and the records that belong to this finding. */
struct chain { uint32_t bits; unsigned char ids[EVIDENCE + 2 * MARKS + 4][16]; unsigned n; };

static void
chain_id(struct chain *ch, const unsigned char id[16])
{
	static const unsigned char none[16] = { 0 };

	for (unsigned i = 0; i < ch->n; i++)
		if (memcmp(ch->ids[i], id, 16) == 0)
			return;
	if (memcmp(id, none, 16) != 0 && ch->n < sizeof(ch->ids) / sizeof(ch->ids[0]))
		memcpy(ch->ids[ch->n++], id, 16);
}

static void
chained(struct chain *ch, const struct mark marks[MARKS], enum behaviour but, uint32_t min)
{
	for (int i = 0; i < MARKS; i++)
		if (marks[i].behaviour != but && is_near(&marks[i], min)) {
			ch->bits |= UINT32_C(1) << marks[i].behaviour;
			chain_id(ch, marks[i].id);
		}
}

static const char *
severity(const struct hit *h, bool raise)
{
	const int i = event_severity_of(slice_of(h->severity != NULL ? h->severity : rows[h->behaviour].severity));

	assert(i >= 0);
	return event_severity_words[raise && i < EVENT_SEVERITIES - 1 ? i + 1 : i];
}

/* ---- words ---------------------------------------------------------------------------------- */

static void
put_who(struct buf *b, const struct sight *s)
{
	const struct event *e = s->e;

	if (s->kind == CALLER_KEY)
		buf_puts(b, "A caller without a name (by key)");
	else if (s->kind == CALLER_SOURCE)
		put_plain(b, event_text(e, F_SrcIpAddr), 64);
	else if (event_has(e, F_ActorUsername))
		put_plain(b, event_text(e, F_ActorUsername), 128);
	else
		put_plain(b, slice_make(s->who, s->who_n), 128);
}

static void
put_where(struct buf *b, const struct sight *s)
{
	const struct event *e = s->e;
	struct slice model = event_has(e, F_AiDeployment) ? event_text(e, F_AiDeployment) : event_text(e, F_AiModelName);
	struct slice resource = event_has(e, F_TargetResourceName) ? event_text(e, F_TargetResourceName) : event_text(e, F_TargetResourceId);

	buf_puts(b, s->denied ? " tried to call " : " called ");
	if (event_has(e, F_Operation))
		put_plain(b, event_text(e, F_Operation), 96);
	else
		buf_puts(b, "a model");
	if (resource.n > 0) {
		buf_puts(b, " on ");
		put_plain(b, resource, 128);
	}
	if (model.n > 0 && !slice_eq(model, resource)) {
		buf_puts(b, " (");
		put_plain(b, model, 96);
		buf_putc(b, ')');
	}
}

/* From where, unless the reason or the caller's name tells it. */
static void
put_from(struct buf *b, const struct sight *s, const char *reason)
{
	struct slice address = event_text(s->e, F_SrcIpAddr);

	if (s->kind == CALLER_SOURCE || s->place.net[0] == '\0' || strstr(reason, s->place.net) != NULL)
		return;
	buf_puts(b, " from ");
	put_plain(b, address.n > 0 ? address : slice_of(s->place.net), 64);
}

static const char *
mark_id(unsigned i)
{
	return i < BEHAVIOURS ? rows[i].id : i == MARK_WEAKENED ? "WEAKENED" : "ALERT";
}

static const char *
mark_words(unsigned i)
{
	return i < BEHAVIOURS ? rows[i].name : i == MARK_WEAKENED ? "a weakened configuration" : "a Defender alert";
}

static void
put_chain(struct buf *b, uint32_t chain)
{
	bool any = false;

	for (unsigned i = 0; i < MARK_KINDS; i++)
		if (chain >> i & 1) {
			buf_puts(b, any ? "," : "");
			buf_put_json(b, slice_of(mark_id(i)));
			any = true;
		}
}

static void
say_chain(struct buf *b, uint32_t chain)
{
	bool any = false;

	for (unsigned i = 0; i < MARK_KINDS; i++)
		if (chain >> i & 1) {
			buf_printf(b, "%s%s", any ? ", " : "; within a day of: ", mark_words(i));
			any = true;
		}
}

/* The caller's, then those of the chain, then the event's own where it is no hexadecimal id. */
static void
put_evidence(struct buf *b, const struct rules *x, const struct hit *h, struct chain *ch)
{
	struct slice id = event_text(x->s->e, F_EventId);
	const struct caller *c = x->c;
	unsigned char own[16];
	bool hex = id_bytes(id, own);

	for (int i = 0; i < EVIDENCE; i++) {
		int k = (c->evidence_next + i) % EVIDENCE;

		if (c->evidence[k].min != 0 && c->evidence[k].min + EVIDENCE_MIN >= x->s->min)
			chain_id(ch, c->evidence[k].id);
	}
	for (unsigned i = 0; i < h->nmore; i++)
		chain_id(ch, h->more[i]);
	if (hex)
		chain_id(ch, own);
	for (unsigned i = 0; i < ch->n; i++) {
		buf_puts(b, i > 0 ? ",\"" : "\"");
		buf_put_hex(b, ch->ids[i], 16);
		buf_putc(b, '"');
	}
	if (!hex && id.n > 0) {
		buf_puts(b, ch->n > 0 ? "," : "");
		buf_put_json(b, id);
	}
}

static void
put_place(struct buf *b, const struct place *p)
{
	if (p->net[0] != '\0') {
		buf_puts(b, ",\"network\":");
		buf_put_json(b, slice_of(p->net));
	}
	if (p->country[0] != '\0') {
		buf_puts(b, ",\"country\":");
		buf_put_json(b, slice_of(p->country));
	}
	if (p->asn != 0)
		buf_printf(b, ",\"asn\":%u", p->asn);
	if (p->label[0] != '\0') {
		buf_puts(b, ",\"label\":");
		buf_put_json(b, slice_of(p->label));
	}
}

static void
put_additional(struct buf *b, const struct rules *x, const struct hit *h, struct chain *chain)
{
	const struct caller *c = x->c;

	buf_printf(b, "{\"behaviour\":\"%s\",\"behaviours\":[\"%s\"],\"caller_kind\":\"%s\",\"caller_calls\":%u,\"caller_known_days\":%u",
	    rows[h->behaviour].id, rows[h->behaviour].code, kinds[c->kind], c->calls, x->s->min > c->first_min ?
	    (x->s->min - c->first_min) / 1440 : 0);
	if (h->signs != 0) {
		buf_puts(b, ",\"signs\":[");
		put_signs(b, h->signs);
		buf_putc(b, ']');
	}
	put_place(b, &x->s->place);
	if (x->s->agent[0] != '\0') {
		buf_puts(b, ",\"agent\":");
		buf_put_json(b, slice_of(x->s->agent));
	}
	if (h->by != NULL && h->by[0] != '\0') {
		buf_puts(b, ",\"key_read_by\":");
		buf_put_json(b, slice_of(h->by));
	}
	if (chain->bits != 0) {
		buf_puts(b, ",\"chain\":[");
		put_chain(b, chain->bits);
		buf_putc(b, ']');
	}
	buf_puts(b, ",\"evidence\":[");
	put_evidence(b, x, h, chain);
	buf_puts(b, "]}");
}

/* ---- the event ---------------------------------------------------------------------------------- */

static double
rounded(double d)
{
	return round(d * 1000) / 1000;
}

static void
set_fixed(struct event *f, const struct rules *x, const struct hit *h, bool raise)
{
	int64_t now_ms = event_number(x->s->e, F_TimeGenerated, 0);

	event_set_number(f, F_TimeGenerated, now_ms);
	event_set_number(f, F_EventStartTime, h->start_ms < now_ms ? h->start_ms : now_ms);
	event_set_number(f, F_EventEndTime, now_ms);
	event_set_number(f, F_EventCount, h->count > 0 ? h->count : 1);
	event_set_text(f, F_EventClass, SLICE("access_anomaly"));
	event_set_text(f, F_EventName, slice_of(rows[h->behaviour].name));
	event_set_text(f, F_EventSeverity, slice_of(severity(h, raise)));
	event_set_text(f, F_EventResult, SLICE("NA"));
	event_set_ours(f);
	event_set_text(f, F_AttackTactics, slice_of(rows[h->behaviour].tactics));
	event_set_text(f, F_AttackTechniques, slice_of(rows[h->behaviour].techniques));
	event_set_real(f, F_DetectorScore, rounded(fmin(1 - pow(2, -(h->points > 1 ? h->points : 1)), 0.999)));
	event_set_real(f, F_DetectorBaseline, rounded(h->baseline));
	event_set_real(f, F_DetectorObserved, rounded(h->observed));
}

static void
set_texts(struct event *f, struct rules *x, const struct hit *h, struct chain *chain, struct buf *b)
{
	buf_printf(b, "access.%s", rows[h->behaviour].id);
	for (size_t i = 0; i < b->n; i++)
		b->p[i] = (char)ascii_lower((unsigned char)b->p[i]);
	event_set_text(f, F_EventOriginalType, event_list_keep(x->say, b));
	put_who(b, x->s);
	put_where(b, x->s);
	put_from(b, x->s, h->reason);
	buf_printf(b, "%s%s", strncmp(h->reason, "for the first time", 18) == 0 ? " " : "; ", h->reason);
	say_chain(b, chain->bits & ~h->told);
	event_set_text(f, F_EventMessage, event_list_keep(x->say, b));
	buf_puts(b, h->reason);
	event_set_text(f, F_DetectorReason, event_list_keep(x->say, b));
	put_additional(b, x, h, chain);
	event_set_text(f, F_AdditionalFields, event_list_keep(x->say, b));
}

static int
say(struct rules *x, const struct hit *h, struct chain *chain)
{
	struct event f, *at;
	struct buf b;
	char id[33];
	int rc = -1;

	event_init(&f);
	buf_init(&b, TEXT_BYTES);
	buf_printf(&b, "%s ", rows[h->behaviour].id);
	buf_put(&b, x->s->who, x->s->who_n);
	if (b.failed || detect_finding_id("access", buf_slice(&b), h->start_ms, "start", id, x->err) != 0)
		goto out;
	buf_reset(&b);
	set_fixed(&f, x, h, chain->bits != 0);
	event_set_text(&f, F_EventId, arena_dup(x->say->arena, slice_of(id)));
	event_set_text(&f, F_EventOriginalUid, event_text(&f, F_EventId));
	detect_copy_columns(&f, x->s->e, x->say->arena);
	if (h->by != NULL && h->by[0] != '\0' && !event_has(&f, F_ActorUsername))
		event_set_text(&f, F_ActorUsername, arena_dup(x->say->arena, slice_of(h->by)));
	set_texts(&f, x, h, chain, &b);
	at = event_list_add(x->say);
	if (at == NULL || !event_has(&f, F_EventMessage) || !event_has(&f, F_EventId) || !event_has(&f, F_AdditionalFields)) {
		if (at != NULL)
			x->say->n--;
		err_set(x->err, ERR_AGAIN, "no memory for a finding");
		goto out;
	}
	*at = f;
	x->a->findings++;
	rc = 0;
out:
	buf_fini(&b);
	return rc;
}

void
access_hit(struct rules *x, struct hit *h)
{
	uint32_t *said = &x->c->said_min[h->behaviour], min = x->s->min;
	struct chain chain = { .n = 0 };
	bool open = *said != 0 && min <= *said + EPISODE_MIN && *said <= min + EPISODE_MIN;

	keep_evidence(x->c, x->s);
	if (min > *said || !open)
		*said = min;
	if (open)
		return;
	chained(&chain, x->c->marks, h->behaviour, min);
	if (x->r != NULL && x->s->own)
		chained(&chain, x->r->marks, h->behaviour, min);
	if (say(x, h, &chain) != 0)
		x->rc = -1;
	access_mark(x->c->marks, h->behaviour, min, x->s->e);
	if (x->r != NULL && x->s->own)
		access_mark(x->r->marks, h->behaviour, min, x->s->e);
}
