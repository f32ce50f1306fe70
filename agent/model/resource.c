/* resource.c - parts of an Azure resource id. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "model/resource.h"

/* The segment at *at, which then stands behind it; empty at the end. */
static struct slice
next_segment(struct slice id, size_t *at)
{
	size_t begin, end;

	while (*at < id.n && id.p[*at] == '/')
		++*at;
	begin = *at;
	end = begin;
	while (end < id.n && id.p[end] != '/')
		end++;
	*at = end;
	return slice_make(id.p + begin, end - begin);
}

struct slice
azure_id_part(struct slice id, struct slice segment)
{
	size_t at = 0;

	for (struct slice key; (key = next_segment(id, &at)).n > 0;)
		if (slice_eq_nocase(key, segment))
			return next_segment(id, &at);
	return SLICE_NONE;
}

bool
azure_id_parse(struct slice id, struct azure_id *ret)
{
	struct azure_id r = { .subscription = SLICE_NONE };
	size_t at = 0;
	struct slice key, value;

	if (id.n == 0 || id.p[0] != '/')
		return false;
	while ((key = next_segment(id, &at)).n > 0) {
		size_t before = at;

		value = next_segment(id, &at);
		if (slice_eq_nocase(key, SLICE("subscriptions")))
			r.subscription = value;
		else if (slice_eq_nocase(key, SLICE("resourceGroups")))
			r.group = value;
		else if (slice_eq_nocase(key, SLICE("providers"))) {
			if (r.provider.n > 0)
				break;			/* an extension on the resource: the target is before it */
			r.provider = value;
			r.path = slice_make(value.p, id.n - (size_t)(value.p - id.p));
			continue;
		}
		if (r.provider.n > 0 && value.n > 0)
			r.name = value;
		if (value.n == 0) {
			at = before;
			break;
		}
	}
	if (r.name.n == 0)
		r.name = r.group.n > 0 ? r.group : r.subscription;
	*ret = r;
	return r.subscription.n > 0 || r.provider.n > 0;
}

size_t
azure_id_type(struct slice id, char *out, size_t n)
{
	struct azure_id parsed;
	struct slice s;
	size_t at = 0, len = 0;

	if (!azure_id_parse(id, &parsed) || parsed.provider.n == 0)
		return 0;
	for (unsigned i = 0; (s = next_segment(parsed.path, &at)).n > 0; i++) {
		if (i > 0 && slice_eq_nocase(s, SLICE("providers")))
			break;
		if (i > 0 && i % 2 == 0)
			continue;			/* a name */
		if (len + s.n + 1 > n)
			return 0;
		if (i > 0)
			out[len++] = '/';
		for (size_t k = 0; k < s.n; k++)
			out[len++] = (char)ascii_lower((unsigned char)s.p[k]);
	}
	return len;
}
