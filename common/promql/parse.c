/* SPDX-License-Identifier: ISC */
/*
 * The parser's entry points, its token window and its errors. The grammar is
 * in parse_expr.c, parse_modifier.c, parse_duration.c, parse_selector.c and
 * parse_series.c; types are checked by parse_check.c once the syntax is
 * right.
 */

#include "common/promql/parse.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/base/quote.h"
#include "common/base/utf8.h"
#include "common/promql/parse_state.h"

/* Errors kept of one input; a first one is all that is ever shown. */
#define ERRORS_MAX	64

void
promql_parser_init(struct promql_parser *p, struct arena *a,
    struct str input, const struct promql_parse_opts *opts,
    struct promql_parse_errors *errs)
{
	*p = (struct promql_parser){ .a = a, .errs = errs };
	if (opts != NULL)
		p->opts = *opts;
	promql_lex_init(&p->lex, a, input);
	if (input.n > INT_MAX / 2) {
		p->lex.input.n = 0;
		promql_error(p, (struct promql_pos){ 0, 0 },
		    "expression is too long");
	}
}

void
promql_parser_drop(struct promql_parser *p)
{
	struct promql_matcher_list *l;

	for (l = p->matchers; l != NULL; l = l->next)
		promql_matchers_clear(l->m, l->n);
	p->matchers = NULL;
}

void
promql_matchers_clear(struct matcher *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		matcher_clear(&m[i]);
}

/* --- errors --- */

int
promql_push(struct promql_parser *p, void *pp, size_t n, size_t *cap,
    size_t size)
{
	void *old, *grown;
	size_t want;

	if (n < *cap)
		return 0;
	want = *cap == 0 ? 4 : *cap * 2;
	memcpy(&old, pp, sizeof(old));
	grown = arena_array(p->a, want, size);
	if (grown == NULL) {
		promql_no_memory(p);
		return -1;
	}
	if (n != 0)
		memcpy(grown, old, n * size);
	memcpy(pp, &grown, sizeof(grown));
	*cap = want;
	return 0;
}

static void
add_error(struct promql_parser *p, struct promql_pos pos, struct str msg)
{
	struct promql_parse_errors *errs = p->errs;

	if (errs->n >= ERRORS_MAX)
		return;
	if (errs->n == errs->cap) {
		size_t cap = errs->cap == 0 ? 4 : errs->cap * 2;
		struct promql_parse_error *v = arena_array(p->a, cap,
		    sizeof(*v));

		if (v == NULL) {
			/* There must be an error. */
			errs->no_memory = true;
			if (errs->n == 0) {
				errs->spare.msg = STR_LIT("out of memory");
				errs->v = &errs->spare;
				errs->n = errs->cap = 1;
			}
			return;
		}
		if (errs->n != 0)
			memcpy(v, errs->v, errs->n * sizeof(*v));
		errs->v = v;
		errs->cap = cap;
	}
	if (msg.p == NULL)
		msg = STR_LIT("out of memory");
	errs->v[errs->n++] = (struct promql_parse_error){ pos, msg };
}

void
promql_error(struct promql_parser *p, struct promql_pos pos, const char *fmt,
    ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 0);
	va_start(ap, fmt);
	buf_vprintf(&b, fmt, ap);
	va_end(ap);
	add_error(p, pos, arena_str(p->a, buf_str(&b)));
	buf_clear(&b);
}

void
promql_error_quoted(struct promql_parser *p, struct promql_pos pos,
    const char *before, struct str s, const char *after)
{
	struct buf b;

	buf_init(&b, 0);
	buf_add_c(&b, before);
	quote_add(&b, s);
	buf_add_c(&b, after);
	add_error(p, pos, arena_str(p->a, buf_str(&b)));
	buf_clear(&b);
}

void *
promql_no_memory(struct promql_parser *p)
{
	p->stopped = true;
	p->errs->no_memory = true;
	add_error(p, (struct promql_pos){ 0, 0 }, STR_LIT("out of memory"));
	return NULL;
}

struct promql_expr *
promql_node(struct promql_parser *p, enum promql_node_type type,
    struct promql_pos pos)
{
	struct promql_expr *e = promql_expr_new(p->a, type, pos);

	return e != NULL ? e : promql_no_memory(p);
}

bool
promql_descend(struct promql_parser *p)
{
	if (++p->depth <= PROMQL_DEPTH_MAX)
		return true;
	if (!p->stopped)
		promql_error(p, promql_token_pos(&p->tok),
		    "expression is nested too deeply (limit %d)",
		    PROMQL_DEPTH_MAX);
	p->stopped = true;
	return false;
}

bool
promql_set_above(struct promql_parser *p, struct promql_expr *e,
    const struct promql_expr *child)
{
	if (e->height <= child->height)
		e->height = child->height + 1;
	if (e->height <= PROMQL_HEIGHT_MAX)
		return true;
	if (!p->stopped)
		promql_error(p, e->pos,
		    "expression has too many operators in a row (limit %d)",
		    PROMQL_HEIGHT_MAX);
	p->stopped = true;
	return false;
}

/* The first ten runes, for texts that are cut short in messages. */
static struct str
first_runes(struct str s, unsigned n)
{
	size_t i = 0;
	uint32_t rune;

	while (n-- > 0 && i < s.n)
		i += utf8_decode(s.p + i, s.n - i, &rune);
	return str_from(s.p, i);
}

/* What kind of token it is, before its text; NULL for none. */
static const char *
token_kind(enum promql_tok tok)
{
	switch (tok) {
	case TOK_IDENTIFIER:
		return "identifier ";
	case TOK_METRIC_IDENTIFIER:
		return "metric identifier ";
	case TOK_STRING:
		return "string ";
	case TOK_NUMBER:
		return "number ";
	case TOK_DURATION:
		return "duration ";
	default:
		return NULL;
	}
}

static void
add_token_text(struct buf *out, const struct promql_token *t)
{
	const char *kind = token_kind(t->tok);

	if (t->tok == TOK_EOF)
		buf_add_c(out, "end of input");
	else if (t->tok >= TOK_OP && t->tok <= TOK_AT)
		buf_printf(out, "<op:%.*s>", STR_ARG(t->text));
	else if (t->tok == TOK_AGG)
		buf_printf(out, "<aggr:%.*s>", STR_ARG(t->text));
	else if (t->tok >= TOK_BOOL && t->tok <= TOK_WITHOUT)
		buf_printf(out, "<%.*s>", STR_ARG(t->text));
	else {
		if (kind != NULL)
			buf_add_c(out, kind);
		if (t->text.n > 10 && t->tok != TOK_IDENTIFIER &&
		    t->tok != TOK_METRIC_IDENTIFIER) {
			quote_add(out, first_runes(t->text, 10));
			buf_add_c(out, "...");
		} else
			quote_add(out, t->text);
	}
}

void
promql_syntax_error(struct promql_parser *p)
{
	const struct promql_token *t = promql_peek(p);
	struct buf b;

	if (p->stopped)
		return;
	p->stopped = true;
	/* The lexer's own errors have been reported. */
	if (t->tok != TOK_ERROR) {
		buf_init(&b, 0);
		buf_add_c(&b, "unexpected ");
		add_token_text(&b, t);
		if (p->ctx.where != NULL)
			buf_printf(&b, " in %s", p->ctx.where);
		if (p->ctx.expected != NULL)
			buf_printf(&b, ", expected %s", p->ctx.expected);
		add_error(p, promql_token_pos(t),
		    arena_str(p->a, buf_str(&b)));
		buf_clear(&b);
	}
	/* The aggregation that recovers is left without arguments. */
	if (p->ctx.in_agg)
		promql_error(p,
		    (struct promql_pos){ p->ctx.agg_start, p->closing },
		    "no arguments for aggregate expression provided");
}

/* --- tokens --- */

struct promql_pos
promql_token_pos(const struct promql_token *t)
{
	return (struct promql_pos){ t->start, t->start + (int32_t)t->text.n };
}

const struct promql_token *
promql_peek(struct promql_parser *p)
{
	if (p->have_tok)
		return &p->tok;
	p->tok = promql_lex_next(&p->lex);
	p->have_tok = true;
	switch (p->tok.tok) {
	case TOK_ERROR:
		add_error(p, (struct promql_pos){ (int32_t)p->lex.start,
		    (int32_t)p->lex.input.n }, p->tok.text);
		break;
	case TOK_RIGHT_BRACE:
	case TOK_RIGHT_PAREN:
	case TOK_RIGHT_BRACKET:
	case TOK_DURATION:
	case TOK_NUMBER:
		p->closing = promql_token_pos(&p->tok).end;
		break;
	default:
		break;
	}
	return &p->tok;
}

struct promql_token
promql_take(struct promql_parser *p)
{
	struct promql_token t = *promql_peek(p);

	/* The ends of input stay: nothing comes after them. */
	p->have_tok = t.tok == TOK_EOF || t.tok == TOK_ERROR;
	return t;
}

bool
promql_peek_is(struct promql_parser *p, enum promql_tok tok)
{
	return promql_peek(p)->tok == tok;
}

bool
promql_peek_is_op(struct promql_parser *p, enum promql_op op)
{
	const struct promql_token *t = promql_peek(p);

	return t->tok == TOK_OP && t->op == op;
}

bool
promql_expect(struct promql_parser *p, enum promql_tok tok)
{
	if (!promql_peek_is(p, tok)) {
		promql_syntax_error(p);
		return false;
	}
	promql_take(p);
	return true;
}

/* --- entry points --- */

static bool
at_end(struct promql_parser *p)
{
	if (p->stopped)
		return false;
	if (!promql_peek_is(p, TOK_EOF)) {
		promql_syntax_error(p);
		return false;
	}
	return true;
}

int
promql_parse(struct arena *a, struct str input,
    const struct promql_parse_opts *opts, struct promql_expr **out,
    struct promql_parse_errors *errs)
{
	struct promql_expr *e = NULL;
	struct promql_parser p;

	promql_parser_init(&p, a, input, opts, errs);
	if (promql_peek_is(&p, TOK_EOF))
		promql_error(&p, (struct promql_pos){ 0, 0 },
		    "no expression found in input");
	else {
		e = promql_parse_expr(&p);
		if (e != NULL)
			at_end(&p);
	}
	if (errs->n == 0 && e != NULL)
		promql_check(&p, e);
	if (errs->n != 0 || e == NULL) {
		promql_parser_drop(&p);
		return -1;
	}
	*out = e;
	return 0;
}

int
promql_parse_selector(struct arena *a, struct str input, struct matcher **out,
    size_t *n_out, struct promql_parse_errors *errs)
{
	struct promql_expr *e = NULL;
	struct promql_parser p;
	struct promql_token t;

	promql_parser_init(&p, a, input, NULL, errs);
	if (promql_peek_is(&p, TOK_LEFT_BRACE))
		e = promql_parse_vector(&p, NULL);
	else if (promql_is_metric_name(promql_peek(&p))) {
		t = promql_take(&p);
		e = promql_parse_vector(&p, &t);
	} else
		promql_syntax_error(&p);
	if (e == NULL || !at_end(&p) || errs->n != 0) {
		promql_parser_drop(&p);
		return -1;
	}
	*out = e->vector.matchers;
	*n_out = e->vector.n_matchers;
	return 0;
}

int
promql_parse_metric(struct arena *a, struct str input, struct labels *out,
    struct promql_parse_errors *errs)
{
	struct promql_parser p;

	promql_parser_init(&p, a, input, NULL, errs);
	if (promql_parse_label_set(&p, out) == -1 || !at_end(&p) ||
	    errs->n != 0)
		return -1;
	return 0;
}

/* --- texts of errors --- */

void
promql_pos_format(struct promql_pos pos, struct str input, struct buf *out)
{
	int32_t i, line = 1, line_start = 0;

	if (input.n == 0) {
		buf_add_c(out, "unknown position");
		return;
	}
	if (pos.start < 0 || (size_t)pos.start > input.n) {
		buf_add_c(out, "invalid position");
		return;
	}
	for (i = 0; i < pos.start; i++)
		if (input.p[i] == '\n') {
			line++;
			line_start = i + 1;
		}
	buf_printf(out, "%d:%d", line, pos.start - line_start + 1);
}

void
promql_parse_error_format(const struct promql_parse_error *e,
    struct str input, struct buf *out)
{
	promql_pos_format(e->pos, input, out);
	buf_add_c(out, ": parse error: ");
	buf_add_str(out, e->msg);
}

int
promql_parse_errors_to_err(const struct promql_parse_errors *errs,
    struct str input, struct err *err)
{
	struct buf b;

	if (errs->n == 0)
		return err_set(err, ERR_BAD_DATA,
		    "error contains no error message");
	if (errs->no_memory)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_init(&b, 0);
	promql_parse_error_format(&errs->v[0], input, &b);
	err_set(err, ERR_BAD_DATA, "%.*s", STR_ARG(buf_str(&b)));
	buf_clear(&b);
	return -1;
}
