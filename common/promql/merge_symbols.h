/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_MERGE_SYMBOLS_H
#define BRAZIER_COMMON_PROMQL_MERGE_SYMBOLS_H

/*
 * One table of symbols (text to number) over the symbols of several sources,
 * for one query of source_merge.c, with a cache for each source from its
 * symbols to these: label sets are equal when their numbers are. All tables
 * are arrays of the query's arena: a bigger copy leaves the old one behind,
 * as the arena frees nothing.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/err.h"
#include "common/promql/source.h"

struct merge_cache;

struct merge_symbols {
	struct arena		*a;
	struct source		*const *subs;	/* borrowed */
	struct merge_cache	*caches;	/* one a source */
	struct str		*texts;		/* by merged symbol */
	size_t			 n_texts, texts_cap;
	uint32_t		*by_text;	/* hash table: symbol + 1 */
	uint32_t		 by_text_mask;
};

/* -1: ERR_LIMIT. Nothing to clear: forget it with the arena. */
int	 merge_symbols_init(struct merge_symbols *m, struct arena *a,
	    struct source *const *subs, size_t n, struct err *err);
/* The labels of a series of subs[sub], as merged symbols. */
int	 merge_symbols_labels(struct merge_symbols *m, size_t sub,
	    const struct source_series *in, struct label_sym *out,
	    struct err *err);
/* By texts, as labels.Compare: of names, then values, then how many. */
int	 merge_symbols_cmp(const struct merge_symbols *m,
	    const struct label_sym *x, uint32_t n_x,
	    const struct label_sym *y, uint32_t n_y);

/*
 * Room for need elements of size bytes in an array of the arena (at p, a
 * pointer to its pointer), used of which are kept. -1: ERR_LIMIT.
 */
int	 merge_grow(struct arena *a, void *p, size_t *cap, size_t used,
	    size_t need, size_t size, struct err *err);

#endif
