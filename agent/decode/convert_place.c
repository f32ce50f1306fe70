/* convert_place.c - who and where in one spelling; web addresses without what may be secret in them, scopes of Azure ids. */
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

/* ---- one spelling ---------------------------------------------------------------------------- */

/* Lower case, a copy only if need be. */
bool
text_lower(struct decode_ctx *c, struct slice s, struct slice *ret)
{
	char *p;
	size_t i;

	for (i = 0; i < s.n && (unsigned char)s.p[i] == ascii_lower((unsigned char)s.p[i]);)
		i++;
	*ret = s;
	if (i == s.n)
		return true;
	p = ctx_alloc(c, s.n);
	if (p == NULL)
		return false;
	for (i = 0; i < s.n; i++)
		p[i] = (char)ascii_lower((unsigned char)s.p[i]);
	*ret = slice_make(p, s.n);
	return true;
}

struct slice
guid_of(struct slice s)
{
	s = slice_trim(s);
	if (s.n == 38 && s.p[0] == '{' && s.p[37] == '}')
		s = slice_make(s.p + 1, 36);
	if (s.n != 36)
		return SLICE_NONE;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char b = ascii_lower((unsigned char)s.p[i]);
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? b != '-' : !((b >= '0' && b <= '9') || (b >= 'a' && b <= 'f')))
			return SLICE_NONE;
	}
	return s;
}

/* "West Europe" is westeurope, as Azure's own records have it; what has two letters is a country. */
static bool
region(struct decode_ctx *c, struct slice s, struct slice *ret)
{
	char *p;
	size_t n = 0;

	if (s.n <= 2 || memchr(s.p, ' ', s.n) == NULL)
		return s.n <= 2 || text_lower(c, s, ret);
	p = ctx_alloc(c, s.n);
	if (p == NULL)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ')
			p[n++] = (char)ascii_lower((unsigned char)s.p[i]);
	*ret = slice_make(p, n);
	return true;
}

void
column_spell(struct decode_ctx *c, enum field f, struct val *v)
{
	struct slice s = v->text;
	bool done;

	switch (f) {
	case F_CloudAccountId:
	case F_ActorUserId:
	case F_ActingAppId:
		done = s.n == 36 && guid_of(s).n == 36 && text_lower(c, s, &s);
		break;
	case F_CloudRegion:
		done = s.n <= 64 && region(c, s, &s);
		break;
	default:
		return;
	}
	if (!done || s.n == 0 || s.p == v->text.p)
		return;
	v->text = s;
	v->lasting = true;
}
