/*
 * json.h - one JSON text to a flat array of values. The only door to the JSON
 * library: simdjson (json_simdjson.cc), or json-c where configure was told so (json_jsonc.c).
 *
 * Gives:   `struct json_doc`, values in document order; strings borrowed from the
 *          input and still escaped, numbers as their own text: nothing is lost or copied.
 * Takes:   any bytes. Invalid UTF-8 is made U+FFFD first (then values point into the doc's own copy).
 * Bounded: JSON_MAX_DEPTH, the doc's max_values, and the input's length below 1 GiB.
 * Fails:   ERR_DATA "not JSON at byte N: why". Duplicate keys are kept; the reader of the doc takes the first.
 * Layout:  a container is followed by its members; an object's member is a key (JSON_STRING)
 *          then its value. `next` is the index just past a value's subtree:
 *              for (i = at + 1; i < v[at].next; i = v[i].next)              elements of an array
 *              for (i = at + 1; i < v[at].next; i = v[i + 1].next)          keys of an object, value at i + 1
 * Strict:  RFC 8259 to the letter, unknown escapes and control characters in strings refused; a byte order mark in
 *          front is skipped, and lone surrogates are let pass (U+FFFD when unescaped or written).
 * json-c:  values point into a compact copy in the reader: integers printed anew (beyond 64 bits clamped),
 *          escapes rewritten; of equal keys one stays, with the last value; a key ends at U+0000.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_MAX_DEPTH	64

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_OBJECT, JSON_ARRAY };

struct json_value {
	const char	*p;	/* string: first byte after the quote; number, literal: its text; container: its bracket */
	uint32_t	 n;	/* bytes: of the string without quotes, of the token, of the whole container */
	uint32_t	 next;
	uint8_t		 type;	/* enum json_type */
	uint8_t		 escaped;	/* string: holds at least one backslash */
	uint16_t	 spare;
};

struct json_doc {
	struct json_value	*v;
	uint32_t		 n, cap, max_values;
};

struct err;
struct json_reader;		/* the library's working memory; one thread at a time */

struct json_reader *json_reader_new(void);	/* NULL when memory is short */
void	json_reader_free(struct json_reader *);
const char *json_library(void);			/* "simdjson 3.0.1", for --version */

void	json_doc_init(struct json_doc *, uint32_t max_values);
void	json_doc_fini(struct json_doc *);

/*
 * Reads exactly one JSON text (blanks around it are fine) and appends its values to doc, the root
 * first; returns the root's index, or -1. On failure doc is as before. `padded`: BUF_SLACK bytes
 * after `text` may be read; otherwise the reader copies. Values stay valid while `text` and the
 * reader's next json_reset are away (a copy, where one was needed, lives in the reader until then).
 */
int64_t	json_read(struct json_reader *, struct slice text, bool padded, struct json_doc *, struct err *);
/* Forgets copies made since the last reset, and empties the doc. */
void	json_reset(struct json_reader *, struct json_doc *);

/* A string's bytes without escapes. Lone surrogates become U+FFFD. Appends. */
void	json_unescape(const struct json_value *, struct buf *out);
/* Unescaped length never exceeds the raw one: writes to `out` (room for v->n) and returns the length. */
size_t	json_unescape_to(const struct json_value *, char *out);
/* Writes the value with everything below it as compact, valid JSON, never longer than it was read; \u only where needed. */
void	json_write(const struct json_doc *, uint32_t at, struct buf *out);
/* The value under `key` (case-sensitive, first one) of the object at `at`, or 0 (never a member's index). */
uint32_t json_get(const struct json_doc *, uint32_t at, const char *key);
/* Convenience for small answers: a string member copied to `out` unescaped; false if absent or no string. */
bool	json_get_text(const struct json_doc *, uint32_t at, const char *key, struct buf *out);
bool	json_get_i64(const struct json_doc *, uint32_t at, const char *key, int64_t *ret);	/* a number, or text that is one */

static inline bool
json_is_text(const struct json_value *v)
{
	return v->type == JSON_STRING;
}
static inline struct slice
json_raw(const struct json_value *v)
{
	return (struct slice){ v->p, v->n };
}

#ifdef __cplusplus
}
#endif
#endif
