/* answer.c - the verdict on each status of the Logs Ingestion API, and the words an operator can act on. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/sentinel/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "net/http.h"
#include "net/said.h"

#define SAID_BYTES	200
#define CODE_BYTES	48
#define ID_BYTES	64
#define REPEAT_BYTES	24		/* this much of what was sent makes the service's words unfit to show */
#define SKEW_S		60

enum sink_verdict
sentinel_verdict(int status)
{
	if (status >= 200 && status < 300)
		return SINK_DELIVERED;
	switch (status) {
	case 400:
		return SINK_REFUSED;
	case 413:
		return SINK_TOO_BIG;
	case 401:
	case 403:
	case 404:
		return SINK_HELD;
	default:
		return SINK_LATER;
	}
}

static const char *
causes(int status)
{
	switch (status) {
	case 401:
		return "a fresh token is not accepted (wrong cloud, audience or tenant?)";
	case 403:
		return "either the role Monitoring Metrics Publisher on the rule is missing or younger than 30 minutes, "
		    "or network isolation (AMPLS, private link) shuts this host out";
	case 404:
		return "wrong rule, stream or endpoint; a stream begins with Custom- or Microsoft-";
	default:
		return NULL;
	}
}

struct said {
	struct buf	code, message, id;
};

/* {"error":{"code":"...","message":"..."}} */
static void
read_said(const struct http_answer *a, struct said *said)
{
	struct json_reader *reader = json_reader_new();
	struct json_doc doc;
	uint32_t error;

	json_doc_init(&doc, 1024);
	if (reader != NULL && json_read(reader, a->body, false, &doc, NULL) == 0 && doc.v[0].type == JSON_OBJECT) {
		error = json_get(&doc, 0, "error");
		if (error != 0 && doc.v[error].type == JSON_OBJECT) {
			if (!json_get_text(&doc, error, "code", &said->code) || said->code.failed)
				buf_reset(&said->code);
			if (!json_get_text(&doc, error, "message", &said->message) || said->message.failed)
				buf_reset(&said->message);
		}
	}
	json_doc_fini(&doc);
	json_reader_free(reader);
}

static void
screen(struct buf *b, size_t most, const struct buf *sent, const struct buf *bearer_line)
{
	struct slice token = buf_slice(bearer_line), head = SLICE("Authorization: Bearer ");

	b->n = utf8_cut(buf_slice(b), most + SAID_SLACK);
	if (token.n >= head.n)
		token = slice_make(token.p + head.n, token.n - head.n);
	if (said_repeats(buf_slice(b), buf_slice(sent), REPEAT_BYTES) || said_repeats(buf_slice(b), token, REPEAT_BYTES))
		buf_reset(b);
	said_clean(b, most);	/* behind it: with marks for letters it would not be the same text */
}

static void
put_id(struct buf *b, const char *name, struct slice id)
{
	size_t n = id.n < ID_BYTES ? id.n : ID_BYTES;

	if (n == 0)
		return;
	buf_puts(b, name);
	for (size_t i = 0; i < n; i++)
		buf_putc(b, (unsigned char)id.p[i] > 0x20 && (unsigned char)id.p[i] < 0x7f ? id.p[i] : '?');
}

int64_t
sentinel_skew_s(const struct http_answer *a)
{
	const int64_t s = a->date_ms > 0 ? ((int64_t)clock_wall_ms() - a->date_ms) / 1000 : 0;

	return s > SKEW_S || s < -SKEW_S ? s : 0;
}

static void
put_skew(struct buf *b, int64_t s)
{
	if (s != 0)
		buf_printf(b, "; this host's clock is %lld s %s", (long long)(s > 0 ? s : -s), s > 0 ? "ahead" : "behind");
}

void
sentinel_explain(const struct http_answer *a, const char *host, const char *id_line, const struct buf *sent,
    const struct buf *bearer_line, bool *ret_span, struct err *why)
{
	const char *likely = causes(a->status), *guid = strchr(id_line, ' ');
	struct said said;
	struct buf b;

	buf_init(&said.code, 64 << 10);
	buf_init(&said.message, 64 << 10);
	buf_init(&said.id, 64 << 10);
	buf_init(&b, 4096);
	if (a->status >= 300)
		read_said(a, &said);
	buf_put_slice(&said.id, a->header(a, "x-ms-request-id"));
	if (said.code.n == 0)
		buf_put_slice(&said.code, a->header(a, "x-ms-error-code"));
	*ret_span = a->status == 400 && slice_eq(buf_slice(&said.code), SLICE("RecordsTimeRangeIsMoreThan30Minutes"));
	screen(&said.code, CODE_BYTES, sent, bearer_line);
	screen(&said.message, SAID_BYTES, sent, bearer_line);
	screen(&said.id, ID_BYTES, sent, bearer_line);
	buf_printf(&b, "%d", a->status);
	if (said.code.n > 0)
		buf_printf(&b, " %.*s", SLICE_ARG(buf_slice(&said.code)));
	if (likely != NULL)
		buf_printf(&b, ": %s", likely);
	if (said.message.n > 0 && likely == NULL)
		buf_printf(&b, ": %.*s", SLICE_ARG(buf_slice(&said.message)));
	put_skew(&b, sentinel_skew_s(a));
	put_id(&b, "; request ", buf_slice(&said.id));
	put_id(&b, "; client request ", slice_of(guid != NULL ? guid + 1 : ""));
	buf_printf(&b, "; %s", host);
	if (said.message.n > 0 && likely != NULL)
		buf_printf(&b, " says: %.*s", SLICE_ARG(buf_slice(&said.message)));
	err_set(why, a->status == 401 || a->status == 403 ? ERR_DENIED : a->status == 400 || a->status == 413 ? ERR_DATA :
	    ERR_AGAIN, "%.*s", SLICE_ARG(buf_slice(&b)));
	buf_fini(&b);
	buf_fini(&said.code);
	buf_fini(&said.message);
	buf_fini(&said.id);
}
