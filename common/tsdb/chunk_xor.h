/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_CHUNK_XOR_H
#define BRAZIER_COMMON_TSDB_CHUNK_XOR_H

/*
 * XOR chunks (encoding 1): float samples as a bit stream, most significant
 * bit first.
 *
 *	byte 0      2            ...
 *	  | count16 | t0 varint | v0 f64 | dt1 uvarint, xor v1 | dod2, xor v2 | ...
 *
 *	dod   0 | 10 +14 bits | 110 +17 | 1110 +20 | 1111 +64
 *	xor   0 unchanged | 10 + bits in the last window | 11 + 5 bits leading
 *	      zeros + 6 bits length (0 = 64) + bits
 *
 * Appending goes into memory of the caller that other processes may read
 * meanwhile: bits of published samples never change, new ones are only ORed
 * in behind them, so the memory behind must be zero. The count in the first
 * two bytes is left zero until chunk_xor_seal; readers of an open chunk know
 * the number of samples from elsewhere. Publishing (a release store of that
 * number after the append) is the caller's.
 *
 * Source: spec tsdb.tsv, chunk-encoding 1.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK_XOR_HEADER_BYTES		2
#define CHUNK_XOR_SAMPLES_MAX		65535
/* The most one append adds to the length; the first one counts the header. */
#define CHUNK_XOR_SAMPLE_BYTES_MAX	20

/* What the writer of one open chunk knows. Plain values, may lie anywhere. */
struct chunk_xor {
	int64_t		t_ms;		/* last sample */
	uint64_t	v_bits;
	uint64_t	delta_ms;	/* between the last two */
	uint32_t	n_bits;		/* written, header included */
	uint16_t	n_samples;
	uint8_t		leading;	/* window of the last XOR; 0xff = none */
	uint8_t		trailing;
};

/* A chunk without samples; data[0..1] are as they are: zero. */
void	 chunk_xor_init(struct chunk_xor *x);

/*
 * Appends one sample to the chunk at data, of which cap_bytes are the
 * caller's and zero behind what was written. False, and nothing changed,
 * when it does not fit into cap_bytes or the chunk has
 * CHUNK_XOR_SAMPLES_MAX samples; it always fits when
 * CHUNK_XOR_SAMPLE_BYTES_MAX bytes are left. Any timestamps go (wrapping
 * arithmetic); order is the caller's care. 6 to 14 ns, depending on how much
 * of state and chunk lies in the cache.
 */
bool	 chunk_xor_append(struct chunk_xor *x, uint8_t *data,
	    size_t cap_bytes, int64_t t_ms, double v);

/* Bytes of the chunk so far, the last one perhaps partly used. */
static inline size_t
chunk_xor_len_bytes(const struct chunk_xor *x)
{
	return (x->n_bits + 7) / 8;
}

/* Writes the count, for a chunk that goes to disk. */
void	 chunk_xor_seal(const struct chunk_xor *x, uint8_t *data);

/* The count as stored; 0 when len_bytes is too short to hold one. */
uint32_t chunk_xor_count(const uint8_t *data, size_t len_bytes);

/*
 * Decodes the first n_samples samples of the chunk at data into t_ms and v
 * (n_samples entries each, at most CHUNK_XOR_SAMPLES_MAX), whatever count
 * data says. len_bytes may reach beyond the last sample; nothing outside of it is read. The data is
 * hostile: -1 (the arrays are undefined) when it ends too early or could
 * not have been written by an encoder. 4 to 5 ns a sample.
 */
int	 chunk_xor_decode(const uint8_t *data, size_t len_bytes,
	    size_t n_samples, int64_t *t_ms, double *v);

/*
 * Sets x up to go on behind the first n_samples samples of data (all of the
 * bits behind them must be zero for appending). -1 as chunk_xor_decode.
 */
int	 chunk_xor_resume(struct chunk_xor *x, const uint8_t *data,
	    size_t len_bytes, size_t n_samples);

#endif
