/* intake_memory.c - what the detectors and the posture remember: on disk, the way back to it after a stop of any kind, and for the status page. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/note.h"
#include "base/sys.h"
#include "detect/detect.h"
#include "model/wire.h"
#include "posture/posture.h"
#include "run/intake_state.h"
#include "spool/spool.h"

#define CHARTS_MS	120000	/* a page that was looked at is looked at again */
#define STATE_FILE	"memory.state"
#define STATE_MAGIC	"AISPMME1"
#define STATE_HEAD	24

/* memory.state: magic, u64 LE the newest entry seen, u64 LE bytes of detect_save, these, then those of posture_save; both carry checksums. */
static int
write_state(struct intake *in, struct err *err)
{
	struct buf b;
	char path[4096], head[STATE_HEAD] = STATE_MAGIC;
	int rc = -1;

	buf_init(&b, SIZE_MAX / 2);
	put_le64(head + 8, in->seen_seq);
	buf_put(&b, head, sizeof(head));
	if (detect_save(in->detect, &b, err) == 0) {
		put_le64(b.p + 16, b.n - STATE_HEAD);
		rc = posture_save(in->posture, &b, err);
	}
	if (rc == 0 &&
	    state_path(in->world.state_dir, STATE_FILE, path, sizeof(path), err) == 0)
		rc = sys_replace_file(path, b.p, b.n, err);
	else
		rc = -1;
	buf_fini(&b);
	return rc;
}

void
intake_save(struct intake *in)
{
	const uint64_t began_ms = clock_mono_ms();
	struct err err = { 0 };

	if (in->group.n > 0 || in->group.nmarks > 0)
		return;		/* its events were seen already: the saved state must not be ahead of the spool */
	if (in->seen_seq <= spool_reader_cursor(in->checkpoint)) {
		in->checkpoint_ms = clock_mono_ms();
		return;
	}
	if (write_state(in, &err) != 0 || spool_done(in->checkpoint, in->seen_seq, &err) != 0)
		note(INTERNAL, N_TEXT("what", "detector state"), N_TEXT("why", err.text));
	in->unsaved_bytes = 0;
	in->checkpoint_ms = clock_mono_ms();
	in->saving_ms = in->checkpoint_ms - began_ms;
}

void
intake_let_go(struct intake *in)
{
	struct err err = { 0 };

	if (spool_done(in->checkpoint, in->seen_seq, &err) != 0)
		note(INTERNAL, N_TEXT("what", "detector state"), N_TEXT("why", err.text));
	in->checkpoint_ms = clock_mono_ms();
}

/* The parts of a state file, as slices of b. */
static int
read_parts(const char *state_dir, struct buf *b, struct slice *ret_detect, struct slice *ret_posture, uint64_t *ret_seq,
    struct err *err)
{
	char path[4096];
	uint64_t n;

	if (state_path(state_dir, STATE_FILE, path, sizeof(path), err) != 0 || buf_read_file(b, path, err) != 0)
		return -1;
	if (b->n < STATE_HEAD || memcmp(b->p, STATE_MAGIC, 8) != 0 || (n = get_le64(b->p + 16)) > b->n - STATE_HEAD)
		return err_set(err, ERR_LOST, "%s is not a state of this version", path);
	*ret_detect = slice_make(b->p + STATE_HEAD, n);
	*ret_posture = slice_make(b->p + STATE_HEAD + n, b->n - STATE_HEAD - n);
	*ret_seq = get_le64(b->p + 8);
	return 0;
}

static int
read_state(struct intake *in, uint64_t *ret_seq, struct err *err)
{
	struct slice detect, posture;
	struct buf b;
	uint64_t seq;
	int rc = -1;

	buf_init(&b, SIZE_MAX / 2);
	if (read_parts(in->world.state_dir, &b, &detect, &posture, &seq, err) == 0 &&
	    posture_restore(in->posture, posture, err) == 0)	/* in this order: who counts comes back last, or not */
		rc = detect_restore(in->detect, detect, err);
	if (rc == 1)
		note(STATE_FRESH, N_TEXT("why", err->text));	/* of some detectors; the others go on */
	if (rc != -1)
		*ret_seq = seq;
	buf_fini(&b);
	return rc == -1 ? -1 : 0;
}

int
intake_posture(struct posture *posture, const char *state_dir, struct err *err)
{
	struct slice detect, saved;
	struct buf b;
	uint64_t seq;
	int rc;

	buf_init(&b, SIZE_MAX / 2);
	rc = read_parts(state_dir, &b, &detect, &saved, &seq, err);
	if (rc == 0)
		rc = posture_restore(posture, saved, err);
	buf_fini(&b);
	return rc;
}

/* Shows the detectors what came after their state was saved; what they say was said then. */
static int
replay(struct intake *in, struct err *err)
{
	struct slice entry;
	struct event e;
	int got;

	while ((got = spool_next(in->checkpoint, &entry, &in->seen_seq, err)) != 0) {
		if (got == -1 && err->kind != ERR_LOST)
			return -1;
		if (got == -1 || wire_get(entry, &e, err) != 0 || event_class_is_finding(event_text(&e, F_EventClass)))
			continue;
		posture_recall(in->posture, &e, (int64_t)clock_wall_ms());
		(void)detect_see(in->detect, &e, &in->findings, err);
		arena_reset(&in->arena);
		in->findings = (struct event_list){ .arena = &in->arena };
	}
	in->seen_seq = spool_durable_seq(in->world.spool);
	return spool_seek(in->checkpoint, in->seen_seq, err);	/* lets go of the segment: this reader may never read again */
}

int
intake_remember(struct intake *in, struct err *err)
{
	struct err why = { 0 };
	uint64_t seq = 0;
	bool fresh;

	if (spool_reader_open(&in->checkpoint, in->world.spool, INTAKE_CURSOR, &fresh, err) != 0)
		return -1;
	if (read_state(in, &seq, &why) != 0) {
		if (!fresh)
			note(STATE_FRESH, N_TEXT("why", why.text));
	} else if (spool_seek(in->checkpoint, seq, err) != 0) {
		return -1;
	}
	return replay(in, err);
}

/* ---- for the status page ------------------------------------------------------- */

/* For who asked within the last seconds. */
void
intake_make_charts(struct intake *in)
{
	pthread_mutex_lock(&in->charts_lock);
	if (in->wanted_ms != 0 && clock_mono_ms() - in->wanted_ms < CHARTS_MS)
		in->ncharts = detect_charts(in->detect, in->charts, DETECT_CHARTS);
	pthread_mutex_unlock(&in->charts_lock);
}

size_t
intake_charts(struct intake *in, struct detect_chart *ret)
{
	size_t n;

	pthread_mutex_lock(&in->charts_lock);
	in->wanted_ms = clock_mono_ms();
	n = in->ncharts;
	memcpy(ret, in->charts, n * sizeof(*ret));
	pthread_mutex_unlock(&in->charts_lock);
	return n;
}
