/* inspect.c - looking into a spool that may be in use: no lock, nothing is changed. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/sys.h"
#include "spool/store.h"

struct look {
	uint64_t	segments, bytes, groups, entries, marks, damaged, first_seq, last_seq;
	bool		print;
	uint64_t	from_seq;
	int		(*see)(void *arg, uint64_t seq, struct slice entry);
	void		*arg;
};

static void
say_damage(struct look *l, uint64_t segment, uint64_t from, uint64_t to, const char *what)
{
	l->damaged++;
	if (l->print)
		printf("%020llu.seg: bytes %llu to %llu: %s\n", (unsigned long long)segment, (unsigned long long)from,
		    (unsigned long long)to, what);
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
look_segment(struct look *l, const char *dir, uint64_t first, uint64_t next, struct err *err)
{
	struct walk w = { .at = SEGMENT_HEAD, .next_seq = first, .below_seq = next != 0 ? next : SEQ_LIMIT };
	char path[4096], head[SEGMENT_HEAD];
	uint64_t seq, id;
	struct group_head h;
	struct buf payload;
	struct stat st;
	int fd, got, rc = -1;

	buf_init(&payload, GROUP_MAX_BYTES);
	if (segment_path(dir, first, path, sizeof(path), err) != 0)
		return -1;
	fd = sys.open(path, O_RDONLY, 0);
	if (fd < 0 || sys.fstat(fd, &st) != 0) {
		err_set_sys(err, ERR_AGAIN, "%s: cannot open", path);
		goto out;
	}
	w.fd = fd;
	w.end = (uint64_t)st.st_size;
	l->segments++;
	l->bytes += w.end;
	if (sys_pread_full(fd, head, sizeof(head), 0) != SEGMENT_HEAD || !segment_head_get(head, &seq, &id) || seq != first) {
		say_damage(l, first, 0, SEGMENT_HEAD, "the head is not what was written");
		rc = 0;
		goto out;
	}
	while ((got = walk_next(&w, &h, &payload, err)) != WALK_END) {
		if (got == -1)
			goto out;
		if (got == WALK_GROUP && look_group(l, &h, buf_slice(&payload)) != 0)
			break;
		if (got == WALK_DAMAGE || (got == WALK_TAIL && next != 0))
			say_damage(l, first, w.from, w.to, w.from < w.to ? "not what was written" : "events are missing");
		else if (got == WALK_TAIL && l->print)
			printf("%020llu.seg: bytes %llu to %llu: an unfinished write, cut at the next start\n",
			    (unsigned long long)first, (unsigned long long)w.from, (unsigned long long)w.to);
	}
	if (got == WALK_END && next != 0 && w.next_seq < next)
		say_damage(l, first, w.at, w.at, "events are missing behind it");
	rc = 0;
out:
	if (fd >= 0)
		sys.close(fd);
	buf_fini(&payload);
	return rc;
}

static int
look_all(struct look *l, const char *dir, struct err *err)
{
	uint64_t *firsts = NULL;
	size_t n = 0;
	int rc;

	rc = segment_list(dir, &firsts, &n, err);
	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = look_segment(l, dir, firsts[i], i + 1 < n ? firsts[i + 1] : 0, err);
	free(firsts);
	return rc;
}

int
spool_stat_print(const char *dir, bool json, struct err *err)
{
	struct look l = { 0 };

	if (look_all(&l, dir, err) != 0)
		return -1;
	printf(json ? "{\"segments\":%llu,\"bytes\":%llu,\"groups\":%llu,\"events\":%llu,\"first_seq\":%llu,\"last_seq\":%llu,"
	    "\"damaged_ranges\":%llu}\n" :
	    "segments %llu\nbytes %llu\ngroups %llu\nevents %llu\nfirst %llu\nlast %llu\ndamaged ranges %llu\n",
	    (unsigned long long)l.segments, (unsigned long long)l.bytes, (unsigned long long)l.groups,
	    (unsigned long long)l.entries, (unsigned long long)l.first_seq, (unsigned long long)l.last_seq,
	    (unsigned long long)l.damaged);
	return 0;
}

int
spool_verify_print(const char *dir, struct err *err)
{
	struct look l = { .print = true };

	if (look_all(&l, dir, err) != 0)
		return -1;
	printf("%llu segments, %llu groups, %llu events: %s\n", (unsigned long long)l.segments, (unsigned long long)l.groups,
	    (unsigned long long)l.entries, l.damaged == 0 ? "sound" : "damaged, see above");
	return l.damaged == 0 ? 0 : 1;
}

int
spool_dump(const char *dir, uint64_t from_seq, int (*see)(void *arg, uint64_t seq, struct slice entry), void *arg,
    struct err *err)
{
	struct look l = { .from_seq = from_seq, .see = see, .arg = arg };

	return look_all(&l, dir, err);
}
