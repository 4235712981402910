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

PENDING(eval_call_info)
