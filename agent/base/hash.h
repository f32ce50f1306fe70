/*
 * hash.h - digests and checksums. The one home of libcrypto's digests and of
 * the CRC of libdeflate or zlib.
 */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include "base/slice.h"

#define SHA256_BYTES	32

/* One-shot and streamed SHA-256 (FIPS 180-4, libcrypto). One context a thread, made once: no digest is looked up again. */
struct sha256;
struct sha256 *sha256_new(void);		/* NULL when memory is short */
void	sha256_free(struct sha256 *);
void	sha256_start(struct sha256 *);
void	sha256_add(struct sha256 *, const void *, size_t n);
void	sha256_finish(struct sha256 *, unsigned char ret[SHA256_BYTES]);

/* CRC-32 of IEEE 802.3 (as gzip); crc 0 to start. */
uint32_t crc32_ieee(uint32_t crc, const void *, size_t n);

/* SipHash-2-4 (Aumasson, Bernstein 2012) under a random key made once per process: for hash tables that strangers fill. */
uint64_t hash_keyed(const void *, size_t n);
/* SipHash-2-4 itself, little-endian key. */
uint64_t siphash24(const unsigned char key[16], const void *, size_t n);
/* FNV-1a, 64 bits: stable across runs and machines; for names we made ourselves and for stable stream ids. */
uint64_t hash_stable(const void *, size_t n);

/* n random bytes from the kernel; aborts when there are none. */
void	random_bytes(void *, size_t n);
uint32_t random_below(uint32_t bound);

#endif
