/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_HEAD_CHUNKS_H
#define BRAZIER_COMMON_TSDB_HEAD_CHUNKS_H

/*
 * Files of full head chunks: chunks_head/000001, 000002, …
 *
 *	header  | magic 0x0130BC91 4 | version 1 | zero 3 |
 *	chunk   | series ref 8 | mint 8 | maxt 8 | encoding 1 | length uvarint |
 *	        | data | CRC-32C 4 |
 *
 * Big-endian; the CRC is over everything in front of it in the chunk. Bit 7
 * of the encoding marks an out-of-order chunk. The data begins with its
 * sample count (2 bytes). A chunk is known by (file number << 32 | offset of
 * its first byte). A rest of zeros ends a file (the reference makes files
 * longer than needed).
 *
 * Source: spec tsdb.tsv, chunks_head.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define HEAD_CHUNKS_MAGIC		0x0130BC91u
#define HEAD_CHUNKS_VERSION		1
#define HEAD_CHUNKS_HEADER_BYTES	8
#define HEAD_CHUNKS_FILE_BYTES_MAX	(128u << 20)
#define HEAD_CHUNKS_OUT_OF_ORDER	0x80
/* Ours: no chunk is larger. */
#define HEAD_CHUNKS_DATA_BYTES_MAX	(16u << 20)

struct head_chunk_entry {
	uint64_t	 series_ref;
	int64_t		 mint_ms;	/* inclusive */
	int64_t		 maxt_ms;	/* inclusive */
	uint8_t		 encoding;	/* enum chunk_encoding, without bit 7 */
	bool		 out_of_order;
	uint32_t	 n_samples;	/* as data says */
	const uint8_t	*data;		/* borrowed */
	uint32_t	 len_bytes;
	uint32_t	 offset;	/* in the file */
};

/* A chunk's name in records and indexes. */
static inline uint64_t
head_chunk_ref(uint32_t file, uint32_t offset)
{
	return (uint64_t)file << 32 | offset;
}

/* Appends the header of a file. */
void	 head_chunks_put_header(struct buf *out);
/* Appends one chunk; offset and n_samples of e are not looked at. */
void	 head_chunks_put(struct buf *out, const struct head_chunk_entry *e);
/* Bytes head_chunks_put appends for len_bytes of data. */
size_t	 head_chunks_entry_bytes(uint32_t len_bytes);

/* ERR_BAD_DATA when data is not the beginning of such a file. */
int	 head_chunks_check_header(const uint8_t *data, size_t len,
	    struct err *err);

/*
 * The chunk at *off (at first HEAD_CHUNKS_HEADER_BYTES) of a file in memory,
 * its checksum verified: 1, and *off moves behind it; 0 at the end of the
 * file; -1 (ERR_BAD_DATA), *off stays, for hostile or torn data.
 */
int	 head_chunks_next(const uint8_t *data, size_t len, size_t *off,
	    struct head_chunk_entry *out, struct err *err);

#endif
