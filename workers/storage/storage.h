/* SPDX-License-Identifier: ISC */
#ifndef BRAZIER_WORKERS_STORAGE_STORAGE_H
#define BRAZIER_WORKERS_STORAGE_STORAGE_H

/*
 * The storage worker's one context, seen by this folder only.
 *
 *	main.c		 start, tables of handlers, the tick, end
 *	storage_open.c	 directories, replay, the WAL behind the head
 *	storage_metrics.c own metrics
 *	append_server.c	 SERIES, SAMPLES, FORGET → head → ACK
 *	orphans.c	 stale markers for series of a scrape worker that died
 *	blocks.c		 blocks of the data directory, handed to query processes
 *	reader_server.c	 arena, chunk files and epochs of query processes
 *	head*.c		 the head
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_COMPONENT "tsdb"
#include "common/base/log.h"
#include "common/config/blob/storage_conf.h"
#include "common/tsdb/block_dir.h"
#include "ipc/channel.h"
#include "ipc/worker.h"
#include "workers/storage/head.h"

struct append_client;
struct event;
struct head_chunks_writer;
struct orphans;
struct reader;
struct storage_metrics;
struct sync;
struct wal_writer;

/* A chunks_head file that readers may need. */
struct chunks_file {
	uint32_t	 number;
	int		 fd;		/* read-only */
};

struct storage {
	struct worker			*w;
	int				 data_fd;	/* -1: memory only */
	int				 wal_fd;
	int				 chunks_fd;
	struct head			*head;
	struct sync			*sync;
	struct wal_writer		*wal;
	struct head_chunks_writer	*chunks;
	bool				 open;	/* the replay is over */
	bool				 stopping;

	struct storage_conf		 conf;
	struct storage_conf		 next;	/* prepared */

	struct event			*ev_open;
	struct event			*ev_tick;
	uint64_t			 ticks;

	struct append_client		*clients;
	size_t				 stalled_bytes;
	struct orphans			*orphans;
	struct reader			*readers;
	uint32_t			 next_reader;
	struct chunks_file		*files;
	size_t				 n_files, cap_files;
	struct block_note		*blocks;	/* in the directory */
	size_t				 n_blocks;

	uint64_t			 wal_failed;
	uint64_t			 corruptions;	/* WAL and blocks */
	uint64_t			 chunk_corruptions;
	uint64_t			 wal_found_bytes;	/* at start */
	const char			*wal_codec;	/* label, or NULL */
	int64_t				 replay_ns;
	struct log_limit		 limit_wal, limit_full, limit_spill;
	struct storage_metrics		*metrics;
};

/* --- storage_open.c --- */

/* Directories, sync thread, replay, WAL. Blocks until the replay is over. */
int	 storage_open(struct storage *s, struct err *err);
/* Full chunks to files, at most max_bytes of them. */
void	 storage_spill(struct storage *s, size_t max_bytes);
/* Flushes, syncs and closes everything. */
void	 storage_close(struct storage *s);

/* --- blocks.c --- */

/* Lists the data directory's blocks; the head begins behind them. */
int	 blocks_open(struct storage *s, struct err *err);
/* Sends them all to a reader that has joined. */
int	 blocks_send(struct storage *s, struct ipc_channel *ch,
	    struct err *err);
void	 blocks_close(struct storage *s);

/* --- storage_metrics.c --- */

void	 storage_metrics_update(struct storage *s);

/* --- append_server.c --- */

extern const struct ipc_handler append_handlers[];
extern const size_t append_n_handlers;
void	 append_peer_up(struct storage *s, struct ipc_channel *ch);
/* died: its series get stale markers if nobody declares them again. */
void	 append_peer_down(struct storage *s, struct ipc_channel *ch,
	    bool died);
/* Tries batches again that the WAL refused. */
void	 append_retry(struct storage *s);

/* --- orphans.c --- */

/* Takes the slots over (malloc'ed). */
void	 orphans_add(struct storage *s, uint32_t *slots, size_t n);
void	 orphans_tick(struct storage *s);
void	 orphans_free(struct storage *s);

/* --- reader_server.c --- */

extern const struct ipc_handler reader_handlers[];
extern const size_t reader_n_handlers;
void	 reader_peer_down(struct storage *s, struct ipc_channel *ch);
/* A new chunks_head file: fd is taken over, all readers are sent it. */
int	 reader_file_add(struct storage *s, uint32_t number, int fd,
	    struct err *err);
/* Reports readers that hold an epoch too long. */
void	 reader_tick(struct storage *s);

#endif
