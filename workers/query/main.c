/* SPDX-License-Identifier: ISC */
/* The query worker: start, tables of handlers, life cycle. */
#include <sys/resource.h>

#include <errno.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/vec.h"
#include "common/config/blob/server_conf.h"
#include "workers/query/query.h"

static void
on_reply_more(void *ctx, struct ipc_channel *ch, struct ipc_msg *m)
{
	/* the word in the page says it all; this ends the wait */
	(void)ctx;
	(void)ch;
	(void)m;
}

static const struct ipc_handler storage_handlers[] = {
	{ IPC_HEAD_MAP, query_on_head_map },
	{ IPC_CHUNKS_FILE_ADD, query_on_file_add },
	{ IPC_CHUNKS_FILE_DROP, query_on_file_drop },
	{ IPC_BLOCK_ADD, query_on_block_add },
	{ IPC_BLOCK_DROP, query_on_block_drop },
};

static const struct ipc_handler asker_handlers[] = {
	{ IPC_QUERY, query_on_query },
	{ IPC_REPLY_MORE, on_reply_more },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static const struct ipc_handler supervisor_handlers[] = {
	{ IPC_OPENED, query_on_opened },
};

static const struct worker_peer peers[] = {
	{ ROLE_STORAGE, storage_handlers, N(storage_handlers) },
	{ ROLE_WEB, asker_handlers, N(asker_handlers) },
	{ ROLE_RULES, asker_handlers, N(asker_handlers) },
};

static void
run_cb(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	query_request_run(arg);
}

static void
wait_cb(evutil_socket_t fd, short what, void *arg)
{
	struct query *q = arg;

	(void)fd;
	(void)what;
	q->waited = true;
	query_request_try(q);
}

static void
begun_cb(void *arg, struct str query)
{
	query_active_begin(arg, query);
}

static void
ended_cb(void *arg, const struct query_record *r)
{
	query_active_end(arg);
	if (r != NULL)
		query_log_write(arg, r);
}

/*
 * Evaluation goes down the tree, a few KB of stack a level and at most
 * PROMQL_HEIGHT_MAX levels: more than the usual 8 MiB. The kernel looks at
 * the limit when the stack grows, and leaves 128 MiB for that.
 */
#define STACK_BYTES	((rlim_t)64 << 20)

static void
raise_stack_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_STACK, &l) == -1 || l.rlim_cur >= STACK_BYTES)
		return;
	l.rlim_cur = l.rlim_max < STACK_BYTES ? l.rlim_max : STACK_BYTES;
	if (setrlimit(RLIMIT_STACK, &l) == -1)
		log_warn("Raising the limit of the stack failed", F_ERRNO);
}

/* What the feature flags switch on in the language. */
static void
set_features(struct query *q)
{
	struct promql_parse_opts *p = &q->env.parse_opts;
	static const struct { const char *name; uint32_t bit; } all[] = {
		{ "promql-experimental-functions",
		  PROMQL_EXPERIMENTAL_FUNCTIONS },
		{ "promql-extended-range-selectors",
		  PROMQL_EXTENDED_RANGE_SELECTORS },
		{ "promql-binop-fill-modifiers", PROMQL_BINOP_FILL },
		{ "promql-delayed-name-removal", PROMQL_DELAYED_NAME_REMOVAL },
		{ "use-start-timestamps", PROMQL_USE_START_TIMESTAMPS },
		{ "type-and-unit-labels", PROMQL_TYPE_AND_UNIT_LABELS },
	};
	uint32_t on = 0;

	for (size_t i = 0; i < N(all); i++) {
		if (worker_feature(q->w, all[i].name))
			on |= all[i].bit;
	}
	q->env.opts.features = on;
	p->experimental_functions = (on & PROMQL_EXPERIMENTAL_FUNCTIONS) != 0;
	p->extended_range_selectors =
	    (on & PROMQL_EXTENDED_RANGE_SELECTORS) != 0;
	p->fill_modifiers = (on & PROMQL_BINOP_FILL) != 0;
	q->env.per_step_stats = worker_feature(q->w, "promql-per-step-stats");
}

static int
query_start(void *ctx, struct worker *w, struct err *err)
{
	struct query *q = ctx;
	struct metrics *m = worker_metrics(w);

	q->w = w;
	raise_stack_limit();
	arena_init(&q->mem, 0);
	q->env.opts.lookback_delta_ms = worker_flag_duration_ms(w,
	    "query.lookback-delta");
	q->env.opts.max_samples = (uint64_t)worker_flag_int(w,
	    "query.max-samples");
	q->env.opts.default_subquery_step_ms = PROMQL_SUBQUERY_STEP_DEFAULT_MS;
	q->env.memory_limit_bytes = (size_t)worker_flag_int(w,
	    "brazier.query.limit-bytes");
	q->env.process_limit_bytes = (size_t)worker_memory_limit(w);
	set_features(q);
	q->m_queue = metrics_summary(m, METRIC_ENGINE_DURATION,
	    "slice=\"queue_time\"");
	q->m_prepare = metrics_summary(m, METRIC_ENGINE_DURATION,
	    "slice=\"prepare_time\"");
	q->m_inner = metrics_summary(m, METRIC_ENGINE_DURATION,
	    "slice=\"inner_eval\"");
	q->m_sort = metrics_summary(m, METRIC_ENGINE_DURATION,
	    "slice=\"result_sort\"");
	q->m_samples = metrics_get(m, METRIC_ENGINE_SAMPLES, "");
	q->run_ev = evtimer_new(worker_base(w), run_cb, q);
	q->wait_ev = evtimer_new(worker_base(w), wait_cb, q);
	if (q->run_ev == NULL || q->wait_ev == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	query_active_init(q);
	q->env.hooks = (struct api_hooks){ begun_cb, ended_cb, q };
	if (query_log_init(q, err) == -1 || query_ring_init(q, err) == -1)
		return -1;
	return query_head_init(q, err);
}

static int
query_prepare(void *ctx, uint32_t gen, struct str blob, struct err *err)
{
	struct query *q = ctx;
	struct query_conf c = {
		.evaluation_interval_ms = PROMQL_SUBQUERY_STEP_DEFAULT_MS };

	if (blob.n > 0 && query_conf_decode(&c, blob, err) == -1)
		return -1;
	q->next_step_ms = c.evaluation_interval_ms;
	return query_log_prepare(q, gen, str_c(c.query_log_file), err);
}

static void
query_commit(void *ctx, uint32_t gen)
{
	struct query *q = ctx;

	(void)gen;
	if (q->next_step_ms > 0)
		q->env.opts.default_subquery_step_ms = q->next_step_ms;
	query_log_commit(q);
}

static void
query_abort(void *ctx, uint32_t gen)
{
	(void)gen;
	query_log_abort(ctx);
}

static void
query_stop(void *ctx, uint32_t deadline_ms)
{
	struct query *q = ctx;

	(void)deadline_ms;
	q->stopping = true;
	if (!q->running)
		worker_stopped(q->w);
}

static void
query_peer_up(void *ctx, struct ipc_channel *ch)
{
	struct query *q = ctx;

	if (ipc_channel_ends(ch).peer == ROLE_STORAGE) {
		query_head_storage_up(q, ch);
		return;
	}
	q->asker = ch;
	/* a request of an earlier asker is lost; its ring must be quiet */
	if (q->running) {
		q->offer_wanted = true;
		return;
	}
	q->busy = false;
	query_ring_offer(q);
}

static void
query_peer_down(void *ctx, struct ipc_channel *ch, enum peer_cause cause,
    const char *why)
{
	struct query *q = ctx;

	(void)cause;
	(void)why;
	query_head_storage_down(q, ch);
	if (q->asker == ch) {
		q->asker = NULL;
		q->busy = q->running;
	}
}

static const struct worker_role role = {
	.role = ROLE_QUERY,
	.handlers = supervisor_handlers,
	.n_handlers = N(supervisor_handlers),
	.peers = peers, .n_peers = N(peers),
	.start = query_start,
	.prepare = query_prepare,
	.commit = query_commit,
	.abort = query_abort,
	.stop = query_stop,
	.peer_up = query_peer_up,
	.peer_down = query_peer_down,
};

int
main(void)
{
	struct query q = { 0 };

	return worker_main(&role, &q);
}
