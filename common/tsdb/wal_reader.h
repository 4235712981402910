/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_WAL_READER_H
#define BRAZIER_COMMON_TSDB_WAL_READER_H

/*
 * Reads the records of one WAL segment that lies in memory (wal_dir.h maps
 * it). The bytes are hostile. A fault is told with its place, and reading
 * can go on behind it:
 *
 *	wal_reader_open(&r, map.data, map.len);
 *	while ((rc = wal_reader_next(&r, &rec, &err)) != 0) {
 *		if (rc == -1) {
 *			… err.text, r.fault_start, r.fault_torn …
 *			if (!wal_reader_resync(&r))
 *				break;
 *			continue;
 *		}
 *		… rec …
 *	}
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/compress.h"
#include "common/base/err.h"
#include "common/base/str.h"

struct wal_reader {
	const uint8_t	*data;		/* borrowed */
	size_t		 len;
	size_t		 off;		/* next byte to look at */
	/* Of the last call: where its record, or its fault, begins. */
	size_t		 record_start;
	enum compress_codec codec;	/* of that record */
	size_t		 fault_start;
	/* The segment ends within a record: what a crash leaves. */
	bool		 fault_torn;
	size_t		 resume;	/* first byte behind the fault */
	bool		 skipping;	/* behind a fault: wait for a beginning */
	struct buf	 parts;		/* fragments put together */
	struct buf	 plain;		/* decompressed */
};

void	 wal_reader_init(struct wal_reader *r);
void	 wal_reader_clear(struct wal_reader *r);
/* Begins with data, which stays the caller's and must outlive reading. */
void	 wal_reader_open(struct wal_reader *r, const uint8_t *data,
	    size_t len);

/*
 * 1 and the next record, which lives until the next call; 0 at the end of
 * the segment; -1 for a fault (ERR_BAD_DATA) or ERR_NOMEM. Records are
 * decompressed, at most WAL_RECORD_BYTES_MAX bytes long.
 */
int	 wal_reader_next(struct wal_reader *r, struct str *rec_out,
	    struct err *err);

/*
 * After a fault: goes on behind it, at the next fragment of the page if
 * there is one with a right checksum, else at the next page; continuations
 * of the damaged record are skipped. False when nothing is left. What lies
 * from fault_start to r->off (or to the next record's record_start) is lost.
 */
bool	 wal_reader_resync(struct wal_reader *r);

#endif
