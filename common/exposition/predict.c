/* SPDX-License-Identifier: ISC */
/*
 * The fast path. A line whose series text is what the caller expected needs
 * no lexer: hash it, read the number, see the newline. It takes only what
 * is plainly right; everything else is left for expo_next, which starts the
 * line again.
 *
 * Numbers: up to 19 digits with an optional fraction and a small exponent.
 * A mantissa below 2^53 times or divided by a power of ten up to 1e22 is
 * exactly one rounding of exact operands, hence correctly rounded (Clinger).
 * The rest goes to float_parse.
 */

#include <math.h>

#include "common/base/bytes.h"
#include "common/base/float_text.h"
#include "common/base/hash.h"
#include "common/exposition/lexer.h"

static const double powers[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12,
	1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

static inline bool
is_digit(char c)
{
	return (unsigned char)(c - '0') < 10;
}

static const uint64_t int_powers[] = {
	1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000
};

#define BYTES(x)	(0x0101010101010101ULL * (x))

/*
 * Reads digits onto m, eight at a time: what is no digit is found by one
 * comparison of all bytes, the digits before it are moved to the end of the
 * word, and three multiplications add them up.
 */
static inline const char *
take_digits(const char *c, const char *end, uint64_t *m)
{
	while (end - c >= 8) {
		uint64_t x, other;
		int n;

		memcpy(&x, c, 8);
		x ^= BYTES('0');
		other = (((x & BYTES(0x7f)) + BYTES(0x76)) | x) & BYTES(0x80);
		n = other == 0 ? 8 : __builtin_ctzll(other) >> 3;
		if (n == 0)
			return c;
		x <<= (8 - n) * 8;
		x = (x * 10 + (x >> 8)) & 0x00ff00ff00ff00ffULL;
		x = (x * 100 + (x >> 16)) & 0x0000ffff0000ffffULL;
		x = (x * 10000 + (x >> 32)) & 0xffffffffULL;
		*m = *m * int_powers[n] + x;
		c += n;
		if (n < 8)
			return c;
	}
	for (; c < end && is_digit(*c); c++)
		*m = *m * 10 + (uint64_t)(*c - '0');
	return c;
}

static inline bool
ends_number(char c)
{
	return c == '\n' || c == ' ' || c == '\t';
}

/* Number words and long mantissas: the bounds first, then the library. */
static const char *
float_slow(const char *p, double *out)
{
	const char *e = p;

	while (!ends_number(*e) && e - p < FLOAT_TEXT_MAX) {
		/* no hex floats, no separators; '{' ends a value */
		if (*e == 'p' || *e == 'P' || *e == '_' || *e == '{' ||
		    *e == '\0')
			return NULL;
		e++;
	}
	if (!ends_number(*e) || !float_parse(p, (size_t)(e - p), out))
		return NULL;
	if (isnan(*out))
		*out = double_from_bits(NORMAL_NAN_BITS);
	return e;
}

/* e+06 after a mantissa; NULL when odd or too large to be exact. */
static const char *
exponent(const char *c, int *exp)
{
	bool neg = c[1] == '-';
	int e = 0;

	c += c[1] == '-' || c[1] == '+' ? 2 : 1;
	if (!is_digit(*c))
		return NULL;
	for (; is_digit(*c); c++) {
		e = e * 10 + (*c - '0');
		if (e > 400)
			return NULL;
	}
	*exp += neg ? -e : e;
	return c;
}

const char *
expo_float_fast(const char *p, const char *end, double *out)
{
	bool neg = *p == '-';
	const char *c = p + neg, *first = c;
	uint64_t m = 0;
	int exp = 0, digits;
	double v;

	c = take_digits(c, end, &m);
	digits = (int)(c - first);
	if (ends_number(*c) && digits > 0 && digits <= 15) {
		v = (double)(int64_t)m;
		*out = neg ? -v : v;
		return c;
	}
	if (*c == '.') {
		first = ++c;
		c = take_digits(c, end, &m);
		exp = -(int)(c - first);
		digits -= exp;
	}
	/* 19 digits cannot have overflowed 64 bits */
	if (digits == 0 || digits > 19 || m > 1ULL << 53)
		return float_slow(p, out);
	if ((*c | 0x20) == 'e' && (c = exponent(c, &exp)) == NULL)
		return float_slow(p, out);
	if (!ends_number(*c) || exp < -22 || exp > 22)
		return float_slow(p, out);
	v = (double)(int64_t)m;
	v = exp < 0 ? v / powers[-exp] : v * powers[exp];
	*out = neg ? -v : v;
	return c;
}

/* Blanks, digits of milliseconds, blanks, newline (text format only). */
static const char *
timestamp(const char *c, int64_t *out)
{
	const char *first;
	int64_t t = 0;

	while (*c == ' ' || *c == '\t')
		c++;
	first = c;
	while (is_digit(*c) && c - first < 19)
		t = t * 10 + (*c++ - '0');
	if (c == first || c - first > 18)
		return NULL;
	while (*c == ' ' || *c == '\t')
		c++;
	*out = t;
	return *c == '\n' ? c : NULL;
}

bool
expo_next_if(struct expo_parser *p, size_t series_n, uint64_t hash)
{
	const char *line = p->b + p->i, *c;
	int64_t ts;
	double v;

	/* a newline lies beyond the text, so the byte after it is there */
	if (p->n - p->i <= series_n)
		return false;
	c = line + series_n;
	if (*c != ' ' || hash_xxh3(line, series_n) != hash)
		return false;
	c = expo_float_fast(c + 1, p->b + p->n, &v);
	if (c == NULL || (size_t)(c - p->b) >= p->n)
		return false;
	p->has_ts = false;
	if (*c != '\n') {
		if (p->format != EXPO_TEXT ||
		    (c = timestamp(c, &ts)) == NULL ||
		    (size_t)(c - p->b) >= p->n)
			return false;
		p->has_ts = true;
		p->ts_ms = ts;
	}
	p->value = v;
	p->start = p->i;
	p->series = str_from(line, series_n);
	p->ex_present = false;
	p->i = (size_t)(c - p->b) + 1;
	return true;
}

bool
expo_skip_if(struct expo_parser *p, size_t line_n, uint64_t hash)
{
	if (p->n - p->i < line_n || hash_xxh3(p->b + p->i, line_n) != hash)
		return false;
	p->start = p->i;
	p->i += line_n;
	return true;
}

void
expo_set_type(struct expo_parser *p, enum metric_type type)
{
	p->type = type;
}
