/* SPDX-License-Identifier: ISC */
/* UTF-8 as Go's unicode/utf8 sees it. */
#include "common/base/utf8.h"

size_t
utf8_decode(const char *p, size_t n, uint32_t *rune_out)
{
	const uint8_t *s = (const uint8_t *)p;
	uint32_t r, min;
	size_t len, i;

	*rune_out = 0xfffd;
	if (n == 0)
		return 0;
	if (s[0] < 0x80) {
		*rune_out = s[0];
		return 1;
	}
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		len = 2, r = s[0] & 0x1f, min = 0x80;
	else if ((s[0] & 0xf0) == 0xe0)
		len = 3, r = s[0] & 0x0f, min = 0x800;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		len = 4, r = s[0] & 0x07, min = 0x10000;
	else
		return 1;
	if (n < len)
		return 1;
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 1;
		r = r << 6 | (s[i] & 0x3f);
	}
	if (r < min || r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
		return 1;
	*rune_out = r;
	return len;
}

bool
utf8_valid(struct str s)
{
	uint32_t rune;
	uint64_t w;
	size_t i = 0, n;

	while (i < s.n) {
		if (s.n - i >= 8) {
			memcpy(&w, s.p + i, 8);
			if ((w & 0x8080808080808080ULL) == 0) {
				i += 8;
				continue;
			}
		}
		n = utf8_decode(s.p + i, s.n - i, &rune);
		if (n == 1 && (uint8_t)s.p[i] >= 0x80)
			return false;
		i += n;
	}
	return true;
}

size_t
utf8_encode(uint32_t r, char out[4])
{
	if (r > 0x10ffff || (r >= 0xd800 && r <= 0xdfff))
		r = 0xfffd;
	if (r < 0x80) {
		out[0] = (char)r;
		return 1;
	}
	if (r < 0x800) {
		out[0] = (char)(0xc0 | r >> 6);
		out[1] = (char)(0x80 | (r & 0x3f));
		return 2;
	}
	if (r < 0x10000) {
		out[0] = (char)(0xe0 | r >> 12);
		out[1] = (char)(0x80 | (r >> 6 & 0x3f));
		out[2] = (char)(0x80 | (r & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | r >> 18);
	out[1] = (char)(0x80 | (r >> 12 & 0x3f));
	out[2] = (char)(0x80 | (r >> 6 & 0x3f));
	out[3] = (char)(0x80 | (r & 0x3f));
	return 4;
}

size_t
utf8_count(struct str s)
{
	uint32_t rune;
	size_t i, n;

	for (i = n = 0; i < s.n; n++)
		i += utf8_decode(s.p + i, s.n - i, &rune);
	return n;
}
