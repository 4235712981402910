/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_SOURCE_MEMORY_H
#define BRAZIER_COMMON_PROMQL_SOURCE_MEMORY_H

/*
 * Series in the memory of this process, for the test language, for unit
 * tests of rules and for benchmarks. Samples are encoded into chunks as
 * storage does it, so that the engine decodes what it would decode there;
 * only where chunks end is simpler.
 */

#include <stdint.h>

#include "common/histogram/fhist.h"
#include "common/labels/labels.h"
#include "common/promql/source.h"

struct source_memory;

/* NULL: memory. */
struct source_memory *source_memory_new(void);
void	 source_memory_free(struct source_memory *m);
/* Forgets all series. */
void	 source_memory_reset(struct source_memory *m);
struct source *source_memory_source(struct source_memory *m);

/*
 * Adds one sample; copies what it is given. A sample that is already there
 * at this time is replaced. st_ms: start timestamp, 0 unknown. -1: memory.
 */
int	 source_memory_add(struct source_memory *m, struct labels ls,
	    int64_t t_ms, int64_t st_ms, double v, const struct fhist *h);

/*
 * Encodes everything and forgets the raw samples: less memory, for large
 * stores that will not change. Nothing can be added to these series later.
 */
int	 source_memory_freeze(struct source_memory *m);

#endif
