/* said.c - words of a far side, made fit for a log. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "net/said.h"

#include <string.h>

#include "base/buf.h"

#define TOKEN_LEAST	24	/* so long is no word of a sentence */
#define SCHEME_LEAST	8	/* behind Bearer and its like: "Bearer token" is a sentence */
#define SAID_MOST	65536

/* What stands behind these is a credential when it is long enough; behind the others when = or : stands between. */
static const char *const schemes[] = { "bearer", "basic", "negotiate", "sharedkey", "sharedaccesssignature" };
static const char *const keys[] = { "password", "passwd", "pwd", "secret", "token", "assertion", "sig", "signature", "key", "authorization",
	"cookie", "credential", "sharedaccesskey", "accountkey" };

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_token_char(char c)
{
	return is_letter(c) || is_digit(c) || (c != '\0' && strchr("+_-~=", c) != NULL);
}

static size_t
token_at(struct slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && is_token_char(s.p[at + n]))
		n++;
	return n;
}

/* Upper and lower case and several groups of digits in one piece: no name, no GUID, no path looks so, and chance gives it to a token. */
static bool
looks_random(const char *p, size_t n)
{
	bool upper = false, lower = false;
	size_t groups = 0;

	for (size_t i = 0; i < n; i++) {
		upper = upper || (p[i] >= 'A' && p[i] <= 'Z');
		lower = lower || (p[i] >= 'a' && p[i] <= 'z');
		groups += is_digit(p[i]) && (i == 0 || !is_digit(p[i - 1]));
	}
	return n >= TOKEN_LEAST && upper && lower && groups >= 2;
}

static bool
is_one_of(const char *word, size_t n, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const size_t len = strlen(list[i]);

		/* client_secret, x-api-key: the end counts */
		if (n >= len && slice_starts_nocase(slice_make(word + n - len, len), slice_make(list[i], len)))
			return true;
	}
	return false;
}

static bool
ends_value(char c)
{
	return (unsigned char)c <= 0x20 || strchr("\"'<>,;&", c) != NULL;
}

/* A word stands at `at`: where the credential behind it begins and how long it is; 0: none. */
static size_t
credential_behind(struct slice s, size_t at, size_t word_n, size_t *ret_at)
{
	const bool scheme = is_one_of(s.p + at, word_n, schemes, sizeof(schemes) / sizeof(schemes[0]));
	const bool key = is_one_of(s.p + at, word_n, keys, sizeof(keys) / sizeof(keys[0]));
	size_t i = at + word_n, n = 0;
	bool sign = false;

	for (; i < s.n && strchr(" =:\"'", s.p[i]) != NULL; i++)
		sign = sign || s.p[i] == '=' || s.p[i] == ':';
	while (i + n < s.n && !ends_value(s.p[i + n]))
		n++;
	*ret_at = i;
	if (i == at + word_n || is_one_of(s.p + i, token_at(s, i), schemes, sizeof(schemes) / sizeof(schemes[0])))
		return 0;			/* "Authorization: Bearer": what comes behind that */
	return (scheme && n >= SCHEME_LEAST) || (key && sign) ? n : 0;
}

/* user:password@ behind "://"; 0: none. */
static size_t
user_info(struct slice s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && !ends_value(s.p[at + n]) && s.p[at + n] != '/' && s.p[at + n] != '@')
		n++;
	return at + n < s.n && s.p[at + n] == '@' ? n : 0;
}

static void
hide(struct slice s, struct buf *out)
{
	for (size_t i = 0; i < s.n;) {
		size_t n = token_at(s, i), at, hidden;

		if (n > 0 && looks_random(s.p + i, n)) {
			buf_puts(out, SAID_HIDDEN);
			i += n;
		} else if (n > 0) {
			size_t word = 0;

			while (word < n && s.p[i + word] != '=')
				word++;
			word = word > 0 ? word : 1;
			hidden = credential_behind(s, i, word, &at);
			buf_put(out, s.p + i, hidden > 0 ? at - i : word);
			if (hidden > 0)
				buf_puts(out, SAID_HIDDEN);
			i = hidden > 0 ? at + hidden : i + word;
		} else if (s.n - i > 3 && memcmp(s.p + i, "://", 3) == 0 && (hidden = user_info(s, i + 3)) > 0) {
			buf_puts(out, "://" SAID_HIDDEN);
			i += 3 + hidden;
		} else {
			buf_putc(out, s.p[i++]);
		}
	}
}

void
said_clean(struct buf *b, size_t most)
{
	struct buf out;

	for (size_t i = 0; i < b->n; i++)
		if ((unsigned char)b->p[i] < 0x20 || (unsigned char)b->p[i] >= 0x7f)
			b->p[i] = '?';
	buf_init(&out, SAID_MOST);
	hide(buf_slice(b), &out);
	buf_reset(b);
	if (!out.failed)			/* without memory nothing is said */
		buf_put(b, out.p, out.n < most ? out.n : most);
	buf_fini(&out);
}

void
said_copy(struct slice text, char *ret, size_t n)
{
	struct buf b;

	buf_init(&b, SAID_MOST);
	buf_put(&b, text.p, text.n < 4096 ? text.n : 4096);
	if (!b.failed)
		said_clean(&b, n - 1);
	if (b.n > 0)
		memcpy(ret, b.p, b.n);
	ret[b.n] = '\0';
	buf_fini(&b);
}

bool
said_repeats(struct slice text, struct slice sent, size_t run)
{
	const size_t n = sent.n < run ? sent.n : run;

	for (size_t i = 0; n > 0 && i + n <= text.n; i++)
		if (memmem(sent.p, sent.n, text.p + i, n) != NULL)
			return true;
	return false;
}
