/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SOURCE_MERGE_H
#define BRAZIER_COMMON_PROMQL_SOURCE_MERGE_H

/*
 * Several sources (blocks, the head) as one. Series with the same labels are
 * one series with the chunks of all; symbols get numbers of their own.
 *
 * When only one source has something for a selection, its series pass
 * through one by one. Else they come in the order of their labels, and only
 * of a source that has no order itself (the head) labels and spans, not
 * samples, are kept in the query's arena.
 */

#include <stddef.h>

#include "common/promql/source.h"

/*
 * The sources stay the caller's and must outlive this one. Of samples with
 * the same time that of the earlier source in the list counts. NULL when
 * memory is out.
 */
struct source *source_merge_new(struct source *const *sources, size_t n);
/* Other sources from the next query on; not between begin and end. */
int	 source_merge_set(struct source *s, struct source *const *sources,
	    size_t n);
void	 source_merge_free(struct source *s);

#endif
