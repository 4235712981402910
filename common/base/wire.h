/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_WIRE_H
#define BRAZIER_COMMON_BASE_WIRE_H

/*
 * The encoding of everything that crosses a channel or a blob and is not a
 * fixed struct: little-endian integers and length-prefixed bytes, in an
 * agreed order. Writing goes into a struct buf. Reading is bounds-checked
 * with a sticky failure, and wire_end() must say true: all was there, and
 * nothing was left over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/str.h"

void	 wire_put_u8(struct buf *b, uint8_t v);
void	 wire_put_u32(struct buf *b, uint32_t v);
void	 wire_put_u64(struct buf *b, uint64_t v);
void	 wire_put_i64(struct buf *b, int64_t v);
void	 wire_put_f64(struct buf *b, double v);
void	 wire_put_bool(struct buf *b, bool v);
/* u32 length, then the bytes. */
void	 wire_put_str(struct buf *b, struct str s);

struct wire_reader {
	const uint8_t	*p;
	const uint8_t	*end;
	bool		 failed;
};

void	 wire_reader_init(struct wire_reader *r, const void *p, size_t n);
uint8_t	 wire_get_u8(struct wire_reader *r);
uint32_t wire_get_u32(struct wire_reader *r);
uint64_t wire_get_u64(struct wire_reader *r);
int64_t	 wire_get_i64(struct wire_reader *r);
double	 wire_get_f64(struct wire_reader *r);
/* Anything but 0 and 1 is a failure. */
bool	 wire_get_bool(struct wire_reader *r);
/* Borrowed from the input; empty after a failure. */
struct str wire_get_str(struct wire_reader *r);
/*
 * A count of things that need at least min_bytes each: fails when the rest
 * of the input cannot hold them, so that it is safe to allocate for.
 */
uint32_t wire_get_count(struct wire_reader *r, size_t min_bytes);
/* No failure and nothing left. */
bool	 wire_end(const struct wire_reader *r);

#endif
