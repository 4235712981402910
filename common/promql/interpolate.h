/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_INTERPOLATE_H
#define BRAZIER_COMMON_PROMQL_INTERPOLATE_H

/* Values between two samples, for smoothed and anchored selectors. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/promql/eval.h"

double	 interpolate(int64_t t1, double v1, int64_t t2, double v2, int64_t t,
	    bool counter);

/*
 * The histogram at t between h1 (at t1) and h2 (at t2), from the arena.
 * A counter that was reset in between starts from zero. Notes differing
 * custom bounds. NULL: *rc says FHIST_INCOMPATIBLE or FHIST_NOMEM.
 */
struct fhist *interpolate_hist(struct query *q, struct arena *a,
	    const struct fhist *h1, int64_t t1, const struct fhist *h2,
	    int64_t t2, int64_t t, bool counter, int32_t pos,
	    enum fhist_rc *rc);

/* Index of the first of t[0..n) that is > x (>= x). */
size_t	 times_after(const int64_t *t, size_t n, int64_t x);
size_t	 times_from(const int64_t *t, size_t n, int64_t x);

#endif
