/*
 * needs.c - which blocks of a family's rules a record can fill. Nearly every block yields nothing unless one of certain
 * keys is there; the walk tells which are, and only the blocks that wait for one of them, or for none, are tried.
 */
#include "decode/plan.h"

#include <string.h>

struct indexing {
	struct decoder	*d;
	struct family	*family;
	uint32_t	 trial;
	bool		 put;		/* else: count them */
};

static void
tell(struct indexing *x, uint32_t node)
{
	struct node *n = &x->d->trie.nodes[node];

	if (x->put)
		x->d->needs[n->needs + n->nneeds] = (struct need){ .family = x->family->number, .trial = x->trial };
	n->nneeds++;
}

static bool
are_paths(const struct ref *refs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (refs[i].kind != REF_PATH)
			return false;
	return n > 0;
}

/* A path that a sentence cannot do without. */
static uint32_t
said_node(const struct block *b)
{
	bool inside = false;

	for (uint32_t i = 0; i < b->nparts; i++) {
		const struct part *p = &b->parts[i];

		if (p->kind == PART_OPEN || p->kind == PART_CLOSE)
			inside = p->kind == PART_OPEN;
		else if (p->kind == PART_REF && !inside && p->ref.kind == REF_PATH)
			return p->ref.node;
	}
	return 0;
}

/* Tells the nodes of which one must be there; false: it may yield something without any. */
static bool
tell_needs(struct indexing *x, const struct block *b)
{
	uint32_t said = b->kind == FROM_SAY ? said_node(b) : 0;

	if ((b->kind == FROM_REFS || b->kind == FROM_ALL) && b->otherwise.p == NULL && are_paths(b->refs, b->nrefs)) {
		for (uint32_t i = 0; i < b->nrefs; i++)
			tell(x, b->refs[i].node);
		return true;
	}
	for (uint32_t i = 0; i < b->ntests; i++)
		if (b->tests[i].kind != TEST_ABSENT && b->tests[i].ref.kind == REF_PATH) {
			tell(x, b->tests[i].ref.node);
			return true;
		}
	if (said != 0 && b->otherwise.p == NULL)
		tell(x, said);
	return said != 0 && b->otherwise.p == NULL;
}

static void
index_rules(struct indexing *x, struct rule *rules, uint32_t n)
{
	struct family *f = x->family;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t next = x->trial + rules[i].nblocks;

		for (uint32_t k = 0; k < rules[i].nblocks; k++, x->trial++) {
			bool waits = tell_needs(x, &rules[i].blocks[k]);

			f->trials[x->trial] = (struct trial){ .rule = &rules[i], .block = &rules[i].blocks[k], .next = next };
			if (!waits)
				f->always[x->trial / 64] |= UINT64_C(1) << x->trial % 64;
		}
	}
}

static int
make_trials(struct compiler *c, struct family *f)
{
	f->nfield_trials = f->ntrials = 0;
	for (uint32_t i = 0; i < f->nrules; i++)
		f->nfield_trials += f->rules[i].nblocks;
	f->ntrials = f->nfield_trials;
	for (uint32_t i = 0; i < f->nadditional; i++)
		f->ntrials += f->additional[i].nblocks;
	f->trials = plan_alloc(c, f->ntrials, sizeof(*f->trials));
	f->always = plan_alloc(c, f->ntrials / 64 + 1, sizeof(*f->always));
	return f->trials != NULL && f->always != NULL ? 0 : -1;
}

static void
index_family(struct decoder *d, struct family *f, bool put)
{
	struct indexing x = { .d = d, .family = f, .put = put };

	index_rules(&x, f->rules, f->nrules);
	index_rules(&x, f->additional, f->nadditional);
}

static struct family *
family_at(const struct decoder *d, uint32_t i)
{
	return i < d->nfamilies ? d->families[i] : d->unknown;
}

/* Room for what the walks of one record can fill: all nodes, and those of each list's elements once more. */
static uint32_t
most_filled(const struct decoder *d)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < d->nfamilies; i++) {
		uint32_t n = 0;

		for (uint32_t k = 0; k < d->families[i]->neach; k++)
			n += d->families[i]->each[k].nbelow;
		most = n > most ? n : most;
	}
	return d->trie.n + most;
}

int
needs_index(struct compiler *c)
{
	struct decoder *d = c->d;
	uint32_t total = 0;

	for (uint32_t i = 0; i <= d->nfamilies; i++) {
		struct family *f = family_at(d, i);

		f->number = i;
		if (make_trials(c, f) != 0)
			return -1;
		if (f->ntrials > d->max_trials)
			d->max_trials = f->ntrials;
		index_family(d, f, false);
	}
	for (uint32_t i = 0; i < d->trie.n; i++) {
		d->trie.nodes[i].needs = total;
		total += d->trie.nodes[i].nneeds;
		d->trie.nodes[i].nneeds = 0;
	}
	d->needs = plan_alloc(c, total, sizeof(*d->needs));
	if (d->needs == NULL)
		return -1;
	for (uint32_t i = 0; i <= d->nfamilies; i++)
		index_family(d, family_at(d, i), true);
	d->max_filled = most_filled(d);
	return 0;
}

/* ---- on a record ------------------------------------------------------------------------------- */

void
needs_start(struct decode_ctx *c)
{
	const struct decoder *d = c->plan;
	const struct family *f = c->family;

	memcpy(c->ready, f->always, (f->ntrials / 64 + 1) * sizeof(*c->ready));
	for (uint32_t i = 0; i < c->nfilled; i++) {
		const struct node *n = &d->trie.nodes[c->filled[i]];

		for (uint32_t k = n->needs; k < n->needs + n->nneeds; k++)
			if (d->needs[k].family == f->number)
				c->ready[d->needs[k].trial / 64] |= UINT64_C(1) << d->needs[k].trial % 64;
	}
}

/* The next that is ready, at or behind i; past the end: some number past it. */
static uint32_t
next_ready(const struct decode_ctx *c, uint32_t i, uint32_t end)
{
	uint64_t word;

	for (; i < end; i = (i / 64 + 1) * 64) {
		word = c->ready[i / 64] >> i % 64;
		if (word != 0)
			return i + (uint32_t)__builtin_ctzll(word);
	}
	return end;
}

const struct rule *
needs_next(struct decode_ctx *c, const struct event *e, uint32_t *at, uint32_t end, struct val *ret)
{
	const struct trial *t = c->family->trials;

	for (uint32_t i = next_ready(c, *at, end); i < end; i = next_ready(c, i + 1, end))
		if (apply_block(c, e, t[i].rule, t[i].block, ret)) {
			*at = t[i].next;
			return t[i].rule;
		}
	return NULL;
}
