/* SPDX-License-Identifier: ISC */
/* The cursor over hostile bytes: checked reads with a sticky failure. */
#include "common/base/bytes.h"

uint8_t
cursor_u8(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 1);

	return p == NULL ? 0 : *p;
}

uint16_t
cursor_be16(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 2);

	return p == NULL ? 0 : load_be16(p);
}

uint32_t
cursor_be32(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 4);

	return p == NULL ? 0 : load_be32(p);
}

uint64_t
cursor_be64(struct cursor *c)
{
	const uint8_t *p = cursor_take(c, 8);

	return p == NULL ? 0 : load_be64(p);
}

uint64_t
cursor_uvarint_long(struct cursor *c)
{
	uint64_t v = 0;
	unsigned shift;
	uint8_t b;

	for (shift = 0; shift < 70; shift += 7) {
		b = cursor_u8(c);
		if (c->failed)
			return 0;
		/* the tenth byte may carry one bit only */
		if (shift == 63 && b > 1)
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	c->failed = true;
	return 0;
}

int64_t
cursor_varint(struct cursor *c)
{
	uint64_t v = cursor_uvarint(c);

	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

struct str
cursor_uvarint_str(struct cursor *c)
{
	uint64_t n = cursor_uvarint(c);
	const uint8_t *p;

	if (c->failed || n > cursor_left(c)) {
		c->failed = true;
		return STR_EMPTY;
	}
	p = cursor_take(c, (size_t)n);
	return str_from((const char *)p, (size_t)n);
}
