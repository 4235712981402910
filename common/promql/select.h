/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SELECT_H
#define BRAZIER_COMMON_PROMQL_SELECT_H

/* Selections at the source, and what an instant selector sees in a series. */

#include "common/promql/eval.h"
#include "common/promql/samples.h"
#include "common/promql/window_grid.h"

/* Begins the selection of a vector selector (which has its plan). */
int	 select_start(struct query *q, struct promql_expr *vector,
	    struct source_cursor **out);
int	 select_matchers(struct query *q, const struct matcher *const *m,
	    size_t n, const struct source_hints *hints,
	    struct source_cursor **out);
/* 1, 0 at the end, -1; checks for cancellation. */
int	 select_next(struct query *q, struct source_cursor *c,
	    struct source_series *out);

/* The time that a selector looks at for a step. */
int64_t	 select_ref_ms(const struct evaluator *ev,
	    const struct promql_modifiers *m, uint32_t step);

enum instant_what {
	INSTANT_VALUE,
	INSTANT_TIME,		/* its time in seconds */
	INSTANT_TIME_MS,
	INSTANT_START		/* its start timestamp in seconds */
};

/*
 * As instant_fill of values for a series of floats without stale markers,
 * through the grid of the selector; not for statistics by step.
 */
int	 instant_fill_floats(struct wgrid *g, const struct samples *s,
	    struct pbuf *b);

/* Fills b (reset before) with what each step sees of s. */
int	 instant_fill(struct evaluator *ev, const struct samples *s,
	    const struct promql_modifiers *m, struct pbuf *b,
	    enum instant_what what);

/* The same for a smoothed selector; leaves stale markers out of s. */
int	 smooth_fill(struct evaluator *ev, struct samples *s,
	    struct promql_expr *e, const struct label_sym *labels,
	    uint32_t n_labels, struct pbuf *b);

#endif
