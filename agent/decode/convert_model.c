/* convert_model.c - what the clouds call one model, made one name: ARNs, inference profiles, publishers' paths. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "decode/plan.h"

#include <string.h>

/* Amazon's inference profiles: the geography, then the model's own id. */
static const char *const geographies[] = { "us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au.", "ca.", "sa.", "amer.", "uk." };

static struct slice
without_geography(struct slice s)
{
	for (size_t i = 0; i < sizeof(geographies) / sizeof(geographies[0]); i++) {
		struct slice g = slice_of(geographies[i]), rest;

		if (!slice_starts_nocase(s, g))
			continue;
		rest = slice_make(s.p + g.n, s.n - g.n);
		if (memchr(rest.p, '.', rest.n) != NULL)
			return rest;
	}
	return s;
}

static struct slice
last_name(struct slice s)
{
	const char *slash;

	s = slice_trim(s);
	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	slash = s.n > 0 ? memrchr(s.p, '/', s.n) : NULL;
	return slash != NULL ? slice_make(slash + 1, s.n - (size_t)(slash + 1 - s.p)) : s;
}

static bool
take(struct decode_ctx *c, const struct in *in, struct slice *ret, struct val *v)
{
	bool lasting;

	if (!in_text(c, in, ret, &lasting))
		return false;
	*v = (struct val){ .kind = VAL_TEXT, .lasting = lasting };
	return true;
}

/* "projects/p/.../models/code-bison@002" gives code-bison, ".../inference-profile/us.vendor.model-v1:0" vendor.model-v1:0. */
bool
convert_model_name(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const char *at;
	struct slice s;

	if (!take(c, in, &s, ret))
		return false;
	s = without_geography(last_name(s));
	at = s.n > 0 ? memchr(s.p, '@', s.n) : NULL;
	if (at != NULL && at > s.p)
		s.n = (size_t)(at - s.p);
	ret->text = s;
	return s.n > 0;
}

/* What is behind the @; "default" says nothing. */
bool
convert_model_version(struct decode_ctx *c, const struct in *in, struct val *ret)
{
	const char *at;
	struct slice s;

	if (!take(c, in, &s, ret))
		return false;
	s = last_name(s);
	at = s.n > 0 ? memchr(s.p, '@', s.n) : NULL;
	if (at == NULL)
		return false;
	ret->text = slice_make(at + 1, s.n - (size_t)(at + 1 - s.p));
	return ret->text.n > 0 && !slice_eq_nocase(ret->text, SLICE("default"));
}
