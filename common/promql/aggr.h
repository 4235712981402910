/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_AGGR_H
#define BRAZIER_COMMON_PROMQL_AGGR_H

/*
 * Sums and means of histograms, one histogram after the other, with Kahan
 * compensation: for sum and avg, sum_over_time and avg_over_time.
 */

#include "common/promql/eval.h"

struct hist_acc {
	struct fhist	*sum;
	struct fhist	*comp;		/* NULL until there is any */
	struct fhist	*mean;		/* after an overflow, else NULL */
	bool		 reset_seen;
	bool		 not_reset_seen;
	bool		 incompatible;	/* kinds of buckets mixed: no result */
};

struct hist_acc_env {
	struct query	*q;
	struct arena	*a;
	int32_t		 pos;
	struct lset	 ls;	/* names the metric in warnings */
};

/* NULL: memory, noted. */
struct hist_acc *hist_acc_new(struct hist_acc_env *env,
	    const struct fhist *h);
/*
 * count: 0 for a sum; for a mean, how many histograms (floats too) there
 * are with this one.
 */
int	 hist_acc_add(struct hist_acc_env *env, struct hist_acc *x,
	    const struct fhist *h, double count);
/* 1 and the result, 0 when there is none, -1. */
int	 hist_acc_finish(struct hist_acc_env *env, struct hist_acc *x,
	    double count, struct fhist **out);

#endif
