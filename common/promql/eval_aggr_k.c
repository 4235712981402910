/* SPDX-License-Identifier: ISC */

/*
 * topk, bottomk, limitk, limit_ratio: aggregations that let some series of
 * a group through, with their own labels.
 *
 * limitk and limit_ratio decide sample by sample and stream. topk and
 * bottomk keep a heap of at most k candidates for each group and step, the
 * one to be replaced first on top; only labels of the input are remembered.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/grouping.h"

struct cand {
	double		v;
	uint32_t	series;
};

struct heap {
	struct cand	*c;
	uint32_t	 n, cap;
};

struct input {
	struct lset	ls;
	bool		drop_name;
};

struct aggr_k {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	enum promql_agg		 op;
	double			*param;
	struct grouping		 grouping;
	struct heap		**heaps;	/* by group: one a step */
	uint32_t		**taken;	/* limitk: by group */
	size_t			 cap;
	struct input		*inputs;
	size_t			 n_inputs, inputs_cap;
	struct arena		 mem;
	size_t			 heap_bytes;
	bool			 noted;
	struct buf		 scratch;
	series_sink		 sink;
	void			*ctx;
};

/* --- the heap, as Go's container/heap moves it --- */

static inline bool
less(const struct aggr_k *x, const struct cand *a, const struct cand *b)
{
	if (isnan(a->v))
		return true;
	return x->op == PROMQL_AGG_BOTTOMK ? a->v > b->v : a->v < b->v;
}

static void
heap_up(const struct aggr_k *x, struct cand *c, uint32_t j)
{
	while (j > 0) {
		uint32_t i = (j - 1) / 2;

		if (!less(x, &c[j], &c[i]))
			break;
		struct cand t = c[i];
		c[i] = c[j];
		c[j] = t;
		j = i;
	}
}

static void
heap_down(const struct aggr_k *x, struct cand *c, uint32_t n)
{
	uint32_t i = 0;

	for (;;) {
		uint32_t j = 2 * i + 1;

		if (j >= n)
			break;
		if (j + 1 < n && less(x, &c[j + 1], &c[j]))
			j++;
		if (!less(x, &c[j], &c[i]))
			break;
		struct cand t = c[i];
		c[i] = c[j];
		c[j] = t;
		i = j;
	}
}

static int
heap_push(struct aggr_k *x, struct heap *h, struct cand c)
{
	if (h->n == h->cap) {
		uint32_t cap = h->cap == 0 ? 4 : h->cap * 2;
		struct cand *p = realloc(h->c, cap * sizeof(*p));

		if (p == NULL)
			return q_nomem(x->q);
		h->c = p;
		if (!arena_account(x->q->mem, (cap - h->cap) * sizeof(*p)))
			return q_nomem(x->q);
		x->heap_bytes += (cap - h->cap) * sizeof(*p);
		h->cap = cap;
	}
	h->c[h->n] = c;
	heap_up(x, h->c, h->n++);
	return 0;
}

static int
offer(struct aggr_k *x, struct heap *h, int64_t k, struct cand c)
{
	if (h->n < k)
		return heap_push(x, h, c);
	double top = h->c[0].v;
	bool better = x->op == PROMQL_AGG_BOTTOMK ? top > c.v : top < c.v;
	if (better || (isnan(top) && !isnan(c.v))) {
		h->c[0] = c;
		heap_down(x, h->c, h->n);
	}
	return 0;
}

/* --- input --- */

static int64_t
k_of(const struct aggr_k *x, uint32_t step)
{
	return (int64_t)x->param[step];
}

static int64_t
group_of(struct aggr_k *x, struct lset ls)
{
	uint32_t n = x->ev->n_steps;
	bool is_new;
	int64_t g = grouping_of(&x->grouping, ls, &is_new);

	if (g == -1 || !is_new)
		return g;
	if ((size_t)g >= x->cap) {
		size_t cap = (size_t)g * 2 + 16;
		struct heap **h = realloc(x->heaps, cap * sizeof(*h));
		uint32_t **t = realloc(x->taken, cap * sizeof(*t));

		if (h != NULL)
			x->heaps = h;
		if (t != NULL)
			x->taken = t;
		if (h == NULL || t == NULL)
			return q_nomem(x->q);
		memset(h + x->cap, 0, (cap - x->cap) * sizeof(*h));
		memset(t + x->cap, 0, (cap - x->cap) * sizeof(*t));
		x->cap = cap;
	}
	size_t bytes = x->op == PROMQL_AGG_LIMITK ?
	    n * sizeof(**x->taken) : n * sizeof(**x->heaps);
	if (!arena_account(x->q->mem, bytes))
		return q_nomem(x->q);
	x->heap_bytes += bytes;
	void *p = arena_zalloc(&x->mem, bytes);
	if (p == NULL)
		return q_nomem(x->q);
	if (x->op == PROMQL_AGG_LIMITK)
		x->taken[g] = p;
	else
		x->heaps[g] = p;
	return g;
}

static void
note_histograms(struct aggr_k *x, const struct pseries *s)
{
	for (uint32_t i = 0; !x->noted && i < x->ev->n_steps; i++)
		if (s->kind[i] == K_HIST && k_of(x, i) >= 1) {
			annos_str(&x->q->annos, ANNO_IGNORED_IN_AGGREGATION,
			    x->e->pos.start, str_c(promql_agg_text(x->op)));
			x->noted = true;
		}
}

static int
top_sink(void *ctx, struct pseries *s)
{
	struct aggr_k *x = ctx;
	int64_t g = group_of(x, s->ls);

	if (g == -1)
		return -1;
	if (s->n_hists != 0)
		note_histograms(x, s);
	if (x->n_inputs == x->inputs_cap) {
		size_t cap = x->inputs_cap == 0 ? 64 : x->inputs_cap * 2;
		struct input *p = realloc(x->inputs, cap * sizeof(*p));

		if (p == NULL)
			return q_nomem(x->q);
		x->inputs = p;
		x->inputs_cap = cap;
	}
	uint32_t id = (uint32_t)x->n_inputs;
	x->inputs[x->n_inputs++] = (struct input){ s->ls, s->drop_name };
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] != K_FLOAT)
			continue;
		int64_t k = k_of(x, i);
		if (k >= 1 && offer(x, &x->heaps[g][i], k,
		    (struct cand){ s->v[i], id }) == -1)
			return -1;
	}
	return 0;
}

static void
drop_step(struct pseries *s, uint32_t i)
{
	if (s->kind[i] == K_FLOAT)
		s->n_floats--;
	else if (s->kind[i] == K_HIST)
		s->n_hists--;
	s->kind[i] = K_NONE;
}

static int
limit_sink(void *ctx, struct pseries *s)
{
	struct aggr_k *x = ctx;
	uint32_t n = x->ev->n_steps;

	if (x->op == PROMQL_AGG_LIMITK) {
		int64_t g = group_of(x, s->ls);

		if (g == -1)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			if (s->kind[i] == K_NONE)
				continue;
			if (x->taken[g][i] < k_of(x, i) && k_of(x, i) >= 1)
				x->taken[g][i]++;
			else
				drop_step(s, i);
		}
	} else {
		double at = (double)lset_text_hash(x->q->syms, s->ls,
		    &x->scratch) / 18446744073709551616.0;

		for (uint32_t i = 0; i < n; i++) {
			double r = x->param[i];

			r = r > 1 ? 1 : r < -1 ? -1 : r;
			if (r == 0 || (r > 0 ? at >= r : at < 1 + r))
				drop_step(s, i);
		}
	}
	if (s->n_floats + s->n_hists == 0)
		return 0;
	return x->sink(x->ctx, s);
}

/* --- results of topk and bottomk --- */

/* Best first, equal ones as they stand. */
static void
sort_heap(const struct aggr_k *x, struct heap *h)
{
	for (uint32_t i = 1; i < h->n; i++) {
		struct cand c = h->c[i];
		uint32_t j = i;

		for (; j > 0 && less(x, &h->c[j - 1], &c); j--)
			h->c[j] = h->c[j - 1];
		h->c[j] = c;
	}
}

static int
cand_cmp(const void *a, const void *b, void *arg)
{
	const struct cand *p = a, *q = b;

	if (less(arg, q, p) && !less(arg, p, q))
		return -1;
	return less(arg, p, q) && !less(arg, q, p);
}

static int
push_one(struct aggr_k *x, struct pbuf *b, uint32_t series)
{
	b->s.ls = x->inputs[series].ls;
	b->s.drop_name = x->inputs[series].drop_name;
	return x->sink(x->ctx, &b->s);
}

static int
push_instant(struct aggr_k *x, struct pbuf *b)
{
	for (size_t g = 0; g < x->grouping.groups.n; g++) {
		struct heap *h = &x->heaps[g][0];

		if (h->n < 32)
			sort_heap(x, h);
		else
			qsort_r(h->c, h->n, sizeof(*h->c), cand_cmp, x);
		for (uint32_t i = 0; i < h->n; i++) {
			pbuf_reset(b);
			pbuf_float(b, 0, h->c[i].v);
			if (push_one(x, b, h->c[i].series) == -1)
				return -1;
		}
	}
	return 0;
}

struct pick {
	uint32_t	series, step;
	double		v;
};

static int
pick_cmp(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;

	if (x->series != y->series)
		return x->series < y->series ? -1 : 1;
	return (x->step > y->step) - (x->step < y->step);
}

/* All that was picked, series by series. */
static int
push_range(struct aggr_k *x, struct pbuf *b)
{
	uint32_t n_steps = x->ev->n_steps;
	size_t total = 0, n = 0;
	int rc = 0;

	for (size_t g = 0; g < x->grouping.groups.n; g++)
		for (uint32_t i = 0; i < n_steps; i++)
			total += x->heaps[g][i].n;
	if (total == 0)
		return 0;
	struct pick *p = malloc(total * sizeof(*p));
	if (p == NULL || !arena_account(x->q->mem, total * sizeof(*p))) {
		free(p);
		return q_nomem(x->q);
	}
	for (size_t g = 0; g < x->grouping.groups.n; g++)
		for (uint32_t i = 0; i < n_steps; i++)
			for (uint32_t k = 0; k < x->heaps[g][i].n; k++)
				p[n++] = (struct pick){
				    x->heaps[g][i].c[k].series, i,
				    x->heaps[g][i].c[k].v };
	qsort(p, n, sizeof(*p), pick_cmp);
	for (size_t i = 0; i < n && rc == 0;) {
		uint32_t series = p[i].series;

		pbuf_reset(b);
		for (; i < n && p[i].series == series; i++)
			pbuf_float(b, p[i].step, p[i].v);
		rc = push_one(x, b, series);
	}
	free(p);
	arena_release(x->q->mem, total * sizeof(*p));
	return rc;
}

/* --- the parameter --- */

/* 1: go on, 0: nothing comes out. */
static int
check_k(struct aggr_k *x)
{
	double min = INFINITY, max = -INFINITY;
	bool nan = false;

	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		nan |= isnan(x->param[i]);
		min = fmin(min, x->param[i]);
		max = fmax(max, x->param[i]);
	}
	if (x->op == PROMQL_AGG_LIMIT_RATIO) {
		int32_t pos = x->e->agg.param->pos.start;

		if (nan)
			return q_fail(x->q, "Ratio value is NaN");
		if (max == 0 && min == 0)
			return 0;
		if (max > 1)
			annos_add(&x->q->annos, ANNO_INVALID_RATIO, pos,
			    STR_EMPTY, STR_EMPTY, max, 1);
		if (min < -1)
			annos_add(&x->q->annos, ANNO_INVALID_RATIO, pos,
			    STR_EMPTY, STR_EMPTY, min, -1);
		return 1;
	}
	/* a NaN is the largest here, as in the reference */
	if (!nan && max < 1)
		return 0;
	if (nan)
		return q_fail(x->q, "Parameter value is NaN");
	char text[64];
	if (min <= -0x1p63 || max >= 0x1p63) {
		struct buf b;

		buf_init(&b, 0);
		fhist_add_g(&b, min <= -0x1p63 ? min : max);
		size_t n = b.n < sizeof(text) - 1 ? b.n : sizeof(text) - 1;
		memcpy(text, b.p == NULL ? "" : b.p, n);
		text[n] = '\0';
		buf_clear(&b);
		return q_fail(x->q, "Scalar value %s %s int64", text,
		    min <= -0x1p63 ? "underflows" : "overflows");
	}
	return 1;
}

static int
discard_sink(void *ctx, struct pseries *s)
{
	(void)ctx;
	(void)s;
	return 0;
}

static void
clear(struct aggr_k *x)
{
	for (size_t g = 0; g < x->cap; g++)
		for (uint32_t i = 0; x->heaps[g] != NULL &&
		    i < x->ev->n_steps; i++)
			free(x->heaps[g][i].c);
	if (x->heap_bytes != 0)
		arena_release(x->q->mem, x->heap_bytes);
	free(x->heaps);
	free(x->taken);
	free(x->inputs);
	free(x->param);
	grouping_clear(&x->grouping);
	arena_clear(&x->mem);
	buf_clear(&x->scratch);
}

int
eval_aggregate_k(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	struct aggr_k x = { .ev = ev, .q = ev->q, .e = e, .op = e->agg.op,
	    .sink = sink, .ctx = ctx };
	bool top = x.op == PROMQL_AGG_TOPK || x.op == PROMQL_AGG_BOTTOMK;
	struct pbuf b;
	struct err bad = ERR_INIT;
	int rc = -1;

	arena_init(&x.mem, 0);
	buf_init(&x.scratch, 0);
	x.param = malloc(ev->n_steps * sizeof(double));
	if (x.param == NULL)
		(void)q_nomem(ev->q);
	else if (grouping_init(&x.grouping, ev->q, e, NULL) == 0 &&
	    eval_scalar(ev, e->agg.param, x.param) == 0) {
		rc = check_k(&x);
		/* what is wrong with the vector is said first */
		if (rc == -1) {
			bad = *ev->q->err;
			ev->q->err->kind = ERR_NONE;
		}
		rc = eval_push(ev, e->agg.expr, rc != 1 ? discard_sink :
		    top ? top_sink : limit_sink, &x);
		if (rc == 0 && bad.kind != ERR_NONE) {
			*ev->q->err = bad;
			rc = -1;
		}
	}
	if (rc == 0 && top && x.grouping.groups.n != 0) {
		rc = pbuf_init(&b, ev->q, ev->n_steps);
		if (rc == 0) {
			rc = ev->n_steps == 1 ? push_instant(&x, &b) :
			    push_range(&x, &b);
			pbuf_clear(&b);
		}
	}
	clear(&x);
	return rc;
}
