/* acked.h - which entries of a batch that has to come again the broker has already; they are not sent twice. */
#ifndef SINKS_KAFKA_ACKED_H
#define SINKS_KAFKA_ACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;

struct kafka_acked {
	uint64_t	*v;		/* seqs, sorted */
	size_t		 n, cap;
};

/* `acked`: a byte for each entry. Without memory, or past the cap, messages come twice; their EventId shows it. */
void	kafka_acked_add(struct kafka_acked *, const struct batch *, const unsigned char *acked);
bool	kafka_acked_has(const struct kafka_acked *, uint64_t seq);
void	kafka_acked_forget(struct kafka_acked *, const struct batch *);	/* delivered as a whole: never comes back */
void	kafka_acked_fini(struct kafka_acked *);

#endif
