/*
 * keys.h - which column goes under which key: schemas/event/cef.csv, cef_slots.csv and commonsecuritylog.csv, read once before main.
 *
 * Shape:   the build turns each line of a .csv into one C initialiser (.rows); there is no second list.
 */
#ifndef SINKS_ENCODE_KEYS_H
#define SINKS_ENCODE_KEYS_H

#include "model/event.h"

#define KEY_HEAD_BYTES	48
#define SLOTS		13		/* cs1 to deviceCustomDate1 */
#define SLOT_BYTES	4000		/* of a text in cs1 to cs6 */
#define CLASSES_MAX	16
#define KEYS_MAX	32
#define ROWS_MAX	64

struct key_head { char text[KEY_HEAD_BYTES]; uint8_t n; };	/* what stands before a value */

struct key_row {			/* of CEF: the dictionary's keys, in the order they are written */
	int		field;
	size_t		bytes;		/* of the value, at most */
	struct key_head	head;		/* " key=" */
};

enum { HEADER_VERSION, HEADER_CLASS, HEADER_NAME, HEADER_SEVERITY, HEADERS };

enum table_from { FROM_COLUMN, FROM_SLOT, FROM_LABEL, FROM_REST };

struct table_row {			/* of CommonSecurityLog: a column of the table */
	enum table_from	from;
	int		field;		/* FROM_COLUMN: an event's column; FROM_SLOT, FROM_LABEL: the slot's number */
	bool		text;		/* the table's column is a string */
	struct key_head	head;		/* ,"Column": */
};

struct keys {
	struct key_row	headers[HEADERS];
	struct key_row	keys[KEYS_MAX];
	size_t		nkeys;
	uint64_t	keyed;		/* the columns of headers and keys */
	size_t		nclasses;
	struct slice	classes[CLASSES_MAX];
	int8_t		slots[CLASSES_MAX][SLOTS];	/* a column, or -1 */
	uint64_t	slotted[CLASSES_MAX];
	struct key_head	slot_heads[SLOTS], label_heads[SLOTS];	/* " cs1=", " cs1Label=" */
	struct table_row table[ROWS_MAX];
	size_t		ntable;
};

extern struct keys keys;		/* constant after the start */

/* " aispmColumnName=" for CEF; without the blank for AdditionalExtensions. */
extern const struct key_head keys_rest[FIELD_COUNT];
/* The class's row of slots, or -1: a class of a later version has none. */
int	keys_class(const struct event *);
/* 2, 4, 6, 8, 10; 0: not one of the five words. */
unsigned keys_severity(const struct event *);

#endif
