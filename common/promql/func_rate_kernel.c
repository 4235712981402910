/* SPDX-License-Identifier: ISC */

/*
 * rate, increase and delta over a whole series of floats: every step costs
 * the same however long its window is.
 *
 * What follows from the times alone (how far is extrapolated, the factor
 * that makes) is columns, made once for all series with the same times. The
 * positions of counter resets are found once a series; a window without one
 * needs its two ends only. That a counter is not extrapolated below zero is
 * checked by a product; the divisions of the exact answer are for the few
 * windows where it matters.
 */

#include "common/promql/range.h"

#include <stdlib.h>

#include "common/promql/lanes.h"

/* Steps at once: stores must be long done when their lanes are loaded. */
#define BLOCK	64

/* A column each, m rows: the steps whose windows hold two samples. */
struct rate_cols {
	uint32_t	 m, cap;
	bool		 dense;		/* row i is step step[0] + i */
	uint32_t	*step, *first, *last;	/* last: inclusive */
	double		*to_start;	/* s to extrapolate, zero not seen */
	double		*to_end;
	double		*sampled;	/* s between first and last */
	double		*factor;
	void		*mem;
	size_t		 bytes;
};

void
rate_cols_free(struct rcall *c)
{
	struct rate_cols *x = c->rate_cols;

	if (x == NULL)
		return;
	arena_release(c->q->mem, x->bytes);
	free(x->mem);
	free(x);
	c->rate_cols = NULL;
}

static struct rate_cols *
rate_cols_new(struct rcall *c)
{
	struct rate_cols *x = calloc(1, sizeof(*x));
	size_t cap = ((size_t)c->ev->n_steps + BLOCK - 1) / BLOCK * BLOCK;

	if (x == NULL) {
		(void)q_nomem(c->q);
		return NULL;
	}
	x->bytes = cap * (4 * sizeof(double) + 3 * sizeof(uint32_t));
	x->mem = calloc(1, x->bytes);
	if (x->mem == NULL || !arena_account(c->q->mem, x->bytes)) {
		free(x->mem);
		free(x);
		(void)q_nomem(c->q);
		return NULL;
	}
	x->to_start = x->mem;
	x->to_end = x->to_start + cap;
	x->sampled = x->to_end + cap;
	x->factor = x->sampled + cap;
	x->step = (uint32_t *)(void *)(x->factor + cap);
	x->first = x->step + cap;
	x->last = x->first + cap;
	return c->rate_cols = x;
}

/*
 * The same operations in the same order as range_rate, so the same bits. No
 * product is followed by a sum here that could be fused.
 */
LANES_INLINE void
time_lanes(struct rate_cols *x, size_t i, const double *gaps_of,
    double range_s)
{
	lanes gaps, to_start, to_end, sampled;
	lanes zero = { 0, 0, 0, 0 }, ms = zero + 1000;

	LANES_LOAD(gaps, gaps_of);
	LANES_LOAD(to_start, x->to_start + i);
	LANES_LOAD(to_end, x->to_end + i);
	LANES_LOAD(sampled, x->sampled + i);
	sampled /= ms;
	to_start /= ms;
	to_end /= ms;
	lanes gap = sampled / gaps, threshold = gap * 1.1, half = gap / 2;
	to_start = LANES_PICK(to_start >= threshold, half, to_start);
	to_end = LANES_PICK(to_end >= threshold, half, to_end);
	lanes factor = (sampled + to_start + to_end) / sampled;
	factor = LANES_PICK(sampled != zero, factor, zero + 1);
	if (range_s != 0)
		factor /= range_s;
	LANES_STORE(x->to_start + i, to_start);
	LANES_STORE(x->to_end + i, to_end);
	LANES_STORE(x->sampled + i, sampled);
	LANES_STORE(x->factor + i, factor);
}

HOT_CLONES
static void
fill_cols(struct rate_cols *x, const struct wgrid *g, double range_s)
{
	const int64_t *t = g->t;
	double gaps[BLOCK];
	uint32_t m = 0, done = 0;

	for (uint32_t step = 0; step < g->n_steps; step++) {
		uint32_t lo = g->lo[step], hi = g->hi[step];

		if (hi - lo < 2)
			continue;
		int64_t end = wgrid_end_ms(g, step);
		int64_t first = t[lo], last = t[hi - 1];
		gaps[m - done] = (double)(hi - lo - 1);
		x->step[m] = step;
		x->first[m] = lo;
		x->last[m] = hi - 1;
		x->to_start[m] = (double)(first - (end - g->range_ms));
		x->to_end[m] = (double)(end - last);
		x->sampled[m++] = (double)(last - first);
		if (m - done < BLOCK)
			continue;
		for (; done < m; done += LANES)
			time_lanes(x, done, gaps + done % BLOCK, range_s);
	}
	for (uint32_t k = m - done; k % LANES != 0; k++)
		gaps[k] = 1;
	for (; done < m; done += LANES)
		time_lanes(x, done, gaps + done % BLOCK, range_s);
	x->m = m;
	x->dense = m == 0 || x->step[m - 1] - x->step[0] == m - 1;
}

/*
 * Does the counter's way down to zero surely lie beyond to_start in all
 * lanes? first / d is not looked for but compared with a product whose
 * error is far below the margin; what could overflow or be denormal is not
 * sure.
 */
LANES_INLINE bool
zero_is_far(const struct rate_cols *x, size_t i, const double *d_of,
    const double *first_of)
{
	lanes d, first, sampled, to_start, zero = { 0, 0, 0, 0 };

	LANES_LOAD(d, d_of);
	LANES_LOAD(first, first_of);
	LANES_LOAD(sampled, x->sampled + i);
	LANES_LOAD(to_start, x->to_start + i);
	lanes have = sampled * first, need = to_start * d * (1 + 1e-9);
	mask sure = ((have >= need) & (need >= zero + 1e-250) &
	    (have <= zero + 1e250)) | (d <= zero) | (first < zero);
	int64_t all = sure[0] & sure[1] & sure[2] & sure[3];

	return all != 0;
}

/* Over d. */
LANES_INLINE void
exact(const struct rate_cols *x, size_t i, double *d_of,
    const double *first_of, double range_s)
{
	lanes d, first, sampled, to_start, to_end, zero = { 0, 0, 0, 0 };

	LANES_LOAD(d, d_of);
	LANES_LOAD(first, first_of);
	LANES_LOAD(sampled, x->sampled + i);
	LANES_LOAD(to_start, x->to_start + i);
	LANES_LOAD(to_end, x->to_end + i);
	lanes to_zero = sampled * (first / d);
	to_start = LANES_PICK((d > zero) & (first >= zero) &
	    (to_zero < to_start), to_zero, to_start);
	lanes factor = (sampled + to_start + to_end) / sampled;
	factor = LANES_PICK(sampled != zero, factor, zero + 1);
	if (range_s != 0)
		factor /= range_s;
	d *= factor;
	LANES_STORE(d_of, d);
}

/* Rows i … i + n - 1 of d[] and first[]; results over d. */
LANES_INLINE void
value_lanes(const struct rate_cols *x, size_t i, size_t n, double *d_of,
    const double *first_of, bool counter, double range_s)
{
	for (size_t k = 0; k < n; k += LANES) {
		lanes d, factor;

		if (counter && __builtin_expect(!zero_is_far(x, i + k,
		    d_of + k, first_of + k), 0)) {
			exact(x, i + k, d_of + k, first_of + k, range_s);
			continue;
		}
		LANES_LOAD(d, d_of + k);
		LANES_LOAD(factor, x->factor + i + k);
		d *= factor;
		LANES_STORE(d_of + k, d);
	}
}

HOT_CLONES
static void
rate_rows(const struct rate_cols *x, struct pseries *out, const double *v,
    const uint32_t *resets, size_t n_resets, bool counter, double range_s)
{
	double d[BLOCK], first[BLOCK];
	size_t r = 0;		/* first reset inside of the window */
	uint32_t at = x->m == 0 ? 0 : x->step[0];

	for (uint32_t i = 0; i < x->m; i += BLOCK) {
		uint32_t n = x->m - i < BLOCK ? x->m - i : BLOCK;
		const uint32_t *lo = x->first + i, *hi = x->last + i;

		for (uint32_t k = 0; k < n; k++) {
			first[k] = v[lo[k]];
			d[k] = v[hi[k]] - first[k];
		}
		for (uint32_t k = 0; r < n_resets && k < n; k++) {
			while (r < n_resets && resets[r] <= lo[k])
				r++;
			for (size_t j = r; j < n_resets && resets[j] <= hi[k];
			    j++)
				d[k] += v[resets[j] - 1];
		}
		for (uint32_t k = n; k % LANES != 0; k++)
			d[k] = first[k] = 0;
		value_lanes(x, i, n, d, first, counter, range_s);
		if (x->dense)
			memcpy(out->v + at + i, d, n * sizeof(*d));
		else
			for (uint32_t k = 0; k < n; k++) {
				out->v[x->step[i + k]] = d[k];
				out->kind[x->step[i + k]] = K_FLOAT;
			}
	}
	if (x->dense)
		memset(out->kind + at, K_FLOAT, x->m);
	out->n_floats = x->m;
}

/* Indices of values below the one before; how many. */
HOT_CLONES
static size_t
find_falls(const double *v, size_t n, uint32_t *out)
{
	size_t i = 1, found = 0;

	for (; i + 2 * LANES <= n; i += 2 * LANES) {
		lanes a, b, c, e;

		LANES_LOAD(a, v + i - 1);
		LANES_LOAD(b, v + i);
		LANES_LOAD(c, v + i - 1 + LANES);
		LANES_LOAD(e, v + i + LANES);
		mask m = (b < a) | (e < c);
		if ((m[0] | m[1] | m[2] | m[3]) == 0)
			continue;
		for (size_t k = i; k < i + 2 * LANES; k++)
			if (v[k] < v[k - 1])
				out[found++] = (uint32_t)k;
	}
	for (; i < n; i++)
		if (v[i] < v[i - 1])
			out[found++] = (uint32_t)i;
	return found;
}

int
range_kernel_rate(struct rcall *c, const struct samples *s)
{
	bool counter = c->id != PROMQL_FN_DELTA;
	double range_s = c->id == PROMQL_FN_RATE ? c->range_s : 0;
	int same = wgrid_windows(&c->grid, s->t, s->n);
	uint32_t *resets = NULL;
	size_t n_resets = 0;

	if (same == -1 || (c->rate_cols == NULL && rate_cols_new(c) == NULL))
		return -1;
	if (same == 0)
		fill_cols(c->rate_cols, &c->grid, range_s);
	/* resets[k]: index of the sample behind the k-th reset */
	if (counter) {
		if (range_scratch(c, s->n / 2 + 1) == -1)
			return -1;
		resets = (uint32_t *)(void *)c->scratch;
		n_resets = find_falls(s->v, s->n, resets);
	}
	rate_rows(c->rate_cols, &c->buf.s, s->v, resets, n_resets, counter,
	    range_s);
	return range_count_windows(c) == -1 ? -1 : 1;
}
