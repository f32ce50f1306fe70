/*
 * http_request.c - a request from its head to its answer.
 *
 * While intake has no room, new requests are refused before their bodies are read; only one of which records were taken already is held, so that
 * its sender need not send them again. Bodies are let go as soon as their records are taken: who waits for the disk costs little.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <arpa/inet.h>

#include <microhttpd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/gzip.h"
#include "base/loop.h"
#include "base/stat.h"

#define STREAM		1u		/* there is but one */
#define REPLY_BYTES	(64u << 10)
#define RETRY_AFTER_S	"5"
#define DRAIN_MOST	(1 << 20)	/* of a sender that is not trusted */
#define TELL_MS		60000

/* ---- what becomes of it ------------------------------------------------------------- */

static void
let_body_go(struct push_request *r)
{
	r->push->pending_bytes -= r->body.n;
	buf_fini(&r->body);
}

void
push_request_refuse(struct push_request *r, enum push_refusal refusal, unsigned status, const char *why)
{
	r->refusal = refusal;
	r->status = status;
	r->why = why;
}

static void
answer_with(struct push_request *r, unsigned status)
{
	r->status = status;
	r->stage = PUSH_ANSWERING;
	if (!r->suspended)
		return;
	r->suspended = false;
	MHD_resume_connection(r->c);
	r->push->again = true;
	loop_timer_set(r->push->turn, 0);
}

static void
answer_refused(struct push_request *r, enum push_refusal refusal, unsigned status, const char *why)
{
	push_request_refuse(r, refusal, status, why);
	answer_with(r, status);
}

static void
sleep_until(struct push_request *r, enum push_stage stage)
{
	r->stage = stage;
	if (!r->suspended)
		MHD_suspend_connection(r->c);
	r->suspended = true;
}

/* ---- who waits ------------------------------------------------------------------------ */

static void
wait_for_disk(struct push_request *r)
{
	struct push *p = r->push;

	r->next = NULL;
	if (p->last != NULL)
		p->last->next = r;
	else
		p->first = r;
	p->last = r;
	sleep_until(r, PUSH_WAITING);
}

static void
wait_no_more(struct push_request *r)
{
	struct push *p = r->push;
	struct push_request **at = &p->first, *before = NULL;

	for (; *at != NULL && *at != r; at = &(*at)->next)
		before = *at;
	if (*at == NULL)
		return;
	*at = r->next;
	if (p->last == r)
		p->last = before;
}

void
push_request_safe(struct push *p)
{
	struct push_request *r;

	while ((r = p->first) != NULL && r->ticket <= p->safe) {
		p->first = r->next;
		if (p->first == NULL)
			p->last = NULL;
		answer_with(r, MHD_HTTP_OK);
	}
}

/* ---- records ---------------------------------------------------------------------------- */

static bool
emit(struct push_request *r, const struct push_record *record)
{
	struct push *p = r->push;
	const struct record raw = { .bytes = record->bytes, .padded = record->unreadable == NULL, .source = p->s->name, .arrived_ms = r->arrived_ms,
		.unreadable = record->unreadable };
	struct position after = { .stream = STREAM, .len = 8 };

	put_le64(after.bytes, p->ticket + 1);
	if (!source_emit(p->s, &raw, &after))
		return false;
	r->ticket = ++p->ticket;
	return true;
}

static void
end_offer(struct push_request *r)
{
	struct push *p = r->push;

	p->held = NULL;
	p->record.bytes = SLICE_NONE;
	push_body_close(&p->body);
	buf_reset(&p->plain);
	if (p->plain.cap > PUSH_KEEP_BYTES)
		buf_fini(&p->plain);
	let_body_go(r);
}

/* All that is left of it; stands still at a record that finds no room. */
static void
offer(struct push_request *r)
{
	struct push *p = r->push;

	while (p->record.bytes.p != NULL || push_body_next(&p->body, &p->record)) {
		if (!emit(r, &p->record)) {
			p->paused = true;
			if (r->ticket == 0) {
				end_offer(r);
				answer_refused(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "the spool is full");
			} else {
				p->held = r;
				sleep_until(r, PUSH_HELD);
			}
			return;
		}
		p->record.bytes = SLICE_NONE;
	}
	end_offer(r);
	if (r->ticket <= p->safe)
		answer_with(r, MHD_HTTP_OK);
	else
		wait_for_disk(r);
}

/* 1 unpacked, 0 it is too large (plain has room for a byte more than is allowed), -1 with the reason. */
static int
gunzip(struct slice in, size_t most, struct buf *out, struct err *err)
{
	struct gzip_reader *reader = gzip_reader_new();
	int rc = 0;

	if (reader == NULL)
		return err_set(err, ERR_AGAIN, "no memory to unpack");
	while (rc == 0 && out->n <= most) {
		const size_t before = out->n;
		size_t used = 0;

		rc = gzip_read(reader, in, &used, out, 65536, err);
		in = slice_make(in.p + used, in.n - used);
		if (rc == 0 && used == 0 && out->n == before)
			rc = err_set(err, ERR_DATA, "it ends in the middle");
	}
	gzip_reader_free(reader);
	return out->n > most ? 0 : rc;
}

/* The bytes that the records are in. False: it has its answer. A broken gzip is a record that nobody can read. */
static bool
unpack(struct push_request *r, struct slice *ret)
{
	struct push *p = r->push;
	struct err err = { 0 };
	int rc;

	*ret = buf_slice(&r->body);
	if (!r->gzip || r->body.n == 0)
		return true;
	buf_reset(&p->plain);
	rc = gunzip(buf_slice(&r->body), p->max_body, &p->plain, &err);
	if (rc == 1) {
		*ret = buf_slice(&p->plain);
		return true;
	}
	if (rc == -1 && err.kind == ERR_DATA) {
		p->record = (struct push_record){ buf_slice(&r->body), "its gzip is broken" };
		*ret = SLICE_NONE;
		return true;
	}
	end_offer(r);
	if (rc == 0)
		answer_refused(r, PUSH_TOO_LARGE, 413, "it unpacks to more than max_body");
	else
		answer_refused(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for it");
	return false;
}

static void
validate(struct push_request *r, struct slice body)
{
	struct push *p = r->push;
	struct err err = { 0 };
	const int rc = push_form_validate(p->body.json, &p->body.doc, body, &r->reply, &err);

	end_offer(r);
	if (rc != 0) {
		answer_refused(r, PUSH_WRONG_FORM, MHD_HTTP_BAD_REQUEST, "no event of validation");
		return;
	}
	source_say(p->s, false, "Event Grid asked whether its events may come, and was told yes");
	answer_with(r, MHD_HTTP_OK);
}

/* Its body is whole. */
static void
take_whole(struct push_request *r)
{
	struct push *p = r->push;
	struct slice body;

	if (p->paused || p->closing) {
		let_body_go(r);
		answer_refused(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, p->closing ? "the agent ends, or takes a new configuration into use" : "the spool is full");
		return;
	}
	assert(p->held == NULL && p->record.bytes.p == NULL);
	if (!unpack(r, &body))
		return;
	if (r->validation) {
		validate(r, body);
		return;
	}
	push_body_open(&p->body, r->form->frame, body, r->lines);
	offer(r);
}

void
push_request_resume(struct push *p)
{
	p->paused = false;
	if (p->held != NULL)
		offer(p->held);
	if (p->started)
		loop_timer_set(p->turn, 0);
}

/* ---- time ------------------------------------------------------------------------------- */

bool
push_request_expire(struct push_request *r)
{
	if (r->stage == PUSH_HELD)
		end_offer(r);
	else if (r->stage == PUSH_WAITING)
		wait_no_more(r);
	else
		return false;
	answer_refused(r, PUSH_TOO_SLOW, MHD_HTTP_SERVICE_UNAVAILABLE, "not on disk in time; sent again, its records have the same EventIds");
	return true;
}

void
push_request_stop_all(struct push *p)
{
	if (p->held != NULL)
		(void)push_request_expire(p->held);
	while (p->first != NULL)
		(void)push_request_expire(p->first);
}

/* ---- answers ------------------------------------------------------------------------------ */

static void
count(struct push_request *r)
{
	static const enum stat_id rows[PUSH_REFUSALS] = { STAT_SOURCE_REQUESTS, STAT_SOURCE_REFUSED_TOKEN, STAT_SOURCE_REFUSED_SIZE, STAT_SOURCE_REFUSED_ROOM,
		STAT_SOURCE_REFUSED_FORM, STAT_SOURCE_REFUSED_TIME };
	struct push *p = r->push;
	const union MHD_ConnectionInfo *info;

	stat_add(p->s->stats, rows[r->refusal], 1);
	if (r->refusal == PUSH_FINE) {
		if (p->trouble.sum != 0)
			stat_say(p->s->stats, "");	/* it is over */
		p->trouble.sum = 0;
		return;
	}
	p->refused.n[r->refusal]++;
	info = MHD_get_connection_info(r->c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	p->refused.peer[0] = '\0';
	if (info != NULL && info->client_addr->sa_family == AF_INET)
		(void)inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)info->client_addr)->sin_addr, p->refused.peer, sizeof(p->refused.peer));
	else if (info != NULL && info->client_addr->sa_family == AF_INET6)
		(void)inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)info->client_addr)->sin6_addr, p->refused.peer, sizeof(p->refused.peer));
	push_request_tell(p);
}

void
push_request_tell(struct push *p)
{
	static const char *const words[PUSH_REFUSALS] = { NULL, "no or a wrong token or certificate", "too large", "no room (spool, memory, or requests at a time)",
		"not as a form wants it (path, method, type)", "too slow" };
	const uint64_t now_ms = clock_mono_ms();
	/* That strangers knock at an open port is no trouble of ours; what we owe to who may send is. */
	const bool trouble = p->refused.n[PUSH_TOO_LARGE] + p->refused.n[PUSH_NO_ROOM] + p->refused.n[PUSH_TOO_SLOW] > 0;
	char text[320];
	size_t n = 0;

	if (p->refused.at_ms != 0 && now_ms - p->refused.at_ms < TELL_MS)
		return;
	for (int i = 1; i < PUSH_REFUSALS; i++)
		if (p->refused.n[i] > 0 && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u %s", n > 0 ? ", " : "requests refused: ", p->refused.n[i], words[i]);
	memset(p->refused.n, 0, sizeof(p->refused.n));
	if (n == 0) {
		if (p->refused.at_ms != 0 && p->refused.trouble)
			stat_say(p->s->stats, "");	/* that was a minute ago */
		p->refused.at_ms = 0;
		return;
	}
	if (n < sizeof(text) && p->refused.peer[0] != '\0')
		snprintf(text + n, sizeof(text) - n, "; the latest from %s", p->refused.peer);
	p->refused.at_ms = now_ms;
	p->refused.trouble = trouble;
	source_say(p->s, trouble, text);
}

/* Nothing of the request itself: only which form it was of, and figures. */
static void
debug(const struct push_request *r)
{
	const struct source *s = r->push->s;
	char text[200];

	if (s->debug_line == NULL)
		return;
	snprintf(text, sizeof(text), "%s: %u, %zu bytes in %llu ms%s%s", r->form != NULL ? r->form->path : "a path of no form", r->status, r->received,
	    (unsigned long long)(clock_mono_ms() - r->began_ms), r->why != NULL ? ": " : "", r->why != NULL ? r->why : "");
	source_debug(r->push->s, text);
}

static void
add_headers(const struct push_request *r, struct MHD_Response *response)
{
	(void)MHD_add_response_header(response, "Content-Type", "application/json");
	(void)MHD_add_response_header(response, "Cache-Control", "no-store");
	if (r->status == MHD_HTTP_SERVICE_UNAVAILABLE)
		(void)MHD_add_response_header(response, "Retry-After", RETRY_AFTER_S);
	else if (r->status == MHD_HTTP_UNAUTHORIZED)
		(void)MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
	else if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		(void)MHD_add_response_header(response, "Allow", r->form != NULL && r->form->handshake ? "POST, OPTIONS" : "POST");
	if (r->origin[0] == '\0' || r->refusal != PUSH_FINE)
		return;
	(void)MHD_add_response_header(response, "Allow", "POST");
	(void)MHD_add_response_header(response, "WebHook-Allowed-Origin", r->origin);
	(void)MHD_add_response_header(response, "WebHook-Allowed-Rate", r->rate);
}

static int
answer(struct push_request *r)
{
	struct MHD_Response *response;
	enum MHD_Result rc = MHD_NO;

	r->stage = PUSH_ANSWERING;
	if (r->reply.n == 0)
		push_form_answer(r->form, slice_of(r->id), r->refusal != PUSH_FINE ? r->why : NULL, (int64_t)clock_wall_ms(), &r->reply);
	response = r->reply.failed ? NULL : MHD_create_response_from_buffer(r->reply.n, r->reply.p, MHD_RESPMEM_MUST_COPY);
	if (response != NULL) {
		add_headers(r, response);
		rc = MHD_queue_response(r->c, r->status, response);
		MHD_destroy_response(response);
	}
	count(r);
	debug(r);
	return rc;
}

/* For who balances load: is there an agent here that takes records? Asked without a token. */
static int
answer_health(struct push *p, struct MHD_Connection *c)
{
	static char good[] = "ok\n", bad[] = "the spool is full\n";
	const bool fine = !p->paused && !p->closing;
	struct MHD_Response *response = MHD_create_response_from_buffer(strlen(fine ? good : bad), fine ? good : bad, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result rc;

	if (response == NULL)
		return MHD_NO;
	(void)MHD_add_response_header(response, "Content-Type", "text/plain");
	rc = MHD_queue_response(c, fine ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, response);
	MHD_destroy_response(response);
	return rc;
}

/* ---- what libmicrohttpd calls ---------------------------------------------------------------- */

static int64_t
declared(const struct push_request *r)
{
	const char *text = MHD_lookup_connection_value(r->c, MHD_HEADER_KIND, "Content-Length");
	int64_t n = 0;

	if (text != NULL)
		return slice_to_i64(slice_of(text), &n) ? n : INT64_MAX;
	return MHD_lookup_connection_value(r->c, MHD_HEADER_KIND, "Transfer-Encoding") != NULL ? INT64_MAX : 0;
}

/* Who is answered before its body is read finds the connection cut while it still sends, and may never see the answer. */
static bool
may_drain(const struct push_request *r)
{
	const char *expect = MHD_lookup_connection_value(r->c, MHD_HEADER_KIND, "Expect");

	return expect == NULL && (r->trusted || declared(r) <= DRAIN_MOST);
}

int
push_request_begin(struct push_peer *peer, const char *url, const char *method, void **state)
{
	struct push *p = peer->server->push;
	struct push_request *r;

	push_peer_step(peer);
	peer->served = true;
	if (strcmp(url, "/healthz") == 0 && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0))
		return answer_health(p, peer->c);
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return MHD_NO;
	*r = (struct push_request){ .push = p, .peer = peer, .c = peer->c, .arrived_ms = clock_wall_ms(), .began_ms = clock_mono_ms() };
	buf_init(&r->body, p->max_body);
	buf_init(&r->reply, REPLY_BYTES);
	peer->request = *state = r;
	if (push_gate(r, url, method) == PUSH_FINE) {
		r->counted = true;
		p->requests++;
		if (r->stage == PUSH_READING && declared(r) <= PUSH_KEEP_BYTES)
			(void)buf_reserve(&r->body, (size_t)declared(r));
		return MHD_YES;
	}
	r->stage = PUSH_DRAINING;
	return may_drain(r) ? MHD_YES : answer(r);
}

static void
take_bytes(struct push_request *r, const char *bytes, size_t n)
{
	struct push *p = r->push;

	stat_add(p->s->stats, STAT_SOURCE_RECEIVED_BYTES, n);
	r->received += n;
	if (r->stage != PUSH_READING)
		return;
	if (n > p->max_body - r->body.n)
		push_request_refuse(r, PUSH_TOO_LARGE, 413, "larger than max_body");
	else if (n > p->max_pending - p->pending_bytes)
		push_request_refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at a time");
	else if (!buf_reserve(&r->body, n))
		push_request_refuse(r, PUSH_NO_ROOM, MHD_HTTP_SERVICE_UNAVAILABLE, "no memory for it");
	if (r->refusal != PUSH_FINE) {
		let_body_go(r);
		r->stage = PUSH_DRAINING;
		return;
	}
	buf_put(&r->body, bytes, n);
	p->pending_bytes += n;
}

int
push_request_go_on(struct push_request *r, const char *upload, size_t *upload_n)
{
	if (*upload_n > 0) {
		take_bytes(r, upload, *upload_n);
		*upload_n = 0;
		return MHD_YES;
	}
	if (r->stage == PUSH_READING)
		take_whole(r);
	return r->suspended ? MHD_YES : answer(r);
}

void
push_request_end(struct push_request *r)
{
	struct push *p = r->push;

	if (r == p->held)
		end_offer(r);
	wait_no_more(r);
	let_body_go(r);
	buf_fini(&r->reply);
	p->requests -= r->counted;
	r->peer->request = NULL;
	push_peer_step(r->peer);
	free(r);
}
