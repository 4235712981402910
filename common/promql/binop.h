/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_BINOP_H
#define BRAZIER_COMMON_PROMQL_BINOP_H

/* Operators between two samples. */

#include <stdbool.h>
#include <stdint.h>

#include "common/promql/eval.h"

struct elem {
	double			 v;
	const struct fhist	*h;	/* NULL: a float */
};

/* Does a sample come out? -1: an error. */
enum {
	ELEM_DROP = 0,
	ELEM_KEEP = 1,
	ELEM_VOID = 2	/* the kinds do not go together: no match at all */
};

/*
 * l op r. Comparisons give l and keep or drop it. Histograms that are made
 * come from the arena; annotations carry pos.
 */
int	 elem_binop(struct query *q, struct arena *a, enum promql_op op,
	    struct elem l, struct elem r, int32_t pos, struct elem *out);

/* Arithmetic makes another metric of it. */
bool	 op_changes_metric(enum promql_op op);

#endif
