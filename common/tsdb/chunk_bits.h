/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_CHUNK_BITS_H
#define BRAZIER_COMMON_TSDB_CHUNK_BITS_H

/*
 * Bit streams of the chunk encodings that are not on a hot path: reading
 * with every length checked (a sticky failure), writing into a buf; varbit
 * numbers, XOR-coded floats, start timestamps.
 *
 * Source: spec tsdb.tsv, chunk-encoding.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/bytes.h"

struct bits {
	const uint8_t	*p;
	size_t		 n_bits;
	size_t		 at;
	bool		 failed;
};

/* The next n (up to 64) bits; 0 after a failure. */
uint64_t bits_get(struct bits *b, unsigned n);
uint64_t varbit_uint(struct bits *b);
int64_t	 varbit_int(struct bits *b);
/* Go's encoding/binary varints, not aligned to bytes. */
uint64_t bits_uvarint(struct bits *b);
int64_t	 bits_varint(struct bits *b);

/* A float against the one before, with its window of bits. */
struct xorval {
	uint64_t	v;
	uint8_t		leading, trailing;	/* leading 0xff: no window */
};

void	 xor_get(struct bits *b, struct xorval *x);
/* The part behind the control bits: the old window or a new one. */
void	 xor_get_window(struct bits *b, struct xorval *x, bool fresh);

struct bitw {
	struct buf	*out;
	unsigned	 left;		/* free bits in the last byte */
};

void	 put_bits(struct bitw *w, uint64_t v, unsigned n);
void	 put_varbit_uint(struct bitw *w, uint64_t v);
void	 put_varbit_int(struct bitw *w, int64_t v);
void	 put_uvarint(struct bitw *w, uint64_t v);
void	 put_varint(struct bitw *w, int64_t v);
void	 put_xor(struct bitw *w, struct xorval *x, double value);
/* What follows the control bits; true when a new window is needed. */
bool	 xor_window(struct xorval *x, uint64_t d);
void	 put_xor_window(struct bitw *w, const struct xorval *x, uint64_t d,
	    bool fresh);

/*
 * Start timestamps of a chunk's samples, one after the other. The header
 * byte stands at header_at of the chunk: bit 7 says that the first sample
 * has one, the rest which sample is the first whose differs.
 */
struct st_state {
	bool		first_known;
	uint8_t		change_on;	/* 0 = never */
	int64_t		st;
	int64_t		diff;
};

#define ST_CHANGE_ON_MAX	127

/* i counts samples from 0; prev_t is the time of the sample before. */
int64_t	 st_get(struct bits *b, struct st_state *s, size_t i, int64_t t,
	    int64_t prev_t);
void	 st_put(struct bitw *w, struct st_state *s, size_t i, int64_t t,
	    int64_t prev_t, int64_t st, size_t header_at);

#endif
