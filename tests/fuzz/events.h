/* events.h - what every event that decode makes must be: whole, the same behind the wire, and one JSON line. Two targets ask it. */
#ifndef FUZZ_EVENTS_H
#define FUZZ_EVENTS_H

#include <assert.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "model/event.h"
#include "model/wire.h"
#include "sinks/encode/encode.h"

static inline void
check_texts(const struct event *e, const struct event *again)
{
	assert(e->present == again->present);
	for (int f = 0; f < FIELD_COUNT; f++) {
		bool text = field_rows[f].type == FIELD_TEXT || field_rows[f].type == FIELD_JSON;

		if (!event_has(e, (enum field)f) || !text)
			continue;
		assert(e->v[f].text.n > 0);
		assert(slice_eq(e->v[f].text, again->v[f].text));
	}
}

static inline void
check_event(const struct event *e)
{
	static struct json_reader *reader;
	static struct json_doc doc;
	static struct buf wire, line;
	struct event again;
	struct err err = { 0 };

	if (reader == NULL) {
		reader = json_reader_new();
		assert(reader != NULL);
		json_doc_init(&doc, 1u << 20);
		buf_init(&wire, WIRE_MAX_BYTES);
		buf_init(&line, 64u << 20);
	}
	assert(event_has(e, F_TimeGenerated) && event_has(e, F_EventSeverity) && event_has(e, F_EventResult));
	assert(event_class(event_text(e, F_EventClass)) >= 0 && !event_class_is_finding(event_text(e, F_EventClass)));
	assert(event_text(e, F_EventId).n == 32);
	buf_reset(&wire);
	assert(wire_put(e, &wire, &err) == 0);
	assert(wire_get(buf_slice(&wire), &again, &err) == 0);
	check_texts(e, &again);
	buf_reset(&line);
	assert(encoder_find("json")->encode(e, &line, &err) == 0);
	json_reset(reader, &doc);
	assert(json_read(reader, buf_slice(&line), true, &doc, &err) == 0);
}

#endif
