/* SPDX-License-Identifier: ISC */
/* Types, names and walks of the syntax tree. */

#include "common/promql/ast.h"

#include "common/promql/functab.h"
#include "common/promql/parse.h"

enum promql_value_type
promql_expr_type(const struct promql_expr *e)
{
	for (;;) {
		switch (e->type) {
		case PROMQL_NUMBER:
		case PROMQL_DURATION:
			return PROMQL_TYPE_SCALAR;
		case PROMQL_STRING:
			return PROMQL_TYPE_STRING;
		case PROMQL_VECTOR:
		case PROMQL_AGGREGATE:
			return PROMQL_TYPE_VECTOR;
		case PROMQL_MATRIX:
		case PROMQL_SUBQUERY:
			return PROMQL_TYPE_MATRIX;
		case PROMQL_CALL:
			return e->call.func->ret;
		case PROMQL_BINARY:
			/* A scalar if both operands are, else a vector. */
			if (promql_expr_type(e->binary.rhs) !=
			    PROMQL_TYPE_SCALAR)
				return PROMQL_TYPE_VECTOR;
			if (promql_expr_type(e->binary.lhs) !=
			    PROMQL_TYPE_SCALAR)
				return PROMQL_TYPE_VECTOR;
			return PROMQL_TYPE_SCALAR;
		case PROMQL_UNARY:
			e = e->unary.expr;
			break;
		case PROMQL_PAREN:
		case PROMQL_STEP_INVARIANT:
			e = e->inner;
			break;
		}
	}
}

const char *
promql_type_name(enum promql_value_type t)
{
	switch (t) {
	case PROMQL_TYPE_SCALAR:
		return "scalar";
	case PROMQL_TYPE_VECTOR:
		return "vector";
	case PROMQL_TYPE_MATRIX:
		return "matrix";
	case PROMQL_TYPE_STRING:
		return "string";
	case PROMQL_TYPE_NONE:
		break;
	}
	return "none";
}

const char *
promql_type_text(enum promql_value_type t)
{
	if (t == PROMQL_TYPE_VECTOR)
		return "instant vector";
	if (t == PROMQL_TYPE_MATRIX)
		return "range vector";
	return promql_type_name(t);
}

const char *
promql_op_text(enum promql_op op)
{
	static const char *const texts[] = {
		[PROMQL_OP_NONE] = "",
		[PROMQL_OP_ADD] = "+",
		[PROMQL_OP_SUB] = "-",
		[PROMQL_OP_MUL] = "*",
		[PROMQL_OP_DIV] = "/",
		[PROMQL_OP_MOD] = "%",
		[PROMQL_OP_POW] = "^",
		[PROMQL_OP_ATAN2] = "atan2",
		[PROMQL_OP_EQLC] = "==",
		[PROMQL_OP_NEQ] = "!=",
		[PROMQL_OP_LTE] = "<=",
		[PROMQL_OP_LSS] = "<",
		[PROMQL_OP_GTE] = ">=",
		[PROMQL_OP_GTR] = ">",
		[PROMQL_OP_TRIM_UPPER] = "</",
		[PROMQL_OP_TRIM_LOWER] = ">/",
		[PROMQL_OP_AND] = "and",
		[PROMQL_OP_OR] = "or",
		[PROMQL_OP_UNLESS] = "unless",
		[PROMQL_OP_STEP] = "step",
		[PROMQL_OP_RANGE] = "range",
		[PROMQL_OP_MIN_OF] = "min_of",
		[PROMQL_OP_MAX_OF] = "max_of"
	};

	return texts[op];
}

const char *
promql_agg_text(enum promql_agg op)
{
	static const char *const texts[] = {
		[PROMQL_AGG_NONE] = "",
		[PROMQL_AGG_SUM] = "sum",
		[PROMQL_AGG_AVG] = "avg",
		[PROMQL_AGG_COUNT] = "count",
		[PROMQL_AGG_MIN] = "min",
		[PROMQL_AGG_MAX] = "max",
		[PROMQL_AGG_GROUP] = "group",
		[PROMQL_AGG_STDDEV] = "stddev",
		[PROMQL_AGG_STDVAR] = "stdvar",
		[PROMQL_AGG_TOPK] = "topk",
		[PROMQL_AGG_BOTTOMK] = "bottomk",
		[PROMQL_AGG_COUNT_VALUES] = "count_values",
		[PROMQL_AGG_QUANTILE] = "quantile",
		[PROMQL_AGG_LIMITK] = "limitk",
		[PROMQL_AGG_LIMIT_RATIO] = "limit_ratio"
	};

	return texts[op];
}

const char *
promql_card_text(enum promql_card card)
{
	switch (card) {
	case PROMQL_ONE_TO_ONE:
		return "one-to-one";
	case PROMQL_MANY_TO_ONE:
		return "many-to-one";
	case PROMQL_ONE_TO_MANY:
		return "one-to-many";
	case PROMQL_MANY_TO_MANY:
		break;
	}
	return "many-to-many";
}

struct promql_expr *
promql_expr_child(const struct promql_expr *e, size_t n)
{
	struct promql_expr *first = NULL, *second = NULL;

	switch (e->type) {
	case PROMQL_CALL:
		return n < e->call.n_args ? e->call.args[n] : NULL;
	case PROMQL_AGGREGATE:
		first = e->agg.expr;
		second = e->agg.param;
		break;
	case PROMQL_BINARY:
		first = e->binary.lhs;
		second = e->binary.rhs;
		break;
	case PROMQL_MATRIX:
		first = e->matrix.selector;
		break;
	case PROMQL_SUBQUERY:
		first = e->subquery.expr;
		break;
	case PROMQL_UNARY:
		first = e->unary.expr;
		break;
	case PROMQL_PAREN:
	case PROMQL_STEP_INVARIANT:
		first = e->inner;
		break;
	case PROMQL_NUMBER:
	case PROMQL_STRING:
	case PROMQL_VECTOR:
	case PROMQL_DURATION:
		break;
	}
	return n == 0 ? first : n == 1 ? second : NULL;
}

struct promql_expr *
promql_expr_unwrap(struct promql_expr *e)
{
	while (e->type == PROMQL_PAREN || e->type == PROMQL_STEP_INVARIANT)
		e = e->inner;
	return e;
}

void
promql_expr_walk(struct promql_expr *e,
    bool (*fn)(struct promql_expr *, void *), void *arg)
{
	struct promql_expr *child;
	size_t i;

	if (!fn(e, arg))
		return;
	for (i = 0; (child = promql_expr_child(e, i)) != NULL; i++)
		promql_expr_walk(child, fn, arg);
}

struct promql_expr *
promql_expr_new(struct arena *a, enum promql_node_type t,
    struct promql_pos pos)
{
	struct promql_expr *e = arena_zalloc(a, sizeof(*e));

	if (e != NULL) {
		e->type = t;
		e->pos = pos;
		e->height = 1;
	}
	return e;
}

static bool
clear_matchers(struct promql_expr *e, void *arg)
{
	(void)arg;
	if (e->type == PROMQL_VECTOR) {
		promql_matchers_clear(e->vector.matchers,
		    e->vector.n_matchers);
		e->vector.n_matchers = 0;
	}
	return true;
}

void
promql_expr_clear(struct promql_expr *e)
{
	if (e != NULL)
		promql_expr_walk(e, clear_matchers, NULL);
}
