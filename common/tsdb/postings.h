/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_POSTINGS_H
#define BRAZIER_COMMON_TSDB_POSTINGS_H

/*
 * Sets of series as ascending arrays of u32 (head slots, or ids of a
 * block's series). Inputs are borrowed, results live in the caller's arena
 * (or are one of the inputs).
 *
 * Inputs may be hostile: unsorted or repeating numbers give a wrong set,
 * never an access outside of the arrays.
 *
 * All fail (-1) only when the arena refuses.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"

struct postings {
	const uint32_t	*id;
	size_t		 n;
};

/* In both. O(min · log(max/min)). */
int	 postings_intersect(struct arena *a, struct postings x,
	    struct postings y, struct postings *out);

/* In x and not in y. O(n of x), each by a galloping search in y. */
int	 postings_subtract(struct arena *a, struct postings x,
	    struct postings y, struct postings *out);

/*
 * In any of the n lists. Numbers from `limit` on are left out (it bounds
 * the bit map that big unions use).
 */
int	 postings_union(struct arena *a, const struct postings *lists,
	    size_t n, uint32_t limit, struct postings *out);

bool	 postings_has(struct postings x, uint32_t id);

#endif
