/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_HEAD_CHUNKS_WRITER_H
#define BRAZIER_WORKERS_STORAGE_HEAD_CHUNKS_WRITER_H

/*
 * Moves full chunks of the head into chunks_head/ files. Chunks are gathered
 * and written with one write(2) by the flush; only then may anything point
 * at them. A crash before loses nothing: the WAL has the samples.
 */

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tsdb/head_chunks.h"

struct head_chunks_writer;
struct sync;

struct head_chunks_writer_opts {
	int		 dirfd;		/* of chunks_head/; the caller's */
	uint32_t	 next_file;	/* first number to create, from 1 */
	struct sync	*sync;		/* NULL: inline, for tests */
	/*
	 * A file was created: fd is open for reading only and the callee's
	 * now (to be handed to readers). Called before the first flush of
	 * chunks in it ends. -1 fails that flush.
	 */
	int		(*on_file)(void *arg, uint32_t number, int fd,
			    struct err *err);
	void		*arg;
};

struct head_chunks_writer *head_chunks_writer_new(
	    const struct head_chunks_writer_opts *opts);

/*
 * Adds a sealed chunk (its data begins with the right count). *file_out and
 * *offset_out say where it will be when the flush succeeds. data is copied.
 * ERR_NOMEM; earlier chunks stay added.
 */
int	 head_chunks_writer_add(struct head_chunks_writer *w,
	    const struct head_chunk_entry *e, uint32_t *file_out,
	    uint32_t *offset_out, struct err *err);

/* Bytes added since the last flush. */
size_t	 head_chunks_writer_pending(const struct head_chunks_writer *w);

/*
 * Writes what was added. On a failure the chunks whose head_chunk_ref() is
 * below head_chunks_writer_end() are written all the same; the others are
 * forgotten and their places may be given to other chunks: nothing may
 * point at them.
 */
int	 head_chunks_writer_flush(struct head_chunks_writer *w,
	    struct err *err);

/* The place behind the last chunk that was written. */
uint64_t head_chunks_writer_end(const struct head_chunks_writer *w);
/* Number of the newest file that exists; next_file - 1 at first. */
uint32_t head_chunks_writer_file(const struct head_chunks_writer *w);

/* Chunks that are added go to a new file (before files are deleted). */
void	 head_chunks_writer_cut(struct head_chunks_writer *w);

/* Gives the file to the sync thread; what was not flushed is forgotten. */
void	 head_chunks_writer_close(struct head_chunks_writer *w);

#endif
