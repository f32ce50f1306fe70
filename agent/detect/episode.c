/*
 * episode.c - from surprises to findings: one episode a resource at a time, with a start, updates and an end.
 *
 * A surge shows in many series at once: the resource's, a deployment's, a caller's, in requests and in tokens. The one that explains most
 * and says most leads; the others are named in AdditionalFields.also.
 */
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

#define QUIET_WINDOWS	5		/* an episode ends after so many without a surprise */
#define UPDATE_MS	900000		/* at most one update in this time, and only if the peak doubled */
#define LONE_CALLER	1.5		/* a caller is noisier than its resource: this surprise, when nothing else is */
#define SHARE		0.6		/* a caller or deployment leads if it has this much of the resource's excess */
#define TEXT_BYTES	4096

static const struct { const char *tactics, *techniques; } techniques[METRICS] = {
#define TECHNIQUE(metric, tactics, techniques)	[metric] = { tactics, techniques },
#include "detect/techniques.tbl"
#undef TECHNIQUE
};

/* ---- who leads ------------------------------------------------------------------ */

static double
excess(const struct surprise *s)
{
	return s->observed - s->says.expected;
}

/* The best of a resource's surprises: most surprising metric on the resource, then the part that explains it. */
static const struct surprise *
leader(const struct volume *v, uint32_t root)
{
	const struct surprise *top = NULL, *part = NULL;

	for (uint32_t i = 0; i < v->nsurprises; i++) {
		const struct surprise *s = &v->surprises[i];

		if (v->entities[s->entity].root == root && (top == NULL || s->says.surprise > top->says.surprise))
			top = s;
	}
	for (uint32_t i = 0; top != NULL && i < v->nsurprises; i++) {
		const struct surprise *s = &v->surprises[i];

		if (v->entities[s->entity].root == root && s->metric == top->metric && excess(s) >= SHARE * excess(top) &&
		    (part == NULL || v->entities[s->entity].kind > v->entities[part->entity].kind))
			part = s;
	}
	return part != NULL ? part : top;
}

static void
note_also(struct volume *v, struct episode *p)
{
	for (uint32_t i = 0; i < v->nsurprises && p->nalso < EPISODE_ALSO; i++) {
		const struct surprise *s = &v->surprises[i];
		bool known = s->entity == p->entity && s->metric == p->metric;

		if (v->entities[s->entity].root != p->root)
			continue;
		for (uint32_t k = 0; k < p->nalso; k++)
			known = known || (p->also[k].entity == s->entity && p->also[k].metric == s->metric);
		if (known)
			continue;
		p->also[p->nalso].entity = s->entity;
		p->also[p->nalso].metric = s->metric;
		p->also[p->nalso++].observed = s->observed;
	}
}

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
caller_name(const struct entity *e)
{
	static const enum who names[] = { W_ACTOR_NAME, W_ACTOR_ID, W_APP, W_ADDRESS };

	for (size_t i = 0; i < 4; i++)
		if (entity_who(e, names[i]).n > 0)
			return entity_who(e, names[i]);
	return SLICE("unknown");
}

static void
put_where(struct buf *b, const struct entity *e)
{
	struct slice resource = entity_who(e, W_RESOURCE_NAME);

	if (resource.n == 0)
		resource = entity_who(e, W_RESOURCE);
	if (e->kind == E_DEPLOYMENT) {
		buf_puts(b, " on deployment ");
		buf_put_slice(b, entity_who(e, W_DEPLOYMENT));
		buf_puts(b, " of ");
	} else if (e->kind == E_CALLER) {
		buf_puts(b, " by caller ");
		buf_put_slice(b, caller_name(e));
		buf_puts(b, " on ");
	} else {
		buf_puts(b, " on ");
	}
	buf_put_slice(b, resource);
}

static void
put_reason(struct buf *b, const struct volume *v, const struct episode *p, double observed)
{
	put_amount(b, observed);
	buf_printf(b, " %s in ", metric_words(p->metric));
	put_duration(b, v->window_ms);
	buf_puts(b, ", usually ");
	put_amount(b, p->usual_low);
	buf_puts(b, " to ");
	put_amount(b, ceil(p->usual_high));
	buf_puts(b, " at this hour");
}

static void
put_message(struct buf *b, const struct volume *v, const struct episode *p, const char *phase, double observed)
{
	const struct entity *e = &v->entities[p->entity];

	if (strcmp(phase, "end") == 0) {
		buf_puts(b, "The spike of ");
		buf_puts(b, metric_words(p->metric));
		put_where(b, e);
		buf_puts(b, " is over after ");
		put_duration(b, (uint64_t)(p->last_window + 1 - p->start_window) * v->window_ms);
		buf_puts(b, ": ");
		put_amount(b, p->total);
		buf_puts(b, " in all");
		return;
	}
	put_amount(b, observed);
	buf_printf(b, " %s in ", metric_words(p->metric));
	put_duration(b, v->window_ms);
	put_where(b, e);
	buf_puts(b, ", usually ");
	put_amount(b, p->usual_low);
	buf_puts(b, " to ");
	put_amount(b, ceil(p->usual_high));
	buf_puts(b, " at this hour");
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
put_additional(struct buf *b, const struct volume *v, const struct episode *p, const char *phase)
{
	const struct entity *e = &v->entities[p->entity];

	buf_puts(b, "{\"series\":");
	put_series(b, v, p->entity, p->metric);
	buf_printf(b, ",\"phase\":\"%s\",\"window_s\":%u,\"peak\":", phase, v->window_ms / 1000);
	buf_put_double(b, p->peak);
	buf_puts(b, ",\"total\":");
	buf_put_double(b, p->total);
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
	for (int i = 0, n = 0; i < EVIDENCE; i++)
		if (e->evidence[i][0] != '\0') {
			buf_puts(b, n++ > 0 ? "," : "");
			buf_put_json(b, slice_of(e->evidence[i]));
		}
	buf_puts(b, "]}");
}

/* ---- findings --------------------------------------------------------------------- */

/* A text of its own in the list's arena, made by `put`. */
static struct slice
keep(struct event_list *say, struct buf *b)
{
	struct slice s = b->failed ? SLICE_NONE : arena_dup(say->arena, buf_slice(b));

	buf_reset(b);
	return s;
}

static void
copy_who(struct event *f, const struct entity *e, struct arena *arena)
{
	static const enum field columns[WHO_COUNT] = {
		F_CloudProvider, F_CloudAccountId, F_CloudRegion, F_TargetResourceId, F_TargetResourceName,
		F_TargetResourceType, F_AiDeployment, F_AiModelName, F_ActorUserId, F_ActorUsername, F_ActorUserType,
		F_ActingAppId, F_SrcIpAddr,
	};

	for (int i = 0; i < WHO_COUNT; i++)
		event_set_text(f, columns[i], arena_dup(arena, entity_who(e, i)));
}

static const char *
severity(const struct episode *p)
{
	double ratio = p->peak / (p->expected + 1);

	return ratio >= 10 ? "High" : ratio >= 3 ? "Medium" : "Low";
}

static void
set_amounts(struct event *f, const struct episode *p, double observed)
{
	static const enum field columns[METRICS] = { F_RequestCount, F_PromptTokens, F_CompletionTokens, F_RequestCount };

	event_set_number(f, columns[p->metric], (int64_t)llround(observed));
	event_set_real(f, F_DetectorScore, p->score);
	event_set_real(f, F_DetectorBaseline, p->expected);
	event_set_real(f, F_DetectorObserved, observed);
}

static void
set_fixed(struct event *f, const struct volume *v, const struct episode *p, struct slice type)
{
	int64_t end_ms = (p->last_window + 1) * v->window_ms;

	event_set_number(f, F_TimeGenerated, end_ms);
	event_set_number(f, F_EventStartTime, p->start_window * v->window_ms);
	event_set_number(f, F_EventEndTime, end_ms);
	event_set_number(f, F_EventCount, p->last_window + 1 - p->start_window);
	event_set_text(f, F_EventClass, SLICE("volume_spike"));
	event_set_text(f, F_EventSeverity, slice_of(severity(p)));
	event_set_text(f, F_EventResult, SLICE("NA"));
	event_set_text(f, F_EventVendor, SLICE("aispm-agent"));
	event_set_text(f, F_EventProduct, SLICE("aispm-agent"));
	event_set_text(f, F_EventOriginalType, type);
	event_set_text(f, F_EventSchemaVersion, SLICE("1"));
	event_set_text(f, F_AttackTactics, slice_of(techniques[p->metric].tactics));
	event_set_text(f, F_AttackTechniques, slice_of(techniques[p->metric].techniques));
}

/* `phase` for people ("update"), `id_phase` for the id ("update2"). */
static int
say_finding(struct volume *v, const struct episode *p, const char *phase, const char *id_phase, double observed,
    struct event_list *say, struct err *err)
{
	struct event f;
	struct event *at;
	struct buf b;
	char id[33];
	int rc = -1;

	event_init(&f);
	buf_init(&b, TEXT_BYTES * 4);
	series_name(v, p->entity, p->metric, &b);
	if (b.failed || detect_finding_id("volume", buf_slice(&b), p->start_window * v->window_ms, id_phase, id, err) != 0)
		goto out;
	buf_reset(&b);
	buf_printf(&b, "volume.%s", phase);
	set_fixed(&f, v, p, keep(say, &b));
	event_set_text(&f, F_EventId, arena_dup(say->arena, slice_of(id)));
	event_set_text(&f, F_EventOriginalUid, event_text(&f, F_EventId));
	copy_who(&f, &v->entities[p->entity], say->arena);
	set_amounts(&f, p, observed);
	buf_printf(&b, "AI %s spike", p->metric == M_REQUESTS ? "request" : p->metric == M_REFUSED ? "refusal" : "token");
	event_set_text(&f, F_EventName, keep(say, &b));
	put_message(&b, v, p, phase, observed);
	event_set_text(&f, F_EventMessage, keep(say, &b));
	put_reason(&b, v, p, observed);
	event_set_text(&f, F_DetectorReason, keep(say, &b));
	put_additional(&b, v, p, phase);
	event_set_text(&f, F_AdditionalFields, keep(say, &b));
	at = event_list_add(say);
	if (at == NULL || !event_has(&f, F_EventMessage) || !event_has(&f, F_EventId)) {
		err_set(err, ERR_AGAIN, "no memory for a finding");
		goto out;
	}
	*at = f;
	v->findings++;
	rc = 0;
out:
	buf_fini(&b);
	return rc;
}

/* ---- episodes ----------------------------------------------------------------------- */

static int
begin(struct volume *v, const struct surprise *s, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t root = v->entities[s->entity].root;
	struct episode *p;

	if (v->nepisodes == MAX_EPISODES)
		return 0;
	p = &v->episodes[v->nepisodes++];
	*p = (struct episode){ .root = root, .entity = s->entity, .metric = s->metric, .start_window = window,
		.last_window = window, .last_said_window = window, .peak = s->observed, .peak_said = s->observed,
		.total = s->observed, .expected = s->says.expected, .usual_low = s->says.usual_low,
		.usual_high = s->says.usual_high, .score = s->says.score };
	v->entities[root].episode = v->nepisodes;
	note_also(v, p);
	return say_finding(v, p, "start", "start", s->observed, say, err);
}

static int
go_on(struct volume *v, struct episode *p, const struct surprise *s, int64_t window, struct event_list *say,
    struct err *err)
{
	char phase[24];

	p->last_window = window;
	p->quiet = 0;
	note_also(v, p);
	if (s->entity != p->entity || s->metric != p->metric)
		return 0;
	p->total += s->observed;
	if (s->observed > p->peak)
		p->peak = s->observed;
	if (s->says.score > p->score)
		p->score = s->says.score;
	if (p->peak < 2 * p->peak_said || (window - p->last_said_window) * v->window_ms < UPDATE_MS)
		return 0;
	p->peak_said = p->peak;
	p->last_said_window = window;
	snprintf(phase, sizeof(phase), "update%u", ++p->updates);
	return say_finding(v, p, "update", phase, s->observed, say, err);
}

static void
drop(struct volume *v, uint32_t i)
{
	v->entities[v->episodes[i].root].episode = 0;
	v->nepisodes--;
	memmove(&v->episodes[i], &v->episodes[i + 1], (v->nepisodes - i) * sizeof(v->episodes[0]));
	for (; i < v->nepisodes; i++)
		v->entities[v->episodes[i].root].episode = i + 1;
}

void
episode_forget(struct volume *v, uint32_t slot)
{
	for (uint32_t i = 0; i < v->nepisodes;) {
		struct episode *p = &v->episodes[i];

		if (p->root == slot || p->entity == slot) {
			drop(v, i);
			continue;
		}
		for (uint32_t k = 0; k < p->nalso;)
			if (p->also[k].entity == slot)
				p->also[k] = p->also[--p->nalso];
			else
				k++;
		i++;
	}
}

static bool
resource_agrees(const struct volume *v, uint32_t root)
{
	for (uint32_t i = 0; i < v->nsurprises; i++)
		if (v->entities[v->surprises[i].entity].root == root && v->entities[v->surprises[i].entity].kind != E_CALLER)
			return true;
	return false;
}

static int
hear(struct volume *v, uint32_t root, int64_t window, struct event_list *say, struct err *err)
{
	uint32_t open = v->entities[root].episode;
	const struct surprise *lead = leader(v, root);

	if (open == 0)
		return lead->says.surprise >= LONE_CALLER || resource_agrees(v, root) ? begin(v, lead, window, say, err) : 0;
	for (uint32_t i = 0; i < v->nsurprises; i++) {		/* the series that began it tells how it goes on */
		const struct surprise *s = &v->surprises[i];

		if (s->entity == v->episodes[open - 1].entity && s->metric == v->episodes[open - 1].metric)
			lead = s;
	}
	return go_on(v, &v->episodes[open - 1], lead, window, say, err);
}

int
episode_window(struct volume *v, int64_t window, struct event_list *say, struct err *err)
{
	int rc = 0;

	for (uint32_t i = 0; i < v->nsurprises; i++) {
		uint32_t root = v->entities[v->surprises[i].entity].root, k = 0;

		while (k < i && v->entities[v->surprises[k].entity].root != root)
			k++;
		if (k == i && hear(v, root, window, say, err) != 0)
			rc = -1;
	}
	for (uint32_t i = 0; i < v->nepisodes;) {
		struct episode *p = &v->episodes[i];

		if (p->last_window == window || ++p->quiet < QUIET_WINDOWS) {
			i++;
			continue;
		}
		if (say_finding(v, p, "end", "end", p->peak, say, err) != 0)
			rc = -1;
		drop(v, i);
	}
	return rc;
}
