/* SPDX-License-Identifier: ISC */

/* The table of refs against a naive list. */

#include "workers/storage/replay_refs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N 3000

static uint64_t
rnd(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void
test_against_list(void **state)
{
	static struct replay_ref list[N];
	uint64_t g = 88172645463325252ULL, got;

	(void)state;
	for (int round = 0; round < 6; round++) {
		struct replay_refs r = REPLAY_REFS_INIT;
		size_t n = 0;

		for (int i = 0; i < 4000; i++) {
			/* Dense, spread, or anything. */
			uint64_t ref = round % 3 == 0 ? rnd(&g) % N :
			    round % 3 == 1 ? rnd(&g) % N * 1000 :
			    rnd(&g) >> rnd(&g) % 64;
			uint64_t handle = i % 10 == 0 ? UINT64_MAX : rnd(&g) >> 2;
			size_t k = 0;

			while (k < n && list[k].ref != ref)
				k++;
			assert_int_equal(replay_refs_get(&r, ref, &got), k < n);
			if (k == N)
				continue;
			if (k == n)
				n++;
			list[k] = (struct replay_ref){ ref, handle };
			assert_int_equal(replay_refs_put(&r, ref, handle), 0);
			replay_refs_prefetch(&r, ref);
			assert_int_equal(r.n, n);
		}
		for (size_t k = 0; k < n; k++) {
			assert_true(replay_refs_get(&r, list[k].ref, &got));
			assert_true(got == list[k].stored);
		}
		replay_refs_clear(&r);
	}
}

/* Hostile refs do not make the array large. */
static void
test_memory_is_bounded(void **state)
{
	struct replay_refs r = REPLAY_REFS_INIT;
	uint64_t got;

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		assert_int_equal(replay_refs_put(&r, i << 40, i), 0);
		assert_int_equal(replay_refs_put(&r, UINT64_MAX - i, i), 0);
	}
	assert_true(r.n_dense < 300000);
	assert_true(replay_refs_get(&r, 0, &got) && got == 0);
	assert_true(replay_refs_get(&r, UINT64_MAX, &got) && got == 0);
	replay_refs_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_list),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
