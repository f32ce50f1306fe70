/*
 * wall_parts.h - what both sides of the wall agree on.
 *
 * Two processes stand behind it. The keeper is this program once more, executed anew: it reads the mappings, forks the worker, waits for its
 * end, says how it ended and forks the next from the same mappings. It never sees a record. The worker decodes.
 * Their descriptors: 0 orders, 1 words, 2 nothing, 3 records, 4 answers; the last two are mapped, then closed.
 */
#ifndef RUN_WALL_PARTS_H
#define RUN_WALL_PARTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;

#define WALL_SLOTS	2u
#define WALL_IN_BYTES	(96u << 20)	/* of a slot; memory is taken as it is used, and given back after a large batch */
#define WALL_OUT_BYTES	(272u << 20)
#define WALL_LARGE	(1u << 20)	/* what a slot may keep */

enum { WALL_FD_ORDERS, WALL_FD_WORDS, WALL_FD_NONE, WALL_FD_IN, WALL_FD_OUT, WALL_FDS };

/* Records of a slot: each this, its bytes, and room to the next multiple of 16 with BUF_SLACK to spare. */
struct wall_in {
	uint32_t	n;
	uint16_t	skip;		/* not to be decoded */
	uint16_t	relay;		/* record.h */
	uint64_t	arrived_ms;
};
/* Answers of a slot. */
struct wall_out {
	_Atomic uint32_t	done;	/* answers that are whole */
	uint32_t		spare;
	uint64_t		spare2;
	char			data[];
};
/* One answer: this, and `bytes` of events (each u32 and that many bytes of wire.h), or of text why there are none. */
struct wall_reply {
	uint32_t	bytes, bad, events, unknown, passed, spare;
};

/* To the worker: decode n records of a slot, the first at `at`. */
struct wall_order { uint32_t slot, n, round, spare; uint64_t at; };
/* From it, or from its keeper. */
enum { WALL_READY = 1, WALL_DONE, WALL_DIED, WALL_NO_MAPPINGS, WALL_NO_FILTER, WALL_NO_MEMORY };
struct wall_word { uint32_t kind, value; };	/* DONE: the order's round; DIED: as wait(2) says */

static inline size_t
wall_in_next(size_t at, size_t n, size_t slack)
{
	return (at + sizeof(struct wall_in) + n + slack + 15) & ~(size_t)15;
}

/* wall_spawn.c: the processes */
struct wall_process {
	int	pid;			/* of the keeper; 0: there is none */
	int	orders, words;		/* pipes, or -1 */
};
int	wall_memory(const char *name, size_t bytes, int *ret_fd, void **ret, struct err *);
int	wall_spawn(struct wall_process *, int in_fd, int out_fd, const char *const *args, size_t nargs, struct err *);
void	wall_end(struct wall_process *);
/* A word within ms: 1, or 0: none came, -1: there is no one left to say any. */
int	wall_hear(const struct wall_process *, int ms, struct wall_word *ret);
int	wall_order(const struct wall_process *, const struct wall_order *);

/* wall_filter.c: from here on only what decoding needs. -1: this kernel or machine has no such filter. */
int	wall_filter(void);

#endif
