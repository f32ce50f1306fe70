/* err.c - filling struct err. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"

__attribute__((format(printf, 4, 0)))
static void
fill(struct err *err, enum err_kind kind, int sys_errno, const char *fmt, va_list ap)
{
	char text[sizeof(err->text)];		/* fmt's arguments may lie in err itself */

	if (err == NULL)
		return;
	vsnprintf(text, sizeof(text), fmt, ap);
	utf8_make_plain(text, strlen(text));
	memcpy(err->text, text, sizeof(text));
	err->kind = kind;
	err->sys = sys_errno;
}

int
err_set(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fill(err, kind, 0, fmt, ap);
	va_end(ap);
	return -1;
}

int
err_set_sys(struct err *err, enum err_kind kind, const char *fmt, ...)
{
	int saved = errno;
	char why[128] = "";
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	fill(err, kind, saved, fmt, ap);
	va_end(ap);
	if (err == NULL)
		return -1;
	n = strlen(err->text);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror_r(saved, why, sizeof(why)));
	return -1;
}

const char *
err_kind_name(enum err_kind kind)
{
	static const char *const names[] = { "none", "again", "data", "denied", "full", "config", "lost" };

	return (size_t)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}
