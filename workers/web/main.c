/* SPDX-License-Identifier: ISC */
/* The web worker: start, tables of handlers, life cycle. */
#include <event2/event.h>

#include "common/base/log.h"
#include "workers/web/pool.h"
#include "workers/web/settings.h"

static const struct ipc_handler supervisor_handlers[] = {
	{ IPC_RELOADED, web_on_reloaded },
	{ IPC_SERVER_STATE, web_on_server_state },
	{ IPC_METRICS_REGION, web_on_metrics_region },
	{ IPC_METRICS_GONE, web_on_metrics_gone },
	{ IPC_QUERIES_GET, web_on_queries_get },
	{ IPC_QUERY_KILL, web_on_query_kill },
};

static const struct ipc_handler query_handlers[] = {
	{ IPC_QUERY_RING, web_on_query_ring },
	{ IPC_REPLY, web_on_reply },
};

static const struct ipc_handler scrape_handlers[] = {
	{ IPC_TARGETS, web_on_targets },
};

#define N(a)	(sizeof(a) / sizeof((a)[0]))

static const struct worker_peer peers[] = {
	{ ROLE_QUERY, query_handlers, N(query_handlers) },
	{ ROLE_SCRAPE, scrape_handlers, N(scrape_handlers) },
};

static const struct http_server_ops http_ops = {
	.body_limit = web_body_limit,
	.request = web_on_request,
};

static int
web_start(void *ctx, struct worker *w, struct err *err)
{
	static const char listener[] = "listener_name=\"http\"";
	struct web *web = ctx;
	int fd;

	web->w = w;
	if (web_settings_read(web, err) == -1)
		return -1;
	web->m_accepted = metrics_get(worker_metrics(w),
	    METRIC_LISTENER_ACCEPTED, listener);
	web->m_closed = metrics_get(worker_metrics(w),
	    METRIC_LISTENER_CLOSED, listener);
	web->metrics = metrics_reader_new();
	web->server = http_server_new(worker_base(w), &web->server_conf,
	    &http_ops, web);
	web->pool = pool_new(web);
	routes_init(web);
	while ((fd = worker_take_fd(w, "listener")) != -1) {
		if (http_server_listen(web->server, fd, err) == -1)
			return -1;
	}
	return 0;
}

static int
web_prepare(void *ctx, uint32_t gen, struct str blob, struct err *err)
{
	struct web *web = ctx;

	(void)gen;
	web_conf_clear(&web->next_conf);
	if (blob.n == 0)
		return 0;
	return web_conf_decode(&web->next_conf, blob, err);
}

static void
web_commit(void *ctx, uint32_t gen)
{
	struct web *web = ctx;

	(void)gen;
	web_conf_clear(&web->conf);
	web->conf = web->next_conf;
	web->next_conf = (struct web_conf){ .yaml = STR_EMPTY };
}

static void
web_abort(void *ctx, uint32_t gen)
{
	struct web *web = ctx;

	(void)gen;
	web_conf_clear(&web->next_conf);
}

static void
stop_cb(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval again = { 0, 20000 };
	struct web *web = arg;

	(void)fd;
	(void)what;
	if (http_server_n_connections(web->server) == 0 ||
	    !mono_before(mono_now(), web->stop_deadline)) {
		worker_stopped(web->w);
		return;
	}
	(void)event_add(web->stop_ev, &again);
}

/* No new connections; those under way may finish until the deadline. */
static void
web_stop(void *ctx, uint32_t deadline_ms)
{
	struct web *web = ctx;

	web->stopping = true;
	web->stop_deadline = mono_add_ms(mono_now(), deadline_ms);
	http_server_stop(web->server);
	pool_cancel_all(web->pool);
	web->stop_ev = evtimer_new(worker_base(web->w), stop_cb, web);
	if (web->stop_ev == NULL)
		worker_stopped(web->w);
	else
		event_active(web->stop_ev, EV_TIMEOUT, 0);
}

static void
web_peer_up(void *ctx, struct ipc_channel *ch)
{
	struct web *web = ctx;

	if (ipc_channel_ends(ch).peer == ROLE_QUERY)
		pool_worker_up(web->pool, ch);
}

static void
web_peer_down(void *ctx, struct ipc_channel *ch, enum peer_cause cause,
    const char *why)
{
	struct web *web = ctx;

	pool_worker_down(web->pool, ch, cause, why);
	targets_worker_down(web, ch);
}

static const struct worker_role role = {
	.role = ROLE_WEB,
	.handlers = supervisor_handlers,
	.n_handlers = N(supervisor_handlers),
	.peers = peers, .n_peers = N(peers),
	.start = web_start,
	.prepare = web_prepare,
	.commit = web_commit,
	.abort = web_abort,
	.stop = web_stop,
	.waits_for_cause = true,
	.peer_up = web_peer_up,
	.peer_down = web_peer_down,
};

int
main(void)
{
	struct web web = { 0 };

	return worker_main(&role, &web);
}
