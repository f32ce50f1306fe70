/* conf_read.c - from YAML nodes to typed values, by the rows of a table, with every complaint on the way. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/conf_value.h"

#define WORDS_BYTES	512	/* of a table's words, "a|b|c" */
#define LIST_BYTES	210	/* of them in a complaint */
#define TEXT_MAX_BYTES	8192

/* ---- complaints ------------------------------------------------------------------ */

/* A URL may hold a password: such a value is not shown. */
static bool
is_private(const char *text)
{
	return strchr(text, '@') != NULL && strstr(text, "://") != NULL;
}

static void
complain(struct conf_tree *t, const struct yaml_node *at, const char *path, const char *text, const char *allowed)
{
	const int shown = (int)utf8_cut(slice_of(text), 80);

	if (is_private(text))
		problem_add(t->problems, at->file, at->line, path, "this value is not allowed; allowed: %s", allowed);
	else
		problem_add(t->problems, at->file, at->line, path, "\"%.*s\" is not allowed; allowed: %s", shown, text, allowed);
}

/* The same for a word, with a guess at what was meant. */
static void
complain_word(struct conf_tree *t, const struct yaml_node *at, const char *path, const char *text, const char *words)
{
	char allowed[WORDS_BYTES], list[LIST_BYTES], guess[64];

	conf_words_text(words, list, sizeof(list));
	if (nearest_word(text, words, guess, sizeof(guess)) != NULL)
		snprintf(allowed, sizeof(allowed), "%s (did you mean \"%s\"?)", list, guess);
	else
		snprintf(allowed, sizeof(allowed), "%s", list);
	complain(t, at, path, text, allowed);
}

static void
complain_kind(struct conf *c, const struct conf_key *key, const char *path, const struct yaml_node *node)
{
	static const char *const kinds[] = { [YAML_SCALAR] = "text", [YAML_LIST] = "list", [YAML_MAP] = "block" };
	char allowed[WORDS_BYTES];

	conf_key_type_text(key, allowed, sizeof(allowed));
	problem_add(c->tree->problems, node->file, node->line, path, "a %s is not allowed here; allowed: %.200s",
	    kinds[node->kind], allowed);
}

static void
complain_unknown(struct conf_tree *t, const struct yaml_node *node, const char *path, const struct conf_key *a,
    const struct conf_key *b)
{
	char words[WORDS_BYTES] = "", list[LIST_BYTES], guess[64];
	size_t at = 0;

	if (problems_full(t->problems)) {
		problem_add(t->problems, node->file, node->key->line, path, "unknown key");
		return;
	}
	for (int i = 0; i < 2; i++)
		for (const struct conf_key *k = i == 0 ? a : b; k != NULL && k->name != NULL; k++)
			if (at + strlen(k->name) + 2 < sizeof(words))
				at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s", at > 0 ? "|" : "", k->name);
	conf_words_text(words, list, sizeof(list));
	if (nearest_word(node->key->text, words, guess, sizeof(guess)) != NULL)
		problem_add(t->problems, node->file, node->key->line, path, "unknown key; allowed: %s (did you mean \"%s\"?)", list,
		    guess);
	else
		problem_add(t->problems, node->file, node->key->line, path, "unknown key; allowed: %s", list);
}

/* "sinks[0]" and "endpoint" to "sinks[0].endpoint"; what is too long is cut. */
static void
join_path(const char *block, const char *name, char ret[96])
{
	snprintf(ret, 96, "%.60s%s%.30s", block, block[0] != '\0' ? "." : "", name);
}

/* ---- single values ------------------------------------------------------------- */

static bool
is_word(const char *text, const char *words)
{
	const size_t n = strlen(text);

	for (const char *at = words; *at != '\0';) {
		const size_t len = strcspn(at, "|");

		if (len == n && memcmp(at, text, n) == 0)
			return true;
		at += len + (at[len] == '|');
	}
	return false;
}

static bool
within(const struct conf_key *k, double v)
{
	return (k->least == 0 && k->most == 0) || (v >= k->least && (k->most == 0 || v <= k->most));
}

/* Text to value; false when it is not of the key's type or outside its limits. */
static bool
convert(const struct conf_key *k, const char *text, struct conf_value *v)
{
	uint64_t amount;
	int64_t whole;
	double real;

	switch (k->type) {
	case CONF_WORD:
		if (!is_word(text, k->allowed))
			return false;
		break;
	case CONF_BOOL:
		if (!is_word(text, "true|false"))
			return false;
		v->number = text[0] == 't';
		break;
	case CONF_COUNT:
		if (!slice_to_i64(slice_of(text), &whole) || !within(k, (double)whole))
			return false;
		v->number = (uint64_t)whole;
		break;
	case CONF_REAL:
		if (!slice_to_double(slice_of(text), &real) || !within(k, real))
			return false;
		v->real = real;
		break;
	case CONF_BYTES:
	case CONF_TIME:
		if (!(k->type == CONF_TIME ? conf_parse_time : conf_parse_bytes)(text, &amount) || !within(k, (double)amount))
			return false;
		v->number = amount;
		break;
	default:
		break;
	}
	v->text = text;
	return true;
}

/* What goes into headers, paths and settings of libraries must be one clean line. */
static bool
check_text(struct conf *c, const char *path, const struct yaml_node *node, bool may_be_empty)
{
	const char *what = NULL;

	if (node->text_n == 0 && !may_be_empty)
		what = "an empty text is not allowed";
	else if (node->text_n > TEXT_MAX_BYTES)
		what = "the text is too long";
	for (size_t i = 0; i < node->text_n && what == NULL; i++)
		if ((unsigned char)node->text[i] < 0x20 || node->text[i] == 0x7f)
			what = "control characters and line ends are not allowed in it";
	if (what != NULL)
		problem_add(c->tree->problems, node->file, node->line, path, "%s", what);
	return what == NULL;
}

static void
read_scalar(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	char allowed[WORDS_BYTES];

	if (node->kind != YAML_SCALAR) {
		complain_kind(c, v->key, path, node);
	} else if (v->key->type == CONF_TEXT && !check_text(c, path, node, false)) {
		return;
	} else if (convert(v->key, node->text, v)) {
		v->good = true;
	} else if (v->key->type == CONF_WORD) {
		complain_word(c->tree, node, path, node->text, v->key->allowed);
	} else {
		conf_key_type_text(v->key, allowed, sizeof(allowed));
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
	const bool single = node->kind == YAML_SCALAR;

	if (node->kind == YAML_MAP) {
		complain_kind(c, v->key, path, node);
		return;
	}
	if (!list_room(c, v, single ? 1 : node->children))
		return;
	v->good = true;
	for (const struct yaml_node *n = single ? node : node->first; n != NULL; n = single ? NULL : n->next) {
		if (n->kind != YAML_SCALAR)
			complain_kind(c, v->key, path, n);
		else if (check_text(c, path, n, false)) {
			v->texts[v->n++] = n->text;
			continue;
		}
		v->good = false;
	}
	if (v->good && v->n == 0 && (v->key->flags & CONF_REQUIRED)) {
		problem_add(c->tree->problems, node->file, node->line, path, "an empty list is not allowed");
		v->good = false;
	}
}

static void
read_map(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	if (node->kind != YAML_MAP) {
		complain_kind(c, v->key, path, node);
		return;
	}
	if (!list_room(c, v, node->children))
		return;
	for (const struct yaml_node *n = node->first; n != NULL; n = n->next) {
		char of[96];

		join_path(path, n->key->text, of);
		if (n->kind != YAML_SCALAR) {
			problem_add(c->tree->problems, n->file, n->line, of, "only a text is allowed here");
		} else if (check_text(c, of, n, true) && check_text(c, of, n->key, false)) {
			v->names[v->n] = n->key->text;
			v->texts[v->n++] = n->text;
		}
	}
}

static void
read_secret(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	const struct yaml_node *n = node->first;

	if (node->kind == YAML_SCALAR) {
		problem_add(c->tree->problems, node->file, node->line, path, "a literal is refused; write " CONF_SECRET_FORM);
		return;
	}
	if (node->kind != YAML_MAP || node->children != 1 || n->kind != YAML_SCALAR || n->text_n == 0 ||
	    !is_word(n->key->text, "file|env|credential")) {
		problem_add(c->tree->problems, node->file, node->line, path, "allowed: " CONF_SECRET_FORM);
		return;
	}
	if (!check_text(c, path, n, false) || !list_room(c, v, 1))
		return;
	v->names[0] = n->key->text;
	v->texts[0] = n->text;
	v->n = 1;
}

static void
add_block(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	struct conf *b;

	if (node != NULL && node->kind != YAML_MAP) {
		problem_add(c->tree->problems, node->file, node->line, path, "a block of keys is needed here");
		if (v->key->type == CONF_BLOCKS)
			return;
		node = NULL;
	}
	b = conf_bind(c->tree, c, path, v->key->keys, v->key, node);
	if (b != NULL)
		v->blocks[v->n++] = b;
}

static void
read_blocks(struct conf *c, struct conf_value *v, const char *path, const struct yaml_node *node)
{
	const bool many = v->key->type == CONF_BLOCKS;
	char item[96];
	size_t i = 0;

	if (many && node->kind != YAML_LIST) {
		complain_kind(c, v->key, path, node);
		return;
	}
	if (many && v->key->most > 0 && (double)node->children > v->key->most) {
		problem_add(c->tree->problems, node->file, node->line, path, "%zu blocks are too many; allowed: at most %.0f", node->children,
		    v->key->most);
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
}

/* ---- what is not given ------------------------------------------------------------- */

static bool
needs_nothing(const struct conf_key *keys)
{
	for (const struct conf_key *k = keys; k != NULL && k->name != NULL; k++)
		if (k->flags & CONF_REQUIRED)
			return false;
	return true;
}

static void
fall_back_to_block(struct conf *c, struct conf_value *v, const char *path)
{
	v->blocks = arena_zalloc(&c->tree->arena, sizeof(struct conf *));
	if (v->blocks != NULL)
		add_block(c, v, path, NULL);
	else
		c->tree->short_of_memory = true;
}

/* A value that is missing although it must not be: the file is refused anyway, but others' checks may look at it. */
static void
fill_in(struct conf *c, struct conf_value *v, const char *path)
{
	char *word = NULL;

	if (v->key->type == CONF_BLOCK)
		fall_back_to_block(c, v, path);
	if (v->key->type == CONF_WORD && !c->loose)
		word = arena_cstr(&c->tree->arena, slice_make(v->key->allowed, strcspn(v->key->allowed, "|")));
	if (v->key->type == CONF_WORD || v->key->type == CONF_TEXT)
		v->text = word != NULL ? word : "";
}

static void
fall_back(struct conf *c, struct conf_value *v, const char *path)
{
	const char *text = v->key->fallback;

	if (v->key->type == CONF_BLOCK && v->key->variant == NULL && needs_nothing(v->key->keys)) {
		fall_back_to_block(c, v, path);
	} else if (v->key->type == CONF_TEXTS && text != NULL) {
		if (list_room(c, v, 1))
			v->texts[v->n++] = text;
	} else if (text != NULL) {
		bool converted = convert(v->key, text, v);

		assert(converted);	/* else a row of a table contradicts itself */
	} else if (v->key->flags & CONF_REQUIRED) {
		fill_in(c, v, path);
	}
}

/* ---- a block --------------------------------------------------------------------- */

static const struct conf_key *
find_row(const struct conf_key *keys, const char *name)
{
	for (; keys != NULL && keys->name != NULL; keys++)
		if (strcmp(keys->name, name) == 0)
			return keys;
	return NULL;
}

/* The keys that one word of the block adds: `type: file`. */
static const struct conf_key *
variant_keys(struct conf_tree *t, const char *path, const struct conf_key *of, const struct yaml_node *node)
{
	const struct conf_key *row = find_row(of->keys, of->variant_key), *more;
	const struct yaml_node *word = node != NULL ? yaml_get(node, of->variant_key) : NULL;
	const char *text;

	assert(row != NULL);
	text = row->fallback;
	if (word != NULL)
		text = word->kind == YAML_SCALAR ? word->text : NULL;
	more = text != NULL ? of->variant(text) : NULL;
	if (more == NULL && word != NULL && word->kind == YAML_SCALAR && row->type != CONF_WORD) {
		char where[96];

		join_path(path, of->variant_key, where);
		complain_word(t, word, where, text, of->variant_words);
	}
	return more;
}

static size_t
count_keys(const struct conf_key *k)
{
	size_t n = 0;

	while (k != NULL && k[n].name != NULL)
		n++;
	return n;
}

/* `key:` with nothing behind it is a list or block whose content is commented out, or else a slip. */
static bool
is_left_empty(const struct conf_key *k, const struct yaml_node *node)
{
	return yaml_is_null(node) && (k->type == CONF_BLOCK || k->type == CONF_BLOCKS || k->type == CONF_TEXTS ||
	    k->type == CONF_MAP);
}

static void
read_key(struct conf *c, struct conf_value *v)
{
	const struct yaml_node *node = c->node != NULL ? yaml_get(c->node, v->key->name) : NULL;
	struct problems *problems = c->tree->problems;
	char path[96];

	join_path(c->path, v->key->name, path);
	if (node != NULL && is_left_empty(v->key, node))
		node = NULL;
	if (node != NULL && yaml_is_null(node))
		problem_add(problems, node->file, node->line, path, "has no value; leave the key out, or give it one");
	else if (node != NULL)
		read_value(c, v, path, node);
	else if ((v->key->flags & CONF_REQUIRED) && c->node != NULL)
		problem_add(problems, c->node->file, c->node->line, path, "is missing: %s",
		    v->key->help != NULL ? v->key->help : "it must be given");
	if (v->text == NULL && v->n == 0 && v->blocks == NULL)
		fall_back(c, v, path);
}

static void
check_values(struct conf *c)
{
	const char *allowed;
	char path[96];

	for (struct conf_value *v = c->values; v < c->values + c->n; v++) {
		const struct yaml_node *at = v->at;

		if (v->key->wrong == NULL || at == NULL)
			continue;
		join_path(c->path, v->key->name, path);
		if (v->key->type == CONF_TEXTS && v->good) {
			at = at->kind == YAML_LIST ? at->first : at;
			for (size_t i = 0; i < v->n; i++, at = at->next)
				if ((allowed = v->key->wrong(c, v->texts[i])) != NULL)
					complain(c->tree, at, path, v->texts[i], allowed);
		} else if (v->key->type == CONF_BLOCK || v->key->type == CONF_BLOCKS) {
			for (size_t i = 0; i < v->n; i++)
				if (!v->blocks[i]->loose && (allowed = v->key->wrong(v->blocks[i], NULL)) != NULL)
					problem_add(c->tree->problems, v->blocks[i]->node->file, v->blocks[i]->node->line, v->blocks[i]->path,
					    "allowed: %s", allowed);
		} else if (v->good && (allowed = v->key->wrong(c, v->text)) != NULL) {
			complain(c->tree, at, path, v->text, allowed);
		}
	}
}

static void
check_unknown(struct conf *c, const struct conf_key *keys, const struct conf_key *more)
{
	for (const struct yaml_node *m = c->node != NULL ? c->node->first : NULL; m != NULL; m = m->next) {
		char path[96];

		if (find_row(keys, m->key->text) != NULL || find_row(more, m->key->text) != NULL)
			continue;
		join_path(c->path, m->key->text, path);
		complain_unknown(c->tree, m, path, keys, more);
	}
}

struct conf *
conf_bind(struct conf_tree *t, const struct conf *parent, const char *path, const struct conf_key *keys,
    const struct conf_key *of, const struct yaml_node *node)
{
	const bool varies = of != NULL && of->variant != NULL;
	const struct conf_key *more = varies ? variant_keys(t, path, of, node) : NULL;
	const size_t n = count_keys(keys), nmore = count_keys(more);
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
	c->loose = varies && more == NULL;
	snprintf(c->path, sizeof(c->path), "%s", path);
	for (size_t i = 0; i < n + nmore; i++)
		c->values[i].key = i < n ? &keys[i] : &more[i - n];
	c->n = n + nmore;
	for (size_t i = 0; i < c->n; i++)
		read_key(c, &c->values[i]);
	if (!varies || more != NULL)	/* else any key may belong to the word that is meant */
		check_unknown(c, keys, more);
	if (!t->short_of_memory)
		check_values(c);
	return c;
}
