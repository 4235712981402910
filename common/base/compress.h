/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_COMPRESS_H
#define BRAZIER_COMMON_BASE_COMPRESS_H

/*
 * One door to zlib, libdeflate, snappy, zstd and lz4. Every decompression
 * states the most it may produce, so that a bomb ends as ERR_LIMIT.
 */

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum compress_codec {
	COMPRESS_NONE,
	COMPRESS_SNAPPY,	/* block format, as in the WAL and remote write */
	COMPRESS_ZSTD,
	COMPRESS_LZ4,		/* block format behind a u32 LE raw length */
	COMPRESS_GZIP,
	COMPRESS_ZLIB		/* HTTP's "deflate" */
};

/* Appends to out. ERR_NOMEM when out failed. */
int	 compress_add(enum compress_codec codec, struct str in,
	    struct buf *out, struct err *err);

/*
 * Appends at most max_bytes to out. ERR_LIMIT beyond, ERR_BAD_DATA for
 * corrupt input (also bytes after the end, but concatenated gzip members are
 * read as one).
 */
int	 decompress_add(enum compress_codec codec, struct str in,
	    size_t max_bytes, struct buf *out, struct err *err);

#endif
