/* calls.c - which records tell of one call. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/calls.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "detect/extra.h"

bool
calls_open(struct calls *c, uint32_t max)
{
	*c = (struct calls){ .max = max, .v = calloc(max, sizeof(*c->v)), .records = calloc(max, sizeof(*c->records)) };
	if (c->v != NULL && c->records != NULL)
		return true;
	calls_close(c);
	return false;
}

void
calls_close(struct calls *c)
{
	free(c->v);
	free(c->records);
	*c = (struct calls){ .v = NULL };
}

void
calls_forget(struct calls *c)
{
	memset(c->v, 0, c->max * sizeof(*c->v));
	memset(c->records, 0, c->max * sizeof(*c->records));
}

/* Where the set of a hash begins. */
static uint32_t
set_of(const struct calls *c, uint64_t id)
{
	return (uint32_t)(id % (c->max / CALLS_WAYS)) * CALLS_WAYS;
}

bool
calls_repeated(struct calls *c, uint64_t record)
{
	uint64_t *set = &c->records[set_of(c, record)];
	size_t i = 0;
	bool same;

	while (i < CALLS_WAYS - 1 && set[i] != record)
		i++;
	same = set[i] == record;
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = record;
	return same;
}

struct call *
calls_find(struct calls *c, uint64_t id, uint32_t kind, int64_t t_s)
{
	struct call *set = &c->v[set_of(c, id)], at;
	size_t i = 0;
	bool near;

	while (i < CALLS_WAYS - 1 && set[i].id != id)
		i++;
	at = set[i];
	near = at.id == id && t_s >= (int64_t)at.begin_s - CALLS_JOIN_S && t_s <= (int64_t)at.begin_s + CALLS_JOIN_S;
	/* A third kind tells of other calls. */
	if (!near || (at.kind[0] != kind && at.kind[1] != 0 && at.kind[1] != kind))
		at = (struct call){ .id = id, .begin_s = (uint32_t)t_s, .who = near ? at.who : CALLS_NOBODY };
	if (at.kind[0] == 0)
		at.kind[0] = kind;
	else if (at.kind[0] != kind)
		at.kind[1] = kind;
	memmove(set + 1, set, i * sizeof(*set));
	set[0] = at;
	return set;
}

/* The call's total is that of its kind which tells more: with `ahead` = first - second it grows by what the greater of the two does. */
double
call_take(struct call *c, uint32_t kind, unsigned which, double amount)
{
	bool first = c->kind[0] == kind;
	double before = first ? c->ahead[which] : -c->ahead[which], after = before + amount;

	c->ahead[which] = first ? after : -after;
	return (after > 0 ? after : 0) - (before > 0 ? before : 0);
}

/* ---- saved ------------------------------------------------------------------------- */

/* Only places in use: their number, then each, set by set, the last used first. Its set follows from the id. */
void
calls_save(const struct calls *c, struct buf *out)
{
	uint32_t n = 0, records = 0;

	for (uint32_t i = 0; i < c->max; i++) {
		n += c->v[i].id != 0;
		records += c->records[i] != 0;
	}
	buf_put(out, &n, sizeof(n));
	buf_put(out, &records, sizeof(records));
	for (uint32_t i = 0; i < c->max; i++)
		if (c->v[i].id != 0)
			buf_put(out, &c->v[i], sizeof(c->v[i]));
	for (uint32_t i = 0; i < c->max; i++)
		if (c->records[i] != 0)
			buf_put(out, &c->records[i], sizeof(c->records[i]));
}

static bool
put_call(struct calls *c, const struct call *call)
{
	struct call *set = &c->v[set_of(c, call->id)];
	size_t i = 0;

	for (int k = 0; k < CALLS_AMOUNTS; k++)
		if (!isfinite(call->ahead[k]))
			return false;
	while (i < CALLS_WAYS && set[i].id != 0 && set[i].id != call->id)
		i++;
	if (call->id == 0 || i == CALLS_WAYS || set[i].id != 0)
		return false;
	set[i] = *call;
	return true;
}

static bool
put_record(struct calls *c, uint64_t record)
{
	uint64_t *set = &c->records[set_of(c, record)];
	size_t i = 0;

	while (i < CALLS_WAYS && set[i] != 0 && set[i] != record)
		i++;
	if (record == 0 || i == CALLS_WAYS || set[i] != 0)
		return false;
	set[i] = record;
	return true;
}

bool
calls_restore(struct calls *c, struct slice *in)
{
	struct call call;
	uint64_t record;
	uint32_t n, records;

	calls_forget(c);
	if (!saved_take(in, &n, sizeof(n)) || !saved_take(in, &records, sizeof(records)))
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!saved_take(in, &call, sizeof(call)) || !put_call(c, &call))
			return false;
	for (uint32_t i = 0; i < records; i++)
		if (!saved_take(in, &record, sizeof(record)) || !put_record(c, record))
			return false;
	return true;
}
