/*
 * decode.h - turn one raw record into events, by mapping.
 *
 * Gives:   decode(): unwraps envelopes, picks the family, walks its plan once, fills events.
 * Takes:   bytes from anywhere; assume the sender is hostile.
 * Owns:    the loaded plans (read-only after open), and working memory in a decode_ctx a thread.
 * Fails:   ERR_DATA (no JSON: the caller puts the record in the dead letter with err's text),
 *          ERR_AGAIN (memory). Never for JSON that no mapping knows: that is an `activity`.
 * Uses:    base/ model/.     Never: source/ detect/ net/ - and no system calls after open.
 */
#ifndef DECODE_DECODE_H
#define DECODE_DECODE_H

#include "model/event.h"
#include "base/yaml.h"

struct arena;
struct buf;
struct decoder;			/* all mappings, compiled to one plan */
struct decode_ctx;		/* one thread's working memory */
struct err;
struct record;

/* Reads DIR/<family>/mapping.yaml (and DIR/<name>.yaml) of each directory; of families with the same name the
 * later directory wins. Problems name file and line. A missing directory is fine if `optional`. */
struct decoder_dir { const char *path; bool optional; };
int	decoder_open(struct decoder **ret, const struct decoder_dir *, size_t n,
	    struct problems *, struct err *);
void	decoder_close(struct decoder *);	/* NULL is fine */
/* Families in the order they are asked; i from 0; NULL past the end. */
const char *decoder_family(const struct decoder *, size_t i, const char **ret_help, const char **ret_file);
/* Prompt text that may leave: "family.Name" of a mapping's `withheld`, or "*"-globs of it. Default: none. */
int	decoder_release(struct decoder *, const char *const *names, size_t n, struct err *);

struct decode_ctx *decode_ctx_new(const struct decoder *);	/* NULL when memory is short */
void	decode_ctx_free(struct decode_ctx *);
/* How many events one record may make (65,536 unless told): more is ERR_DATA. */
void	decode_ctx_allow(struct decode_ctx *, uint32_t max_events);

struct decode_count {
	uint32_t	events;
	uint32_t	unknown;	/* inner records that no mapping knew */
	uint32_t	passed;		/* elements that make no event by their mapping's each_when */
};

/*
 * Appends the events of one record to `out`. Texts live in out->arena, the record or the decoder. Sets all
 * columns but GovernanceZone, SlaDueTime, and AgentId, AgentVersion, DvcHostname unless another agent's event has them. On failure `out` is as before.
 */
int	decode(const struct decoder *, struct decode_ctx *, const struct record *,
	    struct event_list *out, struct decode_count *ret, struct err *);

/* The same, and tells why in lines for people: family, mapping file:line and path of each column, what was left over. */
int	decode_why(const struct decoder *, struct decode_ctx *, const struct record *,
	    struct event_list *out, struct buf *why, struct err *);

/*
 * Cuts an input of any shape into records: one a line when the first line is a JSON text of its own
 * (NDJSON), else the whole; gzip is unpacked into `hold`. Calls `each` for every record.
 */
int	decode_split(struct decode_ctx *, struct slice input, struct buf *hold,
	    int (*each)(void *arg, struct slice record), void *arg, struct err *);

#endif
