/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_WINDOW_GRID_H
#define BRAZIER_COMMON_PROMQL_WINDOW_GRID_H

/*
 * Where the windows of all steps lie in the samples of a series:
 *
 *	step i:  samples lo[i] … hi[i] - 1   are in (end - range, end]
 *
 * That depends on the samples' times only, which series of one target
 * share: a series with the times of the one before takes over all of it,
 * and what its function makes of the times alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/promql/eval.h"

struct wgrid {
	struct query	*q;
	/* the question */
	int64_t		 first_ms;	/* end of the first window */
	int64_t		 step_ms;	/* 0: all steps see the same */
	int64_t		 range_ms;
	uint32_t	 n_steps;
	/* times that the answer is for; t[-1] and t[n] are sentinels */
	int64_t		*t;
	int64_t		*times;		/* t - 1 */
	size_t		 n, cap;
	bool		 known;
	/* the answer */
	uint32_t	*edges;
	const uint32_t	*lo, *hi;
	uint32_t	*pick;		/* wgrid_pick */
	bool		 all;		/* each step has a sample */
	uint64_t	 most;		/* samples in the fullest window */
	uint64_t	 total;		/* in all windows */
	uint64_t	 read;		/* of them not seen by the step before */
	size_t		 accounted;
};

/* WGRID_PICK: nothing there. */
#define WGRID_NONE	UINT32_MAX

/* Nothing is allocated before the first series. */
void	 wgrid_init(struct wgrid *g, const struct evaluator *ev,
	    const struct promql_modifiers *m, int64_t range_ms);
void	 wgrid_clear(struct wgrid *g);

/*
 * Answers for a series with these n < UINT32_MAX ascending times. 1: the
 * same as for the one before, 0: made anew, -1.
 */
int	 wgrid_windows(struct wgrid *g, const int64_t *t, size_t n);

/*
 * As wgrid_windows, for instant selectors, the range being the lookback
 * delta: pick[i] is the newest sample in sight of step i or WGRID_NONE.
 */
int	 wgrid_pick(struct wgrid *g, const int64_t *t, size_t n);

static inline int64_t
wgrid_end_ms(const struct wgrid *g, uint32_t step)
{
	return g->first_ms + (int64_t)step * g->step_ms;
}

#endif
