/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_BLOCK_READER_H
#define BRAZIER_COMMON_TSDB_BLOCK_READER_H

/*
 * One block, mapped read-only. Blocks never change, so what is mapped stays
 * readable also after the files are unlinked. Opened from file descriptors
 * by processes without open() (storage hands them out), from a directory by
 * the command line.
 *
 *	chunks/000001 …   | magic 0x85BD40DD 4 | version 1 | zero 3 |
 *	a chunk           | length uvarint | encoding 1 | data | crc 4 |
 *	a chunk's ref     segment (from 0) << 32 | offset in the file
 *
 * Source: spec tsdb.tsv, block-chunks.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/tsdb/index_reader.h"
#include "common/tsdb/meta_json.h"
#include "common/tsdb/tombstones.h"

struct block_mapping {
	const uint8_t	*p;	/* NULL when empty */
	size_t		 n;
};

struct block_reader {
	struct ulid_text	 ulid;
	int64_t			 mint_ms;	/* inclusive */
	int64_t			 maxt_ms;	/* exclusive */
	struct index_reader	 index;
	struct tombstones	 tombstones;
	struct block_mapping	 index_map;
	struct block_mapping	*segments;	/* owned */
	size_t			 n_segments;
};

struct block_fds {
	int		 index;
	int		 tombstones;	/* -1 = none */
	const int	*segments;	/* in order */
	size_t		 n_segments;
};

/* A chunk's bytes, its checksum verified. */
struct block_chunk {
	const uint8_t	*data;		/* lives as long as the block */
	uint32_t	 len_bytes;
	uint32_t	 n_samples;	/* as data says */
	uint8_t		 encoding;	/* as on disk */
};

/*
 * Maps the files and checks their headers. The fds stay the caller's and may
 * be closed afterwards. NULL and ERR_INTERNAL ("block 01…: …"), ERR_NOMEM.
 */
struct block_reader *block_reader_open(struct str ulid, int64_t mint_ms,
	    int64_t maxt_ms, const struct block_fds *fds, struct err *err);
void	 block_reader_close(struct block_reader *b);

/*
 * The chunk with this ref. ERR_INTERNAL when there is none or it is corrupt
 * (the text does not name the block: block_reader_wrap does).
 */
int	 block_reader_chunk(const struct block_reader *b, uint64_t ref,
	    struct block_chunk *out, struct err *err);

/* Puts "block 01…: " in front; -1. */
int	 block_reader_wrap(const struct block_reader *b, struct err *err);

#endif
