/* SPDX-License-Identifier: ISC */

/*
 * Counter resets: was something counted less than before? Layouts that could
 * not have come from each other without a reset say so too.
 */

#include "common/histogram/fhist_walk.h"

#include <math.h>

/* Buckets of a side merged to a coarser schema, those near zero skipped. */
struct merged {
	struct walk	 w;
	int32_t		 shift;
	int32_t		 schema;	/* the target */
	double		 start;		/* skip up to this bound */
	bool		 started;
	int32_t		 index;
	double		 count;
};

static bool
merged_next(struct merged *m)
{
	for (;;) {
		if (!walk_ok(&m->w))
			return false;
		if (m->shift == 0) {
			m->index = m->w.index;
			m->count = m->w.s->counts[m->w.k];
			walk_step(&m->w);
		} else {
			m->index = ((m->w.index - 1) >> m->shift) + 1;
			m->count = 0;
			while (walk_ok(&m->w) &&
			    ((m->w.index - 1) >> m->shift) + 1 == m->index) {
				m->count += m->w.s->counts[m->w.k];
				walk_step(&m->w);
			}
		}
		if (m->started || m->schema == FHIST_CUSTOM_SCHEMA ||
		    m->start == 0 ||
		    hbound(m->index, m->schema, NULL, 0) > m->start) {
			m->started = true;
			return true;
		}
	}
}

static struct merged
merged_start(const struct hside *s, int32_t from, int32_t to, double start)
{
	return (struct merged){ .w = walk_start(s), .schema = to,
	    .shift = from - to, .start = start };
}

static bool
side_reset(struct merged *cur, struct merged *prev)
{
	bool have = merged_next(cur);

	while (merged_next(prev)) {
		while (have && cur->index < prev->index)
			have = merged_next(cur);
		if (!have || cur->index > prev->index) {
			if (prev->count != 0)
				return true;
		} else if (cur->count < prev->count)
			return true;
	}
	return false;
}

/* Sum of the buckets that end at or below bound, from where w stands. */
static double
rollup(const struct fhist *h, struct walk *w, double bound)
{
	double sum = 0;

	while (walk_ok(w) && hbound(w->index, h->schema, h->custom,
	    h->n_custom) <= bound) {
		sum += h->pos.counts[w->k];
		walk_step(w);
	}
	return sum;
}

static bool
reset_mismatched(const struct fhist *h, const struct fhist *prev)
{
	struct walk wh = walk_start(&h->pos), wp = walk_start(&prev->pos);
	uint32_t i = 0, j = 0;

	while (i <= h->n_custom && j <= prev->n_custom) {
		double bh = i < h->n_custom ? h->custom[i] : INFINITY;
		double bp = j < prev->n_custom ? prev->custom[j] : INFINITY;

		if (bh == bp) {
			double sh = rollup(h, &wh, bh);

			if (sh < rollup(prev, &wp, bh))
				return true;
			i++;
			j++;
		} else if (bh < bp)
			i++;
		else
			j++;
	}
	return false;
}

bool
fhist_detect_reset(const struct fhist *h, const struct fhist *prev)
{
	if (h->hint == FHIST_RESET)
		return true;
	if (h->hint == FHIST_NOT_RESET)
		return false;
	if (h->count < prev->count)
		return true;
	if (fhist_is_custom(h)) {
		if (!fhist_is_custom(prev))
			return true;
		if (!fhist_bounds_match(h, prev))
			return reset_mismatched(h, prev);
	} else if (fhist_is_custom(prev))
		return true;
	if (h->schema > prev->schema || h->zero_threshold < prev->zero_threshold)
		return true;
	double threshold = h->zero_threshold, comp;
	double prev_zero = fhist_zero_count_for(prev, &threshold, NULL, &comp);
	if (threshold != h->zero_threshold || h->zero_count < prev_zero)
		return true;
	struct merged mc = merged_start(&h->pos, h->schema, h->schema,
	    h->zero_threshold);
	struct merged mp = merged_start(&prev->pos, prev->schema, h->schema,
	    h->zero_threshold);
	if (side_reset(&mc, &mp))
		return true;
	mc = merged_start(&h->neg, h->schema, h->schema, h->zero_threshold);
	mp = merged_start(&prev->neg, prev->schema, h->schema,
	    h->zero_threshold);
	return side_reset(&mc, &mp);
}
