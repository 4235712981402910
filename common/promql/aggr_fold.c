/* SPDX-License-Identifier: ISC */

/* Dense folds, four steps at once; see aggr_fold.h. */

#include "common/promql/aggr_fold.h"

#include <math.h>

#include "common/histogram/fhist.h"
#include "common/promql/lanes.h"

#define SIGN	INT64_MIN

/* kahan_inc: both outcomes of its comparison, and the right one picked. */
LANES_INLINE void
kahan_lanes(double *sum, double *comp, const double *v)
{
	lanes s, c, x, inf = { 0, 0, 0, 0 };

	inf += INFINITY;
	LANES_LOAD(s, sum);
	LANES_LOAD(c, comp);
	LANES_LOAD(x, v);
	lanes t = s + x;
	mask no_sign = { ~SIGN, ~SIGN, ~SIGN, ~SIGN };
	lanes abs_s = (lanes)((mask)s & no_sign);
	lanes abs_x = (lanes)((mask)x & no_sign);
	lanes abs_t = (lanes)((mask)t & no_sign);
	lanes big = LANES_PICK(abs_s >= abs_x, s, x);
	lanes small = LANES_PICK(abs_s >= abs_x, x, s);
	lanes next = c + ((big - t) + small);
	c = (lanes)(~(mask)(abs_t == inf) & (mask)next);
	LANES_STORE(sum, t);
	LANES_STORE(comp, c);
}

HOT_CLONES
void
fold_dense_sum(double *sum, double *comp, const double *v, size_t n)
{
	size_t i = 0;

	for (; i + LANES <= n; i += LANES)
		kahan_lanes(sum + i, comp + i, v + i);
	for (; i < n; i++)
		kahan_inc(v[i], &sum[i], &comp[i]);
}

HOT_CLONES
static bool
overflows(const double *sum, const double *v, size_t n)
{
	bool any = false;

	for (size_t i = 0; i < n; i++)
		any |= !(__builtin_fabs(sum[i] + v[i]) < INFINITY);
	return any;
}

bool
fold_dense_mean(double *sum, double *comp, double *count, const double *v,
    size_t n)
{
	if (overflows(sum, v, n))
		return false;
	fold_dense_sum(sum, comp, v, n);
	for (size_t i = 0; i < n; i++)
		count[i]++;
	return true;
}

LANES_INLINE void
extreme(double *value, const double *v, size_t n, bool max)
{
	for (size_t i = 0; i < n; i++) {
		bool take = isnan(value[i]) |
		    (max ? value[i] < v[i] : value[i] > v[i]);

		value[i] = take ? v[i] : value[i];
	}
}

HOT_CLONES
static void
dense_max(double *value, const double *v, size_t n)
{
	extreme(value, v, n, true);
}

HOT_CLONES
static void
dense_min(double *value, const double *v, size_t n)
{
	extreme(value, v, n, false);
}

void
fold_dense_extreme(double *value, const double *v, size_t n, bool max)
{
	if (max)
		dense_max(value, v, n);
	else
		dense_min(value, v, n);
}
