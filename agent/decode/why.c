/* why.c - what decode_why tells people: family, where each column came from, and what of the record was left over. */
#include "decode/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHOWN_BYTES	60u
#define LEFT_PATHS	200u
#define LEFT_PATH_BYTES	512u

void
why_start(struct decode_ctx *c)
{
	if (c->used != NULL)
		memset(c->used, 0, c->used_n);
}

void
why_use(struct decode_ctx *c, uint32_t at)
{
	uint8_t *used;
	uint32_t n = c->doc.cap > at ? c->doc.cap : at + 1;

	if (c->why == NULL)
		return;
	if (at >= c->used_n) {
		used = realloc(c->used, n);
		if (used == NULL)
			return;
		memset(used + c->used_n, 0, n - c->used_n);
		c->used = used;
		c->used_n = n;
	}
	c->used[at] = 1;
}

static bool
is_used(const struct decode_ctx *c, uint32_t at)
{
	return at < c->used_n && c->used[at] != 0;
}

void
why_envelope(struct decode_ctx *c, const struct envelope *e)
{
	buf_printf(c->why, "envelope %.*s (%s:%u)\n", SLICE_ARG(e->name), e->file, e->line);
}

static void
put_shown(struct decode_ctx *c, struct slice s)
{
	size_t n = utf8_cut(s, SHOWN_BYTES);

	buf_put_json(c->why, slice_make(s.p, n));
	if (n < s.n)
		buf_printf(c->why, "... (%zu bytes)", s.n);
}

void
why_outer(struct decode_ctx *c, const struct envelope *e, const struct withheld *m, const struct ref *ref, uint32_t at)
{
	struct slice s;

	buf_printf(c->why, "  %-24.*s <- %-40.*s %s:%u  ", SLICE_ARG(m->name), SLICE_ARG(ref->text), e->file, m->line);
	if (value_text(c, at, &s))
		put_shown(c, s);
	buf_puts(c->why, "\n");
}

void
why_event(struct decode_ctx *c, uint32_t index, const struct shape *shape)
{
	const struct family *f = c->family;

	buf_printf(c->why, "family   %s (%s:%u", f->name_text, f->file, shape != NULL ? shape->line : f->line);
	if (shape != NULL)
		buf_printf(c->why, ", shape %u", (unsigned)(shape - f->shapes) + 1);
	buf_puts(c->why, ")");
	if (index > 0)
		buf_printf(c->why, " event %" PRIu32, index + 1);
	buf_puts(c->why, "\n");
}

static void
put_source(struct decode_ctx *c)
{
	const struct block *b = c->why_block;
	struct slice from = SLICE("(value)");

	if (c->why_ref != NULL)
		from = c->why_ref->text;
	else if (b->kind == FROM_SAY)
		from = SLICE("(say)");
	else if (b->kind == FROM_REFS || b->kind == FROM_ALL)
		from = SLICE("(else)");
	buf_printf(c->why, "<- %-40.*s %s:%u  ", SLICE_ARG(from), c->family->file, b->line);
}

void
why_passed(struct decode_ctx *c, uint32_t index)
{
	buf_printf(c->why, "family   %s (%s:%u) element %" PRIu32 " makes no event: each_when\n", c->family->name_text, c->family->file,
	    c->family->line, index + 1);
}

void
why_column(struct decode_ctx *c, const struct event *e, const struct rule *r, const struct val *v)
{
	struct slice s;

	if (r->field >= 0 && !event_has(e, (enum field)r->field))
		return;
	buf_printf(c->why, "  %-24.*s ", SLICE_ARG(r->name));
	put_source(c);
	if (val_text(c, v, &s))
		put_shown(c, s);
	buf_puts(c->why, "\n");
}

void
why_relayed(struct decode_ctx *c, const struct rule *r, const struct val *v, uint32_t at)
{
	struct slice s;

	buf_printf(c->why, "  %-24.*s <- %-40.*s %s:%u  ", SLICE_ARG(r->name), SLICE_ARG(r->name), c->family->file, c->family->line);
	if (val_text(c, v, &s))
		put_shown(c, s);
	buf_puts(c->why, "\n");
	why_use(c, at);
}

void
why_id(struct decode_ctx *c, const struct event *e, const bool *found)
{
	const struct family *f = c->family;
	bool any = false;

	buf_printf(c->why, "  %-24s <- ", "EventId");
	for (uint32_t i = 0; i < f->nids; i++) {
		if (!found[i])
			continue;
		buf_printf(c->why, "%s%.*s", any ? ", " : "id: ", SLICE_ARG(f->ids[i].text));
		any = true;
	}
	if (any)
		buf_printf(c->why, "  %s:%u", f->file, f->ids_line);
	else
		buf_puts(c->why, "(the record's bytes)");
	buf_puts(c->why, "  ");
	put_shown(c, event_text(e, F_EventId));
	buf_puts(c->why, "\n");
}

void
why_withheld(struct decode_ctx *c, const struct withheld *w, const struct ref *ref, uint32_t at)
{
	buf_printf(c->why, "  %-24.*s <- %-40.*s %s:%u  %s, %zu bytes\n", SLICE_ARG(w->name), SLICE_ARG(ref->text),
	    c->family->file, w->line, w->released ? "released" : w->show.n > 0 ? "shown in part" : "withheld", value_bytes(c, at).n);
	why_use(c, at);
}

/* ---- left over ---------------------------------------------------------------------------------- */

struct left { struct decode_ctx *c; char path[LEFT_PATH_BYTES]; uint32_t n, more; };

static size_t
append_key(struct left *l, size_t n, struct slice key)
{
	if (n > 0 && n < LEFT_PATH_BYTES)
		l->path[n++] = '.';
	for (size_t i = 0; i < key.n && i < 64 && n < LEFT_PATH_BYTES; i++) {
		unsigned char b = (unsigned char)key.p[i];

		l->path[n++] = b < 0x20 || b >= 0x7f ? '?' : (char)b;
	}
	return n;
}

static size_t
append_index(struct left *l, size_t n, uint32_t index)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "[%" PRIu32 "]", index);

	if (n + (size_t)len > LEFT_PATH_BYTES)
		return n;
	memcpy(l->path + n, text, (size_t)len);
	return n + (size_t)len;
}

static void
left_walk(struct left *l, uint32_t at, size_t n)
{
	struct decode_ctx *c = l->c;
	uint32_t place = 0;

	if (is_used(c, at) || value_is_nothing(&c->doc, at))
		return;
	if (c->doc.v[at].type == JSON_STRING && c->doc.v[at].spare != 0 && walk_nested(c, at) != 0) {
		left_walk(l, walk_nested(c, at), n);
		return;
	}
	if (c->doc.v[at].type == JSON_OBJECT) {
		for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i + 1].next)
			left_walk(l, i + 1, append_key(l, n, json_raw(&c->doc.v[i])));
	} else if (c->doc.v[at].type == JSON_ARRAY) {
		for (uint32_t i = at + 1; i < c->doc.v[at].next; i = c->doc.v[i].next)
			left_walk(l, i, append_index(l, n, place++));
	} else if (l->n == LEFT_PATHS) {
		l->more++;
	} else {
		buf_puts(c->why, l->n++ > 0 ? ", " : "  left over: ");
		buf_put(c->why, l->path, n);
	}
}

void
why_left_over(struct decode_ctx *c)
{
	struct left l = { .c = c };

	left_walk(&l, c->at, 0);
	if (l.more > 0)
		buf_printf(c->why, ", and %" PRIu32 " more", l.more);
	if (l.n > 0)
		buf_puts(c->why, "\n");
}
