/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_BASE_BYTES_H
#define BRAZIER_COMMON_BASE_BYTES_H

/*
 * Loads and stores of fixed-size integers, and a bounds-checked cursor over
 * hostile bytes with a sticky failure: read what you expect, check
 * `failed` once.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/base/str.h"

static inline uint16_t
load_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap16(v);
}

static inline uint32_t
load_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t
load_be64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void
store_be16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
store_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void
store_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static inline double
double_from_bits(uint64_t bits)
{
	double v;

	memcpy(&v, &bits, sizeof(v));
	return v;
}

static inline uint64_t
double_bits(double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return bits;
}

/* The stale marker and the NaN that scrapes are normalised to; compare bits. */
#define STALE_NAN_BITS	0x7ff0000000000002ULL
#define NORMAL_NAN_BITS	0x7ff8000000000001ULL

static inline bool
is_stale_nan(double v)
{
	return double_bits(v) == STALE_NAN_BITS;
}

struct cursor {
	const uint8_t	*p;
	const uint8_t	*end;
	bool		 failed;
};

static inline struct cursor
cursor_make(const void *p, size_t n)
{
	return (struct cursor){ p, (const uint8_t *)p + n, false };
}

static inline size_t
cursor_left(const struct cursor *c)
{
	return c->failed ? 0 : (size_t)(c->end - c->p);
}

/* n bytes or NULL with the failure set. */
static inline const uint8_t *
cursor_take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->failed || (size_t)(c->end - c->p) < n) {
		c->failed = true;
		return NULL;
	}
	c->p += n;
	return p;
}

/* Each returns 0 after a failure. */
uint8_t	 cursor_u8(struct cursor *c);
uint16_t cursor_be16(struct cursor *c);
uint32_t cursor_be32(struct cursor *c);
uint64_t cursor_be64(struct cursor *c);
uint64_t cursor_uvarint_long(struct cursor *c);
/* Most numbers in an index take one byte. */
static inline uint64_t
cursor_uvarint(struct cursor *c)
{
	return !c->failed && c->p < c->end && *c->p < 0x80 ? *c->p++ :
	    cursor_uvarint_long(c);
}
int64_t	 cursor_varint(struct cursor *c);
/* uvarint length + bytes, borrowed from the input. */
struct str cursor_uvarint_str(struct cursor *c);

#endif
