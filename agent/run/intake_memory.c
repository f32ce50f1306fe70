/* intake_memory.c - the detectors' state on disk, and the way back to it after a stop of any kind. */
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
#include "run/intake_state.h"
#include "spool/spool.h"

#define STATE_FILE	"detect.state"
#define STATE_MAGIC	"AISPMDET"

/* detect.state: magic, u64 LE the newest entry seen, then detect_save's bytes (which carry a checksum). */
static int
write_state(struct intake *in, struct err *err)
{
	struct buf b;
	char path[4096], head[16];
	int rc = -1;

	buf_init(&b, SIZE_MAX / 2);
	memcpy(head, STATE_MAGIC, 8);
	put_le64(head + 8, in->seen_seq);
	buf_put(&b, head, sizeof(head));
	if (detect_save(in->detect, &b, err) == 0 &&
	    state_path(in->world.state_dir, STATE_FILE, path, sizeof(path), err) == 0)
		rc = sys_replace_file(path, b.p, b.n, err);
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

static int
read_state(struct intake *in, uint64_t *ret_seq, struct err *err)
{
	struct buf b;
	char path[4096];
	int rc = -1;

	buf_init(&b, SIZE_MAX / 2);
	if (state_path(in->world.state_dir, STATE_FILE, path, sizeof(path), err) == 0 &&
	    buf_read_file(&b, path, err) == 0) {
		if (b.n < 16 || memcmp(b.p, STATE_MAGIC, 8) != 0)
			err_set(err, ERR_LOST, "%s is not a detector state", path);
		else if (detect_restore(in->detect, slice_make(b.p + 16, b.n - 16), err) == 0) {
			*ret_seq = get_le64(b.p + 8);
			rc = 0;
		}
	}
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
		(void)detect_see(in->detect, &e, &in->findings, err);
		arena_reset(&in->arena);
		in->findings = (struct event_list){ .arena = &in->arena };
	}
	in->seen_seq = spool_durable_seq(in->world.spool);
	return 0;
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
