/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_GROUPING_H
#define BRAZIER_COMMON_PROMQL_GROUPING_H

/*
 * by (…) and without (…): which group a series belongs to, and the labels
 * of the groups.
 */

#include "common/promql/eval.h"

struct grouping {
	struct query		*q;
	struct lnames		 names;
	bool			 without;
	bool			 one;		/* by (): a single group */
	struct label_sym	*scratch;
	uint32_t		 scratch_cap;
	struct lset_index	 groups;
	/* the last one, which the next series often shares */
	struct lset		 last;
	int64_t			 last_group;
};

/* extra: one more name of by(…), or NULL. */
int	 grouping_init(struct grouping *g, struct query *q,
	    const struct promql_expr *agg, const struct str *extra);
void	 grouping_clear(struct grouping *g);
/* The group's number; *is_new the first time. -1 on failure. */
int64_t	 grouping_of(struct grouping *g, struct lset ls, bool *is_new);
static inline struct lset
grouping_labels(const struct grouping *g, size_t group)
{
	return g->groups.sets[group];
}

#endif
