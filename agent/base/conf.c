/* conf.c - loading files, asking for values, and the rows told to people. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/conf.h"

#include <assert.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/conf_value.h"
#include "base/err.h"

#define TREE_BYTES	(64u << 20)
#define SECRET_BYTES	65536

/* ---- loading ------------------------------------------------------------------- */

/* `more` into `into`: lists are joined, blocks merged; a value in both is a problem that names both places. */
static void
merge(struct conf_tree *t, struct yaml_node *into, struct yaml_node *more)
{
	struct yaml_node *next;

	for (struct yaml_node *m = more->first; m != NULL; m = next) {
		struct yaml_node *have = yaml_get(into, m->key->text), **tail;

		next = m->next;
		if (have != NULL && have->kind == YAML_MAP && m->kind == YAML_MAP) {
			merge(t, have, m);
			continue;
		}
		if (have != NULL && !(have->kind == YAML_LIST && m->kind == YAML_LIST)) {
			problem_add(t->problems, m->file, m->line, m->key->text, "is given in %s:%u too; keep one of them",
			    have->file, have->line);
			continue;
		}
		tail = have != NULL ? &have->first : &into->first;
		while (*tail != NULL)
			tail = &(*tail)->next;
		*tail = have != NULL ? m->first : m;
		if (have != NULL) {
			have->children += m->children;
		} else {
			m->next = NULL;
			into->children++;
		}
	}
}

static struct yaml_node *
read_map_file(struct conf_tree *t, const char *path)
{
	struct yaml_node *n = yaml_read_file(t->yaml, path, t->problems);

	if (n != NULL && n->kind != YAML_MAP) {
		problem_add(t->problems, path, n->line, "", "a block of keys is needed here");
		return NULL;
	}
	return n;
}

/* The conf.d beside the file, in order of names. */
static void
read_drop_ins(struct conf_tree *t, const char *path, struct yaml_node *root)
{
	const char *slash = strrchr(path, '/');
	char pattern[4096];
	glob_t found = { 0 };

	if ((size_t)snprintf(pattern, sizeof(pattern), "%.*sconf.d/*.yaml", slash != NULL ? (int)(slash + 1 - path) : 0,
	    path) >= sizeof(pattern))
		return;
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++) {
			struct yaml_node *n = read_map_file(t, found.gl_pathv[i]);

			if (n != NULL)
				merge(t, root, n);
		}
	globfree(&found);
}

static struct conf_tree *
tree_new(struct problems *problems)
{
	struct conf_tree *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	arena_init(&t->arena, 16384, TREE_BYTES);
	t->problems = problems;
	t->yaml = yaml_tree_new();
	if (t->yaml == NULL) {
		free(t);
		return NULL;
	}
	return t;
}

static void
tree_free(struct conf_tree *t)
{
	yaml_tree_free(t->yaml);
	arena_fini(&t->arena);
	free(t);
}

static int
finish(struct conf_tree *t, struct yaml_node *root, const struct conf_key *top, struct conf **ret, struct err *err)
{
	struct conf *c = root != NULL ? conf_bind(t, NULL, "", top, NULL, root) : NULL;
	size_t errors = t->problems->errors;

	t->problems = NULL;
	if (c == NULL || errors > 0 || t->short_of_memory) {
		tree_free(t);
		return errors > 0 ? err_set(err, ERR_CONFIG, "the configuration has %zu problems", errors) :
		    err_set(err, ERR_AGAIN, "no memory for the configuration");
	}
	*ret = c;
	return 0;
}

int
conf_load(const char *path, const struct conf_key *top, struct conf **ret, struct problems *problems, struct err *err)
{
	struct conf_tree *t = tree_new(problems);
	struct yaml_node *root;

	if (t == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the configuration");
	root = read_map_file(t, path);
	if (root != NULL)
		read_drop_ins(t, path, root);
	return finish(t, root, top, ret, err);
}

int
conf_load_text(const char *name, struct slice yaml, const struct conf_key *top, struct conf **ret,
    struct problems *problems, struct err *err)
{
	struct conf_tree *t = tree_new(problems);
	struct yaml_node *root;

	if (t == NULL)
		return err_set(err, ERR_AGAIN, "no memory for the configuration");
	root = yaml_read_text(t->yaml, name, yaml, problems);
	if (root != NULL && root->kind != YAML_MAP) {
		problem_add(problems, name, root->line, "", "a block of keys is needed here");
		root = NULL;
	}
	return finish(t, root, top, ret, err);
}

void
conf_free(struct conf *c)
{
	if (c != NULL)
		tree_free(c->tree);
}

/* ---- asking --------------------------------------------------------------------- */

static const struct conf_value *
value(const struct conf *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->values[i].key->name, name) == 0)
			return &c->values[i];
	assert(!"a setting that is in no table was asked for");
	abort();
}

bool
conf_given(const struct conf *c, const char *name)
{
	return value(c, name)->at != NULL;
}

const char *
conf_text(const struct conf *c, const char *name)
{
	return value(c, name)->text;
}

bool
conf_bool(const struct conf *c, const char *name)
{
	return value(c, name)->number != 0;
}

int64_t
conf_count(const struct conf *c, const char *name)
{
	return (int64_t)value(c, name)->number;
}

double
conf_real(const struct conf *c, const char *name)
{
	return value(c, name)->real;
}

uint64_t
conf_bytes(const struct conf *c, const char *name)
{
	return value(c, name)->number;
}

uint64_t
conf_ms(const struct conf *c, const char *name)
{
	return value(c, name)->number;
}

size_t
conf_texts(const struct conf *c, const char *name)
{
	return value(c, name)->n;
}

const char *
conf_text_at(const struct conf *c, const char *name, size_t i)
{
	assert(i < value(c, name)->n);
	return value(c, name)->texts[i];
}

size_t
conf_map(const struct conf *c, const char *name)
{
	return value(c, name)->n;
}

const char *
conf_map_key(const struct conf *c, const char *name, size_t i)
{
	assert(i < value(c, name)->n);
	return value(c, name)->names[i];
}

const char *
conf_map_value(const struct conf *c, const char *name, size_t i)
{
	return conf_text_at(c, name, i);
}

const struct conf *
conf_block(const struct conf *c, const char *name)
{
	const struct conf_value *v = value(c, name);

	return v->n > 0 ? v->blocks[0] : NULL;
}

size_t
conf_blocks(const struct conf *c, const char *name)
{
	return value(c, name)->n;
}

const struct conf *
conf_block_at(const struct conf *c, const char *name, size_t i)
{
	assert(i < value(c, name)->n);
	return value(c, name)->blocks[i];
}

const char *
conf_file(const struct conf *c, const char *name)
{
	const struct conf_value *v = name != NULL ? value(c, name) : NULL;

	if (v != NULL && v->at != NULL)
		return v->at->file;
	for (; c != NULL; c = c->parent)
		if (c->node != NULL)
			return c->node->file;
	return "";
}

unsigned
conf_line(const struct conf *c, const char *name)
{
	const struct conf_value *v = name != NULL ? value(c, name) : NULL;

	if (v != NULL && v->at != NULL)
		return v->at->line;
	for (; c != NULL; c = c->parent)
		if (c->node != NULL)
			return c->node->line;
	return 0;
}

void
conf_problem(const struct conf *c, const char *name, struct problems *problems, const char *fmt, ...)
{
	char text[320], path[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	snprintf(path, sizeof(path), "%s%s%s", c->path, c->path[0] != '\0' && name != NULL ? "." : "", name != NULL ? name : "");
	problem_add(problems, conf_file(c, name), conf_line(c, name), path, "%s", text);
}

/* ---- secrets --------------------------------------------------------------------- */

static int
secret_from_file(const char *where, const char *path, struct buf *out, struct err *err)
{
	struct err why = { 0 };

	if (buf_read_file(out, path, &why) == 0)
		return 0;
	return err_set(err, ERR_CONFIG, "%s: the secret's file cannot be read: %s", where, why.text);
}

int
conf_secret(const struct conf *c, const char *name, struct buf *out, struct err *err)
{
	const struct conf_value *v = value(c, name);
	char where[300], path[4096];
	const char *dir, *text;
	size_t before = out->n;

	if (v->n == 0)
		return err_set(err, ERR_CONFIG, "%s: no secret is given", name);
	snprintf(where, sizeof(where), "%s:%u: %s", conf_file(c, name), conf_line(c, name), name);
	if (strcmp(v->names[0], "env") == 0) {
		text = getenv(v->texts[0]);
		if (text == NULL)
			return err_set(err, ERR_CONFIG, "%s: the environment has no %s", where, v->texts[0]);
		buf_puts(out, text);
	} else if (strcmp(v->names[0], "credential") == 0) {
		dir = getenv("CREDENTIALS_DIRECTORY");
		if (dir == NULL)
			return err_set(err, ERR_CONFIG, "%s: no CREDENTIALS_DIRECTORY: the unit needs LoadCredential=%s:...", where,
			    v->texts[0]);
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, v->texts[0]) >= sizeof(path) ||
		    strchr(v->texts[0], '/') != NULL)
			return err_set(err, ERR_CONFIG, "%s: not a credential's name", where);
		if (secret_from_file(where, path, out, err) != 0)
			return -1;
	} else if (secret_from_file(where, v->texts[0], out, err) != 0) {
		return -1;
	}
	while (out->n > before && (out->p[out->n - 1] == '\n' || out->p[out->n - 1] == '\r'))
		out->n--;
	if (out->failed || out->n - before > SECRET_BYTES)
		return err_set(err, ERR_CONFIG, "%s: the secret is too long", where);
	return out->n > before ? 0 : err_set(err, ERR_CONFIG, "%s: the secret is empty", where);
}

/* ---- rows told to people ----------------------------------------------------------- */

static void
describe(const struct conf_key *keys, const char *above, void (*row)(void *arg, const char *path, const struct conf_key *),
    void *arg)
{
	char path[256];

	for (const struct conf_key *k = keys; k != NULL && k->name != NULL; k++) {
		snprintf(path, sizeof(path), "%s%s%s%s", above, above[0] != '\0' ? "." : "", k->name,
		    k->type == CONF_BLOCKS ? "[]" : "");
		row(arg, path, k);
		describe(k->keys, path, row, arg);
		for (const char *at = k->variant != NULL ? k->variant_words : ""; *at != '\0';) {
			size_t n = strcspn(at, "|");
			char word[64], of[384];

			snprintf(word, sizeof(word), "%.*s", (int)n, at);
			snprintf(of, sizeof(of), "%s(%s)", path, word);
			describe(k->variant(word), of, row, arg);
			at += n + (at[n] == '|');
		}
	}
}

void
conf_describe(const struct conf_key *top, void (*row)(void *arg, const char *path, const struct conf_key *), void *arg)
{
	describe(top, "", row, arg);
}
