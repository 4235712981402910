/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SHARE_H
#define BRAZIER_COMMON_PROMQL_SHARE_H

/*
 * What a query says twice is evaluated once:
 *
 *	sum(rate(x[5m])) / count(rate(x[5m]))	one pass feeds sum and count
 *	a - avg(a)				the pass for a feeds avg
 *	sum(a) / (sum(a) + sum(b))		the second sum(a) is kept
 *
 * The plan joins equal expressions that see the same steps. The one that is
 * evaluated first hands its series also to the aggregations above the
 * others, or keeps a copy when it is an aggregation itself: only what is as
 * small as groups times steps is ever held.
 *
 * Annotations name positions, so a pass that raised any serves nobody else.
 */

#include "common/promql/eval.h"

/*
 * Marks what is equal below e; the vector selectors have their plans.
 * Memory from a, which lives as long as e. -1: memory.
 */
int	 share_plan(struct query *q, struct promql_expr *e, struct arena *a);

/* Evaluates e, which has a share. */
int	 share_push(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);

/*
 * The aggregation of agg if it was fed already, else NULL; the caller
 * frees it.
 */
struct aggr *share_take(struct evaluator *ev, struct promql_expr *agg);

/* Forgets all results. */
void	 share_clear(struct query *q);

#endif
