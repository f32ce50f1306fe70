/* mappings.c - where the mappings lie, and what of the withheld text may leave. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <stdlib.h>

#include "base/conf.h"
#include "base/err.h"
#include "decode/decode.h"
#include "run/agent.h"

/* The data of an agent that is not installed yet (tests, the demo). */
#define DATA_DIR_ENV	"AISPM_DATA_DIR"

static const char *
data_dir(const struct conf *agent)
{
	const char *env = getenv(DATA_DIR_ENV);

	if (agent != NULL && conf_given(agent, "data_dir"))
		return conf_text(agent, "data_dir");
	return env != NULL && env[0] == '/' ? env : DATA_DIR;
}

int
mappings_args(const struct conf *conf, struct mappings_args *ret, struct err *err)
{
	const struct conf *agent = conf != NULL ? conf_block(conf, "agent") : NULL;
	const struct conf *prompts = conf != NULL ? conf_block(conf, "prompts") : NULL;
	size_t n = prompts != NULL ? conf_texts(prompts, "release") : 0;

	if (n > MAPPINGS_ARGS - 2)
		return err_set(err, ERR_CONFIG, "prompts.release: at most %d names", MAPPINGS_ARGS - 2);
	if ((size_t)snprintf(ret->schemas, sizeof(ret->schemas), "%s/schemas", data_dir(agent)) >= sizeof(ret->schemas))
		return err_set(err, ERR_CONFIG, "agent.data_dir: the path is too long");
	ret->v[0] = ret->schemas;
	ret->v[1] = agent != NULL ? conf_text(agent, "mappings_dir") : SYSCONF_DIR "/mappings.d";
	for (size_t i = 0; i < n; i++)
		ret->v[2 + i] = conf_text_at(prompts, "release", i);
	ret->n = 2 + n;
	return 0;
}

int
mappings_read(struct decoder **ret, const char *const *args, size_t nargs, struct problems *problems, struct err *err)
{
	const struct decoder_dir dirs[] = { { args[0], false }, { args[1], true } };
	struct decoder *decoder = NULL;

	if (decoder_open(&decoder, dirs, 2, problems, err) != 0)
		return -1;
	if (nargs > 2 && decoder_release(decoder, args + 2, nargs - 2, err) != 0) {
		decoder_close(decoder);
		return -1;
	}
	*ret = decoder;
	return 0;
}

int
mappings_open(struct decoder **ret, const struct conf *conf, struct problems *problems, struct err *err)
{
	struct mappings_args args;

	if (mappings_args(conf, &args, err) != 0)
		return -1;
	return mappings_read(ret, args.v, args.n, problems, err);
}
