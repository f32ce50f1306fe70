/* convert.c - the converters that a mapping can name with `as`: one function and one row each. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"
#include "model/resource.h"

/* ---- what converters are given ---------------------------------------------------- */

bool
in_text(struct decode_ctx *c, const struct in *in, struct slice *ret, bool *ret_lasting)
{
	if (!in->has_value) {
		*ret_lasting = true;
		return val_text(c, &in->val, ret);
	}
	if (!value_text(c, in->at, ret))
		return false;
	*ret_lasting = c->doc.v[in->at].escaped == 2;
	return ret->n > 0;
}

static bool
give_text(struct slice s, bool lasting, struct val *ret)
{
	if (s.n == 0)
		return false;
	*ret = (struct val){ .kind = VAL_TEXT, .text = s, .lasting = lasting };
	return true;
}

/* A container's index; of a text that holds one, too. 0: none. */
static uint32_t
in_container(struct decode_ctx *c, const struct in *in, enum json_type type)
{
	uint32_t at = in->has_value ? in->at : 0;

	if (at != 0 && c->doc.v[at].type == JSON_STRING)
		at = walk_nested(c, at);
	return at != 0 && c->doc.v[at].type == type ? at : 0;
}

/* ---- texts --------------------------------------------------------------------------- */

static bool
convert_text(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;

	return in_text(c, in, &s, &lasting) && give_text(s, lasting, ret);
}

/* As it is, with its JSON type: for members of AdditionalFields. */
static bool
convert_native(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct json_value *v;

	if (!in->has_value) {
		*ret = in->val;
		return true;
	}
	v = &c->doc.v[in->at];
	if (!convert_text(c, in, ret))
		return false;
	if (v->type == JSON_NUMBER)
		ret->kind = VAL_NUMBER_TEXT;
	else if (v->type == JSON_TRUE || v->type == JSON_FALSE)
		ret->kind = VAL_BOOL;
	return true;
}

static bool
change_case(struct decode_ctx *c, const struct in *in, struct val *ret, bool upper)
{
	struct slice s;
	bool lasting;
	char *p;

	if (!in_text(c, in, &s, &lasting))
		return false;
	s.n = utf8_cut(s, COLUMN_MAX_BYTES);
	p = ctx_alloc(c, s.n);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char b = ascii_lower((unsigned char)s.p[i]);

		p[i] = (char)(upper && b >= 'a' && b <= 'z' ? b - 32 : b);
	}
	return give_text(slice_make(p, s.n), true, ret);
}

static bool
convert_lower(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return change_case(c, in, ret, false);
}

static bool
convert_upper(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return change_case(c, in, ret, true);
}

static bool
convert_part(struct decode_ctx *c, const struct in *in, struct val *ret, struct slice (*part)(struct slice))
{
	struct slice s;
	bool lasting;

	return in_text(c, in, &s, &lasting) && give_text(part(s), lasting, ret);
}

static struct slice
last_segment(struct slice s)
{
	const char *slash;

	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	slash = s.n > 0 ? memrchr(s.p, '/', s.n) : NULL;
	return slash == NULL ? s : slice_make(slash + 1, s.n - (size_t)(slash - s.p) - 1);
}

static bool
convert_last_segment(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return convert_part(c, in, ret, last_segment);
}

static bool
convert_guid(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return convert_part(c, in, ret, guid_of);
}

static bool
convert_severity(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return convert_part(c, in, ret, severity_word) && (ret->lasting = true);
}

static bool
convert_result(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return convert_part(c, in, ret, result_word) && (ret->lasting = true);
}

/* ---- Azure resource ids ----------------------------------------------------------------- */

static const struct azure_id *
parse_id(struct decode_ctx *c, struct slice s)
{
	struct id_memo *memo = &c->memo;

	if (memo->text.p != s.p || memo->text.n != s.n) {
		memo->text = s;
		memo->is_id = azure_id_parse(s, &memo->id);
		memo->typed = false;
	}
	return memo->is_id ? &memo->id : NULL;
}

/* Of an id that a service wrote in capitals, which Event Hubs get, a name's own spelling is lost: it is given in lower case. */
static bool
give_name(struct decode_ctx *c, struct slice id, struct slice name, bool lasting, struct val *ret)
{
	if (id.n > 15 && memcmp(id.p, "/SUBSCRIPTIONS/", 15) == 0)
		return text_lower(c, name, &name) && give_text(name, true, ret);
	return give_text(name, lasting, ret);
}

static bool
convert_azure_subscription(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct azure_id *id;
	struct slice s;
	bool lasting;

	return in_text(c, in, &s, &lasting) && (id = parse_id(c, s)) != NULL && give_text(id->subscription, lasting, ret);
}

static bool
convert_azure_group(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct azure_id *id;
	struct slice s;
	bool lasting;

	return in_text(c, in, &s, &lasting) && (id = parse_id(c, s)) != NULL && give_name(c, s, id->group, lasting, ret);
}

static bool
convert_azure_name(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct azure_id *id;
	struct slice s;
	bool lasting;

	return in_text(c, in, &s, &lasting) && (id = parse_id(c, s)) != NULL && give_name(c, s, id->name, lasting, ret);
}

/* The first resource behind the provider: the account, whatever of it the id names further down. */
static bool
convert_azure_top(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct azure_id *id;
	struct slice s, name;
	bool lasting;

	if (!in_text(c, in, &s, &lasting) || (id = parse_id(c, s)) == NULL)
		return false;
	name = id->path;
	for (int i = 0; i < 2 && name.n > 0; i++) {		/* over the provider and the type */
		const char *slash = memchr(name.p, '/', name.n);

		name = slash != NULL ? slice_make(slash + 1, name.n - (size_t)(slash + 1 - name.p)) : SLICE_NONE;
	}
	if (name.n > 0 && memchr(name.p, '/', name.n) != NULL)
		name.n = (size_t)((const char *)memchr(name.p, '/', name.n) - name.p);
	return give_name(c, s, name.n > 0 ? name : id->name, lasting, ret);
}

/* A model's deployment, of a resource id or an address; not one of resources by a template. */
static bool
convert_azure_deployment(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const struct azure_id *id;
	struct slice s, of;
	bool lasting;

	if (!in_text(c, in, &s, &lasting))
		return false;
	of = s;
	id = parse_id(c, s);
	if (id != NULL && slice_eq_nocase(id->provider, SLICE("microsoft.resources")))
		return false;
	if (id != NULL && id->path.n > 0)
		s = id->path;
	return give_name(c, of, azure_id_part(s, SLICE("deployments")), lasting, ret);
}

static struct slice
type_of(struct decode_ctx *c, struct slice id)
{
	char type[512], *p;
	size_t n = azure_id_type(id, type, sizeof(type));

	if (n == 0 || (p = ctx_alloc(c, n)) == NULL)
		return SLICE_NONE;
	return slice_make(memcpy(p, type, n), n);
}

static bool
convert_azure_type(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;

	if (!in_text(c, in, &s, &lasting) || parse_id(c, s) == NULL)
		return false;
	if (!c->memo.typed)
		c->memo.type = type_of(c, s);
	c->memo.typed = true;
	return give_text(c->memo.type, true, ret);
}

/* ---- times and numbers --------------------------------------------------------------------- */

static bool
give_int(int64_t n, struct val *ret)
{
	*ret = (struct val){ .kind = VAL_INT, .number = n };
	return true;
}

static bool
give_time(int64_t ms, struct val *ret)
{
	*ret = (struct val){ .kind = VAL_TIME, .number = ms };
	return true;
}

static bool
convert_time(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;
	int64_t ms;

	if (!in->has_value && in->val.kind == VAL_TIME)
		return give_time(in->val.number, ret);
	return in_text(c, in, &s, &lasting) && time_parse(s, &ms) && give_time(ms, ret);
}

static bool
in_number(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct val v = { 0 };
	bool lasting;

	if (!in->has_value && (in->val.kind == VAL_INT || in->val.kind == VAL_REAL)) {
		*ret = in->val;
		return true;
	}
	v.kind = VAL_TEXT;
	if (!in_text(c, in, &v.text, &lasting))
		return false;
	if (val_number(&v, &ret->number)) {
		ret->kind = VAL_INT;
		return true;
	}
	ret->kind = VAL_REAL;
	return val_real(&v, &ret->real);
}

#define TICKS_AT_1970	INT64_C(621355968000000000)

static bool
convert_dotnet_ticks(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct val v = { 0 };

	/* Before 2001 or behind 9999 it is some other number. */
	if (!in_number(c, in, &v) || v.kind != VAL_INT || v.number < INT64_C(631139040000000000) ||
	    v.number > INT64_C(3155378975999999999))
		return false;
	return give_time((v.number - TICKS_AT_1970) / 10000, ret);
}

static bool
convert_long(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct val v = { 0 };

	if (!in_number(c, in, &v))
		return false;
	if (v.kind == VAL_INT)
		return give_int(v.number, ret);
	if (!(fabs(v.real) < 9e15))
		return false;
	return give_int(llround(v.real), ret);
}

static bool
convert_duration_ms(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	return convert_long(c, in, ret) && ret->number >= 0;
}

static bool
convert_real(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct val v = { 0 };

	if (!in_number(c, in, &v))
		return false;
	*ret = (struct val){ .kind = VAL_REAL, .real = v.kind == VAL_INT ? (double)v.number : v.real };
	return true;
}

static bool
convert_bool(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting, yes;

	if (!in_text(c, in, &s, &lasting))
		return false;
	s = slice_trim(s);
	yes = slice_eq_nocase(s, SLICE("true")) || slice_eq(s, SLICE("1")) || slice_eq_nocase(s, SLICE("yes"));
	if (!yes && !slice_eq_nocase(s, SLICE("false")) && !slice_eq(s, SLICE("0")) && !slice_eq_nocase(s, SLICE("no")))
		return false;
	*ret = (struct val){ .kind = VAL_BOOL, .text = yes ? SLICE("true") : SLICE("false"), .lasting = true };
	return true;
}

static bool
convert_http_status(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;
	int status;

	if (!in_text(c, in, &s, &lasting))
		return false;
	status = http_status(s);
	return status != 0 && give_int(status, ret);
}

/* ---- containers -------------------------------------------------------------------------------- */

static bool
convert_count(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	uint32_t at, n = 0;

	if (in->has_value && c->plan->trie.nodes[in->node].counted)
		return give_int(c->found[in->node], ret);
	at = in_container(c, in, JSON_ARRAY);
	if (at == 0)
		return false;
	for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i].next)
		n++;
	return give_int(n, ret);
}

static bool
add_number(struct val *sum, const struct val *v)
{
	if (sum->kind == VAL_INT && v->kind == VAL_INT)
		return !__builtin_add_overflow(sum->number, v->number, &sum->number);
	if (sum->kind == VAL_INT)
		sum->real = (double)sum->number;
	sum->kind = VAL_REAL;
	sum->real += v->kind == VAL_INT ? (double)v->number : v->real;
	return isfinite(sum->real);
}

static bool
convert_sum(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	uint32_t at = in_container(c, in, JSON_ARRAY);
	struct val sum = { .kind = VAL_INT };
	bool any = false;

	if (at == 0) {
		*ret = sum;
		return in_number(c, in, ret);
	}
	for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i].next) {
		const struct in element = { .has_value = true, .at = i };
		struct val v = { 0 };

		if (!in_number(c, &element, &v))
			continue;
		if (!add_number(&sum, &v))
			return false;
		any = true;
	}
	*ret = sum;
	return any;
}

static bool
give_json_buf(struct decode_ctx *c, enum val_kind kind, struct val *ret)
{
	if (c->json.failed && c->json.n < JSON_MAX_BYTES / 2)
		c->short_of_memory = true;
	if (c->json.n == 0)
		return false;
	*ret = (struct val){ .kind = kind, .text = buf_slice(&c->json) };
	return true;
}

static bool
convert_list(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	uint32_t at = in_container(c, in, JSON_ARRAY);
	struct slice s;

	if (at == 0)
		return convert_text(c, in, ret);
	buf_reset(&c->json);
	for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i].next) {
		if (value_is_nothing(&c->doc, i) || !value_text(c, i, &s))
			continue;
		if (c->json.n + s.n + 1 > JSON_MAX_BYTES)
			break;
		if (c->json.n > 0)
			buf_putc(&c->json, ',');
		buf_put_slice(&c->json, s);
	}
	return give_json_buf(c, VAL_TEXT, ret);
}

static bool
convert_json(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;

	buf_reset(&c->json);
	if (in->has_value)
		render_json(c, in->at, &c->json);
	else if (val_text(c, &in->val, &s))
		buf_put_json(&c->json, slice_make(s.p, utf8_cut(s, JSON_MAX_BYTES / 8)));
	if (in->has_value)
		why_use(c, in->at);
	return give_json_buf(c, VAL_JSON, ret);
}

/* ---- the table --------------------------------------------------------------------------------- */

static const struct converter converters[] = {
	{ "text", convert_text, GIVES_TEXT },
	{ "lower", convert_lower, GIVES_TEXT },
	{ "upper", convert_upper, GIVES_TEXT },
	{ "time", convert_time, GIVES_TIME },
	{ "dotnet_ticks", convert_dotnet_ticks, GIVES_TIME },
	{ "duration_ms", convert_duration_ms, GIVES_NUMBER },
	{ "long", convert_long, GIVES_NUMBER },
	{ "int", convert_long, GIVES_NUMBER },
	{ "real", convert_real, GIVES_NUMBER },
	{ "bool", convert_bool, GIVES_TEXT },
	{ "severity", convert_severity, GIVES_TEXT },
	{ "result", convert_result, GIVES_TEXT },
	{ "http_status", convert_http_status, GIVES_NUMBER },
	{ "ip", convert_ip, GIVES_TEXT },
	{ "list", convert_list, GIVES_TEXT },
	{ "sum", convert_sum, GIVES_NUMBER },
	{ "count", convert_count, GIVES_NUMBER },
	{ "json", convert_json, GIVES_JSON },
	{ "azure_subscription", convert_azure_subscription, GIVES_TEXT },
	{ "azure_group", convert_azure_group, GIVES_TEXT },
	{ "azure_name", convert_azure_name, GIVES_TEXT },
	{ "azure_top", convert_azure_top, GIVES_TEXT },
	{ "azure_type", convert_azure_type, GIVES_TEXT },
	{ "azure_deployment", convert_azure_deployment, GIVES_TEXT },
	{ "last_segment", convert_last_segment, GIVES_TEXT },
	{ "guid", convert_guid, GIVES_TEXT },
	{ "model_name", convert_model_name, GIVES_TEXT },
	{ "model_version", convert_model_version, GIVES_TEXT },
	{ "tactics", convert_tactics, GIVES_TEXT },
	{ "html_text", convert_html_text, GIVES_TEXT },
	{ "azure_scope", convert_azure_scope, GIVES_TEXT },
	{ "url", convert_url, GIVES_TEXT },
	{ "url_host", convert_url_host, GIVES_TEXT },
};

static const struct converter native = { "native", convert_native, GIVES_TEXT };

const char *
converter_words(void)
{
	return "text|lower|upper|time|dotnet_ticks|duration_ms|long|int|real|bool|severity|result|http_status|ip|list|sum|"
	    "count|json|azure_subscription|azure_group|azure_name|azure_top|azure_type|azure_deployment|last_segment|guid|"
	    "model_name|model_version|tactics|html_text|azure_scope|url|url_host";
}

const struct converter *
converter_find(const char *name)
{
	for (size_t i = 0; i < sizeof(converters) / sizeof(converters[0]); i++)
		if (strcmp(converters[i].name, name) == 0)
			return &converters[i];
	return NULL;
}

const struct converter *
converter_default(int field)
{
	if (field < 0)
		return &native;
	switch (field_rows[field].type) {
	case FIELD_TIME:
		return converter_find("time");
	case FIELD_INT:
	case FIELD_LONG:
		return converter_find("long");
	case FIELD_REAL:
		return converter_find("real");
	case FIELD_JSON:
		return converter_find("json");
	default:
		return converter_find("text");
	}
}
