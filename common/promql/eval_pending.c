/* SPDX-License-Identifier: ISC */

/* Operators that answer with an error until they are there. */

#include "common/promql/eval.h"

#define PENDING(name) \
int \
name(struct evaluator *ev, struct promql_expr *e, series_sink sink, void *ctx) \
{ \
	(void)e; \
	(void)sink; \
	(void)ctx; \
	return q_fail(ev->q, "this operator is not available yet"); \
}

PENDING(eval_aggregate_k)
PENDING(eval_count_values)
PENDING(eval_call_label)
PENDING(eval_call_sort)
PENDING(eval_call_absent)
PENDING(eval_call_info)
