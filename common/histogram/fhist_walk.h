/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_HISTOGRAM_FHIST_WALK_H
#define BRAZIER_COMMON_HISTOGRAM_FHIST_WALK_H

/* What additions and reset detection share; not for other libraries. */

#include <stdbool.h>
#include <stdint.h>

#include "common/histogram/fhist.h"

/*
 * The zero count h would have with the zero threshold *threshold (>= its
 * own), which moves up to the end of a populated bucket that it cuts. c:
 * compensation or NULL; its part goes to *c_out.
 */
double	 fhist_zero_count_for(const struct fhist *h, double *threshold,
	    const struct fhist *c, double *c_out);

/* A cursor over the absolute indices of a side. */
struct walk {
	const struct hside	*s;
	uint32_t		 span, in_span, k;
	int32_t			 index;
};

static inline bool
walk_ok(struct walk *w)
{
	while (w->span < w->s->n_spans &&
	    w->in_span >= w->s->spans[w->span].length) {
		w->in_span = 0;
		if (++w->span < w->s->n_spans)
			w->index += w->s->spans[w->span].offset;
	}
	return w->span < w->s->n_spans && w->k < w->s->n;
}

static inline struct walk
walk_start(const struct hside *s)
{
	return (struct walk){ .s = s,
	    .index = s->n_spans != 0 ? s->spans[0].offset : 0 };
}

static inline void
walk_step(struct walk *w)
{
	w->in_span++;
	w->index++;
	w->k++;
}

#endif
