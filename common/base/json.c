/* SPDX-License-Identifier: ISC */
/* JSON text as Go's encoder writes it. */
#include "common/base/json.h"

#include "common/base/utf8.h"

static void
json_add_escape(struct buf *b, uint32_t c)
{
	switch (c) {
	case '"':
		buf_add_c(b, "\\\"");
		break;
	case '\\':
		buf_add_c(b, "\\\\");
		break;
	case '\n':
		buf_add_c(b, "\\n");
		break;
	case '\r':
		buf_add_c(b, "\\r");
		break;
	case '\t':
		buf_add_c(b, "\\t");
		break;
	case '\b':
		buf_add_c(b, "\\b");
		break;
	case '\f':
		buf_add_c(b, "\\f");
		break;
	default:
		buf_printf(b, "\\u%04x", (unsigned)c);
	}
}

void
json_add_str(struct buf *b, struct str s, bool html)
{
	size_t i = 0, from = 0, n;
	uint32_t rune;

	buf_add_byte(b, '"');
	while (i < s.n) {
		uint8_t c = (uint8_t)s.p[i];

		if (c < 0x80) {
			if (c >= 0x20 && c != '"' && c != '\\' &&
			    (!html || (c != '<' && c != '>' && c != '&'))) {
				i++;
				continue;
			}
			buf_add(b, s.p + from, i - from);
			json_add_escape(b, c);
			from = ++i;
			continue;
		}
		n = utf8_decode(s.p + i, s.n - i, &rune);
		if (n > 1 && rune != 0x2028 && rune != 0x2029) {
			i += n;
			continue;
		}
		buf_add(b, s.p + from, i - from);
		buf_add_c(b, n == 1 ? "\\ufffd" :
		    rune == 0x2028 ? "\\u2028" : "\\u2029");
		i += n;
		from = i;
	}
	buf_add(b, s.p + from, i - from);
	buf_add_byte(b, '"');
}

void
json_add_key(struct buf *b, const char *key)
{
	buf_add_byte(b, '"');
	buf_add_c(b, key);
	buf_add(b, "\":", 2);
}

void
json_add_time_ms(struct buf *b, int64_t ms)
{
	uint64_t v = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;
	unsigned frac = (unsigned)(v % 1000);
	char text[4] = { '.', (char)('0' + frac / 100),
	    (char)('0' + frac / 10 % 10), (char)('0' + frac % 10) };

	if (ms < 0)
		buf_add_byte(b, '-');
	buf_add_u64_text(b, v / 1000);
	if (frac != 0)
		buf_add(b, text, sizeof(text));
}
