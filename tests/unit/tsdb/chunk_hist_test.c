/* SPDX-License-Identifier: ISC */

/* Histogram and XOR2 chunks: round trips, truncations, flipped bits. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/tsdb/chunk_hist.h"
#include "common/tsdb/chunk_xor2.h"

#define N	100

static uint64_t seed = 7;

static unsigned
rnd(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

struct series {
	int64_t		 t[N], st[N];
	double		 v[N];
	struct fhist	*h[N];
	struct arena	 a;
};

static void
make_times(struct series *s)
{
	int64_t t = rnd(2) ? -123456 : 1700000000000;

	for (int i = 0; i < N; i++) {
		t += 15000 + (rnd(4) == 0 ? (int64_t)rnd(10000000) : 0);
		s->t[i] = t;
		s->st[i] = rnd(3) == 0 ? 0 : t - (int64_t)rnd(100000);
		s->v[i] = rnd(5) == 0 ? double_from_bits(STALE_NAN_BITS) :
		    rnd(3) == 0 ? 1.5 : (double)rnd(1000000) / 7;
	}
}

static struct fhist *
one_hist(struct series *s, bool custom, int i)
{
	static const double bounds[] = { 0.1, 0.25, 1, 2.0 / 3, 10 };
	struct fhist *h = arena_zalloc(&s->a, sizeof(*h));

	if (rnd(10) == 0) {
		h->sum = double_from_bits(STALE_NAN_BITS);
		return i == 0 ? one_hist(s, custom, i) : h;
	}
	h->schema = custom ? FHIST_CUSTOM_SCHEMA : 2;
	h->zero_threshold = custom ? 0 : 0.0078125;
	h->zero_count = custom ? 0 : rnd(10);
	h->count = rnd(1000);
	h->sum = (double)rnd(1000) / 3;
	h->pos.spans = arena_array(&s->a, 2, sizeof(struct hspan));
	h->pos.spans[0] = (struct hspan){ custom ? 0 : -3, 2 };
	h->pos.spans[1] = (struct hspan){ 1, 3 };
	h->pos.n_spans = 2;
	h->pos.n = 5;
	h->pos.counts = arena_array(&s->a, 5, sizeof(double));
	for (int k = 0; k < 5; k++)
		h->pos.counts[k] = rnd(100);
	if (custom) {
		h->custom = bounds;
		h->n_custom = 5;
	}
	return h;
}

static void
make_hists(struct series *s, bool custom)
{
	arena_init(&s->a, 0);
	make_times(s);
	for (int i = 0; i < N; i++)
		s->h[i] = one_hist(s, custom, i);
}

static void
histograms_come_back(void **state)
{
	(void)state;
	for (int round = 0; round < 40; round++) {
		struct series s;
		int64_t t[N], st[N];
		struct fhist *h[N];
		bool with_st = round & 1;
		struct arena a;
		struct buf b;

		make_hists(&s, round & 2);
		arena_init(&a, 0);
		buf_init(&b, 0);
		chunk_fhist_encode(s.t, with_st ? s.st : NULL,
		    (const struct fhist *const *)s.h, N, CHUNK_HIST_RESET,
		    &b);
		assert_false(buf_failed(&b));
		assert_int_equal(chunk_hist_decode((uint8_t *)b.p, b.n,
		    with_st ? 6 : 3, N, &a, t, st, h), 0);
		for (int i = 0; i < N; i++) {
			assert_int_equal(t[i], s.t[i]);
			assert_int_equal(st[i], with_st ? s.st[i] : 0);
			if (is_stale_nan(s.h[i]->sum))
				assert_true(is_stale_nan(h[i]->sum));
			else
				assert_true(fhist_equals(h[i], s.h[i]));
		}
		buf_clear(&b);
		arena_clear(&a);
		arena_clear(&s.a);
	}
}

static void
xor2_comes_back(void **state)
{
	(void)state;
	for (int round = 0; round < 100; round++) {
		struct series s;
		int64_t t[N], st[N];
		double v[N];
		struct buf b;

		make_times(&s);
		buf_init(&b, 0);
		chunk_xor2_encode(s.t, s.st, s.v, N, &b);
		assert_int_equal(chunk_xor2_decode((uint8_t *)b.p, b.n, N, t,
		    st, v), 0);
		assert_memory_equal(t, s.t, sizeof(t));
		assert_memory_equal(st, s.st, sizeof(st));
		assert_memory_equal(v, s.v, sizeof(v));
		buf_clear(&b);
	}
}

/* Never more than an error, whatever the bytes. */
static void
damage_is_no_harm(void **state)
{
	(void)state;
	for (int round = 0; round < 4; round++) {
		struct series s;
		int64_t t[N], st[N];
		struct fhist *h[N];
		double v[N];
		struct buf b, x;

		make_hists(&s, round & 2);
		buf_init(&b, 0);
		buf_init(&x, 0);
		chunk_fhist_encode(s.t, round & 1 ? s.st : NULL,
		    (const struct fhist *const *)s.h, N, 0, &b);
		chunk_xor2_encode(s.t, s.st, s.v, N, &x);
		for (size_t n = 0; n < 3000; n++) {
			uint8_t *copy;
			size_t len = n < b.n ? n : b.n;
			struct arena a;

			arena_init(&a, 1 << 24);
			copy = malloc(len + 1);
			memcpy(copy, b.p, len);
			if (n >= b.n)
				copy[rnd((unsigned)len)] ^=
				    (uint8_t)(1u << rnd(8));
			(void)chunk_hist_decode(copy, len, 2 + rnd(2) +
			    3 * (round & 1), N, &a, t, st, h);
			free(copy);
			arena_clear(&a);
			len = n < x.n ? n : x.n;
			copy = malloc(len + 1);
			memcpy(copy, x.p, len);
			if (n >= x.n)
				copy[rnd((unsigned)len)] ^=
				    (uint8_t)(1u << rnd(8));
			(void)chunk_xor2_decode(copy, len, N, t, st, v);
			free(copy);
		}
		buf_clear(&b);
		buf_clear(&x);
		arena_clear(&s.a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histograms_come_back),
		cmocka_unit_test(xor2_comes_back),
		cmocka_unit_test(damage_is_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
