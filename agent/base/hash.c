/* hash.c - SHA-256 by libcrypto, CRC-32 by libdeflate or zlib, SipHash and FNV by ourselves. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#ifdef WITH_LIBDEFLATE
#include <libdeflate.h>
#else
#include <zlib.h>
#endif

#include "base/buf.h"

struct sha256 {
	EVP_MD_CTX	*ctx;
	EVP_MD		*md;
};

struct sha256 *
sha256_new(void)
{
	struct sha256 *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return NULL;
	h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
	h->ctx = EVP_MD_CTX_new();
	if (h->md == NULL || h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1) {
		sha256_free(h);
		return NULL;
	}
	return h;
}

void
sha256_free(struct sha256 *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	EVP_MD_free(h->md);
	free(h);
}

void
sha256_start(struct sha256 *h)
{
	int rc = EVP_DigestInit_ex2(h->ctx, NULL, NULL);	/* the same digest again: nothing is looked up */

	assert(rc == 1);
	(void)rc;
}

void
sha256_add(struct sha256 *h, const void *p, size_t n)
{
	int rc = EVP_DigestUpdate(h->ctx, p, n);

	assert(rc == 1);
	(void)rc;
}

void
sha256_finish(struct sha256 *h, unsigned char ret[SHA256_BYTES])
{
	unsigned n = 0;
	int rc = EVP_DigestFinal_ex(h->ctx, ret, &n);

	assert(rc == 1 && n == SHA256_BYTES);
	(void)rc;
}

uint32_t
crc32_ieee(uint32_t crc, const void *p, size_t n)
{
#ifdef WITH_LIBDEFLATE
	return libdeflate_crc32(crc, p, n);
#else
	return (uint32_t)crc32_z(crc, p, n);
#endif
}

#define ROTATE(x, b)	((x) << (b) | (x) >> (64 - (b)))

__attribute__((always_inline))		/* the four words stay in registers */
static inline void
sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[3];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[2] = ROTATE(v[2], 32);
}

/* The last, short word. */
static uint64_t
word(const unsigned char *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

uint64_t
siphash24(const unsigned char key[16], const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t k0 = get_le64(key), k1 = get_le64(key + 8), m;
	uint64_t v[4] = {
		k0 ^ UINT64_C(0x736f6d6570736575), k1 ^ UINT64_C(0x646f72616e646f6d),
		k0 ^ UINT64_C(0x6c7967656e657261), k1 ^ UINT64_C(0x7465646279746573),
	};
	size_t left = n;

	for (; left >= 8; left -= 8, p += 8) {
		m = get_le64(p);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	m = word(p, left) | (uint64_t)n << 56;
	v[3] ^= m;
	sip_round(v);
	sip_round(v);
	v[0] ^= m;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static unsigned char process_key[16];
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void
make_key(void)
{
	random_bytes(process_key, sizeof(process_key));
}

uint64_t
hash_keyed(const void *p, size_t n)
{
	pthread_once(&key_once, make_key);
	return siphash24(process_key, p, n);
}

uint64_t
hash_stable(const void *p, size_t n)
{
	const unsigned char *in = p;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < n; i++)
		h = (h ^ in[i]) * UINT64_C(0x100000001b3);
	return h;
}

void
random_bytes(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		ssize_t got = getrandom(at, n, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		at += got;
		n -= (size_t)got;
	}
}

uint32_t
random_below(uint32_t bound)
{
	uint64_t v;

	random_bytes(&v, sizeof(v));
	return bound > 0 ? (uint32_t)(v % bound) : 0;
}
