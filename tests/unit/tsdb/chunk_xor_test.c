/* SPDX-License-Identifier: ISC */

/*
 * XOR chunks against a naive model (one bit at a time, straight from the
 * format), under random samples, truncation, bit flips and a reader that
 * looks at every published prefix.
 */

#include "common/tsdb/chunk_xor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "common/base/bytes.h"

#define N_MAX	300
#define CAP	8192

struct rng { uint64_t s; };

static uint64_t
rnd(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

/* --- the model --- */

struct model {
	uint8_t	*p;
	size_t	 bits;
	int64_t	 t;
	uint64_t v, delta;
	int	 n, lead, trail;
};

static void
model_put(struct model *m, uint64_t v, int n)
{
	while (n-- > 0) {
		if (v >> n & 1)
			m->p[m->bits / 8] |= 0x80 >> m->bits % 8;
		m->bits++;
	}
}

static void
model_uvarint(struct model *m, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		model_put(m, (v & 0x7f) | 0x80, 8);
	model_put(m, v, 8);
}

static void
model_xor(struct model *m, uint64_t x)
{
	int lead, trail;

	if (x == 0) {
		model_put(m, 0, 1);
		return;
	}
	lead = __builtin_clzll(x) > 31 ? 31 : __builtin_clzll(x);
	trail = __builtin_ctzll(x);
	if (m->lead >= 0 && lead >= m->lead && trail >= m->trail) {
		model_put(m, 2, 2);
		model_put(m, x >> m->trail, 64 - m->lead - m->trail);
		return;
	}
	model_put(m, 3, 2);
	model_put(m, (uint64_t)lead, 5);
	model_put(m, (uint64_t)(64 - lead - trail) & 63, 6);
	model_put(m, x >> trail, 64 - lead - trail);
	m->lead = lead;
	m->trail = trail;
}

static void
model_append(struct model *m, int64_t t, double value)
{
	static const struct { int n; uint64_t prefix; int prefix_n; } b[] = {
		{ 14, 2, 2 }, { 17, 6, 3 }, { 20, 14, 4 } };
	uint64_t v = double_bits(value), delta = (uint64_t)t - (uint64_t)m->t;

	if (m->n == 0) {
		model_put(m, 0, 16);
		model_uvarint(m, (uint64_t)t << 1 ^ (uint64_t)(t >> 63));
		model_put(m, v, 64);
		delta = 0;
		m->lead = -1;
	} else if (m->n == 1) {
		model_uvarint(m, delta);
		model_xor(m, v ^ m->v);
	} else {
		int64_t dod = (int64_t)(delta - m->delta);
		size_t i;

		for (i = 0; i < 3 && dod != 0; i++) {
			int64_t half = INT64_C(1) << (b[i].n - 1);

			if (dod >= -(half - 1) && dod <= half) {
				model_put(m, b[i].prefix, b[i].prefix_n);
				model_put(m, (uint64_t)dod, b[i].n);
				break;
			}
		}
		if (dod == 0)
			model_put(m, 0, 1);
		else if (i == 3) {
			model_put(m, 15, 4);
			model_put(m, (uint64_t)dod, 64);
		}
		model_xor(m, v ^ m->v);
	}
	m->t = t;
	m->v = v;
	m->delta = delta;
	m->n++;
}

/* --- sample generators: the shapes that reach every branch --- */

struct samples {
	int64_t	t[N_MAX];
	double	v[N_MAX];
	size_t	n;
};

static int64_t
gen_step(struct rng *r, int shape)
{
	static const int64_t edge[] = { 8191, 8192, 8193, 65535, 65536, 65537,
	    524287, 524288, 524289 };

	switch (shape % 5) {
	case 0:
		return 15000;
	case 1:
		return 15000 + (int64_t)(rnd(r) % 7) - 3;
	case 2:
		return 600000 + (rnd(r) & 1 ? 1 : -1) * edge[rnd(r) % 9];
	case 3:
		return (int64_t)(rnd(r) >> (rnd(r) % 64));
	default:
		return rnd(r) % 10 == 0 ? 3600000 : 1000;
	}
}

static double
gen_value(struct rng *r, int shape, double last)
{
	switch (shape % 6) {
	case 0:
		return 1;
	case 1:
		return last + (double)(rnd(r) % 10);
	case 2:
		return (double)(rnd(r) % 1000) / 10;
	case 3:
		return double_from_bits(rnd(r));
	case 4:
		return double_from_bits(double_bits(last) ^
		    rnd(r) >> (rnd(r) % 64) << (rnd(r) % 64));
	default:
		return rnd(r) % 4 == 0 ? double_from_bits(STALE_NAN_BITS) : 0.25;
	}
}

static void
gen(struct rng *r, struct samples *s)
{
	int shape = (int)(rnd(r) % 30), vshape = (int)(rnd(r) % 30);
	int64_t t = (int64_t)(rnd(r) >> (rnd(r) % 64));
	double v = 0;

	s->n = rnd(r) % N_MAX + 1;
	for (size_t i = 0; i < s->n; i++) {
		t = (int64_t)((uint64_t)t + (uint64_t)gen_step(r, shape));
		v = gen_value(r, vshape, v);
		s->t[i] = t;
		s->v[i] = v;
	}
}

static void
assert_samples(const struct samples *s, size_t n, const int64_t *t,
    const double *v)
{
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(t[i], s->t[i]);
		assert_true(double_bits(v[i]) == double_bits(s->v[i]));
	}
}

/* Decodes from an allocation of exactly len bytes, so that ASan sees. */
static int
decode_exact(const uint8_t *data, size_t len, size_t n, int64_t *t, double *v)
{
	uint8_t *copy = malloc(len == 0 ? 1 : len);
	int rc;

	memcpy(copy, data, len);
	rc = chunk_xor_decode(copy, len, n, t, v);
	free(copy);
	return rc;
}

/* Appends all to memory that has exactly the bytes needed. */
static void
encode_exact(const struct samples *s, const struct model *m, uint8_t *out)
{
	size_t cap = (m->bits + 7) / 8;
	uint8_t *data = calloc(1, cap);
	struct chunk_xor x;

	chunk_xor_init(&x);
	for (size_t i = 0; i < s->n; i++)
		assert_true(chunk_xor_append(&x, data, cap, s->t[i], s->v[i]));
	assert_int_equal(x.n_bits, m->bits);
	memcpy(out, data, cap);
	free(data);
}

static void
test_matches_model(void **state)
{
	struct rng r = { 88172645463325252ULL };
	int64_t t[N_MAX];
	double v[N_MAX];

	(void)state;
	for (int round = 0; round < 3000; round++) {
		uint8_t want[CAP] = { 0 }, got[CAP] = { 0 };
		struct model m = { .p = want };
		struct samples s;

		gen(&r, &s);
		for (size_t i = 0; i < s.n; i++)
			model_append(&m, s.t[i], s.v[i]);
		encode_exact(&s, &m, got);
		assert_memory_equal(want, got, (m.bits + 7) / 8);
		assert_int_equal(decode_exact(got, (m.bits + 7) / 8, s.n, t, v), 0);
		assert_samples(&s, s.n, t, v);
		assert_int_equal(decode_exact(got, (m.bits + 7) / 8, s.n / 2, t, v), 0);
		assert_samples(&s, s.n / 2, t, v);
	}
}

/* Every published prefix decodes at every later moment; bits never change. */
static void
test_published_prefix_stays(void **state)
{
	struct rng r = { 4101842887655102017ULL };
	int64_t t[N_MAX];
	double v[N_MAX];

	(void)state;
	for (int round = 0; round < 40; round++) {
		uint8_t data[CAP] = { 0 }, before[CAP];
		struct chunk_xor x;
		struct samples s;
		size_t len;

		gen(&r, &s);
		chunk_xor_init(&x);
		for (size_t i = 0; i < s.n; i++) {
			size_t bits = x.n_bits;

			memcpy(before, data, sizeof(data));
			assert_true(chunk_xor_append(&x, data, CAP, s.t[i],
			    s.v[i]));
			assert_memory_equal(before, data, bits / 8);
			if (bits % 8 != 0)
				assert_int_equal(before[bits / 8] >> (8 - bits % 8),
				    data[bits / 8] >> (8 - bits % 8));
			len = chunk_xor_len_bytes(&x);
			assert_int_equal(data[len], 0);
			assert_int_equal(decode_exact(data, len, i + 1, t, v), 0);
			assert_samples(&s, i + 1, t, v);
			assert_int_equal(chunk_xor_decode(data, CAP, i + 1, t, v), 0);
			assert_samples(&s, i + 1, t, v);
		}
	}
}

static void
test_refuses_what_does_not_fit(void **state)
{
	struct rng r = { 2463534242ULL };

	(void)state;
	for (int round = 0; round < 2000; round++) {
		uint8_t data[CAP + 8] = { 0 }, want[CAP] = { 0 };
		struct model m = { .p = want };
		struct chunk_xor x, was;
		struct samples s;
		size_t cap, i;

		gen(&r, &s);
		cap = rnd(&r) % 600 + 2;
		chunk_xor_init(&x);
		for (i = 0; i < s.n; i++) {
			was = x;
			if (!chunk_xor_append(&x, data, cap, s.t[i], s.v[i]))
				break;
			model_append(&m, s.t[i], s.v[i]);
		}
		if (i < s.n) {
			assert_memory_equal(&was, &x, sizeof(x));
			assert_true(chunk_xor_len_bytes(&x) +
			    CHUNK_XOR_SAMPLE_BYTES_MAX > cap);
			model_append(&m, s.t[i], s.v[i]);
			assert_true(m.bits > cap * 8);
		}
		for (i = cap; i < sizeof(data); i++)
			assert_int_equal(data[i], 0);
	}
}

static void
test_bound_holds(void **state)
{
	uint8_t data[CAP] = { 0 };
	struct chunk_xor x;
	int64_t t = INT64_MIN;
	size_t before;

	(void)state;
	chunk_xor_init(&x);
	assert_true(chunk_xor_append(&x, data, CAP, t, 0));
	assert_int_equal(chunk_xor_len_bytes(&x), CHUNK_XOR_SAMPLE_BYTES_MAX);
	for (int i = 0; i < 200; i++) {
		uint64_t flip = i & 1 ? 0x8000000000000001ULL : 0xffffffffffffffffULL;

		t = t == INT64_MIN ? INT64_MAX : INT64_MIN;
		before = chunk_xor_len_bytes(&x);
		assert_true(chunk_xor_append(&x, data, CAP, t,
		    double_from_bits(x.v_bits ^ flip)));
		assert_true(chunk_xor_len_bytes(&x) - before <=
		    CHUNK_XOR_SAMPLE_BYTES_MAX);
	}
}

static void
test_resume_goes_on_equally(void **state)
{
	struct rng r = { 1442695040888963407ULL };

	(void)state;
	for (int round = 0; round < 1000; round++) {
		uint8_t data[CAP] = { 0 };
		struct chunk_xor x, y;
		struct samples s;

		gen(&r, &s);
		chunk_xor_init(&x);
		for (size_t i = 0; i < s.n; i++) {
			assert_true(chunk_xor_append(&x, data, CAP, s.t[i],
			    s.v[i]));
			if (rnd(&r) % 16 != 0)
				continue;
			assert_int_equal(chunk_xor_resume(&y, data,
			    chunk_xor_len_bytes(&x), i + 1), 0);
			if (x.leading == 0xff) {
				/* No window yet; see the contract. */
				assert_true(y.trailing == 0);
				y.leading = 0xff;
			}
			assert_memory_equal(&x, &y, sizeof(x));
		}
	}
}

static void
test_hostile_data(void **state)
{
	struct rng r = { 6364136223846793005ULL };
	int64_t t[N_MAX];
	double v[N_MAX];

	(void)state;
	for (int round = 0; round < 60; round++) {
		uint8_t data[CAP] = { 0 };
		struct chunk_xor x;
		struct samples s;
		size_t len;

		gen(&r, &s);
		chunk_xor_init(&x);
		for (size_t i = 0; i < s.n; i++)
			assert_true(chunk_xor_append(&x, data, CAP, s.t[i],
			    s.v[i]));
		len = chunk_xor_len_bytes(&x);
		for (size_t cut = 0; cut < len; cut++)
			assert_int_equal(decode_exact(data, cut, s.n, t, v), -1);
		for (size_t bit = 16; bit < len * 8; bit += 1 + rnd(&r) % 5) {
			data[bit / 8] ^= 1 << bit % 8;
			(void)decode_exact(data, len, s.n, t, v);
			data[bit / 8] ^= 1 << bit % 8;
		}
	}
	for (int round = 0; round < 20000; round++) {
		uint8_t junk[128];
		size_t len = rnd(&r) % sizeof(junk);

		for (size_t i = 0; i < len; i++)
			junk[i] = (uint8_t)rnd(&r);
		(void)decode_exact(junk, len, rnd(&r) % N_MAX, t, v);
	}
}

static void
test_count(void **state)
{
	uint8_t data[64] = { 0 };
	struct chunk_xor x;

	(void)state;
	chunk_xor_init(&x);
	for (int i = 0; i < 3; i++)
		assert_true(chunk_xor_append(&x, data, sizeof(data), i, i));
	assert_int_equal(chunk_xor_count(data, sizeof(data)), 0);
	chunk_xor_seal(&x, data);
	assert_int_equal(chunk_xor_count(data, sizeof(data)), 3);
	assert_int_equal(chunk_xor_count(data, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matches_model),
		cmocka_unit_test(test_published_prefix_stays),
		cmocka_unit_test(test_refuses_what_does_not_fit),
		cmocka_unit_test(test_bound_holds),
		cmocka_unit_test(test_resume_goes_on_equally),
		cmocka_unit_test(test_hostile_data),
		cmocka_unit_test(test_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
