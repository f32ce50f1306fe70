/* keys.c - the tables of CEF and CommonSecurityLog, made ready before main. */
#include "sinks/encode/keys.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const key_rows[][3] = {
#include "schemas/event/cef.rows"
};
static const char *const slot_rows[][SLOTS + 1] = {
#include "schemas/event/cef_slots.rows"
};
static const char *const table_rows[][3] = {
#include "schemas/event/commonsecuritylog.rows"
};
static const char *const header_words[HEADERS] = { "|version", "|class", "|name", "|severity" };

#define ROWS(a)	(sizeof(a) / sizeof((a)[0]))

struct keys keys;

const struct key_head keys_rest[FIELD_COUNT] = {
#define FIELD(name, type, help)	{ " aispm" #name "=", sizeof(#name) + 6 },
#include "model/fields.tbl"
#undef FIELD
};

/* Not field_find: its own table may not be ready yet. */
static int
column(const char *name)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (strcmp(field_rows[f].name, name) == 0)
			return f;
	return -1;
}

static int
header(const char *word)
{
	for (int i = 0; i < HEADERS; i++)
		if (strcmp(header_words[i], word) == 0)
			return i;
	return -1;
}

static int
slot(const char *key)
{
	for (int i = 0; i < SLOTS; i++)
		if (strcmp(slot_rows[0][i + 1], key) == 0)
			return i;
	return -1;
}

static void
set_head(struct key_head *head, const char *before, const char *name, const char *behind)
{
	int n = snprintf(head->text, sizeof(head->text), "%s%s%s", before, name, behind);

	assert(n > 0 && (size_t)n < sizeof(head->text));
	head->n = (uint8_t)n;
}

static void
read_keys(void)
{
	for (size_t i = 1; i < ROWS(key_rows); i++) {
		const char *const *row = key_rows[i];
		bool head = row[1][0] == '|';
		struct key_row *key = head ? &keys.headers[header(row[1])] : &keys.keys[keys.nkeys++];

		assert((!head || header(row[1]) >= 0) && keys.nkeys <= KEYS_MAX);
		key->field = column(row[0]);
		key->bytes = (size_t)strtoul(row[2], NULL, 10);
		assert(key->field >= 0 && key->bytes > 0);
		set_head(&key->head, " ", row[1], "=");
		keys.keyed |= UINT64_C(1) << key->field;
	}
}

static void
read_slots(void)
{
	char label[KEY_HEAD_BYTES];

	for (int i = 0; i < SLOTS; i++) {
		set_head(&keys.slot_heads[i], " ", slot_rows[0][i + 1], "=");
		snprintf(label, sizeof(label), "%s", slot_rows[0][i + 1]);
		set_head(&keys.label_heads[i], " ", label, "Label=");
	}
	for (size_t c = 1; c < ROWS(slot_rows); c++) {
		size_t at = keys.nclasses++;

		assert(at < CLASSES_MAX);
		keys.classes[at] = slice_of(slot_rows[c][0]);
		for (int i = 0; i < SLOTS; i++) {
			const char *name = slot_rows[c][i + 1];
			int f = name[0] != '\0' ? column(name) : -1;

			assert(name[0] == '\0' || (f >= 0 && (keys.keyed >> f & 1) == 0));
			keys.slots[at][i] = (int8_t)f;
			if (f >= 0)
				keys.slotted[at] |= UINT64_C(1) << f;
		}
	}
}

/* The event's column under a CEF key. */
static int
column_of_key(const char *key)
{
	for (size_t i = 1; i < ROWS(key_rows); i++)
		if (strcmp(key_rows[i][1], key) == 0)
			return column(key_rows[i][0]);
	return -1;
}

static void
read_table(void)
{
	for (size_t i = 1; i < ROWS(table_rows); i++) {
		const char *const *row = table_rows[i];
		struct table_row *to = &keys.table[keys.ntable++];
		char key[KEY_HEAD_BYTES];
		size_t n = strlen(row[0]);

		assert(keys.ntable <= ROWS_MAX && n < sizeof(key));
		memcpy(key, row[0], n + 1);
		if (strcmp(key, "*") == 0) {
			to->from = FROM_REST;
		} else if ((to->field = column_of_key(key)) >= 0) {
			to->from = FROM_COLUMN;
		} else if ((to->field = slot(key)) >= 0) {
			to->from = FROM_SLOT;
		} else {
			assert(n > 5 && strcmp(key + n - 5, "Label") == 0);
			key[n - 5] = '\0';
			to->from = FROM_LABEL;
			to->field = slot(key);
			assert(to->field >= 0);
		}
		to->text = strcmp(row[2], "string") == 0;
		set_head(&to->head, ",\"", row[1], "\":");
	}
}

__attribute__((constructor))
static void
read_rows(void)
{
	read_keys();
	read_slots();
	read_table();
}

int
keys_class(const struct event *e)
{
	struct slice name = event_text(e, F_EventClass);

	for (size_t i = 0; i < keys.nclasses; i++)
		if (slice_eq(keys.classes[i], name))
			return (int)i;
	return -1;
}

unsigned
keys_severity(const struct event *e)
{
	return (unsigned)(2 * (event_severity(e) + 1));
}
