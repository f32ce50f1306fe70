/*
 * volume.h - inside the volume detector: the table of who is counted, and the episodes found.
 *
 * An entity is a resource, a deployment of one, or a caller of one; it has up to four series, one a metric.
 * volume.c counts calls into windows and closes them; episode.c makes findings of what is surprising.
 */
#ifndef DETECT_VOLUME_H
#define DETECT_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include "base/slice.h"
#include "detect/calls.h"
#include "detect/detect.h"
#include "detect/score.h"
#include "model/event.h"

#define METRICS		4
#define OPEN_WINDOWS	4		/* the newest, and three that late events may still reach */
#define EVIDENCE	8
#define EVIDENCE_BYTES	16		/* an EventId */
#define DARK_SPANS	16
#define NO_SLOT		UINT32_MAX
#define SILENCE_MISSED	30		/* calls that must be missing before silence is said */

enum metric { M_REQUESTS, M_PROMPT_TOKENS, M_COMPLETION_TOKENS, M_REFUSED };
enum entity_kind { E_RESOURCE, E_DEPLOYMENT, E_CALLER, E_TOTAL };

extern const char *const metric_names[METRICS];
extern const char *const entity_kinds[4];

/* Columns that say who an entity is, kept from its last event; each a text in one piece of memory. */
enum who { W_PROVIDER, W_ACCOUNT, W_REGION, W_RESOURCE, W_RESOURCE_NAME, W_RESOURCE_TYPE, W_DEPLOYMENT, W_MODEL, W_ACTOR_ID,
	W_ACTOR_NAME, W_ACTOR_TYPE, W_APP, W_ADDRESS, WHO_COUNT };
#define WHO_BYTES	512		/* of one text */

struct entity {
	uint64_t	hash;			/* keyed; 0: free slot */
	uint32_t	root;			/* its resource's entity, by slot; itself for a resource and for the total */
	uint8_t		kind;
	uint8_t		silent;			/* a silence of it was said and goes on */
	uint16_t	windows_seen;		/* up to 65535: how many windows had anything */
	uint16_t	episodes;		/* open ones that it leads, or whose root it is */
	uint16_t	who_bytes;
	uint32_t	children;		/* deployments and callers of a resource: it stays while it has any */
	int64_t		first_window;
	int64_t		next_window;		/* first one not yet scored */
	int64_t		last_window;		/* last one that had anything */
	int64_t		heard_window;		/* last closed one that had anything, of a resource; -1: none */
	float		sum[OPEN_WINDOWS][METRICS];
	float		was[METRICS];		/* amounts of the last closed window, next_window - 1 */
	float		missed;			/* calls that the silence since heard_window left out, as usual goes */
	float		longest;		/* windows of the longest earlier silence, slowly forgotten */
	struct score	*score[METRICS];	/* made when the metric first matters */
	char		*who;			/* WHO_COUNT texts, each ended by a NUL */
	unsigned char	evidence[EVIDENCE][EVIDENCE_BYTES];	/* EventIds of its latest events, round */
	uint32_t	nevidence;
};

#define CALLS		32768		/* remembered, and as many records */

/* An event far ahead of the clock, counted once the clock is believed to be there: whose series it belongs to, and what it adds. */
struct held {
	int64_t		t_ms;
	double		amount[METRICS];
	uint32_t	slot[4];	/* of the total, resource, deployment and caller; NO_SLOT: none, or given to another since */
	uint32_t	votes;		/* events that agree with its time, itself included */
	uint8_t		contested;	/* an earlier time came since */
	uint8_t		goes_on;	/* one an hour later still came since */
	uint8_t		spare[2];
	char		id[EVIDENCE_BYTES * 2];
};
#define HELD		32
#define RECENT		16

struct surprise {			/* one series of one closed window */
	uint32_t		entity;
	enum metric		metric;
	double			observed;
	struct score_says	says;
	double			usual_low, usual_high;
	double			share;		/* of refused calls in all of that window */
};

#define EPISODE_ALSO	8
#define EPISODE_CALLERS	5

/* Why an episode ends: as usual again; it went on for so long that it is the usual; others needed its place. */
enum over { OVER_USUAL, OVER_LONG, OVER_ROOM };

struct episode {
	uint32_t	root, entity;		/* whose, and which series led */
	enum metric	metric;
	int64_t		start_window, last_window, last_said_window;
	double		peak, peak_said, total, expected, usual_low, usual_high, score, share;
	double		root_sum[METRICS];	/* of the resource since the start, over root_windows */
	uint32_t	root_windows, updates, quiet;
	enum over	over;
	struct { uint32_t entity; enum metric metric; double observed; } also[EPISODE_ALSO];
	uint32_t	nalso;
	struct { uint32_t entity; double observed; } caller[EPISODE_CALLERS];	/* of the resource in the window of the peak, most first */
	uint32_t	ncallers;
	double		callers_of;		/* what the resource had in it */
};

/* chart.c: the last windows of a busy series. */
struct chart_point { int64_t window; float value, low, high; bool alert; };
struct chart {
	uint32_t	slot;
	uint64_t	hash;			/* of the entity at that slot; 0: free */
	float		weight;
	int64_t		newest;
	struct chart_point points[DETECT_POINTS];
};

/* Windows [from, to). */
struct span { int64_t from, to; };

struct buf;

struct volume {
	/* settings */
	uint32_t	window_ms, lateness, max_series;
	double		strict, min_count;
	/* time */
	int64_t		newest;			/* newest window seen and believed */
	struct span	dark[DARK_SPANS];	/* windows without any event, though many were usual: nothing is learnt from them */
	uint32_t	ndark;			/* how many there were; the newest are kept, round */
	int64_t		closed;			/* first window still open */
	uint32_t	believed;		/* events that agree with `newest` at the start */
	struct held	held[HELD];		/* what lies far ahead, by time */
	uint32_t	nheld, nrecent;
	int64_t		recent[RECENT];		/* times of the last events that were in time, round */
	/* table */
	struct entity	*entities;
	uint32_t	nentities, max_entities, nscores;
	size_t		who_bytes;		/* of all entities' texts */
	uint32_t	hand;			/* where the next search for room begins */
	uint32_t	*roots, nroots;		/* slots of resources, as they came */
	uint32_t	total;			/* slot of the entity of everything; NO_SLOT: none yet */
	uint32_t	*index;			/* hash to slot + 1, open addressing */
	uint32_t	index_mask;
	uint32_t	*touched[OPEN_WINDOWS];	/* slots with something in that window, in order of first sight */
	uint32_t	ntouched[OPEN_WINDOWS];
	const uint32_t	*had;			/* while the findings of a closed window are said: who had anything in it */
	uint32_t	nhad;
	unsigned char	key[16];		/* of the hashes in `calls`, saved with them */
	struct calls	calls;			/* which records tell of one */
	/* findings */
	struct episode	*episodes;
	uint32_t	nepisodes;
	struct surprise	*surprises;
	uint32_t	nsurprises;
	struct chart	charts[DETECT_CHARTS];
	/* counts */
	uint64_t	seen, findings, evicted, late, refused, dropped;
};

#define TOKENS_A_CALL	250		/* tokens weigh as much less than requests */
#define MAX_EPISODES	1024
#define MAX_SURPRISES	4096

/* ---- chart.c ---- */
void	chart_row(struct volume *, uint32_t slot, int64_t window, double observed, const struct score *, const struct score_says *);
size_t	volume_charts(void *state, struct detect_chart *ret, size_t max);

/* ---- table.c: who is counted ---- */
struct err;
int	table_open(struct volume *, struct err *);
void	table_close(struct volume *);
/*
 * The slot of an entity, made if need be; NO_SLOT when there is no room for a newcomer or memory is short. Room comes from who was quiet
 * for longest: newcomers give way first, established ones only after FORGOTTEN_MS of silence, so that no flood of names drives them out.
 */
uint32_t entity_find(struct volume *, enum entity_kind, uint32_t root, struct slice key, const struct event *);
/* The series of a metric, made if need be, in the same way; a new one takes noise and rhythm of its kin. NULL: no room. */
struct score *table_score(struct volume *, uint32_t slot, enum metric, int64_t t_ms, double x);
bool	entity_is_established(const struct volume *, const struct entity *);
/* One of an entity's texts, at most WHO_BYTES of it; of a deployment or caller its resource's where it has none of its own. */
struct slice entity_who(const struct volume *, const struct entity *, enum who);
void	entity_evidence(struct entity *, struct slice event_id);
/* "deployment:RESOURCE/deployments/D:requests" into out. */
void	series_name(const struct volume *, uint32_t slot, enum metric, struct buf *out);

/* ---- inside the table, for saving ---- */
uint64_t entity_hash(const struct volume *, const struct entity *);
void	index_put(struct volume *, uint32_t slot);

/* ---- volume_state.c: saved and restored exactly ---- */
int	volume_save(void *state, struct buf *out, struct err *);
int	volume_restore(void *state, struct slice saved, struct err *);

/* ---- silence.c ---- */
/* Windows [from, to) had no event at all. */
void	silence_dark(struct volume *, int64_t from, int64_t to);
/* How many of the windows [from, to) were dark. */
int64_t	silence_dark_in(const struct volume *, int64_t from, int64_t to);
/* What of the closed window is silence: says when a resource that always speaks has stopped, and when it is back. */
int	silence_window(struct volume *, int64_t window, struct event_list *say, struct err *err);

/* ---- episode.c ---- */
/* What the closed window says: begins, updates and ends episodes. -1 ERR_AGAIN when a finding had no memory. */
int	episode_window(struct volume *, int64_t window, struct event_list *say, struct err *err);
/* ---- volume.c ---- */
/* A slot is about to be used for another entity: what is held for it is not counted there. */
void	volume_forget(struct volume *, uint32_t slot);

/* The same for the episodes. */
void	episode_forget(struct volume *, uint32_t slot);

/* ---- finding.c: what is found, as an event and in words ---- */
/* `phase` for people ("update"), `id_phase` for the id ("update2"). */
int	finding_spike(struct volume *, const struct episode *, const char *phase, const char *id_phase, double observed,
	    struct event_list *say, struct err *);
int	finding_silence(struct volume *, uint32_t slot, const char *phase, int64_t from_window, int64_t window, double missed,
	    struct event_list *say, struct err *);

#endif
