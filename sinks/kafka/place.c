/*
 * place.c - how far the spool is in Kafka: the offset that was committed with the last transaction.
 *
 * It may be ahead of the cursor on disk, which is saved later, and it is the truth: what is before it is not sent again. But a
 * number alone proves nothing. A copy of the state directory counts on from the same number with events of its own, so
 * before anything is passed over the last entry must be the one whose EventId stands beside the offset.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "sinks/kafka/kafka_sink.h"

static bool
is_same(const struct kafka_place *a, const struct kafka_place *b)
{
	return a->next == b->next && strcmp(a->id, b->id) == 0;
}

static int
refuse(const struct kafka_sink *k, const struct kafka_place *p, const char *what, struct err *err)
{
	return err_set(err, ERR_CONFIG, "kafka: group %s has position %lld, which is not this spool's: %s. A second copy of the agent, or a "
	    "copied or older state directory? If this is the only agent, delete that group's offsets", k->group, (long long)p->next, what);
}

int
kafka_place_check(struct kafka_sink *k, const struct kafka_place *p, const struct batch *b, struct err *err)
{
	char id[33] = "";
	int found;

	if (p->next > 0 && k->placed && !is_same(p, &k->mine[0]) && !is_same(p, &k->mine[1]))
		return refuse(k, p, "another has written since", err);
	if (p->next > 0 && (uint64_t)p->next > b->v[0].seq) {
		found = k->sink->event_id(k->sink, (uint64_t)p->next - 1, id);
		if (found == 0)
			return refuse(k, p, "the spool ends before it", err);
		if (found == 1 && strcmp(id, p->id) != 0)
			return refuse(k, p, "another event stands there", err);
		k->there_seq = (uint64_t)p->next - 1;
	}
	k->mine[0] = *p;
	k->placed = true;
	return 0;
}

void
kafka_place_after(struct kafka_place *ret, const struct batch *b)
{
	ret->next = (int64_t)b->v[b->n - 1].seq + 1;
	snprintf(ret->id, sizeof(ret->id), "%s", b->v[b->n - 1].id);
}

bool
kafka_place_has(struct kafka_sink *k, uint64_t seq)
{
	return k->mode == KAFKA_TRANSACTIONS ? seq <= k->there_seq : kafka_acked_has(&k->there, seq);
}
