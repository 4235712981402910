/* SPDX-License-Identifier: ISC */

/*
 * Histogram chunks, read and (float ones) written. The bit stream is read
 * one field at a time with every length checked: histograms are wide and
 * rare, the layout decides the cost.
 */

#include "common/tsdb/chunk_hist.h"

#include <math.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/tsdb/chunk_bits.h"

/* More buckets than any schema has: 2 * 64 * 2^8 with room. */
#define BUCKETS_MAX	(1u << 17)
#define INDEX_MAX	(1 << 24)

/* --- the layout --- */

struct layout {
	int32_t		 schema;
	double		 zero_threshold;
	struct hside	 pos, neg;	/* spans and n only */
	double		*custom;
	uint32_t	 n_custom;
};

static int
get_spans(struct bits *b, struct arena *a, struct hside *s)
{
	uint64_t n = varbit_uint(b), total = 0;
	int64_t index = 0;

	*s = (struct hside){ .n = 0 };
	if (b->failed || n > (b->n_bits - b->at) / 2 + 1)
		return -1;
	s->spans = arena_array(a, n, sizeof(*s->spans));
	if (s->spans == NULL)
		return -2;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t length = varbit_uint(b);
		int64_t offset = varbit_int(b);

		if (b->failed || length > BUCKETS_MAX ||
		    offset > INDEX_MAX || offset < -INDEX_MAX ||
		    (i > 0 && offset < 0))
			return -1;
		total += length;
		index += offset + (int64_t)length;
		if (total > BUCKETS_MAX || index > INDEX_MAX)
			return -1;
		s->spans[i] = (struct hspan){ (int32_t)offset,
		    (uint32_t)length };
	}
	s->n_spans = (uint32_t)n;
	s->n = (uint32_t)total;
	return 0;
}

static int
get_custom(struct bits *b, struct arena *a, struct layout *l)
{
	uint64_t n = varbit_uint(b);

	if (b->failed || n > b->n_bits - b->at)
		return -1;
	l->custom = arena_array(a, n, sizeof(double));
	if (l->custom == NULL)
		return -2;
	for (uint64_t i = 0; i < n; i++) {
		uint64_t v = varbit_uint(b);

		l->custom[i] = v == 0 ? double_from_bits(bits_get(b, 64)) :
		    (double)(v - 1) / 1000;
	}
	l->n_custom = (uint32_t)n;
	return b->failed ? -1 : 0;
}

static int
get_layout(struct bits *b, struct arena *a, struct layout *l)
{
	*l = (struct layout){ .schema = 0 };
	unsigned z = (unsigned)bits_get(b, 8);
	if (z == 255)
		l->zero_threshold = double_from_bits(bits_get(b, 64));
	else if (z != 0)
		l->zero_threshold = ldexp(0.5, (int)z - 243);
	int64_t schema = varbit_int(b);
	if (b->failed || !fhist_schema_is_known(schema) ||
	    isnan(l->zero_threshold) || l->zero_threshold < 0)
		return -1;
	l->schema = (int32_t)schema;
	int rc = get_spans(b, a, &l->pos);
	if (rc == 0)
		rc = get_spans(b, a, &l->neg);
	if (rc == 0 && schema == FHIST_CUSTOM_SCHEMA)
		rc = get_custom(b, a, l);
	return rc;
}

/* --- samples --- */

struct decoder {
	struct bits	 b;
	struct arena	*a;
	struct layout	 l;
	int64_t		 t, dt;
	uint64_t	 count, zero;		/* integer */
	int64_t		 d_count, d_zero;
	int64_t		*buckets, *d_buckets;
	struct xorval	 sum, fcount, fzero;	/* float */
	struct xorval	*fbuckets;
};

static struct fhist *
make_hist(struct decoder *d, size_t i, unsigned flags)
{
	struct fhist *h = arena_zalloc(d->a, sizeof(*h));
	double *c;

	if (h == NULL)
		return NULL;
	h->schema = d->l.schema;
	h->zero_threshold = d->l.zero_threshold;
	h->sum = double_from_bits(d->sum.v);
	if ((flags & 0xc0) == CHUNK_HIST_GAUGE)
		h->hint = FHIST_GAUGE;
	else if (i > 0)
		h->hint = FHIST_NOT_RESET;
	if (is_stale_nan(h->sum)) {
		*h = (struct fhist){ .sum = h->sum };
		return h;
	}
	h->custom = d->l.custom;
	h->n_custom = d->l.n_custom;
	h->pos = d->l.pos;
	h->neg = d->l.neg;
	/* spans may be changed in place later, so each has its own */
	h->pos.spans = arena_array(d->a, h->pos.n_spans, sizeof(struct hspan));
	h->neg.spans = arena_array(d->a, h->neg.n_spans, sizeof(struct hspan));
	c = arena_array(d->a, (size_t)h->pos.n + h->neg.n, sizeof(double));
	if (h->pos.spans == NULL || h->neg.spans == NULL || c == NULL)
		return NULL;
	memcpy(h->pos.spans, d->l.pos.spans,
	    h->pos.n_spans * sizeof(struct hspan));
	memcpy(h->neg.spans, d->l.neg.spans,
	    h->neg.n_spans * sizeof(struct hspan));
	h->pos.counts = c;
	h->neg.counts = c + h->pos.n;
	return h;
}

static void
get_int_buckets(struct decoder *d, bool first)
{
	uint32_t n = d->l.pos.n + d->l.neg.n;

	for (uint32_t k = 0; k < n; k++) {
		int64_t v = varbit_int(&d->b);

		if (first) {
			d->buckets[k] = v;
			continue;
		}
		d->d_buckets[k] = (int64_t)((uint64_t)d->d_buckets[k] +
		    (uint64_t)v);
		d->buckets[k] = (int64_t)((uint64_t)d->buckets[k] +
		    (uint64_t)d->d_buckets[k]);
	}
}

/* Buckets are stored as differences to the one before. */
static void
sum_buckets(const int64_t *deltas, double *out, uint32_t n)
{
	uint64_t sum = 0;

	for (uint32_t k = 0; k < n; k++) {
		sum += (uint64_t)deltas[k];
		out[k] = (double)(int64_t)sum;
	}
}

static void
get_int_sample(struct decoder *d, bool first, bool *stale)
{
	struct bits *b = &d->b;

	if (first) {
		d->count = varbit_uint(b);
		d->zero = varbit_uint(b);
		d->sum.v = bits_get(b, 64);
	} else {
		d->d_count = (int64_t)((uint64_t)d->d_count +
		    (uint64_t)varbit_int(b));
		d->d_zero = (int64_t)((uint64_t)d->d_zero +
		    (uint64_t)varbit_int(b));
		d->count += (uint64_t)d->d_count;
		d->zero += (uint64_t)d->d_zero;
		xor_get(b, &d->sum);
	}
	*stale = d->sum.v == STALE_NAN_BITS;
	if (!*stale || first)
		get_int_buckets(d, first);
}

static void
get_float_sample(struct decoder *d, bool first, bool *stale)
{
	uint32_t n = d->l.pos.n + d->l.neg.n;
	struct bits *b = &d->b;

	if (first) {
		d->fcount.v = bits_get(b, 64);
		d->fzero.v = bits_get(b, 64);
		d->sum.v = bits_get(b, 64);
	} else {
		xor_get(b, &d->fcount);
		xor_get(b, &d->fzero);
		xor_get(b, &d->sum);
	}
	*stale = d->sum.v == STALE_NAN_BITS;
	if (*stale && !first)
		return;
	for (uint32_t k = 0; k < n; k++) {
		if (first)
			d->fbuckets[k].v = bits_get(b, 64);
		else
			xor_get(b, &d->fbuckets[k]);
	}
}

static int
alloc_buckets(struct decoder *d, bool floats)
{
	size_t n = (size_t)d->l.pos.n + d->l.neg.n;

	/* an empty bucket takes a bit at least */
	if (n > d->b.n_bits - d->b.at)
		return -1;
	if (floats) {
		d->fbuckets = arena_zalloc(d->a, n * sizeof(*d->fbuckets));
		return d->fbuckets == NULL ? -2 : 0;
	}
	d->buckets = arena_zalloc(d->a, n * sizeof(int64_t));
	d->d_buckets = arena_zalloc(d->a, n * sizeof(int64_t));
	return d->buckets == NULL || d->d_buckets == NULL ? -2 : 0;
}

static void
fill_hist(const struct decoder *d, struct fhist *h, bool floats)
{
	if (!floats) {
		h->count = (double)d->count;
		h->zero_count = (double)d->zero;
		sum_buckets(d->buckets, h->pos.counts, h->pos.n);
		sum_buckets(d->buckets + h->pos.n, h->neg.counts, h->neg.n);
		return;
	}
	h->count = double_from_bits(d->fcount.v);
	h->zero_count = double_from_bits(d->fzero.v);
	for (uint32_t k = 0; k < h->pos.n; k++)
		h->pos.counts[k] = double_from_bits(d->fbuckets[k].v);
	for (uint32_t k = 0; k < h->neg.n; k++)
		h->neg.counts[k] =
		    double_from_bits(d->fbuckets[h->pos.n + k].v);
}

int
chunk_hist_decode(const uint8_t *data, size_t len_bytes, unsigned encoding,
    size_t n_samples, struct arena *a, int64_t *t_ms, int64_t *st_ms,
    struct fhist **h)
{
	struct decoder d = { .a = a };
	bool floats = encoding == 3 || encoding == 6, stale;
	bool has_st = encoding >= 5;
	struct st_state st = { .st = 0 };
	int rc;

	if (n_samples == 0)
		return 0;
	if (len_bytes < 3)
		return -1;
	unsigned flags = data[has_st ? 0 : 2];
	if (has_st) {
		st.first_known = data[2] & 0x80;
		st.change_on = data[2] & 0x7f;
	}
	d.b = (struct bits){ data + 3, (len_bytes - 3) * 8, 0, false };
	rc = get_layout(&d.b, a, &d.l);
	if (rc == 0)
		rc = alloc_buckets(&d, floats);
	if (rc != 0)
		return rc;
	for (size_t i = 0; i < n_samples; i++) {
		uint64_t v = (uint64_t)varbit_int(&d.b);
		int64_t prev_t = d.t, start = 0;

		if (i == 0)
			d.t = (int64_t)v;
		else {
			d.dt = (int64_t)((uint64_t)d.dt + v);
			d.t = (int64_t)((uint64_t)d.t + (uint64_t)d.dt);
		}
		if (floats)
			get_float_sample(&d, i == 0, &stale);
		else
			get_int_sample(&d, i == 0, &stale);
		if (has_st)
			start = st_get(&d.b, &st, i, d.t, prev_t);
		if (d.b.failed)
			return -1;
		if (st_ms != NULL)
			st_ms[i] = start;
		h[i] = make_hist(&d, i, flags);
		if (h[i] == NULL)
			return -2;
		t_ms[i] = d.t;
		if (stale)
			continue;
		fill_hist(&d, h[i], floats);
		if (d.l.schema > FHIST_SCHEMA_MAX)
			fhist_reduce_resolution(h[i], FHIST_SCHEMA_MAX);
	}
	return 0;
}

/* --- writing --- */

static void
put_spans(struct bitw *w, const struct hside *s)
{
	put_varbit_uint(w, s->n_spans);
	for (uint32_t i = 0; i < s->n_spans; i++) {
		put_varbit_uint(w, s->spans[i].length);
		put_varbit_int(w, s->spans[i].offset);
	}
}

static void
put_layout(struct bitw *w, const struct fhist *h)
{
	int exp;
	double f = frexp(h->zero_threshold, &exp);

	if (h->zero_threshold == 0)
		put_bits(w, 0, 8);
	else if (f != 0.5 || exp < -242 || exp > 11) {
		put_bits(w, 255, 8);
		put_bits(w, double_bits(h->zero_threshold), 64);
	} else
		put_bits(w, (uint64_t)(exp + 243), 8);
	put_varbit_int(w, h->schema);
	put_spans(w, &h->pos);
	put_spans(w, &h->neg);
	if (!fhist_is_custom(h))
		return;
	put_varbit_uint(w, h->n_custom);
	for (uint32_t i = 0; i < h->n_custom; i++) {
		double v = h->custom[i], t = v * 1000;

		if (t < 0 || t > 33554430 || round(t) / 1000 != v) {
			put_bits(w, 0, 1);
			put_bits(w, double_bits(v), 64);
		} else
			put_varbit_uint(w, (uint64_t)round(t) + 1);
	}
}

/* Windows of one side's buckets live in a scratch array of the caller. */
static void
put_side(struct bitw *w, const struct hside *s, struct xorval *x, bool first)
{
	for (uint32_t k = 0; k < s->n; k++) {
		if (first) {
			put_bits(w, double_bits(s->counts[k]), 64);
			x[k] = (struct xorval){ double_bits(s->counts[k]),
			    0xff, 0 };
		} else
			put_xor(w, &x[k], s->counts[k]);
	}
}

void
chunk_fhist_encode(const int64_t *t_ms, const int64_t *st_ms,
    const struct fhist *const *h, size_t n, unsigned flags, struct buf *out)
{
	struct st_state st = { .st = 0 };
	size_t start = out->n;
	struct bitw w = { out, 0 };
	struct xorval count = { 0, 0xff, 0 }, zero = count, sum = count;
	struct xorval *x;
	struct arena a;
	int64_t dt = 0;

	arena_init(&a, 0);
	x = arena_array(&a, (size_t)h[0]->pos.n + h[0]->neg.n, sizeof(*x));
	if (x == NULL) {
		out->failed = true;
		return;
	}
	if (st_ms != NULL) {
		buf_add_be16(out, (uint16_t)(n | flags << 8));
		buf_add_byte(out, 0);
	} else {
		buf_add_be16(out, (uint16_t)n);
		buf_add_byte(out, (uint8_t)flags);
	}
	put_layout(&w, h[0]);
	for (size_t i = 0; i < n && !buf_failed(out); i++) {
		bool first = i == 0, stale = is_stale_nan(h[i]->sum);

		if (first) {
			put_varbit_int(&w, t_ms[0]);
			put_bits(&w, double_bits(h[0]->count), 64);
			put_bits(&w, double_bits(h[0]->zero_count), 64);
			put_bits(&w, double_bits(h[0]->sum), 64);
			count.v = double_bits(h[0]->count);
			zero.v = double_bits(h[0]->zero_count);
			sum.v = double_bits(h[0]->sum);
		} else {
			int64_t d = t_ms[i] - t_ms[i - 1];

			put_varbit_int(&w, d - dt);
			dt = d;
			put_xor(&w, &count, stale ? 0 : h[i]->count);
			put_xor(&w, &zero, stale ? 0 : h[i]->zero_count);
			put_xor(&w, &sum, h[i]->sum);
		}
		if (!stale || first) {
			put_side(&w, &h[i]->pos, x, first);
			put_side(&w, &h[i]->neg, x + h[0]->pos.n, first);
		}
		if (st_ms != NULL && !buf_failed(out))
			st_put(&w, &st, i, t_ms[i], first ? 0 : t_ms[i - 1],
			    st_ms[i], start + 2);
	}
	arena_clear(&a);
}
