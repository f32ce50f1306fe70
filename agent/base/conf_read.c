/* conf_read.c - from YAML nodes to typed values, by the rows of a table, with every complaint on the way. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/conf_value.h"

#define WORDS_BYTES	512

static void
complain(struct conf_tree *t, const struct yaml_node *at, const char *path, const char *text, const char *allowed)
{
	problem_add(t->problems, at->file, at->line, path, "\"%.80s\" is not allowed; allowed: %s", text, allowed);
}

/* ---- words for people ---------------------------------------------------------- */

static void
limits_text(const struct conf_key *k, const char *what, char *ret, size_t n)
{
	if (k->least != 0 && k->most != 0)
		snprintf(ret, n, "%s, %.15g to %.15g", what, k->least, k->most);
	else if (k->most != 0)
		snprintf(ret, n, "%s, at most %.15g", what, k->most);
	else if (k->least != 0)
		snprintf(ret, n, "%s, at least %.15g", what, k->least);
	else
		snprintf(ret, n, "%s", what);
}

void
conf_key_type_text(const struct conf_key *k, char *ret, size_t n)
{
	switch (k->type) {
	case CONF_TEXT: snprintf(ret, n, "%s", k->allowed != NULL ? k->allowed : "text"); break;
	case CONF_WORD: snprintf(ret, n, "%s%s", k->allowed, k->keys != NULL ? ", or a block" : ""); break;
	case CONF_BOOL: snprintf(ret, n, "true or false"); break;
	case CONF_COUNT: limits_text(k, "whole number", ret, n); break;
	case CONF_REAL: limits_text(k, "number", ret, n); break;
	case CONF_BYTES: limits_text(k, "size such as 512, 64KiB or 4GiB (in bytes)", ret, n); break;
	case CONF_TIME: limits_text(k, "time such as 500ms, 5s, 10m, 2h or 7d (in ms)", ret, n); break;
	case CONF_SECRET: snprintf(ret, n, "{file: PATH}, {env: NAME} or {credential: NAME}"); break;
	case CONF_TEXTS: snprintf(ret, n, "%s", k->allowed != NULL ? k->allowed : "list of texts"); break;
	case CONF_MAP: snprintf(ret, n, "names and texts"); break;
	case CONF_BLOCK: snprintf(ret, n, "a block"); break;
	case CONF_BLOCKS: snprintf(ret, n, "a list of blocks"); break;
	}
}

/* "a|b|c" of the keys of one or two tables. */
static void
key_words(const struct conf_key *a, const struct conf_key *b, char *ret, size_t n)
{
	size_t at = 0;

	ret[0] = '\0';
	for (int i = 0; i < 2; i++)
		for (const struct conf_key *k = i == 0 ? a : b; k != NULL && k->name != NULL; k++)
			if (at + strlen(k->name) + 2 < n)
				at += (size_t)snprintf(ret + at, n - at, "%s%s", at > 0 ? "|" : "", k->name);
}

/* ---- single values ------------------------------------------------------------- */

struct unit { const char *name; double factor; };

static bool
with_unit(const char *text, const struct unit *units, uint64_t *ret)
{
	char *end;
	double v;

	if (text[0] < '0' || text[0] > '9')
		return false;
	v = strtod(text, &end);
	while (*end == ' ')
		end++;
	for (; units->name != NULL; units++)
		if (strcmp(units->name, end) == 0) {
			v *= units->factor;
			if (!(v >= 0 && v < 9e18))
				return false;
			*ret = (uint64_t)llround(v);
			return true;
		}
	return false;
}

bool
conf_parse_time(const char *text, uint64_t *ret_ms)
{
	static const struct unit units[] = { { "ms", 1 }, { "s", 1e3 }, { "m", 6e4 }, { "h", 3.6e6 }, { "d", 8.64e7 }, { NULL, 0 } };

	return with_unit(text, units, ret_ms) || (strcmp(text, "0") == 0 && (*ret_ms = 0, true));
}

static bool
parse_bytes(const char *text, uint64_t *ret)
{
	static const struct unit units[] = {
		{ "", 1 }, { "B", 1 }, { "kB", 1e3 }, { "KB", 1e3 }, { "MB", 1e6 }, { "GB", 1e9 }, { "TB", 1e12 },
		{ "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 }, { "TiB", 1099511627776 }, { NULL, 0 },
	};

	return with_unit(text, units, ret);
}

static bool
is_word(const char *text, const char *words)
{
	size_t n = strlen(text);

	for (const char *at = words; *at != '\0';) {
		size_t len = strcspn(at, "|");

		if (len == n && memcmp(at, text, n) == 0)
			return true;
		at += len + (at[len] == '|');
	}
	return false;
}

static bool
within(const struct conf_key *k, double v)
{
	return (k->least == 0 || v >= k->least) && (k->most == 0 || v <= k->most);
}

/* Text to value; false when it is not of the key's type or outside its limits. */
static bool
convert(const struct conf_key *k, const char *text, struct conf_value *v)
{
	int64_t whole;

	v->text = text;
	switch (k->type) {
	case CONF_WORD:
		return is_word(text, k->allowed);
	case CONF_BOOL:
		v->number = strcmp(text, "true") == 0;
		return v->number || strcmp(text, "false") == 0;
	case CONF_COUNT:
		if (!slice_to_i64(slice_of(text), &whole) || !within(k, (double)whole))
			return false;
		v->number = (uint64_t)whole;
		return true;
	case CONF_REAL:
		return slice_to_double(slice_of(text), &v->real) && within(k, v->real);
	case CONF_BYTES:
		return parse_bytes(text, &v->number) && within(k, (double)v->number);
	case CONF_TIME:
		return conf_parse_time(text, &v->number) && within(k, (double)v->number);
	default:
		return true;
	}
}

static void
check_wrong(struct conf *c, struct conf_value *v, const char *path, const char *text, const struct yaml_node *at)
{
	const char *allowed = v->key->wrong != NULL ? v->key->wrong(c, text) : NULL;

	if (allowed != NULL && at != NULL)
		complain(c->tree, at, path, text, allowed);
}

static void
read_scalar(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	char allowed[WORDS_BYTES], guess[64];

	conf_key_type_text(v->key, allowed, sizeof(allowed));
	if (node->kind != YAML_SCALAR) {
		problem_add(c->tree->problems, node->file, node->line, path, "a %s is not allowed; allowed: %s",
		    node->kind == YAML_LIST ? "list" : "block", allowed);
	} else if (!convert(v->key, node->text, v)) {
		v->text = NULL;
		if (v->key->type == CONF_WORD && nearest_word(node->text, v->key->allowed, guess, sizeof(guess)) != NULL)
			problem_add(c->tree->problems, node->file, node->line, path,
			    "\"%.80s\" is not allowed; allowed: %s (did you mean \"%s\"?)", node->text, allowed, guess);
		else
			complain(c->tree, node, path, node->text, allowed);
	}
}

static bool
list_room(struct conf *c, struct conf_value *v, size_t n)
{
	v->texts = arena_zalloc(&c->tree->arena, (n + 1) * sizeof(*v->texts));
	v->names = arena_zalloc(&c->tree->arena, (n + 1) * sizeof(*v->names));
	if (v->texts == NULL || v->names == NULL)
		c->tree->short_of_memory = true;
	return !c->tree->short_of_memory;
}

static void
read_texts(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	bool single = node->kind == YAML_SCALAR;

	if (node->kind == YAML_MAP) {
		problem_add(c->tree->problems, node->file, node->line, path, "a block is not allowed; allowed: a list of texts");
		return;
	}
	if (!list_room(c, v, single ? 1 : node->children))
		return;
	for (const struct yaml_node *n = single ? node : node->first; n != NULL; n = single ? NULL : n->next) {
		if (n->kind != YAML_SCALAR)
			problem_add(c->tree->problems, n->file, n->line, path, "only texts are allowed in this list");
		else
			v->texts[v->n++] = n->text;
	}
}

static void
read_map(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	if (node->kind != YAML_MAP) {
		problem_add(c->tree->problems, node->file, node->line, path, "allowed: names and texts, {name: text}");
		return;
	}
	if (!list_room(c, v, node->children))
		return;
	for (const struct yaml_node *n = node->first; n != NULL; n = n->next) {
		if (n->kind != YAML_SCALAR) {
			problem_add(c->tree->problems, n->file, n->line, path, "%s: only a text is allowed here", n->key->text);
			continue;
		}
		v->names[v->n] = n->key->text;
		v->texts[v->n++] = n->text;
	}
}

static void
read_secret(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	static const char form[] = "{file: PATH}, {env: NAME} or {credential: NAME}";
	const struct yaml_node *n = node->first;

	if (node->kind == YAML_SCALAR) {
		problem_add(c->tree->problems, node->file, node->line, path, "a literal secret is refused; write %s", form);
		return;
	}
	if (node->kind != YAML_MAP || node->children != 1 || n->kind != YAML_SCALAR || n->text_n == 0 ||
	    !is_word(n->key->text, "file|env|credential")) {
		problem_add(c->tree->problems, node->file, node->line, path, "allowed: %s", form);
		return;
	}
	if (list_room(c, v, 1)) {
		v->names[0] = n->key->text;
		v->texts[0] = n->text;
		v->n = 1;
	}
}

static void
add_block(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	struct conf *b;

	if (node != NULL && node->kind != YAML_MAP) {
		problem_add(c->tree->problems, node->file, node->line, path, "a block of keys is needed here");
		return;
	}
	b = conf_bind(c->tree, c, path, v->key->keys, v->key, node);
	if (b != NULL)
		v->blocks[v->n++] = b;
}

static void
read_blocks(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	bool many = v->key->type == CONF_BLOCKS;
	char item[96];
	size_t i = 0;

	if (many && node->kind != YAML_LIST) {
		problem_add(c->tree->problems, node->file, node->line, path, "a list of blocks is needed here");
		return;
	}
	v->blocks = arena_zalloc(&c->tree->arena, (many ? node->children + 1 : 1) * sizeof(struct conf *));
	if (v->blocks == NULL) {
		c->tree->short_of_memory = true;
		return;
	}
	if (!many) {
		add_block(c, v, path, node);
		return;
	}
	for (const struct yaml_node *n = node->first; n != NULL; n = n->next) {
		snprintf(item, sizeof(item), "%.70s[%zu]", path, i++);
		add_block(c, v, item, n);
	}
}

static void
read_value(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	size_t before = c->tree->problems->errors;

	if (yaml_is_null(node)) {
		problem_add(c->tree->problems, node->file, node->line, path, "has no value; leave the key out, or give it one");
		return;
	}
	v->at = node;
	switch (v->key->type) {
	case CONF_TEXTS: read_texts(c, v, path, node); break;
	case CONF_MAP: read_map(c, v, path, node); break;
	case CONF_SECRET: read_secret(c, v, path, node); break;
	case CONF_BLOCK:
	case CONF_BLOCKS: read_blocks(c, v, path, node); break;
	default:
		if (v->key->keys != NULL && node->kind == YAML_MAP)
			read_blocks(c, v, path, node);
		else
			read_scalar(c, v, path, node);
	}
	if (c->tree->problems->errors != before)
		return;
	if (v->key->type == CONF_TEXTS)
		for (size_t i = 0; i < v->n; i++)
			check_wrong(c, v, path, v->texts[i], node);
	else if (v->text != NULL)
		check_wrong(c, v, path, v->text, node);
}

/* ---- a block --------------------------------------------------------------------- */

static bool
all_have_fallbacks(const struct conf_key *keys)
{
	for (const struct conf_key *k = keys; k != NULL && k->name != NULL; k++)
		if (k->flags & CONF_REQUIRED)
			return false;
	return true;
}

static void
fall_back(struct conf *c, struct conf_value *v, const char *path)
{
	const char *text = v->key->fallback;

	if (v->key->type == CONF_BLOCK && v->key->variant == NULL && all_have_fallbacks(v->key->keys)) {
		v->blocks = arena_zalloc(&c->tree->arena, sizeof(struct conf *));
		if (v->blocks != NULL)
			add_block(c, v, path, NULL);
	} else if (v->key->type == CONF_TEXTS && text != NULL) {
		if (list_room(c, v, 1))
			v->texts[v->n++] = text;
	} else if (text != NULL && !convert(v->key, text, v)) {
		abort();	/* a row of a table contradicts itself: a bug */
	}
}

/* The keys that one word of the block adds: `type: file`. */
static const struct conf_key *
variant_keys(struct conf_tree *t, const char *path, const struct conf_key *of, const struct yaml_node *node)
{
	const struct yaml_node *word = node != NULL ? yaml_get(node, of->variant_key) : NULL;
	const struct conf_key *more;
	char guess[64], where[96];

	if (word == NULL || word->kind != YAML_SCALAR) {
		if (node != NULL)
			problem_add(t->problems, node->file, node->line, path, "%s is missing; allowed: %s", of->variant_key,
			    of->variant_words);
		return NULL;
	}
	more = of->variant(word->text);
	if (more == NULL) {
		snprintf(where, sizeof(where), "%.70s.%s", path, of->variant_key);
		if (nearest_word(word->text, of->variant_words, guess, sizeof(guess)) != NULL)
			problem_add(t->problems, word->file, word->line, where,
			    "\"%.80s\" is not allowed; allowed: %s (did you mean \"%s\"?)", word->text, of->variant_words, guess);
		else
			complain(t, word, where, word->text, of->variant_words);
	}
	return more;
}

static void
complain_unknown(struct conf_tree *t, const struct yaml_node *node, const char *path, const struct conf_key *a,
    const struct conf_key *b)
{
	char words[WORDS_BYTES], guess[64], where[96];

	key_words(a, b, words, sizeof(words));
	snprintf(where, sizeof(where), "%.60s%s%.30s", path, path[0] != '\0' ? "." : "", node->key->text);
	if (nearest_word(node->key->text, words, guess, sizeof(guess)) != NULL)
		problem_add(t->problems, node->file, node->key->line, where, "unknown key (did you mean \"%s\"?); allowed: %s",
		    guess, words);
	else
		problem_add(t->problems, node->file, node->key->line, where, "unknown key; allowed: %s", words);
}

static size_t
count_keys(const struct conf_key *k)
{
	size_t n = 0;

	while (k != NULL && k[n].name != NULL)
		n++;
	return n;
}

static void
read_key(struct conf *c, struct conf_value *v)
{
	const struct yaml_node *node = c->node != NULL ? yaml_get(c->node, v->key->name) : NULL;
	char path[96];

	snprintf(path, sizeof(path), "%.60s%s%.30s", c->path, c->path[0] != '\0' ? "." : "", v->key->name);
	if (node != NULL)
		read_value(c, v, path, node);
	else if ((v->key->flags & CONF_REQUIRED) && c->node != NULL)
		problem_add(c->tree->problems, c->node->file, c->node->line, path, "is missing: %s", v->key->help);
	if (v->text == NULL && v->n == 0 && v->blocks == NULL)
		fall_back(c, v, path);
}

struct conf *
conf_bind(struct conf_tree *t, const struct conf *parent, const char *path, const struct conf_key *keys,
    const struct conf_key *of, const struct yaml_node *node)
{
	const struct conf_key *more = of != NULL && of->variant != NULL ? variant_keys(t, path, of, node) : NULL;
	size_t n = count_keys(keys), nmore = count_keys(more);
	struct conf *c = arena_zalloc(&t->arena, sizeof(*c));

	if (c != NULL)
		c->values = arena_zalloc(&t->arena, (n + nmore + 1) * sizeof(*c->values));
	if (c == NULL || c->values == NULL) {
		t->short_of_memory = true;
		return NULL;
	}
	c->tree = t;
	c->node = node;
	c->parent = parent;
	snprintf(c->path, sizeof(c->path), "%s", path);
	/* All rows first: a row's `wrong` may look at its neighbours. */
	for (size_t i = 0; i < n + nmore; i++)
		c->values[i].key = i < n ? &keys[i] : &more[i - n];
	c->n = n + nmore;
	for (size_t i = 0; i < c->n; i++)
		read_key(c, &c->values[i]);
	for (const struct yaml_node *m = node != NULL ? node->first : NULL; m != NULL; m = m->next) {
		bool known = of != NULL && of->variant != NULL && more == NULL;

		for (size_t i = 0; i < c->n && !known; i++)
			known = strcmp(c->values[i].key->name, m->key->text) == 0;
		if (!known)
			complain_unknown(t, m, path, keys, more);
	}
	return c;
}
