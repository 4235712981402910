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
 * two replies never mix in it. When all are taken, others wait and a client
 * is slow, its bytes are copied out of the ring, within a bound, so that the
 * process can go on.
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
/* At a stop: none waits or computes any more; replies under way go on. */
void	 pool_cancel_all(struct pool *p);
/* {"queries":[{"id":…,"state":"running",…},…]} */
void	 pool_describe(struct pool *p, struct buf *out);
size_t	 pool_n_jobs(const struct pool *p);

void	 web_on_query_ring(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 web_on_reply(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);

#endif
