/* SPDX-License-Identifier: ISC */

/* Results against expectations. */

#include "tests/conformance/promqltest.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "common/base/bytes.h"

#define EPSILON	0.000001

bool
almost_equal(double a, double b)
{
	if (is_stale_nan(a) || is_stale_nan(b))
		return is_stale_nan(a) && is_stale_nan(b);
	if (isnan(a) && isnan(b))
		return true;
	if (a == b)
		return true;
	double sum = fabs(a) + fabs(b), diff = fabs(a - b);
	if (a == 0 || b == 0 || sum < DBL_MIN)
		return diff < EPSILON * DBL_MIN;
	return diff / fmin(sum, DBL_MAX) < EPSILON;
}

static bool
side_equal(const struct hside *a, const struct hside *b)
{
	if (a->n != b->n || a->n_spans != b->n_spans)
		return false;
	for (uint32_t i = 0; i < a->n_spans; i++)
		if (a->spans[i].offset != b->spans[i].offset ||
		    a->spans[i].length != b->spans[i].length)
			return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (!almost_equal(a->counts[i], b->counts[i]))
			return false;
	return true;
}

static bool
hist_equal(const struct item *want, const struct fhist *got)
{
	struct arena a;
	bool ok = false;

	arena_init(&a, 0);
	struct fhist *x = fhist_copy(&a, want->h), *y = fhist_copy(&a, got);
	if (x != NULL && y != NULL && fhist_compact(&a, x) == 0 &&
	    fhist_compact(&a, y) == 0)
		ok = x->schema == y->schema &&
		    almost_equal(x->count, y->count) &&
		    almost_equal(x->sum, y->sum) &&
		    (!fhist_is_custom(x) || fhist_bounds_match(x, y)) &&
		    x->zero_threshold == y->zero_threshold &&
		    almost_equal(x->zero_count, y->zero_count) &&
		    side_equal(&x->neg, &y->neg) &&
		    side_equal(&x->pos, &y->pos) &&
		    (!want->hint_set || x->hint == y->hint);
	arena_clear(&a);
	return ok;
}

static void
add_value(struct buf *b, double v, const struct fhist *h)
{
	if (h != NULL)
		fhist_format_test(h, b);
	else
		fhist_add_g(b, v);
}

static int
wrong_value(struct buf *why, struct labels ls, int64_t t_ms,
    const struct item *want, double v, const struct fhist *h)
{
	buf_printf(why, "at %lld for ", (long long)t_ms);
	labels_format_metric(ls, why);
	buf_add_c(why, " expected ");
	add_value(why, want->v, want->h);
	buf_add_c(why, ", got ");
	add_value(why, v, h);
	return -1;
}

static bool
item_equal(const struct item *want, double v, const struct fhist *h)
{
	if ((want->h == NULL) != (h == NULL))
		return false;
	return h != NULL ? hist_equal(want, h) : almost_equal(want->v, v);
}

static const struct line_series *
find_expected(const struct eval_cmd *c, struct labels ls)
{
	const struct line_series *found = NULL;

	for (size_t i = 0; i < c->n_series; i++)
		if (labels_eq(c->series[i].ls, ls))
			found = &c->series[i];	/* the last one counts */
	return found;
}

static int
missing(const struct eval_cmd *c, const bool *seen, struct buf *why)
{
	for (size_t i = 0; i < c->n_series; i++)
		if (!seen[i] && find_expected(c, c->series[i].ls) ==
		    &c->series[i]) {
			buf_add_c(why, "expected series not found: ");
			labels_format_metric(c->series[i].ls, why);
			return -1;
		}
	return 0;
}

static int
unexpected(struct labels ls, double v, const struct fhist *h,
    struct buf *why)
{
	buf_add_c(why, "unexpected series ");
	labels_format_metric(ls, why);
	buf_add_c(why, " with ");
	add_value(why, v, h);
	return -1;
}

/* --- vectors --- */

static int
compare_sample(const struct eval_cmd *c, struct labels ls, int64_t t_ms,
    double v, const struct fhist *h, size_t pos, bool ordered, bool *seen,
    struct buf *why)
{
	const struct line_series *e = find_expected(c, ls);

	if (e == NULL)
		return unexpected(ls, v, h, why);
	if (ordered && e->pos != pos) {
		labels_format_metric(ls, why);
		buf_printf(why, " expected at position %zu but was at %zu",
		    e->pos, pos);
		return -1;
	}
	if (e->n == 0 || !item_equal(&e->items[0], v, h))
		return wrong_value(why, ls, t_ms, &e->items[0], v, h);
	seen[e - c->series] = true;
	return 0;
}

static int
compare_vector(const struct eval_cmd *c, struct promql_result *r,
    struct buf *why)
{
	bool seen[4096] = { false };

	if (c->is_scalar) {
		buf_add_c(why, "expected a scalar, got a vector");
		return -1;
	}
	for (size_t i = 0; i < r->n_series; i++) {
		const struct promql_series *s = &r->series[i];
		bool f = s->n_floats != 0;

		if (compare_sample(c, promql_result_labels(r, s), f ?
		    s->ft[0] : s->ht[0], f ? s->fv[0] : 0,
		    f ? NULL : s->h[0], i + 1, c->ordered, seen, why) == -1)
			return -1;
	}
	return missing(c, seen, why);
}

/* --- matrices --- */

static int
compare_series(const struct eval_cmd *c, struct labels ls,
    const struct promql_series *s, const struct line_series *e,
    struct buf *why)
{
	uint32_t f = 0, h = 0;

	for (size_t i = 0; i < e->n; i++) {
		const struct item *x = &e->items[i];
		int64_t t = c->start_ms + (int64_t)i * c->step_ms;

		if (t > c->end_ms) {
			buf_printf(why, "expected %zu points: too many for "
			    "the range", e->n);
			return -1;
		}
		if (x->omitted)
			continue;
		if (x->h != NULL) {
			if (h >= s->n_hists || s->ht[h] != t ||
			    !hist_equal(x, s->h[h]))
				return wrong_value(why, ls, t, x, NAN,
				    h < s->n_hists ? s->h[h] : NULL);
			h++;
		} else {
			if (f >= s->n_floats || s->ft[f] != t ||
			    !almost_equal(x->v, s->fv[f]))
				return wrong_value(why, ls, t, x,
				    f < s->n_floats ? s->fv[f] : NAN, NULL);
			f++;
		}
	}
	if (f != s->n_floats || h != s->n_hists) {
		labels_format_metric(ls, why);
		buf_printf(why, ": expected %u floats and %u histograms, "
		    "got %u and %u", f, h, s->n_floats, s->n_hists);
		return -1;
	}
	return 0;
}

static int
check_sorted(struct promql_result *r, struct buf *why)
{
	for (size_t i = 1; i < r->n_series; i++)
		if (labels_cmp(promql_result_labels(r, &r->series[i - 1]),
		    promql_result_labels(r, &r->series[i])) > 0) {
			buf_add_c(why, "matrix is not sorted by labels");
			return -1;
		}
	return 0;
}

static int
compare_matrix(const struct eval_cmd *c, struct promql_result *r,
    struct buf *why)
{
	bool seen[4096] = { false };

	if (c->ordered || c->is_scalar) {
		buf_add_c(why, "expected something else than a matrix");
		return -1;
	}
	if (check_sorted(r, why) == -1)
		return -1;
	for (size_t i = 0; i < r->n_series; i++) {
		const struct promql_series *s = &r->series[i];
		struct labels ls = promql_result_labels(r, s);
		const struct line_series *e = find_expected(c, ls);

		if (e == NULL)
			return unexpected(ls, s->n_floats ? s->fv[0] : 0,
			    s->n_floats ? NULL : s->h[0], why);
		if (compare_series(c, ls, s, e, why) == -1)
			return -1;
		seen[e - c->series] = true;
	}
	return missing(c, seen, why);
}

static int
compare_scalar(const struct eval_cmd *c, double v, struct buf *why)
{
	if (!c->is_scalar) {
		buf_printf(why, "expected a vector or matrix, got scalar %g",
		    v);
		return -1;
	}
	if (!almost_equal(c->scalar, v)) {
		buf_printf(why, "expected scalar %g, got %g", c->scalar, v);
		return -1;
	}
	return 0;
}

int
compare_result(const struct eval_cmd *c, struct promql_result *r,
    struct buf *why)
{
	switch (r->type) {
	case PROMQL_RESULT_MATRIX:
		return compare_matrix(c, r, why);
	case PROMQL_RESULT_VECTOR:
		return compare_vector(c, r, why);
	case PROMQL_RESULT_SCALAR:
		return compare_scalar(c, r->scalar, why);
	case PROMQL_RESULT_STRING:
		if (c->is_string && str_eq(c->string, r->string))
			return 0;
		buf_printf(why, "expected string \"%.*s\", got \"%.*s\"",
		    STR_ARG(c->string), STR_ARG(r->string));
		return -1;
	default:
		buf_add_c(why, "no result");
		return -1;
	}
}

int
compare_at(const struct eval_cmd *c, struct promql_result *r, int64_t t_ms,
    bool scalar, struct buf *why)
{
	bool seen[4096] = { false };

	if (check_sorted(r, why) == -1)
		return -1;
	for (size_t i = 0; i < r->n_series; i++) {
		const struct promql_series *s = &r->series[i];
		const struct fhist *h = NULL;
		bool found = false;
		double v = 0;

		for (uint32_t k = 0; k < s->n_floats; k++)
			if (s->ft[k] == t_ms) {
				v = s->fv[k];
				found = true;
			}
		for (uint32_t k = 0; k < s->n_hists; k++)
			if (s->ht[k] == t_ms) {
				h = s->h[k];
				found = true;
			}
		if (!found)
			continue;
		if (scalar)
			return compare_scalar(c, v, why);
		if (compare_sample(c, promql_result_labels(r, s), t_ms, v, h,
		    0, false, seen, why) == -1) {
			buf_add_c(why, " (range mode)");
			return -1;
		}
	}
	if (missing(c, seen, why) == -1) {
		buf_add_c(why, " (range mode)");
		return -1;
	}
	return 0;
}
