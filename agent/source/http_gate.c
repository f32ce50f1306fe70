/*
 * http_gate.c - who may send what: a request's head is judged before its body is read.
 *
 * A token stands in Authorization: Bearer, or where the sender of this form can put it. It is compared without a hint of how much of it was right, and
 * stands in no answer, log or counter.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "base/err.h"

#define SECRET_BYTES	65536
#define TOO_LARGE	413		/* its name changes with the versions of libmicrohttpd */
#define TOKEN_LEAST	16u
#define TOKEN_MOST	4096u		/* Firehose's limit for its key */

/* ---- tokens ------------------------------------------------------------------------ */

static struct slice
next_token(struct slice *rest)
{
	const char *end = memchr(rest->p, '\n', rest->n);
	const size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
	const struct slice line = slice_trim(slice_make(rest->p, n));

	rest->p += n + (end != NULL ? 1 : 0);
	rest->n -= n + (end != NULL ? 1 : 0);
	return line;
}

static bool
is_token(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n >= TOKEN_LEAST && s.n <= TOKEN_MOST;
}

/* Takes as long for any `given` of this length. */
static bool
same(struct slice token, struct slice given)
{
	volatile unsigned differ = token.n != given.n;

	for (size_t i = 0; i < given.n; i++)
		differ |= (unsigned)((unsigned char)given.p[i] ^ (unsigned char)token.p[i % token.n]);
	return differ == 0;
}

static bool
among(struct slice tokens, const char *given)
{
	const struct slice text = slice_of(given);
	bool good = false;

	if (given == NULL)
		return false;
	while (tokens.n > 0) {
		const struct slice token = next_token(&tokens);

		if (token.n > 0)
			good |= same(token, text);
	}
	return good;
}

static int
read_tokens(const struct conf *source, struct buf *ret, struct err *err)
{
	struct slice rest;

	buf_init(ret, SECRET_BYTES);
	if (conf_secret(source, "token", ret, err) != 0)
		return -1;
	for (rest = buf_slice(ret); rest.n > 0; ) {
		const struct slice token = next_token(&rest);

		if (token.n > 0 && !is_token(token))
			return err_set(err, ERR_CONFIG, "%s:%u: token: a line of it is no token; allowed: %u to %u letters, digits and signs, no blanks",
			    conf_file(source, "token"), conf_line(source, "token"), TOKEN_LEAST, TOKEN_MOST);
	}
	return 0;
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_fini(b);
}

int
push_gate_token(const struct conf *source, struct err *err)
{
	struct buf tokens;
	int rc;

	rc = read_tokens(source, &tokens, err);
	wipe(&tokens);
	return rc;
}

static const char *
header(const struct push_request *r, const char *name)
{
	return MHD_lookup_connection_value(r->c, MHD_HEADER_KIND, name);
}

static const char *
bearer(const struct push_request *r)
{
	const char *text = header(r, "Authorization");

	if (text == NULL || strncasecmp(text, "Bearer ", 7) != 0)
		return NULL;
	return text + 7 + strspn(text + 7, " ");
}

/* 1 shown, 0 not, -1 we cannot tell. */
static int
shows_token(const struct push_request *r, struct err *err)
{
	struct buf tokens;
	int rc = -1;

	if (read_tokens(r->push->conf, &tokens, err) == 0) {
		const struct slice all = buf_slice(&tokens);

		rc = among(all, bearer(r));
		if (r->form->token_as_key)
			rc |= among(all, header(r, "X-Amz-Firehose-Access-Key"));
		if (r->form->token_in_query)
			rc |= among(all, MHD_lookup_connection_value(r->c, MHD_GET_ARGUMENT_KIND, "token"));
	}
	wipe(&tokens);
	return rc;
}

static bool
shows_certificate(const struct push_request *r)
{
	const union MHD_ConnectionInfo *info;

	if (r->push->tls.ca.n == 0)
		return true;
	info = MHD_get_connection_info(r->c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	return info != NULL && push_tls_knows(info->tls_session);
}

/* ---- the rest of the head ------------------------------------------------------------- */

static enum push_refusal
refuse(struct push_request *r, enum push_refusal refusal, unsigned status, const char *why)
{
	push_request_refuse(r, refusal, status, why);
	return refusal;
}

static enum push_refusal
judge_sender(struct push_request *r)
{
	struct err err = { 0 };
	int shown;

	/* Browsers name where a page that sends comes from; no service does. */
	if (header(r, "Origin") != NULL)
		return refuse(r, PUSH_NO_TOKEN, MHD_HTTP_FORBIDDEN, "not for web pages");
	if (!shows_certificate(r))
		return refuse(r, PUSH_NO_TOKEN, MHD_HTTP_FORBIDDEN, "a client certificate of the authority that this agent was told is needed");
	if (!r->push->needs_token)
		return PUSH_FINE;
	shown = shows_token(r, &err);
	if (shown == 1)
		return PUSH_FINE;
	if (shown == 0)
		return refuse(r, PUSH_NO_TOKEN, MHD_HTTP_UNAUTHORIZED, "no token, or a wrong one");
	push_say_trouble(r->push, err.text);
	return refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent cannot read its token");
}

static bool
is_type(const char *text, const char *type)
{
	const size_t n = strlen(type);

	return strncasecmp(text, type, n) == 0 && (text[n] == '\0' || text[n] == ';' || text[n] == ' ');
}

static enum push_refusal
judge_type(struct push_request *r)
{
	static const char *const line_types[] = { "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines", NULL };
	static const char *const wrong_types[] = { "application/x-protobuf", "application/protobuf", "application/vnd.google.protobuf",
		"application/grpc", "multipart/form-data", "application/x-www-form-urlencoded", NULL };
	const char *type = header(r, "Content-Type"), *coding = header(r, "Content-Encoding");

	for (size_t i = 0; type != NULL && wrong_types[i] != NULL; i++)
		if (is_type(type, wrong_types[i]))
			return refuse(r, PUSH_WRONG_FORM, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, i < 4 ?
			    "protobuf is not read here; send JSON, with Content-Type: application/json" :
			    "not a form; send JSON, with Content-Type: application/json");
	for (size_t i = 0; type != NULL && line_types[i] != NULL; i++)
		r->lines |= is_type(type, line_types[i]);
	if (coding == NULL || strcasecmp(coding, "identity") == 0)
		return PUSH_FINE;
	r->gzip = strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "x-gzip") == 0;
	return r->gzip ? PUSH_FINE : refuse(r, PUSH_WRONG_FORM, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "of encodings only gzip is read here");
}

/* CloudEvents' handshake (HTTP 1.1 Web Hooks for Event Delivery, 4): says that who asks may send here, and how often. */
static enum push_refusal
judge_options(struct push_request *r)
{
	const char *origin = header(r, "WebHook-Request-Origin"), *rate = header(r, "WebHook-Request-Rate");
	const size_t n = origin != NULL ? strlen(origin) : 0;

	if (n == 0 || n >= sizeof(r->origin) ||
	    strspn(origin, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:") != n)
		return refuse(r, PUSH_WRONG_FORM, MHD_HTTP_BAD_REQUEST, "no WebHook-Request-Origin, or no name of a host");
	memcpy(r->origin, origin, n + 1);
	if (rate != NULL && strspn(rate, "0123456789") == strlen(rate) && strlen(rate) < sizeof(r->rate))
		memcpy(r->rate, rate, strlen(rate) + 1);
	if (r->rate[0] == '\0')
		r->rate[0] = '*';
	r->status = MHD_HTTP_OK;
	r->stage = PUSH_ANSWERING;
	return PUSH_FINE;
}

static enum push_refusal
judge_room(struct push_request *r)
{
	const struct push *p = r->push;
	const char *length = header(r, "Content-Length");
	int64_t n = 0;

	if (length != NULL && slice_to_i64(slice_of(length), &n) && n > (int64_t)p->max_body)
		return refuse(r, PUSH_TOO_LARGE, TOO_LARGE, "larger than max_body");
	if (p->closing)
		return refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent ends, or takes a new configuration into use");
	if (p->paused)
		return refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "the spool is full");
	if (p->requests >= p->max_waiting || p->pending_bytes >= p->max_pending)
		return refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at a time");
	return PUSH_FINE;
}

enum push_refusal
push_gate(struct push_request *r, const char *url, const char *method)
{
	const char *text;
	enum push_refusal refusal;

	r->form = push_form_find(url);
	if (r->form != NULL && (r->push->forms >> (r->form - push_forms) & 1) == 0)
		r->form = NULL;
	if (r->form == NULL)
		return refuse(r, PUSH_WRONG_FORM, MHD_HTTP_NOT_FOUND, "nothing is taken at this path; see HTTP PUSH in aispm-agent.yaml(5)");
	if (r->form->frame == PUSH_FIREHOSE && (text = header(r, "X-Amz-Firehose-Request-Id")) != NULL && strlen(text) < sizeof(r->id))
		memcpy(r->id, text, strlen(text) + 1);
	refusal = judge_sender(r);
	if (refusal != PUSH_FINE)
		return refusal;
	r->trusted = true;
	if (r->form->handshake && strcmp(method, "OPTIONS") == 0)
		return judge_options(r);
	if (strcmp(method, "POST") != 0)
		return refuse(r, PUSH_WRONG_FORM, MHD_HTTP_METHOD_NOT_ALLOWED, "only POST");
	if (r->form->frame == PUSH_FIREHOSE && r->id[0] == '\0')
		return refuse(r, PUSH_WRONG_FORM, MHD_HTTP_BAD_REQUEST, "no X-Amz-Firehose-Request-Id");
	text = r->form->handshake ? header(r, "aeg-event-type") : NULL;
	r->validation = text != NULL && strcasecmp(text, "SubscriptionValidation") == 0;
	refusal = judge_type(r);
	return refusal != PUSH_FINE ? refusal : judge_room(r);
}
