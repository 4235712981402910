/* SPDX-License-Identifier: ISC */

/*
 * Classic histograms. Counts of neighbouring buckets that differ by less
 * than 1e-12 of their size are taken as equal (rounding), and falling ones
 * are raised to the one before.
 */

#include "common/promql/classic.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#define SMALL_DELTA	1e-12

static int
bucket_cmp(const void *a, const void *b)
{
	const struct classic_bucket *x = a, *y = b;

	return (x->le > y->le) - (x->le < y->le);
}

static void
sort_buckets(struct classic_bucket *b, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (b[i].le < b[i - 1].le) {
			qsort(b, n, sizeof(*b), bucket_cmp);
			return;
		}
}

static size_t
coalesce(struct classic_bucket *b, size_t n)
{
	size_t k = 0;

	for (size_t i = 1; i < n; i++) {
		if (b[i].le == b[k].le)
			b[k].count += b[i].count;
		else
			b[++k] = b[i];
	}
	return k + 1;
}

static bool
nearly_equal(double a, double b)
{
	double sum = fabs(a) + fabs(b), diff = fabs(a - b);

	if (isnan(a) && isnan(b))
		return true;
	if (a == b)
		return true;
	if (a == 0 || b == 0 || sum < DBL_MIN)
		return diff < SMALL_DELTA * DBL_MIN;
	return diff / fmin(sum, DBL_MAX) < SMALL_DELTA;
}

static void
make_monotonic(struct classic_bucket *b, size_t n, struct classic_fix *fix)
{
	double prev = b[0].count;

	for (size_t i = 1; i < n; i++) {
		double cur = b[i].count;

		if (cur == prev)
			continue;
		if (nearly_equal(prev, cur)) {
			b[i].count = prev;
			continue;
		}
		if (cur < prev) {
			b[i].count = prev;
			fix->forced = true;
			if (b[i].le < fix->min_bucket)
				fix->min_bucket = b[i].le;
			if (b[i].le > fix->max_bucket)
				fix->max_bucket = b[i].le;
			if (prev - cur > fix->max_diff)
				fix->max_diff = prev - cur;
			continue;
		}
		prev = cur;
	}
}

double
classic_quantile(double q, struct classic_bucket *b, size_t n,
    struct classic_fix *fix)
{
	*fix = (struct classic_fix){ false, INFINITY, -INFINITY, 0 };
	if (isnan(q))
		return NAN;
	if (q < 0)
		return -INFINITY;
	if (q > 1)
		return INFINITY;
	sort_buckets(b, n);
	if (b[n - 1].le != INFINITY)
		return NAN;
	n = coalesce(b, n);
	make_monotonic(b, n, fix);
	if (n < 2 || b[n - 1].count == 0)
		return NAN;
	double rank = q * b[n - 1].count;
	size_t lo = 0, hi = n - 1;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (b[mid].count >= rank)
			hi = mid;
		else
			lo = mid + 1;
	}
	if (lo == n - 1)
		return b[n - 2].le;
	if (lo == 0 && b[0].le <= 0)
		return b[0].le;
	double start = 0, count = b[lo].count;
	if (lo > 0) {
		start = b[lo - 1].le;
		count -= b[lo - 1].count;
		rank -= b[lo - 1].count;
	}
	return start + (b[lo].le - start) * (rank / count);
}

/* Rank of v inside of the bucket (lower, upper] that ends at count. */
static double
rank_inside(double v, double lower, double upper, double rank, double count)
{
	if (isinf(lower) && lower < 0)
		return count;
	return rank + (count - rank) * (v - lower) / (upper - lower);
}

double
classic_fraction(double lower, double upper, struct classic_bucket *b,
    size_t n)
{
	double rank = 0, lower_rank = 0, upper_rank = 0;
	bool have_lower = false, have_upper = false;

	sort_buckets(b, n);
	if (b[n - 1].le != INFINITY)
		return NAN;
	n = coalesce(b, n);
	double count = b[n - 1].count;
	if (count == 0 || isnan(lower) || isnan(upper))
		return NAN;
	if (lower >= upper)
		return 0;
	for (size_t i = 0; i < n; i++) {
		double lo = i > 0 ? b[i - 1].le : b[0].le <= 0 ? -INFINITY : 0;
		double hi = b[i].le;

		if (!have_lower && lo >= lower) {
			lower_rank = rank;
			have_lower = true;
		}
		if (!have_upper && lo >= upper) {
			upper_rank = rank;
			have_upper = true;
		}
		if (have_lower && have_upper)
			break;
		if (!have_lower && lo < lower && hi > lower) {
			lower_rank = rank_inside(lower, lo, hi, rank,
			    b[i].count);
			have_lower = true;
		}
		if (!have_upper && lo < upper && hi > upper) {
			upper_rank = rank_inside(upper, lo, hi, rank,
			    b[i].count);
			have_upper = true;
		}
		if (have_lower && have_upper)
			break;
		rank = b[i].count;
	}
	if (!have_lower || lower_rank > count)
		lower_rank = count;
	if (!have_upper || upper_rank > count)
		upper_rank = count;
	return (upper_rank - lower_rank) / count;
}
