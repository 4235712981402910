/* SPDX-License-Identifier: ISC */
/*
 * What the grammar cannot say: types of operands and arguments, arity, and
 * which modifiers go together. All errors of a tree are reported, children
 * first where the reference does so.
 */

#include "common/base/quote.h"
#include "common/promql/parse_state.h"

static void
expect_type(struct promql_parser *p, struct promql_expr *e,
    enum promql_value_type want, const char *context)
{
	enum promql_value_type t = promql_check(p, e);

	if (t != want)
		promql_error(p, e->pos, "expected type %s in %s, got %s",
		    promql_type_text(want), context, promql_type_text(t));
}

static void
check_aggregate(struct promql_parser *p, struct promql_expr *e)
{
	expect_type(p, e->agg.expr, PROMQL_TYPE_VECTOR,
	    "aggregation expression");
	if (e->agg.op == PROMQL_AGG_COUNT_VALUES)
		expect_type(p, e->agg.param, PROMQL_TYPE_STRING,
		    "aggregation parameter");
	else if (e->agg.param != NULL)
		expect_type(p, e->agg.param, PROMQL_TYPE_SCALAR,
		    "aggregation parameter");
}

/*
 * The operator with its modifiers, between the operands. The end is that of
 * the reference: the last character itself, not the one behind it.
 */
static struct promql_pos
operator_pos(const struct promql_parser *p, const struct promql_expr *e)
{
	struct str in = p->lex.input;
	struct promql_pos r = { e->binary.lhs->pos.end,
	    e->binary.rhs->pos.start - 1 };

	while (r.start >= 0 && (size_t)r.start < in.n &&
	    promql_rune_is_space(in.p[r.start]))
		r.start++;
	while (r.end > 0 && (size_t)r.end < in.n &&
	    promql_rune_is_space(in.p[r.end]))
		r.end--;
	return r;
}

static void
check_bool(struct promql_parser *p, struct promql_expr *e,
    enum promql_value_type lt, enum promql_value_type rt)
{
	bool comparison = promql_op_is_comparison(e->binary.op);

	if (e->binary.return_bool && !comparison)
		promql_error(p, operator_pos(p, e),
		    "bool modifier can only be used on comparison operators");
	if (comparison && !e->binary.return_bool &&
	    lt == PROMQL_TYPE_SCALAR && rt == PROMQL_TYPE_SCALAR)
		promql_error(p, operator_pos(p, e),
		    "comparisons between scalars must use BOOL modifier");
}

static void
check_include(struct promql_parser *p, struct promql_expr *e)
{
	const struct promql_matching *m = e->binary.matching;
	size_t i, j;

	if (!m->on)
		return;
	for (i = 0; i < m->labels.n; i++)
		for (j = 0; j < m->include.n; j++)
			if (str_eq(m->labels.v[i], m->include.v[j]))
				promql_error_quoted(p, operator_pos(p, e),
				    "label ", m->labels.v[i], " must not "
				    "occur in ON and GROUP clause at once");
}

static bool
is_operand_type(enum promql_value_type t)
{
	return t == PROMQL_TYPE_SCALAR || t == PROMQL_TYPE_VECTOR;
}

/* Both operands are vectors. */
static void
check_set_matching(struct promql_parser *p, struct promql_expr *e)
{
	const struct promql_matching *m = e->binary.matching;

	if (m->card == PROMQL_ONE_TO_MANY || m->card == PROMQL_MANY_TO_ONE)
		promql_error(p, e->pos, "no grouping allowed for \"%s\" "
		    "operation", promql_op_text(e->binary.op));
	if (m->card != PROMQL_MANY_TO_MANY)
		promql_error(p, e->pos,
		    "set operations must always be many-to-many");
	if (m->has_fill_lhs || m->has_fill_rhs)
		promql_error(p, e->pos, "filling in missing series not "
		    "allowed for set operators");
}

static void
check_matching(struct promql_parser *p, struct promql_expr *e,
    enum promql_value_type lt, enum promql_value_type rt)
{
	struct promql_matching *m = e->binary.matching;
	bool set = promql_op_is_set(e->binary.op);

	if (lt != PROMQL_TYPE_VECTOR || rt != PROMQL_TYPE_VECTOR) {
		if (m->labels.n > 0)
			promql_error(p, e->pos, "vector matching only "
			    "allowed between instant vectors");
		if (m->has_fill_lhs || m->has_fill_rhs)
			promql_error(p, e->pos, "filling in missing series "
			    "only allowed between instant vectors");
		e->binary.matching = NULL;
	} else if (set)
		check_set_matching(p, e);
	if (set && (lt == PROMQL_TYPE_SCALAR || rt == PROMQL_TYPE_SCALAR))
		promql_error(p, e->pos, "set operator \"%s\" not allowed in "
		    "binary scalar expression", promql_op_text(e->binary.op));
}

static enum promql_value_type
check_binary(struct promql_parser *p, struct promql_expr *e)
{
	enum promql_value_type lt = promql_check(p, e->binary.lhs);
	enum promql_value_type rt = promql_check(p, e->binary.rhs);

	check_bool(p, e, lt, rt);
	if (promql_op_is_set(e->binary.op) &&
	    e->binary.matching->card == PROMQL_ONE_TO_ONE)
		e->binary.matching->card = PROMQL_MANY_TO_MANY;
	check_include(p, e);
	if (!is_operand_type(lt))
		promql_error(p, e->binary.lhs->pos, "binary expression must "
		    "contain only scalar and instant vector types");
	if (!is_operand_type(rt))
		promql_error(p, e->binary.rhs->pos, "binary expression must "
		    "contain only scalar and instant vector types");
	check_matching(p, e, lt, rt);
	return lt == PROMQL_TYPE_SCALAR && rt == PROMQL_TYPE_SCALAR ?
	    PROMQL_TYPE_SCALAR : PROMQL_TYPE_VECTOR;
}

static void
check_arity(struct promql_parser *p, const struct promql_expr *e)
{
	const struct promql_func *f = e->call.func;
	size_t n = e->call.n_args, least;

	if (f->variadic == 0) {
		if (n != f->n_args)
			promql_error(p, e->pos, "expected %u argument(s) in "
			    "call to \"%s\", got %zu", f->n_args, f->name, n);
		return;
	}
	least = f->n_args - 1u;
	if (n < least)
		promql_error(p, e->pos, "expected at least %zu argument(s) "
		    "in call to \"%s\", got %zu", least, f->name, n);
	else if (f->variadic > 0 && n > least + (size_t)f->variadic)
		promql_error(p, e->pos, "expected at most %zu argument(s) in "
		    "call to \"%s\", got %zu", least + (size_t)f->variadic,
		    f->name, n);
}

/* info's second argument is a selector that only names labels. */
static void
check_info(struct promql_parser *p, struct promql_expr *e)
{
	struct promql_expr *sel = e->call.args[1];
	enum promql_value_type t = promql_expr_type(sel);

	if (t != PROMQL_TYPE_VECTOR)
		promql_error(p, e->pos, "expected type %s in call to "
		    "function \"info\", got %s",
		    promql_type_text(PROMQL_TYPE_VECTOR),
		    promql_type_text(t));
	if (sel->type != PROMQL_VECTOR)
		promql_error(p, sel->pos, "expected label selectors only");
	else if (sel->vector.name.n != 0)
		promql_error(p, sel->pos, "expected label selectors only, "
		    "got vector selector instead");
	else
		sel->vector.may_be_empty = true;
}

static void
check_call(struct promql_parser *p, struct promql_expr *e)
{
	const struct promql_func *f = e->call.func;
	enum promql_value_type t, want;
	size_t i;

	check_arity(p, e);
	if (f->id == PROMQL_FN_INFO && e->call.n_args > 1)
		check_info(p, e);
	for (i = 0; i < e->call.n_args; i++) {
		if (i >= f->n_args && f->variadic == 0)
			break;
		want = promql_func_arg_type(f, i);
		t = promql_check(p, e->call.args[i]);
		if (t != want)
			promql_error(p, e->call.args[i]->pos,
			    "expected type %s in call to function \"%s\", "
			    "got %s", promql_type_text(want), f->name,
			    promql_type_text(t));
	}
}

static enum promql_value_type
check_unary(struct promql_parser *p, struct promql_expr *e)
{
	enum promql_value_type t = promql_check(p, e->unary.expr);

	if (!is_operand_type(t))
		promql_error(p, e->pos, "unary expression only allowed on "
		    "expressions of type scalar or instant vector, got "
		    "\"%s\"", promql_type_text(t));
	return t;
}

static void
check_subquery(struct promql_parser *p, struct promql_expr *e)
{
	enum promql_value_type t = promql_check(p, e->subquery.expr);

	if (t != PROMQL_TYPE_VECTOR)
		promql_error(p, e->pos, "subquery is only allowed on instant "
		    "vector, got %s instead", promql_type_name(t));
}

static void
check_names(struct promql_parser *p, struct promql_expr *e)
{
	struct buf b;
	size_t i;

	/* The last matcher is the one for the name before the braces. */
	for (i = 0; i + 1 < e->vector.n_matchers; i++) {
		if (!str_eq_c(e->vector.matchers[i].name, LABEL_METRIC_NAME))
			continue;
		buf_init(&b, 0);
		quote_add(&b, e->vector.name);
		buf_add_c(&b, " or ");
		quote_add(&b, e->vector.matchers[i].value);
		promql_error(p, e->pos, "metric name must not be set twice: "
		    "%.*s", STR_ARG(buf_str(&b)));
		buf_clear(&b);
	}
}

static void
check_vector(struct promql_parser *p, struct promql_expr *e)
{
	size_t i;

	if (e->vector.name.n != 0) {
		check_names(p, e);
		return;
	}
	if (e->vector.may_be_empty)
		return;
	for (i = 0; i < e->vector.n_matchers; i++)
		if (!matcher_matches_empty(&e->vector.matchers[i]))
			return;
	promql_error(p, e->pos, "vector selector must contain at least one "
	    "non-empty matcher");
}

enum promql_value_type
promql_check(struct promql_parser *p, struct promql_expr *e)
{
	switch (e->type) {
	case PROMQL_AGGREGATE:
		check_aggregate(p, e);
		return PROMQL_TYPE_VECTOR;
	case PROMQL_BINARY:
		return check_binary(p, e);
	case PROMQL_CALL:
		check_call(p, e);
		return e->call.func->ret;
	case PROMQL_PAREN:
	case PROMQL_STEP_INVARIANT:
		return promql_check(p, e->inner);
	case PROMQL_UNARY:
		return check_unary(p, e);
	case PROMQL_SUBQUERY:
		check_subquery(p, e);
		return PROMQL_TYPE_MATRIX;
	case PROMQL_MATRIX:
		promql_check(p, e->matrix.selector);
		return PROMQL_TYPE_MATRIX;
	case PROMQL_VECTOR:
		check_vector(p, e);
		return PROMQL_TYPE_VECTOR;
	case PROMQL_NUMBER:
	case PROMQL_STRING:
	case PROMQL_DURATION:
		break;
	}
	return promql_expr_type(e);
}
