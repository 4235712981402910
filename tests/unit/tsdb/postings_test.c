/* SPDX-License-Identifier: ISC */

/* Set algebra against bit arrays, with random sets of very unequal sizes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/clock.h"
#include "common/tsdb/postings.h"

#define RANGE	3000

static uint64_t seed;

static uint32_t
rnd(uint32_t below)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)((seed >> 33) % below);
}

static struct postings
random_set(uint32_t *to, bool *has)
{
	uint32_t one_in = 1 + rnd(rnd(2) ? 4 : 800);
	size_t n = 0;

	for (uint32_t i = 0; i < RANGE; i++) {
		has[i] = rnd(one_in) == 0;
		if (has[i])
			to[n++] = i;
	}
	return (struct postings){ to, n };
}

static void
same(struct postings got, const bool *want)
{
	size_t k = 0;

	for (uint32_t i = 0; i < RANGE; i++) {
		if (!want[i])
			continue;
		assert_true(k < got.n);
		assert_int_equal(got.id[k++], i);
	}
	assert_int_equal(k, got.n);
}

static void
test_against_bits(void **state)
{
	static uint32_t ids[5][RANGE];
	static bool has[5][RANGE], want[RANGE];
	struct postings p[5], out;
	struct arena a;

	(void)state;
	seed = getenv("SEED") != NULL ? strtoull(getenv("SEED"), NULL, 10) :
	    (uint64_t)wall_now_ns();
	printf("SEED=%llu\n", (unsigned long long)seed);
	arena_init(&a, 0);
	for (int round = 0; round < 300; round++) {
		size_t n = rnd(6);

		for (int i = 0; i < 5; i++)
			p[i] = random_set(ids[i], has[i]);
		assert_int_equal(postings_intersect(&a, p[0], p[1], &out), 0);
		for (int i = 0; i < RANGE; i++)
			want[i] = has[0][i] && has[1][i];
		same(out, want);
		assert_int_equal(postings_subtract(&a, p[0], p[1], &out), 0);
		for (int i = 0; i < RANGE; i++)
			want[i] = has[0][i] && !has[1][i];
		same(out, want);
		assert_int_equal(postings_union(&a, p, n, RANGE, &out), 0);
		memset(want, 0, sizeof(want));
		for (size_t k = 0; k < n; k++) {
			for (int i = 0; i < RANGE; i++)
				want[i] |= has[k][i];
		}
		same(out, want);
		for (uint32_t i = 0; i < RANGE; i++)
			assert_int_equal(postings_has(p[0], i), has[0][i]);
		arena_reset(&a);
	}
	arena_clear(&a);
}

/* Garbage in: no order, repetitions, numbers beyond the limit. */
static void
test_hostile(void **state)
{
	uint32_t x[200], y[200];
	struct postings l[3], out;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	for (int round = 0; round < 500; round++) {
		for (int i = 0; i < 200; i++) {
			x[i] = rnd(1000);
			y[i] = rnd(3) == 0 ? UINT32_MAX - rnd(9) : rnd(50);
		}
		l[0] = (struct postings){ x, rnd(200) };
		l[1] = (struct postings){ y, rnd(200) };
		l[2] = l[0];
		assert_int_equal(postings_intersect(&a, l[0], l[1], &out), 0);
		assert_int_equal(postings_subtract(&a, l[0], l[1], &out), 0);
		assert_int_equal(postings_union(&a, l, 1 + rnd(3), 100, &out),
		    0);
		for (size_t i = 0; i < out.n; i++)
			assert_true(out.id[i] < 100);
		arena_reset(&a);
	}
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_bits),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
