/* SPDX-License-Identifier: ISC */
/*
 * Go's quoting of strings. Whether a rune can be printed is decided from a
 * table of the control, format, separator, surrogate and private ranges of
 * Unicode; unassigned code points are taken as printable, which shows only
 * in messages about text nobody can read.
 */

#include "common/base/quote.h"

#include <stddef.h>

#include "common/base/utf8.h"

/* Inclusive ranges above ASCII that are not printable, ascending. */
static const struct { uint32_t lo, hi; } unprintable[] = {
	{ 0x7f, 0xa0 }, { 0xad, 0xad }, { 0x600, 0x605 }, { 0x61c, 0x61c },
	{ 0x6dd, 0x6dd }, { 0x70f, 0x70f }, { 0x890, 0x891 },
	{ 0x8e2, 0x8e2 }, { 0x1680, 0x1680 }, { 0x180e, 0x180e },
	{ 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x205f, 0x206f },
	{ 0x3000, 0x3000 }, { 0xd800, 0xf8ff }, { 0xfeff, 0xfeff },
	{ 0xfff0, 0xfffb }, { 0xfffe, 0xffff }, { 0x110bd, 0x110bd },
	{ 0x110cd, 0x110cd }, { 0x13430, 0x1343f }, { 0x1bca0, 0x1bca3 },
	{ 0x1d173, 0x1d17a }, { 0xe0000, 0xe00ff }, { 0xf0000, 0xffffffff },
};

bool
quote_rune_is_print(uint32_t rune)
{
	size_t i;

	if (rune < 0x7f)
		return rune >= 0x20;
	for (i = 0; i < sizeof(unprintable) / sizeof(unprintable[0]); i++)
		if (rune <= unprintable[i].hi)
			return rune < unprintable[i].lo;
	return true;
}

static void
add_escaped(struct buf *out, struct str s, size_t len, uint32_t rune)
{
	static const char short_names[] = "abtnvfr";	/* 0x07 to 0x0d */

	if (rune == '"' || rune == '\\') {
		buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)rune);
	} else if (len == 1 && ((uint8_t)*s.p >= 0x80 || rune == 0x7f))
		buf_printf(out, "\\x%02x", (uint8_t)*s.p);
	else if (quote_rune_is_print(rune))
		buf_add(out, s.p, len);
	else if (rune >= 0x07 && rune <= 0x0d) {
		buf_add_byte(out, '\\');
		buf_add_byte(out, (uint8_t)short_names[rune - 0x07]);
	} else if (rune < 0x20)
		buf_printf(out, "\\x%02x", (unsigned)rune);
	else if (rune <= 0xffff)
		buf_printf(out, "\\u%04x", (unsigned)rune);
	else
		buf_printf(out, "\\U%08x", (unsigned)rune);
}

void
quote_add(struct buf *out, struct str s)
{
	uint32_t rune;
	size_t len;

	buf_add_byte(out, '"');
	while (s.n > 0) {
		len = utf8_decode(s.p, s.n, &rune);
		if (len == 0)
			break;
		add_escaped(out, s, len, rune);
		s = str_from(s.p + len, s.n - len);
	}
	buf_add_byte(out, '"');
}

void
quote_add_rune(struct buf *out, uint32_t rune)
{
	char text[4];
	size_t len = utf8_encode(rune, text);

	buf_add_byte(out, '\'');
	if (rune == '\'')
		buf_add_c(out, "\\'");
	else if (rune == '"')
		buf_add_byte(out, '"');
	else
		add_escaped(out, str_from(text, len), len, rune);
	buf_add_byte(out, '\'');
}
