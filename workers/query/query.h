/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_QUERY_QUERY_H
#define BRAZIER_WORKERS_QUERY_QUERY_H

/*
 * The query worker: maps the head that storage writes, answers one request
 * at a time for web (or rules), renders into its reply ring.
 *
 *	QUERY ─▶ request kept ─▶ [run event] ─▶ api_answer ─▶ ring, REPLY…
 *
 * Evaluation and rendering block this process's loop; meanwhile channels are
 * pumped now and then, so that cancellation, reload, stop and the death of
 * peers are seen (query_breathe).
 */

#include <stdbool.h>
#include <stdint.h>

#include "common/base/arena.h"
#include "common/metrics/metrics.h"
#include "common/promql/source_head.h"
#include "common/tsdb/head_files.h"
#include "common/tsdb/head_reader.h"
#include "common/base/log.h"
#include "ipc/broker.h"
#include "ipc/channel.h"
#include "ipc/reply_ring.h"
#include "ipc/worker.h"
#include "workers/query/api.h"

struct event;

/* The head as storage handed it out; head.c. */
struct query_head {
	struct head_reader	 reader;
	struct head_files	 files;
	struct source		*src;		/* NULL: no head mapped */
	struct ipc_channel	*from;		/* NULL: that storage is gone */
	int			 page_fd;	/* epoch page, ours */
	/* what came while a request ran, for afterwards */
	struct ipc_channel	*join;		/* storage to join */
	uint32_t		*drops;		/* files to unmap */
	size_t			 n_drops, cap_drops;
};

struct query_block;

/* The blocks that came with the head; blocks.c. */
struct query_blocks {
	struct query_block	*v;		/* sorted by mint */
	size_t			 n, cap;
	struct source		*merge;		/* of them and the head */
	bool			 changed;	/* while a request ran */
};

/* The reply ring; ring.c. */
struct query_ring {
	char			*bytes;
	struct reply_page	*page;
	int			 ring_fd;	/* read-only, to hand out */
	int			 page_fd;
	uint64_t		 produced;
};

/* The query log's file; log_file.c. */
struct query_log {
	struct broker		*broker;
	int			 fd;		/* -1 = off */
	int			 next_fd;	/* of a prepared generation */
	uint32_t		 preparing;	/* generation, 0 = none */
	unsigned		 n_opening;	/* asked of the broker */
	bool			 is_torn;	/* the last line is not whole */
	struct log_limit	 limit;
	metrics_slot		*m_enabled, *m_failures;
};

/* Our slot of the file of active queries; active.c. */
struct query_active {
	int			 fd;		/* -1 = none */
	int64_t			 offset;
	struct log_limit	 limit;
};

struct query {
	struct worker		*w;
	struct event		*run_ev;	/* runs the request */
	struct event		*wait_ev;	/* ends waiting for the head */
	struct query_head	 head;
	struct query_blocks	 blocks;
	struct query_ring	 ring;
	struct query_log	 log;
	struct query_active	 active;
	struct api_env		 env;
	int64_t			 next_step_ms;	/* of a prepared generation */
	struct ipc_channel	*asker;		/* NULL: nobody is there */
	struct ipc_channel	*for_asker;	/* whose request runs */
	bool			 offer_wanted;	/* a new asker came meanwhile */
	/* the request under way */
	bool			 busy;		/* from QUERY to the last REPLY */
	bool			 running;	/* inside api_answer */
	bool			 waited;	/* for the head: time is up */
	bool			 stopping;
	uint64_t		 id;
	struct arena		 mem;
	struct api_request	 req;
	enum compress_codec	 codec;
	struct api_answer	*answer;
	bool			 first_sent;
	mono_time		 breathed;	/* last look at the channels */
	uint64_t		 cpu_ns;	/* at the start of the request */
	/* metrics */
	struct metrics_summary	*m_queue, *m_prepare, *m_inner, *m_sort;
	metrics_slot		*m_samples;
};

/* Looks at the channels (not more often than every 50 ms). */
void	 query_breathe(struct query *q);
/* The request should be given up; breathes. */
bool	 query_is_cancelled(struct query *q);

/* --- head.c --- */
int	 query_head_init(struct query *q, struct err *err);
void	 query_head_storage_up(struct query *q, struct ipc_channel *ch);
void	 query_head_storage_down(struct query *q, struct ipc_channel *ch);
/* A request has ended: does what had to wait. */
void	 query_head_settle(struct query *q);
void	 query_on_head_map(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 query_on_file_add(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 query_on_file_drop(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

/* --- blocks.c --- */
void	 query_on_block_add(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
void	 query_on_block_drop(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);
/* Sets the source of requests to what is there; not while one runs. */
void	 query_blocks_apply(struct query *q);
void	 query_blocks_clear(struct query *q);

/* --- ring.c --- */
int	 query_ring_init(struct query *q, struct err *err);
/* Hands ring and page to the asker that has just come up. */
void	 query_ring_offer(struct query *q);
/* body_sink_fn: arg is the struct query. */
bool	 query_ring_sink(void *arg, struct str piece, bool last);
/* Tells the asker that the body will not be completed. */
void	 query_ring_abort(struct query *q);

/* --- log_file.c --- */
int	 query_log_init(struct query *q, struct err *err);
/* As struct worker_role's prepare, commit, abort; "" = no log. */
int	 query_log_prepare(struct query *q, uint32_t gen, struct str path,
	    struct err *err);
void	 query_log_commit(struct query *q);
void	 query_log_abort(struct query *q);
void	 query_log_write(struct query *q, const struct query_record *r);
void	 query_on_opened(void *ctx, struct ipc_channel *ch,
	    struct ipc_msg *m);

/* --- active.c --- */
void	 query_active_init(struct query *q);
void	 query_active_begin(struct query *q, struct str query);
void	 query_active_end(struct query *q);

/* --- request.c --- */
void	 query_on_query(void *ctx, struct ipc_channel *ch, struct ipc_msg *m);
/* Runs the request, from the loop, if it can run now. */
void	 query_request_try(struct query *q);
void	 query_request_run(struct query *q);

#endif
