/* SPDX-License-Identifier: ISC */

/*
 * histogram_quantile, histogram_quantiles, histogram_fraction, for native
 * histograms and for classic ones, whose buckets are series with le labels.
 *
 * Native samples are worked on as they come. The buckets of a classic
 * histogram are collected: one column of doubles a bucket; when all are in,
 * each step of each histogram is computed. A native and a classic histogram
 * of one name at one step make both void.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/float_text.h"
#include "common/promql/classic.h"

struct column {
	double	 le;
	double	*v;
	uint8_t	*kind;
};

/* One classic histogram: the series that agree in all labels but le. */
struct classic_hist {
	struct lset	 ls;
	struct column	*cols;
	size_t		 n, cap;
	bool		 drop_name;
	uint8_t		*clash;		/* by step: a native one was there */
};

struct hist_fn {
	struct evaluator	*ev;
	struct query		*q;
	struct promql_expr	*e;
	enum promql_func_id	 id;
	int32_t			 pos;		/* of the vector */
	double			*params[10];
	struct str		 labels[10];	/* value of the quantile label */
	size_t			 n_params;
	struct str		 quantile_label;
	struct lnames		 le;
	struct lset_index	 index;
	struct classic_hist	*hists;
	size_t			 n, cap;
	struct matrix		 native;	/* kept until clashes are known */
	struct arena		 mem;
	struct dedup		 dedup;
	struct pbuf		 buf;
	struct classic_bucket	*row;
	size_t			 row_cap;
};

/* --- classic buckets --- */

/* Sets without le; the index works on ids. */
static int64_t
group_of(struct hist_fn *x, struct lset ls, bool *is_new)
{
	struct lset key = lset_filter(x->q->mem, ls, &x->le, false);

	if (key.l == NULL && key.n > 0)
		return q_nomem(x->q);
	int64_t k = lset_index_add(&x->index, key, is_new);
	return k == -1 ? q_nomem(x->q) : k;
}

static struct classic_hist *
hist_of(struct hist_fn *x, struct lset ls)
{
	bool is_new;
	int64_t k = group_of(x, ls, &is_new);

	if (k == -1)
		return NULL;
	if (!is_new)
		return &x->hists[k];
	if ((size_t)k >= x->cap) {
		size_t cap = (size_t)k * 2 + 16;
		struct classic_hist *p = realloc(x->hists, cap * sizeof(*p));

		if (p == NULL) {
			(void)q_nomem(x->q);
			return NULL;
		}
		x->hists = p;
		x->cap = cap;
	}
	x->hists[k] = (struct classic_hist){ .ls = x->index.sets[k] };
	x->n = (size_t)k + 1;
	return &x->hists[k];
}

static int
add_column(struct hist_fn *x, struct classic_hist *h, double le,
    const struct pseries *s)
{
	uint32_t n = x->ev->n_steps;

	if (h->n == h->cap) {
		size_t cap = h->cap == 0 ? 16 : h->cap * 2;
		struct column *p = realloc(h->cols, cap * sizeof(*p));

		if (p == NULL)
			return q_nomem(x->q);
		h->cols = p;
		h->cap = cap;
	}
	struct column *c = &h->cols[h->n];
	c->le = le;
	c->v = arena_array(&x->mem, n, sizeof(double));
	c->kind = arena_alloc(&x->mem, n);
	if (c->v == NULL || c->kind == NULL ||
	    !arena_account(x->q->mem, n * 9))
		return q_nomem(x->q);
	memcpy(c->v, s->v, n * sizeof(double));
	for (uint32_t i = 0; i < n; i++)
		c->kind[i] = s->kind[i] == K_FLOAT;
	h->n++;
	h->drop_name |= s->drop_name;
	return 0;
}

static int
input_sink(void *ctx, struct pseries *s)
{
	struct hist_fn *x = ctx;
	uint32_t value;
	double le;

	if (s->n_hists != 0 && matrix_add(&x->native, s) == -1)
		return -1;
	if (s->n_floats == 0)
		return 0;
	struct str text = lset_find(s->ls, &x->le, &value) ?
	    symtab_text(x->q->syms, value) : STR_EMPTY;
	if (text.n == 0 || !float_parse(text.p, text.n, &le)) {
		struct str metric = x->q->delayed_names ?
		    q_metric_name(x->q, s->ls) : STR_EMPTY;

		annos_add(&x->q->annos, ANNO_BAD_BUCKET, x->pos, text, metric,
		    0, 0);
		return 0;
	}
	struct classic_hist *h = hist_of(x, s->ls);
	return h == NULL ? -1 : add_column(x, h, le, s);
}

/* The buckets of one step; 0 when there are none. */
static size_t
gather(struct hist_fn *x, const struct classic_hist *h, uint32_t step)
{
	size_t n = 0;

	for (size_t i = 0; i < h->n; i++)
		if (h->cols[i].kind[step])
			x->row[n++] = (struct classic_bucket){ h->cols[i].le,
			    h->cols[i].v[step] };
	return n;
}

/* --- results --- */

static int
result_labels(struct hist_fn *x, struct pseries *out, struct lset ls,
    size_t param)
{
	out->ls = ls;
	if (series_drop_name(x->q, out) == -1)
		return -1;
	if (x->id != PROMQL_FN_HISTOGRAM_QUANTILES)
		return 0;
	out->ls = lset_with(x->q->mem, x->q->syms, out->ls,
	    x->quantile_label, x->labels[param]);
	return out->ls.l == NULL && out->ls.n > 0 ? q_nomem(x->q) : 0;
}

static double
native_value(struct hist_fn *x, const struct fhist *h, uint32_t step,
    size_t param, struct str metric)
{
	enum fhist_nan nan;
	double v;

	if (x->id == PROMQL_FN_HISTOGRAM_FRACTION) {
		v = fhist_fraction(h, x->params[0][step], x->params[1][step],
		    &nan);
		if (nan != FHIST_NAN_NONE)
			annos_str(&x->q->annos, ANNO_FRACTION_NANS, x->pos,
			    metric);
		return v;
	}
	v = fhist_quantile(h, x->params[param][step], &nan);
	if (nan != FHIST_NAN_NONE)
		annos_str(&x->q->annos, nan == FHIST_NAN_RESULT ?
		    ANNO_QUANTILE_NAN_RESULT : ANNO_QUANTILE_NAN_SKEW, x->pos,
		    metric);
	return v;
}

static int
push_native(struct hist_fn *x, const struct pseries *s, size_t param)
{
	struct str metric;

	pbuf_reset(&x->buf);
	if (result_labels(x, &x->buf.s, s->ls, param) == -1)
		return -1;
	/* without delayed names the label is gone by now */
	metric = x->id == PROMQL_FN_HISTOGRAM_QUANTILES || x->q->delayed_names
	    ? q_metric_name(x->q, s->ls) : STR_EMPTY;
	if (!x->q->delayed_names)
		metric = STR_EMPTY;
	for (uint32_t i = 0; i < x->ev->n_steps; i++)
		if (s->kind[i] == K_HIST)
			pbuf_float(&x->buf, i, native_value(x, s->h[i], i,
			    param, metric));
	if (x->buf.s.n_floats == 0)
		return 0;
	x->buf.s.drop_name = true;
	return dedup_sink(&x->dedup, &x->buf.s);
}

static double
classic_value(struct hist_fn *x, const struct classic_hist *h, size_t n,
    uint32_t step, size_t param)
{
	struct classic_fix fix;
	double v;

	if (x->id == PROMQL_FN_HISTOGRAM_FRACTION)
		return classic_fraction(x->params[0][step],
		    x->params[1][step], x->row, n);
	v = classic_quantile(x->params[param][step], x->row, n, &fix);
	if (fix.forced)
		annos_monotonic(&x->q->annos, x->pos, x->q->delayed_names ?
		    q_metric_name(x->q, h->ls) : STR_EMPTY,
		    ev_time(x->ev, step), fix.min_bucket, fix.max_bucket,
		    fix.max_diff);
	return v;
}

static int
push_classic(struct hist_fn *x, const struct classic_hist *h, size_t param)
{
	pbuf_reset(&x->buf);
	if (h->n > x->row_cap) {
		free(x->row);
		x->row = malloc(h->n * 2 * sizeof(*x->row));
		x->row_cap = x->row == NULL ? 0 : h->n * 2;
		if (x->row == NULL)
			return q_nomem(x->q);
	}
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (h->clash != NULL && h->clash[i])
			continue;
		size_t n = gather(x, h, i);
		if (n != 0)
			pbuf_float(&x->buf, i, classic_value(x, h, n, i,
			    param));
	}
	if (x->buf.s.n_floats == 0)
		return 0;
	if (result_labels(x, &x->buf.s, h->ls, param) == -1)
		return -1;
	return dedup_sink(&x->dedup, &x->buf.s);
}

/* Where a classic and a native histogram meet, neither counts. */
static int
find_clashes(struct hist_fn *x)
{
	uint32_t n = x->ev->n_steps;

	for (size_t k = 0; k < x->native.n; k++) {
		struct pseries *s = &x->native.s[k];
		int64_t g = lset_index_get(&x->index, s->ls);
		bool noted = false;

		if (g == -1)
			continue;
		struct classic_hist *h = &x->hists[g];
		for (uint32_t i = 0; i < n; i++) {
			bool classic = false;

			if (s->kind[i] != K_HIST)
				continue;
			for (size_t c = 0; c < h->n && !classic; c++)
				classic = h->cols[c].kind[i];
			if (!classic)
				continue;
			if (h->clash == NULL) {
				h->clash = arena_zalloc(&x->mem, n);
				if (h->clash == NULL)
					return q_nomem(x->q);
			}
			h->clash[i] = 1;
			s->kind[i] = K_NONE;
			s->n_hists--;
			if (!noted)
				annos_str(&x->q->annos,
				    ANNO_MIXED_CLASSIC_NATIVE, x->pos,
				    x->q->delayed_names ?
				    q_metric_name(x->q, s->ls) : STR_EMPTY);
			noted = true;
		}
	}
	return 0;
}

static int
push_all(struct hist_fn *x)
{
	size_t n = x->id == PROMQL_FN_HISTOGRAM_FRACTION ? 1 : x->n_params;

	if (find_clashes(x) == -1)
		return -1;
	for (size_t p = 0; p < n; p++) {
		for (size_t i = 0; i < x->native.n; i++)
			if (push_native(x, &x->native.s[i], p) == -1)
				return -1;
		for (size_t i = 0; i < x->n; i++)
			if (push_classic(x, &x->hists[i], p) == -1)
				return -1;
	}
	return 0;
}

/* --- the call --- */

static void
note_quantile(struct hist_fn *x, const double *q, int32_t pos)
{
	for (uint32_t i = 0; i < x->ev->n_steps; i++)
		if (isnan(q[i]) || q[i] < 0 || q[i] > 1)
			annos_add(&x->q->annos, ANNO_INVALID_QUANTILE, pos,
			    STR_EMPTY, STR_EMPTY, q[i], 0);
}

/* As OpenMetrics writes floats: 1.0, 0.5, 1e+06, +Inf. */
static struct str
quantile_text(struct hist_fn *x, double v)
{
	struct buf b;

	if (v == 1)
		return STR_LIT("1.0");
	if (v == 0)
		return STR_LIT("0.0");
	if (v == -1)
		return STR_LIT("-1.0");
	buf_init(&b, 0);
	if (isinf(v))
		buf_add_c(&b, v > 0 ? "+Inf" : "-Inf");
	else if (isnan(v))
		buf_add_c(&b, "NaN");
	else {
		fhist_add_g(&b, v);
		if (memchr(b.p, '.', b.n) == NULL &&
		    memchr(b.p, 'e', b.n) == NULL)
			buf_add_c(&b, ".0");
	}
	struct str s = arena_str(x->q->mem, buf_str(&b));
	buf_clear(&b);
	return s;
}

static int
eval_params(struct hist_fn *x)
{
	struct promql_expr **a = x->e->call.args;
	size_t first = 0, n = 1;

	if (x->id == PROMQL_FN_HISTOGRAM_FRACTION)
		n = 2;
	if (x->id == PROMQL_FN_HISTOGRAM_QUANTILES) {
		first = 2;
		n = x->e->call.n_args - 2;
		x->quantile_label = promql_expr_unwrap(a[1])->string;
	}
	if (n > 10)
		return q_fail(x->q, "too many quantiles");
	for (size_t i = 0; i < n; i++) {
		x->params[i] = malloc(x->ev->n_steps * sizeof(double));
		if (x->params[i] == NULL)
			return q_nomem(x->q);
		x->n_params = i + 1;
		if (eval_scalar(x->ev, a[first + i], x->params[i]) == -1)
			return -1;
		if (x->id != PROMQL_FN_HISTOGRAM_FRACTION)
			note_quantile(x, x->params[i], a[first + i]->pos.start);
		x->labels[i] = quantile_text(x, x->params[i][0]);
		if (x->labels[i].p == NULL)
			return q_nomem(x->q);
	}
	return 0;
}

static void
clear(struct hist_fn *x)
{
	for (size_t i = 0; i < x->n_params; i++)
		free(x->params[i]);
	size_t bytes = 0;
	for (size_t i = 0; i < x->n; i++) {
		bytes += x->hists[i].n * x->ev->n_steps * 9;
		free(x->hists[i].cols);
	}
	if (bytes != 0)
		arena_release(x->q->mem, bytes);
	free(x->hists);
	free(x->row);
	lset_index_clear(&x->index);
	matrix_clear(&x->native);
	arena_clear(&x->mem);
	pbuf_clear(&x->buf);
	dedup_clear(&x->dedup);
}

int
eval_call_hist_quantile(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	static const struct str le = { "le", 2 };
	struct hist_fn x = { .ev = ev, .q = ev->q, .e = e,
	    .id = e->call.func->id };
	size_t vector = x.id == PROMQL_FN_HISTOGRAM_QUANTILE ? 1 :
	    x.id == PROMQL_FN_HISTOGRAM_FRACTION ? 2 : 0;
	int rc = -1;

	if (pbuf_init(&x.buf, ev->q, ev->n_steps) == -1)
		return -1;
	arena_init(&x.mem, 0);
	lset_index_init(&x.index, ev->q->mem);
	matrix_init(&x.native, ev->q, ev->n_steps);
	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	x.pos = e->call.args[vector]->pos.start;
	if (lnames_init(&x.le, ev->q->mem, ev->q->syms, &le, 1) == -1)
		(void)q_nomem(ev->q);
	else if (eval_params(&x) == 0)
		rc = eval_push(ev, e->call.args[vector], input_sink, &x);
	if (rc == 0)
		rc = push_all(&x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	clear(&x);
	return rc;
}
