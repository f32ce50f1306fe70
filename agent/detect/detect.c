/* detect.c - the frame: the table of detectors, their settings, their memory. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/detect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/stat.h"
#include "detect/suppress.h"

static const struct detector_kind *const kinds[] = {
#define DETECTOR(kind, help)	&detector_kind_##kind,
#include "detect/detectors.tbl"
#undef DETECTOR
};
#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

struct detect {
	struct {
		void			*state;		/* NULL: switched off */
		const struct conf	*conf;
		struct stat_block	*stats;
	} of[KINDS];
	struct suppress	*suppress;			/* NULL: no rules */
};

const struct conf_key detect_keys[] = {
#define DETECTOR(kind, text)	{ .name = #kind, .type = CONF_BLOCK, .keys = kind##_keys, .help = text },
#include "detect/detectors.tbl"
#undef DETECTOR
	{ .name = "suppress", .type = CONF_BLOCKS, .keys = suppress_keys, .wrong = suppress_wrong,
	  .help = "findings not to be told for a while; status shows how many" },
	CONF_END
};

static int
open_kinds(struct detect **ret, const struct conf *conf, const char *only, struct err *err)
{
	struct detect *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return err_set(err, ERR_AGAIN, "no memory for detectors");
	if (suppress_open(&d->suppress, conf, err) != 0) {
		detect_close(d);
		return -1;
	}
	for (size_t i = 0; i < KINDS; i++) {
		const struct conf *of = conf_block(conf, kinds[i]->name);

		if (only != NULL ? strcmp(only, kinds[i]->name) != 0 : !conf_bool(of, "enabled"))
			continue;
		d->of[i].conf = of;
		d->of[i].stats = stat_make(STAT_DETECTOR, kinds[i]->name, kinds[i]->name);
		if (d->of[i].stats == NULL || kinds[i]->open(&d->of[i].state, of, err) != 0) {
			if (d->of[i].stats == NULL)
				err_set(err, ERR_AGAIN, "no memory for detectors");
			detect_close(d);
			return -1;
		}
	}
	*ret = d;
	return 0;
}

int
detect_open(struct detect **ret, const struct conf *conf, struct err *err)
{
	return open_kinds(ret, conf, NULL, err);
}

int
detect_open_one(struct detect **ret, const struct conf *conf, const char *name, struct err *err)
{
	return open_kinds(ret, conf, name, err);
}

void
detect_close(struct detect *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < KINDS; i++) {
		if (d->of[i].state != NULL)
			kinds[i]->close(d->of[i].state);
		stat_drop(d->of[i].stats);
	}
	suppress_close(d->suppress);
	free(d);
}

int
detect_see(struct detect *d, const struct event *e, struct event_list *say, struct err *err)
{
	int rc = 0;

	if (event_class_is_finding(event_text(e, F_EventClass)))
		return 0;
	for (size_t i = 0; i < KINDS; i++) {
		size_t from = say->n, gone;

		if (d->of[i].state == NULL)
			continue;
		if (kinds[i]->see(d->of[i].state, e, say, err) != 0)
			rc = -1;
		gone = say->n > from ? suppress_filter(d->suppress, say, from) : 0;
		if (gone > 0)
			stat_add(d->of[i].stats, STAT_DETECTOR_SUPPRESSED, gone);
	}
	return rc;
}

size_t
detect_charts(struct detect *d, struct detect_chart *ret, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < KINDS; i++)
		if (d->of[i].state != NULL && kinds[i]->charts != NULL)
			n += kinds[i]->charts(d->of[i].state, ret + n, max - n);
	return n;
}

void
detect_count(struct detect *d)
{
	for (size_t i = 0; i < KINDS; i++)
		if (d->of[i].state != NULL)
			kinds[i]->count(d->of[i].state, d->of[i].stats);
}

/*
 * Saved form, little-endian: "AISPMDT1", u32 sections; each: u32 name length, name, u32 version, u64 length, bytes; last a u32
 * CRC-32 over everything before it.
 */
#define MAGIC	"AISPMDT1"

int
detect_save(struct detect *d, struct buf *out, struct err *err)
{
	size_t begin = out->n;
	uint32_t n = 0;

	buf_put(out, MAGIC, 8);
	for (size_t i = 0; i < KINDS; i++)
		n += d->of[i].state != NULL;
	buf_put_le32(out, n);
	for (size_t i = 0; i < KINDS; i++) {
		size_t at;

		if (d->of[i].state == NULL)
			continue;
		buf_put_le32(out, (uint32_t)strlen(kinds[i]->name));
		buf_puts(out, kinds[i]->name);
		buf_put_le32(out, kinds[i]->state_version);
		buf_put_le64(out, 0);
		at = out->n;
		if (out->failed || kinds[i]->save(d->of[i].state, out, err) != 0 || out->failed)
			return err_set(err, ERR_AGAIN, "no memory to save the state of detector %s", kinds[i]->name);
		put_le64(out->p + at - 8, out->n - at);
	}
	buf_put_le32(out, crc32_ieee(0, out->p + begin, out->n - begin));
	return out->failed ? err_set(err, ERR_AGAIN, "no memory to save the detectors' state") : 0;
}

struct section {
	struct slice	name, bytes;
	uint32_t	version;
};

static bool
take_section(struct slice *in, struct section *ret)
{
	uint32_t name_n;
	uint64_t n;

	if (in->n < 4 || (name_n = get_le32(in->p)) > in->n - 4 || in->n - 4 - name_n < 12)
		return false;
	ret->name = slice_make(in->p + 4, name_n);
	ret->version = get_le32(in->p + 4 + name_n);
	n = get_le64(in->p + 8 + name_n);
	if (n > in->n - 16 - name_n)
		return false;
	ret->bytes = slice_make(in->p + 16 + name_n, (size_t)n);
	*in = slice_make(in->p + 16 + name_n + n, in->n - 16 - name_n - (size_t)n);
	return true;
}

/* Into a state of its own. 1: there is nothing to take over, as err says; this detector alone begins anew. */
static int
restore_kind(struct detect *d, size_t i, const struct section *s, void **fresh, struct err *err)
{
	struct err why = { .text = "" };

	if (s->version != kinds[i]->state_version) {
		err_set(err, ERR_LOST, "the state of detector %s is of version %u, this agent's is %u", kinds[i]->name, s->version,
		    kinds[i]->state_version);
		return 1;
	}
	if (kinds[i]->open(fresh, d->of[i].conf, err) != 0)
		return -1;
	if (kinds[i]->restore(*fresh, s->bytes, &why) == 0)
		return 0;
	kinds[i]->close(*fresh);
	*fresh = NULL;
	err_set(err, ERR_LOST, "detector %s: %s", kinds[i]->name, why.text);
	return 1;
}

/* Appends to what err says of the detectors that begin anew. */
static void
add_reason(struct err *err, const struct err *why)
{
	const size_t n = strlen(err->text);

	err->kind = why->kind;
	snprintf(err->text + n, sizeof(err->text) - n, "%s%s", n > 0 ? "; " : "", why->text);
}

static int
restore_section(struct detect *d, const struct section *s, void *fresh[KINDS], struct err *err)
{
	for (size_t i = 0; i < KINDS; i++) {
		struct err why = { .text = "" };
		int rc;

		if (!slice_eq(s->name, slice_of(kinds[i]->name)) || d->of[i].state == NULL)
			continue;
		if (fresh[i] != NULL)
			return err_set(err, ERR_LOST, "the detectors' state has detector %s twice", kinds[i]->name);
		rc = restore_kind(d, i, s, &fresh[i], &why);
		if (rc == 1)
			add_reason(err, &why);
		else if (rc == -1)
			*err = why;
		return rc;
	}
	return 0;	/* a detector that is off, or of another version of the agent */
}

static int
restore_all(struct detect *d, struct slice saved, void *fresh[KINDS], struct err *err)
{
	struct slice in = slice_make(saved.p + 12, saved.n - 16);
	uint32_t n = get_le32(saved.p + 8);
	struct section s;
	int anew = 0;

	for (uint32_t i = 0; i < n; i++) {
		int rc;

		if (!take_section(&in, &s))
			return err_set(err, ERR_LOST, "the detectors' state is not whole");
		if ((rc = restore_section(d, &s, fresh, err)) == -1)
			return -1;
		anew |= rc;
	}
	return in.n == 0 ? anew : err_set(err, ERR_LOST, "the detectors' state is not whole");
}

int
detect_restore(struct detect *d, struct slice saved, struct err *err)
{
	void *fresh[KINDS] = { NULL };
	int rc;

	if (saved.n < 16 || memcmp(saved.p, MAGIC, 8) != 0 ||
	    crc32_ieee(0, saved.p, saved.n - 4) != get_le32(saved.p + saved.n - 4))
		return err_set(err, ERR_LOST, "the detectors' state is damaged");
	err->text[0] = '\0';
	rc = restore_all(d, saved, fresh, err);
	for (size_t i = 0; i < KINDS; i++) {
		void *gone = rc != -1 ? d->of[i].state : fresh[i];

		if (fresh[i] == NULL)
			continue;
		if (rc != -1)
			d->of[i].state = fresh[i];
		kinds[i]->close(gone);
	}
	return rc;
}

int
detect_finding_id(const char *detector, struct slice series, int64_t episode_start_ms, const char *phase, char ret[33],
    struct err *err)
{
	static const char hex[] = "0123456789abcdef";
	struct sha256 *h = sha256_new();
	unsigned char digest[SHA256_BYTES];
	char when[8];

	if (h == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a finding");
	put_le64(when, (uint64_t)episode_start_ms);
	sha256_start(h);
	sha256_add(h, detector, strlen(detector) + 1);
	sha256_add(h, series.p, series.n);
	sha256_add(h, "", 1);
	sha256_add(h, when, sizeof(when));
	sha256_add(h, phase, strlen(phase));
	sha256_finish(h, digest);
	sha256_free(h);
	for (int i = 0; i < 16; i++) {
		ret[2 * i] = hex[digest[i] >> 4];
		ret[2 * i + 1] = hex[digest[i] & 15];
	}
	ret[32] = '\0';
	return 0;
}

void
detect_mark_cut(struct event *f, enum field column, struct arena *arena)
{
	struct slice before = event_text(f, F_TruncatedFields);
	const struct field_row *row = &field_rows[column];
	char names[1024];

	if (before.n + row->name_n + 1 > sizeof(names))
		return;
	if (before.n > 0) {
		memcpy(names, before.p, before.n);
		names[before.n++] = ',';
	}
	memcpy(names + before.n, row->name, row->name_n);
	event_set_text(f, F_TruncatedFields, arena_dup(arena, slice_make(names, before.n + row->name_n)));
}

void
detect_copy_columns(struct event *f, const struct event *e, struct arena *arena)
{
	static const enum field columns[] = {
		F_CloudProvider, F_CloudAccountId, F_CloudRegion, F_TargetResourceId, F_TargetResourceName, F_TargetResourceType,
		F_AiModelName, F_AiModelVersion, F_AiDeployment, F_ActorUserId, F_ActorUsername, F_ActorUserType, F_ActingAppId, F_SrcIpAddr,
		F_HttpUserAgent, F_Operation, F_EventUrl,
	};

	for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
		struct slice s = event_text(e, columns[i]);
		size_t n = utf8_cut(s, DETECT_COLUMN_BYTES);

		if (event_has(f, columns[i]) || n == 0)
			continue;
		event_set_text(f, columns[i], arena_dup(arena, slice_make(s.p, n)));
		if (n < s.n)
			detect_mark_cut(f, columns[i], arena);
	}
	if (event_has(e, F_HttpStatusCode) && !event_has(f, F_HttpStatusCode))
		event_set_number(f, F_HttpStatusCode, event_number(e, F_HttpStatusCode, 0));
}
