/* SPDX-License-Identifier: ISC */
/*
 * Quoted strings: "…" and '…' with Go's escapes, `…` as it is. The lexer
 * only finds the end and refuses what is wrong; promql_unquote() makes the
 * value.
 */

#include <stdio.h>

#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/promql/lex.h"

static int
digit_value(int32_t r)
{
	if (r >= '0' && r <= '9')
		return r - '0';
	if (r >= 'a' && r <= 'f')
		return r - 'a' + 10;
	if (r >= 'A' && r <= 'F')
		return r - 'A' + 10;
	return 16;
}

/* "U+0063 'c'": Go's %#U, the rune shown when it can be printed. */
static struct promql_token
error_unicode(struct promql_lexer *l, const char *before, int32_t r,
    const char *after)
{
	struct promql_token t;
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "%sU+%04X", before, (unsigned)r);
	if (quote_rune_is_print((uint32_t)r)) {
		char text[4];

		buf_add_c(&b, " '");
		buf_add(&b, text, utf8_encode((uint32_t)r, text));
		buf_add_c(&b, "'");
	}
	buf_add_c(&b, after);
	t = promql_lex_error(l, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return t;
}

/* The backslash has been read. false, and *err_out, when it is wrong. */
static bool
lex_escape(struct promql_lexer *l, int32_t quote, struct promql_token *err_out)
{
	int32_t r = promql_lex_rune(l);
	uint32_t x = 0, base = 16, max = 0x10ffff;
	int n;

	if (r == PROMQL_RUNE_EOF) {
		*err_out = promql_lex_error(l,
		    "escape sequence not terminated");
		return false;
	}
	if (r == quote || (r < 0x80 && r > 0 && strchr("abfnrtv\\", r) != NULL))
		return true;
	if (r >= '0' && r <= '7') {
		n = 3;
		base = 8;
		max = 255;
	} else if (r == 'x' || r == 'u' || r == 'U') {
		n = r == 'x' ? 2 : r == 'u' ? 4 : 8;
		if (r == 'x')
			max = 255;
		r = promql_lex_rune(l);
	} else {
		*err_out = error_unicode(l, "unknown escape sequence ", r, "");
		return false;
	}
	for (; n > 0; n--) {
		uint32_t d = (uint32_t)digit_value(r);

		if (d >= base) {
			*err_out = r == PROMQL_RUNE_EOF ?
			    promql_lex_error(l,
			    "escape sequence not terminated") :
			    error_unicode(l, "illegal character ", r,
			    " in escape sequence");
			return false;
		}
		x = x * base + d;
		if (n > 1)
			r = promql_lex_rune(l);
	}
	if (x > max || (x >= 0xd800 && x < 0xe000)) {
		*err_out = promql_lex_error(l,
		    "escape sequence is an invalid Unicode code point");
		return false;
	}
	return true;
}

struct promql_token
promql_lex_string(struct promql_lexer *l, int32_t quote)
{
	struct promql_token err;
	int32_t r;

	for (;;) {
		r = promql_lex_rune(l);
		if (r == quote)
			return promql_lex_emit(l, TOK_STRING);
		/* U+FFFD itself is refused too, as in the reference. */
		if (r == 0xfffd)
			return promql_lex_error(l, "invalid UTF-8 rune");
		if (r == PROMQL_RUNE_EOF && quote == '`')
			return promql_lex_error(l, "unterminated raw string");
		if (quote == '`')
			continue;
		if (r == PROMQL_RUNE_EOF || r == '\n')
			return promql_lex_error(l,
			    "unterminated quoted string");
		if (r == '\\' && !lex_escape(l, quote, &err))
			return err;
	}
}
