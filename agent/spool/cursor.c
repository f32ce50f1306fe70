/*
 * cursor.c - how far each reader is: one small file a name, two slots written in turn, so that a torn write leaves the other.
 *
 * Slot, 32 bytes: 0 "CUR1"  4 zero  8 u64 generation  16 u64 seq  24 zero  28 u32 CRC-32 of bytes 0..27. The greater generation counts.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/sys.h"
#include "spool/store.h"

#define SLOT	32
#define SAVE_MS	1000

static int
cursor_path(const struct spool *s, const char *name, char *ret, size_t n, struct err *err)
{
	int len = snprintf(ret, n, "%s/cursors%s%s", s->dir, name[0] != '\0' ? "/" : "", name);

	return len > 0 && (size_t)len < n ? 0 : err_set(err, ERR_CONFIG, "the spool's path is too long");
}

static bool
slot_get(const char *in, uint64_t *ret_generation, uint64_t *ret_seq)
{
	if (memcmp(in, "CUR1", 4) != 0 || get_le32(in + 28) != crc32_ieee(0, in, 28))
		return false;
	*ret_generation = get_le64(in + 8);
	*ret_seq = get_le64(in + 16);
	return *ret_seq < SEQ_LIMIT;
}

static bool
name_is_fine(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= 64 && name[0] != '.' &&
	    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-+") == n;
}

enum slots { SLOTS_NEW, SLOTS_SOUND, SLOTS_DAMAGED };

/* The better slot of an open file. */
static enum slots
read_slots(int fd, uint64_t *ret_generation, uint64_t *ret_seq)
{
	static const char none[2 * SLOT];
	char raw[2 * SLOT] = { 0 };
	ssize_t n = sys_pread_full(fd, raw, sizeof(raw), 0);
	uint64_t generation, seq;
	bool any = false;

	for (int i = 0; i < 2; i++)
		if (n >= (i + 1) * SLOT && slot_get(raw + i * SLOT, &generation, &seq) && (!any || generation > *ret_generation)) {
			*ret_generation = generation;
			*ret_seq = seq;
			any = true;
		}
	if (any)
		return SLOTS_SOUND;
	/* The first save writes both slots: a part of it, or room without content, was never told to anybody. */
	return n < 0 || (n == 2 * SLOT && memcmp(raw, none, sizeof(raw)) != 0) ? SLOTS_DAMAGED : SLOTS_NEW;
}

int
cursors_each(const char *dir, void (*see)(void *arg, const char *name, bool sound, uint64_t seq), void *arg)
{
	char path[4400];
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/cursors", dir);
	d = opendir(path);
	if (d == NULL)
		return errno == ENOENT ? 0 : -1;
	while ((e = readdir(d)) != NULL) {
		uint64_t generation = 0, seq = 0;
		enum slots got;
		int fd;

		if (!name_is_fine(e->d_name))
			continue;
		snprintf(path, sizeof(path), "%s/cursors/%s", dir, e->d_name);
		fd = sys.open(path, O_RDONLY, 0);
		if (fd < 0)
			continue;
		got = read_slots(fd, &generation, &seq);
		sys.close(fd);
		see(arg, e->d_name, got != SLOTS_DAMAGED, seq);
	}
	closedir(d);
	return 0;
}

/* A file that is new or damaged begins at the oldest entry. */
static void
recall(struct spool *s, struct cursor *c)
{
	enum slots got = read_slots(c->fd, &c->generation, &c->seq);

	c->saved_seq = c->seq;
	c->fresh = got != SLOTS_SOUND;
	if (got == SLOTS_DAMAGED && s->events.damage != NULL)
		s->events.damage(s->events.arg, c->name, 0, 2 * SLOT, "the cursor is damaged; reading begins at the oldest event");
}

static int
add_cursor(struct spool *s, const char *name, struct cursor **ret, struct err *err)
{
	struct cursor *c = calloc(1, sizeof(*c));
	char path[4096];

	if (c == NULL)
		return err_set(err, ERR_AGAIN, "no memory for a cursor");
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (cursor_path(s, name, path, sizeof(path), err) != 0) {
		free(c);
		return -1;
	}
	c->fd = sys.open(path, O_RDWR | O_CREAT, 0600);
	if (c->fd < 0) {
		free(c);
		return err_set_sys(err, spool_error_kind(), "%s: cannot open", path);
	}
	recall(s, c);
	c->next = s->cursors;
	s->cursors = c;
	*ret = c;
	return 0;
}

/* Without the directory every reader begins at the oldest event; in a spool that was used that is worth a word. */
static void
tell_missing(struct spool *s)
{
	uint64_t *firsts = NULL;
	size_t n = 0;

	if (segment_list(s->dir, &firsts, &n, NULL) == 0 && n > 0 && s->events.damage != NULL)
		s->events.damage(s->events.arg, "cursors", 0, 0, "the directory is missing; every sink begins at the oldest event");
	free(firsts);
}

int
cursors_load(struct spool *s, struct err *err)
{
	struct cursor *c;
	char path[4096];
	struct dirent *e;
	struct stat st;
	DIR *d;
	int rc = 0;

	if (cursor_path(s, "", path, sizeof(path), err) != 0)
		return -1;
	if (sys.stat(path, &st) != 0)
		tell_missing(s);
	if (sys_make_dir(path, err) != 0)
		return -1;
	d = opendir(path);
	if (d == NULL)
		return err_set_sys(err, ERR_CONFIG, "%s: cannot open", path);
	while (rc == 0 && (e = readdir(d)) != NULL)
		if (name_is_fine(e->d_name))
			rc = add_cursor(s, e->d_name, &c, err);
	closedir(d);
	return rc;
}

uint64_t
cursors_greatest(const struct spool *s)
{
	uint64_t greatest = 0;

	for (const struct cursor *c = s->cursors; c != NULL; c = c->next)
		if (c->seq > greatest)
			greatest = c->seq;
	return greatest;
}

void
cursors_close(struct spool *s)
{
	while (s->cursors != NULL) {
		struct cursor *c = s->cursors;

		s->cursors = c->next;
		sys.close(c->fd);
		free(c);
	}
}

int
cursor_open(struct spool *s, const char *name, struct cursor **ret, struct err *err)
{
	struct cursor *c;
	int rc = 0;

	if (!name_is_fine(name))
		return err_set(err, ERR_CONFIG, "\"%s\" cannot name a cursor", name);
	pthread_mutex_lock(&s->lock);
	for (c = s->cursors; c != NULL && strcmp(c->name, name) != 0; c = c->next)
		;
	if (c == NULL)
		rc = add_cursor(s, name, &c, err);
	if (rc == 0 && c->open)
		rc = err_set(err, ERR_CONFIG, "the cursor %s is read already", name);
	if (rc == 0) {
		uint64_t oldest = atomic_load(&s->first_seq);

		c->open = true;
		if (c->fresh && c->seq + 1 < oldest)
			c->seq = oldest - 1;
		*ret = c;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void
slot_put(char out[SLOT], uint64_t generation, uint64_t seq)
{
	memset(out, 0, SLOT);
	memcpy(out, "CUR1", 4);
	put_le64(out + 8, generation);
	put_le64(out + 16, seq);
	put_le32(out + 28, crc32_ieee(0, out, 28));
}

/* The first time both slots, so that one that is not whole means a write that was cut, and two mean damage. */
static int
first_save(struct spool *s, struct cursor *c, struct err *err)
{
	char both[2 * SLOT], path[4096];

	slot_put(both, 2, c->seq);
	slot_put(both + SLOT, 1, c->seq);
	if (sys_pwrite_full(c->fd, both, sizeof(both), 0) != 0 || sys.fdatasync(c->fd) != 0)
		return err_set_sys(err, spool_error_kind(), "cannot save the cursor %s", c->name);
	if (cursor_path(s, "", path, sizeof(path), err) != 0 || sys_sync_dir(path, err) != 0)
		return -1;
	c->generation = 2;
	return 0;
}

int
cursor_save(struct spool *s, struct cursor *c, struct err *err)
{
	char slot[SLOT];

	if (c->seq == c->saved_seq && !c->fresh) {
		c->due_ms = 0;
		return 0;
	}
	if (c->fresh) {
		if (first_save(s, c, err) != 0)
			return -1;
	} else {
		slot_put(slot, c->generation + 1, c->seq);
		if (sys_pwrite_full(c->fd, slot, sizeof(slot), (off_t)((c->generation + 1) % 2) * SLOT) != 0 ||
		    sys.fdatasync(c->fd) != 0)
			return err_set_sys(err, spool_error_kind(), "cannot save the cursor %s", c->name);
		c->generation++;
	}
	c->saved_seq = c->seq;
	c->due_ms = 0;
	c->fresh = false;
	return 0;
}

int
cursors_save(struct spool *s, bool all, struct err *err)
{
	uint64_t now_ms = clock_mono_ms();
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	for (struct cursor *c = s->cursors; c != NULL; c = c->next)
		if ((all || (c->due_ms != 0 && now_ms - c->due_ms >= SAVE_MS)) && cursor_save(s, c, err) != 0)
			rc = -1;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

uint64_t
cursors_least(struct spool *s)
{
	uint64_t least = atomic_load(&s->durable_seq);

	for (struct cursor *c = s->cursors; c != NULL; c = c->next)
		if (c->seq < least)
			least = c->seq;
	return least;
}

static bool
is_kept(const char *name, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

int
spool_keep_cursors(struct spool *s, const char *const *names, size_t n,
    void (*dropped)(void *arg, const char *name, uint64_t behind), void *arg, struct err *err)
{
	uint64_t durable = atomic_load(&s->durable_seq);
	struct cursor **at = &s->cursors;
	char path[4096];
	int rc = 0;

	pthread_mutex_lock(&s->lock);
	while (*at != NULL) {
		struct cursor *c = *at;

		if (c->open || is_kept(c->name, names, n)) {
			at = &c->next;
			continue;
		}
		if (dropped != NULL)
			dropped(arg, c->name, c->seq < durable ? durable - c->seq : 0);
		if (cursor_path(s, c->name, path, sizeof(path), err) != 0 || sys.unlink(path) != 0)
			rc = err_set_sys(err, ERR_AGAIN, "cannot remove the cursor %s", c->name);
		*at = c->next;
		sys.close(c->fd);
		free(c);
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

uint64_t
spool_least_other(const struct spool_reader *r)
{
	uint64_t least = UINT64_MAX;

	pthread_mutex_lock(&r->spool->lock);
	for (const struct cursor *c = r->spool->cursors; c != NULL; c = c->next)
		if (c != r->cursor && c->seq < least)
			least = c->seq;
	pthread_mutex_unlock(&r->spool->lock);
	return least;
}

bool
spool_cursor_peek(const char *dir, const char *name, uint64_t *ret_seq)
{
	char path[4096], raw[2 * SLOT] = { 0 };
	uint64_t generation, seq, best = 0;
	bool any = false;
	ssize_t n;
	int fd;

	if (!name_is_fine(name) || (size_t)snprintf(path, sizeof(path), "%s/cursors/%s", dir, name) >= sizeof(path) ||
	    (fd = sys.open(path, O_RDONLY, 0)) < 0)
		return false;
	n = sys_pread_full(fd, raw, sizeof(raw), 0);
	sys.close(fd);
	for (int i = 0; i < 2; i++)
		if (n >= (i + 1) * SLOT && slot_get(raw + i * SLOT, &generation, &seq) && (!any || generation > best)) {
			best = generation;
			*ret_seq = seq;
			any = true;
		}
	return any;
}
