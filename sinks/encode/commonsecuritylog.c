/*
 * commonsecuritylog.c - an event as a row that a DCR sends on to Microsoft-CommonSecurityLog: what arrives there when the same event
 * goes the way of CEF and AMA, but with whole texts and with times and numbers in the table's types.
 *
 * The rest stands in AdditionalExtensions as aispmColumnName=value;... with \; \= \\ \n \r inside a value: one column of the table,
 * so all of it together is held below the service's limit, short columns first.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "sinks/encode/encode.h"
#include "sinks/encode/keys.h"
#include "sinks/encode/text.h"
#include "sinks/encode/value.h"

#define REST_BYTES	(ENCODE_COLUMN_BYTES - 2 * VALUE_NAMES_BYTES - 512)	/* behind it: stand-ins, and the names of what was cut */
#define SHORT_BYTES	1024	/* such columns go before longer ones */

struct row {
	const struct event	*e;
	struct buf		*out;
	int			 class;
	uint64_t		 columns, left, cut;	/* all of them, those not yet written, those cut */
	size_t			 used;		/* of AdditionalExtensions */
	bool			 begun;		/* it has a pair */
};

/* ---- columns of the table -------------------------------------------------------- */

static void
put_column(struct row *r, const struct table_row *to, int f)
{
	bool whole;

	buf_put(r->out, to->head.text, to->head.n);
	whole = to->text ? value_put_string(r->out, r->e, f) : value_put_json(r->out, r->e, f);
	if (!whole)
		r->cut |= UINT64_C(1) << f;
}

static void
put_name(struct row *r, const struct table_row *to, int f)
{
	buf_put(r->out, to->head.text, to->head.n);
	buf_putc(r->out, '"');
	buf_put(r->out, field_rows[f].name, field_rows[f].name_n);
	buf_putc(r->out, '"');
}

/* What stands there though the event has no such column, or another word for it. */
static bool
put_special(struct row *r, const struct table_row *to)
{
	unsigned severity;

	if (to->field == F_AgentVersion && !event_has(r->e, F_AgentVersion)) {
		buf_put(r->out, to->head.text, to->head.n);
		buf_puts(r->out, "\"" PACKAGE_VERSION "\"");
		return true;
	}
	if (to->field != F_EventSeverity)
		return false;
	severity = keys_severity(r->e);
	buf_put(r->out, to->head.text, to->head.n);
	buf_printf(r->out, "\"%u\"", severity > 0 ? severity : 2);
	if (severity > 0)
		r->left &= ~(UINT64_C(1) << F_EventSeverity);
	return true;
}

/* ---- AdditionalExtensions ---------------------------------------------------------- */

static size_t
text_of(const struct event *e, int f, char number[64], struct slice *ret)
{
	struct buf b = { .p = number, .cap = 63, .max_bytes = 63 };

	switch (field_rows[f].type) {
	case FIELD_TEXT:
	case FIELD_JSON:
		*ret = e->v[f].text;
		return ret->n;
	case FIELD_TIME:
		time_format_ms(e->v[f].number, number);
		*ret = slice_make(number, TIME_TEXT_BYTES - 1);
		return ret->n;
	default:
		(void)value_put_json(&b, e, f);
		*ret = slice_make(number, b.n);
		return ret->n;
	}
}

/* False: not whole. */
static bool
try_pair(struct row *r, int f, struct slice text, size_t limit)
{
	const struct key_head *head = &keys_rest[f];

	if (r->begun)
		buf_putc(r->out, ';');
	buf_put(r->out, head->text + 1, head->n - 1u);
	r->used += head->n;
	return r->used < limit &&
	    text_put(r->out, value_is_json(f) ? &text_pair_json : &text_pair_value, text, limit - r->used, &r->used);
}

/* JSON is not cut but replaced; of a text so little may be left that it is better left out. */
static void
put_pair(struct row *r, int f, struct slice text, size_t limit)
{
	char stand_in[VALUE_STAND_IN_BYTES];
	size_t before = r->out->n, used = r->used;

	if (!try_pair(r, f, text, limit)) {
		r->cut |= UINT64_C(1) << f;
		if (value_is_json(f) || r->used - used < SHORT_BYTES / 8) {
			r->out->n = r->out->failed ? r->out->n : before;
			r->used = used;
		}
		if (value_is_json(f))
			(void)try_pair(r, f, slice_make(stand_in, value_stand_in(stand_in, text.n)), ENCODE_COLUMN_BYTES);
	}
	r->begun = r->begun || r->used > used;
}

static void
put_pairs(struct row *r, bool longer)
{
	for (uint64_t left = r->left; left != 0; left &= left - 1) {
		int f = __builtin_ctzll(left);
		char number[64];
		struct slice text;

		if ((text_of(r->e, f, number, &text) > SHORT_BYTES) == longer)
			put_pair(r, f, text, REST_BYTES);
	}
}

static void
put_rest(struct row *r, const struct table_row *to)
{
	char text[VALUE_NAMES_BYTES];
	bool names;

	names = r->cut != 0 || event_has(r->e, F_TruncatedFields);
	if (r->left == 0 && !names)
		return;
	buf_put(r->out, to->head.text, to->head.n);
	buf_putc(r->out, '"');
	put_pairs(r, false);
	put_pairs(r, true);
	if (names || r->cut != 0)
		put_pair(r, F_TruncatedFields, slice_make(text, value_cut_names(text, r->e, r->cut)), ENCODE_COLUMN_BYTES);
	buf_putc(r->out, '"');
}

/* ---- the row ------------------------------------------------------------------------ */

static void
put_row(struct row *r, const struct table_row *to)
{
	int f = to->from == FROM_COLUMN ? to->field : r->class >= 0 && to->from != FROM_REST ? keys.slots[r->class][to->field] : -1;

	if (to->from == FROM_REST) {
		put_rest(r, to);
	} else if (to->from != FROM_COLUMN || !put_special(r, to)) {
		if (f < 0 || (r->columns >> f & 1) == 0)
			return;
		if (to->from == FROM_LABEL)
			put_name(r, to, f);
		else
			put_column(r, to, f);
		r->left &= ~(UINT64_C(1) << f);
	}
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	struct row r = { .e = e, .out = out, .class = keys_class(e), .columns = value_columns(e) };
	size_t before = out->n;

	r.left = r.columns;
	buf_puts(out, "{\"DeviceVendor\":\"aispm-agent\",\"DeviceProduct\":\"aispm-agent\"");
	for (size_t i = 0; i < keys.ntable; i++)
		put_row(&r, &keys.table[i]);
	buf_putc(out, '}');
	return value_finish(out, before, err);
}

const struct encoder encoder_commonsecuritylog = {
	.name = "commonsecuritylog",
	.encode = encode,
};
