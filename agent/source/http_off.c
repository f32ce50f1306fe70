/* http_off.c - instead of http.c where the agent is built without libmicrohttpd or GnuTLS: the settings are known, the source is not there. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/err.h"
#include "source/http_source.h"

#define MISSING	"libmicrohttpd and GnuTLS"

static int
off_open(struct source *s, const struct conf *conf, struct err *err)
{
	(void)conf;
	return err_set(err, ERR_CONFIG, "source %s: this agent was built without " MISSING ", so it has no http source", s->name);
}

static void
off_close(struct source *s)
{
	(void)s;
}

const struct source_kind source_kind_http = {
	.name = "http",
	.missing = MISSING,
	.help = "records that are pushed by HTTP",
	.keys = push_keys,
	.open = off_open,
	.close = off_close,
};
