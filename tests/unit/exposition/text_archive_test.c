/* SPDX-License-Identifier: ISC */
/* Texts come back as they were added, packed, in the tail, and after a trim. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "common/exposition/text_archive.h"

#define N 4000

static size_t
text_of(uint32_t i, char out[20000])
{
	if (i % 1000 == 7) {	/* longer than a block */
		memset(out, 'a' + (int)(i % 26), 19000);
		return 19000;
	}
	return (size_t)sprintf(out, "metric_%u_total{path=\"/api/%u\"}",
	    i / 10, i % 10);
}

static void
check(struct text_archive *a, uint32_t i)
{
	static char want[20000], before[20000];
	size_t n = text_of(i, want), at = 0;
	uint32_t first;
	struct str run = text_archive_run(a, i, &first);

	assert_non_null(run.p);
	assert_true(first <= i);
	for (; first < i; first++)
		at += text_of(first, before);
	assert_true(at + n <= run.n);
	assert_memory_equal(run.p + at, want, n);
}

static void
test_round_trip(void **state)
{
	struct text_archive a;
	static char text[20000];
	unsigned int seed = 3;
	size_t raw = 0;

	(void)state;
	text_archive_init(&a);
	for (uint32_t i = 0; i < N; i++) {
		size_t n = text_of(i, text);

		raw += n;
		assert_int_equal(text_archive_add(&a, i, str_from(text, n)),
		    0);
		check(&a, (uint32_t)rand_r(&seed) % (i + 1));
		if (rand_r(&seed) % 200 == 0)
			text_archive_trim(&a, i + 1);
	}
	for (uint32_t i = 0; i < N; i++)
		check(&a, i);
	text_archive_trim(&a, N);
	for (uint32_t i = N; i-- > 0;)
		check(&a, i);
	text_archive_trim(&a, N);
	assert_true(text_archive_bytes(&a) < raw / 4);
	text_archive_clear(&a);
	assert_int_equal(text_archive_bytes(&a), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
