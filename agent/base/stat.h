/*
 * stat.h - what the agent counts. A counter is a row of stats.tbl; a component has a block of them.
 *
 * Threads: any thread may add or read; relaxed atomics. Blocks are made and dropped by run/ alone. The process itself has one that is always there.
 */
#ifndef BASE_STAT_H
#define BASE_STAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum stat_scope { STAT_AGENT, STAT_SOURCE, STAT_DETECTOR, STAT_SPOOL, STAT_SINK, STAT_CLASS, STAT_SCOPES };
enum stat_kind { STAT_COUNTER, STAT_GAUGE };

enum stat_id {
#define STAT(id, scope, kind, name, unit, help)	STAT_##id,
#include "base/stats.tbl"
#undef STAT
	STAT_COUNT
};

struct stat_row { enum stat_scope scope; enum stat_kind kind; const char *name, *unit, *help; };
const struct stat_row *stat_row(enum stat_id);

/* One component's figures. Only the rows of its scope mean anything. */
struct stat_block {
	enum stat_scope		 scope;
	char			 name[64], type[24];	/* "hub", "kafka"; of STAT_CLASS the class and the severity */
	_Atomic uint64_t	 value[STAT_COUNT];
	char			 said[320];	/* the last thing worth telling a person; by stat_say and stat_said alone */
	struct stat_block	*next;
};

/* Linked into one list until stat_drop, which leaves its counters to another block of the same scope, name and type (a reload). NULL when memory is short. */
struct stat_block *stat_make(enum stat_scope, const char *name, const char *type);
void	stat_drop(struct stat_block *);		/* NULL is fine */
struct stat_block *stat_agent(void);		/* scope STAT_AGENT: of this process */
void	stat_each(void (*see)(void *arg, struct stat_block *), void *arg);	/* under the list's lock */
void	stat_say(struct stat_block *, const char *text);
void	stat_said(struct stat_block *, char ret[320]);

static inline void
stat_add(struct stat_block *b, enum stat_id id, uint64_t n)
{
	atomic_fetch_add_explicit(&b->value[id], n, memory_order_relaxed);
}
static inline void
stat_set(struct stat_block *b, enum stat_id id, uint64_t v)
{
	atomic_store_explicit(&b->value[id], v, memory_order_relaxed);
}
static inline uint64_t
stat_get(struct stat_block *b, enum stat_id id)
{
	return atomic_load_explicit(&b->value[id], memory_order_relaxed);
}

#endif
