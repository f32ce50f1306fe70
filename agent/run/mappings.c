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

static int
release_texts(struct decoder *decoder, const struct conf *conf, struct err *err)
{
	const struct conf *prompts = conf != NULL ? conf_block(conf, "prompts") : NULL;
	size_t n = prompts != NULL ? conf_texts(prompts, "release") : 0;
	const char **names;
	int rc;

	if (n == 0)
		return 0;
	names = calloc(n, sizeof(*names));
	if (names == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	for (size_t i = 0; i < n; i++)
		names[i] = conf_text_at(prompts, "release", i);
	rc = decoder_release(decoder, names, n, err);
	free(names);
	return rc;
}

int
mappings_open(struct decoder **ret, const struct conf *conf, struct problems *problems, struct err *err)
{
	const struct conf *agent = conf != NULL ? conf_block(conf, "agent") : NULL;
	struct decoder *decoder = NULL;
	char schemas[4096];
	struct decoder_dir dirs[] = {
		{ schemas, false },
		{ agent != NULL ? conf_text(agent, "mappings_dir") : SYSCONF_DIR "/mappings.d", true },
	};

	if ((size_t)snprintf(schemas, sizeof(schemas), "%s/schemas", data_dir(agent)) >= sizeof(schemas))
		return err_set(err, ERR_CONFIG, "agent.data_dir: the path is too long");
	if (decoder_open(&decoder, dirs, 2, problems, err) != 0)
		return -1;
	if (release_texts(decoder, conf, err) != 0) {
		decoder_close(decoder);
		return -1;
	}
	*ret = decoder;
	return 0;
}
