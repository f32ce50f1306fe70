/* convert_place.c - converters that say where: web addresses without what may be secret in them, scopes of Azure ids. */
#include "decode/plan.h"

#include <string.h>

/* Behind "scheme://" and user names: where the host begins, or 0: no such address. */
static size_t
host_at(struct slice s, size_t *ret_end)
{
	ptrdiff_t found = slice_find_nocase(s, SLICE("://"), 0);
	size_t from, end;

	if (found <= 0 || found > 32 || memchr(s.p, '/', (size_t)found) != NULL)
		return 0;
	from = end = (size_t)found + 3;
	while (end < s.n && strchr("/?#", s.p[end]) == NULL)
		end++;
	for (size_t i = from; i < end; i++)
		if (s.p[i] == '@')
			from = i + 1;
	*ret_end = end;
	return from < end ? from : 0;
}

static bool
host(struct slice s, struct slice *ret)
{
	size_t end, from = host_at(s, &end);

	if (from == 0)
		return false;
	*ret = slice_make(s.p + from, end - from);
	return true;
}

/* Scheme, host and path: a user's name before the host, the query and the fragment may hold keys. */
bool
convert_url(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	size_t end, from, n;
	bool lasting;
	char *p;

	if (!in_text(c, in, &s, &lasting))
		return false;
	s = slice_trim(s);
	for (n = 0; n < s.n && s.p[n] != '?' && s.p[n] != '#';)
		n++;
	s.n = n;
	from = host_at(s, &end);
	if (from == 0 && (s.n == 0 || s.p[0] != '/'))
		return false;			/* neither an address nor a path */
	*ret = (struct val){ .kind = VAL_TEXT, .text = s, .lasting = lasting };
	if (from == 0 || s.p[from - 1] != '@')
		return true;
	n = (size_t)slice_find_nocase(s, SLICE("://"), 0) + 3;
	p = ctx_alloc(c, n + s.n - from);
	if (p == NULL)
		return false;
	memcpy(p, s.p, n);
	memcpy(p + n, s.p + from, s.n - from);
	*ret = (struct val){ .kind = VAL_TEXT, .text = { p, n + s.n - from }, .lasting = true };
	return true;
}

bool
convert_url_host(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;

	if (!in_text(c, in, &s, &lasting) || !host(slice_trim(s), &s))
		return false;
	*ret = (struct val){ .kind = VAL_TEXT, .text = s, .lasting = lasting };
	return true;
}

/* What an extension (an assessment, a lock, a diagnostic setting) stands on: the id before its last "/providers/". */
bool
convert_azure_scope(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	struct slice s;
	bool lasting;

	if (!in_text(c, in, &s, &lasting) || s.n == 0 || s.p[0] != '/')
		return false;
	for (size_t i = s.n; i-- > 1;) {
		if (s.p[i] != '/' || !slice_starts_nocase(slice_make(s.p + i, s.n - i), SLICE("/providers/")))
			continue;
		*ret = (struct val){ .kind = VAL_TEXT, .text = { s.p, i }, .lasting = lasting };
		return true;
	}
	return false;
}
