/* SPDX-License-Identifier: ISC */
/*
 * The parser beyond the reference's tables (tests/conformance): limits,
 * selectors and label sets alone, histogram literals, the JSON form, options.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/promql/functab.h"
#include "common/promql/parse.h"

struct fixture {
	struct arena			 a;
	struct promql_parse_errors	 errs;
};

static int
set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	arena_init(&f->a, 0);
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	arena_clear(&f->a);
	free(f);
	return 0;
}

static void
assert_error(struct fixture *f, const char *input,
    const struct promql_parse_opts *opts, const char *want)
{
	struct err err = ERR_INIT;
	struct promql_expr *e;

	f->errs = (struct promql_parse_errors){ 0 };
	assert_int_equal(promql_parse(&f->a, str_c(input), opts, &e,
	    &f->errs), -1);
	assert_int_equal(promql_parse_errors_to_err(&f->errs, str_c(input),
	    &err), -1);
	assert_string_equal(err.text, want);
	assert_int_equal(err.kind, ERR_BAD_DATA);
}

static void
test_error_text(void **state)
{
	struct fixture *f = *state;

	assert_error(f, "sum(\n  a b)", NULL, "2:5: parse error: unexpected "
	    "identifier \"b\" in aggregation");
	assert_error(f, "", NULL, "unknown position: parse error: no "
	    "expression found in input");
	assert_error(f, "a{b=~\"(\"}", NULL, "1:3: parse error: error "
	    "parsing regexp: missing closing ): `(`");
	assert_error(f, "5_ + 1", NULL, "1:1: parse error: error parsing "
	    "number: strconv.ParseFloat: parsing \"5_\": invalid syntax");
	assert_error(f, "1e400", NULL, "1:1: parse error: error parsing "
	    "number: strconv.ParseFloat: parsing \"1e400\": value out of "
	    "range");
	assert_error(f, "a + \"01234567890123\" b", NULL,
	    "1:22: parse error: unexpected identifier \"b\"");
	assert_error(f, "a \"01234567890123\"", NULL, "1:3: parse error: "
	    "unexpected string \"\\\"012345678\"...");
	assert_error(f, "a !", NULL, "1:3: parse error: unexpected character "
	    "after '!': '\xef\xbf\xbd'");
}

static void
test_options(void **state)
{
	struct fixture *f = *state;

	assert_error(f, "limitk(1, a)", NULL, "1:1: parse error: limitk() is "
	    "experimental and must be enabled with "
	    "--enable-feature=promql-experimental-functions");
	assert_error(f, "mad_over_time(a[5m])", NULL, "1:1: parse error: "
	    "function \"mad_over_time\" is not enabled");
	assert_error(f, "a + fill(1) b", NULL, "1:1: parse error: binop fill "
	    "modifiers are experimental and not enabled");
	assert_error(f, "rate(a[5m] anchored)", NULL, "1:6: parse error: "
	    "anchored modifier is experimental and not enabled");
}

/* n times open, a, n times close. */
static struct str
nested(struct arena *a, const char *open, const char *close, size_t n)
{
	struct str s;
	struct buf b;
	size_t i;

	buf_init(&b, 0);
	for (i = 0; i < n; i++)
		buf_add_c(&b, open);
	buf_add_c(&b, "a");
	for (i = 0; i < n; i++)
		buf_add_c(&b, close);
	s = arena_str(a, buf_str(&b));
	buf_clear(&b);
	return s;
}

static void
assert_depth(struct fixture *f, const char *open, const char *close,
    size_t n, bool ok)
{
	struct promql_parse_opts opts = { 0 };
	struct promql_expr *e = NULL;
	struct buf out;

	f->errs = (struct promql_parse_errors){ 0 };
	assert_int_equal(promql_parse(&f->a, nested(&f->a, open, close, n),
	    &opts, &e, &f->errs), ok ? 0 : -1);
	if (!ok) {
		assert_int_equal(f->errs.n, 1);
		return;
	}
	buf_init(&out, 0);
	promql_expr_print(e, &out);
	promql_expr_pretty(e, 0, &out);
	promql_expr_json(e, &out);
	assert_false(buf_failed(&out));
	buf_clear(&out);
	promql_expr_clear(e);
}

static void
test_depth(void **state)
{
	struct fixture *f = *state;

	assert_depth(f, "(", ")", 900, true);
	assert_depth(f, "(", ")", 200000, false);
	assert_depth(f, "abs(", ")", 900, true);
	assert_depth(f, "abs(", ")", 200000, false);
	assert_depth(f, "-", "", 200000, false);
	assert_depth(f, "a ^ ", "", 200000, false);
	assert_depth(f, "", " or a", 3000, true);
	assert_depth(f, "", " or a", 200000, false);
	assert_depth(f, "", "[1m:]", 200000, false);
	assert_depth(f, "a[(", ")]", 200000, false);
	assert_depth(f, "a offset (", ")", 200000, false);
	assert_depth(f, "a[-", "]", 200000, false);
}

static void
test_memory(void **state)
{
	struct promql_parse_errors errs = { 0 };
	struct fixture *f = *state;
	struct str input = nested(&f->a, "abs(a{b=~\"c.*\"} or ", ")", 300);
	struct promql_expr *e;
	struct arena small;
	size_t limit;

	for (limit = 1; limit < 400000; limit = limit * 3 / 2 + 1) {
		arena_init(&small, limit);
		errs = (struct promql_parse_errors){ 0 };
		if (promql_parse(&small, input, NULL, &e, &errs) == 0)
			promql_expr_clear(e);
		else
			assert_true(errs.n > 0);
		arena_clear(&small);
	}
}

static void
test_selector(void **state)
{
	struct fixture *f = *state;
	struct matcher *m;
	size_t n;

	assert_int_equal(promql_parse_selector(&f->a,
	    str_c("up{job=~'a|b', \"x.y\"!=\"1\"}"), &m, &n, &f->errs), 0);
	assert_int_equal(n, 3);
	assert_int_equal(m[0].type, MATCH_REGEXP);
	assert_true(str_eq_c(m[1].name, "x.y"));
	assert_true(str_eq_c(m[2].name, "__name__"));
	promql_matchers_clear(m, n);
	assert_int_equal(promql_parse_selector(&f->a, str_c("{}"), &m, &n,
	    &f->errs), 0);
	assert_int_equal(n, 0);
	assert_int_equal(promql_parse_selector(&f->a, str_c("up[5m]"), &m,
	    &n, &f->errs), -1);
	assert_true(str_eq_c(f->errs.v[0].msg, "unexpected \"[\""));
}

static void
test_metric(void **state)
{
	struct fixture *f = *state;
	struct labels ls;
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(promql_parse_metric(&f->a,
	    str_c("up{job=\"x\", instance=`y`}"), &ls, &f->errs), 0);
	labels_format_metric(ls, &out);
	assert_true(str_eq_c(buf_str(&out),
	    "up{instance=\"y\", job=\"x\"}"));
	buf_clear(&out);
	assert_int_equal(promql_parse_metric(&f->a, str_c("up{job=~\"x\"}"),
	    &ls, &f->errs), -1);
}

static void
test_histogram(void **state)
{
	struct fixture *f = *state;
	const struct promql_histogram_text *h;
	struct promql_series_desc d;

	assert_int_equal(promql_parse_series(&f->a, str_c("m {{schema:1 "
	    "sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 "
	    "buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:5 "
	    "counter_reset_hint:gauge custom_values:[1 Inf]}}"
	    "+{{schema:1 sum:1 buckets:[1]}}x2 {{}} stale"),
	    &d, &f->errs), 0);
	assert_int_equal(d.n_values, 5);
	h = d.values[0].hist;
	assert_int_equal(h->schema, 1);
	assert_true(h->sum == -0.3 && h->count == 3.1);
	assert_true(h->zero_count == 7.1 && h->zero_threshold == 0.05);
	assert_int_equal(h->n_pos, 3);
	assert_true(h->pos[2] == 7 && h->pos_offset == -3);
	assert_true(h->n_neg == 2 && h->neg_offset == 5);
	assert_int_equal(h->hint, PROMQL_RESET_GAUGE);
	assert_int_equal(h->n_custom_values, 2);
	assert_int_equal(d.values[2].index, 2);
	assert_false(d.values[2].subtract);
	assert_true(d.values[2].inc->sum == 1);
	assert_null(d.values[3].inc);
	assert_null(d.values[4].hist);
	assert_int_equal(promql_parse_series(&f->a, str_c("m {{sum:1 sum:2}}"),
	    &d, &f->errs), -1);
	assert_int_equal(promql_parse_series(&f->a, str_c("m 1x99999999999"),
	    &d, &f->errs), -1);
	assert_int_equal(promql_parse_series(&f->a,
	    str_c("m {{schema:2}}+{{schema:1}}x1"), &d, &f->errs), -1);
}

static void
assert_json(struct fixture *f, const char *input, const char *want)
{
	static const struct promql_parse_opts opts = {
		.fill_modifiers = true };
	struct promql_expr *e;
	struct buf out;

	assert_int_equal(promql_parse(&f->a, str_c(input), &opts, &e,
	    &f->errs), 0);
	buf_init(&out, 0);
	promql_expr_json(e, &out);
	buf_add_byte(&out, '\0');
	assert_string_equal(out.p, want);
	buf_clear(&out);
	promql_expr_clear(e);
}

static void
test_json(void **state)
{
	struct fixture *f = *state;

	assert_json(f, "sum by (a) (rate(b[5m] offset 1m))",
	    "{\"expr\":{\"args\":[{\"anchored\":false,\"matchers\":[{\"name\":"
	    "\"__name__\",\"type\":\"=\",\"value\":\"b\"}],\"name\":\"b\","
	    "\"offset\":60000,\"offsetExpr\":null,\"range\":300000,"
	    "\"rangeExpr\":null,\"smoothed\":false,\"startOrEnd\":null,"
	    "\"timestamp\":null,\"type\":\"matrixSelector\"}],\"func\":{"
	    "\"argTypes\":[\"matrix\"],\"name\":\"rate\",\"returnType\":"
	    "\"vector\",\"variadic\":0},\"type\":\"call\"},\"grouping\":["
	    "\"a\"],\"op\":\"sum\",\"param\":null,\"type\":\"aggregation\","
	    "\"without\":false}");
	assert_json(f, "1 + -a", "{\"bool\":false,\"lhs\":{\"type\":"
	    "\"numberLiteral\",\"val\":\"1\"},\"matching\":null,\"op\":\"+\","
	    "\"rhs\":{\"expr\":{\"anchored\":false,\"matchers\":[{\"name\":"
	    "\"__name__\",\"type\":\"=\",\"value\":\"a\"}],\"name\":\"a\","
	    "\"offset\":0,\"offsetExpr\":null,\"smoothed\":false,"
	    "\"startOrEnd\":null,\"timestamp\":null,\"type\":"
	    "\"vectorSelector\"},\"op\":\"-\",\"type\":\"unaryExpr\"},"
	    "\"type\":\"binaryExpr\"}");
}

static void
test_functions(void **state)
{
	const struct promql_func *fn;
	int i;

	(void)state;
	for (i = 0; i < PROMQL_FN_N; i++) {
		fn = promql_func_get((enum promql_func_id)i);
		assert_int_equal(fn->id, i);
		assert_ptr_equal(promql_func_find(str_c(fn->name)), fn);
	}
	assert_null(promql_func_find(str_c("RATE")));
	fn = promql_func_get(PROMQL_FN_LABEL_JOIN);
	assert_int_equal(promql_func_arg_type(fn, 9), PROMQL_TYPE_STRING);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(test_error_text),
		T(test_options),
		T(test_depth),
		T(test_memory),
		T(test_selector),
		T(test_metric),
		T(test_histogram),
		T(test_json),
		T(test_functions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
