/* event.c - the columns, and lists of events. */
#include "model/event.h"

#include <assert.h>

#include "base/arena.h"
#include "base/buf.h"

#define SLOTS	256	/* a power of two, well above FIELD_COUNT */

const struct field_row field_rows[FIELD_COUNT] = {
#define FIELD(name, type, help)	{ #name, sizeof(#name) - 1, FIELD_##type, help },
#include "model/fields.tbl"
#undef FIELD
};

static uint8_t slots[SLOTS];	/* field + 1, open addressing; filled before main */

/* Names differ in length, in their middle or near their ends. */
static unsigned
slot_of(struct slice name)
{
	const unsigned char *p = (const unsigned char *)name.p;
	unsigned h = (unsigned)name.n;

	h = h * 31 + p[0];
	h = h * 31 + p[name.n / 2];
	h = h * 31 + p[name.n - 1];
	h = h * 31 + p[name.n * 3 / 4];
	return (h ^ h >> 8) % SLOTS;
}

__attribute__((constructor))
static void
fill_slots(void)
{
	for (int f = 0; f < FIELD_COUNT; f++) {
		unsigned i = slot_of(slice_make(field_rows[f].name, field_rows[f].name_n));

		while (slots[i] != 0) {
			assert(!slice_eq(slice_of(field_rows[slots[i] - 1].name), slice_of(field_rows[f].name)));
			i = (i + 1) % SLOTS;
		}
		slots[i] = (uint8_t)(f + 1);
	}
}

int
field_find(struct slice name)
{
	if (name.n == 0)
		return -1;
	for (unsigned i = slot_of(name); slots[i] != 0; i = (i + 1) % SLOTS) {
		int f = slots[i] - 1;

		if (slice_eq(name, slice_make(field_rows[f].name, field_rows[f].name_n)))
			return f;
	}
	return -1;
}

struct event *
event_list_add(struct event_list *list)
{
	if (list->n == list->cap) {
		size_t cap = list->cap > 0 ? list->cap * 2 : 4;
		struct event *v = arena_alloc(list->arena, cap * sizeof(*v));

		if (v == NULL)
			return NULL;
		if (list->n > 0)
			memcpy(v, list->v, list->n * sizeof(*v));
		list->v = v;
		list->cap = cap;
	}
	event_init(&list->v[list->n]);
	return &list->v[list->n++];
}

struct slice
event_list_keep(struct event_list *list, struct buf *b)
{
	struct slice s = b->failed ? SLICE_NONE : arena_dup(list->arena, buf_slice(b));

	buf_reset(b);
	return s;
}

void
event_set_ours(struct event *e)
{
	event_set_text(e, F_EventVendor, SLICE("aispm-agent"));
	event_set_text(e, F_EventProduct, SLICE("aispm-agent"));
	event_set_text(e, F_EventSchemaVersion, SLICE(EVENT_SCHEMA_VERSION));
}

const char *const event_severity_words[EVENT_SEVERITIES] = { "Informational", "Low", "Medium", "High", "Critical" };

int
event_severity_of(struct slice word)
{
	for (int i = 0; i < EVENT_SEVERITIES; i++)
		if (slice_eq(word, slice_of(event_severity_words[i])))
			return i;
	return -1;
}

int
event_severity(const struct event *e)
{
	return event_severity_of(event_text(e, F_EventSeverity));
}

enum maker { MAPPING, DETECTOR, AGENT };

static const struct { const char *word; enum maker by; } classes[EVENT_CLASSES] = {
#define ROW(word, by)	{ #word, by },
	EVENT_CLASS_LIST(ROW, ROW)
#undef ROW
};

int
event_class(struct slice name)
{
	for (int i = 0; i < EVENT_CLASSES; i++)
		if (slice_eq(name, slice_of(classes[i].word)))
			return i;
	return -1;
}

bool
event_class_is_finding(struct slice name)
{
	const int class = event_class(name);

	return class >= 0 && classes[class].by == DETECTOR;
}
