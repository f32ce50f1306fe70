/* sink.c - the table of sink kinds, as the configuration asks for it. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/sink.h"

#include <string.h>

static const struct sink_kind *const kinds[] = {
#define SINK(kind)	&sink_kind_##kind,
#include "sinks/sinks.tbl"
#undef SINK
};

const struct sink_kind *
sink_kind_find(const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (word != NULL && strcmp(kinds[i]->name, word) == 0)
			return kinds[i];
	return NULL;
}

const char *
sink_kind_words(void)
{
#define SINK(kind)	"|" #kind
	static const char words[] =
#include "sinks/sinks.tbl"
	    ;
#undef SINK

	return words + 1;
}

const struct conf_key *
sink_keys(const char *word)
{
	const struct sink_kind *kind = sink_kind_find(word);

	return kind != NULL ? kind->keys : NULL;
}
