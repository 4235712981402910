/* SPDX-License-Identifier: ISC */
/*
 * Case mapping from a table of ranges. A range is either a block of upper
 * case letters a fixed distance below their lower case, or pairs side by
 * side (upper, lower, upper, lower …).
 */

#include "common/labels/text_case.h"

#include <stddef.h>
#include <stdint.h>

#include "common/base/utf8.h"

struct case_range {
	uint32_t lo, hi;	/* of the upper case letters, inclusive */
	int32_t	 distance;	/* lower - upper; PAIRS: see above */
};

#define PAIRS	0

static const struct case_range ranges[] = {
	{ 'A', 'Z', 32 }, { 0xc0, 0xd6, 32 }, { 0xd8, 0xde, 32 },
	{ 0x100, 0x12e, PAIRS }, { 0x132, 0x136, PAIRS },
	{ 0x139, 0x147, PAIRS }, { 0x14a, 0x176, PAIRS },
	{ 0x178, 0x178, 0xff - 0x178 }, { 0x179, 0x17d, PAIRS },
	{ 0x1cd, 0x1db, PAIRS }, { 0x1de, 0x1ee, PAIRS },
	{ 0x1f8, 0x21e, PAIRS }, { 0x222, 0x232, PAIRS },
	{ 0x386, 0x386, 38 }, { 0x388, 0x38a, 37 }, { 0x38c, 0x38c, 64 },
	{ 0x38e, 0x38f, 63 }, { 0x391, 0x3a1, 32 }, { 0x3a3, 0x3ab, 32 },
	{ 0x3d8, 0x3ee, PAIRS }, { 0x400, 0x40f, 80 }, { 0x410, 0x42f, 32 },
	{ 0x460, 0x480, PAIRS }, { 0x48a, 0x4be, PAIRS },
	{ 0x4c1, 0x4cd, PAIRS }, { 0x4d0, 0x52e, PAIRS },
	{ 0x531, 0x556, 48 }, { 0x1e00, 0x1e94, PAIRS },
	{ 0x1ea0, 0x1efe, PAIRS }, { 0xff21, 0xff3a, 32 },
};

static uint32_t
rune_lower(uint32_t r)
{
	const struct case_range *c;
	size_t i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		c = &ranges[i];
		if (r < c->lo || r > c->hi)
			continue;
		if (c->distance != PAIRS)
			return (uint32_t)((int64_t)r + c->distance);
		return (r - c->lo) % 2 == 0 ? r + 1 : r;
	}
	return r;
}

static uint32_t
rune_upper(uint32_t r)
{
	const struct case_range *c;
	int64_t up;
	size_t i;

	if (r == 0xb5)		/* micro sign: capital mu */
		return 0x39c;
	if (r == 0x3c2)		/* final sigma */
		return 0x3a3;
	if (r == 0x131)
		return 'I';
	if (r == 0x17f)
		return 'S';
	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		c = &ranges[i];
		up = (int64_t)r - (c->distance == PAIRS ? 1 : c->distance);
		if (up < c->lo || up > c->hi ||
		    (c->distance == PAIRS && (up - c->lo) % 2 != 0))
			continue;
		return (uint32_t)up;
	}
	return r;
}

static void
add_mapped(struct buf *out, struct str s, uint32_t (*map)(uint32_t))
{
	uint32_t rune;
	char enc[4];
	size_t len;

	while (s.n > 0) {
		len = utf8_decode(s.p, s.n, &rune);
		if (len == 0)
			break;
		s = str_from(s.p + len, s.n - len);
		buf_add(out, enc, utf8_encode(map(rune), enc));
	}
}

void
text_add_lower(struct buf *out, struct str s)
{
	add_mapped(out, s, rune_lower);
}

void
text_add_upper(struct buf *out, struct str s)
{
	add_mapped(out, s, rune_upper);
}
