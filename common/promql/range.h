/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_RANGE_H
#define BRAZIER_COMMON_PROMQL_RANGE_H

/*
 * Functions of range vectors. The driver (eval_range.c) moves a window over
 * the samples of one series and calls the function once a step; functions
 * that can do better take the whole series at once (a kernel).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/promql/eval.h"
#include "common/promql/samples.h"
#include "common/promql/window_grid.h"

/* What the window of one step holds. */
struct rwin {
	const int64_t		*t;
	const double		*v;
	const int64_t		*st;	/* NULL unless they are wanted */
	size_t			 n;
	const int64_t		*ht;
	struct fhist *const	*h;
	const int64_t		*hst;
	size_t			 nh;
	int64_t			 ts_ms;		/* of the step */
	int64_t			 start_ms;	/* of the range, exclusive */
	int64_t			 end_ms;	/* inclusive */
	uint32_t		 step;
};

/* One call of a range function. */
struct rcall {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*call;
	enum promql_func_id	 id;
	const struct promql_modifiers *mod;
	int64_t			 range_ms;
	double			 range_s;
	int64_t			 extend_before_ms;	/* anchored, smoothed */
	int64_t			 extend_after_ms;
	bool			 anchored;
	bool			 smoothed;
	int32_t			 pos;		/* of the first argument */
	double			*params[3];	/* n_steps each */
	struct pbuf		 buf;		/* the result */
	struct lset		 ls;		/* of the series at hand */
	/* raised for this series already */
	bool			 noted_mixed;
	double			*scratch;	/* for quantiles, kernels */
	size_t			 scratch_cap;
	/* kernels: the windows of all steps, and what rate makes of them */
	struct wgrid		 grid;
	struct rate_cols	*rate_cols;
};

enum rresult {
	R_ERROR = -1,
	R_NONE = 0,
	R_FLOAT = 1,
	R_HIST = 2
};

typedef enum rresult (*range_fn)(struct rcall *c, const struct rwin *w,
    double *v, struct fhist **h);

/* NULL when the function has none. */
range_fn range_function(enum promql_func_id id);

enum rresult range_rate(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);
enum rresult range_instant(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);
enum rresult range_extended(struct rcall *c, const struct rwin *w,
	    bool counter, bool per_second, double *v, struct fhist **h);
enum rresult range_sum(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);
enum rresult range_avg(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);
enum rresult range_resets(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);
enum rresult range_changes(struct rcall *c, const struct rwin *w, double *v,
	    struct fhist **h);

/*
 * Whole series at once; 1 when it was done, 0 when the driver must go
 * window by window (histograms, start timestamps, odd data), -1.
 */
int	 range_kernel(struct rcall *c, const struct samples *s);
int	 range_kernel_rate(struct rcall *c, const struct samples *s);
void	 rate_cols_free(struct rcall *c);
/* The samples of the grid's windows to the query's accounts. */
int	 range_count_windows(struct rcall *c);

/* Annotations about the series at hand, by its metric name. */
void	 range_note(struct rcall *c, enum anno_kind kind);
void	 range_note_op(struct rcall *c, enum anno_kind kind, const char *op);
/* True when the window has both kinds; raises the warning. */
bool	 range_is_mixed(struct rcall *c, const struct rwin *w);

bool	 st_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t);

/* The quantile of n values (sorted here). */
double	 quantile_of(double q, double *v, size_t n);

/* Makes room for n doubles in c->scratch. */
int	 range_scratch(struct rcall *c, size_t n);

#endif
