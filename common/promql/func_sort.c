/* SPDX-License-Identifier: ISC */

/*
 * sort, sort_desc, sort_by_label, sort_by_label_desc. They matter in
 * instant queries only: the result of a range query is sorted by labels.
 */

#include "common/promql/eval.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

struct sorting {
	struct query		*q;
	struct promql_expr	*e;
	enum promql_func_id	 id;
	struct matrix		 m;
};

static bool
by_label(enum promql_func_id id)
{
	return id == PROMQL_FN_SORT_BY_LABEL ||
	    id == PROMQL_FN_SORT_BY_LABEL_DESC;
}

static int
sort_sink(void *ctx, struct pseries *s)
{
	struct sorting *x = ctx;

	/* values of histograms have no order */
	for (uint32_t i = 0; s->n_hists != 0 && !by_label(x->id) &&
	    i < x->m.n_steps; i++)
		if (s->kind[i] == K_HIST) {
			s->kind[i] = K_NONE;
			s->n_hists--;
		}
	if (s->n_floats + s->n_hists == 0)
		return 0;
	return matrix_add(&x->m, s);
}

static int
value_cmp(const void *a, const void *b, void *arg)
{
	const struct sorting *s = arg;
	double x = ((const struct pseries *)a)->v[0];
	double y = ((const struct pseries *)b)->v[0];

	if (isnan(x) || isnan(y))
		return isnan(x) - isnan(y);
	int c = (x > y) - (x < y);
	return s->id == PROMQL_FN_SORT_DESC ? -c : c;
}

/* --- natural order --- */

/* The run of digits or of other bytes at p. */
static struct str
chunk_at(struct str s, size_t p)
{
	size_t end = p;
	bool digit = isdigit((unsigned char)s.p[p]);

	while (end < s.n && (isdigit((unsigned char)s.p[end]) != 0) == digit)
		end++;
	return str_from(s.p + p, end - p);
}

/* A number that fits an int64; longer ones compare as text. */
static bool
chunk_number(struct str c, int64_t *out)
{
	uint64_t v = 0;

	if (!isdigit((unsigned char)c.p[0]))
		return false;
	for (size_t i = 0; i < c.n; i++) {
		if (v > (INT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(c.p[i] - '0');
	}
	*out = (int64_t)v;
	return true;
}

/* Is a before b? */
static bool
natural_less(struct str a, struct str b)
{
	size_t i = 0, j = 0;

	while (i < a.n) {
		int64_t x, y;

		if (j >= b.n)
			return false;
		struct str ca = chunk_at(a, i), cb = chunk_at(b, j);
		bool equal = str_eq(ca, cb);
		if (chunk_number(ca, &x) && chunk_number(cb, &y)) {
			if (x != y)
				return x < y;
			equal = true;
		}
		if (!equal)
			return str_cmp(ca, cb) < 0;
		i += ca.n;
		j += cb.n;
		if (i >= a.n)
			return true;
		if (j >= b.n)
			return false;
	}
	return false;
}

static int
label_cmp(const void *a, const void *b, void *arg)
{
	const struct pseries *x = a, *y = b;
	const struct sorting *s = arg;
	const struct symtab *t = s->q->syms;
	int sign = s->id == PROMQL_FN_SORT_BY_LABEL_DESC ? -1 : 1;

	for (size_t i = 1; i < s->e->call.n_args; i++) {
		struct str name =
		    promql_expr_unwrap(s->e->call.args[i])->string;
		struct str vx = lset_get(t, x->ls, name);
		struct str vy = lset_get(t, y->ls, name);

		if (!str_eq(vx, vy))
			return natural_less(vx, vy) ? -sign : sign;
	}
	return sign * lset_cmp(t, x->ls, y->ls);
}

int
eval_call_sort(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct sorting x = { .q = ev->q, .e = e, .id = e->call.func->id };
	int rc;

	if (ev->start_ms != ev->end_ms)
		annos_str(&ev->q->annos, ANNO_SORT_IN_RANGE, e->pos.start,
		    STR_EMPTY);
	matrix_init(&x.m, ev->q, ev->n_steps);
	rc = eval_push(ev, e->call.args[0], sort_sink, &x);
	if (rc == 0 && ev->n_steps == 1 && x.m.n > 1)
		qsort_r(x.m.s, x.m.n, sizeof(*x.m.s),
		    by_label(x.id) ? label_cmp : value_cmp, &x);
	if (rc == 0)
		rc = matrix_push(&x.m, sink, ctx);
	matrix_clear(&x.m);
	return rc;
}
