/* SPDX-License-Identifier: ISC */
/* query and query_range, format_query and parse_query. */
#include <stdio.h>

#include "common/base/json.h"
#include "common/base/quote.h"
#include "workers/query/api.h"
#include "workers/query/render.h"

#define POINTS_MAX	11000	/* a series; spec api.tsv, query_range */
#define NS_A_MS		1000000

/* The parameters that both kinds share. */
struct query_params {
	struct promql_opts	 opts;
	struct render_query	 render;
	struct str		 stats;
};

static int
parse_shared(const struct api_env *env, const struct api_request *req,
    struct query_params *qp, struct err *err)
{
	struct str s;
	int64_t ns;

	qp->opts = env->opts;
	qp->opts.deadline = req->deadline;
	qp->opts.memory_limit_bytes = env->memory_limit_bytes;
	if (params_get(&req->params, "timeout").n > 0) {
		if (params_duration(&req->params, "timeout", &ns, err) == -1)
			return -1;
		mono_time now = mono_now();
		mono_time d = { __builtin_add_overflow(now.ns, ns, &d.ns) ?
		    INT64_MAX : d.ns };

		if (d.ns <= 0)
			d.ns = 1;
		if (qp->opts.deadline.ns == 0 ||
		    mono_before(d, qp->opts.deadline))
			qp->opts.deadline = d;
	}
	s = params_get(&req->params, "lookback_delta");
	if (s.n > 0) {
		if (param_duration_parse(s, &ns, err) == -1)
			return err_wrap(err,
			    "error parsing lookback delta duration");
		/* not positive: the server's own, as with the reference */
		if (ns / NS_A_MS > 0)
			qp->opts.lookback_delta_ms = ns / NS_A_MS;
	}
	qp->stats = params_get(&req->params, "stats");
	qp->render.stats = qp->stats.n == 0 ? RENDER_STATS_NONE :
	    str_eq_c(qp->stats, "all") ? RENDER_STATS_STEPS :
	    RENDER_STATS_SHORT;
	qp->opts.per_step_stats = env->per_step_stats &&
	    qp->render.stats == RENDER_STATS_STEPS;
	return 0;
}

/* Warns about values of stats= that will be refused one day. */
static void
note_stats_value(struct notes *notes, struct str stats, struct buf *text)
{
	if (stats.n == 0 || str_eq_c(stats, "true") || str_eq_c(stats, "all"))
		return;
	buf_add_c(text, "value ");
	quote_add(text, stats);
	buf_add_c(text, " for parameter \"stats\" is deprecated and will be "
	    "rejected in the next major release, use \"true\" or \"all\"");
	if (!buf_failed(text))
		notes_add_warning(notes, buf_str(text));
}

/* Evaluates, and tells the hooks of it. */
static int
evaluate(const struct api_env *env, const struct api_request *req,
    struct query_params *qp, int64_t start_ms, int64_t end_ms,
    int64_t step_ms, struct promql_result **r, struct err *err)
{
	mono_time from = mono_now(), asked = req->asked;
	bool is_late = qp->opts.deadline.ns != 0 &&
	    !mono_before(from, qp->opts.deadline);
	struct query_record rec = {
		.query = params_get(&req->params, "query"),
		.start_ms = start_ms, .end_ms = end_ms, .step_ms = step_ms,
		.asker = &req->asker,
	};
	int rv;

	if (env->hooks.begun != NULL)
		env->hooks.begun(env->hooks.arg, rec.query);
	rv = promql_exec(env->src, rec.query, start_ms, end_ms, step_ms,
	    &qp->opts, r, err);
	/* what is too cheap to look at the clock would answer all the same */
	if (is_late && (rv == 0 || err->kind == ERR_TIMEOUT)) {
		if (rv == 0)
			promql_result_free(*r);
		rv = err_set(err, ERR_TIMEOUT,
		    "query timed out in query execution");
	}
	if (asked.ns == 0 || mono_before(from, asked))
		asked = from;
	rec.queue_s = (double)mono_sub_ns(from, asked) / 1e9;
	rec.total_s = (double)mono_sub_ns(mono_now(), asked) / 1e9;
	rec.err = rv == -1 ? err : NULL;
	rec.stats = rv == -1 ? NULL : &(*r)->stats;
	qp->render.queue_s = rec.queue_s;
	qp->render.total_s = rec.total_s;
	if (env->hooks.ended != NULL)
		env->hooks.ended(env->hooks.arg, rv == -1 &&
		    err->kind == ERR_BAD_DATA ? NULL : &rec);
	return rv;
}

static int
run(const struct api_env *env, const struct api_request *req,
    struct query_params *qp, int64_t start_ms, int64_t end_ms,
    int64_t step_ms, struct api_answer *a, struct err *err)
{
	struct promql_result *r = NULL;
	struct notes notes = { 0 };
	struct buf text;

	if (evaluate(env, req, qp, start_ms, end_ms, step_ms, &r, err) == -1)
		return err->kind == ERR_BAD_DATA ?
		    param_invalid(err, "query") : -1;
	qp->render.start_ms = start_ms;
	qp->render.step_ms = step_ms;
	a->peak_bytes = r->stats.peak_bytes;
	a->stats = r->stats;
	a->stats.total_per_step = a->stats.read_per_step = NULL;
	a->queue_s = qp->render.queue_s;
	a->has_stats = true;
	a->http_status = 200;
	for (size_t i = 0; i < r->n_warnings; i++)
		notes_add_warning(&notes, r->warnings[i]);
	for (size_t i = 0; i < r->n_infos; i++)
		notes_add_info(&notes, r->infos[i]);
	/* a slow client must not keep storage from reusing memory */
	promql_result_detach(r);
	buf_init(&text, 0);
	note_stats_value(&notes, qp->stats, &text);
	render_begin(&a->body.text);
	if (render_result(&a->body, r, &qp->render, &notes))
		render_end(&a->body.text, &notes);
	buf_clear(&text);
	promql_result_free(r);
	return 0;
}

int
api_query_instant(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	struct query_params qp = { 0 };
	int64_t t_ms;

	if (params_limit(&req->params, &qp.render.limit, err) == -1 ||
	    params_time(&req->params, "time", req->now_ms, &t_ms, err) == -1 ||
	    parse_shared(env, req, &qp, err) == -1)
		return -1;
	return run(env, req, &qp, t_ms, t_ms, 0, a, err);
}

static int
bad_step(struct err *err)
{
	(void)err_set(err, ERR_BAD_DATA, "zero or negative query resolution "
	    "step widths are not accepted. Try a positive integer");
	return param_invalid(err, "step");
}

int
api_query_range(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	struct query_params qp = { 0 };
	int64_t start_ms, end_ms, step_ns;

	if (params_limit(&req->params, &qp.render.limit, err) == -1 ||
	    params_time_required(&req->params, "start", &start_ms,
	    err) == -1 ||
	    params_time_required(&req->params, "end", &end_ms, err) == -1)
		return -1;
	if (end_ms < start_ms) {
		(void)err_set(err, ERR_BAD_DATA,
		    "end timestamp must not be before start time");
		return param_invalid(err, "end");
	}
	if (params_duration(&req->params, "step", &step_ns, err) == -1)
		return -1;
	if (step_ns <= 0)
		return bad_step(err);
	if (((__int128)end_ms - start_ms) * NS_A_MS / step_ns > POINTS_MAX)
		return err_set(err, ERR_BAD_DATA, "exceeded maximum resolution"
		    " of 11,000 points per timeseries. Try decreasing the "
		    "query resolution (?step=XX)");
	/* a step below a millisecond would never get on */
	if (step_ns < NS_A_MS)
		return bad_step(err);
	if (parse_shared(env, req, &qp, err) == -1)
		return -1;
	return run(env, req, &qp, start_ms, end_ms, step_ns / NS_A_MS, a,
	    err);
}

/* Parses the expression and lets print write it as the data. */
static int
expr_answer(const struct api_env *env, const struct api_request *req,
    void (*print)(const struct promql_expr *e, struct buf *out),
    struct api_answer *a, struct err *err)
{
	struct str query = params_get(&req->params, "query");
	struct promql_parse_errors errs = { 0 };
	struct promql_expr *e;
	struct notes notes = { 0 };
	struct arena mem;
	int rv = 0;

	arena_init(&mem, env->memory_limit_bytes);
	if (promql_parse(&mem, query, &env->parse_opts, &e, &errs) == -1) {
		(void)promql_parse_errors_to_err(&errs, query, err);
		rv = param_invalid(err, "query");
	} else {
		a->http_status = 200;
		render_begin(&a->body.text);
		print(e, &a->body.text);
		render_end(&a->body.text, &notes);
		promql_expr_clear(e);
	}
	arena_clear(&mem);
	return rv;
}

static void
print_pretty(const struct promql_expr *e, struct buf *out)
{
	struct buf text;

	buf_init(&text, 0);
	promql_expr_pretty(e, 0, &text);
	json_add_str(out, buf_str(&text), true);
	buf_clear(&text);
}

int
api_format_query(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	return expr_answer(env, req, print_pretty, a, err);
}

int
api_parse_query(const struct api_env *env, const struct api_request *req,
    struct api_answer *a, struct err *err)
{
	return expr_answer(env, req, promql_expr_json, a, err);
}
