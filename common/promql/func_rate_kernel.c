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

/* Moves lo and hi to the window (end - range, end]. */
struct window {
	const int64_t	*t;
	size_t		 n, lo, hi;
	int64_t		 start, end;
	uint64_t	 most;
};

static inline bool
window_move(struct rcall *c, struct window *w, uint32_t step)
{
	w->end = select_ref_ms(c->ev, c->mod, step);
	w->start = w->end - c->range_ms;
	size_t old = w->hi;
	while (w->hi < w->n && w->t[w->hi] <= w->end)
		w->hi++;
	while (w->lo < w->hi && w->t[w->lo] <= w->start)
		w->lo++;
	size_t n = w->hi - w->lo;
	if (n == 0)
		return false;
	if (n > w->most)
		w->most = n;
	size_t from = old > w->lo ? old : w->lo;
	q_stat_step(c->q, c->ev, step, n, w->hi - from);
	return true;
}

static int
window_finish(struct rcall *c, const struct window *w)
{
	uint64_t n = c->q->cur_samples + w->most;

	if (n > c->q->peak_samples)
		c->q->peak_samples = n;
	return n > c->q->max_samples ? q_too_many(c->q) : 0;
}

static int
kernel_rate(struct rcall *c, const struct samples *s)
{
	bool counter = c->id != PROMQL_FN_DELTA;
	bool rate = c->id == PROMQL_FN_RATE;
	struct window w = { .t = s->t, .n = s->n };
	size_t n_resets = 0, r = 0;	/* r: first reset inside of the window */
	const double *v = s->v;

	/* resets[k]: index of the sample behind the k-th reset */
	if (range_scratch(c, s->n + 1) == -1)
		return -1;
	uint32_t *resets = (uint32_t *)(void *)c->scratch;
	if (counter)
		for (size_t i = 1; i < s->n; i++)
			if (v[i] < v[i - 1])
				resets[n_resets++] = (uint32_t)i;
	for (uint32_t step = 0; step < c->ev->n_steps; step++) {
		if (!window_move(c, &w, step) || w.hi - w.lo < 2)
			continue;
		double d = v[w.hi - 1] - v[w.lo];
		while (r < n_resets && resets[r] <= w.lo)
			r++;
		for (size_t k = r; k < n_resets && resets[k] < w.hi; k++)
			d += v[resets[k] - 1];

		int64_t first = s->t[w.lo], last = s->t[w.hi - 1];
		double to_start = (double)(first - w.start) / 1000;
		double to_end = (double)(w.end - last) / 1000;
		double sampled = (double)(last - first) / 1000;
		double gap = sampled / (double)(w.hi - w.lo - 1);
		double threshold = gap * 1.1;
		if (to_start >= threshold)
			to_start = gap / 2;
		if (counter && d > 0 && v[w.lo] >= 0) {
			double to_zero = sampled * (v[w.lo] / d);

			if (to_zero < to_start)
				to_start = to_zero;
		}
		if (to_end >= threshold)
			to_end = gap / 2;
		double factor = 1;
		if (sampled != 0)
			factor = (sampled + to_start + to_end) / sampled;
		if (rate)
			factor /= c->range_s;
		pbuf_float(&c->buf, step, d * factor);
	}
	return window_finish(c, &w) == -1 ? -1 : 1;
}

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
	struct window w = { .t = s->t, .n = s->n };
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
	struct window w = { .t = s->t, .n = s->n };
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
	struct window w = { .t = s->t, .n = s->n };

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
