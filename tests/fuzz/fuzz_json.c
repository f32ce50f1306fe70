/*
 * fuzz_json.c - any bytes as JSON. What is taken must be a sound array of values; written and read again it must
 * be the same values; and where its bytes lie (padded or not) must not matter.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fixed.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct json_reader *readers[2];
static struct json_doc docs[2];
static struct buf padded, text, again, a, b;

static void
open_once(void)
{
	struct buf *bufs[] = { &padded, &text, &again, &a, &b };

	if (readers[0] != NULL)
		return;
	for (int i = 0; i < 2; i++) {
		readers[i] = json_reader_new();
		assert(readers[i] != NULL);
		json_doc_init(&docs[i], 1u << 16);
	}
	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++)
		buf_init(bufs[i], (size_t)64 << 20);
}

/* Every value lies within its container, keys are strings, and members fill the container exactly. */
static void
check_shape(const struct json_doc *doc)
{
	const struct json_value *v = doc->v;

	assert(doc->n > 0 && v[0].next == doc->n);
	for (uint32_t at = 0; at < doc->n; at++) {
		bool object = v[at].type == JSON_OBJECT;
		uint32_t i = at + 1;

		assert(v[at].next > at && v[at].next <= doc->n);
		if (!object && v[at].type != JSON_ARRAY) {
			assert(v[at].next == at + 1);
			continue;
		}
		assert(v[at].n >= 2 && v[at].p[0] == (object ? '{' : '[') && v[at].p[v[at].n - 1] == (object ? '}' : ']'));
		while (i < v[at].next) {
			assert(v[i].p > v[at].p && v[i].p + v[i].n < v[at].p + v[at].n);
			assert(!object || (v[i].type == JSON_STRING && i + 1 < v[at].next));
			i = v[object ? i + 1 : i].next;
		}
		assert(i == v[at].next);
	}
}

static void
check_same(const struct json_doc *x, const struct json_doc *y)
{
	assert(x->n == y->n);
	for (uint32_t i = 0; i < x->n; i++) {
		const struct json_value *p = &x->v[i], *q = &y->v[i];

		assert(p->type == q->type && p->next == q->next);
		buf_reset(&a);
		buf_reset(&b);
		if (p->type == JSON_STRING) {
			json_unescape(p, &a);
			json_unescape(q, &b);
			assert(a.n <= p->n && b.n <= q->n);
			assert(utf8_valid_prefix(buf_slice(&a)) == a.n);
		} else if (p->type != JSON_OBJECT && p->type != JSON_ARRAY) {
			buf_put_slice(&a, json_raw(p));
			buf_put_slice(&b, json_raw(q));
		}
		assert(slice_eq(buf_slice(&a), buf_slice(&b)));
	}
}

/* Written, read and written again: the same values, the same bytes. */
static void
check_writing(void)
{
	struct err err;

	buf_reset(&text);
	json_write(&docs[0], 0, &text);
	assert(!text.failed && text.n <= (size_t)docs[0].v[0].n + 2);
	json_reset(readers[1], &docs[1]);
	assert(json_read(readers[1], buf_slice(&text), true, &docs[1], &err) == 0);
	check_shape(&docs[1]);
	check_same(&docs[0], &docs[1]);
	buf_reset(&again);
	json_write(&docs[1], 0, &again);
	assert(slice_eq(buf_slice(&text), buf_slice(&again)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err first = { .kind = ERR_NONE }, second = { .kind = ERR_NONE };
	int64_t root, other;

	if (n > 1 << 20)
		return 0;
	open_once();
	json_reset(readers[0], &docs[0]);
	json_reset(readers[1], &docs[1]);
	buf_reset(&padded);
	buf_put(&padded, data, n);
	buf_put(&padded, "\"]}0", 4);	/* what stands behind the text must not count */
	root = json_read(readers[0], slice_make(padded.p, n), true, &docs[0], &first);
	other = json_read(readers[1], slice_make(data, n), false, &docs[1], &second);
	assert(root == other && first.kind == second.kind && strcmp(first.text, second.text) == 0);
	if (root < 0) {
		assert(first.kind == ERR_DATA && docs[0].n == 0 && docs[1].n == 0);
		return 0;
	}
	check_shape(&docs[0]);
	check_same(&docs[0], &docs[1]);
	check_writing();
	return 0;
}
