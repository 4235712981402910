/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_BLOCK_DIR_H
#define BRAZIER_COMMON_TSDB_BLOCK_DIR_H

/*
 * Blocks by their directories, for the command line and tests: processes
 * that may open files. Workers get descriptors instead (block_reader.h).
 */

#include <stddef.h>

#include "common/base/err.h"
#include "common/tsdb/block_reader.h"

/* Opens DIR/<ulid> through its meta.json, which is returned if meta != NULL. */
struct block_reader *block_dir_open(const char *path,
	    struct block_meta *meta, struct err *err);

/*
 * What storage needs to know of a block before it hands it to readers: from
 * meta.json alone.
 */
struct block_note {
	struct ulid_text	ulid;
	int64_t			mint_ms;	/* inclusive */
	int64_t			maxt_ms;	/* exclusive */
	unsigned		hints;		/* enum block_hint */
};

/*
 * The blocks of an open data directory, sorted by mint, without those that
 * are marked deletable or were made into others. One whose meta.json cannot
 * be read is told to bad() and left out. *out is the caller's to free.
 */
int	 block_notes_list(int data_fd,
	    void (*bad)(void *arg, const char *name, const struct err *why),
	    void *arg, struct block_note **out, size_t *n_out,
	    struct err *err);
/*
 * Opens a block's files: index, tombstones (-1 when there are none), then
 * the chunk segments. At most cap descriptors, the caller's; none after -1.
 */
int	 block_note_open(int data_fd, const struct block_note *note, int *fds,
	    size_t cap, size_t *n_out, struct err *err);

struct block_list {
	struct block_reader	**v;	/* owned, sorted by mint */
	size_t			  n;
};

/*
 * All blocks of a data directory that belong to it: what a loaded block was
 * made from, and what is marked deletable, is left out. A block that cannot
 * be opened is an error unless a loaded one replaces it.
 */
int	 block_list_open(struct block_list *l, const char *data_dir,
	    struct err *err);
void	 block_list_close(struct block_list *l);

#endif
