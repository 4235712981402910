/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_PRINT_H
#define BRAZIER_COMMON_PROMQL_PRINT_H

/* Parts of printed expressions that the one-line and the pretty form share. */

#include "common/base/buf.h"
#include "common/promql/ast.h"

/* "+ on (a) group_left (b)" of a PROMQL_BINARY */
void	 promql_print_operator(const struct promql_expr *e, struct buf *out);
/* "sum", "sum by (a) " of a PROMQL_AGGREGATE */
void	 promql_print_aggregation(const struct promql_expr *e,
	    struct buf *out);
/* "[5m:1m] @ 3.000 offset 1m" of a PROMQL_SUBQUERY */
void	 promql_print_subquery_range(const struct promql_expr *e,
	    struct buf *out);

#endif
