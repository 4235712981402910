/* SPDX-License-Identifier: ISC */
/* Hashes without a library of their own need: xxHash, FNV-1a, CRC-32C. */
#include "common/base/hash.h"

#include <nmmintrin.h>
#include <string.h>

#include <xxhash.h>

uint64_t
hash_xxh64(const void *p, size_t n)
{
	return XXH64(p, n, 0);
}

uint64_t
hash_fnv64a(uint64_t h, const void *p, size_t n)
{
	const uint8_t *s = p;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ s[i]) * 1099511628211ULL;
	return h;
}

uint32_t
hash_crc32c(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint64_t c = ~crc, w;

	for (; n >= 8; n -= 8, s += 8) {
		memcpy(&w, s, 8);
		c = _mm_crc32_u64(c, w);
	}
	for (; n > 0; n--, s++)
		c = _mm_crc32_u8((uint32_t)c, *s);
	return ~(uint32_t)c;
}
