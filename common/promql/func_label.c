/* SPDX-License-Identifier: ISC */

/*
 * label_replace and label_join: only labels change, samples pass through.
 * Both see all series before one can be handed on, because two may become
 * the same.
 */

#include "common/promql/eval.h"

#include <stdlib.h>

#include "common/base/regex.h"

struct relabel {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	struct str		 dst;
	/* label_replace */
	struct str		 replacement;
	struct str		 src;
	struct regex		*re;
	/* label_join */
	struct str		 separator;
	struct buf		 text;
	struct matrix		 out;
};

static struct str
string_arg(const struct relabel *x, size_t i)
{
	return promql_expr_unwrap(x->e->call.args[i])->string;
}

static int
set_label(struct relabel *x, struct pseries *s, struct str value)
{
	s->ls = lset_with(x->q->mem, x->q->syms, s->ls, x->dst, value);
	if (s->ls.l == NULL && s->ls.n > 0)
		return q_nomem(x->q);
	/* a name that was just given stays */
	if (str_eq_c(x->dst, "__name__"))
		s->drop_name = false;
	return 0;
}

static int
replace_sink(void *ctx, struct pseries *s)
{
	struct relabel *x = ctx;

	/* labels can be made long, and a level deep is a pass over all */
	if (q_check(x->q) == -1)
		return -1;
	buf_reset(&x->text);
	if (regex_expand(x->re, lset_get(x->q->syms, s->ls, x->src),
	    x->replacement, &x->text)) {
		if (buf_failed(&x->text))
			return q_nomem(x->q);
		if (set_label(x, s, buf_str(&x->text)) == -1)
			return -1;
	}
	return matrix_add(&x->out, s);
}

static int
join_sink(void *ctx, struct pseries *s)
{
	struct relabel *x = ctx;

	if (q_check(x->q) == -1)
		return -1;
	buf_reset(&x->text);
	for (size_t i = 3; i < x->e->call.n_args; i++) {
		if (i > 3)
			buf_add_str(&x->text, x->separator);
		buf_add_str(&x->text, lset_get(x->q->syms, s->ls,
		    string_arg(x, i)));
	}
	if (buf_failed(&x->text))
		return q_nomem(x->q);
	if (set_label(x, s, buf_str(&x->text)) == -1)
		return -1;
	return matrix_add(&x->out, s);
}

static int
replace_init(struct relabel *x)
{
	struct err e = ERR_INIT;

	x->replacement = string_arg(x, 2);
	x->src = string_arg(x, 3);
	x->re = regex_new(string_arg(x, 4), REGEX_ANCHORED | REGEX_DOTALL, &e);
	if (x->re == NULL && e.kind == ERR_NOMEM)
		return q_nomem(x->q);
	if (x->re == NULL)
		return q_fail(x->q, "invalid regular expression in "
		    "label_replace(): %.*s", STR_ARG(string_arg(x, 4)));
	if (!label_name_is_valid(x->dst))
		return q_fail(x->q, "invalid destination label name in "
		    "label_replace(): %.*s", STR_ARG(x->dst));
	return 0;
}

static int
join_init(struct relabel *x)
{
	x->separator = string_arg(x, 2);
	for (size_t i = 3; i < x->e->call.n_args; i++)
		if (!label_name_is_valid(string_arg(x, i)))
			return q_fail(x->q, "invalid source label name in "
			    "label_join(): %.*s", STR_ARG(string_arg(x, i)));
	if (!label_name_is_valid(x->dst))
		return q_fail(x->q, "invalid destination label name in "
		    "label_join(): %.*s", STR_ARG(x->dst));
	return 0;
}

int
eval_call_label(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct relabel x = { .ev = ev, .q = ev->q, .e = e };
	bool join = e->call.func->id == PROMQL_FN_LABEL_JOIN;
	int rc;

	x.dst = string_arg(&x, 1);
	buf_init(&x.text, 0);
	matrix_init(&x.out, ev->q, ev->n_steps);
	rc = join ? join_init(&x) : replace_init(&x);
	if (rc == 0)
		rc = eval_push(ev, e->call.args[0], join ? join_sink :
		    replace_sink, &x);
	if (rc == 0)
		rc = matrix_merge_same(&x.out);
	if (rc == 0)
		rc = matrix_push(&x.out, sink, ctx);
	matrix_clear(&x.out);
	buf_clear(&x.text);
	regex_free(x.re);
	return rc;
}
