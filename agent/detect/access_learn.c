/* access_learn.c - what is ordinary: of a caller, of a resource, and of all callers together. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "detect/access.h"

#define DAY_MINUTES	1440
#define GROWN_CALLS	8
#define KIND_CALLS	16		/* its first events tell of what kind a caller is */
#define GROWN_DAYS	3
#define COMMON_CALLERS	3
#define MOVERS		3		/* so many grown callers in a new area within MOVE_MIN are a move of many */
#define MOVE_MIN	240
#define TAINT_DAYS	3		/* what a finding was about does not become ordinary by being seen again */
#define STALE_DAYS	60
#define KNOWN_CALLS	50

static const struct { uint8_t at, n; } places[DIMS] = {
	[D_NET] = { 0, NETS },
	[D_AREA] = { NETS, AREAS },
	[D_COUNTRY] = { NETS + AREAS, COUNTRIES },
	[D_AGENT] = { NETS + AREAS + COUNTRIES, AGENTS },
	[D_AUTH] = { NETS + AREAS + COUNTRIES + AGENTS, AUTHS },
	[D_REGION] = { NETS + AREAS + COUNTRIES + AGENTS + AUTHS, REGIONS },
	[D_MODEL] = { NETS + AREAS + COUNTRIES + AGENTS + AUTHS + REGIONS, MODELS },
	[D_OPERATION] = { NETS + AREAS + COUNTRIES + AGENTS + AUTHS + REGIONS + MODELS, OPERATIONS },
	[D_RESOURCE] = { NETS + AREAS + COUNTRIES + AGENTS + AUTHS + REGIONS + MODELS + OPERATIONS, RESOURCES },
};

struct known *
known_of(struct caller *c, enum dim d, unsigned *ret_n)
{
	*ret_n = places[d].n;
	return c->known + places[d].at;
}

const struct known *
known_find(const struct known *v, unsigned n, uint64_t hash)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i].hash == (uint32_t)hash && v[i].last_min != 0)
			return &v[i];
	return NULL;
}

unsigned
known_recent(struct caller *c, enum dim d, uint32_t min, uint32_t span)
{
	unsigned n, recent = 0;
	struct known *v = known_of(c, d, &n);

	for (unsigned i = 0; i < n; i++)
		recent += v[i].last_min != 0 && v[i].last_min + span >= min && v[i].last_min <= min + span;
	return recent;
}

/* The one used longest ago gives way. */
static void
know(struct known *v, unsigned n, uint64_t hash, const struct sight *s)
{
	struct known *k = &v[0];

	for (unsigned i = 0; i < n; i++) {
		if (v[i].last_min != 0 && v[i].hash == (uint32_t)hash) {
			k = &v[i];
			if (s->min > k->last_min) {
				k->days += s->day > k->last_min / DAY_MINUTES && k->days < UINT16_MAX;
				k->last_min = s->min;
			}
			return;
		}
		if (v[i].last_min < k->last_min)
			k = &v[i];
	}
	*k = (struct known){ .hash = (uint32_t)hash, .last_min = s->min, .first_day = (uint16_t)(s->since_min / DAY_MINUTES), .days = 1 };
}

bool
caller_is_grown(const struct access *a, const struct caller *c)
{
	return c->last_min - c->first_min >= a->learning_min && c->last_min >= c->first_min && c->active_days >= GROWN_DAYS &&
	    c->calls >= GROWN_CALLS;
}

bool
resource_is_known(const struct resource *r, const struct sight *s)
{
	return r != NULL && s->own && r->calls >= KNOWN_CALLS && s->day > r->first_day;
}

bool
estate_is_grown(const struct access *a, uint32_t min)
{
	return min >= a->first_min + a->learning_min;
}

/* ---- all callers together ------------------------------------------------------------ */

static uint64_t
fact_key(enum dim d, uint64_t hash)
{
	return hash ^ (UINT64_C(0x9e3779b97f4a7c15) * (d + 1));
}

unsigned
fact_callers(const struct access *a, enum dim d, uint64_t hash)
{
	const struct fact *f = hash != 0 ? lru_peek(&a->facts, fact_key(d, hash)) : NULL;

	return f != NULL ? f->n : 0;
}

unsigned
fact_others(const struct access *a, enum dim d, const struct sight *s)
{
	const struct fact *f = s->dim[d] != 0 ? lru_peek(&a->facts, fact_key(d, s->dim[d])) : NULL;
	unsigned n = 0;

	for (unsigned i = 0; f != NULL && i < f->n; i++)
		n += f->who[i] != (uint32_t)s->caller;
	return n;
}

bool
fact_is_common(const struct access *a, enum dim d, uint64_t hash, uint16_t day)
{
	const struct fact *f = hash != 0 ? lru_peek(&a->facts, fact_key(d, hash)) : NULL;

	if (f == NULL)
		return false;
	if (f->movers >= MOVERS)
		return true;
	return f->n >= COMMON_CALLERS && f->first_day < day && (f->taint_day == 0 || day > f->taint_day + TAINT_DAYS);
}

void
fact_taint(struct access *a, enum dim d, uint64_t hash, uint16_t day)
{
	struct fact *f = hash != 0 ? lru_peek(&a->facts, fact_key(d, hash)) : NULL;

	if (f != NULL)
		f->taint_day = day;
}

static struct fact *
fact_of(struct access *a, enum dim d, uint64_t hash, uint16_t day)
{
	struct fact *f = lru_find(&a->facts, fact_key(d, hash));

	if (f == NULL) {
		f = lru_add(&a->facts, fact_key(d, hash));
		f->dim = (uint8_t)d;
		f->first_day = day;
	}
	return f;
}

bool
fact_many_move(struct access *a, uint64_t hash, uint32_t min)
{
	struct fact *f = fact_of(a, D_AREA, hash, (uint16_t)(min / DAY_MINUTES));

	if (f->movers >= MOVERS)
		return true;
	if (f->movers == 0 || min > f->mover_min + MOVE_MIN) {
		f->mover_min = min;
		f->movers = 0;
	}
	return ++f->movers >= MOVERS;
}

static bool
fact_is_stale(void *arg, const void *item)
{
	const struct fact *f = item;

	return *(const uint16_t *)arg > f->last_day + STALE_DAYS;
}

static void
learn_fact(struct access *a, enum dim d, const struct sight *s)
{
	struct fact *f;
	uint32_t who = (uint32_t)s->caller;
	uint16_t day = s->day;

	if (s->dim[d] == 0)
		return;
	f = fact_of(a, d, s->dim[d], (uint16_t)(s->since_min / DAY_MINUTES));
	heal_fact(f, s);
	if (s->day > f->last_day)
		f->last_day = s->day;
	for (unsigned i = 0; i < f->n; i++)
		if (f->who[i] == who)
			goto known;
	if (f->n < sizeof(f->who) / sizeof(f->who[0]))
		f->who[f->n++] = who;
known:
	if (f->n >= 2 && f->first_day < s->day)
		lru_promote(&a->facts, f, fact_is_stale, &day);
}

/* ---- callers --------------------------------------------------------------------------- */

static bool
caller_is_stale(void *arg, const void *item)
{
	const struct caller *c = item;

	return *(const uint16_t *)arg > c->last_day + STALE_DAYS;
}

struct caller *
learn_caller(struct access *a, const struct sight *s)
{
	struct caller *c = lru_find(&a->callers, s->caller);

	if (c == NULL) {
		c = lru_add(&a->callers, s->caller);
		c->first_min = c->last_min = s->since_min;
		c->first_day = c->last_day = (uint16_t)(s->since_min / DAY_MINUTES);
		c->kind = (uint8_t)s->kind;
	}
	heal_caller(c, s);
	if (c->kind == CALLER_UNKNOWN && c->calls < KIND_CALLS)
		c->kind = (uint8_t)access_kind(s->e);
	return c;
}

static bool
resource_is_stale(void *arg, const void *item)
{
	const struct resource *r = item;

	return *(const uint16_t *)arg > r->last_day + STALE_DAYS;
}

struct resource *
learn_resource(struct access *a, const struct sight *s)
{
	struct resource *r;

	if (s->resource == 0)
		return NULL;
	r = lru_find(&a->resources, s->resource);
	if (r == NULL) {
		r = lru_add(&a->resources, s->resource);
		r->first_day = (uint16_t)(s->since_min / DAY_MINUTES);
	}
	heal_resource(r, s);
	if (s->day > r->last_day)
		r->last_day = s->day;
	return r;
}

void
learn_peak(const struct access *a, struct caller *c, uint16_t *peak, enum peak which, unsigned n, uint16_t day)
{
	uint16_t today = c->peak_today[which], most = *peak + *peak / 4 + 1;

	if (day > c->peak_day[which]) {
		if (today > *peak)
			*peak = caller_is_grown(a, c) && today > most ? most : today;
		c->peak_day[which] = day;
		c->peak_today[which] = 0;
	}
	if (day == c->peak_day[which] && n > c->peak_today[which])
		c->peak_today[which] = (uint16_t)(n < UINT16_MAX ? n : UINT16_MAX);
}

static void
learn_hours(struct caller *c, const struct sight *s)
{
	uint32_t hour = s->sec / 3600;

	if (hour > c->mask_hour) {
		uint32_t shift = hour - c->mask_hour;

		c->hours_mask = shift < 32 ? c->hours_mask << shift : 0;
		c->mask_hour = hour;
	}
	if (c->mask_hour - hour < 24 && !(c->hours_mask >> (c->mask_hour - hour) & 1)) {
		c->hours_mask |= UINT32_C(1) << (c->mask_hour - hour);
		if (++c->hour_days[s->hour] == 200)
			for (int i = 0; i < 24; i++)
				c->hour_days[i] /= 2;
	}
}

static void
learn_time(struct access *a, struct caller *c, const struct sight *s)
{
	if (s->day > c->last_day || c->active_days == 0) {
		c->active_days += c->active_days < UINT16_MAX;
		if (caller_is_grown(a, c))
			a->rates[c->kind].days += 1;
	}
	if (s->min > c->last_min)
		c->last_min = s->min;
	if (s->day > c->last_day)
		c->last_day = s->day;
	if (s->min < c->first_min && c->first_min - s->min < DAY_MINUTES)
		c->first_min = s->min;
	c->calls += c->calls < UINT32_MAX;
	learn_hours(c, s);
}

void
learn_sight(struct access *a, struct caller *c, struct resource *r, const struct sight *s)
{
	uint16_t day = s->day;

	for (int d = 0; d < DIMS; d++) {
		unsigned n;
		struct known *v = known_of(c, (enum dim)d, &n);

		if (s->dim[d] == 0 || s->denied)	/* who was let in nowhere has shown nothing */
			continue;
		know(v, n, s->dim[d], s);
		learn_fact(a, (enum dim)d, s);
	}
	learn_time(a, c, s);
	if (r != NULL) {
		r->calls += r->calls < UINT32_MAX;
		if (!s->denied) {
			r->auth_calls[s->auth] += r->auth_calls[s->auth] < UINT32_MAX;
			if (s->op == OP_INVOKE && s->auth == AUTH_KEY && s->dim[D_NET] != 0)
				know(r->key_net, NETS, s->dim[D_NET], s);
		}
		if (r->last_day > r->first_day)
			lru_promote(&a->resources, r, resource_is_stale, &day);
	}
	if (c->active_days >= 2 && c->calls >= 5)
		lru_promote(&a->callers, c, caller_is_stale, &day);
}

/* ---- times that have not come ----------------------------------------------------------- */

static void
back_to(uint32_t *t, uint32_t now)
{
	if (*t > now)
		*t = now;
}

static void
not_ahead(uint32_t *t, uint32_t now)
{
	if (*t > now)
		*t = 0;
}

static void
heal_known(struct known *v, unsigned n, const struct sight *s)
{
	for (unsigned i = 0; i < n; i++) {
		back_to(&v[i].last_min, s->min);
		if (v[i].first_day > s->day)
			v[i].first_day = s->day;
	}
}

static void
heal_marks(struct mark marks[MARKS], uint32_t min)
{
	for (int i = 0; i < MARKS; i++)
		back_to(&marks[i].min, min);
}

static void
heal_ring(struct ring *r, uint32_t sec)
{
	for (int i = 0; i < RING_SLOTS; i++)
		not_ahead(&r->sec[i], sec);
}

void
heal_caller(struct caller *c, const struct sight *s)
{
	uint32_t hour = s->sec / 3600;

	if (!s->near || c->last_min <= s->min + DAY_MINUTES)
		return;
	c->last_min = s->min;
	c->last_day = s->day;
	back_to(&c->first_min, s->min);
	if (c->first_day > s->day)
		c->first_day = s->day;
	heal_known(c->known, KNOWN_ALL, s);
	if (c->mask_hour > hour) {
		c->hours_mask = 0;
		c->mask_hour = hour;
	}
	not_ahead(&c->odd_min, s->min);
	if (c->gap_end_min > s->min) {
		c->gap_end_min = 0;
		c->gaps -= c->gaps > 0;
	}
	for (int i = 0; i < PEAKS; i++)
		if (c->peak_day[i] > s->day) {
			c->peak_day[i] = s->day;
			c->peak_today[i] = 0;
		}
	heal_ring(&c->denied, s->sec);
	heal_ring(&c->invalid, s->sec);
	heal_ring(&c->blocks, s->sec);
	not_ahead(&c->denied_end_min, s->min);
	for (size_t i = 0; i < sizeof(c->recon_min) / sizeof(c->recon_min[0]); i++)
		not_ahead(&c->recon_min[i], s->min);
	for (int i = 0; i < JACK_SET; i++)
		not_ahead(&c->jack_min[i], s->min);
	for (int i = 0; i < 2; i++)
		if (c->half[i].begin_min > s->min)
			c->half[i] = (struct lengths){ .begin_min = 0 };
	if (c->same.begin_min > s->min)
		c->same.begin_min = 0;
	not_ahead(&c->place_min, s->min);
	not_ahead(&c->novel_min, s->min);
	for (int i = 0; i < BEHAVIOURS; i++)
		not_ahead(&c->said_min[i], s->min);
	heal_marks(c->marks, s->min);
	for (int i = 0; i < EVIDENCE; i++)
		back_to(&c->evidence[i].min, s->min);
}

void
heal_resource(struct resource *r, const struct sight *s)
{
	if (!s->near)
		return;
	if (r->first_day > s->day)
		r->first_day = s->day;
	if (r->last_day > s->day + 1)
		r->last_day = s->day;
	if (r->secret_min > s->min + DAY_MINUTES)
		r->secret_min = s->min;
	for (int i = 0; i < NETS; i++)
		if (r->key_net[i].last_min > s->min + DAY_MINUTES)
			r->key_net[i].last_min = s->min;
	for (int i = 0; i < MARKS; i++)
		if (r->marks[i].min > s->min + DAY_MINUTES)
			r->marks[i].min = s->min;
}

void
heal_fact(struct fact *f, const struct sight *s)
{
	if (!s->near)
		return;
	if (f->first_day > s->day)
		f->first_day = s->day;
	if (f->last_day > s->day + 1)
		f->last_day = s->day;
	if (f->taint_day > s->day + 1)
		f->taint_day = s->day;
	if (f->mover_min > s->min + DAY_MINUTES)
		f->mover_min = s->min;
}

void
keep_evidence(struct caller *c, const struct sight *s)
{
	unsigned char raw[16];

	if (!id_bytes(event_text(s->e, F_EventId), raw))
		return;
	for (int i = 0; i < EVIDENCE; i++)
		if (c->evidence[i].min != 0 && memcmp(c->evidence[i].id, raw, 16) == 0)
			return;
	memcpy(c->evidence[c->evidence_next].id, raw, 16);
	c->evidence[c->evidence_next].min = s->min;
	c->evidence_next = (uint8_t)((c->evidence_next + 1) % EVIDENCE);
}
