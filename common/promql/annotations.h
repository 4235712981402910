/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_ANNOTATIONS_H
#define BRAZIER_COMMON_PROMQL_ANNOTATIONS_H

/*
 * Warnings and infos that come with a result. One text is kept once,
 * whatever number of samples raise it; the position is that of the last.
 * Raising a known one is cheap, but not free: callers in inner loops
 * remember that they have done it.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/str.h"

enum anno_kind {
	/* warnings */
	ANNO_INVALID_RATIO,		/* f, f2: capped to */
	ANNO_INVALID_QUANTILE,		/* f */
	ANNO_BAD_BUCKET,		/* s: label value, s2: metric */
	ANNO_MIXED_FLOATS_HISTOGRAMS,	/* s: metric */
	ANNO_MIXED_FLOATS_HISTOGRAMS_AGG,
	ANNO_MIXED_CLASSIC_NATIVE,	/* s: metric or empty */
	ANNO_NOT_COUNTER,		/* s: metric */
	ANNO_NOT_GAUGE,			/* s: metric */
	ANNO_MIXED_EXPONENTIAL_CUSTOM,	/* s: metric */
	ANNO_INCOMPATIBLE_LAYOUT,	/* s: operator */
	ANNO_SORT_IN_RANGE,
	ANNO_RESET_COLLISION,		/* s: operation */
	ANNO_START_TIME_OVERLAP,	/* s: metric */
	/* infos */
	ANNO_POSSIBLE_NON_COUNTER,	/* s: metric */
	ANNO_POSSIBLE_NON_COUNTER_TYPE,	/* s: metric, s2: type */
	ANNO_FORCED_MONOTONIC,		/* s: metric; see annos_monotonic */
	ANNO_INCOMPATIBLE_TYPES,	/* s: "float + histogram", s2: op */
	ANNO_IGNORED_IN_AGGREGATION,	/* s: aggregation */
	ANNO_IGNORED_IN_MIXED_RANGE,	/* s: metric */
	ANNO_QUANTILE_NAN_RESULT,	/* s: metric or empty */
	ANNO_QUANTILE_NAN_SKEW,		/* s: metric or empty */
	ANNO_FRACTION_NANS,		/* s: metric or empty */
	ANNO_BOUNDS_RECONCILED,		/* s: operation */
	ANNO_N
};

struct anno;

struct annos {
	struct arena	*mem;
	struct anno	*first;		/* in the order raised */
	struct anno	**last;
	size_t		 n;
	int		 failed;	/* memory was out */
};

void	 annos_init(struct annos *a, struct arena *mem);

/* What the arguments mean stands beside the kind; pos is a byte offset. */
void	 annos_add(struct annos *a, enum anno_kind kind, int32_t pos,
	    struct str s, struct str s2, double f, double f2);
void	 annos_monotonic(struct annos *a, int32_t pos, struct str metric,
	    int64_t t_ms, double min_bucket, double max_bucket,
	    double max_diff);

static inline void
annos_str(struct annos *a, enum anno_kind kind, int32_t pos, struct str s)
{
	annos_add(a, kind, pos, s, STR_EMPTY, 0, 0);
}

/*
 * The finished texts with positions in the query. Arrays and texts from the
 * arena; -1 when it is out.
 */
int	 annos_texts(const struct annos *a, struct str query,
	    struct str **warnings, size_t *n_warnings, struct str **infos,
	    size_t *n_infos);

#endif
