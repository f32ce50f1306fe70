/*
 * access.h - inside the access detector: what one event tells (a sight), what is known of callers, and the rules over both.
 *
 * access_who.c reads an event; access_net.c its network; access_learn.c keeps what is ordinary; access_novel.c weighs what is new;
 * access_burst.c counts within minutes; access_say.c makes findings; access_state.c saves and restores; access.c holds them together.
 * Times inside are minutes since 1970 (u32), seconds (u32) and days (u16), all of the event.
 */
#ifndef DETECT_ACCESS_H
#define DETECT_ACCESS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"
#include "detect/calls.h"
#include "detect/extra.h"
#include "detect/lru.h"
#include "model/event.h"

struct buf;
struct err;

enum behaviour {
#define BEHAVIOUR(id, code, name, severity, tactics, techniques)	B_##id,
#include "detect/behaviours.tbl"
#undef BEHAVIOUR
	BEHAVIOURS
};

enum caller_kind { CALLER_UNKNOWN, CALLER_HUMAN, CALLER_SERVICE, CALLER_KEY, CALLER_SOURCE };
enum op_class { OP_OTHER, OP_INVOKE, OP_RECON, OP_SECRET, OP_CHANGE, OP_WEAKEN, OP_GRANT };
enum agent_kind { AGENT_NONE, AGENT_APP, AGENT_TOOL, AGENT_HTTP, AGENT_BROWSER, AGENT_CLI, AGENT_SDK, AGENT_CLOUD };
enum auth_kind { AUTH_UNKNOWN, AUTH_TOKEN, AUTH_KEY, AUTH_LONG_KEY };
enum signal { SIGNAL_DENIED = 1, SIGNAL_INVALID = 2, SIGNAL_FILTERED = 4, SIGNAL_KEY = 8, SIGNAL_LONG_KEY = 16, SIGNAL_TOKEN = 32,
	SIGNAL_GUARDED = 64, SIGNAL_WEAK = 128,
	SIGNAL_HIDDEN = 256 };

/* What callers are known by. */
enum dim { D_NET, D_AREA, D_COUNTRY, D_AGENT, D_AUTH, D_REGION, D_MODEL, D_OPERATION, D_RESOURCE, DIMS };

/* How long calls are: prompts in tokens and in bytes, completions in tokens. */
enum size { SIZE_PROMPT, SIZE_BYTES, SIZE_COMPLETION, SIZES };

#define JACK_SET	14		/* operations of the LLMjacking set */
#define EVIDENCE	8

/* ---- one event -------------------------------------------------------------------- */

struct place {				/* a network, and what the list of networks says of it */
	char		net[48], area[48];	/* "203.0.113.0/24", "203.0.0.0/16"; empty: unknown */
	bool		private;
	char		country[3], label[24];
	uint32_t	asn;
	float		latitude, longitude;	/* NAN: unknown */
};

struct sight {
	const struct event	*e;
	uint32_t		 sec, min;
	uint16_t		 day;
	uint32_t		 since_min;	/* what is first seen now is known from here on: its own time, but not a day before event time */
	uint8_t			 hour;
	uint64_t		 caller, source, resource;	/* keyed; 0: not told */
	enum caller_kind	 kind;		/* KEY and SOURCE; of a named caller access_kind tells */
	bool			 unnamed;	/* no actor: the keys of a resource, or an address alone */
	char			 who[256];	/* what makes the caller's key, for series names */
	uint32_t		 who_n;
	struct slice		 top;		/* the resource an operation's target belongs to */
	bool			 own;		/* a resource of the customer's, not a model that everybody calls */
	enum op_class		 op;
	uint8_t			 jack;
	enum agent_kind		 agent_kind;
	const char		*agent;		/* its family, in the cache */
	enum auth_kind		 auth;
	unsigned		 signals;
	uint32_t		 policies;	/* guardrail policies that one request broke */
	struct place		 place;
	uint64_t		 dim[DIMS];	/* keyed; 0: not told */
	bool			 success, denied, invalid, filtered;
	bool			 near;		/* its time is about event time: what lies ahead of it is a lie */
	bool			 again, block_again;	/* another record of a call already counted */
	double			 length;	/* of the prompt, in tokens or bytes; < 0: not told */
	double			 size[SIZES];	/* the same, each apart; < 0: not told */
	uint64_t		 prompt;	/* keyed hash of its digest; 0: not told */
	bool			 repeated, length_again;	/* this record came before; another record of the call told how long it was */
};

/* ---- what is known ------------------------------------------------------------------- */

struct known { uint32_t hash, last_min; uint16_t first_day, days; };

#define NETS		12
#define AREAS		8
#define COUNTRIES	4
#define AGENTS		6
#define AUTHS		4
#define REGIONS		6
#define MODELS		16
#define OPERATIONS	12
#define RESOURCES	8
#define KNOWN_ALL	(NETS + AREAS + COUNTRIES + AGENTS + AUTHS + REGIONS + MODELS + OPERATIONS + RESOURCES)

#define RING_SLOTS	16
struct ring { uint32_t sec[RING_SLOTS]; uint8_t next; };

/* Which usual peak was learnt on which day. */
enum peak { PEAK_MODELS, PEAK_REGIONS, PEAK_NETS, PEAK_DENIED, PEAK_BLOCKS, PEAK_SAME, PEAKS };

/* Calls of one model in half an hour, and how many are about as long as `length`, the length that most have. */
struct lengths { uint32_t begin_min, n, others, alike, unlike; uint64_t model; float length; };

/* Calls of ten minutes, and how many are the same as most are. */
struct same { uint32_t begin_min, hash; uint16_t n, others; };

struct size_of { float median, most; uint32_t n; };

/* A finding, for chains, and the record that told it; or what is none of ours. */
struct mark { uint32_t min; uint8_t behaviour; unsigned char id[16]; };
enum { MARK_WEAKENED = BEHAVIOURS, MARK_ALERT, MARK_KINDS };
#define MARKS		4

struct caller {
	struct lru_node	node;
	uint8_t		kind;
	uint16_t	first_day, last_day, active_days;
	uint32_t	first_min, last_min, calls;
	struct known	known[KNOWN_ALL];
	uint8_t		hour_days[24];		/* days on which this hour of the day had a call */
	uint32_t	hours_mask, mask_hour;	/* the last 24 hours; which hour bit 0 is */
	uint8_t		odd_calls;		/* within an odd hour */
	uint32_t	odd_min, gap_end_min;	/* when a long silence ended */
	uint8_t		gap_calls, gaps;
	/* usual peaks of the days before, learnt slowly: an attack does not become ordinary at once */
	uint16_t	models_peak, regions_peak, nets_peak, denied_peak, blocks_peak, same_peak;
	uint32_t	hour_peak;		/* calls of one model in an hour */
	uint16_t	peak_day[PEAKS], peak_today[PEAKS];
	uint16_t	new_areas;		/* after it was grown: how often it moved */
	struct ring	denied, invalid, blocks;
	uint32_t	invalid_model[16];
	uint32_t	denied_resource, denied_end_min;	/* of the last burst */
	uint32_t	recon[6], recon_min[6];
	uint32_t	jack_min[JACK_SET];
	struct lengths	half[2];		/* now and the half hour before */
	struct same	same;
	struct size_of	sizes[SIZES];
	uint32_t	guarded, unguarded, guard_log;	/* calls with and without a guardrail, by the log that tells it */
	float		latitude, longitude;
	uint32_t	place_min;
	uint32_t	novel_min;		/* begin of the hour that novelties are added up in */
	float		novel_points;
	uint32_t	novel_signs;
	uint32_t	said_min[BEHAVIOURS];	/* last hit of an episode; 0: none */
	struct mark	marks[MARKS];
	struct { unsigned char id[16]; uint32_t min; } evidence[EVIDENCE];
	uint8_t		evidence_next;
};

struct fact {				/* of all callers together: one network, agent, model ... */
	struct lru_node	node;
	uint32_t	who[6];
	uint8_t		n, dim;
	uint16_t	first_day, last_day, taint_day;
	uint32_t	mover_min, movers;	/* grown callers that came here within hours */
};

struct resource {
	struct lru_node	node;
	uint16_t	first_day, last_day;
	uint32_t	calls, auth_calls[4];
	uint32_t	secret_min;		/* when a key was last read, made or renewed */
	char		secret_by[64];
	unsigned char	secret_id[16];		/* the record that told it */
	struct known	key_net[NETS];		/* networks that used its keys */
	struct mark	marks[MARKS];
};

struct rate { double moves, days; };	/* of grown callers of a kind: how often one turns up in a new area */

#define CALLS_SEEN	8192
#define OPS_SEEN	1024
struct op_seen { uint64_t key; uint8_t op, jack; };
#define AGENTS_SEEN	1024
struct agent_seen { uint64_t key, dim; uint8_t kind; char family[48]; };

struct networks;

struct access {
	/* settings */
	uint32_t	learning_min, dormant_min;
	double		loud;
	struct networks	*networks;		/* NULL: no list */
	/* state */
	unsigned char	key[16];		/* of all hashes, saved with them */
	struct event_time time;
	uint32_t	first_min;		/* of the estate */
	struct lru	callers, facts, resources;
	struct rate	rates[CALLER_SOURCE + 1];
	struct calls	calls;			/* which records tell of one */
	struct op_seen	*ops;			/* caches of access_operations.tbl and access_agents.tbl; not saved */
	struct agent_seen *agents;
	uint64_t	seen, findings, late;
};

/* ---- access_net.c ---------------------------------------------------------------------- */
int	networks_open(struct networks **ret, const char *path, struct err *);
void	networks_close(struct networks *);
/* Prefix, area and what the list knows of a textual address, also of a masked one ("198.51.100.***"). False: no address. */
bool	access_place(const struct networks *, struct slice address, struct place *ret);
/* The middle of a country by its two letters; false: unknown. */
bool	country_middle(const char country[3], float *ret_latitude, float *ret_longitude);
double	access_distance_km(float lat1, float lon1, float lat2, float lon2);

/* ---- access_who.c ------------------------------------------------------------------------ */
uint64_t access_hash(const struct access *, const char *what, struct slice);
enum caller_kind access_kind(const struct event *);
/* The key of the resource that an event is about; 0: none. */
uint64_t access_resource(const struct access *, const struct event *);
/* False: the event tells of nobody's access. */
bool	access_sight(struct access *, const struct event *, struct sight *ret);

/* ---- access_learn.c ------------------------------------------------------------------------ */
struct known *known_of(struct caller *, enum dim, unsigned *ret_n);
const struct known *known_find(const struct known *, unsigned n, uint64_t hash);
/* How many of a dimension were seen in the `span` minutes up to now. */
unsigned known_recent(struct caller *, enum dim, uint32_t min, uint32_t span);
/* Grown: old enough and active enough that something new means something. */
bool	caller_is_grown(const struct access *, const struct caller *);
/* One's own, used for more than a day: who comes to it now is new to it, not only to us. */
bool	resource_is_known(const struct resource *, const struct sight *);
bool	estate_is_grown(const struct access *, uint32_t min);
/* How many callers share this; `common`: enough of them, for long enough, that it is ordinary here. */
unsigned fact_callers(const struct access *, enum dim, uint64_t hash);
unsigned fact_others(const struct access *, enum dim, const struct sight *);	/* the sight's own caller left out */
bool	fact_is_common(const struct access *, enum dim, uint64_t hash, uint16_t day);
void	fact_taint(struct access *, enum dim, uint64_t hash, uint16_t day);
/* A grown caller came to a new area: true when enough others just did, so that it is a move of many. */
bool	fact_many_move(struct access *, uint64_t hash, uint32_t min);
struct caller *learn_caller(struct access *, const struct sight *);
struct resource *learn_resource(struct access *, const struct sight *);
/* After the rules: what this event adds to what is ordinary. */
void	learn_sight(struct access *, struct caller *, struct resource *, const struct sight *);
/* Learns a peak when its day is over: as it was while young, slowly later. */
void	learn_peak(const struct access *, struct caller *, uint16_t *peak, enum peak, unsigned n, uint16_t day);
/* What other records, of times that have not come, have left in a caller and in what a sight is about: back to the sight's own time. */
void	heal_caller(struct caller *, const struct sight *);
void	heal_resource(struct resource *, const struct sight *);
void	heal_fact(struct fact *, const struct sight *);
void	keep_evidence(struct caller *, const struct sight *);

/* ---- rules ------------------------------------------------------------------------------------ */

struct hit {
	enum behaviour	behaviour;
	double		observed, baseline, points;
	uint32_t	count;			/* calls that it stands for; 0: one */
	int64_t		start_ms;
	const char	*series;		/* beside the caller: NULL, or what tells two episodes apart */
	const char	*severity;		/* NULL: the table's */
	uint32_t	signs;			/* novelties that were added up */
	uint32_t	told;			/* marks (1 << kind) that the reason tells of already */
	const char	*by;			/* who it was, where the call names nobody; or NULL */
	unsigned char	more[3][16];		/* ids of records that belong to it */
	unsigned	nmore;
	char		reason[640];
};

struct rules {
	struct access		*a;
	struct caller		*c;
	struct resource		*r;
	const struct sight	*s;
	struct event_list	*say;
	struct err		*err;
	int			 rc;
};

/* Novelties, as bits of `signs`; access_novel.c has their words. */
void	rule_novelty(struct rules *);
/* access_burst.c: denials, probing, listing; of one address over several callers. */
void	rule_doors(struct rules *);
void	rule_source(struct rules *, struct caller *source);
/* access_use.c: breadth, extraction, guardrails; after learn_sight. */
void	rule_use(struct rules *);
void	rule_blocks(struct rules *);
/* access_size.c: the same again and again, one beyond all before; of calls whose length no other record told. */
void	rule_size(struct rules *);
void	rule_extraction(struct rules *);
void	rule_secrets(struct rules *);		/* before learn_sight */

/* So many, or more than `times` its usual peak; at other sensitivities less or more. */
unsigned rule_least(const struct rules *, unsigned least, unsigned peak, unsigned times);
void	ring_put(struct ring *, uint32_t sec);
/* How many lie within `span` seconds before `sec`, it included (of a late record: after it); *ret_first: the first of them. */
unsigned ring_count(const struct ring *, uint32_t sec, uint32_t span, uint32_t *ret_first);
/* access_say.c: says it unless its episode is still open. */
void	access_hit(struct rules *, struct hit *);
/* Keeps for a day that this happened on the resource: for chains. */
void	access_mark(struct mark marks[MARKS], unsigned behaviour, uint32_t min, const struct event *);
/* The mark of this kind within a day; NULL: none. */
const struct mark *access_marked(const struct mark marks[MARKS], unsigned behaviour, uint32_t min);
/* access_grant.c: roles just granted, and what was weakened, for those who come then. */
void	note_grants(struct rules *);
const struct resource *granted_to(const struct rules *);
/* The words of the novelties in `signs`, for AdditionalFields. */
void	put_signs(struct buf *, uint32_t signs);

/* ---- access_state.c ---------------------------------------------------------------------------- */
int	access_save(void *state, struct buf *out, struct err *);
int	access_restore(void *state, struct slice saved, struct err *);

#endif
