/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_COLLECT_H
#define BRAZIER_COMMON_PROMQL_COLLECT_H

/* The series of a result while they come in. */

#include "common/promql/eval.h"

struct collect {
	struct query		*q;
	struct evaluator	*ev;
	struct promql_series	*s;	/* malloc'ed; the caller frees */
	size_t			 n, cap;
	const int64_t		*grid;	/* times of the steps */
};

/* The times of all steps, from the query's arena; NULL: memory. */
int64_t	*collect_grid(struct query *q, const struct evaluator *ev);

/* Copies the series; ctx is the collect. */
int	 collect_sink(void *ctx, struct pseries *s);

/*
 * Evaluates e and removes names that were kept so far; series that thereby
 * become the same are joined.
 */
int	 collect_delayed(struct collect *c, struct promql_expr *e);

/* Instant queries of range vectors: m[5m], (expr)[1h:1m]. */
int	 collect_matrix(struct collect *c, struct promql_expr *e);
int	 collect_subquery(struct collect *c, struct promql_expr *e);

#endif
