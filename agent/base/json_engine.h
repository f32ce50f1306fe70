/*
 * json_engine.h - what json.c wants of a JSON library; only json*.c include it.
 *
 * Takes:   a text without byte order mark, BUF_SLACK readable bytes behind it, below JSON_MAX_BYTES.
 * Gives:   values appended to the doc; on any other answer than JSON_READ the doc's values are as before.
 */
#ifndef BASE_JSON_ENGINE_H
#define BASE_JSON_ENGINE_H

#include "base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

#define JSON_MAX_BYTES	((size_t)1 << 30)

enum json_answer {
	JSON_READ,
	JSON_NOT_JSON,	/* fault says where and why */
	JSON_NOT_UTF8,
	JSON_NO_MEMORY,
};

struct json_fault { size_t at; const char *why; };

struct arena;
struct json_engine;
struct json_engine *json_engine_new(void);
void	json_engine_free(struct json_engine *);
void	json_engine_reset(struct json_engine *);	/* lets go of memory that only a huge text needed */
const char *json_engine_name(void);
enum json_answer json_engine_read(struct json_engine *, struct slice text, struct arena *copies,
    struct json_doc *, struct json_fault *);

/* Room for `more` values behind doc->n (never past max_values); false when memory is short. */
bool	json_doc_reserve(struct json_doc *, size_t more);
/* Bytes of the number at p (RFC 8259, 6), at most n; 0 if it is none. What stands behind it is not looked at. */
size_t	json_number_bytes(const char *p, size_t n);
/* The offset of the first escape in s, from `at` on, that RFC 8259 does not know; s.n if there is none. */
size_t	json_bad_escape(struct slice s, size_t at);
/* Where strings go wrong: a control character inside one, or the start of one that never ends. */
struct json_fault json_string_fault(struct slice text);

#ifdef __cplusplus
}
#endif
#endif
