/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_PARSE_H
#define BRAZIER_COMMON_PROMQL_PARSE_H

/*
 * Text to syntax tree, with the reference's errors and positions. Input is
 * hostile: any bytes, any length up to 2 GiB; nesting is limited
 * (PROMQL_DEPTH_MAX), memory by the arena.
 *
 *	struct promql_parse_errors errs = { 0 };
 *	if (promql_parse(&arena, input, &opts, &expr, &errs) == -1) {
 *		promql_parse_errors_to_err(&errs, input, err);
 *		…
 *	}
 *	…
 *	promql_expr_clear(expr);
 *	arena_clear(&arena);
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/labels.h"
#include "common/labels/matcher.h"
#include "common/promql/ast.h"

/*
 * Deepest nesting of parentheses, calls, signs; and the tallest tree, which
 * chains such as a + b + c + … make. Beyond them: a parse error. So whoever
 * walks a tree may recurse.
 */
#define PROMQL_DEPTH_MAX	1000
#define PROMQL_HEIGHT_MAX	4000

/* What features switch on. NULL where options are asked for = all off. */
struct promql_parse_opts {
	bool	experimental_functions;	/* promql-experimental-functions */
	bool	extended_range_selectors; /* promql-extended-range-selectors */
	bool	fill_modifiers;		/* promql-binop-fill-modifiers */
};

struct promql_parse_error {
	struct promql_pos	pos;
	struct str		msg;	/* without position; arena */
};

/* In the order found; the first is what users are shown. Start zeroed. */
struct promql_parse_errors {
	struct promql_parse_error	*v;	/* arena */
	size_t				 n;
	size_t				 cap;
	struct promql_parse_error	 spare;	/* when memory is out */
	bool				 no_memory; /* not the input's fault */
};

/*
 * Parses and type-checks one expression. 0 and *out, or -1 with at least one
 * error in errs (memory out or too deep is an error like others). Texts are
 * copied: the input need not outlive the call. Nothing to clear after -1.
 */
int	 promql_parse(struct arena *a, struct str input,
	    const struct promql_parse_opts *opts, struct promql_expr **out,
	    struct promql_parse_errors *errs);

/*
 * A lone selector, as in match[] parameters: the matchers (an arena array of
 * owned matchers; clear with promql_matchers_clear). A selector that
 * matches everything is accepted here: callers check.
 */
int	 promql_parse_selector(struct arena *a, struct str input,
	    struct matcher **out, size_t *n_out,
	    struct promql_parse_errors *errs);
void	 promql_matchers_clear(struct matcher *m, size_t n);

/* A lone label set, name{a="b"}: as in unit test files. */
int	 promql_parse_metric(struct arena *a, struct str input,
	    struct labels *out, struct promql_parse_errors *errs);

/* "1:5: parse error: msg", line and column of the start, counted from 1. */
void	 promql_parse_error_format(const struct promql_parse_error *e,
	    struct str input, struct buf *out);
/* "1:5" alone (annotations); "unknown position" without an input. */
void	 promql_pos_format(struct promql_pos pos, struct str input,
	    struct buf *out);
/* The first error, formatted, as ERR_BAD_DATA, or ERR_NOMEM; -1. */
int	 promql_parse_errors_to_err(const struct promql_parse_errors *errs,
	    struct str input, struct err *err);

/*
 * Series descriptions of the test language and of rule unit tests:
 *
 *	name{a="b"} 1 2 stale _ _x3 1+2x4 {{schema:1 count:5 …}}
 */
enum promql_reset_hint {
	PROMQL_RESET_UNKNOWN,
	PROMQL_RESET_YES,	/* reset */
	PROMQL_RESET_NO,	/* not_reset */
	PROMQL_RESET_GAUGE
};

/* One histogram literal. Each side is one span of n buckets at offset. */
struct promql_histogram_text {
	int32_t			 schema;
	double			 sum;
	double			 count;
	double			 zero_count;
	double			 zero_threshold;
	int32_t			 pos_offset;
	int32_t			 neg_offset;
	double			*pos;		/* absolute counts */
	size_t			 n_pos;
	double			*neg;
	size_t			 n_neg;
	double			*custom_values;
	size_t			 n_custom_values;
	enum promql_reset_hint	 hint;
	bool			 hint_set;	/* was written */
};

/*
 * One step of a series. A histogram step is `hist` plus or minus `inc`,
 * `index` times, one after the other (repeated addition, as the reference):
 * index 0 starts anew from hist.
 */
struct promql_series_value {
	bool				 omitted;
	double				 value;		/* when hist is NULL */
	const struct promql_histogram_text *hist;
	const struct promql_histogram_text *inc;	/* or NULL */
	bool				 subtract;
	bool				 hint_set;
	uint64_t			 index;
};

struct promql_series_desc {
	struct labels			 labels;
	struct promql_series_value	*values;
	size_t				 n_values;
};

int	 promql_parse_series(struct arena *a, struct str input,
	    struct promql_series_desc *out, struct promql_parse_errors *errs);

#endif
