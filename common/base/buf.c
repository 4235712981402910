/* SPDX-License-Identifier: ISC */
/* The growing byte buffer: growth, integers and text behind buf.h. */
#include "common/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/bytes.h"

#define BUF_FIRST_BYTES	256

void
buf_init(struct buf *b, size_t limit_bytes)
{
	*b = (struct buf){ .limit = limit_bytes };
}

void
buf_clear(struct buf *b)
{
	free(b->p);
	buf_init(b, b->limit);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->failed = false;
}

char *
buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap;
	char *p;

	if (b->failed)
		return NULL;
	if (n <= b->cap - b->n) {
		if (b->p != NULL)
			return b->p + b->n;
		n = n == 0 ? 1 : n;
	}
	if (__builtin_add_overflow(b->n, n, &need) ||
	    (b->limit != 0 && need > b->limit)) {
		b->failed = true;
		return NULL;
	}
	cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	if (b->limit != 0 && cap > b->limit)
		cap = b->limit;
	if ((p = realloc(b->p, cap)) == NULL) {
		b->failed = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return p + b->n;
}

void
buf_add_slow(struct buf *b, const void *p, size_t n)
{
	char *to = buf_reserve(b, n);

	if (to == NULL || n == 0)
		return;
	memcpy(to, p, n);
	b->n += n;
}

void
buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	size_t room;
	char *to;
	int n;

	if ((to = buf_reserve(b, 64)) == NULL)
		return;
	room = b->cap - b->n;
	va_copy(again, ap);
	n = vsnprintf(to, room, fmt, ap);
	if (n < 0)
		b->failed = true;
	else if ((size_t)n < room)
		b->n += (size_t)n;
	else if ((to = buf_reserve(b, (size_t)n + 1)) != NULL) {
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
}

void
buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	buf_vprintf(b, fmt, ap);
	va_end(ap);
}

void
buf_add_be16(struct buf *b, uint16_t v)
{
	uint8_t x[2];

	store_be16(x, v);
	buf_add(b, x, sizeof(x));
}

void
buf_add_be32(struct buf *b, uint32_t v)
{
	uint8_t x[4];

	store_be32(x, v);
	buf_add(b, x, sizeof(x));
}

void
buf_add_be64(struct buf *b, uint64_t v)
{
	uint8_t x[8];

	store_be64(x, v);
	buf_add(b, x, sizeof(x));
}

void
buf_add_uvarint(struct buf *b, uint64_t v)
{
	uint8_t x[10];
	size_t n = 0;

	while (v >= 0x80) {
		x[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	x[n++] = (uint8_t)v;
	buf_add(b, x, n);
}

void
buf_add_varint(struct buf *b, int64_t v)
{
	buf_add_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void
buf_add_u64_text(struct buf *b, uint64_t v)
{
	char x[20];
	size_t i = sizeof(x);

	do {
		x[--i] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	buf_add(b, x + i, sizeof(x) - i);
}

void
buf_add_i64_text(struct buf *b, int64_t v)
{
	if (v < 0) {
		buf_add_byte(b, '-');
		buf_add_u64_text(b, 0 - (uint64_t)v);
	} else
		buf_add_u64_text(b, (uint64_t)v);
}
