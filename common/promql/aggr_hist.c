/* SPDX-License-Identifier: ISC */

/* Sums and means of histograms; see aggr.h. */

#include "common/promql/aggr.h"

static void
track_hint(struct hist_acc *x, const struct fhist *h)
{
	x->reset_seen |= h->hint == FHIST_RESET;
	x->not_reset_seen |= h->hint == FHIST_NOT_RESET;
}

struct hist_acc *
hist_acc_new(struct hist_acc_env *env, const struct fhist *h)
{
	struct hist_acc *x = arena_zalloc(env->a, sizeof(*x));

	if (x == NULL || (x->sum = fhist_dup(env->a, h)) == NULL) {
		(void)q_nomem(env->q);
		return NULL;
	}
	track_hint(x, h);
	return x;
}

/* to += h; 1 when that was possible. */
static int
add(struct hist_acc_env *env, struct hist_acc *x, struct fhist *to,
    const struct fhist *h)
{
	struct fhist_note note;
	enum fhist_rc rc = fhist_kahan_add(env->a, to, h, &x->comp, &note);

	if (rc == FHIST_NOMEM)
		return q_nomem(env->q);
	if (rc == FHIST_INCOMPATIBLE) {
		annos_str(&env->q->annos, ANNO_MIXED_EXPONENTIAL_CUSTOM,
		    env->pos, q_metric_name(env->q, env->ls));
		x->incompatible = true;
		return 0;
	}
	if (note.bounds_reconciled)
		annos_str(&env->q->annos, ANNO_BOUNDS_RECONCILED, env->pos,
		    STR_LIT("aggregation"));
	return 1;
}

static int
add_mean(struct hist_acc_env *env, struct hist_acc *x, const struct fhist *h,
    double count)
{
	double f = (count - 1) / count;
	struct fhist *part;

	if (x->comp != NULL)
		fhist_mul(x->comp, f);
	part = fhist_copy(env->a, h);
	if (part == NULL)
		return q_nomem(env->q);
	fhist_div(part, count);
	fhist_mul(x->mean, f);
	return add(env, x, x->mean, part);
}

/*
 * Adding changes sum and compensation in place; an overflow must leave them
 * as they were, so a copy is made when one is near.
 */
static bool
may_overflow(const struct fhist *h)
{
	double most = 0x1p1000;

	if (!(__builtin_fabs(h->sum) < most && h->count < most &&
	    h->zero_count < most))
		return true;
	for (uint32_t i = 0; i < h->pos.n; i++)
		if (!(__builtin_fabs(h->pos.counts[i]) < most))
			return true;
	for (uint32_t i = 0; i < h->neg.n; i++)
		if (!(__builtin_fabs(h->neg.counts[i]) < most))
			return true;
	return false;
}

int
hist_acc_add(struct hist_acc_env *env, struct hist_acc *x,
    const struct fhist *h, double count)
{
	struct fhist *sum = x->sum, *comp = x->comp, *kept_comp = x->comp;

	if (x->incompatible)
		return 0;
	track_hint(x, h);
	if (count != 0 && x->mean != NULL)
		return add_mean(env, x, h, count) == -1 ? -1 : 0;
	bool careful = count != 0 && (may_overflow(sum) || may_overflow(h));
	if (careful) {
		sum = fhist_copy(env->a, x->sum);
		if (comp != NULL)
			comp = fhist_copy(env->a, comp);
		if (sum == NULL || (kept_comp != NULL && comp == NULL))
			return q_nomem(env->q);
		x->comp = comp;
	}
	int rc = add(env, x, sum, h);
	if (rc != 1)
		return rc;
	if (!careful || !fhist_has_overflow(sum)) {
		x->sum = sum;
		return 0;
	}
	x->comp = kept_comp;
	x->mean = x->sum;
	fhist_div(x->mean, count - 1);
	if (x->comp != NULL)
		fhist_div(x->comp, count - 1);
	return add_mean(env, x, h, count) == -1 ? -1 : 0;
}

int
hist_acc_finish(struct hist_acc_env *env, struct hist_acc *x, double count,
    struct fhist **out)
{
	struct fhist *h = x->mean != NULL ? x->mean : x->sum;
	struct fhist_note note;

	if (x->incompatible)
		return 0;
	if (count != 0 && x->mean == NULL) {
		fhist_div(h, count);
		if (x->comp != NULL)
			fhist_div(x->comp, count);
	}
	if (x->comp != NULL &&
	    fhist_add(env->a, h, x->comp, &note) == FHIST_NOMEM)
		return q_nomem(env->q);
	if (fhist_compact(env->a, h) == -1)
		return q_nomem(env->q);
	if (x->reset_seen && x->not_reset_seen)
		annos_str(&env->q->annos, ANNO_RESET_COLLISION, env->pos,
		    STR_LIT("aggregation"));
	*out = h;
	return 1;
}
