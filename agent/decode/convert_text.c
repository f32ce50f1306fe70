/* convert_text.c - converters that look closely at a text (addresses, tactics, HTML), and values as text or number. */
#include "decode/plan.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/clock.h"

/* ---- values ---------------------------------------------------------------------------- */

/* In the last bytes of 48. */
static struct slice
digits(int64_t number, char p[48])
{
	uint64_t n = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
	size_t at = 48;

	do
		p[--at] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	if (number < 0)
		p[--at] = '-';
	return slice_make(p + at, 48 - at);
}

static bool
format(struct decode_ctx *c, const struct val *v, struct slice *ret)
{
	char *p = ctx_alloc(c, 48);
	struct buf b;

	if (p == NULL)
		return false;
	if (v->kind == VAL_TIME) {
		time_format_ms(v->number, p);
		*ret = slice_make(p, TIME_TEXT_BYTES - 1);
		return true;
	}
	if (v->kind == VAL_INT) {
		*ret = digits(v->number, p);
		return true;
	}
	buf_init(&b, 64);
	buf_put_double(&b, v->real);
	if (b.failed || b.n > 48)
		c->short_of_memory = true;
	else
		*ret = slice_make(memcpy(p, b.p, b.n), b.n);
	buf_fini(&b);
	return !c->short_of_memory;
}

bool
val_text(struct decode_ctx *c, const struct val *v, struct slice *ret)
{
	switch (v->kind) {
	case VAL_TIME:
	case VAL_INT:
	case VAL_REAL:
		return format(c, v, ret);
	default:
		*ret = v->text;
		return v->text.n > 0;
	}
}

bool
val_number(const struct val *v, int64_t *ret)
{
	switch (v->kind) {
	case VAL_INT:
		*ret = v->number;
		return true;
	case VAL_TEXT:
	case VAL_NUMBER_TEXT:
		return slice_to_i64(slice_trim(v->text), ret);
	default:
		return false;
	}
}

bool
val_real(const struct val *v, double *ret)
{
	switch (v->kind) {
	case VAL_INT:
		*ret = (double)v->number;
		return true;
	case VAL_REAL:
		*ret = v->real;
		return true;
	case VAL_TEXT:
	case VAL_NUMBER_TEXT:
		return slice_to_double(slice_trim(v->text), ret);
	default:
		return false;
	}
}

/* ---- addresses ----------------------------------------------------------------------------- */

static bool
is_v4(struct slice s)
{
	unsigned parts = 0, n = 0, value = 0;

	for (size_t i = 0; i <= s.n; i++) {
		if (i == s.n || s.p[i] == '.') {
			if (n == 0 || value > 255 || ++parts > 4)
				return false;
			n = value = 0;
		} else if (s.p[i] < '0' || s.p[i] > '9' || n == 3 || (n > 0 && value == 0)) {
			return false;
		} else {
			value = value * 10 + (unsigned)(s.p[i] - '0');
			n++;
		}
	}
	return parts == 4;
}

static bool
is_port(struct slice s)
{
	int64_t port;

	return s.n <= 5 && slice_to_i64(s, &port) && port >= 0 && port <= 65535;
}

static bool
is_v6(struct slice s, struct in6_addr *ret)
{
	char text[INET6_ADDRSTRLEN];

	if (s.n < 2 || s.n >= sizeof(text) || memchr(s.p, '\0', s.n) != NULL)
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return inet_pton(AF_INET6, text, ret) == 1;
}

/* The address in a text that may also hold a port, or .p NULL. */
static struct slice
address(struct slice s, struct in6_addr *v6, bool *ret_mapped)
{
	const char *close, *colon;

	*ret_mapped = false;
	s = slice_trim(s);
	if (s.n < 2 || s.n > 64)
		return SLICE_NONE;
	if (is_v4(s))
		return s;
	colon = memchr(s.p, ':', s.n);
	if (s.p[0] == '[') {
		close = memchr(s.p, ']', s.n);
		if (close == NULL)
			return SLICE_NONE;
		if (close + 1 != s.p + s.n && (close[1] != ':' ||
		    !is_port(slice_make(close + 2, s.n - (size_t)(close - s.p) - 2))))
			return SLICE_NONE;
		s = slice_make(s.p + 1, (size_t)(close - s.p) - 1);
	} else if (colon != NULL && is_v4(slice_make(s.p, (size_t)(colon - s.p)))) {
		if (!is_port(slice_make(colon + 1, s.n - (size_t)(colon - s.p) - 1)))
			return SLICE_NONE;
		return slice_make(s.p, (size_t)(colon - s.p));
	}
	if (!is_v6(s, v6))
		return SLICE_NONE;
	*ret_mapped = IN6_IS_ADDR_V4MAPPED(v6);
	return s;
}

bool
convert_ip(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct in6_addr v6;
	struct slice s;
	bool lasting, mapped;
	char *p;

	if (!in_text(c, in, &s, &lasting))
		return false;
	s = address(s, &v6, &mapped);
	if (s.p == NULL)
		return false;
	if (memchr(s.p, ':', s.n) != NULL) {		/* of many spellings RFC 5952's */
		p = ctx_alloc(c, INET6_ADDRSTRLEN);
		if (p == NULL || inet_ntop(mapped ? AF_INET : AF_INET6, v6.s6_addr + (mapped ? 12 : 0), p, INET6_ADDRSTRLEN) == NULL)
			return false;
		s = slice_of(p);
		lasting = true;
	}
	*ret = (struct val){ .kind = VAL_TEXT, .text = s, .lasting = lasting };
	return true;
}

/* ---- tactics ----------------------------------------------------------------------------------- */

static bool
is_letter(char b)
{
	return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (unsigned char)b >= 0x80;
}

static bool
already_there(struct slice list, struct slice word)
{
	size_t from = 0;

	for (size_t i = 0; i <= list.n; i++)
		if (i == list.n || list.p[i] == ',') {
			if (slice_eq_nocase(slice_make(list.p + from, i - from), word))
				return true;
			from = i + 1;
		}
	return false;
}

/* Whether no letter is small: INITIAL_ACCESS; but TA0001 is an id. */
static bool
is_loud(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9'))
			return false;
	return true;
}

/* "Initial Access (x)" -> InitialAccess, put behind what is there. */
static void
add_tactic(struct buf *out, struct slice s)
{
	size_t before = out->n;
	bool start = true, loud = is_loud(s);

	s = slice_trim(s);
	if (s.n > 128 || slice_eq_nocase(s, SLICE("unknown")) || slice_eq_nocase(s, SLICE("none")))
		return;
	if (before > 0)
		buf_putc(out, ',');
	for (size_t i = 0; i < s.n && s.p[i] != '('; i++) {
		char b = s.p[i];

		if (b == ' ' || b == '-' || b == '_' || b == '"' || b == '[' || b == ']') {
			start = true;
			continue;
		}
		if (start && b >= 'a' && b <= 'z')
			b = (char)(b - 32);
		else if (!start && loud)
			b = (char)ascii_lower((unsigned char)b);
		buf_putc(out, b);
		start = !is_letter(b) && b != '\'' && (b < '0' || b > '9') && b != '.';
	}
	if (out->failed || out->n <= before + (before > 0 ? 1 : 0) ||
	    (before > 0 && already_there(slice_make(out->p, before), slice_make(out->p + before + 1, out->n - before - 1))))
		out->n = before;
}

static void
add_tactics(struct buf *out, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i <= s.n && out->n < 4096; i++)
		if (i == s.n || s.p[i] == ',' || s.p[i] == ';') {
			add_tactic(out, slice_make(s.p + from, i - from));
			from = i + 1;
		}
}

bool
convert_tactics(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	uint32_t at = in->has_value ? in->at : 0;
	struct slice s;
	bool lasting;

	if (at != 0 && c->doc.v[at].type == JSON_STRING)
		at = walk_nested(c, at);
	buf_reset(&c->json);
	if (at != 0 && c->doc.v[at].type == JSON_ARRAY) {
		for (uint32_t i = at + 1; i < c->doc.v[at].next && c->json.n < 4096; i = c->doc.v[i].next)
			if (!value_is_nothing(&c->doc, i) && value_text(c, i, &s))
				add_tactics(&c->json, s);
	} else if (in_text(c, in, &s, &lasting)) {
		add_tactics(&c->json, s);
	}
	if (c->json.n == 0)
		return false;
	*ret = (struct val){ .kind = VAL_TEXT, .text = buf_slice(&c->json) };
	return true;
}

/* ---- HTML ------------------------------------------------------------------------------------------ */

static const struct { struct slice name; const char *text; } entities[] = {
#define ENTITY(n, t)	{ { (n), sizeof(n) - 1 }, (t) }
	ENTITY("amp", "&"), ENTITY("lt", "<"), ENTITY("gt", ">"), ENTITY("quot", "\""), ENTITY("apos", "'"),
	ENTITY("nbsp", " "), ENTITY("#39", "'"), ENTITY("#34", "\""), ENTITY("#160", " "), ENTITY("#38", "&"),
#undef ENTITY
};

/* Behind '&': what the entity stands for, and its length with the semicolon; NULL: none we know. */
static const char *
entity(struct slice s, size_t *ret_n)
{
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
		struct slice name = entities[i].name;

		if (s.n > name.n && s.p[name.n] == ';' && slice_starts_nocase(s, name)) {
			*ret_n = name.n + 1;
			return entities[i].text;
		}
	}
	return NULL;
}

static bool
tag_starts(struct slice s, size_t i)
{
	return s.p[i] == '<' && i + 1 < s.n && (is_letter(s.p[i + 1]) || s.p[i + 1] == '/' || s.p[i + 1] == '!');
}

static size_t
strip(struct slice s, char *out)
{
	const char *text, *close = s.p;	/* close: no '>' before this */
	size_t n = 0, skip;

	for (size_t i = 0; i < s.n; i++) {
		char b = s.p[i];

		if (close != NULL && tag_starts(s, i) && (close = memchr(s.p + i, '>', s.n - i)) != NULL) {
			i = (size_t)(close - s.p);
			b = ' ';
		} else if (b == '&' && (text = entity(slice_make(s.p + i + 1, s.n - i - 1), &skip)) != NULL) {
			b = text[0];
			i += skip;
		}
		if (b == '\n' || b == '\r' || b == '\t')
			b = ' ';
		if (b != ' ' || (n > 0 && out[n - 1] != ' '))
			out[n++] = b;
	}
	while (n > 0 && out[n - 1] == ' ')
		n--;
	return n;
}

bool
convert_html_text(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;
	char *p;

	if (!in_text(c, in, &s, &lasting))
		return false;
	s.n = utf8_cut(s, 2 * COLUMN_MAX_BYTES);
	p = ctx_alloc(c, s.n);
	if (p == NULL)
		return false;
	*ret = (struct val){ .kind = VAL_TEXT, .text = { p, strip(s, p) }, .lasting = true };
	return ret->text.n > 0;
}
