/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_CLASSIC_H
#define BRAZIER_COMMON_PROMQL_CLASSIC_H

/* Quantiles and fractions of classic (cumulative) buckets. */

#include <stdbool.h>
#include <stddef.h>

struct classic_bucket {
	double	le;
	double	count;	/* cumulative */
};

/* What had to be repaired before counts never fell. */
struct classic_fix {
	bool	forced;
	double	min_bucket;
	double	max_bucket;
	double	max_diff;
};

/* Both sort and change the buckets. n > 0. */
double	 classic_quantile(double q, struct classic_bucket *b, size_t n,
	    struct classic_fix *fix);
double	 classic_fraction(double lower, double upper,
	    struct classic_bucket *b, size_t n);

#endif
