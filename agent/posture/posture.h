/*
 * posture.h - control 1.24 "Defender AI-SPM": zones, terms, and whether its requirements hold.
 *
 * Gives:   GovernanceZone of every event, SlaDueTime of what is unhealthy, and a report on each requirement.
 * Takes:   events one at a time, before the detectors see them, and the time of their arrival.
 * Owns:    its memory, of bounded size: accounts with their plans and what was last read of them, and open weaknesses.
 * Terms:   requirements.tbl, the control's table as data.
 * Uses:    base/ model/.     Never: any I/O, any clock.
 */
#ifndef POSTURE_POSTURE_H
#define POSTURE_POSTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/conf.h"
#include "model/event.h"

struct buf;
struct err;
struct posture;

#define ZONES	3

extern const struct conf_key posture_zone_keys[];	/* the `zones` block */
int	posture_open(struct posture **ret, const struct conf *zones, struct err *);	/* NULL: all is in zone 1 */
void	posture_close(struct posture *);		/* NULL is fine */

/*
 * Sets GovernanceZone, and of an unhealthy recommendation or an attack path SlaDueTime; remembers what the control asks about, as far as
 * the event's source is a witness: who can write a line into a log could say there that all is well.
 */
enum posture_witness {
	POSTURE_NO_WITNESS,	/* the event is stamped, and says nothing */
	POSTURE_RECORDS,	/* its records count */
	POSTURE_POLLS,		/* and its word that a dataset was read to its end: our own source, which has asked itself */
};
void	posture_see(struct posture *, struct event *, int64_t arrived_ms, enum posture_witness);
/* An event that was stamped before, after a restart; its source is not known any more and counts as POSTURE_RECORDS. */
void	posture_recall(struct posture *, const struct event *, int64_t arrived_ms);
/* The zone alone, for events that the agent makes. */
void	posture_stamp(struct posture *, struct event *);

/* All of the memory, with a checksum; restore takes any bytes: ERR_LOST when they are not that, and then it is empty. */
int	posture_save(const struct posture *, struct buf *out, struct err *);
int	posture_restore(struct posture *, struct slice saved, struct err *);

/* ---- the report ----------------------------------------------------------- */

enum posture_result { POSTURE_PASS, POSTURE_FAIL, POSTURE_UNKNOWN };
enum posture_need { POSTURE_OPTIONAL, POSTURE_IF_APPLICABLE, POSTURE_RECOMMENDED, POSTURE_REQUIRED };

/* What only the configuration knows. Names are of sinks and sources, or NULL. */
struct posture_facts {
	const char	*sentinel_sink;		/* ships findings to a workspace */
	const char	*alert_sink;		/* any sink that takes alerts and findings */
	bool		 sentinel_acked, alert_acked;	/* its far side has acknowledged events */
	bool		 detectors;		/* all three are on */
};

struct posture_row {
	const char		*requirement, *title;
	int			 zone;
	enum posture_need	 need;
	enum posture_result	 result;
	char			 evidence[320];
};

/* Calls `see` for each requirement in each zone that is in use. */
void	posture_report(const struct posture *, const struct posture_facts *, int64_t now_ms,
	    void (*see)(void *arg, const struct posture_row *), void *arg);
const char *posture_result_word(enum posture_result);
const char *posture_need_word(enum posture_need);

#endif
