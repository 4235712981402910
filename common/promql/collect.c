/* SPDX-License-Identifier: ISC */

/*
 * The end of an evaluation: series from the step grid, or raw ones of a
 * range vector, become the series of the result.
 */

#include "common/promql/collect.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/interpolate.h"
#include "common/promql/select.h"

static int
copy_series(struct query *q, const struct evaluator *ev,
    const struct pseries *s, const int64_t *grid,
    struct promql_series *out)
{
	struct arena *a = q->mem;
	uint32_t nf = 0, nh = 0;

	*out = (struct promql_series){ .labels = s->ls.l, .n_labels = s->ls.n,
	    .n_floats = s->n_floats, .n_hists = s->n_hists };
	if (s->n_floats != 0) {
		double *fv = q_alloc(q, a, s->n_floats, sizeof(*fv));
		int64_t *ft = NULL;

		if (fv == NULL)
			return -1;
		if (s->n_floats == ev->n_steps) {
			memcpy(fv, s->v, s->n_floats * sizeof(*fv));
			out->ft = grid;
		} else {
			ft = q_alloc(q, a, s->n_floats, sizeof(*ft));
			if (ft == NULL)
				return -1;
			for (uint32_t i = 0; i < ev->n_steps; i++)
				if (s->kind[i] == K_FLOAT) {
					ft[nf] = grid[i];
					fv[nf++] = s->v[i];
				}
			out->ft = ft;
		}
		out->fv = fv;
	}
	if (s->n_hists != 0) {
		int64_t *ht = q_alloc(q, a, s->n_hists, sizeof(*ht));
		const struct fhist **h = q_alloc(q, a, s->n_hists,
		    sizeof(*h));

		if (ht == NULL || h == NULL)
			return -1;
		for (uint32_t i = 0; i < ev->n_steps; i++) {
			if (s->kind[i] != K_HIST)
				continue;
			ht[nh] = grid[i];
			h[nh] = fhist_dup(a, s->h[i]);
			if (h[nh++] == NULL)
				return q_nomem(q);
		}
		out->ht = ht;
		out->h = h;
	}
	return 0;
}

int64_t *
collect_grid(struct query *q, const struct evaluator *ev)
{
	int64_t *grid = q_alloc(q, q->mem, ev->n_steps, sizeof(*grid));

	for (uint32_t i = 0; grid != NULL && i < ev->n_steps; i++)
		grid[i] = ev_time(ev, i);
	return grid;
}

static struct promql_series *
collect_next(struct collect *c)
{
	if (c->n == c->cap) {
		size_t cap = c->cap == 0 ? 64 : c->cap * 2;
		struct promql_series *p = realloc(c->s, cap * sizeof(*p));

		if (p == NULL) {
			(void)q_nomem(c->q);
			return NULL;
		}
		c->s = p;
		c->cap = cap;
	}
	return &c->s[c->n++];
}

int
collect_sink(void *ctx, struct pseries *s)
{
	struct collect *c = ctx;
	struct promql_series *out = collect_next(c);

	if (out == NULL)
		return -1;
	return copy_series(c->q, c->ev, s, c->grid, out);
}

/* Names go now, and series that thereby become the same are joined. */
int
collect_delayed(struct collect *c, struct promql_expr *e)
{
	struct matrix m;
	int rc;

	matrix_init(&m, c->q, c->ev->n_steps);
	rc = eval_matrix(c->ev, e, &m);
	for (size_t i = 0; rc == 0 && i < m.n; i++)
		if (m.s[i].drop_name)
			rc = q_drop_reserved(c->q, m.s[i].ls, &m.s[i].ls);
	if (rc == 0)
		rc = matrix_merge_same(&m);
	if (rc == 0)
		rc = matrix_push(&m, collect_sink, c);
	matrix_clear(&m);
	return rc;
}

/* --- range vectors as results of instant queries --- */

/*
 * Anchored and smoothed ranges have a value at each edge; what lies outside
 * is left out.
 */
static int
extend_floats(struct collect *c, const struct samples *s,
    const struct promql_expr *v, int64_t start, int64_t end,
    struct promql_series *out)
{
	bool smoothed = v->vector.smoothed;
	size_t last = s->n - 1, k = 0;
	size_t after = times_after(s->t, last, start);
	size_t first = after > 0 ? after - 1 : 0;

	if (smoothed)
		last = times_from(s->t, last, end);
	if (s->t[last] <= start)
		return 0;
	double left = s->v[first], right = s->v[last];
	if (smoothed && s->t[first] < start)
		left = interpolate(s->t[first], s->v[first], s->t[first + 1],
		    s->v[first + 1], start, false);
	if (smoothed && last > 0 && s->t[last] > end)
		right = interpolate(s->t[last - 1], s->v[last - 1],
		    s->t[last], s->v[last], end, false);
	size_t lo = first + (s->t[first] <= start);
	size_t hi = last + 1 - (s->t[last] >= end);
	int64_t *t = q_alloc(c->q, c->q->mem, s->n + 2, sizeof(*t));
	double *x = q_alloc(c->q, c->q->mem, s->n + 2, sizeof(*x));
	if (t == NULL || x == NULL)
		return -1;
	t[k] = start;
	x[k++] = left;
	for (size_t i = lo; i < hi; i++) {
		t[k] = s->t[i];
		x[k++] = s->v[i];
	}
	t[k] = end;
	x[k++] = right;
	out->ft = t;
	out->fv = x;
	out->n_floats = (uint32_t)k;
	return 0;
}

static int
raw_series(struct collect *c, const struct samples *s,
    const struct promql_expr *v, int64_t start, int64_t end,
    struct promql_series *out)
{
	struct arena *a = c->q->mem;

	if (v->vector.anchored || v->vector.smoothed) {
		if (s->nh != 0)
			return q_fail(c->q, "%s modifier is not supported "
			    "with histograms",
			    v->vector.anchored ? "anchored" : "smoothed");
		return s->n == 0 ? 0 : extend_floats(c, s, v, start, end, out);
	}
	if (s->n != 0) {
		int64_t *t = q_alloc(c->q, a, s->n, sizeof(*t));
		double *x = q_alloc(c->q, a, s->n, sizeof(*x));

		if (t == NULL || x == NULL)
			return -1;
		memcpy(t, s->t, s->n * sizeof(*t));
		memcpy(x, s->v, s->n * sizeof(*x));
		out->ft = t;
		out->fv = x;
		out->n_floats = (uint32_t)s->n;
	}
	if (s->nh != 0) {
		int64_t *t = q_alloc(c->q, a, s->nh, sizeof(*t));
		const struct fhist **h = q_alloc(c->q, a, s->nh, sizeof(*h));

		if (t == NULL || h == NULL)
			return -1;
		for (size_t i = 0; i < s->nh; i++) {
			t[i] = s->ht[i];
			h[i] = fhist_dup(a, s->h[i]);
			if (h[i] == NULL)
				return q_nomem(c->q);
		}
		out->ht = t;
		out->h = h;
		out->n_hists = (uint32_t)s->nh;
	}
	return q_samples(c->q, s->n + s->nh);
}

int
collect_matrix(struct collect *c, struct promql_expr *e)
{
	struct promql_expr *v = e->matrix.selector;
	const struct select_plan *p = plan_of(v);
	int64_t end = select_ref_ms(c->ev, &v->vector.mod, 0);
	int64_t start = end - promql_ns_to_ms(e->matrix.range_ns);
	struct source_cursor *cur;
	struct source_series ser;
	struct samples s;
	int rc;

	if (select_start(c->q, v, &cur) == -1)
		return -1;
	samples_init(&s, c->q);
	while ((rc = select_next(c->q, cur, &ser)) == 1) {
		if (samples_read(&s, &ser, p->mint_ms, p->maxt_ms, true) ==
		    -1) {
			rc = -1;
			break;
		}
		if (s.n + s.nh == 0)
			continue;
		struct promql_series *out = collect_next(c);
		struct lset ls = symtab_import(c->q->syms, ser.labels,
		    ser.n_labels);
		if (out == NULL || (ls.l == NULL && ls.n > 0)) {
			rc = q_nomem(c->q);
			break;
		}
		*out = (struct promql_series){ .labels = ls.l,
		    .n_labels = ls.n };
		rc = raw_series(c, &s, v, start, end, out);
		if (rc == -1)
			break;
		q_stat_step(c->q, c->ev, 0, out->n_floats + out->n_hists,
		    out->n_floats + out->n_hists);
		if (out->n_floats + out->n_hists == 0)
			c->n--;
	}
	samples_clear(&s);
	return rc;
}

int
collect_subquery(struct collect *c, struct promql_expr *e)
{
	struct evaluator sub, *ev = c->ev;
	int rc;

	if (subquery_evaluator(ev, e, &sub) == -1)
		return -1;
	if (sub.n_steps == 0)
		return 0;
	c->grid = collect_grid(c->q, &sub);
	if (c->grid == NULL)
		return -1;
	c->ev = &sub;
	rc = c->q->delayed_names ? collect_delayed(c, e->subquery.expr) :
	    eval_push(&sub, e->subquery.expr, collect_sink, c);
	c->ev = ev;
	return rc;
}

