/* SPDX-License-Identifier: ISC */

/*
 * The hot *_over_time functions over a whole series of floats; rate and its
 * like are in func_rate_kernel.c.
 *
 * Sums: when all values are whole numbers whose running sum stays below
 * 2^53, every partial sum is exact, so differences of prefix sums are what
 * summation gives. Maximum and minimum: samples that all windows share are
 * reduced first, then a queue of candidates, best first.
 *
 * Whatever does not fit the assumptions goes window by window.
 */

#include "common/promql/range.h"

#include <math.h>
#include <stdlib.h>

#include "common/promql/lanes.h"

int
range_count_windows(struct rcall *c)
{
	const struct wgrid *g = &c->grid;
	uint64_t n = c->q->cur_samples + g->most;
	uint32_t seen = 0;

	if (c->q->total_per_step == NULL)
		q_stat_step(c->q, c->ev, 0, g->total, g->read);
	else
		for (uint32_t i = 0; i < g->n_steps; i++) {
			uint32_t lo = g->lo[i], hi = g->hi[i];

			if (hi != lo)
				q_stat_step(c->q, c->ev, i, hi - lo,
				    hi - (seen > lo ? seen : lo));
			seen = hi;
		}
	if (n > c->q->peak_samples)
		c->q->peak_samples = n;
	return n > c->q->max_samples ? q_too_many(c->q) : 0;
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
	const struct wgrid *g = &c->grid;
	bool avg = c->id == PROMQL_FN_AVG_OVER_TIME;

	if (!sums_are_exact(s->v, s->n))
		return 0;
	if (wgrid_windows(&c->grid, s->t, s->n) == -1 ||
	    range_scratch(c, s->n + 1) == -1)
		return -1;
	double *prefix = c->scratch;
	prefix[0] = 0;
	for (size_t i = 0; i < s->n; i++)
		prefix[i + 1] = prefix[i] + s->v[i];
	for (uint32_t step = 0; step < g->n_steps; step++) {
		uint32_t lo = g->lo[step], hi = g->hi[step];

		if (lo == hi)
			continue;
		double sum = prefix[hi] - prefix[lo];
		pbuf_float(&c->buf, step, avg ? sum / (double)(hi - lo) :
		    sum);
	}
	return range_count_windows(c) == -1 ? -1 : 1;
}

/*
 * A window's samples fall into runs between one step's edges; the queue
 * holds runs, best first, worse and later ones behind. NaN never wins here:
 * series with any go window by window.
 */
struct run {
	double		v;
	uint32_t	end;	/* of its samples */
};

LANES_INLINE double
best_of(const double *v, uint32_t lo, uint32_t hi, bool max)
{
	double best = v[lo];

	for (uint32_t i = lo + 1; i < hi; i++)
		best = (max ? v[i] > best : v[i] < best) ? v[i] : best;
	return best;
}

HOT_CLONES
static bool
any_nan(const double *v, size_t n)
{
	mask bad = { 0, 0, 0, 0 };
	size_t i = 0;

	for (; i + LANES <= n; i += LANES) {
		lanes x;

		LANES_LOAD(x, v + i);
		bad |= x != x;
	}
	for (; i < n; i++)
		if (isnan(v[i]))
			return true;
	return (bad[0] | bad[1] | bad[2] | bad[3]) != 0;
}

/*
 * The next edge of any window to come, so that a run is inside of each
 * window whole or not at all: left edges up to here and the right one.
 */
LANES_INLINE void
extreme_steps(const struct wgrid *g, const double *v, struct run *queue,
    struct pbuf *out, bool max)
{
	size_t head = 0, tail = 0;
	uint32_t next = 0, edge = 0;	/* first sample not in a run; left edge */

	for (uint32_t step = 0; step < g->n_steps; step++) {
		uint32_t lo = g->lo[step], hi = g->hi[step];

		if (lo == hi)
			continue;
		if (next < lo)
			next = lo;
		while (next < hi) {
			/* up to the next left edge that falls in between */
			if (edge < step)
				edge = step;
			while (edge < g->n_steps && g->lo[edge] <= next)
				edge++;
			uint32_t to = edge < g->n_steps && g->lo[edge] < hi ?
			    g->lo[edge] : hi;
			double x = best_of(v, next, to, max);

			while (tail > head && (max ? queue[tail - 1].v < x :
			    queue[tail - 1].v > x))
				tail--;
			queue[tail++] = (struct run){ x, to };
			next = to;
		}
		while (queue[head].end <= lo)
			head++;
		pbuf_float(out, step, queue[head].v);
	}
}

HOT_CLONES
static void
max_steps(const struct wgrid *g, const double *v, struct run *queue,
    struct pbuf *out)
{
	extreme_steps(g, v, queue, out, true);
}

HOT_CLONES
static void
min_steps(const struct wgrid *g, const double *v, struct run *queue,
    struct pbuf *out)
{
	extreme_steps(g, v, queue, out, false);
}

static int
kernel_extreme(struct rcall *c, const struct samples *s)
{
	if (any_nan(s->v, s->n))
		return 0;
	if (wgrid_windows(&c->grid, s->t, s->n) == -1 ||
	    range_scratch(c, 2 * s->n + 2) == -1)
		return -1;
	struct run *queue = (struct run *)(void *)c->scratch;
	if (c->id == PROMQL_FN_MAX_OVER_TIME)
		max_steps(&c->grid, s->v, queue, &c->buf);
	else
		min_steps(&c->grid, s->v, queue, &c->buf);
	return range_count_windows(c) == -1 ? -1 : 1;
}

static int
kernel_simple(struct rcall *c, const struct samples *s)
{
	const struct wgrid *g = &c->grid;

	if (wgrid_windows(&c->grid, s->t, s->n) == -1)
		return -1;
	for (uint32_t step = 0; step < g->n_steps; step++) {
		uint32_t lo = g->lo[step], hi = g->hi[step];
		double x;

		if (lo == hi)
			continue;
		switch (c->id) {
		case PROMQL_FN_COUNT_OVER_TIME:
			x = (double)(hi - lo);
			break;
		case PROMQL_FN_LAST_OVER_TIME:
			x = s->v[hi - 1];
			break;
		case PROMQL_FN_FIRST_OVER_TIME:
			x = s->v[lo];
			break;
		default:
			x = 1;
		}
		pbuf_float(&c->buf, step, x);
	}
	return range_count_windows(c) == -1 ? -1 : 1;
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
		return range_kernel_rate(c, s);
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
