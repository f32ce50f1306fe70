/* conf_text.c - sizes and times as people write them, and what a row of a table allows, in words. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <stdio.h>

#include "base/buf.h"
#include "base/conf_value.h"

struct unit { const char *name; uint64_t factor; };

static const struct unit times[] = {
	{ "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 }, { NULL, 0 },
};

static const struct unit sizes[] = {
	{ "", 1 }, { "B", 1 }, { "kB", 1000 }, { "KB", 1000 }, { "MB", 1000000 }, { "GB", 1000000000 },
	{ "TB", 1000000000000 }, { "KiB", 1 << 10 }, { "MiB", 1 << 20 }, { "GiB", 1 << 30 }, { "TiB", UINT64_C(1) << 40 },
	{ NULL, 0 },
};

/* "1.5GiB": decimal digits, at most 9 behind a point, blanks, one of the units. */
static bool
parse_amount(const char *text, const struct unit *units, uint64_t *ret)
{
	uint64_t whole = 0, part = 0, parts = 1, sum;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++)
		if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, (uint64_t)(*text - '0'), &whole))
			return false;
	if (*text == '.' && text[1] >= '0' && text[1] <= '9')
		for (text++; *text >= '0' && *text <= '9' && parts < 1000000000; text++, parts *= 10)
			part = part * 10 + (uint64_t)(*text - '0');
	text += strspn(text, " ");
	while (units->name != NULL && strcmp(units->name, text) != 0)
		units++;
	if (units->name == NULL || (part > 0 && units->factor == 1) || __builtin_mul_overflow(whole, units->factor, &sum))
		return false;
	part = (uint64_t)((double)part * (double)units->factor / (double)parts);
	if (__builtin_add_overflow(sum, part, &sum) || sum > INT64_MAX)
		return false;
	*ret = sum;
	return true;
}

bool
conf_parse_time(const char *text, uint64_t *ret_ms)
{
	if (strcmp(text, "0") == 0) {
		*ret_ms = 0;
		return true;
	}
	return parse_amount(text, times, ret_ms);
}

bool
conf_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	return parse_amount(text, sizes, ret_bytes);
}

/* The largest unit that gives a whole number. */
static void
amount_text(double amount, bool is_time, char *ret, size_t n)
{
	static const char *const time_units[] = { "d", "h", "m", "s", "ms" };
	static const char *const size_units[] = { "TiB", "GiB", "MiB", "KiB", "MB", "kB", "" };
	const char *const *names = is_time ? time_units : size_units;
	const struct unit *units = is_time ? times : sizes;

	for (size_t i = 0;; i++) {
		const struct unit *u = units;
		uint64_t v = (uint64_t)amount;

		while (strcmp(u->name, names[i]) != 0)
			u++;
		if (u->factor > 1 && (v == 0 || v % u->factor != 0))
			continue;
		snprintf(ret, n, "%llu%s", (unsigned long long)(v / u->factor), v == 0 ? "" : u->name);
		return;
	}
}

static void
limit_text(const struct conf_key *k, double limit, char *ret, size_t n)
{
	if (k->type == CONF_TIME || k->type == CONF_BYTES)
		amount_text(limit, k->type == CONF_TIME, ret, n);
	else
		snprintf(ret, n, "%.15g", limit);
}

static void
limits_text(const struct conf_key *k, const char *what, char *ret, size_t n)
{
	char least[40], most[40];

	limit_text(k, k->least, least, sizeof(least));
	limit_text(k, k->most, most, sizeof(most));
	if (k->least == 0 && k->most == 0)
		snprintf(ret, n, "%s", what);
	else if (k->most == 0)
		snprintf(ret, n, "%s, at least %s", what, least);
	else
		snprintf(ret, n, "%s, %s to %s", what, least, most);
}

void
conf_words_text(const char *words, char *ret, size_t n)
{
	size_t at = 0;

	for (; *words != '\0'; words++) {
		const size_t len = *words == '|' ? 2 : 1;

		if (at + len + 4 >= n) {	/* the rest is left out */
			at += (size_t)snprintf(ret + at, n - at, "...");
			break;
		}
		memcpy(ret + at, *words == '|' ? ", " : words, len);
		at += len;
	}
	ret[at < n ? at : n - 1] = '\0';
}

void
conf_key_type_text(const struct conf_key *k, char *ret, size_t n)
{
	size_t len;

	switch (k->type) {
	case CONF_TEXT: snprintf(ret, n, "%s", k->allowed != NULL ? k->allowed : "text"); break;
	case CONF_WORD:
		conf_words_text(k->allowed, ret, n);
		len = strlen(ret);
		if (k->keys != NULL)
			snprintf(ret + len, n - len, " or a block");
		break;
	case CONF_BOOL: snprintf(ret, n, "true or false"); break;
	case CONF_COUNT: limits_text(k, "a whole number", ret, n); break;
	case CONF_REAL: limits_text(k, "a number", ret, n); break;
	case CONF_BYTES: limits_text(k, "a size such as 64KiB", ret, n); break;
	case CONF_TIME: limits_text(k, "a time such as 500ms, 5s or 10m", ret, n); break;
	case CONF_SECRET: snprintf(ret, n, CONF_SECRET_FORM); break;
	case CONF_TEXTS: snprintf(ret, n, "%s", k->allowed != NULL ? k->allowed : "a list of texts"); break;
	case CONF_MAP: snprintf(ret, n, "names and texts, {name: text}"); break;
	case CONF_BLOCK: snprintf(ret, n, "a block of keys"); break;
	case CONF_BLOCKS:
		if (k->most > 0)
			snprintf(ret, n, "a list of at most %.0f blocks", k->most);
		else
			snprintf(ret, n, "a list of blocks");
		break;
	}
}

/* ---- walking a table ---------------------------------------------------------------- */

typedef void row_fn(void *arg, const char *path, const struct conf_key *);

static void describe(const struct conf_key *keys, const char *above, row_fn *row, void *arg);

static void
describe_below(const struct conf_key *k, const char *path, row_fn *row, void *arg)
{
	describe(k->keys, path, row, arg);
	for (const char *at = k->variant != NULL ? k->variant_words : ""; *at != '\0';) {
		const size_t n = strcspn(at, "|");
		char word[64], of[384];

		snprintf(word, sizeof(word), "%.*s", (int)n, at);
		snprintf(of, sizeof(of), "%s(%s)", path, word);
		describe(k->variant(word), of, row, arg);
		at += n + (at[n] == '|');
	}
}

/* A block's own values first, then the blocks in it. */
static void
describe(const struct conf_key *keys, const char *above, row_fn *row, void *arg)
{
	char path[256];

	for (int blocks = 0; blocks < 2; blocks++)
		for (const struct conf_key *k = keys; k != NULL && k->name != NULL; k++) {
			const bool is_block = k->type == CONF_BLOCK || k->type == CONF_BLOCKS;

			snprintf(path, sizeof(path), "%s%s%s%s", above, above[0] != '\0' ? "." : "", k->name,
			    k->type == CONF_BLOCKS ? "[]" : "");
			if (is_block == (blocks == 1))
				row(arg, path, k);
			if (blocks == 1)
				describe_below(k, path, row, arg);
		}
}

void
conf_describe(const struct conf_key *top, row_fn *row, void *arg)
{
	describe(top, "", row, arg);
}
