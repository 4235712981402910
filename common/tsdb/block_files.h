/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_BLOCK_FILES_H
#define BRAZIER_COMMON_TSDB_BLOCK_FILES_H

/* The files in a block's directory, by its descriptor. */

#include <stddef.h>

#include "common/base/err.h"
#include "common/tsdb/meta_json.h"

/* Reads meta.json; the meta is to be cleared after 0. */
int	 block_files_meta(int dir, struct block_meta *meta, struct err *err);
/*
 * Opens index, tombstones (-1 when there are none) and the chunk segments,
 * at most cap in all. The descriptors are the caller's; none after -1.
 */
int	 block_files_open(int dir, int *fds, size_t cap, size_t *n_out,
	    struct err *err);

#endif
