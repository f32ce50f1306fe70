/*
 * ocsf.c - an event in the Open Cybersecurity Schema Framework, version 1.8.0 (schemas/event/ocsf.csv says what stands where).
 *
 * A column that no step of its class carries whole stands in `unmapped` under its own name, so nothing is lost.
 */
#include "base/buf.h"
#include "sinks/encode/encode.h"
#include "sinks/encode/ocsf_plan.h"
#include "sinks/encode/value.h"

struct writer {
	const struct event	*e;
	struct buf		*out;
	uint64_t		 columns, left, cut;	/* all of them, those not yet written, those cut */
	const char		*close[OCSF_OPEN_MAX];
	unsigned		 depth;
	bool			 fresh;			/* a container was just opened: no comma */
};

static void
put_head(struct writer *w, const char *text, size_t n)
{
	buf_put(w->out, text + w->fresh, n - w->fresh);
	w->fresh = false;
}

static void
close_to(struct writer *w, unsigned depth)
{
	while (w->depth > depth)
		buf_puts(w->out, w->close[--w->depth]);
	w->fresh = false;
}

static void
open_for(struct writer *w, const struct ocsf_row *row, unsigned shared)
{
	if (w->depth > shared)
		close_to(w, shared);
	for (; w->depth < row->nopen; w->depth++) {
		put_head(w, row->open[w->depth].text, row->open[w->depth].n);
		w->close[w->depth] = row->open[w->depth].close;
		w->fresh = true;
	}
	put_head(w, row->head, row->head_n);
}

/* ---- values ----------------------------------------------------------------------- */

static void
carried(struct writer *w, int f, bool whole)
{
	w->left &= ~(UINT64_C(1) << f);
	if (!whole)
		w->cut |= UINT64_C(1) << f;
}

static struct slice
fitting(struct slice s)
{
	return slice_make(s.p, value_fit(s, ENCODE_COLUMN_BYTES));
}

/* Each word of "A,B" as an object of the list; returns how many there are now. */
static unsigned
put_attacks_of(struct writer *w, int f, const char *before, unsigned n)
{
	struct slice all = fitting(event_text(w->e, (enum field)f));

	for (size_t at = 0; at < all.n;) {
		const char *comma = memchr(all.p + at, ',', all.n - at);
		size_t end = comma != NULL ? (size_t)(comma - all.p) : all.n;
		struct slice word = slice_trim(slice_make(all.p + at, end - at));

		at = end + 1;
		if (word.n == 0)
			continue;
		if (n++ > 0)
			buf_putc(w->out, ',');
		buf_puts(w->out, before);
		buf_put_json(w->out, word);
		buf_puts(w->out, "}}");
	}
	if ((w->columns >> f & 1) != 0)
		carried(w, f, all.n == event_text(w->e, (enum field)f).n);
	return n;
}

static void
put_attacks(struct writer *w)
{
	unsigned n;

	buf_putc(w->out, '[');
	n = put_attacks_of(w, F_AttackTactics, "{\"tactic\":{\"name\":", 0);
	put_attacks_of(w, F_AttackTechniques, "{\"technique\":{\"uid\":", n);
	buf_putc(w->out, ']');
}

static void
put_word(struct writer *w, const struct ocsf_row *row, int f)
{
	struct slice text = f >= 0 ? event_text(w->e, (enum field)f) : row->literal;
	const struct ocsf_word *word = ocsf_word_of(row->list, text);

	if (row->form == OCSF_ID) {
		buf_puts(w->out, word->id);
	} else {
		buf_put_json(w->out, word->caption.n > 0 ? word->caption : fitting(text));
		if (f >= 0)
			carried(w, f, word->caption.n > 0 || fitting(text).n == text.n);
	}
}

static void
put_member(struct writer *w, const struct ocsf_row *row, int f)
{
	if (row->form == OCSF_ATTACKS) {
		put_attacks(w);
	} else if (row->form == OCSF_ID || row->form == OCSF_CAPTION) {
		put_word(w, row, f);
	} else if (f < 0 && row->bare) {
		buf_put_slice(w->out, row->literal);
	} else if (f < 0) {
		buf_put_json(w->out, row->literal);
	} else if (row->form == OCSF_MS) {
		buf_put_i64(w->out, w->e->v[f].number);
		carried(w, f, true);
	} else if (row->form == OCSF_COPY || f != row->chain[0]) {	/* a stand-in for another column carries nothing home */
		(void)value_put_string(w->out, w->e, f);
	} else {
		carried(w, f, value_put_json(w->out, w->e, f));
	}
}

/* ---- the event ---------------------------------------------------------------------- */

/* The column that a row takes: -1 its literal, -2 none, and the member stays out. */
static int
column_of(const struct writer *w, const struct ocsf_row *row)
{
	if ((row->any != 0 && (row->any & w->columns) == 0) || (row->none & w->columns) != 0)
		return -2;
	for (unsigned i = 0; i < row->nchain; i++)
		if ((w->columns >> row->chain[i] & 1) != 0)
			return row->chain[i];
	return row->literal.p != NULL ? -1 : -2;
}

static void
put_steps(struct writer *w, const struct ocsf_class *class)
{
	unsigned shared = 0;		/* containers that the next member has in common with the last one written */

	for (size_t i = 0; i < class->nsteps; i++) {
		const struct ocsf_step *step = &class->steps[i];
		int f = column_of(w, step->row);

		if (step->shared < shared)
			shared = step->shared;
		if (f == -2)
			continue;
		open_for(w, step->row, shared);
		put_member(w, step->row, f);
		shared = step->row->nopen;
	}
	close_to(w, 0);
}

static void
put_activity(struct writer *w, const struct ocsf_class *class)
{
	const char *id = class->activity_id;
	struct slice name = class->activity_name != NULL ? slice_of(class->activity_name) : SLICE_NONE;
	int64_t number = 0;

	if (id == NULL) {
		struct slice text = event_text(w->e, (enum field)class->activity_field);
		const struct ocsf_word *word = ocsf_word_of(class->activity_list, text);

		id = word->id;
		name = word->caption.n > 0 ? word->caption : text.n > 0 ? fitting(text) : SLICE("Other");
	}
	buf_puts(w->out, ",\"activity_id\":");
	buf_puts(w->out, id);
	buf_puts(w->out, ",\"activity_name\":");
	buf_put_json(w->out, name);
	(void)slice_to_i64(slice_of(id), &number);
	buf_puts(w->out, ",\"type_uid\":");
	buf_put_i64(w->out, (int64_t)class->uid * 100 + number);
}

static void
put_unmapped(struct writer *w)
{
	char text[VALUE_NAMES_BYTES];

	buf_puts(w->out, ",\"unmapped\":{");
	w->fresh = true;
	for (uint64_t left = w->left; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);

		put_head(w, ",\"", 2);
		buf_put(w->out, field_rows[f].name, field_rows[f].name_n);
		buf_puts(w->out, "\":");
		carried(w, f, value_put_json(w->out, w->e, f));
	}
	if (w->cut != 0 || event_has(w->e, F_TruncatedFields)) {
		put_head(w, ",\"TruncatedFields\":", 19);
		buf_put_json(w->out, slice_make(text, value_cut_names(text, w->e, w->cut)));
	}
	buf_puts(w->out, "}}");
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	const struct ocsf_class *class = ocsf_class_of(e);
	struct writer w = { .e = e, .out = out, .columns = value_columns(e) };
	size_t before = out->n;

	w.left = w.columns;
	buf_put(out, class->head, class->head_n);
	put_activity(&w, class);
	put_steps(&w, class);
	put_unmapped(&w);
	return value_finish(out, before, err);
}

const struct encoder encoder_ocsf = {
	.name = "ocsf",
	.encode = encode,
};
