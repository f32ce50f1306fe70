/*
 * err.h - what went wrong, and what the caller should do about it.
 *
 * Gives:   struct err, filled by the function that failed; no allocation.
 * Rule:    functions that can fail return 0 or -1 and take `struct err *` last.
 *          Only run/ and sinks/send.c log. Everyone else fills err and returns.
 * Never:   record content, prompts or secrets in `text`.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

enum err_kind {
	ERR_NONE,
	ERR_AGAIN,	/* the world is busy, or memory is short: try the same later */
	ERR_DATA,	/* this input is bad: set it aside, go on           */
	ERR_DENIED,	/* credentials or permissions: renew, then try      */
	ERR_FULL,	/* no room: stop reading until there is             */
	ERR_CONFIG,	/* the operator must change something: do not start */
	ERR_LOST,	/* bytes on disk are not what we wrote              */
};

struct err {
	enum err_kind	kind;
	int		sys;		/* errno, or 0 */
	char		text[320];	/* for a person; never parsed. What a terminal would obey is made harmless */
};

/* Both always return -1; err may be NULL. */
__attribute__((format(printf, 3, 4)))
int	err_set(struct err *, enum err_kind, const char *fmt, ...);
/* The same, keeping errno in `sys` and appending ": strerror". */
__attribute__((format(printf, 3, 4)))
int	err_set_sys(struct err *, enum err_kind, const char *fmt, ...);

const char *err_kind_name(enum err_kind);

#endif
