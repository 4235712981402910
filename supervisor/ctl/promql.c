/* SPDX-License-Identifier: ISC */

/* brazierctl promql format. */

#include <stdio.h>

#include "common/base/arena.h"
#include "common/promql/ast.h"
#include "common/promql/parse.h"
#include "supervisor/ctl/ctl.h"

int
ctl_promql_format(struct ctl *c)
{
	struct promql_parse_opts opts = { true, true, true };
	struct promql_parse_errors errs = { .v = NULL };
	struct promql_expr *expr = NULL;
	struct str input = str_c(c->args[0]);
	struct err err = ERR_INIT;
	struct arena arena;
	struct buf out;
	int rc = 0;

	arena_init(&arena, 0);
	buf_init(&out, 0);
	if (promql_parse(&arena, input, &opts, &expr, &errs) == -1) {
		promql_parse_errors_to_err(&errs, input, &err);
		rc = ctl_fail(&err);
	} else {
		promql_expr_pretty(expr, 0, &out);
		printf("%.*s\n", STR_ARG(buf_str(&out)));
	}
	promql_expr_clear(expr);
	buf_clear(&out);
	arena_clear(&arena);
	return rc;
}
