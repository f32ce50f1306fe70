/*
 * http_body.c - a body cut into records.
 *
 * The frame of a transport that carries bytes (Firehose's and Pub/Sub's base64) is taken off here, as Kafka's is by its client: each message
 * is a record of its own, and one that is no JSON is set aside alone. What wraps JSON in JSON (lists, {"records": [..]}, OTLP, CloudEvents) stays for
 * decode and its envelopes. Lines are records, as in a file.
 * Sources: "Understand HTTP endpoint delivery request and response specifications" of Amazon Data Firehose; "Receive messages from push
 *          subscriptions" of Google Cloud Pub/Sub.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include "base/err.h"
#include "base/gzip.h"

#define VALUES_MOST	(1u << 20)	/* of a framed body */
#define NO_BASE64	"its data is no base64"

int
push_body_init(struct push_body *b, size_t max_bytes, struct err *err)
{
	json_doc_init(&b->doc, VALUES_MOST);
	buf_init(&b->piece, max_bytes);
	b->json = json_reader_new();
	return b->json != NULL ? 0 : err_set(err, ERR_AGAIN, "no memory for a source");
}

void
push_body_fini(struct push_body *b)
{
	json_reader_free(b->json);
	json_doc_fini(&b->doc);
	buf_fini(&b->piece);
}

void
push_body_close(struct push_body *b)
{
	json_reset(b->json, &b->doc);
	b->rest = SLICE_NONE;
	b->list = false;
	if (b->piece.cap > PUSH_KEEP_BYTES)
		buf_fini(&b->piece);
	if (b->doc.cap > PUSH_KEEP_BYTES / sizeof(*b->doc.v)) {
		json_doc_fini(&b->doc);
		json_doc_init(&b->doc, VALUES_MOST);
	}
}

/* ---- lines ---------------------------------------------------------------------------- */

static struct slice
next_line(struct slice *rest)
{
	const char *end = rest->n > 0 ? memchr(rest->p, '\n', rest->n) : NULL;
	struct slice line = *rest;

	if (end != NULL)
		line.n = (size_t)(end - rest->p);
	rest->p += line.n + (end != NULL ? 1 : 0);
	rest->n -= line.n + (end != NULL ? 1 : 0);
	return slice_trim(line);
}

/* Where the object or list at the start of s ends, by its brackets; 0: it does not. */
static size_t
whole_value(struct slice s)
{
	size_t depth = 0;
	bool text = false;

	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (text) {
			if (c == '\\')
				i++;
			else if (c == '"')
				text = false;
		} else if (c == '"') {
			text = true;
		} else if (c == '{' || c == '[') {
			depth++;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

/* One record a line, or one over several? A whole object in the first line, and more behind it, cannot be one JSON text. */
static bool
has_line_records(struct slice text)
{
	struct slice rest = text, first, second;

	first = next_line(&rest);
	rest = slice_trim(rest);
	if (rest.n == 0 || first.n == 0)
		return false;
	if (first.p[0] != '{' && first.p[0] != '[')
		return true;
	if (whole_value(first) == first.n)
		return true;
	second = next_line(&rest);
	return first.p[0] == '{' && second.n > 0 && second.p[0] == '{';		/* its first record is cut short */
}

static void
open_text(struct push_body *b, struct slice text, bool lines)
{
	b->rest = slice_trim(text);
	b->lines = !gzip_is(b->rest) && (lines || has_line_records(b->rest));
}

/* ---- frames ---------------------------------------------------------------------------- */

static uint32_t
member(const struct push_body *b, uint32_t at, const char *key, enum json_type type)
{
	const uint32_t i = b->doc.v[at].type == JSON_OBJECT ? json_get(&b->doc, at, key) : 0;

	return i != 0 && b->doc.v[i].type == type ? i : 0;
}

static bool
read_frame(struct push_body *b, struct slice body)
{
	return json_read(b->json, body, true, &b->doc, NULL) >= 0;
}

/* The bytes of a base64 text into piece; false: it is none, or there is no memory for it. */
static bool
unpack(struct push_body *b, uint32_t at)
{
	const struct json_value *v = &b->doc.v[at];
	struct buf plain;
	bool good;

	buf_reset(&b->piece);
	if (!v->escaped)
		return buf_put_unbase64(&b->piece, json_raw(v));
	buf_init(&plain, b->piece.max_bytes);		/* "\/" is how some write a slash */
	json_unescape(v, &plain);
	good = !plain.failed && buf_put_unbase64(&b->piece, buf_slice(&plain));
	buf_fini(&plain);
	return good;
}

void
push_body_open(struct push_body *b, enum push_frame frame, struct slice body, bool lines)
{
	uint32_t at;

	json_reset(b->json, &b->doc);
	b->list = false;
	b->rest = SLICE_NONE;
	if (frame == PUSH_FIREHOSE && read_frame(b, body) && (at = member(b, 0, "records", JSON_ARRAY)) != 0) {
		b->list = true;
		b->at = at + 1;
		b->end = b->doc.v[at].next;
	} else if (frame == PUSH_PUBSUB && read_frame(b, body) && (at = member(b, 0, "message", JSON_OBJECT)) != 0 &&
	    (at = member(b, at, "data", JSON_STRING)) != 0 && unpack(b, at)) {
		open_text(b, buf_slice(&b->piece), false);
	} else {
		open_text(b, body, lines);
	}
}

/* The next text of the list. True: it is no record as it stands, and ret says why. */
static bool
next_text(struct push_body *b, struct push_record *ret)
{
	const uint32_t item = b->at, data = member(b, item, "data", JSON_STRING);

	b->at = b->doc.v[item].next;
	if (data == 0 || !unpack(b, data)) {
		*ret = (struct push_record){ json_raw(&b->doc.v[item]), NO_BASE64 };
		return true;
	}
	open_text(b, buf_slice(&b->piece), false);
	return false;
}

bool
push_body_next(struct push_body *b, struct push_record *ret)
{
	for (;;) {
		while (b->rest.n > 0) {
			struct slice line = b->rest;

			if (b->lines)
				line = next_line(&b->rest);
			else
				b->rest = SLICE_NONE;
			if (line.n > 0) {
				*ret = (struct push_record){ line, NULL };
				return true;
			}
		}
		if (!b->list || b->at >= b->end)
			return false;
		if (next_text(b, ret))
			return true;
	}
}
