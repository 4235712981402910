/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_WAL_WRITER_H
#define BRAZIER_WORKERS_STORAGE_WAL_WRITER_H

/*
 * Writes a WAL (or WBL): records of a batch are gathered in memory and go to
 * the segment with one write(2), which is when they are safe from kill -9.
 * The sync thread makes them safe from a power cut.
 *
 *	wal_writer_add(w, series record, &err)
 *	wal_writer_add(w, samples record, &err)
 *	if (wal_writer_commit(w, &err) == -1)
 *		… nothing of the batch is logged; do not acknowledge it …
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/compress.h"
#include "common/base/err.h"
#include "common/base/str.h"

struct sync;
struct wal_writer;

struct wal_writer_opts {
	int			 dirfd;		/* of wal/; stays the caller's */
	int			 index;		/* the segment to create first */
	size_t			 segment_bytes;	/* multiple of the page size */
	enum compress_codec	 codec;		/* NONE, SNAPPY, ZSTD, LZ4 */
	/* Syncs and closes; NULL: done inline, for tools and tests. */
	struct sync		*sync;
};

struct wal_writer_stats {
	uint64_t	n_records;
	uint64_t	n_writes;		/* write calls */
	uint64_t	n_failed;		/* commits that failed */
	uint64_t	n_pages;		/* completed */
	uint64_t	written_bytes;
	uint64_t	saved_bytes;		/* by compression */
	uint64_t	n_parts;		/* record fragments framed */
	uint64_t	part_bytes;
};

/*
 * Creates segment opts->index, which must not exist: existing segments are
 * never appended to, so it is the last one's number + 1 (0 in an empty
 * directory).
 */
int	 wal_writer_open(const struct wal_writer_opts *opts,
	    struct wal_writer **out, struct err *err);

/*
 * Adds a record to the batch; memory only. After a failure the batch is
 * dead: the next commit gives it up and fails. rec is copied.
 */
int	 wal_writer_add(struct wal_writer *w, struct str rec,
	    struct err *err);

/*
 * Writes the batch. Begins a new segment first when it is full. On a
 * failure (a full disk) the segment ends where it did before, the batch is
 * forgotten, and the next commit tries anew: series that were in it must be
 * logged again. Records that went into a segment that is full by now may be
 * found at replay all the same. ERR_INTERNAL with os, ERR_NOMEM.
 */
int	 wal_writer_commit(struct wal_writer *w, struct err *err);

/* Forgets the batch. */
void	 wal_writer_rollback(struct wal_writer *w);

/*
 * Ends the current segment (before a checkpoint) and begins the next one.
 * There must be no open batch. On a failure all is as before.
 */
int	 wal_writer_cut(struct wal_writer *w, struct err *err);

/* The segment that is written, and its bytes so far. */
int	 wal_writer_segment(const struct wal_writer *w);
uint64_t wal_writer_offset(const struct wal_writer *w);
void	 wal_writer_get_stats(const struct wal_writer *w,
	    struct wal_writer_stats *out);

/*
 * Pads the last page and hands the segment to the sync thread (or syncs and
 * closes it). Frees w, also on a failure.
 */
int	 wal_writer_close(struct wal_writer *w, struct err *err);

#endif
