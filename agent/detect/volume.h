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
#include "detect/score.h"
#include "model/event.h"

#define METRICS		4
#define OPEN_WINDOWS	4		/* the newest, and three that late events may still reach */
#define EVIDENCE	8

enum metric { M_REQUESTS, M_PROMPT_TOKENS, M_COMPLETION_TOKENS, M_REFUSED };
enum entity_kind { E_RESOURCE, E_DEPLOYMENT, E_CALLER };

extern const char *const metric_names[METRICS];
extern const char *const entity_kinds[3];

/* Columns that say who an entity is, kept from its last event; each a text in one piece of memory. */
enum who { W_PROVIDER, W_ACCOUNT, W_REGION, W_RESOURCE, W_RESOURCE_NAME, W_RESOURCE_TYPE, W_DEPLOYMENT, W_MODEL, W_ACTOR_ID,
	W_ACTOR_NAME, W_ACTOR_TYPE, W_APP, W_ADDRESS, WHO_COUNT };

struct entity {
	uint64_t	hash;			/* keyed; 0: free slot */
	uint32_t	root;			/* its resource's entity, by slot; itself for a resource */
	uint32_t	next_free;
	uint8_t		kind;
	uint8_t		windows_seen;		/* up to 255: how many windows had anything */
	int64_t		next_window;		/* first one not yet scored */
	int64_t		last_window;		/* last one that had anything */
	float		sum[OPEN_WINDOWS][METRICS];
	struct score	*score[METRICS];	/* made when the metric first matters */
	char		*who;			/* WHO_COUNT texts, each ended by a NUL */
	uint32_t	who_bytes;
	char		evidence[EVIDENCE][33];	/* EventIds of this entity's latest events, round */
	uint8_t		evidence_next;
	uint32_t	episode;		/* 1 + its place in the list of open episodes, of a root */
};

struct surprise {			/* one series of one closed window */
	uint32_t		entity;
	enum metric		metric;
	double			observed;
	struct score_says	says;
};

#define EPISODE_ALSO	4

struct episode {
	uint32_t	root, entity;		/* whose, and which series led */
	enum metric	metric;
	int64_t		start_window, last_window, last_said_window;
	double		peak, peak_said, total, expected, usual_low, usual_high, score;
	uint32_t	updates, quiet;
	struct { uint32_t entity; enum metric metric; double observed; } also[EPISODE_ALSO];
	uint32_t	nalso;
};

struct buf;

struct volume {
	/* settings */
	uint32_t	window_ms, lateness, max_series;
	double		strict, min_count;
	/* time */
	int64_t		newest;			/* newest window seen and believed */
	int64_t		closed;			/* first window still open */
	uint32_t	believed;		/* events that agree with `newest` at the start */
	int64_t		suspect_ms;		/* a time far ahead, and how many agree with it */
	uint32_t	suspects;
	/* table */
	struct entity	*entities;
	uint32_t	nentities, max_entities, free_slot, nscores;
	uint32_t	*index;			/* hash to slot + 1, open addressing */
	uint32_t	index_mask;
	uint32_t	*touched[OPEN_WINDOWS];	/* slots with something in that window, in order of first sight */
	uint32_t	ntouched[OPEN_WINDOWS];
	struct call	*calls;			/* recent correlation ids */
	/* findings */
	struct episode	*episodes;
	uint32_t	nepisodes;
	struct surprise	*surprises;
	uint32_t	nsurprises;
	/* counts */
	uint64_t	seen, findings, evicted, late;
};

#define MAX_EPISODES	1024
#define MAX_SURPRISES	4096

/* ---- table.c: who is counted ---- */
struct err;
int	table_open(struct volume *, struct err *);
void	table_close(struct volume *);
/* The slot of an entity, made if need be (the one quiet for longest gives way); UINT32_MAX when memory is short. */
uint32_t entity_find(struct volume *, enum entity_kind, uint32_t root, struct slice key, const struct event *);
/* The series of a metric, made if need be; NULL while there is no room for more. */
struct score *table_score(struct volume *, uint32_t slot, enum metric);
struct slice entity_who(const struct entity *, enum who);
void	entity_evidence(struct entity *, struct slice event_id);
int	table_save(struct volume *, struct buf *out);
int	table_restore(struct volume *, struct slice *in, struct err *);
/* "deployment:RESOURCE/deployments/D:requests" into out. */
void	series_name(const struct volume *, uint32_t slot, enum metric, struct buf *out);

/* ---- episode.c ---- */
/* What the closed window says: begins, updates and ends episodes. -1 ERR_AGAIN when a finding had no memory. */
int	episode_window(struct volume *, int64_t window, struct event_list *say, struct err *);
/* A slot is about to be used for another entity. */
void	episode_forget(struct volume *, uint32_t slot);

#endif
