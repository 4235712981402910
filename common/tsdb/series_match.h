/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_SERIES_MATCH_H
#define BRAZIER_COMMON_TSDB_SERIES_MATCH_H

/*
 * Which series match all of a set of matchers, over anything that has lists
 * of series by label: the head (head_match.c) and a block's index
 * (block_match.c) give a struct match_index each.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/labels/matcher.h"
#include "common/tsdb/postings.h"

/* A label name as the index knows it. */
struct match_name {
	uint32_t	 sym;
	bool		 has_sym;	/* false: series cannot be asked */
	size_t		 n_values;
	struct postings	 values;	/* for the index's own use … */
	const void	*entry;		/* … by its kind */
};

/* A growing list of lists, in the query's arena. */
struct match_lists {
	struct postings	*v;
	size_t		 n, cap;
	struct arena	*a;
};

/*
 * What an index can do. ix is the caller's; lists are borrowed from the
 * index or live in the arena. -1 and err: corrupt, or the arena refuses.
 */
struct match_index {
	/* 1, or 0 when no series has the label. */
	int		(*name)(void *ix, struct str text,
			    struct match_name *out, struct err *err);
	/* 1 and the list of name=value, or 0 when there is none. */
	int		(*value)(void *ix, const struct match_name *name,
			    struct str value, struct postings *out,
			    struct err *err);
	/* Adds the lists of all values for which m's verdict is want. */
	int		(*scan)(void *ix, const struct match_name *name,
			    const struct matcher *m, bool want,
			    struct match_lists *out, struct err *err);
	/* The list of all series. */
	int		(*all)(void *ix, struct postings *out,
			    struct err *err);
	/* 1 and the symbol of a series' value, 0 when it has none, 2 when
	 * there is no such series (any more). */
	int		(*series)(void *ix, uint32_t id,
			    const struct match_name *name, uint32_t *sym,
			    struct err *err);
	struct str	(*text)(void *ix, uint32_t sym);
};

/* Adds a list; ERR_LIMIT when the arena refuses. */
int	 match_lists_add(struct match_lists *l, struct postings list,
	    struct err *err);

/*
 * Ascending ids, all below id_limit, of the series that match all n matchers
 * (0: all series), in the arena or borrowed from the index. Fails as the
 * index does, and with ERR_LIMIT when the arena refuses.
 */
int	 series_match(const struct match_index *mi, void *ix,
	    uint32_t id_limit, struct arena *a,
	    const struct matcher *const *m, size_t n, struct postings *out,
	    struct err *err);

#endif
