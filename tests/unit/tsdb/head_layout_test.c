/* SPDX-License-Identifier: ISC */

/* The publication word against the whole history of a chunk. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/tsdb/head_layout.h"

static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % below);
}

static void
test_word(void **state)
{
	uint32_t unsure = 0, asked = 0;

	(void)state;
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) :
	    (uint64_t)wall_now_ns();
	printf("SEED=%llu\n", (unsigned long long)seed);
	for (int round = 0; round < 2000; round++) {
		uint64_t at[200], first = 1 + rnd(1000), word;
		uint32_t n = 1 + rnd(200), step = 1 + rnd(rnd(2) ? 3 : 90000);

		/* at[i]: the commit that brought sample i + 1 */
		word = head_word_make(first, HEAD_GAP_MAX, 0, 0);
		for (uint32_t i = 0; i < n; i++) {
			at[i] = i == 0 ? first : at[i - 1] + rnd(step);
			word = head_word_next(word, at[i], i + 1);
		}
		assert_int_equal(head_word_commit(word), at[n - 1]);
		assert_int_equal(head_word_now(word), n);
		for (int k = 0; k < 50; k++) {
			uint64_t last = at[n - 1], c = rnd(2) ?
			    last + 2 - rnd(10) : rnd((uint32_t)last + 2);
			uint32_t want = 0;

			/* A reader's words are not that much older. */
			if ((int64_t)c < 0 || c + 32768 < last)
				continue;
			while (want < n && at[want] <= c)
				want++;
			asked++;
			if (head_word_is_newer(word, c)) {
				unsure++;
				assert_true(c < last);
				assert_true(head_word_seen(word, c) >= want);
			} else
				assert_int_equal(head_word_seen(word, c),
				    want);
		}
	}
	assert_true(unsure < asked);
}

static void
test_where(void **state)
{
	uint64_t w = head_where_arena(5, 0xfffffff0u, 0xffff);

	(void)state;
	assert_false(head_where_is_file(w));
	assert_int_equal(head_where_encoding(w), 5);
	assert_int_equal(head_where_off(w), 0xfffffff0u);
	assert_int_equal(head_where_units(w), 0xffff);
	w = head_where_file(1, 0x7ffffff, 0x8000000);
	assert_true(head_where_is_file(w));
	assert_int_equal(head_where_encoding(w), 1);
	assert_int_equal(head_where_file_no(w), 0x7ffffff);
	assert_int_equal(head_where_off(w), 0x8000000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_word),
		cmocka_unit_test(test_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
