/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_HEAD_FILES_H
#define BRAZIER_COMMON_TSDB_HEAD_FILES_H

/*
 * The chunks_head files of a reader: fds that storage handed out, mapped
 * read-only, looked up by number. Storage sends a file's fd before the first
 * chunk in the arena points into it, so a number that is not here yet waits
 * in the reader's channel: `more` fetches it.
 *
 * Chunk in a file (spec tsdb.tsv, chunks_head):
 *	ref 8 | mint 8 | maxt 8 | encoding 1 | length uvarint | data | crc32 4
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct head_file;

struct head_files {
	struct head_file	**file;		/* sorted by number */
	size_t			  n, cap;
	/*
	 * Reads what waits in the channel without blocking and adds files;
	 * true when it added any. NULL: nothing more ever comes.
	 */
	bool			(*more)(void *arg);
	void			 *arg;
};

void	 head_files_init(struct head_files *f);
void	 head_files_clear(struct head_files *f);

/*
 * Takes over fd (closed also on failure) as chunks_head file `number`. One
 * that is there already is kept. ERR_INTERNAL.
 */
int	 head_files_add(struct head_files *f, uint32_t number, int fd,
	    struct err *err);
/* Unmaps it; the caller holds no epoch. */
void	 head_files_drop(struct head_files *f, uint32_t number);

struct head_file_chunk {
	uint64_t	 ref;
	int64_t		 mint_ms, maxt_ms;
	uint8_t		 encoding;	/* bit 7: out of order */
	const uint8_t	*data;		/* lives until drop or clear */
	uint32_t	 len_bytes;
};

/*
 * The chunk at byte offset off of file `number`, its checksum verified.
 * ERR_INTERNAL when there is no such file or chunk.
 */
int	 head_files_chunk(struct head_files *f, uint32_t number,
	    uint32_t off, struct head_file_chunk *out, struct err *err);

#endif
