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

#define NO_SLOT		UINT32_MAX
#define WHO_BYTES	256		/* of one text */

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
	v->free_slot = NO_SLOT;
	v->index = calloc(size, sizeof(*v->index));
	/* Untouched pages of a large calloc cost nothing, so the table is made at its full size. */
	v->entities = calloc(v->max_entities, sizeof(*v->entities));
	for (int i = 0; i < OPEN_WINDOWS; i++)
		v->touched[i] = calloc(v->max_entities, sizeof(*v->touched[i]));
	for (int i = 0; i < OPEN_WINDOWS; i++)
		if (v->touched[i] == NULL)
			return err_set(err, ERR_AGAIN, "no memory for %u series", v->max_series);
	if (v->index == NULL || v->entities == NULL)
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
	put_le32(text + 1, kind == E_RESOURCE ? 0 : root);
	for (size_t i = 0; i < n; i++)
		text[5 + i] = key.p[i] != '\0' ? ascii_lower((unsigned char)key.p[i]) : ' ';
	h = hash_keyed(text, n + 5);
	return h != 0 ? h : 1;
}

static void
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
entity_who(const struct entity *e, enum who which)
{
	const char *p = e->who;

	if (p == NULL)
		return SLICE_NONE;
	for (int i = 0; i < (int)which; i++)
		p += strlen(p) + 1;
	return slice_of(p);
}

static int
set_who(struct entity *e, const struct event *from)
{
	char text[WHO_COUNT * (WHO_BYTES + 1)];
	size_t n = 0;
	char *copy;

	for (int i = 0; i < WHO_COUNT; i++) {
		struct slice s = event_text(from, who_fields[i]);
		size_t len;

		if ((e->kind == E_RESOURCE && i >= W_DEPLOYMENT) || (e->kind == E_DEPLOYMENT && i >= W_ACTOR_ID) ||
		    (e->kind == E_CALLER && (i == W_DEPLOYMENT || i == W_MODEL)))
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
	e->who_bytes = (uint32_t)n;
	return 0;
}

void
entity_evidence(struct entity *e, struct slice id)
{
	char *at = e->evidence[e->evidence_next++ % EVIDENCE];
	size_t n = id.n < 32 ? id.n : 32;

	memcpy(at, id.p, n);
	at[n] = '\0';
}

/* Quiet for longest among a few that are looked at in turn; a resource with an open episode stays. */
static uint32_t
victim(struct volume *v)
{
	static const uint32_t looks = 64;
	uint32_t best = NO_SLOT;

	for (uint32_t i = 0; i < looks; i++) {
		uint32_t slot = (uint32_t)((v->evicted * looks + i) % v->nentities);
		struct entity *e = &v->entities[slot];

		if (e->hash == 0 || e->episode != 0 || e->last_window >= v->closed)
			continue;
		if (best == NO_SLOT || e->last_window < v->entities[best].last_window)
			best = slot;
	}
	return best;
}

static uint32_t
new_slot(struct volume *v)
{
	uint32_t slot;

	if (v->nentities < v->max_entities)
		return v->nentities++;
	slot = victim(v);
	v->evicted++;
	if (slot == NO_SLOT)
		return NO_SLOT;
	episode_forget(v, slot);
	index_take(v, slot);
	free_entity(v, &v->entities[slot]);
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
	*e = (struct entity){ .hash = hash, .kind = (uint8_t)kind, .root = kind == E_RESOURCE ? slot : root,
		.next_window = -1, .last_window = -1 };
	if (set_who(e, from) != 0) {
		e->hash = 0;
		return NO_SLOT;		/* the slot is lost until the next eviction finds it empty */
	}
	index_put(v, slot);
	return slot;
}

struct score *
table_score(struct volume *v, uint32_t slot, enum metric m)
{
	struct entity *e = &v->entities[slot];

	if (e->score[m] != NULL || v->nscores >= v->max_series)
		return e->score[m];
	e->score[m] = malloc(sizeof(struct score));
	if (e->score[m] != NULL) {
		score_init(e->score[m]);
		v->nscores++;
	}
	return e->score[m];
}

void
series_name(const struct volume *v, uint32_t slot, enum metric m, struct buf *out)
{
	const struct entity *e = &v->entities[slot];
	struct slice id = entity_who(e, W_RESOURCE);

	buf_puts(out, entity_kinds[e->kind]);
	buf_putc(out, ':');
	for (size_t i = 0; i < id.n; i++)	/* the same resource comes in several cases */
		buf_putc(out, (char)ascii_lower((unsigned char)id.p[i]));
	if (e->kind == E_DEPLOYMENT) {
		buf_puts(out, "/deployments/");
		buf_put_slice(out, entity_who(e, W_DEPLOYMENT));
	} else if (e->kind == E_CALLER) {
		static const enum who names[] = { W_ACTOR_ID, W_ACTOR_NAME, W_APP, W_ADDRESS };
		size_t i = 0;

		while (i < 3 && entity_who(e, names[i]).n == 0)
			i++;
		buf_puts(out, "/callers/");
		buf_put_slice(out, entity_who(e, names[i]));
	}
	buf_putc(out, ':');
	buf_puts(out, metric_names[m]);
}

/* ---- saving ---------------------------------------------------------------------- */

/* u32 count, then each slot: the struct with its pointers as flags, its who, its scores. Of this machine's layout: restore checks it. */
int
table_save(struct volume *v, struct buf *out)
{
	buf_put(out, &v->nentities, sizeof(v->nentities));
	for (uint32_t i = 0; i < v->nentities; i++) {
		const struct entity *e = &v->entities[i];
		struct entity flat = *e;

		flat.hash = e->hash != 0;
		flat.who = NULL;
		for (int m = 0; m < METRICS; m++)
			flat.score[m] = e->score[m] != NULL ? (struct score *)1 : NULL;
		buf_put(out, &flat, sizeof(flat));
		buf_put(out, e->who, e->who_bytes);
		for (int m = 0; m < METRICS; m++)
			if (e->score[m] != NULL)
				buf_put(out, e->score[m], sizeof(struct score));
	}
	for (int w = 0; w < OPEN_WINDOWS; w++) {
		buf_put(out, &v->ntouched[w], sizeof(v->ntouched[w]));
		buf_put(out, v->touched[w], v->ntouched[w] * sizeof(v->touched[w][0]));
	}
	return out->failed ? -1 : 0;
}

static bool
take(struct slice *in, void *to, size_t n)
{
	if (in->n < n)
		return false;
	memcpy(to, in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	return true;
}

static bool
who_is_whole(const struct entity *e)
{
	int texts = 0;

	for (uint32_t i = 0; i < e->who_bytes; i++)
		texts += e->who[i] == '\0';
	return texts == WHO_COUNT && e->who[e->who_bytes - 1] == '\0';
}

/* The hash has another key in this process: it is made again from who the entity is. */
static uint64_t
hash_again(const struct entity *e)
{
	static const enum who names[] = { W_ACTOR_ID, W_ACTOR_NAME, W_APP, W_ADDRESS };
	struct slice key = entity_who(e, e->kind == E_RESOURCE ? W_RESOURCE : W_DEPLOYMENT);

	for (size_t i = 0; e->kind == E_CALLER && i < 4; i++)
		if ((key = entity_who(e, names[i])).n > 0)
			break;
	return key_hash(e->kind, e->root, key);
}

static bool
take_entity(struct volume *v, struct slice *in, uint32_t slot)
{
	struct entity flat, *e = &v->entities[slot];

	if (!take(in, &flat, sizeof(flat)) || flat.kind > E_CALLER || flat.root >= v->nentities ||
	    flat.who_bytes > WHO_COUNT * (WHO_BYTES + 1) || flat.episode > MAX_EPISODES)
		return false;
	*e = flat;
	memset(e->score, 0, sizeof(e->score));
	e->who = NULL;
	if (flat.hash == 0)
		return flat.who_bytes == 0;
	if (flat.who_bytes == 0 || (e->who = malloc(flat.who_bytes)) == NULL || !take(in, e->who, flat.who_bytes) ||
	    !who_is_whole(e))
		return false;
	for (int i = 0; i < EVIDENCE; i++)
		e->evidence[i][32] = '\0';
	for (int m = 0; m < METRICS; m++)
		if (flat.score[m] != NULL &&
		    (table_score(v, slot, m) == NULL || !take(in, e->score[m], sizeof(struct score))))
			return false;
	e->hash = hash_again(e);
	return true;
}

int
table_restore(struct volume *v, struct slice *in, struct err *err)
{
	uint32_t n;

	if (!take(in, &n, sizeof(n)) || n > v->max_entities)
		return err_set(err, ERR_LOST, "the saved series do not fit this configuration");
	v->nentities = n;
	for (uint32_t i = 0; i < n; i++)
		if (!take_entity(v, in, i))
			return err_set(err, ERR_LOST, "the saved series are not whole, or do not fit this configuration");
	for (uint32_t i = 0; i < n; i++)
		if (v->entities[i].hash != 0)
			index_put(v, i);
	for (int w = 0; w < OPEN_WINDOWS; w++) {
		if (!take(in, &v->ntouched[w], sizeof(v->ntouched[w])) || v->ntouched[w] > v->max_entities ||
		    !take(in, v->touched[w], v->ntouched[w] * sizeof(v->touched[w][0])))
			return err_set(err, ERR_LOST, "the saved series are not whole");
		for (uint32_t i = 0; i < v->ntouched[w]; i++)
			if (v->touched[w][i] >= n)
				return err_set(err, ERR_LOST, "the saved series are not whole");
	}
	return 0;
}
