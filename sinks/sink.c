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

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

const struct sink_kind *
sink_kind_find(const char *word)
{
	for (size_t i = 0; i < KINDS; i++)
		if (strcmp(kinds[i]->name, word) == 0)
			return kinds[i];
	return NULL;
}

const char *
sink_kind_words(void)
{
	static char words[128];
	size_t at = 0;

	if (words[0] != '\0')
		return words;
	for (size_t i = 0; i < KINDS && at + strlen(kinds[i]->name) + 2 < sizeof(words); i++) {
		if (i > 0)
			words[at++] = '|';
		memcpy(words + at, kinds[i]->name, strlen(kinds[i]->name) + 1);
		at += strlen(kinds[i]->name);
	}
	return words;
}

const struct conf_key *
sink_keys(const char *word)
{
	const struct sink_kind *kind = sink_kind_find(word);

	return kind != NULL ? kind->keys : NULL;
}
