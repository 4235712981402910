/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_RESULT_H
#define BRAZIER_COMMON_PROMQL_RESULT_H

/*
 * What an expression evaluates to. Labels stay symbol ids until somebody
 * prints them: promql_result_symbol gives the text of one.
 *
 *	result ── type ── scalar {t, v} | string | series[]
 *	                                          ├ labels[] (name, value ids)
 *	                                          ├ ft[], fv[]  float samples
 *	                                          └ ht[], h[]   histograms
 *
 * A vector is series of exactly one sample each (float or histogram), in
 * the order the evaluation gave; a matrix is sorted by labels. All memory
 * belongs to the result and to the source of the query: both are given back
 * by promql_result_free.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/labels/labels.h"
#include "common/promql/source.h"

struct fhist;

enum promql_result_type {
	PROMQL_RESULT_NONE,
	PROMQL_RESULT_SCALAR,
	PROMQL_RESULT_STRING,
	PROMQL_RESULT_VECTOR,
	PROMQL_RESULT_MATRIX
};

struct promql_series {
	const struct label_sym	*labels;	/* sorted by name text */
	uint32_t		 n_labels;
	uint32_t		 n_floats;
	uint32_t		 n_hists;
	const int64_t		*ft;		/* ms, ascending */
	const double		*fv;
	const int64_t		*ht;
	const struct fhist *const *h;
};

/* Samples as the reference counts them; see stats= of the HTTP API. */
struct promql_stats {
	uint64_t	 total_samples;
	uint64_t	 peak_samples;
	uint64_t	 samples_read;
	/* With promql_opts.per_step_stats: n_steps entries each, else NULL. */
	const uint64_t	*total_per_step;
	const uint64_t	*read_per_step;
	uint32_t	 n_steps;
	int64_t		 start_ms;
	int64_t		 step_ms;
	/* Seconds. */
	double		 prepare_s;
	double		 eval_s;
	double		 sort_s;
	size_t		 peak_bytes;
};

struct promql_result {
	enum promql_result_type	 type;
	int64_t			 t_ms;		/* scalar, string */
	double			 scalar;
	struct str		 string;
	const struct promql_series *series;	/* vector, matrix */
	size_t			 n_series;
	/*
	 * Texts as the HTTP API shows them: "PromQL warning: … (1:5)",
	 * without duplicates, in no order.
	 */
	const struct str	*warnings;
	size_t			 n_warnings;
	const struct str	*infos;
	size_t			 n_infos;
	struct promql_stats	 stats;

	/* the engine's own */
	struct arena		 mem;
	struct source		*src;
	struct symtab		*syms;
	bool			 detached;	/* the source has ended */
};

/* "scalar", "string", "vector", "matrix": the API's resultType. */
const char *promql_result_type_name(enum promql_result_type t);

/* Text of a label's name or value id; lives as long as the result. */
struct str promql_result_symbol(const struct promql_result *r, uint32_t id);

/*
 * The labels of one series as text, from the result's arena; l is NULL
 * (n > 0) when memory is out.
 */
struct labels promql_result_labels(struct promql_result *r,
	    const struct promql_series *s);

/*
 * Ends the query at its source already (epochs are given back) and keeps the
 * result readable: for whoever takes long to print it. The source must live
 * on. Without memory for the labels nothing changes.
 */
void	 promql_result_detach(struct promql_result *r);

/* Frees the result and ends the query at its source. NULL is fine. */
void	 promql_result_free(struct promql_result *r);

#endif
