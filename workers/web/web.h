/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_WEB_WEB_H
#define BRAZIER_WORKERS_WEB_WEB_H

/*
 * The web worker: HTTP in front of everything. It evaluates nothing and
 * decodes no samples; what needs the data goes to the query pool and comes
 * back as opaque bytes.
 *
 *	http_server ─▶ routes.c ─▶ a handler ─▶ call_reply
 *	                             ├─▶ pool.c ─▶ query workers
 *	                             ├─▶ targets.c ─▶ scrape workers
 *	                             └─▶ lifecycle.c ─▶ supervisor
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/compress.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/config/blob/server_conf.h"
#include "common/http/server.h"
#include "common/http/url.h"
#include "common/metrics/metrics.h"
#include "ipc/channel.h"
#include "ipc/worker.h"

struct call;
struct event;
struct pool;
struct regex;
struct route;
struct targets_ask;
struct web;

/* Form bodies larger than this are refused, as with the reference. */
#define WEB_FORM_BYTES_MAX	((uint64_t)10 << 20)

struct web_settings {
	struct str	 prefix;	/* "" or "/prefix": before every path */
	char		*external_url;	/* with a path, without slash at the end */
	struct str	 external_path;	/* of it: "" or "/path" */
	struct regex	*cors;
	struct str	 page_title;
	struct str	 hostname;
	struct str	 cwd;
	bool		 lifecycle;
	bool		 agent;
	int64_t		 query_timeout_ms;
	int64_t		 start_ms;
	uint32_t	 n_query_max;	/* query.max-concurrency */
	char		 retention[160];
};

struct web {
	struct worker		*w;
	struct http_server	*server;
	struct http_server_conf	 server_conf;
	struct web_settings	 set;
	struct msg_server_state	 state;
	bool			 stopping;
	bool			 quit_asked;
	struct web_conf		 conf;		/* in force */
	struct web_conf		 next_conf;	/* prepared */
	struct pool		*pool;
	struct metrics_reader	*metrics;
	struct call		*reloads;	/* waiting for RELOADED */
	struct targets_ask	*targets;	/* asked, not answered yet */
	uint64_t		 next_id;
	struct route_stats	*route_stats;	/* one a route */
	struct event		*stop_ev;	/* waits for connections */
	mono_time		 stop_deadline;
	metrics_slot		*m_accepted, *m_closed;
};

/* One request of a client; from on_request to the reply. */
struct call {
	struct web		*web;
	struct http_exchange	*x;
	const struct route	*route;
	struct arena		 mem;		/* of everything below */
	struct str		 path;		/* decoded, behind the prefix */
	struct str		 arg;		/* what ":name" stood for */
	struct url_params	 params;	/* body first, then the query */
	struct err		 params_err;	/* kind ERR_NONE: all is well */
	enum compress_codec	 codec;
	mono_time		 started;
	uint64_t		 id;
	struct call		*next;		/* in a list of waiting ones */
	int			 status;	/* once begun */
	uint64_t		 sent_bytes;
	bool			 begun;
};

/* --- routes.c --- */
void	 web_on_request(struct http_exchange *x, void *arg);
uint64_t web_body_limit(const struct http_request *r, void *arg);
void	 routes_init(struct web *web);

/* --- call.c: replies of a call; each but begin, add… ends it --- */
/* Headers of this kind of route (CORS, Vary, nosniff) and the status. */
void	 call_begin(struct call *c, int status, const char *content_type,
	    enum compress_codec codec, int64_t length);
/* Counts, ends the exchange, frees the call. */
void	 call_end(struct call *c);
/* The same with the connection cut. */
void	 call_abort(struct call *c);
/* A whole body, compressed when the client and the route allow it. */
void	 call_reply(struct call *c, int status, const char *content_type,
	    struct str body);
/* {"status":"success","data":…}: data is JSON. */
void	 call_reply_data(struct call *c, struct str data);
/* The error envelope; status 0 = that of the kind. */
void	 call_reply_err(struct call *c, int status, const struct err *err);
/* As Go's http.Error. */
void	 call_reply_text(struct call *c, int status, const char *text);
/* Location with a small page, as Go's http.Redirect. */
void	 call_redirect(struct call *c, int status, struct str location);

/* --- the handlers --- */
typedef void web_handler(struct call *c);
web_handler handle_home, handle_page, handle_graph, handle_metrics;
web_handler handle_version, handle_healthy, handle_ready;
web_handler handle_reload, handle_quit, handle_post_only;
web_handler handle_query, handle_targets, handle_scrape_pools;
web_handler handle_flags, handle_config, handle_buildinfo, handle_runtimeinfo;
web_handler handle_walreplay, handle_options, handle_alertmanagers;
web_handler handle_asset;
web_handler handle_rules, handle_alerts, handle_later_api, handle_later_text;
web_handler handle_later_write, handle_later_otlp, handle_later_admin;

/* --- lifecycle.c --- */
void	 web_on_reloaded(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 web_on_server_state(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

/* --- self.c --- */
void	 web_on_metrics_region(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 web_on_metrics_gone(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

/* --- targets.c --- */
void	 web_on_targets(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);
void	 targets_worker_down(struct web *web, struct ipc_channel *ch);

/* --- control.c --- */
void	 web_on_queries_get(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 web_on_query_kill(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

#endif
