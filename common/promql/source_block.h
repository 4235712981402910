/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SOURCE_BLOCK_H
#define BRAZIER_COMMON_PROMQL_SOURCE_BLOCK_H

/*
 * One block as a source of series. Symbols are those of its index. Several
 * blocks, or blocks and the head, go through source_merge.h.
 */

#include "common/promql/source.h"
#include "common/tsdb/block_reader.h"

/*
 * b stays the caller's and must outlive the source. NULL when memory is out.
 * One query at a time.
 */
struct source *source_block_new(struct block_reader *b);
void	 source_block_free(struct source *s);

#endif
