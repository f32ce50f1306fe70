/* conf.c - loading files, asking for values, and the rows told to people. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/conf.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/conf_value.h"
#include "base/err.h"

#define TREE_BYTES	(64u << 20)
#define SECRET_BYTES	65536

/* ---- loading ------------------------------------------------------------------- */

static void
take_over(struct yaml_node *place, const struct yaml_node *node)
{
	struct yaml_node *key = place->key, *next = place->next;

	*place = *node;
	place->key = key;
	place->next = next;
}

/* `more` into `into`: lists are joined, blocks merged; a value in both is a problem that names both places. */
static void
merge(struct conf_tree *t, struct yaml_node *into, struct yaml_node *more)
{
	struct yaml_node *next;

	for (struct yaml_node *m = more->first; m != NULL; m = next) {
		struct yaml_node *have = yaml_get(into, m->key->text), **tail;

		next = m->next;
		if (yaml_is_null(m))
			continue;
		if (have != NULL && yaml_is_null(have)) {	/* `sources:` with nothing behind it */
			take_over(have, m);
			continue;
		}
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

static int
is_yaml(const struct dirent *d)
{
	return d->d_name[0] != '.' && slice_ends_nocase(slice_of(d->d_name), SLICE(".yaml"));
}

static int
by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* The conf.d beside the file, in order of names. */
static void
read_drop_ins(struct conf_tree *t, const char *path, struct yaml_node *root)
{
	const char *slash = strrchr(path, '/');
	const int above = slash != NULL ? (int)(slash + 1 - path) : 0;
	struct dirent **found = NULL;
	char dir[4096], file[4096 + 256];
	int n;

	if ((size_t)snprintf(dir, sizeof(dir), "%.*sconf.d", above, path) >= sizeof(dir))
		return;
	n = scandir(dir, &found, is_yaml, by_bytes);
	if (n < 0 && errno != ENOENT)
		problem_add(t->problems, dir, 0, "", "cannot be read: %s", strerror(errno));
	for (int i = 0; i < n; i++) {
		struct yaml_node *more;

		snprintf(file, sizeof(file), "%s/%s", dir, found[i]->d_name);
		more = read_map_file(t, file);
		if (more != NULL)
			merge(t, root, more);
		free(found[i]);
	}
	free(found);
}

static struct conf_tree *
tree_new(struct problems *problems)
{
	struct conf_tree *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	arena_init(&t->arena, 16384, TREE_BYTES);
	t->problems = problems;
	t->errors_before = problems->errors;
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
	const size_t errors = t->problems->errors - t->errors_before;

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
	static const struct conf_value none;

	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->values[i].key->name, name) == 0)
			return &c->values[i];
	assert(c->loose);		/* else a setting that is in no table was asked for: a bug */
	return &none;
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

/* The file that a secret stands in, into ret. */
static int
secret_path(const char *where, const char *kind, const char *text, char *ret, size_t n, struct err *err)
{
	const char *dir = "";

	if (strcmp(kind, "credential") == 0) {
		if (strchr(text, '/') != NULL || text[0] == '.')
			return err_set(err, ERR_CONFIG, "%s: credential: the name of a credential is wanted, not a path", where);
		dir = getenv("CREDENTIALS_DIRECTORY");
		if (dir == NULL || dir[0] == '\0')
			return err_set(err, ERR_CONFIG, "%s: no credentials were passed: the unit needs LoadCredential=%s:PATH", where,
			    text);
	}
	if ((size_t)snprintf(ret, n, "%s%s%s", dir, dir[0] != '\0' ? "/" : "", text) >= n)
		return err_set(err, ERR_CONFIG, "%s: the path of the secret is too long", where);
	return 0;
}

static int
read_secret(const char *where, const char *kind, const char *text, struct buf *ret, struct err *err)
{
	struct err why = { 0 };
	char path[4096];

	if (strcmp(kind, "env") == 0) {
		const char *value_of = getenv(text);

		if (value_of == NULL)
			return err_set(err, ERR_CONFIG, "%s: the environment has no %s", where, text);
		buf_puts(ret, value_of);
		return ret->failed ? err_set(err, ERR_CONFIG, "%s: the secret is longer than %d bytes", where, SECRET_BYTES) : 0;
	}
	if (secret_path(where, kind, text, path, sizeof(path), err) != 0)
		return -1;
	if (buf_read_file(ret, path, &why) != 0)
		return err_set(err, ERR_CONFIG, "%s: the secret's file: %s", where, why.text);
	return 0;
}

int
conf_secret(const struct conf *c, const char *name, struct buf *out, struct err *err)
{
	const struct conf_value *v = value(c, name);
	struct buf secret;
	char where[300];
	int rc = -1;

	snprintf(where, sizeof(where), "%s:%u: %s%s%s", conf_file(c, name), conf_line(c, name), c->path,
	    c->path[0] != '\0' ? "." : "", name);
	if (v->n == 0)
		return err_set(err, ERR_CONFIG, "%s: no secret is given", where);
	buf_init(&secret, SECRET_BYTES);
	if (read_secret(where, v->names[0], v->texts[0], &secret, err) != 0)
		goto out;
	while (secret.n > 0 && (secret.p[secret.n - 1] == '\n' || secret.p[secret.n - 1] == '\r'))
		secret.n--;
	if (secret.n == 0) {
		err_set(err, ERR_CONFIG, "%s: the secret is empty", where);
	} else if (memchr(secret.p, '\0', secret.n) != NULL) {
		err_set(err, ERR_CONFIG, "%s: the secret holds a NUL character", where);
	} else if (!buf_reserve(out, secret.n)) {
		err_set(err, ERR_AGAIN, "%s: no memory for the secret", where);
	} else {
		buf_put(out, secret.p, secret.n);
		rc = 0;
	}
out:
	if (secret.p != NULL)
		explicit_bzero(secret.p, secret.cap);
	buf_fini(&secret);
	return rc;
}

/* As that user would find, folders and access lists and all: asked by a child that is this user, which only root can make. */
static bool
is_closed_to(const char *user, const char *path)
{
	const struct passwd *p = user != NULL && geteuid() == 0 ? getpwnam(user) : NULL;
	int status = 0;
	pid_t child;

	if (p == NULL || (child = fork()) == -1)
		return false;
	if (child == 0) {
		if (initgroups(user, p->pw_gid) != 0 || setgid(p->pw_gid) != 0 || setuid(p->pw_uid) != 0)
			_exit(0);
		_exit(access(path, R_OK) != 0);
	}
	while (waitpid(child, &status, 0) == -1 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

/* A warning about the file of a secret, which is not opened. */
static void
look_at_file(const struct conf *c, const struct conf_value *v, const char *path, const char *user, struct problems *problems)
{
	char text[512] = "", key[160];
	struct stat st;

	if (path[0] != '/')
		snprintf(text, sizeof(text), "%.300s is no absolute path: it is looked for in the folder that the agent is started in", path);
	else if (stat(path, &st) != 0 || access(path, R_OK) != 0)
		snprintf(text, sizeof(text), "%.300s: %s; the agent's user must be able to read it", path, strerror(errno));
	else if (!S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
		snprintf(text, sizeof(text), "%.300s is no file", path);
	else if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0 && (v->key->flags & CONF_FILE) == 0)
		snprintf(text, sizeof(text), "everyone on this machine may %s %.300s; chmod o-rwx", (st.st_mode & S_IROTH) != 0 ? "read" : "change", path);
	else if (is_closed_to(user, path))
		snprintf(text, sizeof(text), "user %.32s, who the unit runs as, cannot read %.300s; chgrp and chmod g+r, or LoadCredential=", user, path);
	snprintf(key, sizeof(key), "%s%s%s", c->path, c->path[0] != '\0' ? "." : "", v->key->name);
	if (text[0] != '\0')
		problem_warn(problems, v->at->file, v->at->line, key, "%s", text);
}

static void
look_at_secret(const struct conf *c, const struct conf_value *v, const char *user, struct problems *problems)
{
	char path[4096], key[160];

	snprintf(key, sizeof(key), "%s%s%s", c->path, c->path[0] != '\0' ? "." : "", v->key->name);
	if (strcmp(v->names[0], "env") == 0) {
		if (getenv(v->texts[0]) == NULL)
			problem_warn(problems, v->at->file, v->at->line, key, "the environment of this command has no %s; the agent's must", v->texts[0]);
	} else if (strcmp(v->names[0], "credential") == 0 && getenv("CREDENTIALS_DIRECTORY") == NULL) {
		return;					/* only the service manager knows */
	} else if (secret_path("", v->names[0], v->texts[0], path, sizeof(path), NULL) == 0) {
		look_at_file(c, v, path, strcmp(v->names[0], "credential") == 0 ? NULL : user, problems);
	}
}

void
conf_look_at_secrets(const struct conf *c, const char *user, struct problems *problems)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct conf_value *v = &c->values[i];

		if (v->key->type == CONF_BLOCK || v->key->type == CONF_BLOCKS || v->blocks != NULL) {
			for (size_t k = 0; v->blocks != NULL && k < v->n; k++)
				if (v->blocks[k] != NULL)
					conf_look_at_secrets(v->blocks[k], user, problems);
		} else if (v->at != NULL && v->key->type == CONF_SECRET && v->n > 0) {
			look_at_secret(c, v, user, problems);
		} else if (v->at != NULL && (v->key->flags & (CONF_FILE | CONF_PRIVATE)) != 0 && v->text != NULL) {
			look_at_file(c, v, v->text, user, problems);
		}
	}
}
