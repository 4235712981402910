/* SPDX-License-Identifier: ISC */

/* Histograms against a naive twin: a map from bucket index to count. */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/histogram/fhist.h"

#define INDICES	64

static uint64_t seed = 42;

static unsigned
rnd(unsigned n)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(seed >> 33) % n;
}

/* Counts of indices -32..31, random spans (empty buckets included). */
static struct fhist *
make(struct arena *a, const double *counts, const double *neg)
{
	struct fhist *h = arena_zalloc(a, sizeof(*h));
	const double *src[2] = { counts, neg };

	for (int side = 0; side < 2; side++) {
		struct hside *s = side == 0 ? &h->pos : &h->neg;
		int32_t end = 0;

		s->spans = arena_array(a, INDICES, sizeof(*s->spans));
		s->counts = arena_array(a, INDICES, sizeof(double));
		for (int i = 0; i < INDICES; i++) {
			int32_t index = i - 32;

			if (src[side][i] == 0 && rnd(4) != 0)
				continue;
			if (s->n_spans == 0 || index != end || rnd(8) == 0)
				s->spans[s->n_spans++] = (struct hspan){
				    index - end, 1 };
			else
				s->spans[s->n_spans - 1].length++;
			end = index + 1;
			s->counts[s->n++] = src[side][i];
			h->count += src[side][i];
		}
	}
	return h;
}

static void
random_counts(double *c)
{
	for (int i = 0; i < INDICES; i++)
		c[i] = rnd(3) == 0 ? (double)rnd(100) : 0;
}

static void
expect_counts(const struct fhist *h, const double *pos, const double *neg)
{
	double got[2][INDICES + 2] = { { 0 }, { 0 } };
	struct hiter it;

	for (int side = 0; side < 2; side++) {
		hiter_init(&it, h, side == 0 ? HITER_POS : HITER_NEG);
		while (hiter_next(&it)) {
			assert_true(it.b.index >= -32 && it.b.index < 32);
			got[side][it.b.index + 32] += it.b.count;
		}
	}
	for (int i = 0; i < INDICES; i++) {
		assert_float_equal(got[0][i], pos[i], 1e-9);
		assert_float_equal(got[1][i], neg[i], 1e-9);
	}
}

static void
adds_and_subtracts_as_a_map(void **state)
{
	struct fhist_note note;
	struct arena a;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		double p1[INDICES], n1[INDICES], p2[INDICES], n2[INDICES];

		arena_init(&a, 0);
		random_counts(p1);
		random_counts(n1);
		random_counts(p2);
		random_counts(n2);
		struct fhist *x = make(&a, p1, n1), *y = make(&a, p2, n2);
		struct fhist *y_was = fhist_copy(&a, y);
		struct fhist *k = fhist_copy(&a, x), *c = NULL;
		bool sub = rnd(2);
		enum fhist_rc rc = sub ? fhist_sub(&a, x, y, &note) :
		    fhist_add(&a, x, y, &note);

		assert_int_equal(rc, FHIST_OK);
		assert_true(fhist_equals(y, y_was));
		for (int i = 0; i < INDICES; i++) {
			p1[i] += sub ? -p2[i] : p2[i];
			n1[i] += sub ? -n2[i] : n2[i];
		}
		expect_counts(x, p1, n1);
		assert_int_equal(fhist_compact(&a, x), 0);
		expect_counts(x, p1, n1);
		for (uint32_t i = 0; i < x->pos.n; i++)
			assert_true(x->pos.counts[i] != 0);
		for (uint32_t i = 1; i < x->pos.n_spans; i++)
			assert_true(x->pos.spans[i].offset > 0);
		if (!sub) {
			assert_int_equal(fhist_kahan_add(&a, k, y, &c, &note),
			    FHIST_OK);
			expect_counts(k, p1, n1);
			assert_int_equal(c->pos.n, k->pos.n);
			assert_int_equal(c->neg.n, k->neg.n);
		}
		arena_clear(&a);
	}
}

static void
merges_neighbours_when_resolution_falls(void **state)
{
	struct arena a;

	(void)state;
	for (int round = 0; round < 500; round++) {
		double p[INDICES], n[INDICES], q[INDICES] = { 0 };
		double m[INDICES] = { 0 };
		int32_t by = 1 + (int32_t)rnd(3);

		arena_init(&a, 0);
		random_counts(p);
		random_counts(n);
		struct fhist *h = make(&a, p, n);
		h->schema = 3;
		for (int i = 0; i < INDICES; i++) {
			int32_t t = ((i - 32 - 1) >> by) + 1;

			q[t + 32] += p[i];
			m[t + 32] += n[i];
		}
		fhist_reduce_resolution(h, 3 - by);
		assert_int_equal(h->schema, 3 - by);
		expect_counts(h, q, m);
		arena_clear(&a);
	}
}

static void
walks_up_and_down_alike(void **state)
{
	double p[INDICES], n[INDICES];
	struct hbucket up[300], down[300];
	struct hiter it;
	struct arena a;
	size_t nu = 0, nd = 0;

	(void)state;
	arena_init(&a, 0);
	random_counts(p);
	random_counts(n);
	struct fhist *h = make(&a, p, n);
	h->zero_count = 3;
	h->zero_threshold = 1e-5;
	hiter_init(&it, h, HITER_ALL);
	while (hiter_next(&it))
		up[nu++] = it.b;
	hiter_init(&it, h, HITER_ALL_REVERSE);
	while (hiter_next(&it))
		down[nd++] = it.b;
	assert_int_equal(nu, nd);
	for (size_t i = 0; i < nu; i++) {
		assert_true(up[i].lower == down[nu - 1 - i].lower);
		assert_true(up[i].count == down[nu - 1 - i].count);
		if (i > 0)
			assert_true(up[i].lower >= up[i - 1].upper);
	}
	arena_clear(&a);
}

static void
finds_resets(void **state)
{
	double p[INDICES] = { 0 }, z[INDICES] = { 0 };
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	p[40] = 5;
	p[41] = 2;
	struct fhist *prev = make(&a, p, z);
	p[41] = 3;
	struct fhist *more = make(&a, p, z);
	assert_false(fhist_detect_reset(more, prev));
	assert_true(fhist_detect_reset(prev, more));
	/* the same count, but a bucket fell */
	p[40] = 4;
	p[42] = 4;
	struct fhist *moved = make(&a, p, z);
	assert_true(fhist_detect_reset(moved, more));
	moved->hint = FHIST_NOT_RESET;
	assert_false(fhist_detect_reset(moved, more));
	arena_clear(&a);
}

static void
knows_quantiles(void **state)
{
	double p[INDICES] = { 0 }, z[INDICES] = { 0 };
	enum fhist_nan nan;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	p[33] = 2;	/* index 1: (1, 2] */
	struct fhist *h = make(&a, p, z);
	h->sum = 3;
	assert_float_equal(fhist_quantile(h, 0.5, &nan), sqrt(2), 1e-12);
	assert_float_equal(fhist_quantile(h, 1, &nan), 2, 1e-12);
	assert_float_equal(fhist_fraction(h, 1, sqrt(2), &nan), 0.5, 1e-12);
	assert_true(isnan(fhist_quantile(h, NAN, &nan)));
	assert_true(isinf(fhist_quantile(h, 2, &nan)));
	h->sum = NAN;
	h->count = 5;
	assert_true(isnan(fhist_quantile(h, 0.9, &nan)));
	assert_int_equal(nan, FHIST_NAN_RESULT);
	arena_clear(&a);
}

static void
prints_as_the_reference(void **state)
{
	double p[INDICES] = { 0 }, n[INDICES] = { 0 };
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, 0);
	buf_init(&b, 0);
	p[33] = 2;
	n[32] = 1;
	struct fhist *h = make(&a, p, n);
	h->zero_count = 0.5;
	h->zero_threshold = 0.001;
	h->sum = 1e6;
	fhist_format(h, &b);
	struct str s = buf_str(&b);
	assert_int_equal(s.n, strlen("{count:3, sum:1e+06, [-1,-0.5):1, "
	    "[-0.001,0.001]:0.5, (1,2]:2}"));
	assert_memory_equal(s.p, "{count:3, sum:1e+06, [-1,-0.5):1, "
	    "[-0.001,0.001]:0.5, (1,2]:2}", s.n);
	buf_clear(&b);
	arena_clear(&a);
}

static void
refuses_what_does_not_agree(void **state)
{
	double p[INDICES] = { 0 }, z[INDICES] = { 0 };
	struct err e = ERR_INIT;
	struct arena a;

	(void)state;
	arena_init(&a, 0);
	p[33] = 2;
	struct fhist *h = make(&a, p, z);
	assert_int_equal(fhist_validate(h, &e), 0);
	h->pos.n--;
	assert_int_equal(fhist_validate(h, &e), -1);
	h->pos.n++;
	h->schema = 9;
	assert_int_equal(fhist_validate(h, &e), -1);
	h->schema = 0;
	for (uint32_t i = 0; i < h->pos.n; i++)
		h->pos.counts[i] = -1;
	assert_int_equal(fhist_validate(h, &e), -1);
	arena_clear(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(adds_and_subtracts_as_a_map),
		cmocka_unit_test(merges_neighbours_when_resolution_falls),
		cmocka_unit_test(walks_up_and_down_alike),
		cmocka_unit_test(finds_resets),
		cmocka_unit_test(knows_quantiles),
		cmocka_unit_test(prints_as_the_reference),
		cmocka_unit_test(refuses_what_does_not_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
