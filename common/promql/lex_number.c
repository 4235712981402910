/* SPDX-License-Identifier: ISC */
/*
 * Numbers and durations. What is accepted here may still be no number
 * (`5_`): the parser finds that out.
 */

#include "common/promql/lex.h"

#define DIGITS	"0123456789"

static bool
peek_in(struct promql_lexer *l, const char *set)
{
	int32_t r = promql_lex_peek(l);

	return r > 0 && r < 0x80 && strchr(set, r) != NULL;
}

static bool
at_end(struct promql_lexer *l)
{
	return promql_lex_peek(l) == PROMQL_RUNE_EOF;
}

/*
 * One dot, exponent sign or underscore, and what may not follow it. false
 * when it is wrong; *seen_out remembers that there was one.
 */
static bool
scan_dot(struct promql_lexer *l, bool *seen, bool is_hex)
{
	promql_lex_accept(l, ".");
	if (*seen)
		return false;
	*seen = true;
	return !promql_lex_accept(l, "_.") && !is_hex;
}

static bool
scan_exponent(struct promql_lexer *l, bool *seen)
{
	promql_lex_accept(l, "eE");
	if (*seen)
		return false;
	*seen = true;
	promql_lex_accept(l, "+-");
	return !promql_lex_accept(l, "._eE") && !at_end(l);
}

static bool
scan_underscore(struct promql_lexer *l)
{
	promql_lex_accept(l, "_");
	return !promql_lex_accept(l, "._eE") && !at_end(l);
}

static bool
scan_number(struct promql_lexer *l)
{
	const char *digits = DIGITS;
	size_t begin = l->pos;
	bool is_hex = false, dot = false, exponent = false;
	int32_t r;

	/* x means repetition in series descriptions: no hex there. */
	if (!l->series && promql_lex_accept(l, "0") &&
	    promql_lex_accept(l, "xX")) {
		promql_lex_accept(l, "_");
		digits = "0123456789abcdefABCDEF";
		is_hex = true;
	}
	/*
	 * A dot here is not counted: "..5" never gets this far, and in hex
	 * text it is what the reference lets through.
	 */
	promql_lex_accept(l, ".");
	promql_lex_accept(l, digits);
	for (;;) {
		/* In hex, e is a digit and yet tried as an exponent first. */
		if (peek_in(l, ".")) {
			if (!scan_dot(l, &dot, is_hex))
				return false;
		} else if (peek_in(l, "eE")) {
			if (!scan_exponent(l, &exponent))
				return false;
		} else if (peek_in(l, "_")) {
			if (!scan_underscore(l))
				return false;
		} else if (peek_in(l, digits)) {
			while (promql_lex_accept(l, digits))
				;
		} else
			break;
	}
	if (l->pos == begin)
		return false;
	r = promql_lex_peek(l);
	return (l->series && r == 'x') || !promql_rune_is_alnum(r);
}

/* Units after the first number: "m", "ms", "h30m"; order is not checked. */
static bool
scan_duration(struct promql_lexer *l)
{
	bool ok;

	if (!promql_lex_accept(l, "smhdwy"))
		return false;
	promql_lex_accept(l, "s");
	while (promql_lex_accept(l, DIGITS)) {
		while (promql_lex_accept(l, DIGITS))
			;
		if (!promql_lex_accept(l, "smhdw"))
			return false;
		promql_lex_accept(l, "s");
	}
	ok = !promql_rune_is_alnum(promql_lex_rune(l));
	if (ok)
		promql_lex_back(l);
	return ok;
}

struct promql_token
promql_lex_number(struct promql_lexer *l)
{
	if (!scan_number(l))
		return promql_lex_error_text(l, "bad number syntax: ");
	return promql_lex_emit(l, TOK_NUMBER);
}

struct promql_token
promql_lex_number_or_duration(struct promql_lexer *l)
{
	if (scan_number(l))
		return promql_lex_emit(l, TOK_NUMBER);
	if (scan_duration(l))
		return promql_lex_emit(l, TOK_DURATION);
	return promql_lex_error_text(l, "bad number or duration syntax: ");
}
