/* path.c - paths such as `a.b[0].list[type=ip].c`, the trie they make, and finding keys in it without case. */
#include "decode/plan.h"

#include <stdlib.h>
#include <string.h>

/* ---- text without case ------------------------------------------------------- */

#define ONES	UINT64_C(0x0101010101010101)

/* Eight bytes, ASCII capitals made small. */
static inline uint64_t
fold8(uint64_t w)
{
	uint64_t low = w & (ONES * 0x7f);
	uint64_t from_a = low + ONES * (0x80 - 'A');
	uint64_t past_z = low + ONES * (0x7f - 'Z');

	return w | (((from_a ^ past_z) & ~w & (ONES * 0x80)) >> 2);
}

/* Up to eight bytes at p; what is missing is zero. */
static inline uint64_t
load(const char *p, size_t n)
{
	uint64_t w = 0;
	uint32_t a, b;

	if (n >= 8) {
		memcpy(&w, p, 8);
	} else if (n >= 4) {
		memcpy(&a, p, 4);
		memcpy(&b, p + n - 4, 4);
		w = (uint64_t)a | (uint64_t)b << 32;
	} else if (n > 0) {
		w = (uint64_t)(unsigned char)p[0] | (uint64_t)(unsigned char)p[n / 2] << 8 |
		    (uint64_t)(unsigned char)p[n - 1] << 16;
	}
	return w;
}

static inline uint64_t
mix(uint64_t h, uint64_t w)
{
	h = (h ^ w) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

uint64_t
fold_hash(uint64_t seed, struct slice s)
{
	uint64_t h = mix(seed, s.n);
	const char *p = s.p;
	size_t n = s.n;

	for (; n > 8; p += 8, n -= 8)
		h = mix(h, fold8(load(p, 8)));
	h = mix(h, fold8(load(p, n)));
	return h != 0 ? h : 1;
}

static inline bool
fold_same(struct slice a, struct slice b)
{
	size_t n = a.n;
	const char *p = a.p, *q = b.p;

	if (a.n != b.n)
		return false;
	for (; n > 8; p += 8, q += 8, n -= 8)
		if (fold8(load(p, 8)) != fold8(load(q, 8)))
			return false;
	return fold8(load(p, n)) == fold8(load(q, n));
}

/* The same of a text in small letters already. */
static inline bool
fold_is(struct slice small, struct slice s)
{
	size_t n = s.n;
	const char *p = small.p, *q = s.p;

	if (small.n != s.n)
		return false;
	for (; n > 8; p += 8, q += 8, n -= 8)
		if (load(p, 8) != fold8(load(q, 8)))
			return false;
	return load(p, n) == fold8(load(q, n));
}

struct slice
fold_dup(struct arena *a, struct slice s)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return SLICE_NONE;
	for (size_t i = 0; i < s.n; i++)
		p[i] = (char)ascii_lower((unsigned char)s.p[i]);
	p[s.n] = '\0';
	return slice_make(p, s.n);
}

void
pattern_make(struct pattern *p, struct slice text)
{
	const char *star = text.n > 0 ? memchr(text.p, '*', text.n) : NULL;

	*p = (struct pattern){ .text = text, .glob = star != NULL };
	if (star == NULL)
		return;
	p->head_n = (uint32_t)(star - text.p);
	while (p->tail_n < text.n && text.p[text.n - 1 - p->tail_n] != '*')
		p->tail_n++;
}

static inline bool
same_letter(char a, char b)
{
	return ascii_lower((unsigned char)a) == ascii_lower((unsigned char)b);
}

static inline bool
is_letter(char b)
{
	unsigned char low = ascii_lower((unsigned char)b);

	return low >= 'a' && low <= 'z';
}

/* Where `word` stands in s at or behind `from`, or -1. Looks for a sign of it first: ids and operations have few. */
static ptrdiff_t
find_fold(struct slice s, size_t from, struct slice word)
{
	size_t sign = 0;

	while (sign < word.n && is_letter(word.p[sign]))
		sign++;
	if (sign == word.n)
		return slice_find_nocase(s, word, from);
	while (from + word.n <= s.n) {
		const char *p = memchr(s.p + from + sign, word.p[sign], s.n - from - word.n + 1);

		if (p == NULL)
			return -1;
		from = (size_t)(p - s.p) - sign;
		if (fold_same(slice_make(s.p + from, word.n), word))
			return (ptrdiff_t)from;
		from++;
	}
	return -1;
}

/* "*a*b*": each word behind the one before. `*` is the only sign, a `?` is itself. */
static bool
words_follow(struct slice pattern, struct slice s)
{
	size_t at = 0, end;

	for (size_t i = 0; i < pattern.n; i = end) {
		const char *star = memchr(pattern.p + i, '*', pattern.n - i);
		struct slice word;
		ptrdiff_t found;

		end = star != NULL ? (size_t)(star - pattern.p) : pattern.n;
		word = slice_make(pattern.p + i, end - i);
		end++;
		if (word.n == 0)
			continue;
		found = find_fold(s, at, word);
		if (found < 0)
			return false;
		at = (size_t)found + word.n;
	}
	return true;
}

bool
pattern_fits(const struct pattern *p, struct slice s)
{
	struct slice t = p->text;
	uint32_t head = p->head_n, tail = p->tail_n;

	if (!p->glob)
		return fold_same(t, s);
	if (s.n < head + tail || (head > 0 && !same_letter(s.p[0], t.p[0])) ||
	    (tail > 0 && !same_letter(s.p[s.n - 1], t.p[t.n - 1])))
		return false;
	if (!fold_same(slice_make(s.p + s.n - tail, tail), slice_make(t.p + t.n - tail, tail)) ||
	    !fold_same(slice_make(s.p, head), slice_make(t.p, head)))
		return false;
	if (t.n - head - tail == 1)
		return true;
	return words_follow(slice_make(t.p + head, t.n - head - tail), slice_make(s.p + head, s.n - head - tail));
}

struct slice
table_find(const struct table *t, struct slice text)
{
	uint64_t hash = fold_hash(0, text);

	for (uint32_t i = (uint32_t)hash & t->mask; t->slots[i].hash != 0; i = (i + 1) & t->mask)
		if (t->slots[i].hash == hash && fold_same(t->slots[i].key, text))
			return t->slots[i].value;
	for (uint32_t i = 0; i < t->nglobs; i++)
		if (pattern_fits(&t->globs[i].key, text))
			return t->globs[i].value;
	return SLICE_NONE;
}

/* ---- reading a path ------------------------------------------------------------ */

struct cursor { struct slice text; size_t at; struct arena *arena; };

static bool
more(const struct cursor *c)
{
	return c->at < c->text.n;
}

static char
peek(const struct cursor *c)
{
	return more(c) ? c->text.p[c->at] : '\0';
}

/* Up to one of `stops`, or what is in double quotes. */
static const char *
read_word(struct cursor *c, const char *stops, struct slice *ret)
{
	size_t from = c->at;

	if (peek(c) == '"') {
		const char *end = memchr(c->text.p + from + 1, '"', c->text.n - from - 1);

		if (end == NULL)
			return "a double quote is not closed";
		*ret = slice_make(c->text.p + from + 1, (size_t)(end - c->text.p) - from - 1);
		c->at = (size_t)(end - c->text.p) + 1;
	} else {
		while (more(c) && strchr(stops, peek(c)) == NULL)
			c->at++;
		*ret = slice_make(c->text.p + from, c->at - from);
		if (memchr(ret->p, '"', ret->n) != NULL || memchr(ret->p, ' ', ret->n) != NULL)
			return "a key with a blank or a quote stands in double quotes";
	}
	return ret->n == 0 ? "a key is empty" : NULL;
}

static const char *
fold_into(struct cursor *c, struct slice word, struct slice *ret)
{
	*ret = fold_dup(c->arena, word);
	return ret->p == NULL ? "no memory" : NULL;
}

/* A key; with a star outside quotes, a pattern for keys. */
static const char *
read_key(struct cursor *c, struct step *ret)
{
	bool quoted = peek(c) == '"';
	const char *wrong;
	struct slice word;

	wrong = read_word(c, ".[]=", &word);
	if (wrong == NULL)
		wrong = fold_into(c, word, &ret->key);
	if (wrong == NULL && !quoted && memchr(word.p, '*', word.n) != NULL) {
		ret->kind = STEP_GLOB;
		ret->value = ret->key;
	}
	return wrong;
}

/* Behind '['. */
static const char *
read_bracket(struct cursor *c, struct step *ret)
{
	const char *wrong;
	struct slice word;
	int64_t index;

	if (peek(c) == ']') {
		c->at++;
		ret->kind = STEP_FIRST;
		return NULL;
	}
	wrong = read_word(c, "=:]", &word);
	if (wrong != NULL)
		return wrong;
	if (peek(c) == '=' || peek(c) == ':') {
		ret->kind = peek(c) == '=' ? STEP_WHERE : STEP_PAIRS;
		c->at++;
		wrong = fold_into(c, word, &ret->key);
		if (wrong == NULL)
			wrong = read_word(c, "]", &word);
		if (wrong == NULL)
			wrong = fold_into(c, word, &ret->value);
	} else if (slice_to_i64(word, &index) && index >= 0 && index <= PLAN_MAX_INDEX) {
		ret->kind = STEP_INDEX;
		ret->index = (uint32_t)index;
	} else {
		wrong = "in brackets stands nothing, a number up to 999, key=value, or key:value";
	}
	if (wrong == NULL && peek(c) != ']')
		wrong = "a bracket is not closed";
	c->at++;
	return wrong;
}

const char *
path_parse(struct slice text, struct arena *arena, struct step ret[PLAN_MAX_STEPS], uint32_t *ret_n)
{
	struct cursor c = { .text = text, .arena = arena };
	bool key_next = true;
	uint32_t n = 0;

	if (text.n == 0 || text.n > 1024)
		return "a path has 1 to 1024 bytes";
	while (more(&c)) {
		const char *wrong;

		if (n == PLAN_MAX_STEPS)
			return "a path has at most 24 steps";
		ret[n] = (struct step){ .kind = STEP_KEY };
		if (peek(&c) == '[') {
			if (n == 0)
				return "a path begins with a key";
			c.at++;
			wrong = read_bracket(&c, &ret[n]);
		} else if (key_next) {
			wrong = read_key(&c, &ret[n]);
		} else {
			wrong = "a dot or a bracket is missing";
		}
		if (wrong != NULL)
			return wrong;
		n++;
		key_next = peek(&c) == '.';
		c.at += key_next ? 1 : 0;
	}
	if (key_next)
		return "a path ends with a key or a bracket";
	*ret_n = n;
	return NULL;
}

/* ---- the trie -------------------------------------------------------------------- */

static bool
grow(void **v, uint32_t *cap, size_t size, uint32_t max)
{
	uint32_t more_cap = *cap == 0 ? 64 : *cap * 2;
	void *p;

	if (more_cap > max)
		return false;
	p = realloc(*v, more_cap * size);
	if (p == NULL)
		return false;
	*v = p;
	*cap = more_cap;
	return true;
}

static uint32_t
new_node(struct trie *t, uint32_t parent)
{
	if (t->n == t->cap && !grow((void **)&t->nodes, &t->cap, sizeof(*t->nodes), PLAN_MAX_NODES))
		return 0;
	t->nodes[t->n] = (struct node){ .parent = parent };
	return t->n++;
}

static void
put_key(struct trie *t, struct key_slot slot)
{
	uint32_t i = (uint32_t)slot.hash & t->key_mask;

	while (t->keys[i].child != 0)
		i = (i + 1) & t->key_mask;
	t->keys[i] = slot;
}

static bool
grow_keys(struct trie *t)
{
	uint32_t n = t->keys == NULL ? 0 : t->key_mask + 1, wider = n == 0 ? 256 : n * 2;
	struct key_slot *old = t->keys, *keys;

	if ((t->nkeys + 1) * 2 <= n)
		return true;
	keys = calloc(wider, sizeof(*keys));
	if (keys == NULL)
		return false;
	t->keys = keys;
	t->key_mask = wider - 1;
	for (uint32_t i = 0; i < n; i++)
		if (old[i].child != 0)
			put_key(t, old[i]);
	free(old);
	return true;
}

uint32_t
trie_key(const struct trie *t, uint32_t node, struct slice key)
{
	uint64_t hash = fold_hash(node, key);

	for (uint32_t i = (uint32_t)hash & t->key_mask; t->keys[i].child != 0; i = (i + 1) & t->key_mask)
		if (t->keys[i].hash == hash && t->keys[i].parent == node &&
		    fold_is(slice_make(t->keys[i].key, t->keys[i].key_n), key))
			return t->keys[i].child;
	return 0;
}

static uint32_t
step_key(struct trie *t, uint32_t node, struct slice key)
{
	uint32_t child;

	if (!grow_keys(t))
		return 0;
	child = trie_key(t, node, key);
	if (child != 0)
		return child;
	child = new_node(t, node);
	if (child == 0)
		return 0;
	put_key(t, (struct key_slot){ .hash = fold_hash(node, key), .parent = node, .child = child, .key = key.p, .key_n = (uint32_t)key.n });
	t->nkeys++;
	t->nodes[node].in_object = true;
	return child;
}

static uint32_t
step_index(struct trie *t, uint32_t node, uint32_t index)
{
	uint32_t child;

	for (child = t->nodes[node].indexes; child != 0; child = t->nodes[child].sibling)
		if (t->nodes[child].index == index)
			return child;
	child = new_node(t, node);
	if (child == 0)
		return 0;
	t->nodes[child].index = index;
	t->nodes[child].sibling = t->nodes[node].indexes;
	t->nodes[node].indexes = child;
	t->nodes[node].in_array = true;
	return child;
}

/* Which of a node's chains a step of this kind is in. */
static uint32_t *
chain_of(struct node *n, enum step_kind kind)
{
	return kind == STEP_WHERE ? &n->wheres : kind == STEP_PAIRS ? &n->pairs : &n->globs;
}

static uint32_t
step_where(struct trie *t, uint32_t node, const struct step *s)
{
	uint32_t child, *first;

	for (uint32_t i = *chain_of(&t->nodes[node], s->kind); i != 0; i = t->wheres[i - 1].next) {
		const struct where *w = &t->wheres[i - 1];

		if (slice_eq(w->key, s->key) && slice_eq(w->value, s->value))
			return w->child;
	}
	if (t->nwheres == t->wheres_cap &&
	    !grow((void **)&t->wheres, &t->wheres_cap, sizeof(*t->wheres), PLAN_MAX_NODES))
		return 0;
	child = new_node(t, node);
	if (child == 0)
		return 0;
	first = chain_of(&t->nodes[node], s->kind);
	t->wheres[t->nwheres] = (struct where){ .key = s->key, .value = s->value, .child = child,
	    .next = *first, .glob = memchr(s->value.p, '*', s->value.n) != NULL };
	*first = ++t->nwheres;
	t->nodes[node].in_array |= s->kind != STEP_GLOB;
	t->nodes[node].in_object |= s->kind == STEP_GLOB;
	return child;
}

static uint32_t
step_first(struct trie *t, uint32_t node)
{
	uint32_t child = t->nodes[node].first;

	if (child == 0) {
		child = new_node(t, node);
		if (child != 0)
			t->nodes[node].first = child;
		t->nodes[node].in_array = true;
	}
	return child;
}

uint32_t
trie_add(struct trie *t, const struct step *s, uint32_t n)
{
	uint32_t at = 0;

	if (t->n == 0 && (!grow((void **)&t->nodes, &t->cap, sizeof(*t->nodes), PLAN_MAX_NODES) || !grow_keys(t)))
		return 0;
	if (t->n == 0)
		t->nodes[t->n++] = (struct node){ 0 };
	if (t->npaths >= PLAN_MAX_PATHS)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		switch (s[i].kind) {
		case STEP_KEY:
			at = step_key(t, at, s[i].key);
			break;
		case STEP_INDEX:
			at = step_index(t, at, s[i].index);
			break;
		case STEP_FIRST:
			at = step_first(t, at);
			break;
		case STEP_WHERE:
		case STEP_PAIRS:
		case STEP_GLOB:
			at = step_where(t, at, &s[i]);
			break;
		}
		if (at == 0)
			return 0;
	}
	if (!t->nodes[at].wanted)
		t->npaths++;
	t->nodes[at].wanted = true;
	return at;
}

bool
trie_is_element(const struct trie *t, uint32_t node)
{
	const struct node *list = &t->nodes[t->nodes[node].parent];

	if (list->first == node)
		return true;
	for (uint32_t i = list->wheres; i != 0; i = t->wheres[i - 1].next)
		if (t->wheres[i - 1].child == node)
			return true;
	return false;
}

void
trie_fini(struct trie *t)
{
	free(t->nodes);
	free(t->keys);
	free(t->wheres);
	*t = (struct trie){ 0 };
}
