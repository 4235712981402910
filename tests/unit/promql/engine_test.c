/* SPDX-License-Identifier: ISC */

/*
 * The engine over series in memory: what the test language does not reach
 * (the server's default features, limits, cancellation, kinds of results)
 * and that fast paths give the same bits as slow ones.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/base/bytes.h"
#include "common/promql/engine.h"
#include "common/promql/source_memory.h"

static struct source_memory *store;

static void
add(const char *name, const char *job, int64_t t_ms, double v)
{
	struct label l[2] = {
		{ STR_LIT("__name__"), str_c(name) },
		{ STR_LIT("job"), str_c(job) } };

	assert_int_equal(source_memory_add(store, (struct labels){ l, 2 },
	    t_ms, 0, v, NULL), 0);
}

static int
setup(void **state)
{
	(void)state;
	store = source_memory_new();
	for (int i = 0; i <= 60; i++) {
		add("a_total", "x", i * 60000, i * 10);
		add("a_total", "y", i * 60000, i * 20);
		add("b_total", "x", i * 60000, i);
	}
	/* half the time each, never both */
	for (int i = 0; i <= 20; i++) {
		add("early", "x", i * 60000, 1);
		add("late", "x", (i + 40) * 60000, 2);
	}
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	source_memory_free(store);
	return 0;
}

static struct promql_result *
query(const char *text, int64_t start, int64_t end, int64_t step,
    const struct promql_opts *o, struct err *e)
{
	static const struct promql_opts none = { .max_samples = 0 };
	struct promql_result *r;

	if (promql_exec(source_memory_source(store), str_c(text), start, end,
	    step, o != NULL ? o : &none, &r, e) == -1) {
		assert_null(r);
		return NULL;
	}
	return r;
}

static void
expect_error(const char *text, int64_t end, int64_t step,
    const struct promql_opts *o, enum err_kind kind, const char *message)
{
	struct err e = ERR_INIT;

	assert_null(query(text, step == 0 ? end : 0, end, step, o, &e));
	assert_int_equal(e.kind, kind);
	assert_string_equal(e.text, message);
}

static double
one(const char *text, int64_t at)
{
	struct err e = ERR_INIT;
	struct promql_result *r = query(text, at, at, 0, NULL, &e);
	double v;

	if (r == NULL)
		fail_msg("%s: %s", text, e.text);
	if (r->type == PROMQL_RESULT_SCALAR)
		v = r->scalar;
	else {
		assert_int_equal(r->n_series, 1);
		v = r->series[0].fv[0];
	}
	promql_result_free(r);
	return v;
}

static void
answers_simple_queries(void **state)
{
	(void)state;
	assert_float_equal(one("1 + 2 * 3", 0), 7, 0);
	assert_float_equal(one("a_total{job=\"x\"}", 600000), 100, 0);
	assert_float_equal(one("sum(a_total)", 600000), 300, 0);
	assert_float_equal(one("sum(rate(a_total[5m]))", 1800000), 0.5,
	    1e-12);
	assert_float_equal(one("a_total{job=\"x\"} - on(job) b_total",
	    600000), 90, 0);
	assert_float_equal(one("scalar(b_total) * time()", 600000), 6000, 0);
	assert_float_equal(one("max_over_time(sum(a_total)[10m:1m])",
	    600000), 300, 0);
	assert_float_equal(one("count(a_total offset 5m > 60)", 600000), 1,
	    0);
	assert_float_equal(one("-(2 ^ 3 - 1) * (4 > bool 3) % 4", 0), -3, 0);
}

static void
knows_kinds_of_results(void **state)
{
	struct err e = ERR_INIT;
	struct promql_result *r;

	(void)state;
	r = query("\"text\"", 5000, 5000, 0, NULL, &e);
	assert_int_equal(r->type, PROMQL_RESULT_STRING);
	assert_memory_equal(r->string.p, "text", 4);
	promql_result_free(r);
	r = query("a_total[3m]", 600000, 600000, 0, NULL, &e);
	assert_int_equal(r->type, PROMQL_RESULT_MATRIX);
	assert_int_equal(r->n_series, 2);
	assert_int_equal(r->series[0].n_floats, 3);
	assert_int_equal(r->series[0].ft[0], 480000);
	promql_result_free(r);
	r = query("a_total[3m:30s]", 600000, 600000, 0, NULL, &e);
	assert_int_equal(r->series[0].n_floats, 6);
	promql_result_free(r);
	r = query("1", 0, 60000, 30000, NULL, &e);
	assert_int_equal(r->type, PROMQL_RESULT_MATRIX);
	assert_int_equal(r->series[0].n_floats, 3);
	assert_int_equal(r->series[0].n_labels, 0);
	promql_result_free(r);
	r = query("vector(1) and absent(nothing)", 0, 0, 0, NULL, &e);
	assert_int_equal(r->type, PROMQL_RESULT_VECTOR);
	assert_int_equal(r->n_series, 1);
	promql_result_free(r);
}

static void
same_labels_are_an_error_or_joined(void **state)
{
	static const char same[] =
	    "vector cannot contain metrics with the same labelset";
	struct err e = ERR_INIT;
	struct promql_result *r;

	(void)state;
	expect_error("abs({__name__=~\"[ab]_total\"})", 600000, 0, NULL,
	    ERR_EXECUTION, same);
	expect_error("-{__name__=~\"[ab]_total\"}", 600000, 60000, NULL,
	    ERR_EXECUTION, same);
	expect_error("rate({__name__=~\"[ab]_total\"}[5m])", 600000, 60000,
	    NULL, ERR_EXECUTION, same);
	/* different times: one series */
	r = query("abs({__name__=~\"early|late\"})", 0, 3600000, 60000, NULL,
	    &e);
	assert_non_null(r);
	assert_int_equal(r->n_series, 1);
	/* 21 samples each, and early's last is seen for 4 more steps */
	assert_int_equal(r->series[0].n_floats, 46);
	promql_result_free(r);
	r = query("sum by (job) (abs({__name__=~\"early|late\"}) * 2)", 0,
	    3600000, 60000, NULL, &e);
	assert_non_null(r);
	assert_int_equal(r->series[0].n_floats, 46);
	promql_result_free(r);
}

static void
keeps_its_limits(void **state)
{
	struct promql_opts few = { .max_samples = 50 };
	struct promql_opts bytes = { .memory_limit_bytes = 100000 };
	struct promql_opts late = { .deadline = mono_now() };
	struct err e = ERR_INIT;

	(void)state;
	expect_error("a_total", 3600000, 60000, &few, ERR_EXECUTION,
	    "query processing would load too many samples into memory in "
	    "query execution");
	assert_null(query("a_total + a_total", 0, 360000000, 1000, &bytes,
	    &e));
	assert_int_equal(e.kind, ERR_EXECUTION);
	assert_non_null(strstr(e.text, "100000 bytes"));
	assert_null(query("max_over_time(a_total[100y:1ms])", 0, 0, 0, &bytes,
	    &e));
	bytes.memory_limit_bytes = 100000000;
	assert_null(query("max_over_time(a_total[20d:1ms])", 0, 0, 0, &bytes,
	    &e));
	assert_non_null(strstr(e.text, "100000000 bytes"));
	assert_null(query("max_over_time((1 + vector(1))[20d:1ms])", 0, 0, 0,
	    &bytes, &e));
	expect_error("a_total", 3600000, 60000, &late, ERR_TIMEOUT,
	    "query timed out in expression evaluation");
	expect_error("a_total[5m]", 3600000, 60000, NULL, ERR_BAD_DATA,
	    "invalid expression type \"range vector\" for range query, must "
	    "be Scalar or instant Vector");
}

static bool
always(struct source *s)
{
	(void)s;
	return true;
}

static void
can_be_cancelled(void **state)
{
	struct source *src = source_memory_source(store);
	struct source_ops ops = *src->ops;
	const struct source_ops *old = src->ops;

	(void)state;
	ops.cancelled = always;
	src->ops = &ops;
	expect_error("a_total", 3600000, 60000, NULL, ERR_CANCELED,
	    "query was canceled in expression evaluation");
	src->ops = old;
}

static void
says_where(void **state)
{
	struct err e = ERR_INIT;
	struct promql_result *r = query("1 +\n  rate(early[5m])", 600000,
	    600000, 0, NULL, &e);

	(void)state;
	assert_non_null(r);
	assert_int_equal(r->n_infos, 1);
	assert_int_equal(r->n_warnings, 0);
	const char want[] = "PromQL info: metric might not be a counter, name "
	    "does not end in _total/_sum/_count/_bucket: \"early\" (2:8)";
	assert_int_equal(r->infos[0].n, sizeof(want) - 1);
	assert_memory_equal(r->infos[0].p, want, sizeof(want) - 1);
	promql_result_free(r);
}

/*
 * A subquery of a selector at the samples' own times gives the same window,
 * and goes the slow way.
 */
static void
fast_and_slow_agree(void **state)
{
	static const char *const fns[] = { "rate", "increase", "delta",
	    "sum_over_time", "avg_over_time", "max_over_time",
	    "min_over_time", "count_over_time", "last_over_time",
	    "first_over_time", "present_over_time" };
	struct err e = ERR_INIT;
	unsigned seed = 3;
	char fast[64], slow[64];

	(void)state;
	for (int k = 0; k < 6; k++) {
		char job[2] = { (char)('a' + k), '\0' };
		double v = 0;

		for (int i = 0; i < 500; i++) {
			v += rand_r(&seed) % 10;
			if (rand_r(&seed) % 20 == 0)
				v = 0;
			if (rand_r(&seed) % 10 == 0)
				continue;
			double x = v;
			if (k == 1 && rand_r(&seed) % 8 == 0)
				x = NAN;
			if (k == 2)
				x = v / 3;
			if (k == 3)
				x = -v;
			if (k == 4)
				x = v * 1e300;
			add("rnd_total", job, i * 1000, x);
		}
	}
	for (size_t f = 0; f < sizeof(fns) / sizeof(*fns); f++) {
		snprintf(fast, sizeof(fast), "%s(rnd_total[37s])", fns[f]);
		snprintf(slow, sizeof(slow), "%s((rnd_total)[37s:1s])",
		    fns[f]);
		for (int step = 1000; step < 60000; step += 7000) {
			struct promql_opts o = { .lookback_delta_ms = 1 };
			struct promql_result *a = query(fast, 0, 510000, step,
			    &o, &e);
			struct promql_result *b = query(slow, 0, 510000, step,
			    &o, &e);

			assert_non_null(a);
			assert_non_null(b);
			assert_int_equal(a->n_series, b->n_series);
			for (size_t i = 0; i < a->n_series; i++) {
				const struct promql_series *x = &a->series[i];
				const struct promql_series *y = &b->series[i];

				assert_int_equal(x->n_floats, y->n_floats);
				for (uint32_t n = 0; n < x->n_floats; n++) {
					assert_int_equal(x->ft[n], y->ft[n]);
					if (isnan(x->fv[n]))
						assert_true(isnan(y->fv[n]));
					else
						assert_int_equal(
						    double_bits(x->fv[n]),
						    double_bits(y->fv[n]));
				}
			}
			promql_result_free(a);
			promql_result_free(b);
		}
	}
}

/* Many steps are folded four at a time, a single one is not. */
static void
steps_agree_with_instants(void **state)
{
	static const char *const texts[] = { "sum(rnd_total)",
	    "avg(rnd_total)", "min(rnd_total)", "max(rnd_total)",
	    "count(rnd_total)", "sum(rate(rnd_total[37s]))",
	    "avg(rate(rnd_total[37s]))", "stddev(rnd_total)",
	    "topk(2, rnd_total)", "rnd_total" };
	struct promql_opts o = { .lookback_delta_ms = 3000 };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t f = 0; f < sizeof(texts) / sizeof(*texts); f++) {
		struct promql_result *a = query(texts[f], -5000, 510000,
		    1000, &o, &e);

		assert_non_null(a);
		for (int64_t t = -5000; t <= 510000; t += 1000) {
			struct promql_result *b = query(texts[f], t, t, 0, &o,
			    &e);
			size_t found = 0;

			assert_non_null(b);
			for (size_t i = 0; i < a->n_series; i++) {
				const struct promql_series *x = &a->series[i];

				for (uint32_t n = 0; n < x->n_floats; n++) {
					uint64_t bits = double_bits(x->fv[n]);
					bool same = false;

					if (x->ft[n] != t)
						continue;
					found++;
					for (size_t k = 0; k < b->n_series;
					    k++)
						same |= double_bits(b->series[
						    k].fv[0]) == bits;
					assert_true(same);
				}
			}
			assert_int_equal(found, b->n_series);
			promql_result_free(b);
		}
		promql_result_free(a);
	}
}

static const struct source_ops *plain_ops;
static int n_selects;

static int
counting_select(struct source *s, const struct matcher *const *m, size_t n,
    const struct source_hints *h, struct source_cursor **out, struct err *err)
{
	n_selects++;
	return plain_ops->select(s, m, n, h, out, err);
}

static void
expect_same(const struct promql_result *a, const struct promql_result *b)
{
	assert_int_equal(a->n_series, b->n_series);
	assert_int_equal(a->n_warnings, b->n_warnings);
	assert_int_equal(a->n_infos, b->n_infos);
	assert_int_equal(a->stats.total_samples, b->stats.total_samples);
	assert_int_equal(a->stats.samples_read, b->stats.samples_read);
	for (size_t i = 0; i < a->n_series; i++) {
		const struct promql_series *x = &a->series[i];
		const struct promql_series *y = &b->series[i];

		assert_int_equal(x->n_floats, y->n_floats);
		assert_int_equal(x->n_labels, y->n_labels);
		if (x->n_floats == 0)
			continue;
		assert_memory_equal(x->ft, y->ft, x->n_floats * 8);
		assert_memory_equal(x->fv, y->fv, x->n_floats * 8);
	}
}

/* Statistics by step want each occurrence evaluated on its own. */
static void
what_is_said_twice_is_read_once(void **state)
{
	static const struct { const char *text; int shared, alone; } all[] = {
		{ "sum(rate(a_total[5m])) / count(rate(a_total[5m]))", 1, 2 },
		{ "a_total - on(job) group_left() avg by (job) (a_total)", 1,
		  2 },
		{ "sum(a_total) / (sum(a_total) + sum(b_total))", 2, 3 },
		{ "max((a_total)) - min(a_total) > avg(a_total)", 1, 3 },
		{ "sum(a_total) / sum(a_total offset 5m)", 2, 2 },
		{ "max_over_time(sum(a_total)[10m:1m]) / "
		  "count(max_over_time(sum(a_total)[10m:1m]))", 1, 2 },
		{ "sum(a_total) unless sum(a_total) > 100", 1, 2 },
		{ "sum(a_total @ 600) + count(a_total @ 600) + sum(a_total)",
		  2, 3 },
		/* each names its own place */
		{ "sum(rate(early[5m])) + count(rate(early[5m]))", 2, 2 },
		{ "topk(1, a_total) + topk(1, a_total)", 1, 2 },
		{ "avg(rnd_total) + sum by (job) (rnd_total) * 0 > "
		  "max(rnd_total)", 1, 3 },
	};
	struct source *src = source_memory_source(store);
	struct source_ops ops = *src->ops;
	struct promql_opts o = { .per_step_stats = true };
	struct err e = ERR_INIT;

	(void)state;
	plain_ops = src->ops;
	ops.select = counting_select;
	src->ops = &ops;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		n_selects = 0;
		struct promql_result *a = query(all[i].text, 0, 3600000,
		    60000, NULL, &e);
		assert_non_null(a);
		assert_int_equal(n_selects, all[i].shared);
		promql_result_detach(a);
		n_selects = 0;
		struct promql_result *b = query(all[i].text, 0, 3600000,
		    60000, &o, &e);
		assert_non_null(b);
		assert_int_equal(n_selects, all[i].alone);
		expect_same(a, b);
		promql_result_free(a);
		promql_result_free(b);
	}
	src->ops = plain_ops;
}

/*
 * Matchers travel through a matching when nobody can tell; statistics by
 * step, for which they stay, are the judge.
 */
static void
matchers_travel_in_silence(void **state)
{
	static const struct { const char *text; bool cut; } all[] = {
		{ "a_total and on(job) b_total{job=\"x\"}", true },
		{ "a_total and on() b_total{job=\"x\"}", false },
		{ "a_total and ignoring(job) b_total{job=\"x\"}", false },
		{ "a_total{job=\"y\"} unless on(job) b_total", true },
		{ "a_total unless on(job) b_total{job=\"x\"}", false },
		{ "a_total{job=\"x\"} or on(job) b_total", false },
		{ "a_total * on(job) group_left() sum by (job) "
		  "(b_total{job=\"x\"})", true },
		{ "sum by (job) (rate(b_total{job=\"x\"}[5m])) / on(job) "
		  "group_right() a_total", true },
		/* could be twice there, which would be an error */
		{ "a_total * on(job) b_total{job=\"x\"}", false },
		{ "a_total{job=\"x\"} * on(job) sum by (job) (b_total)",
		  false },
		/* may have something to say about the others */
		{ "rate(a_total[5m]) and on(job) b_total{job=\"x\"}", false },
	};
	struct promql_opts o = { .per_step_stats = true };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		struct promql_result *a = query(all[i].text, 0, 3600000,
		    60000, NULL, &e);
		assert_non_null(a);
		promql_result_detach(a);
		struct promql_result *b = query(all[i].text, 0, 3600000,
		    60000, &o, &e);
		assert_non_null(b);
		if (all[i].cut) {
			assert_true(a->stats.total_samples <
			    b->stats.total_samples);
			a->stats.total_samples = b->stats.total_samples;
			a->stats.samples_read = b->stats.samples_read;
		}
		expect_same(a, b);
		promql_result_free(a);
		promql_result_free(b);
	}
}

/* Peak of a query over n series of four samples and 6,000 steps. */
static size_t
peak_of(const char *text, int n)
{
	struct source_memory *old = store;
	struct err e = ERR_INIT;
	size_t peak;

	store = source_memory_new();
	for (int i = 0; i < n * 4; i++) {
		char job[16];

		snprintf(job, sizeof(job), "j-%d", i / 4);
		add("many_total", job, i % 4 * 60000, i);
	}
	struct promql_result *r = query(text, 0, 6000000, 1000, NULL, &e);
	assert_non_null(r);
	peak = r->stats.peak_bytes;
	promql_result_free(r);
	source_memory_free(store);
	store = old;
	return peak;
}

/* An aggregation holds its groups, whatever goes into them. */
static void
memory_goes_with_groups(void **state)
{
	static const char *const texts[] = {
		"sum(rate(many_total[5m]))",
		"sum(rate(many_total[5m])) / count(rate(many_total[5m]))",
		"max(many_total * on() group_left() sum(many_total offset "
		"1m))",
		"sum(topk(3, many_total))" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		size_t few = peak_of(texts[i], 50);
		size_t many = peak_of(texts[i], 5000);

		/* what a series costs is its labels, not its steps */
		assert_true(many < few + 5000 * 150);
		assert_true(many < 6000000);
	}
}

static uint64_t n_looks;

static bool
count_looks(struct source *s)
{
	(void)s;
	n_looks++;
	return false;
}

/*
 * Between two looks at whether the query should stop lies bounded work, in
 * one long series as in many short ones, in functions and in operators.
 */
static void
looks_up_often_enough(void **state)
{
	static const char *const texts[] = { "quantile_over_time(0.5, "
	    "long[10h])", "stddev_over_time(long[10h])",
	    "mad_over_time(long[1h])", "max_over_time(long[10h])",
	    "rate(long[1h])", "deriv(long[10h])",
	    "sum_over_time((long)[10h:1s])" };
	struct source_memory *old = store;
	struct promql_opts o = { .max_samples = 1000000000,
	    .features = PROMQL_EXPERIMENTAL_FUNCTIONS };
	struct source_ops ops;
	struct source *src;
	struct err e = ERR_INIT;

	(void)state;
	store = source_memory_new();
	for (int i = 0; i < 200000; i++)
		add("long", "x", i * 1000, (double)(i * 7919 % 10007) / 3);
	(void)source_memory_freeze(store);
	src = source_memory_source(store);
	ops = *src->ops;
	ops.cancelled = count_looks;
	src->ops = &ops;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		n_looks = 0;
		struct promql_result *r = query(texts[i], 100000000,
		    104000000, 100000, &o, &e);
		assert_non_null(r);
		/* the slow ones touch all samples of each window */
		uint64_t work = strstr(texts[i], "rate") != NULL ||
		    strstr(texts[i], "max") != NULL ? r->stats.samples_read :
		    r->stats.total_samples;
		assert_true(n_looks >= work / 131072);
		promql_result_free(r);
	}
	source_memory_free(store);
	store = old;
}

/* Times that the parser lets through need not be times that can be. */
static void
far_times_have_nothing(void **state)
{
	static const char *const texts[] = {
		"many_total @ 5555555555555555555",
		"many_total @ -5555555555555555555 offset -290y",
		"rate(many_total[290y] @ -9e18 offset 290y)",
		"max_over_time(many_total[290y:1y] @ 9e18 offset -290y)",
		"max_over_time(many_total[290y:1y] @ -9e18 offset 290y)" };
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct promql_result *r = query(texts[i], 0, 60000, 60000,
		    NULL, &e);

		if (r == NULL)
			fail_msg("%s: %s", texts[i], e.text);
		assert_int_equal(r->n_series, 0);
		promql_result_free(r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(far_times_have_nothing),
		cmocka_unit_test(answers_simple_queries),
		cmocka_unit_test(knows_kinds_of_results),
		cmocka_unit_test(same_labels_are_an_error_or_joined),
		cmocka_unit_test(keeps_its_limits),
		cmocka_unit_test(can_be_cancelled),
		cmocka_unit_test(says_where),
		cmocka_unit_test(fast_and_slow_agree),
		cmocka_unit_test(steps_agree_with_instants),
		cmocka_unit_test(what_is_said_twice_is_read_once),
		cmocka_unit_test(matchers_travel_in_silence),
		cmocka_unit_test(memory_goes_with_groups),
		cmocka_unit_test(looks_up_often_enough),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
