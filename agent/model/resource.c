/* resource.c - parts of an Azure resource id. They come in pairs, any case: "/subscriptions/S/.../type/name". */
#include "model/resource.h"

/* The segment at *at, which then stands behind it; empty at the end. */
static struct slice
next_segment(struct slice id, size_t *at)
{
	const char *slash;
	size_t begin;

	while (*at < id.n && id.p[*at] == '/')
		++*at;
	begin = *at;
	if (begin == id.n)
		return SLICE_NONE;
	slash = memchr(id.p + begin, '/', id.n - begin);
	*at = slash != NULL ? (size_t)(slash - id.p) : id.n;
	return slice_make(id.p + begin, *at - begin);
}

struct slice
azure_id_part(struct slice id, struct slice segment)
{
	struct slice key, value;
	size_t at = 0;

	while ((key = next_segment(id, &at)).n > 0) {	/* first where keys stand: names may be any word */
		value = next_segment(id, &at);
		if (slice_eq_nocase(key, segment))
			return value;
	}
	for (at = 0; (key = next_segment(id, &at)).n > 0;)
		if (slice_eq_nocase(key, segment))
			return next_segment(id, &at);
	return SLICE_NONE;
}

/* From the provider on, as far as the first provider's resource goes. */
static void
take_resource(struct slice id, size_t at, struct azure_id *r)
{
	size_t end = at;
	struct slice type, name;

	while ((type = next_segment(id, &at)).n > 0) {
		if (slice_eq_nocase(type, SLICE("providers")))
			break;			/* an extension on the resource: the target is before it */
		end = at;
		name = next_segment(id, &at);
		if (name.n == 0)
			break;
		r->name = name;
		end = at;
	}
	r->path = slice_make(r->provider.p, (size_t)(id.p + end - r->provider.p));
}

bool
azure_id_parse(struct slice id, struct azure_id *ret)
{
	struct azure_id r = { .subscription = SLICE_NONE };
	struct slice key, value;
	size_t at = 0;

	if (id.n == 0 || id.p[0] != '/')
		return false;
	while (r.provider.n == 0 && (key = next_segment(id, &at)).n > 0) {
		value = next_segment(id, &at);
		if (slice_eq_nocase(key, SLICE("subscriptions"))) {
			r.subscription = value;
		} else if (slice_eq_nocase(key, SLICE("resourceGroups"))) {
			r.group = value;
		} else if (slice_eq_nocase(key, SLICE("providers")) && value.n > 0) {
			r.provider = value;
			take_resource(id, at, &r);
		}
	}
	if (r.subscription.n == 0 && r.provider.n == 0)
		return false;
	if (r.provider.n == 0)
		r.name = r.group.n > 0 ? r.group : r.subscription;
	*ret = r;
	return true;
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
		if (i > 0 && i % 2 == 0)
			continue;			/* a name */
		if (s.n + (len > 0) > n - len)
			return 0;
		if (len > 0)
			out[len++] = '/';
		for (size_t k = 0; k < s.n; k++)
			out[len++] = (char)ascii_lower((unsigned char)s.p[k]);
	}
	return len;
}
