/* SPDX-License-Identifier: ISC */

/*
 * Decoding of a series' chunks into arrays. The common case, XOR chunks that
 * follow each other, decodes straight into the arrays; overlapping chunks
 * are decoded one behind the other and then merged by time, the earlier
 * chunk winning where two have a sample.
 */

#include "common/promql/samples.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/base/vec.h"
#include "common/promql/lanes.h"
#include "common/tsdb/chunk_hist.h"
#include "common/tsdb/chunk_xor.h"
#include "common/tsdb/chunk_xor2.h"

void
samples_init(struct samples *s, struct query *q)
{
	*s = (struct samples){ .q = q };
	arena_init(&s->hmem, 0);
}

/* Tells the byte account what the arrays and histograms take by now. */
static int
account(struct samples *s)
{
	size_t bytes = (s->cap + s->vcap + s->stcap + s->htcap + s->hcap +
	    s->hstcap) * 8 + s->hmem.used_bytes;

	if (bytes <= s->accounted)
		return 0;
	if (!arena_account(s->q->mem, bytes - s->accounted))
		return q_nomem(s->q);
	s->accounted = bytes;
	return 0;
}

void
samples_clear(struct samples *s)
{
	if (s->accounted != 0)
		arena_release(s->q->mem, s->accounted);
	free(s->t);
	free(s->v);
	free(s->st);
	free(s->ht);
	free(s->h);
	free(s->hst);
	arena_clear(&s->hmem);
	samples_init(s, s->q);
}

void
samples_reset(struct samples *s)
{
	if (s->nh != 0)
		arena_reset(&s->hmem);
	s->n = s->nh = 0;
}

static int
need(struct samples *s, size_t n)
{
	if (n <= s->cap && (!s->want_st || n <= s->stcap))
		return 0;
	if (vec_grow(&s->t, &s->cap, n, sizeof(*s->t)) == -1 ||
	    vec_grow(&s->v, &s->vcap, n, sizeof(*s->v)) == -1 ||
	    (s->want_st &&
	    vec_grow(&s->st, &s->stcap, n, sizeof(*s->st)) == -1))
		return q_nomem(s->q);
	return account(s);
}

static int
need_h(struct samples *s, size_t n)
{
	if (n <= s->htcap && (!s->want_st || n <= s->hstcap))
		return 0;
	if (vec_grow(&s->ht, &s->htcap, n, sizeof(*s->ht)) == -1 ||
	    vec_grow(&s->h, &s->hcap, n, sizeof(*s->h)) == -1 ||
	    (s->want_st &&
	    vec_grow(&s->hst, &s->hstcap, n, sizeof(*s->hst)) == -1))
		return q_nomem(s->q);
	return 0;
}

int
samples_add_float(struct samples *s, int64_t t_ms, double v)
{
	if (need(s, s->n + 1) == -1)
		return -1;
	if (s->want_st)
		s->st[s->n] = 0;
	s->t[s->n] = t_ms;
	s->v[s->n++] = v;
	return 0;
}

int
samples_add_hist(struct samples *s, int64_t t_ms, struct fhist *h)
{
	if (need_h(s, s->nh + 1) == -1)
		return -1;
	if (s->want_st)
		s->hst[s->nh] = 0;
	s->ht[s->nh] = t_ms;
	s->h[s->nh++] = h;
	return 0;
}

static int
corrupt(struct samples *s, const struct source_series *series)
{
	return err_set(s->q->err, ERR_INTERNAL,
	    "corrupt chunk in series %llu", (unsigned long long)series->ref);
}

/*
 * Samples are spread evenly most of the time: how many of the chunk's are
 * not after maxt, with a few to be sure.
 */
static size_t
samples_until(const struct chunk_span *c, int64_t maxt_ms)
{
	double all = (double)c->maxt_ms - (double)c->mint_ms;
	double want = (double)maxt_ms - (double)c->mint_ms;

	if (maxt_ms >= c->maxt_ms || !(all > 0))
		return c->n_samples;
	double n = (double)c->n_samples * (want / all) + 3;
	return n < c->n_samples ? (size_t)n : c->n_samples;
}

static int
read_floats(struct samples *s, const struct source_series *series,
    const struct chunk_span *c, int64_t maxt_ms)
{
	size_t n = samples_until(c, maxt_ms);

	if (need(s, s->n + c->n_samples) == -1)
		return -1;
	if (n < c->n_samples) {
		if (chunk_xor_decode(c->data, c->len_bytes, n, s->t + s->n,
		    s->v + s->n) == -1)
			return corrupt(s, series);
		if (n == 0 || s->t[s->n + n - 1] <= maxt_ms)
			n = c->n_samples;
		else
			goto done;
	}
	if (chunk_xor_decode(c->data, c->len_bytes, n, s->t + s->n,
	    s->v + s->n) == -1)
		return corrupt(s, series);
done:
	if (s->want_st)
		memset(s->st + s->n, 0, n * sizeof(*s->st));
	s->n += n;
	return 0;
}

static int
read_floats_st(struct samples *s, const struct source_series *series,
    const struct chunk_span *c)
{
	size_t n = c->n_samples;

	if (need(s, s->n + n) == -1)
		return -1;
	if (chunk_xor2_decode(c->data, c->len_bytes, n, s->t + s->n,
	    s->want_st ? s->st + s->n : NULL, s->v + s->n) == -1)
		return corrupt(s, series);
	s->n += n;
	return 0;
}

static int
read_hists(struct samples *s, const struct source_series *series,
    const struct chunk_span *c)
{
	size_t n = c->n_samples;

	if (need_h(s, s->nh + n) == -1)
		return -1;
	int rc = chunk_hist_decode(c->data, c->len_bytes, c->encoding, n,
	    &s->hmem, s->ht + s->nh, s->want_st ? s->hst + s->nh : NULL,
	    s->h + s->nh);
	if (rc == -2)
		return q_nomem(s->q);
	if (rc == -1)
		return corrupt(s, series);
	s->nh += n;
	return account(s);
}

/* --- overlapping chunks --- */

struct merge_item {
	int64_t		t;
	uint32_t	order;	/* as decoded */
	uint32_t	i;
};

static int
merge_cmp(const void *a, const void *b)
{
	const struct merge_item *x = a, *y = b;

	if (x->t != y->t)
		return x->t < y->t ? -1 : 1;
	return (x->order > y->order) - (x->order < y->order);
}

static bool
ascending(const int64_t *t, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (t[i] <= t[i - 1])
			return false;
	return true;
}

static int
sort_samples(struct samples *s)
{
	size_t most = s->n > s->nh ? s->n : s->nh, k = 0;
	struct merge_item *m;

	if (ascending(s->t, s->n) && ascending(s->ht, s->nh))
		return 0;
	m = malloc(most * sizeof(*m));
	int64_t *t = malloc(most * sizeof(*t)), *st = malloc(most * sizeof(*t));
	void *v = malloc(most * 8);
	if (m == NULL || t == NULL || st == NULL || v == NULL) {
		free(m);
		free(t);
		free(st);
		free(v);
		return q_nomem(s->q);
	}
	for (size_t i = 0; i < s->n; i++)
		m[i] = (struct merge_item){ s->t[i], (uint32_t)i, (uint32_t)i };
	qsort(m, s->n, sizeof(*m), merge_cmp);
	double *dv = v;
	for (size_t i = 0; i < s->n; i++) {
		if (k > 0 && t[k - 1] == m[i].t)
			continue;
		t[k] = m[i].t;
		if (s->want_st)
			st[k] = s->st[m[i].i];
		dv[k++] = s->v[m[i].i];
	}
	memcpy(s->t, t, k * sizeof(*t));
	memcpy(s->v, dv, k * sizeof(*dv));
	if (s->want_st)
		memcpy(s->st, st, k * sizeof(*st));
	s->n = k;
	for (size_t i = 0; i < s->nh; i++)
		m[i] = (struct merge_item){ s->ht[i], (uint32_t)i,
		    (uint32_t)i };
	if (s->nh != 0)
		qsort(m, s->nh, sizeof(*m), merge_cmp);
	struct fhist **hv = v;
	k = 0;
	for (size_t i = 0; i < s->nh; i++) {
		if (k > 0 && t[k - 1] == m[i].t)
			continue;
		t[k] = m[i].t;
		if (s->want_st)
			st[k] = s->hst[m[i].i];
		hv[k++] = s->h[m[i].i];
		/* what came from several chunks says nothing about resets */
		if (hv[k - 1]->hint != FHIST_GAUGE)
			hv[k - 1]->hint = FHIST_UNKNOWN;
	}
	if (k != 0) {
		memcpy(s->ht, t, k * sizeof(*t));
		memcpy(s->h, hv, k * sizeof(struct fhist *));
		if (s->want_st)
			memcpy(s->hst, st, k * sizeof(*st));
	}
	s->nh = k;
	free(m);
	free(t);
	free(st);
	free(v);
	return 0;
}

/* --- what is left of them --- */

static bool
is_deleted(const struct source_series *series, uint32_t origin, int64_t t)
{
	for (uint32_t i = 0; i < series->n_tombstones; i++)
		if (series->tombstones[i].origin == origin &&
		    t >= series->tombstones[i].mint_ms &&
		    t <= series->tombstones[i].maxt_ms)
			return true;
	return false;
}

/* Cuts [0, *n) of t to [mint, maxt]; returns how many go in front. */
static size_t
cut(const int64_t *t, size_t *n, int64_t mint, int64_t maxt)
{
	size_t lo = 0, end = *n, step = 1;

	while (end > 0 && t[end - 1] > maxt)
		end--;
	/* mostly few are cut, or most of a chunk */
	while (lo < end && t[lo] < mint) {
		if (lo + step < end && t[lo + step] < mint) {
			lo += step;
			step *= 2;
		} else if (step > 1)
			step /= 2;
		else
			lo++;
	}
	*n = end - lo;
	return lo;
}

static void
cut_range(struct samples *s, int64_t mint, int64_t maxt)
{
	size_t lo = cut(s->t, &s->n, mint, maxt);

	if (lo != 0) {
		memmove(s->t, s->t + lo, s->n * sizeof(*s->t));
		memmove(s->v, s->v + lo, s->n * sizeof(*s->v));
		if (s->want_st)
			memmove(s->st, s->st + lo, s->n * sizeof(*s->st));
	}
	if (s->nh == 0)
		return;
	lo = cut(s->ht, &s->nh, mint, maxt);
	if (lo != 0) {
		memmove(s->ht, s->ht + lo, s->nh * sizeof(*s->ht));
		memmove(s->h, s->h + lo, s->nh * sizeof(*s->h));
		if (s->want_st)
			memmove(s->hst, s->hst + lo, s->nh * sizeof(*s->hst));
	}
}

/* Moves what stays of sample i to place k. */
static void
move_float(struct samples *s, size_t k, size_t i)
{
	s->t[k] = s->t[i];
	s->v[k] = s->v[i];
	if (s->want_st)
		s->st[k] = s->st[i];
}

static void
move_hist(struct samples *s, size_t k, size_t i)
{
	s->ht[k] = s->ht[i];
	s->h[k] = s->h[i];
	if (s->want_st)
		s->hst[k] = s->hst[i];
}

/* Takes out what is deleted of the span that began at n and nh. */
static void
cut_deleted(struct samples *s, const struct source_series *series,
    uint32_t origin, size_t n, size_t nh)
{
	for (size_t i = n; i < s->n; i++)
		if (!is_deleted(series, origin, s->t[i]))
			move_float(s, n++, i);
	s->n = n;
	for (size_t i = nh; i < s->nh; i++)
		if (!is_deleted(series, origin, s->ht[i]))
			move_hist(s, nh++, i);
	s->nh = nh;
}

static void
cut_stale(struct samples *s)
{
	size_t k = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!is_stale_nan(s->v[i]))
			move_float(s, k++, i);
	s->n = k;
	k = 0;
	for (size_t i = 0; i < s->nh; i++)
		if (!is_stale_nan(s->h[i]->sum))
			move_hist(s, k++, i);
	s->nh = k;
}

/*
 * Count and sum only. Resets must be found while the buckets are there, so
 * each histogram is told whether it is one.
 */
static void
strip_buckets(struct samples *s)
{
	struct fhist last = { .schema = 0 };
	bool have_last = false;

	for (size_t i = 0; i < s->nh; i++) {
		struct fhist *h = s->h[i], full = *h;

		if (is_stale_nan(h->sum))
			continue;
		if (full.hint == FHIST_UNKNOWN && have_last)
			full.hint = fhist_detect_reset(&full, &last) ?
			    FHIST_RESET : FHIST_NOT_RESET;
		last = full;
		have_last = true;
		*h = (struct fhist){ .hint = full.hint, .schema = full.schema,
		    .count = full.count, .sum = full.sum };
	}
}

HOT_CLONES
static bool
any_stale(const double *v, size_t n)
{
	mask bad = { 0, 0, 0, 0 }, stale = { 0, 0, 0, 0 };
	size_t i = 0;

	stale += (int64_t)STALE_NAN_BITS;
	for (; i + LANES <= n; i += LANES) {
		mask x;

		LANES_LOAD(x, v + i);
		bad |= x == stale;
	}
	for (; i < n; i++)
		if (is_stale_nan(v[i]))
			return true;
	return (bad[0] | bad[1] | bad[2] | bad[3]) != 0;
}

bool
samples_has_stale(const struct samples *s)
{
	return s->nh != 0 || any_stale(s->v, s->n);
}

/* Samples decoded between two checks for cancellation. */
#define CHECK_SAMPLES	65536

int
samples_read(struct samples *s, const struct source_series *series,
    int64_t mint_ms, int64_t maxt_ms, bool drop_stale)
{
	uint64_t work = 0;

	samples_reset(s);
	for (uint32_t i = 0; i < series->n_spans; i++) {
		const struct chunk_span *c = &series->spans[i];
		size_t n = s->n, nh = s->nh;
		int rc;

		if (c->maxt_ms < mint_ms || c->mint_ms > maxt_ms ||
		    c->n_samples == 0)
			continue;
		switch (c->encoding) {
		case CHUNK_ENC_XOR:
			rc = read_floats(s, series, c, maxt_ms);
			break;
		case CHUNK_ENC_XOR2:
			rc = read_floats_st(s, series, c);
			break;
		case CHUNK_ENC_HISTOGRAM:
		case CHUNK_ENC_FLOAT_HISTOGRAM:
		case CHUNK_ENC_HISTOGRAM_ST:
		case CHUNK_ENC_FLOAT_HISTOGRAM_ST:
			rc = read_hists(s, series, c);
			break;
		default:
			rc = err_set(s->q->err, ERR_INTERNAL,
			    "chunk encoding %u is not supported",
			    c->encoding);
		}
		if (rc == -1)
			return -1;
		if (series->n_tombstones != 0)
			cut_deleted(s, series, c->origin, n, nh);
		/* one long series must not keep a cancelled query going */
		work += c->n_samples;
		if (work > CHECK_SAMPLES) {
			work = 0;
			if (q_check(s->q) == -1)
				return -1;
		}
	}
	if (series->overlapping && sort_samples(s) == -1)
		return -1;
	cut_range(s, mint_ms, maxt_ms);
	if (drop_stale && samples_has_stale(s))
		cut_stale(s);
	if (s->stats_only && s->nh != 0)
		strip_buckets(s);
	return 0;
}
