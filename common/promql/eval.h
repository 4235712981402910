/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_EVAL_H
#define BRAZIER_COMMON_PROMQL_EVAL_H

/*
 * The inside of the engine. An expression is evaluated for all steps of an
 * evaluator at once and hands over its result series by series:
 *
 *	eval_push(expr) ──▶ sink(series) ──▶ sink(series) … ▶ 0
 *
 * A series is dense on the step grid: kind[i] says what there is at step i,
 * v[i] and h[i] hold it. What is handed over lives until the sink returns
 * (labels: until the end of the query), and the sink may overwrite the
 * arrays, so that a chain like -abs(rate(x)) works in one buffer.
 *
 * Scalars are arrays of one double a step (eval_scalar). Whoever needs all
 * series at once collects them into a matrix (eval_matrix).
 *
 * Calls return 0 or -1 with query.err filled. When a streaming operator
 * finds out that it must see all series (equal label sets after the name is
 * dropped), it fails with query.retry set: the query runs again, collecting.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/histogram/fhist.h"
#include "common/promql/annotations.h"
#include "common/promql/ast.h"
#include "common/promql/engine.h"
#include "common/promql/functab.h"
#include "common/promql/lset.h"
#include "common/promql/source.h"

/* What is known of one query while it runs. */
struct query {
	struct source		*src;
	struct arena		*mem;	/* of the result: labels, symbols */
	struct symtab		*syms;
	struct err		*err;
	struct annos		 annos;
	struct str		 text;
	int64_t			 lookback_ms;
	int64_t			 subquery_step_ms;
	uint64_t		 max_samples;
	mono_time		 deadline;
	uint32_t		 features;
	bool			 delayed_names;
	bool			 use_st;
	bool			 all_samples;	/* are counted, see plan_rewrite */
	bool			 retry;		/* run again, collecting */
	bool			 collect;	/* this is the second run */
	bool			 interned;
	/* accounts */
	uint64_t		 cur_samples;
	uint64_t		 peak_samples;
	uint64_t		 total_samples;
	uint64_t		 samples_read;
	uint64_t		*total_per_step;	/* or NULL */
	uint64_t		*read_per_step;
	int64_t			 stats_start_ms;
	int64_t			 stats_step_ms;
	uint32_t		 stats_n_steps;
	uint32_t		 tick;
	struct share		*shares;	/* share.h */
	struct lnames		 reserved;	/* __name__, __type__, __unit__ */
	struct lnames		 name_only;	/* __name__ */
};

/* The steps that an expression is evaluated at. */
struct evaluator {
	struct query	*q;
	int64_t		 start_ms;
	int64_t		 end_ms;
	int64_t		 step_ms;	/* > 0 */
	uint32_t	 n_steps;	/* 0: nothing to do */
	bool		 in_subquery;
};

enum {
	K_NONE = 0,
	K_FLOAT = 1,
	K_HIST = 2
};

struct pseries {
	struct lset		  ls;
	bool			  drop_name;
	double			 *v;
	uint8_t			 *kind;
	const struct fhist	**h;	/* NULL while n_hists is 0 */
	uint32_t		  n_floats;
	uint32_t		  n_hists;
};

typedef int (*series_sink)(void *ctx, struct pseries *s);

/* --- failing --- */

int	 q_nomem(struct query *q);
/* ERR_EXECUTION */
int	 q_fail(struct query *q, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
int	 q_too_many(struct query *q);
/* Time-out, cancellation; call per series and every few thousand samples. */
int	 q_check(struct query *q);
/* More samples in memory; -1 beyond the limit. */
static inline int
q_samples(struct query *q, uint64_t n)
{
	q->cur_samples += n;
	if (q->cur_samples > q->peak_samples)
		q->peak_samples = q->cur_samples;
	return q->cur_samples > q->max_samples ? q_too_many(q) : 0;
}
void	 q_stat_step(struct query *q, const struct evaluator *ev,
	    uint32_t step, uint64_t total, uint64_t read);
/* arena_alloc with the failure noted. */
void	*q_alloc(struct query *q, struct arena *a, size_t n, size_t size);

static inline int64_t
ev_time(const struct evaluator *ev, uint32_t step)
{
	return ev->start_ms + (int64_t)step * ev->step_ms;
}

/* Sets n_steps from the rest; -1 when there are too many. */
int	 ev_init(struct evaluator *ev, struct query *q, int64_t start_ms,
	    int64_t end_ms, int64_t step_ms);

/* Samples of a series as the limit counts them. */
uint64_t pseries_samples(const struct pseries *s, uint32_t n_steps);

/* Text of the metric name (empty if none). */
struct str q_metric_name(struct query *q, struct lset ls);
/* Without __name__, __type__, __unit__. */
int	 q_drop_reserved(struct query *q, struct lset ls, struct lset *out);

/* --- a buffer for one series, filled anew for each --- */

struct pbuf {
	struct pseries	s;
	struct arena	mem;		/* the arrays */
	struct arena	hmem;		/* histograms; reset for each series */
	struct query	*q;
	size_t		accounted;
	size_t		h_accounted;	/* of hmem */
	uint32_t	n_steps;
};

int	 pbuf_init(struct pbuf *b, struct query *q, uint32_t n_steps);
void	 pbuf_clear(struct pbuf *b);
/* Empties it: no samples, no histograms. */
void	 pbuf_reset(struct pbuf *b);
/* Room for histograms at each step. */
int	 pbuf_need_h(struct pbuf *b);
/* Tells the query's account what the histograms take by now. */
int	 pbuf_account(struct pbuf *b);

static inline void
pbuf_float(struct pbuf *b, uint32_t step, double v)
{
	b->s.v[step] = v;
	b->s.kind[step] = K_FLOAT;
	b->s.n_floats++;
}

/* h must live as long as the buffer's content. */
static inline int
pbuf_hist(struct pbuf *b, uint32_t step, const struct fhist *h)
{
	if ((b->s.h == NULL && pbuf_need_h(b) == -1) ||
	    (b->hmem.used_bytes > b->h_accounted && pbuf_account(b) == -1))
		return -1;
	b->s.h[step] = h;
	b->s.kind[step] = K_HIST;
	b->s.n_hists++;
	return 0;
}

/* --- matrices --- */

struct matrix {
	struct query	*q;
	struct arena	 mem;
	struct pseries	*s;		/* malloc'ed */
	size_t		 n, cap;
	size_t		 accounted;
	uint32_t	 n_steps;
};

void	 matrix_init(struct matrix *m, struct query *q, uint32_t n_steps);
void	 matrix_clear(struct matrix *m);
/* Appends a deep copy. */
int	 matrix_add(struct matrix *m, const struct pseries *s);
/* Appends an empty series; NULL: memory. */
struct pseries *matrix_new_series(struct matrix *m, struct lset ls,
	    bool drop_name);
int	 matrix_set_float(struct matrix *m, struct pseries *s, uint32_t step,
	    double v);
/* Copies h. */
int	 matrix_set_hist(struct matrix *m, struct pseries *s, uint32_t step,
	    const struct fhist *h);
/* Tells the query's account what the matrix holds by now. */
int	 matrix_account(struct matrix *m);
/* The sink that collects; ctx is the matrix. */
int	 matrix_sink(void *ctx, struct pseries *s);
int	 matrix_push(struct matrix *m, series_sink sink, void *ctx);
uint64_t matrix_samples(const struct matrix *m);
/*
 * Joins series of equal label sets; an execution error if two have a sample
 * at one step.
 */
int	 matrix_merge_same(struct matrix *m);

/* --- evaluation --- */

int	 eval_push(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
/* The same, whether or not the query has e elsewhere too (share.h). */
int	 eval_unshared(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_matrix(struct evaluator *ev, struct promql_expr *e,
	    struct matrix *out);
/* n_steps doubles into out. */
int	 eval_scalar(struct evaluator *ev, struct promql_expr *e, double *out);

/*
 * Drops the name as functions do: at once, or marked for the end when names
 * are removed late.
 */
int	 series_drop_name(struct query *q, struct pseries *s);

/*
 * A stage between an operator that drops names and its sink, which finds
 * equal label sets: `vector cannot contain metrics with the same labelset`,
 * or the merge of series that do not overlap.
 */
struct dedup {
	struct query		*q;
	struct lset_index	 seen;
	struct matrix		 m;
	series_sink		 sink;
	void			*ctx;
	bool			 always_error;
};

/* always_error: any two equal label sets are an error (range functions). */
void	 dedup_init(struct dedup *d, struct query *q, uint32_t n_steps,
	    bool always_error, series_sink sink, void *ctx);
int	 dedup_sink(void *ctx, struct pseries *s);
/* Hands over what was kept; then dedup_clear in any case. */
int	 dedup_finish(struct dedup *d);
void	 dedup_clear(struct dedup *d);

/* eval_select.c */
int	 eval_vector_selector(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
/* timestamp(x), start_timestamp(x) of a plain selector */
int	 eval_timestamp_of(struct evaluator *ev, struct promql_expr *e,
	    bool start_timestamp, series_sink sink, void *ctx);

/* eval_range.c */
int	 eval_range_call(struct evaluator *ev, struct promql_expr *call,
	    size_t matrix_arg, series_sink sink, void *ctx);

/* The steps that a subquery is evaluated at. */
int	 subquery_evaluator(const struct evaluator *ev,
	    const struct promql_expr *e, struct evaluator *out);

/*
 * An aggregation that folds: series go into aggr_sink, the result comes out
 * of aggr_push. ev must outlive it.
 */
struct aggr *aggr_new(struct evaluator *ev, struct promql_expr *e);
int	 aggr_sink(void *aggr, struct pseries *s);
void	 aggr_free(struct aggr *x);	/* NULL is fine */

/* eval_aggr.c, eval_aggr_k.c, eval_count_values.c */
int	 eval_aggregate(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_aggregate_k(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_count_values(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);

/* eval_binop.c, eval_binop_vector.c, eval_binop_set.c */
int	 eval_binop_vector_scalar(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_binop_vectors(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_binop_set(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
double	 scalar_binop(enum promql_op op, double l, double r);

/* func_simple.c, func_hist.c, func_label.c, func_info.c */
int	 eval_call_simple(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
bool	 call_is_simple(enum promql_func_id id);
int	 eval_call_hist(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_call_hist_quantile(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_call_label(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_call_sort(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_call_absent(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);
int	 eval_call_info(struct evaluator *ev, struct promql_expr *e,
	    series_sink sink, void *ctx);

/* --- plan (engine_plan.c) --- */

/*
 * Resolves what depends on the query's times: start(), end(), step(),
 * range(), duration expressions, @ start/end; wraps what does not change
 * from step to step; finds out whether labels must be interned.
 */
int	 plan_query(struct query *q, struct promql_expr **e, struct arena *a,
	    int64_t start_ms, int64_t end_ms, int64_t step_ms);

/*
 * engine_rewrite.c: numbers folded, matchers carried through matching.
 * Before the plan of ranges; memory from a.
 */
int	 plan_rewrite(struct query *q, struct promql_expr *e,
	    struct arena *a);

/* What a selector may read: times in ms. */
struct select_plan {
	int64_t		mint_ms, maxt_ms;
	int64_t		step_ms;
	int64_t		range_ms;
	bool		stats_only;	/* count and sum of histograms suffice */
};

static inline const struct select_plan *
plan_of(const struct promql_expr *vector)
{
	return vector->plan;
}

static inline int64_t
expr_pos(const struct promql_expr *e)
{
	return e->pos.start;
}

#endif
