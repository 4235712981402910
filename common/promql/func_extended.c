/* SPDX-License-Identifier: ISC */

/*
 * rate, increase and delta of anchored and smoothed ranges: the values at
 * the edges of the range are those of the samples before it (anchored) or
 * interpolated (smoothed), so nothing is extrapolated.
 */

#include "common/promql/range.h"

#include "common/promql/interpolate.h"

/* First and last sample to use; false when there is nothing in the range. */
static bool
edges(struct rcall *c, const struct rwin *w, const int64_t *t, size_t n,
    size_t *first, size_t *last)
{
	*last = n - 1;
	size_t after = times_after(t, n - 1, w->start_ms);
	*first = after > 0 ? after - 1 : 0;
	if (c->smoothed)
		*last = times_from(t, n - 1, w->end_ms);
	if (t[*last] <= w->start_ms)
		return false;
	return !(c->smoothed && t[*first] > w->end_ms);
}

static enum rresult
extended_floats(struct rcall *c, const struct rwin *w, bool counter,
    bool per_second, double *v)
{
	const int64_t *t = w->t;
	const double *x = w->v;
	size_t first, last;

	if (!edges(c, w, t, w->n, &first, &last))
		return R_NONE;
	double left = x[first], right = x[last];
	if (c->smoothed && t[first] < w->start_ms)
		left = interpolate(t[first], x[first], t[first + 1],
		    x[first + 1], w->start_ms, counter);
	if (c->smoothed && last > 0 && t[last] > w->end_ms)
		right = interpolate(t[last - 1], x[last - 1], t[last],
		    x[last], w->end_ms, counter);
	double d = right - left;
	if (counter) {
		size_t lo = first + (t[first] <= w->start_ms);
		size_t end = last + 1 - (t[last] >= w->end_ms);
		double prev = left, lost = 0;

		for (size_t i = lo; i < end; i++) {
			if (x[i] < prev)
				lost += prev;
			prev = x[i];
		}
		if (right < prev)
			lost += prev;
		d += lost;
	}
	*v = per_second ? d / c->range_s : d;
	return R_FLOAT;
}

/* --- histograms --- */

/* R_HIST when the samples can be used together. */
static enum rresult
check_range(struct rcall *c, const struct rwin *w, size_t first, size_t last,
    bool counter)
{
	bool custom = fhist_is_custom(w->h[first]);

	for (size_t i = first; i <= last; i++) {
		if (fhist_is_custom(w->h[i]) != custom) {
			range_note(c, ANNO_MIXED_EXPONENTIAL_CUSTOM);
			return R_NONE;
		}
		if (counter && w->h[i]->hint == FHIST_GAUGE)
			range_note(c, ANNO_NOT_COUNTER);
	}
	return R_HIST;
}

static enum rresult
failed(struct rcall *c, enum fhist_rc rc)
{
	if (rc == FHIST_INCOMPATIBLE) {
		range_note(c, ANNO_MIXED_EXPONENTIAL_CUSTOM);
		return R_NONE;
	}
	(void)q_nomem(c->q);
	return R_ERROR;
}

static enum rresult
combine(struct rcall *c, struct fhist *h, const struct fhist *o, bool add)
{
	struct fhist_note note;
	enum fhist_rc rc = add ? fhist_add(&c->buf.hmem, h, o, &note) :
	    fhist_sub(&c->buf.hmem, h, o, &note);

	if (rc != FHIST_OK)
		return failed(c, rc);
	if (note.bounds_reconciled)
		range_note_op(c, ANNO_BOUNDS_RECONCILED,
		    add ? "addition" : "subtraction");
	return R_HIST;
}

static enum rresult
edge_hist(struct rcall *c, const struct rwin *w, size_t i, size_t j,
    bool between, int64_t t, bool counter, struct fhist **out)
{
	enum fhist_rc rc = FHIST_NOMEM;

	if (between)
		*out = interpolate_hist(c->q, &c->buf.hmem, w->h[i], w->ht[i],
		    w->h[j], w->ht[j], t, counter, c->pos, &rc);
	else
		*out = fhist_copy(&c->buf.hmem, w->h[i]);
	return *out == NULL ? failed(c, rc) : R_HIST;
}

/* What resets between the edges have lost; *lost NULL: nothing. */
static enum rresult
lost_in_resets(struct rcall *c, const struct rwin *w, size_t first,
    size_t last, const struct fhist *left, const struct fhist *right,
    struct fhist **lost)
{
	const struct fhist *prev = left;
	size_t lo = first + 1;

	*lost = NULL;
	/* a reset that the left edge was interpolated over is in it */
	if (c->smoothed && w->ht[first] < w->start_ms && first + 1 < w->nh &&
	    fhist_detect_reset(w->h[first + 1], w->h[first])) {
		prev = w->h[first + 1];
		lo++;
	}
	if (lo > last)
		return R_HIST;
	for (size_t i = lo; i <= last; i++) {
		/* the last one is looked at as the right edge */
		const struct fhist *cur = i == last ? right : w->h[i];

		if (fhist_detect_reset(cur, prev)) {
			enum rresult r;

			if (*lost == NULL) {
				*lost = fhist_copy(&c->buf.hmem, prev);
				if (*lost == NULL)
					return failed(c, FHIST_NOMEM);
			} else if ((r = combine(c, *lost, prev, true)) !=
			    R_HIST)
				return r;
		}
		prev = cur;
	}
	return R_HIST;
}

static enum rresult
extended_hists(struct rcall *c, const struct rwin *w, bool counter,
    bool per_second, struct fhist **out)
{
	struct fhist *left, *right, *h, *lost;
	size_t first, last;
	enum rresult r;

	if (!edges(c, w, w->ht, w->nh, &first, &last))
		return R_NONE;
	r = check_range(c, w, first, last, counter);
	if (r == R_HIST)
		r = edge_hist(c, w, first, first + 1, c->smoothed &&
		    w->ht[first] < w->start_ms, w->start_ms, counter, &left);
	if (r != R_HIST)
		return r;
	bool between = c->smoothed && last > 0 && w->ht[last] > w->end_ms;
	r = between ? edge_hist(c, w, last - 1, last, true, w->end_ms,
	    counter, &right) : edge_hist(c, w, last, last, false, 0, counter,
	    &right);
	if (r != R_HIST)
		return r;
	if (!counter && (left->hint != FHIST_GAUGE ||
	    right->hint != FHIST_GAUGE))
		range_note(c, ANNO_NOT_GAUGE);
	h = fhist_copy(&c->buf.hmem, right);
	if (h == NULL)
		return failed(c, FHIST_NOMEM);
	r = combine(c, h, left, false);
	if (r == R_HIST && counter) {
		r = lost_in_resets(c, w, first, last, left, right, &lost);
		if (r == R_HIST && lost != NULL)
			r = combine(c, h, lost, true);
	}
	if (r != R_HIST)
		return r;
	if (per_second)
		fhist_div(h, c->range_s);
	h->hint = FHIST_GAUGE;
	if (fhist_compact(&c->buf.hmem, h) == -1)
		return failed(c, FHIST_NOMEM);
	*out = h;
	return R_HIST;
}

enum rresult
range_extended(struct rcall *c, const struct rwin *w, bool counter,
    bool per_second, double *v, struct fhist **h)
{
	if (w->nh > 0)
		return extended_hists(c, w, counter, per_second, h);
	return extended_floats(c, w, counter, per_second, v);
}
