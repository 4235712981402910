/* SPDX-License-Identifier: ISC */

/*
 * Instant vector selectors: at each step the newest sample not older than
 * the lookback delta, unless it is a stale marker. Smoothed selectors
 * interpolate between the samples around the step instead.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/bytes.h"
#include "common/promql/interpolate.h"
#include "common/promql/lanes.h"
#include "common/promql/samples.h"
#include "common/promql/select.h"

int
select_start(struct query *q, struct promql_expr *vector,
    struct source_cursor **out)
{
	const struct select_plan *p = plan_of(vector);
	size_t n = vector->vector.n_matchers;
	const struct matcher **m = arena_array(q->mem, n + 1, sizeof(*m));
	struct source_hints hints = { .mint_ms = p->mint_ms,
	    .maxt_ms = p->maxt_ms, .step_ms = p->step_ms,
	    .range_ms = p->range_ms };

	if (m == NULL)
		return q_nomem(q);
	for (size_t i = 0; i < n; i++)
		m[i] = &vector->vector.matchers[i];
	return select_matchers(q, m, n, &hints, out);
}

int
select_matchers(struct query *q, const struct matcher *const *m, size_t n,
    const struct source_hints *hints, struct source_cursor **out)
{
	struct err e = ERR_INIT;

	if (q->src->ops->select(q->src, m, n, hints, out, &e) == -1) {
		if (e.kind == ERR_LIMIT || e.kind == ERR_NOMEM)
			return q_nomem(q);
		*q->err = e;
		return err_wrap(q->err, "expanding series");
	}
	return 0;
}

int
select_next(struct query *q, struct source_cursor *c,
    struct source_series *out)
{
	struct err e = ERR_INIT;

	if (q_check(q) == -1)
		return -1;
	int rc = q->src->ops->next(c, out, &e);
	if (rc == -1) {
		if (e.kind == ERR_LIMIT || e.kind == ERR_NOMEM)
			return q_nomem(q);
		*q->err = e;
		return err_wrap(q->err, "expanding series");
	}
	return rc;
}

int64_t
select_ref_ms(const struct evaluator *ev, const struct promql_modifiers *m,
    uint32_t step)
{
	int64_t t = m->at == PROMQL_AT_TIME ? m->at_ms : ev_time(ev, step);

	return t - promql_ns_to_ms(m->offset_ns);
}

/* Floats without stale markers, values wanted: gathers them. */
HOT_CLONES
static void
gather(struct pseries *out, const double *v, const uint32_t *pick,
    uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		out->v[i] = v[pick[i]];
	memset(out->kind, K_FLOAT, n);
	out->n_floats = n;
}

int
instant_fill_floats(struct wgrid *g, const struct samples *s, struct pbuf *b)
{
	struct query *q = g->q;

	if (wgrid_pick(g, s->t, s->n) == -1)
		return -1;
	if (g->all)
		gather(&b->s, s->v, g->pick, g->n_steps);
	else
		for (uint32_t i = 0; i < g->n_steps; i++)
			if (g->pick[i] != WGRID_NONE)
				pbuf_float(b, i, s->v[g->pick[i]]);
	q->total_samples += b->s.n_floats;
	q->samples_read += b->s.n_floats;
	return q_samples(q, b->s.n_floats);
}

int
instant_fill(struct evaluator *ev, const struct samples *s,
    const struct promql_modifiers *m, struct pbuf *b, enum instant_what what)
{
	size_t i = 0, j = 0;	/* behind the last sample at or before ref */
	int64_t lookback = ev->q->lookback_ms;
	bool stats = ev->q->total_per_step != NULL;
	uint64_t total = 0;

	for (uint32_t step = 0; step < ev->n_steps; step++) {
		int64_t ref = select_ref_ms(ev, m, step);

		while (i < s->n && s->t[i] <= ref)
			i++;
		while (j < s->nh && s->ht[j] <= ref)
			j++;
		bool hist = j > 0 && (i == 0 || s->ht[j - 1] > s->t[i - 1]);
		if (i == 0 && !hist)
			continue;
		int64_t t = hist ? s->ht[j - 1] : s->t[i - 1];
		if (t <= ref - lookback && t != ref)
			continue;
		if (is_stale_nan(hist ? s->h[j - 1]->sum : s->v[i - 1]))
			continue;
		uint64_t n = hist && what == INSTANT_VALUE ?
		    fhist_samples(s->h[j - 1]) : 1;
		if (what == INSTANT_TIME)
			pbuf_float(b, step, (double)t / 1000);
		else if (what == INSTANT_TIME_MS)
			pbuf_float(b, step, (double)t);
		else if (what == INSTANT_START)
			pbuf_float(b, step, (double)(hist ? s->hst[j - 1] :
			    s->st[i - 1]) / 1000);
		else if (!hist)
			pbuf_float(b, step, s->v[i - 1]);
		else if (pbuf_hist(b, step, s->h[j - 1]) == -1)
			return -1;
		if (stats)
			q_stat_step(ev->q, ev, step, n, n);
		else
			total += n;
		if (hist && q_samples(ev->q, n - 1) == -1)
			return -1;
	}
	ev->q->total_samples += total;
	ev->q->samples_read += total;
	return q_samples(ev->q, b->s.n_floats + b->s.n_hists);
}

int
eval_vector_selector(struct evaluator *ev, struct promql_expr *e,
    series_sink sink, void *ctx)
{
	const struct select_plan *p = plan_of(e);
	struct query *q = ev->q;
	struct source_cursor *c;
	struct source_series ser;
	struct samples s;
	struct wgrid grid;
	struct pbuf b;
	int rc;

	if (select_start(q, e, &c) == -1 ||
	    pbuf_init(&b, q, ev->n_steps) == -1)
		return -1;
	samples_init(&s, q);
	s.stats_only = p->stats_only;
	wgrid_init(&grid, ev, &e->vector.mod, q->lookback_ms);
	while ((rc = select_next(q, c, &ser)) == 1) {
		if (samples_read(&s, &ser, p->mint_ms, p->maxt_ms, false) ==
		    -1) {
			rc = -1;
			break;
		}
		if (s.n + s.nh == 0)
			continue;
		pbuf_reset(&b);
		if (e->vector.smoothed)
			rc = smooth_fill(ev, &s, e, ser.labels, ser.n_labels,
			    &b);
		else if (s.nh == 0 && q->total_per_step == NULL &&
		    s.n < UINT32_MAX && !samples_has_stale(&s))
			rc = instant_fill_floats(&grid, &s, &b);
		else
			rc = instant_fill(ev, &s, &e->vector.mod, &b,
			    INSTANT_VALUE);
		if (rc == -1)
			break;
		if (b.s.n_floats + b.s.n_hists == 0)
			continue;
		b.s.ls = symtab_import(q->syms, ser.labels, ser.n_labels);
		if (b.s.ls.l == NULL && b.s.ls.n > 0) {
			rc = q_nomem(q);
			break;
		}
		rc = sink(ctx, &b.s);
		if (rc == -1)
			break;
	}
	samples_clear(&s);
	wgrid_clear(&grid);
	pbuf_clear(&b);
	return rc;
}

int
eval_timestamp_of(struct evaluator *ev, struct promql_expr *e,
    bool start_timestamp, series_sink sink, void *ctx)
{
	struct promql_expr *v = e->call.args[0];
	const struct select_plan *p = plan_of(v);
	struct promql_modifiers mod = v->vector.mod;
	struct query *q = ev->q;
	struct source_cursor *c;
	struct source_series ser;
	struct samples s;
	struct dedup d;
	struct pbuf b;
	int rc;

	if (start_timestamp && !q->use_st)
		return 0;
	/*
	 * With @ the reference looks at that time, whatever the offset, among
	 * the samples that it read for @ and offset (3.14,
	 * rangeEvalTimestampFunctionOverVectorSelector).
	 */
	if (mod.at == PROMQL_AT_TIME)
		mod.offset_ns = 0;
	if (select_start(q, v, &c) == -1 ||
	    pbuf_init(&b, q, ev->n_steps) == -1)
		return -1;
	samples_init(&s, q);
	s.want_st = start_timestamp;
	dedup_init(&d, q, ev->n_steps, false, sink, ctx);
	while ((rc = select_next(q, c, &ser)) == 1) {
		pbuf_reset(&b);
		if (samples_read(&s, &ser, p->mint_ms, p->maxt_ms, false) ==
		    -1 || instant_fill(ev, &s, &mod, &b,
		    start_timestamp ? INSTANT_START : INSTANT_TIME) == -1) {
			rc = -1;
			break;
		}
		if (b.s.n_floats == 0)
			continue;
		b.s.ls = symtab_import(q->syms, ser.labels, ser.n_labels);
		if (b.s.ls.l == NULL && b.s.ls.n > 0) {
			rc = q_nomem(q);
			break;
		}
		if (series_drop_name(q, &b.s) == -1 ||
		    dedup_sink(&d, &b.s) == -1) {
			rc = -1;
			break;
		}
	}
	if (rc == 0)
		rc = dedup_finish(&d);
	dedup_clear(&d);
	samples_clear(&s);
	pbuf_clear(&b);
	return rc;
}
