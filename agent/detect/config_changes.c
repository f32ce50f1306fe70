/*
 * config_changes.c - AI configuration changes: the kind, its settings, and the way of one event through it.
 *
 * What counts as a change and what it weakens is data: config_changes.tbl, config_values.tbl.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"
#include "detect/config_parts.h"
#include "detect/detect.h"

#define OPS_MAX		4096
#define TOPS_MAX	16384
#define ROUTINES_MAX	8192

static void
see_inventory(struct config *c, const struct event *e)
{
	struct buf state;
	uint64_t object;

	buf_init(&state, BODY_BYTES + 4096);
	if (config_inventory_of(c, e, &object, &state))
		objects_see(c, object, buf_slice(&state));
	buf_fini(&state);
}

static int
see(void *state, const struct event *e, struct event_list *say, struct err *err)
{
	struct config *c = state;
	struct slice class = event_text(e, F_EventClass);
	int64_t t_ms = event_number(e, F_TimeGenerated, -1);
	struct change change;

	c->say = say;
	c->err = err;
	c->rc = 0;
	if (slice_eq(class, SLICE("inventory")) || slice_eq(class, SLICE("control"))) {
		see_inventory(c, e);
		return 0;
	}
	if (t_ms >= 0) {
		event_time_see(&c->time, t_ms);
		ops_expire(c);
	}
	if (slice_eq(class, SLICE("alert")) && t_ms >= 0 && config_is_about_ai(e))
		chain_alert(c, e);
	if (config_change_of(c, e, &change)) {
		c->seen++;
		ops_take(c, &change);
	}
	return c->rc;
}

/* ---- life -------------------------------------------------------------------------- */

static void
drop_all(struct config *c)
{
	for (int p = 0; p < LRU_PARTS; p++) {
		for (void *o = c->ops.items != NULL ? lru_oldest(&c->ops, (enum lru_part)p) : NULL; o != NULL; o = lru_newer(&c->ops, o))
			op_drop(c, o);
		for (void *o = c->objects.items != NULL ? lru_oldest(&c->objects, (enum lru_part)p) : NULL; o != NULL; o = lru_newer(&c->objects, o))
			object_drop(c, o);
	}
}

static void
close_config(void *state)
{
	struct config *c = state;

	if (c == NULL)
		return;
	drop_all(c);
	lru_close(&c->ops);
	lru_close(&c->objects);
	lru_close(&c->tops);
	lru_close(&c->routines);
	comparer_free(c->compare);
	free(c);
}

static int
open_config(void **ret, const struct conf *conf, struct err *err)
{
	struct config *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return err_set(err, ERR_AGAIN, "no memory for detector config");
	c->wait_ms = (int64_t)conf_ms(conf, "wait");
	c->undo_ms = (int64_t)conf_ms(conf, "undo");
	random_bytes(c->key, sizeof(c->key));
	c->compare = comparer_new();
	if (c->compare == NULL || !lru_open(&c->ops, sizeof(struct op), OPS_MAX) ||
	    !lru_open(&c->objects, sizeof(struct object), (uint32_t)conf_count(conf, "max_objects")) ||
	    !lru_open(&c->tops, sizeof(struct marks), TOPS_MAX) || !lru_open(&c->routines, sizeof(struct routine), ROUTINES_MAX)) {
		close_config(c);
		return err_set(err, ERR_AGAIN, "no memory for detector config");
	}
	c->ops.on_evict = op_drop;
	c->objects.on_evict = object_drop;
	c->ops.arg = c->objects.arg = c;
	*ret = c;
	return 0;
}

static void
figures(void *state, struct stat_block *stats)
{
	const struct config *c = state;

	stat_set(stats, STAT_DETECTOR_SEEN, c->seen);
	stat_set(stats, STAT_DETECTOR_FINDINGS, c->findings);
	stat_set(stats, STAT_DETECTOR_SERIES, c->objects.n);
	stat_set(stats, STAT_DETECTOR_EVICTED, c->objects.evicted);
}

const struct conf_key config_keys[] = {
	{ .name = "enabled", .type = CONF_BOOL, .fallback = "true", .help = "whether this detector runs" },
	{ .name = "wait", .type = CONF_TIME, .fallback = "1h", .least = 60000, .most = 86400000,
	  .help = "an operation that began and whose end no record tells is said after so long, in the records' own time" },
	{ .name = "undo", .type = CONF_TIME, .fallback = "15m", .least = 0, .most = 86400000,
	  .help = "a change that is taken back within this time is said to be" },
	{ .name = "max_objects", .type = CONF_COUNT, .fallback = "10000", .least = 100, .most = 1000000,
	  .help = "objects whose last state is remembered, up to 24 MiB in all; the ones unchanged for longest are forgotten" },
	CONF_END
};

const struct detector_kind detector_kind_config = {
	.name = "config",
	.state_version = 4,
	.open = open_config,
	.close = close_config,
	.see = see,
	.save = config_save,
	.restore = config_restore,
	.count = figures,
};
