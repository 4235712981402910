/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_WAL_FRAMER_H
#define BRAZIER_COMMON_TSDB_WAL_FRAMER_H

/*
 * Turns records into the bytes of WAL segments: compression, fragments,
 * pages, the rule when a new segment begins. Pure memory; the bytes are
 * written by whoever owns the file, one write a batch:
 *
 *	wal_framer_begin(&f, bytes already in the segment);
 *	wal_framer_add(&f, record, &err);  …
 *	run 0 goes to the segment, each further one to a new segment:
 *	for (i = 0; i < f.n_runs; i++) … wal_framer_run(&f, i) …
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compress.h"
#include "common/base/err.h"
#include "common/base/str.h"

struct wal_framer {
	enum compress_codec	 codec;
	size_t			 segment_bytes;
	uint64_t		 pos;		/* in the last run's segment */
	struct buf		 out;		/* bytes of all runs */
	struct buf		 packed;	/* one compressed record */
	size_t			*run;		/* where each begins in out */
	size_t			 n_runs, runs_cap;
	/* in total, written or not */
	uint64_t		 saved_bytes;	/* by compression */
	uint64_t		 n_parts;	/* fragments */
	uint64_t		 part_bytes;	/* with their headers */
};

/*
 * codec           NONE, SNAPPY, ZSTD or LZ4
 * segment_bytes   a multiple of WAL_PAGE_BYTES, not 0
 */
void	 wal_framer_init(struct wal_framer *f, enum compress_codec codec,
	    size_t segment_bytes);
void	 wal_framer_clear(struct wal_framer *f);

/* A new batch: forgets the bytes of the last one. */
void	 wal_framer_begin(struct wal_framer *f, uint64_t pos);
/*
 * Adds one record whole. It goes to a new segment when it does not fit into
 * the rest of this one (the rest of the page becomes zeros); a record larger
 * than a segment makes its segment larger. ERR_NOMEM, ERR_INTERNAL; the
 * batch is then to be given up.
 */
int	 wal_framer_add(struct wal_framer *f, struct str rec, struct err *err);
/* Zeros to the end of the page; what a finished segment ends with. */
int	 wal_framer_pad(struct wal_framer *f, struct err *err);
struct str wal_framer_run(const struct wal_framer *f, size_t i);

#endif
