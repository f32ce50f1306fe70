/* acked.c - a sorted set of entry numbers. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "sinks/kafka/acked.h"

#include <stdlib.h>

#include "sinks/batch.h"

#define MOST	65536

static int
compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
has(const uint64_t *v, size_t n, uint64_t seq)
{
	return n > 0 && bsearch(&seq, v, n, sizeof(seq), compare) != NULL;
}

bool
kafka_acked_has(const struct kafka_acked *a, uint64_t seq)
{
	return has(a->v, a->n, seq);
}

void
kafka_acked_add(struct kafka_acked *a, const struct batch *b, const unsigned char *acked)
{
	size_t before = a->n;		/* that much is sorted */

	for (size_t i = 0; acked != NULL && i < b->n && a->n < MOST; i++) {
		if (!acked[i] || has(a->v, before, b->v[i].seq))
			continue;
		if (a->n == a->cap) {
			size_t cap = a->cap > 0 ? a->cap * 2 : 1024;
			uint64_t *v = realloc(a->v, cap * sizeof(*v));

			if (v == NULL)
				break;
			a->v = v;
			a->cap = cap;
		}
		a->v[a->n++] = b->v[i].seq;
	}
	if (a->n > before)
		qsort(a->v, a->n, sizeof(*a->v), compare);
}

void
kafka_acked_forget(struct kafka_acked *a, const struct batch *b)
{
	uint64_t first = b->v[0].seq, last = b->v[b->n - 1].seq;
	size_t kept = 0;

	for (size_t i = 0; i < a->n; i++)
		if (a->v[i] < first || a->v[i] > last)
			a->v[kept++] = a->v[i];
	a->n = kept;
}

void
kafka_acked_fini(struct kafka_acked *a)
{
	free(a->v);
	*a = (struct kafka_acked){ 0 };
}
