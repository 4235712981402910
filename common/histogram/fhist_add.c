/* SPDX-License-Identifier: ISC */

/*
 * Adding and subtracting histograms. Before counts meet, three things are
 * made equal: the counter reset hints, the zero buckets (the wider one wins,
 * and grows until it cuts no populated bucket), the resolution (the coarser
 * one wins). Custom bounds that differ are reduced to those in both.
 *
 * The same code serves the plain and the compensated addition: c is the
 * compensation histogram (h's layout) or NULL.
 */

#include "common/histogram/fhist_walk.h"

#include <math.h>
#include <string.h>

static bool
adjust_hint(struct fhist *h, const struct fhist *o)
{
	if (o->hint == h->hint || h->hint == FHIST_GAUGE)
		return false;
	if (o->hint == FHIST_GAUGE) {
		h->hint = FHIST_GAUGE;
		return false;
	}
	if (h->hint == FHIST_UNKNOWN)
		return false;
	bool collision = o->hint != FHIST_UNKNOWN;
	h->hint = FHIST_UNKNOWN;
	return collision;
}

/* --- zero buckets --- */

double
fhist_zero_count_for(const struct fhist *h, double *threshold,
    const struct fhist *c, double *c_out)
{
	double zero, comp = c != NULL ? c->zero_count : 0;
	struct hiter it;

	*c_out = comp;
	if (*threshold == h->zero_threshold)
		return h->zero_count;
again:
	zero = h->zero_count;
	hiter_init(&it, h, HITER_POS);
	while (hiter_next(&it) && it.b.lower < *threshold) {
		kahan_inc(it.b.count, &zero, &comp);
		if (c != NULL)
			kahan_inc(c->pos.counts[it.count_i], &zero, &comp);
		if (it.b.upper > *threshold) {
			if (it.b.count != 0)
				*threshold = it.b.upper;
			break;
		}
	}
	hiter_init(&it, h, HITER_NEG);
	while (hiter_next(&it) && it.b.upper > -*threshold) {
		kahan_inc(it.b.count, &zero, &comp);
		if (c != NULL)
			kahan_inc(c->neg.counts[it.count_i], &zero, &comp);
		if (it.b.lower < -*threshold) {
			if (it.b.count != 0) {
				/* the positive side must be seen again */
				*threshold = -it.b.lower;
				goto again;
			}
			break;
		}
	}
	*c_out = comp;
	return zero;
}

static int
side_drop_empty(struct arena *a, struct hside *s, double **c)
{
	struct hside t = *s;
	uint32_t n = 0;

	if (c == NULL) {
		struct fhist h = { .pos = t };

		if (fhist_compact(a, &h) == -1)
			return -1;
		*s = h.pos;
		return 0;
	}
	struct hspan *out = arena_array(a, t.n + 1, sizeof(*out));
	if (out == NULL)
		return -1;
	uint32_t n_out = 0, k = 0;
	int32_t index = 0, end = 0;
	for (uint32_t i = 0; i < t.n_spans; i++) {
		index += t.spans[i].offset;
		for (uint32_t j = 0; j < t.spans[i].length; j++, index++, k++) {
			if (t.counts[k] == 0 && (*c)[k] == 0)
				continue;
			if (n_out == 0 || index != end)
				out[n_out++] = (struct hspan){ index - end, 1 };
			else
				out[n_out - 1].length++;
			end = index + 1;
			t.counts[n] = t.counts[k];
			(*c)[n++] = (*c)[k];
		}
	}
	s->spans = out;
	s->n_spans = n_out;
	s->n = n;
	return 0;
}

/* Empties the buckets inside the zero bucket. */
static int
trim_zero(struct arena *a, struct fhist *h, struct fhist *c)
{
	struct hiter it;

	hiter_init(&it, h, HITER_POS);
	while (hiter_next(&it) && it.b.lower < h->zero_threshold) {
		h->pos.counts[it.count_i] = 0;
		if (c != NULL)
			c->pos.counts[it.count_i] = 0;
	}
	hiter_init(&it, h, HITER_NEG);
	while (hiter_next(&it) && it.b.upper > -h->zero_threshold) {
		h->neg.counts[it.count_i] = 0;
		if (c != NULL)
			c->neg.counts[it.count_i] = 0;
	}
	if (side_drop_empty(a, &h->pos, c != NULL ? &c->pos.counts : NULL) ==
	    -1 || side_drop_empty(a, &h->neg,
	    c != NULL ? &c->neg.counts : NULL) == -1)
		return -1;
	if (c != NULL) {
		c->pos.spans = h->pos.spans;
		c->pos.n_spans = h->pos.n_spans;
		c->pos.n = h->pos.n;
		c->neg.spans = h->neg.spans;
		c->neg.n_spans = h->neg.n_spans;
		c->neg.n = h->neg.n;
	}
	return 0;
}

static int
reconcile_zero(struct arena *a, struct fhist *h, const struct fhist *o,
    struct fhist *c, double *o_zero, double *o_comp)
{
	double o_threshold = o->zero_threshold;

	*o_zero = o->zero_count;
	*o_comp = 0;
	while (o_threshold != h->zero_threshold) {
		if (isnan(o_threshold) || isnan(h->zero_threshold))
			break;
		if (h->zero_threshold > o_threshold) {
			o_threshold = h->zero_threshold;
			*o_zero = fhist_zero_count_for(o, &o_threshold, NULL, o_comp);
		}
		if (o_threshold > h->zero_threshold) {
			double t = o_threshold, comp;

			h->zero_count = fhist_zero_count_for(h, &t, c, &comp);
			h->zero_threshold = t;
			if (c != NULL)
				c->zero_count = comp;
			if (trim_zero(a, h, c) == -1)
				return -1;
		}
	}
	return 0;
}

/* --- buckets --- */

/* b with resolution reduced; zero compensations arise where buckets merge. */
static int
side_reduced(struct arena *a, const struct hside *b, int32_t shift,
    bool kahan, const double *c_in, struct hside *out, double **c_out)
{
	*out = (struct hside){ .n = 0 };
	out->spans = arena_array(a, b->n + 1, sizeof(*out->spans));
	out->counts = arena_array(a, b->n + 1, sizeof(double));
	*c_out = kahan ? arena_array(a, b->n + 1, sizeof(double)) : NULL;
	if (out->spans == NULL || out->counts == NULL ||
	    (kahan && *c_out == NULL))
		return -1;
	int32_t index = 0, last = 0;
	uint32_t k = 0;
	for (uint32_t i = 0; i < b->n_spans; i++) {
		index += b->spans[i].offset;
		for (uint32_t j = 0; j < b->spans[i].length && k < b->n;
		    j++, index++, k++) {
			int32_t t = ((index - 1) >> shift) + 1;
			double v = b->counts[k];
			double vc = c_in != NULL ? c_in[k] : 0;

			if (out->n_spans != 0 && t == last) {
				double *s = &out->counts[out->n - 1];

				if (kahan) {
					double *sc = &(*c_out)[out->n - 1];

					kahan_inc(v, s, sc);
					kahan_inc(vc, s, sc);
				} else
					*s += v;
				continue;
			}
			if (out->n_spans != 0 && t == last + 1)
				out->spans[out->n_spans - 1].length++;
			else {
				out->spans[out->n_spans] = (struct hspan){
				    out->n_spans == 0 ? t : t - last - 1, 1 };
				out->n_spans++;
			}
			if (kahan)
				(*c_out)[out->n] = vc;
			out->counts[out->n++] = v;
			last = t;
		}
	}
	return 0;
}

static bool
same_spans(const struct hside *a, const struct hside *b)
{
	return a->n == b->n && a->n_spans == b->n_spans &&
	    (a->n_spans == 0 || memcmp(a->spans, b->spans,
	    a->n_spans * sizeof(*a->spans)) == 0);
}

static inline void
count_add(double *s, double *sc, double v, double vc)
{
	if (sc == NULL) {
		*s += v;
		return;
	}
	kahan_inc(v, s, sc);
	if (vc != 0)
		kahan_inc(vc, s, sc);
}

/*
 * x (compensation *xc, if not NULL) += sign * y (yc). Buckets of y up to the
 * zero threshold are in the zero bucket already.
 */
static int
side_add(struct arena *a, const struct fhist *h, struct hside *x, double **xc,
    const struct hside *y, const double *yc, double sign)
{
	struct walk wy = walk_start(y);
	bool exponential = !fhist_is_custom(h);

	if (exponential)
		while (walk_ok(&wy) && hbound(wy.index, h->schema, NULL, 0) <=
		    h->zero_threshold)
			walk_step(&wy);
	if (!walk_ok(&wy))
		return 0;
	if (wy.k == 0 && same_spans(x, y)) {
		for (uint32_t i = 0; i < x->n; i++)
			count_add(&x->counts[i], xc != NULL ? &(*xc)[i] : NULL,
			    sign * y->counts[i],
			    yc != NULL ? sign * yc[i] : 0);
		return 0;
	}

	struct hside out = { .n = 0 };
	struct walk wx = walk_start(x);
	size_t most = (size_t)x->n + y->n;
	double *oc = NULL;
	out.spans = arena_array(a, most, sizeof(*out.spans));
	out.counts = arena_array(a, most, sizeof(double));
	if (xc != NULL)
		oc = arena_array(a, most, sizeof(double));
	if (out.spans == NULL || out.counts == NULL ||
	    (xc != NULL && oc == NULL))
		return -1;
	int32_t end = 0;
	for (;;) {
		bool hx = walk_ok(&wx), hy = walk_ok(&wy);
		double v, c = 0;
		int32_t index;

		if (!hx && !hy)
			break;
		if (hx && (!hy || wx.index <= wy.index)) {
			index = wx.index;
			v = x->counts[wx.k];
			if (xc != NULL)
				c = (*xc)[wx.k];
			walk_step(&wx);
			if (hy && wy.index == index) {
				count_add(&v, xc != NULL ? &c : NULL,
				    sign * y->counts[wy.k],
				    yc != NULL ? sign * yc[wy.k] : 0);
				walk_step(&wy);
			}
		} else {
			index = wy.index;
			v = sign * y->counts[wy.k];
			if (yc != NULL)
				c = sign * yc[wy.k];
			walk_step(&wy);
		}
		if (out.n_spans == 0 || index != end)
			out.spans[out.n_spans++] = (struct hspan){
			    index - end, 1 };
		else
			out.spans[out.n_spans - 1].length++;
		end = index + 1;
		if (oc != NULL)
			oc[out.n] = c;
		out.counts[out.n++] = v;
	}
	*x = out;
	if (xc != NULL)
		*xc = oc;
	return 0;
}

/* --- custom buckets whose bounds differ --- */

static int
intersect_bounds(struct arena *a, const struct fhist *x,
    const struct fhist *y, double **out, uint32_t *n_out)
{
	uint32_t i = 0, j = 0, n = 0;
	uint32_t most = x->n_custom < y->n_custom ? x->n_custom : y->n_custom;

	*out = arena_array(a, most + 1, sizeof(double));
	if (*out == NULL)
		return -1;
	while (i < x->n_custom && j < y->n_custom) {
		if (x->custom[i] == y->custom[j]) {
			(*out)[n++] = x->custom[i];
			i++;
			j++;
		} else if (x->custom[i] < y->custom[j])
			i++;
		else
			j++;
	}
	*n_out = n;
	return 0;
}

/* Sums the buckets of h into those between the given bounds. */
static void
map_custom(const struct fhist *h, const double *hc, double sign,
    const double *bounds, uint32_t n_bounds, double *v, double *vc)
{
	struct walk w = walk_start(&h->pos);
	uint32_t t = 0;

	for (; walk_ok(&w); walk_step(&w)) {
		uint32_t to = n_bounds;

		if (w.index >= 0 && (uint32_t)w.index < h->n_custom) {
			while (t < n_bounds && bounds[t] < h->custom[w.index])
				t++;
			to = t;
		}
		kahan_inc(sign * h->pos.counts[w.k], &v[to], &vc[to]);
		if (hc != NULL)
			kahan_inc(hc[w.k], &v[to], &vc[to]);
	}
}

static int
add_mismatched(struct arena *a, struct fhist *h, const struct fhist *o,
    double sign, struct fhist *c)
{
	double *bounds;
	uint32_t n_bounds;

	if (intersect_bounds(a, h, o, &bounds, &n_bounds) == -1)
		return -1;
	double *v = arena_zalloc(a, (n_bounds + 1) * sizeof(double));
	double *vc = arena_zalloc(a, (n_bounds + 1) * sizeof(double));
	struct hspan *spans = arena_array(a, n_bounds + 1, sizeof(*spans));
	if (v == NULL || vc == NULL || spans == NULL)
		return -1;
	map_custom(h, c != NULL ? c->pos.counts : NULL, 1, bounds, n_bounds,
	    v, vc);
	map_custom(o, NULL, sign, bounds, n_bounds, v, vc);
	uint32_t n = 0, n_spans = 0;
	int32_t end = 0;
	for (uint32_t i = 0; i <= n_bounds; i++) {
		if (v[i] == 0 && vc[i] == 0)
			continue;
		if (n_spans == 0 || (int32_t)i != end)
			spans[n_spans++] = (struct hspan){ (int32_t)i - end, 1 };
		else
			spans[n_spans - 1].length++;
		end = (int32_t)i + 1;
		v[n] = v[i];
		vc[n++] = vc[i];
	}
	h->pos = (struct hside){ .spans = spans, .counts = v,
	    .n_spans = n_spans, .n = n };
	h->custom = bounds;
	h->n_custom = n_bounds;
	if (c != NULL) {
		c->pos.counts = vc;
		c->custom = bounds;
		c->n_custom = n_bounds;
	}
	return 0;
}

/* --- the whole --- */

static int
add_exponential(struct arena *a, struct fhist *h, const struct fhist *o,
    double sign, struct fhist *c)
{
	struct hside op = o->pos, on = o->neg, t;
	double *opc = NULL, *onc = NULL, *tc;
	bool kahan = c != NULL;

	if (o->schema < h->schema) {
		int32_t shift = h->schema - o->schema;

		if (side_reduced(a, &h->pos, shift, kahan,
		    kahan ? c->pos.counts : NULL, &t, &tc) == -1)
			return -1;
		h->pos = t;
		if (kahan)
			c->pos.counts = tc;
		if (side_reduced(a, &h->neg, shift, kahan,
		    kahan ? c->neg.counts : NULL, &t, &tc) == -1)
			return -1;
		h->neg = t;
		if (kahan)
			c->neg.counts = tc;
		h->schema = o->schema;
	} else if (o->schema > h->schema) {
		int32_t shift = o->schema - h->schema;

		if (side_reduced(a, &o->pos, shift, kahan, NULL, &op, &opc) ==
		    -1 || side_reduced(a, &o->neg, shift, kahan, NULL, &on,
		    &onc) == -1)
			return -1;
	}
	if (side_add(a, h, &h->pos, kahan ? &c->pos.counts : NULL, &op, opc,
	    sign) == -1 || side_add(a, h, &h->neg,
	    kahan ? &c->neg.counts : NULL, &on, onc, sign) == -1)
		return -1;
	return 0;
}

static void
share_layout(const struct fhist *h, struct fhist *c)
{
	c->schema = h->schema;
	c->zero_threshold = h->zero_threshold;
	c->custom = h->custom;
	c->n_custom = h->n_custom;
	c->pos.spans = h->pos.spans;
	c->pos.n_spans = h->pos.n_spans;
	c->pos.n = h->pos.n;
	c->neg.spans = h->neg.spans;
	c->neg.n_spans = h->neg.n_spans;
	c->neg.n = h->neg.n;
}

static struct fhist *
compensation_new(struct arena *a, const struct fhist *h)
{
	struct fhist *c = arena_zalloc(a, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->hint = h->hint;
	share_layout(h, c);
	c->pos.counts = arena_zalloc(a, (h->pos.n + 1) * sizeof(double));
	c->neg.counts = arena_zalloc(a, (h->neg.n + 1) * sizeof(double));
	return c->pos.counts == NULL || c->neg.counts == NULL ? NULL : c;
}

static enum fhist_rc
add(struct arena *a, struct fhist *h, const struct fhist *o, double sign,
    struct fhist *c, struct fhist_note *note)
{
	*note = (struct fhist_note){ .reset_collision = adjust_hint(h, o) };
	if (!fhist_is_custom(h)) {
		double zero, comp;

		if (reconcile_zero(a, h, o, c, &zero, &comp) == -1)
			return FHIST_NOMEM;
		if (c != NULL) {
			kahan_inc(zero, &h->zero_count, &c->zero_count);
			kahan_inc(comp, &h->zero_count, &c->zero_count);
		} else
			h->zero_count += sign * zero;
	}
	if (c != NULL) {
		kahan_inc(o->count, &h->count, &c->count);
		kahan_inc(o->sum, &h->sum, &c->sum);
	} else {
		h->count += sign * o->count;
		h->sum += sign * o->sum;
	}
	int rc;
	if (!fhist_is_custom(h))
		rc = add_exponential(a, h, o, sign, c);
	else if (fhist_bounds_match(h, o))
		rc = side_add(a, h, &h->pos, c != NULL ? &c->pos.counts : NULL,
		    &o->pos, NULL, sign);
	else {
		note->bounds_reconciled = true;
		rc = add_mismatched(a, h, o, sign, c);
	}
	if (rc == 0 && c != NULL)
		share_layout(h, c);
	return rc == 0 ? FHIST_OK : FHIST_NOMEM;
}

enum fhist_rc
fhist_add(struct arena *a, struct fhist *h, const struct fhist *o,
    struct fhist_note *note)
{
	*note = (struct fhist_note){ .reset_collision = false };
	if (fhist_is_custom(h) != fhist_is_custom(o))
		return FHIST_INCOMPATIBLE;
	return add(a, h, o, 1, NULL, note);
}

enum fhist_rc
fhist_sub(struct arena *a, struct fhist *h, const struct fhist *o,
    struct fhist_note *note)
{
	*note = (struct fhist_note){ .reset_collision = false };
	if (fhist_is_custom(h) != fhist_is_custom(o))
		return FHIST_INCOMPATIBLE;
	return add(a, h, o, -1, NULL, note);
}

enum fhist_rc
fhist_kahan_add(struct arena *a, struct fhist *h, const struct fhist *o,
    struct fhist **c, struct fhist_note *note)
{
	*note = (struct fhist_note){ .reset_collision = false };
	if (fhist_is_custom(h) != fhist_is_custom(o))
		return FHIST_INCOMPATIBLE;
	if (*c == NULL && (*c = compensation_new(a, h)) == NULL)
		return FHIST_NOMEM;
	return add(a, h, o, 1, *c, note);
}
