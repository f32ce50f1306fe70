/* event.c - the columns, and lists of events. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "model/event.h"

#include "base/arena.h"

const struct field_row field_rows[FIELD_COUNT] = {
#define FIELD(name, type, help)	{ #name, sizeof(#name) - 1, FIELD_##type, help },
#include "model/fields.tbl"
#undef FIELD
};

int
field_find(struct slice name)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (field_rows[f].name_n == name.n && memcmp(field_rows[f].name, name.p, name.n) == 0)
			return f;
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

bool
event_class_is_finding(struct slice name)
{
	return slice_eq(name, SLICE("access_anomaly")) || slice_eq(name, SLICE("volume_spike")) ||
	    slice_eq(name, SLICE("config_change"));
}

bool
event_class_known(struct slice name)
{
	static const char *const records[] = {
		"alert", "recommendation", "attack_path", "inventory", "activity", "control", "agent",
	};

	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		if (slice_eq(name, slice_of(records[i])))
			return true;
	return event_class_is_finding(name);
}
