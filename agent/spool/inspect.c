/* inspect.c - looking into a spool that may be in use: no lock, nothing is changed. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "spool/store.h"

struct look {
	uint64_t	segments, bytes, groups, entries, marks, damaged, aside, aside_bytes, first_seq, last_seq, next_seq;
	bool		print, json, comma;
	uint64_t	from_seq;
	int		(*see)(void *arg, uint64_t seq, struct slice entry);
	void		*arg;
};

static void
say_range(struct look *l, const char *name, uint64_t from, uint64_t to, const char *what)
{
	if (l->print && l->json)
		printf("%s{\"file\":\"%s\",\"from\":%llu,\"to\":%llu,\"what\":\"%s\"}", l->comma ? "," : "", name,
		    (unsigned long long)from, (unsigned long long)to, what);
	else if (l->print)
		printf("%s: bytes %llu to %llu: %s\n", name, (unsigned long long)from, (unsigned long long)to, what);
	l->comma = true;
}

static void
say_damage(struct look *l, uint64_t segment, uint64_t from, uint64_t to, const char *what)
{
	char name[32];

	snprintf(name, sizeof(name), "%020llu.seg", (unsigned long long)segment);
	l->damaged++;
	say_range(l, name, from, to, what);
}

static int
look_group(struct look *l, const struct group_head *h, struct slice payload)
{
	size_t at = 0;

	l->groups++;
	l->entries += h->entries;
	l->marks += h->marks;
	if (h->entries > 0) {
		if (l->first_seq == 0)
			l->first_seq = h->first_seq;
		l->last_seq = h->first_seq + h->entries - 1;
	}
	for (uint32_t i = 0; i < h->entries && l->see != NULL; i++) {
		struct slice entry;

		if (!group_get_entry(payload, &at, &entry))
			break;
		if (h->first_seq + i >= l->from_seq && l->see(l->arg, h->first_seq + i, entry) != 0)
			return -1;
	}
	return 0;
}

static int
look_segment(struct look *l, struct survey *y, size_t i, struct err *err)
{
	const struct found *f = &y->v[i];
	uint64_t first = f->head.first_seq;
	bool newest = i + 1 == y->n;
	struct group_head h;
	struct buf payload;
	struct walk w;
	int fd = survey_open(y, i, O_RDONLY, err), got;

	if (fd < 0)
		return -1;
	buf_init(&payload, GROUP_MAX_BYTES);
	if (!f->head_good && survey_look(y, i, &payload, err) != 0) {	/* finds with what its checksums begin */
		sys.close(fd);
		buf_fini(&payload);
		return -1;
	}
	l->segments++;
	l->bytes += f->size;
	if (!f->head_good)
		say_damage(l, first, 0, f->size < SEGMENT_HEAD ? f->size : SEGMENT_HEAD, "the head is not what was written");
	w = survey_walk(y, i, fd);
	while ((got = walk_next(&w, &h, &payload, err)) != WALK_END && got != -1) {
		if (got == WALK_GROUP && look_group(l, &h, buf_slice(&payload)) != 0)
			break;
		if (got == WALK_DAMAGE || (got == WALK_TAIL && ((!newest && w.next_seq != w.below_seq) || !walk_tail_is_torn(&w))))
			say_damage(l, first, w.from, w.to, w.from < w.to ? "not what was written" : "events are missing");
		else if (got == WALK_TAIL && l->print && !l->json)
			printf("%020llu.seg: bytes %llu to %llu: a write that was not finished; nothing of it was acknowledged\n",
			    (unsigned long long)first, (unsigned long long)w.from, (unsigned long long)w.to);
	}
	if (got == WALK_END && !newest && w.next_seq < w.below_seq && w.to != w.end)
		say_damage(l, first, w.end, w.end, "events are missing behind it");
	l->next_seq = w.next_seq;
	sys.close(fd);
	buf_fini(&payload);
	return got == -1 ? -1 : 0;
}

static int
look_all(struct look *l, const char *dir, struct err *err)
{
	struct survey y;
	char path[4096];
	int rc = survey_read(&y, dir, err);

	/* A spool keeps one segment at least, or what is left of one, and its cursors. */
	if (rc == 0 && y.n == 0 && ((size_t)snprintf(path, sizeof(path), "%s/cursors", dir) >= sizeof(path) || access(path, F_OK) != 0))
		rc = err_set(err, ERR_DATA, "%s: is no spool (the state directory's folder spool is one)", dir);
	for (size_t i = 0; rc == 0 && i < y.n; i++)
		rc = look_segment(l, &y, i, err);
	survey_free(&y);
	return rc;
}

static void
print_cursor(void *arg, const char *name, bool sound, uint64_t seq)
{
	struct look *l = arg;
	uint64_t behind = l->last_seq > seq ? l->last_seq - seq : 0;

	if (l->json)
		printf("%s{\"name\":\"%s\",\"sound\":%s,\"seq\":%llu,\"behind\":%llu}", l->comma ? "," : "", name,
		    sound ? "true" : "false", (unsigned long long)seq, (unsigned long long)behind);
	else
		printf("cursor %s at %llu, %llu behind%s\n", name, (unsigned long long)seq, (unsigned long long)behind,
		    sound ? "" : ", DAMAGED");
	l->comma = true;
}

int
spool_stat_print(const char *dir, bool json, struct err *err)
{
	struct look l = { .json = json };

	if (look_all(&l, dir, err) != 0)
		return -1;
	l.aside_bytes = spool_aside(dir, &l.aside);
	printf(json ? "{\"segments\":%llu,\"bytes\":%llu,\"groups\":%llu,\"events\":%llu,\"first_seq\":%llu,\"last_seq\":%llu,"
	    "\"damaged_ranges\":%llu,\"set_aside\":%llu,\"set_aside_bytes\":%llu,\"cursors\":[" :
	    "segments %llu\nbytes %llu\ngroups %llu\nevents %llu\nfirst %llu\nlast %llu\ndamaged ranges %llu\n"
	    "set aside %llu\nbytes set aside %llu\n",
	    (unsigned long long)l.segments, (unsigned long long)l.bytes, (unsigned long long)l.groups,
	    (unsigned long long)l.entries, (unsigned long long)l.first_seq, (unsigned long long)l.last_seq,
	    (unsigned long long)l.damaged, (unsigned long long)l.aside, (unsigned long long)l.aside_bytes);
	if (cursors_each(dir, print_cursor, &l) != 0)
		return err_set_sys(err, ERR_AGAIN, "%s/cursors: cannot open", dir);
	fputs(json ? "]}\n" : "", stdout);
	return 0;
}

static void
verify_cursor(void *arg, const char *name, bool sound, uint64_t seq)
{
	struct look *l = arg;
	char path[80];

	snprintf(path, sizeof(path), "cursors/%s", name);
	if (sound && seq < l->next_seq)
		return;
	if (sound && seq == 0)
		return;
	l->damaged++;
	say_range(l, path, 0, 64, sound ? "it is ahead of the events: acknowledged ones are missing" : "the cursor is damaged");
}

int
spool_verify_print(const char *dir, bool json, struct err *err)
{
	struct look l = { .print = true, .json = json };
	int rc;

	fputs(json ? "{\"damage\":[" : "", stdout);
	rc = look_all(&l, dir, err);
	if (rc == 0 && cursors_each(dir, verify_cursor, &l) != 0)
		rc = err_set_sys(err, ERR_AGAIN, "%s/cursors: cannot open", dir);
	if (rc != 0)
		return -1;
	printf(json ? "],\"segments\":%llu,\"groups\":%llu,\"events\":%llu,\"sound\":%s}\n" :
	    "%llu segments, %llu groups, %llu events: %s\n", (unsigned long long)l.segments, (unsigned long long)l.groups,
	    (unsigned long long)l.entries, json ? (l.damaged == 0 ? "true" : "false") : l.damaged == 0 ? "sound" :
	    "damaged, see above; aispm-agent spool repair");
	return l.damaged == 0 ? 0 : 1;
}

bool
spool_is_sound(const char *dir, struct err *err)
{
	struct look l = { .print = false };

	if (look_all(&l, dir, err) != 0)
		return false;
	if (l.damaged > 0)
		err_set(err, ERR_LOST, "%llu places of the spool are damaged; aispm-agent spool verify tells where, spool repair mends it",
		    (unsigned long long)l.damaged);
	return l.damaged == 0;
}

int
spool_dump(const char *dir, uint64_t from_seq, int (*see)(void *arg, uint64_t seq, struct slice entry), void *arg,
    struct err *err)
{
	struct look l = { .from_seq = from_seq, .see = see, .arg = arg };

	return look_all(&l, dir, err);
}
