/* source.c - the table of sources. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "source/source.h"

#include <string.h>

static const struct source_kind *const kinds[] = {
#define SOURCE(kind)	&source_kind_##kind,
#include "source/sources.tbl"
#undef SOURCE
};

const struct source_kind *
source_kind_find(const char *word)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (word != NULL && strcmp(kinds[i]->name, word) == 0)
			return kinds[i];
	return NULL;
}

const char *
source_kind_words(void)
{
#define SOURCE(kind)	"|" #kind
	static const char words[] =
#include "source/sources.tbl"
	    ;
#undef SOURCE

	return words + 1;
}

const struct conf_key *
source_keys(const char *word)
{
	const struct source_kind *kind = source_kind_find(word);

	return kind != NULL ? kind->keys : NULL;
}
