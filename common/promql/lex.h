/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_LEX_H
#define BRAZIER_COMMON_PROMQL_LEX_H

/*
 * Text to tokens. The lexer follows brackets and braces itself, since what a
 * character means depends on them (inside [] only duration expressions,
 * inside {} only label matchers); a series description has two further
 * modes, values and histogram literals. Used by the parser alone.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/str.h"
#include "common/promql/ast.h"

/* Keywords: token, text. Aggregators and operators have lists of their own. */
#define PROMQL_KEYWORDS(X) \
	X(BOOL, "bool") X(BY, "by") X(GROUP_LEFT, "group_left") \
	X(GROUP_RIGHT, "group_right") X(FILL, "fill") \
	X(FILL_LEFT, "fill_left") X(FILL_RIGHT, "fill_right") \
	X(IGNORING, "ignoring") X(OFFSET, "offset") \
	X(SMOOTHED, "smoothed") X(ANCHORED, "anchored") X(ON, "on") \
	X(WITHOUT, "without")

/* Names that are calls or duration functions before a parenthesis. */
#define PROMQL_PREPROCESSORS(X) \
	X(START, "start") X(END, "end") X(STEP, "step") X(RANGE, "range") \
	X(MAX_OF, "max_of") X(MIN_OF, "min_of")

#define PROMQL_HISTOGRAM_KEYS(X) \
	X(SUM, "sum") X(COUNT, "count") X(SCHEMA, "schema") \
	X(OFFSET, "offset") X(N_OFFSET, "n_offset") X(BUCKETS, "buckets") \
	X(N_BUCKETS, "n_buckets") X(Z_BUCKET, "z_bucket") \
	X(Z_BUCKET_W, "z_bucket_w") X(CUSTOM_VALUES, "custom_values") \
	X(COUNTER_RESET_HINT, "counter_reset_hint")

enum promql_tok {
	TOK_EOF,
	TOK_ERROR,		/* text is the message */
	/* with a text of their own */
	TOK_IDENTIFIER,
	TOK_METRIC_IDENTIFIER,	/* with a colon in it */
	TOK_STRING,		/* with its quotes */
	TOK_NUMBER,
	TOK_DURATION,
	/* punctuation */
	TOK_LEFT_PAREN,
	TOK_RIGHT_PAREN,
	TOK_LEFT_BRACE,
	TOK_RIGHT_BRACE,
	TOK_LEFT_BRACKET,
	TOK_RIGHT_BRACKET,
	TOK_COMMA,
	TOK_EQL,
	TOK_COLON,
	TOK_BLANK,
	TOK_TIMES,
	TOK_SPACE,
	TOK_OPEN_HIST,
	TOK_CLOSE_HIST,
	/* shown as <op:…> */
	TOK_OP,			/* op says which */
	TOK_EQL_REGEX,
	TOK_NEQ_REGEX,
	TOK_AT,
	/* shown as <aggr:…>, <…>, and plain */
	TOK_AGG,		/* agg says which */
#define X(id, text) TOK_##id,
	PROMQL_KEYWORDS(X)
	PROMQL_PREPROCESSORS(X)
#undef X
	/* histogram literals */
#define X(id, text) TOK_HIST_##id,
	PROMQL_HISTOGRAM_KEYS(X)
#undef X
	TOK_HINT_UNKNOWN,
	TOK_HINT_RESET,
	TOK_HINT_NOT_RESET,
	TOK_HINT_GAUGE
};

struct promql_token {
	enum promql_tok	tok;
	uint8_t		op;	/* enum promql_op of TOK_OP */
	uint8_t		agg;	/* enum promql_agg of TOK_AGG */
	int32_t		start;	/* byte offset */
	struct str	text;	/* of the input; of an error, in the arena */
};

enum promql_lex_mode {
	LEX_STATEMENTS,
	LEX_BRACES,
	LEX_DURATION,		/* after [ */
	LEX_VALUES,		/* of a series description */
	LEX_HISTOGRAM,
	LEX_BUCKETS,
	LEX_BUCKET_NUMBER,	/* after a minus in buckets */
	LEX_DONE		/* only TOK_EOF from now on */
};

/* What follows a }} at once, to be lexed next. */
enum promql_hist_state {
	HIST_NONE,
	HIST_OPEN,
	HIST_OPERATOR
};

struct promql_lexer {
	struct str		 input;
	struct arena		*arena;		/* for error texts */
	size_t			 pos;
	size_t			 start;		/* of the token under way */
	size_t			 width;		/* of the last rune */
	size_t			 last_pos;	/* start of the last token */
	int			 paren_depth;
	bool			 brace_open;
	bool			 bracket_open;
	bool			 got_colon;
	bool			 got_duration;
	bool			 series;	/* series description */
	enum promql_hist_state	 hist;
	enum promql_lex_mode	 mode;
};

#define PROMQL_RUNE_EOF	((int32_t)-1)

void	 promql_lex_init(struct promql_lexer *l, struct arena *a,
	    struct str input);
/* The next token; comments are skipped. After an error only TOK_EOF. */
struct promql_token promql_lex_next(struct promql_lexer *l);

/* --- between the lexer's own files --- */

int32_t	 promql_lex_rune(struct promql_lexer *l);
int32_t	 promql_lex_peek(struct promql_lexer *l);
void	 promql_lex_back(struct promql_lexer *l);
/* Consumes the next rune if it is one of set (ASCII). */
bool	 promql_lex_accept(struct promql_lexer *l, const char *set);
void	 promql_lex_skip_spaces(struct promql_lexer *l);
struct promql_token promql_lex_emit(struct promql_lexer *l,
	    enum promql_tok tok);
struct promql_token promql_lex_emit_op(struct promql_lexer *l,
	    enum promql_op op);
struct promql_token promql_lex_error(struct promql_lexer *l,
	    const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* "…: 'x'": the text, then the rune as Go's %q. */
struct promql_token promql_lex_error_rune(struct promql_lexer *l,
	    const char *text, int32_t rune, const char *tail);
/* "…: "xy"": with the text lexed so far as Go's %q. */
struct promql_token promql_lex_error_text(struct promql_lexer *l,
	    const char *text);

bool	 promql_rune_is_space(int32_t r);
bool	 promql_rune_is_digit(int32_t r);
bool	 promql_rune_is_alpha(int32_t r);
bool	 promql_rune_is_alnum(int32_t r);

/* lex_number.c */
struct promql_token promql_lex_number(struct promql_lexer *l);
struct promql_token promql_lex_number_or_duration(struct promql_lexer *l);
/* lex_word.c: a keyword, aggregator, operator or identifier. */
struct promql_token promql_lex_word(struct promql_lexer *l);
/* step, range, max_of, min_of; *ok_out false when it is none of them. */
struct promql_token promql_lex_duration_word(struct promql_lexer *l,
	    bool *ok_out);
bool	 promql_lex_starts_duration_word(int32_t r);
/* lex_series.c */
struct promql_token promql_lex_values(struct promql_lexer *l);
struct promql_token promql_lex_histogram(struct promql_lexer *l);
struct promql_token promql_lex_buckets(struct promql_lexer *l);
/* lex_string.c: the opening quote has been read. */
struct promql_token promql_lex_string(struct promql_lexer *l, int32_t quote);

#endif
