/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_HEAD_CHUNKS_LOAD_H
#define BRAZIER_WORKERS_STORAGE_HEAD_CHUNKS_LOAD_H

/*
 * Finds the chunks in chunks_head/ at start, before the WAL is replayed:
 * samples up to a series' last mapped chunk need not be replayed into it.
 *
 * From the first damage on everything is ignored, since a hole must come
 * from the WAL, which has all of it: the bytes behind the damage go to
 * `<file>.corrupt`, the file is cut there, and later files are renamed to
 * `<file>.corrupt`.
 */

#include <stdint.h>

#include "common/base/err.h"
#include "common/tsdb/head_chunks.h"

struct head_chunks_sink {
	void	*arg;
	/*
	 * A file that has chunks or may get none; fd is read-only and the
	 * callee's now. Before its chunks.
	 */
	int	(*on_file)(void *arg, uint32_t number, int fd,
		    struct err *err);
	/*
	 * In the order of writing. e->data lives until the call returns.
	 * Chunks of encodings we do not know come too.
	 */
	int	(*on_chunk)(void *arg, uint32_t file,
		    const struct head_chunk_entry *e, struct err *err);
};

struct head_chunks_stats {
	uint32_t	last_file;	/* 0 without any; new ones go above */
	uint64_t	n_files;
	uint64_t	n_chunks;
	uint64_t	n_corruptions;
	uint64_t	lost_bytes;	/* set aside */
	int64_t		duration_ns;
};

/*
 * dirfd: of chunks_head/. -1 only when the directory cannot be read or a
 * callback fails.
 */
int	 head_chunks_load(int dirfd, const struct head_chunks_sink *sink,
	    struct head_chunks_stats *out, struct err *err);

#endif
