/* web_off.c - instead of web.c where the agent is built without libmicrohttpd. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/err.h"
#include "run/web.h"

int
web_open(struct web **ret, const struct web_world *world, const char *address, struct err *err)
{
	(void)ret;
	(void)world;
	return err_set(err, ERR_CONFIG, "agent.http: %s is not served: this agent was built without libmicrohttpd", address);
}

void
web_close(struct web *w)
{
	(void)w;
}
