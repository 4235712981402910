/* SPDX-License-Identifier: ISC */

/*
 * What must be known before an expression is evaluated: values that depend
 * on the times of the query only, which parts are the same at every step,
 * what time range each selector reads.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <string.h>

#include "common/promql/share.h"

struct plan {
	struct query	*q;
	struct arena	*a;
	int64_t		 start_ms, end_ms, step_ms;
	int		 rc;
};

static int
fail(struct plan *p, const struct promql_expr *e, const char *what)
{
	return p->rc = q_fail(p->q, "%d:%d: %s", e->pos.start, e->pos.end,
	    what);
}

/* --- duration expressions --- */

static double
duration_value(struct plan *p, const struct promql_expr *e)
{
	if (e->type == PROMQL_NUMBER)
		return e->number.val;
	if (e->type == PROMQL_PAREN)
		return duration_value(p, e->inner);
	if (e->type != PROMQL_DURATION) {
		(void)fail(p, e, "unexpected duration expression");
		return 0;
	}
	double l = 0, r = 0;
	if (e->duration.lhs != NULL)
		l = duration_value(p, e->duration.lhs);
	if (e->duration.rhs != NULL)
		r = duration_value(p, e->duration.rhs);
	switch (e->duration.op) {
	case PROMQL_OP_STEP:
		return (double)p->step_ms / 1000;
	case PROMQL_OP_RANGE:
		return (double)(p->end_ms - p->start_ms) / 1000;
	case PROMQL_OP_MIN_OF:
		return fmin(l, r);
	case PROMQL_OP_MAX_OF:
		return fmax(l, r);
	case PROMQL_OP_ADD:
		return e->duration.lhs == NULL ? r : l + r;
	case PROMQL_OP_SUB:
		return e->duration.lhs == NULL ? -r : l - r;
	case PROMQL_OP_MUL:
		return l * r;
	case PROMQL_OP_DIV:
		if (r == 0 && p->rc == 0)
			(void)fail(p, e, "division by zero");
		return l / r;
	case PROMQL_OP_MOD:
		if (r == 0 && p->rc == 0)
			(void)fail(p, e, "modulo by zero");
		return fmod(l, r);
	case PROMQL_OP_POW:
		return pow(l, r);
	case PROMQL_OP_NONE:
		/* parentheses only */
		return e->duration.lhs != NULL ? l : r;
	default:
		(void)fail(p, e, "unexpected duration expression operator");
		return 0;
	}
}

static void
duration_resolve(struct plan *p, const struct promql_expr *e, bool negative_ok,
    int64_t *ns)
{
	if (e == NULL || p->rc == -1)
		return;
	double v = duration_value(p, e);
	if (p->rc == -1)
		return;
	if (isnan(v) || isinf(v))
		(void)fail(p, e, "duration is NaN or infinite");
	else if (v <= 0 && !negative_ok)
		(void)fail(p, e, "duration must be greater than 0");
	else if (v > 9223372036.0 || v < -9223372036.0)
		(void)fail(p, e, "duration is out of range");
	else
		*ns = (int64_t)(v * 1000) * 1000000;
}

static bool
durations_visit(struct promql_expr *e, void *arg)
{
	struct plan *p = arg;

	switch (e->type) {
	case PROMQL_VECTOR:
		duration_resolve(p, e->vector.mod.offset_expr, true,
		    &e->vector.mod.offset_ns);
		break;
	case PROMQL_MATRIX:
		duration_resolve(p, e->matrix.range_expr, false,
		    &e->matrix.range_ns);
		break;
	case PROMQL_SUBQUERY:
		duration_resolve(p, e->subquery.mod.offset_expr, true,
		    &e->subquery.mod.offset_ns);
		duration_resolve(p, e->subquery.step_expr, false,
		    &e->subquery.step_ns);
		duration_resolve(p, e->subquery.range_expr, false,
		    &e->subquery.range_ns);
		break;
	default:
		break;
	}
	return p->rc == 0;
}

/* --- calls that are constants of the query --- */

static void
to_number(struct promql_expr *e, double v)
{
	e->type = PROMQL_NUMBER;
	e->number.val = v;
	e->number.is_duration = false;
}

static bool
fold_visit(struct promql_expr *e, void *arg)
{
	struct plan *p = arg;

	if (e->type != PROMQL_CALL)
		return true;
	switch (e->call.func->id) {
	case PROMQL_FN_START:
		to_number(e, (double)p->start_ms / 1000);
		break;
	case PROMQL_FN_END:
		to_number(e, (double)p->end_ms / 1000);
		break;
	case PROMQL_FN_RANGE:
		to_number(e, (double)(p->end_ms - p->start_ms) / 1000);
		break;
	case PROMQL_FN_STEP:
		to_number(e, p->start_ms == p->end_ms ? 0 :
		    (double)p->step_ms / 1000);
		break;
	default:
		break;
	}
	return true;
}

/* --- the same at every step --- */

/* Beyond all data; offsets and ranges (at most 292 years) can be added. */
#define AT_MAX_MS	(INT64_MAX / 4)

static void
resolve_at(struct plan *p, struct promql_modifiers *m)
{
	if (m->at == PROMQL_AT_START)
		m->at_ms = p->start_ms;
	else if (m->at == PROMQL_AT_END)
		m->at_ms = p->end_ms;
	else if (m->at == PROMQL_AT_TIME) {
		m->at_ms = m->at_ms < -AT_MAX_MS ? -AT_MAX_MS :
		    m->at_ms > AT_MAX_MS ? AT_MAX_MS : m->at_ms;
		return;
	} else
		return;
	m->at = PROMQL_AT_TIME;
}

static void
unparen(struct promql_expr **e)
{
	while (*e != NULL && (*e)->type == PROMQL_PAREN)
		*e = (*e)->inner;
}

static void
wrap(struct plan *p, struct promql_expr **e)
{
	struct promql_expr *w = promql_expr_new(p->a, PROMQL_STEP_INVARIANT,
	    (*e)->pos);

	if (w == NULL) {
		p->rc = q_nomem(p->q);
		return;
	}
	w->inner = *e;
	*e = w;
}

/* Functions of the evaluation time, whatever their arguments. */
static bool
depends_on_time(enum promql_func_id id)
{
	switch (id) {
	case PROMQL_FN_DAYS_IN_MONTH:
	case PROMQL_FN_DAY_OF_MONTH:
	case PROMQL_FN_DAY_OF_WEEK:
	case PROMQL_FN_DAY_OF_YEAR:
	case PROMQL_FN_HOUR:
	case PROMQL_FN_MINUTE:
	case PROMQL_FN_MONTH:
	case PROMQL_FN_YEAR:
	case PROMQL_FN_PREDICT_LINEAR:
	case PROMQL_FN_TIME:
	case PROMQL_FN_TIMESTAMP:
		return true;
	default:
		return false;
	}
}

/* Is e the same at every step, and is it worth a wrapper of its own? */
struct invariance {
	bool	same;
	bool	wrap;
};

static struct invariance invariant(struct plan *p, struct promql_expr *e);

static struct invariance
invariant_call(struct plan *p, struct promql_expr *e)
{
	enum promql_func_id id = e->call.func->id;
	bool same = !depends_on_time(id);
	bool timestamps = id == PROMQL_FN_TIMESTAMP;
	uint64_t wraps = 0;

	for (size_t i = 0; i < e->call.n_args; i++) {
		unparen(&e->call.args[i]);
		struct invariance x = invariant(p, e->call.args[i]);

		if (x.wrap && i < 64)
			wraps |= (uint64_t)1 << i;
		same = same && x.same;
		if (!x.same || e->call.args[i]->type != PROMQL_VECTOR)
			timestamps = false;
	}
	if (same || timestamps)
		return (struct invariance){ true, true };
	for (size_t i = 0; i < e->call.n_args && i < 64; i++)
		if (wraps >> i & 1)
			wrap(p, &e->call.args[i]);
	return (struct invariance){ false, false };
}

static struct invariance
invariant(struct plan *p, struct promql_expr *e)
{
	struct invariance l, r;

	switch (e->type) {
	case PROMQL_VECTOR:
		resolve_at(p, &e->vector.mod);
		l.same = l.wrap = e->vector.mod.at == PROMQL_AT_TIME;
		return l;
	case PROMQL_MATRIX:
		l = invariant(p, e->matrix.selector);
		l.wrap = false;
		return l;
	case PROMQL_SUBQUERY:
		l = invariant(p, e->subquery.expr);
		if (l.same)
			wrap(p, &e->subquery.expr);
		resolve_at(p, &e->subquery.mod);
		l.same = e->subquery.mod.at == PROMQL_AT_TIME;
		l.wrap = false;
		return l;
	case PROMQL_AGGREGATE:
		unparen(&e->agg.expr);
		unparen(&e->agg.param);
		if (e->agg.param != NULL &&
		    promql_expr_type(e->agg.param) != PROMQL_TYPE_STRING) {
			/*
			 * As the reference: a changing parameter does not
			 * count when the vector stays the same.
			 */
			l = invariant(p, e->agg.expr);
			r = invariant(p, e->agg.param);
			if (!l.same && r.wrap)
				wrap(p, &e->agg.param);
			return l;
		}
		return invariant(p, e->agg.expr);
	case PROMQL_BINARY:
		l = invariant(p, e->binary.lhs);
		r = invariant(p, e->binary.rhs);
		if (l.same && r.same)
			return (struct invariance){ true, true };
		if (l.wrap)
			wrap(p, &e->binary.lhs);
		if (r.wrap)
			wrap(p, &e->binary.rhs);
		return (struct invariance){ false, false };
	case PROMQL_CALL:
		return invariant_call(p, e);
	case PROMQL_PAREN:
		return invariant(p, e->inner);
	case PROMQL_UNARY:
		return invariant(p, e->unary.expr);
	case PROMQL_NUMBER:
	case PROMQL_STRING:
		return (struct invariance){ true, false };
	default:
		return (struct invariance){ false, false };
	}
}

/* --- time ranges of selectors --- */

/* What lies between the root and a node. */
struct path {
	int64_t		subq_offset_ns;
	int64_t		subq_range_ns;
	bool		subq_at;
	int64_t		subq_at_ms;
	int64_t		interval_ms;	/* of the innermost subquery */
	int64_t		range_ns;	/* of the matrix selector */
	bool		stats_only;	/* see below */
	bool		whole;		/* something above needs buckets */
};

static void
plan_vector(struct plan *p, struct promql_expr *e, const struct path *path)
{
	struct query *q = p->q;
	int64_t start = p->start_ms, end = p->end_ms;
	struct select_plan *s = arena_zalloc(p->a, sizeof(*s));

	if (s == NULL) {
		p->rc = q_nomem(q);
		return;
	}
	if (path->subq_at)
		start = end = path->subq_at_ms;
	if (e->vector.mod.at == PROMQL_AT_TIME)
		start = end = e->vector.mod.at_ms;
	else {
		int64_t off = promql_ns_to_ms(path->subq_offset_ns);

		start -= off + promql_ns_to_ms(path->subq_range_ns);
		end -= off;
	}
	int64_t range = promql_ns_to_ms(path->range_ns);
	if (range == 0)
		start -= q->lookback_ms - 1;
	else if (e->vector.anchored || e->vector.smoothed)
		start -= q->lookback_ms + range - 1;
	else
		start -= range - 1;
	if (e->vector.smoothed)
		end += q->lookback_ms;
	int64_t off = promql_ns_to_ms(e->vector.mod.offset_ns);
	s->mint_ms = start - off;
	s->maxt_ms = end - off;
	s->range_ms = range;
	s->step_ms = path->interval_ms != 0 ? path->interval_ms : p->step_ms;
	s->stats_only = path->stats_only && !path->whole;
	e->plan = s;
}

static void
plan_ranges(struct plan *p, struct promql_expr *e, struct path path)
{
	struct promql_expr *c;

	switch (e->type) {
	case PROMQL_VECTOR:
		plan_vector(p, e, &path);
		return;
	case PROMQL_MATRIX:
		path.range_ns = e->matrix.range_ns;
		plan_vector(p, e->matrix.selector, &path);
		return;
	case PROMQL_SUBQUERY: {
		const struct promql_modifiers *m = &e->subquery.mod;

		if (m->at == PROMQL_AT_TIME) {
			path.subq_at = true;
			path.subq_at_ms = m->at_ms;
			path.subq_offset_ns = path.subq_range_ns = 0;
		}
		path.subq_offset_ns += m->offset_ns;
		path.subq_range_ns += e->subquery.range_ns;
		path.interval_ms = e->subquery.step_ns != 0 ?
		    promql_ns_to_ms(e->subquery.step_ns) :
		    p->q->subquery_step_ms;
		/* resets must be found in what the subquery makes */
		path.stats_only = false;
		path.whole = true;
		break;
	}
	case PROMQL_CALL:
		switch (e->call.func->id) {
		case PROMQL_FN_HISTOGRAM_COUNT:
		case PROMQL_FN_HISTOGRAM_SUM:
		case PROMQL_FN_HISTOGRAM_AVG:
			path.stats_only = true;
			path.whole = false;
			break;
		case PROMQL_FN_HISTOGRAM_QUANTILE:
		case PROMQL_FN_HISTOGRAM_QUANTILES:
		case PROMQL_FN_HISTOGRAM_FRACTION:
			path.stats_only = false;
			path.whole = true;
			break;
		default:
			break;
		}
		break;
	case PROMQL_BINARY:
		if (e->binary.op == PROMQL_OP_TRIM_UPPER ||
		    e->binary.op == PROMQL_OP_TRIM_LOWER) {
			path.stats_only = false;
			path.whole = true;
		}
		break;
	default:
		break;
	}
	for (size_t i = 0; p->rc == 0 &&
	    (c = promql_expr_child(e, i)) != NULL; i++)
		plan_ranges(p, c, path);
}

/* --- does the query make labels of its own? --- */

static bool
labels_visit(struct promql_expr *e, void *arg)
{
	bool *makes = arg;

	if (e->type == PROMQL_AGGREGATE && e->agg.op == PROMQL_AGG_COUNT_VALUES)
		*makes = true;
	if (e->type != PROMQL_CALL)
		return true;
	switch (e->call.func->id) {
	case PROMQL_FN_LABEL_REPLACE:
	case PROMQL_FN_LABEL_JOIN:
	case PROMQL_FN_ABSENT:
	case PROMQL_FN_ABSENT_OVER_TIME:
	case PROMQL_FN_HISTOGRAM_QUANTILES:
	case PROMQL_FN_INFO:
		*makes = true;
		break;
	default:
		break;
	}
	return true;
}

int
plan_query(struct query *q, struct promql_expr **e, struct arena *a,
    int64_t start_ms, int64_t end_ms, int64_t step_ms)
{
	struct plan p = { q, a, start_ms, end_ms, step_ms, 0 };
	struct path path = { .interval_ms = 0 };

	promql_expr_walk(*e, fold_visit, &p);
	promql_expr_walk(*e, durations_visit, &p);
	if (p.rc == -1 || plan_rewrite(q, *e, a) == -1)
		return -1;
	promql_expr_walk(*e, labels_visit, &q->interned);
	struct invariance x = invariant(&p, *e);
	if (x.wrap && p.rc == 0)
		wrap(&p, e);
	if (p.rc == 0)
		plan_ranges(&p, *e, path);
	return p.rc == 0 ? share_plan(q, *e, a) : -1;
}
