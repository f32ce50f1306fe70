/*
 * detect.h - watch events go by, and say something now and then.
 *
 * Gives:   one `struct detector_kind` and one `KIND_keys`, its settings, per row of detectors.tbl, and the frame that runs them.
 * Takes:   one event at a time, and the time from the event, never the clock.
 * Says:    a new event of a finding class, with EventId from detector, series, episode start and phase.
 * Owns:    its state, of bounded size (max_series); saved and restored as bytes.
 * Exact:   the same events in the same order give the same findings, across save and restore.
 * Uses:    base/ model/.     Never: any I/O after open, any clock, any other detector.
 */
#ifndef DETECT_DETECT_H
#define DETECT_DETECT_H

#include <stddef.h>
#include <stdint.h>
#include "base/conf.h"
#include "model/event.h"

struct arena;
struct buf;
struct err;
struct stat_block;

#define DETECT_CHARTS	6
#define DETECT_POINTS	180

/* One of the busiest series, its last windows: what was seen, and the usual range. */
struct detect_point { float value, low, high; bool alert, known; };
struct detect_chart {
	char			name[192];
	int64_t			first_ms;		/* begin of the first window */
	uint32_t		window_ms;
	struct detect_point	points[DETECT_POINTS];
};

struct detector_kind {
	const char		*name;
	uint32_t		 state_version;	/* of save()'s bytes */

	int	(*open)(void **ret_state, const struct conf *, struct err *);
	void	(*close)(void *state);
	/* -1 ERR_AGAIN when memory is short: then the event was not seen, and nothing said. */
	int	(*see)(void *state, const struct event *, struct event_list *say, struct err *);
	int	(*save)(void *state, struct buf *out, struct err *);
	int	(*restore)(void *state, struct slice saved, struct err *);	/* ERR_LOST: start afresh */
	void	(*count)(void *state, struct stat_block *);
	size_t	(*charts)(void *state, struct detect_chart *ret, size_t max);	/* or NULL: has none */
};

#define DETECTOR(kind, help)	extern const struct detector_kind detector_kind_##kind; extern const struct conf_key kind##_keys[];
#include "detect/detectors.tbl"
#undef DETECTOR

/* All enabled detectors of a configuration. */
struct detect;
int	detect_open(struct detect **ret, const struct conf *detectors, struct err *);
/* One alone by its name, enabled or not: what backtest shows. */
int	detect_open_one(struct detect **ret, const struct conf *detectors, const char *name, struct err *);
void	detect_close(struct detect *);		/* NULL is fine */
/* Shows one event to each detector; appends findings to `say`. Findings are not shown to detectors. */
int	detect_see(struct detect *, const struct event *, struct event_list *say, struct err *);
/* State of all detectors, with a checksum; restore takes any bytes: -1 ERR_LOST when they are not that, and then nothing of them is taken; 1 when a
 * detector's part is of another version or does not fit its settings: that one stays as it was, err names it and why, the others are restored. The
 * settings of open are read again. */
int	detect_save(struct detect *, struct buf *out, struct err *);
int	detect_restore(struct detect *, struct slice saved, struct err *);
size_t	detect_charts(struct detect *, struct detect_chart *ret, size_t max);	/* how many */
void	detect_count(struct detect *);		/* updates the stat blocks */
extern const struct conf_key detect_keys[];	/* the `detectors` block */

/* EventId of a finding: 32 hex digits into ret (33 bytes); -1 ERR_AGAIN when memory is short. */
int	detect_finding_id(const char *detector, struct slice series, int64_t episode_start_ms,
	    const char *phase, char ret[33], struct err *);
/*
 * Cloud, resource, model, actor, address, operation and link of the event that a finding is about, where the finding has none yet; kept in the arena.
 * What strangers write may be 64 KB a column: a finding has at most DETECT_COLUMN_BYTES of each, on a character, and TruncatedFields names what was cut.
 */
#define DETECT_COLUMN_BYTES	2048
void	detect_copy_columns(struct event *finding, const struct event *, struct arena *);
/* TruncatedFields names this column too. */
void	detect_mark_cut(struct event *finding, enum field, struct arena *);

#endif
