/* SPDX-License-Identifier: ISC */
/* Expressions on one line, as the reference writes them. */

#include <math.h>
#include <stdlib.h>

#include "common/base/duration.h"
#include "common/base/float_text.h"
#include "common/base/quote.h"
#include "common/labels/labels.h"
#include "common/promql/functab.h"
#include "common/promql/print.h"

static void
add_labels(const struct promql_strs *ls, struct buf *out)
{
	size_t i;

	for (i = 0; i < ls->n; i++) {
		if (i > 0)
			buf_add_c(out, ", ");
		if (label_name_is_legacy(ls->v[i]))
			buf_add_str(out, ls->v[i]);
		else
			quote_add(out, ls->v[i]);
	}
}

static void
add_duration_ns(int64_t ns, struct buf *out)
{
	char text[32];

	if (ns < 0)
		buf_add_byte(out, '-');
	duration_format(llabs(promql_ns_to_ms(ns)), text);
	buf_add_c(out, text);
}

static void
add_number(const struct promql_expr *e, struct buf *out)
{
	char text[FLOAT_TEXT_MAX];
	double ns = e->number.val * 1e9;

	if (!e->number.is_duration)
		buf_add(out, text, float_format_f(e->number.val, text));
	else if (ns >= -0x1p63 && ns < 0x1p63)
		add_duration_ns((int64_t)ns, out);
	else
		add_duration_ns(ns < 0 ? -INT64_MAX : INT64_MAX, out);
}

static void
add_duration_expr(const struct promql_expr *e, struct buf *out)
{
	const struct promql_expr *lhs = e->duration.lhs, *rhs;
	enum promql_op op = e->duration.op;

	if (e->duration.wrapped)
		buf_add_byte(out, '(');
	rhs = e->duration.rhs;
	if (op == PROMQL_OP_STEP || op == PROMQL_OP_RANGE)
		buf_printf(out, "%s()", promql_op_text(op));
	else if (op == PROMQL_OP_MIN_OF || op == PROMQL_OP_MAX_OF) {
		buf_printf(out, "%s(", promql_op_text(op));
		promql_expr_print(lhs, out);
		buf_add_c(out, ", ");
		promql_expr_print(rhs, out);
		buf_add_byte(out, ')');
	} else if (lhs == NULL) {
		/* A plus is there only to carry parentheses. */
		if (op == PROMQL_OP_SUB)
			buf_add_byte(out, '-');
		promql_expr_print(rhs, out);
	} else {
		promql_expr_print(lhs, out);
		buf_printf(out, " %s ", promql_op_text(op));
		promql_expr_print(rhs, out);
	}
	if (e->duration.wrapped)
		buf_add_byte(out, ')');
}

/* A literal, or the expression that stands for it. */
static void
add_duration(int64_t ns, const struct promql_expr *expr, struct buf *out)
{
	if (expr != NULL)
		promql_expr_print(expr, out);
	else
		add_duration_ns(ns, out);
}

static void
add_offset(const struct promql_modifiers *mod, struct buf *out)
{
	if (mod->offset_expr == NULL && mod->offset_ns == 0)
		return;
	buf_add_c(out, " offset ");
	add_duration(mod->offset_ns, mod->offset_expr, out);
}

static void
add_at(const struct promql_modifiers *mod, struct buf *out)
{
	switch (mod->at) {
	case PROMQL_AT_TIME:
		buf_printf(out, " @ %.3f", (double)mod->at_ms / 1000.0);
		break;
	case PROMQL_AT_START:
		buf_add_c(out, " @ start()");
		break;
	case PROMQL_AT_END:
		buf_add_c(out, " @ end()");
		break;
	case PROMQL_AT_NONE:
		break;
	}
}

static void
add_extended(const struct promql_expr *v, struct buf *out)
{
	if (v->vector.anchored)
		buf_add_c(out, " anchored");
	else if (v->vector.smoothed)
		buf_add_c(out, " smoothed");
}

/* The matcher that the name before the braces stands for. */
static bool
is_name_matcher(const struct promql_expr *v, const struct matcher *m)
{
	return m->type == MATCH_EQUAL && m->value.n != 0 &&
	    str_eq_c(m->name, LABEL_METRIC_NAME) &&
	    str_eq(m->value, v->vector.name);
}

static int
cmp_bufs(const void *a, const void *b)
{
	return str_cmp(buf_str(a), buf_str(b));
}

/* {matchers}, sorted as texts. */
static void
add_matchers(const struct promql_expr *v, struct buf *out)
{
	struct buf *texts;
	size_t i, n = 0;

	if (v->vector.n_matchers == 0)
		return;
	texts = calloc(v->vector.n_matchers, sizeof(*texts));
	if (texts == NULL) {
		out->failed = true;
		return;
	}
	for (i = 0; i < v->vector.n_matchers; i++) {
		if (is_name_matcher(v, &v->vector.matchers[i]))
			continue;
		buf_init(&texts[n], 0);
		matcher_format(&v->vector.matchers[i], &texts[n]);
		out->failed |= buf_failed(&texts[n]);
		n++;
	}
	qsort(texts, n, sizeof(*texts), cmp_bufs);
	for (i = 0; i < n; i++) {
		buf_add_byte(out, i == 0 ? '{' : ',');
		buf_add_str(out, buf_str(&texts[i]));
		buf_clear(&texts[i]);
	}
	if (n != 0)
		buf_add_byte(out, '}');
	free(texts);
}

static void
add_vector(const struct promql_expr *e, struct buf *out)
{
	buf_add_str(out, e->vector.name);
	add_matchers(e, out);
	add_at(&e->vector.mod, out);
	add_extended(e, out);
	add_offset(&e->vector.mod, out);
}

static void
add_matrix(const struct promql_expr *e, struct buf *out)
{
	const struct promql_expr *v = e->matrix.selector;

	buf_add_str(out, v->vector.name);
	add_matchers(v, out);
	buf_add_byte(out, '[');
	add_duration(e->matrix.range_ns, e->matrix.range_expr, out);
	buf_add_byte(out, ']');
	add_extended(v, out);
	add_at(&v->vector.mod, out);
	add_offset(&v->vector.mod, out);
}

void
promql_print_subquery_range(const struct promql_expr *e, struct buf *out)
{
	buf_add_byte(out, '[');
	add_duration(e->subquery.range_ns, e->subquery.range_expr, out);
	buf_add_byte(out, ':');
	if (e->subquery.step_ns != 0)
		add_duration_ns(e->subquery.step_ns, out);
	else if (e->subquery.step_expr != NULL)
		promql_expr_print(e->subquery.step_expr, out);
	buf_add_byte(out, ']');
	add_at(&e->subquery.mod, out);
	add_offset(&e->subquery.mod, out);
}

static void
add_fill(const char *what, double val, struct buf *out)
{
	char text[FLOAT_TEXT_MAX];

	buf_printf(out, " %s (", what);
	buf_add(out, text, float_format_g(val, text));
	buf_add_byte(out, ')');
}

void
promql_print_operator(const struct promql_expr *e, struct buf *out)
{
	const struct promql_matching *m = e->binary.matching;
	bool grouped;

	buf_add_c(out, promql_op_text(e->binary.op));
	if (e->binary.return_bool)
		buf_add_c(out, " bool");
	if (m == NULL)
		return;
	grouped = m->card == PROMQL_MANY_TO_ONE ||
	    m->card == PROMQL_ONE_TO_MANY;
	if (m->labels.n > 0 || m->on || grouped) {
		buf_add_c(out, m->on ? " on (" : " ignoring (");
		add_labels(&m->labels, out);
		buf_add_byte(out, ')');
	}
	if (grouped) {
		buf_add_c(out, m->card == PROMQL_MANY_TO_ONE ?
		    " group_left (" : " group_right (");
		add_labels(&m->include, out);
		buf_add_byte(out, ')');
	}
	if (m->has_fill_lhs && m->has_fill_rhs && m->fill_lhs == m->fill_rhs)
		add_fill("fill", m->fill_lhs, out);
	else {
		if (m->has_fill_lhs)
			add_fill("fill_left", m->fill_lhs, out);
		if (m->has_fill_rhs)
			add_fill("fill_right", m->fill_rhs, out);
	}
}

void
promql_print_aggregation(const struct promql_expr *e, struct buf *out)
{
	buf_add_c(out, promql_agg_text(e->agg.op));
	if (!e->agg.without && e->agg.grouping.n == 0)
		return;
	buf_add_c(out, e->agg.without ? " without (" : " by (");
	add_labels(&e->agg.grouping, out);
	buf_add_c(out, ") ");
}

static void
add_aggregate(const struct promql_expr *e, struct buf *out)
{
	promql_print_aggregation(e, out);
	buf_add_byte(out, '(');
	if (e->agg.param != NULL) {
		promql_expr_print(e->agg.param, out);
		buf_add_c(out, ", ");
	}
	promql_expr_print(e->agg.expr, out);
	buf_add_byte(out, ')');
}

static void
add_call(const struct promql_expr *e, struct buf *out)
{
	size_t i;

	buf_printf(out, "%s(", e->call.func->name);
	for (i = 0; i < e->call.n_args; i++) {
		if (i > 0)
			buf_add_c(out, ", ");
		promql_expr_print(e->call.args[i], out);
	}
	buf_add_byte(out, ')');
}

void
promql_expr_print(const struct promql_expr *e, struct buf *out)
{
	if (buf_failed(out))
		return;
	switch (e->type) {
	case PROMQL_NUMBER:
		add_number(e, out);
		break;
	case PROMQL_STRING:
		quote_add(out, e->string);
		break;
	case PROMQL_VECTOR:
		add_vector(e, out);
		break;
	case PROMQL_MATRIX:
		add_matrix(e, out);
		break;
	case PROMQL_SUBQUERY:
		promql_expr_print(e->subquery.expr, out);
		promql_print_subquery_range(e, out);
		break;
	case PROMQL_CALL:
		add_call(e, out);
		break;
	case PROMQL_AGGREGATE:
		add_aggregate(e, out);
		break;
	case PROMQL_BINARY:
		promql_expr_print(e->binary.lhs, out);
		buf_add_byte(out, ' ');
		promql_print_operator(e, out);
		buf_add_byte(out, ' ');
		promql_expr_print(e->binary.rhs, out);
		break;
	case PROMQL_UNARY:
		buf_add_c(out, promql_op_text(e->unary.op));
		promql_expr_print(e->unary.expr, out);
		break;
	case PROMQL_PAREN:
		buf_add_byte(out, '(');
		promql_expr_print(e->inner, out);
		buf_add_byte(out, ')');
		break;
	case PROMQL_STEP_INVARIANT:
		promql_expr_print(e->inner, out);
		break;
	case PROMQL_DURATION:
		add_duration_expr(e, out);
		break;
	}
}
