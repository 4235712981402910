/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_TOMBSTONES_H
#define BRAZIER_COMMON_TSDB_TOMBSTONES_H

/*
 * Deleted ranges of a block's series.
 *
 *	| magic 0x0130BA30 4 | version 1 | (ref uvarint, mint varint,
 *	  maxt varint)… | crc over the entries 4 |
 *
 * Source: spec tsdb.tsv, tombstones.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Closed interval. */
struct tombstone {
	uint64_t	ref;		/* id of the series in the index */
	int64_t		mint_ms;
	int64_t		maxt_ms;
};

/* Sorted by ref and mint; intervals of a series neither touch nor overlap. */
struct tombstones {
	struct tombstone	*v;	/* owned */
	size_t			 n;
};

/*
 * Reads the file's bytes (none at all mean no tombstones). ERR_INTERNAL when
 * they are corrupt, ERR_NOMEM; *out is empty then.
 */
int	 tombstones_read(struct tombstones *out, const void *p, size_t n,
	    struct err *err);
void	 tombstones_clear(struct tombstones *t);
/* Those of one series: returns the first, *n_out how many. */
const struct tombstone *tombstones_find(const struct tombstones *t,
	    uint64_t ref, size_t *n_out);

#endif
