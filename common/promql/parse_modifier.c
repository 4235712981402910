/* SPDX-License-Identifier: ISC */
/*
 * What follows an operand: ranges and subqueries, offset, @, anchored and
 * smoothed. A modifier that does not fit its operand is an error, not a
 * syntax error: the parse goes on.
 */

#include <math.h>

#include "common/promql/parse_state.h"

static const struct promql_parse_ctx ctx_bracket = {
	.where = "subquery or range selector",
	.expected = "number, duration, step(), or range()" };
static const struct promql_parse_ctx ctx_range = {
	.where = "subquery or range", .expected = "\":\" or \"]\"" };
static const struct promql_parse_ctx ctx_step = {
	.where = "subquery selector",
	.expected = "number, duration, step(), range(), or \"]\"" };
static const struct promql_parse_ctx ctx_step_end = {
	.where = "subquery selector", .expected = "\"]\"" };
static const struct promql_parse_ctx ctx_offset = {
	.where = "offset",
	.expected = "number, duration, step(), or range()" };
static const struct promql_parse_ctx ctx_at = {
	.where = "@", .expected = "timestamp" };

/* --- ranges and subqueries --- */

/* A literal's nanoseconds, or the tree of a duration expression. */
static void
set_duration(struct promql_expr *d, int64_t *ns, struct promql_expr **expr)
{
	if (d->type == PROMQL_NUMBER)
		*ns = promql_literal_ns(d);
	else
		*expr = d;
}

static struct promql_expr *
make_matrix(struct promql_parser *p, struct promql_expr *sel,
    struct promql_expr *range, struct promql_pos brackets)
{
	const char *msg = NULL;
	struct promql_expr *e;

	if (sel->type != PROMQL_VECTOR)
		msg = "ranges only allowed for vector selectors";
	else if (sel->vector.mod.offset_ns != 0 ||
	    sel->vector.mod.offset_expr != NULL)
		msg = "no offset modifiers allowed before range";
	else if (sel->vector.mod.at != PROMQL_AT_NONE)
		msg = "no @ modifiers allowed before range";
	if (msg != NULL)
		promql_error(p, brackets, "%s", msg);
	e = promql_node(p, PROMQL_MATRIX,
	    (struct promql_pos){ sel->pos.start, p->closing });
	if (e == NULL)
		return NULL;
	e->matrix.selector = sel;
	set_duration(range, &e->matrix.range_ns, &e->matrix.range_expr);
	return promql_set_above(p, e, sel) ? e : NULL;
}

static struct promql_expr *
make_subquery(struct promql_parser *p, struct promql_expr *inner,
    struct promql_expr *range, struct promql_expr *step)
{
	struct promql_expr *e = promql_node(p, PROMQL_SUBQUERY,
	    (struct promql_pos){ inner->pos.start, p->closing });

	if (e == NULL)
		return NULL;
	e->subquery.expr = inner;
	set_duration(range, &e->subquery.range_ns, &e->subquery.range_expr);
	if (step != NULL)
		set_duration(step, &e->subquery.step_ns,
		    &e->subquery.step_expr);
	return promql_set_above(p, e, inner) ? e : NULL;
}

static struct promql_expr *
parse_bracket(struct promql_parser *p, struct promql_expr *e)
{
	struct promql_parse_ctx saved = p->ctx;
	struct promql_token open = promql_take(p);
	struct promql_expr *range, *step = NULL;

	p->ctx = ctx_bracket;
	range = promql_parse_range_duration(p);
	if (range == NULL)
		return NULL;
	p->ctx = ctx_range;
	if (promql_peek_is(p, TOK_RIGHT_BRACKET)) {
		promql_take(p);
		p->ctx = saved;
		return make_matrix(p, e, range,
		    (struct promql_pos){ open.start, p->closing });
	}
	if (!promql_expect(p, TOK_COLON))
		return NULL;
	p->ctx = ctx_step;
	if (!promql_peek_is(p, TOK_RIGHT_BRACKET)) {
		step = promql_parse_range_duration(p);
		if (step == NULL)
			return NULL;
		p->ctx = ctx_step_end;
	}
	if (!promql_expect(p, TOK_RIGHT_BRACKET))
		return NULL;
	p->ctx = saved;
	return make_subquery(p, e, range, step);
}

/* --- modifiers --- */

/*
 * The modifiers of a selector or subquery, and whose end moves with them.
 * NULL, with an error that names what, for others.
 */
static struct promql_modifiers *
modifiers_of(struct promql_parser *p, struct promql_expr *e, const char *what)
{
	switch (e->type) {
	case PROMQL_VECTOR:
		return &e->vector.mod;
	case PROMQL_SUBQUERY:
		return &e->subquery.mod;
	case PROMQL_MATRIX:
		if (e->matrix.selector->type == PROMQL_VECTOR)
			return &e->matrix.selector->vector.mod;
		promql_error(p, e->pos,
		    "ranges only allowed for vector selectors");
		return NULL;
	default:
		promql_error(p, e->pos, "%s modifier must be preceded by an "
		    "instant vector selector or range vector selector or a "
		    "subquery", what);
		return NULL;
	}
}

static bool
parse_offset(struct promql_parser *p, struct promql_expr *e)
{
	struct promql_parse_ctx saved = p->ctx;
	struct promql_modifiers *mod;
	struct promql_expr *d;

	promql_take(p);
	p->ctx = ctx_offset;
	d = promql_parse_offset_duration(p);
	if (d == NULL)
		return false;
	p->ctx = saved;
	mod = modifiers_of(p, e, "offset");
	if (mod == NULL)
		return true;
	if (mod->offset_ns != 0 || mod->offset_expr != NULL)
		promql_error(p, e->pos,
		    "offset may not be set multiple times");
	else
		set_duration(d, &mod->offset_ns, &mod->offset_expr);
	e->pos.end = p->closing;
	return true;
}

/* Go's %f. */
static void
error_timestamp(struct promql_parser *p, struct promql_pos pos, double t)
{
	const char *msg = "timestamp out of bounds for @ modifier: ";

	if (isnan(t))
		promql_error(p, pos, "%sNaN", msg);
	else if (isinf(t))
		promql_error(p, pos, "%s%cInf", msg, t < 0 ? '-' : '+');
	else
		promql_error(p, pos, "%s%f", msg, t);
}

static int64_t
seconds_to_ms(double t)
{
	double ms = round(t * 1000);

	/* Out of range is what Go makes of it on x86-64. */
	return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}

static void
set_at(struct promql_parser *p, struct promql_expr *e, enum promql_at at,
    double t)
{
	struct promql_modifiers *mod;

	if (at == PROMQL_AT_TIME &&
	    (isnan(t) || t >= 0x1p63 || t <= -0x1p63))
		error_timestamp(p, e->pos, t);
	mod = modifiers_of(p, e, "@");
	if (mod == NULL)
		return;
	if (mod->at != PROMQL_AT_NONE) {
		promql_error(p, e->pos,
		    "@ <timestamp> may not be set multiple times");
		return;
	}
	mod->at = at;
	if (at == PROMQL_AT_TIME)
		mod->at_ms = seconds_to_ms(t);
	e->pos.end = p->closing;
}

static bool
parse_at(struct promql_parser *p, struct promql_expr *e)
{
	struct promql_parse_ctx saved = p->ctx;
	enum promql_at at = PROMQL_AT_TIME;
	struct promql_token t = { 0 };
	bool negative = false;
	double val = 0;

	promql_take(p);
	p->ctx = ctx_at;
	if (promql_peek_is(p, TOK_START) || promql_peek_is(p, TOK_END)) {
		at = promql_take(p).tok == TOK_START ? PROMQL_AT_START :
		    PROMQL_AT_END;
		if (!promql_expect(p, TOK_LEFT_PAREN) ||
		    !promql_expect(p, TOK_RIGHT_PAREN))
			return false;
	} else {
		if (promql_peek_is_op(p, PROMQL_OP_ADD) ||
		    promql_peek_is_op(p, PROMQL_OP_SUB))
			negative = promql_take(p).op == PROMQL_OP_SUB;
		if (!promql_at_number(p)) {
			promql_syntax_error(p);
			return false;
		}
		t = promql_take(p);
		val = promql_number_value(p, &t);
	}
	p->ctx = saved;
	set_at(p, e, at, negative ? -val : val);
	return true;
}

static void
set_extended(struct promql_parser *p, struct promql_expr *e, bool anchored)
{
	const char *what = anchored ? "anchored" : "smoothed";
	struct promql_expr *v = e;

	if (!p->opts.extended_range_selectors) {
		promql_error(p, e->pos,
		    "%s modifier is experimental and not enabled", what);
		return;
	}
	if (e->type == PROMQL_SUBQUERY) {
		promql_error(p, e->pos,
		    "%s modifier is not supported for subqueries", what);
		return;
	}
	if (e->type == PROMQL_MATRIX) {
		v = e->matrix.selector;
		if (v->type != PROMQL_VECTOR)
			return;
	}
	if (v->type != PROMQL_VECTOR) {
		promql_error(p, e->pos, "%s modifier not implemented", what);
		return;
	}
	if (anchored)
		v->vector.anchored = true;
	else
		v->vector.smoothed = true;
	if (v->vector.anchored && v->vector.smoothed)
		promql_error(p, e->pos, "anchored and smoothed modifiers "
		    "cannot be used together");
}

struct promql_expr *
promql_parse_postfix(struct promql_parser *p, struct promql_expr *e)
{
	while (e != NULL) {
		switch (promql_peek(p)->tok) {
		case TOK_LEFT_BRACKET:
			e = parse_bracket(p, e);
			break;
		case TOK_OFFSET:
			if (!parse_offset(p, e))
				return NULL;
			break;
		case TOK_AT:
			if (!parse_at(p, e))
				return NULL;
			break;
		case TOK_ANCHORED:
		case TOK_SMOOTHED:
			set_extended(p, e,
			    promql_take(p).tok == TOK_ANCHORED);
			break;
		default:
			return e;
		}
	}
	return NULL;
}
