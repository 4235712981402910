/* SPDX-License-Identifier: ISC */

/* Short float text against the digits of the library's to_chars. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/float_short.h"
#include "common/base/float_text.h"

static uint64_t
next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

/* Digits alone: no sign, point, exponent, zeros in front or behind. */
static size_t
digits(const char *p, size_t n, char *out)
{
	size_t k = 0;

	for (size_t i = 0; i < n && p[i] != 'e'; i++)
		if (p[i] >= '0' && p[i] <= '9' && (k > 0 || p[i] != '0'))
			out[k++] = p[i];
	while (k > 0 && out[k - 1] == '0')
		k--;
	return k;
}

static bool
check(double v)
{
	char text[FLOAT_TEXT_MAX], sci[FLOAT_TEXT_MAX];
	char a[FLOAT_TEXT_MAX], b[FLOAT_TEXT_MAX];
	size_t n = float_short_f(v, text), an, bn;
	double back;

	if (n == 0)
		return false;
	assert_true(n <= FLOAT_SHORT_MAX);
	assert_true(float_parse(text, n, &back));
	assert_memory_equal(&back, &v, sizeof(v));
	an = digits(text, n, a);
	bn = digits(sci, float_format_e(v, sci), b);
	assert_int_equal(an, bn);
	assert_memory_equal(a, b, an);
	return true;
}

static void
has_the_shortest_digits(void **state)
{
	uint64_t x = 88172645463325252ULL;
	size_t checked = 0;

	(void)state;
	for (int i = 0; i < 400000; i++) {
		uint64_t bits = next(&x), exponent = 1023 - 20 + bits % 72;
		double v;

		if (i % 4 == 0) {
			v = (double)(bits % 10000000) / 1000;
		} else if (i % 4 == 1) {
			v = (double)(bits % 100000) / (double)(1 +
			    next(&x) % 1000);
		} else {
			/* also powers of two and their neighbours */
			bits = i % 4 == 2 ? next(&x) & ~(0x7ffULL << 52) :
			    next(&x) % 3;
			bits |= exponent << 52;
			memcpy(&v, &bits, sizeof(v));
		}
		checked += check(v);
	}
	assert_true(checked > 350000);
}

static void
leaves_the_rest_alone(void **state)
{
	static const double others[] = { 0, -0.0, 1, 1e15, 1e300, 1e-7,
	    4503599627370496.0, 1.0 / 0.0 };
	char text[FLOAT_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		assert_int_equal(float_short_f(others[i], text), 0);
	assert_int_equal(float_short_f(-0.5, text), 4);
	assert_memory_equal(text, "-0.5", 4);
	assert_int_equal(float_short_f(4503599627370495.5, text), 18);
	assert_memory_equal(text, "4503599627370495.5", 18);
	assert_int_equal(float_short_f(0.000001, text), 8);
	assert_memory_equal(text, "0.000001", 8);
}

static void
prints_integers(void **state)
{
	uint64_t x = 1, u;
	char text[32], want[32];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		u = next(&x) >> i % 64;
		size_t n = uint_text(u, text);

		assert_int_equal(n, snprintf(want, sizeof(want), "%llu",
		    (unsigned long long)u));
		assert_memory_equal(text, want, n);
	}
	assert_int_equal(uint_text(0, text), 1);
	assert_int_equal(text[0], '0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_the_shortest_digits),
		cmocka_unit_test(leaves_the_rest_alone),
		cmocka_unit_test(prints_integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
