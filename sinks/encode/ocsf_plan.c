/* ocsf_plan.c - the tables of OCSF, made ready before main. */
#include "sinks/encode/ocsf_plan.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const class_rows[][7] = {
#include "schemas/event/ocsf_classes.rows"
};
static const char *const word_rows[][4] = {
#include "schemas/event/ocsf_words.rows"
};
static const char *const path_rows[][5] = {
#include "schemas/event/ocsf.rows"
};

#define ROWS(a)	(sizeof(a) / sizeof((a)[0]))

static struct ocsf_row rows[OCSF_ROWS_MAX];
static struct ocsf_word words[ROWS(word_rows)];
static struct ocsf_class classes[OCSF_CLASSES_MAX];
static size_t nclasses;

/* Not field_find: its own table may not be ready yet. */
static int
column(struct slice name)
{
	for (int f = 0; f < FIELD_COUNT; f++)
		if (slice_eq(slice_make(field_rows[f].name, field_rows[f].name_n), name))
			return f;
	return -1;
}

/* The piece of s before the next `sign`; s goes on behind it. */
static struct slice
cut_off(struct slice *s, char sign)
{
	const char *end = memchr(s->p, sign, s->n);
	struct slice piece = slice_make(s->p, end != NULL ? (size_t)(end - s->p) : s->n);
	size_t gone = end != NULL ? piece.n + 1 : s->n;

	*s = slice_make(s->p + gone, s->n - gone);
	return piece;
}

/* The rows of ocsf_words.csv that are one list; they stand together, and the last fits anything. */
static struct ocsf_list
read_list(struct slice name)
{
	struct ocsf_list list = { 0 };

	for (size_t i = 1; i < ROWS(word_rows); i++) {
		if (!slice_eq(slice_of(word_rows[i][0]), name))
			continue;
		if (list.v == NULL)
			list.v = &words[i];
		words[i] = (struct ocsf_word){ slice_of(word_rows[i][1]), word_rows[i][2], slice_of(word_rows[i][3]) };
		assert(&words[i] == &list.v[list.n]);
		list.n++;
	}
	assert(list.n > 0 && slice_eq(list.v[list.n - 1].word, SLICE("*")));
	return list;
}

static void
add_open(struct ocsf_row *row, struct slice name, bool list, bool object)
{
	struct ocsf_open *open = &row->open[row->nopen++];
	int n = snprintf(open->text, sizeof(open->text), ",\"%.*s\":%s%s", (int)name.n, name.p, list ? "[" : "", object ? "{" : "");

	assert(row->nopen <= OCSF_OPEN_MAX && n > 0 && (size_t)n < sizeof(open->text));
	open->n = (uint8_t)n;
	open->close = list && object ? "}]" : list ? "]" : "}";
}

/* a.b[].c: the containers a and b, and the member c; a.b[]: one more item of the list b. */
static void
read_path(struct ocsf_row *row, struct slice path)
{
	while (path.n > 0) {
		struct slice name = cut_off(&path, '.');
		bool list = name.n > 2 && name.p[name.n - 1] == ']';
		int n;

		if (list)
			name.n -= 2;
		if (path.n > 0 || list)
			add_open(row, name, list, path.n > 0);
		if (path.n > 0)
			continue;
		n = list ? snprintf(row->head, sizeof(row->head), ",") :
		    snprintf(row->head, sizeof(row->head), ",\"%.*s\":", (int)name.n, name.p);
		assert(n > 0 && (size_t)n < sizeof(row->head));
		row->head_n = (uint8_t)n;
	}
}

static void
read_source(struct ocsf_row *row, struct slice chain)
{
	while (chain.n > 0) {
		struct slice one = cut_off(&chain, '|');

		if (one.p[0] == '=') {
			row->literal = slice_make(one.p + 1, one.n - 1);
			continue;
		}
		assert(row->nchain < OCSF_CHAIN_MAX && column(one) >= 0);
		row->chain[row->nchain++] = (int8_t)column(one);
	}
}

static void
read_form(struct ocsf_row *row, struct slice text)
{
	static const struct { const char *name; enum ocsf_form form; bool bare; } forms[] = {
		{ "", OCSF_VALUE, false }, { "copy", OCSF_COPY, false }, { "number", OCSF_VALUE, true }, { "ms", OCSF_MS, true },
		{ "id", OCSF_ID, true }, { "caption", OCSF_CAPTION, false }, { "attacks", OCSF_ATTACKS, false },
	};
	struct slice name = cut_off(&text, ':');

	if (text.n > 0)
		row->list = read_list(text);
	for (size_t i = 0; i < ROWS(forms); i++)
		if (slice_eq(name, slice_of(forms[i].name))) {
			row->form = forms[i].form;
			row->bare = forms[i].bare;
			return;
		}
	assert(!"a form of ocsf.csv");
}

static void
read_when(struct ocsf_row *row, struct slice when)
{
	bool none = when.n > 0 && when.p[0] == '!';
	uint64_t columns = 0;

	if (none)
		when = slice_make(when.p + 1, when.n - 1);
	while (when.n > 0) {
		int f = column(cut_off(&when, '|'));

		assert(f >= 0);
		columns |= UINT64_C(1) << f;
	}
	*(none ? &row->none : &row->any) = columns;
}

static uint8_t
shared_containers(const struct ocsf_row *a, const struct ocsf_row *b)
{
	uint8_t n = 0;

	while (n < a->nopen && n < b->nopen && strcmp(a->open[n].text, b->open[n].text) == 0)
		n++;
	return n;
}

/* Is the class uid in a list such as "2003 2004", or is that "*"? */
static bool
concerns(struct slice list, const char *uid)
{
	if (slice_eq(list, SLICE("*")))
		return true;
	while (list.n > 0)
		if (slice_eq(cut_off(&list, ' '), slice_of(uid)))
			return true;
	return false;
}

static void
read_class(struct ocsf_class *class, const char *const *row)
{
	int n = snprintf(class->head, sizeof(class->head),
	    "{\"class_uid\":%s,\"class_name\":\"%s\",\"category_uid\":%s,\"category_name\":\"%s\"", row[1], row[2], row[3], row[4]);

	assert(n > 0 && (size_t)n < sizeof(class->head));
	class->head_n = (size_t)n;
	class->name = slice_of(row[0]);
	class->uid = (uint32_t)strtoul(row[1], NULL, 10);
	if (row[5][0] >= '0' && row[5][0] <= '9') {
		class->activity_id = row[5];
		class->activity_name = row[6];
	} else {
		class->activity_list = read_list(slice_of(row[5]));
		class->activity_field = column(slice_of(row[6]));
		assert(class->activity_field >= 0);
	}
	for (size_t i = 1; i < ROWS(path_rows); i++) {
		struct ocsf_step *step = &class->steps[class->nsteps];

		if (!concerns(slice_of(path_rows[i][0]), row[1]))
			continue;
		step->row = &rows[i];
		step->shared = class->nsteps > 0 ? shared_containers(step[-1].row, step->row) : 0;
		class->nsteps++;
	}
}

__attribute__((constructor))
static void
read_rows(void)
{
	assert(ROWS(path_rows) <= OCSF_ROWS_MAX && ROWS(class_rows) <= OCSF_CLASSES_MAX);
	for (size_t i = 1; i < ROWS(path_rows); i++) {
		read_path(&rows[i], slice_of(path_rows[i][1]));
		read_source(&rows[i], slice_of(path_rows[i][2]));
		read_form(&rows[i], slice_of(path_rows[i][3]));
		read_when(&rows[i], slice_of(path_rows[i][4]));
	}
	for (size_t i = 1; i < ROWS(class_rows); i++)
		read_class(&classes[nclasses++], class_rows[i]);
	assert(slice_eq(classes[nclasses - 1].name, SLICE("*")));
}

const struct ocsf_class *
ocsf_class_of(const struct event *e)
{
	struct slice name = event_text(e, F_EventClass);
	size_t i = 0;

	while (i < nclasses - 1 && !slice_eq(classes[i].name, name))
		i++;
	return &classes[i];
}

/* One star at an end is what most words have. */
static bool
fits(struct slice word, struct slice text)
{
	struct slice in = word.n > 1 ? slice_make(word.p + 1, word.n - 2) : SLICE_NONE;

	if (memchr(word.p, '*', word.n) == NULL)
		return slice_eq_nocase(word, text);
	if (word.n == 1)
		return true;
	if (in.n > 0 && memchr(in.p, '*', in.n) != NULL)
		return slice_glob_nocase(word, text);
	if (word.p[0] == '*' && word.p[word.n - 1] == '*')
		return slice_find_nocase(text, in, 0) >= 0;
	return word.p[0] == '*' ? slice_ends_nocase(text, slice_make(word.p + 1, word.n - 1)) :
	    slice_starts_nocase(text, slice_make(word.p, word.n - 1));
}

const struct ocsf_word *
ocsf_word_of(struct ocsf_list list, struct slice text)
{
	size_t i = 0;

	while (i < list.n - 1 && !fits(list.v[i].word, text))
		i++;
	return &list.v[i];
}
