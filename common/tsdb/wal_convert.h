/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_WAL_CONVERT_H
#define BRAZIER_COMMON_TSDB_WAL_CONVERT_H

/*
 * Writes the records that Prometheus cannot read (compressed with LZ4) anew
 * with another codec, so that a data directory can go back to it. Segments
 * without such records are not touched. Nothing may write to the directory
 * meanwhile.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/compress.h"
#include "common/base/err.h"

struct wal_convert_stats {
	uint64_t	n_segments;	/* looked at */
	uint64_t	n_converted;	/* rewritten */
	uint64_t	n_records;	/* in those, with LZ4 before */
};

/*
 * All segments of the directory dirfd (of wal/ or wbl/) and of the
 * checkpoints in it; adds to *st. to: NONE, SNAPPY or ZSTD. Each segment is
 * replaced in one step, so a crash leaves it as it was or converted. A
 * damaged segment that holds LZ4 is an error (ERR_BAD_DATA, with its name
 * and the place): a start of the server repairs it.
 */
int	 wal_convert_dir(int dirfd, enum compress_codec to,
	    struct wal_convert_stats *st, struct err *err);

#endif
