/* ledger.c - reads what far sides, files and the dead letter hold, and holds it against what was written. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "ledger.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/conf.h"
#include "base/err.h"
#include "base/json.h"
#include "site.h"
#include "spool/dead.h"
#include "spool/spool.h"
#include "tests/unit/far_side.h"

#define BODY_BYTES	(64u << 20)

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

/* ---- what was written --------------------------------------------------------------- */

void
ledger_init(struct ledger *l)
{
	*l = (struct ledger){ .v = must(calloc(LEDGER_RECORDS + 1, sizeof(*l->v))) };
}

void
ledger_fini(struct ledger *l)
{
	free(l->v);
	free(l->files);
	*l = (struct ledger){ 0 };
}

static uint32_t
stream_of(struct ledger *l, const char *path)
{
	for (size_t i = 0; i < l->nfiles; i++)
		if (strcmp(l->files[i].path, path) == 0)
			return l->files[i].stream;
	l->files = must(realloc(l->files, (l->nfiles + 1) * sizeof(*l->files)));
	snprintf(l->files[l->nfiles].path, sizeof(l->files[0].path), "%s", path);
	l->files[l->nfiles].stream = ++l->nstreams;
	return l->files[l->nfiles++].stream;
}

unsigned
ledger_add(struct ledger *l, const char *path, bool broken)
{
	if (l->n == LEDGER_RECORDS)
		abort();
	l->v[++l->n] = (struct ledger_record){ .stream = stream_of(l, path), .broken = broken, .written = true };
	return l->n;
}

void
ledger_sink(struct ledger *l, const char *name)
{
	for (size_t i = 0; i < l->nsinks; i++)
		if (strcmp(l->sinks[i].name, name) == 0)
			return;
	if (l->nsinks == sizeof(l->sinks) / sizeof(l->sinks[0]))
		abort();
	snprintf(l->sinks[l->nsinks].name, sizeof(l->sinks[0].name), "%s", name);
	l->sinks[l->nsinks++].from = l->n + 1;
}

static unsigned
first_of(const struct ledger *l, const char *sink)
{
	for (size_t i = 0; i < l->nsinks; i++)
		if (strcmp(l->sinks[i].name, sink) == 0)
			return l->sinks[i].from;
	return 1;
}

void
ledger_forget(struct ledger *l, size_t from, size_t to)
{
	if (l->nforgotten == sizeof(l->forgotten) / sizeof(l->forgotten[0]))
		abort();
	l->forgotten[l->nforgotten].from = from;
	l->forgotten[l->nforgotten++].to = to;
}

static bool
is_forgotten(const struct ledger *l, size_t request)
{
	for (size_t i = 0; i < l->nforgotten; i++)
		if (request >= l->forgotten[i].from && request < l->forgotten[i].to)
			return true;
	return false;
}

/* ---- what has arrived ----------------------------------------------------------------- */

void
account_init(struct account *a, const struct ledger *l)
{
	*a = (struct account){ .acked = must(calloc(l->n + 1, sizeof(*a->acked))),
		.arrived = must(calloc(l->n + 1, sizeof(*a->arrived))), .id = must(calloc(l->n + 1, sizeof(*a->id))) };
}

void
account_fini(struct account *a)
{
	free(a->acked);
	free(a->arrived);
	free(a->id);
}

static unsigned
number_in(struct slice text, const struct ledger *l)
{
	const char *hit = text.n > 0 ? memmem(text.p, text.n, "scn-", 4) : NULL;
	int64_t n;

	if (hit == NULL || (size_t)(text.p + text.n - hit) < 10 || !slice_to_i64(slice_make(hit + 4, 6), &n) || n < 1 || n > l->n)
		return 0;
	return (unsigned)n;
}

static void
take_event(struct account *a, const struct ledger *l, const struct json_doc *doc, uint32_t at, bool acked)
{
	struct buf uid, id;
	unsigned n;

	buf_init(&uid, 4096);
	buf_init(&id, 4096);
	a->events++;
	if (json_get_text(doc, at, "EventOriginalUid", &uid) && json_get_text(doc, at, "EventId", &id) &&
	    (n = number_in(buf_slice(&uid), l)) != 0) {
		a->arrived[n]++;
		a->acked[n] += acked;
		if (a->id[n][0] != '\0' && !slice_eq(buf_slice(&id), slice_of(a->id[n])))
			snprintf(a->flaw, sizeof(a->flaw), "record %u came with two EventIds, %s and %.*s", n, a->id[n],
			    SLICE_ARG(buf_slice(&id)));
		snprintf(a->id[n], sizeof(a->id[n]), "%.*s", SLICE_ARG(buf_slice(&id)));
	}
	buf_fini(&uid);
	buf_fini(&id);
}

/* An array of events, or one. False: no JSON. */
static bool
take_json(struct account *a, const struct ledger *l, struct slice text, bool acked)
{
	struct json_reader *reader = must(json_reader_new());
	struct json_doc doc;
	bool good;

	json_doc_init(&doc, 16u << 20);
	good = json_read(reader, text, false, &doc, NULL) == 0;
	if (good && doc.v[0].type == JSON_ARRAY)
		for (uint32_t i = 1; i < doc.v[0].next; i = doc.v[i].next)
			take_event(a, l, &doc, i, acked);
	else if (good)
		take_event(a, l, &doc, 0, acked);
	json_doc_fini(&doc);
	json_reader_free(reader);
	return good;
}

void
account_server(struct account *a, struct site *s)
{
	size_t n = far_side_count(s->server);

	for (size_t i = 0; i < n; i++) {
		const struct far_side_request *r = far_side_request(s->server, i);
		struct buf body;

		if (!r->whole)
			continue;
		buf_init(&body, BODY_BYTES);
		if (!far_side_body(r, &body) ||
		    !take_json(a, &s->ledger, buf_slice(&body), r->answered / 100 == 2 && !is_forgotten(&s->ledger, i)))
			snprintf(a->flaw, sizeof(a->flaw), "the body of request %zu is no JSON", i + 1);
		buf_fini(&body);
	}
}

/* The first time each record stands in a file, its stream's records must be in order; what comes again comes when it comes. */
static void
check_order(struct account *a, const struct ledger *l, struct slice line, unsigned *newest)
{
	unsigned n = number_in(line, l);

	if (n == 0 || a->arrived[n] > 1)
		return;
	if (n < newest[l->v[n].stream])
		snprintf(a->flaw, sizeof(a->flaw), "record %u stands behind record %u of the same file", n, newest[l->v[n].stream]);
	else
		newest[l->v[n].stream] = n;
}

static void
read_file(struct account *a, struct site *s, const char *path, bool ordered)
{
	unsigned *newest = must(calloc(s->ledger.nstreams + 1, sizeof(*newest)));
	struct slice rest;
	struct buf b;
	struct err err;

	buf_init(&b, BODY_BYTES);
	(void)buf_read_file(&b, path, &err);
	for (rest = buf_slice(&b); rest.n > 0;) {
		const char *nl = memchr(rest.p, '\n', rest.n);
		struct slice line = slice_make(rest.p, nl != NULL ? (size_t)(nl - rest.p) : rest.n);

		if (nl == NULL)
			snprintf(a->flaw, sizeof(a->flaw), "%s ends in half a line", path);
		else if (!take_json(a, &s->ledger, line, true))
			snprintf(a->flaw, sizeof(a->flaw), "%s holds a line that is no JSON", path);
		else if (ordered)
			check_order(a, &s->ledger, line, newest);
		rest = slice_make(rest.p + line.n + (nl != NULL), rest.n - line.n - (nl != NULL));
	}
	buf_fini(&b);
	free(newest);
}

void
account_file(struct account *a, struct site *s, const char *path)
{
	read_file(a, s, path, true);
}

struct dead_look {
	struct account		*a;
	const struct ledger	*l;
	const char		*words;
	size_t			 n;
};

static int
see_letter(void *arg, const struct dead_letter *letter)
{
	struct dead_look *k = arg;
	unsigned n = number_in(letter->bytes, k->l);

	if (k->words != NULL && (letter->reason.n == 0 ||
	    memmem(letter->reason.p, letter->reason.n, k->words, strlen(k->words)) == NULL))
		return 0;
	k->n++;
	k->a->acked[n]++;
	k->a->arrived[n]++;
	if (n != 0 && !k->l->v[n].broken && !k->l->v[n].refused)
		snprintf(k->a->flaw, sizeof(k->a->flaw), "record %u was set aside without need: %.*s", n,
		    (int)(letter->reason.n < 150 ? letter->reason.n : 150), letter->reason.n > 0 ? letter->reason.p : "");
	return 0;
}

void
account_dead(struct account *a, struct site *s, const char *words, size_t *ret_n)
{
	struct dead_look k = { a, &s->ledger, words, 0 };
	char path[256];
	uint64_t damaged = 0;
	struct err err;

	snprintf(path, sizeof(path), "%s/dead", s->state_dir);
	(void)dead_each(path, see_letter, &k, &damaged, &err);
	*ret_n = k.n;
}

/* ---- rotation ---------------------------------------------------------------------------- */

struct taken {
	const struct ledger	*l;
	bool			*v;
};

static int
see_entry(void *arg, uint64_t seq, struct slice entry)
{
	struct taken *k = arg;

	(void)seq;
	k->v[number_in(entry, k->l)] = true;
	return 0;
}

void
ledger_rotated(struct site *s, const char *path, bool gone)
{
	struct ledger *l = &s->ledger;
	struct taken k = { l, must(calloc(l->n + 1, sizeof(*k.v))) };
	uint32_t stream = stream_of(l, path);
	char spool[256];
	struct err err;

	snprintf(spool, sizeof(spool), "%s/spool", s->state_dir);
	if (gone)
		(void)spool_dump(spool, 0, see_entry, &k, &err);
	for (unsigned n = 1; gone && n <= l->n; n++)
		if (l->v[n].stream == stream)
			l->v[n].perishable = !k.v[n];
	for (size_t i = 0; i < l->nfiles; i++)
		if (strcmp(l->files[i].path, path) == 0)
			l->files[i].stream = ++l->nstreams;
	free(k.v);
}

/* ---- promises --------------------------------------------------------------------------- */

struct accounts {
	struct account	dead, sinks[16];
	const char	*names[16];
	bool		 file[16];
	size_t		 n;
};

/* A sink's file, and what it was once: PATH, PATH.1, PATH.removed0. Of several nobody knows which came first, so the order is not judged. */
static void
account_rotated(struct account *a, struct site *s, const char *path)
{
	char pattern[512];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s*", path);
	if (glob(pattern, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(a, s, found.gl_pathv[i], found.gl_pathc == 1);
	globfree(&found);
}

static void
accounts_init(struct accounts *all, struct site *s)
{
	size_t n;

	*all = (struct accounts){ .n = conf_blocks(s->conf, "sinks") };
	account_init(&all->dead, &s->ledger);
	account_dead(&all->dead, s, NULL, &n);
	for (size_t i = 0; i < all->n; i++) {
		const struct conf *sink = conf_block_at(s->conf, "sinks", i);

		all->names[i] = conf_text(sink, "name");
		all->file[i] = strcmp(conf_text(sink, "type"), "file") == 0;
		account_init(&all->sinks[i], &s->ledger);
		if (all->file[i])
			account_rotated(&all->sinks[i], s, conf_text(sink, "path"));
		else
			account_server(&all->sinks[i], s);
	}
}

static void
accounts_fini(struct accounts *all)
{
	account_fini(&all->dead);
	for (size_t i = 0; i < all->n; i++)
		account_fini(&all->sinks[i]);
}

static bool
sound(struct site *s, const struct accounts *all, char say[512])
{
	if (s->flaw[0] != '\0' || all->dead.flaw[0] != '\0') {
		snprintf(say, 512, "%s", s->flaw[0] != '\0' ? s->flaw : all->dead.flaw);
		return false;
	}
	for (size_t i = 0; i < all->n; i++) {
		if (all->sinks[i].flaw[0] != '\0') {
			snprintf(say, 512, "sink %s: %s", all->names[i], all->sinks[i].flaw);
			return false;
		}
		for (unsigned n = 1; n <= s->ledger.n; n++)
			if (all->sinks[0].id[n][0] != '\0' && all->sinks[i].id[n][0] != '\0' &&
			    strcmp(all->sinks[0].id[n], all->sinks[i].id[n]) != 0) {
				snprintf(say, 512, "record %u has one EventId in sink %s and another in %s", n, all->names[0],
				    all->names[i]);
				return false;
			}
	}
	return true;
}

bool
ledger_sound(struct site *s, char say[512])
{
	struct accounts all;
	bool good;

	accounts_init(&all, s);
	good = sound(s, &all, say);
	accounts_fini(&all);
	return good;
}

static bool
complete(struct site *s, const struct accounts *all, bool lenient, char say[512])
{
	for (unsigned n = 1; n <= s->ledger.n; n++) {
		const struct ledger_record *r = &s->ledger.v[n];

		if (!r->written || (lenient && r->perishable) || (r->broken && all->dead.acked[n] > 0))
			continue;
		if (r->broken) {
			snprintf(say, 512, "record %u, which is no JSON, is not in the dead letter", n);
			return false;
		}
		for (size_t i = 0; i < all->n; i++)
			if (n >= first_of(&s->ledger, all->names[i]) && all->sinks[i].acked[n] == 0 && (all->file[i] || !r->refused || all->dead.acked[n] == 0)) {
				snprintf(say, 512, "record %u is lost: sink %s never had it%s", n, all->names[i],
				    all->sinks[i].arrived[n] > 0 ? " acknowledged" : "");
				return false;
			}
	}
	return true;
}

bool
ledger_complete(struct site *s, bool lenient, char say[512])
{
	struct accounts all;
	bool good;

	accounts_init(&all, s);
	good = sound(s, &all, say) && complete(s, &all, lenient, say);
	accounts_fini(&all);
	return good;
}
