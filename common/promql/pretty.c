/* SPDX-License-Identifier: ISC */
/*
 * Expressions over several lines: a node whose one-line form is too long is
 * split, its parts indented by two spaces a level. Level 0 is not indented.
 */

#include "common/promql/functab.h"
#include "common/promql/print.h"

#define MAX_CHARS_DEFAULT	100
/* A buffer wants more room than is written in the end. */
#define LINE_SLACK		512

static void pretty(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out);

static void
indent(size_t level, struct buf *out)
{
	while (level-- > 0 && !buf_failed(out))
		buf_add_c(out, "  ");
}

/*
 * Appends the one-line form if it is short enough. Printing stops soon after
 * that, so that a try costs little more than max.
 */
static bool
add_if_short(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	struct buf line;
	bool ok;

	buf_init(&line, max + LINE_SLACK);
	promql_expr_print(e, &line);
	ok = !buf_failed(&line) && line.n <= max;
	if (ok) {
		indent(level, out);
		buf_add_str(out, buf_str(&line));
	}
	buf_clear(&line);
	return ok;
}

/* "\n)" */
static void
close_paren(size_t level, struct buf *out)
{
	buf_add_byte(out, '\n');
	indent(level, out);
	buf_add_byte(out, ')');
}

static void
pretty_aggregate(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	indent(level, out);
	promql_print_aggregation(e, out);
	buf_add_c(out, "(\n");
	if (e->agg.param != NULL) {
		pretty(e->agg.param, max, level + 1, out);
		buf_add_c(out, ",\n");
	}
	pretty(e->agg.expr, max, level + 1, out);
	close_paren(level, out);
}

static void
pretty_call(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	size_t i;

	indent(level, out);
	buf_printf(out, "%s(\n", e->call.func->name);
	for (i = 0; i < e->call.n_args; i++) {
		if (i > 0)
			buf_add_c(out, ",\n");
		pretty(e->call.args[i], max, level + 1, out);
	}
	close_paren(level, out);
}

static void
pretty_binary(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	pretty(e->binary.lhs, max, level + 1, out);
	buf_add_byte(out, '\n');
	indent(level, out);
	promql_print_operator(e, out);
	buf_add_byte(out, '\n');
	pretty(e->binary.rhs, max, level + 1, out);
}

/* The operand as it is split at this level, its own indent taken away. */
static void
pretty_unary(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	struct buf inner;

	buf_init(&inner, out->limit);
	pretty(e->unary.expr, max, level, &inner);
	indent(level, out);
	buf_add_c(out, promql_op_text(e->unary.op));
	buf_add_str(out, str_trim(buf_str(&inner)));
	out->failed |= buf_failed(&inner);
	buf_clear(&inner);
}

static void
pretty(const struct promql_expr *e, size_t max, size_t level,
    struct buf *out)
{
	if (buf_failed(out))
		return;
	switch (e->type) {
	case PROMQL_AGGREGATE:
		if (!add_if_short(e, max, level, out))
			pretty_aggregate(e, max, level, out);
		break;
	case PROMQL_BINARY:
		if (!add_if_short(e, max, level, out))
			pretty_binary(e, max, level, out);
		break;
	case PROMQL_CALL:
		if (!add_if_short(e, max, level, out))
			pretty_call(e, max, level, out);
		break;
	case PROMQL_PAREN:
		if (add_if_short(e, max, level, out))
			break;
		indent(level, out);
		buf_add_c(out, "(\n");
		pretty(e->inner, max, level + 1, out);
		close_paren(level, out);
		break;
	case PROMQL_SUBQUERY:
		/* A short one is not indented, as in the reference. */
		if (add_if_short(e, max, 0, out))
			break;
		pretty(e->subquery.expr, max, level, out);
		promql_print_subquery_range(e, out);
		break;
	case PROMQL_UNARY:
		pretty_unary(e, max, level, out);
		break;
	case PROMQL_STEP_INVARIANT:
		pretty(e->inner, max, level, out);
		break;
	case PROMQL_NUMBER:
	case PROMQL_STRING:
	case PROMQL_VECTOR:
	case PROMQL_MATRIX:
	case PROMQL_DURATION:
		indent(level, out);
		promql_expr_print(e, out);
		break;
	}
}

void
promql_expr_pretty(const struct promql_expr *e, size_t max_chars,
    struct buf *out)
{
	pretty(e, max_chars == 0 ? MAX_CHARS_DEFAULT : max_chars, 0, out);
}
