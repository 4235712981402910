/* SPDX-License-Identifier: ISC */

/* Walking the buckets of a histogram in value order. */

#include "common/histogram/fhist.h"

#include <math.h>

static void
side_iter_init(struct hside_iter *it, const struct fhist *h, bool positive,
    bool reverse)
{
	*it = (struct hside_iter){ .h = h, .positive = positive,
	    .reverse = reverse, .side = positive ? &h->pos : &h->neg };
	const struct hside *s = it->side;

	if (s->n_spans == 0)
		return;
	if (!reverse) {
		it->index = s->spans[0].offset;
		return;
	}
	for (uint32_t i = 0; i < s->n_spans; i++)
		it->index += s->spans[i].offset + (int32_t)s->spans[i].length;
	it->index--;
	it->span = s->n_spans - 1;
	it->in_span = s->spans[it->span].length;	/* still to come */
	it->i = s->n;
}

/* Position of the next bucket in counts, or -1 at the end. */
static int64_t
side_iter_next(struct hside_iter *it, int32_t *index_out)
{
	const struct hside *s = it->side;

	if (it->reverse) {
		if (it->i == 0)
			return -1;
		while (it->in_span == 0) {
			if (it->span == 0)
				return -1;
			it->index -= s->spans[it->span].offset;
			it->span--;
			it->in_span = s->spans[it->span].length;
		}
		it->in_span--;
		*index_out = it->index--;
		return --it->i;
	}
	if (it->i >= s->n)
		return -1;
	while (it->span < s->n_spans &&
	    it->in_span >= s->spans[it->span].length) {
		it->in_span = 0;
		if (++it->span < s->n_spans)
			it->index += s->spans[it->span].offset;
	}
	if (it->span >= s->n_spans)
		return -1;
	it->in_span++;
	*index_out = it->index++;
	return it->i++;
}

static bool
side_bucket(struct hside_iter *it, struct hbucket *b, uint32_t *count_i)
{
	const struct fhist *h = it->h;
	int32_t index;
	int64_t i = side_iter_next(it, &index);

	if (i < 0)
		return false;
	b->index = index;
	b->count = it->side->counts[i];
	*count_i = (uint32_t)i;
	double hi = hbound(index, h->schema, h->custom, h->n_custom);
	double lo = hbound(index - 1, h->schema, h->custom, h->n_custom);
	if (it->positive) {
		b->upper = hi;
		b->lower = lo;
	} else {
		b->upper = -lo;
		b->lower = -hi;
	}
	if (fhist_is_custom(h)) {
		b->lower_inclusive = index == 0;
		b->upper_inclusive = true;
	} else {
		b->lower_inclusive = b->lower < 0;
		b->upper_inclusive = b->upper > 0;
	}
	return true;
}

void
hiter_init(struct hiter *it, const struct fhist *h, enum hiter_kind kind)
{
	*it = (struct hiter){ .h = h };
	switch (kind) {
	case HITER_POS:
	case HITER_POS_REVERSE:
		side_iter_init(&it->first, h, true, kind == HITER_POS_REVERSE);
		break;
	case HITER_NEG:
	case HITER_NEG_REVERSE:
		side_iter_init(&it->first, h, false, kind == HITER_NEG_REVERSE);
		break;
	case HITER_ALL:
		it->all = true;
		side_iter_init(&it->first, h, false, true);
		side_iter_init(&it->second, h, true, false);
		break;
	case HITER_ALL_REVERSE:
		it->all = true;
		side_iter_init(&it->first, h, true, true);
		side_iter_init(&it->second, h, false, false);
		break;
	}
}

/* A bucket next to the zero bucket ends where that begins. */
static void
clip_to_zero(struct hbucket *b, double threshold)
{
	if (b->upper < 0 && b->upper > -threshold)
		b->upper = -threshold;
	else if (b->lower > 0 && b->lower < threshold)
		b->lower = threshold;
}

bool
hiter_next(struct hiter *it)
{
	if (!it->all)
		return side_bucket(&it->first, &it->b, &it->count_i);
	if (it->stage == 0) {
		if (side_bucket(&it->first, &it->b, &it->count_i)) {
			clip_to_zero(&it->b, it->h->zero_threshold);
			return true;
		}
		it->stage = 1;
	}
	if (it->stage == 1) {
		it->stage = 2;
		if (it->h->zero_count > 0) {
			it->b = (struct hbucket){
			    .lower = -it->h->zero_threshold,
			    .upper = it->h->zero_threshold,
			    .lower_inclusive = true, .upper_inclusive = true,
			    .count = it->h->zero_count };
			return true;
		}
	}
	if (!side_bucket(&it->second, &it->b, &it->count_i))
		return false;
	clip_to_zero(&it->b, it->h->zero_threshold);
	return true;
}
