/* table.c - the bounded table of entities: found by a keyed hash, walked in order of slots, saved as bytes. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "detect/volume.h"

#define WHO_USUAL	256		/* bytes of an entity's texts, in the mean: the table is full when all have more */
#define LOOKS		64		/* slots looked at for room */
#define ESTABLISHED_WINDOWS	60
#define ESTABLISHED_MS	INT64_C(86400000)
#define FORGOTTEN_MS	(14 * INT64_C(86400000))

static const enum field who_fields[WHO_COUNT] = {
	F_CloudProvider, F_CloudAccountId, F_CloudRegion, F_TargetResourceId, F_TargetResourceName, F_TargetResourceType,
	F_AiDeployment, F_AiModelName, F_ActorUserId, F_ActorUsername, F_ActorUserType, F_ActingAppId, F_SrcIpAddr,
};

int
table_open(struct volume *v, struct err *err)
{
	uint32_t size = 1024;

	v->max_entities = v->max_series * 4 < 1024 ? 1024 : v->max_series * 4;
	while (size < v->max_entities * 2)
		size *= 2;
	v->index_mask = size - 1;
	v->total = NO_SLOT;
	v->roots = calloc(v->max_entities, sizeof(*v->roots));
	v->index = calloc(size, sizeof(*v->index));
	/* Untouched pages of a large calloc cost nothing, so the table is made at its full size. */
	v->entities = calloc(v->max_entities, sizeof(*v->entities));
	for (int i = 0; i < OPEN_WINDOWS; i++)
		v->touched[i] = calloc(v->max_entities, sizeof(*v->touched[i]));
	for (int i = 0; i < OPEN_WINDOWS; i++)
		if (v->touched[i] == NULL)
			return err_set(err, ERR_AGAIN, "no memory for %u series", v->max_series);
	if (v->index == NULL || v->entities == NULL || v->roots == NULL)
		return err_set(err, ERR_AGAIN, "no memory for %u series", v->max_series);
	return 0;
}

static void
free_entity(struct volume *v, struct entity *e)
{
	for (int m = 0; m < METRICS; m++) {
		if (e->score[m] != NULL)
			v->nscores--;
		free(e->score[m]);
	}
	v->who_bytes -= e->who_bytes;
	free(e->who);
	memset(e, 0, sizeof(*e));
}

void
table_close(struct volume *v)
{
	for (uint32_t i = 0; v->entities != NULL && i < v->nentities; i++)
		free_entity(v, &v->entities[i]);
	for (int i = 0; i < OPEN_WINDOWS; i++)
		free(v->touched[i]);
	free(v->entities);
	free(v->roots);
	free(v->index);
}

/* ---- the index ----------------------------------------------------------------- */

static uint64_t
key_hash(enum entity_kind kind, uint32_t root, struct slice key)
{
	unsigned char text[WHO_BYTES + 5];
	size_t n = utf8_cut(key, WHO_BYTES);		/* as much as the entity keeps */
	uint64_t h;

	text[0] = (unsigned char)kind;
	put_le32(text + 1, kind == E_RESOURCE || kind == E_TOTAL ? 0 : root);
	for (size_t i = 0; i < n; i++)
		text[5 + i] = key.p[i] != '\0' ? ascii_lower((unsigned char)key.p[i]) : ' ';
	h = hash_keyed(text, n + 5);
	return h != 0 ? h : 1;
}

void
index_put(struct volume *v, uint32_t slot)
{
	uint32_t i = (uint32_t)v->entities[slot].hash & v->index_mask;

	while (v->index[i] != 0)
		i = (i + 1) & v->index_mask;
	v->index[i] = slot + 1;
}

/* Takes one out and closes the hole behind it (Knuth, TAOCP 3, 6.4, algorithm R). */
static void
index_take(struct volume *v, uint32_t slot)
{
	uint32_t i = (uint32_t)v->entities[slot].hash & v->index_mask, j;

	while (v->index[i] != slot + 1)
		i = (i + 1) & v->index_mask;
	for (j = i;;) {
		uint32_t home;

		v->index[i] = 0;
		do {
			j = (j + 1) & v->index_mask;
			if (v->index[j] == 0)
				return;
			home = (uint32_t)v->entities[v->index[j] - 1].hash & v->index_mask;
		} while (i <= j ? i < home && home <= j : i < home || home <= j);
		v->index[i] = v->index[j];
		i = j;
	}
}

/* ---- entities ------------------------------------------------------------------- */

struct slice
entity_who(const struct volume *v, const struct entity *e, enum who which)
{
	const char *p = which <= W_RESOURCE_TYPE ? v->entities[e->root].who : e->who;

	if (p == NULL)
		return SLICE_NONE;
	for (int i = 0; i < (int)which; i++)
		p += strlen(p) + 1;
	return slice_of(p);
}

/* What of its columns an entity keeps itself. */
static bool
is_own(const struct entity *e, enum who which)
{
	switch (e->kind) {
	case E_RESOURCE:
		return which <= W_RESOURCE_TYPE;
	case E_DEPLOYMENT:
		return which == W_DEPLOYMENT || which == W_MODEL;
	case E_CALLER:
		return which >= W_ACTOR_ID;
	default:
		return false;
	}
}

static int
set_who(struct volume *v, struct entity *e, const struct event *from)
{
	char text[WHO_COUNT * (WHO_BYTES + 1)];
	size_t n = 0;
	char *copy;

	for (int i = 0; i < WHO_COUNT; i++) {
		struct slice s = event_text(from, who_fields[i]);
		size_t len;

		if (!is_own(e, (enum who)i))
			s = SLICE_NONE;
		len = utf8_cut(s, WHO_BYTES);
		for (size_t k = 0; k < len; k++)	/* a NUL inside would shift what follows */
			text[n++] = s.p[k] != '\0' ? s.p[k] : ' ';
		text[n++] = '\0';
	}
	copy = malloc(n);
	if (copy == NULL)
		return -1;
	memcpy(copy, text, n);
	free(e->who);
	e->who = copy;
	e->who_bytes = (uint16_t)n;
	v->who_bytes += n;
	return 0;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

void
entity_evidence(struct entity *e, struct slice id)
{
	unsigned char *at = e->evidence[e->nevidence % EVIDENCE];

	if (id.n != 2 * EVIDENCE_BYTES)
		return;
	for (int i = 0; i < EVIDENCE_BYTES; i++) {
		int high = hex_digit(id.p[2 * i]), low = hex_digit(id.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return;
		at[i] = (unsigned char)(high << 4 | low);
	}
	e->nevidence = e->nevidence + 1 == 2 * EVIDENCE ? EVIDENCE : e->nevidence + 1;
}

/* ---- room -------------------------------------------------------------------------- */

bool
entity_is_established(const struct volume *v, const struct entity *e)
{
	return e->windows_seen >= ESTABLISHED_WINDOWS && (e->last_window - e->first_window) * v->window_ms >= ESTABLISHED_MS;
}

/* Who may give way to a newcomer; the total never. */
static bool
may_go(const struct volume *v, const struct entity *e)
{
	if (e->hash == 0 || e->episodes != 0 || e->silent || e->kind == E_TOTAL || e->children > 0 || e->last_window >= v->closed)
		return false;
	return !entity_is_established(v, e) || (v->newest - e->last_window) * v->window_ms >= FORGOTTEN_MS;
}

/* Quiet for longest among some that are looked at in turn; with `series` only those that have one. */
static uint32_t
victim(struct volume *v, bool series)
{
	uint32_t best = NO_SLOT;

	for (uint32_t i = 0; i < LOOKS && i < v->nentities; i++) {
		uint32_t slot = v->hand;
		const struct entity *e = &v->entities[slot];
		bool has = false;

		v->hand = v->hand + 1 < v->nentities ? v->hand + 1 : 0;
		for (int m = 0; series && m < METRICS; m++)
			has = has || e->score[m] != NULL;
		if (has == series && may_go(v, e) && (best == NO_SLOT || e->last_window < v->entities[best].last_window))
			best = slot;
	}
	return best;
}

static void
drop_root(struct volume *v, uint32_t slot)
{
	for (uint32_t i = 0; i < v->nroots; i++)
		if (v->roots[i] == slot) {
			memmove(&v->roots[i], &v->roots[i + 1], (--v->nroots - i) * sizeof(v->roots[0]));
			return;
		}
}

/* Takes the slot's entity out of everything that names it. */
static void
evict(struct volume *v, uint32_t slot)
{
	struct entity *e = &v->entities[slot];

	v->evicted++;
	episode_forget(v, slot);
	volume_forget(v, slot);
	if (e->kind == E_RESOURCE)
		drop_root(v, slot);
	if (e->root != slot)
		v->entities[e->root].children--;
	index_take(v, slot);
	free_entity(v, e);
}

static uint32_t
new_slot(struct volume *v)
{
	uint32_t slot;

	if (v->nentities < v->max_entities && (v->nentities < LOOKS || v->who_bytes < (size_t)v->max_entities * WHO_USUAL))
		return v->nentities++;
	slot = victim(v, false);
	if (slot == NO_SLOT)
		slot = victim(v, true);
	if (slot == NO_SLOT) {
		v->refused++;
		return NO_SLOT;
	}
	evict(v, slot);
	return slot;
}

uint32_t
entity_find(struct volume *v, enum entity_kind kind, uint32_t root, struct slice key, const struct event *from)
{
	uint64_t hash = key_hash(kind, root, key);
	struct entity *e;
	uint32_t slot;

	for (uint32_t i = (uint32_t)hash & v->index_mask; v->index[i] != 0; i = (i + 1) & v->index_mask)
		if (v->entities[v->index[i] - 1].hash == hash)
			return v->index[i] - 1;
	slot = new_slot(v);
	if (slot == NO_SLOT)
		return NO_SLOT;
	e = &v->entities[slot];
	*e = (struct entity){ .hash = hash, .kind = (uint8_t)kind, .root = kind == E_RESOURCE || kind == E_TOTAL ? slot : root,
		.first_window = -1, .next_window = -1, .last_window = -1, .heard_window = -1 };
	if (set_who(v, e, from) != 0) {
		e->hash = 0;
		return NO_SLOT;		/* the slot is lost until memory comes back and the table is restored */
	}
	index_put(v, slot);
	if (kind == E_RESOURCE)
		v->roots[v->nroots++] = slot;
	if (e->root != slot)
		v->entities[root].children++;
	return slot;
}

/* Whose rhythm a new series may take: the resource's for its deployments and callers, the total's for a resource. */
static const struct score *
kin(const struct volume *v, const struct entity *e, enum metric m)
{
	if (e->kind == E_TOTAL || (e->kind == E_RESOURCE && v->total == NO_SLOT))
		return NULL;
	return v->entities[e->kind == E_RESOURCE ? v->total : e->root].score[m];
}

struct score *
table_score(struct volume *v, uint32_t slot, enum metric m, int64_t t_ms, double x)
{
	struct entity *e = &v->entities[slot];
	const struct score *from;
	uint32_t quiet;

	if (e->score[m] != NULL)
		return e->score[m];
	if (v->nscores >= v->max_series) {
		quiet = victim(v, true);
		if (quiet == NO_SLOT) {
			v->refused++;
			return NULL;
		}
		evict(v, quiet);
	}
	e->score[m] = malloc(sizeof(struct score));
	if (e->score[m] == NULL)
		return NULL;
	v->nscores++;
	score_init(e->score[m], v->window_ms);
	from = kin(v, e, m);
	if (from != NULL)
		score_borrow(e->score[m], from, t_ms, x);
	return e->score[m];
}

void
series_name(const struct volume *v, uint32_t slot, enum metric m, struct buf *out)
{
	const struct entity *e = &v->entities[slot];
	struct slice id = entity_who(v, e, W_RESOURCE);

	buf_puts(out, entity_kinds[e->kind]);
	if (e->kind != E_TOTAL)
		buf_putc(out, ':');
	for (size_t i = 0; i < id.n; i++)	/* the same resource comes in several cases */
		buf_putc(out, (char)ascii_lower((unsigned char)id.p[i]));
	if (e->kind == E_DEPLOYMENT) {
		buf_puts(out, "/deployments/");
		buf_put_slice(out, entity_who(v, e, W_DEPLOYMENT));
	} else if (e->kind == E_CALLER) {
		static const enum who names[] = { W_ACTOR_ID, W_ACTOR_NAME, W_APP, W_ADDRESS };
		size_t i = 0;

		while (i < 3 && entity_who(v, e, names[i]).n == 0)
			i++;
		buf_puts(out, "/callers/");
		buf_put_slice(out, entity_who(v, e, names[i]));
	}
	buf_putc(out, ':');
	buf_puts(out, metric_names[m]);
}

/* The hash has another key in each process: it is made again from who the entity is. */
uint64_t
entity_hash(const struct volume *v, const struct entity *e)
{
	static const enum who names[] = { W_ACTOR_ID, W_ACTOR_NAME, W_APP, W_ADDRESS };
	struct slice key = entity_who(v, e, e->kind == E_RESOURCE ? W_RESOURCE : W_DEPLOYMENT);

	for (size_t i = 0; e->kind == E_CALLER && i < 4; i++)
		if ((key = entity_who(v, e, names[i])).n > 0)
			break;
	return key_hash(e->kind, e->root, e->kind == E_TOTAL ? SLICE_NONE : key);
}
