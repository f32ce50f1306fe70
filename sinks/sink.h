/*
 * sink.h - deliver encoded entries to one place outside.
 *
 * Gives:   one `struct sink_kind` per row of sinks.tbl.
 * Takes:   batches of encoded bytes, oldest first, several at once if it says so. Sees no event, no spool.
 * Answers: each put() gets exactly one sink_answer() for that batch, later, on the delivery loop (also from within put()).
 * Owns:    sink->priv. A batch is borrowed until its answer is given.
 * Thread:  everything runs on the delivery loop; a call that may block belongs on a thread of the sink's own.
 * Uses:    base/ net/ batch.h.      Never: model/ spool/ another sink, nor the log.
 */
#ifndef SINKS_SINK_H
#define SINKS_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct batch;
struct conf;
struct conf_key;
struct err;
struct http;
struct loop;
struct sink;
struct stat_block;

enum sink_verdict {
	SINK_DELIVERED,	/* the far side said yes: the cursor may move        */
	SINK_LATER,	/* not now: keep the batch, wait wait_ms (0: back off), try again */
	SINK_HELD,	/* an operator must act: keep all, knock seldom      */
	SINK_TOO_BIG,	/* cut the batch in two and offer both halves        */
	SINK_REFUSED,	/* cut down to the guilty entry and set it aside     */
};

struct sink_kind {
	const char		*name;		/* the word in the config file  */
	const char		*help;
	const char		*format;	/* encoding unless the config says other */
	const char		*formats;	/* allowed, "json|cef" */
	const char		*open_bytes, *between_bytes, *close_bytes;	/* how entries stand in batch.bytes */
	size_t			 max_bytes;	/* of batch.bytes: send offers no more, and sets aside an event that alone is more */
	unsigned		 max_entries;
	unsigned		 max_in_flight;	/* batches without an answer    */
	const struct conf_key	*keys;		/* settings, defaults, help     */

	/* Settings only: no network. */
	int	(*open)(struct sink *, const struct conf *, struct err *);
	/* An empty batch is the question of `check --online`: try everything but an event, and answer as for a batch. */
	void	(*put)(struct sink *, const struct batch *);
	void	(*reopen)(struct sink *);	/* SIGHUP, or NULL */
	void	(*close)(struct sink *);	/* may be half open; after it no answer comes */
};

struct sink {
	const struct sink_kind	*kind;
	const char		*name;
	const char		*agent_id;
	struct loop		*loop;
	struct http		*http;		/* the delivery loop's */
	struct stat_block	*stats;
	/* -------- set by open() */
	void			*priv;
	int64_t			 max_span_ms;	/* TimeGenerated of one batch may differ by this much; 0: any */
	/* -------- */
	void			*owner;		/* send.c */
	void	(*answer)(struct sink *, const struct batch *, enum sink_verdict, uint64_t wait_ms,
		    const struct err *why);
	void	(*say)(struct sink *, const char *text);	/* a warning for the log; no record content */
	void	(*debug)(struct sink *, const char *text);	/* what happened in detail, for log_level debug; or NULL */
	/* EventId (32 digits or empty) of the entry `seq`: 1; 0: the spool ends before it; -1: it cannot be read any more. */
	int	(*event_id)(struct sink *, uint64_t seq, char ret[33]);
};

/* Called by a sink, once per put(). `why` may be NULL with SINK_DELIVERED; else it says what the far side answered. */
static inline void
sink_answer(struct sink *s, const struct batch *b, enum sink_verdict verdict, uint64_t wait_ms,
    const struct err *why)
{
	s->answer(s, b, verdict, wait_ms, why);
}

static inline void
sink_debug(void *sink, const char *text)
{
	struct sink *s = sink;

	if (s->debug != NULL)
		s->debug(s, text);
}

#define SINK(kind)	extern const struct sink_kind sink_kind_##kind;
#include "sinks/sinks.tbl"
#undef SINK

const struct sink_kind *sink_kind_find(const char *word);
const char *sink_kind_words(void);
const struct conf_key *sink_keys(const char *word);	/* the variant hook for `sinks` */

#endif
