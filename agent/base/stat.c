/* stat.c - counters: the rows, and the list of who counts. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/stat.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct stat_row rows[STAT_COUNT] = {
#define STAT(id, scope, kind, name, unit, help)	{ scope, kind, name, unit, help },
#include "base/stats.tbl"
#undef STAT
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct stat_block agent = { .scope = STAT_AGENT, .name = "agent", .type = "agent" };
static struct stat_block *blocks = &agent;

const struct stat_row *
stat_row(enum stat_id id)
{
	return &rows[id];
}

struct stat_block *
stat_agent(void)
{
	return &agent;
}

struct stat_block *
stat_make(enum stat_scope scope, const char *name, const char *type)
{
	struct stat_block *b = calloc(1, sizeof(*b)), **end;

	if (b == NULL)
		return NULL;
	b->scope = scope;
	snprintf(b->name, sizeof(b->name), "%s", name);
	snprintf(b->type, sizeof(b->type), "%s", type);
	pthread_mutex_lock(&lock);
	for (end = &blocks; *end != NULL; end = &(*end)->next)
		;
	*end = b;
	pthread_mutex_unlock(&lock);
	return b;
}

/* What b has counted goes on in the block that took its place, if there is one. */
static void
hand_on(struct stat_block *b)
{
	struct stat_block *heir = blocks;

	while (heir != NULL && (heir->scope != b->scope || strcmp(heir->name, b->name) != 0 || strcmp(heir->type, b->type) != 0))
		heir = heir->next;
	for (int id = 0; heir != NULL && id < STAT_COUNT; id++)
		if (stat_row(id)->kind == STAT_COUNTER)
			stat_add(heir, id, stat_get(b, id));
}

void
stat_drop(struct stat_block *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&lock);
	for (struct stat_block **at = &blocks; *at != NULL; at = &(*at)->next)
		if (*at == b) {
			*at = b->next;
			break;
		}
	hand_on(b);
	pthread_mutex_unlock(&lock);
	free(b);
}

void
stat_each(void (*see)(void *arg, struct stat_block *), void *arg)
{
	pthread_mutex_lock(&lock);
	for (struct stat_block *b = blocks; b != NULL; b = b->next)
		see(arg, b);
	pthread_mutex_unlock(&lock);
}

/* Saying is rare, so one lock for all; its own, since stat_each's callback asks what was said. */
static pthread_mutex_t said_lock = PTHREAD_MUTEX_INITIALIZER;

void
stat_say(struct stat_block *b, const char *text)
{
	pthread_mutex_lock(&said_lock);
	snprintf(b->said, sizeof(b->said), "%s", text);
	pthread_mutex_unlock(&said_lock);
}

void
stat_said(struct stat_block *b, char ret[320])
{
	pthread_mutex_lock(&said_lock);
	memcpy(ret, b->said, sizeof(b->said));
	pthread_mutex_unlock(&said_lock);
}
