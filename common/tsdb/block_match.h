/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_BLOCK_MATCH_H
#define BRAZIER_COMMON_TSDB_BLOCK_MATCH_H

/* Which series of an index match all of a set of matchers. */

#include <stddef.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/labels/matcher.h"
#include "common/tsdb/index_reader.h"

/*
 * Ascending series ids; no matchers mean all series. Symbols and table are
 * loaded if need be. ERR_INTERNAL (corrupt), ERR_LIMIT (arena), ERR_NOMEM.
 */
int	 block_match(struct index_reader *r, struct arena *a,
	    const struct matcher *const *m, size_t n, struct postings *out,
	    struct err *err);

#endif
