/* SPDX-License-Identifier: ISC */

/*
 * sum, avg, count, min, max, group, stddev, stdvar and quantile: each series
 * is folded into its group's accumulators, one a step, and forgotten. The
 * order of additions at a step is that of the series, as in the reference,
 * so that sums are the same to the last bit.
 *
 * Floats take arrays; histograms (sum and avg only) get a record of their
 * own at the steps where there are any.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/aggr.h"
#include "common/promql/aggr_fold.h"
#include "common/promql/grouping.h"
#include "common/promql/range.h"
#include "common/promql/share.h"

/* What a group has seen at a step. */
enum {
	SEEN = 1,
	HAS_FLOAT = 2,
	HAS_HIST = 4,
	INCREMENTAL = 8		/* avg went over to the running mean */
};

struct group {
	uint8_t		 *flags;
	double		 *value;
	double		 *comp;		/* compensation; stddev: mean */
	double		 *mean;		/* avg: running mean, else NULL */
	double		 *count;
	struct hist_acc	**hist;		/* by step, or NULL */
	/* quantile: the values, in malloc'ed arrays */
	struct values {
		double	*v;
		size_t	 n, cap;
	}		 *values;
	bool		  drop_name;
	uint32_t	  lo, hi;	/* steps that hold floats only */
};

struct aggr {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	enum promql_agg		 op;
	struct grouping		 grouping;
	struct group		*groups;
	size_t			 n, cap;
	struct matrix		 out;	/* its arena holds the groups */
	size_t			 value_bytes;
	bool			 has_dense;	/* the operator has such folds */
	bool			 noted_ignored;
};

static bool
needs_comp(enum promql_agg op)
{
	return op == PROMQL_AGG_SUM || op == PROMQL_AGG_AVG ||
	    op == PROMQL_AGG_STDDEV || op == PROMQL_AGG_STDVAR;
}

static bool
needs_count(enum promql_agg op)
{
	return op == PROMQL_AGG_AVG || op == PROMQL_AGG_COUNT ||
	    op == PROMQL_AGG_STDDEV || op == PROMQL_AGG_STDVAR;
}

static bool
has_dense_fold(enum promql_agg op)
{
	return op == PROMQL_AGG_SUM || op == PROMQL_AGG_AVG ||
	    op == PROMQL_AGG_COUNT || op == PROMQL_AGG_MIN ||
	    op == PROMQL_AGG_MAX;
}

static int
group_new(struct aggr *x)
{
	struct arena *a = &x->out.mem;
	size_t n = x->ev->n_steps;

	if (x->n == x->cap) {
		size_t cap = x->cap == 0 ? 16 : x->cap * 2;
		struct group *p = realloc(x->groups, cap * sizeof(*p));

		if (p == NULL)
			return q_nomem(x->q);
		x->groups = p;
		x->cap = cap;
	}
	struct group *g = &x->groups[x->n];
	*g = (struct group){ .flags = arena_zalloc(a, n) };
	if (g->flags == NULL)
		return q_nomem(x->q);
	if (x->op == PROMQL_AGG_QUANTILE)
		g->values = arena_zalloc(a, n * sizeof(*g->values));
	else
		g->value = arena_array(a, n, sizeof(double));
	if (needs_comp(x->op))
		g->comp = arena_zalloc(a, n * sizeof(double));
	if (needs_count(x->op))
		g->count = arena_zalloc(a, n * sizeof(double));
	if ((g->value == NULL && g->values == NULL) ||
	    (needs_comp(x->op) && g->comp == NULL) ||
	    (needs_count(x->op) && g->count == NULL))
		return q_nomem(x->q);
	x->n++;
	return matrix_account(&x->out);
}

/* --- floats --- */

static void
fold_sum(struct group *g, const struct pseries *s, uint32_t from,
    uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		if (s->kind[i] != K_FLOAT)
			continue;
		if (g->flags[i] == 0)
			g->value[i] = s->v[i];
		else if (g->flags[i] & HAS_FLOAT)
			kahan_inc(s->v[i], &g->value[i], &g->comp[i]);
		g->flags[i] |= SEEN | HAS_FLOAT;
	}
}

static int
fold_avg(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		double v = s->v[i];

		if (s->kind[i] != K_FLOAT)
			continue;
		if (g->flags[i] == 0) {
			g->value[i] = v;
			g->count[i] = 1;
			g->flags[i] = SEEN | HAS_FLOAT;
			continue;
		}
		g->flags[i] |= HAS_FLOAT;
		double count = ++g->count[i];
		if (!(g->flags[i] & INCREMENTAL)) {
			double sum = g->value[i], c = g->comp[i];

			kahan_inc(v, &sum, &c);
			if (!isinf(sum)) {
				g->value[i] = sum;
				g->comp[i] = c;
				continue;
			}
			/* the sum overflows: go on with the mean itself */
			if (g->mean == NULL) {
				g->mean = q_alloc(x->q, &x->out.mem,
				    x->ev->n_steps, sizeof(double));
				if (g->mean == NULL)
					return -1;
			}
			g->flags[i] |= INCREMENTAL;
			g->mean[i] = g->value[i] / (count - 1);
			g->comp[i] /= count - 1;
		}
		double f = (count - 1) / count;
		g->mean[i] *= f;
		g->comp[i] *= f;
		kahan_inc(v / count, &g->mean[i], &g->comp[i]);
	}
	return 0;
}

static void
fold_extreme(struct group *g, const struct pseries *s, uint32_t from,
    uint32_t to, bool max)
{
	for (uint32_t i = from; i < to; i++) {
		double v = s->v[i];

		if (s->kind[i] != K_FLOAT)
			continue;
		if (g->flags[i] == 0 || isnan(g->value[i]) ||
		    (max ? g->value[i] < v : g->value[i] > v))
			g->value[i] = v;
		g->flags[i] = SEEN;
	}
}

static void
fold_count(struct group *g, const struct pseries *s, uint32_t from,
    uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (s->kind[i] != K_NONE) {
			g->count[i]++;
			g->flags[i] = SEEN;
		}
}

static void
fold_group(struct group *g, const struct pseries *s, uint32_t from,
    uint32_t to)
{
	for (uint32_t i = from; i < to; i++)
		if (s->kind[i] != K_NONE) {
			g->value[i] = 1;
			g->flags[i] = SEEN;
		}
}

/* Welford; comp is the mean. */
static void
fold_stddev(struct group *g, const struct pseries *s, uint32_t from,
    uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		double v = s->v[i];

		if (s->kind[i] != K_FLOAT)
			continue;
		if (g->flags[i] == 0) {
			g->flags[i] = SEEN;
			g->count[i] = 1;
			g->comp[i] = v;
			g->value[i] = isnan(v) || isinf(v) ? NAN : 0;
			continue;
		}
		g->count[i]++;
		double d = v - g->comp[i];
		g->comp[i] += d / g->count[i];
		g->value[i] += d * (v - g->comp[i]);
	}
}

static int
fold_quantile(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct values *a = &g->values[i];

		if (s->kind[i] != K_FLOAT)
			continue;
		if (a->n == a->cap) {
			size_t cap = a->cap == 0 ? 8 : a->cap * 2;
			double *p = realloc(a->v, cap * sizeof(*p));

			if (p == NULL)
				return q_nomem(x->q);
			a->v = p;
			if (!arena_account(x->q->mem,
			    (cap - a->cap) * sizeof(*p)))
				return q_nomem(x->q);
			x->value_bytes += (cap - a->cap) * sizeof(*p);
			a->cap = cap;
		}
		a->v[a->n++] = s->v[i];
		g->flags[i] = SEEN;
	}
	return 0;
}

/* --- histograms --- */

static void
note_ignored(struct aggr *x)
{
	if (!x->noted_ignored)
		annos_str(&x->q->annos, ANNO_IGNORED_IN_AGGREGATION,
		    x->e->agg.expr->pos.start, str_c(promql_agg_text(x->op)));
	x->noted_ignored = true;
}

static int
fold_hists(struct aggr *x, struct group *g, const struct pseries *s)
{
	uint32_t n = x->ev->n_steps;
	bool avg = x->op == PROMQL_AGG_AVG;

	if (x->op != PROMQL_AGG_SUM && !avg) {
		if (x->op != PROMQL_AGG_COUNT && x->op != PROMQL_AGG_GROUP)
			note_ignored(x);
		return 0;
	}
	if (g->hist == NULL) {
		g->hist = arena_zalloc(&x->out.mem, n * sizeof(*g->hist));
		if (g->hist == NULL)
			return q_nomem(x->q);
	}
	struct hist_acc_env env = { x->q, &x->out.mem,
	    x->e->agg.expr->pos.start, s->ls };
	for (uint32_t i = 0; i < n; i++) {
		if (s->kind[i] != K_HIST)
			continue;
		bool first = g->flags[i] == 0;

		g->flags[i] |= SEEN | HAS_HIST;
		if (avg && !first)
			g->count[i]++;
		if (first) {
			if (avg)
				g->count[i] = 1;
			g->hist[i] = hist_acc_new(&env, s->h[i]);
			if (g->hist[i] == NULL)
				return -1;
			continue;
		}
		/* after floats the result is void anyway */
		if (g->hist[i] == NULL)
			continue;
		if (hist_acc_add(&env, g->hist[i], s->h[i],
		    avg ? g->count[i] : 0) == -1)
			return -1;
	}
	return matrix_account(&x->out);
}

/* One series of floats on the steps from … to - 1, looking at each. */
static int
fold_steps(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to)
{
	switch (x->op) {
	case PROMQL_AGG_SUM:
		fold_sum(g, s, from, to);
		break;
	case PROMQL_AGG_AVG:
		return fold_avg(x, g, s, from, to);
	case PROMQL_AGG_MIN:
	case PROMQL_AGG_MAX:
		fold_extreme(g, s, from, to, x->op == PROMQL_AGG_MAX);
		break;
	case PROMQL_AGG_COUNT:
		fold_count(g, s, from, to);
		break;
	case PROMQL_AGG_GROUP:
		fold_group(g, s, from, to);
		break;
	case PROMQL_AGG_STDDEV:
	case PROMQL_AGG_STDVAR:
		fold_stddev(g, s, from, to);
		break;
	case PROMQL_AGG_QUANTILE:
		return fold_quantile(x, g, s, from, to);
	default:
		return q_fail(x->q, "unexpected aggregation");
	}
	return 0;
}

/* The first series of a group. */
static void
fold_first(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to)
{
	bool extreme = x->op == PROMQL_AGG_MIN || x->op == PROMQL_AGG_MAX;

	memcpy(g->value + from, s->v + from, (to - from) * sizeof(*s->v));
	memset(g->flags + from, extreme ? SEEN : SEEN | HAS_FLOAT, to - from);
	for (uint32_t i = from; g->count != NULL && i < to; i++)
		g->count[i] = 1;
	g->lo = from;
	g->hi = to;
}

/* Floats on steps that hold floats; false: one step must be looked at. */
static bool
fold_dense(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to)
{
	uint32_t n = to - from;

	switch (x->op) {
	case PROMQL_AGG_SUM:
		fold_dense_sum(g->value + from, g->comp + from, s->v + from,
		    n);
		return true;
	case PROMQL_AGG_AVG:
		return g->mean == NULL && fold_dense_mean(g->value + from,
		    g->comp + from, g->count + from, s->v + from, n);
	case PROMQL_AGG_COUNT:
		for (uint32_t i = from; i < to; i++)
			g->count[i]++;
		return true;
	default:
		fold_dense_extreme(g->value + from, s->v + from, n,
		    x->op == PROMQL_AGG_MAX);
		return true;
	}
}

/*
 * A series that is floats without a gap: where the group is so too, no step
 * needs a look at its kind.
 */
static int
fold_run(struct aggr *x, struct group *g, const struct pseries *s,
    uint32_t from, uint32_t to, bool is_new)
{
	uint32_t lo = g->lo > from ? g->lo : from;
	uint32_t hi = g->hi < to ? g->hi : to;

	if (is_new) {
		fold_first(x, g, s, from, to);
		return 0;
	}
	if (lo >= hi || g->hist != NULL)
		return fold_steps(x, g, s, from, to);
	if (fold_steps(x, g, s, from, lo) == -1 ||
	    (!fold_dense(x, g, s, lo, hi) &&
	    fold_steps(x, g, s, lo, hi) == -1) ||
	    fold_steps(x, g, s, hi, to) == -1)
		return -1;
	if (from < g->lo)
		g->lo = from;
	if (to > g->hi)
		g->hi = to;
	return 0;
}

/* Is s floats without a gap, and from where on? */
static bool
is_run(const struct pseries *s, uint32_t n_steps, uint32_t *from)
{
	const uint8_t *p;

	if (s->n_hists != 0 || s->n_floats == 0)
		return false;
	p = memchr(s->kind, K_FLOAT, n_steps);
	if (p == NULL)
		return false;
	*from = (uint32_t)(p - s->kind);
	return s->n_floats <= n_steps - *from &&
	    memchr(p, K_NONE, s->n_floats) == NULL;
}

int
aggr_sink(void *ctx, struct pseries *s)
{
	struct aggr *x = ctx;
	uint32_t n = x->ev->n_steps, from;
	bool is_new;
	int64_t k = grouping_of(&x->grouping, s->ls, &is_new);

	if (k == -1 || (is_new && group_new(x) == -1))
		return -1;
	struct group *g = &x->groups[k];
	g->drop_name |= s->drop_name;
	if (x->has_dense && is_run(s, n, &from))
		return fold_run(x, g, s, from, from + s->n_floats, is_new);
	if (s->n_hists != 0 && fold_hists(x, g, s) == -1)
		return -1;
	return fold_steps(x, g, s, 0, n);
}

/* --- results --- */

static int
finish_hist(struct aggr *x, struct group *g, struct pbuf *b, uint32_t i)
{
	struct hist_acc_env env = { x->q, &x->out.mem,
	    x->e->agg.expr->pos.start, LSET_EMPTY };
	struct fhist *h;
	int rc = hist_acc_finish(&env, g->hist[i],
	    x->op == PROMQL_AGG_AVG ? g->count[i] : 0, &h);

	if (rc != 1)
		return rc;
	return pbuf_hist(b, i, h);
}

static int
finish_step(struct aggr *x, struct group *g, struct pbuf *b, uint32_t i,
    const double *param)
{
	uint8_t f = g->flags[i];

	if ((f & HAS_FLOAT) && (f & HAS_HIST)) {
		annos_str(&x->q->annos, ANNO_MIXED_FLOATS_HISTOGRAMS_AGG,
		    x->e->agg.expr->pos.start, STR_EMPTY);
		return 0;
	}
	if (f & HAS_HIST)
		return finish_hist(x, g, b, i);
	switch (x->op) {
	case PROMQL_AGG_SUM:
		pbuf_float(b, i, g->value[i] + g->comp[i]);
		break;
	case PROMQL_AGG_AVG:
		if (f & INCREMENTAL)
			pbuf_float(b, i, g->mean[i] + g->comp[i]);
		else
			pbuf_float(b, i, g->value[i] / g->count[i] +
			    g->comp[i] / g->count[i]);
		break;
	case PROMQL_AGG_COUNT:
		pbuf_float(b, i, g->count[i]);
		break;
	case PROMQL_AGG_STDVAR:
		pbuf_float(b, i, g->value[i] / g->count[i]);
		break;
	case PROMQL_AGG_STDDEV:
		pbuf_float(b, i, sqrt(g->value[i] / g->count[i]));
		break;
	case PROMQL_AGG_QUANTILE:
		pbuf_float(b, i, quantile_of(param[i], g->values[i].v,
		    g->values[i].n));
		break;
	default:
		pbuf_float(b, i, g->value[i]);
	}
	return 0;
}

static int
push_groups(struct aggr *x, const double *param, series_sink sink, void *ctx)
{
	struct pbuf b;
	int rc = 0;

	if (pbuf_init(&b, x->q, x->ev->n_steps) == -1)
		return -1;
	for (size_t k = 0; k < x->n && rc == 0; k++) {
		struct group *g = &x->groups[k];

		pbuf_reset(&b);
		for (uint32_t i = 0; i < x->ev->n_steps && rc == 0; i++)
			if (g->flags[i] & SEEN)
				rc = finish_step(x, g, &b, i, param);
		if (rc == -1 || b.s.n_floats + b.s.n_hists == 0)
			continue;
		b.s.ls = grouping_labels(&x->grouping, k);
		b.s.drop_name = g->drop_name;
		rc = sink(ctx, &b.s);
	}
	pbuf_clear(&b);
	return rc;
}

static void
note_quantiles(struct aggr *x, const double *param)
{
	double min = param[0], max = param[0];
	bool nan = false;
	int32_t pos = x->e->agg.param->pos.start;
	struct annos *a = &x->q->annos;

	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		nan |= isnan(param[i]);
		min = fmin(min, param[i]);
		max = fmax(max, param[i]);
	}
	if (nan)
		annos_add(a, ANNO_INVALID_QUANTILE, pos, STR_EMPTY, STR_EMPTY,
		    NAN, 0);
	if (max > 1)
		annos_add(a, ANNO_INVALID_QUANTILE, pos, STR_EMPTY, STR_EMPTY,
		    max, 0);
	if (min < 0)
		annos_add(a, ANNO_INVALID_QUANTILE, pos, STR_EMPTY, STR_EMPTY,
		    min, 0);
}

struct aggr *
aggr_new(struct evaluator *ev, struct promql_expr *e)
{
	struct aggr *x = calloc(1, sizeof(*x));

	if (x == NULL) {
		(void)q_nomem(ev->q);
		return NULL;
	}
	*x = (struct aggr){ .ev = ev, .q = ev->q, .e = e, .op = e->agg.op,
	    .has_dense = has_dense_fold(e->agg.op) };
	matrix_init(&x->out, ev->q, ev->n_steps);
	if (grouping_init(&x->grouping, ev->q, e, NULL) == -1) {
		aggr_free(x);
		return NULL;
	}
	return x;
}

void
aggr_free(struct aggr *x)
{
	if (x == NULL)
		return;
	for (size_t k = 0; k < x->n; k++)
		for (uint32_t i = 0; x->groups[k].values != NULL &&
		    i < x->ev->n_steps; i++)
			free(x->groups[k].values[i].v);
	if (x->value_bytes != 0)
		arena_release(x->q->mem, x->value_bytes);
	free(x->groups);
	grouping_clear(&x->grouping);
	matrix_clear(&x->out);
	free(x);
}

int
eval_aggregate(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct aggr *x = share_take(ev, e);
	bool fed = x != NULL;
	double *param = NULL;
	int rc = -1;

	if (!fed && (ev->q->err->kind != ERR_NONE ||
	    (x = aggr_new(ev, e)) == NULL))
		return -1;
	if (x->op == PROMQL_AGG_QUANTILE) {
		param = malloc(ev->n_steps * sizeof(*param));
		if (param == NULL) {
			(void)q_nomem(ev->q);
			goto out;
		}
		if (eval_scalar(ev, e->agg.param, param) == -1)
			goto out;
	}
	rc = fed ? 0 : eval_push(ev, e->agg.expr, aggr_sink, x);
	if (rc == 0 && param != NULL)
		note_quantiles(x, param);
	if (rc == 0)
		rc = push_groups(x, param, sink, ctx);
out:
	free(param);
	aggr_free(x);
	return rc;
}
