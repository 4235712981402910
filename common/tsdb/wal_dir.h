/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_WAL_DIR_H
#define BRAZIER_COMMON_TSDB_WAL_DIR_H

/*
 * What lies in a WAL directory (or a WBL, or a checkpoint: all hold
 * segments), through a directory fd, and files mapped for reading.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

#define WAL_NAME_MAX	40

struct wal_segment {
	int		index;
	char		name[WAL_NAME_MAX];	/* as it stands there */
};

struct wal_segment_list {
	struct wal_segment	*p;	/* owned, by index */
	size_t			 n;
	/*
	 * False when an index is missing between two others or is there
	 * twice ("segments are not sequential").
	 */
	bool			 sequential;
};

/* Segments are the files whose names are decimal numbers below 2^31. */
int	 wal_list_segments(int dirfd, struct wal_segment_list *out,
	    struct err *err);
void	 wal_segment_list_clear(struct wal_segment_list *l);

/* "00000042"; out has WAL_NAME_MAX bytes. */
void	 wal_segment_name(int index, char *out);

/*
 * The newest checkpoint: 1 with its index and directory name, 0 when there
 * is none.
 */
int	 wal_find_checkpoint(int dirfd, int *index_out,
	    char name_out[WAL_NAME_MAX], struct err *err);

/* A whole file in memory, read-only. */
struct file_map {
	const uint8_t	*data;		/* NULL when len is 0 */
	size_t		 len;
	size_t		 unreadable;	/* bytes of the file behind len */
};

/*
 * Regular files only. The file is read through once, so that a bad sector
 * is met by a call that can fail and not by a signal: what lies behind it is
 * left out of the map and counted as unreadable.
 */
int	 file_map_open(int dirfd, const char *name, struct file_map *out,
	    struct err *err);
void	 file_map_close(struct file_map *m);

#endif
