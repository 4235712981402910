/* SPDX-License-Identifier: ISC */

/*
 * The storage worker: the one writer of the data. Here are start, the tables
 * of handlers, the tick and the end; storage.h says where the rest is.
 *
 * Nothing of another process is read before the replay is over: it runs in
 * the first turn of the loop, before any peer's channel exists.
 */

#include "workers/storage/storage.h"

#include <malloc.h>

#include <event2/event.h>

#include "common/base/clock.h"
#include "workers/storage/sync.h"

#define TICK_MS		250
#define TICKS_A_SECOND	(1000 / TICK_MS)
/* Full chunks written in one turn; some 2 ms of copying. */
#define SPILL_BYTES	((size_t)1 << 20)
#define HEAD_BYTES_DEFAULT ((int64_t)1 << 30)

static void
on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct storage *s = arg;
	struct err err = ERR_INIT;

	(void)fd;
	(void)what;
	if (!s->open || s->stopping)
		return;
	reader_tick(s);
	storage_spill(s, SPILL_BYTES);
	if (s->ticks++ % TICKS_A_SECOND != 0)
		return;
	append_retry(s);
	orphans_tick(s);
	head_trim(s->head);
	storage_metrics_update(s);
	while (sync_take_error(s->sync, &err))
		log_error("Syncing failed", F_ERR(&err));
}

static void
on_open(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval every = { 0, TICK_MS * 1000 };
	struct storage *s = arg;
	struct err err = ERR_INIT;

	(void)fd;
	(void)what;
	if (storage_open(s, &err) == -1) {
		log_error("Opening storage failed", F_ERR(&err));
		worker_fail(s->w, &err);
		return;
	}
	(void)malloc_trim(0);	/* what the replay took */
	storage_metrics_update(s);
	log_info("TSDB started");
	worker_ready(s->w);
	if (event_add(s->ev_tick, &every) == -1)
		fatal("no timer");
}

/* --- the frame's callbacks --- */

static int
storage_start(void *ctx, struct worker *w, struct err *err)
{
	struct storage *s = ctx;
	int64_t bytes = worker_flag_bytes(w, "brazier.head.max-bytes");
	struct head_options o = {
		.ceiling_bytes = (uint64_t)(bytes > 0 ? bytes :
		    HEAD_BYTES_DEFAULT),
		.chunk_range_ms = worker_flag_duration_ms(w,
		    "storage.tsdb.min-block-duration"),
		.chunk_samples = (uint32_t)worker_flag_int(w,
		    "storage.tsdb.samples-per-chunk"),
	};

	s->w = w;
	s->data_fd = worker_take_fd(w, "data-dir");
	if (s->data_fd == -1)
		return err_set(err, ERR_INTERNAL, "no data directory");
	s->head = head_new(&o, err);
	if (s->head == NULL)
		return -1;
	s->ev_open = event_new(worker_base(w), -1, 0, on_open, s);
	s->ev_tick = event_new(worker_base(w), -1, EV_PERSIST, on_tick, s);
	if (s->ev_open == NULL || s->ev_tick == NULL)
		return err_set(err, ERR_NOMEM, "out of memory");
	return 0;
}

static int
storage_locked(void *ctx, struct err *err)
{
	struct storage *s = ctx;

	(void)err;
	event_active(s->ev_open, EV_TIMEOUT, 0);
	return 0;
}

static int
storage_prepare(void *ctx, uint32_t gen, struct str blob, struct err *err)
{
	struct storage *s = ctx;

	(void)gen;
	if (blob.n == 0) {
		s->next = (struct storage_conf){ 0 };
		return 0;
	}
	return storage_conf_decode(&s->next, blob, err);
}

static void
storage_commit(void *ctx, uint32_t gen)
{
	struct storage *s = ctx;

	(void)gen;
	s->conf = s->next;
	head_set_ooo_window(s->head, s->conf.out_of_order_window_ms);
	if (s->conf.out_of_order_window_ms > 0)
		log_warn("Out-of-order samples are not stored yet",
		    F_INT("out_of_order_time_window_ms",
		    s->conf.out_of_order_window_ms));
}

static void
storage_stop(void *ctx, uint32_t deadline_ms)
{
	struct storage *s = ctx;

	(void)deadline_ms;
	s->stopping = true;
	storage_close(s);
	storage_metrics_update(s);
	worker_stopped(s->w);
}

static void
storage_peer_up(void *ctx, struct ipc_channel *ch)
{
	enum role peer = ipc_channel_ends(ch).peer;

	if (peer == ROLE_SCRAPE || peer == ROLE_RULES || peer == ROLE_REMOTE)
		append_peer_up(ctx, ch);
}

static void
storage_peer_down(void *ctx, struct ipc_channel *ch, enum peer_cause cause,
    const char *why)
{
	struct storage *s = ctx;
	enum role peer = ipc_channel_ends(ch).peer;

	(void)why;
	if (peer == ROLE_SCRAPE || peer == ROLE_RULES || peer == ROLE_REMOTE)
		append_peer_down(s, ch, peer == ROLE_SCRAPE &&
		    cause != PEER_CAUSE_STOP && !s->stopping);
	else
		reader_peer_down(s, ch);
}

int
main(void)
{
	const struct worker_peer peers[] = {
		{ ROLE_SCRAPE, append_handlers, append_n_handlers },
		{ ROLE_RULES, append_handlers, append_n_handlers },
		{ ROLE_REMOTE, append_handlers, append_n_handlers },
		{ ROLE_QUERY, reader_handlers, reader_n_handlers },
		{ ROLE_EVAL, reader_handlers, reader_n_handlers },
	};
	const struct worker_role role = {
		.role = ROLE_STORAGE,
		.peers = peers,
		.n_peers = sizeof(peers) / sizeof(peers[0]),
		.start = storage_start,
		.locked = storage_locked,
		.prepare = storage_prepare,
		.commit = storage_commit,
		.stop = storage_stop,
		.peer_up = storage_peer_up,
		.peer_down = storage_peer_down,
	};
	struct storage s = { .data_fd = -1, .wal_fd = -1, .chunks_fd = -1 };

	return worker_main(&role, &s);
}
