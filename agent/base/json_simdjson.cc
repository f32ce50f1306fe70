/*
 * json_simdjson.cc - the engine on simdjson: its first stage (the index of all
 * tokens, and UTF-8 checked, with the widest registers the machine has), and one
 * walk of our own over that index. Its DOM and On-Demand faces are not used: the
 * DOM loses the texts of numbers and refuses lone surrogates and large integers,
 * On-Demand skips checks and costs twice this walk.
 */
#include <simdjson.h>

#include <cassert>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "base/json_engine.h"

#define LEAST_CAPACITY	((size_t)64 << 10)
#define KEPT_CAPACITY	((size_t)4 << 20)	/* a larger index is let go at reset */

struct json_engine {
	std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
};

namespace {

struct walk {
	const char		*text, *slash;	/* slash: first backslash that no string before this one held */
	size_t			 n;
	const uint32_t		*at, *end;	/* tokens left; *end is n */
	struct json_value	*v, *full;	/* where the next value goes */
	struct json_value	*first;		/* index `base` */
	uint32_t		 base;
	unsigned		 depth;
	struct json_value	*open[JSON_MAX_DEPTH];
	struct json_fault	 fault;
};

bool
fail(struct walk *w, size_t at, const char *why)
{
	w->fault.at = at < w->n ? at : w->n;
	w->fault.why = why;
	return false;
}

inline bool
blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* May c stand behind a number or a literal? */
inline bool
ends(char c)
{
	return c == ',' || c == '}' || c == ']' || blank(c);
}

inline uint32_t
index_of(const struct walk *w, const struct json_value *v)
{
	return w->base + (uint32_t)(v - w->first);
}

inline bool
push(struct walk *w, const char *p, size_t n, enum json_type type)
{
	struct json_value *v = w->v;

	if (__builtin_expect(v == w->full, 0))
		return fail(w, (size_t)(p - w->text), "too many values");
	v->p = p;
	v->n = (uint32_t)n;
	v->next = index_of(w, v) + 1;
	v->type = (uint8_t)type;
	v->escaped = 0;
	v->spare = 0;
	w->v++;
	return true;
}

/* A string holds the next backslash: its escapes are checked, and the backslash after it is found. */
bool
take_escapes(struct walk *w, const char *p, size_t n)
{
	const char *stop = w->text + w->n;
	size_t bad;

	if (w->slash < p)
		return fail(w, (size_t)(w->slash - w->text), "backslash outside a string");
	bad = json_bad_escape(slice{ p, n }, (size_t)(w->slash - p));
	if (bad != n)
		return fail(w, (size_t)(p - w->text) + bad, "unknown escape");
	w->v[-1].escaped = 1;
	w->slash = (const char *)memchr(p + n, '\\', (size_t)(stop - p) - n);
	if (w->slash == NULL)
		w->slash = stop;
	return true;
}

/* The string at token *at: its closing quote is the last byte before the next token that is not blank. */
inline bool
take_string(struct walk *w)
{
	const char *p = w->text + w->at[0] + 1, *e = w->text + w->at[1] - 1;

	while (e > p && blank(*e))
		e--;
	if (__builtin_expect(e < p || *e != '"', 0))
		return fail(w, w->at[0], "string without an end");
	if (!push(w, p, (size_t)(e - p), JSON_STRING))
		return false;
	w->at++;
	return __builtin_expect(w->slash >= e, 1) || take_escapes(w, p, (size_t)(e - p));
}

bool
take_scalar(struct walk *w)
{
	const char *p = w->text + w->at[0];
	size_t left = w->n - w->at[0], n = 0;
	enum json_type type = JSON_NUMBER;

	if (*p == 't' && left >= 4 && memcmp(p, "true", 4) == 0) {
		n = 4;
		type = JSON_TRUE;
	} else if (*p == 'f' && left >= 5 && memcmp(p, "false", 5) == 0) {
		n = 5;
		type = JSON_FALSE;
	} else if (*p == 'n' && left >= 4 && memcmp(p, "null", 4) == 0) {
		n = 4;
		type = JSON_NULL;
	} else if (*p == '-' || (*p >= '0' && *p <= '9')) {
		n = json_number_bytes(p, left);
		if (n == 0)
			return fail(w, w->at[0], "bad number");
	} else {
		return fail(w, w->at[0], "a value is missing");
	}
	if (n < left && !ends(p[n]))
		return fail(w, w->at[0] + n, type == JSON_NUMBER ? "bad number" : "bad word");
	if (!push(w, p, n, type))
		return false;
	w->at++;
	return true;
}

bool
open_container(struct walk *w, enum json_type type)
{
	if (w->depth == JSON_MAX_DEPTH)
		return fail(w, *w->at, "nested too deeply");
	w->open[w->depth++] = w->v;
	if (!push(w, w->text + *w->at, 0, type))
		return false;
	w->at++;
	return true;
}

void
close_container(struct walk *w)
{
	struct json_value *v = w->open[--w->depth];

	v->n = (uint32_t)(w->text + *w->at + 1 - v->p);
	v->next = index_of(w, w->v);
	w->at++;
}

inline char
token(const struct walk *w)
{
	return w->at < w->end ? w->text[*w->at] : '\0';
}

/* A key and its colon. */
inline bool
take_key(struct walk *w)
{
	if (token(w) != '"')
		return fail(w, *w->at, "a key is missing");
	if (!take_string(w))
		return false;
	if (token(w) != ':')
		return fail(w, *w->at, "a colon is missing");
	w->at++;
	return true;
}

/* What follows a whole value: up to the start of the next one. 1: there is one, 0: the root is whole, -1: fault. */
inline int
take_between(struct walk *w)
{
	while (w->depth > 0) {
		bool object = w->open[w->depth - 1]->type == JSON_OBJECT;
		char c = token(w);

		if (c == ',') {
			w->at++;
			return !object || take_key(w) ? 1 : -1;
		}
		if (c != (object ? '}' : ']')) {
			fail(w, *w->at, object ? "',' or '}' is missing" : "',' or ']' is missing");
			return -1;
		}
		close_container(w);
	}
	return 0;
}

bool
take_text(struct walk *w)
{
	int more = 1;

	while (more > 0) {
		char c = token(w);

		if (c == '"') {
			if (!take_string(w))
				return false;
		} else if (c == '{') {
			if (!open_container(w, JSON_OBJECT))
				return false;
			if (token(w) != '}') {
				if (!take_key(w))
					return false;
				continue;
			}
			close_container(w);
		} else if (c == '[') {
			if (!open_container(w, JSON_ARRAY))
				return false;
			if (token(w) != ']')
				continue;
			close_container(w);
		} else if (w->at == w->end) {
			return fail(w, w->n, "a value is missing");
		} else if (!take_scalar(w)) {
			return false;
		}
		more = take_between(w);
	}
	if (more == 0 && w->at != w->end)
		return fail(w, *w->at, "something stands behind the value");
	return more == 0;
}

/* Room in the library for a text of n bytes. */
bool
make_room(struct json_engine *e, size_t n)
{
	size_t capacity = LEAST_CAPACITY;

	if (e->parser && e->parser->capacity() >= n)
		return true;
	while (capacity < n)
		capacity *= 2;
	if (!e->parser)
		return simdjson::get_active_implementation()->create_dom_parser_implementation(capacity, 1,
		    e->parser) == simdjson::SUCCESS;
	if (e->parser->set_capacity(capacity) == simdjson::SUCCESS)
		return true;
	e->parser.reset();
	return false;
}

enum json_answer
index_tokens(struct json_engine *e, struct slice text, struct json_fault *fault)
{
	switch (e->parser->stage1((const uint8_t *)text.p, text.n, simdjson::stage1_mode::regular)) {
	case simdjson::SUCCESS:
		return JSON_READ;
	case simdjson::UTF8_ERROR:
		return JSON_NOT_UTF8;
	case simdjson::EMPTY:
		*fault = json_fault{ text.n, "a value is missing" };
		return JSON_NOT_JSON;
	case simdjson::MEMALLOC:
		return JSON_NO_MEMORY;
	default:
		*fault = json_string_fault(text);
		return JSON_NOT_JSON;
	}
}

} /* namespace */

extern "C" {

struct json_engine *
json_engine_new(void)
{
	struct json_engine *e = new (std::nothrow) json_engine;

	if (e != NULL && !make_room(e, LEAST_CAPACITY)) {
		delete e;
		e = NULL;
	}
	return e;
}

void
json_engine_free(struct json_engine *e)
{
	delete e;
}

void
json_engine_reset(struct json_engine *e)
{
	if (e->parser && e->parser->capacity() > KEPT_CAPACITY)
		e->parser.reset();
}

const char *
json_engine_name(void)
{
	return "simdjson " SIMDJSON_STRINGIFY(SIMDJSON_VERSION);
}

enum json_answer
json_engine_read(struct json_engine *e, struct slice text, struct arena *, struct json_doc *doc,
    struct json_fault *fault)
{
	struct walk w;
	enum json_answer answer;
	size_t n, most;

	if (!make_room(e, text.n))
		return JSON_NO_MEMORY;
	answer = index_tokens(e, text, fault);
	if (answer != JSON_READ)
		return answer;
	n = e->parser->n_structural_indexes;
	/* A text of n tokens has at most (n + 1) / 2 values; a broken one goes wrong at most so many opened containers later. */
	most = n / 2 + 2 + JSON_MAX_DEPTH;
	if (!json_doc_reserve(doc, most))
		return JSON_NO_MEMORY;
	if (most > doc->cap - doc->n)
		most = doc->cap - doc->n;
	e->parser->structural_indexes[n] = (uint32_t)text.n;
	w.text = text.p;
	w.n = text.n;
	w.at = e->parser->structural_indexes.get();
	w.end = w.at + n;
	w.first = w.v = doc->v + doc->n;
	w.full = w.v + most;
	w.base = doc->n;
	w.depth = 0;
	w.slash = (const char *)memchr(text.p, '\\', text.n);
	if (w.slash == NULL)
		w.slash = text.p + text.n;
	if (!take_text(&w)) {
		*fault = w.fault;
		return JSON_NOT_JSON;
	}
	doc->n = index_of(&w, w.v);
	return JSON_READ;
}

} /* extern "C" */
