/*
 * memory.c - accounts and weaknesses: two bounded tables, and their saved form.
 *
 * Saved, little-endian: "AISPMPO2", u64 which rules the zones are by, u32 accounts, u32 weaknesses, 16 bytes of the keys' key, i64 when it was full; an account: u8 provider, zone, plans, name length, the name, i64 plan
 * times, i64 topic times; a weakness: u64 key, i64 first, due, newest, u8 zone, urgent, is_path; last a u32 CRC-32 over all before it.
 * Version 1 had no key and no time, and keys of another kind: its accounts are read, weaknesses are learnt anew.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/json.h"
#include "posture/memory.h"

#define MAGIC		"AISPMPO"	/* and the version, a digit */
#define FORMAT		'2'
#define HEAD_1		24
#define HEAD_2		(HEAD_1 + 16 + 8)
#define INDEX_SLOTS	(2 * MAX_ACCOUNTS)
#define WEAK_SLOTS	(2 * MAX_WEAKNESSES)
#define PLAN_TEXT_BYTES	4096

int
memory_open(struct posture *p, struct err *err)
{
	p->accounts = calloc(MAX_ACCOUNTS, sizeof(*p->accounts));
	p->account_index = calloc(INDEX_SLOTS, sizeof(*p->account_index));
	p->weaknesses = calloc(WEAK_SLOTS, sizeof(*p->weaknesses));
	random_bytes(p->key, sizeof(p->key));
	p->json = json_reader_new();
	buf_init(&p->plan_text, PLAN_TEXT_BYTES);
	return p->accounts != NULL && p->account_index != NULL && p->weaknesses != NULL && p->json != NULL ? 0 :
	    err_set(err, ERR_AGAIN, "no memory for the posture");
}

void
memory_close(struct posture *p)
{
	free(p->accounts);
	free(p->account_index);
	free(p->weaknesses);
	json_reader_free(p->json);
	buf_fini(&p->plan_text);
}

void
memory_clear(struct posture *p)
{
	if (p->naccounts == 0 && p->nweaknesses == 0)
		return;
	memset(p->accounts, 0, MAX_ACCOUNTS * sizeof(*p->accounts));
	memset(p->account_index, 0, INDEX_SLOTS * sizeof(*p->account_index));
	memset(p->weaknesses, 0, WEAK_SLOTS * sizeof(*p->weaknesses));
	p->naccounts = p->last_account = p->nweaknesses = 0;
	p->full_ms = 0;
}

/* ---- accounts ----------------------------------------------------------------- */

const char *const provider_words[P_COUNT] = { "Azure", "AWS", "GCP", "Microsoft365" };

static bool
provider_of(struct slice word, enum provider *ret)
{
	for (int i = 0; i < P_COUNT; i++)
		if (slice_eq(word, slice_of(provider_words[i]))) {
			*ret = (enum provider)i;
			return true;
		}
	return false;
}

static bool
account_is(const struct account *a, enum provider provider, struct slice name)
{
	return a->provider == provider && slice_eq_nocase(slice_of(a->name), name);
}

static uint32_t
account_slot(const struct posture *p, enum provider provider, struct slice name)
{
	char key[ACCOUNT_BYTES + 1];
	uint32_t at;

	key[0] = (char)provider;
	for (size_t i = 0; i < name.n; i++)
		key[1 + i] = (char)ascii_lower((unsigned char)name.p[i]);
	at = (uint32_t)hash_keyed(key, name.n + 1) % INDEX_SLOTS;
	while (p->account_index[at] != 0 && !account_is(&p->accounts[p->account_index[at] - 1], provider, name))
		at = (at + 1) % INDEX_SLOTS;
	return at;
}

struct account *
memory_add_account(struct posture *p, enum provider provider, struct slice name)
{
	uint32_t at = account_slot(p, provider, name);
	struct account *a;

	if (p->account_index[at] != 0)
		return &p->accounts[p->account_index[at] - 1];
	if (p->naccounts == MAX_ACCOUNTS) {
		p->not_remembered++;
		return NULL;
	}
	a = &p->accounts[p->naccounts++];
	p->account_index[at] = p->naccounts;
	a->provider = (uint8_t)provider;
	for (size_t i = 0; i < name.n; i++)
		a->name[i] = (char)ascii_lower((unsigned char)name.p[i]);
	return a;
}

/* Of a record: whatever is no plain name is no account, and is shown nowhere. */
static bool
is_account_name(struct slice name)
{
	for (size_t i = 0; i < name.n; i++) {
		const unsigned char low = ascii_lower((unsigned char)name.p[i]);

		if (!(low >= 'a' && low <= 'z') && !(low >= '0' && low <= '9') && low != '-' && low != '.' && low != '_' && low != ':')
			return false;
	}
	return name.n > 0 && name.n < ACCOUNT_BYTES;
}

struct account *
memory_account(struct posture *p, const struct event *e, bool make)
{
	struct slice name = event_text(e, F_CloudAccountId);
	enum provider provider;
	uint32_t at;

	if (!is_account_name(name) || !provider_of(event_text(e, F_CloudProvider), &provider))
		return NULL;
	if (p->last_account < p->naccounts && account_is(&p->accounts[p->last_account], provider, name))
		return &p->accounts[p->last_account];
	at = account_slot(p, provider, name);
	if (p->account_index[at] == 0 && (!make || memory_add_account(p, provider, name) == NULL))
		return NULL;
	p->last_account = p->account_index[at] - 1;
	return &p->accounts[p->last_account];
}

/* ---- weaknesses --------------------------------------------------------------- */

static uint32_t
home(uint64_t key)
{
	return (uint32_t)(key % WEAK_SLOTS);
}

struct weakness *
memory_weakness(struct posture *p, uint64_t key, bool make)
{
	uint32_t at = home(key);

	while (p->weaknesses[at].key != 0 && p->weaknesses[at].key != key)
		at = (at + 1) % WEAK_SLOTS;
	if (p->weaknesses[at].key == key)
		return &p->weaknesses[at];
	if (!make)
		return NULL;
	if (p->nweaknesses == MAX_WEAKNESSES) {
		p->not_remembered++;
		return NULL;
	}
	p->nweaknesses++;
	p->weaknesses[at] = (struct weakness){ .key = key };
	return &p->weaknesses[at];
}

/* Closes the gap, so that what was pushed on by it is still found (Knuth, TAOCP 3, 6.4, algorithm R). */
void
memory_forget(struct posture *p, struct weakness *w)
{
	uint32_t hole = (uint32_t)(w - p->weaknesses), at = hole;

	p->nweaknesses--;
	for (;;) {
		p->weaknesses[hole].key = 0;
		for (;;) {
			uint32_t want;

			at = (at + 1) % WEAK_SLOTS;
			if (p->weaknesses[at].key == 0)
				return;
			want = home(p->weaknesses[at].key);
			if ((at + WEAK_SLOTS - want) % WEAK_SLOTS >= (at + WEAK_SLOTS - hole) % WEAK_SLOTS)
				break;
		}
		p->weaknesses[hole] = p->weaknesses[at];
		hole = at;
	}
}

/* ---- saved -------------------------------------------------------------------- */

static void
save_account(const struct account *a, struct buf *out)
{
	buf_putc(out, (char)a->provider);
	buf_putc(out, (char)a->zone);
	buf_put(out, a->plan, PLANS);
	buf_putc(out, (char)strlen(a->name));
	buf_puts(out, a->name);
	for (int i = 0; i < PLANS; i++)
		buf_put_le64(out, (uint64_t)a->plan_ms[i]);
	for (int i = 0; i < TOPICS; i++)
		buf_put_le64(out, (uint64_t)a->newest_ms[i]);
}

static void
save_weakness(const struct weakness *w, struct buf *out)
{
	const char rest[3] = { (char)w->zone, (char)w->urgent, (char)w->is_path };

	buf_put_le64(out, w->key);
	buf_put_le64(out, (uint64_t)w->first_ms);
	buf_put_le64(out, (uint64_t)w->due_ms);
	buf_put_le64(out, (uint64_t)w->newest_ms);
	buf_put(out, rest, sizeof(rest));
}

int
posture_save(const struct posture *p, struct buf *out, struct err *err)
{
	const size_t begin = out->n;

	buf_put(out, MAGIC, 7);
	buf_putc(out, FORMAT);
	buf_put_le64(out, p->rules_mark);
	buf_put_le32(out, p->naccounts);
	buf_put_le32(out, p->nweaknesses);
	buf_put(out, p->key, sizeof(p->key));
	buf_put_le64(out, (uint64_t)p->full_ms);
	for (uint32_t i = 0; i < p->naccounts; i++)
		save_account(&p->accounts[i], out);
	for (uint32_t i = 0; i < WEAK_SLOTS; i++)
		if (p->weaknesses[i].key != 0)
			save_weakness(&p->weaknesses[i], out);
	if (!out->failed)
		buf_put_le32(out, crc32_ieee(0, out->p + begin, out->n - begin));
	return out->failed ? err_set(err, ERR_AGAIN, "no memory to save the posture") : 0;
}

static bool
take(struct slice *in, void *ret, size_t n)
{
	if (in->n < n)
		return false;
	memcpy(ret, in->p, n);
	*in = slice_make(in->p + n, in->n - n);
	return true;
}

static bool
take_i64(struct slice *in, int64_t *ret)
{
	char raw[8];

	if (!take(in, raw, sizeof(raw)))
		return false;
	*ret = (int64_t)get_le64(raw);
	return true;
}

static bool
restore_account(struct posture *p, struct slice *in)
{
	unsigned char head[3 + PLANS];
	struct account *a;

	if (!take(in, head, sizeof(head)) || head[0] >= P_COUNT || head[1] > ZONES || head[2 + PLANS] >= ACCOUNT_BYTES ||
	    head[2 + PLANS] == 0 || in->n < head[2 + PLANS] || !is_account_name(slice_make(in->p, head[2 + PLANS])))
		return false;
	a = memory_add_account(p, (enum provider)head[0], slice_make(in->p, head[2 + PLANS]));
	if (a == NULL)
		return false;
	*in = slice_make(in->p + head[2 + PLANS], in->n - head[2 + PLANS]);
	a->zone = head[1];
	for (int i = 0; i < PLANS; i++) {
		a->plan[i] = head[2 + i] <= PLAN_OFF ? head[2 + i] : PLAN_UNSEEN;
		if (!take_i64(in, &a->plan_ms[i]))
			return false;
	}
	for (int i = 0; i < TOPICS; i++)
		if (!take_i64(in, &a->newest_ms[i]))
			return false;
	return true;
}

static bool
restore_weakness(struct posture *p, struct slice *in)
{
	unsigned char rest[3];
	struct weakness v = { 0 }, *w;
	int64_t key;

	if (!take_i64(in, &key) || !take_i64(in, &v.first_ms) || !take_i64(in, &v.due_ms) || !take_i64(in, &v.newest_ms) ||
	    !take(in, rest, sizeof(rest)) || key == 0 || rest[0] < 1 || rest[0] > ZONES)
		return false;
	w = memory_weakness(p, (uint64_t)key, true);
	if (w == NULL)
		return false;
	v.key = (uint64_t)key;
	v.zone = rest[0];
	v.urgent = rest[1] != 0;
	v.is_path = rest[2] != 0;
	*w = v;
	return true;
}

int
posture_restore(struct posture *p, struct slice saved, struct err *err)
{
	uint32_t accounts, weaknesses;
	const bool first = saved.n >= 8 && saved.p[7] == '1';
	const size_t head = first ? HEAD_1 : HEAD_2;
	const int64_t full_ms = p->full_ms;
	struct slice in;
	bool good = true;

	if (saved.n < head + 4 || memcmp(saved.p, MAGIC, 7) != 0 || (!first && saved.p[7] != FORMAT) ||
	    crc32_ieee(0, saved.p, saved.n - 4) != get_le32(saved.p + saved.n - 4))
		return err_set(err, ERR_LOST, "the posture's memory is damaged or of another version");
	accounts = get_le32(saved.p + 16);
	weaknesses = get_le32(saved.p + 20);
	in = slice_make(saved.p + head, saved.n - head - 4);
	memory_clear(p);
	for (uint32_t i = 0; good && i < accounts; i++)
		good = restore_account(p, &in);
	if (first)
		in.n = 0;			/* their keys are of another kind */
	for (uint32_t i = 0; good && !first && i < weaknesses; i++)
		good = restore_weakness(p, &in);
	/* By other rules what was seen says nothing about the zone any more. */
	for (uint32_t i = 0; get_le64(saved.p + 8) != p->rules_mark && i < p->naccounts; i++)
		p->accounts[i].zone = (uint8_t)posture_account_zone(p, &p->accounts[i]);
	if (good && in.n == 0 && !first) {
		memcpy(p->key, saved.p + HEAD_1, sizeof(p->key));
		p->full_ms = (int64_t)get_le64(saved.p + HEAD_1 + sizeof(p->key));
	}
	if (good && in.n == 0)
		return 0;
	memory_clear(p);
	p->full_ms = full_ms;			/* nothing of it stays */
	return err_set(err, ERR_LOST, "the posture's memory is not whole");
}
