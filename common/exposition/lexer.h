/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_EXPOSITION_LEXER_H
#define BRAZIER_COMMON_EXPOSITION_LEXER_H

/*
 * Tokens of the exposition formats; private to this library. The lexers keep
 * the reference's states, because its error texts quote the token that was
 * found and where the lexer stopped.
 */

#include "common/exposition/exposition.h"

enum expo_token {
	TOKEN_INVALID = -1,
	TOKEN_EOF,
	TOKEN_LINEBREAK,
	TOKEN_WHITESPACE,
	TOKEN_HELP,
	TOKEN_TYPE,
	TOKEN_UNIT,
	TOKEN_EOFWORD,
	TOKEN_TEXT,
	TOKEN_COMMENT,
	TOKEN_MNAME,
	TOKEN_QSTRING,
	TOKEN_BRACE_OPEN,
	TOKEN_BRACE_CLOSE,
	TOKEN_LNAME,
	TOKEN_LVALUE,
	TOKEN_COMMA,
	TOKEN_EQUAL,
	TOKEN_TIMESTAMP,
	TOKEN_VALUE
};

enum expo_state {
	STATE_INIT,
	STATE_COMMENT,
	STATE_META1,		/* family name expected */
	STATE_META2,		/* text expected */
	STATE_LABELS,
	STATE_LVALUE,
	STATE_VALUE,
	STATE_TIMESTAMP,
	STATE_EXEMPLAR,
	STATE_EVALUE,
	STATE_ETIMESTAMP
};

/* As the reference names them in errors: "INVALID", "MNAME", … */
const char *expo_token_name(enum expo_token t);

/* One token; p->token is where it starts, p->i where it ends. */
enum expo_token expo_lex_text(struct expo_parser *p);
enum expo_token expo_lex_openmetrics(struct expo_parser *p);

/* Next token, text format's blanks skipped. */
static inline enum expo_token
expo_token(struct expo_parser *p)
{
	enum expo_token t;

	if (p->format == EXPO_OPENMETRICS)
		return expo_lex_openmetrics(p);
	do
		t = expo_lex_text(p);
	while (t == TOKEN_WHITESPACE);
	return t;
}

/* Grammar parts that both formats share (parse.c). Each returns 0 or -1. */
int	 expo_fail_token(struct expo_parser *p, const char *expected,
	    enum expo_token got, struct err *err);
int	 expo_parse_float(struct expo_parser *p, struct str text, double *out,
	    struct err *err);
int	 expo_parse_labels(struct expo_parser *p, bool exemplar,
	    struct err *err);

/* The rest of a sample's line, from its value token on. */
int	 expo_suffix_text(struct expo_parser *p, enum expo_token t,
	    struct err *err);
int	 expo_suffix_openmetrics(struct expo_parser *p, enum expo_token t,
	    struct err *err);

/* A HELP, TYPE or UNIT line from its keyword on; an enum expo_entry. */
enum expo_entry expo_parse_metadata(struct expo_parser *p,
	    enum expo_token keyword, struct err *err);

#endif
