/* SPDX-License-Identifier: ISC */
/*
 * Any bytes as an expression, a lone selector and a series description.
 * Properties: a failure has an error with a position inside the input; what
 * parses prints, the print parses, and prints the same; the pretty form is
 * the same expression.
 */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/promql/parse.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct promql_parse_opts opts = {
	.experimental_functions = true,
	.extended_range_selectors = true,
	.fill_modifiers = true };

static void
check_errors(const struct promql_parse_errors *errs, struct str input)
{
	size_t i;

	if (errs->n == 0)
		abort();
	for (i = 0; i < errs->n; i++)
		if (errs->v[i].pos.start < 0 ||
		    (size_t)errs->v[i].pos.start > input.n ||
		    errs->v[i].msg.p == NULL)
			abort();
}

/*
 * What the reference's print cannot bring back: durations below a
 * millisecond (printed as 0), infinity (its plus is read as a sign of the
 * whole power in Inf ^ 2), and an offset that is a sum without parentheses.
 */
static bool
is_exact(int64_t ns)
{
	return ns % 1000000 == 0 && ns != INT64_MIN;
}

static bool
find_inexact(struct promql_expr *e, void *arg)
{
	bool *inexact = arg;
	const struct promql_modifiers *mod = NULL;

	if (e->type == PROMQL_MATRIX)
		*inexact |= !is_exact(e->matrix.range_ns);
	else if (e->type == PROMQL_SUBQUERY) {
		*inexact |= !is_exact(e->subquery.range_ns) ||
		    !is_exact(e->subquery.step_ns);
		mod = &e->subquery.mod;
	} else if (e->type == PROMQL_VECTOR)
		mod = &e->vector.mod;
	else if (e->type == PROMQL_NUMBER)
		*inexact |= isinf(e->number.val);
	if (mod != NULL) {
		const struct promql_expr *o = mod->offset_expr;

		*inexact |= !is_exact(mod->offset_ns) ||
		    llabs(mod->at_ms) > 1LL << 43;
		/* -a ^ b in front, or a sign before it */
		while (o != NULL && o->type == PROMQL_DURATION &&
		    !o->duration.wrapped && o->duration.lhs == NULL)
			o = o->duration.rhs;
		*inexact |= o != NULL && o->type == PROMQL_DURATION &&
		    !o->duration.wrapped && o->duration.lhs != NULL;
	}
	return true;
}

static void
check_print(struct promql_expr *e)
{
	struct promql_parse_errors errs = { 0 };
	struct buf one, two, pretty;
	struct promql_expr *again;
	bool inexact = false;
	struct arena a;

	buf_init(&one, 0);
	buf_init(&two, 0);
	buf_init(&pretty, 1 << 20);
	promql_expr_print(e, &one);
	promql_expr_pretty(e, 10, &pretty);
	promql_expr_json(e, &two);
	buf_reset(&two);
	promql_expr_walk(e, find_inexact, &inexact);
	if (!inexact) {
		arena_init(&a, 0);
		if (promql_parse(&a, buf_str(&one), &opts, &again,
		    &errs) == -1)
			abort();
		promql_expr_print(again, &two);
		if (!str_eq(buf_str(&one), buf_str(&two)))
			abort();
		promql_expr_clear(again);
		errs = (struct promql_parse_errors){ 0 };
		if (!buf_failed(&pretty)) {
			if (promql_parse(&a, buf_str(&pretty), &opts, &again,
			    &errs) == -1)
				abort();
			buf_reset(&two);
			promql_expr_print(again, &two);
			if (!str_eq(buf_str(&one), buf_str(&two)))
				abort();
			promql_expr_clear(again);
		}
		arena_clear(&a);
	}
	buf_clear(&one);
	buf_clear(&two);
	buf_clear(&pretty);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str input = str_from((const char *)data, size);
	struct promql_parse_errors errs = { 0 };
	struct promql_series_desc desc;
	struct promql_expr *e;
	struct matcher *m;
	struct arena a;
	size_t n;

	arena_init(&a, 16 << 20);
	if (promql_parse(&a, input, &opts, &e, &errs) == -1)
		check_errors(&errs, input);
	else {
		check_print(e);
		promql_expr_clear(e);
	}
	errs = (struct promql_parse_errors){ 0 };
	if (promql_parse_selector(&a, input, &m, &n, &errs) == 0)
		promql_matchers_clear(m, n);
	else
		check_errors(&errs, input);
	errs = (struct promql_parse_errors){ 0 };
	if (promql_parse_series(&a, input, &desc, &errs) == -1)
		check_errors(&errs, input);
	arena_clear(&a);
	return 0;
}
