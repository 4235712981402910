/* SPDX-License-Identifier: ISC */

/* Equal expressions of a query; see share.h. */

#include "common/promql/share.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"

/* Longer queries are evaluated as they stand: texts are compared. */
#define NODES_MAX	400
#define TEXT_MAX	8192

enum share_state {
	SHARE_NEW,
	SHARE_READY,		/* the result waits */
	SHARE_DONE		/* was evaluated, or is on its own */
};

/* One occurrence; a ring joins equal ones. */
struct share {
	struct share		*next;
	struct share		*older;		/* all of the query */
	struct promql_expr	*node;
	struct promql_expr	*agg;		/* aggregation right above */
	const void		*subquery;	/* innermost one around */
	bool			 invariant;	/* evaluated at one step */
	struct str		 text;
	enum share_state	 state;
	/* the result, of agg or of the node */
	struct evaluator	 ev;
	struct aggr		*aggr;
	struct matrix		 m;
	/* what the reference would count for evaluating it again */
	uint64_t		 n_samples, total, read;
};

/* --- plan --- */

struct finder {
	struct query		*q;
	struct arena		*a;
	struct share		*last;
	const void		*subquery;
	bool			 invariant;
};

static bool
same_selectors(struct promql_expr *x, struct promql_expr *y)
{
	struct promql_expr *c, *d;

	x = promql_expr_unwrap(x);
	y = promql_expr_unwrap(y);
	if (x->type != y->type)
		return false;
	if (x->type == PROMQL_MATRIX)
		return same_selectors(x->matrix.selector, y->matrix.selector);
	if (x->type == PROMQL_VECTOR) {
		const struct select_plan *p = plan_of(x), *r = plan_of(y);

		return p->mint_ms == r->mint_ms && p->maxt_ms == r->maxt_ms &&
		    p->step_ms == r->step_ms && p->range_ms == r->range_ms &&
		    p->stats_only == r->stats_only;
	}
	for (size_t i = 0;; i++) {
		c = promql_expr_child(x, i);
		d = promql_expr_child(y, i);
		if (c == NULL || d == NULL)
			return c == d;
		if (!same_selectors(c, d))
			return false;
	}
}

/* Joins e with an equal one; true: there is one. */
static bool
join(struct finder *f, struct promql_expr *e, struct promql_expr *agg)
{
	struct share *s = arena_zalloc(f->a, sizeof(*s)), *o;
	struct buf text;

	if (s == NULL)
		return false;
	buf_init(&text, 0);
	promql_expr_print(e, &text);
	s->text = arena_str(f->a, buf_str(&text));
	bool bad = buf_failed(&text) || s->text.p == NULL;
	buf_clear(&text);
	if (bad)
		return false;
	s->node = e;
	s->agg = agg;
	s->subquery = f->subquery;
	s->invariant = f->invariant;
	s->next = s;
	s->older = f->last;
	for (o = f->last; o != NULL; o = o->older)
		if (o->subquery == s->subquery &&
		    o->invariant == s->invariant &&
		    str_eq(o->text, s->text) && same_selectors(o->node, e))
			break;
	f->last = s;
	if (o == NULL)
		return false;
	s->next = o->next;
	o->next = s;
	return true;
}

static bool
is_candidate(const struct promql_expr *e)
{
	switch (e->type) {
	case PROMQL_VECTOR:
	case PROMQL_CALL:
	case PROMQL_AGGREGATE:
	case PROMQL_BINARY:
		return promql_expr_type(e) == PROMQL_TYPE_VECTOR;
	default:
		return false;
	}
}

/* agg: an aggregation that e is the operand of, else NULL. */
static void
find(struct finder *f, struct promql_expr *e, struct promql_expr *agg)
{
	const void *subquery = f->subquery;
	bool invariant = f->invariant;
	struct promql_expr *c;

	/* what is below the second one is never evaluated */
	if (is_candidate(e) && join(f, e, agg))
		return;
	if (e->type == PROMQL_MATRIX ||
	    (e->type == PROMQL_CALL && e->call.func->id == PROMQL_FN_INFO))
		return;
	if (e->type == PROMQL_SUBQUERY)
		f->subquery = e;
	if (e->type == PROMQL_STEP_INVARIANT)
		f->invariant = true;
	for (size_t i = 0; (c = promql_expr_child(e, i)) != NULL; i++) {
		struct promql_expr *above = NULL;

		if (e->type == PROMQL_PAREN)
			above = agg;
		else if (e->type == PROMQL_AGGREGATE &&
		    !promql_agg_has_param(e->agg.op))
			above = e;
		find(f, c, above);
	}
	f->subquery = subquery;
	f->invariant = invariant;
}

static bool
count_visit(struct promql_expr *e, void *arg)
{
	size_t *n = arg;

	(void)e;
	return ++*n <= NODES_MAX;
}

static bool
is_served(const struct share *s)
{
	return s->agg != NULL || s->node->type == PROMQL_AGGREGATE;
}

int
share_plan(struct query *q, struct promql_expr *e, struct arena *a)
{
	struct finder f = { .q = q, .a = a };
	size_t n = 0;

	if (q->text.n > TEXT_MAX)
		return 0;
	promql_expr_walk(e, count_visit, &n);
	if (n > NODES_MAX)
		return 0;
	find(&f, e, NULL);
	if (a->failed)
		return q_nomem(q);
	for (struct share *s = f.last; s != NULL; s = s->older) {
		bool any = false;

		for (struct share *o = s->next; o != s; o = o->next)
			any |= is_served(o);
		if (any || (s->next != s && is_served(s)))
			s->node->share = s;
	}
	q->shares = f.last;
	return 0;
}

/* --- results that wait --- */

static void
forget(struct share *s)
{
	aggr_free(s->aggr);
	s->aggr = NULL;
	if (s->m.q != NULL)
		matrix_clear(&s->m);
	s->m.q = NULL;
}

void
share_clear(struct query *q)
{
	for (struct share *s = q->shares; s != NULL; s = s->older) {
		forget(s);
		s->state = SHARE_NEW;
	}
}

/* A result for exactly these steps. */
static bool
is_ready(const struct share *s, const struct evaluator *ev)
{
	return s->state == SHARE_READY && s->ev.start_ms == ev->start_ms &&
	    s->ev.step_ms == ev->step_ms && s->ev.n_steps == ev->n_steps &&
	    s->ev.in_subquery == ev->in_subquery;
}

/* The accounts move as if it had been evaluated. */
static int
account(struct query *q, const struct share *s)
{
	uint64_t before = q->cur_samples;

	q->total_samples += s->total;
	q->samples_read += s->read;
	if (q_samples(q, s->n_samples) == -1)
		return -1;
	q->cur_samples = before;
	return 0;
}

struct aggr *
share_take(struct evaluator *ev, struct promql_expr *agg)
{
	struct promql_expr *e = agg->agg.expr;

	while (e->type == PROMQL_PAREN)
		e = e->inner;
	struct share *s = e->share;
	if (s == NULL || s->aggr == NULL || !is_ready(s, ev) ||
	    account(ev->q, s) == -1)
		return NULL;
	struct aggr *x = s->aggr;
	s->aggr = NULL;
	s->state = SHARE_DONE;
	return x;
}

/* --- one pass for all --- */

struct fan {
	struct share	*of;
	uint32_t	 n_steps;
	uint64_t	 n_samples;
	series_sink	 sink;
	void		*ctx;
};

/* The sink of the caller comes last: it may overwrite the arrays. */
static int
fan_sink(void *ctx, struct pseries *s)
{
	struct fan *f = ctx;

	f->n_samples += pseries_samples(s, f->n_steps);
	for (struct share *o = f->of->next; o != f->of; o = o->next) {
		if (o->aggr != NULL ? aggr_sink(o->aggr, s) == -1 :
		    o->m.q != NULL && matrix_add(&o->m, s) == -1)
			return -1;
	}
	return f->sink(f->ctx, s);
}

static int
prepare(struct share *s, const struct evaluator *ev)
{
	s->ev = *ev;
	if (s->agg == NULL) {
		matrix_init(&s->m, ev->q, ev->n_steps);
		return 0;
	}
	s->aggr = aggr_new(&s->ev, s->agg);
	return s->aggr == NULL ? -1 : 0;
}

static int
replay(struct share *s, series_sink sink, void *ctx)
{
	struct query *q = s->ev.q;
	int rc = account(q, s);

	if (rc == 0)
		rc = q_samples(q, s->n_samples);
	if (rc == 0)
		rc = matrix_push(&s->m, sink, ctx);
	forget(s);
	s->state = SHARE_DONE;
	return rc;
}

int
share_push(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct share *s = e->share, *o;
	struct query *q = ev->q;
	struct fan f = { s, ev->n_steps, 0, sink, ctx };
	bool any = false;
	int rc = 0;

	if (s->m.q != NULL && is_ready(s, ev))
		return replay(s, sink, ctx);
	forget(s);
	s->state = SHARE_DONE;
	/* samples a step are counted where they are read */
	for (o = s->next; o != s && q->total_per_step == NULL; o = o->next)
		if (o->state == SHARE_NEW && is_served(o)) {
			any = true;
			if (prepare(o, ev) == -1)
				return -1;
		}
	if (!any)
		return eval_unshared(ev, e, sink, ctx);
	size_t n_annos = q->annos.n;
	uint64_t total = q->total_samples, read = q->samples_read;
	rc = eval_unshared(ev, e, fan_sink, &f);
	bool ok = rc == 0 && q->annos.n == n_annos;
	for (o = s->next; o != s; o = o->next) {
		if (o->state != SHARE_NEW || !is_served(o))
			continue;
		o->state = ok ? SHARE_READY : SHARE_DONE;
		o->n_samples = f.n_samples;
		o->total = q->total_samples - total;
		o->read = q->samples_read - read;
		if (!ok)
			forget(o);
	}
	return rc;
}
