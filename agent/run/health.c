/* health.c - does every source read and every sink take events? */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/buf.h"
#include "base/conf.h"
#include "base/stat.h"
#include "run/web.h"

struct trouble {
	struct buf	*why;
	bool		 any;
};

static void
see_trouble(void *arg, struct stat_block *b)
{
	struct trouble *t = arg;

	if (b->scope == STAT_SINK && stat_get(b, STAT_SINK_STATE) == 2)
		buf_printf(t->why, "sink %s is held\n", b->name);
	else if (b->scope == STAT_SOURCE && stat_get(b, STAT_SOURCE_PAUSED) != 0)
		buf_printf(t->why, "source %s is paused: no room in the spool\n", b->name);
	else
		return;
	t->any = true;
}

bool
health_ready(const struct conf *conf, struct buf *why)
{
	struct trouble t = { why, false };

	if (conf_blocks(conf, "sources") == 0 || conf_blocks(conf, "sinks") == 0) {
		buf_puts(why, "the configuration has no source or no sink yet\n");
		return false;
	}
	stat_each(see_trouble, &t);
	return !t.any;
}
