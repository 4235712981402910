/* SPDX-License-Identifier: ISC */
/*
 * Expressions: operators by precedence, operands, calls and aggregations.
 * A function that returns NULL has stopped the parse and left an error.
 */

#include "common/promql/parse_state.h"

#define PREC_LOWEST	1
#define PREC_UNARY	6	/* a sign takes operators above * */

static int
precedence(const struct promql_token *t)
{
	if (t->tok != TOK_OP)
		return 0;
	switch (t->op) {
	case PROMQL_OP_OR:
		return 1;
	case PROMQL_OP_AND:
	case PROMQL_OP_UNLESS:
		return 2;
	case PROMQL_OP_EQLC:
	case PROMQL_OP_NEQ:
	case PROMQL_OP_LTE:
	case PROMQL_OP_LSS:
	case PROMQL_OP_GTE:
	case PROMQL_OP_GTR:
	case PROMQL_OP_TRIM_UPPER:
	case PROMQL_OP_TRIM_LOWER:
		return 3;
	case PROMQL_OP_ADD:
	case PROMQL_OP_SUB:
		return 4;
	case PROMQL_OP_MUL:
	case PROMQL_OP_DIV:
	case PROMQL_OP_MOD:
	case PROMQL_OP_ATAN2:
		return 5;
	default:
		return 6;	/* ^, right associative */
	}
}

static struct promql_expr *parse_binary(struct promql_parser *p, int min);

/* --- calls --- */

/* Tokens that an expression may begin with. */
static bool
begins_expr(const struct promql_token *t)
{
	switch (t->tok) {
	case TOK_NUMBER:
	case TOK_DURATION:
	case TOK_STRING:
	case TOK_LEFT_PAREN:
	case TOK_LEFT_BRACE:
		return true;
	case TOK_OP:
		if (t->op == PROMQL_OP_ADD || t->op == PROMQL_OP_SUB)
			return true;
		return promql_is_metric_name(t);
	default:
		return promql_is_metric_name(t);
	}
}

struct args {
	struct promql_expr	**v;
	size_t			 n;
	size_t			 cap;
};

static bool
parse_arg(struct promql_parser *p, struct args *args)
{
	struct promql_expr *e = promql_parse_expr(p);

	if (e == NULL || promql_push(p, &args->v, args->n, &args->cap,
	    sizeof(*args->v)) == -1)
		return false;
	args->v[args->n++] = e;
	return true;
}

/* ( expr, … ); a trailing comma is an error of its own. */
static bool
parse_args(struct promql_parser *p, struct args *args)
{
	struct promql_token comma;

	if (!promql_expect(p, TOK_LEFT_PAREN))
		return false;
	if (promql_peek_is(p, TOK_RIGHT_PAREN)) {
		promql_take(p);
		return true;
	}
	if (!parse_arg(p, args))
		return false;
	while (promql_peek_is(p, TOK_COMMA)) {
		comma = promql_take(p);
		if (begins_expr(promql_peek(p))) {
			if (!parse_arg(p, args))
				return false;
		} else
			promql_error(p, promql_token_pos(&comma),
			    "trailing commas not allowed in function call "
			    "args");
	}
	return promql_expect(p, TOK_RIGHT_PAREN);
}

static struct promql_expr *
parse_call(struct promql_parser *p, const struct promql_token *name)
{
	const struct promql_func *f = promql_func_find(name->text);
	struct args args = { 0 };
	struct promql_expr *e;
	size_t i;

	if (!parse_args(p, &args))
		return NULL;
	if (f == NULL)
		promql_error_quoted(p, promql_token_pos(name),
		    "unknown function with name ", name->text, "");
	else if (f->experimental && !p->opts.experimental_functions)
		promql_error_quoted(p, promql_token_pos(name), "function ",
		    name->text, " is not enabled");
	e = promql_node(p, PROMQL_CALL,
	    (struct promql_pos){ name->start, p->closing });
	if (e == NULL)
		return NULL;
	e->call.func = f;
	e->call.args = args.v;
	e->call.n_args = args.n;
	for (i = 0; i < args.n; i++)
		if (!promql_set_above(p, e, args.v[i]))
			return NULL;
	return e;
}

/* --- aggregations --- */

/*
 * An aggregation without a clause behind it ends at its own parenthesis,
 * but the token after it has been read by then. When that is a parenthesis
 * too, the one before it is looked for.
 */
static int32_t
previous_paren(const struct promql_parser *p)
{
	const struct promql_lexer *l = &p->lex;
	size_t i;

	if (p->closing <= 0 || l->last_pos == 0 ||
	    l->last_pos >= l->input.n || l->input.p[l->last_pos] != ')')
		return p->closing;
	for (i = l->last_pos - 1; i > 0; i--) {
		if (l->input.p[i] == ')')
			return (int32_t)i + 1;
		if (!promql_rune_is_space(l->input.p[i]))
			break;
	}
	return p->closing;
}

static bool
at_grouping(struct promql_parser *p)
{
	return promql_peek_is(p, TOK_BY) || promql_peek_is(p, TOK_WITHOUT);
}

static bool
parse_clause(struct promql_parser *p, struct promql_strs *out, bool *without)
{
	*without = promql_take(p).tok == TOK_WITHOUT;
	return promql_parse_grouping(p, out) == 0;
}

static struct promql_expr *
make_aggregate(struct promql_parser *p, struct promql_expr *e,
    const struct args *args)
{
	size_t want = promql_agg_has_param(e->agg.op) ? 2 : 1;
	size_t i;

	if (args->n == 0) {
		promql_error(p, e->pos,
		    "no arguments for aggregate expression provided");
		return e;
	}
	if (!p->opts.experimental_functions &&
	    (e->agg.op == PROMQL_AGG_LIMITK ||
	    e->agg.op == PROMQL_AGG_LIMIT_RATIO)) {
		promql_error(p, e->pos, "%s() is experimental and must be "
		    "enabled with --enable-feature="
		    "promql-experimental-functions",
		    promql_agg_text(e->agg.op));
		return e;
	}
	if (args->n != want) {
		promql_error(p, e->pos, "wrong number of arguments for "
		    "aggregate expression provided, expected %zu, got %zu",
		    want, args->n);
		return e;
	}
	if (want == 2)
		e->agg.param = args->v[0];
	e->agg.expr = args->v[want - 1];
	for (i = 0; i < want; i++)
		if (!promql_set_above(p, e, args->v[i]))
			return NULL;
	return e;
}

static struct promql_expr *
parse_aggregate(struct promql_parser *p, const struct promql_token *op)
{
	struct promql_parse_ctx saved = p->ctx;
	struct promql_strs grouping = { 0 };
	struct args args = { 0 };
	struct promql_expr *e;
	bool without = false, done = false;
	int32_t end;

	p->ctx = (struct promql_parse_ctx){ .where = "aggregation",
	    .in_agg = true, .agg_start = op->start };
	if (at_grouping(p)) {
		if (!parse_clause(p, &grouping, &without))
			return NULL;
		done = true;
	}
	if (!parse_args(p, &args))
		return NULL;
	if (done)
		end = p->closing;
	else if (at_grouping(p)) {
		if (!parse_clause(p, &grouping, &without))
			return NULL;
		end = p->closing;
	} else
		end = previous_paren(p);
	p->ctx = saved;
	e = promql_node(p, PROMQL_AGGREGATE,
	    (struct promql_pos){ op->start, end });
	if (e == NULL)
		return NULL;
	e->agg.op = (enum promql_agg)op->agg;
	e->agg.grouping = grouping;
	e->agg.without = without;
	return make_aggregate(p, e, &args);
}

/* --- operands --- */

static struct promql_expr *
parse_paren(struct promql_parser *p)
{
	struct promql_token open = promql_take(p);
	struct promql_expr *inner = promql_parse_expr(p), *e;

	if (inner == NULL || !promql_expect(p, TOK_RIGHT_PAREN))
		return NULL;
	e = promql_node(p, PROMQL_PAREN,
	    (struct promql_pos){ open.start, p->closing });
	if (e == NULL)
		return NULL;
	e->inner = inner;
	return promql_set_above(p, e, inner) ? e : NULL;
}

static struct promql_expr *
parse_string(struct promql_parser *p)
{
	struct promql_token t = promql_take(p);
	struct promql_expr *e = promql_node(p, PROMQL_STRING,
	    promql_token_pos(&t));

	if (e != NULL)
		e->string = promql_unquote(p, &t);
	return e;
}

/* A word: by what follows it a call, an aggregation or a metric's name. */
static struct promql_expr *
parse_word(struct promql_parser *p)
{
	struct promql_token t = promql_take(p);

	switch (t.tok) {
	case TOK_IDENTIFIER:
	case TOK_START:
	case TOK_END:
	case TOK_STEP:
	case TOK_RANGE:
	case TOK_MAX_OF:
	case TOK_MIN_OF:
		if (promql_peek_is(p, TOK_LEFT_PAREN))
			return parse_call(p, &t);
		break;
	case TOK_AGG:
		if (promql_peek_is(p, TOK_LEFT_PAREN) || at_grouping(p))
			return parse_aggregate(p, &t);
		break;
	default:
		break;
	}
	return promql_parse_vector(p, &t);
}

static struct promql_expr *
parse_operand(struct promql_parser *p)
{
	const struct promql_token *t = promql_peek(p);

	switch (t->tok) {
	case TOK_NUMBER:
	case TOK_DURATION:
		return promql_parse_number(p);
	case TOK_STRING:
		return parse_string(p);
	case TOK_LEFT_PAREN:
		return parse_paren(p);
	case TOK_LEFT_BRACE:
		return promql_parse_vector(p, NULL);
	default:
		if (promql_is_metric_name(t))
			return parse_word(p);
		promql_syntax_error(p);
		return NULL;
	}
}

/* A sign before a number becomes part of it. */
static struct promql_expr *
parse_sign(struct promql_parser *p)
{
	struct promql_token op = promql_take(p);
	struct promql_expr *inner = parse_binary(p, PREC_UNARY), *e;

	if (inner == NULL)
		return NULL;
	if (inner->type == PROMQL_NUMBER) {
		if (op.op == PROMQL_OP_SUB)
			inner->number.val *= -1;
		inner->pos.start = op.start;
		return inner;
	}
	e = promql_node(p, PROMQL_UNARY,
	    (struct promql_pos){ op.start, inner->pos.end });
	if (e == NULL)
		return NULL;
	e->unary.op = (enum promql_op)op.op;
	e->unary.expr = inner;
	return promql_set_above(p, e, inner) ? e : NULL;
}

static struct promql_expr *
parse_unary(struct promql_parser *p)
{
	struct promql_expr *e;

	if (promql_peek_is_op(p, PROMQL_OP_ADD) ||
	    promql_peek_is_op(p, PROMQL_OP_SUB))
		return parse_sign(p);
	e = parse_operand(p);
	return e == NULL ? NULL : promql_parse_postfix(p, e);
}

/* --- binary operators --- */

static bool
parse_fill_value(struct promql_parser *p, double *out)
{
	struct promql_token sign = { 0 };
	struct promql_expr *e;

	promql_take(p);
	if (!promql_expect(p, TOK_LEFT_PAREN))
		return false;
	if (promql_peek_is_op(p, PROMQL_OP_ADD) ||
	    promql_peek_is_op(p, PROMQL_OP_SUB))
		sign = promql_take(p);
	if (!promql_at_number(p)) {
		promql_syntax_error(p);
		return false;
	}
	e = promql_parse_number(p);
	if (e == NULL || !promql_expect(p, TOK_RIGHT_PAREN))
		return false;
	*out = sign.op == PROMQL_OP_SUB ? -e->number.val : e->number.val;
	return true;
}

/* fill(v), or fill_left(v) and fill_right(v) in any order. */
static bool
parse_fill(struct promql_parser *p, struct promql_matching *m)
{
	if (promql_peek_is(p, TOK_FILL)) {
		m->has_fill_lhs = m->has_fill_rhs = true;
		if (!parse_fill_value(p, &m->fill_lhs))
			return false;
		m->fill_rhs = m->fill_lhs;
		return true;
	}
	while ((promql_peek_is(p, TOK_FILL_LEFT) && !m->has_fill_lhs) ||
	    (promql_peek_is(p, TOK_FILL_RIGHT) && !m->has_fill_rhs)) {
		if (promql_peek_is(p, TOK_FILL_LEFT)) {
			m->has_fill_lhs = true;
			if (!parse_fill_value(p, &m->fill_lhs))
				return false;
		} else {
			m->has_fill_rhs = true;
			if (!parse_fill_value(p, &m->fill_rhs))
				return false;
		}
	}
	return true;
}

/* bool, on/ignoring, group_left/right, fill: in this order. */
static bool
parse_matching(struct promql_parser *p, struct promql_expr *e)
{
	struct promql_matching *m = arena_zalloc(p->a, sizeof(*m));

	if (m == NULL) {
		promql_no_memory(p);
		return false;
	}
	e->binary.matching = m;
	if (promql_peek_is(p, TOK_BOOL)) {
		promql_take(p);
		e->binary.return_bool = true;
	}
	if (promql_peek_is(p, TOK_ON) || promql_peek_is(p, TOK_IGNORING)) {
		m->on = promql_take(p).tok == TOK_ON;
		if (promql_parse_grouping(p, &m->labels) == -1)
			return false;
		if (promql_peek_is(p, TOK_GROUP_LEFT) ||
		    promql_peek_is(p, TOK_GROUP_RIGHT)) {
			m->card = promql_take(p).tok == TOK_GROUP_LEFT ?
			    PROMQL_MANY_TO_ONE : PROMQL_ONE_TO_MANY;
			if (promql_peek_is(p, TOK_LEFT_PAREN) &&
			    promql_parse_grouping(p, &m->include) == -1)
				return false;
		}
	}
	return parse_fill(p, m);
}

static struct promql_expr *
parse_operator(struct promql_parser *p, struct promql_expr *lhs, int prec)
{
	struct promql_token op = promql_take(p);
	struct promql_expr *e = promql_node(p, PROMQL_BINARY, lhs->pos);

	if (e == NULL || !parse_matching(p, e))
		return NULL;
	e->binary.op = (enum promql_op)op.op;
	e->binary.lhs = lhs;
	e->binary.rhs = parse_binary(p,
	    op.op == PROMQL_OP_POW ? prec : prec + 1);
	if (e->binary.rhs == NULL)
		return NULL;
	e->pos.end = e->binary.rhs->pos.end;
	if (!p->opts.fill_modifiers && (e->binary.matching->has_fill_lhs ||
	    e->binary.matching->has_fill_rhs))
		promql_error(p, e->pos,
		    "binop fill modifiers are experimental and not enabled");
	return promql_set_above(p, e, lhs) &&
	    promql_set_above(p, e, e->binary.rhs) ? e : NULL;
}

static struct promql_expr *
parse_binary(struct promql_parser *p, int min)
{
	struct promql_expr *e;
	int prec;

	if (!promql_descend(p))
		return NULL;
	e = parse_unary(p);
	while (e != NULL && (prec = precedence(promql_peek(p))) >= min)
		e = parse_operator(p, e, prec);
	promql_ascend(p);
	return e;
}

struct promql_expr *
promql_parse_expr(struct promql_parser *p)
{
	return parse_binary(p, PREC_LOWEST);
}
