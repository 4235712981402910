/* SPDX-License-Identifier: ISC */

/* Encoder of WAL records; the formats are drawn in record.h. */

#include "common/tsdb/record.h"

#include <string.h>

/* Two varints of ten bytes and a value. */
#define SAMPLE_BYTES_MAX	28
/* Samples per reservation, so that a large record grows as it is written. */
#define SAMPLES_STRIDE		512

static void
put_str(struct buf *out, struct str s)
{
	buf_add_uvarint(out, s.n);
	buf_add_str(out, s);
}

static void
put_labels(struct buf *out, struct labels ls)
{
	buf_add_uvarint(out, ls.n);
	for (size_t i = 0; i < ls.n; i++) {
		put_str(out, ls.l[i].name);
		put_str(out, ls.l[i].value);
	}
}

void
record_begin_series(struct buf *out)
{
	buf_add_byte(out, RECORD_SERIES);
}

void
record_add_series(struct buf *out, uint64_t ref, struct labels labels)
{
	buf_add_be64(out, ref);
	put_labels(out, labels);
}

void
record_put_series(struct buf *out, const struct record_series *s, size_t n)
{
	record_begin_series(out);
	for (size_t i = 0; i < n; i++)
		record_add_series(out, s[i].ref, s[i].labels);
}

static inline uint8_t *
put_varint(uint8_t *p, uint64_t delta)
{
	uint64_t u = delta << 1 ^ (uint64_t)((int64_t)delta >> 63);

	while (__builtin_expect(u >= 0x80, 0)) {
		*p++ = (uint8_t)u | 0x80;
		u >>= 7;
	}
	*p++ = (uint8_t)u;
	return p;
}

void
record_put_samples(struct buf *out, const struct record_sample *s, size_t n)
{
	buf_add_byte(out, RECORD_SAMPLES);
	if (n == 0)
		return;
	buf_add_be64(out, s[0].ref);
	buf_add_be64(out, (uint64_t)s[0].t_ms);
	for (size_t i = 0; i < n;) {
		size_t end = n - i < SAMPLES_STRIDE ? n : i + SAMPLES_STRIDE;
		uint8_t *start = (uint8_t *)buf_reserve(out,
		    (end - i) * SAMPLE_BYTES_MAX), *p = start;

		if (p == NULL)
			return;
		for (; i < end; i++) {
			p = put_varint(p, s[i].ref - s[0].ref);
			p = put_varint(p, (uint64_t)s[i].t_ms -
			    (uint64_t)s[0].t_ms);
			store_be64(p, double_bits(s[i].v));
			p += 8;
		}
		out->n += (size_t)(p - start);
	}
}

void
record_put_tombstones(struct buf *out, const struct record_tombstone *s,
    size_t n)
{
	buf_add_byte(out, RECORD_TOMBSTONES);
	for (size_t i = 0; i < n; i++) {
		buf_add_be64(out, s[i].ref);
		buf_add_varint(out, s[i].mint_ms);
		buf_add_varint(out, s[i].maxt_ms);
	}
}

/* Base of a record, when it has entries at all; deltas of one entry. */
static void
put_base(struct buf *out, uint64_t ref, int64_t t_ms)
{
	buf_add_be64(out, ref);
	buf_add_be64(out, (uint64_t)t_ms);
}

static void
put_deltas(struct buf *out, uint64_t ref, uint64_t ref0, int64_t t, int64_t t0)
{
	buf_add_varint(out, (int64_t)(ref - ref0));
	buf_add_varint(out, (int64_t)((uint64_t)t - (uint64_t)t0));
}

void
record_put_exemplars(struct buf *out, const struct record_exemplar *e,
    size_t n)
{
	buf_add_byte(out, RECORD_EXEMPLARS);
	if (n == 0)
		return;
	put_base(out, e[0].ref, e[0].t_ms);
	for (size_t i = 0; i < n; i++) {
		put_deltas(out, e[i].ref, e[0].ref, e[i].t_ms, e[0].t_ms);
		buf_add_be64(out, double_bits(e[i].v));
		put_labels(out, e[i].labels);
	}
}

void
record_put_mmap_markers(struct buf *out, const struct record_mmap_marker *m,
    size_t n)
{
	buf_add_byte(out, RECORD_MMAP_MARKERS);
	for (size_t i = 0; i < n; i++) {
		buf_add_be64(out, m[i].ref);
		buf_add_be64(out, m[i].chunk_ref);
	}
}

void
record_put_metadata(struct buf *out, const struct record_metadata *m,
    size_t n)
{
	buf_add_byte(out, RECORD_METADATA);
	for (size_t i = 0; i < n; i++) {
		buf_add_uvarint(out, m[i].ref);
		buf_add_byte(out, m[i].type);
		buf_add_uvarint(out, 2);
		put_str(out, STR_LIT("UNIT"));
		put_str(out, m[i].unit);
		put_str(out, STR_LIT("HELP"));
		put_str(out, m[i].help);
	}
}

static void
put_spans(struct buf *out, const struct record_span *s, uint32_t n)
{
	buf_add_uvarint(out, n);
	for (uint32_t i = 0; i < n; i++) {
		buf_add_varint(out, s[i].offset);
		buf_add_uvarint(out, s[i].length);
	}
}

static void
put_buckets(struct buf *out, bool is_float, const int64_t *deltas,
    const double *counts, uint32_t n)
{
	buf_add_uvarint(out, n);
	for (uint32_t i = 0; i < n; i++) {
		if (is_float)
			buf_add_be64(out, double_bits(counts[i]));
		else
			buf_add_varint(out, deltas[i]);
	}
}

static void
put_histogram(struct buf *out, const struct record_histogram *h)
{
	buf_add_byte(out, h->counter_reset_hint);
	buf_add_varint(out, h->schema);
	buf_add_be64(out, double_bits(h->zero_threshold));
	if (h->is_float) {
		buf_add_be64(out, double_bits(h->zero_count_f));
		buf_add_be64(out, double_bits(h->count_f));
	} else {
		buf_add_uvarint(out, h->zero_count);
		buf_add_uvarint(out, h->count);
	}
	buf_add_be64(out, double_bits(h->sum));
	put_spans(out, h->pos_spans, h->n_pos_spans);
	put_spans(out, h->neg_spans, h->n_neg_spans);
	put_buckets(out, h->is_float, h->pos_deltas, h->pos_counts,
	    h->n_pos_buckets);
	put_buckets(out, h->is_float, h->neg_deltas, h->neg_counts,
	    h->n_neg_buckets);
	if (h->schema == RECORD_SCHEMA_CUSTOM)
		put_buckets(out, true, NULL, h->custom_values,
		    h->n_custom_values);
}

void
record_put_histograms(struct buf *out, enum record_type type,
    const struct record_histogram *h, size_t n)
{
	buf_add_byte(out, (uint8_t)type);
	if (n == 0)
		return;
	put_base(out, h[0].ref, h[0].t_ms);
	for (size_t i = 0; i < n; i++) {
		put_deltas(out, h[i].ref, h[0].ref, h[i].t_ms, h[0].t_ms);
		put_histogram(out, &h[i]);
	}
}
