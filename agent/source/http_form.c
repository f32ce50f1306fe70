/*
 * http_form.c - what each sender wants to hear.
 * Sources: Amazon Data Firehose, "HTTP endpoint delivery request and response specifications" (requestId, timestamp, errorMessage); Azure Event Grid,
 *          "Endpoint validation with Event Grid event schema" (validationCode, validationResponse); OTLP 1.x, "OTLP/HTTP Response" ({} is full success).
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/http_source.h"

#include "base/err.h"

#define CODE_BYTES	512		/* Event Grid's are GUIDs or 64 hex digits */

void
push_form_answer(const struct push_form *form, struct slice id, const char *why, int64_t now_ms, struct buf *out)
{
	if (form != NULL && form->frame == PUSH_FIREHOSE) {
		buf_puts(out, "{\"requestId\":");
		buf_put_json(out, id);
		buf_puts(out, ",\"timestamp\":");
		buf_put_i64(out, now_ms);
		if (why != NULL) {
			buf_puts(out, ",\"errorMessage\":");
			buf_put_json(out, slice_of(why));
		}
		buf_putc(out, '}');
	} else if (why != NULL) {
		buf_puts(out, "{\"message\":");
		buf_put_json(out, slice_of(why));
		buf_putc(out, '}');
	} else {
		buf_puts(out, "{}");
	}
}

int
push_form_validate(struct json_reader *json, struct json_doc *doc, struct slice body, struct buf *out, struct err *err)
{
	struct buf code;
	uint32_t at = 0, data = 0;
	int rc = -1;

	json_reset(json, doc);
	if (json_read(json, body, true, doc, err) < 0)
		return -1;
	if (doc->v[0].type == JSON_ARRAY)
		at = doc->v[0].next > 1 ? 1 : 0;
	if (doc->v[at].type == JSON_OBJECT)
		data = json_get(doc, at, "data");
	buf_init(&code, CODE_BYTES);
	if (data != 0 && doc->v[data].type == JSON_OBJECT && json_get_text(doc, data, "validationCode", &code) && code.n > 0 && !code.failed) {
		buf_puts(out, "{\"validationResponse\":");
		buf_put_json(out, buf_slice(&code));
		buf_putc(out, '}');
		rc = 0;
	} else {
		err_set(err, ERR_DATA, "no validationCode in the event");
	}
	buf_fini(&code);
	return rc;
}
