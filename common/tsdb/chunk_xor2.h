/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_CHUNK_XOR2_H
#define BRAZIER_COMMON_TSDB_CHUNK_XOR2_H

/*
 * XOR2 chunks (encoding 4): floats with start timestamps. One control
 * prefix a sample tells about time and value together.
 *
 *	0 same delta, same value       10 same delta, new value
 *	110 + 13 bits dod, value       1110 + 20 bits dod, value
 *	11110 + 64 bits dod, value     11111 same delta, stale marker
 *
 * Source: spec tsdb.tsv, chunk-encoding 4.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

/*
 * Decodes n_samples samples; st_ms may be NULL, 0 is unknown. The data is
 * hostile: -1 when it ends too early or could not have been written by an
 * encoder.
 */
int	 chunk_xor2_decode(const uint8_t *data, size_t len_bytes,
	    size_t n_samples, int64_t *t_ms, int64_t *st_ms, double *v);

/* Appends a chunk of n samples (n > 0). Fails only as buf does. */
void	 chunk_xor2_encode(const int64_t *t_ms, const int64_t *st_ms,
	    const double *v, size_t n, struct buf *out);

#endif
