/*
 * json_jsonc.c - the engine on json-c, for where simdjson is not packaged. A scan of our own first
 * refuses what json-c lets pass (NaN, single quotes, 01, control characters); then its tree is written
 * once as compact JSON, and the values point into that copy.
 */
#include <stdlib.h>

#define json_type	json_c_type	/* both headers have an enum of this name */
#include <json-c/json.h>
#undef json_type

#include "base/arena.h"
#include "base/json_engine.h"

struct json_engine {
	struct json_tokener	*tokener;
};

struct json_engine *
json_engine_new(void)
{
	struct json_engine *e = malloc(sizeof(*e));

	if (e == NULL)
		return NULL;
	e->tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 2);	/* the scan counts the depth */
	if (e->tokener == NULL) {
		free(e);
		return NULL;
	}
	json_tokener_set_flags(e->tokener, JSON_TOKENER_STRICT);
	return e;
}

void
json_engine_free(struct json_engine *e)
{
	if (e == NULL)
		return;
	json_tokener_free(e->tokener);
	free(e);
}

void
json_engine_reset(struct json_engine *e)
{
	json_tokener_reset(e->tokener);
}

const char *
json_engine_name(void)
{
	return "json-c " JSON_C_VERSION;
}

/* ---- the scan: every token by itself is as RFC 8259 wants it ------------------- */

static size_t
string_bytes(struct slice s, const char **ret_why)
{
	size_t i, bad;

	for (i = 1; i < s.n && s.p[i] != '"'; i++) {
		if ((unsigned char)s.p[i] < 0x20) {
			*ret_why = "control character in a string";
			return 0;
		}
		i += s.p[i] == '\\';
	}
	if (i >= s.n) {
		*ret_why = "string without an end";
		return 0;
	}
	bad = json_bad_escape(slice_make(s.p + 1, i - 1), 0);
	*ret_why = "unknown escape";
	return bad == i - 1 ? i + 1 : 0;
}

static size_t
word_bytes(struct slice s, const char **ret_why)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t n = 0;

	*ret_why = "a value is missing";
	for (size_t i = 0; i < 3 && n == 0; i++)
		if (slice_eq(slice_make(s.p, s.n < strlen(words[i]) ? s.n : strlen(words[i])), slice_of(words[i])))
			n = strlen(words[i]);
	if (n == 0 && (s.p[0] == '-' || (s.p[0] >= '0' && s.p[0] <= '9'))) {
		*ret_why = "bad number";
		n = json_number_bytes(s.p, s.n);
	}
	if (n > 0 && n < s.n && (s.p[n] == '\0' || strchr(",]} \t\r\n", s.p[n]) == NULL)) {
		*ret_why = "bad number or word";
		n = 0;
	}
	return n;
}

static bool
scan(struct slice text, struct json_fault *fault)
{
	size_t depth = 0;

	for (size_t i = 0; i < text.n;) {
		struct slice rest = slice_make(text.p + i, text.n - i);
		size_t n = 1;

		switch (text.p[i]) {
		case ' ': case '\t': case '\r': case '\n': case ',': case ':':
			break;
		case '{': case '[':
			fault->why = "nested too deeply";
			n = ++depth <= JSON_MAX_DEPTH;
			break;
		case '}': case ']':
			depth -= depth > 0;
			break;
		case '"':
			n = string_bytes(rest, &fault->why);
			break;
		default:
			n = word_bytes(rest, &fault->why);
			break;
		}
		if (n == 0) {
			fault->at = i;
			return false;
		}
		i += n;
	}
	return true;
}

/* ---- the tree, written once ------------------------------------------------------ */

struct build {
	struct json_doc	*doc;
	struct buf	 text;
	bool		 full;	/* past max_values */
};

/* A new value whose text begins at offset `at` of the text to be; its index, or UINT32_MAX. */
static uint32_t
add(struct build *b, enum json_type type, size_t at)
{
	struct json_doc *doc = b->doc;
	struct json_value *v;

	if (b->text.failed || b->full)
		return UINT32_MAX;
	if (doc->n == doc->cap && !json_doc_reserve(doc, 1)) {
		b->text.failed = true;
		return UINT32_MAX;
	}
	if (doc->n == doc->cap) {
		b->full = true;
		return UINT32_MAX;
	}
	v = &doc->v[doc->n++];
	*v = (struct json_value){ .p = (const char *)(uintptr_t)at, .next = doc->n, .type = (uint8_t)type };
	return doc->n - 1;
}

static void
add_string(struct build *b, const char *p, size_t n)
{
	uint32_t i = add(b, JSON_STRING, b->text.n + 1);
	size_t at = b->text.n + 1;

	buf_put_json(&b->text, slice_make(p, n));
	if (i == UINT32_MAX || b->text.failed)
		return;
	n = b->text.n - 1 - at;
	b->doc->v[i].n = (uint32_t)n;
	b->doc->v[i].escaped = memchr(b->text.p + at, '\\', n) != NULL;
}

static void
add_plain(struct build *b, enum json_type type, struct json_object *o)
{
	uint32_t i = add(b, type, b->text.n);
	size_t at = b->text.n;

	buf_puts(&b->text, o != NULL ? json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN) : "null");
	if (i != UINT32_MAX)
		b->doc->v[i].n = (uint32_t)(b->text.n - at);
}

static void
add_value(struct build *b, struct json_object *o);

static void
add_container(struct build *b, struct json_object *o, bool object)
{
	size_t at = b->text.n, n = object ? 0 : json_object_array_length(o);
	uint32_t i = add(b, object ? JSON_OBJECT : JSON_ARRAY, at);
	bool first = true;

	buf_putc(&b->text, object ? '{' : '[');
	for (size_t k = 0; k < n && !b->full; k++) {
		if (k > 0)
			buf_putc(&b->text, ',');
		add_value(b, json_object_array_get_idx(o, k));
	}
	for (struct lh_entry *e = object ? json_object_get_object(o)->head : NULL; e != NULL && !b->full; e = e->next) {
		const char *key = lh_entry_k(e);

		if (!first)
			buf_putc(&b->text, ',');
		first = false;
		add_string(b, key, strlen(key));
		buf_putc(&b->text, ':');
		add_value(b, (struct json_object *)lh_entry_v(e));
	}
	buf_putc(&b->text, object ? '}' : ']');
	if (i == UINT32_MAX || b->text.failed)
		return;
	b->doc->v[i].n = (uint32_t)(b->text.n - at);
	b->doc->v[i].next = b->doc->n;
}

/* As deep as the tree, at most JSON_MAX_DEPTH. */
static void
add_value(struct build *b, struct json_object *o)
{
	switch (json_object_get_type(o)) {
	case json_type_null:
		add_plain(b, JSON_NULL, o);
		break;
	case json_type_boolean:
		add_plain(b, json_object_get_boolean(o) ? JSON_TRUE : JSON_FALSE, o);
		break;
	case json_type_int:
	case json_type_double:
		add_plain(b, JSON_NUMBER, o);
		break;
	case json_type_string:
		add_string(b, json_object_get_string(o), (size_t)json_object_get_string_len(o));
		break;
	case json_type_array:
		add_container(b, o, false);
		break;
	case json_type_object:
		add_container(b, o, true);
		break;
	}
}

/* The values' texts move to the reader's memory. */
static enum json_answer
settle(struct build *b, uint32_t root, struct arena *copies, struct json_fault *fault)
{
	struct slice text;

	if (b->full) {
		*fault = (struct json_fault){ 0, "too many values" };
		return JSON_NOT_JSON;
	}
	if (b->text.failed)
		return JSON_NO_MEMORY;
	text = arena_dup(copies, buf_slice(&b->text));
	if (text.p == NULL)
		return JSON_NO_MEMORY;
	for (uint32_t i = root; i < b->doc->n; i++)
		b->doc->v[i].p = text.p + (uintptr_t)b->doc->v[i].p;
	return JSON_READ;
}

enum json_answer
json_engine_read(struct json_engine *e, struct slice text, struct arena *copies, struct json_doc *doc,
    struct json_fault *fault)
{
	struct build b = { .doc = doc };
	struct json_object *tree;
	uint32_t root = doc->n;
	enum json_answer answer;
	enum json_tokener_error error;

	if (utf8_valid_prefix(text) != text.n)
		return JSON_NOT_UTF8;
	if (!scan(text, fault))
		return JSON_NOT_JSON;
	json_tokener_reset(e->tokener);
	tree = json_tokener_parse_ex(e->tokener, text.p, (int)text.n);
	error = json_tokener_get_error(e->tokener);
	fault->at = json_tokener_get_parse_end(e->tokener);
	if (error == json_tokener_continue) {	/* a number or word alone ends where the text does */
		tree = json_tokener_parse_ex(e->tokener, "", 1);
		error = json_tokener_get_error(e->tokener);
	}
	if (error != json_tokener_success || slice_trim(slice_make(text.p + fault->at, text.n - fault->at)).n > 0) {
		json_object_put(tree);
		fault->why = "the parts do not fit together";
		return JSON_NOT_JSON;
	}
	buf_init(&b.text, 6 * JSON_MAX_BYTES);
	add_value(&b, tree);
	answer = settle(&b, root, copies, fault);
	if (answer != JSON_READ)
		doc->n = root;
	buf_fini(&b.text);
	json_object_put(tree);
	return answer;
}
