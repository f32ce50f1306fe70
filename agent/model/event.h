/*
 * event.h - one event: the columns of fields.tbl, any of them absent. Never changed after detect.
 *
 * Owns:    nothing; texts are borrowed from a record, an arena or a wire entry.
 * Rule:    setting a text that is empty leaves the column absent: absent means absent.
 */
#ifndef MODEL_EVENT_H
#define MODEL_EVENT_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"

enum field_type { FIELD_TEXT, FIELD_TIME, FIELD_INT, FIELD_LONG, FIELD_REAL, FIELD_JSON };

enum field {
#define FIELD(name, type, help)	F_##name,
#include "model/fields.tbl"
#undef FIELD
	FIELD_COUNT
};

struct field_row { const char *name; uint8_t name_n; enum field_type type; const char *help; };
extern const struct field_row field_rows[FIELD_COUNT];
/* Field by its exact name, or -1. */
int	field_find(struct slice name);

union field_value {
	struct slice	text;		/* TEXT; JSON: one compact JSON text */
	int64_t		number;		/* INT, LONG; TIME: ms since 1970 UTC */
	double		real;
};

_Static_assert(FIELD_COUNT <= 64, "one word marks what is present");

struct event {
	uint64_t		present;	/* bit F_x: v[F_x] means something */
	union field_value	v[FIELD_COUNT];
};

static inline void
event_init(struct event *e)
{
	e->present = 0;
}
static inline bool
event_has(const struct event *e, enum field f)
{
	return (e->present >> f & 1) != 0;
}
static inline void
event_set_text(struct event *e, enum field f, struct slice s)
{
	if (s.n > 0) {
		e->v[f].text = s;
		e->present |= UINT64_C(1) << f;
	}
}
static inline void
event_set_number(struct event *e, enum field f, int64_t n)
{
	e->v[f].number = n;
	e->present |= UINT64_C(1) << f;
}
static inline void
event_set_real(struct event *e, enum field f, double d)
{
	e->v[f].real = d;
	e->present |= UINT64_C(1) << f;
}
static inline void
event_unset(struct event *e, enum field f)
{
	e->present &= ~(UINT64_C(1) << f);
}
/* The text of a TEXT column, or an empty slice. */
static inline struct slice
event_text(const struct event *e, enum field f)
{
	return event_has(e, f) ? e->v[f].text : SLICE_NONE;
}
static inline int64_t
event_number(const struct event *e, enum field f, int64_t otherwise)
{
	return event_has(e, f) ? e->v[f].number : otherwise;
}

/* A growing list; its events and texts live in one arena. */
struct arena;
struct event_list {
	struct event	*v;
	size_t		 n, cap;
	struct arena	*arena;
};
/* An empty event at the end of the list, or NULL when memory is short. Invalidates earlier pointers into v. */
struct event *event_list_add(struct event_list *);
/* The buffer's text, copied to the list's arena; nothing where it failed or memory is short. The buffer is empty again. */
struct buf;
struct slice event_list_keep(struct event_list *, struct buf *);

#define EVENT_SCHEMA_VERSION	"1"
/* Vendor, product and schema version of an event that the agent makes itself. */
void	event_set_ours(struct event *);

/* EventSeverity as a number: 0 Informational to 4 Critical; -1: absent, or another word. */
#define EVENT_SEVERITIES	5
extern const char *const event_severity_words[EVENT_SEVERITIES];
int	event_severity(const struct event *);
int	event_severity_of(struct slice word);

/* The classes of the contract, and who makes them: MAPPING, DETECTOR (they are the findings) or AGENT. */
#define EVENT_CLASS_LIST(FIRST, NEXT) \
	FIRST(alert, MAPPING) NEXT(recommendation, MAPPING) NEXT(attack_path, MAPPING) NEXT(inventory, MAPPING) NEXT(activity, MAPPING) \
	NEXT(access_anomaly, DETECTOR) NEXT(volume_spike, DETECTOR) NEXT(config_change, DETECTOR) NEXT(control, MAPPING) NEXT(agent, AGENT)
#define EVENT_CLASS_WORD(word, by)	#word
#define EVENT_CLASS_COMMA(word, by)	", " #word
#define EVENT_CLASS_WORDS	EVENT_CLASS_LIST(EVENT_CLASS_WORD, EVENT_CLASS_COMMA)
#define EVENT_CLASS_ONE(word, by)	+ 1
#define EVENT_CLASSES		(0 EVENT_CLASS_LIST(EVENT_CLASS_ONE, EVENT_CLASS_ONE))
/* EventClass as a number: 0 to EVENT_CLASSES - 1; -1: none of the words. */
int	event_class(struct slice);
bool	event_class_is_finding(struct slice);	/* access_anomaly, volume_spike, config_change */

#endif
