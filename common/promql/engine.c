/* SPDX-License-Identifier: ISC */

/*
 * One query from text to result: parse, plan, evaluate, name removal,
 * sorting. The evaluation is in eval.c.
 */

#include "common/promql/engine.h"

#include <stdlib.h>
#include <string.h>

#include "common/promql/collect.h"
#include "common/promql/eval.h"
#include "common/promql/parse.h"
#include "common/promql/share.h"

const char *
promql_result_type_name(enum promql_result_type t)
{
	switch (t) {
	case PROMQL_RESULT_SCALAR:
		return "scalar";
	case PROMQL_RESULT_STRING:
		return "string";
	case PROMQL_RESULT_VECTOR:
		return "vector";
	case PROMQL_RESULT_MATRIX:
		return "matrix";
	default:
		return "none";
	}
}

struct str
promql_result_symbol(const struct promql_result *r, uint32_t id)
{
	return symtab_text(r->syms, id);
}

struct labels
promql_result_labels(struct promql_result *r, const struct promql_series *s)
{
	struct label *l = arena_array(&r->mem, s->n_labels, sizeof(*l));

	for (uint32_t i = 0; l != NULL && i < s->n_labels; i++) {
		l[i].name = symtab_text(r->syms, s->labels[i].name);
		l[i].value = symtab_text(r->syms, s->labels[i].value);
	}
	return (struct labels){ l, s->n_labels };
}

void
promql_result_detach(struct promql_result *r)
{
	struct promql_series *s;
	struct label_sym *l;
	size_t n = 0;

	if (r->detached)
		return;
	for (size_t i = 0; i < r->n_series; i++)
		n += r->series[i].n_labels;
	s = arena_array(&r->mem, r->n_series, sizeof(*s));
	l = arena_array(&r->mem, n, sizeof(*l));
	if (s == NULL || l == NULL)
		return;
	for (size_t i = 0; i < r->n_series; i++) {
		s[i] = r->series[i];
		if (s[i].n_labels > 0)
			memcpy(l, s[i].labels, s[i].n_labels * sizeof(*l));
		s[i].labels = l;
		l += s[i].n_labels;
	}
	r->series = s;
	r->detached = true;
	r->src->ops->end(r->src);
}

void
promql_result_free(struct promql_result *r)
{
	if (r == NULL)
		return;
	symtab_clear(r->syms);
	if (!r->detached)
		r->src->ops->end(r->src);
	arena_clear(&r->mem);
	free(r);
}

static int
series_cmp(const void *a, const void *b, void *arg)
{
	const struct promql_series *x = a, *y = b;

	return lset_cmp(arg, (struct lset){ x->labels, x->n_labels },
	    (struct lset){ y->labels, y->n_labels });
}

static int
finish_series(struct query *q, struct collect *c, struct promql_result *r)
{
	struct promql_series *s = q_alloc(q, q->mem, c->n, sizeof(*s));

	if (s == NULL)
		return -1;
	if (c->n != 0)
		memcpy(s, c->s, c->n * sizeof(*s));
	if (r->type == PROMQL_RESULT_MATRIX) {
		mono_time t = mono_now();

		qsort_r(s, c->n, sizeof(*s), series_cmp, q->syms);
		r->stats.sort_s = (double)mono_sub_ns(mono_now(), t) / 1e9;
	}
	r->series = s;
	r->n_series = c->n;
	return 0;
}

static int
evaluate(struct query *q, struct promql_expr *e, struct evaluator *ev,
    bool instant, struct promql_result *r)
{
	struct promql_expr *top = promql_expr_unwrap(e);
	enum promql_value_type type = promql_expr_type(e);
	struct collect c = { .q = q, .ev = ev };
	int rc;

	if (type == PROMQL_TYPE_STRING) {
		r->type = PROMQL_RESULT_STRING;
		r->t_ms = ev->start_ms;
		r->string = arena_str(q->mem, top->string);
		return r->string.p == NULL ? q_nomem(q) : 0;
	}
	if (instant && type == PROMQL_TYPE_SCALAR) {
		r->type = PROMQL_RESULT_SCALAR;
		r->t_ms = ev->start_ms;
		return eval_scalar(ev, e, &r->scalar);
	}
	r->type = instant && type == PROMQL_TYPE_VECTOR ?
	    PROMQL_RESULT_VECTOR : PROMQL_RESULT_MATRIX;
	c.grid = collect_grid(q, ev);
	if (c.grid == NULL)
		return -1;
	if (type == PROMQL_TYPE_MATRIX)
		rc = top->type == PROMQL_SUBQUERY ? collect_subquery(&c, top) :
		    collect_matrix(&c, top);
	else if (q->delayed_names)
		rc = collect_delayed(&c, e);
	else
		rc = eval_push(ev, e, collect_sink, &c);
	if (rc == 0)
		rc = finish_series(q, &c, r);
	free(c.s);
	return rc;
}

static int
query_init(struct query *q, const struct promql_opts *o, struct arena *mem)
{
	static const char *const reserved[] = { "__name__", "__type__",
	    "__unit__" };
	struct str names[3];

	for (int i = 0; i < 3; i++)
		names[i] = str_c(reserved[i]);
	q->syms = symtab_new(mem, q->src, q->interned);
	if (q->syms == NULL ||
	    lnames_init(&q->reserved, mem, q->syms, names, 3) == -1 ||
	    lnames_init(&q->name_only, mem, q->syms, names, 1) == -1)
		return q_nomem(q);
	annos_init(&q->annos, mem);
	q->cur_samples = q->peak_samples = q->total_samples = 0;
	q->samples_read = 0;
	if (o->per_step_stats && q->stats_n_steps != 0) {
		q->total_per_step = arena_zalloc(mem,
		    q->stats_n_steps * sizeof(uint64_t));
		q->read_per_step = arena_zalloc(mem,
		    q->stats_n_steps * sizeof(uint64_t));
		if (q->total_per_step == NULL || q->read_per_step == NULL)
			return q_nomem(q);
	}
	return 0;
}

static void
fill_stats(const struct query *q, struct promql_result *r)
{
	r->stats.total_samples = q->total_samples;
	r->stats.peak_samples = q->peak_samples;
	r->stats.samples_read = q->samples_read;
	r->stats.total_per_step = q->total_per_step;
	r->stats.read_per_step = q->read_per_step;
	r->stats.n_steps = q->stats_n_steps;
	r->stats.start_ms = q->stats_start_ms;
	r->stats.step_ms = q->stats_step_ms;
	r->stats.peak_bytes = r->mem.peak_bytes;
}

static int
check_type(struct query *q, const struct promql_expr *e, bool instant)
{
	enum promql_value_type t = promql_expr_type(e);

	if (instant || t == PROMQL_TYPE_SCALAR || t == PROMQL_TYPE_VECTOR)
		return 0;
	return err_set(q->err, ERR_BAD_DATA, "invalid expression type \"%s\" "
	    "for range query, must be Scalar or instant Vector",
	    promql_type_text(t));
}

static int
parse(struct query *q, struct arena *a, struct promql_expr **e)
{
	struct promql_parse_opts o = {
	    .experimental_functions =
		q->features & PROMQL_EXPERIMENTAL_FUNCTIONS,
	    .extended_range_selectors =
		q->features & PROMQL_EXTENDED_RANGE_SELECTORS,
	    .fill_modifiers = q->features & PROMQL_BINOP_FILL };
	struct promql_parse_errors errs = { .n = 0 };

	if (promql_parse(a, q->text, &o, e, &errs) == -1)
		return promql_parse_errors_to_err(&errs, q->text, q->err);
	return 0;
}

/* Evaluates once; again, collecting, if streaming was not possible. */
static int
run(struct query *q, struct promql_expr *e, const struct promql_opts *o,
    int64_t start_ms, int64_t end_ms, int64_t step_ms,
    struct promql_result *r)
{
	struct evaluator ev;
	int rc;

	do {
		q->collect = q->retry;
		q->retry = false;
		if (query_init(q, o, &r->mem) == -1 || ev_init(&ev, q,
		    start_ms, end_ms, step_ms == 0 ? 1 : step_ms) == -1)
			return -1;
		r->syms = q->syms;
		rc = evaluate(q, e, &ev, step_ms == 0, r);
		share_clear(q);
		if (rc == -1 && q->retry)
			symtab_clear(q->syms);
	} while (rc == -1 && q->retry && q->err->kind == ERR_NONE);
	return rc;
}

static void
set_options(struct query *q, const struct promql_opts *o)
{
	q->lookback_ms = o->lookback_delta_ms != 0 ? o->lookback_delta_ms :
	    PROMQL_LOOKBACK_DEFAULT_MS;
	q->subquery_step_ms = o->default_subquery_step_ms != 0 ?
	    o->default_subquery_step_ms : PROMQL_SUBQUERY_STEP_DEFAULT_MS;
	q->max_samples = o->max_samples != 0 ? o->max_samples :
	    PROMQL_MAX_SAMPLES_DEFAULT;
	q->deadline = o->deadline;
	q->features = o->features;
	q->delayed_names = o->features & PROMQL_DELAYED_NAME_REMOVAL;
	q->all_samples = o->per_step_stats;
	q->use_st = o->features & PROMQL_USE_START_TIMESTAMPS;
}

int
promql_exec(struct source *src, struct str query, int64_t start_ms,
    int64_t end_ms, int64_t step_ms, const struct promql_opts *opts,
    struct promql_result **out, struct err *err)
{
	struct query q = { .src = src, .err = err, .text = query };
	struct promql_result *r = calloc(1, sizeof(*r));
	struct promql_expr *e = NULL;
	struct arena ast;
	mono_time t0 = mono_now(), t1;
	int rc = -1;

	err->kind = ERR_NONE;
	if (r == NULL)
		return err_set(err, ERR_EXECUTION, "query is out of memory");
	arena_init(&r->mem, opts->memory_limit_bytes);
	arena_init(&ast, 0);
	r->src = src;
	q.mem = &r->mem;
	set_options(&q, opts);
	q.stats_start_ms = start_ms;
	q.stats_step_ms = step_ms;
	q.stats_n_steps = step_ms == 0 || end_ms < start_ms ? 1 :
	    (uint32_t)((end_ms - start_ms) / step_ms + 1);
	if (parse(&q, &ast, &e) == -1 || check_type(&q, e, step_ms == 0) == -1)
		goto out;
	if (src->ops->begin(src, &r->mem, err) == -1)
		goto out;
	rc = plan_query(&q, &e, &ast, start_ms, end_ms, step_ms);
	t1 = mono_now();
	r->stats.prepare_s = (double)mono_sub_ns(t1, t0) / 1e9;
	if (rc == 0)
		rc = run(&q, e, opts, start_ms, end_ms, step_ms, r);
	if (rc == 0) {
		struct str *w, *i;

		rc = annos_texts(&q.annos, query, &w, &r->n_warnings, &i,
		    &r->n_infos);
		r->warnings = w;
		r->infos = i;
		if (rc == -1)
			(void)q_nomem(&q);
	}
	fill_stats(&q, r);
	r->stats.eval_s = (double)mono_sub_ns(mono_now(), t1) / 1e9;
	if (rc == -1) {
		promql_result_free(r);
		r = NULL;
	}
out:
	promql_expr_clear(e);
	arena_clear(&ast);
	if (rc == -1 && r != NULL) {
		arena_clear(&r->mem);
		free(r);
		r = NULL;
	}
	*out = r;
	return rc;
}
