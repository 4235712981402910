/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_INDEX_SECTION_H
#define BRAZIER_COMMON_TSDB_INDEX_SECTION_H

/* What the files of the index reader share. */

#include "common/tsdb/index_reader.h"

/* ERR_INTERNAL "corrupt index: what"; -1. */
int	 index_corrupt(struct err *err, const char *what);
/*
 * The content of a section | length 4 | content | crc 4 | at an offset, its
 * checksum verified; what names it in errors.
 */
int	 index_section(const struct index_reader *r, uint64_t off,
	    const char *what, struct str *out, struct err *err);

#endif
