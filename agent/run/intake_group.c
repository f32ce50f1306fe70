/* intake_group.c - the group that is gathered: events on the wire, and where their sources stand. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>

#include "base/err.h"
#include "model/wire.h"
#include "run/intake_state.h"

bool
group_is_empty(const struct group *g)
{
	return g->n == 0 && g->nmarks == 0;
}

int
group_add(struct group *g, const struct event *e, struct err *err)
{
	if (g->n == g->cap) {
		size_t cap = g->cap > 0 ? g->cap * 2 : 1024;
		uint32_t *ends = realloc(g->ends, cap * sizeof(*ends));

		if (ends == NULL)
			return err_set(err, ERR_AGAIN, "no memory for a group");
		g->ends = ends;
		g->cap = cap;
	}
	if (wire_put(e, &g->bytes, err) != 0)
		return -1;
	g->ends[g->n++] = (uint32_t)g->bytes.n;
	return 0;
}

/* Back to n entries: a record goes in whole or not at all. */
void
group_cut(struct group *g, size_t n)
{
	g->n = n;
	g->bytes.n = n > 0 ? g->ends[n - 1] : 0;
	g->bytes.failed = false;
}

bool
group_mark(struct group *g, struct source *s, const struct position *at)
{
	for (size_t i = g->nmarks; i > 0; i--)
		if (g->marks[i - 1].source == s && g->marks[i - 1].at.stream == at->stream) {
			g->marks[i - 1].at = *at;
			return true;
		}
	if (g->nmarks == GROUP_MARKS)
		return false;
	g->marks[g->nmarks++] = (struct mark){ s, *at };
	return true;
}

void
group_clear(struct group *g)
{
	g->n = 0;
	g->nmarks = 0;
	g->letters = false;
	buf_reset(&g->bytes);
}
