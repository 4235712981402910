/* SPDX-License-Identifier: ISC */
/*
 * The two modes of series descriptions: the values after the label set, and
 * histogram literals `{{schema:1 count:5 buckets:[1 2]}}`. Spaces are tokens
 * here. A histogram's closing braces may be followed at once by x, + or -.
 */

#include "common/promql/lex.h"

static const struct { const char *text; uint8_t tok; } hist_words[] = {
#define X(id, text) { text, TOK_HIST_##id },
	PROMQL_HISTOGRAM_KEYS(X)
#undef X
};

static const struct { const char *text; uint8_t tok; } other_words[] = {
	{ "inf", TOK_NUMBER },
	{ "nan", TOK_NUMBER },
	{ "unknown", TOK_HINT_UNKNOWN },
	{ "reset", TOK_HINT_RESET },
	{ "not_reset", TOK_HINT_NOT_RESET },
	{ "gauge", TOK_HINT_GAUGE },
};

static bool
same_word(struct str s, const char *low)
{
	size_t i;

	for (i = 0; i < s.n && low[i] != '\0'; i++) {
		char c = s.p[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c + 'a' - 'A');
		if (c != low[i])
			return false;
	}
	return i == s.n && low[i] == '\0';
}

static struct str
text_so_far(const struct promql_lexer *l)
{
	return str_from(l->input.p + l->start, l->pos - l->start);
}

static struct promql_token
emit_space(struct promql_lexer *l)
{
	struct promql_token t = promql_lex_emit(l, TOK_SPACE);

	promql_lex_skip_spaces(l);
	return t;
}

struct promql_token
promql_lex_values(struct promql_lexer *l)
{
	int32_t r = promql_lex_rune(l);

	if (promql_rune_is_space(r))
		return emit_space(l);
	if (promql_rune_is_digit(r) ||
	    (r == '.' && promql_rune_is_digit(promql_lex_peek(l)))) {
		l->pos = l->start;
		return promql_lex_number(l);
	}
	switch (r) {
	case PROMQL_RUNE_EOF:
		l->mode = LEX_DONE;
		return promql_lex_emit(l, TOK_EOF);
	case '{':
		if (promql_lex_peek(l) != '{')
			break;
		promql_lex_rune(l);
		l->hist = HIST_OPEN;
		l->mode = LEX_HISTOGRAM;
		return promql_lex_emit(l, TOK_OPEN_HIST);
	case '+':
		return promql_lex_emit_op(l, PROMQL_OP_ADD);
	case '-':
		return promql_lex_emit_op(l, PROMQL_OP_SUB);
	case 'x':
		return promql_lex_emit(l, TOK_TIMES);
	case '_':
		return promql_lex_emit(l, TOK_BLANK);
	default:
		if (promql_rune_is_alpha(r)) {
			promql_lex_back(l);
			return promql_lex_word(l);
		}
		break;
	}
	return promql_lex_error_rune(l,
	    "unexpected character in series sequence: ", r, "");
}

static struct promql_token
lex_hist_word(struct promql_lexer *l)
{
	struct str word;
	size_t i;

	while (promql_rune_is_alpha(promql_lex_rune(l)))
		;
	promql_lex_back(l);
	word = text_so_far(l);
	for (i = 0; i < sizeof(hist_words) / sizeof(hist_words[0]); i++) {
		if (!same_word(word, hist_words[i].text))
			continue;
		if (promql_lex_peek(l) != ':')
			return promql_lex_error(l,
			    "missing `:` for histogram descriptor");
		return promql_lex_emit(l, hist_words[i].tok);
	}
	for (i = 0; i < sizeof(other_words) / sizeof(other_words[0]); i++)
		if (same_word(word, other_words[i].text))
			return promql_lex_emit(l, other_words[i].tok);
	return promql_lex_error_text(l, "bad histogram descriptor found: ");
}

/* After }}: x, + and - belong to the value that the literal is. */
static struct promql_token
lex_hist_operator(struct promql_lexer *l)
{
	int32_t r = promql_lex_rune(l);

	l->hist = HIST_NONE;
	l->mode = LEX_VALUES;
	if (r == 'x')
		return promql_lex_emit(l, TOK_TIMES);
	return promql_lex_emit_op(l,
	    r == '+' ? PROMQL_OP_ADD : PROMQL_OP_SUB);
}

static struct promql_token
close_hist(struct promql_lexer *l)
{
	struct promql_token t;
	int32_t r;

	promql_lex_rune(l);
	t = promql_lex_emit(l, TOK_CLOSE_HIST);
	r = promql_lex_peek(l);
	if (r == 'x' || r == '+' || r == '-')
		l->hist = HIST_OPERATOR;
	else {
		l->hist = HIST_NONE;
		l->mode = LEX_VALUES;
	}
	return t;
}

struct promql_token
promql_lex_histogram(struct promql_lexer *l)
{
	int32_t r;

	if (l->hist == HIST_OPERATOR)
		return lex_hist_operator(l);
	r = promql_lex_rune(l);
	if (promql_rune_is_space(r))
		return emit_space(l);
	if (promql_rune_is_alpha(r)) {
		promql_lex_back(l);
		return lex_hist_word(l);
	}
	if (promql_rune_is_digit(r)) {
		promql_lex_back(l);
		return promql_lex_number(l);
	}
	if (r == ':')
		return promql_lex_emit(l, TOK_COLON);
	if (r == '-')
		return promql_lex_emit_op(l, PROMQL_OP_SUB);
	if (r == '[') {
		l->bracket_open = true;
		l->mode = LEX_BUCKETS;
		return promql_lex_emit(l, TOK_LEFT_BRACKET);
	}
	if (r == '}' && promql_lex_peek(l) == '}')
		return close_hist(l);
	return promql_lex_error_rune(l,
	    "histogram description incomplete unexpected: ", r, "");
}

struct promql_token
promql_lex_buckets(struct promql_lexer *l)
{
	struct promql_token t;
	int32_t r;

	for (;;) {
		r = promql_lex_rune(l);
		if (!promql_rune_is_alpha(r))
			break;
		if (same_word(text_so_far(l), "inf") ||
		    same_word(text_so_far(l), "nan"))
			return promql_lex_emit(l, TOK_NUMBER);
	}
	if (promql_rune_is_space(r))
		return emit_space(l);
	if (r == '-') {
		t = promql_lex_emit_op(l, PROMQL_OP_SUB);
		l->mode = LEX_BUCKET_NUMBER;
		return t;
	}
	if (promql_rune_is_digit(r)) {
		promql_lex_back(l);
		return promql_lex_number(l);
	}
	if (r == ']') {
		l->bracket_open = false;
		l->mode = LEX_HISTOGRAM;
		return promql_lex_emit(l, TOK_RIGHT_BRACKET);
	}
	return promql_lex_error_rune(l,
	    "invalid character in buckets description: ", r, "");
}
