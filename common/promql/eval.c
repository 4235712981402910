/* SPDX-License-Identifier: ISC */

/*
 * The centre of the evaluation: who evaluates which kind of expression,
 * scalars, parentheses, negation, and what does not change between steps.
 */

#include "common/promql/eval.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/promql/share.h"

/* --- failing and accounts --- */

int
q_nomem(struct query *q)
{
	if (q->err->kind != ERR_NONE)
		return -1;
	if (q->mem->limit_bytes != 0)
		return err_set(q->err, ERR_EXECUTION, "query needs more "
		    "memory than its limit of %zu bytes",
		    q->mem->limit_bytes);
	return err_set(q->err, ERR_EXECUTION, "query is out of memory");
}

int
q_fail(struct query *q, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return err_set(q->err, ERR_EXECUTION, "%s", text);
}

int
q_too_many(struct query *q)
{
	return q_fail(q, "query processing would load too many samples into "
	    "memory in query execution");
}

int
q_check(struct query *q)
{
	if (q->src->ops->cancelled != NULL && q->src->ops->cancelled(q->src))
		return err_set(q->err, ERR_CANCELED,
		    "query was canceled in expression evaluation");
	/* the clock costs more than the flag */
	if (q->deadline.ns != 0 && (q->tick++ & 15) == 0 &&
	    mono_before(q->deadline, mono_now()))
		return err_set(q->err, ERR_TIMEOUT,
		    "query timed out in expression evaluation");
	return 0;
}

void
q_stat_step(struct query *q, const struct evaluator *ev, uint32_t step,
    uint64_t total, uint64_t read)
{
	q->total_samples += total;
	q->samples_read += read;
	if (q->total_per_step == NULL || ev->in_subquery)
		return;
	int64_t i = q->stats_step_ms == 0 ? 0 :
	    (ev_time(ev, step) - q->stats_start_ms) / q->stats_step_ms;
	if (i >= 0 && i < (int64_t)q->stats_n_steps) {
		q->total_per_step[i] += total;
		q->read_per_step[i] += read;
	}
}

void *
q_alloc(struct query *q, struct arena *a, size_t n, size_t size)
{
	void *p = arena_array(a, n, size);

	if (p == NULL)
		(void)q_nomem(q);
	return p;
}

int
ev_init(struct evaluator *ev, struct query *q, int64_t start_ms,
    int64_t end_ms, int64_t step_ms)
{
	*ev = (struct evaluator){ .q = q, .start_ms = start_ms,
	    .end_ms = end_ms, .step_ms = step_ms };
	if (end_ms < start_ms)
		return 0;
	uint64_t n = ((uint64_t)end_ms - (uint64_t)start_ms) /
	    (uint64_t)step_ms + 1;
	if (n > INT32_MAX)
		return q_too_many(q);
	/* every operator needs a few bytes a step: fail before touching them */
	size_t bytes = (size_t)n * 32;
	if (!arena_account(q->mem, bytes))
		return q_nomem(q);
	arena_release(q->mem, bytes);
	ev->n_steps = (uint32_t)n;
	return 0;
}

struct str
q_metric_name(struct query *q, struct lset ls)
{
	uint32_t value;

	return lset_find(ls, &q->name_only, &value) ?
	    symtab_text(q->syms, value) : STR_EMPTY;
}

int
q_drop_reserved(struct query *q, struct lset ls, struct lset *out)
{
	*out = lset_filter(q->mem, ls, &q->reserved, false);
	return out->l == NULL && out->n > 0 ? q_nomem(q) : 0;
}

int
series_drop_name(struct query *q, struct pseries *s)
{
	s->drop_name = true;
	return q->delayed_names ? 0 : q_drop_reserved(q, s->ls, &s->ls);
}

/* --- scalars --- */

/* scalar(v): the one float of each step, else NaN. */
struct scalar_of {
	struct evaluator	*ev;
	double			*out;
	uint8_t			*seen;
};

static int
scalar_of_sink(void *ctx, struct pseries *s)
{
	struct scalar_of *x = ctx;

	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] != K_FLOAT)
			continue;
		x->out[i] = x->seen[i] ? NAN : s->v[i];
		x->seen[i] = 1;
	}
	return 0;
}

static int
scalar_of_vector(struct evaluator *ev, struct promql_expr *arg, double *out)
{
	struct scalar_of x = { ev, out, calloc(ev->n_steps, 1) };

	if (x.seen == NULL)
		return q_nomem(ev->q);
	for (uint32_t i = 0; i < ev->n_steps; i++)
		out[i] = NAN;
	int rc = eval_push(ev, arg, scalar_of_sink, &x);
	free(x.seen);
	return rc;
}

/* Go's math.Max and math.Min. */
static double
go_max(double a, double b)
{
	if (isinf(a) && a > 0)
		return a;
	if (isinf(b) && b > 0)
		return b;
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == 0 && b == 0)
		return signbit(a) ? b : a;
	return a > b ? a : b;
}

static double
go_min(double a, double b)
{
	if (isinf(a) && a < 0)
		return a;
	if (isinf(b) && b < 0)
		return b;
	if (isnan(a) || isnan(b))
		return NAN;
	if (a == 0 && b == 0)
		return signbit(a) ? a : b;
	return a < b ? a : b;
}

static int
scalar_pair(struct evaluator *ev, struct promql_expr *l,
    struct promql_expr *r, double *out, double **right)
{
	*right = malloc(ev->n_steps * sizeof(double));
	if (*right == NULL)
		return q_nomem(ev->q);
	if (eval_scalar(ev, l, out) == -1 || eval_scalar(ev, r, *right) == -1) {
		free(*right);
		return -1;
	}
	return 0;
}

static int
scalar_call(struct evaluator *ev, struct promql_expr *e, double *out)
{
	double *right;

	switch (e->call.func->id) {
	case PROMQL_FN_TIME:
		for (uint32_t i = 0; i < ev->n_steps; i++)
			out[i] = (double)ev_time(ev, i) / 1000;
		return 0;
	case PROMQL_FN_PI:
		for (uint32_t i = 0; i < ev->n_steps; i++)
			out[i] = M_PI;
		return 0;
	case PROMQL_FN_SCALAR:
		return scalar_of_vector(ev, e->call.args[0], out);
	case PROMQL_FN_MIN_OF:
	case PROMQL_FN_MAX_OF:
		if (scalar_pair(ev, e->call.args[0], e->call.args[1], out,
		    &right) == -1)
			return -1;
		for (uint32_t i = 0; i < ev->n_steps; i++)
			out[i] = e->call.func->id == PROMQL_FN_MIN_OF ?
			    go_min(out[i], right[i]) : go_max(out[i], right[i]);
		free(right);
		return 0;
	default:
		return q_fail(ev->q, "unexpected function %s in a scalar",
		    e->call.func->name);
	}
}

int
eval_scalar(struct evaluator *ev, struct promql_expr *e, double *out)
{
	uint64_t before = ev->q->cur_samples;
	double *right;
	int rc = 0;

	if (ev->n_steps == 0)
		return 0;
	switch (e->type) {
	case PROMQL_NUMBER:
		for (uint32_t i = 0; i < ev->n_steps; i++)
			out[i] = e->number.val;
		break;
	case PROMQL_PAREN:
		return eval_scalar(ev, e->inner, out);
	case PROMQL_STEP_INVARIANT: {
		struct evaluator one = *ev;

		one.n_steps = 1;
		one.end_ms = one.start_ms;
		rc = eval_scalar(&one, e->inner, out);
		for (uint32_t i = 1; i < ev->n_steps; i++)
			out[i] = out[0];
		break;
	}
	case PROMQL_UNARY:
		rc = eval_scalar(ev, e->unary.expr, out);
		if (e->unary.op == PROMQL_OP_SUB)
			for (uint32_t i = 0; i < ev->n_steps; i++)
				out[i] = -out[i];
		break;
	case PROMQL_BINARY:
		if (scalar_pair(ev, e->binary.lhs, e->binary.rhs, out,
		    &right) == -1)
			return -1;
		for (uint32_t i = 0; i < ev->n_steps; i++)
			out[i] = scalar_binop(e->binary.op, out[i], right[i]);
		free(right);
		break;
	case PROMQL_CALL:
		rc = scalar_call(ev, e, out);
		break;
	default:
		return q_fail(ev->q, "unexpected expression in a scalar");
	}
	if (rc == -1)
		return -1;
	ev->q->cur_samples = before;
	return q_samples(ev->q, ev->n_steps);
}

/* --- negation --- */

struct negate {
	struct evaluator	*ev;
	struct arena		 mem;
	struct dedup		 dedup;
};

static int
negate_sink(void *ctx, struct pseries *s)
{
	struct negate *x = ctx;
	struct query *q = x->ev->q;

	if (s->n_hists != 0)
		arena_reset(&x->mem);
	for (uint32_t i = 0; i < x->ev->n_steps; i++) {
		if (s->kind[i] == K_FLOAT)
			s->v[i] = -s->v[i];
		else if (s->kind[i] == K_HIST) {
			struct fhist *h = fhist_copy(&x->mem, s->h[i]);

			if (h == NULL)
				return q_nomem(q);
			fhist_mul(h, -1);
			s->h[i] = h;
		}
	}
	if (series_drop_name(q, s) == -1)
		return -1;
	return dedup_sink(&x->dedup, s);
}

static int
eval_negate(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct negate x = { .ev = ev };

	arena_init(&x.mem, 0);
	dedup_init(&x.dedup, ev->q, ev->n_steps, false, sink, ctx);
	int rc = eval_push(ev, e->unary.expr, negate_sink, &x);
	if (rc == 0)
		rc = dedup_finish(&x.dedup);
	dedup_clear(&x.dedup);
	arena_clear(&x.mem);
	return rc;
}

/* --- the same at every step --- */

struct invariant {
	struct evaluator	*ev;
	struct pbuf		 buf;
	series_sink		 sink;
	void			*ctx;
};

static int
invariant_sink(void *ctx, struct pseries *s)
{
	struct invariant *x = ctx;
	uint32_t n = x->ev->n_steps;
	struct pseries *out = &x->buf.s;

	pbuf_reset(&x->buf);
	out->ls = s->ls;
	out->drop_name = s->drop_name;
	if (s->kind[0] == K_FLOAT) {
		for (uint32_t i = 0; i < n; i++)
			out->v[i] = s->v[0];
		memset(out->kind, K_FLOAT, n);
		out->n_floats = n;
		if (q_samples(x->ev->q, n - 1) == -1)
			return -1;
	} else if (s->kind[0] == K_HIST) {
		for (uint32_t i = 0; i < n; i++)
			if (pbuf_hist(&x->buf, i, s->h[0]) == -1)
				return -1;
		if (q_samples(x->ev->q, (n - 1) * fhist_samples(s->h[0])) ==
		    -1)
			return -1;
	} else
		return 0;
	return x->sink(x->ctx, out);
}

static int
eval_invariant(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct evaluator one = *ev;
	struct invariant x = { .ev = ev, .sink = sink, .ctx = ctx };

	if (ev->n_steps == 1)
		return eval_push(ev, e->inner, sink, ctx);
	one.n_steps = 1;
	one.end_ms = one.start_ms;
	if (pbuf_init(&x.buf, ev->q, ev->n_steps) == -1)
		return -1;
	int rc = eval_push(&one, e->inner, invariant_sink, &x);
	pbuf_clear(&x.buf);
	return rc;
}

/* --- scalars as vectors --- */

static int
push_scalar(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct pbuf b;

	if (pbuf_init(&b, ev->q, ev->n_steps) == -1)
		return -1;
	b.s.ls = LSET_EMPTY;
	memset(b.s.kind, K_FLOAT, ev->n_steps);
	b.s.n_floats = ev->n_steps;
	int rc = eval_scalar(ev, e, b.s.v);
	if (rc == 0)
		rc = sink(ctx, &b.s);
	pbuf_clear(&b);
	return rc;
}

/* --- the dispatcher --- */

static bool
is_sort(enum promql_func_id id)
{
	return id == PROMQL_FN_SORT || id == PROMQL_FN_SORT_DESC ||
	    id == PROMQL_FN_SORT_BY_LABEL || id == PROMQL_FN_SORT_BY_LABEL_DESC;
}

static int
eval_call(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	enum promql_func_id id = e->call.func->id;

	switch (id) {
	case PROMQL_FN_LABEL_REPLACE:
	case PROMQL_FN_LABEL_JOIN:
		return eval_call_label(ev, e, sink, ctx);
	case PROMQL_FN_INFO:
		return eval_call_info(ev, e, sink, ctx);
	case PROMQL_FN_ABSENT:
	case PROMQL_FN_ABSENT_OVER_TIME:
		return eval_call_absent(ev, e, sink, ctx);
	case PROMQL_FN_HISTOGRAM_QUANTILE:
	case PROMQL_FN_HISTOGRAM_QUANTILES:
	case PROMQL_FN_HISTOGRAM_FRACTION:
		return eval_call_hist_quantile(ev, e, sink, ctx);
	case PROMQL_FN_HISTOGRAM_AVG:
	case PROMQL_FN_HISTOGRAM_COUNT:
	case PROMQL_FN_HISTOGRAM_SUM:
	case PROMQL_FN_HISTOGRAM_STDDEV:
	case PROMQL_FN_HISTOGRAM_STDVAR:
		return eval_call_hist(ev, e, sink, ctx);
	case PROMQL_FN_VECTOR:
		return push_scalar(ev, e->call.args[0], sink, ctx);
	case PROMQL_FN_TIMESTAMP:
	case PROMQL_FN_START_TIMESTAMP:
		if (e->call.args[0]->type == PROMQL_VECTOR)
			return eval_timestamp_of(ev, e,
			    id == PROMQL_FN_START_TIMESTAMP, sink, ctx);
		break;
	default:
		break;
	}
	if (is_sort(id))
		return eval_call_sort(ev, e, sink, ctx);
	if (promql_expr_type(e) == PROMQL_TYPE_SCALAR)
		return push_scalar(ev, e, sink, ctx);
	for (size_t i = 0; i < e->call.n_args; i++) {
		struct promql_expr *a = e->call.args[i];

		if (a->type == PROMQL_MATRIX || a->type == PROMQL_SUBQUERY)
			return eval_range_call(ev, e, i, sink, ctx);
	}
	if (call_is_simple(id))
		return eval_call_simple(ev, e, sink, ctx);
	return q_fail(ev->q, "unexpected function %s", e->call.func->name);
}

static int
eval_binary(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	bool ls = promql_expr_type(e->binary.lhs) == PROMQL_TYPE_SCALAR;
	bool rs = promql_expr_type(e->binary.rhs) == PROMQL_TYPE_SCALAR;

	if (ls && rs)
		return push_scalar(ev, e, sink, ctx);
	if (ls || rs)
		return eval_binop_vector_scalar(ev, e, sink, ctx);
	if (promql_op_is_set(e->binary.op))
		return eval_binop_set(ev, e, sink, ctx);
	return eval_binop_vectors(ev, e, sink, ctx);
}

static int
eval_agg(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	switch (e->agg.op) {
	case PROMQL_AGG_TOPK:
	case PROMQL_AGG_BOTTOMK:
	case PROMQL_AGG_LIMITK:
	case PROMQL_AGG_LIMIT_RATIO:
		return eval_aggregate_k(ev, e, sink, ctx);
	case PROMQL_AGG_COUNT_VALUES:
		return eval_count_values(ev, e, sink, ctx);
	default:
		return eval_aggregate(ev, e, sink, ctx);
	}
}

/* What each operator's result adds to the samples in memory. */
struct counted {
	struct query	*q;
	uint32_t	 n_steps;
	uint64_t	 n;
	series_sink	 sink;
	void		*ctx;
};

static int
counted_sink(void *ctx, struct pseries *s)
{
	struct counted *c = ctx;
	uint64_t n = pseries_samples(s, c->n_steps);

	c->n += n;
	if (q_samples(c->q, n) == -1)
		return -1;
	return c->sink(c->ctx, s);
}

int
eval_push(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	if (e->share != NULL && ev->n_steps != 0)
		return share_push(ev, e, sink, ctx);
	return eval_unshared(ev, e, sink, ctx);
}

int
eval_unshared(struct evaluator *ev, struct promql_expr *e, series_sink sink,
    void *ctx)
{
	struct query *q = ev->q;
	int rc;

	if (q_check(q) == -1)
		return -1;
	if (ev->n_steps == 0)
		return 0;
	switch (e->type) {
	case PROMQL_PAREN:
		return eval_push(ev, e->inner, sink, ctx);
	case PROMQL_VECTOR:
		return eval_vector_selector(ev, e, sink, ctx);
	case PROMQL_STEP_INVARIANT:
		return eval_invariant(ev, e, sink, ctx);
	case PROMQL_NUMBER:
		return push_scalar(ev, e, sink, ctx);
	case PROMQL_UNARY:
		if (promql_expr_type(e) == PROMQL_TYPE_SCALAR)
			return push_scalar(ev, e, sink, ctx);
		if (e->unary.op != PROMQL_OP_SUB)
			return eval_push(ev, e->unary.expr, sink, ctx);
		return eval_negate(ev, e, sink, ctx);
	default:
		break;
	}

	/* the operands' samples go when the operator is done */
	uint64_t before = q->cur_samples;
	struct counted c = { q, ev->n_steps, 0, sink, ctx };
	switch (e->type) {
	case PROMQL_CALL:
		rc = eval_call(ev, e, counted_sink, &c);
		break;
	case PROMQL_AGGREGATE:
		rc = eval_agg(ev, e, counted_sink, &c);
		break;
	case PROMQL_BINARY:
		rc = eval_binary(ev, e, counted_sink, &c);
		break;
	default:
		return q_fail(q, "unexpected expression");
	}
	if (rc == -1)
		return -1;
	q->cur_samples = before + c.n;
	return 0;
}

int
eval_matrix(struct evaluator *ev, struct promql_expr *e, struct matrix *out)
{
	return eval_push(ev, e, matrix_sink, out);
}
