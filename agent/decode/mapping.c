/* mapping.c - finds the mapping files, reads them, decides which of equal names holds, and compiles them all. */
#include "decode/plan.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

#define ENVELOPES_FILE	"envelopes.yaml"

/* ---- which files --------------------------------------------------------------------------- */

struct names { char *v[PLAN_MAX_FILES]; size_t n; };

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void
names_free(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->v[i]);
}

static int
names_read(struct names *names, const struct decoder_dir *dir, struct err *err)
{
	DIR *d = opendir(dir->path);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL && dir->optional && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (d == NULL)
		return err_set_sys(err, ERR_CONFIG, "%s: the mappings cannot be read", dir->path);
	while (rc == 0 && (entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (names->n == PLAN_MAX_FILES)
			rc = err_set(err, ERR_CONFIG, "%s: more than %d entries", dir->path, PLAN_MAX_FILES);
		else if ((names->v[names->n] = strdup(entry->d_name)) == NULL)
			rc = err_set(err, ERR_AGAIN, "no memory");
		else
			names->n++;
	}
	closedir(d);
	qsort(names->v, names->n, sizeof(names->v[0]), by_name);
	return rc;
}

/* DIR/NAME.yaml, or DIR/NAME/mapping.yaml; NULL: neither. */
static const char *
file_path(struct decoder *d, const char *dir, const char *name)
{
	bool yaml = slice_ends_nocase(slice_of(name), SLICE(".yaml"));
	char path[4096];
	int n = snprintf(path, sizeof(path), yaml ? "%s/%s" : "%s/%s/mapping.yaml", dir, name);

	if (n < 0 || (size_t)n >= sizeof(path) || access(path, F_OK) != 0)
		return NULL;
	return arena_cstr(&d->arena, slice_of(path));
}

/* ---- reading them ---------------------------------------------------------------------------- */

struct reading {
	struct compiler		 compiler;
	const struct yaml_node	*envelopes[PLAN_MAX_FILES];
	size_t			 nenvelopes;
	struct family		*families[PLAN_MAX_FILES];
	size_t			 nfamilies;
};

static bool
family_name_fits(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= PLAN_MAX_NAME && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == n;
}

static void
take_family(struct reading *r, struct yaml_node *root, const char *path, size_t dir)
{
	struct compiler *c = &r->compiler;
	const struct yaml_node *name = root->kind == YAML_MAP ? yaml_get(root, "family") : NULL;
	struct family *f;

	if (name == NULL || name->kind != YAML_SCALAR || !family_name_fits(name->text)) {
		problem_add(c->problems, path, name != NULL ? name->line : root->line, "family",
		    "a mapping begins with its family's name: small letters, digits, underscores");
		return;
	}
	f = plan_alloc(c, 1, sizeof(*f));
	if (f == NULL)
		return;
	*f = (struct family){ .name = yaml_slice(name), .name_text = name->text, .file = path, .line = name->line,
	    .yaml = root, .dir = dir };
	for (size_t i = 0; i < r->nfamilies; i++) {
		if (!slice_eq(r->families[i]->name, f->name))
			continue;
		if (r->families[i]->dir == dir)
			problem_add(c->problems, path, name->line, "family", "%s is also in %s", name->text,
			    r->families[i]->file);
		r->families[i] = f;
		return;
	}
	r->families[r->nfamilies++] = f;
}

static void
read_one(struct reading *r, const char *path, bool envelopes, size_t dir)
{
	struct compiler *c = &r->compiler;
	struct yaml_node *root = yaml_read_file(c->d->yaml, path, c->problems);

	if (root == NULL)
		return;
	if (envelopes)
		r->envelopes[r->nenvelopes++] = root;
	else
		take_family(r, root, path, dir);
}

static int
read_dir(struct reading *r, const struct decoder_dir *dir, size_t number, struct err *err)
{
	struct names names = { .n = 0 };
	int rc = names_read(&names, dir, err);

	for (size_t i = 0; rc == 0 && i < names.n; i++) {
		const char *path = file_path(r->compiler.d, dir->path, names.v[i]);

		if (path == NULL)
			continue;
		if (r->nfamilies + r->nenvelopes >= PLAN_MAX_FILES)
			rc = err_set(err, ERR_CONFIG, "%s: more than %d mapping files", dir->path, PLAN_MAX_FILES);
		else
			read_one(r, path, strcmp(names.v[i], ENVELOPES_FILE) == 0, number);
	}
	names_free(&names);
	return rc;
}

/* ---- compiling ------------------------------------------------------------------------------------ */

static int
by_order(const void *a, const void *b)
{
	const struct family *f = *(struct family *const *)a, *g = *(struct family *const *)b;

	if (f->order != g->order)
		return f->order < g->order ? -1 : 1;
	return strcmp(f->name_text, g->name_text);
}

static void
compile(struct reading *r)
{
	struct compiler *c = &r->compiler;
	struct decoder *d = c->d;

	for (size_t i = 0; i < r->nenvelopes; i++)
		(void)envelope_compile(c, r->envelopes[i]);
	for (size_t i = 0; i < r->nfamilies; i++) {
		struct family *f = r->families[i];

		(void)family_compile(c, f);
		if (slice_eq(f->name, SLICE("unknown")))
			d->unknown = f;
		else if (d->nfamilies < PLAN_MAX_FAMILIES)
			d->families[d->nfamilies++] = f;
		else
			problem_add(c->problems, f->file, f->line, "family", "more than %d families", PLAN_MAX_FAMILIES);
	}
	qsort(d->families, d->nfamilies, sizeof(d->families[0]), by_order);
	for (uint32_t i = 0; i < d->nfamilies; i++)
		family_finish(c, d->families[i]);
	(void)family_index(c);
	envelope_check(c);
	if (unknown_complete(c) == 0)
		(void)needs_index(c);
}

int
mapping_load(struct decoder *d, const struct decoder_dir *dirs, size_t n, struct problems *problems, struct err *err)
{
	struct reading *r = calloc(1, sizeof(*r));
	size_t errors = problems->errors;
	int rc = 0;

	if (r == NULL)
		return err_set(err, ERR_AGAIN, "no memory");
	r->compiler = (struct compiler){ .d = d, .problems = problems, .key = "" };
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = read_dir(r, &dirs[i], i, err);
	if (rc == 0)
		compile(r);
	if (rc == 0 && r->compiler.short_of_memory)
		rc = err_set(err, ERR_AGAIN, "no memory for the mappings");
	else if (rc == 0 && problems->errors > errors)
		rc = err_set(err, ERR_CONFIG, "the mappings have %zu faults", problems->errors - errors);
	free(r);
	return rc;
}
