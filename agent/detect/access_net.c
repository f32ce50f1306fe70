/*
 * access_net.c - where a call came from: a network and a wider area, both by prefix alone; with a list of networks also country,
 * autonomous system, place and label. Nothing is looked up over a network.
 *
 * The list: CSV, one network a line: `network,country,asn,latitude,longitude,label`; all but the first may be empty; '#' begins a comment.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/err.h"
#include "detect/access.h"

#define LIST_BYTES	(256u << 20)
#define LIST_MAX	4000000u
#define NO_PARENT	UINT32_MAX
#define COLUMNS		6

struct address { unsigned char b[16]; };	/* IPv4 as ::ffff:a.b.c.d */

struct listed {
	struct address	from;
	uint8_t		bits, label;
	char		country[2];
	uint32_t	asn, parent;		/* parent: the smallest network around this one */
	float		latitude, longitude;
};

struct networks {
	struct listed	*v;
	uint32_t	 n, cap;
	char		 labels[255][24];	/* from 1 */
	unsigned	 nlabels;
};

/* ---- addresses ---------------------------------------------------------------------- */

static bool
parse_address(struct slice s, struct address *ret, bool *ret_v4)
{
	char text[64];

	if (s.n == 0 || s.n >= sizeof(text))
		return false;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	memset(ret, 0, sizeof(*ret));
	*ret_v4 = inet_pton(AF_INET, text, ret->b + 12) == 1;
	if (*ret_v4) {
		ret->b[10] = ret->b[11] = 0xff;
		return true;
	}
	return inet_pton(AF_INET6, text, ret->b) == 1;
}

/* "198.51.100.***" as 198.51.100.0. */
static bool
unmask(struct slice s, char ret[64])
{
	size_t n = 0;

	if (s.n >= 64)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] != '*')
			ret[n++] = s.p[i];
		else if (i == 0 || s.p[i - 1] != '*')
			ret[n++] = '0';
	}
	ret[n] = '\0';
	return true;
}

static void
cut_bits(struct address *a, unsigned bits)
{
	for (unsigned i = 0; i < 16; i++) {
		unsigned keep = bits >= (i + 1) * 8 ? 8 : bits > i * 8 ? bits - i * 8 : 0;

		a->b[i] &= (unsigned char)(0xff00u >> keep);
	}
}

static void
prefix_text(struct address a, bool v4, unsigned bits, char ret[48])
{
	char text[INET6_ADDRSTRLEN];

	cut_bits(&a, v4 ? bits + 96 : bits);
	if (inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a.b + 12 : a.b, text, sizeof(text)) == NULL)
		text[0] = '\0';
	snprintf(ret, 48, "%.42s/%u", text, bits);
}

/* Addresses that mean something only inside: RFC 1918, 6598, 3927, 4193, 4291 link-local and loopback. */
static bool
is_private(const struct address *a, bool v4)
{
	const unsigned char *b = v4 ? a->b + 12 : a->b;

	if (v4)
		return b[0] == 10 || b[0] == 127 || (b[0] == 172 && b[1] >> 4 == 1) || (b[0] == 192 && b[1] == 168) ||
		    (b[0] == 100 && b[1] >> 6 == 1) || (b[0] == 169 && b[1] == 254);
	return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && b[1] >> 6 == 2);
}

/* ---- the list -------------------------------------------------------------------------- */

static int
by_place(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;
	int c = memcmp(x->from.b, y->from.b, 16);

	return c != 0 ? c : x->bits < y->bits ? -1 : x->bits > y->bits;
}

static bool
holds(const struct listed *l, const struct address *a)
{
	struct address cut = *a;

	cut_bits(&cut, l->bits);
	return memcmp(cut.b, l->from.b, 16) == 0;
}

static void
find_parents(struct networks *n)
{
	for (uint32_t i = 0; i < n->n; i++) {
		uint32_t p = i > 0 ? i - 1 : NO_PARENT;

		while (p != NO_PARENT && !holds(&n->v[p], &n->v[i].from))
			p = n->v[p].parent;
		n->v[i].parent = p;
	}
}

static const struct listed *
list_find(const struct networks *n, const struct address *a)
{
	uint32_t lo = 0, hi = n->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (memcmp(n->v[mid].from.b, a->b, 16) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (uint32_t i = lo > 0 ? lo - 1 : NO_PARENT; i != NO_PARENT; i = n->v[i].parent)
		if (holds(&n->v[i], a))
			return &n->v[i];
	return NULL;
}

static bool
read_network(struct slice s, struct listed *l)
{
	const char *slash = memchr(s.p, '/', s.n);
	struct slice address = slash != NULL ? slice_make(s.p, (size_t)(slash - s.p)) : s;
	int64_t bits;
	bool v4;

	if (!parse_address(address, &l->from, &v4))
		return false;
	bits = v4 ? 32 : 128;
	if (slash != NULL && (!slice_to_i64(slice_make(slash + 1, s.n - address.n - 1), &bits) || bits < 0 || bits > (v4 ? 32 : 128)))
		return false;
	l->bits = (uint8_t)(v4 ? bits + 96 : bits);
	cut_bits(&l->from, l->bits);
	return true;
}

static uint8_t
label_of(struct networks *n, struct slice s)
{
	char text[24];

	snprintf(text, sizeof(text), "%.*s", (int)(s.n < 23 ? s.n : 23), s.n > 0 ? s.p : "");
	if (text[0] == '\0')
		return 0;
	for (unsigned i = 0; i < n->nlabels; i++)
		if (strcmp(n->labels[i], text) == 0)
			return (uint8_t)(i + 1);
	if (n->nlabels == 255)
		return 255;
	memcpy(n->labels[n->nlabels], text, sizeof(text));
	return (uint8_t)++n->nlabels;
}

static unsigned
split(struct slice line, struct slice v[COLUMNS])
{
	unsigned n = 0;

	memset(v, 0, COLUMNS * sizeof(*v));
	for (size_t at = 0; n < COLUMNS && at <= line.n; n++) {
		const char *comma = at < line.n ? memchr(line.p + at, ',', line.n - at) : NULL;
		size_t end = comma != NULL ? (size_t)(comma - line.p) : line.n;

		v[n] = slice_trim(slice_make(line.p + at, end - at));
		at = end + 1;
	}
	return n;
}

static bool
read_line(struct networks *n, struct slice line)
{
	struct slice v[COLUMNS];
	struct listed l = { .latitude = NAN, .longitude = NAN };
	double lat, lon;
	int64_t asn = 0;

	(void)split(line, v);
	if (slice_starts_nocase(v[2], SLICE("AS")))
		v[2] = slice_make(v[2].p + 2, v[2].n - 2);
	if (!read_network(v[0], &l) || (v[1].n != 0 && v[1].n != 2) ||
	    (v[2].n > 0 && (!slice_to_i64(v[2], &asn) || asn < 0 || asn > UINT32_MAX)))
		return false;
	for (size_t i = 0; i < v[1].n; i++)
		l.country[i] = (char)(ascii_lower((unsigned char)v[1].p[i]) - 'a' + 'A');
	l.asn = (uint32_t)asn;
	if (v[3].n > 0 || v[4].n > 0) {
		if (!slice_to_double(v[3], &lat) || !slice_to_double(v[4], &lon) || !(fabs(lat) <= 90) || !(fabs(lon) <= 180))
			return false;
		l.latitude = (float)lat;
		l.longitude = (float)lon;
	}
	l.label = label_of(n, v[5]);
	if (n->n == n->cap) {
		uint32_t cap = n->cap > 0 ? n->cap * 2 : 1024;
		struct listed *more = n->n < LIST_MAX ? realloc(n->v, cap * sizeof(*more)) : NULL;

		if (more == NULL)
			return false;
		n->v = more;
		n->cap = cap;
	}
	n->v[n->n++] = l;
	return true;
}

int
networks_open(struct networks **ret, const char *path, struct err *err)
{
	struct networks *n = calloc(1, sizeof(*n));
	unsigned long number = 0;
	struct buf b;
	int rc = -1;

	buf_init(&b, LIST_BYTES);
	if (n == NULL) {
		err_set(err, ERR_AGAIN, "no memory for the list of networks");
		goto out;
	}
	if (buf_read_file(&b, path, err) != 0)
		goto out;
	for (size_t at = 0; at < b.n;) {
		const char *end = memchr(b.p + at, '\n', b.n - at);
		struct slice line = slice_make(b.p + at, end != NULL ? (size_t)(end - b.p) - at : b.n - at);

		at += line.n + 1;
		number++;
		line = slice_trim(line);
		if (line.n == 0 || line.p[0] == '#' || (number == 1 && slice_starts_nocase(line, SLICE("network"))))
			continue;
		if (!read_line(n, line)) {
			err_set(err, ERR_CONFIG, "%.200s:%lu: not `network,country,asn,latitude,longitude,label` "
			    "(such as 203.0.113.0/24,DE,64500,,,vpn)", path, number);
			goto out;
		}
	}
	if (n->n > 0)
		qsort(n->v, n->n, sizeof(*n->v), by_place);
	find_parents(n);
	*ret = n;
	rc = 0;
out:
	buf_fini(&b);
	if (rc != 0)
		networks_close(n);
	return rc;
}

void
networks_close(struct networks *n)
{
	if (n == NULL)
		return;
	free(n->v);
	free(n);
}

/* ---- the place ----------------------------------------------------------------------------- */

static void
fill_listed(const struct networks *n, const struct listed *l, struct place *p)
{
	if (l->country[0] != '\0')
		snprintf(p->country, sizeof(p->country), "%c%c", l->country[0], l->country[1]);
	p->asn = l->asn;
	p->latitude = l->latitude;
	p->longitude = l->longitude;
	if (l->label > 0)
		memcpy(p->label, n->labels[l->label - 1], sizeof(p->label));
}

bool
access_place(const struct networks *list, struct slice address, struct place *ret)
{
	struct place p = { .latitude = NAN, .longitude = NAN };
	const struct listed *l;
	struct address a;
	char text[64];
	bool v4;

	*ret = p;
	if (!unmask(address, text) || !parse_address(slice_of(text), &a, &v4))
		return false;
	p.private = is_private(&a, v4);
	prefix_text(a, v4, v4 ? 24 : 48, p.net);
	if (p.private)
		snprintf(p.area, sizeof(p.area), "private");
	else
		prefix_text(a, v4, v4 ? 16 : 40, p.area);
	l = list != NULL ? list_find(list, &a) : NULL;
	if (l != NULL) {
		fill_listed(list, l, &p);
		if (p.asn != 0)
			snprintf(p.area, sizeof(p.area), "AS%u", p.asn);
	}
	*ret = p;
	return true;
}

static const struct { char country[3]; short latitude, longitude; } middles[] = {
#define COUNTRY(code, latitude, longitude)	{ code, latitude, longitude },
#include "detect/countries.tbl"
#undef COUNTRY
};

bool
country_middle(const char country[3], float *ret_latitude, float *ret_longitude)
{
	for (size_t i = 0; i < sizeof(middles) / sizeof(middles[0]); i++)
		if (strcmp(middles[i].country, country) == 0) {
			*ret_latitude = middles[i].latitude;
			*ret_longitude = middles[i].longitude;
			return true;
		}
	return false;
}

/* The great circle, by the haversine formula on a sphere of 6,371 km. */
double
access_distance_km(float lat1, float lon1, float lat2, float lon2)
{
	const double rad = 0.017453292519943295;
	double u = sin((lat2 - lat1) * rad / 2), v = sin((lon2 - lon1) * rad / 2);
	double h = u * u + cos(lat1 * rad) * cos(lat2 * rad) * v * v;

	return 2 * 6371 * asin(sqrt(h < 1 ? h : 1));
}
