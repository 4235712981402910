/* SPDX-License-Identifier: ISC */

/*
 * Calls of range functions: selects (or evaluates a subquery), decodes one
 * series after the other and moves the window over its samples.
 */

#include "common/promql/range.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/select.h"

void
range_note(struct rcall *c, enum anno_kind kind)
{
	annos_str(&c->q->annos, kind, c->pos, q_metric_name(c->q, c->ls));
}

void
range_note_op(struct rcall *c, enum anno_kind kind, const char *op)
{
	annos_str(&c->q->annos, kind, c->pos, str_c(op));
}

bool
range_is_mixed(struct rcall *c, const struct rwin *w)
{
	if (w->n == 0 || w->nh == 0)
		return false;
	if (!c->noted_mixed)
		range_note(c, ANNO_MIXED_FLOATS_HISTOGRAMS);
	c->noted_mixed = true;
	return true;
}

int
range_scratch(struct rcall *c, size_t n)
{
	if (n <= c->scratch_cap)
		return 0;
	double *p = realloc(c->scratch, n * 2 * sizeof(*p));
	if (p == NULL)
		return q_nomem(c->q);
	c->scratch = p;
	c->scratch_cap = n * 2;
	return 0;
}

/* --- one series --- */

/* Samples looked at between two checks for cancellation. */
#define CHECK_SAMPLES	65536

static int
account_window(struct rcall *c, size_t n_samples, uint64_t *most)
{
	if (n_samples <= *most)
		return 0;
	*most = n_samples;
	if (c->q->cur_samples + n_samples > c->q->peak_samples)
		c->q->peak_samples = c->q->cur_samples + n_samples;
	if (c->q->cur_samples + n_samples > c->q->max_samples)
		return q_too_many(c->q);
	return 0;
}

static uint64_t
hist_samples(const struct rwin *w)
{
	uint64_t n = 0;

	for (size_t i = 0; i < w->nh; i++)
		n += fhist_samples(w->h[i]);
	return n;
}

static int
run_windows(struct rcall *c, const struct samples *s, bool subquery)
{
	struct evaluator *ev = c->ev;
	range_fn fn = range_function(c->id);
	size_t lo = 0, hi = 0, hlo = 0, hhi = 0;
	uint64_t most = 0, work = 0;

	if (fn == NULL)
		return q_fail(c->q, "unexpected function %s",
		    c->call->call.func->name);
	for (uint32_t step = 0; step < ev->n_steps; step++) {
		struct rwin w = { .step = step, .ts_ms = ev_time(ev, step) };
		size_t old_hi = hi, old_hhi = hhi;

		w.end_ms = select_ref_ms(ev, c->mod, step);
		w.start_ms = w.end_ms - c->range_ms;
		int64_t mint = w.start_ms - c->extend_before_ms;
		int64_t maxt = w.end_ms + c->extend_after_ms;
		while (hi < s->n && s->t[hi] <= maxt)
			hi++;
		while (lo < hi && s->t[lo] <= mint)
			lo++;
		while (hhi < s->nh && s->ht[hhi] <= maxt)
			hhi++;
		while (hlo < hhi && s->ht[hlo] <= mint)
			hlo++;
		w.n = hi - lo;
		w.nh = hhi - hlo;
		if (w.n + w.nh == 0)
			continue;
		if (w.n != 0) {
			w.t = s->t + lo;
			w.v = s->v + lo;
			w.st = s->want_st ? s->st + lo : NULL;
		}
		if (w.nh != 0) {
			w.ht = s->ht + hlo;
			w.h = s->h + hlo;
			w.hst = s->want_st ? s->hst + hlo : NULL;
		}
		uint64_t total = w.n + (w.nh != 0 ? hist_samples(&w) : 0);
		uint64_t read = 0;
		if (!subquery) {
			size_t from = old_hi > lo ? old_hi : lo;

			read = hi - from;
			for (size_t i = old_hhi > hlo ? old_hhi : hlo; i < hhi;
			    i++)
				read += fhist_samples(s->h[i]);
		}
		q_stat_step(c->q, ev, step, total, read);
		if (account_window(c, total, &most) == -1)
			return -1;

		double v;
		struct fhist *h;
		enum rresult r = fn(c, &w, &v, &h);
		if (r == R_FLOAT)
			pbuf_float(&c->buf, step, v);
		else if (r == R_HIST) {
			if (pbuf_hist(&c->buf, step, h) == -1)
				return -1;
		} else if (r == R_ERROR)
			return -1;
		work += total + 16;
		if (work > CHECK_SAMPLES) {
			work = 0;
			if (q_check(c->q) == -1)
				return -1;
		}
	}
	return 0;
}

static bool
looks_like_counter(struct str name)
{
	return str_has_suffix(name, STR_LIT("_total")) ||
	    str_has_suffix(name, STR_LIT("_sum")) ||
	    str_has_suffix(name, STR_LIT("_count")) ||
	    str_has_suffix(name, STR_LIT("_bucket"));
}

/* rate and increase of what does not call itself a counter. */
static void
note_non_counter(struct rcall *c)
{
	struct query *q = c->q;
	struct str name = q_metric_name(q, c->ls);

	if (name.n == 0)
		return;
	if (q->features & PROMQL_TYPE_AND_UNIT_LABELS) {
		struct str type = lset_get(q->syms, c->ls,
		    STR_LIT("__type__"));

		if (!str_eq_c(type, "counter") && !str_eq_c(type, "histogram"))
			annos_add(&q->annos, ANNO_POSSIBLE_NON_COUNTER_TYPE,
			    c->pos, name, type, 0, 0);
	} else if (!looks_like_counter(name))
		annos_str(&q->annos, ANNO_POSSIBLE_NON_COUNTER, c->pos, name);
}

static bool
keeps_name(enum promql_func_id id)
{
	return id == PROMQL_FN_LAST_OVER_TIME ||
	    id == PROMQL_FN_FIRST_OVER_TIME;
}

struct range_stage {
	struct rcall		 c;
	struct samples		 s;
	series_sink		 sink;
	void			*ctx;
	bool			 one_name;	/* see has_one_name */
	struct evaluator	 sub;	/* of a subquery */
};

/*
 * Series of one metric stay distinct without their name: nobody needs to
 * look for equal label sets. When more than the name is dropped after all
 * (types, units), the query runs again and looks.
 */
static bool
has_one_name(const struct query *q, const struct promql_expr *arg)
{
	if (arg->type != PROMQL_MATRIX || q->collect ||
	    (q->features & PROMQL_TYPE_AND_UNIT_LABELS))
		return false;
	const struct promql_expr *v = arg->matrix.selector;
	for (size_t i = 0; i < v->vector.n_matchers; i++) {
		const struct matcher *m = &v->vector.matchers[i];

		if (m->type == MATCH_EQUAL && m->value.n != 0 &&
		    str_eq_c(m->name, "__name__"))
			return true;
	}
	return false;
}

static int
run_series(struct range_stage *x, bool drop_name, bool subquery)
{
	struct rcall *c = &x->c;
	struct pseries *out = &c->buf.s;

	pbuf_reset(&c->buf);
	c->noted_mixed = false;
	int done = subquery ? 0 : range_kernel(c, &x->s);
	if (done == -1 || (done == 0 && run_windows(c, &x->s, subquery) == -1))
		return -1;
	if ((c->id == PROMQL_FN_RATE || c->id == PROMQL_FN_INCREASE) &&
	    out->n_floats > 0)
		note_non_counter(c);
	if (out->n_floats + out->n_hists == 0)
		return 0;
	out->ls = c->ls;
	out->drop_name = drop_name;
	if (!keeps_name(c->id) || drop_name) {
		if (series_drop_name(c->q, out) == -1)
			return -1;
	}
	if (x->one_name && c->ls.n - out->ls.n > 1) {
		c->q->retry = true;
		return -1;
	}
	return x->sink(x->ctx, out);
}

/* --- selectors --- */

static int
run_selector(struct range_stage *x, struct promql_expr *vector)
{
	const struct select_plan *p = plan_of(vector);
	struct query *q = x->c.q;
	struct source_cursor *cur;
	struct source_series ser;
	int rc;

	if (select_start(q, vector, &cur) == -1)
		return -1;
	x->s.stats_only = p->stats_only;
	while ((rc = select_next(q, cur, &ser)) == 1) {
		if (samples_read(&x->s, &ser, p->mint_ms, p->maxt_ms, true) ==
		    -1)
			return -1;
		if (x->s.n + x->s.nh == 0)
			continue;
		x->c.ls = symtab_import(q->syms, ser.labels, ser.n_labels);
		if (x->c.ls.l == NULL && x->c.ls.n > 0)
			return q_nomem(q);
		if (run_series(x, false, false) == -1)
			return -1;
	}
	return rc;
}

/* --- subqueries --- */

int
subquery_evaluator(const struct evaluator *ev, const struct promql_expr *e,
    struct evaluator *out)
{
	const struct promql_modifiers *m = &e->subquery.mod;
	int64_t off = promql_ns_to_ms(m->offset_ns);
	int64_t range = promql_ns_to_ms(e->subquery.range_ns);
	int64_t interval = e->subquery.step_ns != 0 ?
	    promql_ns_to_ms(e->subquery.step_ns) : ev->q->subquery_step_ms;
	int64_t first = ev->start_ms, last;

	if (interval <= 0)
		interval = 1;
	if (m->at == PROMQL_AT_TIME)
		first = last = m->at_ms;
	else
		last = ev_time(ev, ev->n_steps - 1);
	int64_t from = first - off - range;
	int64_t start = interval * (from / interval);
	if (start <= from)
		start += interval;
	if (ev_init(out, ev->q, start, last - off, interval) == -1)
		return -1;
	out->in_subquery = true;
	return 0;
}

static int
subquery_sink(void *ctx, struct pseries *in)
{
	struct range_stage *x = ctx;
	struct samples *s = &x->s;

	samples_reset(s);
	for (uint32_t i = 0; i < x->sub.n_steps; i++) {
		if (in->kind[i] == K_NONE)
			continue;
		int64_t t = ev_time(&x->sub, i);

		if (in->kind[i] == K_FLOAT) {
			if (samples_add_float(s, t, in->v[i]) == -1)
				return -1;
			continue;
		}
		struct fhist *h = arena_alloc(&s->hmem, sizeof(*h));
		if (h == NULL)
			return q_nomem(x->c.q);
		*h = *in->h[i];
		/* what the subquery left out may have been a reset */
		if (h->hint == FHIST_RESET || h->hint == FHIST_NOT_RESET)
			h->hint = FHIST_UNKNOWN;
		if (samples_add_hist(s, t, h) == -1)
			return -1;
	}
	if (s->n + s->nh == 0)
		return 0;
	x->c.ls = in->ls;
	return run_series(x, in->drop_name, true);
}

static int
run_subquery(struct range_stage *x, struct promql_expr *e)
{
	if (subquery_evaluator(x->c.ev, e, &x->sub) == -1)
		return -1;
	return eval_push(&x->sub, e->subquery.expr, subquery_sink, x);
}

/* --- the call --- */

static int
check_extended(struct rcall *c)
{
	bool rates = c->id == PROMQL_FN_RATE || c->id == PROMQL_FN_INCREASE ||
	    c->id == PROMQL_FN_DELTA;

	if (c->anchored && !rates && c->id != PROMQL_FN_RESETS &&
	    c->id != PROMQL_FN_CHANGES)
		return q_fail(c->q, "anchored modifier can only be used with: "
		    "changes, delta, increase, rate, resets - not with %s",
		    c->call->call.func->name);
	if (c->smoothed && !rates)
		return q_fail(c->q, "smoothed modifier can only be used with: "
		    "delta, increase, rate - not with %s",
		    c->call->call.func->name);
	return 0;
}

static int
eval_params(struct rcall *c, size_t matrix_arg)
{
	size_t k = 0;

	for (size_t i = 0; i < c->call->call.n_args && k < 3; i++) {
		if (i == matrix_arg)
			continue;
		c->params[k] = malloc(c->ev->n_steps * sizeof(double));
		if (c->params[k] == NULL)
			return q_nomem(c->q);
		if (eval_scalar(c->ev, c->call->call.args[i], c->params[k]) ==
		    -1)
			return -1;
		k++;
	}
	return 0;
}

static void
set_range(struct rcall *c, const struct promql_expr *arg)
{
	int64_t range_ns = arg->type == PROMQL_SUBQUERY ?
	    arg->subquery.range_ns : arg->matrix.range_ns;

	c->range_ms = promql_ns_to_ms(range_ns);
	c->range_s = (double)range_ns / 1e9;
	if (arg->type == PROMQL_SUBQUERY) {
		c->mod = &arg->subquery.mod;
		return;
	}
	const struct promql_expr *v = arg->matrix.selector;
	c->mod = &v->vector.mod;
	c->anchored = v->vector.anchored;
	c->smoothed = v->vector.smoothed;
	if (c->anchored || c->smoothed)
		c->extend_before_ms = c->q->lookback_ms;
	if (c->smoothed)
		c->extend_after_ms = c->q->lookback_ms;
}

static bool
wants_start_times(const struct rcall *c)
{
	return c->q->use_st && (c->id == PROMQL_FN_RATE ||
	    c->id == PROMQL_FN_IRATE || c->id == PROMQL_FN_INCREASE ||
	    c->id == PROMQL_FN_RESETS);
}

int
eval_range_call(struct evaluator *ev, struct promql_expr *e,
    size_t matrix_arg, series_sink sink, void *ctx)
{
	struct promql_expr *arg = e->call.args[matrix_arg];
	struct query *q = ev->q;
	struct range_stage x = { .sink = dedup_sink };
	struct rcall *c = &x.c;
	struct dedup d;
	/* absent_over_time only counts */
	bool dedup = e->call.func->id != PROMQL_FN_ABSENT_OVER_TIME;
	int rc = -1;

	c->ev = ev;
	c->q = q;
	c->call = e;
	c->id = e->call.func->id;
	/* a subquery loses its position before the function sees it */
	c->pos = e->call.args[0]->type == PROMQL_SUBQUERY ? 0 :
	    e->call.args[0]->pos.start;
	set_range(c, arg);
	if (pbuf_init(&c->buf, q, ev->n_steps) == -1)
		return -1;
	wgrid_init(&c->grid, ev, c->mod, c->range_ms);
	samples_init(&x.s, q);
	x.s.want_st = wants_start_times(c);
	dedup_init(&d, q, ev->n_steps, true, sink, ctx);
	x.ctx = &d;
	x.one_name = has_one_name(q, arg);
	if (!dedup || x.one_name) {
		x.sink = sink;
		x.ctx = ctx;
	}
	if (check_extended(c) == 0 && eval_params(c, matrix_arg) == 0)
		rc = arg->type == PROMQL_SUBQUERY ? run_subquery(&x, arg) :
		    run_selector(&x, arg->matrix.selector);
	if (rc == 0)
		rc = dedup_finish(&d);
	dedup_clear(&d);
	samples_clear(&x.s);
	pbuf_clear(&c->buf);
	rate_cols_free(c);
	wgrid_clear(&c->grid);
	free(c->scratch);
	for (int i = 0; i < 3; i++)
		free(c->params[i]);
	return rc;
}
