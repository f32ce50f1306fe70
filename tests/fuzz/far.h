/*
 * far.h - the far side of every request, of which the input is the script. Linked with the linker's --wrap of http_open, http_close, http_send and
 * http_cancel, so that the real rooms ask and the real rooms read.
 *
 * Input:   parts, separated by a line "--"; the first is the target's own. Each other is an answer: a line with the status (0: none comes), lines of
 *          headers, an empty line, the body.
 */
#ifndef FUZZ_FAR_H
#define FUZZ_FAR_H

#include "parts.h"

#include "base/buf.h"
#include "base/err.h"
#include "net/easy.h"
#include "net/http.h"

#define FAR_CALLS	16
#define FAR_BETWEEN	SLICE("\n--\n")

struct http_call {
	void	(*done)(void *arg, const struct http_answer *);
	void	*arg;
	bool	 own_answer;		/* its answer is `far_usual`, not of the script */
};

static struct slice far_script;
static struct http_call *far_calls[FAR_CALLS];
/* The target looks at each request; true: it is answered by far_usual. */
static bool (*far_look)(const struct http_request *);
static const char *far_usual;

int	__wrap_http_open(struct http **ret, struct loop *, struct err *);
void	__wrap_http_close(struct http *);
int	__wrap_http_send(struct http *, const struct http_request *, void (*done)(void *arg, const struct http_answer *), void *arg,
	    struct http_call **ret, struct err *);
void	__wrap_http_cancel(struct http_call *);

int
__wrap_http_open(struct http **ret, struct loop *loop, struct err *err)
{
	static char one;

	(void)loop;
	(void)err;
	*ret = (struct http *)(void *)&one;
	return 0;
}

void
__wrap_http_close(struct http *h)
{
	(void)h;
}

int
__wrap_http_send(struct http *h, const struct http_request *r, void (*done)(void *arg, const struct http_answer *), void *arg,
    struct http_call **ret, struct err *err)
{
	struct http_call *c;
	size_t i = 0;

	(void)h;
	if (http_url_check(r->url, err) != 0)
		return -1;
	for (size_t k = 0; r->headers != NULL && r->headers[k] != NULL; k++)
		assert(strpbrk(r->headers[k], "\r\n") == NULL);
	while (i < FAR_CALLS && far_calls[i] != NULL)
		i++;
	assert(i < FAR_CALLS);
	c = malloc(sizeof(*c));
	assert(c != NULL);
	*c = (struct http_call){ done, arg, far_look(r) };
	far_calls[i] = c;
	if (ret != NULL)
		*ret = c;
	return 0;
}

void
__wrap_http_cancel(struct http_call *c)
{
	for (size_t i = 0; i < FAR_CALLS && c != NULL; i++)
		if (far_calls[i] == c) {
			far_calls[i] = NULL;
			free(c);
			return;
		}
	assert(c == NULL);
}

/* As http.c finds them. */
static inline struct slice
far_header(const struct http_answer *a, const char *name)
{
	struct slice left = *(const struct slice *)a->impl, wanted = slice_of(name);

	while (left.n > 0) {
		struct slice line = next_part(&left, SLICE("\n"));

		if (line.n > wanted.n && line.p[wanted.n] == ':' && slice_starts_nocase(line, wanted))
			return slice_trim(slice_make(line.p + wanted.n + 1, line.n - wanted.n - 1));
	}
	return SLICE("");
}

/* Whether the script has an answer. */
static inline bool
far_take(struct http_answer *ret, struct slice *ret_headers, struct err *why)
{
	struct slice part, line;
	int64_t status = 0;

	if (far_script.n == 0)
		return false;
	part = next_part(&far_script, FAR_BETWEEN);
	line = next_part(&part, SLICE("\n"));
	if (!slice_to_i64(slice_trim(line), &status) || status < 100 || status > 999)
		status = 0;
	*ret_headers = next_part(&part, SLICE("\n\n"));
	*ret = (struct http_answer){ .status = (int)status, .body = status != 0 ? part : SLICE(""), .retry_after_ms = -1, .header = far_header,
		.impl = ret_headers };
	if (status == 0) {
		ret_headers->n = 0;
		err_set(why, ERR_AGAIN, "far.example: no answer within 60 s");
		ret->err = why;
	} else {
		ret->date_ms = easy_date_ms(far_header(ret, "Date"));
		ret->retry_after_ms = easy_retry_after_ms(far_header(ret, "Retry-After"), ret->date_ms);
	}
	assert(ret->date_ms >= 0 && ret->retry_after_ms >= -1 && ret->retry_after_ms <= INT64_C(7) * 86400 * 1000);
	return true;
}

/* One of those who wait gets its answer; false: none waits, or the script is over. */
static inline bool
far_turn(void)
{
	struct slice headers = SLICE_NONE;
	struct http_answer answer;
	struct http_call *c = NULL;
	struct err why = { 0 };
	size_t i;

	for (i = 0; i < FAR_CALLS && far_calls[i] == NULL; i++)
		;
	if (i == FAR_CALLS)
		return false;
	c = far_calls[i];
	if (c->own_answer)
		answer = (struct http_answer){ .status = 200, .body = slice_of(far_usual), .retry_after_ms = -1, .header = far_header, .impl = &headers };
	else if (!far_take(&answer, &headers, &why))
		return false;
	far_calls[i] = NULL;
	c->done(c->arg, &answer);
	free(c);
	return true;
}

static inline bool
far_waits(void)
{
	for (size_t i = 0; i < FAR_CALLS; i++)
		if (far_calls[i] != NULL)
			return true;
	return false;
}

/* So many bytes of a secret in a row, in words for people. */
static inline bool
far_tells(const char *text, struct slice secret, size_t bytes)
{
	for (size_t i = 0; i + bytes <= secret.n; i++)
		if (memmem(text, strlen(text), secret.p + i, bytes) != NULL)
			return true;
	return false;
}

#endif
