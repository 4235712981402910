/* SPDX-License-Identifier: ISC */

/*
 * The hot range functions over a whole series of floats: every step costs
 * the same however long its window is.
 *
 * rate, increase: the positions of counter resets are found once; a window
 * without one needs its two ends only. Sums: when all values are whole
 * numbers whose running sum stays below 2^53, every partial sum is exact, so
 * differences of prefix sums are what summation gives. Maximum and minimum:
 * a queue of candidates, best first.
 *
 * Whatever does not fit the assumptions goes window by window.
 */

#include "common/promql/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/select.h"

#if defined(__GNUC__) && !defined(__clang__) && !defined(BRAZIER_SANITIZED)
#define HOT_CLONES __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define HOT_CLONES
#endif

/* Moves lo and hi to the window (end - range, end]. */
struct window {
	const int64_t	*t;
	size_t		 n, lo, hi;
	int64_t		 start, end;
	uint64_t	 most;
	int64_t		 first_ms, step_ms;	/* end of the windows */
	int64_t		 range_ms;
	size_t		 hi_by, lo_by;		/* last moves: the next guess */
	uint64_t	 total, read;
	bool		 per_step;
};

static struct window
window_start(const struct rcall *c, const struct samples *s)
{
	struct window w = { .t = s->t, .n = s->n,
	    .first_ms = select_ref_ms(c->ev, c->mod, 0),
	    .step_ms = c->mod->at == PROMQL_AT_TIME ? 0 : c->ev->step_ms,
	    .range_ms = c->range_ms,
	    .per_step = c->q->total_per_step != NULL };

	return w;
}

/* First index from i on with t > x; by is how far the last call moved. */
static inline __attribute__((always_inline)) size_t
advance(const int64_t *t, size_t i, size_t n, int64_t x, size_t *by)
{
	size_t k = i + *by;

	if (k < n && t[k] > x && (k == i || t[k - 1] <= x))
		return k;
	k = i;
	while (k < n && t[k] <= x)
		k++;
	*by = k - i;
	return k;
}

static inline __attribute__((always_inline)) bool
window_move(struct rcall *c, struct window *w, uint32_t step)
{
	w->end = w->first_ms + (int64_t)step * w->step_ms;
	w->start = w->end - w->range_ms;
	size_t old = w->hi;
	w->hi = advance(w->t, w->hi, w->n, w->end, &w->hi_by);
	w->lo = advance(w->t, w->lo, w->hi, w->start, &w->lo_by);
	size_t n = w->hi - w->lo;
	if (n == 0)
		return false;
	if (n > w->most)
		w->most = n;
	size_t from = old > w->lo ? old : w->lo;
	w->total += n;
	w->read += w->hi - from;
	if (w->per_step)
		q_stat_step(c->q, c->ev, step, n, w->hi - from);
	return true;
}

static int
window_finish(struct rcall *c, const struct window *w)
{
	uint64_t n = c->q->cur_samples + w->most;

	if (!w->per_step)
		q_stat_step(c->q, c->ev, 0, w->total, w->read);
	if (n > c->q->peak_samples)
		c->q->peak_samples = n;
	return n > c->q->max_samples ? q_too_many(c->q) : 0;
}

/* --- rate --- */

#define LANES	4
typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t mask __attribute__((vector_size(LANES * sizeof(int64_t))));

/* Steps at once: stores must be long done when their lanes are loaded. */
#define BLOCK	64

/* What extrapolation needs of some steps, a column each. */
struct rate_cols {
	double	d[BLOCK];	/* increase between the samples */
	double	before[BLOCK];	/* ms from the window's start to the first */
	double	after[BLOCK];	/* ms from the last to the window's end */
	double	span[BLOCK];	/* ms between first and last */
	double	gaps[BLOCK];
	double	first[BLOCK];	/* value */
	double	out[BLOCK];
	uint32_t step[BLOCK];
	size_t	n;
};

/* Where m is set a, else b. */
#define PICK(m, a, b) \
	((lanes)(((m) & (mask)(a)) | (~(m) & (mask)(b))))

/*
 * The same operations in the same order as range_rate, so the same bits. No
 * product is followed by a sum here that could be fused.
 */
static inline __attribute__((always_inline)) void
extrapolate(struct rate_cols *c, size_t i, bool counter, double range_s)
{
	lanes d, sampled, gaps, to_start, to_end;
	lanes zero = { 0, 0, 0, 0 }, ms = zero + 1000;

	memcpy(&d, c->d + i, sizeof(d));
	memcpy(&sampled, c->span + i, sizeof(d));
	memcpy(&gaps, c->gaps + i, sizeof(d));
	memcpy(&to_start, c->before + i, sizeof(d));
	memcpy(&to_end, c->after + i, sizeof(d));
	sampled /= ms;
	to_start /= ms;
	to_end /= ms;
	lanes gap = sampled / gaps, threshold = gap * 1.1, half = gap / 2;
	to_start = PICK(to_start >= threshold, half, to_start);
	if (counter) {
		lanes v, to_zero;

		memcpy(&v, c->first + i, sizeof(v));
		to_zero = sampled * (v / d);
		to_start = PICK((d > zero) & (v >= zero) &
		    (to_zero < to_start), to_zero, to_start);
	}
	to_end = PICK(to_end >= threshold, half, to_end);
	lanes factor = (sampled + to_start + to_end) / sampled;
	factor = PICK(sampled != zero, factor, zero + 1);
	if (range_s != 0)
		factor /= range_s;
	d *= factor;
	memcpy(c->out + i, &d, sizeof(d));
}

static inline __attribute__((always_inline)) void
flush(struct rcall *c, struct rate_cols *cols, bool counter, double range_s)
{
	for (size_t i = 0; i < cols->n; i += LANES)
		extrapolate(cols, i, counter, range_s);
	double *v = c->buf.s.v;
	uint8_t *kind = c->buf.s.kind;
	for (size_t i = 0; i < cols->n; i++) {
		v[cols->step[i]] = cols->out[i];
		kind[cols->step[i]] = K_FLOAT;
	}
	c->buf.s.n_floats += (uint32_t)cols->n;
	cols->n = 0;
}

HOT_CLONES
static void
rate_steps(struct rcall *c, struct window *window, const double *v,
    const uint32_t *resets, size_t n_resets, bool counter, double range_s)
{
	struct rate_cols cols = { .n = 0 };
	struct window w = *window;	/* in registers */
	uint32_t n_steps = c->ev->n_steps;
	size_t r = 0;		/* first reset inside of the window */

	for (uint32_t step = 0; step < n_steps; step++) {
		if (!window_move(c, &w, step) || w.hi - w.lo < 2)
			continue;
		double d = v[w.hi - 1] - v[w.lo];
		while (r < n_resets && resets[r] <= w.lo)
			r++;
		for (size_t k = r; k < n_resets && resets[k] < w.hi; k++)
			d += v[resets[k] - 1];
		int64_t first = w.t[w.lo], last = w.t[w.hi - 1];
		size_t i = cols.n++;
		cols.d[i] = d;
		cols.before[i] = (double)(first - w.start);
		cols.after[i] = (double)(w.end - last);
		cols.span[i] = (double)(last - first);
		cols.gaps[i] = (double)(w.hi - w.lo - 1);
		cols.first[i] = v[w.lo];
		cols.step[i] = step;
		if (cols.n == BLOCK)
			flush(c, &cols, counter, range_s);
	}
	flush(c, &cols, counter, range_s);
	*window = w;
}

static int
kernel_rate(struct rcall *c, const struct samples *s)
{
	bool counter = c->id != PROMQL_FN_DELTA;
	bool rate = c->id == PROMQL_FN_RATE;
	struct window w = window_start(c, s);
	size_t n_resets = 0;

	/* resets[k]: index of the sample behind the k-th reset */
	if (range_scratch(c, s->n + 1) == -1)
		return -1;
	uint32_t *resets = (uint32_t *)(void *)c->scratch;
	if (counter)
		for (size_t i = 1; i < s->n; i++)
			if (s->v[i] < s->v[i - 1])
				resets[n_resets++] = (uint32_t)i;
	rate_steps(c, &w, s->v, resets, n_resets, counter,
	    rate ? c->range_s : 0);
	return window_finish(c, &w) == -1 ? -1 : 1;
}

/* --- sums --- */

/* All whole, and no partial sum of absolute values reaches 2^53. */
static bool
sums_are_exact(const double *v, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++) {
		if (!(v[i] > -0x1p53 && v[i] < 0x1p53) ||
		    v[i] != (double)(int64_t)v[i] ||
		    (v[i] == 0 && signbit(v[i])))
			return false;
		sum += fabs(v[i]);
	}
	return sum < 0x1p53;
}

static int
kernel_sum(struct rcall *c, const struct samples *s)
{
	struct window w = window_start(c, s);
	bool avg = c->id == PROMQL_FN_AVG_OVER_TIME;

	if (!sums_are_exact(s->v, s->n))
		return 0;
	if (range_scratch(c, s->n + 1) == -1)
		return -1;
	double *prefix = c->scratch;
	prefix[0] = 0;
	for (size_t i = 0; i < s->n; i++)
		prefix[i + 1] = prefix[i] + s->v[i];
	for (uint32_t step = 0; step < c->ev->n_steps; step++) {
		if (!window_move(c, &w, step))
			continue;
		double sum = prefix[w.hi] - prefix[w.lo];
		pbuf_float(&c->buf, step, avg ?
		    sum / (double)(w.hi - w.lo) : sum);
	}
	return window_finish(c, &w) == -1 ? -1 : 1;
}

/* The queue holds indices, best first, worse and later behind. */
static int
kernel_extreme(struct rcall *c, const struct samples *s)
{
	struct window w = window_start(c, s);
	bool max = c->id == PROMQL_FN_MAX_OVER_TIME;
	size_t head = 0, tail = 0, next = 0;
	const double *v = s->v;

	if (range_scratch(c, s->n + 1) == -1)
		return -1;
	uint32_t *queue = (uint32_t *)(void *)c->scratch;
	for (uint32_t step = 0; step < c->ev->n_steps; step++) {
		if (!window_move(c, &w, step))
			continue;
		if (next < w.lo)
			next = w.lo;
		for (; next < w.hi; next++) {
			double x = v[next];

			if (isnan(x))
				continue;
			while (tail > head && (max ? v[queue[tail - 1]] < x :
			    v[queue[tail - 1]] > x))
				tail--;
			queue[tail++] = (uint32_t)next;
		}
		while (head < tail && queue[head] < w.lo)
			head++;
		if (head == tail)
			head = tail = 0;
		pbuf_float(&c->buf, step, head == tail ? v[w.lo] :
		    v[queue[head]]);
	}
	return window_finish(c, &w) == -1 ? -1 : 1;
}

static int
kernel_simple(struct rcall *c, const struct samples *s)
{
	struct window w = window_start(c, s);

	for (uint32_t step = 0; step < c->ev->n_steps; step++) {
		double x;

		if (!window_move(c, &w, step))
			continue;
		switch (c->id) {
		case PROMQL_FN_COUNT_OVER_TIME:
			x = (double)(w.hi - w.lo);
			break;
		case PROMQL_FN_LAST_OVER_TIME:
			x = s->v[w.hi - 1];
			break;
		case PROMQL_FN_FIRST_OVER_TIME:
			x = s->v[w.lo];
			break;
		default:
			x = 1;
		}
		pbuf_float(&c->buf, step, x);
	}
	return window_finish(c, &w) == -1 ? -1 : 1;
}

int
range_kernel(struct rcall *c, const struct samples *s)
{
	if (s->nh != 0 || s->want_st || c->anchored || c->smoothed ||
	    s->n == 0 || s->n >= UINT32_MAX)
		return 0;
	switch (c->id) {
	case PROMQL_FN_RATE:
	case PROMQL_FN_INCREASE:
	case PROMQL_FN_DELTA:
		return kernel_rate(c, s);
	case PROMQL_FN_SUM_OVER_TIME:
	case PROMQL_FN_AVG_OVER_TIME:
		return kernel_sum(c, s);
	case PROMQL_FN_MAX_OVER_TIME:
	case PROMQL_FN_MIN_OVER_TIME:
		return kernel_extreme(c, s);
	case PROMQL_FN_COUNT_OVER_TIME:
	case PROMQL_FN_LAST_OVER_TIME:
	case PROMQL_FN_FIRST_OVER_TIME:
	case PROMQL_FN_PRESENT_OVER_TIME:
	case PROMQL_FN_ABSENT_OVER_TIME:
		return kernel_simple(c, s);
	default:
		return 0;
	}
}
