/* config_what.c - whether an event tells of a configuration operation, of which object, by which record of how many. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>

#include "base/buf.h"
#include "base/hash.h"
#include "detect/config_parts.h"
#include "model/resource.h"

#define NAME_BYTES	256

static const struct change_row rows[] = {
#define CHANGE(pattern, where, kind, effect, severity, code, object) \
	{ pattern, WHERE_##where, kind, EFFECT_##effect, severity, code, object },
#include "detect/config_changes.tbl"
#undef CHANGE
};

/* Members of AdditionalFields that hold what was asked for, the best first; of an answer only where nothing was asked. */
static const char *const bodies[] = { "PolicyDelta", "RequestBody", "Change", "Changes", "ResponseBody" };
#define ANSWER	4

static const struct { const char *type, *kind; } inventory[] = {
#define INVENTORY(type, kind)	{ type, kind },
#include "detect/config_inventory.tbl"
#undef INVENTORY
};

uint64_t
config_hash(const struct config *c, const char *what, struct slice s)
{
	return named_hash(c->key, what, s);
}

/* ---- which operation -------------------------------------------------------------------- */

/* "bedrock" of EventSource "bedrock.amazonaws.com", else by the type. */
static struct slice
aws_service(struct slice extra, struct slice type)
{
	struct slice source = extra_get(extra, "EventSource");
	const char *dot = source.n > 0 ? memchr(source.p, '.', source.n) : NULL;

	if (dot != NULL)
		return slice_make(source.p, (size_t)(dot - source.p));
	return slice_eq(type, SLICE("amazon_sagemaker")) ? SLICE("sagemaker") : slice_eq(type, SLICE("amazon_bedrock")) ? SLICE("bedrock") :
	    SLICE("unknown");
}

static struct slice
name_of(const struct event *e, struct slice extra, char ret[NAME_BYTES])
{
	struct slice op = event_text(e, F_Operation), cloud = event_text(e, F_CloudProvider), service;
	int n;

	if (slice_starts_nocase(op, SLICE("microsoft.")))
		return op;
	if (op.n > 160)
		op.n = 160;
	if (slice_eq(cloud, SLICE("AWS"))) {
		service = aws_service(extra, event_text(e, F_TargetResourceType));
		n = snprintf(ret, NAME_BYTES, "aws:%.*s:%.*s", (int)(service.n < 48 ? service.n : 48), service.p, (int)op.n, op.p);
	} else {
		n = snprintf(ret, NAME_BYTES, "%s:%.*s", slice_eq(cloud, SLICE("GCP")) ? "gcp" :
		    slice_eq(cloud, SLICE("Microsoft365")) ? "m365" : "other", (int)op.n, op.p);
	}
	return slice_make(ret, (size_t)n);
}

/* An AI resource, or something as wide as a subscription, a group or a project. */
static bool
is_about_ai(const struct event *e, struct slice extra)
{
	struct slice type = event_text(e, F_TargetResourceType), id = event_text(e, F_TargetResourceId);
	struct azure_id parts;

	if (type.n > 0 && !slice_eq(type, SLICE("other")))
		return true;
	if (slice_find_nocase(extra_get(extra, "EventSource"), SLICE("bedrock"), 0) >= 0)
		return true;
	if (slice_eq(event_text(e, F_CloudProvider), SLICE("GCP")))		/* a project, a folder, an organisation: two segments */
		return id.n > 0 && memchr(id.p, '/', id.n) == memrchr(id.p, '/', id.n);
	if (!azure_id_parse(id, &parts))
		return false;
	/* An extension (a role, a setting) that stands on no resource stands on the subscription or the group. */
	return parts.provider.n == 0 || slice_eq_nocase(parts.provider, SLICE("microsoft.authorization")) ||
	    slice_eq_nocase(parts.provider, SLICE("microsoft.insights")) || slice_starts_nocase(parts.path, SLICE("microsoft.search/")) ||
	    slice_find_nocase(id, SLICE("/providers/microsoft.cognitiveservices/"), 0) >= 0 ||
	    slice_find_nocase(id, SLICE("/providers/microsoft.machinelearningservices/"), 0) >= 0;
}

bool
config_is_about_ai(const struct event *e)
{
	return is_about_ai(e, event_text(e, F_AdditionalFields));
}

static const struct change_row *
row_of(const struct event *e, struct slice extra, struct slice name)
{
	bool ai = is_about_ai(e, extra);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (slice_glob_nocase(slice_of(rows[i].pattern), name) && (rows[i].where == WHERE_ANY || ai))
			return rows[i].effect != EFFECT_NONE ? &rows[i] : NULL;
	return NULL;
}

/* ---- which object ------------------------------------------------------------------------- */

static struct slice
last_segment(struct slice s)
{
	for (size_t i = s.n; i > 0; i--)
		if (s.p[i - 1] == '/')
			return slice_make(s.p + i, s.n - i);
	return s;
}

/* Azure's ids are whole; AWS tells one object by its ARN, its id or its name, the last part of each being the same. */
static uint64_t
object_of(const struct config *c, const struct event *e, const char *kind, struct slice id)
{
	char text[600];
	struct slice account = event_text(e, F_CloudAccountId), region = event_text(e, F_CloudRegion);
	int n;

	if (id.n > 400)
		id = slice_make(id.p + id.n - 400, 400);
	if (slice_eq(event_text(e, F_CloudProvider), SLICE("AWS"))) {
		if (strcmp(kind, "invocation_logging") == 0 || id.n == 0)
			id = SLICE("-");
		id = last_segment(id);
		n = snprintf(text, sizeof(text), "%s %.*s %.*s %.*s", kind, (int)(account.n < 64 ? account.n : 64), account.n > 0 ? account.p : "",
		    (int)(region.n < 32 ? region.n : 32), region.n > 0 ? region.p : "", (int)id.n, id.p);
	} else {
		n = snprintf(text, sizeof(text), "%s %.*s", kind, (int)id.n, id.n > 0 ? id.p : "-");
	}
	return config_hash(c, "object", slice_make(text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1));
}

static struct slice
id_of(const struct event *e, struct slice extra)
{
	struct slice id = extra_get(extra, "ExtensionId");

	if (id.n == 0)
		id = event_text(e, F_TargetResourceId);
	return id.n > 0 ? id : event_text(e, F_TargetResourceName);
}

/* ---- which record ----------------------------------------------------------------------------- */

/*
 * {"length":N,"sha256":"…"}, to the letter, stands for what was too long or is not told. Who sends a body of just this form gains nothing: it says nothing
 * that could be compared either. One with anything more is a body.
 */
static bool
is_stand_in(struct slice body)
{
	const struct slice begin = SLICE("{\"length\":"), middle = SLICE(",\"sha256\":\"");
	size_t i = begin.n, digits, hex;

	if (body.n < begin.n || memcmp(body.p, begin.p, begin.n) != 0)
		return false;
	for (digits = i; i < body.n && body.p[i] >= '0' && body.p[i] <= '9'; i++)
		;
	if (i == digits || body.n - i < middle.n || memcmp(body.p + i, middle.p, middle.n) != 0)
		return false;
	i += middle.n;
	for (hex = i; i < body.n && memchr("0123456789abcdef", body.p[i], 16) != NULL; i++)
		;
	return i - hex == 2 * SHA256_BYTES && body.n - i == 2 && memcmp(body.p + i, "\"}", 2) == 0;
}

/* What was asked for; where it is not told, the answer may still say what is now. */
static void
take_body(const struct config *config, struct slice extra, struct change *c)
{
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]) && c->body.n == 0; i++) {
		struct slice body = extra_get_json(extra, bodies[i]);

		if (body.n > BODY_BYTES || is_stand_in(body))
			c->hidden = body;
		else if (body.n > 2)
			c->body = body;
		if (i != ANSWER && c->asked == 0 && body.n > 2)
			c->asked = config_hash(config, "asked", body) | 1;
	}
}

/* All records of one operation have this in common; empty: it has one record. */
static struct slice
group_of(struct slice extra)
{
	struct slice group = extra_get(extra, "CorrelationId");

	return group.n > 0 ? group : extra_get(extra, "OperationId");
}

static void
put_series(struct change *c, struct slice group, struct slice name, struct slice id)
{
	struct slice own = event_text(c->e, F_EventOriginalUid);

	if (group.n == 0)
		group = own.n > 0 ? own : event_text(c->e, F_EventId);
	if (group.n > 100)
		group.n = 100;
	if (name.n > 100)
		name.n = 100;
	if (id.n > 160)
		id = slice_make(id.p + id.n - 160, 160);
	snprintf(c->series, sizeof(c->series), "%.*s %.*s %.*s", (int)name.n, name.p, (int)id.n, id.n > 0 ? id.p : "-", (int)group.n,
	    group.n > 0 ? group.p : "-");
	for (char *p = c->series; *p != '\0'; p++)
		*p = (char)ascii_lower((unsigned char)*p);
}

bool
config_change_of(struct config *config, const struct event *e, struct change *c)
{
	struct slice extra = event_text(e, F_AdditionalFields), name, group, id, result = event_text(e, F_EventResult);
	char text[NAME_BYTES];

	if (!slice_eq(event_text(e, F_EventClass), SLICE("activity")) || !event_has(e, F_Operation) ||
	    event_number(e, F_RequestCount, 0) > 0 || event_number(e, F_TimeGenerated, -1) < 0)
		return false;
	*c = (struct change){ .e = e, .t_ms = event_number(e, F_TimeGenerated, 0) };
	name = name_of(e, extra, text);
	c->row = row_of(e, extra, name);
	if (c->row == NULL)
		return false;
	group = group_of(extra);
	id = id_of(e, extra);
	put_series(c, group, name, id);
	c->op = config_hash(config, "op", slice_of(c->series));
	c->object = object_of(config, e, c->row->kind, id);
	take_body(config, extra, c);
	c->failed = slice_eq(result, SLICE("Failure"));
	c->ended = group.n == 0 || !slice_eq(result, SLICE("NA"));
	return true;
}

/* ---- inventory ------------------------------------------------------------------------------------ */

bool
config_inventory_of(struct config *config, const struct event *e, uint64_t *ret_object, struct buf *out)
{
	struct slice extra = event_text(e, F_AdditionalFields), type = event_text(e, F_EventOriginalType), body, v;
	const char *kind = NULL;

	for (size_t i = 0; kind == NULL && i < sizeof(inventory) / sizeof(inventory[0]); i++)
		if (slice_glob_nocase(slice_of(inventory[i].type), type))
			kind = inventory[i].kind;
	if (kind == NULL)
		return false;
	body = extra_get_json(extra, "Configuration");
	if (body.n > 2 && body.p[0] == '{' && !is_stand_in(body)) {
		buf_puts(out, "{\"properties\":");
		buf_put_slice(out, body);
		v = extra_get(extra, "Capacity");
		if (v.n > 0 && v.n < 20)
			buf_printf(out, ",\"sku\":{\"capacity\":%.*s}", (int)v.n, v.p);
		buf_putc(out, '}');
	} else if (strcmp(kind, "defender_plan") == 0 && (v = extra_get(extra, "PricingTier")).n > 0) {
		buf_puts(out, "{\"properties\":{\"pricingTier\":\"");
		buf_put_slice(out, v);
		buf_putc(out, '"');
		v = extra_get_json(extra, "Extensions");
		if (v.n > 2 && v.p[0] == '[') {
			buf_puts(out, ",\"extensions\":");
			buf_put_slice(out, v);
		}
		buf_puts(out, "}}");
	} else {
		return false;
	}
	*ret_object = object_of(config, e, kind, id_of(e, extra));
	return !out->failed;
}
