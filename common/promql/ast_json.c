/* SPDX-License-Identifier: ISC */
/*
 * The tree as /api/v1/parse_query gives it to the UI: an object a node, keys
 * in the order of the alphabet, absent parts null.
 */

#include <inttypes.h>
#include <math.h>

#include "common/base/float_text.h"
#include "common/base/json.h"
#include "common/promql/ast.h"
#include "common/promql/functab.h"

static void
add_str(struct buf *out, struct str s)
{
	json_add_str(out, s, true);
}

/* ,"key":"text" (the comma unless it is the first) */
static void
add_text(struct buf *out, const char *key, struct str s)
{
	json_add_key(out, key);
	add_str(out, s);
}

static void
add_bool(struct buf *out, const char *key, bool v)
{
	json_add_key(out, key);
	buf_add_c(out, v ? "true" : "false");
}

static void
add_int(struct buf *out, const char *key, int64_t v)
{
	json_add_key(out, key);
	buf_add_i64_text(out, v);
}

/* A child, or null. */
static void
add_node(struct buf *out, const char *key, const struct promql_expr *e)
{
	json_add_key(out, key);
	if (e == NULL)
		buf_add_c(out, "null");
	else
		promql_expr_json(e, out);
}

static void
add_comma(struct buf *out)
{
	buf_add_byte(out, ',');
}

static void
add_strs(struct buf *out, const char *key, const struct promql_strs *ss)
{
	size_t i;

	json_add_key(out, key);
	buf_add_byte(out, '[');
	for (i = 0; i < ss->n; i++) {
		if (i > 0)
			add_comma(out);
		add_str(out, ss->v[i]);
	}
	buf_add_byte(out, ']');
}

static void
add_type(struct buf *out, const char *type)
{
	add_text(out, "type", str_c(type));
}

static void
add_float(struct buf *out, const char *key, bool has, double v)
{
	char text[FLOAT_TEXT_MAX];

	json_add_key(out, key);
	if (!has || !isfinite(v))
		buf_add_c(out, "null");
	else
		buf_add(out, text, float_format_json(v, text));
}

static void
add_number_val(struct buf *out, const struct promql_expr *e)
{
	char text[FLOAT_TEXT_MAX];

	add_text(out, "val", str_from(text,
	    float_format_f(e->number.val, text)));
}

static void
add_matchers(struct buf *out, const struct promql_expr *v)
{
	size_t i;

	json_add_key(out, "matchers");
	buf_add_byte(out, '[');
	for (i = 0; i < v->vector.n_matchers; i++) {
		const struct matcher *m = &v->vector.matchers[i];

		if (i > 0)
			add_comma(out);
		buf_add_byte(out, '{');
		add_text(out, "name", m->name);
		add_comma(out);
		add_text(out, "type", str_c(matcher_type_text(m->type)));
		add_comma(out);
		add_text(out, "value", m->value);
		buf_add_byte(out, '}');
	}
	buf_add_byte(out, ']');
}

static void
add_start_or_end(struct buf *out, const struct promql_modifiers *mod)
{
	json_add_key(out, "startOrEnd");
	buf_add_c(out, mod->at == PROMQL_AT_START ? "\"start\"" :
	    mod->at == PROMQL_AT_END ? "\"end\"" : "null");
}

static void
add_timestamp(struct buf *out, const struct promql_modifiers *mod)
{
	json_add_key(out, "timestamp");
	if (mod->at == PROMQL_AT_TIME)
		buf_add_i64_text(out, mod->at_ms);
	else
		buf_add_c(out, "null");
}

/* A vector selector, or with m the range selector over it. */
static void
add_selector(struct buf *out, const struct promql_expr *v,
    const struct promql_expr *m)
{
	const struct promql_modifiers *mod = &v->vector.mod;

	add_bool(out, "anchored", v->vector.anchored);
	add_comma(out);
	add_matchers(out, v);
	add_comma(out);
	add_text(out, "name", v->vector.name);
	add_comma(out);
	add_int(out, "offset", promql_ns_to_ms(mod->offset_ns));
	add_comma(out);
	add_node(out, "offsetExpr", mod->offset_expr);
	add_comma(out);
	if (m != NULL) {
		add_int(out, "range", promql_ns_to_ms(m->matrix.range_ns));
		add_comma(out);
		add_node(out, "rangeExpr", m->matrix.range_expr);
		add_comma(out);
	}
	add_bool(out, "smoothed", v->vector.smoothed);
	add_comma(out);
	add_start_or_end(out, mod);
	add_comma(out);
	add_timestamp(out, mod);
	add_comma(out);
	add_type(out, m != NULL ? "matrixSelector" : "vectorSelector");
}

static void
add_subquery(struct buf *out, const struct promql_expr *e)
{
	const struct promql_modifiers *mod = &e->subquery.mod;

	add_node(out, "expr", e->subquery.expr);
	add_comma(out);
	add_int(out, "offset", promql_ns_to_ms(mod->offset_ns));
	add_comma(out);
	add_node(out, "offsetExpr", mod->offset_expr);
	add_comma(out);
	add_int(out, "range", promql_ns_to_ms(e->subquery.range_ns));
	add_comma(out);
	add_node(out, "rangeExpr", e->subquery.range_expr);
	add_comma(out);
	add_start_or_end(out, mod);
	add_comma(out);
	add_int(out, "step", promql_ns_to_ms(e->subquery.step_ns));
	add_comma(out);
	add_node(out, "stepExpr", e->subquery.step_expr);
	add_comma(out);
	add_timestamp(out, mod);
	add_comma(out);
	add_type(out, "subquery");
}

static void
add_func(struct buf *out, const struct promql_func *f)
{
	size_t i;

	json_add_key(out, "func");
	buf_add_byte(out, '{');
	json_add_key(out, "argTypes");
	buf_add_byte(out, '[');
	for (i = 0; i < f->n_args; i++) {
		if (i > 0)
			add_comma(out);
		add_str(out, str_c(promql_type_name(
		    promql_func_arg_type(f, i))));
	}
	buf_add_c(out, "],");
	add_text(out, "name", str_c(f->name));
	add_comma(out);
	add_text(out, "returnType", str_c(promql_type_name(f->ret)));
	add_comma(out);
	add_int(out, "variadic", f->variadic);
	buf_add_byte(out, '}');
}

static void
add_call(struct buf *out, const struct promql_expr *e)
{
	size_t i;

	json_add_key(out, "args");
	buf_add_byte(out, '[');
	for (i = 0; i < e->call.n_args; i++) {
		if (i > 0)
			add_comma(out);
		promql_expr_json(e->call.args[i], out);
	}
	buf_add_c(out, "],");
	add_func(out, e->call.func);
	add_comma(out);
	add_type(out, "call");
}

static void
add_aggregate(struct buf *out, const struct promql_expr *e)
{
	add_node(out, "expr", e->agg.expr);
	add_comma(out);
	add_strs(out, "grouping", &e->agg.grouping);
	add_comma(out);
	add_text(out, "op", str_c(promql_agg_text(e->agg.op)));
	add_comma(out);
	add_node(out, "param", e->agg.param);
	add_comma(out);
	add_type(out, "aggregation");
	add_comma(out);
	add_bool(out, "without", e->agg.without);
}

static void
add_matching(struct buf *out, const struct promql_matching *m)
{
	json_add_key(out, "matching");
	if (m == NULL) {
		buf_add_c(out, "null");
		return;
	}
	buf_add_byte(out, '{');
	add_text(out, "card", str_c(promql_card_text(m->card)));
	add_comma(out);
	json_add_key(out, "fillValues");
	buf_add_byte(out, '{');
	add_float(out, "lhs", m->has_fill_lhs, m->fill_lhs);
	add_comma(out);
	add_float(out, "rhs", m->has_fill_rhs, m->fill_rhs);
	buf_add_c(out, "},");
	add_strs(out, "include", &m->include);
	add_comma(out);
	add_strs(out, "labels", &m->labels);
	add_comma(out);
	add_bool(out, "on", m->on);
	buf_add_byte(out, '}');
}

static void
add_binary(struct buf *out, const struct promql_expr *e)
{
	add_bool(out, "bool", e->binary.return_bool);
	add_comma(out);
	add_node(out, "lhs", e->binary.lhs);
	add_comma(out);
	add_matching(out, e->binary.matching);
	add_comma(out);
	add_text(out, "op", str_c(promql_op_text(e->binary.op)));
	add_comma(out);
	add_node(out, "rhs", e->binary.rhs);
	add_comma(out);
	add_type(out, "binaryExpr");
}

/* Numbers inside a duration expression say how they were written. */
static void
add_duration_operand(struct buf *out, const char *key,
    const struct promql_expr *e)
{
	if (e == NULL || e->type != PROMQL_NUMBER) {
		add_node(out, key, e);
		return;
	}
	json_add_key(out, key);
	buf_add_byte(out, '{');
	add_bool(out, "duration", e->number.is_duration);
	add_comma(out);
	add_type(out, "numberLiteral");
	add_comma(out);
	add_number_val(out, e);
	buf_add_byte(out, '}');
}

static void
add_duration(struct buf *out, const struct promql_expr *e)
{
	add_duration_operand(out, "lhs", e->duration.lhs);
	add_comma(out);
	add_text(out, "op", str_c(promql_op_text(e->duration.op)));
	add_comma(out);
	add_duration_operand(out, "rhs", e->duration.rhs);
	add_comma(out);
	add_type(out, "durationExpr");
	add_comma(out);
	add_bool(out, "wrapped", e->duration.wrapped);
}

static void
add_members(struct buf *out, const struct promql_expr *e)
{
	switch (e->type) {
	case PROMQL_NUMBER:
		add_type(out, "numberLiteral");
		add_comma(out);
		add_number_val(out, e);
		break;
	case PROMQL_STRING:
		add_type(out, "stringLiteral");
		add_comma(out);
		add_text(out, "val", e->string);
		break;
	case PROMQL_VECTOR:
		add_selector(out, e, NULL);
		break;
	case PROMQL_MATRIX:
		add_selector(out, e->matrix.selector, e);
		break;
	case PROMQL_SUBQUERY:
		add_subquery(out, e);
		break;
	case PROMQL_CALL:
		add_call(out, e);
		break;
	case PROMQL_AGGREGATE:
		add_aggregate(out, e);
		break;
	case PROMQL_BINARY:
		add_binary(out, e);
		break;
	case PROMQL_UNARY:
		add_node(out, "expr", e->unary.expr);
		add_comma(out);
		add_text(out, "op", str_c(promql_op_text(e->unary.op)));
		add_comma(out);
		add_type(out, "unaryExpr");
		break;
	case PROMQL_PAREN:
	case PROMQL_STEP_INVARIANT:
		add_node(out, "expr", e->inner);
		add_comma(out);
		add_type(out, "parenExpr");
		break;
	case PROMQL_DURATION:
		add_duration(out, e);
		break;
	}
}

void
promql_expr_json(const struct promql_expr *e, struct buf *out)
{
	if (buf_failed(out))
		return;
	if (e->type == PROMQL_STEP_INVARIANT) {
		promql_expr_json(e->inner, out);
		return;
	}
	buf_add_byte(out, '{');
	add_members(out, e);
	buf_add_byte(out, '}');
}
