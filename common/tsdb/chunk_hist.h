/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_CHUNK_HIST_H
#define BRAZIER_COMMON_TSDB_CHUNK_HIST_H

/*
 * Chunks of native histograms: encodings 2 (integer counts) and 3 (float
 * counts), and 5 and 6, which are these with start timestamps (there the
 * flags are the count's two highest bits). Both begin with the sample count, a flags byte that tells about
 * counter resets, and the bucket layout that all samples share.
 *
 *	0      2       3
 *	| n16  | flags | layout | first sample | samples as differences …
 *
 * Timestamps, integer counts and buckets are delta-of-delta varbit numbers,
 * float counts and sums XOR-coded.
 *
 * Source: spec tsdb.tsv, chunk-encoding 2 and 3.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/histogram/fhist.h"

/* The two highest bits of the flags byte. */
enum chunk_hist_flags {
	CHUNK_HIST_RESET = 0x80,
	CHUNK_HIST_NOT_RESET = 0x40,
	CHUNK_HIST_GAUGE = 0xc0,
	CHUNK_HIST_UNKNOWN = 0
};

/*
 * Decodes n_samples histograms into t_ms and h (n_samples entries each);
 * what h points to comes from the arena. Reset hints are set as the flags
 * say: those of the first sample, no reset for the others (gauge for all).
 * A stale marker has only its sum. Resolutions above 8 are reduced.
 * encoding is 2, 3, 5 or 6; st_ms (may be NULL) gets start timestamps, 0
 * where there are none. The data is hostile: -1 when it ends too early or
 * could not have been written by an encoder; -2 when the arena is out.
 */
int	 chunk_hist_decode(const uint8_t *data, size_t len_bytes,
	    unsigned encoding, size_t n_samples, struct arena *a,
	    int64_t *t_ms, int64_t *st_ms, struct fhist **h);

/*
 * Encodes n histograms of one layout (schema, zero threshold, spans, custom
 * bounds; stale markers excepted) as a float histogram chunk: encoding 3, or
 * 6 when st_ms is not NULL. flags are the chunk's. Fails only as buf does.
 */
void	 chunk_fhist_encode(const int64_t *t_ms, const int64_t *st_ms,
	    const struct fhist *const *h, size_t n, unsigned flags,
	    struct buf *out);

#endif
