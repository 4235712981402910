/* SPDX-License-Identifier: ISC */

/* CRC-32C against the polynomial, bit by bit, at all lengths and offsets. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/base/hash.h"

static uint32_t
naive(uint32_t crc, const uint8_t *p, size_t n)
{
	crc = ~crc;
	for (; n > 0; n--, p++) {
		crc ^= *p;
		for (int i = 0; i < 8; i++)
			crc = crc & 1 ? crc >> 1 ^ 0x82f63b78u : crc >> 1;
	}
	return ~crc;
}

static void
test_crc32c(void **state)
{
	static uint8_t data[20000];
	uint64_t g = 88172645463325252ULL;
	uint32_t want, part;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		g ^= g << 13;
		g ^= g >> 7;
		g ^= g << 17;
		data[i] = (uint8_t)g;
	}
	want = 0;
	for (size_t n = 0; n < 4000; n++) {
		/* The naive sum grows with n. */
		assert_int_equal(hash_crc32c(0, data, n), want);
		want = naive(want, data + n, 1);
	}
	for (size_t off = 0; off < 9; off++) {
		for (size_t n = 1000; n + off < sizeof(data); n += 1777) {
			want = naive(0, data + off, n);
			assert_int_equal(hash_crc32c(0, data + off, n), want);
			part = hash_crc32c(0, data + off, n / 3);
			assert_int_equal(hash_crc32c(part, data + off + n / 3,
			    n - n / 3), want);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc32c),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
