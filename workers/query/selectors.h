/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_SELECTORS_H
#define BRAZIER_WORKERS_QUERY_SELECTORS_H

/* The match[] parameters of a request. */

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/labels/matcher.h"
#include "workers/query/params.h"

struct selector {
	struct matcher			*owned;
	const struct matcher *const	*m;	/* the same, as sources take it */
	size_t				 n;
};

struct selectors {
	struct selector	*v;
	size_t		 n;
};

/*
 * Parses all match[] values; arrays come from the arena. -1: ERR_BAD_DATA (a
 * parse error, or one that would match everything); nothing to clear then.
 */
int	 selectors_parse(const struct params *p, struct arena *a,
	    struct selectors *out, struct err *err);
void	 selectors_clear(struct selectors *s);

#endif
