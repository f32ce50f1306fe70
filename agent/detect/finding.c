/* finding.c - what is found, as an event: its columns, and its sentence. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "detect/detect.h"
#include "detect/volume.h"

#define TEXT_BYTES	4096
#define STORM_SHARE	0.2		/* of all calls refused */
#define MOST_SHARE	0.5		/* a caller who has more of the resource's is named as the actor */

/* The metric's, and behind them that of silence. */
static const struct { const char *tactics, *techniques; } techniques[METRICS + 1] = {
#define TECHNIQUE(metric, tactics, techniques)	[metric] = { tactics, techniques },
#include "detect/techniques.tbl"
#undef TECHNIQUE
};

/* ---- words ---------------------------------------------------------------------- */

/* 1234567 as 1,234,567. */
static void
put_amount(struct buf *b, double amount)
{
	char digits[32];
	int n = snprintf(digits, sizeof(digits), "%.0f", amount < 0 ? 0 : amount);

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			buf_putc(b, ',');
		buf_putc(b, digits[i]);
	}
}

static void
put_duration(struct buf *b, uint64_t ms)
{
	if (ms % 60000 == 0)
		buf_printf(b, ms == 60000 ? "a minute" : "%llu minutes", (unsigned long long)(ms / 60000));
	else
		buf_printf(b, "%llu seconds", (unsigned long long)(ms / 1000));
}

static const char *
metric_words(enum metric m)
{
	static const char *const words[METRICS] = { "requests", "prompt tokens", "completion tokens", "refused requests" };

	return words[m];
}

static struct slice
caller_name(const struct volume *v, const struct entity *e)
{
	static const enum who names[] = { W_ACTOR_NAME, W_ACTOR_ID, W_APP, W_ADDRESS };

	for (size_t i = 0; i < 4; i++)
		if (entity_who(v, e, names[i]).n > 0)
			return entity_who(v, e, names[i]);
	return SLICE("unknown");
}

/* The caller who made most of a resource's or a deployment's surge; NULL: nobody alone, or the episode is a caller's own. */
static const struct entity *
main_caller(const struct volume *v, const struct episode *p)
{
	if (v->entities[p->entity].kind == E_CALLER || p->ncallers == 0 || p->caller[0].observed <= MOST_SHARE * p->callers_of)
		return NULL;
	return &v->entities[p->caller[0].entity];
}

/* What the resource had in the window of the peak beside its callers that are named. */
static double
of_others(const struct episode *p)
{
	double rest = p->callers_of;

	for (uint32_t i = 0; i < p->ncallers; i++)
		rest -= p->caller[i].observed;
	return rest > 0 ? rest : 0;
}

static bool
is_nameless(const struct volume *v, const struct episode *p)
{
	return v->entities[p->entity].kind != E_CALLER && p->ncallers < EPISODE_CALLERS && of_others(p) > MOST_SHARE * p->callers_of;
}

static void
put_where(struct buf *b, const struct volume *v, const struct entity *e)
{
	struct slice resource = entity_who(v, e, W_RESOURCE_NAME);

	if (e->kind == E_TOTAL) {
		buf_puts(b, " over all resources");
		return;
	}
	if (resource.n == 0)
		resource = entity_who(v, e, W_RESOURCE);
	if (e->kind == E_DEPLOYMENT) {
		buf_puts(b, " on deployment ");
		buf_put_slice(b, entity_who(v, e, W_DEPLOYMENT));
		buf_puts(b, " of ");
	} else if (e->kind == E_CALLER) {
		buf_puts(b, " by caller ");
		buf_put_slice(b, caller_name(v, e));
		buf_puts(b, " on ");
	} else {
		buf_puts(b, " on ");
	}
	buf_put_slice(b, resource);
}

/* "9,840 requests in 5 minutes WHERE, usually 310 to 420 at this hour"; `where` without an entity for the reason. */
static void
put_reason(struct buf *b, const struct volume *v, const struct episode *p, const char *where, double observed)
{
	put_amount(b, observed);
	buf_printf(b, " %s in ", metric_words(p->metric));
	put_duration(b, v->window_ms);
	if (p->metric == M_REFUSED && p->share > 0)
		buf_printf(b, " (%.0f %% of all)", 100 * p->share);
	buf_puts(b, where);
	buf_puts(b, ", usually ");
	put_amount(b, p->usual_low);
	buf_puts(b, " to ");
	put_amount(b, ceil(p->usual_high));
	buf_puts(b, " at this hour");
}

static void
put_message(struct buf *b, const struct volume *v, const struct episode *p, const char *phase, double observed)
{
	const struct entity *e = &v->entities[p->entity], *caller = main_caller(v, p);
	struct buf where;

	if (strcmp(phase, "end") == 0) {
		buf_puts(b, "The spike of ");
		buf_puts(b, metric_words(p->metric));
		put_where(b, v, e);
		buf_puts(b, p->over == OVER_USUAL ? " is over after " : p->over == OVER_LONG ? " is taken for usual after " :
		    " is followed no longer, since graver ones needed its place, after ");
		put_duration(b, (uint64_t)(p->last_window + 1 - p->start_window) * v->window_ms);
		buf_puts(b, ": ");
		put_amount(b, p->total);
		buf_puts(b, " in all");
		return;
	}
	buf_init(&where, TEXT_BYTES);
	put_where(&where, v, e);
	buf_putc(&where, '\0');
	if (where.failed)
		b->failed = true;
	else
		put_reason(b, v, p, where.p, observed);
	buf_fini(&where);
	if (caller == NULL && is_nameless(v, p))
		buf_puts(b, "; mostly by callers not known by name");
	if (caller != NULL) {
		buf_puts(b, "; mostly by caller ");
		buf_put_slice(b, caller_name(v, caller));
		buf_puts(b, ", ");
		put_amount(b, p->caller[0].observed);
		if (p->peak > observed)
			buf_puts(b, " at the peak");
	}
}

/* What an end says of the reason: the episode is no more. */
static void
put_over(struct buf *b, const struct volume *v, const struct episode *p)
{
	static const char *const why[] = { "as usual again", "it went on for a day and is the usual now", "graver ones needed its place" };

	buf_printf(b, "Over: %s; the most were ", why[p->over]);
	put_reason(b, v, p, "", p->peak);
}

static void
put_callers(struct buf *b, const struct volume *v, const struct episode *p)
{
	static const struct { const char *key; enum who who; } keys[] = { { "id", W_ACTOR_ID }, { "name", W_ACTOR_NAME },
		{ "app", W_APP }, { "address", W_ADDRESS } };

	buf_puts(b, ",\"TopCallers\":[");
	for (uint32_t i = 0; i < p->ncallers; i++) {
		buf_puts(b, i > 0 ? ",{" : "{");
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
			struct slice s = entity_who(v, &v->entities[p->caller[i].entity], keys[k].who);

			if (s.n == 0)
				continue;
			buf_printf(b, "\"%s\":", keys[k].key);
			buf_put_json(b, s);
			buf_putc(b, ',');
		}
		buf_puts(b, "\"count\":");
		buf_put_double(b, p->caller[i].observed);
		buf_putc(b, '}');
	}
	buf_puts(b, "],\"OtherCallers\":");
	buf_put_double(b, of_others(p));
}

static void
put_series(struct buf *b, const struct volume *v, uint32_t slot, enum metric m)
{
	struct buf name;

	buf_init(&name, TEXT_BYTES);
	series_name(v, slot, m, &name);
	buf_put_json(b, buf_slice(&name));
	b->failed = b->failed || name.failed;
	buf_fini(&name);
}

static void
put_evidence(struct buf *b, const struct entity *e)
{
	for (uint32_t i = 0; i < EVIDENCE && i < e->nevidence; i++) {
		buf_puts(b, i > 0 ? ",\"" : "\"");
		buf_put_hex(b, e->evidence[i], EVIDENCE_BYTES);
		buf_putc(b, '"');
	}
}

static void
put_additional(struct buf *b, const struct volume *v, const struct episode *p, const char *phase)
{
	const struct entity *e = &v->entities[p->entity];

	buf_puts(b, "{\"series\":");
	put_series(b, v, p->entity, p->metric);
	buf_printf(b, ",\"phase\":\"%s\",\"window_s\":%u,\"peak\":", phase, v->window_ms / 1000);
	buf_put_double(b, p->peak);
	buf_puts(b, ",\"total\":");
	buf_put_double(b, p->total);
	if (p->metric == M_REFUSED) {
		buf_puts(b, ",\"share\":");
		buf_put_double(b, floor(p->share * 1000) / 1000);
	}
	buf_puts(b, ",\"usual_low\":");
	buf_put_double(b, floor(p->usual_low * 10) / 10);
	buf_puts(b, ",\"usual_high\":");
	buf_put_double(b, floor(p->usual_high * 10) / 10);
	buf_puts(b, ",\"also\":[");
	for (uint32_t i = 0; i < p->nalso; i++) {
		buf_puts(b, i > 0 ? ",{\"series\":" : "{\"series\":");
		put_series(b, v, p->also[i].entity, p->also[i].metric);
		buf_puts(b, ",\"observed\":");
		buf_put_double(b, p->also[i].observed);
		buf_putc(b, '}');
	}
	buf_puts(b, "],\"evidence\":[");
	put_evidence(b, e);
	buf_putc(b, ']');
	put_callers(b, v, p);
	buf_putc(b, '}');
}

/* ---- findings --------------------------------------------------------------------- */

static const enum field who_columns[WHO_COUNT] = {
	F_CloudProvider, F_CloudAccountId, F_CloudRegion, F_TargetResourceId, F_TargetResourceName,
	F_TargetResourceType, F_AiDeployment, F_AiModelName, F_ActorUserId, F_ActorUsername, F_ActorUserType,
	F_ActingAppId, F_SrcIpAddr,
};

static void
copy_who(struct event *f, const struct volume *v, const struct entity *e, enum who from, struct arena *arena)
{
	for (int i = (int)from; i < WHO_COUNT; i++) {
		struct slice s = entity_who(v, e, (enum who)i);

		event_set_text(f, who_columns[i], arena_dup(arena, s));
		if (s.n > WHO_BYTES - 4)		/* as long as one is kept, less the rest of a character */
			detect_mark_cut(f, who_columns[i], arena);
	}
}

static const char *
episode_name(const struct episode *p)
{
	if (p->metric == M_REFUSED)
		return p->share >= STORM_SHARE ? "AI throttle storm" : "AI refusal spike";
	return p->metric == M_REQUESTS ? "AI request spike" : "AI token spike";
}

static const char *
severity(const struct episode *p)
{
	double ratio = p->peak / (p->expected + 1);

	return ratio >= 10 ? "High" : ratio >= 3 ? "Medium" : "Low";
}

/* The columns that every finding has; its id comes from series, start and phase alone. */
static int
begin(struct event *f, const struct volume *v, uint32_t slot, enum metric m, int64_t from, int64_t last, const char *phase,
    struct event_list *say, struct buf *b, struct err *err)
{
	int64_t end_ms = (last + 1) * v->window_ms;
	char id[33];

	event_init(f);
	buf_reset(b);
	series_name(v, slot, m, b);
	if (b->failed || detect_finding_id("volume", buf_slice(b), from * v->window_ms, phase, id, err) != 0)
		return -1;
	buf_reset(b);
	event_set_number(f, F_TimeGenerated, end_ms);
	event_set_number(f, F_EventStartTime, from * v->window_ms);
	event_set_number(f, F_EventEndTime, end_ms);
	event_set_number(f, F_EventCount, last + 1 - from);
	event_set_text(f, F_EventId, arena_dup(say->arena, slice_of(id)));
	event_set_text(f, F_EventOriginalUid, event_text(f, F_EventId));
	event_set_text(f, F_EventClass, SLICE("volume_spike"));
	event_set_text(f, F_EventResult, SLICE("NA"));
	event_set_ours(f);
	copy_who(f, v, &v->entities[slot], W_PROVIDER, say->arena);
	return 0;
}

static int
end(const struct event *f, struct volume *v, struct event_list *say, struct err *err)
{
	struct event *at = event_list_add(say);

	if (at == NULL || !event_has(f, F_EventMessage) || !event_has(f, F_EventId) || !event_has(f, F_AdditionalFields))
		return err_set(err, ERR_AGAIN, "no memory for a finding");
	*at = *f;
	v->findings++;
	return 0;
}

static void
set_technique(struct event *f, int which)
{
	event_set_text(f, F_AttackTactics, slice_of(techniques[which].tactics));
	event_set_text(f, F_AttackTechniques, slice_of(techniques[which].techniques));
}

int
finding_spike(struct volume *v, const struct episode *p, const char *phase, const char *id_phase, double observed,
    struct event_list *say, struct err *err)
{
	static const enum field columns[METRICS] = { F_RequestCount, F_PromptTokens, F_CompletionTokens, F_RequestCount };
	const struct entity *caller = main_caller(v, p);
	bool over = strcmp(phase, "end") == 0;
	struct event f;
	struct buf b;
	int rc = -1;

	buf_init(&b, TEXT_BYTES * 32);		/* names of eight series and five callers, however they are escaped */
	if (begin(&f, v, p->entity, p->metric, p->start_window, p->last_window, id_phase, say, &b, err) != 0)
		goto out;
	if (caller != NULL)
		copy_who(&f, v, caller, W_ACTOR_ID, say->arena);
	event_set_text(&f, F_EventSeverity, over ? SLICE("Informational") : slice_of(severity(p)));
	set_technique(&f, p->metric);
	event_set_number(&f, columns[p->metric], (int64_t)llround(p->total));
	event_set_real(&f, F_DetectorScore, p->score);
	event_set_real(&f, F_DetectorBaseline, p->expected);
	event_set_real(&f, F_DetectorObserved, observed);
	buf_printf(&b, "volume.%s", phase);
	event_set_text(&f, F_EventOriginalType, event_list_keep(say, &b));
	event_set_text(&f, F_EventName, slice_of(episode_name(p)));
	put_message(&b, v, p, phase, observed);
	event_set_text(&f, F_EventMessage, event_list_keep(say, &b));
	if (over)
		put_over(&b, v, p);
	else
		put_reason(&b, v, p, "", observed);
	event_set_text(&f, F_DetectorReason, event_list_keep(say, &b));
	put_additional(&b, v, p, phase);
	event_set_text(&f, F_AdditionalFields, event_list_keep(say, &b));
	rc = end(&f, v, say, err);
out:
	buf_fini(&b);
	return rc;
}

/* ---- silence ------------------------------------------------------------------------ */

static void
put_silence(struct buf *b, const struct volume *v, const struct entity *e, bool over, int64_t windows, double missed)
{
	buf_puts(b, over ? "Requests are seen again" : "No request seen");
	put_where(b, v, e);
	buf_puts(b, over ? " after " : " for ");
	put_duration(b, (uint64_t)windows * v->window_ms);
	buf_puts(b, over ? " of silence; usually about " : "; usually about ");
	put_amount(b, missed);
	buf_puts(b, " come in that time. Look whether its logging was cut");
}

int
finding_silence(struct volume *v, uint32_t slot, const char *phase, int64_t from_window, int64_t window, double missed,
    struct event_list *say, struct err *err)
{
	const struct entity *e = &v->entities[slot];
	bool over = strcmp(phase, "end") == 0;
	int64_t windows = window - from_window + !over;
	char id_phase[32];
	struct event f;
	struct buf b;
	int rc = -1;

	buf_init(&b, TEXT_BYTES * 4);
	snprintf(id_phase, sizeof(id_phase), "silence.%s", phase);
	if (begin(&f, v, slot, M_REQUESTS, from_window, window, id_phase, say, &b, err) != 0)
		goto out;
	event_set_text(&f, F_EventSeverity, over ? SLICE("Informational") : SLICE("Medium"));
	set_technique(&f, METRICS);
	event_set_number(&f, F_RequestCount, 0);
	event_set_real(&f, F_DetectorScore, 1 - exp2(-missed / SILENCE_MISSED));
	event_set_real(&f, F_DetectorBaseline, missed);
	event_set_real(&f, F_DetectorObserved, 0);
	event_set_text(&f, F_EventName, SLICE("AI requests fell silent"));
	buf_printf(&b, "volume.silence.%s", phase);
	event_set_text(&f, F_EventOriginalType, event_list_keep(say, &b));
	put_silence(&b, v, e, over, windows, missed);
	event_set_text(&f, F_EventMessage, event_list_keep(say, &b));
	put_silence(&b, v, e, over, windows, missed);
	event_set_text(&f, F_DetectorReason, event_list_keep(say, &b));
	buf_puts(&b, "{\"series\":");
	put_series(&b, v, slot, M_REQUESTS);
	buf_printf(&b, ",\"phase\":\"%s\",\"window_s\":%u,\"evidence\":[", phase, v->window_ms / 1000);
	put_evidence(&b, e);
	buf_puts(&b, "]}");
	event_set_text(&f, F_AdditionalFields, event_list_keep(say, &b));
	rc = end(&f, v, say, err);
out:
	buf_fini(&b);
	return rc;
}
