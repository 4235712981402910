/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_COMMON_PROMQL_PARSE_STATE_H
#define BRAZIER_COMMON_PROMQL_PARSE_STATE_H

/*
 * The parser's state and what its files call of each other; seen by
 * parse*.c alone.
 *
 * The grammar of the reference is LALR with error productions. Two of its
 * habits show in messages and positions and are kept: a token is read only
 * when it is needed to decide (peek), since `closing` remembers where the
 * last token ended that may close an expression; and what a syntax error
 * says depends on the innermost construct that can report one (ctx). After
 * the first syntax error the rest of the input is not looked at.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/promql/functab.h"
#include "common/promql/lex.h"
#include "common/promql/parse.h"

/* The innermost construct that words a syntax error. */
struct promql_parse_ctx {
	const char	*where;		/* " in …", NULL = nothing */
	const char	*expected;	/* or NULL */
	bool		 in_agg;	/* of an aggregation: it adds an error */
	int32_t		 agg_start;
};

/* Matchers made so far, to be cleared when the parse fails. */
struct promql_matcher_list {
	struct matcher			*m;	/* arena array */
	size_t				 n;
	struct promql_matcher_list	*next;
};

struct promql_parser {
	struct promql_lexer		 lex;
	struct arena			*a;
	struct promql_parse_opts	 opts;
	struct promql_parse_errors	*errs;
	struct promql_token		 tok;	/* the last one read */
	bool				 have_tok;	/* and not consumed */
	bool				 stopped;	/* after a syntax error */
	int32_t				 closing;
	unsigned			 depth;
	struct promql_parse_ctx		 ctx;
	struct promql_matcher_list	*matchers;
};

/* --- parse.c: tokens and errors --- */

void	 promql_parser_init(struct promql_parser *p, struct arena *a,
	    struct str input, const struct promql_parse_opts *opts,
	    struct promql_parse_errors *errs);
/* Clears all matchers that were made. */
void	 promql_parser_drop(struct promql_parser *p);

/* Reads the next token if none waits. */
const struct promql_token *promql_peek(struct promql_parser *p);
/* Reads it if need be and consumes it. */
struct promql_token promql_take(struct promql_parser *p);
bool	 promql_peek_is(struct promql_parser *p, enum promql_tok tok);
bool	 promql_peek_is_op(struct promql_parser *p, enum promql_op op);
/* Consumes a token of this kind; else a syntax error and false. */
bool	 promql_expect(struct promql_parser *p, enum promql_tok tok);
struct promql_pos promql_token_pos(const struct promql_token *t);
static inline struct promql_pos
promql_pos_merge(struct promql_pos a, struct promql_pos b)
{
	return (struct promql_pos){ a.start, b.end };
}

void	 promql_error(struct promql_parser *p, struct promql_pos pos,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As above, with the text s as Go's %q between before and after. */
void	 promql_error_quoted(struct promql_parser *p, struct promql_pos pos,
	    const char *before, struct str s, const char *after);
/* The waiting token is unexpected here: says so by ctx and stops. */
void	 promql_syntax_error(struct promql_parser *p);
/* Memory is out: an error, and stops. Returns NULL. */
void	*promql_no_memory(struct promql_parser *p);
/* One level down; false, with an error, when it is too deep. */
bool	 promql_descend(struct promql_parser *p);
static inline void
promql_ascend(struct promql_parser *p)
{
	p->depth--;
}

/* e is a parent of child; false, with an error, when it grows too tall. */
bool	 promql_set_above(struct promql_parser *p, struct promql_expr *e,
	    const struct promql_expr *child);
/* promql_expr_new, NULL after promql_no_memory. */
struct promql_expr *promql_node(struct promql_parser *p,
	    enum promql_node_type type, struct promql_pos pos);

/* A growing arena array. -1 when memory is out. */
int	 promql_push(struct promql_parser *p, void *pp, size_t n, size_t *cap,
	    size_t size);

/* --- parse_literal.c --- */

/* Value of a NUMBER or DURATION token; errors are reported. */
double	 promql_number_value(struct promql_parser *p,
	    const struct promql_token *t);
/* A node of a NUMBER or DURATION token, which is consumed. */
struct promql_expr *promql_parse_number(struct promql_parser *p);
bool	 promql_at_number(struct promql_parser *p);
/* The text that a STRING token means, in the arena. */
struct str promql_unquote(struct promql_parser *p,
	    const struct promql_token *t);

/* --- parse_expr.c --- */

struct promql_expr *promql_parse_expr(struct promql_parser *p);

/* --- parse_modifier.c: what follows an operand --- */

/* Applies all of them; NULL after a syntax error. */
struct promql_expr *promql_parse_postfix(struct promql_parser *p,
	    struct promql_expr *e);

/* --- parse_duration.c --- */

/* Inside [ ]: above 0. */
struct promql_expr *promql_parse_range_duration(struct promql_parser *p);
/* After OFFSET. */
struct promql_expr *promql_parse_offset_duration(struct promql_parser *p);
/* Nanoseconds of a number literal. */
int64_t	 promql_literal_ns(const struct promql_expr *e);

/* --- parse_selector.c --- */

/* Tokens that may be the name of a metric, of a label in by(…). */
bool	 promql_is_metric_name(const struct promql_token *t);
bool	 promql_is_label_name(const struct promql_token *t);
/* A vector selector; name is NULL or the token before the braces. */
struct promql_expr *promql_parse_vector(struct promql_parser *p,
	    const struct promql_token *name);
/* ( label, "label", … ), after by, without, on, ignoring, group_… */
int	 promql_parse_grouping(struct promql_parser *p,
	    struct promql_strs *out);
/* name{a="b",…} as a label set. */
int	 promql_parse_label_set(struct promql_parser *p, struct labels *out);

/* --- parse_check.c --- */

enum promql_value_type promql_check(struct promql_parser *p,
	    struct promql_expr *e);

#endif
