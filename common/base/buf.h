/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_BUF_H
#define BRAZIER_COMMON_BASE_BUF_H

/*
 * A growing byte buffer. Appending never fails visibly: when memory or the
 * limit is out the buffer turns `failed`, stays as it was and swallows what
 * follows; the owner checks buf_failed() once at the end.
 *
 *	struct buf b;
 *	buf_init(&b, 0);
 *	buf_add_str(&b, STR_LIT("up"));
 *	if (buf_failed(&b)) …
 *	buf_clear(&b);
 */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/str.h"

#ifdef __cplusplus
extern "C" {
#endif

struct buf {
	char	*p;		/* owned; NULL while empty */
	size_t	 n;		/* bytes used */
	size_t	 cap;
	size_t	 limit;		/* 0 = none */
	bool	 failed;
};

void	 buf_init(struct buf *b, size_t limit_bytes);
/* Frees the bytes; the buffer is as after buf_init with the same limit. */
void	 buf_clear(struct buf *b);
/* Forgets the content and the failure, keeps the memory. */
void	 buf_reset(struct buf *b);
static inline bool
buf_failed(const struct buf *b)
{
	return b->failed;
}
static inline struct str
buf_str(const struct buf *b)
{
	return (struct str){ b->p == NULL ? "" : b->p, b->n };
}

/*
 * Room for n more bytes; returns where they go (then add to b->n what was
 * written) or NULL after a failure.
 */
char	*buf_reserve(struct buf *b, size_t n);

/* Slow path of buf_add; use buf_add. */
void	 buf_add_slow(struct buf *b, const void *p, size_t n);

static inline void
buf_add(struct buf *b, const void *p, size_t n)
{
	if (n <= b->cap - b->n && !b->failed) {
		if (n != 0)
			memcpy(b->p + b->n, p, n);
		b->n += n;
	} else
		buf_add_slow(b, p, n);
}

static inline void
buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.n);
}

static inline void
buf_add_c(struct buf *b, const char *cstr)
{
	buf_add(b, cstr, strlen(cstr));
}

static inline void
buf_add_byte(struct buf *b, uint8_t c)
{
	buf_add(b, &c, 1);
}

void	 buf_printf(struct buf *b, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	 buf_vprintf(struct buf *b, const char *fmt, va_list ap);

/* Fixed-size integers, big-endian as on Prometheus's disk. */
void	 buf_add_be16(struct buf *b, uint16_t v);
void	 buf_add_be32(struct buf *b, uint32_t v);
void	 buf_add_be64(struct buf *b, uint64_t v);
/* LEB128 as in Go's encoding/binary; varint is zigzag. */
void	 buf_add_uvarint(struct buf *b, uint64_t v);
void	 buf_add_varint(struct buf *b, int64_t v);

/* Decimal integer text. */
void	 buf_add_u64_text(struct buf *b, uint64_t v);
void	 buf_add_i64_text(struct buf *b, int64_t v);

#ifdef __cplusplus
}
#endif

#endif
