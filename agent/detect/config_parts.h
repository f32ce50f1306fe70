/*
 * config_parts.h - inside the config detector: which operation is a change, what it changed, and what that weakens.
 *
 * config_what.c: the tables, one event's operation. config_diff.c: bodies compared. config_ops.c: the records of one operation brought together.
 * config_objects.c: the last state of each object, and chains. config_routine.c: what the same actor does again and again. config_words.c: sentences. config_say.c: findings. config_memory.c: saved and restored. config_changes.c holds them together.
 */
#ifndef DETECT_CONFIG_PARTS_H
#define DETECT_CONFIG_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/json.h"
#include "base/slice.h"
#include "detect/extra.h"
#include "detect/lru.h"
#include "model/event.h"

struct buf;
struct err;

enum effect { EFFECT_NONE, EFFECT_MAKE, EFFECT_REMOVE, EFFECT_READ, EFFECT_RENEW, EFFECT_ACT };
enum direction { WEAK, STRONG, CHANGED, GONE, UP, DOWN };
enum where { WHERE_ANY, WHERE_AI };

struct change_row { const char *pattern; enum where where; const char *kind; enum effect effect; const char *severity, *code, *object; };

#define BODY_BYTES	32768		/* as: json of the mappings keeps no more */
#define STATE_BYTES	BODY_BYTES	/* remembered of one object */
#define LEAVES		2048
#define PATH_BYTES	192
#define EVENT_BYTES	65536		/* of the first record of an operation, kept until it ends */
#define EVIDENCE_IDS	6
#define CHANGES_SAID	24
#define EFFECTS_SAID	6

/* ---- bodies --------------------------------------------------------------------------- */

struct leaf { uint64_t hash; uint32_t path, path_n, text, text_n; };	/* in the buf of its leaves */
struct leaves {
	struct leaf	v[LEAVES];
	uint32_t	n;
	bool		cut;		/* there were more */
	struct buf	*text;
};

struct comparer;			/* working memory */
struct comparer *comparer_new(void);	/* NULL when memory is short */
void	comparer_free(struct comparer *);

struct difference {
	struct { struct slice path, before, after; } v[CHANGES_SAID];	/* in the comparer, until it compares again; before, after: SLICE_NONE: absent */
	uint32_t	n, more;
	struct { const char *words, *code; struct slice path; enum direction direction; } effects[EFFECTS_SAID];
	uint32_t	neffects;
	int		severity;	/* of what is weakened; -1: nothing is */
	bool		weaker, stronger, changed, unread;	/* unread: no body that says anything */
	bool		cut;		/* what was asked for could not be compared, or not all of it */
	const char	*code;		/* of the gravest */
};
/* What `after` changes of `before` (empty: unknown). Only paths that `after` names count, and elements of lists that it holds. */
void	compare(struct comparer *, const char *kind, struct slice before, struct slice after, struct difference *ret);
/* The gravest that a body of this kind could hold, by the tables; -1: nothing. */
int	worst_of(const char *kind, const char **ret_code);
/* All paths in which two bodies both speak say the same. */
bool	same_where_both_speak(struct comparer *, struct slice a, struct slice b);
/* A body over a remembered state: members of both, the body's where both speak; lists are the body's. False: as the body alone. */
bool	merge_bodies(struct comparer *, struct slice state, struct slice body, struct buf *out);
/* Another body, beside the two compared: its leaves stay until the next one is read. False: it says nothing. */
bool	body_read(struct comparer *, struct slice body);
/* The text of its first leaf whose path matches, without case; p NULL: none. */
struct slice body_value(const struct comparer *, const char *path);
/* Its leaf `i`; false: no more. */
bool	body_leaf(const struct comparer *, uint32_t i, struct slice *ret_path, struct slice *ret_text);
int	severity_of(const char *word);		/* 0 Informational .. 4 Critical */

/* ---- operations -------------------------------------------------------------------------- */

struct change {				/* one event that tells of a change */
	const struct event	*e;
	const struct change_row	*row;
	int64_t			 t_ms;
	uint64_t		 op, object;	/* keyed */
	char			 series[384];	/* operation, object and group: what makes the id */
	struct slice		 body;		/* JSON, or empty */
	struct slice		 hidden;	/* what stands for a body that was asked for and is not told, or empty */
	uint64_t		 asked;		/* keyed hash of what was asked for, or of its stand-in; 0: not told, or only an answer is */
	bool			 ended, failed;
};

struct op {
	struct lru_node	node;
	int64_t		first_ms, touched_ms, ended_ms;
	uint64_t	asked;			/* as in the change; 0: no record told it yet */
	uint64_t	from;			/* keyed hash of the address that the last of its records before the end named; or 0 */
	uint8_t		said, failed;		/* said 1: it was told; failed 1: as one that failed */
	uint8_t		hidden;			/* 1: `body` stands for one that is not told */
	char		*event;			/* wire bytes of its first record */
	uint32_t	event_n;
	char		*body;
	uint32_t	body_n;
	unsigned char	evidence[EVIDENCE_IDS][16];
	uint8_t		nevidence;
};

struct object {
	struct lru_node	node;
	int64_t		changed_ms;		/* 0: only seen */
	char		*state, *prev;		/* as it is, and before the last change; NULL: unknown or absent */
	uint32_t	state_n, prev_n;
	uint64_t	hidden;			/* keyed hash of what stood for the last body that was not told; 0: it was told */
	uint8_t		removed, made;		/* 1: the last change removed it, or made it where none was */
	char		finding[33];		/* that told the last change */
};

struct config {
	/* settings */
	int64_t		wait_ms, undo_ms;
	/* state */
	unsigned char	key[16];
	struct event_time time;
	struct lru	ops, objects, tops, routines;	/* tops: marks of whole resources, actors, filters */
	size_t		state_bytes, ops_bytes;
	struct comparer	*compare;
	uint64_t	seen, findings;
	/* while one event is seen */
	struct event_list *say;
	struct err	*err;
	int		rc;
};

/* A weakening, for chains: when, what, and the record that told it. */
struct step { int64_t ms; char code[3]; uint8_t words; unsigned char id[16]; };
#define STEPS	4
struct marks { struct lru_node node; struct step v[STEPS]; };
#define CHAIN	6
struct chain { struct step v[CHAIN]; uint32_t n; };

/* What one actor does to one object: its networks, its days, and how often since it was last said. */
#define ROUTINE_NETS	6
struct routine {
	struct lru_node	node;
	int64_t		first_ms, last_ms, said_ms, linked_ms;
	uint64_t	nets[ROUTINE_NETS];
	uint32_t	days, unsaid;
	uint8_t		next;
};
enum habit_kind { HABIT_NONE, HABIT_FIRST, HABIT_ELSEWHERE, HABIT_AGAIN, HABIT_SUMMARY };
struct habit { enum habit_kind is; bool settled; uint32_t count, days; int64_t since_ms; char net[48]; };

struct verdict {
	struct difference	diff;
	int			severity;
	const char		*code, *effect;
	struct chain		chain;
	struct habit		habit;
	bool			undoes;
	int64_t			undone_ms;
	char			undone[33];
	struct slice		before, after;
};

/* ---- config_what.c ----------------------------------------------------------------------------- */
uint64_t config_hash(const struct config *, const char *what, struct slice);
/* False: it tells of no change. */
bool	config_change_of(struct config *, const struct event *, struct change *ret);
/* Inventory and plans: the kind of object and its state as a body (in `out`); false: neither. */
bool	config_inventory_of(struct config *, const struct event *, uint64_t *ret_object, struct buf *out);

/* ---- config_objects.c ---------------------------------------------------------------------------- */
/* Found or made; now the most recently used. */
struct object *objects_of(struct config *, uint64_t object);
/* What inventory shows: the state, without a change. */
void	objects_see(struct config *, uint64_t object, struct slice state);
/* Keeps a copy in *to; of what is longer than STATE_BYTES nothing, and the last one stays. Other objects, unchanged for longest, give way. */
void	object_keep(struct config *, char **to, uint32_t *to_n, struct slice);
void	object_drop(void *config, void *object);
/* Other weakenings of the same resource or by the same actor within a day; of a deployment that names a content filter, of that filter alone. */
void	chain_find(struct config *, const struct change *, const struct verdict *, struct chain *ret);
/* Then this one stands in the chains of others. */
void	chain_add(struct config *, const struct change *, const struct op *, const struct verdict *);
/* An alert about an AI resource stands in its chains. */
void	chain_alert(struct config *, const struct event *);
const char *chain_words(const struct step *);

/* ---- config_routine.c ----------------------------------------------------------------------------- */
/* Reads, and writes that change nothing: whether it is one more of the same. `linked`: it stands in a chain, which is said once a day. */
void	routine_see(struct config *, const struct change *, const char *effect, bool linked, struct habit *ret);

/* ---- config_words.c ------------------------------------------------------------------------------- */
const char *words_end(const struct change *, const struct verdict *);	/* "weakened" */
void	words_message(struct buf *, struct config *, const struct change *, const struct verdict *);
void	words_reason(struct buf *, struct config *, const struct change *, const struct verdict *);
bool	is_creation(const struct change *);
/* Whether it is about an AI resource, or one as wide as a subscription. */
bool	config_is_about_ai(const struct event *);

/* ---- config_ops.c --------------------------------------------------------------------------------- */
/* One more record of an operation: says it, or keeps it until it ends. */
void	ops_take(struct config *, const struct change *);
/* Says what never ended, as far as event time is. */
void	ops_expire(struct config *);
/* Frees what it keeps. */
void	op_drop(void *config, void *op);
/* The op keeps this text now in place of another one: it counts. */
void	op_keep(struct config *, char **to, uint32_t *to_n, char *text, uint32_t n);

/* ---- config_say.c ----------------------------------------------------------------------------------- */
/* `op` may be NULL: an operation of one record. Learns the object's new state. */
void	config_say(struct config *, const struct change *, const struct op *);

/* ---- config_memory.c ---------------------------------------------------------------------------------- */
int	config_save(void *state, struct buf *out, struct err *);
int	config_restore(void *state, struct slice saved, struct err *);

#endif
