/* SPDX-License-Identifier: ISC */

/* Interpolation, and instant selectors with the smoothed modifier. */

#include "common/promql/interpolate.h"

#include "common/base/bytes.h"
#include "common/promql/select.h"

double
interpolate(int64_t t1, double v1, int64_t t2, double v2, int64_t t,
    bool counter)
{
	if (counter && v2 < v1)
		v1 = 0;
	return v1 + (v2 - v1) * (double)(t - t1) / (double)(t2 - t1);
}

struct fhist *
interpolate_hist(struct query *q, struct arena *a, const struct fhist *h1,
    int64_t t1, const struct fhist *h2, int64_t t2, int64_t t, bool counter,
    int32_t pos, enum fhist_rc *rc)
{
	struct fhist_note note;
	struct fhist *h;

	*rc = FHIST_NOMEM;
	if (t == t1)
		return fhist_copy(a, h1);
	h = fhist_copy(a, h2);
	if (h == NULL || t == t2)
		return h;
	double f = (double)(t - t1) / (double)(t2 - t1);
	if (counter && fhist_detect_reset(h2, h1)) {
		fhist_mul(h, f);
		return h;
	}
	*rc = fhist_sub(a, h, h1, &note);
	if (*rc != FHIST_OK)
		return NULL;
	if (note.bounds_reconciled)
		annos_str(&q->annos, ANNO_BOUNDS_RECONCILED, pos,
		    STR_LIT("subtraction"));
	fhist_mul(h, f);
	*rc = fhist_add(a, h, h1, &note);
	if (*rc != FHIST_OK)
		return NULL;
	if (note.bounds_reconciled)
		annos_str(&q->annos, ANNO_BOUNDS_RECONCILED, pos,
		    STR_LIT("addition"));
	return h;
}

size_t
times_after(const int64_t *t, size_t n, int64_t x)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t[mid] > x)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

size_t
times_from(const int64_t *t, size_t n, int64_t x)
{
	return x == INT64_MIN ? 0 : times_after(t, n, x - 1);
}

/* --- smoothed instant selectors --- */

struct smooth {
	struct query		*q;
	const struct samples	*s;
	struct pbuf		*b;
	struct str		 metric;
	int32_t			 pos;
};

static int
smooth_hist(struct smooth *x, uint32_t step, int64_t t, size_t lo, size_t n)
{
	const struct samples *s = x->s;
	size_t i = lo + times_from(s->ht + lo, n, t);
	struct arena *a = &x->b->hmem;
	struct fhist *h;

	if (i < lo + n && s->ht[i] == t) {
		h = fhist_copy(a, s->h[i]);
	} else if (i > lo && i < lo + n) {
		const struct fhist *p = s->h[i - 1], *nx = s->h[i];
		bool counter = p->hint != FHIST_GAUGE || nx->hint != FHIST_GAUGE;
		enum fhist_rc rc = FHIST_INCOMPATIBLE;

		h = NULL;
		if (fhist_is_custom(p) == fhist_is_custom(nx))
			h = interpolate_hist(x->q, a, p, s->ht[i - 1], nx,
			    s->ht[i], t, counter, x->pos, &rc);
		if (h == NULL && rc == FHIST_INCOMPATIBLE) {
			annos_str(&x->q->annos, ANNO_MIXED_EXPONENTIAL_CUSTOM,
			    x->pos, x->metric);
			return 0;
		}
	} else if (i > lo) {
		h = fhist_copy(a, s->h[i - 1]);
		if (h != NULL)
			h->hint = FHIST_UNKNOWN;
	} else
		return 0;
	if (h == NULL)
		return q_nomem(x->q);
	return pbuf_hist(x->b, step, h);
}

static void
smooth_float(struct smooth *x, uint32_t step, int64_t t, size_t lo, size_t n)
{
	const struct samples *s = x->s;
	size_t i = lo + times_from(s->t + lo, n, t);

	if (i < lo + n && s->t[i] == t)
		pbuf_float(x->b, step, s->v[i]);
	else if (i > lo && i < lo + n)
		pbuf_float(x->b, step, interpolate(s->t[i - 1], s->v[i - 1],
		    s->t[i], s->v[i], t, false));
	else if (i > lo)
		pbuf_float(x->b, step, s->v[i - 1]);
}

/* Leaves stale markers out: they are no values to interpolate between. */
static void
drop_stale(struct samples *s)
{
	size_t k = 0;

	for (size_t i = 0; i < s->n; i++)
		if (!is_stale_nan(s->v[i])) {
			s->t[k] = s->t[i];
			s->v[k++] = s->v[i];
		}
	s->n = k;
	k = 0;
	for (size_t i = 0; i < s->nh; i++)
		if (!is_stale_nan(s->h[i]->sum)) {
			s->ht[k] = s->ht[i];
			s->h[k++] = s->h[i];
		}
	s->nh = k;
}

int
smooth_fill(struct evaluator *ev, struct samples *s, struct promql_expr *e,
    const struct label_sym *labels, uint32_t n_labels, struct pbuf *b)
{
	struct lset ls = symtab_import(ev->q->syms, labels, n_labels);
	struct smooth x = { ev->q, s, b, STR_EMPTY, e->pos.start };
	int64_t lb = ev->q->lookback_ms;

	if (ls.l == NULL && ls.n > 0)
		return q_nomem(ev->q);
	x.metric = q_metric_name(ev->q, ls);
	drop_stale(s);
	for (uint32_t step = 0; step < ev->n_steps; step++) {
		int64_t t = select_ref_ms(ev, &e->vector.mod, step);
		size_t lo = times_after(s->t, s->n, t - lb);
		size_t hlo = times_after(s->ht, s->nh, t - lb);
		size_t n = times_after(s->t, s->n, t + lb) - lo;
		size_t nh = times_after(s->ht, s->nh, t + lb) - hlo;

		if (n > 0 && nh > 0)
			annos_str(&ev->q->annos, ANNO_MIXED_FLOATS_HISTOGRAMS,
			    x.pos, x.metric);
		else if (nh > 0) {
			if (smooth_hist(&x, step, t, hlo, nh) == -1)
				return -1;
		} else if (n > 0)
			smooth_float(&x, step, t, lo, n);
	}
	return q_samples(ev->q, b->s.n_floats + b->s.n_hists);
}
