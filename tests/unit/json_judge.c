/* json_judge.c - a plain recursive reader of RFC 8259, for a second opinion: slow, short, and nothing shared with the first. */
#include "tests/unit/json_judge.h"

#include "base/json.h"

static size_t judge_value(const unsigned char *p, size_t n, size_t at, int depth);

static size_t
judge_blanks(const unsigned char *p, size_t n, size_t at)
{
	while (at < n && (p[at] == ' ' || p[at] == '\t' || p[at] == '\n' || p[at] == '\r'))
		at++;
	return at;
}

static size_t
judge_string(const unsigned char *p, size_t n, size_t at)
{
	if (at >= n || p[at] != '"')
		return 0;
	for (at++; at < n && p[at] != '"'; at++) {
		if (p[at] < 0x20)
			return 0;
		if (p[at] != '\\')
			continue;
		if (++at >= n || p[at] == '\0' || strchr("\"\\/bfnrtu", p[at]) == NULL)
			return 0;
		if (p[at] == 'u') {
			for (int hex = 0; hex < 4; hex++)
				if (++at >= n || p[at] == '\0' || strchr("0123456789abcdefABCDEF", p[at]) == NULL)
					return 0;
		}
	}
	return at < n ? at + 1 : 0;
}

static size_t
judge_digits(const unsigned char *p, size_t n, size_t at)
{
	size_t from = at;

	while (at < n && p[at] >= '0' && p[at] <= '9')
		at++;
	return at > from ? at : 0;
}

static size_t
judge_number(const unsigned char *p, size_t n, size_t at)
{
	size_t first;

	if (at < n && p[at] == '-')
		at++;
	first = at;
	at = judge_digits(p, n, at);
	if (at == 0 || (p[first] == '0' && at > first + 1))
		return 0;
	if (at < n && p[at] == '.' && (at = judge_digits(p, n, at + 1)) == 0)
		return 0;
	if (at < n && (p[at] == 'e' || p[at] == 'E')) {
		at++;
		at += at < n && (p[at] == '+' || p[at] == '-');
		at = judge_digits(p, n, at);
	}
	return at;
}

static size_t
judge_container(const unsigned char *p, size_t n, size_t at, int depth)
{
	unsigned char close = p[at] == '{' ? '}' : ']';

	if (depth == JSON_MAX_DEPTH)
		return 0;
	at = judge_blanks(p, n, at + 1);
	if (at < n && p[at] == close)
		return at + 1;
	for (;;) {
		at = judge_blanks(p, n, at);
		if (close == '}') {
			at = judge_string(p, n, at);
			at = at > 0 ? judge_blanks(p, n, at) : n;
			if (at >= n || p[at] != ':')
				return 0;
			at = judge_blanks(p, n, at + 1);
		}
		at = judge_value(p, n, at, depth + 1);
		at = at > 0 ? judge_blanks(p, n, at) : n;
		if (at >= n || (p[at] != close && p[at] != ','))
			return 0;
		if (p[at++] == close)
			return at;
	}
}

static size_t
judge_value(const unsigned char *p, size_t n, size_t at, int depth)
{
	static const char *const words[] = { "true", "false", "null" };

	if (at >= n)
		return 0;
	if (p[at] == '{' || p[at] == '[')
		return judge_container(p, n, at, depth);
	if (p[at] == '"')
		return judge_string(p, n, at);
	for (size_t i = 0; i < 3; i++)
		if (n - at >= strlen(words[i]) && memcmp(p + at, words[i], strlen(words[i])) == 0)
			return at + strlen(words[i]);
	return judge_number(p, n, at);
}

bool
json_judge(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;
	size_t at;

	if (s.n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		p += 3;
		s.n -= 3;
	}
	at = judge_value(p, s.n, judge_blanks(p, s.n, 0), 0);
	return at > 0 && judge_blanks(p, s.n, at) == s.n;
}
