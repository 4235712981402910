/* SPDX-License-Identifier: ISC */
/*
 * Runs the reference's tables of the PromQL parser: DIR/parse.json (trees and
 * errors), print.json, pretty.json and series_desc.json. What parses is also
 * printed and parsed again. Usage: promqlparse DIR
 */

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "common/base/bytes.h"
#include "common/promql/functab.h"
#include "common/promql/parse.h"

struct tally {
	int		 passed;
	int		 failed;
	const char	*file;
	size_t		 i;
	struct str	 input;
	bool		 case_failed;
};

static const struct promql_parse_opts all_opts = {
	.experimental_functions = true,
	.extended_range_selectors = true,
	.fill_modifiers = true };

static void __attribute__((format(printf, 2, 3)))
fail(struct tally *t, const char *fmt, ...)
{
	va_list ap;

	printf("%s[%zu] %.*s: ", t->file, t->i, STR_ARG(t->input));
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	t->case_failed = true;
}

static void
end_case(struct tally *t)
{
	if (t->case_failed)
		t->failed++;
	else
		t->passed++;
	t->case_failed = false;
}

/* --- JSON in --- */

static int
base64_value(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c == '\0' ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int)(p - digits);
}

static struct str
base64(struct arena *a, const char *s)
{
	char *out = arena_alloc(a, strlen(s) + 1);
	unsigned bits = 0, n_bits = 0;
	size_t n = 0;

	for (; base64_value(*s) >= 0; s++) {
		bits = bits << 6 | (unsigned)base64_value(*s);
		n_bits += 6;
		if (n_bits >= 8) {
			n_bits -= 8;
			out[n++] = (char)(bits >> n_bits);
		}
	}
	return str_from(out, n);
}

/* A string, or {"b64": "…"}. */
static struct str
text(struct arena *a, const json_t *v)
{
	if (json_is_object(v))
		return base64(a, json_string_value(json_object_get(v,
		    "b64")));
	if (!json_is_string(v))
		return STR_EMPTY;
	return str_from(json_string_value(v), json_string_length(v));
}

static json_int_t
int_of(const json_t *obj, const char *key)
{
	return json_integer_value(json_object_get(obj, key));
}

static bool
bool_of(const json_t *obj, const char *key)
{
	return json_is_true(json_object_get(obj, key));
}

/* Go source such as "-7*time.Minute+30*time.Millisecond", or an integer. */
static int64_t
duration_of(const json_t *obj, const char *key)
{
	static const struct { const char *name; int64_t ns; } units[] = {
		{ "time.Millisecond", 1000000 },
		{ "time.Second", 1000000000 },
		{ "time.Minute", 60000000000 },
		{ "time.Hour", 3600000000000 } };
	const json_t *v = json_object_get(obj, key);
	const char *s = json_string_value(v);
	int64_t sum = 0;

	if (s == NULL)
		return json_integer_value(v);
	while (*s != '\0') {
		int64_t n = 1, sign = 1;
		char *end;
		size_t i;

		if (*s == '+')
			s++;
		if (*s == '-') {
			sign = -1;
			s++;
		}
		if (*s >= '0' && *s <= '9') {
			n = strtoll(s, &end, 10);
			s = end + (*end == '*');
		}
		for (i = 0; i < 4; i++)
			if (strncmp(s, units[i].name,
			    strlen(units[i].name)) == 0)
				break;
		if (i == 4)
			return -1;
		sum += sign * n * units[i].ns;
		s += strlen(units[i].name);
	}
	return sum;
}

static double
float_of(const json_t *v)
{
	const char *s = json_string_value(v);

	return s == NULL ? json_number_value(v) : strtod(s, NULL);
}

/* --- trees --- */

static const char *
op_name(enum promql_op op)
{
	static const char *const names[] = { "", "ADD", "SUB", "MUL", "DIV",
	    "MOD", "POW", "ATAN2", "EQLC", "NEQ", "LTE", "LSS", "GTE", "GTR",
	    "TRIM_UPPER", "TRIM_LOWER", "LAND", "LOR", "LUNLESS", "STEP",
	    "RANGE", "MIN_OF", "MAX_OF" };

	return names[op];
}

static void
check_text(struct tally *t, const json_t *obj, const char *key,
    const char *got)
{
	const char *want = json_string_value(json_object_get(obj, key));

	if (strcasecmp(want == NULL ? "" : want, got) != 0)
		fail(t, "%s: want %s, got %s", key, want, got);
}

static void
check_pos(struct tally *t, const json_t *obj, struct promql_pos pos)
{
	const json_t *want = json_object_get(obj, "PosRange");

	if (int_of(want, "Start") != pos.start ||
	    int_of(want, "End") != pos.end)
		fail(t, "%s: want %d-%d, got %d-%d",
		    json_string_value(json_object_get(obj, "_")),
		    (int)int_of(want, "Start"), (int)int_of(want, "End"),
		    pos.start, pos.end);
}

static void
check_strs(struct tally *t, const json_t *obj, const char *key,
    const struct promql_strs *got)
{
	const json_t *want = json_object_get(obj, key);
	size_t i;

	if (json_array_size(want) != got->n) {
		fail(t, "%s: want %zu, got %zu", key, json_array_size(want),
		    got->n);
		return;
	}
	for (i = 0; i < got->n; i++)
		if (!str_eq(text(NULL, json_array_get(want, i)), got->v[i]))
			fail(t, "%s %zu: got %.*s", key, i,
			    STR_ARG(got->v[i]));
}

static void check_tree(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e);

static void
check_sub(struct tally *t, struct arena *a, const json_t *obj,
    const char *key, const struct promql_expr *e)
{
	const json_t *want = json_object_get(obj, key);

	if (want == NULL || json_is_null(want)) {
		if (e != NULL)
			fail(t, "%s: not wanted", key);
	} else if (e == NULL)
		fail(t, "%s: missing", key);
	else
		check_tree(t, a, want, e);
}

static void
check_modifiers(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_modifiers *mod)
{
	const json_t *at = json_object_get(want, "Timestamp");
	const char *at_text = mod->at == PROMQL_AT_START ? "START" :
	    mod->at == PROMQL_AT_END ? "END" : "";

	if (duration_of(want, "OriginalOffset") != mod->offset_ns)
		fail(t, "offset: got %lld", (long long)mod->offset_ns);
	check_sub(t, a, want, "OriginalOffsetExpr", mod->offset_expr);
	check_text(t, want, "StartOrEnd", at_text);
	if ((at != NULL) != (mod->at == PROMQL_AT_TIME) ||
	    json_integer_value(at) != mod->at_ms)
		fail(t, "@: got %lld", (long long)mod->at_ms);
}

static void
check_vector(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	static const char *const types[] = { "labels.MatchEqual",
	    "labels.MatchNotEqual", "labels.MatchRegexp",
	    "labels.MatchNotRegexp" };
	const json_t *ms = json_object_get(want, "LabelMatchers");
	size_t i;

	check_pos(t, want, e->pos);
	check_modifiers(t, a, want, &e->vector.mod);
	if (!str_eq(text(a, json_object_get(want, "Name")), e->vector.name))
		fail(t, "name: got %.*s", STR_ARG(e->vector.name));
	if (bool_of(want, "Anchored") != e->vector.anchored ||
	    bool_of(want, "Smoothed") != e->vector.smoothed ||
	    bool_of(want, "BypassEmptyMatcherCheck") !=
	    e->vector.may_be_empty)
		fail(t, "flags of the selector");
	if (json_array_size(ms) != e->vector.n_matchers) {
		fail(t, "matchers: got %zu", e->vector.n_matchers);
		return;
	}
	for (i = 0; i < e->vector.n_matchers; i++) {
		const struct matcher *m = &e->vector.matchers[i];
		const json_t *w = json_object_get(json_array_get(ms, i),
		    "matcher");

		if (strcmp(json_string_value(json_array_get(w, 0)),
		    types[m->type]) != 0 ||
		    !str_eq(text(a, json_array_get(w, 1)), m->name) ||
		    !str_eq(text(a, json_array_get(w, 2)), m->value))
			fail(t, "matcher %zu", i);
	}
}

static void
check_binary(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	static const char *const cards[] = { "CardOneToOne",
	    "CardManyToOne", "CardOneToMany", "CardManyToMany" };
	const json_t *vm = json_object_get(want, "VectorMatching");
	const struct promql_matching *m = e->binary.matching;
	const char *card;

	check_text(t, want, "Op", op_name(e->binary.op));
	check_sub(t, a, want, "LHS", e->binary.lhs);
	check_sub(t, a, want, "RHS", e->binary.rhs);
	if (bool_of(want, "ReturnBool") != e->binary.return_bool)
		fail(t, "bool");
	if ((vm != NULL) != (m != NULL)) {
		fail(t, "matching: got %s", m != NULL ? "some" : "none");
		return;
	}
	if (m == NULL)
		return;
	card = json_string_value(json_object_get(vm, "Card"));
	if (strcmp(card == NULL ? cards[0] : card, cards[m->card]) != 0)
		fail(t, "card: got %s", cards[m->card]);
	if (bool_of(vm, "On") != m->on)
		fail(t, "on");
	check_strs(t, vm, "MatchingLabels", &m->labels);
	check_strs(t, vm, "Include", &m->include);
}

static void
check_duration(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	bool is_binary = e->duration.lhs != NULL &&
	    e->duration.op < PROMQL_OP_STEP;

	check_text(t, want, "Op", op_name(e->duration.op));
	check_sub(t, a, want, "LHS", e->duration.lhs);
	check_sub(t, a, want, "RHS", e->duration.rhs);
	if (bool_of(want, "Wrapped") != e->duration.wrapped)
		fail(t, "wrapped");
	/* Binary ones have no position of their own in the reference. */
	if (!is_binary && int_of(want, "StartPos") != e->pos.start)
		fail(t, "duration: start %d", e->pos.start);
	if (!is_binary && json_object_get(want, "EndPos") != NULL &&
	    int_of(want, "EndPos") != e->pos.end &&
	    e->duration.op != PROMQL_OP_ADD)
		fail(t, "duration: end %d", e->pos.end);
}

static void
check_call(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	const json_t *args = json_object_get(want, "Args");
	const json_t *f = json_object_get(json_object_get(want, "Func"),
	    "args");
	size_t i;

	check_pos(t, want, e->pos);
	if (!str_eq_c(text(a, json_array_get(f, 0)), e->call.func->name))
		fail(t, "function: got %s", e->call.func->name);
	if (json_array_size(args) != e->call.n_args) {
		fail(t, "arguments: got %zu", e->call.n_args);
		return;
	}
	for (i = 0; i < e->call.n_args; i++)
		check_tree(t, a, json_array_get(args, i), e->call.args[i]);
}

static void
check_aggregate(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	check_pos(t, want, e->pos);
	check_text(t, want, "Op", promql_agg_text(e->agg.op));
	check_sub(t, a, want, "Expr", e->agg.expr);
	check_sub(t, a, want, "Param", e->agg.param);
	check_strs(t, want, "Grouping", &e->agg.grouping);
	if (bool_of(want, "Without") != e->agg.without)
		fail(t, "without");
}

static void
check_subquery(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	check_sub(t, a, want, "Expr", e->subquery.expr);
	check_modifiers(t, a, want, &e->subquery.mod);
	check_sub(t, a, want, "RangeExpr", e->subquery.range_expr);
	check_sub(t, a, want, "StepExpr", e->subquery.step_expr);
	if (duration_of(want, "Range") != e->subquery.range_ns ||
	    duration_of(want, "Step") != e->subquery.step_ns)
		fail(t, "subquery: range or step");
	if (int_of(want, "EndPos") != e->pos.end)
		fail(t, "subquery: end %d", e->pos.end);
}

static void
check_matrix(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	struct promql_expr sel = *e->matrix.selector;

	check_sub(t, a, want, "VectorSelector", &sel);
	check_sub(t, a, want, "RangeExpr", e->matrix.range_expr);
	if (duration_of(want, "Range") != e->matrix.range_ns)
		fail(t, "range: got %lld", (long long)e->matrix.range_ns);
	if (int_of(want, "EndPos") != e->pos.end)
		fail(t, "matrix: end %d", e->pos.end);
}

static void
check_number(struct tally *t, const json_t *want, const struct promql_expr *e)
{
	double v = float_of(json_object_get(want, "Val"));

	check_pos(t, want, e->pos);
	if (!(v == e->number.val || (isnan(v) && isnan(e->number.val))))
		fail(t, "number: want %g, got %g", v, e->number.val);
	if (bool_of(want, "Duration") != e->number.is_duration)
		fail(t, "is a duration");
}

static void
check_tree(struct tally *t, struct arena *a, const json_t *want,
    const struct promql_expr *e)
{
	static const char *const names[] = { "NumberLiteral",
	    "StringLiteral", "VectorSelector", "MatrixSelector",
	    "SubqueryExpr", "Call", "AggregateExpr", "BinaryExpr",
	    "UnaryExpr", "ParenExpr", "StepInvariantExpr", "DurationExpr" };
	const char *type = json_string_value(json_object_get(want, "_"));

	if (strcmp(type, names[e->type]) != 0) {
		fail(t, "want %s, got %s", type, names[e->type]);
		return;
	}
	switch (e->type) {
	case PROMQL_NUMBER:
		check_number(t, want, e);
		break;
	case PROMQL_STRING:
		check_pos(t, want, e->pos);
		if (!str_eq(text(a, json_object_get(want, "Val")),
		    e->string))
			fail(t, "string: got %.*s", STR_ARG(e->string));
		break;
	case PROMQL_VECTOR:
		check_vector(t, a, want, e);
		break;
	case PROMQL_MATRIX:
		check_matrix(t, a, want, e);
		break;
	case PROMQL_SUBQUERY:
		check_subquery(t, a, want, e);
		break;
	case PROMQL_CALL:
		check_call(t, a, want, e);
		break;
	case PROMQL_AGGREGATE:
		check_aggregate(t, a, want, e);
		break;
	case PROMQL_BINARY:
		check_binary(t, a, want, e);
		break;
	case PROMQL_UNARY:
		check_text(t, want, "Op", op_name(e->unary.op));
		check_sub(t, a, want, "Expr", e->unary.expr);
		if (int_of(want, "StartPos") != e->pos.start)
			fail(t, "unary: start %d", e->pos.start);
		break;
	case PROMQL_PAREN:
		check_pos(t, want, e->pos);
		check_sub(t, a, want, "Expr", e->inner);
		break;
	case PROMQL_STEP_INVARIANT:
		break;
	case PROMQL_DURATION:
		check_duration(t, a, want, e);
		break;
	}
}

/* --- the four tables --- */

/* What is printed must parse, and print the same. */
static void
check_reprint(struct tally *t, struct arena *a, const struct promql_expr *e)
{
	struct promql_parse_errors errs = { 0 };
	struct promql_expr *again;
	struct buf one, two;

	buf_init(&one, 0);
	buf_init(&two, 0);
	promql_expr_print(e, &one);
	if (promql_parse(a, buf_str(&one), &all_opts, &again, &errs) == -1)
		fail(t, "printed as %.*s: %.*s", STR_ARG(buf_str(&one)),
		    STR_ARG(errs.v[0].msg));
	else {
		promql_expr_print(again, &two);
		if (!str_eq(buf_str(&one), buf_str(&two)))
			fail(t, "printed as %.*s, then %.*s",
			    STR_ARG(buf_str(&one)), STR_ARG(buf_str(&two)));
		promql_expr_clear(again);
	}
	buf_clear(&one);
	buf_clear(&two);
}

static void
check_errors(struct tally *t, const json_t *want,
    const struct promql_parse_errors *errs)
{
	size_t i, n = json_array_size(want);

	if (n != errs->n)
		fail(t, "want %zu errors, got %zu", n, errs->n);
	for (i = 0; i < errs->n; i++) {
		const struct promql_parse_error *e = &errs->v[i];
		const json_t *w = json_array_get(want, i);

		if (w == NULL || int_of(w, "start") != e->pos.start ||
		    int_of(w, "end") != e->pos.end ||
		    !str_eq(text(NULL, json_object_get(w, "msg")), e->msg))
			fail(t, "error %zu: got %d-%d %.*s", i, e->pos.start,
			    e->pos.end, STR_ARG(e->msg));
	}
}

static void
run_parse(struct tally *t, struct arena *a, const json_t *c)
{
	struct promql_parse_opts opts = all_opts;
	struct promql_parse_errors errs = { 0 };
	const json_t *want = json_object_get(c, "errors");
	struct promql_expr *e;

	t->input = text(a, json_object_get(c, "input"));
	if (promql_parse(a, t->input, &opts, &e, &errs) == -1) {
		if (want == NULL)
			fail(t, "%.*s", STR_ARG(errs.v[0].msg));
		else
			check_errors(t, want, &errs);
		return;
	}
	if (want != NULL)
		fail(t, "is no error");
	else
		check_tree(t, a, json_object_get(c, "ast"), e);
	check_reprint(t, a, e);
	promql_expr_clear(e);
}

static void
run_print(struct tally *t, struct arena *a, const json_t *c)
{
	struct promql_parse_errors errs = { 0 };
	const json_t *max = json_object_get(c, "max_chars_per_line");
	const json_t *out = json_object_get(c, "out");
	struct promql_expr *e;
	struct buf got;

	t->input = text(a, json_object_get(c, "in"));
	if (promql_parse(a, t->input, &all_opts, &e, &errs) == -1) {
		fail(t, "%.*s", STR_ARG(errs.v[0].msg));
		return;
	}
	buf_init(&got, 0);
	if (max != NULL)
		promql_expr_pretty(e, (size_t)json_integer_value(max), &got);
	else
		promql_expr_print(e, &got);
	if (!str_eq(buf_str(&got), text(a, out)))
		fail(t, "want\n%.*s\ngot\n%.*s", STR_ARG(text(a, out)),
		    STR_ARG(buf_str(&got)));
	buf_clear(&got);
	check_reprint(t, a, e);
	promql_expr_clear(e);
}

static void
check_values(struct tally *t, const json_t *want,
    const struct promql_series_desc *d)
{
	size_t i;

	if (json_array_size(want) != d->n_values) {
		fail(t, "got %zu values", d->n_values);
		return;
	}
	for (i = 0; i < d->n_values; i++) {
		const json_t *w = json_object_get(json_array_get(want, i),
		    "Value");
		const struct promql_series_value *v = &d->values[i];

		if (json_is_string(w) ? !v->omitted :
		    v->omitted || v->value != json_number_value(w))
			fail(t, "value %zu: got %g", i, v->value);
	}
}

static void
run_series(struct tally *t, struct arena *a, const json_t *c)
{
	struct promql_parse_errors errs = { 0 };
	json_t *labels = json_object_get(c, "labels"), *value;
	struct promql_series_desc d;
	const char *key;

	t->input = text(a, json_object_get(c, "input"));
	if (promql_parse_series(a, t->input, &d, &errs) == -1) {
		if (!bool_of(c, "fail"))
			fail(t, "%.*s", STR_ARG(errs.v[0].msg));
		return;
	}
	if (bool_of(c, "fail")) {
		fail(t, "is no error");
		return;
	}
	if (json_object_size(labels) != d.labels.n)
		fail(t, "got %zu labels", d.labels.n);
	json_object_foreach(labels, key, value)
		if (!str_eq(labels_get(d.labels, str_c(key)),
		    text(a, value)))
			fail(t, "label %s", key);
	check_values(t, json_object_get(c, "values"), &d);
}

static void
run_file(struct tally *t, const char *dir, const char *file,
    void (*run)(struct tally *, struct arena *, const json_t *))
{
	char path[4096];
	json_error_t jerr;
	struct arena a;
	json_t *cases;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	cases = json_load_file(path, JSON_ALLOW_NUL, &jerr);
	t->file = file;
	if (cases == NULL || json_array_size(cases) == 0) {
		fail(t, "%s", jerr.text);
		end_case(t);
		return;
	}
	for (t->i = 0; t->i < json_array_size(cases); t->i++) {
		arena_init(&a, 0);
		run(t, &a, json_array_get(cases, t->i));
		end_case(t);
		arena_clear(&a);
	}
	json_decref(cases);
}

int
main(int argc, char **argv)
{
	struct tally t = { 0 };

	if (argc != 2) {
		fprintf(stderr, "usage: promqlparse DIR\n");
		return 2;
	}
	run_file(&t, argv[1], "parse.json", run_parse);
	run_file(&t, argv[1], "print.json", run_print);
	run_file(&t, argv[1], "pretty.json", run_print);
	run_file(&t, argv[1], "series_desc.json", run_series);
	printf("%d passed, %d failed\n", t.passed, t.failed);
	return t.failed == 0 ? 0 : 1;
}
