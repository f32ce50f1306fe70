/*
 * ocsf_plan.h - where a column stands in OCSF: schemas/event/ocsf.csv, ocsf_classes.csv and ocsf_words.csv, read once before main.
 *
 * Shape:   of each event class a list of steps in the order of ocsf.csv, in which neighbours share containers; a step writes one
 *          member. How many containers it shares with the step before is known here, so that writing only opens and closes.
 */
#ifndef SINKS_ENCODE_OCSF_PLAN_H
#define SINKS_ENCODE_OCSF_PLAN_H

#include "model/event.h"

#define OCSF_OPEN_MAX	4	/* containers around a member */
#define OCSF_CHAIN_MAX	4
#define OCSF_ROWS_MAX	128
#define OCSF_CLASSES_MAX 16

enum ocsf_form { OCSF_VALUE, OCSF_COPY, OCSF_MS, OCSF_ID, OCSF_CAPTION, OCSF_ATTACKS };

struct ocsf_word { struct slice word; const char *id; struct slice caption; };
struct ocsf_list { const struct ocsf_word *v; size_t n; };

struct ocsf_open { char text[32]; uint8_t n; const char *close; };	/* ,"name":{  }  or  ,"name":[{  }]  or  ,"name":[  ] */

struct ocsf_row {
	struct ocsf_open	open[OCSF_OPEN_MAX];
	uint8_t			nopen;
	char			head[32];	/* ,"name": or, of an item of a list, the comma */
	uint8_t			head_n;
	enum ocsf_form		form;
	int8_t			chain[OCSF_CHAIN_MAX];	/* columns, the first that is there counts */
	uint8_t			nchain;
	struct slice		literal;	/* when none is; .p NULL: then the member stays out */
	bool			bare;		/* the literal is a number or true, no text */
	struct ocsf_list	list;		/* of words */
	uint64_t		any, none;	/* only with one of these columns, and with none of those */
};

struct ocsf_step { const struct ocsf_row *row; uint8_t shared; };

struct ocsf_class {
	struct slice		name;		/* EventClass; "*": any other */
	char			head[160];	/* {"class_uid":...,"category_name":"..." */
	size_t			head_n;
	uint32_t		uid;
	const char		*activity_id, *activity_name;	/* fixed, or */
	struct ocsf_list	activity_list;			/* by the word in */
	int			activity_field;
	struct ocsf_step	steps[OCSF_ROWS_MAX];
	size_t			nsteps;
};

const struct ocsf_class *ocsf_class_of(const struct event *);
/* The first word of the list that fits `text`, a word or one with a star; each list ends with a star. */
const struct ocsf_word *ocsf_word_of(struct ocsf_list list, struct slice text);

#endif
