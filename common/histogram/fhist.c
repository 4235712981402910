/* SPDX-License-Identifier: ISC */

/*
 * Float histograms: copying, scaling, resolution, compaction, comparison.
 * Additions are in fhist_add.c, walking buckets in hiter.c, statistics in
 * fhist_stats.c.
 */

#include "common/histogram/fhist.h"

#include <math.h>
#include <string.h>

static int
side_copy(struct arena *a, const struct hside *from, struct hside *to)
{
	*to = (struct hside){ .n_spans = from->n_spans, .n = from->n };
	if (from->n_spans != 0) {
		to->spans = arena_array(a, from->n_spans, sizeof(*to->spans));
		if (to->spans == NULL)
			return -1;
		memcpy(to->spans, from->spans,
		    from->n_spans * sizeof(*to->spans));
	}
	if (from->n != 0) {
		to->counts = arena_array(a, from->n, sizeof(double));
		if (to->counts == NULL)
			return -1;
		memcpy(to->counts, from->counts, from->n * sizeof(double));
	}
	return 0;
}

int
fhist_copy_into(struct arena *a, const struct fhist *h, struct fhist *to)
{
	struct fhist c = *h;

	if (fhist_is_custom(h)) {
		c.zero_threshold = c.zero_count = 0;
		c.neg = (struct hside){ .n = 0 };
	} else {
		c.custom = NULL;
		c.n_custom = 0;
		if (side_copy(a, &h->neg, &c.neg) == -1)
			return -1;
	}
	if (side_copy(a, &h->pos, &c.pos) == -1)
		return -1;
	*to = c;
	return 0;
}

struct fhist *
fhist_copy(struct arena *a, const struct fhist *h)
{
	struct fhist *c = arena_alloc(a, sizeof(*c));

	if (c == NULL || fhist_copy_into(a, h, c) == -1)
		return NULL;
	return c;
}

struct fhist *
fhist_dup(struct arena *a, const struct fhist *h)
{
	struct fhist *c = fhist_copy(a, h);

	if (c == NULL || c->n_custom == 0)
		return c;
	double *custom = arena_array(a, c->n_custom, sizeof(double));
	if (custom == NULL)
		return NULL;
	memcpy(custom, c->custom, c->n_custom * sizeof(double));
	c->custom = custom;
	return c;
}

static int32_t
target_index(int32_t index, int32_t shift)
{
	return ((index - 1) >> shift) + 1;
}

/* Merges neighbours in place: the result is never longer. */
static void
side_reduce(struct hside *s, int32_t shift)
{
	uint32_t n_spans = 0, n = 0, k = 0;
	int32_t index = 0, last = 0;

	for (uint32_t i = 0; i < s->n_spans; i++) {
		struct hspan sp = s->spans[i];

		index += sp.offset;
		for (uint32_t j = 0; j < sp.length && k < s->n; j++, index++) {
			int32_t t = target_index(index, shift);
			double c = s->counts[k++];

			if (n_spans != 0 && t == last) {
				s->counts[n - 1] += c;
				continue;
			}
			if (n_spans != 0 && t == last + 1)
				s->spans[n_spans - 1].length++;
			else {
				s->spans[n_spans] = (struct hspan){
				    n_spans == 0 ? t : t - last - 1, 1 };
				n_spans++;
			}
			s->counts[n++] = c;
			last = t;
		}
	}
	s->n_spans = n_spans;
	s->n = n;
}

void
fhist_reduce_resolution(struct fhist *h, int32_t schema)
{
	if (fhist_is_custom(h) || schema >= h->schema)
		return;
	side_reduce(&h->pos, h->schema - schema);
	side_reduce(&h->neg, h->schema - schema);
	h->schema = schema;
}

struct fhist *
fhist_copy_to_schema(struct arena *a, const struct fhist *h, int32_t schema)
{
	struct fhist *c = fhist_copy(a, h);

	if (c != NULL && schema != h->schema) {
		fhist_reduce_resolution(c, schema);
		c->hint = FHIST_UNKNOWN;
	}
	return c;
}

void
fhist_mul(struct fhist *h, double factor)
{
	h->zero_count *= factor;
	h->count *= factor;
	h->sum *= factor;
	for (uint32_t i = 0; i < h->pos.n; i++)
		h->pos.counts[i] *= factor;
	for (uint32_t i = 0; i < h->neg.n; i++)
		h->neg.counts[i] *= factor;
	if (factor < 0)
		h->hint = FHIST_GAUGE;
}

void
fhist_div(struct fhist *h, double scalar)
{
	h->zero_count /= scalar;
	h->count /= scalar;
	h->sum /= scalar;
	if (scalar == 0) {
		h->pos = h->neg = (struct hside){ .n = 0 };
		return;
	}
	for (uint32_t i = 0; i < h->pos.n; i++)
		h->pos.counts[i] /= scalar;
	for (uint32_t i = 0; i < h->neg.n; i++)
		h->neg.counts[i] /= scalar;
	if (scalar < 0)
		h->hint = FHIST_GAUGE;
}

/*
 * Counts are moved together in place; a span that is cut by an empty bucket
 * becomes two, so the spans are written anew.
 */
static int
side_compact(struct arena *a, struct hside *s)
{
	uint32_t need = 0, n = 0, k = 0;
	int32_t index = 0, end = 0;	/* end: index behind the last kept */
	bool clean = true;

	for (uint32_t i = 0; i < s->n && clean; i++)
		clean = s->counts[i] != 0;
	for (uint32_t i = 0; i < s->n_spans && clean; i++)
		clean = s->spans[i].length != 0 &&
		    (i == 0 || s->spans[i].offset != 0);
	if (clean)
		return 0;
	for (uint32_t i = 0; i < s->n_spans; i++) {
		index += s->spans[i].offset;
		for (uint32_t j = 0; j < s->spans[i].length && k < s->n;
		    j++, index++) {
			if (s->counts[k++] == 0)
				continue;
			if (need == 0 || index != end)
				need++;
			end = index + 1;
		}
	}
	struct hspan *out = arena_array(a, need, sizeof(*out));
	if (out == NULL)
		return -1;
	uint32_t n_out = 0;
	index = end = 0;
	k = 0;
	for (uint32_t i = 0; i < s->n_spans; i++) {
		index += s->spans[i].offset;
		for (uint32_t j = 0; j < s->spans[i].length && k < s->n;
		    j++, index++) {
			double c = s->counts[k++];

			if (c == 0)
				continue;
			if (n_out == 0 || index != end)
				out[n_out++] = (struct hspan){ index - end, 1 };
			else
				out[n_out - 1].length++;
			end = index + 1;
			s->counts[n++] = c;
		}
	}
	s->spans = out;
	s->n_spans = n_out;
	s->n = n;
	return 0;
}

int
fhist_compact(struct arena *a, struct fhist *h)
{
	return side_compact(a, &h->pos) == -1 || side_compact(a, &h->neg) == -1
	    ? -1 : 0;
}

bool
fhist_has_overflow(const struct fhist *h)
{
	if (isinf(h->zero_count) || isinf(h->count) || isinf(h->sum))
		return true;
	for (uint32_t i = 0; i < h->pos.n; i++)
		if (isinf(h->pos.counts[i]))
			return true;
	for (uint32_t i = 0; i < h->neg.n; i++)
		if (isinf(h->neg.counts[i]))
			return true;
	for (uint32_t i = 0; i < h->n_custom; i++)
		if (isinf(h->custom[i]))
			return true;
	return false;
}

/* The next span of length > 0, offsets of empty ones added to its own. */
static bool
span_next(const struct hside *s, uint32_t *i, struct hspan *out)
{
	*out = (struct hspan){ 0, 0 };
	while (*i < s->n_spans) {
		struct hspan sp = s->spans[(*i)++];

		out->offset += sp.offset;
		out->length = sp.length;
		if (sp.length != 0)
			return true;
	}
	return false;
}

static bool
side_equals(const struct hside *a, const struct hside *b)
{
	struct hspan sa, sb;
	uint32_t i = 0, j = 0;

	if (a->n != b->n ||
	    (a->n != 0 && memcmp(a->counts, b->counts, a->n * 8) != 0))
		return false;
	for (;;) {
		bool ha = span_next(a, &i, &sa), hb = span_next(b, &j, &sb);

		if (!ha || !hb)
			return ha == hb;
		if (sa.offset != sb.offset || sa.length != sb.length)
			return false;
	}
}

bool
fhist_bounds_match(const struct fhist *a, const struct fhist *b)
{
	if (a->n_custom != b->n_custom)
		return false;
	for (uint32_t i = 0; i < a->n_custom; i++)
		if (a->custom[i] != b->custom[i])
			return false;
	return true;
}

bool
fhist_equals(const struct fhist *a, const struct fhist *b)
{
	if (a->schema != b->schema ||
	    memcmp(&a->count, &b->count, 8) != 0 ||
	    memcmp(&a->sum, &b->sum, 8) != 0)
		return false;
	if (fhist_is_custom(a) && !fhist_bounds_match(a, b))
		return false;
	return a->zero_threshold == b->zero_threshold &&
	    memcmp(&a->zero_count, &b->zero_count, 8) == 0 &&
	    side_equals(&a->neg, &b->neg) && side_equals(&a->pos, &b->pos);
}

size_t
fhist_size(const struct fhist *h)
{
	return 168 + 8 * ((size_t)h->pos.n_spans + h->neg.n_spans +
	    h->pos.n + h->neg.n + h->n_custom);
}

/* Text of an error's first half, or NULL when the side is sound. */
static int
side_validate(const struct hside *s, const char *name, bool first_too,
    struct err *err)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->n_spans; i++) {
		if ((i > 0 || first_too) && s->spans[i].offset < 0)
			return err_set(err, ERR_BAD_DATA,
			    "%s: span number %u with offset %d: histogram has "
			    "a span whose offset is negative", name, i + 1,
			    s->spans[i].offset);
		n += s->spans[i].length;
	}
	if (n != s->n)
		return err_set(err, ERR_BAD_DATA, "%s: spans need %llu "
		    "buckets, have %u buckets: histogram spans specify "
		    "different number of buckets than provided", name,
		    (unsigned long long)n, s->n);
	return 0;
}

static int
counts_validate(const struct hside *s, const char *name, struct err *err)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->counts[i] < 0)
			return err_set(err, ERR_BAD_DATA, "%s: bucket number "
			    "%u has observation count of %g: histogram has a "
			    "bucket whose observation count is negative",
			    name, i + 1, s->counts[i]);
	return 0;
}

static int
custom_validate(const struct fhist *h, struct err *err)
{
	uint64_t total = 0;

	for (uint32_t i = 0; i < h->n_custom; i++) {
		if (isnan(h->custom[i]))
			return err_set(err, ERR_BAD_DATA, "custom buckets: "
			    "histogram custom bounds must not be NaN");
		if (i > 0 && h->custom[i] <= h->custom[i - 1])
			return err_set(err, ERR_BAD_DATA, "custom buckets: "
			    "previous bound is %f and current is %f: "
			    "histogram custom bounds must be in strictly "
			    "increasing order", h->custom[i - 1],
			    h->custom[i]);
	}
	if (h->n_custom != 0 && isinf(h->custom[h->n_custom - 1]) &&
	    h->custom[h->n_custom - 1] > 0)
		return err_set(err, ERR_BAD_DATA, "custom buckets: last +Inf "
		    "bound must not be explicitly defined: histogram custom "
		    "bounds must be finite");
	if (side_validate(&h->pos, "custom buckets", true, err) == -1)
		return -1;
	for (uint32_t i = 0; i < h->pos.n_spans; i++)
		total += h->pos.spans[i].length + (uint64_t)h->pos.spans[i].offset;
	if ((uint64_t)h->n_custom + 1 < total)
		return err_set(err, ERR_BAD_DATA, "custom buckets: only %u "
		    "custom bounds defined which is insufficient to cover "
		    "total span length of %llu: histogram custom bounds are "
		    "too few", h->n_custom, (unsigned long long)total);
	if (h->zero_count != 0)
		return err_set(err, ERR_BAD_DATA,
		    "custom buckets: must have zero count of 0");
	if (h->zero_threshold != 0)
		return err_set(err, ERR_BAD_DATA,
		    "custom buckets: must have zero threshold of 0");
	if (h->neg.n_spans != 0)
		return err_set(err, ERR_BAD_DATA,
		    "custom buckets: must not have negative spans");
	if (h->neg.n != 0)
		return err_set(err, ERR_BAD_DATA,
		    "custom buckets: must not have negative buckets");
	return 0;
}

int
fhist_validate(const struct fhist *h, struct err *err)
{
	if (fhist_is_custom(h)) {
		if (custom_validate(h, err) == -1)
			return -1;
	} else if (h->schema >= FHIST_SCHEMA_MIN &&
	    h->schema <= FHIST_SCHEMA_MAX) {
		if (side_validate(&h->pos, "positive side", false, err) == -1 ||
		    side_validate(&h->neg, "negative side", false, err) == -1 ||
		    counts_validate(&h->neg, "negative side", err) == -1)
			return -1;
		if (h->zero_count < 0)
			return err_set(err, ERR_BAD_DATA, "zero bucket has "
			    "observation count of %g: histogram has a bucket "
			    "whose observation count is negative",
			    h->zero_count);
		if (h->n_custom != 0)
			return err_set(err, ERR_BAD_DATA, "histogram with "
			    "exponential schema must not have custom bounds");
	} else
		return err_set(err, ERR_BAD_DATA, "histogram has an invalid "
		    "schema, which must be between %d and %d for exponential "
		    "buckets, or %d for custom buckets, got schema %d",
		    FHIST_SCHEMA_MIN, FHIST_SCHEMA_MAX, FHIST_CUSTOM_SCHEMA,
		    h->schema);
	if (h->count < 0)
		return err_set(err, ERR_BAD_DATA, "observation count is  %g: "
		    "histogram's observation count is negative", h->count);
	return counts_validate(&h->pos, "positive side", err);
}
