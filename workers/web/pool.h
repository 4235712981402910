/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_WEB_POOL_H
#define BRAZIER_WORKERS_WEB_POOL_H

/*
 * The query pool as web sees it: processes with a reply ring each, one
 * request in each, the others in a bounded queue. The first process is kept
 * for metadata (series, labels, status …) when there are at least two, so
 * that a wall of heavy expressions does not stop a user from looking around.
 *
 *	call ─▶ job ─▶ queue ─▶ process ─▶ REPLY pieces ─▶ client, by reference
 *	              │          └─ dies: an error for this job alone
 *	              └─ deadline, client gone: out of the queue
 *
 * A process is free again when its last piece has left the ring, so bytes of
 * two replies never mix in it.
 */

#include "workers/web/web.h"

#define POOL_QUEUE_MAX	1000

struct pool *pool_new(struct web *web);
void	 pool_worker_up(struct pool *p, struct ipc_channel *ch);
void	 pool_worker_down(struct pool *p, struct ipc_channel *ch,
	    enum peer_cause cause, const char *why);

/* Takes the call over: it is replied to from here. kind: query_kind. */
void	 pool_submit(struct pool *p, struct call *c, uint32_t kind);

/* Gives up job `id`; false when there is none. */
bool	 pool_kill(struct pool *p, uint64_t id);
/* {"queries":[{"id":…,"state":"running",…},…]} */
void	 pool_describe(struct pool *p, struct buf *out);
size_t	 pool_n_jobs(const struct pool *p);

void	 web_on_query_ring(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 web_on_reply(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);

#endif
