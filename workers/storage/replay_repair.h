/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_REPLAY_REPAIR_H
#define BRAZIER_WORKERS_STORAGE_REPLAY_REPAIR_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/tsdb/wal_dir.h"
#include "workers/storage/replay_aside.h"

/*
 * Makes a damaged segment whole again, in place: without the records that
 * begin in one of the bad ranges (sorted), what is left framed
 * anew. Damage that reaches the end of the segment is cut off. A segment
 * that cannot be read to its end is not touched but replaced by another file
 * with what could be read. A crash at any moment leaves the old or the new
 * segment.
 */
int	 replay_repair_segment(int dirfd, const char *name,
	    const struct file_map *map, const struct aside_range *bad,
	    size_t n_bad, struct err *err);

#endif
