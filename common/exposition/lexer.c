/* SPDX-License-Identifier: ISC */
/*
 * The lexers of the two text formats. A token is recognised by looking at
 * one byte at a time and never going back: where it stops is what error
 * texts show. In three states (label values, help, comments) NUL bytes are
 * part of the text; everywhere else a NUL is no token, and at the beginning
 * of a line of the Prometheus text format it ends the body, as in the
 * reference.
 */

#include "common/exposition/lexer.h"

#include "common/base/err.h"

static const char *const token_names[] = {
	[TOKEN_EOF] = "EOF", [TOKEN_LINEBREAK] = "LINEBREAK",
	[TOKEN_WHITESPACE] = "WHITESPACE", [TOKEN_HELP] = "HELP",
	[TOKEN_TYPE] = "TYPE", [TOKEN_UNIT] = "UNIT",
	[TOKEN_EOFWORD] = "EOFWORD", [TOKEN_TEXT] = "TEXT",
	[TOKEN_COMMENT] = "COMMENT", [TOKEN_MNAME] = "MNAME",
	[TOKEN_QSTRING] = "QSTRING", [TOKEN_BRACE_OPEN] = "BOPEN",
	[TOKEN_BRACE_CLOSE] = "BCLOSE", [TOKEN_LNAME] = "LNAME",
	[TOKEN_LVALUE] = "LVALUE", [TOKEN_COMMA] = "COMMA",
	[TOKEN_EQUAL] = "EQUAL", [TOKEN_TIMESTAMP] = "TIMESTAMP",
	[TOKEN_VALUE] = "VALUE"
};

const char *
expo_token_name(enum expo_token t)
{
	return t < 0 ? "INVALID" : token_names[t];
}

/* Byte classes: letters and _, then : (metric names), then digits. */
enum { C_LETTER = 1, C_COLON = 2, C_DIGIT = 4, C_BLANK = 8 };

static const uint8_t classes[256] = {
	['a' ... 'z'] = C_LETTER, ['A' ... 'Z'] = C_LETTER, ['_'] = C_LETTER,
	[':'] = C_COLON, ['0' ... '9'] = C_DIGIT,
	[' '] = C_BLANK, ['\t'] = C_BLANK
};

/* The byte at the position; 0 at the end, as a NUL in most states. */
static inline uint8_t
cur(const struct expo_parser *p)
{
	return p->i < p->n ? (uint8_t)p->b[p->i] : 0;
}

static inline bool
nul_is_text(const struct expo_parser *p)
{
	return p->state == STATE_LVALUE || p->state == STATE_META2 ||
	    p->state == STATE_COMMENT;
}

/* Goes one byte on, over NULs where they are text. */
static inline uint8_t
next(struct expo_parser *p)
{
	p->i++;
	while (p->i < p->n && p->b[p->i] == '\0' && nul_is_text(p))
		p->i++;
	return cur(p);
}

static enum expo_token
take(struct expo_parser *p, enum expo_state state, enum expo_token t)
{
	p->i++;
	p->state = state;
	return t;
}

static void
skip_class(struct expo_parser *p, int mask)
{
	while (p->i < p->n && (classes[(uint8_t)p->b[p->i]] & mask) != 0)
		p->i++;
}

/* A name that starts here, digits allowed after the first byte. */
static enum expo_token
lex_name(struct expo_parser *p, int mask, enum expo_state state,
    enum expo_token t)
{
	if ((classes[cur(p)] & mask) == 0)
		return TOKEN_INVALID;
	skip_class(p, mask | C_DIGIT);
	p->state = state;
	return t;
}

/* A quoted string; escapes are any byte but a newline after a backslash. */
static enum expo_token
lex_quoted(struct expo_parser *p, bool multiline, enum expo_state state,
    enum expo_token t)
{
	uint8_t c;

	for (c = next(p);; c = next(p)) {
		if (c == '"') {
			p->i++;
			p->state = state;
			return t;
		}
		if (c == '\\')
			c = next(p);
		else if (c == '\n' && multiline)
			continue;
		if (c == 0 || c == '\n')
			return TOKEN_INVALID;
	}
}

/* Everything but NUL, newline, space and `stop`. At least one byte. */
static enum expo_token
lex_word(struct expo_parser *p, uint8_t stop1, uint8_t stop2,
    enum expo_state state, enum expo_token t)
{
	size_t from = p->i;
	uint8_t c;

	for (c = cur(p); c != 0 && c != '\n' && c != ' ' && c != stop1 &&
	    c != stop2; c = cur(p))
		p->i++;
	if (p->i == from)
		return TOKEN_INVALID;
	p->state = state;
	return t;
}

/* The rest of the line, without its newline. */
static enum expo_token
lex_comment(struct expo_parser *p)
{
	uint8_t c;

	for (c = cur(p); c != '\n'; c = next(p))
		if (c == 0)
			return TOKEN_EOF;
	p->state = STATE_INIT;
	return TOKEN_COMMENT;
}

static bool
lex_literal(struct expo_parser *p, const char *word)
{
	for (; *word != '\0'; word++, next(p))
		if (cur(p) != (uint8_t)*word)
			return false;
	return true;
}

/* After "# ": HELP or TYPE, else the line is a comment. */
static enum expo_token
text_comment(struct expo_parser *p)
{
	enum expo_token t = cur(p) == 'H' ? TOKEN_HELP : TOKEN_TYPE;

	if (!lex_literal(p, t == TOKEN_HELP ? "HELP" : "TYPE") ||
	    (classes[cur(p)] & C_BLANK) == 0)
		return lex_comment(p);
	while ((classes[cur(p)] & C_BLANK) != 0)
		next(p);
	p->state = STATE_META1;
	return t;
}

static enum expo_token
text_init(struct expo_parser *p)
{
	switch (cur(p)) {
	case 0:
		p->i++;
		return TOKEN_EOF;
	case '\n':
		return take(p, STATE_INIT, TOKEN_LINEBREAK);
	case '{':
		return take(p, STATE_LABELS, TOKEN_BRACE_OPEN);
	case '#':
		p->i++;
		if ((classes[cur(p)] & C_BLANK) == 0)
			return lex_comment(p);
		skip_class(p, C_BLANK);
		p->state = STATE_COMMENT;
		return text_comment(p);
	default:
		return lex_name(p, C_LETTER | C_COLON, STATE_VALUE,
		    TOKEN_MNAME);
	}
}

/* Help or type text up to the newline; blanks alone are white space. */
static enum expo_token
text_meta2(struct expo_parser *p)
{
	bool blank = true;
	size_t from = p->i;
	uint8_t c;

	for (c = cur(p); c != 0 && c != '\n'; c = next(p))
		blank &= (classes[c] & C_BLANK) != 0;
	if (blank && p->i != from)
		return TOKEN_WHITESPACE;
	p->state = STATE_INIT;
	return TOKEN_TEXT;
}

/* Inside braces, both formats. */
static enum expo_token
lex_labels(struct expo_parser *p, bool multiline, enum expo_state self,
    enum expo_state after_equal, enum expo_state after_close)
{
	switch (cur(p)) {
	case '"':
		return lex_quoted(p, multiline, self, TOKEN_QSTRING);
	case '}':
		return take(p, after_close, TOKEN_BRACE_CLOSE);
	case '=':
		return take(p, after_equal, TOKEN_EQUAL);
	case ',':
		return take(p, self, TOKEN_COMMA);
	default:
		return lex_name(p, C_LETTER, self, TOKEN_LNAME);
	}
}

enum expo_token
expo_lex_text(struct expo_parser *p)
{
	if (p->i >= p->n)
		return TOKEN_EOF;
	p->token = p->i;
	if ((classes[cur(p)] & C_BLANK) != 0 && p->state != STATE_META2) {
		skip_class(p, C_BLANK);
		return TOKEN_WHITESPACE;
	}
	switch ((enum expo_state)p->state) {
	case STATE_INIT:
		return text_init(p);
	case STATE_COMMENT:
		return text_comment(p);
	case STATE_META1:
		if (cur(p) == '"')
			return lex_quoted(p, true, STATE_META2, TOKEN_MNAME);
		return lex_name(p, C_LETTER | C_COLON, STATE_META2,
		    TOKEN_MNAME);
	case STATE_META2:
		return text_meta2(p);
	case STATE_LABELS:
		return lex_labels(p, true, STATE_LABELS, STATE_LVALUE,
		    STATE_VALUE);
	case STATE_LVALUE:
		if (cur(p) != '"')
			return TOKEN_INVALID;
		return lex_quoted(p, true, STATE_LABELS, TOKEN_LVALUE);
	case STATE_VALUE:
		if (cur(p) == '{')
			return take(p, STATE_LABELS, TOKEN_BRACE_OPEN);
		return lex_word(p, '{', '\t', STATE_TIMESTAMP, TOKEN_VALUE);
	case STATE_TIMESTAMP:
		if (cur(p) == '\n')
			return take(p, STATE_INIT, TOKEN_LINEBREAK);
		if ((classes[cur(p)] & C_DIGIT) == 0)
			return TOKEN_INVALID;
		skip_class(p, C_DIGIT);
		return TOKEN_TIMESTAMP;
	default:
		return TOKEN_INVALID;
	}
}

/* After "# " of OpenMetrics. */
static enum expo_token
om_comment(struct expo_parser *p)
{
	enum expo_token t;
	const char *word;

	switch (cur(p)) {
	case 'H':
		word = "HELP ";
		t = TOKEN_HELP;
		break;
	case 'T':
		word = "TYPE ";
		t = TOKEN_TYPE;
		break;
	case 'U':
		word = "UNIT ";
		t = TOKEN_UNIT;
		break;
	default:
		word = "EOF";
		t = TOKEN_EOFWORD;
	}
	if (!lex_literal(p, word))
		return TOKEN_INVALID;
	if (t != TOKEN_EOFWORD) {
		p->state = STATE_META1;
		return t;
	}
	if (cur(p) == '\n')
		p->i++;
	p->state = STATE_INIT;
	return t;
}

static enum expo_token
om_init(struct expo_parser *p)
{
	switch (cur(p)) {
	case '{':
		return take(p, STATE_LABELS, TOKEN_BRACE_OPEN);
	case '#':
		p->i++;
		if (cur(p) != ' ')
			return TOKEN_INVALID;
		p->i++;
		p->state = STATE_COMMENT;
		return om_comment(p);
	default:
		return lex_name(p, C_LETTER | C_COLON, STATE_VALUE,
		    TOKEN_MNAME);
	}
}

/* " text\n" */
static enum expo_token
om_meta2(struct expo_parser *p)
{
	uint8_t c;

	if (cur(p) != ' ')
		return TOKEN_INVALID;
	for (c = next(p); c != '\n'; c = next(p))
		if (c == 0)
			return TOKEN_INVALID;
	return take(p, STATE_INIT, TOKEN_TEXT);
}

/* " word", the blank being part of the token. */
static enum expo_token
om_word(struct expo_parser *p, enum expo_state state, enum expo_token t)
{
	if (cur(p) != ' ')
		return TOKEN_INVALID;
	p->i++;
	return lex_word(p, ' ', ' ', state, t);
}

/* After the value: the end, a timestamp, or " # {" of an exemplar. */
static enum expo_token
om_timestamp(struct expo_parser *p)
{
	if (cur(p) == '\n')
		return take(p, STATE_INIT, TOKEN_LINEBREAK);
	if (cur(p) != ' ')
		return TOKEN_INVALID;
	p->i++;
	if (cur(p) != '#')
		return lex_word(p, ' ', ' ', STATE_TIMESTAMP,
		    TOKEN_TIMESTAMP);
	p->i++;
	if (cur(p) != ' ') {
		(void)lex_word(p, ' ', ' ', STATE_TIMESTAMP, TOKEN_TIMESTAMP);
		return TOKEN_TIMESTAMP;
	}
	p->i++;
	if (cur(p) != '{')
		return TOKEN_INVALID;
	return take(p, STATE_EXEMPLAR, TOKEN_COMMENT);
}

enum expo_token
expo_lex_openmetrics(struct expo_parser *p)
{
	if (p->i >= p->n)
		return TOKEN_EOF;
	p->token = p->i;
	switch ((enum expo_state)p->state) {
	case STATE_INIT:
		return om_init(p);
	case STATE_COMMENT:
		return om_comment(p);
	case STATE_META1:
		if (cur(p) == '"')
			return lex_quoted(p, true, STATE_META2, TOKEN_MNAME);
		return lex_name(p, C_LETTER | C_COLON, STATE_META2,
		    TOKEN_MNAME);
	case STATE_META2:
		return om_meta2(p);
	case STATE_LABELS:
		return lex_labels(p, true, STATE_LABELS, STATE_LVALUE,
		    STATE_VALUE);
	case STATE_LVALUE:
		if (cur(p) != '"')
			return TOKEN_INVALID;
		return lex_quoted(p, false, STATE_LABELS, TOKEN_LVALUE);
	case STATE_VALUE:
		if (cur(p) == '{')
			return take(p, STATE_LABELS, TOKEN_BRACE_OPEN);
		return om_word(p, STATE_TIMESTAMP, TOKEN_VALUE);
	case STATE_TIMESTAMP:
		return om_timestamp(p);
	case STATE_EXEMPLAR:
		return lex_labels(p, false, STATE_EXEMPLAR, STATE_EVALUE,
		    STATE_EVALUE);
	case STATE_EVALUE:
		if (cur(p) == '"')
			return lex_quoted(p, false, STATE_EXEMPLAR,
			    TOKEN_LVALUE);
		return om_word(p, STATE_ETIMESTAMP, TOKEN_VALUE);
	case STATE_ETIMESTAMP:
		if (cur(p) == '\n')
			return take(p, STATE_INIT, TOKEN_LINEBREAK);
		return om_word(p, STATE_ETIMESTAMP, TOKEN_TIMESTAMP);
	}
	return TOKEN_INVALID;
}
