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
