/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SAMPLES_H
#define BRAZIER_COMMON_PROMQL_SAMPLES_H

/*
 * The raw samples of one series in a time range, decoded into arrays: floats
 * and histograms apart, each in time order. The same object is filled for
 * one series after the other and keeps its memory.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/histogram/fhist.h"
#include "common/promql/eval.h"

struct samples {
	int64_t		 *t;
	double		 *v;
	int64_t		 *st;		/* start timestamps, 0 unknown */
	size_t		  n;
	size_t		  cap, vcap, stcap;
	int64_t		 *ht;
	struct fhist	**h;
	int64_t		 *hst;
	size_t		  nh;
	size_t		  htcap, hcap, hstcap;
	struct arena	  hmem;
	struct query	 *q;
	size_t		  accounted;	/* bytes */
	bool		  want_st;	/* fill st and hst */
	bool		  stats_only;	/* histograms without buckets */
};

void	 samples_init(struct samples *s, struct query *q);
void	 samples_clear(struct samples *s);
void	 samples_reset(struct samples *s);

/*
 * Decodes what s has in [mint, maxt] (inclusive). drop_stale leaves stale
 * markers out.
 */
int	 samples_read(struct samples *s, const struct source_series *series,
	    int64_t mint_ms, int64_t maxt_ms, bool drop_stale);

/* A stale marker among the floats, or histograms, which may be some. */
bool	 samples_has_stale(const struct samples *s);

/* Appends one; times must ascend. */
int	 samples_add_float(struct samples *s, int64_t t_ms, double v);
int	 samples_add_hist(struct samples *s, int64_t t_ms, struct fhist *h);

#endif
