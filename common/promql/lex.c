/* SPDX-License-Identifier: ISC */
/*
 * The lexer's frame and its three main modes: statements, the inside of
 * braces, and duration expressions up to their first number (after it the
 * statement mode goes on, minding the open bracket: that is how the
 * reference words its errors). Words, numbers, strings and series
 * descriptions are in lex_word.c, lex_number.c, lex_string.c, lex_series.c.
 */

#include "common/promql/lex.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/base/quote.h"
#include "common/base/utf8.h"

void
promql_lex_init(struct promql_lexer *l, struct arena *a, struct str input)
{
	*l = (struct promql_lexer){ .input = input, .arena = a };
}

int32_t
promql_lex_rune(struct promql_lexer *l)
{
	uint32_t rune;

	if (l->pos >= l->input.n) {
		l->width = 0;
		return PROMQL_RUNE_EOF;
	}
	if ((uint8_t)l->input.p[l->pos] < 0x80) {
		l->width = 1;
		return (uint8_t)l->input.p[l->pos++];
	}
	l->width = utf8_decode(l->input.p + l->pos, l->input.n - l->pos,
	    &rune);
	l->pos += l->width;
	return (int32_t)rune;
}

void
promql_lex_back(struct promql_lexer *l)
{
	l->pos -= l->width;
	l->width = 0;
}

int32_t
promql_lex_peek(struct promql_lexer *l)
{
	int32_t r = promql_lex_rune(l);

	promql_lex_back(l);
	return r;
}

bool
promql_lex_accept(struct promql_lexer *l, const char *set)
{
	int32_t r = promql_lex_rune(l);

	if (r > 0 && r < 0x80 && strchr(set, r) != NULL)
		return true;
	promql_lex_back(l);
	return false;
}

bool
promql_rune_is_space(int32_t r)
{
	return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

bool
promql_rune_is_digit(int32_t r)
{
	return r >= '0' && r <= '9';
}

bool
promql_rune_is_alpha(int32_t r)
{
	return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

bool
promql_rune_is_alnum(int32_t r)
{
	return promql_rune_is_alpha(r) || promql_rune_is_digit(r);
}

void
promql_lex_skip_spaces(struct promql_lexer *l)
{
	while (promql_rune_is_space(promql_lex_peek(l)))
		promql_lex_rune(l);
	l->start = l->pos;
}

struct promql_token
promql_lex_emit(struct promql_lexer *l, enum promql_tok tok)
{
	struct promql_token t = { .tok = tok, .start = (int32_t)l->start,
	    .text = str_from(l->input.p + l->start, l->pos - l->start) };

	l->start = l->pos;
	return t;
}

struct promql_token
promql_lex_emit_op(struct promql_lexer *l, enum promql_op op)
{
	struct promql_token t = promql_lex_emit(l, TOK_OP);

	t.op = (uint8_t)op;
	return t;
}

/* The lexer stops at its first error: what follows has no meaning. */
static struct promql_token
error_token(struct promql_lexer *l, struct str text)
{
	l->mode = LEX_DONE;
	return (struct promql_token){ .tok = TOK_ERROR,
	    .start = (int32_t)l->start, .text = text };
}

struct promql_token
promql_lex_error(struct promql_lexer *l, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return error_token(l, arena_str(l->arena, str_c(text)));
}

struct promql_token
promql_lex_error_rune(struct promql_lexer *l, const char *text, int32_t rune,
    const char *tail)
{
	struct promql_token t;
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, text);
	/* Go prints what is no rune, the end of input too, as U+FFFD. */
	quote_add_rune(&b, rune < 0 ? 0xfffd : (uint32_t)rune);
	buf_add_c(&b, tail);
	t = error_token(l, arena_str(l->arena, buf_str(&b)));
	buf_clear(&b);
	return t;
}

struct promql_token
promql_lex_error_text(struct promql_lexer *l, const char *text)
{
	struct promql_token t;
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, text);
	quote_add(&b, str_from(l->input.p + l->start, l->pos - l->start));
	t = error_token(l, arena_str(l->arena, buf_str(&b)));
	buf_clear(&b);
	return t;
}

static void
skip_comment(struct promql_lexer *l)
{
	int32_t r;

	do
		r = promql_lex_rune(l);
	while (r != '\n' && r != '\r' && r != PROMQL_RUNE_EOF);
	promql_lex_back(l);
	l->start = l->pos;
}

/* a rune that may be the first of two: = ! < > */
static struct promql_token
lex_comparison(struct promql_lexer *l, int32_t r)
{
	int32_t t = promql_lex_rune(l);

	switch (r) {
	case '=':
		if (t == '=')
			return promql_lex_emit_op(l, PROMQL_OP_EQLC);
		if (t == '~')
			return promql_lex_error_rune(l,
			    "unexpected character after '=': ", t, "");
		promql_lex_back(l);
		return promql_lex_emit(l, TOK_EQL);
	case '!':
		if (t == '=')
			return promql_lex_emit_op(l, PROMQL_OP_NEQ);
		return promql_lex_error_rune(l,
		    "unexpected character after '!': ", t, "");
	case '<':
		if (t == '=')
			return promql_lex_emit_op(l, PROMQL_OP_LTE);
		if (t == '/')
			return promql_lex_emit_op(l, PROMQL_OP_TRIM_UPPER);
		promql_lex_back(l);
		return promql_lex_emit_op(l, PROMQL_OP_LSS);
	default:
		if (t == '=')
			return promql_lex_emit_op(l, PROMQL_OP_GTE);
		if (t == '/')
			return promql_lex_emit_op(l, PROMQL_OP_TRIM_LOWER);
		promql_lex_back(l);
		return promql_lex_emit_op(l, PROMQL_OP_GTR);
	}
}

static struct promql_token
lex_paren(struct promql_lexer *l, int32_t r)
{
	struct promql_token t;

	if (r == '(') {
		l->paren_depth++;
		return promql_lex_emit(l, TOK_LEFT_PAREN);
	}
	t = promql_lex_emit(l, TOK_RIGHT_PAREN);
	if (--l->paren_depth < 0)
		return promql_lex_error_rune(l,
		    "unexpected right parenthesis ", r, "");
	return t;
}

/* + - * / % ^, the same everywhere; PROMQL_OP_NONE for other runes. */
static enum promql_op
arithmetic_op(int32_t r)
{
	switch (r) {
	case '*':
		return PROMQL_OP_MUL;
	case '/':
		return PROMQL_OP_DIV;
	case '%':
		return PROMQL_OP_MOD;
	case '+':
		return PROMQL_OP_ADD;
	case '-':
		return PROMQL_OP_SUB;
	case '^':
		return PROMQL_OP_POW;
	default:
		return PROMQL_OP_NONE;
	}
}

static struct promql_token
lex_end(struct promql_lexer *l)
{
	if (l->paren_depth != 0)
		return promql_lex_error(l, "unclosed left parenthesis");
	if (l->bracket_open)
		return promql_lex_error(l, "unclosed left bracket");
	l->mode = LEX_DONE;
	return promql_lex_emit(l, TOK_EOF);
}

/* A letter or a colon in statements: inside [] only few mean something. */
static struct promql_token
lex_letter(struct promql_lexer *l, int32_t r)
{
	struct promql_token t;
	bool ok;

	if (!l->bracket_open) {
		promql_lex_back(l);
		return promql_lex_word(l);
	}
	if (r == ':') {
		if (l->got_colon)
			return promql_lex_error_rune(l, "unexpected colon ",
			    r, "");
		l->got_colon = true;
		return promql_lex_emit(l, TOK_COLON);
	}
	if (promql_lex_starts_duration_word(r)) {
		t = promql_lex_duration_word(l, &ok);
		if (ok)
			return t;
	}
	return promql_lex_error_rune(l, "unexpected character: ", r,
	    ", expected ':'");
}

static struct promql_token
lex_bracket(struct promql_lexer *l, int32_t r)
{
	struct promql_token t;

	if (r == ']') {
		if (!l->bracket_open)
			return promql_lex_error_rune(l,
			    "unexpected right bracket ", r, "");
		l->bracket_open = false;
		return promql_lex_emit(l, TOK_RIGHT_BRACKET);
	}
	if (l->bracket_open)
		return promql_lex_error_rune(l, "unexpected left bracket ",
		    r, "");
	l->got_colon = false;
	t = promql_lex_emit(l, TOK_LEFT_BRACKET);
	promql_lex_skip_spaces(l);
	l->bracket_open = true;
	l->mode = LEX_DURATION;
	return t;
}

static struct promql_token
lex_statements(struct promql_lexer *l)
{
	int32_t r;
	enum promql_op op;

	for (;;) {
		r = promql_lex_rune(l);
		if (r == '#')
			skip_comment(l);
		else if (promql_rune_is_space(r))
			promql_lex_skip_spaces(l);
		else
			break;
	}
	if ((op = arithmetic_op(r)) != PROMQL_OP_NONE)
		return promql_lex_emit_op(l, op);
	if (promql_rune_is_digit(r) ||
	    (r == '.' && promql_rune_is_digit(promql_lex_peek(l)))) {
		l->pos = l->start;
		return promql_lex_number_or_duration(l);
	}
	if (promql_rune_is_alpha(r) || r == ':')
		return lex_letter(l, r);
	switch (r) {
	case PROMQL_RUNE_EOF:
		return lex_end(l);
	case ',':
		return promql_lex_emit(l, TOK_COMMA);
	case '=':
	case '!':
	case '<':
	case '>':
		return lex_comparison(l, r);
	case '"':
	case '\'':
	case '`':
		return promql_lex_string(l, r);
	case '(':
	case ')':
		return lex_paren(l, r);
	case '{':
		l->brace_open = true;
		l->mode = LEX_BRACES;
		return promql_lex_emit(l, TOK_LEFT_BRACE);
	case '[':
	case ']':
		return lex_bracket(l, r);
	case '@':
		return promql_lex_emit(l, TOK_AT);
	default:
		return promql_lex_error_rune(l, "unexpected character: ", r,
		    "");
	}
}

/* = =~ != !~ inside braces. */
static struct promql_token
lex_matcher_op(struct promql_lexer *l, int32_t r)
{
	int32_t t = promql_lex_rune(l);

	if (r == '=') {
		if (t == '~')
			return promql_lex_emit(l, TOK_EQL_REGEX);
		promql_lex_back(l);
		return promql_lex_emit(l, TOK_EQL);
	}
	if (t == '~')
		return promql_lex_emit(l, TOK_NEQ_REGEX);
	if (t == '=')
		return promql_lex_emit_op(l, PROMQL_OP_NEQ);
	return promql_lex_error_rune(l,
	    "unexpected character after '!' inside braces: ", t, "");
}

static struct promql_token
lex_braces(struct promql_lexer *l)
{
	int32_t r;

	for (;;) {
		r = promql_lex_rune(l);
		if (r == '#')
			skip_comment(l);
		else if (promql_rune_is_space(r))
			promql_lex_skip_spaces(l);
		else
			break;
	}
	if (promql_rune_is_alpha(r)) {
		while (promql_rune_is_alnum(promql_lex_rune(l)))
			;
		promql_lex_back(l);
		return promql_lex_emit(l, TOK_IDENTIFIER);
	}
	switch (r) {
	case PROMQL_RUNE_EOF:
		return promql_lex_error(l,
		    "unexpected end of input inside braces");
	case ',':
		return promql_lex_emit(l, TOK_COMMA);
	case '"':
	case '\'':
	case '`':
		return promql_lex_string(l, r);
	case '=':
	case '!':
		return lex_matcher_op(l, r);
	case '{':
		return promql_lex_error_rune(l, "unexpected left brace ", r,
		    "");
	case '}':
		l->brace_open = false;
		l->mode = l->series ? LEX_VALUES : LEX_STATEMENTS;
		return promql_lex_emit(l, TOK_RIGHT_BRACE);
	default:
		return promql_lex_error_rune(l,
		    "unexpected character inside braces: ", r, "");
	}
}

static struct promql_token
lex_duration_colon(struct promql_lexer *l)
{
	struct promql_token t = promql_lex_emit(l, TOK_COLON);

	if (!l->got_duration)
		return promql_lex_error(l,
		    "unexpected colon before duration in duration expression");
	if (l->got_colon)
		return promql_lex_error(l,
		    "unexpected repeated colon in duration expression");
	l->got_colon = true;
	return t;
}

static struct promql_token
lex_duration(struct promql_lexer *l)
{
	struct promql_token t;
	enum promql_op op;
	bool ok = false;
	int32_t r;

	promql_lex_skip_spaces(l);
	r = promql_lex_rune(l);
	if ((op = arithmetic_op(r)) != PROMQL_OP_NONE)
		return promql_lex_emit_op(l, op);
	if (promql_rune_is_digit(r) ||
	    (r == '.' && promql_rune_is_digit(promql_lex_peek(l)))) {
		l->pos = l->start;
		l->got_duration = true;
		l->mode = LEX_STATEMENTS;
		return promql_lex_number_or_duration(l);
	}
	switch (r) {
	case PROMQL_RUNE_EOF:
		return promql_lex_error(l,
		    "unexpected end of input in duration expression");
	case ']':
		l->bracket_open = false;
		l->got_colon = false;
		l->mode = LEX_STATEMENTS;
		return promql_lex_emit(l, TOK_RIGHT_BRACKET);
	case ':':
		return lex_duration_colon(l);
	case '(':
	case ')':
		return lex_paren(l, r);
	case ',':
		return promql_lex_emit(l, TOK_COMMA);
	default:
		if (promql_lex_starts_duration_word(r))
			t = promql_lex_duration_word(l, &ok);
		return ok ? t : promql_lex_error_rune(l,
		    "unexpected character in duration expression: ", r, "");
	}
}

static struct promql_token
lex_any(struct promql_lexer *l)
{
	switch (l->mode) {
	case LEX_STATEMENTS:
		return lex_statements(l);
	case LEX_BRACES:
		return lex_braces(l);
	case LEX_DURATION:
		return lex_duration(l);
	case LEX_VALUES:
		return promql_lex_values(l);
	case LEX_HISTOGRAM:
		return promql_lex_histogram(l);
	case LEX_BUCKETS:
		return promql_lex_buckets(l);
	case LEX_BUCKET_NUMBER:
		l->mode = LEX_BUCKETS;
		return promql_lex_number(l);
	case LEX_DONE:
		break;
	}
	return promql_lex_emit(l, TOK_EOF);
}

struct promql_token
promql_lex_next(struct promql_lexer *l)
{
	struct promql_token t = lex_any(l);

	l->last_pos = (size_t)t.start;
	return t;
}
