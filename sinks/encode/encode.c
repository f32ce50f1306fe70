/* encode.c - the table of encodings. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/encode/encode.h"

static const struct encoder *const encoders[] = {
#define ENCODER(name)	&encoder_##name,
#include "sinks/encode/encoders.tbl"
#undef ENCODER
};

const struct encoder *
encoder_find(const char *word)
{
	for (size_t i = 0; i < sizeof(encoders) / sizeof(encoders[0]); i++)
		if (strcmp(encoders[i]->name, word) == 0)
			return encoders[i];
	return NULL;
}
