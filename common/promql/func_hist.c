/* SPDX-License-Identifier: ISC */

/* Statistics of native histograms, sample by sample; floats are left out. */

#include "common/promql/eval.h"

#include <math.h>

struct hist_stat {
	struct evaluator	*ev;
	enum promql_func_id	 id;
	struct dedup		 dedup;
};

static double
statistic(enum promql_func_id id, const struct fhist *h)
{
	switch (id) {
	case PROMQL_FN_HISTOGRAM_COUNT:
		return h->count;
	case PROMQL_FN_HISTOGRAM_SUM:
		return h->sum;
	case PROMQL_FN_HISTOGRAM_AVG:
		return h->sum / h->count;
	case PROMQL_FN_HISTOGRAM_STDVAR:
		return fhist_variance(h);
	default:
		return sqrt(fhist_variance(h));
	}
}

static int
hist_stat_sink(void *ctx, struct pseries *s)
{
	struct hist_stat *x = ctx;
	struct query *q = x->ev->q;

	if (s->n_hists == 0)
		return 0;
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] == K_HIST) {
			s->v[i] = statistic(x->id, s->h[i]);
			s->kind[i] = K_FLOAT;
		} else
			s->kind[i] = K_NONE;
	}
	s->n_floats = s->n_hists;
	s->n_hists = 0;
	s->drop_name = true;
	if (!q->delayed_names) {
		/* the other reserved labels stay with these functions */
		s->ls = lset_filter(q->mem, s->ls, &q->name_only, false);
		if (s->ls.l == NULL && s->ls.n > 0)
			return q_nomem(q);
	}
	return dedup_sink(&x->dedup, s);
}

int
eval_call_hist(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct hist_stat x = { .ev = ev, .id = e->call.func->id };
	int rc;

	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	rc = eval_push(ev, e->call.args[0], hist_stat_sink, &x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	dedup_clear(&x.dedup);
	return rc;
}
