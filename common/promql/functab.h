/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_FUNCTAB_H
#define BRAZIER_COMMON_PROMQL_FUNCTAB_H

/*
 * The functions of the language: one table for the parser (types, arity),
 * the engine (what to run, by id) and the UI.
 *
 * A row: id, name, argument types (V vector, M range vector, S scalar,
 * T string), variadic, result type, experimental.
 * variadic 0: exactly these arguments. n > 0: the last one may be left out,
 * and up to n - 1 more of its type follow. -1: the last one any number of
 * times, none included.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"
#include "common/promql/ast.h"

#define PROMQL_FUNCTIONS(X) \
	X(ABS, "abs", "V", 0, 'V', 0) \
	X(ABSENT, "absent", "V", 0, 'V', 0) \
	X(ABSENT_OVER_TIME, "absent_over_time", "M", 0, 'V', 0) \
	X(ACOS, "acos", "V", 0, 'V', 0) \
	X(ACOSH, "acosh", "V", 0, 'V', 0) \
	X(ASIN, "asin", "V", 0, 'V', 0) \
	X(ASINH, "asinh", "V", 0, 'V', 0) \
	X(ATAN, "atan", "V", 0, 'V', 0) \
	X(ATANH, "atanh", "V", 0, 'V', 0) \
	X(AVG_OVER_TIME, "avg_over_time", "M", 0, 'V', 0) \
	X(CEIL, "ceil", "V", 0, 'V', 0) \
	X(CHANGES, "changes", "M", 0, 'V', 0) \
	X(CLAMP, "clamp", "VSS", 0, 'V', 0) \
	X(CLAMP_MAX, "clamp_max", "VS", 0, 'V', 0) \
	X(CLAMP_MIN, "clamp_min", "VS", 0, 'V', 0) \
	X(COS, "cos", "V", 0, 'V', 0) \
	X(COSH, "cosh", "V", 0, 'V', 0) \
	X(COUNT_OVER_TIME, "count_over_time", "M", 0, 'V', 0) \
	X(DAY_OF_MONTH, "day_of_month", "V", 1, 'V', 0) \
	X(DAY_OF_WEEK, "day_of_week", "V", 1, 'V', 0) \
	X(DAY_OF_YEAR, "day_of_year", "V", 1, 'V', 0) \
	X(DAYS_IN_MONTH, "days_in_month", "V", 1, 'V', 0) \
	X(DEG, "deg", "V", 0, 'V', 0) \
	X(DELTA, "delta", "M", 0, 'V', 0) \
	X(DERIV, "deriv", "M", 0, 'V', 0) \
	X(DOUBLE_EXPONENTIAL_SMOOTHING, "double_exponential_smoothing", \
	    "MSS", 0, 'V', 1) \
	X(END, "end", "", 0, 'S', 1) \
	X(EXP, "exp", "V", 0, 'V', 0) \
	X(FIRST_OVER_TIME, "first_over_time", "M", 0, 'V', 0) \
	X(FLOOR, "floor", "V", 0, 'V', 0) \
	X(HISTOGRAM_AVG, "histogram_avg", "V", 0, 'V', 0) \
	X(HISTOGRAM_COUNT, "histogram_count", "V", 0, 'V', 0) \
	X(HISTOGRAM_FRACTION, "histogram_fraction", "SSV", 0, 'V', 0) \
	X(HISTOGRAM_QUANTILE, "histogram_quantile", "SV", 0, 'V', 0) \
	X(HISTOGRAM_QUANTILES, "histogram_quantiles", "VTSS", 9, 'V', 1) \
	X(HISTOGRAM_STDDEV, "histogram_stddev", "V", 0, 'V', 0) \
	X(HISTOGRAM_STDVAR, "histogram_stdvar", "V", 0, 'V', 0) \
	X(HISTOGRAM_SUM, "histogram_sum", "V", 0, 'V', 0) \
	X(HOUR, "hour", "V", 1, 'V', 0) \
	X(IDELTA, "idelta", "M", 0, 'V', 0) \
	X(INCREASE, "increase", "M", 0, 'V', 0) \
	X(INFO, "info", "VV", 1, 'V', 1) \
	X(IRATE, "irate", "M", 0, 'V', 0) \
	X(LABEL_JOIN, "label_join", "VTTT", -1, 'V', 0) \
	X(LABEL_REPLACE, "label_replace", "VTTTT", 0, 'V', 0) \
	X(LAST_OVER_TIME, "last_over_time", "M", 0, 'V', 0) \
	X(LN, "ln", "V", 0, 'V', 0) \
	X(LOG10, "log10", "V", 0, 'V', 0) \
	X(LOG2, "log2", "V", 0, 'V', 0) \
	X(MAD_OVER_TIME, "mad_over_time", "M", 0, 'V', 1) \
	X(MAX_OF, "max_of", "SS", 0, 'S', 1) \
	X(MAX_OVER_TIME, "max_over_time", "M", 0, 'V', 0) \
	X(MIN_OF, "min_of", "SS", 0, 'S', 1) \
	X(MIN_OVER_TIME, "min_over_time", "M", 0, 'V', 0) \
	X(MINUTE, "minute", "V", 1, 'V', 0) \
	X(MONTH, "month", "V", 1, 'V', 0) \
	X(PI, "pi", "", 0, 'S', 0) \
	X(PREDICT_LINEAR, "predict_linear", "MS", 0, 'V', 0) \
	X(PRESENT_OVER_TIME, "present_over_time", "M", 0, 'V', 0) \
	X(QUANTILE_OVER_TIME, "quantile_over_time", "SM", 0, 'V', 0) \
	X(RAD, "rad", "V", 0, 'V', 0) \
	X(RANGE, "range", "", 0, 'S', 1) \
	X(RATE, "rate", "M", 0, 'V', 0) \
	X(RESETS, "resets", "M", 0, 'V', 0) \
	X(ROUND, "round", "VS", 1, 'V', 0) \
	X(SCALAR, "scalar", "V", 0, 'S', 0) \
	X(SGN, "sgn", "V", 0, 'V', 0) \
	X(SIN, "sin", "V", 0, 'V', 0) \
	X(SINH, "sinh", "V", 0, 'V', 0) \
	X(SORT, "sort", "V", 0, 'V', 0) \
	X(SORT_BY_LABEL, "sort_by_label", "VT", -1, 'V', 1) \
	X(SORT_BY_LABEL_DESC, "sort_by_label_desc", "VT", -1, 'V', 1) \
	X(SORT_DESC, "sort_desc", "V", 0, 'V', 0) \
	X(SQRT, "sqrt", "V", 0, 'V', 0) \
	X(START, "start", "", 0, 'S', 1) \
	X(START_TIMESTAMP, "start_timestamp", "V", 0, 'V', 1) \
	X(STDDEV_OVER_TIME, "stddev_over_time", "M", 0, 'V', 0) \
	X(STDVAR_OVER_TIME, "stdvar_over_time", "M", 0, 'V', 0) \
	X(STEP, "step", "", 0, 'S', 1) \
	X(SUM_OVER_TIME, "sum_over_time", "M", 0, 'V', 0) \
	X(TAN, "tan", "V", 0, 'V', 0) \
	X(TANH, "tanh", "V", 0, 'V', 0) \
	X(TIME, "time", "", 0, 'S', 0) \
	X(TIMESTAMP, "timestamp", "V", 0, 'V', 0) \
	X(TS_OF_FIRST_OVER_TIME, "ts_of_first_over_time", "M", 0, 'V', 1) \
	X(TS_OF_LAST_OVER_TIME, "ts_of_last_over_time", "M", 0, 'V', 1) \
	X(TS_OF_MAX_OVER_TIME, "ts_of_max_over_time", "M", 0, 'V', 1) \
	X(TS_OF_MIN_OVER_TIME, "ts_of_min_over_time", "M", 0, 'V', 1) \
	X(VECTOR, "vector", "S", 0, 'V', 0) \
	X(YEAR, "year", "V", 1, 'V', 0)

enum promql_func_id {
#define X(id, name, args, variadic, ret, exp) PROMQL_FN_##id,
	PROMQL_FUNCTIONS(X)
#undef X
	PROMQL_FN_N
};

struct promql_func {
	const char		*name;
	const char		*args;	/* a letter each: V, M, S, T */
	enum promql_func_id	 id;
	uint8_t			 n_args;
	int8_t			 variadic;
	bool			 experimental;
	enum promql_value_type	 ret;
};

/* NULL when there is none; names are case-sensitive. */
const struct promql_func *promql_func_find(struct str name);
const struct promql_func *promql_func_get(enum promql_func_id id);
/* Type of argument i; the last one's for those beyond it. */
enum promql_value_type promql_func_arg_type(const struct promql_func *f,
	    size_t i);

#endif
