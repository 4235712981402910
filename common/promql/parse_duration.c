/* SPDX-License-Identifier: ISC */
/*
 * Durations: literals, and expressions over them. Between brackets the whole
 * text is one expression. After `offset` it ends as soon as it can, so that
 * `a offset 5m + 3` adds 3 to the vector: an operator goes on only behind
 * parentheses (`a offset (5m) + 3` is one duration, as in the reference).
 */

#include <math.h>

#include "common/promql/parse_state.h"

#define PREC_LOWEST	1
#define PREC_UNARY	3

static int
precedence(const struct promql_token *t)
{
	if (t->tok != TOK_OP)
		return 0;
	switch (t->op) {
	case PROMQL_OP_ADD:
	case PROMQL_OP_SUB:
		return 1;
	case PROMQL_OP_MUL:
	case PROMQL_OP_DIV:
	case PROMQL_OP_MOD:
		return 2;
	case PROMQL_OP_POW:
		return 3;
	default:
		return 0;
	}
}

static struct promql_expr *parse_duration(struct promql_parser *p, int min);

int64_t
promql_literal_ns(const struct promql_expr *e)
{
	double ns = round(e->number.val * 1e9);

	/* Out of range is what Go makes of it on x86-64. */
	return ns >= -0x1p63 && ns < 0x1p63 ? (int64_t)ns : INT64_MIN;
}

static bool
out_of_range(double seconds)
{
	return seconds > 0x1p63 / 1e9 || seconds < -0x1p63 / 1e9;
}

/* What stands for a duration that was refused. */
static struct promql_expr *
zero(struct promql_parser *p)
{
	return promql_node(p, PROMQL_NUMBER, (struct promql_pos){ 0, 0 });
}

static struct promql_expr *
check_range(struct promql_parser *p, struct promql_expr *e,
    struct promql_pos pos)
{
	if (!out_of_range(e->number.val))
		return e;
	promql_error(p, pos, "duration out of range");
	return zero(p);
}

static struct promql_expr *
make_duration(struct promql_parser *p, enum promql_op op,
    struct promql_pos pos, struct promql_expr *lhs, struct promql_expr *rhs)
{
	struct promql_expr *e = promql_node(p, PROMQL_DURATION, pos);

	if (e == NULL)
		return NULL;
	e->duration.op = op;
	e->duration.lhs = lhs;
	e->duration.rhs = rhs;
	if ((lhs != NULL && !promql_set_above(p, e, lhs)) ||
	    (rhs != NULL && !promql_set_above(p, e, rhs)))
		return NULL;
	return e;
}

/* A number in parentheses becomes +number, to keep them when printed. */
static struct promql_expr *
wrap(struct promql_parser *p, struct promql_expr *e, struct promql_pos pos)
{
	if (e->type == PROMQL_NUMBER)
		e = make_duration(p, PROMQL_OP_ADD, pos, NULL, e);
	if (e != NULL)
		e->duration.wrapped = true;
	return e;
}

static struct promql_expr *
apply_sign(struct promql_parser *p, const struct promql_token *sign,
    struct promql_expr *e)
{
	bool negative = sign->op == PROMQL_OP_SUB;

	if (e->type == PROMQL_NUMBER) {
		if (negative)
			e->number.val *= -1;
		e->pos.start = sign->start;
		return check_range(p, e, promql_token_pos(sign));
	}
	if (!negative)
		return e;
	return make_duration(p, PROMQL_OP_SUB,
	    (struct promql_pos){ sign->start, e->pos.end }, NULL, e);
}

/* step(), range(), min_of(a, b), max_of(a, b) */
static struct promql_expr *
parse_function(struct promql_parser *p)
{
	struct promql_token name = promql_take(p);
	struct promql_expr *lhs = NULL, *rhs = NULL;
	enum promql_op op;

	if (!promql_expect(p, TOK_LEFT_PAREN))
		return NULL;
	if (name.tok == TOK_STEP || name.tok == TOK_RANGE)
		op = name.tok == TOK_STEP ? PROMQL_OP_STEP : PROMQL_OP_RANGE;
	else {
		op = name.tok == TOK_MIN_OF ? PROMQL_OP_MIN_OF :
		    PROMQL_OP_MAX_OF;
		lhs = parse_duration(p, PREC_LOWEST);
		if (lhs == NULL || !promql_expect(p, TOK_COMMA))
			return NULL;
		rhs = parse_duration(p, PREC_LOWEST);
		if (rhs == NULL)
			return NULL;
	}
	if (!promql_expect(p, TOK_RIGHT_PAREN))
		return NULL;
	return make_duration(p, op,
	    (struct promql_pos){ name.start, p->closing }, lhs, rhs);
}

static bool
at_function(struct promql_parser *p)
{
	switch (promql_peek(p)->tok) {
	case TOK_STEP:
	case TOK_RANGE:
	case TOK_MIN_OF:
	case TOK_MAX_OF:
		return true;
	default:
		return false;
	}
}

static bool
at_sign(struct promql_parser *p)
{
	return promql_peek_is_op(p, PROMQL_OP_ADD) ||
	    promql_peek_is_op(p, PROMQL_OP_SUB);
}

/* ( duration ), *inner_out without the parentheses' mark. */
static bool
parse_paren(struct promql_parser *p, struct promql_expr **inner_out,
    struct promql_pos *pos_out)
{
	struct promql_token open = promql_take(p);

	*inner_out = parse_duration(p, PREC_LOWEST);
	if (*inner_out == NULL || !promql_expect(p, TOK_RIGHT_PAREN))
		return false;
	*pos_out = (struct promql_pos){ open.start, p->closing };
	return true;
}

static struct promql_expr *
parse_literal(struct promql_parser *p)
{
	struct promql_expr *e = promql_parse_number(p);

	return e == NULL ? NULL : check_range(p, e, e->pos);
}

static struct promql_expr *
parse_primary(struct promql_parser *p)
{
	struct promql_token sign;
	struct promql_expr *e;
	struct promql_pos pos;

	if (promql_at_number(p))
		return parse_literal(p);
	if (at_function(p))
		return parse_function(p);
	if (promql_peek_is(p, TOK_LEFT_PAREN))
		return parse_paren(p, &e, &pos) ? wrap(p, e, pos) : NULL;
	if (!at_sign(p)) {
		promql_syntax_error(p);
		return NULL;
	}
	sign = promql_take(p);
	e = parse_duration(p, PREC_UNARY);
	return e == NULL ? NULL : apply_sign(p, &sign, e);
}

static struct promql_expr *
parse_operator(struct promql_parser *p, struct promql_expr *lhs, int prec)
{
	struct promql_token op = promql_take(p);
	struct promql_expr *rhs = parse_duration(p,
	    op.op == PROMQL_OP_POW ? prec : prec + 1);

	if (rhs == NULL)
		return NULL;
	if ((op.op == PROMQL_OP_DIV || op.op == PROMQL_OP_MOD) &&
	    rhs->type == PROMQL_NUMBER && rhs->number.val == 0) {
		promql_error(p, promql_token_pos(&op), "%s by zero",
		    op.op == PROMQL_OP_DIV ? "division" : "modulo");
		return zero(p);
	}
	return make_duration(p, (enum promql_op)op.op,
	    promql_pos_merge(lhs->pos, rhs->pos), lhs, rhs);
}

static struct promql_expr *
parse_operators(struct promql_parser *p, struct promql_expr *e, int min)
{
	int prec;

	while (e != NULL && (prec = precedence(promql_peek(p))) >= min)
		e = parse_operator(p, e, prec);
	return e;
}

static struct promql_expr *
parse_duration(struct promql_parser *p, int min)
{
	struct promql_expr *e;

	if (!promql_descend(p))
		return NULL;
	e = parse_operators(p, parse_primary(p), min);
	promql_ascend(p);
	return e;
}

struct promql_expr *
promql_parse_range_duration(struct promql_parser *p)
{
	struct promql_expr *e = parse_duration(p, PREC_LOWEST);

	if (e != NULL && e->type == PROMQL_NUMBER && e->number.val <= 0) {
		promql_error(p, e->pos, "duration must be greater than 0");
		return zero(p);
	}
	return e;
}

static struct promql_expr *
parse_signed_offset(struct promql_parser *p)
{
	struct promql_token sign = promql_take(p);
	struct promql_expr *e;
	struct promql_pos pos;

	if (promql_at_number(p)) {
		e = promql_parse_number(p);
		return e == NULL ? NULL : apply_sign(p, &sign, e);
	}
	if (at_function(p)) {
		e = parse_function(p);
		if (e == NULL)
			return NULL;
		/* The reference leaves the parenthesis out here. */
		if (e->duration.rhs != NULL)
			e->pos.end = e->duration.rhs->pos.end;
		return make_duration(p, (enum promql_op)sign.op,
		    (struct promql_pos){ sign.start, e->pos.end }, NULL, e);
	}
	if (promql_peek_is(p, TOK_LEFT_PAREN)) {
		if (!parse_paren(p, &e, &pos))
			return NULL;
		e = wrap(p, e, e->pos);
		return e == NULL ? NULL : apply_sign(p, &sign, e);
	}
	e = parse_duration(p, PREC_UNARY);
	if (e == NULL)
		return NULL;
	return parse_operators(p, apply_sign(p, &sign, e), PREC_LOWEST);
}

struct promql_expr *
promql_parse_offset_duration(struct promql_parser *p)
{
	if (promql_at_number(p))
		return parse_literal(p);
	if (at_function(p))
		return parse_function(p);
	if (at_sign(p))
		return parse_signed_offset(p);
	return parse_duration(p, PREC_LOWEST);
}
