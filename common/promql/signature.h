/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SIGNATURE_H
#define BRAZIER_COMMON_PROMQL_SIGNATURE_H

/* on (…) and ignoring (…): the match group of a series, as a number. */

#include "common/promql/eval.h"

struct signature {
	struct query		*q;
	struct lnames		 names;
	bool			 on;
	struct label_sym	*scratch;
	uint32_t		 scratch_cap;
	struct lset_index	 groups;
};

int	 signature_init(struct signature *s, struct query *q,
	    const struct promql_matching *m);
void	 signature_clear(struct signature *s);
/* From 0 in the order of appearance; -1 on failure. */
int64_t	 signature_of(struct signature *s, struct lset ls);
/* The same for a group that has appeared; -2 when it has not. */
int64_t	 signature_known(struct signature *s, struct lset ls);

#endif
