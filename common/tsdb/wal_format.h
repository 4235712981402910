/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_TSDB_WAL_FORMAT_H
#define BRAZIER_COMMON_TSDB_WAL_FORMAT_H

/*
 * How records lie in the segments of a WAL, WBL or checkpoint.
 *
 * A directory wal/ holds segments 00000000, 00000001, … and checkpoints
 * checkpoint.00000007/ (of all segments up to 7), which hold segments again.
 * A segment is a row of pages of 32 KiB. A record is cut into fragments,
 * none of which crosses a page; it never crosses a segment.
 *
 *	page      | fragment | fragment | … | zeros |
 *	fragment  | type and flags 1 | length 2 | CRC-32C 4 | length bytes |
 *
 * Big-endian; the CRC is over the bytes as they are stored. A page with less
 * than a fragment header left, or a type byte of zero, is zero to its end.
 * The last page of a segment may be short.
 *
 *	bits 0-2  enum wal_fragment
 *	bit 3     the record is a snappy block
 *	bit 4     the record is a zstd frame
 *	bit 5     ours: byte 0xff, u32 little-endian raw length, LZ4 block
 *	bits 6-7  unused, zero
 *
 * The flag stands on each fragment; the record is compressed as a whole and
 * only when that makes it smaller. Prometheus ignores bit 5 and finds 0xff,
 * which no record type is, where it looks for one: it skips such records.
 *
 * Source: spec tsdb.tsv, wal.
 */

#include <stdint.h>

#define WAL_PAGE_BYTES			32768
#define WAL_FRAGMENT_HEADER_BYTES	7
#define WAL_FRAGMENT_BYTES_MAX		(WAL_PAGE_BYTES - \
					 WAL_FRAGMENT_HEADER_BYTES)
#define WAL_SEGMENT_BYTES_DEFAULT	(128u << 20)

/* Ours: a record larger than this is corrupt. */
#define WAL_RECORD_BYTES_MAX		(512u << 20)

enum wal_fragment {
	WAL_PAGE_END = 0,
	WAL_FULL = 1,
	WAL_FIRST = 2,
	WAL_MIDDLE = 3,
	WAL_LAST = 4
};

#define WAL_FRAGMENT_MASK	0x07
#define WAL_FLAG_SNAPPY		0x08
#define WAL_FLAG_ZSTD		0x10
#define WAL_FLAG_LZ4		0x20
#define WAL_FLAG_MASK		0xf8

#define WAL_LZ4_MARK		0xff

#endif
