/*
 * plan.h - the mappings, compiled: one trie of paths for all families, and a program of rules for each.
 *
 * Life:    made by mapping.c and envelope.c at open, read-only afterwards (but for `released`, before the first decode).
 * Memory:  everything hangs on the decoder's arena; names and literals point into its YAML trees.
 */
#ifndef DECODE_PLAN_H
#define DECODE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/slice.h"
#include "base/yaml.h"
#include "decode/decode.h"
#include "model/event.h"
#include "model/record.h"
#include "model/resource.h"

struct sha256;

/* What a set of mappings may hold. */
#define PLAN_MAX_FAMILIES	64
#define PLAN_MAX_PATHS		4096
#define PLAN_MAX_NODES		16384
#define PLAN_MAX_STEPS		24	/* of one path */
#define PLAN_MAX_INDEX		999	/* in list[N] */
#define PLAN_MAX_RULES		512	/* of one family, all lists together */
#define PLAN_MAX_ITEMS		256	/* of any one list: tests, texts, blocks, parts */
#define PLAN_MAX_TABLE		2048	/* entries of one map */
#define PLAN_MAX_FILES		256
#define PLAN_MAX_ENVELOPES	64
#define PLAN_MAX_NAME		64

/* What a record may cost. */
#define RECORD_MAX_EVENTS	65536u
/* The texts of more than one event, together: so much in any case, and so many times the record; for what is unpacked at most PLAIN. */
#define RECORD_EVENTS_LEAST	(16u << 20)
#define RECORD_EVENTS_TIMES	8u
#define RECORD_EVENTS_PLAIN	(128u << 20)
#define RECORD_MAX_VALUES	(4u << 20)
#define RECORD_MAX_TEXTS	60000u		/* JSON texts inside strings */
#define RECORD_MAX_PLAIN	(64u << 20)	/* of a gzip'ed record; and of all gzip'ed texts in one */
#define ENVELOPE_DEPTH		4u
#define NESTED_DEPTH		3u		/* JSON in a text in a text in a text */
#define COLUMN_MAX_BYTES	65600u		/* the encoders cut at 65,536 and say so */
#define JSON_MAX_BYTES		32768u		/* of `as: json` */
#define ADDITIONAL_MAX_BYTES	60000u
#define OUTER_MAX_BYTES		8192u		/* members from wrappers */
#define ARRIVAL_NAME		"$arrival"

/* ---- the trie ---------------------------------------------------------------- */

enum step_kind { STEP_KEY, STEP_GLOB, STEP_INDEX, STEP_FIRST, STEP_WHERE, STEP_PAIRS };

struct step {
	enum step_kind	 kind;
	uint32_t	 index;
	struct slice	 key;		/* lower-cased; STEP_WHERE, STEP_PAIRS: the member's key */
	struct slice	 value;		/* STEP_WHERE; STEP_PAIRS: the other member's key */
};

struct where {				/* list[key=value]; list[key:value]; a key with stars, which is `value` */
	struct slice	 key, value;
	uint32_t	 child, next;	/* next: index + 1 into wheres, 0 ends */
	bool		 glob;
};

struct node {
	uint32_t	 parent;
	uint32_t	 first;		/* child by [], or 0 */
	uint32_t	 indexes;	/* first child by [n], or 0; they go on by `sibling` */
	uint32_t	 wheres;	/* index + 1 of the first filter, or 0 */
	uint32_t	 pairs;		/* of the first [key:value] */
	uint32_t	 globs;		/* of the first key with stars */
	uint32_t	 sibling;
	uint32_t	 index;
	uint64_t	 families;	/* bits: whose shapes are asked because of what is here */
	uint32_t	 needs, nneeds;	/* the blocks that wait for what is here: a piece of the decoder's needs */
	bool		 wanted;	/* somebody asks for the value here */
	bool		 in_object, in_array;	/* paths go on there */
	bool		 keep_empty;	/* an empty list says something here: an envelope's, or that of `each` */
	bool		 counted;	/* a list's elements: somebody asks how many fit */
};

struct key_slot {			/* child = keys[hash(parent, key)] */
	uint64_t	 hash;
	uint32_t	 parent, child, key_n;
	const char	*key;		/* lower-cased */
};

struct trie {
	struct node	*nodes;
	uint32_t	 n, cap;
	struct key_slot	*keys;
	uint32_t	 key_mask, nkeys;
	struct where	*wheres;
	uint32_t	 nwheres, wheres_cap;
	uint32_t	 npaths;
};

/* ---- rules ------------------------------------------------------------------- */

enum ref_kind { REF_PATH, REF_COLUMN, REF_ARRIVAL };

struct ref {
	enum ref_kind	 kind;
	uint32_t	 node;
	enum field	 field;
	struct slice	 text;		/* as written */
};

struct pattern {
	struct slice	 text;
	uint32_t	 head_n, tail_n;	/* bytes before the first and behind the last `*` */
	bool		 glob;
};

enum test_kind { TEST_PRESENT, TEST_ABSENT, TEST_TEXTS };

struct test {
	struct ref	 ref;
	enum test_kind	 kind;
	struct pattern	*v;
	uint32_t	 n;
};

struct shape { struct test *tests; uint32_t n; unsigned line; };

struct table_slot { uint64_t hash; struct slice key, value; };
struct table_glob { struct pattern key; struct slice value; };

struct table {
	struct slice		 name;
	struct table_slot	*slots;
	uint32_t		 mask;
	struct table_glob	*globs;
	uint32_t		 nglobs;
	const struct yaml_node	*yaml;
	struct table		*next;
};

enum part_kind { PART_TEXT, PART_REF, PART_OPEN, PART_CLOSE };
struct part { enum part_kind kind; struct slice text; struct ref ref; };

enum val_kind { VAL_TEXT, VAL_NUMBER_TEXT, VAL_BOOL, VAL_INT, VAL_REAL, VAL_TIME, VAL_JSON };

struct val {
	enum val_kind	 kind;
	bool		 lasting;	/* the text outlives the record's doc */
	struct slice	 text;		/* TEXT; NUMBER_TEXT; BOOL: true or false; JSON: one JSON text */
	int64_t		 number;	/* INT; TIME: ms */
	double		 real;
};

/* What a converter is given: a value of the record, or the text of a column. */
struct in {
	bool		 has_value;
	uint32_t	 at, node;	/* has_value: index in the doc, and of the trie */
	struct val	 val;		/* else */
};

struct decode_ctx;

/* Bits: what kinds of column a converter's result can fill. */
enum { GIVES_TEXT = 1, GIVES_NUMBER = 2, GIVES_TIME = 4, GIVES_JSON = 8 };

struct converter {
	const char	*name;
	bool		(*convert)(struct decode_ctx *, const struct in *, struct val *ret);
	unsigned	 gives;
};

enum source_kind { FROM_REFS, FROM_ALL, FROM_VALUE, FROM_SAY };

struct block {
	unsigned		 line;
	struct test		*tests;
	uint32_t		 ntests;
	enum source_kind	 kind;
	struct ref		*refs;
	uint32_t		 nrefs;
	struct ref		*since;		/* a time: what is wanted is the milliseconds from there */
	uint32_t		 nsince;
	struct part		*parts;
	uint32_t		 nparts;
	const struct converter	*as;		/* never NULL for FROM_REFS and FROM_ALL */
	const struct table	*table;
	struct slice		 segment;	/* of the path that the value is, the part behind this one */
	struct slice		 value, otherwise, prefix;	/* .p NULL: not given */
	enum val_kind		 value_kind, otherwise_kind;
};

struct rule {
	struct slice	 name;
	struct slice	 json_name;	/* additional: "Name": */
	int		 field;		/* -1: a member of AdditionalFields */
	const char	*words;		/* the column's only values, "a|b|c", or NULL */
	unsigned	 line;
	struct block	*blocks;
	uint32_t	 nblocks;
};

/* One block of a family's rules, in the order they are tried; `next` is the first of the next rule. */
struct trial {
	const struct rule	*rule;
	const struct block	*block;
	uint32_t		 next;
};
struct need { uint32_t family, trial; };

struct words {				/* lower-cased key words */
	struct slice	*v;
	uint32_t	 n;
	uint16_t	 from[28];	/* by what they begin with: those of class k are v[from[k]] up to v[from[k + 1]] */
};

struct withheld {
	struct slice	 name, json_name;
	struct ref	*refs;
	uint32_t	 nrefs;
	struct words	 show;		/* of what stays the keys whose texts leave all the same */
	unsigned	 line;
	bool		 released;
};

struct spine {				/* one list of `each` */
	uint32_t	 node;		/* of the elements: a child by [] */
	uint32_t	*below;		/* the nodes at and below it, cleared for each element */
	uint32_t	 nbelow;
};

struct family {
	struct slice	 name;
	const char	*name_text, *help, *file;
	unsigned	 line;
	int64_t		 order;
	size_t		 dir;
	const struct yaml_node *yaml;
	struct shape	*shapes;
	uint32_t	 nshapes;
	struct slice	 each_text;	/* the path; those that begin with a dot go on from it */
	struct spine	*each;
	uint32_t	 neach;
	struct shape	*each_when;
	uint32_t	 neach_when;
	struct ref	*ids;
	uint32_t	 nids;
	unsigned	 ids_line;
	struct table	*tables;
	struct rule	*rules;
	uint32_t	 nrules;
	struct rule	*additional;
	uint32_t	 nadditional;
	struct withheld	*withheld;
	uint32_t	 nwithheld;
	struct words	 redact, prompt_like;
	bool		 relay;		/* its records are events of another agent */
	struct rule	*columns;	/* relay: one a column, whose one block has its converter */
	uint32_t	 number;	/* its place in the decoder; of `unknown` behind the last */
	struct trial	*trials;	/* those of columns first */
	uint32_t	 nfield_trials, ntrials;
	uint64_t	*always;	/* bits: trials that wait for nothing */
};

enum envelope_kind { ENVELOPE_LIST, ENVELOPE_TEXT, ENVELOPE_OBJECT, ENVELOPE_BASE64 };

struct envelope {
	struct slice		 name;
	enum envelope_kind	 kind;
	struct ref		 ref;
	struct test		*tests;
	uint32_t		 ntests;
	bool			 has_only;
	struct pattern		*only;		/* keys that may stand beside */
	uint32_t		 nonly;
	struct slice		 head;		/* the path's first key, lower-cased */
	struct withheld		*outer;		/* its own members that go into AdditionalFields of what is in it */
	uint32_t		 nouter;
	unsigned		 line;
	const char		*file;
};

struct decoder {
	struct arena		 arena;
	struct yaml_tree	*yaml;
	struct trie		 trie;
	struct family		*families[PLAN_MAX_FAMILIES];	/* as they are asked, `unknown` not among them */
	uint32_t		 nfamilies;
	uint64_t		 always;	/* bits: families with a shape that needs nothing to be there */
	struct need		*needs;
	uint32_t		 max_trials, max_filled;
	struct family		*unknown;
	struct envelope		*envelopes[PLAN_MAX_ENVELOPES];
	uint32_t		 nenvelopes;
};

/* ---- working memory ------------------------------------------------------------ */

struct slot { uint32_t turn, at; };
#define SLOT_EMPTY	UINT32_C(0x80000000)	/* in `at`: an empty list or object */
/* The parts of one resource id: a mapping asks for several, one after another. */
struct id_memo { struct slice text; bool is_id; struct azure_id id; bool typed; struct slice type; };
struct nested { uint32_t root, start; uint8_t level; };	/* root 0: not JSON; start: the doc's length before */

/* What a text gave in a table with stars: the same operations come again and again. */
#define MEMO_TEXT_BYTES	120u
#define MEMO_SLOTS	128u
struct table_memo { const struct table *table; struct slice value; uint32_t n; char text[MEMO_TEXT_BYTES]; };

struct decode_ctx {
	const struct decoder	*plan;
	struct json_reader	*reader;
	struct json_doc		 doc;
	struct slot		*slots;		/* a node's value: slots[node].at if .turn is ours */
	uint32_t		 turn;
	uint64_t		 maybe;		/* bits: the families that the walk has met a key of */
	uint32_t		*found;		/* a counted node: how many elements */
	uint32_t		*filled;	/* the nodes with a value, in the order they came */
	uint32_t		 nfilled;
	uint64_t		*ready;		/* bits: the family's trials that may yield something */
	uint32_t		*seen;		/* a key node: the object in which it was last found */
	uint32_t		 objects;
	struct nested		*nested;
	uint32_t		 nnested, nested_cap;
	struct sha256		*sha;
	struct id_memo		 memo;
	struct table_memo	 lookups[MEMO_SLOTS];
	struct buf		 plain;		/* an unpacked record */
	size_t			 may_unpack;	/* bytes, of this record yet */
	struct buf		 packed, unpacked;	/* of an envelope's base64, before it is where it can stay */
	struct buf		 json;		/* one `as: json` value, a sentence, or what is hashed */
	struct buf		 additional;
	struct buf		 outer;		/* members from the wrappers around, each behind a comma */
	/* The record at hand. */
	const struct record	*record;
	struct slice		 bytes;		/* what may be borrowed */
	struct event_list	*out;
	struct decode_count	 count;
	const struct family	*family;
	uint32_t		 at;		/* the inner record in the doc */
	uint32_t		 max_events;
	size_t			 bytes_n, made;	/* of the record, unpacked; of its events' texts */
	bool			 short_of_memory, too_many, too_much;	/* too_much: also too_many */
	/* decode_why alone: */
	struct buf		*why;
	uint8_t			*used;
	uint32_t		 used_n;
	const struct ref	*why_ref;	/* what filled the column just now */
	const struct block	*why_block;
};

/* ---- path.c: paths and the trie ---------------------------------------------- */

/* Reads a path. Steps' keys live in the arena. NULL, or what is wrong with it. */
const char *path_parse(struct slice text, struct arena *, struct step ret[PLAN_MAX_STEPS], uint32_t *ret_n);
/* The node of a path, made if new; 0 when memory is short or the trie is full. */
uint32_t trie_add(struct trie *, const struct step *, uint32_t n);
/* Does the node stand for elements of a list: is its last step a bracket? */
bool	trie_is_element(const struct trie *, uint32_t node);
/* Child by key (any case), or 0. */
uint32_t trie_key(const struct trie *, uint32_t node, struct slice key);
void	trie_fini(struct trie *);
/* Hash of a text without case (ASCII). */
uint64_t fold_hash(uint64_t seed, struct slice);
struct slice fold_dup(struct arena *, struct slice);	/* lower-cased copy; .p NULL: no memory */
void	pattern_make(struct pattern *, struct slice text);
bool	pattern_fits(const struct pattern *, struct slice text);
/* The text's value in a table, or .p NULL. */
struct slice table_find(const struct table *, struct slice text);

/* ---- mapping.c, family.c, parts.c, rules.c: from YAML ---------------------------------------------- */

struct compiler {
	struct decoder		*d;
	struct problems		*problems;
	struct family		*family;
	const char		*key;		/* what an item of a list belongs to, for the message */
	uint64_t		 columns;	/* bits: filled by an earlier rule */
	uint32_t		 nrules;
	bool			 short_of_memory;
};

int	mapping_load(struct decoder *, const struct decoder_dir *, size_t n, struct problems *, struct err *);
int	family_compile(struct compiler *, struct family *);	/* family.c; reads f->yaml */
void	family_finish(struct compiler *, struct family *);	/* once the trie is whole */
int	family_index(struct compiler *);	/* which families a node speaks for; once they are in order */
int	envelope_compile(struct compiler *, const struct yaml_node *list);

/* All of these add problems and return -1. */
__attribute__((format(printf, 3, 4)))
int	plan_wrong(struct compiler *, const struct yaml_node *, const char *fmt, ...);
const char *plan_meant(const char *text, const char *words, char *ret, size_t n);	/* "; did you mean X?", or "" */
bool	plan_too_many(struct compiler *, const struct yaml_node *list, size_t most);
void	*plan_alloc(struct compiler *, size_t n, size_t size);		/* zeroed; NULL: short_of_memory is set */
int	plan_path(struct compiler *, const struct yaml_node *, struct slice text, uint32_t *ret_node);
int	plan_ref(struct compiler *, const struct yaml_node *, struct slice text, bool columns, struct ref *ret);
int	plan_column(struct compiler *, const struct yaml_node *, const char *name);	/* its number, or -1 */
int	plan_refs(struct compiler *, const struct yaml_node *, bool columns, struct ref **ret, uint32_t *ret_n);
int	plan_tests(struct compiler *, const struct yaml_node *map, bool columns, struct test **ret, uint32_t *ret_n);
int	plan_rule(struct compiler *, const struct yaml_node *, int field, struct rule *ret);
int	plan_table(struct compiler *, const struct yaml_node *map, struct table *ret);
int	plan_words(struct compiler *, const struct yaml_node *list, struct words *ret);
int	plan_member(struct compiler *, const struct yaml_node *, struct slice *ret_json);	/* a member's name, as "Name": */
int	plan_keys(struct compiler *, const struct yaml_node *map, const char *allowed);
bool	plan_name_fits(struct slice);		/* a member of AdditionalFields */
const char *plan_key(const struct yaml_node *);	/* the node's own key, or "" */
static inline struct slice
yaml_slice(const struct yaml_node *n)
{
	return slice_make(n->text, n->text_n);
}

/* ---- walk.c -------------------------------------------------------------------- */

/* Fills the slots of all paths from the object at `at`. */
void	walk_record(struct decode_ctx *, uint32_t at);
/* A node's value, or 0: found nothing. */
static inline uint32_t
walk_get(const struct decode_ctx *c, uint32_t node)
{
	const struct slot *s = &c->slots[node];

	return s->turn == c->turn && (s->at & SLOT_EMPTY) == 0 ? s->at : 0;
}
/* The same, but an empty list or object counts as found. */
static inline uint32_t
walk_get_any(const struct decode_ctx *c, uint32_t node)
{
	const struct slot *s = &c->slots[node];

	return s->turn == c->turn ? s->at & ~SLOT_EMPTY : 0;
}
/* The root of the JSON that the string at `at` holds, or 0. */
uint32_t walk_nested(struct decode_ctx *, uint32_t at);
/* The same of a string in base64, which may be gzip below it. */
uint32_t walk_base64(struct decode_ctx *, uint32_t at);
/* Calls `see` for each element of a family's `each`, its paths bound to it. False: there is no such list. */
bool	walk_each(struct decode_ctx *, const struct family *, void (*see)(void *arg), void *arg);
/* Nothing to tell: null, an empty text and its spellings, an empty list or object. */
bool	value_is_nothing(const struct json_doc *, uint32_t at);

/* ---- fill.c ---------------------------------------------------------------------- */

bool	fill_in(struct decode_ctx *, const struct event *, const struct ref *, struct in *ret);
bool	fill_tests(struct decode_ctx *, const struct event *, const struct test *, uint32_t n);
/* A rule's value, fit for its column. */
/* apply.c: one block of a rule; false: it yields nothing that fits. */
bool	apply_block(struct decode_ctx *, const struct event *, const struct rule *, const struct block *, struct val *ret);
/* Makes the value one of the rule's column, if it can be. */
bool	apply_fit(struct decode_ctx *, const struct rule *, struct val *);
void	additional_fill(struct decode_ctx *, struct event *);	/* additional.c */
/* The events of the record at ctx->at, by ctx->family. */
void	fill_record(struct decode_ctx *);
/* One event by ctx->family with the slots as they are; `index` is its place in the record. */
struct event *fill_event(struct decode_ctx *, uint32_t index);
void	fill_column(struct decode_ctx *, struct event *, enum field, const struct val *);
/* A text that outlives the record's doc: borrowed where it can be. */
struct slice ctx_keep(struct decode_ctx *, struct slice);
/* A string's text without escapes, a number's or literal's own; false for containers. */
bool	value_text(struct decode_ctx *, uint32_t at, struct slice *ret);
void	*ctx_alloc(struct decode_ctx *, size_t n);	/* in out->arena; NULL: short_of_memory is set */
const char *field_words(int field);			/* "a|b|c" or NULL: any text */
bool	word_among(const char *words, struct slice);

/* ---- relay.c: events of another agent ----------------------------------------------------- */

int	relay_compile(struct compiler *, struct family *);
/* Is the record at ctx->at one, by its EventId and EventClass? */
bool	relay_fits(const struct decode_ctx *);
/* All of its columns, EventId with them. */
void	relay_fill(struct decode_ctx *, struct event *);

/* ---- needs.c -------------------------------------------------------------------------- */

int	needs_index(struct compiler *);			/* once the families are in order */
/* Which of ctx->family's blocks the slots, as they are, can fill. */
void	needs_start(struct decode_ctx *);
/* The next rule that yields a value, among the trials from *at to end; *at is then behind it. NULL: none. */
const struct rule *needs_next(struct decode_ctx *, const struct event *, uint32_t *at, uint32_t end, struct val *ret);

/* ---- say.c -------------------------------------------------------------------------- */

bool	say_compose(struct decode_ctx *, const struct event *, const struct block *, struct val *ret);
int	say_compile(struct compiler *, const struct yaml_node *, struct block *);

/* ---- convert*.c ------------------------------------------------------------------------ */

const struct converter *converter_find(const char *name);
const char *converter_words(void);
const struct converter *converter_default(int field);
/* The text of any value: numbers in digits, times in RFC 3339. */
bool	val_text(struct decode_ctx *, const struct val *, struct slice *ret);
bool	val_number(const struct val *, int64_t *ret);
bool	val_real(const struct val *, double *ret);
bool	in_text(struct decode_ctx *, const struct in *, struct slice *ret, bool *ret_lasting);
bool	convert_ip(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_model_name(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_model_version(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_tactics(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_html_text(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_url(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_url_host(struct decode_ctx *, const struct in *, struct val *ret);
bool	convert_azure_scope(struct decode_ctx *, const struct in *, struct val *ret);
bool	text_lower(struct decode_ctx *, struct slice, struct slice *ret);	/* a copy only where it differs */
struct slice guid_of(struct slice);	/* without blanks and braces around it, or .p NULL */
/* Who and where have one spelling in all families (schemas/README.md): accounts and ids that are GUIDs, regions. */
void	column_spell(struct decode_ctx *, enum field, struct val *);
bool	time_parse(struct slice, int64_t *ret_ms);
bool	time_from_number(double value, int64_t whole, bool is_whole, int64_t *ret_ms);
/* Vendors' words, or .p NULL. Literals. */
struct slice severity_word(struct slice);
struct slice result_word(struct slice);
int	http_status(struct slice);		/* 0: none */

/* ---- render.c: record content as JSON ------------------------------------------------------ */

/* Compact JSON with secrets redacted, JSON in texts read; at most JSON_MAX_BYTES, else length and hash. */
void	render_json(struct decode_ctx *, uint32_t at, struct buf *out);
/* Compact JSON and nothing else done to it; past `most` bytes length and hash. */
void	render_as_is(struct decode_ctx *, uint32_t at, struct buf *out, size_t most);
/* {"length":N,"sha256":"..."} of a value's text, or of a container's bytes. */
void	render_hidden(struct decode_ctx *, uint32_t at, struct buf *out);
void	render_hidden_bytes(struct decode_ctx *, struct slice, struct buf *out);
/* Bytes that stand for a value: text without escapes, else as it was written. */
struct slice value_bytes(struct decode_ctx *, uint32_t at);
bool	key_is_secret(const struct words *more, struct slice key, const struct json_value *value);
bool	text_is_secret(struct slice);	/* a connection string, a signed address */
bool	words_hit(const struct words *, struct slice key);	/* any of them in the key, without case */
void	words_index(struct words *);		/* orders them for words_hit, once all are there */

/* ---- envelope.c ------------------------------------------------------------------------------ */

/* The wrapper that the object at `at` is (its slots are filled), and what is in it; or NULL. */
const struct envelope *envelope_find(struct decode_ctx *, uint32_t at, uint32_t *ret_inner);
/* Puts the wrapper's own members behind ctx->outer; its slots are filled. */
void	envelope_outer(struct decode_ctx *, const struct envelope *);
/* No member of a wrapper may have the name of a family's. */
void	envelope_check(struct compiler *);

/* ---- unknown.c ---------------------------------------------------------------------------------- */

void	unknown_record(struct decode_ctx *);		/* at ctx->at */
int	unknown_complete(struct compiler *);		/* makes the family where no mapping was given */
/* What may leave of the record at `at`, as members behind what is in `out`. */
void	unknown_members(struct decode_ctx *, uint32_t at, struct buf *out);
/* Of withheld content its numbers and the short texts of these keys, all else as length and hash; whole as these where there is too much. */
void	render_shown(struct decode_ctx *, uint32_t at, const struct words *show, struct buf *out);

/* ---- why.c ---------------------------------------------------------------------------------------- */

void	why_start(struct decode_ctx *);			/* a new inner record */
void	why_event(struct decode_ctx *, uint32_t index, const struct shape *);
void	why_passed(struct decode_ctx *, uint32_t index);
void	why_relayed(struct decode_ctx *, const struct rule *, const struct val *, uint32_t at);
void	why_column(struct decode_ctx *, const struct event *, const struct rule *, const struct val *);
void	why_id(struct decode_ctx *, const struct event *, const bool *found);	/* one for each of the family's ids */
void	why_withheld(struct decode_ctx *, const struct withheld *, const struct ref *, uint32_t at);
void	why_envelope(struct decode_ctx *, const struct envelope *);
void	why_outer(struct decode_ctx *, const struct envelope *, const struct withheld *, const struct ref *, uint32_t at);
void	why_left_over(struct decode_ctx *);
void	why_use(struct decode_ctx *, uint32_t at);

#endif
