/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_ENGINE_H
#define BRAZIER_COMMON_PROMQL_ENGINE_H

/*
 * Evaluates PromQL expressions over a source of series, as the reference
 * (3.14) does: results, annotations and error texts are the same.
 *
 * Evaluation goes series by series: a selector decodes one series, its range
 * function computes all steps of it, the aggregation folds it into its
 * groups, and it is dropped. Only what must be seen as a whole (both sides
 * of vector matching, sorting) is kept.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/promql/result.h"
#include "common/promql/source.h"

/* What a feature flag of the server switches on. */
enum promql_feature {
	PROMQL_EXPERIMENTAL_FUNCTIONS	= 1 << 0,
	PROMQL_EXTENDED_RANGE_SELECTORS	= 1 << 1,	/* anchored, smoothed */
	PROMQL_BINOP_FILL		= 1 << 2,	/* fill, fill_left … */
	PROMQL_DELAYED_NAME_REMOVAL	= 1 << 3,
	PROMQL_USE_START_TIMESTAMPS	= 1 << 4,
	PROMQL_TYPE_AND_UNIT_LABELS	= 1 << 5
};

struct promql_opts {
	int64_t		 lookback_delta_ms;	/* 0 = 5 min */
	uint64_t	 max_samples;		/* 0 = 50,000,000 */
	mono_time	 deadline;		/* ns 0 = none */
	size_t		 memory_limit_bytes;	/* 0 = none */
	/* Step of subqueries that name none; 0 = 1 min. */
	int64_t		 default_subquery_step_ms;
	uint32_t	 features;		/* enum promql_feature */
	bool		 per_step_stats;
};

#define PROMQL_LOOKBACK_DEFAULT_MS	300000
#define PROMQL_MAX_SAMPLES_DEFAULT	50000000
#define PROMQL_SUBQUERY_STEP_DEFAULT_MS	60000

/*
 * Parses and evaluates one query at start, start+step, … up to end
 * (inclusive). step_ms 0 with start == end is an instant query: its result
 * may be of any type; with a step the result is a matrix.
 *
 * query must live until the call returns. The source's begin() is called
 * here and its end() by promql_result_free (or here, on failure), so the
 * source must outlive the result and serve no other query meanwhile.
 *
 * 0 and *out (never NULL), or -1 and err:
 *   ERR_BAD_DATA   does not parse, or a range query of the wrong type
 *   ERR_EXECUTION  cannot be evaluated; the sample or memory limit
 *   ERR_TIMEOUT, ERR_CANCELED, ERR_INTERNAL (source, corrupt data)
 */
int	 promql_exec(struct source *src, struct str query, int64_t start_ms,
	    int64_t end_ms, int64_t step_ms, const struct promql_opts *opts,
	    struct promql_result **out, struct err *err);

#endif
