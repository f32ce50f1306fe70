/* parts.h - what several targets need: an input in parts, words that must be fit to show, and a directory of their own. */
#ifndef FUZZ_PARTS_H
#define FUZZ_PARTS_H

#include <assert.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/slice.h"

/* Up to the separator, which is taken off; without one, all of it. */
static inline struct slice
next_part(struct slice *left, struct slice separator)
{
	const char *end = left->n > 0 ? memmem(left->p, left->n, separator.p, separator.n) : NULL;
	struct slice part = *left;

	if (end == NULL) {
		*left = slice_make(left->p + left->n, 0);
		return part;
	}
	part.n = (size_t)(end - part.p);
	*left = slice_make(end + separator.n, left->n - part.n - separator.n);
	return part;
}

/* One line that can harm no terminal and no log. */
static inline bool
is_fit_to_show(const char *text)
{
	const struct slice all = slice_of(text);
	unsigned code;

	if (utf8_valid_prefix(all) != all.n)
		return false;
	for (size_t i = 0; i < all.n; i++)
		if ((unsigned char)text[i] < 0x20 || utf8_odd(slice_make(text + i, all.n - i), &code) > 0)
			return false;
	return true;
}

/* In memory where that can be; the caller removes what it makes. */
static inline void
make_dir(char ret[64], const char *name)
{
	snprintf(ret, 64, "%s/aispm-%s-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", name);
	if (mkdtemp(ret) == NULL)
		abort();
}

static inline void
write_file(const char *path, struct slice bytes)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert(fd >= 0 && write(fd, bytes.n > 0 ? bytes.p : "", bytes.n) == (ssize_t)bytes.n);
	close(fd);
}

#endif
