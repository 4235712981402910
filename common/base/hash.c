/* SPDX-License-Identifier: ISC */
/* Hashes without a library of their own need: xxHash, FNV-1a, CRC-32C. */
#include "common/base/hash.h"

#include <nmmintrin.h>
#include <string.h>
#include <wmmintrin.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t
hash_xxh64(const void *p, size_t n)
{
	return XXH64(p, n, 0);
}

uint64_t
hash_xxh3(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
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

/*
 * CRC-32C. The instruction takes 8 bytes in one cycle but answers after
 * three, so large buffers are cut into thirds whose sums run side by side.
 * The sums a, b, c of three blocks of n bytes join to
 *
 *	a * x^(16n) + b * x^(8n) + c	(mod P)
 *
 * Multiplying without carries and reducing by the CRC instruction itself
 * adds a factor x^33 (bits are reflected), so the constants are
 * x^(8n - 33) mod P and x^(16n - 33) mod P.
 * Source: V. Gopal et al., Fast CRC Computation for iSCSI Polynomial Using
 * CRC32 Instruction, Intel 2011.
 */
#define CRC_LONG	1024u
#define CRC_LONG_X1	0x170076fau
#define CRC_LONG_X2	0xa51b6135u
#define CRC_SHORT	128u
#define CRC_SHORT_X1	0x0d3b6092u
#define CRC_SHORT_X2	0xb9e02b86u

static inline uint64_t
load_word(const uint8_t *p)
{
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

/* Three blocks of n bytes, n a multiple of 8. */
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t
crc_thirds(uint64_t crc, const uint8_t *p, size_t n, uint32_t x1, uint32_t x2)
{
	uint64_t a = crc, b = 0, c = 0;
	__m128i ax, bx;

	for (size_t i = 0; i < n; i += 8) {
		a = _mm_crc32_u64(a, load_word(p + i));
		b = _mm_crc32_u64(b, load_word(p + n + i));
		c = _mm_crc32_u64(c, load_word(p + 2 * n + i));
	}
	ax = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)a),
	    _mm_cvtsi32_si128((int32_t)x2), 0);
	bx = _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)b),
	    _mm_cvtsi32_si128((int32_t)x1), 0);
	return c ^ _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(
	    _mm_xor_si128(ax, bx)));
}

/* As much as fits into thirds; *p and *n move behind it. */
__attribute__((target("sse4.2,pclmul"))) static uint64_t
crc_large(uint64_t crc, const uint8_t **p, size_t *n)
{
	for (; *n >= 3 * CRC_LONG; *n -= 3 * CRC_LONG, *p += 3 * CRC_LONG)
		crc = crc_thirds(crc, *p, CRC_LONG, CRC_LONG_X1, CRC_LONG_X2);
	for (; *n >= 3 * CRC_SHORT; *n -= 3 * CRC_SHORT, *p += 3 * CRC_SHORT)
		crc = crc_thirds(crc, *p, CRC_SHORT, CRC_SHORT_X1,
		    CRC_SHORT_X2);
	return crc;
}

uint32_t
hash_crc32c(uint32_t crc, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint64_t c = ~crc;

	/* x86-64-v2 does not promise PCLMULQDQ. */
	if (n >= 3 * CRC_SHORT && __builtin_cpu_supports("pclmul"))
		c = crc_large(c, &s, &n);
	for (; n >= 8; n -= 8, s += 8)
		c = _mm_crc32_u64(c, load_word(s));
	for (; n > 0; n--, s++)
		c = _mm_crc32_u8((uint32_t)c, *s);
	return ~(uint32_t)c;
}
