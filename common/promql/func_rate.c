/* SPDX-License-Identifier: ISC */

/*
 * rate, increase, delta: the change inside of a window, extrapolated to its
 * ends; irate and idelta: between the last two samples.
 *
 * Extrapolation: up to the window's edge when the nearest sample is not
 * further away than 1.1 average gaps, else by half a gap; a counter never
 * below zero. A start timestamp inside the window is as good as a sample of
 * zero at that time.
 */

#include "common/promql/range.h"

#include <math.h>

/*
 * Did the counter start anew between two samples, by their start
 * timestamps? 0 is unknown, start == time is "unknown" of OpenTelemetry.
 */
bool
st_is_reset(int64_t prev_st, int64_t prev_t, int64_t st, int64_t t)
{
	if (st == 0 || st >= t || st < prev_t)
		return false;
	if (st > prev_t)
		return true;
	/* each sample starts where the one before ended: deltas */
	if (prev_st > prev_t)
		return false;
	return prev_st != 0 && prev_st != prev_t;
}

static bool
st_overlaps(int64_t prev_st, int64_t prev_t, int64_t st)
{
	return st != 0 && st < prev_t && st != prev_st;
}

static bool
is_counter(enum promql_func_id id)
{
	return id != PROMQL_FN_DELTA;
}

/* h += or -= o; false when they cannot be combined (noted) or memory. */
static enum rresult
combine(struct rcall *c, struct fhist *h, const struct fhist *o, bool add)
{
	struct fhist_note note;
	enum fhist_rc rc = add ? fhist_add(&c->buf.hmem, h, o, &note) :
	    fhist_sub(&c->buf.hmem, h, o, &note);

	if (rc == FHIST_NOMEM) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	if (rc == FHIST_INCOMPATIBLE) {
		range_note(c, ANNO_MIXED_EXPONENTIAL_CUSTOM);
		return R_NONE;
	}
	if (note.bounds_reconciled)
		range_note_op(c, ANNO_BOUNDS_RECONCILED,
		    add ? "addition" : "subtraction");
	return R_HIST;
}

/* The smallest schema of the window; R_NONE when kinds of buckets mix. */
static enum rresult
check_hists(struct rcall *c, const struct rwin *w, bool counter, bool custom,
    int32_t *min_schema)
{
	bool noted = false;

	for (size_t i = 1; i + 1 < w->nh; i++) {
		const struct fhist *h = w->h[i];

		if (!counter)
			break;
		if (h->hint == FHIST_GAUGE && !noted) {
			range_note(c, ANNO_NOT_COUNTER);
			noted = true;
		}
		if (h->schema < *min_schema)
			*min_schema = h->schema;
		if (fhist_is_custom(h) != custom) {
			range_note(c, ANNO_MIXED_EXPONENTIAL_CUSTOM);
			return R_NONE;
		}
	}
	return R_HIST;
}

/* What the counter lost in resets between the samples. */
static enum rresult
add_resets(struct rcall *c, const struct rwin *w, const struct fhist *prev,
    struct fhist *h)
{
	bool overlap = false;

	for (size_t i = 1; i < w->nh; i++) {
		const struct fhist *cur = w->h[i];

		if (w->hst != NULL && !overlap && st_overlaps(w->hst[i - 1],
		    w->ht[i - 1], w->hst[i])) {
			range_note(c, ANNO_START_TIME_OVERLAP);
			overlap = true;
		}
		if ((w->hst != NULL && st_is_reset(w->hst[i - 1],
		    w->ht[i - 1], w->hst[i], w->ht[i])) ||
		    fhist_detect_reset(cur, prev)) {
			enum rresult r = combine(c, h, prev, true);

			if (r != R_HIST)
				return r;
		}
		prev = cur;
	}
	return R_HIST;
}

/* The change of at least two histograms. */
static enum rresult
hist_increase(struct rcall *c, const struct rwin *w, bool counter,
    struct fhist **out)
{
	const struct fhist *prev = w->h[0], *last = w->h[w->nh - 1];
	const struct fhist *second = w->h[1];
	struct fhist zero = { .schema = second->schema,
	    .custom = second->custom, .n_custom = second->n_custom };

	if (counter && (prev->hint == FHIST_GAUGE || last->hint == FHIST_GAUGE))
		range_note(c, ANNO_NOT_COUNTER);
	/*
	 * With a reset right after the first sample, its layout does not
	 * matter.
	 */
	if (counter && ((w->hst != NULL && st_is_reset(w->hst[0], w->ht[0],
	    w->hst[1], w->ht[1])) || fhist_detect_reset(second, prev)))
		prev = &zero;
	bool custom = fhist_is_custom(prev);
	if (fhist_is_custom(last) != custom) {
		range_note(c, ANNO_MIXED_EXPONENTIAL_CUSTOM);
		return R_NONE;
	}
	int32_t schema = last->schema < prev->schema ? last->schema :
	    prev->schema;
	enum rresult r = check_hists(c, w, counter, custom, &schema);
	if (r != R_HIST)
		return r;
	struct fhist *h = fhist_copy_to_schema(&c->buf.hmem, last, schema);
	if (h == NULL) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	r = combine(c, h, prev, false);
	if (r == R_HIST && counter)
		r = add_resets(c, w, prev, h);
	if (r != R_HIST)
		return r;
	if (!counter && (w->h[0]->hint != FHIST_GAUGE ||
	    last->hint != FHIST_GAUGE))
		range_note(c, ANNO_NOT_GAUGE);
	h->hint = FHIST_GAUGE;
	if (fhist_compact(&c->buf.hmem, h) == -1) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	*out = h;
	return R_HIST;
}

static double
float_increase(struct rcall *c, const struct rwin *w, bool counter)
{
	double d = w->v[w->n - 1] - w->v[0];
	bool overlap = false;

	if (!counter)
		return d;
	for (size_t i = 1; i < w->n; i++) {
		if (w->st != NULL && !overlap && st_overlaps(w->st[i - 1],
		    w->t[i - 1], w->st[i])) {
			range_note(c, ANNO_START_TIME_OVERLAP);
			overlap = true;
		}
		if (w->v[i] < w->v[i - 1] || (w->st != NULL &&
		    st_is_reset(w->st[i - 1], w->t[i - 1], w->st[i], w->t[i])))
			d += w->v[i - 1];
	}
	return d;
}

enum rresult
range_rate(struct rcall *c, const struct rwin *w, double *v, struct fhist **h)
{
	bool counter = is_counter(c->id), hists = w->nh > 0;
	double d = 0;
	struct fhist *dh = NULL;

	if (range_is_mixed(c, w))
		return R_NONE;
	if (c->anchored || c->smoothed)
		return range_extended(c, w, counter, c->id == PROMQL_FN_RATE,
		    v, h);
	size_t gaps = (hists ? w->nh : w->n) - 1;
	const int64_t *t = hists ? w->ht : w->t;
	const int64_t *st = hists ? w->hst : w->st;
	int64_t first = t[0], last = t[gaps];
	if (hists && gaps > 0) {
		enum rresult r = hist_increase(c, w, counter, &dh);

		if (r != R_HIST)
			return r;
	} else if (!hists)
		d = float_increase(c, w, counter);

	double to_start = (double)(first - w->start_ms) / 1000;
	double to_end = (double)(w->end_ms - last) / 1000;
	double sampled = (double)(last - first) / 1000;
	double gap = gaps > 0 ? sampled / (double)gaps : 0;
	double threshold = gap * 1.1;
	if (counter && st != NULL && st[0] != 0 && st[0] > w->start_ms &&
	    st[0] < first) {
		to_start = 0;
		sampled = (double)(last - st[0]) / 1000;
		if (!hists)
			d += w->v[0];
		else if (dh == NULL) {
			dh = fhist_copy(&c->buf.hmem, w->h[0]);
			if (dh == NULL) {
				(void)q_nomem(c->q);
				return R_ERROR;
			}
		} else {
			enum rresult r = combine(c, dh, w->h[0], true);

			if (r != R_HIST)
				return r;
		}
	} else if (gaps == 0) {
		return R_NONE;
	} else {
		if (to_start >= threshold)
			to_start = gap / 2;
		if (counter) {
			double to_zero = to_start;

			if (d > 0 && !hists && w->v[0] >= 0)
				to_zero = sampled * (w->v[0] / d);
			else if (dh != NULL && dh->count > 0 &&
			    w->h[0]->count >= 0)
				to_zero = sampled * (w->h[0]->count /
				    dh->count);
			if (to_zero < to_start)
				to_start = to_zero;
		}
	}
	if (to_end >= threshold)
		to_end = gap / 2;
	double factor = 1;
	if (sampled != 0)
		factor = (sampled + to_start + to_end) / sampled;
	if (c->id == PROMQL_FN_RATE)
		factor /= c->range_s;
	if (dh == NULL) {
		*v = d * factor;
		return R_FLOAT;
	}
	fhist_mul(dh, factor);
	*h = dh;
	return R_HIST;
}

/* --- irate, idelta --- */

struct point {
	int64_t			 t;
	int64_t			 st;
	double			 v;
	const struct fhist	*h;
};

static struct point
float_point(const struct rwin *w, size_t i)
{
	return (struct point){ w->t[i], w->st != NULL ? w->st[i] : 0, w->v[i],
	    NULL };
}

static struct point
hist_point(const struct rwin *w, size_t i)
{
	return (struct point){ w->ht[i], w->hst != NULL ? w->hst[i] : 0, 0,
	    w->h[i] };
}

/* The last two samples of either kind. */
static void
last_two(const struct rwin *w, struct point p[2])
{
	size_t i = w->n, j = w->nh;

	for (int k = 1; k >= 0; k--) {
		bool hist = j > 0 && (i == 0 || w->ht[j - 1] > w->t[i - 1]);

		p[k] = hist ? hist_point(w, --j) : float_point(w, --i);
	}
}

enum rresult
range_instant(struct rcall *c, const struct rwin *w, double *v,
    struct fhist **h)
{
	bool rate = c->id == PROMQL_FN_IRATE;
	struct point p[2];

	if (w->n + w->nh < 2)
		return R_NONE;
	last_two(w, p);
	int64_t interval = p[1].t - p[0].t;
	if (interval == 0)
		return R_NONE;
	bool st_reset = st_is_reset(p[0].st, p[0].t, p[1].st, p[1].t);
	if ((p[0].h == NULL) != (p[1].h == NULL)) {
		range_note(c, ANNO_MIXED_FLOATS_HISTOGRAMS);
		return R_NONE;
	}
	if (p[1].h == NULL) {
		*v = p[1].v;
		if (!rate || !(p[1].v < p[0].v || st_reset))
			*v = p[1].v - p[0].v;
		if (rate)
			*v /= (double)interval / 1000;
		return R_FLOAT;
	}
	struct fhist *r = fhist_copy(&c->buf.hmem, p[1].h);
	if (r == NULL) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	bool gauges = p[0].h->hint == FHIST_GAUGE && p[1].h->hint == FHIST_GAUGE;
	bool gauge = p[0].h->hint == FHIST_GAUGE || p[1].h->hint == FHIST_GAUGE;
	if (rate && gauge)
		range_note(c, ANNO_NOT_COUNTER);
	if (!rate && !gauges)
		range_note(c, ANNO_NOT_GAUGE);
	if (!rate || (!st_reset && !fhist_detect_reset(p[1].h, p[0].h))) {
		enum rresult rc = combine(c, r, p[0].h, false);

		if (rc != R_HIST)
			return rc;
	}
	r->hint = FHIST_GAUGE;
	if (fhist_compact(&c->buf.hmem, r) == -1) {
		(void)q_nomem(c->q);
		return R_ERROR;
	}
	if (rate)
		fhist_div(r, (double)interval / 1000);
	*h = r;
	return R_HIST;
}
