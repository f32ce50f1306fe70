/*
 * token_arc.c - the identity of a machine that is connected by Azure Arc: its agent proves by a file that only its group may read.
 * Source: learn.microsoft.com "Authenticate against Azure resources with Azure Arc-enabled servers" (api-version 2020-06-01).
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/err.h"
#include "base/sys.h"
#include "net/token_kinds.h"

#define ARC_ENDPOINT	"http://127.0.0.1:40342/metadata/identity/oauth2/token"
#define KEY_BYTES	4096

const char *token_arc_dir = "/var/opt/azcmagent/tokens";

static const char *
wrong_endpoint(const struct conf *block, const char *text)
{
	(void)block;
	return http_url_is_loopback(text) && strpbrk(text, "?#") == NULL ? NULL : "a URL on a loopback address, such as " ARC_ENDPOINT;
}

static const struct conf_key arc_keys[] = {
	{ .name = "endpoint", .type = CONF_TEXT, .flags = CONF_ADVANCED, .wrong = wrong_endpoint,
	  .help = "where Arc's agent answers (default: the variable IDENTITY_ENDPOINT, else " ARC_ENDPOINT ")" },
	CONF_END
};

static int
write_arc(const struct token_ask *a, struct token_wire *w, struct err *err)
{
	(void)err;
	token_put_base(&w->url, a);
	buf_puts(&w->url, "?api-version=2020-06-01");
	token_put_resource(&w->url, a);
	return 0;
}

/* It is told in errors, too. */
static bool
has_odd_byte(struct slice path)
{
	for (size_t i = 0; i < path.n; i++)
		if ((unsigned char)path.p[i] <= 0x20 || (unsigned char)path.p[i] >= 0x7f)
			return true;
	return false;
}

/* The path that the answer names: Basic realm=PATH. It must be one of the agent's own keys, whatever it says. */
static int
key_path(struct slice header, char *ret, size_t n, struct err *err)
{
	const size_t dir_n = strlen(token_arc_dir);
	struct slice path = header, before = SLICE("Basic realm=");

	if (!slice_starts_nocase(header, before))
		return err_set(err, ERR_DENIED, "Azure Arc: the answer names no key file (WWW-Authenticate)");
	path = slice_trim(slice_make(header.p + before.n, header.n - before.n));
	if (path.n >= 2 && path.p[0] == '"' && path.p[path.n - 1] == '"')
		path = slice_make(path.p + 1, path.n - 2);
	if (path.n <= dir_n + 5 || path.n >= n || memcmp(path.p, token_arc_dir, dir_n) != 0 || path.p[dir_n] != '/' ||
	    memchr(path.p + dir_n + 1, '/', path.n - dir_n - 1) != NULL || has_odd_byte(path) ||
	    memcmp(path.p + path.n - 4, ".key", 4) != 0)
		return err_set(err, ERR_DENIED, "Azure Arc: the answer names a file that is no key in %s; refused", token_arc_dir);
	memcpy(ret, path.p, path.n);
	ret[path.n] = '\0';
	return 0;
}

static int
read_key(const char *path, struct buf *out, struct err *err)
{
	struct stat st;
	ssize_t n;
	int fd = sys.open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);

	if (fd < 0)
		return err_set_sys(err, errno == EACCES ? ERR_DENIED : ERR_AGAIN,
		    "Azure Arc: %s cannot be read; is this user in the group himds?", path);
	if (sys.fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > KEY_BYTES) {
		sys.close(fd);
		return err_set(err, ERR_DENIED, "Azure Arc: %s is no key: a file of 1 to %d bytes is expected", path, KEY_BYTES);
	}
	buf_reserve(out, KEY_BYTES);
	n = out->failed ? -1 : sys_pread_full(fd, out->p, (size_t)st.st_size, 0);
	sys.close(fd);
	if (n != st.st_size)
		return err_set(err, ERR_AGAIN, "Azure Arc: %s cannot be read", path);
	out->n = slice_trim(slice_make(out->p, (size_t)n)).n;
	/* It becomes a header line. */
	return out->n > 0 && !has_odd_byte(buf_slice(out)) ? 0 : err_set(err, ERR_DENIED, "Azure Arc: %s holds no key", path);
}

static int
challenge(const struct token_ask *a, struct token_wire *w, const struct http_answer *answer, struct err *err)
{
	char path[512];

	if (answer->status != 401)
		return 0;
	token_wire_wipe(w);
	if (key_path(answer->header(answer, "WWW-Authenticate"), path, sizeof(path), err) != 0 ||
	    read_key(path, &w->secret, err) != 0 || write_arc(a, w, err) != 0)
		return -1;
	buf_reserve(&w->header, KEY_BYTES + 64);
	buf_puts(&w->header, "Authorization: Basic ");
	buf_put_slice(&w->header, buf_slice(&w->secret));
	buf_putc(&w->header, '\0');
	return 1;
}

/* The agent restarts now and then, and its keys live for minutes. */
static bool
passes_at_arc(int status)
{
	return status == 404;
}

const struct token_kind token_kind_arc = {
	.name = "azure_arc", .method = "GET", .headers = token_identity_headers, .direct = true, .keys = arc_keys,
	.base_key = "endpoint", .base = ARC_ENDPOINT, .base_env = "IDENTITY_ENDPOINT", .wrong_base = wrong_endpoint, .write = write_arc,
	.challenge = challenge, .is_passing = passes_at_arc,
};
