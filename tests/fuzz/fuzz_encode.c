/*
 * fuzz_encode.c - any bytes in any columns through every encoding: what comes out is one line, and what is JSON reads as JSON again.
 * Input: pieces "column byte, two bytes of length, text"; a number takes eight of its bytes.
 */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "sinks/encode/encode.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct json_reader *reader;
static struct json_doc doc;
static struct buf line, copy;

static void
set_column(struct event *e, int f, struct slice text)
{
	uint64_t word = 0;

	memcpy(&word, text.p, text.n < sizeof(word) ? text.n : sizeof(word));
	switch (field_rows[f].type) {
	case FIELD_TEXT:
		event_set_text(e, (enum field)f, text);
		break;
	case FIELD_JSON:			/* one JSON text by its rule: what decode has read */
		json_reset(reader, &doc);
		if (json_read(reader, text, false, &doc, NULL) == 0) {
			buf_reset(&copy);
			json_write(&doc, 0, &copy);
			event_set_text(e, (enum field)f, buf_slice(&copy));
		}
		break;
	case FIELD_REAL:
		memcpy(&e->v[f].real, &word, sizeof(word));
		event_set_real(e, (enum field)f, e->v[f].real);
		break;
	default:
		event_set_number(e, (enum field)f, (int64_t)word);
		break;
	}
}

static void
check(const struct encoder *encoder, const struct event *e)
{
	struct err err = { 0 };
	size_t whole;

	buf_reset(&line);
	buf_puts(&line, "before");
	assert(encoder->encode(e, &line, &err) == 0);
	assert(memcmp(line.p, "before", 6) == 0 && line.n > 6);
	assert(utf8_valid_prefix(buf_slice(&line)) == line.n);
	for (size_t i = 0; i < line.n; i++)
		assert((unsigned char)line.p[i] >= 0x20);
	if (strcmp(encoder->name, "cef") != 0) {
		json_reset(reader, &doc);
		assert(json_read(reader, slice_make(line.p + 6, line.n - 6), false, &doc, &err) == 0);
	}
	whole = line.n;
	line.max_bytes = whole - 1;		/* one byte too small: nothing is left behind */
	line.cap = line.cap < line.max_bytes ? line.cap : line.max_bytes;
	line.n = 6;
	assert(encoder->encode(e, &line, &err) == -1 && err.kind == ERR_FULL && line.n == 6 && !line.failed);
	buf_fini(&line);
	buf_init(&line, (size_t)64 << 20);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct event e;
	size_t at = 0;

	if (reader == NULL) {
		reader = json_reader_new();
		assert(reader != NULL);
		json_doc_init(&doc, 1u << 20);
		buf_init(&line, (size_t)64 << 20);
		buf_init(&copy, (size_t)64 << 20);
	}
	event_init(&e);
	while (n - at > 3) {
		size_t length = (size_t)data[at + 1] | (size_t)data[at + 2] << 8;
		int f = data[at] % FIELD_COUNT;

		at += 3;
		if (length > n - at)
			length = n - at;
		set_column(&e, f, slice_make(data + at, length));
		at += length;
	}
	check(&encoder_json, &e);
	check(&encoder_cef, &e);
	check(&encoder_commonsecuritylog, &e);
	check(&encoder_ocsf, &e);
	return 0;
}
