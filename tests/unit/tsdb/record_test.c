/* SPDX-License-Identifier: ISC */

/*
 * WAL records: round trips, bytes worked out by hand, every truncation and
 * random junk.
 */

#include "common/tsdb/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct rng { uint64_t s; };

static uint64_t
rnd(struct rng *r)
{
	r->s ^= r->s << 13;
	r->s ^= r->s >> 7;
	r->s ^= r->s << 17;
	return r->s;
}

static const struct label labels_a[] = {
	{ { "__name__", 8 }, { "up", 2 } },
	{ { "job", 3 }, { "n\0de", 4 } },
};
static const struct labels set_a = { labels_a, 2 };

/* Reads a record of any type to its end; entries read, -1 after a fault. */
static int
drain(struct record_reader *r, const void *p, size_t n)
{
	struct record_sample samples[7];
	struct record_histogram h;
	struct record_series s;
	struct record_tombstone t;
	struct record_exemplar e;
	struct record_mmap_marker m;
	struct record_metadata md;
	struct err err = ERR_INIT;
	uint8_t *copy = malloc(n == 0 ? 1 : n);
	int rc = 0, total = 0;

	memcpy(copy, p, n);
	record_open(r, copy, n);
	do {
		total += rc;
		switch (r->type) {
		case RECORD_SERIES:
			rc = record_next_series(r, &s, &err);
			break;
		case RECORD_SAMPLES:
		case RECORD_SAMPLES_V2:
			rc = record_next_samples(r, samples, 7, &err);
			break;
		case RECORD_TOMBSTONES:
			rc = record_next_tombstone(r, &t, &err);
			break;
		case RECORD_EXEMPLARS:
			rc = record_next_exemplar(r, &e, &err);
			break;
		case RECORD_MMAP_MARKERS:
			rc = record_next_mmap_marker(r, &m, &err);
			break;
		case RECORD_METADATA:
			rc = record_next_metadata(r, &md, &err);
			break;
		case RECORD_MIN_VALID_TIME:
		case RECORD_UNKNOWN:
			rc = 0;
			break;
		default:
			rc = record_next_histogram(r, &h, &err);
			break;
		}
	} while (rc > 0);
	if (rc == -1)
		assert_true(err.kind == ERR_BAD_DATA && err.text[0] != '\0');
	free(copy);
	return rc == -1 ? -1 : total;
}

/*
 * Each truncation gives an error, or fewer entries when the cut falls
 * between two.
 */
static void
check_truncations(const struct buf *b, int n)
{
	struct record_reader r;

	record_reader_init(&r);
	assert_int_equal(drain(&r, b->p, b->n), n);
	for (size_t cut = 0; cut < b->n; cut++)
		assert_true(drain(&r, b->p, cut) < n || n == 0);
	record_reader_clear(&r);
}

static void
test_series(void **state)
{
	static const uint8_t want[] = { 1, 0, 0, 0, 0, 0, 0, 1, 2, 2,
	    8, '_', '_', 'n', 'a', 'm', 'e', '_', '_', 2, 'u', 'p',
	    3, 'j', 'o', 'b', 4, 'n', 0, 'd', 'e',
	    0, 0, 0, 0, 0, 0, 0, 9, 0 };
	struct record_series in[] = { { 258, set_a, true },
	    { 9, { NULL, 0 }, false } }, out;
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	record_put_series(&b, in, 2);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));

	record_reader_init(&r);
	assert_int_equal(record_open(&r, b.p, b.n), RECORD_SERIES);
	assert_int_equal(record_next_series(&r, &out, &err), 1);
	assert_int_equal(out.ref, 258);
	assert_true(out.valid && labels_eq(out.labels, set_a));
	assert_int_equal(record_next_series(&r, &out, &err), 1);
	assert_true(!out.valid && out.labels.n == 0 && out.ref == 9);
	assert_int_equal(record_next_series(&r, &out, &err), 0);
	record_reader_clear(&r);
	check_truncations(&b, 2);
	buf_clear(&b);
}

static void
test_series_with_bad_labels(void **state)
{
	static const struct label unsorted[] = { { { "b", 1 }, { "1", 1 } },
	    { { "a", 1 }, { "1", 1 } } };
	static const struct label empty_value[] = { { { "a", 1 }, { "", 0 } },
	    { { "b", 1 }, { "1", 1 } } };
	static const struct label no_name[] = { { { "", 0 }, { "1", 1 } } };
	struct record_series in[] = { { 1, { unsorted, 2 }, true },
	    { 2, { empty_value, 2 }, true }, { 3, { no_name, 1 }, true } }, out;
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	record_put_series(&b, in, 3);
	record_reader_init(&r);
	record_open(&r, b.p, b.n);
	assert_int_equal(record_next_series(&r, &out, &err), 1);
	assert_false(out.valid);
	assert_int_equal(record_next_series(&r, &out, &err), 1);
	assert_true(out.valid && out.labels.n == 1);
	assert_int_equal(record_next_series(&r, &out, &err), 1);
	assert_false(out.valid);
	record_reader_clear(&r);
	buf_clear(&b);
}

static void
test_samples(void **state)
{
	static const uint8_t want[] = { 2, 0, 0, 0, 0, 0, 0, 0, 5,
	    0, 0, 0, 0, 0, 0, 3, 0xe8,
	    0, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0,
	    0x03, 0xc8, 0x01, 0xbf, 0xf0, 0, 0, 0, 0, 0, 0 };
	struct record_sample in[] = { { 5, 1000, 1 }, { 3, 1100, -1 } };
	struct rng g = { 7046029254386353131ULL };
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	record_put_samples(&b, in, 2);
	assert_int_equal(b.n, sizeof(want));
	assert_memory_equal(b.p, want, sizeof(want));
	check_truncations(&b, 2);

	record_reader_init(&r);
	for (int round = 0; round < 300; round++) {
		struct record_sample s[600], got[600];
		size_t n = rnd(&g) % 600, at = 0;
		int k;

		for (size_t i = 0; i < n; i++)
			s[i] = (struct record_sample){ rnd(&g) >> rnd(&g) % 64,
			    (int64_t)(rnd(&g) >> rnd(&g) % 64),
			    double_from_bits(rnd(&g)) };
		buf_reset(&b);
		record_put_samples(&b, s, n);
		record_open(&r, b.p, b.n);
		while ((k = record_next_samples(&r, got + at,
		    1 + rnd(&g) % 100, &err)) > 0)
			at += (size_t)k;
		assert_int_equal(k, 0);
		assert_int_equal(at, n);
		assert_memory_equal(s, got, n * sizeof(*s));
		if (round < 3)
			check_truncations(&b, (int)n);
	}
	record_reader_clear(&r);
	buf_clear(&b);
}

static void
test_samples_v2(void **state)
{
	/* ref 3, t 10, st 5; ref +1, t +2, same st; ref -1, t 0, st first+1 */
	static const uint8_t rec[] = { 11, 6, 20, 10, 0x40, 0, 0, 0, 0, 0, 0, 0,
	    2, 4, 1, 0x40, 0x08, 0, 0, 0, 0, 0, 0,
	    1, 0, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0 };
	struct record_sample got[4];
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	record_reader_init(&r);
	assert_int_equal(record_open(&r, rec, sizeof(rec)), RECORD_SAMPLES_V2);
	assert_int_equal(record_next_samples(&r, got, 4, &err), 3);
	assert_true(got[0].ref == 3 && got[0].t_ms == 10 && got[0].v == 2);
	assert_true(got[1].ref == 4 && got[1].t_ms == 12 && got[1].v == 3);
	assert_true(got[2].ref == 3 && got[2].t_ms == 10 && got[2].v == 0);
	record_reader_clear(&r);
	buf_init(&b, 0);
	buf_add(&b, rec, sizeof(rec));
	check_truncations(&b, 3);
	buf_clear(&b);
}

static void
test_small_records(void **state)
{
	struct record_tombstone t[] = { { 1, -5, 7 }, { 9, INT64_MIN, INT64_MAX } };
	struct record_exemplar e[] = { { 1, 100, 2.5, set_a, true },
	    { 0, 50, -1, set_a, true } };
	struct record_mmap_marker m[] = { { 1, 2 }, { 3, 0 } };
	struct record_metadata md[] = { { 300, RECORD_METRIC_COUNTER,
	    { "bytes", 5 }, { "All of them.", 12 } }, { 4, 0, { "", 0 }, { "", 0 } } };
	struct record_tombstone t_out;
	struct record_exemplar e_out;
	struct record_mmap_marker m_out;
	struct record_metadata md_out;
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	record_reader_init(&r);

	record_put_tombstones(&b, t, 2);
	check_truncations(&b, 2);
	record_open(&r, b.p, b.n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(record_next_tombstone(&r, &t_out, &err), 1);
		assert_memory_equal(&t[i], &t_out, sizeof(t_out));
	}

	buf_reset(&b);
	record_put_exemplars(&b, e, 2);
	check_truncations(&b, 2);
	record_open(&r, b.p, b.n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(record_next_exemplar(&r, &e_out, &err), 1);
		assert_true(e_out.ref == e[i].ref && e_out.t_ms == e[i].t_ms &&
		    e_out.v == e[i].v && labels_eq(e_out.labels, set_a));
	}

	buf_reset(&b);
	record_put_mmap_markers(&b, m, 2);
	check_truncations(&b, 2);
	record_open(&r, b.p, b.n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(record_next_mmap_marker(&r, &m_out, &err), 1);
		assert_memory_equal(&m[i], &m_out, sizeof(m_out));
	}

	buf_reset(&b);
	record_put_metadata(&b, md, 2);
	check_truncations(&b, 2);
	record_open(&r, b.p, b.n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(record_next_metadata(&r, &md_out, &err), 1);
		assert_true(md_out.ref == md[i].ref && md_out.type == md[i].type &&
		    str_eq(md_out.unit, md[i].unit) &&
		    str_eq(md_out.help, md[i].help));
	}
	record_reader_clear(&r);
	buf_clear(&b);
}

static void
check_histogram(const struct record_histogram *a,
    const struct record_histogram *b)
{
	assert_true(a->ref == b->ref && a->t_ms == b->t_ms &&
	    a->is_float == b->is_float && a->schema == b->schema &&
	    a->counter_reset_hint == b->counter_reset_hint &&
	    a->zero_threshold == b->zero_threshold && a->sum == b->sum &&
	    a->count == b->count && a->zero_count == b->zero_count &&
	    a->count_f == b->count_f && a->zero_count_f == b->zero_count_f);
	assert_int_equal(a->n_pos_spans, b->n_pos_spans);
	assert_memory_equal(a->pos_spans, b->pos_spans,
	    a->n_pos_spans * sizeof(*a->pos_spans));
	assert_int_equal(a->n_pos_buckets, b->n_pos_buckets);
	if (a->is_float)
		assert_memory_equal(a->pos_counts, b->pos_counts,
		    a->n_pos_buckets * sizeof(double));
	else
		assert_memory_equal(a->pos_deltas, b->pos_deltas,
		    a->n_pos_buckets * sizeof(int64_t));
	assert_int_equal(a->n_neg_spans, b->n_neg_spans);
	assert_int_equal(a->n_neg_buckets, b->n_neg_buckets);
	assert_int_equal(a->n_custom_values, b->n_custom_values);
	if (a->n_custom_values > 0)
		assert_memory_equal(a->custom_values, b->custom_values,
		    a->n_custom_values * sizeof(double));
}

static void
test_histograms(void **state)
{
	static const struct record_span spans[] = { { -2, 2 }, { 3, 1 } };
	static const int64_t deltas[] = { 5, -3, 100000 };
	static const double counts[] = { 0.5, 3, 7.25 };
	struct record_histogram h[] = { {
		.ref = 7, .t_ms = 1000, .counter_reset_hint = 2, .schema = 3,
		.zero_threshold = 1e-128, .sum = 12.5, .count = 9,
		.zero_count = 1, .pos_spans = spans, .n_pos_spans = 2,
		.pos_deltas = deltas, .n_pos_buckets = 3, .neg_spans = spans,
		.n_neg_spans = 1, .neg_deltas = deltas, .n_neg_buckets = 2,
	}, {
		.ref = 6, .t_ms = 900, .schema = -4,
	} };
	struct record_histogram f = {
		.ref = 1, .t_ms = 5, .is_float = true, .counter_reset_hint = 3,
		.schema = RECORD_SCHEMA_CUSTOM, .sum = -1, .count_f = 10.75,
		.pos_spans = spans, .n_pos_spans = 2, .pos_counts = counts,
		.n_pos_buckets = 3, .custom_values = counts,
		.n_custom_values = 3,
	}, out;
	struct record_reader r;
	struct err err = ERR_INIT;
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	record_reader_init(&r);
	record_put_histograms(&b, RECORD_HISTOGRAMS, h, 2);
	check_truncations(&b, 2);
	record_open(&r, b.p, b.n);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(record_next_histogram(&r, &out, &err), 1);
		check_histogram(&h[i], &out);
	}
	assert_int_equal(record_next_histogram(&r, &out, &err), 0);

	buf_reset(&b);
	record_put_histograms(&b, RECORD_CUSTOM_FLOAT_HISTOGRAMS, &f, 1);
	check_truncations(&b, 1);
	record_open(&r, b.p, b.n);
	assert_int_equal(record_next_histogram(&r, &out, &err), 1);
	check_histogram(&f, &out);
	record_reader_clear(&r);
	buf_clear(&b);
}

static void
test_types(void **state)
{
	struct record_reader r;
	struct record_series s;
	struct err err = ERR_INIT;

	(void)state;
	assert_int_equal(record_type("", 0), RECORD_UNKNOWN);
	assert_int_equal(record_type("\0", 1), RECORD_UNKNOWN);
	assert_int_equal(record_type("\x0f", 1), RECORD_UNKNOWN);
	assert_int_equal(record_type("\xff", 1), RECORD_UNKNOWN);
	assert_int_equal(record_type("\x06", 1), RECORD_METADATA);
	assert_string_equal(record_type_name(RECORD_SAMPLES), "samples");
	assert_string_equal(record_type_name(RECORD_UNKNOWN), "unknown");
	record_reader_init(&r);
	record_open(&r, "\x02", 1);
	assert_int_equal(record_next_series(&r, &s, &err), -1);
	assert_int_equal(err.kind, ERR_INTERNAL);
	record_reader_clear(&r);
}

static void
test_junk(void **state)
{
	struct rng g = { 15241094284759029579ULL };
	struct record_reader r;

	(void)state;
	record_reader_init(&r);
	for (int round = 0; round < 50000; round++) {
		uint8_t junk[96];
		size_t n = rnd(&g) % sizeof(junk);

		for (size_t i = 0; i < n; i++)
			junk[i] = (uint8_t)(rnd(&g) >> rnd(&g) % 64);
		junk[0] = (uint8_t)(rnd(&g) % 15);
		(void)drain(&r, junk, n);
	}
	record_reader_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_series),
		cmocka_unit_test(test_series_with_bad_labels),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_samples_v2),
		cmocka_unit_test(test_small_records),
		cmocka_unit_test(test_histograms),
		cmocka_unit_test(test_types),
		cmocka_unit_test(test_junk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
