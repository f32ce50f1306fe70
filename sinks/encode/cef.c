/*
 * cef.c - an event as one line of ArcSight's Common Event Format (CEF:0; keys and lengths by "Implementing ArcSight CEF", version 26).
 *
 * First the dictionary's keys, then the class's slots with their labels, then the rest as aispmColumnName. A column that its key
 * cannot hold whole stands there cut, and whole under aispmColumnName; JSON is never cut, it stands under aispmColumnName only.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/err.h"
#include "sinks/encode/encode.h"
#include "sinks/encode/keys.h"
#include "sinks/encode/text.h"
#include "sinks/encode/value.h"

#define ADDRESS_BYTES	46

static void
put_head(struct buf *out, const struct key_head *head)
{
	buf_put(out, head->text, head->n);
}

/* Times are milliseconds since 1970. False: a text did not fit. */
static bool
put_value(struct buf *out, const struct event *e, int f, size_t limit)
{
	switch (field_rows[f].type) {
	case FIELD_TEXT:
	case FIELD_JSON:
		return text_put(out, value_is_json(f) ? &text_cef_json : &text_cef_value, e->v[f].text, limit, NULL);
	case FIELD_INT:
		buf_put_i64(out, value_int(e->v[f].number));
		return true;
	case FIELD_TIME:
	case FIELD_LONG:
		buf_put_i64(out, e->v[f].number);
		return true;
	case FIELD_REAL:
		buf_put_double(out, e->v[f].real);
		return true;
	}
	return true;
}

/* The family of the address a text is, or 0. */
static int
address_family(struct slice s)
{
	char text[ADDRESS_BYTES];
	unsigned char address[16];

	if (s.n >= sizeof(text))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	if (strlen(text) != s.n)
		return 0;
	return inet_pton(AF_INET, text, address) == 1 ? AF_INET : inet_pton(AF_INET6, text, address) == 1 ? AF_INET6 : 0;
}

/* src is an IPv4 address by the dictionary; an IPv6 one has a slot of its own. False: it is neither. */
static bool
put_source(struct buf *out, const struct key_head *head, struct slice address)
{
	int family = address_family(address);

	if (family == 0)
		return false;
	if (family == AF_INET)
		put_head(out, head);
	else
		buf_puts(out, " c6a2=");
	buf_put_slice(out, address);
	if (family == AF_INET6)
		buf_puts(out, " c6a2Label=Source IPv6 Address");
	return true;
}

/* Under its key. False: not whole, so that it comes again among the rest. */
static bool
put_key(struct buf *out, const struct key_head *head, const struct event *e, int f, size_t limit)
{
	size_t before = out->n;
	bool whole;

	if (f == F_SrcIpAddr)
		return put_source(out, head, e->v[f].text);
	put_head(out, head);
	whole = put_value(out, e, f, limit);
	if (!whole && value_is_json(f) && !out->failed)
		out->n = before;
	return whole;
}

/* ---- the parts ----------------------------------------------------------------- */

/* One field of the header, and the pipe behind it; `otherwise` where the column is absent. The columns that came out whole: their bits. */
static uint64_t
put_header(struct buf *out, const struct event *e, int which, const char *otherwise)
{
	const struct key_row *key = &keys.headers[which];
	struct slice text = event_text(e, (enum field)key->field);
	bool whole = text_put(out, &text_cef_header, text.n > 0 ? text : slice_of(otherwise), key->bytes, NULL);

	buf_putc(out, '|');
	return whole ? UINT64_C(1) << key->field : 0;
}

static uint64_t
put_headers(struct buf *out, const struct event *e)
{
	unsigned severity = keys_severity(e);
	uint64_t done = 0;

	buf_puts(out, "CEF:0|aispm-agent|aispm-agent|");
	done |= put_header(out, e, HEADER_VERSION, PACKAGE_VERSION);
	done |= put_header(out, e, HEADER_CLASS, "event");
	done |= put_header(out, e, HEADER_NAME, "event");
	buf_put_u64(out, severity > 0 ? severity : 2);
	return severity > 0 ? done | UINT64_C(1) << F_EventSeverity : done;
}

static uint64_t
put_keys(struct buf *out, const struct event *e, uint64_t left)
{
	uint64_t done = 0;

	for (size_t i = 0; i < keys.nkeys; i++) {
		const struct key_row *key = &keys.keys[i];

		if ((left >> key->field & 1) != 0 && put_key(out, &key->head, e, key->field, key->bytes))
			done |= UINT64_C(1) << key->field;
	}
	return done;
}

static uint64_t
put_slots(struct buf *out, const struct event *e, int class, uint64_t left)
{
	uint64_t done = 0;

	if (class < 0 || (left & keys.slotted[class]) == 0)
		return 0;
	for (int i = 0; i < SLOTS; i++) {
		int f = keys.slots[class][i];
		size_t before = out->n;

		if (f < 0 || (left >> f & 1) == 0)
			continue;
		if (put_key(out, &keys.slot_heads[i], e, f, SLOT_BYTES))
			done |= UINT64_C(1) << f;
		if (out->n == before)
			continue;
		put_head(out, &keys.label_heads[i]);
		buf_put(out, field_rows[f].name, field_rows[f].name_n);
	}
	return done;
}

/* False: the column was cut. */
static bool
put_rest(struct buf *out, const struct event *e, int f)
{
	char stand_in[VALUE_STAND_IN_BYTES];
	size_t before = out->n;

	put_head(out, &keys_rest[f]);
	if (put_value(out, e, f, ENCODE_COLUMN_BYTES))
		return true;
	if (value_is_json(f) && !out->failed) {
		out->n = before;
		put_head(out, &keys_rest[f]);
		text_put(out, &text_cef_value, slice_make(stand_in, value_stand_in(stand_in, e->v[f].text.n)), SIZE_MAX, NULL);
	}
	return false;
}

static void
put_cut_names(struct buf *out, const struct event *e, uint64_t cut)
{
	char text[VALUE_NAMES_BYTES];

	put_head(out, &keys_rest[F_TruncatedFields]);
	text_put(out, &text_cef_value, slice_make(text, value_cut_names(text, e, cut)), SIZE_MAX, NULL);
}

static int
encode(const struct event *e, struct buf *out, struct err *err)
{
	const uint64_t cut_bit = UINT64_C(1) << F_TruncatedFields;
	uint64_t left = value_columns(e), cut = 0;
	size_t before = out->n, start;

	left &= ~put_headers(out, e);
	start = out->n;
	left &= ~put_keys(out, e, left);
	left &= ~put_slots(out, e, keys_class(e), left);
	for (; left != 0; left &= left - 1)
		if (!put_rest(out, e, __builtin_ctzll(left)))
			cut |= left & -left;
	if (cut != 0 || (e->present & cut_bit) != 0)
		put_cut_names(out, e, cut);
	if (out->n == start)
		buf_putc(out, ' ');
	if (!out->failed) {
		out->p[start] = '|';	/* in the place of the first blank */
		return 0;
	}
	out->n = before;
	out->failed = false;
	return err_set(err, ERR_FULL, "no room for an encoded event");
}

const struct encoder encoder_cef = {
	.name = "cef",
	.encode = encode,
};
