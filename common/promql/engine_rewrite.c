/* SPDX-License-Identifier: ISC */

/*
 * What can be said more cheaply before a query is evaluated: arithmetic of
 * numbers is done once, and selectors learn from the other side of a
 * matching what they cannot match without.
 *
 * A selector may lose series only where nobody can tell. Duplicates on the
 * one side are an error whether they are met or not, so that side is left
 * alone; the many side may be cut when the one side cannot have duplicates,
 * and both operands of `and`, and the right one of `unless`, which raise
 * nothing. Functions may raise annotations about series that would be left
 * out: only bare selectors are cut.
 */

#include "common/promql/eval.h"

#include <string.h>

struct rewrite {
	struct query	*q;
	struct arena	*a;
	int		 rc;
};

/* --- numbers --- */

static const struct promql_expr *
number_of(const struct promql_expr *e)
{
	while (e->type == PROMQL_PAREN)
		e = e->inner;
	return e->type == PROMQL_NUMBER ? e : NULL;
}

static void
to_number(struct promql_expr *e, double v)
{
	e->type = PROMQL_NUMBER;
	e->number.val = v;
	e->number.is_duration = false;
}

static void
fold_numbers(struct promql_expr *e)
{
	const struct promql_expr *l, *r;
	struct promql_expr *c;

	for (size_t i = 0; (c = promql_expr_child(e, i)) != NULL; i++)
		fold_numbers(c);
	if (e->type == PROMQL_UNARY) {
		l = number_of(e->unary.expr);
		if (l != NULL)
			to_number(e, e->unary.op == PROMQL_OP_SUB ?
			    -l->number.val : l->number.val);
	} else if (e->type == PROMQL_BINARY) {
		l = number_of(e->binary.lhs);
		r = number_of(e->binary.rhs);
		if (l != NULL && r != NULL)
			to_number(e, scalar_binop(e->binary.op,
			    l->number.val, r->number.val));
	}
}

/* --- matchers --- */

static bool
has_name(const struct promql_strs *names, struct str name)
{
	for (size_t i = 0; i < names->n; i++)
		if (str_eq(names->v[i], name))
			return true;
	return false;
}

/* Does a label decide about the match group? */
static bool
matches_by(const struct promql_matching *m, struct str name)
{
	return has_name(&m->labels, name) == m->on &&
	    !str_eq_c(name, "__name__");
}

/* At most one series a match group, whatever the data. */
static bool
is_single(const struct promql_expr *e, const struct promql_matching *m)
{
	while (e->type == PROMQL_PAREN)
		e = e->inner;
	if (e->type != PROMQL_AGGREGATE || e->agg.without ||
	    (promql_agg_has_param(e->agg.op) &&
	    e->agg.op != PROMQL_AGG_QUANTILE))
		return false;
	for (size_t i = 0; i < e->agg.grouping.n; i++)
		if (!matches_by(m, e->agg.grouping.v[i]))
			return false;
	return true;
}

/*
 * Calls fn for each name="value" that all series of e have. A bare selector
 * has its own; an aggregation by names keeps those; range functions and what
 * passes series through leave labels as they are.
 */
typedef void (*known_fn)(struct rewrite *w, const struct matcher *m,
    void *arg);

struct kept {
	const struct promql_expr *agg;
	known_fn		  fn;
	void			 *arg;
};

static void known(struct rewrite *w, const struct promql_expr *e,
    known_fn fn, void *arg);

static void
known_kept(struct rewrite *w, const struct matcher *m, void *arg)
{
	const struct kept *k = arg;

	if (has_name(&k->agg->agg.grouping, m->name) != k->agg->agg.without)
		k->fn(w, m, k->arg);
}

static void
known_aggregate(struct rewrite *w, const struct promql_expr *e, known_fn fn,
    void *arg)
{
	struct kept k = { e, fn, arg };

	switch (e->agg.op) {
	case PROMQL_AGG_COUNT_VALUES:
		return;
	case PROMQL_AGG_TOPK:
	case PROMQL_AGG_BOTTOMK:
	case PROMQL_AGG_LIMITK:
	case PROMQL_AGG_LIMIT_RATIO:
		known(w, e->agg.expr, fn, arg);
		return;
	default:
		known(w, e->agg.expr, known_kept, &k);
	}
}

static void
known(struct rewrite *w, const struct promql_expr *e, known_fn fn, void *arg)
{
	switch (e->type) {
	case PROMQL_PAREN:
		known(w, e->inner, fn, arg);
		break;
	case PROMQL_VECTOR:
		for (size_t i = 0; i < e->vector.n_matchers; i++) {
			const struct matcher *m = &e->vector.matchers[i];

			if (m->type == MATCH_EQUAL && m->value.n != 0)
				fn(w, m, arg);
		}
		break;
	case PROMQL_CALL:
		if (e->call.n_args == 1 &&
		    e->call.args[0]->type == PROMQL_MATRIX &&
		    e->call.func->id != PROMQL_FN_ABSENT_OVER_TIME)
			known(w, e->call.args[0]->matrix.selector, fn, arg);
		break;
	case PROMQL_AGGREGATE:
		known_aggregate(w, e, fn, arg);
		break;
	default:
		break;
	}
}

struct target {
	struct promql_expr		*vector;
	const struct promql_matching	*m;
};

/* In front: the one for the metric's name comes last. */
static void
add_matcher(struct rewrite *w, const struct matcher *m, void *arg)
{
	struct target *t = arg;
	struct promql_expr *v = t->vector;
	size_t n = v->vector.n_matchers;
	struct err e = ERR_INIT;
	struct matcher *to;

	if (!matches_by(t->m, m->name))
		return;
	for (size_t i = 0; i < n; i++)
		if (v->vector.matchers[i].type == MATCH_EQUAL &&
		    str_eq(v->vector.matchers[i].name, m->name))
			return;
	to = arena_array(w->a, n + 1, sizeof(*to));
	if (to == NULL || matcher_init(&to[0], MATCH_EQUAL, m->name, m->value,
	    &e) == -1) {
		w->rc = q_nomem(w->q);
		return;
	}
	if (n != 0)
		memcpy(to + 1, v->vector.matchers, n * sizeof(*to));
	v->vector.matchers = to;
	v->vector.n_matchers = n + 1;
}

static void
learn(struct rewrite *w, struct promql_expr *to,
    const struct promql_expr *from, const struct promql_matching *m)
{
	struct target t = { to, m };

	while (t.vector->type == PROMQL_PAREN)
		t.vector = t.vector->inner;
	if (t.vector->type == PROMQL_VECTOR && !t.vector->vector.anchored &&
	    !t.vector->vector.smoothed)
		known(w, from, add_matcher, &t);
}

static bool
propagate_visit(struct promql_expr *e, void *arg)
{
	struct rewrite *w = arg;

	if (e->type != PROMQL_BINARY || e->binary.matching == NULL)
		return true;
	const struct promql_matching *m = e->binary.matching;
	struct promql_expr *l = e->binary.lhs, *r = e->binary.rhs;
	bool swapped = m->card == PROMQL_ONE_TO_MANY;
	switch (e->binary.op) {
	case PROMQL_OP_AND:
		learn(w, l, r, m);
		learn(w, r, l, m);
		break;
	case PROMQL_OP_UNLESS:
		learn(w, r, l, m);
		break;
	case PROMQL_OP_OR:
		break;
	default:
		if (!m->has_fill_lhs && !m->has_fill_rhs &&
		    is_single(swapped ? l : r, m))
			learn(w, swapped ? r : l, swapped ? l : r, m);
	}
	return w->rc == 0;
}

int
plan_rewrite(struct query *q, struct promql_expr *e, struct arena *a)
{
	struct rewrite w = { q, a, 0 };

	fold_numbers(e);
	/* statistics by step tell of every sample the query names */
	if (!q->all_samples)
		promql_expr_walk(e, propagate_visit, &w);
	return w.rc;
}
