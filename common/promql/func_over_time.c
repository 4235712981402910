/* SPDX-License-Identifier: ISC */

/*
 * Functions of one window: the *_over_time family, deriv, predict_linear,
 * changes, resets. Those that only know floats ignore histograms: silently
 * where there are no floats, with an info where both are.
 */

#include "common/promql/range.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/aggr.h"
#include "common/promql/interpolate.h"

/* --- quantiles --- */

static int
nan_first_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	if (isnan(x) || isnan(y))
		return isnan(y) - isnan(x);
	return (x > y) - (x < y);
}

double
quantile_of(double q, double *v, size_t n)
{
	if (n == 0 || isnan(q))
		return NAN;
	if (q < 0)
		return -INFINITY;
	if (q > 1)
		return INFINITY;
	qsort(v, n, sizeof(*v), nan_first_cmp);
	double last = (double)(n - 1), rank = q * last;
	double lo = fmax(0, floor(rank)), hi = fmin(last, lo + 1);
	double weight = rank - floor(rank);
	return v[(size_t)lo] * (1 - weight) + v[(size_t)hi] * weight;
}

/* For functions of floats: R_NONE without floats, info when mixed. */
static bool
floats_only(struct rcall *c, const struct rwin *w)
{
	if (w->n == 0)
		return false;
	if (w->nh > 0 && !c->noted_mixed) {
		range_note(c, ANNO_IGNORED_IN_MIXED_RANGE);
		c->noted_mixed = true;
	}
	return true;
}

static enum rresult
range_quantile(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	double q = c->params[0][w->step];

	(void)h;
	if (w->n == 0)
		return R_NONE;
	if (isnan(q) || q < 0 || q > 1)
		annos_add(&c->q->annos, ANNO_INVALID_QUANTILE, c->pos,
		    STR_EMPTY, STR_EMPTY, q, 0);
	(void)floats_only(c, w);
	if (range_scratch(c, w->n) == -1)
		return R_ERROR;
	memcpy(c->scratch, w->v, w->n * sizeof(double));
	*v = quantile_of(q, c->scratch, w->n);
	return R_FLOAT;
}

static enum rresult
range_mad(struct rcall *c, const struct rwin *w, double *v, struct fhist **h)
{
	(void)h;
	if (!floats_only(c, w))
		return R_NONE;
	if (range_scratch(c, w->n) == -1)
		return R_ERROR;
	for (size_t i = 0; i < w->n; i++) {
		if (isnan(w->v[i])) {
			*v = NAN;
			return R_FLOAT;
		}
		c->scratch[i] = w->v[i];
	}
	double median = quantile_of(0.5, c->scratch, w->n);
	for (size_t i = 0; i < w->n; i++)
		c->scratch[i] = fabs(c->scratch[i] - median);
	*v = quantile_of(0.5, c->scratch, w->n);
	return R_FLOAT;
}

/* --- sums and means --- */

static enum rresult
sum_hists(struct rcall *c, const struct rwin *w, bool avg, struct fhist **h)
{
	struct hist_acc_env env = { c->q, &c->buf.hmem, c->pos, c->ls };
	struct hist_acc *x = hist_acc_new(&env, w->h[0]);

	if (x == NULL)
		return R_ERROR;
	for (size_t i = 1; i < w->nh; i++)
		if (hist_acc_add(&env, x, w->h[i],
		    avg ? (double)(i + 1) : 0) == -1)
			return R_ERROR;
	int rc = hist_acc_finish(&env, x, avg ? (double)w->nh : 0, h);
	return rc == -1 ? R_ERROR : rc == 0 ? R_NONE : R_HIST;
}

enum rresult
range_sum(struct rcall *c, const struct rwin *w, double *v, struct fhist **h)
{
	double sum = 0, comp = 0;

	if (range_is_mixed(c, w))
		return R_NONE;
	if (w->n == 0)
		return sum_hists(c, w, false, h);
	for (size_t i = 0; i < w->n; i++)
		kahan_inc(w->v[i], &sum, &comp);
	*v = isinf(sum) ? sum : sum + comp;
	return R_FLOAT;
}

enum rresult
range_avg(struct rcall *c, const struct rwin *w, double *v, struct fhist **h)
{
	double sum, comp = 0, mean = 0, count = 1;
	bool incremental = false;

	if (range_is_mixed(c, w))
		return R_NONE;
	if (w->n == 0)
		return sum_hists(c, w, true, h);
	sum = w->v[0];
	for (size_t i = 1; i < w->n; i++) {
		count = (double)(i + 1);
		if (!incremental) {
			double s = sum, k = comp;

			kahan_inc(w->v[i], &s, &k);
			if (!isinf(s)) {
				sum = s;
				comp = k;
				continue;
			}
			incremental = true;
			mean = sum / (count - 1);
			comp /= count - 1;
		}
		double f = (count - 1) / count;
		mean *= f;
		comp *= f;
		kahan_inc(w->v[i] / count, &mean, &comp);
	}
	*v = incremental ? mean + comp : sum / count + comp / count;
	return R_FLOAT;
}

static enum rresult
range_variance(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	double count = 0, mean = 0, c_mean = 0, aux = 0, c_aux = 0;

	(void)h;
	if (!floats_only(c, w))
		return R_NONE;
	for (size_t i = 0; i < w->n; i++) {
		count++;
		double d = w->v[i] - (mean + c_mean);
		kahan_inc(d / count, &mean, &c_mean);
		kahan_inc(d * (w->v[i] - (mean + c_mean)), &aux, &c_aux);
	}
	*v = (aux + c_aux) / count;
	if (c->id == PROMQL_FN_STDDEV_OVER_TIME)
		*v = sqrt(*v);
	return R_FLOAT;
}

/* --- one of the samples --- */

static enum rresult
range_extreme(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	double best, t;

	(void)h;
	if (!floats_only(c, w))
		return R_NONE;
	best = w->v[0];
	t = (double)w->t[0] / 1000;
	for (size_t i = 0; i < w->n; i++) {
		double x = w->v[i];
		bool better = isnan(best);

		switch (c->id) {
		case PROMQL_FN_MAX_OVER_TIME:
			better |= x > best;
			break;
		case PROMQL_FN_MIN_OVER_TIME:
			better |= x < best;
			break;
		case PROMQL_FN_TS_OF_MAX_OVER_TIME:
			better |= x >= best;
			break;
		default:
			better |= x <= best;
		}
		if (better) {
			best = x;
			t = (double)w->t[i] / 1000;
		}
	}
	*v = c->id == PROMQL_FN_MAX_OVER_TIME ||
	    c->id == PROMQL_FN_MIN_OVER_TIME ? best : t;
	return R_FLOAT;
}

static enum rresult
range_edge(struct rcall *c, const struct rwin *w, double *v, struct fhist **h)
{
	bool first = c->id == PROMQL_FN_FIRST_OVER_TIME;
	bool hist = w->n == 0;

	if (w->n > 0 && w->nh > 0)
		hist = first ? w->t[0] >= w->ht[0] :
		    w->ht[w->nh - 1] >= w->t[w->n - 1];
	if (!hist) {
		*v = w->v[first ? 0 : w->n - 1];
		return R_FLOAT;
	}
	*h = fhist_copy(&c->buf.hmem, w->h[first ? 0 : w->nh - 1]);
	if (*h == NULL) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	return R_HIST;
}

static enum rresult
range_edge_time(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	bool first = c->id == PROMQL_FN_TS_OF_FIRST_OVER_TIME;
	int64_t t;

	(void)h;
	if (first) {
		t = w->n > 0 ? w->t[0] : INT64_MAX;
		if (w->nh > 0 && w->ht[0] < t)
			t = w->ht[0];
	} else {
		t = w->n > 0 ? w->t[w->n - 1] : 0;
		if (w->nh > 0 && w->ht[w->nh - 1] > t)
			t = w->ht[w->nh - 1];
	}
	*v = (double)t / 1000;
	return R_FLOAT;
}

static enum rresult
range_count(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	(void)h;
	*v = c->id == PROMQL_FN_COUNT_OVER_TIME ? (double)(w->n + w->nh) : 1;
	return R_FLOAT;
}

/* --- trends --- */

/* Least squares; the intercept is the value at time t0. */
static void
regression(const struct rwin *w, int64_t t0, double *slope, double *intercept)
{
	double n = 0, sx = 0, cx = 0, sy = 0, cy = 0;
	double sxy = 0, cxy = 0, sx2 = 0, cx2 = 0;
	bool constant = true;

	for (size_t i = 0; i < w->n; i++) {
		double y = w->v[i];

		if (constant && i > 0 && y != w->v[0])
			constant = false;
		n += 1;
		double x = (double)(w->t[i] - t0) / 1e3;
		kahan_inc(x, &sx, &cx);
		kahan_inc(y, &sy, &cy);
		kahan_inc(x * y, &sxy, &cxy);
		kahan_inc(x * x, &sx2, &cx2);
	}
	if (constant) {
		*slope = isinf(w->v[0]) ? NAN : 0;
		*intercept = isinf(w->v[0]) ? NAN : w->v[0];
		return;
	}
	sx += cx;
	sy += cy;
	sxy += cxy;
	sx2 += cx2;
	double cov = sxy - sx * sy / n, var = sx2 - sx * sx / n;
	*slope = cov / var;
	*intercept = sy / n - *slope * sx / n;
}

static enum rresult
range_trend(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	double slope, intercept;

	(void)h;
	if (w->n < 2) {
		(void)floats_only(c, w);
		return R_NONE;
	}
	(void)floats_only(c, w);
	if (c->id == PROMQL_FN_DERIV) {
		regression(w, w->t[0], &slope, &intercept);
		*v = slope;
	} else {
		regression(w, w->ts_ms, &slope, &intercept);
		*v = slope * c->params[0][w->step] + intercept;
	}
	return R_FLOAT;
}

static enum rresult
range_smoothing(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	double sf = c->params[0][w->step], tf = c->params[1][w->step];

	(void)h;
	if (sf <= 0 || sf >= 1 || tf <= 0 || tf >= 1) {
		bool first = sf <= 0 || sf >= 1;

		(void)q_fail(c->q, "invalid %s factor. Expected: 0 < %s < 1, "
		    "got: %f", first ? "smoothing" : "trend",
		    first ? "sf" : "tf", first ? sf : tf);
		return R_ERROR;
	}
	(void)floats_only(c, w);
	if (w->n < 2)
		return R_NONE;
	double s0 = 0, s1 = w->v[0], b = w->v[1] - w->v[0];
	for (size_t i = 1; i < w->n; i++) {
		double x = sf * w->v[i];

		if (i > 1)
			b = tf * (s1 - s0) + (1 - tf) * b;
		double y = (1 - sf) * (s1 + b);
		s0 = s1;
		s1 = x + y;
	}
	*v = s1;
	return R_FLOAT;
}

/* --- changes and resets --- */

/*
 * Where counting begins. An anchored range begins with the newest sample at
 * or before its start; false when there is nothing behind it.
 */
static bool
first_samples(struct rcall *c, const struct rwin *w, size_t *f, size_t *h)
{
	*f = *h = 0;
	if (!c->anchored)
		return true;
	size_t fa = times_after(w->t, w->n, w->start_ms);
	size_t ha = times_after(w->ht, w->nh, w->start_ms);
	if (fa >= w->n && ha >= w->nh)
		return false;
	if (fa == 0 && ha == 0)
		return true;
	*f = fa;
	*h = ha;
	if (ha == 0 || (fa > 0 && w->t[fa - 1] >= w->ht[ha - 1]))
		--*f;
	else
		--*h;
	return true;
}

struct any_sample {
	double			 v;
	const struct fhist	*h;
	int64_t			 t, st;
};

static enum rresult
count_pairs(struct rcall *c, const struct rwin *w,
    bool (*counts)(const struct any_sample *prev,
    const struct any_sample *cur), double *v)
{
	struct any_sample prev = { .t = 0 }, cur;
	bool have = false;
	size_t i, j, n = 0;

	if (!first_samples(c, w, &i, &j))
		return R_NONE;
	while (i < w->n || j < w->nh) {
		if (j >= w->nh || (i < w->n && w->t[i] < w->ht[j])) {
			cur = (struct any_sample){ w->v[i], NULL, w->t[i],
			    w->st != NULL ? w->st[i] : 0 };
			i++;
		} else {
			cur = (struct any_sample){ 0, w->h[j], w->ht[j],
			    w->hst != NULL ? w->hst[j] : 0 };
			j++;
		}
		n += have && counts(&prev, &cur);
		have = true;
		prev = cur;
	}
	*v = (double)n;
	return R_FLOAT;
}

static bool
pair_is_reset(const struct any_sample *p, const struct any_sample *x)
{
	if ((p->h == NULL) != (x->h == NULL))
		return true;
	if (st_is_reset(p->st, p->t, x->st, x->t))
		return true;
	return x->h == NULL ? x->v < p->v : fhist_detect_reset(x->h, p->h);
}

static bool
pair_is_change(const struct any_sample *p, const struct any_sample *x)
{
	if ((p->h == NULL) != (x->h == NULL))
		return true;
	if (x->h != NULL)
		return !fhist_equals(x->h, p->h);
	return x->v != p->v && !(isnan(x->v) && isnan(p->v));
}

enum rresult
range_resets(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	(void)h;
	return count_pairs(c, w, pair_is_reset, v);
}

enum rresult
range_changes(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	(void)h;
	return count_pairs(c, w, pair_is_change, v);
}

range_fn
range_function(enum promql_func_id id)
{
	switch (id) {
	case PROMQL_FN_RATE:
	case PROMQL_FN_INCREASE:
	case PROMQL_FN_DELTA:
		return range_rate;
	case PROMQL_FN_IRATE:
	case PROMQL_FN_IDELTA:
		return range_instant;
	case PROMQL_FN_SUM_OVER_TIME:
		return range_sum;
	case PROMQL_FN_AVG_OVER_TIME:
		return range_avg;
	case PROMQL_FN_MAX_OVER_TIME:
	case PROMQL_FN_MIN_OVER_TIME:
	case PROMQL_FN_TS_OF_MAX_OVER_TIME:
	case PROMQL_FN_TS_OF_MIN_OVER_TIME:
		return range_extreme;
	case PROMQL_FN_FIRST_OVER_TIME:
	case PROMQL_FN_LAST_OVER_TIME:
		return range_edge;
	case PROMQL_FN_TS_OF_FIRST_OVER_TIME:
	case PROMQL_FN_TS_OF_LAST_OVER_TIME:
		return range_edge_time;
	case PROMQL_FN_COUNT_OVER_TIME:
	case PROMQL_FN_PRESENT_OVER_TIME:
	case PROMQL_FN_ABSENT_OVER_TIME:
		return range_count;
	case PROMQL_FN_QUANTILE_OVER_TIME:
		return range_quantile;
	case PROMQL_FN_MAD_OVER_TIME:
		return range_mad;
	case PROMQL_FN_STDDEV_OVER_TIME:
	case PROMQL_FN_STDVAR_OVER_TIME:
		return range_variance;
	case PROMQL_FN_DERIV:
	case PROMQL_FN_PREDICT_LINEAR:
		return range_trend;
	case PROMQL_FN_DOUBLE_EXPONENTIAL_SMOOTHING:
		return range_smoothing;
	case PROMQL_FN_RESETS:
		return range_resets;
	case PROMQL_FN_CHANGES:
		return range_changes;
	default:
		return NULL;
	}
}
