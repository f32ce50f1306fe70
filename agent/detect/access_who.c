/* access_who.c - what one event tells: who called what, from where, with what, and how it went. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>

#include "base/hash.h"
#include "detect/access.h"
#include "model/resource.h"

#define DAY_SECONDS	86400

static const struct { const char *pattern; enum op_class op; uint8_t jack; } operations[] = {
#define OPERATION(pattern, class, set)	{ pattern, OP_##class, set },
#include "detect/access_operations.tbl"
#undef OPERATION
};

static const struct { const char *pattern; enum agent_kind kind; } agents[] = {
#define AGENT(pattern, kind)	{ pattern, AGENT_##kind },
#include "detect/access_agents.tbl"
#undef AGENT
};

static const struct { enum field column; const char *pattern; enum caller_kind kind; } actors[] = {
#define ACTOR(column, pattern, kind)	{ F_##column, pattern, CALLER_##kind },
#include "detect/access_actors.tbl"
#undef ACTOR
};

static const struct { const char *key; size_t key_n; const char *pattern; enum signal signal; } signals[] = {
#define SIGNAL(key, pattern, meaning)	{ key, sizeof(key) - 1, pattern, SIGNAL_##meaning },
#include "detect/access_signals.tbl"
#undef SIGNAL
};

#define ROWS(table)	(sizeof(table) / sizeof((table)[0]))

uint64_t
access_hash(const struct access *a, const char *what, struct slice s)
{
	return named_hash(a->key, what, s);
}

/* ---- who --------------------------------------------------------------------------- */

/*
 * Of an assumed role "arn:aws:sts::1:assumed-role/ROLE/SESSION" each pod and each hour may have a session of its own: one with digits and no '@' is a
 * machine's, and the role is the caller. "alice" or "alice@contoso.example" stays a caller of its own.
 */
static struct slice
without_session(struct slice id)
{
	ptrdiff_t role = slice_find_nocase(id, SLICE(":assumed-role/"), 0), last = -1;
	bool digits = false;

	if (role < 0)
		return id;
	for (size_t i = (size_t)role + 14; i < id.n; i++) {
		if (id.p[i] == '/') {
			last = (ptrdiff_t)i;
			digits = false;
		} else if (id.p[i] == '@') {
			return id;
		} else if (id.p[i] >= '0' && id.p[i] <= '9') {
			digits = true;
		}
	}
	return last > 0 && digits ? slice_make(id.p, (size_t)last) : id;
}

static struct slice
actor_of(const struct event *e)
{
	static const enum field columns[] = { F_ActorUserId, F_ActorUsername, F_ActingAppId };

	for (size_t i = 0; i < ROWS(columns); i++)
		if (event_has(e, columns[i]))
			return without_session(event_text(e, columns[i]));
	return SLICE_NONE;
}

enum caller_kind
access_kind(const struct event *e)
{
	for (size_t i = 0; i < ROWS(actors); i++)
		if (event_has(e, actors[i].column) &&
		    slice_glob_nocase(slice_of(actors[i].pattern), event_text(e, actors[i].column)))
			return actors[i].kind;
	return CALLER_UNKNOWN;
}

/* "/subscriptions/S/resourceGroups/G/providers/P/accounts/A" of anything below it; other ids as they are. */
static struct slice
top_resource(struct slice id)
{
	struct azure_id parts;
	const char *end;

	if (!azure_id_parse(id, &parts) || parts.provider.n == 0)
		return id;
	end = parts.path.p + parts.provider.n;
	for (int i = 0; i < 2 && end < parts.path.p + parts.path.n; i++) {	/* type and name */
		const char *slash = memchr(end + 1, '/', (size_t)(parts.path.p + parts.path.n - end - 1));

		end = slash != NULL ? slash : parts.path.p + parts.path.n;
	}
	return slice_make(id.p, (size_t)(end - id.p));
}

uint64_t
access_resource(const struct access *a, const struct event *e)
{
	return access_hash(a, "resource", top_resource(event_text(e, F_TargetResourceId)));
}

static bool
is_own(struct slice top)
{
	if (slice_starts_nocase(top, SLICE("arn:")))
		return slice_find_nocase(top, SLICE("::"), 0) < 0;		/* of a model no account is named */
	if (slice_starts_nocase(top, SLICE("projects/")))
		return slice_find_nocase(top, SLICE("/publishers/"), 0) < 0;
	return top.n > 0 && memchr(top.p, '/', top.n) != NULL;
}

static void
take_who(struct access *a, const struct event *e, struct sight *s)
{
	struct slice who = actor_of(e);

	s->top = top_resource(event_text(e, F_TargetResourceId));
	s->own = is_own(s->top);
	s->resource = access_hash(a, "resource", s->top);
	s->source = s->place.net[0] != '\0' ? access_hash(a, "source", event_text(e, F_SrcIpAddr)) : 0;
	s->kind = CALLER_UNKNOWN;
	if (who.n == 0) {
		s->unnamed = true;
		/* Nobody is named where a key was used; without a resource only the address is left. */
		if (s->op == OP_INVOKE && s->top.n > 0) {
			s->kind = CALLER_KEY;
			who = s->top;
		} else if (s->source != 0) {
			s->kind = CALLER_SOURCE;
			who = event_text(e, F_SrcIpAddr);
		}
	}
	s->who_n = (uint32_t)(who.n < sizeof(s->who) ? who.n : sizeof(s->who));
	for (uint32_t i = 0; i < s->who_n; i++)
		s->who[i] = (char)ascii_lower((unsigned char)who.p[i]);
	s->caller = access_hash(a, s->kind == CALLER_KEY ? "key" : s->kind == CALLER_SOURCE ? "source" : "actor", who);
}

/* ---- with what ------------------------------------------------------------------------ */

static bool
is_word(char c)
{
	return (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-' || c == '+' || c == '@';
}

/*
 * The first product, lower case, without version, digits and what follows: "Boto3/1.34 md/..." is "boto", "AsyncOpenAI/Python 1.2" "openai", any browser
 * "browser": an upgrade is no new agent.
 */
static void
agent_family(struct slice ua, char ret[48])
{
	size_t n = 0, i = 0;

	while (i < ua.n && (ua.p[i] == '[' || ua.p[i] == ' ' || ua.p[i] == '"'))
		i++;
	if (slice_starts_nocase(slice_make(ua.p + i, ua.n - i), SLICE("mozilla/"))) {
		snprintf(ret, 48, "browser");
		return;
	}
	if (slice_starts_nocase(slice_make(ua.p + i, ua.n - i), SLICE("async")))
		i += 5;
	for (; i < ua.n && n < 47; i++) {
		char c = (char)ascii_lower((unsigned char)ua.p[i]);

		if (is_word(c))
			ret[n++] = c;
		else if (c < '0' || c > '9')
			break;
	}
	while (n > 0 && (ret[n - 1] == '.' || ret[n - 1] == '-' || ret[n - 1] == '_'))
		n--;
	if (n > 2 && memcmp(ret + n - 2, "-v", 2) == 0)
		n -= 2;
	ret[n] = '\0';
}

static void
read_agent(struct access *a, struct slice ua, struct agent_seen *ret)
{
	agent_family(ua, ret->family);
	ret->kind = AGENT_APP;
	for (size_t i = 0; i < ROWS(agents); i++) {
		/* A tool is told by any part of the agent; all others by the family. */
		if (slice_glob_nocase(slice_of(agents[i].pattern), agents[i].kind == AGENT_TOOL ? ua : slice_of(ret->family))) {
			ret->kind = (uint8_t)agents[i].kind;
			break;
		}
	}
	ret->dim = ret->kind == AGENT_CLOUD ? 0 : access_hash(a, ret->kind == AGENT_TOOL ? "tool" : "agent", slice_of(ret->family));
}

static void
take_agent(struct access *a, struct sight *s)
{
	struct slice ua = event_text(s->e, F_HttpUserAgent);
	struct agent_seen *seen;
	uint64_t key;

	s->agent = "";
	s->agent_kind = AGENT_NONE;
	if (ua.n == 0)
		return;
	if (ua.n > 1024)
		ua.n = 1024;
	key = siphash24(a->key, ua.p, ua.n);
	seen = &a->agents[key % AGENTS_SEEN];
	if (seen->key != key) {
		seen->key = key;
		read_agent(a, ua, seen);
	}
	s->agent = seen->family;
	s->agent_kind = (enum agent_kind)seen->kind;
	s->dim[D_AGENT] = seen->dim;
}

/* ---- what --------------------------------------------------------------------------------- */

static bool
is_call(const struct event *e)
{
	return event_number(e, F_RequestCount, 0) > 0 || event_has(e, F_PromptTokens) || event_has(e, F_CompletionTokens);
}

static void
take_operation(struct access *a, struct sight *s)
{
	struct slice op = event_text(s->e, F_Operation);
	uint64_t h = access_hash(a, "operation", op);
	struct op_seen *seen = &a->ops[h % OPS_SEEN];

	s->op = OP_OTHER;
	s->jack = 0;
	s->dim[D_OPERATION] = h;
	if (h != 0 && seen->key != h) {
		*seen = (struct op_seen){ .key = h };
		for (size_t i = 0; i < ROWS(operations); i++)
			if (slice_glob_nocase(slice_of(operations[i].pattern), op)) {
				seen->op = operations[i].op;
				seen->jack = operations[i].jack;
				break;
			}
	}
	if (h != 0) {
		s->op = (enum op_class)seen->op;
		s->jack = seen->jack;
	}
	if (s->op == OP_OTHER && is_call(s->e))
		s->op = OP_INVOKE;
}

static uint32_t
count_texts(struct slice json)
{
	uint32_t n = 0;

	for (size_t i = 0; i < json.n; i++)
		n += json.p[i] == ',';
	return json.n > 2 ? n + 1 : 0;
}

/* ---- AdditionalFields ------------------------------------------------------------------------ */

struct more {
	struct slice	request_id, masked_ip, guardrail_policies, error_code, source;
	double		bytes;
};

static void
take_signals(const struct access *a, struct sight *s, const struct extra *x)
{
	for (size_t i = 0; i < ROWS(signals); i++)
		if (signals[i].key_n == x->key.n && memcmp(signals[i].key, x->key.p, x->key.n) == 0 &&
		    slice_glob_nocase(slice_of(signals[i].pattern), x->value)) {
			s->signals |= signals[i].signal;
			if (signals[i].signal == SIGNAL_HIDDEN && s->prompt == 0)
				s->prompt = access_hash(a, "prompt", x->value);
		}
}

static void
take_more(const struct access *a, struct sight *s, struct more *m)
{
	struct extra x;
	double d;

	*m = (struct more){ .bytes = -1 };
	extra_begin(&x, event_text(s->e, F_AdditionalFields));
	while (extra_next(&x)) {
		take_signals(a, s, &x);
		if (slice_eq(x.key, SLICE("RequestId")))
			m->request_id = x.value;
		else if (slice_eq(x.key, SLICE("CallerIpMasked")) || slice_eq(x.key, SLICE("CallerIpAddress")))
			m->masked_ip = x.value;
		else if (slice_eq(x.key, SLICE("GuardrailPolicies")))
			m->guardrail_policies = x.value;
		else if (slice_eq(x.key, SLICE("RequestBytes")) && slice_to_double(x.value, &d))
			m->bytes = d;
	}
}

static void
take_result(struct sight *s)
{
	int64_t status = event_number(s->e, F_HttpStatusCode, 0);
	struct slice result = event_text(s->e, F_EventResult);
	bool failed = slice_eq(result, SLICE("Failure"));

	s->filtered = (s->signals & SIGNAL_FILTERED) != 0;
	s->denied = status == 401 || status == 403 || (failed && (s->signals & SIGNAL_DENIED));
	s->invalid = !s->denied && !s->filtered &&
	    (status == 400 || status == 404 || status == 422 || (failed && (s->signals & SIGNAL_INVALID)));
	s->success = !s->denied && !s->invalid && !failed && (status == 0 || (status >= 200 && status < 300)) &&
	    (status != 0 || slice_eq(result, SLICE("Success")) || s->op == OP_INVOKE);
	if (s->filtered)
		s->success = false;
}

static void
take_auth(struct access *a, struct sight *s)
{
	if (s->signals & SIGNAL_KEY)
		s->auth = AUTH_KEY;
	else if (s->signals & SIGNAL_LONG_KEY)
		s->auth = AUTH_LONG_KEY;
	else if (s->signals & SIGNAL_TOKEN)
		s->auth = AUTH_TOKEN;
	else if (s->kind == CALLER_KEY)
		s->auth = AUTH_KEY;
	else if (!s->unnamed && slice_eq(event_text(s->e, F_CloudProvider), SLICE("Azure")))
		s->auth = AUTH_TOKEN;		/* Entra names its callers, keys name nobody */
	else
		s->auth = AUTH_UNKNOWN;
	if (s->auth != AUTH_UNKNOWN) {
		char kind = (char)('0' + s->auth);

		s->dim[D_AUTH] = access_hash(a, "auth", slice_make(&kind, 1));
	}
}

static void
take_dims(struct access *a, struct sight *s)
{
	struct slice model = event_text(s->e, F_AiModelName), region = event_text(s->e, F_CloudRegion);

	if (slice_eq(event_text(s->e, F_CloudProvider), SLICE("Microsoft365"))) {	/* there it is the caller's country */
		if (region.n == 2 && s->place.country[0] == '\0') {
			for (int i = 0; i < 2; i++)
				s->place.country[i] = (char)(ascii_lower((unsigned char)region.p[i]) - 'a' + 'A');
			(void)country_middle(s->place.country, &s->place.latitude, &s->place.longitude);
		}
		region = SLICE_NONE;
	} else if (s->place.country[0] != '\0' && s->place.latitude != s->place.latitude) {
		(void)country_middle(s->place.country, &s->place.latitude, &s->place.longitude);
	}
	if (model.n == 0)
		model = event_text(s->e, F_AiDeployment);
	s->dim[D_NET] = access_hash(a, "net", slice_of(s->place.net));
	s->dim[D_AREA] = access_hash(a, "area", slice_of(s->place.area));
	s->dim[D_COUNTRY] = access_hash(a, "country", slice_of(s->place.country));
	s->dim[D_RESOURCE] = s->resource;
	if (s->op == OP_INVOKE) {
		s->dim[D_MODEL] = access_hash(a, "model", model);
		s->dim[D_REGION] = access_hash(a, "region", region);
	}
}

/*
 * Whether this record came before, or another one told of this call; that it was blocked, only one of them may tell. Records of one call agree in
 * the account and in how it went.
 */
static void
take_again(struct access *a, struct sight *s, struct slice request_id)
{
	uint64_t record = access_hash(a, "record", event_text(s->e, F_EventId)), of[3];
	struct slice product = event_text(s->e, F_EventProduct), type = event_text(s->e, F_EventOriginalType);
	uint64_t kind[3] = { access_hash(a, "product", product), access_hash(a, "type", type), event_number(s->e, F_RequestCount, 0) > 0 };
	struct call *c;
	uint32_t log;

	if (record != 0 && calls_repeated(&a->calls, record)) {
		s->repeated = s->again = s->block_again = true;
		return;
	}
	of[0] = access_hash(a, "call", request_id.n > 0 ? request_id : event_text(s->e, F_EventOriginalUid));
	if (s->op != OP_INVOKE || of[0] == 0)
		return;
	of[1] = access_hash(a, "account", event_text(s->e, F_CloudAccountId));
	of[2] = (uint64_t)s->denied | (uint64_t)s->invalid << 1;
	log = (uint32_t)siphash24(a->key, kind, sizeof(kind)) | 1;
	c = calls_find(&a->calls, siphash24(a->key, of, sizeof(of)) | 1, log, s->sec);
	s->again = call_take(c, log, 0, 1) < 1;
	s->block_again = s->filtered && call_take(c, log, 1, 1) < 1;
	s->length_again = (s->length >= 0 || s->prompt != 0) && call_take(c, log, 2, 1) < 1;
}

/* A jailbreak told by the product itself is an alert, and a call as well. */
static bool
of_class(const struct event *e)
{
	struct slice class = event_text(e, F_EventClass);

	return slice_eq(class, SLICE("activity")) || (slice_eq(class, SLICE("alert")) && event_has(e, F_RequestCount));
}

bool
access_sight(struct access *a, const struct event *e, struct sight *s)
{
	int64_t t_ms = event_number(e, F_TimeGenerated, -1);
	struct slice address = event_text(e, F_SrcIpAddr);
	struct more more;

	if (!of_class(e) || t_ms < 0 || t_ms / 1000 >= (int64_t)UINT16_MAX * DAY_SECONDS ||
	    t_ms / 1000 >= UINT32_MAX || slice_eq(event_text(e, F_EventOriginalType), SLICE("AllMetrics")))
		return false;
	*s = (struct sight){ .e = e, .sec = (uint32_t)(t_ms / 1000), .length = -1 };
	s->min = s->sec / 60;
	s->day = (uint16_t)(s->sec / DAY_SECONDS);
	s->hour = (uint8_t)(s->sec / 3600 % 24);
	take_operation(a, s);
	take_more(a, s, &more);
	if (!access_place(a->networks, address.n > 0 ? address : more.masked_ip, &s->place) && !event_has(e, F_ActorUserId) &&
	    !event_has(e, F_ActorUsername) && !event_has(e, F_ActingAppId))
		return false;		/* it names nobody and no place: a usage record, a log line of the service itself */
	take_who(a, e, s);
	if (s->caller == 0)
		return false;
	take_result(s);
	take_auth(a, s);
	take_agent(a, s);
	take_dims(a, s);
	s->policies = count_texts(more.guardrail_policies);
	s->size[SIZE_PROMPT] = (double)event_number(e, F_PromptTokens, -1);
	s->size[SIZE_COMPLETION] = (double)event_number(e, F_CompletionTokens, -1);
	s->size[SIZE_BYTES] = more.bytes;
	s->length = s->size[SIZE_PROMPT] >= 0 ? s->size[SIZE_PROMPT] : more.bytes;
	take_again(a, s, more.request_id);
	return true;
}
