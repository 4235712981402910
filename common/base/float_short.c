/* SPDX-License-Identifier: ISC */

/*
 * Raffaello Giulietti's Schubfach ("The Schubfach way to render doubles",
 * 2021), for exponents where the powers of ten that it needs are exact in
 * 128 bits: the table is short, and every product is the true one but for
 * its last, sticky bit.
 *
 * v = c * 2^q lies in an interval of reals that all round to it. k is the
 * largest power of ten not above the interval's width; a multiple of
 * 10^(k+1) inside it is shorter than all others, else the nearest multiple
 * of 10^k is taken.
 */

#include "common/base/float_short.h"

#include <stdbool.h>
#include <string.h>

#define FRACTION_BITS	52
#define EXPONENT_BIAS	(1023 + FRACTION_BITS)
#define Q_MIN		(-20 - FRACTION_BITS)

/* 10^1 …, the highest bit set: hi * 2^64 + lo, times a power of two. */
static const struct pow10 {
	uint64_t hi, lo;
} pow10_table[] = {
	{ 0xa000000000000000ULL, 0x0000000000000000ULL },
	{ 0xc800000000000000ULL, 0x0000000000000000ULL },
	{ 0xfa00000000000000ULL, 0x0000000000000000ULL },
	{ 0x9c40000000000000ULL, 0x0000000000000000ULL },
	{ 0xc350000000000000ULL, 0x0000000000000000ULL },
	{ 0xf424000000000000ULL, 0x0000000000000000ULL },
	{ 0x9896800000000000ULL, 0x0000000000000000ULL },
	{ 0xbebc200000000000ULL, 0x0000000000000000ULL },
	{ 0xee6b280000000000ULL, 0x0000000000000000ULL },
	{ 0x9502f90000000000ULL, 0x0000000000000000ULL },
	{ 0xba43b74000000000ULL, 0x0000000000000000ULL },
	{ 0xe8d4a51000000000ULL, 0x0000000000000000ULL },
	{ 0x9184e72a00000000ULL, 0x0000000000000000ULL },
	{ 0xb5e620f480000000ULL, 0x0000000000000000ULL },
	{ 0xe35fa931a0000000ULL, 0x0000000000000000ULL },
	{ 0x8e1bc9bf04000000ULL, 0x0000000000000000ULL },
	{ 0xb1a2bc2ec5000000ULL, 0x0000000000000000ULL },
	{ 0xde0b6b3a76400000ULL, 0x0000000000000000ULL },
	{ 0x8ac7230489e80000ULL, 0x0000000000000000ULL },
	{ 0xad78ebc5ac620000ULL, 0x0000000000000000ULL },
	{ 0xd8d726b7177a8000ULL, 0x0000000000000000ULL },
	{ 0x878678326eac9000ULL, 0x0000000000000000ULL },
	{ 0xa968163f0a57b400ULL, 0x0000000000000000ULL },
	{ 0xd3c21bcecceda100ULL, 0x0000000000000000ULL }
};

static const char pairs[] =
	"0001020304050607080910111213141516171819"
	"2021222324252627282930313233343536373839"
	"4041424344454647484950515253545556575859"
	"6061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

/* floor(log2(10^n)), floor(log10(2^q)), floor(log10(3/4 * 2^q)) */
static inline int
log2_pow10(int n)
{
	return n * 1741647 >> 19;
}

static inline int
log10_pow2(int q, bool three_quarters)
{
	return (q * 1262611 - (three_quarters ? 524031 : 0)) >> 22;
}

/* The upper 64 bits of g * c, the last one also set for what is cut off. */
static inline uint64_t
round_to_odd(const struct pow10 *g, uint64_t c)
{
	unsigned __int128 x = (unsigned __int128)g->lo * c;
	unsigned __int128 y = (unsigned __int128)g->hi * c + (x >> 64);

	return (uint64_t)(y >> 64) | ((uint64_t)y > 1);
}

/* v = the result * 10^*k10 */
static uint64_t
shortest(uint64_t fraction, int q, int *k10)
{
	/* below a power of two the floats lie closer */
	bool closer = fraction == 0;
	uint64_t c = fraction | (uint64_t)1 << FRACTION_BITS;
	int k = log10_pow2(q, closer);
	int h = q + log2_pow10(-k) + 1;
	const struct pow10 *g = &pow10_table[-k - 1];
	uint64_t odd = c & 1;
	uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h) + odd;
	uint64_t vb = round_to_odd(g, 4 * c << h);
	uint64_t upper = round_to_odd(g, (4 * c + 2) << h) - odd;
	uint64_t s = vb / 4;

	*k10 = k;
	if (s >= 10) {
		uint64_t t = s / 10;
		bool down = lower <= 40 * t, up = 40 * t + 40 <= upper;

		if (down != up) {
			*k10 = k + 1;
			return t + up;
		}
	}
	bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;
	if (down != up)
		return s + up;
	uint64_t mid = 4 * s + 2;
	return s + (vb > mid || (vb == mid && (s & 1) != 0));
}

static inline void
put_pair(char *out, uint32_t v)
{
	memcpy(out, pairs + 2 * v, 2);
}

static inline void
put_eight(char *out, uint32_t v)
{
	uint32_t hi = v / 10000, lo = v % 10000;

	put_pair(out, hi / 100);
	put_pair(out + 2, hi % 100);
	put_pair(out + 4, lo / 100);
	put_pair(out + 6, lo % 100);
}

size_t
uint_text(uint64_t u, char *out)
{
	char tmp[2 * UINT_TEXT_MAX];	/* copied by a fixed length: faster */
	size_t at = UINT_TEXT_MAX;

	while (u >= 100000000) {
		at -= 8;
		put_eight(tmp + at, (uint32_t)(u % 100000000));
		u /= 100000000;
	}
	uint32_t v = (uint32_t)u;
	while (v >= 100) {
		at -= 2;
		put_pair(tmp + at, v % 100);
		v /= 100;
	}
	if (v >= 10) {
		at -= 2;
		put_pair(tmp + at, v);
	} else
		tmp[--at] = (char)('0' + v);
	memcpy(out, tmp + at, UINT_TEXT_MAX);
	return UINT_TEXT_MAX - at;
}

size_t
float_short_f(double v, char *out)
{
	uint64_t bits, digits;
	char text[2 * UINT_TEXT_MAX];
	size_t n = 0, len;
	int q, k;

	memcpy(&bits, &v, sizeof(bits));
	q = (int)(bits >> FRACTION_BITS & 0x7ff) - EXPONENT_BIAS;
	if (q < Q_MIN || q >= 0)
		return 0;
	digits = shortest(bits & (((uint64_t)1 << FRACTION_BITS) - 1), q, &k);
	if (digits % 100000000 == 0) {
		digits /= 100000000;
		k += 8;
	}
	while (digits % 10 == 0) {
		digits /= 10;
		k++;
	}
	if (k >= 0)
		return 0;	/* whole */
	len = uint_text(digits, text);
	if (bits >> 63)
		out[n++] = '-';
	if ((int)len + k <= 0) {
		size_t zeros = (size_t)(-k) - len;

		memcpy(out + n, "0.", 2);
		memset(out + n + 2, '0', zeros);
		n += 2 + zeros;
		memcpy(out + n, text, UINT_TEXT_MAX);
		return n + len;
	}
	size_t whole = len - (size_t)(-k);
	memcpy(out + n, text, UINT_TEXT_MAX);
	n += whole;
	out[n++] = '.';
	memcpy(out + n, text + whole, UINT_TEXT_MAX);
	return n + len - whole;
}
