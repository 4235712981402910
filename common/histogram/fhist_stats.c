/* SPDX-License-Identifier: ISC */

/*
 * Statistics of one histogram. Inside a bucket observations are taken as
 * evenly spread: linearly in custom and zero buckets, else on the
 * logarithmic scale.
 */

#include "common/histogram/fhist.h"

#include <math.h>

/* How much of the bucket lies below v. */
static double
fraction_below(const struct hbucket *b, double v, bool linear)
{
	if (linear)
		return (v - b->lower) / (b->upper - b->lower);
	double lo = log2(fabs(b->lower)), hi = log2(fabs(b->upper));
	double lv = log2(fabs(v));

	if (v > 0)
		return (lv - lo) / (hi - lo);
	return 1 - ((lv - hi) / (lo - hi));
}

/* A histogram with one side only has its zero bucket on that side. */
static void
narrow_zero(const struct fhist *h, struct hbucket *b)
{
	if (h->neg.n == 0 && h->pos.n > 0)
		b->lower = 0;
	else if (h->pos.n == 0 && h->neg.n > 0)
		b->upper = 0;
}

double
fhist_quantile(const struct fhist *h, double q, enum fhist_nan *nan_out)
{
	*nan_out = FHIST_NAN_NONE;
	if (q < 0)
		return -INFINITY;
	if (q > 1)
		return INFINITY;
	if (h->count == 0 || isnan(q))
		return NAN;

	/* NaN observations are in no bucket: count from below then */
	bool forward = isnan(h->sum) || q < 0.5;
	double rank = forward ? q * h->count : (1 - q) * h->count;
	double count = 0;
	struct hiter it;
	struct hbucket b = { .lower = 0 };
	hiter_init(&it, h, forward ? HITER_ALL : HITER_ALL_REVERSE);
	while (hiter_next(&it)) {
		b = it.b;
		if (b.count == 0)
			continue;
		count += b.count;
		if (count >= rank)
			break;
	}
	if (!fhist_is_custom(h)) {
		if (b.lower < 0 && b.upper > 0)
			narrow_zero(h, &b);
	} else if (isinf(b.lower) && b.lower < 0) {
		if (b.upper <= 0)
			return b.upper;
		b.lower = 0;
	} else if (isinf(b.upper) && b.upper > 0)
		return b.lower;
	if (count > h->count)
		count = h->count;
	if (count < rank) {
		if (!isnan(h->sum))
			return b.upper;
		*nan_out = FHIST_NAN_RESULT;
		return NAN;
	}
	if (forward)
		rank -= count - b.count;
	else
		rank = count - rank;
	if (isnan(h->sum)) {
		while (hiter_next(&it)) {
			b = it.b;
			count += b.count;
		}
		if (count < h->count)
			*nan_out = FHIST_NAN_SKEW;
	}
	double f = rank / b.count;
	if (fhist_is_custom(h) || (b.lower <= 0 && b.upper >= 0))
		return b.lower + (b.upper - b.lower) * f;
	double lo = log2(fabs(b.lower)), hi = log2(fabs(b.upper));
	if (b.lower > 0)
		return exp2(lo + (hi - lo) * f);
	return -exp2(hi + (lo - hi) * (1 - f));
}

/* Rank of v, which lies inside of b, with rank the count below b. */
static double
rank_inside(const struct hbucket *b, double rank, double v, bool linear)
{
	if (linear && isinf(b->lower) && b->lower < 0)
		return b->count;
	return rank + b->count * fraction_below(b, v, linear);
}

double
fhist_fraction(const struct fhist *h, double lower, double upper,
    enum fhist_nan *nan_out)
{
	double count = 0, rank = 0, lower_rank = 0, upper_rank = 0;
	bool have_lower = false, have_upper = false;
	struct hiter it;

	*nan_out = FHIST_NAN_NONE;
	if (h->count == 0 || isnan(lower) || isnan(upper))
		return NAN;
	if (lower >= upper)
		return 0;
	hiter_init(&it, h, HITER_ALL);
	while (hiter_next(&it)) {
		struct hbucket b = it.b;
		bool linear = fhist_is_custom(h);

		count += b.count;
		if (b.lower <= 0 && b.upper >= 0) {
			linear = true;
			narrow_zero(h, &b);
		}
		if (!have_lower && b.lower >= lower) {
			lower_rank = rank;
			have_lower = true;
		}
		if (!have_upper && b.lower >= upper) {
			upper_rank = rank;
			have_upper = true;
		}
		if (have_lower && have_upper)
			break;
		if (!have_lower && b.lower < lower && b.upper > lower) {
			lower_rank = rank_inside(&b, rank, lower, linear);
			have_lower = true;
		}
		if (!have_upper && b.lower < upper && b.upper > upper) {
			upper_rank = rank_inside(&b, rank, upper, linear);
			have_upper = true;
		}
		if (have_lower && have_upper)
			break;
		rank += b.count;
	}
	if (isnan(h->sum)) {
		while (hiter_next(&it))
			count += it.b.count;
		if (count < h->count)
			*nan_out = FHIST_NAN_SKEW;
	} else
		count = h->count;
	if (!have_lower || lower_rank > count)
		lower_rank = count;
	if (!have_upper || upper_rank > count)
		upper_rank = count;
	return (upper_rank - lower_rank) / h->count;
}

double
fhist_variance(const struct fhist *h)
{
	double mean = h->sum / h->count, v = 0, c = 0;
	struct hiter it;

	hiter_init(&it, h, HITER_ALL);
	while (hiter_next(&it)) {
		double mid;

		if (it.b.count == 0)
			continue;
		if (fhist_is_custom(h))
			mid = (it.b.upper + it.b.lower) / 2;
		else if (it.b.lower <= 0 && it.b.upper >= 0)
			mid = 0;
		else {
			mid = sqrt(it.b.upper * it.b.lower);
			if (it.b.upper < 0)
				mid = -mid;
		}
		double d = mid - mean;
		kahan_inc(it.b.count * d * d, &v, &c);
	}
	return (v + c) / h->count;
}

/* --- trimming --- */

static double
midpoint(double lower, double upper, bool positive, bool linear)
{
	if (isinf(lower)) {
		if (isinf(upper))
			return 0;
		return upper > 0 ? upper / 2 : upper;
	}
	if (isinf(upper))
		return lower;
	if (linear)
		return (lower + upper) / 2;
	double m = sqrt(fabs(lower * upper));
	return positive ? m : -m;
}

/* Buckets that reach to an infinity: what is kept of them, and where. */
static double
trim_infinite(const struct hbucket *b, double v, bool upper, double *mid)
{
	if (isinf(b->lower) && b->lower < 0) {
		double edge = isinf(b->upper) ? 0 : b->upper;

		*mid = edge;
		if (upper) {
			if (v >= b->upper) {
				*mid = 0;
				return b->count;
			}
			if (v > 0 && b->upper > 0 && !isinf(b->upper)) {
				*mid = v / 2;
				return b->count * v / b->upper;
			}
			if (b->upper <= 0) {
				*mid = v;
				return b->count;
			}
			return 0;
		}
		if (v <= b->lower) {
			*mid = 0;
			return b->count;
		}
		if (v >= 0 && b->upper > v && !isinf(b->upper)) {
			*mid = (v + b->upper) / 2;
			return b->count * (1 - v / b->upper);
		}
		return 0;
	}
	*mid = isinf(b->lower) ? 0 : b->lower;
	if (!upper && v >= b->lower) {
		*mid = v;
		return b->count;
	}
	return 0;
}

static double
trim_bucket(const struct hbucket *b, double v, bool upper, bool positive,
    bool custom, double *mid)
{
	double under;

	if ((isinf(b->lower) && b->lower < 0) ||
	    (isinf(b->upper) && b->upper > 0))
		return trim_infinite(b, v, upper, mid);
	if (v <= b->lower)
		under = 0;
	else if (v >= b->upper)
		under = b->count;
	else
		under = b->count * fraction_below(b, v, custom);
	if (upper) {
		*mid = midpoint(b->lower, v, positive, custom);
		return under;
	}
	*mid = midpoint(v, b->upper, positive, custom);
	return b->count - under;
}

struct trim {
	double	count;
	double	sum;
	bool	changed;
};

/* True when the side has a populated bucket. */
static bool
trim_side(struct fhist *h, bool positive, double v, bool upper,
    struct trim *t)
{
	struct hside *s = positive ? &h->pos : &h->neg;
	bool custom = fhist_is_custom(h), populated = false;
	struct hiter it;

	hiter_init(&it, h, positive ? HITER_POS : HITER_NEG);
	while (hiter_next(&it)) {
		const struct hbucket *b = &it.b;
		double *c = &s->counts[it.count_i], mid;

		if (b->count == 0)
			continue;
		populated = true;
		if (upper ? b->upper <= v : b->lower >= v) {
			t->count += b->count;
			t->sum += midpoint(b->lower, b->upper, positive,
			    custom) * b->count;
		} else if (upper ? b->lower < v : b->upper > v) {
			double keep = trim_bucket(b, v, upper, positive,
			    custom, &mid);

			t->count += keep;
			t->sum += mid * keep;
			if (*c != keep) {
				*c = keep;
				t->changed = true;
			}
		} else {
			*c = 0;
			t->changed = true;
		}
	}
	return populated;
}

static void
trim_zero_bucket(struct fhist *h, double v, bool upper, bool has_pos,
    bool has_neg, struct trim *t)
{
	double lo = -h->zero_threshold, hi = h->zero_threshold;
	double keep, mid;

	if (has_neg && !has_pos)
		hi = 0;
	if (has_pos && !has_neg)
		lo = 0;
	if (upper ? v >= hi && v > lo : v <= lo) {
		keep = h->zero_count;
		mid = (lo + hi) / 2;
	} else if (upper ? v <= lo : v >= hi) {
		keep = mid = 0;
	} else if (upper) {
		keep = h->zero_count * ((v - lo) / (hi - lo));
		mid = (lo + v) / 2;
	} else {
		keep = h->zero_count * ((hi - v) / (hi - lo));
		mid = (v + hi) / 2;
	}
	if (h->zero_count != keep) {
		h->zero_count = keep;
		t->changed = true;
	}
	t->sum += mid * keep;
	t->count += keep;
}

int
fhist_trim(struct arena *a, struct fhist *h, double v, bool upper)
{
	struct trim t = { 0, 0, false };
	bool has_pos = trim_side(h, true, v, upper, &t);
	bool has_neg = trim_side(h, false, v, upper, &t);

	if (h->zero_count > 0 && !fhist_is_custom(h))
		trim_zero_bucket(h, v, upper, has_pos, has_neg, &t);
	if (!t.changed)
		return 0;
	h->count = t.count;
	h->sum = t.sum;
	return fhist_compact(a, h);
}
