/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_AGGR_FOLD_H
#define BRAZIER_COMMON_PROMQL_AGGR_FOLD_H

/*
 * Folding a series of floats at every step into accumulators that have seen
 * floats at every step: no step needs a look at its kind. The results are
 * those of the fold step by step, to the bit.
 */

#include <stdbool.h>
#include <stddef.h>

/* kahan_inc(v[i], &sum[i], &comp[i]) for all i. */
void	 fold_dense_sum(double *sum, double *comp, const double *v, size_t n);
/*
 * The same, unless a sum would overflow, which is for the caller to see to:
 * then nothing is changed and false returned.
 */
bool	 fold_dense_mean(double *sum, double *comp, double *count,
	    const double *v, size_t n);
/* value[i] = the greater (smaller) one; a NaN gives way to anything. */
void	 fold_dense_extreme(double *value, const double *v, size_t n,
	    bool max);

#endif
